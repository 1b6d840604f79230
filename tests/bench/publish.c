/* publish.c - what aidash_publish() costs the engine that calls it.
 *
 * usage: publish [SECONDS]   a measurement; default 1
 *
 * Prints one line of JSON, nanoseconds a call, each the median over bursts:
 *   awake     one thread, a burst every 100 us, one viewer connected: the hub
 *             has work all the time
 *   awake4    the same from four threads, which sleep between their bursts
 *   flood     one thread without a pause: the inbox is always full
 *   flood4    four threads without a pause
 *   asleep    a call every 5 ms: each has to wake the hub
 */
#define _GNU_SOURCE
#include "../../aidash.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BURST 16
#define SAMPLES_MAX 65536
#define THREADS_MAX 4

struct job {
    unsigned burst;     /* calls in a row */
    unsigned gap_us;    /* from one burst to the next */
    int spin;           /* wait for it without sleeping */
    double seconds;
    unsigned n;         /* samples taken */
    uint32_t sample[SAMPLES_MAX]; /* picoseconds a call / 100 */
};

static struct job jobs[THREADS_MAX];

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *publish(void *arg)
{
    struct job *j = arg;
    struct aidash_tick tick = {0};
    uint64_t end = now_ns() + (uint64_t)(j->seconds * 1e9);
    uint64_t start;

    tick.model = "llama3";
    tick.tokens = 1;
    tick.latency_ms = 20.5;
    j->n = 0;
    while ((start = now_ns()) < end) {
        uint64_t took;

        for (unsigned i = 0; i < j->burst; i++) {
            if (aidash_publish(&tick) != 0) {
                fprintf(stderr, "publish: refused\n");
                exit(1);
            }
        }
        took = now_ns() - start;
        if (j->n < SAMPLES_MAX) {
            j->sample[j->n++] = (uint32_t)(took * 10 / j->burst);
        }
        if (j->spin) {
            while (now_ns() < start + j->gap_us * 1000u) {
            }
        } else if (j->gap_us > 0) {
            usleep(j->gap_us);
        }
    }
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Median nanoseconds a call over all threads' bursts. */
static double measure(unsigned threads, struct job like)
{
    static uint32_t all[THREADS_MAX * SAMPLES_MAX];
    pthread_t id[THREADS_MAX];
    size_t n = 0;

    for (unsigned i = 0; i < threads; i++) {
        jobs[i].burst = like.burst;
        jobs[i].gap_us = like.gap_us;
        jobs[i].spin = like.spin;
        jobs[i].seconds = like.seconds;
        if (pthread_create(&id[i], NULL, publish, &jobs[i]) != 0) {
            exit(1);
        }
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(id[i], NULL);
        memcpy(all + n, jobs[i].sample, jobs[i].n * sizeof(all[0]));
        n += jobs[i].n;
    }
    qsort(all, n, sizeof(all[0]), by_value);
    usleep(100000); /* the hub goes back to sleep */
    return all[n / 2] / 10.0;
}

static void *view(void *arg)
{
    static char buf[65536];
    int s = *(int *)arg;

    while (recv(s, buf, sizeof(buf), 0) > 0) {
    }
    return NULL;
}

/* A viewer that reads everything, in a thread of its own. */
static void start_viewer(void)
{
    static const char request[] =
        "GET /ws/bench HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n";
    static int s;
    struct sockaddr_in a = {.sin_family = AF_INET};
    char answer[12];
    pthread_t id;

    a.sin_port = htons((uint16_t)aidash_port(0));
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(s, (struct sockaddr *)&a, sizeof(a)) != 0 ||
        send(s, request, sizeof(request) - 1, 0) < 0 ||
        recv(s, answer, sizeof(answer), MSG_WAITALL) != sizeof(answer) ||
        memcmp(answer, "HTTP/1.1 101", sizeof(answer)) != 0 ||
        pthread_create(&id, NULL, view, &s) != 0) {
        fprintf(stderr, "publish: no viewer\n");
        exit(1);
    }
    pthread_detach(id);
}

int main(int argc, char **argv)
{
    double s = argc > 1 ? atof(argv[1]) : 1;
    struct aidash_config config = {0};

    config.listen = "127.0.0.1:0";
    config.models = "llama3";
    config.log_level = AIDASH_LOG_ERROR;
    if (aidash_start(&config) != 0) {
        fprintf(stderr, "publish: %s\n", aidash_last_error());
        return 1;
    }
    start_viewer();
    usleep(100000);
    printf("{\"awake\":%.1f,",
           measure(1, (struct job){.burst = BURST, .gap_us = 100, .spin = 1,
                                   .seconds = s}));
    printf("\"awake4\":%.1f,",
           measure(4, (struct job){.burst = BURST, .gap_us = 100,
                                   .seconds = s}));
    printf("\"flood\":%.1f,",
           measure(1, (struct job){.burst = BURST, .seconds = s}));
    printf("\"flood4\":%.1f,",
           measure(4, (struct job){.burst = BURST, .seconds = s}));
    printf("\"asleep\":%.1f}\n",
           measure(1, (struct job){.burst = 1, .gap_us = 5000, .seconds = s}));
    aidash_stop();
    return 0;
}
