/* bench.c - a benchmark: requests of aidash's own to the engine, some at once,
 * through the meter like any others. The figures are the meter's own, of the
 * records of those requests.
 * Owns ad_bench. Hub thread only.
 *
 * A request's client is one end of a socketpair; the other end is read here, and
 * what comes is discarded. After a short request that may load the model, the
 * steps follow, each with its number of streams: each stream has one request at
 * the engine until the step has had all of its own.
 * Always: one benchmark runs at most. It ends within AIDASH_BENCH_S seconds.
 */
#ifndef AD_METER_BENCH_C
#define AD_METER_BENCH_C

#include "../base/net.c"
#include "queue.c"

#if AIDASH_METER

enum {
    AD_BENCH_WARM_MS = 300000, /* for the first request, which may load the model */
    AD_BENCH_STEP_MS = 600000, /* for a step */
    AD_BENCH_WARM_TOKENS = 8,  /* of the first request's answer */
    AD_BENCH_REQUESTS_MIN = 3, /* a step's requests are no fewer */
    /* A step's requests at most: each stream has as many as any other. */
    AD_BENCH_SAMPLES = AIDASH_BENCH_STREAMS + AD_BENCH_REQUESTS_MIN,
    AD_BENCH_NONCE = 16, /* hexadecimal digits that a prompt begins with */
    AD_BENCH_WORD = 4,   /* bytes of a word of the prompt, with its space */
    AD_BENCH_FRAME = 32, /* tokens of a prompt that are not its words, about */
    AD_BENCH_PEEK = 1024,   /* bytes of an answer that are kept to look at */
    AD_BENCH_REASON = 192,  /* bytes of a sentence with its NUL */
    AD_BENCH_ENGINE = 64,   /* and of an engine's build */
    AD_BENCH_JSON_MAX = 1100 /* bytes of a result without its steps, or of a step */
};
_Static_assert((int)AD_BENCH_JSON_MAX <= AIDASH_HEAD_MAX - 64 &&
                   (int)AD_BENCH_JSON_MAX <= (int)AD_EVENT_MAX,
               "it fits the buffer of a short answer, and an event");

/* What a step measured. Times in milliseconds, rates in tokens a second; -1: not
 * known. */
struct ad_bench_step {
    uint8_t streams, requests;
    bool estimated;      /* a count that the engine did not tell */
    bool prefill_by_ttft; /* the engine told no time of its own */
    uint32_t others;     /* requests of others that ran meanwhile */
    uint64_t prompt_tokens, cached_tokens, completion_tokens; /* of all requests */
    double ttft_p50_ms, ttft_p95_ms, itl_p50_ms, itl_p95_ms;
    double prefill_per_s, decode_per_s; /* of a request, the mean of all */
    double total_per_s;  /* completion_tokens over duration_ms */
    double duration_ms;  /* from the first request's begin to the last one's end */
};

enum ad_bench_state {
    AD_BENCH_RUNNING,
    AD_BENCH_ENDED,
    AD_BENCH_STOPPED,
    AD_BENCH_FAILED
};

static const char *const ad_bench_states[] = {"running", "ended", "stopped",
                                              "failed"};

struct ad_bench_result {
    struct ad_bench_plan plan;
    uint8_t state; /* enum ad_bench_state */
    uint8_t n_steps;
    uint64_t start_us;  /* Unix time */
    double duration_ms; /* of all; -1 while it runs */
    char engine[AD_BENCH_ENGINE]; /* its build, as it names it; "": it does not */
    char reason[AD_BENCH_REASON]; /* of STOPPED and FAILED: a sentence */
    struct ad_bench_step steps[AD_BENCH_STEPS];
};

/* A request of the benchmark, seen as its client. */
struct ad_bench_stream {
    int fd;           /* our end of the socketpair; -1: it has no request */
    uint8_t events;   /* what the poller watches for */
    bool over;        /* its record came, with this status: */
    char status[16];
    unsigned answered; /* the answer's status code; 0: none */
    uint64_t request; /* the request's number */
    uint64_t nonce;
    uint32_t sent;    /* bytes of the body */
    uint32_t peeked;  /* bytes of the answer in `peek` */
    char peek[AD_BENCH_PEEK];
};

/* What the requests of the step that runs have told so far. */
struct ad_bench_tally {
    unsigned begun, ended, n_ttft, n_prefill, n_decode;
    double ttft_ms[AD_BENCH_SAMPLES];
    double prefill_sum, decode_sum;
    struct ad_histogram itl;
};

static struct {
    bool running;
    bool cancelled;      /* a viewer ended one of its requests */
    unsigned step;       /* 0: the first request; then the number of the step */
    uint32_t begun_ms, step_ms; /* when it began, and the step */
    uint64_t step_ns;
    uint64_t nonces;     /* the last one's seed */
    char head[96 + AD_MODEL_JSON_MAX], tail[256]; /* of a request's body */
    size_t head_len, tail_len;
    unsigned words;      /* of its prompt, between the nonce and the tail */
    struct ad_bench_step now;
    struct ad_bench_tally tally;
    struct ad_bench_stream streams[AIDASH_BENCH_STREAMS];
    uint64_t count;      /* of benchmarks since the start; the newest one's number */
    struct ad_bench_result ring[AIDASH_BENCHES]; /* number n at n % AIDASH_BENCHES */
} ad_bench;

static struct ad_bench_result *ad_bench_result(uint64_t number)
{
    return &ad_bench.ring[number % AIDASH_BENCHES];
}

/* ---- figures ---- */

/* The least of n values, in ascending order, that `percent` (1..100) of them do
 * not exceed: the nearest rank. -1 if there is none. */
static double ad_bench_percentile(const double *sorted, unsigned n,
                                  unsigned percent)
{
    return n == 0 ? -1 : sorted[(n * percent + 99) / 100 - 1];
}

/* Put a value where it belongs among n that are in ascending order. */
static void ad_bench_insert(double *sorted, unsigned n, double value)
{
    while (n > 0 && sorted[n - 1] > value) {
        sorted[n] = sorted[n - 1];
        n--;
    }
    sorted[n] = value;
}

/* The requests that a step has: each stream as many as any other. */
static unsigned ad_bench_requests(unsigned streams)
{
    unsigned each = (AD_BENCH_REQUESTS_MIN + streams - 1) / streams;

    return each * streams;
}

/* A request of the step has ended well: take what its record says. */
static void ad_bench_tally(const struct ad_proxy *p)
{
    struct ad_bench_tally *y = &ad_bench.tally;
    struct ad_bench_step *now = &ad_bench.now;
    const struct ad_scan *s = &p->scan;
    struct ad_proxy_figures f = ad_proxy_figures_of(p);
    double prefill = f.prefill_per_s;

    now->prompt_tokens += s->prompt_tokens;
    now->cached_tokens += s->cached_tokens;
    now->completion_tokens += f.tokens;
    now->estimated = now->estimated || f.estimated;
    if (prefill < 0 && f.ttft_ms > 0 && s->prompt_tokens > s->cached_tokens) {
        prefill = (double)(s->prompt_tokens - s->cached_tokens) * 1000 / f.ttft_ms;
        now->prefill_by_ttft = true;
    }
    if (f.ttft_ms >= 0 && y->n_ttft < AD_BENCH_SAMPLES) {
        ad_bench_insert(y->ttft_ms, y->n_ttft++, f.ttft_ms);
    }
    if (prefill >= 0) {
        y->prefill_sum += prefill;
        y->n_prefill++;
    }
    if (f.decode_per_s >= 0) {
        y->decode_sum += f.decode_per_s;
        y->n_decode++;
    }
    ad_histogram_merge(&y->itl, &p->itl);
}

/* All requests of the step have ended at now_ns: its figures. */
static void ad_bench_figure(uint64_t now_ns)
{
    const struct ad_bench_tally *y = &ad_bench.tally;
    struct ad_bench_step *now = &ad_bench.now;

    now->duration_ms = ad_ms(ad_bench.step_ns, now_ns);
    now->total_per_s = now->duration_ms > 0
                           ? (double)now->completion_tokens * 1000 /
                                 now->duration_ms
                           : -1;
    now->ttft_p50_ms = ad_bench_percentile(y->ttft_ms, y->n_ttft, 50);
    now->ttft_p95_ms = ad_bench_percentile(y->ttft_ms, y->n_ttft, 95);
    now->itl_p50_ms = now->itl_p95_ms = -1;
    if (y->itl.n > 0) {
        now->itl_p50_ms = (double)ad_histogram_percentile(&y->itl, 50) / 1000;
        now->itl_p95_ms = (double)ad_histogram_percentile(&y->itl, 95) / 1000;
    }
    now->prefill_per_s = y->n_prefill > 0 ? y->prefill_sum / y->n_prefill : -1;
    now->decode_per_s = y->n_decode > 0 ? y->decode_sum / y->n_decode : -1;
    now->others += ad_proxying.n_running + ad_proxying.n_queued;
}

/* ---- what viewers learn ---- */

static void ad_bench_put_step(struct ad_text *t, const struct ad_bench_step *s)
{
    ad_putf(t, "{\"streams\":%u,\"requests\":%u", s->streams, s->requests);
    ad_put_count(t, "prompt_tokens", s->prompt_tokens);
    ad_put_count(t, "cached_tokens", s->cached_tokens);
    ad_put_count(t, "completion_tokens", s->completion_tokens);
    ad_put_known(t, "ttft_p50_ms", s->ttft_p50_ms);
    ad_put_known(t, "ttft_p95_ms", s->ttft_p95_ms);
    ad_put_known(t, "itl_p50_ms", s->itl_p50_ms);
    ad_put_known(t, "itl_p95_ms", s->itl_p95_ms);
    ad_put_known(t, "prefill_tokens_per_second", s->prefill_per_s);
    if (s->prefill_by_ttft) {
        ad_puts(t, ",\"prefill_by_ttft\":true");
    }
    ad_put_known(t, "decode_tokens_per_second", s->decode_per_s);
    ad_put_known(t, "tokens_per_second", s->total_per_s);
    ad_put_known(t, "duration_ms", s->duration_ms);
    ad_put_count(t, "others", s->others);
    ad_puts(t, s->estimated ? ",\"estimated\":true}" : "}");
}

static void ad_bench_put_plan(struct ad_text *t, const struct ad_bench_plan *plan)
{
    unsigned i;

    ad_puts(t, ",\"model\":");
    ad_put_string(t, plan->model);
    ad_puts(t, ",\"streams\":[");
    for (i = 0; i < plan->n_streams; i++) {
        ad_putf(t, "%s%u", i > 0 ? "," : "", plan->streams[i]);
    }
    ad_putf(t, "],\"prompt_tokens\":%u,\"max_tokens\":%u", plan->prompt_tokens,
            plan->max_tokens);
}

/* How a result ended, as far as it has. */
static void ad_bench_put_end(struct ad_text *t, const struct ad_bench_result *r)
{
    if (r->engine[0] != '\0') {
        ad_puts(t, ",\"engine\":");
        ad_put_string(t, r->engine);
    }
    if (r->reason[0] != '\0') {
        ad_puts(t, ",\"reason\":");
        ad_put_string(t, r->reason);
    }
    ad_put_known(t, "duration_ms", r->duration_ms);
}

/* A result of GET /bench, up to its steps. */
static void ad_bench_put_result(struct ad_text *t, uint64_t number)
{
    const struct ad_bench_result *r = ad_bench_result(number);

    ad_putf(t, "{\"id\":%llu,\"state\":\"%s\"", (unsigned long long)number,
            ad_bench_states[r->state]);
    ad_bench_put_plan(t, &r->plan);
    ad_bench_put_end(t, r);
    ad_puts(t, ",\"timestamp\":");
    ad_put_decimal(t, r->start_us, 6);
    ad_puts(t, ",\"steps\":[");
}

/* Tell the viewers that it began, had a step, or is over. */
static void ad_bench_report(const char *state)
{
    const struct ad_bench_result *r = ad_bench_result(ad_bench.count);
    char json[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    ad_putf(&t, "{\"event\":\"bench\",\"seq\":%llu,\"id\":%llu,\"state\":\"%s\"",
            (unsigned long long)ad_feed.next, (unsigned long long)ad_bench.count,
            state);
    ad_bench_put_plan(&t, &r->plan);
    if (r->state == AD_BENCH_RUNNING && r->n_steps > 0) {
        ad_puts(&t, ",\"step\":");
        ad_bench_put_step(&t, &r->steps[r->n_steps - 1]);
    }
    ad_bench_put_end(&t, r);
    ad_puts(&t, ",\"timestamp\":");
    ad_put_decimal(&t, ad_hub.now_us, 6);
    ad_puts(&t, "}");
    ad_event_append(AD_EV_BENCH, &t);
}

/* The benchmark's section of status: the number of the one that runs. */
static void ad_put_bench(struct ad_text *t)
{
    if (ad_bench.running) {
        ad_put_count(t, "bench", ad_bench.count);
    }
}

/* ---- a request's body ---- */

/* Words of three letters with their space: mostly one token each. */
static const char ad_bench_words[] =
    " the and for not you was his are one all but had her our out day get has him"
    " how man new now old see two way who boy did its let put say she too use sun"
    " sea sky red big far run top cup hat map pen box car dog cat bed key arm leg"
    " eye ear ice oil tea war";
enum { AD_BENCH_WORDS = (sizeof(ad_bench_words) - 1) / AD_BENCH_WORD };
_Static_assert(sizeof(ad_bench_words) - 1 == AD_BENCH_WORDS * AD_BENCH_WORD,
               "each word has three letters");

/* Write the parts of the body that all requests of a step have in common. */
static void ad_bench_write_body(unsigned prompt_tokens, unsigned max_tokens)
{
    struct ad_text head = ad_text_in(ad_bench.head, sizeof(ad_bench.head));
    struct ad_text tail = ad_text_in(ad_bench.tail, sizeof(ad_bench.tail));

    ad_puts(&head, "{\"model\":");
    ad_put_string(&head, ad_bench_result(ad_bench.count)->plan.model);
    ad_puts(&head, ",\"messages\":[{\"role\":\"user\",\"content\":\"");
    ad_bench.head_len = head.len;
    ad_putf(&tail,
            ".\\nTell a long story with these words.\"}],\"max_tokens\":%u,"
            "\"temperature\":0,\"ignore_eos\":true,\"stream\":true,"
            "\"stream_options\":{\"include_usage\":true}}", max_tokens);
    ad_bench.tail_len = tail.len;
    ad_bench.words = prompt_tokens > AD_BENCH_FRAME ? prompt_tokens - AD_BENCH_FRAME
                                                    : 1;
}

static size_t ad_bench_body_len(void)
{
    return ad_bench.head_len + AD_BENCH_NONCE +
           (size_t)ad_bench.words * AD_BENCH_WORD + ad_bench.tail_len;
}

/* A byte of the request's body: the head, the nonce, words in an order that the
 * nonce gives, the tail. `at` is less than ad_bench_body_len(). */
static char ad_bench_body_byte(uint64_t nonce, size_t at)
{
    size_t n = ad_bench.head_len, word;

    if (at < n) {
        return ad_bench.head[at];
    }
    at -= n;
    if (at < AD_BENCH_NONCE) {
        return "0123456789abcdef"[nonce >> (4 * at) & 15];
    }
    at -= AD_BENCH_NONCE;
    n = (size_t)ad_bench.words * AD_BENCH_WORD;
    if (at >= n) {
        return ad_bench.tail[at - n];
    }
    word = (size_t)((nonce + at / AD_BENCH_WORD) * 0x9E3779B97F4A7C15ull >> 40);
    return ad_bench_words[word % AD_BENCH_WORDS * AD_BENCH_WORD +
                          at % AD_BENCH_WORD];
}

/* ---- a request ---- */

static void ad_bench_watch(struct ad_bench_stream *s)
{
    unsigned want = s->sent < ad_bench_body_len() ? AD_IN | AD_OUT : AD_IN;

    if (want != s->events) {
        (void)ad_poll_set(s->fd, s->events, want, AD_TAG_BENCH,
                          (unsigned)(s - ad_bench.streams));
        s->events = (uint8_t)want;
    }
}

static void ad_bench_close(struct ad_bench_stream *s)
{
    if (s->fd >= 0) {
        if (s->events != 0) {
            (void)ad_poll_set(s->fd, s->events, 0, AD_TAG_BENCH, 0);
        }
        (void)close(s->fd);
        s->fd = -1;
        s->events = 0;
    }
    s->request = 0;
}

/* Give the meter one more request. False if there is no place for it. */
static bool ad_bench_ask(struct ad_bench_stream *s)
{
    static const char headers[] = "Content-Type: application/json\r\n"
                                  "Accept: text/event-stream\r\n"
                                  "User-Agent: aidash-bench\r\n";
    static const char route[] = "/v1/chat/completions";
    struct sockaddr_in *peer;
    struct ad_proxy_request r;
    int pair[2];

    memset(s, 0, sizeof(*s));
    s->fd = -1;
    if (!ad_proxy_make_room(0) || !ad_socket_pair(pair)) {
        return false;
    }
    s->fd = pair[0];
    s->nonce = ad_bench.nonces =
        (ad_bench.nonces ^ ad_hub.now_us) * 6364136223846793005ull +
        1442695040888963407ull; /* Knuth, MMIX */
    memset(&r, 0, sizeof(r));
    peer = (struct sockaddr_in *)(void *)&r.peer;
    peer->sin_family = AF_INET;
    peer->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    r.method = "POST";
    r.target = route;
    r.headers = headers;
    r.body.state = AD_BODY_LENGTH;
    r.body.left = ad_bench_body_len();
    r.has_length = true;
    r.metered = true;
    r.bench = true;
    (void)snprintf(r.route, sizeof(r.route), "%s", route);
    (void)snprintf(r.client, sizeof(r.client), "benchmark");
    (void)snprintf(r.who.address, sizeof(r.who.address), "benchmark");
    (void)snprintf(r.who.agent, sizeof(r.who.agent), "aidash-bench");
    s->request = ad_proxying.last_id + 1;
    (void)ad_peer_open(r.address); /* 0: of nobody's, for no --per-address */
    ad_proxy_begin(&r, pair[1]);
    ad_bench_watch(s);
    return true;
}

/* Send as much of the body as goes. */
static void ad_bench_send(struct ad_bench_stream *s)
{
    size_t len = ad_bench_body_len();
    char piece[4096];

    while (s->sent < len) {
        size_t n = 0;
        ssize_t sent;

        while (n < sizeof(piece) && s->sent + n < len) {
            piece[n] = ad_bench_body_byte(s->nonce, s->sent + n);
            n++;
        }
        sent = send(s->fd, piece, n, MSG_NOSIGNAL);
        if (sent <= 0) {
            if (sent < 0 && errno != EAGAIN && errno != EINTR) {
                s->sent = (uint32_t)len; /* the answer, if any, can still be read */
            }
            return;
        }
        s->sent += (uint32_t)sent;
    }
}

/* Read some of the answer, and keep its begin. False when it has ended. */
static bool ad_bench_read(struct ad_bench_stream *s)
{
    char bytes[16384];
    ssize_t got = recv(s->fd, bytes, sizeof(bytes), 0);
    size_t n;

    if (got <= 0) {
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    }
    n = sizeof(s->peek) - s->peeked;
    n = (size_t)got < n ? (size_t)got : n;
    memcpy(s->peek + s->peeked, bytes, n);
    s->peeked += (uint32_t)n;
    return true;
}

/* The text of a JSON member in the answer's begin, such as "message":, as plain
 * ASCII. False if it is not there. */
static bool ad_bench_peek(const struct ad_bench_stream *s, const char *member,
                          char *out, size_t cap)
{
    const char *end = s->peek + s->peeked, *at;
    size_t n = 0;

    at = memmem(s->peek, s->peeked, member, strlen(member));
    if (at == NULL) {
        return false;
    }
    at += strlen(member);
    while (at < end && *at == ' ') {
        at++;
    }
    if (at == end || *at++ != '"') {
        return false;
    }
    for (; at < end && *at != '"' && n + 1 < cap; at++) {
        if (*at == '\\' && at + 1 < end) {
            at++; /* the character that it escapes, or the letter for it */
        }
        out[n++] = *at >= 0x20 && *at < 0x7F ? *at : '?';
    }
    out[n] = '\0';
    return n > 0;
}

/* ---- the end ---- */

/* It is over. `reason` is a sentence, or "". */
static void ad_bench_finish(enum ad_bench_state state, const char *reason)
{
    struct ad_bench_result *r = ad_bench_result(ad_bench.count);
    unsigned i;

    ad_bench.running = false;
    for (i = 0; i < AIDASH_BENCH_STREAMS; i++) {
        ad_bench_close(&ad_bench.streams[i]);
    }
    r->state = (uint8_t)state;
    r->duration_ms = (double)(ad_hub.now_ms - ad_bench.begun_ms);
    (void)snprintf(r->reason, sizeof(r->reason), "%s", reason);
    ad_bench_report(ad_bench_states[state]);
    ad_status_append();
    ad_log(AIDASH_LOG_INFO, "benchmark %llu %s%s%s",
           (unsigned long long)ad_bench.count, ad_bench_states[state],
           reason[0] != '\0' ? ": " : "", reason);
}

/* A request did not end well: say why. */
static void ad_bench_fail(const struct ad_bench_stream *s)
{
    char reason[AD_BENCH_REASON], why[120];
    bool said = ad_bench_peek(s, "\"message\":", why, sizeof(why)) ||
                ad_bench_peek(s, "\"error\":", why, sizeof(why));
    unsigned status = 0;

    if (s->peeked > 12) {
        status = (unsigned)strtoul(s->peek + 9, NULL, 10); /* HTTP/1.1 200 */
    }
    if (ad_bench.cancelled) {
        (void)snprintf(reason, sizeof(reason),
                       "a viewer cancelled one of its requests");
    } else if (status >= 300) {
        (void)snprintf(reason, sizeof(reason),
                       "a request was answered with %u%s%s", status,
                       said ? ": " : "", said ? why : "");
    } else if (strcmp(s->status, "failed") == 0) {
        (void)snprintf(reason, sizeof(reason), "the engine reported an error%s%s",
                       said ? ": " : "", said ? why : "");
    } else if (strcmp(s->status, "finished") == 0) {
        (void)snprintf(reason, sizeof(reason),
                       "the engine's answer has no tokens");
    } else {
        (void)snprintf(reason, sizeof(reason), "the engine broke off an answer");
    }
    ad_bench_finish(AD_BENCH_FAILED, reason);
}

/* ---- the steps ---- */

/* Begin the next step with all of its streams, or end. */
static void ad_bench_next_step(void)
{
    const struct ad_bench_plan *plan = &ad_bench_result(ad_bench.count)->plan;
    unsigned i, streams;

    if (ad_bench.step == plan->n_streams) {
        ad_bench_finish(AD_BENCH_ENDED, "");
        return;
    }
    streams = plan->streams[ad_bench.step++];
    memset(&ad_bench.tally, 0, sizeof(ad_bench.tally));
    memset(&ad_bench.now, 0, sizeof(ad_bench.now));
    ad_bench.now.streams = (uint8_t)streams;
    ad_bench.now.requests = (uint8_t)ad_bench_requests(streams);
    ad_bench.step_ms = ad_hub.now_ms;
    ad_bench.step_ns = ad_clock_ns(CLOCK_MONOTONIC);
    ad_bench_write_body(plan->prompt_tokens, plan->max_tokens);
    for (i = 0; i < streams; i++) {
        if (!ad_bench_ask(&ad_bench.streams[i])) {
            ad_bench_finish(AD_BENCH_FAILED, "there are too many requests at once");
            return;
        }
        ad_bench.tally.begun++;
    }
}

/* Did a viewer do what makes its requests other ones? Then it has ended. */
static bool ad_bench_disturbed(void)
{
    if (ad_engine.paused) {
        ad_bench_finish(AD_BENCH_FAILED, "requests were paused");
    } else if (ad_engine.overrides &&
               strcmp(ad_bench_result(ad_bench.count)->plan.model,
                      ad_model_name()) != 0) {
        ad_bench_finish(AD_BENCH_FAILED,
                        "a viewer chose another model for all requests");
    }
    return !ad_bench.running;
}

/* A stream's request has ended well. */
static void ad_bench_stream_over(struct ad_bench_stream *s)
{
    struct ad_bench_result *r = ad_bench_result(ad_bench.count);
    struct ad_bench_tally *y = &ad_bench.tally;

    if (ad_bench_disturbed()) {
        return;
    }
    if (ad_bench.step == 0) { /* the model is there */
        (void)ad_bench_peek(s, "\"system_fingerprint\":", r->engine,
                            sizeof(r->engine));
        ad_bench_close(s);
        ad_bench_next_step();
        return;
    }
    ad_bench_close(s);
    y->ended++;
    if (y->begun < ad_bench.now.requests) {
        y->begun++;
        if (!ad_bench_ask(s)) {
            ad_bench_finish(AD_BENCH_FAILED, "there are too many requests at once");
        }
    } else if (y->ended == ad_bench.now.requests) {
        ad_bench_figure(ad_clock_ns(CLOCK_MONOTONIC));
        r->steps[r->n_steps++] = ad_bench.now;
        ad_bench_report("step");
        ad_bench_next_step();
    }
}

/* A stream's socket is ready. */
static void ad_bench_event(unsigned index)
{
    struct ad_bench_stream *s = &ad_bench.streams[index % AIDASH_BENCH_STREAMS];

    if (!ad_bench.running || s->fd < 0) {
        return; /* it was closed in the same turn */
    }
    ad_bench_send(s);
    if (ad_bench_read(s)) {
        ad_bench_watch(s);
    } else if (s->over && strcmp(s->status, "finished") == 0 &&
               s->answered != 0) {
        ad_bench_stream_over(s);
    } else {
        ad_bench_fail(s);
    }
}

/* A request has ended, of the benchmark or of others: in the middle of its end, so
 * what follows from it waits for the end of its answer. */
static void ad_bench_ended(const struct ad_proxy *p, const char *status)
{
    unsigned i;

    if (!ad_bench.running) {
        return;
    }
    if (!p->request.bench) {
        ad_bench.now.others++;
        return;
    }
    for (i = 0; i < AIDASH_BENCH_STREAMS; i++) {
        struct ad_bench_stream *s = &ad_bench.streams[i];
        bool estimated;

        if (s->request != p->id) {
            continue;
        }
        s->over = true;
        s->answered = ad_scan_tokens(&p->scan, &estimated) > 0 ? p->answer.status : 0;
        (void)snprintf(s->status, sizeof(s->status), "%s", status);
        if (ad_bench.step > 0 && s->answered != 0) {
            ad_bench_tally(p);
        }
    }
}

/* Once a second: the time limits, and what ends a benchmark from outside. */
static void ad_bench_housekeeping(void)
{
    uint32_t limit_ms = ad_bench.step == 0 ? AD_BENCH_WARM_MS : AD_BENCH_STEP_MS;
    char reason[AD_BENCH_REASON];

    if (!ad_bench.running || ad_bench_disturbed()) {
        return;
    }
    if (ad_hub.now_ms - ad_bench.begun_ms >= AIDASH_BENCH_S * 1000u) {
        (void)snprintf(reason, sizeof(reason), "it took longer than %d s",
                       AIDASH_BENCH_S);
        ad_bench_finish(AD_BENCH_FAILED, reason);
    } else if (ad_hub.now_ms - ad_bench.step_ms >= limit_ms) {
        if (ad_bench.step == 0) {
            (void)snprintf(reason, sizeof(reason),
                           "the first request took longer than %u s",
                           AD_BENCH_WARM_MS / 1000);
        } else {
            (void)snprintf(reason, sizeof(reason),
                           "the step with %u streams took longer than %u s",
                           ad_bench.now.streams, AD_BENCH_STEP_MS / 1000);
        }
        ad_bench_finish(AD_BENCH_FAILED, reason);
    }
}

/* ---- commands ---- */

/* The streams of a plan that names none: 1, 4, 8, as far as so many requests may be
 * at the engine. */
static void ad_bench_choose_streams(struct ad_bench_plan *plan)
{
    static const uint8_t usual[] = {1, 4, 8};
    size_t i;

    for (i = 0; i < AD_COUNT(usual); i++) {
        if (usual[i] <= ad_proxying.max_inflight &&
            usual[i] <= AIDASH_BENCH_STREAMS) {
            plan->streams[plan->n_streams++] = usual[i];
        }
    }
}

/* Why a benchmark can't begin now. Completes the plan. */
static enum ad_fault ad_bench_fault(struct ad_bench_plan *plan)
{
    unsigned i;

    if (ad_upstreams.n == 0) {
        return AD_FAULT_BENCH_METER;
    }
    if (ad_bench.running) {
        return AD_FAULT_BENCH_RUNS;
    }
    if (ad_engine.paused) {
        return AD_FAULT_BENCH_PAUSED;
    }
    if (plan->model[0] == '\0') {
        (void)snprintf(plan->model, sizeof(plan->model), "%s", ad_model_name());
    } else if (ad_engine.n_models > 0 &&
               ad_model_find(plan->model) == ad_engine.n_models) {
        return AD_FAULT_MODEL_UNKNOWN;
    }
    if (ad_engine.overrides && strcmp(plan->model, ad_model_name()) != 0) {
        return AD_FAULT_BENCH_OVERRIDE;
    }
    if (plan->n_streams == 0) {
        ad_bench_choose_streams(plan);
    }
    for (i = 0; i < plan->n_streams; i++) {
        if (plan->streams[i] > ad_proxying.max_inflight) {
            return AD_FAULT_BENCH_INFLIGHT;
        }
    }
    return AD_FAULT_NONE;
}

/* The bench command. *id is the benchmark's number. */
static enum ad_fault ad_bench_begin(const struct ad_bench_plan *wanted, uint64_t *id)
{
    struct ad_bench_plan plan = *wanted;
    enum ad_fault fault = ad_bench_fault(&plan);
    struct ad_bench_result *r;

    if (fault != AD_FAULT_NONE) {
        return fault;
    }
    *id = ++ad_bench.count;
    r = ad_bench_result(ad_bench.count);
    memset(r, 0, sizeof(*r));
    r->plan = plan;
    r->start_us = ad_hub.now_us;
    r->duration_ms = -1;
    ad_bench.running = true;
    ad_bench.cancelled = false;
    ad_bench.step = 0;
    ad_bench.begun_ms = ad_bench.step_ms = ad_hub.now_ms;
    ad_bench_report("started");
    ad_status_append();
    ad_bench_write_body(AD_BENCH_FRAME, AD_BENCH_WARM_TOKENS);
    if (!ad_bench_ask(&ad_bench.streams[0])) {
        ad_bench_finish(AD_BENCH_FAILED, "there are too many requests at once");
    }
    return AD_FAULT_NONE;
}

/* The bench_stop command. */
static enum ad_fault ad_bench_stop(void)
{
    if (!ad_bench.running) {
        return AD_FAULT_BENCH_NONE;
    }
    ad_bench_finish(AD_BENCH_STOPPED, "a viewer stopped it");
    return AD_FAULT_NONE;
}

/* The cancel command: the benchmark says why it ends if the request is its own. */
static bool ad_bench_cancel(uint64_t id)
{
    unsigned i;

    for (i = 0; ad_bench.running && i < AIDASH_BENCH_STREAMS; i++) {
        if (ad_bench.streams[i].fd >= 0 && ad_bench.streams[i].request == id) {
            ad_bench.cancelled = true;
        }
    }
    return ad_proxy_cancel(id);
}

/* Before each run, behind ad_queue_init(). */
static void ad_bench_init(void)
{
    unsigned i;

    memset(&ad_bench, 0, sizeof(ad_bench));
    for (i = 0; i < AIDASH_BENCH_STREAMS; i++) {
        ad_bench.streams[i].fd = -1;
    }
    ad_engine_add_section(ad_put_bench);
    ad_commands.bench = ad_bench_begin;
    ad_commands.bench_stop = ad_bench_stop;
    ad_commands.cancel = ad_bench_cancel;
    ad_records.ended = ad_bench_ended;
}

/* The hub ends: close everything. */
static void ad_bench_end(void)
{
    unsigned i;

    for (i = 0; i < AIDASH_BENCH_STREAMS; i++) {
        ad_bench_close(&ad_bench.streams[i]);
    }
}

AD_MEMORY(bench, AIDASH_BENCH_STREAMS, sizeof(ad_bench));

#endif /* AIDASH_METER */

#endif
