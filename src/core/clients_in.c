/* clients_in.c - what clients send: WebSocket messages, bodies of POST /ingest and
 * POST /command; and their housekeeping. Hub thread only.
 */
#ifndef AD_CORE_CLIENTS_IN_C
#define AD_CORE_CLIENTS_IN_C

#include "clients.c"
#include "commands.c"

/* -- clients: WebSocket in -- */

/* Answer what has come. RFC 6455 5.5, 7.4. */
static void ad_ws_answer(struct ad_client *c, const struct ad_ws_event *event)
{
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    switch (event->kind) {
    case AD_WS_TEXT:
        (void)ad_command(event->payload, event->len,
                         ad_client_ids[ad_client_index(c)], &t);
        ad_reply_frame(1, t.at, t.len);
        break;
    case AD_WS_BINARY:
        ad_commands.errors++;
        ad_put_error(&t, AD_FAULT_NOT_TEXT, "");
        ad_reply_frame(1, t.at, t.len);
        break;
    case AD_WS_PING:
        ad_reply_frame(10, event->payload, event->len);
        break;
    case AD_WS_CLOSE:
    case AD_WS_FAULT:
        ad_client_close(c, event->code);
        break;
    default:
        break;
    }
}

/* Bytes from a client, answered into ad_reply. Stops early when there is no
 * room for one more answer. Returns how many were used. */
static size_t ad_ws_input(struct ad_client *c, uint8_t *data, size_t len)
{
    struct ad_client_buffers *buffers = ad_client_buffers_of(c);
    struct ad_ws_event event;
    size_t used = 0;

    while (used < len && !c->closing && ad_client_room(c)) {
        used += ad_ws_next(&c->in.ws, data + used, len - used, buffers->in,
                           buffers->control, &event);
        ad_ws_answer(c, &event);
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
