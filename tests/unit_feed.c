/* The inbox under several producers, the feed at its wrap, batch frames. */
#include "../src/core/formats.c"
#include "../src/core/inbox.c"
#include "../src/core/posts.c"
#include "check.h"
#include "feed_events.h"

/* ---- the inbox ------------------------------------------------------------ */

enum { PRODUCERS = 4, EACH = 50000 };

static void *produce(void *which)
{
    struct ad_sample s;
    uint64_t i;

    memset(&s, 0, sizeof(s));
    for (i = 1; i <= EACH; i++) {
        s.tokens = i;
        s.total = (uint64_t)(uintptr_t)which;
        (void)snprintf(s.model, sizeof(s.model), "m%llu",
                       (unsigned long long)(i + s.total));
        ad_inbox_push(&s);
    }
    return NULL;
}

/* Every producer's samples arrive in its order, whole, and those that did not
 * were counted as dropped. */
static void test_inbox_producers(void)
{
    pthread_t threads[PRODUCERS];
    uint64_t last[PRODUCERS] = {0}, got = 0, seen;
    uint64_t before = atomic_load(&ad_inbox.dropped);
    struct ad_sample s;
    char model[64];
    bool in_order = true, whole = true, ended = false;
    unsigned i;

    for (i = 0; i < PRODUCERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, produce,
                             (void *)(uintptr_t)i) == 0);
    }
    do {
        if (ad_inbox_pop(&s)) {
            in_order = in_order && s.tokens > last[s.total];
            last[s.total] = s.tokens;
            (void)snprintf(model, sizeof(model), "m%llu",
                           (unsigned long long)(s.tokens + s.total));
            whole = whole && strcmp(model, s.model) == 0;
            got++;
        }
        seen = got + atomic_load(&ad_inbox.dropped) - before;
        ended = seen == (uint64_t)PRODUCERS * EACH;
    } while (!ended);
    for (i = 0; i < PRODUCERS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    CHECK(in_order);
    CHECK(whole);
    CHECK(!ad_inbox_pop(&s));
}

static void test_inbox_full(void)
{
    struct ad_sample s;
    uint64_t before = atomic_load(&ad_inbox.dropped), i;

    memset(&s, 0, sizeof(s));
    for (i = 0; i < AIDASH_INBOX + 10; i++) {
        s.tokens = i;
        ad_inbox_push(&s);
    }
    CHECK_EQ(ad_inbox_fill(), AIDASH_INBOX);
    CHECK_EQ(atomic_load(&ad_inbox.dropped) - before, 10);
    for (i = 10; ad_inbox_pop(&s); i++) {
        if (s.tokens != i) {
            CHECK_EQ(s.tokens, i);
        }
    }
    CHECK_EQ(i, AIDASH_INBOX + 10);
}

/* The hub was interrupted while it copies the oldest sample, and the ring is
 * full: producers do not wait for it and do not throw the others away. */
static void test_inbox_hub_interrupted(void)
{
    struct ad_sample s;
    uint64_t before = atomic_load(&ad_inbox.dropped), i;
    size_t held = atomic_load(&ad_inbox.head);

    memset(&s, 0, sizeof(s));
    for (i = 0; i < AIDASH_INBOX; i++) {
        s.tokens = i;
        ad_inbox_push(&s);
    }
    atomic_store(&ad_inbox.head, held + 1); /* taken, and not yet copied */
    (void)alarm(10);
    for (i = 0; i < 10; i++) {
        ad_inbox_push(&s);
    }
    (void)alarm(0);
    CHECK_EQ(atomic_load(&ad_inbox.dropped) - before, 10);
    atomic_store(&ad_inbox.cells[held % AIDASH_INBOX].turn,
                 ad_inbox_turn(held) + AIDASH_INBOX);
    for (i = 1; ad_inbox_pop(&s); i++) {
        if (s.tokens != i) {
            CHECK_EQ(s.tokens, i);
        }
    }
    CHECK_EQ(i, AIDASH_INBOX);
}

/* The positions of both rings are at their end: they go on from 0. */
static void test_rings_wrap(void)
{
    const size_t inbox = (size_t)0 - AIDASH_INBOX;
    const size_t posts = (size_t)0 - AIDASH_POSTS;
    struct ad_sample s;
    struct ad_post post;
    uint64_t i;

    memset(&s, 0, sizeof(s));
    memset(&post, 0, sizeof(post));
    for (i = 0; i < AIDASH_INBOX; i++) {
        atomic_store(&ad_inbox.cells[i].turn, ad_inbox_turn(inbox));
    }
    atomic_store(&ad_inbox.head, inbox);
    atomic_store(&ad_inbox.tail, inbox);
    for (i = 0; i < AIDASH_POSTS; i++) {
        atomic_store(&ad_posts.cells[i].turn, ad_posts_turn(posts));
    }
    atomic_store(&ad_posts.head, posts);
    atomic_store(&ad_posts.tail, posts);
    (void)alarm(10); /* a ring that is stuck never returns */
    for (i = 0; i < 3 * AIDASH_INBOX; i++) {
        s.tokens = i;
        ad_inbox_push(&s);
        s.tokens = 0;
        CHECK(ad_inbox_pop(&s) && s.tokens == i);
    }
    for (i = 0; i < 3 * AIDASH_POSTS; i++) {
        post.id = i;
        CHECK(ad_posts_push(&post));
        post.id = 0;
        CHECK(ad_posts_pop(&post) && post.id == i);
    }
    (void)alarm(0);
    CHECK(!ad_inbox_pop(&s) && !ad_posts_pop(&post));
    ad_inbox_push(&s); /* and it goes on */
    CHECK_EQ(ad_inbox_fill(), 1);
    CHECK(ad_inbox_pop(&s));
}

/* ---- the feed -------------------------------------------------------------- */

static bool event_is_right(uint64_t seq)
{
    char json[AD_EVENT_MAX], got[AD_EVENT_MAX];
    size_t n = event_json(seq, json);
    uint64_t off;
    uint8_t header[4], expected[4];
    size_t header_len = ad_ws_frame_header(expected, 1, n);

    if (ad_feed_json(seq, &off) != n) {
        return false;
    }
    ad_feed_copy(ad_feed_off(seq), header_len, header);
    ad_feed_copy(off, n, got);
    return memcmp(header, expected, header_len) == 0 &&
           memcmp(got, json, n) == 0;
}

/* Whatever is still kept is whole, over many wraps of the bytes. */
static void test_feed_wrap(void)
{
    unsigned i;
    uint64_t seq, off;
    size_t kept;

    ad_feed_init();
    for (i = 0; i < 20000; i++) {
        append(AD_EV_TICK);
        if (!event_is_right(ad_feed.first) ||
            !event_is_right(ad_feed.next - 1)) {
            CHECK(false);
        }
    }
    kept = (size_t)(ad_feed_off(ad_feed.next) - ad_feed_off(ad_feed.first));
    CHECK(kept <= AIDASH_FEED_BYTES && kept > AIDASH_FEED_BYTES - 400);
    for (seq = ad_feed.first; seq < ad_feed.next; seq++) {
        CHECK(event_is_right(seq));
        off = ad_feed_off(seq);
        if (ad_feed_seq_at(off) != seq ||
            ad_feed_seq_at(ad_feed_off(seq + 1) - 1) != seq) {
            CHECK_EQ(ad_feed_seq_at(off), seq);
        }
    }
}

/* Small events fill the table of places before the bytes. */
static void test_feed_events(void)
{
    unsigned i;

    ad_feed_init();
    for (i = 0; i < 3 * AIDASH_EVENTS; i++) {
        ad_feed_append(AD_EV_STATUS, "{}", 2);
    }
    CHECK_EQ(ad_feed.next - ad_feed.first, AIDASH_EVENTS - 1);
    CHECK_EQ(ad_feed_off(ad_feed.next) - ad_feed_off(ad_feed.first),
             (AIDASH_EVENTS - 1) * 4);
}

/* Batches hold every tick once, in order, in frames of at most 4 KiB. */
static void test_batch(void)
{
    uint64_t seq, expected = 1;
    unsigned i;
    size_t at = 0;

    ad_feed_init();
    for (i = 0; i < 400; i++) {
        append(i % 37 == 5 ? AD_EV_STATUS : AD_EV_TICK);
    }
    ad_format_range(AD_FORMAT_BATCH, 1);
    for (i = 0; i < ad_formatted.n; i++) {
        const char *payload = (const char *)ad_formatted.bytes + at + 4;
        size_t len = ad_formatted.end[i] - at - 4;
        unsigned long long first;
        char want[64];

        if (sscanf(payload, "{\"event\":\"batch\",\"seq\":%llu,\"ticks\":[",
                   &first) == 1) {
            CHECK(len <= AD_BATCH_MAX);
            CHECK_EQ(first, expected);
            CHECK(ad_json_fault(payload, len) == AD_FAULT_NONE);
            for (seq = first; seq < ad_formatted.seq[i]; seq++) {
                CHECK_EQ(ad_feed_kind(seq), AD_EV_TICK);
                (void)snprintf(want, sizeof(want), "{\"seq\":%llu,",
                               (unsigned long long)seq);
                CHECK(memmem(payload, len, want, strlen(want)) != NULL);
            }
        } else {
            CHECK_EQ(ad_formatted.seq[i], expected + 1);
        }
        expected = ad_formatted.seq[i];
        at = ad_formatted.end[i];
    }
    CHECK(ad_formatted.n > 10);
    CHECK_EQ(at, ad_formatted.len);
    CHECK(expected > 300);
}

int main(void)
{
    test_inbox_full();
    test_inbox_producers();
    test_inbox_hub_interrupted();
    test_rings_wrap();
    test_feed_wrap();
    test_feed_events();
    test_batch();
    return check_report();
}
