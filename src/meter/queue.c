/* queue.c - which proxied requests may run, and which wait; how they begin, what
 * the poller and the clock bring them.
 * Owns nothing: the queue itself is in requests.c. Hub thread only.
 */
#ifndef AD_METER_QUEUE_C
#define AD_METER_QUEUE_C

#include "../core/commands.c"
#include "lists.c"
#include "room.c"
#include "tunnel.c"

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
            ad_puts(t, some ? "," : "");
            ad_put_string(t, ad_engine.models[i]);
            some = true;
        }
    }
    ad_puts(t, "]");
}

/* ---- admission ---- */

static bool ad_proxy_may_run(const struct ad_proxy *p)
{
    if (ad_engine.paused || ad_proxying.n_running >= ad_proxying.max_inflight) {
        return false;
    }
    return !ad_rewrite_wanted(p) ||
           ad_rewrite_free(p->request.address) != AD_NO_REWRITE;
}

/* Is it one of those that GET /requests lists as under way? */
static bool ad_proxy_runs(const struct ad_proxy *p)
{
    return (p->request.metered || p->state == AD_PROXY_TUNNEL) &&
           p->state != AD_PROXY_FREE &&
           p->state != AD_PROXY_ARRIVE && p->state != AD_PROXY_ENDING;
}

/* Go on with a body that is whole, or with the first piece of a longer one. */
static void ad_proxy_go_on(struct ad_proxy *p)
{
    struct ad_proxy_upload *u = &ad_proxy_buffers_of(p)->upload;

    if (p->held_len > 0) {
        ad_upload_release(p);
    } else if (p->rewrite != AD_NO_REWRITE) {
        struct ad_rewrite *e = &ad_rewrites[p->rewrite];

        ad_rewrite_go(p, e->head, e->body);
    } else if (ad_rewrite_wanted(p)) {
        ad_rewrite_begin(p, ad_rewrite_free(p->request.address));
    } else {
        ad_rewrite_go(p, u->head, u->body);
    }
}

/* Has the client used up its quota? Then it is answered: 429. A benchmark is no
 * client: it has none. */
static bool ad_quota_refuse(struct ad_proxy *p)
{
    char why[AD_QUOTA_WHY_MAX];
    const struct ad_refusal over = {429, "rate_limit_error", "refused", why};
    struct ad_totals_time now;

    if (ad_quotas.n == 0 || p->request.bench) {
        return false;
    }
    now = ad_totals_now();
    p->retry_s = ad_quota_over(&now, &p->request.who, why);
    if (p->retry_s == 0) {
        return false;
    }
    ad_proxy_refuse(p, &over);
    return true;
}

/* It is the request's turn. */
static void ad_proxy_run(struct ad_proxy *p)
{
    bool told = p->turn == AD_TURN_UPLOAD; /* and not queued since */

    p->begun_ns = ad_hub.now_ns;
    ad_proxy_set_turn(p, AD_TURN_RUN);
    if (!told) {
        ad_proxy_report_start(p);
    }
    ad_proxy_go_on(p);
}

/* The first in the queue that may run. One that waits for memory to look for its
 * model holds up none that needs no such memory: it keeps its place, and the next
 * memory that is free is its own. NULL if there is none. */
static struct ad_proxy *ad_queue_ready(void)
{
    struct ad_proxy *p = ad_proxying.first;

    if (ad_engine.paused || ad_proxying.n_running >= ad_proxying.max_inflight) {
        return NULL;
    }
    while (p != NULL && !ad_proxy_may_run(p)) {
        p = p->next;
    }
    return p;
}

/* Let the requests in the queue run, first come first served, while there is
 * room. Those before one may have used up its quota. */
static void ad_queue_run(void)
{
    struct ad_proxy *p;

    while ((p = ad_queue_ready()) != NULL) {
        if (!ad_quota_refuse(p)) {
            ad_proxy_run(p);
        }
    }
}

/* The queue is full: answer 503. */
static void ad_queue_refuse(struct ad_proxy *p)
{
    char why[96];
    const struct ad_refusal full = {503, "overloaded_error", "refused", why};

    (void)snprintf(why, sizeof(why), "%sthe queue is full (%u waiting)",
                   ad_engine.paused ? "requests are paused and " : "",
                   ad_proxying.n_queued);
    ad_proxy_refuse(p, &full);
}

/* ---- the beginning ---- */

/* Copy the request's strings to the slot's own memory. False if they are longer
 * than the head of a request may be. */
static bool ad_proxy_copy_text(struct ad_proxy *p, const struct ad_proxy_request *r)
{
    struct ad_proxy_buffers *buffers = ad_proxy_buffers_of(p);
    struct ad_text t = ad_text_in(buffers->text, sizeof(buffers->text));
    const char *from[3] = {r->method, r->target, r->headers};
    const char **to[3] = {&p->request.method, &p->request.target,
                          &p->request.headers};
    unsigned i;

    for (i = 0; i < 3; i++) {
        *to[i] = t.at + t.len;
        ad_put(&t, from[i], strlen(from[i]) + 1);
    }
    p->request.prefix = NULL;
    return !t.full && r->prefix_len <= AD_PROXY_PREFIX_MAX;
}

/* Run, or wait in the queue. One that asks for the first time is refused when the
 * queue is full. */
static void ad_proxy_ask(struct ad_proxy *p)
{
    bool first = p->order == 0;

    p->arrived_ns = ad_hub.now_ns;
    if (!ad_engine.paused && ad_proxying.n_running >= ad_proxying.max_inflight) {
        (void)ad_queue_make_way();
    }
    if (first) {
        p->order = ++ad_proxying.last_order;
    }
    if (ad_proxy_may_run(p) && ad_queue_ready() == NULL) {
        ad_proxy_run(p);
    } else if (first && ad_proxying.n_queued >= ad_proxying.queue &&
               !ad_queue_evict(p)) {
        ad_proxying.refused++;
        ad_queue_refuse(p);
    } else {
        if (p->held_len == 0) {
            p->state = AD_PROXY_QUEUED;
        }
        p->queued_ms = ad_hub.now_ms;
        p->waited = true;
        ad_proxy_set_turn(p, AD_TURN_QUEUED);
        ad_proxy_report_start(p);
        ad_proxy_watch(p);
    }
}

/* Enough of the body is there to ask. */
static void ad_proxy_admit(struct ad_proxy *p)
{
    struct ad_proxy_upload *u = &ad_proxy_buffers_of(p)->upload;

    p->reads_client = false;
    if (p->request.metered) {
        ad_rewrite_look(p);
        if (!ad_quota_refuse(p)) {
            ad_proxy_ask(p);
        }
    } else if (p->request.list != AD_LIST_NONE) {
        ad_lists_begin(p);
    } else {
        ad_upload_begin(p, u->head, u->body);
    }
}

/* The rest of the body has come, after the request had its turn. */
static void ad_proxy_whole(struct ad_proxy *p)
{
    if (p->turn == AD_TURN_RUN) {
        ad_proxy_go_on(p);
    } else {
        ad_proxy_ask(p);
    }
}

/* Some of the body has come. A request counts for the queue and at the engine
 * once its body is whole, or its first AD_PROXY_PIECE_MAX bytes are there: a
 * client that sends nothing takes no place from others. */
static void ad_proxy_arrive(struct ad_proxy *p, const uint8_t *bytes, size_t len)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

    ad_upload_arrive(p, bytes, len);
    if (p->request.body.state == AD_BODY_BAD) {
        ad_upload_malformed(p);
        return;
    }
    if (p->request.expects && p->request.body.state != AD_BODY_DONE) {
        p->request.expects = false;
        ad_proxy_keep_for_client(p, go_on, sizeof(go_on) - 1);
        ad_proxy_send_client(p);
    }
    if (p->state != AD_PROXY_ARRIVE) {
        return; /* the client left */
    }
    if (ad_upload_arrived(p)) {
        ad_proxy_admit(p);
    } else {
        ad_proxy_watch(p);
    }
}

/* Take a client's connection and the request that was read from it, when
 * ad_proxy_make_room() said so. The strings are copied. `fd` (non-blocking, watched
 * by nobody) is the proxy's from here on: it answers, and closes it or gives it
 * back to the acceptor. */
static void ad_proxy_begin(const struct ad_proxy_request *r, int fd)
{
    static const struct ad_refusal too_long = {431, "invalid_request_error",
                                               "refused",
                                               "the request head is too long"};
    struct ad_proxy *p = ad_proxy_slot();
    bool fits;

    memset(p, 0, sizeof(*p));
    p->request = *r;
    fits = ad_proxy_copy_text(p, r);
    p->client_fd = fd;
    p->rewrite = AD_NO_REWRITE;
    p->id = ++ad_proxying.last_id;
    p->start_ns = ad_hub.now_ns;
    p->start_us = ad_hub.now_us;
    p->heard_ms = ad_hub.now_ms;
    if (ad_upstreams.n == 1 && ad_upstreams.state[0].n_models == 1) {
        memcpy(p->request.model, ad_upstreams.state[0].models[0],
               sizeof(p->request.model)); /* what else could it be */
    }
    ad_scan_begin(&p->scan);
    ad_answer_begin(&p->answer, AD_PROXY_ANSWER_HEAD_MAX, r->head);
    if (r->upgrade) {
        ad_proxying.n_tunnels++;
        p->answer.may_switch = true;
        p->upstream = ad_upstream_of(r->model);
    }
    ad_proxying.n++;
    p->state = AD_PROXY_ARRIVE;
    p->reads_client = true;
    if (fits) {
        ad_proxy_arrive(p, r->prefix, r->prefix_len);
    } else {
        ad_proxy_refuse(p, &too_long);
    }
}

/* ---- what the poller and the clock bring ---- */

/* Read from the client: its body, and afterwards only whether it is there. */
static void ad_proxy_read_client(struct ad_proxy *p)
{
    bool body = p->request.body.state < AD_BODY_DONE;
    size_t cap = AD_PROXY_PIECE_MAX;
    ssize_t got;

    if (p->state == AD_PROXY_TUNNEL) {
        ad_tunnel_read_client(p);
        return;
    }
    if (p->state == AD_PROXY_ARRIVE) {
        cap -= p->body_len;
    }
    got = recv(p->client_fd, ad_proxy_input, cap, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got < 0 || (got == 0 && body)) {
        ad_proxy_client_left(p);
        return;
    }
    if (got == 0) {
        p->client_finished = true;
        if (p->state == AD_PROXY_ENDING && p->to_client_len == 0) {
            ad_proxy_free(p);
        } else {
            ad_proxy_watch(p);
        }
        return;
    }
    ad_hub.bytes_received += (uint64_t)got;
    p->uploaded += (uint64_t)got;
    if (body && p->state == AD_PROXY_ARRIVE) {
        ad_proxy_arrive(p, ad_proxy_input, (size_t)got);
    } else if (body && p->state == AD_PROXY_BUFFER_BODY) {
        ad_rewrite_read(p, ad_proxy_input, (size_t)got);
        if (p->state == AD_PROXY_BUFFER_BODY &&
            p->request.body.state == AD_BODY_DONE) {
            ad_proxy_whole(p);
        }
    } else if (body && p->state == AD_PROXY_RUN) {
        ad_upload_pass(p, ad_proxy_input, (size_t)got);
        if (p->held_len > 0) {
            ad_proxy_whole(p);
        }
    } else if (p->state != AD_PROXY_ENDING) {
        /* Another request before the answer: it is not served, nor read. */
        p->request.keep_alive = false;
        p->reads_client = false;
        ad_proxy_watch(p);
    }
}

/* Did the connection break, as far as is known? */
static bool ad_proxy_client_broken(const struct ad_proxy *p)
{
    return send(p->client_fd, "", 0, MSG_NOSIGNAL) < 0 && errno != EAGAIN &&
           errno != EINTR;
}

/* The poller reports a FIN of the client, or a reset. */
static void ad_proxy_client_hangup(struct ad_proxy *p)
{
    if (ad_proxy_client_broken(p)) {
        ad_proxy_client_left(p);
        return;
    }
    if (!p->client_shut) {
        p->client_shut = true;
        p->request.keep_alive = false;
        if (p->state != AD_PROXY_ENDING && p->state != AD_PROXY_ARRIVE &&
            p->state != AD_PROXY_TUNNEL && p->state != AD_PROXY_LIST) {
            ad_proxy_probe_client(p);
        }
        if (p->state != AD_PROXY_FREE) {
            ad_proxy_watch(p);
        }
    }
}

static void ad_proxy_client_event(struct ad_proxy *p, bool hangup)
{
    if (hangup) {
        ad_proxy_client_hangup(p);
    }
    if (p->state != AD_PROXY_FREE) {
        ad_proxy_send_client(p);
    }
    if (p->state != AD_PROXY_FREE && p->reads_client && !p->client_finished) {
        ad_proxy_read_client(p);
    }
}

static void ad_proxy_upstream_event(struct ad_proxy *p)
{
    if (p->state == AD_PROXY_LIST) {
        ad_lists_event(p);
        return;
    }
    if (!ad_dial_has_fd(&p->engine)) {
        return;
    }
    if (p->state == AD_PROXY_CONNECT) {
        ad_proxy_connect_event(p);
        return;
    }
    if (p->to_upstream_len > 0) {
        ad_proxy_send_upstream(p);
        ad_proxy_watch(p);
    }
    if (p->state == AD_PROXY_RUN && p->to_client_len == 0) {
        ad_proxy_read_upstream(p);
    } else if (p->state == AD_PROXY_TUNNEL && p->to_client_len == 0) {
        ad_tunnel_read_upstream(p);
    }
    if (p->state == AD_PROXY_RUN && p->head_passed && p->turn != AD_TURN_RUN &&
        p->request.metered) {
        p->begun_ns = ad_hub.now_ns;
        ad_proxy_set_turn(p, AD_TURN_RUN); /* it answers before the body's end */
        if (p->held_len > 0) {
            ad_upload_release(p);
        }
    }
}

static void ad_proxy_event(unsigned index, enum ad_tag tag, bool hangup)
{
    struct ad_proxy *p = &ad_proxies[index % AD_PROXY_INDEX_MAX];

    if (p->state == AD_PROXY_FREE || ad_proxy_index(p) != index) {
        return; /* the slot was freed meanwhile, or has another request */
    }
    if (tag == AD_TAG_PROXY_CLIENT) {
        ad_proxy_client_event(p, hangup);
    } else {
        ad_proxy_upstream_event(p);
    }
}

/* Once a second: does the client send its body fast enough? The time in which
 * the engine takes nothing, or the request waits in the queue, does not count. */
static bool ad_proxy_upload_slow(struct ad_proxy *p)
{
    if (!p->reads_client || p->request.body.state >= AD_BODY_DONE) {
        return false;
    }
    p->upload_s++;
    return p->upload_s > AD_PROXY_UPLOAD_GRACE_S &&
           p->uploaded < (uint64_t)AD_PROXY_RATE *
                             (p->upload_s - AD_PROXY_UPLOAD_GRACE_S);
}

/* Once a second: does the client take its answer fast enough? */
static bool ad_proxy_answer_slow(struct ad_proxy *p)
{
    if (p->to_client_len == 0) {
        p->blocked_s = 0;
        p->taken = 0;
        return false;
    }
    p->blocked_s++;
    if (p->blocked_s == AD_PROXY_ANSWER_GRACE_S) {
        return p->taken == 0;
    }
    return p->blocked_s > AD_PROXY_ANSWER_GRACE_S &&
           p->taken < (uint64_t)AD_PROXY_RATE *
                          (p->blocked_s - AD_PROXY_ANSWER_GRACE_S);
}

/* Once a second, while bytes may pass: does the engine leave the request alone?
 * Not while the client is to send, or to take, or while the request waits. */
static bool ad_proxy_engine_silent(const struct ad_proxy *p)
{
    double limit_ms = ad_proxying.upstream_timeout_ms;

    if (limit_ms <= 0 || p->to_client_len > 0 || p->turn == AD_TURN_QUEUED ||
        (!p->head_passed && p->to_upstream_len == 0 &&
         p->request.body.state < AD_BODY_DONE)) {
        return false;
    }
    if (!p->head_passed && p->answer.len == 0 && p->request.metered) {
        limit_ms *= AD_PROXY_FIRST_TIMES;
    }
    return ad_hub.now_ms - p->heard_ms >= limit_ms;
}

/* Once a second: the time limits. */
static void ad_proxy_housekeeping(struct ad_proxy *p)
{
    uint32_t limit_ms;

    if (p->state == AD_PROXY_ENDING) {
        limit_ms = p->to_client_len > 0 ? AD_STALL_MS : AD_LINGER_MS;
        if (ad_hub.now_ms - p->ending_ms >= limit_ms) {
            ad_proxy_free(p);
        }
    } else if (ad_proxy_upload_slow(p)) {
        ad_proxy_give_up(p, &ad_refuse_slow_body);
    } else if (ad_proxy_answer_slow(p)) {
        ad_proxy_client_left(p);
    } else if (p->turn == AD_TURN_QUEUED) {
        if (ad_proxying.queue_timeout_ms > 0 &&
            ad_hub.now_ms - p->queued_ms >= ad_proxying.queue_timeout_ms) {
            ad_proxy_refuse(p, &ad_refuse_waited);
        }
    } else if (p->state == AD_PROXY_CONNECT) {
        if (ad_hub.now_ms - p->heard_ms >= AD_CONNECT_MS) {
            ad_proxy_connect_late(p);
        }
    } else if (p->state == AD_PROXY_LIST) {
        ad_lists_housekeeping(p);
    } else if (p->state == AD_PROXY_TUNNEL) {
        ad_tunnel_housekeeping(p);
    } else if (p->state == AD_PROXY_RUN && ad_proxy_engine_silent(p)) {
        ad_proxy_give_up(p, p->answer.len > 0 ? &ad_refuse_stopped
                                              : &ad_refuse_silent);
    } else {
        ad_proxy_report_due(p);
    }
}

/* Once a second, for all requests. */
static void ad_queue_housekeeping(void)
{
    unsigned i;

    for (i = 0; i < ad_proxying.n_slots; i++) {
        if (ad_proxies[i].state != AD_PROXY_FREE) {
            ad_proxy_housekeeping(&ad_proxies[i]);
        }
    }
    ad_queue_press();
}

/* ---- commands ---- */

/* End a request by its number. False if there is none such. */
static bool ad_proxy_cancel(uint64_t id)
{
    unsigned i;

    for (i = 0; i < ad_proxying.n_slots; i++) {
        struct ad_proxy *p = &ad_proxies[i];

        if (p->state == AD_PROXY_FREE || p->state == AD_PROXY_ENDING ||
            p->id != id) {
            continue;
        }
        p->ended_by = AD_ENDED_BY_VIEWER;
        if (p->head_passed) {
            ad_proxy_end(p, "cut");
        } else {
            ad_proxy_refuse(p, &ad_refuse_cancelled);
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
