/* proxy.c - the relay of proxied requests: a client's socket, an engine's socket
 * and a fixed state for each. Bytes are passed on as they come; the scanner
 * reads a copy of the answer.
 * Owns ad_proxy_input and ad_answer_fields. Hub thread only.
 * Always: of the engine's bytes a client gets the fields of a head that was judged
 * whole, and the body as far as its framing is well-formed: nothing behind its
 * end.
 */
#ifndef AD_METER_PROXY_C
#define AD_METER_PROXY_C

#include "../codec/answer.c"
#include "answers.c"
#include "refusals.c"
#include "reports.c"
#include "resolver.c"

#if AIDASH_METER

/* What one read brought: valid until the next read of any proxied request. */
static uint8_t ad_proxy_input[AD_SCRATCH];

static struct ad_http_field ad_answer_fields[AD_HTTP_FIELDS]; /* of one head */

static void ad_proxy_watch(struct ad_proxy *p)
{
    unsigned index = ad_proxy_index(p);
    unsigned client = AD_RESET, upstream = 0;

    if (!p->client_shut) {
        client |= AD_HUP;
    }
    if (p->reads_client && !p->client_finished) {
        client |= AD_IN;
    }
    if (p->to_client_len > 0) {
        client |= AD_OUT;
    }
    if (p->client_fd >= 0 && client != p->client_events) {
        (void)ad_poll_set(p->client_fd, p->client_events, client,
                          AD_TAG_PROXY_CLIENT, index);
        p->client_events = (uint8_t)client;
    }
    if (p->to_client_len == 0 && p->state != AD_PROXY_CONNECT) {
        upstream |= AD_IN;
    }
    if (p->to_upstream_len > 0 || p->state == AD_PROXY_CONNECT) {
        upstream |= AD_OUT;
    }
    ad_dial_watch(&p->engine, upstream, AD_TAG_PROXY_UPSTREAM, index);
}

/* ---- the end ---- */

/* Close the connection to the engine. */
static void ad_proxy_close_engine(struct ad_proxy *p)
{
    ad_dial_close(&p->engine);
    if (p->state == AD_PROXY_LIST) {
        ad_fetch_end(&ad_proxy_buffers_of(p)->list.fetch, AD_FETCH_IDLE);
    }
}

static void ad_proxy_free(struct ad_proxy *p)
{
    ad_proxy_close_engine(p);
    if (p->client_fd >= 0) {
        if (p->client_events != 0) {
            (void)ad_poll_set(p->client_fd, p->client_events, 0,
                              AD_TAG_PROXY_CLIENT, 0);
        }
        ad_peer_close(p->client_fd, p->request.address);
        p->client_fd = -1;
    }
    ad_rewrite_release(p);
    if (p->request.upgrade) {
        ad_proxying.n_tunnels--;
    }
    ad_proxy_set_turn(p, AD_TURN_NONE);
    ad_proxy_slot_free(p);
    ad_proxying.n--;
}

/* A request runs no more: was it the last one of a drain? */
static void ad_proxy_drained(void)
{
    if (ad_proxying.draining && ad_proxying.n_running == 0) {
        ad_proxying.draining = false;
        ad_status_append();
    }
}

/* The client took all of the answer: its connection waits for another request,
 * or ends. */
static void ad_proxy_sent(struct ad_proxy *p)
{
    if (!p->request.keep_alive) {
        if (p->client_finished) {
            ad_proxy_free(p);
        } else {
            (void)shutdown(p->client_fd, SHUT_WR);
            p->ending_ms = ad_hub.now_ms; /* its FIN has AD_LINGER_MS from now */
        }
        return;
    }
    (void)ad_poll_set(p->client_fd, p->client_events, 0, AD_TAG_PROXY_CLIENT, 0);
    p->client_events = 0;
    if (ad_acceptor_keep_alive(p->client_fd, p->request.address,
                               &p->request.peer)) {
        p->client_fd = -1;
    }
    ad_proxy_free(p);
}

/* The request is over, except that the client still has to take the rest of the
 * answer. An answer that was cut ends without its last chunk, as the engine's
 * own would. `status` is for its record. */
static void ad_proxy_end(struct ad_proxy *p, const char *status)
{
    p->request.keep_alive = p->request.keep_alive &&
                            ad_answer_complete(&p->answer);
    ad_proxy_close_engine(p);
    ad_rewrite_release(p);
    p->to_upstream_len = p->held_len = 0;
    if (p->request.metered) {
        ad_proxy_reconcile(p);
        ad_proxy_name_model(p);
        ad_facts_end(p);
        ad_proxy_report_end(p, status);
    } else if (p->state == AD_PROXY_TUNNEL) {
        ad_proxy_report_end(p, status);
    }
    ad_proxy_set_turn(p, AD_TURN_NONE);
    p->state = AD_PROXY_ENDING;
    ad_proxy_drained();
    p->reads_client = true; /* until its FIN */
    p->ending_ms = ad_hub.now_ms;
    if (p->client_fd < 0) {
        ad_proxy_free(p);
        return;
    }
    ad_proxy_watch(p);
    if (p->to_client_len == 0) {
        ad_proxy_sent(p);
    }
}

/* The client is gone: the engine must stop at once. */
static void ad_proxy_client_left(struct ad_proxy *p)
{
    if (p->state != AD_PROXY_ENDING) {
        ad_proxy_end(p, "left");
    }
    if (p->state != AD_PROXY_FREE) {
        ad_proxy_free(p);
    }
}

/* ---- to the client ---- */

/* The client took n bytes of the answer. */
static void ad_proxy_took(struct ad_proxy *p, size_t n)
{
    ad_hub.bytes_sent += n;
    p->taken += n;
}

/* Send the client what is kept for it. */
static void ad_proxy_send_client(struct ad_proxy *p)
{
    struct ad_proxy_buffers *buffers = ad_proxy_buffers_of(p);
    ssize_t n;

    if (p->to_client_len == 0) {
        return;
    }
    n = send(p->client_fd, buffers->to_client + p->to_client_at, p->to_client_len,
             MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        ad_proxy_client_left(p);
        return;
    }
    if (n > 0) {
        p->to_client_at += (uint32_t)n;
        p->to_client_len -= (uint32_t)n;
        ad_proxy_took(p, (size_t)n);
    }
    ad_proxy_watch(p);
    if (p->to_client_len == 0) {
        p->to_client_at = 0;
        if (p->state == AD_PROXY_ENDING) {
            ad_proxy_sent(p);
        }
    }
}

/* Keep bytes for the client. */
static void ad_proxy_keep_for_client(struct ad_proxy *p, const void *bytes,
                                     size_t len)
{
    struct ad_proxy_buffers *buffers = ad_proxy_buffers_of(p);

    memcpy(buffers->to_client + p->to_client_at + p->to_client_len, bytes, len);
    p->to_client_len += (uint32_t)len;
}

/* Bytes of an answer: straight to the client's socket, unless some wait already;
 * what it does not take is kept. */
static void ad_proxy_pass_client(struct ad_proxy *p, const void *bytes, size_t len)
{
    size_t sent = 0;

    if (p->to_client_len == 0 && len > 0) {
        ssize_t n = send(p->client_fd, bytes, len, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            ad_proxy_client_left(p);
            return;
        }
        if (n > 0) {
            sent = (size_t)n;
            ad_proxy_took(p, sent);
        }
    }
    ad_proxy_keep_for_client(p, (const uint8_t *)bytes + sent, len - sent);
}

/* Answer in the engine's place, and end. */
static void ad_proxy_refuse(struct ad_proxy *p, const struct ad_refusal *r)
{
    char json[AD_REPLY_MAX], answer[2 * AD_REPLY_MAX];
    struct ad_text j = ad_text_in(json, sizeof(json));
    struct ad_text t = ad_text_in(answer, sizeof(answer));
    unsigned retry_s = r->status == 503 ? 5 : p->retry_s;
    char retry[32] = "";

    if (retry_s > 0) {
        (void)snprintf(retry, sizeof(retry), "Retry-After: %u\r\n", retry_s);
    }
    ad_put_api_error(&j, ad_api_of(ad_slice_of(p->request.route)), r->status,
                     r->type, r->why);
    ad_put_head(&t, r->status, "application/json", j.len, retry);
    if (!p->request.head) {
        ad_put(&t, j.at, j.len);
    }
    ad_scan_refused(&p->scan, (unsigned)r->status, r->why);
    if (p->ended_by == AD_ENDED_BY_ENGINE && strcmp(r->record, "refused") == 0) {
        p->ended_by = AD_ENDED_BY_AIDASH;
    }
    p->request.keep_alive = false; /* as this head says */
    ad_proxy_keep_for_client(p, t.at, t.len); /* behind an interim answer */
    ad_proxy_send_client(p);
    if (p->state != AD_PROXY_FREE && p->state != AD_PROXY_ENDING) {
        ad_proxy_end(p, r->record);
    }
}

/* ---- from the engine ---- */

/* The engine broke the rules of HTTP: nothing of its answer can be trusted. */
static void ad_answer_refuse(struct ad_proxy *p, enum ad_http_fault fault)
{
    char why[AD_REPLY_MAX / 2];
    const struct ad_refusal bad = {502, "upstream_error", "failed", why};

    (void)snprintf(why, sizeof(why), "the engine's answer is not valid HTTP: %s",
                   ad_http_fault_text(fault));
    ad_log(AIDASH_LOG_WARN, "request %llu: %s", (unsigned long long)p->id, why);
    ad_proxy_refuse(p, &bad);
}

/* The engine has taken the handshake: from here on, bytes pass. */
static void ad_tunnel_begin(struct ad_proxy *p)
{
    p->head_passed = true;
    p->request.keep_alive = false;
    p->state = AD_PROXY_TUNNEL;
    p->reads_client = p->to_upstream_len == 0;
    p->uploaded = 0;
    ad_proxy_report_start(p);
}

/* Bytes of a WebSocket, for the client. */
static void ad_tunnel_pass_client(struct ad_proxy *p, const uint8_t *bytes, size_t len)
{
    p->passed += len;
    ad_proxy_pass_client(p, bytes, len);
    if (p->state == AD_PROXY_TUNNEL) {
        ad_proxy_send_client(p);
    }
    if (p->state == AD_PROXY_TUNNEL) {
        ad_proxy_watch(p);
    }
}

/* Does a 101 switch to what was asked for? RFC 9110 15.2.2 */
static bool ad_answer_is_websocket(const struct ad_http_head *head)
{
    return ad_http_connection_has(head, "Upgrade") &&
           ad_http_list_has(&head->fields, "Upgrade", ad_slice_of("websocket"));
}

/* A head of the answer is there, and is well-formed: keep it for the client, and
 * prepare for what follows it. */
static void ad_answer_take_head(struct ad_proxy *p, const struct ad_http_head *head)
{
    struct ad_proxy_buffers *buffers = ad_proxy_buffers_of(p);
    size_t at = p->to_client_at + p->to_client_len;
    struct ad_text t = ad_text_in(buffers->to_client + at,
                                  sizeof(buffers->to_client) - at);

    if (head->status >= 200) {
        p->head_passed = true;
        p->client_framing = ad_answer_client_framing(p, head);
        ad_scan_head(&p->scan, head);
        p->request.keep_alive = p->request.keep_alive && !p->request.http10 &&
                                p->client_framing != AD_HTTP_UNTIL_CLOSE &&
                                p->request.body.state == AD_BODY_DONE &&
                                p->to_upstream_len == 0;
    } else if (head->status == 101) {
        ad_tunnel_begin(p);
    } else if (p->request.http10) { /* RFC 9110 15.2 */
        return;
    }
    ad_answer_put_head(&t, p, head);
    p->to_client_len += (uint32_t)t.len;
}

/* Bytes of the answer's heads. Returns how many of them were used: what follows
 * is of the body. Ends the request if a head is malformed. */
static size_t ad_answer_heads(struct ad_proxy *p, const uint8_t *bytes, size_t len)
{
    const struct ad_answer_buffer buffer = {ad_proxy_buffers_of(p)->answer_head,
                                            ad_answer_fields};
    struct ad_http_head head;
    size_t used = 0, n;

    while (!p->head_passed && used < len) {
        enum ad_http_fault fault = ad_answer_head(&p->answer, &buffer, bytes + used,
                                                  len - used, &n, &head);

        if (fault == AD_HTTP_OK && head.status == 101 &&
            !ad_answer_is_websocket(&head)) {
            fault = AD_HTTP_SWITCHES;
        }
        if (fault == AD_HTTP_OK) {
            ad_answer_take_head(p, &head);
            used += n;
        } else {
            if (fault != AD_HTTP_MORE) {
                ad_answer_refuse(p, fault);
            }
            return len;
        }
    }
    return used;
}

/* Bytes of the answer's body: follow its framing, let the scanner read the data.
 * Returns how many bytes are for the client, at the beginning of `bytes`: the
 * data, in the engine's own chunks where the client knows chunks. *events: token
 * events that were completed. */
static size_t ad_answer_follow(struct ad_proxy *p, uint8_t *bytes, size_t len,
                               uint32_t *events)
{
    bool chunks = p->client_framing == AD_HTTP_BY_CHUNKS;
    struct ad_body *body = &p->answer.body;
    size_t used = 0, data_len = 0;

    *events = 0;
    while (used < len && body->state < AD_BODY_DONE) {
        const uint8_t *data = NULL;
        size_t n;

        used += ad_body_next(body, bytes + used, len - used, &data, &n);
        if (n > 0) {
            *events += ad_scan_body(&p->scan, data, n);
            if (!chunks) {
                memmove(bytes + data_len, data, n);
            }
            data_len += n;
        }
    }
    if (body->state == AD_BODY_DONE) {
        ad_scan_body_end(&p->scan);
    }
    if (used < len || body->state == AD_BODY_BAD) {
        p->scan.incomplete |= AD_INCOMPLETE_FRAMING;
    }
    if (!chunks) {
        return data_len;
    }
    return body->state == AD_BODY_BAD ? used - 1 : used; /* without the fault */
}

/* Bytes of the answer, as they were read. */
static void ad_answer_read(struct ad_proxy *p, uint8_t *bytes, size_t len,
                           uint64_t now_ns)
{
    size_t used = p->head_passed ? 0 : ad_answer_heads(p, bytes, len);
    uint32_t events = 0;

    if (p->state == AD_PROXY_TUNNEL) {
        ad_tunnel_pass_client(p, bytes + used, len - used);
        return;
    }
    if (p->state != AD_PROXY_RUN) {
        return; /* it was refused */
    }
    if (p->head_passed) {
        bytes += used;
        len = ad_answer_follow(p, bytes, len - used, &events);
        ad_proxy_pass_client(p, bytes, len);
    }
    if (p->state == AD_PROXY_RUN) {
        ad_proxy_send_client(p); /* a head, and what came with it */
    }
    if (p->state != AD_PROXY_RUN) {
        return; /* the client left meanwhile, and the counts were reported */
    }
    if (p->request.metered) {
        ad_facts_heard(p);
    }
    if (events > 0 && p->scan.form != AD_FORM_JSON && p->request.metered) {
        ad_proxy_ticks(p, events, now_ns);
    } else if (p->first_ns == 0 && ad_facts_step(p) != 0) {
        ad_proxy_report_progress(p);
    }
    if (!p->head_passed || p->answer.body.state < AD_BODY_DONE) {
        ad_proxy_watch(p);
    } else {
        ad_proxy_end(p, ad_proxy_outcome(p, ad_answer_complete(&p->answer)));
    }
}

/* The engine closed the connection, or it broke. */
static void ad_proxy_upstream_closed(struct ad_proxy *p, bool broken)
{
    if (!p->head_passed) {
        ad_upstream_doubt(p->upstream);
        ad_proxy_refuse(p, &ad_refuse_no_answer);
    } else if (!broken && ad_answer_close(&p->answer)) {
        ad_scan_body_end(&p->scan);
        ad_proxy_end(p, ad_proxy_outcome(p, true));
    } else {
        ad_upstream_doubt(p->upstream);
        ad_proxy_end(p, ad_proxy_outcome(p, false));
    }
}

/* Read from the engine, take the time, scan, pass on. */
static void ad_proxy_read_upstream(struct ad_proxy *p)
{
    ssize_t got = recv(p->engine.fd, ad_proxy_input, sizeof(ad_proxy_input), 0);
    uint64_t now_ns = ad_clock_ns(CLOCK_MONOTONIC);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        ad_proxy_upstream_closed(p, got < 0);
        return;
    }
    p->heard_ms = ad_hub.now_ms;
    if (p->sent_ns == 0) { /* it answers before it has read all */
        p->sent_ns = now_ns;
    }
    ad_answer_read(p, ad_proxy_input, (size_t)got, now_ns);
}

/* ---- to the engine ---- */

/* Send the engine what is ready for it; then note when the request was whole. */
static void ad_proxy_send_upstream(struct ad_proxy *p)
{
    if (p->to_upstream_len > 0) {
        ssize_t n = send(p->engine.fd, p->to_upstream, p->to_upstream_len,
                         MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            p->to_upstream_len = 0; /* its answer, if any, can still be read */
            p->request.body.state = AD_BODY_DONE;
            p->request.keep_alive = false; /* the rest of the body comes */
        }
        if (n > 0) {
            p->heard_ms = ad_hub.now_ms;
            p->to_upstream += n;
            p->to_upstream_len -= (uint32_t)n;
        }
    }
    if (p->to_upstream_len == 0) {
        ad_rewrite_release(p);
        if (p->sent_ns == 0 && p->request.body.state >= AD_BODY_DONE) {
            p->sent_ns = ad_clock_ns(CLOCK_MONOTONIC);
        }
    }
    /* What comes behind a handshake waits until the engine has taken it. */
    p->reads_client = p->to_upstream_len == 0 &&
                      (!p->request.upgrade || p->state == AD_PROXY_TUNNEL);
}

/* Write the request's head so that it ends at head + cap, and return where it
 * begins: the request line with the path of the engine's URL, its Host (RFC 9112
 * 3.2), our key if the client has none, the client's own lines, `framing` with
 * the empty line. The caller's buffer has AD_PROXY_HEAD_MAX bytes. */
static uint8_t *ad_proxy_write_head(const struct ad_proxy *p, uint8_t *head,
                                    const char *framing)
{
    const struct ad_proxy_request *r = &p->request;
    const struct ad_upstream *u = &ad_upstreams.list[p->upstream];
    struct ad_text t = ad_text_in(head, AD_PROXY_HEAD_MAX);
    uint8_t *at;

    ad_putf(&t, "%s %s%s HTTP/1.1\r\nHost: %s\r\n%s", r->method, u->url.prefix,
            r->target, u->url.authority,
            r->upgrade ? AD_PROXY_UPGRADE : "Connection: close\r\n");
    if (ad_upstreams.key[0] != '\0' && !r->has_auth) {
        ad_putf(&t, "Authorization: Bearer %s\r\n", ad_upstreams.key);
    }
    ad_puts(&t, r->headers);
    ad_puts(&t, framing);
    at = head + AD_PROXY_HEAD_MAX - t.len;
    memmove(at, head, t.len);
    return at;
}

/* Go on with what has become of the connection. When no address is left, and the
 * engine has a name, it may have moved: once, wait for what the resolver says. */
static void ad_proxy_dialled(struct ad_proxy *p)
{
    const struct ad_upstream *u = &ad_upstreams.list[p->upstream];

    if (p->engine.step == AD_DIAL_LACKS) {
        ad_acceptor_warn();
        ad_proxy_refuse(p, &ad_refuse_lacks);
        return;
    }
    if (p->engine.step == AD_DIAL_NONE) {
        if (p->resolved || !ad_resolver_ask(u)) {
            ad_upstream_set_state(p->upstream, false);
            ad_proxy_refuse(p, &ad_refuse_unreachable);
            return;
        }
        p->resolved = true; /* ad_proxy_resolved() goes on */
    }
    p->heard_ms = ad_hub.now_ms;
    ad_proxy_watch(p);
}

/* Connect to the engine. */
static void ad_proxy_connect(struct ad_proxy *p)
{
    p->state = AD_PROXY_CONNECT;
    ad_dial_begin(&p->engine, &ad_upstreams.list[p->upstream]);
    ad_proxy_dialled(p);
}

/* An address of the engine has not answered for too long. */
static void ad_proxy_connect_late(struct ad_proxy *p)
{
    ad_dial_next(&p->engine);
    ad_proxy_dialled(p);
}

/* The resolver has answered for an engine, which it does every few seconds: connect
 * to what it says. A request begins anew with the first address once, so that it
 * comes to the last one. */
static void ad_proxy_resolved(const struct ad_upstream *u)
{
    unsigned i;

    for (i = 0; i < ad_proxying.n_slots; i++) {
        struct ad_proxy *p = &ad_proxies[i];

        if (p->state != AD_PROXY_CONNECT || &ad_upstreams.list[p->upstream] != u) {
            continue;
        }
        if (!ad_dial_has_fd(&p->engine)) {
            p->resolved = true;
            ad_proxy_connect(p);
        } else if (!p->resolved) {
            p->resolved = true;
            p->engine.next = 0;
        }
    }
}

/* Something happened to the connection that is being made. */
static void ad_proxy_connect_event(struct ad_proxy *p)
{
    ad_dial_ready(&p->engine);
    if (p->engine.step != AD_DIAL_OPEN) {
        ad_proxy_dialled(p);
        return;
    }
    ad_upstream_set_state(p->upstream, true);
    p->state = AD_PROXY_RUN;
    ad_facts_sent(p);
    if (ad_facts_step(p) != 0) {
        ad_proxy_report_progress(p);
    }
    ad_proxy_send_upstream(p);
    ad_proxy_watch(p);
}

AD_MEMORY(proxy_input, 1, sizeof(ad_proxy_input) + sizeof(ad_answer_fields));

#endif /* AIDASH_METER */

#endif
