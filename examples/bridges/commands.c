/* commands.c - commands of a gateway's viewers to boards, and the boards' answers, as
 * they go over a message broker. See bridge.h.
 *
 * A board knows a command by a random number, a ticket: whoever can't read the board's
 * commands can't answer for it.
 */
#define _GNU_SOURCE
#include "bridge.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define JSMN_STATIC
#define JSMN_STRICT
#include "jsmn.h"

enum {
    PENDING = 64,      /* commands whose answers may come; aidash has fewer */
    TOKENS = 256,      /* of JSON in a command or an answer */
    COMMAND_CAP = 8192 /* bytes of a command's JSON; aidash has a limit of its own */
};

/* Which board has which command. */
static struct {
    pthread_mutex_t lock;
    size_t next;
    struct {
        uint64_t ticket, number; /* what the board knows it by; aidash's own */
        char node[BRIDGE_NAME_CAP];
    } commands[PENDING];
} pending = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- JSON: RFC 8259 ---------------------------------------------------------------- */

struct slice {
    const char *at;
    size_t len;
};

/* The member `name` of the JSON object `json`, if it is of that type; a string is as it
 * is written. */
static bool member(const char *json, size_t len, const char *name, jsmntype_t type,
                   struct slice *out)
{
    jsmntok_t tokens[TOKENS];
    jsmn_parser parser;
    int n, i;

    jsmn_init(&parser);
    n = jsmn_parse(&parser, json, len, tokens, TOKENS);
    if (n < 1 || tokens[0].type != JSMN_OBJECT) {
        return false;
    }
    for (i = 1; i + 1 < n;) {
        const jsmntok_t *key = &tokens[i], *value = &tokens[i + 1];

        if ((size_t)(key->end - key->start) == strlen(name) &&
            memcmp(json + key->start, name, strlen(name)) == 0) {
            *out = (struct slice){json + value->start, (size_t)(value->end - value->start)};
            return value->type == type;
        }
        for (i++; i < n && tokens[i].start < value->end; i++) {
        }
    }
    return false;
}

/* The same of a string, as a text with its NUL. False: none, longer, or with an escape
 * that no name or sentence of aidash's has (all but \" \\ and \/ of RFC 8259 7). */
static bool member_text(const char *json, size_t len, const char *name, char *out,
                        size_t cap)
{
    struct slice value;
    size_t i, n = 0;

    if (!member(json, len, name, JSMN_STRING, &value) || value.len >= cap) {
        return false;
    }
    for (i = 0; i < value.len; i++) {
        if (value.at[i] == '\\') {
            i++; /* jsmn has seen that something follows */
            if (strchr("\"\\/", value.at[i]) == NULL) {
                return false;
            }
        }
        out[n++] = value.at[i];
    }
    out[n] = '\0';
    return true;
}

/* {NAME_KEY:"name","number":N,BODY_KEY:{...}}: a command or an answer. */
struct envelope {
    char name[BRIDGE_NAME_CAP];
    uint64_t number;
    struct slice body;
};

static bool open_envelope(const char *json, size_t len, const char *name_key,
                          const char *body_key, struct envelope *out)
{
    struct slice number;

    out->number = member(json, len, "number", JSMN_PRIMITIVE, &number)
                      ? strtoull(number.at, NULL, 10) /* a "," or "}" is behind it */
                      : 0;
    return out->number > 0 && member_text(json, len, name_key, out->name, BRIDGE_NAME_CAP) &&
           member(json, len, body_key, JSMN_OBJECT, &out->body);
}

/* Queue an envelope for `to`. */
static void push_envelope(enum bridge_kind kind, const char *to, const char *name,
                          uint64_t number, const char *body)
{
    char json[COMMAND_CAP], quoted[2 * BRIDGE_NAME_CAP], *q = quoted;
    int n;

    for (; *name != '\0'; name++) { /* RFC 8259 7; names have no control characters */
        if (*name == '"' || *name == '\\') {
            *q++ = '\\';
        }
        *q++ = *name;
    }
    *q = '\0';
    n = snprintf(json, sizeof(json), "{\"%s\":\"%s\",\"number\":%llu,\"%s\":%s}",
                 kind == BRIDGE_ACK ? "node" : "gateway", quoted, (unsigned long long)number,
                 kind == BRIDGE_ACK ? "ack" : "command", body);
    if (n > 0 && (size_t)n < sizeof(json)) { /* aidash's commands and answers are shorter */
        bridge_push(kind, to, "", json, (size_t)n);
    }
}

/* ---- commands ------------------------------------------------------------------------- */

/* A reader of JSON keeps a number up to 2^53 (RFC 8259 6): so much of a ticket. */
int bridge_on_command(const struct aidash_command *command, void *user)
{
    uint64_t ticket;
    int rc;

    (void)user;
    if (command->node[0] == '\0') {
        return 0;
    }
    if (!bridge_is_up()) {
        return aidash_refuse(command, "the message broker is not reached now");
    }
    if (getrandom(&ticket, sizeof(ticket), 0) != (ssize_t)sizeof(ticket)) {
        return aidash_refuse(command, "the system has no random numbers");
    }
    ticket = (ticket >> 11) + 1;
    rc = aidash_later(command, BRIDGE_COMMAND_S);
    if (rc != 0) {
        return rc;
    }
    (void)pthread_mutex_lock(&pending.lock);
    pending.commands[pending.next].ticket = ticket;
    pending.commands[pending.next].number = command->number;
    (void)snprintf(pending.commands[pending.next].node, BRIDGE_NAME_CAP, "%s", command->node);
    pending.next = (pending.next + 1) % PENDING;
    (void)pthread_mutex_unlock(&pending.lock);
    push_envelope(BRIDGE_COMMAND, command->node, bridge_gateway(), ticket, command->json);
    return 0;
}

void bridge_command(const char *json, size_t len)
{
    char ack[1024];
    struct envelope e;

    if (!bridge_settings.no_commands && open_envelope(json, len, "gateway", "command", &e) &&
        aidash_command(e.body.at, e.body.len, "gateway", ack, sizeof(ack)) == 0) {
        push_envelope(BRIDGE_ACK, e.name, bridge_settings.nodes[0], e.number, ack);
    }
}

/* The number of the command with this ticket, if that board has it; it is forgotten then.
 * 0: there is none. */
static uint64_t pending_take(uint64_t ticket, const char *node)
{
    uint64_t number = 0;
    size_t i;

    (void)pthread_mutex_lock(&pending.lock);
    for (i = 0; i < PENDING && number == 0; i++) {
        if (pending.commands[i].ticket == ticket &&
            strcmp(pending.commands[i].node, node) == 0) {
            number = pending.commands[i].number;
            pending.commands[i].ticket = 0;
        }
    }
    (void)pthread_mutex_unlock(&pending.lock);
    return number;
}

void bridge_ack(const char *from, const char *json, size_t len)
{
    static uint64_t refused; /* thread `in` */
    char event[16], text[AIDASH_TEXT_MAX + 1] = "";
    struct envelope e = {.name = "?"};
    uint64_t number = 0;
    bool done;

    if (open_envelope(json, len, "node", "ack", &e) &&
        member_text(e.body.at, e.body.len, "event", event, sizeof(event)) &&
        (from == NULL || strcmp(from, e.name) == 0)) {
        number = pending_take(e.number, e.name);
    }
    if (number == 0) {
        bridge_say_often(++refused, "answers are to no command of that board",
                         from != NULL ? from : e.name);
        return;
    }
    done = strcmp(event, "ack") == 0;
    if (!done) {
        (void)member_text(e.body.at, e.body.len, "message", text, sizeof(text));
    }
    while (aidash_finish(number, done, text) == AIDASH_EFULL && bridge_pause(BRIDGE_FULL_MS)) {
    }
}
