/* meter/bench.c: percentiles, the number of requests, the bodies, what is refused,
 * the time limits. */
#include "../src/meter/meter.c"
#include "check.h"

static void test_percentiles(void)
{
    static const double ten[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    double sorted[5];
    unsigned i;

    CHECK(ad_bench_percentile(ten, 0, 50) < 0);
    CHECK(ad_bench_percentile(ten, 1, 50) == 1);
    CHECK(ad_bench_percentile(ten, 1, 95) == 1);
    CHECK(ad_bench_percentile(ten, 2, 50) == 1);
    CHECK(ad_bench_percentile(ten, 3, 50) == 2);
    CHECK(ad_bench_percentile(ten, 10, 50) == 5);
    CHECK(ad_bench_percentile(ten, 10, 95) == 10);
    CHECK(ad_bench_percentile(ten, 10, 100) == 10);
    for (i = 0; i < 5; i++) {
        ad_bench_insert(sorted, i, (double)(i * 3 % 5)); /* 0 3 1 4 2 */
    }
    for (i = 0; i < 5; i++) {
        CHECK(sorted[i] == i);
    }
}

/* All that a step's requests told is in one histogram. */
static void test_histograms(void)
{
    struct ad_histogram a, b;

    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    ad_histogram_add(&a, 20000, 10);
    ad_histogram_add(&b, 90000, 1);
    ad_histogram_merge(&a, &b);
    CHECK_EQ(a.n, 11);
    CHECK_EQ(a.max_us, 90000);
    ad_histogram_merge(&b, &a);
    CHECK_EQ(b.n, 12);
    CHECK_EQ(ad_histogram_percentile(&b, 95), 90000);
}

static void test_requests(void)
{
    unsigned streams;

    for (streams = 1; streams <= AIDASH_BENCH_STREAMS; streams++) {
        unsigned n = ad_bench_requests(streams);

        CHECK(n % streams == 0 && n >= AD_BENCH_REQUESTS_MIN);
        CHECK(n < streams + AD_BENCH_REQUESTS_MIN && n <= AD_BENCH_SAMPLES);
    }
}

/* Each body is a JSON object of the length that was announced, and two are alike in
 * none of their first words. */
static void test_body(void)
{
    static char body[2][AD_BENCH_PROMPT_MAX * AD_BENCH_WORD + 1024];
    static const unsigned prompts[] = {1, 32, 33, 512, AD_BENCH_PROMPT_MAX};
    struct ad_json j;
    size_t i, k, len;

    ad_bench.count = 1;
    (void)snprintf(ad_bench_result(1)->plan.model, AIDASH_MODEL_MAX + 1,
                   "%060d\"\\x", 0);
    for (i = 0; i < AD_COUNT(prompts); i++) {
        ad_bench_write_body(prompts[i], AD_BENCH_TOKENS_MAX);
        len = ad_bench_body_len();
        CHECK(len < sizeof(body[0]));
        for (k = 0; k < len; k++) {
            body[0][k] = ad_bench_body_byte(0x123456789ABCDEF0ull, k);
            body[1][k] = ad_bench_body_byte(0x0FEDCBA987654321ull, k);
        }
        CHECK_EQ(ad_json_fault(body[0], len), AD_FAULT_NONE);
        CHECK_EQ(ad_json_object(&j, body[0], len), AD_FAULT_NONE);
        CHECK(ad_json_get(&j, "stream_options") != NULL);
        k = strlen(ad_bench.head);
        CHECK(memcmp(body[0] + k, body[1] + k, 2) != 0);
    }
    CHECK(strstr(body[0], " with these words") != NULL);
}

static struct ad_bench_plan plan_of(const char *json, enum ad_fault expected)
{
    struct ad_command_message r;

    CHECK_EQ(ad_command_parse(json, strlen(json), &r), expected);
    return r.bench;
}

static void test_commands(void)
{
    struct ad_bench_plan plan = plan_of("{\"action\":\"bench\"}", AD_FAULT_NONE);
    char json[256];

    CHECK_EQ(plan.prompt_tokens, AD_BENCH_PROMPT);
    CHECK_EQ(plan.max_tokens, AD_BENCH_TOKENS);
    CHECK_EQ(plan.n_streams, 0);
    CHECK_STR(plan.model, "");
    plan = plan_of("{\"action\":\"bench\",\"model\":\"m\",\"streams\":[1,4.0,8],"
                   "\"prompt_tokens\":1,\"max_tokens\":8192}", AD_FAULT_NONE);
    CHECK(plan.n_streams == 3 && plan.streams[1] == 4 && plan.streams[2] == 8);
    CHECK(plan.prompt_tokens == 1 && plan.max_tokens == 8192);
    CHECK_STR(plan.model, "m");
    plan = plan_of("{\"action\":\"bench\",\"streams\":[1,1,1,1,1,1,1,1],\"model\":null,"
                   "\"prompt_tokens\":32768,\"max_tokens\":2}", AD_FAULT_NONE);
    CHECK_EQ(plan.n_streams, AD_BENCH_STEPS);
    (void)plan_of("{\"action\":\"bench\",\"streams\":[1,1,1,1,1,1,1,1,1]}",
                  AD_FAULT_BENCH_STREAMS);
    (void)plan_of("{\"action\":\"bench\",\"streams\":[]}", AD_FAULT_BENCH_STREAMS);
    (void)plan_of("{\"action\":\"bench\",\"streams\":[0]}", AD_FAULT_BENCH_STREAMS);
    (void)plan_of("{\"action\":\"bench\",\"streams\":[-1]}", AD_FAULT_BENCH_STREAMS);
    (void)plan_of("{\"action\":\"bench\",\"streams\":[1.5]}", AD_FAULT_BENCH_STREAMS);
    (void)plan_of("{\"action\":\"bench\",\"streams\":[\"1\"]}", AD_FAULT_BENCH_STREAMS);
    (void)plan_of("{\"action\":\"bench\",\"streams\":[[1],2]}", AD_FAULT_BENCH_STREAMS);
    (void)plan_of("{\"action\":\"bench\",\"streams\":[{\"a\":1}]}",
                  AD_FAULT_BENCH_STREAMS);
    (void)plan_of("{\"action\":\"bench\",\"streams\":4}", AD_FAULT_BENCH_STREAMS);
    (void)plan_of("{\"action\":\"bench\",\"streams\":{}}", AD_FAULT_BENCH_STREAMS);
    (void)snprintf(json, sizeof(json), "{\"action\":\"bench\",\"streams\":[%d]}",
                   AIDASH_BENCH_STREAMS);
    CHECK_EQ(plan_of(json, AD_FAULT_NONE).streams[0], AIDASH_BENCH_STREAMS);
    (void)snprintf(json, sizeof(json), "{\"action\":\"bench\",\"streams\":[%d]}",
                   AIDASH_BENCH_STREAMS + 1);
    (void)plan_of(json, AD_FAULT_BENCH_STREAMS);
    (void)plan_of("{\"action\":\"bench\",\"prompt_tokens\":0}", AD_FAULT_BENCH_PROMPT);
    (void)plan_of("{\"action\":\"bench\",\"prompt_tokens\":32769}",
                  AD_FAULT_BENCH_PROMPT);
    (void)plan_of("{\"action\":\"bench\",\"prompt_tokens\":1e300}",
                  AD_FAULT_BENCH_PROMPT);
    (void)plan_of("{\"action\":\"bench\",\"max_tokens\":1}", AD_FAULT_BENCH_TOKENS);
    (void)plan_of("{\"action\":\"bench\",\"max_tokens\":8193}", AD_FAULT_BENCH_TOKENS);
    (void)plan_of("{\"action\":\"bench\",\"max_tokens\":\"9\"}", AD_FAULT_BENCH_TOKENS);
    (void)plan_of("{\"action\":\"bench\",\"model\":7}", AD_FAULT_MODEL);
    (void)plan_of("{\"action\":\"bench\",\"model\":\"a\\nb\"}", AD_FAULT_MODEL);
    (void)snprintf(json, sizeof(json), "{\"action\":\"bench\",\"model\":\"%064d\"}", 0);
    (void)plan_of(json, AD_FAULT_MODEL);
}

/* An aidash with an engine that nobody asks. */
static void begin_test(void)
{
    memset(&ad_hub, 0, sizeof(ad_hub));
    ad_feed_init();
    ad_engine_init();
    ad_commands_init();
    ad_meter_init();
    ad_queue_set(16, 64, 600000, 600000);
    ad_upstreams.n = 1;
}

static void test_refusals(void)
{
    struct ad_bench_plan plan;

    begin_test();
    memset(&plan, 0, sizeof(plan));
    ad_upstreams.n = 0;
    CHECK_EQ(ad_bench_fault(&plan), AD_FAULT_BENCH_METER);
    ad_upstreams.n = 1;
    ad_engine.paused = true;
    CHECK_EQ(ad_bench_fault(&plan), AD_FAULT_BENCH_PAUSED);
    ad_engine.paused = false;
    CHECK_EQ(ad_bench_stop(), AD_FAULT_BENCH_NONE);
    ad_queue_set(4, 64, 600000, 600000);
    CHECK_EQ(ad_bench_fault(&plan), AD_FAULT_NONE);
    CHECK(plan.n_streams == 2 && plan.streams[1] == 4); /* no 8 */
    plan.streams[1] = 5;
    CHECK_EQ(ad_bench_fault(&plan), AD_FAULT_BENCH_INFLIGHT);
    plan.streams[1] = 4;
    (void)ad_engine_add_model("a", false);
    (void)ad_engine_add_model("b", false);
    (void)snprintf(plan.model, sizeof(plan.model), "c");
    CHECK_EQ(ad_bench_fault(&plan), AD_FAULT_MODEL_UNKNOWN);
    (void)snprintf(plan.model, sizeof(plan.model), "b");
    CHECK_EQ(ad_bench_fault(&plan), AD_FAULT_NONE);
    ad_engine.overrides = true;
    CHECK_EQ(ad_bench_fault(&plan), AD_FAULT_BENCH_OVERRIDE);
    plan.model[0] = '\0';
    CHECK_EQ(ad_bench_fault(&plan), AD_FAULT_NONE);
    CHECK_STR(plan.model, "a");
    ad_bench.running = true;
    CHECK_EQ(ad_bench_fault(&plan), AD_FAULT_BENCH_RUNS);
}

/* A benchmark that began at 0, and is in this step, at this time: how it ended. */
static const char *at(unsigned step, uint32_t step_ms, uint32_t now_ms)
{
    begin_test();
    ad_bench.running = true;
    ad_bench.count = 1;
    ad_bench.step = step;
    ad_bench.step_ms = step_ms;
    ad_bench.now.streams = 4;
    ad_hub.now_ms = now_ms;
    ad_bench_housekeeping();
    CHECK_EQ(ad_bench.running, ad_bench_result(1)->state == AD_BENCH_RUNNING);
    return ad_bench_result(1)->reason;
}

static void test_limits(void)
{
    CHECK_STR(at(0, 0, AD_BENCH_WARM_MS - 1), "");
    CHECK_STR(at(0, 0, AD_BENCH_WARM_MS), "the first request took longer than 300 s");
    CHECK_STR(at(1, 1000, AD_BENCH_STEP_MS + 999), "");
    CHECK_STR(at(1, 1000, AD_BENCH_STEP_MS + 1000),
              "the step with 4 streams took longer than 600 s");
    CHECK_STR(at(3, AIDASH_BENCH_S * 1000 - 1, AIDASH_BENCH_S * 1000 - 1), "");
    CHECK_STR(at(3, AIDASH_BENCH_S * 1000, AIDASH_BENCH_S * 1000),
              "it took longer than 1800 s");
    CHECK_EQ(ad_bench_result(1)->state, AD_BENCH_FAILED);
    begin_test();
    ad_bench.running = ad_engine.paused = true;
    ad_bench_housekeeping();
    CHECK_STR(ad_bench_result(0)->reason, "requests were paused");
    begin_test();
    (void)ad_engine_add_model("a", false);
    ad_bench.running = ad_engine.overrides = true;
    (void)snprintf(ad_bench_result(0)->plan.model, AIDASH_MODEL_MAX + 1, "a");
    ad_bench_housekeeping();
    CHECK(ad_bench.running);
    (void)snprintf(ad_bench_result(0)->plan.model, AIDASH_MODEL_MAX + 1, "b");
    ad_bench_housekeeping();
    CHECK_STR(ad_bench_result(0)->reason,
              "a viewer chose another model for all requests");
}

/* The largest events and results fit. */
static void test_sizes(void)
{
    static const struct ad_bench_step most = {
        255, 255, true, true, UINT32_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
        1e30, 1e30, 1e30, 1e30, 1e30, 1e30, 1e30, 1e30};
    char json[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(json, AD_BENCH_JSON_MAX);
    struct ad_bench_result *r;
    unsigned i;

    begin_test();
    ad_bench.count = 1;
    r = ad_bench_result(1);
    memset(r->plan.model, '"', AIDASH_MODEL_MAX);
    memset(r->engine, '"', sizeof(r->engine) - 1);
    memset(r->reason, '"', sizeof(r->reason) - 1);
    for (i = 0; i < AD_BENCH_STEPS; i++) {
        r->plan.streams[i] = 255;
    }
    r->plan.n_streams = AD_BENCH_STEPS;
    r->plan.prompt_tokens = r->plan.max_tokens = UINT16_MAX;
    r->duration_ms = 1e30;
    r->start_us = UINT64_MAX;
    ad_bench_put_result(&t, 1);
    CHECK(!t.full);
    t = ad_text_in(json, AD_BENCH_JSON_MAX);
    ad_bench_put_step(&t, &most);
    CHECK(!t.full);
    printf("# a step has %zu bytes at most\n", t.len);
    r->steps[r->n_steps++] = most;
    r->reason[0] = '\0'; /* a reason comes behind the last step */
    ad_bench_report("step");
    memset(r->reason, '"', sizeof(r->reason) - 1);
    r->state = AD_BENCH_FAILED;
    ad_bench_report("failed");
    for (i = 1; i <= 2; i++) {
        size_t len = (size_t)(ad_feed_off(i + 1) - ad_feed_off(i));

        CHECK(ad_feed.bytes[(ad_feed_off(i + 1) - 1) % AIDASH_FEED_BYTES] == '}');
        CHECK(len < AD_EVENT_MAX);
        printf("# event %u has %zu bytes at most\n", i, len);
    }
}

int main(void)
{
    test_percentiles();
    test_histograms();
    test_requests();
    test_body();
    test_commands();
    test_refusals();
    test_limits();
    test_sizes();
    return check_report();
}
