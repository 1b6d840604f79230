/* extra_routes.c - what the program that embeds aidash adds: GET /gauges. Long
 * answers, in pieces as the client takes them. Hub thread only. Owns nothing.
 */
#ifndef AD_WEB_EXTRA_ROUTES_C
#define AD_WEB_EXTRA_ROUTES_C

#include "../core/attach.c"
#include "../core/gauges.c"
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

#endif
