/* begin_hub.h - a hub as it is at the start of a run, without a thread: what a test of
 * sources, other boards or links has in common. */
#ifndef AD_TESTS_BEGIN_HUB_H
#define AD_TESTS_BEGIN_HUB_H

#include "../src/core/sources.c"

/* Each event goes to `tap` too, which may be NULL. The clock stands at 1000 s. */
static void begin_hub(void (*tap)(const char *json, size_t len, void *user))
{
    ad_hub_init();
    ad_feed_init();
    ad_events_init();
    ad_engine_init();
    ad_ticks_init();
    ad_sources_init();
    ad_events_tap(tap, NULL);
    ad_hub_set_clock(1000 * AD_NS_PER_S, 1700000000000000ull);
}

#endif
