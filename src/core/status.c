#ifndef AD_CORE_STATUS_C
#define AD_CORE_STATUS_C

/* -- events that the hub itself makes -- */

static const char *ad_model_name(void)
{
    return ad_hub.n_models > 0 ? ad_hub.models[ad_hub.model] : "";
}

static void ad_put_models(struct ad_text *t)
{
    unsigned i;

    ad_puts(t, "\"model\":");
    ad_put_string(t, ad_model_name());
    ad_puts(t, ",\"models\":[");
    for (i = 0; i < ad_hub.n_models; i++) {
        ad_put(t, ",", i > 0);
        ad_put_string(t, ad_hub.models[i]);
    }
    ad_puts(t, ad_hub.paused ? "],\"paused\":true" : "],\"paused\":false");
}

/* What only the meter has: the engine, the models in memory, the line. */
static void ad_put_meter(struct ad_text *t)
{
#if AIDASH_METER
    bool down = false, some = false;
    unsigned i;

    if (ad_set.n_upstreams == 0) {
        return;
    }
    for (i = 0; i < ad_set.n_upstreams; i++) {
        down = down || (ad_hub.engines[i].known && !ad_hub.engines[i].up);
    }
    ad_puts(t, down ? ",\"engine\":\"down\"" : ",\"engine\":\"up\"");
    ad_puts(t, ad_hub.overrides ? ",\"override\":true" : ",\"override\":false");
    ad_putf(t, ",\"running\":%u,\"queued\":%u,\"loaded\":[", ad_hub.n_running,
            ad_hub.n_queued);
    for (i = 0; i < ad_hub.n_models; i++) {
        if (ad_hub.loaded[i]) {
            ad_put(t, ",", some);
            ad_put_string(t, ad_hub.models[i]);
            some = true;
        }
    }
    ad_puts(t, "]");
#else
    (void)t;
#endif
}

static void ad_put_source(struct ad_text *t)
{
    static const char *const names[] = {"none", "sim", "stdin", "meter"};
    bool ended = ad_set.source == AD_SOURCE_STDIN && !ad_hub.stdin_open;

    ad_puts(t, ",\"source\":");
    ad_put_string(t, names[ad_set.source]);
    ad_puts(t, ",\"source_state\":");
    ad_put_string(t, ad_set.source == AD_SOURCE_NONE ? "none"
                     : ended                         ? "ended"
                                                     : "running");
    ad_puts(t, ",\"rate_hz\":");
    ad_put_fixed(t, ad_set.source == AD_SOURCE_SIM ? ad_set.rate_hz : 0, 3);
    ad_put_meter(t);
}

/* Append an event to the feed and hand it to the tap. */
static void ad_event_append(enum ad_event kind, const struct ad_text *t)
{
    const unsigned n = (unsigned)AD_COUNT(ad_hub.burst_ns);
    uint64_t *slot = &ad_hub.burst_ns[ad_feed.next % n];

    /* Ten events in a tenth of a second make batches worth while. */
    ad_hub.batching = ad_hub.now_ns - *slot < AD_NS_PER_S * n / AD_BATCH_RATE;
    *slot = ad_hub.now_ns;
    ad_feed_append(kind, t->at, t->len);
    if (ad_set.config.on_event != NULL) {
        ad_set.config.on_event(t->at, t->len, ad_set.config.user);
    }
}

/* Tell everybody that the model, the pause or the source changed. */
static void ad_status_append(void)
{
    char json[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    ad_puts(&t, "{\"event\":\"status\",\"seq\":");
    ad_put_u64(&t, ad_feed.next);
    ad_puts(&t, ",");
    ad_put_models(&t);
    ad_put_source(&t);
    ad_puts(&t, "}");
    ad_event_append(AD_EV_STATUS, &t);
}

static void ad_put_hello(struct ad_text *t, const char *client_id,
                         uint64_t next_seq)
{
    ad_puts(t, "{\"event\":\"hello\",\"server\":\"aidash\",\"version\":\""
               AIDASH_VERSION "\",\"client_id\":");
    ad_put_string(t, client_id);
    ad_puts(t, ",\"started\":");
    ad_put_decimal(t, ad_hub.start_us, 6);
    ad_puts(t, ",");
    ad_put_models(t);
    ad_put_source(t);
    ad_putf(t,
            ",\"next_seq\":%llu,\"limits\":{\"message_bytes\":%d,"
            "\"backlog_events\":%u,\"clients\":%d,\"ping_s\":%d,"
            "\"silence_s\":%d,\"stall_s\":%d}}",
            (unsigned long long)next_seq, AIDASH_MESSAGE_MAX,
            ad_set.backlog, AIDASH_CLIENTS, AD_PING_MS / 1000,
            AD_SILENCE_MS / 1000, AD_STALL_MS / 1000);
}

#endif
