/* scrape.c - an engine's page of metrics (--scrape), read once a second: what
 * its counters gained is a tick.
 * Owns ad_scrape. Hub thread only.
 */
#ifndef AD_METER_SCRAPE_C
#define AD_METER_SCRAPE_C

#include "../codec/lines.c"
#include "../core/ticks.c"
#include "fetch.c"
#include "resolver.c"

#if AIDASH_METER

enum { AD_SCRAPE_WAIT = 10 }; /* seconds after a page that did not come whole */
enum { AD_METRIC_TOKENS, AD_METRIC_TIME, AD_METRIC_STEPS, AD_METRICS };

/* What one page says. */
struct ad_scrape_page {
    double metric[AD_METRICS]; /* sums over all lines; times in milliseconds */
    bool has[AD_METRICS];
    bool at_end; /* the counters move when a request ends, for all of its tokens */
    char model[AIDASH_MODEL_MAX + 1]; /* of the last counter, "" if none */
    struct ad_lines lines;
    uint8_t line[AD_LINE_CAP];
};

static struct {
    bool on; /* [I] */
    struct ad_upstream upstream; /* the page's URL [I], and where it is */
    bool down, warned;
    uint8_t wait; /* seconds until it is asked for again */
    uint64_t last_ns; /* when the page before came; 0: there is none */
    double last[AD_METRICS]; /* its counters */
    struct ad_fetch fetch;
    char head[AD_FETCH_HEAD_MAX];
    struct ad_scrape_page page;
} ad_scrape;

/* The counters that move while the engine works. llama.cpp's gauges of tokens a
 * second are not used: they are averages since anybody's last scrape. */
static const struct {
    const char *name;
    unsigned what;
    double scale; /* to milliseconds, for times */
    bool at_end;  /* llama-server counts a request's tokens when it ends */
} ad_metrics[] = {
    {"llamacpp:tokens_predicted_total", AD_METRIC_TOKENS, 1, true},
    {"llamacpp:tokens_predicted_seconds_total", AD_METRIC_TIME, 1000, true},
    {"vllm:generation_tokens_total", AD_METRIC_TOKENS, 1, false},
    {"vllm:inter_token_latency_seconds_sum", AD_METRIC_TIME, 1000, false},
    {"vllm:inter_token_latency_seconds_count", AD_METRIC_STEPS, 1, false},
    {"vllm:time_per_output_token_seconds_sum", AD_METRIC_TIME, 1000, false},
    {"vllm:time_per_output_token_seconds_count", AD_METRIC_STEPS, 1, false},
};

/* How long the labels at s[0..len) are, with their braces; 0: there are none, len:
 * they have no end. A label's value may hold braces, blanks and escaped quotes. */
static size_t ad_scrape_labels(const char *s, size_t len)
{
    bool quoted = false;
    size_t i;

    if (len == 0 || s[0] != '{') {
        return 0;
    }
    for (i = 1; i < len; i++) {
        if (quoted && s[i] == '\\') {
            i++;
        } else if (s[i] == '"') {
            quoted = !quoted;
        } else if (!quoted && s[i] == '}') {
            return i + 1;
        }
    }
    return len;
}

/* The next word of a line, behind blanks: its length, and *at is its beginning. */
static size_t ad_scrape_word(const char *s, size_t len, size_t *at)
{
    size_t n = 0;

    while (*at < len && (s[*at] == ' ' || s[*at] == '\t')) {
        ++*at;
    }
    while (*at + n < len && s[*at + n] != ' ' && s[*at + n] != '\t' &&
           s[*at + n] != '\r') {
        n++;
    }
    return n;
}

/* One line of samples, `name{labels} value [time]`: Prometheus' text format 0.0.4.
 * What is malformed, and NaN and Inf, are left out. */
static void ad_scrape_line(struct ad_scrape_page *page, const char *s, size_t len)
{
    const char *label;
    size_t name_len = 0, labels_len, value_len, at, i = 0;

    while (name_len < len && s[name_len] != '{' && s[name_len] != ' ' &&
           s[name_len] != '\t') {
        name_len++;
    }
    while (i < AD_COUNT(ad_metrics) &&
           (strlen(ad_metrics[i].name) != name_len ||
            memcmp(ad_metrics[i].name, s, name_len) != 0)) {
        i++;
    }
    if (i == AD_COUNT(ad_metrics)) {
        return;
    }
    labels_len = ad_scrape_labels(s + name_len, len - name_len);
    at = name_len + labels_len;
    value_len = ad_scrape_word(s, len, &at);
    if (value_len == 0 || ad_json_number(s + at, value_len) != value_len) {
        return;
    }
    page->metric[ad_metrics[i].what] +=
        ad_json_double(s + at, value_len) * ad_metrics[i].scale;
    page->has[ad_metrics[i].what] = true;
    page->at_end = page->at_end || ad_metrics[i].at_end;
    label = memmem(s + name_len, labels_len, "model_name=\"", 12);
    if (label != NULL) {
        size_t left = (size_t)(s + name_len + labels_len - label - 12);
        const char *end = memchr(label + 12, '"', left);
        size_t n = end != NULL ? (size_t)(end - label - 12) : 0;

        if (ad_name_ok(label + 12, n, AIDASH_MODEL_MAX)) {
            memcpy(page->model, label + 12, n);
            page->model[n] = '\0';
        }
    }
}

/* Bytes of the page. */
static void ad_scrape_sink(void *to, const uint8_t *data, size_t len)
{
    struct ad_scrape_page *page = to;

    while (len > 0) {
        const uint8_t *line;
        size_t n, used;
        bool ended;

        used = ad_lines_next(&page->lines, page->line, data, len, &line, &n, &ended);
        if (ended && n != SIZE_MAX && n > 0 && line[0] != '#') {
            ad_scrape_line(page, (const char *)line, n);
        }
        data += used;
        len -= used;
    }
}

/* The members of status when nothing but the page tells of an engine. */
static void ad_put_scrape(struct ad_text *t)
{
    if (ad_scrape.on && ad_upstreams.n == 0) {
        ad_puts(t, ad_scrape.down ? ",\"engine\":\"down\"" : ",\"engine\":\"up\"");
    }
}

/* Note whether the page can be had, and report a change. */
static void ad_scrape_set_down(bool down, const char *why)
{
    if (ad_scrape.down != down) {
        ad_scrape.down = down;
        ad_log(down ? AIDASH_LOG_WARN : AIDASH_LOG_INFO, "scrape: %s is %s%s",
               ad_scrape.upstream.url.authority, down ? "down" : "up", why);
        ad_status_append();
    }
}

/* The resolver has answered for the page's host; `why`: it has no address. */
static void ad_scrape_resolved(const char *why)
{
    if (ad_scrape.upstream.n_addresses == 0) {
        ad_scrape_set_down(true, why);
    }
}

/* Tokens a second: over the time between the pages; or over the time that the
 * engine says it took, where that began before the last page. */
static double ad_scrape_rate(double tokens, double time_ms)
{
    double span_ms = (double)(ad_hub.now_ns - ad_scrape.last_ns) / (double)AD_NS_PER_MS;

    if (ad_scrape.page.at_end && time_ms > span_ms) {
        span_ms = time_ms;
    }
    return span_ms > 0 ? tokens * 1000 / span_ms : 0;
}

/* The page has come whole: what the counters gained since the last one is one
 * tick. Counters that fell belong to an engine that was started again. */
static void ad_scrape_done(void)
{
    const struct ad_scrape_page *page = &ad_scrape.page;
    const double *last = ad_scrape.last;
    double tokens = page->metric[AD_METRIC_TOKENS] - last[AD_METRIC_TOKENS];
    double time_ms = page->metric[AD_METRIC_TIME] - last[AD_METRIC_TIME];
    double steps = page->has[AD_METRIC_STEPS]
                       ? page->metric[AD_METRIC_STEPS] - last[AD_METRIC_STEPS]
                       : tokens;
    struct ad_sample sample;

    if (!page->has[AD_METRIC_TOKENS]) {
        if (!ad_scrape.warned) {
            ad_scrape.warned = true;
            ad_log(AIDASH_LOG_WARN, "scrape: the page has no counter of "
                                    "llama-server or vLLM");
        }
        return;
    }
    if (ad_scrape.last_ns != 0 && tokens > 0 && tokens <= (double)AD_TOKENS_LIMIT) {
        memset(&sample, 0, sizeof(sample));
        memcpy(sample.model, page->model, sizeof(sample.model));
        sample.tokens = (uint64_t)tokens;
        sample.rate = ad_scrape_rate(tokens, time_ms);
        sample.has = AD_HAS_TOKENS | AD_HAS_RATE | AD_IS_METERED;
        if (time_ms > 0 && steps > 0) {
            sample.latency_ms = time_ms / steps < AD_LATENCY_LIMIT
                                    ? time_ms / steps : AD_LATENCY_LIMIT;
            sample.has |= AD_HAS_LATENCY;
        }
        ad_tick_apply(&sample, ad_hub.now_ns);
    }
    memcpy(ad_scrape.last, page->metric, sizeof(ad_scrape.last));
    ad_scrape.last_ns = ad_hub.now_ns;
}

/* The request is over. A page without an end costs time and bytes: it is not asked
 * for every second. */
static void ad_scrape_ended(void)
{
    const struct ad_fetch *q = &ad_scrape.fetch;
    char why[64];

    if (q->state == AD_FETCH_DONE && q->answer.status == 200) {
        ad_scrape_set_down(false, "");
        /* The last line may have no end of its own. */
        ad_scrape_sink(&ad_scrape.page, (const uint8_t *)"\n", 1);
        ad_scrape_done();
    } else if (q->state == AD_FETCH_DONE) {
        (void)snprintf(why, sizeof(why), ": it answers with status %u",
                       q->answer.status);
        ad_scrape_set_down(true, why);
    } else if (!q->lacks) {
        ad_scrape.wait = q->received > 0 ? AD_SCRAPE_WAIT : 0;
        ad_scrape_set_down(true, q->received > 0 ? ": its page does not end" : "");
    }
}

static void ad_scrape_event(void)
{
    struct ad_fetch *q = &ad_scrape.fetch;

    ad_fetch_event(q, ad_scrape_sink, &ad_scrape.page);
    ad_fetch_watch(q, AD_TAG_SCRAPE, 0);
    if (ad_fetch_wants(q) == 0) {
        ad_scrape_ended();
    }
}

/* Once a second: read the page, unless the last request is still under way. */
static void ad_scrape_housekeeping(void)
{
    struct ad_fetch *q = &ad_scrape.fetch;

    if (!ad_scrape.on || ad_scrape.upstream.n_addresses == 0) {
        return;
    }
    if (ad_fetch_wants(q) != 0) {
        if (ad_fetch_late(q, ad_hub.now_ms)) {
            ad_fetch_end(q, AD_FETCH_FAILED);
            ad_scrape_ended();
        }
        return;
    }
    if (ad_scrape.wait > 0) {
        ad_scrape.wait--;
        return;
    }
    memset(&ad_scrape.page, 0, sizeof(ad_scrape.page));
    ad_fetch_begin(q, &ad_scrape.upstream, "", "", ad_scrape.head, ad_hub.now_ms);
    ad_fetch_watch(q, AD_TAG_SCRAPE, 0);
    if (ad_fetch_wants(q) == 0) {
        ad_scrape_ended();
    }
}

static void ad_scrape_end(void)
{
    ad_fetch_end(&ad_scrape.fetch, AD_FETCH_IDLE);
}

/* Before each run. */
static void ad_scrape_init(void)
{
    memset(&ad_scrape, 0, sizeof(ad_scrape));
    ad_engine_add_section(ad_put_scrape);
}

/* Read this Prometheus page once a second. While starting. */
static void ad_scrape_set(const struct ad_upstream *page)
{
    ad_scrape.upstream = *page;
    ad_scrape.on = true;
}

AD_MEMORY(scrape, 1, sizeof(ad_scrape));

#endif /* AIDASH_METER */

#endif
