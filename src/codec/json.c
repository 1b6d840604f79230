/* json.c - a JSON text that is whole (RFC 8259): checked, then read through
 * jsmn's tokens. Pure.
 */
#ifndef AD_CODEC_JSON_C
#define AD_CODEC_JSON_C

#include "../base/decimal.c"
#include "utf8.c"

#define JSMN_STATIC
#define JSMN_STRICT
#include <jsmn.h>

enum {
    AD_DEPTH_MAX = 16, /* nesting of JSON from outside */
    AD_TOKENS = 128    /* JSON values in one message */
};

static jsmntok_t ad_tokens[AD_TOKENS]; /* [h] of the text at hand */

/* Length of the JSON string at s (quotes included), 0 if it is none. */
static size_t ad_json_string(const char *s, size_t len)
{
    size_t i;

    if (len == 0 || s[0] != '"') {
        return 0;
    }
    for (i = 1; i < len; i++) {
        if (s[i] == '"') {
            return i + 1;
        }
        if ((unsigned char)s[i] < 0x20) {
            return 0;
        }
        if (s[i] != '\\') {
            continue;
        }
        if (++i == len) {
            return 0;
        }
        if (s[i] == 'u') {
            unsigned k;

            for (k = 0; k < 4; k++) {
                if (++i >= len || ad_hex(s[i]) < 0) {
                    return 0;
                }
            }
        } else if (strchr("\"\\/bfnrt", s[i]) == NULL || s[i] == '\0') {
            return 0;
        }
    }
    return 0;
}

/* Length of the JSON number at s, 0 if it is none. RFC 8259 6. */
static size_t ad_json_number(const char *s, size_t len)
{
    size_t i = 0, from;

    if (i < len && s[i] == '-') {
        i++;
    }
    from = i;
    while (i < len && ad_is_digit(s[i])) {
        i++;
    }
    if (i == from || (s[from] == '0' && i > from + 1)) {
        return 0;
    }
    if (i < len && s[i] == '.') {
        from = ++i;
        while (i < len && ad_is_digit(s[i])) {
            i++;
        }
        if (i == from) {
            return 0;
        }
    }
    if (i < len && (s[i] == 'e' || s[i] == 'E')) {
        i++;
        if (i < len && (s[i] == '+' || s[i] == '-')) {
            i++;
        }
        from = i;
        while (i < len && ad_is_digit(s[i])) {
            i++;
        }
        if (i == from) {
            return 0;
        }
    }
    return i;
}

static size_t ad_json_literal(const char *s, size_t len)
{
    static const char *const words[] = {"true", "false", "null"};
    size_t i;

    for (i = 0; i < AD_COUNT(words); i++) {
        size_t n = strlen(words[i]);

        if (len >= n && memcmp(s, words[i], n) == 0) {
            return n;
        }
    }
    return 0;
}

static size_t ad_json_space(const char *s, size_t len)
{
    size_t i = 0;

    while (i < len && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' ||
                       s[i] == '\r')) {
        i++;
    }
    return i;
}

/* What is wrong with a JSON text, or NULL. jsmn's strict mode still takes
 * {"a"}, {,}, [01] and [1 2]; this checks the whole grammar of RFC 8259, its
 * UTF-8 (8.1) and the depth. */
static const char *ad_json_fault(const char *s, size_t len)
{
    bool object[AD_DEPTH_MAX];
    unsigned depth = 0;
    size_t i = 0, n;
    bool key = false, open = false; /* a key comes next; just after { or [ */

    if (!ad_utf8_ok((const uint8_t *)s, len)) {
        return "not valid UTF-8";
    }
    for (;;) {
        i += ad_json_space(s + i, len - i);
        if (i == len) {
            return "the JSON text ends too early";
        }
        if (open && s[i] == (object[depth - 1] ? '}' : ']')) {
            i++;
            depth--;
            open = false;
        } else if (key) {
            n = ad_json_string(s + i, len - i);
            if (n == 0) {
                return "a key is not a JSON string";
            }
            i += n;
            i += ad_json_space(s + i, len - i);
            if (i == len || s[i] != ':') {
                return "a key without a colon";
            }
            i++;
            key = open = false;
            continue;
        } else if (s[i] == '{' || s[i] == '[') {
            if (depth == AD_DEPTH_MAX) {
                return "nested too deep";
            }
            object[depth] = key = s[i] == '{';
            depth++;
            open = true;
            i++;
            continue;
        } else {
            n = ad_json_string(s + i, len - i);
            n = n != 0 ? n : ad_json_number(s + i, len - i);
            n = n != 0 ? n : ad_json_literal(s + i, len - i);
            if (n == 0) {
                return "not a JSON value";
            }
            i += n;
            open = false;
        }
        /* A value has ended: what may follow depends on what it is in. */
        for (;;) {
            i += ad_json_space(s + i, len - i);
            if (depth == 0) {
                return i == len ? NULL : "more after the JSON value";
            }
            if (i == len) {
                return "the JSON text ends too early";
            }
            if (s[i] == ',') {
                i++;
                key = object[depth - 1];
                break;
            }
            if (s[i] != (object[depth - 1] ? '}' : ']')) {
                return "a comma or a closing bracket is missing";
            }
            i++;
            depth--;
        }
    }
}

/* Tokenize a JSON object from outside into ad_tokens. Returns NULL, or what is
 * wrong. Hub thread (or a test). */
static const char *ad_json_object(const char *s, size_t len)
{
    const char *fault = ad_json_fault(s, len);
    jsmn_parser parser;

    if (fault != NULL) {
        return fault;
    }
    if (s[ad_json_space(s, len)] != '{') {
        return "not a JSON object";
    }
    jsmn_init(&parser);
    if (jsmn_parse(&parser, s, len, ad_tokens, AD_TOKENS) < 1) {
        return "too many values";
    }
    return NULL;
}

static bool ad_json_is_null(const char *s, const jsmntok_t *t)
{
    return t->type == JSMN_PRIMITIVE && s[t->start] == 'n';
}

static bool ad_json_is_number(const char *s, const jsmntok_t *t)
{
    return t->type == JSMN_PRIMITIVE &&
           (s[t->start] == '-' || ad_is_digit(s[t->start]));
}

/* A checked JSON number as a double, to a few units in the last place. Not
 * strtod(): that one obeys the program's locale. Huge exponents saturate. */
static double ad_json_double(const char *s, const jsmntok_t *t)
{
    const char *end = s + t->end;
    bool negative = s[t->start] == '-', fraction = false;
    uint64_t digits = 0;
    int scale = 0, exponent = 0;
    double value;

    for (s += t->start + negative; s < end && *s != 'e' && *s != 'E'; s++) {
        if (*s == '.') {
            fraction = true;
        } else if (digits < UINT64_MAX / 10 - 1) {
            digits = digits * 10 + (uint64_t)(*s - '0');
            scale -= fraction;
        } else {
            scale += !fraction;
        }
    }
    if (s < end) {
        bool minus = *++s == '-';

        for (s += *s == '-' || *s == '+'; s < end; s++) {
            if (exponent < 10000) {
                exponent = exponent * 10 + (*s - '0');
            }
        }
        scale += minus ? -exponent : exponent;
    }
    value = (double)digits;
    scale = digits == 0 ? 0 : scale;
    for (; scale > 0 && value < 1e300; scale--) {
        value *= 10;
    }
    if (scale < 0) { /* one division, so that 118.3 is the nearest double */
        double power = 1;

        for (; scale < 0 && power < 1e300; scale++) {
            power *= 10;
        }
        value = scale < 0 ? 0 : value / power;
    }
    return negative ? -value : value;
}

/* A checked JSON number in 0..max as an integer; false if it is none. */
static bool ad_json_u64(const char *s, const jsmntok_t *t, uint64_t max,
                        uint64_t *value)
{
    return t->type == JSMN_PRIMITIVE &&
           ad_decimal_u64(s + t->start, (size_t)(t->end - t->start), max, value);
}

/* A \uXXXX escape (or a pair of surrogates) at s, which points behind the
 * backslash. Returns the characters read, 0 for half a pair. */
static size_t ad_json_code(const char *s, size_t len, unsigned long *code)
{
    unsigned long unit[2] = {0, 0};
    size_t n, k;

    for (n = 0; n < 2 && len >= n * 6 + 5; n++) {
        if (s[n * 6] != 'u') {
            break;
        }
        for (k = 1; k <= 4; k++) {
            unit[n] = unit[n] << 4 | (unsigned long)ad_hex(s[n * 6 + k]);
        }
        if (unit[0] < 0xD800 || unit[0] > 0xDFFF) {
            *code = unit[0];
            return 5;
        }
        if (len < 11 || s[5] != '\\') {
            return 0;
        }
    }
    if (n < 2 || unit[0] > 0xDBFF || unit[1] < 0xDC00 || unit[1] > 0xDFFF) {
        return 0;
    }
    *code = 0x10000 + ((unit[0] - 0xD800) << 10) + (unit[1] - 0xDC00);
    return 11;
}

/* Decode a checked JSON string into out[max + 1]. False if it is longer than
 * max bytes, holds half a surrogate pair, or a control character. */
static bool ad_json_name(const char *s, const jsmntok_t *t, char *out,
                         size_t max)
{
    size_t i = (size_t)t->start, end = (size_t)t->end, n = 0;

    if (t->type != JSMN_STRING) {
        return false;
    }
    while (i < end) {
        unsigned long code = (unsigned char)s[i];
        char bytes[4] = {s[i]};
        size_t len = 1;

        i++;
        if (code == '\\') {
            static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

            if (s[i] == 'u') {
                size_t used = ad_json_code(s + i, end - i, &code);

                if (used == 0) {
                    return false;
                }
                i += used;
                len = ad_utf8_put(bytes, code);
            } else {
                code = (unsigned char)to[strchr(from, s[i]) - from];
                bytes[0] = (char)code;
                i++;
            }
        }
        if (code < 0x20 || code == 0x7F || n + len > max) {
            return false;
        }
        memcpy(out + n, bytes, len);
        n += len;
    }
    out[n] = '\0';
    return true;
}

/* Is this token the string `word` (of at most 31 bytes), escaped or not? */
static bool ad_json_equals(const char *s, const jsmntok_t *t, const char *word)
{
    char text[32];

    return ad_json_name(s, t, text, sizeof(text) - 1) &&
           strcmp(text, word) == 0;
}

/* The value of a key of the tokenized object, or NULL. The last of several
 * counts, as in JavaScript. */
static const jsmntok_t *ad_json_get(const char *s, const char *key)
{
    const jsmntok_t *found = NULL, *t = ad_tokens + 1;
    int i;

    for (i = 0; i < ad_tokens[0].size; i++) {
        const jsmntok_t *value = t + 1;
        const jsmntok_t *end = ad_tokens + AD_TOKENS;

        if (ad_json_equals(s, t, key)) {
            found = value;
        }
        /* The next key is the first token that starts after the value. */
        for (t = value + 1; t < end && t->start < value->end; t++) {
        }
    }
    return found;
}

#endif
