/* metrics_routes.c - GET /metrics: in pieces as the client takes them. Hub thread only.
 * Owns nothing.
 */
#ifndef AD_WEB_METRICS_ROUTES_C
#define AD_WEB_METRICS_ROUTES_C

#include "../board/metrics.c"
#include "../core/attach.c"
#include "route.c"

#if AIDASH_METRICS

_Static_assert((int)AD_METRIC_PIECE_MAX <= (int)AD_PENDING_BYTES, "a piece fits");

/* The next pieces. p->cursor is the place: the family's number, its sample's above 8
 * bits, the piece's above 40; p->last is 1 for OpenMetrics. */
static void ad_metrics_more(struct ad_pending *p)
{
    struct ad_text t = ad_text_in(ad_pending_buffer(p), AD_PENDING_BYTES);
    struct ad_metrics_place at;

    at.family = (unsigned)(p->cursor & 255);
    at.sample = (unsigned)(p->cursor >> 8 & UINT32_MAX);
    at.piece = (unsigned)(p->cursor >> 40);
    at.told = p->answered;
    if (!ad_metrics_put(&t, &at, p->last == 1)) {
        p->more = NULL;
    }
    p->cursor = at.family | (uint64_t)at.sample << 8 | (uint64_t)at.piece << 40;
    p->answered = at.told;
    p->len = (uint32_t)t.len;
}
_Static_assert(AD_COUNT(ad_metric_table) < 255, "a family's number fits");

static void ad_route_metrics(const struct ad_route_request *r)
{
    bool open = ad_metrics_open(&r->head.fields);
    char fields[AD_CORS_MAX + sizeof("Vary: Accept\r\n" AD_FIELDS_FRESH)];
    struct ad_pending *p = r->pending;
    struct ad_text t;

    (void)snprintf(fields, sizeof(fields), "Vary: Accept\r\n" AD_FIELDS_FRESH "%s",
                   r->cors);
    t = ad_text_in(ad_pending_buffer(p), AIDASH_HEAD_MAX);
    ad_put_head(&t, 200, open ? AD_METRICS_OPEN : AD_METRICS_TEXT, SIZE_MAX, fields);
    if (!r->head_only) {
        p->cursor = 0;
        p->last = open ? 1 : 0;
        p->more = ad_metrics_more;
    }
    ad_pending_answer(p, t.len);
}

#endif /* AIDASH_METRICS */

#endif
