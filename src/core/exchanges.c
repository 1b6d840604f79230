/* exchanges.c - requests that the hub answers once: the bodies of POST /ingest
 * and POST /command, and GET /ticks.
 * Owns ad_streams. Hub thread only. The answer of a POST is written to *reply: who
 * calls sends it.
 */
#ifndef AD_CORE_EXCHANGES_C
#define AD_CORE_EXCHANGES_C

#include "access.c"
#include "clients.c"
#include "commands.c"

/* The answer to a POST, which ends the exchange. */
static void ad_exchange_answer(struct ad_client *c, int status,
                               const struct ad_text *json,
                               struct ad_text *reply)
{
    char fields[AD_CORS_MAX + 32];

    (void)snprintf(fields, sizeof(fields), "%s%s",
                   status == 429 ? "Retry-After: 1\r\n" : "",
                   ad_client_buffers_of(c)->cors);
    ad_put_head(reply, status, "application/json", json->len, fields);
    ad_put(reply, json->at, json->len);
    ad_client_end(c);
}

static void ad_exchange_fail(struct ad_client *c, int status, const char *why,
                             struct ad_text *reply)
{
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    ad_put_http_error(&t, status, why);
    ad_exchange_answer(c, status, &t, reply);
}

/* Has its body come, and its answer waits for the key file? */
static bool ad_exchange_waits(const struct ad_client *c)
{
    return c->phase == AD_OPEN && c->kind == AD_COMMAND &&
           ad_client_buffers_of(c)->auth.ticket != 0;
}

/* -- POST /ingest -- */

/* One line; len SIZE_MAX: it was too long. Many lines come at once: the viewers
 * get their events before the feed overruns them. */
static void ad_ingest_line(struct ad_client *c, const uint8_t *line, size_t len)
{
    struct ad_ingest_report *report = &ad_client_buffers_of(c)->report;
    const char *fault;

    if (ad_is_blank(line, len)) {
        return;
    }
    fault = ad_ingest(line, len);
    if (fault == NULL) {
        report->accepted++;
    } else {
        report->rejected++;
        if (report->n < AD_INGEST_ERRORS) {
            report->errors[report->n].line = c->in.post.lines.line;
            report->errors[report->n].reason = fault;
            report->n++;
        }
    }
    if (ad_events_due()) {
        ad_fan_out();
    }
}

/* The body is not one JSON object: read what is buffered of it as lines. */
static void ad_ingest_unwhole(struct ad_client *c)
{
    struct ad_lines *lines = &c->in.post.lines;
    uint8_t *buf = ad_client_buffers_of(c)->in, copy[AD_LINE_CAP];
    const uint8_t *line, *at = copy;
    size_t left = lines->len, n, used;
    bool ended;

    memcpy(copy, buf, left);
    c->in.post.whole = false;
    lines->len = 0;
    while (left > 0) {
        used = ad_lines_next(lines, buf, at, left, &line, &n, &ended);
        if (ended) {
            ad_ingest_line(c, line, n);
        }
        at += used;
        left -= used;
    }
}

static void ad_ingest_answer(struct ad_client *c, struct ad_text *reply)
{
    const struct ad_ingest_report *report = &ad_client_buffers_of(c)->report;
    char json[AD_INGEST_ERRORS * 128 + 128];
    struct ad_text t = ad_text_in(json, sizeof(json));
    bool good = report->accepted > 0 || report->rejected == 0;
    unsigned i;

    ad_putf(&t, "{\"accepted\":%llu,\"rejected\":%llu,\"errors\":[",
            (unsigned long long)report->accepted,
            (unsigned long long)report->rejected);
    for (i = 0; i < report->n; i++) {
        ad_putf(&t, "%s{\"line\":%u,\"message\":", i > 0 ? "," : "",
                report->errors[i].line);
        ad_put_string(&t, report->errors[i].reason);
        ad_puts(&t, "}");
    }
    ad_puts(&t, ad_engine.paused ? "],\"paused\":true}" : "],\"paused\":false}");
    ad_exchange_answer(c, good ? 200 : 400, &t, reply);
}

/* -- streams: ingests without an end -- */

/* Their slots, and those of some that have ended since. */
static struct {
    unsigned n;
    uint16_t slot[AIDASH_STREAMS];
} ad_streams;

/* Before each run. */
static void ad_exchanges_init(void)
{
    memset(&ad_streams, 0, sizeof(ad_streams));
}

static void ad_streams_forget_ended(void)
{
    unsigned i = 0;

    while (i < ad_streams.n) {
        const struct ad_client *c = &ad_clients[ad_streams.slot[i]];

        if (c->phase == AD_OPEN && c->kind == AD_INGEST &&
            c->in.post.endless) {
            i++;
        } else {
            ad_streams.slot[i] = ad_streams.slot[--ad_streams.n];
        }
    }
}

/* Let the stream that has been silent the longest give way, one of this address
 * if `own`. False if none has been for AD_SILENCE_MS. */
static bool ad_stream_give_way(uint64_t address, bool own)
{
    char bytes[AD_OUT_CAP];
    struct ad_text t = ad_text_in(bytes, sizeof(bytes));
    struct ad_client *silent = NULL;
    uint32_t longest_ms = AD_SILENCE_MS;
    unsigned i;

    for (i = 0; i < ad_streams.n; i++) {
        struct ad_client *c = &ad_clients[ad_streams.slot[i]];
        uint32_t ms = ad_hub.now_ms - c->rx_ms;

        if ((c->address == address || !own) && ms >= longest_ms) {
            longest_ms = ms;
            silent = c;
        }
    }
    if (silent == NULL) {
        return false;
    }
    ad_exchange_fail(silent, 408,
                     "this stream was silent, and another one needs its place",
                     &t);
    (void)ad_client_send(silent, &t);
    return true;
}

/* Is there room for one more stream of this address? Else *why says which limit
 * was reached. */
static bool ad_stream_room(uint64_t address, struct ad_text *why)
{
    unsigned i, own = 0;
    bool own_full;

    ad_streams_forget_ended();
    for (i = 0; i < ad_streams.n; i++) {
        own += ad_clients[ad_streams.slot[i]].address == address;
    }
    own_full = own >= AIDASH_STREAMS_PER_ADDRESS;
    if (!own_full && ad_streams.n < AIDASH_STREAMS) {
        return true;
    }
    if (ad_stream_give_way(address, own_full)) {
        ad_streams_forget_ended(); /* its slot may be the next stream's */
        return true;
    }
    if (own_full) {
        ad_putf(why, "this address has %u endless POST /ingest already "
                     "(AIDASH_STREAMS_PER_ADDRESS)", own);
    } else {
        ad_putf(why, "there are %u endless POST /ingest already "
                     "(AIDASH_STREAMS)", ad_streams.n);
    }
    return false;
}

/* This client, which is open, is a stream. Behind ad_stream_room(). */
static void ad_stream_add(const struct ad_client *c)
{
    ad_streams_forget_ended();
    if (ad_streams.n < AIDASH_STREAMS) {
        ad_streams.slot[ad_streams.n++] = (uint16_t)ad_client_index(c);
    }
}

/* -- the body of a POST -- */

/* Where it is counted how often the peer sends commands. NULL: it has no limit. */
static uint64_t *ad_exchange_command_bucket(const struct ad_client *c)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);

    if (ad_address_is_own(c->address) ||
        (getpeername(ad_client_socket(c), (struct sockaddr *)&peer, &len) == 0 &&
         ad_access_trusted(&peer))) {
        return NULL;
    }
    return &ad_throttle_entry(c->address)->full_ns[AD_BUDGET_COMMAND];
}

/* The body has ended: the last line of it, or all of it, and the answer. */
static void ad_exchange_end(struct ad_client *c, struct ad_text *reply)
{
    struct ad_client_buffers *buffers = ad_client_buffers_of(c);
    struct ad_lines *lines = &c->in.post.lines;
    size_t len = lines->skip || lines->len > AIDASH_MESSAGE_MAX ? SIZE_MAX
                                                                : lines->len;
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));
    int status;

    if (c->kind == AD_INGEST) {
        if (c->in.post.whole &&
            ad_json_fault((const char *)buffers->in, lines->len)) {
            ad_ingest_unwhole(c);
            len = lines->len;
        }
        lines->line++;
        ad_ingest_line(c, buffers->in, len);
        ad_ingest_answer(c, reply);
    } else if (buffers->auth.answer != NULL) {
        buffers->auth.answer(c, buffers->in, len, reply);
    } else {
        const struct ad_asker who = ad_client_asker(c);

        status = ad_command(buffers->in, len, "", ad_client_socket(c), &who,
                            ad_exchange_command_bucket(c), &t);
        ad_exchange_answer(c, status, &t, reply);
    }
}

/* A piece of a body that is buffered whole. Returns how many bytes were used: 0
 * if an ingest is too long for that and is read as lines from now on. */
static size_t ad_exchange_buffer(struct ad_client *c, const uint8_t *piece,
                                 size_t n)
{
    struct ad_lines *lines = &c->in.post.lines;

    if (n > AD_LINE_CAP - lines->len) {
        ad_ingest_unwhole(c);
        return 0;
    }
    memcpy(ad_client_buffers_of(c)->in + lines->len, piece, n);
    lines->len += (uint32_t)n;
    return n;
}

/* A piece of the body, without its framing. Lines of an ingest stream take
 * effect as they come. */
static void ad_exchange_body(struct ad_client *c, const uint8_t *piece,
                             size_t n)
{
    uint8_t *buf = ad_client_buffers_of(c)->in;
    const uint8_t *line;
    size_t used, line_len;
    bool ended;

    while (n > 0) {
        if (c->in.post.whole) {
            used = ad_exchange_buffer(c, piece, n);
        } else {
            used = ad_lines_next(&c->in.post.lines, buf, piece, n, &line,
                                 &line_len, &ended);
            if (ended) {
                ad_ingest_line(c, line, line_len);
            }
        }
        piece += used;
        n -= used;
    }
}

/* Bytes of an open POST. All are used; what comes behind the body is nothing. */
static void ad_exchange_input(struct ad_client *c, const uint8_t *data,
                              size_t len, struct ad_text *reply)
{
    struct ad_body *body = &c->in.post.body;

    if (ad_exchange_waits(c)) {
        return;
    }
    while (len > 0 && body->state != AD_BODY_DONE &&
           body->state != AD_BODY_BAD) {
        const uint8_t *piece = NULL;
        size_t n, used = ad_body_next(body, data, len, &piece, &n);

        c->in.post.data += n;
        if (c->kind == AD_COMMAND && c->in.post.data > AIDASH_MESSAGE_MAX) {
            ad_exchange_fail(c, 413,
                             ad_client_buffers_of(c)->auth.answer != NULL
                                 ? "the body is longer than the limit"
                                 : "a command is longer than the limit",
                             reply);
            return;
        }
        ad_exchange_body(c, piece, n);
        data += used;
        len -= used;
    }
    if (body->state == AD_BODY_BAD) {
        ad_exchange_fail(c, 400, "the body's chunks are malformed", reply);
    } else if (body->state == AD_BODY_DONE) {
        ad_exchange_end(c, reply);
    }
}

/* Once a second, while it is open: the end of a POST whose credential no longer
 * holds, or whose body does not come in time. */
static bool ad_exchange_housekeeping(struct ad_client *c)
{
    char bytes[AD_OUT_CAP];
    struct ad_text t = ad_text_in(bytes, sizeof(bytes));

    if (c->kind == AD_TICKS || ad_exchange_waits(c)) {
        return true;
    }
    if (!ad_client_holds(c)) {
        ad_exchange_fail(c, 401, "the key or token has expired or was revoked",
                         &t);
        return ad_client_send(c, &t);
    }
    if (c->in.post.endless) {
        return true;
    }
    if (ad_hub_too_slow(c->since_ms, c->in.post.data)) {
        ad_exchange_fail(c, 408, "the body came at less than 16 KiB a second",
                         &t);
    } else if (ad_hub.now_ms - c->rx_ms >= AD_SILENCE_MS) {
        ad_exchange_fail(c, 408, "the body did not arrive", &t);
    }
    return ad_client_send(c, &t);
}

/* -- who gives way -- */

/* Does an exchange send its body, or take its answer, at less than AD_RATE_MIN
 * after AD_GRACE_MS? A stream may be silent. */
static bool ad_exchange_slow(const struct ad_client *c)
{
    if (c->phase == AD_FREE || ad_kind_class(c->kind) == 0 || ad_exchange_waits(c)) {
        return false;
    }
    if (c->blocked) {
        return ad_hub_slower(c->since_ms, c->sent, AD_GRACE_MS);
    }
    return c->phase == AD_OPEN && c->kind != AD_TICKS && !c->in.post.endless &&
           ad_hub_slower(c->since_ms, c->in.post.data, AD_GRACE_MS);
}

/* All places for exchanges are taken: free that of a client that has its whole
 * answer, else of the one that has been slow the longest. False if there is
 * none. */
static bool ad_exchange_evict(void)
{
    char bytes[AD_OUT_CAP];
    struct ad_text t = ad_text_in(bytes, sizeof(bytes));
    struct ad_client *slowest = NULL;
    unsigned i;

    for (i = 0; i < ad_slots.n_exchanges; i++) {
        struct ad_client *c = &ad_clients[ad_slots.exchanges[i]];

        if (c->phase == AD_LINGERING) {
            ad_client_drop(c);
            return true;
        }
        if (ad_exchange_slow(c) &&
            (slowest == NULL || ad_hub.now_ms - c->since_ms >
                                    ad_hub.now_ms - slowest->since_ms)) {
            slowest = c;
        }
    }
    if (slowest == NULL) {
        return false;
    }
    if (!slowest->blocked) {
        ad_exchange_fail(slowest, 408,
                         "the body came slowly, and another request needs its "
                         "place", &t);
    }
    if (ad_client_send(slowest, &t)) {
        ad_client_drop(slowest);
    }
    return true;
}

/* -- GET /ticks -- */

/* The next elements for a client into ad_formatted. */
static void ad_ticks_format(const struct ad_client *c)
{
    struct ad_text t = ad_text_in(ad_formatted.bytes,
                                  sizeof(ad_formatted.bytes));
    uint64_t seq = c->next;

    ad_formatted.form = AD_FORMAT_TICKS;
    ad_formatted.n = 0;
    ad_formatted.len = 0;
    while (ad_formatted.n < AD_UNITS && ad_formatted.n < c->in.ticks.limit) {
        bool first = !c->in.ticks.started && ad_formatted.n == 0;

        if (!ad_format_tick(&t, &seq, c->in.ticks.until, first) || t.full) {
            break;
        }
        ad_formatted.end[ad_formatted.n] = ad_formatted.len = t.len;
        ad_formatted.seq[ad_formatted.n++] = seq;
    }
}

/* All elements are sent: the end of the JSON. */
static bool ad_ticks_end(struct ad_client *c)
{
    uint64_t last = c->in.ticks.limit == 0 ? c->next - 1
                                           : c->in.ticks.until - 1;
    char tail[96];
    struct ad_text t = ad_text_in(tail, sizeof(tail));

    ad_putf(&t, "],\"last_seq\":%llu,\"missed\":%u,\"run\":\"%s\"}",
            (unsigned long long)last, c->in.ticks.missed, ad_hub.run);
    ad_client_end(c);
    return ad_client_send(c, &t);
}

/* Send the elements, as far as the socket takes them, and then the end. */
static bool ad_ticks_send(struct ad_client *c)
{
    struct ad_outgoing o;

    while (c->phase == AD_OPEN && !c->blocked) {
        uint64_t first = ad_feed.first < c->in.ticks.until ? ad_feed.first
                                                           : c->in.ticks.until;

        if (c->next < first) {
            c->in.ticks.missed += (uint32_t)(first - c->next);
            c->next = first;
        }
        ad_gather_unsent(&o, c);
        ad_ticks_format(c);
        if (ad_formatted.n > 0) {
            ad_gather_formatted(&o);
        }
        if (o.n == 0) {
            return ad_ticks_end(c);
        }
        if (!ad_client_write(c, &o)) {
            ad_client_drop(c);
            return false;
        }
        if (o.units > 0) {
            c->in.ticks.started = true;
            c->in.ticks.limit -= o.units;
        }
    }
    return ad_client_flush(c);
}

AD_MEMORY(streams, AIDASH_STREAMS, sizeof(ad_streams));

#endif
