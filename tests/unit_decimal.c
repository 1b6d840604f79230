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

/* JSON numbers that are whole, in each form of RFC 8259 6. */
static void test_whole(void)
{
    static const struct {
        const char *text;
        uint64_t max;
        bool whole, good;
        uint64_t value;
    } wholes[] = {
        {"0", 0, true, true, 0},
        {"-0", 0, true, true, 0},
        {"0.000", 0, true, true, 0},
        {"-0.0e-5", 0, true, true, 0},
        {"0e999999999999999999999", 0, true, true, 0},
        {"3", 3, true, true, 3},
        {"3.0", 3, true, true, 3},
        {"3e0", 3, true, true, 3},
        {"3E+0", 3, true, true, 3},
        {"30e-1", 3, true, true, 3},
        {"0.3e1", 3, true, true, 3},
        {"0.003e3", 3, true, true, 3},
        {"300.00e-2", 3, true, true, 3},
        {"1.5e2", 150, true, true, 150},
        {"10.50e2", 1050, true, true, 1050},
        {"1050", 1050, true, true, 1050},
        {"1e3", 1000, true, true, 1000},
        {"1e3", 999, true, false, 0},
        {"4", 3, true, false, 0},
        {"-1", 10, true, false, 0},
        {"-1e2", 1000, true, false, 0},
        {"3.5", 10, false, false, 0},
        {"0.1", 10, false, false, 0},
        {"1e-1", 10, false, false, 0},
        {"15e-1", 10, false, false, 0},
        {"1.05e1", 100, false, false, 0},
        {"1e-999999999999999999999", 10, false, false, 0},
        {"1e999999999999999999999", UINT64_MAX, true, false, 0},
        {"18446744073709551615", UINT64_MAX, true, true, UINT64_MAX},
        {"1.8446744073709551615e19", UINT64_MAX, true, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, true, false, 0},
        {"1.8446744073709551615e20", UINT64_MAX, true, false, 0},
        {"9007199254740993", 1ull << 53, true, false, 0},
    };
    size_t i;

    for (i = 0; i < AD_COUNT(wholes); i++) {
        size_t len = strlen(wholes[i].text);
        char *copy = check_copy(wholes[i].text, len); /* without a NUL */
        uint64_t value = 77;

        printf("%s\n", wholes[i].text);
        CHECK_EQ(ad_decimal_is_whole(copy, len), wholes[i].whole);
        CHECK_EQ(ad_decimal_whole(copy, len, wholes[i].max, &value),
                 wholes[i].good);
        CHECK_EQ(value, wholes[i].good ? wholes[i].value : 77);
        free(copy);
    }
}

int main(void)
{
    test_decimal();
    test_digits();
    test_whole();
    return check_report();
}
