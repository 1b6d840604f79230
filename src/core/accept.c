#ifndef AD_CORE_ACCEPT_C
#define AD_CORE_ACCEPT_C

/* -- the door: from accept() to a whole request head -- */

/* Section 14: put a socket into civetweb's queue. Does not wait as long as no
 * more than AD_QUEUE are inside. */
static void ad_civetweb_queue(int fd, const struct sockaddr_storage *peer);

/* Accept connections, or leave them in the kernel's line until a place at the
 * door is free, or until the next tidy. */
static void ad_listeners_watch(bool on)
{
    unsigned i;

    for (i = 0; i < ad_hub.n_listeners && on != ad_hub.accepting; i++) {
        (void)ad_poll_set(ad_hub.listeners[i], on ? 0 : AD_IN, on ? AD_IN : 0,
                          AD_TAG_LISTENER, i);
    }
    ad_hub.accepting = on;
}

static void ad_pending_release(struct ad_pending *p)
{
    (void)ad_poll_set(p->fd, AD_IN, 0, AD_TAG_PENDING, 0);
    ad_hub.n_pending--;
    ad_hub.n_ready -= p->ready;
    p->used = false;
    ad_listeners_watch(!ad_hub.draining);
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
    ad_hub.refused++;
    ad_pending_drop(p);
}

/* Hand ready connections to civetweb in their order, while it has room. */
static void ad_door_serve(void)
{
    while (ad_hub.n_ready > 0 &&
           atomic_load(&ad_hub.http_inside) < AD_QUEUE) {
        struct ad_pending *first = NULL;
        unsigned i;
        int fd, one = 1;

        for (i = 0; i < ad_hub.n_pending_slots; i++) {
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
        atomic_fetch_add(&ad_hub.http_inside, 1);
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
        p->order = ad_hub.ready_order++;
        ad_hub.n_ready++;
        ad_door_serve();
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

    for (i = 0; i < ad_hub.n_pending_slots; i++) {
        struct ad_pending *p = &ad_pending[i];

        if (!p->used) {
            return p;
        }
        if (!p->ready && (oldest == NULL ||
                          (int32_t)(p->since_ms - oldest->since_ms) < 0)) {
            oldest = p;
        }
    }
    if (ad_hub.n_pending_slots < AIDASH_PENDING) {
        return &ad_pending[ad_hub.n_pending_slots++];
    }
    if (oldest == NULL || ad_hub.now_ms - oldest->since_ms < AD_GRACE_MS) {
        return NULL;
    }
    ad_hub.refused++;
    ad_pending_drop(oldest);
    return oldest;
}

/* Connections of an address, at the door and inside. */
static unsigned ad_address_count(uint64_t address)
{
    unsigned i, n = 0;

    for (i = 0; i < ad_hub.n_slots; i++) {
        n += ad_clients[i].kind != AD_FREE && ad_clients[i].address == address;
    }
    for (i = 0; i < ad_hub.n_pending_slots; i++) {
        n += ad_pending[i].used && ad_pending[i].address == address;
    }
    return n;
}

static int ad_socket_accept(int listener, struct sockaddr_storage *peer)
{
    socklen_t len = sizeof(*peer);
#ifdef __linux__
    return accept4(listener, (struct sockaddr *)peer, &len,
                   SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
    int fd = accept(listener, (struct sockaddr *)peer, &len);

    if (fd >= 0) {
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return fd;
#endif
}

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
    ad_hub.n_pending++;
    return true;
}

#if AIDASH_METER
static bool ad_door_keep(int fd)
{
    struct ad_pending *p = ad_hub.draining ? NULL : ad_pending_place();
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

    for (i = 0; i < AD_READY_MAX && ad_hub.accepting; i++) {
        struct ad_pending *p = ad_pending_place();
        int fd;

        if (p == NULL) { /* newcomers wait in the kernel's line */
            ad_listeners_watch(false);
            return;
        }
        fd = ad_socket_accept(ad_hub.listeners[index], &p->peer);
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
            ad_hub.refused++;
            (void)close(fd);
            continue;
        }
        ad_socket_tune(fd);
        ad_hub.count.accepted++;
        if (ad_set.per_address != 0 &&
            ad_address_count(p->address) > ad_set.per_address) {
            ad_pending_refuse(p, 503, "too many connections from this address");
        } else {
            ad_pending_event((unsigned)(p - ad_pending));
        }
    }
}

#endif
