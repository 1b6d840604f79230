/* A firmware that engine-side.native.test.mjs leads by lines on stdin, as library.c
 * is, in C and in C++. Words are separated by '|'; it answers each line with
 * "= RESULT". Its on_command tells "command ACTION MODEL NAME VALUE NUMBER", and does
 * what `on` said last: "accept", "refuse|REASON", "later|SECONDS", or
 * "finish|DONE|TEXT": from another thread, while on_command has not returned.
 */
#include "aidash.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What on_command does; main() changes it. */
static char on[3][512];
static pthread_mutex_t on_lock = PTHREAD_MUTEX_INITIALIZER;

static void *finisher(void *number)
{
    (void)aidash_finish((uint64_t)(size_t)number, atoi(on[1]), on[2]);
    return NULL;
}

static int do_command(const struct aidash_command *c)
{
    pthread_t thread;

    printf("command %d %s %s %g %llu\n", (int)c->action, c->model, c->name, c->value,
           (unsigned long long)c->number);
    if (strcmp(on[0], "refuse") == 0) {
        return aidash_refuse(c, on[1][0] != '\0' ? on[1] : NULL);
    }
    if (strcmp(on[0], "later") == 0) {
        return aidash_later(c, (unsigned)atoi(on[1]));
    }
    if (strcmp(on[0], "models") == 0) {
        return aidash_set_models(on[1], on[2]);
    }
    if (strcmp(on[0], "finish") == 0) {
        int rc = aidash_later(c, 100);

        pthread_create(&thread, NULL, finisher, (void *)(size_t)c->number);
        pthread_join(thread, NULL);
        return rc;
    }
    return 0;
}

static int on_command(const struct aidash_command *c, void *user)
{
    int rc;

    (void)user;
    pthread_mutex_lock(&on_lock);
    rc = do_command(c);
    pthread_mutex_unlock(&on_lock);
    return rc;
}

static void on_log(enum aidash_log_level level, const char *line, void *user)
{
    (void)user;
    printf("log %d %s\n", (int)level, line);
}

/* Four threads call everything at once, so often. */
static int calls;

static void *caller(void *number)
{
    char text[32];
    int i, full = 0, wrong = 0;

    for (i = 0; i < calls; i++) {
        int rc;

        snprintf(text, sizeof(text), "t%d", (int)(size_t)number);
        wrong += aidash_gauge(text, "u", i) != 0;
        rc = aidash_note(AIDASH_LOG_INFO, text);
        full += rc == AIDASH_EFULL;
        wrong += rc != 0 && rc != AIDASH_EFULL;
        rc = aidash_set_state(i % 2 != 0 ? AIDASH_STATE_PAUSED : AIDASH_STATE_RUNNING,
                              text);
        wrong += rc != 0 && rc != AIDASH_EFULL;
        rc = aidash_finish(1, 1, NULL);
        wrong += rc != 0 && rc != AIDASH_EFULL;
        if (i % 16 == 0) {
            wrong += aidash_set_models("a,b", i % 32 != 0 ? "a" : "b") != 0;
            wrong += aidash_command_add("c", AIDASH_NUMBER, 0, 1e6, i, "C") != 0;
        }
    }
    return (void *)(size_t)(wrong * 1000000 + full);
}

static void storm(void)
{
    pthread_t threads[4];
    size_t sum = 0, i;
    void *one;

    for (i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, caller, (void *)i);
    }
    for (i = 0; i < 4; i++) {
        pthread_join(threads[i], &one);
        sum += (size_t)one;
    }
    printf("= %lu %lu\n", (unsigned long)(sum / 1000000),
           (unsigned long)(sum % 1000000));
}

int main(void)
{
    static char line[8192];
    char *word[8];

    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        struct aidash_config config;
        char *at = line;
        int n = 0;

        line[strcspn(line, "\n")] = '\0';
        for (n = 0; n < 8; n++) {
            word[n] = at;
            at += strcspn(at, "|");
            if (*at != '\0') {
                *at++ = '\0';
            }
        }
        if (strcmp(word[0], "start") == 0) {
            memset(&config, 0, sizeof(config));
            config.listen = "127.0.0.1:0";
            config.models = "yolo,resnet";
            config.on_command = on_command;
            config.on_log = on_log;
            n = aidash_start(&config);
            printf("= %d %u %s\n", n, aidash_port(0), aidash_last_error());
        } else if (strcmp(word[0], "on") == 0) {
            pthread_mutex_lock(&on_lock);
            for (n = 0; n < 3; n++) {
                snprintf(on[n], sizeof(on[n]), "%s", word[n + 1]);
            }
            pthread_mutex_unlock(&on_lock);
            printf("= 0\n");
        } else if (strcmp(word[0], "gauge") == 0) {
            printf("= %d\n", aidash_gauge(word[1], word[2], atof(word[3])));
        } else if (strcmp(word[0], "note") == 0) {
            printf("= %d\n", aidash_note((enum aidash_log_level)atoi(word[1]),
                                         word[2]));
        } else if (strcmp(word[0], "state") == 0) {
            printf("= %d\n", aidash_set_state((enum aidash_state)atoi(word[1]),
                                              word[2]));
        } else if (strcmp(word[0], "models") == 0) {
            printf("= %d\n", aidash_set_models(word[1], word[2]));
        } else if (strcmp(word[0], "finish") == 0) {
            printf("= %d\n", aidash_finish((uint64_t)atoi(word[1]), atoi(word[2]),
                                           word[3]));
        } else if (strcmp(word[0], "add") == 0) {
            printf("= %d\n",
                   aidash_command_add(word[1], (enum aidash_parameter)atoi(word[2]),
                                      atof(word[3]), atof(word[4]), atof(word[5]),
                                      word[6]));
        } else if (strcmp(word[0], "outside") == 0) {
            printf("= %d %d %d\n", aidash_refuse(NULL, "x"), aidash_later(NULL, 1),
                   aidash_note(AIDASH_LOG_INFO, NULL));
        } else if (strcmp(word[0], "storm") == 0) {
            calls = atoi(word[1]);
            storm();
        } else if (strcmp(word[0], "stop") == 0) {
            aidash_stop();
            printf("= stopped\n");
        }
    }
    aidash_stop();
    return 0;
}
