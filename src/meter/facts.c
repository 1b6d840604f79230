/* facts.c - what a request tells beside its counts: how full its context is,
 * whether its prompt was cut or is in the cache no more, whether its model loads,
 * how far its prompt is read.
 * Owns nothing: what it finds is in struct ad_proxy and in models.c. Hub thread
 * only. proxy.c tells it what happens; reports.c writes what it found.
 */
#ifndef AD_METER_FACTS_C
#define AD_METER_FACTS_C

#include "models.c"
#include "requests.c"

#if AIDASH_METER

enum {
    AD_LOAD_MS_MIN = 250 /* a shorter load_duration is not the model's loading:
                           * Ollama tells one for each request */
};

/* ---- the request's model ---- */

static const char *ad_facts_name(const struct ad_proxy *p)
{
    const char *named = p->scan.model;

    if (p->name[0] != '\0') {
        return p->name;
    }
    return ad_name_ok(named, strlen(named), AIDASH_MODEL_MAX) ? named
                                                              : p->request.model;
}

/* What is known of it, or NULL. An engine with one model answers by it whatever
 * the request says. */
static struct ad_model *ad_facts_model(const struct ad_proxy *p)
{
    const struct ad_upstream_state *e = &ad_upstreams.state[p->upstream];
    struct ad_model *m = ad_models_find(p->upstream, ad_facts_name(p));

    if (e->n_models == 1 && (m == NULL || m->context == 0)) {
        m = ad_models_named(p->upstream, e->models[0]);
    }
    return m;
}

static bool ad_facts_of_ollama(const struct ad_proxy *p)
{
    return ad_upstreams.state[p->upstream].ollama;
}

/* How many tokens the request and its answer may have; 0: not known. Ollama takes
 * it from the request, and loads the model anew. */
static uint64_t ad_facts_context(const struct ad_proxy *p)
{
    const struct ad_model *m = ad_facts_model(p);

    if (ad_facts_of_ollama(p) && p->prompt.num_ctx != 0 &&
        strncmp(p->request.route, "/api/", 5) == 0) {
        return p->prompt.num_ctx;
    }
    return m != NULL ? m->context : 0;
}

/* ---- while it runs ---- */

/* Its model is loading. */
static void ad_facts_loads(struct ad_proxy *p, double fraction)
{
    if (p->loading_us == 0) {
        p->loading_us = ad_hub.now_us;
    }
    if (ad_models_load(p->upstream, ad_facts_name(p), AD_LOADING_REQUEST,
                       fraction)) {
        ad_status_append();
    }
}

/* Its model is not loading, or not any more. */
static void ad_facts_loaded(struct ad_proxy *p)
{
    struct ad_model *m;

    if (p->loading_us == 0) {
        return;
    }
    p->loading_us = 0;
    m = ad_models_find(p->upstream, ad_facts_name(p));
    if (m != NULL && ad_models_loaded(m, AD_LOADING_REQUEST)) {
        ad_status_append();
    }
}

/* Does another request wait for the same model to load? */
static bool ad_facts_loads_for_others(const struct ad_proxy *p)
{
    unsigned i;

    for (i = 0; i < ad_proxying.n_slots; i++) {
        const struct ad_proxy *other = &ad_proxies[i];

        if (other != p && other->state != AD_PROXY_FREE && other->loading_us != 0 &&
            other->upstream == p->upstream &&
            strcmp(ad_facts_name(other), ad_facts_name(p)) == 0) {
            return true;
        }
    }
    return false;
}

/* Does the request make Ollama load its model? Models that Ollama's own hosts run,
 * "NAME:cloud" and "NAME:SIZE-cloud", are never in its memory. */
static bool ad_facts_needs_model(const struct ad_proxy *p)
{
    static const char cloud[] = "cloud";
    static const char *const routes[] = {"/api/chat", "/api/generate", "/api/embed",
                                         "/v1/chat/completions", "/v1/completions",
                                         "/v1/embeddings", "/v1/responses",
                                         "/v1/messages"};
    const char *name = p->request.model;
    size_t len = strlen(name);
    unsigned i = 0;

    if (len >= sizeof(cloud) &&
        strcmp(name + len - (sizeof(cloud) - 1), cloud) == 0) {
        return false;
    }
    while (i < AD_COUNT(routes) && strcmp(p->request.route, routes[i]) != 0) {
        i++;
    }
    return i < AD_COUNT(routes);
}

/* The engine gets the request. Ollama says nothing while it loads a model; that it
 * has to is known from its list of those in memory. llama-server's router tells it
 * in its list. */
static void ad_facts_sent(struct ad_proxy *p)
{
    const struct ad_upstream_state *e = &ad_upstreams.state[p->upstream];
    const char *name = p->request.model;
    size_t len = strlen(name);
    unsigned i;

    if (!p->request.metered || len == 0 || !ad_facts_needs_model(p)) {
        return;
    }
    for (i = 0; i < e->n_models; i++) {
        const char *known = e->models[i];

        if (strncmp(known, name, len) == 0 &&
            (known[len] == '\0' || strcmp(known + len, ":latest") == 0)) {
            if (!e->loaded[i] && e->ollama) {
                ad_facts_loads(p, -1);
            } else if (!e->loaded[i] && ad_models.states[p->upstream]) {
                ad_models.ask[p->upstream] = true;
            }
            return;
        }
    }
}

/* Some of its answer came. */
static void ad_facts_heard(struct ad_proxy *p)
{
    if (p->scan.loading) {
        ad_facts_loads(p, p->scan.load_fraction);
        return;
    }
    ad_facts_loaded(p);
    if (p->first_ns != 0 && !p->asked) {
        p->asked = true;
        if (ad_facts_of_ollama(p) && ad_facts_context(p) == 0) {
            ad_models.ask[p->upstream] = true; /* it may have loaded just now */
        }
    }
}

/* A number that changes whenever the loading or the reading of the prompt goes on;
 * 0: there is neither. */
static uint64_t ad_facts_step(const struct ad_proxy *p)
{
    const struct ad_scan *s = &p->scan;

    if (p->loading_us != 0) {
        return 1 + (uint64_t)(s->load_fraction * 1000);
    }
    if (s->has_progress) {
        return 10000 + s->progress_done;
    }
    return s->prompt_fraction > 0 ? 2000 + (uint64_t)(s->prompt_fraction * 1000) : 0;
}

/* ---- at its end ---- */

/* Was the prompt cut? */
static bool ad_facts_cut(const struct ad_proxy *p)
{
    const struct ad_scan *s = &p->scan;
    bool estimated;
    const struct ad_prompt_signs signs = {
        p->prompt.text, s->has_prompt ? s->prompt_tokens : 0,
        ad_scan_tokens(s, &estimated), p->context, s->truncated,
        ad_facts_of_ollama(p)};

    return ad_prompt_cut(&signs);
}

/* The request is over: find out what its record tells. */
static void ad_facts_end(struct ad_proxy *p)
{
    const struct ad_upstream_state *e = &ad_upstreams.state[p->upstream];
    const struct ad_scan *s = &p->scan;
    bool news = false;

    if (p->answer.status != 0 || !ad_facts_loads_for_others(p)) {
        ad_facts_loaded(p);
    }
    p->loading_us = 0;
    if (p->answer.status == 503 && ad_models_is_loading(s->error)) {
        news = e->n_models > 1 && p->request.model[0] != '\0'
                   ? ad_models_load(p->upstream, p->request.model,
                                    AD_LOADING_ENGINE, -1)
                   : ad_models_engine_loads(p->upstream);
    }
    if (news) {
        ad_status_append();
    }
    p->context = ad_facts_context(p);
    p->prompt_cut = ad_facts_cut(p);
    p->cache_broke = s->has_cached &&
                     ad_models_prompt(p->upstream, ad_facts_name(p),
                                      p->request.address, s->prompt_tokens,
                                      s->cached_tokens);
}

/* ---- members of its events ---- */

/* How full the context is: prompt and answer. With several choices nobody knows. */
static void ad_put_fill(struct ad_text *t, const struct ad_proxy *p,
                        uint64_t prompt, uint64_t completion, uint64_t context)
{
    if (context != 0 && prompt != 0 && completion != 0 && p->prompt.choices < 2) {
        ad_puts(t, ",\"context_tokens\":");
        ad_put_u64(t, prompt + completion);
        ad_puts(t, ",\"context_length\":");
        ad_put_u64(t, context);
    }
}

/* Of a request that is under way. */
static void ad_put_facts_running(struct ad_text *t, const struct ad_proxy *p)
{
    const struct ad_scan *s = &p->scan;
    double fraction = s->prompt_fraction;

    ad_put_fill(t, p, s->has_prompt ? s->prompt_tokens : s->progress_total,
                p->counted, ad_facts_context(p));
    if (p->loading_us != 0) {
        ad_put_loading(t, p->loading_us, s->loading ? s->load_fraction : -1);
    }
    if (p->first_ns != 0 || (!s->has_progress && fraction <= 0)) {
        return;
    }
    ad_puts(t, ",\"prefill\":{");
    if (s->has_progress) {
        ad_puts(t, "\"processed\":");
        ad_put_u64(t, s->progress_done);
        ad_puts(t, ",\"total\":");
        ad_put_u64(t, s->progress_total);
        if (s->progress_cached != 0) {
            ad_puts(t, ",\"cached\":");
            ad_put_u64(t, s->progress_cached);
        }
        ad_puts(t, ",");
        fraction = s->progress_total != 0 ? (double)s->progress_done /
                                                (double)s->progress_total : 1;
    }
    ad_puts(t, "\"fraction\":");
    ad_put_fixed(t, fraction, 3);
    ad_puts(t, "}");
}

/* Of one that is over. */
static void ad_put_facts_ended(struct ad_text *t, const struct ad_proxy *p)
{
    const struct ad_scan *s = &p->scan;
    bool estimated;

    ad_put_fill(t, p, s->has_prompt ? s->prompt_tokens : 0,
                ad_scan_tokens(s, &estimated), p->context);
    if (p->prompt_cut) {
        ad_puts(t, ",\"prompt_cut\":true");
    }
    if (p->cache_broke) {
        ad_puts(t, ",\"cache_broke\":true");
    }
    if (s->load_ms >= AD_LOAD_MS_MIN) {
        ad_puts(t, ",\"load_ms\":");
        ad_put_fixed(t, s->load_ms, 3);
    }
}

#endif /* AIDASH_METER */

#endif
