/* alert_rules.c - rules of alerts: how they are written, when one fires and when it is
 * over. Pure: the values and the time come from the caller.
 *
 * A rule is [NAME: ]SERIES OPERATOR NUMBER[UNIT] [for TIME] [clear NUMBER[UNIT]]. It
 * fires when the value has been beyond the number for that time, and is over when the
 * value is back by 5 % of the number, or has reached the number behind `clear`.
 */
#ifndef AD_BOARD_ALERT_RULES_C
#define AD_BOARD_ALERT_RULES_C

#include "../base/clock.c"
#include "../base/text.c"
#include "../codec/http_field.c"
#include "../codec/json_stream.c"

#if AIDASH_ALERTS

enum {
    AD_ALERT_NAME_MAX = 47,   /* bytes of a rule's name */
    AD_ALERT_TEXT_MAX = 127,  /* and of the rule itself */
    AD_ALERT_WHICH_MAX = 31,  /* and of what is behind a series' colon */
    AD_ALERT_WHY_MAX = 448,   /* bytes of a sentence with its NUL */
    AD_ALERT_FOR_MAX = 86400, /* seconds */
    AD_ALERT_GAP_MS = 3000    /* between two values that count as one time */
};
#if AIDASH_METER && AIDASH_BASELINES
#define AD_ALERT_VERDICTS true
#else
#define AD_ALERT_VERDICTS false /* nobody says why a model is slow */
#endif
#define AD_ALERT_MARGIN 0.05 /* of the number, until an alert is over */

enum ad_alert_series {
    AD_ALERT_RATE,
    AD_ALERT_P50,
    AD_ALERT_P95,
    AD_ALERT_TTFT,
    AD_ALERT_QUEUE,
    AD_ALERT_RUNNING,
    AD_ALERT_REQUESTS,
    AD_ALERT_ERRORS,
    AD_ALERT_SILENCE,
    AD_ALERT_DOWN,
    AD_ALERT_TEMPERATURE,
    AD_ALERT_CPU,
    AD_ALERT_GPU,
    AD_ALERT_MEMORY,
    AD_ALERT_DISK,
    AD_ALERT_WATTS,
    AD_ALERT_CLOCK,
    AD_ALERT_GAUGE,
    AD_ALERT_VERDICT,
    AD_ALERT_SERIES
};

/* What may, or must, be behind a series' name and a colon. */
enum ad_alert_part { AD_ALERT_NO_PART, AD_ALERT_MAY_PART, AD_ALERT_MUST_PART };

static const struct {
    const char *name, *label, *unit;
    enum ad_alert_part part;
    bool flag;   /* it is 1 or 0: a rule needs no operator */
    bool engine; /* it is no news while a model loads, or while paused */
    bool there;  /* this build has it */
} ad_alert_series[] = {
    {"tokens_per_second", "speed", "tokens/s", AD_ALERT_NO_PART, false, true, true},
    {"latency_p50_ms", "latency (median)", "ms", AD_ALERT_NO_PART, false, true,
     AIDASH_HISTORY},
    {"latency_p95_ms", "latency (p95)", "ms", AD_ALERT_NO_PART, false, true,
     AIDASH_HISTORY},
    {"ttft_p95_ms", "time to first token (p95)", "ms", AD_ALERT_NO_PART, false, true,
     true},
    {"queue", "requests waiting", "", AD_ALERT_NO_PART, false, true, true},
    {"running", "requests running", "", AD_ALERT_NO_PART, false, false, true},
    {"requests_per_minute", "requests a minute", "", AD_ALERT_NO_PART, false, false,
     true},
    {"errors_per_minute", "failed requests a minute", "", AD_ALERT_NO_PART, false,
     false, true},
    {"silence_s", "time without a token", "s", AD_ALERT_NO_PART, false, true, true},
    {"engine_down", "an engine is down", "", AD_ALERT_NO_PART, true, true, true},
    {"temperature", "temperature", "C", AD_ALERT_MAY_PART, false, false,
     AIDASH_BOARD},
    {"cpu_percent", "CPU load", "%", AD_ALERT_NO_PART, false, false, AIDASH_BOARD},
    {"gpu_percent", "GPU load", "%", AD_ALERT_NO_PART, false, false, AIDASH_BOARD},
    {"memory_percent", "memory in use", "%", AD_ALERT_NO_PART, false, false,
     AIDASH_BOARD},
    {"disk_free_gb", "free disk space", "GB", AD_ALERT_NO_PART, false, false,
     AIDASH_BOARD},
    {"watts", "power", "W", AD_ALERT_NO_PART, false, false, AIDASH_BOARD},
    {"clock_mhz", "clock", "MHz", AD_ALERT_NO_PART, false, false, AIDASH_BOARD},
    {"gauge", "gauge", "", AD_ALERT_MUST_PART, false, false, true},
    {"verdict", "it is slower than usual", "", AD_ALERT_MAY_PART, true, false,
     AD_ALERT_VERDICTS},
};
_Static_assert(AD_COUNT(ad_alert_series) == AD_ALERT_SERIES, "each has a row");

enum ad_alert_op {
    AD_ALERT_ABOVE,
    AD_ALERT_AT_LEAST,
    AD_ALERT_BELOW,
    AD_ALERT_AT_MOST,
    AD_ALERT_EQUAL
};
static const char *const ad_alert_ops[] = {">", ">=", "<", "<=", "=="};
static const char *const ad_alert_words[] = {"above", "at least", "below", "at most",
                                             "equal to"};

struct ad_alert_rule {
    char name[AD_ALERT_NAME_MAX + 1]; /* as given, or the rule itself, cut */
    char text[AD_ALERT_TEXT_MAX + 1]; /* as given, without the name */
    char which[AD_ALERT_WHICH_MAX + 1]; /* behind the colon: a gauge, ...; or "" */
    uint8_t series; /* enum ad_alert_series */
    uint8_t op;     /* enum ad_alert_op */
    uint32_t for_s;
    double threshold, clear;
};

/* ---- the text of a rule ---- */

static bool ad_alert_fail(char why[AD_ALERT_WHY_MAX], struct ad_slice rule,
                          const char *what)
{
    (void)snprintf(why, AD_ALERT_WHY_MAX, "'%.*s': %s",
                   (int)(rule.len < 60 ? rule.len : 60), rule.at, what);
    return false;
}

/* The next word, up to a blank or an operator, or a run of <, > and =. */
static struct ad_slice ad_alert_word(struct ad_slice *rest)
{
    struct ad_slice word;
    size_t n = 0;

    while (rest->len > 0 && (rest->at[0] == ' ' || rest->at[0] == '\t')) {
        *rest = ad_slice_from(*rest, 1);
    }
    if (rest->len > 0 && memchr("<>=", rest->at[0], 3) != NULL) {
        while (n < rest->len && memchr("<>=", rest->at[n], 3) != NULL) {
            n++;
        }
    } else {
        while (n < rest->len && memchr(" \t<>=", rest->at[n], 5) == NULL) {
            n++;
        }
    }
    word.at = rest->at;
    word.len = n;
    *rest = ad_slice_from(*rest, n);
    return word;
}

/* The series: a word; but a gauge's name may have blanks, and ends at the operator. */
static struct ad_slice ad_alert_series_word(struct ad_slice *rest)
{
    struct ad_slice word = *rest;
    size_t n = 0;

    if (!ad_slice_begins(*rest, "gauge:")) {
        return ad_alert_word(rest);
    }
    while (n < rest->len && memchr("<>=", rest->at[n], 3) == NULL) {
        n++;
    }
    *rest = ad_slice_from(*rest, n);
    while (n > 0 && (word.at[n - 1] == ' ' || word.at[n - 1] == '\t')) {
        n--;
    }
    word.len = n;
    return word;
}

/* A series with its part. */
static bool ad_alert_read_series(struct ad_slice rule, struct ad_slice word,
                                 struct ad_alert_rule *out,
                                 char why[AD_ALERT_WHY_MAX])
{
    const char *colon = word.len > 0 ? memchr(word.at, ':', word.len) : NULL;
    struct ad_slice name = word, part = {"", 0};
    char what[AD_ALERT_WHY_MAX - 80];
    struct ad_text t = ad_text_in(what, sizeof(what) - 1);
    unsigned i, found = AD_ALERT_SERIES;

    if (colon != NULL) {
        name.len = (size_t)(colon - word.at);
        part = ad_slice_from(word, name.len + 1);
    }
    for (i = 0; i < AD_ALERT_SERIES; i++) {
        if (ad_alert_series[i].there && ad_slice_is(name, ad_alert_series[i].name)) {
            found = i;
        }
    }
    if (found == AD_ALERT_SERIES) {
        ad_puts(&t, "it begins with none of ");
        for (i = 0; i < AD_ALERT_SERIES; i++) {
            if (ad_alert_series[i].there) {
                ad_puts(&t, i > 0 ? ", " : "");
                ad_puts(&t, ad_alert_series[i].name);
                ad_puts(&t, ad_alert_series[i].part == AD_ALERT_MUST_PART ? ":NAME"
                                                                          : "");
            }
        }
        what[t.len] = '\0';
        return ad_alert_fail(why, rule, what);
    }
    if ((colon == NULL && ad_alert_series[found].part == AD_ALERT_MUST_PART) ||
        (colon != NULL && (ad_alert_series[found].part == AD_ALERT_NO_PART ||
                           !ad_name_ok(part.at, part.len, AD_ALERT_WHICH_MAX)))) {
        (void)snprintf(what, sizeof(what),
                       ad_alert_series[found].part == AD_ALERT_NO_PART
                           ? "%s has no colon and no name behind it"
                           : "write %s:NAME, a name of 1 to %d bytes",
                       ad_alert_series[found].name, AD_ALERT_WHICH_MAX);
        return ad_alert_fail(why, rule, what);
    }
    out->series = (uint8_t)found;
    memcpy(out->which, part.at, part.len);
    return true;
}

/* NUMBER[UNIT]; the unit may be a word of its own. */
static bool ad_alert_read_number(struct ad_slice rule, struct ad_slice *rest,
                                 const struct ad_alert_rule *r, double *value,
                                 char why[AD_ALERT_WHY_MAX])
{
    const char *unit = ad_alert_series[r->series].unit;
    struct ad_slice word = ad_alert_word(rest), after = *rest, next;
    size_t n = word.len > 0 ? ad_json_number(word.at, word.len) : 0;
    char what[160];

    if (n == 0) {
        return ad_alert_fail(why, rule, "a number, such as 200 or 3.5, is missing");
    }
    *value = ad_json_double(word.at, n);
    word = ad_slice_from(word, n);
    next = ad_alert_word(&after);
    if (word.len == 0 && unit[0] != '\0' && ad_slice_is(next, unit)) {
        *rest = after;
    }
    if (word.len > 0 && !ad_slice_is(word, unit)) {
        (void)snprintf(what, sizeof(what), "'%.*s' is no unit of %s, which is %s%s",
                       (int)(word.len < 20 ? word.len : 20), word.at,
                       ad_alert_series[r->series].name,
                       unit[0] != '\0' ? "in " : "a plain number", unit);
        return ad_alert_fail(why, rule, what);
    }
    if (!(*value >= -1e15 && *value <= 1e15)) {
        return ad_alert_fail(why, rule, "the number is too large");
    }
    return true;
}

/* A time in whole seconds, minutes or hours: 30, 30s, 5m, 1h. */
static bool ad_alert_read_time(struct ad_slice word, uint32_t *s)
{
    uint64_t n, scale = 1;

    if (word.len > 1 && memchr("smh", word.at[word.len - 1], 3) != NULL) {
        char unit = word.at[--word.len];

        scale = unit == 'h' ? 3600 : unit == 'm' ? 60 : 1;
    }
    if (!ad_decimal_u64(word.at, word.len, AD_ALERT_FOR_MAX / scale, &n)) {
        return false;
    }
    *s = (uint32_t)(n * scale);
    return true;
}

/* The operator, if there is one. False: there is another word. */
static bool ad_alert_read_op(struct ad_slice *rest, struct ad_alert_rule *out,
                             bool *given)
{
    struct ad_slice after = *rest, word = ad_alert_word(&after);
    unsigned i;

    *given = word.len > 0 && memchr("<>=", word.at[0], 3) != NULL;
    if (!*given) {
        return ad_alert_series[out->series].flag;
    }
    for (i = 0; i < AD_COUNT(ad_alert_ops); i++) {
        if (ad_slice_is(word, ad_alert_ops[i])) {
            out->op = (uint8_t)i;
            *rest = after;
            return true;
        }
    }
    return false;
}

/* The number at which it is over, if none is given. */
static double ad_alert_back(const struct ad_alert_rule *r)
{
    double margin = (r->threshold < 0 ? -r->threshold : r->threshold) *
                    AD_ALERT_MARGIN;

    if (ad_alert_series[r->series].flag || r->op == AD_ALERT_EQUAL) {
        return r->threshold;
    }
    return r->op <= AD_ALERT_AT_LEAST ? r->threshold - margin
                                      : r->threshold + margin;
}

/* What may follow the number: `for TIME`, `clear NUMBER`. */
static bool ad_alert_read_rest(struct ad_slice rule, struct ad_slice *rest,
                               struct ad_alert_rule *out, char why[AD_ALERT_WHY_MAX])
{
    struct ad_slice word;

    while ((word = ad_alert_word(rest)).len > 0) {
        if (ad_slice_is(word, "for")) {
            if (!ad_alert_read_time(ad_alert_word(rest), &out->for_s)) {
                return ad_alert_fail(why, rule, "write `for` and 30s, 5m or 1h: a "
                                                "whole number, a day at most");
            }
        } else if (ad_slice_is(word, "clear") && out->op != AD_ALERT_EQUAL &&
                   !ad_alert_series[out->series].flag) {
            if (!ad_alert_read_number(rule, rest, out, &out->clear, why)) {
                return false;
            }
            if (out->op <= AD_ALERT_AT_LEAST ? out->clear > out->threshold
                                             : out->clear < out->threshold) {
                return ad_alert_fail(why, rule, "it is over, by `clear`, at a value "
                                                "that makes it fire");
            }
        } else {
            return ad_alert_fail(why, rule, "only `for TIME` and `clear NUMBER` may "
                                            "follow the number");
        }
    }
    return true;
}

/* [NAME: ], which ends with a colon and a blank. False if it is no name. */
static bool ad_alert_read_name(struct ad_slice *rule, struct ad_alert_rule *out)
{
    const char *end = rule->len > 1 ? memmem(rule->at, rule->len, ": ", 2) : NULL;
    size_t len = end != NULL ? (size_t)(end - rule->at) : 0;

    if (end == NULL) {
        return true;
    }
    if (!ad_name_ok(rule->at, len, AD_ALERT_NAME_MAX)) {
        return false;
    }
    memcpy(out->name, rule->at, len);
    *rule = ad_slice_from(*rule, len + 2);
    while (rule->len > 0 && rule->at[0] == ' ') {
        *rule = ad_slice_from(*rule, 1);
    }
    return true;
}

/* Read a rule into *out. False: why[] says what is wrong, and what is allowed. */
static bool ad_alert_parse(const char *text, size_t len, struct ad_alert_rule *out,
                           char why[AD_ALERT_WHY_MAX])
{
    struct ad_slice rule = {text, len}, rest;
    bool given;

    memset(out, 0, sizeof(*out));
    if (!ad_name_ok(text, len, AD_ALERT_TEXT_MAX)) {
        return ad_alert_fail(why, rule, "a rule has 1 to 127 bytes of UTF-8");
    }
    if (!ad_alert_read_name(&rule, out)) {
        return ad_alert_fail(why, rule, "the name before `: ` has 1 to 47 bytes");
    }
    memcpy(out->text, rule.at, rule.len);
    if (out->name[0] == '\0') {
        size_t n = rule.len < AD_ALERT_NAME_MAX ? rule.len : AD_ALERT_NAME_MAX;

        while (n < rule.len && n > 0 && (rule.at[n] & 0xC0) == 0x80) {
            n--; /* not inside a character */
        }
        memcpy(out->name, rule.at, n);
    }
    rest = rule;
    if (!ad_alert_read_series(rule, ad_alert_series_word(&rest), out, why)) {
        return false;
    }
    if (!ad_alert_read_op(&rest, out, &given)) {
        return ad_alert_fail(why, rule,
                             ad_alert_series[out->series].flag
                                 ? "the operators are >, >=, <, <= and =="
                                 : "write one of >, >=, <, <= and == behind the "
                                   "series");
    }
    if (given) {
        if (!ad_alert_read_number(rule, &rest, out, &out->threshold, why)) {
            return false;
        }
    } else {
        out->op = AD_ALERT_EQUAL;
        out->threshold = 1;
    }
    out->clear = ad_alert_back(out);
    return ad_alert_read_rest(rule, &rest, out, why);
}

/* ---- when it fires ---- */

struct ad_alert_state {
    bool known;   /* there is a value */
    bool pending; /* it is beyond the number, not yet for so long */
    bool firing;
    double value;      /* the last known one */
    uint64_t held_ns;  /* for so long it has been beyond */
    uint64_t last_ns;  /* of the step before */
    uint64_t since_us; /* Unix time: when it went beyond */
};

enum ad_alert_change { AD_ALERT_SAME, AD_ALERT_FIRES, AD_ALERT_OVER };

static bool ad_alert_beyond(const struct ad_alert_rule *r, double value)
{
    switch ((enum ad_alert_op)r->op) {
    case AD_ALERT_ABOVE:
        return value > r->threshold;
    case AD_ALERT_AT_LEAST:
        return value >= r->threshold;
    case AD_ALERT_BELOW:
        return value < r->threshold;
    case AD_ALERT_AT_MOST:
        return value <= r->threshold;
    default:
        return value >= r->threshold && value <= r->threshold;
    }
}

static bool ad_alert_is_back(const struct ad_alert_rule *r, double value)
{
    if (ad_alert_beyond(r, value)) {
        return false;
    }
    if (r->op == AD_ALERT_EQUAL) {
        return true;
    }
    return r->op <= AD_ALERT_AT_LEAST ? value <= r->clear : value >= r->clear;
}

/* A value has come; NAN: it is not known, which neither raises an alert nor ends it,
 * and is no part of the time that counts. */
static enum ad_alert_change ad_alert_step(const struct ad_alert_rule *r,
                                          struct ad_alert_state *s, double value,
                                          uint64_t now_ns, uint64_t now_us)
{
    uint64_t gap_ns = now_ns - s->last_ns;
    bool had = s->known;

    s->last_ns = now_ns;
    s->known = !isnan(value);
    if (!s->known) {
        return AD_ALERT_SAME;
    }
    s->value = value;
    if (s->firing) {
        if (!ad_alert_is_back(r, value)) {
            return AD_ALERT_SAME;
        }
        s->firing = s->pending = false;
        return AD_ALERT_OVER;
    }
    if (!ad_alert_beyond(r, value)) {
        s->pending = false;
        return AD_ALERT_SAME;
    }
    if (!s->pending) {
        s->pending = true;
        s->since_us = now_us;
        s->held_ns = 0;
    } else if (had) {
        s->held_ns += gap_ns < AD_ALERT_GAP_MS * AD_NS_PER_MS
                          ? gap_ns : AD_ALERT_GAP_MS * AD_NS_PER_MS;
    }
    s->firing = s->held_ns >= r->for_s * AD_NS_PER_S;
    return s->firing ? AD_ALERT_FIRES : AD_ALERT_SAME;
}

/* ---- sentences ---- */

/* A number as people read it: three digits that count, all of those before the point,
 * two below 1. One that would take a line is written with its power of ten. */
static void ad_put_figure(struct ad_text *t, double value)
{
    double size = value < 0 ? -value : value, rest = size;
    int decimals = size >= 100 ? 0 : size >= 10 ? 1 : 2;

    if (size >= 1e15 || (size > 0 && size < 1e-6)) {
        ad_put_double(t, value);
        return;
    }
    while (rest > 0 && rest < 0.1 && decimals < 7) {
        decimals++;
        rest *= 10;
    }
    if (value < 0) {
        ad_puts(t, "-");
    }
    ad_put_fixed(t, size, decimals);
}

static void ad_put_quantity(struct ad_text *t, double value, const char *unit)
{
    ad_put_figure(t, value);
    if (unit[0] != '\0') {
        ad_puts(t, strcmp(unit, "C") == 0 ? " \xC2\xB0" : " ");
        ad_puts(t, unit);
    }
}

/* What has happened, in plain words. `firing`: it fires; else it is over, after
 * `lasted_s` seconds. */
static void ad_put_alert_sentence(struct ad_text *t, const struct ad_alert_rule *r,
                                  double value, bool firing, uint64_t lasted_s)
{
    const char *unit = ad_alert_series[r->series].unit;

    if (ad_alert_series[r->series].flag) {
        ad_puts(t, firing ? "" : "over: ");
        ad_puts(t, ad_alert_series[r->series].label);
    } else {
        ad_puts(t, ad_alert_series[r->series].label);
    }
    if (r->which[0] != '\0') {
        ad_puts(t, r->series == AD_ALERT_VERDICT ? ": " : " ");
        ad_puts(t, r->which);
    }
    if (!ad_alert_series[r->series].flag) {
        ad_puts(t, " is ");
        ad_put_quantity(t, value, unit);
        ad_puts(t, firing ? ", " : " again; it was ");
        ad_puts(t, ad_alert_words[r->op]);
        ad_puts(t, " ");
        ad_put_quantity(t, r->threshold, unit);
    }
    if (firing ? r->for_s > 0 : true) {
        ad_puts(t, ad_alert_series[r->series].flag && !firing ? ", after " : " for ");
        ad_put_span_s(t, firing ? r->for_s : lasted_s);
    }
}

#endif /* AIDASH_ALERTS */

#endif
