/* arena.c - the static memory that civetweb allocates from: its tables at start,
 * a buffer for each worker, 32 bytes while a request runs. Blocks are in address
 * order, each with a header that has its size. The first free block that is large
 * enough is used; free neighbours are joined. If there is none, civetweb closes
 * one connection.
 * Owns ad_arena. Any thread, under ad_arena_lock.
 */
#ifndef AD_WEB_ARENA_C
#define AD_WEB_ARENA_C

#include "../base/platform.h"

static _Alignas(16) uint8_t ad_arena[AIDASH_ARENA_BYTES];

struct ad_block {
    size_t size; /* of the whole block, header included; a multiple of 16 */
    size_t used; /* 1 or 0; as wide as size, to keep the alignment of 16 */
};
_Static_assert(sizeof(struct ad_block) % 16 == 0 || sizeof(size_t) < 8,
               "blocks stay aligned");

static pthread_mutex_t ad_arena_lock = PTHREAD_MUTEX_INITIALIZER;
static size_t ad_arena_used, ad_arena_high; /* under ad_arena_lock */

enum { AD_BLOCK_HEADER = 16 };

static struct ad_block *ad_block_at(size_t offset)
{
    return (struct ad_block *)(void *)(ad_arena + offset);
}

static void *ad_arena_malloc(size_t size)
{
    size_t want, at = 0;
    void *result = NULL;

    if (size > sizeof(ad_arena)) {
        return NULL;
    }
    want = AD_BLOCK_HEADER + (size + 15) / 16 * 16;
    (void)pthread_mutex_lock(&ad_arena_lock);
    if (ad_block_at(0)->size == 0) {
        ad_block_at(0)->size = sizeof(ad_arena);
    }
    while (at < sizeof(ad_arena)) {
        struct ad_block *b = ad_block_at(at);

        if (!b->used && b->size >= want) {
            if (b->size - want >= 2 * AD_BLOCK_HEADER) {
                ad_block_at(at + want)->size = b->size - want;
                ad_block_at(at + want)->used = 0;
                b->size = want;
            }
            b->used = 1;
            ad_arena_used += b->size;
            if (ad_arena_used > ad_arena_high) {
                ad_arena_high = ad_arena_used;
            }
            result = ad_arena + at + AD_BLOCK_HEADER;
            break;
        }
        at += b->size;
    }
    (void)pthread_mutex_unlock(&ad_arena_lock);
    return result;
}

static void ad_arena_free(void *memory)
{
    size_t at = 0;

    if (memory == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&ad_arena_lock);
    ad_block_at((size_t)((uint8_t *)memory - ad_arena) - AD_BLOCK_HEADER)
        ->used = 0;
    ad_arena_used -=
        ad_block_at((size_t)((uint8_t *)memory - ad_arena) - AD_BLOCK_HEADER)
            ->size;
    while (at < sizeof(ad_arena)) {
        struct ad_block *b = ad_block_at(at);
        size_t next = at + b->size;

        if (!b->used && next < sizeof(ad_arena) && !ad_block_at(next)->used) {
            b->size += ad_block_at(next)->size;
        } else {
            at = next;
        }
    }
    (void)pthread_mutex_unlock(&ad_arena_lock);
}

static void *ad_arena_calloc(size_t n, size_t size)
{
    void *memory;

    if (size != 0 && n > sizeof(ad_arena) / size) {
        return NULL;
    }
    memory = ad_arena_malloc(n * size);
    return memory != NULL ? memset(memory, 0, n * size) : NULL;
}

static void *ad_arena_realloc(void *memory, size_t size)
{
    size_t had = memory == NULL
                     ? 0
                     : ad_block_at((size_t)((uint8_t *)memory - ad_arena) -
                                   AD_BLOCK_HEADER)
                               ->size -
                           AD_BLOCK_HEADER;
    void *larger;

    if (memory != NULL && size <= had) {
        return memory;
    }
    larger = ad_arena_malloc(size);
    if (larger != NULL && memory != NULL) {
        memcpy(larger, memory, had);
        ad_arena_free(memory);
    }
    return larger;
}

static void ad_arena_usage(size_t *used, size_t *high)
{
    (void)pthread_mutex_lock(&ad_arena_lock);
    *used = ad_arena_used;
    *high = ad_arena_high;
    (void)pthread_mutex_unlock(&ad_arena_lock);
}

AD_MEMORY(arena, AIDASH_WORKERS, sizeof(ad_arena));

#endif
