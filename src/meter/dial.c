/* dial.c - a connection to an engine: to the first of its addresses that takes one,
 * and through TLS where its URL has https. All of aidash's own connections are made
 * here, and their bytes pass here.
 * Owns nothing: the state of a connection is the caller's. Hub thread, or the main
 * thread when there is no hub (doctor, bench).
 * Always: no byte is sent before the engine's certificate is accepted.
 *
 * A TLS session has no socket of its own beside the connection's: its bytes are
 * read from that straight into the caller's buffer, a record at a time. A buffer of
 * AD_DIAL_READ_MIN bytes takes a whole one, so that none stays where the poller does
 * not see it.
 */
#ifndef AD_METER_DIAL_C
#define AD_METER_DIAL_C

#include "../core/poller.c"
#include "../guard/tls.c"
#include "upstreams.c"

#if AD_DIALS

enum {
    AD_CONNECT_MS = 5000, /* for a connection to one address of an engine; and for
                           * the beginning of TLS */
    AD_DIAL_IDLE_S = 60,  /* then an engine's host is asked whether it is there */
    AD_DIAL_READ_MIN = 16384, /* RFC 8446 5.1 */
    AD_DIAL_WHY_MAX = sizeof(struct ad_trust_verdict) + 8
};

enum ad_dial_step {
    AD_DIAL_CLOSED,
    AD_DIAL_NONE,     /* no address is left */
    AD_DIAL_LACKS,    /* we have no descriptor or memory for a socket, or no TLS
                       * session, which says nothing of the engine */
    AD_DIAL_CONNECTS, /* ad_dial_ready() goes on */
    AD_DIAL_SHAKES,   /* likewise: TLS begins */
    AD_DIAL_OPEN      /* bytes may pass */
};

/* All zeros: closed. */
struct ad_dial {
    struct ad_upstream *upstream;
    struct ad_tls *tls; /* NULL: none */
    int fd;         /* open in the steps from AD_DIAL_CONNECTS on */
    uint8_t step;   /* enum ad_dial_step */
    uint8_t next;   /* the number of the engine's address that is tried next */
    uint8_t events; /* what the hub's poller watches for */
    bool writes;    /* TLS has bytes to send before anything else */
    bool refused;   /* upstream->refused says why TLS did not begin */
};

/* Is there a descriptor? */
static bool ad_dial_has_fd(const struct ad_dial *d)
{
    return d->step >= AD_DIAL_CONNECTS;
}

/* What ad_dial_ready() waits for. */
static unsigned ad_dial_wants(const struct ad_dial *d)
{
    return d->step == AD_DIAL_CONNECTS || d->writes ? AD_OUT : AD_IN;
}

/* Let the hub's poller watch the descriptor, if there is one, for `wants`. Hub
 * thread. */
static void ad_dial_watch(struct ad_dial *d, unsigned wants, enum ad_tag tag,
                          unsigned index)
{
    if (d->writes && wants != 0) {
        wants |= AD_OUT;
    }
    if (ad_dial_has_fd(d) && wants != d->events) {
        (void)ad_poll_set(d->fd, d->events, wants, tag, index);
        d->events = (uint8_t)wants;
    }
}

/* ---- TLS ---- */

#if AIDASH_TLS

/* mbedTLS sends and receives: `peer` is the descriptor. */
static int ad_dial_tls_send(void *peer, const unsigned char *bytes, size_t len)
{
    ssize_t n = send((int)(intptr_t)peer, bytes, len, MSG_NOSIGNAL);

    if (n >= 0) {
        return (int)n;
    }
    return errno == EAGAIN || errno == EINTR ? AD_TLS_WANT_WRITE : AD_TLS_FAULT;
}

static int ad_dial_tls_recv(void *peer, unsigned char *bytes, size_t len)
{
    ssize_t n = recv((int)(intptr_t)peer, bytes, len, 0);

    if (n >= 0) {
        return (int)n;
    }
    return errno == EAGAIN || errno == EINTR ? AD_TLS_WANT_READ : AD_TLS_FAULT;
}

/* Note why TLS does not begin; `advice`: what to do, or "". */
static void ad_dial_refuse(struct ad_dial *d, const char *fact, const char *advice)
{
    struct ad_trust_verdict *why = &d->upstream->refused;

    d->refused = true;
    (void)snprintf(why->fact, sizeof(why->fact), "%s", fact);
    (void)snprintf(why->advice, sizeof(why->advice), "%s", advice);
}

/* Go on with the handshake. Returns the step that this leads to, CLOSED if there
 * will be no TLS. */
static enum ad_dial_step ad_dial_tls_shake(struct ad_dial *d)
{
    struct ad_trust_verdict why;
    int rc = ad_tls_handshake(d->tls);

    d->writes = rc == AD_TLS_WANT_WRITE;
    if (rc == AD_TLS_WANT_WRITE || rc == AD_TLS_WANT_READ) {
        return AD_DIAL_SHAKES;
    }
    if (rc != 0) {
        if (!d->upstream->old_tls && ad_tls_is_old(d->tls)) {
            d->upstream->old_tls = true;
            d->next--; /* to the same address again */
        } else {
            d->upstream->old_tls = false; /* it may have changed */
            ad_dial_refuse(d, ad_tls_why(d->tls), "");
        }
        return AD_DIAL_CLOSED;
    }
    if (!ad_tls_believes(d->tls, &why)) {
        ad_dial_refuse(d, why.fact, why.advice);
        return AD_DIAL_CLOSED;
    }
    return AD_DIAL_OPEN;
}

/* The socket is connected. */
static enum ad_dial_step ad_dial_tls_begin(struct ad_dial *d)
{
    const struct ad_tls_io io = {ad_dial_tls_send, ad_dial_tls_recv,
                                 (void *)(intptr_t)d->fd};

    if (!d->upstream->url.tls) {
        return AD_DIAL_OPEN;
    }
    d->tls = ad_tls_connect(&io, d->upstream->url.host, d->upstream->old_tls);
    return d->tls != NULL ? ad_dial_tls_shake(d) : AD_DIAL_LACKS;
}

/* Send what TLS still has to send, before anything else. False if it can't yet. */
static bool ad_dial_tls_flush(struct ad_dial *d)
{
    if (d->writes) {
        d->writes = ad_tls_flush(d->tls) == AD_TLS_WANT_WRITE;
    }
    return !d->writes;
}

static ssize_t ad_dial_tls_write(struct ad_dial *d, const void *bytes, size_t len)
{
    int n;

    if (!ad_dial_tls_flush(d)) {
        errno = EAGAIN;
        return -1;
    }
    if (len > AD_TLS_RECORD) {
        len = AD_TLS_RECORD;
    }
    n = ad_tls_write(d->tls, bytes, len);
    d->writes = n == AD_TLS_WANT_WRITE;
    if (d->writes) {
        return (ssize_t)len; /* it has them */
    }
    if (n < 0) {
        errno = EPIPE;
    }
    return n < 0 ? -1 : n;
}

static ssize_t ad_dial_tls_read(struct ad_dial *d, void *bytes, size_t cap)
{
    int n;

    (void)ad_dial_tls_flush(d);
    n = ad_tls_read(d->tls, bytes, cap);
    if (n > 0) {
        return n;
    }
    if (n == AD_TLS_CLOSED && !d->tls->cut) {
        return 0;
    }
    errno = n == AD_TLS_WANT_READ ? EAGAIN : ECONNRESET;
    return -1;
}

/* Free the session, if there is one; where the connection is in order, its end is
 * told, as far as the socket takes that. */
static void ad_dial_tls_end(struct ad_dial *d)
{
    if (d->tls != NULL) {
        if (d->step == AD_DIAL_OPEN && ad_dial_tls_flush(d)) {
            (void)ad_tls_close_notify(d->tls);
        }
        ad_tls_free(d->tls);
        d->tls = NULL;
    }
    d->writes = false;
}

#endif

/* ---- connecting ---- */

static void ad_dial_close(struct ad_dial *d)
{
    if (ad_dial_has_fd(d)) {
#if AIDASH_TLS
        ad_dial_tls_end(d);
#endif
        ad_dial_watch(d, 0, AD_TAG_PROXY_UPSTREAM, 0);
        (void)close(d->fd);
    }
    d->step = AD_DIAL_CLOSED;
}

/* Begin to connect to an address. Returns the step that this leads to, CLOSED if it
 * is not possible at all. */
static enum ad_dial_step ad_dial_connect(struct ad_dial *d, const struct ad_address *a)
{
    d->fd = socket(a->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                   0);
    if (d->fd < 0) {
        return errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
                       errno == ENOMEM
                   ? AD_DIAL_LACKS
                   : AD_DIAL_CLOSED;
    }
    if (connect(d->fd, (const struct sockaddr *)&a->storage, a->len) == 0 ||
        errno == EINPROGRESS) {
        ad_socket_tune(d->fd, AD_DIAL_IDLE_S);
        return AD_DIAL_CONNECTS;
    }
    (void)close(d->fd);
    return AD_DIAL_CLOSED;
}

/* Give this address up and connect to the next one to which that is possible. */
static void ad_dial_next(struct ad_dial *d)
{
    ad_dial_close(d);
    while (d->step == AD_DIAL_CLOSED) {
        d->step = (uint8_t)(d->next < d->upstream->n_addresses
                                ? ad_dial_connect(d, &d->upstream->addresses[d->next])
                                : AD_DIAL_NONE);
        d->next++;
    }
}

/* Connect to an engine's first address. What *d had is closed. */
static void ad_dial_begin(struct ad_dial *d, struct ad_upstream *upstream)
{
    ad_dial_close(d);
    d->upstream = upstream;
    d->next = 0;
    d->refused = false;
    ad_dial_next(d);
}

/* It takes too long: close it. */
static void ad_dial_give_up(struct ad_dial *d)
{
#if AIDASH_TLS
    if (d->step == AD_DIAL_SHAKES) {
        ad_dial_refuse(d, "it did not begin TLS in time", "");
    }
#endif
    ad_dial_close(d);
}

/* An address has not answered for too long: try the next one. */
static void ad_dial_late(struct ad_dial *d)
{
    ad_dial_give_up(d);
    ad_dial_next(d);
}

/* The descriptor is ready for what ad_dial_wants() says, before the step is OPEN: go
 * on. Where it can't, the next address is tried. */
static void ad_dial_ready(struct ad_dial *d)
{
    enum ad_dial_step step = AD_DIAL_CLOSED;
    int error = 0;
    socklen_t len = sizeof(error);

    if (d->step == AD_DIAL_CONNECTS) {
        if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0) {
#if AIDASH_TLS
            step = ad_dial_tls_begin(d);
#else
            step = AD_DIAL_OPEN;
#endif
        }
#if AIDASH_TLS
    } else if (d->step == AD_DIAL_SHAKES) {
        step = ad_dial_tls_shake(d);
#endif
    }
    if (step == AD_DIAL_CLOSED) {
        ad_dial_next(d);
        return;
    }
    if (step == AD_DIAL_LACKS) {
        ad_dial_close(d);
    }
    d->step = (uint8_t)step;
}

/* Why there is no connection: for everybody, the end of a sentence; "": it can't be
 * reached. */
static const char *ad_dial_fact(const struct ad_dial *d)
{
    return d->refused ? d->upstream->refused.fact : "";
}

/* The same for the log, with what to do, behind ": "; "" if there is nothing. */
static AD_UNUSED const char *ad_dial_why(const struct ad_dial *d, char out[AD_DIAL_WHY_MAX])
{
    const struct ad_trust_verdict *why = &d->upstream->refused;

    out[0] = '\0';
    if (d->refused) {
        (void)snprintf(out, AD_DIAL_WHY_MAX, ": %s%s%s", why->fact, why->advice[0] != '\0' ? "; " : "",
                       why->advice);
    }
    return out;
}

/* ---- bytes ---- */

/* Send, as send() does. */
static ssize_t ad_dial_send(struct ad_dial *d, const void *bytes, size_t len)
{
#if AIDASH_TLS
    if (d->tls != NULL) {
        return ad_dial_tls_write(d, bytes, len);
    }
#endif
    return send(d->fd, bytes, len, MSG_NOSIGNAL);
}

/* Receive, as recv() does, up to `cap` bytes, AD_DIAL_READ_MIN at least. An end
 * without TLS's own (RFC 8446 6.1) is an error: something may lack. */
static ssize_t ad_dial_recv(struct ad_dial *d, void *bytes, size_t cap)
{
#if AIDASH_TLS
    if (d->tls != NULL) {
        return ad_dial_tls_read(d, bytes, cap);
    }
#endif
    return recv(d->fd, bytes, cap, 0);
}

/* We send no more. */
static AD_UNUSED void ad_dial_shut(struct ad_dial *d)
{
#if AIDASH_TLS
    if (d->tls != NULL) {
        if (ad_dial_tls_flush(d)) {
            d->writes = ad_tls_close_notify(d->tls) == AD_TLS_WANT_WRITE;
        }
        return;
    }
#endif
    (void)shutdown(d->fd, SHUT_WR);
}

/* TLS has sent what it could not send before: what the poller waits for changes. */
static bool ad_dial_flushed(struct ad_dial *d)
{
#if AIDASH_TLS
    return d->writes && d->step == AD_DIAL_OPEN && ad_dial_tls_flush(d);
#else
    (void)d;
    return false;
#endif
}

#endif /* AD_DIALS */

#endif
