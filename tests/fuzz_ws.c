/* The WebSocket input as the hub runs it: bytes in pieces, answers out to a
 * socket that takes what it likes. Byte 0 chooses the pieces. */
#include "../src/core/clients_in.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t piece[AD_SCRATCH];
    struct ad_client *c = &ad_clients[0];
    size_t at = 1, step = size > 0 ? data[0] : 0;

    if (ad_engine.n_models == 0) {
        memcpy(ad_engine.models[ad_engine.n_models++], "llama3", 7);
        ad_feed_init();
    }
    memset(c, 0, sizeof(*c));
    c->kind = AD_WS;
    c->subscribed = AD_NO_SLOT;
    while (at < size && !c->closing) {
        size_t n = size - at, used;

        n = step != 0 && n > step ? step : n;
        n = n < sizeof(piece) ? n : sizeof(piece);
        memcpy(piece, data + at, n);
        used = ad_ws_input(c, piece, n);
        /* A whole answer always fits, so something was used. */
        if (used == 0 || used > n || c->in.ws.message_len > AIDASH_MESSAGE_MAX) {
            __builtin_trap();
        }
        ad_reply_len = 0; /* sent */
        at += used;
    }
    return 0;
}
