/* redis_link.c - a connection to a Redis server, by hiredis. See redis_link.h. */
#define _GNU_SOURCE
#include "redis_link.h"

#include <hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_S = 5 };

struct redis_settings redis_settings;

static SSL_CTX *tls; /* NULL: no server has it */

/* ---- a connection -------------------------------------------------------------------- */

bool redis_fail(struct redis_link *link, const char *why)
{
    (void)snprintf(link->why, sizeof(link->why), "%s", why);
    redisFree(link->context);
    link->context = NULL;
    return false;
}

bool redis_fail_io(struct redis_link *link)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = error != 0 ? ERR_reason_error_string(error) : NULL;

    return redis_fail(link, reason != NULL ? reason : link->context->errstr);
}

redisReply *redis_expect(struct redis_link *link, redisReply *reply)
{
    if (reply == NULL) {
        (void)redis_fail_io(link);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        (void)redis_fail(link, reply->str);
        freeReplyObject(reply);
        return NULL;
    }
    return reply;
}

bool redis_succeeds(struct redis_link *link, redisReply *reply)
{
    reply = redis_expect(link, reply);
    freeReplyObject(reply);
    return reply != NULL;
}

const redisReply *redis_element(const redisReply *reply, size_t i, int type)
{
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY && i < reply->elements &&
                   reply->element[i]->type == type
               ? reply->element[i] : NULL;
}

const char *redis_string(const redisReply *reply, size_t i)
{
    const redisReply *found = redis_element(reply, i, REDIS_REPLY_STRING);

    return found != NULL ? found->str : NULL;
}

/* The server's certificate must be for its name or address (RFC 9525). */
static bool begin_tls(struct redis_link *link, const char *host)
{
    char why[sizeof(link->why)];
    SSL *session = SSL_new(tls);
    long verdict;

    if (session == NULL) {
        return redis_fail(link, "there is no memory for TLS");
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
    return redis_fail(link, why);
}

/* Sign in, choose the database, and see that it answers. */
static bool greet(struct redis_link *link, const struct bridge_url *server)
{
    const struct redis_settings *s = &redis_settings;
    bool file = s->password[0] != '\0';
    const char *user = file && s->user[0] != '\0' ? s->user : server->user;
    const char *password = file ? s->password : server->password;

    if (password[0] != '\0' &&
        !redis_succeeds(link, user[0] != '\0'
                                  ? redisCommand(link->context, "AUTH %s %s", user, password)
                                  : redisCommand(link->context, "AUTH %s", password))) {
        return false;
    }
    return redis_succeeds(link, server->path[0] != '\0'
                                    ? redisCommand(link->context, "SELECT %s", server->path)
                                    : redisCommand(link->context, "PING"));
}

bool redis_dial(struct redis_link *link)
{
    const struct bridge_url *server = &redis_settings.servers[link->next % redis_settings.n];
    struct timeval connect_limit = {CONNECT_S, 0}, answer_limit = {REDIS_ANSWER_S, 0};

    if (link->context != NULL) {
        return true;
    }
    link->next++;
    ERR_clear_error(); /* of a connection before */
    link->context = server->port == 0
                        ? redisConnectUnixWithTimeout(server->host, connect_limit)
                        : redisConnectWithTimeout(server->host, (int)server->port, connect_limit);
    if (link->context == NULL) {
        return redis_fail(link, "there is no memory");
    }
    if (link->context->err != 0) {
        return redis_fail(link, link->context->errstr);
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

const char *redis_where(const struct redis_link *link)
{
    return redis_settings.servers[link->next % redis_settings.n].host;
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

const char *redis_parse_servers(const char *value)
{
    struct redis_settings *s = &redis_settings;
    char list[REDIS_SERVERS * BRIDGE_VALUE_CAP], *save = NULL, *url;
    bool ok = strlen(value) < sizeof(list);

    (void)snprintf(list, sizeof(list), "%s", value);
    for (url = strtok_r(list, ",", &save); ok && url != NULL; url = strtok_r(NULL, ",", &save)) {
        ok = s->n < REDIS_SERVERS && parse_server(url, &s->servers[s->n]);
        s->n++;
    }
    return ok && s->n > 0 ? NULL : "it must be redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], "
                                   "rediss://... or unix:/PATH, 8 at most";
}

const char *redis_parse_secret(const char *path)
{
    char *colon;

    if (!bridge_read_secret(path, redis_settings.password)) {
        return "no file whose first line is PASSWORD or USER:PASSWORD";
    }
    colon = strchr(redis_settings.password, ':');
    if (colon != NULL) {
        *colon = '\0';
        memcpy(redis_settings.user, redis_settings.password, strlen(redis_settings.password) + 1);
        memmove(redis_settings.password, colon + 1, strlen(colon + 1) + 1);
    }
    return redis_settings.password[0] != '\0' ? NULL : "there is no password in it";
}

static int make_tls(void)
{
    const struct redis_settings *s = &redis_settings;

    tls = SSL_CTX_new(TLS_client_method());
    if (tls == NULL) {
        return bridge_wrong("--redis", "there is no memory for TLS");
    }
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    if ((s->ca[0] != '\0' ? SSL_CTX_load_verify_locations(tls, s->ca, NULL)
                          : SSL_CTX_set_default_verify_paths(tls)) != 1) {
        return bridge_wrong("--redis-ca", "no file with certificates in PEM");
    }
    if ((s->cert[0] == '\0') != (s->key[0] == '\0')) {
        return bridge_wrong("--redis-cert", "it needs --redis-key, and the other way round");
    }
    if (s->cert[0] != '\0' &&
        (SSL_CTX_use_certificate_chain_file(tls, s->cert) != 1 ||
         SSL_CTX_use_PrivateKey_file(tls, s->key, SSL_FILETYPE_PEM) != 1)) {
        return bridge_wrong("--redis-cert", "no certificate in PEM with the key of --redis-key");
    }
    return 0;
}

int redis_check(void)
{
    const struct redis_settings *s = &redis_settings;
    bool with_tls = false;
    size_t i;

    if (s->n == 0) {
        return bridge_wrong("--redis", "which server? Such as --redis redis://127.0.0.1:6379");
    }
    for (i = 0; i < s->n; i++) {
        with_tls |= s->servers[i].tls;
        if (s->password[0] != '\0' && s->servers[i].password[0] != '\0') {
            return bridge_wrong("--redis", "the password is in --redis-password-file already");
        }
    }
    if (with_tls) {
        return make_tls();
    }
    return s->ca[0] == '\0' && s->cert[0] == '\0' && s->key[0] == '\0'
               ? 0 : bridge_wrong("--redis", "it must be rediss:// for --redis-ca, --redis-cert "
                                             "and --redis-key");
}
