/* decimal.c - numbers written in digits: the one reader of unsigned decimals,
 * and of single digits. Pure: any thread.
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
