/* fetch.c - one request of aidash's own to an engine, or to another aidash:
 * connect, ask, read the answer. Discovery, the scrape, the lists of several
 * engines, `aidash doctor` and `aidash bench` use it.
 * Owns ad_fetch_buffers; the state of a request, and the buffer for its heads, are
 * the caller's. Hub thread, or the main thread when there is no hub (doctor,
 * bench).
 * Always: a request ends. Its answer has AD_FETCH_MAX bytes at most, and the hub
 * gives it AD_FETCH_MS in all, or less.
 */
#ifndef AD_METER_FETCH_C
#define AD_METER_FETCH_C

#include "../codec/http_answer.c"
#include "dial.c"

#if AD_DIALS

enum {
    AD_FETCH_MS = 5000,             /* from connecting to the end of the answer */
    AD_FETCH_MAX = 4 * 1024 * 1024, /* bytes of an answer, its head included */
    AD_FETCH_HEAD_MAX = 8192,       /* bytes of its heads, for who has no more */
    AD_FETCH_POST_MAX = 512,        /* bytes of a body that is sent */
    AD_FETCH_READ = 16384           /* bytes that are read at once */
};

enum ad_fetch_state {
    AD_FETCH_IDLE,
    AD_FETCH_CONNECT, /* the connection is being made */
    AD_FETCH_ASK,     /* the socket takes more of the request */
    AD_FETCH_ANSWER,  /* the socket becomes readable */
    AD_FETCH_DONE,    /* the answer came whole */
    AD_FETCH_FAILED
};

struct ad_fetch {
    uint8_t state; /* enum ad_fetch_state */
    bool lacks;    /* FAILED: we had no descriptor or memory to connect */
    struct ad_dial dial;
    uint32_t begun_ms; /* in the caller's clock */
    uint32_t received; /* bytes of the answer */
    uint32_t retry_s;  /* its Retry-After in seconds (RFC 9110 10.2.3); 0: none */
    const char *path; /* it goes behind the path of the engine's URL */
    const char *key;  /* the bearer token, or "" */
    const char *post; /* NULL: GET; or the JSON to POST, AD_FETCH_POST_MAX bytes */
    const uint8_t *request; /* what is still to be sent */
    size_t request_len;
    struct ad_answer answer; /* answer.status is 0 until its head has come */
    char *head; /* the caller's: the request of our own, then the answer's heads */
};

/* What one read brought, and the fields of a head: valid in ad_fetch_event(). */
static struct {
    uint8_t bytes[AD_FETCH_READ];
    struct ad_http_field fields[AD_HTTP_FIELDS];
} ad_fetch_buffers;

/* Takes a piece of the answer's body; `to` is what the caller passed. */
typedef void ad_fetch_sink(void *to, const uint8_t *data, size_t len);

/* The request is over: close its socket. */
static void ad_fetch_end(struct ad_fetch *q, enum ad_fetch_state state)
{
    ad_dial_close(&q->dial);
    q->state = (uint8_t)state;
}

/* Go on with what has become of the connection. */
static void ad_fetch_dialled(struct ad_fetch *q)
{
    switch ((enum ad_dial_step)q->dial.step) {
    case AD_DIAL_OPEN:
        q->state = AD_FETCH_ASK;
        break;
    case AD_DIAL_CONNECTS:
    case AD_DIAL_SHAKES:
        q->state = AD_FETCH_CONNECT;
        break;
    default:
        q->lacks = q->dial.step == AD_DIAL_LACKS;
        q->state = AD_FETCH_FAILED;
        break;
    }
}

/* Ask an engine for a path, in a request of our own. `path`, `key` and `head`, which
 * has AD_FETCH_HEAD_MAX bytes, stay the caller's. */
static void ad_fetch_begin(struct ad_fetch *q, struct ad_upstream *upstream,
                           const char *path, const char *key, char *head,
                           uint32_t now_ms)
{
    memset(q, 0, sizeof(*q));
    q->path = path;
    q->key = key;
    q->head = head;
    q->begun_ms = now_ms;
    ad_answer_begin(&q->answer, AD_FETCH_HEAD_MAX, false);
    ad_dial_begin(&q->dial, upstream);
    ad_fetch_dialled(q);
}

/* Send an engine this request, which begins in `request`; the answer's heads go into
 * `head`, of head_max bytes. Both stay the caller's. */
static void ad_fetch_begin_with(struct ad_fetch *q, struct ad_upstream *upstream,
                                const uint8_t *request, size_t len, char *head,
                                uint32_t head_max, uint32_t now_ms)
{
    memset(q, 0, sizeof(*q));
    q->request = request;
    q->request_len = len;
    q->head = head;
    q->begun_ms = now_ms;
    ad_answer_begin(&q->answer, head_max, false);
    ad_dial_begin(&q->dial, upstream);
    ad_fetch_dialled(q);
}

/* Write the request of our own to the buffer for heads. */
static void ad_fetch_write(struct ad_fetch *q)
{
    const struct ad_url *url = &q->dial.upstream->url;
    struct ad_text t = ad_text_in(q->head, AD_FETCH_HEAD_MAX);

    ad_putf(&t, "%s %s%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n",
            q->post != NULL ? "POST" : "GET", url->prefix, q->path, url->authority);
    if (q->key[0] != '\0') {
        ad_putf(&t, "Authorization: Bearer %s\r\n", q->key);
    }
    if (q->post != NULL) {
        ad_putf(&t, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                strlen(q->post));
    }
    ad_puts(&t, "\r\n");
    ad_puts(&t, q->post != NULL ? q->post : "");
    q->request = (const uint8_t *)t.at;
    q->request_len = t.len;
}

/* Send what the socket takes of the request. One that was broken off may have an
 * answer. */
static void ad_fetch_ask(struct ad_fetch *q)
{
    ssize_t n;

    if (q->request == NULL) {
        ad_fetch_write(q);
    }
    n = ad_dial_send(&q->dial, q->request, q->request_len);
    if (n >= 0) {
        q->request += n;
        q->request_len -= (size_t)n;
    } else if (errno != EAGAIN && errno != EINTR) {
        q->request_len = 0;
    }
    if (q->request_len == 0) {
        q->state = AD_FETCH_ANSWER;
    }
}

/* The final head has come. A Retry-After that is a date is not read. */
static void ad_fetch_note(struct ad_fetch *q, const struct ad_http_head *head)
{
    struct ad_slice after;
    uint64_t s;

    if (ad_http_field_get(&head->fields, "Retry-After", &after) &&
        ad_decimal_u64(after.at, after.len, UINT32_MAX, &s)) {
        q->retry_s = (uint32_t)s;
    }
}

/* Bytes of the answer: pass the body on without its framing. */
static void ad_fetch_take(struct ad_fetch *q, const uint8_t *in, size_t len,
                          ad_fetch_sink *sink, void *to)
{
    const struct ad_answer_buffer buffer = {q->head, ad_fetch_buffers.fields};
    struct ad_body *body = &q->answer.body;
    struct ad_http_head head;
    size_t used = 0, n;

    while (q->answer.status == 0 && used < len) {
        enum ad_http_fault fault = ad_answer_head(&q->answer, &buffer, in + used,
                                                  len - used, &n, &head);

        used += n;
        if (fault == AD_HTTP_MORE) {
            return;
        }
        if (fault != AD_HTTP_OK) {
            ad_fetch_end(q, AD_FETCH_FAILED);
            return;
        }
        if (q->answer.status != 0) {
            ad_fetch_note(q, &head);
        }
    }
    while (used < len && body->state < AD_BODY_DONE) {
        const uint8_t *data = NULL;

        used += ad_body_next(body, in + used, len - used, &data, &n);
        if (n > 0) {
            sink(to, data, n);
        }
    }
    if (body->state == AD_BODY_BAD) {
        ad_fetch_end(q, AD_FETCH_FAILED);
    } else if (ad_answer_complete(&q->answer)) {
        ad_fetch_end(q, AD_FETCH_DONE);
    }
}

/* Read from the engine. */
static void ad_fetch_read(struct ad_fetch *q, ad_fetch_sink *sink, void *to)
{
    uint8_t *bytes = ad_fetch_buffers.bytes;
    ssize_t got = ad_dial_recv(&q->dial, bytes, sizeof(ad_fetch_buffers.bytes));

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        bool whole = got == 0 && ad_answer_close(&q->answer);

        ad_fetch_end(q, whole ? AD_FETCH_DONE : AD_FETCH_FAILED);
        return;
    }
    q->received += (uint32_t)got;
    ad_fetch_take(q, bytes, (size_t)got, sink, to);
    if (q->state == AD_FETCH_ANSWER && q->received > AD_FETCH_MAX) {
        ad_fetch_end(q, AD_FETCH_FAILED);
    }
}

/* The socket is ready for what ad_fetch_wants() says: go on. Does not wait. */
static void ad_fetch_event(struct ad_fetch *q, ad_fetch_sink *sink, void *to)
{
    (void)ad_dial_flushed(&q->dial);
    if (q->state == AD_FETCH_ANSWER) {
        ad_fetch_read(q, sink, to);
        return;
    }
    if (q->state == AD_FETCH_CONNECT) {
        ad_dial_ready(&q->dial);
        ad_fetch_dialled(q);
    }
    if (q->state == AD_FETCH_ASK) {
        ad_fetch_ask(q);
    }
}

/* It takes too long: give it up. */
static void ad_fetch_give_up(struct ad_fetch *q)
{
    ad_dial_give_up(&q->dial);
    ad_fetch_end(q, AD_FETCH_FAILED);
}

/* Did it take longer than it may? */
static AD_UNUSED bool ad_fetch_late(const struct ad_fetch *q, uint32_t now_ms)
{
    return now_ms - q->begun_ms >= AD_FETCH_MS;
}

/* What its socket must become ready for: AD_IN, AD_OUT, or 0: it is over. */
static unsigned ad_fetch_wants(const struct ad_fetch *q)
{
    switch (q->state) {
    case AD_FETCH_CONNECT:
        return ad_dial_wants(&q->dial);
    case AD_FETCH_ASK:
        return AD_OUT;
    case AD_FETCH_ANSWER:
        return AD_IN;
    default:
        return 0;
    }
}

/* Let the hub's poller wait for it. Hub thread. */
static AD_UNUSED void ad_fetch_watch(struct ad_fetch *q, enum ad_tag tag, unsigned index)
{
    ad_dial_watch(&q->dial, ad_fetch_wants(q), tag, index);
}

AD_MEMORY(fetch, 1, sizeof(ad_fetch_buffers));

#endif /* AD_DIALS */

#endif
