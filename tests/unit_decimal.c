/* base/decimal.c: digits, and unsigned decimals at the edges of their limits. */
#include "../src/base/platform.h"
#include "../src/base/decimal.c"
#include "check.h"

static const struct {
    const char *text;
    uint64_t max;
    bool good;
    uint64_t value;
} numbers[] = {
    {"0", 0, true, 0},
    {"0", 10, true, 0},
    {"10", 10, true, 10},
    {"11", 10, false, 0},
    {"100", 10, false, 0},
    {"007", 7, true, 7},
    {"0000000000000000000000042", 42, true, 42},
    {"65535", 65535, true, 65535},
    {"65536", 65535, false, 0},
    {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
    {"18446744073709551616", UINT64_MAX, false, 0},
    {"18446744073709551620", UINT64_MAX, false, 0},
    {"99999999999999999999999", UINT64_MAX, false, 0},
    {"18446744073709551614", UINT64_MAX - 1, true, UINT64_MAX - 1},
    {"18446744073709551615", UINT64_MAX - 1, false, 0},
    {"9", 5, false, 0},
    {"", 10, false, 0},
    {" 1", 10, false, 0},
    {"1 ", 10, false, 0},
    {"+1", 10, false, 0},
    {"-0", 10, false, 0},
    {"1.0", 10, false, 0},
    {"1e0", 10, false, 0},
    {"0x1", 10, false, 0},
    {"1,", 10, false, 0},
    {"/", 10, false, 0},
    {":", 10, false, 0},
    {"\xB2", 10, false, 0}, /* a superscript two in Latin-1 */
};

static void test_decimal(void)
{
    size_t i;

    for (i = 0; i < AD_COUNT(numbers); i++) {
        size_t len = strlen(numbers[i].text);
        char *copy = check_copy(numbers[i].text, len); /* without a NUL */
        uint64_t value = 77;
        bool good;

        good = ad_decimal_u64(copy, len, numbers[i].max, &value);
        printf("\"%s\" of at most %llu\n", numbers[i].text,
               (unsigned long long)numbers[i].max);
        CHECK_EQ(good, numbers[i].good);
        CHECK_EQ(value, numbers[i].good ? numbers[i].value : 77);
        free(copy);
    }
}

static void test_digits(void)
{
    static const char all[] = "0123456789abcdef";
    int c;

    for (c = -128; c < 256; c++) {
        const char *at = c > 0 && c < 128 ? strchr(all, c | 0x20) : NULL;

        CHECK_EQ(ad_is_digit(c), c >= '0' && c <= '9');
        if (c >= 'A' && c <= 'F') {
            CHECK_EQ(ad_hex(c), c - 'A' + 10);
        } else if (at != NULL && (c & 0x20) != 0) {
            CHECK_EQ(ad_hex(c), at - all);
        } else {
            CHECK_EQ(ad_hex(c), -1);
        }
    }
    CHECK(ad_decimal_is("0123", 4));
    CHECK(!ad_decimal_is("", 0));
    CHECK(!ad_decimal_is("12a", 3));
    CHECK(ad_decimal_is("12a", 2));
}

int main(void)
{
    test_decimal();
    test_digits();
    return check_report();
}
