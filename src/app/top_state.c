/* top_state.c - what `aidash top` knows of an aidash: from its events, and from what
 * GET /status and GET /requests answer. Pure: the state is the caller's, the time is
 * an argument, in Unix seconds.
 * Always: the texts of the state are well-formed UTF-8 without what a terminal obeys
 * or what changes the order of characters. A number that is not known is NaN.
 */
#ifndef AD_APP_TOP_STATE_C
#define AD_APP_TOP_STATE_C

#include "../base/text.c"
#include "../codec/json.c"

#if AD_TOP

enum {
    AD_TOP_JSON_MAX = 131072, /* bytes of an answer or an event; longer ones are
                               * left out */
    AD_TOP_TOKENS = 8192,     /* JSON values in it, likewise */
    AD_TOP_NAME = 96,         /* bytes of a name, a NUL included: others are cut */
    AD_TOP_SENTENCE = 320,    /* likewise of a sentence */
    AD_TOP_RUNNING = 16,      /* requests that run or wait; the newest */
    AD_TOP_ENDED = 48,        /* requests that ended; the newest */
    AD_TOP_REMARKS = 8,       /* alerts, and verdicts; the newest */
    AD_TOP_SERIES = 16,       /* models of nodes, whose rates are added */
    AD_TOP_SECONDS = 240,     /* of the sparkline */
    AD_TOP_LATENCIES = 1024,  /* ticks, for the percentiles */
    AD_TOP_LATENCY_S = 60,    /* how old they may be */
    AD_TOP_BOARD_MAX = 12288, /* bytes of an event `board` */
    AD_TOP_UNITS = 4,         /* of each: temperatures, GPUs, NPUs, fans */
    AD_TOP_CUT = 0xFFFD       /* stands for a character that is not whole */
};
#define AD_TOP_SILENCE_S 2.5 /* after that, a model's rate is 0 */

/* A JSON text and its values, some 128 kB. The text is the caller's. */
struct ad_top_json {
    const char *text;
    unsigned n;
    jsmntok_t token[AD_TOP_TOKENS];
};

struct ad_top_request {
    uint64_t id;
    char model[AD_TOP_NAME], client[AD_TOP_NAME], route[AD_TOP_NAME];
    char status[16];
    bool estimated;
    double place;    /* in line */
    double prefill;  /* how much of its prompt is read, 0 to 1 */
    double tokens, ttft_ms, rate, context, context_length, duration_ms, began_s;
};

struct ad_top_unit {
    char name[AD_TOP_NAME];
    double percent, clock_mhz, used, total, celsius, watts, rpm;
};

/* What the board says; numbers that it does not have are NaN. */
struct ad_top_board {
    char name[AD_TOP_NAME];
    char throttling[AD_TOP_NAME]; /* "": none; what slows it down now */
    double cpu, iowait, clock_mhz, memory_total, memory_free, swap_total, swap_used;
    double watts, disk_total, disk_free, received, sent;
    unsigned n_temperatures, n_gpus, n_npus, n_fans;
    struct ad_top_unit temperatures[AD_TOP_UNITS]; /* the hottest first */
    struct ad_top_unit gpus[AD_TOP_UNITS], npus[AD_TOP_UNITS], fans[AD_TOP_UNITS];
    size_t json_len; /* 0: there is no board */
    char json[AD_TOP_BOARD_MAX];
};

/* Alerts that fire, or verdicts: why a model is slow. */
struct ad_top_remarks {
    unsigned n;
    struct ad_top_remark {
        char name[AD_TOP_NAME + 17], text[AD_TOP_SENTENCE];
    } list[AD_TOP_REMARKS];
};

/* What is known. ad_top_begin() makes one. */
struct ad_top_state {
    bool known;     /* a hello or a status came */
    bool connected; /* the caller's: events come */
    char version[32], run[40], model[AD_TOP_NAME], source[16], engine[16];
    char reason[AD_TOP_NAME];
    bool paused, bench;
    double n_models, viewers, queued, uptime_s, tokens, next_seq;
    double offset_s; /* the server's clock less ours */
    uint64_t seq;    /* of the latest event that told it */
    /* The rates of the models that speak. */
    unsigned n_series;
    struct ad_top_series {
        char name[2 * AD_TOP_NAME];
        double rate, at_s;
    } series[AD_TOP_SERIES];
    int64_t second; /* the newest of the sparkline, by the server's clock; 0: none */
    double seconds[AD_TOP_SECONDS];
    unsigned n_latencies, next_latency;
    struct {
        double at_s, ms;
    } latencies[AD_TOP_LATENCIES];
    unsigned n_running, n_ended; /* both lists: the newest last */
    struct ad_top_request running[AD_TOP_RUNNING], ended[AD_TOP_ENDED];
    struct ad_top_remarks alerts, verdicts;
    struct ad_top_board board;
};

/* ---- reading JSON ---- */

/* False if it is no JSON object, or too long. */
static bool ad_top_parse(struct ad_top_json *j, const char *s, size_t len)
{
    jsmn_parser parser;
    int n;

    if (len > AD_TOP_JSON_MAX || ad_json_fault(s, len) != AD_FAULT_NONE) {
        return false;
    }
    jsmn_init(&parser);
    n = jsmn_parse(&parser, s, len, j->token, AD_TOP_TOKENS);
    j->text = s;
    j->n = n > 0 ? (unsigned)n : 0;
    return n > 0 && j->token[0].type == JSMN_OBJECT;
}

/* The value behind this one, with all that is in it; the end if there is none. */
static const jsmntok_t *ad_top_skip(const struct ad_top_json *j, const jsmntok_t *t)
{
    const jsmntok_t *end = j->token + j->n;
    int to = t->end;

    for (t++; t < end && t->start < to; t++) {
    }
    return t;
}

/* A member of an object, NULL if it is not there or `object` is none. */
static const jsmntok_t *ad_top_get(const struct ad_top_json *j, const jsmntok_t *object,
                                   const char *key)
{
    const jsmntok_t *t = object != NULL ? object + 1 : NULL;
    size_t len = strlen(key);
    int i;

    if (object == NULL || object->type != JSMN_OBJECT) {
        return NULL;
    }
    for (i = 0; i < object->size; i++) {
        if ((size_t)(t->end - t->start) == len &&
            memcmp(j->text + t->start, key, len) == 0) {
            return t + 1;
        }
        t = ad_top_skip(j, t + 1);
    }
    return NULL;
}

/* The elements of an array one after the other: the first for `before` NULL. NULL at
 * its end, or if it is none. */
static const jsmntok_t *ad_top_element(const struct ad_top_json *j,
                                       const jsmntok_t *array, const jsmntok_t *before)
{
    const jsmntok_t *t;

    if (array == NULL || array->type != JSMN_ARRAY || array->size == 0) {
        return NULL;
    }
    t = before == NULL ? array + 1 : ad_top_skip(j, before);
    return t < j->token + j->n && t->start < array->end ? t : NULL;
}

/* A number, NaN for all else. */
static double ad_top_number(const struct ad_top_json *j, const jsmntok_t *object,
                            const char *key)
{
    const jsmntok_t *t = ad_top_get(j, object, key);

    if (t == NULL || t->type != JSMN_PRIMITIVE ||
        (j->text[t->start] != '-' && !ad_is_digit(j->text[t->start]))) {
        return NAN;
    }
    return ad_json_double(j->text + t->start, ad_json_len(t));
}

static bool ad_top_true(const struct ad_top_json *j, const jsmntok_t *object,
                        const char *key)
{
    const jsmntok_t *t = ad_top_get(j, object, key);

    return t != NULL && t->type == JSMN_PRIMITIVE && j->text[t->start] == 't';
}

/* May this character be shown? Not what a terminal obeys (ECMA-48: C0, DEL, C1), what
 * ends a line or changes the order of characters (UAX 9), what can't be seen, or is
 * none. */
static bool ad_top_shows(unsigned long c)
{
    static const struct {
        unsigned long from, to;
    } out[] = {{0, 0x1F},         {0x7F, 0x9F},     {0xAD, 0xAD},     {0x61C, 0x61C},
               {0x180E, 0x180E},  {0x200B, 0x200F}, {0x2028, 0x202E}, {0x2060, 0x206F},
               {0xD800, 0xDFFF},  {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xFFFE, 0xFFFF},
               {0xE0000, 0xE0FFF}};
    size_t i;

    for (i = 0; i < AD_COUNT(out); i++) {
        if (c >= out[i].from && c <= out[i].to) {
            return false;
        }
    }
    return true;
}

/* The character at *s of UTF-8, which *s is moved behind. AD_TOP_CUT: a text that was
 * cut ends inside it. */
static unsigned long ad_top_character(const char **s)
{
    const uint8_t *c = (const uint8_t *)*s;
    unsigned n = c[0] < 0x80 ? 1 : c[0] < 0xE0 ? 2 : c[0] < 0xF0 ? 3 : 4, i;
    unsigned long code = n == 1 ? c[0] : c[0] & (0xFFu >> (n + 1));

    for (i = 1; i < n && (c[i] & 0xC0) == 0x80; i++) {
        code = code << 6 | (c[i] & 63);
    }
    *s += i;
    return i == n ? code : AD_TOP_CUT;
}

/* Append what may be shown of a decoded piece to out; false if it is full. */
static bool ad_top_append(char *out, size_t cap, size_t *used, const char *piece,
                          size_t len)
{
    const char *end = piece + len;

    while (piece < end) {
        const char *at = piece;
        bool shows = ad_top_shows(ad_top_character(&piece));
        size_t n = (size_t)(piece - at);

        if (shows && *used + n >= cap) {
            return false;
        }
        if (shows) {
            memcpy(out + *used, at, n);
            *used += n;
        }
    }
    return true;
}

/* A string as text for the terminal; "" for all else. Cut to cap - 1 bytes, between
 * two characters. */
static void ad_top_decode(const struct ad_top_json *j, const jsmntok_t *t, char *out,
                          size_t cap)
{
    struct ad_json_chars d = {AD_CHARS_PLAIN, 0, 0, 0, false};
    char piece[AD_CHARS_MAX + 4];
    size_t used = 0, held = 0;
    int i;

    out[0] = '\0';
    if (t == NULL || t->type != JSMN_STRING) {
        return;
    }
    /* A character comes byte by byte where it is not escaped: `held` waits whole. */
    for (i = t->start; i < t->end; i++) {
        int n = ad_json_chars_next(&d, (uint8_t)j->text[i], piece + held);

        if (n < 0) {
            break;
        }
        held += (size_t)n;
        if (held > 0 && ad_utf8_ok((const uint8_t *)piece, held)) {
            if (!ad_top_append(out, cap, &used, piece, held)) {
                break;
            }
            held = 0;
        } else if (held >= 4) {
            held = 0; /* it can't be: the text is well-formed */
        }
    }
    out[used] = '\0';
}

static void ad_top_text(const struct ad_top_json *j, const jsmntok_t *object,
                        const char *key, char *out, size_t cap)
{
    ad_top_decode(j, ad_top_get(j, object, key), out, cap);
}

/* The same, but what was stays if it is not there. */
static void ad_top_update(const struct ad_top_json *j, const jsmntok_t *object,
                          const char *key, char *out, size_t cap)
{
    if (ad_top_get(j, object, key) != NULL) {
        ad_top_text(j, object, key, out, cap);
    }
}

/* ---- ticks ---- */

/* Tokens a second of all models, at a second of the server's clock. */
static double ad_top_rate(const struct ad_top_state *s, double now_s)
{
    double sum = 0;
    unsigned i;

    for (i = 0; i < s->n_series; i++) {
        if (now_s - s->series[i].at_s < AD_TOP_SILENCE_S) {
            sum += s->series[i].rate;
        }
    }
    return sum;
}

/* The time passes: the sparkline gets its next seconds. */
static void ad_top_advance(struct ad_top_state *s, double server_s)
{
    int64_t second = server_s > 0 && server_s < 1e12 ? (int64_t)server_s : 0;

    if (s->second == 0 || second > s->second + AD_TOP_SECONDS ||
        second < s->second - AD_TOP_SECONDS) {
        unsigned i;

        for (i = 0; i < AD_TOP_SECONDS; i++) {
            s->seconds[i] = NAN;
        }
        s->second = second;
    }
    while (s->second < second) {
        s->second++;
        s->seconds[s->second % AD_TOP_SECONDS] = ad_top_rate(s, (double)s->second);
    }
}

/* The series of a tick's model and node; of too many, the one that was silent for
 * the longest time gives way. */
static struct ad_top_series *ad_top_series_of(struct ad_top_state *s, const char *name)
{
    unsigned i, oldest = 0;

    for (i = 0; i < s->n_series; i++) {
        if (strcmp(s->series[i].name, name) == 0) {
            return &s->series[i];
        }
        if (s->series[i].at_s < s->series[oldest].at_s) {
            oldest = i;
        }
    }
    if (s->n_series < AD_TOP_SERIES) {
        oldest = s->n_series++;
    }
    (void)snprintf(s->series[oldest].name, sizeof(s->series[oldest].name), "%s", name);
    return &s->series[oldest];
}

static void ad_top_tick(struct ad_top_state *s, const struct ad_top_json *j,
                        const jsmntok_t *t, double now_s)
{
    double at_s = ad_top_number(j, t, "timestamp"), now = now_s + s->offset_s;
    double ms = ad_top_number(j, t, "latency_ms");
    double rate = ad_top_number(j, t, "tokens_per_second");
    char model[AD_TOP_NAME], node[AD_TOP_NAME], name[2 * AD_TOP_NAME];
    struct ad_top_series *series;

    /* Its time is what a source says: one that can't be is now. */
    if (!(at_s > now - 3600 && at_s <= now + 2)) {
        at_s = now;
    }
    ad_top_text(j, t, "model", model, sizeof(model));
    ad_top_text(j, t, "node", node, sizeof(node));
    (void)snprintf(name, sizeof(name), "%s %s", node, model);
    ad_top_advance(s, at_s);
    series = ad_top_series_of(s, name);
    series->rate = rate > 0 ? rate : 0;
    series->at_s = at_s;
    s->seconds[s->second % AD_TOP_SECONDS] = ad_top_rate(s, at_s);
    if (strcmp(model, s->model) == 0 || s->model[0] == '\0') {
        s->tokens = ad_top_number(j, t, "tokens_generated");
    }
    if (ms >= 0 && !ad_top_true(j, t, "first")) {
        s->latencies[s->next_latency].at_s = at_s;
        s->latencies[s->next_latency].ms = ms;
        s->next_latency = (s->next_latency + 1) % AD_TOP_LATENCIES;
        s->n_latencies += s->n_latencies < AD_TOP_LATENCIES ? 1 : 0;
    }
}

static int ad_top_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y ? 1 : 0;
}

/* Percentiles of the latency over the last minute of ticks, by the nearest rank. NaN
 * without ticks. */
static void ad_top_percentiles(const struct ad_top_state *s, double server_s,
                               double *p50, double *p95)
{
    double ms[AD_TOP_LATENCIES];
    unsigned i, n = 0;

    *p50 = *p95 = NAN;
    for (i = 0; i < s->n_latencies; i++) {
        if (server_s - s->latencies[i].at_s <= AD_TOP_LATENCY_S) {
            ms[n++] = s->latencies[i].ms;
        }
    }
    if (n > 0) {
        qsort(ms, n, sizeof(ms[0]), ad_top_compare);
        *p50 = ms[(n * 50 + 99) / 100 - 1];
        *p95 = ms[(n * 95 + 99) / 100 - 1];
    }
}

/* ---- requests ---- */

/* Take a request out of a list; n: how many it has. Returns how many it has then. */
static unsigned ad_top_remove(struct ad_top_request *list, unsigned n, uint64_t id)
{
    unsigned i, kept = 0;

    for (i = 0; i < n; i++) {
        if (list[i].id != id) {
            list[kept++] = list[i];
        }
    }
    return kept;
}

/* Put a request into a list of at most `max`; the oldest gives way. What is in the
 * list of it is replaced, and keeps its place. Returns how many it has then. */
static unsigned ad_top_insert(struct ad_top_request *list, unsigned n, unsigned max,
                              const struct ad_top_request *r)
{
    unsigned i;

    for (i = 0; i < n; i++) {
        if (list[i].id == r->id) {
            list[i] = *r;
            return n;
        }
    }
    if (n == max) {
        memmove(list, list + 1, (n - 1) * sizeof(*list));
        n--;
    }
    list[n] = *r;
    return n + 1;
}

static bool ad_top_is_running(const char *status)
{
    return strcmp(status, "running") == 0 || strcmp(status, "queued") == 0;
}

static void ad_top_request(struct ad_top_state *s, const struct ad_top_json *j,
                           const jsmntok_t *t)
{
    struct ad_top_request r;
    double id = ad_top_number(j, t, "id");

    memset(&r, 0, sizeof(r));
    if (!(id >= 0 && id < 9e15)) {
        return;
    }
    r.id = (uint64_t)id;
    ad_top_text(j, t, "model", r.model, sizeof(r.model));
    ad_top_text(j, t, "client", r.client, sizeof(r.client));
    ad_top_text(j, t, "route", r.route, sizeof(r.route));
    ad_top_text(j, t, "status", r.status, sizeof(r.status));
    r.estimated = ad_top_true(j, t, "estimated");
    r.place = ad_top_number(j, t, "place");
    r.prefill = ad_top_number(j, ad_top_get(j, t, "prefill"), "fraction");
    r.tokens = ad_top_number(j, t, "completion_tokens");
    r.ttft_ms = ad_top_number(j, t, "ttft_ms");
    r.rate = ad_top_number(j, t, "decode_tokens_per_second");
    if (isnan(r.rate)) {
        r.rate = ad_top_number(j, t, "tokens_per_second");
    }
    r.context = ad_top_number(j, t, "context_tokens");
    r.context_length = ad_top_number(j, t, "context_length");
    r.duration_ms = ad_top_number(j, t, "duration_ms");
    r.began_s = ad_top_number(j, t, "timestamp");
    if (ad_top_is_running(r.status)) {
        unsigned i;

        for (i = 0; i < s->n_ended; i++) {
            if (s->ended[i].id == r.id) {
                return; /* the list of them is older than its end */
            }
        }
        s->n_running = ad_top_insert(s->running, s->n_running, AD_TOP_RUNNING, &r);
    } else {
        s->n_running = ad_top_remove(s->running, s->n_running, r.id);
        s->n_ended = ad_top_insert(s->ended, s->n_ended, AD_TOP_ENDED, &r);
    }
}

/* ---- alerts, verdicts ---- */

/* Whether the remark `name` holds: `text` says it, "" says the name. The newest is
 * the last; the oldest of too many gives way. */
static void ad_top_remark(struct ad_top_remarks *list, const char *name,
                          const char *text, bool holds)
{
    struct ad_top_remark *r = list->list;
    unsigned i, kept = 0;

    for (i = 0; i < list->n; i++) {
        if (strcmp(r[i].name, name) != 0) {
            r[kept++] = r[i];
        }
    }
    list->n = kept;
    if (!holds) {
        return;
    }
    if (list->n == AD_TOP_REMARKS) {
        memmove(r, r + 1, (AD_TOP_REMARKS - 1) * sizeof(*r));
        list->n--;
    }
    r += list->n++;
    (void)snprintf(r->name, sizeof(r->name), "%s", name);
    (void)snprintf(r->text, sizeof(r->text), "%s", text[0] != '\0' ? text : name);
}

/* An alert fires, or is over. */
static void ad_top_alert(struct ad_top_state *s, const struct ad_top_json *j,
                         const jsmntok_t *t)
{
    char name[AD_TOP_NAME], text[AD_TOP_SENTENCE], state[16];

    ad_top_text(j, t, "name", name, sizeof(name));
    ad_top_text(j, t, "sentence", text, sizeof(text));
    ad_top_text(j, t, "state", state, sizeof(state));
    ad_top_remark(&s->alerts, name, text, strcmp(state, "firing") == 0);
}

/* Why a model is slow, or that it is not any more. */
static void ad_top_verdict(struct ad_top_state *s, const struct ad_top_json *j,
                           const jsmntok_t *t)
{
    char model[AD_TOP_NAME], figure[16], name[AD_TOP_NAME + 17], text[AD_TOP_SENTENCE];

    ad_top_text(j, t, "model", model, sizeof(model));
    ad_top_text(j, t, "figure", figure, sizeof(figure));
    ad_top_text(j, t, "sentence", text, sizeof(text));
    (void)snprintf(name, sizeof(name), "%s %s", figure, model);
    ad_top_remark(&s->verdicts, name, text, ad_top_true(j, t, "on"));
}

/* What GET /status says of both: all that hold. Of an alert it has the name alone;
 * the sentence of one that is known stays. */
static void ad_top_remarks(struct ad_top_state *s, const struct ad_top_json *j,
                           const jsmntok_t *t)
{
    const jsmntok_t *list = ad_top_get(j, ad_top_get(j, t, "alerts"), "firing");
    struct ad_top_remarks before = s->alerts;
    const jsmntok_t *each = NULL;
    unsigned i;

    s->alerts.n = s->verdicts.n = 0;
    while ((each = ad_top_element(j, list, each)) != NULL) {
        char name[AD_TOP_NAME];
        const char *text = "";

        ad_top_decode(j, each, name, sizeof(name));
        for (i = 0; i < before.n; i++) {
            if (strcmp(before.list[i].name, name) == 0) {
                text = before.list[i].text;
            }
        }
        ad_top_remark(&s->alerts, name, text, true);
    }
    list = ad_top_get(j, t, "verdicts");
    each = NULL;
    while ((each = ad_top_element(j, list, each)) != NULL) {
        ad_top_verdict(s, j, each);
    }
}

/* ---- the board ---- */

static void ad_top_unit(const struct ad_top_json *j, const jsmntok_t *t,
                        struct ad_top_unit *u)
{
    ad_top_text(j, t, "name", u->name, sizeof(u->name));
    u->percent = ad_top_number(j, t, "percent");
    u->clock_mhz = ad_top_number(j, t, "clock_mhz");
    u->used = ad_top_number(j, t, "memory_used_bytes");
    u->total = ad_top_number(j, t, "memory_total_bytes");
    u->celsius = ad_top_number(j, t, "celsius");
    u->watts = ad_top_number(j, t, "watts");
    u->rpm = ad_top_number(j, t, "rpm");
}

/* Those of a list that say something, the first AD_TOP_UNITS of them. */
static unsigned ad_top_units(const struct ad_top_json *j, const jsmntok_t *list,
                             struct ad_top_unit *out)
{
    const jsmntok_t *t = NULL;
    unsigned n = 0;

    while (n < AD_TOP_UNITS && (t = ad_top_element(j, list, t)) != NULL) {
        ad_top_unit(j, t, &out[n]);
        if (!isnan(out[n].percent) || !isnan(out[n].clock_mhz) ||
            !isnan(out[n].celsius) || !isnan(out[n].watts) || !isnan(out[n].rpm) ||
            !isnan(out[n].used)) {
            n++;
        }
    }
    return n;
}

/* The temperatures, the hottest first. */
static unsigned ad_top_temperatures(const struct ad_top_json *j, const jsmntok_t *list,
                                    struct ad_top_unit *out)
{
    const jsmntok_t *t = NULL;
    unsigned n = 0;

    while ((t = ad_top_element(j, list, t)) != NULL) {
        struct ad_top_unit u;
        unsigned at;

        ad_top_unit(j, t, &u);
        if (isnan(u.celsius)) {
            continue;
        }
        for (at = 0; at < n && out[at].celsius >= u.celsius; at++) {
        }
        if (at < AD_TOP_UNITS) {
            n += n < AD_TOP_UNITS ? 1 : 0;
            memmove(&out[at + 1], &out[at], (n - at - 1) * sizeof(u));
            out[at] = u;
        }
    }
    return n;
}

/* What slows the board down now, as words. */
static void ad_top_throttling(const struct ad_top_json *j, const jsmntok_t *throttling,
                              char *out, size_t cap)
{
    const jsmntok_t *list = ad_top_get(j, throttling, "now"), *t = NULL;
    struct ad_text text = ad_text_in(out, cap - 1);
    char name[AD_TOP_NAME];
    unsigned i;

    while ((t = ad_top_element(j, list, t)) != NULL) {
        ad_top_decode(j, t, name, sizeof(name));
        for (i = 0; name[i] != '\0'; i++) {
            name[i] = name[i] == '_' ? ' ' : name[i];
        }
        ad_puts(&text, text.len > 0 ? ", " : "");
        ad_puts(&text, name);
    }
    list = ad_top_get(j, throttling, "cooling");
    t = NULL;
    while ((t = ad_top_element(j, list, t)) != NULL) {
        if (ad_top_number(j, t, "state") > 0) {
            ad_top_text(j, t, "name", name, sizeof(name));
            ad_puts(&text, text.len > 0 ? ", " : "");
            ad_puts(&text, name);
        }
    }
    out[text.len] = '\0';
}

/* Add to a sum that begins as NaN. */
static double ad_top_sum(double sum, double more)
{
    return isnan(more) ? sum : isnan(sum) ? more : sum + more;
}

static AD_COLD void ad_top_board(struct ad_top_state *s, const struct ad_top_json *j,
                         const jsmntok_t *t)
{
    const jsmntok_t *cpu = ad_top_get(j, t, "cpu"), *disk = ad_top_get(j, t, "disk");
    const jsmntok_t *memory = ad_top_get(j, t, "memory"), *net = NULL;
    const jsmntok_t *nets = ad_top_get(j, t, "networks");
    struct ad_top_board *b = &s->board;
    size_t len = ad_json_len(t);

    if (t->type != JSMN_OBJECT) {
        return;
    }
    ad_top_text(j, t, "name", b->name, sizeof(b->name));
    b->cpu = ad_top_number(j, cpu, "percent");
    b->iowait = ad_top_number(j, cpu, "iowait_percent");
    b->clock_mhz = ad_top_number(j, cpu, "clock_mhz");
    b->memory_total = ad_top_number(j, memory, "total_bytes");
    b->memory_free = ad_top_number(j, memory, "available_bytes");
    b->swap_total = ad_top_number(j, memory, "swap_total_bytes");
    b->swap_used = ad_top_number(j, memory, "swap_used_bytes");
    b->watts = ad_top_number(j, ad_top_get(j, t, "power"), "watts");
    b->disk_total = ad_top_number(j, disk, "total_bytes");
    b->disk_free = ad_top_number(j, disk, "free_bytes");
    b->received = b->sent = NAN;
    while ((net = ad_top_element(j, nets, net)) != NULL) {
        b->received = ad_top_sum(b->received,
                                 ad_top_number(j, net, "received_bytes_per_second"));
        b->sent = ad_top_sum(b->sent, ad_top_number(j, net, "sent_bytes_per_second"));
    }
    b->n_temperatures = ad_top_temperatures(j, ad_top_get(j, t, "temperatures"),
                                            b->temperatures);
    b->n_gpus = ad_top_units(j, ad_top_get(j, t, "gpus"), b->gpus);
    b->n_npus = ad_top_units(j, ad_top_get(j, t, "npus"), b->npus);
    b->n_fans = ad_top_units(j, ad_top_get(j, t, "fans"), b->fans);
    ad_top_throttling(j, ad_top_get(j, t, "throttling"), b->throttling,
                      sizeof(b->throttling));
    b->json_len = len <= sizeof(b->json) ? len : 0;
    memcpy(b->json, j->text + t->start, b->json_len);
}

/* ---- events and answers ---- */

/* Before the first byte. */
static void ad_top_begin(struct ad_top_state *s)
{
    memset(s, 0, sizeof(*s));
    s->n_models = s->viewers = s->queued = s->uptime_s = s->tokens = NAN;
    s->next_seq = NAN;
}

/* What hello, status and GET /status have in common. */
static void ad_top_shared(struct ad_top_state *s, const struct ad_top_json *j,
                          const jsmntok_t *t)
{
    const jsmntok_t *models = ad_top_get(j, t, "models");
    double bench = ad_top_number(j, t, "bench");

    if (ad_top_get(j, t, "model") == NULL) {
        return; /* a status that tells of lost events */
    }
    s->known = true;
    ad_top_text(j, t, "model", s->model, sizeof(s->model));
    s->n_models = models != NULL && models->type == JSMN_ARRAY ? (double)models->size
                                                                : (double)NAN;
    s->paused = ad_top_true(j, t, "paused");
    ad_top_text(j, t, "source", s->source, sizeof(s->source));
    ad_top_text(j, t, "engine", s->engine, sizeof(s->engine));
    ad_top_text(j, t, "reason", s->reason, sizeof(s->reason));
    s->bench = bench > 0;
    s->queued = ad_top_number(j, t, "queued");
}

/* Another run of the server: what was of the last one is over. */
static void ad_top_hello(struct ad_top_state *s, const struct ad_top_json *j,
                         const jsmntok_t *t)
{
    char run[sizeof(s->run)];

    ad_top_text(j, t, "run", run, sizeof(run));
    if (s->run[0] != '\0' && strcmp(s->run, run) != 0) {
        s->n_running = s->n_ended = s->n_series = 0;
        s->alerts.n = s->verdicts.n = 0;
        s->tokens = NAN;
    }
    (void)snprintf(s->run, sizeof(s->run), "%s", run);
    ad_top_update(j, t, "version", s->version, sizeof(s->version));
    ad_top_shared(s, j, t);
}

/* An event, or a batch of ticks. False if it is none. */
static AD_COLD bool ad_top_event(struct ad_top_state *s, struct ad_top_json *j,
                         const char *text, size_t len, double now_s)
{
    const jsmntok_t *t = j->token, *tick = NULL;
    char event[24];

    if (!ad_top_parse(j, text, len)) {
        return false;
    }
    ad_top_text(j, t, "event", event, sizeof(event));
    if (strcmp(event, "inference_tick") == 0) {
        ad_top_tick(s, j, t, now_s);
    } else if (strcmp(event, "batch") == 0) {
        while ((tick = ad_top_element(j, ad_top_get(j, t, "ticks"), tick)) != NULL) {
            ad_top_tick(s, j, tick, now_s);
        }
    } else if (strcmp(event, "request_start") == 0 || strcmp(event, "request") == 0) {
        ad_top_request(s, j, t);
    } else if (strcmp(event, "board") == 0) {
        ad_top_board(s, j, t);
    } else if (strcmp(event, "status") == 0) {
        ad_top_shared(s, j, t);
    } else if (strcmp(event, "hello") == 0) {
        ad_top_hello(s, j, t);
    } else if (strcmp(event, "alert") == 0) {
        ad_top_alert(s, j, t);
    } else if (strcmp(event, "verdict") == 0) {
        ad_top_verdict(s, j, t);
    } else {
        return event[0] != '\0';
    }
    return true;
}

/* What GET /status answered. False if it is not aidash's. */
static AD_COLD bool ad_top_status(struct ad_top_state *s, struct ad_top_json *j,
                          const char *text, size_t len, double now_s)
{
    const jsmntok_t *t = j->token, *clients, *board;
    double time_s;

    if (!ad_top_parse(j, text, len) || ad_top_get(j, t, "posture") == NULL) {
        return false;
    }
    ad_top_shared(s, j, t);
    ad_top_update(j, t, "version", s->version, sizeof(s->version));
    clients = ad_top_get(j, t, "clients");
    board = ad_top_get(j, t, "board");
    s->viewers = ad_top_sum(ad_top_number(j, clients, "websocket"),
                            ad_top_number(j, clients, "sse"));
    s->uptime_s = ad_top_number(j, t, "uptime_s");
    s->next_seq = ad_top_number(j, t, "next_seq");
    time_s = ad_top_number(j, t, "time");
    s->offset_s = time_s > 0 && time_s < 1e12 ? time_s - now_s : 0;
    if (board != NULL) {
        ad_top_board(s, j, board);
    }
    ad_top_remarks(s, j, t);
    return true;
}

/* What GET /requests answered: the oldest first. */
static AD_COLD void ad_top_requests(struct ad_top_state *s, struct ad_top_json *j,
                            const char *text, size_t len)
{
    static const char *const lists[] = {"requests", "running"};
    size_t i;

    if (!ad_top_parse(j, text, len)) {
        return;
    }
    s->n_running = s->n_ended = 0;
    for (i = 0; i < AD_COUNT(lists); i++) {
        const jsmntok_t *list = ad_top_get(j, j->token, lists[i]), *t = NULL;

        while ((t = ad_top_element(j, list, t)) != NULL) {
            ad_top_request(s, j, t);
        }
    }
}

/* The state in a word or two. */
static const char *ad_top_word(const struct ad_top_state *s, double server_s)
{
    if (!s->connected) {
        return s->known ? "connection lost" : "connecting";
    }
    if (strcmp(s->engine, "down") == 0) {
        return "engine down";
    }
    if (s->paused) {
        return "paused";
    }
    if (strcmp(s->engine, "loading") == 0) {
        return "loading";
    }
    if (s->bench) {
        return "benchmark";
    }
    return s->n_running > 0 || ad_top_rate(s, server_s) > 0 ? "running" : "idle";
}

#endif /* AD_TOP */

#endif
