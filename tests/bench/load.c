/* load.c - WebSocket viewers that measure the server they watch.
 *
 * usage: load --port P [--path /ws/] [--clients N] [--silent K] [--batch]
 *             [--warmup S] [--seconds S] [--ticks N] [--pid SERVER] [--sample N]
 *
 * Opens N connections to 127.0.0.1 (client ids v0, v1, ...), lets S seconds of
 * warm-up pass, then watches for the given seconds. The latency of a tick is
 * the time after the read that brought it, less its own "timestamp" field. The
 * first K connections never read. With --ticks it counts from the first
 * connection on, and ends when each viewer has N of them. With --pid it also reads the server's CPU
 * clock at both ends of the window, and its memory at the end. Prints one line
 * of JSON. On a small machine this side is the heavier one, so it does little:
 * large reads, one clock call a read, no JSON parser.
 *
 * With --sample it does even less, for aidash alone: of every viewer it reads the
 * frames' heads and the events' numbers (docs/api.md), and counts the ticks of a
 * batch, so that none can be missing, come twice or out of order; what is in the
 * ticks it reads of every N-th viewer alone.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 16384
#define FRAME_MAX 16384 /* more than any frame that a server here sends */
#define READ_MAX (256 * 1024)
#define HEAD_MAX 4096
#define SILENT_RCVBUF 4096 /* so that a silent viewer blocks the server soon */
#define IO_TIMEOUT_S 60    /* for connecting and the handshake */
#define AT_ONCE 64         /* handshakes under way */

/* Log-linear histogram of microseconds: exact below 128, then 64 steps an
 * octave, so a reading is at most 1.6 % off. */
#define HIST_SUB 64
#define HIST_MAX (HIST_SUB * 40)

struct viewer {
    int sock;         /* -1: closed */
    int silent;
    size_t carry_len; /* bytes of an unfinished frame in carry */
    unsigned char *carry;
    uint64_t ticks;   /* inside the window */
    uint64_t next;    /* --sample: the number of the next event; 0: not known */
    uint64_t tokens;  /* of the last tick, of its model */
    char model[64];
};

static struct viewer viewers[CLIENTS_MAX];
static unsigned n_viewers = 1;
static int counting;            /* inside the window */
static unsigned sample;         /* 0: what every viewer gets is read whole */
static uint64_t hist[HIST_MAX];
static uint64_t timed;          /* ticks in it */
static uint64_t delivered;      /* ticks; with --sample, events */
static uint64_t wanted = UINT64_MAX; /* what may be delivered until it ends */
static uint64_t bytes;
static uint64_t reads;
static uint64_t max_us;
static uint64_t dropped;        /* told by the server */
static uint64_t lost;           /* --sample: events that it so told of */
static uint64_t gaps;           /* --sample: numbers that were not the next one */
static uint64_t disordered;     /* ticks whose token count did not grow */
static uint64_t torn;           /* what can't be a frame or an event */
static uint64_t closed;

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double seconds_of(clockid_t clock)
{
    struct timespec t = {0, 0};

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t unix_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- histogram ----------------------------------------------------------- */

static unsigned hist_index(uint64_t us)
{
    unsigned shift = 0;

    while ((us >> shift) >= 2 * HIST_SUB) {
        shift++;
    }
    return shift * HIST_SUB + (unsigned)(us >> shift);
}

static uint64_t hist_value(unsigned index)
{
    unsigned shift = index < 2 * HIST_SUB ? 0 : index / HIST_SUB - 1;

    return (uint64_t)(index - shift * HIST_SUB) << shift;
}

static uint64_t hist_percentile(double p)
{
    double among = p * (double)timed;
    double seen = 0;

    for (unsigned i = 0; i < HIST_MAX; i++) {
        seen += (double)hist[i];
        if (hist[i] > 0 && seen >= among) {
            return hist_value(i);
        }
    }
    return max_us;
}

/* ---- frames -------------------------------------------------------------- */

/* The digits at p as a number, scaled to `decimals` decimals. */
static uint64_t read_number(const char *p, const char *end, unsigned decimals)
{
    uint64_t v = 0;

    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        v = v * 10 + (uint64_t)(*p - '0');
    }
    if (p < end && *p == '.') {
        p++;
    }
    for (; decimals > 0; decimals--) {
        v *= 10;
        if (p < end && *p >= '0' && *p <= '9') {
            v += (uint64_t)(*p++ - '0');
        }
    }
    return v;
}

/* Where the value of a field starts, or NULL. key comes as `"name":`. */
static const char *find_value(const char *p, const char *end, const char *key)
{
    size_t len = strlen(key);
    const char *at = memmem(p, (size_t)(end - p), key, len);

    return at ? at + len : NULL;
}

/* One tick from p on; returns where it ends, or NULL when it is none. */
static const char *take_tick(struct viewer *v, const char *p, const char *end,
                             uint64_t now_us)
{
    const char *model = find_value(p, end, "\"model\":\"");
    const char *tokens =
        model ? find_value(model, end, "\"tokens_generated\":") : NULL;
    const char *stamp =
        tokens ? find_value(tokens, end, "\"timestamp\":") : NULL;
    const char *quote;
    uint64_t n;
    uint64_t sent_us;
    uint64_t us;

    if (!stamp) {
        return NULL;
    }
    quote = memchr(model, '"', (size_t)(end - model));
    n = read_number(tokens, end, 0);
    if (strlen(v->model) != (size_t)(quote - model) ||
        memcmp(v->model, model, (size_t)(quote - model)) != 0) {
        snprintf(v->model, sizeof(v->model), "%.*s", (int)(quote - model),
                 model);
    } else if (n <= v->tokens) {
        disordered++;
    }
    v->tokens = n;
    if (counting) {
        sent_us = read_number(stamp, end, 6);
        us = now_us > sent_us ? now_us - sent_us : 0;
        hist[hist_index(us)]++;
        timed++;
        max_us = us > max_us ? us : max_us;
        if (sample == 0) {
            v->ticks++;
            delivered++;
        }
    }
    return memchr(stamp, '}', (size_t)(end - stamp));
}

static void take_text(struct viewer *v, const char *p, size_t len,
                      uint64_t now_us)
{
    static const char tick[] = "{\"event\":\"inference_tick\"";
    static const char batch[] = "{\"event\":\"batch\"";
    const char *end = p + len;
    const char *at;

    if (len < 12 || memcmp(p, "{\"event\":", 9) != 0 || end[-1] != '}') {
        torn++;
    } else if (len > sizeof(tick) && memcmp(p, tick, sizeof(tick) - 1) == 0) {
        torn += take_tick(v, p, end, now_us) != end - 1;
    } else if (len > sizeof(batch) && memcmp(p, batch, sizeof(batch) - 1) == 0) {
        at = p + sizeof(batch) - 1;
        while ((at = take_tick(v, at, end, now_us)) && at + 1 < end &&
               at[1] == ',') {
            at++;
        }
        torn += at == NULL;
    } else if ((at = find_value(p, end, "\"dropped\":")) != NULL && counting) {
        dropped++;
    }
}

/* The number behind `,"seq":` or the like at p; 0: there is none. */
static uint64_t number_at(const char *p, const char *end, const char *key)
{
    size_t len = strlen(key);

    return (size_t)(end - p) > len && memcmp(p, key, len) == 0
               ? read_number(p + len, end, 0) : 0;
}

/* Count the n events of a frame; seq is the first one's number, 0: a tick's, which says
 * none. */
static void take_events(struct viewer *v, uint64_t seq, unsigned n)
{
    if (v->next == 0 || (seq != 0 && seq != v->next)) {
        gaps++;
    }
    v->next = (seq != 0 ? seq : v->next) + n;
    if (counting) {
        v->ticks += n;
        delivered += n;
    }
}

/* The numbers of a frame, as clients count (docs/api.md). */
static void take_numbers(struct viewer *v, const char *p, size_t len)
{
    static const char tick[] = "{\"event\":\"inference_tick\"";
    static const char batch[] = "{\"event\":\"batch\"";
    const char *end = p + len;
    const char *at = len > 10 ? memchr(p + 10, '"', len - 10) : NULL; /* behind its name */
    const char *next = NULL;
    unsigned n = 0;

    if (!at || memcmp(p, "{\"event\":\"", 10) != 0) {
        torn++;
    } else if (memcmp(p, tick, sizeof(tick) - 1) == 0) {
        take_events(v, 0, 1);
    } else if (memcmp(p, batch, sizeof(batch) - 1) == 0) {
        for (const char *t = at; (t = memchr(t, '{', (size_t)(end - t))); t++) {
            n++; /* a tick is flat */
        }
        take_events(v, number_at(at + 1, end, ",\"seq\":"), n);
    } else if (number_at(at + 1, end, ",\"seq\":") != 0) {
        take_events(v, number_at(at + 1, end, ",\"seq\":"), 1);
    } else if (memcmp(p + 10, "hello", 5) == 0 || memcmp(p + 10, "status", 6) == 0) {
        next = find_value(at, end, "\"next_seq\":");
        lost += v->next != 0 && next ? read_number(next, end, 0) - v->next : 0;
        v->next = next ? read_number(next, end, 0) : 0;
    }
}

static void send_pong(struct viewer *v)
{
    static const unsigned char pong[6] = {0x8a, 0x80}; /* masked, empty */

    if (send(v->sock, pong, sizeof(pong), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
        errno != EAGAIN) {
        torn++;
    }
}

static void close_viewer(struct viewer *v)
{
    close(v->sock);
    v->sock = -1;
    closed++;
}

/* Take the whole frames at p (RFC 6455 5.2, from a server: unmasked); returns
 * how many bytes of it are done. */
static size_t take_frames(struct viewer *v, const unsigned char *p, size_t len,
                          uint64_t now_us)
{
    size_t done = 0;

    while (len - done >= 2) {
        const unsigned char *f = p + done;
        size_t head = (f[1] & 0x7f) == 126 ? 4 : 2;
        size_t size;

        if ((f[0] & 0xf0) != 0x80 || f[1] > 126) {
            torn++; /* fragmented, masked, reserved bits or 64-bit length */
            close_viewer(v);
            return len;
        }
        if (len - done < head) {
            break;
        }
        size = head == 4 ? (size_t)f[2] << 8 | f[3] : f[1];
        if (head + size > FRAME_MAX) {
            torn++;
            close_viewer(v);
            return len;
        }
        if (len - done < head + size) {
            break;
        }
        if (f[0] == 0x81) {
            if (sample > 0) {
                take_numbers(v, (const char *)f + head, size);
            }
            if (sample == 0 || (size_t)(v - viewers) % sample == 0) {
                take_text(v, (const char *)f + head, size, now_us);
            }
        } else if (f[0] == 0x89) {
            send_pong(v);
        } else if (f[0] == 0x88) {
            close_viewer(v);
            return len;
        } else {
            torn++;
        }
        done += head + size;
    }
    return done;
}

static void read_viewer(struct viewer *v)
{
    static unsigned char buf[FRAME_MAX + READ_MAX];
    ssize_t n = recv(v->sock, buf + v->carry_len, READ_MAX, MSG_DONTWAIT);
    uint64_t now_us = unix_us();
    size_t len;
    size_t done;

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        close_viewer(v);
        return;
    }
    if (counting) {
        reads++;
        bytes += (uint64_t)n;
    }
    memcpy(buf, v->carry, v->carry_len);
    len = v->carry_len + (size_t)n;
    done = take_frames(v, buf, len, now_us);
    v->carry_len = len - done;
    memcpy(v->carry, buf + done, v->carry_len);
}

/* ---- connecting ---------------------------------------------------------- */

/* Connect, and ask for the handshake with the sample key of RFC 6455 1.3. */
static void connect_viewer(struct viewer *v, unsigned port, const char *path,
                           int batch)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    struct timeval limit = {IO_TIMEOUT_S, 0};
    char head[512];
    int one = 1;
    int small = SILENT_RCVBUF;
    int n;

    a.sin_port = htons((uint16_t)port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v->carry = malloc(FRAME_MAX);
    v->sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!v->carry || v->sock < 0) {
        die("socket");
    }
    setsockopt(v->sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(v->sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (v->silent) {
        setsockopt(v->sock, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    }
    n = snprintf(head, sizeof(head),
                 "GET %sv%u%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                 "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                 "Sec-WebSocket-Version: 13\r\n\r\n",
                 path, (unsigned)(v - viewers), batch ? "?batch=1" : "", port);
    if (connect(v->sock, (struct sockaddr *)&a, sizeof(a)) != 0 ||
        send(v->sock, head, (size_t)n, MSG_NOSIGNAL) != n) {
        die("connect");
    }
}

/* Read the answer to that. */
static void open_viewer(struct viewer *v)
{
    char head[HEAD_MAX + 1];
    char *end = NULL;
    size_t len = 0;

    while (!end) {
        ssize_t got = recv(v->sock, head + len, HEAD_MAX - len, 0);

        if (got <= 0) {
            die("handshake");
        }
        len += (size_t)got;
        head[len] = '\0';
        end = strstr(head, "\r\n\r\n");
    }
    if (strncmp(head, "HTTP/1.1 101", 12) != 0 ||
        !strstr(head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) {
        fprintf(stderr, "load: refused: %s\n", head);
        exit(1);
    }
    v->carry_len = len - (size_t)(end + 4 - head);
    memcpy(v->carry, end + 4, v->carry_len);
}

/* ---- the server's memory ------------------------------------------------- */

/* Print the kilobytes of some lines of smaps_rollup as JSON members. */
static void print_memory(int pid)
{
    static const struct {
        const char *line;
        const char *member;
    } wanted[] = {{"Rss:", "rss_kb"},
                  {"Pss:", "pss_kb"},
                  {"Pss_Anon:", "pss_anon_kb"},
                  {"Private_Dirty:", "private_dirty_kb"}};
    char path[64];
    char line[256];
    char name[64];
    unsigned long kb;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
    f = fopen(path, "r");
    if (!f) {
        die(path);
    }
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%63s %lu kB", name, &kb) != 2) {
            continue;
        }
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
            if (strcmp(name, wanted[i].line) == 0) {
                printf("\"%s\":%lu,", wanted[i].member, kb);
            }
        }
    }
    fclose(f);
}

/* ---- main ---------------------------------------------------------------- */

static void read_ready(int epoll, int timeout_ms)
{
    struct epoll_event events[256];
    int n = epoll_wait(epoll, events, 256, timeout_ms);

    for (int i = 0; i < n; i++) {
        struct viewer *v = events[i].data.ptr;

        if (v->sock >= 0) {
            read_viewer(v);
        }
    }
}

static void watch(int epoll, double until)
{
    double now;

    while ((now = seconds_of(CLOCK_MONOTONIC)) < until && delivered < wanted) {
        read_ready(epoll, (int)((until - now) * 1e3) + 1);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", 1, 0, 'p'},    {"path", 1, 0, 'u'},   {"clients", 1, 0, 'n'},
        {"silent", 1, 0, 'k'},  {"batch", 0, 0, 'b'},  {"warmup", 1, 0, 'w'},
        {"seconds", 1, 0, 's'}, {"ticks", 1, 0, 't'},  {"pid", 1, 0, 'i'},
        {"sample", 1, 0, 'e'},  {0, 0, 0, 0}};
    const char *path = "/ws/";
    unsigned port = 0;
    unsigned silent = 0;
    unsigned ticks = 0;
    double warmup = 0.3;
    double seconds = 2;
    int batch = 0;
    int pid = 0;
    int c;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    clockid_t server = CLOCK_PROCESS_CPUTIME_ID;
    struct rlimit files;
    double start;
    double server_cpu;
    double own_cpu;
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'p': port = (unsigned)atoi(optarg); break;
        case 'u': path = optarg; break;
        case 'n': n_viewers = (unsigned)atoi(optarg); break;
        case 'k': silent = (unsigned)atoi(optarg); break;
        case 'b': batch = 1; break;
        case 'w': warmup = atof(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 't': ticks = (unsigned)atoi(optarg); break;
        case 'i': pid = atoi(optarg); break;
        case 'e': sample = (unsigned)atoi(optarg); break;
        default: return 2;
        }
    }
    if (port == 0 || n_viewers < 1 || n_viewers > CLIENTS_MAX ||
        silent > n_viewers) {
        fprintf(stderr, "load: --port, --clients or --silent out of range\n");
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (pid != 0 && clock_getcpuclockid(pid, &server) != 0) {
        die("no such server process");
    }

    if (ticks > 0) {
        counting = 1;
        wanted = (uint64_t)ticks * (n_viewers - silent);
    }
    for (unsigned i = 0, asked = 0; i < n_viewers; i++) {
        struct viewer *v = &viewers[i];
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = v};

        for (; asked < n_viewers && asked < i + AT_ONCE; asked++) {
            viewers[asked].silent = asked < silent;
            connect_viewer(&viewers[asked], port, path, batch);
        }
        open_viewer(v);
        if (!v->silent && epoll_ctl(epoll, EPOLL_CTL_ADD, v->sock, &e) != 0) {
            die("epoll");
        }
        read_ready(epoll, 0); /* those before must not fall behind */
    }
    watch(epoll, seconds_of(CLOCK_MONOTONIC) + warmup);
    counting = 1;
    server_cpu = seconds_of(server);
    own_cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    start = seconds_of(CLOCK_MONOTONIC);
    watch(epoll, start + seconds);
    seconds = seconds_of(CLOCK_MONOTONIC) - start;
    server_cpu = seconds_of(server) - server_cpu;
    own_cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - own_cpu;

    for (unsigned i = silent; i < n_viewers; i++) {
        least = viewers[i].ticks < least ? viewers[i].ticks : least;
        most = viewers[i].ticks > most ? viewers[i].ticks : most;
    }
    printf("{\"clients\":%u,\"silent\":%u,\"seconds\":%.3f,", n_viewers, silent,
           seconds);
    printf("\"delivered\":%llu,\"least\":%llu,\"most\":%llu,",
           (unsigned long long)delivered,
           (unsigned long long)(silent < n_viewers ? least : 0),
           (unsigned long long)most);
    printf("\"p50_us\":%llu,\"p99_us\":%llu,\"p999_us\":%llu,\"max_us\":%llu,",
           (unsigned long long)hist_percentile(0.5),
           (unsigned long long)hist_percentile(0.99),
           (unsigned long long)hist_percentile(0.999),
           (unsigned long long)max_us);
    printf("\"losses_told\":%llu,\"disordered\":%llu,\"torn\":%llu,"
           "\"closed\":%llu,",
           (unsigned long long)dropped, (unsigned long long)disordered,
           (unsigned long long)torn, (unsigned long long)closed);
    if (sample > 0) {
        printf("\"lost\":%llu,\"gaps\":%llu,", (unsigned long long)lost,
               (unsigned long long)gaps);
    }
    if (pid != 0) {
        print_memory(pid);
        printf("\"server_cpu_s\":%.6f,", server_cpu);
    }
    printf("\"reads\":%llu,\"bytes\":%llu,\"own_cpu_s\":%.6f}\n",
           (unsigned long long)reads, (unsigned long long)bytes, own_cpu);
    return 0;
}
