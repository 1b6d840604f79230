/* history.c - what was: rings of rows, each of which sums up a second, ten seconds or
 * five minutes of ticks and requests, of all models and of each, and of the board.
 * Owns ad_history. Hub thread only, but for the starting thread while there is no hub.
 *
 * Seconds are counted: number 0 is the first that this history knows, and the present
 * run goes on where the one before ended (board/history_file.c). A run of the server
 * has a time at which it began, so a row's time is told by the clock as it is now: a
 * board whose clock is set after its start has no gap and no leap.
 * Percentiles are at most 5 % off (base/histogram.c); minimum, mean and maximum are
 * exact.
 * What another board tells late counts when it was: it is summed up beside the rows that
 * are closed, and joined to them. A run with no file, and none before it, also has what
 * was before its own begin, as soon as a board tells it: numbers are kept free for that.
 * Always: a run begins at a whole number of the longest steps.
 */
#ifndef AD_BOARD_HISTORY_C
#define AD_BOARD_HISTORY_C

#include "../base/histogram.c"
#include "../core/ticks.c"
#include "../meter/reports.c"
#if AIDASH_BOARD
#include "report.c"
#endif

#if AIDASH_HISTORY

/* A test of what takes days lets the seconds of history pass so many times faster. */
#ifndef AD_HISTORY_HASTE
#define AD_HISTORY_HASTE 1
#endif
#define AD_HISTORY_SECOND_NS (AD_NS_PER_S / AD_HISTORY_HASTE)
#define AD_HISTORY_SECOND_US (AD_HISTORY_SECOND_NS / 1000)

/* What a row has: of all and of each model, then of the board. tokens_per_second is
 * tokens by the row's seconds: not kept. */
enum ad_history_column {
    AD_HISTORY_TICKS,
    AD_HISTORY_TOKENS,
    AD_HISTORY_MIN,
    AD_HISTORY_MEAN,
    AD_HISTORY_P50,
    AD_HISTORY_P95,
    AD_HISTORY_MAX,
    AD_HISTORY_REQUESTS,
    AD_HISTORY_CPU,
    AD_HISTORY_MEMORY,
    AD_HISTORY_CELSIUS,
    AD_HISTORY_WATTS,
    AD_HISTORY_GPU,
    AD_HISTORY_CLOCK,
    AD_HISTORY_KEPT,
    AD_HISTORY_RATE = AD_HISTORY_KEPT,
    AD_HISTORY_COLUMNS
};
enum {
    AD_HISTORY_VALUES = AD_HISTORY_CPU,
    AD_HISTORY_FIGURES = AD_HISTORY_KEPT - AD_HISTORY_CPU,
    /* The columns that a model has, too. */
    AD_HISTORY_OF_MODEL = (1 << AD_HISTORY_VALUES) - 1 + (1 << AD_HISTORY_RATE),
    AD_HISTORY_OF_ALL = (1 << AD_HISTORY_COLUMNS) - 1
};

static const char *const ad_history_names[] = {
    "ticks", "tokens", "latency_min_ms", "latency_mean_ms", "latency_p50_ms",
    "latency_p95_ms", "latency_max_ms", "requests", "cpu_percent",
    "memory_used_bytes", "celsius", "watts", "gpu_percent", "clock_mhz",
    "tokens_per_second"};
_Static_assert(AD_COUNT(ad_history_names) == AD_HISTORY_COLUMNS,
               "each column has a name");

enum {
    AD_HISTORY_LEVELS = 3,
    AD_HISTORY_LONGEST_S = 300, /* the longest step */
    AD_HISTORY_ROWS = AIDASH_HISTORY_SECONDS + AIDASH_HISTORY_TENS +
                      AIDASH_HISTORY_FIVES,
    AD_HISTORY_KEPT_S = AIDASH_HISTORY_FIVES * AD_HISTORY_LONGEST_S, /* by the last level */
    /* Runs of the server whose rows are told apart; beyond that, the oldest run's
     * are forgotten. */
    AD_HISTORY_RUNS = 128
};

static const struct {
    unsigned step_s, first, n; /* rows [first, first + n) of a ring */
} ad_history_levels[AD_HISTORY_LEVELS] = {
    {1, 0, AIDASH_HISTORY_SECONDS},
    {10, AIDASH_HISTORY_SECONDS, AIDASH_HISTORY_TENS},
    {AD_HISTORY_LONGEST_S, AIDASH_HISTORY_SECONDS + AIDASH_HISTORY_TENS,
     AIDASH_HISTORY_FIVES}};

/* Whose rows: of all models together, of some models, of all the others. */
enum {
    AD_HISTORY_ALL,
    AD_HISTORY_OTHER = AIDASH_HISTORY_MODELS + 1, /* if models have rows at all */
    AD_HISTORY_SETS = AIDASH_HISTORY_MODELS > 0 ? AIDASH_HISTORY_MODELS + 2 : 1
};

/* A row; NAN: there is no such value. */
struct ad_history_row {
    float values[AD_HISTORY_VALUES];
};

/* And what the board says meanwhile. */
struct ad_history_figures {
    float values[AD_HISTORY_FIGURES];
};

/* What is summed up at the moment. All zero: nothing. */
struct ad_history_sum {
    double ticks, tokens, requests;
    struct ad_histogram latency;
    double latency_sum_ms, latency_min_ms, latency_max_ms;
};

struct ad_history_board_sum {
    unsigned n;
    double sum, max;
};

/* Seconds [first_s, end_s) were counted by one run of the server, from start_us on,
 * Unix time. Of the present run, which is the last, neither end is read. */
struct ad_history_run {
    uint64_t first_s, end_s, start_us;
};

/* A model with rows of its own, from second since_s on. name "": none yet. */
struct ad_history_model {
    char name[AIDASH_MODEL_MAX + 1];
    uint64_t since_s, last_s; /* last_s: its newest tick or request */
};

/* Since the file was begun, or the run. */
struct ad_history_totals {
    uint64_t seconds, ticks, tokens, requests;
};

static struct {
    uint64_t second;  /* the open one */
    uint64_t end_ns;  /* when it ends */
    uint64_t begin_s; /* where the present run began */
    uint64_t first_s; /* and its first row: before that, if others told what was then */
    bool has_past;    /* it may have rows of before its begin */
    unsigned n_runs;
    unsigned recent; /* the set of the newest tick */
    struct ad_history_run runs[AD_HISTORY_RUNS]; /* the last one is the present */
    struct ad_history_model models[AD_HISTORY_SETS]; /* by set */
    struct ad_history_totals totals;
    struct ad_history_sum open[AD_HISTORY_LEVELS][AD_HISTORY_SETS];
    /* What came late of one closed row of each level, and was not joined to it yet. */
    struct {
        bool used;
        uint64_t number;
        struct ad_history_sum sums[AD_HISTORY_SETS];
    } late[AD_HISTORY_LEVELS];
    struct ad_history_board_sum board[AD_HISTORY_LEVELS][AD_HISTORY_FIGURES];
    struct ad_history_row rows[AD_HISTORY_SETS][AD_HISTORY_ROWS];
    struct ad_history_figures figures[AD_HISTORY_ROWS];
} ad_history;

/* ---- rows ---- */

static void ad_history_merge(struct ad_history_sum *to,
                             const struct ad_history_sum *from)
{
    if (from->latency.n > 0) {
        to->latency_min_ms = to->latency.n == 0 ||
                                     from->latency_min_ms < to->latency_min_ms
                                 ? from->latency_min_ms : to->latency_min_ms;
        to->latency_max_ms = from->latency_max_ms > to->latency_max_ms
                                 ? from->latency_max_ms : to->latency_max_ms;
        to->latency_sum_ms += from->latency_sum_ms;
        ad_histogram_merge(&to->latency, &from->latency);
    }
    to->ticks += from->ticks;
    to->tokens += from->tokens;
    to->requests += from->requests;
}

static void ad_history_merge_board(struct ad_history_board_sum *to,
                                   const struct ad_history_board_sum *from)
{
    unsigned i;

    for (i = 0; i < AD_HISTORY_FIGURES; i++) {
        if (from[i].n > 0) {
            to[i].max = to[i].n == 0 || from[i].max > to[i].max ? from[i].max
                                                                : to[i].max;
            to[i].sum += from[i].sum;
            to[i].n += from[i].n;
        }
    }
}

/* A percentile, within what was exactly seen. */
static double ad_history_percentile(const struct ad_history_sum *sum,
                                    unsigned percent)
{
    double ms = (double)ad_histogram_percentile(&sum->latency, percent) / 1000;

    ms = ms < sum->latency_max_ms ? ms : sum->latency_max_ms;
    return ms > sum->latency_min_ms ? ms : sum->latency_min_ms;
}

static void ad_history_close(const struct ad_history_sum *sum, float *v)
{
    v[AD_HISTORY_TICKS] = (float)sum->ticks;
    v[AD_HISTORY_TOKENS] = (float)sum->tokens;
    v[AD_HISTORY_REQUESTS] = (float)sum->requests;
    v[AD_HISTORY_MIN] = v[AD_HISTORY_MEAN] = v[AD_HISTORY_P50] =
        v[AD_HISTORY_P95] = v[AD_HISTORY_MAX] = NAN;
    if (sum->latency.n > 0) {
        v[AD_HISTORY_MIN] = (float)sum->latency_min_ms;
        v[AD_HISTORY_MEAN] = (float)(sum->latency_sum_ms / sum->latency.n);
        v[AD_HISTORY_P50] = (float)ad_history_percentile(sum, 50);
        v[AD_HISTORY_P95] = (float)ad_history_percentile(sum, 95);
        v[AD_HISTORY_MAX] = (float)sum->latency_max_ms;
    }
}

/* Of heat the highest, of all else the mean. */
static void ad_history_close_board(const struct ad_history_board_sum *sum, float *v)
{
    unsigned i;

    for (i = 0; i < AD_HISTORY_FIGURES; i++) {
        v[i] = sum[i].n == 0 ? NAN
               : AD_HISTORY_CPU + i == AD_HISTORY_CELSIUS
                   ? (float)sum[i].max
                   : (float)(sum[i].sum / sum[i].n);
    }
}

/* Where a ring has the row of that number. */
static unsigned ad_history_at(unsigned level, uint64_t number)
{
    return ad_history_levels[level].first +
           (unsigned)(number % ad_history_levels[level].n);
}

/* End the open row of a level. */
static void ad_history_close_row(unsigned level, uint64_t number)
{
    unsigned at = ad_history_at(level, number), set;

    for (set = 0; set < AD_HISTORY_SETS; set++) {
        ad_history_close(&ad_history.open[level][set],
                         ad_history.rows[set][at].values);
    }
    ad_history_close_board(ad_history.board[level], ad_history.figures[at].values);
    memset(ad_history.open[level], 0, sizeof(ad_history.open[level]));
    memset(ad_history.board[level], 0, sizeof(ad_history.board[level]));
}

/* Rows [from, to) of a level have no value at all. */
static void ad_history_blank(unsigned level, uint64_t from, uint64_t to)
{
    unsigned set, i;

    if (to - from > ad_history_levels[level].n) {
        from = to - ad_history_levels[level].n;
    }
    for (; from < to; from++) {
        unsigned at = ad_history_at(level, from);

        for (set = 0; set < AD_HISTORY_SETS; set++) {
            for (i = 0; i < AD_HISTORY_VALUES; i++) {
                ad_history.rows[set][at].values[i] = NAN;
            }
        }
        for (i = 0; i < AD_HISTORY_FIGURES; i++) {
            ad_history.figures[at].values[i] = NAN;
        }
    }
}

/* ---- what came late ---- */

/* The share of a row's latencies that are not above ms, by straight lines between what
 * is known of them. */
static double ad_history_share(const float *v, double ms)
{
    static const unsigned at[] = {AD_HISTORY_MIN, AD_HISTORY_P50, AD_HISTORY_P95,
                                  AD_HISTORY_MAX};
    static const double shares[] = {0, 0.5, 0.95, 1};
    unsigned i = 0;
    double low;

    while (i < AD_COUNT(at) && ms >= (double)v[at[i]]) {
        i++;
    }
    if (i == 0 || i == AD_COUNT(at)) {
        return i == 0 ? 0 : 1;
    }
    low = (double)v[at[i - 1]];
    return shares[i - 1] + (shares[i] - shares[i - 1]) * (ms - low) /
                               ((double)v[at[i]] - low);
}

/* The percentile of both rows together, which lies between theirs. */
static float ad_history_joint(const float *a, const float *b, unsigned column,
                              double share)
{
    double n_a = (double)a[AD_HISTORY_TICKS], n_b = (double)b[AD_HISTORY_TICKS];
    double low = (double)(a[column] < b[column] ? a[column] : b[column]);
    double high = (double)(a[column] > b[column] ? a[column] : b[column]);
    unsigned i;

    for (i = 0; i < 24; i++) { /* the bits of a float */
        double ms = (low + high) / 2;

        if (n_a * ad_history_share(a, ms) + n_b * ad_history_share(b, ms) <
            share * (n_a + n_b)) {
            low = ms;
        } else {
            high = ms;
        }
    }
    return (float)high;
}

/* Add row `from` to row `to`: all but the percentiles, and a mean with first tokens in
 * it, are exact. */
static void ad_history_join(float *to, const float *from)
{
    float n_to = to[AD_HISTORY_TICKS], n_from = from[AD_HISTORY_TICKS];

    if (isnan(n_to)) {
        memcpy(to, from, AD_HISTORY_VALUES * sizeof(*to));
        return;
    }
    if (isnan(to[AD_HISTORY_MAX])) {
        memcpy(to + AD_HISTORY_MIN, from + AD_HISTORY_MIN,
               (AD_HISTORY_MAX - AD_HISTORY_MIN + 1) * sizeof(*to));
    } else if (!isnan(from[AD_HISTORY_MAX])) {
        float p50 = ad_history_joint(to, from, AD_HISTORY_P50, 0.5);

        to[AD_HISTORY_P95] = ad_history_joint(to, from, AD_HISTORY_P95, 0.95);
        to[AD_HISTORY_P50] = p50;
        to[AD_HISTORY_MEAN] = (to[AD_HISTORY_MEAN] * n_to +
                               from[AD_HISTORY_MEAN] * n_from) / (n_to + n_from);
        if (from[AD_HISTORY_MIN] < to[AD_HISTORY_MIN]) {
            to[AD_HISTORY_MIN] = from[AD_HISTORY_MIN];
        }
        if (from[AD_HISTORY_MAX] > to[AD_HISTORY_MAX]) {
            to[AD_HISTORY_MAX] = from[AD_HISTORY_MAX];
        }
    }
    to[AD_HISTORY_TICKS] += n_from;
    to[AD_HISTORY_TOKENS] += from[AD_HISTORY_TOKENS];
    to[AD_HISTORY_REQUESTS] += from[AD_HISTORY_REQUESTS];
}

/* Join what came late of a level to its row. */
static void ad_history_settle_level(unsigned level)
{
    float v[AD_HISTORY_VALUES];
    unsigned at, set;

    if (!ad_history.late[level].used) {
        return;
    }
    at = ad_history_at(level, ad_history.late[level].number);
    for (set = 0; set < AD_HISTORY_SETS; set++) {
        ad_history_close(&ad_history.late[level].sums[set], v);
        ad_history_join(ad_history.rows[set][at].values, v);
    }
    memset(&ad_history.late[level], 0, sizeof(ad_history.late[level]));
}

static void ad_history_settle(void)
{
    unsigned level;

    for (level = 0; level < AD_HISTORY_LEVELS; level++) {
        ad_history_settle_level(level);
    }
}

/* Where to sum up what comes late of a second: NULL if the level has no such row any
 * more. */
static struct ad_history_sum *ad_history_late_sums(unsigned level, uint64_t second)
{
    uint64_t number = second / ad_history_levels[level].step_s;
    uint64_t open = ad_history.second / ad_history_levels[level].step_s;

    if (number == open) {
        return ad_history.open[level];
    }
    if (open - number > ad_history_levels[level].n) {
        return NULL;
    }
    if (ad_history.late[level].number != number) {
        ad_history_settle_level(level);
    }
    ad_history.late[level].used = true;
    ad_history.late[level].number = number;
    return ad_history.late[level].sums;
}

/* ---- seconds ---- */

/* End the open second, and the longer rows that end with it. */
static void ad_history_end_second(void)
{
    unsigned level, set;

    ad_history_settle(); /* before a row takes the place of one that is waited for */
    for (level = 1; level < AD_HISTORY_LEVELS; level++) {
        for (set = 0; set < AD_HISTORY_SETS; set++) {
            if (ad_history.open[0][set].ticks > 0 ||
                ad_history.open[0][set].requests > 0) {
                ad_history_merge(&ad_history.open[level][set],
                                 &ad_history.open[0][set]);
            }
        }
        ad_history_merge_board(ad_history.board[level], ad_history.board[0]);
    }
    for (level = 0; level < AD_HISTORY_LEVELS; level++) {
        unsigned step_s = ad_history_levels[level].step_s;

        if ((ad_history.second + 1) % step_s == 0) {
            ad_history_close_row(level, ad_history.second / step_s);
        }
    }
    ad_history.second++;
    ad_history.totals.seconds++;
}

/* End the seconds that are over. After a standstill there are many, without anything
 * in them. */
static void ad_history_advance(void)
{
    while (ad_hub.now_ns >= ad_history.end_ns) {
        ad_history_end_second();
        ad_history.end_ns += AD_HISTORY_SECOND_NS;
    }
}

/* ---- what comes in ---- */

/* Has a model been silent for so long that nothing of it is kept? */
static bool ad_history_is_past(const struct ad_history_model *m)
{
    return ad_history.second - m->last_s >
           (uint64_t)AD_HISTORY_KEPT_S;
}

/* The set of a model, which has a tick or a request in this second: its own; if it is
 * `known`, the first that is free; or that of all the others. AD_HISTORY_ALL: models
 * have none. */
static unsigned ad_history_set(const char *model, bool known, uint64_t second)
{
    unsigned set, spare = 0;

    if (AD_HISTORY_SETS == 1) {
        return AD_HISTORY_ALL;
    }
    set = ad_history.recent; /* most ticks are of the same model as the one before */
    if (set == 0 || strcmp(ad_history.models[set].name, model) != 0) {
        for (set = 1; set < AD_HISTORY_OTHER; set++) {
            struct ad_history_model *m = &ad_history.models[set];

            if (strcmp(m->name, model) == 0) {
                break;
            }
            if (spare == 0 && (m->name[0] == '\0' || ad_history_is_past(m))) {
                spare = set;
            }
        }
        if (set == AD_HISTORY_OTHER && spare != 0 && known) {
            set = spare;
            (void)snprintf(ad_history.models[set].name,
                           sizeof(ad_history.models[set].name), "%s", model);
            ad_history.models[set].since_s = second;
            ad_history.models[set].last_s = second;
        }
    }
    if (set != AD_HISTORY_OTHER) {
        ad_history.recent = set;
    }
    if (second > ad_history.models[set].last_s) {
        ad_history.models[set].last_s = second;
    }
    if (second < ad_history.models[set].since_s) { /* until then it had nothing */
        ad_history.models[set].since_s = second;
    }
    return set;
}

static void ad_history_add(struct ad_history_sum *sum, uint64_t tokens,
                           double latency_ms, bool first)
{
    sum->ticks += 1;
    sum->tokens += (double)tokens;
    if (first) {
        return;
    }
    sum->latency_min_ms = sum->latency.n == 0 || latency_ms < sum->latency_min_ms
                              ? latency_ms : sum->latency_min_ms;
    sum->latency_max_ms = latency_ms > sum->latency_max_ms ? latency_ms
                                                           : sum->latency_max_ms;
    sum->latency_sum_ms += latency_ms;
    ad_histogram_add(&sum->latency, (uint64_t)(latency_ms * 1000), 1);
}

#if AIDASH_METER

/* A request of the meter ended. Those of other boards do not come here, as they are in
 * the boards' own histories. A name that its client alone knows gets no rows of its own. */
static void ad_history_request(const struct ad_proxy *p, const char *status,
                               const struct ad_proxy_figures *figures)
{
    /* "": nobody knows to which model. */
    const char *model = p->name[0] != '\0' ? p->name : p->request.model;
    unsigned set;

    (void)figures;
    ad_history_advance();
    ad_history.open[0][AD_HISTORY_ALL].requests += 1;
    set = model[0] != '\0' ? ad_history_set(model, ad_proxy_has_model(p, model, status),
                                             ad_history.second)
          : AD_HISTORY_SETS > 1 ? (unsigned)AD_HISTORY_OTHER : AD_HISTORY_ALL;
    if (set != AD_HISTORY_ALL) {
        ad_history.open[0][set].requests += 1;
    }
    ad_history.totals.requests++;
}

#endif

#if AIDASH_BOARD

/* A report of the board. */
static void ad_history_board(const struct ad_board_figures *f)
{
    const struct ad_value *const values[AD_HISTORY_FIGURES] = {
        &f->cpu_percent, &f->memory_used, &f->celsius,
        &f->watts, &f->gpu_percent, &f->clock_mhz};
    unsigned i;

    ad_history_advance();
    for (i = 0; i < AD_HISTORY_FIGURES; i++) {
        struct ad_history_board_sum *sum = &ad_history.board[0][i];

        if (ad_value_is_number(values[i])) {
            double number = values[i]->number;

            if (sum->n++ == 0 || number > sum->max) {
                sum->max = number;
            }
            sum->sum += number;
        }
    }
}

#endif

/* ---- runs ---- */

/* When a run began. The present one is not told before the end of the one before:
 * until a board without a clock of its own knows the time, its history goes on where
 * it ended. */
static uint64_t ad_history_run_start_us(unsigned run)
{
    uint64_t start_us = ad_history.runs[run].start_us, end_us = 0, past_us;

    if (run + 1 < ad_history.n_runs) {
        return start_us;
    }
    if (run > 0) {
        const struct ad_history_run *before = &ad_history.runs[run - 1];

        end_us = before->start_us +
                 (before->end_s - before->first_s) * AD_HISTORY_SECOND_US;
    }
    start_us = ad_hub.start_us > end_us ? ad_hub.start_us : end_us;
    past_us = (ad_history.begin_s - ad_history.first_s) * AD_HISTORY_SECOND_US;
    return start_us > past_us ? start_us - past_us : 0;
}

/* The seconds of a run end before this one. */
static uint64_t ad_history_run_end_s(unsigned run)
{
    return run + 1 < ad_history.n_runs ? ad_history.runs[run].end_s
                                       : ad_history.second;
}

/* The run that has this second, or begins last before it. */
static unsigned ad_history_run_of(uint64_t second)
{
    unsigned run = ad_history.n_runs - 1;

    while (run > 0 && ad_history.runs[run].first_s > second) {
        run--;
    }
    return run;
}

/* When a row begins, Unix time. */
static uint64_t ad_history_start_us(unsigned level, uint64_t number)
{
    uint64_t second = number * ad_history_levels[level].step_s;
    unsigned run = ad_history_run_of(second);

    return ad_history_run_start_us(run) +
           (second - ad_history.runs[run].first_s) * AD_HISTORY_SECOND_US;
}

/* How many seconds a row sums up: fewer than its step where a run ended. 0: it is of
 * no run. */
static unsigned ad_history_seconds(unsigned level, uint64_t number)
{
    unsigned step_s = ad_history_levels[level].step_s;
    uint64_t second = number * step_s;
    uint64_t end_s = ad_history_run_end_s(ad_history_run_of(second));

    if (end_s <= second) {
        return 0;
    }
    return end_s - second < step_s ? (unsigned)(end_s - second) : step_s;
}

/* A clock before that is not set. */
#define AD_HISTORY_CLOCK_US (1735689600ull * 1000000) /* 2025-01-01 */

/* Runs that end after the present one began had a clock that was wrong, or have one
 * that is not set yet. Once it had time to be set, they end where this one begins. */
static void ad_history_mend_runs(void)
{
    uint64_t shown_us = ad_history_run_start_us(ad_history.n_runs - 1), shift_us;
    unsigned run;

    if (ad_history.second - ad_history.first_s < 2 * AD_HISTORY_LONGEST_S ||
        ad_hub.now_us < AD_HISTORY_CLOCK_US || shown_us <= ad_hub.start_us) {
        return;
    }
    shift_us = shown_us - ad_hub.start_us;
    for (run = 0; run + 1 < ad_history.n_runs; run++) {
        uint64_t *start_us = &ad_history.runs[run].start_us;

        *start_us = *start_us > shift_us ? *start_us - shift_us : 0;
    }
}

/* ---- ticks ---- */

/* The present run gets `rows` more of the longest rows in front of its first one. */
static void ad_history_go_back(uint64_t rows)
{
    uint64_t first_s = ad_history.first_s - rows * AD_HISTORY_LONGEST_S;
    unsigned level;

    for (level = 0; level < AD_HISTORY_LEVELS; level++) {
        unsigned step_s = ad_history_levels[level].step_s, n = ad_history_levels[level].n;
        uint64_t open = ad_history.second / step_s, from = first_s / step_s;
        uint64_t to = ad_history.first_s / step_s;

        from = open - from > n ? open - n : from; /* newer rows have the others' places */
        if (from < to) {
            ad_history_blank(level, from, to);
        }
    }
    ad_history.first_s = ad_history.runs[ad_history.n_runs - 1].first_s = first_s;
}

/* The second in which a time of the past lies; the present one if it is none. The run
 * gets rows of before its begin, if it may have them. False: no row is so old. */
static bool ad_history_second_of(uint64_t us, uint64_t *second)
{
    const uint64_t row_us = AD_HISTORY_LONGEST_S * AD_HISTORY_SECOND_US;
    uint64_t start_us = ad_history_run_start_us(ad_history.n_runs - 1), back;
    uint64_t rows = ad_history.second / AD_HISTORY_LONGEST_S;
    uint64_t oldest_s = rows > AIDASH_HISTORY_FIVES
                            ? (rows - AIDASH_HISTORY_FIVES) * AD_HISTORY_LONGEST_S : 0;

    if (us < start_us) {
        back = (start_us - us + row_us - 1) / row_us;
        if (!ad_history.has_past || start_us < back * row_us ||
            ad_history.first_s < oldest_s + back * AD_HISTORY_LONGEST_S) {
            return false;
        }
        ad_history_go_back(back);
        start_us -= back * row_us;
    }
    *second = ad_history.first_s + (us - start_us) / AD_HISTORY_SECOND_US;
    *second = *second < ad_history.second ? *second : ad_history.second;
    return *second >= oldest_s;
}

/* A tick of a second that is over: in the row of each level that still has it. */
static void ad_history_tick_late(const char *model, uint64_t tokens, double latency_ms,
                                 bool first, uint64_t second)
{
    unsigned level, set = ad_history_set(model, true, second);

    for (level = 0; level < AD_HISTORY_LEVELS; level++) {
        struct ad_history_sum *sums = ad_history_late_sums(level, second);

        if (sums != NULL) {
            ad_history_add(&sums[AD_HISTORY_ALL], tokens, latency_ms, first);
            if (set != AD_HISTORY_ALL) {
                ad_history_add(&sums[set], tokens, latency_ms, first);
            }
        }
    }
}

/* A tick of a model: tokens that it added, and its latency unless that is of a first
 * token. at_us: when it was, Unix time, if it comes late; 0: now. False: there is no row
 * of that time. */
static bool ad_history_tick(const char *model, uint64_t tokens, double latency_ms,
                            bool first, uint64_t at_us)
{
    uint64_t second;
    unsigned set;

    ad_history_advance();
    second = ad_history.second;
    if (at_us != 0 && !ad_history_second_of(at_us, &second)) {
        return false;
    }
    if (second < ad_history.second) {
        ad_history_tick_late(model, tokens, latency_ms, first, second);
    } else { /* the longer rows get the open second at its end */
        ad_history_add(&ad_history.open[0][AD_HISTORY_ALL], tokens, latency_ms, first);
        set = ad_history_set(model, true, second);
        if (set != AD_HISTORY_ALL) {
            ad_history_add(&ad_history.open[0][set], tokens, latency_ms, first);
        }
    }
    ad_history.totals.ticks++;
    ad_history.totals.tokens += tokens;
    return true;
}

/* Before each run; the rows' memory stays untouched. */
static void ad_history_init(void)
{
    ad_history.second = ad_history.first_s = ad_history.begin_s = 0;
    ad_history.has_past = false;
    ad_history.end_ns = UINT64_MAX;
    ad_history.n_runs = ad_history.recent = 0;
    memset(ad_history.models, 0, sizeof(ad_history.models));
    memset(&ad_history.totals, 0, sizeof(ad_history.totals));
    memset(ad_history.open, 0, sizeof(ad_history.open));
    memset(ad_history.late, 0, sizeof(ad_history.late));
    memset(ad_history.board, 0, sizeof(ad_history.board));
    ad_ticks_observe(ad_history_tick);
#if AIDASH_METER
    ad_reports_observe(ad_history_request);
#endif
}

/* The run begins. `past`: it may have rows of before, as no run before it does. */
static void ad_history_begin(bool past)
{
    if (ad_history.n_runs == AD_HISTORY_RUNS) {
        memmove(ad_history.runs, ad_history.runs + 1,
                (AD_HISTORY_RUNS - 1) * sizeof(ad_history.runs[0]));
        ad_history.n_runs--;
    }
    ad_history.has_past = past && ad_history.n_runs == 0;
    if (ad_history.has_past) {
        ad_history.second = AD_HISTORY_KEPT_S;
    }
    ad_history.first_s = ad_history.begin_s = ad_history.second;
    ad_history.runs[ad_history.n_runs].first_s = ad_history.first_s;
    ad_history.runs[ad_history.n_runs].end_s = ad_history.first_s;
    ad_history.runs[ad_history.n_runs].start_us = ad_hub.start_us;
    ad_history.n_runs++;
    ad_history.end_ns = ad_hub.start_ns + AD_HISTORY_SECOND_NS;
}

/* The run ends: so do the open rows, and no run begins before the longest is full. */
static void ad_history_end(void)
{
    uint64_t end_s, from;
    unsigned level;

    ad_history_end_second(); /* the part of it that was */
    end_s = ad_history.second;
    ad_history.second = (end_s + AD_HISTORY_LONGEST_S - 1) / AD_HISTORY_LONGEST_S *
                        AD_HISTORY_LONGEST_S;
    for (level = 1; level < AD_HISTORY_LEVELS; level++) {
        unsigned step_s = ad_history_levels[level].step_s;

        from = end_s / step_s;
        if (end_s % step_s != 0) {
            ad_history_close_row(level, from++);
        }
        ad_history_blank(level, from, ad_history.second / step_s);
    }
    ad_history.end_ns = UINT64_MAX;
    ad_history.runs[ad_history.n_runs - 1].end_s = end_s;
}

AD_MEMORY(history, AD_HISTORY_ROWS, sizeof(ad_history));

#endif /* AIDASH_HISTORY */

#endif
