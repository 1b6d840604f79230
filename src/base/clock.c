/* clock.c - the system's clocks, and units of time. Any thread. */
#ifndef AD_BASE_CLOCK_C
#define AD_BASE_CLOCK_C

#include "platform.h"

#define AD_NS_PER_MS 1000000ull
#define AD_NS_PER_S 1000000000ull

/* A test of what takes a minute divides the times that peers are granted by it. */
#ifndef AD_HASTE
#define AD_HASTE 1
#endif

static uint64_t ad_clock_ns(clockid_t clock)
{
    struct timespec ts;

    (void)clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * AD_NS_PER_S + (uint64_t)ts.tv_nsec;
}

#endif
