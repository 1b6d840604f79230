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
    BRIDGE_NAME_CAP = 64,              /* bytes of a board's or gateway's name, with its NUL */
    BRIDGE_ID_CAP = 64,                /* bytes of an event's id, likewise */
    BRIDGE_BATCH = 512,                /* messages that are taken at once */
    BRIDGE_BATCH_BYTES = 512 * 1024,   /* and their bytes */
    BRIDGE_TEXT_MAX = 64 * 1024,       /* longest event; aidash's own are shorter */
    BRIDGE_COMMAND_S = 30,             /* a board has so many seconds to answer a command */
    BRIDGE_HEARTBEAT_S = 5             /* between two status events of a board */
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

/* A broker. out() and in() run on threads of their own until bridge_running() is false;
 * out() then sends what bridge_take() still gives. */
struct bridge {
    const char *program, *about;
    const struct aidash_option *options; /* of its own; the last one has the name NULL */
    int (*option)(const char *name, const char *value, const char *written);
    /* All options were given. 0, or prints what is wrong and returns another value. */
    int (*check)(void);
    void (*out)(void);
    void (*in)(void);
    /* From another thread, when the time to end is over: let both return at once. */
    void (*hang_up)(void);
};

/* What the options say. Set before the threads start, then read-only. */
struct bridge_settings {
    bool publish, subscribe, no_commands;
    char node[1024];   /* --subscribe: a comma list, "" for all; --publish: this board */
    size_t buffer_kib;
};
extern struct bridge_settings bridge_settings;

/* What main() of a bridge returns. */
int bridge_main(int argc, char **argv, const struct bridge *bridge);

/* Name number i, from 0, of --node into out[BRIDGE_NAME_CAP]. False: there are fewer. */
bool bridge_node(size_t i, char *out);

/* False when the program is to end. Any thread. */
bool bridge_running(void);

/* Wait for so many milliseconds. False, and at once, when the program is to end. */
bool bridge_pause(unsigned ms);

/* Longer from try to try, with jitter, from 100 ms to 5 s: the milliseconds before try
 * number n, from 0. */
unsigned bridge_backoff(unsigned n);

/* The broker is reached, or is not any more; `why` is for people. The log and the
 * viewers are told of a change. Thread `out`. */
void bridge_link(bool up, const char *why);

/* Take what waits to be sent, up to a batch, and wait up to ms milliseconds for the
 * first of it. Returns how many. A board's heartbeat is among it. Thread `out`. */
size_t bridge_take(struct bridge_batch *batch, unsigned ms);

/* So many messages that were taken could not be sent before the end. */
void bridge_lost(size_t n);

/* A gateway has read an event of a board: into the hub; waits while the hub has no room.
 * id "" if there is none. */
void bridge_event(const char *node, const char *id, const char *json, size_t len);

/* A board has read a command: carry it out, and queue its answer. */
void bridge_command(const char *json, size_t len);

/* A gateway has read an answer. `from`: the board that the broker says it is of: one of
 * another is no answer; NULL: the broker does not say. */
void bridge_ack(const char *from, const char *json, size_t len);

/* The name by which answers reach this gateway: its run. */
const char *bridge_gateway(void);

/* A line to the log, and a note for the viewers; control characters, which a name from
 * outside may have, become "?". */
void bridge_say(enum aidash_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
