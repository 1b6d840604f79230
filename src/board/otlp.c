/* otlp.c - OpenTelemetry (--otlp): a span for each request that ended, and all metrics
 * each 15 s, as OTLP/HTTP in JSON (opentelemetry-proto 1.x). No prompt, no answer, no
 * address of a client is in them.
 * Owns ad_otlp. Hub thread only, but for the start.
 * Always: what waits is bounded. Metrics are sums since the start: one message that is
 * lost loses nothing but its moment.
 */
#ifndef AD_BOARD_OTLP_C
#define AD_BOARD_OTLP_C

#include "../meter/outbox.c"
#include "../meter/reports.c"
#include "metrics.c"

#if AIDASH_OTLP && AIDASH_METER

enum {
    AD_OTLP_S = 15,            /* between metrics */
    AD_OTLP_BODY = 32768,      /* bytes of a message */
    AD_OTLP_SPAN_MAX = 4096,   /* and of a span at most */
    AD_OTLP_POINT_MAX = 4096   /* and of a number with what is around it */
};
#define AD_OTLP_TRACES "/v1/traces"
#define AD_OTLP_METRICS "/v1/metrics"

/* A request that ended. Times below 0 are not known. */
struct ad_otlp_span {
    struct ad_trace trace; /* its own id is made when it is sent */
    char model[AIDASH_MODEL_MAX + 1], asked[AIDASH_MODEL_MAX + 1];
    char finish[AD_SCAN_FINISH_MAX + 1];
    const char *operation; /* literals; NULL: not known */
    const char *outcome;
    uint8_t upstream;
    uint16_t status; /* of HTTP; 0: none */
    uint64_t start_us, end_us; /* Unix time */
    uint64_t input, output;    /* tokens */
    bool has_input, has_output;
    double ttft_ms, queue_ms;
};

static struct {
    /* [I] The URL's path, without a / behind it. */
    char base[AD_OUTBOX_TARGET_MAX + 1 - sizeof(AD_OTLP_METRICS)];
    char host[AD_OUTBOX_HOST_MAX + 1];   /* [I] */
    uint64_t next, n; /* numbers of spans: of the next to be sent, of the next to come */
    uint64_t dropped;
    uint64_t metrics_ns; /* of the next metrics */
#if AIDASH_METRICS
    struct ad_metrics_place at; /* how far these are; family 0, sample 0: not begun */
    bool telling;
    bool told;    /* metrics were sent last: spans that wait go first */
    uint64_t time_us;
#endif
    struct ad_otlp_span spans[AIDASH_OTLP];
    uint8_t bytes[AD_OUTBOX_HEAD_MAX + AD_OTLP_BODY];
} ad_otlp;

static struct ad_outbox *ad_otlp_outbox(void)
{
    return &ad_outboxes[AD_OUTBOX_OTLP];
}

/* ---- pieces of JSON ---- */

/* {"key":KEY,"value":{"stringValue":TEXT}}, with a comma in front unless `first`. */
static void ad_otlp_put_text(struct ad_text *t, bool first, const char *key,
                             const char *text)
{
    ad_puts(t, first ? "{\"key\":" : ",{\"key\":");
    ad_put_string(t, key);
    ad_puts(t, ",\"value\":{\"stringValue\":");
    ad_put_string(t, text);
    ad_puts(t, "}}");
}

/* Whole numbers of 64 bits are strings in proto3's JSON. */
static void ad_otlp_put_count(struct ad_text *t, const char *key, uint64_t value)
{
    ad_putf(t, ",{\"key\":\"%s\",\"value\":{\"intValue\":\"%llu\"}}", key,
            (unsigned long long)value);
}

static void ad_otlp_put_seconds(struct ad_text *t, const char *key, double ms)
{
    if (ms >= 0) {
        ad_putf(t, ",{\"key\":\"%s\",\"value\":{\"doubleValue\":", key);
        ad_put_double(t, ms / 1000);
        ad_puts(t, "}}");
    }
}

/* "NAME":"NANOSECONDS" */
static void ad_otlp_put_time(struct ad_text *t, const char *name, uint64_t us)
{
    ad_putf(t, "\"%s\":\"%llu000\"", name, (unsigned long long)us);
}

/* Who says it. `all`: resourceSpans or resourceMetrics; `scope`: scopeSpans...; `list`:
 * spans or metrics. */
static void ad_otlp_put_begin(struct ad_text *t, const char *all, const char *scope,
                              const char *list)
{
    ad_putf(t, "{\"%s\":[{\"resource\":{\"attributes\":[", all);
    ad_otlp_put_text(t, true, "service.name", "aidash");
    ad_otlp_put_text(t, false, "service.version", AIDASH_VERSION);
    ad_otlp_put_text(t, false, "service.instance.id", ad_hub.run);
    ad_otlp_put_text(t, false, "host.name", ad_otlp.host);
    ad_putf(t,
            "]},\"%s\":[{\"scope\":{\"name\":\"aidash\",\"version\":\"" AIDASH_VERSION
            "\"},\"%s\":[",
            scope, list);
}

static void ad_otlp_put_end(struct ad_text *t)
{
    ad_puts(t, "]}]}]}");
}

/* Send what was written for this path below the URL's own: ad_otlp_set() saw that both
 * have room. */
static void ad_otlp_send(const char *path, size_t len)
{
    struct ad_outbox *o = ad_otlp_outbox();
    size_t base_len = strlen(ad_otlp.base);

    memcpy(o->target, ad_otlp.base, base_len);
    memcpy(o->target + base_len, path, strlen(path) + 1);
    ad_outbox_send(o, len, "application/json", "");
}

/* ---- spans ---- */

/* 16 or 32 random hexadecimal digits. False if there is no randomness yet. */
static bool ad_otlp_id(char *out, size_t digits)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t bytes[AD_TRACE_ID / 2];
    size_t i;

    if (!ad_random(bytes, digits / 2)) {
        return false;
    }
    bytes[0] |= 1; /* never all zero */
    for (i = 0; i < digits; i++) {
        out[i] = hex[bytes[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15];
    }
    out[digits] = '\0';
    return true;
}

/* Attributes by the GenAI semantic conventions (Development status), and our own. */
static void ad_otlp_put_attributes(struct ad_text *t, const struct ad_otlp_span *s)
{
    const struct ad_url *url = &ad_upstreams.list[s->upstream].url;
    char status[8];

    ad_otlp_put_text(t, true, "gen_ai.operation.name",
                     s->operation != NULL ? s->operation : "other");
    if (ad_upstreams.state[s->upstream].ollama) {
        ad_otlp_put_text(t, false, "gen_ai.provider.name", "ollama");
    }
    if (s->asked[0] != '\0') {
        ad_otlp_put_text(t, false, "gen_ai.request.model", s->asked);
    }
    if (s->model[0] != '\0') {
        ad_otlp_put_text(t, false, "gen_ai.response.model", s->model);
    }
    if (s->has_input) {
        ad_otlp_put_count(t, "gen_ai.usage.input_tokens", s->input);
    }
    if (s->has_output) {
        ad_otlp_put_count(t, "gen_ai.usage.output_tokens", s->output);
    }
    if (s->finish[0] != '\0') {
        ad_puts(t, ",{\"key\":\"gen_ai.response.finish_reasons\",\"value\":"
                   "{\"arrayValue\":{\"values\":[{\"stringValue\":");
        ad_put_string(t, s->finish);
        ad_puts(t, "}]}}}");
    }
    ad_otlp_put_text(t, false, "server.address", url->host);
    ad_otlp_put_count(t, "server.port", (uint64_t)atoi(url->port));
    if (s->status != 0) {
        ad_otlp_put_count(t, "http.response.status_code", s->status);
    }
    ad_otlp_put_text(t, false, "aidash.outcome", s->outcome);
    ad_otlp_put_seconds(t, "aidash.time_to_first_token", s->ttft_ms);
    ad_otlp_put_seconds(t, "aidash.queue_time", s->queue_ms);
    if (strcmp(s->outcome, "finished") != 0) {
        (void)snprintf(status, sizeof(status), "%u", s->status);
        ad_otlp_put_text(t, false, "error.type", s->status >= 400 ? status : s->outcome);
    }
}

static void ad_otlp_put_span(struct ad_text *t, const struct ad_otlp_span *s)
{
    char trace[AD_TRACE_ID + 1], span[AD_TRACE_SPAN + 1];
    char name[AIDASH_MODEL_MAX + 40];
    const char *model = s->asked[0] != '\0' ? s->asked : s->model;

    if (!ad_otlp_id(trace, AD_TRACE_ID) || !ad_otlp_id(span, AD_TRACE_SPAN)) {
        return;
    }
    (void)snprintf(name, sizeof(name), "%s%s%s",
                   s->operation != NULL ? s->operation : "other",
                   model[0] != '\0' ? " " : "", model);
    ad_putf(t, "{\"traceId\":\"%s\",\"spanId\":\"%s\"",
            s->trace.id[0] != '\0' ? s->trace.id : trace, span);
    if (s->trace.id[0] != '\0') {
        ad_putf(t, ",\"parentSpanId\":\"%s\"", s->trace.parent);
    }
    ad_puts(t, ",\"name\":");
    ad_put_string(t, name);
    ad_puts(t, ",\"kind\":3,"); /* CLIENT, as the conventions want it */
    ad_otlp_put_time(t, "startTimeUnixNano", s->start_us);
    ad_puts(t, ",");
    ad_otlp_put_time(t, "endTimeUnixNano", s->end_us);
    ad_puts(t, ",\"attributes\":[");
    ad_otlp_put_attributes(t, s);
    ad_puts(t, "],\"status\":{\"code\":");
    ad_puts(t, strcmp(s->outcome, "finished") == 0 ? "1}}" : "2}}"); /* OK, ERROR */
}

/* Send the spans that wait, as many as fit. */
static void ad_otlp_send_spans(void)
{
    struct ad_text t = ad_outbox_body(ad_otlp_outbox());
    const char *comma = "";

    ad_otlp_put_begin(&t, "resourceSpans", "scopeSpans", "spans");
    while (ad_otlp.next < ad_otlp.n && t.cap - t.len > AD_OTLP_SPAN_MAX) {
        size_t before;

        ad_puts(&t, comma);
        before = t.len;
        ad_otlp_put_span(&t, &ad_otlp.spans[ad_otlp.next++ % AIDASH_OTLP]);
        if (t.len == before) { /* without randomness */
            ad_otlp.next--;
            return;
        }
        comma = ",";
    }
    ad_otlp_put_end(&t);
    ad_otlp_send(AD_OTLP_TRACES, t.len);
}

/* A proxied request is over. One whose caller records no trace has no span. */
static void ad_otlp_request(const struct ad_proxy *p, const char *status,
                            const struct ad_proxy_figures *f)
{
    struct ad_otlp_span *s;

    if (p->request.trace.dropped || p->request.bench || !p->request.metered) {
        return;
    }
    if (ad_otlp.n - ad_otlp.next == AIDASH_OTLP) {
        ad_otlp.next++;
        if (ad_otlp.dropped++ == 0) {
            ad_log(AIDASH_LOG_WARN, "otlp: more than %d spans wait for %s; the oldest "
                                    "are dropped",
                   AIDASH_OTLP, ad_otlp_outbox()->to.url.authority);
        }
    }
    s = &ad_otlp.spans[ad_otlp.n++ % AIDASH_OTLP];
    memset(s, 0, sizeof(*s));
    s->trace = p->request.trace;
    memcpy(s->model, p->name, sizeof(s->model));
    memcpy(s->asked, p->request.model, sizeof(s->asked));
    if (ad_utf8_ok((const uint8_t *)p->scan.finish, strlen(p->scan.finish))) {
        memcpy(s->finish, p->scan.finish, sizeof(s->finish));
    }
    s->operation = ad_operation_of(p->request.route);
    s->outcome = status;
    s->upstream = p->upstream;
    s->status = p->scan.status;
    s->start_us = p->start_us;
    s->end_us = p->start_us + (uint64_t)(f->duration_ms > 0 ? f->duration_ms * 1000 : 0);
    s->has_input = p->scan.has_prompt;
    s->input = p->scan.prompt_tokens;
    s->has_output = f->tokens > 0;
    s->output = f->tokens;
    s->ttft_ms = f->ttft_ms;
    s->queue_ms = f->queue_ms;
}

/* ---- metrics ---- */

#if AIDASH_METRICS

/* A name of the table as OpenTelemetry writes it: dots where it has them, and the unit
 * apart. What makes Prometheus' name of it leads back to the table's. */
static void ad_otlp_put_name(struct ad_text *t, const struct ad_metric_about *about)
{
    static const struct {
        const char *ours, *theirs;
    } known[] = {
        {"gen_ai_server_time_to_first_token_seconds", "gen_ai.server.time_to_first_token"},
        {"gen_ai_server_time_per_output_token_seconds",
         "gen_ai.server.time_per_output_token"},
        {"gen_ai_server_request_duration_seconds", "gen_ai.server.request.duration"},
        {"gen_ai_client_token_usage", "gen_ai.client.token.usage"},
    };
    const char *unit = ad_unit_names[about->unit];
    size_t i, len = strlen(about->name), unit_len = strlen(unit);

    for (i = 0; i < AD_COUNT(known); i++) {
        if (strcmp(known[i].ours, about->name) == 0) {
            ad_puts(t, known[i].theirs);
            return;
        }
    }
    if (unit_len > 0 && len > unit_len + 1 &&
        strcmp(about->name + len - unit_len, unit) == 0) {
        len -= unit_len + 1;
    }
    for (i = 0; i < len && about->name[i] != '_'; i++) {
    }
    ad_put(t, about->name, i);
    ad_puts(t, i < len ? "." : "");
    ad_put(t, about->name + i + 1, len > i ? len - i - 1 : 0);
}

/* UCUM's units. */
static const char *const ad_otlp_units[AD_METRIC_UNITS] = {"1", "s", "By", "1",
                                                           "Hz", "Cel", "W", "{rpm}", "J"};

/* The attributes of a sample: gen_ai_... with dots. */
static void ad_otlp_put_labels(struct ad_text *t, const struct ad_metric_about *about,
                               const struct ad_metric_sample *s)
{
    const char *names = about->labels;
    unsigned i;

    ad_puts(t, "\"attributes\":[");
    for (i = 0; names != NULL && i < AD_METRIC_LABELS; i++) {
        size_t len = strcspn(names, ","), k;
        char name[64];

        (void)snprintf(name, sizeof(name), "%.*s", (int)len, names);
        for (k = strncmp(name, "gen_ai_", 7) == 0 ? 6 : len; k < len; k++) {
            name[k] = name[k] == '_' ? '.' : name[k];
        }
        ad_otlp_put_text(t, i == 0, name, s->labels[i] != NULL ? s->labels[i] : "");
        names = names[len] == ',' ? names + len + 1 : NULL;
    }
    ad_puts(t, "],");
}

static void ad_otlp_put_histogram(struct ad_text *t, const struct ad_metric_sample *s)
{
    uint64_t count = 0;
    unsigned i;

    for (i = 0; i <= s->n_edges; i++) {
        count += s->histogram->buckets[i];
    }
    ad_putf(t, ",\"count\":\"%llu\",\"sum\":", (unsigned long long)count);
    ad_put_double(t, s->histogram->sum);
    ad_puts(t, ",\"bucketCounts\":[");
    for (i = 0; i <= s->n_edges; i++) {
        ad_putf(t, "%s\"%llu\"", i > 0 ? "," : "",
                (unsigned long long)s->histogram->buckets[i]);
    }
    ad_puts(t, "],\"explicitBounds\":[");
    for (i = 0; i < s->n_edges; i++) {
        ad_puts(t, i > 0 ? "," : "");
        ad_put_double(t, s->edges[i]);
    }
    ad_puts(t, "]");
}

static void ad_otlp_put_point(struct ad_text *t, const struct ad_metric_about *about,
                              const struct ad_metric_sample *s)
{
    ad_puts(t, "{");
    ad_otlp_put_labels(t, about, s);
    if (about->type == AD_METRIC_COUNTER || about->type == AD_METRIC_HISTOGRAM) {
        ad_otlp_put_time(t, "startTimeUnixNano", ad_hub.start_us);
        ad_puts(t, ",");
    }
    ad_otlp_put_time(t, "timeUnixNano", ad_otlp.time_us);
    if (about->type == AD_METRIC_HISTOGRAM) {
        ad_otlp_put_histogram(t, s);
    } else if (s->is_number) {
        ad_puts(t, ",\"asDouble\":");
        ad_put_double(t, s->number);
    } else {
        ad_putf(t, ",\"asInt\":\"%llu\"", (unsigned long long)s->count);
    }
    ad_puts(t, "}");
}

/* A metric as far as its points. */
static void ad_otlp_put_metric(struct ad_text *t, const struct ad_metric_about *about)
{
    ad_puts(t, "{\"name\":\"");
    ad_otlp_put_name(t, about);
    ad_putf(t, "\",\"unit\":\"%s\",\"description\":\"%s\",",
            about->type == AD_METRIC_HISTOGRAM && about->unit == AD_METRIC_IN_NONE
                ? "{token}" : ad_otlp_units[about->unit],
            about->help);
    switch (about->type) {
    case AD_METRIC_COUNTER:
        ad_puts(t, "\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":true,"
                   "\"dataPoints\":[");
        break;
    case AD_METRIC_HISTOGRAM:
        ad_puts(t, "\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[");
        break;
    default:
        ad_puts(t, "\"gauge\":{\"dataPoints\":[");
        break;
    }
}

/* Send metrics from where the message before has ended: as many as fit. */
static void ad_otlp_send_metrics(void)
{
    struct ad_text t = ad_outbox_body(ad_otlp_outbox());
    bool open = false, any = false;
    unsigned *family = &ad_otlp.at.family;

    ad_otlp_put_begin(&t, "resourceMetrics", "scopeMetrics", "metrics");
    while (*family < AD_COUNT(ad_metric_table) && t.cap - t.len > AD_OTLP_POINT_MAX) {
        const struct ad_metric *m = &ad_metric_table[*family];
        struct ad_metric_sample s;

        memset(&s, 0, sizeof(s));
        if (!m->sample(m, ad_otlp.at.sample, &s)) {
            ad_puts(&t, open ? "]}}" : "");
            open = false;
            ++*family;
            ad_otlp.at.sample = 0;
            continue;
        }
        ad_otlp.at.sample++;
        if (s.absent || (s.is_number && !isfinite(s.number))) {
            continue;
        }
        ad_puts(&t, any ? "," : "");
        if (!open) {
            ad_otlp_put_metric(&t, &m->about);
        }
        ad_otlp_put_point(&t, &m->about, &s);
        open = any = true;
    }
    ad_puts(&t, open ? "]}}" : "");
    ad_otlp_put_end(&t);
    ad_otlp.telling = *family < AD_COUNT(ad_metric_table);
    ad_otlp_send(AD_OTLP_METRICS, t.len);
}

#endif

/* ---- what goes when ---- */

/* The next message, if there is one and the one before is over. Metrics of many models
 * at a slow collector may take longer than AD_OTLP_S: spans come in between. */
static void ad_otlp_next(void)
{
    if (!ad_outbox_free(ad_otlp_outbox())) {
        return;
    }
#if AIDASH_METRICS
    if (!ad_otlp.telling && ad_hub.now_ns >= ad_otlp.metrics_ns) {
        ad_otlp.metrics_ns = ad_hub.now_ns + AD_OTLP_S * AD_NS_PER_S;
        ad_otlp.time_us = ad_hub.now_us;
        memset(&ad_otlp.at, 0, sizeof(ad_otlp.at));
        ad_otlp.telling = true;
    }
    if (ad_otlp.telling && !(ad_otlp.told && ad_otlp.next < ad_otlp.n)) {
        ad_otlp.told = true;
        ad_otlp_send_metrics();
        return;
    }
    ad_otlp.told = false;
#endif
    if (ad_otlp.next < ad_otlp.n) {
        ad_otlp_send_spans();
    }
}

static void ad_otlp_ended(bool taken)
{
    (void)taken;
    ad_otlp_next();
}

/* Once a second. */
static void ad_otlp_housekeeping(void)
{
    if (ad_otlp_outbox()->on) {
        ad_otlp_next();
    }
}

/* The member of GET /status; nothing without a collector. */
static void ad_put_otlp(struct ad_text *t)
{
    const struct ad_outbox *o = ad_otlp_outbox();

    if (o->on) {
        ad_putf(t, ",\"otlp\":{\"sent\":%llu,\"lost\":%llu,\"spans_dropped\":%llu}",
                (unsigned long long)o->sent, (unsigned long long)o->lost,
                (unsigned long long)ad_otlp.dropped);
    }
}

/* ---- the start ---- */

/* Before each run. */
static void ad_otlp_init(void)
{
    memset(&ad_otlp, 0, sizeof(ad_otlp));
}

/* Send to this collector; the outbox's target is its URL's path. False: the path is too
 * long. While starting. */
static bool ad_otlp_set(const struct ad_upstream *to)
{
    struct ad_outbox *o = ad_otlp_outbox();
    size_t len = strlen(o->target);

    if (len > 0 && o->target[len - 1] == '/') {
        o->target[--len] = '\0';
    }
    if (len >= sizeof(ad_otlp.base) || strchr(o->target, '?') != NULL) {
        return false;
    }
    memcpy(ad_otlp.base, o->target, len + 1);
    ad_outbox_host(ad_otlp.host, "unknown");
    ad_outbox_set(o, "otlp", to, ad_otlp.bytes, AD_OTLP_BODY, ad_otlp_ended);
    o->strict = true;
    ad_reports_observe(ad_otlp_request);
    return true;
}

AD_MEMORY(otlp, AIDASH_OTLP, sizeof(ad_otlp));

#endif /* AIDASH_OTLP && AIDASH_METER */

#endif
