/* Paths of the program's own: which may be, their table at its edges, entity-tags; who
 * waits for the thread, who is called next; the thread's answers, with a hub that is
 * the test. tests/e2e/library-routes.native.test.mjs has the whole. */
#define AIDASH_PENDING 16
#define AIDASH_ROUTES 3
#define AIDASH_ROUTE_BYTES 1024
#include "../src/web/own_routes.c"
#include "check.h"

static void ad_civetweb_queue(int fd, const struct sockaddr_storage *peer)
{
    (void)fd;
    (void)peer;
}

static void begin(void)
{
    memset(&ad_hub, 0, sizeof(ad_hub));
    memset(&ad_own_routes, 0, sizeof(ad_own_routes));
    ad_feed_init();
    ad_events_init();
    ad_engine_init();
    ad_clients_init();
    ad_pending_init();
    CHECK(ad_hub_open() == NULL);
    ad_hub_clock();
}

static void end(void)
{
    ad_pending_close();
    ad_caller_stop();
    CHECK_EQ(ad_thread_life(&ad_caller.thread), AD_THREAD_NONE);
    ad_hub_close();
}

static void test_paths(void)
{
    static const char *const good[] = {
        "/", "/a", "/a/b.c", "/a/", "/...", "/a/.b", "/a/..b", "/~!$&'()*+,;=:@-_.",
        "/pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp"};
    static const char *const bad[] = {
        "", "a", "a/b", "//", "/a//b", "/.", "/..", "/./a", "/../a", "/a/./b", "/a/../b",
        "/a/.", "/a/..", "/a?", "/a#b", "/a%20b", "/a b", "/a\\b", "/a\r", "/\xc3\xa9",
        "/ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp"};
    size_t i;

    for (i = 0; i < AD_COUNT(good); i++) {
        CHECK(strlen(good[i]) <= AIDASH_PATH_MAX);
        CHECK(ad_own_path_problem(good[i]) == NULL);
    }
    for (i = 0; i < AD_COUNT(bad); i++) {
        CHECK(ad_own_path_problem(bad[i]) != NULL);
    }
}

static int answer(const struct aidash_visit *visit, void *user)
{
    char piece[100];
    int i, rc = 0;

    memset(piece, 'x', sizeof(piece));
    CHECK_EQ(ad_caller_reply(visit + 1, "x", 1), AIDASH_EINVAL);
    CHECK_EQ(ad_caller_reply(visit, NULL, 1), AIDASH_EINVAL);
    CHECK_EQ(ad_caller_reply(visit, NULL, 0), 0);
    for (i = 0; i < *(int *)user && rc == 0; i++) {
        rc = ad_caller_reply(visit, piece, sizeof(piece));
    }
    CHECK_EQ(rc, *(int *)user > 10 ? AIDASH_EFULL : 0);
    return 200;
}

static struct ad_own_route route(const char *path, int *pieces)
{
    struct ad_own_route r;

    memset(&r, 0, sizeof(r));
    (void)snprintf(r.path, sizeof(r.path), "%s", path);
    (void)snprintf(r.type, sizeof(r.type), "text/plain");
    r.right = AD_MAY_VIEW;
    r.answer = answer;
    r.user = pieces;
    return r;
}

static void test_table(void)
{
    struct ad_own_route r = route("/a", NULL);
    unsigned right = 0;
    char etag[AD_OWN_ETAG_MAX];

    begin();
    CHECK(!ad_own_route_has(ad_slice_of("/a"), &right));
    CHECK(ad_own_route_add(&r));
    r.right = AD_MAY_CONTROL;
    CHECK(ad_own_route_add(&r)); /* replaced */
    CHECK_EQ(ad_own_routes.n, 1);
    CHECK(ad_own_route_has(ad_slice_of("/a"), &right));
    CHECK_EQ(right, AD_MAY_CONTROL);
    CHECK(!ad_own_route_has(ad_slice_of("/"), &right));
    CHECK(!ad_own_route_has(ad_slice_of("/ab"), &right));
    r = route("/b", NULL);
    CHECK(ad_own_route_add(&r));
    r = route("/c", NULL);
    CHECK(ad_own_route_add(&r));
    r = route("/d", NULL);
    CHECK(!ad_own_route_add(&r));
    CHECK_EQ(ad_own_routes.n, AIDASH_ROUTES);
    /* The first 8 bytes of SHA-256 of "abc" (FIPS 180-4) */
    ad_own_etag("abc", 3, etag);
    CHECK(strcmp(etag, "\"ba7816bf8f01cfea\"") == 0);
    end();
}

/* A connection of this address, whose request waits for route `index`. Returns the
 * client's end. */
static int wait_for(uint64_t address, unsigned index)
{
    struct sockaddr_storage peer;
    struct ad_pending *p = ad_pending_place();
    static const char text[] = "Cache-Control: no-store\r\n\0a=b";
    int pair[2];

    CHECK(p != NULL && ad_socket_pair(pair));
    memset(&peer, 0, sizeof(peer));
    peer.ss_family = AF_INET;
    (void)ad_peer_open(address);
    ad_pending_begin(p, pair[0], address, &peer, false);
    memset(&p->who, 0, sizeof(p->who));
    p->cursor = index;
    memcpy(ad_pending_buffer(p), text, sizeof(text));
    ad_pending_enter(p, AD_PENDING_CALLING);
    return pair[1];
}

static void test_turns(void)
{
    int fds[AIDASH_PENDING];
    unsigned i;

    begin();
    CHECK(ad_caller_next() == NULL);
    for (i = 0; i < AD_CALLER_WAITING_EACH; i++) {
        CHECK(ad_caller_room(1));
        fds[i] = wait_for(1, 0);
    }
    CHECK(!ad_caller_room(1));
    CHECK(ad_caller_room(2)); /* another address is let in */
    for (; i < AD_CALLER_WAITING; i++) {
        fds[i] = wait_for(2, 0);
    }
    CHECK(!ad_caller_room(3));
    ad_caller.address = 1;
    CHECK_EQ(ad_caller_next()->address, 2);
    ad_caller.address = 2;
    CHECK_EQ(ad_caller_next()->address, 1);
    for (i = 0; i < AD_CALLER_WAITING; i++) {
        (void)close(fds[i]);
    }
    end();
}

/* Let the hub's part run until the client's end has an answer and its end. */
static void take(int fd, char *out, size_t cap)
{
    size_t len = 0;
    ssize_t n = 1;

    while (n != 0) {
        struct ad_ready ready[AD_READY_MAX];
        unsigned i, ends;

        ad_caller_run();
        ends = ad_poll_wait(ad_hub.now_ns + AD_NS_PER_S / 100, ready);
        ad_hub_clock();
        for (i = 0; i < ends; i++) {
            if (ready[i].tag == AD_TAG_WORKER) {
                ad_worker_event(&ad_pending[ready[i].index]);
            }
        }
        n = recv(fd, out + len, cap - len - 1, 0);
        if (n > 0) {
            len += (size_t)n;
        }
    }
    out[len] = '\0';
}

static void test_thread(void)
{
    static int few = 10, many = 11;
    struct ad_own_route r = route("/few", &few);
    char got[4096];
    int fds[2];

    begin();
    CHECK(ad_caller_start()); /* no callback, no thread */
    CHECK_EQ(ad_thread_life(&ad_caller.thread), AD_THREAD_NONE);
    CHECK(ad_own_route_add(&r));
    r = route("/many", &many);
    CHECK(ad_own_route_add(&r));
    CHECK(ad_caller_start());
    CHECK_EQ(ad_thread_life(&ad_caller.thread), AD_THREAD_RUNS);
    fds[0] = wait_for(1, 0);
    fds[1] = wait_for(1, 1);
    take(fds[0], got, sizeof(got));
    CHECK(strncmp(got, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n", 65) == 0);
    CHECK(strstr(got, "Cache-Control: no-store\r\n\r\nxxx") != NULL);
    take(fds[1], got, sizeof(got));
    CHECK(strncmp(got, "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n", 68) == 0);
    CHECK(strstr(got, "longer than AIDASH_ROUTE_BYTES") != NULL);
    CHECK_EQ(ad_caller_reply(&ad_caller.visit, "x", 1), AIDASH_EINVAL);
    (void)close(fds[0]);
    (void)close(fds[1]);
    end();
}

int main(void)
{
    test_paths();
    test_table();
    test_turns();
    test_thread();
    return check_report();
}
