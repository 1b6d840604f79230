/* percent.c - percent-encoding in a query (RFC 3986 2.1). Pure. */
#ifndef AD_CODEC_PERCENT_C
#define AD_CODEC_PERCENT_C

#include "../base/decimal.c"
#include "../base/text.c"
#include "http_field.c"

#if AD_FLEET && AIDASH_METER

/* Put a text so that it may stand as a value in a query: all but unreserved characters
 * (RFC 3986 2.3) as %XX. */
static void ad_put_percent(struct ad_text *t, const char *s)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-._~";

    for (; *s != '\0'; s++) {
        if (strchr(unreserved, *s) != NULL) {
            ad_put(t, s, 1);
        } else {
            ad_putf(t, "%%%02X", (unsigned)(uint8_t)*s);
        }
    }
}

#endif

#if AD_FLEET || AIDASH_QR

/* Decode a value of a query into out[max + 1]. False if it is longer than max bytes,
 * or has a % without two digits behind it, or a NUL. */
static bool ad_percent_decode(struct ad_slice s, char *out, size_t max, size_t *len)
{
    size_t i, used = 0;

    for (i = 0; i < s.len; i++) {
        int c = (uint8_t)s.at[i];

        if (c == '%') {
            if (s.len - i < 3 || ad_hex(s.at[i + 1]) < 0 || ad_hex(s.at[i + 2]) < 0) {
                return false;
            }
            c = ad_hex(s.at[i + 1]) << 4 | ad_hex(s.at[i + 2]);
            i += 2;
        }
        if (c == '\0' || used == max) {
            return false;
        }
        out[used++] = (char)c;
    }
    out[used] = '\0';
    *len = used;
    return true;
}

#endif

#endif
