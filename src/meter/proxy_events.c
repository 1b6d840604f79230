#ifndef AD_METER_PROXY_EVENTS_C
#define AD_METER_PROXY_EVENTS_C

#if AIDASH_METER

/* -- handover -- */

static void ad_proxy_run(struct ad_call *call)
{
    struct ad_proxy *p = (struct ad_proxy *)(void *)call;
    struct ad_flow *f = ad_flows;
    struct ad_cold_flow *cold;
    unsigned i = 0;

    while (i < AIDASH_FLOWS && ad_flows[i].state != AD_FLOW_FREE) {
        i++;
    }
    if (i == AIDASH_FLOWS || ad_hub.draining) {
        p->taken = false;
        ad_hub.requests_refused++;
        return;
    }
    p->taken = true;
    f += i;
    cold = ad_flow_cold(f);
    memset(f, 0, sizeof(*f));
    f->down = p->fd;
    f->up = -1;
    f->edit = AD_NO_EDIT;
    f->id = ++ad_hub.request_id;
    f->start_ns = ad_hub.now_ns;
    f->start_us = ad_hub.now_us;
    f->moved_ms = f->heard_ms = ad_hub.now_ms;
    f->work = p->work;
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
    f->keeps = p->keeps;
    memcpy(f->model, p->model, sizeof(f->model));
    if (f->model[0] == '\0' && ad_set.n_upstreams == 1 &&
        ad_hub.engines[0].n_models == 1) { /* what else could it be */
        memcpy(f->model, ad_hub.engines[0].models[0], sizeof(f->model));
    }
    memcpy(cold->method, p->method, strlen(p->method) + 1);
    memcpy(cold->target, p->target, strlen(p->target) + 1);
    memcpy(cold->to_up + AD_FLOW_FRONT, p->text.at, p->text.len);
    memcpy(cold->to_up + AD_FLOW_FRONT + p->text.len, p->rest, p->rest_len);
    ad_scan_begin(&f->scan, p->head);
    ad_hub.n_flows++;
    if (ad_flow_may_run(f) && (!f->work || ad_hub.n_queued == 0)) {
        ad_flow_run(f);
    } else if (ad_hub.n_queued < ad_set.queue) {
        f->state = AD_FLOW_QUEUED;
        ad_hub.n_queued++;
        ad_flow_tell_start(f);
        ad_flow_watch(f);
    } else {
        ad_hub.requests_refused++;
        f->state = AD_FLOW_RUN;
        ad_hub.n_running++;
        ad_flow_refuse(f, 503, "overloaded_error", "refused",
                       ad_hub.paused ? "paused, and the line is full"
                                     : "the line is full");
    }
}

/* -- what the poller and the clock tell -- */

static void ad_flow_event(unsigned index, enum ad_tag tag, bool hangup)
{
    struct ad_flow *f = &ad_flows[index];

    if (f->state == AD_FLOW_FREE) {
        return;
    }
    if (tag == AD_TAG_DOWN) {
        if (hangup && f->state != AD_FLOW_ENDING) {
            ad_flow_left(f);
            return;
        }
        if (f->to_down_len > 0 && f->head_passed) {
            ad_flow_send_down(f);
        } else if (f->to_down_len > 0 && f->state == AD_FLOW_ENDING) {
            ad_flow_send_down(f);
        }
        if (f->state != AD_FLOW_FREE && f->reads_down) {
            ad_flow_read_down(f);
        }
        return;
    }
    if (f->up < 0) {
        return;
    }
    if (f->state == AD_FLOW_CONNECT) {
        ad_flow_connected(f);
        return;
    }
    if (f->to_up_len > 0) {
        ad_flow_send_up(f);
        ad_flow_watch(f);
    }
    if (f->state == AD_FLOW_RUN && f->to_down_len == 0) {
        ad_flow_read_up(f);
    }
}

static void ad_flow_tidy(struct ad_flow *f)
{
    uint32_t heard_ms = ad_hub.now_ms - f->heard_ms;
    uint32_t moved_ms = ad_hub.now_ms - f->moved_ms;

    switch (f->state) {
    case AD_FLOW_ENDING:
        if (ad_hub.now_ms - f->ending_ms >=
            (f->to_down_len > 0 ? (uint32_t)AD_STALL_MS
                                : (uint32_t)AD_LINGER_MS)) {
            ad_flow_free(f);
        }
        break;
    case AD_FLOW_QUEUED:
        if (ad_set.queue_timeout_ms > 0 &&
            ad_ms(f->start_ns, ad_hub.now_ns) >= ad_set.queue_timeout_ms) {
            ad_flow_refuse(f, 503, "overloaded_error", "refused",
                           "waited in line for too long");
        }
        break;
    case AD_FLOW_CONNECT:
        if (heard_ms >= AD_CONNECT_MS) {
            ad_flow_connect(f);
        }
        break;
    case AD_FLOW_GATHER:
        if (moved_ms >= AD_SILENCE_MS) {
            ad_flow_refuse(f, 408, "invalid_request_error", "refused",
                           "the body did not arrive");
        }
        break;
    case AD_FLOW_RUN:
        if (f->to_down_len > 0 && moved_ms >= AD_STALL_MS) {
            ad_flow_left(f); /* it does not read */
        } else if (f->head_passed && f->to_down_len == 0 &&
                   ad_set.upstream_timeout_ms > 0 &&
                   heard_ms >= ad_set.upstream_timeout_ms) {
            ad_flow_end(f, "cut");
        }
        break;
    default:
        break;
    }
}

/* End a request by its number. False if there is none such. */
static bool ad_flow_cancel(uint64_t id)
{
    unsigned i;

    for (i = 0; i < AIDASH_FLOWS; i++) {
        struct ad_flow *f = &ad_flows[i];

        if (f->state == AD_FLOW_FREE || f->state == AD_FLOW_ENDING ||
            f->id != id) {
            continue;
        }
        if (f->head_passed || f->gathered > 0) {
            ad_flow_end(f, "cut");
        } else {
            ad_flow_refuse(f, 503, "cancelled", "cut",
                           "cancelled at the dashboard");
        }
        return true;
    }
    return false;
}

#endif /* AIDASH_METER */

#endif
