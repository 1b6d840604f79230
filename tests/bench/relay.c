/* relay.c - an engine and its clients, with a proxy between them that is measured.
 *
 * usage: relay --engine PORT [--proxy PORT] [--streams N] [--rate HZ]
 *              [--warmup S] [--seconds S] [--pid PROXY]
 *
 * Listens on 127.0.0.1:PORT as an engine, and opens N requests to the proxy, or,
 * without --proxy, to itself. Each answer is a stream of token events, HZ a second,
 * in the form of OpenAI's chat chunks; the streams take turns, evenly spread. Each
 * event has the time at which it was written. Its latency is the time after the read
 * that brought it, less that. With --pid it also reads the proxy's CPU clock at both
 * ends of the window. Prints one line of JSON. One thread, one epoll: it does little
 * beside the system calls, so that the proxy has the other core for itself.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STREAMS_MAX 1000
#define CONNECTIONS_MAX 4096 /* descriptors */
#define EVENTS_MAX (4 * 1000 * 1000)
#define NS 1000000000ull

enum kind { FREE, LISTENER, ENGINE, CLIENT };

static struct connection {
    enum kind kind;
    char head[512]; /* of the request: its begin */
    size_t head_len;
    int streams;      /* ENGINE: it sends events */
    unsigned matched; /* CLIENT: bytes of the mark that were read */
    uint64_t number;  /* the time behind the mark, as far as it was read */
    int in_number;
} connections[CONNECTIONS_MAX];

static int engines[STREAMS_MAX]; /* descriptors of those that stream */
static unsigned n_engines;
static uint32_t latencies[EVENTS_MAX]; /* ns / 100 */
static uint64_t n_events, sent, missed;
static uint64_t counted_from; /* when the window began; 0: not yet */
static int ready;
static int epoll_fd;

static const char mark[] = "\"t\":";

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void add(int fd, enum kind kind)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    int on = 1;

    if (fd >= CONNECTIONS_MAX) {
        errno = EMFILE;
        fail("relay");
    }
    memset(&connections[fd], 0, sizeof(connections[fd]));
    connections[fd].kind = kind;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        fail("epoll_ctl");
    }
}

static void drop(int fd)
{
    unsigned i;

    for (i = 0; i < n_engines; i++) {
        if (engines[i] == fd) {
            engines[i] = engines[--n_engines];
        }
    }
    connections[fd].kind = FREE;
    (void)close(fd);
}

static void say(int fd, const char *text, size_t len)
{
    if (send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len) {
        missed++;
    }
}

/* A request to the engine: a GET asks for the list of models, a POST for a stream. */
static void on_engine(int fd)
{
    static const char list[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        "Content-Length: 49\r\n\r\n"
        "{\"object\":\"list\",\"data\":[{\"id\":\"m\",\"x\":\"0123456\"}]}";
    static const char stream[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        "Transfer-Encoding: chunked\r\n\r\n";
    struct connection *c = &connections[fd];
    char bytes[4096];
    ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) {
            drop(fd);
        }
        return;
    }
    if (c->streams != 0 || c->head_len + (size_t)n >= sizeof(c->head)) {
        return;
    }
    memcpy(c->head + c->head_len, bytes, (size_t)n);
    c->head_len += (size_t)n;
    c->head[c->head_len] = '\0';
    if (strncmp(c->head, "GET", 3) == 0 && strstr(c->head, "\r\n\r\n") != NULL) {
        say(fd, list, sizeof(list) - 1);
        (void)shutdown(fd, SHUT_WR);
    } else if (strstr(c->head, "{\"stream\":true}") != NULL) {
        c->streams = 1;
        engines[n_engines++] = fd;
        say(fd, stream, sizeof(stream) - 1);
    }
}

/* What a client got: the time of each event in it. */
static void on_client(int fd)
{
    struct connection *c = &connections[fd];
    static char bytes[65536];
    ssize_t i, n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    uint64_t at = now_ns();

    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) {
            (void)fprintf(stderr, "relay: a client's connection ended\n");
            exit(1);
        }
        return;
    }
    for (i = 0; i < n; i++) {
        char b = bytes[i];

        if (c->in_number) {
            if (b >= '0' && b <= '9') {
                c->number = c->number * 10 + (uint64_t)(b - '0');
                continue;
            }
            c->in_number = 0;
            if (counted_from > 0 && c->number >= counted_from &&
                n_events < EVENTS_MAX) {
                uint64_t late = (at - c->number) / 100;

                latencies[n_events++] = late > UINT32_MAX ? UINT32_MAX : (uint32_t)late;
            } else if (c->number == 1) {
                ready++;
            }
        }
        c->matched = b == mark[c->matched] ? c->matched + 1 : b == mark[0];
        if (c->matched == sizeof(mark) - 1) {
            c->matched = 0;
            c->in_number = 1;
            c->number = 0;
        }
    }
}

/* Send an event with this time; 1: the first, which says that the stream stands. */
static void emit(int fd, uint64_t at)
{
    char data[512], out[600];
    int n = snprintf(data, sizeof(data),
                     "data: {\"id\":\"chatcmpl-AbCdEfGhIjKlMnOpQrSt\",\"object\":"
                     "\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\","
                     "\"system_fingerprint\":\"b1\",\"choices\":[{\"index\":0,"
                     "\"delta\":{\"content\":\" word\"},\"finish_reason\":null}],"
                     "\"t\":%llu}\n\n", (unsigned long long)at);

    n = snprintf(out, sizeof(out), "%x\r\n%s\r\n", (unsigned)n, data);
    say(fd, out, (size_t)n);
}

static int listen_on(unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
        listen(fd, 1024) != 0) {
        fail("relay: the engine's port");
    }
    return fd;
}

static void ask(unsigned port)
{
    static const char request[] =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Content-Type: application/json\r\nContent-Length: 15\r\n\r\n"
        "{\"stream\":true}";
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        fail("relay: the proxy");
    }
    add(fd, CLIENT);
    say(fd, request, sizeof(request) - 1);
}

/* Handle what comes until the time `until`. */
static void turn(uint64_t until)
{
    struct epoll_event events[64];
    uint64_t now = now_ns();
    struct timespec wait = {0, 0};
    int i, n;

    if (until > now) {
        wait.tv_sec = (time_t)((until - now) / NS);
        wait.tv_nsec = (long)((until - now) % NS);
    }
    n = epoll_pwait2(epoll_fd, events, 64, &wait, NULL);
    for (i = 0; i < n; i++) {
        int fd = events[i].data.fd;

        if (connections[fd].kind == LISTENER) {
            int got = accept4(fd, NULL, NULL, SOCK_NONBLOCK);

            if (got >= 0) {
                add(got, ENGINE);
            }
        } else if (connections[fd].kind == ENGINE) {
            on_engine(fd);
        } else if (connections[fd].kind == CLIENT) {
            on_client(fd);
        }
    }
}

static uint64_t cpu_ns(clockid_t clock)
{
    struct timespec t = {0, 0};

    (void)clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static double percentile_us(double part)
{
    return n_events == 0 ? 0 : latencies[(uint64_t)((double)(n_events - 1) * part)] / 10.0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"engine", 1, NULL, 'e'}, {"proxy", 1, NULL, 'p'}, {"streams", 1, NULL, 'n'},
        {"rate", 1, NULL, 'r'}, {"warmup", 1, NULL, 'w'}, {"seconds", 1, NULL, 's'},
        {"pid", 1, NULL, 'i'}, {NULL, 0, NULL, 0}};
    unsigned engine = 0, proxy = 0, streams = 8, i = 0;
    double rate = 50, warmup = 0.5, seconds = 3;
    uint64_t begin, end, due, step, patience, cpu = 0;
    clockid_t clock = 0;
    int option, pid = 0;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'e': engine = (unsigned)atoi(optarg); break;
        case 'p': proxy = (unsigned)atoi(optarg); break;
        case 'n': streams = (unsigned)atoi(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 'w': warmup = atof(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'i': pid = atoi(optarg); break;
        default: return 2;
        }
    }
    if (engine == 0 || streams < 1 || streams > STREAMS_MAX || !(rate > 0)) {
        return 2;
    }
    if (pid > 0 && clock_getcpuclockid(pid, &clock) != 0) {
        fail("relay: --pid");
    }
    epoll_fd = epoll_create1(0);
    add(listen_on(engine), LISTENER);
    patience = now_ns() + 10 * NS;
    for (i = 0; i < streams; i++) {
        ask(proxy > 0 ? proxy : engine);
        while (n_engines <= i && now_ns() < patience) {
            turn(now_ns() + NS / 100);
        }
        if (n_engines > i) {
            emit(engines[i], 1);
        }
    }
    while (ready < (int)streams && now_ns() < patience) {
        turn(now_ns() + NS / 100);
    }
    if (ready < (int)streams) {
        (void)fprintf(stderr, "relay: %d of %u streams stand\n", ready, streams);
        return 1;
    }

    step = (uint64_t)((double)NS / rate / streams);
    begin = now_ns() + (uint64_t)(warmup * NS);
    end = begin + (uint64_t)(seconds * NS);
    i = 0;
    for (due = now_ns(); due < end; due += step) {
        while (now_ns() < due) {
            turn(due);
        }
        if (counted_from == 0 && due >= begin) {
            counted_from = now_ns();
            cpu = pid > 0 ? cpu_ns(clock) : 0;
        }
        sent += counted_from > 0;
        emit(engines[i++ % n_engines], now_ns());
    }
    for (patience = now_ns() + NS / 5; now_ns() < patience && n_events < sent;) {
        turn(patience); /* the last ones */
    }
    cpu = pid > 0 ? cpu_ns(clock) - cpu : 0;
    qsort(latencies, n_events, sizeof(latencies[0]), by_size);
    printf("{\"sent\":%llu,\"events\":%llu,\"missed\":%llu,\"p50_us\":%.1f,"
           "\"p99_us\":%.1f,\"cpu_us\":%.2f}\n", (unsigned long long)sent,
           (unsigned long long)n_events, (unsigned long long)missed,
           percentile_us(0.5), percentile_us(0.99),
           n_events > 0 ? (double)cpu / 1000 / (double)n_events : 0);
    return 0;
}
