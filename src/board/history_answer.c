/* history_answer.c - GET /history: which rows are asked for, and their text.
 * Owns nothing. Hub thread only.
 */
#ifndef AD_BOARD_HISTORY_ANSWER_C
#define AD_BOARD_HISTORY_ANSWER_C

#include "../core/pending.c"
#include "history.c"

#if AIDASH_HISTORY

/* What is asked for: rows [next, end) of a level and a set, and which columns. */
struct ad_history_ask {
    unsigned level, set;
    uint32_t columns; /* bit i: ad_history_names[i] */
    bool csv;
    uint64_t next, end;
};
_Static_assert(AD_HISTORY_COLUMNS <= 24 && AD_HISTORY_SETS <= 256,
               "an ask fits two numbers of a pending one");

/* ---- which rows ---- */

/* The rows that are kept of a level, [*first, the result). Seconds are of this run
 * alone: no file has them. */
static uint64_t ad_history_range(unsigned level, uint64_t *first)
{
    uint64_t step_s = ad_history_levels[level].step_s, end, oldest;

    ad_history_advance();
    ad_history_settle();
    end = ad_history.second / step_s;
    oldest = (level == 0 ? ad_history.first_s : ad_history.runs[0].first_s) / step_s;
    *first = end > ad_history_levels[level].n ? end - ad_history_levels[level].n : 0;
    *first = *first > oldest ? *first : oldest;
    return end;
}

/* The rows of a run, of those of [first, end). False: there are none. */
static bool ad_history_run_rows(unsigned level, unsigned run, uint64_t *first,
                                uint64_t *end)
{
    uint64_t step_s = ad_history_levels[level].step_s;
    uint64_t low = ad_history.runs[run].first_s / step_s;
    uint64_t high = (ad_history_run_end_s(run) + step_s - 1) / step_s;

    *first = *first > low ? *first : low;
    *end = *end < high ? *end : high;
    return *first < *end;
}

/* The first row of a run that begins at us or later, of any number. us is not before
 * the run's start. */
static uint64_t ad_history_row_at(unsigned level, unsigned run, uint64_t us)
{
    uint64_t step_us = ad_history_levels[level].step_s * AD_HISTORY_SECOND_US;
    uint64_t since_us = us - ad_history_run_start_us(run);

    return ad_history.runs[run].first_s / ad_history_levels[level].step_s +
           since_us / step_us + (since_us % step_us != 0);
}

/* The first row in [first, end) that begins at us or later; or end. */
static uint64_t ad_history_from(unsigned level, uint64_t first, uint64_t end,
                                uint64_t us)
{
    unsigned run;

    for (run = 0; run < ad_history.n_runs; run++) {
        uint64_t low = first, high = end, at;

        if (!ad_history_run_rows(level, run, &low, &high)) {
            continue;
        }
        at = us > ad_history_run_start_us(run) ? ad_history_row_at(level, run, us)
                                               : low;
        if (at < high) {
            return at > low ? at : low;
        }
    }
    return end;
}

/* Behind the last row in [first, end) that begins before us; or first. */
static uint64_t ad_history_until(unsigned level, uint64_t first, uint64_t end,
                                 uint64_t us)
{
    unsigned run;

    for (run = ad_history.n_runs; run-- > 0;) {
        uint64_t low = first, high = end, at;

        if (!ad_history_run_rows(level, run, &low, &high) ||
            us <= ad_history_run_start_us(run)) {
            continue;
        }
        at = ad_history_row_at(level, run, us);
        if (at > low) {
            return at < high ? at : high;
        }
    }
    return first;
}

/* Choose the rows that begin in [from_us, to_us): of the level whose rows are so
 * long, or, with step_s 0, of the finest that goes back so far. False if no rows are
 * so long. */
static bool ad_history_choose(struct ad_history_ask *ask, uint64_t from_us,
                              uint64_t to_us, uint64_t step_s)
{
    uint64_t first = 0;

    for (ask->level = 0; ask->level < AD_HISTORY_LEVELS; ask->level++) {
        unsigned level_step_s = ad_history_levels[ask->level].step_s;

        ask->end = ad_history_range(ask->level, &first);
        if (step_s == 0
                ? first * level_step_s == ad_history.runs[0].first_s ||
                      ad_history_start_us(ask->level, first) <= from_us ||
                      ask->level == AD_HISTORY_LEVELS - 1
                : level_step_s == step_s) {
            break;
        }
    }
    if (ask->level == AD_HISTORY_LEVELS) {
        return false;
    }
    ask->next = ad_history_from(ask->level, first, ask->end, from_us);
    ask->end = ad_history_until(ask->level, first, ask->end, to_us);
    ask->next = ask->next < ask->end ? ask->next : ask->end;
    return true;
}

/* Is this part of a query, where a byte may be %XX, that name? */
static bool ad_history_is_name(struct ad_slice text, const char *name)
{
    size_t i = 0;

    for (; i < text.len && *name != '\0'; i++, name++) {
        int byte = (uint8_t)text.at[i];

        if (byte == '%' && i + 2 < text.len) {
            int high = ad_hex(text.at[i + 1]), low = ad_hex(text.at[i + 2]);

            if (high >= 0 && low >= 0) {
                byte = high * 16 + low;
                i += 2;
            }
        }
        if (byte != (uint8_t)*name) {
            return false;
        }
    }
    return i == text.len && *name == '\0';
}

/* Whose rows: the set of a model, or of "other" models. False: it has none. */
static bool ad_history_find_model(struct ad_slice name, unsigned *set)
{
    unsigned i;

    for (i = 1; i < AD_HISTORY_SETS; i++) {
        if (i != AD_HISTORY_OTHER && ad_history.models[i].name[0] != '\0' &&
            ad_history_is_name(name, ad_history.models[i].name)) {
            *set = i;
            return true;
        }
    }
    *set = AD_HISTORY_OTHER;
    return AD_HISTORY_SETS > 1 && ad_slice_is(name, "other");
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

/* ---- the text ---- */

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

/* The models with rows of their own, as long as there is room. */
static void ad_history_put_models(struct ad_text *t)
{
    unsigned set, n = 0;

    ad_puts(t, "\"models\":[");
    for (set = 1; set < AD_HISTORY_SETS; set++) {
        const char *name = set == AD_HISTORY_OTHER ? "other"
                                                   : ad_history.models[set].name;

        if (name[0] != '\0' && t->cap - t->len > AD_MODEL_JSON_MAX + 512) {
            ad_puts(t, n++ > 0 ? ",\"" : "\"");
            ad_put_escaped(t, name, strlen(name));
            ad_puts(t, "\"");
        }
    }
    ad_puts(t, "],");
}

/* What comes before the rows. */
static void ad_history_put_begin(struct ad_text *t, const struct ad_history_ask *ask)
{
    if (ask->csv) {
        ad_history_put_names(t, ask, "");
        ad_puts(t, "\r\n");
        return;
    }
    ad_putf(t, "{\"step\":%u,", ad_history_levels[ask->level].step_s);
    ad_history_put_models(t);
    ad_puts(t, "\"series\":[");
    ad_history_put_names(t, ask, "\"");
    ad_puts(t, "],\"rows\":[");
}

enum { AD_HISTORY_ROW_MAX = (AD_HISTORY_COLUMNS + 1) * 25 + 4 }; /* bytes of a row */

/* A value of a row; NAN: there is none. */
static double ad_history_value(const struct ad_history_ask *ask, uint64_t number,
                               unsigned column)
{
    unsigned at = ad_history_at(ask->level, number);
    const struct ad_history_row *row = &ad_history.rows[ask->set][at];

    if (column == AD_HISTORY_RATE) {
        return (double)row->values[AD_HISTORY_TOKENS] /
               ad_history_seconds(ask->level, number);
    }
    return column < AD_HISTORY_VALUES
               ? (double)row->values[column]
               : (double)ad_history.figures[at].values[column - AD_HISTORY_CPU];
}

/* Nothing where a row is of no run, or from before the model had rows. */
static void ad_history_put_row(struct ad_text *t, const struct ad_history_ask *ask,
                               uint64_t number)
{
    bool known = (number + 1) * ad_history_levels[ask->level].step_s >
                 ad_history.models[ask->set].since_s;
    unsigned i;

    ad_puts(t, ask->csv ? "" : "[");
    ad_put_decimal(t, ad_history_start_us(ask->level, number) / 1000, 3);
    for (i = 0; i < AD_HISTORY_COLUMNS; i++) {
        double value = known ? ad_history_value(ask, number, i) : (double)NAN;

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
 * the columns above 32 bits; p->last the end, with level, form and set above. */
static void ad_history_more(struct ad_pending *p)
{
    struct ad_text t = ad_text_in(ad_pending_buffer(p), AIDASH_HEAD_MAX);
    struct ad_history_ask ask;
    uint64_t first;

    ask.next = p->cursor & UINT32_MAX;
    ask.columns = (uint32_t)(p->cursor >> 32);
    ask.end = p->last & UINT32_MAX;
    ask.level = (unsigned)(p->last >> 32 & 3);
    ask.csv = (p->last >> 34 & 1) != 0;
    ask.set = (unsigned)(p->last >> 35);
    (void)ad_history_range(ask.level, &first);
    if (ask.next < first) { /* they were overwritten meanwhile */
        ask.next = first < ask.end ? first : ask.end;
    }
    while (ask.next < ask.end && t.cap - t.len > AD_HISTORY_ROW_MAX) {
        if (ad_history_seconds(ask.level, ask.next) > 0) {
            if (!ask.csv && p->answered) {
                ad_puts(&t, ",");
            }
            ad_history_put_row(&t, &ask, ask.next);
            p->answered = true;
        }
        ask.next++;
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
              (uint64_t)(ask->csv ? 1 : 0) << 34 | (uint64_t)ask->set << 35;
    p->more = ad_history_more;
}

#endif /* AIDASH_HISTORY */

#endif
