/* metrics.c - all metrics: the one table of their names, types, units, labels and
 * sentences, and where each gets its numbers. docs/metrics.md is made of the table.
 * Owns ad_metrics_process. Hub thread only. Reading costs no engine anything: nothing is
 * asked for, all is what aidash knows already.
 *
 * A number that is not known has no sample, and a family without a sample is not
 * written.
 */
#ifndef AD_BOARD_METRICS_C
#define AD_BOARD_METRICS_C

#include "../base/process.c"
#include "../codec/exposition.c"
#include "../core/accept.c"
#include "../core/commands.c"
#include "../core/gauges.c"
#include "../core/measures.c"
#include "../core/nodes.c"
#include "../core/own_requests.c"
#include "../core/sources.c"
#include "../guard/throttle.c"
#include "../meter/reports.c"
#include "../meter/scrape.c"
#include "alerts.c"
#include "energy.c"
#include "numbers.c"
#include "verdict.c"

#if AIDASH_METRICS

/* A row of the table. `sample` puts sample number i, from 0 on, into *s, which is all
 * zero; false: there are no more. */
struct ad_metric {
    struct ad_metric_about about;
    bool (*sample)(const struct ad_metric *m, unsigned i, struct ad_metric_sample *s);
    const char *path; /* where in the board's report; NULL: it is not from there */
    uint8_t which;    /* what of it, as `sample` understands it */
};

/* The process, as it was when the first of its metrics was read. */
static struct ad_process ad_metrics_process;

static bool ad_metric_number(struct ad_metric_sample *s, double number)
{
    s->is_number = true;
    s->number = number;
    return true;
}

/* ---- by model ---- */

static bool ad_metric_histogram_of(const struct ad_metric *m, unsigned i,
                                   struct ad_metric_sample *s)
{
    unsigned which = m->which, k;

    if (which == AD_MEASURE_INPUT) { /* and of the answer, by a label */
        which += i % 2;
        i /= 2;
        s->labels[1] = which == AD_MEASURE_INPUT ? "input" : "output";
    }
    if (i >= ad_measures.n) {
        return false;
    }
    s->labels[0] = ad_measures.list[i].model;
    s->histogram = &ad_measures.list[i].histograms[which];
    s->edges = ad_measure_edges[which].edges;
    s->n_edges = ad_measure_edges[which].n;
    s->absent = true;
    for (k = 0; k <= s->n_edges; k++) {
        s->absent = s->absent && s->histogram->buckets[k] == 0;
    }
    return true;
}

/* All outcomes of a kind of work that there was. */
static bool ad_metric_requests(const struct ad_metric *m, unsigned i,
                               struct ad_metric_sample *s)
{
    unsigned outcome = i % AD_OUTCOMES, operation = i / AD_OUTCOMES % AD_OPERATIONS;
    unsigned model = i / AD_OUTCOMES / AD_OPERATIONS, k;
    const uint64_t *counts;

    (void)m;
    if (model >= ad_measures.n) {
        return false;
    }
    counts = ad_measures.list[model].requests[operation];
    s->labels[0] = ad_measures.list[model].model;
    s->labels[1] = ad_operation_names[operation];
    s->labels[2] = ad_outcome_names[outcome];
    s->count = counts[outcome];
    s->absent = true;
    for (k = 0; k < AD_OUTCOMES; k++) {
        s->absent = s->absent && counts[k] == 0;
    }
    return true;
}

static bool ad_metric_tokens(const struct ad_metric *m, unsigned i,
                             struct ad_metric_sample *s)
{
    if (i >= ad_measures.n) {
        return false;
    }
    s->labels[0] = ad_measures.list[i].model;
    s->count = ad_measures.list[i].counts[m->which];
    s->absent = !ad_measures.list[i].counted[m->which];
    return true;
}

/* The speed of all that count for a model now; 0 when nothing comes. */
static bool ad_metric_speed(const struct ad_metric *m, unsigned i,
                            struct ad_metric_sample *s)
{
    double sum = 0;
    unsigned k;

    (void)m;
    if (i >= ad_measures.n) {
        return false;
    }
    s->labels[0] = ad_measures.list[i].model;
    s->absent = true;
    for (k = 0; k < ad_ticks.n_series; k++) {
        const struct ad_series *one = &ad_ticks.series[k];

        if (one->measure == i) {
            s->absent = false;
            if (ad_hub.now_ns < one->last_ns + AD_RATE_WINDOW_MS * AD_NS_PER_MS) {
                sum += ad_rate_get(&one->rate, ad_hub.now_ns > one->last_ns
                                                   ? ad_hub.now_ns : one->last_ns);
            }
        }
    }
    return ad_metric_number(s, sum);
}

/* ---- the engine ---- */

static bool ad_metric_load(const struct ad_metric *m, unsigned i,
                           struct ad_metric_sample *s)
{
    bool waiting = m->which == 1;

    if (i > 0) {
        return false;
    }
#if AIDASH_METER
    if (ad_sources.source == AD_SOURCE_METER) {
        s->count = waiting ? ad_proxying.n_queued : ad_proxying.n_running;
        return true;
    }
#endif
    s->absent = ad_own_requests.ids == 0;
    s->count = ad_own_requests_count(waiting);
    return true;
}

/* Those behind the proxy; or the one whose page is read; or else the one that the
 * program which embeds aidash tells of. */
static bool ad_metric_engine(const struct ad_metric *m, unsigned i,
                             struct ad_metric_sample *s)
{
    (void)m;
#if AIDASH_METER
    if (i == 0 && ad_scrape.on && ad_upstreams.n == 0) {
        s->labels[0] = ad_scrape.upstream.url.authority;
        s->count = !ad_scrape.down;
        return true;
    }
    if (i < ad_upstreams.n) {
        s->labels[0] = ad_upstreams.list[i].name[0] != '\0'
                           ? ad_upstreams.list[i].name
                           : ad_upstreams.list[i].url.authority;
        s->absent = !ad_upstreams.state[i].known;
        s->count = ad_upstreams.state[i].up;
        return true;
    }
    if (ad_upstreams.n > 0 || ad_scrape.on) {
        return false;
    }
#endif
    s->labels[0] = "own";
    s->absent = ad_engine.word == AD_WORD_NONE;
    s->count = ad_engine.word == AD_WORD_UP;
    return i == 0;
}

static bool ad_metric_model(const struct ad_metric *m, unsigned i,
                            struct ad_metric_sample *s)
{
    (void)m;
    s->labels[0] = ad_model_name();
    s->absent = s->labels[0][0] == '\0';
    s->count = 1;
    return i == 0;
}

/* ---- what is made of it ---- */

#if AIDASH_METER && AIDASH_BASELINES

/* Verdicts that hold: 1; those that do not have no sample. Two engines may have the same
 * one of the same model. */
static bool ad_metric_slow(const struct ad_metric *m, unsigned i,
                           struct ad_metric_sample *s)
{
    const struct ad_verdict *v = ad_verdicts.list;
    unsigned k;

    (void)m;
    if (i >= AD_COUNT(ad_verdicts.list)) {
        return false;
    }
    s->labels[0] = v[i].model;
    s->labels[1] = v[i].figure == AD_FIGURE_WAIT ? "wait" : "decode";
    s->labels[2] = ad_cause_names[v[i].cause];
    s->absent = !v[i].on;
    s->count = 1;
    for (k = 0; k < i; k++) {
        s->absent = s->absent || (v[k].on && v[k].figure == v[i].figure &&
                                  v[k].cause == v[i].cause &&
                                  strcmp(v[k].model, v[i].model) == 0);
    }
    return true;
}

#endif

#if AIDASH_METER && AIDASH_ENERGY

/* All joules since the start, or those of the requests; none before power was known. */
static bool ad_metric_energy(const struct ad_metric *m, unsigned i,
                             struct ad_metric_sample *s)
{
    s->absent = !(ad_energy.known_s > 0);
    return ad_metric_number(s, m->which == 0 ? ad_energy.total_j
                                             : ad_energy.requests_j) && i == 0;
}

#endif

#if AIDASH_ALERTS

/* One whose value is not known has no sample. Of two rules of one name, the first. */
static bool ad_metric_alert(const struct ad_metric *m, unsigned i,
                            struct ad_metric_sample *s)
{
    unsigned k;

    (void)m;
    if (i >= ad_alerts.n) {
        return false;
    }
    s->labels[0] = ad_alerts.rules[i].name;
    s->absent = !ad_alerts.states[i].known;
    s->count = ad_alerts.states[i].firing;
    for (k = 0; k < i; k++) {
        s->absent = s->absent ||
                    strcmp(ad_alerts.rules[k].name, ad_alerts.rules[i].name) == 0;
    }
    return true;
}

#endif

/* ---- aidash itself ---- */

/* What has one sample, without labels. */
enum ad_metric_scalar {
    AD_SCALAR_PAUSED,
    AD_SCALAR_REFUSED,
    AD_SCALAR_TICKS,
    AD_SCALAR_EVENTS,
    AD_SCALAR_STALLED,
    AD_SCALAR_SENT,
    AD_SCALAR_RECEIVED,
    AD_SCALAR_CONNECTIONS,
    AD_SCALAR_TURNED_AWAY,
    AD_SCALAR_COMMANDS,
    AD_SCALAR_COMMAND_ERRORS,
    AD_SCALAR_LINES,
    AD_SCALAR_LINE_ERRORS
};

static bool ad_metric_scalar(const struct ad_metric *m, unsigned i,
                             struct ad_metric_sample *s)
{
    switch ((enum ad_metric_scalar)m->which) {
    case AD_SCALAR_PAUSED: s->count = ad_engine.paused; break;
    case AD_SCALAR_REFUSED:
#if AIDASH_METER
        s->count = ad_proxying.refused;
        s->absent = ad_sources.source != AD_SOURCE_METER;
#else
        s->absent = true;
#endif
        break;
    case AD_SCALAR_TICKS: s->count = ad_ticks.count; break;
    case AD_SCALAR_EVENTS: s->count = ad_feed.next - 1; break;
    case AD_SCALAR_STALLED: s->count = ad_fanout.stalled; break;
    case AD_SCALAR_SENT: s->count = ad_hub.bytes_sent; break;
    case AD_SCALAR_RECEIVED: s->count = ad_hub.bytes_received; break;
    case AD_SCALAR_CONNECTIONS: s->count = ad_acceptor.accepted; break;
    case AD_SCALAR_TURNED_AWAY: s->count = atomic_load(&ad_pendings.refused); break;
    case AD_SCALAR_COMMANDS: s->count = ad_commands.count; break;
    case AD_SCALAR_COMMAND_ERRORS: s->count = ad_commands.errors; break;
    case AD_SCALAR_LINES: s->count = ad_sources.lines; break;
    case AD_SCALAR_LINE_ERRORS: s->count = ad_sources.errors; break;
    }
    return i == 0;
}

/* One sample for each of a few words. */
static bool ad_metric_words(struct ad_metric_sample *s, unsigned i, unsigned n,
                            const char *const *words, const uint64_t *counts)
{
    if (i >= n) {
        return false;
    }
    s->labels[0] = words[i];
    s->count = counts[i];
    return true;
}

static bool ad_metric_viewers(const struct ad_metric *m, unsigned i,
                              struct ad_metric_sample *s)
{
    static const char *const words[] = {"websocket", "batch", "sse"};
    const uint64_t counts[] = {ad_slots.n_kind[AD_WS], ad_slots.n_kind[AD_WS_BATCH],
                               ad_slots.n_kind[AD_SSE]};

    (void)m;
    return ad_metric_words(s, i, AD_COUNT(words), words, counts);
}

/* What a blocked viewer misses is counted when it is told: a count never falls. */
static bool ad_metric_dropped(const struct ad_metric *m, unsigned i,
                              struct ad_metric_sample *s)
{
    static const char *const words[] = {"viewer", "inbox", "paused"};
    const uint64_t counts[] = {ad_fanout.dropped, atomic_load(&ad_inbox.dropped),
                               ad_ticks.paused_dropped};

    (void)m;
    return ad_metric_words(s, i, AD_COUNT(words), words, counts);
}

#if AIDASH_NODES

static bool ad_metric_nodes(const struct ad_metric *m, unsigned i,
                            struct ad_metric_sample *s)
{
    uint64_t counts[AD_COUNT(ad_node_states)] = {0};
    unsigned k;

    (void)m;
    for (k = 0; k < ad_nodes.n; k++) {
        counts[ad_nodes.list[k].state]++;
    }
    s->absent = ad_nodes.n == 0;
    return ad_metric_words(s, i, AD_COUNT(counts), ad_node_states, counts);
}

static bool ad_metric_relayed(const struct ad_metric *m, unsigned i,
                              struct ad_metric_sample *s)
{
    static const char *const words[] = {"taken", "double", "ignored", "refused"};
    const uint64_t counts[] = {ad_nodes.events, ad_nodes.doubles,
                               ad_nodes.foreign + ad_nodes.nowhere,
                               atomic_load(&ad_relay_ring.refused)};

    (void)m;
    s->absent = ad_nodes.n == 0;
    return ad_metric_words(s, i, AD_COUNT(words), words, counts);
}

#endif

static bool ad_metric_limited(const struct ad_metric *m, unsigned i,
                              struct ad_metric_sample *s)
{
    static const char *const words[] = {"connections", "commands", "credentials"};
    const uint64_t counts[] = {ad_throttles.beyond[AD_BUDGET_CONNECT],
                               ad_commands.limited,
                               ad_throttles.beyond[AD_BUDGET_FAIL]};

    (void)m;
    return ad_metric_words(s, i, AD_COUNT(words), words, counts);
}

#if AIDASH_TLS

static bool ad_metric_tls(const struct ad_metric *m, unsigned i,
                          struct ad_metric_sample *s)
{
    const uint64_t counts[] = {ad_pumps.open, ad_pumps.accepted, ad_pumps.failed};

    s->count = counts[m->which];
    s->absent = !ad_pumps.serving;
    return i == 0;
}

#endif

static bool ad_metric_gauge(const struct ad_metric *m, unsigned i,
                            struct ad_metric_sample *s)
{
    (void)m;
    if (i >= ad_gauges.n) {
        return false;
    }
    s->labels[0] = ad_gauges.list[i].name;
    s->labels[1] = ad_gauges.list[i].unit;
    return ad_metric_number(s, ad_gauges.list[i].value);
}

static bool ad_metric_process(const struct ad_metric *m, unsigned i,
                              struct ad_metric_sample *s)
{
    const double *const numbers[] = {
        &ad_metrics_process.cpu_s, &ad_metrics_process.resident_bytes,
        &ad_metrics_process.open_fds, &ad_metrics_process.max_fds};

    if (i == 0 && m->which == 0) {
        ad_process_read(&ad_metrics_process);
    }
    s->absent = *numbers[m->which] < 0;
    return ad_metric_number(s, *numbers[m->which]) && i == 0;
}

static bool ad_metric_start(const struct ad_metric *m, unsigned i,
                            struct ad_metric_sample *s)
{
    (void)m;
    return ad_metric_number(s, (double)ad_hub.start_us / 1e6) && i == 0;
}

static bool ad_metric_build(const struct ad_metric *m, unsigned i,
                            struct ad_metric_sample *s)
{
    (void)m;
    s->labels[0] = AIDASH_VERSION;
    s->count = 1;
    return i == 0;
}

/* ---- the board ---- */

#if AIDASH_BOARD

static bool ad_metric_board_info(const struct ad_metric *m, unsigned i,
                                 struct ad_metric_sample *s)
{
    struct ad_slice rest = {ad_board.newest, ad_board.newest_len}, key, value;

    (void)m;
    s->labels[0] = s->text;
    s->count = 1;
    s->absent = !ad_board_member(&rest, &key, &value) ||
                !ad_json_text(value, s->text, AD_METRIC_VALUE_MAX);
    return i == 0;
}

/* The label is the sensor's name, with a number if the board has several of it; a
 * core's is its number. */
static bool ad_metric_board(const struct ad_metric *m, unsigned i,
                            struct ad_metric_sample *s)
{
    /* From the report's percent and MHz. */
    static const double scales[AD_METRIC_UNITS] = {1, 1, 1, .01, 1e6, 1, 1, 1, 1};
    const struct ad_board_number *n = ad_board_number(m->path, i);

    if (n == NULL) {
        return false;
    }
    if (n->name == NULL) {
        (void)snprintf(s->text, sizeof(s->text), "%u", n->index);
    } else if (n->again > 0) {
        (void)snprintf(s->text, sizeof(s->text), "%.*s #%u", (int)n->name_len, n->name,
                       n->again + 1u);
    } else {
        (void)snprintf(s->text, sizeof(s->text), "%.*s", (int)n->name_len, n->name);
    }
    s->labels[0] = s->text;
    return ad_metric_number(s, n->value * scales[m->about.unit]);
}

#endif

/* ---- the table ---- */

/* Each row: name, labels, sentence, type, unit; then where its numbers come from.
 * tests/metrics.mjs reads it, row by row. */
/* clang-format off */
static const struct ad_metric ad_metric_table[] = {
    /* requests, by model */
    {{"gen_ai_server_time_to_first_token_seconds", "gen_ai_request_model", "Time from a request's arrival to its first token",
      AD_METRIC_HISTOGRAM, AD_METRIC_IN_SECONDS},
     ad_metric_histogram_of, NULL, AD_MEASURE_TTFT},
    {{"gen_ai_server_time_per_output_token_seconds", "gen_ai_request_model", "Mean time a token behind the first one, of each request that finished",
      AD_METRIC_HISTOGRAM, AD_METRIC_IN_SECONDS},
     ad_metric_histogram_of, NULL, AD_MEASURE_TOKEN},
    {{"gen_ai_server_request_duration_seconds", "gen_ai_request_model", "Time from a request's arrival to its end, however it ended",
      AD_METRIC_HISTOGRAM, AD_METRIC_IN_SECONDS},
     ad_metric_histogram_of, NULL, AD_MEASURE_DURATION},
    {{"gen_ai_client_token_usage", "gen_ai_request_model,gen_ai_token_type", "Tokens of each prompt (input) and each answer (output)",
      AD_METRIC_HISTOGRAM, AD_METRIC_IN_NONE},
     ad_metric_histogram_of, NULL, AD_MEASURE_INPUT},
    {{"aidash_inter_token_latency_seconds", "gen_ai_request_model", "Time between tokens: the latency of each tick but those of first tokens",
      AD_METRIC_HISTOGRAM, AD_METRIC_IN_SECONDS},
     ad_metric_histogram_of, NULL, AD_MEASURE_GAP},
    {{"aidash_request_queue_seconds", "gen_ai_request_model", "Time in aidash's queue, and in the engine's where that is known",
      AD_METRIC_HISTOGRAM, AD_METRIC_IN_SECONDS},
     ad_metric_histogram_of, NULL, AD_MEASURE_QUEUE},
    {{"aidash_requests", "gen_ai_request_model,gen_ai_operation_name,outcome", "Requests that ended: finished, cut, failed, refused, or left by the client",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_requests, NULL, 0},
    {{"aidash_prompt_tokens", "gen_ai_request_model", "Tokens of prompts, as the engine counted them, cached ones included",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_tokens, NULL, AD_MEASURE_PROMPT},
    {{"aidash_cached_tokens", "gen_ai_request_model", "Tokens of prompts that were in the engine's cache",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_tokens, NULL, AD_MEASURE_CACHED},
    {{"aidash_completion_tokens", "gen_ai_request_model", "Tokens of the answers of requests that ended",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_tokens, NULL, AD_MEASURE_COMPLETION},
    {{"aidash_tick_tokens", "gen_ai_request_model", "Tokens as they come, an estimate until a request ends; from every source",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_tokens, NULL, AD_MEASURE_TICKED},
    {{"aidash_tokens_per_second", "gen_ai_request_model", "Speed over the last two seconds, of all requests together",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_speed, NULL, 0},
    /* the engine */
    {{"aidash_requests_running", NULL, "Requests that the engine works on",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_load, NULL, 0},
    {{"aidash_requests_waiting", NULL, "Requests in aidash's queue",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_load, NULL, 1},
    {{"aidash_requests_refused", NULL, "Requests for which there was no place",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_scalar, NULL, AD_SCALAR_REFUSED},
    {{"aidash_engine_up", "engine", "Does the engine answer: 1, or 0",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_engine, NULL, 0},
    {{"aidash_paused", NULL, "Is the engine paused: 1, or 0",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_scalar, NULL, AD_SCALAR_PAUSED},
    {{"aidash_model", "gen_ai_request_model", "The active model",
      AD_METRIC_INFO, AD_METRIC_IN_NONE},
     ad_metric_model, NULL, 0},
    {{"aidash_value", "name,unit", "A value that the engine's side set: aidash_gauge(), or gauge lines",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_gauge, NULL, 0},
    /* what is made of it */
#if AIDASH_METER && AIDASH_BASELINES
    {{"aidash_slow", "gen_ai_request_model,figure,cause", "A verdict: this figure of the model is slower than usual; absent where it is not",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_slow, NULL, 0},
#endif
#if AIDASH_METER && AIDASH_ENERGY
    {{"aidash_energy_joules", NULL, "Energy since aidash was started, while the power was known",
      AD_METRIC_COUNTER, AD_METRIC_IN_JOULES},
     ad_metric_energy, NULL, 0},
    {{"aidash_requests_energy_joules", NULL, "What of it requests took, less what the board takes at rest",
      AD_METRIC_COUNTER, AD_METRIC_IN_JOULES},
     ad_metric_energy, NULL, 1},
#endif
#if AIDASH_ALERTS
    {{"aidash_alert_firing", "alert", "Does the alert fire: 1, or 0",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_alert, NULL, 0},
#endif
    /* the stream */
    {{"aidash_viewers", "kind", "Viewers that are connected: WebSockets, those with batches, server-sent events",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_viewers, NULL, 0},
    {{"aidash_ticks", NULL, "Ticks sent",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_scalar, NULL, AD_SCALAR_TICKS},
    {{"aidash_events", NULL, "Events of all kinds sent",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_scalar, NULL, AD_SCALAR_EVENTS},
    {{"aidash_dropped", "what", "Events that slow viewers missed, samples that found the inbox full, ticks while paused",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_dropped, NULL, 0},
    {{"aidash_viewers_stalled", NULL, "Viewers that were closed as they did not read",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_scalar, NULL, AD_SCALAR_STALLED},
    {{"aidash_sent_bytes", NULL, "Bytes sent to clients",
      AD_METRIC_COUNTER, AD_METRIC_IN_BYTES},
     ad_metric_scalar, NULL, AD_SCALAR_SENT},
    {{"aidash_received_bytes", NULL, "Bytes received from clients",
      AD_METRIC_COUNTER, AD_METRIC_IN_BYTES},
     ad_metric_scalar, NULL, AD_SCALAR_RECEIVED},
    {{"aidash_connections", NULL, "Connections accepted",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_scalar, NULL, AD_SCALAR_CONNECTIONS},
    {{"aidash_connections_refused", NULL, "Connections and requests refused",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_scalar, NULL, AD_SCALAR_TURNED_AWAY},
    {{"aidash_limited", "what", "Connections, commands and wrong credentials beyond their limits",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_limited, NULL, 0},
    {{"aidash_commands", NULL, "Commands",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_scalar, NULL, AD_SCALAR_COMMANDS},
    {{"aidash_command_errors", NULL, "Commands that were wrong",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_scalar, NULL, AD_SCALAR_COMMAND_ERRORS},
    {{"aidash_ingest_lines", NULL, "Lines of samples taken",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_scalar, NULL, AD_SCALAR_LINES},
    {{"aidash_ingest_errors", NULL, "Lines of samples that were wrong",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_scalar, NULL, AD_SCALAR_LINE_ERRORS},
#if AIDASH_NODES
    {{"aidash_nodes", "state", "Other boards that this gateway knows: live, stale, gone",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_nodes, NULL, 0},
    {{"aidash_relayed", "what", "Events of other boards: taken, double, ignored (of a third board, or without a place), refused",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_relayed, NULL, 0},
#endif
#if AIDASH_TLS
    {{"aidash_tls_sessions", NULL, "TLS sessions that are open",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_tls, NULL, 0},
    {{"aidash_tls_handshakes", NULL, "TLS handshakes that were done with clients",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_tls, NULL, 1},
    {{"aidash_tls_handshake_failures", NULL, "TLS handshakes that failed",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_tls, NULL, 2},
#endif
#if AIDASH_BOARD
    /* the board */
    {{"aidash_board", "name", "The board",
      AD_METRIC_INFO, AD_METRIC_IN_NONE},
     ad_metric_board_info, NULL, 0},
    {{"aidash_cpu_utilization_ratio", NULL, "Share of the CPU's time that is used, 0 to 1",
      AD_METRIC_GAUGE, AD_METRIC_IN_RATIO},
     ad_metric_board, "cpu.percent", 0},
    {{"aidash_cpu_iowait_ratio", NULL, "Share of the CPU's time that waits for disks",
      AD_METRIC_GAUGE, AD_METRIC_IN_RATIO},
     ad_metric_board, "cpu.iowait_percent", 0},
    {{"aidash_cpu_steal_ratio", NULL, "Share of the CPU's time that the host took",
      AD_METRIC_GAUGE, AD_METRIC_IN_RATIO},
     ad_metric_board, "cpu.steal_percent", 0},
    {{"aidash_cpu_core_utilization_ratio", "core", "Share of a core's time that is used",
      AD_METRIC_GAUGE, AD_METRIC_IN_RATIO},
     ad_metric_board, "cpu.cores", 0},
    {{"aidash_cpu_frequency_hertz", NULL, "Clock of the fastest cores now",
      AD_METRIC_GAUGE, AD_METRIC_IN_HERTZ},
     ad_metric_board, "cpu.clock_mhz", 0},
    {{"aidash_cpu_frequency_max_hertz", NULL, "Clock that they may have",
      AD_METRIC_GAUGE, AD_METRIC_IN_HERTZ},
     ad_metric_board, "cpu.clock_max_mhz", 0},
    {{"aidash_load_average", NULL, "Load average of a minute",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_board, "cpu.load", 0},
    {{"aidash_cpus", NULL, "Cores that are on",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_board, "cpu.count", 0},
    {{"aidash_memory_size_bytes", NULL, "Memory of the board",
      AD_METRIC_GAUGE, AD_METRIC_IN_BYTES},
     ad_metric_board, "memory.total_bytes", 0},
    {{"aidash_memory_available_bytes", NULL, "Memory that programs can have",
      AD_METRIC_GAUGE, AD_METRIC_IN_BYTES},
     ad_metric_board, "memory.available_bytes", 0},
    {{"aidash_swap_size_bytes", NULL, "Swap space",
      AD_METRIC_GAUGE, AD_METRIC_IN_BYTES},
     ad_metric_board, "memory.swap_total_bytes", 0},
    {{"aidash_swap_used_bytes", NULL, "Swap space that is used",
      AD_METRIC_GAUGE, AD_METRIC_IN_BYTES},
     ad_metric_board, "memory.swap_used_bytes", 0},
    {{"aidash_temperature_celsius", "sensor", "Temperature",
      AD_METRIC_GAUGE, AD_METRIC_IN_CELSIUS},
     ad_metric_board, "temperatures.celsius", 0},
    {{"aidash_throttled", "kind", "Is the board throttled now: 1, or 0",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_board, "throttling.now", 0},
    {{"aidash_throttled_since_boot", "kind", "Was the board throttled since it was started: 1, or 0",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_board, "throttling.since_boot", 0},
    {{"aidash_throttle_events", "kind", "Under-voltage and over-current events since the board was started",
      AD_METRIC_COUNTER, AD_METRIC_IN_NONE},
     ad_metric_board, "throttling.events", 0},
    {{"aidash_cooling_state", "device", "How much a cooling device does, 0 to its most",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_board, "cooling.state", 0},
    {{"aidash_cooling_state_max", "device", "The most that a cooling device does",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_board, "cooling.max", 0},
    {{"aidash_gpu_utilization_ratio", "gpu", "Share of a GPU's time that is used",
      AD_METRIC_GAUGE, AD_METRIC_IN_RATIO},
     ad_metric_board, "gpus.percent", 0},
    {{"aidash_gpu_compute_utilization_ratio", "gpu", "Share of a GPU's time that its compute queue is used",
      AD_METRIC_GAUGE, AD_METRIC_IN_RATIO},
     ad_metric_board, "gpus.compute_percent", 0},
    {{"aidash_gpu_frequency_hertz", "gpu", "Clock of a GPU",
      AD_METRIC_GAUGE, AD_METRIC_IN_HERTZ},
     ad_metric_board, "gpus.clock_mhz", 0},
    {{"aidash_gpu_memory_used_bytes", "gpu", "Memory of a GPU that is used",
      AD_METRIC_GAUGE, AD_METRIC_IN_BYTES},
     ad_metric_board, "gpus.memory_used_bytes", 0},
    {{"aidash_gpu_memory_size_bytes", "gpu", "Memory of a GPU",
      AD_METRIC_GAUGE, AD_METRIC_IN_BYTES},
     ad_metric_board, "gpus.memory_total_bytes", 0},
    {{"aidash_gpu_temperature_celsius", "gpu", "Temperature of a GPU",
      AD_METRIC_GAUGE, AD_METRIC_IN_CELSIUS},
     ad_metric_board, "gpus.celsius", 0},
    {{"aidash_gpu_power_watts", "gpu", "Power that a GPU takes",
      AD_METRIC_GAUGE, AD_METRIC_IN_WATTS},
     ad_metric_board, "gpus.watts", 0},
    {{"aidash_npu_utilization_ratio", "npu", "Share of an NPU's time that is used",
      AD_METRIC_GAUGE, AD_METRIC_IN_RATIO},
     ad_metric_board, "npus.percent", 0},
    {{"aidash_npu_frequency_hertz", "npu", "Clock of an NPU",
      AD_METRIC_GAUGE, AD_METRIC_IN_HERTZ},
     ad_metric_board, "npus.clock_mhz", 0},
    {{"aidash_rail_power_watts", "rail", "Power on a rail",
      AD_METRIC_GAUGE, AD_METRIC_IN_WATTS},
     ad_metric_board, "rails.watts", 0},
    {{"aidash_power_watts", NULL, "Power that the board takes, as far as its sensors reach",
      AD_METRIC_GAUGE, AD_METRIC_IN_WATTS},
     ad_metric_board, "power.watts", 0},
    {{"aidash_fan_speed_rpm", "fan", "Turns of a fan a minute",
      AD_METRIC_GAUGE, AD_METRIC_IN_RPM},
     ad_metric_board, "fans.rpm", 0},
    {{"aidash_fan_duty_ratio", "fan", "How much of its speed a fan is to have, 0 to 1",
      AD_METRIC_GAUGE, AD_METRIC_IN_RATIO},
     ad_metric_board, "fans.percent", 0},
    {{"aidash_disk_size_bytes", NULL, "Size of the root file system",
      AD_METRIC_GAUGE, AD_METRIC_IN_BYTES},
     ad_metric_board, "disk.total_bytes", 0},
    {{"aidash_disk_free_bytes", NULL, "Space on the root file system that is left",
      AD_METRIC_GAUGE, AD_METRIC_IN_BYTES},
     ad_metric_board, "disk.free_bytes", 0},
    {{"aidash_network_received_bytes_per_second", "interface", "Bytes that a network interface received, a second",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_board, "networks.received_bytes_per_second", 0},
    {{"aidash_network_sent_bytes_per_second", "interface", "Bytes that a network interface sent, a second",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_board, "networks.sent_bytes_per_second", 0},
#endif
    /* the process; the first of them reads all */
    {{"process_cpu_seconds", NULL, "CPU time, user and system",
      AD_METRIC_COUNTER, AD_METRIC_IN_SECONDS},
     ad_metric_process, NULL, 0},
    {{"process_resident_memory_bytes", NULL, "Resident memory",
      AD_METRIC_GAUGE, AD_METRIC_IN_BYTES},
     ad_metric_process, NULL, 1},
    {{"process_open_fds", NULL, "Open files",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_process, NULL, 2},
    {{"process_max_fds", NULL, "Files that may be open",
      AD_METRIC_GAUGE, AD_METRIC_IN_NONE},
     ad_metric_process, NULL, 3},
    {{"process_start_time_seconds", NULL, "When aidash was started, Unix time",
      AD_METRIC_GAUGE, AD_METRIC_IN_SECONDS},
     ad_metric_start, NULL, 0},
    {{"aidash_build", "version", "Which aidash this is",
      AD_METRIC_INFO, AD_METRIC_IN_NONE},
     ad_metric_build, NULL, 0},
};
/* clang-format on */

/* ---- the page ---- */

/* How far it is: a family, one of its samples, a piece of that, and whether the lines
 * about the family were written. All zero: at the beginning. */
struct ad_metrics_place {
    unsigned family, sample, piece;
    bool told;
};

/* Write as many pieces as fit *t; false: the page has ended. `open`: in OpenMetrics. */
static bool ad_metrics_put(struct ad_text *t, struct ad_metrics_place *at, bool open)
{
    while (at->family < AD_COUNT(ad_metric_table)) {
        const struct ad_metric *m = &ad_metric_table[at->family];
        struct ad_metric_sample s;

        if (t->cap - t->len < AD_METRIC_PIECE_MAX) {
            return true;
        }
        memset(&s, 0, sizeof(s));
        if (!m->sample(m, at->sample, &s)) {
            at->family++;
            at->sample = at->piece = 0;
            at->told = false;
            continue;
        }
        if (!s.absent && !at->told) {
            ad_put_metric_about(t, &m->about, open);
            at->told = true;
            continue;
        }
        if (!s.absent) {
            ad_put_metric_piece(t, &m->about, &s, at->piece);
        }
        if (s.absent || ++at->piece >= ad_metric_pieces(&s)) {
            at->sample++;
            at->piece = 0;
        }
    }
    if (open) {
        if (t->cap - t->len < AD_METRIC_PIECE_MAX) {
            return true;
        }
        ad_puts(t, "# EOF\n");
    }
    return false;
}

#endif /* AIDASH_METRICS */

#endif
