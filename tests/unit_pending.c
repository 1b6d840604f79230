/* Pending connections over sockets: each phase and its time, heads in pieces,
 * who gives way, long answers, slow readers, resets, and the slots of WebSocket
 * handshakes on every way to their end. The clock is the test's, and so is the
 * worker. */
#define AIDASH_PENDING 8
#include "../src/web/workers.c"
#include "check.h"
#include <sys/resource.h>

static int worker = -1; /* what civetweb was given last */

static void ad_civetweb_queue(int fd, const struct sockaddr_storage *peer)
{
    (void)peer;
    worker = fd;
}

static char wire[1024 * 1024];
static size_t wire_len;

static void begin(void)
{
    memset(&ad_workers, 0, sizeof(ad_workers));
    memset(&ad_hub, 0, sizeof(ad_hub));
    ad_feed_init();
    ad_events_init();
    ad_engine_init();
    ad_clients_init();
    ad_pending_init();
    atomic_store(&ad_workers.inside, 0);
    CHECK(ad_poll_open());
    ad_hub_clock();
}

/* Nothing is left: no place, no slot, no socket. */
static void end(void)
{
    unsigned i, peers = 0;

    ad_pending_close();
    ad_clients_drop();
    for (i = 0; i < AD_PEERS_SLOTS; i++) {
        peers += ad_peers[i].n;
    }
    CHECK_EQ(peers, 0);
    CHECK_EQ(ad_pendings.n, 0);
    CHECK_EQ(ad_pendings.list[AD_PENDING_FREE].n, ad_pendings.n_used);
    CHECK_EQ(atomic_load(&ad_slots.reserved[0]), 0);
    if (worker >= 0) {
        (void)close(worker);
        worker = -1;
    }
    ad_poll_close();
}

static void pass_ms(uint32_t ms)
{
    ad_hub.now_ms += ms;
    ad_hub.now_ns += ms * (uint64_t)AD_NS_PER_MS;
}

/* The two ends of a TCP connection, non-blocking. */
static void tcp_pair(int fds[2])
{
    struct sockaddr_in at;
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    memset(&at, 0, sizeof(at));
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(listener, (struct sockaddr *)&at, sizeof(at)) == 0);
    CHECK(listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&at, &len) == 0);
    fds[1] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(fds[1], (struct sockaddr *)&at, sizeof(at)) == 0);
    fds[0] = accept(listener, NULL, NULL);
    CHECK(fds[0] >= 0);
    (void)close(listener);
    (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(fds[1], F_SETFL, O_NONBLOCK);
}

static uint64_t address = 7; /* of the next connection's peer */

static struct ad_pending *take(const int fds[2], int *peer, bool kept)
{
    static const struct sockaddr_storage nobody;
    struct ad_pending *p = ad_pending_place();

    CHECK(p != NULL);
    (void)ad_peer_open(address);
    ad_pending_begin(p, fds[0], address, &nobody, kept);
    ad_pending_read(p);
    CHECK_EQ(p->phase, AD_PENDING_SILENT);
    *peer = fds[1];
    return p;
}

/* A new connection, and its peer's end. */
static struct ad_pending *open_pair(int *peer, bool kept)
{
    int fds[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(fds[1], F_SETFL, O_NONBLOCK);
    return take(fds, peer, kept);
}

static struct ad_pending *open_tcp(int *peer)
{
    int fds[2];

    tcp_pair(fds);
    return take(fds, peer, false);
}

static void say(int fd, const char *text)
{
    CHECK_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static const char *received(int fd)
{
    ssize_t got;

    wire_len = 0;
    while ((got = recv(fd, wire + wire_len, sizeof(wire) - 1 - wire_len, 0)) >
           0) {
        wire_len += (size_t)got;
    }
    wire[wire_len] = '\0';
    return wire;
}

static bool answered(int fd, const char *status, const char *text)
{
    const char *got = received(fd);

    return strncmp(got, "HTTP/1.1 ", 9) == 0 && strncmp(got + 9, status, 3) == 0 &&
           strstr(got, text) != NULL;
}

static bool is_over(int fd)
{
    char byte;
    ssize_t n;

    do {
        n = recv(fd, &byte, 1, 0);
    } while (n == 1);
    return n == 0 || errno != EAGAIN;
}

/* What the poller tells, as the loop hands it on. Returns the events. */
static unsigned turn(void)
{
    struct ad_ready ready[AD_READY_MAX];
    unsigned i, n = ad_poll_wait(0, ready);

    for (i = 0; i < n; i++) {
        struct ad_pending *p = &ad_pending[ready[i].index];

        if (ready[i].tag == AD_TAG_WORKER) {
            ad_worker_event(p);
        } else if (ready[i].tag == AD_TAG_PENDING && p->worker_fd >= 0 &&
                   p->phase == AD_PENDING_ANSWER) {
            ad_worker_client_event(p);
        } else if (ready[i].tag == AD_TAG_PENDING) {
            ad_pending_event(p);
        }
    }
    return n;
}

/* ---- heads -------------------------------------------------------------------- */

static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/* Byte by byte: ready at the last one, not before; no wait without a reason. */
static void test_head_in_bytes(void)
{
    struct ad_pending *p;
    size_t i;
    int peer;

    begin();
    p = open_pair(&peer, false);
    CHECK_EQ(p->phase, AD_PENDING_SILENT);
    CHECK_EQ(turn(), 0);
    for (i = 0; i < sizeof(request) - 1; i++) {
        CHECK_EQ(p->phase, i == 0 ? AD_PENDING_SILENT : AD_PENDING_HEAD);
        CHECK_EQ(send(peer, request + i, 1, 0), 1);
        (void)turn();
    }
    CHECK_EQ(p->phase, AD_PENDING_READY);
    CHECK(ad_pending_first(AD_PENDING_READY) == p);
    CHECK_EQ(p->find.end, sizeof(request) - 1);
    say(peer, "more");
    CHECK_EQ(turn(), 0); /* a ready one is not watched */
    (void)close(peer);
    end();
}

/* What comes behind the head stays where it is, up to the buffer's end; the rest
 * stays in the kernel. */
static void test_bytes_behind_head(void)
{
    static char more[AIDASH_HEAD_MAX];
    struct ad_pending *p;
    int peer;

    begin();
    p = open_pair(&peer, false);
    memset(more, 'b', sizeof(more));
    say(peer, request);
    CHECK_EQ(send(peer, more, sizeof(more), 0), (ssize_t)sizeof(more));
    (void)turn();
    CHECK_EQ(p->phase, AD_PENDING_READY);
    CHECK_EQ(p->len, AIDASH_HEAD_MAX);
    CHECK_EQ(ad_pending_buffer(p)[p->find.end], 'b');
    CHECK_EQ(recv(p->fd, wire, sizeof(wire), 0), sizeof(request) - 1);
    (void)close(peer);
    end();
}

/* A head that fills the buffer is refused at once, as is a malformed one. */
static void test_bad_heads(void)
{
    static char lines[AIDASH_HEAD_MAX + 1];
    struct ad_pending *p;
    int peer;

    begin();
    p = open_pair(&peer, false);
    memset(lines, 'h', sizeof(lines) - 1);
    memcpy(lines, "GET / HTTP/1.1\r\nx: ", 19);
    say(peer, lines);
    (void)turn();
    CHECK(answered(peer, "431", "\"code\":431"));
    CHECK_EQ(p->phase, AD_PENDING_LINGER);
    (void)close(peer);
    (void)turn();
    CHECK_EQ(p->phase, AD_PENDING_FREE);
    p = open_pair(&peer, false);
    say(peer, "GET / HTTP/1.1\n");
    (void)turn();
    CHECK(answered(peer, "400", "\"code\":400"));
    CHECK(is_over(peer));
    CHECK_EQ(ad_pendings.refused, 2);
    (void)close(peer);
    end();
}

/* ---- times --------------------------------------------------------------------- */

/* Each time at its edge: a millisecond before and at it. */
static void test_head_times(void)
{
    struct ad_pending *silent, *half, *kept, *kept_half;
    int peers[4];

    begin();
    silent = open_pair(&peers[0], false);
    half = open_pair(&peers[1], false);
    kept = open_pair(&peers[2], true);
    kept_half = open_pair(&peers[3], true);
    pass_ms(AD_HEAD_MS / 2);
    say(peers[1], "GET /");
    say(peers[3], "GET /");
    (void)turn();
    pass_ms(AD_HEAD_MS / 2 - 1);
    ad_pending_housekeeping();
    CHECK_EQ(silent->phase, AD_PENDING_SILENT);
    CHECK_EQ(half->phase, AD_PENDING_HEAD); /* its time began with silence */
    pass_ms(1);
    ad_pending_housekeeping();
    CHECK_EQ(silent->phase, AD_PENDING_LINGER);
    CHECK_EQ(half->phase, AD_PENDING_LINGER);
    CHECK_EQ(kept->phase, AD_PENDING_FREE);
    CHECK_EQ(kept_half->phase, AD_PENDING_LINGER);
    CHECK(answered(peers[0], "408", "did not arrive in time"));
    CHECK(answered(peers[1], "408", "did not arrive in time"));
    CHECK_STR(received(peers[2]), "");
    CHECK(is_over(peers[2]));
    CHECK(answered(peers[3], "408", ""));
    pass_ms(AD_LINGER_MS - 1);
    ad_pending_housekeeping();
    CHECK_EQ(ad_pendings.list[AD_PENDING_LINGER].n, 3);
    pass_ms(1);
    ad_pending_housekeeping();
    CHECK_EQ(ad_pendings.n, 0);
    for (int i = 0; i < 4; i++) {
        (void)close(peers[i]);
    }
    end();
}

static void test_lingering_discards(void)
{
    struct ad_pending *p;
    int peer, i;

    begin();
    p = open_pair(&peer, false);
    p->head_only = true;
    ad_pending_refuse(p, 404, "X: y\r\n", "not here");
    CHECK(answered(peer, "404", "X: y\r\n\r\n"));
    CHECK(strstr(wire, "not here") == NULL); /* HEAD has no body */
    for (i = 0; i < 10; i++) {
        say(peer, "the rest of a body");
        (void)turn();
    }
    CHECK_EQ(p->phase, AD_PENDING_LINGER);
    (void)close(peer);
    (void)turn();
    CHECK_EQ(p->phase, AD_PENDING_FREE);
    end();
}

/* ---- who gives way ------------------------------------------------------------- */

static void block(struct ad_pending *p)
{
    static char junk[4096];

    while (send(p->fd, junk, sizeof(junk), MSG_NOSIGNAL) > 0) {
    }
}

/* Of one address: who has its answer first, then the one that has kept us waiting
 * the longest, for whatever; but nobody who has asked. */
static void test_eviction(void)
{
    struct ad_pending *p[AIDASH_PENDING], *q;
    int peers[AIDASH_PENDING + 1], i;
    static const int order[] = {6, 7, 0, 1, 2, 3, 4};

    begin();
    for (i = 0; i < AIDASH_PENDING; i++) {
        p[i] = open_pair(&peers[i], false);
    }
    /* 0, 1: silent; 2, 3: half heads; 4: an answer; 5: ready; 6, 7: lingering. */
    say(peers[3], "G");
    (void)turn();
    say(peers[2], "G");
    (void)turn();
    block(p[4]);
    ad_pending_refuse(p[4], 404, "", "no");
    CHECK_EQ(p[4]->phase, AD_PENDING_ANSWER);
    say(peers[5], request);
    (void)turn();
    ad_pending_refuse(p[6], 404, "", "no");
    ad_pending_refuse(p[7], 404, "", "no");
    pass_ms(AD_PENDING_GRACE_MS);
    for (i = 0; i < 6; i++) {
        CHECK(ad_pending_evict(NULL));
        CHECK_EQ(p[order[i]]->phase, AD_PENDING_FREE);
    }
    CHECK(!ad_pending_evict(p[4])); /* the only one left has just come */
    CHECK(ad_pending_evict(NULL));
    CHECK_EQ(p[4]->phase, AD_PENDING_FREE);
    CHECK(!ad_pending_evict(NULL)); /* a whole head is not lost */
    CHECK_EQ(p[5]->phase, AD_PENDING_READY);
    for (i = 0; i < AIDASH_PENDING; i++) {
        (void)close(peers[i]);
    }
    ad_pending_drop(p[5]);

    for (i = 0; i < AIDASH_PENDING; i++) {
        p[i] = open_pair(&peers[i], false);
    }
    pass_ms(AD_PENDING_GRACE_MS);
    q = open_pair(&peers[AIDASH_PENDING], false); /* one more: the first goes */
    CHECK(q == p[0]);
    CHECK(is_over(peers[0]));
    /* An event for who was there before finds a stranger, and does nothing. */
    ad_pending_event(q);
    CHECK_EQ(q->phase, AD_PENDING_SILENT);
    for (i = 0; i <= AIDASH_PENDING; i++) {
        (void)close(peers[i]);
    }
    end();
}

/* What came since the hub last looked counts: a whole head is kept, a malformed
 * one or a FIN makes the place free. */
static void test_eviction_reads_first(void)
{
    struct ad_pending *p[5];
    int peers[5], i;

    begin();
    for (i = 0; i < 5; i++) {
        p[i] = open_pair(&peers[i], false);
    }
    say(peers[0], request);
    say(peers[1], "GET / HTTP/1.1\r\n");
    (void)turn();
    say(peers[1], "Host: a\r\n\r\n");
    (void)close(peers[2]);
    say(peers[3], "GET / HTTP/1.1\n");
    p[0] = open_pair(&peers[0], false); /* 0 is ready; this one is the last */
    say(peers[0], request);
    pass_ms(AD_PENDING_GRACE_MS);
    CHECK(ad_pending_evict(NULL));
    CHECK_EQ(p[1]->phase, AD_PENDING_READY);
    CHECK_EQ(p[2]->phase, AD_PENDING_FREE);
    CHECK_EQ(ad_pendings.refused, 0);
    CHECK(ad_pending_evict(NULL));
    CHECK_EQ(p[3]->phase, AD_PENDING_FREE);
    CHECK(answered(peers[3], "400", ""));
    CHECK_EQ(ad_pendings.refused, 1);
    CHECK(ad_pending_evict(p[0]));
    CHECK_EQ(p[4]->phase, AD_PENDING_FREE);
    CHECK_EQ(ad_pendings.refused, 2);
    CHECK(!ad_pending_evict(NULL)); /* the last one's head is whole, too */
    CHECK_EQ(p[0]->phase, AD_PENDING_READY);
    for (i = 0; i < 5; i++) {
        if (i != 2) {
            (void)close(peers[i]);
        }
    }
    end();
}

/* The address with the most gives way, whoever comes: an address with few keeps
 * its places, though it has them the longest. */
static void test_eviction_by_address(void)
{
    struct ad_pending *few, *p[AIDASH_PENDING], *late;
    int peers[AIDASH_PENDING], i;

    begin();
    address = 1;
    few = open_pair(&peers[0], false);
    address = 2;
    for (i = 1; i < AIDASH_PENDING; i++) {
        p[i] = open_pair(&peers[i], false);
    }
    for (i = 1; i < AIDASH_PENDING; i++) { /* its own newcomers, and others' */
        int peer;

        address = i % 2 == 0 ? 2 : 3;
        pass_ms(AD_PENDING_GRACE_MS);
        late = open_pair(&peer, false);
        CHECK(late == p[i]);
        CHECK(is_over(peers[i]));
        (void)close(peers[i]);
        peers[i] = peer;
        CHECK_EQ(few->phase, AD_PENDING_SILENT);
    }
    CHECK(!is_over(peers[0]));
    for (i = 0; i < AIDASH_PENDING; i++) {
        (void)close(peers[i]);
    }
    address = 7;
    end();
}

/* Another one of the address waits for AD_PENDING_GRACE_MS; once that was needed,
 * for AD_PENDING_SLOW_GRACE_MS, as long as the address has any place. One of an
 * address that has half as many, or less, does not wait. */
static void test_eviction_grace(void)
{
    struct ad_pending *p[6], *other;
    int peers[6], peer, i;

    begin();
    for (i = 0; i < 4; i++) {
        p[i] = open_pair(&peers[i], false);
    }
    pass_ms(AD_PENDING_GRACE_MS - 1);
    CHECK(!ad_pending_evict(NULL));
    CHECK(!ad_pending_evict(p[3]));
    address = 8;
    other = open_pair(&peer, false);
    address = 7;
    for (i = 0; i < 3; i++) {
        CHECK(ad_pending_evict(other));
        CHECK_EQ(p[i]->phase, AD_PENDING_FREE);
    }
    CHECK(!ad_pending_evict(other)); /* one against one */
    ad_pending_drop(other);
    p[4] = open_pair(&peers[4], false);
    p[5] = open_pair(&peers[5], false);
    pass_ms(1);
    CHECK(ad_pending_evict(NULL));
    CHECK_EQ(p[3]->phase, AD_PENDING_FREE);
    CHECK(!ad_pending_evict(NULL));
    pass_ms(AD_PENDING_SLOW_GRACE_MS - 2);
    CHECK(!ad_pending_evict(NULL));
    pass_ms(1);
    CHECK(ad_pending_evict(NULL));
    CHECK(ad_pending_evict(NULL));
    CHECK_EQ(ad_pendings.n, 0);
    (void)close(peers[0]);
    p[0] = open_pair(&peers[0], false); /* anew: nothing is remembered */
    pass_ms(AD_PENDING_GRACE_MS - 1);
    CHECK(!ad_pending_evict(NULL));
    pass_ms(1);
    CHECK(ad_pending_evict(NULL));
    for (i = 0; i < 6; i++) {
        (void)close(peers[i]);
    }
    (void)close(peer);
    end();
}

/* ---- the listener ---------------------------------------------------------------- */

static int connect_from(uint32_t address, unsigned port)
{
    struct sockaddr_in at, from;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    memset(&at, 0, sizeof(at));
    at.sin_family = AF_INET;
    from = at;
    from.sin_addr.s_addr = htonl(address);
    at.sin_port = htons((uint16_t)port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0);
    CHECK(connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static int connect_to(unsigned port)
{
    return connect_from(INADDR_LOOPBACK, port);
}

static void listen_on_any_port(void)
{
    ad_acceptor_init();
    CHECK(ad_acceptor_listen_on("127.0.0.1:0", 11));
    CHECK(ad_acceptor_open() == NULL);
    ad_listeners_watch(true);
}

/* A newcomer is taken in, and whose turn it is gives way, so that a place is free
 * for the next; in a turn no more than half of all places are taken anew. */
static void test_full_table(void)
{
    enum { MORE = 3 };
    int peers[AIDASH_PENDING + MORE];
    unsigned i, n;

    begin();
    listen_on_any_port();
    for (i = 0; i < AIDASH_PENDING + MORE; i++) {
        peers[i] = connect_to(ad_acceptor.ports[0]);
    }
    ad_listener_event(0);
    CHECK_EQ(ad_acceptor.accepted, AIDASH_PENDING / 2);
    ad_listener_event(0);
    CHECK_EQ(ad_acceptor.accepted, AIDASH_PENDING);
    ad_listener_event(0); /* all have their grace */
    CHECK_EQ(ad_acceptor.accepted, AIDASH_PENDING);
    CHECK(!ad_acceptor.accepting);
    pass_ms(AD_FULL_REST_MS - 1);
    ad_acceptor_run();
    CHECK(!ad_acceptor.accepting);
    pass_ms(AD_PENDING_GRACE_MS);
    ad_acceptor_run();
    CHECK(ad_acceptor.accepting);
    ad_listener_event(0);
    CHECK_EQ(ad_acceptor.accepted, AIDASH_PENDING + MORE);
    CHECK_EQ(ad_pendings.n, AIDASH_PENDING - 1);
    CHECK_EQ(ad_pendings.refused, MORE + 1);
    for (i = n = 0; i < AIDASH_PENDING + MORE; i++) {
        n += is_over(peers[i]);
        CHECK_EQ(n, i < MORE + 1 ? i + 1 : MORE + 1);
    }
    CHECK(ad_acceptor.accepting);
    for (i = 0; i < AIDASH_PENDING + MORE; i++) {
        (void)close(peers[i]);
    }
    ad_acceptor_close();
    end();
}

/* All places have whole requests: newcomers wait in the kernel until one is free,
 * and not longer. */
static void test_full_of_requests(void)
{
    int peers[AIDASH_PENDING + 1];
    unsigned i;

    begin();
    listen_on_any_port();
    for (i = 0; i <= AIDASH_PENDING; i++) {
        peers[i] = connect_to(ad_acceptor.ports[0]);
        say(peers[i], request);
    }
    ad_listener_event(0);
    ad_listener_event(0);
    ad_listener_event(0);
    CHECK_EQ(ad_acceptor.accepted, AIDASH_PENDING);
    CHECK_EQ(ad_pendings.list[AD_PENDING_READY].n, AIDASH_PENDING);
    CHECK(!ad_acceptor.accepting);
    CHECK_EQ(turn(), 0); /* the hub does not spin meanwhile */
    ad_acceptor_run();
    CHECK(!ad_acceptor.accepting);
    ad_pending_drop(ad_pending_first(AD_PENDING_READY));
    ad_acceptor_run();
    CHECK(ad_acceptor.accepting);
    ad_listener_event(0);
    CHECK_EQ(ad_acceptor.accepted, AIDASH_PENDING + 1);
    for (i = 0; i <= AIDASH_PENDING; i++) {
        (void)close(peers[i]);
    }
    ad_acceptor_close();
    end();
}

static struct rlimit files;

static void allow_files(rlim_t n)
{
    struct rlimit limit = files;

    limit.rlim_cur = n;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* Without a descriptor the reserve serves, and others give way to fill it again;
 * when there is nobody, newcomers wait in the kernel for AD_REST_MS. */
static void test_no_descriptor(void)
{
    int peers[2], newcomers[3], i, next;

    begin();
    ad_log_to(0, NULL, NULL);
    listen_on_any_port();
    CHECK_EQ(ad_acceptor.n_spares, AD_SPARES);
    (void)open_pair(&peers[0], false);
    (void)open_pair(&peers[1], false);
    for (i = 0; i < 3; i++) {
        newcomers[i] = connect_to(ad_acceptor.ports[0]);
    }
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    next = dup(0); /* the lowest that is free */
    (void)close(next);
    pass_ms(AD_PENDING_GRACE_MS);
    allow_files((rlim_t)next);
    ad_listener_event(0);
    pass_ms(AD_PENDING_GRACE_MS);
    ad_listener_event(0);
    ad_acceptor_run(); /* the last accept() took a spare, and found nobody */
    allow_files(files.rlim_cur);
    /* Each was taken in: for the first, one of the two of the other address left,
     * and then their own. */
    CHECK_EQ(ad_acceptor.accepted, 3);
    CHECK(is_over(peers[0]) && !is_over(peers[1]));
    CHECK(is_over(newcomers[0]) && is_over(newcomers[1]));
    CHECK(!is_over(newcomers[2]));
    CHECK_EQ(ad_acceptor.n_spares, AD_SPARES);
    CHECK(ad_acceptor.accepting);
    for (i = 0; i < 3; i++) {
        (void)close(newcomers[i]);
    }
    ad_pending_close();

    newcomers[0] = connect_to(ad_acceptor.ports[0]); /* nobody to give way */
    CHECK(ad_spares_use(ad_acceptor.n_spares));
    allow_files(0);
    ad_listener_event(0);
    CHECK(!ad_acceptor.accepting);
    CHECK_EQ(turn(), 0); /* and the hub does not spin meanwhile */
    pass_ms(AD_REST_MS - 1);
    ad_acceptor_run();
    CHECK(!ad_acceptor.accepting);
    CHECK_EQ(ad_acceptor.n_spares, 0);
    allow_files(files.rlim_cur);
    pass_ms(1);
    ad_acceptor_run();
    CHECK_EQ(ad_acceptor.n_spares, AD_SPARES);
    ad_listener_event(0);
    CHECK_EQ(ad_pendings.n, 1);
    CHECK(!is_over(newcomers[0]));
    (void)close(peers[0]);
    (void)close(peers[1]);
    (void)close(newcomers[0]);
    ad_acceptor_close();
    CHECK_EQ(ad_acceptor.n_spares, 0);
    end();
}

/* accept() fails, and no descriptor would help: the hub rests. */
static void test_accept_fails(void)
{
    int listener, file = open("/dev/null", O_RDONLY);

    begin();
    listen_on_any_port();
    listener = ad_acceptor.listeners[0];
    ad_acceptor.listeners[0] = file; /* no socket */
    ad_listener_event(0);
    CHECK(!ad_acceptor.accepting);
    CHECK_EQ(ad_pendings.n, 0);
    ad_acceptor.listeners[0] = listener;
    (void)close(file);
    ad_acceptor_close();
    end();
}

/* A connection from `address` that sends a whole request, accepted and read. Returns
 * the test's end of it. */
static int comes_from(uint32_t address)
{
    int peer = connect_from(address, ad_acceptor.ports[0]);

    say(peer, request);
    ad_listeners_watch(true);
    ad_listener_event(0);
    (void)turn();
    return peer;
}

/* Is its request to be served? It ends here in any case. */
static bool is_served(int peer)
{
    struct ad_pending *p = ad_pending_first(AD_PENDING_READY);

    if (p != NULL) {
        ad_pending_drop(p);
    }
    (void)close(peer);
    (void)turn();
    return p != NULL;
}

/* Connections of one address, one after the other: the budget is served, of the rest
 * some are told, and the others reset. Another address is not concerned, and who is
 * of this machine, or a trusted proxy, has no limit. */
static void test_too_often(void)
{
    enum { TOLD = 20, FLOOD = 0x7F000002, OTHER, PROXY };
    unsigned i, served = 0, told = 0;
    int peer;

    begin();
    ad_throttle_init();
    ad_access_init();
    CHECK(ad_access_add_proxy("127.0.0.4", 9));
    listen_on_any_port();
    for (i = 0; i < AIDASH_CONNECT_BURST; i++) {
        served += is_served(comes_from(FLOOD));
    }
    CHECK_EQ(served, AIDASH_CONNECT_BURST);
    CHECK_EQ(ad_throttles.beyond[AD_BUDGET_CONNECT], 0);
    for (i = 0; i < TOLD; i++) {
        peer = comes_from(FLOOD);
        told += answered(peer, "429", "too many connections a second");
        CHECK(!is_served(peer));
    }
    CHECK_EQ(told, TOLD);
    CHECK_EQ(ad_throttles.beyond[AD_BUDGET_CONNECT], TOLD);
    CHECK(ad_acceptor.accepting);

    peer = comes_from(FLOOD); /* a reset, and a rest for the listener */
    CHECK(is_over(peer));
    CHECK(!is_served(peer));
    CHECK(!ad_acceptor.accepting);
    CHECK_EQ(ad_acceptor_deadline(), ad_hub.now_ns + AD_FLOOD_REST_MS * AD_NS_PER_MS);
    pass_ms(AD_FLOOD_REST_MS - 1);
    ad_acceptor_run();
    CHECK(!ad_acceptor.accepting);
    pass_ms(1);
    ad_acceptor_run();
    CHECK(ad_acceptor.accepting);

    pass_ms(1000 / AIDASH_CONNECT_RATE - AD_FLOOD_REST_MS); /* one may come in */
    CHECK(is_served(comes_from(FLOOD)));
    CHECK(!is_served(comes_from(FLOOD)));
    CHECK(is_served(comes_from(OTHER)));
    for (i = served = 0; i <= AIDASH_CONNECT_BURST; i++) {
        served += is_served(comes_from(PROXY));
        served += is_served(comes_from(INADDR_LOOPBACK));
    }
    CHECK_EQ(served, 2 * (AIDASH_CONNECT_BURST + 1));
    ad_access_init();
    ad_acceptor_close();
    end();
}

/* One more than --per-address: 503, and the others stay. */
static void test_per_address(void)
{
    int peers[5], i;

    begin();
    listen_on_any_port();
    ad_acceptor_set_per_address(2);
    for (i = 0; i < 3; i++) {
        peers[i] = connect_to(ad_acceptor.ports[0]);
    }
    ad_listener_event(0);
    CHECK(!is_over(peers[0]) && !is_over(peers[1]));
    CHECK(answered(peers[2], "503", "(--per-address)"));
    /* Who has its answer, and has not closed yet, gives way, and nobody else. */
    peers[4] = connect_to(ad_acceptor.ports[0]);
    ad_listener_event(0);
    CHECK(answered(peers[4], "503", "(--per-address)"));
    CHECK_EQ(ad_pendings.n, 3);
    (void)close(peers[4]);
    say(peers[0], "nonsense\r\n\r\n");
    (void)turn();
    CHECK_EQ(ad_pending[0].phase, AD_PENDING_LINGER);
    peers[4] = connect_to(ad_acceptor.ports[0]);
    ad_listener_event(0);
    CHECK(!is_over(peers[4]));
    CHECK_EQ(ad_pendings.n, 2);
    (void)close(peers[4]);
    (void)close(peers[2]);
    (void)close(peers[1]);
    for (i = 0; i < 3; i++) {
        (void)turn();
    }
    peers[3] = connect_to(ad_acceptor.ports[0]);
    ad_listener_event(0);
    CHECK(!is_over(peers[3]));
    CHECK_EQ(ad_pendings.refused, 3);
    (void)close(peers[0]);
    (void)close(peers[3]);
    ad_acceptor_close();
    end();
}

/* ---- long answers ---------------------------------------------------------------- */

enum { PIECES = 300, PIECE = 997 };

static void pump(struct ad_pending *p)
{
    unsigned i;
    char *at = ad_pending_buffer(p);

    for (i = 0; i < PIECE; i++) {
        at[i] = (char)('a' + (p->cursor * PIECE + i) % 23);
    }
    p->len = PIECE;
    if (++p->cursor == PIECES) {
        p->more = NULL;
    }
}

static struct ad_pending *long_answer(int *peer)
{
    int size = 4096;
    struct ad_pending *p = open_pair(peer, false);

    (void)setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    p->cursor = 0;
    p->more = pump;
    ad_pending_answer(p, 0);
    CHECK_EQ(p->phase, AD_PENDING_ANSWER);
    return p;
}

static void test_pump(void)
{
    struct ad_pending *p;
    size_t total = 0, i;
    ssize_t got;
    int peer;

    begin();
    p = long_answer(&peer);
    CHECK_EQ(turn(), 0); /* the peer takes nothing: nothing happens */
    while (total < PIECES * PIECE) {
        got = recv(peer, wire + total, 700, 0);
        if (got > 0) {
            total += (size_t)got;
        } else {
            CHECK(turn() == 1);
        }
    }
    for (i = 0; i < total && wire[i] == (char)('a' + i % 23); i++) {
    }
    CHECK_EQ(i, total);
    CHECK_EQ(p->phase, AD_PENDING_LINGER);
    CHECK(is_over(peer));
    (void)close(peer);
    end();
}

/* By how many bytes a second the peer takes: none, one, fewer than AD_RATE_MIN,
 * as many. */
static void test_slow_readers(void)
{
    static const struct {
        size_t bytes;
        uint32_t from_ms, to_ms; /* when the connection is reset; 0: it is not */
    } cases[] = {{0, AD_RATE_GRACE_MS, 11000},
                 {1, AD_RATE_GRACE_MS, 11000},
                 {AD_RATE_MIN / 8, AD_RATE_GRACE_MS, 13000},
                 {AD_RATE_MIN, 0, 0}};
    size_t k;

    for (k = 0; k < AD_COUNT(cases); k++) {
        struct ad_pending *p;
        uint32_t ms = 0;
        int peer;

        begin();
        p = long_answer(&peer);
        while (p->phase == AD_PENDING_ANSWER && ms < 60000) {
            size_t left = cases[k].bytes;
            ssize_t got = 1;

            while (left > 0 && got > 0) {
                got = recv(peer, wire, left < 1024 ? left : 1024, 0);
                left -= got > 0 ? (size_t)got : 0;
                (void)turn();
            }
            pass_ms(1000);
            ms += 1000;
            if (p->phase == AD_PENDING_ANSWER) {
                ad_pending_housekeeping();
            }
        }
        CHECK_EQ(p->phase, cases[k].to_ms > 0 ? AD_PENDING_FREE
                                              : AD_PENDING_LINGER);
        CHECK(cases[k].to_ms == 0 ||
              (ms > cases[k].from_ms && ms <= cases[k].to_ms));
        (void)close(peer);
        end();
    }
}

/* It took much at once, and then nothing: AD_STALL_MS, though its average is
 * good. */
static void test_stalled_reader(void)
{
    struct ad_pending *p;
    int peer;

    begin();
    p = long_answer(&peer);
    p->sent = 100u << 20;
    pass_ms(AD_STALL_MS - 1);
    ad_pending_housekeeping();
    CHECK_EQ(p->phase, AD_PENDING_ANSWER);
    pass_ms(1);
    ad_pending_housekeeping();
    CHECK_EQ(p->phase, AD_PENDING_FREE);
    (void)close(peer);
    end();
}

/* ---- resets ------------------------------------------------------------------------ */

static void reset(int fd)
{
    struct linger now = {1, 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    (void)close(fd);
}

static void test_resets(void)
{
    struct ad_text head = {(char *)(uintptr_t)request, sizeof(request) - 1,
                           sizeof(request) - 1, false};
    struct ad_pending *p;
    int peer;

    begin();
    p = open_tcp(&peer); /* SILENT */
    reset(peer);
    (void)turn();
    CHECK_EQ(p->phase, AD_PENDING_FREE);
    p = open_tcp(&peer); /* HEAD */
    say(peer, "GET");
    (void)turn();
    CHECK_EQ(p->phase, AD_PENDING_HEAD);
    reset(peer);
    (void)turn();
    CHECK_EQ(p->phase, AD_PENDING_FREE);
    p = open_tcp(&peer); /* READY: noticed when it is answered */
    say(peer, request);
    (void)turn();
    reset(peer);
    CHECK_EQ(turn(), 0);
    ad_pending_refuse(p, 404, "", "no");
    CHECK_EQ(p->phase, AD_PENDING_FREE);
    p = open_tcp(&peer); /* WAITING, and then a worker's ANSWER */
    say(peer, request);
    (void)turn();
    ad_worker_ask(p, &head, "", 0);
    reset(peer);
    CHECK_EQ(turn(), 0);
    ad_workers_run();
    CHECK_EQ(p->phase, AD_PENDING_ANSWER);
    say(worker, "HTTP/1.1 200 OK\r\n\r\n");
    (void)turn();
    CHECK_EQ(p->phase, AD_PENDING_FREE);
    CHECK_EQ(turn(), 0);
    p = open_tcp(&peer); /* ANSWER that is not taken */
    block(p);
    ad_pending_refuse(p, 404, "", "no");
    CHECK_EQ(p->phase, AD_PENDING_ANSWER);
    reset(peer);
    (void)turn();
    CHECK_EQ(p->phase, AD_PENDING_FREE);
    p = open_tcp(&peer); /* LINGER */
    ad_pending_refuse(p, 404, "", "no");
    CHECK_EQ(p->phase, AD_PENDING_LINGER);
    reset(peer);
    (void)turn();
    CHECK_EQ(p->phase, AD_PENDING_FREE);
    CHECK_EQ(turn(), 0);
    end();
}

/* ---- workers ------------------------------------------------------------------------ */

/* A handshake, as routes.c leaves it to a worker. */
static struct ad_pending *handshake(int *peer, const char *behind)
{
    struct ad_pending *p = open_pair(peer, false);
    struct ad_text head = {(char *)(uintptr_t)request, sizeof(request) - 1,
                           sizeof(request) - 1, false};

    say(*peer, request);
    (void)turn();
    CHECK_EQ(p->phase, AD_PENDING_READY);
    CHECK(ad_slot_reserve(0));
    p->upgrades = true;
    (void)snprintf(p->client_id, sizeof(p->client_id), "me");
    ad_worker_ask(p, &head, behind, strlen(behind));
    return p;
}

static int slots(void)
{
    return atomic_load(&ad_slots.reserved[0]);
}

static const char switching[] = "HTTP/1.1 101 Switching Protocols\r\n\r\n";

/* The answer in pieces, and a ping that came behind the request. */
static void test_upgrade(void)
{
    static const char ping[] = "\x89\x80zzzz";
    struct ad_pending *p;
    int peer;

    begin();
    p = handshake(&peer, ping);
    ad_workers_run();
    CHECK_EQ(recv(worker, wire, sizeof(wire), 0), sizeof(request) - 1);
    CHECK_EQ(recv(worker, wire, sizeof(wire), 0), 0);
    say(worker, "HTTP/1.1 1");
    (void)turn();
    CHECK_EQ(p->phase, AD_PENDING_ANSWER);
    say(worker, switching + 10);
    (void)turn();
    CHECK_EQ(p->phase, AD_PENDING_FREE);
    CHECK_EQ(slots(), 1);
    CHECK_EQ(ad_slots.n_kind[AD_WS], 1);
    CHECK(strncmp(received(peer), switching, sizeof(switching) - 1) == 0);
    CHECK(memmem(wire, wire_len, "\"event\":\"hello\"", 15) != NULL);
    CHECK(memmem(wire, wire_len, "\x8A\x00", 2) != NULL);
    (void)close(peer);
    end();
}

/* Every other end of a handshake gives its slot back. */
static void test_slot_given_back(void)
{
    static char much[AIDASH_HEAD_MAX - AD_WORKERS_HEAD_MAX + 2];
    struct ad_pending *p;
    int peer;

    begin();
    ad_acceptor_init();
    p = handshake(&peer, ""); /* aidash stops while it waits */
    CHECK_EQ(slots(), 1);
    ad_pending_stop();
    CHECK_EQ(p->phase, AD_PENDING_FREE);
    CHECK_EQ(slots(), 0);
    (void)close(peer);

    p = handshake(&peer, ""); /* no worker is ever free */
    pass_ms(AD_WORKER_MS);
    ad_pending_housekeeping();
    CHECK(answered(peer, "503", "no worker"));
    CHECK_EQ(slots(), 0);
    (void)close(peer);
    (void)turn();

    memset(much, 'x', sizeof(much) - 1); /* more came behind it than is kept */
    p = handshake(&peer, much);
    CHECK(answered(peer, "400", "too long"));
    CHECK_EQ(slots(), 0);
    (void)close(peer);
    (void)turn();

    p = handshake(&peer, ""); /* no descriptor is left */
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    allow_files(0);
    ad_workers_run();
    CHECK_EQ(p->phase, AD_PENDING_WAITING); /* others may end meanwhile */
    CHECK_EQ(ad_workers_deadline(),
             ad_hub.now_ns + AD_REST_MS * AD_NS_PER_MS);
    pass_ms(AD_WORKERS_PATIENCE_MS);
    ad_workers_run();
    allow_files(files.rlim_cur);
    CHECK(answered(peer, "503", "no descriptor"));
    CHECK_EQ(slots(), 0);
    (void)close(peer);
    (void)turn();

    p = handshake(&peer, ""); /* the worker ends without a word */
    ad_workers_run();
    (void)close(worker);
    (void)turn();
    CHECK(answered(peer, "500", "could not be answered"));
    CHECK_EQ(slots(), 0);
    (void)close(peer);
    (void)turn();

    p = handshake(&peer, ""); /* it refuses */
    ad_workers_run();
    say(worker, "HTTP/1.1 400 Bad Request\r\n");
    (void)turn();
    say(worker, "\r\nbody");
    (void)turn();
    CHECK_EQ(slots(), 0);
    (void)close(worker);
    worker = -1;
    (void)turn();
    CHECK(answered(peer, "400", "\r\n\r\nbody"));
    CHECK_EQ(p->phase, AD_PENDING_LINGER);
    (void)close(peer);
    (void)turn();

    p = handshake(&peer, ""); /* it gives way to another */
    CHECK(!ad_pending_evict(NULL)); /* as long as the worker is awaited, no */
    ad_workers_run();
    CHECK(!ad_pending_evict(NULL));
    block(p);
    say(worker, "HTTP/1.1 400 Bad Request\r\n\r\n");
    (void)turn();
    CHECK_EQ(p->events, AD_OUT);
    pass_ms(AD_PENDING_GRACE_MS);
    CHECK(ad_pending_evict(NULL));
    CHECK_EQ(p->phase, AD_PENDING_FREE);
    CHECK_EQ(slots(), 0);
    CHECK_EQ(send(worker, "x", 1, MSG_NOSIGNAL), -1); /* nobody listens */
    (void)close(worker);
    (void)close(peer);

    p = handshake(&peer, ""); /* the worker never answers */
    ad_workers_run();
    pass_ms(AD_STALL_MS - 1);
    ad_pending_housekeeping();
    CHECK_EQ(p->phase, AD_PENDING_ANSWER);
    pass_ms(1);
    ad_pending_housekeeping();
    CHECK(answered(peer, "503", "there was no answer in time"));
    CHECK_EQ(p->phase, AD_PENDING_LINGER);
    CHECK_EQ(slots(), 0);
    CHECK_EQ(send(worker, "x", 1, MSG_NOSIGNAL), -1); /* nobody listens */
    (void)close(worker);
    (void)close(peer);
    (void)turn();

    (void)handshake(&peer, ""); /* aidash ends */
    ad_workers_run();
    ad_pending_stop();
    CHECK(ad_pending_answering());
    ad_pending_close();
    CHECK(!ad_pending_answering());
    CHECK_EQ(slots(), 0);
    (void)close(peer);

    p = handshake(&peer, ""); /* aidash is stopping when the answer comes */
    (void)close(worker);
    ad_workers_run();
    ad_hub.stopping = true;
    say(worker, switching);
    (void)turn();
    CHECK_EQ(p->phase, AD_PENDING_FREE);
    CHECK_EQ(slots(), 0);
    CHECK(is_over(peer));
    (void)close(peer);
    end();
}

/* A worker's answer to a client that reads slowly: whole, and the worker never
 * waits. */
static void test_worker_answer(void)
{
    static char body[100 * 1024];
    struct ad_text head = {(char *)(uintptr_t)request, sizeof(request) - 1,
                           sizeof(request) - 1, false};
    struct ad_pending *p;
    int peer, size = 4096, idle = 0;
    size_t total = 0;

    begin();
    p = open_pair(&peer, false);
    (void)setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    say(peer, request);
    (void)turn();
    ad_worker_ask(p, &head, "", 0);
    CHECK_EQ(p->phase, AD_PENDING_WAITING);
    atomic_store(&ad_workers.inside, AD_WORKERS_INSIDE);
    ad_workers_run();
    CHECK_EQ(p->phase, AD_PENDING_WAITING);
    CHECK_EQ(ad_workers_deadline(), UINT64_MAX);
    atomic_store(&ad_workers.inside, AD_WORKERS_INSIDE - 1);
    CHECK_EQ(ad_workers_deadline(), 0);
    ad_workers_run();
    CHECK_EQ(ad_workers_deadline(), UINT64_MAX);
    memset(body, 'b', sizeof(body));
    CHECK_EQ(send(worker, body, sizeof(body), 0), (ssize_t)sizeof(body));
    (void)close(worker);
    worker = -1;
    while (idle < 3) {
        ssize_t got = recv(peer, wire, 3000, 0);

        (void)turn();
        idle = got > 0 ? 0 : idle + 1;
        total += got > 0 ? (size_t)got : 0;
    }
    CHECK_EQ(total, sizeof(body));
    CHECK_EQ(p->phase, AD_PENDING_LINGER);
    CHECK_EQ(turn(), 0);
    (void)close(peer);
    end();
}

/* What is answered late to HEAD has no body, whoever was too late. */
static void test_late_for_head(void)
{
    static const char *const requests[] = {"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                                           "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"};
    static const char *const status[] = {"503", "503", "503", "500"};
    unsigned i, late;

    for (i = 0; i < 2; i++) {
        for (late = 0; late < 4; late++) {
            struct ad_text head = {(char *)(uintptr_t)request, sizeof(request) - 1,
                                   sizeof(request) - 1, false};
            struct ad_pending *p;
            int peer;

            begin();
            p = open_pair(&peer, false);
            say(peer, requests[i]);
            (void)turn();
            CHECK_EQ(p->phase, AD_PENDING_READY);
            if (late == 1) { /* the program's callback */
                ad_pending_enter(p, AD_PENDING_CALLING);
            } else {
                ad_worker_ask(p, &head, "", 0);
            }
            if (late >= 2) { /* a worker has it, */
                ad_workers_run();
                CHECK_EQ(p->phase, AD_PENDING_ANSWER);
            }
            if (late == 3) { /* and says nothing */
                (void)close(worker);
                worker = -1;
                (void)turn();
            } else {
                pass_ms(AD_WORKER_MS);
                ad_pending_housekeeping();
            }
            CHECK(answered(peer, status[late], "\r\n\r\n"));
            CHECK_EQ(strstr(wire, "\"error\"") == NULL, i == 1);
            (void)close(peer);
            (void)turn();
            end();
        }
    }
}

/* Workers take the first request of an address in turns with what others have
 * sent behind theirs. */
static void test_turns(void)
{
    static const struct {
        uint64_t address;
        unsigned turn; /* in which it gets its worker */
    } cases[] = {{1, 0}, {1, 1}, {1, 3}, {1, 5}, {2, 2}, {1, 6}, {3, 4}};
    struct ad_text head = {(char *)(uintptr_t)request, sizeof(request) - 1,
                           sizeof(request) - 1, false};
    struct ad_pending *p[AD_COUNT(cases)];
    int peers[AD_COUNT(cases)];
    unsigned i, k;

    begin();
    for (i = 0; i < AD_COUNT(cases); i++) {
        address = cases[i].address;
        p[i] = open_pair(&peers[i], false);
        say(peers[i], request);
        (void)turn();
        ad_worker_ask(p[i], &head, "", 0);
    }
    for (k = 0; k < AD_COUNT(cases); k++) {
        atomic_store(&ad_workers.inside, AD_WORKERS_INSIDE - 1);
        ad_workers_run();
        (void)close(worker);
        worker = -1;
        for (i = 0; i < AD_COUNT(cases); i++) {
            CHECK_EQ(p[i]->phase == AD_PENDING_ANSWER, cases[i].turn <= k);
        }
    }
    for (i = 0; i < AD_COUNT(cases); i++) {
        CHECK_EQ(ad_peers[ad_peer_slot(cases[i].address)].asking, 0);
        (void)close(peers[i]);
    }
    address = 7;
    end();
}

int main(void)
{
    test_head_in_bytes();
    test_bytes_behind_head();
    test_bad_heads();
    test_head_times();
    test_lingering_discards();
    test_eviction();
    test_eviction_reads_first();
    test_eviction_by_address();
    test_eviction_grace();
    test_full_table();
    test_full_of_requests();
    test_no_descriptor();
    test_accept_fails();
    test_per_address();
    test_too_often();
    test_pump();
    test_slow_readers();
    test_stalled_reader();
    test_resets();
    test_upgrade();
    test_slot_given_back();
    test_worker_answer();
    test_late_for_head();
    test_turns();
    return check_report();
}
