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

#include <hiredis.h>
#include <hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SERVERS = 8,
    STREAMS = 1024,
    KEY_CAP = 128,
    POSITION_CAP = 48,
    CONNECT_S = 5,
    ANSWER_S = 10,  /* the longest silence of a server that is asked */
    IDLE_MS = 1000, /* between two questions whether it is there */
    BLOCK_MS = 500, /* of XREAD: less than ANSWER_S */
    SCAN_MS = 5000, /* between two looks for new boards */
    SLOW_TRIES = 3  /* to read, before the log says so */
};

#define EVENTS "aidash:events:"
#define COMMANDS "aidash:commands:"
#define ACKS "aidash:acks:"
#define COMMANDS_KEPT "1000" /* entries of streams of commands and answers */
#define ACKS_S "3600"        /* and how long those of answers stay without a new one */
#define READ_COUNT "200"     /* entries of each stream at once */

static struct {
    struct bridge_url servers[SERVERS]; /* port 0: a unix socket, and `host` its path */
    size_t n;
    char user[BRIDGE_VALUE_CAP], password[BRIDGE_VALUE_CAP]; /* of the file */
    char ca[BRIDGE_VALUE_CAP], cert[BRIDGE_VALUE_CAP], key[BRIDGE_VALUE_CAP];
    unsigned long length; /* of a board's stream */
    SSL_CTX *tls;         /* NULL: no server has it */
} settings = {.length = 10000};

/* A connection of a thread's own. */
struct link {
    redisContext *context; /* NULL: none */
    size_t next;           /* the server to try */
    char why[256];         /* what was wrong with the last one */
};

/* A stream that thread `in` reads, behind its position. */
struct stream {
    char key[KEY_CAP], position[POSITION_CAP];
    const char *node; /* in key; NULL: of commands or answers */
};

static struct link out_link, in_link;
static struct stream streams[STREAMS];
static size_t streams_n;

/* ---- a connection -------------------------------------------------------------------- */

/* Why the connection is of no use, for people; it is closed. */
static bool fail(struct link *link, const char *why)
{
    (void)snprintf(link->why, sizeof(link->why), "%s", why);
    redisFree(link->context);
    link->context = NULL;
    return false;
}

/* The same of what hiredis says; it does not say what OpenSSL does. */
static bool fail_io(struct link *link)
{
    unsigned long error = ERR_peek_last_error();
    const char *tls = error != 0 ? ERR_reason_error_string(error) : NULL;

    return fail(link, tls != NULL ? tls : link->context->errstr);
}

/* What Redis answers; NULL, and the connection is closed, if it does not or says an
 * error. */
static redisReply *expect(struct link *link, redisReply *reply)
{
    if (reply == NULL) {
        (void)fail_io(link);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        (void)fail(link, reply->str);
        freeReplyObject(reply);
        return NULL;
    }
    return reply;
}

/* The same of an answer that tells nothing more. */
static bool succeeds(struct link *link, redisReply *reply)
{
    reply = expect(link, reply);
    freeReplyObject(reply);
    return reply != NULL;
}

/* Element i of an array, if it is of that type; NULL: what answers may be no Redis. */
static const redisReply *element(const redisReply *reply, size_t i, int type)
{
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY && i < reply->elements &&
                   reply->element[i]->type == type
               ? reply->element[i] : NULL;
}

static const char *string(const redisReply *reply, size_t i)
{
    const redisReply *found = element(reply, i, REDIS_REPLY_STRING);

    return found != NULL ? found->str : NULL;
}

/* The server's certificate must be for its name or address (RFC 9525). */
static bool begin_tls(struct link *link, const char *host)
{
    char why[sizeof(link->why)];
    SSL *session = SSL_new(settings.tls);
    long verdict;

    if (session == NULL) {
        return fail(link, "there is no memory for TLS");
    }
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host) != 1) {
        (void)SSL_set1_host(session, host);
        (void)SSL_set_tlsext_host_name(session, host);
    }
    if (redisInitiateSSL(link->context, session) == REDIS_OK) {
        return true; /* the context owns the session */
    }
    verdict = SSL_get_verify_result(session);
    (void)snprintf(why, sizeof(why), "%s%s",
                   verdict != X509_V_OK ? "its certificate is not accepted: " : "",
                   verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
                                        : link->context->errstr);
    SSL_free(session);
    return fail(link, why);
}

/* Sign in, choose the database, and see that it answers. */
static bool greet(struct link *link, const struct bridge_url *server)
{
    bool file = settings.password[0] != '\0';
    const char *user = file && settings.user[0] != '\0' ? settings.user : server->user;
    const char *password = file ? settings.password : server->password;

    if (password[0] != '\0' &&
        !succeeds(link, user[0] != '\0'
                            ? redisCommand(link->context, "AUTH %s %s", user, password)
                            : redisCommand(link->context, "AUTH %s", password))) {
        return false;
    }
    return succeeds(link, server->path[0] != '\0'
                              ? redisCommand(link->context, "SELECT %s", server->path)
                              : redisCommand(link->context, "PING"));
}

/* Connect to the server whose turn it is, if there is no connection. False: that failed,
 * and it is the next one's turn. */
static bool dial(struct link *link)
{
    const struct bridge_url *server = &settings.servers[link->next % settings.n];
    struct timeval connect_limit = {CONNECT_S, 0}, answer_limit = {ANSWER_S, 0};

    if (link->context != NULL) {
        return true;
    }
    link->next++;
    ERR_clear_error(); /* of a connection before */
    link->context = server->port == 0
                        ? redisConnectUnixWithTimeout(server->host, connect_limit)
                        : redisConnectWithTimeout(server->host, (int)server->port, connect_limit);
    if (link->context == NULL) {
        return fail(link, "there is no memory");
    }
    if (link->context->err != 0) {
        return fail(link, link->context->errstr);
    }
    if (server->port != 0) {
        (void)redisEnableKeepAlive(link->context);
    }
    (void)redisSetTimeout(link->context, connect_limit);
    if (server->tls && !begin_tls(link, server->host)) {
        return false;
    }
    (void)redisSetTimeout(link->context, answer_limit);
    if (!greet(link, server)) {
        return false;
    }
    link->next--; /* it is good: after a loss it is tried first */
    return true;
}

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
    (void)snprintf(length, sizeof(length), "%lu", settings.length);
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
static void note_error(struct link *link, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR && link->why[0] == '\0') {
        (void)snprintf(link->why, sizeof(link->why), "%s", reply->str);
    }
}

/* A batch as one transaction. True: Redis has it all. */
static bool send_batch(struct link *link, const struct bridge_batch *batch)
{
    redisReply *reply;
    size_t i, k, n = 2; /* MULTI and EXEC */

    link->why[0] = '\0';
    (void)redisAppendCommand(link->context, "MULTI");
    for (i = 0; i < batch->n; i++) {
        n += append(link->context, &batch->messages[i]);
    }
    (void)redisAppendCommand(link->context, "EXEC");
    for (i = 0; i < n; i++) {
        if (redisGetReply(link->context, (void **)&reply) != REDIS_OK) {
            return fail_io(link);
        }
        note_error(link, reply);
        for (k = 0; i == n - 1 && k < reply->elements; k++) {
            note_error(link, reply->element[k]);
        }
        freeReplyObject(reply);
    }
    if (link->why[0] != '\0' && strncmp(link->why, "OOM", 3) != 0) {
        link->next++; /* such as READONLY: another server may be the one that writes */
        redisFree(link->context);
        link->context = NULL;
    }
    return link->why[0] == '\0';
}

static void out(void)
{
    static struct bridge_batch batch;
    unsigned tries = 0;

    while (batch.n > 0 || bridge_take(&batch, IDLE_MS) > 0 || bridge_running()) {
        if (dial(&out_link) &&
            (batch.n > 0 ? send_batch(&out_link, &batch)
                         : succeeds(&out_link, redisCommand(out_link.context, "PING")))) {
            bridge_link(true, settings.servers[out_link.next % settings.n].host);
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
    redisReply *reply = expect(&in_link, redisCommand(in_link.context,
                                                      "XREVRANGE %s + - COUNT 1", key));
    const char *found = string(element(reply, 0, REDIS_REPLY_ARRAY), 0);

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
        reply = expect(&in_link, redisCommand(in_link.context, "SCAN %s MATCH " EVENTS
                                              "* COUNT 1000 TYPE stream", cursor));
        if (reply == NULL) {
            return false;
        }
        if (string(reply, 0) == NULL || element(reply, 1, REDIS_REPLY_ARRAY) == NULL) {
            freeReplyObject(reply);
            return fail(&in_link, "its answer to SCAN is odd");
        }
        (void)snprintf(cursor, sizeof(cursor), "%s", string(reply, 0));
        for (i = 0; i < reply->element[1]->elements; i++) {
            if (string(reply->element[1], i) != NULL) {
                (void)follow("", string(reply->element[1], i));
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
        if (string(fields, i) != NULL && strcmp(string(fields, i), name) == 0) {
            return element(fields, i + 1, REDIS_REPLY_STRING);
        }
    }
    return NULL;
}

/* A command that waited for longer than its viewer did is not carried out. */
static bool fresh(const char *position)
{
    redisReply *reply = redisCommand(in_link.context, "TIME");
    const char *now = string(reply, 0);
    bool is = now != NULL && strtoull(now, NULL, 10) <=
                                 strtoull(position, NULL, 10) / 1000 + BRIDGE_COMMAND_S;

    freeReplyObject(reply);
    return is;
}

/* An entry: [position, [field, value ...]]. */
static void take_entry(struct stream *s, const redisReply *entry)
{
    const redisReply *fields = element(entry, 1, REDIS_REPLY_ARRAY), *value;
    const char *position = string(entry, 0);

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
    reply = expect(&in_link, redisCommandArgv(in_link.context, (int)(6 + 2 * streams_n), argv,
                                              NULL));
    for (i = 0; reply != NULL && i < reply->elements; i++) {
        const redisReply *one = element(reply, i, REDIS_REPLY_ARRAY);
        const redisReply *entries = element(one, 1, REDIS_REPLY_ARRAY);
        struct stream *s = string(one, 0) != NULL ? follow("", string(one, 0)) : NULL;

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
        bool ok = in_link.context != NULL || (dial(&in_link) && begin());

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

/* ---- options ------------------------------------------------------------------------ */

/* One server: a URL, or unix:PATH. */
static bool parse_server(const char *url, struct bridge_url *server)
{
    if (strncmp(url, "unix:", 5) == 0) {
        memset(server, 0, sizeof(*server));
        url += strncmp(url, "unix://", 7) == 0 ? 7 : 5;
        (void)snprintf(server->host, sizeof(server->host), "%s", url);
        return url[0] == '/' && strlen(url) < sizeof(server->host);
    }
    if (!bridge_parse_url(url, "redis", server)) {
        return false;
    }
    server->port = server->port != 0 ? server->port : 6379;
    return strspn(server->path, "0123456789") == strlen(server->path) &&
           (server->user[0] == '\0' || server->password[0] != '\0');
}

static const char *parse_servers(const char *value)
{
    char list[SERVERS * BRIDGE_VALUE_CAP], *save = NULL, *url;

    (void)snprintf(list, sizeof(list), "%s", value);
    for (url = strtok_r(list, ",", &save); url != NULL; url = strtok_r(NULL, ",", &save)) {
        if (settings.n == SERVERS || !parse_server(url, &settings.servers[settings.n++])) {
            settings.n = 0;
            break;
        }
    }
    return settings.n > 0 && strlen(value) < sizeof(list)
               ? NULL : "it must be redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], rediss://... "
                        "or unix:/PATH, 8 at most";
}

static const char *parse_secret(const char *path)
{
    char *colon;

    if (!bridge_read_secret(path, settings.password)) {
        return "no file whose first line is PASSWORD or USER:PASSWORD";
    }
    colon = strchr(settings.password, ':');
    if (colon != NULL) {
        *colon = '\0';
        memcpy(settings.user, settings.password, strlen(settings.password) + 1);
        memmove(settings.password, colon + 1, strlen(colon + 1) + 1);
    }
    return settings.password[0] != '\0' ? NULL : "there is no password in it";
}

static int make_tls(void)
{
    settings.tls = SSL_CTX_new(TLS_client_method());
    if (settings.tls == NULL) {
        return bridge_wrong("--redis", "there is no memory for TLS");
    }
    SSL_CTX_set_verify(settings.tls, SSL_VERIFY_PEER, NULL);
    if ((settings.ca[0] != '\0' ? SSL_CTX_load_verify_locations(settings.tls, settings.ca, NULL)
                                : SSL_CTX_set_default_verify_paths(settings.tls)) != 1) {
        return bridge_wrong("--redis-ca", "no file with certificates in PEM");
    }
    if ((settings.cert[0] == '\0') != (settings.key[0] == '\0')) {
        return bridge_wrong("--redis-cert", "it needs --redis-key, and the other way round");
    }
    return settings.cert[0] == '\0' ||
                   (SSL_CTX_use_certificate_chain_file(settings.tls, settings.cert) == 1 &&
                    SSL_CTX_use_PrivateKey_file(settings.tls, settings.key,
                                                SSL_FILETYPE_PEM) == 1)
               ? 0 : bridge_wrong("--redis-cert", "no certificate in PEM with the key of "
                                                  "--redis-key");
}

static int check(void)
{
    bool tls = false;
    size_t i;

    if (settings.n == 0) {
        return bridge_wrong("--redis", "which server? Such as --redis redis://127.0.0.1:6379");
    }
    for (i = 0; i < settings.n; i++) {
        tls |= settings.servers[i].tls;
        if (settings.password[0] != '\0' && settings.servers[i].password[0] != '\0') {
            return bridge_wrong("--redis", "the password is in --redis-password-file already");
        }
    }
    if (!tls && (settings.ca[0] != '\0' || settings.cert[0] != '\0' || settings.key[0] != '\0')) {
        return bridge_wrong("--redis", "it must be rediss:// for --redis-ca, --redis-cert and "
                                       "--redis-key");
    }
    return tls ? make_tls() : 0;
}

static const struct bridge_option options[] = {
    {{"redis", "URL", "the server: redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], rediss://... "
      "with TLS, or unix:/PATH; may be repeated: the next one is tried when one fails", 1},
     .parse = parse_servers},
    {{"redis-password-file", "FILE", "file whose first line is PASSWORD or USER:PASSWORD", 0},
     .parse = parse_secret},
    {{"redis-ca", "FILE", "certificates of the authorities that vouch for rediss:// servers, "
      "instead of the system's", 0}, .text = settings.ca},
    {{"redis-cert", "FILE", "certificate to show to rediss:// servers, with --redis-key", 0},
     .text = settings.cert},
    {{"redis-key", "FILE", "its key", 0}, .text = settings.key},
    {{"stream-length", "N", "events that the stream of this board keeps, about (default 10000)",
      0}, .number = &settings.length, .min = 100, .max = 100000000},
    {.option = {NULL, NULL, NULL, 0}},
};

int main(int argc, char **argv)
{
    static const struct bridge redis = {
        "aidash-redis", "aidash with its boards and gateways on Redis Streams",
        options, check, out, in,
    };

    return bridge_main(argc, argv, &redis);
}
