/* accept.c - the acceptor: from accept() to a whole request head.
 * Owns ad_acceptor and ad_pending. Hub thread only, but for the atomics.
 */
#ifndef AD_CORE_ACCEPT_C
#define AD_CORE_ACCEPT_C

#include "attach.c"

enum {
    AD_LISTENERS = 8,            /* --listen may be given so often */
    AD_HEAD_MAX = AIDASH_HEAD_MAX,
    AD_REQUEST_MAX = AD_HEAD_MAX + 1024, /* a worker's buffer: head, more */
    AD_HEAD_MS = 10000,          /* a head not complete by then: 408; after an
                                  * answer, a connection without another: closed */
    AD_GRACE_MS = 1000,          /* so long no newcomer takes its place */
    AD_QUEUE = 16                /* sockets inside civetweb; its own holds 20 */
};
_Static_assert((int)AD_HEAD_MAX <= (int)AD_SCRATCH, "a request head fits the scratch");

/* A connection at the door: no whole request head yet, or no free worker. */
struct ad_pending {
    int fd;
    uint64_t address;
    bool used;
    bool ready;
    bool kept; /* it had an answer already (RFC 9112 9.3) */
    uint32_t since_ms;
    uint32_t order; /* of becoming ready */
    struct sockaddr_storage peer;
};

static struct ad_pending ad_pending[AIDASH_PENDING];

static struct {
    unsigned per_address; /* [I] connections from one address; 0: no limit */
    unsigned n_listen;    /* [I] of the addresses to listen on */
    char listen[AD_LISTENERS][64];  /* [I] */
    unsigned n_listeners;           /* [I] of the sockets */
    int listeners[AD_LISTENERS];    /* [I] */
    unsigned ports[AD_LISTENERS];   /* [I] */
    _Atomic uint64_t refused;       /* [a] connections and handshakes */
    _Atomic int at_workers;         /* [a] sockets inside civetweb */
    bool accepting; /* false: out of descriptors, until the next second */
    unsigned n_used, n_pending, n_ready;
    uint32_t ready_order;
    uint64_t accepted;
} ad_acceptor;

/* The seam to civetweb, see web/glue.c: put a socket into its queue. Does not
 * wait as long as no more than AD_QUEUE are inside. */
static void ad_civetweb_queue(int fd, const struct sockaddr_storage *peer);

/* Low latency, and an end for peers that vanished without a word. */
static void ad_socket_tune(int fd)
{
    int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
#ifdef TCP_KEEPIDLE
    {
        int idle_s = AD_SILENCE_MS / 1000, every_s = 10, times = 3;

        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s,
                         sizeof(idle_s));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s,
                         sizeof(every_s));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(times));
    }
#endif
}

/* Accept connections, or leave them in the kernel's line until a place at the
 * door is free, or until the next tidy. */
static void ad_listeners_watch(bool on)
{
    unsigned i;

    for (i = 0; i < ad_acceptor.n_listeners && on != ad_acceptor.accepting; i++) {
        (void)ad_poll_set(ad_acceptor.listeners[i], on ? 0 : AD_IN, on ? AD_IN : 0,
                          AD_TAG_LISTENER, i);
    }
    ad_acceptor.accepting = on;
}

static void ad_pending_release(struct ad_pending *p)
{
    (void)ad_poll_set(p->fd, AD_IN, 0, AD_TAG_PENDING, 0);
    ad_acceptor.n_pending--;
    ad_acceptor.n_ready -= p->ready;
    p->used = false;
    ad_listeners_watch(!ad_hub.stopping);
}

static void ad_pending_drop(struct ad_pending *p)
{
    int fd = p->fd;

    ad_pending_release(p);
    (void)close(fd);
}

/* Refuse with an answer that fits any fresh socket's buffer. What the peer
 * already sent is read, so that closing does not reset our answer away. */
static void ad_pending_refuse(struct ad_pending *p, int status,
                              const char *why)
{
    char answer[2 * AD_REPLY_MAX], json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(answer, sizeof(answer));
    struct ad_text j = ad_text_in(json, sizeof(json));

    ad_put_http_error(&j, status, why);
    ad_put_head(&t, status, "application/json", j.len,
                status == 503 ? "Retry-After: 5\r\n" : "");
    ad_put(&t, j.at, j.len);
    (void)!send(p->fd, t.at, t.len, MSG_NOSIGNAL);
    (void)shutdown(p->fd, SHUT_WR);
    (void)!recv(p->fd, ad_scratch, sizeof(ad_scratch), 0);
    ad_acceptor.refused++;
    ad_pending_drop(p);
}

/* Hand ready connections to civetweb in their order, while it has room. */
static void ad_acceptor_serve(void)
{
    while (ad_acceptor.n_ready > 0 &&
           atomic_load(&ad_acceptor.at_workers) < AD_QUEUE) {
        struct ad_pending *first = NULL;
        unsigned i;
        int fd, one = 1;

        for (i = 0; i < ad_acceptor.n_used; i++) {
            struct ad_pending *p = &ad_pending[i];

            if (p->used && p->ready &&
                (first == NULL ||
                 (int32_t)(p->order - first->order) < 0)) {
                first = p;
            }
        }
        fd = first->fd;
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
        ad_pending_release(first);
        atomic_fetch_add(&ad_acceptor.at_workers, 1);
        ad_civetweb_queue(fd, &first->peer);
    }
}

/* Has the whole head arrived? It is only looked at; civetweb reads it. The
 * poller is told to wait for one byte more than there is. */
static void ad_pending_event(unsigned index)
{
    struct ad_pending *p = &ad_pending[index];
    struct pollfd hangup;
    ssize_t got;
    int low;

    if (!p->used || p->ready) {
        return;
    }
    got = recv(p->fd, ad_scratch, AD_HEAD_MAX, MSG_PEEK);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        ad_pending_drop(p);
    } else if (memmem(ad_scratch, (size_t)got, "\r\n\r\n", 4) != NULL) {
        p->ready = true;
        p->order = ad_acceptor.ready_order++;
        ad_acceptor.n_ready++;
        ad_acceptor_serve();
    } else if (got == AD_HEAD_MAX) {
        ad_pending_refuse(p, 431, "the request head is too long");
    } else {
        hangup.fd = p->fd;
        hangup.events = AD_POLLRDHUP;
        low = (int)got + 1;
        if (poll(&hangup, 1, 0) == 1) {
            ad_pending_drop(p); /* the rest will never come */
        } else {
            (void)setsockopt(p->fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
        }
    }
}

/* A place at the door; the one that has waited longest without a whole head
 * gives way. NULL if there is none to be had now. */
static struct ad_pending *ad_pending_place(void)
{
    struct ad_pending *oldest = NULL;
    unsigned i;

    for (i = 0; i < ad_acceptor.n_used; i++) {
        struct ad_pending *p = &ad_pending[i];

        if (!p->used) {
            return p;
        }
        if (!p->ready && (oldest == NULL ||
                          (int32_t)(p->since_ms - oldest->since_ms) < 0)) {
            oldest = p;
        }
    }
    if (ad_acceptor.n_used < AIDASH_PENDING) {
        return &ad_pending[ad_acceptor.n_used++];
    }
    if (oldest == NULL || ad_hub.now_ms - oldest->since_ms < AD_GRACE_MS) {
        return NULL;
    }
    ad_acceptor.refused++;
    ad_pending_drop(oldest);
    return oldest;
}

/* Connections of an address, at the door and inside. */
static unsigned ad_address_count(uint64_t address)
{
    unsigned i, n = ad_clients_from(address);

    for (i = 0; i < ad_acceptor.n_used; i++) {
        n += ad_pending[i].used && ad_pending[i].address == address;
    }
    return n;
}

/* Put a connection into a place at the door. */
static bool ad_pending_begin(struct ad_pending *p, int fd)
{
    if (!ad_poll_set(fd, 0, AD_IN, AD_TAG_PENDING, (unsigned)(p - ad_pending))) {
        return false;
    }
    p->fd = fd;
    p->used = true;
    p->ready = p->kept = false;
    p->since_ms = ad_hub.now_ms;
    p->address = ad_address_key(&p->peer);
    ad_acceptor.n_pending++;
    return true;
}

#if AIDASH_METER
static bool ad_acceptor_keep_alive(int fd)
{
    struct ad_pending *p = ad_hub.stopping ? NULL : ad_pending_place();
    socklen_t len = sizeof(p->peer);

    if (p == NULL || getpeername(fd, (struct sockaddr *)&p->peer, &len) != 0 ||
        !ad_pending_begin(p, fd)) {
        return false;
    }
    p->kept = true;
    return true;
}
#endif

static void ad_listener_event(unsigned index)
{
    unsigned i;

    for (i = 0; i < AD_READY_MAX && ad_acceptor.accepting; i++) {
        struct ad_pending *p = ad_pending_place();
        int fd;

        if (p == NULL) { /* newcomers wait in the kernel's line */
            ad_listeners_watch(false);
            return;
        }
        fd = ad_socket_accept(ad_acceptor.listeners[index], &p->peer);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE) {
                ad_log(AIDASH_LOG_WARN,
                       "no descriptor for a new connection; raise the limit "
                       "of open files (ulimit -n)");
                ad_listeners_watch(false); /* until the next tidy */
            }
            return;
        }
        if (!ad_pending_begin(p, fd)) {
            ad_acceptor.refused++;
            (void)close(fd);
            continue;
        }
        ad_socket_tune(fd);
        ad_acceptor.accepted++;
        if (ad_acceptor.per_address != 0 &&
            ad_address_count(p->address) > ad_acceptor.per_address) {
            ad_pending_refuse(p, 503, "too many connections from this address");
        } else {
            ad_pending_event((unsigned)(p - ad_pending));
        }
    }
}

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
        ad_acceptor.listeners[ad_acceptor.n_listeners++] = fd;
    }
    return NULL;
}

static void ad_acceptor_close(void)
{
    unsigned i;

    for (i = 0; i < ad_acceptor.n_listeners; i++) {
        (void)close(ad_acceptor.listeners[i]);
    }
}

AD_MEMORY(pending, AIDASH_PENDING, sizeof(ad_pending) + sizeof(ad_acceptor));

#endif
