/* Energy: the integral of samples that come irregularly, with gaps; the floor; how it is
 * split over requests; a wall meter that takes over and goes stale. The clock is the
 * test's own. */
#include "../src/board/energy.c"
#include "check.h"

#define S AD_NS_PER_S
#define MS AD_NS_PER_MS

static bool near(double got, double expected)
{
    double off = got - expected;

    return off < 0.01 && off > -0.01;
}

static void begin(void)
{
    ad_hub_init();
    ad_feed_init();
    ad_engine_init();
    ad_sources_init();
    ad_requests_init();
    ad_reports_init();
    ad_energy_init();
    memset(&ad_rails, 0, sizeof(ad_rails));
    ad_hub.now_ns = ad_hub.start_ns = 1000 * S;
    ad_hub.now_us = 1700000000000000ull;
    ad_energy_begin(0);
}

/* Seconds of rails at so many watts, five samples each, and what the hub does. */
static void rails(unsigned seconds, double watts)
{
    unsigned i;

    while (seconds-- > 0) {
        for (i = 0; i < 5; i++) {
            ad_hub.now_ns += 200 * MS;
            ad_energy_sample_on_board(true, watts, false, ad_hub.now_ns);
        }
        ad_energy_board(true, watts, "module", false);
        ad_energy_housekeeping();
    }
}

static void wait_s(unsigned seconds)
{
    while (seconds-- > 0) {
        ad_hub.now_ns += S;
        ad_energy_housekeeping();
    }
}

static struct ad_proxy *runs(unsigned slot)
{
    struct ad_proxy *p = &ad_proxies[slot];

    memset(p, 0, sizeof(*p));
    if (ad_proxying.n_slots <= slot) {
        ad_proxying.n_slots = slot + 1;
    }
    p->request.metered = true;
    p->state = AD_PROXY_RUN;
    ad_proxy_set_turn(p, AD_TURN_RUN);
    return p;
}

/* So many tokens have come. */
static void wrote(struct ad_proxy *p, unsigned tokens)
{
    p->first_ns = p->first_ns != 0 ? p->first_ns : ad_hub.now_ns;
    p->counted += tokens;
    p->scan.token_events = (uint32_t)p->counted;
}

static void ends(struct ad_proxy *p)
{
    ad_energy_ended(p);
    ad_proxy_set_turn(p, AD_TURN_NONE);
    p->state = AD_PROXY_FREE;
}

/* ---- the integral ---- */

static void test_integral(void)
{
    static const struct {
        unsigned ms;
        double watts;
    } samples[] = {{200, 10}, {50, 20}, {950, 20}, {1, 5}, {400, 15}};
    double joules = 0, before = 10, ms = 0;
    uint64_t now = 500 * S;
    size_t i;

    begin();
    ad_energy_sample_on_board(true, 10, false, now);
    CHECK(near(ad_rails.joules, 0));
    for (i = 0; i < AD_COUNT(samples); i++) {
        now += samples[i].ms * MS;
        joules += (before + samples[i].watts) / 2 * samples[i].ms / 1000;
        before = samples[i].watts;
        ms += samples[i].ms;
        ad_energy_sample_on_board(true, before, false, now);
    }
    CHECK(near(ad_rails.joules, joules));
    CHECK(near(ad_rails.ms, ms));
    now += 3000 * MS; /* a gap: nobody knows what was taken then */
    ad_energy_sample_on_board(true, 100, false, now);
    CHECK(near(ad_rails.joules, joules));
    now += 1000 * MS;
    ad_energy_sample_on_board(false, 0, false, now); /* no number */
    now += 1000 * MS;
    ad_energy_sample_on_board(true, 50, false, now);
    CHECK(near(ad_rails.joules, joules));
    CHECK(near(ad_rails.ms, ms));
    now += 1000 * MS; /* the mean of that second, as a counter of energy has it */
    ad_energy_sample_on_board(true, 10, true, now);
    CHECK(near(ad_rails.joules, joules + 10));
    ad_energy_sample_on_board(true, 10, true, now); /* no time went by */
    CHECK(near(ad_rails.joules, joules + 10));
    CHECK_EQ(ad_rails.told_ms, (long long)(ms + 1000));
    begin();
    rails(2, -0.5); /* a sensor at rest may say so */
    CHECK(near(ad_rails.joules, 0));
    CHECK(near(ad_energy.total_j, 0));
}

/* The hub's sums wrap: millijoules beyond 32 bits. */
static void test_wraps(void)
{
    begin();
    ad_rails.joules = 4294967.0; /* 2^32 mJ is 4294967.296 J */
    ad_rails.ms = 4294967000.0;
    rails(1, 100);
    ad_energy_begin(0);
    ad_energy.total_j = ad_energy.known_s = 0;
    rails(10, 100);
    CHECK(near(ad_energy.total_j, 1000));
    CHECK(near(ad_energy.known_s, 10));
}

/* ---- the floor ---- */

static void test_floor(void)
{
    struct ad_proxy *p;
    unsigned i;

    begin();
    rails(2, 4);
    CHECK(ad_floor_of(&ad_energy.floors[AD_POWER_BOARD]) < 0);
    rails(6, 4);
    CHECK(near(ad_floor_of(&ad_energy.floors[AD_POWER_BOARD]), 4));
    rails(1, 30); /* something else for a second: the median stays */
    rails(4, 4);
    CHECK(near(ad_floor_of(&ad_energy.floors[AD_POWER_BOARD]), 4));
    p = runs(0); /* what a request takes is no rest, nor is the time just behind it */
    for (i = 0; i < 40; i++) {
        wrote(p, 5);
        rails(1, 14);
    }
    ends(p);
    rails(2, 14);
    CHECK(near(ad_floor_of(&ad_energy.floors[AD_POWER_BOARD]), 4));
    rails(AD_FLOOR_SAMPLES + 5, 6); /* it has risen */
    CHECK(near(ad_floor_of(&ad_energy.floors[AD_POWER_BOARD]), 6));
    begin(); /* of a wall meter only its own values count, each once */
    ad_energy_wall(50);
    wait_s(9);
    CHECK(ad_floor_of(&ad_energy.floors[AD_POWER_WALL]) < 0);
    for (i = 0; i < 3; i++) {
        ad_energy_wall(52);
        wait_s(5);
    }
    CHECK(near(ad_floor_of(&ad_energy.floors[AD_POWER_WALL]), 52));
}

/* ---- the split ---- */

static void test_split(void)
{
    struct ad_proxy *a, *b, *c;
    unsigned i;
    double before;

    begin();
    rails(10, 4);
    before = ad_energy.total_j;
    a = runs(0); /* alone: all above the floor is its own */
    for (i = 0; i < 10; i++) {
        wrote(a, 20);
        rails(1, 10);
    }
    CHECK(near(a->joules, (10 - 4) * 10 - 0.6)); /* the first sample rises from 4 to 10 */
    b = runs(1); /* two: by their tokens; one that reads its prompt: as their mean */
    c = runs(2);
    for (i = 0; i < 10; i++) {
        wrote(a, 30);
        wrote(b, 10);
        rails(1, 10);
    }
    CHECK(near(a->joules, 59.4 + 30));
    CHECK(near(b->joules, 10));
    CHECK(near(c->joules, 20));
    ends(c);
    for (i = 0; i < 10; i++) { /* nobody writes: the same for each */
        rails(1, 10);
    }
    ends(a);
    ends(b);
    CHECK(near(a->joules + b->joules + c->joules, ad_energy.requests_j));
    CHECK(near(ad_energy.requests_j, 59.4 + 60 + 60));
    CHECK(near(ad_energy.total_j - before, 100 + 100 + 100 - 0.6));
    CHECK(!a->joules_unknown && !b->joules_unknown && !c->joules_unknown);
    CHECK(near(ad_energy_per_token(), 179.4 / 600));
    rails(70, 4); /* a minute later there is nothing to tell */
    CHECK(ad_energy_per_token() < 0);
}

/* Whatever ends when: what the requests have is the whole. */
static void test_split_whole(void)
{
    unsigned seed, i, k;

    for (seed = 1; seed <= 20; seed++) {
        uint32_t r = seed * 2654435761u;
        double sum = 0;

        begin();
        rails(10, 4);
        for (i = 0; i < 300; i++) {
            for (k = 0; k < 6; k++) {
                struct ad_proxy *p = &ad_proxies[k];

                r = r * 1664525u + 1013904223u;
                if (ad_proxying.n_slots <= k || p->state == AD_PROXY_FREE) {
                    if (r >> 28 == 0) {
                        (void)runs(k);
                    }
                } else if (r >> 27 == 0) {
                    ends(p);
                    sum += p->joules;
                    memset(p, 0, sizeof(*p));
                } else {
                    wrote(p, r >> 29);
                }
            }
            ad_hub.now_ns += 90 * MS;
            ad_energy_sample_on_board(true, 4 + (r >> 28), false, ad_hub.now_ns);
            ad_energy_board(true, 10, "module", false);
            if (i % 11 == 0) {
                ad_energy_housekeeping();
            }
        }
        ad_energy_housekeeping();
        for (k = 0; k < 6; k++) {
            if (ad_proxies[k].state == AD_PROXY_RUN) {
                ends(&ad_proxies[k]);
                sum += ad_proxies[k].joules;
                memset(&ad_proxies[k], 0, sizeof(ad_proxies[k]));
            }
        }
        CHECK(ad_energy.requests_j > 10);
        CHECK(near(sum, ad_energy.requests_j));
        CHECK(ad_energy.requests_j <= ad_energy.total_j);
    }
}

/* ---- what is not known ---- */

static void test_unknown(void)
{
    struct ad_proxy *p;
    unsigned i;

    begin(); /* no source at all */
    p = runs(0);
    wrote(p, 10);
    wait_s(5);
    ends(p);
    CHECK(p->joules_unknown);
    CHECK(!ad_energy_known());
    begin(); /* no rest so far: nobody knows what a request adds to it */
    p = runs(0);
    for (i = 0; i < 5; i++) {
        wrote(p, 10);
        rails(1, 10);
    }
    ends(p);
    CHECK(p->joules_unknown);
    CHECK(near(ad_energy.total_j, 10 * 5 - 2)); /* the sum is known, but for the first */
    begin(); /* a sensor that hangs in the middle */
    rails(10, 4);
    p = runs(0);
    wrote(p, 10);
    rails(2, 10);
    wait_s(8);
    rails(2, 10);
    ends(p);
    CHECK(p->joules_unknown);
    begin(); /* a request that is shorter than a sample */
    rails(10, 4);
    p = runs(0);
    wrote(p, 10);
    ad_hub.now_ns += 50 * MS;
    ends(p);
    CHECK(p->joules_unknown);
}

/* ---- a wall meter ---- */

static void test_wall(void)
{
    struct ad_proxy *p;
    char json[AD_ENERGY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json) - 1);
    unsigned i;
    double before;

    begin();
    rails(10, 4);
    CHECK_EQ(ad_energy_source(), AD_POWER_BOARD);
    before = ad_energy.total_j;
    for (i = 0; i < 8; i++) { /* it takes over, and learns a floor of its own */
        ad_energy_wall(9);
        rails(5, 4);
    }
    CHECK_EQ(ad_energy_source(), AD_POWER_WALL);
    CHECK(near(ad_energy.total_j - before, 9 * 40));
    CHECK(near(ad_floor_of(&ad_energy.floors[AD_POWER_WALL]), 9));
    CHECK(near(ad_floor_of(&ad_energy.floors[AD_POWER_BOARD]), 4));
    p = runs(0);
    ad_energy_wall(29);
    for (i = 0; i < 8; i++) {
        wrote(p, 10);
        rails(1, 10);
    }
    ends(p);
    CHECK(near(p->joules, 20 * 8));
    CHECK(!p->joules_unknown);
    before = ad_energy.total_j;
    rails(1, 4);
    CHECK(near(ad_energy.total_j - before, 29));
    rails(10, 4); /* stale: the rails again */
    CHECK_EQ(ad_energy_source(), AD_POWER_BOARD);
    CHECK(ad_energy.total_j - before > 29 + 29 + 9 * 4 - 0.1);
    CHECK(ad_energy.total_j - before < 29 + 29 + 10 * 4 + 0.1);
    ad_put_energy(&t);
    json[t.len] = '\0';
    CHECK(strstr(json, "\"source\":\"board\",\"watts\":4,\"scope\":\"module\"") != NULL);
    begin(); /* without rails: unknown, never 0 */
    ad_energy_wall(20);
    wait_s(30);
    CHECK_EQ(ad_energy_source(), AD_POWER_NONE);
    CHECK(near(ad_energy.total_j, 20 * AD_WALL_STALE_S));
    CHECK(near(ad_energy.known_s, AD_WALL_STALE_S));
    t = ad_text_in(json, sizeof(json) - 1);
    ad_put_energy(&t);
    json[t.len] = '\0';
    CHECK_STR(json, "\"source\":\"none\",\"watts\":\"unknown\",\"wh\":0.0556,"
                    "\"known_s\":10,\"requests_wh\":0");
}

/* The longest event fits. */
static void test_longest(void)
{
    uint64_t seq;

    begin();
    ad_energy_begin(1e6);
    ad_energy.total_j = ad_energy.requests_j = ad_energy.known_s = 1e12;
    ad_energy.tokens = 1e15;
    ad_energy.board_watts = 123456.789;
    ad_energy.board_ns = ad_hub.now_ns;
    ad_energy.scope = "board without USB, HAT and NVMe";
    ad_energy.minute[0].joules = 1e12f;
    ad_energy.minute[0].tokens = 0.001f;
    ad_floor_learn(&ad_energy.floors[AD_POWER_BOARD], 123456.789);
    ad_floor_learn(&ad_energy.floors[AD_POWER_BOARD], 123456.789);
    ad_floor_learn(&ad_energy.floors[AD_POWER_BOARD], 123456.789);
    ad_hub.now_us = UINT64_MAX;
    seq = ad_feed.next;
    ad_energy_tell();
    CHECK_EQ(ad_feed.next, seq + 1);
}

int main(void)
{
    test_integral();
    test_wraps();
    test_floor();
    test_split();
    test_split_whole();
    test_unknown();
    test_wall();
    test_longest();
    return check_report();
}
