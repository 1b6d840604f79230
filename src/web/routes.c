/* routes.c - HTTP, on civetweb's worker threads: they read a request head, answer
 * short things, and hand every connection that lasts to the hub. They own
 * nothing: what they want to know they ask by ad_hub_run(). Functions named
 * ..._on_hub, and those that a struct ad_call runs, run on the hub thread.
 */
#ifndef AD_WEB_ROUTES_C
#define AD_WEB_ROUTES_C

#include "civetweb_api.h"
#include "assets.c"
#include "status.c"

/* The seam to civetweb, see glue.c: take the socket out of civetweb's hands.
 * `rest` is what came behind the request head. */
static int ad_civetweb_detach(struct mg_connection *conn, uint8_t **rest,
                              size_t *rest_len);
#if AIDASH_METER
static void ad_civetweb_reattach(struct mg_connection *conn, int fd);
#endif
/* Has the request a body that was not read, and still its socket? */
static bool ad_civetweb_unread(const struct mg_connection *conn);

/* Does a comma-separated header value name this token? */
static bool ad_header_has(const char *value, const char *token)
{
    size_t n = strlen(token);

    while (value != NULL && *value != '\0') {
        value += strspn(value, " \t,");
        if (strncasecmp(value, token, n) == 0 &&
            strchr(" \t,;", value[n]) != NULL) {
            return true;
        }
        value += strcspn(value, ",");
    }
    return false;
}

static const char ad_not_allowed[] =
    "this origin is not allowed (--allow-origin)";

/* What a page of another origin must be told to see the answer, or "". */
static void ad_cors_lines(const struct mg_connection *conn,
                          char out[AD_CORS_MAX])
{
    const char *origin = mg_get_header(conn, "Origin");

    out[0] = '\0';
    if (origin != NULL && strlen(origin) <= AD_ORIGIN_MAX &&
        ad_origin_allowed(origin, mg_get_header(conn, "Host"))) {
        (void)snprintf(out, AD_CORS_MAX,
                       "Access-Control-Allow-Origin: %s\r\nVary: Origin\r\n",
                       origin);
    }
}

static bool ad_is_method(const struct mg_connection *conn, const char *method)
{
    const char *is = mg_get_request_info(conn)->request_method;

    return is != NULL && strcmp(is, method) == 0; /* NULL: no HTTP at all */
}

/* Answer a request whole. `extra` is header lines or "". Returns the status, as
 * begin_request wants it. */
static int ad_respond(struct mg_connection *conn, int status, const char *type,
                      const char *extra, const void *body, size_t len)
{
    char head[AD_CORS_MAX + 2 * AD_REPLY_MAX];
    struct ad_text t = ad_text_in(head, sizeof(head));

    ad_put_head(&t, status, type, len, extra);
    (void)mg_write(conn, t.at, t.len);
    if (len > 0 && !ad_is_method(conn, "HEAD")) {
        (void)mg_write(conn, body, len);
    }
    return status;
}

static int ad_respond_json(struct mg_connection *conn, int status,
                           const struct ad_text *json)
{
    char extra[AD_CORS_MAX + 32], cors[AD_CORS_MAX];

    ad_cors_lines(conn, cors);
    (void)snprintf(extra, sizeof(extra), "Cache-Control: no-store\r\n%s", cors);
    return ad_respond(conn, status, "application/json", extra, json->at,
                      json->len);
}

static int ad_respond_error(struct mg_connection *conn, int status,
                            const char *extra, const char *why)
{
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    ad_put_http_error(&t, status, why);
    return ad_respond(conn, status, "application/json", extra, t.at, t.len);
}

/* Hand the connection to the hub, into the slot it was promised. */
static int ad_client_attach(struct mg_connection *conn, struct ad_attach *a)
{
    char cors[AD_CORS_MAX];

    mg_set_user_connection_data(conn, NULL);
    ad_cors_lines(conn, cors);
    a->cors = cors;
    a->id = a->id != NULL ? a->id : "";
    a->fd = ad_civetweb_detach(conn, &a->rest, &a->rest_len);
    a->call.run = ad_client_attach_on_hub;
    ad_hub_run(&a->call);
    return 200;
}

/* What a connection was promised, until the hub has it or it ends. */
static char ad_slot_reserved[2];

/* Promise the connection a slot, or answer 503. */
static bool ad_slot_reserve_for(struct mg_connection *conn, enum ad_kind kind)
{
    unsigned class = ad_kind_class(kind);

    if (ad_slot_reserve(class)) {
        mg_set_user_connection_data(conn, &ad_slot_reserved[class]);
        return true;
    }
    ad_acceptor.refused++;
    (void)ad_respond_error(conn, 503, "Retry-After: 5\r\n",
                           class == 0 ? "all places for viewers are taken"
                                      : "all places for exchanges are taken");
    return false;
}

/* A number of 0..max in the query. Returns 1 if it is there, 0 if not, -1 if it
 * is malformed. */
static int ad_query_u64(const struct mg_connection *conn, const char *name,
                        uint64_t max, uint64_t *value)
{
    const char *query = mg_get_request_info(conn)->query_string;
    char text[32];
    int i, n = query == NULL ? -1
                             : mg_get_var(query, strlen(query), name, text,
                                          sizeof(text));

    if (n == -1) {
        return 0;
    }
    if (n < 1) { /* empty, or longer than any number */
        return -1;
    }
    *value = 0;
    for (i = 0; i < n; i++) {
        if (!ad_is_digit(text[i]) || *value > (UINT64_MAX - 9) / 10) {
            return -1;
        }
        *value = *value * 10 + (uint64_t)(text[i] - '0');
    }
    return *value <= max ? 1 : -1;
}

static int ad_get_healthz(struct mg_connection *conn)
{
    struct ad_text t = {(char *)(uintptr_t)"{\"status\":\"ok\"}", 15, 15,
                        false};

    return ad_respond_json(conn, 200, &t);
}

static int ad_get_status(struct mg_connection *conn)
{
    char json[AD_EVENT_MAX + 4096];
    struct ad_status_call status;

    status.call.run = ad_status_run;
    status.text = ad_text_in(json, sizeof(json));
    ad_hub_run(&status.call);
    return ad_respond_json(conn, 200, &status.text);
}

static int ad_get_ticks(struct mg_connection *conn)
{
    struct ad_attach a;
    uint64_t since = 0, limit = 100, last = 0;

    memset(&a, 0, sizeof(a));
    if (ad_query_u64(conn, "since", UINT64_MAX, &since) < 0 ||
        ad_query_u64(conn, "limit", 10000, &limit) < 0 ||
        ad_query_u64(conn, "last", 10000, &last) < 0 || limit < 1) {
        return ad_respond_error(conn, 400, "",
                                "since, limit and last are whole numbers; "
                                "limit and last go from 1 to 10000");
    }
    if (ad_is_method(conn, "HEAD")) {
        return ad_respond(conn, 200, "application/json", "", "", SIZE_MAX);
    }
    a.kind = AD_TICKS;
    a.has_since = true;
    a.since = since;
    a.limit = (uint32_t)limit;
    a.last = (uint32_t)last;
    return ad_slot_reserve_for(conn, a.kind) ? ad_client_attach(conn, &a) : 503;
}

static int ad_get_events(struct mg_connection *conn)
{
    struct ad_attach a;
    const char *last = mg_get_header(conn, "Last-Event-ID");
    int found;

    memset(&a, 0, sizeof(a));
    found = ad_query_u64(conn, "last_event_id", UINT64_MAX, &a.since);
    if (last != NULL && last[0] != '\0' && strlen(last) < 20 &&
        strspn(last, "0123456789") == strlen(last)) {
        a.since = strtoull(last, NULL, 10);
        found = 1;
    }
    if (found < 0) {
        return ad_respond_error(conn, 400, "",
                                "last_event_id is a whole number");
    }
    if (ad_is_method(conn, "HEAD")) {
        return ad_respond(conn, 200, "text/event-stream", "", "", SIZE_MAX);
    }
    a.kind = AD_SSE;
    a.has_since = found == 1;
    return ad_slot_reserve_for(conn, a.kind) ? ad_client_attach(conn, &a) : 503;
}

#if AIDASH_METER

/* The requests under way, then the records kept, one a call: all at once would
 * be more than a worker's stack wants. */
struct ad_requests_call {
    struct ad_call call;
    unsigned flow;          /* the next to look at */
    uint64_t record, last;  /* the next; so many of the newest */
    struct ad_text text;    /* "": there is none */
};

static void ad_running_next(struct ad_call *call)
{
    struct ad_requests_call *r = (struct ad_requests_call *)(void *)call;

    r->text.len = 0;
    while (r->flow < ad_proxying.n_slots && r->text.len == 0) {
        const struct ad_proxy *p = &ad_proxies[r->flow++];

        if (ad_proxy_runs(p)) {
            ad_put_running(&r->text, p);
        }
    }
}

static void ad_record_next(struct ad_call *call)
{
    struct ad_requests_call *r = (struct ad_requests_call *)(void *)call;
    uint64_t n = ad_records.count;
    uint64_t oldest = n > r->last ? n - r->last : 0;

    r->text.len = 0;
    r->record = r->record < oldest ? oldest : r->record;
    if (r->record < n) {
        const struct ad_record *kept = &ad_records.ring[r->record % AIDASH_RECORDS];

        ad_put(&r->text, kept->json, kept->len);
        r->record++;
    }
}

static int ad_get_requests(struct mg_connection *conn)
{
    char json[AD_RECORD_MAX], head[AD_CORS_MAX + AD_REPLY_MAX];
    char cors[AD_CORS_MAX];
    struct ad_text t = ad_text_in(head, sizeof(head));
    struct ad_requests_call r = {.last = AIDASH_RECORDS};
    unsigned list;

    if (ad_query_u64(conn, "last", AIDASH_RECORDS, &r.last) < 0) {
        char why[64];

        (void)snprintf(why, sizeof(why), "last is a whole number from 0 to %d",
                       AIDASH_RECORDS);
        return ad_respond_error(conn, 400, "", why);
    }
    ad_cors_lines(conn, cors);
    ad_put_head(&t, 200, "application/json", SIZE_MAX, cors);
    (void)mg_write(conn, t.at, t.len);
    if (ad_is_method(conn, "HEAD")) {
        return 200;
    }
    for (list = 0; list < 2; list++) {
        const char *before = list == 0 ? "{\"running\":[" : "],\"requests\":[";

        r.call.run = list == 0 ? ad_running_next : ad_record_next;
        for (;; before = ",") {
            r.text = ad_text_in(json, sizeof(json));
            ad_hub_run(&r.call);
            if (r.text.len == 0) {
                break;
            }
            (void)mg_write(conn, before, strlen(before));
            (void)mg_write(conn, json, r.text.len);
        }
        if (before[0] != ',') {
            (void)mg_write(conn, before, strlen(before));
        }
    }
    (void)mg_write(conn, "]}", 2);
    return 200;
}

#endif

/* POST: the body's framing from the head, then the hub reads it. */
static int ad_post_body(struct mg_connection *conn, enum ad_kind kind)
{
    const char *encoding = mg_get_header(conn, "Transfer-Encoding");
    const char *length = mg_get_header(conn, "Content-Length");
    const char *type = mg_get_header(conn, "Content-Type");
    struct ad_attach a;

    memset(&a, 0, sizeof(a));
    a.kind = kind;
    a.whole = kind == AD_COMMAND || ad_header_has(type, "application/json");
    a.expects = ad_header_has(mg_get_header(conn, "Expect"), "100-continue");
    a.body.state = AD_BODY_DONE;
    if (encoding != NULL) {
        if (strcasecmp(encoding, "chunked") != 0 || length != NULL) {
            return ad_respond_error(conn, 400, "",
                                    "the body must be chunked, or have a "
                                    "Content-Length, and not both");
        }
        a.body.state = AD_BODY_CHUNK_SIZE;
    } else if (length != NULL) {
        if (strlen(length) > 18 ||
            strspn(length, "0123456789") != strlen(length)) {
            return ad_respond_error(conn, 400, "",
                                    "Content-Length is not a number");
        }
        a.body.left = strtoull(length, NULL, 10);
        a.body.state = a.body.left > 0 ? AD_BODY_LENGTH : AD_BODY_DONE;
    }
    return ad_slot_reserve_for(conn, kind) ? ad_client_attach(conn, &a) : 503;
}

static int ad_post_ingest(struct mg_connection *conn)
{
    return ad_post_body(conn, AD_INGEST);
}

static int ad_post_command(struct mg_connection *conn)
{
    return ad_post_body(conn, AD_COMMAND);
}

/* The dashboard's files, as they are in the binary. */
static int ad_get_asset(struct mg_connection *conn,
                        const struct ad_asset *asset)
{
    static const char policy[] =
        "Content-Security-Policy: default-src 'none'; script-src 'self'; "
        "style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n";
    const char *accepts = mg_get_header(conn, "Accept-Encoding");
    const char *known = mg_get_header(conn, "If-None-Match");
    char extra[AD_REPLY_MAX + 256];

    (void)snprintf(extra, sizeof(extra),
                   "ETag: %s\r\nCache-Control: no-cache\r\n"
                   "Access-Control-Allow-Origin: *\r\n%s%s",
                   asset->etag,
                   asset->gzip ? "Content-Encoding: gzip\r\n"
                                 "Vary: Accept-Encoding\r\n"
                               : "",
                   strncmp(asset->type, "text/html", 9) == 0 ? policy : "");
    if (known != NULL && (strstr(known, asset->etag) != NULL ||
                          strcmp(known, "*") == 0)) {
        return ad_respond(conn, 304, NULL, extra, "", 0);
    }
    if (asset->gzip && accepts != NULL && !ad_header_has(accepts, "gzip") &&
        !ad_header_has(accepts, "*")) {
        return ad_respond_error(conn, 406, "",
                                "the page files are stored with gzip");
    }
    return ad_respond(conn, 200, asset->type, extra, asset->data, asset->len);
}

static const struct {
    const char *path, *allow;
    int (*get)(struct mg_connection *conn);
    int (*post)(struct mg_connection *conn);
} ad_routes[] = {
    {"/healthz", "GET, HEAD, OPTIONS", ad_get_healthz, NULL},
    {"/status", "GET, HEAD, OPTIONS", ad_get_status, NULL},
    {"/ticks", "GET, HEAD, OPTIONS", ad_get_ticks, NULL},
    {"/events", "GET, HEAD, OPTIONS", ad_get_events, NULL},
#if AIDASH_METER
    {"/requests", "GET, HEAD, OPTIONS", ad_get_requests, NULL},
#endif
    {"/ingest", "POST, PUT, OPTIONS", NULL, ad_post_ingest},
    {"/command", "POST, OPTIONS", NULL, ad_post_command},
};

static int ad_options(struct mg_connection *conn, const char *allow)
{
    char extra[AD_CORS_MAX + AD_REPLY_MAX], cors[AD_CORS_MAX];

    ad_cors_lines(conn, cors);
    (void)snprintf(extra, sizeof(extra), "Allow: %s\r\n%s%s%s%s", allow, cors,
                   cors[0] != '\0' ? "Access-Control-Allow-Methods: " : "",
                   cors[0] != '\0' ? allow : "",
                   cors[0] != '\0'
                       ? "\r\nAccess-Control-Allow-Headers: Content-Type, "
                         "Last-Event-ID\r\nAccess-Control-Max-Age: 600\r\n"
                       : "");
    return ad_respond(conn, 204, NULL, extra, "", SIZE_MAX);
}

/* RFC 6455 4.2.1: what a handshake must have. Returns 0 to let civetweb go on
 * with it, or the status of the answer. */
static int ad_check_upgrade(struct mg_connection *conn, const char *path)
{
    const char *version = mg_get_header(conn, "Sec-WebSocket-Version");
    const char *key = mg_get_header(conn, "Sec-WebSocket-Key");
    char id[AIDASH_CLIENT_ID_MAX + 1];

    ad_acceptor.refused++; /* until all is found right */
    if (strncmp(path, "/ws/", 4) != 0) {
        return ad_respond_error(conn, 404, "",
                                "WebSockets are at /ws/{client_id}");
    }
    if (!ad_is_method(conn, "GET")) {
        return ad_respond_error(conn, 405, "Allow: GET\r\n",
                                "a WebSocket begins with GET");
    }
    if (!ad_client_id(path + 4, strlen(path + 4), id)) {
        return ad_respond_error(conn, 400, "",
                                "client_id must be 1 to 64 characters of "
                                "A-Z a-z 0-9 . _ ~ -");
    }
    if (!ad_header_has(mg_get_header(conn, "Upgrade"), "websocket") ||
        !ad_header_has(mg_get_header(conn, "Connection"), "upgrade")) {
        return ad_respond_error(conn, 426,
                                "Upgrade: websocket\r\n"
                                "Sec-WebSocket-Version: 13\r\n",
                                "this is a WebSocket");
    }
    if (version == NULL || strcmp(version, "13") != 0) {
        return ad_respond_error(conn, 426, "Sec-WebSocket-Version: 13\r\n",
                                "only version 13 of WebSocket is spoken");
    }
    if (key == NULL || strlen(key) != 24 || strcmp(key + 22, "==") != 0 ||
        strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                    "0123456789+/") != 22) {
        return ad_respond_error(conn, 400, "",
                                "Sec-WebSocket-Key must be 16 bytes in base64");
    }
    if (!ad_origin_allowed(mg_get_header(conn, "Origin"),
                           mg_get_header(conn, "Host"))) {
        return ad_respond_error(conn, 403, "", ad_not_allowed);
    }
    ad_acceptor.refused--;
    return 0;
}

#if AIDASH_METER

/* Header lines that are about the client's connection, or that the proxy writes
 * itself. RFC 9110 7.6.1; `named` is the value of Connection. */
static bool ad_header_hop(const char *name, const char *named)
{
    static const char *const hops[] = {
        "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Upgrade",
        "Proxy-Authorization", "Host", "Content-Length", "Transfer-Encoding",
        "Expect"};
    size_t i;

    for (i = 0; i < AD_COUNT(hops); i++) {
        if (strcasecmp(name, hops[i]) == 0) {
            return true;
        }
    }
    return ad_header_has(named, name);
}

/* A request on its way from a worker to the hub. */
struct ad_forward_call {
    struct ad_call call;
    struct ad_proxy_request request;
    int fd;
    enum ad_proxy_taken taken;
};

static void ad_forward_on_hub(struct ad_call *call)
{
    struct ad_forward_call *f = (struct ad_forward_call *)(void *)call;

    f->taken = ad_proxy_begin(&f->request, f->fd);
}

static int ad_forward_error(struct mg_connection *conn, int status,
                            const char *type, const char *why)
{
    const char *path = mg_get_request_info(conn)->local_uri_raw;
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    ad_put_api_error(&t, ad_route_ollama(path), status, type, why);
    return ad_respond(conn, status, "application/json",
                      status == 503 ? "Retry-After: 5\r\n" : "", t.at, t.len);
}

/* Whatever is not ours goes to the engine. */
static int ad_forward(struct mg_connection *conn)
{
    const struct mg_request_info *info = mg_get_request_info(conn);
    const char *named = mg_get_header(conn, "Connection");
    const char *encoding = mg_get_header(conn, "Transfer-Encoding");
    const char *length = mg_get_header(conn, "Content-Length");
    char head[AD_HEAD_MAX], target[AD_HEAD_MAX];
    struct ad_text headers = ad_text_in(head, sizeof(head));
    struct ad_forward_call f;
    struct ad_proxy_request *r = &f.request;
    uint8_t *rest;
    size_t k;
    int i, lengths = 0;

    memset(&f, 0, sizeof(f));
    r->method = info->request_method;
    r->target = target;
    r->headers = head;
    r->body.state = AD_BODY_DONE;
    r->head = ad_is_method(conn, "HEAD");
    r->expects = ad_header_has(mg_get_header(conn, "Expect"), "100-continue");
    r->has_auth = mg_get_header(conn, "Authorization") != NULL;
    r->http10 = strcmp(info->http_version, "1.1") != 0;
    r->keep_alive = !r->http10 && !ad_header_has(named, "close");
    for (i = 0; i < info->num_headers; i++) {
        const char *name = info->http_headers[i].name;

        lengths += strcasecmp(name, "Content-Length") == 0 ||
                   strcasecmp(name, "Transfer-Encoding") == 0;
        if (!ad_header_hop(name, named)) {
            ad_putf(&headers, "%s: %s\r\n", name, info->http_headers[i].value);
        }
    }
    ad_put(&headers, "", 1);
    if (lengths > 1 ||
        (encoding != NULL && strcasecmp(encoding, "chunked") != 0)) {
        return ad_forward_error(conn, 400, "invalid_request_error",
                                "the body must be chunked, or have one "
                                "Content-Length, and not both");
    }
    if (encoding != NULL) {
        r->body.state = AD_BODY_CHUNK_SIZE;
    } else if (length != NULL) {
        if (strlen(length) > 18 || length[0] == '\0' ||
            strspn(length, "0123456789") != strlen(length)) {
            return ad_forward_error(conn, 400, "invalid_request_error",
                                    "Content-Length is not a number");
        }
        r->has_length = true;
        r->body.left = strtoull(length, NULL, 10);
        r->body.state = r->body.left > 0 ? AD_BODY_LENGTH : AD_BODY_DONE;
    }
    r->metered = r->body.state != AD_BODY_DONE;
    if (headers.full || strlen(r->method) > AD_HTTP_METHOD_MAX ||
        (size_t)snprintf(target, sizeof(target), "%s%s%s", info->local_uri_raw,
                         info->query_string != NULL ? "?" : "",
                         info->query_string != NULL ? info->query_string
                                                    : "") >= sizeof(target)) {
        return ad_forward_error(conn, 431, "invalid_request_error",
                                "the request head is too long");
    }
    (void)snprintf(r->route, sizeof(r->route), "%s", info->local_uri_raw);
    for (k = 0; r->route[k] != '\0'; k++) { /* shown to viewers: plain ASCII */
        if ((unsigned char)r->route[k] >= 0x7F) {
            r->route[k] = '?';
        }
    }
    (void)snprintf(r->client, sizeof(r->client), "%s", info->remote_addr);
    f.fd = ad_civetweb_detach(conn, &rest, &r->prefix_len);
    r->prefix = rest;
    f.call.run = ad_forward_on_hub;
    ad_hub_run(&f.call);
    if (f.taken == AD_PROXY_TAKEN) {
        return 200;
    }
    ad_civetweb_reattach(conn, f.fd);
    if (f.taken == AD_PROXY_TOO_LONG) {
        return ad_forward_error(conn, 431, "invalid_request_error",
                                "the request head is too long");
    }
    return ad_forward_error(conn, 503, "overloaded_error",
                            "too many requests at once");
}

#endif /* AIDASH_METER */

static int ad_http_route(struct mg_connection *conn)
{
    const struct mg_request_info *info = mg_get_request_info(conn);
    const char *path = info->local_uri_raw;
    bool get = ad_is_method(conn, "GET") || ad_is_method(conn, "HEAD");
    bool post = ad_is_method(conn, "POST");
    const struct ad_asset *asset;
    char extra[96];
    size_t i;

    if (strncmp(path, "/ws/", 4) == 0 ||
        mg_get_header(conn, "Sec-WebSocket-Key") != NULL) {
        return ad_check_upgrade(conn, path);
    }
    for (i = 0; i < AD_COUNT(ad_routes); i++) {
        const char *allow = ad_routes[i].allow;

        if (strcmp(ad_routes[i].path, path) != 0) {
            continue;
        }
        if (!ad_is_method(conn, "OPTIONS") &&
            !ad_origin_allowed(mg_get_header(conn, "Origin"),
                               mg_get_header(conn, "Host"))) {
            return ad_respond_error(conn, 403, "", ad_not_allowed);
        }
        if (get && ad_routes[i].get != NULL) {
            return ad_routes[i].get(conn);
        }
        if (ad_routes[i].post != NULL &&
            (post || (ad_is_method(conn, "PUT") &&
                      strstr(allow, "PUT") != NULL))) {
            return ad_routes[i].post(conn);
        }
        if (ad_is_method(conn, "OPTIONS")) {
            return ad_options(conn, allow);
        }
        (void)snprintf(extra, sizeof(extra), "Allow: %s\r\n", allow);
        return ad_respond_error(conn, 405, extra, "not with this method");
    }
    asset = ad_asset_find(path);
#if AIDASH_METER
    if (asset == NULL && ad_upstreams.n > 0 && path[0] == '/') {
        return ad_forward(conn);
    }
#endif
    if (ad_is_method(conn, "OPTIONS")) {
        return ad_options(conn, "GET, HEAD, OPTIONS");
    }
    if (asset == NULL || path[0] == '\0') {
        return ad_respond_error(conn, 404, "", "there is nothing here");
    }
    if (!get) {
        return ad_respond_error(conn, 405, "Allow: GET, HEAD, OPTIONS\r\n",
                                "not with this method");
    }
    return ad_get_asset(conn, asset);
}

/* civetweb's begin_request: every request comes through here first. A body that
 * nobody read is left to the hub, so that no worker waits for it and closing
 * does not reset our answer away. */
static int ad_http_request(struct mg_connection *conn)
{
    int status = ad_http_route(conn);
    struct ad_attach a;

    if (status > 0 && ad_civetweb_unread(conn) && ad_slot_reserve(1)) {
        memset(&a, 0, sizeof(a));
        a.kind = AD_LINGER;
        (void)ad_client_attach(conn, &a);
    }
    return status;
}

/* civetweb's http_error: what it refuses by itself, in our form. */
static int ad_http_error(struct mg_connection *conn, int status,
                         const char *why)
{
    /* Its 411 is for a Content-Length that is no number: RFC 9112 6.3. */
    (void)ad_respond_error(conn, status == 411 ? 400 : status, "", why);
    return 0;
}

/* mg_set_websocket_handler's connect: may it enter? 0: yes. */
static int ad_ws_connect(const struct mg_connection *conn, void *unused)
{
    (void)unused;
    /* civetweb hands the same object over without const elsewhere. */
    return !ad_slot_reserve_for((struct mg_connection *)(uintptr_t)conn, AD_WS);
}

/* Its ready: the handshake is done, the hub takes over. */
static void ad_ws_ready(struct mg_connection *conn, void *unused)
{
    const char *path = mg_get_request_info(conn)->local_uri_raw;
    char id[AIDASH_CLIENT_ID_MAX + 1];
    struct ad_attach a;
    uint64_t batch = 0;

    (void)unused;
    memset(&a, 0, sizeof(a));
    (void)ad_client_id(path + 4, strlen(path + 4), id);
    (void)ad_query_u64(conn, "batch", 9, &batch);
    a.kind = batch == 1 ? AD_WS_BATCH : AD_WS;
    a.id = id;
    (void)ad_client_attach(conn, &a);
}

/* civetweb's connection_close: a promise that was not taken up. */
static void ad_http_close(const struct mg_connection *conn)
{
    const char *promise = mg_get_user_connection_data(conn);

    if (promise != NULL) {
        ad_slot_release((unsigned)(promise - ad_slot_reserved));
    }
}

/* And connection_closed: there is room for the next. */
static void ad_http_closed(const struct mg_connection *conn)
{
    (void)conn;
    atomic_fetch_sub(&ad_acceptor.at_workers, 1);
    ad_wake();
}

static int ad_http_log(const struct mg_connection *conn, const char *message)
{
    (void)conn;
    ad_log(AIDASH_LOG_DEBUG, "civetweb: %s", message);
    return 1;
}

#endif
