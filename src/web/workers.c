/* workers.c - civetweb behind glass: a request that a worker answers.
 * Owns ad_workers. Hub thread only, but for the atomic.
 *
 * A worker gets one end of a socketpair, and in it the canonical head of a
 * request that was judged: only the fields that the routes need, no body, one
 * request. So it never sees a stranger's bytes and never waits for a peer. Its
 * answer is read from the other end and sent to the client from here.
 */
#ifndef AD_WEB_WORKERS_C
#define AD_WEB_WORKERS_C

#include "../base/net.c"
#include "../core/accept.c"
#include "../core/attach.c"
#include "seam.h"

/* The field of a canonical head that has the rights of who asks, as a number. */
#define AD_WORKERS_RIGHTS "Rights"

enum {
    AD_WORKERS_INSIDE = 16,   /* requests inside civetweb; its queue holds 20 */
    AD_WORKERS_PATIENCE_MS = 3 * AD_GRACE_MS, /* so long a request waits for
                                               * others to give way */
    AD_WORKERS_HEAD_MAX = 1024, /* bytes of a canonical head */
    /* What a worker can write before the client has taken any of it: the largest
     * answer of a worker is smaller, so no worker waits. */
    AD_WORKERS_SEND_BUFFER = 192 * 1024
};

/* The field of a canonical head that its answer repeats (RFC 6797 6.1). */
#define AD_WORKERS_HSTS "Strict-Transport-Security"

static struct {
    _Atomic int inside; /* [a] requests inside civetweb */
    uint64_t again_ns;  /* out of descriptors: none is started before */
    bool behind; /* the next one is of those behind others of their address */
} ad_workers;

/* Let a worker answer this pending request. `prefix` is what came behind the
 * request's head; it is kept for a connection that becomes a WebSocket. */
static void ad_worker_ask(struct ad_pending *p, const struct ad_text *head,
                          const char *prefix, size_t prefix_len)
{
    char *buffer = ad_pending_buffer(p);

    if (head->full || prefix_len > AIDASH_HEAD_MAX - AD_WORKERS_HEAD_MAX) {
        ad_pending_refuse(p, 400, "", "the request is too long here");
        return;
    }
    p->prefix_len = (uint32_t)prefix_len;
    if (prefix_len > 0) {
        memmove(buffer + AIDASH_HEAD_MAX - prefix_len, prefix, prefix_len);
    }
    memcpy(buffer, head->at, head->len);
    p->len = (uint32_t)head->len;
    ad_pending_ask(p);
}

/* A pair of sockets, in the second of which so many bytes find room. Out of
 * descriptors, the reserve is used, and others give way to fill it again. Returns 1;
 * 0 if nobody is to give way now; -1 if that was the answer. */
static int ad_worker_pair(struct ad_pending *p, int bytes, int pair[2])
{
    while (!ad_socket_pair(pair)) {
        if ((errno == EMFILE || errno == ENFILE) &&
            (ad_spares_use(2) || ad_pending_evict(p))) {
            continue;
        }
        if (ad_hub.now_ms - p->since_ms < AD_WORKERS_PATIENCE_MS) {
            return 0;
        }
        ad_pending_refuse(p, 503, "Retry-After: 5\r\n",
                          "no descriptor is left for this request");
        return -1;
    }
    (void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    return 1;
}

/* Its answer comes through `fd`, one end of such a pair. */
static void ad_worker_expect(struct ad_pending *p, int fd)
{
    p->worker_fd = fd;
    p->at = p->len = 0;
    ad_pending_enter(p, AD_PENDING_ANSWER);
    ad_pending_watch_worker(p, AD_IN);
}

/* False if nobody is to give way for it now. */
static bool ad_worker_start(struct ad_pending *p)
{
    int pair[2], rc = ad_worker_pair(p, AD_WORKERS_SEND_BUFFER, pair);

    if (rc <= 0) {
        return rc < 0;
    }
    /* The head is smaller than any fresh socket's buffer. */
    (void)!send(pair[0], ad_pending_buffer(p), p->len, MSG_NOSIGNAL);
    (void)shutdown(pair[0], SHUT_WR);
    ad_worker_expect(p, pair[0]);
    atomic_fetch_add(&ad_workers.inside, 1);
    ad_civetweb_queue(pair[1], &p->peer);
    (void)ad_spares_regain(p);
    return true;
}

/* The next request for a worker, or NULL. The first of an address takes turns with
 * those that others have sent behind their first: so it does not wait for hundreds
 * of another address, nor they for ever. */
static struct ad_pending *ad_workers_next(void)
{
    struct ad_pending *first = ad_pending_first(AD_PENDING_WAITING);
    struct ad_pending *behind = ad_pending_first(AD_PENDING_BEHIND);

    return first == NULL || (behind != NULL && ad_workers.behind) ? behind
                                                                  : first;
}

/* Is there a request for a worker, and room for it? */
static bool ad_workers_ready(void)
{
    return ad_workers_next() != NULL &&
           atomic_load(&ad_workers.inside) < AD_WORKERS_INSIDE;
}

/* Start what waits for a worker, as long as there is room. Each turn. */
static void ad_workers_run(void)
{
    while (ad_hub.now_ns >= ad_workers.again_ns && ad_workers_ready()) {
        if (!ad_worker_start(ad_workers_next())) {
            ad_workers.again_ns = ad_hub.now_ns + AD_REST_MS * AD_NS_PER_MS;
        }
        ad_workers.behind = !ad_workers.behind;
    }
}

/* When the next one can be started: 0, at once; UINT64_MAX: not before another
 * event. Atomics may change meanwhile. */
static uint64_t ad_workers_deadline(void)
{
    if (!ad_workers_ready()) {
        return UINT64_MAX;
    }
    return ad_workers.again_ns > ad_hub.now_ns ? ad_workers.again_ns : 0;
}

/* The handshake's answer is whole, `head_len` bytes: the connection becomes a
 * viewer. */
static void ad_worker_upgrade(struct ad_pending *p, size_t head_len)
{
    char *buffer = ad_pending_buffer(p);
    struct ad_attach a;

    memset(&a, 0, sizeof(a));
    a.kind = p->batch ? AD_WS_BATCH : AD_WS;
    a.id = p->client_id;
    a.address = p->address;
    a.tls = p->tls;
    a.who = p->who;
    a.waits = p->waits;
    a.refused = p->refused;
    a.greeting.at = buffer;
    a.greeting.len = head_len;
    a.rest = (uint8_t *)buffer + AIDASH_HEAD_MAX - p->prefix_len;
    a.rest_len = p->prefix_len;
    p->upgrades = false; /* the slot is the client's */
    a.fd = ad_pending_detach(p);
    if (!ad_client_attach(&a)) {
        ad_peer_close(a.fd, a.address);
    }
}

/* The worker has ended. */
static void ad_worker_end(struct ad_pending *p)
{
    ad_pending_close_worker(p);
    if (p->answered && !p->upgrades) {
        ad_pending_linger(p);
    } else {
        ad_pending_refuse(p, 500, "", "this request could not be answered");
    }
}

/* Read what the worker has written, and send it. */
static void ad_worker_read(struct ad_pending *p)
{
    char *buffer = ad_pending_buffer(p);
    size_t keep = p->upgrades ? p->len : 0;
    ssize_t got = recv(p->worker_fd, buffer + keep,
                       AIDASH_HEAD_MAX - p->prefix_len - keep, 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        ad_worker_end(p);
        return;
    }
    p->answered = true;
    p->at = 0;
    p->len = (uint32_t)(keep + (size_t)got);
    if (p->upgrades) {
        const char *end = memmem(buffer, p->len, "\r\n\r\n", 4);

        if (end == NULL) {
            return;
        }
        if (strncmp(buffer, "HTTP/1.1 101 ", 13) == 0) {
            ad_worker_upgrade(p, (size_t)(end - buffer) + 4);
            return;
        }
        ad_pending_give_up_slot(p);
    }
    if (ad_pending_send(p)) {
        ad_pending_watch_worker(p, p->len == 0 ? AD_IN : 0);
    }
}

/* What the poller reports of the worker's end. */
static void ad_worker_event(struct ad_pending *p)
{
    if (p->phase == AD_PENDING_ANSWER && p->worker_fd >= 0 &&
        (p->len == 0 || p->upgrades)) {
        ad_worker_read(p);
    }
}

/* And of the client's, while a worker answers. */
static void ad_worker_client_event(struct ad_pending *p)
{
    if (ad_pending_send(p) && p->len == 0) {
        ad_pending_watch_worker(p, AD_IN);
    }
}

#endif
