/* proxy.c - the relay of proxied requests: a client's socket, an engine's socket
 * and a fixed state for each. Bytes are passed on as they come; the scanner
 * reads a copy of the answer.
 * Owns ad_proxy_input. Hub thread only.
 */
#ifndef AD_METER_PROXY_C
#define AD_METER_PROXY_C

#include "../codec/answer.c"
#include "reports.c"

#if AIDASH_METER

/* What one read brought: valid until the next read of any proxied request. */
static uint8_t ad_proxy_input[AD_SCRATCH];

static void ad_proxy_watch(struct ad_proxy *p)
{
    unsigned index = (unsigned)(p - ad_proxies);
    unsigned client = AD_HUP, upstream = 0;

    if (p->reads_client) {
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
    if (p->upstream_fd >= 0 && upstream != p->upstream_events) {
        (void)ad_poll_set(p->upstream_fd, p->upstream_events, upstream,
                          AD_TAG_PROXY_UPSTREAM, index);
        p->upstream_events = (uint8_t)upstream;
    }
}

/* ---- the end ---- */

static void ad_proxy_close_upstream(struct ad_proxy *p)
{
    if (p->upstream_fd >= 0) {
        if (p->upstream_events != 0) {
            (void)ad_poll_set(p->upstream_fd, p->upstream_events, 0,
                              AD_TAG_PROXY_UPSTREAM, 0);
        }
        (void)close(p->upstream_fd);
        p->upstream_fd = -1;
        p->upstream_events = 0;
    }
}

static void ad_proxy_free(struct ad_proxy *p)
{
    ad_proxy_close_upstream(p);
    if (p->client_fd >= 0) {
        if (p->client_events != 0) {
            (void)ad_poll_set(p->client_fd, p->client_events, 0,
                              AD_TAG_PROXY_CLIENT, 0);
        }
        (void)close(p->client_fd);
        p->client_fd = -1;
    }
    ad_rewrite_release(p);
    if (p->state == AD_PROXY_QUEUED) {
        ad_queue_remove(p);
    }
    ad_proxy_slot_free(p);
    ad_proxying.n--;
}

/* The request neither waits nor runs any more. */
static void ad_proxy_uncount(struct ad_proxy *p)
{
    if (p->state == AD_PROXY_QUEUED) {
        ad_queue_remove(p);
    } else if (p->state != AD_PROXY_ENDING && p->request.metered) {
        ad_proxying.n_running--;
    }
    p->state = AD_PROXY_ENDING;
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
        (void)shutdown(p->client_fd, SHUT_WR);
        return;
    }
    (void)ad_poll_set(p->client_fd, p->client_events, 0, AD_TAG_PROXY_CLIENT, 0);
    p->client_events = 0;
    if (ad_acceptor_keep_alive(p->client_fd)) {
        p->client_fd = -1;
    }
    ad_proxy_free(p);
}

/* The request is over, except that the client still has to take the rest of the
 * answer. An answer that was cut ends without its last chunk, as the engine's
 * own would. `status` is for its record. */
static void ad_proxy_end(struct ad_proxy *p, const char *status)
{
    p->request.keep_alive = p->request.keep_alive && ad_scan_complete(&p->scan) &&
                            (p->scan.incomplete & AD_INCOMPLETE_FRAMING) == 0;
    ad_proxy_close_upstream(p);
    if (p->request.metered) {
        char name[AIDASH_MODEL_MAX + 1];

        ad_proxy_model(p, name);
        ad_proxy_reconcile(p);
        ad_proxy_report_end(p, status);
    }
    ad_proxy_uncount(p);
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
        ad_hub.bytes_sent += (uint64_t)n;
        p->moved_ms = ad_hub.now_ms;
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
static void ad_proxy_keep_for_client(struct ad_proxy *p, const uint8_t *bytes,
                                     size_t len)
{
    struct ad_proxy_buffers *buffers = ad_proxy_buffers_of(p);

    memcpy(buffers->to_client + p->to_client_at + p->to_client_len, bytes, len);
    p->to_client_len += (uint32_t)len;
}

/* Bytes of an answer: straight to the client's socket; what that does not take
 * is kept. */
static void ad_proxy_pass_client(struct ad_proxy *p, const uint8_t *bytes,
                                 size_t len)
{
    size_t sent = 0;

    if (p->to_client_len == 0) {
        ssize_t n = send(p->client_fd, bytes, len, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            ad_proxy_client_left(p);
            return;
        }
        sent = n > 0 ? (size_t)n : 0;
        ad_hub.bytes_sent += sent;
        p->moved_ms = ad_hub.now_ms;
    }
    if (sent < len) {
        ad_proxy_keep_for_client(p, bytes + sent, len - sent);
    }
}

/* An error in the shape of the API that was asked. */
static void ad_put_api_error(struct ad_text *t, bool ollama, int status,
                             const char *type, const char *why)
{
    ad_puts(t, ollama ? "{\"error\":" : "{\"error\":{\"message\":");
    ad_put_string(t, why);
    if (!ollama) {
        ad_putf(t, ",\"type\":\"%s\",\"param\":null,\"code\":%d}", type,
                status);
    }
    ad_puts(t, "}");
}

/* Is it a route of Ollama's own API? */
static bool ad_route_ollama(const char *route)
{
    return strncmp(route, "/api/", 5) == 0;
}

/* How aidash answers in the engine's place. */
struct ad_refusal {
    int status;
    const char *type;   /* of the error, in OpenAI's terms */
    const char *record; /* the status in the request's record */
    const char *why;    /* for the client, in English */
};

static const struct ad_refusal
    ad_refuse_waited = {503, "overloaded_error", "refused",
                        "waited too long in the queue"},
    ad_refuse_cancelled = {503, "cancelled", "cut", "cancelled at the dashboard"},
    ad_refuse_slow_body = {408, "invalid_request_error", "refused",
                           "the body did not arrive"},
    ad_refuse_chunks = {400, "invalid_request_error", "refused",
                        "the request's chunks are malformed"},
    ad_refuse_unreachable = {502, "upstream_error", "failed",
                             "the engine can't be reached"},
    ad_refuse_no_answer = {502, "upstream_error", "failed",
                           "the engine closed the connection without an answer"};

/* Answer in the engine's place, and end. */
static void ad_proxy_refuse(struct ad_proxy *p, const struct ad_refusal *r)
{
    char json[AD_REPLY_MAX];
    struct ad_text j = ad_text_in(json, sizeof(json));
    struct ad_proxy_buffers *buffers = ad_proxy_buffers_of(p);
    struct ad_text t = ad_text_in(buffers->to_client, sizeof(buffers->to_client));

    ad_put_api_error(&j, ad_route_ollama(p->request.route), r->status, r->type,
                     r->why);
    ad_put_head(&t, r->status, "application/json", j.len,
                r->status == 503 ? "Retry-After: 5\r\n" : "");
    if (!p->request.head) {
        ad_put(&t, j.at, j.len);
    }
    p->to_client_at = 0;
    p->to_client_len = (uint32_t)t.len;
    p->scan.failed = true;
    p->request.keep_alive = false; /* as this head says */
    ad_proxy_send_client(p);
    if (p->state != AD_PROXY_FREE && p->state != AD_PROXY_ENDING) {
        ad_proxy_end(p, r->record);
    }
}

/* ---- from the engine ---- */

/* Is this line of an answer's head about the engine's connection alone (RFC 9110
 * 7.6.1)? It is not passed on: the client's connection stays open where nothing
 * prevents it. With `Connection: close`, clients such as node's fetch would take
 * an answer that was cut for a whole one. */
static bool ad_head_line_hop(const char *line, size_t len)
{
    static const char *const names[] = {"connection:", "keep-alive:",
                                        "proxy-connection:"};
    size_t i;

    for (i = 0; i < AD_COUNT(names); i++) {
        size_t n = strlen(names[i]);

        if (len >= n && strncasecmp(line, names[i], n) == 0) {
            return true;
        }
    }
    return false;
}

/* Is what came so far one or more whole interim heads (RFC 9110 15.2)? */
static bool ad_head_between(const struct ad_head *h)
{
    return h->state == AD_HEAD_LINES && h->len > 0 && h->status == 0 &&
           h->line_len == 0 && !h->line_ended;
}

/* Where the last of several heads begins: behind the last empty line but one. */
static char *ad_head_last(char *heads, size_t len)
{
    char *last = heads;

    for (;;) {
        size_t left = len - (size_t)(last - heads);
        char *end = memmem(last, left, "\n\r\n", 3);

        if (end == NULL || end + 3 == heads + len) {
            return last;
        }
        last = end + 3;
    }
}

/* The answer's heads lie whole in to_client: change the last of them, which says
 * how this connection goes on, in its place, and send them with what came
 * behind (`more`). */
static void ad_proxy_pass_head(struct ad_proxy *p, size_t head_len,
                               const uint8_t *more, size_t more_len)
{
    static const char close_line[] = "Connection: close\r\n";
    char *heads = (char *)ad_proxy_buffers_of(p)->to_client;
    char *line = ad_head_last(heads, head_len), *out = line;
    char *end = heads + head_len;

    p->request.keep_alive = p->request.keep_alive &&
                            strncmp(line, "HTTP/1.1 ", 9) == 0 &&
                            !p->scan.head.until_close &&
                            p->request.body.state == AD_BODY_DONE &&
                            p->to_upstream_len == 0;
    while (line < end) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        char *next = newline != NULL ? newline + 1 : end;
        size_t len = (size_t)(next - line);

        if (next < end && !ad_head_line_hop(line, len)) {
            memmove(out, line, len);
            out += len;
        }
        line = next;
    }
    if (!p->request.keep_alive) {
        memcpy(out, close_line, sizeof(close_line) - 1);
        out += sizeof(close_line) - 1;
    }
    memcpy(out, "\r\n", 2);
    p->to_client_len = (uint32_t)(out + 2 - heads);
    ad_proxy_keep_for_client(p, more, more_len);
    ad_proxy_send_client(p);
}

/* Bytes of the answer. Until its head is complete they are held in to_client. */
static void ad_proxy_relay(struct ad_proxy *p, const uint8_t *bytes, size_t len)
{
    struct ad_proxy_buffers *buffers = ad_proxy_buffers_of(p);
    size_t head_len, before = p->answer_head_len;

    if (p->head_passed) {
        ad_proxy_pass_client(p, bytes, len);
        return;
    }
    if (p->scan.head.state == AD_HEAD_LINES &&
        before + len <= AD_PROXY_ANSWER_HEAD_MAX) {
        memcpy(buffers->to_client + before, bytes, len);
        p->answer_head_len += (uint32_t)len;
        if (ad_head_between(&p->scan.head)) { /* 100 Continue: pass it at once */
            p->to_client_len = p->answer_head_len;
            p->interim_len = p->scan.head.len;
            p->answer_head_len = 0;
            ad_proxy_send_client(p);
        }
        return;
    }
    p->head_passed = true;
    head_len = p->scan.head.len - p->interim_len;
    if (p->scan.head.state == AD_HEAD_DONE && p->scan.head.status != 101 &&
        head_len >= before && head_len <= AD_PROXY_ANSWER_HEAD_MAX) {
        size_t rest = head_len - before;

        memcpy(buffers->to_client + before, bytes, rest);
        ad_proxy_pass_head(p, head_len, bytes + rest, len - rest);
    } else { /* not HTTP as we know it: pass it as it is */
        p->request.keep_alive = false;
        p->to_client_len = p->answer_head_len;
        ad_proxy_pass_client(p, bytes, len);
    }
}

/* The engine closed the connection, or it broke. */
static void ad_proxy_upstream_closed(struct ad_proxy *p, bool broken)
{
    const char *outcome = "cut";

    if (!broken) {
        ad_scan_close(&p->scan);
    }
    if (!p->head_passed && p->answer_head_len == 0 &&
        p->scan.head.state != AD_HEAD_DONE) {
        ad_proxy_refuse(p, &ad_refuse_no_answer);
        return;
    }
    if (!p->head_passed) {
        p->to_client_len = p->answer_head_len; /* half a head, as it came */
        ad_proxy_send_client(p);
        if (p->state != AD_PROXY_RUN) {
            return;
        }
    } else if (ad_scan_complete(&p->scan)) {
        outcome = ad_proxy_outcome(p);
    }
    ad_proxy_end(p, outcome);
}

/* Read from the engine, take the time, scan, pass on. */
static void ad_proxy_read_upstream(struct ad_proxy *p)
{
    ssize_t got = recv(p->upstream_fd, ad_proxy_input, sizeof(ad_proxy_input), 0);
    uint64_t now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    uint32_t events;

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
    events = ad_scan_feed(&p->scan, ad_proxy_input, (size_t)got);
    ad_proxy_relay(p, ad_proxy_input, (size_t)got);
    if (p->state != AD_PROXY_RUN) {
        return; /* the client left meanwhile, and the counts were reported */
    }
    if (events > 0 && p->scan.head.form != AD_FORM_JSON && p->request.metered) {
        ad_proxy_ticks(p, events, now_ns);
    } else if (p->scan.has_progress && p->first_ns == 0) {
        ad_proxy_report_progress(p);
    }
    if (ad_scan_complete(&p->scan)) {
        ad_proxy_end(p, ad_proxy_outcome(p));
        return;
    }
    ad_proxy_watch(p);
}

/* ---- to the engine ---- */

/* Send the engine what is ready for it; then note when the request was whole. */
static void ad_proxy_send_upstream(struct ad_proxy *p)
{
    if (p->to_upstream_len > 0) {
        ssize_t n = send(p->upstream_fd, p->to_upstream, p->to_upstream_len,
                         MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            p->to_upstream_len = 0; /* its answer, if any, can still be read */
            p->request.body.state = AD_BODY_DONE;
        }
        if (n > 0) {
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
    p->reads_client = p->to_upstream_len == 0;
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

    ad_putf(&t, "%s %s%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n",
            r->method, u->prefix, r->target, u->authority);
    if (ad_upstreams.key[0] != '\0' && !r->has_auth) {
        ad_putf(&t, "Authorization: Bearer %s\r\n", ad_upstreams.key);
    }
    ad_puts(&t, r->headers);
    ad_puts(&t, framing);
    at = head + AD_PROXY_HEAD_MAX - t.len;
    memmove(at, head, t.len);
    return at;
}

/* Connect to the next of the engine's addresses. */
static void ad_proxy_connect(struct ad_proxy *p)
{
    ad_proxy_close_upstream(p);
    p->state = AD_PROXY_CONNECT;
    p->upstream_fd = ad_upstream_connect(&ad_upstreams.list[p->upstream],
                                         &p->address);
    if (p->upstream_fd < 0) {
        ad_upstream_set_state(p->upstream, false);
        ad_proxy_refuse(p, &ad_refuse_unreachable);
        return;
    }
    p->heard_ms = ad_hub.now_ms;
    ad_proxy_watch(p);
}

static void ad_proxy_connected(struct ad_proxy *p)
{
    if (!ad_upstream_connected(p->upstream_fd)) {
        ad_proxy_connect(p);
        return;
    }
    ad_upstream_set_state(p->upstream, true);
    p->state = AD_PROXY_RUN;
    ad_proxy_send_upstream(p);
    ad_proxy_watch(p);
}

#endif /* AIDASH_METER */

#endif
