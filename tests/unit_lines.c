/* codec/lines.c: lines cut out of a stream. */
#include "../src/codec/lines.c"
#include "check.h"

/* Lines cut at every place, at the limit, and beyond it. */
static void test_lines(void)
{
    static uint8_t buf[AD_LINE_CAP], wire[3 * AIDASH_MESSAGE_MAX];
    static const size_t lengths[] = {0, 5, AIDASH_MESSAGE_MAX,
                                     AIDASH_MESSAGE_MAX + 1, 3};
    size_t total = 0, i, cut;

    for (i = 0; i < AD_COUNT(lengths); i++) {
        memset(wire + total, 'a' + (int)i, lengths[i]);
        total += lengths[i];
        if (i % 2 == 0) {
            wire[total++] = '\r';
        }
        wire[total++] = '\n';
    }
    for (cut = 0; cut <= total; cut++) {
        struct ad_lines l = {0, 0, false};
        size_t at = 0, limit = cut;

        i = 0;
        while (at < total) {
            const uint8_t *line;
            size_t n;
            bool ended;

            if (at == limit) {
                limit = total;
            }
            at += ad_lines_next(&l, buf, wire + at, limit - at, &line, &n,
                                &ended);
            if (ended) {
                size_t want = lengths[i] > AIDASH_MESSAGE_MAX ? SIZE_MAX
                                                              : lengths[i];

                if (n != want || (n != SIZE_MAX && n > 0 &&
                                  line[n - 1] != 'a' + (int)i)) {
                    CHECK_EQ(n, want);
                }
                i++;
                CHECK_EQ(l.line, i);
            }
        }
        CHECK_EQ(i, AD_COUNT(lengths));
    }
}

int main(void)
{
    test_lines();
    return check_report();
}
