/* meter_routes.c - GET /requests, /usage, /bench: long answers, in pieces as the
 * client takes them. Hub thread only. Owns nothing.
 */
#ifndef AD_WEB_METER_ROUTES_C
#define AD_WEB_METER_ROUTES_C

#include "../core/attach.c"
#include "../meter/bench.c"
#include "../meter/usage.c"
#include "route.c"

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

#endif /* AIDASH_METER */

#endif
