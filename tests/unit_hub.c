/* core/hub.c: its clocks. A process that stood still, and a board's clock that is set
 * while it runs. */
#include "../src/core/hub.c"
#include "check.h"

#define SECOND AD_NS_PER_S

static void begin(uint64_t now_ns, uint64_t now_us)
{
    ad_hub_init();
    ad_hub_set_clock(now_ns, now_us);
    ad_hub.start_ns = now_ns;
    ad_hub.start_us = now_us;
}

/* What peers are measured by does not count a standstill; the rest does. */
static void test_standstill(void)
{
    begin(1000 * SECOND, 1);
    CHECK_EQ(ad_hub.now_ms, 1000000);
    ad_hub_set_clock(1001 * SECOND, 2);
    CHECK_EQ(ad_hub.now_ms, 1001000);
    ad_hub_set_clock(1006 * SECOND, 3); /* the longest that is no standstill */
    CHECK_EQ(ad_hub.now_ms, 1006000);
    ad_hub_set_clock(1096 * SECOND, 4);
    CHECK_EQ(ad_hub.now_ms, 1006000);
    CHECK_EQ(ad_hub.now_ns, 1096 * SECOND);
    ad_hub_set_clock(1097 * SECOND, 5);
    CHECK_EQ(ad_hub.now_ms, 1007000);
    ad_hub_set_now_ms(1097 * SECOND + SECOND / 2);
    CHECK_EQ(ad_hub.now_ms, 1007500);
    ad_hub_set_now_ms(2097 * SECOND); /* in the middle of a turn */
    CHECK_EQ(ad_hub.now_ms, 1007500);
    ad_hub_set_clock(2097 * SECOND, 6);
    CHECK_EQ(ad_hub.now_ms, 1007500);
}

/* The start moves with a clock that is set by more than a minute, either way. */
static void test_clock_set(void)
{
    const uint64_t us_1970 = 20 * 1000000ull, us_2026 = 1790000000ull * 1000000;

    begin(5 * SECOND, us_1970);
    ad_hub_set_clock(10 * SECOND, us_1970 + 5000000);
    ad_hub_follow_clock();
    CHECK_EQ(ad_hub.start_us, us_1970);
    ad_hub_set_clock(15 * SECOND, us_2026);
    ad_hub_follow_clock();
    CHECK_EQ(ad_hub.start_us, us_2026 - 10000000);
    ad_hub_set_clock(16 * SECOND, us_2026 + 1000000 + 60000000);
    ad_hub_follow_clock();
    CHECK_EQ(ad_hub.start_us, us_2026 - 10000000);
    ad_hub_set_clock(16 * SECOND, us_2026 + 1000000 - 60000001);
    ad_hub_follow_clock();
    CHECK_EQ(ad_hub.start_us, us_2026 - 10000000 - 60000001);
}

/* The name of a run does not change with its start. */
static void test_run(void)
{
    char run[AD_RUN_MAX + 1];

    ad_hub_init();
    ad_hub_begin();
    CHECK(strlen(ad_hub.run) >= 1 && strlen(ad_hub.run) <= AD_RUN_MAX);
    CHECK(strspn(ad_hub.run, "0123456789abcdef") == strlen(ad_hub.run));
    memcpy(run, ad_hub.run, sizeof(run));
    ad_hub_set_clock(ad_hub.now_ns, ad_hub.now_us + 100000000);
    ad_hub_follow_clock();
    CHECK_STR(ad_hub.run, run);
}

int main(void)
{
    test_standstill();
    test_clock_set();
    test_run();
    return check_report();
}
