/* discovery.c - what aidash itself asks the engines: their models, their metrics.
 * Owns ad_discovery and ad_scrape. Hub thread only.
 */
#ifndef AD_METER_DISCOVERY_C
#define AD_METER_DISCOVERY_C

#include "queue.c"

#if AIDASH_METER

enum { AD_DISCOVERY_EVERY = 10 }; /* seconds between looks at the lists */

enum { AD_METRIC_TOKENS, AD_METRIC_TIME, AD_METRIC_STEPS, AD_METRICS };

/* A question of our own to an engine. [h] */
struct ad_discovery {
    int fd; /* -1: none is under way */
    uint8_t what, events, upstream, address;
    bool sent;
    uint32_t since_ms;
    struct ad_head head;
    struct ad_json_stream js;
    unsigned n_models;
    char models[AIDASH_MODELS][AIDASH_MODEL_MAX + 1];
    bool loaded[AIDASH_MODELS];
    double metric[AD_METRICS];
    bool has_metric[AD_METRICS];
    char metric_model[AIDASH_MODEL_MAX + 1];
    struct ad_lines lines;
    uint8_t line[AD_LINE_CAP];
};

static struct ad_discovery ad_discovery;
static unsigned ad_discovery_turn; /* seconds since the start */

static struct {
    bool on; /* [I] */
    struct ad_upstream upstream; /* [I] */
    bool has_last, warned;
    double last[AD_METRICS]; /* the counters of the page before */
} ad_scrape;

/* One question at a time, on the hub's sockets: GET, Connection: close. Nothing
 * here loads a model or wakes a sleeping engine: lists are read, no more. */

enum ad_discovery_what { AD_DISCOVERY_OPENAI, AD_DISCOVERY_OLLAMA, AD_DISCOVERY_LOADED,
                     AD_DISCOVERY_METRICS };

static const char *const ad_discovery_paths[] = {"/v1/models", "/api/tags",
                                             "/api/ps", ""};

static void ad_discovery_watch(unsigned want)
{
    struct ad_discovery *q = &ad_discovery;

    if (q->events != want) {
        (void)ad_poll_set(q->fd, q->events, want, AD_TAG_DISCOVERY, 0);
        q->events = (uint8_t)want;
    }
}

static void ad_discovery_end(void)
{
    ad_discovery_watch(0);
    (void)close(ad_discovery.fd);
    ad_discovery.fd = -1;
}

static const struct ad_upstream *ad_discovery_upstream(void)
{
    return ad_discovery.what == AD_DISCOVERY_METRICS
               ? &ad_scrape.upstream
               : &ad_upstreams.list[ad_discovery.upstream];
}

static void ad_discovery_connect(void)
{
    const struct ad_upstream *u = ad_discovery_upstream();
    struct ad_discovery *q = &ad_discovery;

    while (q->address < u->n_addresses) {
        const struct ad_address *a = &u->addresses[q->address++];

        q->fd = socket(a->storage.ss_family,
                       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (q->fd >= 0 &&
            (connect(q->fd, (const struct sockaddr *)&a->storage, a->len) ==
                 0 ||
             errno == EINPROGRESS)) {
            q->events = 0;
            q->since_ms = ad_hub.now_ms;
            ad_discovery_watch(AD_OUT);
            return;
        }
        if (q->fd >= 0) {
            (void)close(q->fd);
            q->fd = -1;
        }
    }
    if (q->what != AD_DISCOVERY_METRICS) {
        ad_upstream_set_state(q->upstream, false);
    }
}

static void ad_discovery_begin(enum ad_discovery_what what, unsigned upstream)
{
    struct ad_discovery *q = &ad_discovery;

    memset(q, 0, sizeof(*q));
    q->fd = -1;
    q->what = (uint8_t)what;
    q->upstream = (uint8_t)upstream;
    ad_head_begin(&q->head, false);
    ad_path_begin(&q->js, what == AD_DISCOVERY_OPENAI ? AD_PATH_OPENAI_LIST
                                                      : AD_PATH_OLLAMA_LIST);
    ad_discovery_connect();
}

/* A model's name or state in the list at hand. */
static void ad_discovery_model(void)
{
    struct ad_discovery *q = &ad_discovery;
    struct ad_upstream_state *e = &ad_upstreams.state[q->upstream];
    unsigned i;

    if (q->js.path == AD_PATH_LIST_STATUS && q->js.what == AD_JSON_TEXT) {
        if (q->n_models > 0) {
            q->loaded[q->n_models - 1] = strcmp(q->js.text, "loaded") == 0;
        }
        return;
    }
    if (q->js.path != AD_PATH_LIST_NAME || q->js.what != AD_JSON_TEXT || q->js.cut ||
        !ad_name_ok(q->js.text, strlen(q->js.text), AIDASH_MODEL_MAX)) {
        return;
    }
    if (q->what == AD_DISCOVERY_LOADED) {
        for (i = 0; i < e->n_models; i++) {
            if (strcmp(e->models[i], q->js.text) == 0) {
                q->loaded[i] = true;
            }
        }
    } else if (q->n_models < AIDASH_MODELS) {
        memcpy(q->models[q->n_models], q->js.text, strlen(q->js.text) + 1);
        q->loaded[q->n_models++] = false;
    }
}

/* Take over a list that was read whole: all engines' models are one list. */
static void ad_discovery_models_done(void)
{
    struct ad_discovery *q = &ad_discovery;
    struct ad_upstream_state *e = &ad_upstreams.state[q->upstream];
    struct ad_engine_list list;
    unsigned i, k;
    bool changed = false;

    if (q->what == AD_DISCOVERY_LOADED) {
        changed = memcmp(e->loaded, q->loaded, sizeof(e->loaded)) != 0;
        memcpy(e->loaded, q->loaded, sizeof(e->loaded));
        e->ollama = true;
    } else {
        changed = e->n_models != q->n_models ||
                  memcmp(e->models, q->models, sizeof(e->models)) != 0;
        memcpy(e->models, q->models, sizeof(e->models));
        if (!e->ollama) {
            changed = changed ||
                      memcmp(e->loaded, q->loaded, sizeof(e->loaded)) != 0;
            memcpy(e->loaded, q->loaded, sizeof(e->loaded));
        }
        e->n_models = q->n_models;
    }
    if (!changed) {
        return;
    }
    ad_engine_list_begin(&list);
    for (i = 0; i < ad_upstreams.n; i++) {
        e = &ad_upstreams.state[i];
        for (k = 0; k < e->n_models; k++) {
            (void)ad_engine_add_model(e->models[k], e->loaded[k]);
        }
    }
    ad_engine_list_end(&list);
}

/* The counters that move while the engine works. llama.cpp's gauges of tokens a
 * second are left alone: they are means since the last scrape by anybody. */
static const struct {
    const char *name;
    unsigned what;
    double scale; /* to milliseconds, for times */
} ad_metrics[] = {
    {"llamacpp:tokens_predicted_total", AD_METRIC_TOKENS, 1},
    {"llamacpp:tokens_predicted_seconds_total", AD_METRIC_TIME, 1000},
    {"vllm:generation_tokens_total", AD_METRIC_TOKENS, 1},
    {"vllm:inter_token_latency_seconds_sum", AD_METRIC_TIME, 1000},
    {"vllm:inter_token_latency_seconds_count", AD_METRIC_STEPS, 1},
    {"vllm:time_per_output_token_seconds_sum", AD_METRIC_TIME, 1000},
    {"vllm:time_per_output_token_seconds_count", AD_METRIC_STEPS, 1},
};

/* One sample line, `name{labels} value`: Prometheus' text format 0.0.4. */
static void ad_metrics_line(const char *s, size_t len)
{
    const char *value = memrchr(s, ' ', len);
    size_t name_len = 0, i;

    while (name_len < len && s[name_len] != '{' && s[name_len] != ' ') {
        name_len++;
    }
    for (i = 0; i < AD_COUNT(ad_metrics) && value != NULL; i++) {
        const char *label;

        value = memrchr(s, ' ', len);
        if (strlen(ad_metrics[i].name) != name_len ||
            memcmp(ad_metrics[i].name, s, name_len) != 0 ||
            ad_json_number(value + 1, (size_t)(s + len - value - 1)) !=
                (size_t)(s + len - value - 1)) {
            continue;
        }
        ad_discovery.metric[ad_metrics[i].what] +=
            ad_json_double(value + 1, (size_t)(s + len - value - 1)) *
            ad_metrics[i].scale;
        ad_discovery.has_metric[ad_metrics[i].what] = true;
        label = memmem(s, len, "model_name=\"", 12);
        if (label != NULL) {
            size_t n = strcspn(label + 12, "\"");

            if (ad_name_ok(label + 12, n, AIDASH_MODEL_MAX)) {
                memcpy(ad_discovery.metric_model, label + 12, n);
                ad_discovery.metric_model[n] = '\0';
            }
        }
        return;
    }
}

/* What the counters gained since the last page is one tick. */
static void ad_discovery_metrics_done(void)
{
    struct ad_discovery *q = &ad_discovery;
    double *last = ad_scrape.last;
    double tokens = q->metric[AD_METRIC_TOKENS] - last[AD_METRIC_TOKENS];
    double time_ms = q->metric[AD_METRIC_TIME] - last[AD_METRIC_TIME];
    double steps = q->has_metric[AD_METRIC_STEPS]
                       ? q->metric[AD_METRIC_STEPS] - last[AD_METRIC_STEPS]
                       : tokens;
    struct ad_sample sample;

    if (!q->has_metric[AD_METRIC_TOKENS]) {
        if (!ad_scrape.warned) {
            ad_scrape.warned = true;
            ad_log(AIDASH_LOG_WARN, "scrape: no counter of llama-server or "
                                    "vLLM on that page");
        }
        return;
    }
    if (ad_scrape.has_last && tokens > 0 && tokens <= (double)AD_TOKENS_LIMIT) {
        memset(&sample, 0, sizeof(sample));
        memcpy(sample.model, q->metric_model, sizeof(sample.model));
        sample.tokens = (uint64_t)tokens;
        sample.has = AD_HAS_TOKENS | AD_IS_METERED;
        if (time_ms > 0 && steps > 0) {
            sample.latency_ms = time_ms / steps;
            sample.has |= AD_HAS_LATENCY;
        }
        ad_tick_apply(&sample, ad_hub.now_ns);
    }
    memcpy(ad_scrape.last, q->metric, sizeof(ad_scrape.last));
    ad_scrape.has_last = true;
}

static void ad_discovery_body(const uint8_t *data, size_t len)
{
    struct ad_discovery *q = &ad_discovery;
    size_t used = 0;

    if (q->what != AD_DISCOVERY_METRICS) {
        while (used < len && q->js.state != AD_JSON_BAD) {
            used += ad_json_stream_next(&q->js, data + used, len - used);
            ad_discovery_model();
        }
        return;
    }
    while (len > 0) {
        const uint8_t *line;
        size_t n;
        bool ended;

        used = ad_lines_next(&q->lines, q->line, data, len, &line, &n, &ended);
        if (ended && n != SIZE_MAX && n > 0 && line[0] != '#') {
            ad_metrics_line((const char *)line, n);
        }
        data += used;
        len -= used;
    }
}

/* The answer has come whole. */
static void ad_discovery_done(void)
{
    struct ad_discovery *q = &ad_discovery;
    unsigned what = q->what, upstream = q->upstream;
    bool good = q->head.status == 200;

    ad_discovery_end();
    if (what == AD_DISCOVERY_METRICS) {
        if (good) {
            ad_discovery_metrics_done();
        }
        return;
    }
    good = good && ad_json_stream_end(&q->js);
    if (good) {
        ad_discovery_models_done();
    }
    if (what == AD_DISCOVERY_OPENAI && !good) {
        ad_discovery_begin(AD_DISCOVERY_OLLAMA, upstream);
    } else if (what != AD_DISCOVERY_LOADED && good &&
               !ad_upstreams.state[upstream].no_ps) {
        ad_discovery_begin(AD_DISCOVERY_LOADED, upstream);
    } else if (what == AD_DISCOVERY_LOADED && !good) {
        ad_upstreams.state[upstream].no_ps = true; /* it is no Ollama */
    }
}

/* The next piece of the body (n bytes, may be 0) among bytes of an answer.
 * Returns how many of them it took, all when no body is in them. */
static size_t ad_discovery_next(struct ad_head *head, const uint8_t *in, size_t len,
                            const uint8_t **data, size_t *n)
{
    *n = 0;
    if (head->state == AD_HEAD_LINES) {
        return ad_head_next(head, in, len);
    }
    return head->state == AD_HEAD_DONE && head->body.state < AD_BODY_DONE
               ? ad_body_next(&head->body, in, len, data, n)
               : len;
}

static void ad_discovery_event(void)
{
    struct ad_discovery *q = &ad_discovery;
    const struct ad_upstream *u = ad_discovery_upstream();
    ssize_t got;
    size_t used = 0;

    if (q->fd < 0) {
        return;
    }
    if (!q->sent) {
        char text[AD_EVENT_MAX];
        struct ad_text t = ad_text_in(text, sizeof(text));
        int error = 0;
        socklen_t len = sizeof(error);

        (void)getsockopt(q->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error != 0) {
            ad_discovery_end();
            ad_discovery_connect();
            return;
        }
        ad_putf(&t, "GET %s%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n",
                u->prefix, ad_discovery_paths[q->what], u->authority);
        if (ad_upstreams.key[0] != '\0' && q->what != AD_DISCOVERY_METRICS) {
            ad_putf(&t, "Authorization: Bearer %s\r\n", ad_upstreams.key);
        }
        ad_puts(&t, "\r\n");
        (void)!send(q->fd, t.at, t.len, MSG_NOSIGNAL); /* a fresh buffer */
        q->sent = true;
        ad_discovery_watch(AD_IN);
        if (q->what != AD_DISCOVERY_METRICS) {
            ad_upstream_set_state(q->upstream, true);
        }
        return;
    }
    got = recv(q->fd, ad_scratch, sizeof(ad_scratch), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        if (got == 0 && q->head.state == AD_HEAD_DONE && q->head.until_close) {
            ad_discovery_done();
        } else {
            ad_discovery_end();
        }
        return;
    }
    q->since_ms = ad_hub.now_ms;
    while (used < (size_t)got) {
        const uint8_t *data = NULL;
        size_t n;

        used += ad_discovery_next(&q->head, ad_scratch + used, (size_t)got - used,
                              &data, &n);
        if (n > 0) {
            ad_discovery_body(data, n);
        }
    }
    if (q->head.state == AD_HEAD_DONE && q->head.body.state == AD_BODY_DONE) {
        ad_discovery_done();
    } else if (q->head.state == AD_HEAD_BAD ||
               q->head.body.state == AD_BODY_BAD) {
        ad_discovery_end();
    }
}

/* Once a second: the next question, if it is time for one. */
static void ad_discovery_housekeeping(void)
{
    if (ad_discovery.fd >= 0) {
        if (ad_hub.now_ms - ad_discovery.since_ms >= AD_CONNECT_MS) {
            if (ad_discovery.what != AD_DISCOVERY_METRICS && !ad_discovery.sent) {
                ad_upstream_set_state(ad_discovery.upstream, false);
            }
            ad_discovery_end();
        }
        return;
    }
    if (ad_upstreams.n > 0 && ad_discovery_turn++ % AD_DISCOVERY_EVERY <
                                      ad_upstreams.n) {
        ad_discovery_begin(AD_DISCOVERY_OPENAI,
                       (ad_discovery_turn - 1) % AD_DISCOVERY_EVERY);
    } else if (ad_scrape.on) {
        ad_discovery_begin(AD_DISCOVERY_METRICS, 0);
    }
}

/* Before each run. */
static void ad_discovery_init(void)
{
    memset(&ad_scrape, 0, sizeof(ad_scrape));
    ad_discovery.fd = -1;
    ad_discovery_turn = 0;
}

/* Read this Prometheus page once a second. While starting. */
static void ad_discovery_scrape(const struct ad_upstream *page)
{
    ad_scrape.upstream = *page;
    ad_scrape.on = true;
}

AD_MEMORY(discovery, 1, sizeof(ad_discovery) + sizeof(ad_scrape));

#endif /* AIDASH_METER */

#endif
