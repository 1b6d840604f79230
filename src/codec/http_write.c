/* http_write.c - HTTP/1.1 heads and chunks of our own: the canonical form that
 * every strict reader reads alike (RFC 9112).
 *
 * Pure: any thread. Whatever is written came through the checks here, so that
 * no value of a peer can end a line or begin a field.
 */
#ifndef AD_CODEC_HTTP_WRITE_C
#define AD_CODEC_HTTP_WRITE_C

#include "../base/text.c"
#include "http_field.c"
#include "http_head.c"

enum {
    AD_HTTP_CHUNK_HEADER_MAX = 18 /* 16 hexadecimal digits and CRLF */
};

/* RFC 9110 15. "" for a status that is not listed: RFC 9112 4 allows it. */
static const char *ad_http_reason(unsigned status)
{
    static const struct {
        unsigned status;
        const char *reason;
    } reasons[] = {
        {100, "Continue"}, {101, "Switching Protocols"}, {200, "OK"},
        {201, "Created"}, {202, "Accepted"}, {204, "No Content"},
        {206, "Partial Content"}, {301, "Moved Permanently"}, {302, "Found"},
        {303, "See Other"}, {304, "Not Modified"},
        {307, "Temporary Redirect"}, {308, "Permanent Redirect"},
        {400, "Bad Request"}, {401, "Unauthorized"}, {403, "Forbidden"},
        {404, "Not Found"}, {405, "Method Not Allowed"},
        {406, "Not Acceptable"}, {408, "Request Timeout"}, {409, "Conflict"},
        {410, "Gone"}, {411, "Length Required"},
        {413, "Content Too Large"}, {414, "URI Too Long"},
        {415, "Unsupported Media Type"}, {417, "Expectation Failed"},
        {421, "Misdirected Request"}, {422, "Unprocessable Content"},
        {426, "Upgrade Required"}, {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"}, {501, "Not Implemented"},
        {502, "Bad Gateway"}, {503, "Service Unavailable"},
        {504, "Gateway Timeout"}, {505, "HTTP Version Not Supported"}};
    size_t i;

    for (i = 0; i < AD_COUNT(reasons); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "";
}

static void ad_http_put_slice(struct ad_text *t, struct ad_slice s)
{
    if (s.len > 0) { /* at may be NULL then */
        ad_put(t, s.at, s.len);
    }
}

#if AIDASH_METER
/* `HTTP/1.1 200 OK`. status: 100..999. reason NULL: the registered one. False,
 * and nothing is written, if the reason holds a control character. */
static bool ad_http_put_status_line(struct ad_text *t, unsigned status,
                                    const struct ad_slice *reason)
{
    struct ad_slice text = reason != NULL ? *reason
                                          : ad_slice_of(ad_http_reason(status));

    if (!ad_http_is_value(text)) {
        return false;
    }
    ad_puts(t, "HTTP/1.1 ");
    ad_put_u64(t, status);
    ad_puts(t, " ");
    ad_http_put_slice(t, text);
    ad_puts(t, "\r\n");
    return true;
}
#endif

/* `GET /path?query HTTP/1.1`, in origin-form or as `OPTIONS *` (RFC 9112
 * 3.2.1, 3.2.4). path is "*" or begins with "/"; query NULL: there is none.
 * False, and nothing is written, if a part is malformed. */
static bool ad_http_put_request_line(struct ad_text *t, struct ad_slice method,
                                     struct ad_slice path,
                                     const struct ad_slice *query)
{
    bool asterisk = ad_slice_is(path, "*") && query == NULL;

    if (!ad_http_is_token(method) || !ad_http_target_ok(path) ||
        (!asterisk && path.at[0] != '/') ||
        memchr(path.at, '?', path.len) != NULL ||
        (query != NULL && query->len > 0 && !ad_http_target_ok(*query))) {
        return false;
    }
    ad_http_put_slice(t, method);
    ad_puts(t, " ");
    ad_http_put_slice(t, path);
    if (query != NULL) {
        ad_puts(t, "?");
        ad_http_put_slice(t, *query);
    }
    ad_puts(t, " HTTP/1.1\r\n");
    return true;
}

/* `Name: value`. False, and nothing is written, if the name is no token, or the
 * value holds a control character (CR, LF and NUL are) or begins or ends with a
 * blank. */
static bool ad_http_put_field(struct ad_text *t, struct ad_slice name,
                              struct ad_slice value)
{
    if (!ad_http_is_token(name) || !ad_http_is_value(value) ||
        ad_slice_trim(value).len != value.len) {
        return false;
    }
    ad_http_put_slice(t, name);
    ad_puts(t, ": ");
    ad_http_put_slice(t, value);
    ad_puts(t, "\r\n");
    return true;
}

static bool ad_http_put_field_text(struct ad_text *t, const char *name,
                                   const char *value)
{
    return ad_http_put_field(t, ad_slice_of(name), ad_slice_of(value));
}

#if AIDASH_METER || AIDASH_TLS
/* `name:port`, as it stands in Host */
static void ad_http_put_host(struct ad_text *t, const struct ad_http_host *host)
{
    bool brackets = host->kind == AD_HTTP_HOST_IP6;

    ad_puts(t, brackets ? "[" : "");
    ad_http_put_slice(t, host->name);
    ad_puts(t, brackets ? "]" : "");
    if (host->has_port) {
        ad_putf(t, ":%u", (unsigned)host->port);
    }
}

#endif

#if AIDASH_METER
/* `Content-Length: n` */
static void ad_http_put_content_length(struct ad_text *t, uint64_t n)
{
    ad_puts(t, "Content-Length: ");
    ad_put_u64(t, n);
    ad_puts(t, "\r\n");
}
#endif

/* The empty line that ends a head. The head may be sent if !t->full. */
static void ad_http_put_end(struct ad_text *t)
{
    ad_puts(t, "\r\n");
}

#if AIDASH_METER
/* RFC 9112 7.1: what goes before a chunk of n bytes, n > 0; behind its data
 * goes CRLF. Returns the bytes written to out. The last chunk with its empty
 * trailer section is "0\r\n\r\n". */
static size_t ad_http_chunk_header(char out[AD_HTTP_CHUNK_HEADER_MAX],
                                   uint64_t n)
{
    char digits[16];
    size_t len = 0, at = 0;

    do {
        digits[len++] = "0123456789abcdef"[n & 15];
        n >>= 4;
    } while (n != 0);
    while (len > 0) {
        out[at++] = digits[--len];
    }
    out[at++] = '\r';
    out[at++] = '\n';
    return at;
}
#endif

#endif
