/* relay.c - other boards' events on their way from any thread to the hub: nothing of
 * it is lost, and what one thread puts in comes out in the same order.
 * Owns ad_relay_ring. Without locks; who puts in never waits: a full ring refuses.
 *
 * The ring has cells of AD_RELAY_CELL bytes. A record, which is a struct ad_relayed
 * and the text of its event, lies in as many of them side by side as it needs. A
 * producer first takes these by moving the tail, then fills them, then marks the first
 * one as ready; the hub takes ready records from the head on, and gives the cells
 * back by moving the head.
 */
#ifndef AD_CORE_RELAY_C
#define AD_CORE_RELAY_C

#include "../codec/relayed.c"
#include "feed.c"

#if AIDASH_NODES

enum {
    AD_RELAY_CELL = 64, /* bytes */
    AD_RELAY_CELLS = AIDASH_RELAY_BYTES / AD_RELAY_CELL,
    AD_RELAY_MAX = AD_OWN_EVENT_MAX, /* bytes of an event: as long as our own may be */
    AD_RELAY_HEAD_CELLS = (sizeof(struct ad_relayed) + AD_RELAY_CELL - 1) /
                          AD_RELAY_CELL
};
_Static_assert(AD_RELAY_CELLS >= 3 * (AD_RELAY_HEAD_CELLS + AD_RELAY_MAX /
                                                               AD_RELAY_CELL + 1),
               "two of the longest fit, and what the end of the ring wastes");

/* What a first cell says: its record is not there yet, it is, or nothing but the end of
 * the ring is here. */
enum { AD_RELAY_EMPTY, AD_RELAY_READY, AD_RELAY_SKIP };

static struct {
    _Alignas(64) _Atomic uint64_t tail; /* [a] cells ever taken */
    _Alignas(64) _Atomic uint64_t head; /* [a] cells ever given back */
    _Atomic uint64_t refused; /* [a] events that were wrong */
    _Atomic uint64_t full;    /* [a] calls that found no room */
    _Atomic uint8_t mark[AD_RELAY_CELLS];
    unsigned char bytes[AD_RELAY_CELLS * AD_RELAY_CELL];
} ad_relay_ring;

static unsigned char *ad_relay_cell(size_t at)
{
    return ad_relay_ring.bytes + at * AD_RELAY_CELL;
}

static size_t ad_relay_need(size_t len)
{
    return AD_RELAY_HEAD_CELLS + (len + AD_RELAY_CELL - 1) / AD_RELAY_CELL;
}

/* Take n cells side by side, and those that the end of the ring wastes. False when
 * there is no room. */
static bool ad_relay_take(size_t n, size_t *at)
{
    uint64_t tail = atomic_load_explicit(&ad_relay_ring.tail, memory_order_relaxed);

    for (;;) {
        uint64_t head = atomic_load_explicit(&ad_relay_ring.head, memory_order_acquire);
        size_t i = (size_t)(tail % AD_RELAY_CELLS);
        size_t skip = AD_RELAY_CELLS - i < n ? AD_RELAY_CELLS - i : 0;

        /* A tail that is old makes the room look larger: then it is not swapped. */
        if (tail + skip + n > head + AD_RELAY_CELLS) {
            return false;
        }
        if (atomic_compare_exchange_weak_explicit(&ad_relay_ring.tail, &tail,
                                                  tail + skip + n,
                                                  memory_order_relaxed,
                                                  memory_order_relaxed)) {
            if (skip > 0) {
                atomic_store_explicit(&ad_relay_ring.mark[i], AD_RELAY_SKIP,
                                      memory_order_release);
            }
            *at = skip > 0 ? 0 : i;
            return true;
        }
    }
}

/* Put in a record, with the text of its event. False when there is no room. Any
 * thread. */
static bool ad_relay_push(const struct ad_relayed *event)
{
    size_t at;

    if (!ad_relay_take(ad_relay_need(event->json.len), &at)) {
        atomic_fetch_add_explicit(&ad_relay_ring.full, 1, memory_order_relaxed);
        return false;
    }
    memcpy(ad_relay_cell(at), event, sizeof(*event));
    if (event->json.len > 0) {
        memcpy(ad_relay_cell(at + AD_RELAY_HEAD_CELLS), event->json.at,
               event->json.len);
    }
    atomic_store_explicit(&ad_relay_ring.mark[at], AD_RELAY_READY, memory_order_release);
    return true;
}

/* Give back the n cells at the head. */
static void ad_relay_give(size_t n)
{
    uint64_t head = atomic_load_explicit(&ad_relay_ring.head, memory_order_relaxed);

    atomic_store_explicit(&ad_relay_ring.mark[head % AD_RELAY_CELLS], AD_RELAY_EMPTY,
                          memory_order_relaxed);
    atomic_store_explicit(&ad_relay_ring.head, head + n, memory_order_release);
}

/* The oldest record, if it is ready. Its text stays where it is until ad_relay_drop().
 * Hub thread, or before a run. */
static bool ad_relay_front(struct ad_relayed *out)
{
    size_t at;
    uint8_t mark;

    for (;;) {
        at = (size_t)(atomic_load_explicit(&ad_relay_ring.head, memory_order_relaxed) %
                      AD_RELAY_CELLS);
        mark = atomic_load_explicit(&ad_relay_ring.mark[at], memory_order_acquire);
        if (mark != AD_RELAY_SKIP) {
            break;
        }
        ad_relay_give(AD_RELAY_CELLS - at);
    }
    if (mark == AD_RELAY_EMPTY) {
        return false;
    }
    memcpy(out, ad_relay_cell(at), sizeof(*out));
    out->json.at = (const char *)ad_relay_cell(at + AD_RELAY_HEAD_CELLS);
    return true;
}

/* The record that ad_relay_front() gave is done with. */
static void ad_relay_drop(const struct ad_relayed *front)
{
    ad_relay_give(ad_relay_need(front->json.len));
}

/* Are there so many that the hub must not sleep? In the short wait between two
 * fan-outs, half the ring may fill. Any thread. */
static bool ad_relay_waits(bool pacing)
{
    size_t fill = (size_t)(atomic_load_explicit(&ad_relay_ring.tail, memory_order_relaxed) -
                           atomic_load_explicit(&ad_relay_ring.head, memory_order_relaxed));

    return fill > (pacing ? AD_RELAY_CELLS / 2 : 0);
}

/* Before each run: what nobody took is forgotten. */
static void ad_relay_init(void)
{
    struct ad_relayed event;

    while (ad_relay_front(&event)) {
        ad_relay_drop(&event);
    }
    atomic_store(&ad_relay_ring.refused, 0);
    atomic_store(&ad_relay_ring.full, 0);
}

AD_MEMORY(relay, AD_RELAY_CELLS, sizeof(ad_relay_ring));

#else

static bool ad_relay_waits(bool pacing)
{
    (void)pacing;
    return false;
}

#endif /* AIDASH_NODES */

#endif
