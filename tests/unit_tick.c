/* codec/tick.c: the tick that never changes, and the longest there can be. */
#include "../src/codec/messages.c"
#include "../src/codec/tick.c"
#include "check.h"

static void test_tick(void)
{
    struct ad_tick tick = {.model_json = "llama3", .model_json_len = 6,
                           .tokens = 47, .latency_ms = 118.3, .rate = 3.82,
                           .time_us = 1741478400123000ull};
    char buffer[AD_TICK_MAX + 1], name[AIDASH_MODEL_MAX + 1];
    char model[AD_MODEL_JSON_MAX], node[AD_NODE_JSON_MAX];
    struct ad_text t = ad_text_in(buffer, AD_TICK_MAX);

    ad_tick_encode(&t, &tick);
    t.at[t.len] = '\0';
    CHECK_STR(t.at,
              "{\"event\":\"inference_tick\",\"model\":\"llama3\","
              "\"tokens_generated\":47,\"latency_ms\":118.3,"
              "\"tokens_per_second\":3.82,\"timestamp\":1741478400.123}");

    tick.request = 17;
    t = ad_text_in(buffer, AD_TICK_MAX);
    ad_tick_encode(&t, &tick);
    t.at[t.len] = '\0';
    CHECK_STR(strstr(t.at, ",\"timestamp\":"),
              ",\"timestamp\":1741478400.123,\"request\":17}");
    tick.estimated = tick.first = true;
    t = ad_text_in(buffer, AD_TICK_MAX);
    ad_tick_encode(&t, &tick);
    t.at[t.len] = '\0';
    CHECK_STR(strstr(t.at, ",\"timestamp\":"),
              ",\"timestamp\":1741478400.123,\"estimated\":true,"
              "\"request\":17,\"first\":true}");

    /* The longest tick there can be fits. */
    memset(name, '"', AIDASH_MODEL_MAX);
    name[AIDASH_MODEL_MAX] = '\0';
    t = ad_text_in(model, sizeof(model));
    ad_put_escaped(&t, name, AIDASH_MODEL_MAX);
    CHECK(!t.full);
    tick.model_json = model;
    tick.model_json_len = t.len;
    t = ad_text_in(node, sizeof(node));
    ad_put_escaped(&t, name, AIDASH_NODE_MAX);
    CHECK(!t.full);
    tick.node_json = node;
    tick.node_json_len = t.len;
    tick.tokens = AD_TOTAL_LIMIT;
    tick.latency_ms = 999999999.999;
    tick.rate = 999999999999.99;
    tick.time_us = 99999999999999999ull;
    tick.request = UINT64_MAX;
    t = ad_text_in(buffer, AD_TICK_MAX);
    ad_tick_encode(&t, &tick);
    CHECK(!t.full);
    CHECK(t.len <= 179 + 90 + 2 * AIDASH_MODEL_MAX + 2 * AIDASH_NODE_MAX);
    CHECK(ad_json_fault(t.at, t.len) == AD_FAULT_NONE);
}

int main(void)
{
    test_tick();
    return check_report();
}
