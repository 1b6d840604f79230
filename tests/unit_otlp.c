/* OpenTelemetry: whose turn it is, spans or metrics; both as JSON. The collector is the
 * test's: it takes each message when the test says so. */
#include "../src/board/otlp.c"
#include "check.h"

static void begin(void)
{
    struct ad_upstream to;

    memset(&to, 0, sizeof(to));
    to.n_addresses = 1;
    ad_hub_init();
    ad_feed_init();
    ad_engine_init();
    ad_ticks_init();
    ad_measures_init();
    ad_requests_init();
    ad_reports_init();
    ad_outbox_init();
    ad_otlp_init();
    ad_hub.now_ns = ad_hub.start_ns = 1000 * AD_NS_PER_S;
    ad_hub.now_us = ad_hub.start_us = 1700000000000000ull;
    CHECK(ad_otlp_set(&to));
}

/* As many models as have counts, whose metrics are several messages. */
static void models(void)
{
    struct ad_measured m;
    char name[32];
    unsigned i;

    memset(&m, 0, sizeof(m));
    m.known = m.has_prompt = m.has_completion = true;
    m.model = name;
    m.ttft_s = m.token_s = m.duration_s = m.queue_s = 1;
    for (i = 0; i < AIDASH_METRICS; i++) {
        (void)snprintf(name, sizeof(name), "model %u", i);
        ad_measure_request(&m);
    }
}

static void ends_request(void)
{
    static struct ad_proxy p;
    struct ad_proxy_figures f;

    memset(&p, 0, sizeof(p));
    memset(&f, 0, sizeof(f));
    p.request.metered = true;
    p.start_us = ad_hub.now_us;
    ad_otlp_request(&p, "finished", &f);
}

/* The path of the message that is on its way; then it is taken. Seconds go by. */
static const char *taken(unsigned s)
{
    static char path[AD_OUTBOX_TARGET_MAX + 1];
    struct ad_outbox *o = ad_otlp_outbox();
    const char *body = (const char *)o->bytes + AD_OUTBOX_HEAD_MAX;

    if (!o->busy) {
        return "";
    }
    CHECK(o->body_len < AD_OTLP_BODY);
    CHECK(ad_json_fault(body, o->body_len) == AD_FAULT_NONE);
    memcpy(path, o->target, sizeof(path));
    ad_hub.now_ns += s * AD_NS_PER_S;
    o->busy = false;
    o->ended(true);
    return path;
}

/* Metrics take several messages, and are due again before they are all sent. */
static void test_turns(void)
{
    unsigned i;

    begin();
    models();
    ends_request();
    ad_otlp_housekeeping();
    CHECK_STR(taken(AD_OTLP_S), AD_OTLP_METRICS);
    CHECK(ad_otlp.telling);
    for (i = 0; i < 20; i++) {
        CHECK_STR(taken(AD_OTLP_S), AD_OTLP_TRACES);
        CHECK_EQ(ad_otlp.next, ad_otlp.n);
        ends_request(); /* while metrics are on their way */
        CHECK_STR(taken(AD_OTLP_S), AD_OTLP_METRICS);
    }
    CHECK_EQ(ad_otlp.dropped, 0);
}

/* Without spans, metrics come message by message; without metrics, spans. */
static void test_alone(void)
{
    unsigned i = 0;

    begin();
    models();
    ad_otlp_housekeeping();
    while (ad_otlp.telling && i++ < 100) {
        CHECK_STR(taken(0), AD_OTLP_METRICS);
    }
    CHECK(i > 1 && i < 100);
    ends_request();
    CHECK_STR(taken(0), AD_OTLP_METRICS); /* the last of them */
    CHECK_STR(taken(0), AD_OTLP_TRACES);
    CHECK_STR(taken(0), "");
    ends_request();
    ad_otlp_housekeeping();
    CHECK_STR(taken(0), AD_OTLP_TRACES);
    CHECK_STR(taken(0), "");
}

int main(void)
{
    test_turns();
    test_alone();
    return check_report();
}
