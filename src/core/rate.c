/* rate.c - tokens a second over a sliding window of real time. Pure. */
#ifndef AD_CORE_RATE_C
#define AD_CORE_RATE_C

#include "../base/clock.c"

enum {
    AD_RATE_UNIT = 1024,       /* a token, so that there are parts of one */
    AD_RATE_WINDOW_MS = 2000,  /* the window */
    AD_RATE_SPAN_MIN_MS = 500, /* a younger run counts as this old */
    AD_RATE_SLOTS = 64         /* the window has at most so many slots */
};

/* Sliding window over real time: slots of tokens, in 1/AD_RATE_UNIT, with the
 * time they began. */
struct ad_rate {
    uint64_t at_ns[AD_RATE_SLOTS];
    uint64_t tokens[AD_RATE_SLOTS];
    uint64_t sum;      /* of all slots in the window */
    uint64_t start_ns; /* when the first step of this unbroken run began */
    unsigned first, n;
};

/* Add a step of `tokens` that ended now and took step_ns. Of one that is longer
 * than the window, the part in the window counts. */
static void ad_rate_add(struct ad_rate *r, uint64_t tokens, uint64_t now_ns,
                        uint64_t step_ns)
{
    const uint64_t window_ns = AD_RATE_WINDOW_MS * AD_NS_PER_MS;
    unsigned last;

    if (step_ns > window_ns) {
        tokens = (uint64_t)((double)tokens * AD_RATE_UNIT * (double)window_ns /
                            (double)step_ns);
    } else {
        tokens *= AD_RATE_UNIT;
    }
    while (r->n > 0 && now_ns - r->at_ns[r->first] >= window_ns) {
        r->sum -= r->tokens[r->first];
        r->first = (r->first + 1) % AD_RATE_SLOTS;
        r->n--;
    }
    if (r->n == 0) { /* a new run: it began when this step began */
        r->start_ns = now_ns - (step_ns < window_ns ? step_ns : window_ns);
        r->sum = 0;
    }
    r->sum += tokens;
    last = (r->first + r->n - 1) % AD_RATE_SLOTS;
    if (r->n > 0 && now_ns - r->at_ns[last] < window_ns / AD_RATE_SLOTS) {
        r->tokens[last] += tokens;
        return;
    }
    /* Slots begin at least 1/64 of the window apart: so this is the rare case
     * that the oldest is just about to leave the window. */
    if (r->n == AD_RATE_SLOTS) {
        r->sum -= r->tokens[r->first];
        r->first = (r->first + 1) % AD_RATE_SLOTS;
        r->n--;
    }
    last = (r->first + r->n++) % AD_RATE_SLOTS;
    r->at_ns[last] = now_ns;
    r->tokens[last] = tokens;
}

/* Tokens a second over the window, or over the run when that is younger. */
static double ad_rate_get(const struct ad_rate *r, uint64_t now_ns)
{
    uint64_t span = now_ns - r->start_ns;

    if (span > AD_RATE_WINDOW_MS * AD_NS_PER_MS) {
        span = AD_RATE_WINDOW_MS * AD_NS_PER_MS;
    }
    if (span < AD_RATE_SPAN_MIN_MS * AD_NS_PER_MS) {
        span = AD_RATE_SPAN_MIN_MS * AD_NS_PER_MS;
    }
    return (double)r->sum / AD_RATE_UNIT * (double)AD_NS_PER_S / (double)span;
}

#endif
