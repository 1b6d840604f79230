/* mqtt.c - aidash-mqtt: a bridge to MQTT 5 (libmosquitto), and to Home Assistant. MIT
 * licence.
 *
 *   aidash/NODE/event/NAME     each event of a board, QoS 1; user property `id`
 *   aidash/NODE/state/NAME     the newest of some of them, retained, once in 5 s
 *   aidash/NODE/status         online, or offline: retained, and the board's last will
 *   aidash/NODE/command        commands of gateways; their answers: aidash/NODE/ack/GATEWAY
 *   aidash/NODE/set            commands of Home Assistant, with --ha-control
 *
 * The thread `out` publishes, `in` has the socket and calls back. libmosquitto keeps what
 * is published until the broker has it, without a bound of its own: so at most WINDOW
 * messages are given to it, and what follows waits in the bridge's buffer.
 */
#define _GNU_SOURCE
#include "mqtt.h"

#include <mosquitto.h>
#include <mqtt_protocol.h>

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    WINDOW = 100,     /* messages without the broker's answer */
    ROOM_MS = 2,      /* until the window is looked at again */
    POLL_MS = 500,
    KEEPALIVE_S = 15, /* a silent link is noticed by the broker after 1.5 times that */
    SESSION_S = 3600, /* so long the broker keeps what a gateway missed */
    TOPIC_CAP = MQTT_TOPIC_CAP
};

struct mqtt_settings mqtt_settings = {.ha_prefix = "homeassistant"};
char mqtt_prefix[MQTT_TOPIC_CAP];

static struct mosquitto *mosq;
static int wake_fd; /* eventfd: `in` is to write what is queued */

/* Of both threads. What was sent before this connection is settled when it is answered:
 * libmosquitto sends it again by itself, and an event that overtook it would make it a
 * double. */
static atomic_uint in_flight, connections;
static atomic_bool settled, leaving;

static void wake(void)
{
    uint64_t one = 1;

    (void)!write(wake_fd, &one, sizeof(one));
}

/* One of those in flight is there no more. */
static void settle(void)
{
    if (in_flight > 0 && atomic_fetch_sub(&in_flight, 1) == 1) {
        settled = true;
    }
}

/* ---- publishing: thread `out` ------------------------------------------------------- */

/* Wait until the broker is there and takes one more. False: there will be no more. */
static bool wait_for_room(void)
{
    while (!bridge_over()) {
        if (!bridge_is_up()) {
            if (!bridge_pause(POLL_MS / 5)) {
                break;
            }
        } else if (settled && in_flight < WINDOW) {
            return true;
        } else {
            (void)usleep(ROOM_MS * 1000);
        }
    }
    return false;
}

bool mqtt_publish(const char *topic, const char *payload, size_t len, bool retain,
                    const char *id)
{
    mosquitto_property *properties = NULL;
    int rc;

    if (!wait_for_room()) {
        return false;
    }
    if (id[0] != '\0') {
        (void)mosquitto_property_add_string_pair(&properties, MQTT_PROP_USER_PROPERTY, "id",
                                                 id);
    }
    in_flight++;
    rc = mosquitto_publish_v5(mosq, NULL, topic, (int)len, payload, 1, retain, properties);
    mosquitto_property_free_all(&properties);
    /* Without a connection it is kept, and sent with the next one. */
    if (rc != MOSQ_ERR_SUCCESS && rc != MOSQ_ERR_NO_CONN && rc != MOSQ_ERR_CONN_LOST) {
        settle();
        bridge_lost(1);
        bridge_say(AIDASH_LOG_WARN, "%s is not sent: %s", topic, mosquitto_strerror(rc));
    }
    wake();
    return true;
}

bool mqtt_publish_below(const char *level, const char *name, const char *payload,
                          size_t len, bool retain, const char *id)
{
    char topic[TOPIC_CAP];

    (void)snprintf(topic, sizeof(topic), "%s/%s%s", mqtt_prefix, level, name);
    return mqtt_publish(topic, payload, len, retain, id);
}

/* ---- thread `out` --------------------------------------------------------------------- */

/* False: it can't be sent any more. */
static bool send_message(const struct bridge_message *message)
{
    static const char head[] = "{\"event\":\"";
    const size_t head_len = sizeof(head) - 1;
    char name[64] = "other", topic[TOPIC_CAP];

    if (message->kind == BRIDGE_EVENT) {
        if (message->len > head_len && memcmp(message->text, head, head_len) == 0) {
            const char *at = message->text + head_len;
            const char *end = memchr(at, '"', message->len - head_len);

            if (end != NULL && (size_t)(end - at) < sizeof(name)) {
                (void)snprintf(name, sizeof(name), "%.*s", (int)(end - at), at);
            }
        }
        mqtt_keep(name, message->text, message->len);
        return mqtt_publish_below("event/", name, message->text, message->len, false, message->id);
    }
    if (message->kind == BRIDGE_ACK) {
        return mqtt_publish_below("ack/", message->to, message->text, message->len, false, "");
    }
    (void)snprintf(topic, sizeof(topic), "aidash/%s/command", message->to);
    return mqtt_publish(topic, message->text, message->len, false, "");
}

static void out(void)
{
    static struct bridge_batch batch;
    unsigned greeted = 0;
    size_t i;

    while (wait_for_room()) {
        if (greeted != connections) {
            greeted = connections;
            mqtt_kept_again();
        }
        if (bridge_take(&batch, POLL_MS) == 0 && !bridge_running()) {
            break;
        }
        for (i = 0; i < batch.n; i++) {
            if (!send_message(&batch.messages[i])) {
                bridge_lost(1);
            }
        }
        mqtt_publish_kept();
    }
    /* Say good-bye, so that nobody waits for the last will, and let the broker have all. */
    if (bridge_settings.publish) {
        (void)mqtt_publish_below("status", "", "offline", 7, true, "");
    }
    while (in_flight > 0 && bridge_is_up() && !bridge_over()) {
        (void)usleep(ROOM_MS * 1000);
    }
    bridge_lost(in_flight);
    leaving = true;
    (void)mosquitto_disconnect_v5(mosq, 0, NULL);
    wake();
}

/* ---- thread `in` ---------------------------------------------------------------------- */

static unsigned tries; /* to connect */
static char why[128];  /* what is wrong with this one */

static void subscribe(const char *node, const char *rest, const char *last)
{
    char topic[TOPIC_CAP];

    (void)snprintf(topic, sizeof(topic), "aidash/%s/%s%s", node, rest, last);
    (void)mosquitto_subscribe(mosq, NULL, topic, 1);
}

static void on_connect(struct mosquitto *m, void *user, int reason, int flags,
                       const mosquitto_property *properties)
{
    size_t i, n = bridge_settings.nodes_n > 0 ? bridge_settings.nodes_n : 1;

    (void)m, (void)user, (void)flags, (void)properties;
    if (reason != 0) {
        (void)snprintf(why, sizeof(why), "%s", mosquitto_reason_string(reason));
        return;
    }
    if (bridge_settings.publish && !bridge_settings.no_commands) {
        subscribe(bridge_settings.nodes[0], "command", "");
    }
    if (bridge_settings.publish && mqtt_settings.ha_control) {
        subscribe(bridge_settings.nodes[0], "set", "");
    }
    for (i = 0; bridge_settings.subscribe && i < n; i++) {
        const char *node = bridge_settings.nodes_n > 0 ? bridge_settings.nodes[i] : "+";

        subscribe(node, "event/+", "");
        subscribe(node, "status", "");
        subscribe(node, "ack/", bridge_gateway());
    }
    tries = 0;
    settled = in_flight == 0;
    connections++;
    /* Last: who is told of the board may command it. */
    bridge_link(true, mqtt_settings.broker.host);
}

static void on_publish(struct mosquitto *m, void *user, int number, int reason,
                       const mosquitto_property *properties)
{
    static uint64_t refused;

    (void)m, (void)user, (void)number, (void)properties;
    settle();
    if (reason >= 128) {
        bridge_say_often(++refused, "messages were refused by the broker",
                         mosquitto_reason_string(reason));
    }
}

/* Of what goes wrong with TLS, the error code tells nothing. */
static void on_log(struct mosquitto *m, void *user, int level, const char *text)
{
    (void)m, (void)user;
    if (level == MOSQ_LOG_ERR && why[0] == '\0') {
        (void)snprintf(why, sizeof(why), "%s", text);
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

static void on_message(struct mosquitto *m, void *user,
                       const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
    char node[BRIDGE_NAME_CAP] = "", kind[TOPIC_CAP] = "", *name = NULL, *id = NULL;
    const char *json = message->payload != NULL ? message->payload : "";
    size_t len = (size_t)message->payloadlen;
    bool gateway = bridge_settings.subscribe;

    (void)m, (void)user;
    if (sscanf(message->topic, "aidash/%63[^/]/%255s", node, kind) != 2) {
        return;
    }
    if (strcmp(kind, "status") == 0) {
        if (gateway && len == 7 && memcmp(json, "offline", 7) == 0) {
            bridge_gone(node);
        }
    } else if (message->retain || len > BRIDGE_TEXT_MAX) {
        return; /* it is of the past: nobody wants it now */
    } else if (!gateway && strcmp(kind, "command") == 0) {
        bridge_command(json, len);
    } else if (!gateway && strcmp(kind, "set") == 0) {
        set_by_home_assistant(json, len);
    } else if (gateway && strncmp(kind, "ack/", 4) == 0) {
        bridge_ack(node, json, len);
    } else if (gateway && strncmp(kind, "event/", 6) == 0) {
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
    struct pollfd fds[2] = {{.events = 0}, {.fd = wake_fd, .events = POLLIN}};
    uint64_t woken;
    int rc = 0;

    while (rc == 0 && !bridge_over() && (fds[0].fd = mosquitto_socket(mosq)) >= 0) {
        fds[0].events = (short)(POLLIN | (mosquitto_want_write(mosq) ? POLLOUT : 0));
        if (poll(fds, 2, POLL_MS) < 0 && errno != EINTR) {
            return MOSQ_ERR_ERRNO;
        }
        if (fds[1].revents != 0) {
            (void)!read(wake_fd, &woken, sizeof(woken));
        }
        if (fds[0].revents & (POLLIN | POLLHUP | POLLERR)) {
            rc = mosquitto_loop_read(mosq, 1);
        }
        if (rc == 0 && mosquitto_want_write(mosq)) {
            rc = mosquitto_loop_write(mosq, 1);
        }
        if (rc == 0 && mosquitto_socket(mosq) >= 0) {
            rc = mosquitto_loop_misc(mosq);
        }
    }
    return rc;
}

static void in(void)
{
    const struct bridge_url *broker = &mqtt_settings.broker;
    mosquitto_property *session = NULL;
    int rc;

    if (bridge_settings.subscribe) {
        (void)mosquitto_property_add_int32(&session, MQTT_PROP_SESSION_EXPIRY_INTERVAL,
                                           SESSION_S);
    }
    do {
        why[0] = '\0';
        rc = mosquitto_connect_bind_v5(mosq, broker->host, (int)broker->port, KEEPALIVE_S, NULL,
                                       session);
        if (rc == MOSQ_ERR_SUCCESS) {
            rc = serve();
        }
        if (leaving) {
            break;
        }
        bridge_link(false, why[0] != '\0' ? why
                           : rc == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(rc));
    } while (bridge_pause_longer(&tries));
    mosquitto_property_free_all(&session);
}

/* ---- options --------------------------------------------------------------------------- */

static const char *parse_broker(const char *url)
{
    struct bridge_url *broker = &mqtt_settings.broker;
    bool ok = bridge_parse_url(url, "mqtt", broker) && broker->path[0] == '\0' &&
              broker->password[0] == '\0';

    if (broker->port == 0) {
        broker->port = broker->tls ? 8883 : 1883;
    }
    return ok ? NULL : "it must be mqtt://[USER@]HOST[:PORT] or mqtts://...; a password is in "
                       "--mqtt-password-file";
}

static const char *parse_secret(const char *path)
{
    return bridge_read_secret(path, mqtt_settings.password) ? NULL
                                                            : "no file with a password in it";
}

/* libmosquitto takes NULL for what is not given. */
static const char *given(const char *value)
{
    return value[0] != '\0' ? value : NULL;
}

static bool set_up(void)
{
    const struct mqtt_settings *s = &mqtt_settings;
    char topic[TOPIC_CAP + 16];
    bool ok = true;

    if (bridge_settings.publish) {
        (void)snprintf(mqtt_prefix, sizeof(mqtt_prefix), "aidash/%s", bridge_settings.nodes[0]);
        (void)snprintf(topic, sizeof(topic), "%s/status", mqtt_prefix);
        ok = mosquitto_will_set(mosq, topic, 7, "offline", 1, true) == 0;
    }
    if (s->broker.tls) {
        ok = ok && mosquitto_int_option(mosq, MOSQ_OPT_TLS_USE_OS_CERTS, s->ca[0] == '\0') == 0 &&
             mosquitto_tls_set(mosq, given(s->ca), s->ca[0] != '\0' ? NULL : "/etc/ssl/certs",
                               given(s->cert), given(s->key), NULL) == 0;
    }
    if (s->broker.user[0] != '\0') {
        ok = ok && mosquitto_username_pw_set(mosq, s->broker.user, given(s->password)) == 0;
    }
    mosquitto_connect_v5_callback_set(mosq, on_connect);
    mosquitto_publish_v5_callback_set(mosq, on_publish);
    mosquitto_message_v5_callback_set(mosq, on_message);
    mosquitto_log_callback_set(mosq, on_log);
    return ok && mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5) == 0 &&
           mosquitto_int_option(mosq, MOSQ_OPT_SEND_MAXIMUM, WINDOW) == 0 &&
           mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1) == 0 &&
           mosquitto_threaded_set(mosq, true) == 0;
}

static int check(void)
{
    char host[BRIDGE_NAME_CAP];
    size_t i;

    if (mqtt_settings.broker.host[0] == '\0') {
        return bridge_wrong("--mqtt", "which broker? Such as --mqtt mqtt://127.0.0.1");
    }
    for (i = 0; i < bridge_settings.nodes_n; i++) { /* levels of topics (MQTT 5.0, 4.7) */
        if (strpbrk(bridge_settings.nodes[i], "/+#$") != NULL) {
            return bridge_wrong("--node", "a name in MQTT's topics has none of / + # $");
        }
    }
    if (strpbrk(mqtt_settings.ha_prefix, "+#") != NULL || mqtt_settings.ha_prefix[0] == '\0') {
        return bridge_wrong("--ha-prefix", "a topic has no + and no #");
    }
    if (mqtt_settings.ha_control && !mqtt_settings.ha) {
        return bridge_wrong("--ha-control", "it needs --ha");
    }
    if (mqtt_settings.client[0] == '\0') {
        bridge_host(host);
        (void)snprintf(mqtt_settings.client, sizeof(mqtt_settings.client), "aidash-%s%s",
                       bridge_settings.publish ? "" : "gateway-",
                       bridge_settings.publish ? bridge_settings.nodes[0] : host);
    }
    wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    (void)mosquitto_lib_init();
    /* A board's commands of while it was away are of the past; a gateway's events are not. */
    mosq = mosquitto_new(mqtt_settings.client, bridge_settings.publish, NULL);
    return wake_fd >= 0 && mosq != NULL && set_up()
               ? 0 : bridge_wrong("--mqtt", "libmosquitto does not take these options: are the "
                                            "files of TLS there?");
}

static const struct bridge_option options[] = {
    {{"mqtt", "URL", "the broker (MQTT 5): mqtt://[USER@]HOST[:PORT], or mqtts://... with TLS",
      0}, .parse = parse_broker},
    {{"mqtt-password-file", "FILE", "file whose first line is USER's password", 0},
     .parse = parse_secret},
    {{"mqtt-ca", "FILE", "certificates of the authorities that vouch for the broker, instead of "
      "the system's", 0}, .text = mqtt_settings.ca},
    {{"mqtt-cert", "FILE", "certificate to show to the broker, with --mqtt-key", 0},
     .text = mqtt_settings.cert},
    {{"mqtt-key", "FILE", "its key", 0}, .text = mqtt_settings.key},
    {{"mqtt-client", "ID", "client ID, each its own (default aidash-NODE, or "
      "aidash-gateway-HOST)", 0}, .text = mqtt_settings.client},
    {{"ha", "", "tell Home Assistant of this board (MQTT discovery)", 0},
     .flag = &mqtt_settings.ha},
    {{"ha-control", "", "give it buttons for pause and resume, and the choice of the model", 0},
     .flag = &mqtt_settings.ha_control},
    {{"ha-url", "URL", "where Home Assistant finds the dashboard (default this machine's name)",
      0}, .text = mqtt_settings.ha_url},
    {{"ha-prefix", "PREFIX", "prefix of its discovery topics (default homeassistant)", 0},
     .text = mqtt_settings.ha_prefix},
    {.option = {NULL, NULL, NULL, 0}},
};

int main(int argc, char **argv)
{
    static const struct bridge mqtt = {
        "aidash-mqtt", "aidash with its boards and gateways on MQTT, and Home Assistant",
        options, check, out, in,
    };

    return bridge_main(argc, argv, &mqtt);
}
