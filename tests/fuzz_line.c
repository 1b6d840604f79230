/* JSON from outside: an ingest line, and a command. What is accepted is within
 * its ranges, and what the hub makes of it is JSON again. */
#include "../aidash.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ad_series series;
    const char *s = (const char *)data, *why;
    struct ad_sample sample;
    struct ad_request request;
    char json[AD_REPLY_MAX > AD_TICK_MAX ? AD_REPLY_MAX : AD_TICK_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    if (size > AIDASH_MESSAGE_MAX) {
        return 0;
    }
    if (ad_sample_parse(s, size, &sample) == NULL) {
        if (sample.latency_ms > AD_LATENCY_LIMIT || sample.latency_ms < 0 ||
            sample.tokens > AD_TOKENS_LIMIT || sample.total > AD_TOTAL_LIMIT ||
            sample.rate < 0 || sample.rate > AD_RATE_LIMIT) {
            __builtin_trap();
        }
        t = ad_text_in(series.model_json, sizeof(series.model_json));
        ad_put_escaped(&t, sample.model, strlen(sample.model));
        series.model_json_len = (unsigned)t.len;
        t = ad_text_in(series.node_json, sizeof(series.node_json));
        ad_put_escaped(&t, sample.node, strlen(sample.node));
        series.node_json_len = (unsigned)t.len;
        series.tokens = sample.total;
        t = ad_text_in(json, sizeof(json));
        ad_tick_encode(&t, &series, sample.latency_ms, sample.rate,
                       sample.time_us);
        if (t.full || ad_json_fault(t.at, t.len) != NULL) {
            __builtin_trap();
        }
    }
    t = ad_text_in(json, sizeof(json));
    if (ad_request_parse(s, size, &request, &why) != NULL) {
        ad_put_error(&t, "code", why, request.id);
        if (t.full || ad_json_fault(t.at, t.len) != NULL) {
            __builtin_trap();
        }
    }
    return 0;
}
