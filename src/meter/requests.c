/* requests.c - proxied requests: their state, and what viewers are told of them.
 * Owns ad_proxies, ad_proxy_buffers, ad_rewrites, ad_records, ad_proxying. Hub
 * thread only.
 */
#ifndef AD_METER_REQUESTS_C
#define AD_METER_REQUESTS_C

#include "../base/histogram.c"
#include "../codec/answer.c"
#include "../codec/llm_model.c"
#include "../codec/llm_scan.c"
#include "../codec/http_head.c"
#include "../core/accept.c"
#include "../core/ticks.c"
#include "upstreams.c"

#if AIDASH_METER

enum {
    AD_PROXY_HEAD_MAX = 16384,    /* bytes of an answer's heads */
    AD_PROXY_REQUEST_MAX = 16384, /* bytes of a request on their way at once */
    AD_PROXY_PREAMBLE_MAX = AD_HTTP_TARGET_MAX + 1024, /* line, Host, key */
    AD_RECORD_MAX = 960 + AD_MODEL_JSON_MAX, /* bytes of a request's record */
    AD_PROGRESS_MS = 100 /* between events about a prompt's reading */
};

enum ad_proxy_state {
    AD_PROXY_FREE,
    AD_PROXY_QUEUED,  /* in line: the client's bytes wait in the kernel */
    AD_PROXY_BUFFER_BODY,  /* its body is read whole, to be edited */
    AD_PROXY_CONNECT, /* to the engine */
    AD_PROXY_RUN,     /* bytes pass */
    AD_PROXY_ENDING   /* the engine is closed; the client takes the rest */
};
enum { AD_NO_REWRITE = 255 };

/* A proxied request. [h] */
struct ad_proxy {
    uint8_t state; /* enum ad_proxy_state */
    uint8_t client_events, upstream_events;
    uint8_t upstream, address; /* which engine, its next address to try */
    uint8_t rewrite;              /* its edit buffer, or AD_NO_REWRITE */
    bool metered;        /* it has a body: the line, the limit and pause are for it */
    bool head;        /* the method is HEAD */
    bool expects;     /* Expect: 100-continue */
    bool has_auth;    /* it brings its own Authorization */
    bool keep_alive;       /* the client's connection outlives this answer */
    bool reads_client;
    bool head_passed; /* the answer's head went to the client */
    int client_fd, upstream_fd; /* -1: closed */
    uint64_t peer_address;        /* of the client */
    struct sockaddr_storage peer; /* likewise */
    uint64_t id;
    uint64_t start_ns, start_us; /* it came in */
    uint64_t sent_ns;            /* the engine had all of it; 0: not yet */
    uint64_t first_ns, last_ns;  /* reads that completed tokens */
    uint64_t start_seq;          /* event that told its start */
    uint64_t counted;            /* tokens in ticks */
    uint64_t progress;           /* of the prompt, as told to the viewers */
    uint32_t progress_ms;
    uint32_t heard_ms, moved_ms, ending_ms; /* engine, client, end */
    uint32_t head_len, framing_len, rest_len; /* of the request, see ad_proxy */
    uint32_t gathered;           /* bytes of a body or head held back */
    uint32_t interim_len;        /* bytes of interim heads that were passed */
    uint32_t to_upstream_at, to_upstream_len, to_client_at, to_client_len;
    uint8_t *to_upstream;
    struct ad_body body; /* framing of the request's body */
    char framing[64];
    char route[64], client[48];
    char model[AIDASH_MODEL_MAX + 1]; /* as asked for, "": not known */
    char name[AIDASH_MODEL_MAX + 1];  /* that its ticks count for */
    struct ad_scan scan;
    struct ad_histogram itl;
};

struct ad_proxy_buffers {
    char method[AD_HTTP_METHOD_MAX + 1], target[AD_HTTP_TARGET_MAX + 1];
    uint8_t to_upstream[AD_PROXY_PREAMBLE_MAX + AIDASH_HEAD_MAX + 64 + 2 * AD_PROXY_REQUEST_MAX];
    uint8_t to_client[AD_PROXY_HEAD_MAX + 64 + AD_SCRATCH];
};

/* The head's end touches the body's beginning: they are sent as one. */
struct ad_rewrite_buffer {
    uint8_t head[AD_PROXY_PREAMBLE_MAX + AIDASH_HEAD_MAX + 64];
    uint8_t body[AD_REWRITE_MAX + AD_SCRATCH]; /* more than a longer name needs */
};

/* How a request went, as its event told it. [h] */
struct ad_record {
    uint16_t len;
    char json[AD_RECORD_MAX];
};

static struct ad_proxy ad_proxies[AIDASH_FLOWS];
static struct ad_proxy_buffers ad_proxy_buffers[AIDASH_FLOWS];
static struct ad_rewrite_buffer ad_rewrites[AIDASH_EDITS];
static bool ad_rewrite_used[AIDASH_EDITS];

static struct {
    uint64_t count; /* of requests that ended */
    struct ad_record ring[AIDASH_RECORDS]; /* number n at n % count */
} ad_records;

static struct {
    unsigned max_inflight, queue;                  /* [I] */
    double queue_timeout_ms, upstream_timeout_ms;  /* [I] 0: none */
    unsigned n, n_running, n_queued;
    bool draining; /* the end of the running ones is to be reported */
    uint64_t last_id, refused;
} ad_proxying;

/* An error in the shape of the API that was asked. */
static void ad_put_api_error(struct ad_text *t, bool ollama, int status,
                             const char *type, const char *why)
{
    ad_puts(t, ollama ? "{\"error\":" : "{\"error\":{\"message\":");
    ad_put_string(t, why);
    if (!ollama) {
        ad_putf(t, ",\"type\":\"%s\",\"param\":null,\"code\":%d}", type,
                status);
    }
    ad_puts(t, "}");
}

static struct ad_proxy_buffers *ad_proxy_buffers_of(const struct ad_proxy *f)
{
    return &ad_proxy_buffers[f - ad_proxies];
}

static bool ad_proxy_ollama(const struct ad_proxy *f)
{
    return strncmp(f->route, "/api/", 5) == 0;
}

static void ad_put_field(struct ad_text *t, const char *name, double value)
{
    if (value >= 0) {
        ad_putf(t, ",\"%s\":", name);
        ad_put_fixed(t, value, 3);
    }
}

static void ad_put_proxy(struct ad_text *t, const struct ad_proxy *f,
                        const char *event, uint64_t seq, const char *status)
{
    ad_putf(t, "{\"event\":\"%s\",\"seq\":%llu,\"id\":%llu,\"model\":", event,
            (unsigned long long)seq, (unsigned long long)f->id);
    ad_put_string(t, f->name[0] != '\0' ? f->name : f->model);
    ad_puts(t, ",\"route\":");
    ad_put_string(t, f->route);
    ad_puts(t, ",\"client\":");
    ad_put_string(t, f->client);
    ad_puts(t, ",\"status\":");
    ad_put_string(t, status);
}

/* When it came in, which ends each event about it. */
static void ad_put_proxy_time(struct ad_text *t, const struct ad_proxy *f)
{
    ad_puts(t, ",\"timestamp\":");
    ad_put_decimal(t, f->start_us, 6);
    ad_puts(t, "}");
}

static void ad_proxy_report_start(struct ad_proxy *f)
{
    char json[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    f->start_seq = ad_feed.next;
    ad_put_proxy(&t, f, "request_start", f->start_seq,
                f->state == AD_PROXY_QUEUED ? "queued" : "running");
    if (f->state == AD_PROXY_QUEUED) {
        ad_putf(&t, ",\"place\":%u", ad_proxying.n_queued);
    }
    ad_put_proxy_time(&t, f);
    ad_event_append(AD_EV_REQUEST_START, &t);
}

/* The record of a flow at its end. Rates and times come from the engine where
 * it tells them, else from our own clock (WIRE: n tokens, n - 1 gaps). */
static void ad_proxy_report_end(const struct ad_proxy *f, const char *status)
{
    const struct ad_scan *s = &f->scan;
    char json[AD_RECORD_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));
    struct ad_record *record;
    bool estimated;
    uint64_t tokens = ad_scan_tokens(s, &estimated);
    uint64_t fresh = s->prompt_tokens - s->cached_tokens;
    double ttft_ms = ad_ms(f->sent_ns, f->first_ns);
    double decode_ms = ad_ms(f->first_ns, f->last_ns);
    double prefill = s->prompt_ms > 0 ? (double)fresh * 1000 / s->prompt_ms : -1;
    double decode = s->predicted_per_s > 0     ? s->predicted_per_s
                    : tokens > 1 && decode_ms > 0
                        ? (double)(tokens - 1) * 1000 / decode_ms
                        : -1;

    ad_put_proxy(&t, f, "request", ad_feed.next, status);
    if (s->has_prompt) {
        ad_putf(&t, ",\"prompt_tokens\":%llu",
                (unsigned long long)s->prompt_tokens);
    }
    if (tokens > 0 || s->ended) {
        ad_putf(&t, ",\"completion_tokens\":%llu", (unsigned long long)tokens);
    }
    if (s->has_cached) {
        ad_putf(&t, ",\"cached_tokens\":%llu",
                (unsigned long long)s->cached_tokens);
    }
    if (s->form != AD_FORM_JSON) {
        ad_put_field(&t, "ttft_ms", ttft_ms);
        if (s->has_timings && ttft_ms >= 0) {
            double wait = ttft_ms - s->load_ms - s->prompt_ms;

            ad_put_field(&t, "queue_ms", wait > 0 ? wait : 0);
        }
    }
    ad_put_field(&t, "prefill_tokens_per_second", prefill);
    ad_put_field(&t, "decode_tokens_per_second", decode);
    if (f->itl.n > 0) {
        ad_put_field(&t, "itl_p50_ms", (double)ad_histogram_percentile(&f->itl, 50) / 1000);
        ad_put_field(&t, "itl_p95_ms", (double)ad_histogram_percentile(&f->itl, 95) / 1000);
        ad_put_field(&t, "itl_max_ms", (double)f->itl.max_us / 1000);
    }
    ad_put_field(&t, "duration_ms",
                 ad_ms(f->start_ns, ad_clock_ns(CLOCK_MONOTONIC)));
    if (s->finish[0] != '\0' &&
        ad_utf8_ok((const uint8_t *)s->finish, strlen(s->finish))) {
        ad_puts(&t, ",\"finish_reason\":");
        ad_put_string(&t, s->finish);
    }
    if (estimated || s->incomplete != 0) {
        ad_puts(&t, ",\"estimated\":true");
    }
    ad_put_proxy_time(&t, f);
    ad_event_append(AD_EV_REQUEST, &t);
    record = &ad_records.ring[ad_records.count++ % AIDASH_RECORDS];
    record->len = (uint16_t)t.len;
    memcpy(record->json, t.at, t.len);
}

/* How a request is doing that is not over yet. */
static void ad_put_running(struct ad_text *t, const struct ad_proxy *f)
{
    bool queued = f->state == AD_PROXY_QUEUED;

    ad_put_proxy(t, f, "request", f->start_seq, queued ? "queued" : "running");
    if (f->counted > 0) {
        ad_putf(t, ",\"completion_tokens\":%llu,\"estimated\":true",
                (unsigned long long)f->counted);
    }
    ad_put_field(t, "ttft_ms", ad_ms(f->sent_ns, f->first_ns));
    ad_put_proxy_time(t, f);
}

/* How far the prompt is read, where the engine streams that: at most ten times
 * a second. */
static void ad_proxy_report_progress(struct ad_proxy *f)
{
    char json[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    if (f->scan.progress_done == f->progress ||
        ad_hub.now_ms - f->progress_ms < AD_PROGRESS_MS) {
        return;
    }
    f->progress = f->scan.progress_done;
    f->progress_ms = ad_hub.now_ms;
    ad_put_proxy(&t, f, "request", ad_feed.next, "running");
    ad_putf(&t, ",\"prompt_tokens\":%llu,\"prompt_processed\":%llu",
            (unsigned long long)f->scan.progress_total,
            (unsigned long long)f->scan.progress_done);
    ad_put_proxy_time(&t, f);
    ad_event_append(AD_EV_REQUEST, &t);
}

/* The model that the ticks of a flow count for: as the first answer names it,
 * and the same to the end. */
static void ad_proxy_model(struct ad_proxy *f, char out[AIDASH_MODEL_MAX + 1])
{
    const char *name = f->scan.model;

    if (f->name[0] == '\0') {
        if (!ad_name_ok(name, strlen(name), AIDASH_MODEL_MAX)) {
            name = f->model;
        }
        (void)snprintf(f->name, sizeof(f->name), "%s", name);
        ad_engine_show(f->name);
    }
    memcpy(out, f->name, sizeof(f->name));
}

/* Ticks for the token events that one read completed. */
static void ad_proxy_ticks(struct ad_proxy *f, uint32_t events, uint64_t now_ns)
{
    struct ad_sample sample;
    uint64_t before_ns = f->first_ns == 0 ? f->sent_ns : f->last_ns;
    uint64_t gap_ns = now_ns - before_ns;
    uint32_t i;

    if (f->first_ns == 0) {
        f->first_ns = now_ns;
    } else {
        ad_histogram_add(&f->itl, gap_ns / 1000, events);
    }
    f->last_ns = now_ns;
    memset(&sample, 0, sizeof(sample));
    ad_proxy_model(f, sample.model);
    sample.tokens = 1;
    sample.latency_ms = (double)gap_ns / (double)AD_NS_PER_MS / events;
    sample.has = AD_HAS_TOKENS | AD_HAS_LATENCY | AD_IS_METERED;
    for (i = 0; i < events; i++) {
        if (f->counted++ == 0) {
            sample.has |= AD_IS_FIRST;
        }
        ad_tick_apply(&sample, now_ns);
        sample.has &= ~(unsigned)AD_IS_FIRST;
    }
}

/* The engine's own count takes the place of the estimate. */
static void ad_proxy_reconcile(struct ad_proxy *f)
{
    struct ad_sample sample;
    bool estimated;
    uint64_t now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    uint64_t tokens = ad_scan_tokens(&f->scan, &estimated);
    double span_ms = f->scan.predicted_ms > 0 ? f->scan.predicted_ms
                                              : ad_ms(f->first_ns, f->last_ns);

    if (tokens == 0 && f->counted == 0) {
        return;
    }
    memset(&sample, 0, sizeof(sample));
    ad_proxy_model(f, sample.model);
    sample.tokens = tokens > f->counted ? tokens - f->counted : 0;
    sample.overcount = tokens < f->counted ? f->counted - tokens : 0;
    if (f->counted == 0) { /* an answer that came whole: all of it is one step */
        sample.latency_ms = ad_ms(f->sent_ns, now_ns);
    } else if (tokens > 1 && span_ms > 0) {
        sample.latency_ms = span_ms / (double)(tokens - 1);
    }
    sample.has = AD_HAS_TOKENS | AD_HAS_LATENCY | AD_IS_METERED |
                 (f->counted > 0 ? AD_IS_LAST : 0u);
    ad_tick_apply(&sample, now_ns);
}

/* How a request ended whose answer came whole. */
static const char *ad_proxy_outcome(const struct ad_proxy *f)
{
    unsigned status = f->scan.head.status;

    if (status >= 400 && status < 500) {
        return "refused";
    }
    return status >= 500 || f->scan.failed ? "failed" : "finished";
}

/* Before each run. */
static void ad_requests_init(void)
{
    memset(&ad_proxying, 0, sizeof(ad_proxying));
    ad_records.count = 0;
}

AD_MEMORY(records, AIDASH_RECORDS, sizeof(ad_records) + sizeof(ad_proxying));
AD_MEMORY(proxies, AIDASH_FLOWS, sizeof(ad_proxies));
AD_MEMORY(rewrites, AIDASH_EDITS,
          sizeof(ad_rewrites) + sizeof(ad_rewrite_used));

#endif /* AIDASH_METER */

#endif
