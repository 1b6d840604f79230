/* Messages over a link: of a board to its gateway, and of a gateway to its board. What
 * comes of them is JSON, in one line, and of that node alone; of a gateway's commands
 * none ends what it was not sent, and no answer is longer than its room. Byte 0 chooses
 * the side. */
#include "../src/fleet/fleet.c"
#include "begin_hub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tap(const char *json, size_t len, void *user)
{
    (void)user;
    if (ad_json_fault(json, len) != AD_FAULT_NONE || memchr(json, '\n', len) != NULL ||
        memchr(json, '\r', len) != NULL) {
        __builtin_trap();
    }
}

static void begin(void)
{
    ad_log_set_level(AIDASH_LOG_ERROR);
    begin_hub(tap);
    ad_rights_init();
    ad_clients_init();
    ad_nodes_init();
    ad_own_commands_init();
    ad_own_requests_init();
    ad_commands_init();
    ad_fleet_init();
    memcpy(ad_engine.models[ad_engine.n_models++], "llama3", 7);
    memcpy(ad_hub.run, "abc", 4);
}

/* The gateway's side: the socket takes nothing. */
static void of_board(const char *text, size_t len)
{
    struct ad_uplink *b = &ad_uplinks.list[0];

    ad_uplinks.n_used = 1;
    memset(b, 0, sizeof(*b));
    b->phase = AD_UPLINK_OPEN;
    b->fd = -1;
    b->asked[0] = 7;
    memcpy(b->node, "n\"", 3);
    (void)ad_peer_open(0);
    ad_uplink_message(b, text, len);
    if (b->out_len > sizeof(b->out) || ad_nodes.n > 1 ||
        (ad_nodes.n == 1 && strcmp(ad_nodes.list[0].name, "n\"") != 0)) {
        __builtin_trap();
    }
    if (b->phase != AD_UPLINK_FREE) {
        ad_uplink_broken(b, "it is over");
    }
}

#if AIDASH_METER

/* The board's side. */
static void of_gateway(uint8_t *text, size_t len, bool first)
{
    struct ad_ws_event event;

    memset(&event, 0, sizeof(event));
    event.kind = AD_WS_TEXT;
    event.payload = text;
    event.len = len;
    ad_forward.step = first ? AD_FORWARD_LAST : AD_FORWARD_OPEN;
    ad_forward.dial.fd = -1;
    (void)ad_forward_event_of(&event);
    if (ad_forward.out_at + ad_forward.out_len > sizeof(ad_forward.out) ||
        ad_forward.next > ad_feed.next) {
        __builtin_trap();
    }
}

#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy;

    if (size < 1 || size > AD_LINK_MESSAGE) {
        return 0;
    }
    copy = malloc(size); /* exactly: one byte too far is seen */
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, data + 1, size - 1);
    begin();
    if (data[0] % 3 == 0) {
        of_board((const char *)copy, size - 1);
#if AIDASH_METER
    } else if (size <= AD_FORWARD_IN) {
        of_gateway(copy, size - 1, data[0] % 3 == 1);
#endif
    }
    free(copy);
    return 0;
}
