/* check.h - the unit tests' few macros. A failed check says where and what, and
 * the test goes on; check_report() prints the sum and gives main's result. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* civetweb.c, at the end of aidash.c, forbids these names to what follows. */
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef snprintf

static unsigned check_passed, check_failed;

static void check_result(int ok, const char *file, int line, const char *what)
{
    if (ok) {
        check_passed++;
    } else {
        check_failed++;
        printf("%s:%d: FAILED %s\n", file, line, what);
    }
}

#define CHECK(condition) \
    check_result((condition) ? 1 : 0, __FILE__, __LINE__, #condition)

#define CHECK_EQ(got, expected) \
    do { \
        long long check_a = (long long)(got), check_b = (long long)(expected); \
        check_result(check_a == check_b, __FILE__, __LINE__, #got); \
        if (check_a != check_b) { \
            printf("    got %lld, expected %lld\n", check_a, check_b); \
        } \
    } while (0)

#define CHECK_STR(got, expected) \
    do { \
        const char *check_a = (got), *check_b = (expected); \
        int check_ok = strcmp(check_a, check_b) == 0; \
        check_result(check_ok, __FILE__, __LINE__, #got); \
        if (!check_ok) { \
            printf("    got \"%s\", expected \"%s\"\n", check_a, check_b); \
        } \
    } while (0)

/* A copy in memory of exactly its size, so that the address sanitizer sees each
 * byte read beyond the end. The caller frees it. */
static inline void *check_copy(const void *data, size_t len)
{
    void *copy = malloc(len > 0 ? len : 1);

    if (copy == NULL) {
        abort();
    }
    memcpy(copy, data, len);
    return copy;
}

static int check_report(void)
{
    printf("%u passed, %u failed\n", check_passed, check_failed);
    return check_failed != 0;
}

#endif
