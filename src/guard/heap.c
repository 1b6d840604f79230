/* heap.c - static memory that mbedTLS allocates from. A heap is a block of memory
 * that its owner has; what it serves never takes more than that. Blocks are in
 * address order, each with a header; the first free one that is large enough is
 * used. What was never written is zero, and its pages stay untouched.
 * Owns nothing. One thread at a time, for each heap.
 */
#ifndef AD_GUARD_HEAP_C
#define AD_GUARD_HEAP_C

#include "../base/platform.h"

#if AIDASH_TLS

#ifdef __linux__
#include <sys/mman.h>
#endif

/* Set memory and size; the rest begins as zero. The memory is zero, too, and
 * aligned to 16 bytes. */
struct ad_heap {
    uint8_t *memory;
    size_t size;  /* bytes, a multiple of 16 */
    size_t fresh; /* the memory behind is zero */
    size_t used, high; /* bytes of all blocks in use, with their headers */
};

struct ad_heap_block {
    _Alignas(16) size_t size; /* of the whole block; a multiple of 16 */
    struct ad_heap *owner;    /* NULL: free */
};

enum { AD_HEAP_HEADER = sizeof(struct ad_heap_block) };
_Static_assert(AD_HEAP_HEADER == 16, "blocks stay aligned");

static struct ad_heap_block *ad_heap_at(const struct ad_heap *h, size_t at)
{
    return (struct ad_heap_block *)(void *)(h->memory + at);
}

/* Write a header, which may be in memory that is still untouched. */
static void ad_heap_put(struct ad_heap *h, size_t at, size_t size,
                        struct ad_heap *owner)
{
    ad_heap_at(h, at)->size = size;
    ad_heap_at(h, at)->owner = owner;
    if (at + AD_HEAP_HEADER > h->fresh) {
        h->fresh = at + AD_HEAP_HEADER;
    }
}

/* The free block at `at` takes in the free ones behind it. */
static void ad_heap_join(struct ad_heap *h, size_t at)
{
    struct ad_heap_block *b = ad_heap_at(h, at);

    while (at + b->size < h->size &&
           ad_heap_at(h, at + b->size)->owner == NULL) {
        b->size += ad_heap_at(h, at + b->size)->size;
    }
}

/* n times size bytes, all zero; NULL if there is no room. */
static void *ad_heap_calloc(struct ad_heap *h, size_t n, size_t size)
{
    size_t want, at = 0;

    if (size != 0 && n > h->size / size) {
        return NULL;
    }
    want = AD_HEAP_HEADER + (n * size + 15) / 16 * 16;
    if (h->fresh == 0) {
        ad_heap_put(h, 0, h->size, NULL);
    }
    while (at < h->size) {
        struct ad_heap_block *b = ad_heap_at(h, at);
        size_t dirty;

        if (b->owner == NULL) {
            ad_heap_join(h, at);
        }
        if (b->owner != NULL || b->size < want) {
            at += b->size;
            continue;
        }
        dirty = h->fresh;
        if (b->size - want >= 2 * AD_HEAP_HEADER) {
            ad_heap_put(h, at + want, b->size - want, NULL);
            b->size = want;
        }
        b->owner = h;
        h->used += b->size;
        if (h->used > h->high) {
            h->high = h->used;
        }
        if (dirty > at + AD_HEAP_HEADER) {
            size_t end = at + b->size < dirty ? at + b->size : dirty;

            memset(h->memory + at + AD_HEAP_HEADER, 0,
                   end - at - AD_HEAP_HEADER);
        }
        if (at + b->size > h->fresh) {
            h->fresh = at + b->size;
        }
        return h->memory + at + AD_HEAP_HEADER;
    }
    return NULL;
}

/* Free what ad_heap_calloc() gave, of whichever heap. NULL is free already. */
static void ad_heap_free(void *memory)
{
    struct ad_heap_block *b;

    if (memory != NULL) {
        b = (struct ad_heap_block *)(void *)((uint8_t *)memory -
                                             AD_HEAP_HEADER);
        b->owner->used -= b->size;
        b->owner = NULL;
    }
}

/* Give the pages behind the last block in use back to the system. */
static void ad_heap_trim(struct ad_heap *h)
{
#ifdef __linux__
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from, to = ((uintptr_t)h->memory + h->size) / page * page;
    size_t at = 0, end = 0;

    while (h->used > 0 && at < h->size) {
        if (ad_heap_at(h, at)->owner != NULL) {
            end = at + ad_heap_at(h, at)->size;
        }
        at += ad_heap_at(h, at)->size;
    }
    /* The header of the free block behind stays. */
    from = ((uintptr_t)h->memory + end + (end > 0 ? AD_HEAP_HEADER : 0) + page -
            1) / page * page;
    if (from >= to || (uintptr_t)h->memory + h->fresh <= from) {
        return;
    }
    if (end > 0 && end < h->size) {
        ad_heap_put(h, end, h->size - end, NULL);
    }
    /* Whole pages become zero; what is before and behind them, now. */
    memset(h->memory + end + (end > 0 ? AD_HEAP_HEADER : 0), 0,
           from - (uintptr_t)h->memory - end - (end > 0 ? AD_HEAP_HEADER : 0));
    if ((uintptr_t)h->memory + h->fresh > to) {
        memset((void *)to, 0, (uintptr_t)h->memory + h->size - to);
    }
    if (madvise((void *)from, to - from, MADV_DONTNEED) == 0) {
        h->fresh = end + (end > 0 ? AD_HEAP_HEADER : 0);
    } else {
        h->fresh = h->size;
        if (end == 0) { /* the header at the begin was made zero above */
            ad_heap_put(h, 0, h->size, NULL);
        }
    }
#else
    (void)h;
#endif
}

#endif

#endif
