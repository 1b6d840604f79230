/* api_nodes.c - what aidash.h declares for many boards: events of others, this run's
 * name and status, commands without a connection. Owns nothing.
 */
#ifndef AD_APP_API_NODES_C
#define AD_APP_API_NODES_C

#include "api_engine.c"

/* Copy a text into a caller's buffer. */
static int ad_give_text(const struct ad_text *t, char *out, size_t size)
{
    if (t->full || t->len >= size) {
        return AIDASH_EINVAL;
    }
    memcpy(out, t->at, t->len);
    out[t->len] = '\0';
    return 0;
}

#if AIDASH_NODES

/* Hand a record to the hub, and wake it if it sleeps. */
static int ad_relay(const struct ad_relayed *event)
{
    if (!ad_relay_push(event)) {
        return AIDASH_EFULL;
    }
    ad_wake_for_ring(ad_relay_waits(true));
    return 0;
}

int aidash_relay(const char *node, const char *id, const char *json, size_t len)
{
    struct ad_relayed event;
    int rc = AIDASH_EINVAL;

    if (!ad_enter()) {
        return AIDASH_ESTATE;
    }
    memset(&event, 0, sizeof(event));
    event.kind = AD_RELAYED_WRONG;
    if (node != NULL && node[0] != '\0' && json != NULL &&
        ad_copy_name(event.node, node, AIDASH_NODE_MAX) &&
        ad_relayed_id_parse(id, id != NULL ? strnlen(id, 64) : 0, &event.id)) {
        ad_relayed_parse(json, len, AD_RELAY_MAX, &event);
    }
    if (event.kind != AD_RELAYED_WRONG) {
        rc = ad_relay(&event);
    } else {
        atomic_fetch_add_explicit(&ad_relay_ring.refused, 1, memory_order_relaxed);
    }
    ad_leave();
    return rc;
}

int aidash_node_gone(const char *node)
{
    struct ad_relayed event;
    int rc = AIDASH_EINVAL;

    if (!ad_enter()) {
        return AIDASH_ESTATE;
    }
    memset(&event, 0, sizeof(event));
    event.kind = AD_RELAYED_GONE;
    if (node != NULL && node[0] != '\0' &&
        ad_copy_name(event.node, node, AIDASH_NODE_MAX)) {
        rc = ad_relay(&event);
    }
    ad_leave();
    return rc;
}

struct ad_node_last_call {
    struct ad_call call;
    const char *node;
    struct ad_text text;
};

static void ad_node_last_run(struct ad_call *call)
{
    struct ad_node_last_call *c = (struct ad_node_last_call *)(void *)call;

    ad_node_put_last(&c->text, c->node);
}

int aidash_node_last(const char *node, char *id, size_t size)
{
    char text[AD_RELAYED_RUN_MAX + 24];
    struct ad_node_last_call c;
    int rc = AIDASH_EINVAL;

    if (!ad_enter()) {
        return AIDASH_ESTATE;
    }
    c.call.run = ad_node_last_run;
    c.node = node;
    c.text = ad_text_in(text, sizeof(text));
    if (node != NULL && id != NULL) {
        ad_hub_do(&c.call);
        rc = ad_give_text(&c.text, id, size);
    }
    ad_leave();
    return rc;
}

#else

int aidash_relay(const char *node, const char *id, const char *json, size_t len)
{
    (void)node;
    (void)id;
    (void)json;
    (void)len;
    return AIDASH_EINVAL;
}

int aidash_node_gone(const char *node)
{
    (void)node;
    return AIDASH_EINVAL;
}

int aidash_node_last(const char *node, char *id, size_t size)
{
    (void)node;
    (void)id;
    (void)size;
    return AIDASH_EINVAL;
}

#endif /* AIDASH_NODES */

int aidash_run(char *out, size_t size)
{
    struct ad_text t = ad_text_in(ad_hub.run, strlen(ad_hub.run));
    int rc = AIDASH_EINVAL;

    if (!ad_enter()) {
        return AIDASH_ESTATE;
    }
    t.len = t.cap;
    if (out != NULL) {
        rc = ad_give_text(&t, out, size);
    }
    ad_leave();
    return rc;
}

struct ad_state_call {
    struct ad_call call;
    struct ad_text text;
};

static void ad_state_run(struct ad_call *call)
{
    struct ad_text *t = &((struct ad_state_call *)(void *)call)->text;

    ad_puts(t, "{\"event\":\"status\",");
    ad_put_engine(t);
    ad_puts(t, "}");
}

int aidash_status(char *json, size_t size)
{
    char text[AD_EVENT_MAX];
    struct ad_state_call c;
    int rc = AIDASH_EINVAL;

    if (!ad_enter()) {
        return AIDASH_ESTATE;
    }
    c.call.run = ad_state_run;
    c.text = ad_text_in(text, sizeof(text));
    if (json != NULL) {
        ad_hub_run(&c.call);
        rc = ad_give_text(&c.text, json, size);
    }
    ad_leave();
    return rc;
}

struct ad_command_call {
    struct ad_call call;
    const char *json, *client_id;
    size_t len;
    struct ad_text text;
};

/* Who calls is the program itself: it may all. */
static void ad_command_run(struct ad_call *call)
{
    struct ad_command_call *c = (struct ad_command_call *)(void *)call;
    struct ad_asker who;

    memset(&who, 0, sizeof(who));
    who.local = true;
    who.grant.rights = AD_MAY_ALL;
    (void)ad_command((const uint8_t *)c->json, c->len, c->client_id, -1, &who, NULL,
                     &c->text);
}

int aidash_command(const char *json, size_t len, const char *client_id, char *ack,
                   size_t size)
{
    char text[AD_REPLY_MAX], id[AIDASH_CLIENT_ID_MAX + 1] = "";
    struct ad_command_call c;
    int rc = AIDASH_EINVAL;

    if (!ad_enter()) {
        return AIDASH_ESTATE;
    }
    c.call.run = ad_command_run;
    c.json = json;
    c.len = len;
    c.client_id = id;
    c.text = ad_text_in(text, sizeof(text));
    if (json != NULL && len <= AIDASH_MESSAGE_MAX && ack != NULL &&
        (client_id == NULL || client_id[0] == '\0' ||
         ad_client_id(client_id, strnlen(client_id, AIDASH_CLIENT_ID_MAX + 1), id))) {
        ad_hub_run(&c.call);
        rc = ad_give_text(&c.text, ack, size);
    }
    ad_leave();
    return rc;
}

#endif
