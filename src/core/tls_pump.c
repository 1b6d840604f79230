/* tls_pump.c - TLS connections as plain ones: between a TCP socket with its session
 * and one end of a socketpair, whose other end is a socket like any other to the rest
 * of the program.
 * Owns ad_pump, ad_pump_rest and ad_pumps. Hub thread only. Only with AIDASH_TLS.
 *
 * Who has the other end grants the times: it closes what is silent or slow, a
 * handshake too, and the TCP connection ends with it. From then on only what is
 * on its way is sent, as long as the peer takes it. A peer that does not read blocks
 * its own pair and nothing else.
 */
#ifndef AD_CORE_TLS_PUMP_C
#define AD_CORE_TLS_PUMP_C

#include "../base/net.c"
#include "../guard/tls.c"
#include "hub.c"

#if AIDASH_TLS

enum {
    AD_PUMP_PIECE = 4096,      /* bytes that are decrypted at once */
    AD_PUMP_TURN = 64 * 1024,  /* of one connection in one turn */
    /* How often a connection is read at once. mbedTLS goes on by itself behind a
     * record without data, as a warning: a peer that sends these as fast as they are
     * read must not have the whole turn. A record takes two. */
    AD_PUMP_READS = 256,
    AD_PUMP_HELLO = 22         /* the first byte of a TLS connection (RFC 8446 5.1) */
};

/* Handshakes may take so long of one turn: a signature takes from 0.5 ms on a PC to
 * 50 ms on a small board. So viewers get their ticks while many connect. */
#define AD_PUMP_HANDSHAKES_NS (5 * AD_NS_PER_MS)

struct ad_pump {
    struct ad_tls *tls; /* NULL: free, or over */
    int fd;             /* TCP */
    int inner;          /* our end of the pair */
    uint8_t events, inner_events; /* that they are watched for */
    bool shaken;        /* the handshake is done */
    bool in_over;       /* the peer sends no more, and the pair's end was told */
    bool out_over;      /* the pair's other end sends no more */
    bool finished;      /* and the peer was told */
    bool blocked;       /* the peer takes no more now */
    bool gone;          /* the pair's other end is closed */
    uint16_t run;       /* counts the connections in this place */
    uint16_t rest_at, rest_len; /* of ad_pump_rest: decrypted, not yet taken */
    uint32_t since_ms;  /* when the pair's other end was closed */
    uint32_t moved_ms;  /* when bytes were last taken, by whichever side */
    uint64_t sent;      /* bytes since since_ms */
    uint64_t born_ns;   /* the turn in which it began */
    const char *fault;  /* why it ended, or NULL */
};

static struct ad_pump ad_pump[AIDASH_TLS_SESSIONS];
static unsigned char ad_pump_rest[AIDASH_TLS_SESSIONS][AD_PUMP_PIECE];

static struct {
    bool serving;         /* TLS connections are accepted */
    uint64_t turn_ns;     /* the turn that handshaken_ns is of */
    uint64_t spent_ns;    /* that its handshakes have taken */
    unsigned reads;       /* of the connection that runs now */
    unsigned char piece[AD_TLS_RECORD]; /* on its way from one side to the other */
    uint64_t accepted; /* handshakes that were done with clients */
    uint64_t failed;   /* and that were not */
    uint64_t full;     /* connections that got no session */
    unsigned open;     /* sessions */
} ad_pumps;

/* Before each run. */
static void ad_pump_init(void)
{
    memset(&ad_pumps, 0, sizeof(ad_pumps));
}

/* ---- a connection, by a number that no later one has soon: 0 is none ---- */

static uint32_t ad_pump_handle(const struct ad_pump *p)
{
    return (uint32_t)p->run << 16 | (uint32_t)(p - ad_pump + 1);
}

static struct ad_pump *ad_pump_of(uint32_t handle)
{
    unsigned place = handle & 0xFFFF;

    return place == 0 || ad_pump[place - 1].run != handle >> 16
               ? NULL
               : &ad_pump[place - 1];
}

/* ---- the TCP side, for tls.c ---- */

static int ad_pump_on_send(void *peer, const unsigned char *bytes, size_t len)
{
    struct ad_pump *p = peer;
    ssize_t n;

    do {
        n = send(p->fd, bytes, len, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        p->moved_ms = ad_hub.now_ms;
        p->sent += (uint64_t)n;
        return (int)n;
    }
    return n < 0 && errno == EAGAIN ? AD_TLS_WANT_WRITE : AD_TLS_FAULT;
}

static int ad_pump_on_recv(void *peer, unsigned char *bytes, size_t len)
{
    struct ad_pump *p = peer;
    ssize_t n;

    if (ad_pumps.reads == AD_PUMP_READS) {
        return AD_TLS_WANT_READ; /* the next turn finds it ready again */
    }
    ad_pumps.reads++;
    do {
        n = recv(p->fd, bytes, len, 0);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        return (int)n;
    }
    return errno == EAGAIN ? AD_TLS_WANT_READ : AD_TLS_FAULT;
}

/* ---- watching ---- */

static void ad_pump_watch(struct ad_pump *p, unsigned want, unsigned inner_want)
{
    unsigned index = (unsigned)(p - ad_pump);

    if (want != p->events) {
        (void)ad_poll_set(p->fd, p->events, want, AD_TAG_TLS, index);
        p->events = (uint8_t)want;
    }
    if (inner_want != p->inner_events) {
        (void)ad_poll_set(p->inner, p->inner_events, inner_want,
                          AD_TAG_TLS_INNER, index);
        p->inner_events = (uint8_t)inner_want;
    }
}

/* Close both sides; `fault`: why, or NULL. */
static void ad_pump_end(struct ad_pump *p, const char *fault)
{
    ad_pump_watch(p, 0, 0);
    (void)close(p->fd);
    (void)close(p->inner);
    ad_tls_free(p->tls);
    p->tls = NULL;
    p->fault = fault;
    ad_pumps.open--;
}

/* ---- both ways ---- */

/* Go on with the handshake. False if it goes no further now; *wait is what for. */
static bool ad_pump_shake(struct ad_pump *p, unsigned *wait)
{
    uint64_t begin_ns;
    int result;

    *wait = p->events != 0 ? p->events : AD_IN;
    if (ad_pumps.turn_ns != ad_hub.now_ns) {
        ad_pumps.turn_ns = ad_hub.now_ns;
        ad_pumps.spent_ns = 0;
    }
    if (ad_pumps.spent_ns >= AD_PUMP_HANDSHAKES_NS) {
        return false; /* the next turn finds it ready again */
    }
    begin_ns = ad_clock_ns(CLOCK_MONOTONIC);
    result = ad_tls_handshake(p->tls);
    ad_pumps.spent_ns += ad_clock_ns(CLOCK_MONOTONIC) - begin_ns;
    if (result == 0) {
        p->shaken = true;
        if (!p->tls->client) {
            ad_pumps.accepted++;
        }
        return true;
    }
    if (result == AD_TLS_WANT_READ || result == AD_TLS_WANT_WRITE) {
        *wait = result == AD_TLS_WANT_READ ? AD_IN : AD_OUT;
    } else {
        if (!p->tls->client) {
            ad_pumps.failed++;
        }
        ad_pump_end(p, ad_tls_why(p->tls));
    }
    return false;
}

/* Give the pair what was decrypted. False if it does not take all. */
static bool ad_pump_give(struct ad_pump *p, const unsigned char *bytes, size_t len)
{
    unsigned char *rest = ad_pump_rest[p - ad_pump];
    ssize_t n = p->gone ? (ssize_t)len : send(p->inner, bytes, len, MSG_NOSIGNAL);

    if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)) {
        n = 0;
    } else if (n < 0) { /* nobody reads any more: the poller reports that, too */
        p->rest_len = 0;
        return true;
    }
    if (n > 0) {
        p->moved_ms = ad_hub.now_ms;
    }
    if ((size_t)n == len) {
        p->rest_len = 0;
        return true;
    }
    memmove(rest, bytes + n, len - (size_t)n);
    p->rest_at = 0;
    p->rest_len = (uint16_t)(len - (size_t)n);
    return false;
}

/* From the peer to the pair. False if the connection is over. */
static bool ad_pump_in(struct ad_pump *p)
{
    size_t moved = 0;
    int n;

    if (p->rest_len > 0 &&
        !ad_pump_give(p, ad_pump_rest[p - ad_pump] + p->rest_at, p->rest_len)) {
        return true;
    }
    while (!p->in_over && (moved < AD_PUMP_TURN ||
                           mbedtls_ssl_check_pending(&p->tls->ssl) != 0)) {
        n = ad_tls_read(p->tls, ad_pumps.piece, AD_PUMP_PIECE);
        if (n > 0) {
            moved += (size_t)n;
            if (!ad_pump_give(p, ad_pumps.piece, (size_t)n)) {
                return true;
            }
        } else if (n == AD_TLS_WANT_READ) {
            return true;
        } else if (n == AD_TLS_CLOSED) {
            p->in_over = true;
            p->moved_ms = ad_hub.now_ms;
            (void)shutdown(p->inner, SHUT_WR);
        } else {
            ad_pump_end(p, ad_tls_why(p->tls));
            return false;
        }
    }
    return true;
}

/* From the pair to the peer. False if the connection is over. */
static bool ad_pump_out(struct ad_pump *p)
{
    size_t moved = 0;
    int result = ad_tls_flush(p->tls);

    while (result >= 0 && !p->out_over && (p->gone || moved < AD_PUMP_TURN)) {
        ssize_t n = recv(p->inner, ad_pumps.piece, sizeof(ad_pumps.piece), 0);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            break;
        }
        if (n <= 0) {
            p->out_over = true;
            p->moved_ms = ad_hub.now_ms;
        } else {
            moved += (size_t)n;
            result = ad_tls_write(p->tls, ad_pumps.piece, (size_t)n);
        }
    }
    if (result >= 0 && p->out_over && !p->finished) {
        result = ad_tls_close_notify(p->tls);
        if (result == 0) {
            p->finished = true;
            p->since_ms = ad_hub.now_ms;
            (void)shutdown(p->fd, SHUT_WR);
        }
    }
    if (result < 0 && result != AD_TLS_WANT_WRITE) {
        ad_pump_end(p, ad_tls_why(p->tls));
        return false;
    }
    p->blocked = result == AD_TLS_WANT_WRITE;
    return true;
}

/* All has gone to the peer, and nobody reads what comes: its FIN is awaited, as a
 * close at once would reset the connection. False if it has come. */
static bool ad_pump_drain(struct ad_pump *p)
{
    ssize_t n = recv(p->fd, ad_pumps.piece, sizeof(ad_pumps.piece), 0);

    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) {
        return true;
    }
    ad_pump_end(p, NULL);
    return false;
}

/* Do what can be done, and watch for the rest. */
static void ad_pump_run(struct ad_pump *p)
{
    unsigned wait, want = 0, inner_want = 0;

    ad_pumps.reads = 0;
    if (!p->shaken && !ad_pump_shake(p, &wait)) {
        if (p->tls != NULL) {
            ad_pump_watch(p, wait, p->gone ? 0 : AD_RESET);
        }
        return;
    }
    if (p->gone && p->finished) {
        if (ad_pump_drain(p)) {
            ad_pump_watch(p, AD_IN, 0);
        }
        return;
    }
    if ((!p->gone && !ad_pump_in(p)) || !ad_pump_out(p)) {
        return;
    }
    if (p->in_over && p->finished && p->rest_len == 0) {
        ad_pump_end(p, NULL);
        return;
    }
    if (p->blocked) {
        want |= AD_OUT;
    }
    if (!p->in_over && p->rest_len == 0 && (!p->gone || p->finished)) {
        want |= AD_IN;
    }
    if (!p->gone) {
        if (!p->out_over && !p->blocked) {
            inner_want |= AD_IN;
        }
        if (p->rest_len > 0) {
            inner_want |= AD_OUT;
        }
        inner_want = inner_want == 0 ? AD_RESET : inner_want;
    }
    ad_pump_watch(p, want == 0 ? AD_RESET : want, inner_want);
}

/* The poller reports the TCP socket. */
static void ad_pump_outer_event(struct ad_pump *p, unsigned events)
{
    if ((events & AD_HUP) != 0 && (p->events & AD_IN) == 0) {
        ad_pump_end(p, "the connection was reset"); /* there is nothing to read */
        return;
    }
    ad_pump_run(p);
}

/* The poller reports our end of the pair. */
static void ad_pump_inner_event(struct ad_pump *p, unsigned events)
{
    if ((events & AD_HUP) != 0 && !p->gone) {
        p->gone = true;
        p->rest_len = 0;
        p->since_ms = p->moved_ms = ad_hub.now_ms;
        p->sent = 0;
        if (!p->shaken) {
            ad_pump_end(p, "the handshake took too long");
            return;
        }
    }
    ad_pump_run(p);
}

static void ad_pump_event(const struct ad_ready *ready)
{
    struct ad_pump *p = &ad_pump[ready->index];

    if (p->tls == NULL || p->born_ns == ad_hub.now_ns) {
        return; /* this is of one that ended in this turn */
    }
    if (ready->tag == AD_TAG_TLS) {
        ad_pump_outer_event(p, ready->events);
    } else {
        ad_pump_inner_event(p, ready->events);
    }
}

/* Is its time over? */
static bool ad_pump_is_late(const struct ad_pump *p)
{
    uint32_t idle_ms = ad_hub.now_ms - p->moved_ms;

    if (!p->gone) {
        return false; /* its owner grants the times */
    }
    return p->finished ? ad_hub.now_ms - p->since_ms >= AD_LINGER_MS
                       : idle_ms >= AD_STALL_MS ||
                             ad_hub_too_slow(p->since_ms, p->sent);
}

/* Once a second. */
static void ad_pump_housekeeping(void)
{
    unsigned i;

    for (i = 0; i < ad_tls.n_used; i++) {
        if (ad_pump[i].tls != NULL && ad_pump_is_late(&ad_pump[i])) {
            ad_pump_end(&ad_pump[i], "the peer took no more bytes");
        }
    }
}

/* ---- the beginning ---- */

/* Put a session and a socket together. Returns the end of the pair for the rest of
 * the program, or -1 with errno set: then `fd` and the session are as before. */
static int ad_pump_begin(struct ad_tls *tls, int fd, bool connecting)
{
    struct ad_pump *p = &ad_pump[tls - ad_tls_session];
    uint16_t run = (uint16_t)(p->run + 1);
    int pair[2];

    if (!ad_socket_pair(pair)) {
        return -1;
    }
    memset(p, 0, sizeof(*p));
    p->run = run;
    p->tls = tls;
    p->fd = fd;
    p->inner = pair[0];
    p->moved_ms = ad_hub.now_ms;
    p->born_ns = ad_hub.now_ns;
    tls->io.peer = p;
    ad_pumps.open++;
    ad_pump_watch(p, connecting ? AD_OUT : AD_IN, AD_RESET);
    return pair[1];
}

static const struct ad_tls_io ad_pump_io = {ad_pump_on_send, ad_pump_on_recv, NULL};

/* The client of this accepted socket, whose first byte is AD_PUMP_HELLO and still to
 * be read, gets a session. Returns the end of the pair that stands for the
 * connection from now on, and its handle; -1 with errno set: EBUSY if there is no
 * session. Then fd is still the caller's. */
static int ad_pump_accept(int fd, uint32_t *handle)
{
    struct ad_tls *tls = ad_tls_accept(&ad_pump_io);
    int inner, error, bytes = AIDASH_SEND_BUFFER;

    if (tls == NULL) {
        errno = EBUSY;
        return -1;
    }
    inner = ad_pump_begin(tls, fd, false);
    if (inner < 0) {
        error = errno;
        ad_tls_free(tls);
        errno = error;
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    *handle = ad_pump_handle(&ad_pump[tls - ad_tls_session]);
    return inner;
}

/* The TCP socket of a connection, whose peer is the client; -1: it is over. */
static int ad_pump_socket(uint32_t handle)
{
    const struct ad_pump *p = ad_pump_of(handle);

    return p != NULL && p->tls != NULL ? p->fd : -1;
}

/* End it now: its session is free for another one. */
static void ad_pump_abort(uint32_t handle)
{
    struct ad_pump *p = ad_pump_of(handle);

    if (p != NULL && p->tls != NULL) {
        ad_pump_end(p, NULL);
    }
}

/* End one that nobody has any more, and only sends its rest. False if there is
 * none. */
static bool ad_pump_end_gone(void)
{
    struct ad_pump *oldest = NULL;
    unsigned i;

    for (i = 0; i < ad_tls.n_used; i++) {
        struct ad_pump *p = &ad_pump[i];

        if (p->tls != NULL && p->gone &&
            (oldest == NULL ||
             (int32_t)(p->since_ms - oldest->since_ms) < 0)) {
            oldest = p;
        }
    }
    if (oldest != NULL) {
        ad_pump_end(oldest, NULL);
    }
    return oldest != NULL;
}

/* All end now, with what can be sent at once. */
static void ad_pump_close(void)
{
    unsigned i;

    for (i = 0; i < ad_tls.n_used; i++) {
        struct ad_pump *p = &ad_pump[i];

        if (p->tls != NULL && (!p->shaken || ad_pump_out(p))) {
            ad_pump_end(p, NULL);
        }
    }
}

AD_MEMORY(tls_pump, AIDASH_TLS_SESSIONS,
          sizeof(ad_pump) + sizeof(ad_pump_rest) + sizeof(ad_pumps));

#endif

#endif
