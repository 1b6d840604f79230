/* viewers.c - the hello that viewers get, the WebSocket messages that
 * they send (RFC 6455), their pings.
 * Hub thread only. Answers are written to *reply: who calls sends it.
 */
#ifndef AD_CORE_VIEWERS_C
#define AD_CORE_VIEWERS_C

#include "clients.c"
#include "commands.c"

static void ad_put_hello(struct ad_text *t, const char *client_id,
                         uint64_t next_seq)
{
    ad_puts(t, "{\"event\":\"hello\",\"server\":\"aidash\",\"version\":\""
               AIDASH_VERSION "\",\"client_id\":");
    ad_put_string(t, client_id);
    ad_puts(t, ",\"started\":");
    ad_put_decimal(t, ad_hub.start_us, 6);
    ad_puts(t, ",");
    ad_put_engine(t);
    ad_putf(t,
            ",\"next_seq\":%llu,\"limits\":{\"message_bytes\":%d,"
            "\"backlog_events\":%u,\"clients\":%d,\"ping_s\":%d,"
            "\"silence_s\":%d,\"stall_s\":%d}}",
            (unsigned long long)next_seq, AIDASH_MESSAGE_MAX,
            ad_fanout.backlog, AIDASH_CLIENTS, AD_PING_MS / 1000,
            AD_SILENCE_MS / 1000, AD_STALL_MS / 1000);
}

/* Begin to close a WebSocket. RFC 6455 7.4.1; code 0: no code was given. */
static void ad_ws_close(struct ad_client *c, unsigned code,
                        struct ad_text *reply)
{
    uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};

    ad_put_frame(reply, 8, payload, code == 0 ? 0 : sizeof(payload));
    ad_client_end(c);
}

/* A ping, a pong or the peer's close frame. RFC 6455 5.5. */
static void ad_ws_control(struct ad_client *c, unsigned opcode,
                          const uint8_t *payload, size_t len,
                          struct ad_text *reply)
{
    if (opcode == 9) {
        ad_put_frame(reply, 10, payload, len);
    } else if (opcode == 8) {
        unsigned code = len >= 2 ? (unsigned)payload[0] << 8 | payload[1] : 0;

        if (len == 1 || (len >= 2 && !ad_ws_close_ok(code))) {
            code = 1002;
        } else if (len > 2 && !ad_utf8_ok(payload + 2, len - 2)) {
            code = 1007;
        }
        ad_ws_close(c, code, reply);
    }
}

static void ad_ws_message(struct ad_client *c, unsigned opcode,
                          const uint8_t *payload, size_t len,
                          struct ad_text *reply)
{
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    if (opcode == 2) {
        ad_commands.errors++;
        ad_put_error(&t, "not_text", "commands are JSON in text messages", "");
    } else if (!ad_utf8_ok(payload, len)) {
        ad_ws_close(c, 1007, reply);
        return;
    } else {
        (void)ad_command(payload, len, ad_client_ids[ad_client_index(c)], &t);
    }
    ad_put_frame(reply, 1, t.at, t.len);
}

/* May this frame come now? Returns 0 or a close code. RFC 6455 5.4. */
static unsigned ad_ws_begin(const struct ad_ws *ws,
                            const struct ad_ws_frame *frame)
{
    if (frame->opcode >= 8) {
        return 0;
    }
    if ((frame->opcode == 0) != (ws->message_opcode != 0)) {
        return 1002; /* a continuation of nothing, or a message in a message */
    }
    if (frame->len > AIDASH_MESSAGE_MAX - ws->message_len) {
        return 1009;
    }
    return 0;
}

/* The payload of ws->frame is whole in the client's buffers. */
static void ad_ws_end(struct ad_client *c, struct ad_text *reply)
{
    struct ad_client_buffers *buffers = ad_client_buffers_of(c);
    struct ad_ws *ws = &c->in.ws;

    ws->in_payload = false;
    if (ws->frame.opcode >= 8) {
        ad_ws_control(c, ws->frame.opcode, buffers->control, ws->frame.len,
                      reply);
        return;
    }
    if (ws->frame.opcode != 0) {
        ws->message_opcode = ws->frame.opcode;
    }
    ws->message_len += ws->frame.len;
    if (ws->frame.fin) {
        unsigned opcode = ws->message_opcode;
        size_t len = ws->message_len;

        ws->message_opcode = 0;
        ws->message_len = 0;
        ad_ws_message(c, opcode, buffers->in, len, reply);
    }
}

/* A frame that lies whole in `data` and is a whole message, or a control frame:
 * it is unmasked where it is. Returns its length, or 0 if the next bytes are
 * not such a frame. */
static size_t ad_ws_whole_frame(struct ad_client *c, uint8_t *data, size_t len,
                                struct ad_text *reply)
{
    struct ad_ws_frame frame;
    uint8_t *payload;

    if (ad_ws_header(data, len, &frame) != 0 || !frame.fin ||
        frame.opcode == 0 || ad_ws_begin(&c->in.ws, &frame) != 0 ||
        frame.len > len - frame.header_len) {
        return 0;
    }
    payload = data + frame.header_len;
    ad_ws_unmask(payload, payload, frame.len, frame.mask, 0);
    if (frame.opcode >= 8) {
        ad_ws_control(c, frame.opcode, payload, frame.len, reply);
    } else {
        ad_ws_message(c, frame.opcode, payload, frame.len, reply);
    }
    return frame.header_len + frame.len;
}

/* One more byte of a split frame's header. */
static void ad_ws_header_byte(struct ad_client *c, uint8_t byte,
                              struct ad_text *reply)
{
    struct ad_ws *ws = &c->in.ws;
    unsigned code = 0;
    int need;

    ws->header[ws->header_len++] = byte;
    need = ad_ws_header(ws->header, ws->header_len, &ws->frame);
    if (need > 0) {
        return;
    }
    code = need < 0 ? (unsigned)-need : ad_ws_begin(ws, &ws->frame);
    if (code != 0) {
        ad_ws_close(c, code, reply);
        return;
    }
    ws->header_len = 0;
    ws->got = 0;
    ws->in_payload = true;
    if (ws->frame.len == 0) {
        ad_ws_end(c, reply);
    }
}

/* A piece of a split frame's payload. Returns how many bytes were used. */
static size_t ad_ws_payload(struct ad_client *c, const uint8_t *data,
                            size_t len, struct ad_text *reply)
{
    struct ad_client_buffers *buffers = ad_client_buffers_of(c);
    struct ad_ws *ws = &c->in.ws;
    size_t n = ws->frame.len - ws->got;
    uint8_t *out = ws->frame.opcode >= 8 ? buffers->control
                                         : buffers->in + ws->message_len;

    n = n < len ? n : len;
    ad_ws_unmask(out + ws->got, data, n, ws->frame.mask, ws->got);
    ws->got += (uint32_t)n;
    if (ws->got == ws->frame.len) {
        ad_ws_end(c, reply);
    }
    return n;
}

/* Bytes of an open WebSocket. Stops when one more answer would not fit, or when
 * the events that commands make are due for a fan-out. Returns how many were
 * used. Only a frame that comes in pieces costs the client's buffers. */
static size_t ad_ws_input(struct ad_client *c, uint8_t *data, size_t len,
                          struct ad_text *reply)
{
    struct ad_ws *ws = &c->in.ws;
    size_t used = 0;

    while (used < len && c->phase == AD_OPEN && ad_client_room(c, reply->len) &&
           !ad_events_due()) {
        size_t n = 0;

        if (ws->in_payload) {
            used += ad_ws_payload(c, data + used, len - used, reply);
            continue;
        }
        if (ws->header_len == 0) {
            n = ad_ws_whole_frame(c, data + used, len - used, reply);
        }
        if (n == 0) {
            ad_ws_header_byte(c, data[used], reply);
            n = 1;
        }
        used += n;
    }
    return c->phase == AD_OPEN ? used : len; /* behind a close frame: nothing */
}
_Static_assert(AD_REPLY_MAX >= 125 + 4, "a pong fits the room kept for answers");

/* Once a second, while it is open and its socket takes all: a ping, or the end
 * of a WebSocket that has been silent for too long. */
static bool ad_viewer_housekeeping(struct ad_client *c)
{
    uint32_t silent_ms = ad_hub.now_ms - c->rx_ms;
    char bytes[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(bytes, sizeof(bytes));
    bool ws = ad_client_is_ws(c);

    if (ws && silent_ms >= AD_SILENCE_MS) {
        ad_ws_close(c, 1001, &t);
        return ad_client_send(c, &t);
    }
    if (c->blocked || ad_hub.now_ms - c->ping_ms < AD_PING_MS ||
        (ws && silent_ms < AD_PING_MS)) {
        return true;
    }
    c->ping_ms = ad_hub.now_ms;
    if (ws) {
        ad_put_frame(&t, 9, "", 0);
    } else {
        ad_puts(&t, ": ping\n\n");
    }
    return ad_client_send(c, &t);
}

#endif
