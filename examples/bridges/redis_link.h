/* redis_link.h - a connection to one of some Redis servers. MIT licence.
 *
 * Each thread has a connection of its own. The options say which servers there are, and
 * how to sign in.
 */
#ifndef REDIS_LINK_H
#define REDIS_LINK_H

#include "bridge.h"

#include <hiredis.h>

enum {
    REDIS_SERVERS = 8,
    REDIS_ANSWER_S = 10 /* the longest silence of a server that is asked */
};

/* What the options say. */
struct redis_settings {
    struct bridge_url servers[REDIS_SERVERS]; /* port 0: a unix socket, and `host` its path */
    size_t n;
    char user[BRIDGE_VALUE_CAP], password[BRIDGE_VALUE_CAP]; /* of the file */
    char ca[BRIDGE_VALUE_CAP], cert[BRIDGE_VALUE_CAP], key[BRIDGE_VALUE_CAP];
};
extern struct redis_settings redis_settings;

/* For the options --redis and --redis-password-file: what is wrong, or NULL. */
const char *redis_parse_servers(const char *list);
const char *redis_parse_secret(const char *path);

/* The options fit together: 0, or bridge_wrong(). */
int redis_check(void);

struct redis_link {
    redisContext *context; /* NULL: none */
    size_t next;           /* the server to try */
    char why[256];         /* what was wrong with the last connection, for people */
};

/* Connect to the server whose turn it is, if there is no connection. False: that failed,
 * and it is the next one's turn. */
bool redis_dial(struct redis_link *link);

/* The server's host. */
const char *redis_where(const struct redis_link *link);

/* The connection is of no use: it is closed. False, for the caller to return. */
bool redis_fail(struct redis_link *link, const char *why);

/* The same of what hiredis says; it does not say what OpenSSL does. */
bool redis_fail_io(struct redis_link *link);

/* What Redis answers; NULL, and the connection is closed, if it does not or says an
 * error. The caller frees it. */
redisReply *redis_expect(struct redis_link *link, redisReply *reply);

/* The same of an answer that tells nothing more, which is freed. */
bool redis_succeeds(struct redis_link *link, redisReply *reply);

/* Element i of an array, if it is of that type; NULL: what answers may be no Redis. */
const redisReply *redis_element(const redisReply *reply, size_t i, int type);

/* The same of a string. */
const char *redis_string(const redisReply *reply, size_t i);

#endif
