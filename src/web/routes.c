/* routes.c - what a judged request leads to. Hub thread only.
 *
 * A connection that lasts, and an answer that may be long, is the hub's own from
 * here on: viewers, GET /ticks, bodies, proxied requests. Short answers and the
 * WebSocket handshake are civetweb's, behind glass (workers.c, pages.c); the program's
 * own paths are a thread's of their own (own_routes.c).
 * Owns ad_route_fields.
 */
#ifndef AD_WEB_ROUTES_C
#define AD_WEB_ROUTES_C

#include "../core/certificate.c"
#include "assets.c"
#include "../board/history_answer.c"
#include "auth_routes.c"
#include "extra_routes.c"
#include "fleet_routes.c"
#include "forward.c"
#include "meter_routes.c"
#include "metrics_routes.c"
#include "own_routes.c"
#include "share.c"
#include "workers.c"

enum { AD_ROUTES_FIELD_MAX = 256 }; /* bytes of a field that a worker gets */

/* The fields of the head that is judged. */
static struct ad_http_field ad_route_fields[AD_HTTP_FIELDS];

/* ---- what a worker answers ---- */

/* The canonical head of the request, for a worker: what is put here is all that
 * it will know. */
static struct ad_text ad_route_canonical(const struct ad_route_request *r,
                                         char out[AD_WORKERS_HEAD_MAX])
{
    struct ad_text t = ad_text_in(out, AD_WORKERS_HEAD_MAX);

    (void)ad_http_put_request_line(&t, r->head.method, r->head.path, NULL);
    ad_puts(&t, "Host: aidash\r\n");
    if (r->verdict.origin.len > 0) {
        (void)ad_http_put_field(&t, ad_slice_of("Origin"), r->verdict.origin);
    }
    ad_putf(&t, AD_WORKERS_RIGHTS ": %u\r\n", ad_rights_of(&r->who));
#if AIDASH_TLS
    if (r->pending->tls != 0 && ad_certificate.hsts_s > 0) {
        ad_putf(&t, AD_WORKERS_HSTS ": max-age=%u\r\n", ad_certificate.hsts_s);
    }
#endif
    return t;
}

static void ad_route_to_worker(const struct ad_route_request *r)
{
    char head[AD_WORKERS_HEAD_MAX];
    struct ad_text t = ad_route_canonical(r, head);
    const struct ad_asset *asset = ad_asset_find(r->head.path.at,
                                                 r->head.path.len);
    bool gzip = ad_http_wants_gzip(&r->head);

    if (gzip) {
        (void)ad_http_put_field_text(&t, "Accept-Encoding", "gzip");
    }
    if (asset != NULL &&
        ad_http_has_etag(&r->head.fields, ad_asset_etag(asset, gzip))) {
        (void)ad_http_put_field_text(&t, "If-None-Match", "*");
    }
    ad_http_put_end(&t);
    ad_worker_ask(r->pending, &t, "", 0);
}

#if AIDASH_QR

static void ad_route_qr(const struct ad_route_request *r)
{
    char head[AD_WORKERS_HEAD_MAX], text[AD_QR_TEXT_MAX + 1];
    const char *fault = ad_share_text(r, text);
    struct ad_text t;

    if (fault != NULL) {
        ad_route_refuse(r, 400, "", fault);
        return;
    }
    t = ad_route_canonical(r, head);
    (void)ad_http_put_field_text(&t, AD_WORKERS_TEXT, text);
    ad_http_put_end(&t);
    ad_worker_ask(r->pending, &t, "", 0);
}

#endif

/* A slot for a connection that lasts, or an answer that there is none. The last
 * descriptors stay for those that do not last. */
static bool ad_route_reserve(const struct ad_route_request *r,
                             enum ad_kind kind)
{
    unsigned class = ad_kind_class(kind);

    if (!ad_spares_regain(r->pending) && ad_share_victim() == AD_NO_PLACE) {
        ad_route_refuse(r, 503, "Retry-After: 5\r\n",
                        "no descriptor is left for this connection (ulimit -n)");
        return false;
    }
    if (ad_slot_reserve(class) ||
        (class == 1 && ad_exchange_evict() && ad_slot_reserve(class))) {
        return true;
    }
    ad_route_refuse(r, 503, "Retry-After: 5\r\n",
                    class == 0 ? "all places for viewers are taken"
                               : "all places for exchanges are taken");
    return false;
}

/* May he who asks become a viewer? Who brings no credential may still do so in his
 * first message, and who brings a bad one is told so by a close code: a page sees no
 * status of a handshake. False: it was answered. */
static bool ad_route_admits(const struct ad_route_request *r)
{
    struct ad_pending *p = r->pending;
    char fields[40];
    unsigned wait_s;

    p->who = r->who;
    p->refused = p->waits = false;
    if (ad_right_denial(&r->who, AD_MAY_VIEW) != AD_DENIAL_KEY) {
        return ad_route_may(r, AD_MAY_VIEW);
    }
    p->refused = r->credentials.offered;
    wait_s = p->refused ? ad_route_failed(r) : 0;
    if (wait_s > 0) {
        (void)snprintf(fields, sizeof(fields), "Retry-After: %u\r\n", wait_s);
        ad_route_refuse(r, 429, fields, AD_ROUTE_FAILED_TEXT);
        return false;
    }
    p->waits = !p->refused;
    if (p->waits && ad_slots.n_waiting >= AD_CLIENTS_WAITING) {
        ad_route_refuse(r, 503, "Retry-After: 5\r\n",
                        "too many connections wait for their credential");
        return false;
    }
    return true;
}

/* A WebSocket handshake: judged here by RFC 6455 4.2.1, carried out by
 * civetweb's WebSocket handler, then a viewer. */
static void ad_route_websocket(const struct ad_route_request *r)
{
    struct ad_pending *p = r->pending;
    struct ad_slice path = r->head.path, key;
    enum ad_http_fault fault = ad_http_judge_handshake(&r->head);
    char head[AD_WORKERS_HEAD_MAX];
    uint64_t batch = 0;
    struct ad_text t;

    if (!ad_slice_begins(path, "/ws/")) {
        ad_route_refuse(r, 404, "", "WebSockets are at /ws/{client_id}");
        return;
    }
    if (fault == AD_HTTP_NOT_GET) {
        ad_route_fault(r, fault);
        return;
    }
    if (!ad_client_id(path.at + 4, path.len - 4, p->client_id)) {
        ad_route_refuse(r, 400, "",
                        "client_id must be 1 to 64 characters of A-Z a-z 0-9 "
                        ". _ ~ -");
        return;
    }
    if (fault != AD_HTTP_OK) {
        ad_route_fault(r, fault);
        return;
    }
    if (!ad_route_admits(r) || !ad_route_reserve(r, AD_WS)) {
        return;
    }
    p->upgrades = true;
    p->batch = ad_route_query(r, "batch", 9, &batch) == 1 &&
               batch == 1;
    t = ad_route_canonical(r, head);
    ad_puts(&t, "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\n");
    (void)ad_http_field_get(&r->head.fields, "Sec-WebSocket-Key", &key);
    (void)ad_http_put_field(&t, ad_slice_of("Sec-WebSocket-Key"), key);
    ad_http_put_end(&t);
    ad_worker_ask(p, &t, r->prefix, r->prefix_len);
}

/* ---- what the hub serves ---- */

/* The connection becomes a client, in the slot that was reserved. */
static void ad_route_attach(const struct ad_route_request *r,
                            struct ad_attach *a)
{
    a->cors = r->cors;
    a->address = r->pending->address;
    a->tls = r->pending->tls;
    a->who = r->who;
    a->rest = (uint8_t *)r->prefix;
    a->rest_len = r->prefix_len;
    a->fd = ad_pending_detach(r->pending);
    if (!ad_client_attach(a)) {
        ad_peer_close(a->fd, a->address);
    }
}

static void ad_route_ticks(const struct ad_route_request *r)
{
    char fields[AD_CORS_MAX + sizeof(AD_FIELDS_FRESH)];
    uint64_t since = 0, limit = 100, last = 0;
    struct ad_slice known;
    struct ad_attach a;

    memset(&a, 0, sizeof(a));
    if ((ad_route_query_text(r, "since", &known) &&
         !ad_route_seq(known, &since)) ||
        ad_route_query(r, "limit", 10000, &limit) < 0 ||
        ad_route_query(r, "last", 10000, &last) < 0 || limit < 1) {
        ad_route_refuse(r, 400, "",
                        "since is SEQ or RUN-SEQ; limit and last are whole "
                        "numbers from 1 to 10000");
        return;
    }
    if (r->head_only) {
        (void)snprintf(fields, sizeof(fields), AD_FIELDS_FRESH "%s", r->cors);
        ad_route_head(r, 200, "application/json", fields);
        return;
    }
    a.kind = AD_TICKS;
    a.has_since = true;
    a.since = since;
    a.limit = (uint32_t)limit;
    a.last = (uint32_t)last;
    if (ad_route_reserve(r, a.kind)) {
        ad_route_attach(r, &a);
    }
}

static void ad_route_events(const struct ad_route_request *r)
{
    char fields[AD_CORS_MAX + sizeof(AD_FIELDS_SSE)];
    struct ad_slice last;
    struct ad_attach a;
    bool found = false;

    memset(&a, 0, sizeof(a));
    if (ad_route_query_text(r, "last_event_id", &last)) {
        found = ad_route_seq(last, &a.since);
        if (!found) {
            ad_route_refuse(r, 400, "", "last_event_id is SEQ or RUN-SEQ");
            return;
        }
    }
    if (ad_http_field_get(&r->head.fields, "Last-Event-ID", &last) &&
        ad_route_seq(last, &a.since)) {
        found = true;
    }
    if (r->head_only) {
        (void)snprintf(fields, sizeof(fields), AD_FIELDS_SSE "%s", r->cors);
        ad_route_head(r, 200, "text/event-stream", fields);
        return;
    }
    a.kind = AD_SSE;
    a.has_since = found;
    if (ad_route_reserve(r, a.kind)) {
        ad_route_attach(r, &a);
    }
}

/* `auth`: of a POST below /auth, else NULL. */
static void ad_route_body(const struct ad_route_request *r, enum ad_kind kind,
                          const struct ad_auth_head *auth)
{
    struct ad_slice type = {"", 0}, media, coding;
    char sentence[128];
    struct ad_text why = ad_text_in(sentence, sizeof(sentence));
    struct ad_attach a;

    memset(&a, 0, sizeof(a));
    if (kind == AD_COMMAND && r->head.length > AIDASH_MESSAGE_MAX) {
        ad_route_refuse(r, 413, "",
                        auth != NULL ? "the body is longer than the limit"
                                     : "a command is longer than the limit");
        return;
    }
    if (ad_http_field_get(&r->head.fields, "Content-Encoding", &coding) &&
        coding.len > 0 && !ad_slice_is_nocase(coding, "identity")) {
        ad_route_refuse(r, 415, "Accept-Encoding: identity\r\n",
                        "a compressed body is not taken here");
        return;
    }
    (void)ad_http_field_get(&r->head.fields, "Content-Type", &type);
    (void)ad_http_cut(&type, ';', &media);
    a.kind = kind;
    if (auth != NULL) {
        a.auth = *auth;
    }
    a.whole = kind == AD_COMMAND ||
              ad_slice_is_nocase(media, "application/json");
    a.expects = r->head.expects_continue;
    ad_body_begin(&a.body, &r->head);
    if (ad_attach_is_stream(&a) &&
        !ad_stream_room(r->pending->address, &why)) {
        ad_route_refuse(r, 503, "Retry-After: 5\r\n", sentence);
        return;
    }
    if (ad_route_reserve(r, kind)) {
        ad_route_attach(r, &a);
    }
}

#if AIDASH_HISTORY

/* A time of the query into *us: Unix seconds, or -SECONDS from now; it stays if the
 * query has none. False if it is neither. */
static bool ad_route_time(const struct ad_route_request *r, const char *name,
                          uint64_t *us)
{
    struct ad_slice text;
    uint64_t s;

    if (!ad_route_query_text(r, name, &text)) {
        return true;
    }
    if (text.len > 0 && text.at[0] == '-') {
        if (!ad_decimal_u64(text.at + 1, text.len - 1, UINT32_MAX, &s)) {
            return false;
        }
        s *= AD_NS_PER_S / 1000;
        *us = s < ad_hub.now_us ? ad_hub.now_us - s : 0;
        return true;
    }
    if (!ad_decimal_u64(text.at, text.len, 100000000000, &s)) {
        return false;
    }
    *us = s * (AD_NS_PER_S / 1000);
    return true;
}

static void ad_route_history(const struct ad_route_request *r)
{
    char fields[AD_CORS_MAX + sizeof("Vary: Accept\r\n" AD_FIELDS_FRESH)];
    struct ad_history_ask ask;
    struct ad_slice text;
    uint64_t from_us = 0, to_us = UINT64_MAX, step_s = 0;
    struct ad_text t;

    ask.set = AD_HISTORY_ALL;
    ask.columns = AD_HISTORY_OF_ALL;
    ask.csv = ad_http_wants_csv(&r->head);
    if (ad_route_query_text(r, "format", &text)) {
        ask.csv = ad_slice_is(text, "csv");
        if (!ask.csv && !ad_slice_is(text, "json")) {
            ad_route_refuse(r, 400, "", "format is json or csv");
            return;
        }
    }
    if (ad_route_query_text(r, "series", &text) &&
        !ad_history_columns(text, &ask.columns)) {
        ad_route_refuse(r, 400, "",
                        "series is a list of ticks, tokens, tokens_per_second, "
                        "latency_min_ms, latency_mean_ms, latency_p50_ms, "
                        "latency_p95_ms, latency_max_ms, requests, cpu_percent, "
                        "memory_used_bytes, celsius, watts, gpu_percent, clock_mhz");
        return;
    }
    if (ad_route_query_text(r, "model", &text)) {
        if (!ad_history_find_model(text, &ask.set)) {
            ad_route_refuse(r, 404, "",
                            "no such model has a history of its own: the answer "
                            "without model lists those that have");
            return;
        }
        if (!ad_route_query_text(r, "series", &text)) {
            ask.columns = AD_HISTORY_OF_MODEL;
        }
        if ((ask.columns & ~(uint32_t)AD_HISTORY_OF_MODEL) != 0) {
            ad_route_refuse(r, 400, "",
                            "a model has ticks, tokens, tokens_per_second, latencies "
                            "and requests; the rest is the board's");
            return;
        }
    }
    if (!ad_route_time(r, "from", &from_us) || !ad_route_time(r, "to", &to_us) ||
        ad_route_query(r, "step", 300, &step_s) < 0 ||
        !ad_history_choose(&ask, from_us, to_us, step_s)) {
        ad_route_refuse(r, 400, "",
                        "from and to are Unix seconds, or -SECONDS from now; step is "
                        "1, 10 or 300");
        return;
    }
    (void)snprintf(fields, sizeof(fields), "Vary: Accept\r\n" AD_FIELDS_FRESH "%s",
                   r->cors);
    t = ad_text_in(ad_pending_buffer(r->pending), AIDASH_HEAD_MAX);
    ad_put_head(&t, 200, ask.csv ? "text/csv; charset=utf-8; header=present"
                                 : "application/json", SIZE_MAX, fields);
    if (!r->head_only) {
        ad_history_answer(r->pending, &ask, &t);
    }
    ad_pending_answer(r->pending, t.len);
}

#endif /* AIDASH_HISTORY */

static void ad_route_ingest(const struct ad_route_request *r)
{
    ad_route_body(r, AD_INGEST, NULL);
}

static void ad_route_command(const struct ad_route_request *r)
{
    ad_route_body(r, AD_COMMAND, NULL);
}

static void ad_route_auth_post(const struct ad_route_request *r)
{
    struct ad_auth_head auth;

    if (ad_auth_begin(r, &auth)) {
        ad_route_body(r, AD_COMMAND, &auth);
    }
}

/* The meter's requests, or else those of the program that embeds aidash. */
static void ad_route_all_requests(const struct ad_route_request *r)
{
#if AIDASH_METER
    if (ad_sources.source == AD_SOURCE_METER) {
        ad_route_requests(r);
        return;
    }
#endif
    ad_route_own_requests(r);
}

/* ---- the table ---- */

/* `right`: what GET and POST need, AD_MAY_VIEW or another, or AD_MAY_ANYWAY. OPTIONS
 * needs nothing. Beside these: /ws/ID needs AD_MAY_VIEW, the page's files nothing, the
 * program's own paths (own_routes.c) what it says, all that is the engine's
 * AD_MAY_INFER. tests/e2e/rights.test.mjs reads the
 * table. */
static const struct {
    const char *path;
    unsigned right;
    const char *allow;
    void (*get)(const struct ad_route_request *r);
    void (*post)(const struct ad_route_request *r);
} ad_routes[] = {
    {"/healthz", AD_MAY_ANYWAY, "GET, HEAD, OPTIONS", ad_route_to_worker, NULL},
    {"/status", AD_MAY_VIEW, "GET, HEAD, OPTIONS", ad_route_to_worker, NULL},
    {"/addresses", AD_MAY_VIEW, "GET, HEAD, OPTIONS", ad_route_to_worker, NULL},
#if AIDASH_QR
    {"/qr", AD_MAY_VIEW, "GET, HEAD, OPTIONS", ad_route_qr, NULL},
#endif
    {"/ticks", AD_MAY_VIEW, "GET, HEAD, OPTIONS", ad_route_ticks, NULL},
    {"/events", AD_MAY_VIEW, "GET, HEAD, OPTIONS", ad_route_events, NULL},
#if AIDASH_HISTORY
    {"/history", AD_MAY_VIEW, "GET, HEAD, OPTIONS", ad_route_history, NULL},
#endif
#if AIDASH_METRICS
    {"/metrics", AD_MAY_VIEW, "GET, HEAD, OPTIONS", ad_route_metrics, NULL},
#endif
#if AIDASH_ALERTS
    {"/alerts", AD_MAY_VIEW, "GET, HEAD, OPTIONS", ad_route_alerts, NULL},
#endif
#if AIDASH_NODES
    {"/nodes", AD_MAY_VIEW, "GET, HEAD, OPTIONS", ad_route_nodes, NULL},
#endif
    {"/gauges", AD_MAY_VIEW, "GET, HEAD, OPTIONS", ad_route_gauges, NULL},
    {"/notes", AD_MAY_VIEW, "GET, HEAD, OPTIONS", ad_route_notes, NULL},
    {"/commands", AD_MAY_VIEW, "GET, HEAD, OPTIONS", ad_route_commands, NULL},
    {"/requests", AD_MAY_VIEW, "GET, HEAD, OPTIONS", ad_route_all_requests, NULL},
#if AIDASH_METER
    {"/usage", AD_MAY_VIEW, "GET, HEAD, OPTIONS", ad_route_usage, NULL},
    {"/bench", AD_MAY_VIEW, "GET, HEAD, OPTIONS", ad_route_bench, NULL},
#endif
#if AD_FLEET
    {"/forward", AD_MAY_INGEST, "GET, OPTIONS", ad_route_board_link, NULL},
#endif
    {"/ingest", AD_MAY_INGEST, "POST, PUT, OPTIONS", NULL, ad_route_ingest},
    {"/command", AD_MAY_CONTROL, "POST, OPTIONS", NULL, ad_route_command},
    {"/auth", AD_MAY_ANYWAY, "GET, HEAD, OPTIONS", ad_route_auth, NULL},
    {"/auth/pair", AD_MAY_ANYWAY, "POST, OPTIONS", NULL, ad_route_auth_post},
    {"/auth/token", AD_MAY_ANYWAY, "POST, OPTIONS", NULL, ad_route_auth_post},
    {"/auth/ask", AD_MAY_ANYWAY, "POST, OPTIONS", NULL, ad_route_auth_post},
    {"/auth/asked", AD_MAY_ANYWAY, "POST, OPTIONS", NULL, ad_route_auth_post},
    {"/auth/approve", AD_MAY_ANYWAY, "POST, OPTIONS", NULL, ad_route_auth_post},
    {"/auth/sign-out", AD_MAY_ANYWAY, "POST, OPTIONS", NULL, ad_route_auth_post},
};

/* Answer a request for a path of ours, if he who asks may. */
static void ad_route_own(const struct ad_route_request *r, unsigned right,
                         const char *allow,
                         void (*get)(const struct ad_route_request *r),
                         void (*post)(const struct ad_route_request *r))
{
    char fields[96];

    if (ad_route_is(r, "OPTIONS")) {
        ad_route_options(r, allow);
    } else if (get != NULL && (ad_route_is(r, "GET") ||
                               ad_route_is(r, "HEAD"))) {
        if (ad_route_may(r, right)) {
            get(r);
        }
    } else if (post != NULL &&
               (ad_route_is(r, "POST") ||
                (ad_route_is(r, "PUT") && strstr(allow, "PUT") != NULL))) {
        if (ad_route_may(r, right)) {
            post(r);
        }
    } else {
        (void)snprintf(fields, sizeof(fields), "Allow: %s\r\n", allow);
        ad_route_refuse(r, 405, fields, "the method is not allowed here");
    }
}

/* Is a path aidash's own, whatever else is asked for? */
static bool ad_route_is_aidash(struct ad_slice path)
{
    size_t i;

    for (i = 0; i < AD_COUNT(ad_routes); i++) {
        if (ad_slice_is(path, ad_routes[i].path)) {
            return true;
        }
    }
    return ad_slice_begins(path, "/ws/") ||
           ad_asset_find(path.at, path.len) != NULL;
}

/* Is it ours: aidash's, or the program's that embeds it? */
static bool ad_route_is_own(struct ad_slice path)
{
    unsigned right;

    return ad_route_is_aidash(path) || ad_own_route_has(path, &right);
}

/* Is it a file of the page? But / is that for browsers alone, which ask for
 * text/html: all others mean the engine's, as Ollama's clients do, which look there
 * whether it runs. */
static bool ad_route_is_asset(const struct ad_route_request *r)
{
    struct ad_slice path = r->head.path;

#if AIDASH_METER
    if (ad_upstreams.n > 0 && ad_slice_is(path, "/") &&
        !ad_http_accepts(&r->head, "text/html")) {
        return false;
    }
#endif
    return ad_asset_find(path.at, path.len) != NULL;
}

/* A proxy with one / too many in its configuration asks for //status. If a path
 * is ours once repeated slashes are one, it becomes that; all others stay as they
 * are. `out` keeps it. */
static void ad_route_join_slashes(struct ad_slice *path,
                                  char out[AD_ROUTES_FIELD_MAX])
{
    struct ad_slice joined = {out, 0};
    size_t i;

    if (path->len > AD_ROUTES_FIELD_MAX ||
        memmem(path->at, path->len, "//", 2) == NULL) {
        return;
    }
    for (i = 0; i < path->len; i++) {
        if (path->at[i] != '/' || joined.len == 0 ||
            out[joined.len - 1] != '/') {
            out[joined.len++] = path->at[i];
        }
    }
    if (ad_route_is_own(joined)) {
        *path = joined;
    }
}

/* Is it, whatever it asks for, for the engine? */
static bool ad_route_is_engines(const struct ad_route_request *r)
{
#if AIDASH_METER
    return ad_upstreams.n > 0 && r->head.path.at[0] == '/' &&
           !ad_route_is_own(r->head.path);
#else
    (void)r;
    return false;
#endif
}

static void ad_route(const struct ad_route_request *r)
{
    struct ad_slice path = r->head.path, key;
    unsigned right;
    size_t i;

    if (ad_slice_begins(path, "/ws/") ||
        (ad_http_field_get(&r->head.fields, "Sec-WebSocket-Key", &key) &&
         !ad_route_is_engines(r) && !(AD_FLEET && ad_slice_is(path, "/forward")))) {
        ad_route_websocket(r);
        return;
    }
    for (i = 0; i < AD_COUNT(ad_routes); i++) {
        if (ad_slice_is(path, ad_routes[i].path)) {
            ad_route_own(r, ad_routes[i].right, ad_routes[i].allow,
                         ad_routes[i].get, ad_routes[i].post);
            return;
        }
    }
    if (ad_route_is_asset(r)) {
        ad_route_own(r, AD_MAY_ANYWAY, "GET, HEAD, OPTIONS", ad_route_to_worker,
                     NULL);
        return;
    }
    if (ad_own_route_has(path, &right)) {
        ad_route_own(r, right, "GET, HEAD, OPTIONS", ad_route_own_answer, NULL);
        return;
    }
#if AIDASH_METER
    if (ad_upstreams.n > 0 && path.at[0] == '/') {
        ad_route_forward(r);
        return;
    }
#endif
    if (ad_route_is(r, "OPTIONS")) {
        ad_route_options(r, "GET, HEAD, OPTIONS");
    } else {
        ad_route_refuse(r, 404, "", "not found");
    }
}

/* May pages of any origin ask for this? The dashboard's files are public, and
 * OPTIONS tells them that they may not have the rest. */
static bool ad_route_is_public(const struct ad_route_request *r)
{
    unsigned right;
    size_t i;

    if (ad_route_is_asset(r)) {
        return true;
    }
    if (ad_own_route_has(r->head.path, &right)) {
        return ad_route_is(r, "OPTIONS");
    }
    for (i = 0; i < AD_COUNT(ad_routes); i++) {
        if (ad_slice_is(r->head.path, ad_routes[i].path)) {
            return ad_route_is(r, "OPTIONS");
        }
    }
    return false;
}

#if AIDASH_TLS

/* With TLS, plain HTTP leads there (RFC 9110 15.4.9): not from this machine, whose
 * bytes nobody else sees, nor from a trusted proxy, which may have TLS itself. False
 * if this request may stay as it is. */
static bool ad_route_redirects(const struct ad_route_request *r)
{
    char fields[AD_HTTP_TARGET_MAX + 512];
    struct ad_text t = ad_text_in(fields, sizeof(fields));

    if (!ad_pumps.serving || r->pending->tls != 0 ||
        ad_address_is_loopback(&r->pending->peer) ||
        ad_access_trusted(&r->pending->peer)) {
        return false;
    }
    if (!r->head.has_host) {
        ad_route_refuse(r, 400, "", "this is served by TLS alone: ask for https://");
        return true;
    }
    ad_puts(&t, "Location: https://");
    ad_http_put_host(&t, &r->head.host);
    ad_http_put_slice(&t, r->head.path);
    if (r->head.has_query) {
        ad_puts(&t, "?");
        ad_http_put_slice(&t, r->head.query);
    }
    ad_puts(&t, "\r\n");
    ad_put(&t, "", 1);
    ad_route_refuse(r, 308, fields, "this is served by TLS alone: ask for https://");
    return true;
}

#endif

/* Judge the whole head of a pending connection, and answer it. */
static void ad_route_pending(struct ad_pending *p)
{
    struct ad_route_request r;
    char path[AD_ROUTES_FIELD_MAX];
    enum ad_http_fault fault;
    char *head = ad_pending_buffer(p) + p->find.start;

    r.pending = p;
    fault = ad_http_parse_request(&r.head, head, p->find.end - p->find.start,
                                  ad_route_fields, AD_HTTP_FIELDS);
    if (fault != AD_HTTP_OK) {
        ad_pending_fault(p, fault);
        return;
    }
    ad_route_join_slashes(&r.head.path, path);
    r.head_only = p->head_only;
    r.prefix = ad_pending_buffer(p) + p->find.end;
    r.prefix_len = p->len - p->find.end;
    ad_access_judge(&r.head, &p->peer, p->tls != 0, &r.verdict);
    if (r.verdict.status == 421 ||
        (r.verdict.status != 0 && !ad_route_is_public(&r))) {
        ad_access_report(&r.verdict);
        ad_route_refuse(&r, r.verdict.status, "", r.verdict.why);
        return;
    }
#if AIDASH_TLS
    if (ad_route_redirects(&r)) {
        return;
    }
#endif
    ad_access_cors(&r.verdict, r.cors);
    ad_credentials_read(&r.head, r.verdict.own, ad_acceptor.ports[0], ad_hub_unix_s(),
                        &r.credentials);
    r.who.local = r.verdict.local;
    r.who.grant = r.credentials.grant;
    ad_route(&r);
}

/* All whole heads that have come. Each turn. */
static void ad_routes_run(void)
{
    struct ad_pending *p;

    while ((p = ad_pending_first(AD_PENDING_READY)) != NULL) {
        ad_route_pending(p);
    }
    ad_workers_run();
    ad_caller_run();
}

AD_MEMORY(routes, 1, sizeof(ad_route_fields));

#endif
