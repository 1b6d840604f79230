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
#include "rate.c"

/* What is counted for one model on one node. [h] */
struct ad_series {
    char model[AIDASH_MODEL_MAX + 1];
    char node[AIDASH_NODE_MAX + 1];
    uint64_t tokens;  /* tokens_generated */
    uint64_t last_ns; /* monotonic time of the last tick */
    unsigned estimates; /* requests whose own count is still to come */
    struct ad_rate rate;
    unsigned model_json_len, node_json_len;
    char model_json[AD_MODEL_JSON_MAX]; /* escaped once, not at each tick */
    char node_json[AD_NODE_JSON_MAX];
};

static struct {
    unsigned n_series; /* ever used */
    uint64_t count, paused_dropped; /* ticks sent, and not sent while paused */
    struct ad_series series[AIDASH_SERIES];
} ad_ticks;

/* The counters of a model on a node; a new pair takes the place of the one
 * that was silent longest. */
static struct ad_series *ad_series_get(const char *model, const char *node)
{
    struct ad_series *oldest = ad_ticks.series;
    struct ad_text t;
    unsigned i;

    for (i = 0; i < ad_ticks.n_series; i++) {
        struct ad_series *s = &ad_ticks.series[i];

        if (strcmp(s->model, model) == 0 && strcmp(s->node, node) == 0) {
            return s;
        }
        if (s->last_ns < oldest->last_ns) {
            oldest = s;
        }
    }
    if (ad_ticks.n_series < AIDASH_SERIES) {
        oldest = &ad_ticks.series[ad_ticks.n_series++];
    }
    memset(oldest, 0, sizeof(*oldest));
    memcpy(oldest->model, model, strlen(model));
    memcpy(oldest->node, node, strlen(node));
    t = ad_text_in(oldest->model_json, sizeof(oldest->model_json));
    ad_put_escaped(&t, model, strlen(model));
    oldest->model_json_len = (unsigned)t.len;
    t = ad_text_in(oldest->node_json, sizeof(oldest->node_json));
    ad_put_escaped(&t, node, strlen(node));
    oldest->node_json_len = (unsigned)t.len;
    return oldest;
}

/* Complete a sample and make it an event; at_ns is when it happened on the
 * monotonic clock. While paused it is counted, not sent. */
static void ad_tick_apply(const struct ad_sample *in, uint64_t at_ns)
{
    char json[AD_TICK_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));
    const char *model = in->model[0] != '\0' ? in->model : ad_model_name();
    struct ad_series *s;
    struct ad_tick tick;
    double latency_ms = in->latency_ms;
    uint64_t added = in->tokens, time_us = in->time_us;

    if (model[0] == '\0') {
        model = "default";
    }
    if (in->node[0] == '\0') {
        ad_engine_learn(model);
    }
    s = ad_series_get(model, in->node);
    at_ns = at_ns > s->last_ns ? at_ns : s->last_ns; /* time never runs back */
    if ((in->has & AD_HAS_TOTAL) != 0) {
        added = in->total > s->tokens ? in->total - s->tokens : 0;
        s->tokens = in->total;
    } else {
        s->tokens += added;
        s->tokens -= in->overcount < s->tokens ? in->overcount : s->tokens;
    }
    s->estimates += (in->has & AD_IS_FIRST) != 0;
    s->estimates -= (in->has & AD_IS_LAST) != 0 && s->estimates > 0;
    if ((in->has & AD_HAS_LATENCY) == 0 && s->last_ns != 0) {
        latency_ms = (double)(at_ns - s->last_ns) / (double)AD_NS_PER_MS;
    }
    s->last_ns = at_ns;
    ad_rate_add(&s->rate, added, at_ns,
                (uint64_t)(latency_ms * (double)AD_NS_PER_MS));
    if (ad_engine.paused && (in->has & AD_IS_METERED) == 0) {
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
    tick.estimated = s->estimates > 0;
    ad_tick_encode(&t, &tick);
    ad_ticks.count++;
    ad_event_append(AD_EV_TICK, &t);
}

/* Before each run. The series are cleared when they are taken. */
static void ad_ticks_init(void)
{
    ad_ticks.n_series = 0;
    ad_ticks.count = 0;
    ad_ticks.paused_dropped = 0;
}

AD_MEMORY(series, AIDASH_SERIES, sizeof(ad_ticks));

#endif
