/* numbers.c - the numbers in the board's newest report, each by its place in it:
 * "temperatures", "celsius", and the name of the sensor.
 * Owns ad_board_numbers. Hub thread only. What a report tells by a word (absent, unknown,
 * needs_root, asleep) is no number, and is not here.
 */
#ifndef AD_BOARD_NUMBERS_C
#define AD_BOARD_NUMBERS_C

#include "../codec/json_members.c"
#include "../codec/messages.c"
#include "board.c"

#if AIDASH_METRICS && AIDASH_BOARD

enum { AD_BOARD_NUMBERS = 160 }; /* of a report; more are left out */

/* A number. The texts are those of ad_board.newest. */
struct ad_board_number {
    const char *part, *member, *name; /* name: NULL if it has none */
    uint8_t part_len, member_len, name_len;
    uint8_t again;  /* how many before it have the same name */
    uint16_t index; /* its place in an array of numbers */
    double value;
};

static struct {
    uint64_t report; /* of which they are: ad_board.reports */
    unsigned n;
    bool all_bits; /* the firmware told all bits of throttling, not the kernel one */
    struct ad_board_number list[AD_BOARD_NUMBERS];
} ad_board_numbers;

static bool ad_board_same(const char *a, uint8_t a_len, const char *b, uint8_t b_len)
{
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static void ad_board_add(struct ad_slice part, struct ad_slice member,
                         struct ad_slice name, unsigned index, double value)
{
    struct ad_board_number *new = &ad_board_numbers.list[ad_board_numbers.n];
    unsigned i;

    if (ad_board_numbers.n == AD_BOARD_NUMBERS || part.len > 255 || member.len > 255) {
        return;
    }
    new->part = part.at;
    new->part_len = (uint8_t)part.len;
    new->member = member.at;
    new->member_len = (uint8_t)member.len;
    new->name = name.at;
    new->name_len = (uint8_t)(name.len < 255 ? name.len : 255);
    new->again = 0;
    new->index = (uint16_t)index;
    new->value = value;
    for (i = 0; name.at != NULL && i < ad_board_numbers.n; i++) {
        const struct ad_board_number *old = &ad_board_numbers.list[i];

        if (old->name != NULL &&
            ad_board_same(old->part, old->part_len, new->part, new->part_len) &&
            ad_board_same(old->member, old->member_len, new->member, new->member_len) &&
            ad_board_same(old->name, old->name_len, new->name, new->name_len)) {
            new->again++;
        }
    }
    ad_board_numbers.n++;
}

/* Add it if it is one. */
static void ad_board_add_text(struct ad_slice part, struct ad_slice member,
                              struct ad_slice name, unsigned index,
                              struct ad_slice value)
{
    if (value.len > 0 && (value.at[0] == '-' || ad_is_digit(value.at[0]))) {
        ad_board_add(part, member, name, index, ad_json_double(value.at, value.len));
    }
}

/* Take the next member off an object: *rest begins with its brace or its first member,
 * and later with the comma in front of the next one. False behind the last. */
static bool ad_board_member(struct ad_slice *rest, struct ad_slice *key,
                            struct ad_slice *value)
{
    struct ad_slice s = *rest;

    if (s.len > 0 && (s.at[0] == '{' || s.at[0] == ',')) {
        s = ad_slice_from(s, 1);
    }
    if (s.len == 0 || s.at[0] != '"') {
        return false;
    }
    *key = ad_slice_between(s.at + 1, s.at + ad_json_string_len(s) - 1);
    s = ad_slice_from(s, key->len + 3); /* two quotes and the colon */
    *value = s;
    value->len = ad_json_value_len(s);
    *rest = ad_slice_from(s, value->len);
    return true;
}

/* An array of objects that have names. */
static void ad_board_read_list(struct ad_slice part, struct ad_slice list)
{
    struct ad_slice object, key, value;

    while (ad_json_element(&list, &object)) {
        struct ad_slice name = {NULL, 0}, rest = object;

        if (object.at[0] != '{') {
            return;
        }
        while (ad_board_member(&rest, &key, &value)) {
            if (ad_slice_is(key, "name") && value.len >= 2) {
                name = ad_slice_between(value.at + 1, value.at + value.len - 1);
            } else {
                ad_board_add_text(part, key, name, 0, value);
            }
        }
    }
}

/* An array of numbers, or of the bits of throttling that are set. */
static void ad_board_read_array(struct ad_slice part, struct ad_slice member,
                                struct ad_slice array)
{
    struct ad_slice none = {NULL, 0}, rest = array, value;
    unsigned i = 0;

    if (ad_slice_is(member, "now") || ad_slice_is(member, "since_boot")) {
        for (i = 0; i < AD_COUNT(ad_throttled_names); i++) {
            bool set = false;

            for (rest = array; ad_json_element(&rest, &value);) {
                value = ad_slice_between(value.at + 1, value.at + value.len - 1);
                set = set || ad_slice_is(value, ad_throttled_names[i]);
            }
            if (set || i == 0 || ad_board_numbers.all_bits) {
                ad_board_add(part, member, ad_slice_of(ad_throttled_names[i]), 0, set);
            }
        }
        return;
    }
    while (ad_json_element(&rest, &value)) {
        ad_board_add_text(part, member, none, i++, value);
    }
}

/* A member of an object. */
static void ad_board_read_member(struct ad_slice part, struct ad_slice member,
                                 struct ad_slice value)
{
    struct ad_slice none = {NULL, 0}, key, inner;

    if (value.at[0] == '{') {
        while (ad_board_member(&value, &key, &inner)) {
            ad_board_add_text(part, member, key, 0, inner);
        }
    } else if (value.at[0] == '[' && value.len > 1 && value.at[1] == '{') {
        ad_board_read_list(member, value);
    } else if (value.at[0] == '[') {
        ad_board_read_array(part, member, value);
    } else {
        ad_board_add_text(part, member, none, 0, value);
    }
}

/* Read a report: the members of the event `board`, as report.c writes them. */
static void ad_board_numbers_read(const char *text, size_t len)
{
    struct ad_slice rest = {text, len}, key, value, member, inner;

    ad_board_numbers.n = 0;
    ad_board_numbers.all_bits = memmem(text, len, "\"since_boot\":[", 14) != NULL;
    while (ad_board_member(&rest, &key, &value)) {
        if (value.at[0] == '{') {
            while (ad_board_member(&value, &member, &inner)) {
                ad_board_read_member(key, member, inner);
            }
        } else if (value.at[0] == '[') {
            ad_board_read_list(key, value);
        }
    }
}

/* Number `i`, from 0 on, of those at this path, such as "cpu.percent"; NULL: there are
 * no more. */
static const struct ad_board_number *ad_board_number(const char *path, unsigned i)
{
    const char *dot = strchr(path, '.');
    size_t part_len = (size_t)(dot - path);
    unsigned k;

    if (ad_board.newest_len == 0) {
        return NULL;
    }
    if (ad_board_numbers.report != ad_board.reports) {
        ad_board_numbers.report = ad_board.reports;
        ad_board_numbers_read(ad_board.newest, ad_board.newest_len);
    }
    for (k = 0; k < ad_board_numbers.n; k++) {
        const struct ad_board_number *n = &ad_board_numbers.list[k];

        if (ad_board_same(n->part, n->part_len, path, (uint8_t)part_len) &&
            ad_board_same(n->member, n->member_len, dot + 1, (uint8_t)strlen(dot + 1)) &&
            i-- == 0) {
            return n;
        }
    }
    return NULL;
}

AD_MEMORY(board_numbers, AD_BOARD_NUMBERS, sizeof(ad_board_numbers));

#endif /* AIDASH_METRICS && AIDASH_BOARD */

#endif
