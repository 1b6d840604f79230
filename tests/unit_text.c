/* base/text.c: text in buffers of fixed size. */
#include "../src/base/text.c"
#include "check.h"
#include <math.h>

static const char *text_of(struct ad_text *t)
{
    t->at[t->len] = '\0';
    return t->at;
}

static void test_text(void)
{
    char buffer[64];
    struct ad_text t;

#define PRINTED(call, expected) \
    do { \
        t = ad_text_in(buffer, sizeof(buffer) - 1); \
        call; \
        CHECK_STR(text_of(&t), expected); \
    } while (0)
    PRINTED(ad_put_u64(&t, 0), "0");
    PRINTED(ad_put_u64(&t, UINT64_MAX), "18446744073709551615");
    PRINTED(ad_put_fixed(&t, 118.3, 3), "118.3");
    PRINTED(ad_put_fixed(&t, 0, 3), "0");
    PRINTED(ad_put_fixed(&t, 0.0005, 3), "0.001");
    PRINTED(ad_put_fixed(&t, 0.00049, 3), "0");
    PRINTED(ad_put_fixed(&t, 0.999999, 2), "1");
    PRINTED(ad_put_fixed(&t, 1e12, 2), "1000000000000");
    PRINTED(ad_put_fixed(&t, 3.05, 2), "3.05");
    PRINTED(ad_put_fixed(&t, -0.0, 3), "0");
    PRINTED(ad_put_fixed(&t, -0.4, 0), "0");
    PRINTED(ad_put_fixed(&t, -1e300, 3), "0");
    PRINTED(ad_put_fixed(&t, NAN, 3), "0");
    PRINTED(ad_put_fixed(&t, 9e15, 3), "9000000000000000");
    PRINTED(ad_put_fixed(&t, 8.9e15, 3), "8900000000000000");
    PRINTED(ad_put_fixed(&t, 9.1e15, 3), "9000000000000000");
    PRINTED(ad_put_fixed(&t, 1.8446744073709552e19, 0), "9000000000000000000");
    PRINTED(ad_put_fixed(&t, 1e300, 7), "900000000000");
    PRINTED(ad_put_fixed(&t, INFINITY, 2), "90000000000000000");
    PRINTED(ad_put_decimal(&t, 1741478400123456ull, 6), "1741478400.123456");
    PRINTED(ad_put_decimal(&t, 1741478400000001ull, 6), "1741478400.000001");
    PRINTED(ad_put_decimal(&t, 1741478400100000ull, 6), "1741478400.1");
    PRINTED(ad_put_string(&t, "a\"b\\c\n\x01\xC3\xA9"),
            "\"a\\\"b\\\\c\\u000a\\u0001\xC3\xA9\"");

    /* Full is kept, and nothing is written beyond. */
    t = ad_text_in(buffer, 4);
    ad_puts(&t, "abcd");
    CHECK(!t.full);
    ad_puts(&t, "e");
    CHECK(t.full && t.len == 4);
    t = ad_text_in(buffer, 4);
    ad_putf(&t, "%d", 12345);
    CHECK(t.full && t.len == 0);
}

int main(void)
{
    test_text();
    return check_report();
}
