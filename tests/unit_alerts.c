/* Rules of alerts: how they are read, and refused; when they fire and when they are
 * over; their sentences. */
#include "../src/board/alert_rules.c"
#include "check.h"

#define S AD_NS_PER_S

static struct ad_alert_rule rule;
static struct ad_alert_state state;
static char why[AD_ALERT_WHY_MAX];

static bool reads(const char *text)
{
    why[0] = '\0';
    return ad_alert_parse(text, strlen(text), &rule, why);
}

static void test_rules(void)
{
    static const struct {
        const char *text, *name;
        unsigned series, op;
        double threshold, clear;
        unsigned for_s;
    } good[] = {
        {"latency_p95_ms > 200 for 30s", "latency_p95_ms > 200 for 30s", AD_ALERT_P95,
         AD_ALERT_ABOVE, 200, 190, 30},
        {"slow: tokens_per_second<5 for 1m", "slow", AD_ALERT_RATE, AD_ALERT_BELOW, 5,
         5.25, 60},
        {"hot: temperature:cpu >= 80 C for 2h clear 70C", "hot", AD_ALERT_TEMPERATURE,
         AD_ALERT_AT_LEAST, 80, 70, 7200},
        {"  temperature > 80", "  temperature > 80", AD_ALERT_TEMPERATURE,
         AD_ALERT_ABOVE, 80, 76, 0},
        {"disk_free_gb <= 0.5GB clear 2 GB", "disk_free_gb <= 0.5GB clear 2 GB",
         AD_ALERT_DISK, AD_ALERT_AT_MOST, 0.5, 2, 0},
        {"queue == 4", "queue == 4", AD_ALERT_QUEUE, AD_ALERT_EQUAL, 4, 4, 0},
        {"engine_down", "engine_down", AD_ALERT_DOWN, AD_ALERT_EQUAL, 1, 1, 0},
        {"engine_down for 10", "engine_down for 10", AD_ALERT_DOWN, AD_ALERT_EQUAL, 1, 1,
         10},
        {"engine_down > 0", "engine_down > 0", AD_ALERT_DOWN, AD_ALERT_ABOVE, 0, 0, 0},
        {"verdict:thermal for 5s", "verdict:thermal for 5s", AD_ALERT_VERDICT,
         AD_ALERT_EQUAL, 1, 1, 5},
        {"gauge:room temp. < -5", "gauge:room temp. < -5", AD_ALERT_GAUGE,
         AD_ALERT_BELOW, -5, -4.75, 0},
        {"cpu_percent >95% for 24h", "cpu_percent >95% for 24h", AD_ALERT_CPU,
         AD_ALERT_ABOVE, 95, 90.25, 86400},
        {"requests_per_minute > 0", "requests_per_minute > 0", AD_ALERT_REQUESTS,
         AD_ALERT_ABOVE, 0, 0, 0},
    };
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "1 to 127 bytes"},
        {"latncy > 2", "begins with none of tokens_per_second, latency_p50_ms"},
        {"> 2", "begins with none of"},
        {"latency_p95_ms", "write one of >, >=, <, <= and =="},
        {"latency_p95_ms 200", "write one of >"},
        {"latency_p95_ms => 200", "write one of >"},
        {"latency_p95_ms > ", "a number, such as 200"},
        {"latency_p95_ms > ms", "a number, such as 200"},
        {"latency_p95_ms > 200 s", "only `for TIME` and `clear NUMBER`"},
        {"latency_p95_ms > 2s", "'s' is no unit of latency_p95_ms, which is in ms"},
        {"queue > 2ms", "'ms' is no unit of queue, which is a plain number"},
        {"latency_p95_ms > 1e16", "too large"},
        {"latency_p95_ms > 200 for", "write `for` and 30s"},
        {"latency_p95_ms > 200 for 1d", "write `for` and 30s"},
        {"latency_p95_ms > 200 for 25h", "a day at most"},
        {"latency_p95_ms > 200 for 1.5s", "write `for` and 30s"},
        {"latency_p95_ms > 200 clear 201", "it is over, by `clear`"},
        {"tokens_per_second < 5 clear 4", "it is over, by `clear`"},
        {"tokens_per_second < 5 clear", "a number"},
        {"queue == 5 clear 4", "only `for TIME`"},
        {"engine_down clear 4", "only `for TIME`"},
        {"engine_down now", "only `for TIME`"},
        {"gauge > 4", "write gauge:NAME"},
        {"gauge: > 4", "begins with none of"},
        {"queue:a > 4", "queue has no colon"},
        {"temperature: > 4", "begins with none of"},
        {": queue > 4", "the name before"},
        {"a name that is a bit too long for a name of a rule: queue > 4",
         "the name before"},
    };
    size_t i;

    for (i = 0; i < AD_COUNT(good); i++) {
        CHECK(reads(good[i].text));
        CHECK_STR(why, "");
        CHECK_STR(rule.name, good[i].name);
        CHECK_EQ(rule.series, good[i].series);
        CHECK_EQ(rule.op, good[i].op);
        CHECK(rule.threshold == good[i].threshold);
        CHECK(fabs(rule.clear - good[i].clear) < 1e-9);
        CHECK_EQ(rule.for_s, good[i].for_s);
    }
    CHECK(reads("gauge:room temp. < -5"));
    CHECK_STR(rule.which, "room temp.");
    CHECK(reads("temperature:gpu > 5"));
    CHECK_STR(rule.which, "gpu");
    for (i = 0; i < AD_COUNT(bad); i++) {
        if (reads(bad[i].text) || strstr(why, bad[i].why) == NULL) {
            printf("%s: %s\n", bad[i].text, why);
            CHECK(false);
        }
        CHECK(strlen(why) < AD_ALERT_WHY_MAX - 1);
    }
}

/* A name as long as it may be, and a rule as long as it may be. */
static void test_edges(void)
{
    char text[AD_ALERT_TEXT_MAX + 2];

    memset(text, 'n', sizeof(text));
    memcpy(text + AD_ALERT_NAME_MAX, ": queue > 1", 12);
    CHECK(reads(text));
    CHECK_EQ(strlen(rule.name), AD_ALERT_NAME_MAX);
    CHECK_STR(rule.text, "queue > 1");
    memset(text, ' ', sizeof(text));
    memcpy(text, "queue > 1", 9);
    CHECK(ad_alert_parse(text, AD_ALERT_TEXT_MAX, &rule, why));
    CHECK_EQ(strlen(rule.text), AD_ALERT_TEXT_MAX);
    CHECK(!ad_alert_parse(text, AD_ALERT_TEXT_MAX + 1, &rule, why));
    CHECK(reads("gauge:0123456789012345678901234567890 > 1"));
    CHECK(!reads("gauge:01234567890123456789012345678901 > 1"));
    /* A name that is the rule, cut between two characters. */
    CHECK(reads("gauge:\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4"
                "\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4 > 1   for 12000s clear 0"));
    CHECK(ad_utf8_ok((const uint8_t *)rule.name, strlen(rule.name)));
}

static uint64_t now_s;

/* A second later there is this value. */
static enum ad_alert_change step(double value)
{
    now_s++;
    return ad_alert_step(&rule, &state, value, now_s * S, now_s * 1000000);
}

static void begin(const char *text)
{
    CHECK(reads(text));
    memset(&state, 0, sizeof(state));
    now_s = 1000;
}

static void test_states(void)
{
    unsigned i;

    /* At once, and over by 5 %: in between nothing changes. */
    begin("latency_p95_ms > 200");
    CHECK_EQ(step(200), AD_ALERT_SAME);
    CHECK_EQ(step(200.1), AD_ALERT_FIRES);
    CHECK_EQ(state.since_us, 1002 * 1000000ull);
    CHECK_EQ(step(250), AD_ALERT_SAME);
    CHECK_EQ(step(195), AD_ALERT_SAME);
    CHECK_EQ(step(201), AD_ALERT_SAME);
    CHECK_EQ(step(190), AD_ALERT_OVER);
    CHECK_EQ(step(195), AD_ALERT_SAME);
    CHECK_EQ(step(201), AD_ALERT_FIRES);
    CHECK_EQ(state.since_us, 1008 * 1000000ull);

    /* For 3 s: three seconds between the first such value and the last. One that is
     * not, begins anew. */
    begin("queue >= 4 for 3s");
    CHECK_EQ(step(4), AD_ALERT_SAME);
    CHECK_EQ(step(5), AD_ALERT_SAME);
    CHECK_EQ(step(4), AD_ALERT_SAME);
    CHECK_EQ(step(3), AD_ALERT_SAME);
    for (i = 0; i < 3; i++) {
        CHECK_EQ(step(4), AD_ALERT_SAME);
    }
    CHECK_EQ(step(4), AD_ALERT_FIRES);
    CHECK_EQ(state.since_us, 1005 * 1000000ull);

    /* What is not known neither raises nor ends, and its time does not count. */
    begin("tokens_per_second < 5 for 2s clear 8");
    CHECK_EQ(step(NAN), AD_ALERT_SAME);
    CHECK_EQ(step(4), AD_ALERT_SAME);
    for (i = 0; i < 100; i++) {
        CHECK_EQ(step(NAN), AD_ALERT_SAME);
    }
    CHECK_EQ(step(4), AD_ALERT_SAME);
    CHECK_EQ(step(4), AD_ALERT_SAME);
    CHECK_EQ(step(4), AD_ALERT_FIRES);
    for (i = 0; i < 100; i++) {
        CHECK_EQ(step(NAN), AD_ALERT_SAME);
        CHECK(state.firing && state.value == 4);
    }
    CHECK_EQ(step(7.9), AD_ALERT_SAME);
    CHECK_EQ(step(8), AD_ALERT_OVER);

    /* A standstill of the process counts as a few seconds. */
    begin("queue > 1 for 1h");
    CHECK_EQ(step(2), AD_ALERT_SAME);
    now_s += 7200;
    CHECK_EQ(step(2), AD_ALERT_SAME);
    CHECK_EQ(state.held_ns, AD_ALERT_GAP_MS * AD_NS_PER_MS);

    /* Flags, ==, and a number of 0, of which 5 % are none. */
    begin("engine_down");
    CHECK_EQ(step(0), AD_ALERT_SAME);
    CHECK_EQ(step(1), AD_ALERT_FIRES);
    CHECK_EQ(step(0), AD_ALERT_OVER);
    begin("queue == 3");
    CHECK_EQ(step(3), AD_ALERT_FIRES);
    CHECK_EQ(step(4), AD_ALERT_OVER);
    begin("errors_per_minute > 0");
    CHECK_EQ(step(1), AD_ALERT_FIRES);
    CHECK_EQ(step(0), AD_ALERT_OVER);
    begin("gauge:x < -10");
    CHECK_EQ(step(-11), AD_ALERT_FIRES);
    CHECK_EQ(step(-9.6), AD_ALERT_SAME);
    CHECK_EQ(step(-9.5), AD_ALERT_OVER);
    begin("gauge:x <= 10 for 0s");
    CHECK_EQ(step(10), AD_ALERT_FIRES);
    CHECK_EQ(step(10.2), AD_ALERT_SAME);
    CHECK_EQ(step(10.5), AD_ALERT_OVER);
}

static const char *sentence(const char *text, double value, bool firing, uint64_t s)
{
    static char out[300];
    struct ad_text t = ad_text_in(out, sizeof(out) - 1);

    CHECK(reads(text));
    ad_put_alert_sentence(&t, &rule, value, firing, s);
    out[t.len] = '\0';
    return out;
}

static void test_sentences(void)
{
    CHECK_STR(sentence("latency_p95_ms > 200 for 30s", 231.4, true, 0),
              "latency (p95) is 231 ms, above 200 ms for 30 s");
    CHECK_STR(sentence("latency_p95_ms > 200 for 30s", 150, false, 200),
              "latency (p95) is 150 ms again; it was above 200 ms for 3 min");
    CHECK_STR(sentence("temperature:cpu >= 80", 81.25, true, 0),
              "temperature cpu is 81.3 \xC2\xB0" "C, at least 80 \xC2\xB0" "C");
    CHECK_STR(sentence("gauge:room < -5", -7.5, true, 0), "gauge room is -7.5, below -5");
    CHECK_STR(sentence("engine_down for 10s", 1, true, 0),
              "an engine is down for 10 s");
    CHECK_STR(sentence("engine_down", 0, false, 7300),
              "over: an engine is down, after 2 h");
    CHECK_STR(sentence("verdict:thermal", 1, true, 0),
              "it is slower than usual: thermal");
    CHECK_STR(sentence("disk_free_gb < 1", 0.126, true, 0),
              "free disk space is 0.13 GB, below 1 GB");
    CHECK_STR(sentence("ttft_p95_ms > 0.0001", 0.00125, true, 0),
              "time to first token (p95) is 0.0013 ms, above 0.0001 ms");
    CHECK_STR(sentence("gauge:x > 999999999999999", 1e99, true, 0),
              "gauge x is 1e+99, above 999999999999999");
    CHECK_STR(sentence("gauge:x < 0", -2.5e-7, true, 0), "gauge x is -2.5e-07, below 0");
}

int main(void)
{
    test_rules();
    test_edges();
    test_states();
    test_sentences();
    return check_report();
}
