/* base64url: the vectors of RFC 4648 10 without their padding, RFC 7515 C, each way;
 * and what has no second form. */
#undef AIDASH_TLS
#define AIDASH_TLS 1 /* this part needs nothing of mbedTLS */
#include "../src/codec/base64url.c"
#include "check.h"

/* Both ways, in memory of exactly the size. */
static void check_pair(const void *bytes, size_t len, const char *text)
{
    char out[64];
    uint8_t back[64];
    struct ad_text t = ad_text_in(out, sizeof(out));
    void *copy = check_copy(bytes, len);
    struct ad_slice s = {check_copy(text, strlen(text)), strlen(text)};
    size_t n = 99;

    ad_put_base64url(&t, copy, len);
    out[t.len] = '\0';
    CHECK_STR(out, text);
    CHECK_EQ(t.len, AD_BASE64URL_CHARS(len));
    CHECK_EQ(AD_BASE64URL_BYTES(s.len), len);
    CHECK(ad_base64url_decode(s, back, len, &n));
    CHECK_EQ(n, len);
    CHECK(memcmp(back, bytes, len) == 0);
    CHECK(len == 0 || !ad_base64url_decode(s, back, len - 1, &n));
    free((void *)(uintptr_t)s.at);
    free(copy);
}

static void test_vectors(void)
{
    static const uint8_t c[] = {3, 236, 255, 224, 193};

    check_pair("", 0, "");
    check_pair("f", 1, "Zg");
    check_pair("fo", 2, "Zm8");
    check_pair("foo", 3, "Zm9v");
    check_pair("foob", 4, "Zm9vYg");
    check_pair("fooba", 5, "Zm9vYmE");
    check_pair("foobar", 6, "Zm9vYmFy");
    check_pair(c, sizeof(c), "A-z_4ME");
}

/* Each byte, at each place of a group of three. */
static void test_all_bytes(void)
{
    unsigned i, at;

    for (at = 0; at < 3; at++) {
        for (i = 0; i < 256; i++) {
            uint8_t bytes[3] = {0x5A, 0xA5, 0xC3}, back[3];
            char text[4];
            struct ad_text t = ad_text_in(text, sizeof(text));
            struct ad_slice s = {text, 4};
            size_t n = 0;

            bytes[at] = (uint8_t)i;
            ad_put_base64url(&t, bytes, 3);
            CHECK(ad_base64url_decode(s, back, 3, &n) && n == 3 &&
                  memcmp(back, bytes, 3) == 0);
        }
    }
}

static void test_refused(void)
{
    static const char *const texts[] = {
        "Zg==",  "Zm8=", "Zm9v=", "Z",     "Zm9vZ", /* padding; no such length */
        "Zm9v ", " Zm9", "Zm\n9", "Zm9\t", "Zm9\r", /* white space */
        "+w",    "/w",   "Zm9.",  "Zm9,",  "Zm\xC3\xA9", /* other characters */
        "Zh",    "Zv",   "Zm9",   "Zm-",   "_x",    /* bits behind the last byte */
    };
    uint8_t out[8];
    size_t n = 99, i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (ad_base64url_decode(ad_slice_of(texts[i]), out, sizeof(out), &n)) {
            printf("%s was taken\n", texts[i]);
            CHECK(false);
        }
        CHECK_EQ(n, 99);
    }
    {
        struct ad_slice zero = {"Zg\0Zg", 5};

        CHECK(!ad_base64url_decode(zero, out, sizeof(out), &n));
    }
}

int main(void)
{
    test_vectors();
    test_all_bytes();
    test_refused();
    return check_report();
}
