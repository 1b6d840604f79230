/* base/histogram.c: percentiles against the true order. */
#include "../src/base/histogram.c"
#include "check.h"

static uint32_t seed = 1;

static size_t below(size_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return n > 0 ? (size_t)(seed >> 8) % n : 0;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x < y ? -1 : x > y;
}

static void test_gaps(void)
{
    static uint64_t sorted[4000];
    static const unsigned percents[] = {1, 50, 90, 95, 99, 100};
    struct ad_histogram g;
    unsigned round, i, k;
    double us;

    /* Each value alone: at most 5 % off over the whole range. */
    for (us = 64; us < 16.7e6; us = us * 1.0007 + 1) {
        uint64_t gap = (uint64_t)us, told;

        memset(&g, 0, sizeof(g));
        ad_histogram_add(&g, gap, 1);
        ad_histogram_add(&g, gap * 2, 1); /* not held at the longest */
        told = ad_histogram_percentile(&g, 50);
        CHECK((double)told >= (double)gap * 0.95 - 1 &&
              (double)told <= (double)gap * 1.05 + 1);
        CHECK_EQ(g.max_us, gap * 2);
    }
    /* Many, in reads of several events, against the true order. */
    for (round = 0; round < 40; round++) {
        unsigned n = 0;

        memset(&g, 0, sizeof(g));
        while (n < 3000 && n < 1 + round * round * 2) {
            uint64_t gap = 100 + below(round < 20 ? 5000 : 100000) *
                                     (below(9) == 0 ? 50 : 1);
            unsigned events = below(5) == 0 ? 1 + (unsigned)below(7) : 1;

            gap *= events;
            ad_histogram_add(&g, gap, events);
            for (k = 0; k < events; k++) {
                sorted[n++] = gap / events;
            }
        }
        qsort(sorted, n, sizeof(sorted[0]), by_size);
        CHECK_EQ(g.n, n);
        CHECK_EQ(g.max_us, sorted[n - 1]);
        for (i = 0; i < AD_COUNT(percents); i++) {
            unsigned rank = (n * percents[i] + 99) / 100;
            double truth = (double)sorted[rank - 1];
            double told = (double)ad_histogram_percentile(&g, percents[i]);

            CHECK(told >= truth * 0.95 - 1 && told <= truth * 1.05 + 1);
        }
    }
    /* The ends of the range, and no gap at all. */
    memset(&g, 0, sizeof(g));
    CHECK_EQ(ad_histogram_percentile(&g, 50), 0);
    ad_histogram_add(&g, 100, 0);
    CHECK_EQ(g.n, 0);
    ad_histogram_add(&g, 0, 3);
    CHECK_EQ(ad_histogram_percentile(&g, 100), 0);
    ad_histogram_add(&g, 63, 1);
    CHECK_EQ(ad_histogram_percentile(&g, 50), 32);
    ad_histogram_add(&g, UINT64_MAX, 10);
    CHECK_EQ(ad_histogram_percentile(&g, 95), UINT64_MAX / 10);
    CHECK_EQ(g.max_us, UINT64_MAX / 10);
    memset(&g, 0, sizeof(g));
    ad_histogram_add(&g, (64ull << 18) - 1, 1); /* the last bin before the open one */
    CHECK_EQ(g.bins[AD_HISTOGRAM_BINS - 2], 1);
    ad_histogram_add(&g, 64ull << 18, 1);
    CHECK_EQ(g.bins[AD_HISTOGRAM_BINS - 1], 1);
}

int main(void)
{
    test_gaps();
    return check_report();
}
