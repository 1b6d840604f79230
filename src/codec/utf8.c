/* utf8.c - UTF-8 (RFC 3629), digits, and what may be a name. Pure. */
#ifndef AD_CODEC_UTF8_C
#define AD_CODEC_UTF8_C

#include "../base/decimal.c"

/* RFC 3629: well-formed UTF-8, no surrogates, nothing beyond U+10FFFF. */
static bool ad_utf8_ok(const uint8_t *s, size_t len)
{
    size_t i = 0;

    while (i < len) {
        uint8_t c = s[i++];
        unsigned more;
        uint8_t low = 0x80, high = 0xBF; /* of the first continuation byte */

        if (c < 0x80) {
            continue;
        } else if (c >= 0xC2 && c <= 0xDF) {
            more = 1;
        } else if (c >= 0xE0 && c <= 0xEF) {
            more = 2;
            low = c == 0xE0 ? 0xA0 : 0x80;
            high = c == 0xED ? 0x9F : 0xBF;
        } else if (c >= 0xF0 && c <= 0xF4) {
            more = 3;
            low = c == 0xF0 ? 0x90 : 0x80;
            high = c == 0xF4 ? 0x8F : 0xBF;
        } else {
            return false;
        }
        for (; more > 0; more--) {
            if (i == len || s[i] < low || s[i] > high) {
                return false;
            }
            i++;
            low = 0x80;
            high = 0xBF;
        }
    }
    return true;
}

static size_t ad_utf8_put(char *out, unsigned long code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 63));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 63));
        out[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 63));
    out[2] = (char)(0x80 | (code >> 6 & 63));
    out[3] = (char)(0x80 | (code & 63));
    return 4;
}

/* A name from a C string: 1..max bytes of UTF-8 without control characters. */
static bool ad_name_ok(const char *s, size_t len, size_t max)
{
    size_t i;

    if (len == 0 || len > max || !ad_utf8_ok((const uint8_t *)s, len)) {
        return false;
    }
    for (i = 0; i < len; i++) {
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7F) {
            return false;
        }
    }
    return true;
}

#endif
