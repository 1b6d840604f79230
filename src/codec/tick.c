/* tick.c - the tick, the event of the contract that never changes. Pure. */
#ifndef AD_CODEC_TICK_C
#define AD_CODEC_TICK_C

#include "../base/text.c"

enum {
    AD_MODEL_JSON_MAX = 2 * AIDASH_MODEL_MAX, /* only " and \ are escaped */
    AD_NODE_JSON_MAX = 2 * AIDASH_NODE_MAX,
    AD_TICK_MAX = 512 /* bytes of a tick's JSON, see ad_tick_encode */
};

/* A tick. Its names are JSON text already, without quotes. */
struct ad_tick {
    const char *model_json, *node_json;
    size_t model_json_len, node_json_len; /* node: 0 for this board */
    uint64_t tokens;
    double latency_ms, rate;
    uint64_t time_us;
    bool estimated;
    bool first;       /* latency_ms is no time between two tokens */
    uint64_t request; /* the proxied request that it is of; 0: none */
};

/* The first six fields never change: clients depend on them and on their order.
 * The fixed text is 179 bytes, numbers are at most 90, names at most 190. */
static void ad_tick_encode(struct ad_text *t, const struct ad_tick *tick)
{
    ad_puts(t, "{\"event\":\"inference_tick\",\"model\":\"");
    ad_put(t, tick->model_json, tick->model_json_len);
    ad_puts(t, "\",\"tokens_generated\":");
    ad_put_u64(t, tick->tokens);
    ad_puts(t, ",\"latency_ms\":");
    ad_put_fixed(t, tick->latency_ms, 3);
    ad_puts(t, ",\"tokens_per_second\":");
    ad_put_fixed(t, tick->rate, 2);
    ad_puts(t, ",\"timestamp\":");
    ad_put_decimal(t, tick->time_us, 6);
    if (tick->node_json_len != 0) {
        ad_puts(t, ",\"node\":\"");
        ad_put(t, tick->node_json, tick->node_json_len);
        ad_puts(t, "\"");
    }
    if (tick->estimated) {
        ad_puts(t, ",\"estimated\":true");
    }
    if (tick->request != 0) {
        ad_puts(t, ",\"request\":");
        ad_put_u64(t, tick->request);
    }
    ad_puts(t, tick->first ? ",\"first\":true}" : "}");
}
_Static_assert(AD_TICK_MAX >= 179 + 90 + AD_MODEL_JSON_MAX + AD_NODE_JSON_MAX,
               "a tick's JSON fits AD_TICK_MAX");

#endif
