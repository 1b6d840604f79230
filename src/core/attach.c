/* attach.c - a connection becomes a client; and what the loop calls for each
 * client afterwards: its events, its housekeeping, its end when the hub stops.
 * Owns ad_client_input. Hub thread only.
 */
#ifndef AD_CORE_ATTACH_C
#define AD_CORE_ATTACH_C

#include "../base/net.c"
#include "exchanges.c"
#include "viewers.c"

/* A connection whose request head was read, and what the head asked for. */
struct ad_attach {
    enum ad_kind kind;
    int fd;              /* non-blocking */
    uint64_t address;    /* of the peer, as ad_address_key() has it */
    uint32_t tls;        /* as struct ad_pending has it */
    const char *id;      /* viewers: client_id, or NULL */
    const char *cors;    /* header lines for the answer, or NULL */
    struct ad_asker who;
    bool refused;        /* WebSockets: its credential is bad; it is told so, and
                          * gets nothing */
    bool waits;          /* WebSockets: it is to bring a credential */
    struct ad_slice greeting; /* WebSockets: the handshake's answer, sent first */
    struct ad_body body; /* AD_INGEST, AD_COMMAND */
    struct ad_auth_head auth; /* AD_COMMAND: if it is below /auth */
    bool whole, expects; /* the body is one object; Expect: 100-continue */
    bool has_since;      /* AD_SSE, AD_TICKS */
    uint64_t since;      /* the last event that the client knows */
    uint32_t limit;      /* AD_TICKS: elements at most */
    uint32_t last;       /* AD_TICKS: the newest so many instead, if not 0 */
    uint8_t *rest;       /* bytes that came behind the request head; written to */
    size_t rest_len;
};

/* Is it a POST /ingest without an end? */
static bool ad_attach_is_stream(const struct ad_attach *a)
{
    return a->kind == AD_INGEST && !a->whole &&
           a->body.state == AD_BODY_CHUNK_SIZE;
}

/* What ad_client_read() reads. */
static uint8_t ad_client_input[16 * 1024];

/* Where an SSE client or GET /ticks begins. */
static void ad_client_place(struct ad_client *c, const struct ad_attach *a)
{
    uint32_t found = 0;

    c->next = ad_feed.next;
    if (a->kind == AD_TICKS) {
        c->in.ticks.until = ad_feed.next;
        c->in.ticks.limit = a->last > 0 ? a->last : a->limit;
    }
    if (a->last > 0) {
        while (c->next > ad_feed.first && found < a->last) {
            c->next--;
            if (ad_feed_kind(c->next) == AD_EV_TICK) {
                found++;
            }
        }
    } else if (a->has_since && a->since < ad_feed.next) {
        c->next = a->since + 1;
        c->resuming = true;
    }
}

/* Header lines of GET /ticks and GET /events, and of their HEAD. */
#define AD_FIELDS_FRESH "Cache-Control: no-store\r\n"
#define AD_FIELDS_SSE AD_FIELDS_FRESH "X-Accel-Buffering: no\r\n"

/* What comes first: the head of an answer, the hello of a viewer. */
static void ad_put_greeting(struct ad_text *t, struct ad_client *c,
                            const struct ad_attach *a)
{
    const char *cors = a->cors != NULL ? a->cors : "";
    char json[AD_EVENT_MAX], extra[AD_CORS_MAX + 64];
    struct ad_text j = ad_text_in(json, sizeof(json));
    struct ad_text e = ad_text_in(extra, sizeof(extra));

    if (a->greeting.len > 0) {
        ad_put(t, a->greeting.at, a->greeting.len);
    }
    if (c->kind == AD_SSE) {
        ad_putf(&e, AD_FIELDS_SSE "%s", cors);
        ad_put_head(t, 200, "text/event-stream", SIZE_MAX, extra);
        ad_puts(t, "retry: 1000\n\n");
    } else if (c->kind == AD_TICKS) {
        ad_putf(&e, AD_FIELDS_FRESH "%s", cors);
        ad_put_head(t, 200, "application/json", SIZE_MAX, extra);
        ad_puts(t, "{\"started\":");
        ad_put_decimal(t, ad_hub.start_us, 6);
        ad_puts(t, ",\"ticks\":[");
    } else if (a->expects) {
        ad_puts(t, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    if (a->refused) {
        ad_ws_refuse(c, AD_FAULT_TOKEN_BAD, t);
    } else if (ad_kind_class(c->kind) == 0 && !a->waits) {
        ad_put_hello(&j, ad_client_ids[ad_client_index(c)], c->next, &a->who);
        ad_put_client_event(t, c, "hello", &j);
    }
}

/* Bytes of a WebSocket or a POST that is open. Returns how many were used: a
 * WebSocket's stop when what they are answered finds no more room. */
static size_t ad_client_take(struct ad_client *c, uint8_t *data, size_t len,
                             struct ad_text *reply)
{
    if (ad_client_is_ws(c)) {
        return ad_ws_input(c, data, len, reply);
    }
    ad_exchange_input(c, data, len, reply);
    return len;
}

static bool ad_client_takes(const struct ad_client *c)
{
    return c->phase == AD_OPEN && (ad_client_is_ws(c) || c->kind == AD_INGEST ||
                                   c->kind == AD_COMMAND);
}

/* What came behind a WebSocket's request head. It can't stay in the kernel any
 * more: who sends more there than its answers find room for is dropped. */
static bool ad_ws_take_rest(struct ad_client *c, const struct ad_attach *a)
{
    char bytes[AD_OUT_CAP];
    struct ad_text reply;
    size_t n, used = 0;

    while (used < a->rest_len && c->phase == AD_OPEN) {
        reply = ad_text_in(bytes, sizeof(bytes));
        n = ad_ws_input(c, a->rest + used, a->rest_len - used, &reply);
        used += n;
        if (!ad_client_send(c, &reply)) {
            return false;
        }
        if (ad_events_due()) {
            ad_fan_out();
        } else if (n == 0) {
            ad_client_drop(c); /* it sends much and does not read */
        }
        if (c->phase == AD_FREE) {
            return false;
        }
    }
    return true;
}

/* Make a connection a client, in a slot that the caller has reserved for it
 * (ad_slot_reserve()): greet it, take what came behind its head, send it what it
 * asked for. False if the hub is stopping: then the slot is given back, the socket
 * stays the caller's, and nothing was sent. Else it is the hub's, however soon it
 * ends. What *a points to need not outlive the call. */
static bool ad_client_attach(const struct ad_attach *a)
{
    unsigned class = ad_kind_class(a->kind), index;
    int bytes = AIDASH_SEND_BUFFER;
    char greeting[AD_OUT_CAP];
    struct ad_text t = ad_text_in(greeting, sizeof(greeting));
    struct ad_client *c;

    if (ad_hub.stopping) {
        ad_slot_release(class);
        return false;
    }
    index = ad_client_slot();
    c = &ad_clients[index];
    memset(c, 0, sizeof(*c));
    c->fd = a->fd;
    c->kind = (uint8_t)a->kind;
    c->address = a->address;
    c->tls = a->tls;
    c->subscribed = AD_NO_SLOT;
    c->rx_ms = c->tx_ms = c->ping_ms = ad_hub.now_ms;
    c->local = a->who.local;
    if (a->who.grant.rights != 0) {
        ad_client_set_grant(c, &a->who.grant);
    }
    ad_client_set_waiting(c, a->waits);
    ad_client_enter(c, AD_OPEN);
    (void)snprintf(ad_client_ids[index], sizeof(ad_client_ids[0]), "%s",
                   a->id != NULL ? a->id : "");
    (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    ad_client_place(c, a);
    if (class == 0 && !a->waits && !a->refused) {
        ad_client_subscribe(c);
    } else if (a->kind == AD_INGEST || a->kind == AD_COMMAND) {
        struct ad_client_buffers *buffers = &ad_client_buffers[index];

        (void)snprintf(buffers->cors, sizeof(buffers->cors), "%s",
                       a->cors != NULL ? a->cors : "");
        memset(&buffers->report, 0, sizeof(buffers->report));
        buffers->auth = a->auth;
        c->in.post.body = a->body;
        c->in.post.whole = a->whole;
        c->in.post.endless = ad_attach_is_stream(a);
        if (c->in.post.endless) {
            ad_stream_add(c);
        }
    }
    ad_put_greeting(&t, c, a);
    if (!ad_client_send(c, &t)) {
        return true;
    }
    if (c->kind == AD_INGEST || c->kind == AD_COMMAND) {
        t.len = 0; /* also without a byte behind the head: the body may be empty */
        ad_exchange_input(c, a->rest, a->rest_len, &t);
        (void)ad_client_send(c, &t);
    } else if (c->kind == AD_TICKS) {
        (void)ad_ticks_send(c);
    } else if (!ad_client_is_ws(c) || ad_ws_take_rest(c, a)) {
        (void)ad_client_flush(c);
    }
    return true;
}

/* RFC 9112 9.6: may the peer shut its sending side and still want its answer? A
 * WebSocket ends with a Close frame instead (RFC 6455 7.1.4). */
static bool ad_client_may_half_close(const struct ad_client *c)
{
    return c->phase == AD_CLOSING ||
           (c->phase == AD_OPEN && !ad_client_is_ws(c));
}

/* It did. A FIN is also what comes of one that has closed altogether: a server-sent
 * comment makes it answer with a reset, so that the viewer ends now and not with
 * the next event. */
static void ad_client_half_closed(struct ad_client *c)
{
    char bytes[AD_OUT_CAP];
    struct ad_text t = ad_text_in(bytes, sizeof(bytes));

    if (c->phase == AD_OPEN && !ad_exchange_waits(c) &&
        (c->kind == AD_INGEST || c->kind == AD_COMMAND)) {
        ad_exchange_fail(c, 400, "the body ended before its end", &t);
    } else if (c->phase == AD_OPEN && c->kind == AD_SSE) {
        ad_put_sse_ping(&t);
    }
    (void)ad_client_send(c, &t);
}

/* Read once. What is taken of a WebSocket's or a POST's bytes is decided before
 * they leave the kernel: what can't be answered yet stays there, and so does
 * the peer's next write when its window is full. */
static void ad_client_read(struct ad_client *c)
{
    bool takes = ad_client_takes(c);
    ssize_t got = recv(c->fd, ad_client_input, sizeof(ad_client_input),
                       takes ? MSG_PEEK : 0);
    char bytes[AD_OUT_CAP];
    struct ad_text reply = ad_text_in(bytes, sizeof(bytes));
    size_t used;

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got == 0 && !c->peer_closed && ad_client_may_half_close(c)) {
        c->peer_closed = true;
        ad_client_half_closed(c);
        return;
    }
    if (got <= 0) {
        ad_client_drop(c);
        return;
    }
    if (c->phase == AD_LINGERING) {
        return;
    }
    c->rx_ms = ad_hub.now_ms;
    if (takes) {
        used = ad_client_take(c, ad_client_input, (size_t)got, &reply);
        got = recv(c->fd, ad_client_input, used, 0);
        (void)ad_client_send(c, &reply);
    }
    if (got > 0) {
        ad_hub.bytes_received += (uint64_t)got;
    }
}

/* A blocked client's socket takes bytes again. */
static bool ad_client_unblock(struct ad_client *c)
{
    c->blocked = false;
    if (c->kind == AD_TICKS) {
        return ad_ticks_send(c);
    }
    if (c->subscribed != AD_NO_SLOT && !c->resuming &&
        !ad_client_drop_oldest(c, ad_fanout.backlog)) {
        ad_client_drop(c);
        return false;
    }
    return ad_client_flush(c);
}

/* What the poller reports of a client: AD_IN, AD_OUT, AD_HUP. An event of this
 * turn before may have ended it, or put another one into its slot. */
static void ad_client_event(unsigned index, unsigned events)
{
    struct ad_client *c = &ad_clients[index];

    if (c->phase == AD_FREE) {
        return;
    }
    if (c->blocked && (events & (AD_OUT | AD_HUP)) != 0 &&
        !ad_client_unblock(c)) {
        return;
    }
    if ((events & (AD_IN | AD_HUP)) != 0 && ad_client_room(c, 0)) {
        ad_client_read(c);
    }
}

/* Does a blocked client take too little? A viewer that is behind loses events
 * instead, as long as it takes any byte. */
static bool ad_client_deaf(const struct ad_client *c)
{
    bool viewer = c->phase == AD_OPEN && ad_kind_class(c->kind) == 0;

    return c->blocked && (ad_hub.now_ms - c->tx_ms >= AD_STALL_MS ||
                          (!viewer && ad_hub_too_slow(c->since_ms, c->sent)));
}

/* A client that does not read: reset, which gives the kernel's memory back at
 * once. */
static void ad_client_reset(struct ad_client *c)
{
    struct linger reset = {1, 0};

    ad_log(AIDASH_LOG_INFO, "%s does not read what it is sent: closed",
           ad_kind_class(c->kind) == 0 ? ad_client_ids[ad_client_index(c)]
                                       : "an HTTP client");
    ad_fanout.stalled++;
    if (ad_kind_class(c->kind) == 0) {
        ad_fanout.dropped += ad_feed.next - c->next;
    }
    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    ad_client_drop(c);
}

static void ad_client_housekeeping(struct ad_client *c)
{
    if (c->phase == AD_LINGERING) {
        if (ad_hub.now_ms - c->rx_ms >= AD_LINGER_MS) {
            ad_client_drop(c);
        }
    } else if (ad_client_deaf(c)) {
        ad_client_reset(c);
    } else if (c->phase == AD_OPEN && ad_kind_class(c->kind) == 0) {
        (void)ad_viewer_housekeeping(c);
    } else if (c->phase == AD_OPEN) {
        (void)ad_exchange_housekeeping(c);
    }
}

/* Once a second: pings, and the ends of those that neither read nor speak. */
static void ad_clients_housekeeping(void)
{
    unsigned i;

    for (i = 0; i < ad_slots.n_used; i++) {
        if (ad_clients[i].phase != AD_FREE) {
            ad_client_housekeeping(&ad_clients[i]);
        }
    }
}

/* The hub stops: every open client gets its last bytes. RFC 6455 7.4.1: 1001 is
 * "going away". */
static void ad_clients_stop(void)
{
    char bytes[AD_OUT_CAP];
    struct ad_text reply;
    unsigned i;

    for (i = 0; i < ad_slots.n_used; i++) {
        struct ad_client *c = &ad_clients[i];

        if (c->phase == AD_OPEN) {
            reply = ad_text_in(bytes, sizeof(bytes));
            if (ad_client_is_ws(c)) {
                ad_ws_close(c, 1001, "the server stops", &reply);
            } else if (c->kind == AD_INGEST) {
                ad_ingest_answer(c, &reply);
            } else {
                ad_client_end(c);
            }
            (void)ad_client_send(c, &reply);
        }
    }
}

/* Close all that are left, at once. */
static void ad_clients_drop(void)
{
    unsigned i;

    for (i = 0; i < ad_slots.n_used; i++) {
        if (ad_clients[i].phase != AD_FREE) {
            ad_client_drop(&ad_clients[i]);
        }
    }
}

AD_MEMORY(client_input, 1, sizeof(ad_client_input));

#endif
