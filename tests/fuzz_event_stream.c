/* A board's server-sent events, whole and cut in pieces: both ways must find the same
 * events. Byte 0 chooses the pieces. */
#include "../src/codec/event_stream.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CAP = 200 };

/* A checksum over all events. */
static uint64_t read_stream(const uint8_t *data, size_t size, size_t step)
{
    struct ad_event_stream s = {0};
    char *buf = malloc(CAP); /* exactly: one byte too far is seen */
    uint64_t sum = 7;
    size_t at = 0, i;

    while (buf != NULL && at < size) {
        size_t len = size - at < step ? size - at : step;
        struct ad_stream_event event;
        size_t used = ad_event_stream_next(&s, buf, CAP, data + at, len, &event);

        if (used == 0 || used > len || (used < len && !event.whole) ||
            event.len >= CAP || (event.lost && event.len > 0)) {
            __builtin_trap();
        }
        if (event.whole) {
            sum = (sum * 31 + (event.lost ? 2 : 3)) * 31 + event.len;
            for (i = 0; i < event.len; i++) {
                sum = sum * 31 + (uint8_t)event.data[i];
            }
            for (i = 0; event.id != NULL && event.id[i] != '\0'; i++) {
                sum = sum * 31 + (uint8_t)event.id[i];
            }
        }
        at += used;
    }
    free(buf);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && read_stream(data + 1, size - 1, SIZE_MAX) !=
                        read_stream(data + 1, size - 1, data[0] % 61 + 1u)) {
        __builtin_trap();
    }
    return 0;
}
