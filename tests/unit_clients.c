/* The clients of the hub over socketpairs: attach, what a slow peer gets, cut
 * frames, closing, lingering, stalls, pings, POST bodies in pieces, and how much
 * a source appends in one go. The clock is the test's. */
#include "../src/core/attach.c"
#include "check.h"
#include "feed_events.h"

static uint8_t wire[4 * 1024 * 1024]; /* what a peer has received */
static size_t wire_len;

static void reset_hub(void)
{
    memset(&ad_hub, 0, sizeof(ad_hub));
    memset(&ad_events, 0, sizeof(ad_events));
    memset(&ad_engine, 0, sizeof(ad_engine));
    memset(&ad_commands, 0, sizeof(ad_commands));
    memset(&ad_sources, 0, sizeof(ad_sources));
    memset(&ad_slots, 0, sizeof(ad_slots));
    memset(&ad_fanout, 0, sizeof(ad_fanout));
    memset(&ad_ticks, 0, sizeof(ad_ticks));
    ad_slots.free = AD_NO_SLOT;
    ad_fanout.backlog = 50;
    ad_feed_init();
    CHECK(ad_poll_open());
    ad_hub_clock();
    ad_events_fanned_out();
    wire_len = 0;
    (void)strcpy(ad_hub.run, "run");
}

/* At its end nothing is left: no client, no subscriber, no reserved slot. */
static void end_hub(void)
{
    unsigned i, left = 0;

    ad_clients_drop();
    CHECK_EQ(ad_slots.n_open, 0);
    for (i = 0; i < AD_PEERS_SLOTS; i++) {
        left += ad_peers[i].n;
    }
    CHECK_EQ(left, 0);
    CHECK_EQ(ad_fanout.n_subscribed, 0);
    CHECK_EQ(atomic_load(&ad_slots.reserved[0]), 0);
    CHECK_EQ(atomic_load(&ad_slots.reserved[1]), 0);
    ad_poll_close();
}

static void pair(int fds[2])
{
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(fds[1], F_SETFL, O_NONBLOCK);
}

/* Attach one end of a new pair; *peer is the other. */
static struct ad_client *attach(struct ad_attach *a, int *peer)
{
    int fds[2];

    pair(fds);
    a->fd = fds[0];
    *peer = fds[1];
    (void)ad_peer_open(a->address); /* as the acceptor does */
    CHECK(ad_slot_reserve(ad_kind_class(a->kind))); /* as the routes do */
    CHECK(ad_client_attach(a));
    return &ad_clients[ad_slots.n_used - 1];
}

/* A viewer that has read its greeting. */
static struct ad_client *viewer(enum ad_kind kind, int *peer)
{
    struct ad_attach a = {.kind = kind, .id = "v"};
    struct ad_client *c = attach(&a, peer);

    CHECK(recv(*peer, wire, sizeof(wire), 0) > 0);
    return c;
}

/* Everything that the peer can read now, as a string. */
static const char *received(int peer)
{
    ssize_t got;

    wire_len = 0;
    while ((got = recv(peer, wire + wire_len, sizeof(wire) - 1 - wire_len, 0)) >
           0) {
        wire_len += (size_t)got;
    }
    wire[wire_len] = '\0';
    return (const char *)wire;
}

/* Is this what was received, and all of it? */
static bool wire_is(const char *text)
{
    return wire_len == strlen(text) && memcmp(wire, text, wire_len) == 0;
}

/* Is this text in what the peer can read now, or in what it read last? */
static bool has(const char *text)
{
    return memmem(wire, wire_len, text, strlen(text)) != NULL;
}

static bool receives(int peer, const char *text)
{
    (void)received(peer);
    return has(text);
}

static bool peer_has_eof(int peer)
{
    char byte;

    return recv(peer, &byte, 1, 0) == 0;
}

/* What the poller tells, as the loop hands it on. */
static void turn(void)
{
    struct ad_ready ready[AD_READY_MAX];
    unsigned i, n = ad_poll_wait(0, ready);

    for (i = 0; i < n; i++) {
        if (ready[i].tag == AD_TAG_CLIENT) {
            ad_client_event(ready[i].index, ready[i].events);
        }
        if (ad_events_due()) {
            ad_fan_out();
        }
    }
}

static void write_peer(int peer, const void *bytes, size_t len)
{
    CHECK_EQ(send(peer, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* A masked frame from the client; its mask is zero. */
static size_t frame(uint8_t *out, unsigned first, const char *payload,
                    size_t len)
{
    memset(out, 0, 8);
    out[0] = (uint8_t)first;
    if (len < 126) {
        out[1] = (uint8_t)(0x80 | len);
        memcpy(out + 6, payload, len);
        return len + 6;
    }
    out[1] = 0x80 | 126;
    out[2] = (uint8_t)(len >> 8);
    out[3] = (uint8_t)len;
    memcpy(out + 8, payload, len);
    return len + 8;
}

static void pass_ms(uint32_t ms)
{
    ad_hub.now_ms += ms;
}

/* ---- attach -------------------------------------------------------------------- */

static void test_attach_websocket(void)
{
    struct ad_attach a = {.kind = AD_WS, .id = "me", .address = 77};
    int peer;
    struct ad_client *c;
    const char *got;

    reset_hub();
    append(AD_EV_TICK);
    c = attach(&a, &peer);
    got = received(peer);
    CHECK(wire[0] == 0x81);
    CHECK(strstr(got + 4, "{\"event\":\"hello\",") == got + 4);
    CHECK(strstr(got + 4, "\"client_id\":\"me\"") != NULL);
    CHECK(strstr(got + 4, "\"next_seq\":2,") != NULL);
    CHECK_EQ(c->phase, AD_OPEN);
    CHECK_EQ(ad_slots.n_kind[AD_WS], 1);
    CHECK_EQ(ad_fanout.n_subscribed, 1);
    CHECK_EQ(ad_peers[ad_peer_slot(77)].n, 1);
    CHECK_EQ(ad_peers[ad_peer_slot(78)].n, 0);
    append(AD_EV_TICK);
    ad_fan_out();
    CHECK(receives(peer, "{\"seq\":2,"));
    (void)close(peer);
    turn();
    CHECK_EQ(c->phase, AD_FREE);
    end_hub();
}

/* How often batches are sent: by what the fan-out before took; earlier with half a
 * backlog; at once when so many events wait, or so many bytes of them. */
static void test_batch_pace(void)
{
    static const struct {
        unsigned took_us, pause_us;
    } paces[] = {{0, 50000},     {10000, 50000},   {10001, 50005},
                 {20000, 100000}, {50000, 250000}, {2000000, 250000}};
    char tick[1024];
    struct ad_client *c;
    unsigned i, n;
    int peer;

    for (i = 0; i < AD_COUNT(paces); i++) {
        CHECK_EQ(ad_batch_pause_ns(paces[i].took_us * 1000ull),
                 paces[i].pause_us * 1000ull);
    }
    memset(tick, ' ', sizeof(tick));
    for (i = 0; i < 2; i++) {
        size_t len = i == 0 ? 2 : sizeof(tick);
        size_t frame = len + ad_ws_frame_header_len(len + 4);
        unsigned most = i == 0 ? (unsigned)AD_BATCH_WAITING
                               : (unsigned)((AD_BATCH_WAITING_BYTES + frame - 1) / frame);

        reset_hub();
        c = viewer(AD_WS_BATCH, &peer);
        ad_events.batching = true;
        ad_fanout.batch_ns = ad_fanout.batch_late_ns = UINT64_MAX;
        ad_fanout.batched = ad_feed.next;
        for (n = 1; n < most; n++) {
            ad_feed_append(AD_EV_TICK, tick, len);
            ad_fan_out();
            CHECK_STR(received(peer), "");
            CHECK(ad_fanout.batch_waits);
        }
        ad_feed_append(AD_EV_TICK, tick, len);
        ad_fan_out();
        CHECK(!ad_fanout.batch_waits);
        CHECK(ad_fanout.batch_ns < UINT64_MAX); /* the next one has its times */
        CHECK(ad_fanout.batch_ns <= ad_fanout.batch_late_ns);
        CHECK(ad_fanout.batch_late_ns < UINT64_MAX);
        for (n = 0; n < 10 && c->next != ad_feed.next; n++) { /* as its socket takes it */
            CHECK(received(peer)[0] != '\0');
            c->blocked = false;
            CHECK(ad_client_flush(c));
        }
        CHECK_EQ(c->next, ad_feed.next);

        ad_fanout.batch_ns = 0; /* half a backlog goes after the usual pause, */
        for (n = 1; n <= ad_fanout.backlog / 2; n++) {
            ad_fanout.batch_late_ns = UINT64_MAX;
            ad_feed_append(AD_EV_TICK, tick, len);
            CHECK_EQ(ad_batch_at_ns(), n < ad_fanout.backlog / 2 ? UINT64_MAX : 0);
            ad_fan_out();
            CHECK_EQ(c->next == ad_feed.next, n == ad_fanout.backlog / 2);
        }
        (void)received(peer);
        ad_fanout.batch_ns = ad_fanout.batch_late_ns = UINT64_MAX;
        ad_feed_append(AD_EV_TICK, tick, len);
        ad_fan_out();
        CHECK(c->next != ad_feed.next); /* one alone waits, */
        ad_fanout.batch_late_ns = 0;
        ad_fan_out();
        CHECK_EQ(c->next, ad_feed.next); /* and goes when it is time, */
        ad_fanout.batch_late_ns = UINT64_MAX;
        ad_feed_append(AD_EV_TICK, tick, len);
        ad_events.batching = false;
        ad_fan_out();
        CHECK_EQ(c->next, ad_feed.next); /* or at once where little comes */
        close(peer);
        end_hub();
    }
}

/* SSE from an event on: what the feed still keeps of it comes at once. */
static void test_attach_sse(void)
{
    struct ad_attach a = {.kind = AD_SSE, .has_since = true, .since = 2,
                          .cors = "Vary: Origin\r\n"};
    int peer, i;
    const char *got;

    reset_hub();
    for (i = 0; i < 4; i++) {
        append(AD_EV_TICK);
    }
    (void)attach(&a, &peer);
    got = received(peer);
    CHECK(strncmp(got, "HTTP/1.1 200 OK\r\n", 17) == 0);
    CHECK(strstr(got, "Vary: Origin\r\n\r\nretry: 1000\n\n") != NULL);
    CHECK(strstr(got, "event: hello\ndata: {") != NULL);
    CHECK(strstr(got, "id: run-2\n") == NULL);
    CHECK(strstr(got, "id: run-3\nevent: inference_tick\ndata: {\"seq\":3,") != NULL);
    CHECK(strstr(got, "id: run-4\n") != NULL);
    (void)close(peer);
    end_hub();
}

/* Without a slot, or when the hub stops, the socket stays the caller's. */
static void test_attach_refused(void)
{
    struct ad_attach a = {.kind = AD_COMMAND};
    int fds[2], peers[AIDASH_EXCHANGES], i;

    reset_hub();
    a.body.left = 10; /* its state is AD_BODY_LENGTH */
    for (i = 0; i < AIDASH_EXCHANGES; i++) {
        (void)attach(&a, &peers[i]);
    }
    pair(fds);
    a.fd = fds[0];
    CHECK(!ad_slot_reserve(1));
    CHECK_EQ(ad_slots.n_open, AIDASH_EXCHANGES);
    a.kind = AD_SSE;
    ad_hub.stopping = true;
    CHECK(ad_slot_reserve(0)); /* it is given back */
    CHECK(!ad_client_attach(&a));
    CHECK_EQ(atomic_load(&ad_slots.reserved[0]), 0);
    CHECK(send(fds[1], "x", 1, MSG_NOSIGNAL) == 1); /* still open */
    for (i = 0; i < AIDASH_EXCHANGES; i++) {
        (void)close(peers[i]);
    }
    (void)close(fds[0]);
    (void)close(fds[1]);
    end_hub();
}

/* A slot that was used before is used again before a new one. */
static void test_slots_reused(void)
{
    int peers[3];
    struct ad_client *second;

    reset_hub();
    (void)viewer(AD_WS, &peers[0]);
    second = viewer(AD_WS, &peers[1]);
    (void)viewer(AD_WS, &peers[2]);
    ad_client_drop(second);
    CHECK_EQ(ad_fanout.n_subscribed, 2);
    (void)close(peers[1]);
    {
        struct ad_attach a = {.kind = AD_WS};

        (void)attach(&a, &peers[1]);
    }
    CHECK_EQ(second->phase, AD_OPEN);
    CHECK_EQ(ad_slots.n_used, 3);
    append(AD_EV_TICK);
    ad_fan_out();
    CHECK(receives(peers[1], "next_seq\":1"));
    CHECK(receives(peers[0], "{\"seq\":1"));
    (void)close(peers[0]);
    (void)close(peers[1]);
    (void)close(peers[2]);
    end_hub();
}

/* ---- a client's bytes over a socket that takes little -------------------------- */

static struct ad_client *slow_viewer(enum ad_kind kind, int *peer)
{
    struct ad_client *c = viewer(kind, peer);
    int small = 4096;

    (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    return c;
}

/* Reads pieces of changing size while events come, as a slow peer would. */
static size_t run_slow_peer(struct ad_client *c, int peer, unsigned events)
{
    size_t n = 0, step = 1;
    unsigned i, idle = 0;

    for (i = 0; i < events || idle < 3;) {
        ssize_t got = recv(peer, wire + n, step, 0);

        n += got > 0 ? (size_t)got : 0;
        step = step * 3 % 211 + 1;
        if (i < events) {
            append(i % 10 == 9 ? AD_EV_STATUS : AD_EV_TICK);
            i++;
        }
        if (c->blocked) {
            ad_client_event(ad_client_index(c), AD_OUT);
        } else {
            ad_fan_out();
        }
        idle = got > 0 || i < events ? 0 : idle + 1;
    }
    return n;
}

/* Reads frames of test events and statuses from wire[0..n). Whole frames only;
 * what was got and what was told to be lost is everything, in order. */
static void check_frames(size_t n, uint64_t *got, uint64_t *lost)
{
    size_t at = 0;
    uint64_t expected = 1;

    *got = *lost = 0;
    while (at + 4 <= n) {
        size_t len = wire[at + 1] & 0x7F, header = 2;
        unsigned long long seq, dropped;
        char text[AD_EVENT_MAX + 1];

        if (wire[at] != 0x81) {
            CHECK_EQ(wire[at], 0x81);
            break;
        }
        if (len == 126) {
            len = (size_t)wire[at + 2] << 8 | wire[at + 3];
            header = 4;
        }
        memcpy(text, wire + at + header, len);
        text[len] = '\0';
        if (sscanf(text, "{\"event\":\"status\",\"dropped\":%llu,"
                         "\"next_seq\":%llu}", &dropped, &seq) == 2) {
            CHECK_EQ(dropped - *lost, seq - expected);
            *lost = dropped;
            expected = seq;
        } else {
            char json[AD_EVENT_MAX];

            if (len != event_json(expected, json) ||
                memcmp(text, json, len) != 0) {
                CHECK_EQ(expected, 0);
                break;
            }
            expected++;
            (*got)++;
        }
        at += header + len;
    }
    CHECK_EQ(at, n);
    CHECK_EQ(expected, ad_feed.next);
}

static void test_slow_websocket(void)
{
    int peer;
    struct ad_client *c;
    uint64_t lost, got;

    reset_hub();
    c = slow_viewer(AD_WS, &peer);
    check_frames(run_slow_peer(c, peer, 3000), &got, &lost);
    CHECK_EQ(got + lost, 3000);
    CHECK(lost > 0 && got > 50);
    CHECK_EQ(lost, c->dropped);
    CHECK_EQ(lost, ad_fanout.dropped);
    (void)close(peer);
    end_hub();
}

/* The same for server-sent events, whose ids tell what was lost. */
static void test_slow_sse(void)
{
    int peer;
    struct ad_client *c;
    size_t n;
    uint64_t expected = 1, lost = 0;
    char *at, *end;

    reset_hub();
    c = slow_viewer(AD_SSE, &peer);
    n = run_slow_peer(c, peer, 3000);
    wire[n] = '\0';
    for (at = (char *)wire; *at != '\0'; at = end + 2) {
        unsigned long long id = 0, dropped = 0, seq = 0;
        char json[AD_EVENT_MAX + 1], *data = strstr(at, "data: ");

        end = strstr(at, "\n\n");
        CHECK(end != NULL && data != NULL && data < end);
        if (end == NULL || data == NULL) {
            break;
        }
        if (sscanf(at, "id: run-%llu\n", &id) == 1) {
            size_t len = event_json(id, json);

            CHECK_EQ(id, expected);
            CHECK((size_t)(end - data) == len + 6 &&
                  memcmp(data + 6, json, len) == 0);
            expected = id + 1;
        } else {
            CHECK(sscanf(data, "data: {\"event\":\"status\",\"dropped\":%llu,"
                               "\"next_seq\":%llu}", &dropped, &seq) == 2);
            CHECK_EQ(dropped - lost, seq - expected);
            lost = dropped;
            expected = seq;
        }
    }
    CHECK_EQ(expected, ad_feed.next);
    CHECK(lost > 0);
    (void)close(peer);
    end_hub();
}

/* Fill the socket until it takes no more; returns the events appended. */
static unsigned block(struct ad_client *c)
{
    unsigned n = 0;

    while (!c->blocked && n < 10000) {
        append(AD_EV_TICK);
        ad_fan_out();
        n++;
    }
    CHECK(c->blocked);
    return n;
}

/* A blocked viewer may be as many events behind as the backlog says, and loses
 * exactly one when it is one more. */
static void test_drop_oldest_edge(void)
{
    unsigned extra;

    for (extra = 0; extra < 2; extra++) {
        int peer;
        struct ad_client *c;
        uint64_t got, lost;
        size_t n;

        reset_hub();
        c = slow_viewer(AD_WS, &peer);
        (void)block(c);
        while (ad_feed.next - c->next < ad_fanout.backlog + extra) {
            append(AD_EV_TICK);
            ad_fan_out();
        }
        for (n = 0; n < sizeof(wire);) {
            ssize_t r = recv(peer, wire + n, sizeof(wire) - n, 0);

            if (r <= 0 && !c->blocked) {
                break;
            }
            n += r > 0 ? (size_t)r : 0;
            turn();
        }
        check_frames(n, &got, &lost);
        CHECK_EQ(lost, extra);
        CHECK_EQ(c->dropped, extra);
        (void)close(peer);
        end_hub();
    }
}

/* A viewer that was not blocked and is behind all that the feed keeps is told
 * what it lost, too. */
static void test_feed_overrun(void)
{
    int peer, big = 4 * 1024 * 1024;
    struct ad_client *c;
    unsigned i;

    reset_hub();
    c = viewer(AD_WS, &peer);
    (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
    for (i = 0; i < 2 * AIDASH_EVENTS; i++) {
        append(AD_EV_TICK);
    }
    ad_fan_out();
    (void)received(peer);
    CHECK(wire_len > 0 && strstr((char *)wire + 2, "{\"event\":\"status\","
                                 "\"dropped\":") == (char *)wire + 2);
    CHECK_EQ(ad_fanout.dropped, ad_feed.first - 1);
    CHECK_EQ(c->dropped, ad_fanout.dropped);
    (void)close(peer);
    end_hub();
}

/* ---- the end of a client --------------------------------------------------------- */

/* RFC 6455 7.1: the peer begins to close; it gets its code back, then our FIN;
 * its own FIN ends it. */
static void test_peer_closes(void)
{
    uint8_t bytes[16];
    int peer;
    struct ad_client *c;

    reset_hub();
    c = viewer(AD_WS, &peer);
    write_peer(peer, bytes, frame(bytes, 0x88, "\x03\xE9", 2));
    turn();
    CHECK_EQ(c->phase, AD_LINGERING);
    CHECK_EQ(ad_slots.n_kind[AD_WS], 0);
    CHECK_EQ(ad_slots.n_open, 1);
    CHECK_EQ(ad_fanout.n_subscribed, 0);
    (void)received(peer);
    CHECK(wire_len == 4 && memcmp(wire, "\x88\x02\x03\xE9", 4) == 0);
    CHECK(peer_has_eof(peer));
    (void)close(peer);
    turn();
    CHECK_EQ(c->phase, AD_FREE);
    end_hub();
}

/* The hub begins to close: 1001 to each viewer, and nothing else any more. What
 * the peer still sends is read and dropped. */
static void test_hub_closes(void)
{
    uint8_t bytes[64];
    int ws, sse;
    struct ad_client *c;

    reset_hub();
    c = viewer(AD_WS, &ws);
    (void)viewer(AD_SSE, &sse);
    ad_clients_stop();
    append(AD_EV_TICK);
    ad_fan_out();
    (void)received(ws);
    CHECK(wire_is("\x88\x12\x03\xE9" "the server stops"));
    CHECK_EQ(strlen(received(sse)), 0);
    CHECK(peer_has_eof(sse));
    write_peer(ws, bytes, frame(bytes, 0x81, "{\"action\":\"pause\"}", 18));
    turn();
    CHECK(!ad_engine.paused);
    CHECK_EQ(c->phase, AD_LINGERING);
    c->rx_ms = ad_hub.now_ms; /* ad_fan_out() looks at the clock */
    pass_ms(AD_LINGER_MS - 1);
    ad_clients_housekeeping();
    CHECK_EQ(c->phase, AD_LINGERING);
    pass_ms(1);
    ad_clients_housekeeping();
    CHECK_EQ(c->phase, AD_FREE);
    CHECK_EQ(ad_slots.n_open, 0);
    (void)close(ws);
    (void)close(sse);
    end_hub();
}

/* A close frame behind unsent bytes: it is closing until all of them are sent,
 * and the frame that was cut arrives whole. */
static void test_close_behind_unsent(void)
{
    uint8_t bytes[16];
    int peer;
    struct ad_client *c;
    size_t n = 0;
    unsigned i;

    reset_hub();
    c = slow_viewer(AD_WS, &peer);
    (void)block(c);
    write_peer(peer, bytes, frame(bytes, 0x88, "\x03\xE8", 2));
    turn();
    CHECK_EQ(c->phase, AD_CLOSING);
    CHECK(c->out_len >= 4);
    (void)shutdown(peer, SHUT_WR); /* the peer says no more, and still reads */
    turn();
    CHECK_EQ(c->phase, AD_CLOSING);
    CHECK(c->peer_closed);
    for (i = 0; i < 100000 && c->phase != AD_FREE; i++) {
        ssize_t r = recv(peer, wire + n, 100, 0);

        n += r > 0 ? (size_t)r : 0;
        turn();
    }
    CHECK_EQ(c->phase, AD_FREE);
    for (i = 0; i < 100000 && !peer_has_eof(peer); i++) {
        ssize_t r = recv(peer, wire + n, 100, 0);

        n += r > 0 ? (size_t)r : 0;
    }
    CHECK(n > 4 && memcmp(wire + n - 4, "\x88\x02\x03\xE8", 4) == 0);
    (void)close(peer);
    end_hub();
}

/* An answered request is only read to its end. */
static void test_answered(void)
{
    struct ad_attach a = {.kind = AD_COMMAND, .body = {.state = AD_BODY_DONE}};
    int peer;
    struct ad_client *c;

    reset_hub();
    c = attach(&a, &peer);
    CHECK_EQ(c->phase, AD_LINGERING);
    CHECK(receives(peer, "HTTP/1.1 400 "));
    CHECK(peer_has_eof(peer));
    write_peer(peer, "the rest of a body", 18);
    turn();
    CHECK_EQ(c->phase, AD_LINGERING);
    (void)close(peer);
    turn();
    CHECK_EQ(c->phase, AD_FREE);
    end_hub();
}

/* Nothing taken for AD_STALL_MS: reset, and what it missed is counted. */
static void test_stall(void)
{
    int peer;
    struct ad_client *c;
    uint64_t behind;

    reset_hub();
    c = slow_viewer(AD_WS, &peer);
    (void)block(c);
    append(AD_EV_TICK);
    behind = ad_feed.next - c->next;
    c->rx_ms = c->tx_ms = ad_hub.now_ms;
    pass_ms(AD_STALL_MS - 1);
    ad_clients_housekeeping();
    CHECK_EQ(c->phase, AD_OPEN);
    pass_ms(1);
    ad_clients_housekeeping();
    CHECK_EQ(c->phase, AD_FREE);
    CHECK_EQ(ad_fanout.stalled, 1);
    CHECK_EQ(ad_fanout.dropped, behind);
    (void)close(peer);
    end_hub();
}

static void test_ping_and_silence(void)
{
    uint8_t bytes[16];
    int ws, sse;
    struct ad_client *c;

    reset_hub();
    c = viewer(AD_WS, &ws);
    (void)viewer(AD_SSE, &sse);
    pass_ms(AD_PING_MS - 1);
    ad_clients_housekeeping();
    (void)received(ws);
    CHECK_EQ(wire_len, 0);
    pass_ms(1);
    ad_clients_housekeeping();
    (void)received(ws);
    CHECK(wire_len == 2 && memcmp(wire, "\x89\x00", 2) == 0);
    CHECK_STR(received(sse), ": ping\n\n");
    ad_clients_housekeeping(); /* not again within AD_PING_MS */
    (void)received(ws);
    CHECK_EQ(wire_len, 0);
    write_peer(ws, bytes, frame(bytes, 0x8A, "", 0)); /* pong: not silent */
    turn();
    pass_ms(AD_SILENCE_MS - 1);
    ad_clients_housekeeping();
    CHECK_EQ(c->phase, AD_OPEN);
    (void)received(ws);
    pass_ms(1);
    ad_clients_housekeeping();
    (void)received(ws);
    CHECK(wire_is("\x88\x15\x03\xE9" "no answer to a ping"));
    CHECK_EQ(c->phase, AD_LINGERING);
    CHECK_EQ(ad_slots.n_kind[AD_SSE], 1); /* SSE clients have nothing to say */
    (void)close(ws);
    (void)close(sse);
    end_hub();
}

/* A connection that broke: the next send drops it, once, and the fan-out goes on
 * with the client that took its place in the list. */
static void test_broken_in_fan_out(void)
{
    int peers[3];
    struct ad_client *first;

    reset_hub();
    first = viewer(AD_WS, &peers[0]);
    (void)viewer(AD_WS, &peers[1]);
    (void)viewer(AD_WS, &peers[2]);
    (void)close(peers[0]);
    append(AD_EV_TICK);
    ad_fan_out();
    CHECK_EQ(first->phase, AD_FREE);
    CHECK_EQ(ad_slots.n_open, 2);
    CHECK_EQ(ad_fanout.n_subscribed, 2);
    CHECK(receives(peers[1], "{\"seq\":1"));
    CHECK(receives(peers[2], "{\"seq\":1"));
    (void)close(peers[1]);
    (void)close(peers[2]);
    end_hub();
}

/* ---- what WebSockets send ---------------------------------------------------------- */

/* A message in two frames, a ping between them, byte by byte. */
static void test_websocket_in_bytes(void)
{
    uint8_t bytes[64];
    size_t n = frame(bytes, 0x01, "{\"action\":", 10), i;
    int peer;

    reset_hub();
    n += frame(bytes + n, 0x89, "hi", 2);
    n += frame(bytes + n, 0x80, "\"pause\"}", 8);
    (void)viewer(AD_WS, &peer);
    for (i = 0; i < n; i++) {
        write_peer(peer, bytes + i, 1);
        turn();
    }
    CHECK(ad_engine.paused);
    (void)received(peer);
    CHECK(memcmp(wire, "\x8A\x02hi", 4) == 0);
    CHECK(strstr((char *)wire + 6, "{\"event\":\"ack\",\"action\":\"pause\"}") ==
          (char *)wire + 6);
    (void)close(peer);
    end_hub();
}

static struct ad_client *cancelling;

static bool cancel_and_break(uint64_t request)
{
    struct ad_sample s;

    /* What the meter does for a cancelled request: a last tick. Meanwhile the
     * viewer's socket breaks. */
    (void)request;
    memset(&s, 0, sizeof(s));
    s.tokens = 1;
    s.has = AD_HAS_TOKENS;
    ad_tick_apply(&s, ad_hub.now_ns);
    (void)shutdown(cancelling->fd, SHUT_WR);
    return true;
}

/* A command makes events, and the send of its answer fails: the client is
 * dropped once, and no slot is listed twice. */
static void test_cancel_then_broken(void)
{
    static const char text[] = "{\"action\":\"cancel\",\"request\":1}";
    uint8_t bytes[64];
    int peers[2], other;
    unsigned a, b;
    struct ad_client *c;

    reset_hub();
    ad_sources.source = AD_SOURCE_METER;
    ad_commands.cancel = cancel_and_break;
    c = cancelling = viewer(AD_WS, &peers[0]);
    (void)viewer(AD_WS, &other);
    ad_events.fanned_out = ad_feed.next - AD_WAITING_MAX + 1; /* due at once */
    write_peer(peers[0], bytes, frame(bytes, 0x81, text, sizeof(text) - 1));
    turn();
    CHECK_EQ(ad_commands.count, 1);
    CHECK_EQ(ad_commands.errors, 0);
    CHECK_EQ(c->phase, AD_FREE);
    CHECK_EQ(ad_slots.n_open, 1);
    CHECK_EQ(atomic_load(&ad_slots.reserved[0]), 1);
    CHECK(receives(other, "inference_tick"));
    a = ad_client_slot();
    b = ad_client_slot();
    CHECK(a != b);
    (void)close(peers[0]);
    (void)close(other);
    ad_slots.n_used = 2;
    end_hub();
}

/* Commands whose answers find no room stay in the kernel; each is answered once
 * the peer reads. */
static void test_commands_without_room(void)
{
    enum { N = 2000 };
    uint8_t bytes[64];
    size_t n = frame(bytes, 0x81, "{\"action\":\"resume\"}", 19), acks = 0;
    int peer, sent = 0;
    unsigned idle = 0;
    struct ad_client *c;

    reset_hub();
    c = slow_viewer(AD_WS, &peer);
    while (idle < 5) {
        while (sent < N && send(peer, bytes, n, MSG_NOSIGNAL) == (ssize_t)n) {
            sent++;
        }
        turn();
        turn();
        if (c->phase != AD_OPEN || (sent < N && !c->blocked)) {
            CHECK_EQ(c->phase, AD_OPEN);
        }
        (void)received(peer);
        acks += wire_len;
        idle = wire_len > 0 ? 0 : idle + 1;
    }
    CHECK_EQ(sent, N);
    CHECK_EQ(ad_commands.count, N);
    CHECK_EQ(acks, N * (2 + strlen("{\"event\":\"ack\",\"action\":\"resume\"}")));
    (void)close(peer);
    end_hub();
}

/* ---- POST bodies --------------------------------------------------------------------- */

static struct ad_client *exchange(enum ad_kind kind, enum ad_body_state state,
                                  uint64_t left, int *peer)
{
    struct ad_attach a = {.kind = kind, .whole = kind == AD_COMMAND,
                          .cors = "Vary: Origin\r\n"};

    a.body.state = (uint8_t)state;
    a.body.left = left;
    return attach(&a, peer);
}

/* Chunked lines, byte by byte: each takes effect at its end; one is wrong. */
static void test_ingest_in_bytes(void)
{
    static const char body[] = "19\r\n{\"tokens\":1}\n{\"tokens\":2}\r\n"
                               "7;x=y\r\n\nwrong\n\r\n"
                               "c\r\n{\"tokens\":3}\r\n0\r\n\r\n";
    int peer;
    size_t i;
    struct ad_client *c;
    const char *got;

    reset_hub();
    c = exchange(AD_INGEST, AD_BODY_CHUNK_SIZE, 0, &peer);
    for (i = 0; i < sizeof(body) - 1; i++) {
        write_peer(peer, body + i, 1);
        turn();
        if (i == 17) {
            CHECK_EQ(ad_ticks.count, 1);
        }
    }
    CHECK_EQ(ad_feed.next, 4);
    CHECK_EQ(c->phase, AD_LINGERING);
    got = received(peer);
    CHECK(strncmp(got, "HTTP/1.1 200 OK\r\n", 17) == 0);
    CHECK(strstr(got, "Vary: Origin\r\n") != NULL);
    CHECK(strstr(got, "{\"accepted\":3,\"rejected\":1,\"errors\":[{\"line\":3,") !=
          NULL);
    (void)close(peer);
    end_hub();
}

/* Bodies that came with the head: nothing, an object, what turns out as lines. */
static void test_bodies_with_head(void)
{
    static const struct {
        enum ad_kind kind;
        const char *body, *answer;
        int status;
    } cases[] = {
        {AD_INGEST, "", "\"accepted\":0,\"rejected\":0", 200},
        {AD_INGEST, "{\n\"tokens\":\n5}", "\"accepted\":1,\"rejected\":0", 200},
        {AD_INGEST, "{\"tokens\":5}\n{\"tokens\":6}\n",
         "\"accepted\":2,\"rejected\":0", 200},
        {AD_INGEST, "{\"tokens\":5}\nno\n", "\"accepted\":1,\"rejected\":1", 200},
        {AD_INGEST, "no", "\"accepted\":0,\"rejected\":1", 400},
        {AD_COMMAND, "{\"action\":\"pause\"}", "\"event\":\"ack\"", 200},
        {AD_COMMAND, "{\"action\":\"jump\"}", "\"event\":\"error\"", 400},
        {AD_COMMAND, "{\"action\":\"drain\"}", "\"event\":\"error\"", 400},
    };
    size_t i;

    for (i = 0; i < AD_COUNT(cases); i++) {
        struct ad_attach a = {.kind = cases[i].kind, .whole = true};
        char body[64], head[32];
        const char *got;
        int peer;

        reset_hub();
        a.rest = (uint8_t *)body;
        a.rest_len = strlen(cases[i].body);
        memcpy(body, cases[i].body, a.rest_len);
        a.body.left = a.rest_len;
        a.body.state = a.rest_len > 0 ? AD_BODY_LENGTH : AD_BODY_DONE;
        CHECK_EQ(attach(&a, &peer)->phase, AD_LINGERING);
        got = received(peer);
        (void)snprintf(head, sizeof(head), "HTTP/1.1 %d ", cases[i].status);
        CHECK(strncmp(got, head, strlen(head)) == 0);
        CHECK(strstr(got, cases[i].answer) != NULL);
        (void)close(peer);
        end_hub();
    }
}

/* A body that does not come: 408 as soon as AD_RATE_GRACE_MS are over. */
static void test_body_does_not_come(void)
{
    int command, lines, json, stream;
    struct ad_attach a = {.kind = AD_INGEST, .whole = true,
                          .body = {.state = AD_BODY_CHUNK_SIZE}};
    struct ad_client *c;

    reset_hub();
    c = exchange(AD_COMMAND, AD_BODY_LENGTH, 100, &command);
    (void)exchange(AD_INGEST, AD_BODY_LENGTH, 100, &lines);
    (void)attach(&a, &json);
    (void)exchange(AD_INGEST, AD_BODY_CHUNK_SIZE, 0, &stream);
    pass_ms(AD_RATE_GRACE_MS);
    ad_clients_housekeeping();
    CHECK_EQ(c->phase, AD_OPEN);
    pass_ms(1);
    ad_clients_housekeeping();
    CHECK_EQ(c->phase, AD_LINGERING);
    CHECK(strncmp(received(command), "HTTP/1.1 408 ", 13) == 0);
    CHECK(strncmp(received(lines), "HTTP/1.1 408 ", 13) == 0);
    CHECK(has("the body came at less than 16 KiB a second"));
    CHECK(strncmp(received(json), "HTTP/1.1 408 ", 13) == 0);
    pass_ms(10 * AD_SILENCE_MS);
    ad_clients_housekeeping();
    CHECK_EQ(strlen(received(stream)), 0); /* a stream may be silent */
    CHECK_EQ(ad_slots.n_kind[AD_INGEST], 1);
    (void)close(command);
    (void)close(lines);
    (void)close(json);
    (void)close(stream);
    end_hub();
}

/* Send lines that hold so many bytes of data, and let them be read. */
static void send_data(int peer, size_t len)
{
    static char text[16 * 1024];

    memset(text, '\n', sizeof(text));
    while (len > 0) {
        size_t n = len < sizeof(text) ? len : sizeof(text);

        write_peer(peer, text, n);
        turn();
        len -= n;
    }
}

/* The least rate of a body: the byte that is missing, and the last one in time. */
static void test_body_rate(void)
{
    int peer;
    struct ad_client *c;
    unsigned i;

    reset_hub();
    c = exchange(AD_INGEST, AD_BODY_LENGTH, 1 << 30, &peer);
    pass_ms(AD_RATE_GRACE_MS);
    for (i = 0; i < 20; i++) {
        send_data(peer, AD_RATE_MIN);
        pass_ms(1000);
        ad_clients_housekeeping();
        CHECK_EQ(c->phase, AD_OPEN);
    }
    send_data(peer, AD_RATE_MIN - 1);
    pass_ms(1000);
    ad_clients_housekeeping();
    CHECK_EQ(c->phase, AD_LINGERING);
    CHECK(receives(peer, "HTTP/1.1 408 "));
    (void)close(peer);
    end_hub();
}

/* Chunks of one byte with 200 bytes of extension: only data counts. */
static void test_body_rate_counts_data(void)
{
    static char chunk[256];
    int peer, len;
    struct ad_attach a = {.kind = AD_INGEST, .whole = true,
                          .body = {.state = AD_BODY_CHUNK_SIZE}};
    struct ad_client *c;
    unsigned i;

    reset_hub();
    c = attach(&a, &peer);
    len = snprintf(chunk, sizeof(chunk), "1;x=%0200d\r\n \r\n", 0);
    pass_ms(AD_RATE_GRACE_MS);
    for (i = 0; i < 200; i++) { /* 42 KiB, 200 bytes of them data */
        write_peer(peer, chunk, (size_t)len);
        turn();
    }
    CHECK_EQ(c->in.post.data, 200);
    pass_ms(12); /* 196 bytes are enough until now */
    ad_clients_housekeeping();
    CHECK_EQ(c->phase, AD_OPEN);
    pass_ms(1); /* 212 */
    ad_clients_housekeeping();
    CHECK_EQ(c->phase, AD_LINGERING);
    CHECK(receives(peer, "HTTP/1.1 408 "));
    (void)close(peer);
    end_hub();
}

/* A body that was fast, and stops: AD_SILENCE_MS, though its average is good. */
static void test_body_stops(void)
{
    int peer;
    struct ad_client *c;

    reset_hub();
    c = exchange(AD_INGEST, AD_BODY_LENGTH, 1 << 30, &peer);
    send_data(peer, 4 << 20);
    pass_ms(AD_SILENCE_MS - 1);
    ad_clients_housekeeping();
    CHECK_EQ(c->phase, AD_OPEN);
    pass_ms(1);
    ad_clients_housekeeping();
    CHECK(receives(peer, "the body did not arrive"));
    (void)close(peer);
    end_hub();
}

/* A command in chunks: as long as the limit, and one byte longer. */
static void test_command_in_chunks(void)
{
    static char body[AIDASH_MESSAGE_MAX + 1];
    char size[16];
    int peer, i;

    memset(body, ' ', sizeof(body));
    memcpy(body, "{\"action\":\"pause\"}", 18);
    for (i = 0; i < 2; i++) {
        size_t len = (size_t)(AIDASH_MESSAGE_MAX + i);
        struct ad_client *c;

        reset_hub();
        c = exchange(AD_COMMAND, AD_BODY_CHUNK_SIZE, 0, &peer);
        (void)snprintf(size, sizeof(size), "%zx\r\n", len);
        write_peer(peer, size, strlen(size));
        write_peer(peer, body, len);
        turn();
        CHECK_EQ(c->phase, i == 0 ? AD_OPEN : AD_LINGERING);
        write_peer(peer, "\r\n0\r\n\r\n", 7);
        turn();
        CHECK_EQ(c->phase, AD_LINGERING);
        CHECK(receives(peer, i == 0 ? "HTTP/1.1 200 " : "HTTP/1.1 413 "));
        (void)close(peer);
        end_hub();
    }
}

/* A command of endless chunks is answered, and ends AD_LINGER_MS later. */
static void test_command_without_end(void)
{
    static char chunk[1024 + 7];
    int peer, i;
    struct ad_client *c;

    reset_hub();
    memcpy(chunk, "400\r\n", 5);
    memset(chunk + 5, ' ', 1024);
    memcpy(chunk + 5 + 1024, "\r\n", 2);
    c = exchange(AD_COMMAND, AD_BODY_CHUNK_SIZE, 0, &peer);
    for (i = 0; i < 20; i++) {
        write_peer(peer, chunk, sizeof(chunk));
        turn();
    }
    CHECK(receives(peer, "HTTP/1.1 413 "));
    CHECK_EQ(ad_commands.count, 0);
    pass_ms(AD_LINGER_MS);
    write_peer(peer, chunk, sizeof(chunk));
    turn();
    ad_clients_housekeeping();
    CHECK_EQ(c->phase, AD_FREE);
    (void)close(peer);
    end_hub();
}

/* A stream of this address; -1 if there is no room for it. */
static int stream(uint64_t address, const char *why)
{
    struct ad_attach a = {.kind = AD_INGEST, .address = address,
                          .body = {.state = AD_BODY_CHUNK_SIZE}};
    char text[128];
    struct ad_text t = ad_text_in(text, sizeof(text));
    int peer;

    if (!ad_stream_room(address, &t)) {
        CHECK(t.len > 0 && strstr(text, why) != NULL);
        return -1;
    }
    CHECK_EQ(t.len, 0);
    (void)attach(&a, &peer);
    return peer;
}

/* The limits of streams, by address and in all; who gives way. */
static void test_streams(void)
{
    enum { OWN = AIDASH_STREAMS_PER_ADDRESS, ALL = AIDASH_STREAMS };
    int peers[ALL], more, i;

    reset_hub();
    for (i = 0; i < OWN; i++) {
        pass_ms(1);
        peers[i] = stream(1, "");
        CHECK(peers[i] >= 0);
    }
    CHECK_EQ(stream(1, "(AIDASH_STREAMS_PER_ADDRESS)"), -1);
    for (; i < ALL; i++) {
        pass_ms(1);
        peers[i] = stream((uint64_t)(2 + i), "");
        CHECK(peers[i] >= 0);
    }
    CHECK_EQ(stream(2, "(AIDASH_STREAMS)"), -1);
    /* All others speak; one of another address than 1 has been silent the
     * longest, one of address 1 a little less. */
    pass_ms(AD_SILENCE_MS - ALL - 1);
    for (i = 0; i < ALL; i++) {
        if (i != 1 && i != OWN) {
            write_peer(peers[i], "1", 1);
        }
    }
    turn();
    CHECK_EQ(stream(1, "(AIDASH_STREAMS_PER_ADDRESS)"), -1);
    CHECK_EQ(stream(2, "(AIDASH_STREAMS)"), -1);
    pass_ms(ALL); /* peers[1] is silent for AD_SILENCE_MS or more, both soon */
    more = stream(1, "");
    CHECK(more >= 0);
    CHECK(receives(peers[1], "HTTP/1.1 408 "));
    CHECK(has("another one needs its place"));
    CHECK_EQ(strlen(received(peers[0])), 0);
    CHECK_EQ(strlen(received(peers[OWN])), 0);
    (void)close(more);
    pass_ms(ALL);
    for (i = 0; i < ALL; i++) { /* `more` has ended, peers[OWN] is silent */
        turn();
    }
    more = stream(2, "");
    CHECK(more >= 0);
    CHECK_EQ(strlen(received(peers[OWN])), 0); /* there was a place */
    (void)close(stream(3, ""));
    CHECK(receives(peers[OWN], "HTTP/1.1 408 "));
    for (i = 0; i < ALL; i++) {
        (void)close(peers[i]);
    }
    (void)close(more);
    end_hub();
    ad_streams_forget_ended();
    CHECK_EQ(ad_streams.n, 0);
}

/* All places are taken: a slow body gives way after AD_GRACE_MS, and before it an
 * exchange that has its answer; one that is fast enough, and a stream, do not. */
static void test_exchanges_give_way(void)
{
    int fast, slow, silent, ended;
    struct ad_client *c;

    reset_hub();
    (void)exchange(AD_INGEST, AD_BODY_CHUNK_SIZE, 0, &silent);
    (void)exchange(AD_INGEST, AD_BODY_LENGTH, 1 << 30, &fast);
    c = exchange(AD_COMMAND, AD_BODY_LENGTH, 100, &slow);
    write_peer(slow, "{", 1);
    send_data(fast, AD_RATE_MIN);
    pass_ms(AD_GRACE_MS);
    CHECK(!ad_exchange_evict());
    (void)exchange(AD_COMMAND, AD_BODY_DONE, 0, &ended);
    pass_ms(1000);
    CHECK(ad_exchange_evict());
    CHECK_EQ(c->phase, AD_OPEN);
    CHECK(receives(ended, "HTTP/1.1 400 "));
    CHECK(ad_exchange_evict());
    CHECK_EQ(c->phase, AD_FREE);
    CHECK(receives(slow, "HTTP/1.1 408 "));
    CHECK(has("another request needs its place"));
    CHECK(!ad_exchange_evict());
    CHECK_EQ(atomic_load(&ad_slots.reserved[1]), 2);
    (void)close(silent);
    (void)close(fast);
    (void)close(slow);
    (void)close(ended);
    end_hub();
}

/* GET /ticks whose events are all overrun: those behind its end are not missed. */
static void test_ticks_overrun(void)
{
    struct ad_attach a = {.kind = AD_TICKS, .has_since = true, .limit = 10000};
    struct ad_client *c;
    uint64_t left;
    char mark[64];
    bool found = false;
    int peer, i;

    reset_hub();
    for (i = 0; i < AIDASH_EVENTS - 2; i++) {
        append(AD_EV_TICK);
    }
    c = attach(&a, &peer);
    CHECK(c->blocked);
    left = c->in.ticks.missed + c->in.ticks.until - c->next;
    for (i = 0; i < 2 * AIDASH_EVENTS; i++) {
        append(AD_EV_TICK);
    }
    (void)snprintf(mark, sizeof(mark), "\"missed\":%llu,",
                   (unsigned long long)left);
    for (i = 0; i < 1000 && !found; i++) {
        found = receives(peer, mark);
        turn();
    }
    CHECK(found);
    (void)close(peer);
    end_hub();
}

/* GET /ticks that is not read gives way, too. */
static void test_deaf_exchange_gives_way(void)
{
    struct ad_attach a = {.kind = AD_TICKS, .has_since = true, .limit = 10000};
    struct ad_client *c;
    int peer, i;

    reset_hub();
    for (i = 0; i < AIDASH_EVENTS - 2; i++) {
        append(AD_EV_TICK);
    }
    c = attach(&a, &peer);
    CHECK(c->blocked);
    pass_ms(AD_GRACE_MS);
    CHECK(!ad_exchange_evict());
    pass_ms(30000);
    CHECK(ad_exchange_evict());
    CHECK_EQ(c->phase, AD_FREE);
    (void)close(peer);
    end_hub();
}

/* The peer ends before its body does: there is nobody to answer. */
static void test_body_cut(void)
{
    int peer;
    struct ad_client *c;

    reset_hub();
    c = exchange(AD_INGEST, AD_BODY_LENGTH, 100, &peer);
    write_peer(peer, "{\"tokens\":1}\n{\"tok", 18);
    (void)shutdown(peer, SHUT_WR);
    turn();
    turn();
    CHECK_EQ(c->phase, AD_FREE);
    CHECK_EQ(ad_feed.next, 2);
    (void)close(peer);
    end_hub();
}

/* ---- GET /ticks ------------------------------------------------------------------------ */

/* What the answer to GET /ticks holds: the number of its elements. */
static unsigned ticks_answer(struct ad_attach *a, const char *tail)
{
    int peer;
    struct ad_client *c = attach(a, &peer);
    size_t n = 0, i;
    unsigned elements = 0, idle = 0;
    const char *at;

    while (idle < 3 && n < sizeof(wire) - 1) {
        ssize_t r = recv(peer, wire + n, 1000, 0);

        n += r > 0 ? (size_t)r : 0;
        idle = r > 0 ? 0 : idle + 1;
        turn();
    }
    wire[n] = '\0';
    CHECK_EQ(c->phase, AD_LINGERING);
    CHECK(n > strlen(tail) &&
          strcmp((char *)wire + n - strlen(tail), tail) == 0);
    for (i = 0; i + 6 < n; i++) {
        elements += memcmp(wire + i, "{\"seq\":", 7) == 0;
    }
    at = strstr((char *)wire, "\r\n\r\n");
    CHECK(at != NULL &&
          ad_json_fault(at + 4, strlen(at + 4)) == AD_FAULT_NONE);
    (void)close(peer);
    turn();
    return elements;
}

/* What was no longer kept is in the answer, and is not "events lost by viewers",
 * whom nobody asked to read. */
static void test_get_old_ticks(void)
{
    struct ad_attach a = {.kind = AD_TICKS, .has_since = true, .limit = 1};
    char tail[64];
    unsigned i;

    reset_hub();
    for (i = 0; i < 2 * AIDASH_EVENTS; i++) {
        append(AD_EV_TICK);
    }
    (void)snprintf(tail, sizeof(tail), "],\"last_seq\":%llu,\"missed\":%llu,"
                   "\"run\":\"run\"}",
                   (unsigned long long)ad_feed.first,
                   (unsigned long long)ad_feed.first - 1);
    CHECK_EQ(ticks_answer(&a, tail), 1);
    CHECK_EQ(ad_fanout.dropped, 0);
    end_hub();
}

static void test_get_ticks(void)
{
    struct ad_attach a = {.kind = AD_TICKS, .has_since = true, .limit = 10000};
    unsigned i;

    reset_hub();
    for (i = 0; i < 1000; i++) {
        append(i % 10 == 9 ? AD_EV_STATUS : AD_EV_TICK);
    }
    CHECK_EQ(ticks_answer(&a, "],\"last_seq\":1000,\"missed\":0,\"run\":\"run\"}"), 900);
    a.since = 990;
    a.limit = 3;
    CHECK_EQ(ticks_answer(&a, "],\"last_seq\":993,\"missed\":0,\"run\":\"run\"}"), 3);
    a.last = 5; /* 995, 996, 997, 998 and 999 */
    CHECK_EQ(ticks_answer(&a, "],\"last_seq\":999,\"missed\":0,\"run\":\"run\"}"), 5);
    end_hub();
}

/* ---- sources --------------------------------------------------------------------------- */

static uint64_t ticks_received(int peer, uint64_t so_far)
{
    size_t i;

    (void)received(peer);
    for (i = 0; i + 16 < wire_len; i++) {
        so_far += memcmp(wire + i, "\"inference_tick\"", 16) == 0;
    }
    return so_far;
}

/* A datagram of 64 KiB is 5,000 ticks: more than the feed keeps. A viewer that
 * reads in each turn gets all of them. */
static void test_large_datagram(void)
{
    static char text[65000];
    enum { N = 5000 };
    int peer, udp[2], size = 1 << 20;
    unsigned i, turns = 0;
    uint64_t got = 0;
    struct ad_client *c;

    reset_hub();
    c = viewer(AD_WS, &peer);
    (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    for (i = 0; i < N; i++) {
        memcpy(text + 13 * i, "{\"tokens\":1}\n", 13);
    }
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, udp) == 0);
    (void)setsockopt(udp[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    CHECK_EQ(send(udp[1], text, 13 * N, 0), 13 * N);
    ad_udp_event(udp[0]);
    do {
        CHECK(ad_feed.next - ad_events.fanned_out <= AD_WAITING_MAX + 1);
        ad_fan_out();
        got = ticks_received(peer, got);
        (void)ad_datagram_take(AD_LINES_MAX);
        turns++;
    } while (ad_events.fanned_out != ad_feed.next && turns < N);
    CHECK_EQ(got, N);
    CHECK_EQ(c->dropped, 0);
    CHECK(!ad_sources_wait());
    CHECK(turns > 10);
    (void)close(udp[0]);
    (void)close(udp[1]);
    (void)close(peer);
    end_hub();
}

/* Likewise a POST of many lines, whether they come with the head or later. */
static void test_large_ingest(void)
{
    static char text[13 * 1200];
    enum { N = sizeof(text) / 13, ROUNDS = 6 };
    struct ad_attach a = {.kind = AD_INGEST};
    int peer, feeder, size = 1 << 20;
    unsigned i;
    uint64_t got = 0;
    struct ad_client *c;

    reset_hub();
    c = viewer(AD_WS, &peer);
    (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    for (i = 0; i < N; i++) {
        memcpy(text + 13 * i, "{\"tokens\":1}\n", 13);
    }
    a.body.left = ROUNDS * sizeof(text);
    a.rest = (uint8_t *)text;
    a.rest_len = sizeof(text);
    (void)attach(&a, &feeder);
    CHECK(ad_feed.next - ad_events.fanned_out <= AD_WAITING_MAX);
    got = ticks_received(peer, got);
    for (i = 1; i < ROUNDS; i++) {
        write_peer(feeder, text, sizeof(text));
        turn();
        CHECK(ad_feed.next - ad_events.fanned_out <= AD_WAITING_MAX);
        got = ticks_received(peer, got);
    }
    ad_fan_out();
    got = ticks_received(peer, got);
    CHECK_EQ(got, N * ROUNDS);
    CHECK_EQ(c->dropped, 0);
    CHECK(strstr(received(feeder), "\"accepted\":7200,") != NULL);
    (void)close(feeder);
    (void)close(peer);
    end_hub();
}

/* GET /ticks of a peer that takes a byte now and then: reset by the rate. One
 * that takes nothing: after AD_STALL_MS, whatever it took before. */
static void test_ticks_slow(void)
{
    struct ad_attach a = {.kind = AD_TICKS, .has_since = true, .limit = 10000};
    int peer, i, drip;

    for (drip = 0; drip < 2; drip++) {
        struct ad_client *c;
        uint32_t ms = 0;

        reset_hub();
        for (i = 0; i < AIDASH_EVENTS - 1; i++) {
            append(AD_EV_TICK);
        }
        ad_fan_out(); /* it looks at the clock */
        c = attach(&a, &peer);
        CHECK(c->blocked);
        while (c->phase != AD_FREE && ms < 120000) {
            if (drip) {
                (void)recv(peer, wire, 1, 0);
            }
            pass_ms(500);
            ms += 500;
            turn();
            ad_clients_housekeeping();
        }
        CHECK(ms > AD_RATE_GRACE_MS && ms <= AD_STALL_MS);
        CHECK_EQ(ad_fanout.stalled, 1);
        (void)close(peer);
        end_hub();
    }
}

/* One that takes AD_RATE_MIN gets all of it. */
static void test_ticks_at_least_rate(void)
{
    struct ad_attach a = {.kind = AD_TICKS, .has_since = true, .limit = 10000};
    unsigned i, seconds = 0;
    int peer;
    struct ad_client *c;

    reset_hub();
    for (i = 0; i < AIDASH_EVENTS - 1; i++) {
        append(AD_EV_TICK);
    }
    ad_fan_out();
    c = attach(&a, &peer);
    while (c->phase == AD_OPEN || c->phase == AD_CLOSING) {
        size_t left = AD_RATE_MIN;

        CHECK_EQ(ad_fanout.stalled, 0);
        pass_ms(1000);
        ad_clients_housekeeping();
        seconds++;
        while (left > 0) {
            ssize_t got = recv(peer, wire, left, 0);

            turn();
            if (got <= 0) {
                break;
            }
            left -= (size_t)got;
        }
    }
    CHECK_EQ(c->phase, AD_LINGERING);
    CHECK(seconds > 12);
    (void)close(peer);
    end_hub();
}

int main(void)
{
    test_attach_websocket();
    test_attach_sse();
    test_attach_refused();
    test_slots_reused();
    test_slow_websocket();
    test_slow_sse();
    test_drop_oldest_edge();
    test_feed_overrun();
    test_peer_closes();
    test_hub_closes();
    test_close_behind_unsent();
    test_answered();
    test_stall();
    test_ping_and_silence();
    test_broken_in_fan_out();
    test_batch_pace();
    test_websocket_in_bytes();
    test_cancel_then_broken();
    test_commands_without_room();
    test_ingest_in_bytes();
    test_bodies_with_head();
    test_body_does_not_come();
    test_body_rate();
    test_body_rate_counts_data();
    test_body_stops();
    test_command_in_chunks();
    test_command_without_end();
    test_streams();
    test_exchanges_give_way();
    test_deaf_exchange_gives_way();
    test_ticks_overrun();
    test_body_cut();
    test_get_ticks();
    test_get_old_ticks();
    test_ticks_slow();
    test_ticks_at_least_rate();
    test_large_datagram();
    test_large_ingest();
    return check_report();
}
