/* own_requests.c - requests of an engine that is not behind the meter, as the program
 * that embeds aidash tells them: events, ticks, records.
 * Owns ad_own_requests. Hub thread only. Times are of the monotonic clock, where the
 * call was made; 0: not yet.
 */
#ifndef AD_CORE_OWN_REQUESTS_C
#define AD_CORE_OWN_REQUESTS_C

#include "../base/histogram.c"
#include "measures.c"
#include "ticks.c"

enum {
    AD_OWN_TOLD_MS = 1000, /* between events about a running answer */
    /* Bytes of an event: fixed text and 12 numbers; only " and \ are escaped. */
    AD_OWN_REQUEST_JSON_MAX = 700 + 2 * AIDASH_MODEL_MAX + 2 * AIDASH_ROUTE_MAX +
                              2 * AIDASH_ASKER_MAX + 2 * AIDASH_REASON_MAX
};

/* A request, and how it went. */
struct ad_own_request {
    uint64_t id; /* 0: the place is free */
    char model[AIDASH_MODEL_MAX + 1];
    char route[AIDASH_ROUTE_MAX + 1];
    char client[AIDASH_ASKER_MAX + 1];
    char error[AIDASH_REASON_MAX + 1];
    uint64_t start_us; /* Unix time of its arrival */
    uint64_t arrived_ns, run_ns, first_ns, last_ns, end_ns;
    uint64_t prompt_tokens, tokens;
    uint64_t first_tokens; /* those that came with the first: they have no time */
    uint64_t told_seq;     /* number of the latest event about it */
    bool waited;
    uint8_t outcome; /* enum aidash_outcome; 0: it has not ended */
    double itl_p50_ms, itl_p95_ms, itl_max_ms; /* once it has; 0: not known */
};

static struct {
    uint64_t ids;   /* of requests so far */
    uint64_t ended; /* number n is at n % AIDASH_RECORDS */
    struct {
        struct ad_own_request request;
        uint64_t told_ns;
        struct ad_histogram itl; /* times between tokens */
    } running[AIDASH_REQUESTS];
    struct ad_own_request records[AIDASH_RECORDS];
} ad_own_requests;

static unsigned ad_own_requests_count(bool queued)
{
    unsigned i, n = 0;

    for (i = 0; i < AIDASH_REQUESTS; i++) {
        const struct ad_own_request *r = &ad_own_requests.running[i].request;

        n += r->id != 0 && (r->run_ns == 0) == queued;
    }
    return n;
}

/* Their section of status, once there was one. */
static void ad_put_own_requests(struct ad_text *t)
{
    if (ad_own_requests.ids > 0) {
        ad_putf(t, ",\"running\":%u,\"queued\":%u", ad_own_requests_count(false),
                ad_own_requests_count(true));
    }
}

/* Before each run. */
static void ad_own_requests_init(void)
{
    memset(&ad_own_requests, 0, sizeof(ad_own_requests));
    ad_engine_add_section(ad_put_own_requests);
}

/* The place of a running request, 0: of a free place; AIDASH_REQUESTS: none. */
static unsigned ad_own_request_find(uint64_t id)
{
    unsigned i = 0;

    while (i < AIDASH_REQUESTS && ad_own_requests.running[i].request.id != id) {
        i++;
    }
    return i;
}

/* A member with the time from one moment to another, if both are known. */
static void ad_put_span(struct ad_text *t, const char *name, uint64_t from_ns,
                        uint64_t to_ns)
{
    if (from_ns != 0 && to_ns >= from_ns) {
        ad_putf(t, ",\"%s\":", name);
        ad_put_decimal(t, (to_ns - from_ns) / 1000, 3);
    }
}

static void ad_put_own_rate(struct ad_text *t, const char *name,
                            const struct ad_own_request *r, uint64_t until_ns)
{
    if (r->first_ns != 0 && until_ns > r->first_ns && r->tokens > r->first_tokens) {
        ad_putf(t, ",\"%s\":", name);
        ad_put_fixed(t, (double)(r->tokens - r->first_tokens) * (double)AD_NS_PER_S /
                            (double)(until_ns - r->first_ns), 3);
    }
}

static void ad_put_own_gap(struct ad_text *t, const char *name, double ms)
{
    if (ms > 0) {
        ad_putf(t, ",\"%s\":", name);
        ad_put_fixed(t, ms, 3);
    }
}

static void ad_put_own_request(struct ad_text *t, const struct ad_own_request *r,
                               const char *event)
{
    static const char *const outcomes[] = {"running", "finished", "failed", "left",
                                           "cut"};
    bool start = strcmp(event, "request_start") == 0;
    bool ended = r->outcome != 0;

    ad_putf(t, "{\"event\":\"%s\",\"seq\":%llu,\"id\":%llu,\"model\":", event,
            (unsigned long long)r->told_seq, (unsigned long long)r->id);
    ad_put_string(t, r->model);
    ad_puts(t, ",\"route\":");
    ad_put_string(t, r->route);
    ad_puts(t, ",\"client\":");
    ad_put_string(t, r->client);
    ad_puts(t, ",\"status\":");
    ad_put_string(t, !ended && r->run_ns == 0 ? "queued" : outcomes[r->outcome]);
    if (!start) {
        if (r->prompt_tokens > 0) {
            ad_putf(t, ",\"prompt_tokens\":%llu",
                    (unsigned long long)r->prompt_tokens);
        }
        if (ended || r->tokens > 0) {
            ad_putf(t, ",\"completion_tokens\":%llu", (unsigned long long)r->tokens);
        }
        ad_put_span(t, "ttft_ms", r->first_ns != 0 ? r->arrived_ns : 0, r->first_ns);
    }
    if (!start && r->waited) {
        ad_put_span(t, "queue_ms", r->arrived_ns,
                    r->run_ns != 0 ? r->run_ns : ended ? r->end_ns : 0);
    }
    ad_puts(t, ",\"timestamp\":");
    ad_put_decimal(t, r->start_us, 6);
    if (!start && !ended) {
        ad_put_own_rate(t, "tokens_per_second", r, ad_hub.now_ns);
    } else if (ended) {
        ad_put_own_rate(t, "decode_tokens_per_second", r, r->last_ns);
        ad_put_own_gap(t, "itl_p50_ms", r->itl_p50_ms);
        ad_put_own_gap(t, "itl_p95_ms", r->itl_p95_ms);
        ad_put_own_gap(t, "itl_max_ms", r->itl_max_ms);
        ad_put_span(t, "prefill_ms", r->first_ns != 0 ? r->run_ns : 0, r->first_ns);
        ad_put_span(t, "decode_ms", r->first_ns, r->last_ns);
        ad_put_span(t, "duration_ms", r->arrived_ns, r->end_ns);
        if (r->error[0] != '\0') {
            ad_puts(t, ",\"error\":");
            ad_put_string(t, r->error);
        }
    }
    ad_puts(t, "}");
}

static void ad_own_request_tell(struct ad_own_request *r, enum ad_event kind)
{
    char json[AD_OWN_REQUEST_JSON_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    r->told_seq = ad_feed.next;
    ad_put_own_request(&t, r, ad_event_names[kind]);
    ad_event_append(kind, &t);
}

/* A request has come; `now_ns`: when. Returns its id, or 0: no place is free. */
static uint64_t ad_own_request_begin(const struct ad_own_request *request,
                                     bool queued, uint64_t now_ns)
{
    unsigned i = ad_own_request_find(0);
    struct ad_own_request *r;

    if (i == AIDASH_REQUESTS) {
        return 0;
    }
    memset(&ad_own_requests.running[i], 0, sizeof(ad_own_requests.running[i]));
    r = &ad_own_requests.running[i].request;
    *r = *request;
    r->id = ++ad_own_requests.ids;
    if (r->model[0] == '\0') {
        const char *model = ad_model_name();

        memcpy(r->model, model, strlen(model) + 1);
    }
    r->start_us = ad_hub.now_us;
    r->arrived_ns = now_ns;
    r->waited = queued;
    r->run_ns = queued ? 0 : now_ns;
    ad_own_requests.running[i].told_ns = ad_hub.now_ns;
    ad_own_request_tell(r, AD_EV_REQUEST_START);
    return r->id;
}

/* One that waited runs. */
static bool ad_own_request_run(uint64_t id, uint64_t now_ns)
{
    unsigned i = id != 0 ? ad_own_request_find(id) : AIDASH_REQUESTS;

    if (i == AIDASH_REQUESTS) {
        return false;
    }
    if (ad_own_requests.running[i].request.run_ns == 0) {
        ad_own_requests.running[i].request.run_ns = now_ns;
        ad_own_request_tell(&ad_own_requests.running[i].request, AD_EV_REQUEST);
    }
    return true;
}

/* Its answer has more tokens: a tick that names it. One that has ended is not
 * known any more. */
static void ad_own_request_progress(const struct ad_sample *sample)
{
    unsigned i = ad_own_request_find(sample->total);
    uint64_t at_ns = sample->overcount, before_ns;
    struct ad_own_request *r;
    struct ad_sample tick;

    if (i == AIDASH_REQUESTS || sample->total == 0) {
        return;
    }
    r = &ad_own_requests.running[i].request;
    r->run_ns = r->run_ns != 0 ? r->run_ns : at_ns;
    memset(&tick, 0, sizeof(tick));
    memcpy(tick.model, r->model, sizeof(tick.model));
    tick.tokens = sample->tokens;
    tick.has = AD_HAS_TOKENS | AD_HAS_LATENCY | AD_IS_METERED |
               (r->first_ns == 0 ? AD_IS_FIRST : 0u);
    before_ns = r->first_ns == 0 ? r->arrived_ns : r->last_ns;
    tick.latency_ms = at_ns > before_ns
                          ? (double)(at_ns - before_ns) / (double)AD_NS_PER_MS
                          : 0;
    r->tokens += sample->tokens;
    r->last_ns = at_ns > before_ns ? at_ns : before_ns;
    if (r->first_ns == 0) {
        r->first_ns = r->last_ns;
        r->first_tokens = r->tokens;
    } else {
        ad_histogram_add(&ad_own_requests.running[i].itl,
                         (r->last_ns - before_ns) / 1000,
                         (uint32_t)(sample->tokens < 1000 ? sample->tokens : 1000));
    }
    ad_tick_apply_of(&tick, r->id, ad_hub.now_ns);
    if ((tick.has & AD_IS_FIRST) != 0 ||
        ad_hub.now_ns - ad_own_requests.running[i].told_ns >=
            AD_OWN_TOLD_MS * AD_NS_PER_MS) {
        ad_own_requests.running[i].told_ns = ad_hub.now_ns;
        ad_own_request_tell(r, AD_EV_REQUEST);
    }
}

#if AIDASH_METRICS

/* Seconds from one moment to another; -1: not known. */
static double ad_own_seconds(uint64_t from_ns, uint64_t to_ns)
{
    return from_ns == 0 || to_ns < from_ns
               ? -1
               : (double)(to_ns - from_ns) / (double)AD_NS_PER_S;
}

/* Count one that is over. */
static void ad_own_request_measure(const struct ad_own_request *r)
{
    static const enum ad_measure_outcome outcomes[] = {
        AD_OUTCOME_CUT, AD_OUTCOME_FINISHED, AD_OUTCOME_FAILED, AD_OUTCOME_LEFT,
        AD_OUTCOME_CUT}; /* by enum aidash_outcome */
    struct ad_measured m;

    memset(&m, 0, sizeof(m));
    m.model = r->model;
    m.known = true;
    m.outcome = outcomes[r->outcome];
    m.ttft_s = ad_own_seconds(r->arrived_ns, r->first_ns);
    m.duration_s = ad_own_seconds(r->arrived_ns, r->end_ns);
    m.queue_s = ad_own_seconds(r->arrived_ns, r->run_ns != 0 ? r->run_ns : r->end_ns);
    m.token_s = ad_own_seconds(r->first_ns, r->last_ns);
    m.token_s = r->tokens > r->first_tokens
                    ? m.token_s / (double)(r->tokens - r->first_tokens)
                    : -1;
    m.has_prompt = r->prompt_tokens > 0;
    m.prompt = r->prompt_tokens;
    m.has_completion = true;
    m.completion = r->tokens;
    ad_measure_request(&m);
}

#endif

/* It is over. */
static bool ad_own_request_end(uint64_t id, unsigned outcome, const char *error,
                               uint64_t now_ns)
{
    unsigned i = id != 0 ? ad_own_request_find(id) : AIDASH_REQUESTS;
    const struct ad_histogram *itl;
    struct ad_own_request *r;

    if (i == AIDASH_REQUESTS) {
        return false;
    }
    r = &ad_own_requests.records[ad_own_requests.ended++ % AIDASH_RECORDS];
    *r = ad_own_requests.running[i].request;
    ad_own_requests.running[i].request.id = 0;
    itl = &ad_own_requests.running[i].itl;
    r->end_ns = now_ns;
    r->outcome = (uint8_t)outcome;
    (void)snprintf(r->error, sizeof(r->error), "%s", error);
    if (itl->n > 0) {
        r->itl_p50_ms = (double)ad_histogram_percentile(itl, 50) / 1000;
        r->itl_p95_ms = (double)ad_histogram_percentile(itl, 95) / 1000;
        r->itl_max_ms = (double)itl->max_us / 1000;
    }
    ad_own_request_tell(r, AD_EV_REQUEST);
#if AIDASH_METRICS
    ad_own_request_measure(r);
#endif
    return true;
}

AD_MEMORY(own_requests, AIDASH_REQUESTS, sizeof(ad_own_requests));

#endif
