/* inbox.c - samples on their way from any thread to the hub.
 * Owns ad_inbox. Lock-free; a full inbox loses its oldest, counted.
 */
#ifndef AD_CORE_INBOX_C
#define AD_CORE_INBOX_C

#include "../codec/messages.c"

/* A bounded queue of samples from any thread to the hub: Dmitry Vyukov's MPMC
 * ring (1024cores.net, "Bounded MPMC queue"). A cell's turn is the position at
 * which the lap begins that it waits for, and one more once it is filled, so that
 * zeros are an empty queue and untouched cells cost no page. Positions and turns
 * wrap together: a size_t of 32 bits does so after some weeks. [a] */
struct ad_inbox_cell {
    _Atomic size_t turn;
    struct ad_sample sample;
};
struct ad_inbox {
    struct ad_inbox_cell cells[AIDASH_INBOX];
    _Alignas(64) _Atomic size_t tail; /* producers add here */
    _Alignas(64) _Atomic size_t head; /* the hub takes here */
    _Alignas(64) _Atomic uint64_t dropped;
};

static struct ad_inbox ad_inbox;

/* The turn at which the cell for position `at` may be filled. */
static size_t ad_inbox_turn(size_t at)
{
    return at - at % AIDASH_INBOX;
}

/* Take the oldest sample (out may be NULL to drop it). Any thread. */
static bool ad_inbox_pop(struct ad_sample *out)
{
    size_t at = atomic_load_explicit(&ad_inbox.head, memory_order_relaxed);

    for (;;) {
        struct ad_inbox_cell *cell = &ad_inbox.cells[at % AIDASH_INBOX];
        size_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);

        if (turn == ad_inbox_turn(at) + 1) {
            if (atomic_compare_exchange_weak_explicit(
                    &ad_inbox.head, &at, at + 1, memory_order_relaxed,
                    memory_order_relaxed)) {
                if (out != NULL) {
                    *out = cell->sample;
                }
                atomic_store_explicit(&cell->turn, turn - 1 + AIDASH_INBOX,
                                      memory_order_release);
                return true;
            }
        } else if ((ptrdiff_t)(turn - ad_inbox_turn(at)) <= 0) {
            return false;
        } else {
            at = atomic_load_explicit(&ad_inbox.head, memory_order_relaxed);
        }
    }
}

/* Add a sample; a full inbox loses its oldest, counted. When just that one can't
 * be taken out, as the hub still copies it or its producer still fills it, the
 * new sample is lost instead: either may be interrupted for long, and who
 * publishes never waits. Any thread. */
static void ad_inbox_push(const struct ad_sample *sample)
{
    size_t at = atomic_load_explicit(&ad_inbox.tail, memory_order_relaxed);

    for (;;) {
        struct ad_inbox_cell *cell = &ad_inbox.cells[at % AIDASH_INBOX];
        size_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);

        if (turn == ad_inbox_turn(at)) {
            if (atomic_compare_exchange_weak_explicit(
                    &ad_inbox.tail, &at, at + 1, memory_order_relaxed,
                    memory_order_relaxed)) {
                cell->sample = *sample;
                atomic_store_explicit(&cell->turn, turn + 1,
                                      memory_order_release);
                return;
            }
            continue;
        }
        if ((ptrdiff_t)(turn - ad_inbox_turn(at)) < 0) { /* full */
            bool copied =
                atomic_load_explicit(&ad_inbox.head, memory_order_relaxed) !=
                at - AIDASH_INBOX;
            bool room = !copied && ad_inbox_pop(NULL);

            atomic_fetch_add_explicit(&ad_inbox.dropped, 1,
                                      memory_order_relaxed);
            if (!room) {
                return;
            }
        }
        at = atomic_load_explicit(&ad_inbox.tail, memory_order_relaxed);
    }
}

static size_t ad_inbox_fill(void)
{
    return atomic_load_explicit(&ad_inbox.tail, memory_order_relaxed) -
           atomic_load_explicit(&ad_inbox.head, memory_order_relaxed);
}

/* Before each run: what nobody took is forgotten; the cells stay untouched. */
static void ad_inbox_init(void)
{
    while (ad_inbox_pop(NULL)) {
    }
    atomic_store(&ad_inbox.dropped, 0);
}

AD_MEMORY(inbox, AIDASH_INBOX, sizeof(ad_inbox));

#endif
