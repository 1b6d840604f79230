/* attach.c - a connection becomes a client of the hub. */
#ifndef AD_CORE_ATTACH_C
#define AD_CORE_ATTACH_C

#include "../base/net.c"
#include "clients_in.c"

struct ad_attach {
    uint64_t address;     /* of the peer, as ad_address_key() has it */
    const char *greeting; /* what the client gets first: the handshake's answer */
    size_t greeting_len;
    enum ad_kind kind;
    int fd;               /* owned by the hub from here on */
    uint8_t *rest;        /* bytes that came behind the request head */
    size_t rest_len;
    const char *id;       /* client_id, or "" */
    const char *cors;     /* header lines, or "" */
    struct ad_body body;  /* AD_INGEST, AD_COMMAND */
    bool whole, expects;  /* the body is one object; Expect: 100-continue */
    uint64_t since;       /* AD_SSE, AD_TICKS: the last event that is known */
    bool has_since;
    uint32_t limit;       /* AD_TICKS: elements at most */
    uint32_t last;        /* AD_TICKS: the newest so many instead, if not 0 */
};

/* Where an SSE or polling client begins. */
static void ad_client_place(struct ad_client *c, const struct ad_attach *a)
{
    uint64_t next = a->since + 1;

    c->next = ad_feed.next;
    c->until = ad_feed.next;
    c->limit = a->limit;
    if (a->last > 0) {
        uint32_t found = 0;

        c->limit = a->last;
        while (c->next > ad_feed.first && found < a->last) {
            found += ad_feed_kind(--c->next) == AD_EV_TICK;
        }
    } else if (a->has_since && a->since < ad_feed.next) {
        c->next = next;
        c->resuming = true;
    }
}

static void ad_client_greet(struct ad_client *c, const struct ad_attach *a)
{
    char text[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(text, sizeof(text));

    if (c->kind == AD_SSE) {
        char extra[AD_CORS_MAX + 64];
        struct ad_text e = ad_text_in(extra, sizeof(extra));

        ad_putf(&e, "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n%s",
                a->cors);
        ad_put_head(&t, 200, "text/event-stream", SIZE_MAX, extra);
        ad_puts(&t, "retry: 1000\n\n");
    } else if (c->kind == AD_TICKS) {
        char extra[AD_CORS_MAX + 64];
        struct ad_text e = ad_text_in(extra, sizeof(extra));

        ad_putf(&e, "Cache-Control: no-store\r\n%s", a->cors);
        ad_put_head(&t, 200, "application/json", SIZE_MAX, extra);
        ad_puts(&t, "{\"started\":");
        ad_put_decimal(&t, ad_hub.start_us, 6);
        ad_puts(&t, ",\"ticks\":[");
    } else if (a->expects) {
        ad_puts(&t, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    ad_reply_add(t.at, t.len);
    if (ad_kind_class(a->kind) == 0) {
        t = ad_text_in(text, sizeof(text));
        ad_put_hello(&t, a->id, c->next);
        ad_reply_event(c, "hello", &t);
    }
}

static void ad_client_attach(const struct ad_attach *a)
{
    unsigned index = ad_client_slot();
    struct ad_client *c = &ad_clients[index];
    struct ad_client_buffers *buffers = &ad_client_buffers[index];
    int bytes = AIDASH_SEND_BUFFER;

    memset(c, 0, sizeof(*c));
    c->fd = a->fd;
    c->address = a->address;
    c->subscribed = AD_NO_SLOT;
    c->rx_ms = c->tx_ms = c->ping_ms = ad_hub.now_ms;
    c->viewer = ad_kind_class(a->kind) == 0;
    c->whole = a->whole;
    ad_client_become(c, a->kind);
    memcpy(ad_client_ids[index], a->id, strlen(a->id) + 1);
    (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    ad_client_place(c, a);
    ad_reply_add(a->greeting, a->greeting_len);
    ad_client_greet(c, a);
    if (c->viewer) {
        c->subscribed = ad_fanout.n_subscribed;
        ad_fanout.subscribed[ad_fanout.n_subscribed++] = (uint16_t)index;
    } else {
        memcpy(buffers->cors, a->cors, strlen(a->cors) + 1);
        memset(&buffers->report, 0, sizeof(buffers->report));
        c->in.http.body = a->body;
    }
    if (ad_hub.stopping) {
        ad_client_drop(c);
        return;
    }
    if (!ad_client_send_reply(c)) {
        return;
    }
    if (c->kind == AD_WS || c->kind == AD_WS_BATCH) {
        size_t used = 0, n = 1;

        while (c->kind != AD_FREE && used < a->rest_len && n > 0) {
            n = ad_ws_input(c, a->rest + used, a->rest_len - used);
            used += n;
            (void)ad_client_send_reply(c);
        }
        if (c->kind != AD_FREE && used < a->rest_len) {
            ad_client_drop(c); /* it wrote much and does not read */
            return;
        }
    } else if (c->kind == AD_INGEST || c->kind == AD_COMMAND) {
        ad_exchange_input(c, a->rest, a->rest_len);
        (void)ad_client_send_reply(c);
    } else if (c->kind == AD_LINGER) {
        (void)shutdown(c->fd, SHUT_WR);
    }
    ad_client_flush(c);
}

#endif
