/* A firmware that library.native.test.mjs leads by lines on stdin. It answers
 * each with a line "= RESULT" on stdout, where events come as "event JSON" and
 * commands as "command ACTION MODEL CLIENT" in between.
 *
 *     start LISTEN MODELS   -> aidash_start()'s code, the port, the last error
 *     bad FIELD VALUE       -> the same for a config with one field set wrong
 *     publish MODEL TOKENS LATENCY -> aidash_publish()'s code
 *     threads N TICKS       -> N threads publish so many ticks each, 1 token a tick
 *     stats                 -> ticks dropped inbox_dropped viewers paused model
 *     stop
 */
#include "aidash.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_event(const char *json, size_t len, void *user)
{
    printf("%s %.*s\n", (const char *)user, (int)len, json);
}

static int on_command(const struct aidash_command *c, void *user)
{
    (void)user;
    printf("command %d %s %s.\n", (int)c->action, c->model, c->client_id);
    return strcmp(c->model, "locked") == 0;
}

static void on_log(enum aidash_log_level level, const char *line, void *user)
{
    (void)user;
    printf("log %d %s\n", (int)level, line);
}

static void answer_start(int code)
{
    printf("= %d %u %s\n", code, aidash_port(0), aidash_last_error());
}

static void *publisher(void *ticks)
{
    struct aidash_tick tick = {0};
    int i;

    tick.model = "threads";
    tick.tokens = 1;
    for (i = 0; i < *(int *)ticks; i++) {
        if (aidash_publish(&tick) != 0) {
            abort();
        }
    }
    return NULL;
}

int main(void)
{
    static char line[8192], a[4096], b[4096];
    pthread_t threads[16];
    double latency;
    int n, ticks;

    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        struct aidash_config config = {0};
        struct aidash_stats stats;
        struct aidash_tick tick = {0};

        config.on_event = on_event;
        config.on_command = on_command;
        config.on_log = on_log;
        config.user = "event";
        if (sscanf(line, "start %4095s %4095s", a, b) == 2) {
            config.listen = a;
            config.models = b;
            answer_start(aidash_start(&config));
        } else if (sscanf(line, "bad %4095s %4095s", a, b) == 2) {
            config.listen = strcmp(a, "listen") == 0 ? b : "127.0.0.1:0";
            config.models = strcmp(a, "models") == 0 ? b : NULL;
            config.source = strcmp(a, "source") == 0 ? b : NULL;
            config.udp = strcmp(a, "udp") == 0 ? b : NULL;
            config.rate_hz = strcmp(a, "rate") == 0 ? atof(b) : 0;
            config.backlog = strcmp(a, "backlog") == 0 ? (unsigned)atoi(b) : 0;
            config.allow_origin = strcmp(a, "allow-origin") == 0 ? b : NULL;
            config.upstream = strcmp(a, "upstream") == 0 ? b : NULL;
            config.scrape = strcmp(a, "scrape") == 0 ? b : NULL;
            config.queue = strcmp(a, "queue") == 0 ? atoi(b) : 0;
            config.max_inflight =
                strcmp(a, "max-inflight") == 0 ? (unsigned)atoi(b) : 0;
            config.queue_timeout_s =
                strcmp(a, "queue-timeout") == 0 ? atof(b) : 0;
            config.upstream_timeout_s =
                strcmp(a, "upstream-timeout") == 0 ? atof(b) : 0;
            answer_start(strcmp(a, "size") == 0
                             ? aidash_start_sized(&config, (size_t)atoi(b))
                             : aidash_start(&config));
        } else if (sscanf(line, "publish %4095s %d %lf", a, &n, &latency) == 3) {
            tick.model = a;
            tick.tokens = (uint64_t)n;
            tick.latency_ms = latency;
            printf("= %d\n", aidash_publish(&tick));
        } else if (sscanf(line, "threads %d %d", &n, &ticks) == 2) {
            int i;

            for (i = 0; i < n; i++) {
                pthread_create(&threads[i], NULL, publisher, &ticks);
            }
            for (i = 0; i < n; i++) {
                pthread_join(threads[i], NULL);
            }
            printf("= done\n");
        } else if (strncmp(line, "stats", 5) == 0) {
            n = aidash_get_stats(&stats);
            printf("= %d %llu %llu %llu %u %d %s\n", n,
                   (unsigned long long)stats.ticks,
                   (unsigned long long)stats.dropped,
                   (unsigned long long)stats.inbox_dropped, stats.viewers,
                   stats.paused, n == 0 ? stats.model : "");
        } else if (strncmp(line, "stop", 4) == 0) {
            aidash_stop();
            printf("= stopped\n");
        }
    }
    aidash_stop();
    return 0;
}
