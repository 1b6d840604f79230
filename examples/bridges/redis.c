/* redis.c - aidash-redis: boards and gateways over Redis Streams. MIT licence.
 *
 *     aidash:events:NODE    a board's events: fields id and event
 *     aidash:commands:NODE  commands for it: field command
 *     aidash:acks:GATEWAY   answers for a gateway: field ack
 *
 * A batch goes out as one transaction (MULTI ... EXEC): Redis takes all of it or
 * nothing, so that a batch which is sent again keeps its order. What a lost connection
 * makes come twice, a gateway knows by its id. Each thread has a connection of its own.
 *
 * hiredis 1.2, Redis from 6.0 on.
 */
#define _GNU_SOURCE
#include "bridge.h"
#include "redis_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STREAMS = 1024,
    KEY_CAP = 128,
    POSITION_CAP = 48,
    IDLE_MS = 1000, /* between two questions whether it is there */
    BLOCK_MS = 500, /* of XREAD: less than REDIS_ANSWER_S */
    SCAN_MS = 5000, /* between two looks for new boards */
    SLOW_TRIES = 3  /* to read, before the log says so */
};

#define EVENTS "aidash:events:"
#define COMMANDS "aidash:commands:"
#define ACKS "aidash:acks:"
#define COMMANDS_KEPT "1000" /* entries of streams of commands and answers */
#define ACKS_S "3600"        /* and how long those of answers stay without a new one */
#define READ_COUNT "200"     /* entries of each stream at once */

/* A stream that thread `in` reads, behind its position. */
struct stream {
    char key[KEY_CAP], position[POSITION_CAP];
    const char *node; /* in key; NULL: of commands or answers */
};

static unsigned long stream_length = 10000; /* of a board's stream */
static struct redis_link out_link, in_link;
static struct stream streams[STREAMS];
static size_t streams_n;

/* ---- sending -------------------------------------------------------------------------- */

/* One message as an XADD in the pipeline. Returns how many commands it takes: the
 * stream of answers for a gateway's run is of no use for long. */
static size_t append(redisContext *context, const struct bridge_message *m)
{
    static const struct {
        const char *prefix, *field;
    } kinds[] = {{EVENTS, "event"}, {COMMANDS, "command"}, {ACKS, "ack"}};
    char key[KEY_CAP], length[24];
    const char *argv[] = {"XADD", key, "MAXLEN", "~",
                          m->kind == BRIDGE_EVENT ? length : COMMANDS_KEPT, "*", "id", m->id,
                          kinds[m->kind].field, m->text};
    size_t lens[10], i;

    (void)snprintf(key, sizeof(key), "%s%s", kinds[m->kind].prefix, m->to);
    (void)snprintf(length, sizeof(length), "%lu", stream_length);
    for (i = 0; i < 9; i++) {
        lens[i] = strlen(argv[i]);
    }
    lens[9] = m->len;
    (void)redisAppendCommandArgv(context, 10, argv, lens);
    if (m->kind != BRIDGE_ACK) {
        return 1;
    }
    (void)redisAppendCommand(context, "EXPIRE %s " ACKS_S, key);
    return 2;
}

/* The first error says why. */
static void note_error(char *why, size_t cap, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR && why[0] == '\0') {
        (void)snprintf(why, cap, "%s", reply->str);
    }
}

/* What EXEC gave. The stream of answers for a gateway may be written by every board, so one
 * of them can spoil it, such as by the last number that there is: an answer that it does not
 * take is lost, and holds up nothing else. */
static void note_done(char *why, size_t cap, const redisReply *done,
                      const struct bridge_batch *batch)
{
    static uint64_t refused; /* thread `out` */
    size_t i, k = 0;

    note_error(why, cap, done);
    for (i = 0; i < batch->n && k < done->elements; i++) {
        const redisReply *added = done->element[k];
        bool ack = batch->messages[i].kind == BRIDGE_ACK;

        if (!ack) {
            note_error(why, cap, added);
        } else if (added->type == REDIS_REPLY_ERROR) {
            bridge_say_often(++refused, "answers to commands were refused by Redis", added->str);
        }
        k += ack ? 2 : 1; /* with its EXPIRE */
    }
}

/* A batch as one transaction. True: Redis has it all, but for answers that it refuses. */
static bool send_batch(struct redis_link *link, const struct bridge_batch *batch)
{
    char why[sizeof(link->why)] = "";
    redisReply *reply;
    size_t i, n = 2; /* MULTI and EXEC */

    (void)redisAppendCommand(link->context, "MULTI");
    for (i = 0; i < batch->n; i++) {
        n += append(link->context, &batch->messages[i]);
    }
    (void)redisAppendCommand(link->context, "EXEC");
    for (i = 0; i < n; i++) {
        if (redisGetReply(link->context, (void **)&reply) != REDIS_OK) {
            return redis_fail_io(link);
        }
        if (i < n - 1) {
            note_error(why, sizeof(why), reply);
        } else {
            note_done(why, sizeof(why), reply, batch);
        }
        freeReplyObject(reply);
    }
    if (strncmp(why, "OOM", 3) == 0) { /* it is full: this server, later */
        memcpy(link->why, why, sizeof(why));
    } else if (why[0] != '\0') {
        link->next++; /* such as READONLY: another server may be the one that writes */
        (void)redis_fail(link, why);
    }
    return why[0] == '\0';
}

static void out(void)
{
    static struct bridge_batch batch;
    unsigned tries = 0;

    while (batch.n > 0 || bridge_take(&batch, IDLE_MS) > 0 || bridge_running()) {
        if (redis_dial(&out_link) &&
            (batch.n > 0 ? send_batch(&out_link, &batch)
                         : redis_succeeds(&out_link, redisCommand(out_link.context, "PING")))) {
            bridge_link(true, redis_where(&out_link));
            batch.n = 0;
            tries = 0;
        } else {
            bridge_link(false, out_link.why);
            if (!bridge_pause_longer(&tries)) {
                bridge_lost(batch.n);
                break;
            }
        }
    }
    redisFree(out_link.context);
}

/* ---- which streams are read, and where --------------------------------------------------- */

/* Is position a before b? Both are MILLISECONDS-NUMBER. */
static bool before(const char *a, const char *b)
{
    unsigned long long a_ms = 0, a_n = 0, b_ms = 0, b_n = 0;

    (void)sscanf(a, "%llu-%llu", &a_ms, &a_n);
    (void)sscanf(b, "%llu-%llu", &b_ms, &b_n);
    return a_ms != b_ms ? a_ms < b_ms : a_n < b_n;
}

/* The position of the newest entry of a stream into out; "0-0" if it has none. */
static bool newest(const char *key, char *position)
{
    redisReply *reply = redis_expect(&in_link, redisCommand(in_link.context,
                                                      "XREVRANGE %s + - COUNT 1", key));
    const char *found = redis_string(redis_element(reply, 0, REDIS_REPLY_ARRAY), 0);

    (void)snprintf(position, POSITION_CAP, "%s", found != NULL ? found : "0-0");
    freeReplyObject(reply);
    return reply != NULL;
}

/* Read this stream, too, if it is not read yet, from its start on. NULL: no room. */
static struct stream *follow(const char *prefix, const char *name)
{
    struct stream *s = &streams[streams_n];
    char key[2 * KEY_CAP];
    size_t i;

    (void)snprintf(key, sizeof(key), "%s%s", prefix, name);
    for (i = 0; i < streams_n; i++) {
        if (strcmp(streams[i].key, key) == 0) {
            return &streams[i];
        }
    }
    if (streams_n == STREAMS || strlen(key) >= KEY_CAP) {
        return NULL;
    }
    (void)snprintf(s->key, KEY_CAP, "%s", key);
    (void)snprintf(s->position, POSITION_CAP, "0-0");
    s->node = strncmp(key, EVENTS, strlen(EVENTS)) == 0 ? s->key + strlen(EVENTS) : NULL;
    streams_n++;
    return s;
}

/* Look for boards that have come. */
static bool scan(void)
{
    char cursor[24] = "0";
    redisReply *reply;
    size_t i;

    do {
        reply = redis_expect(&in_link, redisCommand(in_link.context, "SCAN %s MATCH " EVENTS
                                              "* COUNT 1000 TYPE stream", cursor));
        if (reply == NULL) {
            return false;
        }
        if (redis_string(reply, 0) == NULL || redis_element(reply, 1, REDIS_REPLY_ARRAY) == NULL) {
            freeReplyObject(reply);
            return redis_fail(&in_link, "its answer to SCAN is odd");
        }
        (void)snprintf(cursor, sizeof(cursor), "%s", redis_string(reply, 0));
        for (i = 0; i < reply->element[1]->elements; i++) {
            if (redis_string(reply->element[1], i) != NULL) {
                (void)follow("", redis_string(reply->element[1], i));
            }
        }
        freeReplyObject(reply);
    } while (strcmp(cursor, "0") != 0);
    return true;
}

/* A new connection. Whoever restarts Redis empty, or with an older copy, sets its
 * numbers back: a stream that has no entry as new as the last one read begins anew, and
 * ids tell what is known already. */
static bool begin(void)
{
    char position[POSITION_CAP];
    size_t i;

    if (streams_n == 0 && bridge_settings.publish) {
        follow(COMMANDS, bridge_settings.nodes[0])->position[0] = '\0';
    } else if (streams_n == 0) {
        (void)follow(ACKS, bridge_gateway());
        for (i = 0; i < bridge_settings.nodes_n; i++) {
            (void)follow(EVENTS, bridge_settings.nodes[i]);
        }
    }
    for (i = 0; i < streams_n; i++) {
        if (!newest(streams[i].key, position)) {
            return false;
        }
        if (streams[i].position[0] == '\0') { /* commands of before this board was there */
            memcpy(streams[i].position, position, POSITION_CAP);
        } else if (before(position, streams[i].position)) {
            (void)snprintf(streams[i].position, POSITION_CAP, "0-0");
        }
    }
    return true;
}

/* ---- reading --------------------------------------------------------------------------- */

/* The value of a field of an entry, or NULL. */
static const redisReply *field(const redisReply *fields, const char *name)
{
    size_t i;

    for (i = 0; fields != NULL && i + 1 < fields->elements; i += 2) {
        if (redis_string(fields, i) != NULL && strcmp(redis_string(fields, i), name) == 0) {
            return redis_element(fields, i + 1, REDIS_REPLY_STRING);
        }
    }
    return NULL;
}

/* A command that waited for longer than its viewer did is not carried out. */
static bool fresh(const char *position)
{
    redisReply *reply = redisCommand(in_link.context, "TIME");
    const char *now = redis_string(reply, 0);
    bool is = now != NULL && strtoull(now, NULL, 10) <=
                                 strtoull(position, NULL, 10) / 1000 + BRIDGE_COMMAND_S;

    freeReplyObject(reply);
    return is;
}

/* An entry: [position, [field, value ...]]. */
static void take_entry(struct stream *s, const redisReply *entry)
{
    const redisReply *fields = redis_element(entry, 1, REDIS_REPLY_ARRAY), *value;
    const char *position = redis_string(entry, 0);

    if (position == NULL) {
        return;
    }
    if (s->node != NULL) {
        const redisReply *id = field(fields, "id");

        value = field(fields, "event");
        if (value != NULL) {
            bridge_event(s->node, id != NULL ? id->str : "", value->str, value->len);
        }
    } else if (bridge_settings.publish) {
        value = field(fields, "command");
        if (value != NULL && fresh(position)) {
            bridge_command(value->str, value->len);
        }
    } else {
        value = field(fields, "ack");
        if (value != NULL) {
            bridge_ack(NULL, value->str, value->len);
        }
    }
    (void)snprintf(s->position, POSITION_CAP, "%s", position);
}

/* Wait for entries behind those that were read: an array of [key, entries]. */
static bool read_streams(void)
{
    static const char *argv[6 + 2 * STREAMS] = {"XREAD", "COUNT", READ_COUNT, "BLOCK"};
    char block[12];
    redisReply *reply;
    size_t i, k;

    if (streams_n == 0) {
        return bridge_pause(BLOCK_MS);
    }
    (void)snprintf(block, sizeof(block), "%d", BLOCK_MS);
    argv[4] = block;
    argv[5] = "STREAMS";
    for (i = 0; i < streams_n; i++) {
        argv[6 + i] = streams[i].key;
        argv[6 + streams_n + i] = streams[i].position;
    }
    reply = redis_expect(&in_link, redisCommandArgv(in_link.context, (int)(6 + 2 * streams_n), argv,
                                              NULL));
    for (i = 0; reply != NULL && i < reply->elements; i++) {
        const redisReply *one = redis_element(reply, i, REDIS_REPLY_ARRAY);
        const redisReply *entries = redis_element(one, 1, REDIS_REPLY_ARRAY);
        struct stream *s = redis_string(one, 0) != NULL ? follow("", redis_string(one, 0)) : NULL;

        for (k = 0; s != NULL && entries != NULL && k < entries->elements; k++) {
            if (bridge_running()) {
                take_entry(s, entries->element[k]);
            }
        }
    }
    freeReplyObject(reply);
    return reply != NULL;
}

static void in(void)
{
    bool all = bridge_settings.subscribe && bridge_settings.nodes_n == 0;
    uint64_t scan_ms = 0;
    unsigned tries = 0;

    while (bridge_running()) {
        bool ok = in_link.context != NULL || (redis_dial(&in_link) && begin());

        if (ok && all && bridge_now_ms() >= scan_ms) {
            ok = scan();
            scan_ms = bridge_now_ms() + SCAN_MS;
        }
        if (ok && read_streams()) {
            tries = 0;
        } else if (bridge_pause_longer(&tries) && tries == SLOW_TRIES) {
            bridge_say(AIDASH_LOG_WARN, "can't read from Redis: %s", in_link.why);
        }
    }
    redisFree(in_link.context);
}

/* ---- the program -------------------------------------------------------------------- */

static const struct bridge_option options[] = {
    {{"redis", "URL", "the server: redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], rediss://... "
      "with TLS, or unix:/PATH; may be repeated: the next one is tried when one fails", 1},
     .parse = redis_parse_servers},
    {{"redis-password-file", "FILE", "file whose first line is PASSWORD or USER:PASSWORD", 0},
     .parse = redis_parse_secret},
    {{"redis-ca", "FILE", "certificates of the authorities that vouch for rediss:// servers, "
      "instead of the system's", 0}, .text = redis_settings.ca},
    {{"redis-cert", "FILE", "certificate to show to rediss:// servers, with --redis-key", 0},
     .text = redis_settings.cert},
    {{"redis-key", "FILE", "its key", 0}, .text = redis_settings.key},
    {{"stream-length", "N", "events that the stream of this board keeps, about (default 10000)",
      0}, .number = &stream_length, .min = 100, .max = 100000000},
    {.option = {NULL, NULL, NULL, 0}},
};

int main(int argc, char **argv)
{
    static const struct bridge redis = {
        "aidash-redis", "aidash with its boards and gateways on Redis Streams",
        options, redis_check, out, in,
    };

    return bridge_main(argc, argv, &redis);
}
