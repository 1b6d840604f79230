#ifndef AD_METER_PROXY_C
#define AD_METER_PROXY_C

/* ==== 9 METER ============================================================ */

/* A reverse proxy in front of an engine, and the meter in it. A flow is one
 * request: the client's socket (down), the engine's (up), a fixed state. Bytes
 * are relayed as they come; the scanner of section 6 reads a copy. All on the
 * hub thread, none of the HTTP workers. */

#if AIDASH_METER

enum ad_flow_state {
    AD_FLOW_FREE,
    AD_FLOW_QUEUED,  /* in line: the client's bytes wait in the kernel */
    AD_FLOW_GATHER,  /* its body is read whole, to be edited */
    AD_FLOW_CONNECT, /* to the engine */
    AD_FLOW_RUN,     /* bytes pass */
    AD_FLOW_ENDING   /* the engine is closed; the client takes the rest */
};
enum { AD_NO_EDIT = 255 };

/* A proxied request. [h] */
struct ad_flow {
    uint8_t state; /* enum ad_flow_state */
    uint8_t down_events, up_events;
    uint8_t upstream, address; /* which engine, its next address to try */
    uint8_t edit;              /* its edit buffer, or AD_NO_EDIT */
    bool work;        /* it has a body: the line, the limit and pause are for it */
    bool head;        /* the method is HEAD */
    bool expects;     /* Expect: 100-continue */
    bool has_auth;    /* it brings its own Authorization */
    bool keeps;       /* the client's connection outlives this answer */
    bool reads_down;
    bool head_passed; /* the answer's head went to the client */
    int down, up;     /* sockets, -1: closed */
    uint64_t id;
    uint64_t start_ns, start_us; /* it came in */
    uint64_t sent_ns;            /* the engine had all of it; 0: not yet */
    uint64_t first_ns, last_ns;  /* reads that completed tokens */
    uint64_t start_seq;          /* event that told its start */
    uint64_t counted;            /* tokens in ticks */
    uint64_t progress;           /* of the prompt, as told to the viewers */
    uint32_t progress_ms;
    uint32_t heard_ms, moved_ms, ending_ms; /* engine, client, end */
    uint32_t head_len, framing_len, rest_len; /* of the request, see ad_proxy */
    uint32_t gathered;           /* bytes of a body or head held back */
    uint32_t interim_len;        /* bytes of interim heads that were passed */
    uint32_t to_up_at, to_up_len, to_down_at, to_down_len;
    uint8_t *to_up;
    struct ad_body body; /* framing of the request's body */
    char framing[64];
    char route[64], client[48];
    char model[AIDASH_MODEL_MAX + 1]; /* as asked for, "": not known */
    char name[AIDASH_MODEL_MAX + 1];  /* that its ticks count for */
    struct ad_scan scan;
    struct ad_gaps gaps;
};

struct ad_cold_flow {
    char method[32], target[AD_HEAD_MAX];
    uint8_t to_up[AD_FLOW_FRONT + AD_HEAD_MAX + 64 + 2 * AD_FLOW_UP_MAX];
    uint8_t to_down[AD_FLOW_HEAD_MAX + 64 + AD_SCRATCH];
};

/* The head's end touches the body's beginning: they are sent as one. */
struct ad_edit_buffer {
    uint8_t head[AD_FLOW_FRONT + AD_HEAD_MAX + 64];
    uint8_t body[AD_EDIT_MAX + AD_SCRATCH]; /* more than a longer name needs */
};

/* A question of our own to an engine. [h] */
struct ad_fetch {
    int fd; /* -1: none is under way */
    uint8_t what, events, upstream, address;
    bool sent;
    uint32_t since_ms;
    struct ad_head head;
    struct ad_js js;
    unsigned n_models;
    char models[AIDASH_MODELS][AIDASH_MODEL_MAX + 1];
    bool loaded[AIDASH_MODELS];
    double metric[AD_METRICS];
    bool has_metric[AD_METRICS];
    char metric_model[AIDASH_MODEL_MAX + 1];
    struct ad_lines lines;
    uint8_t line[AD_LINE_CAP];
};

/* How a request went, as its event told it. [h] */
struct ad_record {
    uint16_t len;
    char json[AD_RECORD_MAX];
};

static struct ad_record ad_records[AIDASH_RECORDS]; /* number n at n % count */
static struct ad_flow ad_flows[AIDASH_FLOWS];
static struct ad_cold_flow ad_cold_flows[AIDASH_FLOWS];
static struct ad_edit_buffer ad_edits[AIDASH_EDITS];
static bool ad_edit_used[AIDASH_EDITS];
static struct ad_fetch ad_fetch;

/* A request on its way from a worker to the hub. Its own header lines are in
 * `text`, without those that are about the connection alone (RFC 9110 7.6.1)
 * and without the body's framing, which `framing` has, with the empty line. */
struct ad_proxy {
    struct ad_call call;
    int fd;
    bool taken; /* out: the hub has it */
    bool work, head, expects, has_auth, keeps;
    struct ad_body body;
    struct ad_text text;
    const char *method, *target, *framing;
    const uint8_t *rest; /* of the body, as far as it came with the head */
    size_t rest_len;
    char route[64], client[48];
    char model[AIDASH_MODEL_MAX + 1];
};

static void ad_flow_left(struct ad_flow *f);

/* An engine came up or went down: everybody is told. */
static void ad_engine_state(unsigned upstream, bool up)
{
    struct ad_engine *e = &ad_hub.engines[upstream];

    if (!e->known || e->up != up) {
        e->known = true;
        e->up = up;
        ad_log(up ? AIDASH_LOG_INFO : AIDASH_LOG_WARN, "engine %s is %s",
               ad_set.upstreams[upstream].authority, up ? "up" : "down");
        ad_status_append();
    }
}

/* Without a viewer's choice, the model shown is the one that answered last. */
static void ad_meter_shows(const char *name)
{
    unsigned i = ad_model_find(name);

    if (!ad_hub.overrides && i < ad_hub.n_models && i != ad_hub.model) {
        ad_hub.model = i;
        ad_status_append();
    }
}

/* The engine that has a model: by its list, by its own name, else the first. */
static uint8_t ad_upstream_of(const char *model)
{
    unsigned i, k;

    for (i = 0; i < ad_set.n_upstreams && model[0] != '\0'; i++) {
        for (k = 0; k < ad_hub.engines[i].n_models; k++) {
            if (strcmp(ad_hub.engines[i].models[k], model) == 0) {
                return (uint8_t)i;
            }
        }
    }
    for (i = 0; i < ad_set.n_upstreams; i++) {
        if (strcmp(ad_set.upstreams[i].name, model) == 0) {
            return (uint8_t)i;
        }
    }
    return 0;
}

static struct ad_cold_flow *ad_flow_cold(const struct ad_flow *f)
{
    return &ad_cold_flows[f - ad_flows];
}

static bool ad_flow_ollama(const struct ad_flow *f)
{
    return strncmp(f->route, "/api/", 5) == 0;
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

/* -- what the viewers are told of a flow -- */

static void ad_put_field(struct ad_text *t, const char *name, double value)
{
    if (value >= 0) {
        ad_putf(t, ",\"%s\":", name);
        ad_put_fixed(t, value, 3);
    }
}

static double ad_ms(uint64_t from_ns, uint64_t to_ns)
{
    return from_ns == 0 || to_ns < from_ns
               ? -1
               : (double)(to_ns - from_ns) / (double)AD_NS_PER_MS;
}

static void ad_put_flow(struct ad_text *t, const struct ad_flow *f,
                        const char *event, uint64_t seq, const char *status)
{
    ad_putf(t, "{\"event\":\"%s\",\"seq\":%llu,\"id\":%llu,\"model\":", event,
            (unsigned long long)seq, (unsigned long long)f->id);
    ad_put_string(t, f->name[0] != '\0' ? f->name : f->model);
    ad_puts(t, ",\"route\":");
    ad_put_string(t, f->route);
    ad_puts(t, ",\"client\":");
    ad_put_string(t, f->client);
    ad_puts(t, ",\"status\":");
    ad_put_string(t, status);
}

/* When it came in, which ends each event about it. */
static void ad_put_flow_time(struct ad_text *t, const struct ad_flow *f)
{
    ad_puts(t, ",\"timestamp\":");
    ad_put_decimal(t, f->start_us, 6);
    ad_puts(t, "}");
}

static void ad_flow_tell_start(struct ad_flow *f)
{
    char json[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    f->start_seq = ad_feed.next;
    ad_put_flow(&t, f, "request_start", f->start_seq,
                f->state == AD_FLOW_QUEUED ? "queued" : "running");
    if (f->state == AD_FLOW_QUEUED) {
        ad_putf(&t, ",\"place\":%u", ad_hub.n_queued);
    }
    ad_put_flow_time(&t, f);
    ad_event_append(AD_EV_REQUEST_START, &t);
}

/* The record of a flow at its end. Rates and times come from the engine where
 * it tells them, else from our own clock (WIRE: n tokens, n - 1 gaps). */
static void ad_flow_tell_end(const struct ad_flow *f, const char *status)
{
    const struct ad_scan *s = &f->scan;
    char json[AD_RECORD_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));
    struct ad_record *record;
    bool estimated;
    uint64_t tokens = ad_scan_tokens(s, &estimated);
    uint64_t fresh = s->prompt_tokens - s->cached_tokens;
    double ttft_ms = ad_ms(f->sent_ns, f->first_ns);
    double decode_ms = ad_ms(f->first_ns, f->last_ns);
    double prefill = s->prompt_ms > 0 ? (double)fresh * 1000 / s->prompt_ms : -1;
    double decode = s->predicted_per_s > 0     ? s->predicted_per_s
                    : tokens > 1 && decode_ms > 0
                        ? (double)(tokens - 1) * 1000 / decode_ms
                        : -1;

    ad_put_flow(&t, f, "request", ad_feed.next, status);
    if (s->has_prompt) {
        ad_putf(&t, ",\"prompt_tokens\":%llu",
                (unsigned long long)s->prompt_tokens);
    }
    if (tokens > 0 || s->ended) {
        ad_putf(&t, ",\"completion_tokens\":%llu", (unsigned long long)tokens);
    }
    if (s->has_cached) {
        ad_putf(&t, ",\"cached_tokens\":%llu",
                (unsigned long long)s->cached_tokens);
    }
    if (s->head.form != AD_FORM_JSON) {
        ad_put_field(&t, "ttft_ms", ttft_ms);
        if (s->has_timings && ttft_ms >= 0) {
            double wait = ttft_ms - s->load_ms - s->prompt_ms;

            ad_put_field(&t, "queue_ms", wait > 0 ? wait : 0);
        }
    }
    ad_put_field(&t, "prefill_tokens_per_second", prefill);
    ad_put_field(&t, "decode_tokens_per_second", decode);
    if (f->gaps.n > 0) {
        ad_put_field(&t, "itl_p50_ms", (double)ad_gaps_at(&f->gaps, 50) / 1000);
        ad_put_field(&t, "itl_p95_ms", (double)ad_gaps_at(&f->gaps, 95) / 1000);
        ad_put_field(&t, "itl_max_ms", (double)f->gaps.max_us / 1000);
    }
    ad_put_field(&t, "duration_ms",
                 ad_ms(f->start_ns, ad_clock_ns(CLOCK_MONOTONIC)));
    if (s->finish[0] != '\0' &&
        ad_utf8_ok((const uint8_t *)s->finish, strlen(s->finish))) {
        ad_puts(&t, ",\"finish_reason\":");
        ad_put_string(&t, s->finish);
    }
    if (estimated || s->trouble != 0) {
        ad_puts(&t, ",\"estimated\":true");
    }
    ad_put_flow_time(&t, f);
    ad_event_append(AD_EV_REQUEST, &t);
    record = &ad_records[ad_hub.count.requests++ % AIDASH_RECORDS];
    record->len = (uint16_t)t.len;
    memcpy(record->json, t.at, t.len);
}

/* How a request is doing that is not over yet. */
static void ad_put_running(struct ad_text *t, const struct ad_flow *f)
{
    bool queued = f->state == AD_FLOW_QUEUED;

    ad_put_flow(t, f, "request", f->start_seq, queued ? "queued" : "running");
    if (f->counted > 0) {
        ad_putf(t, ",\"completion_tokens\":%llu,\"estimated\":true",
                (unsigned long long)f->counted);
    }
    ad_put_field(t, "ttft_ms", ad_ms(f->sent_ns, f->first_ns));
    ad_put_flow_time(t, f);
}

/* How far the prompt is read, where the engine streams that: at most ten times
 * a second. */
static void ad_flow_tell_progress(struct ad_flow *f)
{
    char json[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    if (f->scan.progress_done == f->progress ||
        ad_hub.now_ms - f->progress_ms < AD_PROGRESS_MS) {
        return;
    }
    f->progress = f->scan.progress_done;
    f->progress_ms = ad_hub.now_ms;
    ad_put_flow(&t, f, "request", ad_feed.next, "running");
    ad_putf(&t, ",\"prompt_tokens\":%llu,\"prompt_processed\":%llu",
            (unsigned long long)f->scan.progress_total,
            (unsigned long long)f->scan.progress_done);
    ad_put_flow_time(&t, f);
    ad_event_append(AD_EV_REQUEST, &t);
}

/* -- ticks of a flow -- */

/* The model that the ticks of a flow count for: as the first answer names it,
 * and the same to the end. */
static void ad_flow_name(struct ad_flow *f, char out[AIDASH_MODEL_MAX + 1])
{
    const char *name = f->scan.model;

    if (f->name[0] == '\0') {
        if (!ad_name_ok(name, strlen(name), AIDASH_MODEL_MAX)) {
            name = f->model;
        }
        (void)snprintf(f->name, sizeof(f->name), "%s", name);
        ad_meter_shows(f->name);
    }
    memcpy(out, f->name, sizeof(f->name));
}

/* Ticks for the token events that one read completed. */
static void ad_flow_ticks(struct ad_flow *f, uint32_t events, uint64_t now_ns)
{
    struct ad_sample sample;
    uint64_t before_ns = f->first_ns == 0 ? f->sent_ns : f->last_ns;
    uint64_t gap_ns = now_ns - before_ns;
    uint32_t i;

    if (f->first_ns == 0) {
        f->first_ns = now_ns;
    } else {
        ad_gaps_add(&f->gaps, gap_ns / 1000, events);
    }
    f->last_ns = now_ns;
    memset(&sample, 0, sizeof(sample));
    ad_flow_name(f, sample.model);
    sample.tokens = 1;
    sample.latency_ms = (double)gap_ns / (double)AD_NS_PER_MS / events;
    sample.has = AD_HAS_TOKENS | AD_HAS_LATENCY | AD_IS_METERED;
    for (i = 0; i < events; i++) {
        if (f->counted++ == 0) {
            sample.has |= AD_IS_FIRST;
        }
        ad_tick_apply(&sample, now_ns);
        sample.has &= ~(unsigned)AD_IS_FIRST;
    }
}

/* The engine's own count takes the place of the estimate. */
static void ad_flow_settle(struct ad_flow *f)
{
    struct ad_sample sample;
    bool estimated;
    uint64_t now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    uint64_t tokens = ad_scan_tokens(&f->scan, &estimated);
    double span_ms = f->scan.predicted_ms > 0 ? f->scan.predicted_ms
                                              : ad_ms(f->first_ns, f->last_ns);

    if (tokens == 0 && f->counted == 0) {
        return;
    }
    memset(&sample, 0, sizeof(sample));
    ad_flow_name(f, sample.model);
    sample.tokens = tokens > f->counted ? tokens - f->counted : 0;
    sample.surplus = tokens < f->counted ? f->counted - tokens : 0;
    if (f->counted == 0) { /* an answer that came whole: all of it is one step */
        sample.latency_ms = ad_ms(f->sent_ns, now_ns);
    } else if (tokens > 1 && span_ms > 0) {
        sample.latency_ms = span_ms / (double)(tokens - 1);
    }
    sample.has = AD_HAS_TOKENS | AD_HAS_LATENCY | AD_IS_METERED |
                 (f->counted > 0 ? AD_IS_LAST : 0u);
    ad_tick_apply(&sample, now_ns);
}

/* How a request ended whose answer came whole. */
static const char *ad_flow_outcome(const struct ad_flow *f)
{
    unsigned status = f->scan.head.status;

    if (status >= 400 && status < 500) {
        return "refused";
    }
    return status >= 500 || f->scan.failed ? "failed" : "finished";
}

/* -- a flow's sockets and its end -- */

static void ad_flow_watch(struct ad_flow *f)
{
    unsigned down = (f->reads_down ? AD_IN : 0u) |
                    (f->to_down_len > 0 ? AD_OUT : 0u) | AD_HUP;
    unsigned up = f->state == AD_FLOW_CONNECT
                      ? AD_OUT
                      : (f->to_down_len == 0 ? AD_IN : 0u) |
                            (f->to_up_len > 0 ? AD_OUT : 0u);
    unsigned index = (unsigned)(f - ad_flows);

    if (f->down >= 0 && down != f->down_events) {
        (void)ad_poll_set(f->down, f->down_events, down, AD_TAG_DOWN, index);
        f->down_events = (uint8_t)down;
    }
    if (f->up >= 0 && up != f->up_events) {
        (void)ad_poll_set(f->up, f->up_events, up, AD_TAG_UP, index);
        f->up_events = (uint8_t)up;
    }
}

static void ad_flow_close_up(struct ad_flow *f)
{
    if (f->up >= 0) {
        if (f->up_events != 0) {
            (void)ad_poll_set(f->up, f->up_events, 0, AD_TAG_UP, 0);
        }
        (void)close(f->up);
        f->up = -1;
        f->up_events = 0;
    }
}

static void ad_flow_free(struct ad_flow *f)
{
    ad_flow_close_up(f);
    if (f->down >= 0) {
        if (f->down_events != 0) {
            (void)ad_poll_set(f->down, f->down_events, 0, AD_TAG_DOWN, 0);
        }
        (void)close(f->down);
        f->down = -1;
    }
    if (f->edit != AD_NO_EDIT) {
        ad_edit_used[f->edit] = false;
        f->edit = AD_NO_EDIT;
    }
    f->state = AD_FLOW_FREE;
    ad_hub.n_flows--;
}

static void ad_flow_uncount(struct ad_flow *f)
{
    if (f->state == AD_FLOW_QUEUED) {
        ad_hub.n_queued--;
    } else if (f->state != AD_FLOW_ENDING && f->work) {
        ad_hub.n_running--;
    }
    if (ad_hub.drains && ad_hub.n_running == 0) {
        ad_hub.drains = false;
        ad_status_append();
    }
}

/* Section 10: let a connection wait at the door for its next request. */
static bool ad_door_keep(int fd);

/* The client has been sent all: its connection is free for another request, or
 * ends. */
static void ad_flow_sent(struct ad_flow *f)
{
    if (!f->keeps) {
        (void)shutdown(f->down, SHUT_WR);
        return;
    }
    (void)ad_poll_set(f->down, f->down_events, 0, AD_TAG_DOWN, 0);
    f->down_events = 0;
    if (ad_door_keep(f->down)) {
        f->down = -1;
    }
    ad_flow_free(f);
}

/* The flow is over, but for what the client still has to take. A cut answer
 * ends without the last chunk, as the engine's own would. */
static void ad_flow_end(struct ad_flow *f, const char *status)
{
    f->keeps = f->keeps && ad_scan_complete(&f->scan) &&
               (f->scan.trouble & AD_TROUBLE_FRAMING) == 0;
    ad_flow_close_up(f);
    if (f->work) {
        char name[AIDASH_MODEL_MAX + 1];

        ad_flow_name(f, name);
        ad_flow_settle(f);
        ad_flow_tell_end(f, status);
    }
    ad_flow_uncount(f);
    f->state = AD_FLOW_ENDING;
    f->reads_down = true; /* until its FIN */
    f->ending_ms = ad_hub.now_ms;
    if (f->down < 0) {
        ad_flow_free(f);
        return;
    }
    ad_flow_watch(f);
    if (f->to_down_len == 0) {
        ad_flow_sent(f);
    }
}

/* The client is gone: the engine must stop at once. */
static void ad_flow_left(struct ad_flow *f)
{
    if (f->state != AD_FLOW_ENDING) {
        ad_flow_end(f, "left");
    }
    if (f->state != AD_FLOW_FREE) {
        ad_flow_free(f);
    }
}

/* Send the client what waits for it. */
static void ad_flow_send_down(struct ad_flow *f)
{
    struct ad_cold_flow *cold = ad_flow_cold(f);
    ssize_t n;

    if (f->to_down_len == 0) {
        return;
    }
    n = send(f->down, cold->to_down + f->to_down_at, f->to_down_len,
             MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        ad_flow_left(f);
        return;
    }
    if (n > 0) {
        f->to_down_at += (uint32_t)n;
        f->to_down_len -= (uint32_t)n;
        ad_hub.count.bytes_sent += (uint64_t)n;
        f->moved_ms = ad_hub.now_ms;
    }
    ad_flow_watch(f);
    if (f->to_down_len == 0) {
        f->to_down_at = 0;
        if (f->state == AD_FLOW_ENDING) {
            ad_flow_sent(f);
        }
    }
}

/* Bytes for the client: straight to its socket, the rest into the buffer. */
static void ad_flow_pass_down(struct ad_flow *f, const uint8_t *bytes,
                              size_t len)
{
    struct ad_cold_flow *cold = ad_flow_cold(f);
    ssize_t n = 0;

    if (f->to_down_len == 0) {
        n = send(f->down, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            ad_flow_left(f);
            return;
        }
        n = n > 0 ? n : 0;
        ad_hub.count.bytes_sent += (uint64_t)n;
        f->moved_ms = ad_hub.now_ms;
    }
    if ((size_t)n < len) {
        memcpy(cold->to_down + f->to_down_at + f->to_down_len, bytes + n,
               len - (size_t)n);
        f->to_down_len += (uint32_t)(len - (size_t)n);
    }
}

/* Answer in the engine's place, and end. */
static void ad_flow_refuse(struct ad_flow *f, int status, const char *type,
                           const char *record, const char *why)
{
    char json[AD_REPLY_MAX];
    struct ad_text j = ad_text_in(json, sizeof(json));
    struct ad_cold_flow *cold = ad_flow_cold(f);
    struct ad_text t = ad_text_in(cold->to_down, sizeof(cold->to_down));

    ad_put_api_error(&j, ad_flow_ollama(f), status, type, why);
    ad_put_head(&t, status, "application/json", j.len,
                status == 503 ? "Retry-After: 5\r\n" : "");
    if (!f->head) {
        ad_put(&t, j.at, j.len);
    }
    f->to_down_at = 0;
    f->to_down_len = (uint32_t)t.len;
    f->scan.failed = true;
    f->keeps = false; /* as this head says */
    ad_flow_send_down(f);
    if (f->state != AD_FLOW_FREE && f->state != AD_FLOW_ENDING) {
        ad_flow_end(f, record);
    }
}

/* -- the answer -- */

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

/* Pass the answer's heads on, gathered whole in the buffer for the client: the
 * last of them says how this connection goes on. `more` is what came behind. */
static void ad_flow_pass_head(struct ad_flow *f, size_t head_len,
                              const uint8_t *more, size_t more_len)
{
    static char out[AD_FLOW_HEAD_MAX + 64];
    struct ad_text t = ad_text_in(out, sizeof(out));
    const char *at = (const char *)ad_flow_cold(f)->to_down;
    const char *end = at + head_len, *last = at, *next;

    /* The last head begins behind the last empty line but one. */
    for (next = at; (next = memmem(next, (size_t)(end - next), "\n\r\n", 3)) !=
                    NULL && next + 3 < end;) {
        next += 3;
        last = next;
    }
    ad_put(&t, at, (size_t)(last - at));
    f->keeps = f->keeps && strncmp(last, "HTTP/1.1 ", 9) == 0 &&
               !f->scan.head.until_close && f->body.state == AD_BODY_DONE &&
               f->to_up_len == 0;
    for (at = last; at < end; at = next) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));

        next = newline != NULL ? newline + 1 : end;
        if (next == end && !f->keeps) { /* before the empty line */
            ad_puts(&t, "Connection: close\r\n");
        }
        if (!ad_head_line_hop(at, (size_t)(next - at))) {
            ad_put(&t, at, (size_t)(next - at));
        }
    }
    f->to_down_len = 0;
    ad_flow_pass_down(f, (const uint8_t *)t.at, t.len);
    if (f->state == AD_FLOW_RUN && more_len > 0) {
        ad_flow_pass_down(f, more, more_len);
    }
}

/* Bytes of the answer. While its head is incomplete they gather in to_down. */
static void ad_flow_relay(struct ad_flow *f, const uint8_t *bytes, size_t len)
{
    struct ad_cold_flow *cold = ad_flow_cold(f);
    size_t head_len, before = f->gathered;

    if (f->head_passed) {
        ad_flow_pass_down(f, bytes, len);
        return;
    }
    if (f->scan.head.state == AD_HEAD_LINES &&
        before + len <= AD_FLOW_HEAD_MAX) {
        memcpy(cold->to_down + before, bytes, len);
        f->gathered += (uint32_t)len;
        if (ad_head_between(&f->scan.head)) { /* 100 Continue goes on at once */
            f->to_down_len = f->gathered;
            f->interim_len = f->scan.head.len;
            f->gathered = 0;
            ad_flow_send_down(f);
        }
        return;
    }
    f->head_passed = true;
    head_len = f->scan.head.len - f->interim_len;
    if (f->scan.head.state == AD_HEAD_DONE && f->scan.head.status != 101 &&
        head_len >= before && head_len <= AD_FLOW_HEAD_MAX) {
        memcpy(cold->to_down + before, bytes, head_len - before);
        ad_flow_pass_head(f, head_len, bytes + (head_len - before),
                          len - (head_len - before));
    } else { /* not HTTP as we know it: as it is */
        f->keeps = false;
        f->to_down_len = f->gathered;
        ad_flow_pass_down(f, bytes, len);
    }
}

/* Read from the engine, stamp, scan, pass on. */
static void ad_flow_read_up(struct ad_flow *f)
{
    ssize_t got = recv(f->up, ad_scratch, sizeof(ad_scratch), 0);
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
            ad_flow_refuse(f, 502, "upstream_error", "failed",
                           "the engine closed the connection without an "
                           "answer");
        } else if (!f->head_passed) {
            f->to_down_len = f->gathered; /* half a head, as it came */
            ad_flow_send_down(f);
            if (f->state == AD_FLOW_RUN) {
                ad_flow_end(f, "cut");
            }
        } else {
            ad_flow_end(f, ad_scan_complete(&f->scan) ? ad_flow_outcome(f)
                                                      : "cut");
        }
        return;
    }
    f->heard_ms = ad_hub.now_ms;
    if (f->sent_ns == 0) { /* it answers before it has read all */
        f->sent_ns = now_ns;
    }
    events = ad_scan_feed(&f->scan, ad_scratch, (size_t)got);
    ad_flow_relay(f, ad_scratch, (size_t)got);
    if (f->state != AD_FLOW_RUN) {
        return; /* the client left meanwhile, and the counts are told */
    }
    if (events > 0 && f->scan.head.form != AD_FORM_JSON && f->work) {
        ad_flow_ticks(f, events, now_ns);
    } else if (f->scan.has_progress && f->first_ns == 0) {
        ad_flow_tell_progress(f);
    }
    if (ad_scan_complete(&f->scan)) {
        ad_flow_end(f, ad_flow_outcome(f));
        return;
    }
    ad_flow_watch(f);
}

/* -- the request -- */

/* Send the engine what waits for it; then note when the request was whole. */
static void ad_flow_send_up(struct ad_flow *f)
{
    ssize_t n;

    if (f->to_up_len > 0) {
        n = send(f->up, f->to_up + f->to_up_at, f->to_up_len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            f->to_up_len = 0; /* its answer, if any, can still be read */
            f->body.state = AD_BODY_DONE;
        }
        if (n > 0) {
            f->to_up_at += (uint32_t)n;
            f->to_up_len -= (uint32_t)n;
        }
    }
    if (f->to_up_len == 0) {
        f->to_up_at = 0;
        if (f->edit != AD_NO_EDIT) { /* the buffer's work is done */
            ad_edit_used[f->edit] = false;
            f->edit = AD_NO_EDIT;
            f->to_up = ad_flow_cold(f)->to_up;
        }
        if (f->sent_ns == 0 && f->body.state >= AD_BODY_DONE) {
            f->sent_ns = ad_clock_ns(CLOCK_MONOTONIC);
        }
    }
    f->reads_down = f->to_up_len == 0;
}

/* Follow the framing of the request's body. Returns how many of the bytes
 * belong to it: what comes behind its end is not the engine's. */
static uint32_t ad_flow_follow(struct ad_flow *f, const uint8_t *bytes,
                               size_t len)
{
    const uint8_t *data;
    size_t n, used = 0;

    while (used < len && f->body.state < AD_BODY_DONE) {
        used += ad_body_next(&f->body, bytes + used, len - used, &data, &n);
    }
    f->keeps = f->keeps && used == len;
    return (uint32_t)used;
}

static void ad_flow_connect(struct ad_flow *f);

/* What stands in front of the client's own header lines: the request line with
 * the engine's prefix, its Host (RFC 9112 3.2), our key if the client has none.
 * It is put so that it ends at `end`; returns its length. */
static size_t ad_flow_front(const struct ad_flow *f, uint8_t *end)
{
    static char front[AD_FLOW_FRONT];
    const struct ad_upstream *u = &ad_set.upstreams[f->upstream];
    const struct ad_cold_flow *cold = ad_flow_cold(f);
    struct ad_text t = ad_text_in(front, sizeof(front));

    ad_putf(&t, "%s %s%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n",
            cold->method, u->prefix, cold->target, u->authority);
    if (ad_set.upstream_key[0] != '\0' && !f->has_auth) {
        ad_putf(&t, "Authorization: Bearer %s\r\n", ad_set.upstream_key);
    }
    memcpy(end - t.len, t.at, t.len);
    return t.len;
}

/* The body is gathered whole in the edit buffer: put the head in front, with
 * the model that a viewer chose, and go. RFC 9112: a length, no chunks. */
static void ad_flow_edited(struct ad_flow *f)
{
    struct ad_edit_buffer *e = &ad_edits[f->edit];
    struct ad_cold_flow *cold = ad_flow_cold(f);
    char model[AD_MODEL_JSON_MAX + 2], length[48];
    struct ad_text m = ad_text_in(model, sizeof(model));
    struct ad_edit found;
    size_t body_len = f->gathered, head_len = f->head_len;
    uint8_t *at;
    int n;

    f->gathered = 0;
    ad_model_edit(&found, e->body, body_len);
    if (found.name[0] != '\0') {
        memcpy(f->model, found.name, sizeof(f->model));
    }
    if (found.found && ad_hub.overrides) {
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
    memcpy(at, cold->to_up + AD_FLOW_FRONT, head_len);
    at -= ad_flow_front(f, at);
    f->to_up = at;
    f->to_up_at = 0;
    f->to_up_len = (uint32_t)((size_t)(e->body - at) + body_len);
    ad_flow_connect(f);
}

/* The request's chunks make no sense (RFC 9112 7.1). */
static void ad_flow_malformed(struct ad_flow *f)
{
    if (f->head_passed || f->gathered > 0) {
        ad_flow_end(f, "cut");
    } else {
        ad_flow_refuse(f, 400, "invalid_request_error", "refused",
                       "the request's chunks are malformed");
    }
}

/* A chunked body turned out too long to be edited: it goes on with its own
 * model. What was gathered becomes one chunk together with what is still to
 * come of the chunk at hand (`n` bytes of it are the first of `more`). */
static void ad_flow_ungather(struct ad_flow *f, const uint8_t *more,
                             size_t more_len, size_t n)
{
    struct ad_edit_buffer *e = &ad_edits[f->edit];
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
    memcpy(at, ad_flow_cold(f)->to_up + AD_FLOW_FRONT, f->head_len);
    at -= ad_flow_front(f, at);
    more_len = n + ad_flow_follow(f, more + n, more_len - n);
    memcpy(e->body + f->gathered, more, more_len);
    f->to_up = at;
    f->to_up_at = 0;
    f->to_up_len = (uint32_t)((size_t)(e->body - at) + f->gathered + more_len);
    f->gathered = 0;
    f->reads_down = false; /* the rest waits until this is sent */
    ad_flow_connect(f);
}

/* Gather body bytes for an edit. */
static void ad_flow_gather(struct ad_flow *f, const uint8_t *bytes, size_t len)
{
    struct ad_edit_buffer *e = &ad_edits[f->edit];
    size_t used = 0;

    while (used < len && f->body.state < AD_BODY_DONE) {
        const uint8_t *data = NULL;
        size_t n;

        used += ad_body_next(&f->body, bytes + used, len - used, &data, &n);
        if (n > AD_EDIT_MAX - f->gathered) {
            ad_flow_ungather(f, data, (size_t)(bytes + len - data), n);
            return;
        }
        if (n > 0) {
            memcpy(e->body + f->gathered, data, n);
            f->gathered += (uint32_t)n;
        }
    }
    f->keeps = f->keeps && used == len;
    if (f->body.state == AD_BODY_BAD) {
        f->gathered = 0;
        ad_flow_malformed(f);
    } else if (f->body.state == AD_BODY_DONE) {
        ad_flow_edited(f);
    }
}

/* Read from the client: its body, and afterwards only whether it is there. */
static void ad_flow_read_down(struct ad_flow *f)
{
    bool body = f->body.state < AD_BODY_DONE &&
                (f->state == AD_FLOW_RUN || f->state == AD_FLOW_GATHER);
    size_t cap = f->state == AD_FLOW_RUN ? AD_FLOW_UP_MAX : AD_SCRATCH;
    ssize_t got = recv(f->down, ad_scratch, cap, 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        ad_flow_left(f);
        return;
    }
    ad_hub.count.bytes_received += (uint64_t)got;
    f->moved_ms = ad_hub.now_ms;
    if (!body) { /* another request before the answer: not so */
        f->keeps = false;
        return;
    }
    if (f->state == AD_FLOW_GATHER) {
        ad_flow_gather(f, ad_scratch, (size_t)got);
    } else {
        f->to_up_len = ad_flow_follow(f, ad_scratch, (size_t)got);
        memcpy(f->to_up, ad_scratch, f->to_up_len);
        if (f->body.state == AD_BODY_BAD) {
            ad_flow_malformed(f);
            return;
        }
        ad_flow_send_up(f);
        ad_flow_watch(f);
    }
}

/* Try the engine's addresses in turn. */
static void ad_flow_connect(struct ad_flow *f)
{
    const struct ad_upstream *u = &ad_set.upstreams[f->upstream];
    int on = 1;

    ad_flow_close_up(f);
    f->state = AD_FLOW_CONNECT;
    while (f->address < u->n_addresses) {
        const struct ad_address *a = &u->addresses[f->address++];

        f->up = socket(a->storage.ss_family,
                       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (f->up >= 0 &&
            (connect(f->up, (const struct sockaddr *)&a->storage, a->len) ==
                 0 ||
             errno == EINPROGRESS)) {
            (void)setsockopt(f->up, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            f->heard_ms = ad_hub.now_ms;
            ad_flow_watch(f);
            return;
        }
        ad_flow_close_up(f);
    }
    ad_engine_state(f->upstream, false);
    ad_flow_refuse(f, 502, "upstream_error", "failed",
                   "the engine can't be reached");
}

static void ad_flow_connected(struct ad_flow *f)
{
    int error = 0;
    socklen_t len = sizeof(error);

    (void)getsockopt(f->up, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) {
        ad_flow_connect(f);
        return;
    }
    ad_engine_state(f->upstream, true);
    f->state = AD_FLOW_RUN;
    ad_flow_send_up(f);
    ad_flow_watch(f);
}

#endif /* AIDASH_METER */

#endif
