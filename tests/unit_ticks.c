/* Samples become ticks: counters of many pairs of model and node, found and
 * replaced at the documented maximum. */
#define AIDASH_SERIES 4096
#include "../src/core/ticks.c"
#include "check.h"

static void names(unsigned i, char model[32], char node[32])
{
    (void)snprintf(model, 32, "model-%u", i / 64);
    (void)snprintf(node, 32, "node-%u", i % 64);
}

static struct ad_series *series(unsigned i)
{
    char model[32], node[32];

    names(i, model, node);
    return ad_series_get(model, node, false);
}

static bool known(unsigned i)
{
    char model[32], node[32];

    names(i, model, node);
    return ad_series_find(ad_series_hash(model, node), model, node) != NULL;
}

/* The buckets and the order hold each series once. */
static void check_lists(unsigned n)
{
    unsigned i, in_buckets = 0, in_order = 0;
    const struct ad_series *s;

    for (i = 0; i < AIDASH_SERIES; i++) {
        for (s = ad_series_at(ad_ticks.bucket[i]); s != NULL;
             s = ad_series_at(s->next)) {
            in_buckets++;
        }
    }
    for (s = ad_series_at(ad_ticks.newest); s != NULL;
         s = ad_series_at(s->older)) {
        CHECK(s->older != 0 || ad_series_link(s) == ad_ticks.oldest);
        in_order++;
    }
    CHECK_EQ(in_buckets, n);
    CHECK_EQ(in_order, n);
}

static void test_series_full(void)
{
    unsigned i;
    bool kept = true;

    ad_ticks_init();
    for (i = 0; i < AIDASH_SERIES; i++) {
        series(i)->tokens = i;
    }
    check_lists(AIDASH_SERIES);
    for (i = 0; i < AIDASH_SERIES; i++) {
        kept = kept && series(i)->tokens == i;
    }
    CHECK(kept);
    CHECK_EQ(ad_ticks.n_series, AIDASH_SERIES);

    /* Of node 0, 0 had a tick just now: so 64 is the one that was silent longest. */
    (void)series(0);
    CHECK_EQ(series(AIDASH_SERIES)->tokens, 0);
    CHECK(!known(64));
    CHECK(known(0) && known(1) && known(128) && known(AIDASH_SERIES - 1));
    check_lists(AIDASH_SERIES);
    for (i = AIDASH_SERIES; i < 3 * AIDASH_SERIES; i++) {
        (void)series(i);
    }
    CHECK(!known(2 * AIDASH_SERIES - 1));
    for (i = 2 * AIDASH_SERIES; i < 3 * AIDASH_SERIES; i++) {
        kept = kept && known(i);
    }
    CHECK(kept);
    check_lists(AIDASH_SERIES);
}

static unsigned n_of(const char *node)
{
    unsigned i, n = 0;

    for (i = 0; i < ad_ticks.n_series; i++) {
        n += strcmp(ad_ticks.series[i].node, node) == 0;
    }
    return n;
}

static void models(const char *node, unsigned from, unsigned n)
{
    char model[32];
    unsigned i;

    for (i = from; i < from + n; i++) {
        (void)snprintf(model, sizeof(model), "m%u", i);
        ad_series_get(model, node, false)->tokens = i + 1;
    }
}

/* A board with ever new models takes the places of its own ones, as soon as others need
 * theirs; nobody loses one to who has more. */
static void test_shares(void)
{
    unsigned i, share_n = 0;

    ad_ticks_init();
    models("", 0, 3);
    models("flood", 0, 2 * AIDASH_SERIES);
    CHECK_EQ(n_of(""), 3);
    CHECK_EQ(n_of("flood"), AIDASH_SERIES - 3);
    models("n", 0, 10);
    models("flood", 0, 2 * AIDASH_SERIES);
    CHECK_EQ(n_of(""), 3);
    CHECK_EQ(n_of("n"), 10);
    CHECK_EQ(n_of("flood"), AIDASH_SERIES - 13);
    models("", 0, 3); /* they had their counts all the time */
    CHECK_EQ(ad_series_get("m2", "", false)->tokens, 3);
    models("other flood", 0, 2 * AIDASH_SERIES); /* half of it each */
    models("flood", 0, 2 * AIDASH_SERIES);
    CHECK_EQ(n_of("n"), 10);
    CHECK(n_of("flood") - n_of("other flood") + 1 <= 2);
    CHECK_EQ(n_of("flood") + n_of("other flood"), AIDASH_SERIES - 13);
    check_lists(AIDASH_SERIES);
    /* Each series is of another node: then the one that was silent longest goes. */
    for (i = 0; i < 2 * AIDASH_SERIES; i++) {
        char node[32];

        (void)snprintf(node, sizeof(node), "node-%u", i);
        models(node, 0, 1);
    }
    CHECK_EQ(n_of("flood") + n_of("other flood") + n_of("n") + n_of(""), 0);
    CHECK_EQ(n_of("node-4095"), 0);
    CHECK_EQ(n_of("node-4096"), 1);
    for (i = 0; i < AIDASH_SERIES; i++) {
        share_n += ad_ticks.shares[i].n;
    }
    CHECK_EQ(share_n, AIDASH_SERIES);
    check_lists(AIDASH_SERIES);
}

/* Ticks that name ever new nodes take no place of a board that speaks for itself, as long
 * as there are others. */
static void test_named(void)
{
    static struct ad_sample sample = {.model = "m", .has = AD_HAS_TOKENS, .tokens = 1};
    unsigned i;

    ad_ticks_init();
    ad_tick_apply(&sample, ad_hub.now_ns); /* of this one, */
    sample.has |= AD_IS_RELAYED;
    (void)snprintf(sample.node, sizeof(sample.node), "board"); /* and from a board */
    ad_tick_apply(&sample, ad_hub.now_ns);
    sample.has = AD_HAS_TOKENS;
    for (i = 0; i < 2 * AIDASH_SERIES; i++) {
        (void)snprintf(sample.node, sizeof(sample.node), "node-%u", i);
        ad_tick_apply(&sample, ad_hub.now_ns);
    }
    CHECK_EQ(n_of(""), 1);
    CHECK_EQ(n_of("board"), 1);
    CHECK_EQ(n_of("node-0"), 0);
    CHECK_EQ(n_of("node-8191"), 1);
    check_lists(AIDASH_SERIES);
}

/* The name's end counts: "a" on "bc" is not "ab" on "c"; and what is left of a
 * run before is not found. */
static void test_series_names(void)
{
    ad_ticks_init();
    check_lists(0);
    ad_series_get("a", "bc", false)->tokens = 1;
    ad_series_get("ab", "c", false)->tokens = 2;
    ad_series_get("abc", "", false)->tokens = 3;
    CHECK_EQ(ad_series_get("a", "bc", false)->tokens, 1);
    CHECK_EQ(ad_series_get("ab", "c", false)->tokens, 2);
    CHECK_EQ(ad_series_get("abc", "", false)->tokens, 3);
    check_lists(3);
    ad_ticks_init();
    CHECK_EQ(ad_series_get("ab", "c", false)->tokens, 0);
    check_lists(1);
}

/* Pairs whose hashes are the same are told apart, and each can go. */
static void test_series_same_bucket(void)
{
    struct ad_series *a, *b, *c;

    ad_ticks_init();
    a = ad_series_add(7, "a", "", false);
    b = ad_series_add(7, "b", "", false);
    c = ad_series_add(7 + AIDASH_SERIES, "c", "", false);
    CHECK(ad_series_find(7, "a", "") == a && ad_series_find(7, "b", "") == b);
    CHECK(ad_series_find(7 + AIDASH_SERIES, "c", "") == c);
    ad_series_forget(b);
    CHECK(ad_series_find(7, "b", "") == NULL);
    CHECK(ad_series_find(7, "a", "") == a);
    check_lists(2);
    ad_series_forget(c);
    ad_series_forget(a);
    check_lists(0);
}

/* A model's count goes on when the other pairs have had their ticks. */
static void test_counts(void)
{
    struct ad_sample s;
    const char *json;
    uint64_t off;
    char text[AD_TICK_MAX] = "";
    size_t len;

    ad_ticks_init();
    ad_feed_init();
    ad_hub_clock();
    memset(&s, 0, sizeof(s));
    s.has = AD_HAS_TOKENS;
    s.tokens = 5;
    memcpy(s.model, "one", 4);
    ad_tick_apply(&s, ad_hub.now_ns);
    memcpy(s.model, "two", 4);
    ad_tick_apply(&s, ad_hub.now_ns);
    memcpy(s.model, "one", 4);
    ad_tick_apply(&s, ad_hub.now_ns);
    CHECK_EQ(ad_ticks.count, 3);
    off = ad_feed_off(3) + 4; /* a tick is longer than 125 bytes */
    len = (size_t)(ad_feed_off(4) - off);
    ad_feed_copy(off, len, text);
    json = "{\"event\":\"inference_tick\",\"model\":\"one\","
           "\"tokens_generated\":10,";
    CHECK(strncmp(text, json, strlen(json)) == 0);
}

int main(void)
{
    test_series_full();
    test_shares();
    test_named();
    test_series_names();
    test_series_same_bucket();
    test_counts();
    return check_report();
}
