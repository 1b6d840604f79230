#ifndef AD_CODEC_TICK_C
#define AD_CODEC_TICK_C

/* The document's tick, its six fields in their order for ever. Fixed text is
 * 155 bytes, numbers are at most 70, names at most 190. */
static void ad_tick_encode(struct ad_text *t, const struct ad_series *s,
                           double latency_ms, double rate, uint64_t time_us)
{
    ad_puts(t, "{\"event\":\"inference_tick\",\"model\":\"");
    ad_put(t, s->model_json, s->model_json_len);
    ad_puts(t, "\",\"tokens_generated\":");
    ad_put_u64(t, s->tokens);
    ad_puts(t, ",\"latency_ms\":");
    ad_put_fixed(t, latency_ms, 3);
    ad_puts(t, ",\"tokens_per_second\":");
    ad_put_fixed(t, rate, 2);
    ad_puts(t, ",\"timestamp\":");
    ad_put_decimal(t, time_us, 6);
    if (s->node_json_len != 0) {
        ad_puts(t, ",\"node\":\"");
        ad_put(t, s->node_json, s->node_json_len);
        ad_puts(t, "\"");
    }
    ad_puts(t, s->estimates > 0 ? ",\"estimated\":true}" : "}");
}
_Static_assert(AD_TICK_MAX >= 155 + 70 + AD_MODEL_JSON_MAX + AD_NODE_JSON_MAX,
               "a tick's JSON fits AD_TICK_MAX");

#endif
