/* Addresses, URLs and decimal numbers, at their corners. */
#include "../src/base/net.c"
#include "../src/base/url.c"
#include "check.h"

static void test_decimal(void)
{
    static const struct {
        const char *text;
        uint64_t max;
        bool ok;
        uint64_t value;
    } cases[] = {{"0", 0, true, 0},
                 {"1", 0, false, 0},
                 {"007", 7, true, 7},
                 {"65535", 65535, true, 65535},
                 {"65536", 65535, false, 0},
                 {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
                 {"18446744073709551616", UINT64_MAX, false, 0},
                 {"99999999999999999999", UINT64_MAX, false, 0},
                 {"", 9, false, 0},
                 {"+1", 9, false, 0},
                 {"-1", 9, false, 0},
                 {" 1", 9, false, 0},
                 {"1 ", 9, false, 0},
                 {"1.0", 9, false, 0},
                 {"0x1", 9, false, 0},
                 {"1e3", 9999, false, 0}};
    size_t i;

    for (i = 0; i < AD_COUNT(cases); i++) {
        uint64_t value = 4711;
        bool ok = ad_decimal_u64(cases[i].text, strlen(cases[i].text),
                                 cases[i].max, &value);

        CHECK_EQ(ok, cases[i].ok);
        CHECK(value == (cases[i].ok ? cases[i].value : 4711));
    }
}

/* The address as text, "" if it is malformed. */
static const char *parsed(const char *spec, bool dual)
{
    static char text[80];
    char host[INET6_ADDRSTRLEN];
    struct sockaddr_storage address;
    socklen_t len;

    if (!ad_address_parse(spec, dual, &address, &len)) {
        return "";
    }
    if (address.ss_family == AF_INET6) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&address;

        CHECK_EQ(len, sizeof(*v6));
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
        (void)snprintf(text, sizeof(text), "[%s]:%u", host,
                       (unsigned)ntohs(v6->sin6_port));
    } else {
        struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&address;

        CHECK_EQ(len, sizeof(*v4));
        (void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
        (void)snprintf(text, sizeof(text), "%s:%u", host,
                       (unsigned)ntohs(v4->sin_port));
    }
    return text;
}

static void test_address(void)
{
    static const char *const bad[] = {
        "", ":", ":80", "65536", "080000", "+80", "-1", "80 ", " 80", "8o", "x",
        "127.0.0.1:", "127.0.0.1", "127.1:80", "256.0.0.1:80", "host:80",
        "x:y:1", "::1:80", "[::1:80", "::1]:80", "[]:80", "[::g]:80", "[::1]",
        "[127.0.0.1]:80", "**:80",
        "0000000000000000000000000000000000000000000000000000000000000001:80"};
    size_t i;

    CHECK_STR(parsed("8080", true), "[::]:8080");
    CHECK_STR(parsed("8080", false), "0.0.0.0:8080");
    CHECK_STR(parsed("*:0", true), "[::]:0");
    CHECK_STR(parsed("*:65535", false), "0.0.0.0:65535");
    CHECK_STR(parsed("00080", false), "0.0.0.0:80");
    CHECK_STR(parsed("127.0.0.1:1", true), "127.0.0.1:1");
    CHECK_STR(parsed("localhost:1", true), "127.0.0.1:1");
    CHECK_STR(parsed("[::1]:8080", false), "[::1]:8080");
    CHECK_STR(parsed("[::ffff:1.2.3.4]:5", true), "[::ffff:1.2.3.4]:5");
    for (i = 0; i < AD_COUNT(bad); i++) {
        CHECK_STR(parsed(bad[i], true), "");
    }
    CHECK_EQ(ad_spec_host("8080"), 0);
    CHECK_EQ(ad_spec_host("*:8080"), 0);
    CHECK_EQ(ad_spec_host("127.0.0.1:8080"), 9);
    CHECK_EQ(ad_spec_host("[::1]:8080"), 5);
}

/* An IPv4 address has one key, mapped into IPv6 or not; a subscriber's IPv6
 * network of 64 bits has one. */
static void test_address_key(void)
{
    struct sockaddr_storage a, b;
    socklen_t len;

    CHECK(ad_address_parse("1.2.3.4:5", true, &a, &len));
    CHECK(ad_address_parse("[::ffff:1.2.3.4]:6", true, &b, &len));
    CHECK(ad_address_key(&a) == 0x01020304 && ad_address_key(&b) == 0x01020304);
    CHECK(ad_address_parse("[2001:db8:1:2::5]:1", true, &a, &len));
    CHECK(ad_address_parse("[2001:db8:1:2:3:4:5:6]:1", true, &b, &len));
    CHECK(ad_address_key(&a) == ad_address_key(&b));
    CHECK(ad_address_parse("[2001:db8:1:3::5]:1", true, &b, &len));
    CHECK(ad_address_key(&a) != ad_address_key(&b));
}

/* In a buffer of exactly its size, so that the address sanitizer sees each byte
 * read beyond the end. */
static const char *url_fault(const char *text, struct ad_url *out)
{
    size_t len = strlen(text);
    char *copy = malloc(len > 0 ? len : 1);
    const char *why;

    memcpy(copy, text, len);
    memset(out, 'x', sizeof(*out));
    why = ad_url_parse(copy, len, out);
    free(copy);
    return why;
}

static void test_url(void)
{
    static const struct {
        const char *text, *authority, *host, *port, *prefix;
        bool tls;
    } good[] = {
        {"http://a", "a", "a", "80", "", false},
        {"HTTP://a.example:8080/", "a.example:8080", "a.example", "8080", "", false},
        {"http://a:65535//", "a:65535", "a", "65535", "", false},
        {"http://a:080/v1/", "a:080", "a", "80", "/v1", false},
        {"http://127.0.0.1:1/a/b", "127.0.0.1:1", "127.0.0.1", "1", "/a/b", false},
        {"http://[::1]", "[::1]", "::1", "80", "", false},
        {"http://[::1]:9/x", "[::1]:9", "::1", "9", "/x", false},
        {"https://a", "a", "a", "443", "", true},
        {"HTTPS://a:80/x", "a:80", "a", "80", "/x", true},
        {"https://[::1]", "[::1]", "::1", "443", "", true}};
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "it must begin with http:// or https://"},
        {"http:/", "it must begin with http:// or https://"},
        {"ftp://a", "it must begin with http:// or https://"},
        {"127.0.0.1:1", "it must begin with http:// or https://"},
        {"https:/a", "it must begin with http:// or https://"},
        {"https://", "it has no host"},
        {"https://:443", "it has no host"},
        {"http://", "it has no host"},
        {"http:///v1", "it has no host"},
        {"http://:80", "it has no host"},
        {"http://a:", "the port must be a number from 1 to 65535"},
        {"http://a:0", "the port must be a number from 1 to 65535"},
        {"http://a:65536", "the port must be a number from 1 to 65535"},
        {"http://a:8o/", "the port must be a number from 1 to 65535"},
        {"http://a:-1", "the port must be a number from 1 to 65535"},
        {"http://[::1]:x", "the port must be a number from 1 to 65535"}};
    struct ad_url url;
    char text[600];
    size_t i;

    for (i = 0; i < AD_COUNT(good); i++) {
        CHECK(url_fault(good[i].text, &url) == NULL);
        CHECK_STR(url.authority, good[i].authority);
        CHECK_STR(url.host, good[i].host);
        CHECK_STR(url.port, good[i].port);
        CHECK_STR(url.prefix, good[i].prefix);
        CHECK_EQ(url.tls, good[i].tls);
    }
    for (i = 0; i < AD_COUNT(bad); i++) {
        const char *why = url_fault(bad[i].text, &url);

        CHECK_STR(why != NULL ? why : "", bad[i].why);
    }
    (void)snprintf(text, sizeof(text), "http://%0255d:65535", 0);
    CHECK(url_fault(text, &url) == NULL);
    (void)snprintf(text, sizeof(text), "http://%0256d", 0);
    CHECK_STR(url_fault(text, &url), "its host is too long");
    (void)snprintf(text, sizeof(text), "http://%0300d", 0);
    CHECK_STR(url_fault(text, &url), "its host is too long");
    (void)snprintf(text, sizeof(text), "http://a/%0126d", 0);
    CHECK(url_fault(text, &url) == NULL);
    (void)snprintf(text, sizeof(text), "http://a/%0127d", 0);
    CHECK_STR(url_fault(text, &url), "its path is too long");
}

static void test_resolve(void)
{
    struct ad_address list[2];
    int error;

    CHECK_EQ(ad_address_resolve("127.0.0.1", "80", list, 2, &error), 1);
    CHECK_EQ(list[0].storage.ss_family, AF_INET);
    CHECK_EQ(ad_address_resolve("::1", "80", list, 1, &error), 1);
    CHECK_EQ(list[0].storage.ss_family, AF_INET6);
    CHECK_EQ(error, 0);
    CHECK_EQ(ad_address_resolve("not a host", "80", list, 2, &error), 0);
    CHECK(error != 0);
    CHECK_EQ(ad_address_literal("127.0.0.1", 80, list), 1);
    CHECK_EQ(ntohs(((struct sockaddr_in *)(void *)&list[0].storage)->sin_port), 80);
    CHECK_EQ(ad_address_literal("::1", 65535, list), 1);
    CHECK_EQ(ntohs(((struct sockaddr_in6 *)(void *)&list[0].storage)->sin6_port),
             65535);
    CHECK_EQ(ad_address_literal("fe80::1%lo", 80, list), 1);
    CHECK(((struct sockaddr_in6 *)(void *)&list[0].storage)->sin6_scope_id != 0);
    CHECK_EQ(ad_address_literal("fe80::1%no-such-if", 80, list), 0);
    CHECK_EQ(ad_address_literal("127.0.0.1%lo", 80, list), 0);
    CHECK_EQ(ad_address_literal("engine.lan", 80, list), 0);
    CHECK_EQ(ad_address_literal("127.1", 80, list), 0);
    CHECK_EQ(ad_address_literal("", 80, list), 0);
    CHECK_EQ(ad_address_literal("LocalHost", 80, list), 2);
    CHECK_EQ(list[0].storage.ss_family, AF_INET);
    CHECK_EQ(list[1].storage.ss_family, AF_INET6);
}

int main(void)
{
    test_decimal();
    test_address();
    test_address_key();
    test_url();
    test_resolve();
    return check_report();
}
