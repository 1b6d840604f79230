/* The proxy and its queue without civetweb: a client is a socketpair, the engine
 * a listener on the loopback interface, the clock is ours. What the poller finds
 * ready is dispatched until nothing is. */
#include "../src/meter/meter.c"
#include "check.h"

enum { ADDRESS = 7, OTHER = 8 };
static uint64_t asks_from = ADDRESS; /* the address of the next client */

static int engine_listener = -1; /* it takes connections, the test accepts them */

static void advance(uint32_t ms)
{
    ad_hub.now_ms += ms;
    ad_hub.now_ns += (uint64_t)ms * AD_NS_PER_MS;
}

/* Let the hub do all that it can do now. */
static void settle(void)
{
    struct ad_ready ready[AD_READY_MAX];
    unsigned i, n, turns;

    for (turns = 0; turns < 1000; turns++) {
        n = ad_poll_wait(0, ready);
        for (i = 0; i < n; i++) {
            if (ready[i].tag == AD_TAG_PENDING) {
                ad_pending_read(&ad_pending[ready[i].index]);
            } else {
                ad_meter_event(&ready[i]);
            }
        }
        ad_queue_run();
        if (n == 0) {
            return;
        }
    }
    CHECK(!"the hub comes to rest");
}

/* Once a second, for all requests. */
static void housekeeping(void)
{
    ad_queue_housekeeping();
    settle();
}

static void begin_test(void)
{
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    struct ad_upstream *u;

    memset(&ad_hub, 0, sizeof(ad_hub));
    memset(&ad_acceptor, 0, sizeof(ad_acceptor));
    memset(&ad_engine, 0, sizeof(ad_engine));
    memset(&ad_events, 0, sizeof(ad_events));
    memset(ad_pending, 0, sizeof(ad_pending));
    ad_pending_init();
    ad_hub_clock();
    ad_hub.now_ns = AD_NS_PER_S; /* the fake clock */
    ad_feed_init();
    ad_meter_init();
    ad_proxying.max_inflight = 2;
    ad_proxying.queue = 3;
    CHECK(ad_poll_open());

    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    engine_listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(engine_listener, (struct sockaddr *)&address, len) == 0 &&
          listen(engine_listener, 128) == 0 &&
          getsockname(engine_listener, (struct sockaddr *)&address, &len) == 0);
    u = &ad_upstreams.list[ad_upstreams.n++];
    memset(u, 0, sizeof(*u));
    (void)snprintf(u->url.authority, sizeof(u->url.authority), "engine:1");
    u->n_addresses = 1;
    u->addresses[0].len = len;
    memcpy(&u->addresses[0].storage, &address, len);
}

/* Nothing is left: no slot, no count, no buffer. */
static void end_test(void)
{
    unsigned i;

    settle();
    advance(AD_STALL_MS);
    housekeeping();
    CHECK_EQ(ad_proxying.n, 0);
    CHECK_EQ(ad_proxying.n_running, 0);
    CHECK_EQ(ad_proxying.n_queued, 0);
    CHECK_EQ(ad_proxying.n_uploads, 0);
    CHECK(ad_proxying.first == NULL && ad_proxying.last == NULL);
    for (i = 0; i < AIDASH_EDITS; i++) {
        CHECK(!ad_rewrites[i].used);
    }
    for (i = 0; i < ad_pendings.n_used; i++) {
        if (ad_pending[i].phase != AD_PENDING_FREE) {
            ad_pending_drop(&ad_pending[i]);
        }
    }
    CHECK_EQ(ad_peers[ad_peer_slot(ADDRESS)].n, 0); /* each socket was closed */
    CHECK_EQ(ad_peers[ad_peer_slot(OTHER)].n, 0);
    asks_from = ADDRESS;
    ad_poll_close();
    (void)close(engine_listener);
}

/* A request with a body of `length` bytes (0: none; SIZE_MAX: chunked), of which
 * `prefix` came with the head. Returns the client's end, -1 if there is no room. */
static int ask(size_t length, const char *prefix)
{
    struct ad_proxy_request r;
    int fds[2];

    if (!ad_proxy_make_room(asks_from)) {
        return -1;
    }
    memset(&r, 0, sizeof(r));
    r.method = length > 0 ? "POST" : "GET";
    r.target = "/v1/chat/completions?x=1";
    r.headers = "X-Mine: 1\r\n";
    r.prefix = (const uint8_t *)prefix;
    r.prefix_len = strlen(prefix);
    r.body.state = AD_BODY_DONE;
    if (length == SIZE_MAX) {
        r.body.state = AD_BODY_CHUNK_SIZE;
    } else if (length > 0) {
        r.body.state = AD_BODY_LENGTH;
        r.body.left = length;
        r.has_length = true;
    }
    r.metered = length > 0;
    r.keep_alive = true;
    (void)snprintf(r.route, sizeof(r.route), "/v1/chat/completions");
    (void)snprintf(r.client, sizeof(r.client), "127.0.0.1");
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(fds[1], F_SETFL, O_NONBLOCK);
    r.address = asks_from;
    (void)ad_peer_open(asks_from);
    ad_proxy_begin(&r, fds[0]);
    return fds[1];
}

static void put(int fd, const char *text)
{
    CHECK_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    settle();
}

/* What there is to read, as text; "EOF" behind it if that is all. */
static const char *get(int fd)
{
    static char text[70000];
    size_t len = 0;
    ssize_t got;

    settle();
    do {
        got = recv(fd, text + len, sizeof(text) - 8 - len, MSG_DONTWAIT);
        len += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    text[len] = '\0';
    return got == 0 ? strcat(text, "EOF") : text;
}

/* The engine's end of the next request; -1 if there is none. */
static int accept_engine(void)
{
    struct pollfd ready = {engine_listener, POLLIN, 0};
    int fd;

    settle();
    if (poll(&ready, 1, 0) != 1) {
        return -1;
    }
    fd = accept(engine_listener, NULL, NULL);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    settle();
    return fd;
}

static struct ad_proxy *newest(void)
{
    struct ad_proxy *p = NULL;
    unsigned i;

    for (i = 0; i < ad_proxying.n_slots; i++) {
        if (ad_proxies[i].state != AD_PROXY_FREE &&
            (p == NULL || ad_proxies[i].id > p->id)) {
            p = &ad_proxies[i];
        }
    }
    return p;
}

/* How many records say this. */
static unsigned records(const char *status)
{
    char mark[64];
    unsigned n = 0;
    uint64_t i;

    (void)snprintf(mark, sizeof(mark), "\"status\":\"%s\"", status);
    for (i = 0; i < ad_records.count; i++) {
        const struct ad_record *r = &ad_records.ring[i % AIDASH_RECORDS];

        n += memmem(r->json, r->len, mark, strlen(mark)) != NULL;
    }
    return n;
}

#define CHECK_HAS(got, text) CHECK(strstr((got), (text)) != NULL)

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

/* ---- a request and its answer ----------------------------------------------- */

static void test_relay(void)
{
    int client, engine;

    begin_test();
    client = ask(0, "");
    CHECK_EQ(newest()->state, AD_PROXY_CONNECT);
    engine = accept_engine();
    CHECK_EQ(newest()->state, AD_PROXY_RUN);
    CHECK_STR(get(engine), "GET /v1/chat/completions?x=1 HTTP/1.1\r\n"
                           "Host: engine:1\r\nConnection: close\r\n"
                           "X-Mine: 1\r\n\r\n");
    put(engine, HEAD "Connection: close\r\nContent-Le");
    CHECK_STR(get(client), ""); /* a head is passed whole */
    put(engine, "ngth: 4\r\n\r\nab");
    CHECK_STR(get(client), HEAD "Content-Length: 4\r\n\r\nab");
    put(engine, "cd");
    CHECK_STR(get(client), "cd");
    /* The connection is the acceptor's again, and the slot is free. */
    CHECK_EQ(ad_pendings.n, 1);
    CHECK(ad_pending[0].phase == AD_PENDING_SILENT && ad_pending[0].kept);
    CHECK_EQ(ad_proxying.n, 0);
    CHECK_STR(get(engine), "EOF");
    (void)close(client);
    (void)close(engine);
    end_test();
}

/* The answer says itself where it ends, or the connection does. */
static void test_connection_ends(void)
{
    int client, engine;

    begin_test();
    client = ask(0, "");
    engine = accept_engine();
    put(engine, HEAD "\r\nuntil");
    CHECK_STR(get(client), HEAD "Connection: close\r\n\r\nuntil");
    (void)close(engine);
    CHECK_STR(get(client), "EOF");
    CHECK_EQ(newest()->state, AD_PROXY_ENDING); /* for the client's FIN */
    (void)close(client);
    settle();
    CHECK_EQ(ad_proxying.n, 0);
    CHECK_EQ(ad_pendings.n, 0);
    end_test();
}

/* A client that takes the end late has a second for its FIN from then on. */
static void test_late_reader(void)
{
    static char body[30000];
    int client, engine, small = 4096;

    begin_test();
    client = ask(0, "");
    put(client, "G"); /* the connection is not kept */
    (void)setsockopt(newest()->client_fd, SOL_SOCKET, SO_SNDBUF, &small,
                     sizeof(small));
    engine = accept_engine();
    memset(body, 'x', sizeof(body) - 1);
    put(engine, HEAD "Content-Length: 29999\r\n\r\n");
    put(engine, body);
    CHECK_EQ(newest()->state, AD_PROXY_ENDING);
    advance(5000);
    housekeeping();
    CHECK(newest()->to_client_len > 0);
    while (newest()->to_client_len > 0) {
        (void)get(client);
    }
    advance(AD_LINGER_MS - 1);
    housekeeping();
    CHECK_EQ(ad_proxying.n, 1);
    advance(1);
    housekeeping();
    CHECK_EQ(ad_proxying.n, 0);
    (void)close(client);
    (void)close(engine);
    end_test();
}

/* A body of `len` bytes 'x', and `tail` behind it. */
static const char *filled(size_t len, const char *tail)
{
    static char text[70000];

    memset(text, 'x', len);
    (void)snprintf(text + len, sizeof(text) - len, "%s", tail);
    return text;
}

/* A short body is read whole before the request asks for a place. */
static void test_short_body(void)
{
    int client, engine;

    begin_test();
    client = ask(10, "abcd");
    CHECK_EQ(newest()->state, AD_PROXY_ARRIVE);
    put(client, "ef");
    CHECK_EQ(newest()->state, AD_PROXY_ARRIVE);
    CHECK_EQ(newest()->body_len, 6);
    CHECK_EQ(ad_proxying.n_running + ad_proxying.n_queued, 0);
    CHECK_EQ(accept_engine(), -1);
    put(client, "ghijGET /next");
    engine = accept_engine();
    CHECK_EQ(ad_proxying.n_running, 1);
    CHECK_HAS(get(engine), "\r\nContent-Length: 10\r\n\r\nabcdefghij");
    CHECK(newest()->sent_ns != 0);
    put(engine, HEAD "Content-Length: 0\r\n\r\n");
    CHECK_HAS(get(client), "Connection: close\r\n"); /* more came behind it */
    CHECK_EQ(records("finished"), 1);
    (void)close(client);
    (void)close(engine);
    end_test();
}

/* A long one is passed on in pieces, from its first 16 KiB on. */
static void test_long_body(void)
{
    const char *got;
    int client, engine;

    begin_test();
    client = ask(30000, "");
    put(client, filled(AD_PROXY_PIECE_MAX - 1, ""));
    CHECK_EQ(newest()->state, AD_PROXY_ARRIVE);
    put(client, "y");
    engine = accept_engine();
    CHECK_EQ(newest()->state, AD_PROXY_RUN);
    got = get(engine);
    CHECK_HAS(got, "\r\nContent-Length: 30000\r\n\r\nxxx");
    CHECK_EQ(strlen(strstr(got, "\r\n\r\n") + 4), AD_PROXY_PIECE_MAX);
    CHECK_EQ(newest()->sent_ns, 0); /* not whole yet */
    put(client, filled(30000 - AD_PROXY_PIECE_MAX, "GET /next"));
    CHECK_EQ(strlen(get(engine)), 30000 - AD_PROXY_PIECE_MAX); /* no byte more */
    CHECK(newest()->sent_ns != 0);
    put(engine, HEAD "Content-Length: 0\r\n\r\n");
    CHECK_HAS(get(client), "Connection: close\r\n");
    (void)close(client);
    (void)close(engine);

    /* An answer before the body is whole: the connection can't go on. */
    client = ask(30000, "");
    put(client, filled(20000, ""));
    engine = accept_engine();
    put(engine, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    CHECK_HAS(get(client), "Connection: close\r\n");
    CHECK_EQ(records("refused"), 1);
    (void)close(client);
    (void)close(engine);
    end_test();
}

static void test_chunks(void)
{
    const char *got;
    int client, engine;

    begin_test();
    client = ask(SIZE_MAX, "3;ext=1\r\nabc");
    put(client, "\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n");
    engine = accept_engine();
    CHECK_HAS(get(engine), "X-Mine: 1\r\nContent-Length: 5\r\n\r\nabcde");
    put(engine, HEAD "Content-Length: 0\r\n\r\n");
    CHECK_EQ(ad_pendings.n, 1);
    (void)close(client);
    (void)close(engine);

    /* A long one: chunks of our own. */
    client = ask(SIZE_MAX, "5000\r\n");
    put(client, filled(0x4000, ""));
    engine = accept_engine();
    got = get(engine);
    CHECK_HAS(got, "X-Mine: 1\r\nTransfer-Encoding: chunked\r\n\r\n4000\r\nxxx");
    CHECK_HAS(got, "xxx\r\n");
    put(client, filled(0x1000, "\r\n"));
    got = get(engine);
    CHECK(strncmp(got, "1000\r\nxxx", 9) == 0);
    CHECK_EQ(strlen(got), 6 + 0x1000 + 2);
    put(client, "2\r\nde\r\n0\r\n\r\n");
    CHECK_STR(get(engine), "2\r\nde\r\n0\r\n\r\n");
    CHECK(newest()->sent_ns != 0);
    (void)close(client);
    settle();
    (void)close(engine);

    client = ask(SIZE_MAX, "zz\r\n");
    CHECK_HAS(get(client), "HTTP/1.1 400 ");
    (void)close(client);
    client = ask(SIZE_MAX, "4000\r\n");
    put(client, filled(0x4000, "\r\n"));
    engine = accept_engine();
    put(client, "3\nabc");
    CHECK_HAS(get(client), "HTTP/1.1 400 ");
    CHECK_HAS(get(engine), "xxx\r\nEOF"); /* neither the chunk nor the last */
    (void)close(client);
    (void)close(engine);
    end_test();
}

static void test_unreachable(void)
{
    int client;

    begin_test();
    (void)close(engine_listener);
    client = ask(3, "abc");
    CHECK_HAS(get(client), "HTTP/1.1 502 ");
    CHECK_EQ(records("failed"), 1);
    CHECK(ad_upstreams.state[0].known && !ad_upstreams.state[0].up);
    (void)close(client);
    engine_listener = -1;
    end_test();
}

/* ---- another model ------------------------------------------------------------ */

/* An engine whose addresses take no connection, and whose name is asked for every
 * few seconds: a request goes through them all, and once more. */
static void test_never_connects(void)
{
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    struct ad_upstream *u = &ad_upstreams.list[0];
    int deaf = socket(AF_INET, SOCK_STREAM, 0), fill[4], client;
    unsigned i, s;

    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(deaf, (struct sockaddr *)&address, len) == 0 && listen(deaf, 0) == 0 &&
          getsockname(deaf, (struct sockaddr *)&address, &len) == 0);
    for (i = 0; i < 4; i++) { /* its queue is full: it takes no SYN any more */
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fill[i], (struct sockaddr *)&address, len);
    }
    begin_test();
    u->n_addresses = 2;
    for (i = 0; i < 2; i++) {
        u->addresses[i].len = len;
        memcpy(&u->addresses[i].storage, &address, len);
    }
    client = ask(0, "");
    for (s = 1; s <= 60 && newest() != NULL && newest()->state == AD_PROXY_CONNECT;
         s++) {
        advance(1000);
        housekeeping();
        if (s % 10 == 3) { /* the resolver's answer is fresh for so long */
            ad_proxy_resolved(u);
        }
    }
    CHECK(s < 4 * AD_CONNECT_MS / 1000);
    CHECK_HAS(get(client), "HTTP/1.1 502 ");
    for (i = 0; i < 4; i++) {
        (void)close(fill[i]);
    }
    (void)close(deaf);
    (void)close(client);
    end_test();
}

static void test_rewrite(void)
{
    char body[64];
    const char *got;
    int client, engine;
    size_t len;

    begin_test();
    CHECK(ad_engine_add_model("alpha", false) && ad_engine_add_model("beta", false));
    ad_engine_select(1, true);
    client = ask(31, "{\"model\":\"alp");
    put(client, "ha\",\"x\":[1,2,3]}\r\n");
    engine = accept_engine();
    CHECK_HAS(get(engine), "X-Mine: 1\r\nContent-Length: 30\r\n\r\n"
                           "{\"model\":\"beta\",\"x\":[1,2,3]}\r\n");
    CHECK_EQ(newest()->rewrite, AD_NO_REWRITE); /* it fits in the slot's memory */
    CHECK_STR(newest()->request.model, "beta");
    put(engine, HEAD "Content-Length: 0\r\n\r\n");
    CHECK_EQ(ad_pendings.n, 1);
    (void)close(client);
    (void)close(engine);

    /* A longer one whose model is in its first piece goes on in pieces. */
    (void)snprintf(body, sizeof(body), "{\"model\":\"alpha\",\"x\":\"");
    len = strlen(body) + 20000 + 2;
    client = ask(len, body);
    put(client, filled(AD_PROXY_PIECE_MAX - strlen(body), ""));
    engine = accept_engine();
    CHECK_EQ(newest()->state, AD_PROXY_RUN);
    CHECK_EQ(newest()->rewrite, AD_NO_REWRITE);
    got = get(engine);
    (void)snprintf(body, sizeof(body), "Content-Length: %zu\r\n\r\n{\"model\":\"beta\",",
                   len - 1);
    CHECK_HAS(got, body);
    CHECK_EQ(strlen(strstr(got, "\r\n\r\n") + 4), AD_PROXY_PIECE_MAX - 1);
    CHECK_STR(newest()->request.model, "beta");
    put(client, filled(len - AD_PROXY_PIECE_MAX - 2, "\"}"));
    CHECK_EQ(strlen(get(engine)), len - AD_PROXY_PIECE_MAX);
    put(engine, HEAD "Content-Length: 0\r\n\r\n");
    CHECK_HAS(get(client), "HTTP/1.1 200 ");
    (void)close(client);
    (void)close(engine);
    end_test();
}

/* A client whose body is JSON of `len` bytes in all, that has sent `sent` of them:
 * {"x":"xxx... */
static int ask_json(size_t len, size_t sent)
{
    int client = ask(len, "{\"x\":\"");
    size_t n;

    for (sent -= 6; sent > 0; sent -= n) {
        n = sent < 60000 ? sent : 60000;
        put(client, filled(n, ""));
    }
    return client;
}

/* A model that is not in the first piece is looked for in a buffer; once it is
 * found, the body goes on, and the buffer is free when that is sent. */
static void test_rewrite_late(void)
{
    const char model[] = "\",\"model\":\"alpha\",\"y\":\"";
    const char *got;
    int client, engine, i;
    size_t len;

    begin_test();
    CHECK(ad_engine_add_model("alpha", false) && ad_engine_add_model("beta", false));
    ad_engine_select(1, true);
    client = ask_json(40000, 20000);
    CHECK_EQ(newest()->state, AD_PROXY_BUFFER_BODY);
    CHECK(ad_rewrites[newest()->rewrite].used);
    CHECK_EQ(accept_engine(), -1);
    put(client, "\",\"model\":\"alp");
    CHECK_EQ(accept_engine(), -1);
    put(client, "ha\",\"y\":\"");
    engine = accept_engine();
    got = get(engine);
    CHECK_HAS(got, "Content-Length: 39999\r\n\r\n{\"x\":\"xxx");
    CHECK_HAS(got, "xxx\",\"model\":\"beta\"");
    CHECK_EQ(newest()->rewrite, AD_NO_REWRITE);
    len = 40000 - 20000 - (sizeof(model) - 1);
    put(client, filled(len - 2, "\"}"));
    CHECK_EQ(strlen(get(engine)), len);
    (void)close(client);
    settle();
    CHECK_STR(get(engine), "EOF");
    CHECK_EQ(records("left"), 1);
    (void)close(engine);

    /* It ends the body: read whole. */
    client = ask_json(20000 + 18, 20000);
    put(client, "\",\"model\":\"alpha\"}");
    engine = accept_engine();
    CHECK_HAS(get(engine), "xxx\",\"model\":\"beta\"}");
    (void)close(client);
    (void)close(engine);
    settle();

    /* Nor in the first 1 MiB: it goes on unchanged, what is malformed there is an
     * error as before. */
    client = ask(SIZE_MAX, "100001\r\n{\"x\":\"");
    for (len = 6; len < AD_REWRITE_MAX; len += 60000) {
        CHECK_EQ(accept_engine(), -1);
        put(client, filled(len + 60000 < AD_REWRITE_MAX ? 60000
                                                        : AD_REWRITE_MAX - len, ""));
    }
    CHECK_EQ(accept_engine(), -1);
    put(client, "x");
    engine = accept_engine();
    CHECK_HAS(get(engine), "Transfer-Encoding: chunked\r\n\r\n100001\r\n{\"x\"");
    while (get(engine)[0] != '\0') {
    }
    put(client, "\r\n5\nabc");
    CHECK_HAS(get(client), "HTTP/1.1 400 ");
    CHECK_HAS(get(engine), "EOF");
    (void)close(client);
    (void)close(engine);

    /* With several engines nobody knows whose it is. */
    ad_upstreams.n = 2;
    for (i = 0; i < 2; i++) { /* the last byte of 1 MiB, the first behind it */
        client = ask_json(2000000, AD_REWRITE_MAX - 15 + (size_t)i);
        CHECK_EQ(newest()->state, AD_PROXY_BUFFER_BODY);
        put(client, "\",\"model\":\"nam\"");
        if (i == 0) {
            engine = accept_engine();
            CHECK(engine >= 0);
            (void)close(engine);
        } else {
            CHECK_HAS(get(client), "HTTP/1.1 413 ");
        }
        (void)close(client);
        settle();
    }
    CHECK_EQ(accept_engine(), -1);
    ad_upstreams.n = 1;
    end_test();
}

/* What is no JSON object names no model: it does not wait for a buffer. */
static void test_rewrite_no_object(void)
{
    static const char *const begins[] = {"[{\"model\":\"beta\"}", "--boundary", "{]",
                                         "\"", "{} ", "\xEF\xBB\xBF{"};
    int client, engine;
    unsigned i;

    begin_test();
    ad_upstreams.n = 2;
    for (i = 0; i < AD_COUNT(begins); i++) {
        client = ask(40000, begins[i]);
        put(client, filled(20000 - strlen(begins[i]), ""));
        engine = accept_engine();
        CHECK(engine >= 0);
        CHECK_EQ(newest()->rewrite, AD_NO_REWRITE);
        (void)close(client);
        (void)close(engine);
        settle();
    }
    ad_upstreams.n = 1;
    end_test();
}

/* Each model that is looked for needs a buffer; the others wait for one. */
static void test_rewrite_buffers(void)
{
    int clients[AIDASH_EDITS + 1], small, engine;
    unsigned i;

    begin_test();
    ad_proxying.max_inflight = AIDASH_EDITS + 2;
    CHECK(ad_engine_add_model("alpha", false) && ad_engine_add_model("beta", false));
    ad_engine_select(1, true);
    for (i = 0; i <= AIDASH_EDITS; i++) {
        asks_from = i % 2 == 0 ? ADDRESS : OTHER;
        clients[i] = ask_json(20000, 19999);
        CHECK_EQ(newest()->state,
                 i < AIDASH_EDITS ? AD_PROXY_BUFFER_BODY : AD_PROXY_QUEUED);
    }
    /* What needs none does not wait behind them. */
    small = ask(1, "x");
    engine = accept_engine();
    CHECK(engine >= 0);
    CHECK_EQ(ad_proxying.n_queued, 1);
    put(engine, HEAD "Content-Length: 0\r\n\r\n");
    CHECK_HAS(get(small), "HTTP/1.1 200 ");
    (void)close(small);
    (void)close(engine);
    /* Nor does it when it had to wait, and the one before it keeps its place. */
    ad_engine_pause(true, "");
    small = ask(1, "x");
    CHECK_EQ(ad_proxying.n_queued, 2);
    ad_engine_pause(false, "");
    engine = accept_engine();
    CHECK(engine >= 0);
    CHECK_EQ(ad_proxying.n_queued, 1);
    (void)close(small);
    (void)close(engine);
    settle();

    put(clients[0], "x");
    engine = accept_engine();
    CHECK_EQ(ad_proxying.n_queued, 0);
    (void)close(engine);
    for (i = 0; i <= AIDASH_EDITS; i++) {
        (void)close(clients[i]);
    }
    end_test();
}

static void seconds(unsigned n)
{
    while (n-- > 0) {
        advance(1000);
        housekeeping();
    }
}

/* An address has three quarters of the buffers at most. */
static void test_rewrite_buffers_of_address(void)
{
    enum { N = 3 * AIDASH_EDITS / 4 };
    int clients[N + 2], engine;
    unsigned i;

    begin_test();
    ad_proxying.max_inflight = N + 2;
    ad_upstreams.n = 2;
    for (i = 0; i <= N; i++) {
        clients[i] = ask_json(20000, 19999);
        CHECK_EQ(newest()->state, i < N ? AD_PROXY_BUFFER_BODY : AD_PROXY_QUEUED);
    }
    asks_from = OTHER;
    clients[i] = ask_json(20000, 19999);
    CHECK_EQ(newest()->state, AD_PROXY_BUFFER_BODY);
    CHECK_EQ(ad_proxying.n_queued, 1);
    put(clients[0], "x");
    CHECK_EQ(ad_proxying.n_queued, 0);
    engine = accept_engine();
    CHECK(engine >= 0);
    (void)close(engine);
    for (i = 0; i < N + 2; i++) {
        (void)close(clients[i]);
    }
    ad_upstreams.n = 1;
    end_test();
}

/* While one waits for a buffer, the slowest of those that have one gives it up, if
 * it is slower than 128 KiB/s. */
static void test_rewrite_buffer_lent(void)
{
    int clients[AIDASH_EDITS + 2];
    unsigned i, n;

    begin_test();
    ad_proxying.max_inflight = AIDASH_EDITS + 2;
    ad_upstreams.n = 2;
    for (i = 0; i < AIDASH_EDITS; i++) {
        asks_from = i % 2 == 0 ? ADDRESS : OTHER;
        clients[i] = ask_json(900000, 20000);
    }
    seconds(2);
    CHECK_EQ(ad_proxying.n, AIDASH_EDITS); /* nobody waits */
    for (i = 0; i < AIDASH_EDITS; i++) { /* the second one: less than 4 x 128 KiB */
        for (n = 0; n < (i == 1 ? 8 : 11); n++) {
            put(clients[i], filled(60000, ""));
        }
    }
    clients[i] = ask_json(900000, 20000);
    CHECK_EQ(newest()->state, AD_PROXY_QUEUED);
    ad_engine.paused = true;
    housekeeping();
    CHECK_EQ(newest()->state, AD_PROXY_QUEUED);
    ad_engine.paused = false;
    housekeeping();
    CHECK_EQ(newest()->state, AD_PROXY_BUFFER_BODY);
    CHECK_HAS(get(clients[1]), "HTTP/1.1 408 ");
    CHECK_EQ(records("refused"), 1);
    (void)close(clients[1]);
    settle();
    /* The others keep up. */
    clients[1] = ask_json(900000, 20000);
    CHECK_EQ(newest()->state, AD_PROXY_QUEUED);
    housekeeping();
    CHECK_EQ(newest()->state, AD_PROXY_QUEUED);
    for (i = 0; i <= AIDASH_EDITS; i++) {
        (void)close(clients[i]);
    }
    ad_upstreams.n = 1;
    end_test();
}

/* ---- the queue ------------------------------------------------------------------ */

static void test_admission_order(void)
{
    int running[2], waiting[3], engines[2], engine;
    unsigned i;

    begin_test();
    for (i = 0; i < 2; i++) {
        running[i] = ask(1, "x");
        engines[i] = accept_engine();
    }
    for (i = 0; i < 3; i++) {
        waiting[i] = ask(1, i == 0 ? "0" : i == 1 ? "1" : "2");
        CHECK_EQ(newest()->state, AD_PROXY_QUEUED);
        CHECK_EQ(ad_proxying.n_queued, i + 1);
    }
    /* What has no body does not wait. */
    CHECK_EQ(ask(0, "") >= 0 ? (int)newest()->state : -1, AD_PROXY_CONNECT);
    (void)close(accept_engine());
    /* One more than there are places. */
    i = (unsigned)ask(1, "3");
    CHECK_HAS(get((int)i), "HTTP/1.1 503 ");
    CHECK_EQ(ad_proxying.refused, 1);
    (void)close((int)i);
    CHECK_EQ(accept_engine(), -1);

    /* The second leaves; the first and the third run, in this order. */
    (void)close(waiting[1]);
    settle();
    CHECK_EQ(ad_proxying.n_queued, 2);
    for (i = 0; i < 2; i++) {
        put(engines[i], HEAD "Content-Length: 0\r\n\r\n");
        engine = accept_engine();
        CHECK_HAS(get(engine), i == 0 ? "\r\n\r\n0" : "\r\n\r\n2");
        CHECK_EQ(ad_proxying.n_queued, 1 - i);
        (void)close(engines[i]);
        engines[i] = engine;
    }
    for (i = 0; i < 2; i++) {
        (void)close(running[i]);
        (void)close(engines[i]);
    }
    (void)close(waiting[0]);
    (void)close(waiting[2]);
    end_test();
}

static void test_pause(void)
{
    int clients[3], engine;
    unsigned i;

    begin_test();
    ad_engine_pause(true, "");
    for (i = 0; i < 3; i++) {
        clients[i] = ask(1, "x");
    }
    CHECK_EQ(ad_proxying.n_queued, 3);
    CHECK_EQ(accept_engine(), -1);
    (void)close(clients[2]); /* the last */
    (void)close(clients[0]); /* the first */
    settle();
    CHECK_EQ(ad_proxying.n_queued, 1);
    ad_engine_pause(false, "");
    settle();
    engine = accept_engine();
    CHECK(engine >= 0);
    CHECK_EQ(ad_proxying.n_queued, 0);
    (void)close(clients[1]);
    (void)close(engine);
    end_test();
}

static void test_slots(void)
{
    int clients[AIDASH_FLOWS], client;
    unsigned i;

    begin_test();
    for (i = 0; i < AIDASH_FLOWS; i++) {
        clients[i] = ask(0, "");
        CHECK(clients[i] >= 0);
        settle(); /* connected: the listener's backlog takes it */
    }
    CHECK_EQ(ad_proxying.n, AIDASH_FLOWS);
    CHECK_EQ(ask(0, ""), -1);
    CHECK_EQ(ad_proxying.refused, 1);
    (void)close(clients[7]);
    settle();
    client = ask(0, "");
    CHECK(client >= 0);
    CHECK_EQ(ask(0, ""), -1);
    /* One that has its answer, and does not close, gives way. */
    CHECK(ad_proxy_cancel(newest()->id));
    CHECK_HAS(get(client), "HTTP/1.1 503 ");
    clients[7] = ask(0, "");
    CHECK(clients[7] >= 0);
    CHECK_STR(get(client), "EOF");
    (void)close(client);
    for (i = 0; i < AIDASH_FLOWS; i++) {
        (void)close(clients[i]);
    }
    end_test();
}

/* When all slots are taken, the address that has the most gives way to others, but
 * never one that runs. */
static void test_slots_of_addresses(void)
{
    int clients[AIDASH_FLOWS], client, engine;
    unsigned i;

    begin_test();
    ad_proxying.max_inflight = 1;
    clients[0] = ask(1, "x");
    engine = accept_engine();
    clients[1] = ask(1, "x");
    CHECK_EQ(newest()->state, AD_PROXY_QUEUED);
    for (i = 2; i < AIDASH_FLOWS; i++) {
        asks_from = i == 5 ? OTHER : ADDRESS;
        clients[i] = ask(0, "");
        settle();
    }
    asks_from = ADDRESS;
    advance(AD_FLOW_GRACE_MS - 1);
    asks_from = OTHER;
    CHECK_EQ(ask(0, ""), -1); /* the others are too young */
    advance(1);
    asks_from = ADDRESS;
    CHECK_EQ(ask(0, ""), -1); /* it has the most itself */
    asks_from = OTHER;
    for (i = 0; i < AIDASH_FLOWS; i++) { /* many clients behind a trusted proxy */
        struct sockaddr_in *peer = (void *)&ad_proxies[i].request.peer;

        peer->sin_family = AF_INET;
        peer->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    CHECK(ad_access_add_proxy("127.0.0.1", 9));
    CHECK_EQ(ask(0, ""), -1);
    ad_access_init();
    client = ask(0, "");
    CHECK(client >= 0);
    CHECK_HAS(get(clients[2]), "HTTP/1.1 503 "); /* the one that waits the longest */
    (void)close(client);
    (void)close(clients[2]);
    settle();

    /* Half of them are the other address's: no more of them. The queued one goes
     * last. */
    for (i = 2; i < AIDASH_FLOWS; i++) {
        advance(AD_FLOW_GRACE_MS);
        if (i == 5) {
            continue;
        }
        client = ask(0, "");
        settle();
        if (client < 0) {
            break;
        }
        if (i > 2) {
            CHECK_HAS(get(clients[i]), "HTTP/1.1 503 ");
            (void)close(clients[i]);
        }
        clients[i] = client;
    }
    CHECK_EQ(ad_flows_of(OTHER), AIDASH_FLOWS / 2);
    CHECK_EQ(ad_flows_of(ADDRESS), AIDASH_FLOWS / 2);
    CHECK_EQ(ad_proxying.n_running, 1);
    CHECK_EQ(ad_proxying.n_queued, 1);
    put(engine, HEAD "Content-Length: 1\r\n\r\n");
    CHECK_HAS(get(clients[0]), "HTTP/1.1 200 ");
    for (i = 0; i < AIDASH_FLOWS; i++) {
        (void)close(clients[i]);
    }
    (void)close(engine);
    end_test();
}

/* When the queue is full, the last of the address that has the most makes room. */
static void test_queue_of_addresses(void)
{
    int clients[5], engine, other;
    unsigned i;

    begin_test();
    ad_proxying.max_inflight = 1;
    clients[0] = ask(1, "x");
    engine = accept_engine();
    for (i = 1; i < 4; i++) {
        clients[i] = ask(1, "x");
    }
    asks_from = OTHER;
    clients[4] = ask(1, "y");
    CHECK_HAS(get(clients[4]), "HTTP/1.1 503 "); /* the others are too young */
    (void)close(clients[4]);
    advance(AD_FLOW_GRACE_MS);
    settle();
    for (i = 3; i >= 2; i--) { /* 4 to 0, then 3 to 1, then no more */
        clients[4] = ask(1, "y");
        CHECK_EQ(ad_proxying.n_queued, 3);
        if (i == 3) {
            CHECK_HAS(get(clients[i]), "HTTP/1.1 503 ");
            (void)close(clients[i]);
            clients[3] = clients[4];
        } else {
            CHECK_HAS(get(clients[4]), "HTTP/1.1 503 ");
            (void)close(clients[4]);
        }
        advance(AD_FLOW_GRACE_MS);
        settle();
    }
    put(engine, HEAD "Content-Length: 0\r\n\r\n");
    other = accept_engine();
    CHECK_HAS(get(other), "\r\n\r\nx");
    (void)close(other);
    (void)close(engine);
    for (i = 0; i < 4; i++) {
        (void)close(clients[i]);
    }
    end_test();
}

/* Events of a request that is over, found in the same turn, are not those of the
 * next one in its slot. */
static void test_stale_events(void)
{
    struct ad_proxy *p;
    int client, engine;
    unsigned before;

    begin_test();
    client = ask(1, "x");
    p = newest();
    before = ad_proxy_index(p);
    (void)close(client);
    settle();
    (void)close(accept_engine());
    client = ask(1, "x");
    CHECK(newest() == p);
    ad_proxy_event(before, AD_TAG_PROXY_UPSTREAM, false);
    CHECK_EQ(p->state, AD_PROXY_CONNECT);
    ad_proxy_event(before, AD_TAG_PROXY_CLIENT, true);
    CHECK(!p->client_shut);
    ad_proxy_event(ad_proxy_index(p), AD_TAG_PROXY_UPSTREAM, false);
    CHECK_EQ(p->state, AD_PROXY_RUN);
    engine = accept_engine();
    (void)close(client);
    (void)close(engine);
    end_test();
}

/* Clients that send no body keep nobody out: the first of them gives way. */
static void test_silent_clients(void)
{
    int clients[AIDASH_FLOWS], client;
    unsigned i;

    begin_test();
    ad_upstreams.n = 2; /* a long body would be read whole */
    for (i = 0; i < AIDASH_FLOWS; i++) {
        clients[i] = ask(1000000, "x");
    }
    CHECK_EQ(ask(0, ""), -1);
    advance(1000);
    client = ask(1, "x");
    CHECK(client >= 0);
    CHECK_EQ(newest()->state, AD_PROXY_CONNECT); /* a place, and no buffer, is free */
    CHECK_HAS(get(clients[0]), "HTTP/1.1 408 ");
    (void)close(client);
    for (i = 0; i < AIDASH_FLOWS; i++) {
        (void)close(clients[i]);
    }
    ad_upstreams.n = 1;
    end_test();
}

/* A client that sends on and on before its answer is not read. */
static void test_surplus(void)
{
    int client, engine;
    unsigned i;
    ssize_t n = 0;

    begin_test();
    client = ask(1, "x");
    engine = accept_engine();
    for (i = 0; i < 1000 && n >= 0; i++) {
        n = send(client, filled(60000, ""), 60000, MSG_DONTWAIT | MSG_NOSIGNAL);
        settle();
    }
    CHECK(n < 0 && errno == EAGAIN);
    put(engine, HEAD "Content-Length: 0\r\n\r\n");
    CHECK_HAS(get(client), "Connection: close\r\n");
    (void)close(client);
    (void)close(engine);
    end_test();
}

/* Method, target and lines with their NULs are AD_PROXY_TEXT_MAX bytes at most. */
static void test_long_head(void)
{
    static char longest[AD_PROXY_TEXT_MAX];
    struct ad_proxy_request r;
    int fds[2], i;

    begin_test();
    memset(longest, 'x', sizeof(longest) - 1);
    for (i = 6; i >= 5; i--) { /* "GET", "/" and their NULs are 6 */
        memset(&r, 0, sizeof(r));
        r.method = "GET";
        r.target = "/";
        r.headers = longest + i;
        r.prefix = (const uint8_t *)"";
        r.body.state = AD_BODY_DONE;
        r.address = ADDRESS;
        (void)ad_peer_open(ADDRESS);
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
        (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
        ad_proxy_begin(&r, fds[0]);
        if (i == 5) {
            CHECK_HAS(get(fds[1]), "HTTP/1.1 431 ");
        }
        (void)close(fds[1]);
        settle();
        CHECK_EQ(ad_proxying.n, 0);
    }
    end_test();
}

/* ---- cancel, and clients that leave ----------------------------------------------- */

static uint64_t id_of_newest(void)
{
    return newest()->id;
}

static void test_cancel(void)
{
    int client, engine, others[2], engines[2];

    begin_test();
    CHECK(!ad_proxy_cancel(1));

    client = ask(1, "x"); /* connecting */
    CHECK_EQ(newest()->state, AD_PROXY_CONNECT);
    CHECK(ad_proxy_cancel(id_of_newest()));
    CHECK_HAS(get(client), "HTTP/1.1 503 ");
    CHECK(!ad_proxy_cancel(id_of_newest())); /* it is ending */
    (void)close(client);
    settle();
    (void)close(accept_engine());

    client = ask(2, "x"); /* its body half sent */
    CHECK_EQ(newest()->state, AD_PROXY_ARRIVE);
    CHECK(ad_proxy_cancel(id_of_newest()));
    CHECK_HAS(get(client), "HTTP/1.1 503 ");
    (void)close(client);

    client = ask(20000, ""); /* running, its body half sent */
    put(client, filled(18000, ""));
    engine = accept_engine();
    CHECK_EQ(newest()->state, AD_PROXY_RUN);
    CHECK(ad_proxy_cancel(id_of_newest()));
    CHECK_HAS(get(client), "HTTP/1.1 503 ");
    CHECK_HAS(get(engine), "EOF");
    (void)close(client);
    (void)close(engine);

    ad_upstreams.n = 2; /* its body is read whole: which engine has its model? */
    client = ask_json(20000, 18000);
    CHECK_EQ(newest()->state, AD_PROXY_BUFFER_BODY);
    CHECK(ad_proxy_cancel(id_of_newest()));
    CHECK_HAS(get(client), "HTTP/1.1 503 ");
    (void)close(client);
    ad_upstreams.n = 1;

    client = ask(1, "x"); /* the answer has begun */
    engine = accept_engine();
    put(engine, HEAD "Content-Length: 9\r\n\r\nabc");
    CHECK(ad_proxy_cancel(id_of_newest()));
    CHECK_HAS(get(client), "\r\n\r\nabcEOF");
    CHECK_HAS(get(engine), "EOF");
    (void)close(client);
    (void)close(engine);

    others[0] = ask(1, "x");
    engines[0] = accept_engine();
    others[1] = ask(1, "x");
    engines[1] = accept_engine();
    client = ask(1, "x"); /* queued */
    CHECK_EQ(newest()->state, AD_PROXY_QUEUED);
    CHECK(ad_proxy_cancel(id_of_newest()));
    CHECK_EQ(ad_proxying.n_queued, 0);
    CHECK_HAS(get(client), "HTTP/1.1 503 ");
    (void)close(client);
    CHECK_EQ(records("cut"), 6);
    (void)close(others[0]);
    (void)close(others[1]);
    settle();
    CHECK_HAS(get(engines[0]), "EOF");
    CHECK_HAS(get(engines[1]), "EOF");
    (void)close(engines[0]);
    (void)close(engines[1]);
    CHECK_EQ(records("left"), 2);
    end_test();
}

/* A status when the last of the running ones has ended. */
static void test_drain(void)
{
    int client, engine;
    uint64_t before;

    begin_test();
    client = ask(1, "x");
    engine = accept_engine();
    ad_proxy_drain();
    CHECK(ad_proxying.draining);
    before = ad_feed.next;
    put(engine, HEAD "Content-Length: 0\r\n\r\n");
    CHECK(!ad_proxying.draining);
    CHECK_EQ(ad_feed.next - before, 2); /* the record, the status */
    ad_proxy_drain();
    CHECK(!ad_proxying.draining); /* nothing runs */
    (void)close(client);
    (void)close(engine);

    /* An upload that takes long does not hold it up, and waits when it is whole. */
    client = ask(30000, "");
    put(client, filled(20000, ""));
    engine = accept_engine();
    (void)get(engine);
    ad_engine.paused = true;
    ad_proxy_drain();
    seconds(1);
    CHECK(ad_proxying.draining);
    seconds(1);
    CHECK(!ad_proxying.draining);
    put(client, filled(10000, ""));
    CHECK_EQ(newest()->turn, AD_TURN_QUEUED);
    CHECK_STR(get(engine), "");
    ad_engine.paused = false;
    CHECK_EQ(strlen(get(engine)), 10000);
    (void)close(client);
    (void)close(engine);
    end_test();
}

/* ---- uploads and the place at the engine ------------------------------------------ */

/* Both places are taken by uploads of which half has come. */
static void two_uploads(int clients[2], int engines[2])
{
    unsigned i;

    for (i = 0; i < 2; i++) {
        clients[i] = ask(100000, "");
        put(clients[i], filled(AD_PROXY_PIECE_MAX + 100 * (i + 1), ""));
        engines[i] = accept_engine();
        CHECK_EQ(newest()->state, AD_PROXY_RUN);
        (void)get(engines[i]);
    }
}

/* The rest of the body but for `left` bytes. */
static void put_rest(int client, int engine, unsigned i, size_t left)
{
    put(client, filled(50000, ""));
    (void)get(engine);
    put(client, filled(100000 - 50000 - AD_PROXY_PIECE_MAX - 100 * (i + 1) - left, ""));
    (void)get(engine);
}

/* The slowest upload lends its place to who waits; when it is whole it asks again,
 * and the engine has all of it but the last piece. */
static void test_upload_lends_place(void)
{
    int clients[2], engines[2], shorter[2], engine, other;

    begin_test();
    two_uploads(clients, engines);
    seconds(5);
    CHECK_EQ(ad_proxying.n_running, 2); /* nobody waits */
    /* One that comes now does not wait at all. */
    shorter[0] = ask(1, "x");
    engine = accept_engine();
    CHECK_EQ(ad_proxies[0].turn, AD_TURN_UPLOAD); /* the slower one */
    CHECK_EQ(ad_proxying.n_running, 2);
    CHECK_EQ(ad_proxying.n_uploads, 1);
    CHECK_HAS(get(engine), "\r\n\r\nx");
    /* All but the last byte passes meanwhile, and then waits. */
    put_rest(clients[0], engines[0], 0, 1);
    CHECK_EQ(ad_proxies[0].turn, AD_TURN_UPLOAD);
    ad_proxying.max_inflight = 1;
    shorter[1] = ask(1, "y");
    CHECK_EQ(ad_proxying.n_uploads, 2); /* the other one lent its place, too */
    CHECK_EQ(ad_proxying.n_queued, 1);
    put(clients[0], "x"); /* it asked before */
    CHECK_EQ(ad_proxies[0].turn, AD_TURN_QUEUED);
    CHECK(ad_proxying.first == &ad_proxies[0] && ad_proxying.n_queued == 2);
    CHECK_EQ(ad_queue_place(&ad_proxies[0]), 1);
    CHECK_STR(get(engines[0]), "");
    CHECK_EQ(ad_proxies[0].sent_ns, 0);
    seconds(100);
    put(engine, HEAD "Content-Length: 0\r\n\r\n");
    CHECK_HAS(get(shorter[0]), "HTTP/1.1 200 ");
    CHECK_STR(get(engines[0]), "x");
    CHECK_EQ(ad_proxies[0].turn, AD_TURN_RUN);
    CHECK(ad_proxies[0].sent_ns != 0);
    CHECK_EQ(ad_proxying.n_queued, 1);
    put(engines[0], HEAD "Content-Length: 0\r\n\r\n");
    CHECK_HAS(get(clients[0]), "HTTP/1.1 200 ");
    other = accept_engine();
    CHECK_HAS(get(other), "\r\n\r\ny");
    (void)close(engine);
    (void)close(other);
    (void)close(shorter[0]);
    (void)close(shorter[1]);
    (void)close(clients[0]);
    (void)close(clients[1]);
    (void)close(engines[0]);
    (void)close(engines[1]);
    end_test();
}

/* A fast upload keeps its place, and needs not ask again: not even in a pause. */
static void test_upload_keeps_place(void)
{
    int clients[2], engines[2], waiting;

    begin_test();
    two_uploads(clients, engines);
    seconds(1);
    waiting = ask(1, "x");
    CHECK_EQ(ad_proxying.n_running, 2);
    CHECK_EQ(ad_proxying.n_queued, 1);
    ad_engine.paused = true;
    put_rest(clients[0], engines[0], 0, 1);
    put(clients[0], "x");
    CHECK_STR(get(engines[0]), "x");
    (void)close(waiting);
    (void)close(clients[0]);
    (void)close(clients[1]);
    (void)close(engines[0]);
    (void)close(engines[1]);
    end_test();
}

/* An upload in chunks whose last piece waits, paused. */
static int held(int *engine)
{
    int client = ask(SIZE_MAX, "4000\r\n");

    put(client, filled(0x4000, "\r\n"));
    *engine = accept_engine();
    CHECK_HAS(get(*engine), "\r\n\r\n4000\r\nxxx");
    ad_proxy_set_turn(newest(), AD_TURN_UPLOAD); /* as if another had waited */
    ad_engine.paused = true;
    put(client, "3\r\nabc\r\n");
    CHECK_STR(get(*engine), "3\r\nabc\r\n");
    put(client, "0\r\n\r\n");
    CHECK_EQ(newest()->turn, AD_TURN_QUEUED);
    CHECK_STR(get(*engine), "");
    return client;
}

static void test_upload_held(void)
{
    struct ad_proxy *p;
    int client, engine;

    begin_test();
    ad_proxying.queue_timeout_ms = 5000;
    ad_proxying.upstream_timeout_ms = 1000;

    client = held(&engine); /* the queue is full: it had its turn already */
    ad_engine.paused = false;
    CHECK_STR(get(engine), "0\r\n\r\n");
    put(engine, HEAD "Content-Length: 0\r\n\r\n");
    CHECK_HAS(get(client), "HTTP/1.1 200 ");
    (void)close(client);
    (void)close(engine);

    ad_proxying.queue = 0;
    client = held(&engine); /* it waits too long */
    ad_proxying.queue = 3;
    seconds(4);
    CHECK_EQ(newest()->turn, AD_TURN_QUEUED);
    seconds(1);
    CHECK_HAS(get(client), "HTTP/1.1 503 ");
    CHECK_HAS(get(engine), "EOF");
    (void)close(client);
    (void)close(engine);

    ad_engine.paused = false;
    client = held(&engine); /* cancelled */
    CHECK(ad_proxy_cancel(newest()->id));
    CHECK_HAS(get(client), "HTTP/1.1 503 ");
    CHECK_HAS(get(engine), "EOF");
    (void)close(client);
    (void)close(engine);

    ad_engine.paused = false;
    client = held(&engine); /* the client leaves */
    (void)close(client);
    CHECK_HAS(get(engine), "EOF");
    CHECK_EQ(records("left"), 1);
    (void)close(engine);

    ad_engine.paused = false;
    client = held(&engine); /* the client shuts its sending side */
    CHECK(shutdown(client, SHUT_WR) == 0);
    CHECK_STR(get(client), "HTTP/1.1 100 Continue\r\n\r\n");
    ad_engine.paused = false;
    CHECK_STR(get(engine), "0\r\n\r\n");
    put(engine, HEAD "Content-Length: 0\r\n\r\n");
    CHECK_HAS(get(client), "HTTP/1.1 200 ");
    (void)close(client);
    (void)close(engine);

    client = held(&engine); /* the engine closes */
    (void)close(engine);
    CHECK_HAS(get(client), "HTTP/1.1 502 ");
    CHECK_EQ(records("failed"), 1);
    (void)close(client);

    ad_engine.paused = false;
    client = held(&engine); /* the engine refuses without the end */
    put(engine, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    CHECK_HAS(get(client), "HTTP/1.1 413 ");
    CHECK_EQ(records("refused"), 2);
    CHECK_EQ(ad_proxying.n_queued, 0);
    (void)close(client);
    (void)close(engine);

    ad_engine.paused = false;
    client = held(&engine); /* the engine begins without the end: it runs */
    p = newest();
    put(engine, HEAD "Content-Length: 2\r\n\r\na");
    CHECK_HAS(get(client), "HTTP/1.1 200 ");
    CHECK_EQ(p->turn, AD_TURN_RUN);
    CHECK_EQ(ad_proxying.n_queued, 0);
    CHECK_STR(get(engine), "0\r\n\r\n");
    put(engine, "b");
    CHECK_STR(get(client), "b");
    (void)close(client);
    (void)close(engine);
    end_test();
}

/* What waits in a rewrite buffer, whole, gets its turn there. */
static void test_upload_held_in_buffer(void)
{
    int client, engine;

    begin_test();
    ad_upstreams.n = 2;
    client = ask_json(20000, 19999);
    CHECK_EQ(newest()->state, AD_PROXY_BUFFER_BODY);
    ad_proxy_set_turn(newest(), AD_TURN_UPLOAD);
    ad_engine.paused = true;
    put(client, "x");
    CHECK_EQ(newest()->state, AD_PROXY_QUEUED);
    CHECK_EQ(newest()->turn, AD_TURN_QUEUED);
    CHECK_EQ(accept_engine(), -1);
    ad_engine.paused = false;
    engine = accept_engine();
    CHECK_HAS(get(engine), "Content-Length: 20000\r\n\r\n{\"x\":\"xxx");
    (void)close(client);
    (void)close(engine);
    settle();

    client = ask_json(20000, 19999); /* cancelled: the buffer is free at once */
    CHECK(ad_proxy_cancel(newest()->id));
    CHECK_EQ(ad_rewrite_free(ADDRESS), AIDASH_EDITS - 1);
    CHECK_HAS(get(client), "HTTP/1.1 503 ");
    (void)close(client);
    ad_upstreams.n = 1;
    end_test();
}

/* The engine has AIDASH_UPLOADS slow uploads at most, besides those that have a
 * place; then the slowest ends. */
static void test_upload_limit(void)
{
    enum { N = AIDASH_UPLOADS + 1 };
    int clients[N], engines[N], shorter[N], others[N];
    unsigned i;

    begin_test();
    ad_proxying.max_inflight = N;
    for (i = 0; i < N; i++) { /* the third is the slowest */
        clients[i] = ask(1000000, "");
        put(clients[i], filled(AD_PROXY_PIECE_MAX + (i == 2 ? 1 : 100), ""));
        engines[i] = accept_engine();
        CHECK_EQ(newest()->turn, AD_TURN_RUN);
    }
    seconds(2);
    for (i = 0; i < N; i++) {
        CHECK_EQ(ad_proxying.n_uploads, i);
        shorter[i] = ask(1, "x");
        others[i] = accept_engine();
        CHECK_HAS(get(others[i]), "\r\n\r\nx");
        CHECK_EQ(ad_proxying.n_running, N);
    }
    CHECK_EQ(ad_proxying.n_uploads, AIDASH_UPLOADS);
    CHECK_EQ(records("refused"), 1);
    CHECK_HAS(get(clients[2]), "HTTP/1.1 408 ");
    CHECK_HAS(get(engines[2]), "EOF");
    for (i = 0; i < N; i++) {
        (void)close(clients[i]);
        (void)close(engines[i]);
        (void)close(shorter[i]);
        (void)close(others[i]);
    }
    end_test();
}

/* ---- time limits, by our clock ------------------------------------------------------- */

static void test_time_limits(void)
{
    int client, engine, waiting, half, slow;
    unsigned before, i;

    begin_test();
    ad_proxying.max_inflight = 1;
    ad_proxying.queue_timeout_ms = 5000;
    ad_proxying.upstream_timeout_ms = 3000;

    client = ask(1, "x");
    engine = accept_engine();
    waiting = ask(1, "x");
    advance(4999);
    housekeeping();
    CHECK_EQ(newest()->state, AD_PROXY_QUEUED);
    advance(1);
    housekeeping();
    CHECK_HAS(get(waiting), "HTTP/1.1 503 ");
    (void)close(waiting);
    /* The time in which its body came is no wait in the queue. */
    waiting = ask(2, "x");
    advance(6000);
    put(waiting, "y");
    housekeeping();
    CHECK_EQ(newest()->state, AD_PROXY_QUEUED);
    advance(4999);
    housekeeping();
    CHECK_EQ(newest()->state, AD_PROXY_QUEUED);
    advance(1);
    housekeeping();
    CHECK_HAS(get(waiting), "HTTP/1.1 503 ");
    (void)close(waiting);

    /* The engine may think twelve times as long before its answer, whatever it
     * says in between ... */
    put(engine, "HTTP/1.1 103 Early Hints\r\n\r\n");
    CHECK_HAS(get(client), "HTTP/1.1 103 ");
    advance(AD_PROXY_FIRST_TIMES * 3000 - 1);
    housekeeping();
    CHECK_EQ(ad_proxying.n_running, 1);
    put(engine, "HTTP/1.1 102 Processing\r\n\r\n");
    /* ... but not stop behind it: in the head ... */
    half = ask(1, "x");
    CHECK_EQ(newest()->state, AD_PROXY_QUEUED);
    ad_proxying.max_inflight = 2;
    settle();
    slow = accept_engine();
    put(slow, "HTTP/1.1 200 OK\r\nX-Half");
    advance(2999);
    housekeeping();
    CHECK_EQ(ad_proxying.n_running, 2);
    advance(1);
    housekeeping();
    CHECK_EQ(ad_proxying.n_running, 1);
    CHECK_HAS(get(half), "HTTP/1.1 504 ");
    CHECK_HAS(get(slow), "EOF");
    ad_proxying.max_inflight = 1;
    (void)close(half);
    (void)close(slow);
    /* ... or in the body. */
    put(engine, HEAD "Content-Length: 9\r\n\r\nabc");
    advance(2999);
    housekeeping();
    CHECK_EQ(ad_proxying.n_running, 1);
    advance(1);
    housekeeping();
    CHECK_EQ(ad_proxying.n_running, 0);
    CHECK_HAS(get(client), "102 Processing\r\n\r\n" HEAD);
    /* The client has a second for its FIN. */
    before = ad_proxying.n;
    advance(AD_LINGER_MS - 1);
    housekeeping();
    CHECK_EQ(ad_proxying.n, before);
    advance(1);
    housekeeping();
    CHECK_EQ(ad_proxying.n, before - 1);
    (void)close(client);
    (void)close(engine);

    /* It never begins its answer: after nothing, after an interim one; and sooner
     * where there is no prompt. */
    for (i = 0; i < 3; i++) {
        uint32_t limit_ms = i == 2 ? 3000 : AD_PROXY_FIRST_TIMES * 3000;

        client = ask(i == 2 ? 0 : 1, i == 2 ? "" : "x");
        engine = accept_engine();
        (void)get(engine);
        if (i == 1) {
            put(engine, "HTTP/1.1 102 Processing\r\n\r\n");
        }
        advance(limit_ms - 1);
        housekeeping();
        CHECK_EQ(newest()->state, AD_PROXY_RUN);
        advance(1);
        housekeeping();
        CHECK_HAS(get(client), "HTTP/1.1 504 ");
        CHECK_HAS(get(engine), "EOF");
        (void)close(client);
        (void)close(engine);
    }
    /* Or takes nothing of the body. */
    client = ask(100000000, "");
    put(client, filled(AD_PROXY_PIECE_MAX, ""));
    engine = accept_engine();
    for (i = 0; i < 10000 && newest()->reads_client; i++) {
        put(client, filled(60000, ""));
    }
    advance(AD_PROXY_FIRST_TIMES * 3000 - 1);
    housekeeping();
    CHECK_EQ(newest()->state, AD_PROXY_RUN);
    advance(1);
    housekeeping();
    CHECK_HAS(get(client), "HTTP/1.1 504 ");
    (void)close(client);
    (void)close(engine);

    /* The engine's address does not answer: the poller is not asked here. */
    client = ask(1, "x");
    CHECK_EQ(newest()->state, AD_PROXY_CONNECT);
    advance(AD_CONNECT_MS);
    ad_proxy_housekeeping(newest());
    CHECK_HAS(get(client), "HTTP/1.1 502 ");
    (void)close(client);
    settle();
    (void)close(accept_engine());
    end_test();
}

/* A client must send its body at a least rate, once it had ten seconds. */
static void test_slow_upload(void)
{
    int client, engine;
    unsigned i;

    begin_test();
    client = ask(1000, "x");
    seconds(AD_PROXY_UPLOAD_GRACE_S);
    CHECK_EQ(newest()->state, AD_PROXY_ARRIVE);
    seconds(1);
    CHECK_HAS(get(client), "HTTP/1.1 408 ");
    CHECK_EQ(records("refused"), 1);
    (void)close(client);

    /* At the rate it goes on, below it loses its place at the engine. */
    client = ask(1000000, "");
    put(client, filled(AD_PROXY_RATE, ""));
    engine = accept_engine();
    CHECK_EQ(ad_proxying.n_running, 1);
    seconds(AD_PROXY_UPLOAD_GRACE_S);
    for (i = 1; i < 5; i++) {
        put(client, filled(AD_PROXY_RATE, ""));
        (void)get(engine);
        seconds(1);
        CHECK_EQ(newest()->state, AD_PROXY_RUN);
    }
    put(client, filled(AD_PROXY_RATE - 1, "")); /* it is one piece ahead */
    (void)get(engine);
    seconds(2);
    CHECK_HAS(get(client), "HTTP/1.1 408 ");
    CHECK_HAS(get(engine), "EOF");
    CHECK_EQ(ad_proxying.n_running, 0);
    (void)close(client);
    (void)close(engine);

    /* The time in the queue does not count. */
    ad_proxying.max_inflight = 0;
    client = ask(1000000, "");
    put(client, filled(AD_PROXY_RATE, ""));
    CHECK_EQ(newest()->state, AD_PROXY_QUEUED);
    seconds(100);
    CHECK_EQ(newest()->state, AD_PROXY_QUEUED);
    (void)close(client);

    /* Nor does the time in which the engine takes nothing. */
    ad_proxying.max_inflight = 1;
    client = ask(100000000, "");
    put(client, filled(AD_PROXY_RATE, ""));
    engine = accept_engine();
    for (i = 0; i < 10000 && newest()->reads_client; i++) {
        put(client, filled(60000, ""));
    }
    CHECK(!newest()->reads_client);
    seconds(100);
    CHECK_EQ(newest()->state, AD_PROXY_RUN);
    (void)close(client);
    settle();
    (void)close(engine);
    end_test();
}

/* A client must take its answer at a least rate, once it was blocked for 30
 * seconds. */
static void test_stall(void)
{
    static char block[60000], taken[AD_PROXY_RATE];
    int client, engine, small = 4096;
    struct ad_proxy *p;
    unsigned i;

    begin_test();
    client = ask(1, "x");
    p = newest();
    (void)setsockopt(p->client_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    engine = accept_engine();
    memset(block, 'x', sizeof(block) - 1);
    put(engine, HEAD "Content-Length: 100000000\r\n\r\n");
    for (i = 0; i < 10000 && p->to_client_len == 0; i++) {
        put(engine, block);
    }
    while (recv(engine, taken, 1, 0) > 0) { /* the rest of its request */
    }
    for (i = 0; i < 40; i++) { /* more is there whenever it takes some */
        (void)send(engine, block, sizeof(block) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    seconds(AD_PROXY_ANSWER_GRACE_S - 1);
    CHECK_EQ(p->state, AD_PROXY_RUN);
    CHECK(recv(client, taken, 8192, 0) > 0);
    settle();
    seconds(1);
    CHECK_EQ(p->state, AD_PROXY_RUN);
    seconds(2); /* two more at less than the rate */
    CHECK_EQ(p->state, AD_PROXY_FREE);
    CHECK_EQ(records("left"), 1);
    (void)close(client);
    (void)close(engine);
    end_test();
}

/* ---- the client's end ---------------------------------------------------------------- */

/* RFC 9112 9.6: a client may shut its sending side and wait for the answer. An
 * interim answer, or a zero before the next chunk's size, finds out whether it
 * still reads. */
static void test_half_close(void)
{
    int client, engine;

    begin_test();
    client = ask(1, "x");
    engine = accept_engine();
    (void)get(engine);
    CHECK(shutdown(client, SHUT_WR) == 0);
    CHECK_STR(get(client), "HTTP/1.1 100 Continue\r\n\r\n");
    CHECK_EQ(newest()->state, AD_PROXY_RUN);
    put(engine, HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
    CHECK_STR(get(client), HEAD "Transfer-Encoding: chunked\r\n"
                           "Connection: close\r\n\r\n2\r\nab\r\n");
    put(engine, "0\r\n\r\n");
    CHECK_STR(get(client), "0\r\n\r\nEOF");
    CHECK_EQ(ad_proxying.n, 0); /* nothing more to wait for */
    CHECK_EQ(records("finished"), 1);
    (void)close(client);
    (void)close(engine);

    client = ask(1, "x"); /* in mid-stream */
    engine = accept_engine();
    put(engine, HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
    CHECK_HAS(get(client), "2\r\nab\r\n");
    CHECK(shutdown(client, SHUT_WR) == 0);
    CHECK_STR(get(client), "0");
    put(engine, "2\r\ncd\r\n0\r\n\r\n");
    CHECK_STR(get(client), "2\r\ncd\r\n0\r\n\r\nEOF"); /* 02 is 2 */
    (void)close(client);
    (void)close(engine);

    client = ask(1, "x"); /* it closes: the engine stops at once */
    engine = accept_engine();
    (void)get(engine);
    (void)close(client);
    CHECK_STR(get(engine), "EOF");
    CHECK_EQ(records("left"), 1);
    (void)close(engine);

    client = ask(10, "x"); /* the rest of its body will never come */
    CHECK(shutdown(client, SHUT_WR) == 0);
    CHECK_HAS(get(client), "EOF");
    CHECK_EQ(ad_proxying.n, 0);
    CHECK_EQ(records("left"), 2);
    (void)close(client);
    end_test();
}

/* A client that does not read: interim answers wait, and come later. */
static void test_interim_blocked(void)
{
    static char noise[8000];
    int client, engine, small = 4096;
    ssize_t filled_len = 0, n;
    struct ad_proxy *p;

    begin_test();
    client = ask(1, "x");
    p = newest();
    engine = accept_engine();
    (void)get(engine);
    (void)setsockopt(p->client_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    while ((n = send(p->client_fd, noise, sizeof(noise), MSG_DONTWAIT)) > 0) {
        filled_len += n; /* nothing more goes in */
    }
    put(engine, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    CHECK(p->to_client_len > 0);
    settle(); /* comes to rest */
    while (filled_len > 0 && (n = recv(client, noise,
               filled_len < (ssize_t)sizeof(noise) ? (size_t)filled_len : sizeof(noise), 0)) > 0) {
        filled_len -= n;
        settle();
    }
    CHECK_STR(get(client), "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    put(engine, HEAD "Content-Length: 2\r\n\r\n{}");
    CHECK_HAS(get(client), "Content-Length: 2\r\n\r\n{}");
    CHECK_EQ(records("finished"), 1);
    (void)close(client);
    (void)close(engine);
    end_test();
}

/* A request that was refused says nothing of the model that answers. */
static void test_model_shown(void)
{
    int client, engine;

    begin_test();
    CHECK(ad_engine_add_model("alpha", false) && ad_engine_add_model("beta", false));
    ad_proxying.max_inflight = ad_proxying.queue = 0;
    client = ask(16, "{\"model\":\"beta\"}");
    CHECK_HAS(get(client), "HTTP/1.1 503 ");
    CHECK_STR(ad_model_name(), "alpha");
    CHECK_HAS(ad_records.ring[0].json, "\"model\":\"beta\"");
    (void)close(client);
    ad_proxying.max_inflight = 1;
    client = ask(16, "{\"model\":\"beta\"}");
    engine = accept_engine();
    put(engine, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
                "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
    CHECK_STR(ad_model_name(), "beta");
    (void)close(client);
    (void)close(engine);
    end_test();
}

/* ---- what viewers are told -------------------------------------------------- */

/* The longest record that there can be fits: each number has its most digits, each
 * character is escaped. */
static void test_longest_record(void)
{
    static struct ad_proxy p;
    char json[AD_RECORD_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));
    struct ad_scan *s = &p.scan;

    begin_test();
    memset(p.name, '"', AIDASH_MODEL_MAX);
    memset(p.request.route, '"', sizeof(p.request.route) - 1);
    memcpy(p.request.route + sizeof(p.request.route) - 12, "/completions", 12);
    p.request.route[sizeof(p.request.route) - 1] = '\0';
    memset(p.request.client, '\\', sizeof(p.request.client) - 1);
    p.id = p.counted = ad_feed.next = UINT64_MAX;
    p.start_ns = p.arrived_ns = p.sent_ns = 1;
    p.first_ns = p.thought_ns = UINT64_MAX / 2 + 1;
    p.last_ns = UINT64_MAX;
    p.start_us = UINT64_MAX;
    ad_histogram_add(&p.itl, UINT64_MAX, 1);
    s->ended = s->failed = s->has_prompt = s->has_cached = s->has_reasoning = true;
    s->has_timings = s->has_audio = s->error_kept = s->partial = true;
    s->status = 599;
    s->dialect = "openai-responses";
    s->incomplete = AD_INCOMPLETE_DEPTH;
    s->tokens = s->token_events = s->reasoning_tokens = UINT64_MAX;
    s->prompt_tokens = s->cached_tokens = s->told_write = UINT64_MAX;
    s->draft_tokens = s->draft_accepted = UINT64_MAX;
    s->load_ms = s->prompt_ms = s->predicted_ms = s->total_ms = 999999999.999;
    s->audio_ms = 0.001;
    s->prompt_per_s = s->predicted_per_s = 9999999.999;
    memset(s->finish, '"', AD_SCAN_FINISH_MAX);
    memset(s->error, '"', AD_SCAN_ERROR_MAX);
    p.request.bench = p.prompt_cut = p.cache_broke = true;
    p.context = UINT64_MAX;
    p.answer.status = 101; /* no WebSocket has all of this, but none has more */
    p.uploaded = p.passed = UINT64_MAX;
    ad_put_record(&t, &p, "finished");
    CHECK(!t.full);
    json[t.len < sizeof(json) ? t.len : sizeof(json) - 1] = '\0';
    CHECK_HAS(json, "\"bench\":true");
    CHECK_HAS(json, "\"context_length\":");
    CHECK_HAS(json, "\"bytes_sent\":18446744073709551615");
    CHECK_HAS(json, "\"cache_broke\":true");
    t = ad_text_in(json, sizeof(json));
    ad_put_record(&t, &p, "refused");
    CHECK(!t.full);
    CHECK(ad_json_fault(t.at, t.len) == AD_FAULT_NONE);
    printf("the longest record has %zu bytes of %d\n", t.len, (int)AD_RECORD_MAX);
    ad_feed_init();
    end_test();
}

static const char *newest_record(void)
{
    static char text[AD_RECORD_MAX + 1];
    const struct ad_record *r = &ad_records.ring[(ad_records.count - 1) %
                                                 AIDASH_RECORDS];

    memcpy(text, r->json, r->len);
    text[r->len] = '\0';
    return text;
}

#define STREAM "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
#define EVENT "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"

/* Who ended a request that did not finish, and what was said. */
static void test_ended_by(void)
{
    static const struct {
        const char *answer, *status, *has;
    } rows[] = {
        {STREAM EVENT "data: [DONE]\n\n", "finished", ",\"http_status\":200,"
                                                      "\"counts\":"},
        {STREAM EVENT, "cut", ",\"ended_by\":\"engine\",\"counts\":"},
        {STREAM EVENT "event: error\ndata: {\"message\":\"out of \\\"memory\"}\n\n",
         "failed", ",\"ended_by\":\"engine\",\"error\":\"out of \\\"memory\","},
        {STREAM "data: {\"text\":\"a\"}\n\n", "finished", ""}, /* no API */
        {HEAD "\r\n{\"choices\":[{\"message\":{", "cut", ""},
        {HEAD "\r\n{\"response\":\"a\",\"done\":false}\n", "cut", ""},
        {"HTTP/1.1 400 Bad Request\r\n\r\n{\"error\":\"no such model\"}", "refused",
         ",\"http_status\":400,\"ended_by\":\"engine\",\"error\":\"no such model\","
         "\"counts\":\"none\""},
        {"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
         "\ndata is not there\n{}", "refused", ",\"error\":\"data is not there\",\"counts\""},
        {"HTTP/1.1 500 No\r\nContent-Type: text/plain\r\n\r\nno model", "failed",
         ",\"error\":\"no model\",\"counts\":\"none\""},
        {"HTTP/1.1 500 No\r\nContent-Type: text/html\r\n\r\n<p>no model", "failed",
         "\"ended_by\":\"engine\",\"counts\":\"none\""},
        {"HTTP/1.1 503 Busy\r\n\r\n{\"error\":{\"message\":\"Loading model\"}}",
         "failed", ",\"error\":\"Loading model\","},
        {"", "failed", ",\"http_status\":502,\"ended_by\":\"engine\",\"error\":\"the "
                       "engine closed the connection without an answer\""},
    };
    int client, engine;
    unsigned i;

    begin_test();
    for (i = 0; i < AD_COUNT(rows); i++) {
        char status[32];

        client = ask(1, "x");
        engine = accept_engine();
        (void)get(engine);
        if (rows[i].answer[0] != '\0') {
            put(engine, rows[i].answer);
        }
        (void)close(engine);
        (void)get(client);
        (void)close(client);
        settle();
        (void)snprintf(status, sizeof(status), "\"status\":\"%s\"",
                       rows[i].status);
        CHECK_EQ(ad_records.count, i + 1);
        CHECK_HAS(newest_record(), status);
        CHECK_HAS(newest_record(), rows[i].has);
    }
    client = ask(1, "x"); /* the client leaves */
    engine = accept_engine();
    (void)close(client);
    settle();
    CHECK_HAS(newest_record(), "\"ended_by\":\"client\"");
    (void)close(engine);
    client = ask(1, "x"); /* a viewer cancels */
    engine = accept_engine();
    CHECK(ad_proxy_cancel(newest()->id));
    CHECK_HAS(newest_record(), "\"status\":\"cut\"");
    CHECK_HAS(newest_record(), "\"ended_by\":\"viewer\"");
    CHECK_HAS(newest_record(), "\"error\":\"cancelled at the dashboard\"");
    (void)close(client);
    (void)close(engine);
    ad_proxying.max_inflight = ad_proxying.queue = 0; /* the queue is full */
    client = ask(1, "x");
    CHECK_HAS(newest_record(), "\"http_status\":503,\"ended_by\":\"aidash\","
                               "\"error\":\"the queue is full (0 waiting)\"");
    (void)close(client);
    end_test();
}

/* The count of a model never falls by more than was counted too many before. */
static void test_reconcile(void)
{
    int client, engine;
    unsigned i;

    begin_test();
    ad_ticks_init();
    for (i = 0; i < 2; i++) {
        client = ask(1, "x");
        engine = accept_engine();
        (void)get(engine);
        put(engine, STREAM EVENT EVENT EVENT);
        CHECK_EQ(ad_ticks.series[0].tokens, i == 0 ? 3 : 5);
        put(engine, i == 0 ? "data: {\"choices\":[],\"usage\":{"
                             "\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n"
                             "data: [DONE]\n\n"
                           : "data: {\"choices\":[],\"usage\":{"
                             "\"prompt_tokens\":-1,\"completion_tokens\":1e300}}\n\n"
                             "data: [DONE]\n\n");
        (void)close(engine);
        (void)get(client);
        (void)close(client);
        settle();
        CHECK_EQ(ad_ticks.series[0].tokens, i == 0 ? 2 : 5);
        CHECK_HAS(newest_record(), i == 0 ? "\"counts\":\"exact\""
                                          : "\"counts\":\"estimated\","
                                            "\"counts_reason\":\"not_told\"");
    }
    end_test();
}

/* A running request is told at its first token, and then once a second: with its
 * tokens, or when it has none. */
static void test_running_told(void)
{
    uint64_t told;
    int client, engine;
    unsigned i;

    begin_test();
    client = ask(1, "x");
    engine = accept_engine();
    told = newest()->told_seq;
    put(engine, STREAM);
    CHECK_EQ(newest()->told_seq, told);
    put(engine, EVENT);
    CHECK(newest()->told_seq > told);
    told = newest()->told_seq;
    for (i = 0; i < 9; i++) { /* 900 ms */
        advance(100);
        put(engine, EVENT);
    }
    CHECK_EQ(newest()->told_seq, told);
    advance(100);
    put(engine, EVENT);
    CHECK(newest()->told_seq > told);
    told = newest()->told_seq;
    advance(999);
    housekeeping();
    CHECK_EQ(newest()->told_seq, told);
    advance(1);
    housekeeping();
    CHECK(newest()->told_seq > told);
    (void)close(client);
    (void)close(engine);
    end_test();
}

int main(void)
{
    test_relay();
    test_connection_ends();
    test_late_reader();
    test_short_body();
    test_long_body();
    test_chunks();
    test_unreachable();
    test_never_connects();
    test_rewrite();
    test_rewrite_late();
    test_rewrite_no_object();
    test_rewrite_buffers();
    test_rewrite_buffers_of_address();
    test_rewrite_buffer_lent();
    test_admission_order();
    test_pause();
    test_slots();
    test_slots_of_addresses();
    test_queue_of_addresses();
    test_stale_events();
    test_silent_clients();
    test_surplus();
    test_long_head();
    test_cancel();
    test_drain();
    test_upload_lends_place();
    test_upload_keeps_place();
    test_upload_held();
    test_upload_held_in_buffer();
    test_upload_limit();
    test_time_limits();
    test_slow_upload();
    test_stall();
    test_half_close();
    test_interim_blocked();
    test_model_shown();
    test_longest_record();
    test_ended_by();
    test_reconcile();
    test_running_told();
    return check_report();
}
