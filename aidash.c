/* aidash.c - live dashboard for an AI engine: server, library, command line.
 * API and its limits: aidash.h. MIT licence, see LICENSE.
 *
 *   1 PLATFORM   feature macros, includes, compiler checks
 *   2 SIZES      every limit with its meaning, range and cost
 *   3 STATE      every struct, and who may touch it
 *   4 UTIL       time, log, bounded text
 *   5 CODEC      bytes in, bytes out: no sockets, no locks
 *   6 SCAN       what an engine's HTTP answer tells: likewise pure
 *   7 FEED       the inbox, the byte ring of finished frames, dressing
 *   8 HUB        the poller, clients, fan-out, ticks and their sources
 *   9 METER      the proxy in front of an engine, and what it counts
 *  10 LOOP       what comes in: commands, bodies, the door; the event loop
 *  11 HTTP       the routes, on civetweb's worker threads
 *  12 API        the public functions, in the order of aidash.h
 *  13 MAIN       the command line, unless AIDASH_NO_MAIN
 *  14 CIVETWEB   civetweb.c over a static arena, and the glue to its inside;
 *                last, so that its macros and names reach nothing of ours
 *
 * A tick's way: a source (sim, stdin, UDP, HTTP body: on the hub thread; the
 * firmware's aidash_publish(): through the inbox) -> ad_tick_apply() completes
 * and encodes it once, as a WebSocket frame -> ad_feed_append() -> ad_fanout()
 * sends each client all that it has not got, with one send().
 */

/* ==== 1 PLATFORM ========================================================= */

#ifdef __cplusplus
#error "aidash.c is C: compile it with a C compiler; aidash.h is for C++, too"
#endif

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
#include <ifaddrs.h>
#include <net/if.h>
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

/* 0: no proxy and no meter. */
#ifndef AIDASH_METER
#define AIDASH_METER 1
#endif

#define JSMN_STATIC
#define JSMN_STRICT
#include <jsmn.h>

/* civetweb without files, CGI and TLS, every function of it static: nothing
 * but aidash_* leaves this object file. Its source follows in section 14. */
#define CIVETWEB_API static
#define NO_SSL
#define NO_CGI
#define NO_FILES
#define NO_CACHING
#define NUM_WEBDAV_LOCKS 0 /* 16 kB each in 1.16, for files alone */
#define USE_WEBSOCKET
#define USE_IPV6
#define STOP_FLAG_NEEDS_LOCK /* its stop flag is atomic */
/* How long its threads may sleep before they see a stop, in milliseconds. */
#define SOCKET_TIMEOUT_QUANTUM 200
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

/* HTTP worker threads. 1..64. Each costs a request head's bytes and 5 kB of
 * the arena, and a stack. */
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

/* Models that a viewer can switch between. 1..50: hello lists them all. */
#ifndef AIDASH_MODELS
#define AIDASH_MODELS 32
#endif
#if AIDASH_MODELS < 1 || AIDASH_MODELS > 50
#error "AIDASH_MODELS must be 1..50"
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

/* Longest request head, in bytes; a longer one is answered with 431. A browser
 * sends some 700, and its cookies for this host. */
#ifndef AIDASH_HEAD_MAX
#define AIDASH_HEAD_MAX 8192
#endif
#if AIDASH_HEAD_MAX < 2048 || AIDASH_HEAD_MAX > 16384
#error "AIDASH_HEAD_MAX must be 2048..16384"
#endif

/* Bytes read, and bytes dressed, at once: two buffers. A UDP datagram that is
 * longer loses its end. */
#ifndef AIDASH_SCRATCH
#define AIDASH_SCRATCH 65536
#endif
#if AIDASH_SCRATCH < 16640 || AIDASH_SCRATCH > 65536
#error "AIDASH_SCRATCH must be 16640..65536"
#endif

#if AIDASH_METER
/* Proxied requests at once, running and in line. 1..1000. Each costs some
 * 130 kB of static memory, touched when it is first used. */
#ifndef AIDASH_FLOWS
#define AIDASH_FLOWS 96
#endif
#if AIDASH_FLOWS < 1 || AIDASH_FLOWS > 1000
#error "AIDASH_FLOWS must be 1..1000"
#endif

/* Of them, request bodies held whole at once, to be given another model. 1..32,
 * a megabyte each. */
#ifndef AIDASH_EDITS
#define AIDASH_EDITS 4
#endif
#if AIDASH_EDITS < 1 || AIDASH_EDITS > 32
#error "AIDASH_EDITS must be 1..32"
#endif

/* Engines behind the proxy (--upstream). 1..16. */
#ifndef AIDASH_UPSTREAMS
#define AIDASH_UPSTREAMS 4
#endif
#if AIDASH_UPSTREAMS < 1 || AIDASH_UPSTREAMS > 16
#error "AIDASH_UPSTREAMS must be 1..16"
#endif

/* Records of ended requests kept for GET /requests. 1..10000, 1.1 kB each. */
#ifndef AIDASH_RECORDS
#define AIDASH_RECORDS 50
#endif
#if AIDASH_RECORDS < 1 || AIDASH_RECORDS > 10000
#error "AIDASH_RECORDS must be 1..10000"
#endif
#endif

/* Kernel send buffer of a viewer, in bytes: with the backlog, all that a
 * viewer who does not read can hold. */
#ifndef AIDASH_SEND_BUFFER
#define AIDASH_SEND_BUFFER (64 * 1024)
#endif

/* What civetweb may allocate in all: its tables at start, a buffer for each
 * worker, 32 bytes while a request runs. Section 14 refuses less than that;
 * /status tells the high-water mark. */
#ifndef AIDASH_ARENA_BYTES
#define AIDASH_ARENA_BYTES (8192 + AIDASH_WORKERS * (AIDASH_HEAD_MAX + 5120))
#endif

enum {
    AD_LISTENERS = 8,          /* --listen may be given so often */
    AD_ORIGINS = 16,           /* --allow-origin likewise */
    AD_ORIGIN_MAX = 255,       /* bytes of an origin: 253 is a host's limit */
    AD_CORS_MAX = AD_ORIGIN_MAX + 64, /* two header lines with an origin */
    AD_HEAD_MAX = AIDASH_HEAD_MAX,
    AD_REQUEST_MAX = AD_HEAD_MAX + 1024, /* a worker's buffer: head, more */
    AD_HEAD_MS = 10000,        /* a head not complete by then: 408; after an
                                * answer, a connection without another: closed */
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
    /* Bytes of a batch frame's payload. */
    AD_BATCH_MAX = AIDASH_FEED_BYTES < 65536 ? AIDASH_FEED_BYTES / 16 : 4096,
    AD_REPLY_MAX = 512,        /* bytes of an ack, error or private status */
    AD_LINE_CAP = AIDASH_MESSAGE_MAX + 1, /* a line, and a CR to take off */
    AD_TICK_MAX = 512,         /* bytes of a tick's JSON, see ad_tick_encode */
    AD_SCRATCH = AIDASH_SCRATCH,
    AD_UNITS = AIDASH_EVENTS < 512 ? AIDASH_EVENTS : 512, /* dressed at once */
    AD_DRAIN_MAX = 256,        /* ticks taken from the inbox in one go */
    AD_JOIN_MAX = 256,         /* events that may wait for a fan-out */
    AD_RATE_WINDOW_MS = 2000,  /* tokens_per_second is over this time */
    AD_RATE_SPAN_MIN_MS = 500, /* a younger run counts as this old */
    AD_RATE_SLOTS = 64,        /* in slots of at least 1/64 of it */
    AD_MODEL_JSON_MAX = 2 * AIDASH_MODEL_MAX, /* only " and \ are escaped */
    AD_NODE_JSON_MAX = 2 * AIDASH_NODE_MAX,
    /* hello: 600 bytes of fixed text, numbers and client_id, then each model
     * in quotes with a comma, the active one again, and those in memory. */
    AD_EVENT_MAX = 768 + (2 * AIDASH_MODELS + 1) * (2 * AIDASH_MODEL_MAX + 3),
    /* A client's unsent bytes: the rest of one frame or of one dressed event
     * (100 bytes of SSE fields), and then what it was answered. */
    AD_OUT_CAP = (AD_EVENT_MAX > AD_BATCH_MAX ? AD_EVENT_MAX : AD_BATCH_MAX) +
                 100 + 4 * AD_REPLY_MAX,
    AD_FLOW_HEAD_MAX = 16384,  /* bytes of an answer's heads that are edited */
    AD_FLOW_UP_MAX = 16384,    /* bytes of a request on their way at once */
    AD_FLOW_FRONT = AD_HEAD_MAX + 1024, /* request line, Host, key */
    AD_RECORD_MAX = 960 + AD_MODEL_JSON_MAX, /* bytes of a request's record */
    AD_CONNECT_MS = 5000,      /* for a connection to an engine */
    AD_PROGRESS_MS = 100,      /* between events about a prompt's reading */
    AD_FETCH_EVERY = 10,       /* seconds between looks at the engines' lists */
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
    uint64_t surplus;                 /* tokens counted too many before */
    unsigned has;
};
enum {
    AD_HAS_TOKENS = 1,
    AD_HAS_TOTAL = 2,
    AD_HAS_LATENCY = 4,
    AD_HAS_RATE = 8,
    AD_HAS_TIME = 16,
    AD_IS_METERED = 32, /* from the meter: shown while paused, too */
    AD_IS_FIRST = 64,   /* an estimate begins, until */
    AD_IS_LAST = 128    /* the engine's own count ends it */
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
    unsigned estimates; /* requests whose own count is still to come */
    struct ad_rate rate;
    unsigned model_json_len, node_json_len;
    char model_json[AD_MODEL_JSON_MAX]; /* escaped once, not at each tick */
    char node_json[AD_NODE_JSON_MAX];
};

/* The kinds of shared events; their names are in ad_event_names. */
enum ad_event { AD_EV_TICK, AD_EV_STATUS, AD_EV_REQUEST_START, AD_EV_REQUEST,
                AD_EV_KINDS };

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
    bool kept; /* it had an answer already (RFC 9112 9.3) */
    uint32_t since_ms;
    uint32_t order; /* of becoming ready */
    struct sockaddr_storage peer;
};

#if AIDASH_METER

struct ad_address {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* An engine's URL, taken apart. [I] */
struct ad_upstream {
    char name[AIDASH_NODE_MAX + 1]; /* "": none was given */
    char authority[288];            /* HOST:PORT, for Host */
    char prefix[128];               /* of its paths, without a slash at the end */
    unsigned n_addresses;
    struct ad_address addresses[4];
};

/* What is known of it. [h] */
struct ad_engine {
    bool known, up, ollama, no_ps; /* no_ps: it has no /api/ps */
    unsigned n_models;
    char models[AIDASH_MODELS][AIDASH_MODEL_MAX + 1];
    bool loaded[AIDASH_MODELS];
};

enum { AD_METRIC_TOKENS, AD_METRIC_TIME, AD_METRIC_STEPS, AD_METRICS };

#endif /* AIDASH_METER */

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
    uint64_t accepted, stalled, fanouts, requests;
};

enum ad_source { AD_SOURCE_NONE, AD_SOURCE_SIM, AD_SOURCE_STDIN,
                 AD_SOURCE_METER };

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
#if AIDASH_METER
    unsigned n_upstreams, max_inflight, queue;
    double queue_timeout_ms, upstream_timeout_ms; /* 0: none */
    bool has_scrape;
    struct ad_upstream upstreams[AIDASH_UPSTREAMS], scrape;
    char upstream_key[256];
#endif
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

#if AIDASH_METER
    struct ad_engine engines[AIDASH_UPSTREAMS];
    bool overrides; /* a viewer chose the model of all requests */
    bool drains;    /* the end of the running ones is to be told */
    bool scraped, scrape_warned;
    bool loaded[AIDASH_MODELS]; /* beside models */
    unsigned n_flows, n_running, n_queued, fetch_turn;
    uint64_t request_id, requests_refused;
    double metric[AD_METRICS];
#endif

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
static _Alignas(16) uint8_t ad_arena[AIDASH_ARENA_BYTES]; /* section 14 */
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
    char model[AIDASH_MODEL_MAX + 1]; /* may be "" */
    uint64_t request;                 /* AIDASH_CANCEL */
    char id[AD_ID_MAX + 1];
};

static const char *const ad_action_names[] = {"", "switch_model", "pause",
                                              "resume", "drain", "cancel"};

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
        *why = "the action is unknown; known are switch_model, pause, resume, "
               "drain and cancel";
        return "unknown_action";
    }
    if (out->action == AIDASH_SWITCH_MODEL) {
        t = ad_json_get(s, "model");
        if (t == NULL ||
            !ad_json_name(s, t, out->model, AIDASH_MODEL_MAX)) {
            *why = "\"model\" must be a string of at most 63 bytes";
            return "invalid_command";
        }
    } else if (out->action == AIDASH_CANCEL) {
        t = ad_json_get(s, "request");
        if (t == NULL || !ad_json_u64(s, t, AD_TOTAL_LIMIT, &out->request)) {
            *why = "\"request\" must be the number of a request";
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
 * 155 bytes, numbers are at most 70, names at most 190. */
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
    ad_puts(t, s->estimates > 0 ? ",\"estimated\":true}" : "}");
}
_Static_assert(AD_TICK_MAX >= 155 + 70 + AD_MODEL_JSON_MAX + AD_NODE_JSON_MAX,
               "a tick's JSON fits AD_TICK_MAX");

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

/* ==== 6 SCAN ============================================================= */

#if AIDASH_METER


/* What an engine's HTTP answer tells, read from a copy of its bytes as they
 * come, in pieces of any size: no sockets, no clock, no allocation. Nothing in
 * an answer is an error here: what cannot be read is noted as trouble, and the
 * bytes pass all the same.
 *
 *   ad_head    the head, and how the body behind it is framed
 *   ad_js      a JSON text in pieces: what stands at the few paths we know
 *   ad_scan    the body: events, token counts, times
 *   ad_gaps    the spread of the times between tokens
 *   ad_model   the "model" of a request
 */

enum {
    AD_SCAN_HEAD_MAX = 65536,  /* bytes of an answer's heads, interim ones too */
    AD_SCAN_LINE_MAX = 127,    /* bytes kept of a header line: ours are short */
    AD_SCAN_DEPTH_MAX = 64,    /* nesting of JSON */
    AD_SCAN_TEXT_MAX = AIDASH_MODEL_MAX, /* bytes kept of a key or a string */
    AD_SCAN_FINISH_MAX = 31,   /* bytes kept of a finish reason */
    AD_EDIT_MAX = 1024 * 1024  /* bytes of a request body that is edited */
};

/* What could not be read of an answer: its counts are then incomplete. */
enum {
    AD_TROUBLE_HEAD = 1,       /* no HTTP/1.x head, or a longer one */
    AD_TROUBLE_FRAMING = 2,    /* bad lengths or chunks, bytes behind the end */
    AD_TROUBLE_COMPRESSED = 4, /* a content or transfer coding */
    AD_TROUBLE_JSON = 8,       /* broken JSON */
    AD_TROUBLE_DEPTH = 16      /* JSON nested deeper than AD_SCAN_DEPTH_MAX */
};

/* ---- the head of an answer ---- */

/* What the body is, by its Content-Type. */
enum ad_form { AD_FORM_NONE, AD_FORM_SSE, AD_FORM_NDJSON, AD_FORM_JSON };

enum ad_head_state { AD_HEAD_LINES, AD_HEAD_DONE, AD_HEAD_BAD };

struct ad_head {
    uint8_t state;    /* enum ad_head_state */
    uint8_t form;     /* enum ad_form */
    uint8_t trouble;  /* AD_TROUBLE_... */
    bool no_body;     /* the request's method was HEAD */
    bool until_close; /* the body ends with the connection */
    bool encoded;     /* there is a Transfer-Encoding */
    bool chunked;     /* and its last coding is chunked */
    bool has_length;
    bool line_ended;  /* but a folded line (RFC 9112 5.2) may still go on */
    uint8_t line_len;
    uint16_t status;  /* 0: no status line yet */
    uint32_t len;     /* bytes of heads so far */
    uint64_t length;  /* Content-Length */
    struct ad_body body;
    char line[AD_SCAN_LINE_MAX + 1];
};

static bool ad_head_is(const char *s, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp(s, word, len) == 0;
}

/* Cut the next item of a list off *s, without the blanks around it. Returns
 * its length, and SIZE_MAX at the end of the list. */
static size_t ad_head_item(const char **s, const char **item, char separator)
{
    const char *end;

    if (*s == NULL) {
        return SIZE_MAX;
    }
    *item = *s + strspn(*s, " \t");
    end = strchr(*item, separator);
    *s = end != NULL ? end + 1 : NULL;
    end = end != NULL ? end : *item + strlen(*item);
    while (end > *item && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    return (size_t)(end - *item);
}

static uint8_t ad_head_form(const char *value)
{
    static const struct {
        const char *type;
        uint8_t form;
    } forms[] = {
        {"text/event-stream", AD_FORM_SSE},
        {"application/x-ndjson", AD_FORM_NDJSON},
        {"application/ndjson", AD_FORM_NDJSON},
        {"application/json", AD_FORM_JSON},
    };
    const char *type;
    size_t len = ad_head_item(&value, &type, ';'), i;

    for (i = 0; i < AD_COUNT(forms); i++) {
        if (ad_head_is(type, len, forms[i].type)) {
            return forms[i].form;
        }
    }
    return AD_FORM_NONE;
}

/* RFC 9112 6.3: several equal lengths are one, other ones are an attack or a
 * mistake. */
static void ad_head_length(struct ad_head *h, const char *value)
{
    const char *item;
    size_t len, i;

    while ((len = ad_head_item(&value, &item, ',')) != SIZE_MAX) {
        uint64_t length = 0;
        bool good = len > 0 && len <= 18; /* below 2^60 */

        for (i = 0; i < len && good; i++) {
            good = ad_is_digit(item[i]);
            length = length * 10 + (uint64_t)(item[i] - '0');
        }
        if (!good || (h->has_length && length != h->length)) {
            h->trouble |= AD_TROUBLE_FRAMING;
            return;
        }
        h->has_length = true;
        h->length = length;
    }
}

/* A list of codings; how the body is framed depends on the last of them. */
static void ad_head_codings(struct ad_head *h, const char *value,
                            bool transfer)
{
    const char *coding;
    size_t len;

    while ((len = ad_head_item(&value, &coding, ',')) != SIZE_MAX) {
        if (transfer && len > 0) {
            h->encoded = true;
            h->chunked = ad_head_is(coding, len, "chunked");
        }
        if (len > 0 && !ad_head_is(coding, len, "identity") &&
            !(transfer && h->chunked)) {
            h->trouble |= AD_TROUBLE_COMPRESSED;
        }
    }
}

/* A whole line of a head, in h->line. */
static void ad_head_line(struct ad_head *h)
{
    char *value;
    size_t len;

    h->line[h->line_len] = '\0';
    if (h->status == 0) { /* RFC 9112 4: HTTP/1.1 200 OK */
        const char *s = h->line;

        if (h->line_len < 12 || memcmp(s, "HTTP/1.", 7) != 0 ||
            !ad_is_digit(s[7]) || s[8] != ' ' || s[9] < '1' || s[9] > '9' ||
            !ad_is_digit(s[10]) || !ad_is_digit(s[11]) ||
            (s[12] != ' ' && s[12] != '\0')) {
            h->state = AD_HEAD_BAD;
            return;
        }
        h->status = (uint16_t)((s[9] - '0') * 100 + (s[10] - '0') * 10 +
                               (s[11] - '0'));
        return;
    }
    value = strchr(h->line, ':');
    if (value == NULL) {
        return;
    }
    len = (size_t)(value++ - h->line);
    if (ad_head_is(h->line, len, "Content-Type")) {
        h->form = ad_head_form(value);
    } else if (ad_head_is(h->line, len, "Content-Length")) {
        ad_head_length(h, value);
    } else if (ad_head_is(h->line, len, "Transfer-Encoding")) {
        ad_head_codings(h, value, true);
    } else if (ad_head_is(h->line, len, "Content-Encoding")) {
        ad_head_codings(h, value, false);
    }
}

static void ad_head_begin(struct ad_head *h, bool no_body)
{
    memset(h, 0, sizeof(*h));
    h->no_body = no_body;
}

/* A head is complete: an interim one is forgotten, else the body follows as
 * RFC 9112 6.3 says. */
static void ad_head_end(struct ad_head *h)
{
    if (h->status < 200 && h->status != 101) {
        uint32_t len = h->len;

        ad_head_begin(h, h->no_body);
        h->len = len;
        return;
    }
    h->state = AD_HEAD_DONE;
    h->body.state = AD_BODY_LENGTH;
    if (h->no_body || h->status == 204 || h->status == 304) {
        h->body.state = AD_BODY_DONE;
    } else if (h->status == 101) { /* no longer HTTP */
        h->form = AD_FORM_NONE;
        h->until_close = true;
    } else if (h->chunked) {
        h->body.state = AD_BODY_CHUNK_SIZE;
    } else if (h->encoded || !h->has_length ||
               (h->trouble & AD_TROUBLE_FRAMING) != 0) {
        h->until_close = true;
    } else if (h->length == 0) {
        h->body.state = AD_BODY_DONE;
    }
    h->body.left = h->chunked ? 0 : h->until_close ? UINT64_MAX : h->length;
    if ((h->trouble & AD_TROUBLE_COMPRESSED) != 0) {
        h->form = AD_FORM_NONE;
    }
}

/* Take bytes of a head. Returns how many were used: all of them, but for the
 * first bytes of the body. */
static size_t ad_head_next(struct ad_head *h, const uint8_t *in, size_t len)
{
    size_t i = 0;

    while (i < len && h->state == AD_HEAD_LINES) {
        char c = (char)in[i++];

        if (++h->len > AD_SCAN_HEAD_MAX) {
            h->state = AD_HEAD_BAD;
        } else if (c == '\r') {
            continue; /* an LF ends a line, alone or not: RFC 9112 2.2 */
        } else if (h->line_ended && c != ' ' && c != '\t') {
            ad_head_line(h);
            h->line_len = 0;
        }
        h->line_ended = false;
        if (h->state == AD_HEAD_BAD) {
            h->trouble |= AD_TROUBLE_HEAD;
        } else if (c != '\n') {
            if (h->line_len < AD_SCAN_LINE_MAX) {
                h->line[h->line_len++] = c;
            }
        } else if (h->line_len > 0) {
            h->line_ended = true;
        } else if (h->status != 0) {
            ad_head_end(h);
        } else {
            h->state = AD_HEAD_BAD; /* an empty line, no status line */
            h->trouble |= AD_TROUBLE_HEAD;
        }
    }
    return i;
}

/* ---- JSON in pieces ---- */

/* The places in a JSON text that matter to us. */
enum ad_node {
    AD_N_NONE,
    AD_N_TOP,     /* an event or a whole answer */
    AD_N_REQUEST, /* a request's body */
    AD_N_LIST,    /* several whole answers in an array */
    AD_N_CHOICES,
    AD_N_CHOICE,
    AD_N_DELTA,
    AD_N_CALLS,
    AD_N_CALL,
    AD_N_MESSAGE,
    AD_N_MESSAGE_USAGE,
    AD_N_RESPONSE,
    AD_N_INCOMPLETE,
    AD_N_USAGE,
    AD_N_DETAILS,
    AD_N_TIMINGS,
    AD_N_PROGRESS,
    AD_N_TGI_TOKEN,
    AD_N_TGI_DETAILS,
    AD_N_OPENAI_LIST, /* GET /v1/models */
    AD_N_OLLAMA_LIST, /* GET /api/tags, /api/ps */
    AD_N_LIST_ITEMS,
    AD_N_LIST_ITEM,
    AD_N_LIST_STATE,
    AD_N_ERROR,
    AD_N_TEXT,     /* of the answer: all that counts is whether it is empty */
    AD_N_TGI_TEXT, /* a string here ends the stream */
    AD_N_OVER,     /* true ends the stream */
    AD_N_STREAM,
    AD_N_MODEL, /* from here: short strings that are kept */
    AD_N_TYPE,
    AD_N_OBJECT,
    AD_N_FINISH,
    AD_N_LIST_NAME,
    AD_N_LIST_OWNER,
    AD_N_LIST_STATUS,
    AD_N_COMPLETION, /* from here: numbers, see ad_scan_event */
    AD_N_PROMPT,     /* all of it, but for the next two */
    AD_N_CACHE_READ,
    AD_N_CACHE_WRITE,
    AD_N_CACHED,
    AD_N_PREDICTED, /* of one choice: llama-server's timings */
    AD_N_CACHE_N,
    AD_N_PROMPT_N,
    AD_N_PROMPT_MS,
    AD_N_PROMPT_RATE,
    AD_N_PREDICTED_MS,
    AD_N_PREDICTED_RATE,
    AD_N_DRAFT_N,
    AD_N_DRAFT_ACCEPTED,
    AD_N_PROGRESS_TOTAL,
    AD_N_PROGRESS_CACHED,
    AD_N_PROGRESS_DONE,
    AD_N_PROGRESS_MS,
    AD_N_LOAD_NS,
    AD_N_PROMPT_NS,
    AD_N_EVAL_NS,
    AD_N_TOTAL_NS,
    AD_N_END
};

/* The ways from place to place. A key that is not here leads to AD_N_NONE, and
 * so does all below it. */
static const struct {
    uint8_t from, to;
    const char *key;
} ad_paths[] = {
    {AD_N_REQUEST, AD_N_MODEL, "model"},
    {AD_N_REQUEST, AD_N_STREAM, "stream"},

    /* OpenAI: chat completions, completions, embeddings; whole responses */
    {AD_N_TOP, AD_N_CHOICES, "choices"},
    {AD_N_TOP, AD_N_MODEL, "model"},
    {AD_N_TOP, AD_N_USAGE, "usage"},
    {AD_N_TOP, AD_N_ERROR, "error"},
    {AD_N_TOP, AD_N_OBJECT, "object"},
    {AD_N_TOP, AD_N_INCOMPLETE, "incomplete_details"},
    {AD_N_CHOICE, AD_N_DELTA, "delta"},
    {AD_N_CHOICE, AD_N_TEXT, "text"},
    {AD_N_CHOICE, AD_N_FINISH, "finish_reason"},
    {AD_N_DELTA, AD_N_TEXT, "content"},
    {AD_N_DELTA, AD_N_TEXT, "reasoning_content"},
    {AD_N_DELTA, AD_N_TEXT, "reasoning"},
    {AD_N_DELTA, AD_N_TEXT, "refusal"},
    {AD_N_DELTA, AD_N_CALLS, "tool_calls"},
    {AD_N_DELTA, AD_N_CALL, "function_call"},
    {AD_N_USAGE, AD_N_COMPLETION, "completion_tokens"},
    {AD_N_USAGE, AD_N_COMPLETION, "output_tokens"},
    {AD_N_USAGE, AD_N_PROMPT, "prompt_tokens"},
    {AD_N_USAGE, AD_N_PROMPT, "input_tokens"},
    {AD_N_USAGE, AD_N_CACHE_READ, "cache_read_input_tokens"},
    {AD_N_USAGE, AD_N_CACHE_WRITE, "cache_creation_input_tokens"},
    {AD_N_USAGE, AD_N_DETAILS, "prompt_tokens_details"},
    {AD_N_USAGE, AD_N_DETAILS, "input_tokens_details"},
    {AD_N_DETAILS, AD_N_CACHED, "cached_tokens"},

    /* OpenAI: events of /v1/responses; Ollama's "response" is a string */
    {AD_N_TOP, AD_N_TYPE, "type"},
    {AD_N_TOP, AD_N_DELTA, "delta"},
    {AD_N_TOP, AD_N_RESPONSE, "response"},
    {AD_N_RESPONSE, AD_N_MODEL, "model"},
    {AD_N_RESPONSE, AD_N_USAGE, "usage"},
    {AD_N_RESPONSE, AD_N_INCOMPLETE, "incomplete_details"},
    {AD_N_INCOMPLETE, AD_N_FINISH, "reason"},

    /* Anthropic: /v1/messages. The usage in "message" knows the prompt, but
     * not yet the answer. */
    {AD_N_TOP, AD_N_FINISH, "stop_reason"},
    {AD_N_TOP, AD_N_MESSAGE, "message"},
    {AD_N_MESSAGE, AD_N_MODEL, "model"},
    {AD_N_MESSAGE, AD_N_MESSAGE_USAGE, "usage"},
    {AD_N_MESSAGE_USAGE, AD_N_PROMPT, "input_tokens"},
    {AD_N_MESSAGE_USAGE, AD_N_CACHE_READ, "cache_read_input_tokens"},
    {AD_N_MESSAGE_USAGE, AD_N_CACHE_WRITE, "cache_creation_input_tokens"},
    {AD_N_DELTA, AD_N_TEXT, "text"},
    {AD_N_DELTA, AD_N_TEXT, "thinking"},
    {AD_N_DELTA, AD_N_TEXT, "partial_json"},
    {AD_N_DELTA, AD_N_FINISH, "stop_reason"},

    /* llama-server: timings with every API, and /completion */
    {AD_N_TOP, AD_N_TIMINGS, "timings"},
    {AD_N_TOP, AD_N_PROGRESS, "prompt_progress"},
    {AD_N_TOP, AD_N_TEXT, "content"},
    {AD_N_TOP, AD_N_OVER, "stop"},
    {AD_N_TOP, AD_N_FINISH, "stop_type"},
    {AD_N_TOP, AD_N_PREDICTED, "tokens_predicted"},
    {AD_N_TOP, AD_N_PROMPT, "tokens_evaluated"},
    {AD_N_TIMINGS, AD_N_CACHE_N, "cache_n"},
    {AD_N_TIMINGS, AD_N_PROMPT_N, "prompt_n"},
    {AD_N_TIMINGS, AD_N_PROMPT_MS, "prompt_ms"},
    {AD_N_TIMINGS, AD_N_PROMPT_RATE, "prompt_per_second"},
    {AD_N_TIMINGS, AD_N_PREDICTED, "predicted_n"},
    {AD_N_TIMINGS, AD_N_PREDICTED_MS, "predicted_ms"},
    {AD_N_TIMINGS, AD_N_PREDICTED_RATE, "predicted_per_second"},
    {AD_N_TIMINGS, AD_N_DRAFT_N, "draft_n"},
    {AD_N_TIMINGS, AD_N_DRAFT_ACCEPTED, "draft_n_accepted"},
    {AD_N_PROGRESS, AD_N_PROGRESS_TOTAL, "total"},
    {AD_N_PROGRESS, AD_N_PROGRESS_CACHED, "cache"},
    {AD_N_PROGRESS, AD_N_PROGRESS_DONE, "processed"},
    {AD_N_PROGRESS, AD_N_PROGRESS_MS, "time_ms"},

    /* Ollama: /api/chat, /api/generate, /api/embed */
    {AD_N_TOP, AD_N_TEXT, "thinking"},
    {AD_N_TOP, AD_N_OVER, "done"},
    {AD_N_TOP, AD_N_FINISH, "done_reason"},
    {AD_N_TOP, AD_N_COMPLETION, "eval_count"},
    {AD_N_TOP, AD_N_PROMPT, "prompt_eval_count"},
    {AD_N_TOP, AD_N_CACHED, "prompt_eval_cached_count"},
    {AD_N_TOP, AD_N_LOAD_NS, "load_duration"},
    {AD_N_TOP, AD_N_PROMPT_NS, "prompt_eval_duration"},
    {AD_N_TOP, AD_N_EVAL_NS, "eval_duration"},
    {AD_N_TOP, AD_N_TOTAL_NS, "total_duration"},
    {AD_N_MESSAGE, AD_N_TEXT, "content"},
    {AD_N_MESSAGE, AD_N_TEXT, "thinking"},
    {AD_N_MESSAGE, AD_N_CALLS, "tool_calls"},

    /* TGI: /generate_stream */
    {AD_N_TOP, AD_N_TGI_TOKEN, "token"},
    {AD_N_TOP, AD_N_TGI_DETAILS, "details"},
    {AD_N_TOP, AD_N_TGI_TEXT, "generated_text"},
    {AD_N_TGI_TOKEN, AD_N_TEXT, "text"},
    {AD_N_TGI_DETAILS, AD_N_FINISH, "finish_reason"},
    {AD_N_TGI_DETAILS, AD_N_COMPLETION, "generated_tokens"},
    {AD_N_TGI_DETAILS, AD_N_PROMPT, "input_length"},

    /* Lists of models: OpenAI's, with llama-server's state of each in its
     * router mode; Ollama's */
    {AD_N_OPENAI_LIST, AD_N_LIST_ITEMS, "data"},
    {AD_N_OLLAMA_LIST, AD_N_LIST_ITEMS, "models"},
    {AD_N_LIST_ITEM, AD_N_LIST_NAME, "id"},
    {AD_N_LIST_ITEM, AD_N_LIST_NAME, "name"},
    {AD_N_LIST_ITEM, AD_N_LIST_OWNER, "owned_by"},
    {AD_N_LIST_ITEM, AD_N_LIST_STATE, "status"},
    {AD_N_LIST_STATE, AD_N_LIST_STATUS, "value"},
};

static uint8_t ad_path(uint8_t from, const char *key, size_t len)
{
    size_t i;

    for (i = 0; i < AD_COUNT(ad_paths) && from != AD_N_NONE; i++) {
        if (ad_paths[i].from == from && strlen(ad_paths[i].key) == len &&
            memcmp(ad_paths[i].key, key, len) == 0) {
            return ad_paths[i].to;
        }
    }
    return AD_N_NONE;
}

enum ad_js_state {
    AD_JS_VALUE,        /* a value comes */
    AD_JS_VALUE_OR_END, /* behind [ */
    AD_JS_KEY,          /* behind a comma in an object */
    AD_JS_KEY_OR_END,   /* behind { */
    AD_JS_COLON,
    AD_JS_STRING,
    AD_JS_ESCAPE,
    AD_JS_HEX,
    AD_JS_WORD,         /* a number or a literal */
    AD_JS_AFTER,        /* a comma or a closing bracket comes */
    AD_JS_DONE,
    AD_JS_BAD
};

/* What ad_js_next() stopped at; only what has a place is told. */
enum ad_js_what {
    AD_JS_NOTHING,
    AD_JS_OPEN,    /* an object or array begins */
    AD_JS_CLOSE,
    AD_JS_TEXT,    /* a string has ended */
    AD_JS_SCALAR   /* a number or literal has ended, and is in `text` */
};

struct ad_js {
    uint8_t state; /* enum ad_js_state */
    uint8_t what;  /* enum ad_js_what */
    uint8_t node;  /* enum ad_node of the value at hand */
    uint8_t depth; /* of objects and arrays */
    uint8_t len;   /* bytes in `text` */
    uint8_t digits; /* of a \u escape still to come */
    bool key;      /* the string at hand is a key */
    bool keep;     /* and goes to `text` */
    bool cut;      /* `text` holds the beginning only */
    bool any;      /* the string is not empty */
    bool deep;     /* bad because too deep */
    uint16_t code; /* of a \u escape */
    uint16_t high; /* first half of a surrogate pair */
    uint64_t objects; /* a bit for each depth: an object, not an array */
    uint64_t at;      /* bytes used */
    uint64_t from;    /* where the string at hand began, at its quote */
    uint8_t nodes[AD_SCAN_DEPTH_MAX]; /* of the objects and arrays around */
    char text[AD_SCAN_TEXT_MAX + 1];
};
_Static_assert(AD_SCAN_DEPTH_MAX <= 64, "ad_js.objects has 64 bits");
_Static_assert(AD_SCAN_TEXT_MAX <= 255, "ad_js.len has 8 bits");
_Static_assert(AD_SCAN_TEXT_MAX >= 48, "keys and numbers fit ad_js.text");

static void ad_js_begin(struct ad_js *j, uint8_t node)
{
    memset(j, 0, sizeof(*j));
    j->node = node;
}

static void ad_js_keep(struct ad_js *j, const void *s, size_t len)
{
    size_t room = AD_SCAN_TEXT_MAX - (size_t)j->len;

    j->any = true;
    if (!j->keep) {
        return;
    }
    if (len > room) {
        j->cut = true;
        len = room;
    }
    memcpy(j->text + j->len, s, len);
    j->len = (uint8_t)(j->len + len);
}

static void ad_js_keep_code(struct ad_js *j, unsigned long code)
{
    char bytes[4];

    ad_js_keep(j, bytes, ad_utf8_put(bytes, code));
}

/* Half a surrogate pair that stayed alone. */
static void ad_js_lone(struct ad_js *j)
{
    if (j->high != 0) {
        j->high = 0;
        ad_js_keep_code(j, 0xFFFD);
    }
}

/* Four digits of a \u escape are there: UTF-16, RFC 8259 7. */
static void ad_js_unit(struct ad_js *j)
{
    unsigned long code = j->code;

    if (code >= 0xDC00 && code <= 0xDFFF && j->high != 0) {
        code += 0x10000 - 0xDC00 + ((j->high - 0xD800ul) << 10);
        j->high = 0;
        ad_js_keep_code(j, code);
        return;
    }
    ad_js_lone(j);
    if (code >= 0xD800 && code <= 0xDBFF) {
        j->high = j->code;
    } else {
        ad_js_keep_code(j, code >= 0xDC00 && code <= 0xDFFF ? 0xFFFD : code);
    }
}

static void ad_js_bad(struct ad_js *j)
{
    j->state = AD_JS_BAD;
}

static void ad_js_tell(struct ad_js *j, enum ad_js_what what)
{
    j->what = j->node != AD_N_NONE ? (uint8_t)what : AD_JS_NOTHING;
}

static void ad_js_value_end(struct ad_js *j)
{
    j->state = j->depth == 0 ? AD_JS_DONE : AD_JS_AFTER;
}

static bool ad_js_in_object(const struct ad_js *j)
{
    return j->depth > 0 && (j->objects >> (j->depth - 1) & 1) != 0;
}

/* The place of an array's elements. */
static uint8_t ad_js_element(uint8_t array)
{
    switch (array) {
    case AD_N_CHOICES:
        return AD_N_CHOICE;
    case AD_N_CALLS:
        return AD_N_CALL;
    case AD_N_LIST:
        return AD_N_TOP;
    case AD_N_LIST_ITEMS:
        return AD_N_LIST_ITEM;
    default:
        return AD_N_NONE;
    }
}

static void ad_js_open(struct ad_js *j, bool object)
{
    if (j->depth == AD_SCAN_DEPTH_MAX) {
        j->deep = true;
        ad_js_bad(j);
        return;
    }
    if (!object && (j->node == AD_N_TOP || j->node == AD_N_REQUEST)) {
        j->node = j->node == AD_N_TOP && j->depth == 0 ? AD_N_LIST : AD_N_NONE;
    }
    ad_js_tell(j, AD_JS_OPEN);
    j->nodes[j->depth] = j->node;
    j->objects &= ~(1ull << j->depth);
    j->objects |= (uint64_t)object << j->depth;
    j->depth++;
    j->state = object ? AD_JS_KEY_OR_END : AD_JS_VALUE_OR_END;
}

static void ad_js_close(struct ad_js *j, bool object)
{
    if (j->depth == 0 || ad_js_in_object(j) != object) {
        ad_js_bad(j);
        return;
    }
    j->depth--;
    j->node = j->nodes[j->depth];
    ad_js_tell(j, AD_JS_CLOSE);
    ad_js_value_end(j);
}

static void ad_js_string_begin(struct ad_js *j, bool key, size_t i)
{
    j->state = AD_JS_STRING;
    j->key = key;
    /* Nothing of an answer's text is ever kept. */
    j->keep = key || (j->node >= AD_N_MODEL && j->node <= AD_N_LIST_STATUS);
    j->any = j->cut = false;
    j->len = 0;
    j->from = j->at + i;
}

static void ad_js_string_end(struct ad_js *j)
{
    ad_js_lone(j);
    j->text[j->len] = '\0';
    if (j->key) {
        j->node = j->cut ? AD_N_NONE
                         : ad_path(j->nodes[j->depth - 1], j->text, j->len);
        j->state = AD_JS_COLON;
        return;
    }
    ad_js_tell(j, AD_JS_TEXT);
    ad_js_value_end(j);
}

/* A number too long to be kept loses digits that follow others: it stays a
 * number, or stays none, and 8 bytes are left for what may still come, as in
 * .1e-1. */
static void ad_js_word(struct ad_js *j, uint8_t c)
{
    if (j->len >= AD_SCAN_TEXT_MAX - 8 && ad_is_digit(c) &&
        ad_is_digit(j->text[j->len - 1])) {
        j->cut = true;
    } else {
        ad_js_keep(j, &c, 1);
    }
}

static void ad_js_word_end(struct ad_js *j)
{
    size_t n;

    j->text[j->len] = '\0';
    n = ad_json_number(j->text, j->len);
    n = n != 0 ? n : ad_json_literal(j->text, j->len);
    if (n != j->len) {
        ad_js_bad(j);
        return;
    }
    if (j->cut) {
        j->node = AD_N_NONE; /* its value is not known */
    }
    ad_js_tell(j, AD_JS_SCALAR);
    ad_js_value_end(j);
}

static bool ad_js_in_word(uint8_t c)
{
    return ad_is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           c == '-' || c == '+' || c == '.';
}

/* One character outside of strings and words; i is where it stands. */
static void ad_js_mark(struct ad_js *j, uint8_t c, size_t i)
{
    bool value = j->state == AD_JS_VALUE || j->state == AD_JS_VALUE_OR_END;
    bool key = j->state == AD_JS_KEY || j->state == AD_JS_KEY_OR_END;
    bool end = j->state == AD_JS_VALUE_OR_END ||
               j->state == AD_JS_KEY_OR_END || j->state == AD_JS_AFTER;

    if (value && j->depth > 0 && !ad_js_in_object(j)) {
        j->node = ad_js_element(j->nodes[j->depth - 1]);
    }
    if (c == '"' && (value || key)) {
        ad_js_string_begin(j, key, i);
    } else if ((c == '{' || c == '[') && value) {
        ad_js_open(j, c == '{');
    } else if ((c == '}' || c == ']') && end) {
        ad_js_close(j, c == '}');
    } else if (c == ':' && j->state == AD_JS_COLON) {
        j->state = AD_JS_VALUE;
    } else if (c == ',' && j->state == AD_JS_AFTER) {
        j->state = ad_js_in_object(j) ? AD_JS_KEY : AD_JS_VALUE;
    } else if (ad_js_in_word(c) && value) {
        j->state = AD_JS_WORD;
        j->keep = true;
        j->cut = false;
        j->len = 0;
        ad_js_keep(j, &c, 1);
    } else {
        ad_js_bad(j);
    }
}

/* Read on, up to and including the next thing to tell (j->what). Returns how
 * many bytes were used: all of them when there is nothing to tell, unless the
 * text turned out bad. */
static size_t ad_js_next(struct ad_js *j, const uint8_t *in, size_t len)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *escape;
    size_t i = 0, n;

    j->what = AD_JS_NOTHING;
    while (i < len && j->what == AD_JS_NOTHING && j->state != AD_JS_BAD) {
        uint8_t c = in[i];

        switch (j->state) {
        case AD_JS_STRING:
            for (n = i; n < len && in[n] >= 0x20 && in[n] != '"' &&
                        in[n] != '\\';
                 n++) {
            }
            if (n > i) {
                ad_js_lone(j);
                ad_js_keep(j, in + i, n - i);
                i = n;
                continue;
            }
            if (c == '"') {
                ad_js_string_end(j);
            } else if (c == '\\') {
                j->state = AD_JS_ESCAPE;
            } else {
                ad_js_bad(j);
            }
            break;
        case AD_JS_ESCAPE:
            escape = c != '\0' ? strchr(from, c) : NULL;
            if (escape != NULL) {
                ad_js_lone(j);
                ad_js_keep(j, to + (escape - from), 1);
                j->state = AD_JS_STRING;
            } else if (c == 'u') {
                j->digits = 4;
                j->state = AD_JS_HEX;
            } else {
                ad_js_bad(j);
            }
            break;
        case AD_JS_HEX:
            if (ad_hex(c) < 0) {
                ad_js_bad(j);
                break;
            }
            j->code = (uint16_t)(j->code << 4 | ad_hex(c));
            if (--j->digits == 0) {
                ad_js_unit(j);
                j->state = AD_JS_STRING;
            }
            break;
        case AD_JS_WORD:
            if (!ad_js_in_word(c)) {
                ad_js_word_end(j);
                continue; /* the character is looked at again */
            }
            ad_js_word(j, c);
            break;
        default:
            if (ad_json_space((const char *)in + i, 1) == 0) {
                ad_js_mark(j, c, i);
            }
            break;
        }
        i++;
    }
    j->at += i;
    return i;
}

/* The text has ended. Returns whether it was one whole JSON value. */
static bool ad_js_end(struct ad_js *j)
{
    if (j->state == AD_JS_WORD) {
        ad_js_word_end(j);
    }
    return j->state == AD_JS_DONE;
}

/* ---- the body of an answer ---- */

/* What the event at hand has told so far. Its fields come in any order, so it
 * is judged when it ends. */
struct ad_scan_event {
    bool text;       /* some of the answer, in the choice at hand if any */
    bool choices;    /* there is such an array */
    bool finish;     /* a finish reason */
    bool over;       /* the last of its stream */
    uint32_t n_choices, n_texts; /* choices, and those with text */
    uint32_t has;    /* a bit for each of the numbers */
    double number[AD_N_END - AD_N_COMPLETION];
};
_Static_assert(AD_N_END - AD_N_COMPLETION <= 32, "`has` has 32 bits");

/* A line of an event stream: the name of its field, then its value. */
enum ad_sse { AD_SSE_NAME, AD_SSE_DATA, AD_SSE_SKIP };

/* Everything about one answer. All counts are of the whole request. */
struct ad_scan {
    struct ad_head head;

    /* What has been learned so far. */
    uint8_t trouble;        /* AD_TROUBLE_...: incomplete */
    bool ended;             /* the engine said so: [DONE], done, stop... */
    bool failed;            /* the engine told an error */
    bool has_prompt, has_cached, has_timings, has_progress;
    bool partial;           /* `tokens` counts one of several choices */
    uint32_t events;        /* JSON texts */
    uint32_t comments;      /* keep-alive lines of an event stream */
    uint64_t token_events;  /* choices of events that brought text */
    uint64_t tokens;        /* as the engine counts them; 0: not told */
    uint64_t prompt_tokens; /* cached ones included */
    uint64_t cached_tokens;
    uint64_t draft_tokens, draft_accepted;
    double load_ms;         /* Ollama: the model's loading */
    double prompt_ms, prompt_per_s;
    double predicted_ms, predicted_per_s;
    double total_ms;        /* Ollama */
    uint64_t progress_total, progress_cached, progress_done; /* of the prompt */
    double progress_ms;
    char model[AIDASH_MODEL_MAX + 1]; /* as the answer names it */
    char finish[AD_SCAN_FINISH_MAX + 1]; /* the last finish reason */

    /* How reading stands. */
    uint8_t line;           /* enum ad_sse */
    uint8_t name_len;
    uint8_t done_len;       /* bytes of "[DONE]" so far */
    bool after_cr;
    bool reading;           /* a JSON text has begun */
    char name[6];           /* of the field, as far as we know such names */
    uint64_t finished_tokens; /* of the choices that ended, without a usage */
    uint64_t usage_tokens;  /* of the usage events of llama-server */
    struct ad_scan_event event;
    struct ad_js js;
};

static const char ad_done[] = "[DONE]";

/* Times and counts beyond are not believed: 11 days in nanoseconds. */
#define AD_SCAN_NUMBER_MAX 1e15

static bool ad_scan_has(const struct ad_scan *s, enum ad_node node)
{
    return (s->event.has >> (node - AD_N_COMPLETION) & 1) != 0;
}

/* A number of the event, 0 if it has none. */
static double ad_scan_number(const struct ad_scan *s, enum ad_node node)
{
    return ad_scan_has(s, node) ? s->event.number[node - AD_N_COMPLETION] : 0;
}

static uint64_t ad_scan_count(const struct ad_scan *s, enum ad_node node)
{
    double value = ad_scan_number(s, node);

    return value <= (double)AD_TOKENS_LIMIT ? (uint64_t)value : 0;
}

/* The tokens of the answer, as this event has them.
 *
 * llama-server counts each choice on its own (its events have timings): with a
 * usage asked for in an event without choices, one a choice; otherwise in the
 * event with the finish reason. Those are added. In a whole answer it tells
 * those of one choice only. Everyone else counts all that there is so far, and
 * zero means that it does not count here. */
static void ad_scan_tokens_told(struct ad_scan *s)
{
    const struct ad_scan_event *e = &s->event;
    uint64_t n = ad_scan_count(s, AD_N_COMPLETION);

    n = n != 0 ? n : ad_scan_count(s, AD_N_PREDICTED);
    if (n == 0) {
        return;
    }
    if (!ad_scan_has(s, AD_N_PREDICTED)) {
        s->tokens = n;
    } else if (e->choices && e->n_choices == 0) {
        s->usage_tokens += n;
        s->tokens = s->usage_tokens;
    } else {
        s->partial = s->head.form == AD_FORM_JSON && e->n_choices > 1;
        s->tokens = s->finished_tokens + n;
        if (e->finish || e->over) {
            s->finished_tokens = s->tokens;
        }
    }
}

static void ad_scan_prompt_told(struct ad_scan *s)
{
    uint64_t n = ad_scan_count(s, AD_N_PROMPT) +
                 ad_scan_count(s, AD_N_CACHE_READ) +
                 ad_scan_count(s, AD_N_CACHE_WRITE);
    uint64_t cached = ad_scan_count(s, AD_N_CACHED);

    if (n == 0) {
        n = ad_scan_count(s, AD_N_CACHE_N) + ad_scan_count(s, AD_N_PROMPT_N);
    }
    if (n != 0) {
        s->has_prompt = true;
        s->prompt_tokens = n;
    }
    if (ad_scan_has(s, AD_N_CACHED) || ad_scan_has(s, AD_N_CACHE_READ) ||
        ad_scan_has(s, AD_N_CACHE_N)) {
        s->has_cached = true;
        cached = cached != 0 ? cached : ad_scan_count(s, AD_N_CACHE_READ);
        cached = cached != 0 ? cached : ad_scan_count(s, AD_N_CACHE_N);
        s->cached_tokens = cached != 0 ? cached : s->cached_tokens;
    }
}

/* llama-server's and Ollama's times. */
static void ad_scan_times_told(struct ad_scan *s)
{
    if (ad_scan_has(s, AD_N_PREDICTED_MS)) {
        s->has_timings = true;
        s->prompt_ms = ad_scan_number(s, AD_N_PROMPT_MS);
        s->prompt_per_s = ad_scan_number(s, AD_N_PROMPT_RATE);
        s->predicted_ms = ad_scan_number(s, AD_N_PREDICTED_MS);
        s->predicted_per_s = ad_scan_number(s, AD_N_PREDICTED_RATE);
        s->draft_tokens = ad_scan_count(s, AD_N_DRAFT_N);
        s->draft_accepted = ad_scan_count(s, AD_N_DRAFT_ACCEPTED);
    } else if (ad_scan_has(s, AD_N_TOTAL_NS)) {
        s->has_timings = true;
        s->total_ms = ad_scan_number(s, AD_N_TOTAL_NS) / 1e6;
        s->load_ms = ad_scan_number(s, AD_N_LOAD_NS) / 1e6;
        s->prompt_ms = ad_scan_number(s, AD_N_PROMPT_NS) / 1e6;
        s->predicted_ms = ad_scan_number(s, AD_N_EVAL_NS) / 1e6;
        s->prompt_per_s = 0;
        s->predicted_per_s = 0;
        if (s->prompt_ms > 0 && s->prompt_tokens > s->cached_tokens) {
            s->prompt_per_s = (double)(s->prompt_tokens - s->cached_tokens) /
                              s->prompt_ms * 1e3;
        }
        if (s->predicted_ms > 0) {
            s->predicted_per_s = (double)s->tokens / s->predicted_ms * 1e3;
        }
    }
    if (ad_scan_has(s, AD_N_PROGRESS_TOTAL)) {
        s->has_progress = true;
        s->progress_total = ad_scan_count(s, AD_N_PROGRESS_TOTAL);
        s->progress_cached = ad_scan_count(s, AD_N_PROGRESS_CACHED);
        s->progress_done = ad_scan_count(s, AD_N_PROGRESS_DONE);
        s->progress_ms = ad_scan_number(s, AD_N_PROGRESS_MS);
    }
}

/* An event is complete. Returns how many token events it is: one for each
 * choice with text. A whole answer brings no tokens one by one. */
static uint32_t ad_scan_event_end(struct ad_scan *s)
{
    const struct ad_scan_event *e = &s->event;
    uint32_t n = e->n_texts + e->text;

    if (s->head.form == AD_FORM_JSON) {
        n = 0;
    }
    s->events++;
    s->token_events += n;
    s->ended = s->ended || e->over;
    ad_scan_tokens_told(s);
    ad_scan_prompt_told(s);
    ad_scan_times_told(s);
    return n;
}

static bool ad_js_is(const struct ad_js *j, const char *text)
{
    return strlen(text) == j->len && memcmp(j->text, text, j->len) == 0;
}

/* The "type" of an event of /v1/responses and /v1/messages. */
static void ad_scan_type(struct ad_scan *s)
{
    const struct ad_js *j = &s->js;

    s->failed = s->failed || ad_js_is(j, "error") ||
                ad_js_is(j, "response.failed");
    s->event.over = ad_js_is(j, "message_stop") ||
                    ad_js_is(j, "response.completed") ||
                    ad_js_is(j, "response.incomplete") ||
                    ad_js_is(j, "response.failed");
}

/* Copy a name out of the text, whole characters only, if it is one. */
static void ad_js_name(const struct ad_js *j, char *out, size_t max)
{
    size_t len = j->len < max ? j->len : max;

    if (j->cut || len < j->len) {
        while (len > 0 && !ad_utf8_ok((const uint8_t *)j->text, len)) {
            len--;
        }
    }
    if (ad_name_ok(j->text, len, max)) {
        memcpy(out, j->text, len);
        out[len] = '\0';
    }
}

/* A string has ended at a place that matters. */
static void ad_scan_string(struct ad_scan *s)
{
    const struct ad_js *j = &s->js;
    struct ad_scan_event *e = &s->event;

    switch (j->node) {
    case AD_N_TEXT:
    case AD_N_DELTA:    /* /v1/responses */
    case AD_N_RESPONSE: /* Ollama */
        e->text = e->text || j->any;
        break;
    case AD_N_MODEL:
        ad_js_name(j, s->model, AIDASH_MODEL_MAX);
        break;
    case AD_N_TYPE:
        ad_scan_type(s);
        break;
    case AD_N_OBJECT: /* vLLM before 2025 */
        s->failed = s->failed || ad_js_is(j, "error");
        break;
    case AD_N_FINISH:
        if (j->any && !ad_js_is(j, "none")) {
            e->finish = true;
            ad_js_name(j, s->finish, AD_SCAN_FINISH_MAX);
        }
        break;
    case AD_N_ERROR:
        s->failed = s->failed || j->any;
        break;
    case AD_N_TGI_TEXT:
        e->over = true;
        break;
    default:
        break;
    }
}

static void ad_scan_scalar(struct ad_scan *s)
{
    const struct ad_js *j = &s->js;
    struct ad_scan_event *e = &s->event;

    if (j->text[0] == 't') {
        e->over = e->over || j->node == AD_N_OVER;
    } else if (j->node >= AD_N_COMPLETION &&
               (j->text[0] == '-' || ad_is_digit(j->text[0]))) {
        unsigned i = (unsigned)j->node - AD_N_COMPLETION;
        jsmntok_t number;

        memset(&number, 0, sizeof(number));
        number.end = j->len;
        e->number[i] = ad_json_double(j->text, &number);
        if (e->number[i] >= 0 && e->number[i] <= AD_SCAN_NUMBER_MAX) {
            e->has |= 1u << i;
        }
    }
}

/* Take in what the JSON reader stopped at. Returns how many token events have
 * ended with it. */
static uint32_t ad_scan_take(struct ad_scan *s)
{
    struct ad_scan_event *e = &s->event;

    switch (s->js.what) {
    case AD_JS_TEXT:
        ad_scan_string(s);
        break;
    case AD_JS_SCALAR:
        ad_scan_scalar(s);
        break;
    case AD_JS_OPEN:
        if (s->js.node == AD_N_TOP) {
            memset(e, 0, sizeof(*e));
        } else if (s->js.node == AD_N_CHOICES) {
            e->choices = true;
        } else if (s->js.node == AD_N_CHOICE) {
            e->n_choices++;
            e->text = false;
        } else if (s->js.node == AD_N_CALL) {
            e->text = true;
        } else if (s->js.node == AD_N_ERROR) {
            s->failed = true;
        }
        break;
    case AD_JS_CLOSE:
        if (s->js.node == AD_N_TOP) {
            return ad_scan_event_end(s);
        }
        if (s->js.node == AD_N_CHOICE) {
            e->n_texts += e->text;
            e->text = false;
        }
        break;
    default:
        break;
    }
    return 0;
}

/* The JSON text at hand ends here. */
static void ad_scan_json_end(struct ad_scan *s)
{
    bool whole = !s->reading || ad_js_end(&s->js);

    /* Part of "[DONE]" is no JSON either. */
    if (!whole || (s->done_len > 0 && s->done_len < sizeof(ad_done) - 1)) {
        s->trouble |= s->js.deep ? AD_TROUBLE_DEPTH : AD_TROUBLE_JSON;
    }
    s->reading = false;
    s->done_len = 0;
}

/* Bytes of a JSON text. Returns how many token events ended in them. */
static uint32_t ad_scan_json(struct ad_scan *s, const uint8_t *in, size_t len)
{
    uint32_t n = 0;

    if (!s->reading) {
        size_t space = ad_json_space((const char *)in, len);

        if (space == len) {
            return 0;
        }
        ad_js_begin(&s->js, AD_N_TOP);
        s->reading = true;
    }
    while (len > 0 && s->js.state != AD_JS_BAD) {
        size_t used = ad_js_next(&s->js, in, len);

        n += ad_scan_take(s);
        in += used;
        len -= used;
    }
    return n;
}

/* Bytes of an event's data: JSON, or "[DONE]". */
static uint32_t ad_scan_data(struct ad_scan *s, const uint8_t *in, size_t len)
{
    uint32_t n = 0;
    size_t i = 0;

    if (!s->reading && s->done_len == 0) {
        i = ad_json_space((const char *)in, len);
    }
    for (; i < len && !s->reading && s->done_len < sizeof(ad_done) - 1; i++) {
        if (in[i] != (uint8_t)ad_done[s->done_len]) {
            n = ad_scan_json(s, (const uint8_t *)ad_done, s->done_len);
            s->done_len = 0;
            break;
        }
        s->done_len++;
        s->ended = s->ended || s->done_len == sizeof(ad_done) - 1;
    }
    return n + ad_scan_json(s, in + i, len - i);
}

/* A field of an event has its colon. */
static void ad_scan_field(struct ad_scan *s)
{
    s->line = AD_SSE_SKIP;
    if (s->name_len == 0) {
        s->comments++;
    } else if (s->name_len == 4 && memcmp(s->name, "data", 4) == 0) {
        s->line = AD_SSE_DATA;
        /* A second line of the same event goes on with a newline. When the
         * first was complete, the sender left out the empty line between. */
        if (s->reading && s->js.state != AD_JS_DONE &&
            s->js.state != AD_JS_BAD) {
            (void)ad_scan_json(s, (const uint8_t *)"\n", 1);
        } else {
            ad_scan_json_end(s);
        }
    } else if (s->name_len == 5 && memcmp(s->name, "error", 5) == 0) {
        s->failed = true; /* older llama-server */
    }
}

/* A line of an event stream has ended. */
static void ad_scan_line_end(struct ad_scan *s)
{
    if (s->line == AD_SSE_NAME && s->name_len == 0) {
        ad_scan_json_end(s);
    }
    s->line = AD_SSE_NAME;
    s->name_len = 0;
}

/* Server-sent events, as HTML's section 9.2.6 has them, but that an event
 * counts as soon as its JSON is complete. The space behind a colon is as good
 * as none: JSON may begin with it. */
static uint32_t ad_scan_sse(struct ad_scan *s, const uint8_t *in, size_t len)
{
    uint32_t n = 0;
    size_t i = 0, end;

    while (i < len) {
        uint8_t c = in[i];
        bool lf_of_crlf = s->after_cr && c == '\n';

        s->after_cr = c == '\r';
        if (lf_of_crlf) {
            i++;
            continue;
        }
        if (c == '\r' || c == '\n') {
            ad_scan_line_end(s);
            i++;
            continue;
        }
        if (s->line == AD_SSE_NAME) {
            if (c == ':') {
                ad_scan_field(s);
            } else if (s->name_len < sizeof(s->name)) {
                s->name[s->name_len++] = (char)c;
            }
            i++;
            continue;
        }
        for (end = i; end < len && in[end] != '\r' && in[end] != '\n'; end++) {
        }
        if (s->line == AD_SSE_DATA) {
            n += ad_scan_data(s, in + i, end - i);
        }
        i = end;
    }
    return n;
}

/* Newline-delimited JSON. */
static uint32_t ad_scan_ndjson(struct ad_scan *s, const uint8_t *in,
                               size_t len)
{
    uint32_t n = 0;

    while (len > 0) {
        const uint8_t *newline = memchr(in, '\n', len);
        size_t piece = newline != NULL ? (size_t)(newline - in) : len;

        n += ad_scan_json(s, in, piece);
        if (newline != NULL) {
            ad_scan_json_end(s);
            piece++;
        }
        in += piece;
        len -= piece;
    }
    return n;
}

/* Bytes of the body, free of its framing. */
static uint32_t ad_scan_body(struct ad_scan *s, const uint8_t *in, size_t len)
{
    switch (s->head.form) {
    case AD_FORM_SSE:
        return ad_scan_sse(s, in, len);
    case AD_FORM_NDJSON:
        return ad_scan_ndjson(s, in, len);
    case AD_FORM_JSON:
        return ad_scan_json(s, in, len);
    default:
        return 0;
    }
}

/* All of the body has come. */
static void ad_scan_body_end(struct ad_scan *s)
{
    if (s->head.form == AD_FORM_JSON && s->reading && ad_js_end(&s->js)) {
        s->ended = true;
    }
    ad_scan_json_end(s);
}

/* head: the request's method was HEAD, so that the answer has no body. */
static void ad_scan_begin(struct ad_scan *s, bool head)
{
    memset(s, 0, sizeof(*s));
    ad_head_begin(&s->head, head);
}

/* Whether all of the answer has come, as its framing tells; an answer that ends
 * with the connection has when ad_scan_close() was called. */
static bool ad_scan_complete(const struct ad_scan *s)
{
    return s->head.state == AD_HEAD_DONE &&
           s->head.body.state == AD_BODY_DONE;
}

/* Take bytes as they were read from the engine. Returns how many token events
 * were completed by them; the counts are up to date then. */
static uint32_t ad_scan_feed(struct ad_scan *s, const uint8_t *in, size_t len)
{
    struct ad_body *body = &s->head.body;
    const uint8_t *data = NULL;
    uint32_t events = 0;
    size_t i = 0, n;

    if (s->head.state == AD_HEAD_LINES) {
        i = ad_head_next(&s->head, in, len);
        if (s->head.state != AD_HEAD_LINES) {
            s->trouble |= s->head.trouble;
        }
    }
    if (s->head.state != AD_HEAD_DONE) {
        return 0;
    }
    while (i < len && body->state != AD_BODY_DONE &&
           body->state != AD_BODY_BAD) {
        i += ad_body_next(body, in + i, len - i, &data, &n);
        if (n > 0) {
            events += ad_scan_body(s, data, n);
        }
        if (body->state == AD_BODY_DONE) {
            ad_scan_body_end(s);
        }
    }
    if (i < len || body->state == AD_BODY_BAD) {
        s->trouble |= AD_TROUBLE_FRAMING;
    }
    return events;
}

/* The engine has closed the connection. */
static void ad_scan_close(struct ad_scan *s)
{
    if (s->head.state == AD_HEAD_DONE && s->head.until_close &&
        s->head.body.state == AD_BODY_LENGTH) {
        s->head.body.state = AD_BODY_DONE;
        ad_scan_body_end(s);
    }
}

/* The tokens of the answer by the best knowledge so far: the engine's count,
 * or else the token events, which are a lower bound (*estimated). An engine's
 * count below them is one of those that come on the way, of one choice of
 * several, as long as the answer has not ended. */
static uint64_t ad_scan_tokens(const struct ad_scan *s, bool *estimated)
{
    bool told = s->tokens != 0 && (s->ended || s->tokens >= s->token_events);

    *estimated = told ? s->partial : s->token_events != 0;
    return told ? s->tokens : s->token_events;
}

/* ---- the times between tokens ---- */

/* A histogram of 18 octaves from 64 us to 16.8 s, each of 7 bins with equal
 * ratios: what it tells is at most 5 % off ((r - 1) / (r + 1) with
 * r = 2^(1/7)). Below, all times are one bin; above, all are the longest. */
enum {
    AD_GAPS_OCTAVES = 18,
    AD_GAPS_STEPS = 7,
    AD_GAPS_BINS = AD_GAPS_OCTAVES * AD_GAPS_STEPS + 2
};

struct ad_gaps {
    uint32_t n;
    uint32_t bins[AD_GAPS_BINS];
    uint64_t max_us;
};

/* Where a bin of the first octave begins: 65536 x 2^(i/7), in 1/1024 us. */
static const uint32_t ad_gaps_steps[AD_GAPS_STEPS + 1] = {
    65536, 72358, 79889, 88205, 97386, 107523, 118715, 131072};

/* k token events were completed by one read, gap_us after the read that
 * completed those before: each is taken to have come after 1/k of it. The first
 * read of a request has no gap. */
static void ad_gaps_add(struct ad_gaps *g, uint64_t gap_us, uint32_t k)
{
    unsigned bin = 0, octave = 0, i;

    if (k == 0) {
        return;
    }
    gap_us /= k;
    g->n += k;
    g->max_us = gap_us > g->max_us ? gap_us : g->max_us;
    while (octave < AD_GAPS_OCTAVES && gap_us >= 128ull << octave) {
        octave++;
    }
    if (octave == AD_GAPS_OCTAVES) {
        bin = AD_GAPS_BINS - 1;
    } else if (gap_us >= 64) {
        for (i = 0; gap_us * 1024 >= (uint64_t)ad_gaps_steps[i + 1] << octave;
             i++) {
        }
        bin = 1 + octave * AD_GAPS_STEPS + i;
    }
    g->bins[bin] += k;
}

/* The time that `percent` of the gaps do not exceed; 0 when there are none. */
static uint64_t ad_gaps_at(const struct ad_gaps *g, unsigned percent)
{
    uint64_t rank = ((uint64_t)g->n * percent + 99) / 100, seen = 0;
    double low, high;
    uint64_t us = 32; /* below 64 */
    unsigned bin;

    for (bin = 0; bin < AD_GAPS_BINS - 1; bin++) {
        seen += g->bins[bin];
        if (seen >= rank) {
            break;
        }
    }
    if (bin == AD_GAPS_BINS - 1) {
        return g->max_us;
    }
    if (bin > 0) { /* the harmonic mean is equally far from both ends */
        unsigned octave = (bin - 1) / AD_GAPS_STEPS;
        unsigned i = (bin - 1) % AD_GAPS_STEPS;

        low = (double)((uint64_t)ad_gaps_steps[i] << octave) / 1024;
        high = (double)((uint64_t)ad_gaps_steps[i + 1] << octave) / 1024;
        us = (uint64_t)(2 * low * high / (low + high) + 0.5);
    }
    return us < g->max_us ? us : g->max_us;
}

/* ---- the model that a request asks for ---- */

struct ad_edit {
    bool found;  /* body[from .. from + len) is the string, with its quotes */
    bool has_stream, stream; /* what the request says about streaming */
    size_t from, len;
    char name[AIDASH_MODEL_MAX + 1]; /* "": none, or no name */
};

/* Find the top-level "model" of a request body, the last one if there are
 * several, as the engines' parsers do. Nothing is found in a body that is no
 * well-formed JSON object, is longer than AD_EDIT_MAX, or is nested deeper than
 * AD_SCAN_DEPTH_MAX; nor when "model" is no string. */
static void ad_model_edit(struct ad_edit *m, const uint8_t *body, size_t len)
{
    struct ad_js js;
    size_t i = 0;

    memset(m, 0, sizeof(*m));
    if (len > AD_EDIT_MAX || !ad_utf8_ok(body, len)) {
        return;
    }
    ad_js_begin(&js, AD_N_REQUEST);
    while (i < len && js.state != AD_JS_BAD) {
        i += ad_js_next(&js, body + i, len - i);
        if (js.node == AD_N_MODEL && js.what != AD_JS_NOTHING) {
            m->found = js.what == AD_JS_TEXT;
            m->from = (size_t)js.from;
            m->len = (size_t)(js.at - js.from);
            m->name[0] = '\0';
            if (m->found) {
                ad_js_name(&js, m->name, AIDASH_MODEL_MAX);
            }
        } else if (js.node == AD_N_STREAM && js.what == AD_JS_SCALAR) {
            m->has_stream = js.text[0] == 't' || js.text[0] == 'f';
            m->stream = js.text[0] == 't';
        }
    }
    if (!ad_js_end(&js)) {
        memset(m, 0, sizeof(*m));
    }
}

#endif /* AIDASH_METER */

/* ==== 7 FEED ============================================================= */

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

static const char *const ad_event_names[] = {"inference_tick", "status",
                                             "request_start", "request"};
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

/* ==== 8 HUB ============================================================== */

/* The hub thread runs ad_hub_main() and owns everything marked [h]. It never
 * waits for a peer: every socket is non-blocking, and what a peer does not take
 * is dropped from the old end. */

/* -- the poller: three functions, over epoll or poll() -- */

enum { AD_IN = 1, AD_OUT = 2, AD_HUP = 4 /* tell when the peer's FIN comes */ };

/* What a descriptor is, and its place in that table. */
enum ad_tag { AD_TAG_WAKE, AD_TAG_TIMER, AD_TAG_LISTENER, AD_TAG_UDP,
              AD_TAG_STDIN, AD_TAG_PENDING, AD_TAG_CLIENT, AD_TAG_DOWN,
              AD_TAG_UP, AD_TAG_FETCH };

struct ad_ready {
    enum ad_tag tag;
    unsigned index;
    bool hangup; /* the peer's FIN or reset has come */
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

/* Watch fd for `want` instead of `had` (AD_IN, AD_OUT, AD_HUP; 0: no more). */
static bool ad_poll_set(int fd, unsigned had, unsigned want, enum ad_tag tag,
                        unsigned index)
{
    struct epoll_event event = {0, {0}};
    int op = had == 0 ? EPOLL_CTL_ADD : want == 0 ? EPOLL_CTL_DEL
                                                  : EPOLL_CTL_MOD;

    event.events = ((want & AD_IN) != 0 ? (uint32_t)EPOLLIN : 0) |
                   ((want & AD_OUT) != 0 ? (uint32_t)EPOLLOUT : 0) |
                   ((want & AD_HUP) != 0 ? (uint32_t)EPOLLRDHUP : 0);
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
        out[used].hangup =
            (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        if (out[used].tag == AD_TAG_TIMER) {
            ad_poll.armed_ns = 0;
        } else {
            used++;
        }
    }
    return used;
}

#else

#if AIDASH_METER
enum { AD_POLL_FLOWS = 2 * AIDASH_FLOWS + 1 };
#else
enum { AD_POLL_FLOWS = 0 };
#endif
enum { AD_POLL_MAX = AD_SLOTS + AIDASH_PENDING + AD_LISTENERS + AD_POLL_FLOWS +
                     8 };

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
                                    ((want & AD_OUT) != 0 ? POLLOUT : 0) |
                                    ((want & AD_HUP) != 0 ? AD_POLLRDHUP : 0));
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
            out[used] = ad_poll.tags[k];
            out[used++].hangup = (ad_poll.fds[k].revents &
                                  (AD_POLLRDHUP | POLLHUP | POLLERR)) != 0;
        }
    }
    ad_poll.start = (ad_poll.start + i) % ad_poll.n;
    return used;
}

#endif

/* -- waking the hub, and running a function on it: other threads -- */

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

/* -- events that the hub itself makes -- */

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

/* What only the meter has: the engine, the models in memory, the line. */
static void ad_put_meter(struct ad_text *t)
{
#if AIDASH_METER
    bool down = false, some = false;
    unsigned i;

    if (ad_set.n_upstreams == 0) {
        return;
    }
    for (i = 0; i < ad_set.n_upstreams; i++) {
        down = down || (ad_hub.engines[i].known && !ad_hub.engines[i].up);
    }
    ad_puts(t, down ? ",\"engine\":\"down\"" : ",\"engine\":\"up\"");
    ad_puts(t, ad_hub.overrides ? ",\"override\":true" : ",\"override\":false");
    ad_putf(t, ",\"running\":%u,\"queued\":%u,\"loaded\":[", ad_hub.n_running,
            ad_hub.n_queued);
    for (i = 0; i < ad_hub.n_models; i++) {
        if (ad_hub.loaded[i]) {
            ad_put(t, ",", some);
            ad_put_string(t, ad_hub.models[i]);
            some = true;
        }
    }
    ad_puts(t, "]");
#else
    (void)t;
#endif
}

static void ad_put_source(struct ad_text *t)
{
    static const char *const names[] = {"none", "sim", "stdin", "meter"};
    bool ended = ad_set.source == AD_SOURCE_STDIN && !ad_hub.stdin_open;

    ad_puts(t, ",\"source\":");
    ad_put_string(t, names[ad_set.source]);
    ad_puts(t, ",\"source_state\":");
    ad_put_string(t, ad_set.source == AD_SOURCE_NONE ? "none"
                     : ended                         ? "ended"
                                                     : "running");
    ad_puts(t, ",\"rate_hz\":");
    ad_put_fixed(t, ad_set.source == AD_SOURCE_SIM ? ad_set.rate_hz : 0, 3);
    ad_put_meter(t);
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

/* -- clients: slots, and bytes out -- */

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

    ad_reply_frame(8, payload, code == 0 ? 0u : 2u);
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

/* -- ticks -- */

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
    at_ns = at_ns > s->last_ns ? at_ns : s->last_ns; /* time never runs back */
    if ((in->has & AD_HAS_TOTAL) != 0) {
        added = in->total > s->tokens ? in->total - s->tokens : 0;
        s->tokens = in->total;
    } else {
        s->tokens += added;
        s->tokens -= in->surplus < s->tokens ? in->surplus : s->tokens;
    }
    s->estimates += (in->has & AD_IS_FIRST) != 0;
    s->estimates -= (in->has & AD_IS_LAST) != 0 && s->estimates > 0;
    if ((in->has & AD_HAS_LATENCY) == 0 && s->last_ns != 0) {
        latency_ms = (double)(at_ns - s->last_ns) / (double)AD_NS_PER_MS;
    }
    s->last_ns = at_ns;
    ad_rate_add(&s->rate, added, at_ns,
                (uint64_t)(latency_ms * (double)AD_NS_PER_MS));
    if (ad_hub.paused && (in->has & AD_IS_METERED) == 0) {
        ad_hub.count.paused_dropped++;
        return;
    }
    if ((in->has & AD_HAS_TIME) == 0) {
        time_us = at_ns > ad_hub.now_ns
                      ? ad_hub.now_us + (at_ns - ad_hub.now_ns) / 1000
                      : ad_hub.now_us - (ad_hub.now_ns - at_ns) / 1000;
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

/* Make the ticks that are due; at rates above the wake-ups', several. After a
 * second's standstill (the process was stopped) the rhythm starts anew. */
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
            if (fault != NULL &&
                (errors <= 10 || (errors & (errors - 1)) == 0)) {
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

/* ==== 9 METER ============================================================ */

/* A reverse proxy in front of an engine, and the meter in it. A flow is one
 * request: the client's socket (down), the engine's (up), a fixed state. Bytes
 * are relayed as they come; the scanner of section 6 reads a copy. All on the
 * hub thread, none of the HTTP workers. */

#if AIDASH_METER

enum ad_flow_state {
    AD_FLOW_FREE,
    AD_FLOW_QUEUED,  /* in line: the client's bytes wait in the kernel */
    AD_FLOW_GATHER,  /* its body is read whole, to be edited */
    AD_FLOW_CONNECT, /* to the engine */
    AD_FLOW_RUN,     /* bytes pass */
    AD_FLOW_ENDING   /* the engine is closed; the client takes the rest */
};
enum { AD_NO_EDIT = 255 };

/* A proxied request. [h] */
struct ad_flow {
    uint8_t state; /* enum ad_flow_state */
    uint8_t down_events, up_events;
    uint8_t upstream, address; /* which engine, its next address to try */
    uint8_t edit;              /* its edit buffer, or AD_NO_EDIT */
    bool work;        /* it has a body: the line, the limit and pause are for it */
    bool head;        /* the method is HEAD */
    bool expects;     /* Expect: 100-continue */
    bool has_auth;    /* it brings its own Authorization */
    bool keeps;       /* the client's connection outlives this answer */
    bool reads_down;
    bool head_passed; /* the answer's head went to the client */
    int down, up;     /* sockets, -1: closed */
    uint64_t id;
    uint64_t start_ns, start_us; /* it came in */
    uint64_t sent_ns;            /* the engine had all of it; 0: not yet */
    uint64_t first_ns, last_ns;  /* reads that completed tokens */
    uint64_t start_seq;          /* event that told its start */
    uint64_t counted;            /* tokens in ticks */
    uint64_t progress;           /* of the prompt, as told to the viewers */
    uint32_t progress_ms;
    uint32_t heard_ms, moved_ms, ending_ms; /* engine, client, end */
    uint32_t head_len, framing_len, rest_len; /* of the request, see ad_proxy */
    uint32_t gathered;           /* bytes of a body or head held back */
    uint32_t interim_len;        /* bytes of interim heads that were passed */
    uint32_t to_up_at, to_up_len, to_down_at, to_down_len;
    uint8_t *to_up;
    struct ad_body body; /* framing of the request's body */
    char framing[64];
    char route[64], client[48];
    char model[AIDASH_MODEL_MAX + 1]; /* as asked for, "": not known */
    char name[AIDASH_MODEL_MAX + 1];  /* that its ticks count for */
    struct ad_scan scan;
    struct ad_gaps gaps;
};

struct ad_cold_flow {
    char method[32], target[AD_HEAD_MAX];
    uint8_t to_up[AD_FLOW_FRONT + AD_HEAD_MAX + 64 + 2 * AD_FLOW_UP_MAX];
    uint8_t to_down[AD_FLOW_HEAD_MAX + 64 + AD_SCRATCH];
};

/* The head's end touches the body's beginning: they are sent as one. */
struct ad_edit_buffer {
    uint8_t head[AD_FLOW_FRONT + AD_HEAD_MAX + 64];
    uint8_t body[AD_EDIT_MAX + AD_SCRATCH]; /* more than a longer name needs */
};

/* A question of our own to an engine. [h] */
struct ad_fetch {
    int fd; /* -1: none is under way */
    uint8_t what, events, upstream, address;
    bool sent;
    uint32_t since_ms;
    struct ad_head head;
    struct ad_js js;
    unsigned n_models;
    char models[AIDASH_MODELS][AIDASH_MODEL_MAX + 1];
    bool loaded[AIDASH_MODELS];
    double metric[AD_METRICS];
    bool has_metric[AD_METRICS];
    char metric_model[AIDASH_MODEL_MAX + 1];
    struct ad_lines lines;
    uint8_t line[AD_LINE_CAP];
};

/* How a request went, as its event told it. [h] */
struct ad_record {
    uint16_t len;
    char json[AD_RECORD_MAX];
};

static struct ad_record ad_records[AIDASH_RECORDS]; /* number n at n % count */
static struct ad_flow ad_flows[AIDASH_FLOWS];
static struct ad_cold_flow ad_cold_flows[AIDASH_FLOWS];
static struct ad_edit_buffer ad_edits[AIDASH_EDITS];
static bool ad_edit_used[AIDASH_EDITS];
static struct ad_fetch ad_fetch;

/* A request on its way from a worker to the hub. Its own header lines are in
 * `text`, without those that are about the connection alone (RFC 9110 7.6.1)
 * and without the body's framing, which `framing` has, with the empty line. */
struct ad_proxy {
    struct ad_call call;
    int fd;
    bool taken; /* out: the hub has it */
    bool work, head, expects, has_auth, keeps;
    struct ad_body body;
    struct ad_text text;
    const char *method, *target, *framing;
    const uint8_t *rest; /* of the body, as far as it came with the head */
    size_t rest_len;
    char route[64], client[48];
    char model[AIDASH_MODEL_MAX + 1];
};

static void ad_flow_left(struct ad_flow *f);

/* An engine came up or went down: everybody is told. */
static void ad_engine_state(unsigned upstream, bool up)
{
    struct ad_engine *e = &ad_hub.engines[upstream];

    if (!e->known || e->up != up) {
        e->known = true;
        e->up = up;
        ad_log(up ? AIDASH_LOG_INFO : AIDASH_LOG_WARN, "engine %s is %s",
               ad_set.upstreams[upstream].authority, up ? "up" : "down");
        ad_status_append();
    }
}

/* Without a viewer's choice, the model shown is the one that answered last. */
static void ad_meter_shows(const char *name)
{
    unsigned i = ad_model_find(name);

    if (!ad_hub.overrides && i < ad_hub.n_models && i != ad_hub.model) {
        ad_hub.model = i;
        ad_status_append();
    }
}

/* The engine that has a model: by its list, by its own name, else the first. */
static uint8_t ad_upstream_of(const char *model)
{
    unsigned i, k;

    for (i = 0; i < ad_set.n_upstreams && model[0] != '\0'; i++) {
        for (k = 0; k < ad_hub.engines[i].n_models; k++) {
            if (strcmp(ad_hub.engines[i].models[k], model) == 0) {
                return (uint8_t)i;
            }
        }
    }
    for (i = 0; i < ad_set.n_upstreams; i++) {
        if (strcmp(ad_set.upstreams[i].name, model) == 0) {
            return (uint8_t)i;
        }
    }
    return 0;
}

static struct ad_cold_flow *ad_flow_cold(const struct ad_flow *f)
{
    return &ad_cold_flows[f - ad_flows];
}

static bool ad_flow_ollama(const struct ad_flow *f)
{
    return strncmp(f->route, "/api/", 5) == 0;
}

/* An error in the shape of the API that was asked. */
static void ad_put_api_error(struct ad_text *t, bool ollama, int status,
                             const char *type, const char *why)
{
    ad_puts(t, ollama ? "{\"error\":" : "{\"error\":{\"message\":");
    ad_put_string(t, why);
    if (!ollama) {
        ad_putf(t, ",\"type\":\"%s\",\"param\":null,\"code\":%d}", type,
                status);
    }
    ad_puts(t, "}");
}

/* -- what the viewers are told of a flow -- */

static void ad_put_field(struct ad_text *t, const char *name, double value)
{
    if (value >= 0) {
        ad_putf(t, ",\"%s\":", name);
        ad_put_fixed(t, value, 3);
    }
}

static double ad_ms(uint64_t from_ns, uint64_t to_ns)
{
    return from_ns == 0 || to_ns < from_ns
               ? -1
               : (double)(to_ns - from_ns) / (double)AD_NS_PER_MS;
}

static void ad_put_flow(struct ad_text *t, const struct ad_flow *f,
                        const char *event, uint64_t seq, const char *status)
{
    ad_putf(t, "{\"event\":\"%s\",\"seq\":%llu,\"id\":%llu,\"model\":", event,
            (unsigned long long)seq, (unsigned long long)f->id);
    ad_put_string(t, f->name[0] != '\0' ? f->name : f->model);
    ad_puts(t, ",\"route\":");
    ad_put_string(t, f->route);
    ad_puts(t, ",\"client\":");
    ad_put_string(t, f->client);
    ad_puts(t, ",\"status\":");
    ad_put_string(t, status);
}

/* When it came in, which ends each event about it. */
static void ad_put_flow_time(struct ad_text *t, const struct ad_flow *f)
{
    ad_puts(t, ",\"timestamp\":");
    ad_put_decimal(t, f->start_us, 6);
    ad_puts(t, "}");
}

static void ad_flow_tell_start(struct ad_flow *f)
{
    char json[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    f->start_seq = ad_feed.next;
    ad_put_flow(&t, f, "request_start", f->start_seq,
                f->state == AD_FLOW_QUEUED ? "queued" : "running");
    if (f->state == AD_FLOW_QUEUED) {
        ad_putf(&t, ",\"place\":%u", ad_hub.n_queued);
    }
    ad_put_flow_time(&t, f);
    ad_event_append(AD_EV_REQUEST_START, &t);
}

/* The record of a flow at its end. Rates and times come from the engine where
 * it tells them, else from our own clock (WIRE: n tokens, n - 1 gaps). */
static void ad_flow_tell_end(const struct ad_flow *f, const char *status)
{
    const struct ad_scan *s = &f->scan;
    char json[AD_RECORD_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));
    struct ad_record *record;
    bool estimated;
    uint64_t tokens = ad_scan_tokens(s, &estimated);
    uint64_t fresh = s->prompt_tokens - s->cached_tokens;
    double ttft_ms = ad_ms(f->sent_ns, f->first_ns);
    double decode_ms = ad_ms(f->first_ns, f->last_ns);
    double prefill = s->prompt_ms > 0 ? (double)fresh * 1000 / s->prompt_ms : -1;
    double decode = s->predicted_per_s > 0     ? s->predicted_per_s
                    : tokens > 1 && decode_ms > 0
                        ? (double)(tokens - 1) * 1000 / decode_ms
                        : -1;

    ad_put_flow(&t, f, "request", ad_feed.next, status);
    if (s->has_prompt) {
        ad_putf(&t, ",\"prompt_tokens\":%llu",
                (unsigned long long)s->prompt_tokens);
    }
    if (tokens > 0 || s->ended) {
        ad_putf(&t, ",\"completion_tokens\":%llu", (unsigned long long)tokens);
    }
    if (s->has_cached) {
        ad_putf(&t, ",\"cached_tokens\":%llu",
                (unsigned long long)s->cached_tokens);
    }
    if (s->head.form != AD_FORM_JSON) {
        ad_put_field(&t, "ttft_ms", ttft_ms);
        if (s->has_timings && ttft_ms >= 0) {
            double wait = ttft_ms - s->load_ms - s->prompt_ms;

            ad_put_field(&t, "queue_ms", wait > 0 ? wait : 0);
        }
    }
    ad_put_field(&t, "prefill_tokens_per_second", prefill);
    ad_put_field(&t, "decode_tokens_per_second", decode);
    if (f->gaps.n > 0) {
        ad_put_field(&t, "itl_p50_ms", (double)ad_gaps_at(&f->gaps, 50) / 1000);
        ad_put_field(&t, "itl_p95_ms", (double)ad_gaps_at(&f->gaps, 95) / 1000);
        ad_put_field(&t, "itl_max_ms", (double)f->gaps.max_us / 1000);
    }
    ad_put_field(&t, "duration_ms",
                 ad_ms(f->start_ns, ad_clock_ns(CLOCK_MONOTONIC)));
    if (s->finish[0] != '\0' &&
        ad_utf8_ok((const uint8_t *)s->finish, strlen(s->finish))) {
        ad_puts(&t, ",\"finish_reason\":");
        ad_put_string(&t, s->finish);
    }
    if (estimated || s->trouble != 0) {
        ad_puts(&t, ",\"estimated\":true");
    }
    ad_put_flow_time(&t, f);
    ad_event_append(AD_EV_REQUEST, &t);
    record = &ad_records[ad_hub.count.requests++ % AIDASH_RECORDS];
    record->len = (uint16_t)t.len;
    memcpy(record->json, t.at, t.len);
}

/* How a request is doing that is not over yet. */
static void ad_put_running(struct ad_text *t, const struct ad_flow *f)
{
    bool queued = f->state == AD_FLOW_QUEUED;

    ad_put_flow(t, f, "request", f->start_seq, queued ? "queued" : "running");
    if (f->counted > 0) {
        ad_putf(t, ",\"completion_tokens\":%llu,\"estimated\":true",
                (unsigned long long)f->counted);
    }
    ad_put_field(t, "ttft_ms", ad_ms(f->sent_ns, f->first_ns));
    ad_put_flow_time(t, f);
}

/* How far the prompt is read, where the engine streams that: at most ten times
 * a second. */
static void ad_flow_tell_progress(struct ad_flow *f)
{
    char json[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    if (f->scan.progress_done == f->progress ||
        ad_hub.now_ms - f->progress_ms < AD_PROGRESS_MS) {
        return;
    }
    f->progress = f->scan.progress_done;
    f->progress_ms = ad_hub.now_ms;
    ad_put_flow(&t, f, "request", ad_feed.next, "running");
    ad_putf(&t, ",\"prompt_tokens\":%llu,\"prompt_processed\":%llu",
            (unsigned long long)f->scan.progress_total,
            (unsigned long long)f->scan.progress_done);
    ad_put_flow_time(&t, f);
    ad_event_append(AD_EV_REQUEST, &t);
}

/* -- ticks of a flow -- */

/* The model that the ticks of a flow count for: as the first answer names it,
 * and the same to the end. */
static void ad_flow_name(struct ad_flow *f, char out[AIDASH_MODEL_MAX + 1])
{
    const char *name = f->scan.model;

    if (f->name[0] == '\0') {
        if (!ad_name_ok(name, strlen(name), AIDASH_MODEL_MAX)) {
            name = f->model;
        }
        (void)snprintf(f->name, sizeof(f->name), "%s", name);
        ad_meter_shows(f->name);
    }
    memcpy(out, f->name, sizeof(f->name));
}

/* Ticks for the token events that one read completed. */
static void ad_flow_ticks(struct ad_flow *f, uint32_t events, uint64_t now_ns)
{
    struct ad_sample sample;
    uint64_t before_ns = f->first_ns == 0 ? f->sent_ns : f->last_ns;
    uint64_t gap_ns = now_ns - before_ns;
    uint32_t i;

    if (f->first_ns == 0) {
        f->first_ns = now_ns;
    } else {
        ad_gaps_add(&f->gaps, gap_ns / 1000, events);
    }
    f->last_ns = now_ns;
    memset(&sample, 0, sizeof(sample));
    ad_flow_name(f, sample.model);
    sample.tokens = 1;
    sample.latency_ms = (double)gap_ns / (double)AD_NS_PER_MS / events;
    sample.has = AD_HAS_TOKENS | AD_HAS_LATENCY | AD_IS_METERED;
    for (i = 0; i < events; i++) {
        if (f->counted++ == 0) {
            sample.has |= AD_IS_FIRST;
        }
        ad_tick_apply(&sample, now_ns);
        sample.has &= ~(unsigned)AD_IS_FIRST;
    }
}

/* The engine's own count takes the place of the estimate. */
static void ad_flow_settle(struct ad_flow *f)
{
    struct ad_sample sample;
    bool estimated;
    uint64_t now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    uint64_t tokens = ad_scan_tokens(&f->scan, &estimated);
    double span_ms = f->scan.predicted_ms > 0 ? f->scan.predicted_ms
                                              : ad_ms(f->first_ns, f->last_ns);

    if (tokens == 0 && f->counted == 0) {
        return;
    }
    memset(&sample, 0, sizeof(sample));
    ad_flow_name(f, sample.model);
    sample.tokens = tokens > f->counted ? tokens - f->counted : 0;
    sample.surplus = tokens < f->counted ? f->counted - tokens : 0;
    if (f->counted == 0) { /* an answer that came whole: all of it is one step */
        sample.latency_ms = ad_ms(f->sent_ns, now_ns);
    } else if (tokens > 1 && span_ms > 0) {
        sample.latency_ms = span_ms / (double)(tokens - 1);
    }
    sample.has = AD_HAS_TOKENS | AD_HAS_LATENCY | AD_IS_METERED |
                 (f->counted > 0 ? AD_IS_LAST : 0u);
    ad_tick_apply(&sample, now_ns);
}

/* How a request ended whose answer came whole. */
static const char *ad_flow_outcome(const struct ad_flow *f)
{
    unsigned status = f->scan.head.status;

    if (status >= 400 && status < 500) {
        return "refused";
    }
    return status >= 500 || f->scan.failed ? "failed" : "finished";
}

/* -- a flow's sockets and its end -- */

static void ad_flow_watch(struct ad_flow *f)
{
    unsigned down = (f->reads_down ? AD_IN : 0u) |
                    (f->to_down_len > 0 ? AD_OUT : 0u) | AD_HUP;
    unsigned up = f->state == AD_FLOW_CONNECT
                      ? AD_OUT
                      : (f->to_down_len == 0 ? AD_IN : 0u) |
                            (f->to_up_len > 0 ? AD_OUT : 0u);
    unsigned index = (unsigned)(f - ad_flows);

    if (f->down >= 0 && down != f->down_events) {
        (void)ad_poll_set(f->down, f->down_events, down, AD_TAG_DOWN, index);
        f->down_events = (uint8_t)down;
    }
    if (f->up >= 0 && up != f->up_events) {
        (void)ad_poll_set(f->up, f->up_events, up, AD_TAG_UP, index);
        f->up_events = (uint8_t)up;
    }
}

static void ad_flow_close_up(struct ad_flow *f)
{
    if (f->up >= 0) {
        if (f->up_events != 0) {
            (void)ad_poll_set(f->up, f->up_events, 0, AD_TAG_UP, 0);
        }
        (void)close(f->up);
        f->up = -1;
        f->up_events = 0;
    }
}

static void ad_flow_free(struct ad_flow *f)
{
    ad_flow_close_up(f);
    if (f->down >= 0) {
        if (f->down_events != 0) {
            (void)ad_poll_set(f->down, f->down_events, 0, AD_TAG_DOWN, 0);
        }
        (void)close(f->down);
        f->down = -1;
    }
    if (f->edit != AD_NO_EDIT) {
        ad_edit_used[f->edit] = false;
        f->edit = AD_NO_EDIT;
    }
    f->state = AD_FLOW_FREE;
    ad_hub.n_flows--;
}

static void ad_flow_uncount(struct ad_flow *f)
{
    if (f->state == AD_FLOW_QUEUED) {
        ad_hub.n_queued--;
    } else if (f->state != AD_FLOW_ENDING && f->work) {
        ad_hub.n_running--;
    }
    if (ad_hub.drains && ad_hub.n_running == 0) {
        ad_hub.drains = false;
        ad_status_append();
    }
}

/* Section 10: let a connection wait at the door for its next request. */
static bool ad_door_keep(int fd);

/* The client has been sent all: its connection is free for another request, or
 * ends. */
static void ad_flow_sent(struct ad_flow *f)
{
    if (!f->keeps) {
        (void)shutdown(f->down, SHUT_WR);
        return;
    }
    (void)ad_poll_set(f->down, f->down_events, 0, AD_TAG_DOWN, 0);
    f->down_events = 0;
    if (ad_door_keep(f->down)) {
        f->down = -1;
    }
    ad_flow_free(f);
}

/* The flow is over, but for what the client still has to take. A cut answer
 * ends without the last chunk, as the engine's own would. */
static void ad_flow_end(struct ad_flow *f, const char *status)
{
    f->keeps = f->keeps && ad_scan_complete(&f->scan) &&
               (f->scan.trouble & AD_TROUBLE_FRAMING) == 0;
    ad_flow_close_up(f);
    if (f->work) {
        char name[AIDASH_MODEL_MAX + 1];

        ad_flow_name(f, name);
        ad_flow_settle(f);
        ad_flow_tell_end(f, status);
    }
    ad_flow_uncount(f);
    f->state = AD_FLOW_ENDING;
    f->reads_down = true; /* until its FIN */
    f->ending_ms = ad_hub.now_ms;
    if (f->down < 0) {
        ad_flow_free(f);
        return;
    }
    ad_flow_watch(f);
    if (f->to_down_len == 0) {
        ad_flow_sent(f);
    }
}

/* The client is gone: the engine must stop at once. */
static void ad_flow_left(struct ad_flow *f)
{
    if (f->state != AD_FLOW_ENDING) {
        ad_flow_end(f, "left");
    }
    if (f->state != AD_FLOW_FREE) {
        ad_flow_free(f);
    }
}

/* Send the client what waits for it. */
static void ad_flow_send_down(struct ad_flow *f)
{
    struct ad_cold_flow *cold = ad_flow_cold(f);
    ssize_t n;

    if (f->to_down_len == 0) {
        return;
    }
    n = send(f->down, cold->to_down + f->to_down_at, f->to_down_len,
             MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        ad_flow_left(f);
        return;
    }
    if (n > 0) {
        f->to_down_at += (uint32_t)n;
        f->to_down_len -= (uint32_t)n;
        ad_hub.count.bytes_sent += (uint64_t)n;
        f->moved_ms = ad_hub.now_ms;
    }
    ad_flow_watch(f);
    if (f->to_down_len == 0) {
        f->to_down_at = 0;
        if (f->state == AD_FLOW_ENDING) {
            ad_flow_sent(f);
        }
    }
}

/* Bytes for the client: straight to its socket, the rest into the buffer. */
static void ad_flow_pass_down(struct ad_flow *f, const uint8_t *bytes,
                              size_t len)
{
    struct ad_cold_flow *cold = ad_flow_cold(f);
    ssize_t n = 0;

    if (f->to_down_len == 0) {
        n = send(f->down, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            ad_flow_left(f);
            return;
        }
        n = n > 0 ? n : 0;
        ad_hub.count.bytes_sent += (uint64_t)n;
        f->moved_ms = ad_hub.now_ms;
    }
    if ((size_t)n < len) {
        memcpy(cold->to_down + f->to_down_at + f->to_down_len, bytes + n,
               len - (size_t)n);
        f->to_down_len += (uint32_t)(len - (size_t)n);
    }
}

/* Answer in the engine's place, and end. */
static void ad_flow_refuse(struct ad_flow *f, int status, const char *type,
                           const char *record, const char *why)
{
    char json[AD_REPLY_MAX];
    struct ad_text j = ad_text_in(json, sizeof(json));
    struct ad_cold_flow *cold = ad_flow_cold(f);
    struct ad_text t = ad_text_in(cold->to_down, sizeof(cold->to_down));

    ad_put_api_error(&j, ad_flow_ollama(f), status, type, why);
    ad_put_head(&t, status, "application/json", j.len,
                status == 503 ? "Retry-After: 5\r\n" : "");
    if (!f->head) {
        ad_put(&t, j.at, j.len);
    }
    f->to_down_at = 0;
    f->to_down_len = (uint32_t)t.len;
    f->scan.failed = true;
    f->keeps = false; /* as this head says */
    ad_flow_send_down(f);
    if (f->state != AD_FLOW_FREE && f->state != AD_FLOW_ENDING) {
        ad_flow_end(f, record);
    }
}

/* -- the answer -- */

/* Is this line of an answer's head about the connection alone (RFC 9110 7.6.1)?
 * Ours to the client is another, so it is not passed on. Where nothing stands in
 * the way the client's stays open: with `Connection: close`, clients such as
 * node's fetch would take an answer that was cut for a whole one. */
static bool ad_head_line_hop(const char *line, size_t len)
{
    static const char *const names[] = {"connection:", "keep-alive:",
                                        "proxy-connection:"};
    size_t i;

    for (i = 0; i < AD_COUNT(names); i++) {
        size_t n = strlen(names[i]);

        if (len >= n && strncasecmp(line, names[i], n) == 0) {
            return true;
        }
    }
    return false;
}

/* Have only whole interim heads come so far (RFC 9110 15.2)? */
static bool ad_head_between(const struct ad_head *h)
{
    return h->state == AD_HEAD_LINES && h->len > 0 && h->status == 0 &&
           h->line_len == 0 && !h->line_ended;
}

/* Pass the answer's heads on, gathered whole in the buffer for the client: the
 * last of them says how this connection goes on. `more` is what came behind. */
static void ad_flow_pass_head(struct ad_flow *f, size_t head_len,
                              const uint8_t *more, size_t more_len)
{
    static char out[AD_FLOW_HEAD_MAX + 64];
    struct ad_text t = ad_text_in(out, sizeof(out));
    const char *at = (const char *)ad_flow_cold(f)->to_down;
    const char *end = at + head_len, *last = at, *next;

    /* The last head begins behind the last empty line but one. */
    for (next = at; (next = memmem(next, (size_t)(end - next), "\n\r\n", 3)) !=
                    NULL && next + 3 < end;) {
        next += 3;
        last = next;
    }
    ad_put(&t, at, (size_t)(last - at));
    f->keeps = f->keeps && strncmp(last, "HTTP/1.1 ", 9) == 0 &&
               !f->scan.head.until_close && f->body.state == AD_BODY_DONE &&
               f->to_up_len == 0;
    for (at = last; at < end; at = next) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));

        next = newline != NULL ? newline + 1 : end;
        if (next == end && !f->keeps) { /* before the empty line */
            ad_puts(&t, "Connection: close\r\n");
        }
        if (!ad_head_line_hop(at, (size_t)(next - at))) {
            ad_put(&t, at, (size_t)(next - at));
        }
    }
    f->to_down_len = 0;
    ad_flow_pass_down(f, (const uint8_t *)t.at, t.len);
    if (f->state == AD_FLOW_RUN && more_len > 0) {
        ad_flow_pass_down(f, more, more_len);
    }
}

/* Bytes of the answer. While its head is incomplete they gather in to_down. */
static void ad_flow_relay(struct ad_flow *f, const uint8_t *bytes, size_t len)
{
    struct ad_cold_flow *cold = ad_flow_cold(f);
    size_t head_len, before = f->gathered;

    if (f->head_passed) {
        ad_flow_pass_down(f, bytes, len);
        return;
    }
    if (f->scan.head.state == AD_HEAD_LINES &&
        before + len <= AD_FLOW_HEAD_MAX) {
        memcpy(cold->to_down + before, bytes, len);
        f->gathered += (uint32_t)len;
        if (ad_head_between(&f->scan.head)) { /* 100 Continue goes on at once */
            f->to_down_len = f->gathered;
            f->interim_len = f->scan.head.len;
            f->gathered = 0;
            ad_flow_send_down(f);
        }
        return;
    }
    f->head_passed = true;
    head_len = f->scan.head.len - f->interim_len;
    if (f->scan.head.state == AD_HEAD_DONE && f->scan.head.status != 101 &&
        head_len >= before && head_len <= AD_FLOW_HEAD_MAX) {
        memcpy(cold->to_down + before, bytes, head_len - before);
        ad_flow_pass_head(f, head_len, bytes + (head_len - before),
                          len - (head_len - before));
    } else { /* not HTTP as we know it: as it is */
        f->keeps = false;
        f->to_down_len = f->gathered;
        ad_flow_pass_down(f, bytes, len);
    }
}

/* Read from the engine, stamp, scan, pass on. */
static void ad_flow_read_up(struct ad_flow *f)
{
    ssize_t got = recv(f->up, ad_scratch, sizeof(ad_scratch), 0);
    uint64_t now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    uint32_t events;

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        if (got == 0) {
            ad_scan_close(&f->scan);
        }
        if (f->scan.head.state != AD_HEAD_DONE && f->gathered == 0 &&
            !f->head_passed) {
            ad_flow_refuse(f, 502, "upstream_error", "failed",
                           "the engine closed the connection without an "
                           "answer");
        } else if (!f->head_passed) {
            f->to_down_len = f->gathered; /* half a head, as it came */
            ad_flow_send_down(f);
            if (f->state == AD_FLOW_RUN) {
                ad_flow_end(f, "cut");
            }
        } else {
            ad_flow_end(f, ad_scan_complete(&f->scan) ? ad_flow_outcome(f)
                                                      : "cut");
        }
        return;
    }
    f->heard_ms = ad_hub.now_ms;
    if (f->sent_ns == 0) { /* it answers before it has read all */
        f->sent_ns = now_ns;
    }
    events = ad_scan_feed(&f->scan, ad_scratch, (size_t)got);
    ad_flow_relay(f, ad_scratch, (size_t)got);
    if (f->state != AD_FLOW_RUN) {
        return; /* the client left meanwhile, and the counts are told */
    }
    if (events > 0 && f->scan.head.form != AD_FORM_JSON && f->work) {
        ad_flow_ticks(f, events, now_ns);
    } else if (f->scan.has_progress && f->first_ns == 0) {
        ad_flow_tell_progress(f);
    }
    if (ad_scan_complete(&f->scan)) {
        ad_flow_end(f, ad_flow_outcome(f));
        return;
    }
    ad_flow_watch(f);
}

/* -- the request -- */

/* Send the engine what waits for it; then note when the request was whole. */
static void ad_flow_send_up(struct ad_flow *f)
{
    ssize_t n;

    if (f->to_up_len > 0) {
        n = send(f->up, f->to_up + f->to_up_at, f->to_up_len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            f->to_up_len = 0; /* its answer, if any, can still be read */
            f->body.state = AD_BODY_DONE;
        }
        if (n > 0) {
            f->to_up_at += (uint32_t)n;
            f->to_up_len -= (uint32_t)n;
        }
    }
    if (f->to_up_len == 0) {
        f->to_up_at = 0;
        if (f->edit != AD_NO_EDIT) { /* the buffer's work is done */
            ad_edit_used[f->edit] = false;
            f->edit = AD_NO_EDIT;
            f->to_up = ad_flow_cold(f)->to_up;
        }
        if (f->sent_ns == 0 && f->body.state >= AD_BODY_DONE) {
            f->sent_ns = ad_clock_ns(CLOCK_MONOTONIC);
        }
    }
    f->reads_down = f->to_up_len == 0;
}

/* Follow the framing of the request's body. Returns how many of the bytes
 * belong to it: what comes behind its end is not the engine's. */
static uint32_t ad_flow_follow(struct ad_flow *f, const uint8_t *bytes,
                               size_t len)
{
    const uint8_t *data;
    size_t n, used = 0;

    while (used < len && f->body.state < AD_BODY_DONE) {
        used += ad_body_next(&f->body, bytes + used, len - used, &data, &n);
    }
    f->keeps = f->keeps && used == len;
    return (uint32_t)used;
}

static void ad_flow_connect(struct ad_flow *f);

/* What stands in front of the client's own header lines: the request line with
 * the engine's prefix, its Host (RFC 9112 3.2), our key if the client has none.
 * It is put so that it ends at `end`; returns its length. */
static size_t ad_flow_front(const struct ad_flow *f, uint8_t *end)
{
    static char front[AD_FLOW_FRONT];
    const struct ad_upstream *u = &ad_set.upstreams[f->upstream];
    const struct ad_cold_flow *cold = ad_flow_cold(f);
    struct ad_text t = ad_text_in(front, sizeof(front));

    ad_putf(&t, "%s %s%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n",
            cold->method, u->prefix, cold->target, u->authority);
    if (ad_set.upstream_key[0] != '\0' && !f->has_auth) {
        ad_putf(&t, "Authorization: Bearer %s\r\n", ad_set.upstream_key);
    }
    memcpy(end - t.len, t.at, t.len);
    return t.len;
}

/* The body is gathered whole in the edit buffer: put the head in front, with
 * the model that a viewer chose, and go. RFC 9112: a length, no chunks. */
static void ad_flow_edited(struct ad_flow *f)
{
    struct ad_edit_buffer *e = &ad_edits[f->edit];
    struct ad_cold_flow *cold = ad_flow_cold(f);
    char model[AD_MODEL_JSON_MAX + 2], length[48];
    struct ad_text m = ad_text_in(model, sizeof(model));
    struct ad_edit found;
    size_t body_len = f->gathered, head_len = f->head_len;
    uint8_t *at;
    int n;

    f->gathered = 0;
    ad_model_edit(&found, e->body, body_len);
    if (found.name[0] != '\0') {
        memcpy(f->model, found.name, sizeof(f->model));
    }
    if (found.found && ad_hub.overrides) {
        ad_put_string(&m, ad_model_name());
        memmove(e->body + found.from + m.len, e->body + found.from + found.len,
                body_len - found.from - found.len);
        memcpy(e->body + found.from, m.at, m.len);
        body_len = body_len - found.len + m.len;
        memcpy(f->model, ad_model_name(), sizeof(f->model));
    }
    f->upstream = ad_upstream_of(f->model);
    n = snprintf(length, sizeof(length), "Content-Length: %zu\r\n\r\n",
                 body_len);
    at = e->head + sizeof(e->head) - (size_t)n;
    memcpy(at, length, (size_t)n);
    at -= head_len;
    memcpy(at, cold->to_up + AD_FLOW_FRONT, head_len);
    at -= ad_flow_front(f, at);
    f->to_up = at;
    f->to_up_at = 0;
    f->to_up_len = (uint32_t)((size_t)(e->body - at) + body_len);
    ad_flow_connect(f);
}

/* The request's chunks make no sense (RFC 9112 7.1). */
static void ad_flow_malformed(struct ad_flow *f)
{
    if (f->head_passed || f->gathered > 0) {
        ad_flow_end(f, "cut");
    } else {
        ad_flow_refuse(f, 400, "invalid_request_error", "refused",
                       "the request's chunks are malformed");
    }
}

/* A chunked body turned out too long to be edited: it goes on with its own
 * model. What was gathered becomes one chunk together with what is still to
 * come of the chunk at hand (`n` bytes of it are the first of `more`). */
static void ad_flow_ungather(struct ad_flow *f, const uint8_t *more,
                             size_t more_len, size_t n)
{
    struct ad_edit_buffer *e = &ad_edits[f->edit];
    char lines[64];
    int len = snprintf(lines, sizeof(lines),
                       "Transfer-Encoding: chunked\r\n\r\n%llx\r\n",
                       (unsigned long long)(f->gathered + n + f->body.left));
    uint8_t *at = e->head + sizeof(e->head) - (size_t)len;

    ad_log(AIDASH_LOG_WARN, "request %llu: longer than 1 MiB, passed with its "
                            "own model",
           (unsigned long long)f->id);
    memcpy(at, lines, (size_t)len);
    at -= f->head_len;
    memcpy(at, ad_flow_cold(f)->to_up + AD_FLOW_FRONT, f->head_len);
    at -= ad_flow_front(f, at);
    more_len = n + ad_flow_follow(f, more + n, more_len - n);
    memcpy(e->body + f->gathered, more, more_len);
    f->to_up = at;
    f->to_up_at = 0;
    f->to_up_len = (uint32_t)((size_t)(e->body - at) + f->gathered + more_len);
    f->gathered = 0;
    f->reads_down = false; /* the rest waits until this is sent */
    ad_flow_connect(f);
}

/* Gather body bytes for an edit. */
static void ad_flow_gather(struct ad_flow *f, const uint8_t *bytes, size_t len)
{
    struct ad_edit_buffer *e = &ad_edits[f->edit];
    size_t used = 0;

    while (used < len && f->body.state < AD_BODY_DONE) {
        const uint8_t *data = NULL;
        size_t n;

        used += ad_body_next(&f->body, bytes + used, len - used, &data, &n);
        if (n > AD_EDIT_MAX - f->gathered) {
            ad_flow_ungather(f, data, (size_t)(bytes + len - data), n);
            return;
        }
        if (n > 0) {
            memcpy(e->body + f->gathered, data, n);
            f->gathered += (uint32_t)n;
        }
    }
    f->keeps = f->keeps && used == len;
    if (f->body.state == AD_BODY_BAD) {
        f->gathered = 0;
        ad_flow_malformed(f);
    } else if (f->body.state == AD_BODY_DONE) {
        ad_flow_edited(f);
    }
}

/* Read from the client: its body, and afterwards only whether it is there. */
static void ad_flow_read_down(struct ad_flow *f)
{
    bool body = f->body.state < AD_BODY_DONE &&
                (f->state == AD_FLOW_RUN || f->state == AD_FLOW_GATHER);
    size_t cap = f->state == AD_FLOW_RUN ? AD_FLOW_UP_MAX : AD_SCRATCH;
    ssize_t got = recv(f->down, ad_scratch, cap, 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        ad_flow_left(f);
        return;
    }
    ad_hub.count.bytes_received += (uint64_t)got;
    f->moved_ms = ad_hub.now_ms;
    if (!body) { /* another request before the answer: not so */
        f->keeps = false;
        return;
    }
    if (f->state == AD_FLOW_GATHER) {
        ad_flow_gather(f, ad_scratch, (size_t)got);
    } else {
        f->to_up_len = ad_flow_follow(f, ad_scratch, (size_t)got);
        memcpy(f->to_up, ad_scratch, f->to_up_len);
        if (f->body.state == AD_BODY_BAD) {
            ad_flow_malformed(f);
            return;
        }
        ad_flow_send_up(f);
        ad_flow_watch(f);
    }
}

/* Try the engine's addresses in turn. */
static void ad_flow_connect(struct ad_flow *f)
{
    const struct ad_upstream *u = &ad_set.upstreams[f->upstream];
    int on = 1;

    ad_flow_close_up(f);
    f->state = AD_FLOW_CONNECT;
    while (f->address < u->n_addresses) {
        const struct ad_address *a = &u->addresses[f->address++];

        f->up = socket(a->storage.ss_family,
                       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (f->up >= 0 &&
            (connect(f->up, (const struct sockaddr *)&a->storage, a->len) ==
                 0 ||
             errno == EINPROGRESS)) {
            (void)setsockopt(f->up, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            f->heard_ms = ad_hub.now_ms;
            ad_flow_watch(f);
            return;
        }
        ad_flow_close_up(f);
    }
    ad_engine_state(f->upstream, false);
    ad_flow_refuse(f, 502, "upstream_error", "failed",
                   "the engine can't be reached");
}

static void ad_flow_connected(struct ad_flow *f)
{
    int error = 0;
    socklen_t len = sizeof(error);

    (void)getsockopt(f->up, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) {
        ad_flow_connect(f);
        return;
    }
    ad_engine_state(f->upstream, true);
    f->state = AD_FLOW_RUN;
    ad_flow_send_up(f);
    ad_flow_watch(f);
}

/* -- the line -- */

/* Does the request's body have to be read before it goes on? */
static bool ad_flow_wants_edit(const struct ad_flow *f)
{
    return f->work && f->body.state < AD_BODY_DONE &&
           (ad_hub.overrides || ad_set.n_upstreams > 1) &&
           (f->body.state != AD_BODY_LENGTH || f->body.left <= AD_EDIT_MAX);
}

static uint8_t ad_edit_free(void)
{
    uint8_t i = 0;

    while (i < AIDASH_EDITS && ad_edit_used[i]) {
        i++;
    }
    return i < AIDASH_EDITS ? i : AD_NO_EDIT;
}

static bool ad_flow_may_run(const struct ad_flow *f)
{
    return !f->work ||
           (!ad_hub.paused && ad_hub.n_running < ad_set.max_inflight &&
            (!ad_flow_wants_edit(f) || ad_edit_free() != AD_NO_EDIT));
}

/* The flow's turn has come. */
static void ad_flow_run(struct ad_flow *f)
{
    struct ad_cold_flow *cold = ad_flow_cold(f);
    uint8_t *headers = cold->to_up + AD_FLOW_FRONT;
    size_t front;

    ad_hub.n_running += f->work;
    f->to_up = cold->to_up;
    if (ad_flow_wants_edit(f)) {
        f->state = AD_FLOW_GATHER;
        f->edit = ad_edit_free();
        ad_edit_used[f->edit] = true;
        f->reads_down = true;
    } else {
        f->state = AD_FLOW_CONNECT;
    }
    if (f->work) {
        ad_flow_tell_start(f);
    }
    if (f->state == AD_FLOW_GATHER) {
        f->gathered = 0;
        if (f->expects) {
            static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";

            (void)!send(f->down, go, sizeof(go) - 1, MSG_NOSIGNAL);
        }
        ad_flow_gather(f, headers + f->head_len, f->rest_len);
        if (f->state == AD_FLOW_GATHER) {
            ad_flow_watch(f);
        }
        return;
    }
    if (ad_hub.overrides && f->work && f->body.state == AD_BODY_LENGTH) {
        ad_log(AIDASH_LOG_WARN, "request %llu: longer than 1 MiB, passed with "
                                "its own model",
               (unsigned long long)f->id);
    }
    /* The framing lines and the end of the head go between the two parts. */
    memmove(headers + f->head_len + f->framing_len, headers + f->head_len,
            f->rest_len);
    memcpy(headers + f->head_len, f->framing, f->framing_len);
    f->rest_len = ad_flow_follow(f, headers + f->head_len + f->framing_len,
                                 f->rest_len);
    if (f->body.state == AD_BODY_BAD) {
        ad_flow_malformed(f);
        return;
    }
    front = ad_flow_front(f, headers);
    f->to_up_at = (uint32_t)(AD_FLOW_FRONT - front);
    f->to_up_len = (uint32_t)front + f->head_len + f->framing_len + f->rest_len;
    ad_flow_connect(f);
}

/* Let those in line go on, first come first, while there is room. */
static void ad_line_run(void)
{
    while (ad_hub.n_queued > 0 && !ad_hub.paused) {
        struct ad_flow *first = NULL;
        unsigned i;

        for (i = 0; i < AIDASH_FLOWS; i++) {
            if (ad_flows[i].state == AD_FLOW_QUEUED &&
                (first == NULL || ad_flows[i].id < first->id)) {
                first = &ad_flows[i];
            }
        }
        if (first == NULL || !ad_flow_may_run(first)) {
            return;
        }
        ad_hub.n_queued--;
        ad_flow_run(first);
    }
}

/* -- handover -- */

static void ad_proxy_run(struct ad_call *call)
{
    struct ad_proxy *p = (struct ad_proxy *)(void *)call;
    struct ad_flow *f = ad_flows;
    struct ad_cold_flow *cold;
    unsigned i = 0;

    while (i < AIDASH_FLOWS && ad_flows[i].state != AD_FLOW_FREE) {
        i++;
    }
    if (i == AIDASH_FLOWS || ad_hub.draining) {
        p->taken = false;
        ad_hub.requests_refused++;
        return;
    }
    p->taken = true;
    f += i;
    cold = ad_flow_cold(f);
    memset(f, 0, sizeof(*f));
    f->down = p->fd;
    f->up = -1;
    f->edit = AD_NO_EDIT;
    f->id = ++ad_hub.request_id;
    f->start_ns = ad_hub.now_ns;
    f->start_us = ad_hub.now_us;
    f->moved_ms = f->heard_ms = ad_hub.now_ms;
    f->work = p->work;
    f->head = p->head;
    f->body = p->body;
    f->head_len = (uint32_t)p->text.len;
    f->rest_len = (uint32_t)p->rest_len;
    f->framing_len = (uint32_t)strlen(p->framing);
    memcpy(f->framing, p->framing, f->framing_len);
    memcpy(f->route, p->route, sizeof(f->route));
    memcpy(f->client, p->client, sizeof(f->client));
    f->expects = p->expects;
    f->has_auth = p->has_auth;
    f->keeps = p->keeps;
    memcpy(f->model, p->model, sizeof(f->model));
    if (f->model[0] == '\0' && ad_set.n_upstreams == 1 &&
        ad_hub.engines[0].n_models == 1) { /* what else could it be */
        memcpy(f->model, ad_hub.engines[0].models[0], sizeof(f->model));
    }
    memcpy(cold->method, p->method, strlen(p->method) + 1);
    memcpy(cold->target, p->target, strlen(p->target) + 1);
    memcpy(cold->to_up + AD_FLOW_FRONT, p->text.at, p->text.len);
    memcpy(cold->to_up + AD_FLOW_FRONT + p->text.len, p->rest, p->rest_len);
    ad_scan_begin(&f->scan, p->head);
    ad_hub.n_flows++;
    if (ad_flow_may_run(f) && (!f->work || ad_hub.n_queued == 0)) {
        ad_flow_run(f);
    } else if (ad_hub.n_queued < ad_set.queue) {
        f->state = AD_FLOW_QUEUED;
        ad_hub.n_queued++;
        ad_flow_tell_start(f);
        ad_flow_watch(f);
    } else {
        ad_hub.requests_refused++;
        f->state = AD_FLOW_RUN;
        ad_hub.n_running++;
        ad_flow_refuse(f, 503, "overloaded_error", "refused",
                       ad_hub.paused ? "paused, and the line is full"
                                     : "the line is full");
    }
}

/* -- what the poller and the clock tell -- */

static void ad_flow_event(unsigned index, enum ad_tag tag, bool hangup)
{
    struct ad_flow *f = &ad_flows[index];

    if (f->state == AD_FLOW_FREE) {
        return;
    }
    if (tag == AD_TAG_DOWN) {
        if (hangup && f->state != AD_FLOW_ENDING) {
            ad_flow_left(f);
            return;
        }
        if (f->to_down_len > 0 && f->head_passed) {
            ad_flow_send_down(f);
        } else if (f->to_down_len > 0 && f->state == AD_FLOW_ENDING) {
            ad_flow_send_down(f);
        }
        if (f->state != AD_FLOW_FREE && f->reads_down) {
            ad_flow_read_down(f);
        }
        return;
    }
    if (f->up < 0) {
        return;
    }
    if (f->state == AD_FLOW_CONNECT) {
        ad_flow_connected(f);
        return;
    }
    if (f->to_up_len > 0) {
        ad_flow_send_up(f);
        ad_flow_watch(f);
    }
    if (f->state == AD_FLOW_RUN && f->to_down_len == 0) {
        ad_flow_read_up(f);
    }
}

static void ad_flow_tidy(struct ad_flow *f)
{
    uint32_t heard_ms = ad_hub.now_ms - f->heard_ms;
    uint32_t moved_ms = ad_hub.now_ms - f->moved_ms;

    switch (f->state) {
    case AD_FLOW_ENDING:
        if (ad_hub.now_ms - f->ending_ms >=
            (f->to_down_len > 0 ? (uint32_t)AD_STALL_MS
                                : (uint32_t)AD_LINGER_MS)) {
            ad_flow_free(f);
        }
        break;
    case AD_FLOW_QUEUED:
        if (ad_set.queue_timeout_ms > 0 &&
            ad_ms(f->start_ns, ad_hub.now_ns) >= ad_set.queue_timeout_ms) {
            ad_flow_refuse(f, 503, "overloaded_error", "refused",
                           "waited in line for too long");
        }
        break;
    case AD_FLOW_CONNECT:
        if (heard_ms >= AD_CONNECT_MS) {
            ad_flow_connect(f);
        }
        break;
    case AD_FLOW_GATHER:
        if (moved_ms >= AD_SILENCE_MS) {
            ad_flow_refuse(f, 408, "invalid_request_error", "refused",
                           "the body did not arrive");
        }
        break;
    case AD_FLOW_RUN:
        if (f->to_down_len > 0 && moved_ms >= AD_STALL_MS) {
            ad_flow_left(f); /* it does not read */
        } else if (f->head_passed && f->to_down_len == 0 &&
                   ad_set.upstream_timeout_ms > 0 &&
                   heard_ms >= ad_set.upstream_timeout_ms) {
            ad_flow_end(f, "cut");
        }
        break;
    default:
        break;
    }
}

/* End a request by its number. False if there is none such. */
static bool ad_flow_cancel(uint64_t id)
{
    unsigned i;

    for (i = 0; i < AIDASH_FLOWS; i++) {
        struct ad_flow *f = &ad_flows[i];

        if (f->state == AD_FLOW_FREE || f->state == AD_FLOW_ENDING ||
            f->id != id) {
            continue;
        }
        if (f->head_passed || f->gathered > 0) {
            ad_flow_end(f, "cut");
        } else {
            ad_flow_refuse(f, 503, "cancelled", "cut",
                           "cancelled at the dashboard");
        }
        return true;
    }
    return false;
}

/* -- what aidash itself asks the engines: their models, their metrics -- */

/* One question at a time, on the hub's sockets: GET, Connection: close. Nothing
 * here loads a model or wakes a sleeping engine: lists are read, no more. */

enum ad_fetch_what { AD_FETCH_OPENAI, AD_FETCH_OLLAMA, AD_FETCH_LOADED,
                     AD_FETCH_METRICS };

static const char *const ad_fetch_paths[] = {"/v1/models", "/api/tags",
                                             "/api/ps", ""};

static void ad_fetch_watch(unsigned want)
{
    struct ad_fetch *q = &ad_fetch;

    if (q->events != want) {
        (void)ad_poll_set(q->fd, q->events, want, AD_TAG_FETCH, 0);
        q->events = (uint8_t)want;
    }
}

static void ad_fetch_end(void)
{
    ad_fetch_watch(0);
    (void)close(ad_fetch.fd);
    ad_fetch.fd = -1;
}

static const struct ad_upstream *ad_fetch_upstream(void)
{
    return ad_fetch.what == AD_FETCH_METRICS
               ? &ad_set.scrape
               : &ad_set.upstreams[ad_fetch.upstream];
}

static void ad_fetch_connect(void)
{
    const struct ad_upstream *u = ad_fetch_upstream();
    struct ad_fetch *q = &ad_fetch;

    while (q->address < u->n_addresses) {
        const struct ad_address *a = &u->addresses[q->address++];

        q->fd = socket(a->storage.ss_family,
                       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (q->fd >= 0 &&
            (connect(q->fd, (const struct sockaddr *)&a->storage, a->len) ==
                 0 ||
             errno == EINPROGRESS)) {
            q->events = 0;
            q->since_ms = ad_hub.now_ms;
            ad_fetch_watch(AD_OUT);
            return;
        }
        if (q->fd >= 0) {
            (void)close(q->fd);
            q->fd = -1;
        }
    }
    if (q->what != AD_FETCH_METRICS) {
        ad_engine_state(q->upstream, false);
    }
}

static void ad_fetch_begin(enum ad_fetch_what what, unsigned upstream)
{
    struct ad_fetch *q = &ad_fetch;

    memset(q, 0, sizeof(*q));
    q->fd = -1;
    q->what = (uint8_t)what;
    q->upstream = (uint8_t)upstream;
    ad_head_begin(&q->head, false);
    ad_js_begin(&q->js, what == AD_FETCH_OPENAI ? AD_N_OPENAI_LIST
                                                : AD_N_OLLAMA_LIST);
    ad_fetch_connect();
}

/* A model's name or state in the list at hand. */
static void ad_fetch_model(void)
{
    struct ad_fetch *q = &ad_fetch;
    struct ad_engine *e = &ad_hub.engines[q->upstream];
    unsigned i;

    if (q->js.node == AD_N_LIST_STATUS && q->js.what == AD_JS_TEXT) {
        if (q->n_models > 0) {
            q->loaded[q->n_models - 1] = strcmp(q->js.text, "loaded") == 0;
        }
        return;
    }
    if (q->js.node != AD_N_LIST_NAME || q->js.what != AD_JS_TEXT || q->js.cut ||
        !ad_name_ok(q->js.text, strlen(q->js.text), AIDASH_MODEL_MAX)) {
        return;
    }
    if (q->what == AD_FETCH_LOADED) {
        for (i = 0; i < e->n_models; i++) {
            if (strcmp(e->models[i], q->js.text) == 0) {
                q->loaded[i] = true;
            }
        }
    } else if (q->n_models < AIDASH_MODELS) {
        memcpy(q->models[q->n_models], q->js.text, strlen(q->js.text) + 1);
        q->loaded[q->n_models++] = false;
    }
}

/* Take over a list that was read whole: all engines' models are one list. */
static void ad_fetch_models_done(void)
{
    struct ad_fetch *q = &ad_fetch;
    struct ad_engine *e = &ad_hub.engines[q->upstream];
    char active[AIDASH_MODEL_MAX + 1];
    unsigned i, k, before = ad_hub.n_models;
    bool changed = false;

    if (q->what == AD_FETCH_LOADED) {
        changed = memcmp(e->loaded, q->loaded, sizeof(e->loaded)) != 0;
        memcpy(e->loaded, q->loaded, sizeof(e->loaded));
        e->ollama = true;
    } else {
        changed = e->n_models != q->n_models ||
                  memcmp(e->models, q->models, sizeof(e->models)) != 0;
        memcpy(e->models, q->models, sizeof(e->models));
        if (!e->ollama) {
            changed = changed ||
                      memcmp(e->loaded, q->loaded, sizeof(e->loaded)) != 0;
            memcpy(e->loaded, q->loaded, sizeof(e->loaded));
        }
        e->n_models = q->n_models;
    }
    if (!changed) {
        return;
    }
    (void)snprintf(active, sizeof(active), "%s", ad_model_name());
    ad_hub.n_models = 0;
    for (i = 0; i < ad_set.n_upstreams; i++) {
        e = &ad_hub.engines[i];
        for (k = 0; k < e->n_models && ad_hub.n_models < AIDASH_MODELS; k++) {
            if (ad_model_find(e->models[k]) == ad_hub.n_models) {
                ad_hub.loaded[ad_hub.n_models] = e->loaded[k];
                memcpy(ad_hub.models[ad_hub.n_models++], e->models[k],
                       sizeof(e->models[k]));
            }
        }
    }
    if (ad_hub.overrides && ad_model_find(active) == ad_hub.n_models &&
        ad_hub.n_models < AIDASH_MODELS) { /* chosen: it stays in the list */
        ad_hub.loaded[ad_hub.n_models] = false;
        memcpy(ad_hub.models[ad_hub.n_models++], active, sizeof(active));
    }
    k = ad_model_find(active);
    ad_hub.model = k < ad_hub.n_models ? k : 0;
    if (before > 0 || ad_hub.n_models > 0) {
        ad_status_append();
    }
}

/* -- metrics: a Prometheus page, line by line -- */

/* The counters that move while the engine works. llama.cpp's gauges of tokens a
 * second are left alone: they are means since the last scrape by anybody. */
static const struct {
    const char *name;
    unsigned what;
    double scale; /* to milliseconds, for times */
} ad_metrics[] = {
    {"llamacpp:tokens_predicted_total", AD_METRIC_TOKENS, 1},
    {"llamacpp:tokens_predicted_seconds_total", AD_METRIC_TIME, 1000},
    {"vllm:generation_tokens_total", AD_METRIC_TOKENS, 1},
    {"vllm:inter_token_latency_seconds_sum", AD_METRIC_TIME, 1000},
    {"vllm:inter_token_latency_seconds_count", AD_METRIC_STEPS, 1},
    {"vllm:time_per_output_token_seconds_sum", AD_METRIC_TIME, 1000},
    {"vllm:time_per_output_token_seconds_count", AD_METRIC_STEPS, 1},
};

/* One sample line, `name{labels} value`: Prometheus' text format 0.0.4. */
static void ad_metrics_line(const char *s, size_t len)
{
    const char *value = memrchr(s, ' ', len);
    size_t name_len = 0, i;
    jsmntok_t t = {JSMN_PRIMITIVE, 0, 0, 0};

    while (name_len < len && s[name_len] != '{' && s[name_len] != ' ') {
        name_len++;
    }
    for (i = 0; i < AD_COUNT(ad_metrics) && value != NULL; i++) {
        const char *label;

        value = memrchr(s, ' ', len);
        if (strlen(ad_metrics[i].name) != name_len ||
            memcmp(ad_metrics[i].name, s, name_len) != 0 ||
            ad_json_number(value + 1, (size_t)(s + len - value - 1)) !=
                (size_t)(s + len - value - 1)) {
            continue;
        }
        t.start = (int)(value + 1 - s);
        t.end = (int)len;
        ad_fetch.metric[ad_metrics[i].what] +=
            ad_json_double(s, &t) * ad_metrics[i].scale;
        ad_fetch.has_metric[ad_metrics[i].what] = true;
        label = memmem(s, len, "model_name=\"", 12);
        if (label != NULL) {
            size_t n = strcspn(label + 12, "\"");

            if (ad_name_ok(label + 12, n, AIDASH_MODEL_MAX)) {
                memcpy(ad_fetch.metric_model, label + 12, n);
                ad_fetch.metric_model[n] = '\0';
            }
        }
        return;
    }
}

/* What the counters gained since the last page is one tick. */
static void ad_fetch_metrics_done(void)
{
    struct ad_fetch *q = &ad_fetch;
    double *last = ad_hub.metric;
    double tokens = q->metric[AD_METRIC_TOKENS] - last[AD_METRIC_TOKENS];
    double time_ms = q->metric[AD_METRIC_TIME] - last[AD_METRIC_TIME];
    double steps = q->has_metric[AD_METRIC_STEPS]
                       ? q->metric[AD_METRIC_STEPS] - last[AD_METRIC_STEPS]
                       : tokens;
    struct ad_sample sample;

    if (!q->has_metric[AD_METRIC_TOKENS]) {
        if (!ad_hub.scrape_warned) {
            ad_hub.scrape_warned = true;
            ad_log(AIDASH_LOG_WARN, "scrape: no counter of llama-server or "
                                    "vLLM on that page");
        }
        return;
    }
    if (ad_hub.scraped && tokens > 0 && tokens <= (double)AD_TOKENS_LIMIT) {
        memset(&sample, 0, sizeof(sample));
        memcpy(sample.model, q->metric_model, sizeof(sample.model));
        sample.tokens = (uint64_t)tokens;
        sample.has = AD_HAS_TOKENS | AD_IS_METERED;
        if (time_ms > 0 && steps > 0) {
            sample.latency_ms = time_ms / steps;
            sample.has |= AD_HAS_LATENCY;
        }
        ad_tick_apply(&sample, ad_hub.now_ns);
    }
    memcpy(ad_hub.metric, q->metric, sizeof(ad_hub.metric));
    ad_hub.scraped = true;
}

static void ad_fetch_body(const uint8_t *data, size_t len)
{
    struct ad_fetch *q = &ad_fetch;
    size_t used = 0;

    if (q->what != AD_FETCH_METRICS) {
        while (used < len && q->js.state != AD_JS_BAD) {
            used += ad_js_next(&q->js, data + used, len - used);
            ad_fetch_model();
        }
        return;
    }
    while (len > 0) {
        const uint8_t *line;
        size_t n;
        bool ended;

        used = ad_lines_next(&q->lines, q->line, data, len, &line, &n, &ended);
        if (ended && n != SIZE_MAX && n > 0 && line[0] != '#') {
            ad_metrics_line((const char *)line, n);
        }
        data += used;
        len -= used;
    }
}

/* The answer has come whole. */
static void ad_fetch_done(void)
{
    struct ad_fetch *q = &ad_fetch;
    unsigned what = q->what, upstream = q->upstream;
    bool good = q->head.status == 200;

    ad_fetch_end();
    if (what == AD_FETCH_METRICS) {
        if (good) {
            ad_fetch_metrics_done();
        }
        return;
    }
    good = good && ad_js_end(&q->js);
    if (good) {
        ad_fetch_models_done();
    }
    if (what == AD_FETCH_OPENAI && !good) {
        ad_fetch_begin(AD_FETCH_OLLAMA, upstream);
    } else if (what != AD_FETCH_LOADED && good &&
               !ad_hub.engines[upstream].no_ps) {
        ad_fetch_begin(AD_FETCH_LOADED, upstream);
    } else if (what == AD_FETCH_LOADED && !good) {
        ad_hub.engines[upstream].no_ps = true; /* it is no Ollama */
    }
}

/* The next piece of the body (n bytes, may be 0) among bytes of an answer.
 * Returns how many of them it took, all when no body is in them. */
static size_t ad_fetch_next(struct ad_head *head, const uint8_t *in, size_t len,
                            const uint8_t **data, size_t *n)
{
    *n = 0;
    if (head->state == AD_HEAD_LINES) {
        return ad_head_next(head, in, len);
    }
    return head->state == AD_HEAD_DONE && head->body.state < AD_BODY_DONE
               ? ad_body_next(&head->body, in, len, data, n)
               : len;
}

static void ad_fetch_event(void)
{
    struct ad_fetch *q = &ad_fetch;
    const struct ad_upstream *u = ad_fetch_upstream();
    ssize_t got;
    size_t used = 0;

    if (q->fd < 0) {
        return;
    }
    if (!q->sent) {
        char text[AD_EVENT_MAX];
        struct ad_text t = ad_text_in(text, sizeof(text));
        int error = 0;
        socklen_t len = sizeof(error);

        (void)getsockopt(q->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error != 0) {
            ad_fetch_end();
            ad_fetch_connect();
            return;
        }
        ad_putf(&t, "GET %s%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n",
                u->prefix, ad_fetch_paths[q->what], u->authority);
        if (ad_set.upstream_key[0] != '\0' && q->what != AD_FETCH_METRICS) {
            ad_putf(&t, "Authorization: Bearer %s\r\n", ad_set.upstream_key);
        }
        ad_puts(&t, "\r\n");
        (void)!send(q->fd, t.at, t.len, MSG_NOSIGNAL); /* a fresh buffer */
        q->sent = true;
        ad_fetch_watch(AD_IN);
        if (q->what != AD_FETCH_METRICS) {
            ad_engine_state(q->upstream, true);
        }
        return;
    }
    got = recv(q->fd, ad_scratch, sizeof(ad_scratch), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        if (got == 0 && q->head.state == AD_HEAD_DONE && q->head.until_close) {
            ad_fetch_done();
        } else {
            ad_fetch_end();
        }
        return;
    }
    q->since_ms = ad_hub.now_ms;
    while (used < (size_t)got) {
        const uint8_t *data = NULL;
        size_t n;

        used += ad_fetch_next(&q->head, ad_scratch + used, (size_t)got - used,
                              &data, &n);
        if (n > 0) {
            ad_fetch_body(data, n);
        }
    }
    if (q->head.state == AD_HEAD_DONE && q->head.body.state == AD_BODY_DONE) {
        ad_fetch_done();
    } else if (q->head.state == AD_HEAD_BAD ||
               q->head.body.state == AD_BODY_BAD) {
        ad_fetch_end();
    }
}

/* Once a second: the next question, if it is time for one. */
static void ad_fetch_tidy(void)
{
    if (ad_fetch.fd >= 0) {
        if (ad_hub.now_ms - ad_fetch.since_ms >= AD_CONNECT_MS) {
            if (ad_fetch.what != AD_FETCH_METRICS && !ad_fetch.sent) {
                ad_engine_state(ad_fetch.upstream, false);
            }
            ad_fetch_end();
        }
        return;
    }
    if (ad_set.n_upstreams > 0 && ad_hub.fetch_turn++ % AD_FETCH_EVERY <
                                      ad_set.n_upstreams) {
        ad_fetch_begin(AD_FETCH_OPENAI,
                       (ad_hub.fetch_turn - 1) % AD_FETCH_EVERY);
    } else if (ad_set.has_scrape) {
        ad_fetch_begin(AD_FETCH_METRICS, 0);
    }
}

#endif /* AIDASH_METER */

/* ==== 10 LOOP ============================================================ */

/* The hub's other half: what viewers and feeders say, the door, and the loop
 * that runs it all. */

/* -- commands -- */

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

/* Is the command for something that is there? Returns NULL, or the error's code
 * with its sentence in *why. */
static const char *ad_command_fault(const struct ad_request *request,
                                    const char **why)
{
    bool meter = ad_set.source == AD_SOURCE_METER;
    bool names = request->action == AIDASH_SWITCH_MODEL;

    if (names && request->model[0] == '\0') {
        *why = "\"model\" must not be empty without the meter (--upstream)";
        return meter ? NULL : "invalid_command";
    }
    if (names && ad_model_find(request->model) == ad_hub.n_models) {
        *why = "the model is not in the list that hello and status give";
        return "unknown_model";
    }
    if (request->action >= AIDASH_DRAIN && !meter) {
        *why = "only the meter (--upstream) has requests to drain or cancel";
        return "unknown_action";
    }
    return NULL;
}

/* Let an accepted command take effect. Returns false if there is nothing to
 * act on. */
static bool ad_command_effect(const struct ad_request *request)
{
    bool paused = request->action == AIDASH_PAUSE ||
                  request->action == AIDASH_DRAIN;
    unsigned model = ad_model_find(request->model);

    switch (request->action) {
    case AIDASH_SWITCH_MODEL:
#if AIDASH_METER
        if (ad_set.source == AD_SOURCE_METER) {
            bool overrides = request->model[0] != '\0';

            if (overrides == ad_hub.overrides &&
                (!overrides || model == ad_hub.model)) {
                return true;
            }
            ad_hub.overrides = overrides;
            ad_hub.model = overrides ? model : ad_hub.model;
            ad_status_append();
            return true;
        }
#endif
        if (model != ad_hub.model) {
            ad_hub.model = model;
            ad_status_append();
        }
        return true;
#if AIDASH_METER
    case AIDASH_CANCEL:
        return ad_flow_cancel(request->request);
    case AIDASH_DRAIN:
        ad_hub.drains = ad_hub.n_running > 0;
#endif
        /* fall through */
    default:
        if (paused != ad_hub.paused) {
            ad_hub.paused = paused;
            ad_status_append();
        }
        return true;
    }
}

/* Carry out a command and write its ack or error to *t. Returns the status that
 * POST /command answers: 200, 400, or 409 when it was refused. */
static int ad_command(const uint8_t *text, size_t len, const char *client_id,
                      struct ad_text *t)
{
    struct ad_request request;
    struct aidash_command command;
    const char *why;
    const char *code = ad_request_parse((const char *)text, len, &request,
                                        &why);

    ad_hub.count.commands++;
    if (code == NULL) {
        code = ad_command_fault(&request, &why);
    }
    if (code == NULL && ad_set.config.on_command != NULL) {
        command.action = request.action;
        command.model = request.model;
        command.request = request.request;
        command.client_id = client_id;
        if (ad_set.config.on_command(&command, ad_set.config.user) != 0) {
            code = "refused";
            why = "the engine refused the command";
        }
    }
    if (code == NULL && !ad_command_effect(&request)) {
        code = "refused";
        why = "there is no such request now";
    }
    if (code != NULL) {
        ad_hub.count.command_errors++;
        ad_put_error(t, code, why, request.id);
        return strcmp(code, "refused") == 0 ? 409 : 400;
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

/* -- clients: WebSocket in -- */

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

/* -- clients: HTTP bodies in -- */

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

/* -- clients: what the poller tells -- */

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
            ad_reply_frame(9, "", 0);
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

/* -- handover: a worker's connection becomes a client -- */

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

/* -- the door: from accept() to a whole request head -- */

/* Section 14: put a socket into civetweb's queue. Does not wait as long as no
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
    ad_put_head(&t, status, "application/json", j.len,
                status == 503 ? "Retry-After: 5\r\n" : "");
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
        ad_pending_refuse(p, 431, "the request head is too long");
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

/* Put a connection into a place at the door. */
static bool ad_pending_begin(struct ad_pending *p, int fd)
{
    if (!ad_poll_set(fd, 0, AD_IN, AD_TAG_PENDING, (unsigned)(p - ad_pending))) {
        return false;
    }
    p->fd = fd;
    p->used = true;
    p->ready = p->kept = false;
    p->since_ms = ad_hub.now_ms;
    p->address = ad_address_key(&p->peer);
    ad_hub.n_pending++;
    return true;
}

#if AIDASH_METER
static bool ad_door_keep(int fd)
{
    struct ad_pending *p = ad_hub.draining ? NULL : ad_pending_place();
    socklen_t len = sizeof(p->peer);

    if (p == NULL || getpeername(fd, (struct sockaddr *)&p->peer, &len) != 0 ||
        !ad_pending_begin(p, fd)) {
        return false;
    }
    p->kept = true;
    return true;
}
#endif

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
        if (!ad_pending_begin(p, fd)) {
            ad_hub.refused++;
            (void)close(fd);
            continue;
        }
        ad_socket_tune(fd);
        ad_hub.count.accepted++;
        if (ad_set.per_address != 0 &&
            ad_address_count(p->address) > ad_set.per_address) {
            ad_pending_refuse(p, 503, "too many connections from this address");
        } else {
            ad_pending_event((unsigned)(p - ad_pending));
        }
    }
}

/* -- the loop -- */

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
            if (p->kept && recv(p->fd, ad_scratch, 1, MSG_PEEK) < 0) {
                ad_pending_drop(p);
            } else {
                ad_pending_refuse(p, 408, "the request head did not arrive");
            }
        }
    }
#if AIDASH_METER
    for (i = 0; i < AIDASH_FLOWS && ad_hub.n_flows > 0; i++) {
        if (ad_flows[i].state != AD_FLOW_FREE) {
            ad_flow_tidy(&ad_flows[i]);
        }
    }
    ad_fetch_tidy();
#endif
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
#if AIDASH_METER
    case AD_TAG_DOWN:
    case AD_TAG_UP:
        ad_flow_event(ready->index, ready->tag, ready->hangup);
        break;
    case AD_TAG_FETCH:
        ad_fetch_event();
        break;
#else
    case AD_TAG_DOWN:
    case AD_TAG_UP:
    case AD_TAG_FETCH:
#endif
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
#if AIDASH_METER
    ad_line_run();
#endif
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
#if AIDASH_METER
    for (i = 0; i < AIDASH_FLOWS; i++) {
        if (ad_flows[i].state != AD_FLOW_FREE) {
            ad_flow_free(&ad_flows[i]);
        }
    }
    if (ad_fetch.fd >= 0) {
        ad_fetch_end();
    }
#endif
    return unused;
}

/* ==== 11 HTTP ============================================================ */

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

/* Section 14: take the socket out of civetweb's hands. `rest` is what came
 * behind the request head. */
static int ad_civetweb_take(struct mg_connection *conn, uint8_t **rest,
                            size_t *rest_len);
#if AIDASH_METER
static void ad_civetweb_give(struct mg_connection *conn, int fd);
#endif
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
#if AIDASH_METER
    {"records", AIDASH_RECORDS, sizeof(ad_records)},
    {"flows", AIDASH_FLOWS, sizeof(ad_flows)},
    {"flow_buffers", AIDASH_FLOWS, sizeof(ad_cold_flows)},
    {"edits", AIDASH_EDITS, sizeof(ad_edits) + sizeof(ad_edit_used)},
    {"fetch", 1, sizeof(ad_fetch)},
#endif
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

/* A number of 0..max in the query. Returns 1 if it is there, 0 if not, -1 if it
 * is malformed. */
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
        {"requests", n->requests},
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
#if AIDASH_METER
    ad_putf(t,
            "},\"requests\":{\"running\":%u,\"queued\":%u,\"refused\":%llu,"
            "\"max_inflight\":%u,\"queue\":%u",
            ad_hub.n_running, ad_hub.n_queued,
            (unsigned long long)ad_hub.requests_refused, ad_set.max_inflight,
            ad_set.queue);
#endif
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

#if AIDASH_METER

/* The requests under way, then the records kept, one a call: all at once would
 * be more than a worker's stack wants. */
struct ad_requests_call {
    struct ad_call call;
    unsigned flow;          /* the next to look at */
    uint64_t record, last;  /* the next; so many of the newest */
    struct ad_text text;    /* "": there is none */
};

static void ad_running_next(struct ad_call *call)
{
    struct ad_requests_call *r = (struct ad_requests_call *)(void *)call;

    r->text.len = 0;
    while (r->flow < AIDASH_FLOWS && r->text.len == 0) {
        const struct ad_flow *f = &ad_flows[r->flow++];

        if (f->work && f->state != AD_FLOW_FREE && f->state != AD_FLOW_ENDING) {
            ad_put_running(&r->text, f);
        }
    }
}

static void ad_record_next(struct ad_call *call)
{
    struct ad_requests_call *r = (struct ad_requests_call *)(void *)call;
    uint64_t n = ad_hub.count.requests;
    uint64_t oldest = n > r->last ? n - r->last : 0;

    r->text.len = 0;
    r->record = r->record < oldest ? oldest : r->record;
    if (r->record < n) {
        const struct ad_record *kept = &ad_records[r->record % AIDASH_RECORDS];

        ad_put(&r->text, kept->json, kept->len);
        r->record++;
    }
}

static int ad_get_requests(struct mg_connection *conn)
{
    char json[AD_RECORD_MAX], head[AD_CORS_MAX + AD_REPLY_MAX];
    char cors[AD_CORS_MAX];
    struct ad_text t = ad_text_in(head, sizeof(head));
    struct ad_requests_call r = {.last = AIDASH_RECORDS};
    unsigned list;

    if (ad_query_u64(conn, "last", AIDASH_RECORDS, &r.last) < 0) {
        char why[64];

        (void)snprintf(why, sizeof(why), "last is a whole number from 0 to %d",
                       AIDASH_RECORDS);
        return ad_respond_error(conn, 400, "", why);
    }
    ad_cors_lines(conn, cors);
    ad_put_head(&t, 200, "application/json", SIZE_MAX, cors);
    (void)mg_write(conn, t.at, t.len);
    if (ad_is_method(conn, "HEAD")) {
        return 200;
    }
    for (list = 0; list < 2; list++) {
        const char *before = list == 0 ? "{\"running\":[" : "],\"requests\":[";

        r.call.run = list == 0 ? ad_running_next : ad_record_next;
        for (;; before = ",") {
            r.text = ad_text_in(json, sizeof(json));
            ad_hub_run(&r.call);
            if (r.text.len == 0) {
                break;
            }
            (void)mg_write(conn, before, strlen(before));
            (void)mg_write(conn, json, r.text.len);
        }
        if (before[0] != ',') {
            (void)mg_write(conn, before, strlen(before));
        }
    }
    (void)mg_write(conn, "]}", 2);
    return 200;
}

#endif

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
#if AIDASH_METER
    {"/requests", "GET, HEAD, OPTIONS", ad_get_requests, NULL},
#endif
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

#if AIDASH_METER

/* Header lines that are about the client's connection, or that the proxy writes
 * itself. RFC 9110 7.6.1; `named` is the value of Connection. */
static bool ad_header_hop(const char *name, const char *named)
{
    static const char *const hops[] = {
        "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Upgrade",
        "Proxy-Authorization", "Host", "Content-Length", "Transfer-Encoding"};
    size_t i;

    for (i = 0; i < AD_COUNT(hops); i++) {
        if (strcasecmp(name, hops[i]) == 0) {
            return true;
        }
    }
    return ad_header_has(named, name);
}

/* The model that a small request asks for, if all of it came with the head. */
static void ad_forward_model(struct ad_proxy *p)
{
    struct ad_edit found;

    if (p->body.state == AD_BODY_LENGTH && p->body.left == p->rest_len) {
        ad_model_edit(&found, p->rest, p->rest_len);
        memcpy(p->model, found.name, sizeof(p->model));
    }
}

static int ad_forward_error(struct mg_connection *conn, int status,
                            const char *type, const char *why)
{
    const char *path = mg_get_request_info(conn)->local_uri_raw;
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    ad_put_api_error(&t, strncmp(path, "/api/", 5) == 0, status, type, why);
    return ad_respond(conn, status, "application/json",
                      status == 503 ? "Retry-After: 5\r\n" : "", t.at, t.len);
}

/* Whatever is not ours goes to the engine. */
static int ad_forward(struct mg_connection *conn)
{
    const struct mg_request_info *info = mg_get_request_info(conn);
    const char *named = mg_get_header(conn, "Connection");
    const char *encoding = mg_get_header(conn, "Transfer-Encoding");
    const char *length = mg_get_header(conn, "Content-Length");
    char head[AD_HEAD_MAX], target[AD_HEAD_MAX], framing[64];
    struct ad_proxy p;
    uint8_t *rest;
    size_t k;
    int i, lengths = 0;

    memset(&p, 0, sizeof(p));
    p.text = ad_text_in(head, sizeof(head));
    p.method = info->request_method;
    p.target = target;
    p.framing = framing;
    p.body.state = AD_BODY_DONE;
    p.head = ad_is_method(conn, "HEAD");
    p.expects = ad_header_has(mg_get_header(conn, "Expect"), "100-continue");
    p.has_auth = mg_get_header(conn, "Authorization") != NULL;
    p.keeps = strcmp(info->http_version, "1.1") == 0 &&
              !ad_header_has(named, "close");
    (void)snprintf(framing, sizeof(framing), "\r\n");
    for (i = 0; i < info->num_headers; i++) {
        const char *name = info->http_headers[i].name;

        lengths += strcasecmp(name, "Content-Length") == 0 ||
                   strcasecmp(name, "Transfer-Encoding") == 0;
        if (!ad_header_hop(name, named)) {
            ad_putf(&p.text, "%s: %s\r\n", name, info->http_headers[i].value);
        }
    }
    if (lengths > 1 ||
        (encoding != NULL && strcasecmp(encoding, "chunked") != 0)) {
        return ad_forward_error(conn, 400, "invalid_request_error",
                                "the body must be chunked, or have one "
                                "Content-Length, and not both");
    }
    if (encoding != NULL) {
        p.body.state = AD_BODY_CHUNK_SIZE;
        (void)snprintf(framing, sizeof(framing),
                       "Transfer-Encoding: chunked\r\n\r\n");
    } else if (length != NULL) {
        if (strlen(length) > 18 || length[0] == '\0' ||
            strspn(length, "0123456789") != strlen(length)) {
            return ad_forward_error(conn, 400, "invalid_request_error",
                                    "Content-Length is not a number");
        }
        p.body.left = strtoull(length, NULL, 10);
        p.body.state = p.body.left > 0 ? AD_BODY_LENGTH : AD_BODY_DONE;
        (void)snprintf(framing, sizeof(framing), "Content-Length: %s\r\n\r\n",
                       length);
    }
    p.work = p.body.state != AD_BODY_DONE;
    if (p.text.full || strlen(p.method) >= 32 ||
        (size_t)snprintf(target, sizeof(target), "%s%s%s", info->local_uri_raw,
                         info->query_string != NULL ? "?" : "",
                         info->query_string != NULL ? info->query_string
                                                    : "") >= sizeof(target)) {
        return ad_forward_error(conn, 431, "invalid_request_error",
                                "the request head is too long");
    }
    (void)snprintf(p.route, sizeof(p.route), "%s", info->local_uri_raw);
    for (k = 0; p.route[k] != '\0'; k++) { /* shown to viewers: plain ASCII */
        p.route[k] = (unsigned char)p.route[k] < 0x7F ? p.route[k] : '?';
    }
    (void)snprintf(p.client, sizeof(p.client), "%s", info->remote_addr);
    p.fd = ad_civetweb_take(conn, &rest, &p.rest_len);
    p.rest = rest;
    if (p.rest_len > AD_FLOW_UP_MAX) {
        p.rest_len = AD_FLOW_UP_MAX; /* civetweb's buffer is no larger */
    }
    ad_forward_model(&p);
    p.call.run = ad_proxy_run;
    ad_hub_run(&p.call);
    if (!p.taken) {
        ad_civetweb_give(conn, p.fd);
        return ad_forward_error(conn, 503, "overloaded_error",
                                "too many requests at once");
    }
    return 200;
}

#endif /* AIDASH_METER */

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
#if AIDASH_METER
    if (asset == NULL && ad_set.n_upstreams > 0 && path[0] == '/') {
        return ad_forward(conn);
    }
#endif
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

/* ==== 12 API ============================================================= */

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

/* How others on the network may call this machine. */
struct ad_lan {
    char host[256]; /* as a URL has it */
    char by[24];    /* the interface, or "mDNS" */
};
enum { AD_LAN_MAX = 8 };

/* Interfaces of this name are for containers and virtual machines here. */
static bool ad_lan_virtual(const char *name)
{
    static const char *const kinds[] = {"docker", "br-", "veth", "virbr",
                                        "cni", "flannel", "lxc"};
    size_t i = 0;

    while (i < AD_COUNT(kinds) &&
           strncmp(name, kinds[i], strlen(kinds[i])) != 0) {
        i++;
    }
    return i < AD_COUNT(kinds);
}

/* The addresses of one family. Returns how many there are in `out` then. */
static unsigned ad_lan_family(struct ad_lan out[AD_LAN_MAX], unsigned n,
                              int family)
{
    struct ifaddrs *all = NULL, *at;

    if (getifaddrs(&all) != 0) {
        return n;
    }
    for (at = all; at != NULL && n < AD_LAN_MAX; at = at->ifa_next) {
        const struct sockaddr *a = at->ifa_addr;
        char text[INET6_ADDRSTRLEN];
        const void *bytes;

        if (a == NULL || a->sa_family != family ||
            (at->ifa_flags & IFF_LOOPBACK) != 0 ||
            (at->ifa_flags & IFF_UP) == 0 || ad_lan_virtual(at->ifa_name)) {
            continue;
        }
        bytes = family == AF_INET
                    ? (const void *)&((const struct sockaddr_in *)(const void *)a)
                          ->sin_addr
                    : &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
        if ((family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(
                                       (const struct in6_addr *)bytes)) ||
            inet_ntop(family, bytes, text, sizeof(text)) == NULL) {
            continue;
        }
        (void)snprintf(out[n].host, sizeof(out[n].host),
                       family == AF_INET6 ? "[%s]" : "%s", text);
        (void)snprintf(out[n++].by, sizeof(out[0].by), "%.20s", at->ifa_name);
    }
    freeifaddrs(all);
    return n;
}

/* Names and addresses for people on the LAN: the one that mDNS publishes, where
 * Avahi runs, then IPv4, and IPv6 where there is nothing else. */
static unsigned ad_lan_list(struct ad_lan out[AD_LAN_MAX])
{
    unsigned named = 0, n;
    char name[200];

    if (access("/run/avahi-daemon/socket", F_OK) == 0 &&
        gethostname(name, sizeof(name)) == 0) {
        name[sizeof(name) - 1] = '\0';
        (void)snprintf(out[0].host, sizeof(out[0].host), "%.*s.local",
                       (int)strcspn(name, "."), name);
        (void)snprintf(out[0].by, sizeof(out[0].by), "mDNS");
        named = 1;
    }
    n = ad_lan_family(out, named, AF_INET);
    return n > named ? n : ad_lan_family(out, n, AF_INET6);
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

#if AIDASH_METER

/* http://HOST[:PORT][/PREFIX] into its parts and addresses. Returns NULL, or
 * what is wrong. Asks the resolver, so it may take its time. */
static const char *ad_url_parse(const char *url, size_t len,
                                struct ad_upstream *u)
{
    char host[256], port[8] = "80";
    const char *at = url + 7, *end = url + len, *slash, *colon;
    struct addrinfo hints, *list, *a;
    size_t host_len;

    if (len >= 8 && strncasecmp(url, "https://", 8) == 0) {
        return "https is not spoken; put nginx or stunnel in between";
    }
    if (len < 8 || strncasecmp(url, "http://", 7) != 0) {
        return "it must begin with http://";
    }
    slash = memchr(at, '/', (size_t)(end - at));
    slash = slash != NULL ? slash : end;
    while (end > slash && end[-1] == '/') {
        end--;
    }
    if ((size_t)(end - slash) >= sizeof(u->prefix) ||
        (size_t)(slash - at) >= sizeof(host)) {
        return "it is too long";
    }
    memcpy(u->prefix, slash, (size_t)(end - slash));
    (void)snprintf(u->authority, sizeof(u->authority), "%.*s",
                   (int)(slash - at), at);
    colon = memrchr(at, ':', (size_t)(slash - at));
    if (colon != NULL && memchr(colon, ']', (size_t)(slash - colon)) == NULL) {
        if ((size_t)(slash - colon) - 1 >= sizeof(port) - 1) {
            return "the port is no number";
        }
        (void)snprintf(port, sizeof(port), "%.*s", (int)(slash - colon - 1),
                       colon + 1);
    } else {
        colon = slash;
    }
    if (port[0] == '\0' || strspn(port, "0123456789") != strlen(port) ||
        strtoul(port, NULL, 10) < 1 || strtoul(port, NULL, 10) > 65535) {
        return "the port is no number";
    }
    if (colon > at && *at == '[' && colon[-1] == ']') {
        at++;
        colon--;
    }
    host_len = (size_t)(colon - at);
    if (host_len == 0) {
        return "it has no host";
    }
    memcpy(host, at, host_len);
    host[host_len] = '\0';
    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host, port, &hints, &list) != 0) {
        return "its host can't be resolved";
    }
    for (a = list; a != NULL && u->n_addresses < AD_COUNT(u->addresses);
         a = a->ai_next) {
        memcpy(&u->addresses[u->n_addresses].storage, a->ai_addr,
               a->ai_addrlen);
        u->addresses[u->n_addresses++].len = a->ai_addrlen;
    }
    freeaddrinfo(list);
    return NULL;
}

static int ad_configure_upstreams(const char *list)
{
    const char *item, *why;
    size_t len;

    while (ad_list_next(&list, &item, &len)) {
        struct ad_upstream *u = &ad_set.upstreams[ad_set.n_upstreams];
        const char *equals = memchr(item, '=', len);
        const char *colon = memchr(item, ':', len);

        if (ad_set.n_upstreams == AIDASH_UPSTREAMS) {
            return ad_fail(AIDASH_EINVAL, "upstream: more than %d engines",
                           AIDASH_UPSTREAMS);
        }
        if (equals != NULL && (colon == NULL || equals < colon)) {
            if (!ad_name_ok(item, (size_t)(equals - item), AIDASH_NODE_MAX)) {
                return ad_fail(AIDASH_EINVAL,
                               "upstream: a name must be 1 to %d bytes",
                               AIDASH_NODE_MAX);
            }
            memcpy(u->name, item, (size_t)(equals - item));
            len -= (size_t)(equals + 1 - item);
            item = equals + 1;
        }
        why = ad_url_parse(item, len, u);
        if (why != NULL) {
            return ad_fail(AIDASH_EINVAL, "upstream: '%.*s': %s",
                           (int)(len < 100 ? len : 100), item, why);
        }
        ad_set.n_upstreams++;
    }
    return 0;
}

/* The bearer token (RFC 6750 2.1) is the file's first line. */
static int ad_configure_key(const char *path)
{
    FILE *f = fopen(path, "r");
    size_t n;
    bool got;

    if (f == NULL) {
        return ad_fail(AIDASH_EINVAL, "upstream-key-file: can't read %.100s: %s",
                       path, strerror(errno));
    }
    got = fgets(ad_set.upstream_key, (int)sizeof(ad_set.upstream_key), f) !=
          NULL;
    (void)fclose(f);
    n = strcspn(ad_set.upstream_key, "\r\n");
    ad_set.upstream_key[n] = '\0';
    if (!got || n == 0 || n + 1 >= sizeof(ad_set.upstream_key) ||
        strspn(ad_set.upstream_key,
               "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
               "0123456789-._~+/=") != n) {
        return ad_fail(AIDASH_EINVAL,
                       "upstream-key-file: %.100s has no key of 1 to 254 "
                       "characters in its first line",
                       path);
    }
    return 0;
}

static int ad_configure_meter(const struct aidash_config *config)
{
    const char *why;
    int rc = ad_configure_upstreams(config->upstream);

    if (rc == 0 && config->upstream_key_file != NULL) {
        rc = ad_configure_key(config->upstream_key_file);
    }
    if (rc == 0 && config->scrape != NULL) {
        why = ad_url_parse(config->scrape, strlen(config->scrape),
                           &ad_set.scrape);
        if (why != NULL) {
            return ad_fail(AIDASH_EINVAL, "scrape: '%.100s': %s",
                           config->scrape, why);
        }
        ad_set.has_scrape = true;
    }
    ad_set.max_inflight = config->max_inflight;
    if (ad_set.max_inflight == 0) {
        ad_set.max_inflight = AIDASH_FLOWS < 16 ? AIDASH_FLOWS : 16;
    }
    ad_set.queue = config->queue > 0 ? (unsigned)config->queue : 0;
    if (config->queue == 0) {
        ad_set.queue = AIDASH_FLOWS < 64 ? AIDASH_FLOWS : 64;
    }
    if (ad_set.max_inflight > AIDASH_FLOWS || ad_set.queue > AIDASH_FLOWS) {
        return ad_fail(AIDASH_EINVAL,
                       "max-inflight: it and queue must be at most %d",
                       AIDASH_FLOWS);
    }
    if (config->queue_timeout_s < 0 || config->upstream_timeout_s < 0) {
        return ad_fail(AIDASH_EINVAL, "queue-timeout: must not be negative");
    }
    ad_set.queue_timeout_ms =
        (config->queue_timeout_s > 0 ? config->queue_timeout_s : 600) * 1000;
    ad_set.upstream_timeout_ms =
        (config->upstream_timeout_s > 0 ? config->upstream_timeout_s : 600) *
        1000;
    if (rc == 0 && ad_set.n_upstreams > 0) {
        if (ad_set.source != AD_SOURCE_NONE) {
            return ad_fail(AIDASH_EINVAL, "upstream: the meter is a source of "
                                          "its own; leave source out");
        }
        ad_set.source = AD_SOURCE_METER;
    }
    return rc;
}

#endif /* AIDASH_METER */

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
#if AIDASH_METER
    rc = ad_configure_meter(config);
    if (rc != 0) {
        return rc;
    }
    ad_fetch.fd = -1;
#endif
    ad_set.learn_models = models == NULL && ad_set.source != AD_SOURCE_METER;
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
    unsigned i, port = 0;
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

/* Section 14: civetweb with its workers; its listeners are the hub's. */
static struct mg_context *ad_civetweb_start(void);
static void ad_civetweb_stop(struct mg_context *ctx);

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
    ad_hub.tidy_ns = ad_hub.now_ns; /* at once: the engines are asked */
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
        ad_civetweb_stop(ad_hub.civetweb);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        goto close_sockets;
    }
    for (i = 0; i < ad_hub.n_listeners; i++) {
        size_t host = ad_spec_host(ad_set.listen[i]);
        struct ad_lan lan[AD_LAN_MAX];
        unsigned k, n_lan = host > 0 ? 0 : ad_lan_list(lan);

        ad_log(AIDASH_LOG_INFO, "listening on http://%.*s:%u%s",
               host > 0 ? (int)host : 9,
               host > 0 ? ad_set.listen[i] : "localhost", ad_hub.ports[i],
               host > 0 ? "" : " (all interfaces)");
        for (k = 0; k < n_lan; k++) {
            ad_log(AIDASH_LOG_INFO, "on the LAN: http://%s:%u (%s)",
                   lan[k].host, ad_hub.ports[i], lan[k].by);
        }
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
    ad_civetweb_stop(ad_hub.civetweb); /* its workers may still ask the hub */
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
    sample.surplus = 0;
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

/* ==== 13 MAIN ============================================================ */

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
#if AIDASH_METER
    {"upstream", "[NAME=]URL", "meter an engine: pass requests on to it; may be "
     "repeated, chosen by model", AD_OPT_LIST},
    {"upstream-key-file", "FILE", "its bearer token, for clients without one",
     AD_OPT_TEXT},
    {"upstream-timeout", "S", "longest silence inside an answer (default 600)",
     AD_OPT_NUMBER},
    {"max-inflight", "N", "requests at the engine at once (default 16)",
     AD_OPT_NUMBER},
    {"queue", "N", "requests in line at most (default 64)", AD_OPT_NUMBER},
    {"queue-timeout", "S", "longest wait in line (default 600)", AD_OPT_NUMBER},
    {"scrape", "URL", "read an engine's Prometheus page once a second instead",
     AD_OPT_TEXT},
#endif
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

/* One option; `written` is its name as its place writes it. The options of one
 * place override those of a lighter one as a whole, so a list begins anew with
 * each place: `fresh` is what this one has set. */
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
                      ad_option_written(name), text, whole ? "whole " : "", low,
                      high);
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
#if AIDASH_METER
    if (text == NULL && (ad_option_value("upstream") != NULL ||
                         ad_option_value("scrape") != NULL)) {
        *source = "none";
    }
#endif
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
           "usage: aidash [options]\n"
#if AIDASH_METER
           "       aidash doctor [options]    look for engines, ports and "
           "addresses, and say what\n"
           "                                  to type next\n"
#endif
           "\n");
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
           "option,\n            3 an address can't be bound; of the doctor: "
           "0 an engine is there, 1 none\n");
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

/* " by NAME (process PID)" of the program that has the port of [ADDR:]PORT, or
 * "" if we may not see it. */
static void ad_port_holder(const char *spec, char *out, size_t cap)
{
    const char *colon = strrchr(spec, ':');
    unsigned port = (unsigned)strtoul(colon != NULL ? colon + 1 : spec, NULL,
                                      10);
    unsigned long inode = ad_port_inode("/proc/net/tcp", port);
    char socket_name[64], path[300], name[64] = "";
    struct dirent *entry;
    DIR *dir = opendir("/proc");

    out[0] = '\0';
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
            (void)snprintf(out, cap, " by %s (process %.20s)", ad_trim(name),
                           entry->d_name);
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

static void ad_port_holder(const char *spec, char *out, size_t cap)
{
    (void)spec;
    (void)cap;
    out[0] = '\0';
}

#endif

/* What is wrong with an option begins with the option's name in the library;
 * here it is shown as the user wrote it. */
static void ad_print_failure(int code)
{
    const char *why = aidash_last_error();
    size_t len = strcspn(why, ":");
    char name[32], holder[128] = "";
    int i = -1;

    if (code == AIDASH_EINVAL && len < sizeof(name)) {
        (void)snprintf(name, sizeof(name), "%.*s", (int)len, why);
        i = ad_option_find(name);
    }
    if (code == AIDASH_EBIND && ad_hub.n_listeners < ad_set.n_listen) {
        ad_port_holder(ad_set.listen[ad_hub.n_listeners], holder,
                       sizeof(holder));
    }
    (void)fprintf(stderr, "aidash: %s%s%s\n",
                  i >= 0 && ad_given[i].set ? ad_given[i].name : "",
                  i >= 0 && ad_given[i].set ? why + len : why, holder);
}

#if AIDASH_METER

/* What answered. */
struct ad_found {
    unsigned status; /* 0: nothing that speaks HTTP is there */
    bool list;       /* the answer is JSON, and whole */
    unsigned n_models;
    char model[AIDASH_MODEL_MAX + 1]; /* the first */
    char owner[AIDASH_MODEL_MAX + 1]; /* as the list of models names it */
};

static int ad_doctor_connect(const struct ad_upstream *u)
{
    const struct timeval patience = {1, 0};
    unsigned i;

    for (i = 0; i < u->n_addresses; i++) {
        const struct ad_address *a = &u->addresses[i];
        int fd = socket(a->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
                         sizeof(patience));
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
                         sizeof(patience));
        if (connect(fd, (const struct sockaddr *)&a->storage, a->len) == 0) {
            return fd;
        }
        (void)close(fd);
    }
    return -1;
}

/* A piece of a list of models. */
static void ad_doctor_list(struct ad_found *found, struct ad_js *js,
                           const uint8_t *data, size_t len)
{
    size_t at = 0;

    while (at < len && js->state != AD_JS_BAD) {
        at += ad_js_next(js, data + at, len - at);
        if (js->what != AD_JS_TEXT || js->cut) {
            continue;
        }
        if (js->node == AD_N_LIST_OWNER) {
            memcpy(found->owner, js->text, strlen(js->text) + 1);
        } else if (js->node == AD_N_LIST_NAME && found->n_models++ == 0 &&
                   ad_name_ok(js->text, strlen(js->text), AIDASH_MODEL_MAX)) {
            memcpy(found->model, js->text, strlen(js->text) + 1);
        }
    }
}

/* Ask for a path, and read the answer as a list of models. */
static void ad_doctor_ask(const struct ad_upstream *u, const char *path,
                          struct ad_found *found)
{
    char ask[1024];
    struct ad_text t = ad_text_in(ask, sizeof(ask));
    struct ad_head head;
    struct ad_js js;
    int reads, fd = ad_doctor_connect(u);

    memset(found, 0, sizeof(*found));
    ad_head_begin(&head, false);
    ad_js_begin(&js, AD_N_OPENAI_LIST);
    ad_putf(&t, "GET %s%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s%s%s"
                "\r\n", u->prefix, path, u->authority,
            ad_set.upstream_key[0] != '\0' ? "Authorization: Bearer " : "",
            ad_set.upstream_key, ad_set.upstream_key[0] != '\0' ? "\r\n" : "");
    (void)!send(fd, t.at, t.len, MSG_NOSIGNAL);
    for (reads = 0; reads < 100 && head.body.state < AD_BODY_DONE; reads++) {
        ssize_t got = recv(fd, ad_scratch, sizeof(ad_scratch), 0);
        size_t used = 0;

        if (got <= 0) {
            break;
        }
        while (used < (size_t)got) {
            const uint8_t *data = NULL;
            size_t n;

            used += ad_fetch_next(&head, ad_scratch + used, (size_t)got - used,
                                  &data, &n);
            ad_doctor_list(found, &js, data, n);
        }
    }
    found->status = head.state == AD_HEAD_DONE ? head.status : 0;
    found->list = ad_js_end(&js);
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* Where engines listen unless they are told otherwise, and as whose their list
 * of models shows them. */
static const struct {
    const char *port, *owner, *name;
} ad_doctor_engines[] = {{"11434", "library", "Ollama"},
                         {"8080", "llamacpp", "llama-server"},
                         {"8081", "llamacpp", "llama-server"},
                         {"8000", "vllm", "vLLM"},
                         {"1234", "organization_owner", "LM Studio"}};

/* Look at one place, and print what is there. Returns its name, NULL if it is no
 * engine. */
static const char *ad_doctor_look(const struct ad_upstream *u)
{
    const char *name = "an engine";
    struct ad_found found;
    size_t i;

    ad_doctor_ask(u, "/ticks?last=0", &found);
    if (found.status == 200) {
        printf("  aidash itself at http://%s: it runs already\n", u->authority);
        return NULL;
    }
    ad_doctor_ask(u, "/v1/models", &found);
    for (i = 0; i < AD_COUNT(ad_doctor_engines); i++) {
        if (strcmp(ad_doctor_engines[i].owner, found.owner) == 0) {
            name = ad_doctor_engines[i].name;
        }
    }
    if (!found.list || (found.status != 200 && found.status != 401 &&
                        found.status != 503)) {
        return NULL;
    }
    printf("  %s at http://%s%s: ", name, u->authority, u->prefix);
    if (found.status == 401) {
        printf("it wants another key (--upstream-key-file)\n");
    } else if (found.status == 503) {
        printf("it is not ready yet\n");
    } else if (found.n_models == 0) {
        printf("no model\n");
    } else {
        printf("%s", found.model);
        printf(found.n_models > 1 ? " and %u more\n" : "\n",
               found.n_models - 1);
    }
    return name;
}

/* Can this be listened on? Prints so. Returns the port, or 0. */
static unsigned ad_doctor_port(const char *spec)
{
    char holder[128];
    unsigned port;
    int fd = ad_socket_bind(spec, SOCK_STREAM, &port);

    if (fd >= 0) {
        (void)close(fd);
        printf("  %s is free\n", spec);
        return port;
    }
    ad_port_holder(spec, holder, sizeof(holder));
    printf("  %s can't be had: %s%s\n", spec, strerror(-fd), holder);
    return 0;
}

/* aidash doctor: what is here, and what to type next. */
static int ad_doctor(void)
{
    const char *list = ad_option_value("listen"), *item, *name = NULL;
    const char *key = ad_option_value("upstream-key-file");
    char listen[64], missing[128] = "", url[512] = "";
    struct ad_lan lan[AD_LAN_MAX];
    struct ad_upstream u;
    unsigned port = 0, n_lan, i;
    size_t len;
    int rc = ad_configure_upstreams(ad_option_value("upstream"));

    rc = rc == 0 && key != NULL ? ad_configure_key(key) : rc;
    if (rc != 0) {
        ad_print_failure(rc);
        return AD_EXIT_USAGE;
    }

    printf("engines\n");
    for (i = 0; i < ad_set.n_upstreams + AD_COUNT(ad_doctor_engines); i++) {
        size_t usual = i - ad_set.n_upstreams;
        const char *is;

        if (i < ad_set.n_upstreams) {
            u = ad_set.upstreams[i];
        } else {
            (void)snprintf(listen, sizeof(listen), "http://127.0.0.1:%s",
                           ad_doctor_engines[usual].port);
            memset(&u, 0, sizeof(u));
            (void)ad_url_parse(listen, strlen(listen), &u);
        }
        is = ad_doctor_look(&u);
        if (is != NULL && name == NULL) {
            name = is;
            (void)snprintf(url, sizeof(url), "http://%s%s", u.authority,
                           u.prefix);
        } else if (is == NULL && i < ad_set.n_upstreams) {
            printf("  none at http://%s%s\n", u.authority, u.prefix);
        } else if (is == NULL) {
            size_t n = strlen(missing);

            (void)snprintf(missing + n, sizeof(missing) - n, "%s%s (%s)",
                           n > 0 ? ", " : "", ad_doctor_engines[usual].port,
                           ad_doctor_engines[usual].name);
        }
    }
    if (missing[0] != '\0') {
        printf("  none at the usual %s\n", missing);
    }

    printf("ports\n");
    for (list = list != NULL ? list : "8080";
         port == 0 && ad_list_next(&list, &item, &len);) {
        (void)snprintf(listen, sizeof(listen), "%.*s", (int)len, item);
        port = ad_doctor_port(listen);
    }
    for (i = 8090; port == 0 && i < 8100; i++) {
        (void)snprintf(listen, sizeof(listen), "%u", i);
        port = ad_doctor_port(listen);
    }

    n_lan = ad_lan_list(lan);
    printf("addresses\n  http://localhost:%u on this machine\n", port);
    for (i = 0; i < n_lan; i++) {
        printf("  http://%s:%u on the LAN (%s)\n", lan[i].host, port, lan[i].by);
    }

    printf("next\n  aidash --listen %s%s%s\n", listen,
           name != NULL ? " --upstream " : "", url);
    if (name != NULL) {
        bool ollama = strcmp(name, "Ollama") == 0;

        printf("  and let clients use %shttp://%s:%u%s\n",
               ollama ? "OLLAMA_HOST=" : "", n_lan > 0 ? lan[0].host : "localhost",
               port, ollama ? "" : "/v1");
    } else {
        printf("  for a simulated engine; with --upstream http://HOST:PORT once "
               "there is a real one\n");
    }
    return name != NULL ? AD_EXIT_OK : AD_EXIT_FAILED;
}

#endif

static int ad_run(void)
{
    struct aidash_config config = {0};
    double rate = 0, seed = 0, backlog = 0, per_address = 0;
    struct rlimit files;
    sigset_t signals;
    int rc, signal_number;
#if AIDASH_METER
    double inflight = 0, queue = 0;

    if (!ad_option_number("upstream-timeout", 1, 86400, false,
                          &config.upstream_timeout_s) ||
        !ad_option_number("max-inflight", 1, AIDASH_FLOWS, true, &inflight) ||
        !ad_option_number("queue", 0, AIDASH_FLOWS, true, &queue) ||
        !ad_option_number("queue-timeout", 1, 86400, false,
                          &config.queue_timeout_s)) {
        return AD_EXIT_USAGE;
    }
    config.upstream = ad_option_value("upstream");
    config.upstream_key_file = ad_option_value("upstream-key-file");
    config.scrape = ad_option_value("scrape");
    config.max_inflight = (unsigned)inflight;
    config.queue = ad_option_value("queue") != NULL && queue == 0
                       ? -1
                       : (int)queue;
#endif

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
#if AIDASH_METER
    bool doctor = argc > 1 && strcmp(argv[1], "doctor") == 0;

    argc -= doctor;
    argv += doctor;
#endif
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
#if AIDASH_METER
    if (doctor) {
        return ad_doctor();
    }
#endif
    return ad_run();
}

#endif /* AIDASH_NO_MAIN */

/* ==== 14 CIVETWEB ======================================================== */

/* civetweb allocates a little: tables at start, a buffer a worker, 32 bytes a
 * request. It gets that from a static arena: blocks in address order, each with
 * its size in front, the first free one that is large enough, neighbours joined
 * when freed. A refusal closes one connection. */

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

/* Else a worker that gets no buffer ends in silence. 20 is civetweb's queue;
 * the rest is for its options, its handlers and what a request asks for. */
_Static_assert(AIDASH_ARENA_BYTES >=
                   sizeof(struct mg_context) + 20 * sizeof(struct socket) +
                       AIDASH_WORKERS * (sizeof(struct mg_connection) +
                                         AD_REQUEST_MAX + 256) +
                       2048,
               "AIDASH_ARENA_BYTES is less than civetweb needs");

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

#if AIDASH_METER
/* The hub did not want it: civetweb may answer. */
static void ad_civetweb_give(struct mg_connection *conn, int fd)
{
    conn->client.sock = fd;
}
#endif

static bool ad_civetweb_unread(const struct mg_connection *conn)
{
    return conn->client.sock != INVALID_SOCKET &&
           (conn->content_len > 0 || conn->is_chunked);
}

/* The write end of a pipe that civetweb's accepting thread sleeps on. */
static int ad_civetweb_bell = -1;

/* The hub accepts connections, not civetweb: in place of its one listening
 * socket it gets the pipe, in which there is never a byte. */
static void ad_civetweb_init(const struct mg_context *const_ctx)
{
    struct mg_context *ctx = (struct mg_context *)(uintptr_t)const_ctx;
    int ends[2];

    (void)close(ctx->listening_sockets[0].sock);
    ctx->num_listening_sockets = 0;
    if (pipe(ends) == 0) {
        (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
        (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
        ctx->listening_sockets[0].sock = ends[0]; /* civetweb closes it */
        ctx->num_listening_sockets = 1;
        ad_civetweb_bell = ends[1];
    }
}

/* As mg_stop(), but for its naps of 10 ms: and as soon as the flag is set, the
 * pipe is closed, which ends the sleep of SOCKET_TIMEOUT_QUANTUM. */
static void ad_civetweb_stop(struct mg_context *ctx)
{
    pthread_t accepting = ctx->masterthreadid;

    ctx->masterthreadid = 0;
    STOP_FLAG_ASSIGN(&ctx->stop_flag, 1);
    if (ad_civetweb_bell >= 0) {
        (void)close(ad_civetweb_bell);
        ad_civetweb_bell = -1;
    }
    (void)mg_join_thread(accepting); /* it joins the workers */
    free_context(ctx);
}

static struct mg_context *ad_civetweb_start(void)
{
    char workers[8], request[8];
    const char *options[] = {"listening_ports", "127.0.0.1:0",
                             "num_threads", workers,
                             "request_timeout_ms", "10000",
                             "decode_url", "no",
                             "max_request_size", request,
                             "enable_auth_domain_check", "no",
                             NULL};
    struct mg_callbacks callbacks;
    struct mg_context *ctx;

    (void)sprintf(workers, "%d", AIDASH_WORKERS);
    (void)sprintf(request, "%d", AD_REQUEST_MAX);
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
