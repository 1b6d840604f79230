#ifndef AD_METER_QUEUE_C
#define AD_METER_QUEUE_C

#if AIDASH_METER

/* -- the line -- */

/* Does the request's body have to be read before it goes on? */
static bool ad_flow_wants_edit(const struct ad_flow *f)
{
    return f->work && f->body.state < AD_BODY_DONE &&
           (ad_hub.overrides || ad_set.n_upstreams > 1) &&
           (f->body.state != AD_BODY_LENGTH || f->body.left <= AD_EDIT_MAX);
}

static uint8_t ad_edit_free(void)
{
    uint8_t i = 0;

    while (i < AIDASH_EDITS && ad_edit_used[i]) {
        i++;
    }
    return i < AIDASH_EDITS ? i : AD_NO_EDIT;
}

static bool ad_flow_may_run(const struct ad_flow *f)
{
    return !f->work ||
           (!ad_hub.paused && ad_hub.n_running < ad_set.max_inflight &&
            (!ad_flow_wants_edit(f) || ad_edit_free() != AD_NO_EDIT));
}

/* The flow's turn has come. */
static void ad_flow_run(struct ad_flow *f)
{
    struct ad_cold_flow *cold = ad_flow_cold(f);
    uint8_t *headers = cold->to_up + AD_FLOW_FRONT;
    size_t front;

    ad_hub.n_running += f->work;
    f->to_up = cold->to_up;
    if (ad_flow_wants_edit(f)) {
        f->state = AD_FLOW_GATHER;
        f->edit = ad_edit_free();
        ad_edit_used[f->edit] = true;
        f->reads_down = true;
    } else {
        f->state = AD_FLOW_CONNECT;
    }
    if (f->work) {
        ad_flow_tell_start(f);
    }
    if (f->state == AD_FLOW_GATHER) {
        f->gathered = 0;
        if (f->expects) {
            static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";

            (void)!send(f->down, go, sizeof(go) - 1, MSG_NOSIGNAL);
        }
        ad_flow_gather(f, headers + f->head_len, f->rest_len);
        if (f->state == AD_FLOW_GATHER) {
            ad_flow_watch(f);
        }
        return;
    }
    if (ad_hub.overrides && f->work && f->body.state == AD_BODY_LENGTH) {
        ad_log(AIDASH_LOG_WARN, "request %llu: longer than 1 MiB, passed with "
                                "its own model",
               (unsigned long long)f->id);
    }
    /* The framing lines and the end of the head go between the two parts. */
    memmove(headers + f->head_len + f->framing_len, headers + f->head_len,
            f->rest_len);
    memcpy(headers + f->head_len, f->framing, f->framing_len);
    f->rest_len = ad_flow_follow(f, headers + f->head_len + f->framing_len,
                                 f->rest_len);
    if (f->body.state == AD_BODY_BAD) {
        ad_flow_malformed(f);
        return;
    }
    front = ad_flow_front(f, headers);
    f->to_up_at = (uint32_t)(AD_FLOW_FRONT - front);
    f->to_up_len = (uint32_t)front + f->head_len + f->framing_len + f->rest_len;
    ad_flow_connect(f);
}

/* Let those in line go on, first come first, while there is room. */
static void ad_line_run(void)
{
    while (ad_hub.n_queued > 0 && !ad_hub.paused) {
        struct ad_flow *first = NULL;
        unsigned i;

        for (i = 0; i < AIDASH_FLOWS; i++) {
            if (ad_flows[i].state == AD_FLOW_QUEUED &&
                (first == NULL || ad_flows[i].id < first->id)) {
                first = &ad_flows[i];
            }
        }
        if (first == NULL || !ad_flow_may_run(first)) {
            return;
        }
        ad_hub.n_queued--;
        ad_flow_run(first);
    }
}

#endif /* AIDASH_METER */

#endif
