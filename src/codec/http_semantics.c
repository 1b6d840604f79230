/* http_semantics.c - what a parsed head asks for: does the connection go on,
 * which fields end here, is it a WebSocket handshake, what may the answer be
 * encoded with, and what did a proxy say of the client?
 *
 * Pure: any thread. The head was accepted by http_head.
 */
#ifndef AD_CODEC_HTTP_SEMANTICS_C
#define AD_CODEC_HTTP_SEMANTICS_C

#include "../base/decimal.c"
#include "http_fault.c"
#include "http_field.c"
#include "http_head.c"

/* ---- the connection ---- */

/* RFC 9110 7.6.1: does the Connection field, in any of its lines, name this
 * option or field? */
static bool ad_http_connection_has(const struct ad_http_head *head,
                                   const char *option)
{
    return ad_http_list_has(&head->fields, "Connection",
                            ad_slice_of(option));
}

#if AIDASH_METER
/* RFC 9112 9.3: may another message follow on this connection? */
static bool ad_http_keep_alive(const struct ad_http_head *head)
{
    if (head->framing == AD_HTTP_UNTIL_CLOSE ||
        ad_http_connection_has(head, "close")) {
        return false;
    }
    return head->minor > 0 || ad_http_connection_has(head, "keep-alive");
}

/* Does this field end at the next hop, so that we must not pass it on?
 * RFC 9110 7.6.1: Connection, what it names, and the old ones that it should
 * name; 11.7: the credentials for a proxy. Trailer goes as well: it only announces
 * (6.6.2), and a request's trailer fields are dropped (6.5.1). Content-Length and Host
 * are not among them: who writes the new head writes these anew. */
static bool ad_http_is_hop_by_hop(const struct ad_http_head *head,
                                  struct ad_slice name)
{
    static const char *const names[] = {
        "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer",
        "Transfer-Encoding", "Upgrade", "Proxy-Authenticate",
        "Proxy-Authorization", "Proxy-Authentication-Info"};
    size_t i;

    for (i = 0; i < AD_COUNT(names); i++) {
        if (ad_slice_is_nocase(name, names[i])) {
            return true;
        }
    }
    return ad_http_list_has(&head->fields, "Connection", name);
}
#endif

#if AIDASH_METER
/* RFC 9110 12.5.1: does the client ask for this media type by its name, as browsers
 * ask for a page's text/html? */
static bool ad_http_accepts(const struct ad_http_head *head, const char *type)
{
    struct ad_http_list list = ad_http_list_of(&head->fields, "Accept");
    struct ad_slice item, media;

    while (ad_http_list_next(&list, &item)) {
        (void)ad_http_cut(&item, ';', &media);
        if (ad_slice_is_nocase(media, type)) {
            return true;
        }
    }
    return false;
}
#endif

/* ---- content codings ---- */

/* RFC 9110 12.5.3: how welcome is this coding of the answer, 0..1000? -1: neither
 * it nor * is named. An item with a malformed weight counts as absent. `coding` is
 * "gzip" or the like, or "identity" for none. */
static int ad_http_coding_weight(const struct ad_http_head *head,
                                 const char *coding)
{
    struct ad_http_list list = ad_http_list_of(&head->fields,
                                               "Accept-Encoding");
    struct ad_slice item, name;
    int weight, any = -1;

    while (ad_http_list_next(&list, &item)) {
        if (!ad_http_weighted(item, &name, &weight)) {
            continue;
        }
        if (ad_slice_is(name, "*")) {
            any = weight;
        } else if (ad_slice_is_nocase(name, "x-gzip")) { /* 8.4.1.3 */
            name = ad_slice_of("gzip");
        }
        if (ad_slice_is_nocase(name, coding)) {
            return weight;
        }
    }
    return any;
}

/* Should the answer be coded with gzip? Only if the client names it, and prefers
 * it to none: a client that says nothing may not know of codings. */
static bool ad_http_wants_gzip(const struct ad_http_head *head)
{
    int gzip = ad_http_coding_weight(head, "gzip");

    return gzip > 0 && gzip >= ad_http_coding_weight(head, "identity");
}

/* ---- entity-tags ---- */

/* Cut an entity-tag and the comma behind it off the front of *rest: *opaque is its
 * opaque-tag, with the quotes and without W/ (RFC 9110 8.8.3). Other than in a
 * quoted string, a backslash is no escape. False if nothing is left, or what is
 * left is no list of entity-tags. */
static bool ad_http_cut_etag(struct ad_slice *rest, struct ad_slice *opaque)
{
    const char *at = rest->at, *end = at + rest->len, *begin;

    while (at < end && (*at == ',' || *at == ' ' || *at == '\t')) {
        at++;
    }
    if (end - at >= 2 && at[0] == 'W' && at[1] == '/') {
        at += 2;
    }
    if (at == end || *at != '"') {
        return false;
    }
    for (begin = at++; at < end && *at != '"'; at++) {
        if ((unsigned char)*at <= 0x20 || *at == 0x7F) {
            return false;
        }
    }
    if (at == end) {
        return false;
    }
    at++;
    *opaque = ad_slice_between(begin, at);
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    *rest = ad_slice_between(at, end);
    return at == end || *at == ',';
}

/* Does If-None-Match name this entity-tag, which is a strong one, or any? Then
 * the client has it (RFC 9110 13.1.2, by weak comparison: 8.8.3.2). */
static bool ad_http_has_etag(const struct ad_http_fields *fields,
                             const char *etag)
{
    struct ad_slice opaque, rest;
    size_t i;

    for (i = 0; i < fields->n; i++) {
        if (!ad_slice_is_nocase(fields->at[i].name, "If-None-Match")) {
            continue;
        }
        rest = fields->at[i].value;
        if (ad_slice_is(rest, "*")) {
            return true;
        }
        while (rest.len > 0 && ad_http_cut_etag(&rest, &opaque)) {
            if (ad_slice_is(opaque, etag)) {
                return true;
            }
        }
    }
    return false;
}

/* ---- the WebSocket handshake ---- */

/* RFC 9110 7.8: does the client ask to speak WebSocket? HTTP/1.0 can't. */
static bool ad_http_wants_websocket(const struct ad_http_head *head)
{
    return head->minor > 0 && ad_http_list_has(&head->fields, "Upgrade",
                                               ad_slice_of("websocket"));
}

/* RFC 6455 4.2.1 number 5: the base64 of 16 bytes is 22 digits and "==". */
static bool ad_http_ws_key_ok(struct ad_slice key)
{
    size_t i = 0;

    while (i < key.len &&
           (ad_http_is_alpha(key.at[i]) || ad_is_digit(key.at[i]) ||
            key.at[i] == '+' || key.at[i] == '/')) {
        i++;
    }
    return key.len == 24 && i == 22 && key.at[22] == '=' && key.at[23] == '=';
}

/* Judge a request for an address that speaks WebSocket alone, by RFC 6455
 * 4.2.1. HTTP/1.1 and the one Host were judged with the head. */
static enum ad_http_fault ad_http_judge_handshake(
    const struct ad_http_head *head)
{
    struct ad_slice value;

    if (!ad_http_is_method(head, "GET")) {
        return AD_HTTP_NOT_GET;
    }
    if (!ad_http_wants_websocket(head)) {
        return AD_HTTP_NO_UPGRADE;
    }
    if (!ad_http_connection_has(head, "Upgrade")) {
        return AD_HTTP_NO_CONNECTION_UPGRADE;
    }
    if (ad_http_field_count(&head->fields, "Sec-WebSocket-Version", &value) !=
            1 || !ad_slice_is(value, "13")) {
        return AD_HTTP_BAD_WS_VERSION;
    }
    if (ad_http_field_count(&head->fields, "Sec-WebSocket-Key", &value) != 1 ||
        !ad_http_ws_key_ok(value)) {
        return AD_HTTP_BAD_WS_KEY;
    }
    return head->framing == AD_HTTP_NO_BODY ? AD_HTTP_OK
                                            : AD_HTTP_HANDSHAKE_BODY;
}

/* ---- what a proxy says ---- */

/* What the nearest proxy says of the request that it got. */
struct ad_http_forwarded {
    struct ad_slice scheme; /* http or https, in any case; empty: not said */
    struct ad_http_host host;
    bool has_host;
};

/* A token or the text of a quoted string. No scheme, host or port needs an
 * escape, so a string with one is refused. */
static bool ad_http_unquote(struct ad_slice *s)
{
    if (s->len > 0 && s->at[0] == '"') {
        if (s->len < 2 || s->at[s->len - 1] != '"') {
            return false;
        }
        *s = ad_slice_between(s->at + 1, s->at + s->len - 1);
        return memchr(s->at, '\\', s->len) == NULL &&
               memchr(s->at, '"', s->len) == NULL;
    }
    return true;
}

static bool ad_http_forwarded_scheme(struct ad_http_forwarded *f,
                                     struct ad_slice value)
{
    f->scheme = value;
    return ad_slice_is_nocase(value, "http") ||
           ad_slice_is_nocase(value, "https");
}

static bool ad_http_forwarded_host(struct ad_http_forwarded *f,
                                   struct ad_slice value)
{
    f->has_host = ad_http_host_parse(&f->host, value);
    return f->has_host;
}

/* One element of Forwarded, RFC 7239 4: for=...;proto=https;host="board:443" */
static bool ad_http_forwarded_element(struct ad_http_forwarded *f,
                                      struct ad_slice element)
{
    struct ad_slice pair;

    while (ad_http_cut(&element, ';', &pair)) {
        const char *equals = pair.len > 0 ? memchr(pair.at, '=', pair.len)
                                          : NULL;
        struct ad_slice name, value;

        if (equals == NULL) {
            return false;
        }
        name = ad_slice_between(pair.at, equals);
        value = ad_slice_between(equals + 1, pair.at + pair.len);
        if (!ad_http_is_token(name) || !ad_http_unquote(&value)) {
            return false;
        }
        if (ad_slice_is_nocase(name, "proto")) {
            if (f->scheme.len > 0 || !ad_http_forwarded_scheme(f, value)) {
                return false;
            }
        } else if (ad_slice_is_nocase(name, "host")) {
            if (f->has_host || !ad_http_forwarded_host(f, value)) {
                return false;
            }
        }
    }
    return true;
}

/* The last item of a list. False if it has none. */
static bool ad_http_list_last(const struct ad_http_fields *fields,
                              const char *name, struct ad_slice *item)
{
    struct ad_http_list list = ad_http_list_of(fields, name);
    struct ad_slice next;
    bool found = false;

    while (ad_http_list_next(&list, &next)) {
        *item = next;
        found = true;
    }
    return found;
}

/* Read what the nearest proxy says. Whether that is to be believed is the
 * caller's question (--trust-proxy).
 *
 * A proxy adds its words behind those of the proxies before it, so that the
 * last item is the nearest one's; all before it may be the client's invention.
 * Where there is a Forwarded field, X-Forwarded-Proto and -Host do not count.
 *
 * False if what counts is malformed: then nothing of it may be used. */
static bool ad_http_read_forwarded(const struct ad_http_head *head,
                                   struct ad_http_forwarded *f)
{
    struct ad_slice item;

    memset(f, 0, sizeof(*f));
    if (ad_http_field_get(&head->fields, "Forwarded", &item)) {
        return ad_http_list_last(&head->fields, "Forwarded", &item) &&
               ad_http_forwarded_element(f, item);
    }
    if (ad_http_list_last(&head->fields, "X-Forwarded-Proto", &item) &&
        !ad_http_forwarded_scheme(f, item)) {
        return false;
    }
    return !ad_http_list_last(&head->fields, "X-Forwarded-Host", &item) ||
           ad_http_forwarded_host(f, item);
}

#if AIDASH_METER

/* The address of a node (RFC 7239 6, and what proxies write in X-Forwarded-For):
 * IPv4, IPv4:port, IPv6, [IPv6] or [IPv6]:port. IPv4 is mapped into IPv6. False if
 * it is none: unknown, _hidden, a name. */
static bool ad_http_node_address(struct ad_slice node, uint8_t ip[16])
{
    struct ad_http_host host;

    if (ad_http_address(AF_INET6, node, ip)) {
        return true;
    }
    if (!ad_http_host_parse(&host, node) || !ad_http_host_is_ip(&host)) {
        return false;
    }
    if (host.kind == AD_HTTP_HOST_IP6) {
        memcpy(ip, host.address, 16);
        return true;
    }
    memset(ip, 0, 10);
    memset(ip + 10, 0xFF, 2);
    memcpy(ip + 12, host.address, 4);
    return true;
}

/* The node in an element of Forwarded, or in an item of X-Forwarded-For. False if
 * it is no address. */
static bool ad_http_forwarded_for(const char *field, struct ad_slice item,
                                  uint8_t ip[16])
{
    struct ad_slice pair;

    if (strcmp(field, "Forwarded") != 0) {
        return ad_http_node_address(item, ip);
    }
    while (ad_http_cut(&item, ';', &pair)) {
        struct ad_slice name = pair;

        name.len = pair.len < 4 ? pair.len : 4;
        if (ad_slice_is_nocase(name, "for=")) {
            pair = ad_slice_from(pair, 4);
            return ad_http_unquote(&pair) && ad_http_node_address(pair, ip);
        }
    }
    return false;
}

/* ---- who asks ---- */

/* RFC 9110 10.1.5: the name of the first product in User-Agent, without its
 * version. Empty if there is none. */
static struct ad_slice ad_http_product(const struct ad_http_head *head)
{
    struct ad_slice agent = {"", 0};
    size_t i = 0;

    (void)ad_http_field_get(&head->fields, "User-Agent", &agent);
    while (i < agent.len && ad_http_is_token_char(agent.at[i])) {
        i++;
    }
    agent.len = i;
    return agent;
}

/* The key that a client brings: of Authorization: Bearer (RFC 6750 2.1), or
 * x-api-key. Empty if there is none. */
static struct ad_slice ad_http_api_key(const struct ad_http_head *head)
{
    struct ad_slice key = {"", 0}, scheme;

    if (ad_http_field_get(&head->fields, "Authorization", &key)) {
        scheme = key;
        scheme.len = key.len < 7 ? key.len : 7;
        if (ad_slice_is_nocase(scheme, "Bearer ")) {
            return ad_slice_trim(ad_slice_from(key, 7));
        }
    }
    key = ad_slice_of("");
    (void)ad_http_field_get(&head->fields, "x-api-key", &key);
    return key;
}

#endif /* AIDASH_METER */

#if AIDASH_METER || AIDASH_HISTORY

/* ---- the form of the answer ---- */

/* RFC 9110 12.5.1: how welcome is this media type, 0..1000? -1: it is not named;
 * ranges do not count. */
static int ad_http_type_weight(const struct ad_http_head *head, const char *type)
{
    struct ad_http_list list = ad_http_list_of(&head->fields, "Accept");
    struct ad_slice item, name;
    int weight, best = -1;

    while (ad_http_list_next(&list, &item)) {
        if (ad_http_weighted(item, &name, &weight) &&
            ad_slice_is_nocase(name, type) && weight > best) {
            best = weight;
        }
    }
    return best;
}

/* Does the client ask for CSV, rather than for JSON? */
static bool ad_http_wants_csv(const struct ad_http_head *head)
{
    int csv = ad_http_type_weight(head, "text/csv");

    return csv > 0 && csv > ad_http_type_weight(head, "application/json");
}

#endif /* AIDASH_METER || AIDASH_HISTORY */

/* The name in X-Forwarded-Host, whether or not it counts beside a Forwarded field.
 * False if there is none, or none that is well-formed. */
static bool ad_http_forwarded_name(const struct ad_http_head *head,
                                   struct ad_http_host *host)
{
    struct ad_http_forwarded f;
    struct ad_slice item;

    memset(&f, 0, sizeof(f));
    if (!ad_http_list_last(&head->fields, "X-Forwarded-Host", &item) ||
        !ad_http_forwarded_host(&f, item)) {
        return false;
    }
    *host = f.host;
    return true;
}

#endif
