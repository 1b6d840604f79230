/* lists.c - the lists of several engines' models as one: GET /v1/models, /api/tags
 * and /api/ps, asked of one engine after the other, in the memory of the request.
 * What an engine says of a model is passed on as it is; of a model that several
 * have, the first engine's, as that gets its requests.
 * Owns nothing. Hub thread only.
 * Always: an engine that is down, slow or answers with anything else is left out;
 * of its list nothing stays unless all of it came.
 */
#ifndef AD_METER_LISTS_C
#define AD_METER_LISTS_C

#include "proxy.c"

#if AIDASH_METER

enum {
    AD_LISTS_MS = 2000,               /* for one engine's list */
    AD_LISTS_ALL_MS = 6000,           /* for all of them */
    AD_LISTS_BEGIN = 512 /* bytes before the elements: our head, and what is below */
};

/* The lists, by AD_LIST_*. */
static const struct {
    const char *path, *begin; /* what comes before the elements */
    const char *member; /* that holds them */
    uint8_t place;      /* enum ad_path of the whole text */
} ad_lists[] = {
    [AD_LIST_NONE] = {"", "", "", AD_PATH_NONE},
    [AD_LIST_OPENAI] = {"/v1/models", "{\"object\":\"list\",\"data\":[", "data",
                        AD_PATH_OPENAI_LIST},
    [AD_LIST_TAGS] = {"/api/tags", "{\"models\":[", "models", AD_PATH_OLLAMA_LIST},
    [AD_LIST_PS] = {"/api/ps", "{\"models\":[", "models", AD_PATH_OLLAMA_LIST},
};

/* Which list is asked for? AD_LIST_NONE unless there are several engines. */
static uint8_t ad_list_of(struct ad_slice path)
{
    uint8_t i;

    for (i = AD_LIST_OPENAI; i <= AD_LIST_PS && ad_upstreams.n > 1; i++) {
        if (ad_slice_is(path, ad_lists[i].path)) {
            return i;
        }
    }
    return AD_LIST_NONE;
}

/* ---- one engine's list ---- */

/* Did an engine before have a model of this name? If not, it is noted: there is room
 * for AD_LIST_NAMES. */
static bool ad_list_has(struct ad_list *l, const char *name)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    unsigned i;

    for (; *name != '\0'; name++) {
        hash = (hash ^ (uint8_t)*name) * 1099511628211u;
    }
    for (i = 0; i < l->n_names_before; i++) {
        if (l->names[i] == hash) {
            return true;
        }
    }
    if (l->n_names < AD_LIST_NAMES) {
        l->names[l->n_names++] = hash;
    }
    return false;
}

/* Let the reader of JSON have these bytes; note the current element's name. */
static void ad_list_parse(struct ad_list *l, const uint8_t *in, size_t len)
{
    size_t used = 0;

    while (used < len && l->js.state != AD_JSON_BAD) {
        used += ad_json_stream_next(&l->js, in + used, len - used);
        if (l->js.what == AD_JSON_TEXT && l->js.path == AD_PATH_LIST_NAME &&
            !l->named) {
            l->named = true;
            l->dropped = l->dropped || ad_list_has(l, l->js.text);
        }
    }
}

/* Where the elements are: c is the next byte of the text. True if it ends one. */
static bool ad_list_step(struct ad_list *l, const char *member, char c)
{
    bool ends = false;

    if (l->string) {
        if (l->depth == 1 && l->key_len < sizeof(l->key)) {
            l->key[l->key_len++] = c;
        }
        l->string = l->escaped || c != '"';
        l->escaped = !l->escaped && c == '\\';
        return false;
    }
    switch (c) {
    case '"':
        l->string = true;
        l->key_len = l->depth == 1 ? 0 : l->key_len;
        break;
    case '[':
    case '{':
        if (l->depth == 1 && c == '[' && l->key_len == strlen(member) + 1 &&
            memcmp(l->key, member, l->key_len - 1) == 0) {
            l->inside = true;
        }
        l->depth++;
        break;
    case ']':
    case '}':
        l->depth--;
        ends = l->inside && l->depth == 1;
        l->inside = l->inside && !ends;
        break;
    case ',':
        ends = l->inside && l->depth == 2;
        break;
    default:
        break;
    }
    return ends;
}

/* An element has ended: it stays unless it is to be dropped. */
static void ad_list_element_end(struct ad_list *l)
{
    if (l->dropped) {
        l->len = l->element;
    }
    l->element = l->len;
    l->named = l->dropped = false;
}

/* A byte of an element. One that does not fit is dropped. */
static void ad_list_put(struct ad_list *l, uint8_t *out, size_t cap, char c)
{
    if (l->len == l->element) {
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            return;
        }
        if (l->len > 0 && l->len < cap) {
            out[l->len++] = ',';
        }
    }
    if (l->len < cap) {
        out[l->len++] = (uint8_t)c;
    } else {
        l->dropped = l->full = true;
    }
}

/* Bytes of an engine's list. `out` has room for cap bytes of elements. */
static void ad_list_take(struct ad_list *l, const char *member, uint8_t *out,
                         size_t cap, const uint8_t *in, size_t len)
{
    size_t i, from = 0;

    for (i = 0; i < len && l->js.state != AD_JSON_BAD; i++) {
        char c = (char)in[i];
        bool inside = l->inside;

        if (ad_list_step(l, member, c)) {
            ad_list_parse(l, in + from, i - from);
            from = i;
            ad_list_element_end(l);
        } else if (inside) {
            ad_list_put(l, out, cap, c);
        }
    }
    ad_list_parse(l, in + from, len - from);
}

/* Begin with an engine's list, behind what those before it gave. */
static void ad_list_begin(struct ad_list *l, uint8_t place)
{
    l->element = l->len = l->kept;
    l->n_names = l->n_names_before;
    l->depth = l->key_len = 0;
    l->string = l->escaped = l->inside = l->named = l->dropped = false;
    ad_path_begin(&l->js, place);
}

/* All of it came: it stays, if it is one. */
static bool ad_list_end(struct ad_list *l)
{
    if (!ad_json_stream_end(&l->js)) {
        return false;
    }
    l->kept = l->len;
    l->n_names_before = l->n_names;
    l->some = true;
    return true;
}

/* ---- all engines ---- */

static struct ad_list *ad_list_in(struct ad_proxy *p)
{
    return &ad_proxy_buffers_of(p)->list;
}

/* Answer with what the engines gave. */
static void ad_lists_answer(struct ad_proxy *p)
{
    struct ad_proxy_buffers *buffers = ad_proxy_buffers_of(p);
    const struct ad_list *l = &buffers->list;
    const char *begin = ad_lists[p->request.list].begin;
    struct ad_refusal none = {l->status, "upstream_error", "failed",
                              "no engine gave a list of its models"};
    char text[AD_LISTS_BEGIN];
    struct ad_text t = ad_text_in(text, sizeof(text));

    if (!l->some) {
        ad_proxy_refuse(p, l->status != 0 ? &none : &ad_refuse_unreachable);
        return;
    }
    if (l->full) {
        ad_log(AIDASH_LOG_WARN, "GET %s: the engines' lists are longer than %zu "
                                "bytes: models are left out",
               ad_lists[p->request.list].path,
               sizeof(buffers->to_client) - AD_LISTS_BEGIN);
    }
    ad_puts(&t, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n");
    ad_http_put_content_length(&t, strlen(begin) + l->kept + 2);
    ad_puts(&t, p->request.keep_alive ? "\r\n" : "Connection: close\r\n\r\n");
    ad_puts(&t, begin);
    memcpy(buffers->to_client + AD_LISTS_BEGIN - t.len, t.at, t.len);
    memcpy(buffers->to_client + AD_LISTS_BEGIN + l->kept, "]}", 2);
    p->to_client_at = AD_LISTS_BEGIN - (uint32_t)t.len;
    p->to_client_len = (uint32_t)t.len + l->kept + 2;
    p->head_passed = true;
    p->answer.status = 200;
    p->answer.body.state = AD_BODY_DONE;
    ad_proxy_send_client(p);
    if (p->state == AD_PROXY_LIST) {
        ad_proxy_end(p, "finished");
    }
}

/* Is an engine to be asked? Not one that is down, unless all are. */
static bool ad_lists_asks(unsigned engine)
{
    bool some_up = false;
    unsigned i;

    for (i = 0; i < ad_upstreams.n; i++) {
        some_up = some_up || !ad_upstreams.state[i].known || ad_upstreams.state[i].up;
    }
    return ad_upstreams.list[engine].n_addresses > 0 &&
           (!some_up || !ad_upstreams.state[engine].known ||
            ad_upstreams.state[engine].up);
}

/* Wait for the engine that is asked. */
static void ad_lists_watch(struct ad_proxy *p)
{
    ad_fetch_watch(&ad_list_in(p)->fetch, AD_TAG_PROXY_UPSTREAM, ad_proxy_index(p));
}

/* Begin to ask an engine. False: it can't be reached. */
static bool ad_lists_fetch(struct ad_proxy *p, unsigned engine)
{
    struct ad_proxy_buffers *buffers = ad_proxy_buffers_of(p);
    struct ad_list *l = &buffers->list;
    struct ad_proxy_upload *u = &buffers->upload;
    const uint8_t *request;

    p->upstream = (uint8_t)engine; /* whose the head is */
    request = ad_proxy_write_head(p, u->head, "\r\n");
    ad_list_begin(l, ad_lists[p->request.list].place);
    ad_fetch_begin_with(&l->fetch, &ad_upstreams.list[engine], request,
                        (size_t)(u->body - request), buffers->answer_head,
                        AD_PROXY_ANSWER_HEAD_MAX, ad_hub.now_ms);
    ad_lists_watch(p);
    return ad_fetch_wants(&l->fetch) != 0;
}

/* The engine that is asked can't be reached. */
static void ad_lists_unreachable(struct ad_proxy *p)
{
    if (ad_list_in(p)->fetch.lacks) {
        ad_acceptor_warn();
        ad_list_in(p)->status = 503;
    } else {
        ad_upstream_set_state(p->upstream, false);
    }
}

/* Ask the engines from this one on: the next that can be asked; answer when there is
 * none. */
static void ad_lists_ask(struct ad_proxy *p, unsigned engine)
{
    for (; engine < ad_upstreams.n &&
           ad_ms(p->start_ns, ad_hub.now_ns) < AD_LISTS_ALL_MS; engine++) {
        if (!ad_lists_asks(engine)) {
            continue;
        }
        if (ad_lists_fetch(p, engine)) {
            return;
        }
        ad_lists_unreachable(p);
    }
    ad_lists_answer(p);
}

/* The engine's answer is over: take it, ask the next. */
static void ad_lists_next(struct ad_proxy *p)
{
    struct ad_list *l = ad_list_in(p);
    unsigned status = l->fetch.answer.status;
    bool whole = l->fetch.state == AD_FETCH_DONE && status == 200;

    ad_fetch_end(&l->fetch, AD_FETCH_IDLE);
    if (!(whole && ad_list_end(l)) && l->status == 0 && status >= 400 &&
        status < 500) {
        l->status = (uint16_t)status;
    }
    ad_lists_ask(p, p->upstream + 1u);
}

/* Bytes of the engine's list. */
static void ad_lists_sink(void *to, const uint8_t *data, size_t len)
{
    struct ad_proxy *p = to;
    struct ad_proxy_buffers *buffers = ad_proxy_buffers_of(p);

    ad_list_take(&buffers->list, ad_lists[p->request.list].member,
                 buffers->to_client + AD_LISTS_BEGIN,
                 sizeof(buffers->to_client) - AD_LISTS_BEGIN - 2, data, len);
}

/* The engine's socket is ready. */
static void ad_lists_event(struct ad_proxy *p)
{
    struct ad_list *l = ad_list_in(p);
    bool connecting = l->fetch.state == AD_FETCH_CONNECT;

    ad_fetch_event(&l->fetch, ad_lists_sink, p);
    if (connecting && l->fetch.state == AD_FETCH_FAILED) {
        ad_lists_unreachable(p);
    } else if (connecting && l->fetch.state != AD_FETCH_CONNECT) {
        ad_upstream_set_state(p->upstream, true);
    }
    if (ad_fetch_wants(&l->fetch) == 0 || l->js.state == AD_JSON_BAD) {
        ad_lists_next(p);
    } else {
        ad_lists_watch(p);
    }
}

/* Once a second. */
static void ad_lists_housekeeping(struct ad_proxy *p)
{
    if (ad_hub.now_ms - ad_list_in(p)->fetch.begun_ms >= AD_LISTS_MS) {
        ad_lists_next(p);
    }
}

/* It is the request's turn. */
static void ad_lists_begin(struct ad_proxy *p)
{
    p->state = AD_PROXY_LIST;
    memset(ad_list_in(p), 0, sizeof(struct ad_list));
    ad_lists_ask(p, 0);
}

#endif /* AIDASH_METER */

#endif
