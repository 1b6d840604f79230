/* reports.c - what viewers learn of proxied requests: events, ticks, records.
 * Owns ad_records. Hub thread only.
 */
#ifndef AD_METER_REPORTS_C
#define AD_METER_REPORTS_C

#include "../core/ticks.c"
#include "requests.c"

#if AIDASH_METER

enum {
    AD_RECORD_MAX = 960 + AD_MODEL_JSON_MAX, /* bytes of a request's record */
    AD_PROGRESS_MS = 100 /* between events about a prompt's reading */
};

/* How a request went: its last event. */
struct ad_record {
    uint16_t len;
    char json[AD_RECORD_MAX];
};

static struct {
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
}

/* Arrival time: the last member of each event about a request. */
static void ad_put_proxy_time(struct ad_text *t, const struct ad_proxy *p)
{
    ad_puts(t, ",\"timestamp\":");
    ad_put_decimal(t, p->start_us, 6);
    ad_puts(t, "}");
}

/* ---- the beginning, the way ---- */

static void ad_proxy_report_start(struct ad_proxy *p)
{
    bool queued = p->turn == AD_TURN_QUEUED;
    char json[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    p->start_seq = ad_feed.next;
    ad_put_proxy(&t, p, "request_start", p->start_seq,
                 queued ? "queued" : "running");
    if (queued) {
        ad_put_count(&t, "place", ad_queue_place(p));
    }
    ad_put_proxy_time(&t, p);
    ad_event_append(AD_EV_REQUEST_START, &t);
}

/* A request that is not over, as GET /requests shows it. */
static void ad_put_running(struct ad_text *t, const struct ad_proxy *p)
{
    bool queued = p->turn == AD_TURN_QUEUED || p->turn == AD_TURN_UPLOAD;

    ad_put_proxy(t, p, "request", p->start_seq, queued ? "queued" : "running");
    if (p->counted > 0) {
        ad_put_count(t, "completion_tokens", p->counted);
        ad_puts(t, ",\"estimated\":true");
    }
    ad_put_known(t, "ttft_ms", ad_ms(p->sent_ns, p->first_ns));
    ad_put_proxy_time(t, p);
}

/* How much of the prompt the engine has read, if it streams that: at most ten
 * times a second. */
static void ad_proxy_report_progress(struct ad_proxy *p)
{
    char json[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    if (p->scan.progress_done == p->progress ||
        ad_hub.now_ms - p->progress_ms < AD_PROGRESS_MS) {
        return;
    }
    p->progress = p->scan.progress_done;
    p->progress_ms = ad_hub.now_ms;
    ad_put_proxy(&t, p, "request", ad_feed.next, "running");
    ad_put_count(&t, "prompt_tokens", p->scan.progress_total);
    ad_put_count(&t, "prompt_processed", p->scan.progress_done);
    ad_put_proxy_time(&t, p);
    ad_event_append(AD_EV_REQUEST, &t);
}

/* ---- the end ---- */

/* How fast a request was. Times in milliseconds; -1: not known. */
struct ad_proxy_figures {
    uint64_t tokens;
    bool estimated;
    double ttft_ms;    /* from the request's last byte to the first token */
    double queue_ms;   /* of that, waiting in the engine's own queue */
    double prefill_per_s, decode_per_s; /* tokens a second */
    double duration_ms; /* from its arrival to now */
};

/* Rates come from the engine where it has them, else from our own clock: n
 * tokens have n - 1 gaps between them. */
static struct ad_proxy_figures ad_proxy_figures_of(const struct ad_proxy *p)
{
    const struct ad_scan *s = &p->scan;
    struct ad_proxy_figures f = {0, false, -1, -1, -1, -1, -1};
    double decode_ms = ad_ms(p->first_ns, p->last_ns);
    uint64_t fresh = s->prompt_tokens - s->cached_tokens;

    f.tokens = ad_scan_tokens(s, &f.estimated);
    f.duration_ms = ad_ms(p->start_ns, ad_clock_ns(CLOCK_MONOTONIC));
    if (s->form != AD_FORM_JSON) {
        f.ttft_ms = ad_ms(p->sent_ns, p->first_ns);
    }
    if (s->has_timings && f.ttft_ms >= 0) {
        f.queue_ms = f.ttft_ms - s->load_ms - s->prompt_ms;
        if (f.queue_ms < 0) {
            f.queue_ms = 0;
        }
    }
    if (s->prompt_ms > 0) {
        f.prefill_per_s = (double)fresh * 1000 / s->prompt_ms;
    }
    if (s->predicted_per_s > 0) {
        f.decode_per_s = s->predicted_per_s;
    } else if (f.tokens > 1 && decode_ms > 0) {
        f.decode_per_s = (double)(f.tokens - 1) * 1000 / decode_ms;
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

/* The event of a request that is over. */
static void ad_put_record(struct ad_text *t, const struct ad_proxy *p,
                          const char *status)
{
    const struct ad_scan *s = &p->scan;
    struct ad_proxy_figures f = ad_proxy_figures_of(p);

    ad_put_proxy(t, p, "request", ad_feed.next, status);
    if (s->has_prompt) {
        ad_put_count(t, "prompt_tokens", s->prompt_tokens);
    }
    if (f.tokens > 0 || s->ended) {
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
        ad_puts(t, ",\"finish_reason\":");
        ad_put_string(t, s->finish);
    }
    if (f.estimated || s->incomplete != 0) {
        ad_puts(t, ",\"estimated\":true");
    }
    ad_put_proxy_time(t, p);
}

/* Report that a request is over, and keep its record for GET /requests. */
static void ad_proxy_report_end(const struct ad_proxy *p, const char *status)
{
    char json[AD_RECORD_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));
    struct ad_record *record = &ad_records.ring[ad_records.count++ % AIDASH_RECORDS];

    ad_put_record(&t, p, status);
    ad_event_append(AD_EV_REQUEST, &t);
    record->len = (uint16_t)t.len;
    memcpy(record->json, t.at, t.len);
}

/* ---- ticks ---- */

/* Name the request's model: the one that its answer names first, to the end;
 * else the one that was asked for. */
static void ad_proxy_name_model(struct ad_proxy *p)
{
    const char *name = p->scan.model;

    if (p->name[0] == '\0') {
        if (!ad_name_ok(name, strlen(name), AIDASH_MODEL_MAX)) {
            name = p->request.model;
        }
        (void)snprintf(p->name, sizeof(p->name), "%s", name);
    }
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

/* Ticks for the token events that one read completed. */
static void ad_proxy_ticks(struct ad_proxy *p, uint32_t events, uint64_t now_ns)
{
    struct ad_sample sample;
    uint64_t before_ns = p->first_ns == 0 ? p->sent_ns : p->last_ns;
    uint64_t gap_ns = now_ns - before_ns;
    uint32_t i;

    if (p->first_ns == 0) {
        p->first_ns = now_ns;
    } else {
        ad_histogram_add(&p->itl, gap_ns / 1000, events);
    }
    p->last_ns = now_ns;
    memset(&sample, 0, sizeof(sample));
    ad_proxy_model(p, sample.model);
    sample.tokens = 1;
    sample.latency_ms = (double)gap_ns / (double)AD_NS_PER_MS / events;
    sample.has = AD_HAS_TOKENS | AD_HAS_LATENCY | AD_IS_METERED;
    for (i = 0; i < events; i++) {
        if (p->counted++ == 0) {
            sample.has |= AD_IS_FIRST;
        }
        ad_tick_apply(&sample, now_ns);
        sample.has &= ~(unsigned)AD_IS_FIRST;
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
    } else {
        sample.has |= AD_IS_LAST;
        if (tokens > 1 && span_ms > 0) {
            sample.latency_ms = span_ms / (double)(tokens - 1);
        }
    }
    ad_tick_apply(&sample, now_ns);
}

/* How a request ended whose answer came whole. */
static const char *ad_proxy_outcome(const struct ad_proxy *p)
{
    unsigned status = p->answer.status;

    if (status >= 400 && status < 500) {
        return "refused";
    }
    return status >= 500 || p->scan.failed ? "failed" : "finished";
}

/* Before each run. */
static void ad_reports_init(void)
{
    ad_records.count = 0;
}

AD_MEMORY(records, AIDASH_RECORDS, sizeof(ad_records) + sizeof(ad_proxying));

#endif /* AIDASH_METER */

#endif
