/* dial.c - a connection to an engine: to the first of its addresses that takes one.
 * All of aidash's own connections are made here.
 * Owns nothing: the state of a connection is the caller's. Hub thread, or the main
 * thread when there is no hub (doctor, bench).
 */
#ifndef AD_METER_DIAL_C
#define AD_METER_DIAL_C

#include "../core/poller.c"
#include "upstreams.c"

#if AIDASH_METER

enum {
    AD_CONNECT_MS = 5000, /* for a connection to one address of an engine */
    AD_DIAL_IDLE_S = 60   /* then an engine's host is asked whether it is there */
};

enum ad_dial_step {
    AD_DIAL_CLOSED,
    AD_DIAL_NONE,     /* no address is left */
    AD_DIAL_LACKS,    /* we have no descriptor or memory for a socket, which says
                       * nothing of the engine */
    AD_DIAL_CONNECTS, /* the socket becomes writable, and ad_dial_ready() goes on */
    AD_DIAL_OPEN      /* bytes may pass */
};

/* All zeros: closed. */
struct ad_dial {
    const struct ad_upstream *upstream;
    int fd;         /* open in the steps from AD_DIAL_CONNECTS on */
    uint8_t step;   /* enum ad_dial_step */
    uint8_t next;   /* the number of the engine's address that is tried next */
    uint8_t events; /* what the hub's poller watches for */
};

/* Is there a descriptor? */
static bool ad_dial_has_fd(const struct ad_dial *d)
{
    return d->step >= AD_DIAL_CONNECTS;
}

/* Let the hub's poller watch the descriptor, if there is one, for `wants`. Hub
 * thread. */
static void ad_dial_watch(struct ad_dial *d, unsigned wants, enum ad_tag tag,
                          unsigned index)
{
    if (ad_dial_has_fd(d) && wants != d->events) {
        (void)ad_poll_set(d->fd, d->events, wants, tag, index);
        d->events = (uint8_t)wants;
    }
}

static void ad_dial_close(struct ad_dial *d)
{
    if (ad_dial_has_fd(d)) {
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
static void ad_dial_begin(struct ad_dial *d, const struct ad_upstream *upstream)
{
    ad_dial_close(d);
    d->upstream = upstream;
    d->next = 0;
    ad_dial_next(d);
}

/* The descriptor is ready, in the step CONNECTS: is it connected? If not, the next
 * address is tried. */
static void ad_dial_ready(struct ad_dial *d)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0) {
        d->step = AD_DIAL_OPEN;
    } else {
        ad_dial_next(d);
    }
}

#endif /* AIDASH_METER */

#endif
