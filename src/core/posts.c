/* posts.c - what other threads tell the hub besides ticks and gauges: notes, the
 * engine's state, ends of commands.
 * Owns ad_posts. Lock-free; a full ring refuses the newest, so that nothing of it
 * is lost unsaid.
 */
#ifndef AD_CORE_POSTS_C
#define AD_CORE_POSTS_C

#include "../base/platform.h"

enum ad_post_kind { AD_POST_NOTE, AD_POST_STATE, AD_POST_FINISH };

struct ad_post {
    uint8_t kind; /* enum ad_post_kind */
    uint8_t code; /* a note's level, a state, whether a command was carried out */
    uint64_t id;  /* the command's number */
    char text[AIDASH_TEXT_MAX + 1];
};

/* Dmitry Vyukov's bounded queue, as in inbox.c, with one consumer: a cell's turn is
 * where the lap begins that it waits for, and one more once it is filled. [a] */
static struct {
    struct {
        _Atomic size_t turn;
        struct ad_post post;
    } cells[AIDASH_POSTS];
    _Alignas(64) _Atomic size_t tail; /* producers add here */
    _Alignas(64) _Atomic size_t head; /* the hub takes here */
} ad_posts;

static size_t ad_posts_turn(size_t at)
{
    return at - at % AIDASH_POSTS;
}

/* Add one. False when the ring is full. Any thread. */
static bool ad_posts_push(const struct ad_post *post)
{
    size_t at = atomic_load_explicit(&ad_posts.tail, memory_order_relaxed);

    for (;;) {
        size_t i = at % AIDASH_POSTS;
        size_t turn = atomic_load_explicit(&ad_posts.cells[i].turn,
                                           memory_order_acquire);

        if (turn == ad_posts_turn(at)) {
            if (atomic_compare_exchange_weak_explicit(
                    &ad_posts.tail, &at, at + 1, memory_order_relaxed,
                    memory_order_relaxed)) {
                ad_posts.cells[i].post = *post;
                atomic_store_explicit(&ad_posts.cells[i].turn, turn + 1,
                                      memory_order_release);
                return true;
            }
        } else if ((ptrdiff_t)(turn - ad_posts_turn(at)) < 0) {
            return false;
        } else {
            at = atomic_load_explicit(&ad_posts.tail, memory_order_relaxed);
        }
    }
}

/* Take the oldest. Hub thread, or before a run. */
static bool ad_posts_pop(struct ad_post *out)
{
    size_t at = atomic_load_explicit(&ad_posts.head, memory_order_relaxed);
    size_t i = at % AIDASH_POSTS;
    size_t turn = atomic_load_explicit(&ad_posts.cells[i].turn,
                                       memory_order_acquire);

    if (turn != ad_posts_turn(at) + 1) {
        return false;
    }
    *out = ad_posts.cells[i].post;
    atomic_store_explicit(&ad_posts.cells[i].turn, turn - 1 + AIDASH_POSTS,
                          memory_order_release);
    atomic_store_explicit(&ad_posts.head, at + 1, memory_order_relaxed);
    return true;
}

/* Is there one to take? Hub thread. */
static bool ad_posts_wait(void)
{
    return atomic_load_explicit(&ad_posts.tail, memory_order_relaxed) !=
           atomic_load_explicit(&ad_posts.head, memory_order_relaxed);
}

/* Before each run: what nobody took is forgotten. */
static void ad_posts_init(void)
{
    struct ad_post post;

    while (ad_posts_pop(&post)) {
    }
}

AD_MEMORY(posts, AIDASH_POSTS, sizeof(ad_posts));

#endif
