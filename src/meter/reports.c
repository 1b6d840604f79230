/* reports.c - what viewers learn of proxied requests: events, ticks, records.
 * Owns ad_records. Hub thread only.
 */
#ifndef AD_METER_REPORTS_C
#define AD_METER_REPORTS_C

#include "../core/measures.c"
#include "../core/ticks.c"
#include "facts.c"
#include "quota.c"
#include "requests.c"

#if AIDASH_METER

enum {
    AD_PROGRESS_MS = 100, /* between events about a prompt's reading */
    AD_RUNNING_MS = 1000, /* and about a running answer */
    AD_RECORD_HOOKS = 2   /* functions that are told of a request's end */
};

/* What kind of work a route asks for, in the names of OpenTelemetry where it has
 * one; NULL: not known. */
static const char *ad_operation_of(const char *route)
{
    static const struct {
        const char *end, *operation;
    } operations[] = {
        {"/chat/completions", "chat"}, {"/api/chat", "chat"},
        {"/api/v1/chat", "chat"}, {"/messages", "chat"}, {"/responses", "chat"},
        {":generateContent", "chat"}, {":streamGenerateContent", "chat"},
        {"/completions", "text_completion"}, {"/completion", "text_completion"},
        {"/infill", "text_completion"}, {"/generate", "text_completion"},
        {"/generate_stream", "text_completion"},
        {"/embeddings", "embeddings"}, {"/embedding", "embeddings"},
        {"/embed", "embeddings"}, {"/pooling", "embeddings"},
        {"/rerank", "rerank"}, {"/reranking", "rerank"}, {"/score", "rerank"},
        {"/audio/transcriptions", "transcription"},
        {"/audio/translations", "transcription"}, {"/inference", "transcription"},
        {"/audio/speech", "speech"}, {"/images/generations", "image"},
        {"/images/edits", "image"}, {"/images/variations", "image"},
    };
    size_t i, len = strlen(route);

    for (i = 0; i < AD_COUNT(operations); i++) {
        size_t n = strlen(operations[i].end);

        if (len >= n && strcmp(route + len - n, operations[i].end) == 0) {
            return operations[i].operation;
        }
    }
    return NULL;
}

/* How a request went. Times in milliseconds; -1: not known. */
struct ad_proxy_figures {
    uint64_t tokens;
    bool estimated;
    double ttft_ms;     /* from its arrival to the first token */
    double queue_ms;    /* in aidash's queue, and in the engine's if that is known */
    double load_ms, prefill_ms, think_ms, decode_ms;
    double prefill_per_s, decode_per_s, whole_per_s; /* tokens a second */
    double thinking;    /* share of the answer, 0 to 1 */
    double duration_ms; /* from its coming in to now */
    double engine_ms;   /* from when the engine had all of it to now */
};

enum { AD_RECORD_OBSERVERS = 4 };
typedef void ad_record_observer(const struct ad_proxy *p, const char *status,
                                const struct ad_proxy_figures *figures);

/* How a request went: its last event. */
struct ad_record {
    uint16_t len;
    char json[AD_RECORD_MAX];
};

static struct {
    /* [I] The benchmark's: told of each request that ended, with the status of
     * its record; or NULL. */
    void (*ended)(const struct ad_proxy *p, const char *status);
    /* [I] Told of each request that ended, with its figures; or NULL. */
    ad_record_observer *observers[AD_RECORD_OBSERVERS];
    /* [I] Called with each request that ends, before its record is written: they may
     * set members of it. NULL: none. */
    void (*ending[AD_RECORD_HOOKS])(struct ad_proxy *p);
    uint64_t count; /* of requests that ended */
    struct ad_record ring[AIDASH_RECORDS]; /* number n at n % AIDASH_RECORDS */
} ad_records;

/* ---- pieces of events ---- */

/* A member with a number, unless the number is negative: not known. */
static void ad_put_known(struct ad_text *t, const char *name, double value)
{
    if (value >= 0) {
        ad_putf(t, ",\"%s\":", name);
        ad_put_fixed(t, value, 3);
    }
}

static void ad_put_count(struct ad_text *t, const char *name, uint64_t value)
{
    ad_putf(t, ",\"%s\":%llu", name, (unsigned long long)value);
}

/* The members with which each event about a request begins. */
static void ad_put_proxy(struct ad_text *t, const struct ad_proxy *p,
                         const char *event, uint64_t seq, const char *status)
{
    ad_putf(t, "{\"event\":\"%s\",\"seq\":%llu,\"id\":%llu,\"model\":", event,
            (unsigned long long)seq, (unsigned long long)p->id);
    ad_put_string(t, p->name[0] != '\0' ? p->name : p->request.model);
    ad_puts(t, ",\"route\":");
    ad_put_string(t, p->request.route);
    ad_puts(t, ",\"client\":");
    ad_put_string(t, p->request.client);
    ad_puts(t, ",\"status\":");
    ad_put_string(t, status);
    if (p->request.bench) {
        ad_puts(t, ",\"bench\":true");
    }
}

/* Arrival time. Members that came to the contract later are behind it. */
static void ad_put_proxy_time(struct ad_text *t, const struct ad_proxy *p)
{
    ad_puts(t, ",\"timestamp\":");
    ad_put_decimal(t, p->start_us, 6);
}

static void ad_put_text(struct ad_text *t, const char *name, const char *text)
{
    ad_putf(t, ",\"%s\":", name);
    ad_put_string(t, text);
}

/* ---- the beginning, the way ---- */

static void ad_proxy_report_start(struct ad_proxy *p)
{
    bool queued = p->turn == AD_TURN_QUEUED;
    char json[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    p->told_seq = ad_feed.next;
    ad_put_proxy(&t, p, "request_start", p->told_seq,
                 queued ? "queued" : "running");
    if (queued) {
        ad_put_count(&t, "place", ad_queue_place(p));
    }
    ad_put_proxy_time(&t, p);
    ad_puts(&t, "}");
    ad_event_append(AD_EV_REQUEST_START, &t);
}

/* From its arrival to the first token; -1: there is none, or it is not known. */
static double ad_proxy_ttft_ms(const struct ad_proxy *p)
{
    return ad_ms(p->arrived_ns, p->first_ns);
}

/* Tokens a second from the first read that brought some to until_ns, or -1. That
 * read's own tokens have no time. */
static double ad_proxy_rate(const struct ad_proxy *p, uint64_t until_ns)
{
    double ms = ad_ms(p->first_ns, until_ns);

    return ms > 0 && p->counted > p->first_counted
               ? (double)(p->counted - p->first_counted) * 1000 / ms
               : -1;
}

/* A request that is not over, as the latest event told it and as GET /requests
 * shows it. */
static void ad_put_running(struct ad_text *t, const struct ad_proxy *p)
{
    const struct ad_scan *s = &p->scan;
    bool queued = p->turn == AD_TURN_QUEUED || p->turn == AD_TURN_UPLOAD;
    uint64_t until_ns = ad_hub.now_ns > p->last_ns ? ad_hub.now_ns : p->last_ns;

    ad_put_proxy(t, p, "request", p->told_seq, queued ? "queued" : "running");
    if (s->has_prompt || s->has_progress) {
        ad_put_count(t, "prompt_tokens",
                     s->has_prompt ? s->prompt_tokens : s->progress_total);
    }
    if (s->has_progress && p->first_ns == 0) {
        ad_put_count(t, "prompt_processed", s->progress_done);
    }
    if (p->counted > 0) {
        ad_put_count(t, "completion_tokens", p->counted);
        ad_puts(t, ",\"estimated\":true");
    }
    ad_put_known(t, "ttft_ms", ad_proxy_ttft_ms(p));
    ad_put_proxy_time(t, p);
    ad_put_known(t, "tokens_per_second", ad_proxy_rate(p, until_ns));
    ad_put_facts_running(t, p);
    ad_puts(t, "}");
}

/* Tell all viewers how far it is. */
static void ad_proxy_report_running(struct ad_proxy *p)
{
    char json[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    p->told_seq = ad_feed.next;
    p->told_ms = ad_hub.now_ms;
    ad_put_running(&t, p);
    ad_event_append(AD_EV_REQUEST, &t);
}

/* The same, if it streams its answer and that was told AD_RUNNING_MS ago. Called
 * when it has tokens, so that requests take turns; and once a second. */
static void ad_proxy_report_due(struct ad_proxy *p)
{
    if (p->first_ns != 0 && p->state == AD_PROXY_RUN && p->request.metered &&
        ad_hub.now_ms - p->told_ms >= AD_RUNNING_MS) {
        ad_proxy_report_running(p);
    }
}

/* How far the model's loading is, or how much of the prompt the engine has read, if
 * it streams that: at most ten times a second. */
static void ad_proxy_report_progress(struct ad_proxy *p)
{
    uint64_t step = ad_facts_step(p);

    if (step != p->progress && p->request.metered &&
        ad_hub.now_ms - p->told_ms >= AD_PROGRESS_MS) {
        p->progress = step;
        ad_proxy_report_running(p);
    }
}

/* ---- the end ---- */

/* Time in which a request waited for its turn. Its time to the first token tells
 * the engine's own queue only if all else in it is known. */
static double ad_proxy_queue_ms(const struct ad_proxy *p, double ttft_ms,
                                uint64_t now_ns)
{
    const struct ad_scan *s = &p->scan;
    double own_ms = -1, ms;

    if (p->waited) {
        own_ms = ad_ms(p->arrived_ns, p->begun_ns != 0 ? p->begun_ns : now_ns);
    }
    if (s->has_queue) {
        return (own_ms > 0 ? own_ms : 0) + s->queue_ms;
    }
    if (!s->has_timings || ttft_ms < 0) {
        return own_ms;
    }
    ms = ttft_ms - s->load_ms - s->prompt_ms;
    own_ms = own_ms > 0 ? own_ms : 0;
    return ms > own_ms ? ms : own_ms;
}

/* The thinking's share of the answer: the engine's counts, else that of its
 * events in the stream. */
static double ad_proxy_thinking(const struct ad_scan *s, uint64_t tokens)
{
    if (s->has_reasoning && tokens >= s->reasoning_tokens && tokens > 0) {
        return (double)s->reasoning_tokens / (double)tokens;
    }
    return s->thinking_events == 0 ? -1
                                   : (double)s->thinking_events /
                                         (double)s->token_events;
}

/* The tokens of the answer, as far as they are known. *estimated: the engine did not
 * tell the number, or not all of its answer was understood. */
static uint64_t ad_proxy_tokens(const struct ad_proxy *p, bool *estimated)
{
    uint64_t tokens = ad_scan_tokens(&p->scan, estimated);

    *estimated = *estimated || p->scan.incomplete != 0;
    return tokens;
}

/* Rates and times are the engine's where it tells them, else by our own clock. Of
 * `counted` token events, those of the first read have no time: so their share of
 * the tokens has none. */
static struct ad_proxy_figures ad_proxy_figures_of(const struct ad_proxy *p)
{
    const struct ad_scan *s = &p->scan;
    struct ad_proxy_figures f = {0, false, -1, -1, -1, -1, -1, -1,
                                 -1, -1, -1, -1, -1, -1};
    uint64_t now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    double rate = ad_proxy_rate(p, p->last_ns);

    f.tokens = ad_proxy_tokens(p, &f.estimated);
    f.duration_ms = ad_ms(p->start_ns, now_ns);
    f.engine_ms = ad_ms(p->sent_ns, now_ns);
    f.ttft_ms = ad_proxy_ttft_ms(p);
    f.queue_ms = ad_proxy_queue_ms(p, f.ttft_ms, now_ns);
    f.load_ms = s->load_ms > 0 ? s->load_ms : -1;
    f.prefill_ms = s->prompt_ms > 0 ? s->prompt_ms : -1;
    f.think_ms = ad_ms(p->first_ns, p->thought_ns);
    f.thinking = ad_proxy_thinking(s, f.tokens);
    f.prefill_per_s = s->prompt_per_s > 0 ? s->prompt_per_s : -1;
    if (s->predicted_ms > 0) {
        f.decode_ms = s->predicted_ms;
    } else if (p->last_ns > p->first_ns) {
        f.decode_ms = ad_ms(p->first_ns, p->last_ns);
    }
    if (s->predicted_per_s > 0) {
        f.decode_per_s = s->predicted_per_s;
    } else if (rate > 0 && f.tokens > 1) {
        f.decode_per_s = rate * (double)f.tokens / (double)p->counted;
    }
    if (p->counted == 0 && f.tokens > 0 && f.engine_ms > 0) {
        f.whole_per_s = (double)f.tokens * 1000 / f.engine_ms;
    }
    return f;
}

static void ad_put_itl(struct ad_text *t, const struct ad_histogram *itl)
{
    if (itl->n > 0) {
        ad_put_known(t, "itl_p50_ms", (double)ad_histogram_percentile(itl, 50) / 1000);
        ad_put_known(t, "itl_p95_ms", (double)ad_histogram_percentile(itl, 95) / 1000);
        ad_put_known(t, "itl_max_ms", (double)itl->max_us / 1000);
    }
}

/* Why a request did not finish: who ended it, with which status and sentence. */
static void ad_put_ending(struct ad_text *t, const struct ad_proxy *p,
                          const char *status)
{
    static const char *const who[] = {"engine", "client", "viewer", "aidash"};
    unsigned by = p->ended_by;

    if (p->scan.status != 0) {
        ad_put_count(t, "http_status", p->scan.status);
    }
    if (strcmp(status, "finished") != 0) {
        by = strcmp(status, "left") == 0 ? AD_ENDED_BY_CLIENT : by;
        ad_put_text(t, "ended_by", who[by]);
    }
    if (p->scan.error_kept) {
        ad_put_text(t, "error", p->scan.error);
    }
}

/* How far the counts can be trusted, and why no further. */
static void ad_put_counts(struct ad_text *t, const struct ad_scan *s,
                          const struct ad_proxy_figures *f)
{
    const char *counts = "exact", *why = "not_told";

    if (f->tokens == 0 && !s->has_prompt) {
        counts = "none";
    } else if (f->estimated) {
        counts = "estimated";
    }
    if ((s->incomplete & AD_INCOMPLETE_COMPRESSED) != 0) {
        why = "compressed";
    } else if ((s->incomplete & AD_INCOMPLETE_FRAMING) != 0) {
        why = "invalid_http";
    } else if ((s->incomplete & AD_INCOMPLETE_DEPTH) != 0) {
        why = "nested_too_deep";
    } else if (s->incomplete != 0) {
        why = "invalid_json";
    } else if (s->partial) {
        why = "one_choice";
    }
    ad_put_text(t, "counts", counts);
    if (counts[0] != 'e' || counts[1] != 'x') {
        ad_put_text(t, "counts_reason", why);
    }
}

/* What the engine told besides. */
static void ad_put_told(struct ad_text *t, const struct ad_scan *s,
                        const struct ad_proxy_figures *f)
{
    if (s->has_prompt && s->told_write != 0) {
        ad_put_count(t, "cache_write_tokens", s->told_write);
    }
    if (s->has_reasoning) {
        ad_put_count(t, "reasoning_tokens", s->reasoning_tokens);
    }
    ad_put_known(t, "thinking_share", f->thinking);
    if (s->draft_tokens > 0) {
        ad_put_count(t, "draft_tokens", s->draft_tokens);
        ad_put_count(t, "draft_accepted_tokens", s->draft_accepted);
    }
    ad_put_known(t, "prefill_ms", f->prefill_ms);
    ad_put_known(t, "think_ms", f->think_ms);
    ad_put_known(t, "decode_ms", f->decode_ms);
    ad_put_known(t, "tokens_per_second", f->whole_per_s);
    if (s->has_audio && s->audio_ms > 0) {
        ad_put_known(t, "audio_s", s->audio_ms / 1000);
        ad_put_known(t, "real_time_factor",
                     f->engine_ms >= 0 ? f->engine_ms / s->audio_ms : -1);
    }
}

/* The event of a request that is over. */
static void ad_put_record(struct ad_text *t, const struct ad_proxy *p,
                          const char *status)
{
    const struct ad_scan *s = &p->scan;
    struct ad_proxy_figures f = ad_proxy_figures_of(p);
    const char *operation = ad_operation_of(p->request.route);

    ad_put_proxy(t, p, "request", ad_feed.next, status);
    if (s->has_prompt) {
        ad_put_count(t, "prompt_tokens", s->prompt_tokens);
    }
    if (f.tokens > 0 || (s->ended && s->dialect != NULL && !s->failed)) {
        ad_put_count(t, "completion_tokens", f.tokens);
    }
    if (s->has_cached) {
        ad_put_count(t, "cached_tokens", s->cached_tokens);
    }
    ad_put_known(t, "ttft_ms", f.ttft_ms);
    ad_put_known(t, "queue_ms", f.queue_ms);
    ad_put_known(t, "prefill_tokens_per_second", f.prefill_per_s);
    ad_put_known(t, "decode_tokens_per_second", f.decode_per_s);
    ad_put_itl(t, &p->itl);
    ad_put_known(t, "duration_ms", f.duration_ms);
    if (s->finish[0] != '\0' &&
        ad_utf8_ok((const uint8_t *)s->finish, strlen(s->finish))) {
        ad_put_text(t, "finish_reason", s->finish);
    }
    if (f.estimated) {
        ad_puts(t, ",\"estimated\":true");
    }
    if (p->answer.status == 101) {
        ad_put_count(t, "bytes_received", p->uploaded);
        ad_put_count(t, "bytes_sent", p->passed);
    }
    ad_put_proxy_time(t, p);
    if (operation != NULL) {
        ad_put_text(t, "operation", operation);
    }
    if (s->dialect != NULL) {
        ad_put_text(t, "dialect", s->dialect);
    }
    ad_put_ending(t, p, status);
    ad_put_counts(t, s, &f);
    ad_put_told(t, s, &f);
    ad_put_facts_ended(t, p);
    if (p->request.who.named) {
        ad_put_text(t, "key", p->request.who.key);
    }
    if (p->joules_s > 0 && !p->joules_unknown) {
        ad_put_known(t, "joules", p->joules);
    }
    if (p->slow != NULL) {
        ad_put_text(t, "slow", p->slow);
    }
    ad_puts(t, "}");
}

/* Add a request that is over to what its client has used. */
static void ad_proxy_add_usage(const struct ad_proxy *p, const char *status)
{
    struct ad_totals_time now = ad_totals_now();
    struct ad_usage u = {{0}};
    bool estimated;
    uint64_t tokens = ad_proxy_tokens(p, &estimated);

    u.n[AD_USAGE_REQUESTS] = 1;
    u.n[AD_USAGE_ERRORS] = strcmp(status, "failed") == 0 ||
                           strcmp(status, "cut") == 0;
    u.n[AD_USAGE_REFUSED] = strcmp(status, "refused") == 0;
    u.n[AD_USAGE_PROMPT] = p->scan.prompt_tokens;
    u.n[AD_USAGE_CACHED] = p->scan.cached_tokens;
    u.n[estimated ? AD_USAGE_ESTIMATED : AD_USAGE_COMPLETION] = tokens;
    u.n[AD_USAGE_US] = (ad_clock_ns(CLOCK_MONOTONIC) - p->start_ns) / 1000;
    ad_totals_add(&now, &p->request.who, p->name, &u);
    if (!p->request.bench) {
        ad_quota_charge(&now, &p->request.who, ad_usage_tokens(&u));
    }
}

#if AIDASH_METRICS || AIDASH_HISTORY

/* Is there such a model at the engine of a request that is over, as far as is known? A
 * client may ask for any name. */
static bool ad_proxy_has_model(const struct ad_proxy *p, const char *model,
                               const char *status)
{
    const struct ad_upstream_state *e = &ad_upstreams.state[p->upstream];

    return ad_upstream_find(e, model, false) < e->n_models ||
           (strcmp(status, "finished") == 0 && p->scan.dialect != NULL);
}

#endif

#if AIDASH_METRICS

/* Count a request that is over. One that did not wait in aidash's queue was there for no
 * time; a WebSocket has a duration of its own kind. */
static void ad_proxy_measure(const struct ad_proxy *p, const char *status)
{
    const struct ad_scan *s = &p->scan;
    struct ad_proxy_figures f = ad_proxy_figures_of(p);
    double decode_ms = s->predicted_ms > 0 ? s->predicted_ms
                                           : ad_ms(p->first_ns, p->last_ns);
    struct ad_measured m;
    unsigned outcome = 0;

    while (outcome + 1 < AD_OUTCOMES && strcmp(status, ad_outcome_names[outcome]) != 0) {
        outcome++;
    }
    memset(&m, 0, sizeof(m));
    m.model = p->name;
    m.known = ad_proxy_has_model(p, p->name, status);
    m.operation = ad_operation_of(p->request.route);
    m.outcome = (enum ad_measure_outcome)outcome;
    m.ttft_s = f.ttft_ms / 1000;
    m.token_s = outcome == AD_OUTCOME_FINISHED && f.tokens > 1 && decode_ms > 0
                    ? decode_ms / 1000 / (double)(f.tokens - 1)
                    : -1;
    m.duration_s = p->answer.status == 101 ? -1 : f.duration_ms / 1000;
    m.queue_s = f.queue_ms < 0 && p->begun_ns != 0 ? 0 : f.queue_ms / 1000;
    m.has_prompt = s->has_prompt;
    m.prompt = s->prompt_tokens;
    m.has_cached = s->has_cached;
    m.cached = s->cached_tokens;
    m.has_completion = f.tokens > 0;
    m.completion = f.tokens;
    ad_measure_request(&m);
}

#endif

/* Report that a request is over, and keep its record for GET /requests. */
static void ad_proxy_report_end(struct ad_proxy *p, const char *status)
{
    char json[AD_RECORD_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));
    struct ad_record *record = &ad_records.ring[ad_records.count++ % AIDASH_RECORDS];
    unsigned i;

    for (i = 0; i < AD_RECORD_HOOKS && ad_records.ending[i] != NULL; i++) {
        ad_records.ending[i](p);
    }
    ad_put_record(&t, p, status);
    ad_event_append(AD_EV_REQUEST, &t);
    record->len = (uint16_t)t.len;
    memcpy(record->json, t.at, t.len);
    ad_proxy_add_usage(p, status);
#if AIDASH_METRICS
    ad_proxy_measure(p, status);
#endif
    if (ad_records.ended != NULL) {
        ad_records.ended(p, status);
    }
    if (ad_records.observers[0] != NULL) {
        struct ad_proxy_figures figures = ad_proxy_figures_of(p);

        for (i = 0; i < AD_RECORD_OBSERVERS && ad_records.observers[i] != NULL; i++) {
            ad_records.observers[i](p, status, &figures);
        }
    }
}

/* Tell this function of each request that ends. While starting. */
static void ad_reports_observe(ad_record_observer *observer)
{
    unsigned i = 0;

    while (i + 1 < AD_RECORD_OBSERVERS && ad_records.observers[i] != NULL) {
        i++;
    }
    ad_records.observers[i] = observer;
}

/* ---- ticks ---- */

/* Name the request's model: the one that its answer names first, to the end;
 * else the one that was asked for. Ollama calls a model as the request does, with
 * or without the tag that its list has: that is one model, by the list's name. */
static void ad_proxy_name_model(struct ad_proxy *p)
{
    const struct ad_upstream_state *e = &ad_upstreams.state[p->upstream];
    const char *name = ad_facts_name(p);
    unsigned i;

    if (p->name[0] != '\0') {
        return;
    }
    if (ad_upstream_find(e, name, false) == e->n_models) {
        i = ad_upstream_find(e, name, true);
        name = name[0] != '\0' && i < e->n_models ? e->models[i] : name;
    }
    (void)snprintf(p->name, sizeof(p->name), "%s", name);
}

/* The model that a request's ticks count for. It answers, so it is the one that
 * viewers are shown. */
static void ad_proxy_model(struct ad_proxy *p, char out[AIDASH_MODEL_MAX + 1])
{
    if (p->name[0] == '\0') {
        ad_proxy_name_model(p);
        ad_engine_show(p->name);
    }
    memcpy(out, p->name, sizeof(p->name));
}

/* The thinking of an answer that begins with it ends with the first other text. */
static void ad_proxy_think(struct ad_proxy *p, uint64_t now_ns)
{
    const struct ad_scan *s = &p->scan;

    if (s->thinking_events > 0 && !p->answers) {
        p->thought_ns = now_ns;
        p->answers = s->token_events > s->thinking_events;
    }
}

/* Ticks for the token events that one read completed. Those of the first read
 * share the time to it. */
static void ad_proxy_ticks(struct ad_proxy *p, uint32_t events, uint64_t now_ns)
{
    struct ad_sample sample;
    bool first = p->first_ns == 0;
    uint64_t before_ns = first ? p->arrived_ns : p->last_ns;
    uint64_t gap_ns = now_ns > before_ns ? now_ns - before_ns : 0;
    uint32_t i;

    if (first) {
        p->first_ns = now_ns;
        p->first_counted = events;
    } else {
        ad_histogram_add(&p->itl, gap_ns / 1000, events);
    }
    p->last_ns = now_ns;
    memset(&sample, 0, sizeof(sample));
    ad_proxy_model(p, sample.model);
    sample.tokens = 1;
    sample.latency_ms = (double)gap_ns / (double)AD_NS_PER_MS / events;
    sample.has = AD_HAS_TOKENS | AD_HAS_LATENCY | AD_IS_METERED;
    if (first) {
        sample.has |= AD_IS_FIRST;
    }
    for (i = 0; i < events; i++) {
        if (p->counted++ == 0) {
            sample.has |= AD_IS_BEGUN;
        }
        ad_tick_apply_of(&sample, p->id, now_ns);
        sample.has &= ~(unsigned)AD_IS_BEGUN;
    }
    ad_proxy_think(p, now_ns);
    if (first) {
        ad_proxy_report_running(p);
    } else {
        ad_proxy_report_due(p);
    }
}

/* The request is over: the engine's own count replaces the estimate. */
static void ad_proxy_reconcile(struct ad_proxy *p)
{
    struct ad_sample sample;
    bool estimated;
    uint64_t now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    uint64_t tokens = ad_scan_tokens(&p->scan, &estimated);
    double span_ms = p->scan.predicted_ms > 0 ? p->scan.predicted_ms
                                              : ad_ms(p->first_ns, p->last_ns);

    if (tokens == 0 && p->counted == 0) {
        return;
    }
    memset(&sample, 0, sizeof(sample));
    ad_proxy_model(p, sample.model);
    if (tokens > p->counted) {
        sample.tokens = tokens - p->counted;
    } else {
        sample.overcount = p->counted - tokens;
    }
    sample.has = AD_HAS_TOKENS | AD_HAS_LATENCY | AD_IS_METERED;
    if (p->counted == 0) { /* an answer that came whole: all of it is one step */
        sample.latency_ms = ad_ms(p->sent_ns, now_ns);
        sample.has |= AD_IS_FIRST;
    } else if (tokens > 1 && span_ms > 0) {
        sample.latency_ms = span_ms / (double)(tokens - 1);
        sample.has |= AD_IS_LAST;
    } else {
        sample.has |= AD_IS_LAST | AD_IS_FIRST;
    }
    ad_tick_apply_of(&sample, p->id, now_ns);
}

/* How a request ended. `whole`: its answer has all that its framing announced. One
 * of an API that is known has that API's own end mark, too. */
static const char *ad_proxy_outcome(const struct ad_proxy *p, bool whole)
{
    const struct ad_scan *s = &p->scan;
    unsigned status = p->answer.status;

    if (status >= 400 && status < 500) {
        return "refused";
    }
    if (status >= 500 || s->failed) {
        return "failed";
    }
    return whole && (s->dialect == NULL || s->ended) ? "finished" : "cut";
}

/* Call this with each request that ends, before its record is written. While
 * starting. */
static void ad_records_add_hook(void (*hook)(struct ad_proxy *p))
{
    unsigned i = 0;

    while (i + 1 < AD_RECORD_HOOKS && ad_records.ending[i] != NULL) {
        i++;
    }
    ad_records.ending[i] = hook;
}

/* Before each run. */
static void ad_reports_init(void)
{
    ad_records.count = 0;
    ad_records.ended = NULL;
    memset(ad_records.observers, 0, sizeof(ad_records.observers));
    memset(ad_records.ending, 0, sizeof(ad_records.ending));
}

AD_MEMORY(records, AIDASH_RECORDS, sizeof(ad_records));

#endif /* AIDASH_METER */

#endif
