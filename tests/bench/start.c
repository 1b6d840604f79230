/* start.c - how soon after exec a server answers its first connection.
 *
 * usage: start TIMES PROGRAM ARGUMENTS...   ("PORT" in an argument: the port)
 *
 * Starts the program TIMES times, each on a free port of 127.0.0.1, and tries to
 * connect every few microseconds. Prints one line of JSON, in microseconds from
 * the call of exec: until a connection is established (the median and the
 * fastest), and until its WebSocket handshake is answered (the median).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIMES_MAX 1000
#define ARGUMENTS_MAX 32
#define TRY_EVERY_US 20
#define GIVE_UP_US 5000000

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void die(const char *what)
{
    fprintf(stderr, "start: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* A port that nobody listens on now. */
static unsigned free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof(a);
    int s = socket(AF_INET, SOCK_STREAM, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)) != 0 ||
        getsockname(s, (struct sockaddr *)&a, &len) != 0) {
        die("port");
    }
    close(s);
    return ntohs(a.sin_port);
}

/* Run the program with PORT filled in; *exec_us gets the time of the exec. */
static pid_t run(char **argv, unsigned port, volatile uint64_t *exec_us)
{
    static char text[ARGUMENTS_MAX][256];
    char *arguments[ARGUMENTS_MAX + 1] = {NULL};
    pid_t child;

    for (int i = 0; i < ARGUMENTS_MAX && argv[i]; i++) {
        char *hole = strstr(argv[i], "PORT");

        arguments[i] = argv[i];
        if (hole) {
            snprintf(text[i], sizeof(text[i]), "%.*s%u%s",
                     (int)(hole - argv[i]), argv[i], port, hole + 4);
            arguments[i] = text[i];
        }
    }
    child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);

        dup2(null, 1);
        dup2(null, 2);
        *exec_us = now_us();
        execv(arguments[0], arguments);
        _exit(127);
    }
    if (child < 0) {
        die("fork");
    }
    return child;
}

static int connect_when_ready(pid_t child, unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    uint64_t give_up = now_us() + GIVE_UP_US;

    a.sin_port = htons((uint16_t)port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    while (now_us() < give_up) {
        int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (s < 0) {
            die("socket");
        }
        if (connect(s, (struct sockaddr *)&a, sizeof(a)) == 0) {
            return s;
        }
        close(s);
        if (waitpid(child, NULL, WNOHANG) == child) {
            break;
        }
        usleep(TRY_EVERY_US);
    }
    fprintf(stderr, "start: the server does not listen\n");
    exit(1);
}

static void shake_hands(int s)
{
    static const char request[] =
        "GET /ws/start HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n";
    char answer[12];

    if (send(s, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0 ||
        recv(s, answer, sizeof(answer), MSG_WAITALL) != sizeof(answer) ||
        memcmp(answer, "HTTP/1.1 101", sizeof(answer)) != 0) {
        die("handshake");
    }
}

int main(int argc, char **argv)
{
    static uint64_t connected_us[TIMES_MAX];
    static uint64_t answered_us[TIMES_MAX];
    int times = argc > 2 ? atoi(argv[1]) : 0;
    volatile uint64_t *exec_us =
        mmap(NULL, sizeof(*exec_us), PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (times < 1 || times > TIMES_MAX || exec_us == MAP_FAILED) {
        fprintf(stderr, "usage: start TIMES PROGRAM ARGUMENTS...\n");
        return 2;
    }
    for (int i = 0; i < times; i++) {
        unsigned port = free_port();
        pid_t child = run(argv + 2, port, exec_us);
        int s = connect_when_ready(child, port);

        connected_us[i] = now_us() - *exec_us;
        shake_hands(s);
        answered_us[i] = now_us() - *exec_us;
        close(s);
        kill(child, SIGTERM);
        waitpid(child, NULL, 0);
    }
    qsort(connected_us, (size_t)times, sizeof(uint64_t), by_value);
    qsort(answered_us, (size_t)times, sizeof(uint64_t), by_value);
    printf("{\"connected_us\":%llu,\"fastest_us\":%llu,\"answered_us\":%llu}\n",
           (unsigned long long)connected_us[times / 2],
           (unsigned long long)connected_us[0],
           (unsigned long long)answered_us[times / 2]);
    return 0;
}
