/* What clients have used, and quotas: with clocks of our own, a table of four rows,
 * and time zones by their rules (POSIX TZ), so that no zone file is needed. */
#define AIDASH_TOTALS 4
#include "../src/meter/identity.c"
#include "../src/meter/quota.c"
#include "../src/meter/usage.c"
#include "check.h"

static struct ad_totals_time now;

static void advance(uint64_t s)
{
    now.elapsed_ns += s * AD_NS_PER_S;
    now.unix_us += s * 1000000;
}

/* The run begins at this Unix time, `up` seconds after the machine's start. */
static void begin(const char *zone, uint64_t unix_s, uint64_t up)
{
    CHECK(setenv("TZ", zone, 1) == 0);
    memset(&ad_hub, 0, sizeof(ad_hub));
    now.elapsed_ns = up * AD_NS_PER_S;
    now.unix_us = unix_s * 1000000;
    ad_totals_init(&now);
    ad_quota_init();
    ad_access_init();
}

static struct ad_totals_client who(const char *address, const char *key,
                                   const char *agent)
{
    struct ad_totals_client c;

    memset(&c, 0, sizeof(c));
    if (inet_pton(AF_INET6, address, c.ip) != 1) {
        memset(c.ip + 10, 0xFF, 2);
        CHECK(inet_pton(AF_INET, address, c.ip + 12) == 1);
    }
    (void)snprintf(c.address, sizeof(c.address), "%s", address);
    (void)snprintf(c.key, sizeof(c.key), "%s", key);
    (void)snprintf(c.agent, sizeof(c.agent), "%s", agent);
    return c;
}

static void add(const char *address, const char *agent, const char *model,
                uint64_t prompt, uint64_t completion)
{
    struct ad_totals_client c = who(address, "", agent);
    struct ad_usage u = {{0}};

    u.n[AD_USAGE_REQUESTS] = 1;
    u.n[AD_USAGE_PROMPT] = prompt;
    u.n[AD_USAGE_COMPLETION] = completion;
    u.n[AD_USAGE_US] = 1500000;
    ad_totals_add(&now, &c, model, &u);
    ad_quota_charge(&now, &c, ad_usage_tokens(&u));
}

static uint64_t tokens(enum ad_usage_span span)
{
    struct ad_usage sum;

    ad_totals_turn(&now);
    sum = ad_totals_sum(span);
    return ad_usage_tokens(&sum);
}

#define NOON_UTC 1764158400u /* 2025-11-26 12:00:00 UTC */

/* ---- rows ---- */

static void test_rows(void)
{
    struct ad_usage sum;

    begin("UTC0", NOON_UTC, 100);
    add("10.0.0.1", "curl", "m", 10, 1);
    add("10.0.0.1", "curl", "m", 10, 1);
    add("10.0.0.1", "curl", "n", 5, 2);
    add("10.0.0.2", "curl", "m", 3, 4);
    add("10.0.0.1", "node", "m", 7, 0);
    CHECK_EQ(ad_totals.n, 4);
    CHECK_EQ(ad_totals.rows[0].all.n[AD_USAGE_REQUESTS], 2);
    CHECK_EQ(ad_totals.rows[0].all.n[AD_USAGE_PROMPT], 20);
    CHECK_EQ(tokens(AD_SPAN_ALL), 43);

    CHECK(ad_totals_group(AD_PER_CLIENT, AD_SPAN_ALL, 0, &sum));
    CHECK_EQ(sum.n[AD_USAGE_PROMPT], 25);
    CHECK_EQ(sum.n[AD_USAGE_REQUESTS], 3);
    CHECK(!ad_totals_group(AD_PER_CLIENT, AD_SPAN_ALL, 1, &sum));
    CHECK(ad_totals_group(AD_PER_ADDRESS, AD_SPAN_ALL, 0, &sum));
    CHECK_EQ(sum.n[AD_USAGE_PROMPT], 32);
    CHECK(ad_totals_group(AD_PER_MODEL, AD_SPAN_ALL, 0, &sum));
    CHECK_EQ(sum.n[AD_USAGE_PROMPT], 30);
    CHECK(ad_totals_group(AD_PER_MODEL, AD_SPAN_ALL, 1, &sum));
    CHECK_EQ(sum.n[AD_USAGE_PROMPT], 5);
    CHECK(ad_totals_group(AD_PER_AGENT, AD_SPAN_ALL, 0, &sum));
    CHECK_EQ(sum.n[AD_USAGE_PROMPT], 28);
    CHECK(ad_totals_group(AD_PER_KEY, AD_SPAN_ALL, 0, &sum));
    CHECK_EQ(sum.n[AD_USAGE_REQUESTS], 5);
}

/* All rows are taken: the one with the fewest tokens gives way, in all spans. */
static void test_give_way(void)
{
    struct ad_usage others;
    unsigned i;

    begin("UTC0", NOON_UTC, 100);
    add("10.0.0.1", "", "m", 40, 0);
    add("10.0.0.2", "", "m", 10, 0);
    add("10.0.0.3", "", "m", 30, 0);
    add("10.0.0.4", "", "m", 20, 0);
    CHECK_EQ(ad_totals.others.all.n[AD_USAGE_REQUESTS], 0);
    add("10.0.0.5", "", "m", 5, 1);
    CHECK_EQ(ad_totals.n, 4);
    CHECK_STR(ad_totals.rows[1].who.address, "10.0.0.5");
    CHECK_EQ(tokens(AD_SPAN_ALL), 106);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 106);
    CHECK_EQ(tokens(AD_SPAN_24H), 106);
    for (i = AD_SPAN_TODAY; i <= AD_SPAN_ALL; i++) {
        others = ad_totals_read(&ad_totals.others, (enum ad_usage_span)i);
        CHECK_EQ(others.n[AD_USAGE_REQUESTS], 1);
        CHECK_EQ(others.n[AD_USAGE_PROMPT], 10);
    }
    /* Newcomers push out each other, and none of those that use much. */
    for (i = 0; i < 1000; i++) {
        char address[32];

        (void)snprintf(address, sizeof(address), "10.1.%u.%u", i / 256, i % 256);
        add(address, "", "m", 1, 0);
    }
    CHECK_EQ(tokens(AD_SPAN_ALL), 1106);
    CHECK_STR(ad_totals.rows[0].who.address, "10.0.0.1");
    CHECK_STR(ad_totals.rows[2].who.address, "10.0.0.3");
    CHECK_STR(ad_totals.rows[3].who.address, "10.0.0.4");
    CHECK_EQ(ad_totals_sum(AD_SPAN_ALL).n[AD_USAGE_REQUESTS], 1005);
    /* Others age, too. */
    advance(24 * 3600);
    CHECK_EQ(tokens(AD_SPAN_24H), 0);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 0);
    CHECK_EQ(tokens(AD_SPAN_ALL), 1106);
}

static void test_saturation(void)
{
    begin("UTC0", NOON_UTC, 100);
    add("10.0.0.1", "", "m", UINT64_MAX - 1, 5);
    add("10.0.0.1", "", "m", 1, 0);
    CHECK(ad_totals.rows[0].all.n[AD_USAGE_PROMPT] == UINT64_MAX);
    add("10.0.0.1", "", "m", UINT64_MAX, 0);
    CHECK(ad_totals.rows[0].all.n[AD_USAGE_PROMPT] == UINT64_MAX);
    CHECK(ad_usage_tokens(&ad_totals.rows[0].all) == UINT64_MAX);
    add("10.0.0.2", "", "m", 7, 0);
    CHECK(tokens(AD_SPAN_ALL) == UINT64_MAX);
    CHECK(tokens(AD_SPAN_TODAY) == UINT64_MAX);
    CHECK_EQ(ad_totals.rows[0].all.n[AD_USAGE_COMPLETION], 5);
}

/* ---- hours ---- */

static void test_hours(void)
{
    unsigned i;

    begin("UTC0", NOON_UTC, 0);
    for (i = 0; i < 24; i++) { /* one an hour: all are in the last 24 h */
        add("10.0.0.1", "", "m", 1u << i, 0);
        if (i < 23) {
            advance(3600);
        }
    }
    CHECK_EQ(tokens(AD_SPAN_24H), (1 << 24) - 1);
    advance(3599);
    CHECK_EQ(tokens(AD_SPAN_24H), (1 << 24) - 1);
    advance(1);
    CHECK_EQ(tokens(AD_SPAN_24H), (1 << 24) - 2); /* the oldest hour is over */
    CHECK_EQ(ad_totals_from_us(AD_SPAN_24H), (NOON_UTC + 3600) * 1000000ull);
    advance(2 * 3600);
    CHECK_EQ(tokens(AD_SPAN_24H), (1 << 24) - 8);
    advance(20 * 3600);
    CHECK_EQ(tokens(AD_SPAN_24H), 1 << 23);
    advance(3600);
    CHECK_EQ(tokens(AD_SPAN_24H), 0);
    add("10.0.0.1", "", "m", 3, 0);
    advance(1000 * 3600); /* it slept for weeks */
    CHECK_EQ(tokens(AD_SPAN_24H), 0);
    CHECK_EQ(tokens(AD_SPAN_ALL), (1 << 24) + 2);
}

/* ---- days ---- */

static void test_midnight(void)
{
    begin("UTC0", NOON_UTC, 50);
    CHECK_EQ(ad_totals_from_us(AD_SPAN_TODAY), NOON_UTC * 1000000ull);
    add("10.0.0.1", "", "m", 1, 0);
    advance(12 * 3600 - 1);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 1);
    add("10.0.0.1", "", "m", 2, 0);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 3);
    advance(1);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 0);
    CHECK_EQ(ad_totals_from_us(AD_SPAN_TODAY), (NOON_UTC + 12 * 3600) * 1000000ull);
    add("10.0.0.1", "", "m", 4, 0);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 4);
    CHECK_EQ(tokens(AD_SPAN_24H), 7);
    advance(5 * 86400);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 0);
    CHECK_EQ(tokens(AD_SPAN_ALL), 7);
}

/* Seconds from `unix_s` to the midnight that ends its day there. */
static uint64_t left_of(const char *zone, time_t unix_s)
{
    time_t began, ends;

    CHECK(setenv("TZ", zone, 1) == 0);
    tzset();
    ad_day_of(unix_s, &began, &ends);
    CHECK(began <= unix_s && unix_s < ends);
    return (uint64_t)(ends - began);
}

static void test_long_days(void)
{
    static const char berlin[] = "CET-1CEST,M3.5.0,M10.5.0/3",
                      no_midnight[] = "BRT3BRST,M10.3.0/0,M2.3.0/0",
                      two_midnights[] = "CST5CDT,M3.2.0/0,M11.1.0/1",
                      half_hour[] = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0";

    CHECK_EQ(left_of(berlin, NOON_UTC), 24 * 3600);
    CHECK_EQ(left_of(berlin, 1743296400), 23 * 3600); /* 2025-03-30 */
    CHECK_EQ(left_of(berlin, 1761433200), 25 * 3600); /* 2025-10-26, 01:00 CEST */
    CHECK_EQ(left_of(berlin, 1761440400), 25 * 3600); /* the second 02:00 */
    CHECK_EQ(left_of(no_midnight, 1760889600), 23 * 3600); /* 2025-10-19 */
    CHECK_EQ(left_of(no_midnight, 1739664000), 25 * 3600); /* 2025-02-15, to the
                                                            * second 24:00 */
    CHECK_EQ(left_of(two_midnights, 1762059600), 25 * 3600); /* 2025-11-02 */
    CHECK_EQ(left_of(half_hour, 1759582800), 24 * 3600); /* 2025-10-05 */
    CHECK_EQ(left_of("UTC0", 5), 24 * 3600); /* in 1970 */

    /* A day of 25 hours is one day. */
    begin(berlin, 1761429600, 100); /* 00:00 CEST */
    add("10.0.0.1", "", "m", 1, 0);
    advance(25 * 3600 - 1);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 1);
    advance(1);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 0);
}

/* ---- the clock is set ---- */

static void set_clock(uint64_t unix_s)
{
    now.unix_us = unix_s * 1000000;
}

static void test_from_1970(void)
{
    begin("UTC0", 10, 10);
    add("10.0.0.1", "", "m", 1, 0);
    advance(300);
    set_clock(NOON_UTC);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 1); /* it was not before midnight */
    CHECK_EQ(tokens(AD_SPAN_24H), 1);
    CHECK_EQ(ad_totals_from_us(AD_SPAN_TODAY), (NOON_UTC - 300) * 1000000ull);
    add("10.0.0.1", "", "m", 2, 0);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 3);
    advance(12 * 3600);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 0);
    CHECK_EQ(tokens(AD_SPAN_24H), 3);

    /* Three hours in 1970, and then it is five minutes past midnight: what was
     * used in hours that were over by then is of yesterday. */
    begin("UTC0", 0, 0);
    add("10.0.0.1", "", "m", 1, 0);
    advance(3 * 3600 - 60);
    add("10.0.0.1", "", "m", 2, 0);
    advance(120);
    set_clock(NOON_UTC + 12 * 3600 + 300);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 2);
    CHECK_EQ(tokens(AD_SPAN_24H), 3);
}

static void test_steps(void)
{
    /* Back over midnight: it is yesterday again, with all that was used then. */
    begin("UTC0", NOON_UTC, 1000);
    add("10.0.0.1", "", "m", 1, 0);
    advance(12 * 3600 + 60);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 0);
    add("10.0.0.1", "", "m", 2, 0);
    set_clock(NOON_UTC + 12 * 3600 - 300);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 3);
    advance(300);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 0);

    /* Within a day nothing changes, however often. */
    begin("UTC0", NOON_UTC, 1000);
    add("10.0.0.1", "", "m", 1, 0);
    advance(11 * 3600);
    set_clock(NOON_UTC + 10 * 3600 + 1800);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 1);
    set_clock(NOON_UTC + 11 * 3600);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 1);

    /* Steps of a second, as of a clock that is corrected, are none. */
    set_clock(NOON_UTC + 12 * 3600 - 1);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 1);
    set_clock(NOON_UTC + 12 * 3600);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 0);
    add("10.0.0.1", "", "m", 5, 0);
    set_clock(NOON_UTC + 12 * 3600 - 1);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 5); /* the day that began has begun */
    set_clock(NOON_UTC + 12 * 3600 + 2);
    CHECK_EQ(tokens(AD_SPAN_TODAY), 5);

    /* Ahead by years and back. */
    set_clock(NOON_UTC + 5 * 365 * 86400u);
    CHECK_EQ(tokens(AD_SPAN_ALL), 6);
    CHECK_EQ(tokens(AD_SPAN_24H), 6);
    set_clock(NOON_UTC + 12 * 3600 + 5);
    CHECK_EQ(tokens(AD_SPAN_24H), 6);
    CHECK_EQ(tokens(AD_SPAN_ALL), 6);
    /* To 1970, where there is nothing before the epoch. */
    set_clock(3);
    CHECK_EQ(tokens(AD_SPAN_ALL), 6);
    CHECK_EQ(ad_totals_from_us(AD_SPAN_ALL), 0);
}

/* Whatever the clock does: nothing that was counted is lost, no span has more than
 * all, and what was used in the last hour is of the last 24. */
static void test_random_clocks(void)
{
    static const uint64_t jumps[] = {0, 3, 59, 61, 3599, 3601, 86399, 86401,
                                     NOON_UTC, 2 * NOON_UTC};
    uint32_t x = 20261126;
    uint64_t all = 0, recent = 0;
    unsigned i;

    begin("CET-1CEST,M3.5.0,M10.5.0/3", NOON_UTC, 1234);
    for (i = 0; i < 20000; i++) {
        uint64_t jump, n;
        char address[32];

        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        jump = jumps[x % AD_COUNT(jumps)];
        n = x >> 20;
        if ((x >> 8) % 16 == 0) { /* the clock is set */
            now.unix_us = (x >> 9) % 2 == 0 || now.unix_us < jump * 1000000
                              ? (now.unix_us + jump * 1000000) % (1ull << 52)
                              : now.unix_us - jump * 1000000;
        } else if ((x >> 8) % 16 == 1) {
            advance(jump % 100000);
            recent = 0;
        }
        (void)snprintf(address, sizeof(address), "10.0.0.%u", (x >> 12) % 9);
        add(address, "", "m", n, 0);
        all += n;
        recent += n;
        if (tokens(AD_SPAN_ALL) != all || tokens(AD_SPAN_24H) < recent ||
            tokens(AD_SPAN_24H) > all || tokens(AD_SPAN_TODAY) > all ||
            ad_totals.from_ns < ad_totals.start_ns ||
            ad_totals.from_ns > now.elapsed_ns ||
            ad_totals.day_end_us + AD_TOTALS_STEP_US < now.unix_us) {
            CHECK_EQ(i, -1);
            return;
        }
    }
    CHECK_EQ(ad_totals_sum(AD_SPAN_ALL).n[AD_USAGE_REQUESTS], 20000);
}

/* ---- who asks ---- */

static struct ad_http_head head;

static void parse(const char *fields)
{
    static char text[4096];
    static struct ad_http_field store[32];
    int len = snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n",
                       fields);

    CHECK_EQ(ad_http_parse_request(&head, text, (size_t)len, store, 32),
             AD_HTTP_OK);
}

static struct ad_totals_client identified(const char *fields, const char *from)
{
    struct sockaddr_storage peer;
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&peer;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&peer;
    static const struct ad_grant nobody;
    struct ad_totals_client c;

    memset(&peer, 0, sizeof(peer));
    peer.ss_family = AF_INET;
    if (inet_pton(AF_INET, from, &v4->sin_addr) != 1) {
        peer.ss_family = AF_INET6;
        CHECK(inet_pton(AF_INET6, from, &v6->sin6_addr) == 1);
    }
    parse(fields);
    ad_identify(&head, &peer, &nobody, &c);
    return c;
}

/* A key of aidash's own has a name, whatever text it is in the head. */
static void test_identity_named(void)
{
    struct ad_grant grant = {AD_MAY_INFER, "Anna's phone", 1, 0};
    struct sockaddr_storage peer;
    struct ad_totals_client c;

    memset(&peer, 0, sizeof(peer));
    parse("Authorization: Bearer sk-test\r\n");
    ad_identify(&head, &peer, &grant, &c);
    CHECK_STR(c.key, "Anna's phone");
    CHECK(c.named);
    grant.name[0] = '\0';
    ad_identify(&head, &peer, &grant, &c);
    CHECK_STR(c.key, "f3abf2a6");
    CHECK(!c.named);
}

static void test_identity(void)
{
    static const struct {
        const char *fields, *key, *agent;
    } rows[] = {
        {"", "", ""},
        {"User-Agent: OpenAI/JS 4.20.0\r\n", "", "OpenAI"},
        {"User-Agent: ollama-js/0.5.9 (x64 linux Node.js/v20)\r\n", "", "ollama-js"},
        {"User-Agent: curl\r\n", "", "curl"},
        {"User-Agent: (comment) curl/1\r\n", "", ""},
        {"User-Agent: =HYPERLINK(\"http://x\")\r\n", "", ""},
        {"User-Agent: +cmd|' /C calc'!A0\r\n", "", "+cmd|'"},
        {"User-Agent: <script>alert(1)</script>\r\n", "", ""},
        {"User-Agent: 12345678901234567890123456789012xyz/1\r\n", "",
         "12345678901234567890123456789012"},
        {"User-Agent:\r\n", "", ""},
        /* sk-test: printf %s sk-test | sha256sum */
        {"Authorization: Bearer sk-test\r\n", "f3abf2a6", ""},
        {"authorization: bearer   sk-test \r\n", "f3abf2a6", ""},
        {"x-api-key: sk-test\r\n", "f3abf2a6", ""},
        {"X-Api-Key: other\r\nAuthorization: Bearer sk-test\r\n", "f3abf2a6", ""},
        {"X-Api-Key: sk-test\r\nAuthorization: Basic YTpi\r\n", "f3abf2a6", ""},
        {"Authorization: Bearer \r\n", "", ""},
        {"Authorization: Bearer\r\n", "", ""},
        {"Authorization: Basic YTpi\r\n", "", ""}};
    struct ad_totals_client c;
    unsigned i;

    begin("UTC0", NOON_UTC, 100);
    for (i = 0; i < AD_COUNT(rows); i++) {
        c = identified(rows[i].fields, "192.0.2.1");
        CHECK_STR(c.key, rows[i].key);
        CHECK_STR(c.agent, rows[i].agent);
        CHECK_STR(c.address, "192.0.2.1");
    }
    CHECK_STR(identified("", "::ffff:192.0.2.1").address, "192.0.2.1");
    CHECK_STR(identified("", "2001:db8::1").address, "2001:db8::1");
}

static void test_forwarded(void)
{
    static const struct {
        const char *fields, *address;
    } rows[] = {
        {"", "192.0.2.1"},
        {"X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9"},
        {"X-Forwarded-For: 1.1.1.1, 203.0.113.9\r\n", "203.0.113.9"},
        {"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 203.0.113.9\r\n",
         "203.0.113.9"},
        {"X-Forwarded-For: 1.1.1.1, 203.0.113.9, 192.0.2.7\r\n", "203.0.113.9"},
        {"X-Forwarded-For: 192.0.2.8, 192.0.2.7\r\n", "192.0.2.8"},
        {"X-Forwarded-For: 203.0.113.9:4711\r\n", "203.0.113.9"},
        {"X-Forwarded-For: 2001:db8::9\r\n", "2001:db8::9"},
        {"X-Forwarded-For: [2001:db8::9]:4711\r\n", "2001:db8::9"},
        {"X-Forwarded-For: ::ffff:203.0.113.9\r\n", "203.0.113.9"},
        {"X-Forwarded-For: unknown\r\n", "192.0.2.1"},
        {"X-Forwarded-For: 203.0.113.9, evil\r\n", "192.0.2.1"},
        {"X-Forwarded-For: ,,\r\n", "192.0.2.1"},
        {"Forwarded: for=203.0.113.9;proto=http\r\n", "203.0.113.9"},
        {"Forwarded: proto=http;For=\"[2001:db8:cafe::17]:4711\"\r\n",
         "2001:db8:cafe::17"},
        {"Forwarded: for=1.1.1.1, for=203.0.113.9\r\n", "203.0.113.9"},
        {"Forwarded: for=_hidden\r\n", "192.0.2.1"},
        {"Forwarded: for=\"unfinished\r\n", "192.0.2.1"},
        {"Forwarded: proto=http\r\n", "192.0.2.1"},
        /* Both: one may be the client's own invention. */
        {"Forwarded: for=203.0.113.9\r\nX-Forwarded-For: 203.0.113.9\r\n",
         "203.0.113.9"},
        {"Forwarded: for=1.1.1.1\r\nX-Forwarded-For: 203.0.113.9\r\n",
         "192.0.2.1"}};
    unsigned i;

    begin("UTC0", NOON_UTC, 100);
    CHECK(ad_access_add_proxy("192.0.2.0/24", 12));
    for (i = 0; i < AD_COUNT(rows); i++) {
        CHECK_STR(identified(rows[i].fields, "192.0.2.1").address, rows[i].address);
    }
    /* Nobody else is believed. */
    CHECK_STR(identified(rows[1].fields, "198.51.100.1").address, "198.51.100.1");
}

/* ---- quotas ---- */

static bool quota(const char *text)
{
    return ad_quota_add(text, strlen(text));
}

static unsigned n_lines;
static char last_line[256];
static void on_log(enum aidash_log_level level, const char *line, void *user)
{
    (void)user;
    CHECK_EQ(level, AIDASH_LOG_WARN);
    n_lines++;
    (void)snprintf(last_line, sizeof(last_line), "%s", line);
}

/* Seconds to wait; 0: it may. */
static uint32_t over(const char *address, const char *key, const char *agent)
{
    struct ad_totals_client c = who(address, key, agent);
    char why[AD_QUOTA_WHY_MAX];

    return ad_quota_over(&now, &c, why);
}

static void spend(const char *address, const char *key, const char *agent,
                  uint64_t n)
{
    struct ad_totals_client c = who(address, key, agent);

    ad_totals_turn(&now);
    ad_quota_charge(&now, &c, n);
}

static void test_quota_list(void)
{
    static const char *const good[] = {
        "10.0.0.1=5", "10.0.0.0/8=0", "*=1000000000000000", "2001:db8::1=5/day",
        "2001:db8::/32=5/Day", "key:0123ABcd=5", "key:Anna's phone=5", "agent:OpenAI=5",
        "0.0.0.0/0=1", "::/0=1"};
    static const char *const bad[] = {
        "", "=", "*", "*=", "*=x", "*=-1", "*=1.5", "*=1000000000000001",
        "*=5/hour", "=5", "10.0.0=5", "10.0.0.1/33=5", "10.0.0.1/=5", "::1/129=5",
        "board.lan=5", "key:=5", "key:\x7F=5", "agent:=5", "agent:a b=5", "agent:a/1=5",
        "agent:123456789012345678901234567890123=5", "**=5", "*/8=5"};
    unsigned i;

    begin("UTC0", NOON_UTC, 100);
    for (i = 0; i < AD_COUNT(good); i++) {
        CHECK(quota(good[i]));
    }
    for (i = 0; i < AD_COUNT(bad); i++) {
        CHECK(!quota(bad[i]));
    }
    CHECK_EQ(ad_quotas.n, AD_COUNT(good));
    CHECK_EQ(ad_quotas.list[2].limit, 1000000000000000);
    CHECK_EQ(ad_quotas.list[3].bits, 64);
    CHECK_STR(ad_quotas.list[5].name, "0123abcd");
    CHECK_STR(ad_quotas.list[6].name, "Anna's phone");
    while (ad_quotas.n < AD_QUOTAS) {
        CHECK(quota("*=1"));
    }
    CHECK(!quota("*=1"));
}

static void test_quota_edge(void)
{
    begin("UTC0", NOON_UTC, 100);
    CHECK_EQ(over("10.0.0.1", "", ""), 0); /* none is set */
    spend("10.0.0.1", "", "", 1000);
    CHECK_EQ(ad_quotas.n_addresses, 0);
    CHECK(quota("*=100"));
    spend("10.0.0.1", "", "", 99);
    CHECK_EQ(over("10.0.0.1", "", ""), 0);
    spend("10.0.0.1", "", "", 1);
    CHECK_EQ(over("10.0.0.1", "", ""), 12 * 3600 + 1);
    CHECK_EQ(over("10.0.0.2", "", ""), 0); /* each address on its own */
    advance(12 * 3600 - 1);
    CHECK_EQ(over("10.0.0.1", "", ""), 2);
    advance(1);
    CHECK_EQ(over("10.0.0.1", "", ""), 0);
    spend("10.0.0.1", "", "", 100);
    CHECK(over("10.0.0.1", "", "") > 0);
    /* The clock is set back over midnight: it is not free again for that. */
    set_clock(NOON_UTC);
    CHECK(over("10.0.0.1", "", "") > 0);

    begin("UTC0", NOON_UTC, 100);
    CHECK(quota("10.0.0.1=0"));
    CHECK(over("10.0.0.1", "", "") > 0);
    CHECK_EQ(over("10.0.0.2", "", ""), 0);
}

static void test_quota_choice(void)
{
    begin("UTC0", NOON_UTC, 100);
    CHECK(quota("*=10") && quota("10.0.0.0/8=20") && quota("10.0.0.1=30") &&
          quota("key:0123abcd=40") && quota("agent:OpenAI=50"));
    spend("10.0.0.1", "", "", 29);
    spend("10.0.0.2", "", "", 19);
    spend("192.0.2.1", "", "", 9);
    CHECK_EQ(over("10.0.0.1", "", ""), 0);
    CHECK_EQ(over("10.0.0.2", "", ""), 0);
    CHECK_EQ(over("192.0.2.1", "", ""), 0);
    spend("10.0.0.1", "", "", 1);
    spend("10.0.0.2", "", "", 1);
    spend("192.0.2.1", "", "", 1);
    CHECK(over("10.0.0.1", "", "") > 0);
    CHECK(over("10.0.0.2", "", "") > 0);
    CHECK(over("192.0.2.1", "", "") > 0);

    /* A key and a program: together, from wherever. */
    begin("UTC0", NOON_UTC, 100);
    CHECK(quota("key:0123abcd=40") && quota("agent:OpenAI=50"));
    spend("10.0.0.1", "0123abcd", "a", 20);
    spend("10.0.0.2", "0123abcd", "OpenAI", 19);
    CHECK_EQ(over("10.0.0.3", "0123abcd", "x"), 0);
    spend("10.0.0.2", "0123abcd", "OpenAI", 1);
    CHECK(over("10.0.0.3", "0123abcd", "x") > 0);
    CHECK_EQ(over("10.0.0.3", "", "OpenAI"), 0);
    spend("10.0.0.9", "", "OpenAI", 30);
    CHECK(over("10.0.0.3", "", "OpenAI") > 0);
    CHECK_EQ(over("10.0.0.3", "", "openai"), 0);

    /* A subscriber has a network of 64 bits. */
    begin("UTC0", NOON_UTC, 100);
    CHECK(quota("*=10"));
    spend("2001:db8::1", "", "", 5);
    spend("2001:db8::2", "", "", 5);
    CHECK(over("2001:db8::3", "", "") > 0);
    CHECK_EQ(over("2001:db8:0:1::3", "", ""), 0);
}

/* All entries are taken: the address that used the least gives way. */
static void test_quota_full(void)
{
    char address[32];
    unsigned i;

    begin("UTC0", NOON_UTC, 100);
    CHECK(quota("*=100"));
    for (i = 0; i < AIDASH_TOTALS; i++) {
        (void)snprintf(address, sizeof(address), "10.0.0.%u", i);
        spend(address, "", "", 100 + i);
    }
    for (i = 0; i < 100; i++) {
        (void)snprintf(address, sizeof(address), "10.1.0.%u", i);
        CHECK_EQ(over(address, "", ""), 0);
        spend(address, "", "", 1);
    }
    CHECK_EQ(ad_quotas.n_addresses, AIDASH_TOTALS);
    CHECK(over("10.0.0.1", "", "") > 0);
    CHECK(over("10.0.0.3", "", "") > 0);
}

static void test_quota_log(void)
{
    begin("UTC0", NOON_UTC, 100);
    ad_log_to(AIDASH_LOG_WARN, on_log, NULL);
    CHECK(quota("*=5"));
    spend("10.0.0.1", "", "", 5);
    spend("10.0.0.2", "", "", 5);
    CHECK(over("10.0.0.1", "0123abcd", "curl") > 0);
    CHECK(over("10.0.0.1", "", "") > 0);
    CHECK_EQ(n_lines, 1);
    CHECK_STR(last_line, "refused a request of 10.0.0.1, key 0123abcd, curl: the "
                         "quota of this address is used up: 5 tokens a day, until "
                         "midnight");
    CHECK(over("10.0.0.2", "", "") > 0);
    CHECK_EQ(n_lines, 2);
    ad_hub.now_ms += AD_QUOTA_LOG_MS - 1;
    CHECK(over("10.0.0.1", "", "") > 0);
    CHECK_EQ(n_lines, 2);
    ad_hub.now_ms++;
    CHECK(over("10.0.0.1", "", "") > 0);
    CHECK_EQ(n_lines, 3);
    ad_log_to(AIDASH_LOG_WARN, NULL, NULL);
}

/* ---- the answer ---- */

/* All of it, in pieces as small as a buffer. */
static const char *answer(enum ad_usage_by by, enum ad_usage_span span, bool csv)
{
    static char all[65536];
    struct ad_usage_ask ask = {by, span, csv};
    struct ad_pending *p = &ad_pending[0];
    size_t len = 0;

    memset(p, 0, sizeof(*p));
    p->last = ad_usage_packed(&ask);
    p->more = ad_usage_more;
    while (p->more != NULL) {
        p->more(p);
        CHECK(p->len > 0 && len + p->len < sizeof(all));
        memcpy(all + len, ad_pending_buffer(p), p->len);
        len += p->len;
    }
    all[len] = '\0';
    return all;
}

#define CHECK_HAS(got, text) CHECK(strstr((got), (text)) != NULL)

static void test_answer(void)
{
    const char *got;

    begin("UTC0", NOON_UTC, 100);
    now = ad_totals_now(); /* the answer reads the real clocks */
    ad_totals_init(&now);
    got = answer(AD_PER_ROW, AD_SPAN_ALL, false);
    CHECK_HAS(got, "\"rows\":[],\"others\":{\"requests\":0,");
    add("10.0.0.1", "curl", "a \"model\"", 10, 3);
    add("10.0.0.1", "-x", "=1+1", 2, 1);
    got = answer(AD_PER_ROW, AD_SPAN_TODAY, false);
    CHECK_HAS(got, "{\"by\":\"row\",\"span\":\"today\",\"since\":");
    CHECK_HAS(got, "\"rows_max\":4,\"rows\":[{\"client\":\"10.0.0.1\",\"key\":\"\","
                   "\"agent\":\"curl\",\"model\":\"a \\\"model\\\"\",\"requests\":1,"
                   "\"errors\":0,\"refused\":0,\"prompt_tokens\":10,"
                   "\"cached_tokens\":0,\"completion_tokens\":3,"
                   "\"estimated_tokens\":0,\"seconds\":1.5},{");
    CHECK_HAS(got, "\"total\":{\"requests\":2,\"errors\":0,\"refused\":0,"
                   "\"prompt_tokens\":12,\"cached_tokens\":0,"
                   "\"completion_tokens\":4,\"estimated_tokens\":0,\"seconds\":3}}");
    got = answer(AD_PER_ADDRESS, AD_SPAN_24H, false);
    CHECK_HAS(got, "\"rows\":[{\"client\":\"10.0.0.1\",\"requests\":2,");

    got = answer(AD_PER_ROW, AD_SPAN_ALL, true);
    CHECK_STR(got, "kind,client,key,agent,model,requests,errors,refused,"
                   "prompt_tokens,cached_tokens,completion_tokens,"
                   "estimated_tokens,seconds\r\n"
                   "row,\"10.0.0.1\",\"\",\"curl\",\"a \"\"model\"\"\",1,0,0,10,0,3,"
                   "0,1.5\r\n"
                   "row,\"10.0.0.1\",\"\",\"'-x\",\"'=1+1\",1,0,0,2,0,1,0,1.5\r\n");
    add("10.0.0.2", "", "m", 100, 0);
    add("10.0.0.3", "", "m", 100, 0);
    add("10.0.0.4", "", "m", 100, 0);
    CHECK_HAS(answer(AD_PER_MODEL, AD_SPAN_ALL, true),
              "\r\nothers,\"\",\"\",\"\",\"\",1,0,0,2,0,1,0,1.5\r\n");
}

static void test_accept(void)
{
    static const struct {
        const char *fields;
        bool csv;
    } rows[] = {{"", false},
                {"Accept: text/csv\r\n", true},
                {"Accept: Text/CSV;header=present\r\n", true},
                {"Accept: text/csv;q=0\r\n", false},
                {"Accept: text/html, */*\r\n", false},
                {"Accept: text/*\r\n", false},
                {"Accept: text/csv, application/json;q=0.5\r\n", true},
                {"Accept: text/csv;q=0.5, application/json\r\n", false},
                {"Accept: application/json, text/csv\r\n", false}};
    unsigned i;

    for (i = 0; i < AD_COUNT(rows); i++) {
        parse(rows[i].fields);
        CHECK_EQ(ad_http_wants_csv(&head), rows[i].csv);
    }
}

int main(void)
{
    test_rows();
    test_give_way();
    test_saturation();
    test_hours();
    test_midnight();
    test_long_days();
    test_from_1970();
    test_steps();
    test_random_clocks();
    test_identity();
    test_identity_named();
    test_forwarded();
    test_quota_list();
    test_quota_edge();
    test_quota_choice();
    test_quota_full();
    test_quota_log();
    test_answer();
    test_accept();
    return check_report();
}
