/* forward.c - a request that goes to the engine: the header lines that it gets, and
 * who asks. Hub thread only. Owns nothing.
 */
#ifndef AD_WEB_FORWARD_C
#define AD_WEB_FORWARD_C

#include "../core/accept.c"
#include "../meter/identity.c"
#include "../meter/meter.c"
#include "route.c"

#if AIDASH_METER

/* An error in the shape of the API that was asked. `fields` is header lines, or
 * "". */
static void ad_route_api_refuse(const struct ad_route_request *r, int status,
                                const char *fields, const char *type,
                                const char *why)
{
    char json[2 * AD_REPLY_MAX];
    struct ad_text j = ad_text_in(json, sizeof(json));
    struct ad_text t = ad_text_in(ad_pending_buffer(r->pending),
                                  AIDASH_HEAD_MAX);

    ad_put_api_error(&j, ad_api_of(r->head.path), status, type, why);
    ad_put_head(&t, status, "application/json", j.len, fields);
    if (!r->head_only) {
        ad_put(&t, j.at, j.len);
    }
    ad_pendings.refused++;
    ad_pending_answer(r->pending, t.len);
}

static void ad_route_api_error(const struct ad_route_request *r, int status,
                               const char *type, const char *why)
{
    ad_route_api_refuse(r, status, status == 503 ? "Retry-After: 5\r\n" : "", type,
                        why);
}

/* A browser asks before its page does (Fetch 4.8): it brings no credential then, and
 * no body. */
static bool ad_route_is_preflight(const struct ad_route_request *r)
{
    struct ad_slice method;

    return ad_route_is(r, "OPTIONS") && r->head.framing == AD_HTTP_NO_BODY &&
           ad_http_field_get(&r->head.fields, "Access-Control-Request-Method",
                             &method);
}

/* May he who asks use the engine? If not, that is the answer. */
static bool ad_route_may_infer(const struct ad_route_request *r)
{
    enum ad_denial denial = ad_right_denial(&r->who, AD_MAY_INFER);
    char fields[AD_ROUTE_CHALLENGE_MAX], why[AD_DENIAL_SENTENCE_MAX];
    unsigned status;

    if (denial == AD_DENIAL_NONE || ad_route_is_preflight(r)) {
        return true;
    }
    status = ad_route_challenge(r, denial, fields);
    ad_route_api_refuse(r, (int)status, fields,
                        status == 401   ? "authentication_error"
                        : status == 429 ? "rate_limit_error"
                                        : "permission_error",
                        ad_route_denial_text(r, status, denial, AD_MAY_INFER, why));
    return false;
}

/* Is it a field by which a proxy tells of its client? Engines that are built on CGI's
 * names (RFC 3875 4.1.18), as those in Python are, take _ for -. */
static bool ad_route_tells_client(struct ad_slice name)
{
    static const char prefix[] = "x-forwarded-";
    size_t i = 0;

    while (i < name.len && i < sizeof(prefix) - 1 &&
           (name.at[i] == '_' ? '-' : name.at[i] | 0x20) == prefix[i]) {
        i++;
    }
    return ad_slice_is_nocase(name, "Forwarded") || i == sizeof(prefix) - 1;
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
           (!ad_route_tells_client(name) ||
            (trusted && memchr(name.at, '_', name.len) == NULL));
}

/* Is the value of this field, which is not Cookie, a credential of ours? */
static bool ad_route_is_ours(const struct ad_route_request *r,
                             const struct ad_http_field *field)
{
    struct ad_slice token;

    if (ad_slice_is_nocase(field->name, "Authorization")) {
        return r->credentials.bearer ||
               (ad_credential_bearer(field->value, &token) &&
                ad_credential_is_ours(token));
    }
    return ad_slice_is_nocase(field->name, "x-api-key") &&
           (r->credentials.api_key || ad_credential_is_ours(field->value));
}

/* A Cookie field without our cookies, if there are others. */
static void ad_route_put_cookies(struct ad_text *t, struct ad_slice value)
{
    const char *before = "Cookie: ";
    struct ad_slice pair, name, token;

    while (ad_credential_cut(&value, ';', &pair)) {
        if (!ad_credential_cookie(pair, &name, &token)) {
            ad_puts(t, before);
            ad_http_put_slice(t, before[0] == ';' ? pair : ad_slice_trim(pair));
            before = ";";
        }
    }
    if (before[0] == ';') {
        ad_puts(t, "\r\n");
    }
}

/* The target for the engine: without token=, if that is one of ours. */
static void ad_route_put_target(const struct ad_route_request *r, char *out,
                                size_t cap)
{
    struct ad_text t = ad_text_in(out, cap);
    struct ad_slice query = r->head.query, item, token;
    const char *before = "?";

    ad_http_put_slice(&t, r->head.path);
    while (r->head.has_query && ad_credential_cut(&query, '&', &item)) {
        if (ad_credential_query(item, &token) &&
            (r->credentials.query || ad_credential_is_ours(token))) {
            continue;
        }
        ad_puts(&t, before);
        ad_http_put_slice(&t, item);
        before = "&";
    }
    ad_put(&t, "", 1);
}

/* Who asks, and by which address, for engines that write links to themselves. What
 * a trusted proxy says of its client holds (--trust-proxy); its own address goes
 * behind those that it names. */
static void ad_route_put_forwarded(const struct ad_route_request *r,
                                   struct ad_text *t, bool trusted)
{
    const struct ad_http_fields *fields = &r->head.fields;
    struct ad_http_forwarded said;
    struct ad_slice scheme =
        ad_slice_of(r->pending->tls != 0 ? "https" : "http");
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

        if (ad_slice_is_nocase(name, "Cookie")) {
            ad_route_put_cookies(t, head->fields.at[i].value);
        } else if (ad_route_is_ours(r, &head->fields.at[i])) {
            continue;
        } else if (plain && ad_slice_is_nocase(name, "Accept-Encoding")) {
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

/* Does the engine get an Authorization from the client? Else it gets its own key, but
 * not for a preflight, which nobody has to be allowed. */
static bool ad_route_brings_key(const struct ad_route_request *r)
{
    size_t i;

    for (i = 0; i < r->head.fields.n; i++) {
        if (ad_slice_is_nocase(r->head.fields.at[i].name, "Authorization") &&
            !ad_route_is_ours(r, &r->head.fields.at[i])) {
            return true;
        }
    }
    return ad_right_denial(&r->who, AD_MAY_INFER) != AD_DENIAL_NONE;
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

    if (!ad_route_may_infer(r)) {
        return;
    }
    if (ad_route_is(r, "TRACE")) { /* RFC 9110 9.3.8 */
        ad_route_api_error(r, 501, "invalid_request_error",
                           "TRACE is not passed on: the answer may hold the "
                           "engine's key");
        return;
    }
    memset(&p, 0, sizeof(p));
    p.upgrade = ad_http_judge_handshake(&r->head) == AD_HTTP_OK;
    if (p.upgrade && !ad_route_tunnel(r, &p)) {
        return;
    }
    if (!ad_spares_regain(r->pending)) { /* it would last in a short one's place */
        ad_route_api_error(r, 503, "overloaded_error", ad_refuse_lacks.why);
        return;
    }
    if (!ad_proxy_make_room(r->pending->address)) {
        ad_route_api_error(r, 503, "overloaded_error",
                           "there are too many requests at once");
        return;
    }
    ad_body_begin(&p.body, &r->head);
    p.metered = p.body.state != AD_BODY_DONE;
    if (ad_route_is(r, "GET") && r->head.framing == AD_HTTP_NO_BODY) {
        p.list = ad_list_of(r->head.path);
    }
    ad_route_put_fields(r, p.metered, p.list != AD_LIST_NONE, &t);
    ad_put(&t, "", 1);
    (void)snprintf(method, sizeof(method), "%.*s", (int)r->head.method.len,
                   r->head.method.at);
    ad_route_put_target(r, target, sizeof(target));
    p.address = r->pending->address;
    p.tls = r->pending->tls;
    p.peer = r->pending->peer;
    p.method = method;
    p.target = target;
    p.headers = ad_proxy_lines;
    p.http10 = r->head.minor == 0;
    p.head = r->head_only;
    p.expects = r->head.expects_continue;
    p.has_auth = ad_route_brings_key(r);
    p.keep_alive = !p.http10 && ad_http_keep_alive(&r->head);
    p.has_length = r->head.has_length;
    ad_identify(&r->head, &r->pending->peer, &r->who.grant, &p.who);
    p.grant = r->who.grant;
    p.prefix = (const uint8_t *)r->prefix;
    p.prefix_len = r->prefix_len;
    ad_trace_read(&r->head.fields, &p.trace);
    ad_route_copy_ascii(p.route, sizeof(p.route), r->head.path);
    ad_address_text(&r->pending->peer, p.client);
    ad_proxy_begin(&p, ad_pending_detach(r->pending));
}

#endif /* AIDASH_METER */

#endif
