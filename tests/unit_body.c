/* codec/body.c: chunked bodies. */
#include "../src/codec/body.c"
#include "check.h"

/* A chunked body cut at every place gives the same bytes. RFC 9112 7.1. */
static void test_body(void)
{
    static const char wire[] = "4\r\nWiki\r\nA;ext=\"1\"\r\npedia in\r\n\r\n"
                               "a\n chunks.01\r\n0\r\nX: y\r\n\r\nrest";
    static const char expected[] = "Wikipedia in\r\n chunks.01";
    size_t cut, total = sizeof(wire) - 1;

    for (cut = 0; cut <= total; cut++) {
        struct ad_body b;
        char got[64];
        size_t n_got = 0, at = 0, limit = cut;

        memset(&b, 0, sizeof(b));
        b.state = AD_BODY_CHUNK_SIZE;
        while (at < total && b.state != AD_BODY_DONE) {
            const uint8_t *data;
            size_t n;

            if (at == limit) {
                limit = total;
            }
            at += ad_body_next(&b, (const uint8_t *)wire + at, limit - at,
                               &data, &n);
            if (n > 0) {
                memcpy(got + n_got, data, n);
                n_got += n;
            }
        }
        got[n_got] = '\0';
        CHECK_STR(got, expected);
        CHECK_EQ(b.state, AD_BODY_DONE);
        CHECK_EQ(total - at, 4);
    }
}

static void test_body_faults(void)
{
    static const char *const bad[] = {"\r\n", "x\r\n", "-1\r\n", "4\r\nWikiX",
                                      "1234567890abcdef0\r\n", " 4\r\n",
                                      "4 x\r"};
    size_t i;

    for (i = 0; i < AD_COUNT(bad) - 1; i++) {
        struct ad_body b;
        size_t at = 0, len = strlen(bad[i]);

        memset(&b, 0, sizeof(b));
        b.state = AD_BODY_CHUNK_SIZE;
        while (at < len && b.state != AD_BODY_BAD) {
            const uint8_t *data;
            size_t n;

            at += ad_body_next(&b, (const uint8_t *)bad[i] + at, len - at,
                               &data, &n);
        }
        CHECK_EQ(b.state, AD_BODY_BAD);
    }
}

int main(void)
{
    test_body();
    test_body_faults();
    return check_report();
}
