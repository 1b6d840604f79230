/* clients.c - the connections that the hub serves: their slots, what they are
 * sent, the fan-out, their end.
 * Owns ad_clients, ad_client_buffers, ad_client_ids, ad_slots, ad_fanout. Hub
 * thread only, but for ad_slot_reserve() and ad_slot_release().
 *
 * A client is attached (attach.c) and open; then it is closing: its last bytes
 * are on their way; then lingering: the peer's FIN is awaited. What an open
 * client sends is read in viewers.c and exchanges.c.
 *
 * Always: `next` is at a frame's start, and a client with unsent bytes is
 * blocked, but inside ad_client_flush(). A function that may end a client
 * returns whether the client is still there.
 */
#ifndef AD_CORE_CLIENTS_C
#define AD_CORE_CLIENTS_C

#include "../codec/answer.c"
#include "../codec/http_body.c"
#include "../codec/lines.c"
#include "../guard/credentials.c"
#include "engine.c"
#include "formats.c"
#include "access.c"
#include "peers.c"
#include "tls_pump.c"

enum {
    AD_INGEST_ERRORS = 5, /* bad lines that an answer describes */
    AD_BATCH_MS = 50,     /* batches are sent so often, */
    AD_BATCH_SLOW_MS = 250, /* and at least so often where a fan-out takes long, */
    AD_BATCH_WAITING = AIDASH_EVENTS / 4, /* or when so many events wait for one, */
    AD_BATCH_WAITING_BYTES = AIDASH_FEED_BYTES / 4, /* or so many bytes of them */
    AD_SLOTS = AIDASH_CLIENTS + AIDASH_EXCHANGES,
    AD_NO_SLOT = 65535,
    AD_CLIENTS_WAITING = (AIDASH_CLIENTS + 3) / 4, /* viewers that wait for their
                                                * credential at once */
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

/* What POST /ingest is answered at its end. [h] */
struct ad_ingest_report {
    uint64_t accepted, rejected;
    unsigned n;
    struct {
        uint32_t line;
        const char *reason; /* static text */
    } errors[AD_INGEST_ERRORS];
};

/* What a client speaks. */
enum ad_kind {
    AD_WS,       /* WebSocket */
    AD_WS_BATCH, /* WebSocket with ?batch=1 */
    AD_SSE,      /* GET /events */
    AD_TICKS,    /* GET /ticks */
    AD_INGEST,   /* POST /ingest: reads lines, answers at the end */
    AD_COMMAND,  /* POST /command */
    AD_KINDS
};

enum ad_phase {
    AD_FREE,     /* a slot without a client: nothing else in it counts */
    AD_OPEN,
    AD_CLOSING,  /* nothing more is taken from it; ends when all is sent */
    AD_LINGERING /* all is sent, and our FIN: the peer's FIN is awaited */
};

/* What each fan-out reads is here, side by side. What few clients need lies in
 * ad_client_buffers, so that its pages cost nothing until then. [h] */
struct ad_client {
    int fd;
    uint8_t phase;        /* enum ad_phase */
    uint8_t kind;         /* enum ad_kind */
    bool blocked;         /* the socket took less than it was given */
    bool resuming;        /* still reads history: only the feed's end limits it */
    bool peer_closed;     /* the peer's FIN has come */
    uint8_t events;       /* watched for: AD_IN, AD_OUT, or AD_RESET */
    uint16_t subscribed;  /* place in ad_fanout.subscribed, or AD_NO_SLOT; of a
                           * free slot, the next free one */
    bool local;           /* of ad_asker */
    bool keyed;           /* a credential gave it ad_client_buffers.grant */
    bool waits;           /* a WebSocket that has nothing yet: its first message is
                           * to bring a credential */
    uint64_t next;        /* next event to send */
    uint32_t dropped;     /* events lost since the connection opened */
    uint32_t out_at, out_len; /* unsent bytes in ad_client_buffers.out */
    uint32_t rx_ms;       /* last byte received */
    uint32_t tx_ms;       /* last byte taken by the socket, or nothing to send */
    uint32_t ping_ms;     /* last ping */
    uint32_t since_ms;    /* when its phase began */
    uint32_t sent;        /* bytes that the socket has taken since then */
    uint32_t tls;         /* fd is one end of a pair: ad_pump_handle(); 0: plain */
    uint64_t address;     /* of the peer, as ad_address_key() has it */
    uint64_t command_full_ns; /* its bucket of commands: commands.c */
    union {
        struct ad_ws ws; /* AD_WS, AD_WS_BATCH */
        struct {
            struct ad_body body;
            struct ad_lines lines;
            uint64_t data; /* bytes of the body so far, without framing */
            bool whole;    /* the body is buffered, to be one JSON object */
            bool endless;  /* a stream, which has no end and may be silent */
        } post;         /* AD_INGEST, AD_COMMAND */
        struct {
            uint64_t until;  /* the first event after the last to send */
            uint32_t limit;  /* elements left */
            uint32_t missed; /* events that were no longer kept */
            bool started;    /* an element was sent */
        } ticks;             /* AD_TICKS */
    } in;
};

/* What of the head of a POST below /auth the answer to its body needs
 * (web/auth_routes.c). All zeros: it is another exchange. */
struct ad_auth_head {
    void (*answer)(struct ad_client *c, const uint8_t *body, size_t len,
                   struct ad_text *reply);
    uint8_t post;        /* which one it is */
    bool secure;         /* the page came by https */
    uint32_t device_key; /* the key in the cookie of this device, 0: none */
    uint32_t ticket;     /* not 0: the body has come, and the answer waits for the key
                          * file */
};

struct ad_client_buffers {
    char cors[AD_CORS_MAX]; /* header lines of an exchange's answer, or "" */
    struct ad_ingest_report report;
    struct ad_auth_head auth; /* AD_COMMAND */
    struct ad_grant grant;   /* `keyed` */
    uint8_t control[125];    /* RFC 6455 5.5: of a split control frame */
    uint8_t in[AD_LINE_CAP]; /* a split message, or a line */
    uint8_t out[AD_OUT_CAP];
};

static struct ad_client ad_clients[AD_SLOTS];
static struct ad_client_buffers ad_client_buffers[AD_SLOTS];
static char ad_client_ids[AD_SLOTS][AIDASH_CLIENT_ID_MAX + 1];

static struct {
    _Atomic int reserved[2];   /* [a] viewers, exchanges: taken or reserved */
    uint16_t free;             /* the first of those used before */
    unsigned n_used;           /* ever */
    unsigned n_kind[AD_KINDS]; /* open or closing */
    unsigned n_open;           /* in any phase but free */
    unsigned n_exchanges;      /* of these, exchanges */
    unsigned n_waiting;        /* of these, that wait for their credential */
    uint16_t exchanges[AIDASH_EXCHANGES]; /* their slots, in no order */
} ad_slots;

static struct {
    unsigned backlog;  /* [I] events that a blocked viewer may be behind */
    uint64_t pace_ns;  /* no fan-out before */
    uint64_t batch_ns;      /* no batch before, unless the feed might overrun it; */
    uint64_t batch_late_ns; /* and from when on for a few events, too */
    uint64_t batched;     /* ad_feed.next at the last batch */
    uint64_t batched_off; /* and where that event begins */
    bool batch_waits;  /* a batch client has something to get */
    uint16_t n_subscribed;
    uint16_t subscribed[AD_SLOTS]; /* slots that the fan-out goes through */
    uint64_t count;                /* fan-outs */
    uint64_t dropped, stalled;     /* events lost, clients that did not read */
} ad_fanout;

/* -- slots and phases -- */

/* Reserve a slot for a connection. False when all are taken. class 0: viewers,
 * 1: exchanges. Any thread. */
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

/* Any thread. */
static void ad_slot_release(unsigned class)
{
    atomic_fetch_sub(&ad_slots.reserved[class], 1);
}

static unsigned ad_kind_class(enum ad_kind kind)
{
    return kind == AD_WS || kind == AD_WS_BATCH || kind == AD_SSE ? 0 : 1;
}

/* A free slot: one that was used before, so that its pages are there already,
 * or the next new one. One is reserved, so there is one. */
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

static bool ad_client_is_ws(const struct ad_client *c)
{
    return c->kind == AD_WS || c->kind == AD_WS_BATCH;
}

/* An exchange has got its slot, or leaves it: exchanges are found without going
 * through the viewers' slots. */
static void ad_exchange_list(unsigned slot, bool enters)
{
    unsigned i = 0;

    if (enters) {
        ad_slots.exchanges[ad_slots.n_exchanges++] = (uint16_t)slot;
        return;
    }
    while (ad_slots.exchanges[i] != slot) {
        i++;
    }
    ad_slots.exchanges[i] = ad_slots.exchanges[--ad_slots.n_exchanges];
}

static void ad_client_enter(struct ad_client *c, enum ad_phase phase)
{
    bool counted = c->phase == AD_OPEN || c->phase == AD_CLOSING;
    bool counts = phase == AD_OPEN || phase == AD_CLOSING;

    if (counts && !counted) {
        ad_slots.n_kind[c->kind]++;
    } else if (counted && !counts) {
        ad_slots.n_kind[c->kind]--;
    }
    if (c->phase == AD_FREE) {
        ad_slots.n_open++;
    } else if (phase == AD_FREE) {
        ad_slots.n_open--;
    }
    if (ad_kind_class(c->kind) == 1 &&
        (c->phase == AD_FREE) != (phase == AD_FREE)) {
        ad_exchange_list(ad_client_index(c), phase != AD_FREE);
    }
    c->phase = (uint8_t)phase;
    c->since_ms = ad_hub.now_ms;
    c->sent = 0;
}

/* Put the client into the fan-out. */
static void ad_client_subscribe(struct ad_client *c)
{
    c->subscribed = ad_fanout.n_subscribed;
    ad_fanout.subscribed[ad_fanout.n_subscribed++] =
        (uint16_t)ad_client_index(c);
}

/* Take it out; the last one takes its place. */
static void ad_client_unsubscribe(struct ad_client *c)
{
    if (c->subscribed != AD_NO_SLOT) {
        uint16_t last = ad_fanout.subscribed[--ad_fanout.n_subscribed];

        ad_fanout.subscribed[c->subscribed] = last;
        ad_clients[last].subscribed = c->subscribed;
        c->subscribed = AD_NO_SLOT;
    }
}

/* Is there room for one more answer behind the client's unsent bytes and `more`
 * bytes? Nothing is taken from a client before there is. */
static bool ad_client_room(const struct ad_client *c, size_t more)
{
    return AD_OUT_CAP - c->out_len - more >= AD_REPLY_MAX + 4;
}

/* Watch for what the client can do next. */
static void ad_client_watch(struct ad_client *c)
{
    unsigned want = 0;

    if (ad_client_room(c, 0) && !c->peer_closed) {
        want |= AD_IN;
    }
    if (c->blocked) {
        want |= AD_OUT;
    }
    if (want == 0) {
        want = AD_RESET;
    }
    if (want != c->events) {
        (void)ad_poll_set(c->fd, c->events, want, AD_TAG_CLIENT,
                          ad_client_index(c));
        c->events = (uint8_t)want;
    }
}

/* Who it is. */
static struct ad_asker ad_client_asker(const struct ad_client *c)
{
    struct ad_asker who;

    memset(&who, 0, sizeof(who));
    who.local = c->local;
    if (c->keyed) {
        who.grant = ad_client_buffers_of(c)->grant;
    }
    return who;
}

/* A credential gives it more. */
static void ad_client_set_grant(struct ad_client *c, const struct ad_grant *grant)
{
    c->keyed = true;
    ad_client_buffers_of(c)->grant = *grant;
}

/* Is what it was let in by still good? */
static bool ad_client_holds(const struct ad_client *c)
{
    return !c->keyed || ad_grant_holds(&ad_client_buffers_of(c)->grant,
                                       ad_hub_unix_s());
}

/* The socket whose peer the client is, with TLS, too; -1: it is gone. */
static int ad_client_socket(const struct ad_client *c)
{
#if AIDASH_TLS
    if (c->tls != 0) {
        return ad_pump_socket(c->tls);
    }
#endif
    return c->fd;
}

/* Does it wait for its credential? */
static void ad_client_set_waiting(struct ad_client *c, bool waits)
{
    if (c->waits != waits) {
        c->waits = waits;
        ad_slots.n_waiting += waits ? 1u : -1u;
    }
}

/* Close at once. The slot is free afterwards. */
static void ad_client_drop(struct ad_client *c)
{
    ad_client_set_waiting(c, false);
    ad_client_unsubscribe(c);
    ad_slot_release(ad_kind_class(c->kind));
    if (c->events != 0) {
        (void)ad_poll_set(c->fd, c->events, 0, AD_TAG_CLIENT, 0);
        c->events = 0;
    }
    ad_peer_close(c->fd, c->address);
    ad_client_enter(c, AD_FREE);
    c->subscribed = ad_slots.free;
    ad_slots.free = (uint16_t)ad_client_index(c);
}

/* Nothing more is taken from the client, and nothing new is sent to it. */
static void ad_client_end(struct ad_client *c)
{
    ad_client_set_waiting(c, false);
    ad_client_unsubscribe(c);
    ad_client_enter(c, AD_CLOSING);
}

/* All is sent: our FIN, then wait for the peer's, AD_LINGER_MS at most. Closing
 * at once would reset the connection if the peer still sends, and a reset can
 * overtake our last bytes. */
static void ad_client_linger(struct ad_client *c)
{
    ad_client_enter(c, AD_LINGERING);
    c->blocked = false;
    c->rx_ms = ad_hub.now_ms;
    (void)shutdown(c->fd, SHUT_WR);
}

/* After sending: a closing client without unsent bytes goes on to its end. */
static bool ad_client_settle(struct ad_client *c)
{
    if (c->phase == AD_CLOSING && c->out_len == 0) {
        if (c->peer_closed) {
            ad_client_drop(c);
            return false;
        }
        ad_client_linger(c);
    }
    ad_client_watch(c);
    return true;
}

/* -- bytes for one client -- */

/* Keep bytes behind those that are unsent. False if they don't fit. */
static bool ad_client_keep(struct ad_client *c, const void *bytes, size_t len)
{
    struct ad_client_buffers *buffers = ad_client_buffers_of(c);

    if (len > AD_OUT_CAP - c->out_len) {
        return false;
    }
    if (c->out_at > 0) {
        memmove(buffers->out, buffers->out + c->out_at, c->out_len);
        c->out_at = 0;
    }
    memcpy(buffers->out + c->out_len, bytes, len);
    c->out_len += (uint32_t)len;
    return true;
}

/* Send bytes to this client alone: behind its unsent bytes, or straight to the
 * socket when there are none. */
static bool ad_client_send(struct ad_client *c, const struct ad_text *text)
{
    const char *at = text->at;
    size_t len = text->len;

    if (text->full) { /* a torn frame is never sent */
        ad_client_drop(c);
        return false;
    }
    if (len > 0 && c->out_len == 0 && !c->blocked) {
        ssize_t n = send(c->fd, at, len, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            ad_client_drop(c);
            return false;
        }
        c->tx_ms = ad_hub.now_ms;
        if (n > 0) {
            ad_hub.bytes_sent += (uint64_t)n;
            c->sent += (uint32_t)n;
            at += n;
            len -= (size_t)n;
        }
        c->blocked = len > 0;
    }
    if (len > 0 && !ad_client_keep(c, at, len)) {
        ad_client_drop(c);
        return false;
    }
    return ad_client_settle(c);
}

static void ad_put_frame(struct ad_text *t, unsigned opcode,
                         const void *payload, size_t len)
{
    uint8_t header[4];
    size_t header_len = ad_ws_frame_header(header, opcode, len);

    ad_put(t, (const char *)header, header_len);
    ad_put(t, payload, len);
}

/* An event for one viewer alone, in the form that it gets. */
static void ad_put_client_event(struct ad_text *t, const struct ad_client *c,
                                const char *name, const struct ad_text *json)
{
    if (c->kind == AD_SSE) {
        ad_puts(t, "event: ");
        ad_puts(t, name);
        ad_puts(t, "\ndata: ");
        ad_put(t, json->at, json->len);
        ad_puts(t, "\n\n");
    } else {
        ad_put_frame(t, 1, json->at, json->len);
    }
}

/* -- the feed -- */

/* A viewer that is more than `keep` events behind jumps to the oldest of them.
 * A status event behind its unsent bytes says what it lost; false if that does
 * not fit. */
static bool ad_client_drop_oldest(struct ad_client *c, uint64_t keep)
{
    uint64_t behind = ad_feed.next - c->next;
    char json[AD_REPLY_MAX], bytes[AD_REPLY_MAX];
    struct ad_text j = ad_text_in(json, sizeof(json));
    struct ad_text t = ad_text_in(bytes, sizeof(bytes));

    if (behind <= keep) {
        return true;
    }
    ad_fanout.dropped += behind - keep;
    c->dropped += (uint32_t)(behind - keep);
    c->next = ad_feed.next - keep;
    ad_putf(&j, "{\"event\":\"status\",\"dropped\":%u,\"next_seq\":%llu}",
            c->dropped, (unsigned long long)c->next);
    ad_put_client_event(&t, c, "status", &j);
    return ad_client_keep(c, t.at, t.len);
}

/* What one system call sends: a client's unsent bytes, then the feed's frames
 * or their formatted form. */
struct ad_outgoing {
    struct iovec iov[3];
    unsigned n;
    bool formatted;
    unsigned units; /* set by ad_client_write(): formatted units begun */
};

static void ad_gather_unsent(struct ad_outgoing *o, const struct ad_client *c)
{
    o->n = o->units = 0;
    o->formatted = false;
    if (c->out_len > 0) {
        o->iov[o->n].iov_base = ad_client_buffers_of(c)->out + c->out_at;
        o->iov[o->n++].iov_len = c->out_len;
    }
}

static void ad_gather_formatted(struct ad_outgoing *o)
{
    o->formatted = true;
    o->iov[o->n].iov_base = ad_formatted.bytes;
    o->iov[o->n++].iov_len = ad_formatted.len;
}

/* All that a subscriber has not got, in its form. */
static void ad_gather_feed(struct ad_outgoing *o, const struct ad_client *c)
{
    uint64_t off = ad_feed_off(c->next);

    if (c->next == ad_feed.next) {
        return;
    }
    if (c->kind == AD_SSE) {
        ad_format_range(AD_FORMAT_SSE, c->next);
        ad_gather_formatted(o);
    } else if (c->kind == AD_WS_BATCH && ad_events.batching) {
        ad_format_range(AD_FORMAT_BATCH, c->next);
        ad_gather_formatted(o);
    } else {
        o->n += ad_feed_pieces(
            off, (size_t)(ad_feed_off(ad_feed.next) - off), o->iov + o->n);
    }
}

/* The socket took n bytes of the feed. The rest of a frame that was cut becomes
 * unsent bytes. */
static void ad_account_feed(struct ad_client *c, size_t n)
{
    uint64_t off = ad_feed_off(c->next) + n;

    if (off == ad_feed_off(ad_feed.next)) {
        c->next = ad_feed.next;
        return;
    }
    c->next = ad_feed_seq_at(off);
    if (off > ad_feed_off(c->next)) {
        c->next++;
        c->out_len = (uint32_t)(ad_feed_off(c->next) - off);
        ad_feed_copy(off, c->out_len, ad_client_buffers_of(c)->out);
    }
}

/* Likewise of the formatted form. Returns the units begun. */
static unsigned ad_account_formatted(struct ad_client *c, size_t n)
{
    unsigned u = 0;

    while (ad_formatted.end[u] < n) {
        u++;
    }
    c->next = ad_formatted.seq[u];
    c->out_len = (uint32_t)(ad_formatted.end[u] - n);
    if (c->out_len > 0) {
        memcpy(ad_client_buffers_of(c)->out, ad_formatted.bytes + n, c->out_len);
    }
    return u + 1;
}

/* Account for n bytes that the socket took. */
static void ad_client_account(struct ad_client *c, size_t n,
                              struct ad_outgoing *o)
{
    size_t out = n < c->out_len ? n : c->out_len;

    ad_hub.bytes_sent += n;
    c->sent += (uint32_t)n;
    c->out_at += (uint32_t)out;
    c->out_len -= (uint32_t)out;
    n -= out;
    if (c->out_len > 0) {
        return;
    }
    c->out_at = 0;
    if (n > 0 && o->formatted) {
        o->units = ad_account_formatted(c, n);
    } else if (n > 0) {
        ad_account_feed(c, n);
    }
}

/* One system call. False if the connection is broken. */
static bool ad_client_write(struct ad_client *c, struct ad_outgoing *o)
{
    struct msghdr message;
    size_t len = 0;
    unsigned i;
    ssize_t n;

    for (i = 0; i < o->n; i++) {
        len += o->iov[i].iov_len;
    }
    if (o->n == 1) {
        n = send(c->fd, o->iov[0].iov_base, len, MSG_NOSIGNAL);
    } else {
        memset(&message, 0, sizeof(message));
        message.msg_iov = o->iov;
        message.msg_iovlen = o->n;
        n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
    }
    c->tx_ms = ad_hub.now_ms;
    if (n >= 0) {
        c->blocked = (size_t)n < len;
        ad_client_account(c, (size_t)n, o);
        return true;
    }
    c->blocked = errno == EAGAIN;
    return errno == EAGAIN || errno == EINTR;
}

/* Send a client all that it has not got, as far as its socket takes it. */
static bool ad_client_flush(struct ad_client *c)
{
    struct ad_outgoing o;

    while (!c->blocked) {
        bool subscribed = c->subscribed != AD_NO_SLOT;

        if (subscribed && c->next < ad_feed.first &&
            !ad_client_drop_oldest(c, ad_feed.next - ad_feed.first)) {
            ad_client_drop(c);
            return false;
        }
        ad_gather_unsent(&o, c);
        if (subscribed) {
            ad_gather_feed(&o, c);
        }
        if (o.n == 0) {
            break;
        }
        if (!ad_client_write(c, &o)) {
            ad_client_drop(c);
            return false;
        }
    }
    if (c->next == ad_feed.next) {
        c->resuming = false;
    }
    return ad_client_settle(c);
}

/* When the next batch is due. A viewer whose socket does not take all of one must not be
 * so far behind then that it loses events: so a batch has half a backlog at most, or what
 * comes in AD_BATCH_MS. */
static uint64_t ad_batch_at_ns(void)
{
    return ad_feed.next - ad_fanout.batched >= (ad_fanout.backlog + 1) / 2
               ? ad_fanout.batch_ns : ad_fanout.batch_late_ns;
}

/* Is one due? Its time has come, or so much waits for it that the feed might overrun
 * it. */
static bool ad_batch_due(uint64_t now_ns)
{
    return now_ns >= ad_batch_at_ns() ||
           ad_feed.next - ad_fanout.batched >= AD_BATCH_WAITING ||
           ad_feed_off(ad_feed.next) - ad_fanout.batched_off >= AD_BATCH_WAITING_BYTES;
}
_Static_assert((int)AD_BATCH_WAITING + (int)AD_WAITING_MAX + 3 < AIDASH_EVENTS &&
               (int)AD_BATCH_WAITING_BYTES + (int)AD_WAITING_BYTES +
                   3 * (AD_EVENT_MAX + 4) <= AIDASH_FEED_BYTES,
               "the feed has all that waits for a batch");

/* From one batch to the next, when its fan-out took so long and few events come. A viewer
 * costs one system call each time, so thousands of them get larger batches, and the hub
 * keeps four fifths of its time for the rest, up to the longest pause. */
static uint64_t ad_batch_pause_ns(uint64_t took_ns)
{
    uint64_t pause_ns = took_ns * AD_PACE_FACTOR;

    if (pause_ns < AD_BATCH_MS * AD_NS_PER_MS) {
        return AD_BATCH_MS * AD_NS_PER_MS;
    }
    return pause_ns < AD_BATCH_SLOW_MS * AD_NS_PER_MS ? pause_ns
                                                      : AD_BATCH_SLOW_MS * AD_NS_PER_MS;
}

/* Send every subscriber what it has not got. Under load the pause after a
 * fan-out is AD_PACE_FACTOR times what it took, so that frames join and the hub
 * has time for the rest. A lone tick goes out at once. */
static void ad_fan_out(void)
{
    uint64_t start_ns = ad_clock_ns(CLOCK_MONOTONIC), took_ns;
    bool batch_due = ad_batch_due(start_ns);
    unsigned i = 0;

    ad_hub_set_now_ms(start_ns);
    ad_events_fanned_out();
    ad_fanout.batch_waits = false;
    ad_fanout.count++;
    while (i < ad_fanout.n_subscribed) {
        struct ad_client *c = &ad_clients[ad_fanout.subscribed[i]];

        if (!c->blocked && c->next != ad_feed.next) {
            if (c->kind == AD_WS_BATCH && ad_events.batching && !batch_due) {
                ad_fanout.batch_waits = true;
            } else if (!ad_client_flush(c)) {
                continue; /* the last one has taken its place */
            }
        }
        i++;
    }
    took_ns = ad_clock_ns(CLOCK_MONOTONIC) - start_ns;
    if (batch_due) {
        ad_fanout.batch_ns = start_ns + AD_BATCH_MS * AD_NS_PER_MS;
        ad_fanout.batch_late_ns = start_ns + ad_batch_pause_ns(took_ns);
        ad_fanout.batched = ad_feed.next;
        ad_fanout.batched_off = ad_feed_off(ad_feed.next);
    }
    took_ns = took_ns * AD_PACE_FACTOR;
    took_ns = took_ns < AD_PACE_MIN_NS ? AD_PACE_MIN_NS : took_ns;
    took_ns = took_ns > AD_PACE_MAX_NS ? AD_PACE_MAX_NS : took_ns;
    ad_fanout.pace_ns = start_ns + took_ns;
}

/* Before each run. */
static void ad_clients_init(void)
{
    memset(&ad_slots, 0, sizeof(ad_slots));
    memset(&ad_fanout, 0, sizeof(ad_fanout));
    ad_slots.free = AD_NO_SLOT;
}

/* How many events a blocked viewer may be behind. While starting. */
static void ad_clients_set_backlog(unsigned events)
{
    ad_fanout.backlog = events;
}

AD_MEMORY(clients, AD_SLOTS,
          sizeof(ad_clients) + sizeof(ad_client_ids) + sizeof(ad_slots) +
              sizeof(ad_fanout));
AD_MEMORY(client_buffers, AD_SLOTS, sizeof(ad_client_buffers));

#endif
