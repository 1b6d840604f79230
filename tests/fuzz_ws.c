/* The WebSocket input as the hub runs it: bytes in pieces, answers out to a
 * socket that takes what it likes. Byte 0 chooses the pieces. */
#include "../src/core/viewers.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t piece[16 * 1024];
    char answers[AD_OUT_CAP];
    struct ad_client *c = &ad_clients[0];
    size_t at = 1, step = size > 0 ? data[0] : 0;

    if (ad_engine.n_models == 0) {
        memcpy(ad_engine.models[ad_engine.n_models++], "llama3", 7);
        ad_feed_init();
    }
    memset(c, 0, sizeof(*c));
    c->kind = AD_WS;
    c->subscribed = AD_NO_SLOT;
    ad_client_enter(c, AD_OPEN);
    while (at < size && c->phase == AD_OPEN) {
        struct ad_text reply = ad_text_in(answers, sizeof(answers));
        size_t n = size - at, used;

        n = step != 0 && n > step ? step : n;
        n = n < sizeof(piece) ? n : sizeof(piece);
        memcpy(piece, data + at, n);
        ad_events_fanned_out();
        used = ad_ws_input(c, piece, n, &reply);
        /* A whole answer always fits, so something was used. */
        if (used == 0 || used > n || reply.full ||
            c->in.ws.message_len > AIDASH_MESSAGE_MAX) {
            __builtin_trap();
        }
        at += used;
    }
    ad_client_enter(c, AD_FREE);
    return 0;
}
