/* boards.c - boards that forward their events to gateways, for measurements.
 *
 * usage: boards --port P [--port P...] [--boards N] [--links L] [--rate R]
 *               [--seconds S]
 *
 * Opens L links of --forward (docs/fleet.md) to each gateway on 127.0.0.1, for the
 * nodes board-0, board-1, ..., and says "ready". Then N boards have R events a second
 * each, evenly spread, no two at the same time: nine ticks, then what the sensors say,
 * and so on. Board i has the model m-i and the link i % L; each gateway gets all events.
 * Ends with SIGTERM, or after S seconds, and prints one line of JSON: what was sent, and
 * how many events fell out as this machine was more than a second behind.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BOARDS_MAX 1024
#define PORTS_MAX 8
#define HEAD_MAX 4096
#define MESSAGE_MAX 2048
#define BEHIND_MAX_S 1.0
#define IO_TIMEOUT_S 30 /* for what the gateway takes, and its handshake */

/* A link has one number for all its events, as a board has. */
struct link {
    int sock[PORTS_MAX];
    uint64_t seq;
};

static struct link links[BOARDS_MAX];
static uint64_t tokens[BOARDS_MAX];
static unsigned n_events[BOARDS_MAX];
static unsigned ports[PORTS_MAX];
static unsigned n_ports;
static volatile sig_atomic_t stopped;

static void die(const char *what)
{
    fprintf(stderr, "boards: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void on_term(int unused)
{
    (void)unused;
    stopped = 1;
}

static double now_s(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- the links ------------------------------------------------------------- */

static int open_link(unsigned port, unsigned board)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    struct timeval limit = {IO_TIMEOUT_S, 0};
    char head[HEAD_MAX + 1];
    size_t len = 0;
    int one = 1;
    int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int n = snprintf(head, sizeof(head),
                     "GET /forward?node=board-%u&run=b%04x HTTP/1.1\r\n"
                     "Host: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                     board, board, port);

    a.sin_port = htons((uint16_t)port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (sock < 0 || connect(sock, (struct sockaddr *)&a, sizeof(a)) != 0) {
        die("connect");
    }
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (send(sock, head, (size_t)n, MSG_NOSIGNAL) != n) {
        die("handshake");
    }
    head[0] = '\0';
    while (!strstr(head, "{\"last\":")) { /* the first message, behind the answer */
        ssize_t got = recv(sock, head + len, HEAD_MAX - len, 0);

        if (got <= 0) {
            die(len > 0 ? head : "handshake");
        }
        len += (size_t)got;
        head[len] = '\0';
        for (char *p = head; (p = memchr(p, '\0', len - (size_t)(p - head)));) {
            *p = ' '; /* of a frame's head */
        }
    }
    return sock;
}

/* A masked frame with the mask 0 (RFC 6455 5.3), which leaves the payload as it is. */
static void send_frame(int sock, unsigned char opcode, const char *payload, size_t len)
{
    unsigned char frame[MESSAGE_MAX + 8] = {(unsigned char)(0x80 | opcode)};
    size_t head = len < 126 ? 6 : 8;

    frame[1] = (unsigned char)(0x80 | (len < 126 ? len : 126));
    if (len >= 126) {
        frame[2] = (unsigned char)(len >> 8);
        frame[3] = (unsigned char)len;
    }
    memcpy(frame + head, payload, len);
    if (send(sock, frame, head + len, MSG_NOSIGNAL) != (ssize_t)(head + len)) {
        die("a gateway takes no more");
    }
}

/* What a gateway says: pings, which are answered with what they have. */
static void read_link(int sock)
{
    unsigned char in[4096];
    ssize_t got = recv(sock, in, sizeof(in), MSG_DONTWAIT);

    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        die("a gateway closed a link");
    }
    for (ssize_t at = 0; at + 2 <= got && in[at + 1] < 126; at += 2 + in[at + 1]) {
        if (in[at] == 0x89) {
            send_frame(sock, 10, (const char *)in + at + 2, in[at + 1]);
        }
    }
}

/* ---- the events ------------------------------------------------------------ */

/* What a board with one GPU says once a second (docs/api.md, "The board"). */
static const char sensors[] =
    "{\"event\":\"board\",\"seq\":%llu,\"time\":%.3f,\"name\":\"Jetson Orin Nano\",\"cpu\":"
    "{\"percent\":31.2,\"iowait_percent\":0.4,\"steal_percent\":0,\"clock_mhz\":1510,"
    "\"clock_max_mhz\":1510,\"load\":2.41,\"count\":6,\"cores\":[31,44,12,60,22,18]},"
    "\"memory\":{\"total_bytes\":8000000000,\"available_bytes\":2100000000,"
    "\"swap_total_bytes\":0,\"swap_used_bytes\":0},\"temperatures\":[{\"name\":\"cpu\","
    "\"celsius\":58.2},{\"name\":\"gpu\",\"celsius\":61.5}],\"throttling\":{\"now\":[],"
    "\"since_boot\":[],\"events\":{},\"cooling\":[]},\"gpus\":[],\"npus\":[],\"rails\":[],"
    "\"power\":{\"watts\":11.42},\"fans\":[],\"disk\":{\"total_bytes\":500000000000,"
    "\"free_bytes\":400000000000},\"networks\":[{\"name\":\"eth0\","
    "\"received_bytes_per_second\":1200,\"sent_bytes_per_second\":84000}]}";

static void send_event(unsigned board, unsigned n_links)
{
    struct link *l = &links[board % n_links];
    char json[MESSAGE_MAX];
    double time = now_s(CLOCK_REALTIME);
    int n = snprintf(json, sizeof(json), "[{\"id\":\"b%04x-%llu\",\"event\":",
                     board % n_links, (unsigned long long)++l->seq);

    if (n_events[board]++ % 10 == 9) {
        n += snprintf(json + n, sizeof(json) - (size_t)n, sensors,
                      (unsigned long long)l->seq, time);
    } else {
        tokens[board] += 3;
        n += snprintf(json + n, sizeof(json) - (size_t)n,
                      "{\"event\":\"inference_tick\",\"model\":\"m-%u\",\"tokens_generated\":"
                      "%llu,\"latency_ms\":40.5,\"tokens_per_second\":24.5,"
                      "\"timestamp\":%.6f}",
                      board, (unsigned long long)tokens[board], time);
    }
    n += snprintf(json + n, sizeof(json) - (size_t)n, "}]");
    for (unsigned i = 0; i < n_ports; i++) {
        send_frame(l->sock[i], 1, json, (size_t)n);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", 1, 0, 'p'}, {"boards", 1, 0, 'n'},  {"links", 1, 0, 'l'},
        {"rate", 1, 0, 'r'}, {"seconds", 1, 0, 's'}, {0, 0, 0, 0}};
    unsigned n_boards = 50;
    unsigned n_links = 0;
    double rate = 10;
    double seconds = 0;
    uint64_t sent = 0;
    uint64_t left_out = 0;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    double start;
    double elapsed;
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'p':
            if (n_ports < PORTS_MAX) {
                ports[n_ports++] = (unsigned)atoi(optarg);
            }
            break;
        case 'n': n_boards = (unsigned)atoi(optarg); break;
        case 'l': n_links = (unsigned)atoi(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 's': seconds = atof(optarg); break;
        default: return 2;
        }
    }
    n_links = n_links == 0 ? n_boards : n_links;
    if (n_ports == 0 || n_boards < 1 || n_boards > BOARDS_MAX || n_links > n_boards ||
        rate <= 0) {
        fprintf(stderr, "boards: --port, --boards, --links or --rate out of range\n");
        return 2;
    }
    signal(SIGTERM, on_term);
    for (unsigned i = 0; i < n_links; i++) {
        for (unsigned k = 0; k < n_ports; k++) {
            struct epoll_event e = {.events = EPOLLIN};

            links[i].sock[k] = e.data.fd = open_link(ports[k], i);
            if (epoll_ctl(epoll, EPOLL_CTL_ADD, e.data.fd, &e) != 0) {
                die("epoll");
            }
        }
    }
    printf("ready\n");
    fflush(stdout);

    start = now_s(CLOCK_MONOTONIC);
    for (uint64_t next = 0; !stopped;) {
        struct epoll_event events[64];
        uint64_t due;
        int n;

        elapsed = now_s(CLOCK_MONOTONIC) - start;
        if (seconds > 0 && elapsed >= seconds) {
            break;
        }
        due = (uint64_t)(elapsed * n_boards * rate);
        if (due - next > (uint64_t)(BEHIND_MAX_S * n_boards * rate)) {
            left_out += due - next;
            next = due;
        }
        for (; next < due && !stopped; next++, sent++) {
            send_event((unsigned)(next % n_boards), n_links);
        }
        n = epoll_wait(epoll, events, 64, 1);
        for (int i = 0; i < n; i++) {
            read_link(events[i].data.fd);
        }
    }
    elapsed = now_s(CLOCK_MONOTONIC) - start;
    printf("{\"seconds\":%.3f,\"sent\":%llu,\"left_out\":%llu,\"own_cpu_s\":%.6f}\n", elapsed,
           (unsigned long long)sent, (unsigned long long)left_out,
           now_s(CLOCK_PROCESS_CPUTIME_ID));
    return 0;
}
