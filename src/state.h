#ifndef AD_STATE_H
#define AD_STATE_H

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

#endif
