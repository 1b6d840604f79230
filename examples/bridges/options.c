/* options.c - the options of the bridges to message brokers, and what these are made of:
 * URLs, files of passwords, names of boards. See bridge.h. The main thread, before the
 * others start.
 */
#define _GNU_SOURCE
#include "bridge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct bridge_settings bridge_settings = {.buffer_kib = 8192};

static const struct bridge *bridge;

int bridge_wrong(const char *written, const char *why)
{
    (void)fprintf(stderr, "%s: %s: %s (--help lists all)\n", bridge->program, written, why);
    return -1;
}

void bridge_host(char *out)
{
    if (gethostname(out, BRIDGE_NAME_CAP - 1) != 0) {
        out[0] = '\0';
    }
    out[BRIDGE_NAME_CAP - 1] = '\0';
    out[strcspn(out, ".")] = '\0';
}

bool bridge_read_secret(const char *path, char *out)
{
    FILE *file = fopen(path, "re");
    struct stat info;
    bool ok = file != NULL && fgets(out, BRIDGE_VALUE_CAP, file) != NULL;

    if (ok && fstat(fileno(file), &info) == 0 && (info.st_mode & S_IROTH) != 0) {
        (void)fprintf(stderr, "%s: warn: every user of this machine can read %s\n",
                      bridge->program, path);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    if (ok) {
        ok = strlen(out) < BRIDGE_VALUE_CAP - 1;
        out[strcspn(out, "\r\n")] = '\0';
    }
    return ok && out[0] != '\0';
}

/* Percent-encoded text (RFC 3986 2.1) up to `end`. False: it is longer than cap. */
static bool decode(const char *from, const char *end, char *to, size_t cap)
{
    size_t n = 0;

    for (; from < end && n + 1 < cap; from++) {
        unsigned byte = (unsigned char)*from;

        if (*from == '%' && end - from > 2 && sscanf(from + 1, "%2x", &byte) == 1) {
            from += 2;
        }
        to[n++] = (char)byte;
    }
    to[n] = '\0';
    return from == end;
}

bool bridge_parse_url(const char *url, const char *scheme, struct bridge_url *out)
{
    size_t len = strlen(scheme);
    const char *at, *end, *colon;
    char *rest;

    memset(out, 0, sizeof(*out));
    if (strncmp(url, scheme, len) != 0) {
        return false;
    }
    out->tls = url[len] == 's';
    url += len + (out->tls ? 1 : 0);
    if (strncmp(url, "://", 3) != 0) {
        return false;
    }
    url += 3;
    at = strrchr(url, '@');
    if (at != NULL) {
        colon = memchr(url, ':', (size_t)(at - url));
        if (!decode(url, colon != NULL ? colon : at, out->user, sizeof(out->user)) ||
            (colon != NULL && !decode(colon + 1, at, out->password, sizeof(out->password)))) {
            return false;
        }
        url = at + 1;
    }
    end = url + strcspn(url, "/");
    if (*end == '/' && !decode(end + 1, end + strlen(end), out->path, sizeof(out->path))) {
        return false;
    }
    colon = url[0] == '[' ? memchr(url, ']', (size_t)(end - url)) : url; /* IPv6 */
    colon = colon != NULL ? memchr(colon, ':', (size_t)(end - colon)) : NULL;
    if (colon != NULL) {
        out->port = strtoul(colon + 1, &rest, 10);
        if (rest != end || out->port < 1 || out->port > 65535) {
            return false;
        }
        end = colon;
    }
    if (url[0] == '[') {
        if (end[-1] != ']') {
            return false;
        }
        url++;
        end--;
    }
    return end > url && decode(url, end, out->host, sizeof(out->host));
}

static const char *parse_nodes(const char *list)
{
    size_t len;

    for (bridge_settings.nodes_n = 0;; bridge_settings.nodes_n++, list += len + 1) {
        len = strcspn(list, ",");
        if (len < 1 || len > AIDASH_NODE_MAX || strcspn(list, " *") < len) {
            return "a board's name has 1 to 31 bytes, without blanks and *";
        }
        if (bridge_settings.nodes_n == BRIDGE_NODES) {
            return "these are more than 256 names";
        }
        (void)snprintf(bridge_settings.nodes[bridge_settings.nodes_n], BRIDGE_NAME_CAP, "%.*s",
                       (int)len, list);
        if (list[len] == '\0') {
            bridge_settings.nodes_n++;
            return NULL;
        }
    }
}

static const struct bridge_option common[] = {
    {{"publish", "", "send the events of this board to the broker", 0},
     .flag = &bridge_settings.publish},
    {{"subscribe", "", "be a gateway: show the boards whose events the broker has", 0},
     .flag = &bridge_settings.subscribe},
    {{"node", "NAME", "this board's name (default the machine's); of a gateway, the boards to "
      "show (default all); may be repeated", 1}, .parse = parse_nodes},
    {{"buffer", "KIB", "memory for events while the broker is away (default 8192); the oldest "
      "are dropped, and counted", 0}, .number = &bridge_settings.buffer_kib, .min = 64,
     .max = 1048576},
    {{"no-commands", "", "take no commands from gateways", 0},
     .flag = &bridge_settings.no_commands},
    {.option = {NULL, NULL, NULL, 0}},
};

static int take_option(const struct bridge_option *o, const char *value, const char *written)
{
    const char *why = NULL;
    char sentence[128], *end;

    if (o->flag != NULL) {
        *o->flag = true;
    } else if (o->text != NULL) {
        why = strlen(value) < BRIDGE_VALUE_CAP ? NULL : "it is too long";
        (void)snprintf(o->text, BRIDGE_VALUE_CAP, "%s", value);
    } else if (o->number != NULL) {
        *o->number = strtoul(value, &end, 10);
        if (value[0] < '0' || value[0] > '9' || *end != '\0' || *o->number < o->min ||
            *o->number > o->max) {
            (void)snprintf(sentence, sizeof(sentence), "it must be a whole number from %lu to "
                           "%lu", o->min, o->max);
            why = sentence;
        }
    } else {
        why = o->parse(value);
    }
    return why == NULL ? 0 : bridge_wrong(written, why);
}

int bridge_take_option(const char *name, const char *value, const char *written)
{
    const struct bridge_option *tables[] = {common, bridge->options}, *o;
    size_t i;

    for (i = 0; i < 2; i++) {
        for (o = tables[i]; o->option.name != NULL; o++) {
            if (strcmp(o->option.name, name) == 0) {
                return take_option(o, value, written);
            }
        }
    }
    return -1;
}

int bridge_check(void)
{
    char host[BRIDGE_NAME_CAP];
    const char *why;

    if (bridge_settings.publish == bridge_settings.subscribe) {
        return bridge_wrong("options", "choose one of --publish and --subscribe");
    }
    if (bridge_settings.publish && bridge_settings.nodes_n == 0) {
        bridge_host(host);
        why = parse_nodes(host);
        if (why != NULL) {
            return bridge_wrong("--node (this machine's name)", why);
        }
    }
    if (bridge_settings.publish && bridge_settings.nodes_n > 1) {
        return bridge_wrong("--node", "this board has one name");
    }
    return 0;
}

const struct aidash_option *bridge_options(const struct bridge *of)
{
    static struct aidash_option options[AIDASH_ADDON_OPTIONS + 2];
    const struct bridge_option *tables[] = {common, of->options}, *o;
    size_t i, n = 0;

    bridge = of;
    for (i = 0; i < 2; i++) {
        for (o = tables[i]; o->option.name != NULL && n <= AIDASH_ADDON_OPTIONS; o++) {
            options[n++] = o->option; /* aidash_main() says so if these are too many */
        }
    }
    return options;
}
