/* answer.c - heads and error bodies of aidash's own HTTP answers. Pure. */
#ifndef AD_CODEC_ANSWER_C
#define AD_CODEC_ANSWER_C

#include "../base/text.c"

enum { AD_REPLY_MAX = 512 }; /* bytes of an ack, an error or a short answer */

/* The reason phrase of a status that aidash answers. RFC 9110 15. */
static const char *ad_http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"}, {204, "No Content"}, {304, "Not Modified"},
        {400, "Bad Request"}, {403, "Forbidden"}, {404, "Not Found"},
        {405, "Method Not Allowed"}, {406, "Not Acceptable"},
        {408, "Request Timeout"}, {409, "Conflict"},
        {413, "Content Too Large"}, {426, "Upgrade Required"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"}, {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"}};
    size_t i = 0;

    while (i < AD_COUNT(reasons) - 1 && reasons[i].status != status) {
        i++;
    }
    return reasons[i].status == status ? reasons[i].reason : "Error";
}

/* The head of an answer that ends with the connection (RFC 9112 6.3, 9.6).
 *
 * type   its Content-Type, or NULL for none;
 * len    its Content-Length, or SIZE_MAX for none;
 * extra  whole header lines, or "". */
static void ad_put_head(struct ad_text *t, int status, const char *type,
                        size_t len, const char *extra)
{
    ad_putf(t, "HTTP/1.1 %d %s\r\n", status, ad_http_reason(status));
    if (type != NULL) {
        ad_putf(t, "Content-Type: %s\r\n", type);
    }
    if (len != SIZE_MAX) {
        ad_putf(t, "Content-Length: %zu\r\n", len);
    }
    ad_putf(t,
            "X-Content-Type-Options: nosniff\r\n"
            "Connection: close\r\n%s\r\n",
            extra);
}

/* The JSON body of an error. */
static void ad_put_http_error(struct ad_text *t, int status, const char *why)
{
    ad_putf(t, "{\"error\":{\"code\":%d,\"message\":", status);
    ad_put_string(t, why);
    ad_puts(t, "}}");
}

#endif
