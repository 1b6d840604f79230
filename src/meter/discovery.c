/* discovery.c - what the engines tell of themselves: their lists of models, and
 * which of those are in memory. Each engine is asked every ten seconds. Nothing
 * here loads a model or wakes a sleeping engine: lists are read, no more.
 * Owns ad_discoveries. Hub thread only.
 */
#ifndef AD_METER_DISCOVERY_C
#define AD_METER_DISCOVERY_C

#include "../codec/llm_paths.c"
#include "../codec/messages.c"
#include "fetch.c"
#include "models.c"
#include "resolver.c"

#if AIDASH_METER

enum {
    AD_DISCOVERY_EVERY = 10,  /* seconds between questions */
    AD_DISCOVERY_DOUBT_MS = 250, /* at least, between those to a doubtful engine */
    AD_DISCOVERY_PS_WAIT = 30 /* rounds until an engine that has no list of the
                               * models in memory is asked for it again */
};

/* The lists, in the order in which they are asked for. */
enum ad_discovery_list {
    AD_DISCOVERY_OPENAI,
    AD_DISCOVERY_OLLAMA, /* if it has no list of OpenAI's form */
    AD_DISCOVERY_LOADED, /* which models Ollama has in memory */
    AD_DISCOVERY_PROPS   /* the context of llama-server, if its list has none */
};

static const char *const ad_discovery_paths[] = {"/v1/models", "/api/tags",
                                                 "/api/ps", "/props"};
static const uint8_t ad_discovery_places[] = {
    AD_PATH_OPENAI_LIST, AD_PATH_OLLAMA_LIST, AD_PATH_OLLAMA_LIST, AD_PATH_PROPS};

/* An item of a list, while it is read. */
struct ad_discovery_item {
    unsigned model; /* its place in the list, if it is in it */
    bool named, has_state, loaded, loading, vram_told;
    double context, size, vram; /* 0: not told */
};

/* The list that one engine is being asked for. [h] */
struct ad_discovery {
    uint8_t list; /* enum ad_discovery_list */
    uint8_t upstream;
    struct ad_fetch fetch;
    char head[AD_FETCH_HEAD_MAX];
    struct ad_json_stream js;
    unsigned n_models;
    char models[AIDASH_MODELS][AIDASH_MODEL_MAX + 1];
    bool loaded[AIDASH_MODELS];
    bool llama_server; /* the list is of one */
    bool wakes;        /* an error says that it loads its model */
    struct ad_discovery_item item;
    struct ad_model_facts facts[AIDASH_MODELS];
};

static struct {
    unsigned seconds; /* since the start */
    struct ad_discovery of[AIDASH_UPSTREAMS];
} ad_discoveries;

/* Note whether the engine can be reached. `why`: the end of the sentence that it
 * can't, or "". */
static void ad_discovery_reached(unsigned upstream, bool up, const char *why)
{
    if (!up && ad_models_engine_gone(upstream)) {
        ad_status_append();
    }
    ad_upstream_set_state_why(upstream, up, why);
}

static void ad_discovery_watch(struct ad_discovery *d)
{
    ad_fetch_watch(&d->fetch, AD_TAG_DISCOVERY, d->upstream);
}

static void ad_discovery_begin(unsigned upstream, enum ad_discovery_list list)
{
    struct ad_discovery *d = &ad_discoveries.of[upstream];
    unsigned i;

    memset(d, 0, sizeof(*d));
    d->list = (uint8_t)list;
    d->upstream = (uint8_t)upstream;
    for (i = 0; i < AIDASH_MODELS; i++) {
        d->facts[i].cpu_share = -1;
        d->facts[i].memory = list == AD_DISCOVERY_LOADED;
    }
    ad_path_begin(&d->js, (enum ad_path)ad_discovery_places[list]);
    ad_fetch_begin(&d->fetch, &ad_upstreams.list[upstream],
                   ad_discovery_paths[list], ad_upstreams.key, d->head,
                   ad_hub.now_ms);
    if (d->fetch.state == AD_FETCH_FAILED && !d->fetch.lacks) {
        ad_discovery_reached(upstream, false, "");
    }
    ad_discovery_watch(d);
}

/* A model's name or state in the list. */
static void ad_discovery_model(struct ad_discovery *d)
{
    const struct ad_upstream_state *e = &ad_upstreams.state[d->upstream];
    unsigned i;

    if (d->js.path == AD_PATH_LIST_STATUS && d->js.what == AD_JSON_TEXT) {
        if (d->n_models > 0) {
            d->loaded[d->n_models - 1] = strcmp(d->js.text, "loaded") == 0;
        }
        d->item.has_state = true;
        d->item.loaded = strcmp(d->js.text, "loaded") == 0;
        d->item.loading = strcmp(d->js.text, "loading") == 0;
        return;
    }
    if (d->js.path != AD_PATH_LIST_NAME || d->js.what != AD_JSON_TEXT || d->js.cut ||
        !ad_name_ok(d->js.text, strlen(d->js.text), AIDASH_MODEL_MAX)) {
        return;
    }
    if (d->list == AD_DISCOVERY_LOADED) {
        for (i = 0; i < e->n_models; i++) {
            if (strcmp(e->models[i], d->js.text) == 0) {
                d->loaded[i] = true;
                d->item.model = i;
                d->item.named = true;
            }
        }
    } else if (d->n_models < AIDASH_MODELS) {
        memcpy(d->models[d->n_models], d->js.text, strlen(d->js.text) + 1);
        d->item.model = d->n_models;
        d->item.named = true;
        d->loaded[d->n_models++] = false;
    }
}

/* An item of the list has ended: keep what it tells. */
static void ad_discovery_item_end(struct ad_discovery *d)
{
    const struct ad_discovery_item *item = &d->item;
    struct ad_model_facts *facts = &d->facts[item->model];

    if (!item->named) {
        return;
    }
    facts->context = (uint64_t)item->context;
    facts->loading = item->loading;
    ad_models.states[d->upstream] = item->has_state;
    facts->memory = facts->memory || (item->has_state && !item->loaded);
    if (d->list == AD_DISCOVERY_LOADED && item->vram_told && item->size > 0 &&
        item->vram <= item->size) {
        facts->cpu_share = 1 - item->vram / item->size;
    }
}

/* What else the list tells. Fields may come in any order; one that makes no sense
 * is as if it were not there. */
static void ad_discovery_fact(struct ad_discovery *d)
{
    const struct ad_json_stream *j = &d->js;
    double value = -1;

    if (j->what == AD_JSON_SCALAR && ad_json_number(j->text, j->len) == j->len) {
        value = ad_json_double(j->text, j->len);
    }
    if (j->path == AD_PATH_LIST_ITEM && j->what == AD_JSON_OPEN) {
        memset(&d->item, 0, sizeof(d->item));
    } else if (j->path == AD_PATH_LIST_ITEM && j->what == AD_JSON_CLOSE) {
        ad_discovery_item_end(d);
    } else if (j->path == AD_PATH_LIST_OWNER && j->what == AD_JSON_TEXT) {
        d->llama_server = strcmp(j->text, "llamacpp") == 0;
    } else if ((j->path == AD_PATH_SENTENCE || j->path == AD_PATH_ERROR) &&
               j->what == AD_JSON_TEXT) {
        d->wakes = ad_models_is_loading(j->text);
    } else if (j->path == AD_PATH_LIST_CONTEXT && value >= 1 &&
               value <= (double)AD_TOKENS_LIMIT) {
        d->item.context = value;
    } else if (j->path == AD_PATH_LIST_SIZE && value > 0) {
        d->item.size = value;
    } else if (j->path == AD_PATH_LIST_VRAM && value >= 0) {
        d->item.vram = value;
        d->item.vram_told = true;
    }
}

/* Bytes of a list. */
static void ad_discovery_sink(void *to, const uint8_t *data, size_t len)
{
    struct ad_discovery *d = to;
    size_t used = 0;

    while (used < len && d->js.state != AD_JSON_BAD) {
        used += ad_json_stream_next(&d->js, data + used, len - used);
        ad_discovery_model(d);
        ad_discovery_fact(d);
    }
}

/* Keep a list that came whole. True if it differs from the last one. */
static bool ad_discovery_keep(struct ad_discovery *d)
{
    struct ad_upstream_state *e = &ad_upstreams.state[d->upstream];
    bool changed = false;

    if (d->list == AD_DISCOVERY_PROPS) {
        d->facts[0].context = (uint64_t)d->item.context;
        return false;
    }
    if (d->list == AD_DISCOVERY_LOADED) {
        changed = memcmp(e->loaded, d->loaded, sizeof(e->loaded)) != 0;
        memcpy(e->loaded, d->loaded, sizeof(e->loaded));
        e->ollama = true;
        return changed;
    }
    changed = e->n_models != d->n_models ||
              memcmp(e->models, d->models, sizeof(e->models)) != 0;
    memcpy(e->models, d->models, sizeof(e->models));
    if (!e->ollama) {
        changed = changed || memcmp(e->loaded, d->loaded, sizeof(e->loaded)) != 0;
        memcpy(e->loaded, d->loaded, sizeof(e->loaded));
    }
    e->n_models = d->n_models;
    return changed;
}

/* The models of all engines are one list for the viewers. */
static void ad_discovery_publish(void)
{
    struct ad_engine_list list;
    unsigned i, k;

    ad_engine_list_begin(&list);
    for (i = 0; i < ad_upstreams.n; i++) {
        const struct ad_upstream_state *e = &ad_upstreams.state[i];

        for (k = 0; k < e->n_models; k++) {
            (void)ad_engine_add_model(e->models[k], e->loaded[k]);
        }
    }
    ad_engine_list_end(&list);
}

/* Does an answer without a list say that there is none, rather than not now? */
static bool ad_discovery_has_none(const struct ad_discovery *d)
{
    unsigned status = d->fetch.answer.status;

    return status == 200 || status == 404 || status == 405 || status == 501;
}

/* What the answer tells of the engine's models. True if there is news for the
 * viewers. */
static bool ad_discovery_facts(const struct ad_discovery *d, bool good)
{
    const struct ad_upstream_state *e = &ad_upstreams.state[d->upstream];

    if (good) {
        return ad_models_listed(d->upstream, e->models, d->facts, e->n_models);
    }
    return d->wakes && ad_models_engine_loads(d->upstream);
}

/* Is it the list of a llama-server that does not tell its context? Its router has
 * a state for each model instead: /props could make it load one. */
static bool ad_discovery_wants_props(const struct ad_discovery *d)
{
    const struct ad_upstream_state *e = &ad_upstreams.state[d->upstream];
    const struct ad_model *m;

    if (d->list != AD_DISCOVERY_OPENAI || !d->llama_server || d->n_models != 1 ||
        d->item.has_state || d->facts[0].context != 0) {
        return false;
    }
    m = ad_models_named(d->upstream, e->models[0]);
    return m == NULL || m->context == 0 || e->ps_wait == 0;
}

/* The answer came whole: keep the list, and ask for the next one. */
static void ad_discovery_done(struct ad_discovery *d)
{
    struct ad_upstream_state *e = &ad_upstreams.state[d->upstream];
    bool good = d->fetch.answer.status == 200 && ad_json_stream_end(&d->js);
    bool changed = good && ad_discovery_keep(d);
    bool news = ad_discovery_facts(d, good);

    if (changed) {
        ad_discovery_publish();
    } else if (news) {
        ad_status_append();
    }
    if (d->list == AD_DISCOVERY_LOADED) {
        if (!good && !e->ollama && ad_discovery_has_none(d)) {
            e->ps_wait = AD_DISCOVERY_PS_WAIT; /* it may be one that was just
                                                * started */
        }
    } else if (good && ad_discovery_wants_props(d)) {
        ad_discovery_begin(d->upstream, AD_DISCOVERY_PROPS);
    } else if (good && e->ps_wait > 0) {
        e->ps_wait--;
    } else if (good) {
        ad_discovery_begin(d->upstream, AD_DISCOVERY_LOADED);
    } else if (!d->wakes && d->list == AD_DISCOVERY_OPENAI) {
        ad_discovery_begin(d->upstream, AD_DISCOVERY_OLLAMA);
    }
}

static void ad_discovery_event(unsigned upstream)
{
    struct ad_discovery *d = &ad_discoveries.of[upstream];
    bool connecting = d->fetch.state == AD_FETCH_CONNECT;

    ad_fetch_event(&d->fetch, ad_discovery_sink, d);
    if (connecting && d->fetch.state != AD_FETCH_CONNECT && !d->fetch.lacks) {
        ad_discovery_reached(upstream, d->fetch.state != AD_FETCH_FAILED, "");
    }
    if (!ad_upstreams.state[upstream].up || d->fetch.answer.status != 0) {
        ad_upstreams.state[upstream].doubts = 0;
    }
    ad_discovery_watch(d);
    if (d->fetch.state == AD_FETCH_DONE) {
        ad_discovery_done(d);
    }
}

/* Each turn: ask the engines that broke off a connection whether they are there.
 * One answer ends the doubt, and so does a connection that is refused. */
static void ad_discovery_run(void)
{
    unsigned i;

    for (i = 0; i < ad_upstreams.n; i++) {
        const struct ad_fetch *q = &ad_discoveries.of[i].fetch;

        if (ad_upstreams.state[i].doubts > 0 && ad_fetch_wants(q) == 0 &&
            ad_upstreams.list[i].n_addresses > 0 &&
            ad_hub.now_ms - q->begun_ms >= AD_DISCOVERY_DOUBT_MS) {
            ad_upstreams.state[i].doubts--;
            ad_discovery_begin(i, AD_DISCOVERY_OPENAI);
        }
    }
}

/* The resolver has answered for an engine; `why`: it has no address. */
static void ad_discovery_resolved(unsigned upstream, const char *why)
{
    if (ad_upstreams.list[upstream].n_addresses == 0) {
        ad_discovery_reached(upstream, false, why);
    } else if (!ad_upstreams.state[upstream].up &&
               ad_fetch_wants(&ad_discoveries.of[upstream].fetch) == 0) {
        ad_discovery_begin(upstream, AD_DISCOVERY_OPENAI);
    }
}

/* Once a second: give up what takes too long, ask when it is time. */
static void ad_discovery_housekeeping(void)
{
    bool due = ad_discoveries.seconds++ % AD_DISCOVERY_EVERY == 0;
    unsigned i;

    for (i = 0; i < ad_upstreams.n; i++) {
        struct ad_fetch *q = &ad_discoveries.of[i].fetch;

        if (ad_fetch_wants(q) == 0) {
            if ((due || ad_models.ask[i]) && ad_upstreams.list[i].n_addresses > 0) {
                ad_models.ask[i] = false;
                ad_discovery_begin(i, AD_DISCOVERY_OPENAI);
            }
        } else if (ad_fetch_late(q, ad_hub.now_ms)) {
            if (q->state == AD_FETCH_CONNECT) {
                ad_discovery_reached(i, false, "");
            }
            ad_fetch_end(q, AD_FETCH_FAILED);
        }
    }
}

static void ad_discovery_end(void)
{
    unsigned i;

    for (i = 0; i < ad_upstreams.n; i++) {
        ad_fetch_end(&ad_discoveries.of[i].fetch, AD_FETCH_IDLE);
    }
}

/* Before each run. */
static void ad_discovery_init(void)
{
    memset(&ad_discoveries, 0, sizeof(ad_discoveries));
}

AD_MEMORY(discovery, AIDASH_UPSTREAMS, sizeof(ad_discoveries));

#endif /* AIDASH_METER */

#endif
