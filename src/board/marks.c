/* marks.c - what may slow an engine down: since when it is so, and how much. The
 * board's reports and the meter tell it.
 * Owns ad_marks. Hub thread only. It knows no clock: times are given, monotonic.
 *
 * A mark is no verdict: board/verdict.c asks which marks were there while something
 * was slow.
 */
#ifndef AD_BOARD_MARKS_C
#define AD_BOARD_MARKS_C

#include "../meter/baseline.c"
#if AIDASH_BOARD
#include "report.c"
#endif

#if AIDASH_METER && AIDASH_BASELINES

/* Why something is slow. Those before AD_CAUSE_MARKS are marks, or of the request
 * itself: a baseline keeps for each request which of them there were, a bit each. */
enum ad_cause {
    AD_CAUSE_UNKNOWN,
    AD_CAUSE_UNDER_VOLTAGE,
    AD_CAUSE_OVER_CURRENT,
    AD_CAUSE_THERMAL,
    AD_CAUSE_THROTTLED,
    AD_CAUSE_GPU_CLOCK,
    AD_CAUSE_CPU_CLOCK,
    AD_CAUSE_CPU_SHARE,
    AD_CAUSE_SWAP,
    AD_CAUSE_DISK_WAIT,
    AD_CAUSE_CPU_STEAL,
    AD_CAUSE_MODEL_LOAD,
    AD_CAUSE_CONTEXT_FULL,
    AD_CAUSE_MARKS,
    AD_CAUSE_DRAFT = AD_CAUSE_MARKS,
    AD_CAUSE_STREAMS,
    AD_CAUSE_PAUSE,
    AD_CAUSE_QUEUE,
    AD_CAUSE_CACHE,
    AD_CAUSE_THINKING,
    AD_CAUSES
};
_Static_assert(AD_CAUSE_MARKS <= 16, "a bit for each");

static const char *const ad_cause_names[] = {
    "unknown", "under_voltage", "over_current", "thermal", "throttled", "gpu_clock",
    "cpu_clock", "cpu_share", "swap", "disk_wait", "cpu_steal", "model_load",
    "context_full", "draft", "streams", "pause", "queue", "cache_broke", "thinking"};
_Static_assert(AD_COUNT(ad_cause_names) == AD_CAUSES, "each has a name");

enum {
    AD_MARK_TWICE = 2,     /* reports in a row until a value that jumps is believed */
    AD_MARK_GAP_S = 10,    /* a mark that comes back so soon was never away */
    AD_MARK_EVENT_S = 5,   /* so long a counted event makes its mark */
    AD_MARK_IOWAIT = 20,   /* percent of the CPU's time */
    AD_MARK_STEAL = 10,    /* likewise */
    AD_MARK_CLOCK = 80,    /* percent of what the clock usually is under load */
    AD_MARK_CLOCKS = 15,   /* clocks that are kept for that */
    AD_MARK_CLOCKS_LEAST = 5
};
#define AD_MARK_SWAP 64e6 /* bytes in use */

/* All zero: it never was. */
struct ad_mark {
    bool on;
    uint8_t streak;     /* reports in a row that said so */
    uint64_t since_ns;  /* if it is on, or was until until_ns */
    uint64_t until_ns;  /* 0: never on, or not yet off */
    double value, usual;
};

/* A clock's speed while a request ran that was not slow, in MHz. */
struct ad_mark_clock {
    uint8_t n, at;
    float mhz[AD_MARK_CLOCKS];
};

static struct {
    struct ad_mark list[AD_CAUSES];
    struct ad_mark_clock clocks[2]; /* GPU, CPU */
    bool counted;                   /* `counters` have been told before */
    double counters[2];             /* under-voltage, over-current */
    uint64_t counter_ns[2];         /* when they grew */
    double celsius;                 /* the highest; 0: not known */
} ad_marks;

/* ---- marks ---- */

static void ad_mark_set(enum ad_cause cause, bool on, double value, uint64_t now_ns)
{
    struct ad_mark *m = &ad_marks.list[cause];

    if (on && !m->on &&
        (m->until_ns == 0 || now_ns - m->until_ns > AD_MARK_GAP_S * AD_NS_PER_S)) {
        m->since_ns = now_ns;
    }
    if (on) {
        m->until_ns = 0;
        m->value = value;
    } else if (m->on) {
        m->until_ns = now_ns;
    }
    m->on = on;
}

/* Likewise of a value that may jump: AD_MARK_TWICE in a row. */
static void ad_mark_twice(enum ad_cause cause, bool on, double value, uint64_t now_ns)
{
    struct ad_mark *m = &ad_marks.list[cause];

    m->streak = (uint8_t)(on ? m->streak + (m->streak < AD_MARK_TWICE) : 0);
    ad_mark_set(cause, m->streak == AD_MARK_TWICE, value, now_ns);
}

/* For how much of a time a mark was on, 0 to 1. */
static double ad_mark_share(enum ad_cause cause, uint64_t from_ns, uint64_t to_ns)
{
    const struct ad_mark *m = &ad_marks.list[cause];
    uint64_t from = m->since_ns > from_ns ? m->since_ns : from_ns;
    uint64_t to = m->on || m->until_ns > to_ns ? to_ns : m->until_ns;

    if ((!m->on && m->until_ns == 0) || to <= from || to_ns <= from_ns) {
        return 0;
    }
    return (double)(to - from) / (double)(to_ns - from_ns);
}

static void ad_marks_init(void)
{
    memset(&ad_marks, 0, sizeof(ad_marks));
}

/* ---- the board ---- */

#if AIDASH_BOARD

static bool ad_mark_above(const struct ad_value *v, double edge)
{
    return ad_value_is_number(v) && v->number >= edge;
}

/* A clock under load. `learns`: nothing is slow, so this is what is usual. */
static void ad_mark_clock_told(enum ad_cause cause, struct ad_mark_clock *c,
                               const struct ad_value *mhz, bool busy, bool learns,
                               uint64_t now_ns)
{
    double values[AD_MARK_CLOCKS];
    bool fell = false;
    unsigned i;

    if (!busy || !ad_mark_above(mhz, 1)) { /* at rest a clock may be low */
        ad_mark_twice(cause, false, 0, now_ns);
        return;
    }
    for (i = 0; i < c->n; i++) {
        values[i] = (double)c->mhz[i];
    }
    if (c->n >= AD_MARK_CLOCKS_LEAST) {
        ad_marks.list[cause].usual = ad_baseline_median(values, c->n);
        fell = mhz->number * 100 < ad_marks.list[cause].usual * AD_MARK_CLOCK;
    }
    if (learns && !fell) {
        c->mhz[c->at] = (float)mhz->number;
        c->at = (uint8_t)((c->at + 1) % AD_MARK_CLOCKS);
        c->n = (uint8_t)(c->n < AD_MARK_CLOCKS ? c->n + 1 : AD_MARK_CLOCKS);
    }
    ad_mark_twice(cause, fell, mhz->number, now_ns);
}
_Static_assert((int)AD_MARK_CLOCKS <= (int)AD_FIGURES, "they can be sorted");

/* A counter of events; it makes its mark for a while when it grows. */
static bool ad_mark_counter(unsigned which, const struct ad_value *v, uint64_t now_ns)
{
    if (ad_value_is_number(v)) {
        if (ad_marks.counted && v->number > ad_marks.counters[which]) {
            ad_marks.counter_ns[which] = now_ns;
        }
        ad_marks.counters[which] = v->number;
    }
    return ad_marks.counter_ns[which] != 0 &&
           now_ns - ad_marks.counter_ns[which] < AD_MARK_EVENT_S * AD_NS_PER_S;
}

/* A report of the board. `busy`: an answer is being written; `learns`: and nothing is
 * slow. */
static void ad_marks_board(const struct ad_board_figures *f, bool busy, bool learns,
                           uint64_t now_ns)
{
    uint32_t bits = ad_value_is_number(&f->throttled) ? (uint32_t)f->throttled.number
                                                      : 0;
    bool low = ad_mark_counter(0, &f->under_voltages, now_ns);
    bool over = ad_mark_counter(1, &f->over_currents, now_ns);

    ad_marks.counted = true;
    ad_marks.celsius = ad_value_is_number(&f->celsius) ? f->celsius.number : 0;
    ad_mark_set(AD_CAUSE_UNDER_VOLTAGE, low || (bits & AD_PI_UNDER_VOLTAGE) != 0, 0,
                now_ns);
    ad_mark_set(AD_CAUSE_OVER_CURRENT, over, 0, now_ns);
    ad_mark_set(AD_CAUSE_THERMAL,
                ad_mark_above(&f->cooling, 1) || (bits & AD_PI_SOFT_LIMIT) != 0,
                ad_mark_above(&f->cooling, 1) ? f->cooling.number : 0, now_ns);
    ad_mark_set(AD_CAUSE_THROTTLED,
                (bits & (AD_PI_CLOCK_CAPPED | AD_PI_THROTTLED)) != 0, 0, now_ns);
    ad_mark_set(AD_CAUSE_SWAP, ad_mark_above(&f->swap_used, AD_MARK_SWAP),
                f->swap_used.number, now_ns);
    ad_mark_twice(AD_CAUSE_DISK_WAIT, ad_mark_above(&f->iowait_percent, AD_MARK_IOWAIT),
                  f->iowait_percent.number, now_ns);
    ad_mark_twice(AD_CAUSE_CPU_STEAL, ad_mark_above(&f->steal_percent, AD_MARK_STEAL),
                  f->steal_percent.number, now_ns);
    ad_mark_clock_told(AD_CAUSE_GPU_CLOCK, &ad_marks.clocks[0], &f->gpu_clock_mhz, busy,
                       learns, now_ns);
    ad_mark_clock_told(AD_CAUSE_CPU_CLOCK, &ad_marks.clocks[1], &f->clock_mhz, busy,
                       learns, now_ns);
}

#endif /* AIDASH_BOARD */

AD_MEMORY(marks, AD_CAUSES, sizeof(ad_marks));

#endif /* AIDASH_METER && AIDASH_BASELINES */

#endif
