/* usage.c - GET /usage: what clients have used, as JSON or CSV, in pieces.
 * Owns nothing. Hub thread only.
 */
#ifndef AD_METER_USAGE_C
#define AD_METER_USAGE_C

#include "../codec/tick.c"
#include "../core/pending.c"
#include "totals.c"

#if AIDASH_METER

enum {
    AD_USAGE_NUMBERS_MAX = AD_USAGE_COUNTS * 44, /* bytes: names and numbers */
    /* Bytes of a row: the client's address, key and agent, the model. */
    AD_USAGE_ROW_MAX = 256 + AD_MODEL_JSON_MAX + AD_USAGE_NUMBERS_MAX,
    AD_USAGE_END_MAX = 2 * AD_USAGE_NUMBERS_MAX + 64
};
_Static_assert(AIDASH_HEAD_MAX >= AD_USAGE_ROW_MAX + AD_USAGE_END_MAX + 512,
               "an answer's head and some of its rows fit");

/* What is asked for. ad_usage_packed() keeps it in a pending connection. */
struct ad_usage_ask {
    enum ad_usage_by by;
    enum ad_usage_span span;
    bool csv;
};

static const char *const ad_usage_by_names[AD_PER_COUNT] = {
    "row", "client", "address", "key", "agent", "model"};
static const char *const ad_usage_span_names[] = {"today", "24h", "all"};

/* By what members a row is told apart. */
static bool ad_usage_has(enum ad_usage_by by, enum ad_usage_by part)
{
    bool client = part == AD_PER_ADDRESS || part == AD_PER_KEY ||
                  part == AD_PER_AGENT;

    return by == part || by == AD_PER_ROW || (by == AD_PER_CLIENT && client);
}

static uint64_t ad_usage_packed(const struct ad_usage_ask *ask)
{
    return (uint64_t)ask->by << 8 | (uint64_t)ask->span << 1 | (ask->csv ? 1 : 0);
}

static struct ad_usage_ask ad_usage_unpacked(uint64_t packed)
{
    struct ad_usage_ask ask = {(enum ad_usage_by)(packed >> 8),
                               (enum ad_usage_span)(packed >> 1 & 3),
                               (packed & 1) != 0};

    return ask;
}

/* ---- JSON ---- */

static void ad_usage_put_numbers(struct ad_text *t, const struct ad_usage *u)
{
    static const char *const names[AD_USAGE_US] = {
        "requests", "errors", "refused", "prompt_tokens", "cached_tokens",
        "completion_tokens", "estimated_tokens"};
    unsigned i;

    for (i = 0; i < AD_USAGE_US; i++) {
        ad_putf(t, "\"%s\":%llu,", names[i], (unsigned long long)u->n[i]);
    }
    ad_puts(t, "\"seconds\":");
    ad_put_decimal(t, u->n[AD_USAGE_US], 6);
    ad_puts(t, "}");
}

static void ad_usage_put_member(struct ad_text *t, const char *name,
                                const char *value)
{
    ad_putf(t, "\"%s\":", name);
    ad_put_string(t, value);
    ad_puts(t, ",");
}

static void ad_usage_put_json(struct ad_text *t, enum ad_usage_by by,
                              const struct ad_totals_row *row,
                              const struct ad_usage *u)
{
    ad_puts(t, "{");
    if (ad_usage_has(by, AD_PER_ADDRESS)) {
        ad_usage_put_member(t, "client", row->who.address);
    }
    if (ad_usage_has(by, AD_PER_KEY)) {
        ad_usage_put_member(t, "key", row->who.key);
    }
    if (ad_usage_has(by, AD_PER_AGENT)) {
        ad_usage_put_member(t, "agent", row->who.agent);
    }
    if (ad_usage_has(by, AD_PER_MODEL)) {
        ad_usage_put_member(t, "model", row->model);
    }
    ad_usage_put_numbers(t, u);
}

/* ---- CSV, RFC 4180 ---- */

/* A field: always in quotes. A spreadsheet takes what begins with = + - @, a tab
 * or CR for a formula, so a ' comes before it. */
static void ad_usage_put_csv_text(struct ad_text *t, const char *s)
{
    ad_puts(t, "\"");
    if (*s != '\0' && strchr("=+-@\t\r", *s) != NULL) {
        ad_puts(t, "'");
    }
    for (; *s != '\0'; s++) {
        ad_put(t, "\"\"", *s == '"' ? 2 : 0);
        ad_put(t, s, *s == '"' ? 0 : 1);
    }
    ad_puts(t, "\",");
}

/* A line. `kind` is row, or others; row is NULL for those. */
static void ad_usage_put_csv(struct ad_text *t, const char *kind,
                             enum ad_usage_by by, const struct ad_totals_row *row,
                             const struct ad_usage *u)
{
    bool is_row = row != NULL;
    unsigned i;

    ad_putf(t, "%s,", kind);
    ad_usage_put_csv_text(t, is_row && ad_usage_has(by, AD_PER_ADDRESS)
                                 ? row->who.address : "");
    ad_usage_put_csv_text(t, is_row && ad_usage_has(by, AD_PER_KEY)
                                 ? row->who.key : "");
    ad_usage_put_csv_text(t, is_row && ad_usage_has(by, AD_PER_AGENT)
                                 ? row->who.agent : "");
    ad_usage_put_csv_text(t, is_row && ad_usage_has(by, AD_PER_MODEL)
                                 ? row->model : "");
    for (i = 0; i < AD_USAGE_US; i++) {
        ad_putf(t, "%llu,", (unsigned long long)u->n[i]);
    }
    ad_put_decimal(t, u->n[AD_USAGE_US], 6);
    ad_puts(t, "\r\n");
}

/* ---- the answer ---- */

static void ad_usage_begin(struct ad_text *t, const struct ad_usage_ask *ask,
                           const struct ad_totals_time *now)
{
    if (ask->csv) {
        ad_puts(t, "kind,client,key,agent,model,requests,errors,refused,"
                   "prompt_tokens,cached_tokens,completion_tokens,"
                   "estimated_tokens,seconds\r\n");
        return;
    }
    ad_putf(t, "{\"by\":\"%s\",\"span\":\"%s\",\"since\":",
            ad_usage_by_names[ask->by], ad_usage_span_names[ask->span]);
    ad_put_decimal(t, ad_totals_from_us(ask->span), 6);
    ad_puts(t, ",\"time\":");
    ad_put_decimal(t, now->unix_us, 6);
    ad_putf(t, ",\"rows_max\":%d,\"rows\":[", AIDASH_TOTALS);
}

static void ad_usage_end(struct ad_text *t, const struct ad_usage_ask *ask)
{
    struct ad_usage others = ad_totals_read(&ad_totals.others, ask->span);
    struct ad_usage total = ad_totals_sum(ask->span);

    if (ask->csv) {
        if (others.n[AD_USAGE_REQUESTS] > 0) {
            ad_usage_put_csv(t, "others", ask->by, NULL, &others);
        }
        return;
    }
    ad_puts(t, "],\"others\":{");
    ad_usage_put_numbers(t, &others);
    ad_puts(t, ",\"total\":{");
    ad_usage_put_numbers(t, &total);
    ad_puts(t, "}");
}

/* Rows, as many as fit the buffer, then the end. p->cursor: the next row; p->last:
 * what is asked for. */
static void ad_usage_more(struct ad_pending *p)
{
    struct ad_usage_ask ask = ad_usage_unpacked(p->last);
    struct ad_text t = ad_text_in(ad_pending_buffer(p), AIDASH_HEAD_MAX);
    size_t room = AIDASH_HEAD_MAX - AD_USAGE_ROW_MAX - AD_USAGE_END_MAX;
    struct ad_totals_time now = ad_totals_now();
    struct ad_usage sum;

    ad_totals_turn(&now);
    if (p->cursor == 0) {
        ad_usage_begin(&t, &ask, &now);
    }
    while (p->cursor < ad_totals.n && t.len < room) {
        unsigned i = (unsigned)p->cursor++;

        if (!ad_totals_group(ask.by, ask.span, i, &sum) ||
            sum.n[AD_USAGE_REQUESTS] == 0) {
            continue;
        }
        if (ask.csv) {
            ad_usage_put_csv(&t, "row", ask.by, &ad_totals.rows[i], &sum);
        } else {
            ad_puts(&t, p->answered ? "," : "");
            ad_usage_put_json(&t, ask.by, &ad_totals.rows[i], &sum);
        }
        p->answered = true;
    }
    if (p->cursor >= ad_totals.n && t.len < room) {
        ad_usage_end(&t, &ask);
        p->more = NULL;
    }
    p->len = (uint32_t)t.len;
}

#endif /* AIDASH_METER */

#endif
