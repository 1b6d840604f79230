/* A firmware with paths of its own, which library-routes.native.test.mjs leads by lines
 * on stdin, as library.c is, in C and in C++. Words are separated by '|'; it answers
 * each line with "= RESULT".
 *
 *     route PATH TYPE RIGHT KIND   -> aidash_route()'s code and sentence; KIND is a
 *                                     callback of the table below, or "none"
 *     static PATH TYPE RIGHT N     -> the same for aidash_route_static(): N bytes
 *     text PATH TYPE TEXT          -> the same for this text
 *     gauge NAME VALUE             -> aidash_gauge()'s code
 *     start VIEW CONTROL STATE_DIR TITLE LOGO PANEL UPSTREAM
 *                                  -> aidash_start()'s code, the port, the sentence
 *     release 1                    -> all stuck callbacks return; 0: later ones hang
 *     outside                      -> aidash_reply() in no callback
 *     stop                         -> how many callbacks have begun and returned so
 *                                     far, and how many ran beside another
 *
 * It tells "called" when a stuck callback has begun.
 */
#include "aidash.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int released, begun, returned, inside, together;
static const struct aidash_visit *kept;

static void enter(void)
{
    pthread_mutex_lock(&lock);
    begun++;
    together += ++inside > 1;
    pthread_mutex_unlock(&lock);
}

static int leave(int status)
{
    pthread_mutex_lock(&lock);
    returned++;
    inside--;
    pthread_mutex_unlock(&lock);
    return status;
}

/* All that it knows of who asks. */
static int echo(const struct aidash_visit *visit, void *user)
{
    char text[1024];
    struct aidash_stats stats;

    enter();
    pthread_mutex_lock(&lock);
    kept = visit;
    pthread_mutex_unlock(&lock);
    (void)aidash_get_stats(&stats);
    snprintf(text, sizeof(text), "%s|%s|%s|%s|%s|%u|%d|%s", visit->method, visit->path,
             visit->query, visit->address, visit->key_name, visit->rights, visit->local,
             (const char *)user);
    return leave(aidash_reply(visit, text, strlen(text)) == 0 ? 200 : 500);
}

/* "BYTES,PIECE": so many bytes, in pieces. */
static int size(const struct aidash_visit *visit, void *user)
{
    static char piece[65536];
    long left = atol(visit->query), each = 1000;
    int rc = 0;

    (void)user;
    enter();
    if (strchr(visit->query, ',') != NULL) {
        each = atol(strchr(visit->query, ',') + 1);
    }
    memset(piece, 'x', sizeof(piece));
    while (left > 0) {
        rc = aidash_reply(visit, piece, (size_t)(left < each ? left : each));
        left -= each;
    }
    printf("size %s %d\n", visit->query, rc);
    return leave(200);
}

/* The status of the query, with nothing. */
static int code(const struct aidash_visit *visit, void *user)
{
    (void)user;
    enter();
    return leave(atoi(visit->query));
}

/* Hangs until it is released. */
static int stuck(const struct aidash_visit *visit, void *user)
{
    int rc;

    (void)user;
    enter();
    printf("called\n");
    pthread_mutex_lock(&lock);
    while (!released) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
    rc = aidash_reply(visit, "late", 4);
    printf("reply %d\n", rc);
    return leave(200);
}

typedef int callback(const struct aidash_visit *visit, void *user);

static callback *find(const char *kind)
{
    static const struct {
        const char *kind;
        callback *call;
    } kinds[] = {{"echo", echo}, {"size", size}, {"code", code}, {"stuck", stuck}};
    size_t i;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].kind, kind) == 0) {
            return kinds[i].call;
        }
    }
    return NULL;
}

static void on_log(enum aidash_log_level level, const char *line, void *user)
{
    (void)user;
    printf("log %d %s\n", (int)level, line);
}

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static void start(char *const *word)
{
    struct aidash_config config;
    int rc;

    memset(&config, 0, sizeof(config));
    config.listen = "127.0.0.1:0";
    config.view = or_null(word[1]);
    config.control = or_null(word[2]);
    config.state_dir = or_null(word[3]);
    config.title = or_null(word[4]);
    config.logo = or_null(word[5]);
    config.panel = or_null(word[6]);
    config.upstream = or_null(word[7]);
    config.no_board = 1;
    config.on_log = on_log;
    rc = aidash_start(&config);
    printf("= %d %u %s\n", rc, aidash_port(0), aidash_last_error());
}

int main(void)
{
    static char line[8192];
    static char bytes[2000000];
    const char *word[8];
    size_t i;

    for (i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)(i % 251);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        char *at = line;
        int n;

        line[strcspn(line, "\n")] = '\0';
        for (n = 0; n < 8; n++) {
            word[n] = at;
            at += strcspn(at, "|");
            if (*at != '\0') {
                *at++ = '\0';
            }
        }
        if (strcmp(word[0], "route") == 0) {
            n = aidash_route(word[1], word[2], (unsigned)atoi(word[3]), find(word[4]),
                             (void *)"user");
            printf("= %d %s\n", n, aidash_last_error());
        } else if (strcmp(word[0], "static") == 0) {
            n = aidash_route_static(word[1], word[2], (unsigned)atoi(word[3]), bytes,
                                    (size_t)atol(word[4]));
            printf("= %d %s\n", n, aidash_last_error());
        } else if (strcmp(word[0], "text") == 0) {
            static char texts[8][4096]; /* they stay as they are */
            static int used;
            char *text = texts[used++ % 8];

            snprintf(text, sizeof(texts[0]), "%s", word[3]);
            n = aidash_route_static(word[1], word[2], 0, text, strlen(text));
            printf("= %d %s\n", n, aidash_last_error());
        } else if (strcmp(word[0], "start") == 0) {
            start((char *const *)word);
        } else if (strcmp(word[0], "release") == 0) {
            pthread_mutex_lock(&lock);
            released = atoi(word[1]);
            pthread_cond_broadcast(&changed);
            pthread_mutex_unlock(&lock);
            printf("= 0\n");
        } else if (strcmp(word[0], "gauge") == 0) {
            printf("= %d\n", aidash_gauge(word[1], "C", atof(word[2])));
        } else if (strcmp(word[0], "outside") == 0) {
            pthread_mutex_lock(&lock);
            n = aidash_reply(kept, "x", 1);
            pthread_mutex_unlock(&lock);
            printf("= %d %d\n", aidash_reply(NULL, "x", 1), n);
        } else if (strcmp(word[0], "stop") == 0) {
            aidash_stop();
            pthread_mutex_lock(&lock);
            printf("= %d %d %d\n", begun, returned, together);
            pthread_mutex_unlock(&lock);
        }
    }
    aidash_stop();
    return 0;
}
