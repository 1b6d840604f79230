/* Gauges: how many events their values make, and which values those tell. */
#include "../src/core/gauges.c"
#include "check.h"

static void set(const char *name, double value)
{
    struct ad_sample sample;

    memset(&sample, 0, sizeof(sample));
    (void)snprintf(sample.gauge, sizeof(sample.gauge), "%s", name);
    sample.value = value;
    ad_gauge_set(&sample);
}

static void begin(void)
{
    ad_hub_init();
    ad_feed_init();
    ad_events_init();
    ad_gauges_init();
    ad_hub.now_ns = 1000 * AD_NS_PER_S;
    ad_hub.now_us = 1700000000000000ull;
}

static void pass_ms(unsigned ms)
{
    ad_hub.now_ns += ms * AD_NS_PER_MS;
}

/* A gauge is told at once, and then at most every AD_GAUGE_MS; its latest value is told. */
static void test_one(void)
{
    uint64_t first;
    unsigned i;

    begin();
    first = ad_feed.next;
    set("a", 1);
    CHECK_EQ(ad_feed.next, first + 1);
    for (i = 2; i < 10; i++) {
        set("a", i);
    }
    CHECK_EQ(ad_feed.next, first + 1);
    pass_ms(AD_GAUGE_MS);
    set("a", 10);
    CHECK_EQ(ad_feed.next, first + 2);
    set("a", 11);
    ad_gauges_housekeeping();
    ad_gauges_housekeeping();
    CHECK_EQ(ad_feed.next, first + 3);
    CHECK_EQ(ad_gauges.list[0].value, 11);
}

/* More names than places, one after the other, make no more events than the places
 * may, and the newest of each place is told in the end. */
static void test_names_in_turn(void)
{
    uint64_t first;
    char name[16];
    unsigned i;

    begin();
    first = ad_feed.next;
    for (i = 0; i < AIDASH_GAUGES; i++) { /* all places are new: each is told */
        (void)snprintf(name, sizeof(name), "g%u", i);
        set(name, i);
    }
    CHECK_EQ(ad_feed.next, first + AIDASH_GAUGES);
    for (; i < 100 * AIDASH_GAUGES; i++) {
        (void)snprintf(name, sizeof(name), "g%u", i);
        set(name, i);
    }
    CHECK_EQ(ad_feed.next, first + AIDASH_GAUGES);
    CHECK_EQ(ad_gauges.n, AIDASH_GAUGES);
    ad_gauges_housekeeping();
    CHECK_EQ(ad_feed.next, first + 2 * AIDASH_GAUGES);
    for (i = 0; i < AIDASH_GAUGES; i++) {
        CHECK(!ad_gauges.list[i].untold);
        CHECK(ad_gauges.list[i].told_seq >= first + AIDASH_GAUGES);
        CHECK(ad_gauges.list[i].value >= 99 * AIDASH_GAUGES);
    }
    pass_ms(AD_GAUGE_MS);
    set("new", 1); /* later, a new one is told at once again */
    CHECK_EQ(ad_feed.next, first + 2 * AIDASH_GAUGES + 1);
}

int main(void)
{
    test_one();
    test_names_in_turn();
    return check_report();
}
