/* websocket.c - WebSocket frames and messages (RFC 6455 5 to 8). Pure. */
#ifndef AD_CODEC_WEBSOCKET_C
#define AD_CODEC_WEBSOCKET_C

#include "utf8.c"

/* RFC 6455 5.2: a frame header of at most 2 + 8 + 4 bytes, then its payload. */
struct ad_ws_frame {
    uint8_t opcode;
    bool fin;
    uint8_t mask[4];
    uint32_t len;        /* at most ad_ws_max() */
    unsigned header_len; /* 6, 8 or 14; of a server 2, 4 or 10 */
};

/* What has come from the peer. */
enum ad_ws_kind {
    AD_WS_NOTHING, /* all bytes are used, more must come */
    AD_WS_TEXT,    /* a whole message, of valid UTF-8 (RFC 6455 8.1) */
    AD_WS_BINARY,  /* a whole message */
    AD_WS_PING,
    AD_WS_PONG,
    AD_WS_CLOSE,   /* `code`: the client's, 0 if it gave none */
    AD_WS_FAULT    /* `code`: the one to close with (RFC 6455 7.4.1) */
};

struct ad_ws_event {
    enum ad_ws_kind kind;
    unsigned code;
    uint8_t *payload; /* in `data` or in a buffer of the caller */
    size_t len;
};

enum { AD_WS_CONTROL_MAX = 125 }; /* RFC 6455 5.5 */

/* What is known of a peer's stream between two calls. Zeroed at first, but for `max`
 * and `of_server`. */
struct ad_ws {
    uint16_t max;   /* bytes of a message; 0: AIDASH_MESSAGE_MAX */
    bool of_server; /* the peer is a server: its frames are not masked */
    uint8_t header[14];
    uint8_t header_len;
    uint8_t message_opcode; /* of the current fragmented message, or 0 */
    bool in_payload;
    struct ad_ws_frame frame;
    uint32_t got;         /* payload bytes of the frame so far */
    uint32_t message_len; /* bytes of the message in the caller's buffer */
};

/* How long a message of the peer may be, in bytes. */
static uint32_t ad_ws_max(const struct ad_ws *ws)
{
    return ws->max != 0 ? ws->max : AIDASH_MESSAGE_MAX;
}

/* RFC 6455 5.2: decode a frame header of the peer. Returns 0 (done, in *frame), a
 * positive number of bytes still missing, or minus a close code. */
static int ad_ws_header(const struct ad_ws *ws, const uint8_t *h, size_t n,
                        struct ad_ws_frame *frame)
{
    uint64_t len;
    unsigned more, mask = ws->of_server ? 0 : 4;

    if (n < 2) {
        return (int)(2 - n);
    }
    frame->fin = (h[0] & 0x80) != 0;
    frame->opcode = h[0] & 0x0F;
    if ((h[0] & 0x70) != 0 || ((h[1] & 0x80) == 0) != ws->of_server) {
        return -1002; /* RSV bits without an extension; a client that does not mask,
                       * a server that does (5.1) */
    }
    len = h[1] & 0x7F;
    if (frame->opcode >= 8) {
        if (frame->opcode > 10 || !frame->fin || len > 125) {
            return -1002; /* 5.5: control frames are short and whole */
        }
    } else if (frame->opcode > 2) {
        return -1002; /* reserved */
    }
    more = len == 126 ? 2 : len == 127 ? 8 : 0;
    frame->header_len = 2 + more + mask;
    if (n < 2 + more) {
        return (int)(2 + more - n);
    }
    if (more != 0) {
        unsigned i;

        for (len = 0, i = 0; i < more; i++) {
            len = len << 8 | h[2 + i];
        }
        if ((more == 8 && len >> 63) || len < (more == 2 ? 126u : 65536u)) {
            return -1002; /* 5.2: top bit 0, and the shortest form */
        }
    }
    if (len > ad_ws_max(ws)) {
        return -1009; /* whatever is declared, nothing is allocated */
    }
    if (n < frame->header_len) {
        return (int)(frame->header_len - n);
    }
    memset(frame->mask, 0, sizeof(frame->mask));
    memcpy(frame->mask, h + 2 + more, mask);
    frame->len = (uint32_t)len;
    return 0;
}

/* RFC 6455 5.3, for a piece that begins `at` bytes into the payload. */
static void ad_ws_unmask(uint8_t *out, const uint8_t *in, size_t len,
                         const uint8_t mask[4], uint32_t at)
{
    size_t i;

    for (i = 0; i < len; i++) {
        out[i] = in[i] ^ mask[(at + i) & 3];
    }
}

/* RFC 6455 7.4: may this code stand in a close frame? */
static bool ad_ws_close_ok(unsigned code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 &&
            code != 1006) ||
           (code >= 3000 && code <= 4999);
}

/* May this frame come now? Returns 0 or a close code. RFC 6455 5.4. */
static unsigned ad_ws_order(const struct ad_ws *ws,
                            const struct ad_ws_frame *frame)
{
    bool continues = frame->opcode == 0;
    bool under_way = ws->message_opcode != 0;

    if (frame->opcode >= 8) {
        return 0; /* a control frame may come between fragments */
    }
    if (continues != under_way) {
        return 1002; /* a continuation of nothing, or a message in a message */
    }
    if (frame->len > ad_ws_max(ws) - ws->message_len) {
        return 1009;
    }
    return 0;
}

static void ad_ws_fault(struct ad_ws_event *event, unsigned code)
{
    event->kind = AD_WS_FAULT;
    event->code = code;
}

/* A whole control frame. RFC 6455 5.5. */
static void ad_ws_control_event(unsigned opcode, struct ad_ws_event *event)
{
    if (opcode == 9) {
        event->kind = AD_WS_PING;
        return;
    }
    if (opcode == 10) {
        event->kind = AD_WS_PONG;
        return;
    }
    event->kind = AD_WS_CLOSE;
    if (event->len == 0) {
        return;
    }
    if (event->len == 1) {
        ad_ws_fault(event, 1002);
        return;
    }
    event->code = (unsigned)event->payload[0] << 8 | event->payload[1];
    if (!ad_ws_close_ok(event->code)) {
        ad_ws_fault(event, 1002);
    } else if (!ad_utf8_ok(event->payload + 2, event->len - 2)) {
        ad_ws_fault(event, 1007);
    }
}

/* A whole message. RFC 6455 5.6. */
static void ad_ws_message_event(unsigned opcode, struct ad_ws_event *event)
{
    event->kind = opcode == 1 ? AD_WS_TEXT : AD_WS_BINARY;
    if (event->kind == AD_WS_TEXT && !ad_utf8_ok(event->payload, event->len)) {
        ad_ws_fault(event, 1007);
    }
}

/* A message or a control frame that lies whole in data is unmasked there, and
 * costs no buffer. Returns its bytes, or 0 if there is none. */
static size_t ad_ws_direct(const struct ad_ws *ws, uint8_t *data, size_t len,
                           struct ad_ws_event *event)
{
    struct ad_ws_frame frame;

    if (ws->header_len != 0 || ad_ws_header(ws, data, len, &frame) != 0 ||
        !frame.fin || frame.opcode == 0 || ad_ws_order(ws, &frame) != 0 ||
        frame.len > len - frame.header_len) {
        return 0;
    }
    event->payload = data + frame.header_len;
    event->len = frame.len;
    ad_ws_unmask(event->payload, event->payload, frame.len, frame.mask, 0);
    if (frame.opcode >= 8) {
        ad_ws_control_event(frame.opcode, event);
    } else {
        ad_ws_message_event(frame.opcode, event);
    }
    return frame.header_len + frame.len;
}

/* A byte of a frame header that is read byte by byte. */
static void ad_ws_header_next(struct ad_ws *ws, uint8_t byte,
                              struct ad_ws_event *event)
{
    unsigned code;
    int need;

    ws->header[ws->header_len] = byte;
    ws->header_len++;
    need = ad_ws_header(ws, ws->header, ws->header_len, &ws->frame);
    if (need > 0) {
        return;
    }
    code = need < 0 ? (unsigned)-need : ad_ws_order(ws, &ws->frame);
    if (code != 0) {
        ad_ws_fault(event, code);
        return;
    }
    ws->header_len = 0;
    ws->got = 0;
    ws->in_payload = true;
}

/* The payload of ws->frame is complete in the caller's buffer. */
static void ad_ws_frame_end(struct ad_ws *ws, uint8_t *message,
                            uint8_t *control, struct ad_ws_event *event)
{
    ws->in_payload = false;
    if (ws->frame.opcode >= 8) {
        event->payload = control;
        event->len = ws->frame.len;
        ad_ws_control_event(ws->frame.opcode, event);
        return;
    }
    if (ws->frame.opcode != 0) {
        ws->message_opcode = ws->frame.opcode;
    }
    ws->message_len += ws->frame.len;
    if (ws->frame.fin) {
        event->payload = message;
        event->len = ws->message_len;
        ad_ws_message_event(ws->message_opcode, event);
        ws->message_opcode = 0;
        ws->message_len = 0;
    }
}

/* Take bytes of the peer's stream, up to the next message, control frame or
 * fault, which *event describes. Returns how many bytes were used: all of them
 * when *event is AD_WS_NOTHING. After AD_WS_CLOSE or AD_WS_FAULT no more may be
 * passed.
 *
 * data     is unmasked in place;
 * message  ad_ws_max() bytes, for a message in several pieces;
 * control  AD_WS_CONTROL_MAX bytes, likewise for a control frame.
 *
 * The buffers are the caller's and must keep their bytes between the calls. The
 * event's payload is valid until the next call. */
static size_t ad_ws_next(struct ad_ws *ws, uint8_t *data, size_t len,
                         uint8_t *message, uint8_t *control,
                         struct ad_ws_event *event)
{
    size_t used = 0;

    memset(event, 0, sizeof(*event));
    while (used < len && event->kind == AD_WS_NOTHING) {
        uint8_t *to = ws->frame.opcode >= 8 ? control
                                            : message + ws->message_len;
        size_t n;

        if (!ws->in_payload) {
            n = ad_ws_direct(ws, data + used, len - used, event);
            used += n;
            if (n > 0) {
                return used;
            }
            ad_ws_header_next(ws, data[used], event);
            used++;
            if (ws->in_payload && ws->frame.len == 0) {
                ad_ws_frame_end(ws, message, control, event);
            }
            continue;
        }
        n = ws->frame.len - ws->got;
        if (n > len - used) {
            n = len - used;
        }
        ad_ws_unmask(to + ws->got, data + used, n, ws->frame.mask, ws->got);
        used += n;
        ws->got += (uint32_t)n;
        if (ws->got == ws->frame.len) {
            ad_ws_frame_end(ws, message, control, event);
        }
    }
    return used;
}

/* A server's frame header (never masked) for a payload below 64 kB into h[4].
 * Returns its length. */
static size_t ad_ws_frame_header(uint8_t h[4], unsigned opcode, size_t len)
{
    h[0] = (uint8_t)(0x80 | opcode);
    if (len < 126) {
        h[1] = (uint8_t)len;
        return 2;
    }
    h[1] = 126;
    h[2] = (uint8_t)(len >> 8);
    h[3] = (uint8_t)len;
    return 4;
}

/* Likewise a client's, whose payload is masked with `mask` (RFC 6455 5.3): into h[8].
 * Mask the payload by ad_ws_unmask(), which is the same. */
static AD_UNUSED size_t ad_ws_client_header(uint8_t h[8], unsigned opcode, size_t len,
                                            const uint8_t mask[4])
{
    size_t n = ad_ws_frame_header(h, opcode, len);

    h[1] |= 0x80;
    memcpy(h + n, mask, 4);
    return n + 4;
}

/* Length of the header of a frame of ours that is n bytes long in all. */
static size_t ad_ws_frame_header_len(size_t n)
{
    return n - 2 < 126 ? 2 : 4;
}

#endif
