/* json_stream.c - the grammar of JSON (RFC 8259), for a text in pieces of any
 * size. The reader stops at the values that its caller knows, and keeps nothing
 * else. It leaves UTF-8 to the caller. Pure.
 */
#ifndef AD_CODEC_JSON_STREAM_C
#define AD_CODEC_JSON_STREAM_C

#include "faults.c"
#include "../base/decimal.c"
#include "utf8.c"

enum {
    AD_STREAM_DEPTH_MAX = 64, /* nesting of objects and arrays */
#if AIDASH_METER
    AD_STREAM_TEXT_MAX = 200  /* bytes kept of a key or a value: an error's sentence */
#else
    AD_STREAM_TEXT_MAX = AIDASH_MODEL_MAX
#endif
};

/* -- the places that a caller knows -- */

/* What a place holds. */
enum ad_json_kind {
    AD_JSON_OTHER,
    AD_JSON_ROOT,  /* an object; an outermost array instead is a `list` */
    AD_JSON_KEPT,  /* a string, whose first bytes are kept in `text` */
    AD_JSON_NUMBER /* a number, or a string that holds one */
};

/* The way from an object to one of its values. */
struct ad_json_key {
    const char *key;
    uint8_t len, to; /* to: the value's place */
};
#define AD_JSON_KEY_TO(key, to) {key, sizeof(key) - 1, to}

/* A place is a number, the index into the caller's table of them. What has no
 * place is at 0, and so is all below it. */
struct ad_json_place {
    uint8_t kind;    /* enum ad_json_kind */
    uint8_t element; /* the place of an array's elements */
    uint8_t list;    /* AD_JSON_ROOT */
    uint8_t fact, unit; /* AD_JSON_NUMBER: what the number means to the caller */
    uint8_t n_keys;  /* the shortest key first, equal lengths in memcmp's order */
    const struct ad_json_key *keys;
};
#define AD_JSON_KEYS(array) .n_keys = AD_COUNT(array), .keys = (array)

static const struct ad_json_place ad_json_no_places[] = {{.kind = AD_JSON_OTHER}};

static uint8_t ad_json_place_next(const struct ad_json_place *place,
                                  const char *key, size_t len)
{
    size_t from = 0, to = place->n_keys;

    while (from < to) {
        size_t middle = (from + to) / 2;
        const struct ad_json_key *k = &place->keys[middle];
        int order = (int)len - k->len;

        if (order == 0 && len > 0) {
            order = (uint8_t)key[0] - (uint8_t)k->key[0]; /* saves most calls */
        }
        if (order == 0) {
            order = memcmp(key, k->key, len);
        }
        if (order == 0) {
            return k->to;
        }
        if (order < 0) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    return 0;
}

/* -- strings: RFC 8259 7 -- */

enum ad_json_chars_state { AD_CHARS_PLAIN, AD_CHARS_ESCAPE, AD_CHARS_HEX };

/* The most that one byte can give: U+FFFD for a half that stayed alone, and a
 * character. */
enum { AD_CHARS_MAX = 3 + 4 };

/* Decodes the characters between the quotes, byte by byte. */
struct ad_json_chars {
    uint8_t state;  /* enum ad_json_chars_state */
    uint8_t digits; /* of \uXXXX still to come */
    uint16_t unit;  /* its digits so far: one unit of UTF-16 */
    uint16_t high;  /* half a surrogate pair that waits for the other, or 0 */
    bool lone;      /* a half stayed alone: it became U+FFFD */
};

/* The half that waits stays alone. Returns the bytes written to out. */
static size_t ad_json_chars_lone(struct ad_json_chars *d, char *out)
{
    if (d->high == 0) {
        return 0;
    }
    d->high = 0;
    d->lone = true;
    return ad_utf8_put(out, 0xFFFD);
}

/* A unit of UTF-16 is complete. RFC 2781 2.2. */
static size_t ad_json_chars_unit(struct ad_json_chars *d, char *out)
{
    unsigned long unit = d->unit;
    bool low = unit >= 0xDC00 && unit <= 0xDFFF;
    size_t n;

    if (low && d->high != 0) {
        unit = 0x10000 + ((d->high - 0xD800ul) << 10) + (unit - 0xDC00);
        d->high = 0;
        return ad_utf8_put(out, unit);
    }
    n = ad_json_chars_lone(d, out);
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        d->high = d->unit;
        return n;
    }
    if (low) {
        d->lone = true;
        unit = 0xFFFD;
    }
    return n + ad_utf8_put(out + n, unit);
}

/* Take a byte. Returns how many bytes it gave to out, or -1: it can't stand
 * there. A quote in the state AD_CHARS_PLAIN is the caller's. */
static int ad_json_chars_next(struct ad_json_chars *d, uint8_t c,
                              char out[AD_CHARS_MAX])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *escape;
    size_t n;

    switch (d->state) {
    case AD_CHARS_ESCAPE:
        if (c == 'u') {
            d->digits = 4;
            d->unit = 0;
            d->state = AD_CHARS_HEX;
            return 0;
        }
        escape = memchr(from, c, sizeof(from) - 1);
        if (escape == NULL) {
            return -1;
        }
        d->state = AD_CHARS_PLAIN;
        n = ad_json_chars_lone(d, out);
        out[n] = to[escape - from];
        return (int)n + 1;
    case AD_CHARS_HEX:
        if (ad_hex(c) < 0) {
            return -1;
        }
        d->unit = (uint16_t)(d->unit << 4 | ad_hex(c));
        d->digits--;
        if (d->digits > 0) {
            return 0;
        }
        d->state = AD_CHARS_PLAIN;
        return (int)ad_json_chars_unit(d, out);
    default:
        if (c == '\\') {
            d->state = AD_CHARS_ESCAPE;
            return 0;
        }
        if (c < 0x20) {
            return -1;
        }
        n = ad_json_chars_lone(d, out);
        out[n] = (char)c;
        return (int)n + 1;
    }
}

/* -- numbers, literals, white space -- */

static size_t ad_json_digits(const char *s, size_t len)
{
    size_t i = 0;

    while (i < len && ad_is_digit(s[i])) {
        i++;
    }
    return i;
}

/* Length of the JSON number at s, 0 if it is none. RFC 8259 6. */
static size_t ad_json_number(const char *s, size_t len)
{
    size_t i = 0, n;

    if (i < len && s[i] == '-') {
        i++;
    }
    n = ad_json_digits(s + i, len - i);
    if (n == 0 || (s[i] == '0' && n > 1)) {
        return 0;
    }
    i += n;
    if (i < len && s[i] == '.') {
        i++;
        n = ad_json_digits(s + i, len - i);
        if (n == 0) {
            return 0;
        }
        i += n;
    }
    if (i < len && (s[i] == 'e' || s[i] == 'E')) {
        i++;
        if (i < len && (s[i] == '+' || s[i] == '-')) {
            i++;
        }
        n = ad_json_digits(s + i, len - i);
        if (n == 0) {
            return 0;
        }
        i += n;
    }
    return i;
}

/* Length of true, false or null at s, 0 if it is none of them. RFC 8259 3. */
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

/* Length of the white space at s. RFC 8259 2. */
static size_t ad_json_space(const char *s, size_t len)
{
    size_t i = 0;

    while (i < len && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' ||
                       s[i] == '\r')) {
        i++;
    }
    return i;
}

/* A checked JSON number as a double, to a few units in the last place. Not
 * strtod(): that one obeys the program's locale. Huge exponents saturate. */
static double ad_json_double(const char *s, size_t len)
{
    size_t i = 0;
    bool negative = len > 0 && s[0] == '-', fraction = false, minus = false;
    uint64_t digits = 0;
    int scale = 0, exponent = 0;
    double value;

    if (negative) {
        i++;
    }
    for (; i < len && s[i] != 'e' && s[i] != 'E'; i++) {
        if (s[i] == '.') {
            fraction = true;
        } else if (digits < UINT64_MAX / 10 - 1) {
            digits = digits * 10 + (uint64_t)(s[i] - '0');
            if (fraction) {
                scale--;
            }
        } else if (!fraction) {
            scale++; /* a digit too many to be kept */
        }
    }
    for (; i < len; i++) {
        if (s[i] == '-') {
            minus = true;
        } else if (ad_is_digit(s[i]) && exponent < 10000) {
            exponent = exponent * 10 + (s[i] - '0');
        }
    }
    scale += minus ? -exponent : exponent;
    value = (double)digits;
    if (digits == 0) {
        scale = 0;
    }
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

/* -- the reader -- */

enum ad_json_stream_state {
    AD_JSON_VALUE,        /* a value comes */
    AD_JSON_VALUE_OR_END, /* behind [ */
    AD_JSON_KEY,          /* behind a comma in an object */
    AD_JSON_KEY_OR_END,   /* behind { */
    AD_JSON_COLON,
    AD_JSON_STRING,
    AD_JSON_WORD,         /* a number or a literal */
    AD_JSON_AFTER,        /* a comma or a closing bracket comes */
    AD_JSON_DONE,
    AD_JSON_BAD
};

/* What ad_json_stream_next() stopped at: only values that have a place. */
enum ad_json_stream_what {
    AD_JSON_NOTHING,
    AD_JSON_OPEN,    /* an object or array begins */
    AD_JSON_CLOSE,
    AD_JSON_TEXT,    /* a string has ended */
    AD_JSON_SCALAR   /* a number or literal has ended, and is in `text` */
};

struct ad_json_stream {
    const struct ad_json_place *places;
    uint8_t depth_max;
    uint8_t state; /* enum ad_json_stream_state */
    uint8_t what;  /* enum ad_json_stream_what */
    uint8_t fault; /* enum ad_fault: why the state is AD_JSON_BAD */
    uint8_t path;  /* the place of the current value */
    uint8_t depth; /* of objects and arrays */
    uint8_t len;   /* bytes in `text` */
    bool key;      /* the current string is a key */
    bool keep;     /* and goes to `text` */
    bool cut;      /* `text` holds the beginning only */
    bool any;      /* the string is not empty */
    struct ad_json_chars chars;
    uint64_t objects; /* a bit for each depth: an object, not an array */
    uint64_t at;      /* bytes used */
    uint64_t from;    /* where the current string began, at its quote */
    uint8_t paths[AD_STREAM_DEPTH_MAX]; /* of the objects and arrays around */
    char text[AD_STREAM_TEXT_MAX + 1];
};
_Static_assert(AD_STREAM_DEPTH_MAX <= 64, "ad_json_stream.objects has 64 bits");
_Static_assert(AD_STREAM_TEXT_MAX <= 255, "ad_json_stream.len has 8 bits");
_Static_assert(AD_STREAM_TEXT_MAX >= 48 && AD_STREAM_TEXT_MAX >= AIDASH_MODEL_MAX,
               "keys, numbers and models fit in `text`");

/* path: the place of the whole text in places, which must outlive *j.
 * depth_max: 1..AD_STREAM_DEPTH_MAX. */
static void ad_json_stream_begin(struct ad_json_stream *j,
                                 const struct ad_json_place *places,
                                 uint8_t path, uint8_t depth_max)
{
    memset(j, 0, offsetof(struct ad_json_stream, paths)); /* a stack and a buffer */
    j->places = places;
    j->path = path;
    j->depth_max = depth_max;
}

static void ad_json_stream_keep(struct ad_json_stream *j, const void *s,
                                size_t len)
{
    size_t room = AD_STREAM_TEXT_MAX - (size_t)j->len;

    if (len == 0) {
        return;
    }
    j->any = true;
    if (!j->keep) {
        return;
    }
    if (len > room) {
        j->cut = true;
        len = room;
    }
    memcpy(j->text + j->len, s, len);
    j->len = (uint8_t)(j->len + len);
}

/* The text is no JSON: the reason follows from what should have come. */
static void ad_json_stream_bad(struct ad_json_stream *j)
{
    switch (j->state) {
    case AD_JSON_KEY:
    case AD_JSON_KEY_OR_END:
        j->fault = AD_FAULT_JSON_KEY;
        break;
    case AD_JSON_COLON:
        j->fault = AD_FAULT_JSON_COLON;
        break;
    case AD_JSON_STRING:
        j->fault = j->key ? AD_FAULT_JSON_KEY : AD_FAULT_JSON_VALUE;
        break;
    case AD_JSON_AFTER:
        j->fault = AD_FAULT_JSON_COMMA;
        break;
    case AD_JSON_DONE:
        j->fault = AD_FAULT_JSON_MORE;
        break;
    default:
        j->fault = AD_FAULT_JSON_VALUE;
        break;
    }
    j->state = AD_JSON_BAD;
}

static void ad_json_stream_stop(struct ad_json_stream *j,
                                enum ad_json_stream_what what)
{
    if (j->path != 0) {
        j->what = (uint8_t)what;
    }
}

static void ad_json_stream_value_end(struct ad_json_stream *j)
{
    j->state = j->depth == 0 ? AD_JSON_DONE : AD_JSON_AFTER;
}

static bool ad_json_stream_in_object(const struct ad_json_stream *j)
{
    return j->depth > 0 && (j->objects >> (j->depth - 1) & 1) != 0;
}

static void ad_json_stream_open(struct ad_json_stream *j, bool object)
{
    const struct ad_json_place *place = &j->places[j->path];

    if (j->depth == j->depth_max) {
        j->fault = AD_FAULT_JSON_DEPTH;
        j->state = AD_JSON_BAD;
        return;
    }
    if (!object && place->kind == AD_JSON_ROOT) {
        j->path = j->depth == 0 ? place->list : 0;
    }
    ad_json_stream_stop(j, AD_JSON_OPEN);
    j->paths[j->depth] = j->path;
    if (object) {
        j->objects |= 1ull << j->depth;
    } else {
        j->objects &= ~(1ull << j->depth);
    }
    j->depth++;
    j->state = object ? AD_JSON_KEY_OR_END : AD_JSON_VALUE_OR_END;
}

static void ad_json_stream_close(struct ad_json_stream *j, bool object)
{
    if (j->depth == 0 || ad_json_stream_in_object(j) != object) {
        ad_json_stream_bad(j);
        return;
    }
    j->depth--;
    j->path = j->paths[j->depth];
    ad_json_stream_stop(j, AD_JSON_CLOSE);
    ad_json_stream_value_end(j);
}

static void ad_json_stream_string_begin(struct ad_json_stream *j, bool key,
                                        size_t i)
{
    const struct ad_json_place *places = j->places;

    j->state = AD_JSON_STRING;
    j->key = key;
    /* Nothing else of an answer's text is ever kept. */
    j->keep = key ? places[j->paths[j->depth - 1]].n_keys > 0
                  : places[j->path].kind >= AD_JSON_KEPT;
    j->any = j->cut = false;
    j->len = 0;
    j->from = j->at + i;
    memset(&j->chars, 0, sizeof(j->chars));
}

static void ad_json_stream_string_end(struct ad_json_stream *j)
{
    char lone[AD_CHARS_MAX];

    ad_json_stream_keep(j, lone, ad_json_chars_lone(&j->chars, lone));
    j->text[j->len] = '\0';
    if (j->key) {
        const struct ad_json_place *around = &j->places[j->paths[j->depth - 1]];

        j->path = 0;
        if (!j->cut) {
            j->path = ad_json_place_next(around, j->text, j->len);
        }
        j->state = AD_JSON_COLON;
        return;
    }
    ad_json_stream_stop(j, AD_JSON_TEXT);
    ad_json_stream_value_end(j);
}

/* Bytes of a string. Returns how many were used. */
static size_t ad_json_stream_string(struct ad_json_stream *j, const uint8_t *in,
                                    size_t len)
{
    char bytes[AD_CHARS_MAX];
    size_t i = 0;
    int n;

    while (i < len && j->state == AD_JSON_STRING) {
        if (j->chars.state == AD_CHARS_PLAIN && j->chars.high == 0) {
            size_t from = i;

            while (i < len && in[i] >= 0x20 && in[i] != '"' && in[i] != '\\') {
                i++;
            }
            ad_json_stream_keep(j, in + from, i - from);
            if (i == len) {
                break;
            }
        }
        if (in[i] == '"' && j->chars.state == AD_CHARS_PLAIN) {
            ad_json_stream_string_end(j);
        } else {
            n = ad_json_chars_next(&j->chars, in[i], bytes);
            if (n < 0) {
                ad_json_stream_bad(j);
            } else {
                ad_json_stream_keep(j, bytes, (size_t)n);
            }
        }
        i++;
    }
    return i;
}

static void ad_json_stream_word_end(struct ad_json_stream *j)
{
    size_t n;

    j->text[j->len] = '\0';
    n = ad_json_number(j->text, j->len);
    if (n == 0) {
        n = ad_json_literal(j->text, j->len);
    }
    if (n != j->len) {
        ad_json_stream_bad(j);
        return;
    }
    if (j->cut) {
        j->path = 0; /* its value is not known */
    }
    ad_json_stream_stop(j, AD_JSON_SCALAR);
    ad_json_stream_value_end(j);
}

static bool ad_json_stream_in_word(uint8_t c)
{
    return ad_is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           c == '-' || c == '+' || c == '.';
}

/* Bytes of a number or a literal. Returns how many were used.
 * A number too long to be kept loses digits that follow others: it stays a
 * number, or stays none, and 8 bytes are left for what may still come, as in
 * .1e-1. */
static size_t ad_json_stream_word(struct ad_json_stream *j, const uint8_t *in,
                                  size_t len)
{
    size_t i = 0, n = 0;

    while (n < len && ad_json_stream_in_word(in[n])) {
        n++;
    }
    if (j->len + n <= AD_STREAM_TEXT_MAX - 8) { /* nearly always */
        ad_json_stream_keep(j, in, n);
        i = n;
    }
    while (i < n) {
        if (j->len >= AD_STREAM_TEXT_MAX - 8 && ad_is_digit(in[i]) &&
            ad_is_digit(j->text[j->len - 1])) {
            j->cut = true;
        } else {
            ad_json_stream_keep(j, in + i, 1);
        }
        i++;
    }
    if (i < len) {
        ad_json_stream_word_end(j);
    }
    return i;
}

/* One character outside of strings and words; i is where it stands. */
static void ad_json_stream_mark(struct ad_json_stream *j, uint8_t c, size_t i)
{
    bool value = j->state == AD_JSON_VALUE || j->state == AD_JSON_VALUE_OR_END;
    bool key = j->state == AD_JSON_KEY || j->state == AD_JSON_KEY_OR_END;
    bool end = j->state == AD_JSON_VALUE_OR_END ||
               j->state == AD_JSON_KEY_OR_END || j->state == AD_JSON_AFTER;

    if (value && j->depth > 0 && !ad_json_stream_in_object(j)) {
        j->path = j->places[j->paths[j->depth - 1]].element;
    }
    if (c == '"' && (value || key)) {
        ad_json_stream_string_begin(j, key, i);
    } else if ((c == '{' || c == '[') && value) {
        ad_json_stream_open(j, c == '{');
    } else if ((c == '}' || c == ']') && end) {
        ad_json_stream_close(j, c == '}');
    } else if (c == ':' && j->state == AD_JSON_COLON) {
        j->state = AD_JSON_VALUE;
    } else if (c == ',' && j->state == AD_JSON_AFTER) {
        j->state = ad_json_stream_in_object(j) ? AD_JSON_KEY : AD_JSON_VALUE;
    } else if (value && (ad_is_digit(c) || c == '-' || c == 't' || c == 'f' ||
                         c == 'n')) {
        j->state = AD_JSON_WORD;
        j->keep = true;
        j->cut = false;
        j->len = 0;
        ad_json_stream_keep(j, &c, 1);
    } else {
        ad_json_stream_bad(j);
    }
}

/* Read on, up to and including the next value that has a place (j->what).
 * Returns how many bytes were used: all of them when there is no such value,
 * unless the text turned out bad. */
static size_t ad_json_stream_next(struct ad_json_stream *j, const uint8_t *in,
                                  size_t len)
{
    size_t i = 0;

    j->what = AD_JSON_NOTHING;
    while (i < len && j->what == AD_JSON_NOTHING && j->state != AD_JSON_BAD) {
        switch (j->state) {
        case AD_JSON_STRING:
            i += ad_json_stream_string(j, in + i, len - i);
            break;
        case AD_JSON_WORD:
            i += ad_json_stream_word(j, in + i, len - i);
            break;
        default:
            if (ad_json_space((const char *)in + i, 1) == 0) {
                ad_json_stream_mark(j, in[i], i);
            }
            i++;
            break;
        }
    }
    j->at += i;
    return i;
}

/* The text has ended. Returns whether it was one whole JSON value. */
static bool ad_json_stream_end(struct ad_json_stream *j)
{
    if (j->state == AD_JSON_WORD) {
        ad_json_stream_word_end(j);
    }
    if (j->state != AD_JSON_DONE && j->state != AD_JSON_BAD) {
        j->fault = AD_FAULT_JSON_ENDS;
    }
    return j->state == AD_JSON_DONE;
}

#endif
