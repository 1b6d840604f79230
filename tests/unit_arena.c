/* civetweb's static memory: blocks keep their bytes, and all joins again. */
#include "../src/web/arena.c"
#include "check.h"

static void test_arena(void)
{
    static uint8_t *blocks[200];
    static size_t sizes[200];
    size_t used, high, used_before;
    uint64_t state = 7;
    unsigned i, k, refused = 0;
    bool intact = true;

    ad_arena_usage(&used_before, &high);
    for (i = 0; i < 100000; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        k = (unsigned)(state >> 33) % 200;
        if (blocks[k] != NULL) {
            size_t j;

            for (j = 0; j < sizes[k]; j += 7) {
                intact = intact && blocks[k][j] == (uint8_t)k;
            }
            if ((state >> 60) < 4) {
                size_t larger = sizes[k] + (state >> 50) % 500;
                uint8_t *moved = ad_arena_realloc(blocks[k], larger);

                if (moved != NULL) {
                    memset(moved + sizes[k], (int)k, larger - sizes[k]);
                    blocks[k] = moved;
                    sizes[k] = larger;
                }
            } else {
                ad_arena_free(blocks[k]);
                blocks[k] = NULL;
            }
            continue;
        }
        sizes[k] = 1 + (size_t)(state >> 40) % 5000;
        blocks[k] = ad_arena_malloc(sizes[k]);
        if (blocks[k] == NULL) {
            refused++;
            continue;
        }
        intact = intact && (uintptr_t)blocks[k] % 16 == 0;
        memset(blocks[k], (int)k, sizes[k]);
    }
    CHECK(intact);
    CHECK(refused > 0); /* 200 blocks of 2,500 bytes do not fit: it says so */
    for (k = 0; k < 200; k++) {
        ad_arena_free(blocks[k]);
    }
    ad_arena_usage(&used, &high);
    CHECK_EQ(used, used_before);
    CHECK(high <= sizeof(ad_arena));
    /* All joined again: one block of nearly everything. */
    blocks[0] = ad_arena_malloc(sizeof(ad_arena) - used_before - 64);
    CHECK(blocks[0] != NULL);
    ad_arena_free(blocks[0]);
    CHECK(ad_arena_malloc(SIZE_MAX) == NULL);
    CHECK(ad_arena_calloc(SIZE_MAX / 2, 4) == NULL);
}

int main(void)
{
    test_arena();
    return check_report();
}
