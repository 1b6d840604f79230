/* aidash.c - live dashboard for an AI engine: server, library, command line.
 * API and its limits: aidash.h. MIT licence, see LICENSE.
 *
 *   1 PLATFORM   feature macros, includes, compiler checks
 *   2 SIZES      every limit with its meaning, range and cost
 *   3 STATE      every struct, and who may touch it
 *   4 UTIL       time, log, bounded text
 *   5 CODEC      bytes in, bytes out: no sockets, no locks
 *   6 FEED       the inbox, the byte ring of finished frames, dressing
 *   7 HUB        the one event loop: clients, sources, door, fan-out
 *   8 HTTP       the routes, on civetweb's worker threads
 *   9 API        the public functions, in the order of aidash.h
 *  10 MAIN       the command line, unless AIDASH_NO_MAIN
 *  11 CIVETWEB   civetweb.c over a static arena, and the glue to its inside;
 *                last, so that its macros and names reach nothing of ours
 *
 * A tick's way: a source (sim, stdin, UDP, HTTP body: on the hub thread; the
 * firmware's aidash_publish(): through the inbox) -> ad_tick_apply() completes
 * and encodes it once, as a WebSocket frame -> ad_feed_append() -> ad_fanout()
 * sends each client all that it has not got, with one send().
 */

/* ==== 1 PLATFORM ========================================================= */

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* accept4, epoll, timerfd; POSIX.1-2008 elsewhere */
#endif

#ifdef AIDASH_CONFIG
#include AIDASH_CONFIG
#endif

#include "aidash.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* 1: poll() instead of epoll, for systems other than Linux. */
#ifndef AIDASH_USE_POLL
#ifdef __linux__
#define AIDASH_USE_POLL 0
#else
#define AIDASH_USE_POLL 1
#endif
#endif

#if !AIDASH_USE_POLL
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#endif

/* 0: no dashboard inside; then build/aidash_www.h is not needed. */
#ifndef AIDASH_DASHBOARD
#define AIDASH_DASHBOARD 1
#endif

#define JSMN_STATIC
#define JSMN_STRICT
#include <jsmn.h>

/* civetweb without files, CGI and TLS, every function of it static: nothing
 * but aidash_* leaves this object file. Its source follows in section 11. */
#define CIVETWEB_API static
#define NO_SSL
#define NO_CGI
#define NO_FILES
#define NO_CACHING
#define USE_WEBSOCKET
#define USE_IPV6
/* How long its threads may sleep before they see a stop, in milliseconds. */
#define SOCKET_TIMEOUT_QUANTUM 500
#include <civetweb.h>

#if defined(__GNUC__)
#define AD_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define AD_PRINTF(fmt, args)
#endif

#ifdef POLLRDHUP
#define AD_POLLRDHUP POLLRDHUP
#else
#define AD_POLLRDHUP 0 /* POLLHUP and POLLERR are always told */
#endif

#define AD_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ==== 2 SIZES ============================================================ */

/* Viewers (WebSocket and SSE) at once. 1..60000. Each costs some 11 kB of
 * static memory, of which an ordinary viewer touches below 300 bytes. */
#ifndef AIDASH_CLIENTS
#define AIDASH_CLIENTS 1024
#endif
#if AIDASH_CLIENTS < 1 || AIDASH_CLIENTS > 60000
#error "AIDASH_CLIENTS must be 1..60000: slots are 16 bits wide"
#endif

/* Other HTTP exchanges that the hub serves at once (ingest, polling,
 * commands). They have slots of their own, so that a full house of viewers
 * does not shut a feeder out. 1..1000. Each costs as much as a viewer. */
#ifndef AIDASH_EXCHANGES
#define AIDASH_EXCHANGES 32
#endif
#if AIDASH_EXCHANGES < 1 || AIDASH_EXCHANGES > 1000
#error "AIDASH_EXCHANGES must be 1..1000"
#endif

/* Connections that have not yet sent a whole request head. When all places are
 * taken, the oldest gives way if it had a second. 8..60000, 152 bytes each. */
#ifndef AIDASH_PENDING
#define AIDASH_PENDING 1024
#endif
#if AIDASH_PENDING < 8 || AIDASH_PENDING > 60000
#error "AIDASH_PENDING must be 8..60000"
#endif

/* HTTP worker threads. 1..64. Each costs some 24 kB of the arena, and a
 * stack. */
#ifndef AIDASH_WORKERS
#define AIDASH_WORKERS 4
#endif
#if AIDASH_WORKERS < 1 || AIDASH_WORKERS > 64
#error "AIDASH_WORKERS must be 1..64"
#endif

/* Bytes of finished frames kept: what viewers are sent from, what /ticks and
 * Last-Event-ID reach back to. A tick is some 170 bytes. A power of two. */
#ifndef AIDASH_FEED_BYTES
#define AIDASH_FEED_BYTES (512 * 1024)
#endif
#if AIDASH_FEED_BYTES < 32768 || \
    (AIDASH_FEED_BYTES & (AIDASH_FEED_BYTES - 1)) != 0
#error "AIDASH_FEED_BYTES must be a power of two, at least 32768"
#endif

/* Events kept at most, whatever their size. 9 bytes each. A power of two. */
#ifndef AIDASH_EVENTS
#define AIDASH_EVENTS 4096
#endif
#if AIDASH_EVENTS < 64 || (AIDASH_EVENTS & (AIDASH_EVENTS - 1)) != 0
#error "AIDASH_EVENTS must be a power of two, at least 64"
#endif

/* Events that a blocked viewer may be behind before it loses the oldest. */
#ifndef AIDASH_BACKLOG
#if AIDASH_EVENTS < 200
#define AIDASH_BACKLOG (AIDASH_EVENTS / 2)
#else
#define AIDASH_BACKLOG 100
#endif
#endif
#if AIDASH_BACKLOG < 1 || AIDASH_BACKLOG > AIDASH_EVENTS / 2
#error "AIDASH_BACKLOG must be 1..AIDASH_EVENTS / 2"
#endif

/* Ticks between aidash_publish() and the hub. A power of two; 160 bytes
 * each. */
#ifndef AIDASH_INBOX
#define AIDASH_INBOX 1024
#endif
#if AIDASH_INBOX < 2 || (AIDASH_INBOX & (AIDASH_INBOX - 1)) != 0
#error "AIDASH_INBOX must be a power of two"
#endif

/* Models that a viewer can switch between. 1..120: hello lists them all. */
#ifndef AIDASH_MODELS
#define AIDASH_MODELS 32
#endif
#if AIDASH_MODELS < 1 || AIDASH_MODELS > 120
#error "AIDASH_MODELS must be 1..120"
#endif

/* Pairs of model and node whose tokens are counted; the pair that was silent
 * longest gives way to a new one. 2..4096, some 1.4 kB each. */
#ifndef AIDASH_SERIES
#define AIDASH_SERIES 64
#endif
#if AIDASH_SERIES < 2 || AIDASH_SERIES > 4096
#error "AIDASH_SERIES must be 2..4096"
#endif

/* Longest command and longest ingest line, in bytes. A longer WebSocket
 * message closes the connection with 1009, a longer line is an error. */
#ifndef AIDASH_MESSAGE_MAX
#define AIDASH_MESSAGE_MAX 4096
#endif
#if AIDASH_MESSAGE_MAX < 256 || AIDASH_MESSAGE_MAX > 32768
#error "AIDASH_MESSAGE_MAX must be 256..32768"
#endif

/* Kernel send buffer of a viewer, in bytes: with the backlog, all that a
 * viewer who does not read can hold. */
#ifndef AIDASH_SEND_BUFFER
#define AIDASH_SEND_BUFFER (64 * 1024)
#endif

/* What civetweb may allocate in all: measured 184 kB at start with 4 workers
 * of 16 kB request buffer each, 32 bytes more while a request runs. */
#ifndef AIDASH_ARENA_BYTES
#define AIDASH_ARENA_BYTES (160 * 1024 + AIDASH_WORKERS * 32 * 1024)
#endif

enum {
    AD_LISTENERS = 8,          /* --listen may be given so often */
    AD_ORIGINS = 16,           /* --allow-origin likewise */
    AD_ORIGIN_MAX = 255,       /* bytes of an origin: 253 is a host's limit */
    AD_CORS_MAX = AD_ORIGIN_MAX + 64, /* two header lines with an origin */
    AD_HEAD_MAX = 8192,        /* bytes of a request head; more: 431 */
    AD_HEAD_MS = 10000,        /* a head not complete by then: 408 */
    AD_GRACE_MS = 1000,        /* so long no newcomer takes its place */
    AD_QUEUE = 16,             /* sockets inside civetweb; its own holds 20 */
    AD_DEPTH_MAX = 16,         /* nesting of JSON from outside */
    AD_TOKENS = 128,           /* JSON values in one message */
    AD_ID_MAX = 64 + 2,        /* bytes of a command's "id", and its quotes */
    AD_INGEST_ERRORS = 5,      /* bad lines that an answer describes */
    AD_PING_MS = 20000,        /* a viewer idle for so long is pinged */
    AD_SILENCE_MS = 60000,     /* and one silent for so long is closed */
    AD_STALL_MS = 30000,       /* no byte taken for so long: reset */
    AD_LINGER_MS = 1000,       /* wait for the peer's FIN after our last byte */
    AD_BATCH_MS = 50,          /* batches are flushed so often */
    AD_BATCH_RATE = 100,       /* events a second above which batches form */
    AD_BATCH_MAX = 4096,       /* bytes of a batch frame's payload */
    AD_REPLY_MAX = 512,        /* bytes of an ack, error or private status */
    AD_LINE_CAP = AIDASH_MESSAGE_MAX + 1, /* a line, and a CR to take off */
    AD_TICK_MAX = 512,         /* bytes of a tick's JSON, see ad_tick_encode */
    AD_SCRATCH = 65536,        /* bytes read or dressed at once */
    AD_UNITS = 512,            /* events dressed at once */
    AD_DRAIN_MAX = 256,        /* ticks taken from the inbox in one go */
    AD_JOIN_MAX = 256,         /* events that may wait for a fan-out */
    AD_RATE_WINDOW_MS = 2000,  /* tokens_per_second is over this time */
    AD_RATE_SPAN_MIN_MS = 500, /* a younger run counts as this old */
    AD_RATE_SLOTS = 64,        /* in slots of at least 1/64 of it */
    AD_MODEL_JSON_MAX = 2 * AIDASH_MODEL_MAX, /* only " and \ are escaped */
    AD_NODE_JSON_MAX = 2 * AIDASH_NODE_MAX,
    /* hello: 450 bytes of fixed text, numbers and client_id, then each model
     * in quotes with a comma, and the active one again. */
    AD_EVENT_MAX = 512 + (AIDASH_MODELS + 1) * (2 * AIDASH_MODEL_MAX + 3),
    /* A client's unsent bytes: the rest of one frame or of one dressed event
     * (100 bytes of SSE fields), and then what it was answered. */
    AD_OUT_CAP = (AD_EVENT_MAX > AD_BATCH_MAX ? AD_EVENT_MAX : AD_BATCH_MAX) +
                 100 + 4 * AD_REPLY_MAX,
    AD_SLOTS = AIDASH_CLIENTS + AIDASH_EXCHANGES,
    AD_NO_SLOT = 65535
};

/* Intervals in nanoseconds. A burst is fanned out at most once a millisecond,
 * and less often where a fan-out takes long, so that frames join. */
#define AD_NS_PER_MS 1000000ull
#define AD_NS_PER_S 1000000000ull
#define AD_PACE_MIN_NS (1 * AD_NS_PER_MS)
#define AD_PACE_MAX_NS (50 * AD_NS_PER_MS)
#define AD_PACE_FACTOR 5u

_Static_assert(AD_OUT_CAP >= AD_BATCH_MAX + 4 + AD_REPLY_MAX,
               "a batch frame's rest and one reply fit a client's buffer");
_Static_assert(AD_SLOTS < AD_NO_SLOT, "slots are 16 bits wide");
_Static_assert(AD_EVENT_MAX < 65536,
               "an event's length fits RFC 6455's 16-bit form");
_Static_assert(AIDASH_FEED_BYTES >= 4 * (AD_EVENT_MAX + 4),
               "the feed holds a few of the largest events");
_Static_assert(AD_HEAD_MAX <= AD_SCRATCH, "a request head fits the scratch");

/* ==== 3 STATE ============================================================ */

/* Owners: [I] set at start, then read-only   [h] the hub thread alone
 * [a] atomics   Everything static here lives as long as the program. */

/* One step of an engine, as the sources hand it to the hub. */
struct ad_sample {
    char model[AIDASH_MODEL_MAX + 1]; /* "": the active one */
    char node[AIDASH_NODE_MAX + 1];   /* "": this board */
    uint64_t tokens;                  /* added by this step */
    uint64_t total;                   /* AD_HAS_TOTAL */
    double latency_ms;                /* AD_HAS_LATENCY */
    double rate;                      /* AD_HAS_RATE: tokens a second */
    uint64_t time_us;                 /* AD_HAS_TIME: Unix microseconds */
    unsigned has;
};
enum {
    AD_HAS_TOKENS = 1,
    AD_HAS_TOTAL = 2,
    AD_HAS_LATENCY = 4,
    AD_HAS_RATE = 8,
    AD_HAS_TIME = 16
};

/* Sliding window over real time: slots of tokens with the time they began. */
struct ad_rate {
    uint64_t at_ns[AD_RATE_SLOTS];
    uint64_t tokens[AD_RATE_SLOTS];
    uint64_t sum;      /* of all slots in the window */
    uint64_t start_ns; /* when the first step of this unbroken run began */
    unsigned first, n;
};

/* What is counted for one model on one node. [h] */
struct ad_series {
    char model[AIDASH_MODEL_MAX + 1];
    char node[AIDASH_NODE_MAX + 1];
    uint64_t tokens;  /* tokens_generated */
    uint64_t last_ns; /* monotonic time of the last tick */
    struct ad_rate rate;
    unsigned model_json_len, node_json_len;
    char model_json[AD_MODEL_JSON_MAX]; /* escaped once, not at each tick */
    char node_json[AD_NODE_JSON_MAX];
};

/* The kinds of shared events; their names are in ad_event_names. */
enum ad_event { AD_EV_TICK, AD_EV_STATUS, AD_EV_KINDS };

/* The feed: finished WebSocket frames end to end in a ring of bytes. Offsets
 * and sequence numbers only grow; a position in the ring is the offset modulo
 * its size. Frame seq lies at [off[seq], off[seq + 1]). [h] */
struct ad_feed {
    uint64_t first; /* sequence number of the oldest frame kept */
    uint64_t next;  /* and of the next one to come; the first ever is 1 */
    uint64_t off[AIDASH_EVENTS];
    uint8_t kind[AIDASH_EVENTS];
    uint8_t bytes[AIDASH_FEED_BYTES];
};

/* Frames of the feed dressed for a form other than plain WebSocket. Kept, so
 * that clients at the same place in the same form share the work. [h] */
struct ad_dress {
    uint8_t form;
    uint64_t from, next; /* feed positions that it was made for */
    unsigned n;
    size_t end[AD_UNITS];    /* where unit i ends in bytes */
    uint64_t seq[AD_UNITS];  /* first event after unit i */
    size_t len;
    uint8_t bytes[AD_SCRATCH];
};

/* A bounded queue of samples from any thread to the hub: Dmitry Vyukov's MPMC
 * ring (1024cores.net, "Bounded MPMC queue"). A cell's turn is twice the lap
 * that it waits for, and one more once it is filled, so that zeros are an empty
 * queue and untouched cells cost no page. [a] */
struct ad_inbox_cell {
    _Atomic size_t turn;
    struct ad_sample sample;
};
struct ad_inbox {
    struct ad_inbox_cell cells[AIDASH_INBOX];
    _Alignas(64) _Atomic size_t tail; /* producers add here */
    _Alignas(64) _Atomic size_t head; /* the hub takes here */
    _Alignas(64) _Atomic uint64_t dropped;
};

/* RFC 6455 5.2: a frame header of at most 2 + 8 + 4 bytes, then its payload. */
struct ad_ws_frame {
    uint8_t opcode;
    bool fin;
    uint8_t mask[4];
    uint32_t len;        /* at most AIDASH_MESSAGE_MAX */
    unsigned header_len; /* 6, 8 or 14 */
};

/* Inbound side of a WebSocket client between two reads. [h] */
struct ad_ws {
    uint8_t header[14];
    uint8_t header_len;
    uint8_t message_opcode; /* 0: no fragmented message under way */
    bool in_payload;
    struct ad_ws_frame frame;
    uint32_t got;         /* payload bytes of the frame so far */
    uint32_t message_len; /* bytes of the message in the inbound buffer */
};

/* Framing of an HTTP request body, RFC 9112 6 and 7.1. [h] */
enum ad_body_state {
    AD_BODY_LENGTH,
    AD_BODY_CHUNK_SIZE,
    AD_BODY_CHUNK_EXT,
    AD_BODY_CHUNK_DATA,
    AD_BODY_CHUNK_END,
    AD_BODY_TRAILER,
    AD_BODY_DONE,
    AD_BODY_BAD
};
struct ad_body {
    uint8_t state;    /* enum ad_body_state */
    uint8_t digits;   /* of the chunk size so far */
    bool line_empty;  /* of the trailer */
    uint64_t left;    /* bytes of the body or of the chunk to come */
};

/* Lines cut out of a stream of bytes into a buffer of AD_LINE_CAP. */
struct ad_lines {
    uint32_t len;  /* bytes of the line so far */
    uint32_t line; /* lines begun */
    bool skip;     /* too long: the rest is skipped */
};

/* What an ingest exchange answers at its end. [h] */
struct ad_ingest_report {
    uint64_t accepted, rejected;
    unsigned n;
    struct {
        uint32_t line;
        const char *reason; /* static text */
    } errors[AD_INGEST_ERRORS];
};

enum ad_kind {
    AD_FREE,
    AD_WS,       /* WebSocket */
    AD_WS_BATCH, /* WebSocket with ?batch=1 */
    AD_SSE,      /* GET /events */
    AD_POLL,     /* GET /ticks */
    AD_INGEST,   /* POST /ingest: reads lines, answers at the end */
    AD_COMMAND,  /* POST /command */
    AD_LINGER,   /* all said: waits for the peer's FIN */
    AD_KINDS
};

/* A connection that the hub serves. What each fan-out reads is here, side by
 * side; what few clients need lies in ad_cold, so that its pages stay untouched
 * (and unpaid for) until then. [h] */
struct ad_client {
    int fd;
    uint8_t kind;   /* enum ad_kind; AD_FREE: nothing else counts */
    bool blocked;   /* the socket took less than it was given */
    bool resuming;  /* still reads history: only the feed's end limits it */
    bool closing;   /* nothing more is read; ends when out is sent */
    bool whole;     /* the body is gathered, to be one JSON object */
    bool started;   /* AD_POLL: an element was sent */
    bool deaf;      /* the peer has sent its FIN */
    bool viewer;    /* whose slots it counts among: viewers or exchanges */
    uint8_t events; /* registered with the poller: AD_IN, AD_OUT */
    uint16_t live;  /* place in ad_hub.live, or of the next free slot */
    uint64_t next;  /* next event to send */
    uint64_t until; /* AD_POLL: where it ends */
    uint32_t limit; /* AD_POLL: elements left */
    uint32_t missed; /* AD_POLL: events that were no longer kept */
    uint32_t dropped; /* events lost since the connection opened */
    uint32_t out_at, out_len; /* unsent bytes in ad_cold.out */
    uint32_t rx_ms;     /* last byte received */
    uint32_t tx_ms;     /* last byte taken by the socket, or nothing to send */
    uint32_t ping_ms;   /* last ping */
    uint64_t address;   /* of the peer, as ad_address_key() has it */
    union {
        struct ad_ws ws;
        struct {
            struct ad_body body;
            struct ad_lines lines;
        } http;
    } in;
};

struct ad_cold {
    char cors[AD_CORS_MAX]; /* header lines of an exchange's answer, or "" */
    struct ad_ingest_report report;
    uint8_t control[125];           /* RFC 6455 5.5: of a split control frame */
    uint8_t in[AD_LINE_CAP]; /* a split message, or a line */
    uint8_t out[AD_OUT_CAP];
};

/* A connection at the door: no whole request head yet, or no free worker. */
struct ad_pending {
    int fd;
    uint64_t address;
    bool used;
    bool ready;
    uint32_t since_ms;
    uint32_t order; /* of becoming ready */
    struct sockaddr_storage peer;
};

/* One function run on the hub thread for another thread, which waits. */
struct ad_call {
    struct ad_call *next;
    void (*run)(struct ad_call *call);
    sem_t done;
};

struct ad_counters {
    uint64_t ticks, dropped, paused_dropped;
    uint64_t bytes_sent, bytes_received;
    uint64_t commands, command_errors;
    uint64_t ingest_lines, ingest_errors;
    uint64_t accepted, stalled, fanouts;
};

enum ad_source { AD_SOURCE_NONE, AD_SOURCE_SIM, AD_SOURCE_STDIN };

/* Settings, checked by aidash_start(). [I] */
struct ad_settings {
    enum ad_source source;
    double rate_hz;
    uint64_t seed;
    unsigned backlog, per_address;
    unsigned n_listen, n_origins;
    bool any_origin;
    bool learn_models; /* names come from the ticks */
    char listen[AD_LISTENERS][64];
    char origins[AD_ORIGINS][AD_ORIGIN_MAX + 1];
    enum aidash_log_level log_level;
    struct aidash_config config; /* for its callbacks */
};

/* How the hub waits; other threads read it to know whether to wake it. */
enum { AD_AWAKE, AD_PACING, AD_ASLEEP };

struct ad_hub {
    pthread_t thread;
    struct mg_context *civetweb;
    int wake_rd, wake_wr; /* [I] an eventfd (the same twice), or a pipe */
    int listeners[AD_LISTENERS];      /* [h] */
    unsigned ports[AD_LISTENERS];     /* [I] */
    unsigned n_listeners;             /* [I] */
    int udp[2]; /* [h] */
    unsigned n_udp;
    _Atomic int sleep; /* [a] AD_AWAKE.. */
    _Atomic int stop;  /* [a] 1: close viewers, 2: end */
    _Atomic uint64_t refused; /* [a] at the door, or its handshake */
    _Atomic int http_inside; /* [a] sockets inside civetweb */
    _Atomic int slots_taken[2]; /* [a] viewers, exchanges: held or promised */
    _Atomic(struct ad_call *) calls; /* [a] newest first */

    /* [h] from here */
    uint64_t now_ns;   /* monotonic, at the last wake-up */
    uint64_t now_us;   /* Unix time, likewise */
    uint32_t now_ms;   /* monotonic, wraps after 49 days */
    uint64_t start_ns, start_us;
    uint64_t fanned;   /* feed.next at the last fan-out */
    uint64_t pace_ns;  /* no fan-out before */
    uint64_t batch_ns; /* no batch before */
    uint64_t tidy_ns;  /* next housekeeping */
    uint64_t burst_ns[AD_BATCH_RATE / 10]; /* times of the last ten events */
    bool draining;
    bool accepting; /* false: out of descriptors, until the next tidy */
    bool batching;
    bool batch_waits; /* a batch client has something to get */
    uint16_t n_live, free_slot;
    unsigned n_slots;   /* slots ever used */
    unsigned n_pending_slots, n_series; /* likewise */
    uint16_t live[AD_SLOTS]; /* slots that the fan-out goes through */
    unsigned n_kind[AD_KINDS], n_open; /* clients, by kind and in all */
    unsigned n_pending, n_ready;
    uint32_t ready_order;
    struct ad_counters count;

    bool paused;
    unsigned n_models;
    unsigned model; /* the active one, if n_models > 0 */
    char models[AIDASH_MODELS][AIDASH_MODEL_MAX + 1];

    uint64_t sim_due_ns, sim_step_ns, sim_state;
    bool stdin_open, stdin_is_file;
    struct ad_lines stdin_lines;
    uint8_t stdin_line[AD_LINE_CAP];
};

static struct ad_settings ad_set;
static struct ad_hub ad_hub;
static struct ad_inbox ad_inbox;
static struct ad_feed ad_feed;
static struct ad_dress ad_dress;
static struct ad_series ad_series[AIDASH_SERIES];
static struct ad_client ad_clients[AD_SLOTS];
static char ad_ids[AD_SLOTS][AIDASH_CLIENT_ID_MAX + 1]; /* [h] client_ids */
static struct ad_cold ad_cold[AD_SLOTS];
static struct ad_pending ad_pending[AIDASH_PENDING];
static uint8_t ad_scratch[AD_SCRATCH];  /* [h] what was just read */
static uint8_t ad_reply[AD_OUT_CAP];    /* [h] what one client is answered */
static size_t ad_reply_len;             /* [h] */
static jsmntok_t ad_tokens[AD_TOKENS];  /* [h] */
static _Alignas(16) uint8_t ad_arena[AIDASH_ARENA_BYTES]; /* section 11 */
static _Atomic bool ad_running;
static char ad_error_text[256]; /* of the starting thread */

/* ==== 4 UTIL ============================================================= */

/* Time, log and bounded text, for every section. Any thread. */

static uint64_t ad_clock_ns(clockid_t clock)
{
    struct timespec ts;

    (void)clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * AD_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static const char *const ad_log_names[] = {"", "error", "warn", "info",
                                           "debug"};

/* One line to the configured log. Never a payload, never under a lock. */
static void AD_PRINTF(2, 3)
    ad_log(enum aidash_log_level level, const char *fmt, ...)
{
    char line[512];
    va_list args;

    if (level > ad_set.log_level) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    if (ad_set.config.on_log != NULL) {
        ad_set.config.on_log(level, line, ad_set.config.user);
    } else if (level == AIDASH_LOG_INFO) {
        (void)fprintf(stderr, "aidash: %s\n", line);
    } else {
        (void)fprintf(stderr, "aidash: %s: %s\n", ad_log_names[level], line);
    }
}

/* Text built in a buffer of fixed size. What does not fit is left out, and
 * `full` says so. */
struct ad_text {
    char *at;
    size_t len, cap;
    bool full;
};

static struct ad_text ad_text_in(void *buffer, size_t cap)
{
    struct ad_text text = {buffer, 0, cap, false};

    return text;
}

static void ad_put(struct ad_text *t, const char *s, size_t len)
{
    if (len > t->cap - t->len) {
        t->full = true;
        return;
    }
    memcpy(t->at + t->len, s, len);
    t->len += len;
}

static void ad_puts(struct ad_text *t, const char *s)
{
    ad_put(t, s, strlen(s));
}

/* printf for text that is not on the tick path. */
static void AD_PRINTF(2, 3) ad_putf(struct ad_text *t, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(t->at + t->len, t->cap - t->len, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= t->cap - t->len) {
        t->full = true;
        return;
    }
    t->len += (size_t)n;
}

static void ad_put_u64(struct ad_text *t, uint64_t value)
{
    char digits[20];
    size_t n = sizeof(digits);

    do {
        digits[--n] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    ad_put(t, digits + n, sizeof(digits) - n);
}

/* units / 10^decimals, without trailing zeros. */
static void ad_put_decimal(struct ad_text *t, uint64_t units, int decimals)
{
    uint64_t scale = 1;
    char digits[8];
    size_t n = 0;
    int i;

    for (i = 0; i < decimals; i++) {
        scale *= 10;
    }
    ad_put_u64(t, units / scale);
    units %= scale;
    if (units == 0) {
        return;
    }
    digits[n++] = '.';
    while (units != 0) {
        scale /= 10;
        digits[n++] = (char)('0' + units / scale);
        units %= scale;
    }
    ad_put(t, digits, n);
}

/* value >= 0, rounded to 10^-decimals; value x 10^decimals below 2^63. */
static void ad_put_fixed(struct ad_text *t, double value, int decimals)
{
    double scale = 1;
    int i;

    for (i = 0; i < decimals; i++) {
        scale *= 10;
    }
    ad_put_decimal(t, (uint64_t)(value * scale + 0.5), decimals);
}

/* RFC 8259 7: the text of a JSON string, without its quotes. */
static void ad_put_escaped(struct ad_text *t, const char *s, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    char escape[6] = {'\\', 'u', '0', '0', 0, 0};
    size_t i;

    for (i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c == '"' || c == '\\') {
            escape[1] = (char)c;
            ad_put(t, escape, 2);
            escape[1] = 'u';
        } else if (c < 0x20) {
            escape[4] = hex[c >> 4];
            escape[5] = hex[c & 15];
            ad_put(t, escape, 6);
        } else {
            ad_put(t, s + i, 1);
        }
    }
}

static void ad_put_string(struct ad_text *t, const char *s)
{
    ad_put(t, "\"", 1);
    ad_put_escaped(t, s, strlen(s));
    ad_put(t, "\"", 1);
}

/* ==== 5 CODEC ============================================================ */

/* Pure functions from bytes to bytes: no sockets, no locks, no clock. What the
 * unit tests and the fuzzers call. */

/* RFC 3629: well-formed UTF-8, no surrogates, nothing beyond U+10FFFF. */
static bool ad_utf8_ok(const uint8_t *s, size_t len)
{
    size_t i = 0;

    while (i < len) {
        uint8_t c = s[i++];
        unsigned more;
        uint8_t low = 0x80, high = 0xBF; /* of the first continuation byte */

        if (c < 0x80) {
            continue;
        } else if (c >= 0xC2 && c <= 0xDF) {
            more = 1;
        } else if (c >= 0xE0 && c <= 0xEF) {
            more = 2;
            low = c == 0xE0 ? 0xA0 : 0x80;
            high = c == 0xED ? 0x9F : 0xBF;
        } else if (c >= 0xF0 && c <= 0xF4) {
            more = 3;
            low = c == 0xF0 ? 0x90 : 0x80;
            high = c == 0xF4 ? 0x8F : 0xBF;
        } else {
            return false;
        }
        for (; more > 0; more--) {
            if (i == len || s[i] < low || s[i] > high) {
                return false;
            }
            i++;
            low = 0x80;
            high = 0xBF;
        }
    }
    return true;
}

static bool ad_is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* The value of a hexadecimal digit, or -1. */
static int ad_hex(int c)
{
    if (ad_is_digit(c)) {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Length of the JSON string at s (quotes included), 0 if it is none. */
static size_t ad_json_string(const char *s, size_t len)
{
    size_t i;

    if (len == 0 || s[0] != '"') {
        return 0;
    }
    for (i = 1; i < len; i++) {
        if (s[i] == '"') {
            return i + 1;
        }
        if ((unsigned char)s[i] < 0x20) {
            return 0;
        }
        if (s[i] != '\\') {
            continue;
        }
        if (++i == len) {
            return 0;
        }
        if (s[i] == 'u') {
            unsigned k;

            for (k = 0; k < 4; k++) {
                if (++i >= len || ad_hex(s[i]) < 0) {
                    return 0;
                }
            }
        } else if (strchr("\"\\/bfnrt", s[i]) == NULL || s[i] == '\0') {
            return 0;
        }
    }
    return 0;
}

/* Length of the JSON number at s, 0 if it is none. RFC 8259 6. */
static size_t ad_json_number(const char *s, size_t len)
{
    size_t i = 0, from;

    if (i < len && s[i] == '-') {
        i++;
    }
    from = i;
    while (i < len && ad_is_digit(s[i])) {
        i++;
    }
    if (i == from || (s[from] == '0' && i > from + 1)) {
        return 0;
    }
    if (i < len && s[i] == '.') {
        from = ++i;
        while (i < len && ad_is_digit(s[i])) {
            i++;
        }
        if (i == from) {
            return 0;
        }
    }
    if (i < len && (s[i] == 'e' || s[i] == 'E')) {
        i++;
        if (i < len && (s[i] == '+' || s[i] == '-')) {
            i++;
        }
        from = i;
        while (i < len && ad_is_digit(s[i])) {
            i++;
        }
        if (i == from) {
            return 0;
        }
    }
    return i;
}

static size_t ad_json_literal(const char *s, size_t len)
{
    static const char *const words[] = {"true", "false", "null"};
    size_t i;

    for (i = 0; i < AD_COUNT(words); i++) {
        size_t n = strlen(words[i]);

        if (len >= n && memcmp(s, words[i], n) == 0) {
            return n;
        }
    }
    return 0;
}

static size_t ad_json_space(const char *s, size_t len)
{
    size_t i = 0;

    while (i < len && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' ||
                       s[i] == '\r')) {
        i++;
    }
    return i;
}

/* What is wrong with a JSON text, or NULL. jsmn's strict mode still takes
 * {"a"}, {,}, [01] and [1 2]; this checks the whole grammar of RFC 8259, its
 * UTF-8 (8.1) and the depth. */
static const char *ad_json_fault(const char *s, size_t len)
{
    bool object[AD_DEPTH_MAX];
    unsigned depth = 0;
    size_t i = 0, n;
    bool key = false, open = false; /* a key comes next; just after { or [ */

    if (!ad_utf8_ok((const uint8_t *)s, len)) {
        return "not valid UTF-8";
    }
    for (;;) {
        i += ad_json_space(s + i, len - i);
        if (i == len) {
            return "the JSON text ends too early";
        }
        if (open && s[i] == (object[depth - 1] ? '}' : ']')) {
            i++;
            depth--;
            open = false;
        } else if (key) {
            n = ad_json_string(s + i, len - i);
            if (n == 0) {
                return "a key is not a JSON string";
            }
            i += n;
            i += ad_json_space(s + i, len - i);
            if (i == len || s[i] != ':') {
                return "a key without a colon";
            }
            i++;
            key = open = false;
            continue;
        } else if (s[i] == '{' || s[i] == '[') {
            if (depth == AD_DEPTH_MAX) {
                return "nested too deep";
            }
            object[depth] = key = s[i] == '{';
            depth++;
            open = true;
            i++;
            continue;
        } else {
            n = ad_json_string(s + i, len - i);
            n = n != 0 ? n : ad_json_number(s + i, len - i);
            n = n != 0 ? n : ad_json_literal(s + i, len - i);
            if (n == 0) {
                return "not a JSON value";
            }
            i += n;
            open = false;
        }
        /* A value has ended: what may follow depends on what it is in. */
        for (;;) {
            i += ad_json_space(s + i, len - i);
            if (depth == 0) {
                return i == len ? NULL : "more after the JSON value";
            }
            if (i == len) {
                return "the JSON text ends too early";
            }
            if (s[i] == ',') {
                i++;
                key = object[depth - 1];
                break;
            }
            if (s[i] != (object[depth - 1] ? '}' : ']')) {
                return "a comma or a closing bracket is missing";
            }
            i++;
            depth--;
        }
    }
}

/* Tokenize a JSON object from outside into ad_tokens. Returns NULL, or what is
 * wrong. Hub thread (or a test). */
static const char *ad_json_object(const char *s, size_t len)
{
    const char *fault = ad_json_fault(s, len);
    jsmn_parser parser;

    if (fault != NULL) {
        return fault;
    }
    if (s[ad_json_space(s, len)] != '{') {
        return "not a JSON object";
    }
    jsmn_init(&parser);
    if (jsmn_parse(&parser, s, len, ad_tokens, AD_TOKENS) < 1) {
        return "too many values";
    }
    return NULL;
}

static bool ad_json_is_null(const char *s, const jsmntok_t *t)
{
    return t->type == JSMN_PRIMITIVE && s[t->start] == 'n';
}

static bool ad_json_is_number(const char *s, const jsmntok_t *t)
{
    return t->type == JSMN_PRIMITIVE &&
           (s[t->start] == '-' || ad_is_digit(s[t->start]));
}

/* A checked JSON number as a double, to a few units in the last place. Not
 * strtod(): that one obeys the program's locale. Huge exponents saturate. */
static double ad_json_double(const char *s, const jsmntok_t *t)
{
    const char *end = s + t->end;
    bool negative = s[t->start] == '-', fraction = false;
    uint64_t digits = 0;
    int scale = 0, exponent = 0;
    double value;

    for (s += t->start + negative; s < end && *s != 'e' && *s != 'E'; s++) {
        if (*s == '.') {
            fraction = true;
        } else if (digits < UINT64_MAX / 10 - 1) {
            digits = digits * 10 + (uint64_t)(*s - '0');
            scale -= fraction;
        } else {
            scale += !fraction;
        }
    }
    if (s < end) {
        bool minus = *++s == '-';

        for (s += *s == '-' || *s == '+'; s < end; s++) {
            if (exponent < 10000) {
                exponent = exponent * 10 + (*s - '0');
            }
        }
        scale += minus ? -exponent : exponent;
    }
    value = (double)digits;
    scale = digits == 0 ? 0 : scale;
    for (; scale > 0 && value < 1e300; scale--) {
        value *= 10;
    }
    if (scale < 0) { /* one division, so that 118.3 is the nearest double */
        double power = 1;

        for (; scale < 0 && power < 1e300; scale++) {
            power *= 10;
        }
        value = scale < 0 ? 0 : value / power;
    }
    return negative ? -value : value;
}

/* A checked JSON number in 0..max as an integer; false if it is none. */
static bool ad_json_u64(const char *s, const jsmntok_t *t, uint64_t max,
                        uint64_t *value)
{
    int i;

    if (!ad_json_is_number(s, t)) {
        return false;
    }
    *value = 0;
    for (i = t->start; i < t->end; i++) {
        if (!ad_is_digit(s[i]) || *value > max / 10) {
            return false;
        }
        *value = *value * 10 + (uint64_t)(s[i] - '0');
    }
    return *value <= max;
}

static size_t ad_utf8_put(char *out, unsigned long code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 63));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 63));
        out[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 63));
    out[2] = (char)(0x80 | (code >> 6 & 63));
    out[3] = (char)(0x80 | (code & 63));
    return 4;
}

/* A \uXXXX escape (or a pair of surrogates) at s, which points behind the
 * backslash. Returns the characters read, 0 for half a pair. */
static size_t ad_json_code(const char *s, size_t len, unsigned long *code)
{
    unsigned long unit[2] = {0, 0};
    size_t n, k;

    for (n = 0; n < 2 && len >= n * 6 + 5; n++) {
        if (s[n * 6] != 'u') {
            break;
        }
        for (k = 1; k <= 4; k++) {
            unit[n] = unit[n] << 4 | (unsigned long)ad_hex(s[n * 6 + k]);
        }
        if (unit[0] < 0xD800 || unit[0] > 0xDFFF) {
            *code = unit[0];
            return 5;
        }
        if (len < 11 || s[5] != '\\') {
            return 0;
        }
    }
    if (n < 2 || unit[0] > 0xDBFF || unit[1] < 0xDC00 || unit[1] > 0xDFFF) {
        return 0;
    }
    *code = 0x10000 + ((unit[0] - 0xD800) << 10) + (unit[1] - 0xDC00);
    return 11;
}

/* Decode a checked JSON string into out[max + 1]. False if it is longer than
 * max bytes, holds half a surrogate pair, or a control character. */
static bool ad_json_name(const char *s, const jsmntok_t *t, char *out,
                         size_t max)
{
    size_t i = (size_t)t->start, end = (size_t)t->end, n = 0;

    if (t->type != JSMN_STRING) {
        return false;
    }
    while (i < end) {
        unsigned long code = (unsigned char)s[i];
        char bytes[4] = {s[i]};
        size_t len = 1;

        i++;
        if (code == '\\') {
            static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

            if (s[i] == 'u') {
                size_t used = ad_json_code(s + i, end - i, &code);

                if (used == 0) {
                    return false;
                }
                i += used;
                len = ad_utf8_put(bytes, code);
            } else {
                code = (unsigned char)to[strchr(from, s[i]) - from];
                bytes[0] = (char)code;
                i++;
            }
        }
        if (code < 0x20 || code == 0x7F || n + len > max) {
            return false;
        }
        memcpy(out + n, bytes, len);
        n += len;
    }
    out[n] = '\0';
    return true;
}

/* Is this token the string `word` (of at most 31 bytes), escaped or not? */
static bool ad_json_equals(const char *s, const jsmntok_t *t, const char *word)
{
    char text[32];

    return ad_json_name(s, t, text, sizeof(text) - 1) &&
           strcmp(text, word) == 0;
}

/* The value of a key of the tokenized object, or NULL. The last of several
 * counts, as in JavaScript. */
static const jsmntok_t *ad_json_get(const char *s, const char *key)
{
    const jsmntok_t *found = NULL, *t = ad_tokens + 1;
    int i;

    for (i = 0; i < ad_tokens[0].size; i++) {
        const jsmntok_t *value = t + 1;
        const jsmntok_t *end = ad_tokens + AD_TOKENS;

        if (ad_json_equals(s, t, key)) {
            found = value;
        }
        /* The next key is the first token that starts after the value. */
        for (t = value + 1; t < end && t->start < value->end; t++) {
        }
    }
    return found;
}

/* A name from a C string: 1..max bytes of UTF-8 without control characters. */
static bool ad_name_ok(const char *s, size_t len, size_t max)
{
    size_t i;

    if (len == 0 || len > max || !ad_utf8_ok((const uint8_t *)s, len)) {
        return false;
    }
    for (i = 0; i < len; i++) {
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7F) {
            return false;
        }
    }
    return true;
}

/* Limits of a sample's numbers, as aidash.h and contract.schema.json say. */
#define AD_TOKENS_LIMIT 1000000000ull
#define AD_TOTAL_LIMIT (1ull << 53)
#define AD_LATENCY_LIMIT 1e9
#define AD_RATE_LIMIT 1e12
#define AD_TIME_LIMIT 1e11

/* A number of 0..max from the tokenized object into *value, noting it in
 * `has`. Returns false if it is there and wrong; null counts as not there. */
static bool ad_sample_number(const char *s, const char *key, double max,
                             double *value, unsigned *has, unsigned bit)
{
    const jsmntok_t *t = ad_json_get(s, key);

    if (t == NULL || ad_json_is_null(s, t)) {
        return true;
    }
    if (!ad_json_is_number(s, t)) {
        return false;
    }
    *value = ad_json_double(s, t);
    *has |= bit;
    return *value >= 0 && *value <= max;
}

static bool ad_sample_integer(const char *s, const char *key, uint64_t max,
                              uint64_t *value, unsigned *has, unsigned bit)
{
    const jsmntok_t *t = ad_json_get(s, key);

    if (t == NULL || ad_json_is_null(s, t)) {
        return true;
    }
    *has |= bit;
    return ad_json_u64(s, t, max, value);
}

/* One ingest line into a sample. Returns NULL, or what is wrong (static text).
 * Hub thread (or a test). */
static const char *ad_sample_parse(const char *s, size_t len,
                                   struct ad_sample *out)
{
    const char *fault = ad_json_object(s, len);
    const jsmntok_t *t;
    double seconds = 0;

    memset(out, 0, sizeof(*out));
    if (fault != NULL) {
        return fault;
    }
    t = ad_json_get(s, "model");
    if (t != NULL && (!ad_json_name(s, t, out->model, AIDASH_MODEL_MAX) ||
                      out->model[0] == '\0')) {
        return "\"model\" must be a string of 1 to 63 bytes";
    }
    t = ad_json_get(s, "node");
    if (t != NULL && (!ad_json_name(s, t, out->node, AIDASH_NODE_MAX) ||
                      out->node[0] == '\0')) {
        return "\"node\" must be a string of 1 to 31 bytes";
    }
    if (!ad_sample_integer(s, "tokens", AD_TOKENS_LIMIT, &out->tokens,
                           &out->has, AD_HAS_TOKENS)) {
        return "\"tokens\" must be an integer from 0 to 1e9";
    }
    if (!ad_sample_integer(s, "tokens_generated", AD_TOTAL_LIMIT, &out->total,
                           &out->has, AD_HAS_TOTAL)) {
        return "\"tokens_generated\" must be an integer from 0 to 2^53";
    }
    if (!ad_sample_number(s, "latency_ms", AD_LATENCY_LIMIT, &out->latency_ms,
                          &out->has, AD_HAS_LATENCY)) {
        return "\"latency_ms\" must be a number from 0 to 1e9";
    }
    if (!ad_sample_number(s, "tokens_per_second", AD_RATE_LIMIT, &out->rate,
                          &out->has, AD_HAS_RATE)) {
        return "\"tokens_per_second\" must be a number from 0 to 1e12";
    }
    if (!ad_sample_number(s, "timestamp", AD_TIME_LIMIT, &seconds, &out->has,
                          AD_HAS_TIME)) {
        return "\"timestamp\" must be Unix seconds from 0 to 1e11";
    }
    out->time_us = (uint64_t)(seconds * 1e6 + 0.5);
    if ((out->has & (AD_HAS_TOKENS | AD_HAS_TOTAL | AD_HAS_LATENCY)) == 0) {
        return "one of \"tokens\", \"tokens_generated\" and \"latency_ms\" is "
               "needed";
    }
    return NULL;
}

/* A command as it came. `id` is the raw JSON text of its "id". */
struct ad_request {
    enum aidash_action action;
    char model[AIDASH_MODEL_MAX + 1];
    char id[AD_ID_MAX + 1];
};

static const char *const ad_action_names[] = {"", "switch_model", "pause",
                                              "resume"};

/* Parse a command. Returns NULL, or the error's code with its sentence in *why.
 * `id` is filled in as soon as it is known, also for a refused command. */
static const char *ad_request_parse(const char *s, size_t len,
                                    struct ad_request *out, const char **why)
{
    const char *fault = ad_json_fault(s, len);
    const jsmntok_t *t;
    size_t i;

    memset(out, 0, sizeof(*out));
    *why = fault;
    if (fault != NULL) {
        return "invalid_json";
    }
    *why = ad_json_object(s, len);
    if (*why != NULL) {
        return strcmp(*why, "too many values") == 0 ? "invalid_json"
                                                    : "invalid_command";
    }
    t = ad_json_get(s, "id");
    if (t != NULL) {
        int quotes = t->type == JSMN_STRING;
        int from = t->start - quotes, to = t->end + quotes;
        bool number = ad_json_is_number(s, t) &&
                      memchr(s + from, '.', (size_t)(to - from)) == NULL &&
                      memchr(s + from, 'e', (size_t)(to - from)) == NULL &&
                      memchr(s + from, 'E', (size_t)(to - from)) == NULL;

        if ((quotes == 0 && !number) || to - from > AD_ID_MAX) {
            *why = "\"id\" must be an integer, or a string of at most 64 bytes";
            return "invalid_command";
        }
        memcpy(out->id, s + from, (size_t)(to - from));
    }
    t = ad_json_get(s, "action");
    if (t == NULL || t->type != JSMN_STRING) {
        *why = "\"action\" must be a string: switch_model, pause or resume";
        return "invalid_command";
    }
    for (i = 1; i < AD_COUNT(ad_action_names); i++) {
        if (ad_json_equals(s, t, ad_action_names[i])) {
            out->action = (enum aidash_action)i;
        }
    }
    if (out->action == 0) {
        *why = "the action is unknown; known are switch_model, pause, resume";
        return "unknown_action";
    }
    if (out->action == AIDASH_SWITCH_MODEL) {
        t = ad_json_get(s, "model");
        if (t == NULL ||
            !ad_json_name(s, t, out->model, AIDASH_MODEL_MAX) ||
            out->model[0] == '\0') {
            *why = "\"model\" must be a string of 1 to 63 bytes";
            return "invalid_command";
        }
    }
    return NULL;
}

/* Percent-decode a path segment (RFC 3986 2.1) into a client_id: 1 to 64 of
 * [A-Za-z0-9._~-]. "." and ".." are no names there (RFC 3986 5.2.4). */
static bool ad_client_id(const char *s, size_t len,
                         char out[AIDASH_CLIENT_ID_MAX + 1])
{
    size_t i, n = 0;

    for (i = 0; i < len; i++) {
        int c = (unsigned char)s[i];

        if (c == '%') {
            if (len - i < 3 || ad_hex(s[i + 1]) < 0 || ad_hex(s[i + 2]) < 0) {
                return false;
            }
            c = ad_hex(s[i + 1]) << 4 | ad_hex(s[i + 2]);
            i += 2;
        }
        if (n == AIDASH_CLIENT_ID_MAX ||
            !(ad_is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
              c == '.' || c == '_' || c == '~' || c == '-')) {
            return false;
        }
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return n > 0 && strcmp(out, ".") != 0 && strcmp(out, "..") != 0;
}

/* RFC 6455 5.2: decode a client's frame header. Returns 0 (done, in *frame), a
 * positive number of bytes still missing, or minus a close code. */
static int ad_ws_header(const uint8_t *h, size_t n, struct ad_ws_frame *frame)
{
    uint64_t len;
    unsigned more;

    if (n < 2) {
        return (int)(2 - n);
    }
    frame->fin = (h[0] & 0x80) != 0;
    frame->opcode = h[0] & 0x0F;
    if ((h[0] & 0x70) != 0 || (h[1] & 0x80) == 0) {
        return -1002; /* RSV bits without an extension; or not masked (5.1) */
    }
    len = h[1] & 0x7F;
    if (frame->opcode >= 8) {
        if (frame->opcode > 10 || !frame->fin || len > 125) {
            return -1002; /* 5.5: control frames are short and whole */
        }
    } else if (frame->opcode > 2) {
        return -1002; /* reserved */
    }
    more = len == 126 ? 2 : len == 127 ? 8 : 0;
    frame->header_len = 2 + more + 4;
    if (n < 2 + more) {
        return (int)(2 + more - n);
    }
    if (more != 0) {
        unsigned i;

        for (len = 0, i = 0; i < more; i++) {
            len = len << 8 | h[2 + i];
        }
        if ((more == 8 && len >> 63) || len < (more == 2 ? 126u : 65536u)) {
            return -1002; /* 5.2: top bit 0, and the shortest form */
        }
    }
    if (len > AIDASH_MESSAGE_MAX) {
        return -1009; /* whatever is declared, nothing is allocated */
    }
    if (n < frame->header_len) {
        return (int)(frame->header_len - n);
    }
    memcpy(frame->mask, h + 2 + more, 4);
    frame->len = (uint32_t)len;
    return 0;
}

/* RFC 6455 5.3, for a piece that begins `at` bytes into the payload. */
static void ad_ws_unmask(uint8_t *out, const uint8_t *in, size_t len,
                         const uint8_t mask[4], uint32_t at)
{
    size_t i;

    for (i = 0; i < len; i++) {
        out[i] = in[i] ^ mask[(at + i) & 3];
    }
}

/* RFC 6455 7.4: may this code stand in a close frame? */
static bool ad_ws_close_ok(unsigned code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 &&
            code != 1006) ||
           (code >= 3000 && code <= 4999);
}

/* A server's frame header (never masked) for a payload below 64 kB into h[4].
 * Returns its length. */
static size_t ad_ws_frame_header(uint8_t h[4], unsigned opcode, size_t len)
{
    h[0] = (uint8_t)(0x80 | opcode);
    if (len < 126) {
        h[1] = (uint8_t)len;
        return 2;
    }
    h[1] = 126;
    h[2] = (uint8_t)(len >> 8);
    h[3] = (uint8_t)len;
    return 4;
}

/* Length of the header of a frame of ours that is n bytes long in all. */
static size_t ad_ws_frame_header_len(size_t n)
{
    return n - 2 < 126 ? 2 : 4;
}

/* Take body bytes off a stream. Returns how many of `len` were used; *data and
 * *n are the piece of body among them (n may be 0). Call until all is used or
 * the state is AD_BODY_DONE or AD_BODY_BAD. */
static size_t ad_body_next(struct ad_body *b, const uint8_t *in, size_t len,
                           const uint8_t **data, size_t *n)
{
    size_t i = 0;

    *n = 0;
    while (i < len && b->state != AD_BODY_DONE && b->state != AD_BODY_BAD) {
        uint8_t c = in[i];

        switch (b->state) {
        case AD_BODY_LENGTH:
        case AD_BODY_CHUNK_DATA:
            *data = in + i;
            *n = len - i < b->left ? len - i : (size_t)b->left;
            b->left -= *n;
            if (b->left == 0) {
                b->state = b->state == AD_BODY_LENGTH ? AD_BODY_DONE
                                                      : AD_BODY_CHUNK_END;
            }
            return i + *n;
        case AD_BODY_CHUNK_SIZE: /* at most 15 digits: 60 bits */
            if (ad_hex(c) >= 0 && b->digits < 15) {
                b->left = b->left << 4 | (uint64_t)ad_hex(c);
                b->digits++;
                break;
            }
            b->state = b->digits == 0 ? AD_BODY_BAD : AD_BODY_CHUNK_EXT;
            if (c != '\r' && c != '\n' && c != ';' && c != ' ' && c != '\t') {
                b->state = AD_BODY_BAD;
            }
            continue;
        case AD_BODY_CHUNK_EXT:
            if (c == '\n') {
                b->state = b->left == 0 ? AD_BODY_TRAILER : AD_BODY_CHUNK_DATA;
                b->line_empty = true;
            }
            break;
        case AD_BODY_CHUNK_END:
            if (c == '\n') {
                b->state = AD_BODY_CHUNK_SIZE;
                b->digits = 0;
            } else if (c != '\r') {
                b->state = AD_BODY_BAD;
            }
            break;
        case AD_BODY_TRAILER:
            if (c == '\n') {
                b->state = b->line_empty ? AD_BODY_DONE : AD_BODY_TRAILER;
                b->line_empty = true;
            } else if (c != '\r') {
                b->line_empty = false;
            }
            break;
        default:
            break;
        }
        i++;
    }
    return i;
}

/* Cut the next line out of a stream. Lines are gathered in buf (of AD_LINE_CAP
 * bytes); *line points there or into `in` when a whole line
 * lies in it. Returns how many bytes were used. *ended: a line has ended;
 * *n is its length without CR LF, or SIZE_MAX if it was too long. */
static size_t ad_lines_next(struct ad_lines *l, uint8_t *buf,
                            const uint8_t *in, size_t len,
                            const uint8_t **line, size_t *n, bool *ended)
{
    const uint8_t *newline = memchr(in, '\n', len);
    size_t piece = newline != NULL ? (size_t)(newline - in) : len;

    *ended = newline != NULL;
    if (l->len == 0 && !l->skip && newline != NULL) {
        *line = in;
        *n = piece;
    } else {
        if (piece > AD_LINE_CAP - l->len) {
            l->skip = true;
        } else {
            memcpy(buf + l->len, in, piece);
            l->len += (uint32_t)piece;
        }
        *line = buf;
        *n = l->len;
    }
    if (*ended) {
        if (*n > 0 && (*line)[*n - 1] == '\r') {
            (*n)--;
        }
        if (l->skip || *n > AIDASH_MESSAGE_MAX) {
            *n = SIZE_MAX;
        }
        l->len = 0;
        l->skip = false;
        l->line++;
    }
    return piece + *ended;
}

/* Add a step of `tokens` that ended now and took step_ns. */
static void ad_rate_add(struct ad_rate *r, uint64_t tokens, uint64_t now_ns,
                        uint64_t step_ns)
{
    const uint64_t window_ns = AD_RATE_WINDOW_MS * AD_NS_PER_MS;
    unsigned last;

    while (r->n > 0 && now_ns - r->at_ns[r->first] >= window_ns) {
        r->sum -= r->tokens[r->first];
        r->first = (r->first + 1) % AD_RATE_SLOTS;
        r->n--;
    }
    if (r->n == 0) { /* a new run: it began when this step began */
        r->start_ns = now_ns - (step_ns < window_ns ? step_ns : window_ns);
        r->sum = 0;
    }
    r->sum += tokens;
    last = (r->first + r->n - 1) % AD_RATE_SLOTS;
    if (r->n > 0 && now_ns - r->at_ns[last] < window_ns / AD_RATE_SLOTS) {
        r->tokens[last] += tokens;
        return;
    }
    if (r->n == AD_RATE_SLOTS) { /* slots are 1/64 window apart: cannot last */
        r->sum -= r->tokens[r->first];
        r->first = (r->first + 1) % AD_RATE_SLOTS;
        r->n--;
    }
    last = (r->first + r->n++) % AD_RATE_SLOTS;
    r->at_ns[last] = now_ns;
    r->tokens[last] = tokens;
}

/* Tokens a second over the window, or over the run when that is younger. */
static double ad_rate_get(const struct ad_rate *r, uint64_t now_ns)
{
    uint64_t span = now_ns - r->start_ns;

    if (span > AD_RATE_WINDOW_MS * AD_NS_PER_MS) {
        span = AD_RATE_WINDOW_MS * AD_NS_PER_MS;
    }
    if (span < AD_RATE_SPAN_MIN_MS * AD_NS_PER_MS) {
        span = AD_RATE_SPAN_MIN_MS * AD_NS_PER_MS;
    }
    return (double)r->sum * (double)AD_NS_PER_S / (double)span;
}

/* The document's tick, its six fields in their order for ever. Fixed text is
 * 135 bytes, numbers are at most 70, names at most 190. */
static void ad_tick_encode(struct ad_text *t, const struct ad_series *s,
                           double latency_ms, double rate, uint64_t time_us)
{
    ad_puts(t, "{\"event\":\"inference_tick\",\"model\":\"");
    ad_put(t, s->model_json, s->model_json_len);
    ad_puts(t, "\",\"tokens_generated\":");
    ad_put_u64(t, s->tokens);
    ad_puts(t, ",\"latency_ms\":");
    ad_put_fixed(t, latency_ms, 3);
    ad_puts(t, ",\"tokens_per_second\":");
    ad_put_fixed(t, rate, 2);
    ad_puts(t, ",\"timestamp\":");
    ad_put_decimal(t, time_us, 6);
    if (s->node_json_len != 0) {
        ad_puts(t, ",\"node\":\"");
        ad_put(t, s->node_json, s->node_json_len);
        ad_puts(t, "\"");
    }
    ad_puts(t, "}");
}
_Static_assert(AD_TICK_MAX >= 135 + 70 + AD_MODEL_JSON_MAX + AD_NODE_JSON_MAX,
               "a tick's JSON fits AD_TICK_MAX");

/* ==== 6 FEED ============================================================= */

/* The inbox takes samples from any thread; the feed and its dressed forms are
 * the hub's alone. Both are rings that lose their oldest when full. */

/* The turn at which the cell for position `at` may be filled. */
static size_t ad_inbox_turn(size_t at)
{
    return at / AIDASH_INBOX * 2;
}

/* Take the oldest sample (out may be NULL to drop it). Any thread. */
static bool ad_inbox_pop(struct ad_sample *out)
{
    size_t at = atomic_load_explicit(&ad_inbox.head, memory_order_relaxed);

    for (;;) {
        struct ad_inbox_cell *cell = &ad_inbox.cells[at % AIDASH_INBOX];
        size_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);

        if (turn == ad_inbox_turn(at) + 1) {
            if (atomic_compare_exchange_weak_explicit(
                    &ad_inbox.head, &at, at + 1, memory_order_relaxed,
                    memory_order_relaxed)) {
                if (out != NULL) {
                    *out = cell->sample;
                }
                atomic_store_explicit(&cell->turn, turn + 1,
                                      memory_order_release);
                return true;
            }
        } else if ((ptrdiff_t)(turn - ad_inbox_turn(at)) <= 0) {
            return false;
        } else {
            at = atomic_load_explicit(&ad_inbox.head, memory_order_relaxed);
        }
    }
}

/* Add a sample; a full inbox loses its oldest, counted. Any thread. */
static void ad_inbox_push(const struct ad_sample *sample)
{
    size_t at = atomic_load_explicit(&ad_inbox.tail, memory_order_relaxed);

    for (;;) {
        struct ad_inbox_cell *cell = &ad_inbox.cells[at % AIDASH_INBOX];
        size_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);

        if (turn == ad_inbox_turn(at)) {
            if (atomic_compare_exchange_weak_explicit(
                    &ad_inbox.tail, &at, at + 1, memory_order_relaxed,
                    memory_order_relaxed)) {
                cell->sample = *sample;
                atomic_store_explicit(&cell->turn, turn + 1,
                                      memory_order_release);
                return;
            }
            continue;
        }
        if ((ptrdiff_t)(turn - ad_inbox_turn(at)) < 0 && ad_inbox_pop(NULL)) {
            atomic_fetch_add_explicit(&ad_inbox.dropped, 1,
                                      memory_order_relaxed);
        }
        at = atomic_load_explicit(&ad_inbox.tail, memory_order_relaxed);
    }
}

static size_t ad_inbox_fill(void)
{
    return atomic_load_explicit(&ad_inbox.tail, memory_order_relaxed) -
           atomic_load_explicit(&ad_inbox.head, memory_order_relaxed);
}

static const char *const ad_event_names[] = {"inference_tick", "status"};
_Static_assert(AD_COUNT(ad_event_names) == AD_EV_KINDS, "each kind has a name");

static void ad_feed_init(void)
{
    ad_feed.first = ad_feed.next = 1;
    ad_feed.off[1] = 0;
    ad_dress.form = AD_FREE;
}

/* Where frame seq begins, first <= seq <= next. */
static uint64_t ad_feed_off(uint64_t seq)
{
    return ad_feed.off[seq % AIDASH_EVENTS];
}

static uint8_t ad_feed_kind(uint64_t seq)
{
    return ad_feed.kind[seq % AIDASH_EVENTS];
}

/* The frame that the byte at offset `off` belongs to. */
static uint64_t ad_feed_seq_at(uint64_t off)
{
    uint64_t low = ad_feed.first, high = ad_feed.next;

    while (high - low > 1) {
        uint64_t mid = low + (high - low) / 2;

        if (ad_feed_off(mid) <= off) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return low;
}

/* The bytes [off, off + len) as one or two pieces. */
static unsigned ad_feed_pieces(uint64_t off, size_t len, struct iovec out[2])
{
    size_t at = (size_t)(off % AIDASH_FEED_BYTES);
    size_t rest = AIDASH_FEED_BYTES - at;

    out[0].iov_base = ad_feed.bytes + at;
    out[0].iov_len = len < rest ? len : rest;
    if (len <= rest) {
        return 1;
    }
    out[1].iov_base = ad_feed.bytes;
    out[1].iov_len = len - rest;
    return 2;
}

static void ad_feed_copy(uint64_t off, size_t len, void *out)
{
    struct iovec piece[2];
    unsigned i, n = ad_feed_pieces(off, len, piece);

    for (i = 0; i < n; i++) {
        memcpy(out, piece[i].iov_base, piece[i].iov_len);
        out = (uint8_t *)out + piece[i].iov_len;
    }
}

/* Append an event's JSON as a finished text frame; the oldest frames that it
 * overruns are gone. len <= AD_EVENT_MAX. */
static void ad_feed_append(enum ad_event kind, const char *json, size_t len)
{
    uint8_t header[4];
    size_t header_len = ad_ws_frame_header(header, 1, len);
    uint64_t off = ad_feed_off(ad_feed.next);
    uint64_t end = off + header_len + len;
    struct iovec piece[2];

    /* One entry of off[] more than there are frames marks the end. */
    while (end - ad_feed_off(ad_feed.first) > AIDASH_FEED_BYTES ||
           ad_feed.next - ad_feed.first >= AIDASH_EVENTS - 1) {
        ad_feed.first++;
    }
    if (ad_feed_pieces(off, header_len + len, piece) == 1) {
        memcpy(piece[0].iov_base, header, header_len);
        memcpy((uint8_t *)piece[0].iov_base + header_len, json, len);
    } else {
        size_t i;

        for (i = 0; i < header_len + len; i++) {
            ad_feed.bytes[(off + i) % AIDASH_FEED_BYTES] =
                i < header_len ? header[i] : (uint8_t)json[i - header_len];
        }
    }
    ad_feed.kind[ad_feed.next % AIDASH_EVENTS] = (uint8_t)kind;
    ad_feed.next++;
    ad_feed.off[ad_feed.next % AIDASH_EVENTS] = end;
}

/* Where event seq's JSON lies. */
static size_t ad_feed_json(uint64_t seq, uint64_t *off)
{
    size_t n = (size_t)(ad_feed_off(seq + 1) - ad_feed_off(seq));
    size_t header_len = ad_ws_frame_header_len(n);

    *off = ad_feed_off(seq) + header_len;
    return n - header_len;
}

static void ad_put_feed(struct ad_text *t, uint64_t off, size_t len)
{
    if (len > t->cap - t->len) {
        t->full = true;
        return;
    }
    ad_feed_copy(off, len, t->at + t->len);
    t->len += len;
}

/* The unit from `seq` on as a batch frame of as many ticks as fit, or as the
 * one frame that it is. Returns the first event after it. */
static uint64_t ad_dress_batch(struct ad_text *t, uint64_t seq)
{
    const size_t tail = 2; /* ]} */
    size_t start = t->len, off_len;
    uint64_t from = seq, off;
    uint8_t header[4];

    if (ad_feed_kind(seq) != AD_EV_TICK || seq + 1 == ad_feed.next ||
        ad_feed_kind(seq + 1) != AD_EV_TICK) {
        ad_put_feed(t, ad_feed_off(seq),
                    (size_t)(ad_feed_off(seq + 1) - ad_feed_off(seq)));
        return seq + 1;
    }
    ad_put(t, "    ", 4); /* for the header, once the length is known */
    ad_puts(t, "{\"event\":\"batch\",\"seq\":");
    ad_put_u64(t, seq);
    ad_puts(t, ",\"ticks\":[");
    for (; seq != ad_feed.next && ad_feed_kind(seq) == AD_EV_TICK; seq++) {
        off_len = ad_feed_json(seq, &off);
        if (t->len - start - 4 + 1 + off_len + tail > AD_BATCH_MAX) {
            break;
        }
        ad_put(t, ",", seq != from);
        ad_put_feed(t, off, off_len);
    }
    ad_put(t, "]}", tail);
    if (!t->full) { /* two ticks or more: always the 16-bit length */
        (void)ad_ws_frame_header(header, 1, t->len - start - 4);
        memcpy(t->at + start, header, 4);
    }
    return seq;
}

/* One event for EventSource (HTML Living Standard, 9.2.5). */
static uint64_t ad_dress_sse(struct ad_text *t, uint64_t seq)
{
    uint64_t off;
    size_t len = ad_feed_json(seq, &off);

    ad_puts(t, "id: ");
    ad_put_u64(t, seq);
    ad_puts(t, "\nevent: ");
    ad_puts(t, ad_event_names[ad_feed_kind(seq)]);
    ad_puts(t, "\ndata: ");
    ad_put_feed(t, off, len);
    ad_puts(t, "\n\n");
    return seq + 1;
}

/* Dress what a client in `form` has not got from event `from` on into
 * ad_dress, as far as it has room; nothing to do when the client before was
 * at the same place. */
static void ad_dress_range(enum ad_kind form, uint64_t from)
{
    struct ad_text t = ad_text_in(ad_dress.bytes, sizeof(ad_dress.bytes));
    uint64_t seq = from;

    if (ad_dress.form == form && ad_dress.from == from &&
        ad_dress.next == ad_feed.next) {
        return;
    }
    ad_dress.form = (uint8_t)form;
    ad_dress.from = from;
    ad_dress.next = ad_feed.next;
    ad_dress.n = 0;
    ad_dress.len = 0;
    while (seq != ad_feed.next && ad_dress.n < AD_UNITS) {
        seq = form == AD_SSE ? ad_dress_sse(&t, seq) : ad_dress_batch(&t, seq);
        if (t.full) {
            break;
        }
        ad_dress.end[ad_dress.n] = ad_dress.len = t.len;
        ad_dress.seq[ad_dress.n++] = seq;
    }
}
_Static_assert(AD_SCRATCH >= 4 * (AD_EVENT_MAX + 100) &&
               AD_SCRATCH >= 4 * (AD_BATCH_MAX + 4),
               "each dressing makes progress");

/* One element of GET /ticks for a client: the next tick from *seq on, with a
 * comma unless it is the first. False when none is left. */
static bool ad_dress_tick(struct ad_text *t, uint64_t *seq, uint64_t until,
                          bool first)
{
    uint64_t off;
    size_t len;

    while (*seq < until && ad_feed_kind(*seq) != AD_EV_TICK) {
        (*seq)++;
    }
    if (*seq >= until) {
        return false;
    }
    len = ad_feed_json(*seq, &off);
    ad_put(t, ",", !first);
    ad_put_feed(t, off, len);
    (*seq)++;
    return true;
}

/* ==== 7 HUB ============================================================== */

/* The hub thread runs ad_hub_main() and owns everything marked [h]. It never
 * waits for a peer: every socket is non-blocking, and what a peer does not take
 * is dropped from the old end. */

/* -- the poller: three functions, over epoll or poll() ---------------------- */

enum { AD_IN = 1, AD_OUT = 2 };

/* What a descriptor is, and its place in that table. */
enum ad_tag { AD_TAG_WAKE, AD_TAG_TIMER, AD_TAG_LISTENER, AD_TAG_UDP,
              AD_TAG_STDIN, AD_TAG_PENDING, AD_TAG_CLIENT };

struct ad_ready {
    enum ad_tag tag;
    unsigned index;
};

enum { AD_READY_MAX = 128 };

#if !AIDASH_USE_POLL

static struct {
    int epoll, timer;
    uint64_t armed_ns;
} ad_poll;

static bool ad_poll_open(void)
{
    struct epoll_event event = {EPOLLIN | EPOLLET, {0}};

    event.data.u64 = AD_TAG_TIMER;
    ad_poll.armed_ns = 0;
    ad_poll.epoll = epoll_create1(EPOLL_CLOEXEC);
    ad_poll.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return ad_poll.epoll >= 0 && ad_poll.timer >= 0 &&
           epoll_ctl(ad_poll.epoll, EPOLL_CTL_ADD, ad_poll.timer, &event) == 0;
}

static void ad_poll_close(void)
{
    (void)close(ad_poll.timer);
    (void)close(ad_poll.epoll);
}

/* Watch fd for `want` instead of `had` (AD_IN, AD_OUT, 0: not at all). */
static bool ad_poll_set(int fd, unsigned had, unsigned want, enum ad_tag tag,
                        unsigned index)
{
    struct epoll_event event = {0, {0}};
    int op = had == 0 ? EPOLL_CTL_ADD : want == 0 ? EPOLL_CTL_DEL
                                                  : EPOLL_CTL_MOD;

    event.events = ((want & AD_IN) != 0 ? (uint32_t)EPOLLIN : 0) |
                   ((want & AD_OUT) != 0 ? (uint32_t)EPOLLOUT : 0);
    event.data.u64 = (uint64_t)index << 8 | (uint64_t)tag;
    return epoll_ctl(ad_poll.epoll, op, fd, &event) == 0;
}

/* Wait until deadline_ns (monotonic; 0: just look) or for a descriptor. */
static unsigned ad_poll_wait(uint64_t deadline_ns,
                             struct ad_ready out[AD_READY_MAX])
{
    struct epoll_event events[AD_READY_MAX];
    unsigned used = 0;
    int i, n;

    if (deadline_ns != 0 && deadline_ns != ad_poll.armed_ns) {
        struct itimerspec at = {{0, 0}, {0, 0}};

        at.it_value.tv_sec = (time_t)(deadline_ns / AD_NS_PER_S);
        at.it_value.tv_nsec = (long)(deadline_ns % AD_NS_PER_S);
        (void)timerfd_settime(ad_poll.timer, TFD_TIMER_ABSTIME, &at, NULL);
        ad_poll.armed_ns = deadline_ns;
    }
    n = epoll_wait(ad_poll.epoll, events, AD_READY_MAX,
                   deadline_ns == 0 ? 0 : -1);
    for (i = 0; i < n; i++) {
        out[used].tag = (enum ad_tag)(events[i].data.u64 & 0xFF);
        out[used].index = (unsigned)(events[i].data.u64 >> 8);
        if (out[used].tag == AD_TAG_TIMER) {
            ad_poll.armed_ns = 0;
        } else {
            used++;
        }
    }
    return used;
}

#else

enum { AD_POLL_MAX = AD_SLOTS + AIDASH_PENDING + AD_LISTENERS + 8 };

static struct {
    unsigned n, start;
    struct pollfd fds[AD_POLL_MAX];
    struct ad_ready tags[AD_POLL_MAX];
} ad_poll;

static bool ad_poll_open(void)
{
    ad_poll.n = ad_poll.start = 0;
    return true;
}

static void ad_poll_close(void)
{
}

static bool ad_poll_set(int fd, unsigned had, unsigned want, enum ad_tag tag,
                        unsigned index)
{
    unsigned i;

    for (i = 0; had != 0 && ad_poll.fds[i].fd != fd; i++) {
    }
    if (had == 0) {
        i = ad_poll.n++;
    }
    if (want == 0) {
        ad_poll.n--;
        ad_poll.fds[i] = ad_poll.fds[ad_poll.n];
        ad_poll.tags[i] = ad_poll.tags[ad_poll.n];
        return true;
    }
    ad_poll.fds[i].fd = fd;
    ad_poll.fds[i].events = (short)(((want & AD_IN) != 0 ? POLLIN : 0) |
                                    ((want & AD_OUT) != 0 ? POLLOUT : 0));
    ad_poll.tags[i].tag = tag;
    ad_poll.tags[i].index = index;
    return true;
}

static unsigned ad_poll_wait(uint64_t deadline_ns,
                             struct ad_ready out[AD_READY_MAX])
{
    uint64_t now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    uint64_t wait_ms = 0;
    unsigned i, used = 0;

    if (deadline_ns > now_ns) {
        wait_ms = (deadline_ns - now_ns + AD_NS_PER_MS - 1) / AD_NS_PER_MS;
    }
    if (poll(ad_poll.fds, ad_poll.n, (int)wait_ms) <= 0) {
        return 0;
    }
    for (i = 0; i < ad_poll.n && used < AD_READY_MAX; i++) {
        unsigned k = (ad_poll.start + i) % ad_poll.n;

        if (ad_poll.fds[k].revents != 0) {
            out[used++] = ad_poll.tags[k];
        }
    }
    ad_poll.start = (ad_poll.start + i) % ad_poll.n;
    return used;
}

#endif

/* -- waking the hub, and running a function on it: other threads ------------ */

static void ad_wake(void)
{
    static const uint64_t one = 1;

    if (atomic_exchange(&ad_hub.sleep, AD_AWAKE) != AD_AWAKE) {
        /* Full means that it is awake already. */
        ssize_t ignored = write(ad_hub.wake_wr, &one, sizeof(one));

        (void)ignored;
    }
}

/* Run call->run(call) on the hub thread and wait for its end. Not from there.
 * The hub outlives civetweb's workers, so each call is answered. */
static void ad_hub_run(struct ad_call *call)
{
    (void)sem_init(&call->done, 0, 0);
    call->next = atomic_load(&ad_hub.calls);
    while (!atomic_compare_exchange_weak(&ad_hub.calls, &call->next, call)) {
    }
    ad_wake();
    while (sem_wait(&call->done) != 0) {
    }
    (void)sem_destroy(&call->done);
}

/* Promise a slot to a connection; false when all are taken. class 0: viewers,
 * 1: exchanges. */
static bool ad_slot_take(unsigned class)
{
    static const int max[2] = {AIDASH_CLIENTS, AIDASH_EXCHANGES};
    int taken = atomic_load(&ad_hub.slots_taken[class]);

    while (taken < max[class]) {
        if (atomic_compare_exchange_weak(&ad_hub.slots_taken[class], &taken,
                                         taken + 1)) {
            return true;
        }
    }
    return false;
}

static void ad_slot_return(unsigned class)
{
    atomic_fetch_sub(&ad_hub.slots_taken[class], 1);
}

static unsigned ad_kind_class(enum ad_kind kind)
{
    return kind == AD_WS || kind == AD_WS_BATCH || kind == AD_SSE ? 0 : 1;
}

/* -- events that the hub itself makes -------------------------------------- */

static const char *ad_model_name(void)
{
    return ad_hub.n_models > 0 ? ad_hub.models[ad_hub.model] : "";
}

static void ad_put_models(struct ad_text *t)
{
    unsigned i;

    ad_puts(t, "\"model\":");
    ad_put_string(t, ad_model_name());
    ad_puts(t, ",\"models\":[");
    for (i = 0; i < ad_hub.n_models; i++) {
        ad_put(t, ",", i > 0);
        ad_put_string(t, ad_hub.models[i]);
    }
    ad_puts(t, ad_hub.paused ? "],\"paused\":true" : "],\"paused\":false");
}

static void ad_put_source(struct ad_text *t)
{
    static const char *const names[] = {"none", "sim", "stdin"};
    bool ended = ad_set.source == AD_SOURCE_STDIN && !ad_hub.stdin_open;

    ad_puts(t, ",\"source\":");
    ad_put_string(t, names[ad_set.source]);
    ad_puts(t, ",\"source_state\":");
    ad_put_string(t, ad_set.source == AD_SOURCE_NONE ? "none"
                     : ended                         ? "ended"
                                                     : "running");
    ad_puts(t, ",\"rate_hz\":");
    ad_put_fixed(t, ad_set.source == AD_SOURCE_SIM ? ad_set.rate_hz : 0, 3);
}

/* Append an event to the feed and hand it to the tap. */
static void ad_event_append(enum ad_event kind, const struct ad_text *t)
{
    const unsigned n = (unsigned)AD_COUNT(ad_hub.burst_ns);
    uint64_t *slot = &ad_hub.burst_ns[ad_feed.next % n];

    /* Ten events in a tenth of a second make batches worth while. */
    ad_hub.batching = ad_hub.now_ns - *slot < AD_NS_PER_S * n / AD_BATCH_RATE;
    *slot = ad_hub.now_ns;
    ad_feed_append(kind, t->at, t->len);
    if (ad_set.config.on_event != NULL) {
        ad_set.config.on_event(t->at, t->len, ad_set.config.user);
    }
}

/* Tell everybody that the model, the pause or the source changed. */
static void ad_status_append(void)
{
    char json[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    ad_puts(&t, "{\"event\":\"status\",\"seq\":");
    ad_put_u64(&t, ad_feed.next);
    ad_puts(&t, ",");
    ad_put_models(&t);
    ad_put_source(&t);
    ad_puts(&t, "}");
    ad_event_append(AD_EV_STATUS, &t);
}

static void ad_put_hello(struct ad_text *t, const char *client_id,
                         uint64_t next_seq)
{
    ad_puts(t, "{\"event\":\"hello\",\"server\":\"aidash\",\"version\":\""
               AIDASH_VERSION "\",\"client_id\":");
    ad_put_string(t, client_id);
    ad_puts(t, ",\"started\":");
    ad_put_decimal(t, ad_hub.start_us, 6);
    ad_puts(t, ",");
    ad_put_models(t);
    ad_put_source(t);
    ad_putf(t,
            ",\"next_seq\":%llu,\"limits\":{\"message_bytes\":%d,"
            "\"backlog_events\":%u,\"clients\":%d,\"ping_s\":%d,"
            "\"silence_s\":%d,\"stall_s\":%d}}",
            (unsigned long long)next_seq, AIDASH_MESSAGE_MAX,
            ad_set.backlog, AIDASH_CLIENTS, AD_PING_MS / 1000,
            AD_SILENCE_MS / 1000, AD_STALL_MS / 1000);
}

/* -- clients: slots, and bytes out ----------------------------------------- */

/* A free slot: one that was used before, so that its pages are there already,
 * or the next new one. A promise was made, so there is one. */
static unsigned ad_client_slot(void)
{
    unsigned slot = ad_hub.free_slot;

    if (slot == AD_NO_SLOT) {
        return ad_hub.n_slots++;
    }
    ad_hub.free_slot = ad_clients[slot].live;
    return slot;
}

static unsigned ad_client_index(const struct ad_client *c)
{
    return (unsigned)(c - ad_clients);
}

static struct ad_cold *ad_client_cold(const struct ad_client *c)
{
    return &ad_cold[ad_client_index(c)];
}

static void ad_client_become(struct ad_client *c, enum ad_kind kind)
{
    ad_hub.n_open += (c->kind == AD_FREE) - (unsigned)(kind == AD_FREE);
    ad_hub.n_kind[c->kind]--;
    ad_hub.n_kind[kind]++;
    c->kind = (uint8_t)kind;
}

/* Take the client out of the fan-out. */
static void ad_client_unlive(struct ad_client *c)
{
    if (c->live != AD_NO_SLOT) {
        uint16_t last = ad_hub.live[--ad_hub.n_live];

        ad_hub.live[c->live] = last;
        ad_clients[last].live = c->live;
        c->live = AD_NO_SLOT;
    }
}

/* Is there room for one more answer behind what is unsent? Nothing is read from
 * a client before there is. */
static bool ad_client_room(const struct ad_client *c)
{
    return AD_OUT_CAP - c->out_len - ad_reply_len >= AD_REPLY_MAX + 4;
}

/* Watch for what the client can do next. */
static void ad_client_watch(struct ad_client *c)
{
    unsigned want = (ad_client_room(c) && !c->deaf ? AD_IN : 0u) |
                    (c->blocked ? AD_OUT : 0u);

    if (want != c->events) {
        (void)ad_poll_set(c->fd, c->events, want, AD_TAG_CLIENT,
                          ad_client_index(c));
        c->events = (uint8_t)want;
    }
}

/* Close at once. The slot is free afterwards. */
static void ad_client_drop(struct ad_client *c)
{
    ad_client_unlive(c);
    ad_slot_return(c->viewer ? 0 : 1);
    if (c->events != 0) {
        (void)ad_poll_set(c->fd, c->events, 0, AD_TAG_CLIENT, 0);
        c->events = 0;
    }
    (void)close(c->fd);
    ad_client_become(c, AD_FREE);
    c->live = ad_hub.free_slot;
    ad_hub.free_slot = (uint16_t)ad_client_index(c);
}

/* All is said and sent: our FIN, then the peer's within AD_LINGER_MS. Closing
 * at once would reset the connection if the peer still sends, and a reset can
 * overtake our last words. */
static void ad_client_finish(struct ad_client *c)
{
    if (c->deaf) {
        ad_client_drop(c);
        return;
    }
    ad_client_unlive(c);
    ad_client_become(c, AD_LINGER);
    c->rx_ms = ad_hub.now_ms;
    (void)shutdown(c->fd, SHUT_WR);
}

/* Put what is in ad_reply behind the client's unsent bytes, or straight to the
 * socket when there are none. False if the client is gone. */
static bool ad_client_say(struct ad_client *c)
{
    const uint8_t *at = ad_reply;
    size_t len = ad_reply_len;
    struct ad_cold *cold;

    ad_reply_len = 0;
    if (len > 0 && c->out_len == 0 && !c->blocked) {
        ssize_t n = send(c->fd, at, len, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            ad_client_drop(c);
            return false;
        }
        c->tx_ms = ad_hub.now_ms;
        if (n > 0) {
            ad_hub.count.bytes_sent += (uint64_t)n;
            at += n;
            len -= (size_t)n;
        }
        c->blocked = len > 0;
    }
    if (len > 0) {
        cold = ad_client_cold(c);
        if (c->out_at > 0) {
            memmove(cold->out, cold->out + c->out_at, c->out_len);
            c->out_at = 0;
        }
        if (len > AD_OUT_CAP - c->out_len) {
            ad_client_drop(c);
            return false;
        }
        memcpy(cold->out + c->out_len, at, len);
        c->out_len += (uint32_t)len;
    }
    if (c->closing && c->out_len == 0) {
        ad_client_finish(c);
    }
    if (c->kind != AD_FREE) {
        ad_client_watch(c);
    }
    return c->kind != AD_FREE;
}

/* Bytes to ad_reply; what does not fit there is a mistake of ours. */
static void ad_reply_add(const void *bytes, size_t len)
{
    if (len <= sizeof(ad_reply) - ad_reply_len) {
        memcpy(ad_reply + ad_reply_len, bytes, len);
        ad_reply_len += len;
    }
}

/* A frame of this client alone to ad_reply. */
static void ad_reply_frame(unsigned opcode, const void *payload, size_t len)
{
    uint8_t header[4];

    ad_reply_add(header, ad_ws_frame_header(header, opcode, len));
    ad_reply_add(payload, len);
}

/* An event of this client alone to ad_reply, in the client's form. */
static void ad_reply_event(const struct ad_client *c, const char *name,
                           const struct ad_text *json)
{
    if (c->kind == AD_SSE) {
        ad_reply_add("event: ", 7);
        ad_reply_add(name, strlen(name));
        ad_reply_add("\ndata: ", 7);
        ad_reply_add(json->at, json->len);
        ad_reply_add("\n\n", 2);
    } else {
        ad_reply_frame(1, json->at, json->len);
    }
}

/* Begin to close a WebSocket. RFC 6455 7.4.1; code 0: no code was given. */
static void ad_client_close(struct ad_client *c, unsigned code)
{
    uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};

    ad_reply_frame(8, payload, code == 0 ? 0 : 2);
    c->closing = true;
    ad_client_unlive(c);
}

/* A client that is more than `keep` events behind jumps to the oldest of them
 * and is told what it lost. */
static void ad_client_catch_up(struct ad_client *c, uint64_t keep)
{
    uint64_t behind = ad_feed.next - c->next;
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    if (behind <= keep) {
        return;
    }
    ad_hub.count.dropped += behind - keep;
    c->next = ad_feed.next - keep;
    if (c->kind == AD_POLL) {
        c->missed += (uint32_t)(behind - keep);
        return;
    }
    c->dropped += (uint32_t)(behind - keep);
    ad_putf(&t, "{\"event\":\"status\",\"dropped\":%u,\"next_seq\":%llu}",
            c->dropped, (unsigned long long)c->next);
    ad_reply_event(c, "status", &t);
    (void)ad_client_say(c);
}

/* The next elements of GET /ticks into ad_dress. */
static void ad_client_dress_ticks(const struct ad_client *c)
{
    struct ad_text t = ad_text_in(ad_dress.bytes, sizeof(ad_dress.bytes));
    uint64_t seq = c->next;

    ad_dress.form = AD_POLL;
    ad_dress.n = 0;
    ad_dress.len = 0;
    while (ad_dress.n < AD_UNITS && ad_dress.n < c->limit &&
           ad_dress_tick(&t, &seq, c->until, !c->started && ad_dress.n == 0) &&
           !t.full) {
        ad_dress.end[ad_dress.n] = ad_dress.len = t.len;
        ad_dress.seq[ad_dress.n++] = seq;
    }
}

/* All elements of GET /ticks are sent: the end of its JSON. */
static void ad_client_end_ticks(struct ad_client *c)
{
    char tail[64];
    struct ad_text t = ad_text_in(tail, sizeof(tail));

    ad_putf(&t, "],\"last_seq\":%llu,\"missed\":%u}",
            (unsigned long long)(c->limit == 0 ? c->next - 1 : c->until - 1),
            c->missed);
    ad_reply_add(t.at, t.len);
    c->closing = true;
    (void)ad_client_say(c);
}

/* Account for n bytes that the socket took of: the unsent bytes, then the feed
 * or its dressed form. The rest of a frame that was cut goes to the unsent
 * bytes, so that the cursor is always at a frame's start. */
static void ad_client_took(struct ad_client *c, size_t n, bool dressed)
{
    struct ad_cold *cold = ad_client_cold(c);
    size_t out = n < c->out_len ? n : c->out_len;
    unsigned u = 0;

    c->out_at += (uint32_t)out;
    c->out_len -= (uint32_t)out;
    n -= out;
    if (c->out_len > 0) {
        return;
    }
    c->out_at = 0;
    if (n == 0) {
        return;
    }
    if (!dressed) {
        uint64_t off = ad_feed_off(c->next) + n;

        if (off == ad_feed_off(ad_feed.next)) {
            c->next = ad_feed.next;
            return;
        }
        c->next = ad_feed_seq_at(off);
        if (off > ad_feed_off(c->next)) {
            c->next++;
            c->out_len = (uint32_t)(ad_feed_off(c->next) - off);
            ad_feed_copy(off, c->out_len, cold->out);
        }
        return;
    }
    while (u < ad_dress.n && ad_dress.end[u] < n) {
        u++;
    }
    c->out_len = (uint32_t)(ad_dress.end[u] - n);
    memcpy(cold->out, ad_dress.bytes + n, c->out_len);
    c->next = ad_dress.seq[u];
    if (c->kind == AD_POLL) {
        c->started = true;
        c->limit -= u + 1;
    }
}

/* Send a client all that it has not got, as far as its socket takes it. */
static void ad_client_flush(struct ad_client *c)
{
    while (c->kind != AD_FREE && !c->blocked) {
        bool streams = c->live != AD_NO_SLOT ||
                       (c->kind == AD_POLL && !c->closing);
        bool dressed = c->kind == AD_SSE || c->kind == AD_POLL ||
                       (c->kind == AD_WS_BATCH && ad_hub.batching);
        struct iovec iov[3];
        unsigned n_iov = 0, i;
        struct msghdr message;
        size_t len = 0;
        ssize_t n;

        if (streams && c->next < ad_feed.first) {
            ad_client_catch_up(c, ad_feed.next - ad_feed.first);
            continue;
        }
        if (c->out_len > 0) {
            iov[n_iov].iov_base = ad_client_cold(c)->out + c->out_at;
            iov[n_iov++].iov_len = c->out_len;
        }
        if (streams && c->kind == AD_POLL) {
            ad_client_dress_ticks(c);
            if (ad_dress.n == 0) {
                ad_client_end_ticks(c);
                continue;
            }
        } else if (streams && dressed && c->next != ad_feed.next) {
            ad_dress_range((enum ad_kind)c->kind, c->next);
        } else if (streams && c->next != ad_feed.next) {
            uint64_t off = ad_feed_off(c->next);

            n_iov += ad_feed_pieces(
                off, (size_t)(ad_feed_off(ad_feed.next) - off), iov + n_iov);
            dressed = false;
        } else {
            dressed = false;
        }
        if (dressed) {
            iov[n_iov].iov_base = ad_dress.bytes;
            iov[n_iov++].iov_len = ad_dress.len;
        }
        if (n_iov == 0) {
            break;
        }
        for (i = 0; i < n_iov; i++) {
            len += iov[i].iov_len;
        }
        if (n_iov == 1) {
            n = send(c->fd, iov[0].iov_base, len, MSG_NOSIGNAL);
        } else {
            memset(&message, 0, sizeof(message));
            message.msg_iov = iov;
            message.msg_iovlen = n_iov;
            n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            ad_client_drop(c);
            return;
        }
        if (n > 0) {
            ad_hub.count.bytes_sent += (uint64_t)n;
            ad_client_took(c, (size_t)n, dressed);
        }
        c->tx_ms = ad_hub.now_ms;
        c->blocked = n < 0 ? errno == EAGAIN : (size_t)n < len;
    }
    if (c->kind == AD_FREE) {
        return;
    }
    if (c->next == ad_feed.next) {
        c->resuming = false;
    }
    if (c->closing && c->out_len == 0 && c->kind != AD_LINGER) {
        ad_client_finish(c);
    }
    if (c->kind != AD_FREE) {
        ad_client_watch(c);
    }
}

/* Hand every client what it has not got. Under load this comes in paces of at
 * least AD_PACE_FACTOR times what it takes, so that frames join and the hub
 * has time for the rest; a lone tick goes out at once. */
static void ad_fanout(void)
{
    uint64_t start_ns = ad_clock_ns(CLOCK_MONOTONIC), took_ns;
    bool batch_due = start_ns >= ad_hub.batch_ns;
    unsigned i = 0;

    ad_hub.now_ms = (uint32_t)(start_ns / AD_NS_PER_MS);
    ad_hub.fanned = ad_feed.next;
    ad_hub.batch_waits = false;
    ad_hub.count.fanouts++;
    while (i < ad_hub.n_live) {
        uint16_t slot = ad_hub.live[i];
        struct ad_client *c = &ad_clients[slot];

        if (c->blocked || c->next == ad_feed.next) {
            /* nothing to do now */
        } else if (c->kind == AD_WS_BATCH && ad_hub.batching && !batch_due) {
            ad_hub.batch_waits = true;
        } else {
            ad_client_flush(c);
        }
        /* A client that left was replaced by the last one. */
        i += i < ad_hub.n_live && ad_hub.live[i] == slot;
    }
    if (batch_due) {
        ad_hub.batch_ns = start_ns + AD_BATCH_MS * AD_NS_PER_MS;
    }
    took_ns = ad_clock_ns(CLOCK_MONOTONIC) - start_ns;
    took_ns = took_ns * AD_PACE_FACTOR;
    took_ns = took_ns < AD_PACE_MIN_NS ? AD_PACE_MIN_NS : took_ns;
    took_ns = took_ns > AD_PACE_MAX_NS ? AD_PACE_MAX_NS : took_ns;
    ad_hub.pace_ns = start_ns + took_ns;
}

/* -- ticks ------------------------------------------------------------------ */

/* The index of a model that viewers can switch to, or n_models. */
static unsigned ad_model_find(const char *name)
{
    unsigned i = 0;

    while (i < ad_hub.n_models && strcmp(ad_hub.models[i], name) != 0) {
        i++;
    }
    return i;
}

/* The counters of a model on a node; a new pair takes the place of the one
 * that was silent longest. */
static struct ad_series *ad_series_get(const char *model, const char *node)
{
    struct ad_series *oldest = ad_series;
    struct ad_text t;
    unsigned i;

    for (i = 0; i < ad_hub.n_series; i++) {
        struct ad_series *s = &ad_series[i];

        if (strcmp(s->model, model) == 0 && strcmp(s->node, node) == 0) {
            return s;
        }
        if (s->last_ns < oldest->last_ns) {
            oldest = s;
        }
    }
    if (ad_hub.n_series < AIDASH_SERIES) {
        oldest = &ad_series[ad_hub.n_series++];
    }
    memset(oldest, 0, sizeof(*oldest));
    memcpy(oldest->model, model, strlen(model));
    memcpy(oldest->node, node, strlen(node));
    t = ad_text_in(oldest->model_json, sizeof(oldest->model_json));
    ad_put_escaped(&t, model, strlen(model));
    oldest->model_json_len = (unsigned)t.len;
    t = ad_text_in(oldest->node_json, sizeof(oldest->node_json));
    ad_put_escaped(&t, node, strlen(node));
    oldest->node_json_len = (unsigned)t.len;
    return oldest;
}

/* Complete a sample and make it an event; at_ns is when it happened on the
 * monotonic clock. While paused it is counted, not sent. */
static void ad_tick_apply(const struct ad_sample *in, uint64_t at_ns)
{
    char json[AD_TICK_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));
    const char *model = in->model[0] != '\0' ? in->model : ad_model_name();
    struct ad_series *s;
    double latency_ms = in->latency_ms;
    uint64_t added = in->tokens, time_us = in->time_us;

    if (model[0] == '\0') {
        model = "default";
    }
    if (ad_set.learn_models && ad_hub.n_models < AIDASH_MODELS &&
        in->node[0] == '\0' && ad_model_find(model) == ad_hub.n_models) {
        memcpy(ad_hub.models[ad_hub.n_models], model, strlen(model) + 1);
        ad_hub.n_models++;
        ad_status_append();
    }
    s = ad_series_get(model, in->node);
    if ((in->has & AD_HAS_TOTAL) != 0) {
        added = in->total > s->tokens ? in->total - s->tokens : 0;
        s->tokens = in->total;
    } else {
        s->tokens += added;
    }
    if ((in->has & AD_HAS_LATENCY) == 0 && s->last_ns != 0) {
        latency_ms = (double)(at_ns - s->last_ns) / (double)AD_NS_PER_MS;
    }
    s->last_ns = at_ns;
    ad_rate_add(&s->rate, added, at_ns,
                (uint64_t)(latency_ms * (double)AD_NS_PER_MS));
    if (ad_hub.paused) {
        ad_hub.count.paused_dropped++;
        return;
    }
    if ((in->has & AD_HAS_TIME) == 0) {
        time_us = ad_hub.now_us - (ad_hub.now_ns - at_ns) / 1000;
    }
    ad_tick_encode(&t, s, latency_ms,
                   (in->has & AD_HAS_RATE) != 0 ? in->rate
                                                : ad_rate_get(&s->rate, at_ns),
                   time_us);
    ad_hub.count.ticks++;
    ad_event_append(AD_EV_TICK, &t);
    if (ad_feed.next - ad_hub.fanned >= AD_JOIN_MAX) {
        ad_fanout();
    }
}

/* One line from outside. Returns NULL, or what is wrong with it. */
static const char *ad_ingest(const uint8_t *line, size_t len)
{
    struct ad_sample sample;
    const char *fault = "longer than the line limit";

    if (len != SIZE_MAX) {
        fault = ad_sample_parse((const char *)line, len, &sample);
    }
    ad_hub.count.ingest_lines++;
    if (fault != NULL) {
        ad_hub.count.ingest_errors++;
        return fault;
    }
    ad_tick_apply(&sample, ad_hub.now_ns);
    return NULL;
}

static bool ad_is_blank(const uint8_t *line, size_t len)
{
    return len != SIZE_MAX && ad_json_space((const char *)line, len) == len;
}

/* splitmix64 (Steele, Lea, Flood 2014): the simulator's random numbers. */
static uint64_t ad_sim_random(void)
{
    uint64_t z = ad_hub.sim_state += 0x9E3779B97F4A7C15ull;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

/* One tick of the simulated engine: latency gauss(120, 20) ms, at least 50;
 * 1 to 5 tokens. The sum of 12 uniforms has variance 1 (Irwin-Hall). */
static void ad_sim_tick(struct ad_sample *out)
{
    double sum = 0;
    int i;

    for (i = 0; i < 12; i++) {
        sum += (double)(ad_sim_random() >> 11) / 9007199254740992.0; /* 2^53 */
    }
    memset(out, 0, sizeof(*out));
    out->latency_ms = 120 + 20 * (sum - 6);
    out->latency_ms = out->latency_ms < 50 ? 50 : out->latency_ms;
    out->tokens = 1 + ad_sim_random() % 5;
    out->has = AD_HAS_TOKENS | AD_HAS_LATENCY;
}

/* Make the ticks that are due; at rates above the wake-ups', several. After a second's standstill (the process was
 * stopped) the rhythm starts anew. */
static void ad_sim_run(void)
{
    struct ad_sample sample;

    if (ad_hub.now_ns > ad_hub.sim_due_ns + AD_NS_PER_S + ad_hub.sim_step_ns) {
        ad_hub.sim_due_ns = ad_hub.now_ns;
    }
    while (ad_hub.sim_due_ns <= ad_hub.now_ns) {
        uint64_t due_ns = ad_hub.sim_due_ns;

        /* A lone tick is made now, however late the timer was. */
        ad_hub.sim_due_ns += ad_hub.sim_step_ns;
        if (!ad_hub.paused) {
            ad_sim_tick(&sample);
            ad_tick_apply(&sample, ad_hub.sim_due_ns > ad_hub.now_ns
                                       ? ad_hub.now_ns
                                       : due_ns);
        }
    }
}

static void ad_inbox_run(void)
{
    struct ad_sample sample;
    unsigned i;

    for (i = 0; i < AD_DRAIN_MAX && ad_inbox_pop(&sample); i++) {
        ad_tick_apply(&sample, ad_hub.now_ns);
    }
}

static void ad_stdin_read(void)
{
    const uint8_t *line, *at = ad_scratch;
    ssize_t got = read(STDIN_FILENO, ad_scratch, sizeof(ad_scratch));
    size_t n = 0, left = got > 0 ? (size_t)got : 0;
    bool ended = false;

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0 && ad_hub.stdin_lines.len > 0) { /* the last has no LF */
        ad_scratch[0] = '\n';
        left = 1;
    }
    while (left > 0) {
        size_t used = ad_lines_next(&ad_hub.stdin_lines, ad_hub.stdin_line, at,
                                    left, &line, &n, &ended);

        at += used;
        left -= used;
        if (ended && !ad_is_blank(line, n)) {
            const char *fault = ad_ingest(line, n);
            uint64_t errors = ad_hub.count.ingest_errors;

            /* The first ten, then less and less: the log is not the feed. */
            if (fault != NULL && (errors <= 10 || (errors & (errors - 1)) == 0)) {
                ad_log(AIDASH_LOG_WARN, "stdin line %u: %s",
                       ad_hub.stdin_lines.line, fault);
            }
        }
    }
    if (got <= 0) {
        if (!ad_hub.stdin_is_file) {
            (void)ad_poll_set(STDIN_FILENO, AD_IN, 0, AD_TAG_STDIN, 0);
        }
        ad_hub.stdin_open = false;
        ad_log(AIDASH_LOG_INFO, "stdin has ended after %u lines",
               ad_hub.stdin_lines.line);
        ad_status_append();
    }
}

/* One datagram: one or many lines. */
static void ad_udp_read(int fd)
{
    unsigned i;

    for (i = 0; i < 64; i++) {
        ssize_t got = recv(fd, ad_scratch, sizeof(ad_scratch), MSG_DONTWAIT);
        uint8_t *at = ad_scratch;
        size_t left = got > 0 ? (size_t)got : 0;

        if (got < 0) {
            return;
        }
        while (left > 0) {
            uint8_t *newline = memchr(at, '\n', left);
            size_t len = newline != NULL ? (size_t)(newline - at) : left;

            if (!ad_is_blank(at, len)) {
                (void)ad_ingest(at, len <= AIDASH_MESSAGE_MAX ? len : SIZE_MAX);
            }
            len += newline != NULL;
            at += len;
            left -= len;
        }
    }
}

/* -- commands ---------------------------------------------------------------- */

static void ad_put_error(struct ad_text *t, const char *code, const char *why,
                         const char *id)
{
    ad_puts(t, "{\"event\":\"error\",\"code\":");
    ad_put_string(t, code);
    ad_puts(t, ",\"message\":");
    ad_put_string(t, why);
    if (id[0] != '\0') {
        ad_puts(t, ",\"id\":");
        ad_puts(t, id);
    }
    ad_puts(t, "}");
}

/* Carry out a command and write its ack or error to *t. Returns the status that
 * POST /command answers: 200, 400, or 409 when the firmware refused. */
static int ad_command(const uint8_t *text, size_t len, const char *client_id,
                      struct ad_text *t)
{
    struct ad_request request;
    struct aidash_command command;
    const char *why;
    const char *code = ad_request_parse((const char *)text, len, &request,
                                        &why);
    bool paused = request.action == AIDASH_PAUSE;
    unsigned model = ad_hub.model;

    ad_hub.count.commands++;
    if (code == NULL && request.action == AIDASH_SWITCH_MODEL) {
        model = ad_model_find(request.model);
        if (model == ad_hub.n_models) {
            code = "unknown_model";
            why = "the model is not in the list that hello and status give";
        }
    }
    if (code == NULL && ad_set.config.on_command != NULL) {
        command.action = request.action;
        command.model = request.model;
        command.client_id = client_id;
        if (ad_set.config.on_command(&command, ad_set.config.user) != 0) {
            code = "refused";
            why = "the engine refused the command";
        }
    }
    if (code != NULL) {
        ad_hub.count.command_errors++;
        ad_put_error(t, code, why, request.id);
        return strcmp(code, "refused") == 0 ? 409 : 400;
    }
    if (request.action == AIDASH_SWITCH_MODEL) {
        if (model != ad_hub.model) {
            ad_hub.model = model;
            ad_status_append();
        }
    } else if (paused != ad_hub.paused) {
        ad_hub.paused = paused;
        ad_status_append();
    }
    ad_puts(t, "{\"event\":\"ack\",\"action\":");
    ad_put_string(t, ad_action_names[request.action]);
    if (request.id[0] != '\0') {
        ad_puts(t, ",\"id\":");
        ad_puts(t, request.id);
    }
    ad_puts(t, "}");
    return 200;
}

/* -- clients: WebSocket in --------------------------------------------------- */

static void ad_ws_control(struct ad_client *c, unsigned opcode,
                          const uint8_t *payload, size_t len)
{
    if (opcode == 9) {
        ad_reply_frame(10, payload, len);
    } else if (opcode == 8) {
        unsigned code = len >= 2 ? (unsigned)payload[0] << 8 | payload[1] : 0;

        if (len == 1 || (len >= 2 && !ad_ws_close_ok(code))) {
            code = 1002;
        } else if (len > 2 && !ad_utf8_ok(payload + 2, len - 2)) {
            code = 1007;
        }
        ad_client_close(c, code);
    }
}

static void ad_ws_message(struct ad_client *c, unsigned opcode,
                          const uint8_t *payload, size_t len)
{
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    if (opcode == 2) {
        ad_hub.count.command_errors++;
        ad_put_error(&t, "not_text", "commands are JSON in text messages", "");
    } else if (!ad_utf8_ok(payload, len)) {
        ad_client_close(c, 1007);
        return;
    } else {
        (void)ad_command(payload, len, ad_ids[ad_client_index(c)], &t);
    }
    ad_reply_frame(1, t.at, t.len);
}

/* May this frame come now? Returns 0 or a close code. RFC 6455 5.4. */
static unsigned ad_ws_begin(struct ad_ws *ws, const struct ad_ws_frame *frame)
{
    if (frame->opcode >= 8) {
        return 0;
    }
    if ((frame->opcode == 0) != (ws->message_opcode != 0)) {
        return 1002; /* a continuation of nothing, or a message in a message */
    }
    if (frame->len > AIDASH_MESSAGE_MAX - ws->message_len) {
        return 1009;
    }
    return 0;
}

/* The payload of ws->frame has arrived whole, in the client's cold buffers. */
static void ad_ws_end(struct ad_client *c)
{
    struct ad_cold *cold = ad_client_cold(c);
    struct ad_ws *ws = &c->in.ws;

    ws->in_payload = false;
    if (ws->frame.opcode >= 8) {
        ad_ws_control(c, ws->frame.opcode, cold->control, ws->frame.len);
        return;
    }
    if (ws->frame.opcode != 0) {
        ws->message_opcode = ws->frame.opcode;
    }
    ws->message_len += ws->frame.len;
    if (ws->frame.fin) {
        unsigned opcode = ws->message_opcode;
        size_t len = ws->message_len;

        ws->message_opcode = 0;
        ws->message_len = 0;
        ad_ws_message(c, opcode, cold->in, len);
    }
}

/* Bytes from a client, answered into ad_reply. Stops early when there is no
 * room for one more answer. Returns how many were used. A frame that lies
 * whole in `data` is unmasked there; only a split one costs the client's
 * buffers. */
static size_t ad_ws_input(struct ad_client *c, uint8_t *data, size_t len)
{
    struct ad_ws *ws = &c->in.ws;
    size_t used = 0;

    while (used < len && !c->closing && ad_client_room(c)) {
        unsigned code = 0;
        size_t n;

        if (!ws->in_payload) {
            struct ad_ws_frame frame;
            bool direct = ws->header_len == 0;
            int need;

            if (direct) {
                need = ad_ws_header(data + used, len - used, &frame);
                direct = need == 0 && frame.fin && frame.opcode != 0 &&
                         ad_ws_begin(ws, &frame) == 0 &&
                         frame.len <= len - used - frame.header_len;
            }
            if (direct) {
                uint8_t *payload = data + used + frame.header_len;

                ad_ws_unmask(payload, payload, frame.len, frame.mask, 0);
                used += frame.header_len + frame.len;
                if (frame.opcode >= 8) {
                    ad_ws_control(c, frame.opcode, payload, frame.len);
                } else {
                    ad_ws_message(c, frame.opcode, payload, frame.len);
                }
                continue;
            }
            ws->header[ws->header_len++] = data[used++];
            need = ad_ws_header(ws->header, ws->header_len, &ws->frame);
            if (need > 0) {
                continue;
            }
            code = need < 0 ? (unsigned)-need : ad_ws_begin(ws, &ws->frame);
            if (code != 0) {
                ad_client_close(c, code);
                break;
            }
            ws->header_len = 0;
            ws->got = 0;
            ws->in_payload = true;
        }
        n = ws->frame.len - ws->got;
        n = n < len - used ? n : len - used;
        ad_ws_unmask((ws->frame.opcode >= 8
                          ? ad_client_cold(c)->control
                          : ad_client_cold(c)->in + ws->message_len) +
                         ws->got,
                     data + used, n, ws->frame.mask, ws->got);
        used += n;
        ws->got += (uint32_t)n;
        if (ws->got == ws->frame.len) {
            ad_ws_end(c);
        }
    }
    return c->closing ? len : used;
}
_Static_assert(AD_REPLY_MAX >= 125 + 4, "a pong fits the room kept for answers");

/* -- clients: HTTP bodies in -------------------------------------------------- */

static const char *ad_http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"}, {204, "No Content"}, {304, "Not Modified"},
        {400, "Bad Request"}, {403, "Forbidden"}, {404, "Not Found"},
        {405, "Method Not Allowed"}, {406, "Not Acceptable"},
        {408, "Request Timeout"}, {409, "Conflict"},
        {413, "Content Too Large"}, {426, "Upgrade Required"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"}, {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"}};
    size_t i = 0;

    while (i < AD_COUNT(reasons) - 1 && reasons[i].status != status) {
        i++;
    }
    return reasons[i].status == status ? reasons[i].reason : "Error";
}

/* The head of an answer that ends with the connection. len SIZE_MAX: it has no
 * Content-Length. `extra` is whole header lines, or "". */
static void ad_put_head(struct ad_text *t, int status, const char *type,
                        size_t len, const char *extra)
{
    ad_putf(t, "HTTP/1.1 %d %s\r\n", status, ad_http_reason(status));
    if (type != NULL) {
        ad_putf(t, "Content-Type: %s\r\n", type);
    }
    if (len != SIZE_MAX) {
        ad_putf(t, "Content-Length: %zu\r\n", len);
    }
    ad_putf(t,
            "X-Content-Type-Options: nosniff\r\n"
            "Connection: close\r\n%s\r\n",
            extra);
}

static void ad_put_http_error(struct ad_text *t, int status, const char *why)
{
    ad_putf(t, "{\"error\":{\"code\":%d,\"message\":", status);
    ad_put_string(t, why);
    ad_puts(t, "}}");
}

/* The last answer of an exchange. */
static void ad_exchange_answer(struct ad_client *c, int status,
                               const struct ad_text *json)
{
    char head[AD_REPLY_MAX + AD_CORS_MAX];
    struct ad_text t = ad_text_in(head, sizeof(head));

    ad_put_head(&t, status, "application/json", json->len,
                ad_client_cold(c)->cors);
    ad_reply_add(t.at, t.len);
    ad_reply_add(json->at, json->len);
    c->closing = true;
}

static void ad_ingest_line(struct ad_client *c, const uint8_t *line, size_t len)
{
    struct ad_ingest_report *report = &ad_client_cold(c)->report;
    const char *fault;

    if (ad_is_blank(line, len)) {
        return;
    }
    fault = ad_ingest(line, len);
    if (fault == NULL) {
        report->accepted++;
        return;
    }
    report->rejected++;
    if (report->n < AD_INGEST_ERRORS) {
        report->errors[report->n].line = c->in.http.lines.line;
        report->errors[report->n].reason = fault;
        report->n++;
    }
}

/* What was gathered as one JSON object is lines after all. */
static void ad_ingest_unwhole(struct ad_client *c)
{
    struct ad_lines *lines = &c->in.http.lines;
    uint8_t *buf = ad_client_cold(c)->in, copy[AD_LINE_CAP];
    const uint8_t *line, *at = copy;
    size_t left = lines->len, n, used;
    bool ended;

    memcpy(copy, buf, left);
    c->whole = false;
    lines->len = 0;
    while (left > 0) {
        used = ad_lines_next(lines, buf, at, left, &line, &n, &ended);
        if (ended) {
            ad_ingest_line(c, line, n);
        }
        at += used;
        left -= used;
    }
}

static void ad_ingest_answer(struct ad_client *c)
{
    const struct ad_ingest_report *report = &ad_client_cold(c)->report;
    char json[AD_INGEST_ERRORS * 128 + 128];
    struct ad_text t = ad_text_in(json, sizeof(json));
    unsigned i;

    ad_putf(&t, "{\"accepted\":%llu,\"rejected\":%llu,\"errors\":[",
            (unsigned long long)report->accepted,
            (unsigned long long)report->rejected);
    for (i = 0; i < report->n; i++) {
        ad_putf(&t, "%s{\"line\":%u,\"message\":", i > 0 ? "," : "",
                report->errors[i].line);
        ad_put_string(&t, report->errors[i].reason);
        ad_puts(&t, "}");
    }
    ad_puts(&t, ad_hub.paused ? "],\"paused\":true}" : "],\"paused\":false}");
    ad_exchange_answer(
        c, report->accepted > 0 || report->rejected == 0 ? 200 : 400, &t);
}

static void ad_exchange_fail(struct ad_client *c, int status, const char *why)
{
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    ad_put_http_error(&t, status, why);
    ad_exchange_answer(c, status, &t);
}

/* The body has ended: the last line of it, or all of it, and the answer. */
static void ad_exchange_end(struct ad_client *c)
{
    struct ad_cold *cold = ad_client_cold(c);
    struct ad_lines *lines = &c->in.http.lines;
    size_t len = lines->skip || lines->len > AIDASH_MESSAGE_MAX ? SIZE_MAX
                                                                : lines->len;
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));
    int status;

    if (c->kind == AD_INGEST) {
        if (c->whole && ad_json_fault((const char *)cold->in, lines->len)) {
            ad_ingest_unwhole(c);
            len = lines->len;
        }
        lines->line++;
        ad_ingest_line(c, cold->in, len);
        ad_ingest_answer(c);
    } else if (len == SIZE_MAX) {
        ad_exchange_fail(c, 413, "a command is longer than the limit");
    } else {
        status = ad_command(cold->in, len, "", &t);
        ad_exchange_answer(c, status, &t);
    }
}

/* Bytes of a request body. Lines of an ingest stream take effect as they come;
 * other bodies are gathered whole. */
static void ad_exchange_input(struct ad_client *c, const uint8_t *data,
                              size_t len)
{
    struct ad_lines *lines = &c->in.http.lines;
    struct ad_body *body = &c->in.http.body;
    uint8_t *buf = ad_client_cold(c)->in;

    while (len > 0 && body->state != AD_BODY_DONE &&
           body->state != AD_BODY_BAD) {
        const uint8_t *piece = NULL, *line;
        size_t n, line_len, used = ad_body_next(body, data, len, &piece, &n);

        data += used;
        len -= used;
        while (n > 0) {
            bool ended = false;

            if (!c->whole) {
                used = ad_lines_next(lines, buf, piece, n, &line, &line_len,
                                     &ended);
            } else if (n > AD_LINE_CAP - lines->len) {
                used = 0;
                if (c->kind == AD_INGEST) {
                    ad_ingest_unwhole(c);
                } else {
                    lines->skip = true;
                    used = n;
                }
            } else {
                memcpy(buf + lines->len, piece, n);
                lines->len += (uint32_t)n;
                used = n;
            }
            if (ended) {
                ad_ingest_line(c, line, line_len);
            }
            piece += used;
            n -= used;
        }
    }
    if (body->state == AD_BODY_BAD) {
        ad_exchange_fail(c, 400, "the body's chunks are malformed");
    } else if (body->state == AD_BODY_DONE) {
        ad_exchange_end(c);
    }
}

/* -- clients: what the poller tells ------------------------------------------- */

static void ad_client_read(struct ad_client *c)
{
    bool ws = (c->kind == AD_WS || c->kind == AD_WS_BATCH) && !c->closing;
    ssize_t got = recv(c->fd, ad_scratch, sizeof(ad_scratch),
                       ws ? MSG_PEEK : 0);
    size_t used;

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got == 0 && c->kind != AD_LINGER && (c->closing || c->kind == AD_POLL)) {
        c->deaf = true; /* it said all, and still takes its answer */
        ad_client_watch(c);
        return;
    }
    if (got <= 0) {
        ad_client_drop(c);
        return;
    }
    if (c->kind == AD_LINGER) {
        return;
    }
    c->rx_ms = ad_hub.now_ms;
    if (ws) {
        /* What can't be answered yet stays in the kernel, and so does the
         * peer's next write when its window is full. */
        used = ad_ws_input(c, ad_scratch, (size_t)got);
        got = recv(c->fd, ad_scratch, used, 0);
        (void)ad_client_say(c);
    } else if ((c->kind == AD_INGEST || c->kind == AD_COMMAND) && !c->closing) {
        ad_exchange_input(c, ad_scratch, (size_t)got);
        (void)ad_client_say(c);
    }
    if (got > 0) {
        ad_hub.count.bytes_received += (uint64_t)got;
    }
}

static void ad_client_event(unsigned index)
{
    struct ad_client *c = &ad_clients[index];

    if (c->kind != AD_FREE && c->blocked) {
        struct pollfd p = {c->fd, POLLOUT, 0};

        if (poll(&p, 1, 0) == 1) {
            c->blocked = false;
            if (c->live != AD_NO_SLOT && !c->resuming) {
                ad_client_catch_up(c, ad_set.backlog);
            }
            ad_client_flush(c);
        }
    }
    if (c->kind != AD_FREE && ad_client_room(c)) {
        ad_client_read(c);
    }
}

/* Once a second: pings, and the ends of those that neither read nor speak. */
static void ad_client_tidy(struct ad_client *c)
{
    uint32_t silent_ms = ad_hub.now_ms - c->rx_ms;
    bool ws = c->kind == AD_WS || c->kind == AD_WS_BATCH;

    if (c->kind == AD_LINGER) {
        if (silent_ms >= AD_LINGER_MS) {
            ad_client_drop(c);
        }
        return;
    }
    if (c->blocked && ad_hub.now_ms - c->tx_ms >= AD_STALL_MS) {
        struct linger reset = {1, 0}; /* gives its memory back at once */

        ad_log(AIDASH_LOG_INFO, "%s has not read for %d s: closed",
               ad_ids[ad_client_index(c)], AD_STALL_MS / 1000);
        ad_hub.count.stalled++;
        ad_hub.count.dropped += c->viewer ? ad_feed.next - c->next : 0;
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        ad_client_drop(c);
        return;
    }
    if (c->kind == AD_COMMAND ||
        (c->kind == AD_INGEST && c->in.http.body.state == AD_BODY_LENGTH)) {
        if (silent_ms >= AD_SILENCE_MS) {
            ad_exchange_fail(c, 408, "the body did not arrive");
            (void)ad_client_say(c);
        }
        return;
    }
    if (ws && silent_ms >= AD_SILENCE_MS && !c->closing) {
        ad_client_close(c, 1001);
        (void)ad_client_say(c);
        return;
    }
    if ((ws || c->kind == AD_SSE) && !c->closing && !c->blocked &&
        (c->kind == AD_SSE || silent_ms >= AD_PING_MS) &&
        ad_hub.now_ms - c->ping_ms >= AD_PING_MS) {
        c->ping_ms = ad_hub.now_ms;
        if (ws) {
            ad_reply_frame(9, NULL, 0);
        } else {
            ad_reply_add(": ping\n\n", 8);
        }
        (void)ad_client_say(c);
    }
}

/* One number for a peer's address: its IPv4 address, also when mapped into IPv6
 * (RFC 4291 2.5.5.2), or its IPv6 network of 64 bits, which is one subscriber. */
static uint64_t ad_address_key(const struct sockaddr_storage *peer)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)peer;
    const struct sockaddr_in6 *v6 =
        (const struct sockaddr_in6 *)(const void *)peer;
    uint32_t low;
    uint64_t network;

    if (peer->ss_family == AF_INET) {
        return ntohl(v4->sin_addr.s_addr);
    }
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        memcpy(&low, v6->sin6_addr.s6_addr + 12, sizeof(low));
        return ntohl(low);
    }
    memcpy(&network, v6->sin6_addr.s6_addr, sizeof(network));
    return network;
}

/* -- handover: a worker's connection becomes a client ------------------------- */

struct ad_adopt {
    struct ad_call call;
    enum ad_kind kind;
    int fd;               /* owned by the hub from here on */
    uint8_t *rest;        /* bytes that came behind the request head */
    size_t rest_len;
    const char *id;       /* client_id, or "" */
    const char *cors;     /* header lines, or "" */
    struct ad_body body;  /* AD_INGEST, AD_COMMAND */
    bool whole, expects;  /* the body is one object; Expect: 100-continue */
    uint64_t since;       /* AD_SSE, AD_POLL: the last event that is known */
    bool has_since;
    uint32_t limit;       /* AD_POLL: elements at most */
    uint32_t last;        /* AD_POLL: the newest so many instead, if not 0 */
};

/* Where an SSE or polling client begins. */
static void ad_adopt_place(struct ad_client *c, const struct ad_adopt *a)
{
    uint64_t next = a->since + 1;

    c->next = ad_feed.next;
    c->until = ad_feed.next;
    c->limit = a->limit;
    if (a->last > 0) {
        uint32_t found = 0;

        c->limit = a->last;
        while (c->next > ad_feed.first && found < a->last) {
            found += ad_feed_kind(--c->next) == AD_EV_TICK;
        }
    } else if (a->has_since && a->since < ad_feed.next) {
        c->next = next;
        c->resuming = true;
    }
}

static void ad_adopt_greet(struct ad_client *c, const struct ad_adopt *a)
{
    char text[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(text, sizeof(text));

    if (c->kind == AD_SSE) {
        char extra[AD_CORS_MAX + 64];
        struct ad_text e = ad_text_in(extra, sizeof(extra));

        ad_putf(&e, "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n%s",
                a->cors);
        ad_put_head(&t, 200, "text/event-stream", SIZE_MAX, extra);
        ad_puts(&t, "retry: 1000\n\n");
    } else if (c->kind == AD_POLL) {
        char extra[AD_CORS_MAX + 64];
        struct ad_text e = ad_text_in(extra, sizeof(extra));

        ad_putf(&e, "Cache-Control: no-store\r\n%s", a->cors);
        ad_put_head(&t, 200, "application/json", SIZE_MAX, extra);
        ad_puts(&t, "{\"started\":");
        ad_put_decimal(&t, ad_hub.start_us, 6);
        ad_puts(&t, ",\"ticks\":[");
    } else if (a->expects) {
        ad_puts(&t, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    ad_reply_add(t.at, t.len);
    if (ad_kind_class(a->kind) == 0) {
        t = ad_text_in(text, sizeof(text));
        ad_put_hello(&t, a->id, c->next);
        ad_reply_event(c, "hello", &t);
    }
}

static void ad_adopt_run(struct ad_call *call)
{
    struct ad_adopt *a = (struct ad_adopt *)(void *)call;
    unsigned index = ad_client_slot();
    struct ad_client *c = &ad_clients[index];
    struct ad_cold *cold = &ad_cold[index];
    int bytes = AIDASH_SEND_BUFFER;
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);

    memset(c, 0, sizeof(*c));
    c->fd = a->fd;
    if (getpeername(c->fd, (struct sockaddr *)&peer, &len) == 0) {
        c->address = ad_address_key(&peer);
    }
    c->live = AD_NO_SLOT;
    c->rx_ms = c->tx_ms = c->ping_ms = ad_hub.now_ms;
    c->viewer = ad_kind_class(a->kind) == 0;
    c->whole = a->whole;
    ad_client_become(c, a->kind);
    memcpy(ad_ids[index], a->id, strlen(a->id) + 1);
    (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    ad_adopt_place(c, a);
    ad_adopt_greet(c, a);
    if (c->viewer) {
        c->live = ad_hub.n_live;
        ad_hub.live[ad_hub.n_live++] = (uint16_t)index;
    } else {
        memcpy(cold->cors, a->cors, strlen(a->cors) + 1);
        memset(&cold->report, 0, sizeof(cold->report));
        c->in.http.body = a->body;
    }
    if (ad_hub.draining) {
        ad_client_drop(c);
        return;
    }
    if (!ad_client_say(c)) {
        return;
    }
    if (c->kind == AD_WS || c->kind == AD_WS_BATCH) {
        size_t used = 0, n = 1;

        while (c->kind != AD_FREE && used < a->rest_len && n > 0) {
            n = ad_ws_input(c, a->rest + used, a->rest_len - used);
            used += n;
            (void)ad_client_say(c);
        }
        if (c->kind != AD_FREE && used < a->rest_len) {
            ad_client_drop(c); /* it wrote much and does not read */
            return;
        }
    } else if (c->kind == AD_INGEST || c->kind == AD_COMMAND) {
        ad_exchange_input(c, a->rest, a->rest_len);
        (void)ad_client_say(c);
    } else if (c->kind == AD_LINGER) {
        (void)shutdown(c->fd, SHUT_WR);
    }
    ad_client_flush(c);
}

/* -- the door: from accept() to a whole request head --------------------------- */

/* Section 11: put a socket into civetweb's queue. Does not wait as long as no
 * more than AD_QUEUE are inside. */
static void ad_civetweb_queue(int fd, const struct sockaddr_storage *peer);

/* Accept connections, or leave them in the kernel's line until a place at the
 * door is free, or until the next tidy. */
static void ad_listeners_watch(bool on)
{
    unsigned i;

    for (i = 0; i < ad_hub.n_listeners && on != ad_hub.accepting; i++) {
        (void)ad_poll_set(ad_hub.listeners[i], on ? 0 : AD_IN, on ? AD_IN : 0,
                          AD_TAG_LISTENER, i);
    }
    ad_hub.accepting = on;
}

static void ad_pending_release(struct ad_pending *p)
{
    (void)ad_poll_set(p->fd, AD_IN, 0, AD_TAG_PENDING, 0);
    ad_hub.n_pending--;
    ad_hub.n_ready -= p->ready;
    p->used = false;
    ad_listeners_watch(!ad_hub.draining);
}

static void ad_pending_drop(struct ad_pending *p)
{
    int fd = p->fd;

    ad_pending_release(p);
    (void)close(fd);
}

/* Refuse with an answer that fits any fresh socket's buffer. What the peer
 * already sent is read, so that closing does not reset our answer away. */
static void ad_pending_refuse(struct ad_pending *p, int status,
                              const char *why)
{
    char answer[2 * AD_REPLY_MAX], json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(answer, sizeof(answer));
    struct ad_text j = ad_text_in(json, sizeof(json));

    ad_put_http_error(&j, status, why);
    ad_put_head(&t, status, "application/json", j.len, "");
    ad_put(&t, j.at, j.len);
    (void)!send(p->fd, t.at, t.len, MSG_NOSIGNAL);
    (void)shutdown(p->fd, SHUT_WR);
    (void)!recv(p->fd, ad_scratch, sizeof(ad_scratch), 0);
    ad_hub.refused++;
    ad_pending_drop(p);
}

/* Hand ready connections to civetweb in their order, while it has room. */
static void ad_door_serve(void)
{
    while (ad_hub.n_ready > 0 &&
           atomic_load(&ad_hub.http_inside) < AD_QUEUE) {
        struct ad_pending *first = NULL;
        unsigned i;
        int fd, one = 1;

        for (i = 0; i < ad_hub.n_pending_slots; i++) {
            struct ad_pending *p = &ad_pending[i];

            if (p->used && p->ready &&
                (first == NULL ||
                 (int32_t)(p->order - first->order) < 0)) {
                first = p;
            }
        }
        fd = first->fd;
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
        ad_pending_release(first);
        atomic_fetch_add(&ad_hub.http_inside, 1);
        ad_civetweb_queue(fd, &first->peer);
    }
}

/* Has the whole head arrived? It is only looked at; civetweb reads it. The
 * poller is told to wait for one byte more than there is. */
static void ad_pending_event(unsigned index)
{
    struct ad_pending *p = &ad_pending[index];
    struct pollfd hangup;
    ssize_t got;
    int low;

    if (!p->used || p->ready) {
        return;
    }
    got = recv(p->fd, ad_scratch, AD_HEAD_MAX, MSG_PEEK);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        ad_pending_drop(p);
    } else if (memmem(ad_scratch, (size_t)got, "\r\n\r\n", 4) != NULL) {
        p->ready = true;
        p->order = ad_hub.ready_order++;
        ad_hub.n_ready++;
        ad_door_serve();
    } else if (got == AD_HEAD_MAX) {
        ad_pending_refuse(p, 431, "the request head is longer than 8 KiB");
    } else {
        hangup.fd = p->fd;
        hangup.events = AD_POLLRDHUP;
        low = (int)got + 1;
        if (poll(&hangup, 1, 0) == 1) {
            ad_pending_drop(p); /* the rest will never come */
        } else {
            (void)setsockopt(p->fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
        }
    }
}

/* A place at the door; the one that has waited longest without a whole head
 * gives way. NULL if there is none to be had now. */
static struct ad_pending *ad_pending_place(void)
{
    struct ad_pending *oldest = NULL;
    unsigned i;

    for (i = 0; i < ad_hub.n_pending_slots; i++) {
        struct ad_pending *p = &ad_pending[i];

        if (!p->used) {
            return p;
        }
        if (!p->ready && (oldest == NULL ||
                          (int32_t)(p->since_ms - oldest->since_ms) < 0)) {
            oldest = p;
        }
    }
    if (ad_hub.n_pending_slots < AIDASH_PENDING) {
        return &ad_pending[ad_hub.n_pending_slots++];
    }
    if (oldest == NULL || ad_hub.now_ms - oldest->since_ms < AD_GRACE_MS) {
        return NULL;
    }
    ad_hub.refused++;
    ad_pending_drop(oldest);
    return oldest;
}

/* Connections of an address, at the door and inside. */
static unsigned ad_address_count(uint64_t address)
{
    unsigned i, n = 0;

    for (i = 0; i < ad_hub.n_slots; i++) {
        n += ad_clients[i].kind != AD_FREE && ad_clients[i].address == address;
    }
    for (i = 0; i < ad_hub.n_pending_slots; i++) {
        n += ad_pending[i].used && ad_pending[i].address == address;
    }
    return n;
}

static int ad_socket_accept(int listener, struct sockaddr_storage *peer)
{
    socklen_t len = sizeof(*peer);
#ifdef __linux__
    return accept4(listener, (struct sockaddr *)peer, &len,
                   SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
    int fd = accept(listener, (struct sockaddr *)peer, &len);

    if (fd >= 0) {
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return fd;
#endif
}

/* Low latency, and an end for peers that vanished without a word. */
static void ad_socket_tune(int fd)
{
    int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
#ifdef TCP_KEEPIDLE
    {
        int idle_s = AD_SILENCE_MS / 1000, every_s = 10, times = 3;

        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s,
                         sizeof(idle_s));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s,
                         sizeof(every_s));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(times));
    }
#endif
}

static void ad_listener_event(unsigned index)
{
    unsigned i;

    for (i = 0; i < AD_READY_MAX && ad_hub.accepting; i++) {
        struct ad_pending *p = ad_pending_place();
        int fd;

        if (p == NULL) { /* newcomers wait in the kernel's line */
            ad_listeners_watch(false);
            return;
        }
        fd = ad_socket_accept(ad_hub.listeners[index], &p->peer);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE) {
                ad_log(AIDASH_LOG_WARN,
                       "no descriptor for a new connection; raise the limit "
                       "of open files (ulimit -n)");
                ad_listeners_watch(false); /* until the next tidy */
            }
            return;
        }
        if (!ad_poll_set(fd, 0, AD_IN, AD_TAG_PENDING,
                         (unsigned)(p - ad_pending))) {
            ad_hub.refused++;
            (void)close(fd);
            continue;
        }
        ad_socket_tune(fd);
        p->fd = fd;
        p->used = true;
        p->ready = false;
        p->since_ms = ad_hub.now_ms;
        p->address = ad_address_key(&p->peer);
        ad_hub.n_pending++;
        ad_hub.count.accepted++;
        if (ad_set.per_address != 0 &&
            ad_address_count(p->address) > ad_set.per_address) {
            ad_pending_refuse(p, 503, "too many connections from this address");
        } else {
            ad_pending_event((unsigned)(p - ad_pending));
        }
    }
}

/* -- the loop ------------------------------------------------------------------ */

static void ad_hub_clock(void)
{
    ad_hub.now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    ad_hub.now_us = ad_clock_ns(CLOCK_REALTIME) / 1000;
    ad_hub.now_ms = (uint32_t)(ad_hub.now_ns / AD_NS_PER_MS);
}

/* Once a second. */
static void ad_hub_tidy(void)
{
    unsigned i;

    for (i = 0; i < ad_hub.n_slots; i++) {
        if (ad_clients[i].kind != AD_FREE) {
            ad_client_tidy(&ad_clients[i]);
        }
    }
    for (i = 0; i < ad_hub.n_pending_slots; i++) {
        struct ad_pending *p = &ad_pending[i];

        if (p->used && !p->ready &&
            ad_hub.now_ms - p->since_ms >= AD_HEAD_MS) {
            ad_pending_refuse(p, 408, "the request head did not arrive");
        }
    }
    ad_listeners_watch(!ad_hub.draining);
    ad_hub.tidy_ns = ad_hub.now_ns + AD_NS_PER_S;
}

/* The other threads' calls, in the order in which they came. */
static void ad_hub_calls(void)
{
    struct ad_call *list = atomic_exchange(&ad_hub.calls, NULL);
    struct ad_call *first = NULL;

    while (list != NULL) {
        struct ad_call *next = list->next;

        list->next = first;
        first = list;
        list = next;
    }
    while (first != NULL) {
        struct ad_call *next = first->next;

        first->run(first);
        (void)sem_post(&first->done);
        first = next;
    }
}

/* Say good-bye: no new connections, close code 1001 to the viewers. */
static void ad_hub_drain(void)
{
    unsigned i;

    ad_hub.draining = true;
    ad_listeners_watch(false);
    for (i = 0; i < ad_hub.n_pending_slots; i++) {
        if (ad_pending[i].used) {
            ad_pending_drop(&ad_pending[i]);
        }
    }
    for (i = 0; i < ad_hub.n_slots; i++) {
        struct ad_client *c = &ad_clients[i];

        if (c->kind == AD_FREE || c->kind == AD_LINGER || c->closing) {
            continue;
        }
        if (c->kind == AD_WS || c->kind == AD_WS_BATCH) {
            ad_client_close(c, 1001);
        } else if (c->kind == AD_INGEST) {
            ad_ingest_answer(c);
        }
        c->closing = true;
        (void)ad_client_say(c);
    }
}

/* When the hub must wake although nothing arrives. */
static uint64_t ad_hub_deadline(void)
{
    uint64_t at = ad_hub.tidy_ns;

    if (ad_hub.fanned != ad_feed.next && ad_hub.pace_ns < at) {
        at = ad_hub.pace_ns;
    }
    if (ad_hub.batch_waits && ad_hub.batch_ns < at) {
        at = ad_hub.batch_ns;
    }
    if (ad_set.source == AD_SOURCE_SIM && !ad_hub.paused) {
        uint64_t due = ad_hub.sim_due_ns > ad_hub.pace_ns ? ad_hub.sim_due_ns
                                                          : ad_hub.pace_ns;

        at = due < at ? due : at;
    }
    return at;
}

static void ad_hub_dispatch(const struct ad_ready *ready)
{
    uint64_t drain[16];

    switch (ready->tag) {
    case AD_TAG_WAKE:
        (void)!read(ad_hub.wake_rd, drain, sizeof(drain));
        break;
    case AD_TAG_LISTENER:
        ad_listener_event(ready->index);
        break;
    case AD_TAG_UDP:
        ad_udp_read(ad_hub.udp[ready->index]);
        break;
    case AD_TAG_STDIN:
        ad_stdin_read();
        break;
    case AD_TAG_PENDING:
        ad_pending_event(ready->index);
        break;
    case AD_TAG_CLIENT:
        ad_client_event(ready->index);
        break;
    case AD_TAG_TIMER:
        break;
    }
}

/* One turn: wait, take what came, make the ticks that are due, fan out. */
static void ad_hub_turn(void)
{
    struct ad_ready ready[AD_READY_MAX];
    uint64_t deadline_ns = ad_hub_deadline();
    bool pacing = deadline_ns == ad_hub.pace_ns;
    unsigned i, n;

    /* Announce the sleep, then look once more: who publishes later than this
     * look sees the announcement and wakes us. A pace's wait is so short that
     * the inbox may fill by half meanwhile. */
    atomic_store(&ad_hub.sleep, pacing ? AD_PACING : AD_ASLEEP);
    if ((ad_hub.stdin_is_file && ad_hub.stdin_open) ||
        atomic_load(&ad_hub.calls) != NULL || ad_hub.n_ready > 0 ||
        ad_inbox_fill() > (pacing ? AIDASH_INBOX / 2 : 0)) {
        deadline_ns = 0;
    }
    n = ad_poll_wait(deadline_ns, ready);
    atomic_store(&ad_hub.sleep, AD_AWAKE);
    ad_hub_clock();
    for (i = 0; i < n; i++) {
        ad_hub_dispatch(&ready[i]);
    }
    if (ad_hub.stdin_is_file && ad_hub.stdin_open) {
        ad_stdin_read();
    }
    ad_hub_calls();
    ad_door_serve();
    ad_inbox_run();
    if (ad_set.source == AD_SOURCE_SIM) {
        ad_sim_run();
    }
    if ((ad_hub.fanned != ad_feed.next && ad_hub.now_ns >= ad_hub.pace_ns) ||
        (ad_hub.batch_waits && ad_hub.now_ns >= ad_hub.batch_ns)) {
        ad_fanout();
    }
    if (ad_hub.now_ns >= ad_hub.tidy_ns) {
        ad_hub_tidy();
    }
}

static void *ad_hub_main(void *unused)
{
    uint64_t end_ns = 0;
    unsigned i;

    ad_hub_clock();
    while (atomic_load(&ad_hub.stop) < 2 ||
           (ad_hub.n_open > 0 && ad_hub.now_ns < end_ns)) {
        ad_hub_turn();
        if (!ad_hub.draining && atomic_load(&ad_hub.stop) > 0) {
            ad_hub_drain();
            end_ns = ad_hub.now_ns + AD_NS_PER_S / 2;
            ad_hub.tidy_ns = end_ns;
        }
    }
    for (i = 0; i < ad_hub.n_slots; i++) {
        if (ad_clients[i].kind != AD_FREE) {
            ad_client_drop(&ad_clients[i]);
        }
    }
    return unused;
}

/* ==== 8 HTTP ============================================================= */

/* civetweb's worker threads run this. They read a request head, answer short
 * things, and hand every connection that lasts to the hub. They own nothing:
 * what they want to know they ask by ad_hub_run(). */

/* One page file of the dashboard, made by www/embed.sh. */
struct ad_asset {
    const char *path, *type, *etag;
    const unsigned char *data;
    size_t len;
    int gzip;
};

#if AIDASH_DASHBOARD
#include "aidash_www.h"
#else
static const struct ad_asset ad_assets[] = {{"", "", "", NULL, 0, 0}};
#endif

/* Section 11: take the socket out of civetweb's hands. `rest` is what came
 * behind the request head. */
static int ad_civetweb_take(struct mg_connection *conn, uint8_t **rest,
                            size_t *rest_len);
/* Has the request a body that was not read, and still its socket? */
static bool ad_civetweb_unread(const struct mg_connection *conn);
static void ad_arena_usage(size_t *used, size_t *high);

/* Static memory, part by part, for /status and --sizes. */
static const struct {
    const char *name;
    size_t count, bytes;
} ad_parts[] = {
    {"feed", AIDASH_EVENTS, sizeof(ad_feed)},
    {"dress", AD_UNITS, sizeof(ad_dress)},
    {"inbox", AIDASH_INBOX, sizeof(ad_inbox)},
    {"series", AIDASH_SERIES, sizeof(ad_series)},
    {"clients", AD_SLOTS, sizeof(ad_clients) + sizeof(ad_ids)},
    {"client_buffers", AD_SLOTS, sizeof(ad_cold)},
    {"pending", AIDASH_PENDING, sizeof(ad_pending)},
    {"poller", 1, sizeof(ad_poll)},
    {"hub", 1, sizeof(ad_hub) + sizeof(ad_set) + sizeof(ad_error_text)},
    {"scratch", 1, sizeof(ad_scratch) + sizeof(ad_reply) + sizeof(ad_tokens)},
    {"arena", AIDASH_WORKERS, sizeof(ad_arena)},
};

static size_t ad_static_bytes(void)
{
    size_t i, sum = 0;

    for (i = 0; i < AD_COUNT(ad_parts); i++) {
        sum += ad_parts[i].bytes;
    }
    return sum;
}

/* Does a comma-separated header value name this token? */
static bool ad_header_has(const char *value, const char *token)
{
    size_t n = strlen(token);

    while (value != NULL && *value != '\0') {
        value += strspn(value, " \t,");
        if (strncasecmp(value, token, n) == 0 &&
            strchr(" \t,;", value[n]) != NULL) {
            return true;
        }
        value += strcspn(value, ",");
    }
    return false;
}

/* RFC 6454: may a page of this origin use us? Without an Origin header it is no
 * page. "null" (a sandbox, a local file) is only ever allowed by "*". */
static bool ad_origin_allowed(const char *origin, const char *host)
{
    const char *authority;
    unsigned i;

    if (origin == NULL || ad_set.any_origin) {
        return true;
    }
    for (i = 0; i < ad_set.n_origins; i++) {
        if (strcasecmp(ad_set.origins[i], origin) == 0) {
            return true;
        }
    }
    authority = strstr(origin, "://");
    return authority != NULL && host != NULL &&
           strcasecmp(authority + 3, host) == 0;
}

static const char ad_not_allowed[] =
    "this origin is not allowed (--allow-origin)";

/* What a page of another origin must be told to see the answer, or "". */
static void ad_cors_lines(const struct mg_connection *conn,
                          char out[AD_CORS_MAX])
{
    const char *origin = mg_get_header(conn, "Origin");

    out[0] = '\0';
    if (origin != NULL && strlen(origin) <= AD_ORIGIN_MAX &&
        ad_origin_allowed(origin, mg_get_header(conn, "Host"))) {
        (void)snprintf(out, AD_CORS_MAX,
                       "Access-Control-Allow-Origin: %s\r\nVary: Origin\r\n",
                       origin);
    }
}

static bool ad_is_method(const struct mg_connection *conn, const char *method)
{
    const char *is = mg_get_request_info(conn)->request_method;

    return is != NULL && strcmp(is, method) == 0; /* NULL: no HTTP at all */
}

/* Answer a request whole. `extra` is header lines or "". Returns the status, as
 * begin_request wants it. */
static int ad_respond(struct mg_connection *conn, int status, const char *type,
                      const char *extra, const void *body, size_t len)
{
    char head[AD_CORS_MAX + 2 * AD_REPLY_MAX];
    struct ad_text t = ad_text_in(head, sizeof(head));

    ad_put_head(&t, status, type, len, extra);
    (void)mg_write(conn, t.at, t.len);
    if (len > 0 && !ad_is_method(conn, "HEAD")) {
        (void)mg_write(conn, body, len);
    }
    return status;
}

static int ad_respond_json(struct mg_connection *conn, int status,
                           const struct ad_text *json)
{
    char extra[AD_CORS_MAX + 32], cors[AD_CORS_MAX];

    ad_cors_lines(conn, cors);
    (void)snprintf(extra, sizeof(extra), "Cache-Control: no-store\r\n%s", cors);
    return ad_respond(conn, status, "application/json", extra, json->at,
                      json->len);
}

static int ad_respond_error(struct mg_connection *conn, int status,
                            const char *extra, const char *why)
{
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    ad_put_http_error(&t, status, why);
    return ad_respond(conn, status, "application/json", extra, t.at, t.len);
}

/* Hand the connection to the hub, into the slot it was promised. */
static int ad_adopt(struct mg_connection *conn, struct ad_adopt *a)
{
    char cors[AD_CORS_MAX];

    mg_set_user_connection_data(conn, NULL);
    ad_cors_lines(conn, cors);
    a->cors = cors;
    a->id = a->id != NULL ? a->id : "";
    a->fd = ad_civetweb_take(conn, &a->rest, &a->rest_len);
    a->call.run = ad_adopt_run;
    ad_hub_run(&a->call);
    return 200;
}

/* What a connection was promised, until the hub has it or it ends. */
static char ad_promise[2];

/* Promise the connection a slot, or answer 503. */
static bool ad_promise_slot(struct mg_connection *conn, enum ad_kind kind)
{
    unsigned class = ad_kind_class(kind);

    if (ad_slot_take(class)) {
        mg_set_user_connection_data(conn, &ad_promise[class]);
        return true;
    }
    ad_hub.refused++;
    (void)ad_respond_error(conn, 503, "Retry-After: 5\r\n",
                           class == 0 ? "all places for viewers are taken"
                                      : "all places for exchanges are taken");
    return false;
}

/* A number of 0..max in the query. Returns 1: found, 0: not there, -1: malformed. */
static int ad_query_u64(const struct mg_connection *conn, const char *name,
                        uint64_t max, uint64_t *value)
{
    const char *query = mg_get_request_info(conn)->query_string;
    char text[32];
    int i, n = query == NULL ? -1
                             : mg_get_var(query, strlen(query), name, text,
                                          sizeof(text));

    if (n == -1) {
        return 0;
    }
    if (n < 1) { /* empty, or longer than any number */
        return -1;
    }
    *value = 0;
    for (i = 0; i < n; i++) {
        if (!ad_is_digit(text[i]) || *value > (UINT64_MAX - 9) / 10) {
            return -1;
        }
        *value = *value * 10 + (uint64_t)(text[i] - '0');
    }
    return *value <= max ? 1 : -1;
}

static int ad_get_healthz(struct mg_connection *conn)
{
    struct ad_text t = {(char *)(uintptr_t)"{\"status\":\"ok\"}", 15, 15,
                        false};

    return ad_respond_json(conn, 200, &t);
}

/* Events lost so far, those of clients that are blocked now included. */
static uint64_t ad_dropped(void)
{
    uint64_t sum = ad_hub.count.dropped;
    unsigned i;

    for (i = 0; i < ad_hub.n_live; i++) {
        const struct ad_client *c = &ad_clients[ad_hub.live[i]];
        uint64_t behind = ad_feed.next - c->next;

        if (c->blocked && !c->resuming && behind > ad_set.backlog) {
            sum += behind - ad_set.backlog;
        }
    }
    return sum;
}

struct ad_status_call {
    struct ad_call call;
    struct ad_text text;
};

static void ad_status_run(struct ad_call *call)
{
    struct ad_text *t = &((struct ad_status_call *)(void *)call)->text;
    const struct ad_counters *n = &ad_hub.count;
    size_t used, high, i;
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
        {"ticks", n->ticks},
        {"events", ad_feed.next - 1},
        {"fanouts", n->fanouts},
        {"dropped", ad_dropped()},
        {"inbox_dropped", atomic_load(&ad_inbox.dropped)},
        {"paused_dropped", n->paused_dropped},
        {"bytes_sent", n->bytes_sent},
        {"bytes_received", n->bytes_received},
        {"commands", n->commands},
        {"command_errors", n->command_errors},
        {"ingest_lines", n->ingest_lines},
        {"ingest_errors", n->ingest_errors},
        {"accepted", n->accepted},
        {"refused", atomic_load(&ad_hub.refused)},
        {"stalled", n->stalled},
    };

    ad_puts(t, "{\"version\":\"" AIDASH_VERSION "\",\"started\":");
    ad_put_decimal(t, ad_hub.start_us, 6);
    ad_puts(t, ",\"time\":");
    ad_put_decimal(t, ad_hub.now_us, 6);
    ad_puts(t, ",\"uptime_s\":");
    ad_put_decimal(t, (ad_hub.now_ns - ad_hub.start_ns) / AD_NS_PER_MS, 3);
    ad_puts(t, ",");
    ad_put_models(t);
    ad_put_source(t);
    ad_putf(t,
            ",\"next_seq\":%llu,\"clients\":{\"websocket\":%u,\"batch\":%u,"
            "\"sse\":%u,\"http\":%u,\"pending\":%u,\"max\":%d},\"counters\":{",
            (unsigned long long)ad_feed.next, ad_hub.n_kind[AD_WS],
            ad_hub.n_kind[AD_WS_BATCH], ad_hub.n_kind[AD_SSE],
            ad_hub.n_kind[AD_POLL] + ad_hub.n_kind[AD_INGEST] +
                ad_hub.n_kind[AD_COMMAND],
            ad_hub.n_pending, AIDASH_CLIENTS);
    for (i = 0; i < AD_COUNT(counters); i++) {
        ad_putf(t, "%s\"%s\":%llu", i > 0 ? "," : "", counters[i].name,
                (unsigned long long)counters[i].value);
    }
    ad_arena_usage(&used, &high);
    ad_putf(t,
            "},\"memory\":{\"static_bytes\":%zu,\"arena_bytes\":%d,"
            "\"arena_used_bytes\":%zu,\"arena_high_water_bytes\":%zu,"
            "\"parts\":[",
            ad_static_bytes(), AIDASH_ARENA_BYTES, used, high);
    for (i = 0; i < AD_COUNT(ad_parts); i++) {
        ad_putf(t, "%s{\"name\":\"%s\",\"count\":%zu,\"bytes\":%zu}",
                i > 0 ? "," : "", ad_parts[i].name, ad_parts[i].count,
                ad_parts[i].bytes);
    }
    ad_puts(t, "]}}");
}

static int ad_get_status(struct mg_connection *conn)
{
    char json[AD_EVENT_MAX + 4096];
    struct ad_status_call status;

    status.call.run = ad_status_run;
    status.text = ad_text_in(json, sizeof(json));
    ad_hub_run(&status.call);
    return ad_respond_json(conn, 200, &status.text);
}

static int ad_get_ticks(struct mg_connection *conn)
{
    struct ad_adopt a;
    uint64_t since = 0, limit = 100, last = 0;

    memset(&a, 0, sizeof(a));
    if (ad_query_u64(conn, "since", UINT64_MAX, &since) < 0 ||
        ad_query_u64(conn, "limit", 10000, &limit) < 0 ||
        ad_query_u64(conn, "last", 10000, &last) < 0 || limit < 1) {
        return ad_respond_error(conn, 400, "",
                                "since, limit and last are whole numbers; "
                                "limit and last go from 1 to 10000");
    }
    if (ad_is_method(conn, "HEAD")) {
        return ad_respond(conn, 200, "application/json", "", "", SIZE_MAX);
    }
    a.kind = AD_POLL;
    a.has_since = true;
    a.since = since;
    a.limit = (uint32_t)limit;
    a.last = (uint32_t)last;
    return ad_promise_slot(conn, a.kind) ? ad_adopt(conn, &a) : 503;
}

static int ad_get_events(struct mg_connection *conn)
{
    struct ad_adopt a;
    const char *last = mg_get_header(conn, "Last-Event-ID");
    int found;

    memset(&a, 0, sizeof(a));
    found = ad_query_u64(conn, "last_event_id", UINT64_MAX, &a.since);
    if (last != NULL && last[0] != '\0' && strlen(last) < 20 &&
        strspn(last, "0123456789") == strlen(last)) {
        a.since = strtoull(last, NULL, 10);
        found = 1;
    }
    if (found < 0) {
        return ad_respond_error(conn, 400, "",
                                "last_event_id is a whole number");
    }
    if (ad_is_method(conn, "HEAD")) {
        return ad_respond(conn, 200, "text/event-stream", "", "", SIZE_MAX);
    }
    a.kind = AD_SSE;
    a.has_since = found == 1;
    return ad_promise_slot(conn, a.kind) ? ad_adopt(conn, &a) : 503;
}

/* POST: the body's framing from the head, then the hub reads it. */
static int ad_post_body(struct mg_connection *conn, enum ad_kind kind)
{
    const char *encoding = mg_get_header(conn, "Transfer-Encoding");
    const char *length = mg_get_header(conn, "Content-Length");
    const char *type = mg_get_header(conn, "Content-Type");
    struct ad_adopt a;

    memset(&a, 0, sizeof(a));
    a.kind = kind;
    a.whole = kind == AD_COMMAND || ad_header_has(type, "application/json");
    a.expects = ad_header_has(mg_get_header(conn, "Expect"), "100-continue");
    a.body.state = AD_BODY_DONE;
    if (encoding != NULL) {
        if (strcasecmp(encoding, "chunked") != 0 || length != NULL) {
            return ad_respond_error(conn, 400, "",
                                    "the body must be chunked, or have a "
                                    "Content-Length, and not both");
        }
        a.body.state = AD_BODY_CHUNK_SIZE;
    } else if (length != NULL) {
        if (strlen(length) > 18 ||
            strspn(length, "0123456789") != strlen(length)) {
            return ad_respond_error(conn, 400, "",
                                    "Content-Length is not a number");
        }
        a.body.left = strtoull(length, NULL, 10);
        a.body.state = a.body.left > 0 ? AD_BODY_LENGTH : AD_BODY_DONE;
    }
    return ad_promise_slot(conn, kind) ? ad_adopt(conn, &a) : 503;
}

static int ad_post_ingest(struct mg_connection *conn)
{
    return ad_post_body(conn, AD_INGEST);
}

static int ad_post_command(struct mg_connection *conn)
{
    return ad_post_body(conn, AD_COMMAND);
}

/* The dashboard's files, as they are in the binary. */
static int ad_get_asset(struct mg_connection *conn,
                        const struct ad_asset *asset)
{
    static const char policy[] =
        "Content-Security-Policy: default-src 'none'; script-src 'self'; "
        "style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n";
    const char *accepts = mg_get_header(conn, "Accept-Encoding");
    const char *known = mg_get_header(conn, "If-None-Match");
    char extra[AD_REPLY_MAX + 256];

    (void)snprintf(extra, sizeof(extra),
                   "ETag: %s\r\nCache-Control: no-cache\r\n"
                   "Access-Control-Allow-Origin: *\r\n%s%s",
                   asset->etag,
                   asset->gzip ? "Content-Encoding: gzip\r\n"
                                 "Vary: Accept-Encoding\r\n"
                               : "",
                   strncmp(asset->type, "text/html", 9) == 0 ? policy : "");
    if (known != NULL && (strstr(known, asset->etag) != NULL ||
                          strcmp(known, "*") == 0)) {
        return ad_respond(conn, 304, NULL, extra, "", 0);
    }
    if (asset->gzip && accepts != NULL && !ad_header_has(accepts, "gzip") &&
        !ad_header_has(accepts, "*")) {
        return ad_respond_error(conn, 406, "",
                                "the page files are stored with gzip");
    }
    return ad_respond(conn, 200, asset->type, extra, asset->data, asset->len);
}

static const struct {
    const char *path, *allow;
    int (*get)(struct mg_connection *conn);
    int (*post)(struct mg_connection *conn);
} ad_routes[] = {
    {"/healthz", "GET, HEAD, OPTIONS", ad_get_healthz, NULL},
    {"/status", "GET, HEAD, OPTIONS", ad_get_status, NULL},
    {"/ticks", "GET, HEAD, OPTIONS", ad_get_ticks, NULL},
    {"/events", "GET, HEAD, OPTIONS", ad_get_events, NULL},
    {"/ingest", "POST, PUT, OPTIONS", NULL, ad_post_ingest},
    {"/command", "POST, OPTIONS", NULL, ad_post_command},
};

static const struct ad_asset *ad_asset_find(const char *path)
{
    size_t i;

    for (i = 0; i < AD_COUNT(ad_assets); i++) {
        if (strcmp(ad_assets[i].path, path) == 0) {
            return &ad_assets[i];
        }
    }
    return NULL;
}

static int ad_options(struct mg_connection *conn, const char *allow)
{
    char extra[AD_CORS_MAX + AD_REPLY_MAX], cors[AD_CORS_MAX];

    ad_cors_lines(conn, cors);
    (void)snprintf(extra, sizeof(extra), "Allow: %s\r\n%s%s%s%s", allow, cors,
                   cors[0] != '\0' ? "Access-Control-Allow-Methods: " : "",
                   cors[0] != '\0' ? allow : "",
                   cors[0] != '\0'
                       ? "\r\nAccess-Control-Allow-Headers: Content-Type, "
                         "Last-Event-ID\r\nAccess-Control-Max-Age: 600\r\n"
                       : "");
    return ad_respond(conn, 204, NULL, extra, "", SIZE_MAX);
}

/* RFC 6455 4.2.1: what a handshake must have. Returns 0 to let civetweb go on
 * with it, or the status of the answer. */
static int ad_check_upgrade(struct mg_connection *conn, const char *path)
{
    const char *version = mg_get_header(conn, "Sec-WebSocket-Version");
    const char *key = mg_get_header(conn, "Sec-WebSocket-Key");
    char id[AIDASH_CLIENT_ID_MAX + 1];

    ad_hub.refused++; /* until all is found right */
    if (strncmp(path, "/ws/", 4) != 0) {
        return ad_respond_error(conn, 404, "",
                                "WebSockets are at /ws/{client_id}");
    }
    if (!ad_is_method(conn, "GET")) {
        return ad_respond_error(conn, 405, "Allow: GET\r\n",
                                "a WebSocket begins with GET");
    }
    if (!ad_client_id(path + 4, strlen(path + 4), id)) {
        return ad_respond_error(conn, 400, "",
                                "client_id must be 1 to 64 characters of "
                                "A-Z a-z 0-9 . _ ~ -");
    }
    if (!ad_header_has(mg_get_header(conn, "Upgrade"), "websocket") ||
        !ad_header_has(mg_get_header(conn, "Connection"), "upgrade")) {
        return ad_respond_error(conn, 426,
                                "Upgrade: websocket\r\n"
                                "Sec-WebSocket-Version: 13\r\n",
                                "this is a WebSocket");
    }
    if (version == NULL || strcmp(version, "13") != 0) {
        return ad_respond_error(conn, 426, "Sec-WebSocket-Version: 13\r\n",
                                "only version 13 of WebSocket is spoken");
    }
    if (key == NULL || strlen(key) != 24 || strcmp(key + 22, "==") != 0 ||
        strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                    "0123456789+/") != 22) {
        return ad_respond_error(conn, 400, "",
                                "Sec-WebSocket-Key must be 16 bytes in base64");
    }
    if (!ad_origin_allowed(mg_get_header(conn, "Origin"),
                           mg_get_header(conn, "Host"))) {
        return ad_respond_error(conn, 403, "", ad_not_allowed);
    }
    ad_hub.refused--;
    return 0;
}

static int ad_http_route(struct mg_connection *conn)
{
    const struct mg_request_info *info = mg_get_request_info(conn);
    const char *path = info->local_uri_raw;
    bool get = ad_is_method(conn, "GET") || ad_is_method(conn, "HEAD");
    bool post = ad_is_method(conn, "POST");
    const struct ad_asset *asset;
    char extra[96];
    size_t i;

    if (strncmp(path, "/ws/", 4) == 0 ||
        mg_get_header(conn, "Sec-WebSocket-Key") != NULL) {
        return ad_check_upgrade(conn, path);
    }
    for (i = 0; i < AD_COUNT(ad_routes); i++) {
        const char *allow = ad_routes[i].allow;

        if (strcmp(ad_routes[i].path, path) != 0) {
            continue;
        }
        if (!ad_is_method(conn, "OPTIONS") &&
            !ad_origin_allowed(mg_get_header(conn, "Origin"),
                               mg_get_header(conn, "Host"))) {
            return ad_respond_error(conn, 403, "", ad_not_allowed);
        }
        if (get && ad_routes[i].get != NULL) {
            return ad_routes[i].get(conn);
        }
        if (ad_routes[i].post != NULL &&
            (post || (ad_is_method(conn, "PUT") &&
                      strstr(allow, "PUT") != NULL))) {
            return ad_routes[i].post(conn);
        }
        if (ad_is_method(conn, "OPTIONS")) {
            return ad_options(conn, allow);
        }
        (void)snprintf(extra, sizeof(extra), "Allow: %s\r\n", allow);
        return ad_respond_error(conn, 405, extra, "not with this method");
    }
    asset = ad_asset_find(path);
    if (ad_is_method(conn, "OPTIONS")) {
        return ad_options(conn, "GET, HEAD, OPTIONS");
    }
    if (asset == NULL || path[0] == '\0') {
        return ad_respond_error(conn, 404, "", "there is nothing here");
    }
    if (!get) {
        return ad_respond_error(conn, 405, "Allow: GET, HEAD, OPTIONS\r\n",
                                "not with this method");
    }
    return ad_get_asset(conn, asset);
}

/* civetweb's begin_request: every request comes through here first. A body that
 * nobody read is left to the hub, so that no worker waits for it and closing
 * does not reset our answer away. */
static int ad_http_request(struct mg_connection *conn)
{
    int status = ad_http_route(conn);
    struct ad_adopt a;

    if (status > 0 && ad_civetweb_unread(conn) && ad_slot_take(1)) {
        memset(&a, 0, sizeof(a));
        a.kind = AD_LINGER;
        (void)ad_adopt(conn, &a);
    }
    return status;
}

/* civetweb's http_error: what it refuses by itself, in our form. */
static int ad_http_error(struct mg_connection *conn, int status,
                         const char *why)
{
    /* Its 411 is for a Content-Length that is no number: RFC 9112 6.3. */
    (void)ad_respond_error(conn, status == 411 ? 400 : status, "", why);
    return 0;
}

/* mg_set_websocket_handler's connect: may it enter? 0: yes. */
static int ad_ws_connect(const struct mg_connection *conn, void *unused)
{
    (void)unused;
    /* civetweb hands the same object over without const elsewhere. */
    return !ad_promise_slot((struct mg_connection *)(uintptr_t)conn, AD_WS);
}

/* Its ready: the handshake is done, the hub takes over. */
static void ad_ws_ready(struct mg_connection *conn, void *unused)
{
    const char *path = mg_get_request_info(conn)->local_uri_raw;
    char id[AIDASH_CLIENT_ID_MAX + 1];
    struct ad_adopt a;
    uint64_t batch = 0;

    (void)unused;
    memset(&a, 0, sizeof(a));
    (void)ad_client_id(path + 4, strlen(path + 4), id);
    (void)ad_query_u64(conn, "batch", 9, &batch);
    a.kind = batch == 1 ? AD_WS_BATCH : AD_WS;
    a.id = id;
    (void)ad_adopt(conn, &a);
}

/* civetweb's connection_close: a promise that was not taken up. */
static void ad_http_close(const struct mg_connection *conn)
{
    const char *promise = mg_get_user_connection_data(conn);

    if (promise != NULL) {
        ad_slot_return((unsigned)(promise - ad_promise));
    }
}

/* And connection_closed: there is room for the next. */
static void ad_http_closed(const struct mg_connection *conn)
{
    (void)conn;
    atomic_fetch_sub(&ad_hub.http_inside, 1);
    ad_wake();
}

static int ad_http_log(const struct mg_connection *conn, const char *message)
{
    (void)conn;
    ad_log(AIDASH_LOG_DEBUG, "civetweb: %s", message);
    return 1;
}

/* ==== 9 API ============================================================== */

/* What aidash.h declares, in its order. */

const char *aidash_strerror(int code)
{
    switch (code) {
    case 0:
        return "no error";
    case AIDASH_EINVAL:
        return "an argument or option is out of its range";
    case AIDASH_ESTATE:
        return "already started, or not started";
    case AIDASH_EBIND:
        return "an address can't be bound";
    case AIDASH_ESYS:
        return "the system refused a thread, socket or memory";
    default:
        return "unknown error";
    }
}

const char *aidash_last_error(void)
{
    return ad_error_text;
}

static int AD_PRINTF(2, 3) ad_fail(int code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(ad_error_text, sizeof(ad_error_text), fmt, args);
    va_end(args);
    return code;
}

/* Take the next item off a comma-separated list, without blanks around it.
 * False at the list's end. */
static bool ad_list_next(const char **list, const char **item, size_t *len)
{
    const char *s = *list, *end;

    if (s == NULL) {
        return false;
    }
    end = strchr(s, ',');
    *list = end != NULL ? end + 1 : NULL;
    s += strspn(s, " \t");
    *len = strcspn(s, ",");
    while (*len > 0 && (s[*len - 1] == ' ' || s[*len - 1] == '\t')) {
        (*len)--;
    }
    *item = s;
    return true;
}

/* [ADDR:]PORT into an address. Without ADDR (or with *), all interfaces: IPv6
 * with IPv4 in it, if `dual`, else IPv4. False if it is malformed. */
static bool ad_address_parse(const char *spec, bool dual,
                             struct sockaddr_storage *out, socklen_t *len)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;
    const char *colon = strrchr(spec, ':');
    const char *port_text = colon != NULL ? colon + 1 : spec;
    char host[64];
    size_t host_len = colon != NULL ? (size_t)(colon - spec) : 0;
    unsigned long port = strtoul(port_text, NULL, 10);

    memset(out, 0, sizeof(*out));
    if (port_text[0] == '\0' || strlen(port_text) > 5 || port > 65535 ||
        strspn(port_text, "0123456789") != strlen(port_text) ||
        host_len >= sizeof(host) || (colon != NULL && host_len == 0)) {
        return false;
    }
    memcpy(host, spec, host_len);
    host[host_len] = '\0';
    if (host_len == 0 || strcmp(host, "*") == 0) {
        if (dual) {
            v6->sin6_family = AF_INET6;
        } else {
            v4->sin_family = AF_INET;
        }
    } else if (host[0] == '[' && host[host_len - 1] == ']') {
        host[host_len - 1] = '\0';
        v6->sin6_family = AF_INET6;
        if (inet_pton(AF_INET6, host + 1, &v6->sin6_addr) != 1) {
            return false;
        }
    } else {
        v4->sin_family = AF_INET;
        if (inet_pton(AF_INET,
                      strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
                      &v4->sin_addr) != 1) {
            return false;
        }
    }
    if (out->ss_family == AF_INET6) {
        v6->sin6_port = htons((uint16_t)port);
        *len = sizeof(*v6);
    } else {
        v4->sin_port = htons((uint16_t)port);
        *len = sizeof(*v4);
    }
    return true;
}

/* A socket bound to [ADDR:]PORT. Returns it and its real port, or minus errno
 * (EINVAL: the address is malformed). */
static int ad_socket_bind(const char *spec, int type, unsigned *port)
{
    struct sockaddr_storage address;
    socklen_t len;
    int fd = -1, on = 1, off = 0, error, dual;

    for (dual = 1; dual >= 0 && fd < 0; dual--) { /* a kernel without IPv6 */
        if (!ad_address_parse(spec, dual == 1, &address, &len)) {
            return -EINVAL;
        }
        fd = socket(address.ss_family, type, 0);
        if (fd >= 0 && address.ss_family == AF_INET6) {
            (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
        }
        if (fd >= 0 && type == SOCK_STREAM) {
            (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        }
        if (fd >= 0 && (bind(fd, (struct sockaddr *)&address, len) != 0 ||
                        (type == SOCK_STREAM && listen(fd, 1024) != 0))) {
            error = errno;
            (void)close(fd);
            fd = -1;
            if (error != EADDRNOTAVAIL && error != EAFNOSUPPORT) {
                return -error;
            }
            errno = error;
        }
    }
    if (fd < 0) {
        return -errno;
    }
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    len = sizeof(address);
    (void)getsockname(fd, (struct sockaddr *)&address, &len);
    *port = ntohs(address.ss_family == AF_INET6
                      ? ((struct sockaddr_in6 *)(void *)&address)->sin6_port
                      : ((struct sockaddr_in *)(void *)&address)->sin_port);
    return fd;
}

/* The part of a listener's spec in front of the port, "" for all interfaces. */
static size_t ad_spec_host(const char *spec)
{
    const char *colon = strrchr(spec, ':');

    return colon == NULL || spec[0] == '*' ? 0 : (size_t)(colon - spec);
}

static int ad_configure_models(const char *list)
{
    const char *item;
    size_t len;

    while (ad_list_next(&list, &item, &len)) {
        char *name = ad_hub.models[ad_hub.n_models];

        if (!ad_name_ok(item, len, AIDASH_MODEL_MAX)) {
            return ad_fail(AIDASH_EINVAL,
                           "models: a name must be 1 to %d bytes of UTF-8 "
                           "without control characters: '%.*s'",
                           AIDASH_MODEL_MAX, (int)(len < 80 ? len : 80), item);
        }
        if (ad_hub.n_models == AIDASH_MODELS) {
            return ad_fail(AIDASH_EINVAL, "models: more than %d names",
                           AIDASH_MODELS);
        }
        memcpy(name, item, len);
        name[len] = '\0';
        if (ad_model_find(name) < ad_hub.n_models) {
            return ad_fail(AIDASH_EINVAL, "models: '%s' stands there twice",
                           name);
        }
        ad_hub.n_models++;
    }
    return 0;
}

static int ad_configure_origins(const char *list)
{
    const char *item;
    size_t len;

    while (ad_list_next(&list, &item, &len)) {
        if (len == 1 && item[0] == '*') {
            ad_set.any_origin = true;
            continue;
        }
        if (len == 0 || len > AD_ORIGIN_MAX ||
            memmem(item, len, "://", 3) == NULL || item[len - 1] == '/') {
            return ad_fail(AIDASH_EINVAL,
                           "allow-origin: an origin is like "
                           "http://host:port, or *: '%.*s'",
                           (int)(len < 80 ? len : 80), item);
        }
        if (ad_set.n_origins == AD_ORIGINS) {
            return ad_fail(AIDASH_EINVAL, "allow-origin: more than %d",
                           AD_ORIGINS);
        }
        memcpy(ad_set.origins[ad_set.n_origins], item, len);
        ad_set.origins[ad_set.n_origins++][len] = '\0';
    }
    return 0;
}

static int ad_configure_listen(const char *list)
{
    const char *item;
    size_t len;

    while (ad_list_next(&list, &item, &len)) {
        struct sockaddr_storage address;
        socklen_t address_len;
        char *spec = ad_set.listen[ad_set.n_listen];

        if (ad_set.n_listen == AD_LISTENERS) {
            return ad_fail(AIDASH_EINVAL, "listen: more than %d addresses",
                           AD_LISTENERS);
        }
        if (len >= sizeof(ad_set.listen[0])) {
            len = sizeof(ad_set.listen[0]) - 1;
        }
        memcpy(spec, item, len);
        spec[len] = '\0';
        if (!ad_address_parse(spec, true, &address, &address_len)) {
            return ad_fail(AIDASH_EINVAL,
                           "listen: '%s' is not [ADDR:]PORT, such as 8080, "
                           "127.0.0.1:8080 or [::1]:8080",
                           spec);
        }
        ad_set.n_listen++;
    }
    return 0;
}

/* Check all that can be checked without opening anything. */
static int ad_configure(const struct aidash_config *config)
{
    static const char *const sources[] = {"none", "sim", "stdin"};
    const char *source, *models = config->models;
    unsigned i = 0;
    int rc;

    memset(&ad_set, 0, sizeof(ad_set));
    ad_set.config = *config;
    source = config->source != NULL ? config->source : "none";
    while (i < AD_COUNT(sources) && strcmp(sources[i], source) != 0) {
        i++;
    }
    if (i == AD_COUNT(sources)) {
        return ad_fail(AIDASH_EINVAL,
                       "source: '%.80s' must be sim, stdin or none", source);
    }
    ad_set.source = (enum ad_source)i;
    ad_set.rate_hz = config->rate_hz;
    if (config->rate_hz == 0) {
        ad_set.rate_hz = 5;
    }
    if (!(ad_set.rate_hz >= 0.001 && ad_set.rate_hz <= 10000)) {
        return ad_fail(AIDASH_EINVAL,
                       "rate: must be from 0.001 to 10000 ticks a second");
    }
    ad_set.seed = config->seed != 0 ? config->seed : 1;
    ad_set.backlog = config->backlog != 0 ? config->backlog : AIDASH_BACKLOG;
    if (ad_set.backlog > AIDASH_EVENTS / 2) {
        return ad_fail(AIDASH_EINVAL, "backlog: must be 1 to %d events",
                       AIDASH_EVENTS / 2);
    }
    ad_set.per_address = config->per_address;
    ad_set.log_level = config->log_level != AIDASH_LOG_DEFAULT
                           ? config->log_level
                           : AIDASH_LOG_INFO;
    if ((unsigned)ad_set.log_level > AIDASH_LOG_DEBUG) {
        return ad_fail(AIDASH_EINVAL,
                       "log-level: must be error, warn, info or debug");
    }
    if (models == NULL && ad_set.source == AD_SOURCE_SIM) {
        models = "llama3,mistral,qwen2.5";
    }
    ad_set.learn_models = models == NULL;
    rc = ad_configure_models(models);
    if (rc == 0) {
        rc = ad_configure_origins(config->allow_origin);
    }
    if (rc == 0) {
        rc = ad_configure_listen(config->listen != NULL ? config->listen
                                                        : "8080");
    }
    return rc;
}

/* Open what the hub waits on: wake-up, listeners, UDP, stdin. */
static int ad_open(const struct aidash_config *config)
{
    unsigned i, port;
    int fd;

    if (!ad_poll_open()) {
        return ad_fail(AIDASH_ESYS, "epoll or timerfd: %s", strerror(errno));
    }
#if AIDASH_USE_POLL
    {
        int ends[2];

        if (pipe(ends) != 0) {
            return ad_fail(AIDASH_ESYS, "pipe: %s", strerror(errno));
        }
        ad_hub.wake_rd = ends[0];
        ad_hub.wake_wr = ends[1];
        (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
        (void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
    }
#else
    ad_hub.wake_rd = ad_hub.wake_wr = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ad_hub.wake_rd < 0) {
        return ad_fail(AIDASH_ESYS, "eventfd: %s", strerror(errno));
    }
#endif
    (void)ad_poll_set(ad_hub.wake_rd, 0, AD_IN, AD_TAG_WAKE, 0);
    for (i = 0; i < ad_set.n_listen; i++) {
        fd = ad_socket_bind(ad_set.listen[i], SOCK_STREAM, &ad_hub.ports[i]);
        if (fd < 0) {
            return ad_fail(AIDASH_EBIND, "can't listen on %s: %s",
                           ad_set.listen[i], strerror(-fd));
        }
        ad_hub.listeners[ad_hub.n_listeners++] = fd;
    }
    if (config->udp != NULL) {
        fd = ad_socket_bind(config->udp, SOCK_DGRAM, &port);
        if (fd == -EINVAL) {
            return ad_fail(AIDASH_EINVAL, "udp: '%.80s' is not [ADDR:]PORT",
                           config->udp);
        }
        if (fd < 0) {
            return ad_fail(AIDASH_EBIND, "can't take UDP on %.80s: %s",
                           config->udp, strerror(-fd));
        }
        ad_hub.udp[ad_hub.n_udp++] = fd;
        (void)ad_poll_set(fd, 0, AD_IN, AD_TAG_UDP, 0);
        ad_log(AIDASH_LOG_INFO, "UDP ingest on %.*s:%u",
               (int)ad_spec_host(config->udp), config->udp, port);
    }
    if (ad_set.source == AD_SOURCE_STDIN) {
        ad_hub.stdin_open = true;
        /* epoll refuses files: they are always readable. */
        ad_hub.stdin_is_file =
            !ad_poll_set(STDIN_FILENO, 0, AD_IN, AD_TAG_STDIN, 0);
    }
    return 0;
}

static void ad_close(void)
{
    unsigned i;

    for (i = 0; i < ad_hub.n_listeners; i++) {
        (void)close(ad_hub.listeners[i]);
    }
    for (i = 0; i < ad_hub.n_udp; i++) {
        (void)close(ad_hub.udp[i]);
    }
    if (ad_hub.wake_wr != ad_hub.wake_rd) {
        (void)close(ad_hub.wake_wr);
    }
    (void)close(ad_hub.wake_rd);
    ad_poll_close();
}

/* Section 11: civetweb with its workers; its listeners are the hub's. */
static struct mg_context *ad_civetweb_start(void);

int aidash_start_sized(const struct aidash_config *config, size_t size)
{
    static const struct aidash_config defaults;
    sigset_t all, before;
    unsigned i;
    int rc;

    if (size != sizeof(struct aidash_config)) {
        return ad_fail(AIDASH_ESTATE, "aidash.h and aidash.c are of different "
                                      "versions");
    }
    if (atomic_exchange(&ad_running, true)) {
        return ad_fail(AIDASH_ESTATE, "aidash runs already");
    }
    config = config != NULL ? config : &defaults;
    ad_error_text[0] = '\0';
    memset(&ad_hub, 0, sizeof(ad_hub));
    ad_hub.wake_rd = ad_hub.wake_wr = -1;
    ad_hub.free_slot = AD_NO_SLOT;
    ad_feed_init();
    rc = ad_configure(config);
    if (rc != 0) {
        goto not_running;
    }
    ad_hub_clock();
    ad_hub.start_ns = ad_hub.now_ns;
    ad_hub.start_us = ad_hub.now_us;
    ad_hub.tidy_ns = ad_hub.now_ns + AD_NS_PER_S;
    ad_hub.sim_state = ad_set.seed;
    ad_hub.sim_step_ns = (uint64_t)((double)AD_NS_PER_S / ad_set.rate_hz);
    ad_hub.sim_due_ns = ad_hub.now_ns + ad_hub.sim_step_ns;
    rc = ad_open(config);
    if (rc != 0) {
        goto close_sockets;
    }
    ad_listeners_watch(true);
    /* Signals are for the program's own threads. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    ad_hub.civetweb = ad_civetweb_start();
    if (ad_hub.civetweb == NULL) {
        rc = ad_fail(AIDASH_ESYS, "civetweb can't start its threads");
    } else if (pthread_create(&ad_hub.thread, NULL, ad_hub_main, NULL) != 0) {
        rc = ad_fail(AIDASH_ESYS, "can't start the hub's thread");
        mg_stop(ad_hub.civetweb);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        goto close_sockets;
    }
    for (i = 0; i < ad_hub.n_listeners; i++) {
        size_t host = ad_spec_host(ad_set.listen[i]);

        ad_log(AIDASH_LOG_INFO, "listening on http://%.*s:%u%s",
               host > 0 ? (int)host : 9,
               host > 0 ? ad_set.listen[i] : "localhost", ad_hub.ports[i],
               host > 0 ? "" : " (all interfaces)");
    }
    return 0;

close_sockets:
    ad_close();
not_running:
    atomic_store(&ad_running, false);
    return rc;
}

void aidash_stop(void)
{
    if (!atomic_load(&ad_running)) {
        return;
    }
    atomic_store(&ad_hub.stop, 1);
    ad_wake();
    mg_stop(ad_hub.civetweb); /* its workers may still ask the hub */
    atomic_store(&ad_hub.stop, 2);
    ad_wake();
    (void)pthread_join(ad_hub.thread, NULL);
    ad_close();
    atomic_store(&ad_running, false);
}

unsigned aidash_port(unsigned i)
{
    return i < AD_LISTENERS ? ad_hub.ports[i] : 0;
}

static bool ad_copy_name(char *out, const char *name, size_t max)
{
    size_t len = name != NULL ? strnlen(name, max + 1) : 0;

    if (len == 0) {
        return true;
    }
    if (!ad_name_ok(name, len, max)) {
        return false;
    }
    memcpy(out, name, len + 1);
    return true;
}

int aidash_publish(const struct aidash_tick *tick)
{
    struct ad_sample sample;

    if (!atomic_load_explicit(&ad_running, memory_order_acquire)) {
        return AIDASH_ESTATE;
    }
    if (tick == NULL ||
        (tick->tokens == 0 && tick->tokens_generated == 0 &&
         tick->latency_ms == 0) ||
        tick->tokens > AD_TOKENS_LIMIT ||
        tick->tokens_generated > AD_TOTAL_LIMIT ||
        !(tick->latency_ms >= 0 && tick->latency_ms <= AD_LATENCY_LIMIT) ||
        !(tick->tokens_per_second >= 0 &&
          tick->tokens_per_second <= AD_RATE_LIMIT) ||
        !(tick->timestamp >= 0 && tick->timestamp <= AD_TIME_LIMIT)) {
        return AIDASH_EINVAL;
    }
    sample.model[0] = sample.node[0] = '\0';
    if (!ad_copy_name(sample.model, tick->model, AIDASH_MODEL_MAX) ||
        !ad_copy_name(sample.node, tick->node, AIDASH_NODE_MAX)) {
        return AIDASH_EINVAL;
    }
    sample.tokens = tick->tokens;
    sample.total = tick->tokens_generated;
    sample.latency_ms = tick->latency_ms;
    sample.rate = tick->tokens_per_second;
    sample.time_us = (uint64_t)(tick->timestamp * 1e6 + 0.5);
    sample.has = (tick->tokens != 0 ? AD_HAS_TOKENS : 0u) |
                 (tick->tokens_generated != 0 ? AD_HAS_TOTAL : 0u) |
                 (tick->latency_ms > 0 ? AD_HAS_LATENCY : 0u) |
                 (tick->tokens_per_second > 0 ? AD_HAS_RATE : 0u) |
                 (tick->timestamp > 0 ? AD_HAS_TIME : 0u);
    ad_inbox_push(&sample);
    /* The tick is in the inbox before the hub's sleep is looked at; the hub
     * announces its sleep before it looks at the inbox. */
    atomic_thread_fence(memory_order_seq_cst);
    switch (atomic_load_explicit(&ad_hub.sleep, memory_order_relaxed)) {
    case AD_ASLEEP:
        ad_wake();
        break;
    case AD_PACING:
        if (ad_inbox_fill() > AIDASH_INBOX / 2) {
            ad_wake();
        }
        break;
    default:
        break;
    }
    return 0;
}

struct ad_stats_call {
    struct ad_call call;
    struct aidash_stats *out;
};

static void ad_stats_run(struct ad_call *call)
{
    struct aidash_stats *out = ((struct ad_stats_call *)(void *)call)->out;
    const char *model = ad_model_name();

    out->ticks = ad_hub.count.ticks;
    out->inbox_dropped = atomic_load(&ad_inbox.dropped);
    out->dropped = ad_dropped();
    out->bytes_sent = ad_hub.count.bytes_sent;
    out->viewers = ad_hub.n_kind[AD_WS] + ad_hub.n_kind[AD_WS_BATCH] +
                   ad_hub.n_kind[AD_SSE];
    out->paused = ad_hub.paused;
    memcpy(out->model, model, strlen(model) + 1);
}

int aidash_get_stats(struct aidash_stats *stats)
{
    struct ad_stats_call call;

    if (stats == NULL) {
        return AIDASH_EINVAL;
    }
    if (!atomic_load(&ad_running)) {
        return AIDASH_ESTATE;
    }
    memset(stats, 0, sizeof(*stats));
    call.call.run = ad_stats_run;
    call.out = stats;
    ad_hub_run(&call.call);
    return 0;
}

void aidash_print_sizes(void)
{
    size_t i;

    printf("%-16s %8s %12s\n", "part", "count", "bytes");
    for (i = 0; i < AD_COUNT(ad_parts); i++) {
        printf("%-16s %8zu %12zu\n", ad_parts[i].name, ad_parts[i].count,
               ad_parts[i].bytes);
    }
    printf("%-16s %8s %12zu\n", "total", "", ad_static_bytes());
}

/* ==== 10 MAIN ============================================================ */

#ifndef AIDASH_NO_MAIN

/* The command line: options from a file, the environment and the arguments, in
 * this order of rising weight. */

enum { AD_EXIT_OK, AD_EXIT_FAILED, AD_EXIT_USAGE, AD_EXIT_BIND };

enum ad_option_kind { AD_OPT_TEXT, AD_OPT_LIST, AD_OPT_NUMBER, AD_OPT_FLAG };

static const struct ad_option {
    const char *name, *value, *help;
    enum ad_option_kind kind;
} ad_options_known[] = {
    {"listen", "[ADDR:]PORT", "serve here; may be repeated (default 8080, all "
     "interfaces; port 0: any free one)", AD_OPT_LIST},
    {"source", "sim|stdin|none", "where ticks come from (default sim)",
     AD_OPT_TEXT},
    {"stdin", "", "short for --source stdin: one JSON object a line",
     AD_OPT_FLAG},
    {"rate", "HZ", "ticks a second of the simulator, up to 10000 (default 5)",
     AD_OPT_NUMBER},
    {"seed", "N", "seed of the simulator (default 1)", AD_OPT_NUMBER},
    {"models", "A,B,C", "models to switch between (default for sim: "
     "llama3,mistral,qwen2.5; else learned)", AD_OPT_LIST},
    {"udp", "[ADDR:]PORT", "take ticks as UDP datagrams here", AD_OPT_TEXT},
    {"backlog", "N", "events a slow viewer may be behind (default 100)",
     AD_OPT_NUMBER},
    {"per-address", "N", "connections from one address at most (default 0: no "
     "limit)", AD_OPT_NUMBER},
    {"allow-origin", "ORIGIN", "let pages of this origin connect; * for any; "
     "may be repeated", AD_OPT_LIST},
    {"log-level", "LEVEL", "error, warn, info or debug (default info)",
     AD_OPT_TEXT},
    {"config", "FILE", "read options from lines `key = value`", AD_OPT_TEXT},
    {"sizes", "", "print the map of static memory and exit", AD_OPT_FLAG},
    {"version", "", "print the version and exit", AD_OPT_FLAG},
    {"help", "", "print this and exit", AD_OPT_FLAG},
};
enum {
    AD_OPTIONS = AD_COUNT(ad_options_known),
    AD_OPTION_CAP = 1024,
    AD_WHERE_CAP = 256
};

/* What each option was given, and how it was written there, for messages:
 * --rate, AIDASH_RATE, or FILE line 3: rate. */
static struct {
    bool set;
    char value[AD_OPTION_CAP], name[AD_WHERE_CAP];
} ad_given[AD_OPTIONS];

/* Edits (insert, delete, replace) between two words: Levenshtein's distance. */
static unsigned ad_distance(const char *a, const char *b)
{
    unsigned row[64];
    size_t i, j, n = strlen(b);

    if (n >= AD_COUNT(row)) {
        return UINT32_MAX;
    }
    for (j = 0; j <= n; j++) {
        row[j] = (unsigned)j;
    }
    for (i = 1; a[i - 1] != '\0'; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (j = 1; j <= n; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
        }
    }
    return row[n];
}

static int ad_option_find(const char *name)
{
    int i;

    for (i = 0; i < AD_OPTIONS; i++) {
        if (strcmp(ad_options_known[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

static const char *ad_option_nearest(const char *name)
{
    const char *best = ad_options_known[0].name;
    int i;

    for (i = 1; i < AD_OPTIONS; i++) {
        if (ad_distance(name, ad_options_known[i].name) <
            ad_distance(name, best)) {
            best = ad_options_known[i].name;
        }
    }
    return best;
}

/* One option; `written` is its name as its place writes it. The options of one place override those of a lighter one as
 * a whole, so a list begins anew with each place: `fresh` is what it set. */
static bool ad_option_set(const char *written, const char *name,
                          const char *value, bool fresh[AD_OPTIONS])
{
    int i = ad_option_find(name);
    size_t used;

    if (i < 0) {
        (void)fprintf(stderr,
                      "aidash: unknown option %s; the nearest is --%s (--help "
                      "lists all)\n",
                      written, ad_option_nearest(name));
        return false;
    }
    if (!fresh[i] || ad_options_known[i].kind != AD_OPT_LIST) {
        ad_given[i].value[0] = '\0';
        fresh[i] = true;
    }
    (void)snprintf(ad_given[i].name, AD_WHERE_CAP, "%s", written);
    used = strlen(ad_given[i].value);
    if (used + strlen(value) + 2 > AD_OPTION_CAP) {
        (void)fprintf(stderr, "aidash: %s: longer than %d characters\n",
                      written, AD_OPTION_CAP - 2);
        return false;
    }
    (void)snprintf(ad_given[i].value + used, AD_OPTION_CAP - used, "%s%s",
                   used > 0 ? "," : "", value);
    ad_given[i].set = true;
    return true;
}

/* The text between blanks, in place. */
static char *ad_trim(char *s)
{
    size_t n;

    s += strspn(s, " \t\r\n");
    n = strlen(s);
    while (n > 0 && strchr(" \t\r\n", s[n - 1]) != NULL) {
        s[--n] = '\0';
    }
    return s;
}

static bool ad_options_file(const char *path)
{
    bool fresh[AD_OPTIONS] = {false};
    char line[AD_OPTION_CAP + 64], where[AD_WHERE_CAP];
    FILE *f = fopen(path, "r");
    unsigned n = 0;
    bool ok = true;

    if (f == NULL) {
        (void)fprintf(stderr, "aidash: --config: can't read %s: %s\n", path,
                      strerror(errno));
        return false;
    }
    while (ok && fgets(line, (int)sizeof(line), f) != NULL) {
        char *key = ad_trim(line), *equals = strchr(key, '=');

        n++;
        if (key[0] == '#' || key[0] == '\0') {
            continue;
        }
        if (equals == NULL) {
            (void)fprintf(stderr, "aidash: %s line %u: expected `key = value`\n",
                          path, n);
            ok = false;
            continue;
        }
        *equals = '\0';
        key = ad_trim(key);
        (void)snprintf(where, sizeof(where), "%s line %u: %s", path, n, key);
        if (strcmp(key, "config") == 0) {
            (void)fprintf(stderr,
                          "aidash: %s: a config file can't name another\n",
                          where);
            ok = false;
        } else {
            ok = ad_option_set(where, key, ad_trim(equals + 1), fresh);
        }
    }
    (void)fclose(f);
    return ok;
}

/* AIDASH_LISTEN for --listen, AIDASH_ALLOW_ORIGIN for --allow-origin, ... */
static bool ad_options_env(void)
{
    bool fresh[AD_OPTIONS] = {false};
    int i;

    for (i = 0; i < AD_OPTIONS; i++) {
        const char *name = ad_options_known[i].name, *value;
        char key[64];
        size_t n = (size_t)snprintf(key, sizeof(key), "AIDASH_%s", name);

        while (n-- > 0) {
            key[n] = (char)(key[n] == '-'                    ? '_'
                            : key[n] >= 'a' && key[n] <= 'z' ? key[n] - 32
                                                             : key[n]);
        }
        value = getenv(key);
        if (value != NULL && value[0] != '\0' &&
            !ad_option_set(key, name, value, fresh)) {
            return false;
        }
    }
    return true;
}

static bool ad_options_args(int argc, char **argv)
{
    bool fresh[AD_OPTIONS] = {false};
    int i, k;

    for (i = 1; i < argc; i++) {
        char written[64], *name = written + 2;
        const char *value = strchr(argv[i], '=');
        size_t len = value != NULL ? (size_t)(value - argv[i]) : strlen(argv[i]);

        if (strncmp(argv[i], "--", 2) != 0 || len >= sizeof(written)) {
            (void)fprintf(stderr,
                          "aidash: '%s' is not an option; options begin with "
                          "-- (--help lists all)\n",
                          argv[i]);
            return false;
        }
        (void)snprintf(written, sizeof(written), "%.*s", (int)len, argv[i]);
        k = ad_option_find(name);
        if (k >= 0 && ad_options_known[k].kind == AD_OPT_FLAG) {
            if (value != NULL) {
                (void)fprintf(stderr, "aidash: %s takes no value\n", written);
                return false;
            }
            value = "yes";
        } else if (k >= 0 && value == NULL) {
            if (++i == argc) {
                (void)fprintf(stderr, "aidash: %s needs a value: %s\n", written,
                              ad_options_known[k].value);
                return false;
            }
            value = argv[i];
        } else if (value != NULL) {
            value++;
        }
        if (!ad_option_set(written, name, value != NULL ? value : "", fresh)) {
            return false;
        }
    }
    return true;
}

static const char *ad_option_value(const char *name)
{
    int i = ad_option_find(name);

    return ad_given[i].set ? ad_given[i].value : NULL;
}

static bool ad_option_flag(const char *name)
{
    const char *value = ad_option_value(name);

    return value != NULL && strcmp(value, "no") != 0 &&
           strcmp(value, "0") != 0 && strcmp(value, "false") != 0;
}

/* The option's name as it was written. */
static const char *ad_option_written(const char *name)
{
    return ad_given[ad_option_find(name)].name;
}

/* A number in [low, high] into *out, if it was given. */
static bool ad_option_number(const char *name, double low, double high,
                             bool whole, double *out)
{
    const char *text = ad_option_value(name);
    char *end;

    if (text == NULL) {
        return true;
    }
    *out = strtod(text, &end);
    if (end == text || *end != '\0' || !(*out >= low && *out <= high) ||
        (whole && strspn(text, "0123456789") != strlen(text))) {
        (void)fprintf(stderr, "aidash: %s: '%s' is not a %snumber from %g to "
                              "%.17g\n",
                      ad_option_written(name), text, whole ? "whole " : "", low, high);
        return false;
    }
    return true;
}

static bool ad_option_level(enum aidash_log_level *level)
{
    const char *text = ad_option_value("log-level");
    unsigned i, best = AIDASH_LOG_ERROR;

    for (i = AIDASH_LOG_ERROR; text != NULL && i <= AIDASH_LOG_DEBUG; i++) {
        if (strcmp(ad_log_names[i], text) == 0) {
            *level = (enum aidash_log_level)i;
            return true;
        }
        if (ad_distance(text, ad_log_names[i]) <
            ad_distance(text, ad_log_names[best])) {
            best = i;
        }
    }
    if (text != NULL) {
        (void)fprintf(stderr, "aidash: %s: '%s' must be error, warn, info or "
                              "debug; the nearest is %s\n",
                      ad_option_written("log-level"), text, ad_log_names[best]);
    }
    return text == NULL;
}

static bool ad_option_source(const char **source)
{
    static const char *const known[] = {"sim", "stdin", "none"};
    const char *text = ad_option_value("source");
    size_t i, best = 0;

    *source = text != NULL ? text : "sim";
    if (ad_option_flag("stdin")) {
        if (text != NULL && strcmp(text, "stdin") != 0) {
            (void)fprintf(stderr,
                          "aidash: %s: it contradicts %s %s\n",
                          ad_option_written("stdin"),
                          ad_option_written("source"), text);
            return false;
        }
        *source = "stdin";
    }
    for (i = 0; i < AD_COUNT(known); i++) {
        if (strcmp(known[i], *source) == 0) {
            return true;
        }
        if (ad_distance(*source, known[i]) < ad_distance(*source, known[best])) {
            best = i;
        }
    }
    (void)fprintf(stderr, "aidash: %s: '%s' must be sim, stdin or none; the "
                          "nearest is %s\n",
                  ad_option_written("source"), *source, known[best]);
    return false;
}

static void ad_print_help(void)
{
    int i;

    printf("aidash " AIDASH_VERSION
           " - shows on the LAN, live, what an AI engine does\n\n"
           "usage: aidash [options]\n\n");
    for (i = 0; i < AD_OPTIONS; i++) {
        char left[48];

        (void)snprintf(left, sizeof(left), "--%s %s", ad_options_known[i].name,
                       ad_options_known[i].value);
        printf("  %-26s %s\n", left, ad_options_known[i].help);
    }
    printf("\nEach option also comes from the environment (AIDASH_LISTEN, "
           "AIDASH_ALLOW_ORIGIN,\n...) and from the config file; the command "
           "line wins, then the environment.\n\n"
           "exit codes: 0 stopped by a signal, 1 failed while running, 2 wrong "
           "option,\n            3 an address can't be bound\n");
}

#ifdef __linux__

/* The inode of the socket that listens on a port, 0 if none is found. See
 * proc(5): local_address is ADDR:PORT in hexadecimal, state 0A is listening. */
static unsigned long ad_port_inode(const char *table, unsigned port)
{
    unsigned long inode = 0, found;
    unsigned local, state;
    char line[512];
    FILE *f = fopen(table, "r");

    while (f != NULL && inode == 0 && fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line,
                   " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s "
                   "%*u %*u %lu",
                   &local, &state, &found) == 3 &&
            local == port && state == 0x0A) {
            inode = found;
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return inode;
}

/* Does this process hold the socket? */
static bool ad_process_holds(const char *pid, const char *socket_name)
{
    char path[300], target[64];
    struct dirent *entry;
    bool holds = false;
    DIR *dir;

    (void)snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
    dir = opendir(path);
    while (dir != NULL && !holds && (entry = readdir(dir)) != NULL) {
        ssize_t n;

        (void)snprintf(path, sizeof(path), "/proc/%.20s/fd/%.200s", pid,
                       entry->d_name);
        n = readlink(path, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        holds = strcmp(target, socket_name) == 0;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return holds;
}

/* Say which program has the port, as far as we may see it. */
static void ad_print_holder(unsigned port)
{
    unsigned long inode = ad_port_inode("/proc/net/tcp", port);
    char socket_name[64], path[300], name[64] = "";
    struct dirent *entry;
    DIR *dir = opendir("/proc");

    inode = inode != 0 ? inode : ad_port_inode("/proc/net/tcp6", port);
    (void)snprintf(socket_name, sizeof(socket_name), "socket:[%lu]", inode);
    while (dir != NULL && inode != 0 && (entry = readdir(dir)) != NULL) {
        FILE *f;

        if (!ad_is_digit(entry->d_name[0]) ||
            !ad_process_holds(entry->d_name, socket_name)) {
            continue;
        }
        (void)snprintf(path, sizeof(path), "/proc/%.200s/comm", entry->d_name);
        f = fopen(path, "r");
        if (f != NULL && fgets(name, sizeof(name), f) != NULL) {
            (void)fprintf(stderr, "aidash: %s (process %s) has port %u\n",
                          ad_trim(name), entry->d_name, port);
        }
        if (f != NULL) {
            (void)fclose(f);
        }
        break;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

#else

static void ad_print_holder(unsigned port)
{
    (void)port;
}

#endif

/* What is wrong with an option begins with the option's name in the library;
 * here it is shown as the user wrote it. */
static void ad_print_failure(int code)
{
    const char *why = aidash_last_error();
    size_t len = strcspn(why, ":");
    char name[32];
    int i = -1;

    if (code == AIDASH_EINVAL && len < sizeof(name)) {
        (void)snprintf(name, sizeof(name), "%.*s", (int)len, why);
        i = ad_option_find(name);
    }
    (void)fprintf(stderr, "aidash: %s%s\n",
                  i >= 0 && ad_given[i].set ? ad_given[i].name : "",
                  i >= 0 && ad_given[i].set ? why + len : why);
    if (code == AIDASH_EBIND && ad_hub.n_listeners < ad_set.n_listen) {
        const char *spec = ad_set.listen[ad_hub.n_listeners];
        const char *colon = strrchr(spec, ':');

        ad_print_holder((unsigned)strtoul(colon != NULL ? colon + 1 : spec,
                                          NULL, 10));
    }
}

static int ad_run(void)
{
    struct aidash_config config = {0};
    double rate = 0, seed = 0, backlog = 0, per_address = 0;
    struct rlimit files;
    sigset_t signals;
    int rc, signal_number;

    if (!ad_option_source(&config.source) ||
        !ad_option_level(&config.log_level) ||
        !ad_option_number("rate", 0.001, 10000, false, &rate) ||
        !ad_option_number("seed", 0, 9007199254740992.0, true, &seed) ||
        !ad_option_number("backlog", 1, AIDASH_EVENTS / 2.0, true, &backlog) ||
        !ad_option_number("per-address", 0, 65535, true, &per_address)) {
        return AD_EXIT_USAGE;
    }
    config.listen = ad_option_value("listen");
    config.models = ad_option_value("models");
    config.udp = ad_option_value("udp");
    config.allow_origin = ad_option_value("allow-origin");
    config.rate_hz = rate;
    config.seed = (uint64_t)seed;
    config.backlog = (unsigned)backlog;
    config.per_address = (unsigned)per_address;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    rc = aidash_start(&config);
    if (rc != 0) {
        ad_print_failure(rc);
        return rc == AIDASH_EBIND    ? AD_EXIT_BIND
               : rc == AIDASH_EINVAL ? AD_EXIT_USAGE
                                     : AD_EXIT_FAILED;
    }
    while (sigwait(&signals, &signal_number) != 0) {
    }
    aidash_stop();
    return AD_EXIT_OK;
}

int main(int argc, char **argv)
{
    const char *file = NULL;
    int i;

    /* The file's name is needed before the rest can be read in its order. */
    file = getenv("AIDASH_CONFIG");
    for (i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--config=", 9) == 0) {
            file = argv[i] + 9;
        } else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) {
            file = argv[i + 1];
        }
    }
    if ((file != NULL && file[0] != '\0' && !ad_options_file(file)) ||
        !ad_options_env() || !ad_options_args(argc, argv)) {
        return AD_EXIT_USAGE;
    }
    if (ad_option_flag("help")) {
        ad_print_help();
        return AD_EXIT_OK;
    }
    if (ad_option_flag("version")) {
        printf("aidash " AIDASH_VERSION "\n");
        return AD_EXIT_OK;
    }
    if (ad_option_flag("sizes")) {
        aidash_print_sizes();
        return AD_EXIT_OK;
    }
    return ad_run();
}

#endif /* AIDASH_NO_MAIN */

/* ==== 11 CIVETWEB ======================================================== */

/* civetweb allocates a little: some 180 kB at start, a buffer a worker, 32 bytes
 * a request. It gets that from a static arena: blocks in address order, each
 * with its size in front, the first free one that is large enough, neighbours
 * joined when freed. A refusal closes one connection. */

struct ad_block {
    size_t size; /* of the whole block, header included; a multiple of 16 */
    size_t used; /* 1 or 0; as wide as size, to keep the alignment of 16 */
};
_Static_assert(sizeof(struct ad_block) % 16 == 0 || sizeof(size_t) < 8,
               "blocks stay aligned");

static pthread_mutex_t ad_arena_lock = PTHREAD_MUTEX_INITIALIZER;
static size_t ad_arena_used, ad_arena_high; /* under ad_arena_lock */

enum { AD_BLOCK_HEADER = 16 };

static struct ad_block *ad_block_at(size_t offset)
{
    return (struct ad_block *)(void *)(ad_arena + offset);
}

static void *ad_arena_malloc(size_t size)
{
    size_t want, at = 0;
    void *result = NULL;

    if (size > sizeof(ad_arena)) {
        return NULL;
    }
    want = AD_BLOCK_HEADER + (size + 15) / 16 * 16;
    (void)pthread_mutex_lock(&ad_arena_lock);
    if (ad_block_at(0)->size == 0) {
        ad_block_at(0)->size = sizeof(ad_arena);
    }
    while (at < sizeof(ad_arena)) {
        struct ad_block *b = ad_block_at(at);

        if (!b->used && b->size >= want) {
            if (b->size - want >= 2 * AD_BLOCK_HEADER) {
                ad_block_at(at + want)->size = b->size - want;
                ad_block_at(at + want)->used = 0;
                b->size = want;
            }
            b->used = 1;
            ad_arena_used += b->size;
            if (ad_arena_used > ad_arena_high) {
                ad_arena_high = ad_arena_used;
            }
            result = ad_arena + at + AD_BLOCK_HEADER;
            break;
        }
        at += b->size;
    }
    (void)pthread_mutex_unlock(&ad_arena_lock);
    return result;
}

static void ad_arena_free(void *memory)
{
    size_t at = 0;

    if (memory == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&ad_arena_lock);
    ad_block_at((size_t)((uint8_t *)memory - ad_arena) - AD_BLOCK_HEADER)
        ->used = 0;
    ad_arena_used -=
        ad_block_at((size_t)((uint8_t *)memory - ad_arena) - AD_BLOCK_HEADER)
            ->size;
    while (at < sizeof(ad_arena)) {
        struct ad_block *b = ad_block_at(at);
        size_t next = at + b->size;

        if (!b->used && next < sizeof(ad_arena) && !ad_block_at(next)->used) {
            b->size += ad_block_at(next)->size;
        } else {
            at = next;
        }
    }
    (void)pthread_mutex_unlock(&ad_arena_lock);
}

static void *ad_arena_calloc(size_t n, size_t size)
{
    void *memory;

    if (size != 0 && n > sizeof(ad_arena) / size) {
        return NULL;
    }
    memory = ad_arena_malloc(n * size);
    return memory != NULL ? memset(memory, 0, n * size) : NULL;
}

static void *ad_arena_realloc(void *memory, size_t size)
{
    size_t had = memory == NULL
                     ? 0
                     : ad_block_at((size_t)((uint8_t *)memory - ad_arena) -
                                   AD_BLOCK_HEADER)
                               ->size -
                           AD_BLOCK_HEADER;
    void *larger;

    if (memory != NULL && size <= had) {
        return memory;
    }
    larger = ad_arena_malloc(size);
    if (larger != NULL && memory != NULL) {
        memcpy(larger, memory, had);
        ad_arena_free(memory);
    }
    return larger;
}

static void ad_arena_usage(size_t *used, size_t *high)
{
    (void)pthread_mutex_lock(&ad_arena_lock);
    *used = ad_arena_used;
    *high = ad_arena_high;
    (void)pthread_mutex_unlock(&ad_arena_lock);
}

#define malloc ad_arena_malloc
#define calloc ad_arena_calloc
#define realloc ad_arena_realloc
#define free ad_arena_free
#include <civetweb.c>

static void ad_civetweb_queue(int fd, const struct sockaddr_storage *peer)
{
    struct socket so;
    socklen_t len = sizeof(so.lsa);

    memset(&so, 0, sizeof(so));
    so.sock = fd;
    memcpy(&so.rsa, peer, sizeof(so.rsa));
    (void)getsockname(fd, &so.lsa.sa, &len);
    produce_socket(ad_hub.civetweb, &so);
}

static int ad_civetweb_take(struct mg_connection *conn, uint8_t **rest,
                            size_t *rest_len)
{
    int fd = conn->client.sock;

    conn->client.sock = INVALID_SOCKET;
    conn->must_close = 1;
    *rest = (uint8_t *)conn->buf + conn->request_len;
    *rest_len = (size_t)(conn->data_len - conn->request_len);
    return fd;
}

static bool ad_civetweb_unread(const struct mg_connection *conn)
{
    return conn->client.sock != INVALID_SOCKET &&
           (conn->content_len > 0 || conn->is_chunked);
}

/* The hub accepts connections, not civetweb: its placeholder goes. */
static void ad_civetweb_init(const struct mg_context *const_ctx)
{
    struct mg_context *ctx = (struct mg_context *)(uintptr_t)const_ctx;
    unsigned i;

    for (i = 0; i < ctx->num_listening_sockets; i++) {
        (void)close(ctx->listening_sockets[i].sock);
    }
    ctx->num_listening_sockets = 0;
}

static struct mg_context *ad_civetweb_start(void)
{
    char workers[8];
    const char *options[] = {"listening_ports", "127.0.0.1:0",
                             "num_threads", workers,
                             "request_timeout_ms", "10000",
                             "decode_url", "no",
                             "max_request_size", "16384",
                             "enable_auth_domain_check", "no",
                             NULL};
    struct mg_callbacks callbacks;
    struct mg_context *ctx;

    (void)sprintf(workers, "%d", AIDASH_WORKERS);
    memset(&callbacks, 0, sizeof(callbacks));
    callbacks.begin_request = ad_http_request;
    callbacks.http_error = ad_http_error;
    callbacks.log_message = ad_http_log;
    callbacks.init_context = ad_civetweb_init;
    callbacks.connection_close = ad_http_close;
    callbacks.connection_closed = ad_http_closed;
    ctx = mg_start(&callbacks, NULL, options);
    if (ctx != NULL) {
        mg_set_websocket_handler(ctx, "/ws/**", ad_ws_connect, ad_ws_ready,
                                 NULL, NULL, NULL);
    }
    return ctx;
}
