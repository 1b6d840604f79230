/* histogram.c - the spread of times between tokens, in fixed memory. Pure. */
#ifndef AD_BASE_HISTOGRAM_C
#define AD_BASE_HISTOGRAM_C

#include "platform.h"

/* A histogram of 18 octaves from 64 us to 16.8 s, each of 7 bins with equal
 * ratios. A percentile is at most 5 % off: (r - 1) / (r + 1) with r = 2^(1/7).
 * Shorter times share one bin. Longer times count as the longest one seen. */
enum {
    AD_HISTOGRAM_OCTAVES = 18,
    AD_HISTOGRAM_STEPS = 7,
    AD_HISTOGRAM_BINS = AD_HISTOGRAM_OCTAVES * AD_HISTOGRAM_STEPS + 2
};

struct ad_histogram {
    uint32_t n;
    uint32_t bins[AD_HISTOGRAM_BINS];
    uint64_t max_us;
};

/* Where a bin of the first octave begins: 65536 x 2^(i/7), in 1/1024 us. */
static const uint32_t ad_histogram_steps[AD_HISTOGRAM_STEPS + 1] = {
    65536, 72358, 79889, 88205, 97386, 107523, 118715, 131072};

/* One read completed k token events, gap_us after the read that completed the
 * ones before. Each event counts as a gap of gap_us / k. The first read of a
 * request has no gap. */
static void ad_histogram_add(struct ad_histogram *g, uint64_t gap_us, uint32_t k)
{
    unsigned bin = 0, octave = 0, i;

    if (k == 0) {
        return;
    }
    gap_us /= k;
    g->n += k;
    g->max_us = gap_us > g->max_us ? gap_us : g->max_us;
    while (octave < AD_HISTOGRAM_OCTAVES && gap_us >= 128ull << octave) {
        octave++;
    }
    if (octave == AD_HISTOGRAM_OCTAVES) {
        bin = AD_HISTOGRAM_BINS - 1;
    } else if (gap_us >= 64) {
        i = 0;
        while (gap_us * 1024 >= (uint64_t)ad_histogram_steps[i + 1] << octave) {
            i++;
        }
        bin = 1 + octave * AD_HISTOGRAM_STEPS + i;
    }
    g->bins[bin] += k;
}

#if AIDASH_METER || AIDASH_HISTORY

/* Add all that is in `from` to `to`. */
static void ad_histogram_merge(struct ad_histogram *to,
                               const struct ad_histogram *from)
{
    unsigned bin;

    to->n += from->n;
    to->max_us = from->max_us > to->max_us ? from->max_us : to->max_us;
    for (bin = 0; bin < AD_HISTOGRAM_BINS; bin++) {
        to->bins[bin] += from->bins[bin];
    }
}

#endif

/* The time in us that `percent` (1..100) of the gaps do not exceed; 0 if there
 * are none. */
static uint64_t ad_histogram_percentile(const struct ad_histogram *g,
                                        unsigned percent)
{
    uint64_t rank = ((uint64_t)g->n * percent + 99) / 100, seen = 0;
    double low, high;
    uint64_t us = 32; /* below 64 */
    unsigned bin;

    for (bin = 0; bin < AD_HISTOGRAM_BINS - 1; bin++) {
        seen += g->bins[bin];
        if (seen >= rank) {
            break;
        }
    }
    if (bin == AD_HISTOGRAM_BINS - 1) {
        return g->max_us;
    }
    if (bin > 0) { /* the harmonic mean is equally far from both ends */
        unsigned octave = (bin - 1) / AD_HISTOGRAM_STEPS;
        unsigned i = (bin - 1) % AD_HISTOGRAM_STEPS;

        low = (double)((uint64_t)ad_histogram_steps[i] << octave) / 1024;
        high = (double)((uint64_t)ad_histogram_steps[i + 1] << octave) / 1024;
        us = (uint64_t)(2 * low * high / (low + high) + 0.5);
    }
    return us < g->max_us ? us : g->max_us;
}

#endif
