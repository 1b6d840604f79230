/* models.c - what is known of each model: its context, how much of it is on the
 * CPU, since when it is loading, how often its prompts were in the cache.
 * Owns ad_models. Hub thread only. Discovery and the requests tell; the viewers
 * read it in status.
 * Always: a model is known by its engine and its name. When all places are taken,
 * the one that was told of the longest ago gives way.
 */
#ifndef AD_METER_MODELS_C
#define AD_METER_MODELS_C

#include "upstreams.c"

#if AIDASH_METER

/* Pairs of client and model whose latest prompt is remembered. */
enum { AD_PREFIXES = 64 };

/* When a prompt's beginning counts as lost: tokens, and percent of the prompt. */
enum {
    AD_PREFIX_MIN = 256,  /* shorter prompts are read in no time */
    AD_PREFIX_MOST = 50,  /* cached before */
    AD_PREFIX_LITTLE = 20 /* cached now */
};

/* Who said that a model is loading, and so says when it is over. */
enum ad_loading { AD_LOADED, AD_LOADING_ENGINE, AD_LOADING_REQUEST };

/* What a list tells of a model. */
struct ad_model_facts {
    uint64_t context; /* tokens that a request may have; 0: not told */
    double cpu_share; /* of its memory, 0 to 1; -1: not told */
    bool loading;
    bool memory; /* the list is of the models in memory: what it does not tell of
                  * one is not so any more */
};

struct ad_model {
    uint64_t told;    /* when, by ad_models.turn; 0: the place is free */
    uint8_t upstream;
    uint8_t loading;  /* enum ad_loading */
    char name[AIDASH_MODEL_MAX + 1]; /* "": that of the engine, which named none */
    uint64_t context;
    double cpu_share;
    uint64_t loading_us;  /* since when, Unix time */
    double load_fraction; /* of it that is done, 0 to 1; -1: not known */
    uint64_t prompt_tokens, cached_tokens; /* of requests that told both */
};

/* A client's latest prompt for a model. */
struct ad_prefix {
    uint64_t told; /* as in struct ad_model */
    uint64_t address, model; /* of the client; ad_prefix_model() */
    uint64_t prompt, cached; /* tokens */
};

static struct {
    uint64_t turn;
    bool ask[AIDASH_UPSTREAMS]; /* discovery is to ask this engine soon */
    bool states[AIDASH_UPSTREAMS]; /* its list has a state for each model */
    struct ad_model list[AIDASH_MODELS];
    struct ad_prefix prefixes[AD_PREFIXES];
} ad_models;

/* ---- the list ---- */

/* An engine's model of exactly this name, or NULL. */
static struct ad_model *ad_models_named(unsigned upstream, const char *name)
{
    unsigned i;

    for (i = 0; i < AIDASH_MODELS; i++) {
        struct ad_model *m = &ad_models.list[i];

        if (m->told != 0 && m->upstream == upstream &&
            strcmp(m->name, name) == 0) {
            return m;
        }
    }
    return NULL;
}

/* A request's model, or NULL: nothing is known of it. Ollama's list has a tag
 * (":latest") that requests may leave out. */
static struct ad_model *ad_models_find(unsigned upstream, const char *name)
{
    static const char latest[] = ":latest";
    struct ad_model *m = ad_models_named(upstream, name);
    char tagged[AIDASH_MODEL_MAX + sizeof(latest)];

    if (m == NULL) {
        (void)snprintf(tagged, sizeof(tagged), "%s%s", name, latest);
        m = ad_models_named(upstream, tagged);
    }
    return m;
}

/* The place of a model, a new one if need be. */
static struct ad_model *ad_models_take(unsigned upstream, const char *name)
{
    struct ad_model *m = ad_models_find(upstream, name);
    unsigned i;

    if (m == NULL) {
        m = &ad_models.list[0];
        for (i = 1; i < AIDASH_MODELS; i++) {
            if (ad_models.list[i].told < m->told) {
                m = &ad_models.list[i];
            }
        }
        memset(m, 0, sizeof(*m));
        m->upstream = (uint8_t)upstream;
        (void)snprintf(m->name, sizeof(m->name), "%s", name);
        m->cpu_share = -1;
        m->load_fraction = -1;
    }
    m->told = ++ad_models.turn;
    return m;
}

/* ---- loading ---- */

/* A model is loading. True if that is news. */
static bool ad_models_load(unsigned upstream, const char *name, enum ad_loading by,
                          double fraction)
{
    struct ad_model *m = ad_models_take(upstream, name);
    bool news = m->loading == AD_LOADED;

    if (news) {
        m->loading_us = ad_hub.now_us;
    }
    m->loading = (uint8_t)by;
    m->load_fraction = fraction;
    if (by == AD_LOADING_ENGINE) {
        ad_models.ask[upstream] = true; /* it does not tell by itself */
    }
    return news;
}

/* A model's loading is over, if `by` said that it loads. True if that is news. */
static bool ad_models_loaded(struct ad_model *m, enum ad_loading by)
{
    bool news = m != NULL && m->loading == by;

    if (news) {
        m->loading = AD_LOADED;
        m->load_fraction = -1;
        ad_models.ask[m->upstream] = true; /* what it has now */
    }
    return news;
}

/* Does an error's sentence say that the engine is loading its model? llama-server:
 * "Loading model". */
static bool ad_models_is_loading(const char *sentence)
{
    static const char loading[] = "Loading model";

    return strncmp(sentence, loading, sizeof(loading) - 1) == 0;
}

/* The engine refuses what it is asked until its model is loaded. Which one, it
 * does not say. True if that is news. */
static bool ad_models_engine_loads(unsigned upstream)
{
    const struct ad_upstream_state *e = &ad_upstreams.state[upstream];

    return ad_models_load(upstream, e->n_models == 1 ? e->models[0] : "",
                         AD_LOADING_ENGINE, -1);
}

/* The engine can't be reached: nothing of it loads. True if that is news. */
static bool ad_models_engine_gone(unsigned upstream)
{
    bool news = false;
    unsigned i;

    for (i = 0; i < AIDASH_MODELS; i++) {
        struct ad_model *m = &ad_models.list[i];

        if (m->told != 0 && m->upstream == upstream &&
            m->loading == AD_LOADING_ENGINE) {
            m->loading = AD_LOADED;
            news = true;
        }
    }
    return news;
}

/* ---- what the lists tell ---- */

/* An engine told of a model. True if that is news. */
static bool ad_models_told(unsigned upstream, const char *name,
                          const struct ad_model_facts *facts)
{
    struct ad_model *m = ad_models_named(upstream, name);
    bool news;

    if (m == NULL && facts->context == 0 && facts->cpu_share < 0 &&
        !facts->loading) {
        return false;
    }
    if (m == NULL) {
        m = ad_models_take(upstream, name);
    }
    news = (facts->memory || facts->context != 0) && m->context != facts->context;
    if (news) {
        m->context = facts->context;
    }
    if (facts->memory && (m->cpu_share < facts->cpu_share ||
                          m->cpu_share > facts->cpu_share)) {
        m->cpu_share = facts->cpu_share;
        news = true;
    }
    if (facts->loading) {
        news = ad_models_load(upstream, name, AD_LOADING_ENGINE, -1) || news;
    }
    return news;
}

/* An engine gave the list of its n models: what it tells of each, and nothing is
 * true any more of others. True if there is news. */
static bool ad_models_listed(unsigned upstream,
                             const char (*names)[AIDASH_MODEL_MAX + 1],
                             const struct ad_model_facts *facts, unsigned n)
{
    bool news = false;
    unsigned i, k;

    for (i = 0; i < AIDASH_MODELS; i++) {
        struct ad_model *m = &ad_models.list[i];

        if (m->told == 0 || m->upstream != upstream) {
            continue;
        }
        for (k = 0; k < n && strcmp(names[k], m->name) != 0;) {
            k++;
        }
        if (k == n || !facts[k].loading) {
            news = ad_models_loaded(m, AD_LOADING_ENGINE) || news;
        }
        if (k == n) {
            news = news || m->context != 0 || m->cpu_share >= 0;
            m->context = 0;
            m->cpu_share = -1;
            if (m->loading == AD_LOADED && m->prompt_tokens == 0) {
                m->told = 0;
            }
        }
    }
    for (k = 0; k < n; k++) {
        news = ad_models_told(upstream, names[k], &facts[k]) || news;
    }
    return news;
}

/* ---- the prompt cache ---- */

/* A number for an engine's model: FNV-1a, 64 bits. */
static uint64_t ad_prefix_model(unsigned upstream, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u ^ upstream;

    for (; *name != '\0'; name++) {
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
    }
    return hash;
}

/* A prompt was read, of which so much was in the cache. True if its beginning is
 * not what the same client sent before: of that, most was cached, and now little
 * is, though the prompt is no shorter than three quarters of it. */
static bool ad_models_prompt(unsigned upstream, const char *name, uint64_t address,
                            uint64_t prompt, uint64_t cached)
{
    struct ad_model *m = ad_models_take(upstream, name);
    uint64_t model = ad_prefix_model(upstream, m->name);
    struct ad_prefix *x = NULL, *oldest = &ad_models.prefixes[0];
    bool broke = false;
    unsigned i;

    m->prompt_tokens += prompt;
    m->cached_tokens += cached;
    for (i = 0; i < AD_PREFIXES && x == NULL; i++) {
        struct ad_prefix *known = &ad_models.prefixes[i];

        if (known->told != 0 && known->address == address &&
            known->model == model) {
            x = known;
        } else if (known->told < oldest->told) {
            oldest = known;
        }
    }
    if (x != NULL) {
        broke = x->prompt >= AD_PREFIX_MIN && prompt >= AD_PREFIX_MIN &&
                prompt * 4 >= x->prompt * 3 &&
                x->cached * 100 >= x->prompt * AD_PREFIX_MOST &&
                cached * 100 < prompt * AD_PREFIX_LITTLE;
    } else {
        x = oldest;
    }
    x->told = ++ad_models.turn;
    x->address = address;
    x->model = model;
    x->prompt = prompt;
    x->cached = cached;
    return broke;
}

/* ---- for the viewers ---- */

/* Since when a model loads, and how much is done: the value of "loading". */
static void ad_put_loading(struct ad_text *t, uint64_t since_us, double fraction)
{
    ad_puts(t, ",\"loading\":{\"since\":");
    ad_put_decimal(t, since_us, 6);
    if (fraction >= 0) {
        ad_puts(t, ",\"fraction\":");
        ad_put_fixed(t, fraction, 3);
    }
    ad_puts(t, "}");
}

/* Is there anything to tell? */
static bool ad_models_tells(const struct ad_model *m)
{
    return m->told != 0 && (m->context != 0 || m->cpu_share >= 0 ||
                            m->loading != AD_LOADED || m->prompt_tokens != 0);
}

static void ad_put_model(struct ad_text *t, const struct ad_model *m)
{
    ad_puts(t, "{\"model\":");
    ad_put_string(t, m->name);
    if (m->context != 0) {
        ad_puts(t, ",\"context_length\":");
        ad_put_u64(t, m->context);
    }
    if (m->cpu_share >= 0) {
        ad_puts(t, ",\"cpu_share\":");
        ad_put_fixed(t, m->cpu_share, 3);
    }
    if (m->loading != AD_LOADED) {
        ad_put_loading(t, m->loading_us, m->load_fraction);
    }
    if (m->prompt_tokens != 0) {
        ad_puts(t, ",\"prompt_tokens\":");
        ad_put_u64(t, m->prompt_tokens);
        ad_puts(t, ",\"cached_tokens\":");
        ad_put_u64(t, m->cached_tokens);
    }
    ad_puts(t, "}");
}

/* The section of status: those that load come first, then the others, as many as
 * fit AD_FACTS_JSON_MAX bytes. */
static void ad_put_models(struct ad_text *t)
{
    char json[2 * AIDASH_MODEL_MAX + 256];
    size_t end = t->len + AD_FACTS_JSON_MAX;
    bool some = false, loading;
    unsigned i;

    if (ad_upstreams.n == 0) {
        return;
    }
    ad_puts(t, ",\"model_facts\":[");
    for (i = 0; i < 2 * AIDASH_MODELS; i++) {
        const struct ad_model *m = &ad_models.list[i % AIDASH_MODELS];
        struct ad_text one = ad_text_in(json, sizeof(json));

        loading = i < AIDASH_MODELS;
        if (!ad_models_tells(m) || (m->loading != AD_LOADED) != loading) {
            continue;
        }
        ad_put_model(&one, m);
        if (t->len + one.len + 2 > end) { /* a comma, the bracket */
            break;
        }
        ad_puts(t, some ? "," : "");
        ad_put(t, one.at, one.len);
        some = true;
    }
    ad_puts(t, "]");
}

/* Before each run. */
static void ad_models_init(void)
{
    memset(&ad_models, 0, sizeof(ad_models));
    ad_engine_add_section(ad_put_models);
}

AD_MEMORY(models, AIDASH_MODELS, sizeof(ad_models));

#endif /* AIDASH_METER */

#endif
