/* JSON from outside: an ingest line, and a command. What is accepted is within
 * its ranges, and what the hub makes of it is JSON again. */
#include "../src/codec/answer.c"
#include "../src/codec/messages.c"
#include "../src/codec/tick.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char model[AD_MODEL_JSON_MAX], node[AD_NODE_JSON_MAX];
    struct ad_tick tick;
    const char *s = (const char *)data;
    enum ad_fault fault;
    jsmn_parser parser;
    struct ad_sample sample;
    struct ad_command_message request;
    char json[(int)AD_REPLY_MAX > (int)AD_TICK_MAX ? (int)AD_REPLY_MAX : (int)AD_TICK_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    if (size > AIDASH_MESSAGE_MAX) {
        return 0;
    }
    /* Another parser, which is less strict, takes what ours takes; but for a
     * number or literal alone. */
    jsmn_init(&parser);
    if (ad_json_fault(s, size) == AD_FAULT_NONE &&
        strchr("{[\"", s[ad_json_space(s, size)]) != NULL &&
        jsmn_parse(&parser, s, size, NULL, 0) < 1) {
        __builtin_trap();
    }
    if (ad_sample_parse(s, size, &sample) == AD_FAULT_NONE) {
        if (sample.latency_ms > AD_LATENCY_LIMIT || sample.latency_ms < 0 ||
            sample.tokens > AD_TOKENS_LIMIT || sample.total > AD_TOTAL_LIMIT ||
            sample.rate < 0 || sample.rate > AD_RATE_LIMIT) {
            __builtin_trap();
        }
        memset(&tick, 0, sizeof(tick));
        t = ad_text_in(model, sizeof(model));
        ad_put_escaped(&t, sample.model, strlen(sample.model));
        tick.model_json = model;
        tick.model_json_len = t.len;
        t = ad_text_in(node, sizeof(node));
        ad_put_escaped(&t, sample.node, strlen(sample.node));
        tick.node_json = node;
        tick.node_json_len = t.len;
        tick.tokens = sample.total;
        tick.latency_ms = sample.latency_ms;
        tick.rate = sample.rate;
        tick.time_us = sample.time_us;
        t = ad_text_in(json, sizeof(json));
        ad_tick_encode(&t, &tick);
        if (t.full || ad_json_fault(t.at, t.len) != AD_FAULT_NONE) {
            __builtin_trap();
        }
    }
    t = ad_text_in(json, sizeof(json));
    fault = ad_command_parse(s, size, &request);
    if (fault != AD_FAULT_NONE) {
        ad_put_error(&t, fault, request.id);
        if (t.full || ad_json_fault(t.at, t.len) != AD_FAULT_NONE) {
            __builtin_trap();
        }
    }
    return 0;
}
