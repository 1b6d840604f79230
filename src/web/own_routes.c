/* own_routes.c - paths that the program which embeds aidash answers: with bytes that it
 * has, or in a callback. A thread of its own calls that, one at a time, so that neither
 * the hub nor civetweb's workers wait for it; the answer takes a worker's way.
 * Owns ad_own_routes (changed only while nothing runs) and ad_caller. Hub thread, but
 * for the thread's own functions, and start and stop (the starting thread).
 * Always: ad_caller's question is the hub's to write, unless the turn is
 * AD_CALLER_ASKED: then question and answer are the thread's.
 */
#ifndef AD_WEB_OWN_ROUTES_C
#define AD_WEB_OWN_ROUTES_C

#include "../base/sha256.c"
#include "../base/thread.c"
#include "../core/certificate.c"
#include "route.c"
#include "workers.c"

#if AIDASH_ROUTES

/* What is wrong with a path of the program's own: it ends a sentence. NULL: nothing.
 * Paths are compared byte by byte, as they are in the request: so there is one way to
 * write each (RFC 3986 3.3). */
static const char *ad_own_path_problem(const char *path)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/";
    size_t len = strlen(path);

    if (path[0] != '/') {
        return "does not begin with /";
    }
    if (len > AIDASH_PATH_MAX) {
        return "is longer than 63 bytes";
    }
    if (strspn(path, allowed) != len) {
        return "has more than A-Z a-z 0-9 - . _ ~ ! $ & ' ( ) * + , ; = : @ /";
    }
    if (strstr(path, "//") != NULL || strstr(path, "/./") != NULL ||
        strstr(path, "/../") != NULL || (len > 1 && strcmp(path + len - 2, "/.") == 0) ||
        (len > 2 && strcmp(path + len - 3, "/..") == 0)) {
        return "has an empty segment, or . or ..";
    }
    return NULL;
}
_Static_assert(AIDASH_PATH_MAX == 63, "as the sentence says");

enum {
    AD_OWN_ETAG_MAX = 24, /* bytes with quotes and NUL */
    AD_OWN_FIELDS_MAX = AD_CORS_MAX + AD_FRAMES_MAX + 256,
    AD_CALLER_HEAD_MAX = AD_OWN_FIELDS_MAX + AIDASH_TYPE_MAX + 256,
    /* Requests that wait for the thread: of all addresses, of one. */
    AD_CALLER_WAITING = AIDASH_PENDING / 2,
    AD_CALLER_WAITING_EACH = AIDASH_PENDING / 4,
    AD_CALLER_STOP_MS = 300, /* so long a stop waits for a callback */
    AD_CALLER_POLL_MS = 1000 /* and the thread, at a time, for room for its answer */
};
_Static_assert((int)AD_OWN_FIELDS_MAX + (int)AIDASH_QUERY_MAX + 2 < (int)AIDASH_HEAD_MAX,
               "what waits for the thread fits into a pending buffer");
_Static_assert((int)AD_CALLER_HEAD_MAX < (int)AIDASH_HEAD_MAX, "so does a head");

struct ad_own_route {
    char path[AIDASH_PATH_MAX + 1], type[AIDASH_TYPE_MAX + 1];
    char etag[AD_OWN_ETAG_MAX];
    unsigned right;
    const void *bytes; /* the answer, `len` bytes; NULL: the callback gives it */
    size_t len;
    int (*answer)(const struct aidash_visit *visit, void *user);
    void *user;
};

static struct {
    unsigned n;
    struct ad_own_route list[AIDASH_ROUTES];
} ad_own_routes; /* [I] */

/* Whose the question and the answer are. */
enum { AD_CALLER_FREE, AD_CALLER_ASKED };

static struct {
    _Atomic int turn; /* [a] AD_CALLER_FREE.. */
    struct ad_thread thread; /* it leaves when its callback returns */
    uint64_t address; /* [h] whose request was called last */
    /* The thread itself, and whether it is inside a callback. A thread-local variable
     * in their place would be text relocations to riscv64's linker (binutils 2.40). */
    pthread_t self; /* set by it before its first callback */
    bool calling;   /* the thread's */
    /* The question. */
    int fd; /* the answer's end of the pair, the thread's to close */
    struct ad_own_route route;
    struct aidash_visit visit; /* its texts are here: */
    char query[AIDASH_QUERY_MAX + 1], client[AD_ADDRESS_TEXT_MAX];
    char key_name[AD_GRANT_NAME_MAX + 1];
    char fields[AD_OWN_FIELDS_MAX]; /* header lines */
    /* The answer. */
    size_t len;
    bool full; /* it was longer */
    uint8_t bytes[AIDASH_ROUTE_BYTES];
} ad_caller;

static const struct ad_own_route *ad_own_route_find(struct ad_slice path)
{
    unsigned i;

    for (i = 0; i < ad_own_routes.n; i++) {
        if (ad_slice_is(path, ad_own_routes.list[i].path)) {
            return &ad_own_routes.list[i];
        }
    }
    return NULL;
}

/* Is there a route with this path? Then `right` is what it needs. */
static bool ad_own_route_has(struct ad_slice path, unsigned *right)
{
    const struct ad_own_route *route = ad_own_route_find(path);

    if (route == NULL) {
        return false;
    }
    *right = route->right;
    return true;
}

/* Add a route, or replace the one with its path. False if there is no room. While
 * nothing runs. */
static bool ad_own_route_add(const struct ad_own_route *route)
{
    unsigned i = 0;

    while (i < ad_own_routes.n &&
           strcmp(ad_own_routes.list[i].path, route->path) != 0) {
        i++;
    }
    if (i == AIDASH_ROUTES) {
        return false;
    }
    ad_own_routes.list[i] = *route;
    ad_own_routes.n += i == ad_own_routes.n;
    return true;
}

/* The entity-tag of these bytes (RFC 9110 8.8.3). */
static void ad_own_etag(const void *bytes, size_t len, char out[AD_OWN_ETAG_MAX])
{
    uint8_t sum[AD_SHA256_BYTES];
    uint64_t head = 0;
    unsigned i;

    ad_sha256(bytes, len, sum);
    for (i = 0; i < 8; i++) {
        head = head << 8 | sum[i];
    }
    (void)snprintf(out, AD_OWN_ETAG_MAX, "\"%016llx\"", (unsigned long long)head);
}

/* ---- the thread ---- */

/* Append to the answer that this thread's callback gives. */
static int ad_caller_reply(const struct aidash_visit *visit, const void *bytes,
                           size_t len)
{
    if (visit != &ad_caller.visit || !pthread_equal(pthread_self(), ad_caller.self) ||
        !ad_caller.calling || (bytes == NULL && len > 0)) {
        return AIDASH_EINVAL;
    }
    if (!ad_thread_runs(&ad_caller.thread)) {
        return AIDASH_ESTATE;
    }
    if (ad_caller.full || len > AIDASH_ROUTE_BYTES - ad_caller.len) {
        ad_caller.full = true;
        return AIDASH_EFULL;
    }
    if (len > 0) {
        memcpy(ad_caller.bytes + ad_caller.len, bytes, len);
        ad_caller.len += len;
    }
    return 0;
}

/* Send it all. The hub takes it as fast as the client does, and closes its end if that
 * is too slow, or when aidash stops. False if it did. */
static bool ad_caller_send(const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len > 0) {
        struct pollfd room = {ad_caller.fd, POLLOUT, 0};
        ssize_t n = send(ad_caller.fd, at, len, MSG_NOSIGNAL);

        if (n > 0) {
            at += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            (void)poll(&room, 1, AD_CALLER_POLL_MS);
        } else if (n < 0 && errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* What is wrong with what the callback gave? NULL: nothing. */
static const char *ad_caller_problem(int status)
{
    if (ad_caller.full) {
        return "the program's answer is longer than AIDASH_ROUTE_BYTES";
    }
    return status < 200 || status > 599 ? "the program gave no HTTP status" : NULL;
}

/* Send the answer, whose status the callback has returned. An error without a body
 * gets that of aidash's own errors. */
static void ad_caller_send_answer(int status)
{
    char head[AD_CALLER_HEAD_MAX], json[2 * AD_REPLY_MAX];
    struct ad_text t = ad_text_in(head, sizeof(head));
    struct ad_text j = ad_text_in(json, sizeof(json));
    const char *problem = ad_caller_problem(status), *type = ad_caller.route.type;
    const void *body = ad_caller.bytes;
    size_t len = ad_caller.len;
    bool bodiless;

    if (problem != NULL) {
        ad_log(AIDASH_LOG_WARN, "route %s: %s", ad_caller.route.path, problem);
        status = 500;
        len = 0;
    }
    bodiless = status == 204 || status == 304; /* RFC 9110 15.3.5, 15.4.5 */
    if (len == 0 && status >= 400) {
        ad_put_http_error(&j, status,
                          problem != NULL ? problem : ad_http_reason((unsigned)status));
        body = j.at;
        len = j.len;
        type = "application/json";
    }
    ad_put_head(&t, status, bodiless ? NULL : type, bodiless ? SIZE_MAX : len,
                ad_caller.fields);
    if (ad_caller_send(t.at, t.len) && !bodiless && ad_caller.visit.method[0] == 'G') {
        (void)ad_caller_send(body, len);
    }
}

/* The thread is done with the question. */
static void ad_caller_end(void)
{
    (void)close(ad_caller.fd);
    atomic_store(&ad_caller.turn, AD_CALLER_FREE);
}

static void ad_caller_answer(void)
{
    int status;

    ad_caller.len = 0;
    ad_caller.full = false;
    ad_caller.calling = true;
    status = ad_caller.route.answer(&ad_caller.visit, ad_caller.route.user);
    ad_caller.calling = false;
    ad_caller_send_answer(status);
    ad_caller_end();
    ad_thread_tell(&ad_caller.thread, ad_wake);
}

static void *ad_caller_main(void *unused)
{
    ad_caller.self = pthread_self();
    do {
        ad_thread_sleep(&ad_caller.thread);
        if (atomic_load(&ad_caller.turn) == AD_CALLER_ASKED) {
            if (ad_thread_runs(&ad_caller.thread)) {
                ad_caller_answer();
            } else {
                ad_caller_end();
            }
        }
    } while (!ad_thread_ends(&ad_caller.thread));
    return unused;
}

/* ---- start and stop ---- */

/* Let the thread run, if there is a callback. One of the run before, whose callback has
 * not returned, goes on behind that. False if the system has no thread. */
static bool ad_caller_start(void)
{
    unsigned i = 0;

    while (i < ad_own_routes.n && ad_own_routes.list[i].answer == NULL) {
        i++;
    }
    if (i == ad_own_routes.n || ad_thread_again(&ad_caller.thread)) {
        return true;
    }
    atomic_store(&ad_caller.turn, AD_CALLER_FREE);
    return ad_thread_start_loose(&ad_caller.thread, ad_caller_main);
}

/* Let the thread leave. Where its callback does not return in time, it leaves behind
 * that. The hub's thread has ended, but its descriptors are open. */
static void ad_caller_stop(void)
{
    if (ad_thread_let_go(&ad_caller.thread) &&
        !ad_thread_wait(&ad_caller.thread, AD_CALLER_STOP_MS)) {
        ad_log(AIDASH_LOG_WARN, "a callback of a route has not returned: its thread ends "
                                "behind it");
    }
}

/* ---- the hub ---- */

/* Header lines for an answer to this request. */
static void ad_own_put_fields(const struct ad_route_request *r,
                              const struct ad_own_route *route, struct ad_text *t)
{
    ad_puts(t, r->cors);
#if AIDASH_TLS
    if (r->pending->tls != 0 && ad_certificate.hsts_s > 0) {
        ad_putf(t, AD_WORKERS_HSTS ": max-age=%u\r\n", ad_certificate.hsts_s);
    }
#endif
    if (strncmp(route->type, "text/html", 9) == 0) {
        ad_putf(t, "Content-Security-Policy: frame-ancestors %s\r\n",
                ad_framing.list[0] != '\0' ? ad_framing.list : "'none'");
    }
}

/* The next piece of a route's bytes: p->cursor is where it begins, p->last the route. */
static void ad_own_bytes_more(struct ad_pending *p)
{
    const struct ad_own_route *route = &ad_own_routes.list[p->last];
    size_t left = route->len - (size_t)p->cursor;

    if (left <= AD_PENDING_BYTES) {
        p->more = NULL;
    } else {
        left = AD_PENDING_BYTES;
    }
    memcpy(ad_pending_buffer(p), (const char *)route->bytes + p->cursor, left);
    p->cursor += left;
    p->len = (uint32_t)left;
}

/* Answer with the bytes that the route has. */
static void ad_own_bytes(const struct ad_route_request *r,
                         const struct ad_own_route *route)
{
    struct ad_pending *p = r->pending;
    bool known = ad_http_has_etag(&r->head.fields, route->etag);
    char fields[AD_OWN_FIELDS_MAX];
    struct ad_text f = ad_text_in(fields, sizeof(fields));
    struct ad_text t = ad_text_in(ad_pending_buffer(p), AIDASH_HEAD_MAX);

    ad_own_put_fields(r, route, &f);
    ad_putf(&f, "ETag: %s\r\nCache-Control: no-cache\r\n", route->etag);
    ad_put(&f, "", 1);
    ad_put_head(&t, known ? 304 : 200, known ? NULL : route->type,
                known ? SIZE_MAX : route->len, fields);
    if (!known && !r->head_only && route->len > 0) {
        p->cursor = 0;
        p->last = (uint64_t)(route - ad_own_routes.list);
        p->more = ad_own_bytes_more;
    }
    ad_pending_answer(p, t.len);
}

/* Is there room for one more of this address among those that wait for the thread? */
static bool ad_caller_room(uint64_t address)
{
    uint16_t i = ad_pendings.list[AD_PENDING_CALLING].first;
    unsigned n = 0;

    for (; i != AD_NO_PLACE; i = ad_pending[i].after) {
        n += ad_pending[i].address == address;
    }
    return n < AD_CALLER_WAITING_EACH &&
           ad_pendings.list[AD_PENDING_CALLING].n < AD_CALLER_WAITING;
}

/* Let the callback answer: the request waits for the thread. Until then its buffer has
 * the header lines for its answer and its query, each with a NUL; p->cursor is the
 * route. */
static void ad_own_call(const struct ad_route_request *r,
                        const struct ad_own_route *route)
{
    struct ad_pending *p = r->pending;
    char text[AD_OWN_FIELDS_MAX + AIDASH_QUERY_MAX + 2];
    struct ad_text t = ad_text_in(text, sizeof(text));

    if (r->head.query.len > AIDASH_QUERY_MAX) {
        ad_route_refuse(r, 414, "", "the query is longer than 255 bytes");
        return;
    }
    if (!ad_caller_room(p->address)) {
        ad_route_refuse(r, 503, "Retry-After: 5\r\n",
                        "too many requests wait for the program's answer");
        return;
    }
    ad_own_put_fields(r, route, &t);
    ad_puts(&t, "Cache-Control: no-store\r\n");
    ad_put(&t, "", 1);
    ad_http_put_slice(&t, r->head.query);
    ad_put(&t, "", 1);
    p->who = r->who;
    p->cursor = (uint64_t)(route - ad_own_routes.list);
    memcpy(ad_pending_buffer(p), text, t.len);
    ad_pending_enter(p, AD_PENDING_CALLING);
}
_Static_assert(AIDASH_QUERY_MAX == 255, "as the sentence says");

/* A request for a path of the program's own. */
static void ad_route_own_answer(const struct ad_route_request *r)
{
    const struct ad_own_route *route = ad_own_route_find(r->head.path);

    if (route->answer != NULL) {
        ad_own_call(r, route);
    } else {
        ad_own_bytes(r, route);
    }
}

/* Who is called next: of another address than the one before, if there is any. */
static struct ad_pending *ad_caller_next(void)
{
    uint16_t i = ad_pendings.list[AD_PENDING_CALLING].first;

    for (; i != AD_NO_PLACE; i = ad_pending[i].after) {
        if (ad_pending[i].address != ad_caller.address) {
            return &ad_pending[i];
        }
    }
    return ad_pending_first(AD_PENDING_CALLING);
}

/* Hand this request to the thread, which is free. The second of the pair is the
 * thread's end. */
static void ad_caller_ask(struct ad_pending *p, const int pair[2])
{
    struct aidash_visit *visit = &ad_caller.visit;
    const char *text = ad_pending_buffer(p);

    ad_caller.fd = pair[1];
    ad_caller.route = ad_own_routes.list[p->cursor];
    memcpy(ad_caller.fields, text, strlen(text) + 1);
    text += strlen(text) + 1;
    memcpy(ad_caller.query, text, strlen(text) + 1);
    memcpy(ad_caller.key_name, p->who.grant.name, sizeof(ad_caller.key_name));
    ad_address_text(&p->peer, ad_caller.client);
    visit->method = p->head_only ? "HEAD" : "GET";
    visit->path = ad_caller.route.path;
    visit->query = ad_caller.query;
    visit->address = ad_caller.client;
    visit->key_name = ad_caller.key_name;
    visit->rights = ad_rights_of(&p->who);
    visit->local = p->who.local;
    ad_caller.address = p->address;
    ad_worker_expect(p, pair[0]);
    atomic_store(&ad_caller.turn, AD_CALLER_ASKED);
    ad_thread_wake(&ad_caller.thread);
}

/* Call who is next, if the thread is free. Each turn. */
static void ad_caller_run(void)
{
    const int bytes = AD_CALLER_HEAD_MAX + AIDASH_ROUTE_BYTES;

    while (atomic_load(&ad_caller.turn) == AD_CALLER_FREE) {
        struct ad_pending *p = ad_caller_next();
        int pair[2], rc;

        if (p == NULL) {
            return;
        }
        rc = ad_worker_pair(p, bytes > AD_WORKERS_SEND_BUFFER ? bytes : AD_WORKERS_SEND_BUFFER,
                            pair);
        if (rc == 0) {
            return;
        }
        if (rc > 0) {
            ad_caller_ask(p, pair);
            (void)ad_spares_regain(p);
        }
    }
}

AD_MEMORY(own_routes, AIDASH_ROUTES, sizeof(ad_own_routes) + sizeof(ad_caller));

#else

static bool ad_own_route_has(struct ad_slice path, unsigned *right)
{
    (void)path;
    (void)right;
    return false;
}

static void ad_route_own_answer(const struct ad_route_request *r)
{
    (void)r;
}

static void ad_caller_run(void)
{
}

static bool ad_caller_start(void)
{
    return true;
}

static void ad_caller_stop(void)
{
}

#endif /* AIDASH_ROUTES */

#endif
