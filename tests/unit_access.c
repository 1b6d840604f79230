/* Which Host and which Origin may ask, as tables: whole heads in, the verdict
 * out. And the lists: what they take, what they refuse, how much they hold. */
#include "../src/core/access.c"
#include "check.h"
#include <sys/mman.h>

static void reset(void)
{
    memset(&ad_hub, 0, sizeof(ad_hub));
    ad_access_init();
}

static bool add_host(const char *text)
{
    return ad_access_add_host(text, strlen(text));
}

static bool add_origin(const char *text)
{
    return ad_access_add_origin(text, strlen(text));
}

static bool add_proxy(const char *text)
{
    return ad_access_add_proxy(text, strlen(text));
}

static struct sockaddr_storage peer_of(const char *text)
{
    struct sockaddr_storage peer;
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&peer;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&peer;

    memset(&peer, 0, sizeof(peer));
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        peer.ss_family = AF_INET;
    } else {
        CHECK(inet_pton(AF_INET6, text, &v6->sin6_addr) == 1);
        peer.ss_family = AF_INET6;
    }
    return peer;
}

/* The verdict on a request with these fields. *v's slices stay good until the
 * next call. */
static void judge(const char *fields, const char *from,
                  struct ad_access_verdict *v)
{
    static char text[4096];
    static struct ad_http_field store[32];
    struct sockaddr_storage peer = peer_of(from);
    struct ad_http_head head;
    int len = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n%s\r\n", fields);

    CHECK_EQ(ad_http_parse_request(&head, text, (size_t)len, store, 32),
             AD_HTTP_OK);
    ad_access_judge(&head, &peer, false, v);
}

static unsigned status_of(const char *fields, const char *from)
{
    struct ad_access_verdict v;

    judge(fields, from, &v);
    CHECK((v.status == 0) == (v.why[0] == '\0'));
    return v.status;
}

/* ---- Host ---- */

static void test_hosts(void)
{
    static const struct {
        const char *host;
        unsigned status;
    } cases[] = {
        {"127.0.0.1", 0}, {"127.0.0.1:8080", 0}, {"192.0.2.1", 0},
        {"[::1]:8080", 0}, {"[fe80::1]", 0}, {"localhost", 0},
        {"LOCALHOST:80", 0}, {"a.localhost", 0}, {"localhost.", 0},
        {"board", 0}, {"board:8080", 0}, {"board.", 0}, {"board.local", 0},
        {"Board.Local.:8080", 0}, {"board.lan", 0}, {"board.home.arpa", 0},
        {"a.b.internal", 0}, {"evil.example", 421},
        {"evil.example:8080", 421}, {"board.local.evil.example", 421},
        {"127.0.0.1.evil.example", 421}, {"xlocal.example", 421},
        {"evil.xlan", 421}, {"home.arpa", 421}, {"localhost.evil", 421},
        {"listed.example", 0}, {"LISTED.example.:99", 0},
        {"x.listed.example", 421}, {"notlisted.example", 421},
        {"below.wild.example", 0}, {"a.b.WILD.example.", 0},
        {"wild.example", 421}, {"xwild.example", 421},
        {"dotted.example", 0}, {"dotted.example.", 0},
    };
    size_t i;
    char fields[300];

    reset();
    CHECK(add_host("listed.example"));
    CHECK(add_host("*.wild.example"));
    CHECK(add_host("dotted.example."));
    for (i = 0; i < AD_COUNT(cases); i++) {
        (void)snprintf(fields, sizeof(fields), "Host: %s\r\n", cases[i].host);
        if (status_of(fields, "192.0.2.7") != cases[i].status) {
            printf("Host: %s\n", cases[i].host);
            CHECK(!"the status of this host");
        }
    }
    CHECK(add_host("*"));
    CHECK_EQ(status_of("Host: evil.example\r\n", "192.0.2.7"), 0);
}

/* The refusal says what to type. */
static void test_host_sentence(void)
{
    struct ad_access_verdict v;

    reset();
    judge("Host: evil.example.:81\r\n", "192.0.2.7", &v);
    CHECK_STR(v.why, "evil.example is not a name of this server; to allow it: "
                     "--allow-host evil.example");
}

static void test_host_list(void)
{
    static const char *const bad[] = {"", ".", "*.", "*.*.a", "a..b", "a b",
                                      "a:80", "http://a", "[::1]", "a/b", "**"};
    char name[AD_HTTP_HOST_MAX + 2];
    unsigned i;

    reset();
    for (i = 0; i < AD_COUNT(bad); i++) {
        CHECK(!add_host(bad[i]));
    }
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    CHECK(!add_host(name)); /* one byte too long */
    name[AD_HTTP_HOST_MAX] = '\0';
    CHECK(add_host(name));
    CHECK(add_host("Again") && add_host("again") && add_host("again."));
    CHECK_EQ(ad_access.n_hosts, 2); /* a name that is there takes no place */
    for (i = 2; i < AD_HOSTS; i++) {
        (void)snprintf(name, sizeof(name), "h%u", i);
        CHECK_EQ(ad_access_allow_host(name, strlen(name)),
                 i < AD_HOSTS_ALLOWED);
        CHECK(add_host(name));
    }
    CHECK(!add_host("one-more"));
    CHECK(add_host("h2"));
    CHECK_EQ(ad_access.n_hosts, AD_HOSTS);
}

static void test_own_names(void)
{
    char path[32], name[256], fields[600];
    struct ad_own_names names;
    int fd = memfd_create("resolv.conf", 0);
    FILE *f = fdopen(fd, "w");
    static const struct {
        const char *domain;
        unsigned status;
    } cases[] = {{"fritz.box", 0}, {"two.example", 0}, {"old.example", 0},
                 {"dot.example", 0}, {"last.example", 0},
                 {"comment.example", 421}, {"option.example", 421},
                 {"nameserver.example", 421}};
    size_t i;

    CHECK(f != NULL);
    fputs("# search comment.example\n; search comment.example\n"
          "nameserver 192.0.2.1 nameserver.example\n\n   \n"
          "domain old.example\r\n"
          "search fritz.box\ttwo.example  dot.example. a..b #\n"
          "options option.example\n"
          "search last.example", f);
    CHECK(fflush(f) == 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK(gethostname(name, sizeof(name)) == 0);
    name[strcspn(name, ".")] = '\0';
    reset();
    ad_own_names_read(&names, path);
    ad_access_add_own_names(&names);
    for (i = 0; i < AD_COUNT(cases); i++) {
        (void)snprintf(fields, sizeof(fields), "Host: %s.%s\r\n", name,
                       cases[i].domain);
        if (status_of(fields, "192.0.2.7") != cases[i].status) {
            printf("%s", fields);
            CHECK(!"the status of this name");
        }
    }
    CHECK_EQ(status_of("Host: other.fritz.box\r\n", "192.0.2.7"), 421);
    CHECK(fclose(f) == 0);
    reset();
    ad_own_names_read(&names, path); /* no such file */
    ad_access_add_own_names(&names);
    CHECK(ad_access.n_hosts >= 1);
}

/* ---- Origin ---- */

static void test_origins(void)
{
    static const struct {
        const char *fields;
        unsigned status;
    } cases[] = {
        {"Host: board\r\n", 0},
        {"Host: board\r\nOrigin: http://board\r\n", 0},
        {"Host: board:80\r\nOrigin: http://board\r\n", 0},
        {"Host: board\r\nOrigin: http://board:80\r\n", 0},
        {"Host: board:443\r\nOrigin: https://board\r\n", 0},
        {"Host: board\r\nOrigin: https://board\r\n", 0},
        {"Host: BOARD:8080\r\nOrigin: http://board:8080\r\n", 0},
        {"Host: board:8080\r\nOrigin: http://board\r\n", 403},
        {"Host: board:8080\r\nOrigin: http://board:8081\r\n", 403},
        {"Host: board:80\r\nOrigin: https://board\r\n", 403},
        {"Host: board\r\nOrigin: http://board.evil.example\r\n", 403},
        {"Host: board\r\nOrigin: ftp://board\r\n", 403},
        {"Host: [::1]:8080\r\nOrigin: http://[::1]:8080\r\n", 0},
        {"Host: [0:0::1]:8080\r\nOrigin: http://[::1]:8080\r\n", 0},
        {"Host: board\r\nOrigin: null\r\n", 403},
        {"Host: board\r\nOrigin: \r\n", 403},
        {"Host: board\r\nOrigin: http://board/\r\n", 403},
        {"Host: board\r\nOrigin: http://board\r\nOrigin: http://board\r\n", 403},
        {"Host: board\r\nOrigin: http://page.example\r\n", 0},
        {"Host: board\r\nOrigin: http://PAGE.example:80\r\n", 0},
        {"Host: board\r\nOrigin: https://page.example\r\n", 403},
        {"Host: board\r\nOrigin: http://page.example:81\r\n", 403},
        {"Host: board\r\nOrigin: https://tls.example:443\r\n", 0},
        {"Host: board\r\nOrigin: http://a.page.example\r\n", 403},
    };
    size_t i;

    reset();
    CHECK(add_origin("http://page.example"));
    CHECK(add_origin("https://tls.example"));
    for (i = 0; i < AD_COUNT(cases); i++) {
        if (status_of(cases[i].fields, "192.0.2.7") != cases[i].status) {
            printf("%s", cases[i].fields);
            CHECK(!"the status of this origin");
        }
    }
    CHECK(add_origin("*"));
    CHECK_EQ(status_of("Host: board\r\nOrigin: http://x.example\r\n",
                       "192.0.2.7"), 0);
    CHECK_EQ(status_of("Host: board\r\nOrigin: null\r\n", "192.0.2.7"), 0);
    CHECK_EQ(status_of("Host: board\r\nOrigin: x\r\n", "192.0.2.7"), 403);
}

/* What an allowed page is told; what a refused one reads. */
static void test_origin_answers(void)
{
    struct ad_access_verdict v;
    char cors[AD_CORS_MAX], fields[2 * AD_ORIGIN_MAX + 64];
    char host[AD_ORIGIN_MAX + 2];
    unsigned i;

    reset();
    judge("Host: board\r\nOrigin: http://board\r\n", "192.0.2.7", &v);
    ad_access_cors(&v, cors);
    CHECK_STR(cors, "Access-Control-Allow-Origin: http://board\r\n"
                    "Vary: Origin\r\n");
    judge("Host: board\r\n", "192.0.2.7", &v);
    ad_access_cors(&v, cors);
    CHECK_STR(cors, "");
    judge("Host: board\r\nOrigin: http://x.example\r\n", "192.0.2.7", &v);
    ad_access_cors(&v, cors);
    CHECK_STR(cors, "");
    CHECK_STR(v.why, "pages of http://x.example may not use this server; to "
                     "allow them: --allow-origin http://x.example");
    /* The longest origin fits both; a longer one is refused. */
    for (i = 0; i < 2; i++) {
        memset(host, 'a', sizeof(host));
        memcpy(host, "http://", 7);
        host[AD_ORIGIN_MAX - 7 + i < 253 + 7 ? AD_ORIGIN_MAX + i : 260] = '\0';
        (void)snprintf(fields, sizeof(fields), "Host: board\r\nOrigin: %s\r\n",
                       host);
        CHECK(add_origin("*"));
        judge(fields, "192.0.2.7", &v);
        CHECK_EQ(v.status, i == 0 ? 0 : 403);
        ad_access_cors(&v, cors);
        CHECK(i == 1 || strstr(cors, "a\r\nVary: Origin\r\n") != NULL);
    }
}

static void test_origin_list(void)
{
    static const char *const bad[] = {"", "null", "board", "http://",
                                      "http://a/", "http://a b", "http://a:0",
                                      "http://a:65536", "http://*.a"};
    char text[64];
    unsigned i;

    reset();
    for (i = 0; i < AD_COUNT(bad); i++) {
        if (add_origin(bad[i])) {
            printf("%s\n", bad[i]);
            CHECK(!"this origin is refused");
        }
    }
    for (i = 0; i < AD_ORIGINS; i++) {
        (void)snprintf(text, sizeof(text), "http://h%u.example", i);
        CHECK(add_origin(text));
    }
    CHECK(!add_origin("http://more.example"));
    CHECK_EQ(status_of("Host: board\r\nOrigin: http://h0.example\r\n",
                       "192.0.2.7"), 0);
    CHECK_EQ(status_of("Host: board\r\nOrigin: http://h15.example\r\n",
                       "192.0.2.7"), 0);
}

/* ---- trusted proxies ---- */

static void test_proxies(void)
{
    static const struct {
        const char *proxy, *peer;
        bool trusted;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"192.0.2.1", "::192.0.2.1", false},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.99/24", "192.0.2.1", true}, /* bits behind the mask */
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"192.0.2.2/31", "192.0.2.3", true},
        {"192.0.2.2/31", "192.0.2.4", false},
        {"192.0.2.2/32", "192.0.2.3", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"0.0.0.0/1", "127.0.0.1", true},
        {"0.0.0.0/1", "128.0.0.1", false},
        {"2001:db8::1", "2001:db8::1", true},
        {"2001:db8::1", "2001:db8::2", false},
        {"2001:db8::/32", "2001:db8:ffff::", true},
        {"2001:db8::/32", "2001:db9::", false},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"2001:db8::2/127", "2001:db8::3", true},
        {"2001:db8::2/128", "2001:db8::3", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", true}, /* IPv4 is a part of it, as ::ffff:0:0/96 */
        {"::ffff:192.0.2.0/120", "192.0.2.9", true},
        {"::ffff:192.0.2.0/120", "192.0.3.9", false},
    };
    static const char *const bad[] = {
        "", "/", "a", "192.0.2", "192.0.2.1/", "192.0.2.1/33", "192.0.2.1/-1",
        "192.0.2.1/x", "192.0.2.1/8/8", "[::1]", "::1/129", "::1/", "fe80::1%lo",
        "192.0.2.1:80", "192.0.2.1 "};
    struct sockaddr_storage peer;
    size_t i;

    for (i = 0; i < AD_COUNT(cases); i++) {
        reset();
        CHECK(add_proxy(cases[i].proxy));
        peer = peer_of(cases[i].peer);
        if (ad_access_trusted(&peer) != cases[i].trusted) {
            printf("%s of %s\n", cases[i].peer, cases[i].proxy);
            CHECK(!"whether this peer is trusted");
        }
    }
    memset(&peer, 0, sizeof(peer));
    CHECK(!ad_access_trusted(&peer)); /* no address */
    reset();
    for (i = 0; i < AD_COUNT(bad); i++) {
        if (add_proxy(bad[i])) {
            printf("%s\n", bad[i]);
            CHECK(!"this proxy is refused");
        }
    }
    for (i = 0; i < AD_PROXIES; i++) {
        CHECK(add_proxy("192.0.2.1"));
    }
    CHECK(!add_proxy("203.0.113.9")); /* one more, and no other is changed */
    peer = peer_of("203.0.113.9");
    CHECK(!ad_access_trusted(&peer));
    peer = peer_of("192.0.2.1");
    CHECK(ad_access_trusted(&peer));
    CHECK_EQ(ad_access.proxies[0].address[12], 192);
}

/* What a proxy says of the page counts from a trusted one alone. */
static void test_forwarded(void)
{
    static const char https[] = "Host: inside:8080\r\n"
                                "X-Forwarded-Proto: https\r\n"
                                "X-Forwarded-Host: board.lan\r\n"
                                "Origin: https://board.lan\r\n";
    static const char other[] = "Host: inside:8080\r\n"
                                "X-Forwarded-Proto: https\r\n"
                                "X-Forwarded-Host: board.lan\r\n"
                                "Origin: http://board.lan\r\n";
    static const char evil[] = "Host: inside:8080\r\n"
                               "X-Forwarded-Host: evil.example\r\n";
    static const char standard[] = "Host: inside:8080\r\n"
                                   "Forwarded: proto=https;host=board.lan\r\n"
                                   "Origin: https://board.lan\r\n";
    static const char hidden[] = "Host: inside:8080\r\n"
                                 "Forwarded: host=board.lan\r\n"
                                 "X-Forwarded-Host: evil.example\r\n";
    static const char garbled[] = "Host: inside:8080\r\n"
                                  "Forwarded: nonsense\r\n"
                                  "X-Forwarded-Host: evil.example\r\n";
    static const char both[] = "Host: inside:8080\r\n"
                               "Forwarded: host=board.lan\r\n"
                               "X-Forwarded-Host: board.lan\r\n";

    reset();
    CHECK(add_proxy("192.0.2.0/24"));
    CHECK_EQ(status_of(hidden, "192.0.2.7"), 421);
    CHECK_EQ(status_of(garbled, "192.0.2.7"), 421);
    CHECK_EQ(status_of(both, "192.0.2.7"), 0);
    CHECK_EQ(status_of(https, "192.0.2.7"), 0);
    CHECK_EQ(status_of(https, "::ffff:192.0.2.7"), 0);
    CHECK_EQ(status_of(https, "192.0.3.7"), 403);
    CHECK_EQ(status_of(other, "192.0.2.7"), 403);
    CHECK_EQ(status_of(standard, "192.0.2.7"), 0);
    CHECK_EQ(status_of(standard, "192.0.3.7"), 403);
    CHECK_EQ(status_of(evil, "192.0.2.7"), 421);
    CHECK_EQ(status_of(evil, "192.0.3.7"), 0); /* Host itself is all right */
}

/* A refusal is logged once in AD_ACCESS_LOG_MS. */
static unsigned logged;
static void count_line(enum aidash_log_level level, const char *line, void *user)
{
    (void)user;
    CHECK_EQ(level, AIDASH_LOG_WARN);
    logged += strncmp(line, "refused: evil.example is not", 28) == 0;
}

static void test_report(void)
{
    struct ad_access_verdict v;

    reset();
    ad_log_to(AIDASH_LOG_WARN, count_line, NULL);
    judge("Host: evil.example\r\n", "192.0.2.7", &v);
    ad_access_report(&v);
    ad_access_report(&v);
    CHECK_EQ(logged, 1);
    ad_hub.now_ms += AD_ACCESS_LOG_MS - 1;
    ad_access_report(&v);
    CHECK_EQ(logged, 1);
    ad_hub.now_ms += 1;
    ad_log_to(AIDASH_LOG_WARN, count_line, NULL); /* which forgets the lines of the last second */
    ad_access_report(&v);
    CHECK_EQ(logged, 2);
}

/* Who is on this machine: the peer, Host and the absence of a proxy, all three. And
 * whose cookies count. */
static void test_local(void)
{
    static const struct {
        const char *fields, *from;
        bool local, own;
    } rows[] = {
        {"Host: localhost\r\n", "127.0.0.1", true, true},
        {"Host: localhost.:8080\r\n", "127.0.0.1", true, true},
        {"Host: a.localhost\r\n", "::1", true, true},
        {"Host: 127.0.0.1:8080\r\n", "127.9.9.9", true, true},
        {"Host: [::1]:8080\r\n", "::1", true, true},
        {"Host: [::ffff:127.0.0.1]\r\n", "::ffff:127.0.0.1", true, true},
        {"Host: localhost\r\n", "192.0.2.7", false, true},
        {"Host: 127.0.0.1\r\n", "::ffff:192.0.2.7", false, true},
        {"Host: localhost\r\n", "fe80::1", false, true},
        {"Host: board.local\r\n", "127.0.0.1", false, true},
        {"Host: 192.0.2.7\r\n", "127.0.0.1", false, true},
        {"Host: [::2]\r\n", "::1", false, true},
        {"Host: localhost\r\nX-Forwarded-For: 192.0.2.7\r\n", "127.0.0.1", false,
         true},
        {"Host: localhost\r\nX-Forwarded-For:\r\n", "127.0.0.1", false, true},
        {"Host: localhost\r\nx-forwarded-anything: 1\r\n", "127.0.0.1", false, true},
        {"Host: localhost\r\nForwarded: for=192.0.2.7\r\n", "127.0.0.1", false, true},
        {"Host: localhost\r\nVia: 1.1 proxy\r\n", "127.0.0.1", false, true},
        {"Host: localhost\r\nX-Real-IP: 192.0.2.7\r\n", "127.0.0.1", false, true},
        {"Host: localhost\r\nOrigin: http://localhost\r\n", "127.0.0.1", true, true},
        {"Host: localhost\r\nOrigin: http://page.example\r\n", "127.0.0.1", true,
         false},
        {"Host: localhost\r\nSec-Fetch-Site: same-origin\r\n", "127.0.0.1", true, true},
        {"Host: localhost\r\nSec-Fetch-Site: none\r\n", "127.0.0.1", true, true},
        {"Host: localhost\r\nSec-Fetch-Site: same-site\r\n", "127.0.0.1", true, false},
        {"Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", "127.0.0.1", true, false},
    };
    struct ad_access_verdict v;
    size_t i;

    reset();
    CHECK(add_origin("http://page.example"));
    for (i = 0; i < AD_COUNT(rows); i++) {
        judge(rows[i].fields, rows[i].from, &v);
        CHECK_EQ(v.status, 0);
        CHECK_EQ(v.local, rows[i].local);
        CHECK_EQ(v.own, rows[i].own);
    }
    CHECK(add_proxy("127.0.0.1")); /* a proxy that is trusted lends its rights to nobody */
    judge("Host: localhost\r\nX-Forwarded-For: 127.0.0.1\r\n", "127.0.0.1", &v);
    CHECK(!v.local);
}

int main(void)
{
    test_local();
    test_hosts();
    test_host_sentence();
    test_host_list();
    test_own_names();
    test_origins();
    test_origin_answers();
    test_origin_list();
    test_proxies();
    test_forwarded();
    test_report();
    return check_report();
}
