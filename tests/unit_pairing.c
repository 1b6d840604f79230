/* Pairing: a code signs one device in, dies after its time and after five wrong ones;
 * an address waits; devices that ask, and who gives way. */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static int test_unlink(const char *path);
static int test_rename(const char *from, const char *to);
#define unlink test_unlink
#define rename test_rename
#include "../src/guard/pairing.c"
#include "check.h"
#undef unlink
#undef rename

static bool replaces; /* the next time that the file "pairing" is to go */

static void replace(const char *path)
{
    const char *name = strrchr(path, '/');
    char why[AD_STATE_WHY_MAX];

    if (replaces && name != NULL && strcmp(name, "/" AD_PAIR_FILE) == 0) {
        replaces = false;
        CHECK(ad_state_write(AD_PAIR_FILE, "second\n", 7, why));
    }
}

static int test_unlink(const char *path)
{
    replace(path);
    return unlink(path);
}

static int test_rename(const char *from, const char *to)
{
    replace(from);
    return rename(from, to);
}


static char directory[64];

static void digest_of(const char *code, uint8_t digest[AD_SHA256_BYTES])
{
    ad_sha256(code, strlen(code), digest);
}

static void add(const char *code, unsigned rights, uint32_t now_ms)
{
    uint8_t digest[AD_SHA256_BYTES];

    digest_of(code, digest);
    ad_pair_add(digest, rights, AD_PAIR_MS, now_ms);
}

static enum ad_pair_result try(const char *code, uint64_t address, uint32_t now_ms)
{
    unsigned rights = 0;

    return ad_pair_try(ad_slice_of(code), address, now_ms, &rights);
}

/* Clocks near the end of 32 bits, too. */
static void test_once(uint32_t t)
{
    unsigned rights = 0;

    ad_pairing_init();
    CHECK_EQ(try("12345678", 1, t), AD_PAIR_NONE);
    add("12345678", AD_MAY_VIEW, t);
    CHECK_EQ(try("12345679", 1, t), AD_PAIR_WRONG);
    CHECK_EQ(try("1234567", 1, t), AD_PAIR_WRONG);
    CHECK_EQ(ad_pair_try(ad_slice_of("12345678"), 1, t, &rights), AD_PAIR_GOOD);
    CHECK_EQ(rights, AD_MAY_VIEW);
    CHECK_EQ(try("12345678", 1, t), AD_PAIR_NONE);

    ad_pairing_init();
    add("12345678", AD_MAY_ALL, t);
    CHECK_EQ(try("12345678", 1, t + AD_PAIR_MS), AD_PAIR_NONE);
    add("12345678", AD_MAY_ALL, t);
    CHECK_EQ(try("12345678", 1, t + AD_PAIR_MS - 1), AD_PAIR_GOOD);
}

static void test_tries(void)
{
    unsigned i;

    /* Five wrong codes, of whichever addresses, end all codes. */
    ad_pairing_init();
    add("11111111", AD_MAY_VIEW, 0);
    add("22222222", AD_MAY_VIEW, 0);
    for (i = 0; i < AD_PAIR_TRIES; i++) {
        CHECK_EQ(try("00000000", i, 0), AD_PAIR_WRONG);
    }
    CHECK_EQ(try("11111111", 9, 0), AD_PAIR_NONE);
    CHECK_EQ(try("22222222", 9, 0), AD_PAIR_NONE);

    /* A further code, while one lives, gives no further tries; a good one does not
     * either. */
    ad_pairing_init();
    add("11111111", AD_MAY_VIEW, 0);
    for (i = 0; i < AD_PAIR_TRIES - 1; i++) {
        CHECK_EQ(try("00000000", i, 0), AD_PAIR_WRONG);
    }
    add("22222222", AD_MAY_VIEW, 0);
    CHECK_EQ(try("22222222", 9, 0), AD_PAIR_GOOD);
    CHECK_EQ(try("00000000", 9, 0), AD_PAIR_WRONG);
    CHECK_EQ(try("11111111", 8, 0), AD_PAIR_NONE);

    /* With no code alive, the next one has all its tries. */
    add("33333333", AD_MAY_VIEW, 1);
    for (i = 0; i < AD_PAIR_TRIES - 1; i++) {
        CHECK_EQ(try("00000000", 20 + i, 1), AD_PAIR_WRONG);
    }
    CHECK_EQ(try("33333333", 30, 1), AD_PAIR_GOOD);
}

/* One address that guesses waits, and does not spend the next code's tries. */
static void test_pause(void)
{
    unsigned i;

    ad_pairing_init();
    for (i = 0; i < AD_PAIR_TRIES; i++) {
        CHECK_EQ(ad_pair_wait_s(1, 5), 0);
        CHECK_EQ(try("00000000", 1, 5), AD_PAIR_NONE);
    }
    CHECK_EQ(ad_pair_wait_s(1, 5), AD_PAIR_PAUSE_MS / 1000 + 1);
    add("11111111", AD_MAY_VIEW, 6);
    for (i = 0; i < 20; i++) {
        CHECK_EQ(try("00000000", 1, 6), AD_PAIR_PAUSE);
    }
    CHECK_EQ(try("11111111", 1, 6), AD_PAIR_PAUSE);
    CHECK_EQ(ad_pairing.tries, 0);
    CHECK_EQ(try("11111111", 2, 6), AD_PAIR_GOOD);
    CHECK_EQ(ad_pair_wait_s(1, 5 + AD_PAIR_PAUSE_MS), 0);
    CHECK_EQ(try("11111111", 1, 5 + AD_PAIR_PAUSE_MS), AD_PAIR_NONE);

    /* More addresses than places: the one that was wrong longest ago is forgotten. */
    ad_pairing_init();
    for (i = 0; i <= AD_PAIR_ADDRESSES; i++) {
        unsigned k;

        for (k = 0; k < AD_PAIR_TRIES; k++) {
            (void)try("00000000", 100 + i, i);
        }
    }
    CHECK_EQ(ad_pair_wait_s(100, i), 0);
    CHECK(ad_pair_wait_s(101, i) > 0);
    CHECK(ad_pair_wait_s(100 + AD_PAIR_ADDRESSES, i) > 0);
}

static void test_code_places(void)
{
    char code[9];
    unsigned i;

    ad_pairing_init();
    for (i = 0; i <= AD_PAIR_CODES; i++) {
        (void)snprintf(code, sizeof(code), "%08u", i);
        add(code, AD_MAY_VIEW, i);
    }
    CHECK_EQ(try("00000000", 1, i), AD_PAIR_WRONG);
    for (i = 1; i <= AD_PAIR_CODES; i++) {
        (void)snprintf(code, sizeof(code), "%08u", i);
        CHECK_EQ(try(code, 1, AD_PAIR_CODES + 1), AD_PAIR_GOOD);
    }
}

/* What the server does once a second, the steps of both threads in one. */
static bool pair_poll(uint32_t now_ms, char text[AD_PAIR_FILE_MAX], size_t *len)
{
    char why[AD_STATE_WHY_MAX];

    return ad_pair_left() && ad_pair_fetch(text, len, why) && *len != SIZE_MAX &&
           ad_pair_take(text, *len, now_ms);
}

static void test_file(void)
{
    static const char *const wrong[] = {
        "", "\n", "9f86\n",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 view\n",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 view -\n",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 x "
        "2026-11-26T19:51:21Z\n",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 view "
        "2026-11-26T19:51:21Z",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 view "
        "2026-11-26T19:51:21Z\n\n"};
    char text[AD_PAIR_FILE_MAX], why[AD_STATE_WHY_MAX];
    uint8_t digest[AD_SHA256_BYTES], seen[AD_SHA256_BYTES];
    struct ad_text t;
    unsigned i, rights;
    int64_t ends_s;
    size_t len;

    for (i = 0; i < AD_COUNT(wrong); i++) {
        char *copy = check_copy(wrong[i], strlen(wrong[i]));

        CHECK(!ad_pair_parse(copy, strlen(wrong[i]), seen, &rights, &ends_s));
        free(copy);
    }
    ad_pairing_init();
    CHECK(!pair_poll(7, text, &len));
    digest_of("12345678", digest);
    t = ad_text_in(text, sizeof(text));
    ad_pair_put(&t, digest, AD_MAY_ALL, ad_keys_now_s() + 100);
    CHECK(!t.full);
    CHECK(ad_pair_parse(text, t.len, seen, &rights, &ends_s));
    CHECK(memcmp(seen, digest, sizeof(seen)) == 0 && rights == AD_MAY_ALL);
    CHECK(ad_state_write(AD_PAIR_FILE, t.at, t.len, why));
    CHECK(pair_poll(7, text, &len));
    CHECK_EQ(len, t.len);
    CHECK(!pair_poll(7, text, &len)); /* it is taken, and gone */
    CHECK_EQ(try("12345678", 1, 7 + 101000), AD_PAIR_NONE); /* as long as it says */
    /* One whose time is over is removed, and no code. */
    t = ad_text_in(text, sizeof(text));
    ad_pair_put(&t, digest, AD_MAY_ALL, ad_keys_now_s());
    CHECK(ad_state_write(AD_PAIR_FILE, t.at, t.len, why));
    CHECK(!pair_poll(7, text, &len));
    CHECK(!ad_state_remove(AD_PAIR_FILE));
    CHECK(!ad_pair_lives(7));
    /* One that lives longer than a code may lives as long as a code. */
    t = ad_text_in(text, sizeof(text));
    ad_pair_put(&t, digest, AD_MAY_ALL, AD_DATE_MAX_S);
    CHECK(ad_state_write(AD_PAIR_FILE, t.at, t.len, why));
    CHECK(pair_poll(7, text, &len));
    CHECK(ad_pair_lives(7) && !ad_pair_lives(7 + AD_PAIR_MS));
}

/* What is removed is what was read: a second `aidash pair` may replace the file of the
 * first one just before the server takes it. */
static void test_file_replaced(void)
{
    char text[AD_PAIR_FILE_MAX], why[AD_STATE_WHY_MAX];
    size_t len;

    CHECK(ad_state_write(AD_PAIR_FILE, "first\n", 6, why));
    replaces = true;
    CHECK(ad_pair_fetch(text, &len, why));
    CHECK(!replaces);
    CHECK(len == 7 && memcmp(text, "second\n", 7) == 0);
    CHECK(ad_pair_fetch(text, &len, why));
    CHECK_EQ(len, SIZE_MAX);
}

static void test_asks(void)
{
    const struct ad_ask *a, *b;
    char id[AD_ASK_ID + 1], code[AD_ASK_DIGITS + 1];

    ad_pairing_init();
    a = ad_ask_begin("phone", 1, 0);
    CHECK(a != NULL && a->state == AD_ASK_WAITS);
    CHECK_EQ(strlen(a->id), AD_ASK_ID);
    CHECK_EQ(strspn(a->code, "0123456789"), AD_ASK_DIGITS);
    memcpy(id, a->id, sizeof(id));
    memcpy(code, a->code, sizeof(code));
    b = ad_ask_begin("tablet", 2, 0);
    CHECK(strcmp(b->id, id) != 0 && strcmp(b->code, code) != 0);
    CHECK(ad_ask_of(ad_slice_of(id), 1) == a);
    CHECK(ad_ask_approve(ad_slice_of("none"), AD_MAY_VIEW, 0, 1) == NULL);
    CHECK(ad_ask_approve(ad_slice_of(code), AD_MAY_VIEW, 0, 1) == a);
    CHECK_EQ(a->state, AD_ASK_APPROVED);
    CHECK_EQ(a->rights, AD_MAY_VIEW);
    CHECK(ad_ask_approve(ad_slice_of(code), AD_MAY_ALL, 0, 1) == NULL); /* once */
    ad_ask_end(ad_ask_of(ad_slice_of(id), 1));
    CHECK(ad_ask_of(ad_slice_of(id), 1) == NULL);
    CHECK(ad_ask_approve(ad_slice_of(b->code), 0, 0, 1) == b);
    CHECK_EQ(b->state, AD_ASK_REFUSED);
    CHECK(ad_ask_of(ad_slice_of(b->id), AD_PAIR_MS - 1) == b);
    memcpy(id, b->id, sizeof(id));
    CHECK(ad_ask_of(ad_slice_of(id), AD_PAIR_MS) == NULL);
    /* A free place has no secret that somebody could have. */
    memset(id, 0, sizeof(id));
    CHECK(ad_ask_of((struct ad_slice){id, AD_ASK_ID}, AD_PAIR_MS) == NULL);
    CHECK(ad_ask_of(ad_slice_of(""), AD_PAIR_MS) == NULL);
}

static void test_ask_places(void)
{
    char first[AD_ASK_ID + 1], third[AD_ASK_ID + 1], other[AD_ASK_ID + 1];
    unsigned i;

    /* One address has two places at most: its own oldest gives way. */
    ad_pairing_init();
    memcpy(other, ad_ask_begin("other", 9, 0)->id, sizeof(other));
    memcpy(first, ad_ask_begin("1", 1, 1)->id, sizeof(first));
    for (i = 2; i < 50; i++) {
        memcpy(third, ad_ask_begin("n", 1, i)->id, sizeof(third));
    }
    CHECK(ad_ask_of(ad_slice_of(first), i) == NULL);
    CHECK(ad_ask_of(ad_slice_of(third), i) != NULL);
    CHECK(ad_ask_of(ad_slice_of(other), i) != NULL);
    /* All places taken: the oldest gives way. */
    ad_pairing_init();
    memcpy(first, ad_ask_begin("1", 100, 0)->id, sizeof(first));
    for (i = 1; i < AD_ASKS; i++) {
        memcpy(third, ad_ask_begin("n", 100 + i, i)->id, sizeof(third));
    }
    CHECK(ad_ask_of(ad_slice_of(first), i) != NULL);
    (void)ad_ask_begin("n", 100 + i, i);
    CHECK(ad_ask_of(ad_slice_of(first), i) == NULL);
    CHECK(ad_ask_of(ad_slice_of(third), i) != NULL);
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");

    (void)snprintf(directory, sizeof(directory), "%.30s/aidash-pair-XXXXXX",
                   tmp != NULL && strlen(tmp) < 30 ? tmp : "/tmp");
    if (mkdtemp(directory) == NULL || !ad_state_set(directory)) {
        perror(directory);
        return 1;
    }
    test_once(0);
    test_once(UINT32_MAX - 5);
    test_tries();
    test_pause();
    test_code_places();
    test_file();
    test_file_replaced();
    test_asks();
    test_ask_places();
    CHECK(rmdir(directory) == 0);
    return check_report();
}
