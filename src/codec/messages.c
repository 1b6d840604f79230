/* messages.c - what comes in: samples, commands, a viewer's client_id. Pure. */
#ifndef AD_CODEC_MESSAGES_C
#define AD_CODEC_MESSAGES_C

#include "../base/text.c"
#include "../base/decimal.c"
#include "http_field.c"
#include "json.c"

enum { AD_ID_MAX = 64 + 2 }; /* bytes of a command's "id", and its quotes */

/* One step of an engine, or a value of a gauge, as the sources hand it to the hub. */
struct ad_sample {
    union {
        char model[AIDASH_MODEL_MAX + 1]; /* "": the active one */
        char gauge[AIDASH_GAUGE_MAX + 1]; /* AD_IS_GAUGE */
    };
    union {
        char node[AIDASH_NODE_MAX + 1]; /* "": this board */
        char unit[AIDASH_UNIT_MAX + 1]; /* AD_IS_GAUGE: may be "" */
    };
    uint64_t tokens;                  /* added by this step */
    uint64_t total;                   /* AD_HAS_TOTAL */
    union {
        double latency_ms; /* AD_HAS_LATENCY */
        double value;      /* AD_IS_GAUGE: finite; AD_IS_WATTS */
    };
    double rate;                      /* AD_HAS_RATE: tokens a second */
    uint64_t time_us;                 /* AD_HAS_TIME: Unix microseconds */
    uint64_t overcount;                 /* tokens counted too many before */
    unsigned has;
};
enum {
    AD_HAS_TOKENS = 1,
    AD_HAS_TOTAL = 2,
    AD_HAS_LATENCY = 4,
    AD_HAS_RATE = 8,
    AD_HAS_TIME = 16,
    AD_IS_METERED = 32, /* from the meter: shown while paused, too */
    AD_IS_BEGUN = 64,   /* an estimate begins, until */
    AD_IS_LAST = 128,   /* the engine's own count ends it */
    AD_IS_FIRST = 256,  /* its latency is no time between two tokens */
    AD_IS_GAUGE = 512,  /* no step: a gauge has this value */
    AD_IS_PROGRESS = 1024, /* tokens of the own request `total`, at the monotonic
                            * time `overcount` */
    AD_IS_WATTS = 2048,    /* no step: a wall meter says `value`, in watts */
    AD_IS_RELAYED = 4096,  /* of another board, which counts for itself, and is not
                            * paused when this one is */
    AD_IS_ESTIMATED = 8192, /* it says that its count is one */
    AD_IS_STRAY = 16384    /* its board has told what was later already */
};
_Static_assert(AIDASH_GAUGE_MAX <= AIDASH_MODEL_MAX &&
                   AIDASH_UNIT_MAX <= AIDASH_NODE_MAX,
               "a gauge makes no sample larger");

/* Limits of a sample's numbers, as aidash.h and contract.schema.json say. */
#define AD_TOKENS_LIMIT 1000000000ull
#define AD_TOTAL_LIMIT (1ull << 53)
#define AD_LATENCY_LIMIT 1e9
#define AD_RATE_LIMIT 1e12
#define AD_TIME_LIMIT 1e11
#define AD_GAUGE_LIMIT 1e100
#define AD_WATTS_LIMIT 1e6

/* Not NaN, and not so large that the reader of decimals would have cut it. */
static bool ad_gauge_value_ok(double value)
{
    return value > -AD_GAUGE_LIMIT && value < AD_GAUGE_LIMIT;
}

/* A number of 0..max from the object into *value, noted in `has`. Returns false
 * if it is there and wrong; null counts as not there. */
static bool ad_sample_number(const struct ad_json *j, const char *key,
                             double max, double *value, unsigned *has,
                             unsigned bit)
{
    const jsmntok_t *t = ad_json_get(j, key);

    if (t == NULL || ad_json_is_null(j, t)) {
        return true;
    }
    if (!ad_json_is_number(j, t)) {
        return false;
    }
    *value = ad_json_double(j->text + t->start, ad_json_len(t));
    *has |= bit;
    return *value >= 0 && *value <= max;
}

static bool ad_sample_integer(const struct ad_json *j, const char *key,
                              uint64_t max, uint64_t *value, unsigned *has,
                              unsigned bit)
{
    const jsmntok_t *t = ad_json_get(j, key);

    if (t == NULL || ad_json_is_null(j, t)) {
        return true;
    }
    *has |= bit;
    return ad_json_u64(j, t, max, value);
}

/* A name of 1..max bytes from the object into out[max + 1], if it is there.
 * Returns false if it is there and wrong; null counts as not there. */
static bool ad_sample_name(const struct ad_json *j, const char *key, char *out,
                           size_t max)
{
    const jsmntok_t *t = ad_json_get(j, key);

    return t == NULL || ad_json_is_null(j, t) ||
           (ad_json_name(j, t, out, max) && out[0] != '\0');
}

/* The value of a gauge into a sample. */
static enum ad_fault ad_gauge_parse(const struct ad_json *j, struct ad_sample *out)
{
    const jsmntok_t *t = ad_json_get(j, "gauge");
    double seconds = 0;

    if (!ad_json_name(j, t, out->gauge, AIDASH_GAUGE_MAX) || out->gauge[0] == '\0') {
        return AD_FAULT_GAUGE_NAME;
    }
    t = ad_json_get(j, "unit");
    if (t != NULL && !ad_json_is_null(j, t) &&
        !ad_json_name(j, t, out->unit, AIDASH_UNIT_MAX)) {
        return AD_FAULT_GAUGE_UNIT;
    }
    t = ad_json_get(j, "value");
    if (t == NULL || !ad_json_is_number(j, t)) {
        return AD_FAULT_GAUGE_VALUE;
    }
    out->value = ad_json_double(j->text + t->start, ad_json_len(t));
    if (!ad_gauge_value_ok(out->value)) {
        return AD_FAULT_GAUGE_VALUE;
    }
    if (!ad_sample_number(j, "timestamp", AD_TIME_LIMIT, &seconds, &out->has,
                          AD_HAS_TIME)) {
        return AD_FAULT_SAMPLE_TIME;
    }
    out->time_us = (uint64_t)(seconds * 1e6 + 0.5);
    out->has |= AD_IS_GAUGE;
    return AD_FAULT_NONE;
}

/* One ingest line into a sample. */
static enum ad_fault ad_sample_parse(const char *s, size_t len,
                                     struct ad_sample *out)
{
    struct ad_json j;
    enum ad_fault fault = ad_json_object(&j, s, len);
    double seconds = 0;

    memset(out, 0, sizeof(*out));
    if (fault != AD_FAULT_NONE) {
        return fault;
    }
    if (ad_json_get(&j, "gauge") != NULL) {
        return ad_gauge_parse(&j, out);
    }
    if (ad_json_get(&j, "watts") != NULL) {
        return ad_sample_number(&j, "watts", AD_WATTS_LIMIT, &out->value, &out->has,
                                AD_IS_WATTS) && out->has != 0
                   ? AD_FAULT_NONE : AD_FAULT_WATTS;
    }
    if (!ad_sample_name(&j, "model", out->model, AIDASH_MODEL_MAX)) {
        return AD_FAULT_SAMPLE_MODEL;
    }
    if (!ad_sample_name(&j, "node", out->node, AIDASH_NODE_MAX)) {
        return AD_FAULT_SAMPLE_NODE;
    }
    if (!ad_sample_integer(&j, "tokens", AD_TOKENS_LIMIT, &out->tokens,
                           &out->has, AD_HAS_TOKENS)) {
        return AD_FAULT_SAMPLE_TOKENS;
    }
    if (!ad_sample_integer(&j, "tokens_generated", AD_TOTAL_LIMIT, &out->total,
                           &out->has, AD_HAS_TOTAL)) {
        return AD_FAULT_SAMPLE_TOTAL;
    }
    if (!ad_sample_number(&j, "latency_ms", AD_LATENCY_LIMIT, &out->latency_ms,
                          &out->has, AD_HAS_LATENCY)) {
        return AD_FAULT_SAMPLE_LATENCY;
    }
    if (!ad_sample_number(&j, "tokens_per_second", AD_RATE_LIMIT, &out->rate,
                          &out->has, AD_HAS_RATE)) {
        return AD_FAULT_SAMPLE_RATE;
    }
    if (!ad_sample_number(&j, "timestamp", AD_TIME_LIMIT, &seconds, &out->has,
                          AD_HAS_TIME)) {
        return AD_FAULT_SAMPLE_TIME;
    }
    out->time_us = (uint64_t)(seconds * 1e6 + 0.5);
    if ((out->has & (AD_HAS_TOKENS | AD_HAS_TOTAL | AD_HAS_LATENCY)) == 0) {
        return AD_FAULT_SAMPLE_EMPTY;
    }
    return AD_FAULT_NONE;
}

/* A viewer's question whether the server is still there: it is answered, and
 * acts on nothing. Beyond the actions of aidash.h, as no engine sees it. */
enum { AD_ACTION_PING = AIDASH_OWN + 1 };

enum {
    AD_BENCH_STEPS = 8,         /* numbers of streams that a benchmark goes through */
    AD_BENCH_PROMPT = 512,      /* tokens of its prompts, if it is not told */
    AD_BENCH_PROMPT_MAX = 32768,
    AD_BENCH_TOKENS = 128,      /* and of the answers */
    AD_BENCH_TOKENS_MIN = 2,    /* one token has no rate */
    AD_BENCH_TOKENS_MAX = 8192
};

/* What a benchmark is to do. */
struct ad_bench_plan {
    char model[AIDASH_MODEL_MAX + 1]; /* "": the active one */
    uint8_t n_streams;                /* 0: as many as the engine may take */
    uint8_t streams[AD_BENCH_STEPS];
    uint16_t prompt_tokens, max_tokens;
};

/* A command as it came. `id` is the raw JSON text of its "id". */
struct ad_command_message {
    unsigned action; /* enum aidash_action, or AD_ACTION_PING */
    char model[AIDASH_MODEL_MAX + 1]; /* may be "" */
    uint64_t request;                 /* AIDASH_CANCEL */
    char name[AIDASH_COMMAND_MAX + 1]; /* AIDASH_OWN */
    bool has_value;                    /* likewise */
    double value;                      /* likewise */
    struct ad_bench_plan bench;       /* AIDASH_BENCH */
    char node[AIDASH_NODE_MAX + 1];   /* the board that it is for; "": this one */
    char id[AD_ID_MAX + 1];
};

static const char *const ad_action_names[] = {
    "", "switch_model", "pause", "resume", "drain", "cancel", "bench",
    "bench_stop", "own", "ping"};
_Static_assert(AD_COUNT(ad_action_names) == AD_ACTION_PING + 1,
               "each action has its name");

/* The raw text of a command's "id": an integer, or a string; "" if there is none, as
 * with null. */
static bool ad_command_id(const struct ad_json *j, char out[AD_ID_MAX + 1])
{
    const jsmntok_t *t = ad_json_get(j, "id");
    const char *s;
    size_t len;

    out[0] = '\0';
    if (t == NULL || ad_json_is_null(j, t)) {
        return true;
    }
    s = j->text + t->start;
    len = ad_json_len(t);
    if (t->type == JSMN_STRING) {
        s--; /* its quotes, too */
        len += 2;
    } else if (!ad_json_is_number(j, t) || !ad_decimal_is_whole(s, len)) {
        return false;
    }
    if (len > AD_ID_MAX) {
        return false;
    }
    memcpy(out, s, len);
    out[len] = '\0';
    return true;
}

#if AIDASH_METER

_Static_assert(AD_BENCH_PROMPT_MAX <= UINT16_MAX && AIDASH_BENCH_STREAMS < 256,
               "a plan's numbers fit");

/* The list of a benchmark's streams, if there is one. */
static bool ad_command_streams(const struct ad_json *j, struct ad_bench_plan *plan)
{
    const jsmntok_t *t = ad_json_get(j, "streams");
    int i;

    if (t == NULL || ad_json_is_null(j, t)) {
        return true;
    }
    if (t->type != JSMN_ARRAY || t->size < 1 || t->size > AD_BENCH_STEPS) {
        return false;
    }
    for (i = 0; i < t->size; i++) { /* numbers: the token behind is the next one */
        uint64_t value;

        if (!ad_json_u64(j, t + 1 + i, AIDASH_BENCH_STREAMS, &value) || value < 1) {
            return false;
        }
        plan->streams[i] = (uint8_t)value;
    }
    plan->n_streams = (uint8_t)t->size;
    return true;
}

/* A whole number of low..high, if it is there. */
static bool ad_command_count(const struct ad_json *j, const char *key, uint64_t low,
                             uint64_t high, uint16_t *out)
{
    const jsmntok_t *t = ad_json_get(j, key);
    uint64_t value;

    if (t == NULL || ad_json_is_null(j, t)) {
        return true;
    }
    if (!ad_json_u64(j, t, high, &value) || value < low) {
        return false;
    }
    *out = (uint16_t)value;
    return true;
}

/* What a benchmark is to do; what the command leaves out has its default. */
static enum ad_fault ad_command_bench(const struct ad_json *j,
                                      struct ad_bench_plan *plan)
{
    const jsmntok_t *t = ad_json_get(j, "model");

    plan->prompt_tokens = AD_BENCH_PROMPT;
    plan->max_tokens = AD_BENCH_TOKENS;
    if (t != NULL && !ad_json_is_null(j, t) &&
        !ad_json_name(j, t, plan->model, AIDASH_MODEL_MAX)) {
        return AD_FAULT_MODEL;
    }
    if (!ad_command_streams(j, plan)) {
        return AD_FAULT_BENCH_STREAMS;
    }
    if (!ad_command_count(j, "prompt_tokens", 1, AD_BENCH_PROMPT_MAX,
                          &plan->prompt_tokens)) {
        return AD_FAULT_BENCH_PROMPT;
    }
    if (!ad_command_count(j, "max_tokens", AD_BENCH_TOKENS_MIN,
                          AD_BENCH_TOKENS_MAX, &plan->max_tokens)) {
        return AD_FAULT_BENCH_TOKENS;
    }
    return AD_FAULT_NONE;
}

#endif /* AIDASH_METER */

/* What of a command is the program's own. */
static enum ad_fault ad_command_own(const struct ad_json *j,
                                    struct ad_command_message *out)
{
    const jsmntok_t *t = ad_json_get(j, "command");

    if (t == NULL || !ad_json_name(j, t, out->name, AIDASH_COMMAND_MAX) ||
        out->name[0] == '\0') {
        return AD_FAULT_OWN;
    }
    t = ad_json_get(j, "value");
    if (t == NULL || ad_json_is_null(j, t)) {
        return AD_FAULT_NONE;
    }
    if (!ad_json_is_number(j, t)) {
        return AD_FAULT_OWN_VALUE;
    }
    out->has_value = true;
    out->value = ad_json_double(j->text + t->start, ad_json_len(t));
    return AD_FAULT_NONE;
}

/* Parse a command. out->id is filled in as soon as it is known, also for a
 * command that is refused. */
static enum ad_fault ad_command_parse(const char *s, size_t len,
                                      struct ad_command_message *out)
{
    struct ad_json j;
    enum ad_fault fault = ad_json_object(&j, s, len);
    const jsmntok_t *t;
    size_t i;

    memset(out, 0, sizeof(*out));
    if (fault != AD_FAULT_NONE) {
        return fault;
    }
    if (!ad_command_id(&j, out->id)) {
        return AD_FAULT_ID;
    }
    if (!ad_sample_name(&j, "node", out->node, AIDASH_NODE_MAX)) {
        return AD_FAULT_NODE;
    }
    t = ad_json_get(&j, "action");
    if (t == NULL || t->type != JSMN_STRING) {
        return AD_FAULT_ACTION;
    }
    for (i = 1; i < AD_COUNT(ad_action_names); i++) {
        if (ad_json_equals(&j, t, ad_action_names[i])) {
            out->action = (unsigned)i;
        }
    }
    if (out->action == 0) {
        return AD_FAULT_ACTION_UNKNOWN;
    }
    if (out->action == AIDASH_SWITCH_MODEL) {
        t = ad_json_get(&j, "model");
        if (t == NULL || !ad_json_name(&j, t, out->model, AIDASH_MODEL_MAX)) {
            return AD_FAULT_MODEL;
        }
    } else if (out->action == AIDASH_CANCEL) {
        t = ad_json_get(&j, "request");
        if (t == NULL || !ad_json_u64(&j, t, AD_TOTAL_LIMIT, &out->request)) {
            return AD_FAULT_REQUEST;
        }
    } else if (out->action == AIDASH_OWN) {
        fault = ad_command_own(&j, out);
    }
#if AIDASH_METER
    if (out->action == AIDASH_BENCH) {
        fault = ad_command_bench(&j, &out->bench);
        memcpy(out->model, out->bench.model, sizeof(out->model));
    }
#endif
    return fault;
}

#if AIDASH_NODES

/* Bytes of a command for another board: fixed text 110, numbers 120, names. */
enum { AD_COMMAND_FORM_MAX = 256 + 2 * AIDASH_MODEL_MAX + 2 * AIDASH_COMMAND_MAX };

/* A command as that board gets it: without the `id` of who sent it, and without the
 * board's name, which it may not know. */
static void ad_put_command_form(struct ad_text *t, const struct ad_command_message *c)
{
    unsigned i;

    ad_puts(t, "{\"action\":");
    ad_put_string(t, ad_action_names[c->action]);
    if (c->action == AIDASH_SWITCH_MODEL ||
        (c->action == AIDASH_BENCH && c->model[0] != '\0')) {
        ad_puts(t, ",\"model\":");
        ad_put_string(t, c->model);
    }
    if (c->action == AIDASH_CANCEL) {
        ad_puts(t, ",\"request\":");
        ad_put_u64(t, c->request);
    }
    if (c->action == AIDASH_OWN) {
        ad_puts(t, ",\"command\":");
        ad_put_string(t, c->name);
        if (c->has_value) {
            ad_puts(t, ",\"value\":");
            ad_put_double(t, c->value);
        }
    }
    if (c->bench.prompt_tokens > 0) { /* a benchmark that was read */
        for (i = 0; i < c->bench.n_streams; i++) {
            ad_putf(t, "%s%u", i > 0 ? "," : ",\"streams\":[", c->bench.streams[i]);
        }
        ad_putf(t, "%s,\"prompt_tokens\":%u,\"max_tokens\":%u", i > 0 ? "]" : "",
                c->bench.prompt_tokens, c->bench.max_tokens);
    }
    ad_puts(t, "}");
}

#endif

/* {"action":"auth","token":...}: what it shows. `id` as in a command. *token points
 * into the text. AD_FAULT_ACTION_UNKNOWN: it is another message. */
static enum ad_fault ad_auth_parse(const char *s, size_t len, struct ad_slice *token,
                                   char id[AD_ID_MAX + 1])
{
    struct ad_json j;
    const jsmntok_t *t;

    id[0] = '\0';
    if (len == 0 || memmem(s, len, "\"auth\"", 6) == NULL ||
        ad_json_object(&j, s, len) != AD_FAULT_NONE) {
        return AD_FAULT_ACTION_UNKNOWN;
    }
    t = ad_json_get(&j, "action");
    if (t == NULL || t->type != JSMN_STRING || !ad_json_equals(&j, t, "auth")) {
        return AD_FAULT_ACTION_UNKNOWN;
    }
    if (!ad_command_id(&j, id)) {
        return AD_FAULT_ID;
    }
    t = ad_json_get(&j, "token");
    if (t == NULL || t->type != JSMN_STRING) {
        return AD_FAULT_TOKEN;
    }
    token->at = s + t->start;
    token->len = ad_json_len(t);
    return AD_FAULT_NONE;
}

/* The error event that answers a command, with this sentence; `id` as it came, or
 * "". */
static void ad_put_error_text(struct ad_text *t, enum ad_fault fault,
                              const char *text, const char *id)
{
    ad_puts(t, "{\"event\":\"error\",\"code\":");
    ad_put_string(t, ad_errors[ad_faults[fault].error].code);
    ad_puts(t, ",\"message\":");
    ad_put_string(t, text);
    if (id[0] != '\0') {
        ad_puts(t, ",\"id\":");
        ad_puts(t, id);
    }
    ad_puts(t, "}");
}

static void ad_put_error(struct ad_text *t, enum ad_fault fault, const char *id)
{
    ad_put_error_text(t, fault, ad_fault_text(fault), id);
}

/* Percent-decode a path segment (RFC 3986 2.1) into a client_id: 1 to 64 of
 * [A-Za-z0-9._~-]. "." and ".." are no names there (RFC 3986 5.2.4). */
static bool ad_client_id(const char *s, size_t len,
                         char out[AIDASH_CLIENT_ID_MAX + 1])
{
    size_t i, n = 0;

    for (i = 0; i < len; i++) {
        int c = (unsigned char)s[i];

        if (c == '%') {
            if (len - i < 3 || ad_hex(s[i + 1]) < 0 || ad_hex(s[i + 2]) < 0) {
                return false;
            }
            c = ad_hex(s[i + 1]) << 4 | ad_hex(s[i + 2]);
            i += 2;
        }
        if (n == AIDASH_CLIENT_ID_MAX ||
            !(ad_is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
              c == '.' || c == '_' || c == '~' || c == '-')) {
            return false;
        }
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return n > 0 && strcmp(out, ".") != 0 && strcmp(out, "..") != 0;
}

#endif
