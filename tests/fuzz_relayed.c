/* An event of another board, and its id. What is taken is one JSON object; what a
 * gateway's viewers get of it is JSON again, in one line; a tick is the contract's. The
 * first byte says how the rest is cut in an id and an event. */
#include "../src/core/nodes.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char wrapped[AD_EVENT_MAX];
static size_t wrapped_len;

static void tap(const char *json, size_t len, void *user)
{
    (void)user;
    if (ad_json_fault(json, len) != AD_FAULT_NONE || len > sizeof(wrapped) ||
        memchr(json, '\n', len) != NULL || memchr(json, '\r', len) != NULL) {
        __builtin_trap();
    }
    memcpy(wrapped, json, len);
    wrapped_len = len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char shown[AD_NODE_SHOWN_MAX];
    struct ad_text t = ad_text_in(shown, sizeof(shown));
    struct ad_relayed event;
    size_t id_len = size > 0 ? data[0] % 48 : 0;

    if (size < 1 + id_len || size > AD_RELAY_MAX + 64) {
        return 0;
    }
    memset(&event, 0, sizeof(event));
    memcpy(event.node, "n\"", 3);
    if (!ad_relayed_id_parse((const char *)data + 1, id_len, &event.id)) {
        return 0;
    }
    ad_relayed_parse((const char *)data + 1 + id_len, size - 1 - id_len, AD_RELAY_MAX,
                     &event);
    if (event.kind == AD_RELAYED_WRONG) {
        return 0;
    }
    ad_hub_init();
    ad_feed_init();
    ad_events_init();
    ad_engine_init();
    ad_ticks_init();
    ad_nodes_init();
    ad_events_tap(tap, NULL);
    ad_hub_set_clock(AD_NS_PER_S, 1000000);
    wrapped_len = 0;
    if (!ad_relay_push(&event)) {
        __builtin_trap();
    }
    ad_nodes_run();
    if (ad_nodes.n != 1 || wrapped_len == 0) {
        __builtin_trap();
    }
    ad_put_node(&t, 0);
    if (t.full || ad_json_fault(t.at, t.len) != AD_FAULT_NONE) {
        __builtin_trap();
    }
    if ((event.kind == AD_RELAYED_TICK) !=
        (memcmp(wrapped, "{\"event\":\"inference_tick\",", 25) == 0)) {
        __builtin_trap();
    }
    return 0;
}
