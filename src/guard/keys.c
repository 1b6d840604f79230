/* keys.c - the key file: who may do what.
 * Owns ad_keys: the hub thread's in the server, the main thread's in a command
 * (aidash keys). Called by whoever judges a credential, by pairing, and once a second
 * by the hub's loop. What changes the file waits for the disk: in the server that is
 * for core/key_writer.c's thread, which brings its own struct ad_keys_work. Then the
 * hub reads the file again: what counts is what is written there.
 *
 * The file "keys" of the state directory is text, one key a line, in fields
 * between blanks:
 *
 *     NUMBER SHA256 RIGHTS CREATED EXPIRES NAME
 *     1 9f86...0a08 view,control 2026-11-26T19:51:21Z - Anna's phone
 *     next 2
 *
 * EXPIRES is - for never. NAME is the rest of the line. Blank lines, and lines
 * that begin with #, are no keys; they are lost when aidash writes the file. Its
 * last line names the number of the next key: no number is given twice, so that an
 * open connection of a key that was revoked is never taken for another's, and a file
 * that was cut off anywhere lacks it. It is read whole or not at all: a broken one
 * leaves the keys as they were, and is logged once.
 *
 * A key is aidash_ and 43 characters, which are 256 random bits. The file has only
 * its digest: nothing that is read there signs in.
 */
#ifndef AD_GUARD_KEYS_C
#define AD_GUARD_KEYS_C

#include "../base/date.c"
#include "../base/log.c"
#include "../base/random.c"
#include "../base/sha256.c"
#include "../base/state.c"
#include "../codec/http_field.c"
#include "../codec/utf8.c"
#include "grant.c"

#define AD_KEY_PREFIX "aidash_"
enum {
    AD_KEY_RANDOM = 32, /* bytes of a key */
    AD_KEY_BASE64 = 43, /* characters: RFC 4648 5, without padding */
    AD_KEY_LEN = sizeof(AD_KEY_PREFIX) - 1 + AD_KEY_BASE64,
    /* number, digest, rights, two dates, name, the blanks between, the newline */
    AD_KEYS_LINE_MAX = 10 + 64 + AD_RIGHTS_TEXT_MAX + 2 * AD_DATE_LEN +
                       AD_GRANT_NAME_MAX + 6,
    AD_KEYS_HEAD_MAX = 1024, /* comments, and the last line */
    AD_KEYS_TEXT_MAX = AD_KEYS_HEAD_MAX + AIDASH_KEYS * AD_KEYS_LINE_MAX
};
#define AD_KEYS_FILE "keys"
#define AD_KEYS_HEAD \
    "# The keys of aidash: number, SHA-256, rights, created, expires, name.\n" \
    "# `aidash keys` lists, adds, renames and revokes them.\n"
_Static_assert(sizeof(AD_KEYS_HEAD) + sizeof("next 4294967295\n") < AD_KEYS_HEAD_MAX,
               "the file's begin and its end fit");

struct ad_key {
    uint32_t number; /* from 1 */
    uint8_t digest[AD_SHA256_BYTES];
    uint8_t rights;
    char name[AD_GRANT_NAME_MAX + 1];
    int64_t created_s, expires_s; /* Unix time; expires_s 0: never */
};

struct ad_key_table {
    unsigned n;
    uint32_t next; /* the number of the next key */
    struct ad_key list[AIDASH_KEYS];
};

/* Memory of one thread for reading the file, and changing it. */
struct ad_keys_work {
    uint32_t least; /* the number of the next key, if there is no file; 0: 1 */
    bool busy;      /* the last change failed because another program has the lock */
    struct ad_key_table table;   /* what is being read, or written */
    char text[AD_KEYS_TEXT_MAX]; /* of the file */
};

static struct {
    struct ad_file_stamp stamp; /* of the file that was read last */
    struct ad_key_table now;     /* what counts */
    struct ad_keys_work work;
} ad_keys;

/* ---- the text ---- */

/* The field in front of the next blank, and *line behind it. */
static struct ad_slice ad_keys_field(struct ad_slice *line)
{
    struct ad_slice field = {line->at, 0};

    while (field.len < line->len && line->at[field.len] != ' ' &&
           line->at[field.len] != '\t') {
        field.len++;
    }
    *line = ad_slice_from(*line, field.len);
    while (line->len > 0 && (line->at[0] == ' ' || line->at[0] == '\t')) {
        *line = ad_slice_from(*line, 1);
    }
    return field;
}

static bool ad_keys_number(struct ad_slice text, uint32_t *number)
{
    uint64_t value;

    if (text.len > 0 && text.at[0] == '0') {
        return false;
    }
    if (!ad_decimal_u64(text.at, text.len, UINT32_MAX, &value)) {
        return false;
    }
    *number = (uint32_t)value;
    return true;
}

static bool ad_keys_digest(struct ad_slice text, uint8_t out[AD_SHA256_BYTES])
{
    size_t i;

    if (text.len != (size_t)2 * AD_SHA256_BYTES) {
        return false;
    }
    for (i = 0; i < AD_SHA256_BYTES; i++) {
        int high = ad_hex(text.at[2 * i]), low = ad_hex(text.at[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* One key's line. Returns what is wrong with it, NULL if nothing. */
static const char *ad_keys_line(struct ad_slice line, struct ad_key *key)
{
    struct ad_slice field;
    unsigned rights;

    memset(key, 0, sizeof(*key));
    if (!ad_keys_number(ad_keys_field(&line), &key->number)) {
        return "its number is not a whole number from 1";
    }
    if (!ad_keys_digest(ad_keys_field(&line), key->digest)) {
        return "its SHA-256 is not 64 hexadecimal digits";
    }
    field = ad_keys_field(&line);
    if (!ad_rights_parse(field.at, field.len, &rights)) {
        return "its rights are not some of view,control,ingest,infer";
    }
    key->rights = (uint8_t)rights;
    field = ad_keys_field(&line);
    if (!ad_date_parse(field.at, field.len, &key->created_s)) {
        return "the date when it was created is not like 2026-11-26T19:51:21Z";
    }
    field = ad_keys_field(&line);
    if (!ad_slice_is(field, "-") &&
        (!ad_date_parse(field.at, field.len, &key->expires_s) ||
         key->expires_s == 0)) {
        return "the date when it expires is neither - nor like "
               "2026-11-26T19:51:21Z";
    }
    if (!ad_name_ok(line.at, line.len, AD_GRANT_NAME_MAX)) {
        return "its name is not 1 to 63 bytes of UTF-8 without control characters";
    }
    memcpy(key->name, line.at, line.len);
    return NULL;
}

/* One more key of a table that is read. Returns what is wrong, NULL if nothing. */
static const char *ad_keys_take(struct ad_key_table *table, const struct ad_key *key)
{
    unsigned i;

    if (table->n == AIDASH_KEYS) {
        return "there are more keys than AIDASH_KEYS";
    }
    for (i = 0; i < table->n; i++) {
        if (table->list[i].number == key->number) {
            return "its number is another key's, too";
        }
        if (memcmp(table->list[i].digest, key->digest, AD_SHA256_BYTES) == 0) {
            return "its SHA-256 is another key's, too";
        }
    }
    table->list[table->n++] = *key;
    return NULL;
}

/* The last line. It must be behind all numbers that are in use. */
static const char *ad_keys_end(struct ad_key_table *table, struct ad_slice line)
{
    unsigned i;

    (void)ad_keys_field(&line); /* "next" */
    if (!ad_keys_number(ad_keys_field(&line), &table->next) || line.len > 0) {
        return "`next` is not followed by the number of the next key";
    }
    for (i = 0; i < table->n; i++) {
        if (table->list[i].number >= table->next) {
            return "the number of the next key is not above those that are there";
        }
    }
    return NULL;
}

/* The whole text into *table. Returns what is wrong with line *number of it, NULL if
 * nothing. */
static const char *ad_keys_parse(const char *text, size_t len,
                                 struct ad_key_table *table, unsigned *number)
{
    struct ad_slice rest = {text, len}, line, start;
    const char *newline, *fault = NULL;
    bool ended = false;
    struct ad_key key;

    table->n = 0;
    *number = 0;
    while (rest.len > 0 && fault == NULL) {
        (*number)++;
        newline = memchr(rest.at, '\n', rest.len);
        if (newline == NULL) {
            return "it ends within a line";
        }
        line = start = ad_slice_between(rest.at, newline);
        rest = ad_slice_from(rest, line.len + 1);
        if (line.len == 0 || line.at[0] == '#') {
            continue;
        }
        if (ended) {
            fault = "nothing may follow the line `next`";
        } else if (ad_slice_is(ad_keys_field(&start), "next")) {
            fault = ad_keys_end(table, line);
            ended = true;
        } else {
            fault = ad_keys_line(line, &key);
            fault = fault != NULL ? fault : ad_keys_take(table, &key);
        }
    }
    if (fault == NULL && !ended) {
        fault = "its end is missing: the line `next` and a number";
    }
    return fault;
}

/* The text of a table. */
static void ad_keys_put(struct ad_text *t, const struct ad_key_table *table)
{
    unsigned i, k;

    ad_puts(t, AD_KEYS_HEAD);
    for (i = 0; i < table->n; i++) {
        const struct ad_key *key = &table->list[i];

        ad_put_u64(t, key->number);
        ad_puts(t, " ");
        for (k = 0; k < AD_SHA256_BYTES; k++) {
            ad_putf(t, "%02x", key->digest[k]);
        }
        ad_puts(t, " ");
        ad_put_rights(t, key->rights);
        ad_puts(t, " ");
        ad_put_date(t, key->created_s);
        ad_puts(t, " ");
        if (key->expires_s == 0) {
            ad_puts(t, "-");
        } else {
            ad_put_date(t, key->expires_s);
        }
        ad_puts(t, " ");
        ad_puts(t, key->name);
        ad_puts(t, "\n");
    }
    ad_puts(t, "next ");
    ad_put_u64(t, table->next);
    ad_puts(t, "\n");
}

/* ---- the file ---- */

/* Read the file into w->table; without one, there are no keys. False, and why[] says
 * so, if it is broken or must not be read. Any thread. */
static bool ad_keys_read(struct ad_keys_work *w, char why[AD_STATE_WHY_MAX])
{
    char what[128];
    const char *fault;
    unsigned line;
    size_t len;

    if (!ad_state_read(AD_KEYS_FILE, w->text, sizeof(w->text), &len, why)) {
        return false;
    }
    if (len == SIZE_MAX) {
        w->table.n = 0;
        /* A new file gives no number that the old one, which is gone, has given. */
        w->table.next = w->least > 0 ? w->least : 1;
        return true;
    }
    fault = ad_keys_parse(w->text, len, &w->table, &line);
    if (fault != NULL) {
        (void)snprintf(what, sizeof(what), "line %u: %s", line, fault);
        return ad_state_fail(why, AD_KEYS_FILE, what);
    }
    return true;
}

/* Once a second, and on SIGHUP (`force`): read the file again if it has changed.
 * Returns whether the keys may have changed. */
static bool ad_keys_poll(bool force)
{
    char why[AD_STATE_WHY_MAX];

    if (!ad_state_is_set() ||
        (!ad_state_changed(AD_KEYS_FILE, &ad_keys.stamp) && !force)) {
        return false;
    }
    ad_keys.work.least = ad_keys.now.next;
    if (!ad_keys_read(&ad_keys.work, why)) {
        ad_log(AIDASH_LOG_ERROR, "%s; the keys stay as they were: %u", why,
               ad_keys.now.n);
        return false;
    }
    ad_keys.now = ad_keys.work.table;
    return true;
}

/* Write w->table. */
static bool ad_keys_write(struct ad_keys_work *w, char why[AD_STATE_WHY_MAX])
{
    struct ad_text t = ad_text_in(w->text, sizeof(w->text));

    ad_keys_put(&t, &w->table);
    return ad_state_write(AD_KEYS_FILE, t.at, t.len, why);
}

/* ---- changes: any thread, which has its own work ---- */

/* Begin a change: the lock, and the file as it is now in w->table. `wait` for another
 * program that changes it, or fail, and w->busy says so. Returns what ad_keys_done()
 * takes, or -1, and why[] says why. */
static int ad_keys_begin(struct ad_keys_work *w, bool wait, char why[AD_STATE_WHY_MAX])
{
    int lock;

    w->busy = false;
    if (!ad_state_is_set()) {
        (void)snprintf(why, AD_STATE_WHY_MAX,
                       "there is no state directory for keys: --state-dir");
        return -1;
    }
    if (!ad_state_make() || (lock = ad_state_lock(wait)) < 0) {
        w->busy = errno == EWOULDBLOCK;
        (void)ad_state_fail(why, "",
                            w->busy ? "another program changes the keys: try again"
                                    : strerror(errno));
        return -1;
    }
    if (!ad_keys_read(w, why)) {
        ad_state_unlock(lock);
        return -1;
    }
    return lock;
}

/* End a change; with `change`, w->table is written. */
static bool ad_keys_done(struct ad_keys_work *w, int lock, bool change,
                         char why[AD_STATE_WHY_MAX])
{
    bool done = change && ad_keys_write(w, why);

    ad_state_unlock(lock);
    return done;
}

/* The key of this number, NULL if there is none. */
static struct ad_key *ad_key_of(struct ad_key_table *table, uint32_t number)
{
    unsigned i;

    for (i = 0; i < table->n; i++) {
        if (table->list[i].number == number) {
            return &table->list[i];
        }
    }
    return NULL;
}

static bool ad_key_expired(const struct ad_key *key, int64_t now_s)
{
    return key->expires_s != 0 && now_s >= key->expires_s;
}

static void ad_key_remove(struct ad_key_table *table, struct ad_key *key)
{
    unsigned i = (unsigned)(key - table->list);

    table->n--;
    memmove(key, key + 1, (table->n - i) * sizeof(*key));
}

/* A full table loses the keys that have expired. False if it is still full. */
static bool ad_keys_make_room(struct ad_key_table *table, int64_t now_s)
{
    unsigned i = 0;

    while (table->n == AIDASH_KEYS && i < table->n) {
        if (ad_key_expired(&table->list[i], now_s)) {
            ad_key_remove(table, &table->list[i]);
        } else {
            i++;
        }
    }
    return table->n < AIDASH_KEYS;
}

/* 256 random bits as a key: secret[0..AD_KEY_LEN), and a NUL. */
static bool ad_key_make(char secret[AD_KEY_LEN + 1])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx"
                                 "yz0123456789-_"; /* RFC 4648 5 */
    uint8_t bytes[AD_KEY_RANDOM + 1] = {0}; /* a zero behind the last bits */
    struct ad_text t = ad_text_in(secret, AD_KEY_LEN);
    unsigned i, bit;

    if (!ad_random(bytes, AD_KEY_RANDOM)) {
        return false;
    }
    ad_puts(&t, AD_KEY_PREFIX);
    for (i = 0; i < AD_KEY_BASE64; i++) {
        bit = i * 6;
        bit = (unsigned)(bytes[bit / 8] << 8 | bytes[bit / 8 + 1]) >>
                  (10 - bit % 8) & 63;
        ad_put(&t, &digits[bit], 1);
    }
    secret[AD_KEY_LEN] = '\0';
    return true;
}

static int64_t ad_keys_now_s(void)
{
    return (int64_t)(ad_clock_ns(CLOCK_REALTIME) / AD_NS_PER_S);
}

/* What a key gives. */
static void ad_key_grant(const struct ad_key *key, struct ad_grant *out)
{
    out->rights = key->rights;
    memcpy(out->name, key->name, sizeof(out->name));
    out->key = key->number;
    out->expires_s = key->expires_s;
}

/* What a new key is to be. */
struct ad_key_order {
    const char *name; /* as ad_name_ok() has it */
    unsigned rights;
    int64_t expires_s; /* 0 or up to AD_DATE_MAX_S */
    uint32_t replaces; /* the key that is revoked for it; 0: none */
};

/* Add a key: its secret, which is told this once, and what it gives. `wait`: see
 * ad_keys_begin(). False, and why[] says why, if there is no room, no randomness, or
 * the file can't be written. */
static bool ad_keys_add(struct ad_keys_work *w, const struct ad_key_order *order,
                        bool wait, char secret[AD_KEY_LEN + 1],
                        struct ad_grant *out, char why[AD_STATE_WHY_MAX])
{
    struct ad_key_table *table = &w->table;
    int64_t now_s = ad_keys_now_s();
    struct ad_key *key;
    int lock;

    if (!ad_key_make(secret)) {
        (void)snprintf(why, AD_STATE_WHY_MAX,
                       "the system has no random numbers yet: try again");
        return false;
    }
    lock = ad_keys_begin(w, wait, why);
    if (lock < 0) {
        return false;
    }
    key = ad_key_of(table, order->replaces);
    if (key != NULL) {
        ad_key_remove(table, key);
    }
    if (table->next == UINT32_MAX || !ad_keys_make_room(table, now_s)) {
        (void)snprintf(why, AD_STATE_WHY_MAX,
                       "there are %d keys already (AIDASH_KEYS): revoke one, "
                       "aidash keys",
                       AIDASH_KEYS);
        return ad_keys_done(w, lock, false, why);
    }
    key = &table->list[table->n++];
    memset(key, 0, sizeof(*key));
    key->number = table->next++;
    ad_sha256(secret, AD_KEY_LEN, key->digest);
    key->rights = (uint8_t)order->rights;
    key->created_s = now_s;
    key->expires_s = order->expires_s;
    (void)snprintf(key->name, sizeof(key->name), "%s", order->name);
    ad_key_grant(key, out);
    return ad_keys_done(w, lock, true, why);
}

/* The key `number` has another name, or with NULL is revoked. False, and why[] says
 * why, if there is none or the file can't be written. */
static bool ad_keys_change(struct ad_keys_work *w, uint32_t number, const char *name,
                           bool wait, char why[AD_STATE_WHY_MAX])
{
    int lock = ad_keys_begin(w, wait, why);
    struct ad_key *key;

    if (lock < 0) {
        return false;
    }
    key = ad_key_of(&w->table, number);
    if (key == NULL) {
        (void)snprintf(why, AD_STATE_WHY_MAX, "there is no key %u", number);
        return ad_keys_done(w, lock, false, why);
    }
    if (name == NULL) {
        ad_key_remove(&w->table, key);
    } else {
        (void)snprintf(key->name, sizeof(key->name), "%s", name);
    }
    return ad_keys_done(w, lock, true, why);
}

/* ---- who asks ---- */

/* All ones if a digest is the other, else 0, in a time that does not tell how much
 * of them is equal. */
static uint32_t ad_keys_same(const uint8_t *a, const uint8_t *b)
{
    uint32_t differ = 0;
    size_t i;

    for (i = 0; i < AD_SHA256_BYTES; i++) {
        differ |= (uint32_t)(a[i] ^ b[i]);
    }
    return (uint32_t)0 - ((differ - 1) >> 31);
}

/* Is it written like one of our keys? */
static bool ad_keys_is_one(struct ad_slice secret)
{
    return secret.len == AD_KEY_LEN && ad_slice_begins(secret, AD_KEY_PREFIX);
}

/* What a key gives. False if there is none like it, or it has expired. Every key is
 * compared whole, whichever it is. */
static bool ad_keys_find(struct ad_slice secret, struct ad_grant *out)
{
    uint8_t digest[AD_SHA256_BYTES];
    uint32_t found = 0; /* 1 + its place */
    unsigned i;

    if (!ad_keys_is_one(secret)) {
        return false;
    }
    ad_sha256(secret.at, secret.len, digest);
    for (i = 0; i < ad_keys.now.n; i++) {
        found |= ad_keys_same(digest, ad_keys.now.list[i].digest) & (i + 1);
    }
    if (found == 0 ||
        ad_key_expired(&ad_keys.now.list[found - 1], ad_keys_now_s())) {
        return false;
    }
    ad_key_grant(&ad_keys.now.list[found - 1], out);
    return true;
}

/* Is a key still in the file, and not expired? For connections that are open. */
static bool ad_keys_valid(uint32_t number)
{
    const struct ad_key *key = ad_key_of(&ad_keys.now, number);

    return key != NULL && !ad_key_expired(key, ad_keys_now_s());
}

/* Before each run, and before a command: no key. */
static void ad_keys_init(void)
{
    memset(&ad_keys, 0, sizeof(ad_keys));
}

AD_MEMORY(keys, AIDASH_KEYS, sizeof(ad_keys));

#endif
