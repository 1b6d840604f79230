/* A client's WebSocket stream, or a server's, whole and cut in pieces: both ways must
 * find the same messages and the same end. Byte 0 chooses the pieces, and by its top bit
 * whose stream it is. */
#include "../src/codec/websocket.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A checksum over all events and their payloads. */
static uint64_t read_stream(const uint8_t *data, size_t size, size_t step, bool of_server)
{
    static uint8_t message[AIDASH_MESSAGE_MAX], control[AD_WS_CONTROL_MAX];
    struct ad_ws ws;
    uint64_t sum = 7;
    size_t at = 0, i;

    memset(&ws, 0, sizeof(ws));
    ws.of_server = of_server;
    while (at < size) {
        size_t len = size - at < step ? size - at : step;
        uint8_t *piece = malloc(len); /* exactly: one byte too far is seen */
        struct ad_ws_event event;
        size_t used;

        if (piece == NULL) {
            abort();
        }
        memcpy(piece, data + at, len);
        used = ad_ws_next(&ws, piece, len, message, control, &event);
        if (used == 0 || used > len || ws.message_len > sizeof(message) ||
            (used < len && event.kind == AD_WS_NOTHING) ||
            (event.kind == AD_WS_TEXT &&
             !ad_utf8_ok(event.payload, event.len)) ||
            (event.kind == AD_WS_CLOSE && event.code != 0 &&
             !ad_ws_close_ok(event.code)) ||
            (event.kind == AD_WS_FAULT && !ad_ws_close_ok(event.code))) {
            __builtin_trap();
        }
        if (event.kind != AD_WS_NOTHING) {
            sum = (sum * 31 + event.kind) * 31 + event.code;
            sum = sum * 31 + event.len;
            for (i = 0; i < event.len; i++) {
                sum = sum * 31 + event.payload[i];
            }
        }
        free(piece);
        if (event.kind == AD_WS_CLOSE || event.kind == AD_WS_FAULT) {
            break;
        }
        at += used;
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1) {
        bool server = data[0] > 127;
        uint64_t whole = read_stream(data + 1, size - 1, size, server);

        if (whole != read_stream(data + 1, size - 1, 1, server) ||
            whole != read_stream(data + 1, size - 1, 1 + (size_t)data[0] % 128,
                                 server)) {
            __builtin_trap();
        }
    }
    return 0;
}
