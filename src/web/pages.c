/* pages.c - what civetweb's workers answer: the dashboard's files, /status,
 * /addresses, /qr, /healthz. Worker threads only.
 *
 * A worker sees the canonical head that routes.c wrote, and nothing else: the
 * method is GET or HEAD, the path is one of ours, Origin is there if the page may
 * see the answer, the rights of who asks, Accept-Encoding if gzip may be sent, If-None-Match if the client
 * has the file already. What a worker needs from the hub it gets by ad_hub_run().
 */
#ifndef AD_WEB_PAGES_C
#define AD_WEB_PAGES_C

#include "../core/access.c"
#include "assets.c"
#include "civetweb_api.h"
#include "share.c"
#include "status.c"
#include "workers.c"

enum {
    AD_PAGE_FIELDS_MAX = AD_REPLY_MAX + 256 + AD_FRAMES_MAX, /* of our own */
    AD_PAGE_HSTS_MAX = 64,
    AD_PAGE_HEAD_MAX =
        AD_PAGE_FIELDS_MAX + AD_PAGE_HSTS_MAX + AD_REPLY_MAX /* and the others */
};
_Static_assert((int)AD_PAGE_FIELDS_MAX >= (int)AD_CORS_MAX + 64,
               "the fields of a JSON answer fit, too");

/* The header lines of an answer, and Strict-Transport-Security if the canonical head
 * has it. `all` keeps them. */
static const char *ad_page_fields(struct mg_connection *conn, const char *fields,
                                  char all[AD_PAGE_FIELDS_MAX + AD_PAGE_HSTS_MAX])
{
    const char *hsts = mg_get_header(conn, AD_WORKERS_HSTS);

    if (hsts == NULL) {
        return fields;
    }
    (void)snprintf(all, AD_PAGE_FIELDS_MAX + AD_PAGE_HSTS_MAX, "%s" AD_WORKERS_HSTS ": %s\r\n", fields,
                   hsts);
    return all;
}

/* The head of an answer with a body of `len` bytes, or SIZE_MAX: without one. */
static void ad_page_head(struct mg_connection *conn, int status, const char *type,
                         const char *fields, size_t len)
{
    char head[AD_PAGE_HEAD_MAX], all[AD_PAGE_FIELDS_MAX + AD_PAGE_HSTS_MAX];
    struct ad_text t = ad_text_in(head, sizeof(head));

    ad_put_head(&t, status, type, len, ad_page_fields(conn, fields, all));
    (void)mg_write(conn, t.at, t.len);
}

/* Answer a request whole. `fields` is header lines or "". Returns the status, as
 * begin_request wants it. */
static int ad_page_answer(struct mg_connection *conn, int status,
                          const char *type, const char *fields,
                          const void *body, size_t len)
{
    const char *method = mg_get_request_info(conn)->request_method;

    ad_page_head(conn, status, type, fields, status == 304 ? SIZE_MAX : len);
    /* civetweb has no method to tell of a head that it could not read. */
    if (len > 0 && (method == NULL || strcmp(method, "HEAD") != 0)) {
        (void)mg_write(conn, body, len);
    }
    return status;
}

static int ad_page_json(struct mg_connection *conn, const void *json,
                        size_t len)
{
    const char *origin = mg_get_header(conn, "Origin");
    char fields[AD_CORS_MAX + 64];
    struct ad_text t = ad_text_in(fields, sizeof(fields));

    ad_puts(&t, "Cache-Control: no-store\r\n");
    if (origin != NULL) {
        ad_putf(&t, "Access-Control-Allow-Origin: %s\r\nVary: Origin\r\n",
                origin);
    }
    ad_put(&t, "", 1);
    return ad_page_answer(conn, 200, "application/json", fields, json, len);
}

static int ad_page_error(struct mg_connection *conn, int status,
                         const char *why)
{
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    ad_put_http_error(&t, status, why);
    return ad_page_answer(conn, status, "application/json", "", t.at, t.len);
}

static int ad_page_healthz(struct mg_connection *conn)
{
    static const char json[] = "{\"status\":\"ok\"}";

    return ad_page_json(conn, json, sizeof(json) - 1);
}

static int ad_page_status(struct mg_connection *conn)
{
    char json[AD_STATUS_MAX];
    const char *rights = mg_get_header(conn, AD_WORKERS_RIGHTS);
    struct ad_status_call status;

    status.rights = rights != NULL ? (unsigned)atoi(rights) : 0;
    status.call.run = ad_status_run;
    status.text = ad_text_in(json, sizeof(json));
    ad_hub_run(&status.call);
    if (status.text.full) {
        return ad_page_error(conn, 500, "the status is longer than its room");
    }
    return ad_page_json(conn, json, status.text.len);
}

static int ad_page_addresses(struct mg_connection *conn)
{
    char json[AD_SHARE_JSON_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    ad_share_put_addresses(&t);
    return ad_page_json(conn, json, t.len);
}

#if AIDASH_QR

/* The code is drawn twice: for its length, and piece by piece for the client. */
static int ad_page_qr(struct mg_connection *conn)
{
    static const char fields[] = "Cache-Control: no-store\r\n"
                                 "Content-Security-Policy: default-src 'none'\r\n";
    const char *text = mg_get_header(conn, AD_WORKERS_TEXT);
    const char *method = mg_get_request_info(conn)->request_method;
    char piece[AD_QR_PIECE_MAX];
    struct ad_text t;
    size_t len = 0;
    struct ad_qr qr;
    int i;

    if (text == NULL || !ad_qr_make(&qr, text)) {
        return ad_page_error(conn, 500, "the text does not fit a QR code");
    }
    for (i = 0; i < ad_qr_pieces(&qr); i++) {
        t = ad_text_in(piece, sizeof(piece));
        ad_qr_put_svg(&t, &qr, i);
        len += t.len;
    }
    ad_page_head(conn, 200, "image/svg+xml", fields, len);
    for (i = 0; i < ad_qr_pieces(&qr) && strcmp(method, "HEAD") != 0; i++) {
        t = ad_text_in(piece, sizeof(piece));
        ad_qr_put_svg(&t, &qr, i);
        (void)mg_write(conn, t.at, t.len);
    }
    return 200;
}

#endif

#if AIDASH_DASHBOARD

static int ad_page_put(void *conn, unsigned char *piece, unsigned len)
{
    return mg_write(conn, piece, len) == (int)len ? 0 : -1;
}

/* Send a file of the dashboard without its gzip coding. */
static int ad_page_plain(struct mg_connection *conn,
                         const struct ad_asset *asset, const char *fields)
{
    const char *method = mg_get_request_info(conn)->request_method;

    ad_page_head(conn, 200, asset->type, fields, asset->plain_len);
    if (strcmp(method, "HEAD") != 0) {
        (void)ad_inflate(asset, ad_page_put, conn);
    }
    return 200;
}

#endif

/* The worker must not wait for its client to take a file; least of all while
 * others wait for it to inflate theirs. */
_Static_assert(AD_ASSETS_LARGEST + AD_WORKERS_HEAD_MAX <=
                   AD_WORKERS_SEND_BUFFER,
               "a page file is larger than what a worker can send at once");

/* The dashboard's files, with gzip or without. RFC 9110 8.8.3, 12.5.3, 13.1.2. */
static int ad_page_asset(struct mg_connection *conn,
                         const struct ad_asset *asset)
{
    static const char policy[] =
        "Content-Security-Policy: default-src 'none'; script-src 'self'; "
        "style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors ";
    bool gzip = mg_get_header(conn, "Accept-Encoding") != NULL;
    char fields[AD_PAGE_FIELDS_MAX];
    struct ad_text t = ad_text_in(fields, sizeof(fields));

    ad_putf(&t,
            "ETag: %s\r\nCache-Control: no-cache\r\n"
            "Access-Control-Allow-Origin: *\r\nVary: Accept-Encoding\r\n%s",
            ad_asset_etag(asset, gzip),
            gzip ? "Content-Encoding: gzip\r\n" : "");
    if (strncmp(asset->type, "text/html", 9) == 0) {
        ad_putf(&t, "%s%s\r\nReferrer-Policy: no-referrer\r\n", policy,
                ad_framing.list[0] != '\0' ? ad_framing.list : "'none'");
    }
    ad_put(&t, "", 1);
    if (mg_get_header(conn, "If-None-Match") != NULL) {
        return ad_page_answer(conn, 304, NULL, fields, "", 0);
    }
#if AIDASH_DASHBOARD
    if (!gzip) {
        return ad_page_plain(conn, asset, fields);
    }
#endif
    return ad_page_answer(conn, 200, asset->type, fields, asset->data,
                          asset->len);
}

/* civetweb's begin_request: every request comes through here first. 0 lets
 * civetweb go on: with a WebSocket handshake. */
static int ad_page_request(struct mg_connection *conn)
{
    const char *path = mg_get_request_info(conn)->local_uri_raw;
    const struct ad_asset *asset = ad_asset_find(path, strlen(path));

    if (strncmp(path, "/ws/", 4) == 0) {
        return 0;
    }
    if (strcmp(path, "/healthz") == 0) {
        return ad_page_healthz(conn);
    }
    if (strcmp(path, "/status") == 0) {
        return ad_page_status(conn);
    }
    if (strcmp(path, "/addresses") == 0) {
        return ad_page_addresses(conn);
    }
#if AIDASH_QR
    if (strcmp(path, "/qr") == 0) {
        return ad_page_qr(conn);
    }
#endif
    return asset != NULL ? ad_page_asset(conn, asset)
                         : ad_page_error(conn, 404, "not found");
}

/* civetweb's WebSocket handler, connect: 0 lets it send the handshake. The hub
 * has judged it, and goes on with the connection when it has read the answer. */
static int ad_page_ws_connect(const struct mg_connection *conn, void *unused)
{
    (void)conn;
    (void)unused;
    return 0;
}

/* civetweb's http_error: what it refuses by itself, in our form. */
static int ad_page_refused(struct mg_connection *conn, int status,
                           const char *why)
{
    (void)ad_page_error(conn, status, why);
    return 0;
}

/* civetweb's connection_closed: there is room for the next. */
static void ad_page_closed(const struct mg_connection *conn)
{
    (void)conn;
    atomic_fetch_sub(&ad_workers.inside, 1);
    ad_wake();
}

static int ad_page_log(const struct mg_connection *conn, const char *message)
{
    (void)conn;
    ad_log(AIDASH_LOG_DEBUG, "civetweb: %s", message);
    return 1;
}

#endif
