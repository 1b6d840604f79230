/* decimal.c - numbers written in digits: the one reader of unsigned decimals, of
 * JSON numbers that are whole, and of single digits. Pure: any thread.
 */
#ifndef AD_BASE_DECIMAL_C
#define AD_BASE_DECIMAL_C

#include "platform.h"

static bool ad_is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* The value of a hexadecimal digit, 0..15, or -1 if it is none. */
static int ad_hex(int c)
{
    if (ad_is_digit(c)) {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Read s[0..len), which must be decimal digits and nothing else: no sign, no
 * blanks. Leading zeros are allowed. False, and *value is left as it was, if
 * there is no digit, another character, or a number above max. */
static bool ad_decimal_u64(const char *s, size_t len, uint64_t max,
                           uint64_t *value)
{
    uint64_t sum = 0;
    size_t i;

    if (len == 0) {
        return false;
    }
    for (i = 0; i < len; i++) {
        uint64_t digit = (uint64_t)(s[i] - '0');

        if (!ad_is_digit(s[i]) || sum > max / 10 || digit > max - sum * 10) {
            return false;
        }
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

/* A JSON number (RFC 8259 6) as a sign, its digits from the first to the last that
 * is not 0, and a power of ten. */
struct ad_decimal {
    bool negative;
    const char *first, *last; /* NULL: it is 0; a point may lie in between */
    int64_t exponent;         /* of the last digit */
};

/* Split s[0..len), whose grammar was checked. */
static struct ad_decimal ad_decimal_split(const char *s, size_t len)
{
    struct ad_decimal d = {false, NULL, NULL, 0};
    const char *end = s + len, *point = NULL, *e, *at;
    int64_t given = 0;

    d.negative = s[0] == '-';
    for (e = s; e < end && *e != 'e' && *e != 'E'; e++) {
        if (*e == '.') {
            point = e;
        } else if (*e >= '1' && *e <= '9') {
            d.first = d.first != NULL ? d.first : e;
            d.last = e;
        }
    }
    for (at = e + 1; at < end; at++) {
        if (ad_is_digit(*at) && given < 1000000) { /* more changes nothing */
            given = given * 10 + (*at - '0');
        }
    }
    if (e + 1 < end && e[1] == '-') {
        given = -given;
    }
    if (d.last != NULL) {
        point = point != NULL ? point : e;
        d.exponent = given + (point > d.last ? point - d.last - 1
                                             : point - d.last);
    }
    return d;
}

/* Is the JSON number s[0..len) whole? 3, 3.0 and 30e-1 are, as to JSON Schema. */
static bool ad_decimal_is_whole(const char *s, size_t len)
{
    return ad_decimal_split(s, len).exponent >= 0;
}

/* The value of a JSON number that is whole and in 0..max. False if it is not. */
static bool ad_decimal_whole(const char *s, size_t len, uint64_t max,
                             uint64_t *value)
{
    struct ad_decimal d = ad_decimal_split(s, len);
    uint64_t sum = 0;
    const char *at;

    for (at = d.first; at != NULL && at <= d.last; at++) {
        uint64_t digit = (uint64_t)(*at - '0');

        if (*at == '.') {
            continue;
        }
        if (sum > max / 10 || digit > max - sum * 10) {
            return false;
        }
        sum = sum * 10 + digit;
    }
    for (; d.exponent > 0 && sum > 0; d.exponent--) {
        if (sum > max / 10) {
            return false;
        }
        sum *= 10;
    }
    if (d.exponent < 0 || (d.negative && sum > 0)) {
        return false;
    }
    *value = sum;
    return true;
}

/* Are s[0..len) decimal digits, at least one? */
static bool ad_decimal_is(const char *s, size_t len)
{
    size_t i = 0;

    while (i < len && ad_is_digit(s[i])) {
        i++;
    }
    return len > 0 && i == len;
}

#endif
