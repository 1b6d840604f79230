/* json.c - a JSON text that is whole (RFC 8259): checked by the grammar of
 * json_stream.c, then read through jsmn's tokens. Pure.
 */
#ifndef AD_CODEC_JSON_C
#define AD_CODEC_JSON_C

#include "json_stream.c"
#include "utf8.c"

#define JSMN_STATIC
#define JSMN_STRICT
#include <jsmn.h>

enum {
    AD_DEPTH_MAX = 16, /* nesting of a message from outside */
    AD_TOKENS = 128    /* JSON values in one message */
};

/* A JSON object and its tokens, some 2 kB. The text is the caller's, and must
 * outlive it. */
struct ad_json {
    const char *text;
    unsigned n; /* tokens */
    jsmntok_t token[AD_TOKENS];
};
_Static_assert(sizeof(struct ad_json) <= 2560, "it lies on small stacks");

/* Take a byte order mark off the begin of a text (RFC 8259 8.1: a parser may
 * ignore it). */
static const char *ad_json_unmarked(const char *s, size_t *len)
{
    if (*len >= 3 && memcmp(s, "\xEF\xBB\xBF", 3) == 0) {
        *len -= 3;
        return s + 3;
    }
    return s;
}

/* What is wrong with a JSON text: its UTF-8 (RFC 8259 8.1), its grammar, or
 * its depth. jsmn's strict mode still takes {"a"}, {,}, [01] and [1 2]. */
static enum ad_fault ad_json_fault(const char *s, size_t len)
{
    struct ad_json_stream j;

    s = ad_json_unmarked(s, &len);
    if (!ad_utf8_ok((const uint8_t *)s, len)) {
        return AD_FAULT_JSON_UTF8;
    }
    ad_json_stream_begin(&j, ad_json_no_places, 0, AD_DEPTH_MAX);
    (void)ad_json_stream_next(&j, (const uint8_t *)s, len);
    (void)ad_json_stream_end(&j);
    return (enum ad_fault)j.fault;
}

/* Check a message from outside, which must be a JSON object, and cut it into
 * tokens. */
static enum ad_fault ad_json_object(struct ad_json *j, const char *s,
                                    size_t len)
{
    enum ad_fault fault = ad_json_fault(s, len);
    jsmn_parser parser;
    int n;

    if (fault != AD_FAULT_NONE) {
        return fault;
    }
    s = ad_json_unmarked(s, &len);
    if (s[ad_json_space(s, len)] != '{') {
        return AD_FAULT_JSON_OBJECT;
    }
    jsmn_init(&parser);
    n = jsmn_parse(&parser, s, len, j->token, AD_TOKENS);
    if (n < 1) {
        return AD_FAULT_JSON_VALUES;
    }
    j->text = s;
    j->n = (unsigned)n;
    return AD_FAULT_NONE;
}

static size_t ad_json_len(const jsmntok_t *t)
{
    return (size_t)(t->end - t->start);
}

static bool ad_json_is_null(const struct ad_json *j, const jsmntok_t *t)
{
    return t->type == JSMN_PRIMITIVE && j->text[t->start] == 'n';
}

static bool ad_json_is_number(const struct ad_json *j, const jsmntok_t *t)
{
    return t->type == JSMN_PRIMITIVE &&
           (j->text[t->start] == '-' || ad_is_digit(j->text[t->start]));
}

/* A JSON number that is whole and in 0..max; false if it is none. */
static bool ad_json_u64(const struct ad_json *j, const jsmntok_t *t,
                        uint64_t max, uint64_t *value)
{
    return ad_json_is_number(j, t) &&
           ad_decimal_whole(j->text + t->start, ad_json_len(t), max, value);
}

/* Decode the inside of a checked JSON string into out[max + 1]. False if it is
 * longer than max bytes, holds half a surrogate pair, or a character that may not
 * stand in a name. */
static bool ad_json_decode(const char *s, size_t len, char *out, size_t max)
{
    struct ad_json_chars d = {AD_CHARS_PLAIN, 0, 0, 0, false};
    size_t i, used = 0;

    for (i = 0; i < len; i++) {
        char bytes[AD_CHARS_MAX];
        int n = ad_json_chars_next(&d, (uint8_t)s[i], bytes);

        if (n < 0 || d.lone || (size_t)n > max - used) {
            return false;
        }
        memcpy(out + used, bytes, (size_t)n);
        used += (size_t)n;
    }
    out[used] = '\0';
    return d.high == 0 && ad_name_chars_ok(out, used);
}

/* ad_json_decode() of a token; false, too, if it is no string. */
static bool ad_json_name(const struct ad_json *j, const jsmntok_t *t, char *out,
                         size_t max)
{
    return t->type == JSMN_STRING &&
           ad_json_decode(j->text + t->start, ad_json_len(t), out, max);
}

/* Is this token the string `word` (of at most 31 bytes, without quotes and
 * backslashes), escaped or not? */
static bool ad_json_equals(const struct ad_json *j, const jsmntok_t *t,
                           const char *word)
{
    size_t len = strlen(word);
    char text[32];

    if (t->type != JSMN_STRING || ad_json_len(t) < len) {
        return false;
    }
    if (ad_json_len(t) == len) {
        return memcmp(j->text + t->start, word, len) == 0;
    }
    return ad_json_name(j, t, text, sizeof(text) - 1) &&
           strcmp(text, word) == 0;
}

/* The value of a key of the object, or NULL. The last of several counts, as in
 * JavaScript. */
static const jsmntok_t *ad_json_get(const struct ad_json *j, const char *key)
{
    const jsmntok_t *found = NULL, *end = j->token + j->n;
    const jsmntok_t *t = j->token + 1;

    while (t < end) {
        const jsmntok_t *value = t + 1;

        if (ad_json_equals(j, t, key)) {
            found = value;
        }
        /* The next key is the first token that starts after the value. */
        t = value + 1;
        while (t < end && t->start < value->end) {
            t++;
        }
    }
    return found;
}

#endif
