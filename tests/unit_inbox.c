/* The inbox: its order, what a full one loses, and that a producer never waits for
 * another thread that was interrupted in the middle of its step. */
#include "../src/core/inbox.c"
#include "check.h"

static void push(uint64_t tokens)
{
    struct ad_sample sample;

    memset(&sample, 0, sizeof(sample));
    sample.tokens = tokens;
    ad_inbox_push(&sample);
}

/* The oldest sample's tokens, 0 if there is none. */
static uint64_t pop(void)
{
    struct ad_sample sample;

    return ad_inbox_pop(&sample) ? sample.tokens : 0;
}

static void test_order(void)
{
    uint64_t i;

    ad_inbox_init();
    CHECK_EQ(pop(), 0);
    for (i = 1; i <= 3 * AIDASH_INBOX; i++) {
        push(i);
        CHECK_EQ(ad_inbox_fill(), 1);
        CHECK_EQ(pop(), i);
    }
    CHECK_EQ(atomic_load(&ad_inbox.dropped), 0);
}

static void test_full(void)
{
    uint64_t i;

    ad_inbox_init();
    for (i = 1; i <= AIDASH_INBOX + 3; i++) {
        push(i);
    }
    CHECK_EQ(ad_inbox_fill(), AIDASH_INBOX);
    CHECK_EQ(atomic_load(&ad_inbox.dropped), 3);
    for (i = 4; i <= AIDASH_INBOX + 3; i++) {
        CHECK_EQ(pop(), i);
    }
    CHECK_EQ(pop(), 0);
    push(1);
    ad_inbox_init();
    CHECK_EQ(ad_inbox_fill(), 0);
    CHECK_EQ(atomic_load(&ad_inbox.dropped), 0);
}

/* Another thread has taken a cell and was interrupted before it filled it. */
static void test_producer_interrupted(void)
{
    size_t at;
    uint64_t i;

    ad_inbox_init();
    at = atomic_fetch_add(&ad_inbox.tail, 1);
    for (i = 1; i < AIDASH_INBOX; i++) {
        push(i);
    }
    CHECK_EQ(pop(), 0);
    push(100); /* returns, although the oldest can't be dropped */
    CHECK_EQ(atomic_load(&ad_inbox.dropped), 1);
    CHECK_EQ(ad_inbox_fill(), AIDASH_INBOX);

    /* It goes on. */
    ad_inbox.cells[at % AIDASH_INBOX].sample.tokens = 99;
    atomic_store(&ad_inbox.cells[at % AIDASH_INBOX].turn, ad_inbox_turn(at) + 1);
    CHECK_EQ(pop(), 99);
    for (i = 1; i < AIDASH_INBOX; i++) {
        CHECK_EQ(pop(), i);
    }
    CHECK_EQ(pop(), 0);
}

/* The hub has taken the oldest and was interrupted before it freed the cell. */
static void test_hub_interrupted(void)
{
    size_t at;
    uint64_t i;

    ad_inbox_init();
    for (i = 1; i <= AIDASH_INBOX; i++) {
        push(i);
    }
    at = atomic_fetch_add(&ad_inbox.head, 1);
    push(100);
    push(101);
    CHECK_EQ(atomic_load(&ad_inbox.dropped), 2);
    CHECK_EQ(ad_inbox_fill(), AIDASH_INBOX - 1);

    atomic_store(&ad_inbox.cells[at % AIDASH_INBOX].turn, ad_inbox_turn(at) + AIDASH_INBOX);
    push(102);
    for (i = 2; i <= AIDASH_INBOX; i++) {
        CHECK_EQ(pop(), i);
    }
    CHECK_EQ(pop(), 102);
    CHECK_EQ(pop(), 0);
}

int main(void)
{
    (void)alarm(60); /* what waits for ever ends by a signal */
    test_order();
    test_full();
    test_producer_interrupted();
    test_hub_interrupted();
    return check_report();
}
