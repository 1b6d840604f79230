/* Why it is slow: baselines, marks and verdicts, on a clock of the test's own. Each
 * cause alone, two at once, none; hours of ordinary noise without a verdict. */
#include "../src/board/alerts.c"
#include "../src/board/verdict.c"
#include "check.h"

#define S AD_NS_PER_S

static unsigned n_told; /* verdicts that began or changed */
static unsigned n_of[AD_CAUSES];
static struct ad_verdict last; /* the latest that was told, on or off */
static struct ad_board_figures board; /* what the sensors say */
static bool busy;

static void told(const struct ad_verdict *v)
{
    if (v->on && (!last.on || last.key != v->key || last.cause != v->cause)) {
        n_told++; /* else it is told again */
        n_of[v->cause]++;
    }
    last = *v;
}

static void begin(void)
{
    ad_hub_init();
    ad_feed_init();
    ad_hub.now_ns = ad_hub.start_ns = 1000 * S;
    ad_hub.now_us = ad_hub.start_us = 1700000000000000ull;
    ad_requests_init();
    ad_reports_init();
    ad_verdict_init();
    ad_verdicts.told = told;
    n_told = 0;
    memset(n_of, 0, sizeof(n_of));
    memset(&last, 0, sizeof(last));
    memset(&board, 0, sizeof(board));
    board.clock_mhz = ad_value_of(2400);
    board.gpu_clock_mhz = ad_value_of(1300);
    board.celsius = ad_value_of(61);
    board.swap_used = ad_value_of(0);
    board.iowait_percent = ad_value_of(1);
    board.steal_percent = ad_value_of(0);
    busy = true;
}

/* So many seconds go by; each has a report of the board. */
static void go(unsigned seconds)
{
    while (seconds-- > 0) {
        ad_hub.now_ns += S;
        ad_hub.now_us += 1000000;
        ad_marks_board(&board, busy, !ad_verdict_any(), ad_hub.now_ns);
        ad_verdict_housekeeping();
    }
}

/* A request that has just ended, and ran for so many seconds. */
static struct ad_speed speed(const char *model, double per_s, unsigned seconds)
{
    struct ad_speed s;

    memset(&s, 0, sizeof(s));
    s.place.key = ad_prefix_model(0, model) | 1;
    s.place.figure = AD_FIGURE_DECODE;
    (void)snprintf(s.model, sizeof(s.model), "%s", model);
    s.value = per_s;
    s.to_ns = ad_hub.now_ns;
    s.from_ns = ad_hub.now_ns - seconds * S;
    s.draft = AD_DRAFT_NONE;
    s.streams = 1;
    return s;
}

static void request(double per_s)
{
    struct ad_speed s;

    go(8);
    s = speed("llama3", per_s, 8);
    ad_verdict_take(&s);
    go(2);
}

static void requests(unsigned n, double per_s)
{
    while (n-- > 0) {
        request(per_s + 0.2 * (n % 3));
    }
}

static struct ad_speed waited(double ms)
{
    struct ad_speed s = speed("llama3", 1000 / ms, 1);

    s.place.figure = AD_FIGURE_WAIT;
    s.from_ns = ad_hub.now_ns - (uint64_t)(ms * 1e6);
    return s;
}

/* ---- the pieces ---- */

static void test_codes(void)
{
    double v;
    uint16_t before = 0;

    for (v = 1e-5; v < 1e6; v *= 1.01) {
        double back = ad_baseline_value(ad_baseline_code(v));

        CHECK(back > v * 0.996 && back < v * 1.004);
        CHECK(ad_baseline_code(v) >= before);
        before = ad_baseline_code(v);
    }
    CHECK_EQ(ad_baseline_code(0), 0);
    CHECK_EQ(ad_baseline_code(-1), 0);
}

static void test_bands(void)
{
    CHECK_EQ(ad_baseline_context(0), 0);
    CHECK_EQ(ad_baseline_context(511), 0);
    CHECK_EQ(ad_baseline_context(512), 1);
    CHECK_EQ(ad_baseline_context(131071), 4);
    CHECK_EQ(ad_baseline_context(131072), 5);
    CHECK_EQ(ad_baseline_context(UINT64_MAX), 5);
    CHECK_EQ(ad_baseline_streams(1), 0);
    CHECK_EQ(ad_baseline_streams(1.05), 0);
    CHECK_EQ(ad_baseline_streams(1.3), 1);
    CHECK_EQ(ad_baseline_streams(4), 2);
    CHECK_EQ(ad_baseline_streams(1000), 5);
}

/* Median and deviation of what is kept; odd figures move neither. */
static void test_usual(void)
{
    struct ad_baseline_place at = {7, AD_FIGURE_DECODE, 0, 0};
    struct ad_usual usual;
    unsigned i;

    begin();
    for (i = 0; i < AD_FIGURES_LEAST; i++) {
        CHECK(!ad_baseline_usual(ad_baseline_find(&at), &usual));
        ad_baseline_learn(&at, 10, 0, AD_DRAFT_NONE, 1);
    }
    CHECK(ad_baseline_usual(ad_baseline_find(&at), &usual));
    CHECK(usual.median > 9.95 && usual.median < 10.05);
    CHECK(usual.deviation > 0.29 && usual.deviation < 0.31);
    for (i = 0; i < 6; i++) {
        ad_baseline_learn(&at, i % 2 == 0 ? 900 : 0.01, 0, AD_DRAFT_NONE, 1);
    }
    CHECK(ad_baseline_usual(ad_baseline_find(&at), &usual));
    CHECK(usual.median > 9.95 && usual.median < 10.05);
    CHECK_EQ(ad_baseline_judge(&usual, 9.9), AD_IS_USUAL);
    for (i = 0; i < AD_FIGURES; i++) { /* 8, 9, .. 12: MAD 1 */
        ad_baseline_learn(&at, 8 + i % 5, 0, AD_DRAFT_NONE, 1);
    }
    CHECK(ad_baseline_usual(ad_baseline_find(&at), &usual));
    CHECK(usual.median > 9.95 && usual.median < 10.05);
    CHECK(usual.deviation > 1.4 && usual.deviation < 1.55);
    CHECK_EQ(ad_baseline_judge(&usual, 4.2), AD_IS_BETWEEN);
    CHECK_EQ(ad_baseline_judge(&usual, 3.9), AD_IS_SLOW);
    CHECK_EQ(ad_baseline_judge(&usual, 8), AD_IS_USUAL);
}

/* All cells taken: the one that was used the longest ago goes. Saved and loaded. */
static void test_cells(void)
{
    static uint8_t saved[AD_BASELINES_SAVED];
    struct ad_baseline_place at = {1, AD_FIGURE_DECODE, 0, 0};
    unsigned i;

    begin();
    for (i = 1; i <= AIDASH_BASELINES; i++) {
        at.key = i;
        ad_baseline_learn(&at, i, 0, AD_DRAFT_NONE, 0);
    }
    at.key = 1;
    ad_baseline_learn(&at, 1, 0, AD_DRAFT_NONE, 0);
    at.key = 1000;
    ad_baseline_learn(&at, 1, 0, AD_DRAFT_NONE, 0);
    at.key = 2;
    CHECK(ad_baseline_find(&at) == NULL);
    at.key = 1;
    CHECK(ad_baseline_find(&at) != NULL && ad_baseline_find(&at)->n == 2);
    CHECK(sizeof(struct ad_baseline) == 120); /* as src/limits.h says */
    CHECK(AD_BASELINES_SAVED <= 4096);
    ad_baselines_save(saved);
    ad_baselines_init();
    CHECK(ad_baseline_find(&at) == NULL);
    ad_baselines_load(saved);
    CHECK(ad_baseline_find(&at) != NULL && ad_baseline_find(&at)->n == 2);
    CHECK_EQ(ad_verdict_section.save(saved), AD_BASELINES_SAVED);
    ad_baselines_init();
    ad_verdict_section.load(saved, AD_BASELINES_SAVED - 1); /* of another build */
    CHECK(ad_baseline_find(&at) == NULL);
    ad_verdict_section.load(saved, AD_BASELINES_SAVED);
    CHECK(ad_baseline_find(&at) != NULL);
    memset(saved, 0xFF, sizeof(saved)); /* nothing of that can be true */
    ad_baselines_load(saved);
    CHECK(ad_baseline_find(&at) == NULL);
    for (i = 0; i < AIDASH_BASELINES; i++) {
        CHECK_EQ(ad_baselines.cells[i].n, 0);
    }
}

static void test_marks(void)
{
    begin();
    ad_mark_set(AD_CAUSE_SWAP, true, 1, 100 * S);
    CHECK(ad_mark_share(AD_CAUSE_SWAP, 90 * S, 110 * S) == 0.5);
    CHECK(ad_mark_share(AD_CAUSE_SWAP, 90 * S, 100 * S) == 0);
    ad_mark_set(AD_CAUSE_SWAP, false, 0, 105 * S);
    CHECK(ad_mark_share(AD_CAUSE_SWAP, 90 * S, 110 * S) == 0.25);
    CHECK(ad_mark_share(AD_CAUSE_SWAP, 105 * S, 110 * S) == 0);
    ad_mark_set(AD_CAUSE_SWAP, true, 1, 107 * S); /* soon back: never away */
    CHECK_EQ(ad_marks.list[AD_CAUSE_SWAP].since_ns, 100 * S);
    ad_mark_set(AD_CAUSE_SWAP, false, 0, 108 * S);
    ad_mark_set(AD_CAUSE_SWAP, true, 1, 200 * S);
    CHECK_EQ(ad_marks.list[AD_CAUSE_SWAP].since_ns, 200 * S);
    CHECK(ad_mark_share(AD_CAUSE_THERMAL, 0, 1000 * S) == 0);
    ad_mark_twice(AD_CAUSE_DISK_WAIT, true, 30, 300 * S); /* once is no mark */
    CHECK(!ad_marks.list[AD_CAUSE_DISK_WAIT].on);
    ad_mark_twice(AD_CAUSE_DISK_WAIT, false, 0, 301 * S);
    ad_mark_twice(AD_CAUSE_DISK_WAIT, true, 30, 302 * S);
    CHECK(!ad_marks.list[AD_CAUSE_DISK_WAIT].on);
    ad_mark_twice(AD_CAUSE_DISK_WAIT, true, 30, 303 * S);
    CHECK(ad_marks.list[AD_CAUSE_DISK_WAIT].on);
}

/* ---- a cause alone ---- */

static void under_voltage(void)
{
    board.throttled = ad_value_of(AD_PI_UNDER_VOLTAGE);
}

static void over_current(void) /* its counter grows with each report */
{
    board.over_currents = ad_value_of(board.over_currents.number + 3);
}

static void cooled(void)
{
    board.cooling = ad_value_of(2);
    board.celsius = ad_value_of(87);
}

static void throttled(void)
{
    board.throttled = ad_value_of(AD_PI_THROTTLED);
}

static void gpu_clock(void)
{
    board.gpu_clock_mhz = ad_value_of(624);
}

static void cpu_clock(void)
{
    board.clock_mhz = ad_value_of(600);
}

static void swapped(void)
{
    board.swap_used = ad_value_of(1.2e9);
}

static void disk_wait(void)
{
    board.iowait_percent = ad_value_of(43);
}

static void stolen(void)
{
    board.steal_percent = ad_value_of(32);
}

static void clock_and_heat(void)
{
    gpu_clock();
    cooled();
}

static void swap_and_disk(void)
{
    swapped();
    disk_wait();
}

static const struct scenario {
    void (*happens)(void);
    enum ad_cause cause, also;
    const char *sentence;
} scenarios[] = {
    {under_voltage, AD_CAUSE_UNDER_VOLTAGE, 0,
     "9.2 tok/s, usually 18.3: under-voltage for 32 s"},
    {over_current, AD_CAUSE_OVER_CURRENT, 0,
     "9.2 tok/s, usually 18.3: over-current events for 32 s"},
    {cooled, AD_CAUSE_THERMAL, 0,
     "9.2 tok/s, usually 18.3: the board is slowed down to cool it, for 32 s "
     "(87 \302\260C)"},
    {throttled, AD_CAUSE_THROTTLED, 0,
     "9.2 tok/s, usually 18.3: the firmware throttles the board, for 32 s"},
    {gpu_clock, AD_CAUSE_GPU_CLOCK, 0,
     "9.2 tok/s, usually 18.3: the GPU clock fell from 1300 to 624 MHz 31 s ago"},
    {cpu_clock, AD_CAUSE_CPU_CLOCK, 0,
     "9.2 tok/s, usually 18.3: the CPU clock fell from 2400 to 600 MHz 31 s ago"},
    {swapped, AD_CAUSE_SWAP, 0,
     "9.2 tok/s, usually 18.3: 1.2 GB of swap are in use, for 32 s"},
    {disk_wait, AD_CAUSE_DISK_WAIT, 0,
     "9.2 tok/s, usually 18.3: the CPU waits for the disk 43 % of its time"},
    {stolen, AD_CAUSE_CPU_STEAL, 0,
     "9.2 tok/s, usually 18.3: other virtual machines take 32 % of the CPU"},
    {clock_and_heat, AD_CAUSE_THERMAL, AD_CAUSE_GPU_CLOCK,
     "9.2 tok/s, usually 18.3: the GPU clock fell from 1300 to 624 MHz 31 s ago "
     "(thermal)"},
    {swap_and_disk, AD_CAUSE_SWAP, AD_CAUSE_DISK_WAIT,
     "9.2 tok/s, usually 18.3: 1.2 GB of swap are in use, for 32 s; and the CPU waits "
     "for the disk 43 % of its time"}};

static void test_scenarios(void)
{
    size_t i;
    unsigned k, n;

    for (i = 0; i < AD_COUNT(scenarios); i++) {
        const struct scenario *x = &scenarios[i];

        begin();
        requests(12, 18);
        CHECK_EQ(n_told, 0);
        x->happens();
        go(5);
        for (k = 0; k < 2; k++) { /* two slow ones are chance */
            if (x->happens == over_current) {
                x->happens();
            }
            request(9.1);
        }
        CHECK_EQ(n_told, 0);
        if (x->happens == over_current) {
            x->happens();
        }
        go(8);
        {
            struct ad_speed s = speed("llama3", 9.2, 8);

            ad_verdict_take(&s);
        }
        n = n_told;
        CHECK_EQ(n, 1);
        CHECK_EQ(last.on, 1);
        CHECK_EQ(last.cause, x->cause);
        CHECK_EQ(last.also, x->also);
        CHECK_STR(last.sentence, x->sentence);
        CHECK_STR(ad_verdict_word(ad_prefix_model(0, "llama3") | 1),
                  ad_cause_names[x->cause]);
        CHECK(ad_verdict_word(12345) == NULL);
        begin();
    }
}

/* The same happens, but nothing is slow: no verdict. It was slow before the mark came:
 * the mark is not the cause. */
static void test_no_cause(void)
{
    size_t i;
    unsigned k;

    for (i = 0; i < AD_COUNT(scenarios); i++) {
        begin();
        requests(12, 18);
        for (k = 0; k < 30; k++) {
            scenarios[i].happens();
            request(17.5);
        }
        CHECK_EQ(n_told, 0);
    }
    begin(); /* swap has always been in use */
    swapped();
    requests(12, 18);
    requests(4, 9.1);
    CHECK_EQ(n_told, 0);
    requests(1, 9.1); /* so many: slow, but nobody knows why */
    CHECK_EQ(n_told, 1);
    CHECK_EQ(last.cause, AD_CAUSE_UNKNOWN);
    CHECK_STR(last.sentence,
              "9.1 tok/s, usually 18.3; nothing that is measured here tells why");
    begin(); /* a mark of a second in ten is not why all ten were slow */
    requests(12, 18);
    for (k = 0; k < 4; k++) {
        under_voltage();
        go(1);
        board.throttled = ad_value_of(0);
        go(9);
        {
            struct ad_speed s = speed("llama3", 9.1, 10);

            ad_verdict_take(&s);
        }
        go(20);
    }
    CHECK_EQ(n_told, 0);
    begin(); /* too little is known of this model */
    cooled();
    requests(5, 9.1);
    CHECK_EQ(n_told, 0);
}

/* Do alerts know of this cause? */
static bool alerted(const char *cause)
{
    return ad_alerts_verdict(cause) > 0;
}

/* It ends: by usual speed, and when nobody asks any more. Told again for new viewers
 * meanwhile. */
static void test_ends(void)
{
    uint64_t seq;

    begin();
    requests(12, 18);
    cooled();
    CHECK(!alerted("thermal"));
    requests(3, 9);
    CHECK(last.on);
    CHECK(alerted("thermal") && !alerted("swap"));
    seq = ad_feed.next;
    go(30);
    CHECK(ad_feed.next >= seq + 2);
    board.cooling = ad_value_of(0);
    requests(1, 18);
    CHECK(last.on);
    requests(1, 18);
    CHECK(!last.on);
    CHECK_EQ(last.cause, AD_CAUSE_THERMAL);
    CHECK_STR(last.sentence, "18 tok/s again");
    CHECK(!alerted("thermal"));
    cooled();
    requests(3, 9);
    CHECK(last.on);
    go(AD_VERDICT_EXPIRES_S + 1);
    CHECK(!last.on);
    CHECK_STR(last.sentence, "No request for 2 min");
}

/* What lasts for good becomes usual: a model that was replaced by a slower one soon,
 * a board that is cooled for days later. */
static void test_new_usual(void)
{
    struct ad_usual usual;
    struct ad_baseline_place at = speed("llama3", 1, 1).place;
    unsigned i;

    begin();
    requests(20, 18);
    requests(60, 9);
    CHECK(!last.on && n_told >= 1);
    CHECK(ad_baseline_usual(ad_baseline_find(&at), &usual) && usual.median < 10);
    begin();
    requests(20, 18);
    cooled();
    for (i = 0; i < 100; i++) {
        request(9);
    }
    CHECK(last.on);
    CHECK(ad_baseline_usual(ad_baseline_find(&at), &usual) && usual.median > 17);
}

/* ---- causes of the request itself ---- */

static void test_own_causes(void)
{
    struct ad_speed s;
    unsigned i;

    begin(); /* drafts */
    for (i = 0; i < 12; i++) {
        go(8);
        s = speed("llama3", 40, 8);
        s.draft = (uint8_t)(76 + i % 5);
        ad_verdict_take(&s);
    }
    for (i = 0; i < 3; i++) {
        go(8);
        s = speed("llama3", 20, 8);
        s.draft = 31;
        ad_verdict_take(&s);
    }
    CHECK_EQ(last.cause, AD_CAUSE_DRAFT);
    CHECK_STR(last.sentence, "20 tok/s, usually 40: 31 % of the drafted tokens were "
                             "accepted, usually 78 %");
    begin(); /* a part of the model is on the CPU; its context is nearly full */
    requests(12, 18);
    for (i = 0; i < 3; i++) {
        go(8);
        s = speed("llama3", 5, 8);
        s.cpu_share = 0.38;
        s.fill = 0.96;
        ad_verdict_take(&s);
    }
    CHECK_EQ(last.cause, AD_CAUSE_CPU_SHARE);
    CHECK_EQ(last.also, AD_CAUSE_CONTEXT_FULL);
    CHECK_STR(last.sentence, "5 tok/s, usually 18.3: 38 % of the model are on the CPU; "
                             "and its context is 96 % full");
    begin(); /* others at the same time, as never before: until that is known */
    requests(12, 18);
    for (i = 0; i < 12; i++) {
        go(8);
        s = speed("llama3", 6, 8);
        s.streams = 4;
        s.place.streams = ad_baseline_streams(4);
        ad_verdict_take(&s);
        CHECK_EQ(last.on, i >= 2 && i < 7);
    }
    CHECK_EQ(n_told, n_of[AD_CAUSE_STREAMS]);
    begin(); /* another model is loaded */
    requests(12, 18);
    ad_models_init();
    (void)ad_models_load(0, "mistral", AD_LOADING_REQUEST, -1);
    requests(3, 9);
    CHECK_EQ(last.cause, AD_CAUSE_MODEL_LOAD);
    CHECK_STR(last.sentence,
              "9 tok/s, usually 18.3: another model was loaded meanwhile");
    ad_models_init();
}

static void test_waits(void)
{
    static const struct {
        enum ad_cause cause;
        double part_ms;
        unsigned needs;
        const char *sentence;
    } waits[] = {
        {AD_CAUSE_QUEUE, 12900, 2, "First text after 14.2 s, usually 0.8: 12.9 s in the "
                                   "queue"},
        {AD_CAUSE_PAUSE, 12900, 1, "First text after 14.2 s, usually 0.8: requests were "
                                   "paused for 12.9 s"},
        {AD_CAUSE_MODEL_LOAD, 11200, 1, "First text after 14.2 s, usually 0.8: the model "
                                        "took 11.2 s to load"},
        {AD_CAUSE_CACHE, 9000, 1, "First text after 14.2 s, usually 0.8: its prompt was "
                                  "in the cache no more: 3812 tokens were read anew"},
        {AD_CAUSE_THINKING, 13000, 2, "First text after 14.2 s, usually 0.8: it thought "
                                      "for 13 s"},
        {AD_CAUSE_QUEUE, 3000, 99, ""}, /* it does not account for the wait */
        {AD_CAUSE_UNKNOWN, 0, 99, ""}};
    size_t i;
    unsigned k;

    for (i = 0; i < AD_COUNT(waits); i++) {
        begin();
        for (k = 0; k < 12; k++) {
            struct ad_speed s = waited(800);

            go(20);
            ad_verdict_take(&s);
        }
        for (k = 1; k <= 4; k++) {
            struct ad_speed s = waited(14200);

            go(20);
            s.parts_ms[waits[i].cause] = waits[i].part_ms;
            s.tokens = 3812;
            ad_verdict_take(&s);
            CHECK_EQ(last.on, k >= waits[i].needs);
        }
        if (waits[i].needs < 99) {
            struct ad_speed s = waited(810);

            CHECK_EQ(last.cause, waits[i].cause);
            CHECK_STR(last.sentence, waits[i].sentence);
            ad_verdict_take(&s);
            CHECK(!last.on);
        }
    }
}

/* ---- through the meter ---- */

static struct ad_proxy *proxy(double tokens_per_s, unsigned tokens, double ttft_ms)
{
    static struct ad_proxy *const p = &ad_proxies[0];

    memset(p, 0, sizeof(*p));
    ad_proxying.n_slots = 1;
    p->request.metered = true;
    p->state = AD_PROXY_RUN;
    (void)snprintf(p->name, sizeof(p->name), "llama3");
    p->arrived_ns = p->start_ns = ad_hub.now_ns;
    p->first_ns = p->arrived_ns + (uint64_t)(ttft_ms * 1e6);
    p->last_ns = p->first_ns + (uint64_t)((tokens - 1) / tokens_per_s * 1e9);
    p->counted = tokens;
    p->first_counted = 1;
    p->scan.token_events = tokens;
    p->scan.tokens = tokens;
    p->scan.has_prompt = true;
    p->scan.prompt_tokens = 100;
    p->scan.ended = true;
    ad_proxy_set_turn(p, AD_TURN_RUN);
    go((unsigned)((p->last_ns - ad_hub.now_ns) / S + 1));
    return p;
}

static void done(struct ad_proxy *p)
{
    ad_verdict_ended(p);
    ad_proxy_set_turn(p, AD_TURN_NONE);
    p->state = AD_PROXY_FREE;
    go(2);
}

static void test_meter(void)
{
    struct ad_proxy *p;
    unsigned i;

    begin();
    for (i = 0; i < 12; i++) {
        p = proxy(20, 60, 300);
        done(p);
        CHECK(p->slow == NULL);
    }
    cooled();
    for (i = 0; i < 3; i++) {
        p = proxy(8, 60, 300);
        p->window_ns = ad_hub.now_ns; /* no piece of it is judged */
        p->judged = false;
        done(p);
    }
    CHECK(last.on && last.cause == AD_CAUSE_THERMAL);
    CHECK_STR(p->slow, "thermal");
    CHECK_STR(last.model, "llama3");
    board.cooling = ad_value_of(0);
    done(proxy(20, 60, 300));
    done(proxy(20, 60, 300));
    CHECK(!last.on);
    cooled(); /* a long answer is judged while it comes */
    p = proxy(20, 60, 300);
    p->counted = 0;
    p->state = AD_PROXY_RUN;
    p->window_ns = 0;
    p->judged = false;
    for (i = 0; i < 45; i++) {
        p->counted += 8;
        p->scan.token_events += 8;
        go(1);
    }
    CHECK(last.on && last.cause == AD_CAUSE_THERMAL);
    CHECK(p->judged);
    begin(); /* a benchmark's, a refused one and a short one are in no baseline */
    p = proxy(20, 60, 300);
    p->request.bench = true;
    done(p);
    p = proxy(20, 60, 300);
    p->answer.status = 503;
    done(p);
    p = proxy(20, AD_VERDICT_TOKENS - 1, 300);
    p->prompt.choices = 2;
    done(p);
    for (i = 0; i < AIDASH_BASELINES; i++) {
        CHECK(ad_baselines.cells[i].key == 0 ||
              ad_baselines.cells[i].figure == AD_FIGURE_WAIT);
    }
    begin(); /* paused while it waited */
    for (i = 0; i < 12; i++) {
        done(proxy(20, 60, 500));
    }
    ad_engine.paused = true;
    p = proxy(20, 60, 12000);
    p->first_ns = ad_hub.now_ns - 3 * S;
    p->arrived_ns = p->first_ns - 9 * S;
    p->last_ns = ad_hub.now_ns;
    ad_engine.paused = false;
    done(p);
    CHECK(last.on && last.cause == AD_CAUSE_PAUSE);
}

/* The longest event of all fits, and so does /status. */
static void test_longest(void)
{
    char json[AD_VERDICT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));
    struct ad_verdict v;

    begin();
    memset(&v, 0, sizeof(v));
    v.on = false;
    v.cause = AD_CAUSE_UNDER_VOLTAGE;
    v.also = AD_CAUSE_CONTEXT_FULL;
    v.value = v.usual = 1e15;
    v.since_us = UINT64_MAX;
    memset(v.model, '"', AIDASH_MODEL_MAX);
    memset(v.sentence, '"', AD_VERDICT_SENTENCE - 1);
    ad_hub.now_us = UINT64_MAX;
    ad_puts(&t, "{\"event\":\"verdict\",\"seq\":18446744073709551615,\"time\":"
                "18446744073709.551615,");
    ad_put_verdict(&t, &v);
    ad_puts(&t, "}");
    CHECK(!t.full);
}

/* ---- noise ---- */

static uint64_t seed;

static double uniform(void) /* 0 to 1; splitmix64 */
{
    uint64_t z = seed += 0x9E3779B97F4A7C15ull;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

static double gauss(void)
{
    double sum = 0;
    int i;

    for (i = 0; i < 12; i++) {
        sum += uniform();
    }
    return sum - 6;
}

/* The speed of an ordinary request: 8 % of noise; one in twenty is anything down to a
 * third; a longer context and more streams are slower. */
static double ordinary(double base, unsigned context, double streams)
{
    double v = base * (1 + 0.08 * gauss());

    v /= 1 + 0.25 * context + 0.7 * (streams - 1);
    if (uniform() < 0.05) {
        v *= 0.33 + 0.67 * uniform();
    }
    return v;
}

/* Ordinary reports of a board: sensors that jump, short waits for the disk, a bit of
 * swap that grows, a clock that follows the load. */
static void ordinary_board(void)
{
    board.clock_mhz = ad_value_of(uniform() < 0.1 ? 1500 : 2400 - 100 * uniform());
    board.gpu_clock_mhz = ad_value_of(uniform() < 0.05 ? 900 : 1300 - 50 * uniform());
    board.iowait_percent = ad_value_of(uniform() < 0.05 ? 40 : 2 * uniform());
    board.steal_percent = ad_value_of(uniform() < 0.05 ? 20 : uniform());
    board.celsius = ad_value_of(55 + 10 * uniform());
    board.cooling = ad_value_of(uniform() < 0.01 ? 1 : 0);
    if (uniform() < 0.001) {
        board.swap_used = ad_value_of(board.swap_used.number + 5e7);
    }
}

/* So many hours of it: two models that take turns, contexts of all lengths, bursts of
 * streams, waits with a heavy tail. Returns how many verdicts there were, but for those
 * that say that so many streams are new: these are true. */
static unsigned noise(uint64_t with, unsigned hours)
{
    static const char *const models[] = {"llama3", "mistral"};
    uint64_t end;

    begin();
    seed = with;
    end = ad_hub.now_ns + hours * 3600 * S;
    while (ad_hub.now_ns < end) {
        unsigned model = uniform() < 0.5, burst = uniform() < 0.15 ? 4 : 1, i;
        unsigned context = (unsigned)(uniform() * 3), seconds;

        seconds = 2 + (unsigned)(uniform() * uniform() * 30);
        for (i = 0; i < seconds; i++) {
            ordinary_board();
            go(1);
        }
        for (i = 0; i < burst; i++) {
            double streams = burst == 1 ? 1 : 3 + uniform();
            struct ad_speed s = speed(models[model],
                                      ordinary(model == 0 ? 18 : 31, context, streams),
                                      seconds);

            s.place.context = (uint8_t)context;
            s.place.streams = ad_baseline_streams(streams);
            s.streams = burst;
            ad_verdict_take(&s);
            s = waited(300 * (1 + context) * (0.7 + 0.6 * uniform()) /
                       (uniform() < 0.05 ? uniform() + 0.02 : 1));
            s.place.key = ad_prefix_model(0, models[model]) | 1;
            s.place.context = (uint8_t)context;
            s.parts_ms[AD_CAUSE_QUEUE] = burst == 1 ? 0 : 200 * i;
            ad_verdict_take(&s);
        }
        for (i = (unsigned)(uniform() * 20); i > 0; i--) {
            ordinary_board();
            go(1);
        }
    }
    return n_told - n_of[AD_CAUSE_STREAMS];
}

static void test_noise(void)
{
    unsigned s, n, verdicts = 0, streams = 0;

    for (s = 1; s <= 50; s++) {
        n = noise(s, 2);
        if (n > 0) {
            (void)printf("seed %u: %u, the last: %s\n", s, n, last.sentence);
        }
        verdicts += n;
        streams += n_of[AD_CAUSE_STREAMS];
    }
    CHECK_EQ(verdicts, 0);
    /* A burst has four: two are enough to know it, of each of two models and three
     * lengths of context. */
    CHECK(streams <= 50 * 2 * 3 * 2);
}

int main(void)
{
    test_codes();
    test_bands();
    test_usual();
    test_cells();
    test_marks();
    test_scenarios();
    test_no_cause();
    test_ends();
    test_new_usual();
    test_own_causes();
    test_waits();
    test_meter();
    test_longest();
    test_noise();
    return check_report();
}
