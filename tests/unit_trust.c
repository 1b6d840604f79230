/* Certificates of authorities and pinned keys: what is read of files, what is
 * refused. That the right engines are believed: e2e/meter-tls.test.mjs. */
#include "../src/guard/trust.c"
#include "check.h"

#if AIDASH_TLS

/* What begins as a certificate does, of "CN=me": only its name is read. */
static const uint8_t tiny[] = {
    0x30, 0x25, 0x30, 0x23, 0xa0, 0x03, 0x02, 0x01, 0x02, /* version 3 */
    0x02, 0x01, 0x01, 0x30, 0x00, 0x30, 0x00, 0x30, 0x00, /* serial .. validity */
    0x30, 0x0d, 0x31, 0x0b, 0x30, 0x09, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x02,
    'm',  'e',  0x30, 0x04, 0x03, 0x02, 0x00, 0x01};

static char path[64];

static void put_base64(FILE *f, const uint8_t *in, size_t len, size_t width)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                 "0123456789+/";
    size_t i, n = 0;

    for (i = 0; i < len; i += 3) {
        uint32_t bits = (uint32_t)in[i] << 16 |
                        (i + 1 < len ? (uint32_t)in[i + 1] << 8 : 0u) |
                        (i + 2 < len ? in[i + 2] : 0u);

        fputc(digits[bits >> 18 & 63], f);
        fputc(digits[bits >> 12 & 63], f);
        fputc(i + 1 < len ? digits[bits >> 6 & 63] : '=', f);
        fputc(i + 2 < len ? digits[bits & 63] : '=', f);
        n += 4;
        if (n >= width) {
            fputs("\n", f);
            n = 0;
        }
    }
    fputs("\n", f);
}

static FILE *begin(void)
{
    FILE *f = fopen(path, "w");

    CHECK(f != NULL);
    return f;
}

static void put_cert(FILE *f, const uint8_t *der, size_t len, size_t width)
{
    fputs("-----BEGIN CERTIFICATE-----\n", f);
    put_base64(f, der, len, width);
    fputs("-----END CERTIFICATE-----\n", f);
}

static enum ad_trust_read end(FILE *f)
{
    (void)fclose(f);
    return ad_trust_read_file(path);
}

/* Lines of any length, and text around certificates. */
static void test_files(void)
{
    static const size_t widths[] = {4, 64, 76, 120, 124, 128, 100000};
    struct ad_trust_set *set = ad_trust_spare();
    size_t i;

    for (i = 0; i < AD_COUNT(widths); i++) {
        FILE *f = begin();

        fputs("# an authority\nsubject=CN=tiny\n", f);
        put_cert(f, tiny, sizeof(tiny), widths[i]);
        put_cert(f, tiny, sizeof(tiny), 64);
        fputs("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", f);
        CHECK_EQ(end(f), AD_TRUST_READ);
        CHECK_EQ(set->n, 2);
        CHECK_EQ(set->len, 2 * sizeof(tiny));
        CHECK(memcmp(set->der, tiny, sizeof(tiny)) == 0);
        CHECK(memcmp(set->der + sizeof(tiny), tiny, sizeof(tiny)) == 0);
        CHECK_EQ(set->roots[1].from, sizeof(tiny));
        CHECK_EQ(set->roots[1].subject, sizeof(tiny) + 18);
        CHECK_EQ(set->roots[1].subject_len, 15);
    }
}

/* Each certificate that is cut somewhere, and each with a byte too many. */
static void test_malformed(void)
{
    uint8_t longer[sizeof(tiny) + 1] = {0};
    size_t len;

    for (len = 0; len < sizeof(tiny); len++) {
        FILE *f = begin();

        put_cert(f, tiny, len, 64);
        CHECK_EQ(end(f), AD_TRUST_MALFORMED);
    }
    memcpy(longer, tiny, sizeof(tiny));
    {
        FILE *f = begin();

        put_cert(f, longer, sizeof(longer), 64);
        CHECK_EQ(end(f), AD_TRUST_MALFORMED);
    }
    CHECK_EQ(end(begin()), AD_TRUST_NONE);
    CHECK_EQ(ad_trust_read_file("/tmp"), AD_TRUST_UNREADABLE);
    (void)remove(path);
    CHECK_EQ(ad_trust_read_file(path), AD_TRUST_UNREADABLE);
}

/* As many as there is room for, and one more. */
static void test_limits(void)
{
    static uint8_t big[AIDASH_TRUST_BYTES / 4];
    unsigned i, n;

    for (n = AD_TRUST_ROOTS; n <= AD_TRUST_ROOTS + 1; n++) {
        FILE *f = begin();

        for (i = 0; i < n; i++) {
            put_cert(f, tiny, sizeof(tiny), 64);
        }
        CHECK_EQ(end(f), n == AD_TRUST_ROOTS ? AD_TRUST_READ : AD_TRUST_FULL);
    }
    memcpy(big, tiny, sizeof(tiny));
    big[1] = 0x83; /* the outer length, in three bytes */
    memmove(big + 5, tiny + 2, sizeof(tiny) - 2);
    big[2] = (uint8_t)((sizeof(big) - 5) >> 16);
    big[3] = (uint8_t)((sizeof(big) - 5) >> 8);
    big[4] = (uint8_t)(sizeof(big) - 5);
    for (n = 4; n <= 5; n++) {
        FILE *f = begin();

        for (i = 0; i < n; i++) {
            put_cert(f, big, sizeof(big), 64);
        }
        CHECK_EQ(end(f), n == 4 ? AD_TRUST_READ : AD_TRUST_FULL);
    }
}

static bool pin(const char *text)
{
    char *copy = check_copy(text, strlen(text));
    bool taken = ad_trust_add_pin(copy, strlen(text));

    free(copy);
    return taken;
}

static void test_pins(void)
{
    static const char good[] = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    static const char *const bad[] = {
        "", "sha256/", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF==",
        "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUA",
        "sha256/47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=",
        "sha1/x/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="};
    uint8_t sum[AD_SHA256_BYTES];
    char text[64] = "";
    struct ad_text t = ad_text_in(text, sizeof(text));
    unsigned i;

    ad_trust_begin_pins();
    for (i = 0; i < AD_COUNT(bad); i++) {
        CHECK(!pin(bad[i]));
    }
    for (i = 0; i < AD_TRUST_PINS; i++) {
        CHECK(pin(good));
    }
    CHECK(!pin(good));
    ad_sha256("", 0, sum);
    CHECK(memcmp(ad_trust_spare()->pins[AD_TRUST_PINS - 1], sum, sizeof(sum)) == 0);
    ad_trust_put_pin(&t, sum);
    CHECK_STR(text, good);
}

static void test_addresses(void)
{
    uint8_t out[16];

    CHECK_EQ(ad_trust_address("127.0.0.1", out), 4);
    CHECK_EQ(ad_trust_address("::1", out), 16);
    CHECK_EQ(ad_trust_address("fe80::1%eth0", out), 16);
    CHECK_EQ(ad_trust_address("localhost", out), 0);
    CHECK_EQ(ad_trust_address("127.0.0.1.example", out), 0);
    CHECK_EQ(ad_trust_address("", out), 0);
}

int main(void)
{
    (void)snprintf(path, sizeof(path), "/tmp/aidash-trust-%ld.pem", (long)getpid());
    ad_trust_init();
    test_files();
    test_limits();
    test_malformed();
    test_pins();
    test_addresses();
    (void)remove(path);
    return check_report();
}

#else

int main(void)
{
    CHECK(true);
    return check_report();
}

#endif
