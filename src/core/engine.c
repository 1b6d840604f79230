/* engine.c - the engine as viewers see it: its models, the active one, whether
 * it is paused; and the event that says so.
 * Owns ad_engine: other parts change it by the functions below, which report
 * each change to the viewers. Hub thread only, but for ad_engine_add_model().
 */
#ifndef AD_CORE_ENGINE_C
#define AD_CORE_ENGINE_C

#include "events.c"

enum { AD_STATUS_SECTIONS = 10 };

static struct {
    bool paused;
    uint8_t word;   /* the embedder's: an index in ad_engine_words, 0: it said none */
    char reason[AIDASH_REASON_MAX + 1]; /* of its state; "": none */
    bool learns;    /* names come from the ticks */
    bool overrides; /* a viewer chose the model of all requests (the meter) */
    unsigned n_models;
    unsigned model; /* the active one, if n_models > 0 */
    char models[AIDASH_MODELS][AIDASH_MODEL_MAX + 1];
    bool loaded[AIDASH_MODELS]; /* in the engine's memory (the meter) */
    unsigned n_sections;        /* [I] */
    void (*sections[AD_STATUS_SECTIONS])(struct ad_text *t); /* [I] */
} ad_engine;

/* Add a part's own members to status, hello and /status: `put` writes each with
 * a comma in front. While starting. */
static void ad_engine_add_section(void (*put)(struct ad_text *t))
{
    ad_engine.sections[ad_engine.n_sections++] = put;
}

/* What "engine" says in status; of the meter and the scrape they say it themselves. */
enum { AD_WORD_NONE, AD_WORD_UP, AD_WORD_LOADING, AD_WORD_DOWN };
static const char *const ad_engine_words[] = {"", "up", "loading", "down"};

static const char *ad_model_name(void)
{
    return ad_engine.n_models > 0 ? ad_engine.models[ad_engine.model] : "";
}

/* The index of a model that viewers can switch to, or n_models. */
static unsigned ad_model_find(const char *name)
{
    unsigned i = 0;

    while (i < ad_engine.n_models && strcmp(ad_engine.models[i], name) != 0) {
        i++;
    }
    return i;
}

static void ad_put_engine(struct ad_text *t)
{
    unsigned i;

    ad_puts(t, "\"model\":");
    ad_put_string(t, ad_model_name());
    ad_puts(t, ",\"models\":[");
    for (i = 0; i < ad_engine.n_models; i++) {
        if (i > 0) {
            ad_puts(t, ",");
        }
        ad_put_string(t, ad_engine.models[i]);
    }
    ad_puts(t, ad_engine.paused ? "],\"paused\":true" : "],\"paused\":false");
    if (ad_engine.word != AD_WORD_NONE) {
        ad_puts(t, ",\"engine\":");
        ad_put_string(t, ad_engine_words[ad_engine.word]);
    }
    if (ad_engine.reason[0] != '\0') {
        ad_puts(t, ",\"reason\":");
        ad_put_string(t, ad_engine.reason);
    }
    for (i = 0; i < ad_engine.n_sections; i++) {
        ad_engine.sections[i](t);
    }
}

/* Send all viewers how the engine is now. */
static void ad_status_append(void)
{
    char json[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    ad_puts(&t, "{\"event\":\"status\",\"seq\":");
    ad_put_u64(&t, ad_feed.next);
    ad_puts(&t, ",");
    ad_put_engine(&t);
    ad_puts(&t, "}");
    ad_event_append(AD_EV_STATUS, &t);
}

/* Add a model at the end of the list. False if there is no room, or it is there
 * already. Reports nothing: while starting, or before ad_status_append(). */
static bool ad_engine_add_model(const char *name, bool loaded)
{
    if (ad_engine.n_models == AIDASH_MODELS ||
        ad_model_find(name) < ad_engine.n_models) {
        return false;
    }
    (void)snprintf(ad_engine.models[ad_engine.n_models],
                   sizeof(ad_engine.models[0]), "%s", name);
    ad_engine.loaded[ad_engine.n_models++] = loaded;
    return true;
}

/* A tick named this model: it joins the list, if names come from the ticks. */
static void ad_engine_learn(const char *name)
{
    if (ad_engine.learns && ad_engine_add_model(name, false)) {
        ad_status_append();
    }
}

/* why: who paused it, at most AIDASH_REASON_MAX bytes; "": nobody did, or nobody knows. */
static void ad_engine_pause(bool paused, const char *why)
{
    if (paused != ad_engine.paused) {
        ad_engine.paused = paused;
        (void)snprintf(ad_engine.reason, sizeof(ad_engine.reason), "%s", why);
        ad_status_append();
    }
}

/* The engine's side says how it is. */
static void ad_engine_say(bool paused, unsigned word, const char *reason)
{
    size_t len = strnlen(reason, AIDASH_REASON_MAX);

    if (paused == ad_engine.paused && word == ad_engine.word &&
        strcmp(reason, ad_engine.reason) == 0) {
        return;
    }
    ad_engine.paused = paused;
    ad_engine.word = (uint8_t)word;
    memcpy(ad_engine.reason, reason, len);
    ad_engine.reason[len] = '\0';
    ad_status_append();
}

/* The engine's side has these models, of which `active` is the active one. */
static void ad_engine_set_models(char (*models)[AIDASH_MODEL_MAX + 1], unsigned n,
                                 unsigned active)
{
    unsigned i;

    ad_engine.n_models = 0;
    ad_engine.learns = false;
    for (i = 0; i < n; i++) {
        (void)ad_engine_add_model(models[i], false);
    }
    ad_engine.model = active;
    ad_status_append();
}

/* Make models[model] the active one; `overrides`: for all requests. */
static void ad_engine_select(unsigned model, bool overrides)
{
    if (model != ad_engine.model || overrides != ad_engine.overrides) {
        ad_engine.model = model;
        ad_engine.overrides = overrides;
        ad_status_append();
    }
}

#if AIDASH_METER

/* Without a viewer's choice, the model shown is the one that answered last. */
static void ad_engine_show(const char *name)
{
    unsigned i = ad_model_find(name);

    if (!ad_engine.overrides && i < ad_engine.n_models && i != ad_engine.model) {
        ad_engine.model = i;
        ad_status_append();
    }
}

/* Replace the list of models: begin, add each by ad_engine_add_model(), end. The
 * active model stays active, and a viewer's choice stays in the list. */
struct ad_engine_list {
    char active[AIDASH_MODEL_MAX + 1];
    unsigned before;
};

static void ad_engine_list_begin(struct ad_engine_list *list)
{
    (void)snprintf(list->active, sizeof(list->active), "%s", ad_model_name());
    list->before = ad_engine.n_models;
    ad_engine.n_models = 0;
}

static void ad_engine_list_end(const struct ad_engine_list *list)
{
    unsigned i;

    if (ad_engine.overrides) {
        (void)ad_engine_add_model(list->active, false);
    }
    i = ad_model_find(list->active);
    ad_engine.model = i < ad_engine.n_models ? i : 0;
    if (list->before > 0 || ad_engine.n_models > 0) {
        ad_status_append();
    }
}

#endif /* AIDASH_METER */

/* Forget all models; the names come from the ticks from now on. Reports nothing:
 * before ad_status_append(). */
static void ad_engine_learn_anew(void)
{
    ad_engine.n_models = 0;
    ad_engine.model = 0;
    ad_engine.learns = true;
}

/* Before each run. */
static void ad_engine_init(void)
{
    memset(&ad_engine, 0, sizeof(ad_engine));
}

/* Do ticks add their models to the list? While starting. */
static void ad_engine_set_learning(bool learns)
{
    ad_engine.learns = learns;
}

AD_MEMORY(engine, AIDASH_MODELS, sizeof(ad_engine));

#endif
