/* fleet_routes.c - GET /forward: a board that forwards its events opens its link. Hub
 * thread only. Owns nothing.
 */
#ifndef AD_WEB_FLEET_ROUTES_C
#define AD_WEB_FLEET_ROUTES_C

#include "../codec/percent.c"
#include "../core/accept.c"
#include "../fleet/fleet.c"
#include "route.c"

#if AD_FLEET

/* Its name and its run, from the query. False: it was answered. */
static bool ad_route_board_names(const struct ad_route_request *r,
                                 char node[AIDASH_NODE_MAX + 1],
                                 char run[AD_RUN_MAX + 1])
{
    struct ad_slice text;
    size_t len;

    if (!ad_route_query_text(r, "node", &text) ||
        !ad_percent_decode(text, node, AIDASH_NODE_MAX, &len) ||
        !ad_name_ok(node, len, AIDASH_NODE_MAX)) {
        ad_route_refuse(r, 400, "", "node must be the board's name, of 1 to 31 bytes");
        return false;
    }
    run[0] = '\0';
    if (ad_route_query_text(r, "run", &text)) {
        if (text.len > AD_RUN_MAX) {
            ad_route_refuse(r, 400, "", "run must be of at most 16 bytes");
            return false;
        }
        memcpy(run, text.at, text.len);
        run[text.len] = '\0';
    }
    return true;
}

/* A WebSocket handshake of a board, judged by RFC 6455 4.2.1. */
static void ad_route_board_link(const struct ad_route_request *r)
{
    enum ad_http_fault fault = ad_http_judge_handshake(&r->head);
    char node[AIDASH_NODE_MAX + 1], run[AD_RUN_MAX + 1], sentence[AIDASH_TEXT_MAX + 1];
    char key[AD_HANDSHAKE_KEY];
    struct ad_uplink_begin begin;
    const char *why;
    unsigned status;

    if (fault != AD_HTTP_OK) {
        ad_route_fault(r, fault);
        return;
    }
    if (!ad_route_board_names(r, node, run)) {
        return;
    }
    if (r->prefix_len > 0) { /* RFC 6455 4.1: the client waits for the answer */
        ad_route_refuse(r, 400, "", "bytes came behind the handshake, before its answer");
        return;
    }
    why = ad_uplink_denial(node, run, &r->who.grant, &status, sentence);
    if (why != NULL) {
        ad_uplinks.refused++;
        ad_route_refuse(r, status, "Retry-After: 5\r\n", why);
        return;
    }
    if (!ad_spares_regain(r->pending)) {
        ad_route_refuse(r, 503, "Retry-After: 5\r\n",
                        "no descriptor is left for this connection (ulimit -n)");
        return;
    }
    memset(&begin, 0, sizeof(begin));
    (void)ad_http_field_get(&r->head.fields, "Sec-WebSocket-Key", &begin.key);
    memcpy(key, begin.key.at, sizeof(key)); /* the buffer goes with the place */
    begin.key.at = key;
    begin.address = r->pending->address;
    begin.tls = r->pending->tls;
    begin.peer = &r->pending->peer;
    begin.grant = r->who.grant;
    begin.node = node;
    begin.run = run;
    begin.fd = ad_pending_detach(r->pending);
    ad_uplink_open(ad_uplink_place(), &begin);
}

#endif /* AD_FLEET */

#endif
