/* Links between boards and gateways: when one is tried again; how fast it is read. */
#include "../src/fleet/fleet.c"
#include "check.h"

#if AIDASH_METER

#define S AD_NS_PER_S

static struct ad_link link_of;

/* The other side takes the link, and drops it so much later. Returns the longest time
 * until the next try, in ms. */
static unsigned up_for(uint64_t ns)
{
    ad_link_came_up(&link_of, "a link");
    CHECK(link_of.up);
    ad_hub.now_ns += ns;
    ad_link_went_down(&link_of, "a link", "closed the connection");
    CHECK(!link_of.up);
    return (unsigned)((link_of.next_ns - ad_hub.now_ns) / AD_NS_PER_MS);
}

/* Twice as long each time, also for a peer that takes each link and drops it. */
static void test_tries(void)
{
    unsigned i, ms, most = 1000;

    ad_hub.now_ns = 1000 * S;
    memset(&link_of, 0, sizeof(link_of));
    for (i = 1; i < 10; i++) {
        ms = up_for(0);
        CHECK_EQ(link_of.tries, i);
        CHECK(ms <= most && ms >= most / 2);
        most = most * 2 < 30000 ? most * 2 : 30000;
    }
    CHECK(up_for(AD_LINK_HELD_MS * AD_NS_PER_MS - 1) >= 15000);
    CHECK_EQ(link_of.tries, 10);
    CHECK(up_for(AD_LINK_HELD_MS * AD_NS_PER_MS) <= 1000);
    CHECK_EQ(link_of.tries, 1);
    /* One that can't be reached has no time in which it was up. */
    ad_hub.now_ns += 3600 * S;
    ad_link_went_down(&link_of, "a link", "can't be reached");
    CHECK_EQ(link_of.tries, 2);
    CHECK_EQ(link_of.ups, 11);
}

#endif

int main(void)
{
    ad_log_set_level(AIDASH_LOG_ERROR);
    ad_hub_init();
#if AIDASH_METER
    test_tries();
#endif
    return check_report();
}
