/* clients.c - connections that the hub serves: their slots, what is sent to them,
 * the fan-out, their end.
 * Owns ad_clients, ad_client_buffers, ad_client_ids, ad_slots, ad_fanout. Hub
 * thread only, but for ad_slot_reserve() and ad_slot_release().
 */
#ifndef AD_CORE_CLIENTS_C
#define AD_CORE_CLIENTS_C

#include "../codec/answer.c"
#include "../codec/http_body.c"
#include "../codec/lines.c"
#include "formats.c"
#include "engine.c"
#include "origins.c"

enum {
    AD_INGEST_ERRORS = 5, /* bad lines that an answer describes */
    AD_BATCH_MS = 50,     /* batches are flushed so often */
    AD_SLOTS = AIDASH_CLIENTS + AIDASH_EXCHANGES,
    AD_NO_SLOT = 65535,
    /* A client's unsent bytes: the rest of one frame or of one formatted event
     * (100 bytes of SSE fields), and then what it was answered. */
    AD_OUT_CAP = ((int)AD_EVENT_MAX > (int)AD_BATCH_MAX ? (int)AD_EVENT_MAX
                                                        : (int)AD_BATCH_MAX) +
                 100 + 4 * AD_REPLY_MAX
};
_Static_assert((int)AD_OUT_CAP >= (int)AD_BATCH_MAX + 4 + AD_REPLY_MAX,
               "a batch frame's rest and one reply fit a client's buffer");
_Static_assert(AD_SLOTS < AD_NO_SLOT, "slots are 16 bits wide");

/* A burst is fanned out at most once a millisecond, and less often where a
 * fan-out takes long, so that frames join. */
#define AD_PACE_MIN_NS (1 * AD_NS_PER_MS)
#define AD_PACE_MAX_NS (50 * AD_NS_PER_MS)
#define AD_PACE_FACTOR 5u

/* What an ingest exchange answers at its end. [h] */
struct ad_ingest_report {
    uint64_t accepted, rejected;
    unsigned n;
    struct {
        uint32_t line;
        const char *reason; /* static text */
    } errors[AD_INGEST_ERRORS];
};

enum ad_kind {
    AD_FREE,
    AD_WS,       /* WebSocket */
    AD_WS_BATCH, /* WebSocket with ?batch=1 */
    AD_SSE,      /* GET /events */
    AD_TICKS,     /* GET /ticks */
    AD_INGEST,   /* POST /ingest: reads lines, answers at the end */
    AD_COMMAND,  /* POST /command */
    AD_LINGER,   /* all said: waits for the peer's FIN */
    AD_KINDS
};

/* A connection that the hub serves. What each fan-out reads is here, side by
 * side; what few clients need lies in ad_client_buffers, so that its pages stay untouched
 * (and unpaid for) until then. [h] */
struct ad_client {
    int fd;
    uint8_t kind;   /* enum ad_kind; AD_FREE: nothing else counts */
    bool blocked;   /* the socket took less than it was given */
    bool resuming;  /* still reads history: only the feed's end limits it */
    bool closing;   /* nothing more is read; ends when out is sent */
    bool whole;     /* the body is gathered, to be one JSON object */
    bool started;   /* AD_TICKS: an element was sent */
    bool peer_closed;      /* the peer has sent its FIN */
    bool viewer;    /* whose slots it counts among: viewers or exchanges */
    uint8_t events; /* registered with the poller: AD_IN, AD_OUT */
    uint16_t subscribed;  /* place in ad_fanout.subscribed, or of the next free slot */
    uint64_t next;  /* next event to send */
    uint64_t until; /* AD_TICKS: where it ends */
    uint32_t limit; /* AD_TICKS: elements left */
    uint32_t missed; /* AD_TICKS: events that were no longer kept */
    uint32_t dropped; /* events lost since the connection opened */
    uint32_t out_at, out_len; /* unsent bytes in ad_client_buffers.out */
    uint32_t rx_ms;     /* last byte received */
    uint32_t tx_ms;     /* last byte taken by the socket, or nothing to send */
    uint32_t ping_ms;   /* last ping */
    uint64_t address;   /* of the peer, as ad_address_key() has it */
    union {
        struct ad_ws ws;
        struct {
            struct ad_body body;
            struct ad_lines lines;
        } http;
    } in;
};

struct ad_client_buffers {
    char cors[AD_CORS_MAX]; /* header lines of an exchange's answer, or "" */
    struct ad_ingest_report report;
    uint8_t control[125];           /* RFC 6455 5.5: of a split control frame */
    uint8_t in[AD_LINE_CAP]; /* a split message, or a line */
    uint8_t out[AD_OUT_CAP];
};

static struct ad_client ad_clients[AD_SLOTS];
static struct ad_client_buffers ad_client_buffers[AD_SLOTS];
static char ad_client_ids[AD_SLOTS][AIDASH_CLIENT_ID_MAX + 1];

static struct {
    _Atomic int reserved[2]; /* [a] viewers, exchanges: held or reserved */
    uint16_t free;           /* the first of those used before */
    unsigned n_used;         /* ever */
    unsigned n_kind[AD_KINDS], n_open; /* clients, by kind and in all */
} ad_slots;

static struct {
    unsigned backlog;  /* [I] events that a blocked viewer may be behind */
    uint64_t pace_ns;  /* no fan-out before */
    uint64_t batch_ns; /* no batch before */
    bool batch_waits;  /* a batch client has something to get */
    uint16_t n_subscribed;
    uint16_t subscribed[AD_SLOTS]; /* slots that the fan-out goes through */
    uint64_t count;                /* fan-outs */
    uint64_t dropped, stalled;     /* events lost, clients that did not read */
} ad_fanout;

static uint8_t ad_reply[AD_OUT_CAP]; /* what one client is answered */
static size_t ad_reply_len;

/* Promise a slot to a connection; false when all are taken. class 0: viewers,
 * 1: exchanges. */
static bool ad_slot_reserve(unsigned class)
{
    static const int max[2] = {AIDASH_CLIENTS, AIDASH_EXCHANGES};
    int taken = atomic_load(&ad_slots.reserved[class]);

    while (taken < max[class]) {
        if (atomic_compare_exchange_weak(&ad_slots.reserved[class], &taken,
                                         taken + 1)) {
            return true;
        }
    }
    return false;
}

static void ad_slot_release(unsigned class)
{
    atomic_fetch_sub(&ad_slots.reserved[class], 1);
}

static unsigned ad_kind_class(enum ad_kind kind)
{
    return kind == AD_WS || kind == AD_WS_BATCH || kind == AD_SSE ? 0 : 1;
}

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

/* A free slot: one that was used before, so that its pages are there already,
 * or the next new one. A promise was made, so there is one. */
static unsigned ad_client_slot(void)
{
    unsigned slot = ad_slots.free;

    if (slot == AD_NO_SLOT) {
        return ad_slots.n_used++;
    }
    ad_slots.free = ad_clients[slot].subscribed;
    return slot;
}

static unsigned ad_client_index(const struct ad_client *c)
{
    return (unsigned)(c - ad_clients);
}

static struct ad_client_buffers *ad_client_buffers_of(const struct ad_client *c)
{
    return &ad_client_buffers[ad_client_index(c)];
}

static void ad_client_become(struct ad_client *c, enum ad_kind kind)
{
    ad_slots.n_open += (c->kind == AD_FREE) - (unsigned)(kind == AD_FREE);
    ad_slots.n_kind[c->kind]--;
    ad_slots.n_kind[kind]++;
    c->kind = (uint8_t)kind;
}

/* Take the client out of the fan-out. */
static void ad_client_unsubscribe(struct ad_client *c)
{
    if (c->subscribed != AD_NO_SLOT) {
        uint16_t last = ad_fanout.subscribed[--ad_fanout.n_subscribed];

        ad_fanout.subscribed[c->subscribed] = last;
        ad_clients[last].subscribed = c->subscribed;
        c->subscribed = AD_NO_SLOT;
    }
}

/* Is there room for one more answer behind what is unsent? Nothing is read from
 * a client before there is. */
static bool ad_client_room(const struct ad_client *c)
{
    return AD_OUT_CAP - c->out_len - ad_reply_len >= AD_REPLY_MAX + 4;
}

/* Watch for what the client can do next. */
static void ad_client_watch(struct ad_client *c)
{
    unsigned want = (ad_client_room(c) && !c->peer_closed ? AD_IN : 0u) |
                    (c->blocked ? AD_OUT : 0u);

    if (want != c->events) {
        (void)ad_poll_set(c->fd, c->events, want, AD_TAG_CLIENT,
                          ad_client_index(c));
        c->events = (uint8_t)want;
    }
}

/* Close at once. The slot is free afterwards. */
static void ad_client_drop(struct ad_client *c)
{
    ad_client_unsubscribe(c);
    ad_slot_release(c->viewer ? 0 : 1);
    if (c->events != 0) {
        (void)ad_poll_set(c->fd, c->events, 0, AD_TAG_CLIENT, 0);
        c->events = 0;
    }
    (void)close(c->fd);
    ad_client_become(c, AD_FREE);
    c->subscribed = ad_slots.free;
    ad_slots.free = (uint16_t)ad_client_index(c);
}

/* All is said and sent: our FIN, then the peer's within AD_LINGER_MS. Closing
 * at once would reset the connection if the peer still sends, and a reset can
 * overtake our last words. */
static void ad_client_finish(struct ad_client *c)
{
    if (c->peer_closed) {
        ad_client_drop(c);
        return;
    }
    ad_client_unsubscribe(c);
    ad_client_become(c, AD_LINGER);
    c->rx_ms = ad_hub.now_ms;
    (void)shutdown(c->fd, SHUT_WR);
}

/* Put what is in ad_reply behind the client's unsent bytes, or straight to the
 * socket when there are none. False if the client is gone. */
static bool ad_client_send_reply(struct ad_client *c)
{
    const uint8_t *at = ad_reply;
    size_t len = ad_reply_len;
    struct ad_client_buffers *buffers;

    ad_reply_len = 0;
    if (len > 0 && c->out_len == 0 && !c->blocked) {
        ssize_t n = send(c->fd, at, len, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            ad_client_drop(c);
            return false;
        }
        c->tx_ms = ad_hub.now_ms;
        if (n > 0) {
            ad_hub.bytes_sent += (uint64_t)n;
            at += n;
            len -= (size_t)n;
        }
        c->blocked = len > 0;
    }
    if (len > 0) {
        buffers = ad_client_buffers_of(c);
        if (c->out_at > 0) {
            memmove(buffers->out, buffers->out + c->out_at, c->out_len);
            c->out_at = 0;
        }
        if (len > AD_OUT_CAP - c->out_len) {
            ad_client_drop(c);
            return false;
        }
        memcpy(buffers->out + c->out_len, at, len);
        c->out_len += (uint32_t)len;
    }
    if (c->closing && c->out_len == 0) {
        ad_client_finish(c);
    }
    if (c->kind != AD_FREE) {
        ad_client_watch(c);
    }
    return c->kind != AD_FREE;
}

/* Bytes to ad_reply; what does not fit there is a mistake of ours. */
static void ad_reply_add(const void *bytes, size_t len)
{
    if (len <= sizeof(ad_reply) - ad_reply_len) {
        memcpy(ad_reply + ad_reply_len, bytes, len);
        ad_reply_len += len;
    }
}

/* A frame of this client alone to ad_reply. */
static void ad_reply_frame(unsigned opcode, const void *payload, size_t len)
{
    uint8_t header[4];

    ad_reply_add(header, ad_ws_frame_header(header, opcode, len));
    ad_reply_add(payload, len);
}

/* An event of this client alone to ad_reply, in the client's form. */
static void ad_reply_event(const struct ad_client *c, const char *name,
                           const struct ad_text *json)
{
    if (c->kind == AD_SSE) {
        ad_reply_add("event: ", 7);
        ad_reply_add(name, strlen(name));
        ad_reply_add("\ndata: ", 7);
        ad_reply_add(json->at, json->len);
        ad_reply_add("\n\n", 2);
    } else {
        ad_reply_frame(1, json->at, json->len);
    }
}

/* Begin to close a WebSocket. RFC 6455 7.4.1; code 0: no code was given. */
static void ad_client_close(struct ad_client *c, unsigned code)
{
    uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};

    ad_reply_frame(8, payload, code == 0 ? 0u : 2u);
    c->closing = true;
    ad_client_unsubscribe(c);
}

/* A client that is more than `keep` events behind jumps to the oldest of them
 * and is told what it lost. */
static void ad_client_drop_oldest(struct ad_client *c, uint64_t keep)
{
    uint64_t behind = ad_feed.next - c->next;
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    if (behind <= keep) {
        return;
    }
    ad_fanout.dropped += behind - keep;
    c->next = ad_feed.next - keep;
    if (c->kind == AD_TICKS) {
        c->missed += (uint32_t)(behind - keep);
        return;
    }
    c->dropped += (uint32_t)(behind - keep);
    ad_putf(&t, "{\"event\":\"status\",\"dropped\":%u,\"next_seq\":%llu}",
            c->dropped, (unsigned long long)c->next);
    ad_reply_event(c, "status", &t);
    (void)ad_client_send_reply(c);
}

/* The next elements of GET /ticks into ad_formatted. */
static void ad_client_format_ticks(const struct ad_client *c)
{
    struct ad_text t = ad_text_in(ad_formatted.bytes, sizeof(ad_formatted.bytes));
    uint64_t seq = c->next;

    ad_formatted.form = AD_FORMAT_TICKS;
    ad_formatted.n = 0;
    ad_formatted.len = 0;
    while (ad_formatted.n < AD_UNITS && ad_formatted.n < c->limit &&
           ad_format_tick(&t, &seq, c->until, !c->started && ad_formatted.n == 0) &&
           !t.full) {
        ad_formatted.end[ad_formatted.n] = ad_formatted.len = t.len;
        ad_formatted.seq[ad_formatted.n++] = seq;
    }
}

/* All elements of GET /ticks are sent: the end of its JSON. */
static void ad_client_end_ticks(struct ad_client *c)
{
    char tail[64];
    struct ad_text t = ad_text_in(tail, sizeof(tail));

    ad_putf(&t, "],\"last_seq\":%llu,\"missed\":%u}",
            (unsigned long long)(c->limit == 0 ? c->next - 1 : c->until - 1),
            c->missed);
    ad_reply_add(t.at, t.len);
    c->closing = true;
    (void)ad_client_send_reply(c);
}

/* Account for n bytes that the socket took of: the unsent bytes, then the feed
 * or its formatted form. The rest of a frame that was cut goes to the unsent
 * bytes, so that the cursor is always at a frame's start. */
static void ad_client_took(struct ad_client *c, size_t n, bool formatted)
{
    struct ad_client_buffers *buffers = ad_client_buffers_of(c);
    size_t out = n < c->out_len ? n : c->out_len;
    unsigned u = 0;

    c->out_at += (uint32_t)out;
    c->out_len -= (uint32_t)out;
    n -= out;
    if (c->out_len > 0) {
        return;
    }
    c->out_at = 0;
    if (n == 0) {
        return;
    }
    if (!formatted) {
        uint64_t off = ad_feed_off(c->next) + n;

        if (off == ad_feed_off(ad_feed.next)) {
            c->next = ad_feed.next;
            return;
        }
        c->next = ad_feed_seq_at(off);
        if (off > ad_feed_off(c->next)) {
            c->next++;
            c->out_len = (uint32_t)(ad_feed_off(c->next) - off);
            ad_feed_copy(off, c->out_len, buffers->out);
        }
        return;
    }
    while (u < ad_formatted.n && ad_formatted.end[u] < n) {
        u++;
    }
    c->out_len = (uint32_t)(ad_formatted.end[u] - n);
    memcpy(buffers->out, ad_formatted.bytes + n, c->out_len);
    c->next = ad_formatted.seq[u];
    if (c->kind == AD_TICKS) {
        c->started = true;
        c->limit -= u + 1;
    }
}

/* Send a client all that it has not got, as far as its socket takes it. */
static void ad_client_flush(struct ad_client *c)
{
    while (c->kind != AD_FREE && !c->blocked) {
        bool streams = c->subscribed != AD_NO_SLOT ||
                       (c->kind == AD_TICKS && !c->closing);
        bool formatted = c->kind == AD_SSE || c->kind == AD_TICKS ||
                       (c->kind == AD_WS_BATCH && ad_events.batching);
        struct iovec iov[3];
        unsigned n_iov = 0, i;
        struct msghdr message;
        size_t len = 0;
        ssize_t n;

        if (streams && c->next < ad_feed.first) {
            ad_client_drop_oldest(c, ad_feed.next - ad_feed.first);
            continue;
        }
        if (c->out_len > 0) {
            iov[n_iov].iov_base = ad_client_buffers_of(c)->out + c->out_at;
            iov[n_iov++].iov_len = c->out_len;
        }
        if (streams && c->kind == AD_TICKS) {
            ad_client_format_ticks(c);
            if (ad_formatted.n == 0) {
                ad_client_end_ticks(c);
                continue;
            }
        } else if (streams && formatted && c->next != ad_feed.next) {
            ad_format_range(c->kind == AD_SSE ? AD_FORMAT_SSE : AD_FORMAT_BATCH,
                            c->next);
        } else if (streams && c->next != ad_feed.next) {
            uint64_t off = ad_feed_off(c->next);

            n_iov += ad_feed_pieces(
                off, (size_t)(ad_feed_off(ad_feed.next) - off), iov + n_iov);
            formatted = false;
        } else {
            formatted = false;
        }
        if (formatted) {
            iov[n_iov].iov_base = ad_formatted.bytes;
            iov[n_iov++].iov_len = ad_formatted.len;
        }
        if (n_iov == 0) {
            break;
        }
        for (i = 0; i < n_iov; i++) {
            len += iov[i].iov_len;
        }
        if (n_iov == 1) {
            n = send(c->fd, iov[0].iov_base, len, MSG_NOSIGNAL);
        } else {
            memset(&message, 0, sizeof(message));
            message.msg_iov = iov;
            message.msg_iovlen = n_iov;
            n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            ad_client_drop(c);
            return;
        }
        if (n > 0) {
            ad_hub.bytes_sent += (uint64_t)n;
            ad_client_took(c, (size_t)n, formatted);
        }
        c->tx_ms = ad_hub.now_ms;
        c->blocked = n < 0 ? errno == EAGAIN : (size_t)n < len;
    }
    if (c->kind == AD_FREE) {
        return;
    }
    if (c->next == ad_feed.next) {
        c->resuming = false;
    }
    if (c->closing && c->out_len == 0 && c->kind != AD_LINGER) {
        ad_client_finish(c);
    }
    if (c->kind != AD_FREE) {
        ad_client_watch(c);
    }
}

/* Hand every client what it has not got. Under load this comes in paces of at
 * least AD_PACE_FACTOR times what it takes, so that frames join and the hub
 * has time for the rest; a lone tick goes out at once. */
static void ad_fan_out(void)
{
    uint64_t start_ns = ad_clock_ns(CLOCK_MONOTONIC), took_ns;
    bool batch_due = start_ns >= ad_fanout.batch_ns;
    unsigned i = 0;

    ad_hub.now_ms = (uint32_t)(start_ns / AD_NS_PER_MS);
    ad_events.fanned_out = ad_feed.next;
    ad_fanout.batch_waits = false;
    ad_fanout.count++;
    while (i < ad_fanout.n_subscribed) {
        uint16_t slot = ad_fanout.subscribed[i];
        struct ad_client *c = &ad_clients[slot];

        if (c->blocked || c->next == ad_feed.next) {
            /* nothing to do now */
        } else if (c->kind == AD_WS_BATCH && ad_events.batching && !batch_due) {
            ad_fanout.batch_waits = true;
        } else {
            ad_client_flush(c);
        }
        /* A client that left was replaced by the last one. */
        i += i < ad_fanout.n_subscribed && ad_fanout.subscribed[i] == slot;
    }
    if (batch_due) {
        ad_fanout.batch_ns = start_ns + AD_BATCH_MS * AD_NS_PER_MS;
    }
    took_ns = ad_clock_ns(CLOCK_MONOTONIC) - start_ns;
    took_ns = took_ns * AD_PACE_FACTOR;
    took_ns = took_ns < AD_PACE_MIN_NS ? AD_PACE_MIN_NS : took_ns;
    took_ns = took_ns > AD_PACE_MAX_NS ? AD_PACE_MAX_NS : took_ns;
    ad_fanout.pace_ns = start_ns + took_ns;
}

#endif
