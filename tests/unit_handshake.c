/* base/sha1.c by the vectors of FIPS 180 and RFC 3174 7.3; codec/handshake.c by RFC
 * 6455 1.3, and what a client may not believe. */
#include "../src/codec/handshake.c"
#include "../src/codec/http_answer.c"
#include "check.h"

static void check_sha1(const char *data, size_t len, const char *expected)
{
    uint8_t digest[AD_SHA1_LEN], *copy = check_copy(data, len);
    char hex[2 * AD_SHA1_LEN + 1];
    size_t i;

    ad_sha1(copy, len, digest);
    for (i = 0; i < AD_SHA1_LEN; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    CHECK_STR(hex, expected);
    free(copy);
}

static void test_sha1(void)
{
    static char many[1000];

    check_sha1("", 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    check_sha1("abc", 3, "a9993e364706816aba3e25717850c26c9cd0d89d");
    check_sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
               "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    memset(many, 'a', sizeof(many));
    /* On both sides of a block's end, where the length no longer fits. */
    check_sha1(many, 55, "c1c8bbdc22796e28c0e15163d20899b65621d65a");
    check_sha1(many, 63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5");
    check_sha1(many, 64, "0098ba824b5c16427bd7a1122a5a442a25ec644d");
    check_sha1(many, 65, "11655326c708d70319be2610e8a57d9a5b959d3b");
    check_sha1(many, 1000, "291e9a6c66994949b57ba5e650361e98fc36b1ba");
}

static void test_base64(void)
{
    static const char *const cases[][2] = {/* RFC 4648 10 */
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    size_t i;

    for (i = 0; i < AD_COUNT(cases); i++) {
        char out[16];
        struct ad_text t = ad_text_in(out, sizeof(out));

        ad_put_base64(&t, (const uint8_t *)cases[i][0], strlen(cases[i][0]));
        out[t.len] = '\0';
        CHECK_STR(out, cases[i][1]);
    }
}

/* RFC 6455 1.3. */
static void test_accept(void)
{
    char accept[AD_HANDSHAKE_ACCEPT + 1];

    ad_handshake_accept(ad_slice_of("dGhlIHNhbXBsZSBub25jZQ=="), accept);
    CHECK_STR(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#if AD_DIALS

#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static void test_answers(void)
{
    static const struct {
        const char *head;
        bool good;
    } cases[] = {
        {"HTTP/1.1 101 Switching Protocols\r\n" UPGRADE ACCEPT "\r\n", true},
        {"HTTP/1.1 101 \r\nUPGRADE: WebSocket\r\nconnection: keep-alive, upgrade\r\n"
         ACCEPT "\r\n", true},
        {"HTTP/1.1 200 OK\r\n" UPGRADE ACCEPT "Content-Length: 0\r\n\r\n", false},
        {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n" ACCEPT "\r\n",
         false},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" ACCEPT "\r\n",
         false},
        {"HTTP/1.1 101 Switching Protocols\r\n" UPGRADE "\r\n", false},
        /* of another key; in other letters */
        {"HTTP/1.1 101 Switching Protocols\r\n" UPGRADE
         "Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n\r\n", false},
        {"HTTP/1.1 101 Switching Protocols\r\n" UPGRADE
         "Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=\r\n\r\n", false},
        {"HTTP/1.1 101 Switching Protocols\r\n" UPGRADE ACCEPT
         "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", false},
        {"HTTP/1.1 101 Switching Protocols\r\n" UPGRADE ACCEPT
         "Sec-WebSocket-Protocol: chat\r\n\r\n", false}};
    size_t i;

    for (i = 0; i < AD_COUNT(cases); i++) {
        static struct ad_http_field fields[AD_HTTP_FIELDS];
        size_t len = strlen(cases[i].head);
        char *copy = check_copy(cases[i].head, len);
        struct ad_http_head head;

        CHECK_EQ(ad_http_parse_answer(&head, copy, len, fields, AD_HTTP_FIELDS, false),
                 AD_HTTP_OK);
        CHECK_EQ(ad_handshake_fault(&head, "dGhlIHNhbXBsZSBub25jZQ==") == NULL,
                 cases[i].good);
        free(copy);
    }
}

#endif

int main(void)
{
    test_sha1();
    test_base64();
    test_accept();
#if AD_DIALS
    test_answers();
#endif
    return check_report();
}
