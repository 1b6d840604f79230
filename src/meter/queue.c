/* queue.c - which proxied requests may run, and which wait; how they begin, what
 * the poller and the clock bring them. Hub thread only.
 */
#ifndef AD_METER_QUEUE_C
#define AD_METER_QUEUE_C

#include "../core/commands.c"
#include "proxy.c"

#if AIDASH_METER

/* The meter's section of status: the engine, the models in memory, the queue. */
static void ad_put_meter(struct ad_text *t)
{
    bool down = false, some = false;
    unsigned i;

    if (ad_upstreams.n == 0) {
        return;
    }
    for (i = 0; i < ad_upstreams.n; i++) {
        down = down || (ad_upstreams.state[i].known && !ad_upstreams.state[i].up);
    }
    ad_puts(t, down ? ",\"engine\":\"down\"" : ",\"engine\":\"up\"");
    ad_puts(t, ad_engine.overrides ? ",\"override\":true" : ",\"override\":false");
    ad_putf(t, ",\"running\":%u,\"queued\":%u,\"loaded\":[", ad_proxying.n_running,
            ad_proxying.n_queued);
    for (i = 0; i < ad_engine.n_models; i++) {
        if (ad_engine.loaded[i]) {
            ad_put(t, ",", some);
            ad_put_string(t, ad_engine.models[i]);
            some = true;
        }
    }
    ad_puts(t, "]");
}

/* Does the request's body have to be read before it goes on? */
static bool ad_proxy_wants_rewrite(const struct ad_proxy *f)
{
    return f->metered && f->body.state < AD_BODY_DONE &&
           (ad_engine.overrides || ad_upstreams.n > 1) &&
           (f->body.state != AD_BODY_LENGTH || f->body.left <= AD_REWRITE_MAX);
}

static uint8_t ad_rewrite_free(void)
{
    uint8_t i = 0;

    while (i < AIDASH_EDITS && ad_rewrite_used[i]) {
        i++;
    }
    return i < AIDASH_EDITS ? i : AD_NO_REWRITE;
}

static bool ad_proxy_may_run(const struct ad_proxy *f)
{
    return !f->metered ||
           (!ad_engine.paused && ad_proxying.n_running < ad_proxying.max_inflight &&
            (!ad_proxy_wants_rewrite(f) || ad_rewrite_free() != AD_NO_REWRITE));
}

/* The flow's turn has come. */
static void ad_proxy_run(struct ad_proxy *f)
{
    struct ad_proxy_buffers *buffers = ad_proxy_buffers_of(f);
    uint8_t *headers = buffers->to_upstream + AD_PROXY_PREAMBLE_MAX;
    size_t front;

    ad_proxying.n_running += f->metered;
    f->to_upstream = buffers->to_upstream;
    if (ad_proxy_wants_rewrite(f)) {
        f->state = AD_PROXY_BUFFER_BODY;
        f->rewrite = ad_rewrite_free();
        ad_rewrite_used[f->rewrite] = true;
        f->reads_client = true;
    } else {
        f->state = AD_PROXY_CONNECT;
    }
    if (f->metered) {
        ad_proxy_report_start(f);
    }
    if (f->state == AD_PROXY_BUFFER_BODY) {
        f->gathered = 0;
        if (f->expects) {
            static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";

            (void)!send(f->client_fd, go, sizeof(go) - 1, MSG_NOSIGNAL);
        }
        ad_proxy_buffer_body(f, headers + f->head_len, f->rest_len);
        if (f->state == AD_PROXY_BUFFER_BODY) {
            ad_proxy_watch(f);
        }
        return;
    }
    if (ad_engine.overrides && f->metered && f->body.state == AD_BODY_LENGTH) {
        ad_log(AIDASH_LOG_WARN, "request %llu: longer than 1 MiB, passed with "
                                "its own model",
               (unsigned long long)f->id);
    }
    /* The framing lines and the end of the head go between the two parts. */
    memmove(headers + f->head_len + f->framing_len, headers + f->head_len,
            f->rest_len);
    memcpy(headers + f->head_len, f->framing, f->framing_len);
    f->rest_len = ad_proxy_follow(f, headers + f->head_len + f->framing_len,
                                 f->rest_len);
    if (f->body.state == AD_BODY_BAD) {
        ad_proxy_malformed(f);
        return;
    }
    front = ad_proxy_preamble(f, headers);
    f->to_upstream_at = (uint32_t)(AD_PROXY_PREAMBLE_MAX - front);
    f->to_upstream_len = (uint32_t)front + f->head_len + f->framing_len + f->rest_len;
    ad_proxy_connect(f);
}

/* Let those in line go on, first come first, while there is room. */
static void ad_queue_run(void)
{
    while (ad_proxying.n_queued > 0 && !ad_engine.paused) {
        struct ad_proxy *first = NULL;
        unsigned i;

        for (i = 0; i < AIDASH_FLOWS; i++) {
            if (ad_proxies[i].state == AD_PROXY_QUEUED &&
                (first == NULL || ad_proxies[i].id < first->id)) {
                first = &ad_proxies[i];
            }
        }
        if (first == NULL || !ad_proxy_may_run(first)) {
            return;
        }
        ad_proxying.n_queued--;
        ad_proxy_run(first);
    }
}

/* A request on its way from a worker to the hub. Its own header lines are in
 * `text`, without those that are about the connection alone (RFC 9110 7.6.1)
 * and without the body's framing, which `framing` has, with the empty line. */
struct ad_proxy_call {
    int fd;
    uint64_t address;
    struct sockaddr_storage peer;
    bool metered, head, expects, has_auth, keep_alive;
    struct ad_body body;
    struct ad_text text;
    const char *method, *target, *framing;
    const uint8_t *rest; /* of the body, as far as it came with the head */
    size_t rest_len;
    char route[64], client[48];
    char model[AIDASH_MODEL_MAX + 1];
};

/* The model that a small request asks for, if all of it came with the head. */
static void ad_proxy_find_model(struct ad_proxy_call *p)
{
    struct ad_model_field found;

    if (p->body.state == AD_BODY_LENGTH && p->body.left == p->rest_len) {
        ad_model_field_find(&found, p->rest, p->rest_len);
        memcpy(p->model, found.name, sizeof(p->model));
    }
}

/* Does it run, or wait to: is it one of those that GET /requests lists first? */
static bool ad_proxy_runs(const struct ad_proxy *f)
{
    return f->metered && f->state != AD_PROXY_FREE &&
           f->state != AD_PROXY_ENDING;
}

/* Is there room for one more proxied request? */
static bool ad_proxy_has_room(void)
{
    return ad_proxying.n < AIDASH_FLOWS && !ad_hub.stopping;
}

static void ad_proxy_begin(const struct ad_proxy_call *p)
{
    struct ad_proxy *f = ad_proxies;
    struct ad_proxy_buffers *buffers;

    while (f->state != AD_PROXY_FREE) {
        f++;
    }
    buffers = ad_proxy_buffers_of(f);
    memset(f, 0, sizeof(*f));
    f->client_fd = p->fd;
    f->peer_address = p->address;
    f->peer = p->peer;
    f->upstream_fd = -1;
    f->rewrite = AD_NO_REWRITE;
    f->id = ++ad_proxying.last_id;
    f->start_ns = ad_hub.now_ns;
    f->start_us = ad_hub.now_us;
    f->moved_ms = f->heard_ms = ad_hub.now_ms;
    f->metered = p->metered;
    f->head = p->head;
    f->body = p->body;
    f->head_len = (uint32_t)p->text.len;
    f->rest_len = (uint32_t)p->rest_len;
    f->framing_len = (uint32_t)strlen(p->framing);
    memcpy(f->framing, p->framing, f->framing_len);
    memcpy(f->route, p->route, sizeof(f->route));
    memcpy(f->client, p->client, sizeof(f->client));
    f->expects = p->expects;
    f->has_auth = p->has_auth;
    f->keep_alive = p->keep_alive;
    memcpy(f->model, p->model, sizeof(f->model));
    if (f->model[0] == '\0' && ad_upstreams.n == 1 &&
        ad_upstreams.state[0].n_models == 1) { /* what else could it be */
        memcpy(f->model, ad_upstreams.state[0].models[0], sizeof(f->model));
    }
    memcpy(buffers->method, p->method, strlen(p->method) + 1);
    memcpy(buffers->target, p->target, strlen(p->target) + 1);
    memcpy(buffers->to_upstream + AD_PROXY_PREAMBLE_MAX, p->text.at, p->text.len);
    memcpy(buffers->to_upstream + AD_PROXY_PREAMBLE_MAX + p->text.len, p->rest, p->rest_len);
    ad_scan_begin(&f->scan, p->head);
    ad_proxying.n++;
    if (ad_proxy_may_run(f) && (!f->metered || ad_proxying.n_queued == 0)) {
        ad_proxy_run(f);
    } else if (ad_proxying.n_queued < ad_proxying.queue) {
        f->state = AD_PROXY_QUEUED;
        ad_proxying.n_queued++;
        ad_proxy_report_start(f);
        ad_proxy_watch(f);
    } else {
        ad_proxying.refused++;
        f->state = AD_PROXY_RUN;
        ad_proxying.n_running++;
        ad_proxy_refuse(f, 503, "overloaded_error", "refused",
                       ad_engine.paused ? "paused, and the line is full"
                                     : "the line is full");
    }
}

static void ad_proxy_event(unsigned index, enum ad_tag tag, bool hangup)
{
    struct ad_proxy *f = &ad_proxies[index];

    if (f->state == AD_PROXY_FREE) {
        return;
    }
    if (tag == AD_TAG_PROXY_CLIENT) {
        if (hangup && f->state != AD_PROXY_ENDING) {
            ad_proxy_client_left(f);
            return;
        }
        if (f->to_client_len > 0 && f->head_passed) {
            ad_proxy_send_client(f);
        } else if (f->to_client_len > 0 && f->state == AD_PROXY_ENDING) {
            ad_proxy_send_client(f);
        }
        if (f->state != AD_PROXY_FREE && f->reads_client) {
            ad_proxy_read_client(f);
        }
        return;
    }
    if (f->upstream_fd < 0) {
        return;
    }
    if (f->state == AD_PROXY_CONNECT) {
        ad_proxy_connected(f);
        return;
    }
    if (f->to_upstream_len > 0) {
        ad_proxy_send_upstream(f);
        ad_proxy_watch(f);
    }
    if (f->state == AD_PROXY_RUN && f->to_client_len == 0) {
        ad_proxy_read_upstream(f);
    }
}

static void ad_proxy_housekeeping(struct ad_proxy *f)
{
    uint32_t heard_ms = ad_hub.now_ms - f->heard_ms;
    uint32_t moved_ms = ad_hub.now_ms - f->moved_ms;

    switch (f->state) {
    case AD_PROXY_ENDING:
        if (ad_hub.now_ms - f->ending_ms >=
            (f->to_client_len > 0 ? (uint32_t)AD_STALL_MS
                                : (uint32_t)AD_LINGER_MS)) {
            ad_proxy_free(f);
        }
        break;
    case AD_PROXY_QUEUED:
        if (ad_proxying.queue_timeout_ms > 0 &&
            ad_ms(f->start_ns, ad_hub.now_ns) >= ad_proxying.queue_timeout_ms) {
            ad_proxy_refuse(f, 503, "overloaded_error", "refused",
                           "waited in line for too long");
        }
        break;
    case AD_PROXY_CONNECT:
        if (heard_ms >= AD_CONNECT_MS) {
            ad_proxy_connect(f);
        }
        break;
    case AD_PROXY_BUFFER_BODY:
        if (moved_ms >= AD_SILENCE_MS) {
            ad_proxy_refuse(f, 408, "invalid_request_error", "refused",
                           "the body did not arrive");
        }
        break;
    case AD_PROXY_RUN:
        if (f->to_client_len > 0 && moved_ms >= AD_STALL_MS) {
            ad_proxy_client_left(f); /* it does not read */
        } else if (f->head_passed && f->to_client_len == 0 &&
                   ad_proxying.upstream_timeout_ms > 0 &&
                   heard_ms >= ad_proxying.upstream_timeout_ms) {
            ad_proxy_end(f, "cut");
        }
        break;
    default:
        break;
    }
}

/* End a request by its number. False if there is none such. */
static bool ad_proxy_cancel(uint64_t id)
{
    unsigned i;

    for (i = 0; i < AIDASH_FLOWS; i++) {
        struct ad_proxy *f = &ad_proxies[i];

        if (f->state == AD_PROXY_FREE || f->state == AD_PROXY_ENDING ||
            f->id != id) {
            continue;
        }
        if (f->head_passed || f->gathered > 0) {
            ad_proxy_end(f, "cut");
        } else {
            ad_proxy_refuse(f, 503, "cancelled", "cut",
                           "cancelled at the dashboard");
        }
        return true;
    }
    return false;
}

/* The drain command: report when no request runs any more. */
static void ad_proxy_drain(void)
{
    ad_proxying.draining = ad_proxying.n_running > 0;
}

/* Before each run: the meter's members of status, and its commands. */
static void ad_queue_init(void)
{
    ad_engine_add_section(ad_put_meter);
    ad_commands.cancel = ad_proxy_cancel;
    ad_commands.drain = ad_proxy_drain;
}

/* What the queue allows. Timeouts in milliseconds. While starting. */
static void ad_queue_set(unsigned max_inflight, unsigned queue,
                         double queue_timeout_ms, double upstream_timeout_ms)
{
    ad_proxying.max_inflight = max_inflight;
    ad_proxying.queue = queue;
    ad_proxying.queue_timeout_ms = queue_timeout_ms;
    ad_proxying.upstream_timeout_ms = upstream_timeout_ms;
}

#endif /* AIDASH_METER */

#endif
