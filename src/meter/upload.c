/* upload.c - the body of a proxied request on its way to the engine: passed on
 * in pieces, or read whole to get the model that a viewer chose.
 * Owns nothing. Hub thread only.
 */
#ifndef AD_METER_UPLOAD_C
#define AD_METER_UPLOAD_C

#include "proxy.c"

#if AIDASH_METER

/* Follow the framing of the request's body. Returns how many of the bytes belong
 * to it: what comes behind its end is not for the engine. */
static uint32_t ad_upload_follow(struct ad_proxy *p, const uint8_t *bytes,
                                 size_t len)
{
    struct ad_body *body = &p->request.body;
    const uint8_t *data;
    size_t n, used = 0;

    while (used < len && body->state < AD_BODY_DONE) {
        used += ad_body_next(body, bytes + used, len - used, &data, &n);
    }
    if (used < len) {
        p->request.keep_alive = false;
    }
    return (uint32_t)used;
}

/* The request's chunks are malformed (RFC 9112 7.1). */
static void ad_upload_malformed(struct ad_proxy *p)
{
    if (p->head_passed || p->answer_head_len > 0) {
        ad_proxy_end(p, "cut");
    } else {
        ad_proxy_refuse(p, &ad_refuse_chunks);
    }
}

/* ---- in pieces ---- */

/* Begin with the head and what came with it of the body. */
static void ad_upload_begin(struct ad_proxy *p)
{
    struct ad_proxy_upload *u = &ad_proxy_buffers_of(p)->upload;
    const struct ad_proxy_request *r = &p->request;
    char framing[64] = "\r\n";
    size_t len;

    if (r->body.state == AD_BODY_CHUNK_SIZE) {
        (void)snprintf(framing, sizeof(framing),
                       "Transfer-Encoding: chunked\r\n\r\n");
    } else if (r->has_length) {
        (void)snprintf(framing, sizeof(framing), "Content-Length: %llu\r\n\r\n",
                       (unsigned long long)r->body.left);
    }
    p->to_upstream = ad_proxy_write_head(p, u->head, framing);
    len = ad_upload_follow(p, u->body, r->prefix_len);
    if (r->body.state == AD_BODY_BAD) {
        ad_upload_malformed(p);
        return;
    }
    p->to_upstream_len = (uint32_t)(u->body - p->to_upstream) + (uint32_t)len;
    ad_proxy_connect(p);
}

/* The next piece: bytes as they were read. */
static void ad_upload_pass(struct ad_proxy *p, const uint8_t *bytes, size_t len)
{
    struct ad_proxy_upload *u = &ad_proxy_buffers_of(p)->upload;

    p->to_upstream_len = ad_upload_follow(p, bytes, len);
    p->to_upstream = u->body;
    memcpy(u->body, bytes, p->to_upstream_len);
    if (p->request.body.state == AD_BODY_BAD) {
        ad_upload_malformed(p);
        return;
    }
    ad_proxy_send_upstream(p);
    ad_proxy_watch(p);
}

/* ---- read whole ---- */

/* Put the model that a viewer chose in the place of the request's own. Returns
 * the length of the body then. */
static size_t ad_rewrite_model(struct ad_rewrite *e, size_t len,
                               const struct ad_model_field *found)
{
    char model[AD_MODEL_JSON_MAX + 2];
    struct ad_text m = ad_text_in(model, sizeof(model));
    uint8_t *at = e->body + found->from;

    ad_put_string(&m, ad_model_name());
    memmove(at + m.len, at + found->len, len - found->from - found->len);
    memcpy(at, m.at, m.len);
    return len - found->len + m.len;
}

/* The body lies whole in the rewrite buffer: put its head in front, and go on
 * with a length instead of chunks (RFC 9112 6.2). */
static void ad_rewrite_finish(struct ad_proxy *p)
{
    struct ad_rewrite *e = &ad_rewrites[p->rewrite];
    char framing[64];
    struct ad_model_field found;
    size_t len = p->body_len;

    p->body_len = 0;
    ad_model_field_find(&found, e->body, len);
    if (found.name[0] != '\0') {
        memcpy(p->request.model, found.name, sizeof(p->request.model));
    }
    if (found.found && ad_engine.overrides) {
        len = ad_rewrite_model(e, len, &found);
        memcpy(p->request.model, ad_model_name(), sizeof(p->request.model));
    }
    p->upstream = ad_upstream_of(p->request.model);
    (void)snprintf(framing, sizeof(framing), "Content-Length: %zu\r\n\r\n", len);
    p->to_upstream = ad_proxy_write_head(p, e->head, framing);
    p->to_upstream_len = (uint32_t)((size_t)(e->body - p->to_upstream) + len);
    ad_proxy_connect(p);
}

static void ad_rewrite_warn(const struct ad_proxy *p)
{
    ad_log(AIDASH_LOG_WARN, "request %llu: its body is longer than 1 MiB, so its "
                            "model is not changed",
           (unsigned long long)p->id);
}

/* A chunked body is too long to be rewritten: it goes on with its own model.
 * What was read becomes one chunk, with what is still to come of the chunk at
 * hand: the first `n` of the bytes `more` belong to it. */
static void ad_rewrite_give_up(struct ad_proxy *p, const uint8_t *more,
                               size_t more_len, size_t n)
{
    struct ad_rewrite *e = &ad_rewrites[p->rewrite];
    char framing[64];

    ad_rewrite_warn(p);
    (void)snprintf(framing, sizeof(framing),
                   "Transfer-Encoding: chunked\r\n\r\n%llx\r\n",
                   (unsigned long long)(p->body_len + n + p->request.body.left));
    p->to_upstream = ad_proxy_write_head(p, e->head, framing);
    more_len = n + ad_upload_follow(p, more + n, more_len - n);
    memcpy(e->body + p->body_len, more, more_len);
    p->to_upstream_len = (uint32_t)((size_t)(e->body - p->to_upstream) +
                                    p->body_len + more_len);
    p->body_len = 0;
    p->reads_client = false; /* the rest waits until this is sent */
    ad_proxy_connect(p);
}

/* Bytes of a body that is read whole. */
static void ad_rewrite_read(struct ad_proxy *p, const uint8_t *bytes, size_t len)
{
    struct ad_rewrite *e = &ad_rewrites[p->rewrite];
    struct ad_body *body = &p->request.body;
    size_t used = 0;

    while (used < len && body->state < AD_BODY_DONE) {
        const uint8_t *data = NULL;
        size_t n;

        used += ad_body_next(body, bytes + used, len - used, &data, &n);
        if (n > AD_REWRITE_MAX - p->body_len) {
            ad_rewrite_give_up(p, data, (size_t)(bytes + len - data), n);
            return;
        }
        if (n > 0) {
            memcpy(e->body + p->body_len, data, n);
            p->body_len += (uint32_t)n;
        }
    }
    if (used < len) {
        p->request.keep_alive = false;
    }
    if (body->state == AD_BODY_BAD) {
        p->body_len = 0;
        ad_upload_malformed(p);
    } else if (body->state == AD_BODY_DONE) {
        ad_rewrite_finish(p);
    }
}

/* Begin to read the body whole, into the free rewrite buffer `rewrite`. */
static void ad_rewrite_begin(struct ad_proxy *p, uint8_t rewrite)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

    p->state = AD_PROXY_BUFFER_BODY;
    p->rewrite = rewrite;
    ad_rewrites[rewrite].used = true;
    p->body_len = 0;
    p->reads_client = true;
    if (p->request.expects) {
        (void)!send(p->client_fd, go_on, sizeof(go_on) - 1, MSG_NOSIGNAL);
    }
    ad_rewrite_read(p, p->request.prefix, p->request.prefix_len);
    if (p->state == AD_PROXY_BUFFER_BODY) {
        ad_proxy_watch(p);
    }
}

/* ---- from the client ---- */

/* Read from the client: its body, and afterwards only whether it is there. */
static void ad_proxy_read_client(struct ad_proxy *p)
{
    bool body = p->request.body.state < AD_BODY_DONE;
    size_t cap = p->state == AD_PROXY_RUN ? (size_t)AD_PROXY_PIECE_MAX
                                          : sizeof(ad_proxy_input);
    ssize_t got = recv(p->client_fd, ad_proxy_input, cap, 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        ad_proxy_client_left(p);
        return;
    }
    ad_hub.bytes_received += (uint64_t)got;
    p->moved_ms = ad_hub.now_ms;
    if (body && p->state == AD_PROXY_BUFFER_BODY) {
        ad_rewrite_read(p, ad_proxy_input, (size_t)got);
    } else if (body && p->state == AD_PROXY_RUN) {
        ad_upload_pass(p, ad_proxy_input, (size_t)got);
    } else { /* another request before the answer: it is not served */
        p->request.keep_alive = false;
    }
}

#endif /* AIDASH_METER */

#endif
