/* A chunked body and the lines in it, whole and cut in pieces: both ways must
 * find the same bytes and the same lines. Byte 0 chooses the pieces. */
#include "../src/codec/http_body.c"
#include "../src/codec/lines.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A checksum over all lines and their lengths, and how it ended. */
static uint64_t read_body(const uint8_t *data, size_t size, size_t step)
{
    static uint8_t buf[AD_LINE_CAP];
    struct ad_lines lines = {0, 0, false};
    struct ad_body body = {.state = AD_BODY_CHUNK_SIZE};
    uint64_t sum = 7;
    size_t at = 0;

    while (at < size && body.state != AD_BODY_DONE &&
           body.state != AD_BODY_BAD) {
        size_t len = size - at < step ? size - at : step, n, used;
        const uint8_t *piece = NULL, *line;
        bool ended;

        used = ad_body_next(&body, data + at, len, &piece, &n);
        if (used == 0 && body.state != AD_BODY_BAD) {
            __builtin_trap();
        }
        at += used;
        while (n > 0) {
            size_t line_len, i;

            used = ad_lines_next(&lines, buf, piece, n, &line, &line_len,
                                 &ended);
            for (i = 0; ended && line_len != SIZE_MAX && i < line_len; i++) {
                sum = sum * 31 + line[i];
            }
            sum = ended ? sum * 31 + line_len : sum;
            piece += used;
            n -= used;
        }
    }
    return sum * 31 + body.state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1 &&
        read_body(data + 1, size - 1, size) !=
            read_body(data + 1, size - 1, 1 + (size_t)data[0])) {
        __builtin_trap();
    }
    return 0;
}
