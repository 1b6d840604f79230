/* A firmware that library.native.test.mjs leads by lines on stdin. It answers
 * each with a line "= RESULT" on stdout, where events come as "event JSON" and
 * commands as "command ACTION MODEL CLIENT" in between.
 *
 *     start LISTEN MODELS [HISTORY]
 *                           -> aidash_start()'s code, the port, the last error
 *     bad FIELD VALUE       -> the same for a config with one field set wrong
 *     publish MODEL TOKENS LATENCY -> aidash_publish()'s code
 *     threads N TICKS       -> N threads publish so many ticks each, 1 token a tick
 *     stats                 -> ticks dropped inbox_dropped viewers paused model
 *     storm ROUNDS N [LISTEN UPSTREAM MS]
 *                           -> starts and stops so often while N threads call all
 *                              other functions but those of on_command; how many
 *                              of their calls worked, and how many gave a code that
 *                              they may not give
 *     why                   -> aidash_publish_error()
 *     port                  -> of the first listener
 *     fork                  -> in a child: the codes of publish, get_stats, start
 *     child                 -> there is a child, which lives until the firmware ends
 *     stop
 */
#include "aidash.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

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

static atomic_bool storm_ends, storm_meter;
static atomic_ulong storm_worked, storm_wrong;

/* `busy`: another code that the call may give, or 0. */
static void count_call(int code, int busy)
{
    if (code == 0) {
        atomic_fetch_add(&storm_worked, 1);
    } else if (code != AIDASH_ESTATE && code != busy) {
        atomic_fetch_add(&storm_wrong, 1);
    }
}

/* What the engine's side says. The meter refuses models and requests; a request may
 * have begun in the run before. */
static void storm_lead(void)
{
    struct aidash_request request = {0};
    uint64_t id;
    int no = atomic_load(&storm_meter) ? AIDASH_EINVAL : 0;

    count_call(aidash_gauge("storm", "u", 1), 0);
    count_call(aidash_note(AIDASH_LOG_INFO, "storm"), AIDASH_EFULL);
    count_call(aidash_set_state(AIDASH_STATE_RUNNING, "storm"), AIDASH_EFULL);
    count_call(aidash_finish(1, 1, "storm"), AIDASH_EFULL);
    count_call(aidash_set_models("a,b", "b"), no);
    count_call(aidash_command_add("storm", AIDASH_NUMBER, 0, 1, 0.5, "storm"), 0);
    request.queued = 1;
    id = aidash_request_begin(&request);
    if (id != 0) {
        count_call(aidash_request_run(id), AIDASH_EINVAL);
        count_call(aidash_request_progress(id, 1), 0);
        count_call(aidash_request_end(id, AIDASH_FINISHED, "storm"), AIDASH_EINVAL);
    }
}

static void *storm_caller(void *unused)
{
    struct aidash_tick tick = {0};
    struct aidash_stats stats;

    tick.tokens = 1;
    while (!atomic_load(&storm_ends)) {
        count_call(aidash_publish(&tick), 0);
        count_call(aidash_get_stats(&stats), 0);
        (void)aidash_port(0);
        (void)aidash_publish_error();
        storm_lead();
    }
    return unused;
}

/* Every second start fails: its address is in use. */
static void storm(int rounds, int n, const char *listen, const char *upstream,
                  int ms)
{
    struct aidash_config config = {0}, failing = {0};
    pthread_t threads[16];
    char taken[64];
    int i;

    config.listen = listen;
    config.upstream = upstream;
    config.log_level = AIDASH_LOG_ERROR;
    failing.listen = taken;
    failing.log_level = AIDASH_LOG_ERROR;
    atomic_store(&storm_ends, 0);
    atomic_store(&storm_meter, upstream != NULL);
    for (i = 0; i < n; i++) {
        pthread_create(&threads[i], NULL, storm_caller, NULL);
    }
    for (i = 0; i < rounds; i++) {
        if (aidash_start(&config) != 0) {
            abort();
        }
        usleep((useconds_t)ms * 1000);
        aidash_stop();
        snprintf(taken, sizeof(taken), "127.0.0.1:0,192.0.2.1:9");
        if (aidash_start(&failing) != AIDASH_EBIND) {
            abort();
        }
    }
    atomic_store(&storm_ends, 1);
    for (i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("= %lu %lu\n", atomic_load(&storm_worked), atomic_load(&storm_wrong));
}

/* What a child of this process gets. */
static void ask_child(void)
{
    struct aidash_tick tick = {0};
    struct aidash_stats stats;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        tick.tokens = 1;
        printf("= %d", aidash_publish(&tick));
        printf(" %d", aidash_get_stats(&stats));
        printf(" %d %s\n", aidash_start(NULL), aidash_last_error());
        aidash_stop();
        fflush(stdout);
        _exit(0);
    }
    (void)waitpid(child, NULL, 0);
}

/* A child that does nothing, until this process ends. */
static void keep_child(void)
{
    int ends[2];
    char byte;

    if (pipe(ends) != 0) {
        printf("= no pipe\n");
        return;
    }
    fflush(stdout);
    if (fork() == 0) {
        (void)close(ends[1]);
        (void)!read(ends[0], &byte, 1);
        _exit(0);
    }
    (void)close(ends[0]);
    printf("= child\n");
}

int main(void)
{
    static char line[8192], a[4096], b[4096], c[4096];
    pthread_t threads[16];
    double latency;
    int n, ticks, ms;

    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        struct aidash_config config = {0};
        struct aidash_stats stats;
        struct aidash_tick tick = {0};

        config.on_event = on_event;
        config.on_command = on_command;
        config.on_log = on_log;
        config.no_board = 1; /* its event would come between those that are counted */
        config.user = "event";
        if ((n = sscanf(line, "start %4095s %4095s %4095s", a, b, c)) >= 2) {
            config.listen = a;
            config.models = b;
            config.history_file = n == 3 ? c : NULL;
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
        } else if (sscanf(line, "storm %d %d %4095s %4095s %d", &n, &ticks, a, b,
                          &ms) == 5) {
            storm(n, ticks, a, b, ms);
        } else if (sscanf(line, "storm %d %d", &n, &ticks) == 2) {
            storm(n, ticks, "127.0.0.1:0", NULL, 2);
        } else if (strncmp(line, "why", 3) == 0) {
            printf("= %s\n", aidash_publish_error());
        } else if (strncmp(line, "port", 4) == 0) {
            printf("= %u\n", aidash_port(0));
        } else if (strncmp(line, "fork", 4) == 0) {
            ask_child();
        } else if (strncmp(line, "child", 5) == 0) {
            keep_child();
        } else if (strncmp(line, "stop", 4) == 0) {
            aidash_stop();
            printf("= stopped\n");
        }
    }
    aidash_stop();
    return 0;
}
