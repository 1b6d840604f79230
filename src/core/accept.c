/* accept.c - the acceptor: from the listening sockets to a pending connection.
 * Owns ad_acceptor. Hub thread only, but for what is set at start.
 *
 * As long as somebody gives way, a place is free and AD_SPARES descriptors are in
 * reserve: so a newcomer is taken in at once, its head is read, and only then it is
 * decided who goes.
 */
#ifndef AD_CORE_ACCEPT_C
#define AD_CORE_ACCEPT_C

#include "../guard/throttle.c"
#include "access.c"
#include "pending.c"

enum {
    AD_LISTENERS = 8,  /* --listen may be given so often */
    AD_REST_MS = 50,   /* nothing can be accepted: tried again after that */
    AD_FULL_REST_MS = 5, /* likewise where others may give way by then */
    /* Connections accepted in a turn: when all places are taken, not so many that
     * one of them loses its place before the next turn, which reads its head. */
    AD_ACCEPTS = AIDASH_PENDING < 128 ? AIDASH_PENDING / 2 : 64,
    /* While an address floods us, connections are taken from the kernel in bulk: so
     * many at a time, and after that nothing for so long. */
    AD_RESETS = 256,
    AD_FLOOD_REST_MS = 4,
    /* Connections in the kernel's queue: beyond them it drops a SYN, which comes
     * again after a second. Linux takes net.core.somaxconn if that is less. */
    AD_BACKLOG = 4096,
    AD_SPARES = 5,     /* descriptors kept for when there are no others: for one
                        * connection, and for the socketpairs of two workers */
    AD_WARN_MS = 60000 /* a warning is repeated so often at most */
};

static struct {
    unsigned per_address; /* [I] connections from one address; 0: no limit */
    unsigned n_listen;    /* [I] of the addresses to listen on */
    char listen[AD_LISTENERS][64];  /* [I] */
    unsigned n_listeners;           /* [I] of the sockets */
    int listeners[AD_LISTENERS];    /* [I] */
    unsigned ports[AD_LISTENERS];   /* [I] */
    bool accepting; /* false: no place, descriptor or memory, until again_ns */
    bool full;      /* it is a place that lacked: until one is free */
    uint64_t again_ns;
    unsigned n_spares;
    int spares[AD_SPARES]; /* of /dev/null */
    bool warned; /* that no descriptor was left, at warned_ms */
    uint32_t warned_ms;
    uint64_t accepted;
} ad_acceptor;

/* Does a listener take connections from beyond this machine? Any thread, once the
 * listeners are set. */
static bool ad_acceptor_reachable(void)
{
    unsigned i;

    for (i = 0; i < ad_acceptor.n_listen; i++) {
        const char *spec = ad_acceptor.listen[i];
        struct ad_http_host host;

        if (!ad_http_host_parse(&host, (struct ad_slice){spec, ad_spec_host(spec)}) ||
            !ad_access_host_is_loopback(&host)) {
            return true;
        }
    }
    return false;
}

/* Accept connections, or leave them in the kernel's queue for AD_REST_MS. */
static void ad_listeners_watch(bool on)
{
    unsigned i;

    for (i = 0; i < ad_acceptor.n_listeners && on != ad_acceptor.accepting;
         i++) {
        (void)ad_poll_set(ad_acceptor.listeners[i], on ? 0 : AD_IN,
                          on ? AD_IN : 0, AD_TAG_LISTENER, i);
    }
    ad_acceptor.accepting = on;
    ad_acceptor.again_ns = ad_hub.now_ns + AD_REST_MS * AD_NS_PER_MS;
}

/* Stop accepting for a while: for a place (`full`), or for something else. */
static void ad_acceptor_rest(bool full)
{
    ad_acceptor.full = full;
    ad_listeners_watch(false);
    if (ad_share_victim() != AD_NO_PLACE) {
        ad_acceptor.again_ns = ad_hub.now_ns + AD_FULL_REST_MS * AD_NS_PER_MS;
    }
}

/* Fill the reserve of descriptors, as far as there are any. True if it is full. */
static bool ad_spares_fill(void)
{
    while (ad_acceptor.n_spares < AD_SPARES) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        if (fd < 0) {
            return false;
        }
        ad_acceptor.spares[ad_acceptor.n_spares++] = fd;
    }
    return true;
}

/* Free n of them. False if there are fewer. */
static bool ad_spares_use(unsigned n)
{
    if (ad_acceptor.n_spares < n) {
        return false;
    }
    while (n-- > 0) {
        (void)close(ad_acceptor.spares[--ad_acceptor.n_spares]);
    }
    return true;
}

/* If the reserve was used for `who`, fill it again: others give way for that. True
 * if it is full. */
static bool ad_spares_regain(const struct ad_pending *who)
{
    while (!ad_spares_fill()) {
        if (!ad_pending_evict(who)) {
            return false;
        }
    }
    return true;
}

/* Accept again, when there is what lacked. Each turn. */
static void ad_acceptor_run(void)
{
    (void)ad_spares_fill();
    if (!ad_hub.stopping && !ad_acceptor.accepting &&
        (ad_hub.now_ns >= ad_acceptor.again_ns ||
         (ad_acceptor.full && ad_pendings.n < AIDASH_PENDING))) {
        ad_listeners_watch(true);
    }
}

/* When that is; UINT64_MAX: it accepts, or never will. */
static uint64_t ad_acceptor_deadline(void)
{
    return ad_acceptor.accepting || ad_hub.stopping ? UINT64_MAX
                                                    : ad_acceptor.again_ns;
}

/* May one more connection of the address be served? */
static bool ad_acceptor_serves(uint64_t address,
                               const struct sockaddr_storage *peer)
{
    return ad_address_is_own(address) ||
           (ad_access.n_proxies > 0 && ad_access_trusted(peer)) ||
           ad_throttle_take(AD_BUDGET_CONNECT, address, ad_hub.now_ns);
}

/* A connection was accepted. Of those that are too many for their address, so many
 * a second are told so; the rest is reset at once, which is what costs the least:
 * then this returns false. */
static bool ad_acceptor_take(struct ad_pending *p, int fd,
                             const struct sockaddr_storage *peer)
{
    uint64_t address = ad_address_key(peer);
    bool serves = ad_acceptor_serves(address, peer);
    unsigned n;
    unsigned most = ad_acceptor.per_address != 0 ? ad_acceptor.per_address
                                                 : UINT32_MAX;

    ad_acceptor.accepted++;
    if (!serves && !ad_throttle_take(AD_BUDGET_REFUSE, address, ad_hub.now_ns)) {
        ad_socket_reset(fd);
        return false;
    }
    n = ad_peer_open(address);
    ad_pending_begin(p, fd, address, peer, false);
    p->throttled = !serves;
#ifndef __linux__
    ad_socket_tune(fd, AD_SILENCE_MS / 1000);
#endif
    while (n > most && ad_pending_end_lingering(address)) {
        n--;
    }
    if (n > most && n - most > ad_pending_ending(address)) {
        ad_pending_refuse(p, 503, "Retry-After: 5\r\n",
                          "there are too many connections from this address "
                          "(--per-address)");
    } else {
        ad_pending_read(p); /* the head is there already, most often */
    }
    if (ad_pendings.n == AIDASH_PENDING) {
        (void)ad_pending_evict(p);
    }
    (void)ad_spares_regain(p);
    return true;
}

/* No descriptor is left. Said once a minute. */
static void ad_acceptor_warn(void)
{
    if (!ad_acceptor.warned ||
        ad_hub.now_ms - ad_acceptor.warned_ms >= AD_WARN_MS) {
        ad_acceptor.warned = true;
        ad_acceptor.warned_ms = ad_hub.now_ms;
        ad_log(AIDASH_LOG_WARN,
               "no descriptor for a new connection; raise the limit of open "
               "files (ulimit -n)");
    }
}

/* accept() failed: is there a descriptor for it now? Where that is not what it
 * lacks (ENOMEM, ENOBUFS), only time helps: the connection is reported again at
 * once. */
static bool ad_acceptor_yields(int error)
{
    if (error != EMFILE && error != ENFILE) {
        return false;
    }
    ad_acceptor_warn();
    return ad_spares_use(1) || ad_pending_evict(NULL);
}

static void ad_listener_event(unsigned index)
{
    struct sockaddr_storage peer;
    unsigned taken = 0, resets = 0;

    while (taken < AD_ACCEPTS && resets < AD_RESETS && ad_acceptor.accepting) {
        struct ad_pending *p = ad_pending_place();
        int fd;

        if (p == NULL) {
            ad_acceptor_rest(true);
            return;
        }
        fd = ad_socket_accept(ad_acceptor.listeners[index], &peer);
        if (fd >= 0) {
            if (!ad_acceptor_take(p, fd, &peer)) {
                resets++;
                continue;
            }
        } else if (errno == EAGAIN || errno == EINTR ||
                   errno == ECONNABORTED) {
            break;
        } else if (!ad_acceptor_yields(errno)) {
            ad_acceptor_rest(false);
            return;
        }
        taken++;
    }
    if (resets > 0) {
        ad_listeners_watch(false);
        ad_acceptor.full = false;
        ad_acceptor.again_ns = ad_hub.now_ns + AD_FLOOD_REST_MS * AD_NS_PER_MS;
    }
}

#if AIDASH_METER
/* A connection whose request was answered waits for its next one; `tls` is what it
 * had in struct ad_pending. False if there
 * is no place for it; the socket is the caller's then. */
static bool ad_acceptor_keep_alive(int fd, uint64_t address,
                                   const struct sockaddr_storage *peer,
                                   uint32_t tls)
{
    struct ad_pending *p = ad_hub.stopping ? NULL : ad_pending_place();

    if (p == NULL) {
        return false;
    }
    ad_pending_begin(p, fd, address, peer, true);
    p->tls = tls;
    ad_pending_read(p);
    return true;
}
#endif

/* Before each run. */
static void ad_acceptor_init(void)
{
    memset(&ad_acceptor, 0, sizeof(ad_acceptor));
}

/* Connections from one address at most; 0: no limit. While starting. */
static void ad_acceptor_set_per_address(unsigned connections)
{
    ad_acceptor.per_address = connections;
}

/* Listen on this address, too. False if it is not [ADDR:]PORT, or one more than
 * AD_LISTENERS. While starting. */
static bool ad_acceptor_listen_on(const char *spec, size_t len)
{
    struct sockaddr_storage address;
    socklen_t address_len;
    char *copy;

    if (ad_acceptor.n_listen == AD_LISTENERS ||
        len >= sizeof(ad_acceptor.listen[0])) {
        return false;
    }
    copy = ad_acceptor.listen[ad_acceptor.n_listen];
    memcpy(copy, spec, len);
    copy[len] = '\0';
    if (!ad_address_parse(copy, true, &address, &address_len)) {
        return false;
    }
    ad_acceptor.n_listen++;
    return true;
}

/* Open the listeners. Returns NULL, or the address that can't be bound, with
 * errno set. */
static const char *ad_acceptor_open(void)
{
    unsigned i;

    for (i = 0; i < ad_acceptor.n_listen; i++) {
        int fd = ad_socket_bind(ad_acceptor.listen[i], SOCK_STREAM,
                                &ad_acceptor.ports[i]);

        if (fd < 0) {
            errno = -fd;
            return ad_acceptor.listen[i];
        }
        (void)listen(fd, AD_BACKLOG); /* again: for the longer queue */
        ad_socket_tune(fd, AD_SILENCE_MS / 1000);
        ad_acceptor.listeners[ad_acceptor.n_listeners++] = fd;
    }
    (void)ad_spares_fill();
    return NULL;
}

static void ad_acceptor_close(void)
{
    unsigned i;

    for (i = 0; i < ad_acceptor.n_listeners; i++) {
        (void)close(ad_acceptor.listeners[i]);
    }
    (void)ad_spares_use(ad_acceptor.n_spares);
}

AD_MEMORY(acceptor, 1, sizeof(ad_acceptor));

#endif
