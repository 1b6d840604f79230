/* clients_in.c - what clients send: WebSocket messages, bodies of POST /ingest and
 * POST /command; and their housekeeping. Hub thread only.
 */
#ifndef AD_CORE_CLIENTS_IN_C
#define AD_CORE_CLIENTS_IN_C

#include "clients.c"
#include "commands.c"

/* -- clients: WebSocket in -- */

static void ad_ws_control(struct ad_client *c, unsigned opcode,
                          const uint8_t *payload, size_t len)
{
    if (opcode == 9) {
        ad_reply_frame(10, payload, len);
    } else if (opcode == 8) {
        unsigned code = len >= 2 ? (unsigned)payload[0] << 8 | payload[1] : 0;

        if (len == 1 || (len >= 2 && !ad_ws_close_ok(code))) {
            code = 1002;
        } else if (len > 2 && !ad_utf8_ok(payload + 2, len - 2)) {
            code = 1007;
        }
        ad_client_close(c, code);
    }
}

static void ad_ws_message(struct ad_client *c, unsigned opcode,
                          const uint8_t *payload, size_t len)
{
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    if (opcode == 2) {
        ad_commands.errors++;
        ad_put_error(&t, AD_FAULT_NOT_TEXT, "");
    } else if (!ad_utf8_ok(payload, len)) {
        ad_client_close(c, 1007);
        return;
    } else {
        (void)ad_command(payload, len, ad_client_ids[ad_client_index(c)], &t);
    }
    ad_reply_frame(1, t.at, t.len);
}

/* May this frame come now? Returns 0 or a close code. RFC 6455 5.4. */
static unsigned ad_ws_begin(struct ad_ws *ws, const struct ad_ws_frame *frame)
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

/* The payload of ws->frame has arrived whole, in the client's buffers buffers. */
static void ad_ws_end(struct ad_client *c)
{
    struct ad_client_buffers *buffers = ad_client_buffers_of(c);
    struct ad_ws *ws = &c->in.ws;

    ws->in_payload = false;
    if (ws->frame.opcode >= 8) {
        ad_ws_control(c, ws->frame.opcode, buffers->control, ws->frame.len);
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
        ad_ws_message(c, opcode, buffers->in, len);
    }
}

/* Bytes from a client, answered into ad_reply. Stops early when there is no
 * room for one more answer. Returns how many were used. A frame that lies
 * whole in `data` is unmasked there; only a split one costs the client's
 * buffers. */
static size_t ad_ws_input(struct ad_client *c, uint8_t *data, size_t len)
{
    struct ad_ws *ws = &c->in.ws;
    size_t used = 0;

    while (used < len && !c->closing && ad_client_room(c)) {
        unsigned code = 0;
        size_t n;

        if (!ws->in_payload) {
            struct ad_ws_frame frame;
            bool direct = ws->header_len == 0;
            int need;

            if (direct) {
                need = ad_ws_header(data + used, len - used, &frame);
                direct = need == 0 && frame.fin && frame.opcode != 0 &&
                         ad_ws_begin(ws, &frame) == 0 &&
                         frame.len <= len - used - frame.header_len;
            }
            if (direct) {
                uint8_t *payload = data + used + frame.header_len;

                ad_ws_unmask(payload, payload, frame.len, frame.mask, 0);
                used += frame.header_len + frame.len;
                if (frame.opcode >= 8) {
                    ad_ws_control(c, frame.opcode, payload, frame.len);
                } else {
                    ad_ws_message(c, frame.opcode, payload, frame.len);
                }
                continue;
            }
            ws->header[ws->header_len++] = data[used++];
            need = ad_ws_header(ws->header, ws->header_len, &ws->frame);
            if (need > 0) {
                continue;
            }
            code = need < 0 ? (unsigned)-need : ad_ws_begin(ws, &ws->frame);
            if (code != 0) {
                ad_client_close(c, code);
                break;
            }
            ws->header_len = 0;
            ws->got = 0;
            ws->in_payload = true;
        }
        n = ws->frame.len - ws->got;
        n = n < len - used ? n : len - used;
        ad_ws_unmask((ws->frame.opcode >= 8
                          ? ad_client_buffers_of(c)->control
                          : ad_client_buffers_of(c)->in + ws->message_len) +
                         ws->got,
                     data + used, n, ws->frame.mask, ws->got);
        used += n;
        ws->got += (uint32_t)n;
        if (ws->got == ws->frame.len) {
            ad_ws_end(c);
        }
    }
    return c->closing ? len : used;
}
_Static_assert(AD_REPLY_MAX >= 125 + 4, "a pong fits the room kept for answers");

/* -- clients: HTTP bodies in -- */

/* The last answer of an exchange. */
static void ad_exchange_answer(struct ad_client *c, int status,
                               const struct ad_text *json)
{
    char head[AD_REPLY_MAX + AD_CORS_MAX];
    struct ad_text t = ad_text_in(head, sizeof(head));

    ad_put_head(&t, status, "application/json", json->len,
                ad_client_buffers_of(c)->cors);
    ad_reply_add(t.at, t.len);
    ad_reply_add(json->at, json->len);
    c->closing = true;
}

static void ad_ingest_line(struct ad_client *c, const uint8_t *line, size_t len)
{
    struct ad_ingest_report *report = &ad_client_buffers_of(c)->report;
    const char *fault;

    if (ad_is_blank(line, len)) {
        return;
    }
    fault = ad_ingest(line, len);
    if (fault == NULL) {
        report->accepted++;
        return;
    }
    report->rejected++;
    if (report->n < AD_INGEST_ERRORS) {
        report->errors[report->n].line = c->in.http.lines.line;
        report->errors[report->n].reason = fault;
        report->n++;
    }
}

/* What was gathered as one JSON object is lines after all. */
static void ad_ingest_unwhole(struct ad_client *c)
{
    struct ad_lines *lines = &c->in.http.lines;
    uint8_t *buf = ad_client_buffers_of(c)->in, copy[AD_LINE_CAP];
    const uint8_t *line, *at = copy;
    size_t left = lines->len, n, used;
    bool ended;

    memcpy(copy, buf, left);
    c->whole = false;
    lines->len = 0;
    while (left > 0) {
        used = ad_lines_next(lines, buf, at, left, &line, &n, &ended);
        if (ended) {
            ad_ingest_line(c, line, n);
        }
        at += used;
        left -= used;
    }
}

static void ad_ingest_answer(struct ad_client *c)
{
    const struct ad_ingest_report *report = &ad_client_buffers_of(c)->report;
    char json[AD_INGEST_ERRORS * 128 + 128];
    struct ad_text t = ad_text_in(json, sizeof(json));
    unsigned i;

    ad_putf(&t, "{\"accepted\":%llu,\"rejected\":%llu,\"errors\":[",
            (unsigned long long)report->accepted,
            (unsigned long long)report->rejected);
    for (i = 0; i < report->n; i++) {
        ad_putf(&t, "%s{\"line\":%u,\"message\":", i > 0 ? "," : "",
                report->errors[i].line);
        ad_put_string(&t, report->errors[i].reason);
        ad_puts(&t, "}");
    }
    ad_puts(&t, ad_engine.paused ? "],\"paused\":true}" : "],\"paused\":false}");
    ad_exchange_answer(
        c, report->accepted > 0 || report->rejected == 0 ? 200 : 400, &t);
}

static void ad_exchange_fail(struct ad_client *c, int status, const char *why)
{
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    ad_put_http_error(&t, status, why);
    ad_exchange_answer(c, status, &t);
}

/* The body has ended: the last line of it, or all of it, and the answer. */
static void ad_exchange_end(struct ad_client *c)
{
    struct ad_client_buffers *buffers = ad_client_buffers_of(c);
    struct ad_lines *lines = &c->in.http.lines;
    size_t len = lines->skip || lines->len > AIDASH_MESSAGE_MAX ? SIZE_MAX
                                                                : lines->len;
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));
    int status;

    if (c->kind == AD_INGEST) {
        if (c->whole && ad_json_fault((const char *)buffers->in, lines->len)) {
            ad_ingest_unwhole(c);
            len = lines->len;
        }
        lines->line++;
        ad_ingest_line(c, buffers->in, len);
        ad_ingest_answer(c);
    } else if (len == SIZE_MAX) {
        ad_exchange_fail(c, 413, "a command is longer than the limit");
    } else {
        status = ad_command(buffers->in, len, "", &t);
        ad_exchange_answer(c, status, &t);
    }
}

/* Bytes of a request body. Lines of an ingest stream take effect as they come;
 * other bodies are gathered whole. */
static void ad_exchange_input(struct ad_client *c, const uint8_t *data,
                              size_t len)
{
    struct ad_lines *lines = &c->in.http.lines;
    struct ad_body *body = &c->in.http.body;
    uint8_t *buf = ad_client_buffers_of(c)->in;

    while (len > 0 && body->state != AD_BODY_DONE &&
           body->state != AD_BODY_BAD) {
        const uint8_t *piece = NULL, *line;
        size_t n, line_len, used = ad_body_next(body, data, len, &piece, &n);

        data += used;
        len -= used;
        while (n > 0) {
            bool ended = false;

            if (!c->whole) {
                used = ad_lines_next(lines, buf, piece, n, &line, &line_len,
                                     &ended);
            } else if (n > AD_LINE_CAP - lines->len) {
                used = 0;
                if (c->kind == AD_INGEST) {
                    ad_ingest_unwhole(c);
                } else {
                    lines->skip = true;
                    used = n;
                }
            } else {
                memcpy(buf + lines->len, piece, n);
                lines->len += (uint32_t)n;
                used = n;
            }
            if (ended) {
                ad_ingest_line(c, line, line_len);
            }
            piece += used;
            n -= used;
        }
    }
    if (body->state == AD_BODY_BAD) {
        ad_exchange_fail(c, 400, "the body's chunks are malformed");
    } else if (body->state == AD_BODY_DONE) {
        ad_exchange_end(c);
    }
}

/* -- clients: what the poller tells -- */

static void ad_client_read(struct ad_client *c)
{
    bool ws = (c->kind == AD_WS || c->kind == AD_WS_BATCH) && !c->closing;
    ssize_t got = recv(c->fd, ad_scratch, sizeof(ad_scratch),
                       ws ? MSG_PEEK : 0);
    size_t used;

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got == 0 && c->kind != AD_LINGER && (c->closing || c->kind == AD_TICKS)) {
        c->peer_closed = true; /* it said all, and still takes its answer */
        ad_client_watch(c);
        return;
    }
    if (got <= 0) {
        ad_client_drop(c);
        return;
    }
    if (c->kind == AD_LINGER) {
        return;
    }
    c->rx_ms = ad_hub.now_ms;
    if (ws) {
        /* What can't be answered yet stays in the kernel, and so does the
         * peer's next write when its window is full. */
        used = ad_ws_input(c, ad_scratch, (size_t)got);
        got = recv(c->fd, ad_scratch, used, 0);
        (void)ad_client_send_reply(c);
    } else if ((c->kind == AD_INGEST || c->kind == AD_COMMAND) && !c->closing) {
        ad_exchange_input(c, ad_scratch, (size_t)got);
        (void)ad_client_send_reply(c);
    }
    if (got > 0) {
        ad_hub.bytes_received += (uint64_t)got;
    }
}

static void ad_client_event(unsigned index)
{
    struct ad_client *c = &ad_clients[index];

    if (c->kind != AD_FREE && c->blocked) {
        struct pollfd p = {c->fd, POLLOUT, 0};

        if (poll(&p, 1, 0) == 1) {
            c->blocked = false;
            if (c->subscribed != AD_NO_SLOT && !c->resuming) {
                ad_client_drop_oldest(c, ad_fanout.backlog);
            }
            ad_client_flush(c);
        }
    }
    if (c->kind != AD_FREE && ad_client_room(c)) {
        ad_client_read(c);
    }
}

/* Once a second: pings, and the ends of those that neither read nor speak. */
static void ad_client_housekeeping(struct ad_client *c)
{
    uint32_t silent_ms = ad_hub.now_ms - c->rx_ms;
    bool ws = c->kind == AD_WS || c->kind == AD_WS_BATCH;

    if (c->kind == AD_LINGER) {
        if (silent_ms >= AD_LINGER_MS) {
            ad_client_drop(c);
        }
        return;
    }
    if (c->blocked && ad_hub.now_ms - c->tx_ms >= AD_STALL_MS) {
        struct linger reset = {1, 0}; /* gives its memory back at once */

        ad_log(AIDASH_LOG_INFO, "%s has not read for %d s: closed",
               ad_client_ids[ad_client_index(c)], AD_STALL_MS / 1000);
        ad_fanout.stalled++;
        ad_fanout.dropped += c->viewer ? ad_feed.next - c->next : 0;
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        ad_client_drop(c);
        return;
    }
    if (c->kind == AD_COMMAND ||
        (c->kind == AD_INGEST && c->in.http.body.state == AD_BODY_LENGTH)) {
        if (silent_ms >= AD_SILENCE_MS) {
            ad_exchange_fail(c, 408, "the body did not arrive");
            (void)ad_client_send_reply(c);
        }
        return;
    }
    if (ws && silent_ms >= AD_SILENCE_MS && !c->closing) {
        ad_client_close(c, 1001);
        (void)ad_client_send_reply(c);
        return;
    }
    if ((ws || c->kind == AD_SSE) && !c->closing && !c->blocked &&
        (c->kind == AD_SSE || silent_ms >= AD_PING_MS) &&
        ad_hub.now_ms - c->ping_ms >= AD_PING_MS) {
        c->ping_ms = ad_hub.now_ms;
        if (ws) {
            ad_reply_frame(9, "", 0);
        } else {
            ad_reply_add(": ping\n\n", 8);
        }
        (void)ad_client_send_reply(c);
    }
}

#endif
