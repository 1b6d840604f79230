/* share.c - the page's address for others: those of this machine on the LAN, GET
 * /addresses, and an address as a QR code, GET /qr?text=ADDRESS. The hub judges what is
 * asked for; a worker answers, as the system's list of addresses and the drawing of a code
 * take their time. Owns nothing.
 */
#ifndef AD_WEB_SHARE_C
#define AD_WEB_SHARE_C

#include "../base/lan.c"
#include "../codec/percent.c"
#include "../codec/qr.c"
#include "auth_routes.c"
#include "workers.c"

/* The field of a canonical head that has the text of a QR code. */
#define AD_WORKERS_TEXT "Text"

#define AD_QR_TEXT_LIMIT "412" /* AD_QR_TEXT_MAX, in a sentence */

enum {
    /* Bytes of the answer: a scheme, a host as a URL has it, a port. */
    AD_SHARE_JSON_MAX = 32 + AD_LAN_MAX * (sizeof(((struct ad_lan *)0)->host) + 24)
};

/* The addresses of the page for other machines, best first; none if only this machine
 * reaches it. Worker threads. */
static void ad_share_put_addresses(struct ad_text *t)
{
    unsigned i = ad_auth_listener(), n = 0, k;
    const char *spec = ad_acceptor.listen[i], *scheme = "http";
    size_t host = ad_spec_host(spec);
    struct ad_lan lan[AD_LAN_MAX];

#if AIDASH_TLS
    scheme = ad_pumps.serving ? "https" : scheme;
#endif
    if (strncmp(spec, "0.0.0.0:", 8) == 0 || strncmp(spec, "[::]:", 5) == 0) {
        host = 0;
    }
    if (ad_acceptor_reachable()) {
        n = host == 0 ? ad_lan_list(lan) : 1;
    }
    ad_puts(t, "{\"addresses\":[");
    for (k = 0; k < n; k++) {
        ad_putf(t, "%s\"%s://%.*s:%u/\"", k > 0 ? "," : "", scheme,
                host == 0 ? (int)strlen(lan[k].host) : (int)host,
                host == 0 ? lan[k].host : spec, ad_acceptor.ports[i]);
    }
    ad_puts(t, "]}");
}

#if AIDASH_QR

/* May this be drawn? NULL if so, else why not. An address is ASCII (RFC 3986 2); one with a
 * secret is not for others. */
static const char *ad_share_fault(const char *text, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~') {
            return "text is an address: ASCII without spaces";
        }
    }
    if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0) {
        return "text is an address that begins with http:// or https://";
    }
    if (strstr(text, "token=") != NULL || strstr(text, "#pair=") != NULL) {
        return "an address with a token or a code is not drawn here";
    }
    return NULL;
}

/* What the query asks to be drawn, into `text`. NULL, or why it is not. Hub thread. */
static const char *ad_share_text(const struct ad_route_request *r,
                                 char text[AD_QR_TEXT_MAX + 1])
{
    struct ad_slice coded;
    size_t len;

    if (!ad_route_query_text(r, "text", &coded)) {
        return "text is missing: /qr?text=ADDRESS";
    }
    if (!ad_percent_decode(coded, text, AD_QR_TEXT_MAX, &len)) {
        return "text is at most " AD_QR_TEXT_LIMIT " bytes, coded as %XX";
    }
    return ad_share_fault(text, len);
}

#endif

#endif
