#ifndef AD_CORE_INBOX_C
#define AD_CORE_INBOX_C

/* ==== 7 FEED ============================================================= */

/* The inbox takes samples from any thread; the feed and its dressed forms are
 * the hub's alone. Both are rings that lose their oldest when full. */

/* The turn at which the cell for position `at` may be filled. */
static size_t ad_inbox_turn(size_t at)
{
    return at / AIDASH_INBOX * 2;
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
                atomic_store_explicit(&cell->turn, turn + 1,
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

/* Add a sample; a full inbox loses its oldest, counted. Any thread. */
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
        if ((ptrdiff_t)(turn - ad_inbox_turn(at)) < 0 && ad_inbox_pop(NULL)) {
            atomic_fetch_add_explicit(&ad_inbox.dropped, 1,
                                      memory_order_relaxed);
        }
        at = atomic_load_explicit(&ad_inbox.tail, memory_order_relaxed);
    }
}

static size_t ad_inbox_fill(void)
{
    return atomic_load_explicit(&ad_inbox.tail, memory_order_relaxed) -
           atomic_load_explicit(&ad_inbox.head, memory_order_relaxed);
}

#endif
