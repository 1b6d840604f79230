/* Metrics: numbers, escapes and buckets at their edges; both formats; which of them a
 * client asks for; counts that never fall; the page in pieces of any size; the numbers
 * of a board's report. */
#include "../src/board/metrics.c"
#include "../src/codec/http_head.c"
#include "check.h"

static char page[1 << 22];

/* What one of the writers makes of a number. */
static const char *written(void (*put)(struct ad_text *t, double value), double value)
{
    static char text[64];
    struct ad_text t = ad_text_in(text, sizeof(text) - 1);

    put(&t, value);
    text[t.len] = '\0';
    return text;
}

#define number(value) written(ad_put_metric_number, value)
#define edge(value) written(ad_put_metric_edge, value)

static const char *label(const char *value)
{
    static char text[512];
    struct ad_text t = ad_text_in(text, sizeof(text) - 1);

    ad_put_metric_label(&t, ad_slice_of("l"), value);
    text[t.len] = '\0';
    return text;
}

static void numbers(void)
{
    CHECK_STR(number(0), "0");
    CHECK_STR(number(-0.5), "-0.5");
    CHECK_STR(number(0.1), "0.1");
    CHECK_STR(number(1741478400.123456), "1741478400.123456");
    CHECK_STR(number(9007199254740992.0), "9007199254740992");
    CHECK_STR(number(1e300), "1e+300");
    CHECK_STR(number(5e-324), "4.94065645841247e-324"); /* reads as the same */
    CHECK_STR(number(NAN), "NaN");
    CHECK_STR(number(-NAN), "NaN");
    CHECK_STR(number(INFINITY), "+Inf");
    CHECK_STR(number(-INFINITY), "-Inf");
    CHECK(strtod(number(1.0 / 3), NULL) == 1.0 / 3);
    CHECK_STR(edge(1), "1.0");
    CHECK_STR(edge(.0025), "0.0025");
    CHECK_STR(edge(67108864), "67108864.0");
    CHECK_STR(edge(1e20), "1e+20");
    CHECK_STR(edge(INFINITY), "+Inf");
}

static void labels(void)
{
    char longest[AD_METRIC_VALUE_MAX + 8];
    size_t i;

    CHECK_STR(label(""), "l=\"\"");
    CHECK_STR(label("a\\b\"c\nd"), "l=\"a\\\\b\\\"c\\nd\"");
    CHECK_STR(label("\xC3\xA4{}=,"), "l=\"\xC3\xA4{}=,\"");
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    CHECK_EQ(strlen(label(longest)), AD_METRIC_VALUE_MAX + 4);
    memcpy(longest + AD_METRIC_VALUE_MAX - 1, "\xE2\x82\xAC", 3); /* across the limit */
    CHECK_EQ(strlen(label(longest)), AD_METRIC_VALUE_MAX - 1 + 4);
    for (i = 0; i < AD_METRIC_VALUE_MAX; i++) {
        longest[i] = '"';
    }
    CHECK(strlen(label(longest)) <= 2 * AD_METRIC_VALUE_MAX + 4);
}

/* ---- histograms ---- */

static void buckets(void)
{
    static const double edges[] = {.1, 1, 10};
    struct ad_metric_histogram h;

    memset(&h, 0, sizeof(h));
    ad_metric_observe(&h, edges, 3, .1, 1); /* le: the edge is below itself */
    ad_metric_observe(&h, edges, 3, nextafter(.1, 1), 1);
    ad_metric_observe(&h, edges, 3, 0, 2);
    ad_metric_observe(&h, edges, 3, 10, 1);
    ad_metric_observe(&h, edges, 3, nextafter(10, 11), 4);
    CHECK_EQ(h.buckets[0], 3);
    CHECK_EQ(h.buckets[1], 1);
    CHECK_EQ(h.buckets[2], 1);
    CHECK_EQ(h.buckets[3], 4);
    CHECK(fabs(h.sum - 50.2) < 1e-9);
    ad_metric_observe(&h, edges, 3, NAN, 1);
    CHECK_EQ(h.buckets[0] + h.buckets[1] + h.buckets[2] + h.buckets[3], 9);
    CHECK(!isnan(h.sum));
}

static void edges_rise(void)
{
    unsigned which, i;

    for (which = 0; which < AD_MEASURE_HISTOGRAMS; which++) {
        CHECK(ad_measure_edges[which].n <= AD_METRIC_EDGES);
        for (i = 1; i < ad_measure_edges[which].n; i++) {
            CHECK(ad_measure_edges[which].edges[i] > ad_measure_edges[which].edges[i - 1]);
        }
    }
}

/* ---- the page ---- */

static void begin(void)
{
    ad_hub_init();
    ad_hub.now_ns = ad_hub.start_ns = 1000 * AD_NS_PER_S;
    ad_hub.now_us = ad_hub.start_us = 1700000000123456;
    ad_measures_init();
    ad_ticks_init();
    ad_gauges_init();
    ad_own_requests_init();
    ad_engine_init();
}

/* The page as it comes in pieces of `room` bytes. */
static void put(bool open, size_t room)
{
    struct ad_metrics_place at;
    size_t len = 0;
    bool more = true;

    memset(&at, 0, sizeof(at));
    while (more) {
        struct ad_text t = ad_text_in(page + len, room);

        CHECK(len + room < sizeof(page));
        more = ad_metrics_put(&t, &at, open);
        CHECK(!t.full);
        CHECK(t.len > 0 || !more);
        len += t.len;
    }
    page[len] = '\0';
}

/* The number of this series, with its labels; NAN: it is not on the page. */
static double value(const char *series)
{
    const char *at = page;
    size_t len = strlen(series);

    while (at != NULL) {
        if (strncmp(at, series, len) == 0 && at[len] == ' ') {
            return strtod(at + len + 1, NULL);
        }
        at = strchr(at, '\n');
        at = at != NULL ? at + 1 : NULL;
    }
    return NAN;
}

static struct ad_measured measured(const char *model, enum ad_measure_outcome outcome)
{
    struct ad_measured m;

    memset(&m, 0, sizeof(m));
    m.model = model;
    m.known = true;
    m.operation = "chat";
    m.outcome = outcome;
    m.ttft_s = m.token_s = m.duration_s = m.queue_s = -1;
    return m;
}

static void formats(void)
{
    struct ad_measured m;
    size_t i;

    begin();
    m = measured("a\"b", AD_OUTCOME_FINISHED);
    m.ttft_s = .04;
    m.has_prompt = m.has_completion = true;
    m.prompt = 17;
    m.completion = 5;
    ad_measure_request(&m);
    put(false, AD_METRIC_PIECE_MAX);
    CHECK(strstr(page, "# TYPE aidash_requests_total counter\n") != NULL);
    CHECK(strstr(page, "# TYPE aidash_build_info gauge\n") != NULL);
    CHECK(strstr(page, "# UNIT") == NULL);
    CHECK(strstr(page, "# EOF") == NULL);
    CHECK(value("aidash_build_info{version=\"" AIDASH_VERSION "\"}") == 1);
    CHECK(value("aidash_requests_total{gen_ai_request_model=\"a\\\"b\",gen_ai_operation_name=\"chat\",outcome=\"finished\"}") == 1);
    CHECK(value("aidash_requests_total{gen_ai_request_model=\"a\\\"b\",gen_ai_operation_name=\"chat\",outcome=\"cut\"}") == 0);
    CHECK(isnan(value("aidash_requests_total{gen_ai_request_model=\"a\\\"b\",gen_ai_operation_name=\"rerank\",outcome=\"cut\"}")));
    CHECK(value("aidash_prompt_tokens_total{gen_ai_request_model=\"a\\\"b\"}") == 17);
    CHECK(isnan(value("aidash_cached_tokens_total{gen_ai_request_model=\"a\\\"b\"}"))); /* not told, so not 0 */
    CHECK(value("gen_ai_server_time_to_first_token_seconds_bucket{gen_ai_request_model=\"a\\\"b\",le=\"0.02\"}") == 0);
    CHECK(value("gen_ai_server_time_to_first_token_seconds_bucket{gen_ai_request_model=\"a\\\"b\",le=\"0.04\"}") == 1);
    CHECK(value("gen_ai_server_time_to_first_token_seconds_bucket{gen_ai_request_model=\"a\\\"b\",le=\"1.0\"}") == 1);
    CHECK(value("gen_ai_server_time_to_first_token_seconds_bucket{gen_ai_request_model=\"a\\\"b\",le=\"+Inf\"}") == 1);
    CHECK(value("gen_ai_server_time_to_first_token_seconds_count{gen_ai_request_model=\"a\\\"b\"}") == 1);
    CHECK(value("gen_ai_server_time_to_first_token_seconds_sum{gen_ai_request_model=\"a\\\"b\"}") == .04);
    CHECK(strstr(page, "gen_ai_server_request_duration_seconds") == NULL); /* no sample, no family */
    CHECK(value("gen_ai_client_token_usage_sum{gen_ai_request_model=\"a\\\"b\",gen_ai_token_type=\"input\"}") == 17);
    CHECK(value("gen_ai_client_token_usage_sum{gen_ai_request_model=\"a\\\"b\",gen_ai_token_type=\"output\"}") == 5);
    CHECK(value("process_start_time_seconds") == 1700000000.123456);

    put(true, AD_METRIC_PIECE_MAX);
    CHECK(strstr(page, "# TYPE aidash_requests counter\n") != NULL);
    CHECK(strstr(page, "# TYPE aidash_build info\n") != NULL);
    CHECK(strstr(page, "# UNIT gen_ai_server_time_to_first_token_seconds seconds\n") != NULL);
    CHECK(strstr(page, "# HELP process_cpu_seconds CPU time, user and system.\n") != NULL);
    CHECK(value("process_cpu_seconds_total") >= 0);
    CHECK(value("aidash_requests_total{gen_ai_request_model=\"a\\\"b\",gen_ai_operation_name=\"chat\",outcome=\"finished\"}") == 1);
    i = strlen(page);
    CHECK(i > 6 && strcmp(page + i - 6, "# EOF\n") == 0);
    CHECK(strstr(page, "# EOF") == page + i - 6);
}

/* Whatever the size of the pieces, it is one page. The process' numbers, last on it,
 * change from page to page. */
static void pieces(void)
{
    static char whole[1 << 20];
    size_t room, len;
    unsigned i;

    begin();
    for (i = 0; i < 3; i++) {
        char name[8];

        (void)snprintf(name, sizeof(name), "m%u", i);
        {
            struct ad_measured m = measured(name, AD_OUTCOME_CUT);

            m.ttft_s = m.token_s = m.duration_s = m.queue_s = i;
            ad_measure_request(&m);
        }
    }
    put(true, sizeof(whole));
    len = (size_t)(strstr(page, "# HELP process_cpu") - page);
    memcpy(whole, page, len);
    for (room = AD_METRIC_PIECE_MAX; room < 6000; room += 37) {
        put(true, room);
        CHECK(memcmp(page, whole, len) == 0);
    }
}

/* All names are as both formats ask, no series has two families, and what is said of a
 * family fits. */
static void table(void)
{
    static const char *const suffixes[] = {"", "_total", "_info", "_bucket", "_sum",
                                           "_count", "_created"};
    size_t i, k, a, b;
    char text[AD_METRIC_PIECE_MAX];

    for (i = 0; i < AD_COUNT(ad_metric_table); i++) {
        const struct ad_metric_about *about = &ad_metric_table[i].about;
        const char *unit = ad_unit_names[about->unit];
        size_t len = strlen(about->name), unit_len = strlen(unit);
        struct ad_text t = ad_text_in(text, 3 * AD_METRIC_LINE_MAX);

        CHECK(len <= 56 && strspn(about->name, "abcdefghijklmnopqrstuvwxyz_") == len);
        CHECK(unit_len == 0 || (len > unit_len + 1 && about->name[len - unit_len - 1] == '_' &&
                                strcmp(about->name + len - unit_len, unit) == 0));
        CHECK(about->labels == NULL || strlen(about->labels) <= 70);
        CHECK(strlen(about->help) > 5 && about->help[strlen(about->help) - 1] != '.' &&
              strpbrk(about->help, "\"\\\n") == NULL);
        ad_put_metric_about(&t, about, true);
        CHECK(!t.full);
        for (k = 0; k < i; k++) {
            for (a = 0; a < AD_COUNT(suffixes); a++) {
                for (b = 0; b < AD_COUNT(suffixes); b++) {
                    char x[80], y[80];

                    (void)snprintf(x, sizeof(x), "%s%s", about->name, suffixes[a]);
                    (void)snprintf(y, sizeof(y), "%s%s", ad_metric_table[k].about.name,
                                   suffixes[b]);
                    CHECK(strcmp(x, y) != 0);
                }
            }
        }
    }
}

/* The longest line there can be fits what is kept free for it. */
static void longest(void)
{
    static const double edges[AD_METRIC_EDGES] = {1.2345678901234567e-300};
    struct ad_metric_histogram h;
    struct ad_metric_sample s;
    char text[AD_METRIC_PIECE_MAX], name[AD_METRIC_VALUE_MAX + 1];
    struct ad_text t = ad_text_in(text, sizeof(text));
    size_t i;

    memset(name, '"', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    memset(&s, 0, sizeof(s));
    memset(&h, 0xFF, sizeof(h));
    h.sum = -1.2345678901234567e-300;
    s.labels[0] = s.labels[1] = s.labels[2] = name;
    s.histogram = &h;
    s.edges = edges;
    s.n_edges = AD_METRIC_EDGES;
    for (i = 0; i < AD_COUNT(ad_metric_table); i++) {
        t.len = 0;
        ad_put_metric_piece(&t, &ad_metric_table[i].about, &s, AD_METRIC_EDGES);
        CHECK(!t.full);
        t.len = 0;
        ad_put_metric_piece(&t, &ad_metric_table[i].about, &s, 0);
        CHECK(t.len <= AD_METRIC_LINE_MAX);
    }
}

/* ---- counts ---- */

/* The sum of a count over all models. */
static double all(enum ad_measure_count what)
{
    double sum = 0;
    unsigned i;

    for (i = 0; i < ad_measures.n; i++) {
        sum += (double)ad_measures.list[i].counts[what];
    }
    return sum;
}

static void models(void)
{
    char name[16];
    unsigned i;

    begin();
    for (i = 0; i < 3 * AIDASH_METRICS; i++) {
        struct ad_measured m;

        (void)snprintf(name, sizeof(name), "model-%u", i);
        m = measured(name, AD_OUTCOME_FINISHED);
        m.has_completion = true;
        m.completion = 10;
        ad_measure_request(&m);
        CHECK_EQ(all(AD_MEASURE_COMPLETION), 10 * (i + 1));
    }
    CHECK_EQ(ad_measures.n, AIDASH_METRICS + 1);
    CHECK_EQ(ad_measures.list[0].counts[AD_MEASURE_COMPLETION], 10 * 2 * AIDASH_METRICS);
    CHECK_EQ(ad_measures.list[1].counts[AD_MEASURE_COMPLETION], 10);
    CHECK_STR(ad_measures.list[1].model, "model-0"); /* it keeps its place */
    CHECK_EQ(ad_measure_of("model-0", false), 1);
    CHECK_EQ(ad_measure_of("never seen", true), 0);
    begin();
    CHECK_EQ(ad_measure_of("unknown", false), 0); /* what clients make up gets none */
    CHECK_EQ(ad_measure_of("", true), 0);
    CHECK_EQ(ad_measure_of("other", true), 0);
    CHECK_EQ(ad_measures.n, 1);
}

/* A source that begins anew, series that give way, an estimate that was too high: no
 * count falls. */
static void monotonic(void)
{
    struct ad_sample sample;
    double before = 0, before_gaps = 0;
    unsigned i;

    begin();
    for (i = 0; i < 400; i++) {
        double gaps = 0;
        unsigned k, b;

        memset(&sample, 0, sizeof(sample));
        (void)snprintf(sample.model, sizeof(sample.model), "m%u", i % 3);
        (void)snprintf(sample.node, sizeof(sample.node), "n%u", i % (AIDASH_SERIES + 7));
        if (i % 5 == 0) {
            sample.total = i % 50; /* it falls again and again */
            sample.has = AD_HAS_TOTAL | AD_HAS_LATENCY;
        } else if (i % 7 == 0) {
            sample.overcount = 9;
            sample.has = AD_HAS_TOKENS | AD_HAS_LATENCY | AD_IS_LAST;
        } else {
            sample.tokens = 3;
            sample.has = AD_HAS_TOKENS | AD_HAS_LATENCY | (i % 11 == 0 ? AD_IS_FIRST : 0u);
        }
        sample.latency_ms = i;
        ad_hub.now_ns += AD_NS_PER_MS;
        ad_tick_apply(&sample, ad_hub.now_ns);
        CHECK(all(AD_MEASURE_TICKED) >= before);
        before = all(AD_MEASURE_TICKED);
        for (k = 0; k < ad_measures.n; k++) {
            for (b = 0; b <= AD_METRIC_EDGES; b++) {
                gaps += (double)ad_measures.list[k].histograms[AD_MEASURE_GAP].buckets[b];
            }
        }
        CHECK(gaps >= before_gaps);
        before_gaps = gaps;
    }
    CHECK(before > 0 && before_gaps > 0);
    ad_measures.list[1].counts[AD_MEASURE_TICKED] = UINT64_MAX - 1;
    ad_measure_tick(1, 100, -1);
    CHECK(ad_measures.list[1].counts[AD_MEASURE_TICKED] == UINT64_MAX);
}

static void gaps(void)
{
    struct ad_sample sample;

    begin();
    memset(&sample, 0, sizeof(sample));
    memcpy(sample.model, "m", 2);
    sample.tokens = 1;
    sample.latency_ms = 50;
    sample.has = AD_HAS_TOKENS | AD_HAS_LATENCY;
    ad_tick_apply(&sample, ad_hub.now_ns);
    sample.has |= AD_IS_FIRST; /* from the arrival to the first token: not between two */
    ad_tick_apply(&sample, ad_hub.now_ns);
    sample.has = AD_HAS_TOKENS | AD_HAS_LATENCY | AD_IS_METERED | AD_IS_LAST; /* a mean */
    ad_tick_apply(&sample, ad_hub.now_ns);
    put(false, AD_METRIC_PIECE_MAX);
    CHECK(value("aidash_inter_token_latency_seconds_count{gen_ai_request_model=\"m\"}") == 1);
    CHECK(value("aidash_inter_token_latency_seconds_bucket{gen_ai_request_model=\"m\",le=\"0.05\"}") == 1);
    CHECK(value("aidash_inter_token_latency_seconds_bucket{gen_ai_request_model=\"m\",le=\"0.025\"}") == 0);
    CHECK(value("aidash_tick_tokens_total{gen_ai_request_model=\"m\"}") == 3);
    CHECK(value("aidash_ticks_total") == 3);
    CHECK(value("aidash_tokens_per_second{gen_ai_request_model=\"m\"}") > 0);
    ad_hub.now_ns += 10 * AD_NS_PER_S; /* nothing comes: the speed is 0, not the last one */
    put(false, AD_METRIC_PIECE_MAX);
    CHECK(value("aidash_tokens_per_second{gen_ai_request_model=\"m\"}") == 0);
}

/* Requests of the program that embeds aidash: one that waited, ran and finished, one
 * that was never run. */
static void own_requests(void)
{
    struct ad_own_request r;
    struct ad_sample more;
    uint64_t id;

    begin();
    put(false, AD_METRIC_PIECE_MAX);
    CHECK(isnan(value("aidash_requests_running")));
    memset(&r, 0, sizeof(r));
    memcpy(r.model, "own", 4);
    r.prompt_tokens = 7;
    id = ad_own_request_begin(&r, true, ad_hub.now_ns);
    put(false, AD_METRIC_PIECE_MAX);
    CHECK(value("aidash_requests_waiting") == 1 && value("aidash_requests_running") == 0);
    ad_hub.now_ns += 2 * AD_NS_PER_S;
    CHECK(ad_own_request_run(id, ad_hub.now_ns));
    memset(&more, 0, sizeof(more));
    more.total = id;
    more.tokens = 1;
    for (more.overcount = ad_hub.now_ns; more.overcount <= ad_hub.now_ns + 400000000;
         more.overcount += 100000000) {
        ad_own_request_progress(&more); /* five tokens, 0.1 s apart */
    }
    CHECK(ad_own_request_end(id, AIDASH_FINISHED, "", ad_hub.now_ns + AD_NS_PER_S));
    id = ad_own_request_begin(&r, true, ad_hub.now_ns);
    CHECK(ad_own_request_end(id, AIDASH_LEFT, "", ad_hub.now_ns + 4 * AD_NS_PER_S));
    put(false, AD_METRIC_PIECE_MAX);
    CHECK(value("aidash_requests_total{gen_ai_request_model=\"own\",gen_ai_operation_name=\"other\",outcome=\"finished\"}") == 1);
    CHECK(value("aidash_requests_total{gen_ai_request_model=\"own\",gen_ai_operation_name=\"other\",outcome=\"left\"}") == 1);
    CHECK(value("aidash_requests_running") == 0 && value("aidash_requests_waiting") == 0);
    CHECK(value("aidash_request_queue_seconds_sum{gen_ai_request_model=\"own\"}") == 6);
    CHECK(value("gen_ai_server_time_to_first_token_seconds_sum{gen_ai_request_model=\"own\"}") == 2);
    CHECK(value("gen_ai_server_time_to_first_token_seconds_count{gen_ai_request_model=\"own\"}") == 1);
    CHECK(fabs(value("gen_ai_server_time_per_output_token_seconds_sum{gen_ai_request_model=\"own\"}") - .1) < 1e-9);
    CHECK(value("gen_ai_server_request_duration_seconds_sum{gen_ai_request_model=\"own\"}") == 7);
    CHECK(value("aidash_prompt_tokens_total{gen_ai_request_model=\"own\"}") == 14);
    CHECK(value("aidash_completion_tokens_total{gen_ai_request_model=\"own\"}") == 5);
    CHECK(value("aidash_inter_token_latency_seconds_count{gen_ai_request_model=\"own\"}") == 4);
    CHECK(isnan(value("aidash_engine_up{engine=\"own\"}"))); /* it said nothing */
    ad_engine_say(false, AD_WORD_DOWN, "");
    put(false, AD_METRIC_PIECE_MAX);
    CHECK(value("aidash_engine_up{engine=\"own\"}") == 0);
}

/* ---- Accept ---- */

static void accept_rows(void)
{
    static const struct {
        const char *accept;
        bool open;
    } rows[] = {
        {"", false},
        {"*/*", false},
        {"text/plain", false},
        {"application/json", false},
        {"application/*", false}, /* it is not named */
        {"application/openmetrics-text", true},
        {"APPLICATION/OpenMetrics-Text; Version=1.0.0", true},
        {"application/openmetrics-text;version=\"1.0.0\"", true},
        {"application/openmetrics-text; version=2.0.0", false},
        {"application/openmetrics-text; version=2.0.0, application/openmetrics-text; version=0.0.1", true},
        {"application/openmetrics-text;q=0", false},
        {"application/openmetrics-text;q=0.000, */*", false},
        {"application/openmetrics-text;q=2", false}, /* malformed: as if it was not there */
        {"application/openmetrics-text;q=", false},
        {"application/openmetrics-text;q=0.4, text/plain;q=0.5", false},
        {"application/openmetrics-text;q=0.5, text/plain;q=0.5", true},
        {"text/plain;q=0.5, application/openmetrics-text", true},
        {"text/plain;version=0.0.4;q=0.1, text/*;q=0.9, application/openmetrics-text;q=0.5", true},
        {"text/*;q=0.9, application/openmetrics-text;q=0.5", false},
        {"*/*;q=0.9, application/openmetrics-text;q=0.5", false},
        {"*/*;q=0.1, application/openmetrics-text;q=0.5", true},
        {"text/plain;version=3, application/openmetrics-text;q=0.5", true},
        {"application/openmetrics-textual", false},
        {"application/openmetrics-text;note=\"a;version=2,q=0\"", true}, /* in a quoted string */
        {",, ,application/openmetrics-text,,", true},
        /* Prometheus 2.42 and 3 */
        {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
         "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", true},
        {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
         "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
         "text/plain;version=0.0.4;q=0.3,*/*;q=0.2", true},
        {"text/plain;version=0.0.4;q=1,*/*;q=0.1", false},
    };
    static struct ad_http_field field[AD_HTTP_FIELDS];
    size_t i;

    for (i = 0; i < AD_COUNT(rows); i++) {
        char text[512];
        struct ad_http_head head;
        int n = snprintf(text, sizeof(text),
                         "GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: %s\r\n\r\n", rows[i].accept);

        CHECK_EQ(ad_http_parse_request(&head, text, (size_t)n, field, AD_HTTP_FIELDS),
                 AD_HTTP_OK);
        CHECK_EQ(ad_metrics_open(&head.fields), rows[i].open);
        if (ad_metrics_open(&head.fields) != rows[i].open) {
            printf("    %s\n", rows[i].accept);
        }
    }
}

/* ---- the board ---- */

static void board(void)
{
#if AIDASH_BOARD
    static const char report[] =
        "\"name\":\"A \\\"B\\\"\",\"cpu\":{\"percent\":39.5,\"iowait_percent\":\"unknown\","
        "\"clock_mhz\":1510,\"cores\":[26,\"asleep\",0]},\"memory\":{\"total_bytes\":7989432320},"
        "\"temperatures\":[{\"name\":\"cpu}]\",\"celsius\":-5.25},{\"name\":\"x\",\"celsius\":\"absent\"},"
        "{\"name\":\"cpu}]\",\"celsius\":40}],"
        "\"throttling\":{\"now\":[\"throttled\"],\"since_boot\":[],\"events\":{\"under_voltage\":7},"
        "\"cooling\":[{\"name\":\"fan\",\"state\":3,\"max\":20}]},\"gpus\":[],\"npus\":[],"
        "\"power\":{\"watts\":12.64,\"scope\":\"module\",\"estimate\":false}";

    begin();
    memcpy(ad_board.newest, report, sizeof(report) - 1);
    ad_board.newest_len = sizeof(report) - 1;
    ad_board.reports++;
    put(false, AD_METRIC_PIECE_MAX);
    CHECK(value("aidash_board_info{name=\"A \\\"B\\\"\"}") == 1);
    CHECK(value("aidash_cpu_utilization_ratio") == .395);
    CHECK(strstr(page, "iowait") == NULL);
    CHECK(value("aidash_cpu_frequency_hertz") == 1510e6);
    CHECK(value("aidash_cpu_core_utilization_ratio{core=\"0\"}") == .26);
    CHECK(isnan(value("aidash_cpu_core_utilization_ratio{core=\"1\"}")));
    CHECK(value("aidash_cpu_core_utilization_ratio{core=\"2\"}") == 0);
    CHECK(value("aidash_memory_size_bytes") == 7989432320.0);
    CHECK(value("aidash_temperature_celsius{sensor=\"cpu}]\"}") == -5.25);
    CHECK(value("aidash_temperature_celsius{sensor=\"cpu}] #2\"}") == 40);
    CHECK(isnan(value("aidash_temperature_celsius{sensor=\"x\"}")));
    CHECK(value("aidash_throttled{kind=\"throttled\"}") == 1);
    CHECK(value("aidash_throttled{kind=\"under_voltage\"}") == 0);
    CHECK(value("aidash_throttled_since_boot{kind=\"throttled\"}") == 0);
    CHECK(value("aidash_throttle_events_total{kind=\"under_voltage\"}") == 7);
    CHECK(value("aidash_cooling_state_max{device=\"fan\"}") == 20);
    CHECK(value("aidash_power_watts") == 12.64);
    CHECK(strstr(page, "aidash_gpu") == NULL);
    /* What the kernel alone tells: one bit; the others are not known. */
    ad_board.newest_len = (size_t)snprintf(
        ad_board.newest, sizeof(ad_board.newest),
        "\"name\":null,\"throttling\":{\"now\":[],\"since_boot\":\"absent\",\"events\":{},\"cooling\":[]}");
    ad_board.reports++;
    put(false, AD_METRIC_PIECE_MAX);
    CHECK(value("aidash_throttled{kind=\"under_voltage\"}") == 0);
    CHECK(isnan(value("aidash_throttled{kind=\"throttled\"}")));
    CHECK(strstr(page, "aidash_board_info") == NULL);
    CHECK(strstr(page, "since_boot") == NULL);
    ad_board.newest_len = 0;
    put(false, AD_METRIC_PIECE_MAX);
    CHECK(strstr(page, "aidash_throttled") == NULL);
#endif
}

int main(void)
{
    numbers();
    labels();
    buckets();
    edges_rise();
    formats();
    pieces();
    table();
    longest();
    models();
    monotonic();
    gaps();
    own_requests();
    accept_rows();
    board();
    return check_report();
}
