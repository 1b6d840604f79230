/* bridge.h - what the bridges to message brokers share. MIT licence.
 *
 * A bridge is aidash with two more threads. On a board (--publish) the thread `out`
 * sends the board's events to the broker, and `in` reads commands. On a gateway
 * (--subscribe) `in` reads the events of boards and the answers to commands, and `out`
 * sends commands. What the hub's thread hands over is only copied: it never waits for a
 * broker.
 */
#ifndef BRIDGE_H
#define BRIDGE_H

#include "aidash.h"

#include <stdbool.h>

enum {
    BRIDGE_NAME_CAP = 64,            /* bytes of a board's or gateway's name, with its NUL */
    BRIDGE_ID_CAP = 64,              /* bytes of an event's id, likewise */
    BRIDGE_VALUE_CAP = 256,          /* bytes of an option's value, likewise */
    BRIDGE_NODES = 256,              /* boards that --node can name */
    BRIDGE_BATCH = 512,              /* messages that are taken at once */
    BRIDGE_BATCH_BYTES = 512 * 1024, /* and their bytes */
    BRIDGE_TEXT_MAX = 64 * 1024,     /* longest event; aidash's own are shorter */
    BRIDGE_COMMAND_S = 30,           /* a board has so many seconds to answer a command */
    BRIDGE_FULL_MS = 2               /* until the hub is asked again whether it has room */
};

enum bridge_kind {
    BRIDGE_EVENT,   /* of this board */
    BRIDGE_COMMAND, /* {"gateway":G,"number":N,"command":{...}} for the board `to` */
    BRIDGE_ACK      /* {"node":B,"number":N,"ack":{...}} for the gateway `to` */
};

/* What is to be sent. */
struct bridge_message {
    enum bridge_kind kind;
    char to[BRIDGE_NAME_CAP]; /* a BRIDGE_EVENT: this board's own name */
    char id[BRIDGE_ID_CAP];   /* a BRIDGE_EVENT: RUN-SEQ, or "" */
    const char *text;         /* JSON, `len` bytes, not NUL-terminated */
    size_t len;
};

struct bridge_batch {
    size_t n, used;
    struct bridge_message messages[BRIDGE_BATCH];
    char bytes[BRIDGE_BATCH_BYTES];
};

/* An option, and the one place where its value goes. */
struct bridge_option {
    struct aidash_option option;
    bool *flag;                              /* becomes true */
    char *text;                              /* BRIDGE_VALUE_CAP bytes */
    unsigned long *number, min, max;
    const char *(*parse)(const char *value); /* returns what is wrong, or NULL */
};

/* A broker. out() and in() run on threads of their own until bridge_running() is false;
 * out() then sends what bridge_take() still gives, until bridge_over(). */
struct bridge {
    const char *program, *about;
    const struct bridge_option *options; /* of its own; the last one has the name NULL */
    /* All options were given. 0, or bridge_wrong(). */
    int (*check)(void);
    void (*out)(void);
    void (*in)(void);
};

/* What the options say. Set before the threads start, then read-only. */
struct bridge_settings {
    bool publish, subscribe, no_commands;
    char nodes[BRIDGE_NODES][BRIDGE_NAME_CAP]; /* --publish: this board; none: all boards */
    size_t nodes_n;
    unsigned long buffer_kib;
};
extern struct bridge_settings bridge_settings;

/* What main() of a bridge returns. */
int bridge_main(int argc, char **argv, const struct bridge *bridge);

/* ---- options: options.c ------------------------------------------------------------- */

/* For aidash_main(): the options of all bridges and those of this one, and where their
 * values go; bridge_check() sees that they fit together. */
const struct aidash_option *bridge_options(const struct bridge *bridge);
int bridge_take_option(const char *name, const char *value, const char *written);
int bridge_check(void);

/* Print that an option is wrong. Returns -1. */
int bridge_wrong(const char *written, const char *why);

/* scheme://[USER[:PASSWORD]@]HOST[:PORT][/PATH], with `s` behind the scheme for TLS. */
struct bridge_url {
    bool tls;
    unsigned long port; /* as in the URL, else 0 */
    char user[128], password[BRIDGE_VALUE_CAP], host[BRIDGE_VALUE_CAP], path[32];
};

/* Parse a URL (RFC 3986). False: it is none of that scheme, or too long. */
bool bridge_parse_url(const char *url, const char *scheme, struct bridge_url *out);

/* The first line of a file into out[BRIDGE_VALUE_CAP]; a file that all may read is said.
 * False: there is none, or it is too long. */
bool bridge_read_secret(const char *path, char *out);

/* This machine's name into out[BRIDGE_NAME_CAP], without its domain. */
void bridge_host(char *out);

/* ---- time ------------------------------------------------------------------------ */

/* Milliseconds of a clock that is never set. */
uint64_t bridge_now_ms(void);

/* False when the program is to end. Any thread, as all of these. */
bool bridge_running(void);

/* True when the time to end is over: what is not sent is lost. */
bool bridge_over(void);

/* Wait for so many milliseconds. False, and at once, when the program is to end. */
bool bridge_pause(unsigned ms);

/* The same before another try, number *tries from 0, which is counted: longer from try to
 * try, with jitter, from 100 ms to 5 s. */
bool bridge_pause_longer(unsigned *tries);

/* ---- sending: thread `out` --------------------------------------------------------- */

/* The broker is reached, or is not any more; `why` is for people: where it is, or what
 * is wrong. The log and the viewers are told of a change, and once a minute while it is
 * away. Any thread. */
void bridge_link(bool up, const char *why);

/* What was said last. Any thread. */
bool bridge_is_up(void);

/* Take what waits to be sent, up to a batch, and wait up to ms milliseconds for the
 * first of it. Returns how many. A board's heartbeat is among it. */
size_t bridge_take(struct bridge_batch *batch, unsigned ms);

/* So many messages that were taken can't be sent any more. Any thread. */
void bridge_lost(size_t n);

/* Queue a message; the oldest give way to it, and are counted. Any thread. */
void bridge_push(enum bridge_kind kind, const char *to, const char *id, const char *text,
                 size_t len);

/* A viewer of a gateway commands a board: for aidash's on_command. Hub thread. */
int bridge_on_command(const struct aidash_command *command, void *user);

/* ---- reading: thread `in` ------------------------------------------------------------ */

/* A gateway has read an event of a board: into the hub; waits while the hub has no room.
 * id "" if there is none. */
void bridge_event(const char *node, const char *id, const char *json, size_t len);

/* The broker says that a board has gone. */
void bridge_gone(const char *node);

/* A board has read a command: carry it out, and queue its answer. */
void bridge_command(const char *json, size_t len);

/* A gateway has read an answer. `from`: the board that the broker says it is of: one of
 * another is no answer; NULL: the broker does not say. */
void bridge_ack(const char *from, const char *json, size_t len);

/* The name by which answers reach this gateway: its run. Any thread. */
const char *bridge_gateway(void);

/* A line to the log, and a note for the viewers; control characters, which a name from
 * outside may have, become "?". Any thread. */
void bridge_say(enum aidash_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same of something that a peer can make happen often: `n` is how often it did. Only
 * the times 1, 2, 4, 8 ... are said: "N WHAT, the last one: WHICH". */
void bridge_say_often(uint64_t n, const char *what, const char *which);

#endif
