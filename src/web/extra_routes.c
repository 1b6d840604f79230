/* extra_routes.c - what the program that embeds aidash adds: GET /gauges, /notes, /commands,
 * and /requests where the meter does not run; and GET /alerts and /nodes. Long
 * answers, in pieces as the client takes them. Hub thread only. Owns nothing.
 */
#ifndef AD_WEB_EXTRA_ROUTES_C
#define AD_WEB_EXTRA_ROUTES_C

#include "../board/alert_send.c"
#include "../core/attach.c"
#include "../core/commands.c"
#include "../core/gauges.c"
#include "../core/nodes.c"
#include "../core/notes.c"
#include "route.c"

/* Put as many elements of a JSON list as fit the buffer, and its end. p->cursor is
 * the next one; `put` writes one, of at most `size` bytes. */
static void ad_extra_more(struct ad_pending *p, uint64_t n, size_t size,
                         void (*put)(struct ad_text *t, uint64_t i))
{
    struct ad_text t = ad_text_in(ad_pending_buffer(p), AD_PENDING_BYTES);

    while (p->cursor < n && t.len + size + 4 < AD_PENDING_BYTES) {
        ad_puts(&t, p->answered ? "," : "");
        put(&t, p->cursor++);
        p->answered = true;
    }
    if (p->cursor >= n && t.len + 4 < AD_PENDING_BYTES) {
        ad_puts(&t, "]}");
        p->more = NULL;
    }
    p->len = (uint32_t)t.len;
}

/* Begin an answer that is one JSON object with one list, `begin` as far as its
 * first element. */
static void ad_extra_begin(const struct ad_route_request *r, const char *begin,
                          void (*more)(struct ad_pending *p))
{
    struct ad_pending *p = r->pending;
    struct ad_text t = ad_text_in(ad_pending_buffer(p), AIDASH_HEAD_MAX);
    char fields[AD_CORS_MAX + sizeof(AD_FIELDS_FRESH)];

    (void)snprintf(fields, sizeof(fields), AD_FIELDS_FRESH "%s", r->cors);
    ad_put_head(&t, 200, "application/json", SIZE_MAX, fields);
    if (!r->head_only) {
        ad_puts(&t, begin);
        p->cursor = 0;
        p->more = more;
    }
    ad_pending_answer(p, t.len);
}

static void ad_gauges_put(struct ad_text *t, uint64_t i)
{
    ad_put_gauge(t, &ad_gauges.list[i]);
}

static void ad_gauges_more(struct ad_pending *p)
{
    ad_extra_more(p, ad_gauges.n, AD_GAUGE_JSON_MAX, ad_gauges_put);
}

static void ad_route_gauges(const struct ad_route_request *r)
{
    ad_extra_begin(r, "{\"gauges\":[", ad_gauges_more);
}

static void ad_notes_put(struct ad_text *t, uint64_t i)
{
    uint64_t first = ad_notes.count > AIDASH_NOTES ? ad_notes.count - AIDASH_NOTES
                                                   : 0;

    ad_put_note(t, &ad_notes.ring[(first + i) % AIDASH_NOTES]);
}

static void ad_notes_more(struct ad_pending *p)
{
    ad_extra_more(p, ad_notes.count < AIDASH_NOTES ? ad_notes.count : AIDASH_NOTES,
                  AD_NOTE_JSON_MAX, ad_notes_put);
}

static void ad_route_notes(const struct ad_route_request *r)
{
    ad_extra_begin(r, "{\"notes\":[", ad_notes_more);
}

#if AIDASH_NODES

_Static_assert((int)AD_PENDING_BYTES > (int)AD_NODE_SHOWN_MAX + 4,
               "AIDASH_NODE_BYTES must be 512..16384, and less than AIDASH_HEAD_MAX: a "
               "piece has one board, at least");

static void ad_nodes_more(struct ad_pending *p)
{
    ad_extra_more(p, ad_nodes.n, AD_NODE_SHOWN_MAX, ad_put_node);
}

static void ad_route_nodes(const struct ad_route_request *r)
{
    ad_extra_begin(r, "{\"nodes\":[", ad_nodes_more);
}

#endif

#if AIDASH_ALERTS

static void ad_alerts_more(struct ad_pending *p)
{
    ad_extra_more(p, ad_alerts.n, AD_ALERT_JSON_MAX, ad_put_alert_rule);
}

static void ad_route_alerts(const struct ad_route_request *r)
{
    char begin[192];
    struct ad_text t = ad_text_in(begin, sizeof(begin) - 1);

    ad_puts(&t, "{");
#if AIDASH_METER
    ad_put_alert_post(&t);
#endif
    ad_puts(&t, "\"alerts\":[");
    begin[t.len] = '\0';
    ad_extra_begin(r, begin, ad_alerts_more);
}

#endif

/* The program's own commands first, then those that are not finished. */
static void ad_commands_put(struct ad_text *t, uint64_t i)
{
    const struct ad_unfinished *kept;

    if (i < AIDASH_COMMANDS) {
        if (i < ad_own_commands.n) {
            ad_put_own_command(t, &ad_own_commands.list[i]);
        }
        return;
    }
    kept = &ad_commands.unfinished[i - AIDASH_COMMANDS];
    if (kept->number != 0) {
        ad_put_command(t, kept->number, &kept->request, "running", "");
    }
}

/* p->cursor counts the places of both; an empty one puts nothing. */
static void ad_commands_more(struct ad_pending *p)
{
    struct ad_text t = ad_text_in(ad_pending_buffer(p), AD_PENDING_BYTES);
    const size_t size = (int)AD_COMMAND_JSON_MAX > (int)AD_OWN_JSON_MAX
                            ? (int)AD_COMMAND_JSON_MAX
                            : (int)AD_OWN_JSON_MAX;
    size_t before, comma;

    while (p->cursor < AIDASH_COMMANDS + AIDASH_UNFINISHED &&
           t.len + size + 32 < AD_PENDING_BYTES) {
        if (p->cursor == AIDASH_COMMANDS) {
            ad_puts(&t, "],\"running\":[");
            p->answered = false;
        }
        before = t.len;
        ad_puts(&t, p->answered ? "," : "");
        comma = t.len;
        ad_commands_put(&t, p->cursor++);
        if (t.len == comma) {
            t.len = before;
        } else {
            p->answered = true;
        }
    }
    if (p->cursor == AIDASH_COMMANDS + AIDASH_UNFINISHED &&
        t.len + 4 < AD_PENDING_BYTES) {
        ad_puts(&t, "]}");
        p->more = NULL;
    }
    p->len = (uint32_t)t.len;
}

static void ad_route_commands(const struct ad_route_request *r)
{
    ad_extra_begin(r, "{\"commands\":[", ad_commands_more);
}

/* Requests of the program's own: the places of those that run, then the records.
 * p->last is how many records are wanted. */
static void ad_own_requests_more(struct ad_pending *p)
{
    struct ad_text t = ad_text_in(ad_pending_buffer(p), AD_PENDING_BYTES);
    uint64_t n = ad_own_requests.ended;
    uint64_t oldest = n > AIDASH_RECORDS ? n - AIDASH_RECORDS : 0;

    while (t.len + AD_OWN_REQUEST_JSON_MAX + 32 < AD_PENDING_BYTES) {
        const struct ad_own_request *r = NULL;
        uint64_t at = p->cursor++;

        if (at < AIDASH_REQUESTS) {
            r = &ad_own_requests.running[at].request;
        } else if (at == AIDASH_REQUESTS) {
            ad_puts(&t, "],\"requests\":[");
            p->answered = false;
            p->cursor += n > p->last ? n - p->last : 0;
        } else if (at - AIDASH_REQUESTS - 1 >= n) {
            ad_puts(&t, "]}");
            p->more = NULL;
            break;
        } else if (at - AIDASH_REQUESTS - 1 >= oldest) {
            r = &ad_own_requests.records[(at - AIDASH_REQUESTS - 1) % AIDASH_RECORDS];
        }
        if (r != NULL && r->id != 0) {
            ad_puts(&t, p->answered ? "," : "");
            ad_put_own_request(&t, r, "request");
            p->answered = true;
        }
    }
    p->len = (uint32_t)t.len;
}
_Static_assert((int)AD_PENDING_BYTES > 32 + (int)AD_OWN_REQUEST_JSON_MAX,
               "a piece has one of them, at least");

static void ad_route_own_requests(const struct ad_route_request *r)
{
    uint64_t last = AIDASH_RECORDS;

    if (ad_route_query(r, "last", AIDASH_RECORDS, &last) < 0) {
        ad_route_refuse(r, 400, "", "last is a whole number, AIDASH_RECORDS at most");
        return;
    }
    r->pending->last = last;
    ad_extra_begin(r, "{\"running\":[", ad_own_requests_more);
}

#endif
