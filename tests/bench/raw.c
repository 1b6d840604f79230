/* raw.c - the raw limit that aidash is measured against.
 *
 * usage: raw HZ CLIENTS [PORT]
 *
 * Accepts that many WebSocket clients on 127.0.0.1, and then does, for each
 * tick and client, one send() of a prebuilt frame, and nothing else: no input,
 * no protocol, no bookkeeping. Timestamps are as in aidash: a tick is stamped
 * when it is made, and those that a late wake-up has to make up for with the
 * time when they were due, so that falling behind shows as latency.
 *
 * Says on stderr, like aidash, where it listens; on SIGTERM it prints one line
 * of JSON: ticks made, frames sent, frames skipped, its own CPU seconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 16384
#define HEAD_MAX 2048
/* After a stall at most this part of a second is made up for; without a limit
 * a rate that can't be reached would grow into ever longer bursts. */
#define CATCH_UP_S 0.01

static int clients[CLIENTS_MAX];
static unsigned n_clients;
static volatile sig_atomic_t stopped;

static void on_term(int sig)
{
    (void)sig;
    stopped = 1;
}

static void die(const char *what)
{
    fprintf(stderr, "raw: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int listen_on(unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof(a);
    int one = 1;
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_port = htons((uint16_t)port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)) != 0 ||
        listen(s, 1024) != 0 ||
        getsockname(s, (struct sockaddr *)&a, &len) != 0) {
        die("listen");
    }
    fprintf(stderr, "raw: listening on http://127.0.0.1:%u\n",
            (unsigned)ntohs(a.sin_port));
    return s;
}

/* Take one client. Its request is read to the end but not looked at: the load
 * program always sends the sample key of RFC 6455 1.3, so the answer is known. */
static void take_client(int listener)
{
    static const char answer[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    char head[HEAD_MAX];
    size_t len = 0;
    int one = 1;
    int s = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (s < 0) {
        return;
    }
    while (len < sizeof(head) && !memmem(head, len, "\r\n\r\n", 4)) {
        ssize_t n = recv(s, head + len, sizeof(head) - len, 0);

        if (n <= 0) {
            close(s);
            return;
        }
        len += (size_t)n;
    }
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (n_clients == CLIENTS_MAX ||
        send(s, answer, sizeof(answer) - 1, MSG_NOSIGNAL) < 0) {
        close(s);
        return;
    }
    clients[n_clients++] = s;
}

static uint64_t clock_us(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Write the decimal digits of v over the n characters at p. */
static void put_digits(char *p, size_t n, uint64_t v)
{
    while (n > 0) {
        p[--n] = (char)('0' + v % 10);
        v /= 10;
    }
}

int main(int argc, char **argv)
{
    /* The count and the time are fixed-width holes in a finished frame. */
    static char frame[4 + 256] =
        "\x81\x7e??"
        "{\"event\":\"inference_tick\",\"model\":\"llama3\","
        "\"tokens_generated\":1000000,\"latency_ms\":118.341,"
        "\"tokens_per_second\":15.03,\"timestamp\":0000000000.000000}";
    size_t len = 4 + strlen(frame + 4);
    char *count = strstr(frame + 4, "1000000");
    char *stamp = strstr(frame + 4, "0000000000.");
    uint64_t ticks = 0;
    uint64_t sent = 0;
    uint64_t skipped = 0;
    uint64_t start_us; /* of the timer */
    double rate = argc > 2 ? atof(argv[1]) : 0;
    unsigned wanted = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    uint64_t catch_up =
        rate * CATCH_UP_S < 1 ? 1 : (uint64_t)(rate * CATCH_UP_S);
    int listener;
    int timer;
    struct itimerspec period;
    struct sigaction term = {.sa_handler = on_term};
    struct rlimit files;
    struct rusage use;

    if (rate <= 0 || wanted < 1 || wanted > CLIENTS_MAX) {
        fprintf(stderr, "usage: raw HZ CLIENTS [PORT]\n");
        return 2;
    }
    frame[2] = (char)((len - 4) >> 8); /* RFC 6455 5.2: 126, 16-bit length */
    frame[3] = (char)((len - 4) & 0xff);

    sigaction(SIGTERM, &term, NULL);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    listener = listen_on(argc > 3 ? (unsigned)atoi(argv[3]) : 0);
    while (!stopped && n_clients < wanted) {
        take_client(listener);
    }

    timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    period.it_interval.tv_sec = (time_t)(1 / rate);
    period.it_interval.tv_nsec =
        (long)((1 / rate - (double)period.it_interval.tv_sec) * 1e9);
    period.it_value = period.it_interval;
    start_us = clock_us(CLOCK_MONOTONIC);
    if (timer < 0 || timerfd_settime(timer, 0, &period, NULL) != 0) {
        die("timer");
    }
    while (!stopped) {
        uint64_t due = 0;
        uint64_t missed;
        uint64_t now_us;
        uint64_t since_us; /* the timer's start */

        if (read(timer, &due, sizeof(due)) < 0) {
            continue; /* the signal to stop */
        }
        now_us = clock_us(CLOCK_REALTIME);
        since_us = clock_us(CLOCK_MONOTONIC) - start_us;
        missed = due > catch_up ? due - catch_up : 0;
        ticks += missed;
        for (due -= missed; due > 0; due--) {
            uint64_t stamp_us;

            ticks++;
            stamp_us = due == 1 ? now_us
                              : now_us - since_us +
                                    (uint64_t)((double)ticks * 1e6 / rate);
            put_digits(count + 1, 6, ticks); /* with the 1 before: growing */
            put_digits(stamp, 10, stamp_us / 1000000);
            put_digits(stamp + 11, 6, stamp_us % 1000000);
            for (unsigned i = 0; i < n_clients;) {
                ssize_t n = send(clients[i], frame, len,
                                 MSG_DONTWAIT | MSG_NOSIGNAL);

                if (n < 0 && errno != EAGAIN) {
                    close(clients[i]);
                    clients[i] = clients[--n_clients];
                    continue;
                }
                skipped += n < 0;
                sent += n >= 0;
                if (n > 0 && (size_t)n < len) { /* never tear: wait for it */
                    send(clients[i], frame + n, len - (size_t)n, MSG_NOSIGNAL);
                }
                i++;
            }
        }
    }
    getrusage(RUSAGE_SELF, &use);
    printf("{\"ticks\":%llu,\"sent\":%llu,\"skipped\":%llu,\"cpu_s\":%.6f}\n",
           (unsigned long long)ticks, (unsigned long long)sent,
           (unsigned long long)skipped,
           (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
               (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
    return 0;
}
