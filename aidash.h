/* aidash.h - live dashboard for an AI engine, as a library. MIT licence.
 *
 * aidash shows on the LAN what an inference engine does. It takes "ticks"
 * (tokens, latency, model) from any thread, streams them to every browser and
 * WebSocket client, and passes the viewers' commands (switch model, pause,
 * resume) to your program. Memory is static. The engine never waits for a viewer.
 *
 * A complete program (compile with aidash.c, -DAIDASH_NO_MAIN and -lpthread):
 *
 *     #include "aidash.h"
 *     #include <stdio.h>
 *     #include <unistd.h>
 *
 *     int main(void)
 *     {
 *         struct aidash_config config = {0};
 *         struct aidash_tick tick = {0};
 *         int rc;
 *
 *         config.models = "resnet50,yolov8";
 *         rc = aidash_start(&config);
 *         if (rc != 0) {
 *             fprintf(stderr, "%s\n", aidash_last_error());
 *             return 1;
 *         }
 *         for (;;) {
 *             usleep(20000);
 *             tick.model = "yolov8";
 *             tick.latency_ms = 19.8;
 *             aidash_publish(&tick);
 *         }
 *     }
 *
 * Limits: there is one instance, in static storage inside aidash.c. Its sizes
 * are AIDASH_* macros that only the compilation of aidash.c sees: set them with
 * -D, or in a header named by -DAIDASH_CONFIG='"my_aidash.h"'. src/limits.h
 * explains each; in the single-file aidash.c it is the section "begin
 * src/limits.h". `aidash --sizes` prints what they cost.
 *
 * Errors: 0 or a count is success; failures are the negative AIDASH_E* codes.
 *
 * Threads: aidash_start() makes one hub thread and AIDASH_WORKERS HTTP workers,
 * one that reads the board's sensors (unless no_board), one that writes the key file
 * (if there is a state_dir), one for getaddrinfo()
 * if an engine is given by a name, and one for the callbacks of aidash_route(), if
 * there are any.
 * All other callbacks run on the hub thread: they must return quickly, and may call
 * aidash_publish(), but not aidash_start(), aidash_stop() or
 * aidash_get_stats(). SIGPIPE is ignored from aidash_start() on.
 */
#ifndef AIDASH_H
#define AIDASH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AIDASH_VERSION "0.1.0"

/* Longest model name and node name, in bytes without the NUL. */
#define AIDASH_MODEL_MAX 63
#define AIDASH_NODE_MAX 31
/* Longest name of a gauge and longest unit, likewise. */
#define AIDASH_GAUGE_MAX 31
#define AIDASH_UNIT_MAX 15
/* Longest note, refusal, label; longest reason of a state; longest name of an own
 * command, likewise. */
#define AIDASH_TEXT_MAX 159
#define AIDASH_REASON_MAX 63
#define AIDASH_COMMAND_MAX 31
/* Longest route and longest client of a request of your own, likewise. */
#define AIDASH_ROUTE_MAX 63
#define AIDASH_ASKER_MAX 31
/* Longest path, media type and query of an own path; longest title of the page,
 * likewise. */
#define AIDASH_PATH_MAX 63
#define AIDASH_TYPE_MAX 63
#define AIDASH_QUERY_MAX 255
#define AIDASH_TITLE_MAX 63
/* Longest time that a command may take, in seconds. */
#define AIDASH_LATER_MAX 86400
/* Longest client_id in /ws/{client_id}, in bytes. */
#define AIDASH_CLIENT_ID_MAX 64

/* ---- errors -------------------------------------------------------------- */

enum aidash_error {
    AIDASH_EINVAL = -1, /* an argument or option is out of its range */
    AIDASH_ESTATE = -2, /* already started, not started, or stopping */
    AIDASH_EBIND = -3,  /* can't listen on an address */
    AIDASH_ESYS = -4,   /* the system refused a thread, a socket or memory */
    AIDASH_EFULL = -5   /* there is no room for it now */
};

/* The sentence for an AIDASH_E* code; static storage, never NULL. */
const char *aidash_strerror(int code);

/* What exactly went wrong in the last aidash_start(), aidash_route() or
 * aidash_route_static() that failed: one sentence that names the option, the address
 * or the path. Static storage, valid until the next aidash_start() or failure; "" when
 * nothing failed. Call it from the starting thread. */
const char *aidash_last_error(void);

/* ---- configuration -------------------------------------------------------- */

enum aidash_action {
    AIDASH_SWITCH_MODEL = 1,
    AIDASH_PAUSE = 2,
    AIDASH_RESUME = 3,
    AIDASH_DRAIN = 4, /* pause; an event reports when the last request ended */
    AIDASH_CANCEL = 5, /* end one request */
    AIDASH_BENCH = 6,  /* measure the engine with requests of aidash's own */
    AIDASH_BENCH_STOP = 7,
    AIDASH_OWN = 8 /* one of aidash_command_add() */
};

/* What somebody may do; each is a bit. */
enum aidash_right {
    AIDASH_MAY_VIEW = 1,    /* see ticks, requests, status */
    AIDASH_MAY_CONTROL = 2, /* send commands */
    AIDASH_MAY_INGEST = 4,  /* send ticks */
    AIDASH_MAY_INFER = 8    /* send requests to the engine */
};

/* A viewer's command. Valid during the callback only. */
struct aidash_command {
    enum aidash_action action;
    const char *model;     /* AIDASH_SWITCH_MODEL, AIDASH_BENCH: the name, else "" */
    uint64_t request;      /* AIDASH_CANCEL: the request's id, else 0 */
    uint64_t number;       /* the command's own, from 1: for aidash_finish() */
    const char *name;      /* AIDASH_OWN: the command's name, else "" */
    double value;          /* AIDASH_OWN: its parameter, in its range; 0 for a button */
    const char *client_id; /* who asked; "" for POST /command */
    /* By which right: the name of his key, or the subject of his token; "" if he
     * has none, as control is open to him. */
    const char *key_name;
    unsigned rights; /* what he may: AIDASH_MAY_VIEW and the others */
    int local;       /* 1: a program on this machine, by no proxy */
    /* The board that it is for, one of those of aidash_relay(); "": this one. Return
     * aidash_later(), send `json` there, and call aidash_finish() with what the board
     * answered. It has no effect on this one's engine. */
    const char *node;
    /* For another board: the command alone, as it may be handed to aidash_command()
     * there; else "". */
    const char *json;
};

enum aidash_log_level {
    AIDASH_LOG_DEFAULT = 0, /* info */
    AIDASH_LOG_ERROR = 1,
    AIDASH_LOG_WARN = 2,
    AIDASH_LOG_INFO = 3,
    AIDASH_LOG_DEBUG = 4
};

/* All members zero means all defaults. Strings are copied by aidash_start(). */
struct aidash_config {
    /* Where to listen: a comma-separated list of [ADDR:]PORT, IPv6 addresses in
     * brackets, port 0 for any free one. NULL: "8080", on all interfaces. */
    const char *listen;
    /* Models that viewers can switch to, comma-separated; the first is active.
     * NULL: the simulator has three of its own; with other sources the names
     * come from the ticks. At most AIDASH_MODELS names of AIDASH_MODEL_MAX bytes. */
    const char *models;
    /* "none" (ticks come from aidash_publish(), UDP and HTTP), "sim" (a
     * simulated engine) or "stdin" (NDJSON lines). NULL: "none". */
    const char *source;
    /* UDP address for ticks, [ADDR:]PORT. NULL: no UDP. */
    const char *udp;
    /* Origins whose web pages may connect, comma-separated, "*" for any. NULL:
     * only the dashboard's own origin (RFC 6454). */
    const char *allow_origin;
    /* Further names by which this server may be asked for (Host, RFC 9110 7.2),
     * comma-separated: a name, *.NAME for all names below it, or * for any. NULL:
     * IP addresses, this machine's own names, and names that only the local
     * network has (localhost, *.local, *.lan, names without a dot and the like).
     * All others are refused with 421, as a page elsewhere could have made them
     * lead here (DNS rebinding). */
    const char *allow_host;
    /* Proxies in front of this server, comma-separated: ADDR or ADDR/BITS. What
     * they say of the client's address, scheme and host (Forwarded, RFC 7239, or
     * X-Forwarded-For, -Proto and -Host) is believed. NULL: nobody is. */
    const char *trust_proxy;
    /* The directory on this machine's own disk for what outlives a run: the keys
     * that aidash has given to devices and programs. It is made when something is
     * written. NULL: none, and so no keys. */
    const char *state_dir;
    /* Ticks per second of the simulator, 0.001 to 10,000. 0: 5. */
    double rate_hz;
    /* Seed of the simulator. 0: 1. */
    uint64_t seed;
    /* Events that a blocked viewer may be behind before it loses the oldest;
     * 1 to AIDASH_EVENTS / 2. 0: 100. */
    unsigned backlog;
    /* Most connections from one address. 0: no limit. A browser opens up to 6
     * for the dashboard and 1 for its events: allow at least 8. Leave it at 0
     * behind a proxy: all viewers then have the proxy's address. */
    unsigned per_address;

    /* The meter: a proxy in front of these engines, [NAME=]http://HOST[:PORT]
     * [/PREFIX], comma-separated. A request goes to the engine that has its
     * model. With it, source must be NULL or "none". NULL: no proxy. */
    const char *upstream;
    /* A file whose first line is the engines' bearer token. NULL: none. */
    const char *upstream_key_file;
    /* Instead of the proxy: the URL of a Prometheus page of llama-server or vLLM,
     * which is read once per second. NULL: none. */
    const char *scrape;
    /* Longest silence within an answer (12 times that before it), and longest wait
     * in the queue, in seconds. 0: 600. */
    double upstream_timeout_s, queue_timeout_s;
    /* Most requests that run at the engine at once, 1 to AIDASH_FLOWS. 0: 16. */
    unsigned max_inflight;
    /* Most requests in the queue, up to AIDASH_FLOWS. 0 is the default, as for all
     * members: 64. So -1 says that there is none: what can't run at once is refused
     * with 503. */
    int queue;
    /* Most tokens a day, in and out, comma-separated: CLIENT=TOKENS, up to 16.
     * CLIENT is ADDR, ADDR/BITS or * (each address on its own; the closest one
     * counts), key:NAME (of a key of aidash's own), key:FINGERPRINT or
     * agent:NAME (all its requests together). Beyond it requests are answered
     * with 429 until midnight. NULL: no quotas. */
    const char *quota;

    /* Log lines of this level and of more important ones. 0: info. */
    enum aidash_log_level log_level;

    /* A viewer's command. Return 0 to accept it: it takes effect, and an event
     * reports it to all viewers. Return anything else to refuse it, such as
     * aidash_refuse(command, "why"). Return aidash_later(command, seconds) if it
     * takes its time. NULL: accept all. Hub thread. */
    int (*on_command)(const struct aidash_command *command, void *user);
    /* Every event sent to viewers, as its JSON text (not NUL-terminated, valid
     * during the call). NULL: none. Hub thread. */
    void (*on_event)(const char *json, size_t len, void *user);
    /* A log line without its newline. NULL: to stderr, without waiting for who
     * reads it; lines that find no room are counted, and the log says so. A line
     * that repeats comes once a second, with " (N more)". Any aidash thread, and
     * the one that starts and stops. */
    void (*on_log)(enum aidash_log_level level, const char *line, void *user);
    void *user; /* passed to each callback */

    /* Origins whose web pages may show the dashboard in a frame, comma-separated,
     * "*" for any. Such a page can make a viewer click on what he does not see.
     * NULL: no page may. */
    const char *allow_frame;

    /* Who may see ticks and status, send commands, send ticks, and send requests to
     * the engine. Each is "open" (everybody), "remote-key" (programs on this machine;
     * others with a key or token), "key" (only with one, on this machine, too) or
     * "local" (programs on this machine alone; a proxy on it is none). NULL: "open".
     * UDP has no keys: `udp` with ingest "key" is an error; with "local" it takes
     * datagrams of this machine alone, else of everybody who reaches it. */
    const char *view, *control, *ingest, *infer;

    /* JSON Web Tokens (RFC 7519). A file with the secret of HS256, of 32 to 1024
     * bytes, without the end of its last line; a file with the public keys of RS256
     * and ES256, in PEM (one) or as a JWKS (RFC 7517). Both are read again when they
     * change. A library without AIDASH_TLS refuses them. NULL: none. */
    const char *jwt_secret_file, *jwt_key_file;
    /* The audience (aud) that a token must be for, and the issuer (iss) that it must
     * be of; 1 to 255 bytes. NULL: without aud; of any issuer. */
    const char *jwt_audience, *jwt_issuer;

    /* Serve TLS 1.2 and 1.3, too, on the same ports: files in PEM form, the server's
     * certificate with its chain, and its key; both or none. They are read again
     * when they change. Plain HTTP is redirected then, but from this machine. NULL:
     * no TLS. AIDASH_EINVAL where aidash.c was compiled without AIDASH_TLS. */
    const char *tls_cert, *tls_key;
    /* For so many seconds a browser is to use nothing but TLS for this name
     * (Strict-Transport-Security, RFC 6797). 0: it is not told. */
    unsigned hsts_s;

    /* Engines with https: a file of certificates (PEM) of the authorities that vouch
     * for them, instead of the system's. Read while starting. NULL: the system's. */
    const char *upstream_ca;
    /* Keys of engines that are accepted whatever their certificates say,
     * comma-separated: sha256/BASE64, the fingerprint of the public key (RFC 7469
     * 2.4). 8 at most. NULL: none. */
    const char *upstream_pin;

    /* The board whose sensors the event `board` tells once a second: a directory
     * that is a copy of its /proc and /sys. NULL: this machine's own. */
    const char *sysroot;
    /* Not 0: no such event, and no thread that reads sensors. */
    int no_board;

    /* A file that keeps history over a reboot, of a fixed size (GET /status tells
     * it), which is made if it is not there. A thread of its own
     * writes to it once in 5 minutes; aidash_stop() writes the rest, and waits for
     * the disk. A file of something else is refused with AIDASH_EINVAL; that of
     * another version or build is left as it is, with a line in the log. NULL:
     * none. */
    const char *history_file;
    /* Rules of alerts, comma-separated, as "latency_p95_ms > 200 for 30s"
     * (docs/alerts.md); AIDASH_ALERTS at most. NULL: none. */
    const char *alerts;
    /* The http:// or https:// URL to which each alert is POSTed, and in which form:
     * "json" (NULL: the same), "ntfy" or "text"; a file whose first line is a bearer
     * token for it, read while starting. Not without AIDASH_METER. NULL: none. */
    const char *alert_url, *alert_format, *alert_key_file;
    /* The page's title, at most AIDASH_TITLE_MAX bytes, as a model's name. NULL or "":
     * aidash. */
    const char *title;
    /* The path of a picture beside it, and of an ES module that shows a panel of your
     * own: see aidash_route(). Each is a path that was added before. NULL or "":
     * none. */
    const char *logo, *panel;
    /* The http:// or https:// URL of an OpenTelemetry collector (OTLP/HTTP, JSON): it
     * gets metrics, and a span for each request through the meter, at /v1/metrics and
     * /v1/traces below the URL. Not without AIDASH_METER. NULL: none. */
    const char *otlp;
    /* What a kilowatt-hour costs, in any currency, 0 to 1e6: the event `energy` then
     * tells the cost of what was measured. 0: not told. */
    double price_kwh;
    /* The http:// or https:// URL of a gateway, another aidash: it gets this board's
     * events over one connection that this one opens, and its viewers' commands come
     * back over it (docs/fleet.md). The board's name there, as in struct aidash_tick,
     * node; NULL: this machine's name. A file whose first line is a bearer token for
     * it, with the right `ingest`, read while starting. Not without AIDASH_METER and
     * AIDASH_NODES. NULL: none. */
    const char *forward, *as_node, *forward_key_file;
    /* The other way round: the URLs of boards, [NAME=]URL, comma-separated, whose
     * events this one reads; AIDASH_PEERS at most. NAME is the board's here; without
     * it, HOST[:PORT] of the URL. "mdns": those that are announced in the LAN; the
     * program avahi-browse runs as a child every 5 s. A file with a bearer token for
     * those that are named, with the rights `view` and `control`. Likewise. */
    const char *peer, *peer_key_file;
};

/* Start the server. config may be NULL (all defaults). It listens when this
 * returns.
 *
 * Returns 0, AIDASH_EINVAL (an option is wrong), AIDASH_ESTATE (it is
 * already running, or aidash.h is newer than aidash.c), AIDASH_EBIND or AIDASH_ESYS;
 * aidash_last_error() says what exactly is wrong. Not from a callback. */
#define aidash_start(config) \
    aidash_start_sized((config), sizeof(struct aidash_config))
int aidash_start_sized(const struct aidash_config *config, size_t size);

/* Stop: viewers get close code 1001 (RFC 6455 7.4.1), sockets are closed, the
 * threads end, but for one that still waits for getaddrinfo(), for a sensor or for a
 * callback of aidash_route(): it ends behind that. Takes less than a second, or until a key is on the disk. Does nothing when not started. From
 * the thread that started, not from a callback. Other threads may be inside
 * aidash_publish(), aidash_get_stats() or aidash_port() meanwhile: a call that
 * has begun is finished first, a later one returns AIDASH_ESTATE (or port 0).
 *
 * The child of a fork() has no server, only copies of its descriptors until it
 * calls exec(): there all functions return AIDASH_ESTATE, aidash_start(), too. */
void aidash_stop(void);

/* The port of listener number i (0 for the first), in host order, or 0 if there is
 * no such listener, or the server does not run. Use it to learn which port a
 * listener on port 0 got. Any thread. */
unsigned aidash_port(unsigned i);

/* ---- ticks ---------------------------------------------------------------- */

/* One step of the engine. Zero members mean "not known": the server fills them
 * in. tokens, tokens_generated and latency_ms may not all be zero. */
struct aidash_tick {
    /* 1..AIDASH_MODEL_MAX bytes of UTF-8 without control characters (C0, C1)
     * and bidirectional formatting (U+202A..202E, U+2066..2069); NULL or "":
     * the active model. Copied before return. */
    const char *model;
    /* Another board's name, 1..AIDASH_NODE_MAX bytes, likewise; NULL or "":
     * this one. */
    const char *node;
    /* Tokens added by this step, 0..1e9. */
    uint64_t tokens;
    /* Tokens of the model so far, 0..2^53; replaces the server's own count. */
    uint64_t tokens_generated;
    /* Duration of this step in milliseconds, 0..1e9; for a language model the
     * time since the previous token. 0: the time since the last tick. */
    double latency_ms;
    /* Tokens per second, 0..1e12. 0: over the server's window of 2 s. */
    double tokens_per_second;
    /* Unix time in seconds, 0..1e11. 0: now. */
    double timestamp;
};

/* Queue one tick for all viewers. Copies some 100 bytes: no allocation, no
 * lock, no waiting, and no system call unless the hub sleeps. When the inbox is
 * full (AIDASH_INBOX ticks) the oldest is dropped and counted.
 *
 * Returns 0, AIDASH_EINVAL (a member out of range), or AIDASH_ESTATE (not
 * started, or stopping). Any thread, callbacks included. */
int aidash_publish(const struct aidash_tick *tick);

/* Why the latest aidash_publish() of this thread that failed did: one sentence that
 * names the member. Static storage; "" when none failed. Any thread. */
const char *aidash_publish_error(void);

/* ---- gauges --------------------------------------------------------------- */

/* Set a named value: a temperature, a queue's length, frames lost. Viewers see it
 * as a tile and as a chart. GET /gauges has the latest value of each.
 *
 * name   1..AIDASH_GAUGE_MAX bytes of UTF-8, without what a model's name may not
 *        have. The first call makes the gauge; AIDASH_GAUGES of them are kept, and a
 *        new one replaces the one that was set the longest ago.
 * unit   at most AIDASH_UNIT_MAX bytes, likewise, such as "C" or "frames"; NULL or
 *        "": none. The latest one counts.
 * value  between -1e100 and 1e100, in that unit.
 *
 * The strings are copied before return. It costs what aidash_publish() costs, and
 * takes the same way: the order of both is kept, and a full inbox loses its oldest.
 * Viewers get ten events per second and gauge at most: of values that come faster,
 * the latest.
 *
 * Returns 0, AIDASH_EINVAL (an argument out of range), or AIDASH_ESTATE (not
 * started, or stopping). Any thread, callbacks included. */
int aidash_gauge(const char *name, const char *unit, double value);

/* ---- notes ----------------------------------------------------------------- */

/* Write a sentence on the time axis: viewers see it on the charts and in the list of
 * events. GET /notes has the latest AIDASH_NOTES.
 *
 * level  AIDASH_LOG_ERROR, AIDASH_LOG_WARN or AIDASH_LOG_INFO (or 0).
 * text   1..AIDASH_TEXT_MAX bytes of UTF-8, without what a model's name may not
 *        have; copied before return. Everybody on the network can read it.
 *
 * Copies some 200 bytes, never waits. Returns 0, AIDASH_EINVAL, AIDASH_ESTATE (not
 * started, or stopping), or AIDASH_EFULL: AIDASH_POSTS notes, states and ends of
 * commands wait for the hub; this one is not taken. Any thread, callbacks included. */
int aidash_note(enum aidash_log_level level, const char *text);

/* ---- the engine's side leads ------------------------------------------------ */

enum aidash_state {
    AIDASH_STATE_RUNNING = 1,
    AIDASH_STATE_PAUSED = 2, /* as if a viewer had paused it */
    AIDASH_STATE_LOADING = 3,
    AIDASH_STATE_DOWN = 4
};

/* Say how the engine is: a button on the board paused it, it loads a model, it
 * crashed. Viewers see it at once; on_command is not called. With the meter
 * (upstream) or scrape, only RUNNING and PAUSED differ: they see for themselves
 * whether their engines answer.
 *
 * reason  for people: at most AIDASH_REASON_MAX bytes, as a note's text; NULL or "":
 *         none. Copied before return. The next state or pause replaces it.
 *
 * Cost, errors and threads: as aidash_note(). */
int aidash_set_state(enum aidash_state state, const char *reason);

/* Replace the list of models that viewers can switch to, or make another one active:
 * on_command is not called.
 *
 * models  comma-separated, 1..AIDASH_MODELS names, each once.
 * active  one of them; NULL or "": the first.
 *
 * Waits for the hub (well below a millisecond when it is idle); the strings are not
 * used after return. Returns 0, AIDASH_EINVAL (the list or the name is wrong, or the
 * meter runs, whose engines tell their models), or AIDASH_ESTATE. Any thread; from
 * on_command, but from no other callback. */
int aidash_set_models(const char *models, const char *active);

/* ---- requests of an engine that is not HTTP ------------------------------------ */

/* A request that your engine answers. Zero members mean "not known". Strings are
 * UTF-8, without what a model's name may not have. Everybody on the network can read
 * them: no prompts. */
struct aidash_request {
    const char *model;      /* at most AIDASH_MODEL_MAX bytes; NULL or "": the active one */
    const char *client;     /* who asks; at most AIDASH_ASKER_MAX bytes */
    const char *route;      /* what for, such as "detect"; at most AIDASH_ROUTE_MAX */
    uint64_t prompt_tokens; /* 0..2^53 */
    int queued;             /* 1: it waits until aidash_request_run() */
};

enum aidash_outcome {
    AIDASH_FINISHED = 1,
    AIDASH_FAILED = 2,
    AIDASH_LEFT = 3, /* who asked went away */
    AIDASH_CUT = 4   /* it was cancelled */
};

/* A request has come. Viewers see it in the table of requests, as the meter's: time
 * to the first token, queue, tokens per second, times between tokens. Its ticks come
 * from aidash_request_progress(): publish none of them yourself. The cancel command
 * names it, and asks on_command; end it then.
 *
 * Copied before return. Waits for the hub (well below a millisecond when it is
 * idle). Returns its id, from 1; 0: a member is out of its range, AIDASH_REQUESTS run
 * or wait, upstream is set (the meter has the requests), or the server does not run.
 * Any thread; from on_command, but from no other callback. */
uint64_t aidash_request_begin(const struct aidash_request *request);

/* One that waited runs now. Returns 0, AIDASH_EINVAL (there is no such request), or
 * AIDASH_ESTATE. Waits and threads: as aidash_request_begin(). */
int aidash_request_run(uint64_t id);

/* Its answer has so many more tokens, 1..1e9. Costs what aidash_publish() costs, and
 * takes the same way. Returns 0, AIDASH_EINVAL or AIDASH_ESTATE. An id that is not
 * known is ignored. Any thread, callbacks included. */
int aidash_request_progress(uint64_t id, uint64_t tokens);

/* It is over. GET /requests has the latest AIDASH_RECORDS.
 *
 * error  for people, at most AIDASH_REASON_MAX bytes; NULL or "": none. Copied.
 *
 * Returns 0, AIDASH_EINVAL (an argument, or there is no such request), or
 * AIDASH_ESTATE. Waits and threads: as aidash_request_begin(). */
int aidash_request_end(uint64_t id, enum aidash_outcome outcome, const char *error);

/* ---- commands -------------------------------------------------------------- */

/* In on_command: refuse the command with a sentence that the viewer reads. Return
 * what it returns, which is never 0.
 *
 * reason  at most AIDASH_TEXT_MAX bytes, as a note's text; copied. NULL, "", or one
 *         that is wrong: "the engine refused the command". */
int aidash_refuse(const struct aidash_command *command, const char *reason);

/* In on_command: accept the command, and carry it out later. Return what it returns.
 * Viewers see that it runs. aidash_finish() ends it; after limit_s seconds,
 * 1..AIDASH_LATER_MAX, it has failed. It takes effect (the model is switched, the
 * engine paused) when it is finished.
 *
 * Returns 0; AIDASH_EINVAL; or AIDASH_EFULL when AIDASH_UNFINISHED commands are not
 * finished: returned from on_command, both refuse it. */
int aidash_later(const struct aidash_command *command, unsigned limit_s);

/* End a command that was accepted by aidash_later().
 *
 * number  command->number. One that is over already is ignored.
 * done    1: it was carried out, and takes effect; 0: it failed.
 * text    for people, as a note's text: why it failed; NULL or "": none.
 *
 * Cost, errors and threads: as aidash_note(). */
int aidash_finish(uint64_t number, int done, const char *text);

enum aidash_parameter {
    AIDASH_BUTTON = 1, /* no parameter */
    AIDASH_SWITCH = 2, /* 0 or 1 */
    AIDASH_NUMBER = 3  /* min..max */
};

/* Add a command of your own, which viewers find on the engine's card: they send
 * {"action":"own","command":NAME,"value":VALUE}, and on_command gets AIDASH_OWN. The
 * same name again replaces it, and shows another value. They last until
 * aidash_stop().
 *
 * name           1..AIDASH_COMMAND_MAX of a-z, 0-9 and _.
 * min, max       of a number: min < max, between -1e100 and 1e100. Else not used.
 * value          what it is now: min..max, or 0 or 1. For a button not used.
 * label          for people, at most AIDASH_TEXT_MAX bytes as a note's text; NULL or
 *                "": the name.
 *
 * Waits for the hub. Returns 0, AIDASH_EINVAL, AIDASH_ESTATE, or AIDASH_EFULL: there
 * are AIDASH_COMMANDS. Threads: as aidash_set_models(). */
int aidash_command_add(const char *name, enum aidash_parameter kind, double min,
                       double max, double value, const char *label);

/* ---- many boards ------------------------------------------------------------- */

/* A gateway shows what many boards do. A program between them (a bridge) takes a
 * board's events from its on_event and gives them to the gateway by aidash_relay();
 * it takes the gateway's commands from on_command and gives them to the board by
 * aidash_command(). */

/* On the gateway: an event of another board, as its on_event or its GET /events gave
 * it. A tick becomes a tick with the board's name; viewers get any other one as
 * {"event":"node","seq":N,"node":NAME,"data":EVENT}. GET /nodes has the newest of each
 * board. A board that sends none for AIDASH_NODE_STALE_S is stale, then gone.
 *
 * node  the board's name, 1..AIDASH_NODE_MAX bytes, without what a model's name may not
 *       have.
 * id    RUN-SEQ, as in `id:` of GET /events (see aidash_run()): of a board's events
 *       with the same RUN, one whose SEQ is not above the newest is a double, which is
 *       counted and ignored. NULL or "": not known; then it always counts.
 * json  one JSON object, not longer than an event of this aidash's own may be. Events
 *       that a board has from other boards ("node") are ignored, and so never go round
 *       in a circle; "batch" is refused.
 *
 * Copied before return, never waits. Nothing is lost, and the order of one thread's
 * calls is kept. Returns 0; AIDASH_EINVAL (it can't be taken: do not try it again);
 * AIDASH_EFULL: AIDASH_RELAY_BYTES wait for the hub: wait some milliseconds, and try
 * it again; or AIDASH_ESTATE. Any thread, callbacks included. With AIDASH_NODES 0,
 * this and the next two are AIDASH_EINVAL. */
int aidash_relay(const char *node, const char *id, const char *json, size_t len);

/* On the gateway: the link to a board is closed; it is gone until its next event. One
 * that is not known is ignored. Cost, errors and threads: as aidash_relay(). */
int aidash_node_gone(const char *node);

/* On the gateway: the newest id of a board's events, of at most 38 bytes with the NUL,
 * to go on from; "" if none is known. Those that still wait for the hub do not count.
 * Waits for the hub. Returns 0, AIDASH_EINVAL (an argument, or size is too small), or
 * AIDASH_ESTATE. Threads: as aidash_set_models(). */
int aidash_node_last(const char *node, char *id, size_t size);

/* On a board: the name of this run, of at most 17 bytes with the NUL. An event's id is
 * this, "-" and its `seq`. A tick has no `seq`, but a number: the calls of on_event
 * since aidash_start() count them all, from 1 on. Returns 0, AIDASH_EINVAL (size is too small), or AIDASH_ESTATE. Any
 * thread, callbacks included. */
int aidash_run(char *out, size_t size);

/* On a board: how the engine is now, as the event `status` without `seq`: to be sent
 * when a link comes up and every 5 s, so that the gateway knows that the board lives.
 * NUL-terminated; 16384 bytes are always enough. Waits for the hub. Returns 0,
 * AIDASH_EINVAL (size is too small), or AIDASH_ESTATE. Any thread, but not from a
 * callback. */
int aidash_status(char *json, size_t size);

/* On a board: carry out a command, as if a viewer had sent it who may all.
 *
 * json       as in a WebSocket message, at most AIDASH_MESSAGE_MAX bytes.
 * client_id  who asked, for on_command and the log, 1..AIDASH_CLIENT_ID_MAX of A-Z a-z
 *            0-9 . _ ~ -; NULL or "": nobody.
 * ack        gets the event `ack` or `error` that answers it, NUL-terminated; 512 bytes
 *            are always enough.
 *
 * Waits for the hub. Returns 0 (there is an answer), AIDASH_EINVAL (an argument) or
 * AIDASH_ESTATE. Any thread, but not from a callback. */
int aidash_command(const char *json, size_t len, const char *client_id, char *ack,
                   size_t size);

/* ---- paths of your own ------------------------------------------------------- */

/* Who asks for a path of your own. Valid during the callback only. */
struct aidash_visit {
    const char *method;   /* "GET", or "HEAD": what is replied is counted, not sent */
    const char *path;     /* as it was added */
    const char *query;    /* behind the "?", as it came (RFC 3986 3.4): percent-encoded, at
                           * most AIDASH_QUERY_MAX bytes; "" if there is none */
    const char *address;  /* the client's, or its proxy's, such as "192.0.2.7" */
    const char *key_name; /* as in struct aidash_command */
    unsigned rights;      /* what he may: AIDASH_MAY_VIEW and the others */
    int local;            /* 1: a program on this machine, by no proxy */
};

/* Answer GET and HEAD for a path by a callback: a camera's picture, a page of your own.
 *
 * path    1..AIDASH_PATH_MAX bytes: segments of A-Z a-z 0-9 - . _ ~ ! $ & ' ( ) * + , ;
 *         = : @, each behind a "/", none of them empty or "." or "..". None of aidash's
 *         own paths; a later version may have more of these: those below a folder of
 *         yours, such as "/acme/", stay free. Requests have to write it the same way,
 *         byte by byte. With the meter, it is not the engine's any more.
 * type    the media type, 3..AIDASH_TYPE_MAX characters, such as "image/jpeg".
 * right   what one needs: AIDASH_MAY_VIEW or another one; 0 is AIDASH_MAY_VIEW.
 * answer  calls aidash_reply() for the bytes, and returns an HTTP status, 200..599
 *         (RFC 9110 15). An error without bytes gets a JSON body. It runs on a thread of
 *         its own: one call at a time, whatever the path. A slow one keeps nobody
 *         waiting but others who ask for such a path: after 30 s they, and its own
 *         client, get 503. It may call all functions but aidash_start(),
 *         aidash_stop() and aidash_route(). aidash_stop() waits 0.8 s for it: then the
 *         client gets nothing, and the thread ends when the callback returns.
 * user    passed to it.
 *
 * The answer is sent when the callback returns: whoever takes it slowly does not hold
 * it up. path and type are copied. The same path again replaces it. Call it from the
 * starting thread, before aidash_start(); it lasts over aidash_stop().
 *
 * Returns 0, AIDASH_EINVAL, AIDASH_EFULL (there are AIDASH_ROUTES of them), each with
 * aidash_last_error(), or AIDASH_ESTATE: the server runs. */
int aidash_route(const char *path, const char *type, unsigned right,
                 int (*answer)(const struct aidash_visit *visit, void *user),
                 void *user);

/* The same for bytes that do not change, of any length: a logo, a script. They are not
 * copied, and must stay as they are until the process ends, or the path is replaced. A
 * browser that has them is told so (ETag, RFC 9110 8.8.3). No callback, no thread. */
int aidash_route_static(const char *path, const char *type, unsigned right,
                        const void *bytes, size_t len);

/* In such a callback, and on its thread: append bytes to the answer, which has room for
 * AIDASH_ROUTE_BYTES. They are copied. Returns 0, AIDASH_EINVAL (not in the callback),
 * AIDASH_EFULL (there is no room: the client will get 500), or AIDASH_ESTATE: the server
 * stops, and nobody will read it. */
int aidash_reply(const struct aidash_visit *visit, const void *bytes, size_t len);

/* ---- state ---------------------------------------------------------------- */

struct aidash_stats {
    uint64_t ticks;         /* ticks made into events */
    uint64_t inbox_dropped; /* ticks lost to a full inbox */
    uint64_t dropped;       /* events lost by viewers that did not keep up */
    uint64_t bytes_sent;    /* to all clients, those of the proxy included */
    unsigned viewers;       /* WebSocket and SSE connections now */
    int paused;             /* 1 while paused */
    char model[AIDASH_MODEL_MAX + 1]; /* the active model, "" if none */
};

/* Copy the counters. Waits for the hub (well below a millisecond when it is
 * idle). Returns 0, AIDASH_EINVAL (stats is NULL) or AIDASH_ESTATE (not started,
 * or stopping). Any thread, but not from a callback. */
int aidash_get_stats(struct aidash_stats *stats);

/* Print the map of static memory to standard output: each part's name, count and
 * bytes, and the total. Any thread, started or not. */
void aidash_print_sizes(void);

/* ---- aidash's own command line in a program of yours --------------------------- */

/* Options that a program may have beside aidash's own. */
#define AIDASH_ADDON_OPTIONS 16

/* An option, for the command line (--NAME VALUE), the environment (AIDASH_NAME) and the
 * config file. */
struct aidash_option {
    const char *name;  /* a-z, 0-9 and -; none of aidash's own */
    const char *value; /* what --help calls its value, such as "URL"; "": it takes none */
    const char *help;  /* a sentence for --help */
    int list;          /* 1: it may be repeated; the values are joined by commas */
};

/* A program that takes all of aidash's options and commands beside its own. All members
 * are set; what they point to stays as it is. Everything is called on the thread of
 * aidash_main(). */
struct aidash_addon {
    const char *program; /* its name, for --help and --version */
    const char *about;   /* what it is, in some words */
    const struct aidash_option *options; /* the last one has the name NULL */
    /* One of its options was given: called once for each, in their order, before the
     * start. value is valid during the call; written is the option as it was written
     * (--redis, AIDASH_REDIS, FILE line 3: redis), for messages. Returns 0, or prints
     * what is wrong and returns another value: aidash_main() returns 2. */
    int (*option)(const char *name, const char *value, const char *written);
    /* Set callbacks, and defaults: source holds unless --source or another option
     * names one. *config is all zeros before; aidash's own options come after it. Called
     * before the start, and again when SIGHUP lets the options be read. Returns as
     * option. */
    int (*configure)(struct aidash_config *config);
    /* The server runs. Returns 0, or prints why it can't go on: aidash_main() stops the
     * server and returns 1. */
    int (*started)(void);
    /* SIGINT or SIGTERM came: called before aidash_stop(). */
    void (*stopping)(void);
};

/* What the program aidash does: read the options, serve until a signal comes, or carry
 * out a command such as keys. addon NULL: aidash itself. Call it once, from main().
 * Returns the exit code: 0 stopped by a signal, 1 failed, 2 wrong option, 3 can't listen.
 *
 * It is there unless aidash.c was compiled with AIDASH_NO_MAIN. The program's own main()
 * replaces that of aidash.c, which is weak. */
int aidash_main(int argc, char **argv, const struct aidash_addon *addon);

#ifdef __cplusplus
}
#endif

#endif /* AIDASH_H */
