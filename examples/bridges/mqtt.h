/* mqtt.h - what the files of aidash-mqtt share. MIT licence. */
#ifndef MQTT_H
#define MQTT_H

#include "bridge.h"

enum { MQTT_TOPIC_CAP = BRIDGE_VALUE_CAP + 128 };

/* What the options say. */
struct mqtt_settings {
    struct bridge_url broker;
    char password[BRIDGE_VALUE_CAP], ca[BRIDGE_VALUE_CAP], cert[BRIDGE_VALUE_CAP],
        key[BRIDGE_VALUE_CAP], client[BRIDGE_VALUE_CAP], ha_url[BRIDGE_VALUE_CAP],
        ha_prefix[BRIDGE_VALUE_CAP];
    bool ha, ha_control;
};
extern struct mqtt_settings mqtt_settings;
extern char mqtt_prefix[MQTT_TOPIC_CAP]; /* aidash/NODE, of a board */

/* ---- mqtt.c: thread `out` ------------------------------------------------------------- */

/* Send a message, with its id if it has one (else ""). Waits until there is room for it.
 * False: it can't be sent any more. */
bool mqtt_publish(const char *topic, const char *payload, size_t len, bool retain,
                  const char *id);

/* The same to aidash/NODE/LEVELNAME. */
bool mqtt_publish_below(const char *level, const char *name, const char *payload, size_t len,
                        bool retain, const char *id);

/* ---- mqtt_kept.c: thread `out` ---------------------------------------------------------- */

/* There is a new connection: the broker may have lost what it kept. */
void mqtt_kept_again(void);

/* An event of the board, which is kept if it is of one of these kinds. */
void mqtt_keep(const char *name, const char *json, size_t len);

/* Publish what is new and due. */
void mqtt_publish_kept(void);

#endif
