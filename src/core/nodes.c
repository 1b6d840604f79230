/* nodes.c - the other boards: which there are, whether they are live, the newest of
 * what each said, who takes commands to it.
 * Owns ad_nodes. Hub thread only. Called by the loop, which hands it what is in the
 * ring of relay.c; by the links to boards, for their commands.
 */
#ifndef AD_CORE_NODES_C
#define AD_CORE_NODES_C

#include "relay.c"
#include "sources.c"

#if AIDASH_NODES

_Static_assert((int)AD_RELAYED_RUN_MAX == (int)AD_RUN_MAX, "of the same kind");

enum {
    AD_RELAY_RUN_MAX = 256, /* events that are taken in one turn */
    AD_NODE_URL_MAX = 255
};

enum ad_node_state { AD_NODE_LIVE, AD_NODE_STALE, AD_NODE_GONE };
static const char *const ad_node_states[] = {"live", "stale", "gone"};

/* Who takes commands to a board: `send` gets {"number":N,"command":{...}}, not
 * NUL-terminated and valid during the call. NULL: it was taken, and
 * ad_command_finish(N) will end it. Else a sentence why it was not. */
struct ad_node_link {
    const char *(*send)(void *to, uint64_t number, const char *json, size_t len);
    void *to;
};

struct ad_node {
    char name[AIDASH_NODE_MAX + 1];
    uint8_t state; /* enum ad_node_state */
    bool itself;   /* its events come from it; else ticks alone name it */
    uint32_t heard_ms; /* when the newest event came, by ad_hub.now_ms */
    uint64_t heard_ns; /* likewise, by ad_hub.now_ns */
    uint64_t gone_ns;  /* when it went, if it is gone */
    /* The newest event of its present run, and of the run before: what of that comes
     * late does not count as a new run. */
    struct ad_relayed_id last, before;
    uint64_t doubles; /* events that came twice */
    uint64_t told_us; /* Unix time of its latest tick, at most now */
    char model[AIDASH_MODEL_MAX + 1]; /* of its newest tick or status; "": not known */
    char url[AD_NODE_URL_MAX + 1];    /* "": not known */
    struct ad_node_link link;         /* send NULL: none */
    /* The newest event of each kind that is kept, one behind the other in `texts`. */
    uint16_t len[AD_RELAYED_KEPT]; /* 0: none */
    char texts[AIDASH_NODE_BYTES];
};
_Static_assert(AIDASH_NODE_BYTES <= UINT16_MAX, "a length is 16 bits wide");

static struct {
    unsigned n;      /* places ever used */
    unsigned recent; /* the place of the newest event's board */
    uint64_t events;  /* taken */
    uint64_t doubles; /* ignored: they came twice */
    uint64_t foreign; /* ignored: of a third board, or ticks of one that speaks for itself */
    uint64_t nowhere; /* ignored: all places were taken */
    struct ad_node list[AIDASH_NODES];
} ad_nodes;

/* ---- the table ---- */

/* The board of this name, or NULL. */
static struct ad_node *ad_node_find(const char *name)
{
    unsigned i;

    if (ad_nodes.n > 0 && strcmp(ad_nodes.list[ad_nodes.recent].name, name) == 0) {
        return &ad_nodes.list[ad_nodes.recent];
    }
    for (i = 0; i < ad_nodes.n; i++) {
        if (strcmp(ad_nodes.list[i].name, name) == 0) {
            ad_nodes.recent = i;
            return &ad_nodes.list[i];
        }
    }
    return NULL;
}

/* Tell the viewers the state of a board. */
static void ad_node_tell(const struct ad_node *n)
{
    char json[AD_NODE_WRAP + 32];
    struct ad_text t = ad_text_in(json, sizeof(json));

    ad_puts(&t, "{\"event\":\"node\",\"seq\":");
    ad_put_u64(&t, ad_feed.next);
    ad_puts(&t, ",\"node\":");
    ad_put_string(&t, n->name);
    ad_puts(&t, ",\"state\":");
    ad_put_string(&t, ad_node_states[n->state]);
    ad_puts(&t, "}");
    ad_event_append(AD_EV_NODE, &t);
}

static void ad_node_set_state(struct ad_node *n, enum ad_node_state state)
{
    if (n->state != state) {
        n->state = (uint8_t)state;
        n->gone_ns = ad_hub.now_ns;
        ad_node_tell(n);
    }
}

/* A place for a new board: a free one, or that of the one gone the longest; for one that
 * speaks for itself also that of one that ticks name, which was silent longest. NULL: all
 * are taken. */
static struct ad_node *ad_node_place(bool itself)
{
    struct ad_node *place = NULL, *named = NULL;
    unsigned i;

    if (ad_nodes.n < AIDASH_NODES) {
        return &ad_nodes.list[ad_nodes.n++];
    }
    for (i = 0; i < AIDASH_NODES; i++) {
        struct ad_node *n = &ad_nodes.list[i];

        if (n->state == AD_NODE_GONE && n->link.send == NULL &&
            (place == NULL || n->gone_ns < place->gone_ns)) {
            place = n;
        }
        if (!n->itself && (named == NULL || n->heard_ns < named->heard_ns)) {
            named = n;
        }
    }
    return place != NULL || !itself ? place : named;
}

/* The board of this name, which is added if it is not there. NULL: there is no place.
 * A new one is gone until its first event comes. */
static struct ad_node *ad_node_add(const char *name, bool itself)
{
    struct ad_node *n = ad_node_find(name);
    unsigned before = ad_nodes.n;

    if (n != NULL) {
        return n;
    }
    n = ad_node_place(itself);
    if (n == NULL) {
        return NULL;
    }
    if (ad_nodes.n == before) {
        ad_node_set_state(n, AD_NODE_GONE); /* viewers forget who was here */
    }
    memset(n, 0, sizeof(*n));
    (void)snprintf(n->name, sizeof(n->name), "%s", name);
    n->state = AD_NODE_GONE;
    n->itself = itself;
    n->gone_ns = n->heard_ns = ad_hub.now_ns;
    if (ad_nodes.n != before) {
        ad_status_append(); /* it says how many there are */
    }
    return n;
}

/* Likewise of one that speaks for itself. */
static struct ad_node *ad_node_get(const char *name)
{
    struct ad_node *n = ad_node_add(name, true);

    if (n == NULL) {
        ad_log(AIDASH_LOG_WARN, "the board %s is one too many: raise AIDASH_NODES",
               name);
    }
    return n;
}

/* ---- what comes in ---- */

/* Something came of it. */
static void ad_node_heard(struct ad_node *n)
{
    n->heard_ms = ad_hub.now_ms;
    n->heard_ns = ad_hub.now_ns;
    ad_node_set_state(n, AD_NODE_LIVE);
}

/* Was an event of this number here already? If not, it is the newest now. */
static bool ad_node_seen(struct ad_node *n, const struct ad_relayed_id *id)
{
    struct ad_relayed_id *known = NULL;

    if (id->run[0] == '\0') {
        return false;
    }
    if (strcmp(id->run, n->last.run) == 0) {
        known = &n->last;
    } else if (strcmp(id->run, n->before.run) == 0) {
        known = &n->before;
    } else {
        n->before = n->last;
        n->last = *id;
        return false;
    }
    if (id->seq <= known->seq) {
        return true;
    }
    known->seq = id->seq;
    return false;
}

/* Where the text of a kind begins in n->texts. */
static size_t ad_node_text_at(const struct ad_node *n, unsigned kind)
{
    size_t at = 0;
    unsigned i;

    for (i = 0; i < kind; i++) {
        at += n->len[i];
    }
    return at;
}

/* Keep an event as the newest of its kind. If it does not fit beside the others, there
 * is none. */
static void ad_node_keep(struct ad_node *n, unsigned kind, struct ad_slice json)
{
    size_t at = ad_node_text_at(n, kind);
    size_t end = ad_node_text_at(n, AD_RELAYED_KEPT);
    size_t behind = end - at - n->len[kind];
    size_t len = at + behind + json.len <= AIDASH_NODE_BYTES ? json.len : 0;
    struct ad_text t = ad_text_in(n->texts + at, len);

    memmove(n->texts + at + len, n->texts + at + n->len[kind], behind);
    if (len > 0) {
        ad_put_relayed(&t, json);
    }
    n->len[kind] = (uint16_t)len;
}

/* Hand an event to all viewers, inside one of our own: who does not know of other
 * boards would take it for this one's. */
static void ad_node_wrap(const struct ad_node *n, struct ad_slice event)
{
    char json[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    ad_puts(&t, "{\"event\":\"node\",\"seq\":");
    ad_put_u64(&t, ad_feed.next);
    ad_puts(&t, ",\"node\":");
    ad_put_string(&t, n->name);
    ad_puts(&t, ",\"data\":");
    ad_put_relayed(&t, event);
    ad_puts(&t, "}");
    ad_event_append(AD_EV_NODE, &t);
}

/* A tick of a board. What is long before one that it told already is stray: so a board
 * goes through the past once, and then can't change it any more. */
static void ad_node_tick(struct ad_node *n, struct ad_relayed *event)
{
    uint64_t us = event->sample.time_us;

    memcpy(event->sample.node, n->name, sizeof(n->name));
    if (us + AD_TICK_LATE_US < n->told_us) {
        event->sample.has |= AD_IS_STRAY;
    } else if (us > n->told_us) {
        n->told_us = us < ad_hub.now_us ? us : ad_hub.now_us;
    }
    ad_sim_end();
    ad_tick_apply_of(&event->sample, event->request, ad_hub.now_ns);
}

/* Ticks that do not come from the board itself, such as those of UDP, name it: that is a
 * sign of its life. False: they are from outside, and it speaks for itself: nobody else
 * does for it. What this program publishes is its own affair. */
static bool ad_node_named(const char *name, const char *model, bool outside)
{
    struct ad_node *n = ad_node_find(name);

    if (outside && n != NULL && n->itself &&
        (n->link.send != NULL || n->state != AD_NODE_GONE)) {
        ad_nodes.foreign++;
        return false;
    }
    n = ad_node_add(name, false);
    if (n == NULL) {
        ad_nodes.nowhere++;
        return true; /* its ticks are shown all the same */
    }
    n->itself = n->itself && !outside;
    ad_node_heard(n);
    if (model[0] != '\0') {
        (void)snprintf(n->model, sizeof(n->model), "%s", model);
    }
    return true;
}

/* What the ring had next. */
static void ad_node_apply(struct ad_relayed *event)
{
    struct ad_node *n;

    if (event->kind == AD_RELAYED_GONE) {
        n = ad_node_find(event->node);
        if (n != NULL) {
            ad_node_set_state(n, AD_NODE_GONE);
        }
        return;
    }
    n = ad_node_get(event->node);
    if (n == NULL) {
        ad_nodes.nowhere++;
        return;
    }
    n->itself = true;
    ad_node_heard(n);
    if (ad_node_seen(n, &event->id)) {
        n->doubles++;
        ad_nodes.doubles++;
        return;
    }
    if (event->kind == AD_RELAYED_FOREIGN) {
        ad_nodes.foreign++;
        return;
    }
    ad_nodes.events++;
    if (event->sample.model[0] != '\0') {
        memcpy(n->model, event->sample.model, sizeof(n->model));
    }
    if (event->kind == AD_RELAYED_TICK) {
        ad_node_tick(n, event);
        return;
    }
    if (event->kind < AD_RELAYED_KEPT) {
        ad_node_keep(n, event->kind, event->json);
    }
    ad_node_wrap(n, event->json);
}

/* Each turn: what is in the ring, until a fan-out is due. */
static void ad_nodes_run(void)
{
    struct ad_relayed event;
    unsigned i;

    for (i = 0; i < AD_RELAY_RUN_MAX && !ad_events_due() && ad_relay_front(&event);
         i++) {
        ad_node_apply(&event);
        ad_relay_drop(&event);
    }
}

/* Once a second: the boards that are silent. Those for which there is no room before
 * the next fan-out wait a second more. */
static void ad_nodes_housekeeping(void)
{
    unsigned i;

    for (i = 0; i < ad_nodes.n && !ad_events_due(); i++) {
        struct ad_node *n = &ad_nodes.list[i];
        uint32_t silent_ms = ad_hub.now_ms - n->heard_ms;

        if (n->state == AD_NODE_GONE) {
            continue;
        }
        if (silent_ms >= AIDASH_NODE_GONE_S * 1000u) {
            ad_node_set_state(n, AD_NODE_GONE);
        } else if (silent_ms >= AIDASH_NODE_STALE_S * 1000u) {
            ad_node_set_state(n, AD_NODE_STALE);
        }
    }
}

/* ---- links ---- */

/* Commands to this board go to `link` from now on. False if there is no place for
 * another board. */
static AD_UNUSED bool ad_node_link(const char *name, const struct ad_node_link *link)
{
    struct ad_node *n = ad_node_get(name);

    if (n == NULL) {
        return false;
    }
    n->link = *link;
    n->itself = true;
    return true;
}

/* They do not any more, unless another link has taken its place. `gone`: the board said
 * that it stops; else it may come back before anybody sees that it was away. */
static AD_UNUSED void ad_node_unlink(const char *name, const void *to, bool gone)
{
    struct ad_node *n = ad_node_find(name);

    if (n != NULL && n->link.send != NULL && n->link.to == to) {
        n->link.send = NULL;
        if (gone) {
            ad_node_set_state(n, AD_NODE_GONE);
        }
    }
}

/* The link to a board that says nothing is up: it is live as long as that is so. */
static AD_UNUSED void ad_node_touch(const char *name)
{
    struct ad_node *n = ad_node_find(name);

    if (n != NULL) {
        n->heard_ms = ad_hub.now_ms;
        ad_node_set_state(n, AD_NODE_LIVE);
    }
}

/* The address of the board's own page, for people. One that is too long is left out. */
static AD_UNUSED void ad_node_set_url(const char *name, const char *url)
{
    struct ad_node *n = ad_node_get(name);

    if (n != NULL) {
        (void)snprintf(n->url, sizeof(n->url), "%.*s", AD_NODE_URL_MAX, url);
    }
}

/* ---- what is told ---- */

/* Bytes of a board in GET /nodes: fixed text 150, numbers 90, names, texts. */
enum {
    AD_NODE_SHOWN_MAX = 256 + 2 * AIDASH_NODE_MAX + 2 * AIDASH_MODEL_MAX +
                       2 * AD_NODE_URL_MAX + AIDASH_NODE_BYTES
};

/* The newest id of a board, RUN-SEQ; "" if there is none. */
static void ad_node_put_last(struct ad_text *t, const char *name)
{
    const struct ad_node *n = ad_node_find(name);

    if (n != NULL && n->last.run[0] != '\0') {
        ad_puts(t, n->last.run);
        ad_puts(t, "-");
        ad_put_u64(t, n->last.seq);
    }
}

/* The tokens of all models of a board, and how many a second it makes now. */
static void ad_node_sum(const struct ad_node *n, uint64_t *tokens, double *rate)
{
    unsigned i;

    *tokens = 0;
    *rate = 0;
    for (i = 0; i < ad_ticks.n_series; i++) {
        const struct ad_series *s = &ad_ticks.series[i];

        if (strcmp(s->node, n->name) == 0) {
            *tokens += s->tokens;
            *rate += ad_hub.now_ns - s->last_ns < AD_RATE_WINDOW_MS * AD_NS_PER_MS
                         ? s->told_rate : 0;
        }
    }
}

/* Board i of GET /nodes. */
static void ad_put_node(struct ad_text *t, uint64_t i)
{
    static const char *const names[AD_RELAYED_KEPT] = {
        [AD_RELAYED_STATUS] = ",\"status\":", [AD_RELAYED_BOARD] = ",\"board\":",
        [AD_RELAYED_VERDICT] = ",\"verdict\":", [AD_RELAYED_ENERGY] = ",\"energy\":"};
    const struct ad_node *n = &ad_nodes.list[i];
    uint64_t tokens;
    double rate;
    unsigned kind;

    ad_puts(t, "{\"node\":");
    ad_put_string(t, n->name);
    ad_puts(t, ",\"state\":");
    ad_put_string(t, ad_node_states[n->state]);
    ad_puts(t, ",\"age_ms\":");
    ad_put_u64(t, (ad_hub.now_ns - n->heard_ns) / AD_NS_PER_MS);
    if (n->url[0] != '\0') {
        ad_puts(t, ",\"url\":");
        ad_put_string(t, n->url);
    }
    if (n->model[0] != '\0') {
        ad_puts(t, ",\"model\":");
        ad_put_string(t, n->model);
    }
    ad_node_sum(n, &tokens, &rate);
    ad_puts(t, ",\"tokens_per_second\":");
    ad_put_fixed(t, rate, 2);
    ad_puts(t, ",\"tokens\":");
    ad_put_u64(t, tokens);
    for (kind = 0; kind < AD_RELAYED_KEPT; kind++) {
        if (n->len[kind] > 0) {
            ad_puts(t, names[kind]);
            ad_put(t, n->texts + ad_node_text_at(n, kind), n->len[kind]);
        }
    }
    ad_puts(t, "}");
}

/* Their section of status: how many there are, if there are any. */
static void ad_put_nodes(struct ad_text *t)
{
    if (ad_nodes.n > 0) {
        ad_puts(t, ",\"nodes\":");
        ad_put_u64(t, ad_nodes.n);
    }
}

/* Before each run. */
static void ad_nodes_init(void)
{
    ad_relay_init();
    ad_nodes.n = ad_nodes.recent = 0;
    ad_nodes.events = ad_nodes.doubles = ad_nodes.foreign = ad_nodes.nowhere = 0;
    ad_engine_add_section(ad_put_nodes);
    ad_sources.on_node = ad_node_named;
}

AD_MEMORY(nodes, AIDASH_NODES, sizeof(ad_nodes));

#endif /* AIDASH_NODES */

#endif
