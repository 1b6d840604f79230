#ifndef AD_CORE_TICKS_C
#define AD_CORE_TICKS_C

/* -- ticks -- */

/* The index of a model that viewers can switch to, or n_models. */
static unsigned ad_model_find(const char *name)
{
    unsigned i = 0;

    while (i < ad_hub.n_models && strcmp(ad_hub.models[i], name) != 0) {
        i++;
    }
    return i;
}

/* The counters of a model on a node; a new pair takes the place of the one
 * that was silent longest. */
static struct ad_series *ad_series_get(const char *model, const char *node)
{
    struct ad_series *oldest = ad_series;
    struct ad_text t;
    unsigned i;

    for (i = 0; i < ad_hub.n_series; i++) {
        struct ad_series *s = &ad_series[i];

        if (strcmp(s->model, model) == 0 && strcmp(s->node, node) == 0) {
            return s;
        }
        if (s->last_ns < oldest->last_ns) {
            oldest = s;
        }
    }
    if (ad_hub.n_series < AIDASH_SERIES) {
        oldest = &ad_series[ad_hub.n_series++];
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
    double latency_ms = in->latency_ms;
    uint64_t added = in->tokens, time_us = in->time_us;

    if (model[0] == '\0') {
        model = "default";
    }
    if (ad_set.learn_models && ad_hub.n_models < AIDASH_MODELS &&
        in->node[0] == '\0' && ad_model_find(model) == ad_hub.n_models) {
        memcpy(ad_hub.models[ad_hub.n_models], model, strlen(model) + 1);
        ad_hub.n_models++;
        ad_status_append();
    }
    s = ad_series_get(model, in->node);
    at_ns = at_ns > s->last_ns ? at_ns : s->last_ns; /* time never runs back */
    if ((in->has & AD_HAS_TOTAL) != 0) {
        added = in->total > s->tokens ? in->total - s->tokens : 0;
        s->tokens = in->total;
    } else {
        s->tokens += added;
        s->tokens -= in->surplus < s->tokens ? in->surplus : s->tokens;
    }
    s->estimates += (in->has & AD_IS_FIRST) != 0;
    s->estimates -= (in->has & AD_IS_LAST) != 0 && s->estimates > 0;
    if ((in->has & AD_HAS_LATENCY) == 0 && s->last_ns != 0) {
        latency_ms = (double)(at_ns - s->last_ns) / (double)AD_NS_PER_MS;
    }
    s->last_ns = at_ns;
    ad_rate_add(&s->rate, added, at_ns,
                (uint64_t)(latency_ms * (double)AD_NS_PER_MS));
    if (ad_hub.paused && (in->has & AD_IS_METERED) == 0) {
        ad_hub.count.paused_dropped++;
        return;
    }
    if ((in->has & AD_HAS_TIME) == 0) {
        time_us = at_ns > ad_hub.now_ns
                      ? ad_hub.now_us + (at_ns - ad_hub.now_ns) / 1000
                      : ad_hub.now_us - (ad_hub.now_ns - at_ns) / 1000;
    }
    ad_tick_encode(&t, s, latency_ms,
                   (in->has & AD_HAS_RATE) != 0 ? in->rate
                                                : ad_rate_get(&s->rate, at_ns),
                   time_us);
    ad_hub.count.ticks++;
    ad_event_append(AD_EV_TICK, &t);
    if (ad_feed.next - ad_hub.fanned >= AD_JOIN_MAX) {
        ad_fanout();
    }
}

#endif
