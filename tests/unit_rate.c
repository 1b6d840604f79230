/* core/rate.c: tokens a second over a window. */
#include "../src/core/rate.c"
#include "check.h"

static void test_rate(void)
{
    const uint64_t ms = AD_NS_PER_MS;
    uint64_t now = 1000 * AD_NS_PER_S;
    struct ad_rate r;
    double rate;
    int i;

    /* 3 tokens each 200 ms: 15 tokens/s as soon as half a second is seen. */
    memset(&r, 0, sizeof(r));
    for (i = 0; i < 50; i++) {
        now += 200 * ms;
        ad_rate_add(&r, 3, now, 200 * ms);
        rate = ad_rate_get(&r, now);
        CHECK(i < 2 ? rate < 15 : rate > 14.99 && rate < 15.01);
    }
    /* After 2 s of silence a new run begins with its own step. */
    now += 2000 * ms;
    ad_rate_add(&r, 10, now, 1000 * ms);
    rate = ad_rate_get(&r, now);
    CHECK(rate > 9.99 && rate < 10.01);
    /* 10,000 steps a second merge into slots; the error is below one slot. */
    memset(&r, 0, sizeof(r));
    for (i = 0; i < 50000; i++) {
        now += ms / 10;
        ad_rate_add(&r, 1, now, ms / 10);
    }
    rate = ad_rate_get(&r, now);
    CHECK(rate > 10000 * (1 - 1.0 / 32) && rate < 10000 * (1 + 1.0 / 32));
    CHECK(r.n <= AD_RATE_SLOTS);
    /* Of a step longer than the window, the part in it counts: an answer of 100
     * tokens that came whole after 5 s, and a token each 5 s. */
    memset(&r, 0, sizeof(r));
    now += 10000 * ms;
    ad_rate_add(&r, 100, now, 5000 * ms);
    rate = ad_rate_get(&r, now);
    CHECK(rate > 19.99 && rate < 20.01);
    for (i = 0; i < 5; i++) {
        now += 5000 * ms;
        ad_rate_add(&r, 1, now, 5000 * ms);
        rate = ad_rate_get(&r, now);
        CHECK(rate > 0.199 && rate < 0.201);
    }
    /* A first step of no known length is no spike. */
    memset(&r, 0, sizeof(r));
    ad_rate_add(&r, 5, now, 0);
    rate = ad_rate_get(&r, now);
    CHECK(rate == 10);
}

int main(void)
{
    test_rate();
    return check_report();
}
