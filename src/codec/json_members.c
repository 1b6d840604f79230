/* json_members.c - the members of a whole JSON object, each with a name of its own,
 * as pieces of its text: for texts of which much is unknown, or long. Pure.
 */
#ifndef AD_CODEC_JSON_MEMBERS_C
#define AD_CODEC_JSON_MEMBERS_C

#include "http_field.c"
#include "json.c"

#if AIDASH_TLS || AIDASH_NODES || (AIDASH_METRICS && AIDASH_BOARD)

enum {
    AD_MEMBERS_MAX = 64,      /* of one object */
    AD_MEMBER_TEXT_MAX = 255  /* bytes of a name that has escapes */
};

/* The text is the caller's, and must outlive it. Some 2 kB. */
struct ad_json_members {
    unsigned n;
    struct ad_slice key[AD_MEMBERS_MAX];   /* between its quotes, as it was sent */
    struct ad_slice value[AD_MEMBERS_MAX]; /* a string with its quotes */
};

/* The length of the string, from quote to quote, at the begin of a checked text. */
static size_t ad_json_string_len(struct ad_slice s)
{
    size_t i = 1;

    while (s.at[i] != '"') {
        i += s.at[i] == '\\' ? 2 : 1;
    }
    return i + 1;
}

/* The length of the value at the begin of a checked text. */
static size_t ad_json_value_len(struct ad_slice s)
{
    size_t i = 0, depth = 0;

    if (s.at[0] == '"') {
        return ad_json_string_len(s);
    }
    while (i < s.len) {
        char c = s.at[i];

        if (depth == 0 && (c == ',' || c == ']' || c == '}' ||
                           ad_json_space(s.at + i, 1) > 0)) {
            break;
        }
        if (c == '"') {
            i += ad_json_string_len(ad_slice_from(s, i));
            continue;
        }
        if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        }
        i++;
        if (depth == 0 && (c == '}' || c == ']')) {
            break;
        }
    }
    return i;
}

/* `s` without its first `skip` bytes and the white space behind them. */
static struct ad_slice ad_json_behind(struct ad_slice s, size_t skip)
{
    s = ad_slice_from(s, skip);
    return ad_slice_from(s, ad_json_space(s.at, s.len));
}

/* Take the next element off a checked array: *rest begins with its bracket, and
 * later with the comma in front of the next one. False behind the last. */
static bool ad_json_element(struct ad_slice *rest, struct ad_slice *value)
{
    struct ad_slice s = ad_json_behind(*rest, 1);

    if (rest->at[0] == ']' || s.at[0] == ']') {
        return false;
    }
    *value = s;
    value->len = ad_json_value_len(s);
    *rest = ad_json_behind(s, value->len);
    return true;
}

/* The inside of a checked string, decoded, into out[max + 1]. False, too, if it is
 * another value than a string, or see ad_json_decode(). */
static bool ad_json_text(struct ad_slice value, char *out, size_t max)
{
    return value.len >= 2 && value.at[0] == '"' &&
           ad_json_decode(value.at + 1, value.len - 2, out, max);
}

#if AIDASH_TLS

/* Is this value the string `text`, of at most AD_MEMBER_TEXT_MAX bytes? */
static bool ad_json_text_is(struct ad_slice value, const char *text)
{
    char decoded[AD_MEMBER_TEXT_MAX + 1];

    return ad_json_text(value, decoded, AD_MEMBER_TEXT_MAX) &&
           strcmp(decoded, text) == 0;
}

#endif

#if AIDASH_TLS || AIDASH_NODES

/* Have two names the same characters? Without escapes they have one form. */
static bool ad_json_same_name(struct ad_slice a, struct ad_slice b,
                              const char *decoded_a)
{
    char decoded_b[AD_MEMBER_TEXT_MAX + 1];

    if (decoded_a == NULL && memchr(b.at, '\\', b.len) == NULL) {
        return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
    }
    if (!ad_json_decode(b.at, b.len, decoded_b, AD_MEMBER_TEXT_MAX)) {
        return false; /* the other is no longer, and has been decoded */
    }
    if (decoded_a != NULL) {
        return strcmp(decoded_a, decoded_b) == 0;
    }
    return a.len == strlen(decoded_b) && memcmp(a.at, decoded_b, a.len) == 0;
}

/* Add a member. False if there are too many, or one of its name is there, or its
 * name has escapes and can't be decoded. */
static bool ad_json_members_add(struct ad_json_members *m, struct ad_slice key,
                                struct ad_slice value)
{
    char decoded[AD_MEMBER_TEXT_MAX + 1];
    bool escaped = memchr(key.at, '\\', key.len) != NULL;
    unsigned i;

    if (m->n == AD_MEMBERS_MAX ||
        (escaped &&
         !ad_json_decode(key.at, key.len, decoded, AD_MEMBER_TEXT_MAX))) {
        return false;
    }
    for (i = 0; i < m->n; i++) {
        if (ad_json_same_name(key, m->key[i], escaped ? decoded : NULL)) {
            return false;
        }
    }
    m->key[m->n] = key;
    m->value[m->n] = value;
    m->n++;
    return true;
}

/* Read the object that a checked text begins with. False as
 * ad_json_members_add(), or if it is no object. */
static bool ad_json_members_of(struct ad_json_members *m, struct ad_slice s)
{
    m->n = 0;
    if (s.len == 0 || s.at[0] != '{') {
        return false;
    }
    s = ad_json_behind(s, 1);
    while (s.at[0] != '}') {
        struct ad_slice key, value;

        key = ad_slice_between(s.at + 1, s.at + ad_json_string_len(s) - 1);
        s = ad_json_behind(s, key.len + 2);
        s = ad_json_behind(s, 1); /* the colon */
        value = s;
        value.len = ad_json_value_len(s);
        s = ad_json_behind(s, value.len);
        if (!ad_json_members_add(m, key, value)) {
            return false;
        }
        if (s.at[0] == ',') {
            s = ad_json_behind(s, 1);
        }
    }
    return true;
}

/* Check a text from outside and read its members. False if it is not a JSON
 * object with at most AD_MEMBERS_MAX members, each with a name of its own. */
static bool ad_json_members_read(struct ad_json_members *m, const char *text,
                                 size_t len)
{
    struct ad_slice s;

    m->n = 0;
    if (ad_json_fault(text, len) != AD_FAULT_NONE) {
        return false;
    }
    s.at = ad_json_unmarked(text, &len);
    s.len = len;
    return ad_json_members_of(m, ad_json_behind(s, 0));
}

/* The value of the member `name` (without quotes and backslashes); its `at` is NULL
 * if there is none. */
static struct ad_slice ad_json_member(const struct ad_json_members *m,
                                      const char *name)
{
    struct ad_slice none = {NULL, 0}, key = ad_slice_of(name);
    unsigned i;

    for (i = 0; i < m->n; i++) {
        if (ad_json_same_name(key, m->key[i], NULL)) {
            return m->value[i];
        }
    }
    return none;
}

#endif /* AIDASH_TLS || AIDASH_NODES */

#endif /* AIDASH_TLS || AIDASH_NODES || (AIDASH_METRICS && AIDASH_BOARD) */

#endif
