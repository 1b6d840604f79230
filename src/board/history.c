/* history.c - what was: rings of rows, each of which sums up a second, ten seconds or
 * five minutes of ticks, requests and the board; GET /history.
 * Owns ad_history. Hub thread only.
 *
 * A row begins a whole number of steps after the server's start on the monotonic
 * clock, and its time is told by the clock as it is now: a board whose clock is set
 * after its start has no gap and no leap. Percentiles are at most 5 % off
 * (base/histogram.c); minimum, mean and maximum are exact.
 */
#ifndef AD_BOARD_HISTORY_C
#define AD_BOARD_HISTORY_C

#include "../base/histogram.c"
#include "../core/pending.c"
#include "../core/ticks.c"
#include "../meter/reports.c"
#if AIDASH_BOARD
#include "report.c"
#endif

#if AIDASH_HISTORY

/* What a row has. tokens_per_second is tokens by the row's seconds: not kept. */
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
enum { AD_HISTORY_FIGURES = AD_HISTORY_KEPT - AD_HISTORY_CPU };

static const char *const ad_history_names[] = {
    "ticks", "tokens", "latency_min_ms", "latency_mean_ms", "latency_p50_ms",
    "latency_p95_ms", "latency_max_ms", "requests", "cpu_percent",
    "memory_used_bytes", "celsius", "watts", "gpu_percent", "clock_mhz",
    "tokens_per_second"};
_Static_assert(AD_COUNT(ad_history_names) == AD_HISTORY_COLUMNS,
               "each column has a name");

enum { AD_HISTORY_LEVELS = 3 };

static const struct {
    unsigned step_s, first, n; /* rows [first, first + n) of ad_history.rows */
} ad_history_levels[AD_HISTORY_LEVELS] = {
    {1, 0, AIDASH_HISTORY_SECONDS},
    {10, AIDASH_HISTORY_SECONDS, AIDASH_HISTORY_TENS},
    {300, AIDASH_HISTORY_SECONDS + AIDASH_HISTORY_TENS, AIDASH_HISTORY_FIVES}};

enum {
    AD_HISTORY_ROWS = AIDASH_HISTORY_SECONDS + AIDASH_HISTORY_TENS +
                      AIDASH_HISTORY_FIVES
};

/* A row; NAN: there is no such value. */
struct ad_history_row {
    float values[AD_HISTORY_KEPT];
};

/* What is summed up at the moment. All zero: nothing. */
struct ad_history_sum {
    double ticks, tokens, requests;
    struct ad_histogram latency;
    double latency_sum_ms, latency_min_ms, latency_max_ms;
    struct {
        unsigned n;
        double sum, max;
    } figures[AD_HISTORY_FIGURES];
};

static struct {
    uint64_t second;   /* the open one, counted from the start */
    uint64_t end_ns;   /* when it ends */
    uint64_t requests; /* records so far */
    struct ad_history_sum open[AD_HISTORY_LEVELS];
    struct ad_history_row rows[AD_HISTORY_ROWS];
} ad_history;

/* ---- rows ---- */

static void ad_history_merge(struct ad_history_sum *to,
                             const struct ad_history_sum *from)
{
    unsigned i;

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
    for (i = 0; i < AD_HISTORY_FIGURES; i++) {
        if (from->figures[i].n > 0) {
            to->figures[i].max = to->figures[i].n == 0 ||
                                         from->figures[i].max > to->figures[i].max
                                     ? from->figures[i].max : to->figures[i].max;
            to->figures[i].sum += from->figures[i].sum;
            to->figures[i].n += from->figures[i].n;
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

static void ad_history_close(const struct ad_history_sum *sum,
                             struct ad_history_row *row)
{
    float *v = row->values;
    unsigned i;

    for (i = 0; i < AD_HISTORY_KEPT; i++) {
        v[i] = NAN;
    }
    v[AD_HISTORY_TICKS] = (float)sum->ticks;
    v[AD_HISTORY_TOKENS] = (float)sum->tokens;
    v[AD_HISTORY_REQUESTS] = (float)sum->requests;
    if (sum->latency.n > 0) {
        v[AD_HISTORY_MIN] = (float)sum->latency_min_ms;
        v[AD_HISTORY_MEAN] = (float)(sum->latency_sum_ms / sum->latency.n);
        v[AD_HISTORY_P50] = (float)ad_history_percentile(sum, 50);
        v[AD_HISTORY_P95] = (float)ad_history_percentile(sum, 95);
        v[AD_HISTORY_MAX] = (float)sum->latency_max_ms;
    }
    for (i = 0; i < AD_HISTORY_FIGURES; i++) {
        if (sum->figures[i].n > 0) { /* of heat the highest, of all else the mean */
            v[AD_HISTORY_CPU + i] =
                (float)(AD_HISTORY_CPU + i == AD_HISTORY_CELSIUS
                            ? sum->figures[i].max
                            : sum->figures[i].sum / sum->figures[i].n);
        }
    }
}

static struct ad_history_row *ad_history_row(unsigned level, uint64_t number)
{
    return &ad_history.rows[ad_history_levels[level].first +
                            number % ad_history_levels[level].n];
}

/* End the seconds that are over, and with them the longer rows. After a standstill
 * there are many, without anything in them. */
static void ad_history_advance(void)
{
    unsigned level;

    while (ad_hub.now_ns >= ad_history.end_ns) {
#if AIDASH_METER
        ad_history.open[0].requests += (double)(ad_records.count -
                                                ad_history.requests);
        ad_history.requests = ad_records.count;
#endif
        ad_history_close(&ad_history.open[0],
                         ad_history_row(0, ad_history.second));
        for (level = 1; level < AD_HISTORY_LEVELS; level++) {
            unsigned step_s = ad_history_levels[level].step_s;

            ad_history_merge(&ad_history.open[level], &ad_history.open[0]);
            if ((ad_history.second + 1) % step_s == 0) {
                ad_history_close(&ad_history.open[level],
                                 ad_history_row(level, ad_history.second / step_s));
                memset(&ad_history.open[level], 0, sizeof(ad_history.open[level]));
            }
        }
        memset(&ad_history.open[0], 0, sizeof(ad_history.open[0]));
        ad_history.second++;
        ad_history.end_ns += AD_NS_PER_S;
    }
}

/* ---- what comes in ---- */

/* A tick: tokens that it added, and its latency unless that is of a first token. */
static void ad_history_tick(uint64_t tokens, double latency_ms, bool first)
{
    struct ad_history_sum *sum = &ad_history.open[0];

    ad_history_advance();
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
        if (ad_value_is_number(values[i])) {
            double number = values[i]->number;

            if (ad_history.open[0].figures[i].n++ == 0 ||
                number > ad_history.open[0].figures[i].max) {
                ad_history.open[0].figures[i].max = number;
            }
            ad_history.open[0].figures[i].sum += number;
        }
    }
}

#endif

/* Before each run; the rows' memory stays untouched. */
static void ad_history_init(void)
{
    ad_history.second = ad_history.requests = 0;
    ad_history.end_ns = UINT64_MAX;
    memset(ad_history.open, 0, sizeof(ad_history.open));
    ad_ticks_observe(ad_history_tick);
}

/* The run begins. */
static void ad_history_begin(void)
{
    ad_history.end_ns = ad_hub.start_ns + AD_NS_PER_S;
}

/* ---- GET /history ---- */

/* What is asked for: rows [next, end) of a level, and which columns. */
struct ad_history_ask {
    unsigned level;
    uint32_t columns; /* bit i: ad_history_names[i] */
    bool csv;
    uint64_t next, end;
};
_Static_assert(AD_HISTORY_COLUMNS <= 24, "an ask fits two numbers of a pending one");

static uint64_t ad_history_start_us(unsigned level, uint64_t number)
{
    return ad_hub.start_us +
           number * ad_history_levels[level].step_s * (AD_NS_PER_S / 1000);
}

/* The rows that are kept of a level, [*first, the result). */
static uint64_t ad_history_range(unsigned level, uint64_t *first)
{
    uint64_t end;

    ad_history_advance();
    end = ad_history.second / ad_history_levels[level].step_s;
    *first = end > ad_history_levels[level].n ? end - ad_history_levels[level].n : 0;
    return end;
}

/* Choose the rows that begin in [from_us, to_us): of the level whose rows are so
 * long, or, with step_s 0, of the finest that goes back so far. False if no rows are
 * so long. */
static bool ad_history_choose(struct ad_history_ask *ask, uint64_t from_us,
                              uint64_t to_us, uint64_t step_s)
{
    uint64_t first = 0, step_us;

    for (ask->level = 0; ask->level < AD_HISTORY_LEVELS; ask->level++) {
        ask->end = ad_history_range(ask->level, &first);
        if (step_s == 0 ? first == 0 ||
                              ad_history_start_us(ask->level, first) <= from_us ||
                              ask->level == AD_HISTORY_LEVELS - 1
                        : ad_history_levels[ask->level].step_s == step_s) {
            break;
        }
    }
    if (ask->level == AD_HISTORY_LEVELS) {
        return false;
    }
    step_us = ad_history_levels[ask->level].step_s * (AD_NS_PER_S / 1000);
    ask->next = first;
    if (from_us > ad_history_start_us(ask->level, first)) {
        ask->next = (from_us - ad_hub.start_us + step_us - 1) / step_us;
    }
    if (to_us <= ad_hub.start_us) {
        ask->end = ask->next;
    } else if (to_us < ad_history_start_us(ask->level, ask->end)) {
        ask->end = (to_us - ad_hub.start_us + step_us - 1) / step_us;
    }
    ask->next = ask->next < ask->end ? ask->next : ask->end;
    return true;
}

/* The columns that a list of names, with commas between them, names. False: one is
 * none. */
static bool ad_history_columns(struct ad_slice list, uint32_t *columns)
{
    struct ad_slice name;
    unsigned i;

    *columns = 0;
    while (list.len > 0 && ad_http_cut(&list, ',', &name)) {
        for (i = 0; i < AD_HISTORY_COLUMNS && !ad_slice_is(name, ad_history_names[i]);
             i++) {
        }
        if (i == AD_HISTORY_COLUMNS) {
            return false;
        }
        *columns |= 1u << i;
    }
    return *columns != 0;
}

static void ad_history_put_names(struct ad_text *t, const struct ad_history_ask *ask,
                                 const char *quote)
{
    unsigned i;

    ad_putf(t, "%stime%s", quote, quote);
    for (i = 0; i < AD_HISTORY_COLUMNS; i++) {
        if ((ask->columns >> i & 1) != 0) {
            ad_putf(t, ",%s%s%s", quote, ad_history_names[i], quote);
        }
    }
}

/* What comes before the rows. */
static void ad_history_put_begin(struct ad_text *t, const struct ad_history_ask *ask)
{
    if (ask->csv) {
        ad_history_put_names(t, ask, "");
        ad_puts(t, "\r\n");
        return;
    }
    ad_putf(t, "{\"step\":%u,\"series\":[", ad_history_levels[ask->level].step_s);
    ad_history_put_names(t, ask, "\"");
    ad_puts(t, "],\"rows\":[");
}

enum { AD_HISTORY_ROW_MAX = (AD_HISTORY_COLUMNS + 1) * 25 + 4 }; /* bytes of a row */

static void ad_history_put_row(struct ad_text *t, const struct ad_history_ask *ask,
                               uint64_t number)
{
    const struct ad_history_row *row = ad_history_row(ask->level, number);
    unsigned i;

    ad_puts(t, ask->csv ? "" : "[");
    ad_put_decimal(t, ad_history_start_us(ask->level, number) / 1000, 3);
    for (i = 0; i < AD_HISTORY_COLUMNS; i++) {
        double value = i == AD_HISTORY_RATE
                           ? (double)row->values[AD_HISTORY_TOKENS] /
                                 ad_history_levels[ask->level].step_s
                           : (double)row->values[i];

        if ((ask->columns >> i & 1) == 0) {
            continue;
        }
        ad_puts(t, ",");
        if (value < 0) {
            ad_puts(t, "-");
            value = -value;
        }
        if (!isnan(value)) {
            ad_put_fixed(t, value, 3);
        } else if (!ask->csv) {
            ad_puts(t, "null");
        }
    }
    ad_puts(t, ask->csv ? "\r\n" : "]");
}

/* The next rows of an answer: as many as fit. p->cursor is the next row's number with
 * the columns above 32 bits; p->last the end, with level and form above 32 bits. */
static void ad_history_more(struct ad_pending *p)
{
    struct ad_text t = ad_text_in(ad_pending_buffer(p), AIDASH_HEAD_MAX);
    struct ad_history_ask ask;
    uint64_t first;

    ask.next = p->cursor & UINT32_MAX;
    ask.columns = (uint32_t)(p->cursor >> 32);
    ask.end = p->last & UINT32_MAX;
    ask.level = (unsigned)(p->last >> 32 & 3);
    ask.csv = p->last >> 34 != 0;
    (void)ad_history_range(ask.level, &first);
    if (ask.next < first) { /* they were overwritten meanwhile */
        ask.next = first < ask.end ? first : ask.end;
    }
    while (ask.next < ask.end && t.cap - t.len > AD_HISTORY_ROW_MAX) {
        if (!ask.csv && p->answered) {
            ad_puts(&t, ",");
        }
        ad_history_put_row(&t, &ask, ask.next++);
        p->answered = true;
    }
    if (ask.next == ask.end && t.cap - t.len > 2) {
        ad_puts(&t, ask.csv ? "" : "]}");
        p->more = NULL;
    }
    p->cursor = ask.next | (uint64_t)ask.columns << 32;
    p->len = (uint32_t)t.len;
}

/* Begin such an answer behind its head, in *t. */
static void ad_history_answer(struct ad_pending *p, const struct ad_history_ask *ask,
                              struct ad_text *t)
{
    ad_history_put_begin(t, ask);
    p->cursor = ask->next | (uint64_t)ask->columns << 32;
    p->last = ask->end | (uint64_t)ask->level << 32 |
              (uint64_t)(ask->csv ? 1 : 0) << 34;
    p->more = ad_history_more;
}

AD_MEMORY(history, AD_HISTORY_ROWS, sizeof(ad_history));

#endif /* AIDASH_HISTORY */

#endif
