/* redis.c - aidash-redis: boards and gateways over Redis Streams. MIT licence.
 *
 *     aidash:events:NODE    a board's events: fields id and event
 *     aidash:commands:NODE  commands for it: field command
 *     aidash:acks:GATEWAY   answers for a gateway: field ack
 *
 * A batch goes out as one transaction (MULTI ... EXEC): Redis takes all of it or
 * nothing, so that a batch which is sent again keeps its order. What a lost connection
 * makes come twice, a gateway knows by its id.
 *
 * hiredis 0.14 and 1.x, Redis from 6.0 on.
 */
#define _GNU_SOURCE
#include "bridge.h"

#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#if defined(BRIDGE_REDIS_TLS)
#include <hiredis/hiredis_ssl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#endif

enum {
    ADDRESSES = 8,
    STREAMS = 1024,
    KEY_CAP = 128,
    POSITION_CAP = 48,
    CONNECT_S = 5,
    ANSWER_S = 10,       /* the longest silence of a server that is asked */
    BLOCK_MS = 1000,     /* of XREAD: less than ANSWER_S */
    READ_COUNT = 200,    /* entries of each stream at once */
    SCAN_S = 5,          /* between two looks for new boards */
    COMMANDS_KEPT = 1000, /* entries of streams of commands and answers */
    ACKS_S = 3600        /* and how long those of answers stay without a new one */
};

#define EVENTS "aidash:events:"
#define COMMANDS "aidash:commands:"
#define ACKS "aidash:acks:"

struct address {
    char host[256]; /* a name or an IP address; of a unix socket, its path */
    int port;       /* 0: a unix socket */
    bool tls;
    char user[128], password[256];
    int database;
};

/* A connection, and the thread whose it is. */
struct link {
    pthread_mutex_t lock; /* of fd, for hang_up() */
    int fd;               /* -1: none */
    bool hung_up;
    redisContext *context;
    size_t next; /* the address to try */
    char why[256];
};

struct stream {
    char key[KEY_CAP], position[POSITION_CAP];
    const char *node; /* in key; NULL: of commands or answers */
};

static struct {
    struct address addresses[ADDRESSES];
    size_t n;
    char user[128], password[256]; /* of the file */
    char ca[256];
    char length[24]; /* of a board's stream */
} settings = {.length = "10000"};

static struct link out_link = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};
static struct link in_link = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

static struct stream streams[STREAMS]; /* thread `in` */
static size_t streams_n;

/* ---- options ------------------------------------------------------------------------ */

/* Percent-encoded text (RFC 3986 2.1) of `len` bytes. False: it is longer than cap. */
static bool decode(const char *from, size_t len, char *to, size_t cap)
{
    size_t i, n = 0;

    for (i = 0; i < len && n + 1 < cap; i++) {
        unsigned byte = (unsigned char)from[i];

        if (from[i] == '%' && i + 2 < len && sscanf(from + i + 1, "%2x", &byte) == 1) {
            i += 2;
        }
        to[n++] = (char)byte;
    }
    to[n] = '\0';
    return i == len;
}

/* [redis|rediss]://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], or unix:PATH. */
static bool parse_address(const char *url, struct address *a)
{
    const char *at, *end = url + strlen(url), *path, *colon;

    memset(a, 0, sizeof(*a));
    if (strncmp(url, "unix:", 5) == 0) {
        url += strncmp(url, "unix://", 7) == 0 ? 7 : 5;
        return url[0] == '/' && decode(url, (size_t)(end - url), a->host, sizeof(a->host));
    }
    a->tls = strncmp(url, "rediss://", 9) == 0;
    if (!a->tls && strncmp(url, "redis://", 8) != 0) {
        return false;
    }
    url += a->tls ? 9 : 8;
    at = strrchr(url, '@');
    if (at != NULL) {
        colon = memchr(url, ':', (size_t)(at - url));
        if (colon == NULL ||
            !decode(url, (size_t)(colon - url), a->user, sizeof(a->user)) ||
            !decode(colon + 1, (size_t)(at - colon) - 1, a->password,
                    sizeof(a->password))) {
            return false;
        }
        url = at + 1;
    }
    path = strchr(url, '/');
    if (path != NULL) {
        a->database = atoi(path + 1);
        end = path;
    }
    colon = url[0] == '[' ? memchr(url, ']', (size_t)(end - url)) : url;
    if (colon == NULL) {
        return false;
    }
    colon = memchr(colon, ':', (size_t)(end - colon));
    a->port = colon != NULL ? atoi(colon + 1) : 6379;
    end = colon != NULL ? colon : end;
    if (url[0] == '[') {
        url++;
        end--;
    }
    return end > url && a->port > 0 && a->port < 65536 &&
           decode(url, (size_t)(end - url), a->host, sizeof(a->host));
}

static bool parse_addresses(char *list)
{
    char *save = NULL, *url;

    settings.n = 0;
    for (url = strtok_r(list, ",", &save); url != NULL; url = strtok_r(NULL, ",", &save)) {
        if (settings.n == ADDRESSES ||
            !parse_address(url, &settings.addresses[settings.n])) {
            return false;
        }
        settings.n++;
    }
    return settings.n > 0;
}

/* The first line of the file: PASSWORD or USER:PASSWORD. */
static bool read_password(const char *path)
{
    char line[sizeof(settings.user) + sizeof(settings.password)], *colon;
    FILE *f = fopen(path, "r");
    struct stat info;
    bool ok = f != NULL && fgets(line, sizeof(line), f) != NULL;

    if (ok && fstat(fileno(f), &info) == 0 && (info.st_mode & S_IROTH) != 0) {
        (void)fprintf(stderr, "aidash-redis: warn: every user of this machine can read %s\n",
                      path);
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    if (!ok) {
        return false;
    }
    line[strcspn(line, "\r\n")] = '\0';
    colon = strchr(line, ':');
    if (colon != NULL) {
        *colon = '\0';
    }
    (void)snprintf(settings.user, sizeof(settings.user), "%s", colon != NULL ? line : "");
    (void)snprintf(settings.password, sizeof(settings.password), "%s",
                   colon != NULL ? colon + 1 : line);
    return settings.password[0] != '\0' && strlen(line) < sizeof(settings.user);
}

static int wrong(const char *written, const char *sentence)
{
    (void)fprintf(stderr, "aidash-redis: %s: %s\n", written, sentence);
    return -1;
}

static int on_option(const char *name, const char *value, const char *written)
{
    char text[1024];

    (void)snprintf(text, sizeof(text), "%s", value);
    if (strcmp(name, "redis") == 0) {
        return parse_addresses(text) ? 0
                   : wrong(written, "it must be redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], "
                                    "rediss://... or unix:/PATH, 8 at most");
    }
    if (strcmp(name, "redis-password-file") == 0) {
        return read_password(value)
                   ? 0 : wrong(written, "no file whose first line is PASSWORD or USER:PASSWORD");
    }
    if (strcmp(name, "redis-ca") == 0) {
        (void)snprintf(settings.ca, sizeof(settings.ca), "%s", value);
        return strlen(value) < sizeof(settings.ca) ? 0 : wrong(written, "it is too long");
    }
    (void)snprintf(settings.length, sizeof(settings.length), "%.20s", value);
    return strspn(value, "0123456789") == strlen(value) && atol(value) >= 100 &&
                   atol(value) <= 100000000
               ? 0 : wrong(written, "it must be a whole number from 100 to 100000000");
}

static int check(void)
{
    size_t i;

    if (settings.n == 0) {
        return wrong("--redis", "which server? Such as --redis redis://127.0.0.1:6379");
    }
    for (i = 0; i < settings.n; i++) {
#if !defined(BRIDGE_REDIS_TLS)
        if (settings.addresses[i].tls) {
            return wrong("--redis", "this program was built with a hiredis that has no TLS "
                                    "(Debian 12's); a later one has: rediss:// needs it");
        }
#endif
        if (settings.password[0] != '\0' && settings.addresses[i].password[0] != '\0') {
            return wrong("--redis", "the password is in --redis-password-file already");
        }
    }
    return 0;
}

/* ---- a connection -------------------------------------------------------------------- */

static void drop(struct link *link)
{
    (void)pthread_mutex_lock(&link->lock);
    link->fd = -1;
    (void)pthread_mutex_unlock(&link->lock);
    if (link->context != NULL) {
        redisFree(link->context);
        link->context = NULL;
    }
}

/* Why the connection is of no use, for people; it is closed. */
static bool fail(struct link *link, const char *why)
{
    (void)snprintf(link->why, sizeof(link->why), "%s", why);
    drop(link);
    return false;
}

/* What Redis answers to a command: NULL, with link->why, if it does not, or says an
 * error. */
static redisReply *expect(struct link *link, redisReply *reply)
{
    if (reply == NULL) {
        (void)fail(link, link->context->errstr[0] != '\0' ? link->context->errstr
                                                           : "it does not answer");
    } else if (reply->type == REDIS_REPLY_ERROR) {
        (void)fail(link, reply->str);
        freeReplyObject(reply);
        reply = NULL;
    }
    return reply;
}

#if defined(BRIDGE_REDIS_TLS)
/* The server's certificate must be for its name or address (RFC 9525). */
static bool begin_tls(redisContext *context, const struct address *a)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    SSL *session = NULL;
    bool ok = tls != NULL &&
              (settings.ca[0] != '\0' ? SSL_CTX_load_verify_locations(tls, settings.ca, NULL)
                                      : SSL_CTX_set_default_verify_paths(tls)) == 1;

    if (ok) {
        SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
        session = SSL_new(tls);
        ok = session != NULL && (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session),
                                                               a->host) == 1 ||
                                 (SSL_set1_host(session, a->host) == 1 &&
                                  SSL_set_tlsext_host_name(session, a->host) == 1));
    }
    ok = ok && redisInitiateSSL(context, session) == REDIS_OK;
    if (!ok) {
        SSL_free(session); /* else the context owns it */
    }
    SSL_CTX_free(tls);
    return ok;
}
#else
static bool begin_tls(redisContext *context, const struct address *a)
{
    (void)context;
    (void)a;
    return false; /* check() has refused it */
}
#endif

/* Sign in, choose the database, and see that it answers. */
static bool greet(struct link *link, const struct address *a)
{
    const char *user = settings.password[0] != '\0' ? settings.user : a->user;
    const char *password = settings.password[0] != '\0' ? settings.password : a->password;
    redisReply *reply;

    if (password[0] != '\0') {
        reply = expect(link, user[0] != '\0'
                                 ? redisCommand(link->context, "AUTH %s %s", user, password)
                                 : redisCommand(link->context, "AUTH %s", password));
        if (reply == NULL) {
            return false;
        }
        freeReplyObject(reply);
    }
    reply = expect(link, a->database == 0
                             ? redisCommand(link->context, "PING")
                             : redisCommand(link->context, "SELECT %d", a->database));
    if (reply == NULL) {
        return false;
    }
    freeReplyObject(reply);
    return true;
}

/* Connect to the address whose turn it is. False, with link->why, when that failed: it
 * is the next one's turn then. */
static bool dial(struct link *link)
{
    const struct address *a = &settings.addresses[link->next % settings.n];
    struct timeval connect_limit = {CONNECT_S, 0}, answer_limit = {ANSWER_S, 0};
    redisContext *context = a->port == 0
                                ? redisConnectUnixWithTimeout(a->host, connect_limit)
                                : redisConnectWithTimeout(a->host, a->port, connect_limit);

    link->next++;
    link->context = context;
    if (context == NULL) {
        return fail(link, "there is no memory");
    }
    if (context->err != 0) {
        return fail(link, context->errstr);
    }
    (void)pthread_mutex_lock(&link->lock);
    link->fd = link->hung_up ? -1 : context->fd;
    (void)pthread_mutex_unlock(&link->lock);
    if (link->hung_up) {
        return fail(link, "the program ends");
    }
    (void)redisSetTimeout(context, answer_limit);
    if (a->port != 0) {
        (void)redisEnableKeepAlive(context);
    }
    if (a->tls && !begin_tls(context, a)) {
        return fail(link, context->err != 0 ? context->errstr : "TLS can't begin");
    }
    if (!greet(link, a)) {
        return false;
    }
    link->next--; /* it is good: after a loss it is tried first */
    return true;
}

static void hang_up(void)
{
    struct link *links[] = {&out_link, &in_link};
    size_t i;

    for (i = 0; i < 2; i++) {
        (void)pthread_mutex_lock(&links[i]->lock);
        links[i]->hung_up = true;
        if (links[i]->fd >= 0) {
            (void)shutdown(links[i]->fd, SHUT_RDWR);
        }
        (void)pthread_mutex_unlock(&links[i]->lock);
    }
}

/* ---- sending -------------------------------------------------------------------------- */

/* One message as an XADD in the pipeline. Returns how many commands it takes: the
 * stream of answers for a gateway's run is of no use for long. */
static size_t append(redisContext *context, const struct bridge_message *m)
{
    static const struct {
        const char *prefix, *field;
    } kinds[] = {{EVENTS, "event"}, {COMMANDS, "command"}, {ACKS, "ack"}};
    char key[KEY_CAP], kept[24];
    const char *argv[] = {"XADD", key, "MAXLEN", "~", settings.length, "*", "id", m->id,
                          kinds[m->kind].field, m->text};
    size_t len[] = {4, 0, 6, 1, 0, 1, 2, strlen(m->id), strlen(kinds[m->kind].field),
                    m->len};

    (void)snprintf(key, sizeof(key), "%s%s", kinds[m->kind].prefix, m->to);
    if (m->kind != BRIDGE_EVENT) {
        (void)snprintf(kept, sizeof(kept), "%d", COMMANDS_KEPT);
        argv[4] = kept;
    }
    len[1] = strlen(key);
    len[4] = strlen(argv[4]);
    (void)redisAppendCommandArgv(context, 10, argv, len);
    if (m->kind != BRIDGE_ACK) {
        return 1;
    }
    (void)redisAppendCommand(context, "EXPIRE %s %d", key, ACKS_S);
    return 2;
}

/* A batch as one transaction. True: Redis has it all. */
static bool send_batch(struct link *link, const struct bridge_batch *batch)
{
    redisReply *reply;
    size_t i, n = 0; /* commands between MULTI and EXEC */
    bool ok = true;

    (void)redisAppendCommand(link->context, "MULTI");
    for (i = 0; i < batch->n; i++) {
        n += append(link->context, &batch->messages[i]);
    }
    (void)redisAppendCommand(link->context, "EXEC");
    for (i = 0; i < n + 2; i++) {
        reply = NULL;
        if (redisGetReply(link->context, (void **)&reply) != REDIS_OK) {
            return fail(link, link->context->errstr);
        }
        if (ok && reply->type == REDIS_REPLY_ERROR) { /* the first one says why */
            (void)snprintf(link->why, sizeof(link->why), "%s", reply->str);
            ok = false;
        }
        if (ok && i == n + 1) {
            size_t k;

            for (k = 0; k < reply->elements; k++) {
                if (reply->element[k]->type == REDIS_REPLY_ERROR) {
                    (void)snprintf(link->why, sizeof(link->why), "%s",
                                   reply->element[k]->str);
                    ok = false;
                    break;
                }
            }
        }
        freeReplyObject(reply);
    }
    if (!ok && strncmp(link->why, "OOM", 3) != 0) {
        link->next++; /* such as READONLY: another address may be the one that writes */
        drop(link);
    }
    return ok;
}

static const char *where(const struct link *link)
{
    return settings.addresses[link->next % settings.n].host;
}

/* Send it until Redis has it, or the program ends. */
static void deliver(const struct bridge_batch *batch)
{
    unsigned tries;

    for (tries = 0;; tries++) {
        if ((out_link.context != NULL || dial(&out_link)) && send_batch(&out_link, batch)) {
            bridge_link(true, where(&out_link));
            return;
        }
        bridge_link(false, out_link.why);
        if (!bridge_pause(bridge_backoff(tries))) {
            bridge_lost(batch->n);
            return;
        }
    }
}

static void out(void)
{
    static struct bridge_batch batch;
    unsigned tries = 0;

    while (bridge_take(&batch, BLOCK_MS) > 0 || bridge_running()) {
        if (batch.n > 0) {
            deliver(&batch);
            continue;
        }
        /* Nothing to send: is it there? */
        if (out_link.context != NULL || dial(&out_link)) {
            redisReply *reply = expect(&out_link, redisCommand(out_link.context, "PING"));

            if (reply != NULL) {
                freeReplyObject(reply);
                bridge_link(true, where(&out_link));
                tries = 0;
                continue;
            }
        }
        bridge_link(false, out_link.why);
        (void)bridge_pause(bridge_backoff(tries++));
    }
    drop(&out_link);
}

/* ---- reading --------------------------------------------------------------------------- */

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
    redisReply *reply = expect(&in_link, redisCommand(in_link.context,
                                                      "XREVRANGE %s + - COUNT 1", key));

    if (reply == NULL) {
        return false;
    }
    (void)snprintf(position, POSITION_CAP, "0-0");
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
        reply->element[0]->type == REDIS_REPLY_ARRAY && reply->element[0]->elements == 2 &&
        reply->element[0]->element[0]->type == REDIS_REPLY_STRING) {
        (void)snprintf(position, POSITION_CAP, "%s", reply->element[0]->element[0]->str);
    }
    freeReplyObject(reply);
    return true;
}

/* Read this stream, too, if it is not read yet. */
static struct stream *follow(const char *key)
{
    struct stream *s = &streams[streams_n];
    size_t i;

    for (i = 0; i < streams_n; i++) {
        if (strcmp(streams[i].key, key) == 0) {
            return &streams[i];
        }
    }
    if (streams_n == STREAMS || strlen(key) >= sizeof(s->key)) {
        return NULL;
    }
    (void)snprintf(s->key, sizeof(s->key), "%s", key);
    (void)snprintf(s->position, sizeof(s->position), "0-0");
    s->node = strncmp(key, EVENTS, strlen(EVENTS)) == 0 ? s->key + strlen(EVENTS) : NULL;
    streams_n++;
    return s;
}

/* Look for boards that have come. */
static bool scan(void)
{
    char cursor[24] = "0";

    do {
        redisReply *reply = expect(&in_link, redisCommand(in_link.context,
                                                          "SCAN %s MATCH " EVENTS
                                                          "* COUNT 1000 TYPE stream", cursor));
        size_t i;

        if (reply == NULL) {
            return false;
        }
        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
            reply->element[0]->type != REDIS_REPLY_STRING) {
            freeReplyObject(reply);
            return fail(&in_link, "its answer to SCAN is odd");
        }
        (void)snprintf(cursor, sizeof(cursor), "%s", reply->element[0]->str);
        for (i = 0; i < reply->element[1]->elements; i++) {
            const redisReply *key = reply->element[1]->element[i];

            if (key->type == REDIS_REPLY_STRING) {
                (void)follow(key->str);
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
    char position[POSITION_CAP], key[KEY_CAP], name[BRIDGE_NAME_CAP];
    static bool known;
    struct stream *s;
    size_t i;

    if (!known && bridge_settings.publish) {
        /* What was commanded before this board was there is not its. */
        (void)snprintf(key, sizeof(key), COMMANDS "%s", bridge_settings.node);
        s = follow(key);
        known = newest(key, s->position);
        return known;
    }
    if (!known) {
        (void)snprintf(key, sizeof(key), ACKS "%s", bridge_gateway());
        (void)follow(key);
        for (i = 0; bridge_settings.node[0] != '\0' && bridge_node(i, name); i++) {
            (void)snprintf(key, sizeof(key), EVENTS "%s", name);
            (void)follow(key);
        }
        known = true;
    }
    for (i = 0; i < streams_n; i++) {
        if (!newest(streams[i].key, position)) {
            return false;
        }
        if (before(position, streams[i].position)) {
            (void)snprintf(streams[i].position, POSITION_CAP, "0-0");
        }
    }
    return true;
}

/* The value of a field of an entry; "" if it has none. */
static redisReply *field(const redisReply *fields, const char *name)
{
    size_t i;

    for (i = 0; i + 1 < fields->elements; i += 2) {
        if (fields->element[i]->type == REDIS_REPLY_STRING &&
            strcmp(fields->element[i]->str, name) == 0 &&
            fields->element[i + 1]->type == REDIS_REPLY_STRING) {
            return fields->element[i + 1];
        }
    }
    return NULL;
}

/* A command that waited for longer than its viewer did is not carried out. */
static bool fresh(const char *position)
{
    redisReply *reply = redisCommand(in_link.context, "TIME");
    unsigned long long now = 0, then = 0;

    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
        reply->element[0]->type == REDIS_REPLY_STRING) {
        now = strtoull(reply->element[0]->str, NULL, 10);
    }
    freeReplyObject(reply);
    then = strtoull(position, NULL, 10) / 1000;
    return now > 0 && now <= then + BRIDGE_COMMAND_S;
}

static void take_entry(struct stream *s, const redisReply *entry)
{
    const redisReply *value, *id;

    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
        entry->element[0]->type != REDIS_REPLY_STRING) {
        return;
    }
    if (entry->element[1]->type == REDIS_REPLY_ARRAY) {
        if (s->node != NULL) {
            value = field(entry->element[1], "event");
            id = field(entry->element[1], "id");
            if (value != NULL) {
                bridge_event(s->node, id != NULL ? id->str : "", value->str,
                             (size_t)value->len);
            }
        } else if (bridge_settings.publish) {
            value = field(entry->element[1], "command");
            if (value != NULL && fresh(entry->element[0]->str)) {
                bridge_command(value->str, (size_t)value->len);
            }
        } else {
            value = field(entry->element[1], "ack");
            if (value != NULL) {
                bridge_ack(NULL, value->str, (size_t)value->len);
            }
        }
    }
    (void)snprintf(s->position, sizeof(s->position), "%s", entry->element[0]->str);
}

/* What has come, of all streams: an array of [key, entries]. */
static void take(const redisReply *reply)
{
    size_t i, k;

    for (i = 0; i < reply->elements; i++) {
        const redisReply *one = reply->element[i];
        struct stream *s = NULL;

        if (one->type == REDIS_REPLY_ARRAY && one->elements == 2 &&
            one->element[0]->type == REDIS_REPLY_STRING) {
            s = follow(one->element[0]->str);
        }
        for (k = 0; s != NULL && k < one->element[1]->elements && bridge_running(); k++) {
            take_entry(s, one->element[1]->element[k]);
        }
    }
}

/* Wait for entries behind those that were read. */
static bool read_streams(void)
{
    static const char *argv[6 + 2 * STREAMS];
    char count[12], block[12];
    redisReply *reply;
    size_t i;

    if (streams_n == 0) {
        return bridge_pause(BLOCK_MS);
    }
    (void)snprintf(count, sizeof(count), "%d", READ_COUNT);
    (void)snprintf(block, sizeof(block), "%d", BLOCK_MS);
    argv[0] = "XREAD";
    argv[1] = "COUNT";
    argv[2] = count;
    argv[3] = "BLOCK";
    argv[4] = block;
    argv[5] = "STREAMS";
    for (i = 0; i < streams_n; i++) {
        argv[6 + i] = streams[i].key;
        argv[6 + streams_n + i] = streams[i].position;
    }
    reply = expect(&in_link, redisCommandArgv(in_link.context, (int)(6 + 2 * streams_n), argv,
                                              NULL));
    if (reply == NULL) {
        return false;
    }
    if (reply->type == REDIS_REPLY_ARRAY) {
        take(reply);
    }
    freeReplyObject(reply);
    return true;
}

static void in(void)
{
    bool all = bridge_settings.subscribe && bridge_settings.node[0] == '\0';
    struct timespec now;
    time_t scanned_s = 0;
    unsigned tries = 0;

    while (bridge_running()) {
        bool ok = in_link.context != NULL || (dial(&in_link) && begin());

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        if (ok && all && (scanned_s == 0 || now.tv_sec - scanned_s >= SCAN_S)) {
            ok = scan();
            scanned_s = now.tv_sec;
        }
        if (ok && read_streams()) {
            tries = 0;
        } else if (bridge_running()) {
            if (tries == 3) {
                bridge_say(AIDASH_LOG_WARN, "can't read from Redis: %s", in_link.why);
            }
            (void)bridge_pause(bridge_backoff(tries++));
        }
    }
    drop(&in_link);
}

static const struct aidash_option options[] = {
    {"redis", "URL", "the server: redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], rediss://... "
     "with TLS, or unix:/PATH; may be repeated: the next one is tried when one fails", 1},
    {"redis-password-file", "FILE", "file whose first line is PASSWORD or USER:PASSWORD", 0},
    {"redis-ca", "FILE", "certificates of the authorities that vouch for rediss:// servers, "
     "instead of the system's", 0},
    {"stream-length", "N", "events that the stream of this board keeps, about (default 10000)",
     0},
    {NULL, NULL, NULL, 0},
};

int main(int argc, char **argv)
{
    static const struct bridge redis = {
        "aidash-redis", "aidash with its boards and gateways on Redis Streams",
        options, on_option, check, out, in, hang_up,
    };

    return bridge_main(argc, argv, &redis);
}
