/* api_engine.c - what aidash.h declares for the engine's side: gauges, notes, its
 * state, its models, its commands. Owns nothing.
 */
#ifndef AD_APP_API_ENGINE_C
#define AD_APP_API_ENGINE_C

#include "api.c"

int aidash_gauge(const char *name, const char *unit, double value)
{
    struct ad_sample sample;
    int rc = AIDASH_EINVAL;

    if (!ad_enter()) {
        return AIDASH_ESTATE;
    }
    memset(&sample, 0, sizeof(sample));
    sample.has = AD_IS_GAUGE;
    sample.value = value;
    if (name != NULL && name[0] != '\0' && ad_gauge_value_ok(value) &&
        ad_copy_name(sample.gauge, name, AIDASH_GAUGE_MAX) &&
        ad_copy_name(sample.unit, unit, AIDASH_UNIT_MAX)) {
        ad_queue_sample(&sample);
        rc = 0;
    }
    ad_leave();
    return rc;
}

/* Hand a post to the hub, and wake it. */
static int ad_post(const struct ad_post *post)
{
    if (!ad_posts_push(post)) {
        return AIDASH_EFULL;
    }
    /* The post is in the ring before the hub's sleep is looked at; the hub
     * announces its sleep before it looks at the ring. */
    atomic_thread_fence(memory_order_seq_cst);
    ad_wake();
    return 0;
}

int aidash_note(enum aidash_log_level level, const char *text)
{
    struct ad_post post;
    int rc = AIDASH_EINVAL;

    if (!ad_enter()) {
        return AIDASH_ESTATE;
    }
    memset(&post, 0, sizeof(post));
    post.kind = AD_POST_NOTE;
    post.code = (uint8_t)(level == AIDASH_LOG_DEFAULT ? AIDASH_LOG_INFO : level);
    if (level <= AIDASH_LOG_INFO && text != NULL && text[0] != '\0' &&
        ad_copy_name(post.text, text, AIDASH_TEXT_MAX)) {
        rc = ad_post(&post);
    }
    ad_leave();
    return rc;
}

int aidash_set_state(enum aidash_state state, const char *reason)
{
    struct ad_post post;
    int rc = AIDASH_EINVAL;

    if (!ad_enter()) {
        return AIDASH_ESTATE;
    }
    memset(&post, 0, sizeof(post));
    post.kind = AD_POST_STATE;
    post.code = (uint8_t)state;
    if (state >= AIDASH_STATE_RUNNING && state <= AIDASH_STATE_DOWN &&
        ad_copy_name(post.text, reason, AIDASH_REASON_MAX)) {
        rc = ad_post(&post);
    }
    ad_leave();
    return rc;
}

/* Run a call on the hub, and wait for it: from the hub's own thread, which is in a
 * callback, at once. */
static void ad_hub_do(struct ad_call *call)
{
    if (pthread_equal(pthread_self(), ad_hub.thread)) {
        call->run(call);
    } else {
        ad_hub_run(call);
    }
}

/* ---- models ---- */

struct ad_models_call {
    struct ad_call call;
    int rc;
    unsigned n, active;
    char models[AIDASH_MODELS][AIDASH_MODEL_MAX + 1];
};

static void ad_models_run(struct ad_call *call)
{
    struct ad_models_call *m = (struct ad_models_call *)(void *)call;

    if (ad_sources.source == AD_SOURCE_METER) {
        m->rc = AIDASH_EINVAL; /* its engines tell their models */
        return;
    }
    ad_engine_set_models(m->models, m->n, m->active);
}

/* The place of a name in the list, or m->n. */
static unsigned ad_models_place(const struct ad_models_call *m, const char *name)
{
    unsigned i = 0;

    while (i < m->n && strcmp(m->models[i], name) != 0) {
        i++;
    }
    return i;
}

/* A comma-separated list of names into a call. False if it is no such list. */
static bool ad_models_parse(struct ad_models_call *m, const char *list)
{
    const char *item;
    size_t len;

    m->n = 0;
    while (ad_list_next(&list, &item, &len)) {
        char name[AIDASH_MODEL_MAX + 1];

        if (m->n == AIDASH_MODELS || !ad_name_ok(item, len, AIDASH_MODEL_MAX)) {
            return false;
        }
        memcpy(name, item, len);
        name[len] = '\0';
        if (ad_models_place(m, name) < m->n) {
            return false;
        }
        memcpy(m->models[m->n++], name, len + 1);
    }
    return m->n > 0;
}

int aidash_set_models(const char *models, const char *active)
{
    struct ad_models_call m;

    if (!ad_enter()) {
        return AIDASH_ESTATE;
    }
    m.call.run = ad_models_run;
    m.active = 0;
    m.rc = models != NULL && ad_models_parse(&m, models) ? 0 : AIDASH_EINVAL;
    if (m.rc == 0 && active != NULL && active[0] != '\0') {
        m.active = ad_models_place(&m, active);
        m.rc = m.active < m.n ? 0 : AIDASH_EINVAL;
    }
    if (m.rc == 0) {
        ad_hub_do(&m.call);
    }
    ad_leave();
    return m.rc;
}

/* ---- commands ---- */

/* Is this the command that on_command is asked about, by the thread that asks? */
static bool ad_is_offered(const struct aidash_command *command)
{
    return command != NULL && command == &ad_commands.offered &&
           pthread_equal(pthread_self(), ad_hub.thread) && ad_commands.offering;
}

int aidash_refuse(const struct aidash_command *command, const char *reason)
{
    if (ad_is_offered(command) &&
        !ad_copy_name(ad_commands.refusal, reason, AIDASH_TEXT_MAX)) {
        ad_commands.refusal[0] = '\0'; /* the usual sentence */
    }
    return AIDASH_EINVAL;
}

int aidash_later(const struct aidash_command *command, unsigned limit_s)
{
    if (!ad_is_offered(command) || limit_s < 1 || limit_s > AIDASH_LATER_MAX) {
        return AIDASH_EINVAL;
    }
    if (ad_unfinished_find(0) == NULL) {
        (void)snprintf(ad_commands.refusal, sizeof(ad_commands.refusal), "%s",
                       ad_fault_text(AD_FAULT_UNFINISHED));
        return AIDASH_EFULL;
    }
    ad_commands.later_s = limit_s;
    return 0;
}

int aidash_finish(uint64_t number, int done, const char *text)
{
    struct ad_post post;
    int rc = AIDASH_EINVAL;

    if (!ad_enter()) {
        return AIDASH_ESTATE;
    }
    memset(&post, 0, sizeof(post));
    post.kind = AD_POST_FINISH;
    post.id = number;
    post.code = done != 0;
    if (number != 0 && ad_copy_name(post.text, text, AIDASH_TEXT_MAX)) {
        rc = ad_post(&post);
    }
    ad_leave();
    return rc;
}

struct ad_own_command_call {
    struct ad_call call;
    bool added;
    struct ad_own_command command;
};

static void ad_own_command_run(struct ad_call *call)
{
    struct ad_own_command_call *c = (struct ad_own_command_call *)(void *)call;

    c->added = ad_own_command_add(&c->command);
}

/* Is its name one of a-z, 0-9 and _? */
static bool ad_own_command_named(const char *name)
{
    return name != NULL && name[0] != '\0' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

int aidash_command_add(const char *name, enum aidash_parameter kind, double min,
                       double max, double value, const char *label)
{
    struct ad_own_command_call c;
    bool good;

    if (!ad_enter()) {
        return AIDASH_ESTATE;
    }
    memset(&c, 0, sizeof(c));
    c.call.run = ad_own_command_run;
    c.command.kind = (uint8_t)kind;
    c.command.min = min;
    c.command.max = max;
    c.command.value = value;
    good = ad_own_command_named(name) &&
           ad_copy_name(c.command.name, name, AIDASH_COMMAND_MAX) &&
           ad_copy_name(c.command.label, label, AIDASH_TEXT_MAX) &&
           kind >= AIDASH_BUTTON && kind <= AIDASH_NUMBER &&
           (kind == AIDASH_BUTTON ||
            ad_own_command_takes(&c.command, true, value)) &&
           (kind != AIDASH_NUMBER ||
            (ad_gauge_value_ok(min) && ad_gauge_value_ok(max) && min < max));
    if (good) {
        ad_hub_do(&c.call);
    }
    ad_leave();
    return !good ? AIDASH_EINVAL : c.added ? 0 : AIDASH_EFULL;
}

/* ---- requests ---- */

struct ad_request_call {
    struct ad_call call;
    uint64_t id, now_ns;
    int rc;
    bool queued;
    unsigned outcome;
    const char *error;
    struct ad_own_request request;
};

static void ad_request_begin_on_hub(struct ad_call *call)
{
    struct ad_request_call *c = (struct ad_request_call *)(void *)call;

    if (ad_sources.source != AD_SOURCE_METER) {
        c->id = ad_own_request_begin(&c->request, c->queued, c->now_ns);
    }
}

static void ad_request_run_on_hub(struct ad_call *call)
{
    struct ad_request_call *c = (struct ad_request_call *)(void *)call;

    c->rc = ad_own_request_run(c->id, c->now_ns) ? 0 : AIDASH_EINVAL;
}

/* Its tokens wait in the inbox: they come first. */
static void ad_request_end_on_hub(struct ad_call *call)
{
    struct ad_request_call *c = (struct ad_request_call *)(void *)call;
    struct ad_sample sample;
    unsigned i;

    for (i = 0; i < AIDASH_INBOX && ad_inbox_pop(&sample); i++) {
        (void)ad_sample_apply(&sample, false);
        if (ad_events_due() && !ad_commands.offering) { /* then a client is in use */
            ad_fan_out();
        }
    }
    c->rc = ad_own_request_end(c->id, c->outcome, c->error, c->now_ns)
                ? 0
                : AIDASH_EINVAL;
}

uint64_t aidash_request_begin(const struct aidash_request *request)
{
    struct ad_request_call c;

    if (request == NULL || !ad_enter()) {
        return 0;
    }
    memset(&c, 0, sizeof(c));
    c.call.run = ad_request_begin_on_hub;
    c.now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    c.queued = request->queued != 0;
    c.request.prompt_tokens = request->prompt_tokens;
    if (request->prompt_tokens <= AD_TOTAL_LIMIT &&
        ad_copy_name(c.request.model, request->model, AIDASH_MODEL_MAX) &&
        ad_copy_name(c.request.client, request->client, AIDASH_ASKER_MAX) &&
        ad_copy_name(c.request.route, request->route, AIDASH_ROUTE_MAX)) {
        ad_hub_do(&c.call);
    }
    ad_leave();
    return c.id;
}

int aidash_request_run(uint64_t id)
{
    struct ad_request_call c;

    if (!ad_enter()) {
        return AIDASH_ESTATE;
    }
    c.call.run = ad_request_run_on_hub;
    c.id = id;
    c.now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    ad_hub_do(&c.call);
    ad_leave();
    return c.rc;
}

int aidash_request_progress(uint64_t id, uint64_t tokens)
{
    struct ad_sample sample;
    int rc = AIDASH_EINVAL;

    if (!ad_enter()) {
        return AIDASH_ESTATE;
    }
    if (id != 0 && tokens >= 1 && tokens <= AD_TOKENS_LIMIT) {
        memset(&sample, 0, sizeof(sample));
        sample.has = AD_IS_PROGRESS;
        sample.total = id;
        sample.tokens = tokens;
        sample.overcount = ad_clock_ns(CLOCK_MONOTONIC);
        ad_queue_sample(&sample);
        rc = 0;
    }
    ad_leave();
    return rc;
}

int aidash_request_end(uint64_t id, enum aidash_outcome outcome, const char *error)
{
    struct ad_request_call c;
    char text[AIDASH_REASON_MAX + 1];

    if (!ad_enter()) {
        return AIDASH_ESTATE;
    }
    c.call.run = ad_request_end_on_hub;
    c.id = id;
    c.now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    c.outcome = (unsigned)outcome;
    c.error = text;
    c.rc = AIDASH_EINVAL;
    if (outcome >= AIDASH_FINISHED && outcome <= AIDASH_CUT &&
        ad_copy_name(text, error, AIDASH_REASON_MAX)) {
        ad_hub_do(&c.call);
    }
    ad_leave();
    return c.rc;
}

#endif
