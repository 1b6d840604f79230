/* routes.c - what a judged request leads to. Hub thread only.
 *
 * A connection that lasts, and an answer that may be long, is the hub's own from
 * here on: viewers, GET /ticks, bodies, proxied requests. Short answers and the
 * WebSocket handshake are civetweb's, behind glass (workers.c, pages.c).
 * Owns ad_route_fields.
 */
#ifndef AD_WEB_ROUTES_C
#define AD_WEB_ROUTES_C

#include "../core/access.c"
#include "../meter/identity.c"
#include "../meter/meter.c"
#include "../meter/usage.c"
#include "assets.c"
#include "workers.c"

enum { AD_ROUTES_FIELD_MAX = 256 }; /* bytes of a field that a worker gets */

/* A request, and where its connection waits. Slices point into its buffer: they
 * are gone when an answer is written there. */
struct ad_route_request {
    struct ad_pending *pending;
    bool head_only; /* the method is HEAD */
    struct ad_http_head head;
    struct ad_access_verdict verdict;
    char cors[AD_CORS_MAX]; /* header lines for its answer, or "" */
    char *prefix;           /* of its body, as far as it came with the head */
    size_t prefix_len;
};

/* The fields of the head that is judged. */
static struct ad_http_field ad_route_fields[AD_HTTP_FIELDS];

static bool ad_route_is(const struct ad_route_request *r, const char *method)
{
    return ad_http_is_method(&r->head, method);
}

/* A value in the query. False if it is not there. */
static bool ad_route_query_text(const struct ad_route_request *r,
                                const char *name, struct ad_slice *value)
{
    struct ad_slice rest = r->head.query, item;
    size_t len = strlen(name);

    while (rest.len > 0 && ad_http_cut(&rest, '&', &item)) {
        if (ad_slice_begins(item, name) && item.len > len &&
            item.at[len] == '=') {
            *value = ad_slice_from(item, len + 1);
            return true;
        }
    }
    return false;
}

/* A number of 0..max in the query. Returns 1 if it is there, 0 if not, -1 if it
 * is malformed. */
static int ad_route_query(const struct ad_route_request *r, const char *name,
                          uint64_t max, uint64_t *value)
{
    struct ad_slice text;

    if (!ad_route_query_text(r, name, &text)) {
        return 0;
    }
    return ad_decimal_u64(text.at, text.len, max, value) ? 1 : -1;
}

/* The event that a client knows last: SEQ of this run, or RUN-SEQ. Who knows
 * another run knows nothing of this one: 0. False if it is neither. */
static bool ad_route_seq(struct ad_slice text, uint64_t *seq)
{
    const char *dash = text.len > 0 ? memchr(text.at, '-', text.len) : NULL;
    struct ad_slice run = {text.at, 0};
    size_t i;

    if (dash != NULL) {
        run = ad_slice_between(text.at, dash);
        text = ad_slice_from(text, run.len + 1);
        if (run.len == 0 || run.len > AD_RUN_MAX) {
            return false;
        }
    }
    for (i = 0; i < run.len; i++) {
        if (ad_hex(run.at[i]) < 0) {
            return false;
        }
    }
    if (!ad_decimal_u64(text.at, text.len, UINT64_MAX, seq)) {
        return false;
    }
    if (run.len > 0 && !ad_slice_is(run, ad_hub.run)) {
        *seq = 0;
    }
    return true;
}

/* ---- short answers ---- */

static void ad_route_refuse(const struct ad_route_request *r, unsigned status,
                            const char *fields, const char *why)
{
    ad_pending_refuse(r->pending, status, fields, why, r->head_only);
}

static void ad_route_fault(const struct ad_route_request *r,
                           enum ad_http_fault fault)
{
    ad_route_refuse(r, ad_http_fault_status(fault), ad_http_fault_fields(fault),
                    ad_http_fault_text(fault));
}

/* A head without a body: to HEAD, OPTIONS and the like. */
static void ad_route_head(const struct ad_route_request *r, int status,
                          const char *type, const char *fields)
{
    struct ad_text t = ad_text_in(ad_pending_buffer(r->pending),
                                  AIDASH_HEAD_MAX);

    ad_put_head(&t, status, type, SIZE_MAX, fields);
    ad_pending_answer(r->pending, t.len);
}

/* RFC 9110 9.3.7, and the preflight of a page elsewhere (Fetch, 4.8). */
static void ad_route_options(const struct ad_route_request *r,
                             const char *allow)
{
    char fields[AD_CORS_MAX + AD_REPLY_MAX], allowed[AD_CORS_MAX + 256] = "";

    if (r->cors[0] != '\0') {
        (void)snprintf(allowed, sizeof(allowed),
                       "%sAccess-Control-Allow-Methods: %s\r\n"
                       "Access-Control-Allow-Headers: Content-Type, "
                       "Last-Event-ID\r\nAccess-Control-Max-Age: 600\r\n",
                       r->cors, allow);
    }
    (void)snprintf(fields, sizeof(fields), "Allow: %s\r\n%s", allow, allowed);
    ad_route_head(r, 204, NULL, fields);
}

/* ---- what a worker answers ---- */

/* The canonical head of the request, for a worker: what is put here is all that
 * it will know. */
static struct ad_text ad_route_canonical(const struct ad_route_request *r,
                                         char out[AD_WORKERS_HEAD_MAX])
{
    struct ad_text t = ad_text_in(out, AD_WORKERS_HEAD_MAX);

    (void)ad_http_put_request_line(&t, r->head.method, r->head.path, NULL);
    ad_puts(&t, "Host: aidash\r\n");
    if (r->verdict.origin.len > 0) {
        (void)ad_http_put_field(&t, ad_slice_of("Origin"), r->verdict.origin);
    }
    return t;
}

static void ad_route_to_worker(const struct ad_route_request *r)
{
    char head[AD_WORKERS_HEAD_MAX];
    struct ad_text t = ad_route_canonical(r, head);
    const struct ad_asset *asset = ad_asset_find(r->head.path.at,
                                                 r->head.path.len);
    bool gzip = ad_http_wants_gzip(&r->head);

    if (gzip) {
        (void)ad_http_put_field_text(&t, "Accept-Encoding", "gzip");
    }
    if (asset != NULL &&
        ad_http_has_etag(&r->head.fields, ad_asset_etag(asset, gzip))) {
        (void)ad_http_put_field_text(&t, "If-None-Match", "*");
    }
    ad_http_put_end(&t);
    ad_worker_ask(r->pending, &t, "", 0);
}

/* A slot for a connection that lasts, or an answer that there is none. The last
 * descriptors stay for those that do not last. */
static bool ad_route_reserve(const struct ad_route_request *r,
                             enum ad_kind kind)
{
    unsigned class = ad_kind_class(kind);

    if (!ad_spares_regain(r->pending) && ad_share_victim() == AD_NO_PLACE) {
        ad_route_refuse(r, 503, "Retry-After: 5\r\n",
                        "no descriptor is left for this connection (ulimit -n)");
        return false;
    }
    if (ad_slot_reserve(class) ||
        (class == 1 && ad_exchange_evict() && ad_slot_reserve(class))) {
        return true;
    }
    ad_route_refuse(r, 503, "Retry-After: 5\r\n",
                    class == 0 ? "all places for viewers are taken"
                               : "all places for exchanges are taken");
    return false;
}

/* A WebSocket handshake: judged here by RFC 6455 4.2.1, carried out by
 * civetweb's WebSocket handler, then a viewer. */
static void ad_route_websocket(const struct ad_route_request *r)
{
    struct ad_pending *p = r->pending;
    struct ad_slice path = r->head.path, key;
    enum ad_http_fault fault = ad_http_judge_handshake(&r->head);
    char head[AD_WORKERS_HEAD_MAX];
    uint64_t batch = 0;
    struct ad_text t;

    if (!ad_slice_begins(path, "/ws/")) {
        ad_route_refuse(r, 404, "", "WebSockets are at /ws/{client_id}");
        return;
    }
    if (fault == AD_HTTP_NOT_GET) {
        ad_route_fault(r, fault);
        return;
    }
    if (!ad_client_id(path.at + 4, path.len - 4, p->client_id)) {
        ad_route_refuse(r, 400, "",
                        "client_id must be 1 to 64 characters of A-Z a-z 0-9 "
                        ". _ ~ -");
        return;
    }
    if (fault != AD_HTTP_OK) {
        ad_route_fault(r, fault);
        return;
    }
    if (!ad_route_reserve(r, AD_WS)) {
        return;
    }
    p->upgrades = true;
    p->batch = ad_route_query(r, "batch", 9, &batch) == 1 &&
               batch == 1;
    t = ad_route_canonical(r, head);
    ad_puts(&t, "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\n");
    (void)ad_http_field_get(&r->head.fields, "Sec-WebSocket-Key", &key);
    (void)ad_http_put_field(&t, ad_slice_of("Sec-WebSocket-Key"), key);
    ad_http_put_end(&t);
    ad_worker_ask(p, &t, r->prefix, r->prefix_len);
}

/* ---- what the hub serves ---- */

/* The connection becomes a client, in the slot that was reserved. */
static void ad_route_attach(const struct ad_route_request *r,
                            struct ad_attach *a)
{
    a->cors = r->cors;
    a->address = r->pending->address;
    a->rest = (uint8_t *)r->prefix;
    a->rest_len = r->prefix_len;
    a->fd = ad_pending_detach(r->pending);
    if (!ad_client_attach(a)) {
        ad_peer_close(a->fd, a->address);
    }
}

static void ad_route_ticks(const struct ad_route_request *r)
{
    char fields[AD_CORS_MAX + sizeof(AD_FIELDS_FRESH)];
    uint64_t since = 0, limit = 100, last = 0;
    struct ad_slice known;
    struct ad_attach a;

    memset(&a, 0, sizeof(a));
    if ((ad_route_query_text(r, "since", &known) &&
         !ad_route_seq(known, &since)) ||
        ad_route_query(r, "limit", 10000, &limit) < 0 ||
        ad_route_query(r, "last", 10000, &last) < 0 || limit < 1) {
        ad_route_refuse(r, 400, "",
                        "since is SEQ or RUN-SEQ; limit and last are whole "
                        "numbers from 1 to 10000");
        return;
    }
    if (r->head_only) {
        (void)snprintf(fields, sizeof(fields), AD_FIELDS_FRESH "%s", r->cors);
        ad_route_head(r, 200, "application/json", fields);
        return;
    }
    a.kind = AD_TICKS;
    a.has_since = true;
    a.since = since;
    a.limit = (uint32_t)limit;
    a.last = (uint32_t)last;
    if (ad_route_reserve(r, a.kind)) {
        ad_route_attach(r, &a);
    }
}

static void ad_route_events(const struct ad_route_request *r)
{
    char fields[AD_CORS_MAX + sizeof(AD_FIELDS_SSE)];
    struct ad_slice last;
    struct ad_attach a;
    bool found = false;

    memset(&a, 0, sizeof(a));
    if (ad_route_query_text(r, "last_event_id", &last)) {
        found = ad_route_seq(last, &a.since);
        if (!found) {
            ad_route_refuse(r, 400, "", "last_event_id is SEQ or RUN-SEQ");
            return;
        }
    }
    if (ad_http_field_get(&r->head.fields, "Last-Event-ID", &last) &&
        ad_route_seq(last, &a.since)) {
        found = true;
    }
    if (r->head_only) {
        (void)snprintf(fields, sizeof(fields), AD_FIELDS_SSE "%s", r->cors);
        ad_route_head(r, 200, "text/event-stream", fields);
        return;
    }
    a.kind = AD_SSE;
    a.has_since = found;
    if (ad_route_reserve(r, a.kind)) {
        ad_route_attach(r, &a);
    }
}

static void ad_route_body(const struct ad_route_request *r, enum ad_kind kind)
{
    struct ad_slice type = {"", 0}, media, coding;
    char sentence[128];
    struct ad_text why = ad_text_in(sentence, sizeof(sentence));
    struct ad_attach a;

    memset(&a, 0, sizeof(a));
    if (kind == AD_COMMAND && r->head.length > AIDASH_MESSAGE_MAX) {
        ad_route_refuse(r, 413, "", "a command is longer than the limit");
        return;
    }
    if (ad_http_field_get(&r->head.fields, "Content-Encoding", &coding) &&
        coding.len > 0 && !ad_slice_is_nocase(coding, "identity")) {
        ad_route_refuse(r, 415, "Accept-Encoding: identity\r\n",
                        "a compressed body is not taken here");
        return;
    }
    (void)ad_http_field_get(&r->head.fields, "Content-Type", &type);
    (void)ad_http_cut(&type, ';', &media);
    a.kind = kind;
    a.whole = kind == AD_COMMAND ||
              ad_slice_is_nocase(media, "application/json");
    a.expects = r->head.expects_continue;
    ad_body_begin(&a.body, &r->head);
    if (ad_attach_is_stream(&a) &&
        !ad_stream_room(r->pending->address, &why)) {
        ad_route_refuse(r, 503, "Retry-After: 5\r\n", sentence);
        return;
    }
    if (ad_route_reserve(r, kind)) {
        ad_route_attach(r, &a);
    }
}

static void ad_route_ingest(const struct ad_route_request *r)
{
    ad_route_body(r, AD_INGEST);
}

static void ad_route_command(const struct ad_route_request *r)
{
    ad_route_body(r, AD_COMMAND);
}

#if AIDASH_METER

/* The requests that run, then the records that are kept: as many as fit the
 * buffer. p->cursor counts the running ones first, then the records; p->last is
 * how many records are wanted. */
static void ad_requests_more(struct ad_pending *p)
{
    struct ad_text t = ad_text_in(ad_pending_buffer(p), AD_PENDING_BYTES);
    size_t room = AD_PENDING_BYTES - AD_RECORD_MAX - 32;

    while (p->cursor < AIDASH_FLOWS && t.len < room) {
        const struct ad_proxy *f = &ad_proxies[p->cursor++];

        if (ad_proxy_runs(f)) {
            ad_puts(&t, p->answered ? "," : "");
            ad_put_running(&t, f);
            p->answered = true;
        }
    }
    if (p->cursor == AIDASH_FLOWS && t.len < room) {
        uint64_t n = ad_records.count;

        ad_puts(&t, "],\"requests\":[");
        p->answered = false;
        p->cursor = AIDASH_FLOWS + 1 + (n > p->last ? n - p->last : 0);
    }
    while (p->cursor > AIDASH_FLOWS && t.len < room &&
           p->cursor - AIDASH_FLOWS - 1 < ad_records.count) {
        uint64_t number = p->cursor - AIDASH_FLOWS - 1;
        uint64_t oldest = ad_records.count > AIDASH_RECORDS
                              ? ad_records.count - AIDASH_RECORDS
                              : 0;
        const struct ad_record *kept = &ad_records.ring[number %
                                                        AIDASH_RECORDS];

        if (number < oldest) { /* it was overwritten meanwhile */
            p->cursor++;
            continue;
        }
        ad_puts(&t, p->answered ? "," : "");
        ad_put(&t, kept->json, kept->len);
        p->answered = true;
        p->cursor++;
    }
    if (p->cursor > AIDASH_FLOWS && t.len < room) {
        ad_puts(&t, "]}");
        p->more = NULL;
    }
    p->len = (uint32_t)t.len;
}

static void ad_route_requests(const struct ad_route_request *r)
{
    struct ad_pending *p = r->pending;
    struct ad_text t = ad_text_in(ad_pending_buffer(p), AIDASH_HEAD_MAX);
    uint64_t last = AIDASH_RECORDS;
    char why[64];

    if (ad_route_query(r, "last", AIDASH_RECORDS, &last) < 0) {
        (void)snprintf(why, sizeof(why), "last is a whole number from 0 to %d",
                       AIDASH_RECORDS);
        ad_route_refuse(r, 400, "", why);
        return;
    }
    ad_put_head(&t, 200, "application/json", SIZE_MAX, r->cors);
    if (!r->head_only) {
        ad_puts(&t, "{\"running\":[");
        p->cursor = 0;
        p->last = last;
        p->more = ad_requests_more;
    }
    ad_pending_answer(p, t.len);
}

/* A name in the query, one of `names`, into *value: its place. False if it is
 * none of them; *value stays if the query has none. */
static bool ad_route_choice(const struct ad_route_request *r, const char *name,
                            const char *const *names, unsigned n,
                            unsigned *value)
{
    struct ad_slice text;
    unsigned i;

    if (!ad_route_query_text(r, name, &text)) {
        return true;
    }
    for (i = 0; i < n; i++) {
        if (ad_slice_is(text, names[i])) {
            *value = i;
            return true;
        }
    }
    return false;
}

static void ad_route_usage(const struct ad_route_request *r)
{
    static const char *const formats[] = {"json", "csv"};
    struct ad_pending *p = r->pending;
    char fields[AD_CORS_MAX + sizeof("Vary: Accept\r\n" AD_FIELDS_FRESH)];
    unsigned by = AD_PER_ROW, span = AD_SPAN_ALL;
    unsigned csv = ad_http_wants_csv(&r->head) ? 1 : 0;
    struct ad_usage_ask ask;
    struct ad_text t;

    if (!ad_route_choice(r, "by", ad_usage_by_names, AD_PER_COUNT, &by) ||
        !ad_route_choice(r, "span", ad_usage_span_names,
                         AD_COUNT(ad_usage_span_names), &span) ||
        !ad_route_choice(r, "format", formats, AD_COUNT(formats), &csv)) {
        ad_route_refuse(r, 400, "",
                        "by is row, client, address, key, agent or model; span "
                        "is today, 24h or all; format is json or csv");
        return;
    }
    ask.by = (enum ad_usage_by)by;
    ask.span = (enum ad_usage_span)span;
    ask.csv = csv == 1;
    (void)snprintf(fields, sizeof(fields), "Vary: Accept\r\n" AD_FIELDS_FRESH "%s",
                   r->cors);
    t = ad_text_in(ad_pending_buffer(p), AIDASH_HEAD_MAX);
    ad_put_head(&t, 200, ask.csv ? "text/csv; charset=utf-8; header=present"
                                 : "application/json", SIZE_MAX, fields);
    if (!r->head_only) {
        p->cursor = 0;
        p->last = ad_usage_packed(&ask);
        p->more = ad_usage_more;
    }
    ad_pending_answer(p, t.len);
}

/* The results of benchmarks that are kept: as many pieces as fit the buffer.
 * p->cursor counts AD_BENCH_PIECES for each; p->last is the first number behind
 * those that are wanted. */
enum { AD_BENCH_PIECES = AD_BENCH_STEPS + 2 }; /* its begin, each step, its end */

static void ad_bench_piece(struct ad_text *t, struct ad_pending *p)
{
    uint64_t number = p->cursor / AD_BENCH_PIECES;
    unsigned piece = (unsigned)(p->cursor % AD_BENCH_PIECES);
    const struct ad_bench_result *r = ad_bench_result(number);
    bool gone = number + AIDASH_BENCHES <= ad_bench.count; /* overwritten */

    p->cursor++;
    if (piece == 0 && gone) {
        p->cursor += AD_BENCH_PIECES - 1;
    } else if (piece == 0) {
        ad_puts(t, p->answered ? "," : "");
        ad_bench_put_result(t, number);
        p->answered = true;
    } else if (piece == AD_BENCH_PIECES - 1) {
        ad_puts(t, "]}");
    } else if (!gone && piece <= r->n_steps) {
        ad_puts(t, piece > 1 ? "," : "");
        ad_bench_put_step(t, &r->steps[piece - 1]);
    }
}

static void ad_bench_more(struct ad_pending *p)
{
    struct ad_text t = ad_text_in(ad_pending_buffer(p), AIDASH_HEAD_MAX);

    while (p->cursor < p->last * AD_BENCH_PIECES &&
           t.len + AD_BENCH_JSON_MAX + 8 < AIDASH_HEAD_MAX) {
        ad_bench_piece(&t, p);
    }
    if (p->cursor >= p->last * AD_BENCH_PIECES &&
        t.len + 8 < AIDASH_HEAD_MAX) {
        ad_puts(&t, "]}");
        p->more = NULL;
    }
    p->len = (uint32_t)t.len;
}

static void ad_route_bench(const struct ad_route_request *r)
{
    struct ad_pending *p = r->pending;
    struct ad_text t = ad_text_in(ad_pending_buffer(p), AIDASH_HEAD_MAX);
    uint64_t id = 0, first = ad_bench.count > AIDASH_BENCHES
                                ? ad_bench.count - AIDASH_BENCHES + 1
                                : 1;
    int given = ad_route_query(r, "id", UINT32_MAX, &id);

    if (given < 0 || (given > 0 && (id < first || id > ad_bench.count))) {
        ad_route_refuse(r, given < 0 ? 400 : 404, "",
                        given < 0 ? "id is the number of a benchmark"
                                  : "there is no such benchmark");
        return;
    }
    ad_put_head(&t, 200, "application/json", SIZE_MAX, r->cors);
    if (!r->head_only) {
        ad_puts(&t, "{\"results\":[");
        p->cursor = (given > 0 ? id : first) * AD_BENCH_PIECES;
        p->last = (given > 0 ? id : ad_bench.count) + 1;
        p->more = ad_bench_more;
    }
    ad_pending_answer(p, t.len);
}

/* ---- what goes to the engine ---- */

/* An error in the shape of the API that was asked. */
static void ad_route_api_error(const struct ad_route_request *r, int status,
                               const char *type, const char *why)
{
    char json[2 * AD_REPLY_MAX];
    struct ad_text j = ad_text_in(json, sizeof(json));
    struct ad_text t = ad_text_in(ad_pending_buffer(r->pending),
                                  AIDASH_HEAD_MAX);

    ad_put_api_error(&j, ad_api_of(r->head.path), status, type, why);
    ad_put_head(&t, status, "application/json", j.len,
                status == 503 ? "Retry-After: 5\r\n" : "");
    if (!r->head_only) {
        ad_put(&t, j.at, j.len);
    }
    ad_pendings.refused++;
    ad_pending_answer(r->pending, t.len);
}

/* Is it a field by which a proxy tells of its client? */
static bool ad_route_tells_client(struct ad_slice name)
{
    static const char prefix[] = "X-Forwarded-";
    struct ad_slice begin = name;

    begin.len = sizeof(prefix) - 1;
    return ad_slice_is_nocase(name, "Forwarded") ||
           (name.len >= begin.len && ad_slice_is_nocase(begin, prefix));
}

/* Does this field ask for an answer in another form? A list that is put together of
 * several answers needs each as it is. */
static bool ad_route_changes_form(struct ad_slice name)
{
    static const char *const names[] = {
        "Accept-Encoding", "Range", "If-Range", "If-Match", "If-None-Match",
        "If-Modified-Since", "If-Unmodified-Since"};
    size_t i;

    for (i = 0; i < AD_COUNT(names); i++) {
        if (ad_slice_is_nocase(name, names[i])) {
            return true;
        }
    }
    return false;
}

/* Does the engine get this field of the client as it is? Not those that end here
 * (RFC 9110 7.6.1), nor those that the proxy writes itself. */
static bool ad_route_passes(const struct ad_route_request *r,
                            struct ad_slice name, bool trusted)
{
    static const char *const ours[] = {
        "Host", "Expect", "Content-Length", "X-Forwarded-For",
        "X-Forwarded-Proto", "X-Forwarded-Host"};
    size_t i;

    for (i = 0; i < AD_COUNT(ours); i++) {
        if (ad_slice_is_nocase(name, ours[i])) {
            return false;
        }
    }
    return !ad_http_is_hop_by_hop(&r->head, name) &&
           (trusted || !ad_route_tells_client(name));
}

/* Who asks, and by which address, for engines that write links to themselves. What
 * a trusted proxy says of its client holds (--trust-proxy); its own address goes
 * behind those that it names. */
static void ad_route_put_forwarded(const struct ad_route_request *r,
                                   struct ad_text *t, bool trusted)
{
    const struct ad_http_fields *fields = &r->head.fields;
    struct ad_http_forwarded said;
    struct ad_slice scheme = ad_slice_of("http");
    struct ad_http_host host = r->head.host;
    bool has_host = r->head.has_host;
    char address[AD_ADDRESS_TEXT_MAX];
    size_t i;

    ad_puts(t, "X-Forwarded-For: ");
    for (i = 0; i < fields->n && trusted; i++) {
        if (ad_slice_is_nocase(fields->at[i].name, "X-Forwarded-For") &&
            fields->at[i].value.len > 0) {
            ad_http_put_slice(t, fields->at[i].value);
            ad_puts(t, ", ");
        }
    }
    ad_address_text(&r->pending->peer, address);
    ad_puts(t, address);
    if (trusted && ad_http_read_forwarded(&r->head, &said)) {
        scheme = said.scheme.len > 0 ? said.scheme : scheme;
        if (said.has_host) {
            host = said.host;
            has_host = true;
        }
    }
    ad_puts(t, "\r\nX-Forwarded-Proto: ");
    ad_http_put_slice(t, scheme);
    if (has_host) {
        ad_puts(t, "\r\nX-Forwarded-Host: ");
        ad_http_put_host(t, &host);
    }
    ad_puts(t, "\r\n");
}

/* The header lines for the engine. An answer that is to be counted has no coding
 * (RFC 9110 12.5.3), unless the client takes none without; a list that is to be
 * joined comes whole, in no coding. */
static void ad_route_put_fields(const struct ad_route_request *r, bool metered,
                                bool list, struct ad_text *t)
{
    const struct ad_http_head *head = &r->head;
    bool plain = metered && ad_http_coding_weight(head, "identity") != 0;
    bool trusted = ad_access_trusted(&r->pending->peer);
    bool codings = false;
    size_t i;

    for (i = 0; i < head->fields.n; i++) {
        struct ad_slice name = head->fields.at[i].name;

        if (plain && ad_slice_is_nocase(name, "Accept-Encoding")) {
            codings = true;
        } else if (ad_route_passes(r, name, trusted) &&
                   !(list && ad_route_changes_form(name))) {
            (void)ad_http_put_field(t, name, head->fields.at[i].value);
        }
    }
    if (codings) {
        (void)ad_http_put_field_text(t, "Accept-Encoding", "identity");
    }
    ad_route_put_forwarded(r, t, trusted);
}

/* Text of a peer for the viewers: plain ASCII, cut to the buffer. */
static void ad_route_copy_ascii(char *out, size_t cap, struct ad_slice s)
{
    size_t i;

    for (i = 0; i < s.len && i + 1 < cap; i++) {
        out[i] = s.at[i] >= 0x20 && s.at[i] < 0x7F ? s.at[i] : '?';
    }
    out[i] = '\0';
}

/* A WebSocket handshake for the engine; its model is in the query, as OpenAI's
 * realtime API has it. False: it was answered. */
static bool ad_route_tunnel(const struct ad_route_request *r,
                            struct ad_proxy_request *p)
{
    struct ad_slice model;

    if (r->prefix_len > 0) { /* RFC 6455 4.1: the client waits for the answer */
        ad_route_api_error(r, 400, "invalid_request_error",
                           "bytes came behind the handshake, before its answer");
        return false;
    }
    if (!ad_tunnel_make_room()) {
        ad_route_api_error(r, 503, "overloaded_error",
                           "there are too many WebSockets at once");
        return false;
    }
    if (ad_route_query_text(r, "model", &model) &&
        ad_name_ok(model.at, model.len, AIDASH_MODEL_MAX)) {
        memcpy(p->model, model.at, model.len);
    }
    return true;
}

/* Whatever is not ours goes to the engine. */
static void ad_route_forward(const struct ad_route_request *r)
{
    char method[AD_HTTP_METHOD_MAX + 1], target[AD_HTTP_TARGET_MAX + 1];
    struct ad_text t = ad_text_in(ad_proxy_lines, sizeof(ad_proxy_lines));
    struct ad_proxy_request p;
    struct ad_slice value;

    if (!ad_proxy_make_room(r->pending->address)) {
        ad_route_api_error(r, 503, "overloaded_error",
                           "there are too many requests at once");
        return;
    }
    memset(&p, 0, sizeof(p));
    ad_body_begin(&p.body, &r->head);
    p.metered = p.body.state != AD_BODY_DONE;
    p.upgrade = ad_http_judge_handshake(&r->head) == AD_HTTP_OK;
    if (p.upgrade && !ad_route_tunnel(r, &p)) {
        return;
    }
    if (ad_route_is(r, "GET") && r->head.framing == AD_HTTP_NO_BODY) {
        p.list = ad_list_of(r->head.path);
    }
    ad_route_put_fields(r, p.metered, p.list != AD_LIST_NONE, &t);
    ad_put(&t, "", 1);
    (void)snprintf(method, sizeof(method), "%.*s", (int)r->head.method.len,
                   r->head.method.at);
    (void)snprintf(target, sizeof(target), "%.*s%s%.*s",
                   (int)r->head.path.len, r->head.path.at,
                   r->head.has_query ? "?" : "", (int)r->head.query.len,
                   r->head.query.at != NULL ? r->head.query.at : "");
    p.address = r->pending->address;
    p.peer = r->pending->peer;
    p.method = method;
    p.target = target;
    p.headers = ad_proxy_lines;
    p.http10 = r->head.minor == 0;
    p.head = r->head_only;
    p.expects = r->head.expects_continue;
    p.has_auth = ad_http_field_get(&r->head.fields, "Authorization", &value);
    p.keep_alive = !p.http10 && ad_http_keep_alive(&r->head);
    p.has_length = r->head.has_length;
    ad_identify(&r->head, &r->pending->peer, &p.who);
    p.prefix = (const uint8_t *)r->prefix;
    p.prefix_len = r->prefix_len;
    ad_route_copy_ascii(p.route, sizeof(p.route), r->head.path);
    (void)getnameinfo((const struct sockaddr *)&r->pending->peer,
                      sizeof(r->pending->peer), p.client, sizeof(p.client),
                      NULL, 0, NI_NUMERICHOST);
    ad_proxy_begin(&p, ad_pending_detach(r->pending));
}

#endif /* AIDASH_METER */

/* ---- the table ---- */

static const struct {
    const char *path, *allow;
    void (*get)(const struct ad_route_request *r);
    void (*post)(const struct ad_route_request *r);
} ad_routes[] = {
    {"/healthz", "GET, HEAD, OPTIONS", ad_route_to_worker, NULL},
    {"/status", "GET, HEAD, OPTIONS", ad_route_to_worker, NULL},
    {"/ticks", "GET, HEAD, OPTIONS", ad_route_ticks, NULL},
    {"/events", "GET, HEAD, OPTIONS", ad_route_events, NULL},
#if AIDASH_METER
    {"/requests", "GET, HEAD, OPTIONS", ad_route_requests, NULL},
    {"/usage", "GET, HEAD, OPTIONS", ad_route_usage, NULL},
    {"/bench", "GET, HEAD, OPTIONS", ad_route_bench, NULL},
#endif
    {"/ingest", "POST, PUT, OPTIONS", NULL, ad_route_ingest},
    {"/command", "POST, OPTIONS", NULL, ad_route_command},
};

/* Answer a request for a path of ours. */
static void ad_route_own(const struct ad_route_request *r, const char *allow,
                         void (*get)(const struct ad_route_request *r),
                         void (*post)(const struct ad_route_request *r))
{
    char fields[96];

    if (ad_route_is(r, "OPTIONS")) {
        ad_route_options(r, allow);
    } else if (get != NULL && (ad_route_is(r, "GET") ||
                               ad_route_is(r, "HEAD"))) {
        get(r);
    } else if (post != NULL &&
               (ad_route_is(r, "POST") ||
                (ad_route_is(r, "PUT") && strstr(allow, "PUT") != NULL))) {
        post(r);
    } else {
        (void)snprintf(fields, sizeof(fields), "Allow: %s\r\n", allow);
        ad_route_refuse(r, 405, fields, "the method is not allowed here");
    }
}

/* Is a path ours, whatever else is asked for? */
static bool ad_route_is_own(struct ad_slice path)
{
    size_t i;

    for (i = 0; i < AD_COUNT(ad_routes); i++) {
        if (ad_slice_is(path, ad_routes[i].path)) {
            return true;
        }
    }
    return ad_slice_begins(path, "/ws/") ||
           ad_asset_find(path.at, path.len) != NULL;
}

/* Is it a file of the page? But / is that for browsers alone, which ask for
 * text/html: all others mean the engine's, as Ollama's clients do, which look there
 * whether it runs. */
static bool ad_route_is_asset(const struct ad_route_request *r)
{
    struct ad_slice path = r->head.path;

#if AIDASH_METER
    if (ad_upstreams.n > 0 && ad_slice_is(path, "/") &&
        !ad_http_accepts(&r->head, "text/html")) {
        return false;
    }
#endif
    return ad_asset_find(path.at, path.len) != NULL;
}

/* A proxy with one / too many in its configuration asks for //status. If a path
 * is ours once repeated slashes are one, it becomes that; all others stay as they
 * are. `out` keeps it. */
static void ad_route_join_slashes(struct ad_slice *path,
                                  char out[AD_ROUTES_FIELD_MAX])
{
    struct ad_slice joined = {out, 0};
    size_t i;

    if (path->len > AD_ROUTES_FIELD_MAX ||
        memmem(path->at, path->len, "//", 2) == NULL) {
        return;
    }
    for (i = 0; i < path->len; i++) {
        if (path->at[i] != '/' || joined.len == 0 ||
            out[joined.len - 1] != '/') {
            out[joined.len++] = path->at[i];
        }
    }
    if (ad_route_is_own(joined)) {
        *path = joined;
    }
}

/* Is it, whatever it asks for, for the engine? */
static bool ad_route_is_engines(const struct ad_route_request *r)
{
#if AIDASH_METER
    return ad_upstreams.n > 0 && r->head.path.at[0] == '/' &&
           !ad_route_is_own(r->head.path);
#else
    (void)r;
    return false;
#endif
}

static void ad_route(const struct ad_route_request *r)
{
    struct ad_slice path = r->head.path, key;
    size_t i;

    if (ad_slice_begins(path, "/ws/") ||
        (ad_http_field_get(&r->head.fields, "Sec-WebSocket-Key", &key) &&
         !ad_route_is_engines(r))) {
        ad_route_websocket(r);
        return;
    }
    for (i = 0; i < AD_COUNT(ad_routes); i++) {
        if (ad_slice_is(path, ad_routes[i].path)) {
            ad_route_own(r, ad_routes[i].allow, ad_routes[i].get,
                         ad_routes[i].post);
            return;
        }
    }
    if (ad_route_is_asset(r)) {
        ad_route_own(r, "GET, HEAD, OPTIONS", ad_route_to_worker, NULL);
        return;
    }
#if AIDASH_METER
    if (ad_upstreams.n > 0 && path.at[0] == '/') {
        ad_route_forward(r);
        return;
    }
#endif
    if (ad_route_is(r, "OPTIONS")) {
        ad_route_options(r, "GET, HEAD, OPTIONS");
    } else {
        ad_route_refuse(r, 404, "", "not found");
    }
}

/* May pages of any origin ask for this? The dashboard's files are public, and
 * OPTIONS tells them that they may not have the rest. */
static bool ad_route_is_public(const struct ad_route_request *r)
{
    size_t i;

    if (ad_route_is_asset(r)) {
        return true;
    }
    for (i = 0; i < AD_COUNT(ad_routes); i++) {
        if (ad_slice_is(r->head.path, ad_routes[i].path)) {
            return ad_route_is(r, "OPTIONS");
        }
    }
    return false;
}

/* Judge the whole head of a pending connection, and answer it. */
static void ad_route_pending(struct ad_pending *p)
{
    struct ad_route_request r;
    char path[AD_ROUTES_FIELD_MAX];
    enum ad_http_fault fault;
    char *head = ad_pending_buffer(p) + p->find.start;

    r.pending = p;
    fault = ad_http_parse_request(&r.head, head, p->find.end - p->find.start,
                                  ad_route_fields, AD_HTTP_FIELDS);
    if (fault != AD_HTTP_OK) {
        ad_pending_fault(p, fault);
        return;
    }
    ad_route_join_slashes(&r.head.path, path);
    r.head_only = ad_route_is(&r, "HEAD");
    r.prefix = ad_pending_buffer(p) + p->find.end;
    r.prefix_len = p->len - p->find.end;
    ad_access_judge(&r.head, &p->peer, &r.verdict);
    if (r.verdict.status == 421 ||
        (r.verdict.status != 0 && !ad_route_is_public(&r))) {
        ad_access_report(&r.verdict);
        ad_route_refuse(&r, r.verdict.status, "", r.verdict.why);
        return;
    }
    ad_access_cors(&r.verdict, r.cors);
    ad_route(&r);
}

/* All whole heads that have come. Each turn. */
static void ad_routes_run(void)
{
    struct ad_pending *p;

    while ((p = ad_pending_first(AD_PENDING_READY)) != NULL) {
        ad_route_pending(p);
    }
    ad_workers_run();
}

AD_MEMORY(routes, 1, sizeof(ad_route_fields));

#endif
