/* baseline.c - how fast each model usually is: the latest figures of its requests,
 * apart by how long their contexts are and how many run at once. Median and median
 * absolute deviation: a few odd figures move neither.
 * Owns ad_baselines. Hub thread only. No clock, no I/O.
 * Always: a cell's figures are those of its latest AD_FIGURES requests that were
 * learned. When all cells are taken, the one that was used the longest ago gives way.
 */
#ifndef AD_METER_BASELINE_C
#define AD_METER_BASELINE_C

#include "../base/memory.h"
#include "../base/sorted.c"
#include "../base/text.c"

#if AIDASH_METER && AIDASH_BASELINES

enum {
    AD_FIGURES = 20,      /* kept of a cell */
    AD_FIGURES_LEAST = 6, /* with fewer nothing is usual */
    AD_DRAFT_NONE = 255   /* else percent of the drafted tokens that were accepted */
};

/* What a figure is. Both grow with the speed. */
enum ad_figure {
    AD_FIGURE_DECODE, /* tokens a second of one answer */
    AD_FIGURE_WAIT    /* 1000 / milliseconds until the answer's first text */
};

/* Which cell a figure belongs to. */
struct ad_baseline_place {
    uint64_t key;    /* of the model and its engine; not 0 */
    uint8_t figure;  /* enum ad_figure */
    uint8_t context; /* ad_baseline_context() */
    uint8_t streams; /* ad_baseline_streams() */
};

struct ad_baseline {
    uint64_t key; /* 0: free */
    uint8_t figure, context, streams; /* as in its place */
    uint8_t n, at;   /* figures; where the next one goes */
    uint16_t used;   /* when, by ad_baselines.turn */
    float per_event; /* tokens of an event, the mean; 0: not known */
    uint16_t figures[AD_FIGURES]; /* ad_baseline_code() */
    uint16_t marks[AD_FIGURES];   /* what was going on: bits of the caller's */
    uint8_t drafts[AD_FIGURES];   /* AD_DRAFT_NONE, or percent */
};

static struct {
    uint16_t turn;
    struct ad_baseline cells[AIDASH_BASELINES];
} ad_baselines;

/* What is usual in a cell. */
struct ad_usual {
    double median, deviation; /* the latter as a standard deviation would be */
    unsigned n;
};

/* How a figure compares with it. */
enum ad_judgement { AD_IS_USUAL, AD_IS_BETWEEN, AD_IS_SLOW };

/* ---- bands ---- */

/* Of tokens in the context: below 512, 2048, 8192, 32768, 131072, or more. */
static uint8_t ad_baseline_context(uint64_t tokens)
{
    uint8_t band = 0;

    while (band < 5 && tokens >= 512ull << 2 * band) {
        band++;
    }
    return band;
}

/* Of the mean number of requests at once: 1, 2, to 4, to 8, to 16, more. A bit more
 * than a band's edge still belongs to it. */
static uint8_t ad_baseline_streams(double mean)
{
    uint8_t band = 0;

    while (band < 5 && mean > (double)(1u << band) + 0.1) {
        band++;
    }
    return band;
}

/* ---- figures in 16 bits ---- */

/* The upper half of an IEEE 754 binary32: 0.4 % off at most. Larger figures have
 * larger codes. */
static uint16_t ad_baseline_code(double value)
{
    float f = (float)(value > 0 ? value : 0);
    uint32_t bits;

    memcpy(&bits, &f, sizeof(bits));
    bits += 0x8000;
    return (uint16_t)(bits >> 16);
}

static double ad_baseline_value(uint16_t code)
{
    uint32_t bits = (uint32_t)code << 16;
    float f;

    memcpy(&f, &bits, sizeof(f));
    return (double)f;
}

/* ---- what is usual ---- */

/* The middle of n numbers (1..AD_FIGURES), which are sorted meanwhile. */
static double ad_baseline_median(double *values, unsigned n)
{
    unsigned sorted = 1;

    while (sorted < n) {
        ad_sorted_add(values, &sorted, values[sorted]);
    }
    return ad_sorted_median(values, n);
}

/* False: too little is known of this cell (NULL: nothing). */
static bool ad_baseline_usual(const struct ad_baseline *b, struct ad_usual *usual)
{
    double values[AD_FIGURES];
    unsigned i;

    memset(usual, 0, sizeof(*usual));
    if (b == NULL || b->n < AD_FIGURES_LEAST) {
        return false;
    }
    usual->n = b->n;
    for (i = 0; i < b->n; i++) {
        values[i] = ad_baseline_value(b->figures[i]);
    }
    usual->median = ad_baseline_median(values, b->n);
    for (i = 0; i < b->n; i++) {
        values[i] = values[i] > usual->median ? values[i] - usual->median
                                              : usual->median - values[i];
    }
    /* 1.4826 x MAD is the standard deviation, if the figures are normally
     * distributed. Figures that hardly differ are not that exact. */
    usual->deviation = 1.4826 * ad_baseline_median(values, b->n);
    if (usual->deviation < 0.03 * usual->median) {
        usual->deviation = 0.03 * usual->median;
    }
    return true;
}

/* Slow: below three quarters, and further away than four deviations; below two
 * fifths whatever the deviation is. */
static enum ad_judgement ad_baseline_judge(const struct ad_usual *usual, double value)
{
    double edge = usual->median - 4 * usual->deviation;

    if (edge > 0.75 * usual->median) {
        edge = 0.75 * usual->median;
    } else if (edge < 0.4 * usual->median) {
        edge = 0.4 * usual->median;
    }
    if (value < edge) {
        return AD_IS_SLOW;
    }
    return value < edge + (usual->median - edge) / 4 ? AD_IS_BETWEEN : AD_IS_USUAL;
}

/* Percent of the cell's requests during which this mark was there. */
static unsigned ad_baseline_marked(const struct ad_baseline *b, uint16_t mark)
{
    unsigned i, n = 0;

    for (i = 0; i < b->n; i++) {
        n += (b->marks[i] & mark) != 0;
    }
    return b->n == 0 ? 0 : 100 * n / b->n;
}

/* Percent of drafted tokens that were usually accepted; -1: not known. */
static double ad_baseline_draft(const struct ad_baseline *b)
{
    double values[AD_FIGURES];
    unsigned i, n = 0;

    for (i = 0; i < b->n; i++) {
        if (b->drafts[i] != AD_DRAFT_NONE) {
            values[n++] = b->drafts[i];
        }
    }
    return n < AD_FIGURES_LEAST ? -1 : ad_baseline_median(values, n);
}

/* ---- cells ---- */

static bool ad_baseline_is(const struct ad_baseline *b,
                           const struct ad_baseline_place *place)
{
    return b->key == place->key && b->figure == place->figure &&
           b->context == place->context && b->streams == place->streams;
}

/* A cell, or NULL. */
static struct ad_baseline *ad_baseline_find(const struct ad_baseline_place *place)
{
    unsigned i;

    for (i = 0; i < AIDASH_BASELINES; i++) {
        if (ad_baseline_is(&ad_baselines.cells[i], place)) {
            return &ad_baselines.cells[i];
        }
    }
    return NULL;
}

/* Keep a figure. per_event: tokens of an event of its answer; 0: not known. */
static void ad_baseline_learn(const struct ad_baseline_place *place, double value,
                              uint16_t marks, uint8_t draft, double per_event)
{
    struct ad_baseline *b = ad_baseline_find(place);
    unsigned i;

    ad_baselines.turn++;
    if (b == NULL) {
        b = &ad_baselines.cells[0];
        for (i = 1; i < AIDASH_BASELINES && b->key != 0; i++) {
            struct ad_baseline *other = &ad_baselines.cells[i];

            if (other->key == 0 || (uint16_t)(ad_baselines.turn - other->used) >
                                             (uint16_t)(ad_baselines.turn - b->used)) {
                b = other;
            }
        }
        memset(b, 0, sizeof(*b));
        b->key = place->key;
        b->figure = place->figure;
        b->context = place->context;
        b->streams = place->streams;
    }
    b->used = ad_baselines.turn;
    b->figures[b->at] = ad_baseline_code(value);
    b->marks[b->at] = marks;
    b->drafts[b->at] = draft;
    b->at = (uint8_t)((b->at + 1) % AD_FIGURES);
    b->n = (uint8_t)(b->n < AD_FIGURES ? b->n + 1 : AD_FIGURES);
    if (per_event > 0) {
        b->per_event = b->per_event > 0
                           ? b->per_event + ((float)per_event - b->per_event) / 8
                           : (float)per_event;
    }
}

/* ---- beyond a run ---- */

/* Bytes of all cells, as a file keeps them: of this machine and build. */
enum { AD_BASELINES_SAVED = sizeof(ad_baselines) };

static void ad_baselines_save(uint8_t *to)
{
    memcpy(to, &ad_baselines, sizeof(ad_baselines));
}

/* Take cells that ad_baselines_save() wrote. One that can't be true is left out. */
static void ad_baselines_load(const uint8_t *from)
{
    unsigned i, k;

    memcpy(&ad_baselines, from, sizeof(ad_baselines));
    for (i = 0; i < AIDASH_BASELINES; i++) {
        struct ad_baseline *b = &ad_baselines.cells[i];
        bool ok = b->figure <= AD_FIGURE_WAIT && b->context <= 5 &&
                  b->streams <= 5 && b->n <= AD_FIGURES && b->at < AD_FIGURES &&
                  b->per_event >= 0 && b->per_event < 1e6f;

        for (k = 0; ok && k < b->n; k++) { /* 0x7F80: from here on infinite, NaN, < 0 */
            ok = b->figures[k] < 0x7F80;
        }
        if (!ok) {
            memset(b, 0, sizeof(*b));
        }
    }
}

static void ad_baselines_init(void)
{
    memset(&ad_baselines, 0, sizeof(ad_baselines));
}

AD_MEMORY(baselines, AIDASH_BASELINES, sizeof(ad_baselines));

#endif /* AIDASH_METER && AIDASH_BASELINES */

#endif
