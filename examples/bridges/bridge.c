/* bridge.c - what the bridges to message brokers share: options, the queue between the
 * hub's thread and the broker's, commands and their answers. See bridge.h.
 */
#define _GNU_SOURCE
#include "bridge.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define JSMN_STATIC
#define JSMN_STRICT
#include "jsmn.h"

enum {
    OPTIONS = 5,       /* of all bridges */
    PENDING = 64,      /* commands whose answers may come; aidash has fewer */
    TOKENS = 256,      /* of JSON in a command or an answer */
    STATUS_CAP = 65536,
    COMMAND_CAP = 8192, /* bytes of a command's JSON; aidash has a limit of its own */
    FULL_WAIT_MS = 2,  /* until the hub is asked again whether it has room */
    FLUSH_S = 2        /* at the end, for what waits to be sent */
};

struct bridge_settings bridge_settings = {.buffer_kib = 8192};

static const struct bridge *broker;

/* A message in the queue; its text follows. */
struct record {
    enum bridge_kind kind;
    size_t len;
    char to[BRIDGE_NAME_CAP], id[BRIDGE_ID_CAP];
};

/* Between the hub's thread and the thread `out`: a ring of records. Whoever has the lock
 * copies one message at most. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t more; /* something is queued, or the end has come */
    pthread_cond_t end;  /* the end has come */
    char *bytes;
    size_t cap, at, used;
    uint64_t lost; /* messages that had no room: the oldest are dropped */
    bool up, closing;
    uint64_t up_since; /* how often the broker was reached */
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Which board has which command. */
static struct {
    pthread_mutex_t lock;
    size_t next;
    struct {
        uint64_t number;
        char node[BRIDGE_NAME_CAP];
    } commands[PENDING];
} pending = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_t out_thread, in_thread;

/* ---- saying something ------------------------------------------------------------ */

void bridge_say(enum aidash_log_level level, const char *format, ...)
{
    static const char *const names[] = {"info", "error", "warn", "info", "debug"};
    char line[512], note[AIDASH_TEXT_MAX + 1], *c;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    for (c = line; *c != '\0'; c++) {
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c;
    }
    (void)fprintf(stderr, "%s: %s%s%s\n", broker->program,
                  level == AIDASH_LOG_INFO ? "" : names[level],
                  level == AIDASH_LOG_INFO ? "" : ": ", line);
    (void)snprintf(note, sizeof(note), "%s", line);
    (void)aidash_note(level, note);
}

/* ---- time -------------------------------------------------------------------------- */

static struct timespec in_ms(unsigned ms)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

bool bridge_running(void)
{
    bool closing;

    (void)pthread_mutex_lock(&queue.lock);
    closing = queue.closing;
    (void)pthread_mutex_unlock(&queue.lock);
    return !closing;
}

bool bridge_pause(unsigned ms)
{
    struct timespec until = in_ms(ms);
    bool closing;
    int rc = 0;

    (void)pthread_mutex_lock(&queue.lock);
    while (!queue.closing && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&queue.end, &queue.lock, &until);
    }
    closing = queue.closing;
    (void)pthread_mutex_unlock(&queue.lock);
    return !closing;
}

unsigned bridge_backoff(unsigned n)
{
    unsigned ms = n < 6 ? 100u << n : 5000;
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return ms / 2 + (unsigned)(now.tv_nsec / 1000) % ms / 2;
}

/* ---- the queue ----------------------------------------------------------------------- */

static void ring_copy_in(size_t at, const void *from, size_t len)
{
    size_t first = queue.cap - at % queue.cap;

    if (first > len) {
        first = len;
    }
    memcpy(queue.bytes + at % queue.cap, from, first);
    memcpy(queue.bytes, (const char *)from + first, len - first);
}

static void ring_copy_out(size_t at, void *to, size_t len)
{
    size_t first = queue.cap - at % queue.cap;

    if (first > len) {
        first = len;
    }
    memcpy(to, queue.bytes + at % queue.cap, first);
    memcpy((char *)to + first, queue.bytes, len - first);
}

/* Forget the oldest record. Under the lock. */
static void ring_skip(const struct record *record)
{
    queue.at = (queue.at + sizeof(*record) + record->len) % queue.cap;
    queue.used -= sizeof(*record) + record->len;
}

/* Queue a message; the oldest give way to it, and are counted. Any thread. */
static void push(enum bridge_kind kind, const char *to, const char *id,
                 const char *text, size_t len)
{
    struct record record = {.kind = kind, .len = len}, oldest;
    size_t need = sizeof(record) + len;

    (void)snprintf(record.to, sizeof(record.to), "%s", to);
    (void)snprintf(record.id, sizeof(record.id), "%s", id);
    (void)pthread_mutex_lock(&queue.lock);
    if (len > BRIDGE_TEXT_MAX || need > queue.cap) {
        queue.lost++;
    } else {
        while (queue.used + need > queue.cap) {
            ring_copy_out(queue.at, &oldest, sizeof(oldest));
            ring_skip(&oldest);
            queue.lost++;
        }
        ring_copy_in(queue.at + queue.used, &record, sizeof(record));
        ring_copy_in(queue.at + queue.used + sizeof(record), text, len);
        queue.used += need;
        (void)pthread_cond_signal(&queue.more);
    }
    (void)pthread_mutex_unlock(&queue.lock);
}

/* Append a message to a batch. False if it has no room. */
static bool batch_add(struct bridge_batch *batch, const struct record *record)
{
    struct bridge_message *message = &batch->messages[batch->n];

    if (batch->n == BRIDGE_BATCH || record->len > BRIDGE_BATCH_BYTES - batch->used) {
        return false;
    }
    message->kind = record->kind;
    message->len = record->len;
    message->text = batch->bytes + batch->used;
    memcpy(message->to, record->to, sizeof(message->to));
    memcpy(message->id, record->id, sizeof(message->id));
    batch->n++;
    batch->used += record->len;
    return true;
}

/* Now and then, a board says how it is: the status event, for those who have come since
 * the last one. */
static void heartbeat(struct bridge_batch *batch)
{
    static uint64_t said_for;
    static time_t said_s;
    static char status[STATUS_CAP];
    struct record record = {.kind = BRIDGE_EVENT};
    struct timespec now;
    uint64_t up;
    int rc;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)pthread_mutex_lock(&queue.lock);
    up = queue.up_since;
    (void)pthread_mutex_unlock(&queue.lock);
    if (!bridge_settings.publish ||
        (up == said_for && now.tv_sec - said_s < BRIDGE_HEARTBEAT_S)) {
        return;
    }
    rc = aidash_status(status, sizeof(status));
    if (rc < 0) {
        return;
    }
    record.len = strlen(status);
    (void)snprintf(record.to, sizeof(record.to), "%s", bridge_settings.node);
    if (batch_add(batch, &record)) {
        memcpy(batch->bytes + batch->used - record.len, status, record.len);
        said_for = up;
        said_s = now.tv_sec;
    }
}

void bridge_lost(size_t n)
{
    (void)pthread_mutex_lock(&queue.lock);
    queue.lost += n;
    (void)pthread_mutex_unlock(&queue.lock);
}

size_t bridge_take(struct bridge_batch *batch, unsigned ms)
{
    struct timespec until = in_ms(ms);
    struct record record;
    int rc = 0;

    batch->n = batch->used = 0;
    if (bridge_running()) {
        heartbeat(batch);
    }
    (void)pthread_mutex_lock(&queue.lock);
    while (batch->n == 0 && queue.used == 0 && !queue.closing && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&queue.more, &queue.lock, &until);
    }
    while (queue.used > 0) {
        ring_copy_out(queue.at, &record, sizeof(record));
        if (!batch_add(batch, &record)) {
            break;
        }
        ring_copy_out(queue.at + sizeof(record), batch->bytes + batch->used - record.len,
                      record.len);
        ring_skip(&record);
        if (batch->n % 32 == 0) { /* the hub's thread does not wait for a whole batch */
            (void)pthread_mutex_unlock(&queue.lock);
            (void)pthread_mutex_lock(&queue.lock);
        }
    }
    (void)pthread_mutex_unlock(&queue.lock);
    return batch->n;
}

void bridge_link(bool up, const char *why)
{
    static uint64_t told;
    uint64_t lost;
    bool was;

    (void)pthread_mutex_lock(&queue.lock);
    was = queue.up;
    queue.up = up;
    queue.up_since += up && !was ? 1 : 0;
    lost = queue.lost;
    (void)pthread_mutex_unlock(&queue.lock);
    if (up && !was) {
        bridge_say(AIDASH_LOG_INFO, "connected to %s", why);
    } else if (!up && was) {
        bridge_say(AIDASH_LOG_WARN, "the broker is away: %s", why);
    }
    if (up && lost > told) {
        bridge_say(AIDASH_LOG_WARN, "%llu events were lost: they had no room in the buffer",
                   (unsigned long long)(lost - told));
        told = lost;
    }
}

/* ---- JSON of commands and answers --------------------------------------------------------- */

/* A text that grows to its cap; `full` if it did not fit. */
struct text {
    char *at;
    size_t len, cap;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format,
                                                      ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->at + t->len, t->cap - t->len, format, args);
    va_end(args);
    t->len += n > 0 ? (size_t)n : 0;
    t->len = t->len < t->cap ? t->len : t->cap - 1; /* its reader finds no JSON */
}

/* A name as a JSON string (RFC 8259 7); names have no control characters. */
static void put_string(struct text *t, const char *name)
{
    put(t, "\"");
    for (; *name != '\0'; name++) {
        put(t, *name == '"' || *name == '\\' ? "\\%c" : "%c", *name);
    }
    put(t, "\"");
}

struct slice {
    const char *at;
    size_t len;
    jsmntype_t type;
};

/* The member `name` of the JSON object `json`; a string is as it is written. */
static bool member(const char *json, size_t len, const char *name, struct slice *out)
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
            out->at = json + value->start;
            out->len = (size_t)(value->end - value->start);
            out->type = value->type;
            return true;
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

    if (!member(json, len, name, &value) || value.type != JSMN_STRING ||
        value.len >= cap) {
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

static uint64_t member_number(const char *json, size_t len, const char *name)
{
    struct slice value;
    char digits[24];

    if (!member(json, len, name, &value) || value.len >= sizeof(digits)) {
        return 0;
    }
    memcpy(digits, value.at, value.len);
    digits[value.len] = '\0';
    return strtoull(digits, NULL, 10);
}

/* ---- commands ------------------------------------------------------------------------------- */

const char *bridge_gateway(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static char run[BRIDGE_NAME_CAP];

    (void)pthread_mutex_lock(&lock); /* threads may ask at the same time at first */
    if (run[0] == '\0') {
        (void)aidash_run(run, sizeof(run));
    }
    (void)pthread_mutex_unlock(&lock);
    return run;
}

/* A viewer of a gateway commands a board. Hub thread. */
static int on_command(const struct aidash_command *command, void *user)
{
    char json[COMMAND_CAP];
    struct text t = {json, 0, sizeof(json)};
    bool up;
    int rc;

    (void)user;
    if (command->node[0] == '\0') {
        return 0;
    }
    (void)pthread_mutex_lock(&queue.lock);
    up = queue.up;
    (void)pthread_mutex_unlock(&queue.lock);
    if (!up) {
        return aidash_refuse(command, "the message broker is not reached now");
    }
    put(&t, "{\"gateway\":\"%s\",\"number\":%llu,\"command\":%s}", bridge_gateway(),
        (unsigned long long)command->number, command->json);
    rc = aidash_later(command, BRIDGE_COMMAND_S);
    if (rc == 0) {
        (void)pthread_mutex_lock(&pending.lock);
        pending.commands[pending.next].number = command->number;
        (void)snprintf(pending.commands[pending.next].node, BRIDGE_NAME_CAP, "%s",
                       command->node);
        pending.next = (pending.next + 1) % PENDING;
        (void)pthread_mutex_unlock(&pending.lock);
        push(BRIDGE_COMMAND, command->node, "", t.at, t.len);
    }
    return rc;
}

void bridge_command(const char *json, size_t len)
{
    static char ack[BRIDGE_TEXT_MAX];
    char gateway[BRIDGE_NAME_CAP], reply[BRIDGE_TEXT_MAX];
    struct text t = {reply, 0, sizeof(reply)};
    struct slice command;
    uint64_t number = member_number(json, len, "number");

    if (bridge_settings.no_commands || number == 0 ||
        !member_text(json, len, "gateway", gateway, sizeof(gateway)) ||
        !member(json, len, "command", &command) || command.type != JSMN_OBJECT) {
        return;
    }
    if (aidash_command(command.at, command.len, "gateway", ack, sizeof(ack)) < 0) {
        return;
    }
    put(&t, "{\"node\":");
    put_string(&t, bridge_settings.node);
    put(&t, ",\"number\":%llu,\"ack\":%s}", (unsigned long long)number, ack);
    push(BRIDGE_ACK, gateway, "", t.at, t.len);
}

/* Is this command one that this board was asked for? It is forgotten then. */
static bool pending_take(uint64_t number, const char *node)
{
    bool found = false;
    size_t i;

    (void)pthread_mutex_lock(&pending.lock);
    for (i = 0; i < PENDING && !found; i++) {
        found = pending.commands[i].number == number &&
                strcmp(pending.commands[i].node, node) == 0;
        if (found) {
            pending.commands[i].number = 0;
        }
    }
    (void)pthread_mutex_unlock(&pending.lock);
    return found;
}

void bridge_ack(const char *from, const char *json, size_t len)
{
    char node[BRIDGE_NAME_CAP], event[16], text[AIDASH_TEXT_MAX + 1];
    uint64_t number = member_number(json, len, "number");
    struct slice ack;
    bool done;

    if (number == 0 || !member_text(json, len, "node", node, sizeof(node)) ||
        (from != NULL && strcmp(from, node) != 0) || !member(json, len, "ack", &ack) ||
        !member_text(ack.at, ack.len, "event", event, sizeof(event)) ||
        !pending_take(number, node)) {
        return;
    }
    done = strcmp(event, "ack") == 0;
    if (done || !member_text(ack.at, ack.len, "message", text, sizeof(text))) {
        text[0] = '\0';
    }
    while (aidash_finish(number, done, text) == AIDASH_EFULL && bridge_pause(FULL_WAIT_MS)) {
    }
}

/* ---- events ------------------------------------------------------------------------------- */

/* An event of this board, with its number: ticks do not print theirs, so they are
 * counted; all others begin with their name and number. Hub thread. */
static void on_event(const char *json, size_t len, void *user)
{
    static uint64_t seq;
    char id[BRIDGE_ID_CAP], head[96];
    const char *number;

    (void)user;
    seq++;
    (void)snprintf(head, sizeof(head), "%.*s", (int)(len < 95 ? len : 95), json);
    number = strstr(head, "\",\"seq\":");
    if (number != NULL) {
        seq = strtoull(number + 8, NULL, 10);
    }
    if (strncmp(head, "{\"event\":\"node\",", 16) == 0) {
        return; /* another board's, which sends its own */
    }
    (void)snprintf(id, sizeof(id), "%s-%llu", bridge_gateway(), (unsigned long long)seq);
    push(BRIDGE_EVENT, bridge_settings.node, id, json, len);
}

void bridge_event(const char *node, const char *id, const char *json, size_t len)
{
    static uint64_t refused;
    int rc;

    do {
        rc = aidash_relay(node, id[0] != '\0' ? id : NULL, json, len);
    } while (rc == AIDASH_EFULL && bridge_pause(FULL_WAIT_MS));
    refused += rc == AIDASH_EINVAL ? 1 : 0;
    if (rc == AIDASH_EINVAL && (refused & (refused - 1)) == 0) { /* 1, 2, 4, 8 ... */
        bridge_say(AIDASH_LOG_WARN, "%llu events were no events of a board, the last of %s",
                   (unsigned long long)refused, node);
    }
}

/* ---- the program ------------------------------------------------------------------------------ */

bool bridge_node(size_t i, char *out)
{
    const char *at = bridge_settings.node;
    size_t len;

    for (;; i--) {
        len = strcspn(at, ",");
        if (i == 0) {
            break;
        }
        if (at[len] == '\0') {
            return false;
        }
        at += len + 1;
    }
    (void)snprintf(out, BRIDGE_NAME_CAP, "%.*s", (int)len, at);
    return len > 0;
}

static int usage(const char *sentence)
{
    (void)fprintf(stderr, "%s: %s (--help lists all)\n", broker->program, sentence);
    return -1;
}

static int on_option(const char *name, const char *value, const char *written)
{
    if (strcmp(name, "publish") == 0) {
        bridge_settings.publish = true;
    } else if (strcmp(name, "subscribe") == 0) {
        bridge_settings.subscribe = true;
    } else if (strcmp(name, "no-commands") == 0) {
        bridge_settings.no_commands = true;
    } else if (strcmp(name, "node") == 0) {
        (void)snprintf(bridge_settings.node, sizeof(bridge_settings.node), "%s", value);
    } else if (strcmp(name, "buffer") == 0) {
        char *end;
        unsigned long kib = strtoul(value, &end, 10);

        if (*end != '\0' || kib < 64 || kib > 1048576) {
            (void)fprintf(stderr, "%s: %s: '%s' is not a whole number from 64 to 1048576\n",
                          broker->program, written, value);
            return -1;
        }
        bridge_settings.buffer_kib = kib;
    } else {
        return broker->option(name, value, written);
    }
    return 0;
}

/* The options fit together. Called again by SIGHUP, without effect. */
static int on_configure(struct aidash_config *config)
{
    char name[BRIDGE_NAME_CAP];
    size_t i;

    if (bridge_settings.publish == bridge_settings.subscribe) {
        return usage("choose one of --publish and --subscribe");
    }
    if (bridge_settings.publish && bridge_settings.node[0] == '\0') {
        if (gethostname(bridge_settings.node, sizeof(bridge_settings.node) - 1) != 0) {
            return usage("this machine has no name; give --node");
        }
        bridge_settings.node[strcspn(bridge_settings.node, ".")] = '\0';
    }
    for (i = 0; bridge_settings.node[0] != '\0'; i++) {
        size_t k;

        if (!bridge_node(i, name)) {
            break;
        }
        for (k = 0; name[k] != '\0' && (unsigned char)name[k] > ' ' && name[k] != '*'; k++) {
        }
        if (name[k] != '\0' || k > AIDASH_NODE_MAX) {
            return usage("--node: a board's name has 1 to 31 bytes, without blanks and *");
        }
    }
    if (bridge_settings.publish && i > 1) {
        return usage("--node: this board has one name");
    }
    if (broker->check() != 0) {
        return -1;
    }
    if (bridge_settings.publish) {
        config->on_event = on_event;
    } else {
        config->source = "none";
        config->on_command = on_command;
    }
    if (queue.bytes == NULL) {
        queue.cap = bridge_settings.buffer_kib * 1024;
        queue.bytes = malloc(queue.cap);
        if (queue.bytes == NULL) {
            return usage("--buffer: there is not so much memory");
        }
    }
    return 0;
}

static void *run_out(void *unused)
{
    broker->out();
    return unused;
}

static void *run_in(void *unused)
{
    broker->in();
    return unused;
}

static int on_started(void)
{
    if (pthread_create(&out_thread, NULL, run_out, NULL) != 0 ||
        pthread_create(&in_thread, NULL, run_in, NULL) != 0) {
        return usage("the system has no thread for it");
    }
    return 0;
}

static void on_stopping(void)
{
    struct timespec until;

    (void)pthread_mutex_lock(&queue.lock);
    queue.closing = true;
    (void)pthread_cond_broadcast(&queue.more);
    (void)pthread_cond_broadcast(&queue.end);
    (void)pthread_mutex_unlock(&queue.lock);
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FLUSH_S;
    if (pthread_timedjoin_np(out_thread, NULL, &until) != 0) {
        broker->hang_up();
        (void)pthread_join(out_thread, NULL);
    }
    broker->hang_up();
    (void)pthread_join(in_thread, NULL);
    if (queue.lost > 0) {
        bridge_say(AIDASH_LOG_WARN, "%llu events were lost in this run",
                   (unsigned long long)queue.lost);
    }
}

int bridge_main(int argc, char **argv, const struct bridge *bridge)
{
    static struct aidash_option options[AIDASH_ADDON_OPTIONS + 1] = {
        {"publish", "", "send the events of this board to the broker", 0},
        {"subscribe", "", "be a gateway: show the boards whose events the broker has", 0},
        {"node", "NAME", "this board's name (default the machine's); of a gateway, the boards "
         "to show (default all); may be repeated", 1},
        {"buffer", "KIB", "memory for events while the broker is away (default 8192); the "
         "oldest are dropped, and counted", 0},
        {"no-commands", "", "take no commands from gateways", 0},
    };
    static struct aidash_addon addon;
    pthread_condattr_t attributes;
    size_t i;

    for (i = 0; OPTIONS + i < AIDASH_ADDON_OPTIONS && bridge->options[i].name != NULL; i++) {
        options[OPTIONS + i] = bridge->options[i];
    }
    broker = bridge;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&queue.more, &attributes);
    (void)pthread_cond_init(&queue.end, &attributes);
    addon = (struct aidash_addon){bridge->program, bridge->about, options, on_option,
                                  on_configure, on_started, on_stopping};
    return aidash_main(argc, argv, &addon);
}
