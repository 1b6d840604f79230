/* pending.c - connections that are not yet, or no longer, anybody else's: their
 * request's head is read, a short answer is sent, or the peer's FIN is awaited.
 * Owns ad_pending, ad_pending_bytes and ad_pendings. Hub thread only.
 *
 * Every phase has a time, and one buffer of AD_PENDING_BYTES serves all: it has
 * the head, and when that was judged, the answer. When all places are taken,
 * the address that has the most of them gives way (shares.c): at once to one that
 * has not half as many, so that it is not kept out; to another one of its own when
 * it has had its grace, so that many who come at once are all served.
 */
#ifndef AD_CORE_PENDING_C
#define AD_CORE_PENDING_C

#include "../codec/answer.c"
#include "../codec/http_head.c"
#include "clients.c"
#include "hub.c"
#include "shares.c"
#include "tls_pump.c"

enum {
    AD_HEAD_MS = 10000,   /* a head not complete by then: 408; after an answer,
                           * a connection without another request: closed */
    AD_WORKER_MS = 30000, /* no worker was free by then: 503 */
    /* So long another one of its address waits for the place of one that keeps us
     * waiting: clients that open many connections may send their heads when all
     * are open. And so long when its address has used that up once. */
    AD_PENDING_GRACE_MS = 50,
    AD_PENDING_SLOW_GRACE_MS = 5,
    /* A connection's buffer; a request's record fits with what stands around it. */
    AD_PENDING_BYTES = AIDASH_HEAD_MAX > AD_RECORD_MAX + 64 ? AIDASH_HEAD_MAX
                                                            : AD_RECORD_MAX + 64
};

enum ad_pending_phase {
    AD_PENDING_FREE,
    AD_PENDING_SILENT,  /* no byte has come */
    AD_PENDING_HEAD,    /* some of a head has come */
    AD_PENDING_READY,   /* a whole head, to be judged */
    AD_PENDING_WAITING, /* judged: a worker is to answer it */
    AD_PENDING_BEHIND,  /* the same, behind another request of its address */
    AD_PENDING_CALLING, /* judged: a callback of the program is to answer it */
    AD_PENDING_ANSWER,  /* an answer is on its way */
    AD_PENDING_LINGER,  /* all is sent: the peer's FIN is awaited */
    AD_PENDING_PHASES
};

struct ad_pending {
    int fd;
    int worker_fd;       /* our end of the pair whose other end a worker has, or
                          * -1; see web/workers.c */
    uint8_t phase;       /* enum ad_pending_phase */
    uint8_t events;      /* that fd is watched for */
    uint8_t worker_events;
    bool begun;          /* its first byte was looked at */
    bool kept;           /* it had an answer already (RFC 9112 9.3) */
    bool throttled;      /* one too many of its address: its head is answered 429 */
    bool answered;       /* some of the worker's answer has come */
    bool head_only;      /* the request's method is HEAD: no answer has a body */
    bool upgrades;       /* it answers a WebSocket handshake; a viewer's slot is
                          * reserved: ad_slot_reserve() */
    bool batch;          /* and the client asks for batches */
    bool waits, refused; /* `upgrades`: see struct ad_attach */
    struct ad_asker who; /* `upgrades`, or CALLING */
    uint16_t before, after; /* in the list of its phase */
    uint32_t since_ms;   /* when it entered the phase; HEAD: when SILENT */
    uint32_t moved_ms;   /* when it entered the phase, or took a byte in it */
    uint64_t sent;       /* bytes taken in this phase */
    uint32_t at, len;    /* bytes of the head; ANSWER: unsent bytes at `at` */
    uint32_t prefix_len; /* `upgrades`: bytes that came behind the head; they
                          * end AIDASH_HEAD_MAX bytes into the buffer */
    /* A long answer: puts its next piece into the buffer, and sets `len`; NULL
     * when there is none. The cursors are its own. */
    void (*more)(struct ad_pending *p);
    uint64_t cursor, last;
    uint64_t address;    /* of the peer, as ad_address_key() has it */
    uint32_t tls;        /* fd is one end of a pair: ad_pump_handle(); 0: plain */
    struct ad_http_find find;
    struct sockaddr_storage peer;
    char client_id[AIDASH_CLIENT_ID_MAX + 1]; /* `upgrades` */
};

static struct ad_pending ad_pending[AIDASH_PENDING];
static char ad_pending_bytes[AIDASH_PENDING][AD_PENDING_BYTES];

static struct {
    struct {
        uint16_t first, last; /* in the order of entering; AD_NO_PLACE: none */
        unsigned n;
    } list[AD_PENDING_PHASES];
    unsigned n_used;          /* places ever used */
    unsigned n;               /* places taken */
    bool evicting; /* somebody is looked for to give way */
    _Atomic uint64_t refused; /* [a] connections and requests */
} ad_pendings;

/* Before each run. */
static void ad_pending_init(void)
{
    unsigned i;

    memset(&ad_pendings, 0, sizeof(ad_pendings));
    for (i = 0; i < AD_PENDING_PHASES; i++) {
        ad_pendings.list[i].first = ad_pendings.list[i].last = AD_NO_PLACE;
    }
}

static unsigned ad_pending_index(const struct ad_pending *p)
{
    return (unsigned)(p - ad_pending);
}

static char *ad_pending_buffer(const struct ad_pending *p)
{
    return ad_pending_bytes[ad_pending_index(p)];
}

/* The one that has been in a phase the longest, or NULL. */
static struct ad_pending *ad_pending_first(enum ad_pending_phase phase)
{
    uint16_t i = ad_pendings.list[phase].first;

    return i == AD_NO_PLACE ? NULL : &ad_pending[i];
}

/* Does its peer keep us waiting: for its head, or for room in its window? */
static bool ad_pending_waits(const struct ad_pending *p)
{
    return p->phase == AD_PENDING_SILENT || p->phase == AD_PENDING_HEAD ||
           (p->phase == AD_PENDING_ANSWER && (p->events & AD_OUT) != 0);
}

/* Its phase, or what it is watched for, has changed. */
static void ad_pending_count(const struct ad_pending *p)
{
    unsigned place = ad_pending_index(p);
    bool waits = ad_pending_waits(p);

    if (waits && !ad_share_has(place)) {
        ad_share_add(place, p->address);
    } else if (!waits && ad_share_has(place)) {
        ad_share_remove(place);
    }
}

/* Does it wait for a worker? */
static bool ad_pending_asks(enum ad_pending_phase phase)
{
    return phase == AD_PENDING_WAITING || phase == AD_PENDING_BEHIND;
}

/* Leave the list of the phase, and enter that of another at its end. */
static void ad_pending_move(struct ad_pending *p, enum ad_pending_phase phase)
{
    uint16_t index = (uint16_t)ad_pending_index(p);

    if (p->before == AD_NO_PLACE) {
        ad_pendings.list[p->phase].first = p->after;
    } else {
        ad_pending[p->before].after = p->after;
    }
    if (p->after == AD_NO_PLACE) {
        ad_pendings.list[p->phase].last = p->before;
    } else {
        ad_pending[p->after].before = p->before;
    }
    ad_pendings.list[p->phase].n--;
    if (ad_pending_asks((enum ad_pending_phase)p->phase)) {
        ad_peers[ad_peer_slot(p->address)].asking--;
    }
    if (ad_pending_asks(phase)) {
        ad_peers[ad_peer_slot(p->address)].asking++;
    }
    p->phase = (uint8_t)phase;
    p->before = ad_pendings.list[phase].last;
    p->after = AD_NO_PLACE;
    if (p->before == AD_NO_PLACE) {
        ad_pendings.list[phase].first = index;
    } else {
        ad_pending[p->before].after = index;
    }
    ad_pendings.list[phase].last = index;
    ad_pendings.list[phase].n++;
    ad_pending_count(p);
}

/* Enter a phase: its time begins now. */
static void ad_pending_enter(struct ad_pending *p, enum ad_pending_phase phase)
{
    ad_pending_move(p, phase);
    p->since_ms = p->moved_ms = ad_hub.now_ms;
    p->sent = 0;
}

/* False if it can't be watched. */
static bool ad_pending_watch(struct ad_pending *p, unsigned want)
{
    bool done = true;

    if (want != p->events) {
        done = ad_poll_set(p->fd, p->events, want, AD_TAG_PENDING,
                           ad_pending_index(p));
        p->events = (uint8_t)want;
        ad_pending_count(p);
    }
    return done;
}

static void ad_pending_watch_worker(struct ad_pending *p, unsigned want)
{
    if (want != p->worker_events) {
        (void)ad_poll_set(p->worker_fd, p->worker_events, want, AD_TAG_WORKER,
                          ad_pending_index(p));
        p->worker_events = (uint8_t)want;
    }
}

/* Its request waits for a worker from now on. */
static void ad_pending_ask(struct ad_pending *p)
{
    bool first = ad_peers[ad_peer_slot(p->address)].asking == 0;

    ad_pending_enter(p, first ? AD_PENDING_WAITING : AD_PENDING_BEHIND);
}

static void ad_pending_close_worker(struct ad_pending *p)
{
    if (p->worker_fd >= 0) {
        ad_pending_watch_worker(p, 0);
        (void)close(p->worker_fd);
        p->worker_fd = -1;
    }
}

/* The handshake does not lead to a viewer. */
static void ad_pending_give_up_slot(struct ad_pending *p)
{
    if (p->upgrades) {
        p->upgrades = false;
        ad_slot_release(0);
    }
}

/* The place is free; the socket is the caller's, and what is in the buffer stays
 * there until the place is taken again. */
static int ad_pending_detach(struct ad_pending *p)
{
    ad_pending_close_worker(p);
    (void)ad_pending_watch(p, 0);
    ad_pending_move(p, AD_PENDING_FREE);
    ad_pendings.n--;
    return p->fd;
}

static void ad_pending_drop(struct ad_pending *p)
{
    ad_pending_give_up_slot(p);
    ad_peer_close(ad_pending_detach(p), p->address);
}

/* End a connection of this address that lingers: it has its answer. False if
 * there is none. */
static bool ad_pending_end_lingering(uint64_t address)
{
    uint16_t i = ad_pendings.list[AD_PENDING_LINGER].first;

    while (i != AD_NO_PLACE) {
        if (ad_pending[i].address == address) {
            ad_pending_drop(&ad_pending[i]);
            return true;
        }
        i = ad_pending[i].after;
    }
    return false;
}

/* How many connections of this address have got all that their worker has written:
 * it is about to end, and they are. */
static unsigned ad_pending_ending(uint64_t address)
{
    uint16_t i = ad_pendings.list[AD_PENDING_ANSWER].first;
    unsigned n = 0;

    for (; i != AD_NO_PLACE; i = ad_pending[i].after) {
        const struct ad_pending *p = &ad_pending[i];

        if (p->address == address && p->worker_fd >= 0 && p->answered &&
            p->at == p->len) {
            n++;
        }
    }
    return n;
}

/* Put a connection into a free place: its request's head is awaited. It is not
 * watched yet: ad_pending_read(). */
static void ad_pending_begin(struct ad_pending *p, int fd, uint64_t address,
                             const struct sockaddr_storage *peer, bool kept)
{
    p->fd = fd;
    p->events = 0;
    p->worker_fd = -1;
    p->worker_events = 0;
    p->begun = kept;
    p->kept = kept;
    p->tls = 0;
    p->throttled = p->answered = p->upgrades = p->batch = p->head_only = false;
    p->waits = p->refused = false;
    p->at = p->len = p->prefix_len = 0;
    p->more = NULL;
    p->address = address;
    p->peer = *peer;
    ad_http_find_begin(&p->find, false, AIDASH_HEAD_MAX);
    ad_pending_enter(p, AD_PENDING_SILENT);
    ad_pendings.n++;
}

/* All is sent: our FIN, then the peer's within AD_LINGER_MS. Closing at once
 * would reset the connection if the peer still sends, and a reset can overtake
 * the end of the answer. */
static void ad_pending_linger(struct ad_pending *p)
{
    ad_pending_close_worker(p);
    (void)shutdown(p->fd, SHUT_WR);
    ad_pending_enter(p, AD_PENDING_LINGER);
    (void)ad_pending_watch(p, AD_IN);
}

/* Send what there is of the answer. False if the connection is gone. */
static bool ad_pending_send(struct ad_pending *p)
{
    ssize_t n;

    while (p->len > 0 || p->more != NULL) {
        if (p->len == 0) {
            p->at = 0;
            p->more(p);
            continue;
        }
        n = send(p->fd, ad_pending_buffer(p) + p->at, p->len, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            (void)ad_pending_watch(p, AD_OUT);
            return true;
        }
        if (n < 0 && errno != EINTR) {
            ad_pending_drop(p);
            return false;
        }
        if (n > 0) {
            p->at += (uint32_t)n;
            p->len -= (uint32_t)n;
            p->sent += (uint64_t)n;
            p->moved_ms = ad_hub.now_ms;
            ad_hub.bytes_sent += (uint64_t)n;
        }
    }
    p->at = 0;
    (void)ad_pending_watch(p, 0);
    return true;
}

/* The answer is in the buffer, `len` bytes of it; p->more brings the rest, if any.
 * Send it, and end the connection. */
static void ad_pending_answer(struct ad_pending *p, size_t len)
{
    p->at = 0;
    p->len = (uint32_t)len;
    if (p->phase != AD_PENDING_ANSWER) {
        ad_pending_enter(p, AD_PENDING_ANSWER);
    }
    if (ad_pending_send(p) && p->len == 0) {
        ad_pending_linger(p);
    }
}

/* Answer with an error. `fields` is whole header lines, or "". */
static void ad_pending_refuse(struct ad_pending *p, unsigned status,
                              const char *fields, const char *why)
{
    char json[AD_REPLY_MAX + AD_REPLY_MAX];
    struct ad_text j = ad_text_in(json, sizeof(json));
    struct ad_text t = ad_text_in(ad_pending_buffer(p), AIDASH_HEAD_MAX);

    ad_pending_give_up_slot(p);
    ad_put_http_error(&j, (int)status, why);
    ad_put_head(&t, (int)status, "application/json", j.len, fields);
    if (!p->head_only) {
        ad_put(&t, j.at, j.len);
    }
    ad_pendings.refused++;
    ad_pending_answer(p, t.len);
}

static void ad_pending_fault(struct ad_pending *p, enum ad_http_fault fault)
{
    ad_pending_refuse(p, ad_http_fault_status(fault),
                      ad_http_fault_fields(fault), ad_http_fault_text(fault));
}

/* Nothing is there now: it is read when more comes. */
static void ad_pending_wait(struct ad_pending *p)
{
    if (!ad_pending_watch(p, AD_IN)) {
        p->events = 0;
        ad_pendings.refused++;
        ad_pending_drop(p);
    }
}

static bool ad_pending_evict(const struct ad_pending *who);

#if AIDASH_TLS

static bool ad_pending_gives_way(const struct ad_pending *p,
                                 const struct ad_pending *who);

/* All TLS sessions are taken: one gives way for `who`. First one that nobody has
 * any more; then, of the address with the most pending places, the one that has kept
 * us waiting the longest. False if there is none, or it has its grace. */
static bool ad_pending_free_session(const struct ad_pending *who)
{
    struct ad_pending *best = NULL;
    unsigned i, most = 0;
    uint32_t tls;

    if (ad_pump_end_gone()) {
        return true;
    }
    for (i = 0; i < ad_pendings.n_used; i++) {
        struct ad_pending *p = &ad_pending[i];
        unsigned n;

        if (p == who || p->phase == AD_PENDING_FREE || p->tls == 0 ||
            !ad_pending_waits(p)) {
            continue;
        }
        n = ad_share_places(p->address);
        if (best == NULL || n > most ||
            (n == most && (int32_t)(p->since_ms - best->since_ms) < 0)) {
            best = p;
            most = n;
        }
    }
    if (best == NULL || !ad_pending_gives_way(best, who)) {
        return false;
    }
    tls = best->tls;
    ad_pendings.refused++;
    ad_pending_drop(best);
    ad_pump_abort(tls);
    return true;
}

/* The first byte is that of a TLS handshake: the session and one end of a pair take
 * the socket's place. False if it goes no further. */
static bool ad_pending_begin_tls(struct ad_pending *p)
{
    uint32_t tls;
    int inner;

    if (ad_pendings.evicting) {
        return false; /* this one is to give way itself */
    }
    (void)ad_pending_watch(p, 0);
    while ((inner = ad_pump_accept(p->fd, &tls)) < 0) {
        if (errno == EBUSY ? !ad_pending_free_session(p)
                           : !((errno == EMFILE || errno == ENFILE) &&
                               ad_pending_evict(p))) {
            ad_pumps.full++;
            ad_pendings.refused++;
            (void)!send(p->fd, ad_tls_alert, sizeof(ad_tls_alert),
                        MSG_NOSIGNAL);
            ad_pending_linger(p);
            return false;
        }
    }
    p->fd = inner;
    p->tls = tls;
    return true;
}

/* With the first byte: is it TLS? False if none is there yet, or the connection goes no
 * further. */
static bool ad_pending_begins(struct ad_pending *p)
{
    unsigned char first;
    ssize_t got;

    if (p->begun || !ad_pumps.serving) {
        return true;
    }
    got = recv(p->fd, &first, 1, MSG_PEEK);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        ad_pending_wait(p); /* what comes before the next recv() may be TLS, too */
        return false;
    }
    if (got != 1) {
        return true; /* what is wrong, the next recv() says */
    }
    if (first == AD_PUMP_HELLO && !ad_pending_begin_tls(p)) {
        return false;
    }
    p->begun = true;
    return true;
}

#else

static bool ad_pending_begins(struct ad_pending *p)
{
    p->begun = true;
    return true;
}

#endif

/* Read more of a head. What comes behind it is the body's beginning: it stays in
 * the buffer, or in the kernel. */
static void ad_pending_read(struct ad_pending *p)
{
    char *buffer = ad_pending_buffer(p);
    enum ad_http_fault fault;
    ssize_t got;

    if (!ad_pending_begins(p)) {
        return;
    }
    got = recv(p->fd, buffer + p->len, AIDASH_HEAD_MAX - p->len, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        ad_pending_wait(p);
        return;
    }
    if (got <= 0) {
        ad_pending_drop(p);
        return;
    }
    ad_hub.bytes_received += (uint64_t)got;
    p->len += (uint32_t)got;
    if (p->phase == AD_PENDING_SILENT) {
        ad_pending_move(p, AD_PENDING_HEAD);
    }
    fault = ad_http_find_next(&p->find, buffer, p->len);
    p->head_only = fault == AD_HTTP_OK &&
                   memcmp(buffer + p->find.start, "HEAD ", 5) == 0;
    if (fault == AD_HTTP_OK && p->throttled) {
        ad_pending_refuse(p, 429, "Retry-After: 1\r\n",
                          "this address opens too many connections a second");
    } else if (fault == AD_HTTP_OK) {
        (void)ad_pending_watch(p, 0);
        ad_pending_enter(p, AD_PENDING_READY);
    } else if (fault != AD_HTTP_MORE) {
        ad_pending_fault(p, fault);
    } else {
        ad_pending_wait(p);
    }
}

/* Does it give way now, for `who` or, if that is NULL, for anybody? */
static bool ad_pending_gives_way(const struct ad_pending *p,
                                 const struct ad_pending *who)
{
    uint32_t ms = ad_hub.now_ms - p->since_ms;

    if (who != NULL && 2 * ad_share_places(who->address) <=
                           ad_share_places(p->address)) {
        return true;
    }
    if (ms >= AD_PENDING_GRACE_MS) {
        ad_share_mark_slow(p->address);
        return true;
    }
    return ms >= AD_PENDING_SLOW_GRACE_MS && ad_share_is_slow(p->address);
}

/* Make a place and a descriptor free, for `who` or, if that is NULL, for anybody:
 * first one that has its answer, then whom shares.c names, unless the rest of its
 * head has come meanwhile. Never those of `who`. False if there is nobody, or the
 * one named has its grace. */
static bool ad_pending_evict(const struct ad_pending *who)
{
    struct ad_pending *p = ad_pending_first(AD_PENDING_LINGER);
    uint16_t place;

    if (p != NULL) {
        ad_pending_drop(p);
        return true;
    }
    while ((place = ad_share_victim()) != AD_NO_PLACE &&
           &ad_pending[place] != who) {
        p = &ad_pending[place];
        if (p->phase != AD_PENDING_ANSWER) {
            ad_pendings.evicting = true;
            ad_pending_read(p);
            ad_pendings.evicting = false;
        }
        if (p->phase == AD_PENDING_FREE) {
            return true;
        }
        if (p->phase == AD_PENDING_LINGER) {
            ad_pending_drop(p);
            return true;
        }
        if (p->phase != AD_PENDING_READY) {
            if (!ad_pending_gives_way(p, who)) {
                return false;
            }
            ad_pendings.refused++;
            ad_pending_drop(p);
            return true;
        }
    }
    return false;
}

/* A free place, or NULL if there is none to be had now. That which was freed last
 * comes first: its pages are there already. */
static struct ad_pending *ad_pending_place(void)
{
    uint16_t i = (uint16_t)ad_pendings.n_used;

    if (ad_pendings.list[AD_PENDING_FREE].n > 0) {
        return &ad_pending[ad_pendings.list[AD_PENDING_FREE].last];
    }
    if (i < AIDASH_PENDING) {
        ad_pending[i].phase = AD_PENDING_FREE;
        ad_pending[i].before = ad_pending[i].after = AD_NO_PLACE;
        ad_pendings.list[AD_PENDING_FREE].first = i;
        ad_pendings.list[AD_PENDING_FREE].last = i;
        ad_pendings.list[AD_PENDING_FREE].n = 1;
        ad_pendings.n_used++;
        return &ad_pending[i];
    }
    return ad_pending_evict(NULL)
               ? &ad_pending[ad_pendings.list[AD_PENDING_FREE].last]
               : NULL;
}

/* What the poller reports of fd. */
static void ad_pending_event(struct ad_pending *p)
{
    char discarded[4096];
    ssize_t got;

    switch (p->phase) {
    case AD_PENDING_SILENT:
    case AD_PENDING_HEAD:
        ad_pending_read(p);
        break;
    case AD_PENDING_ANSWER:
        if (ad_pending_send(p) && p->len == 0 &&
            p->worker_fd < 0) {
            ad_pending_linger(p);
        }
        break;
    case AD_PENDING_LINGER:
        got = recv(p->fd, discarded, sizeof(discarded), 0);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            ad_pending_drop(p);
        }
        break;
    default:
        break;
    }
}

/* Is the time of its phase over? */
static bool ad_pending_is_late(const struct ad_pending *p)
{
    uint32_t ms = ad_hub.now_ms - p->since_ms;

    switch (p->phase) {
    case AD_PENDING_SILENT:
    case AD_PENDING_HEAD:
        return ms >= AD_HEAD_MS;
    case AD_PENDING_WAITING:
    case AD_PENDING_BEHIND:
    case AD_PENDING_CALLING:
        return ms >= AD_WORKER_MS;
    case AD_PENDING_ANSWER:
        return ad_hub.now_ms - p->moved_ms >= AD_STALL_MS ||
               ((p->events & AD_OUT) != 0 &&
                ad_hub_too_slow(p->since_ms, p->sent));
    case AD_PENDING_LINGER:
        return ms >= AD_LINGER_MS;
    default:
        return false;
    }
}

/* End one whose time is over. */
static void ad_pending_expire(struct ad_pending *p)
{
    struct linger reset = {1, 0}; /* gives the kernel's memory back at once */

    if (p->phase == AD_PENDING_HEAD ||
        (p->phase == AD_PENDING_SILENT && !p->kept)) {
        ad_pending_refuse(p, 408, "",
                          "the request head did not arrive in time");
    } else if (ad_pending_asks((enum ad_pending_phase)p->phase)) {
        ad_pending_refuse(p, 503, "Retry-After: 5\r\n",
                          "no worker was free in time");
    } else if (p->phase == AD_PENDING_CALLING ||
               (p->phase == AD_PENDING_ANSWER && p->worker_fd >= 0 &&
                !p->answered)) {
        ad_pending_close_worker(p); /* an answer that still comes is too late */
        ad_pending_refuse(p, 503, "Retry-After: 5\r\n",
                          "there was no answer in time");
    } else {
        if (p->phase == AD_PENDING_ANSWER) {
            (void)setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &reset,
                             sizeof(reset));
        }
        ad_pending_drop(p);
    }
}

/* Once a second: the ends of those whose time is over. */
static void ad_pending_housekeeping(void)
{
    unsigned i;

    for (i = 0; i < ad_pendings.n_used; i++) {
        if (ad_pending_is_late(&ad_pending[i])) {
            ad_pending_expire(&ad_pending[i]);
        }
    }
}

/* aidash stops: all but the answers on their way end now. */
static void ad_pending_stop(void)
{
    unsigned i;

    for (i = 0; i < ad_pendings.n_used; i++) {
        struct ad_pending *p = &ad_pending[i];

        if (p->phase != AD_PENDING_FREE && p->phase != AD_PENDING_ANSWER) {
            ad_pending_drop(p);
        }
    }
}

/* Is an answer on its way? */
static bool ad_pending_answering(void)
{
    return ad_pendings.list[AD_PENDING_ANSWER].n > 0;
}

/* All end now. */
static void ad_pending_close(void)
{
    unsigned i;

    for (i = 0; i < ad_pendings.n_used; i++) {
        if (ad_pending[i].phase != AD_PENDING_FREE) {
            ad_pending_drop(&ad_pending[i]);
        }
    }
}

AD_MEMORY(pending, AIDASH_PENDING, sizeof(ad_pending) + sizeof(ad_pendings));
AD_MEMORY(pending_buffers, AIDASH_PENDING, sizeof(ad_pending_bytes));

#endif
