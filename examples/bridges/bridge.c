/* bridge.c - what the bridges to message brokers share: the queue between the hub's thread
 * and the broker's, events, the threads. See bridge.h.
 */
#define _GNU_SOURCE
#include "bridge.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
    HEARTBEAT_MS = 5000, /* between two status events of a board */
    REMIND_MS = 60000,   /* between two lines about a broker that is away */
    FLUSH_MS = 2000,     /* at the end, for what waits to be sent */
    LEAVE_MS = 1000      /* and then for the threads: one may be in a call that waits */
};

static const struct bridge *broker;

/* Between the hub's thread and the thread `out`: a ring of messages, each a struct
 * bridge_message and its text. Whoever has the lock copies one message at most. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t more; /* something is queued, or the end has come */
    pthread_cond_t end;  /* the end has come */
    char *bytes;
    size_t cap, at, used;
    size_t waiting, taken; /* messages in the ring, and in the batch taken last */
    uint64_t lost, told;   /* messages that are lost, and of how many the log tells */
    bool up, closing;
    uint64_t over_ms; /* when the time to end is over */
    uint64_t ups;     /* how often the broker was reached */
    uint64_t said_ms; /* when the log was told of it; 0: never */
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_t out_thread, in_thread;
static bool left; /* a thread did not end */

/* ---- saying something ------------------------------------------------------------ */

void bridge_say(enum aidash_log_level level, const char *format, ...)
{
    static const char *const names[] = {"", "error: ", "warn: ", "", "debug: "};
    char line[512], note[AIDASH_TEXT_MAX + 1], *c;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    for (c = line; *c != '\0'; c++) {
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c;
    }
    (void)fprintf(stderr, "%s: %s%s\n", broker->program, names[level], line);
    (void)snprintf(note, sizeof(note), "%s", line);
    (void)aidash_note(level, note);
}

void bridge_say_often(uint64_t n, const char *what, const char *which)
{
    if ((n & (n - 1)) == 0) {
        bridge_say(AIDASH_LOG_WARN, "%llu %s, the last one: %s", (unsigned long long)n, what,
                   which);
    }
}

/* ---- time -------------------------------------------------------------------------- */

uint64_t bridge_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Wait for one of the queue's conditions until that time. Under the lock. True: it came. */
static bool wait_locked(pthread_cond_t *condition, uint64_t until_ms)
{
    struct timespec until = {(time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000};

    return pthread_cond_timedwait(condition, &queue.lock, &until) == 0;
}

bool bridge_pause(unsigned ms)
{
    uint64_t until_ms = bridge_now_ms() + ms;
    bool closing;

    (void)pthread_mutex_lock(&queue.lock);
    while (ms > 0 && !queue.closing && wait_locked(&queue.end, until_ms)) {
    }
    closing = queue.closing;
    (void)pthread_mutex_unlock(&queue.lock);
    return !closing;
}

bool bridge_running(void)
{
    return bridge_pause(0);
}

bool bridge_over(void)
{
    bool over;

    (void)pthread_mutex_lock(&queue.lock);
    over = queue.closing && bridge_now_ms() >= queue.over_ms;
    (void)pthread_mutex_unlock(&queue.lock);
    return over;
}

bool bridge_pause_longer(unsigned *tries)
{
    unsigned ms = *tries < 6 ? 100u << *tries : 5000, jitter = 0;

    (*tries)++;
    (void)!getrandom(&jitter, sizeof(jitter), 0);
    return bridge_pause(ms / 2 + jitter % (ms / 2));
}

/* ---- the queue ----------------------------------------------------------------------- */

static void ring_write(size_t at, const void *from, size_t len)
{
    size_t first = queue.cap - at % queue.cap;

    first = first < len ? first : len;
    memcpy(queue.bytes + at % queue.cap, from, first);
    memcpy(queue.bytes, (const char *)from + first, len - first);
}

static void ring_read(size_t at, void *to, size_t len)
{
    size_t first = queue.cap - at % queue.cap;

    first = first < len ? first : len;
    memcpy(to, queue.bytes + at % queue.cap, first);
    memcpy((char *)to + first, queue.bytes, len - first);
}

/* Forget the oldest message. Under the lock. */
static void ring_skip(const struct bridge_message *oldest)
{
    queue.at = (queue.at + sizeof(*oldest) + oldest->len) % queue.cap;
    queue.used -= sizeof(*oldest) + oldest->len;
    queue.waiting--;
}

void bridge_push(enum bridge_kind kind, const char *to, const char *id, const char *text,
                 size_t len)
{
    struct bridge_message message = {.kind = kind, .len = len}, oldest;
    size_t need = sizeof(message) + len;

    (void)snprintf(message.to, sizeof(message.to), "%s", to);
    (void)snprintf(message.id, sizeof(message.id), "%s", id);
    (void)pthread_mutex_lock(&queue.lock);
    if (len > BRIDGE_TEXT_MAX || need > queue.cap) {
        queue.lost++;
    } else {
        while (queue.used + need > queue.cap) {
            ring_read(queue.at, &oldest, sizeof(oldest));
            ring_skip(&oldest);
            queue.lost++;
        }
        ring_write(queue.at + queue.used, &message, sizeof(message));
        ring_write(queue.at + queue.used + sizeof(message), text, len);
        queue.used += need;
        queue.waiting++;
        (void)pthread_cond_signal(&queue.more);
    }
    (void)pthread_mutex_unlock(&queue.lock);
}

/* Move the oldest message into a batch. Under the lock. False: it has no room there. */
static bool take_locked(struct bridge_batch *batch)
{
    struct bridge_message *message = &batch->messages[batch->n];

    if (batch->n == BRIDGE_BATCH) {
        return false;
    }
    ring_read(queue.at, message, sizeof(*message));
    if (message->len > BRIDGE_BATCH_BYTES - batch->used) {
        return false;
    }
    message->text = batch->bytes + batch->used;
    ring_read(queue.at + sizeof(*message), batch->bytes + batch->used, message->len);
    ring_skip(message);
    batch->used += message->len;
    batch->n++;
    return true;
}

/* Now and then, and at once when the broker is there, a board says how it is. */
static void heartbeat(void)
{
    static char status[BRIDGE_TEXT_MAX];
    static uint64_t said_ms, said_ups;
    uint64_t ups;

    (void)pthread_mutex_lock(&queue.lock);
    ups = queue.ups;
    (void)pthread_mutex_unlock(&queue.lock);
    if (bridge_settings.publish && bridge_running() &&
        (ups != said_ups || bridge_now_ms() - said_ms >= HEARTBEAT_MS) &&
        aidash_status(status, sizeof(status)) == 0) {
        bridge_push(BRIDGE_EVENT, bridge_settings.nodes[0], "", status, strlen(status));
        said_ups = ups;
        said_ms = bridge_now_ms();
    }
}

size_t bridge_take(struct bridge_batch *batch, unsigned ms)
{
    uint64_t until_ms = bridge_now_ms() + ms, lost;

    heartbeat();
    batch->n = batch->used = 0;
    (void)pthread_mutex_lock(&queue.lock);
    while (queue.used == 0 && !queue.closing && wait_locked(&queue.more, until_ms)) {
    }
    while (queue.used > 0 && take_locked(batch)) {
        if (batch->n % 32 == 0) { /* the hub's thread does not wait for a whole batch */
            (void)pthread_mutex_unlock(&queue.lock);
            (void)pthread_mutex_lock(&queue.lock);
        }
    }
    queue.taken = batch->n;
    lost = queue.up ? queue.lost - queue.told : 0;
    queue.told += lost;
    (void)pthread_mutex_unlock(&queue.lock);
    if (lost > 0) {
        bridge_say(AIDASH_LOG_WARN, "%llu events were lost: they had no room in the buffer",
                   (unsigned long long)lost);
    }
    return batch->n;
}

void bridge_lost(size_t n)
{
    (void)pthread_mutex_lock(&queue.lock);
    queue.lost += n;
    (void)pthread_mutex_unlock(&queue.lock);
}

bool bridge_is_up(void)
{
    bool up;

    (void)pthread_mutex_lock(&queue.lock);
    up = queue.up;
    (void)pthread_mutex_unlock(&queue.lock);
    return up;
}

void bridge_link(bool up, const char *why)
{
    const char *what = "connected to";
    bool was, news;

    (void)pthread_mutex_lock(&queue.lock);
    was = queue.up;
    news = up != was;
    if (!up) {
        news |= queue.said_ms == 0 || bridge_now_ms() - queue.said_ms >= REMIND_MS;
        what = was ? "the broker is away:" : queue.said_ms == 0 ? "can't reach the broker yet:"
                                                                : "the broker is still away:";
    }
    queue.up = up;
    queue.ups += up && !was ? 1 : 0;
    queue.said_ms = news ? bridge_now_ms() : queue.said_ms;
    (void)pthread_mutex_unlock(&queue.lock);
    if (news) {
        bridge_say(up ? AIDASH_LOG_INFO : AIDASH_LOG_WARN, "%s %s", what, why);
    }
}

/* ---- events ---------------------------------------------------------------------------- */

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

/* An event of this board. Its number is that of the call, see aidash_run(). Those of
 * other boards ("node") are theirs to send. Hub thread. */
static void on_event(const char *json, size_t len, void *user)
{
    static const char other[] = "{\"event\":\"node\",";
    static uint64_t seq;
    char id[BRIDGE_ID_CAP];

    (void)user;
    seq++;
    if (len < sizeof(other) || memcmp(json, other, sizeof(other) - 1) != 0) {
        (void)snprintf(id, sizeof(id), "%s-%llu", bridge_gateway(), (unsigned long long)seq);
        bridge_push(BRIDGE_EVENT, bridge_settings.nodes[0], id, json, len);
    }
}

void bridge_event(const char *node, const char *id, const char *json, size_t len)
{
    static uint64_t refused; /* thread `in` */
    int rc;

    do {
        rc = aidash_relay(node, id[0] != '\0' ? id : NULL, json, len);
    } while (rc == AIDASH_EFULL && bridge_pause(BRIDGE_FULL_MS));
    if (rc == AIDASH_EINVAL) {
        bridge_say_often(++refused, "events were no events of a board", node);
    }
}

void bridge_gone(const char *node)
{
    while (aidash_node_gone(node) == AIDASH_EFULL && bridge_pause(BRIDGE_FULL_MS)) {
    }
}

/* ---- the program ------------------------------------------------------------------------ */

/* The options fit together. Called again by SIGHUP, without effect. */
static int on_configure(struct aidash_config *config)
{
    if (bridge_settings.publish) {
        config->on_event = on_event;
    } else {
        config->source = "none";
        config->on_command = bridge_on_command;
    }
    if (queue.bytes != NULL) {
        return 0;
    }
    if (bridge_check() != 0 || broker->check() != 0) {
        return -1;
    }
    queue.cap = bridge_settings.buffer_kib * 1024;
    queue.bytes = malloc(queue.cap);
    if (queue.bytes == NULL) {
        return bridge_wrong("--buffer", "there is not so much memory");
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
    left = pthread_create(&out_thread, NULL, run_out, NULL) != 0 ||
           pthread_create(&in_thread, NULL, run_in, NULL) != 0;
    return left ? bridge_wrong("threads", "the system has none for it") : 0;
}

/* What can be sent is sent. A thread that is in a call which waits longer is left. */
static void on_stopping(void)
{
    struct timespec until;
    uint64_t lost;

    (void)pthread_mutex_lock(&queue.lock);
    queue.closing = true;
    queue.over_ms = bridge_now_ms() + FLUSH_MS;
    (void)pthread_cond_broadcast(&queue.more);
    (void)pthread_cond_broadcast(&queue.end);
    (void)pthread_mutex_unlock(&queue.lock);
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (FLUSH_MS + LEAVE_MS) / 1000;
    left = pthread_timedjoin_np(out_thread, NULL, &until) != 0;
    (void)pthread_mutex_lock(&queue.lock);
    lost = queue.lost + queue.waiting + (left ? queue.taken : 0);
    (void)pthread_mutex_unlock(&queue.lock);
    left |= pthread_timedjoin_np(in_thread, NULL, &until) != 0;
    if (lost > 0) {
        bridge_say(AIDASH_LOG_WARN, "%llu events were lost in this run",
                   (unsigned long long)lost);
    }
}

int bridge_main(int argc, char **argv, const struct bridge *bridge)
{
    static struct aidash_addon addon;
    pthread_condattr_t monotonic;
    int code;

    broker = bridge;
    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets that the broker has closed */
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&queue.more, &monotonic);
    (void)pthread_cond_init(&queue.end, &monotonic);
    addon = (struct aidash_addon){bridge->program, bridge->about, bridge_options(bridge),
                                  bridge_take_option, on_configure, on_started, on_stopping};
    code = aidash_main(argc, argv, &addon);
    if (left) { /* what exit() takes away, that thread may use */
        (void)fflush(NULL);
        _exit(code);
    }
    return code;
}
