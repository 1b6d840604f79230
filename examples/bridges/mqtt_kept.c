/* mqtt_kept.c - what the broker keeps of a board for those who come later: that it is
 * there, the newest event of each kind, and what Home Assistant has to know. See mqtt.h.
 */
#define _GNU_SOURCE
#include "mqtt.h"

#include "homeassistant.h"

#include <stdio.h>
#include <string.h>

enum {
    STATE_MS = 5000, /* between two of the same aidash/NODE/state/NAME */
    STATE_CAP = 16384,
    CONFIG_CAP = 32768
};

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

/* Tell Home Assistant of this board. Buttons of a run before, which had the right for
 * them, are taken away. */
static void announce(void)
{
    static char config[CONFIG_CAP];
    struct mqtt_settings *set = &mqtt_settings;
    struct homeassistant board = {mqtt_prefix, bridge_settings.nodes[0], set->ha_url,
                                  set->ha_control, !set->ha_control};
    char topic[MQTT_TOPIC_CAP], host[BRIDGE_NAME_CAP], id[3 * AIDASH_NODE_MAX + 1];
    size_t len;

    if (!set->ha) {
        return;
    }
    if (set->ha_url[0] == '\0') { /* its port is known now */
        bridge_host(host);
        (void)snprintf(set->ha_url, sizeof(set->ha_url), "http://%s:%u/", host, aidash_port(0));
    }
    homeassistant_id(id, board.node);
    (void)snprintf(topic, sizeof(topic), "%s/device/aidash_%s/config", set->ha_prefix, id);
    if (board.removed) {
        len = homeassistant_config(config, CONFIG_CAP, &board);
        (void)mqtt_publish(topic, config, len, true, "");
        board.removed = 0;
    }
    len = homeassistant_config(config, CONFIG_CAP, &board);
    (void)mqtt_publish(topic, config, len, true, "");
}

void mqtt_keep(const char *name, const char *json, size_t len)
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
        mqtt_keep("tokens", tokens, strlen(tokens));
    } else if (strcmp(name, "status") == 0 && homeassistant_models(states[i].json)) {
        announce();
    }
}

void mqtt_publish_kept(void)
{
    uint64_t now_ms = bridge_now_ms();
    struct state *s;

    for (s = states; s < states + STATES; s++) {
        if (s->dirty && (s->now || s->sent_ms == 0 || now_ms - s->sent_ms >= STATE_MS)) {
            s->dirty = false;
            s->sent_ms = now_ms;
            (void)mqtt_publish_below("state/", s->name, s->json, s->len, true, "");
        }
    }
}

void mqtt_kept_again(void)
{
    struct state *s;

    if (bridge_settings.publish) {
        (void)mqtt_publish_below("status", "", "online", 6, true, "");
        announce();
        for (s = states; s < states + STATES; s++) {
            s->dirty = s->len > 0;
            s->sent_ms = 0;
        }
    }
}
