#ifndef AD_CODEC_UTF8_C
#define AD_CODEC_UTF8_C

/* ==== 5 CODEC ============================================================ */

/* Pure functions from bytes to bytes: no sockets, no locks, no clock. What the
 * unit tests and the fuzzers call. */

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

static bool ad_is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* The value of a hexadecimal digit, or -1. */
static int ad_hex(int c)
{
    if (ad_is_digit(c)) {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
