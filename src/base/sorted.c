/* sorted.c - few numbers in their order, and the middle of them. Any thread. */
#ifndef AD_BASE_SORTED_C
#define AD_BASE_SORTED_C

#include "platform.h"

/* Put one more number among the first *n, which are sorted; there is room for it. It may
 * be the one behind them. */
static AD_UNUSED void ad_sorted_add(double *sorted, unsigned *n, double value)
{
    unsigned k = (*n)++;

    for (; k > 0 && sorted[k - 1] > value; k--) {
        sorted[k] = sorted[k - 1];
    }
    sorted[k] = value;
}

/* The middle of n sorted numbers, 1 or more: of an even count the mean of both. */
static AD_UNUSED double ad_sorted_median(const double *sorted, unsigned n)
{
    return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

#endif
