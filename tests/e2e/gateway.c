/* A gateway, or a board, over the library, which library-nodes.native.test.mjs leads by
 * lines on stdin. Words are separated by tabs; it answers each line with "= RESULT".
 * Its on_command tells "command NUMBER CLIENT NODE JSON" of those for another board,
 * which it accepts for later, and accepts the others.
 */
#include "aidash.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- a flood: several boards at once, each from a thread of its own ---- */

enum { BOARDS = 4 };

static int each;                     /* events of a board */
static _Atomic long seen[BOARDS], wrong; /* by on_event, on the hub thread */
static unsigned long calls;          /* of on_event */
static int telling;                  /* 1: it prints every event with its id */

/* The number behind `key` in an event, or -1. */
static long number_of(const char *json, size_t len, const char *key)
{
    const char *at = memmem(json, len, key, strlen(key));

    return at != NULL ? strtol(at + strlen(key), NULL, 10) : -1;
}

static void on_event(const char *json, size_t len, void *user)
{
    long board = number_of(json, len, "\"node\":\"board "), n;
    char run[17];

    (void)user;
    calls++;
    if (telling && aidash_run(run, sizeof(run)) == 0) {
        printf("event\t%s-%lu\t%.*s\n", run, calls, (int)len, json);
    }
    n = number_of(json, len, "\"tokens_generated\":");
    if (n < 0) {
        n = number_of(json, len, "\"n\":");
    }
    if (board >= 0 && board < BOARDS && n >= 0) {
        wrong += n != ++seen[board];
    }
}

/* Until it is taken. Returns what aidash_relay() says then; *waits counts. */
static int relay(const char *node, const char *id, const char *json, size_t len,
                 long *waits)
{
    static const struct timespec nap = {0, 500000};
    int rc;

    while ((rc = aidash_relay(node, id, json, len)) == AIDASH_EFULL) {
        ++*waits;
        nanosleep(&nap, NULL);
    }
    return rc;
}

/* Ticks, and other events of different lengths; every tenth comes twice. */
static void *board(void *number)
{
    static const char pad[] = "................................................";
    char node[32], id[64], json[512];
    long waits = 0, bad = 0;
    int i;

    snprintf(node, sizeof(node), "board %d", (int)(size_t)number);
    for (i = 1; i <= each; i++) {
        snprintf(id, sizeof(id), "a%d-%d", (int)(size_t)number, i);
        if (i % 4 != 0) {
            snprintf(json, sizeof(json), "{\"event\":\"inference_tick\",\"model\":\"m\","
                     "\"tokens_generated\":%d,\"latency_ms\":1,\"tokens_per_second\":1,"
                     "\"timestamp\":%d}", i, i);
        } else {
            snprintf(json, sizeof(json), "{\"event\":\"request\",\"n\":%d,\"p\":\"%s\"}", i,
                     pad + i % sizeof(pad));
        }
        bad += relay(node, id, json, strlen(json), &waits) != 0;
        if (i % 10 == 0) {
            bad += relay(node, id, json, strlen(json), &waits) != 0;
        }
    }
    return (void *)(size_t)(bad * 1000000 + (waits < 999999 ? waits : 999999));
}

static void flood(void)
{
    static const struct timespec nap = {0, 1000000};
    pthread_t threads[BOARDS];
    size_t i, bad = 0, waits = 0;
    void *sum;
    int left;

    wrong = 0;
    for (i = 0; i < BOARDS; i++) {
        seen[i] = 0;
    }
    for (i = 0; i < BOARDS; i++) {
        pthread_create(&threads[i], NULL, board, (void *)i);
    }
    for (i = 0; i < BOARDS; i++) {
        pthread_join(threads[i], &sum);
        bad += (size_t)sum / 1000000;
        waits += (size_t)sum % 1000000;
    }
    /* What is in the ring comes out by itself. */
    for (left = 60000; left > 0; left--) {
        for (i = 0; i < BOARDS && seen[i] >= each; i++) {
        }
        if (i == BOARDS) {
            break;
        }
        nanosleep(&nap, NULL);
    }
    printf("= %lu %ld %d %lu\n", (unsigned long)bad, wrong, i == BOARDS,
           (unsigned long)waits);
}

/* ---- one line ---- */

/* Relay a file whose lines are an id, a tab and an event: "= TAKEN REFUSED". */
static void relay_file(const char *node, const char *path)
{
    static char line[65536];
    FILE *file = fopen(path, "r");
    long waits = 0, taken = 0, refused = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        char *json = strchr(line, '\t');

        *json++ = '\0';
        json[strcspn(json, "\n")] = '\0';
        if (relay(node, line, json, strlen(json), &waits) == 0) {
            taken++;
        } else {
            refused++;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    printf("= %ld %ld\n", taken, refused);
}

static int on_command(const struct aidash_command *c, void *user)
{
    (void)user;
    if (c->node[0] == '\0') {
        return 0;
    }
    printf("command\t%llu\t%s\t%s\t%s\n", (unsigned long long)c->number, c->client_id,
           c->node, c->json);
    return aidash_later(c, 100);
}

static void on_log(enum aidash_log_level level, const char *line, void *user)
{
    (void)user;
    printf("log\t%d\t%s\n", (int)level, line);
}

/* Turns "\n" of a word into a line end. */
static void unescape(char *word)
{
    char *at = word;

    while ((at = strstr(at, "\\n")) != NULL) {
        at[0] = ' ';
        at[1] = '\n';
    }
}

int main(void)
{
    static char line[65536], text[65536];
    char *word[6];

    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        struct aidash_config config;
        char *at = line;
        int n;

        line[strcspn(line, "\n")] = '\0';
        for (n = 0; n < 6; n++) {
            word[n] = at;
            at += strcspn(at, "\t");
            if (*at != '\0') {
                *at++ = '\0';
            }
        }
        if (strcmp(word[0], "start") == 0) {
            memset(&config, 0, sizeof(config));
            config.listen = "127.0.0.1:0";
            config.models = word[1][0] != '\0' ? word[1] : NULL;
            config.no_board = 1;
            config.on_command = on_command;
            config.on_event = on_event;
            config.on_log = on_log;
            calls = 0;
            n = aidash_start(&config);
            printf("= %d %u %s\n", n, aidash_port(0), aidash_last_error());
        } else if (strcmp(word[0], "tell") == 0) {
            telling = atoi(word[1]);
            printf("= 0\n");
        } else if (strcmp(word[0], "relay") == 0) {
            unescape(word[3]);
            printf("= %d\n", aidash_relay(word[1], word[2], word[3], strlen(word[3])));
        } else if (strcmp(word[0], "zeros") == 0) {
            printf("= %d %d %d\n", aidash_relay(NULL, "", "{}", 2),
                   aidash_relay("n", NULL, NULL, 0), aidash_node_gone(NULL));
        } else if (strcmp(word[0], "file") == 0) {
            relay_file(word[1], word[2]);
        } else if (strcmp(word[0], "flood") == 0) {
            each = atoi(word[1]);
            flood();
        } else if (strcmp(word[0], "gone") == 0) {
            printf("= %d\n", aidash_node_gone(word[1]));
        } else if (strcmp(word[0], "last") == 0) {
            n = aidash_node_last(word[1], text, (size_t)atoi(word[2]));
            printf("= %d %s\n", n, n == 0 ? text : "");
        } else if (strcmp(word[0], "run") == 0) {
            n = aidash_run(text, (size_t)atoi(word[1]));
            printf("= %d %s\n", n, n == 0 ? text : "");
        } else if (strcmp(word[0], "status") == 0) {
            n = aidash_status(text, (size_t)atoi(word[1]));
            printf("= %d %s\n", n, n == 0 ? text : "");
        } else if (strcmp(word[0], "command") == 0) {
            n = aidash_command(word[1], strlen(word[1]), word[2], text,
                               (size_t)atoi(word[3]));
            printf("= %d %s\n", n, n == 0 ? text : "");
        } else if (strcmp(word[0], "finish") == 0) {
            printf("= %d\n", aidash_finish(strtoull(word[1], NULL, 10), atoi(word[2]),
                                           word[3]));
        } else if (strcmp(word[0], "publish") == 0) {
            struct aidash_tick tick;

            memset(&tick, 0, sizeof(tick));
            tick.model = word[1];
            tick.tokens = 1;
            printf("= %d\n", aidash_publish(&tick));
        } else if (strcmp(word[0], "stop") == 0) {
            aidash_stop();
            printf("= stopped\n");
        }
    }
    aidash_stop();
    return 0;
}
