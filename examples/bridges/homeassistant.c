/* homeassistant.c - see homeassistant.h. The names, units and classes are those of
 * https://www.home-assistant.io/integrations/sensor.mqtt/, button.mqtt/ and select.mqtt/,
 * and of https://www.home-assistant.io/integrations/sensor/#device-class.
 */
#include "homeassistant.h"

#include "../../aidash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each reads the newest event of a kind, which is kept at PREFIX/state/EVENT. What is not
 * a number there ("absent", "needs_root") is "None", which Home Assistant shows as
 * unknown. */
static const struct sensor {
    const char *id, *name, *event, *value;
    const char *more; /* further members, as JSON with a comma before each */
} sensors[] = {
    {"speed", "Speed", "inference_tick", "{{ value_json.tokens_per_second }}",
     ",\"unit_of_measurement\":\"tokens/s\",\"state_class\":\"measurement\","
     "\"suggested_display_precision\":1,\"expire_after\":60,\"icon\":\"mdi:speedometer\""},
    {"tokens", "Tokens", "tokens", "{{ value }}",
     ",\"unit_of_measurement\":\"tokens\",\"state_class\":\"total_increasing\","
     "\"icon\":\"mdi:counter\""},
    {"latency", "Latency", "inference_tick", "{{ value_json.latency_ms }}",
     ",\"device_class\":\"duration\",\"unit_of_measurement\":\"ms\",\"state_class\":"
     "\"measurement\",\"suggested_display_precision\":1,\"expire_after\":60"},
    {"running", "Requests running", "status", "{{ value_json.running | default(0) }}",
     ",\"unit_of_measurement\":\"requests\",\"state_class\":\"measurement\","
     "\"icon\":\"mdi:format-list-bulleted\""},
    {"temperature", "Temperature", "board",
     "{% set t = value_json.temperatures | map(attribute='celsius') | select('number') "
     "| list %}{{ t | max if t else None }}",
     ",\"device_class\":\"temperature\",\"unit_of_measurement\":\"°C\","
     "\"state_class\":\"measurement\",\"suggested_display_precision\":1"},
    {"power", "Power", "board",
     "{{ value_json.power.watts if value_json.power.watts is number else None }}",
     ",\"device_class\":\"power\",\"unit_of_measurement\":\"W\",\"state_class\":"
     "\"measurement\",\"suggested_display_precision\":1"},
    {"energy", "Energy", "energy", "{{ value_json.wh }}",
     ",\"device_class\":\"energy\",\"unit_of_measurement\":\"Wh\",\"state_class\":"
     "\"total_increasing\",\"suggested_display_precision\":1"},
    {"model", "Model", "status", "{{ value_json.model or None }}",
     ",\"icon\":\"mdi:brain\""},
    {"paused", "State", "status",
     "{{ 'paused' if value_json.paused else value_json.engine if value_json.engine in "
     "('down', 'loading') else 'running' }}",
     ",\"icon\":\"mdi:play-pause\""},
    /* A state has at most 255 characters. */
    {"verdict", "Verdict", "verdict",
     "{{ value_json.sentence[:255] if value_json.on else 'as usual' }}",
     ",\"icon\":\"mdi:stethoscope\""},
};
static const struct button {
    const char *id, *name, *icon;
} buttons[] = {{"pause", "Pause", "mdi:pause"}, {"resume", "Resume", "mdi:play"}};

static char models[16384]; /* of the newest status, as a JSON array; "": none */

struct text {
    char *out;
    size_t size, len;
};

static void put(struct text *t, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->out + t->len, t->size - t->len, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= t->size - t->len) {
        t->len = t->size - 1; /* it is full: the caller sees it */
    } else {
        t->len += (size_t)n;
    }
}

/* A name within a JSON string: without control characters, so two are escaped. */
static void put_escaped(struct text *t, const char *text)
{
    for (; *text != '\0'; text++) {
        put(t, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    }
}

static void put_topic(struct text *t, const char *member, const char *prefix,
                      const char *level, const char *last)
{
    put(t, ",\"%s\":\"", member);
    put_escaped(t, prefix);
    put(t, "%s%s\"", level, last);
}

void homeassistant_id(char *out, const char *node)
{
    for (; *node != '\0'; node++) {
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-",
                   *node) != NULL) {
            *out++ = *node;
        } else {
            out += sprintf(out, "_%02X", (unsigned char)*node);
        }
    }
    *out = '\0';
}

static void put_head(struct text *t, const struct homeassistant *board, const char *id)
{
    put(t, "{\"device\":{\"identifiers\":[\"aidash_%s\"],\"name\":\"", id);
    put_escaped(t, board->node);
    put(t, "\",\"manufacturer\":\"aidash\",\"model\":\"AI engine\",\"sw_version\":\"%s\","
           "\"configuration_url\":\"",
        AIDASH_VERSION);
    put_escaped(t, board->url);
    put(t, "\"},\"origin\":{\"name\":\"aidash-mqtt\",\"sw_version\":\"%s\"}", AIDASH_VERSION);
    put_topic(t, "availability_topic", board->prefix, "/status", "");
    put(t, ",\"qos\":1,\"components\":{");
}

/* Buttons and the select. "An empty config can be published as an update to remove a
 * single component": with its platform alone. */
static void put_controls(struct text *t, const struct homeassistant *board, const char *id)
{
    size_t i;

    for (i = 0; i < sizeof buttons / sizeof *buttons; i++) {
        put(t, ",\"%s\":{\"platform\":\"button\"", buttons[i].id);
        if (!board->removed) {
            put(t, ",\"unique_id\":\"aidash_%s_%s\",\"name\":\"%s\",\"icon\":\"%s\"", id,
                buttons[i].id, buttons[i].name, buttons[i].icon);
            put_topic(t, "command_topic", board->prefix, "/set", "");
            put(t, ",\"payload_press\":\"{\\\"action\\\":\\\"%s\\\"}\"",
                buttons[i].id);
        }
        put(t, "}");
    }
    if (board->removed) {
        put(t, ",\"choice\":{\"platform\":\"select\"}");
    } else if (models[0] != '\0') {
        put(t, ",\"choice\":{\"platform\":\"select\",\"unique_id\":\"aidash_%s_choice\","
               "\"name\":\"Model\",\"icon\":\"mdi:brain\"",
            id);
        put_topic(t, "state_topic", board->prefix, "/state/", "status");
        put(t, ",\"value_template\":\"{{ value_json.model or None }}\"");
        put_topic(t, "command_topic", board->prefix, "/set", "");
        put(t, ",\"command_template\":\"{\\\"action\\\":\\\"switch_model\\\","
               "\\\"model\\\":{{ value | tojson }} }\",\"options\":%s}",
            models);
    }
}

/* A status has no bare quote within its strings (RFC 8259 7). */
int homeassistant_models(const char *status)
{
    static char was[sizeof(models)];
    const char *at = strstr(status, "\"models\":["), *end;
    int quoted = 0;

    memcpy(was, models, sizeof(was));
    models[0] = '\0';
    if (at != NULL) {
        at += 9;
        for (end = at; *end != '\0' && (quoted || *end != ']'); end++) {
            quoted ^= *end == '"';
            end += *end == '\\' && end[1] != '\0';
        }
        if (*end == ']' && end - at > 1 && (size_t)(end - at) < sizeof(models) - 1) {
            (void)snprintf(models, sizeof(models), "%.*s", (int)(end - at + 1), at);
        }
    }
    return strcmp(was, models) != 0;
}

size_t homeassistant_config(char *out, size_t size, const struct homeassistant *board)
{
    struct text t = {out, size, 0};
    char id[3 * AIDASH_NODE_MAX + 1];
    size_t i;

    homeassistant_id(id, board->node);
    put_head(&t, board, id);
    for (i = 0; i < sizeof sensors / sizeof *sensors; i++) {
        const struct sensor *s = &sensors[i];

        put(&t, "%s\"%s\":{\"platform\":\"sensor\",\"unique_id\":\"aidash_%s_%s\",\"name\":\"%s\"",
            i > 0 ? "," : "", s->id, id, s->id, s->name);
        put_topic(&t, "state_topic", board->prefix, "/state/", s->event);
        put(&t, ",\"value_template\":\"%s\"%s}", s->value, s->more);
    }
    if (board->control || board->removed) {
        put_controls(&t, board, id);
    }
    put(&t, "}}");
    return t.len < size - 1 ? t.len : 0;
}

uint64_t homeassistant_tokens(const char *tick)
{
    enum { MODELS = 32 };
    static struct {
        char model[6 * AIDASH_MODEL_MAX + 1]; /* as JSON, escaped */
        uint64_t tokens;
    } seen[MODELS];
    static uint64_t total;
    static size_t n, oldest;
    const char *model = strstr(tick, "\"model\":\""), *tokens = strstr(tick, ",\"tokens_generated\":");
    uint64_t now;
    size_t i, len;

    if (model == NULL || tokens == NULL || tokens < (model += 9)) {
        return total;
    }
    len = (size_t)(tokens - model);
    now = strtoull(tokens + 20, NULL, 10);
    if (len >= sizeof seen->model) {
        return total;
    }
    for (i = 0; i < n; i++) {
        if (strncmp(seen[i].model, model, len) == 0 && seen[i].model[len] == '\0') {
            total += now > seen[i].tokens ? now - seen[i].tokens : 0;
            seen[i].tokens = now;
            return total;
        }
    }
    i = n < MODELS ? n++ : oldest++ % MODELS;
    memcpy(seen[i].model, model, len);
    seen[i].model[len] = '\0';
    seen[i].tokens = now;
    return total += now;
}
