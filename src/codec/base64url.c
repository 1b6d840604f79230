/* base64url.c - base64 with the alphabet for URLs, without padding (RFC 4648 5,
 * RFC 7515 2). Pure.
 */
#ifndef AD_CODEC_BASE64URL_C
#define AD_CODEC_BASE64URL_C

#include "../base/text.c"
#include "http_field.c"

#if AIDASH_TLS

/* Bytes that so many characters give, at most. */
#define AD_BASE64URL_BYTES(chars) ((chars) / 4 * 3 + (chars) % 4 * 3 / 4)

/* Characters that so many bytes give. */
#define AD_BASE64URL_CHARS(bytes) ((bytes) / 3 * 4 + ((bytes) % 3 * 4 + 2) / 3)

/* The value of a digit of base64, whose last two digits are `last` (RFC 4648 4, 5); -1:
 * it is none. */
static int ad_base64_value(char c, const char last[2])
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == last[0] ? 62 : c == last[1] ? 63 : -1;
}

/* Decode s into out[cap], and set *len to the bytes written. Each text of bytes has
 * one form: false for padding, white space, characters of other alphabets, a length
 * that no bytes give, and for bits behind the last byte that are not 0 (RFC 4648
 * 3.5). False, too, if it needs more than cap bytes. */
static bool ad_base64url_decode(struct ad_slice s, uint8_t *out, size_t cap,
                                size_t *len)
{
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t i, used = 0;

    if (s.len % 4 == 1 || AD_BASE64URL_BYTES(s.len) > cap) {
        return false;
    }
    for (i = 0; i < s.len; i++) {
        int value = ad_base64_value(s.at[i], "-_");

        if (value < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[used++] = (uint8_t)(bits >> n_bits);
            bits &= (1u << n_bits) - 1;
        }
    }
    if (bits != 0) {
        return false;
    }
    *len = used;
    return true;
}

#ifndef AIDASH_NO_MAIN

static void ad_put_base64url(struct ad_text *t, const uint8_t *bytes, size_t len)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t i;

    for (i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)bytes[i] << 16;
        char four[4];

        bits |= n > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        bits |= n > 2 ? bytes[i + 2] : 0u;
        four[0] = alphabet[bits >> 18];
        four[1] = alphabet[bits >> 12 & 63];
        four[2] = alphabet[bits >> 6 & 63];
        four[3] = alphabet[bits & 63];
        ad_put(t, four, n + 1);
    }
}

#endif /* AIDASH_NO_MAIN */

#endif /* AIDASH_TLS */

#endif
