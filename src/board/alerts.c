/* alerts.c - the rules' values, once a second; the event `alert`; GET /alerts and what
 * /status has of it.
 * Owns ad_alerts. Hub thread only, but for ad_alerts_add() while starting.
 * Always: nothing is measured for an alert: its values are those that are there.
 */
#ifndef AD_BOARD_ALERTS_C
#define AD_BOARD_ALERTS_C

#include "../base/sorted.c"
#include "../core/gauges.c"
#include "../core/own_requests.c"
#include "../meter/scrape.c"
#include "alert_rules.c"
#include "history.c"
#include "verdict.c"

#if AIDASH_ALERTS

enum {
    AD_ALERT_WINDOW_S = 60,    /* of requests, errors and times to a first token */
    AD_ALERT_FIRSTS = 64,      /* of these, so many at most */
    AD_ALERT_BOARD_S = 5,      /* a report of the board counts for so long */
    AD_ALERT_SETTLE_S = 10,    /* after a model's switch or load */
    AD_ALERT_HOLD_MAX_S = 300, /* longer a hold does not last */
    AD_ALERT_SENTENCE = 256 + 2 * AD_ALERT_WHICH_MAX, /* bytes at most, unescaped */
    AD_ALERT_JSON_MAX = 512 + 2 * (AD_ALERT_NAME_MAX + AD_ALERT_WHICH_MAX +
                                   AD_ALERT_TEXT_MAX + AD_ALERT_SENTENCE)
};

/* A rule fires, or is over. */
struct ad_alert_news {
    uint8_t rule; /* its place */
    bool firing;
    bool test;    /* of `aidash alert test` */
    double value;
    uint64_t since_us, time_us; /* Unix time: it went beyond; it fired or was over */
};

static struct {
    unsigned n;                                 /* [I] */
    struct ad_alert_rule rules[AIDASH_ALERTS];  /* [I] */
    void (*tell)(const struct ad_alert_news *news); /* [I] who sends it on; or NULL */
    struct ad_alert_state states[AIDASH_ALERTS];
    /* The requests of the last minute, by its seconds. */
    uint64_t second; /* of the hub's clock */
    uint16_t requests[AD_ALERT_WINDOW_S], errors[AD_ALERT_WINDOW_S];
    struct {
        uint64_t at_ns;
        double ms;
    } firsts[AD_ALERT_FIRSTS];
    unsigned n_firsts;   /* ever */
    uint64_t own_ended;  /* of ad_own_requests, as counted here */
    uint64_t running_ns; /* since when requests run; 0: none does */
    uint64_t board_ns;   /* of the board's report; 0: none */
    /* The hold. */
    char model[AIDASH_MODEL_MAX + 1];
    uint64_t settled_ns; /* a switch or a load ends */
    uint64_t hold_ns;    /* when the hold began; 0: there is none */
    bool held;
#if AIDASH_BOARD
    struct ad_board_figures board;
#endif
} ad_alerts;

/* ---- what comes in ---- */

/* Seconds that are over are emptied. */
static void ad_alerts_turn(void)
{
    uint64_t second = ad_hub.now_ns / AD_NS_PER_S;
    unsigned n = 0;

    while (ad_alerts.second < second && n++ < AD_ALERT_WINDOW_S) {
        ad_alerts.second++;
        ad_alerts.requests[ad_alerts.second % AD_ALERT_WINDOW_S] = 0;
        ad_alerts.errors[ad_alerts.second % AD_ALERT_WINDOW_S] = 0;
    }
    ad_alerts.second = second;
}

/* A request is over; first_ms: its time to the first token, -1: none. */
static void ad_alerts_count(bool failed, double first_ms)
{
    unsigned at = (unsigned)(ad_alerts.second % AD_ALERT_WINDOW_S);

    if (ad_alerts.requests[at] < UINT16_MAX) {
        ad_alerts.requests[at]++;
        ad_alerts.errors[at] = (uint16_t)(ad_alerts.errors[at] + failed);
    }
    if (first_ms >= 0) {
        ad_alerts.firsts[ad_alerts.n_firsts % AD_ALERT_FIRSTS].at_ns = ad_hub.now_ns;
        ad_alerts.firsts[ad_alerts.n_firsts++ % AD_ALERT_FIRSTS].ms = first_ms;
    }
}

#if AIDASH_METER

/* A proxied request is over. */
static void ad_alerts_request(const struct ad_proxy *p, const char *status,
                              const struct ad_proxy_figures *f)
{
    if (!p->request.bench) {
        ad_alerts_turn();
        ad_alerts_count(strcmp(status, "failed") == 0 || strcmp(status, "cut") == 0,
                        f->ttft_ms);
    }
}

#endif

/* Requests of the program's own that have ended since the last look. */
static void ad_alerts_own_requests(void)
{
    if (ad_own_requests.ended - ad_alerts.own_ended > AIDASH_RECORDS) {
        ad_alerts.own_ended = ad_own_requests.ended - AIDASH_RECORDS;
    }
    while (ad_alerts.own_ended < ad_own_requests.ended) {
        const struct ad_own_request *r =
            &ad_own_requests.records[ad_alerts.own_ended++ % AIDASH_RECORDS];

        ad_alerts_count(r->outcome == AIDASH_FAILED,
                        r->first_ns >= r->arrived_ns && r->first_ns != 0
                            ? (double)(r->first_ns - r->arrived_ns) /
                                  (double)AD_NS_PER_MS
                            : -1);
    }
}

#if AIDASH_BOARD

/* A report of the board. */
static void ad_alerts_board(const struct ad_board_figures *figures)
{
    ad_alerts.board = *figures;
    ad_alerts.board_ns = ad_hub.now_ns;
}

#endif

/* ---- values ---- */

static unsigned ad_alerts_running(bool queued)
{
#if AIDASH_METER
    if (ad_upstreams.n > 0) {
        return queued ? ad_proxying.n_queued : ad_proxying.n_running;
    }
#endif
    return ad_own_requests_count(queued);
}

/* The sum of what the models make now; NAN: none had a tick within the window. */
static double ad_alerts_rate(void)
{
    const struct ad_series *s = ad_series_at(ad_ticks.newest);
    double sum = 0;
    bool any = false;

    while (s != NULL && ad_hub.now_ns < s->last_ns + AD_RATE_WINDOW_MS * AD_NS_PER_MS) {
        sum += ad_rate_get(&s->rate, ad_hub.now_ns);
        any = true;
        s = ad_series_at(s->older);
    }
    return any ? sum : (double)NAN;
}

/* Of the last ten seconds that are over. */
static double ad_alerts_latency(unsigned percent)
{
#if AIDASH_HISTORY
    uint64_t tens = ad_history.second / ad_history_levels[1].step_s;

    /* Rows before this run's are of an earlier one. */
    if (ad_history.n_runs > 0 && tens > ad_history.runs[ad_history.n_runs - 1].first_s /
                                            ad_history_levels[1].step_s) {
        return (double)ad_history.rows[AD_HISTORY_ALL][ad_history_at(1, tens - 1)]
            .values[percent == 50 ? AD_HISTORY_P50 : AD_HISTORY_P95];
    }
#else
    (void)percent;
#endif
    return (double)NAN;
}

/* The 95th percentile of the times to a first token within the window. */
static double ad_alerts_ttft(void)
{
    double sorted[AD_ALERT_FIRSTS];
    unsigned i, n = 0;
    unsigned kept = ad_alerts.n_firsts < AD_ALERT_FIRSTS ? ad_alerts.n_firsts
                                                         : AD_ALERT_FIRSTS;

    for (i = 0; i < kept; i++) {
        if (ad_hub.now_ns - ad_alerts.firsts[i].at_ns <=
            AD_ALERT_WINDOW_S * AD_NS_PER_S) {
            ad_sorted_add(sorted, &n, ad_alerts.firsts[i].ms);
        }
    }
    return n == 0 ? (double)NAN : sorted[(n * 95 + 99) / 100 - 1];
}

static double ad_alerts_sum(const uint16_t seconds[AD_ALERT_WINDOW_S])
{
    double sum = 0;
    unsigned i;

    for (i = 0; i < AD_ALERT_WINDOW_S; i++) {
        sum += seconds[i];
    }
    return sum;
}

/* Seconds without a tick: with the meter, while a request runs; else after the first
 * tick. */
static double ad_alerts_silence(void)
{
    const struct ad_series *s = ad_series_at(ad_ticks.newest);
    uint64_t since_ns = s != NULL ? s->last_ns : 0;

#if AIDASH_METER
    if (ad_upstreams.n > 0) {
        if (ad_alerts.running_ns == 0) {
            return (double)NAN;
        }
        since_ns = since_ns > ad_alerts.running_ns ? since_ns : ad_alerts.running_ns;
    }
#endif
    if (since_ns == 0) {
        return (double)NAN;
    }
    return ad_hub.now_ns > since_ns
               ? (double)(ad_hub.now_ns - since_ns) / (double)AD_NS_PER_S
               : 0;
}

static double ad_alerts_down(void)
{
#if AIDASH_METER
    bool known = false;
    unsigned i;

    for (i = 0; i < ad_upstreams.n; i++) {
        if (ad_upstreams.state[i].known && !ad_upstreams.state[i].up) {
            return 1;
        }
        known = known || ad_upstreams.state[i].known;
    }
    if (ad_upstreams.n > 0) {
        return known ? 0 : (double)NAN;
    }
    if (ad_scrape.on) {
        return ad_scrape.down;
    }
#endif
    return ad_engine.word == AD_WORD_NONE ? (double)NAN
                                          : ad_engine.word == AD_WORD_DOWN;
}

#if AIDASH_METER && AIDASH_BASELINES

/* Is a model slower than usual, for this cause or, "", for any? */
static double ad_alerts_verdict(const char *which)
{
    unsigned i;

    for (i = 0; i < AD_VERDICT_WATCHED; i++) {
        const struct ad_verdict *v = &ad_verdicts.list[i];

        if (v->on && (which[0] == '\0' || strcmp(ad_cause_names[v->cause], which) == 0 ||
                      (v->also != 0 && strcmp(ad_cause_names[v->also], which) == 0))) {
            return 1;
        }
    }
    return 0;
}

/* Is there a cause of this name? */
static bool ad_alerts_is_cause(const char *which)
{
    unsigned i;

    for (i = 0; i < AD_CAUSES; i++) {
        if (strcmp(ad_cause_names[i], which) == 0) {
            return true;
        }
    }
    return false;
}

#endif

static double ad_alerts_gauge(const char *name)
{
    unsigned i;

    for (i = 0; i < ad_gauges.n; i++) {
        if (strcmp(ad_gauges.list[i].name, name) == 0) {
            return ad_gauges.list[i].value;
        }
    }
    return (double)NAN;
}

#if AIDASH_BOARD

static double ad_alerts_number(const struct ad_value *v)
{
    return ad_value_is_number(v) ? v->number : (double)NAN;
}

/* Of the board's newest report. */
static double ad_alerts_board_value(const struct ad_alert_rule *r)
{
    const struct ad_board_figures *f = &ad_alerts.board;
    unsigned i;

    if (ad_alerts.board_ns == 0 ||
        ad_hub.now_ns - ad_alerts.board_ns > AD_ALERT_BOARD_S * AD_NS_PER_S) {
        return (double)NAN;
    }
    switch (r->series) {
    case AD_ALERT_TEMPERATURE:
        for (i = 0; i < f->n_temperatures; i++) {
            if (strcmp(f->temperatures[i].name, r->which) == 0) {
                return f->temperatures[i].celsius;
            }
        }
        return r->which[0] == '\0' ? ad_alerts_number(&f->celsius) : (double)NAN;
    case AD_ALERT_CPU:
        return ad_alerts_number(&f->cpu_percent);
    case AD_ALERT_GPU:
        return ad_alerts_number(&f->gpu_percent);
    case AD_ALERT_MEMORY:
        return ad_alerts_number(&f->memory_used) * 100 /
               ad_alerts_number(&f->memory_total);
    case AD_ALERT_DISK:
        return ad_alerts_number(&f->disk_free) / 1e9;
    case AD_ALERT_WATTS:
        return ad_alerts_number(&f->watts);
    default:
        return ad_alerts_number(&f->clock_mhz);
    }
}

#endif

/* A rule's value now; NAN: it is not known. */
static double ad_alerts_value(const struct ad_alert_rule *r)
{
    if (ad_alerts.held && ad_alert_series[r->series].engine) {
        return (double)NAN;
    }
    switch (r->series) {
    case AD_ALERT_RATE:
        return ad_alerts_rate();
    case AD_ALERT_P50:
        return ad_alerts_latency(50);
    case AD_ALERT_P95:
        return ad_alerts_latency(95);
    case AD_ALERT_TTFT:
        return ad_alerts_ttft();
    case AD_ALERT_QUEUE:
        return ad_alerts_running(true);
    case AD_ALERT_RUNNING:
        return ad_alerts_running(false);
    case AD_ALERT_REQUESTS:
        return ad_alerts_sum(ad_alerts.requests);
    case AD_ALERT_ERRORS:
        return ad_alerts_sum(ad_alerts.errors);
    case AD_ALERT_SILENCE:
        return ad_alerts_silence();
    case AD_ALERT_DOWN:
        return ad_alerts_down();
    case AD_ALERT_GAUGE:
        return ad_alerts_gauge(r->which);
#if AIDASH_METER && AIDASH_BASELINES
    case AD_ALERT_VERDICT:
        return ad_alerts_verdict(r->which);
#endif
    default:
#if AIDASH_BOARD
        return ad_alerts_board_value(r);
#else
        return (double)NAN;
#endif
    }
}

/* ---- the hold ---- */

static bool ad_alerts_loading(void)
{
#if AIDASH_METER
    unsigned i;

    for (i = 0; i < ad_proxying.n_slots; i++) {
        if (ad_proxies[i].state != AD_PROXY_FREE && ad_proxies[i].loading_us != 0) {
            return true;
        }
    }
#endif
    return ad_engine.word == AD_WORD_LOADING;
}

/* While a model loads or is switched, and while paused, slowness is no news. */
static void ad_alerts_hold(void)
{
    const char *model = ad_model_name();
    bool reason;

    if (ad_alerts_loading() ||
        (ad_alerts.model[0] != '\0' && strcmp(ad_alerts.model, model) != 0)) {
        ad_alerts.settled_ns = ad_hub.now_ns + AD_ALERT_SETTLE_S * AD_NS_PER_S;
    }
    (void)snprintf(ad_alerts.model, sizeof(ad_alerts.model), "%s", model);
    reason = ad_hub.now_ns < ad_alerts.settled_ns;
    if (!reason) {
        ad_alerts.hold_ns = 0;
    } else if (ad_alerts.hold_ns == 0) {
        ad_alerts.hold_ns = ad_hub.now_ns;
    }
    ad_alerts.held = ad_engine.paused ||
                     (reason && ad_hub.now_ns - ad_alerts.hold_ns <
                                    AD_ALERT_HOLD_MAX_S * AD_NS_PER_S);
}

/* ---- what goes out ---- */

static void ad_put_signed(struct ad_text *t, const char *name, double value)
{
    ad_puts(t, name);
    if (!isfinite(value)) {
        ad_puts(t, "null");
    } else {
        ad_put_double(t, value);
    }
}

/* The members that an alert has everywhere: name, series, value, threshold, unit. */
static void ad_put_alert(struct ad_text *t, const struct ad_alert_rule *r,
                         double value)
{
    char series[64];

    (void)snprintf(series, sizeof(series), "%s%s%s", ad_alert_series[r->series].name,
                   r->which[0] != '\0' ? ":" : "", r->which);
    ad_puts(t, "\"name\":");
    ad_put_string(t, r->name);
    ad_puts(t, ",\"series\":");
    ad_put_string(t, series);
    ad_put_signed(t, ",\"value\":", value);
    ad_put_signed(t, ",\"threshold\":", r->threshold);
    ad_puts(t, ",\"unit\":");
    ad_put_string(t, ad_alert_series[r->series].unit);
}

/* What has happened in plain words, as text: AD_ALERT_SENTENCE bytes at most. */
static void ad_put_alert_words(struct ad_text *t, const struct ad_alert_news *news)
{
    uint64_t lasted_us = news->time_us > news->since_us
                             ? news->time_us - news->since_us : 0;

    if (news->test) {
        ad_puts(t, "this is a test: alerts of this aidash arrive here");
        return;
    }
    ad_put_alert_sentence(t, &ad_alerts.rules[news->rule], news->value, news->firing,
                          lasted_us / 1000000);
}

static void ad_put_alert_said(struct ad_text *t, const struct ad_alert_news *news)
{
    char sentence[AD_ALERT_SENTENCE];
    struct ad_text said = ad_text_in(sentence, sizeof(sentence) - 1);

    ad_put_alert_words(&said, news);
    sentence[said.len] = '\0';
    ad_puts(t, ",\"sentence\":");
    ad_put_string(t, sentence);
}

/* The event from its names on: a webhook gets that, too. */
static void ad_put_alert_event(struct ad_text *t, const struct ad_alert_news *news)
{
    ad_put_alert(t, &ad_alerts.rules[news->rule], news->value);
    ad_puts(t, news->firing ? ",\"state\":\"firing\",\"since\":"
                            : ",\"state\":\"resolved\",\"since\":");
    ad_put_decimal(t, news->since_us, 6);
    ad_puts(t, ",\"timestamp\":");
    ad_put_decimal(t, news->time_us, 6);
    ad_put_alert_said(t, news);
}

static void ad_alert_tell(unsigned i, bool firing)
{
    const struct ad_alert_state *s = &ad_alerts.states[i];
    const struct ad_alert_news news = {(uint8_t)i, firing, false, s->value, s->since_us,
                                       ad_hub.now_us};
    char json[AD_ALERT_JSON_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    ad_puts(&t, "{\"event\":\"alert\",\"seq\":");
    ad_put_u64(&t, ad_feed.next);
    ad_puts(&t, ",");
    ad_put_alert_event(&t, &news);
    ad_puts(&t, "}");
    ad_event_append(AD_EV_ALERT, &t);
    ad_log(firing ? AIDASH_LOG_WARN : AIDASH_LOG_INFO, "alert: %s: it %s",
           ad_alerts.rules[i].name, firing ? "fires" : "is over");
    if (ad_alerts.tell != NULL) {
        ad_alerts.tell(&news);
    }
}

/* Once a second. */
static void ad_alerts_housekeeping(void)
{
    unsigned i;

    if (ad_alerts.n == 0) {
        return;
    }
    ad_alerts_turn();
    ad_alerts_own_requests();
    ad_alerts_hold();
    if (ad_alerts_running(false) == 0) {
        ad_alerts.running_ns = 0;
    } else if (ad_alerts.running_ns == 0) {
        ad_alerts.running_ns = ad_hub.now_ns;
    }
    for (i = 0; i < ad_alerts.n; i++) {
        enum ad_alert_change change =
            ad_alert_step(&ad_alerts.rules[i], &ad_alerts.states[i],
                          ad_alerts_value(&ad_alerts.rules[i]), ad_hub.now_ns,
                          ad_hub.now_us);

        if (change != AD_ALERT_SAME) {
            ad_alert_tell(i, change == AD_ALERT_FIRES);
        }
    }
}

/* A rule in GET /alerts. */
static void ad_put_alert_rule(struct ad_text *t, uint64_t i)
{
    const struct ad_alert_rule *r = &ad_alerts.rules[i];
    const struct ad_alert_state *s = &ad_alerts.states[i];
    const struct ad_alert_news news = {(uint8_t)i, true, false, s->value, s->since_us,
                                       ad_hub.now_us};

    ad_puts(t, "{");
    ad_put_alert(t, r, s->known || s->firing ? s->value : (double)NAN);
    ad_puts(t, ",\"rule\":");
    ad_put_string(t, r->text);
    ad_putf(t, ",\"state\":\"%s\"",
            s->firing ? "firing" : !s->known ? "unknown" : s->pending ? "pending" : "ok");
    if (s->firing) {
        ad_puts(t, ",\"since\":");
        ad_put_decimal(t, s->since_us, 6);
        ad_put_alert_said(t, &news);
    }
    ad_puts(t, "}");
}

enum { AD_ALERTS_STATUS_MAX = AIDASH_ALERTS * (2 * AD_ALERT_NAME_MAX + 3) + 64 };

/* The member of GET /status: how many rules there are, and which of them fire. */
static void ad_put_alerts_status(struct ad_text *t)
{
    const char *comma = "";
    unsigned i;

    if (ad_alerts.n == 0) {
        return;
    }
    ad_putf(t, ",\"alerts\":{\"rules\":%u,\"firing\":[", ad_alerts.n);
    for (i = 0; i < ad_alerts.n; i++) {
        if (ad_alerts.states[i].firing) {
            ad_puts(t, comma);
            ad_put_string(t, ad_alerts.rules[i].name);
            comma = ",";
        }
    }
    ad_puts(t, "]}");
}

/* ---- the start ---- */

/* Before each run. */
static void ad_alerts_init(void)
{
    memset(&ad_alerts, 0, sizeof(ad_alerts));
}

/* Add a rule. False: why[] says what is wrong. While starting, after the meter's
 * parts. */
static bool ad_alerts_add(const char *text, size_t len, char why[AD_ALERT_WHY_MAX])
{
    if (ad_alerts.n == AIDASH_ALERTS) {
        (void)snprintf(why, AD_ALERT_WHY_MAX, "there are more than %d rules",
                       AIDASH_ALERTS);
        return false;
    }
    if (!ad_alert_parse(text, len, &ad_alerts.rules[ad_alerts.n], why)) {
        return false;
    }
#if AIDASH_METER && AIDASH_BASELINES
    if (ad_alerts.rules[ad_alerts.n].series == AD_ALERT_VERDICT &&
        ad_alerts.rules[ad_alerts.n].which[0] != '\0' &&
        !ad_alerts_is_cause(ad_alerts.rules[ad_alerts.n].which)) {
        (void)snprintf(why, AD_ALERT_WHY_MAX, "'%s': there is no cause of this name; "
                                              "docs/why.md lists them",
                       ad_alerts.rules[ad_alerts.n].which);
        return false;
    }
#endif
#if AIDASH_METER
    if (ad_alerts.n == 0) {
        ad_reports_observe(ad_alerts_request);
    }
#endif
    ad_alerts.n++;
    return true;
}

AD_MEMORY(alerts, AIDASH_ALERTS, sizeof(ad_alerts));

#endif /* AIDASH_ALERTS */

#endif
