/* upload.c - the body of a proxied request on its way to the engine: its first
 * piece, the search for its model, and the rest in pieces.
 * Owns nothing. Hub thread only.
 * Always: the engine gets the last piece of a body when it is the request's turn to
 * run, and does not begin before.
 */
#ifndef AD_METER_UPLOAD_C
#define AD_METER_UPLOAD_C

#include "proxy.c"

#if AIDASH_METER

/* Take the framing off bytes of the body and append the data to `to`, where it
 * fits. `bytes` may lie behind that. Returns how much data it was. What comes
 * behind the end of the body is not for the engine. */
static size_t ad_upload_unframe(struct ad_proxy *p, uint8_t *to,
                                const uint8_t *bytes, size_t len)
{
    struct ad_body *body = &p->request.body;
    size_t used = 0, data_len = 0;

    while (used < len && body->state < AD_BODY_DONE) {
        const uint8_t *data = NULL;
        size_t n;

        used += ad_body_next(body, bytes + used, len - used, &data, &n);
        if (n > 0) {
            memmove(to + data_len, data, n);
            if (p->request.metered) {
                ad_prompt_read(&p->prompt, to + data_len, n);
            }
            data_len += n;
        }
    }
    if (used < len) {
        p->request.keep_alive = false;
    }
    return data_len;
}

/* The request's chunks are malformed (RFC 9112 7.1). */
static void ad_upload_malformed(struct ad_proxy *p)
{
    if (p->head_passed) {
        ad_proxy_end(p, "cut");
    } else {
        ad_proxy_refuse(p, &ad_refuse_chunks);
    }
}

/* Put what ends a chunk behind data that lies at `end`, and the last chunk if the
 * body ends there. Returns the bytes written, AD_PROXY_CHUNK_MAX at most. */
static size_t ad_upload_end_chunk(const struct ad_proxy *p, uint8_t *end)
{
    static const char whole[] = "\r\n0\r\n\r\n";
    size_t len = p->request.body.state == AD_BODY_DONE ? sizeof(whole) - 1 : 2;

    memcpy(end, whole, len);
    return len;
}

/* ---- in pieces ---- */

/* Go on to the engine with the head and the body_len bytes at `body`, which end
 * what `head` (AD_PROXY_HEAD_MAX bytes) has room for. Where the body is not whole,
 * its own length goes with it, or chunks. */
static void ad_upload_begin(struct ad_proxy *p, uint8_t *head, uint8_t *body)
{
    const struct ad_proxy_request *r = &p->request;
    char framing[96] = "\r\n";
    size_t len = p->body_len;

    if (r->body.state == AD_BODY_DONE) { /* RFC 9112 6.2: a length, no chunks */
        if (r->has_length || r->metered) {
            (void)snprintf(framing, sizeof(framing),
                           "Content-Length: %zu\r\n\r\n", len);
        }
    } else if (r->body.state == AD_BODY_LENGTH) {
        (void)snprintf(framing, sizeof(framing), "Content-Length: %llu\r\n\r\n",
                       (unsigned long long)(len + r->body.left));
    } else {
        (void)snprintf(framing, sizeof(framing),
                       "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", len);
        len += ad_upload_end_chunk(p, body + len);
    }
    p->body_len = 0;
    p->to_upstream = ad_proxy_write_head(p, head, framing);
    p->to_upstream_len = (uint32_t)((size_t)(body - p->to_upstream) + len);
    p->reads_client = false; /* the rest waits until this is sent */
    ad_proxy_connect(p);
}

/* It is the request's turn: the engine gets the piece that was held back. */
static void ad_upload_release(struct ad_proxy *p)
{
    p->to_upstream_len = p->held_len;
    p->held_len = 0;
    ad_proxy_send_upstream(p);
    ad_proxy_watch(p);
}

/* The next piece, as it was read: AD_PROXY_PIECE_MAX bytes at most. The last one
 * becomes p->held_len bytes, for ad_upload_release(). */
static void ad_upload_pass(struct ad_proxy *p, const uint8_t *bytes, size_t len)
{
    uint8_t *data = ad_proxy_buffers_of(p)->upload.body + AD_HTTP_CHUNK_HEADER_MAX;
    bool chunked = p->request.body.state != AD_BODY_LENGTH;
    size_t data_len = ad_upload_unframe(p, data, bytes, len);

    if (p->request.body.state == AD_BODY_BAD) {
        ad_upload_malformed(p);
        return;
    }
    p->to_upstream = data;
    p->to_upstream_len = (uint32_t)data_len;
    if (chunked && data_len > 0) {
        char size[AD_HTTP_CHUNK_HEADER_MAX];
        size_t n = ad_http_chunk_header(size, data_len);

        memcpy(data - n, size, n);
        p->to_upstream -= n;
        p->to_upstream_len += (uint32_t)(n + ad_upload_end_chunk(p, data + data_len));
    } else if (chunked && p->request.body.state == AD_BODY_DONE) {
        memcpy(data, "0\r\n\r\n", 5);
        p->to_upstream_len = 5;
    }
    if (p->request.body.state == AD_BODY_DONE) {
        p->held_len = p->to_upstream_len;
        p->to_upstream_len = 0;
        p->reads_client = false;
    } else {
        ad_proxy_send_upstream(p);
    }
    ad_proxy_watch(p);
}

/* ---- the model ---- */

/* Put the model that a viewer chose in the place of the request's own. The body
 * has room for AD_MODEL_JSON_MAX bytes more. */
static void ad_rewrite_model(struct ad_proxy *p, uint8_t *body)
{
    char model[AD_MODEL_JSON_MAX + 2];
    struct ad_text m = ad_text_in(model, sizeof(model));
    uint8_t *at = body + p->model_from;

    ad_put_string(&m, ad_model_name());
    memmove(at + m.len, at + p->model_len,
            p->body_len - p->model_from - p->model_len);
    memcpy(at, m.at, m.len);
    p->body_len += (uint32_t)m.len;
    p->body_len -= p->model_len;
    memcpy(p->request.model, ad_model_name(), sizeof(p->request.model));
}

/* The model of the body is where `found` says, or there is none. */
static void ad_rewrite_settle(struct ad_proxy *p, const struct ad_model_field *found)
{
    p->model_settled = true;
    p->model_found = found->found;
    p->model_from = (uint32_t)found->from;
    p->model_len = (uint32_t)found->len;
    if (found->name[0] != '\0') {
        memcpy(p->request.model, found->name, sizeof(p->request.model));
    }
}

/* Look for the model in the body's first piece, or in all of it, in the slot's own
 * memory. */
static void ad_rewrite_look(struct ad_proxy *p)
{
    const uint8_t *body = ad_proxy_buffers_of(p)->upload.body;
    struct ad_model_search search;
    struct ad_model_field found;

    if (p->request.body.state == AD_BODY_DONE) {
        ad_model_field_find(&found, body, p->body_len);
        ad_rewrite_settle(p, &found);
        return;
    }
    ad_model_search_begin(&search);
    if (ad_model_search_next(&search, body, p->body_len, &found)) {
        ad_rewrite_settle(p, &found);
    }
}

/* Has more of the body to be read to find its model, in memory that the slot has
 * not? */
static bool ad_rewrite_wanted(const struct ad_proxy *p)
{
    return p->request.metered && !p->model_settled &&
           p->request.body.state < AD_BODY_DONE &&
           (ad_engine.overrides || ad_upstreams.n > 1);
}

/* Go on with the body_len bytes at `body`: to the engine that has the request's
 * model, which is replaced if a viewer chose another. */
static void ad_rewrite_go(struct ad_proxy *p, uint8_t *head, uint8_t *body)
{
    if (p->model_found && ad_engine.overrides) {
        ad_rewrite_model(p, body);
    }
    p->upstream = ad_upstream_of(p->request.model);
    ad_upload_begin(p, head, body);
}

/* The model is not in the first AD_REWRITE_MAX bytes of the body, which is longer.
 * The only engine gets the request as it is. False if it was refused. */
static bool ad_rewrite_give_up(struct ad_proxy *p)
{
    if (ad_upstreams.n > 1) {
        ad_proxy_refuse(p, &ad_refuse_late_model);
        return false;
    }
    ad_log(AIDASH_LOG_WARN, "request %llu: \"model\" is not in the first 1 MiB of "
                            "its body, so it is not changed",
           (unsigned long long)p->id);
    p->model_settled = true;
    return true;
}

/* Look on in the rewrite buffer. When the body is whole, its turn is the caller's
 * to decide; else it goes on as soon as its model is found. */
static void ad_rewrite_look_on(struct ad_proxy *p)
{
    struct ad_rewrite *e = &ad_rewrites[p->rewrite];
    bool longer = p->body_len > AD_REWRITE_MAX;
    struct ad_model_field found;

    if (!p->model_settled &&
        ad_model_search_next(&e->search, e->body,
                             longer ? AD_REWRITE_MAX : p->body_len, &found)) {
        ad_rewrite_settle(p, &found);
    }
    if (!p->model_settled && longer && !ad_rewrite_give_up(p)) {
        return;
    }
    if (p->request.body.state == AD_BODY_DONE) {
        p->reads_client = false;
        ad_proxy_watch(p);
    } else if (p->model_settled) {
        ad_rewrite_go(p, e->head, e->body);
    }
}

/* More bytes of a body whose model is looked for. */
static void ad_rewrite_read(struct ad_proxy *p, const uint8_t *bytes, size_t len)
{
    struct ad_rewrite *e = &ad_rewrites[p->rewrite];

    p->body_len += (uint32_t)ad_upload_unframe(p, e->body + p->body_len, bytes, len);
    if (p->request.body.state == AD_BODY_BAD) {
        ad_upload_malformed(p);
    } else {
        ad_rewrite_look_on(p);
    }
}

/* Begin to read on, into the free rewrite buffer `rewrite`. */
static void ad_rewrite_begin(struct ad_proxy *p, uint8_t rewrite)
{
    struct ad_rewrite *e = &ad_rewrites[rewrite];

    p->state = AD_PROXY_BUFFER_BODY;
    p->rewrite = rewrite;
    e->used = true;
    e->address = p->request.address;
    memcpy(e->body, ad_proxy_buffers_of(p)->upload.body, p->body_len);
    ad_model_search_begin(&e->search);
    p->reads_client = true;
    ad_proxy_watch(p);
}

/* ---- before its turn ---- */

/* Bytes of the body of a request that is not admitted yet, in the slot's own
 * memory. */
static void ad_upload_arrive(struct ad_proxy *p, const uint8_t *bytes, size_t len)
{
    uint8_t *body = ad_proxy_buffers_of(p)->upload.body;

    p->body_len += (uint32_t)ad_upload_unframe(p, body + p->body_len, bytes, len);
}

/* Is there enough of the body to ask for a place at the engine? */
static bool ad_upload_arrived(const struct ad_proxy *p)
{
    return p->request.body.state >= AD_BODY_DONE ||
           p->body_len >= AD_PROXY_PIECE_MAX;
}

/* ---- from the client ---- */

/* A client that has closed its connection answers bytes with a reset; one that has
 * only shut its sending side (RFC 9112 9.6) takes them. So that the engine stops
 * at once for the former, send bytes that mean nothing to the latter: an interim
 * answer, or a leading zero of the next chunk's size (RFC 9112 7.1). Where the
 * client's version or the framing has no such bytes, the next of the answer show
 * it. */
static void ad_proxy_probe_client(struct ad_proxy *p)
{
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";

    if (!p->head_passed) {
        if (!p->request.http10) {
            ad_proxy_pass_client(p, interim, sizeof(interim) - 1);
        }
    } else if (p->client_framing == AD_HTTP_BY_CHUNKS &&
               p->answer.body.state == AD_BODY_CHUNK_SIZE &&
               p->answer.body.digits == 0) {
        ad_proxy_pass_client(p, "0", 1);
    }
}

#endif /* AIDASH_METER */

#endif
