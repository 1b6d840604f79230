/* ticks.c - samples become ticks: tokens are counted for each model on each
 * node, what a sample leaves out is completed, the event is appended.
 * Owns ad_ticks. Hub thread only. Called by each source; never calls into the
 * clients.
 */
#ifndef AD_CORE_TICKS_C
#define AD_CORE_TICKS_C

#include "../codec/tick.c"
#include "engine.c"
#include "inbox.c"
#include "measures.c"
#include "rate.c"

_Static_assert(AIDASH_SERIES < 65535, "links are 16 bits wide");

/* What is counted for one model on one node. [h] */
struct ad_series {
    char model[AIDASH_MODEL_MAX + 1];
    char node[AIDASH_NODE_MAX + 1];
    uint64_t tokens;  /* tokens_generated */
    uint64_t last_ns; /* monotonic time of the last tick */
    unsigned estimates; /* requests whose own count is still to come */
    double told_rate;   /* of the latest tick */
    uint64_t told_us;   /* and when it was, Unix time */
    struct ad_rate rate;
    unsigned model_json_len, node_json_len;
    char model_json[AD_MODEL_JSON_MAX]; /* escaped once, not at each tick */
    char node_json[AD_NODE_JSON_MAX];
    uint32_t hash;
#if AIDASH_METRICS
    uint16_t measure;      /* its model's place in ad_measures */
#endif
    uint16_t share;        /* of its node, in ad_ticks.shares */
    uint16_t next;         /* in its bucket */
    uint16_t newer, older; /* in the order of the last ticks */
    bool named;            /* its last tick names a node, and is not from there */
};

/* The series are found by a hash table, bucket[hash % AIDASH_SERIES], and listed
 * by the time of their last tick. A link is an index + 1, or 0 for none: so
 * zeros are an empty table. Nodes are told apart by a hash of their names here, so two
 * may have one share. */
static struct {
    unsigned n_series; /* ever used */
    uint64_t count, paused_dropped; /* ticks sent, and not sent while paused */
    bool (*observe)(const char *model, uint64_t tokens, double latency_ms, bool first,
                    uint64_t at_us); /* [I] */
    struct {
        uint32_t node; /* hash of its name */
        uint16_t n;    /* series that it has; 0: the share is free */
    } shares[AIDASH_SERIES];
    uint16_t newest, oldest;        /* links */
    uint16_t bucket[AIDASH_SERIES]; /* links */
    struct ad_series series[AIDASH_SERIES];
} ad_ticks;

/* Nothing is left of a run before; the series' own memory stays untouched. */
static void ad_ticks_init(void)
{
    ad_ticks.n_series = 0;
    ad_ticks.count = ad_ticks.paused_dropped = 0;
    ad_ticks.observe = NULL;
    ad_ticks.newest = ad_ticks.oldest = 0;
    memset(ad_ticks.bucket, 0, sizeof(ad_ticks.bucket));
    memset(ad_ticks.shares, 0, sizeof(ad_ticks.shares));
}

#if AIDASH_HISTORY

/* Hand each tick to this function, too: its model, the tokens that it added, its
 * latency, whether that is of a first token; of another board's that was before now, when
 * that was, Unix time, else 0. It returns whether there is a place for that time. While
 * starting. */
static void ad_ticks_observe(bool (*observe)(const char *model, uint64_t tokens,
                                             double latency_ms, bool first,
                                             uint64_t at_us))
{
    ad_ticks.observe = observe;
}

#endif

static struct ad_series *ad_series_at(uint16_t link)
{
    return link == 0 ? NULL : &ad_ticks.series[link - 1];
}

static uint16_t ad_series_link(const struct ad_series *s)
{
    return (uint16_t)(s - ad_ticks.series + 1);
}

/* FNV-1a over both names, with the NUL between them. */
static uint32_t ad_series_hash(const char *model, const char *node)
{
    uint32_t hash = 2166136261u;

    for (; *model != '\0'; model++) {
        hash = (hash ^ (uint8_t)*model) * 16777619u;
    }
    hash *= 16777619u;
    for (; *node != '\0'; node++) {
        hash = (hash ^ (uint8_t)*node) * 16777619u;
    }
    return hash;
}

static struct ad_series *ad_series_find(uint32_t hash, const char *model,
                                        const char *node)
{
    struct ad_series *s = ad_series_at(ad_ticks.bucket[hash % AIDASH_SERIES]);

    while (s != NULL && (s->hash != hash || strcmp(s->model, model) != 0 ||
                         strcmp(s->node, node) != 0)) {
        s = ad_series_at(s->next);
    }
    return s;
}

/* Take a series out of the order of the last ticks. */
static void ad_series_unlist(const struct ad_series *s)
{
    if (s->newer != 0) {
        ad_series_at(s->newer)->older = s->older;
    } else {
        ad_ticks.newest = s->older;
    }
    if (s->older != 0) {
        ad_series_at(s->older)->newer = s->newer;
    } else {
        ad_ticks.oldest = s->newer;
    }
}

static void ad_series_list_newest(struct ad_series *s)
{
    s->newer = 0;
    s->older = ad_ticks.newest;
    if (s->older != 0) {
        ad_series_at(s->older)->newer = ad_series_link(s);
    } else {
        ad_ticks.oldest = ad_series_link(s);
    }
    ad_ticks.newest = ad_series_link(s);
}

/* Take a series out of its bucket and of the order. */
static void ad_series_forget(const struct ad_series *s)
{
    uint16_t *link = &ad_ticks.bucket[s->hash % AIDASH_SERIES];

    while (*link != ad_series_link(s)) {
        link = &ad_series_at(*link)->next;
    }
    *link = s->next;
    ad_series_unlist(s);
    ad_ticks.shares[s->share].n--;
}

/* The share of a node: its own, or else a free one. There is one unless each series is
 * of another node, and all are taken. */
static uint16_t ad_series_share(uint32_t node)
{
    uint16_t i, share = 0;

    for (i = 0; i < AIDASH_SERIES; i++) {
        if (ad_ticks.shares[i].n == 0) {
            share = i;
        } else if (ad_ticks.shares[i].node == node) {
            return i;
        }
    }
    return share;
}

/* Which series gives way to a new one of that node: of the nodes that have the most, the
 * one that was silent longest; of its own, if no node has more. So a board with ever new
 * models takes the places of its own ones. And whoever names ever new nodes takes those of
 * ticks that name one, before those of boards that speak for themselves, and of this one. */
static struct ad_series *ad_series_victim(uint32_t node, bool named)
{
    struct ad_series *s, *victim = NULL;
    unsigned rank, most = 0;

    for (s = ad_series_at(ad_ticks.oldest); s != NULL; s = ad_series_at(s->newer)) {
        rank = 2u * ad_ticks.shares[s->share].n + (ad_ticks.shares[s->share].node == node) +
               (named && s->named ? 4u * AIDASH_SERIES : 0);
        if (rank > most) {
            most = rank;
            victim = s;
        }
    }
    return victim;
}

/* A new pair, in the place of another one if all are taken. */
static struct ad_series *ad_series_add(uint32_t hash, const char *model,
                                       const char *node, bool named)
{
    uint16_t *bucket = &ad_ticks.bucket[hash % AIDASH_SERIES];
    uint32_t of_node = ad_series_hash("", node);
    struct ad_series *s;
    struct ad_text t;

    if (ad_ticks.n_series < AIDASH_SERIES) {
        s = &ad_ticks.series[ad_ticks.n_series++];
    } else {
        s = ad_series_victim(of_node, named);
        ad_series_forget(s);
    }
    memset(s, 0, sizeof(*s));
    s->named = named;
    s->share = ad_series_share(of_node);
    ad_ticks.shares[s->share].node = of_node;
    ad_ticks.shares[s->share].n++;
    memcpy(s->model, model, strlen(model));
    memcpy(s->node, node, strlen(node));
    t = ad_text_in(s->model_json, sizeof(s->model_json));
    ad_put_escaped(&t, model, strlen(model));
    s->model_json_len = (unsigned)t.len;
    t = ad_text_in(s->node_json, sizeof(s->node_json));
    ad_put_escaped(&t, node, strlen(node));
    s->node_json_len = (unsigned)t.len;
    s->hash = hash;
#if AIDASH_METRICS
    s->measure = ad_measure_of(model, true);
#endif
    s->next = *bucket;
    *bucket = ad_series_link(s);
    ad_series_list_newest(s);
    return s;
}

/* The counters of a model on a node, which has a tick now; `named`: it names that node,
 * and is not from there. */
static struct ad_series *ad_series_get(const char *model, const char *node, bool named)
{
    struct ad_series *s = ad_series_at(ad_ticks.newest);
    uint32_t hash;

    /* Most ticks are of the same pair as the one before. */
    if (s != NULL && strcmp(s->model, model) == 0 &&
        strcmp(s->node, node) == 0) {
        return s;
    }
    hash = ad_series_hash(model, node);
    s = ad_series_find(hash, model, node);
    if (s == NULL) {
        return ad_series_add(hash, model, node, named);
    }
    ad_series_unlist(s);
    ad_series_list_newest(s);
    return s;
}

/* Behind by more, a tick of another board may be one that waited on its way. */
#define AD_TICK_LATE_US 5000000

/* Has a tick of another board waited on its way, as where a gateway catches up? Then
 * it is behind the clock, and came sooner after the one before than it was made. A
 * board whose clock is wrong is behind, too, but steadily. */
static bool ad_tick_is_late(const struct ad_series *s, const struct ad_sample *in,
                            uint64_t at_ns)
{
    return (in->has & AD_IS_RELAYED) != 0 && s->last_ns != 0 &&
           in->time_us + AD_TICK_LATE_US < ad_hub.now_us && in->time_us > s->told_us &&
           (at_ns - s->last_ns) / 1000 < (in->time_us - s->told_us) / 2;
}

/* What a tick adds to history. One of another board that is behind the clock counts when
 * it was, if history goes so far back and its board has told nothing later yet; else now,
 * if it seems to come as it is made. */
static void ad_tick_observe(const struct ad_series *s, const struct ad_sample *in,
                            uint64_t added, double latency_ms, bool steady)
{
    bool first = (in->has & AD_IS_FIRST) != 0;
    bool behind = (in->has & AD_IS_RELAYED) != 0 &&
                  in->time_us + AD_TICK_LATE_US < ad_hub.now_us;

    if (ad_ticks.observe == NULL) {
        return;
    }
    if (behind && (in->has & AD_IS_STRAY) == 0 &&
        ad_ticks.observe(s->model, added, latency_ms, first, in->time_us)) {
        return;
    }
    if (!behind || steady) {
        (void)ad_ticks.observe(s->model, added, latency_ms, first, 0);
    }
}

/* Complete a sample of the proxied request `request` (0: of none) and make it an
 * event; at_ns is when it happened on the monotonic clock. While paused it is
 * counted, not sent. One that is late is shown, but is no part of what happens now. */
static void ad_tick_apply_of(const struct ad_sample *in, uint64_t request,
                             uint64_t at_ns)
{
    char json[AD_TICK_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));
    const char *model = in->model[0] != '\0' ? in->model : ad_model_name();
    struct ad_series *s;
    struct ad_tick tick;
    double latency_ms = in->latency_ms, step_ms;
    bool named = in->node[0] != '\0' && (in->has & AD_IS_RELAYED) == 0;
    bool late, known;
    uint64_t added = in->tokens, time_us = in->time_us;

    if (model[0] == '\0') {
        model = "default";
    }
    if (in->node[0] == '\0') {
        ad_engine_learn(model);
    }
    s = ad_series_get(model, in->node, named);
    s->named = named;
    at_ns = at_ns > s->last_ns ? at_ns : s->last_ns; /* time never runs back */
    late = ad_tick_is_late(s, in, at_ns);
    known = s->last_ns != 0;
    if ((in->has & AD_HAS_TOTAL) != 0) {
        added = in->total > s->tokens ? in->total - s->tokens : 0;
        if ((in->has & AD_IS_RELAYED) != 0 && !known) {
            added = 0; /* all that the board made before we knew it */
        }
        s->tokens = in->total;
    } else {
        s->tokens += added;
        s->tokens -= in->overcount < s->tokens ? in->overcount : s->tokens;
    }
    if ((in->has & AD_IS_BEGUN) != 0) {
        s->estimates++;
    }
    if ((in->has & AD_IS_LAST) != 0 && s->estimates > 0) {
        s->estimates--;
    }
    if ((in->has & AD_HAS_LATENCY) == 0 && known) {
        latency_ms = (double)(at_ns - s->last_ns) / (double)AD_NS_PER_MS;
    }
    s->last_ns = at_ns;
    step_ms = latency_ms;
    if ((in->has & AD_HAS_LATENCY) == 0 && step_ms > AD_RATE_WINDOW_MS) {
        step_ms = AD_RATE_WINDOW_MS; /* nothing says that all of it was work */
    }
    if (!late) {
        ad_rate_add(&s->rate, added, at_ns,
                    (uint64_t)(step_ms * (double)AD_NS_PER_MS));
    }
#if AIDASH_METRICS
    ad_measure_tick(s->measure, added,
                    (in->has & (AD_IS_FIRST | AD_IS_LAST)) == 0 ? latency_ms / 1000 : -1);
#endif
    if (ad_engine.paused && (in->has & (AD_IS_METERED | AD_IS_RELAYED)) == 0) {
        ad_ticks.paused_dropped++;
        return;
    }
    if ((in->has & AD_HAS_TIME) == 0) {
        time_us = at_ns > ad_hub.now_ns
                      ? ad_hub.now_us + (at_ns - ad_hub.now_ns) / 1000
                      : ad_hub.now_us - (ad_hub.now_ns - at_ns) / 1000;
    }
    tick.model_json = s->model_json;
    tick.model_json_len = s->model_json_len;
    tick.node_json = s->node_json;
    tick.node_json_len = s->node_json_len;
    tick.tokens = s->tokens;
    tick.latency_ms = latency_ms;
    tick.rate = (in->has & AD_HAS_RATE) != 0 ? in->rate
                                             : ad_rate_get(&s->rate, at_ns);
    tick.time_us = time_us;
    s->told_rate = tick.rate;
    s->told_us = time_us;
    tick.estimated = s->estimates > 0 || (in->has & AD_IS_ESTIMATED) != 0;
    tick.first = (in->has & AD_IS_FIRST) != 0;
    tick.request = request;
    ad_tick_encode(&t, &tick);
    ad_ticks.count++;
    ad_event_append(AD_EV_TICK, &t);
    ad_tick_observe(s, in, added, latency_ms, known && !late);
}

/* The same for a sample that is of no proxied request. */
static void ad_tick_apply(const struct ad_sample *in, uint64_t at_ns)
{
    ad_tick_apply_of(in, 0, at_ns);
}

AD_MEMORY(series, AIDASH_SERIES, sizeof(ad_ticks));

#endif
