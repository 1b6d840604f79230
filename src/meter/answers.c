/* answers.c - the head of an engine's answer, as the client gets it. Pure: reads the
 * request.
 */
#ifndef AD_METER_ANSWERS_C
#define AD_METER_ANSWERS_C

#include "../codec/http_semantics.c"
#include "requests.c"

#if AIDASH_METER

/* How the client can be told where the answer ends. */
static uint8_t ad_answer_client_framing(const struct ad_proxy *p,
                                        const struct ad_http_head *head)
{
    if (head->framing == AD_HTTP_BY_CHUNKS && p->request.http10) {
        return AD_HTTP_UNTIL_CLOSE; /* RFC 9112 6.1 */
    }
    return head->framing;
}

/* Is s[0..len) HOST[:PORT] of the engine? */
static bool ad_upstream_is_authority(const struct ad_upstream *u, const char *s,
                                     size_t len)
{
    struct ad_url url;

    url.tls = u->url.tls;
    return ad_url_split_authority(s, len, &url) == NULL &&
           strcasecmp(url.host, u->url.host) == 0 &&
           strcmp(url.port, u->url.port) == 0;
}

/* A reference (RFC 9110 10.2.2) to what the engine has: for the client it is below
 * our own address, so it keeps its path, without that of the engine's URL. All
 * others stay as they are; so does what would become an authority. */
static struct ad_slice ad_answer_location(const struct ad_upstream *u,
                                          struct ad_slice value)
{
    const char *scheme = ad_url_scheme(u->url.tls);
    struct ad_slice rest = value, begin = value;
    size_t prefix_len = strlen(u->url.prefix);

    begin.len = strlen(scheme);
    if (value.len > begin.len && ad_slice_is_nocase(begin, scheme)) {
        size_t len = begin.len;

        while (len < value.len && strchr("/?#", value.at[len]) == NULL) {
            len++;
        }
        if (!ad_upstream_is_authority(u, value.at + begin.len, len - begin.len)) {
            return value;
        }
        rest = ad_slice_from(value, len);
    } else if (value.len == 0 || value.at[0] != '/') {
        return value;
    }
    if (prefix_len > 0) {
        if (!ad_slice_begins(rest, u->url.prefix) ||
            (rest.len > prefix_len && strchr("/?#", rest.at[prefix_len]) == NULL)) {
            return value;
        }
        rest = ad_slice_from(rest, prefix_len);
    }
    return ad_slice_begins(rest, "//") ? value : rest;
}

static void ad_answer_put_location(struct ad_text *t, const struct ad_proxy *p,
                                   const struct ad_http_field *field)
{
    struct ad_slice to = ad_answer_location(&ad_upstreams.list[p->upstream],
                                            field->value);

    ad_http_put_slice(t, field->name);
    ad_puts(t, ": ");
    if (to.len < field->value.len && (to.len == 0 || to.at[0] != '/')) {
        ad_puts(t, "/"); /* http://engine?x is http://engine/?x */
    }
    ad_http_put_slice(t, to);
    ad_puts(t, "\r\n");
}

/* What both heads of a handshake say (RFC 6455 4.1, 4.2.2). */
#define AD_PROXY_UPGRADE "Connection: Upgrade\r\nUpgrade: websocket\r\n"

/* Write the head that the client gets: the engine's fields in their order, but
 * for those about its own connection. Those about the length are ours. With
 * `Connection: close`, clients such as node's fetch take an answer that was cut
 * for a whole one: it is written only where the connection does end. */
static void ad_answer_put_head(struct ad_text *t, const struct ad_proxy *p,
                               const struct ad_http_head *head)
{
    bool final = head->status >= 200, length = false, chunked = false;
    size_t i;

    (void)ad_http_put_status_line(t, head->status, &head->reason);
    for (i = 0; i < head->fields.n; i++) {
        const struct ad_http_field *field = &head->fields.at[i];

        if (ad_slice_is_nocase(field->name, "Content-Length")) {
            if (final && head->status != 204 && !length) { /* RFC 9110 8.6 */
                ad_http_put_content_length(t, head->length);
            }
            length = true;
        } else if (ad_slice_is_nocase(field->name, "Transfer-Encoding")) {
            if (final && head->status != 204 && !p->request.http10 && !chunked) {
                (void)ad_http_put_field_text(t, "Transfer-Encoding", "chunked");
            }
            chunked = true;
        } else if (ad_slice_is_nocase(field->name, "Location") ||
                   ad_slice_is_nocase(field->name, "Content-Location")) {
            ad_answer_put_location(t, p, field);
        } else if (!ad_http_is_hop_by_hop(head, field->name)) {
            (void)ad_http_put_field(t, field->name, field->value);
        }
    }
    if (head->status == 101) {
        ad_puts(t, AD_PROXY_UPGRADE);
    } else if (final && !p->request.keep_alive) {
        (void)ad_http_put_field_text(t, "Connection", "close");
    }
    ad_http_put_end(t);
}

#endif /* AIDASH_METER */

#endif
