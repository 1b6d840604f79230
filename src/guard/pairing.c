/* pairing.c - how a device gets a key: by a one-time code, or because a device that
 * is signed in lets it in.
 * Owns ad_pairing. Hub thread only, but for ad_pair_fetch(). Called by
 * web/auth_routes.c.
 *
 * A code has 8 digits and lives for AD_PAIR_MS. `aidash pair`, another process, makes
 * it, and leaves its digest in the file "pairing" of the state directory, which is
 * this user's alone. The server looks there once a second, removes the file, takes the
 * code into its memory, and leaves in "paired" where it listens: so `aidash pair`
 * knows that a server has it. Who can read the file could guess its code; but he
 * could as well write the key file. A code signs one device in. After AD_PAIR_TRIES
 * wrong ones all codes are dead: nobody guesses one of 10^8 by then. An address that
 * has sent so many must wait for AD_PAIR_PAUSE_MS, so that one peer alone does not
 * spend the tries of the next code, too.
 *
 * A device that asks is shown a short code, and keeps a long secret. A person types
 * the short code on a device that is signed in; then the secret brings the key.
 *
 * All places are few; the oldest gives way.
 */
#ifndef AD_GUARD_PAIRING_C
#define AD_GUARD_PAIRING_C

#include "keys.c"

#define AD_PAIR_FILE "pairing"
#define AD_PAIRED_FILE "paired"
enum {
    AD_PAIR_DIGITS = 8,
    AD_PAIR_CODES = 4, /* codes at once */
    AD_PAIR_TRIES = 5, /* wrong codes, in all and of one address */
    AD_PAIR_MS = 600000 / AD_HASTE,
    AD_PAIR_PAUSE_MS = 60000 / AD_HASTE,
    AD_PAIR_ADDRESSES = 16, /* of which the wrong codes are counted */
    AD_PAIR_FILE_MAX = 256, /* bytes of the files */
    AD_ASKS = 8,            /* devices that ask at once */
    AD_ASKS_PER_ADDRESS = 2,
    AD_ASK_DIGITS = 4,
    AD_ASK_ID = 32 /* hexadecimal digits of the secret: 128 random bits */
};

/* What comes of a code. */
enum ad_pair_result {
    AD_PAIR_GOOD,
    AD_PAIR_WRONG,
    AD_PAIR_NONE, /* there is none, or none any more */
    AD_PAIR_PAUSE /* this address has to wait */
};

/* How it stands with a device that asks. */
enum ad_ask_state {
    AD_ASK_FREE,
    AD_ASK_WAITS,
    AD_ASK_APPROVED,
    AD_ASK_SIGNS_IN, /* its key is being written: nobody gets a second one */
    AD_ASK_REFUSED
};

struct ad_ask {
    uint8_t state; /* enum ad_ask_state */
    uint8_t rights; /* AD_ASK_APPROVED, AD_ASK_SIGNS_IN */
    char id[AD_ASK_ID + 1], code[AD_ASK_DIGITS + 1];
    char name[AD_GRANT_NAME_MAX + 1];
    uint64_t address; /* as ad_address_key() has it */
    uint32_t since_ms;
    int64_t expires_s; /* AD_ASK_APPROVED: of its key, Unix time; 0: never */
};

static struct {
    struct ad_file_stamp stamp; /* of the file of `aidash pair` */
    unsigned tries;              /* wrong codes since a code came that had no other */
    struct ad_pair_code {
        bool used;
        uint8_t digest[AD_SHA256_BYTES];
        uint8_t rights;
        uint32_t since_ms, lives_ms;
    } codes[AD_PAIR_CODES];
    struct ad_pair_address {
        unsigned wrong; /* 0: the place is free */
        uint64_t address;
        uint32_t since_ms; /* of the last one */
    } addresses[AD_PAIR_ADDRESSES];
    struct ad_ask asks[AD_ASKS];
} ad_pairing;

/* Before each run. */
static void ad_pairing_init(void)
{
    memset(&ad_pairing, 0, sizeof(ad_pairing));
}

/* ---- one-time codes ---- */

/* Is there a code that lives? */
static bool ad_pair_lives(uint32_t now_ms)
{
    bool lives = false;
    unsigned i;

    for (i = 0; i < AD_PAIR_CODES; i++) {
        struct ad_pair_code *c = &ad_pairing.codes[i];

        if (c->used && now_ms - c->since_ms >= c->lives_ms) {
            c->used = false;
        }
        lives = lives || c->used;
    }
    return lives;
}

/* One more code, which lives for so long. */
static void ad_pair_add(const uint8_t digest[AD_SHA256_BYTES], unsigned rights,
                        uint32_t lives_ms, uint32_t now_ms)
{
    struct ad_pair_code *c = &ad_pairing.codes[0];
    unsigned i;

    if (!ad_pair_lives(now_ms)) {
        ad_pairing.tries = 0;
    }
    for (i = 0; i < AD_PAIR_CODES && c->used; i++) {
        struct ad_pair_code *other = &ad_pairing.codes[i];

        if (!other->used || now_ms - other->since_ms > now_ms - c->since_ms) {
            c = other;
        }
    }
    c->used = true;
    memcpy(c->digest, digest, sizeof(c->digest));
    c->rights = (uint8_t)rights;
    c->since_ms = now_ms;
    c->lives_ms = lives_ms;
}

/* The count of an address; NULL: it has sent no wrong code. */
static struct ad_pair_address *ad_pair_address_of(uint64_t address, uint32_t now_ms)
{
    struct ad_pair_address *found = NULL;
    unsigned i;

    for (i = 0; i < AD_PAIR_ADDRESSES; i++) {
        struct ad_pair_address *a = &ad_pairing.addresses[i];

        if (a->wrong > 0 && now_ms - a->since_ms >= AD_PAIR_PAUSE_MS) {
            a->wrong = 0;
        }
        if (a->wrong > 0 && a->address == address) {
            found = a;
        }
    }
    return found;
}

/* This address has sent a wrong code. */
static void ad_pair_count(uint64_t address, uint32_t now_ms)
{
    struct ad_pair_address *a = ad_pair_address_of(address, now_ms);
    unsigned i;

    if (a == NULL) {
        a = &ad_pairing.addresses[0];
        for (i = 0; i < AD_PAIR_ADDRESSES && a->wrong > 0; i++) {
            struct ad_pair_address *other = &ad_pairing.addresses[i];

            if (other->wrong == 0 ||
                now_ms - other->since_ms > now_ms - a->since_ms) {
                a = other;
            }
        }
        a->wrong = 0;
        a->address = address;
    }
    a->wrong++;
    a->since_ms = now_ms;
}

/* How many seconds an address has to wait before it may send a code; 0: it may. */
static unsigned ad_pair_wait_s(uint64_t address, uint32_t now_ms)
{
    const struct ad_pair_address *a = ad_pair_address_of(address, now_ms);

    if (a == NULL || a->wrong < AD_PAIR_TRIES) {
        return 0;
    }
    return (AD_PAIR_PAUSE_MS - (now_ms - a->since_ms)) / 1000 + 1;
}

/* A code came from this address. If it is good, it is used up, and *rights is what it
 * gives. */
static enum ad_pair_result ad_pair_try(struct ad_slice code, uint64_t address,
                                       uint32_t now_ms, unsigned *rights)
{
    uint8_t digest[AD_SHA256_BYTES];
    uint32_t found = 0; /* 1 + its place */
    unsigned i;

    if (ad_pair_wait_s(address, now_ms) > 0) {
        return AD_PAIR_PAUSE;
    }
    if (!ad_pair_lives(now_ms)) {
        ad_pair_count(address, now_ms);
        return AD_PAIR_NONE;
    }
    ad_sha256(code.at, code.len, digest);
    for (i = 0; i < AD_PAIR_CODES; i++) {
        uint32_t used = ad_pairing.codes[i].used ? UINT32_MAX : 0;

        found |= ad_keys_same(digest, ad_pairing.codes[i].digest) & used & (i + 1);
    }
    if (found != 0) {
        *rights = ad_pairing.codes[found - 1].rights;
        ad_pairing.codes[found - 1].used = false;
        return AD_PAIR_GOOD;
    }
    ad_pair_count(address, now_ms);
    if (++ad_pairing.tries >= AD_PAIR_TRIES) {
        for (i = 0; i < AD_PAIR_CODES; i++) {
            ad_pairing.codes[i].used = false;
        }
        ad_log(AIDASH_LOG_WARN, "%d wrong codes came: no code of `aidash pair` is "
                                "valid any more",
               AD_PAIR_TRIES);
    }
    return AD_PAIR_WRONG;
}

/* ---- the file of `aidash pair` ---- */

/* SHA256 RIGHTS ENDS, and a newline. False if it is malformed. */
static bool ad_pair_parse(const char *text, size_t len, uint8_t digest[AD_SHA256_BYTES],
                          unsigned *rights, int64_t *ends_s)
{
    struct ad_slice line = {text, len}, field;

    if (len == 0 || memchr(text, '\n', len) != text + len - 1) {
        return false;
    }
    line.len--;
    if (!ad_keys_digest(ad_keys_field(&line), digest)) {
        return false;
    }
    field = ad_keys_field(&line);
    return ad_rights_parse(field.at, field.len, rights) &&
           ad_date_parse(line.at, line.len, ends_s);
}

#ifndef AIDASH_NO_MAIN
/* The line that ad_pair_parse() reads. */
static void ad_pair_put(struct ad_text *t, const uint8_t digest[AD_SHA256_BYTES],
                        unsigned rights, int64_t ends_s)
{
    unsigned i;

    for (i = 0; i < AD_SHA256_BYTES; i++) {
        ad_putf(t, "%02x", digest[i]);
    }
    ad_puts(t, " ");
    ad_put_rights(t, rights);
    ad_puts(t, " ");
    ad_put_date(t, ends_s);
    ad_puts(t, "\n");
}
#endif

/* Once a second: has `aidash pair` left a code since the last time? */
static bool ad_pair_left(void)
{
    return ad_state_is_set() && ad_state_changed(AD_PAIR_FILE, &ad_pairing.stamp);
}

/* The code that `aidash pair` has left into text[0..*len), and its file is gone. *len
 * SIZE_MAX: there is none, or another server of this directory has taken it. False if
 * it can't be read, and why[] says so. What is removed is what was read: a file that
 * is not to be read stays, and one that is gets a name of ours before, as another
 * `aidash pair` may replace it at any time. Any thread; may wait for the disk. */
static bool ad_pair_fetch(char text[AD_PAIR_FILE_MAX], size_t *len,
                          char why[AD_STATE_WHY_MAX])
{
    char taken[20];
    bool done;

    if (!ad_state_read(AD_PAIR_FILE, text, AD_PAIR_FILE_MAX, len, why)) {
        return false;
    }
    (void)snprintf(taken, sizeof(taken), "%s.%ld", AD_PAIR_FILE, (long)getpid());
    if (*len != SIZE_MAX && !ad_state_move(AD_PAIR_FILE, taken)) {
        *len = SIZE_MAX;
    }
    if (*len == SIZE_MAX) {
        return true;
    }
    done = ad_state_read(taken, text, AD_PAIR_FILE_MAX, len, why);
    (void)ad_state_remove(taken);
    return done;
}

/* Take the code that was fetched. False if it is malformed, or its time is over. */
static bool ad_pair_take(const char *text, size_t len, uint32_t now_ms)
{
    uint8_t digest[AD_SHA256_BYTES];
    int64_t ends_s, left_s;
    unsigned rights;

    if (!ad_pair_parse(text, len, digest, &rights, &ends_s)) {
        return false;
    }
    left_s = ends_s - ad_keys_now_s();
    if (left_s <= 0) {
        return false; /* left by one that was stopped long ago */
    }
    left_s = left_s < AD_PAIR_MS / 1000 ? left_s : AD_PAIR_MS / 1000;
    ad_pair_add(digest, rights, (uint32_t)left_s * 1000, now_ms);
    return true;
}

/* ---- devices that ask ---- */

static void ad_asks_expire(uint32_t now_ms)
{
    unsigned i;

    for (i = 0; i < AD_ASKS; i++) {
        if (now_ms - ad_pairing.asks[i].since_ms >= AD_PAIR_MS) {
            ad_pairing.asks[i].state = AD_ASK_FREE;
        }
    }
}

/* The device that waits and shows this code; NULL: none. */
static struct ad_ask *ad_ask_of_code(struct ad_slice code)
{
    unsigned i;

    for (i = 0; i < AD_ASKS; i++) {
        if (ad_pairing.asks[i].state == AD_ASK_WAITS &&
            ad_slice_is(code, ad_pairing.asks[i].code)) {
            return &ad_pairing.asks[i];
        }
    }
    return NULL;
}

/* The place of a device of this address that asks now: a free one; or the oldest of
 * this address, if it has AD_ASKS_PER_ADDRESS; or the oldest. */
static struct ad_ask *ad_ask_place(uint64_t address, uint32_t now_ms)
{
    struct ad_ask *free = NULL, *own = NULL, *oldest = NULL;
    unsigned i, n = 0;

    for (i = 0; i < AD_ASKS; i++) {
        struct ad_ask *a = &ad_pairing.asks[i];

        if (a->state == AD_ASK_FREE) {
            free = a;
            continue;
        }
        if (oldest == NULL || now_ms - a->since_ms > now_ms - oldest->since_ms) {
            oldest = a;
        }
        if (a->address == address) {
            n++;
            if (own == NULL || now_ms - a->since_ms > now_ms - own->since_ms) {
                own = a;
            }
        }
    }
    if (n >= AD_ASKS_PER_ADDRESS) {
        return own;
    }
    return free != NULL ? free : oldest;
}

/* A device of this name asks. NULL: the system has no random numbers yet. */
static const struct ad_ask *ad_ask_begin(const char *name, uint64_t address,
                                         uint32_t now_ms)
{
    uint8_t secret[AD_ASK_ID / 2];
    char code[AD_ASK_DIGITS + 1];
    struct ad_ask *a;
    uint32_t number;
    unsigned i;

    ad_asks_expire(now_ms);
    if (!ad_random(secret, sizeof(secret))) {
        return NULL;
    }
    do {
        if (!ad_random_below(10000, &number)) {
            return NULL;
        }
        (void)snprintf(code, sizeof(code), "%04u", number % 10000);
    } while (ad_ask_of_code(ad_slice_of(code)) != NULL);
    a = ad_ask_place(address, now_ms);
    memset(a, 0, sizeof(*a));
    a->state = AD_ASK_WAITS;
    memcpy(a->code, code, sizeof(a->code));
    for (i = 0; i < sizeof(secret); i++) {
        (void)snprintf(a->id + 2 * i, 3, "%02x", secret[i]);
    }
    (void)snprintf(a->name, sizeof(a->name), "%s", name);
    a->address = address;
    a->since_ms = now_ms;
    return a;
}

/* How it stands with the device that has this secret; NULL: it never asked, or its
 * time is over. Every place is compared whole. */
static struct ad_ask *ad_ask_of(struct ad_slice id, uint32_t now_ms)
{
    struct ad_ask *found = NULL;
    unsigned i, k;

    ad_asks_expire(now_ms);
    if (id.len != AD_ASK_ID) {
        return NULL;
    }
    for (i = 0; i < AD_ASKS; i++) {
        unsigned differ = 0;

        for (k = 0; k < AD_ASK_ID; k++) {
            differ |= (unsigned)(ad_pairing.asks[i].id[k] ^ id.at[k]);
        }
        if (differ == 0 && ad_pairing.asks[i].state != AD_ASK_FREE) {
            found = &ad_pairing.asks[i];
        }
    }
    return found;
}

/* Let in the device that shows this code, with these rights; 0 refuses it. Its key
 * expires then (Unix time; 0: never). NULL if none shows it. */
static const struct ad_ask *ad_ask_approve(struct ad_slice code, unsigned rights,
                                           int64_t expires_s, uint32_t now_ms)
{
    struct ad_ask *a;

    ad_asks_expire(now_ms);
    a = ad_ask_of_code(code);
    if (a != NULL) {
        a->state = rights != 0 ? AD_ASK_APPROVED : AD_ASK_REFUSED;
        a->rights = (uint8_t)rights;
        a->expires_s = expires_s;
    }
    return a;
}

/* The device has been told. */
static void ad_ask_end(struct ad_ask *a)
{
    memset(a, 0, sizeof(*a));
}

AD_MEMORY(pairing, AD_ASKS, sizeof(ad_pairing));

#endif
