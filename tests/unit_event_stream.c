/* codec/event_stream.c: HTML Living Standard 9.2.6, whole and byte by byte, and streams
 * that are longer than the buffer. */
#include "../src/codec/event_stream.c"
#include "check.h"

enum { CAP = 64 };

/* The events of a stream in pieces of `step` bytes, as "id|data;" or "id|LOST;". */
static void read_stream(const char *stream, size_t len, size_t step, char *out, size_t cap)
{
    struct ad_text t = ad_text_in(out, cap - 1);
    struct ad_event_stream s = {0};
    char *buf = malloc(CAP);
    size_t at = 0;

    while (buf != NULL && at < len) {
        size_t n = len - at < step ? len - at : step;
        uint8_t *piece = check_copy(stream + at, n);
        struct ad_stream_event event;
        size_t used = ad_event_stream_next(&s, buf, CAP, piece, n, &event);

        CHECK(used > 0 && used <= n);
        CHECK(event.whole || used == n);
        if (event.whole) {
            ad_puts(&t, event.id != NULL ? event.id : "");
            ad_puts(&t, "|");
            if (event.lost) {
                ad_puts(&t, "LOST");
            } else {
                ad_put(&t, event.data, event.len);
            }
            ad_puts(&t, ";");
        }
        free(piece);
        at += used;
    }
    free(buf);
    out[t.len] = '\0';
}

#define FIFTY "12345678901234567890123456789012345678901234567890"

static const struct {
    const char *stream;
    const char *events;
} cases[] = {
    {"", ""},
    {"data: a\n\n", "|a;"},
    {"data: a\r\n\r\n", "|a;"},
    {"data: a\r\r", "|a;"},
    {"data: a\r\n\rdata: b\n\r\n", "|a;|b;"},
    {"data:a\n\n", "|a;"},
    {"data:  a\n\n", "| a;"},
    {"data\n\n", "|;"},
    {"data:\n\n", "|;"},
    {"data: a\ndata: b\n\n", "|a\nb;"},
    {"data: a\ndata\ndata: b\n\n", "|a\n\nb;"},
    {"data: a\n", ""}, /* not over */
    {": ping\n\n", ""},
    {":\n:\n\ndata: a\n\n", "|a;"},
    {"\xEF\xBB\xBF" "data: a\n\n", "|a;"},
    {"\xEF\xBB\xBF\n\xEF\xBB\xBF" "data: a\n\n", ""}, /* one alone, and at the begin */
    {"id: 1-2\ndata: a\n\n", "1-2|a;"},
    {"id: 1-2\ndata: a\n\ndata: b\n\n", "1-2|a;|b;"}, /* hello has no id of its own */
    {"id: 1-2\nid\ndata: a\n\n", "|a;"},
    {"id: 1-2\n\ndata: a\n\n", "|a;"},
    {"event: x\nid: 7\nretry: 10\ndata: {}\n\n", "7|{};"},
    {"Data: a\ndata : b\ndat: c\n\n", ""}, /* other names */
    {"data: a:b\n\n", "|a:b;"},
    {"data: " FIFTY "12345678\n\n", "|" FIFTY "12345678;"}, /* 64 bytes with the name */
    {"data: " FIFTY "123456789\n\ndata: a\n\n", "|LOST;|a;"},
    {"id: 3\ndata: " FIFTY "123456789\n\n", "3|LOST;"},
    {"data: " FIFTY "\ndata: 1234567\n\n", "|" FIFTY "\n1234567;"},
    {"data: " FIFTY "\ndata: 12345678\n\nid: 2\ndata: b\n\n", "|LOST;2|b;"},
    {"id: " FIFTY "1234567890123\ndata: a\n\n", "|LOST;"}, /* longer than the buffer */
    {"id: " FIFTY "\ndata: 1\n\n", FIFTY "|1;"}};

int main(void)
{
    static const char nul[] = "id: 1\0002\ndata: a\n\n";
    char out[512];
    size_t i, step;

    for (i = 0; i < AD_COUNT(cases); i++) {
        for (step = 1; step < 100; step++) {
            read_stream(cases[i].stream, strlen(cases[i].stream), step, out, sizeof(out));
            CHECK_STR(out, cases[i].events);
        }
    }
    read_stream(nul, sizeof(nul) - 1, 3, out, sizeof(out));
    CHECK_STR(out, "|a;");
    return check_report();
}
