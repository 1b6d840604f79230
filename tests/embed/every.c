/* every.c - calls every function of aidash.h as a firmware would, each with what works and with what does not, before the start,
 * while it runs, and after the stop; and all of it again. It is C and C++: as C++ it runs under the
 * sanitizers of addresses and undefined behaviour, as C under that of threads, and on another machine. Prints "N passed, N failed".
 */
#include "aidash.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* What the functions for other boards return while nothing runs: the tiny profile has
 * none of these boards (AIDASH_NODES 0). */
#ifdef AIDASH_PROFILE_TINY
#define NO_RELAY AIDASH_EINVAL
#else
#define NO_RELAY AIDASH_ESTATE
#endif

static unsigned passed, failed; /* of all threads */

static void check(int holds, const char *what)
{
    __atomic_add_fetch(holds ? &passed : &failed, 1, __ATOMIC_RELAXED);
    if (!holds) {
        printf("not ok - %s\n", what);
    }
}

/* ---- what the callbacks hear ------------------------------------------------- */

/* The latest text of each kind; main() waits for one that contains its words. */
static struct {
    pthread_mutex_t lock;
    char events[65536]; /* all since the start, one after the other */
    size_t len;
    unsigned lines, commands;
    uint64_t later; /* the command that takes its time */
    int in_callback[3]; /* what functions return there */
} heard = {PTHREAD_MUTEX_INITIALIZER, "", 0, 0, 0, 0, {0, 0, 0}};

static void on_event(const char *json, size_t len, void *user)
{
    pthread_mutex_lock(&heard.lock);
    check(user == &heard, "user is what the config says");
    if (heard.len + len < sizeof(heard.events)) {
        memcpy(heard.events + heard.len, json, len);
        heard.len += len;
        heard.events[heard.len] = '\0';
    }
    pthread_mutex_unlock(&heard.lock);
}

static void on_log(enum aidash_log_level level, const char *line, void *user)
{
    (void)user;
    pthread_mutex_lock(&heard.lock);
    heard.lines += level <= AIDASH_LOG_INFO && line[0] != '\0';
    pthread_mutex_unlock(&heard.lock);
}

static int on_command(const struct aidash_command *command, void *user)
{
    struct aidash_tick tick;
    int rc = 0;

    (void)user;
    memset(&tick, 0, sizeof(tick));
    tick.tokens = 1;
    pthread_mutex_lock(&heard.lock);
    heard.commands++;
    heard.in_callback[0] = aidash_publish(&tick);
    heard.in_callback[1] = aidash_gauge("commands", NULL, heard.commands);
    heard.in_callback[2] = aidash_note(AIDASH_LOG_WARN, "a command came");
    if (command->action == AIDASH_PAUSE) {
        rc = aidash_refuse(command, "not now");
        check(rc != 0 && aidash_later(command, 0) == AIDASH_EINVAL,
              "aidash_later() takes a second at least");
    } else if (command->action == AIDASH_OWN) {
        check(strcmp(command->name, "threshold") == 0 && command->value == 0.25 &&
                  command->model[0] == '\0' && command->client_id[0] == '\0',
              "an own command has its name and value");
        check(command->local == 1 && (command->rights & AIDASH_MAY_CONTROL) != 0,
              "and says who asked");
        heard.later = command->number;
        rc = aidash_later(command, 600);
    }
    pthread_mutex_unlock(&heard.lock);
    return rc;
}

/* Whether an event that contains these words comes, within a minute. */
static int hears(const char *words)
{
    int i, found = 0;

    for (i = 0; i < 6000 && !found; i++) {
        pthread_mutex_lock(&heard.lock);
        found = strstr(heard.events, words) != NULL;
        pthread_mutex_unlock(&heard.lock);
        if (!found) {
            usleep(10000);
        }
    }
    return found;
}

/* ---- a viewer, who sends a command or asks for a path ---------------------------- */

/* The status code of this request, with this body; 0: no answer. */
static int ask(const char *request, const char *body)
{
    struct sockaddr_in to;
    struct timeval patience = {60, 0};
    char text[1024];
    size_t len = 0;
    int sock = socket(AF_INET, SOCK_STREAM, 0), code = 0;

    memset(&to, 0, sizeof(to));
    to.sin_family = AF_INET;
    to.sin_port = htons((uint16_t)aidash_port(0));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    snprintf(text, sizeof(text),
             "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
             "Content-Type: application/json\r\nContent-Length: %u\r\n\r\n%s",
             request, (unsigned)strlen(body), body);
    if (sock >= 0 && connect(sock, (struct sockaddr *)&to, sizeof(to)) == 0 &&
        send(sock, text, strlen(text), 0) == (ssize_t)strlen(text)) {
        while (len < 12) {
            ssize_t n = recv(sock, text + len, 12 - len, 0);

            if (n <= 0) {
                break;
            }
            len += (size_t)n;
        }
        text[len] = '\0';
        code = len == 12 ? atoi(text + 9) : 0;
    }
    close(sock);
    return code;
}

static int post(const char *body)
{
    return ask("POST /command", body);
}

static int on_visit(const struct aidash_visit *visit, void *user)
{
    struct aidash_stats stats;

    check(user == &heard && strcmp(visit->method, "GET") == 0 &&
              strcmp(visit->path, "/acme/snap") == 0 && strcmp(visit->query, "x=1") == 0 &&
              strcmp(visit->address, "127.0.0.1") == 0 && visit->local == 1,
          "a visit says what it asks for, and who asks");
    check(aidash_get_stats(&stats) == 0, "there one may wait for the hub");
    return aidash_reply(visit, "snap", 4) == 0 ? 201 : 500;
}

/* ---- the functions ---------------------------------------------------------------- */

/* What each says when the server does not run. */
static void not_started(void)
{
    struct aidash_tick tick;
    struct aidash_stats stats;
    struct aidash_request request;
    char text[512];

    memset(&tick, 0, sizeof(tick));
    memset(&request, 0, sizeof(request));
    tick.tokens = 1;
    check(aidash_publish(&tick) == AIDASH_ESTATE, "publish: it does not run");
    check(aidash_publish_error()[0] != '\0', "and says so");
    check(aidash_gauge("g", "C", 1) == AIDASH_ESTATE, "gauge: it does not run");
    check(aidash_note(AIDASH_LOG_INFO, "x") == AIDASH_ESTATE, "note: it does not run");
    check(aidash_set_state(AIDASH_STATE_PAUSED, NULL) == AIDASH_ESTATE,
          "set_state: it does not run");
    check(aidash_set_models("a", NULL) == AIDASH_ESTATE, "set_models: it does not run");
    check(aidash_command_add("c", AIDASH_BUTTON, 0, 0, 0, NULL) == AIDASH_ESTATE,
          "command_add: it does not run");
    check(aidash_finish(1, 1, NULL) == AIDASH_ESTATE, "finish: it does not run");
    check(aidash_request_begin(&request) == 0, "request_begin: it does not run");
    check(aidash_request_run(1) == AIDASH_ESTATE, "request_run: it does not run");
    check(aidash_request_progress(1, 1) == AIDASH_ESTATE,
          "request_progress: it does not run");
    check(aidash_request_end(1, AIDASH_FINISHED, NULL) == AIDASH_ESTATE,
          "request_end: it does not run");
    check(aidash_relay("n", NULL, "{}", 2) == NO_RELAY, "relay: it does not run");
    check(aidash_node_gone("n") == NO_RELAY, "node_gone: it does not run");
    check(aidash_node_last("n", text, sizeof(text)) == NO_RELAY,
          "node_last: it does not run");
    check(aidash_run(text, sizeof(text)) == AIDASH_ESTATE, "run: it does not run");
    check(aidash_status(text, sizeof(text)) == AIDASH_ESTATE, "status: it does not run");
    check(aidash_command("{}", 2, NULL, text, sizeof(text)) == AIDASH_ESTATE,
          "command: it does not run");
    check(aidash_get_stats(&stats) == AIDASH_ESTATE, "get_stats: it does not run");
    check(aidash_port(0) == 0, "port: it does not run");
    check(aidash_refuse(NULL, "x") != 0 && aidash_later(NULL, 1) == AIDASH_EINVAL,
          "refuse and later: no command");
    aidash_stop();
}

#ifdef AIDASH_PROFILE_TINY /* it is without the meter */

/* What only the meter can do is refused by its name. */
static void nothing_of_the_meter(void)
{
    struct aidash_config config;
    const struct {
        const char *name, **member;
    } members[] = {{"upstream:", &config.upstream},
                   {"upstream-key-file:", &config.upstream_key_file},
                   {"upstream-ca:", &config.upstream_ca},
                   {"upstream-pin:", &config.upstream_pin},
                   {"scrape:", &config.scrape},
                   {"quota:", &config.quota},
                   {"alert-url:", &config.alert_url},
                   {"alert-format:", &config.alert_format},
                   {"alert-key-file:", &config.alert_key_file},
                   {"otlp:", &config.otlp}};
    size_t i;

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        memset(&config, 0, sizeof(config));
        *members[i].member = "http://127.0.0.1:9";
        check(aidash_start(&config) == AIDASH_EINVAL &&
                  strncmp(aidash_last_error(), members[i].name,
                          strlen(members[i].name)) == 0,
              members[i].name);
    }
}

#else

static void nothing_of_the_meter(void)
{
}

#endif

static void start(void)
{
    struct aidash_config config;

    memset(&config, 0, sizeof(config));
    config.source = "no such";
    check(aidash_start(&config) == AIDASH_EINVAL, "a wrong source is refused");
    check(strstr(aidash_last_error(), "no such") != NULL, "and named");
    check(aidash_start_sized(&config, sizeof(config) + 8) == AIDASH_ESTATE,
          "a header that is newer is refused");
    config.source = NULL;
    config.listen = "127.0.0.1:0";
    config.models = "yolo,resnet";
    config.no_board = 1;
    config.on_command = on_command;
    config.on_event = on_event;
    config.on_log = on_log;
    config.user = &heard;
    check(aidash_start(&config) == 0, "it starts");
    check(aidash_last_error()[0] == '\0', "without an error");
    check(aidash_start(&config) == AIDASH_ESTATE, "once");
    check(aidash_port(0) != 0 && aidash_port(1) == 0, "it has one port");
}

/* Paths are added before the start, and stay. */
static void add_paths(void)
{
    check(aidash_route("snap", "text/plain", 0, on_visit, &heard) == AIDASH_EINVAL,
          "a path begins with a /");
    check(aidash_last_error()[0] != '\0', "and it is said what is wrong");
    check(aidash_route("/acme/snap", "text/plain", 0, on_visit, &heard) == 0,
          "a path is added");
    check(aidash_route_static("/acme/logo", "text/plain", AIDASH_MAY_VIEW, "logo", 4) == 0,
          "and one whose bytes do not change");
    check(aidash_reply(NULL, "x", 1) == AIDASH_EINVAL, "reply: in a callback alone");
}

static void paths(void)
{
    check(aidash_route("/acme/late", "text/plain", 0, on_visit, &heard) == AIDASH_ESTATE,
          "route: it runs");
    check(aidash_route_static("/acme/late", "text/plain", 0, "", 0) == AIDASH_ESTATE,
          "route_static: it runs");
    check(ask("GET /acme/snap?x=1", "") == 201, "the callback answers");
    check(ask("GET /acme/logo", "") == 200, "and so do the bytes");
    check(ask("GET /acme/late", "") == 404, "and no other path");
}

static void ticks_and_gauges(void)
{
    struct aidash_tick tick;

    memset(&tick, 0, sizeof(tick));
    check(aidash_publish(NULL) == AIDASH_EINVAL, "no tick is refused");
    check(aidash_publish(&tick) == AIDASH_EINVAL, "an empty tick is refused");
    check(strstr(aidash_publish_error(), "tokens") != NULL, "and says why");
    tick.model = "yolo";
    tick.tokens = 3;
    tick.latency_ms = 12.5;
    tick.timestamp = 1741478400.125;
    check(aidash_publish(&tick) == 0, "a tick is taken");
    check(hears("\"model\":\"yolo\",\"tokens_generated\":3,\"latency_ms\":12.5"),
          "and heard");
    check(aidash_gauge("", "C", 1) == AIDASH_EINVAL, "a gauge has a name");
    check(aidash_gauge("temperature", "C", 61.5) == 0, "a gauge is taken");
    check(hears("\"gauge\":\"temperature\",\"unit\":\"C\",\"value\":61.5"), "and heard");
}

static void the_engine_leads(void)
{
    check(aidash_note(AIDASH_LOG_DEBUG, "x") == AIDASH_EINVAL, "no note for debugging");
    check(aidash_note(AIDASH_LOG_WARN, "the lens is dirty") == 0, "a note is taken");
    check(hears("\"text\":\"the lens is dirty\""), "and heard");
    check(aidash_set_state((enum aidash_state)0, NULL) == AIDASH_EINVAL,
          "no state is refused");
    check(aidash_set_state(AIDASH_STATE_PAUSED, "the button") == 0, "a state is taken");
    check(hears("\"reason\":\"the button\""), "and heard");
    check(aidash_set_state(AIDASH_STATE_RUNNING, NULL) == 0, "and the next");
    check(aidash_set_models("a,a", NULL) == AIDASH_EINVAL, "each model once");
    check(aidash_set_models("yolo,resnet,vit", "vit") == 0, "models are taken");
    check(hears("\"models\":[\"yolo\",\"resnet\",\"vit\"]"), "and heard");
}

static void requests(void)
{
    struct aidash_request request;
    uint64_t id;

    memset(&request, 0, sizeof(request));
    request.client = "door camera";
    request.route = "describe";
    request.prompt_tokens = 128;
    request.queued = 1;
    id = aidash_request_begin(&request);
    check(id != 0, "a request begins");
    check(aidash_request_begin(NULL) == 0, "and no request does not");
    check(aidash_request_run(id + 1) == AIDASH_EINVAL, "run: there is no such request");
    check(aidash_request_run(id) == 0, "it runs");
    check(aidash_request_progress(id, 0) == AIDASH_EINVAL, "progress has tokens");
    check(aidash_request_progress(id, 2) == 0, "it has tokens");
    check(hears("\"event\":\"request\""), "and is heard");
    check(aidash_request_end(id, (enum aidash_outcome)0, NULL) == AIDASH_EINVAL,
          "it ends somehow");
    check(aidash_request_end(id, AIDASH_FAILED, "the lens is dirty") == 0, "it ends");
    check(hears("\"error\":\"the lens is dirty\""), "and is heard");
    check(aidash_request_end(id, AIDASH_FAILED, NULL) == AIDASH_EINVAL, "once");
}

static void commands(void)
{
    uint64_t later;
    int i;

    check(aidash_command_add("Bad", AIDASH_BUTTON, 0, 0, 0, NULL) == AIDASH_EINVAL,
          "a command's name is in small letters");
    check(aidash_command_add("threshold", AIDASH_NUMBER, 0, 1, 0.5, "Threshold") == 0,
          "a command is added");
    check(post("{\"action\":\"pause\"}") == 409, "a command is refused");
    check(post("{\"action\":\"own\",\"command\":\"threshold\",\"value\":2}") == 400,
          "what is out of its range does not come");
    check(post("{\"action\":\"own\",\"command\":\"threshold\",\"value\":0.25}") == 200,
          "a command takes its time");
    check(hears("\"state\":\"running\""), "and is heard");
    pthread_mutex_lock(&heard.lock);
    later = heard.later;
    for (i = 0; i < 3; i++) {
        check(heard.in_callback[i] == 0, "ticks, gauges, notes are taken in on_command");
    }
    check(heard.commands == 2, "two commands came");
    pthread_mutex_unlock(&heard.lock);
    check(aidash_finish(0, 1, NULL) == AIDASH_EINVAL, "finish: no command has number 0");
    check(aidash_finish(later, 1, "it is sharp") == 0, "it is finished");
    check(hears("\"message\":\"it is sharp\""), "and is heard");
}

#ifndef AIDASH_PROFILE_TINY

static void relays(void)
{
    static const char tick[] =
        "{\"event\":\"inference_tick\",\"model\":\"vit\",\"tokens_generated\":7,"
        "\"latency_ms\":1,\"tokens_per_second\":2,\"timestamp\":1741478400}";
    static const char event[] = "{\"event\":\"of_a_board\"}";
    char text[64];

    check(aidash_relay("jetson", "a-1", tick, strlen(tick)) == 0, "a tick is relayed");
    check(hears("\"timestamp\":1741478400,\"node\":\"jetson\"}"), "and heard");
    check(aidash_relay("jetson", "a-2", event, strlen(event)) == 0, "and an event");
    check(hears("\"data\":{\"event\":\"of_a_board\"}}"), "which is heard inside another");
    check(aidash_relay("", "a-3", event, strlen(event)) == AIDASH_EINVAL,
          "a board has a name");
    check(aidash_relay("jetson", "3", event, strlen(event)) == AIDASH_EINVAL,
          "an event's id has a run");
    check(aidash_node_last("jetson", text, sizeof(text)) == 0 && strcmp(text, "a-2") == 0,
          "the newest is known");
    check(aidash_node_last("jetson", text, 3) == AIDASH_EINVAL, "if it has room");
    check(aidash_node_gone("jetson") == 0, "its link is closed");
    check(hears("\"node\":\"jetson\",\"state\":\"gone\"}"), "and that is heard");
    check(aidash_node_gone(NULL) == AIDASH_EINVAL, "of no board it is not");
}

#else

static void relays(void)
{
    char text[64];

    check(aidash_relay("jetson", "a-1", "{}", 2) == AIDASH_EINVAL, "no board is known");
    check(aidash_node_last("jetson", text, sizeof(text)) == AIDASH_EINVAL,
          "so none has a newest event");
    check(aidash_node_gone("jetson") == AIDASH_EINVAL, "and none goes");
}

#endif

static void other_boards(void)
{
    static const char command[] = "{\"action\":\"resume\",\"id\":5}";
    char text[16384];

    relays();
    check(aidash_run(text, sizeof(text)) == 0 && text[0] != '\0', "a run has a name");
    check(aidash_run(text, 1) == AIDASH_EINVAL, "which has a length");
    check(aidash_status(text, sizeof(text)) == 0 && strstr(text, "\"vit\"") != NULL,
          "a state is told");
    check(aidash_status(text, 20) == AIDASH_EINVAL, "if it has room");
    check(aidash_command(command, strlen(command), "board", text, sizeof(text)) == 0 &&
              strstr(text, "\"ack\"") != NULL && strstr(text, "\"id\":5") != NULL,
          "a command is carried out");
    check(aidash_command(command, strlen(command), "a b", text, sizeof(text)) ==
              AIDASH_EINVAL, "who asks has a client_id");
}

static void state(void)
{
    struct aidash_stats stats;

    check(aidash_get_stats(NULL) == AIDASH_EINVAL, "get_stats: nowhere");
    check(aidash_get_stats(&stats) == 0, "it has counters");
    check(stats.ticks >= 3 && stats.dropped == 0 && stats.viewers == 0 &&
              stats.paused == 0 && strcmp(stats.model, "vit") == 0,
          "which are right");
    aidash_print_sizes();
}

int main(void)
{
    int code, round;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (code = 0; code >= -5; code--) {
        check(aidash_strerror(code)[0] != '\0', "each code has its sentence");
    }
    not_started();
    nothing_of_the_meter();
    add_paths();
    for (round = 0; round < 3; round++) {
        pthread_mutex_lock(&heard.lock);
        heard.len = 0;
        heard.events[0] = '\0';
        heard.lines = heard.commands = 0;
        pthread_mutex_unlock(&heard.lock);
        start();
        ticks_and_gauges();
        the_engine_leads();
        requests();
        commands();
        paths();
        other_boards();
        state();
        aidash_stop();
        check(heard.lines > 0, "its log comes to on_log");
        not_started();
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}
