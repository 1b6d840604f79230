/* memory.h - the rows of the map of static memory. Each part that owns static
 * variables of more than 256 bytes writes one at its end; web/memory.c collects
 * them. The compiler warns of a row that is not collected, and tests/lint.sh
 * fails when a variable is in no row.
 */
#ifndef AD_BASE_MEMORY_H
#define AD_BASE_MEMORY_H

#include <stddef.h>

struct ad_memory {
    const char *name;
    size_t count, bytes; /* how many of them, and what all of them take */
};

/* AD_MEMORY(feed, AIDASH_EVENTS, sizeof(ad_feed)); is the row "feed". */
#define AD_MEMORY(part, count, bytes) \
    static const struct ad_memory ad_memory_##part = {#part, count, bytes}

#endif
