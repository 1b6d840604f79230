/* proxy.c - a reverse proxy in front of an engine. A proxied request is the
 * client's socket, the engine's socket and a fixed state. Bytes are relayed as
 * they come; the scanner reads a copy. Hub thread only.
 */
#ifndef AD_METER_PROXY_C
#define AD_METER_PROXY_C

#include "requests.c"

#if AIDASH_METER

static void ad_proxy_watch(struct ad_proxy *f)
{
    unsigned down = (f->reads_client ? AD_IN : 0u) |
                    (f->to_client_len > 0 ? AD_OUT : 0u) | AD_HUP;
    unsigned up = f->state == AD_PROXY_CONNECT
                      ? AD_OUT
                      : (f->to_client_len == 0 ? AD_IN : 0u) |
                            (f->to_upstream_len > 0 ? AD_OUT : 0u);
    unsigned index = (unsigned)(f - ad_proxies);

    if (f->client_fd >= 0 && down != f->client_events) {
        (void)ad_poll_set(f->client_fd, f->client_events, down, AD_TAG_PROXY_CLIENT, index);
        f->client_events = (uint8_t)down;
    }
    if (f->upstream_fd >= 0 && up != f->upstream_events) {
        (void)ad_poll_set(f->upstream_fd, f->upstream_events, up, AD_TAG_PROXY_UPSTREAM, index);
        f->upstream_events = (uint8_t)up;
    }
}

static void ad_proxy_close_upstream(struct ad_proxy *f)
{
    if (f->upstream_fd >= 0) {
        if (f->upstream_events != 0) {
            (void)ad_poll_set(f->upstream_fd, f->upstream_events, 0, AD_TAG_PROXY_UPSTREAM, 0);
        }
        (void)close(f->upstream_fd);
        f->upstream_fd = -1;
        f->upstream_events = 0;
    }
}

static void ad_proxy_free(struct ad_proxy *f)
{
    ad_proxy_close_upstream(f);
    if (f->client_fd >= 0) {
        if (f->client_events != 0) {
            (void)ad_poll_set(f->client_fd, f->client_events, 0, AD_TAG_PROXY_CLIENT, 0);
        }
        ad_peer_close(f->client_fd, f->peer_address);
        f->client_fd = -1;
    }
    if (f->rewrite != AD_NO_REWRITE) {
        ad_rewrite_used[f->rewrite] = false;
        f->rewrite = AD_NO_REWRITE;
    }
    f->state = AD_PROXY_FREE;
    ad_proxying.n--;
}

static void ad_proxy_uncount(struct ad_proxy *f)
{
    if (f->state == AD_PROXY_QUEUED) {
        ad_proxying.n_queued--;
    } else if (f->state != AD_PROXY_ENDING && f->metered) {
        ad_proxying.n_running--;
    }
    if (ad_proxying.draining && ad_proxying.n_running == 0) {
        ad_proxying.draining = false;
        ad_status_append();
    }
}

/* The client has been sent all: its connection is free for another request, or
 * ends. */
static void ad_proxy_sent(struct ad_proxy *f)
{
    if (!f->keep_alive) {
        (void)shutdown(f->client_fd, SHUT_WR);
        return;
    }
    (void)ad_poll_set(f->client_fd, f->client_events, 0, AD_TAG_PROXY_CLIENT, 0);
    f->client_events = 0;
    if (ad_acceptor_keep_alive(f->client_fd, f->peer_address, &f->peer)) {
        f->client_fd = -1;
    }
    ad_proxy_free(f);
}

/* The flow is over, but for what the client still has to take. A cut answer
 * ends without the last chunk, as the engine's own would. */
static void ad_proxy_end(struct ad_proxy *f, const char *status)
{
    f->keep_alive = f->keep_alive && ad_scan_complete(&f->scan) &&
               (f->scan.incomplete & AD_INCOMPLETE_FRAMING) == 0;
    ad_proxy_close_upstream(f);
    if (f->metered) {
        char name[AIDASH_MODEL_MAX + 1];

        ad_proxy_model(f, name);
        ad_proxy_reconcile(f);
        ad_proxy_report_end(f, status);
    }
    ad_proxy_uncount(f);
    f->state = AD_PROXY_ENDING;
    f->reads_client = true; /* until its FIN */
    f->ending_ms = ad_hub.now_ms;
    if (f->client_fd < 0) {
        ad_proxy_free(f);
        return;
    }
    ad_proxy_watch(f);
    if (f->to_client_len == 0) {
        ad_proxy_sent(f);
    }
}

/* The client is gone: the engine must stop at once. */
static void ad_proxy_client_left(struct ad_proxy *f)
{
    if (f->state != AD_PROXY_ENDING) {
        ad_proxy_end(f, "left");
    }
    if (f->state != AD_PROXY_FREE) {
        ad_proxy_free(f);
    }
}

/* Send the client what waits for it. */
static void ad_proxy_send_client(struct ad_proxy *f)
{
    struct ad_proxy_buffers *buffers = ad_proxy_buffers_of(f);
    ssize_t n;

    if (f->to_client_len == 0) {
        return;
    }
    n = send(f->client_fd, buffers->to_client + f->to_client_at, f->to_client_len,
             MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        ad_proxy_client_left(f);
        return;
    }
    if (n > 0) {
        f->to_client_at += (uint32_t)n;
        f->to_client_len -= (uint32_t)n;
        ad_hub.bytes_sent += (uint64_t)n;
        f->moved_ms = ad_hub.now_ms;
    }
    ad_proxy_watch(f);
    if (f->to_client_len == 0) {
        f->to_client_at = 0;
        if (f->state == AD_PROXY_ENDING) {
            ad_proxy_sent(f);
        }
    }
}

/* Bytes for the client: straight to its socket, the rest into the buffer. */
static void ad_proxy_pass_client(struct ad_proxy *f, const uint8_t *bytes,
                              size_t len)
{
    struct ad_proxy_buffers *buffers = ad_proxy_buffers_of(f);
    ssize_t n = 0;

    if (f->to_client_len == 0) {
        n = send(f->client_fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            ad_proxy_client_left(f);
            return;
        }
        n = n > 0 ? n : 0;
        ad_hub.bytes_sent += (uint64_t)n;
        f->moved_ms = ad_hub.now_ms;
    }
    if ((size_t)n < len) {
        memcpy(buffers->to_client + f->to_client_at + f->to_client_len, bytes + n,
               len - (size_t)n);
        f->to_client_len += (uint32_t)(len - (size_t)n);
    }
}

/* Answer in the engine's place, and end. */
static void ad_proxy_refuse(struct ad_proxy *f, int status, const char *type,
                           const char *record, const char *why)
{
    char json[AD_REPLY_MAX];
    struct ad_text j = ad_text_in(json, sizeof(json));
    struct ad_proxy_buffers *buffers = ad_proxy_buffers_of(f);
    struct ad_text t = ad_text_in(buffers->to_client, sizeof(buffers->to_client));

    ad_put_api_error(&j, ad_proxy_ollama(f), status, type, why);
    ad_put_head(&t, status, "application/json", j.len,
                status == 503 ? "Retry-After: 5\r\n" : "");
    if (!f->head) {
        ad_put(&t, j.at, j.len);
    }
    f->to_client_at = 0;
    f->to_client_len = (uint32_t)t.len;
    f->scan.failed = true;
    f->keep_alive = false; /* as this head says */
    ad_proxy_send_client(f);
    if (f->state != AD_PROXY_FREE && f->state != AD_PROXY_ENDING) {
        ad_proxy_end(f, record);
    }
}

/* Is this line of an answer's head about the connection alone (RFC 9110 7.6.1)?
 * Ours to the client is another, so it is not passed on. Where nothing stands in
 * the way the client's stays open: with `Connection: close`, clients such as
 * node's fetch would take an answer that was cut for a whole one. */
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

/* Have only whole interim heads come so far (RFC 9110 15.2)? */
static bool ad_head_between(const struct ad_head *h)
{
    return h->state == AD_HEAD_LINES && h->len > 0 && h->status == 0 &&
           h->line_len == 0 && !h->line_ended;
}

static char ad_proxy_head[AD_PROXY_HEAD_MAX + 64]; /* of ad_proxy_pass_head() */

/* Pass the answer's heads on, gathered whole in the buffer for the client: the
 * last of them says how this connection goes on. `more` is what came behind. */
static void ad_proxy_pass_head(struct ad_proxy *f, size_t head_len,
                              const uint8_t *more, size_t more_len)
{
    struct ad_text t = ad_text_in(ad_proxy_head, sizeof(ad_proxy_head));
    const char *at = (const char *)ad_proxy_buffers_of(f)->to_client;
    const char *end = at + head_len, *last = at, *next;

    /* The last head begins behind the last empty line but one. */
    for (next = at; (next = memmem(next, (size_t)(end - next), "\n\r\n", 3)) !=
                    NULL && next + 3 < end;) {
        next += 3;
        last = next;
    }
    ad_put(&t, at, (size_t)(last - at));
    f->keep_alive = f->keep_alive && strncmp(last, "HTTP/1.1 ", 9) == 0 &&
               !f->scan.head.until_close && f->body.state == AD_BODY_DONE &&
               f->to_upstream_len == 0;
    for (at = last; at < end; at = next) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));

        next = newline != NULL ? newline + 1 : end;
        if (next == end && !f->keep_alive) { /* before the empty line */
            ad_puts(&t, "Connection: close\r\n");
        }
        if (!ad_head_line_hop(at, (size_t)(next - at))) {
            ad_put(&t, at, (size_t)(next - at));
        }
    }
    f->to_client_len = 0;
    ad_proxy_pass_client(f, (const uint8_t *)t.at, t.len);
    if (f->state == AD_PROXY_RUN && more_len > 0) {
        ad_proxy_pass_client(f, more, more_len);
    }
}

/* Bytes of the answer. While its head is incomplete they gather in to_client. */
static void ad_proxy_relay(struct ad_proxy *f, const uint8_t *bytes, size_t len)
{
    struct ad_proxy_buffers *buffers = ad_proxy_buffers_of(f);
    size_t head_len, before = f->gathered;

    if (f->head_passed) {
        ad_proxy_pass_client(f, bytes, len);
        return;
    }
    if (f->scan.head.state == AD_HEAD_LINES &&
        before + len <= AD_PROXY_HEAD_MAX) {
        memcpy(buffers->to_client + before, bytes, len);
        f->gathered += (uint32_t)len;
        if (ad_head_between(&f->scan.head)) { /* 100 Continue goes on at once */
            f->to_client_len = f->gathered;
            f->interim_len = f->scan.head.len;
            f->gathered = 0;
            ad_proxy_send_client(f);
        }
        return;
    }
    f->head_passed = true;
    head_len = f->scan.head.len - f->interim_len;
    if (f->scan.head.state == AD_HEAD_DONE && f->scan.head.status != 101 &&
        head_len >= before && head_len <= AD_PROXY_HEAD_MAX) {
        memcpy(buffers->to_client + before, bytes, head_len - before);
        ad_proxy_pass_head(f, head_len, bytes + (head_len - before),
                          len - (head_len - before));
    } else { /* not HTTP as we know it: as it is */
        f->keep_alive = false;
        f->to_client_len = f->gathered;
        ad_proxy_pass_client(f, bytes, len);
    }
}

/* Read from the engine, stamp, scan, pass on. */
static void ad_proxy_read_upstream(struct ad_proxy *f)
{
    ssize_t got = recv(f->upstream_fd, ad_scratch, sizeof(ad_scratch), 0);
    uint64_t now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    uint32_t events;

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        if (got == 0) {
            ad_scan_close(&f->scan);
        }
        if (f->scan.head.state != AD_HEAD_DONE && f->gathered == 0 &&
            !f->head_passed) {
            ad_proxy_refuse(f, 502, "upstream_error", "failed",
                           "the engine closed the connection without an "
                           "answer");
        } else if (!f->head_passed) {
            f->to_client_len = f->gathered; /* half a head, as it came */
            ad_proxy_send_client(f);
            if (f->state == AD_PROXY_RUN) {
                ad_proxy_end(f, "cut");
            }
        } else {
            ad_proxy_end(f, ad_scan_complete(&f->scan) ? ad_proxy_outcome(f)
                                                      : "cut");
        }
        return;
    }
    f->heard_ms = ad_hub.now_ms;
    if (f->sent_ns == 0) { /* it answers before it has read all */
        f->sent_ns = now_ns;
    }
    events = ad_scan_feed(&f->scan, ad_scratch, (size_t)got);
    ad_proxy_relay(f, ad_scratch, (size_t)got);
    if (f->state != AD_PROXY_RUN) {
        return; /* the client left meanwhile, and the counts are told */
    }
    if (events > 0 && f->scan.form != AD_FORM_JSON && f->metered) {
        ad_proxy_ticks(f, events, now_ns);
    } else if (f->scan.has_progress && f->first_ns == 0) {
        ad_proxy_report_progress(f);
    }
    if (ad_scan_complete(&f->scan)) {
        ad_proxy_end(f, ad_proxy_outcome(f));
        return;
    }
    ad_proxy_watch(f);
}

/* Send the engine what waits for it; then note when the request was whole. */
static void ad_proxy_send_upstream(struct ad_proxy *f)
{
    ssize_t n;

    if (f->to_upstream_len > 0) {
        n = send(f->upstream_fd, f->to_upstream + f->to_upstream_at, f->to_upstream_len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            f->to_upstream_len = 0; /* its answer, if any, can still be read */
            f->body.state = AD_BODY_DONE;
        }
        if (n > 0) {
            f->to_upstream_at += (uint32_t)n;
            f->to_upstream_len -= (uint32_t)n;
        }
    }
    if (f->to_upstream_len == 0) {
        f->to_upstream_at = 0;
        if (f->rewrite != AD_NO_REWRITE) { /* the buffer's work is done */
            ad_rewrite_used[f->rewrite] = false;
            f->rewrite = AD_NO_REWRITE;
            f->to_upstream = ad_proxy_buffers_of(f)->to_upstream;
        }
        if (f->sent_ns == 0 && f->body.state >= AD_BODY_DONE) {
            f->sent_ns = ad_clock_ns(CLOCK_MONOTONIC);
        }
    }
    f->reads_client = f->to_upstream_len == 0;
}

/* Follow the framing of the request's body. Returns how many of the bytes
 * belong to it: what comes behind its end is not the engine's. */
static uint32_t ad_proxy_follow(struct ad_proxy *f, const uint8_t *bytes,
                               size_t len)
{
    const uint8_t *data;
    size_t n, used = 0;

    while (used < len && f->body.state < AD_BODY_DONE) {
        used += ad_body_next(&f->body, bytes + used, len - used, &data, &n);
    }
    f->keep_alive = f->keep_alive && used == len;
    return (uint32_t)used;
}

static void ad_proxy_connect(struct ad_proxy *f);

static char ad_preamble[AD_PROXY_PREAMBLE_MAX]; /* of ad_proxy_preamble() */

/* What stands in front of the client's own header lines: the request line with
 * the engine's prefix, its Host (RFC 9112 3.2), our key if the client has none.
 * It is put so that it ends at `end`; returns its length. */
static size_t ad_proxy_preamble(const struct ad_proxy *f, uint8_t *end)
{
    const struct ad_upstream *u = &ad_upstreams.list[f->upstream];
    const struct ad_proxy_buffers *buffers = ad_proxy_buffers_of(f);
    struct ad_text t = ad_text_in(ad_preamble, sizeof(ad_preamble));

    ad_putf(&t, "%s %s%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n",
            buffers->method, u->prefix, buffers->target, u->authority);
    if (ad_upstreams.key[0] != '\0' && !f->has_auth) {
        ad_putf(&t, "Authorization: Bearer %s\r\n", ad_upstreams.key);
    }
    memcpy(end - t.len, t.at, t.len);
    return t.len;
}

/* The body is gathered whole in the edit buffer: put the head in front, with
 * the model that a viewer chose, and go. RFC 9112: a length, no chunks. */
static void ad_proxy_rewrite(struct ad_proxy *f)
{
    struct ad_rewrite_buffer *e = &ad_rewrites[f->rewrite];
    struct ad_proxy_buffers *buffers = ad_proxy_buffers_of(f);
    char model[AD_MODEL_JSON_MAX + 2], length[48];
    struct ad_text m = ad_text_in(model, sizeof(model));
    struct ad_model_field found;
    size_t body_len = f->gathered, head_len = f->head_len;
    uint8_t *at;
    int n;

    f->gathered = 0;
    ad_model_field_find(&found, e->body, body_len);
    if (found.name[0] != '\0') {
        memcpy(f->model, found.name, sizeof(f->model));
    }
    if (found.found && ad_engine.overrides) {
        ad_put_string(&m, ad_model_name());
        memmove(e->body + found.from + m.len, e->body + found.from + found.len,
                body_len - found.from - found.len);
        memcpy(e->body + found.from, m.at, m.len);
        body_len = body_len - found.len + m.len;
        memcpy(f->model, ad_model_name(), sizeof(f->model));
    }
    f->upstream = ad_upstream_of(f->model);
    n = snprintf(length, sizeof(length), "Content-Length: %zu\r\n\r\n",
                 body_len);
    at = e->head + sizeof(e->head) - (size_t)n;
    memcpy(at, length, (size_t)n);
    at -= head_len;
    memcpy(at, buffers->to_upstream + AD_PROXY_PREAMBLE_MAX, head_len);
    at -= ad_proxy_preamble(f, at);
    f->to_upstream = at;
    f->to_upstream_at = 0;
    f->to_upstream_len = (uint32_t)((size_t)(e->body - at) + body_len);
    ad_proxy_connect(f);
}

/* The request's chunks make no sense (RFC 9112 7.1). */
static void ad_proxy_malformed(struct ad_proxy *f)
{
    if (f->head_passed || f->gathered > 0) {
        ad_proxy_end(f, "cut");
    } else {
        ad_proxy_refuse(f, 400, "invalid_request_error", "refused",
                       "the request's chunks are malformed");
    }
}

/* A chunked body turned out too long to be edited: it goes on with its own
 * model. What was gathered becomes one chunk together with what is still to
 * come of the chunk at hand (`n` bytes of it are the first of `more`). */
static void ad_proxy_flush_body(struct ad_proxy *f, const uint8_t *more,
                             size_t more_len, size_t n)
{
    struct ad_rewrite_buffer *e = &ad_rewrites[f->rewrite];
    char lines[64];
    int len = snprintf(lines, sizeof(lines),
                       "Transfer-Encoding: chunked\r\n\r\n%llx\r\n",
                       (unsigned long long)(f->gathered + n + f->body.left));
    uint8_t *at = e->head + sizeof(e->head) - (size_t)len;

    ad_log(AIDASH_LOG_WARN, "request %llu: longer than 1 MiB, passed with its "
                            "own model",
           (unsigned long long)f->id);
    memcpy(at, lines, (size_t)len);
    at -= f->head_len;
    memcpy(at, ad_proxy_buffers_of(f)->to_upstream + AD_PROXY_PREAMBLE_MAX, f->head_len);
    at -= ad_proxy_preamble(f, at);
    more_len = n + ad_proxy_follow(f, more + n, more_len - n);
    memcpy(e->body + f->gathered, more, more_len);
    f->to_upstream = at;
    f->to_upstream_at = 0;
    f->to_upstream_len = (uint32_t)((size_t)(e->body - at) + f->gathered + more_len);
    f->gathered = 0;
    f->reads_client = false; /* the rest waits until this is sent */
    ad_proxy_connect(f);
}

/* Gather body bytes for an edit. */
static void ad_proxy_buffer_body(struct ad_proxy *f, const uint8_t *bytes, size_t len)
{
    struct ad_rewrite_buffer *e = &ad_rewrites[f->rewrite];
    size_t used = 0;

    while (used < len && f->body.state < AD_BODY_DONE) {
        const uint8_t *data = NULL;
        size_t n;

        used += ad_body_next(&f->body, bytes + used, len - used, &data, &n);
        if (n > AD_REWRITE_MAX - f->gathered) {
            ad_proxy_flush_body(f, data, (size_t)(bytes + len - data), n);
            return;
        }
        if (n > 0) {
            memcpy(e->body + f->gathered, data, n);
            f->gathered += (uint32_t)n;
        }
    }
    f->keep_alive = f->keep_alive && used == len;
    if (f->body.state == AD_BODY_BAD) {
        f->gathered = 0;
        ad_proxy_malformed(f);
    } else if (f->body.state == AD_BODY_DONE) {
        ad_proxy_rewrite(f);
    }
}

/* Read from the client: its body, and afterwards only whether it is there. */
static void ad_proxy_read_client(struct ad_proxy *f)
{
    bool body = f->body.state < AD_BODY_DONE &&
                (f->state == AD_PROXY_RUN || f->state == AD_PROXY_BUFFER_BODY);
    size_t cap = f->state == AD_PROXY_RUN ? AD_PROXY_REQUEST_MAX : AD_SCRATCH;
    ssize_t got = recv(f->client_fd, ad_scratch, cap, 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        ad_proxy_client_left(f);
        return;
    }
    ad_hub.bytes_received += (uint64_t)got;
    f->moved_ms = ad_hub.now_ms;
    if (!body) { /* another request before the answer: not so */
        f->keep_alive = false;
        return;
    }
    if (f->state == AD_PROXY_BUFFER_BODY) {
        ad_proxy_buffer_body(f, ad_scratch, (size_t)got);
    } else {
        f->to_upstream_len = ad_proxy_follow(f, ad_scratch, (size_t)got);
        memcpy(f->to_upstream, ad_scratch, f->to_upstream_len);
        if (f->body.state == AD_BODY_BAD) {
            ad_proxy_malformed(f);
            return;
        }
        ad_proxy_send_upstream(f);
        ad_proxy_watch(f);
    }
}

/* Try the engine's addresses in turn. */
static void ad_proxy_connect(struct ad_proxy *f)
{
    const struct ad_upstream *u = &ad_upstreams.list[f->upstream];
    int on = 1;

    ad_proxy_close_upstream(f);
    f->state = AD_PROXY_CONNECT;
    while (f->address < u->n_addresses) {
        const struct ad_address *a = &u->addresses[f->address++];

        f->upstream_fd = socket(a->storage.ss_family,
                       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (f->upstream_fd >= 0 &&
            (connect(f->upstream_fd, (const struct sockaddr *)&a->storage, a->len) ==
                 0 ||
             errno == EINPROGRESS)) {
            (void)setsockopt(f->upstream_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            f->heard_ms = ad_hub.now_ms;
            ad_proxy_watch(f);
            return;
        }
        ad_proxy_close_upstream(f);
    }
    ad_upstream_set_state(f->upstream, false);
    ad_proxy_refuse(f, 502, "upstream_error", "failed",
                   "the engine can't be reached");
}

static void ad_proxy_connected(struct ad_proxy *f)
{
    int error = 0;
    socklen_t len = sizeof(error);

    (void)getsockopt(f->upstream_fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) {
        ad_proxy_connect(f);
        return;
    }
    ad_upstream_set_state(f->upstream, true);
    f->state = AD_PROXY_RUN;
    ad_proxy_send_upstream(f);
    ad_proxy_watch(f);
}

AD_MEMORY(proxy_buffers, AIDASH_FLOWS,
          sizeof(ad_proxy_buffers) + sizeof(ad_proxy_head) +
              sizeof(ad_preamble));

#endif /* AIDASH_METER */

#endif
