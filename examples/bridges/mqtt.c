/* mqtt.c - aidash-mqtt: a bridge to MQTT 5 (libmosquitto), and to Home Assistant. MIT
 * licence.
 *
 *   aidash/NODE/event/NAME     each event of a board, QoS 1; user property `id`
 *   aidash/NODE/state/NAME     the newest of some of them, retained, once in 5 s
 *   aidash/NODE/status         online, or offline: retained, and the board's last will
 *   aidash/NODE/command        commands of gateways; their answers: aidash/NODE/ack/GATEWAY
 *   aidash/NODE/set            commands of Home Assistant, with --ha-control
 *
 * Three threads: `out` publishes, `network` has the socket and calls back, `in` waits for
 * its end. libmosquitto keeps what is published until the broker has it, without a bound
 * of its own: so at most WINDOW messages are given to it, and what follows waits in the
 * bridge's buffer.
 */
#define _GNU_SOURCE
#include "bridge.h"
#include "homeassistant.h"

#include <mosquitto.h>
#include <mqtt_protocol.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    WINDOW = 100,          /* messages without the broker's answer */
    KEEPALIVE_S = 15,      /* a silent link is noticed by the broker after 1.5 times that */
    SESSION_S = 3600,      /* so long the broker keeps what a gateway missed */
    STATE_MS = 5000,       /* between two of the same aidash/NODE/state/NAME */
    STATE_CAP = 16384,
    TOPIC_CAP = 160,
    CONFIG_CAP = 32768,
    OPTION_CAP = 256
};

static struct {
    char host[OPTION_CAP], user[OPTION_CAP], password[OPTION_CAP], ca[OPTION_CAP],
        cert[OPTION_CAP], key[OPTION_CAP], client[OPTION_CAP], url[OPTION_CAP],
        ha_prefix[OPTION_CAP];
    int port;
    bool tls, ha, ha_control;
} set = {.ha_prefix = "homeassistant"};

static struct {
    struct mosquitto *mosq;
    char prefix[TOPIC_CAP]; /* aidash/NODE, of a board */
    int wake;               /* eventfd: `network` is to write what is queued */
    sem_t over;             /* `network` has ended */
    pthread_mutex_t lock;   /* of what follows */
    pthread_cond_t changed;
    bool up, ended, leaving;
    bool settled;           /* what was sent before this connection is answered */
    unsigned in_flight, connections, tries;
    uint64_t refused;
    char why[128];
} link_ = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* The newest event of each kind that is kept for those who come later. Thread `out`. */
static struct state {
    const char *name;
    bool now; /* each at once */
    bool dirty;
    uint64_t sent_ms;
    size_t len;
    char json[STATE_CAP];
} states[] = {{.name = "inference_tick"}, {.name = "tokens"}, {.name = "board"},
              {.name = "energy"}, {.name = "status", .now = true},
              {.name = "verdict", .now = true}};
enum { STATES = sizeof(states) / sizeof(*states) };

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void wake(void)
{
    uint64_t one = 1;

    (void)!write(link_.wake, &one, sizeof(one));
}

/* ---- publishing: thread `out` ------------------------------------------------------- */

/* Wait until the broker is there and takes one more. False: there will be no more. */
static bool wait_for_room(void)
{
    char why[sizeof(link_.why)];
    bool up, ended, room;

    for (;;) {
        struct timespec until;

        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        (void)pthread_mutex_lock(&link_.lock);
        up = link_.up;
        ended = link_.ended;
        /* Those of before come first: libmosquitto sends them again by itself, and an
         * event that overtook them would make them doubles. */
        room = up && link_.settled && link_.in_flight < WINDOW;
        memcpy(why, link_.why, sizeof(why));
        if (!ended && !room && up) {
            (void)pthread_cond_timedwait(&link_.changed, &link_.lock, &until);
        }
        (void)pthread_mutex_unlock(&link_.lock);
        bridge_link(up, up ? set.host : why);
        if (ended || (!up && !bridge_pause(100))) {
            return false;
        }
        if (room) {
            return true;
        }
    }
}

static void publish(const char *topic, const char *payload, size_t len, bool retain,
                    const char *id)
{
    mosquitto_property *properties = NULL;
    int rc;

    if (!wait_for_room()) {
        return;
    }
    if (id[0] != '\0') {
        (void)mosquitto_property_add_string_pair(&properties, MQTT_PROP_USER_PROPERTY, "id",
                                                 id);
    }
    (void)pthread_mutex_lock(&link_.lock);
    link_.in_flight++;
    (void)pthread_mutex_unlock(&link_.lock);
    rc = mosquitto_publish_v5(link_.mosq, NULL, topic, (int)len, payload, 1, retain,
                              properties);
    mosquitto_property_free_all(&properties);
    /* Without a connection it is kept, and sent with the next one. */
    if (rc != MOSQ_ERR_SUCCESS && rc != MOSQ_ERR_NO_CONN && rc != MOSQ_ERR_CONN_LOST) {
        (void)pthread_mutex_lock(&link_.lock);
        link_.in_flight--;
        (void)pthread_mutex_unlock(&link_.lock);
        bridge_say(AIDASH_LOG_WARN, "%s is not sent: %s", topic, mosquitto_strerror(rc));
    }
    wake();
}

static void publish_below(const char *level, const char *name, const char *payload,
                          size_t len, bool retain, const char *id)
{
    char topic[TOPIC_CAP];

    (void)snprintf(topic, sizeof(topic), "%s/%s%s", link_.prefix, level, name);
    publish(topic, payload, len, retain, id);
}

/* ---- Home Assistant ------------------------------------------------------------------- */

static char models[STATE_CAP]; /* of the newest status, as a JSON array; "": none */

/* Copy the models of a status; its strings have no bare quote (RFC 8259 7). True if they
 * are others than before. */
static bool models_changed(const char *status)
{
    static char was[STATE_CAP];
    const char *at = strstr(status, "\"models\":["), *end;
    bool quoted = false;

    memcpy(was, models, sizeof(was));
    models[0] = '\0';
    if (at != NULL) {
        at += 9;
        for (end = at; *end != '\0' && (quoted || *end != ']'); end++) {
            quoted ^= *end == '"';
            end += *end == '\\' && end[1] != '\0';
        }
        if (*end == ']' && end - at > 1) {
            (void)snprintf(models, sizeof(models), "%.*s", (int)(end - at + 1), at);
        }
    }
    return strcmp(was, models) != 0;
}

static void announce_as(bool control, bool removed)
{
    static char config[CONFIG_CAP];
    char topic[OPTION_CAP + 128], id[3 * AIDASH_NODE_MAX + 1];
    struct homeassistant board = {link_.prefix, bridge_settings.node, set.url,
                                  models[0] != '\0' ? models : NULL, control, removed};
    size_t len = homeassistant_config(config, sizeof(config), &board);

    homeassistant_id(id, bridge_settings.node);
    (void)snprintf(topic, sizeof(topic), "%s/device/aidash_%s/config", set.ha_prefix, id);
    publish(topic, config, len, true, "");
}

static void announce(void)
{
    if (set.ha && set.url[0] == '\0') { /* its port is known now */
        char host[64] = "localhost";

        (void)gethostname(host, sizeof(host) - 1);
        (void)snprintf(set.url, sizeof(set.url), "http://%s:%u/", host, aidash_port(0));
    }
    if (set.ha && !set.ha_control) {
        announce_as(false, true); /* those of a run before, which had it */
    }
    if (set.ha) {
        announce_as(set.ha_control, false);
    }
}

/* ---- the newest of each kind ------------------------------------------------------------- */

static void keep(const char *name, const char *json, size_t len)
{
    size_t i;

    for (i = 0; i < STATES && strcmp(states[i].name, name) != 0; i++) {
    }
    if (i == STATES || len >= STATE_CAP) {
        return;
    }
    memcpy(states[i].json, json, len);
    states[i].json[len] = '\0';
    states[i].len = len;
    states[i].dirty = true;
    if (i == 0) {
        char tokens[24];

        (void)snprintf(tokens, sizeof(tokens), "%llu",
                       (unsigned long long)homeassistant_tokens(states[i].json));
        keep("tokens", tokens, strlen(tokens));
    } else if (strcmp(name, "status") == 0 && models_changed(states[i].json)) {
        announce();
    }
}

static void publish_states(void)
{
    uint64_t now = now_ms();
    size_t i;

    for (i = 0; i < STATES; i++) {
        struct state *s = &states[i];

        if (s->dirty && (s->now || s->sent_ms == 0 || now - s->sent_ms >= STATE_MS)) {
            s->dirty = false;
            s->sent_ms = now;
            publish_below("state/", s->name, s->json, s->len, true, "");
        }
    }
}

/* ---- thread `out` ---------------------------------------------------------------------------- */

static void send_message(const struct bridge_message *message)
{
    char name[64] = "other", topic[TOPIC_CAP];

    if (message->kind == BRIDGE_EVENT) {
        if (message->len > 10 && memcmp(message->text, "{\"event\":\"", 10) == 0) {
            const char *at = message->text + 10;
            const char *end = memchr(at, '"', message->len - 10);

            if (end != NULL && (size_t)(end - at) < sizeof(name)) {
                (void)snprintf(name, sizeof(name), "%.*s", (int)(end - at), at);
            }
        }
        publish_below("event/", name, message->text, message->len, false, message->id);
        keep(name, message->text, message->len);
    } else if (message->kind == BRIDGE_ACK) {
        publish_below("ack/", message->to, message->text, message->len, false, "");
    } else {
        (void)snprintf(topic, sizeof(topic), "aidash/%s/command", message->to);
        publish(topic, message->text, message->len, false, "");
    }
}

/* A new connection: the broker may have lost what it kept. */
static void greet(void)
{
    size_t i;

    if (bridge_settings.publish) {
        publish_below("status", "", "online", 6, true, "");
        announce();
        for (i = 0; i < STATES; i++) {
            states[i].dirty = states[i].len > 0;
            states[i].sent_ms = 0;
        }
    }
}

/* Say good-bye, so that nobody waits for the last will, and let the broker have all. */
static void leave(void)
{
    bool all = false, ended = false;

    if (bridge_settings.publish) {
        publish_below("status", "", "offline", 7, true, "");
    }
    while (!all && !ended) {
        (void)usleep(2000);
        (void)pthread_mutex_lock(&link_.lock);
        all = link_.in_flight == 0 || !link_.up;
        ended = link_.ended;
        link_.leaving = all || ended;
        (void)pthread_mutex_unlock(&link_.lock);
    }
    (void)mosquitto_disconnect_v5(link_.mosq, 0, NULL);
    wake();
}

static void out(void)
{
    static struct bridge_batch batch;
    unsigned greeted = 0, connections;
    size_t i, n;

    while (wait_for_room()) {
        (void)pthread_mutex_lock(&link_.lock);
        connections = link_.connections;
        (void)pthread_mutex_unlock(&link_.lock);
        if (connections != greeted) {
            greeted = connections;
            greet();
        }
        n = bridge_take(&batch, 500);
        if (n == 0 && !bridge_running()) {
            break;
        }
        for (i = 0; i < n; i++) {
            send_message(&batch.messages[i]);
        }
        publish_states();
    }
    leave();
}

/* ---- thread `network` ------------------------------------------------------------------------ */

static void subscribe(const char *node, const char *rest, const char *last)
{
    char topic[TOPIC_CAP];

    (void)snprintf(topic, sizeof(topic), "aidash/%s/%s%s", node, rest, last);
    (void)mosquitto_subscribe(link_.mosq, NULL, topic, 1);
}

static void on_connect(struct mosquitto *mosq, void *user, int reason, int flags,
                       const mosquitto_property *properties)
{
    char node[BRIDGE_NAME_CAP];
    size_t i;

    (void)mosq, (void)user, (void)flags, (void)properties;
    if (reason == 0 && bridge_settings.publish) {
        if (!bridge_settings.no_commands) {
            subscribe(bridge_settings.node, "command", "");
        }
        if (set.ha_control) {
            subscribe(bridge_settings.node, "set", "");
        }
    }
    for (i = 0; reason == 0 && bridge_settings.subscribe; i++) {
        bool all = i == 0 && bridge_settings.node[0] == '\0';

        if (!all && !bridge_node(i, node)) {
            break;
        }
        subscribe(all ? "+" : node, "event/+", "");
        subscribe(all ? "+" : node, "status", "");
        subscribe(all ? "+" : node, "ack/", bridge_gateway());
    }
    /* Last: who is told of the board may command it. */
    (void)pthread_mutex_lock(&link_.lock);
    if (reason == 0) {
        link_.up = true;
        link_.settled = link_.in_flight == 0;
        link_.connections++;
        link_.tries = 0;
    } else {
        (void)snprintf(link_.why, sizeof(link_.why), "%s", mosquitto_reason_string(reason));
    }
    (void)pthread_cond_broadcast(&link_.changed);
    (void)pthread_mutex_unlock(&link_.lock);
}

static void on_publish(struct mosquitto *mosq, void *user, int number, int reason,
                       const mosquitto_property *properties)
{
    uint64_t refused;

    (void)mosq, (void)user, (void)number, (void)properties;
    (void)pthread_mutex_lock(&link_.lock);
    link_.in_flight -= link_.in_flight > 0;
    link_.settled |= link_.in_flight == 0;
    refused = link_.refused += reason >= 128;
    (void)pthread_cond_broadcast(&link_.changed);
    (void)pthread_mutex_unlock(&link_.lock);
    if (reason >= 128 && (refused & (refused - 1)) == 0) { /* 1, 2, 4, 8 ... */
        bridge_say(AIDASH_LOG_WARN, "the broker has refused %llu messages, the last one: %s",
                   (unsigned long long)refused, mosquitto_reason_string(reason));
    }
}

static void set_by_home_assistant(const char *json, size_t len)
{
    char answer[1024];

    if (aidash_command(json, len, "home-assistant", answer, sizeof(answer)) == 0 &&
        strstr(answer, "\"event\":\"error\"") != NULL) {
        bridge_say(AIDASH_LOG_WARN, "Home Assistant's command is refused: %.300s", answer);
    }
}

static void on_message(struct mosquitto *mosq, void *user,
                       const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
    const char *at = strchr(message->topic, '/'), *kind = at ? strchr(at + 1, '/') : NULL;
    const char *json = message->payload != NULL ? message->payload : "";
    size_t len = (size_t)message->payloadlen;
    char node[BRIDGE_NAME_CAP], *name = NULL, *id = NULL;

    (void)mosq, (void)user;
    if (kind == NULL || (size_t)(kind - at) > AIDASH_NODE_MAX + 1) {
        return;
    }
    (void)snprintf(node, sizeof(node), "%.*s", (int)(kind - at - 1), at + 1);
    kind++;
    if (strcmp(kind, "status") == 0) {
        while (len == 7 && memcmp(json, "offline", 7) == 0 &&
               aidash_node_gone(node) == AIDASH_EFULL && bridge_pause(2)) {
        }
    } else if (message->retain || len > BRIDGE_TEXT_MAX) {
        return; /* it is of the past: nobody wants it now */
    } else if (bridge_settings.publish && strcmp(kind, "command") == 0) {
        bridge_command(json, len);
    } else if (bridge_settings.publish && strcmp(kind, "set") == 0) {
        set_by_home_assistant(json, len);
    } else if (bridge_settings.subscribe && strncmp(kind, "ack/", 4) == 0) {
        bridge_ack(node, json, len);
    } else if (bridge_settings.subscribe && strncmp(kind, "event/", 6) == 0) {
        (void)mosquitto_property_read_string_pair(properties, MQTT_PROP_USER_PROPERTY, &name,
                                                  &id, false);
        bridge_event(node, name != NULL && strcmp(name, "id") == 0 ? id : "", json, len);
        free(name);
        free(id);
    }
}

/* Serve the socket until it is closed. libmosquitto's own loop uses select(), which
 * can't have a descriptor above 1023; a gateway has more viewers than that. */
static int serve(void)
{
    struct pollfd fds[2] = {{.events = 0}, {.fd = link_.wake, .events = POLLIN}};
    uint64_t woken;
    int rc = 0;

    while (rc == 0 && (fds[0].fd = mosquitto_socket(link_.mosq)) >= 0) {
        fds[0].events = (short)(POLLIN | (mosquitto_want_write(link_.mosq) ? POLLOUT : 0));
        if (poll(fds, 2, 500) < 0 && errno != EINTR) {
            return MOSQ_ERR_ERRNO;
        }
        if (fds[1].revents != 0) {
            (void)!read(link_.wake, &woken, sizeof(woken));
        }
        if (fds[0].revents & (POLLIN | POLLHUP | POLLERR)) {
            rc = mosquitto_loop_read(link_.mosq, 1);
        }
        if (rc == 0 && mosquitto_want_write(link_.mosq)) {
            rc = mosquitto_loop_write(link_.mosq, 1);
        }
        if (rc == 0 && mosquitto_socket(link_.mosq) >= 0) {
            rc = mosquitto_loop_misc(link_.mosq);
        }
    }
    return rc;
}

static void *network(void *unused)
{
    mosquitto_property *session = NULL;
    bool over = false;
    unsigned tries;
    int rc;

    if (bridge_settings.subscribe) {
        (void)mosquitto_property_add_int32(&session, MQTT_PROP_SESSION_EXPIRY_INTERVAL,
                                           SESSION_S);
    }
    while (!over) {
        rc = mosquitto_connect_bind_v5(link_.mosq, set.host, set.port, KEEPALIVE_S, NULL,
                                       session);
        if (rc == MOSQ_ERR_SUCCESS) {
            rc = serve();
        }
        (void)pthread_mutex_lock(&link_.lock);
        if (link_.up || rc != MOSQ_ERR_SUCCESS) {
            (void)snprintf(link_.why, sizeof(link_.why), "%s",
                           rc == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(rc));
        }
        link_.up = false;
        over = link_.ended || link_.leaving;
        tries = link_.tries++;
        (void)pthread_cond_broadcast(&link_.changed);
        (void)pthread_mutex_unlock(&link_.lock);
        over |= !over && !bridge_pause(bridge_backoff(tries));
    }
    mosquitto_property_free_all(&session);
    (void)sem_post(&link_.over);
    return unused;
}

/* Start `network`, and wait for its end; not for a connect() that nobody answers. */
static void in(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, network, NULL) == 0) {
        (void)pthread_detach(thread);
        (void)sem_wait(&link_.over);
    }
}

static void hang_up(void)
{
    (void)pthread_mutex_lock(&link_.lock);
    link_.ended = true;
    (void)pthread_cond_broadcast(&link_.changed);
    (void)pthread_mutex_unlock(&link_.lock);
    wake();
    (void)sem_post(&link_.over);
}

/* ---- options ------------------------------------------------------------------------------------ */
static int wrong(const char *written, const char *why)
{
    (void)fprintf(stderr, "aidash-mqtt: %s: %s\n", written, why);
    return -1;
}

/* mqtt[s]://[USER@]HOST[:PORT], an IPv6 address in brackets. */
static bool parse_url(const char *url)
{
    const char *at, *colon;
    size_t len;

    set.tls = strncmp(url, "mqtts://", 8) == 0;
    if (!set.tls && strncmp(url, "mqtt://", 7) != 0) {
        return false;
    }
    url += set.tls ? 8 : 7;
    at = strrchr(url, '@');
    set.user[0] = '\0';
    if (at != NULL) {
        (void)snprintf(set.user, sizeof(set.user), "%.*s", (int)(at - url), url);
        if (strchr(set.user, ':') != NULL) {
            return false;
        }
        url = at + 1;
    }
    len = strcspn(url, "/");
    if (url[len] != '\0' && url[len + 1] != '\0') {
        return false;
    }
    colon = url[0] == '[' ? strchr(url, ']') : memchr(url, ':', len);
    if (url[0] == '[') {
        if (colon == NULL) {
            return false;
        }
        (void)snprintf(set.host, sizeof(set.host), "%.*s", (int)(colon - url - 1), url + 1);
        colon = colon[1] == ':' ? colon + 1 : NULL;
    } else {
        (void)snprintf(set.host, sizeof(set.host), "%.*s",
                       (int)(colon != NULL ? (size_t)(colon - url) : len), url);
    }
    set.port = colon != NULL ? atoi(colon + 1) : set.tls ? 8883 : 1883;
    return set.host[0] != '\0' && set.port > 0 && set.port < 65536;
}

static bool read_password(const char *path)
{
    FILE *file = fopen(path, "re");
    bool ok = file != NULL && fgets(set.password, sizeof(set.password), file) != NULL;

    if (file != NULL) {
        (void)fclose(file);
    }
    set.password[strcspn(set.password, "\r\n")] = '\0';
    return ok && set.password[0] != '\0';
}

static int on_option(const char *name, const char *value, const char *written)
{
    static const struct {
        const char *name;
        char *to;
    } texts[] = {{"mqtt-ca", set.ca}, {"mqtt-cert", set.cert}, {"mqtt-key", set.key},
                 {"mqtt-client", set.client}, {"ha-url", set.url},
                 {"ha-prefix", set.ha_prefix}};
    size_t i;

    if (strlen(value) >= OPTION_CAP) {
        return wrong(written, "it is too long");
    }
    if (strcmp(name, "mqtt") == 0) {
        return parse_url(value) ? 0 : wrong(written, "it must be mqtt://[USER@]HOST[:PORT] or "
                                                     "mqtts://...; a password is in "
                                                     "--mqtt-password-file");
    }
    if (strcmp(name, "mqtt-password-file") == 0) {
        return read_password(value) ? 0 : wrong(written, "no file with a password in it");
    }
    set.ha |= strcmp(name, "ha") == 0;
    set.ha_control |= strcmp(name, "ha-control") == 0;
    for (i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (strcmp(name, texts[i].name) == 0) {
            (void)snprintf(texts[i].to, OPTION_CAP, "%s", value);
        }
    }
    return 0;
}

/* Names are levels of topics (MQTT 5.0, 4.7). */
static int check_names(void)
{
    char name[BRIDGE_NAME_CAP];
    size_t i;

    for (i = 0; bridge_node(i, name); i++) {
        if (strpbrk(name, "/+#$") != NULL) {
            return wrong("--node", "a name in MQTT's topics has none of / + # $");
        }
    }
    return strpbrk(set.ha_prefix, "+#") == NULL && set.ha_prefix[0] != '\0'
               ? 0 : wrong("--ha-prefix", "a topic has no + and no #");
}

static bool set_up(void)
{
    bool ok = true;

    if (bridge_settings.publish) {
        char topic[TOPIC_CAP + 16];

        (void)snprintf(link_.prefix, sizeof(link_.prefix), "aidash/%s", bridge_settings.node);
        (void)snprintf(topic, sizeof(topic), "%s/status", link_.prefix);
        ok = mosquitto_will_set(link_.mosq, topic, 7, "offline", 1, true) == 0;
    }
    if (set.tls) {
        ok = ok && mosquitto_int_option(link_.mosq, MOSQ_OPT_TLS_USE_OS_CERTS,
                                        set.ca[0] == '\0') == 0 &&
             mosquitto_tls_set(link_.mosq, set.ca[0] != '\0' ? set.ca : NULL,
                               set.ca[0] != '\0' ? NULL : "/etc/ssl/certs",
                               set.cert[0] != '\0' ? set.cert : NULL,
                               set.key[0] != '\0' ? set.key : NULL, NULL) == 0;
    }
    if (set.user[0] != '\0') {
        ok = ok && mosquitto_username_pw_set(link_.mosq, set.user,
                                             set.password[0] != '\0' ? set.password : NULL) == 0;
    }
    mosquitto_connect_v5_callback_set(link_.mosq, on_connect);
    mosquitto_publish_v5_callback_set(link_.mosq, on_publish);
    mosquitto_message_v5_callback_set(link_.mosq, on_message);
    return ok &&
           mosquitto_int_option(link_.mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5) == 0 &&
           mosquitto_int_option(link_.mosq, MOSQ_OPT_SEND_MAXIMUM, WINDOW) == 0 &&
           mosquitto_int_option(link_.mosq, MOSQ_OPT_TCP_NODELAY, 1) == 0 &&
           mosquitto_threaded_set(link_.mosq, true) == 0;
}

static int check(void)
{
    char host[64] = "localhost";

    if (link_.mosq != NULL) {
        return 0; /* SIGHUP: it runs already */
    }
    if (set.host[0] == '\0') {
        return wrong("--mqtt", "which broker? Such as --mqtt mqtt://127.0.0.1");
    }
    if (check_names() != 0) {
        return -1;
    }
    if (set.ha_control && !set.ha) {
        return wrong("--ha-control", "it needs --ha");
    }
    (void)gethostname(host, sizeof(host) - 1);
    if (set.client[0] == '\0') {
        (void)snprintf(set.client, sizeof(set.client), "aidash-%s%s",
                       bridge_settings.publish ? "" : "gateway-",
                       bridge_settings.publish ? bridge_settings.node : host);
    }
    (void)sem_init(&link_.over, 0, 0);
    link_.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    (void)mosquitto_lib_init();
    /* A board's commands of while it was away are of the past; a gateway's events are not. */
    link_.mosq = mosquitto_new(set.client, bridge_settings.publish, NULL);
    if (link_.wake < 0 || link_.mosq == NULL || !set_up()) {
        return wrong("--mqtt", "libmosquitto does not take these options: are the files of "
                               "TLS there?");
    }
    return 0;
}

static const struct aidash_option options[] = {
    {"mqtt", "URL", "the broker (MQTT 5): mqtt://[USER@]HOST[:PORT], or mqtts://... with TLS", 0},
    {"mqtt-password-file", "FILE", "file whose first line is USER's password", 0},
    {"mqtt-ca", "FILE", "certificates of the authorities that vouch for the broker, instead of "
     "the system's", 0},
    {"mqtt-cert", "FILE", "certificate to show to the broker, with --mqtt-key", 0},
    {"mqtt-key", "FILE", "its key", 0},
    {"mqtt-client", "ID", "client ID, each its own (default aidash-NODE, or "
     "aidash-gateway-HOST)", 0},
    {"ha", "", "tell Home Assistant of this board (MQTT discovery)", 0},
    {"ha-control", "", "give it buttons for pause and resume, and the choice of the model", 0},
    {"ha-url", "URL", "where Home Assistant finds the dashboard (default this machine's name)",
     0},
    {"ha-prefix", "PREFIX", "prefix of its discovery topics (default homeassistant)", 0},
    {NULL, NULL, NULL, 0},
};

int main(int argc, char **argv)
{
    static const struct bridge mqtt = {
        "aidash-mqtt", "aidash with its boards and gateways on MQTT, and Home Assistant",
        options, on_option, check, out, in, hang_up,
    };

    return bridge_main(argc, argv, &mqtt);
}
