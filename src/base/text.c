/* text.c - text built in a buffer of fixed size. Pure: any thread. */
#ifndef AD_BASE_TEXT_C
#define AD_BASE_TEXT_C
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Text built in a buffer of fixed size. What does not fit is left out, and
 * `full` says so. */
struct ad_text {
    char *at;
    size_t len, cap;
    bool full;
};

static struct ad_text ad_text_in(void *buffer, size_t cap)
{
    struct ad_text text = {buffer, 0, cap, false};

    return text;
}

static void ad_put(struct ad_text *t, const char *s, size_t len)
{
    if (len > t->cap - t->len) {
        t->full = true;
        return;
    }
    memcpy(t->at + t->len, s, len);
    t->len += len;
}

static void ad_puts(struct ad_text *t, const char *s)
{
    ad_put(t, s, strlen(s));
}

static void ad_put_u64(struct ad_text *t, uint64_t value)
{
    char digits[20];
    size_t n = sizeof(digits);

    do {
        digits[--n] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    ad_put(t, digits + n, sizeof(digits) - n);
}

#endif
