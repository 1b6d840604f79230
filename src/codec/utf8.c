/* utf8.c - UTF-8 (RFC 3629), and what may be a name. Pure. */
#ifndef AD_CODEC_UTF8_C
#define AD_CODEC_UTF8_C

#include "../base/decimal.c"

/* How many bytes at the beginning are whole characters of well-formed UTF-8: no
 * surrogates, nothing beyond U+10FFFF (RFC 3629). */
static size_t ad_utf8_prefix(const uint8_t *s, size_t len)
{
    size_t i = 0;

    while (i < len) {
        uint8_t c = s[i];
        size_t whole = i;
        unsigned more;
        uint8_t low = 0x80, high = 0xBF; /* of the first continuation byte */

        i++;
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
            return whole;
        }
        for (; more > 0; more--) {
            if (i == len || s[i] < low || s[i] > high) {
                return whole;
            }
            i++;
            low = 0x80;
            high = 0xBF;
        }
    }
    return len;
}

static bool ad_utf8_ok(const uint8_t *s, size_t len)
{
    return ad_utf8_prefix(s, len) == len;
}

#if AIDASH_METER
/* Bytes of the character that begins with this byte of well-formed UTF-8. */
static size_t ad_utf8_len(uint8_t c)
{
    if (c < 0x80) {
        return 1;
    }
    if (c < 0xE0) {
        return 2;
    }
    return c < 0xF0 ? 3 : 4;
}
#endif

/* Write a code point as UTF-8. Returns its bytes, 1 to 4. RFC 3629 3. */
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

/* May valid UTF-8 stand in a name? Not the controls C0, DEL and C1 (ECMA-48),
 * nor the bidirectional embeddings, overrides and isolates (UAX 9 3.1): they
 * could make one name look like another, on a terminal or on a page. */
static bool ad_name_chars_ok(const char *s, size_t len)
{
    const uint8_t *c = (const uint8_t *)s;
    size_t i;

    for (i = 0; i < len; i++) {
        size_t left = len - i;

        if (c[i] < 0x20 || c[i] == 0x7F) {
            return false;
        }
        if (left >= 2 && c[i] == 0xC2 && c[i + 1] <= 0x9F) {
            return false; /* U+0080..U+009F */
        }
        if (left >= 3 && c[i] == 0xE2 && c[i + 1] == 0x80 &&
            c[i + 2] >= 0xAA && c[i + 2] <= 0xAE) {
            return false; /* U+202A..U+202E */
        }
        if (left >= 3 && c[i] == 0xE2 && c[i + 1] == 0x81 &&
            c[i + 2] >= 0xA6 && c[i + 2] <= 0xA9) {
            return false; /* U+2066..U+2069 */
        }
    }
    return true;
}

/* Is this a name: 1..max bytes of UTF-8, of characters that may stand in one? */
static bool ad_name_ok(const char *s, size_t len, size_t max)
{
    return len > 0 && len <= max && ad_utf8_ok((const uint8_t *)s, len) &&
           ad_name_chars_ok(s, len);
}

#endif
