/* answer.c - heads and error bodies of aidash's own HTTP answers. Pure. */
#ifndef AD_CODEC_ANSWER_C
#define AD_CODEC_ANSWER_C

#include "http_write.c"

enum { AD_REPLY_MAX = 512 }; /* bytes of an ack, an error or a short answer */

/* The head of an answer that ends with the connection. len SIZE_MAX: it has no
 * Content-Length. `extra` is whole header lines, or "". */
static void ad_put_head(struct ad_text *t, int status, const char *type,
                        size_t len, const char *extra)
{
    ad_putf(t, "HTTP/1.1 %d %s\r\n", status,
            ad_http_reason((unsigned)status));
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
