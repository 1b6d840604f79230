/* route.c - a judged request: what it asks for, and short answers to it. Hub thread
 * only. Owns nothing.
 */
#ifndef AD_WEB_ROUTE_C
#define AD_WEB_ROUTE_C

#include "../core/access.c"
#include "../core/pending.c"
#include "../guard/throttle.c"

/* A request, and where its connection waits. Slices point into its buffer: they
 * are gone when an answer is written there. */
struct ad_route_request {
    struct ad_pending *pending;
    bool head_only; /* the method is HEAD */
    struct ad_http_head head;
    struct ad_access_verdict verdict;
    struct ad_credentials credentials;
    struct ad_asker who;
    char cors[AD_CORS_MAX]; /* header lines for its answer, or "" */
    char *prefix;           /* of its body, as far as it came with the head */
    size_t prefix_len;
};

static bool ad_route_is(const struct ad_route_request *r, const char *method)
{
    return ad_http_is_method(&r->head, method);
}

/* A value in the query. False if it is not there. */
static bool ad_route_query_text(const struct ad_route_request *r,
                                const char *name, struct ad_slice *value)
{
    struct ad_slice rest = r->head.query, item;
    size_t len = strlen(name);

    while (rest.len > 0 && ad_http_cut(&rest, '&', &item)) {
        if (ad_slice_begins(item, name) && item.len > len &&
            item.at[len] == '=') {
            *value = ad_slice_from(item, len + 1);
            return true;
        }
    }
    return false;
}

/* A number of 0..max in the query. Returns 1 if it is there, 0 if not, -1 if it
 * is malformed. */
static int ad_route_query(const struct ad_route_request *r, const char *name,
                          uint64_t max, uint64_t *value)
{
    struct ad_slice text;

    if (!ad_route_query_text(r, name, &text)) {
        return 0;
    }
    return ad_decimal_u64(text.at, text.len, max, value) ? 1 : -1;
}

/* The event that a client knows last: SEQ of this run, or RUN-SEQ. Who knows
 * another run knows nothing of this one: 0. False if it is neither. */
static bool ad_route_seq(struct ad_slice text, uint64_t *seq)
{
    const char *dash = text.len > 0 ? memchr(text.at, '-', text.len) : NULL;
    struct ad_slice run = {text.at, 0};
    size_t i;

    if (dash != NULL) {
        run = ad_slice_between(text.at, dash);
        text = ad_slice_from(text, run.len + 1);
        if (run.len == 0 || run.len > AD_RUN_MAX) {
            return false;
        }
    }
    for (i = 0; i < run.len; i++) {
        if (ad_hex(run.at[i]) < 0) {
            return false;
        }
    }
    if (!ad_decimal_u64(text.at, text.len, UINT64_MAX, seq)) {
        return false;
    }
    if (run.len > 0 && !ad_slice_is(run, ad_hub.run)) {
        *seq = 0;
    }
    return true;
}

/* ---- short answers ---- */

static void ad_route_refuse(const struct ad_route_request *r, unsigned status,
                            const char *fields, const char *why)
{
    ad_pending_refuse(r->pending, status, fields, why);
}

static void ad_route_fault(const struct ad_route_request *r,
                           enum ad_http_fault fault)
{
    ad_route_refuse(r, ad_http_fault_status(fault), ad_http_fault_fields(fault),
                    ad_http_fault_text(fault));
}

/* What the answer to one who may not has beside its sentence (RFC 9110 11.6.1, RFC
 * 6750 3): bytes with its NUL. */
enum { AD_ROUTE_CHALLENGE_MAX = AD_CORS_MAX + 96 };

/* A bad credential came. Returns 0, or how many seconds its address has to wait, as
 * it brought too many of them. This machine's programs don't wait. */
static unsigned ad_route_failed(const struct ad_route_request *r)
{
    return ad_address_is_own(r->pending->address)
               ? 0
               : ad_throttle_failed(r->pending->address, ad_hub.now_ns);
}

#define AD_ROUTE_FAILED_TEXT "too many wrong keys came from this address"

/* The status for one who may not, and its fields: 401 if a credential is missing or
 * bad, 429 if too many were, 403 if it does not give the right, or none would. */
static unsigned ad_route_challenge(const struct ad_route_request *r,
                                   enum ad_denial denial,
                                   char fields[AD_ROUTE_CHALLENGE_MAX])
{
    const char *error = denial == AD_DENIAL_NARROW ? ", error=\"insufficient_scope\""
                        : r->credentials.offered     ? ", error=\"invalid_token\""
                                                     : "";

    unsigned wait_s = denial == AD_DENIAL_KEY && r->credentials.offered
                          ? ad_route_failed(r)
                          : 0;

    if (denial == AD_DENIAL_LOCAL) {
        (void)snprintf(fields, AD_ROUTE_CHALLENGE_MAX, "%s", r->cors);
        return 403;
    }
    if (wait_s > 0) {
        (void)snprintf(fields, AD_ROUTE_CHALLENGE_MAX, "Retry-After: %u\r\n%s",
                       wait_s, r->cors);
        return 429;
    }
    (void)snprintf(fields, AD_ROUTE_CHALLENGE_MAX,
                   "WWW-Authenticate: Bearer realm=\"aidash\"%s\r\n%s", error,
                   r->cors);
    return denial == AD_DENIAL_NARROW ? 403 : 401;
}

/* What he is told: what is wrong with his token, or what he lacks. */
static const char *ad_route_denial_text(const struct ad_route_request *r,
                                        unsigned status, enum ad_denial denial,
                                        unsigned right,
                                        char out[AD_DENIAL_SENTENCE_MAX])
{
    if (status == 429) {
        return AD_ROUTE_FAILED_TEXT;
    }
    if (denial == AD_DENIAL_KEY && r->credentials.why != NULL) {
        return r->credentials.why;
    }
    return ad_right_sentence(denial, right, out);
}

/* May he who asks have what needs this right? If not, that is the answer. */
static bool ad_route_may(const struct ad_route_request *r, unsigned right)
{
    enum ad_denial denial = ad_right_denial(&r->who, right);
    char fields[AD_ROUTE_CHALLENGE_MAX], why[AD_DENIAL_SENTENCE_MAX];
    unsigned status;

    if (denial == AD_DENIAL_NONE) {
        return true;
    }
    status = ad_route_challenge(r, denial, fields);
    ad_route_refuse(r, status, fields,
                    ad_route_denial_text(r, status, denial, right, why));
    return false;
}

/* A head without a body: to HEAD, OPTIONS and the like. */
static void ad_route_head(const struct ad_route_request *r, int status,
                          const char *type, const char *fields)
{
    struct ad_text t = ad_text_in(ad_pending_buffer(r->pending),
                                  AIDASH_HEAD_MAX);

    ad_put_head(&t, status, type, SIZE_MAX, fields);
    ad_pending_answer(r->pending, t.len);
}

/* RFC 9110 9.3.7, and the preflight of a page elsewhere (Fetch, 4.8). */
static void ad_route_options(const struct ad_route_request *r,
                             const char *allow)
{
    char fields[AD_CORS_MAX + AD_REPLY_MAX], allowed[AD_CORS_MAX + 256] = "";

    if (r->cors[0] != '\0') {
        (void)snprintf(allowed, sizeof(allowed),
                       "%sAccess-Control-Allow-Methods: %s\r\n"
                       "Access-Control-Allow-Headers: Authorization, "
                       "Content-Type, Last-Event-ID, X-API-Key\r\nAccess-Control-Max-Age: 600\r\n",
                       r->cors, allow);
    }
    (void)snprintf(fields, sizeof(fields), "Allow: %s\r\n%s", allow, allowed);
    ad_route_head(r, 204, NULL, fields);
}

#endif
