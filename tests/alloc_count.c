/* alloc_count.c - nothing is allocated after the start.
 *
 * Replaces the C library's allocator by one that counts, starts aidash, drives
 * a million ticks through it, and gauges, notes, requests and the like, while
 * viewers of every kind connect, lag, ask and leave, and expects the count to stay
 * at zero. The test's own side is raw sockets and static buffers, so every call
 * counted is the server's.
 *
 * usage: alloc_count [TICKS]
 */
#define _GNU_SOURCE
#include "../aidash.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the allocator ------------------------------------------------------- */

#define HEAP_BYTES (64u << 20)
#define ALIGNMENT alignof(max_align_t)

static alignas(64) unsigned char heap[HEAP_BYTES];
static _Atomic size_t heap_used;
static _Atomic unsigned long calls;

/* A block of the heap, after a word with its size. Never reused. */
static void *take(size_t alignment, size_t size)
{
    size_t need = size + alignment + ALIGNMENT;
    size_t at;
    uintptr_t p;

    atomic_fetch_add(&calls, 1);
    if (size > HEAP_BYTES || atomic_load(&heap_used) > HEAP_BYTES - need) {
        errno = ENOMEM;
        return NULL;
    }
    at = atomic_fetch_add(&heap_used, need);
    p = ((uintptr_t)heap + at + ALIGNMENT + alignment - 1) &
        ~(uintptr_t)(alignment - 1);
    memcpy((void *)(p - sizeof(size)), &size, sizeof(size));
    return (void *)p;
}

void *malloc(size_t size)
{
    return take(ALIGNMENT, size);
}

void *calloc(size_t n, size_t size)
{
    if (size != 0 && n > HEAP_BYTES / size) {
        errno = ENOMEM;
        return NULL;
    }
    return take(ALIGNMENT, n * size); /* fresh, so zero */
}

void *realloc(void *old, size_t size)
{
    void *p = take(ALIGNMENT, size);

    if (p && old) {
        size_t old_size;

        memcpy(&old_size, (unsigned char *)old - sizeof(old_size),
               sizeof(old_size));
        memcpy(p, old, old_size < size ? old_size : size);
    }
    return p;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return take(alignment < ALIGNMENT ? ALIGNMENT : alignment, size);
}

int posix_memalign(void **p, size_t alignment, size_t size)
{
    *p = aligned_alloc(alignment, size);
    return *p ? 0 : ENOMEM;
}

void free(void *p)
{
    if (p) {
        atomic_fetch_add(&calls, 1);
    }
}

/* ---- checks -------------------------------------------------------------- */

static _Atomic unsigned passed;
static _Atomic unsigned failed;

static void check(int ok, const char *what, unsigned long got)
{
    if (ok) {
        passed++;
    } else {
        failed++;
        printf("alloc_count: FAILED: %s (got %lu)\n", what, got);
    }
}

/* ---- the engine ---------------------------------------------------------- */

#define CHUNK 256 /* below the inbox's size, so that no tick is lost */
#define PEERS 48  /* connections held open at a time */
#define STEPS_MIN (4 * PEERS)

static unsigned long ticks = 1000000;
static _Atomic unsigned long steps; /* taken by the viewers */
static _Atomic int done;

static void must(int ok, const char *what, unsigned long got)
{
    if (!ok) {
        check(0, what, got);
    }
}

/* What the engine's side says beside its ticks, once for each chunk of them. Its
 * request is a tick. */
static void lead(unsigned long chunk)
{
    struct aidash_request request = {.client = "door camera", .route = "describe"};
    uint64_t id = aidash_request_begin(&request);
    int rc = aidash_note(AIDASH_LOG_INFO, "a chunk");

    must(id != 0 && aidash_request_progress(id, 1) == 0 &&
             aidash_request_end(id, AIDASH_FINISHED, NULL) == 0,
         "a request is taken", chunk);
    must(aidash_gauge("chunk", "", (double)chunk) == 0, "a gauge is taken", chunk);
    must(rc == 0 || rc == AIDASH_EFULL, "a note is taken, or waits", chunk);
    rc = aidash_set_state(AIDASH_STATE_RUNNING, chunk % 2 == 0 ? "even" : "odd");
    must(rc == 0 || rc == AIDASH_EFULL, "a state is taken, or waits", chunk);
    must(aidash_set_models("llama3,mistral", chunk % 2 == 0 ? "llama3" : "mistral") ==
                 0 &&
             aidash_command_add("c", AIDASH_NUMBER, 0, 1e9, (double)chunk, NULL) == 0,
         "models and commands are taken", chunk);
}

/* Publish all the ticks, and more until the viewers have done their part. Each
 * chunk goes when the hub has taken the one before. */
static void *engine(void *arg)
{
    static const char *const models[] = {"llama3", "mistral"};
    struct aidash_tick tick = {0};
    struct aidash_stats stats;
    unsigned long chunks = 0;

    (void)arg;
    for (unsigned long i = 0; i < ticks || atomic_load(&steps) < STEPS_MIN;) {
        lead(chunks++);
        for (unsigned long end = i + CHUNK; i < end; i++) {
            tick.model = models[i % 2];
            tick.node = i % 3 == 0 ? "pi-2" : NULL;
            tick.tokens = i % 5 + 1;
            tick.latency_ms = 20.5;
            if (aidash_publish(&tick) != 0) {
                check(0, "a tick is taken", i);
            }
        }
        do {
            if (aidash_get_stats(&stats) != 0) {
                check(0, "the statistics are given", i);
                break;
            }
        } while (stats.ticks + stats.inbox_dropped < i + chunks);
    }
    atomic_store(&done, 1);
    return NULL;
}

/* ---- the viewers --------------------------------------------------------- */

static int peers[PEERS];
static unsigned long upgraded; /* WebSocket handshakes that were answered */
static unsigned long answered; /* plain requests that were */

static int dial(int rcvbuf)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    struct timeval limit = {10, 0};
    int s = socket(AF_INET, SOCK_STREAM, 0);

    a.sin_port = htons((uint16_t)aidash_port(0));
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (rcvbuf > 0) {
        setsockopt(s, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
    }
    if (connect(s, (struct sockaddr *)&a, sizeof(a)) != 0) {
        close(s);
        return -1;
    }
    return s;
}

/* Send a request and tell whether the answer begins with the given status. */
static int ask(int s, const char *request, const char *status)
{
    char answer[16];
    size_t len = strlen(status);

    return send(s, request, strlen(request), MSG_NOSIGNAL) > 0 &&
           recv(s, answer, len, MSG_WAITALL) == (ssize_t)len &&
           memcmp(answer, status, len) == 0;
}

static int dial_websocket(int rcvbuf, const char *query)
{
    char request[256];
    int s = dial(rcvbuf);

    snprintf(request, sizeof(request),
             "GET /ws/a%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", query);
    upgraded += (unsigned long)ask(s, request, "HTTP/1.1 101");
    return s;
}

static void dial_once(const char *request)
{
    static char rest[65536];
    int s = dial(0);

    answered += (unsigned long)ask(s, request, "HTTP/1.1 200");
    while (recv(s, rest, sizeof(rest), 0) > 0) {
    }
    close(s);
}

/* A masked text frame with an all-zero mask, RFC 6455 5.2. */
static void send_text(int s, const char *text)
{
    unsigned char frame[6 + 125] = {0x81, 0x80};
    size_t len = strlen(text);

    frame[1] = (unsigned char)(0x80 | len);
    memcpy(frame + 6, text, len);
    send(s, frame, 6 + len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void drop(int *s, int reset)
{
    struct linger now = {1, 0};

    if (*s >= 0 && reset) {
        setsockopt(*s, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
    if (*s >= 0) {
        close(*s);
    }
    *s = -1;
}

/* One more arrival, and one departure once all places are taken. Every fourth
 * place is a lagging one: it never reads, and has a small window. */
static void one_step(unsigned long step)
{
    static const unsigned char bye[] = {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8};
    static char sink[65536];
    unsigned at = (unsigned)(step % PEERS);
    int lagging = at % 4 == 3;

    if (peers[at] >= 0 && at % 3 == 0) {
        send(peers[at], bye, sizeof(bye), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    drop(&peers[at], at % 3 == 1);
    if (at % 8 == 6) {
        peers[at] = dial(0); /* /events */
        answered += (unsigned long)ask(
            peers[at], "GET /events HTTP/1.1\r\nHost: x\r\n\r\n",
            "HTTP/1.1 200");
    } else {
        peers[at] = dial_websocket(lagging ? 4096 : 0,
                                   at % 5 == 0 ? "?batch=1" : "");
    }
    switch (step % 8) {
    case 0:
        dial_once("GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
        break;
    case 1:
        dial_once("GET /ticks?last=100 HTTP/1.1\r\nHost: x\r\n\r\n");
        break;
    case 2:
        send_text(peers[at], "{\"action\":\"switch_model\","
                             "\"model\":\"mistral\",\"id\":1}");
        break;
    case 3:
        send_text(peers[at], "{\"action\":");
        break;
    case 4: /* leaves in the middle of its request */
        close(dial(0));
        break;
    case 5:
        dial_once("POST /ingest HTTP/1.1\r\nHost: x\r\n"
                  "Content-Length: 16\r\n\r\n{\"latency_ms\":1}");
        break;
    default:
        break;
    }
    for (unsigned i = 0; i < PEERS; i++) {
        if (i % 4 != 3 && peers[i] >= 0) {
            while (recv(peers[i], sink, sizeof(sink), MSG_DONTWAIT) ==
                   (ssize_t)sizeof(sink)) {
            }
        }
    }
}

int main(int argc, char **argv)
{
    struct aidash_config config = {0};
    struct aidash_stats stats;
    unsigned long before;
    pthread_t thread;
    void *volatile probe;

    if (argc > 1) {
        ticks = strtoul(argv[1], NULL, 10);
    }
    before = atomic_load(&calls);
    probe = malloc(1);
    free(probe);
    check(atomic_load(&calls) == before + 2, "the allocator counts",
          atomic_load(&calls) - before);

    for (unsigned i = 0; i < PEERS; i++) {
        peers[i] = -1;
    }
    config.listen = "127.0.0.1:0";
    config.models = "llama3,mistral";
    config.log_level = AIDASH_LOG_ERROR;
    if (aidash_start(&config) != 0) {
        printf("alloc_count: %s\n", aidash_last_error());
        return 1;
    }
    if (pthread_create(&thread, NULL, engine, NULL) != 0) {
        return 1;
    }
    before = atomic_load(&calls);
    while (!atomic_load(&done)) {
        one_step(atomic_load(&steps));
        atomic_fetch_add(&steps, 1);
    }
    check(atomic_load(&calls) == before, "no allocation after the start",
          atomic_load(&calls) - before);

    pthread_join(thread, NULL);
    check(aidash_get_stats(&stats) == 0, "the statistics are given", 0);
    check(stats.inbox_dropped == 0, "the hub kept up with the engine",
          (unsigned long)stats.inbox_dropped);
    check(stats.ticks >= ticks, "every tick became an event",
          (unsigned long)stats.ticks);
    check(stats.dropped > 0, "viewers lagged", (unsigned long)stats.dropped);
    check(upgraded >= PEERS, "viewers connected and left", upgraded);
    check(answered >= PEERS / 4, "requests were answered", answered);
    for (unsigned i = 0; i < PEERS; i++) {
        drop(&peers[i], 0);
    }
    aidash_stop();
    printf("alloc_count: %lu ticks, %lu viewers, %lu requests\n",
           (unsigned long)stats.ticks, upgraded, answered);
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
