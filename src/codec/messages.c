/* messages.c - what comes in: samples, commands, a viewer's client_id. Pure. */
#ifndef AD_CODEC_MESSAGES_C
#define AD_CODEC_MESSAGES_C

#include "../base/decimal.c"
#include "../base/text.c"
#include "json.c"

enum { AD_ID_MAX = 64 + 2 }; /* bytes of a command's "id", and its quotes */

/* One step of an engine, as the sources hand it to the hub. */
struct ad_sample {
    char model[AIDASH_MODEL_MAX + 1]; /* "": the active one */
    char node[AIDASH_NODE_MAX + 1];   /* "": this board */
    uint64_t tokens;                  /* added by this step */
    uint64_t total;                   /* AD_HAS_TOTAL */
    double latency_ms;                /* AD_HAS_LATENCY */
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
    AD_IS_FIRST = 64,   /* an estimate begins, until */
    AD_IS_LAST = 128    /* the engine's own count ends it */
};

/* Limits of a sample's numbers, as aidash.h and contract.schema.json say. */
#define AD_TOKENS_LIMIT 1000000000ull
#define AD_TOTAL_LIMIT (1ull << 53)
#define AD_LATENCY_LIMIT 1e9
#define AD_RATE_LIMIT 1e12
#define AD_TIME_LIMIT 1e11

/* A number of 0..max from the tokenized object into *value, noting it in
 * `has`. Returns false if it is there and wrong; null counts as not there. */
static bool ad_sample_number(const char *s, const char *key, double max,
                             double *value, unsigned *has, unsigned bit)
{
    const jsmntok_t *t = ad_json_get(s, key);

    if (t == NULL || ad_json_is_null(s, t)) {
        return true;
    }
    if (!ad_json_is_number(s, t)) {
        return false;
    }
    *value = ad_json_double(s, t);
    *has |= bit;
    return *value >= 0 && *value <= max;
}

static bool ad_sample_integer(const char *s, const char *key, uint64_t max,
                              uint64_t *value, unsigned *has, unsigned bit)
{
    const jsmntok_t *t = ad_json_get(s, key);

    if (t == NULL || ad_json_is_null(s, t)) {
        return true;
    }
    *has |= bit;
    return ad_json_u64(s, t, max, value);
}

/* One ingest line into a sample. Returns NULL, or what is wrong (static text).
 * Hub thread (or a test). */
static const char *ad_sample_parse(const char *s, size_t len,
                                   struct ad_sample *out)
{
    const char *fault = ad_json_object(s, len);
    const jsmntok_t *t;
    double seconds = 0;

    memset(out, 0, sizeof(*out));
    if (fault != NULL) {
        return fault;
    }
    t = ad_json_get(s, "model");
    if (t != NULL && (!ad_json_name(s, t, out->model, AIDASH_MODEL_MAX) ||
                      out->model[0] == '\0')) {
        return "\"model\" must be a string of 1 to 63 bytes";
    }
    t = ad_json_get(s, "node");
    if (t != NULL && (!ad_json_name(s, t, out->node, AIDASH_NODE_MAX) ||
                      out->node[0] == '\0')) {
        return "\"node\" must be a string of 1 to 31 bytes";
    }
    if (!ad_sample_integer(s, "tokens", AD_TOKENS_LIMIT, &out->tokens,
                           &out->has, AD_HAS_TOKENS)) {
        return "\"tokens\" must be an integer from 0 to 1e9";
    }
    if (!ad_sample_integer(s, "tokens_generated", AD_TOTAL_LIMIT, &out->total,
                           &out->has, AD_HAS_TOTAL)) {
        return "\"tokens_generated\" must be an integer from 0 to 2^53";
    }
    if (!ad_sample_number(s, "latency_ms", AD_LATENCY_LIMIT, &out->latency_ms,
                          &out->has, AD_HAS_LATENCY)) {
        return "\"latency_ms\" must be a number from 0 to 1e9";
    }
    if (!ad_sample_number(s, "tokens_per_second", AD_RATE_LIMIT, &out->rate,
                          &out->has, AD_HAS_RATE)) {
        return "\"tokens_per_second\" must be a number from 0 to 1e12";
    }
    if (!ad_sample_number(s, "timestamp", AD_TIME_LIMIT, &seconds, &out->has,
                          AD_HAS_TIME)) {
        return "\"timestamp\" must be Unix seconds from 0 to 1e11";
    }
    out->time_us = (uint64_t)(seconds * 1e6 + 0.5);
    if ((out->has & (AD_HAS_TOKENS | AD_HAS_TOTAL | AD_HAS_LATENCY)) == 0) {
        return "one of \"tokens\", \"tokens_generated\" and \"latency_ms\" is "
               "needed";
    }
    return NULL;
}

/* A command as it came. `id` is the raw JSON text of its "id". */
struct ad_command_message {
    enum aidash_action action;
    char model[AIDASH_MODEL_MAX + 1]; /* may be "" */
    uint64_t request;                 /* AIDASH_CANCEL */
    char id[AD_ID_MAX + 1];
};

static const char *const ad_action_names[] = {"", "switch_model", "pause",
                                              "resume", "drain", "cancel"};

/* Parse a command. Returns NULL, or the error's code with its sentence in *why.
 * `id` is filled in as soon as it is known, also for a refused command. */
static const char *ad_command_parse(const char *s, size_t len,
                                    struct ad_command_message *out, const char **why)
{
    const char *fault = ad_json_fault(s, len);
    const jsmntok_t *t;
    size_t i;

    memset(out, 0, sizeof(*out));
    *why = fault;
    if (fault != NULL) {
        return "invalid_json";
    }
    *why = ad_json_object(s, len);
    if (*why != NULL) {
        return strcmp(*why, "too many values") == 0 ? "invalid_json"
                                                    : "invalid_command";
    }
    t = ad_json_get(s, "id");
    if (t != NULL) {
        int quotes = t->type == JSMN_STRING;
        int from = t->start - quotes, to = t->end + quotes;
        bool number = ad_json_is_number(s, t) &&
                      memchr(s + from, '.', (size_t)(to - from)) == NULL &&
                      memchr(s + from, 'e', (size_t)(to - from)) == NULL &&
                      memchr(s + from, 'E', (size_t)(to - from)) == NULL;

        if ((quotes == 0 && !number) || to - from > AD_ID_MAX) {
            *why = "\"id\" must be an integer, or a string of at most 64 bytes";
            return "invalid_command";
        }
        memcpy(out->id, s + from, (size_t)(to - from));
    }
    t = ad_json_get(s, "action");
    if (t == NULL || t->type != JSMN_STRING) {
        *why = "\"action\" must be a string: switch_model, pause or resume";
        return "invalid_command";
    }
    for (i = 1; i < AD_COUNT(ad_action_names); i++) {
        if (ad_json_equals(s, t, ad_action_names[i])) {
            out->action = (enum aidash_action)i;
        }
    }
    if (out->action == 0) {
        *why = "the action is unknown; known are switch_model, pause, resume, "
               "drain and cancel";
        return "unknown_action";
    }
    if (out->action == AIDASH_SWITCH_MODEL) {
        t = ad_json_get(s, "model");
        if (t == NULL ||
            !ad_json_name(s, t, out->model, AIDASH_MODEL_MAX)) {
            *why = "\"model\" must be a string of at most 63 bytes";
            return "invalid_command";
        }
    } else if (out->action == AIDASH_CANCEL) {
        t = ad_json_get(s, "request");
        if (t == NULL || !ad_json_u64(s, t, AD_TOTAL_LIMIT, &out->request)) {
            *why = "\"request\" must be the number of a request";
            return "invalid_command";
        }
    }
    return NULL;
}

/* The error that a command is answered with; `id` as it came, or "". */
static void ad_put_error(struct ad_text *t, const char *code, const char *why,
                         const char *id)
{
    ad_puts(t, "{\"event\":\"error\",\"code\":");
    ad_put_string(t, code);
    ad_puts(t, ",\"message\":");
    ad_put_string(t, why);
    if (id[0] != '\0') {
        ad_puts(t, ",\"id\":");
        ad_puts(t, id);
    }
    ad_puts(t, "}");
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
