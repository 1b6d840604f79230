/* credentials.c - what a request brings to show who asks: a key of the key file, or
 * a token (JWT), in Authorization, x-api-key, ?token= or a cookie.
 * Owns nothing. Hub thread only: the keys are its own.
 *
 * A credential proves itself, wherever it comes; but a cookie is sent by the
 * browser, whichever page asks, so it counts for our own pages alone. A text that
 * is no credential of ours may be one of the engine's: it passes, and gives
 * nothing here.
 */
#ifndef AD_GUARD_CREDENTIALS_C
#define AD_GUARD_CREDENTIALS_C

#include "../codec/http_semantics.c"
#include "jwt.c"
#include "keys.c"
#include "rights.c"

#define AD_COOKIE_PREFIX "aidash_" /* of the names of our cookies */

/* Texts of a request that are judged at most: a signature costs time. One of a browser
 * has two cookies, and two more of each other aidash of this machine. */
enum { AD_CREDENTIALS_JUDGED = 8 };

/* How a text was judged. */
enum ad_credential {
    AD_CREDENTIAL_FOREIGN, /* not one of ours */
    AD_CREDENTIAL_BAD,     /* written as ours, but wrong, expired or revoked */
    AD_CREDENTIAL_GOOD
};

/* What a request brings. */
struct ad_credentials {
    bool offered; /* there is one, good or bad, ours or not */
    bool bearer, api_key, query; /* there, it is one of ours: nobody else gets it */
    unsigned judged; /* texts */
    struct ad_grant grant; /* of the first that is good; rights 0: none is */
    const char *why; /* a sentence: what is wrong with a token, else NULL */
};

/* Is it written as our keys are? Then it is none of the engine's. */
static bool ad_credential_is_ours(struct ad_slice token)
{
    return ad_slice_begins(token, AD_KEY_PREFIX);
}

#if AIDASH_TLS

/* Judge a text that is written as a JSON Web Token. One whose signature is not by our
 * keys may be the engine's. */
static enum ad_credential ad_credential_judge_jwt(struct ad_slice token,
                                                  int64_t now_s,
                                                  struct ad_grant *grant,
                                                  const char **why)
{
    enum ad_jwt_fault fault = ad_jwt_verify(token, now_s, grant);

    if (fault == AD_JWT_OK && grant->rights != 0) {
        return AD_CREDENTIAL_GOOD;
    }
    *why = fault == AD_JWT_OK ? "the token's \"scope\" names no right: view, control, "
                                "ingest, infer"
                              : ad_jwt_faults[fault];
    ad_log(AIDASH_LOG_INFO, "refused: %s", *why);
    memset(grant, 0, sizeof(*grant));
    return ad_jwt_is_signed(fault) ? AD_CREDENTIAL_BAD : AD_CREDENTIAL_FOREIGN;
}

#endif

/* Is it a key of the key file? BAD: it is, but it gives nothing any more. */
static enum ad_credential ad_credential_key(struct ad_slice token, int64_t now_s,
                                            struct ad_grant *grant)
{
    bool found = ad_keys_find(token, grant);

    if (found && grant->rights != 0 &&
        (grant->expires_s == 0 || grant->expires_s > now_s)) {
        return AD_CREDENTIAL_GOOD;
    }
    memset(grant, 0, sizeof(*grant));
    return found ? AD_CREDENTIAL_BAD : AD_CREDENTIAL_FOREIGN;
}

/* Judge one text, at this Unix time. *why becomes a sentence about a token that is not
 * good, else NULL. */
static enum ad_credential ad_credential_judge(struct ad_slice token, int64_t now_s,
                                              struct ad_grant *grant,
                                              const char **why)
{
    enum ad_credential judged = ad_credential_key(token, now_s, grant);

    *why = NULL;
    if (judged != AD_CREDENTIAL_FOREIGN) {
        return judged;
    }
#if AIDASH_TLS
    if (ad_jwt_on() && ad_jwt_looks_like(token)) {
        return ad_credential_judge_jwt(token, now_s, grant, why);
    }
#endif
    return ad_credential_is_ours(token) ? AD_CREDENTIAL_BAD : AD_CREDENTIAL_FOREIGN;
}

/* Does what an open connection lives by still hold? */
static bool ad_grant_holds(const struct ad_grant *grant, int64_t now_s)
{
    return (grant->expires_s == 0 || grant->expires_s > now_s) &&
           (grant->key == 0 || ad_keys_valid(grant->key));
}

/* The token of Authorization: Bearer (RFC 6750 2.1). False if it is of another
 * scheme. */
static bool ad_credential_bearer(struct ad_slice value, struct ad_slice *token)
{
    struct ad_slice scheme = value;

    scheme.len = value.len < 7 ? value.len : 7;
    if (!ad_slice_is_nocase(scheme, "Bearer ")) {
        return false;
    }
    *token = ad_slice_trim(ad_slice_from(value, 7));
    return true;
}

/* Cut the text in front of the next separator off *rest, as it is: of a query or a
 * Cookie, which know no quotes. False at the end. */
static bool ad_credential_cut(struct ad_slice *rest, char separator,
                              struct ad_slice *item)
{
    const char *end;

    if (rest->at == NULL) {
        return false;
    }
    end = rest->len > 0 ? memchr(rest->at, separator, rest->len) : NULL;
    *item = *rest;
    if (end == NULL) {
        rest->at = NULL;
        rest->len = 0;
    } else {
        item->len = (size_t)(end - rest->at);
        *rest = ad_slice_from(*rest, item->len + 1);
    }
    return true;
}

/* Is this item of a query token=, and what is behind it? A credential has no
 * character that is escaped there. */
static bool ad_credential_query(struct ad_slice item, struct ad_slice *token)
{
    if (!ad_slice_begins(item, "token=")) {
        return false;
    }
    *token = ad_slice_from(item, sizeof("token=") - 1);
    return true;
}

/* Is this pair of a Cookie field (RFC 6265 4.2.1) one of ours, what is its name, and
 * its value? */
static bool ad_credential_cookie(struct ad_slice pair, struct ad_slice *name,
                                 struct ad_slice *token)
{
    pair = ad_slice_trim(pair);
    if (!ad_slice_begins(pair, AD_COOKIE_PREFIX) ||
        !ad_credential_cut(&pair, '=', name)) {
        return false;
    }
    *token = pair;
    return true;
}

/* Is it the name of a cookie that we set at this port? */
static bool ad_credential_cookie_is_own(struct ad_slice name, unsigned port)
{
    char own[sizeof(AD_COOKIE_PREFIX "_token") + 10];

    (void)snprintf(own, sizeof(own), AD_COOKIE_PREFIX "%u", port);
    if (ad_slice_is(name, own)) {
        return true;
    }
    (void)snprintf(own, sizeof(own), AD_COOKIE_PREFIX "%u_token", port);
    return ad_slice_is(name, own);
}

/* Judge a text that was found; the first good one gives its grant. Returns whether
 * it is one of ours. */
static bool ad_credentials_add(struct ad_credentials *c, struct ad_slice token,
                               int64_t now_s)
{
    struct ad_grant grant;
    enum ad_credential judged;
    const char *why;

    c->offered = true;
    if (c->judged == AD_CREDENTIALS_JUDGED) {
        return ad_credential_is_ours(token);
    }
    c->judged++;
    judged = ad_credential_judge(token, now_s, &grant, &why);
    c->why = c->why != NULL ? c->why : why;
    if (judged == AD_CREDENTIAL_GOOD && c->grant.rights == 0) {
        c->grant = grant;
    }
    return judged != AD_CREDENTIAL_FOREIGN;
}

/* A cookie of another port. Browsers send it here, too (RFC 6265 8.5): most often it
 * is another aidash's of this machine, and then no wrong key that somebody tries. But
 * it may be a key of ours, which listened there before. */
static void ad_credentials_add_other(struct ad_credentials *c, struct ad_slice token,
                                     int64_t now_s)
{
    struct ad_grant grant;

    if (c->judged < AD_CREDENTIALS_JUDGED) {
        c->judged++;
        if (ad_credential_key(token, now_s, &grant) == AD_CREDENTIAL_GOOD) {
            c->offered = true;
            c->grant = grant;
        }
    }
}

/* The cookies that we set at this port, or those of other ports (`others`), until one
 * is good. */
static void ad_credentials_cookies(const struct ad_http_head *head, unsigned port,
                                   bool others, int64_t now_s,
                                   struct ad_credentials *out)
{
    struct ad_slice value, item, name, token;
    size_t i;

    for (i = 0; i < head->fields.n; i++) {
        if (!ad_slice_is_nocase(head->fields.at[i].name, "Cookie")) {
            continue;
        }
        value = head->fields.at[i].value;
        while (out->grant.rights == 0 && ad_credential_cut(&value, ';', &item)) {
            if (!ad_credential_cookie(item, &name, &token) ||
                ad_credential_cookie_is_own(name, port) == others) {
                continue;
            }
            if (others) {
                ad_credentials_add_other(out, token, now_s);
            } else {
                (void)ad_credentials_add(out, token, now_s);
            }
        }
    }
}

/* What the request with this head brings. `own`: its cookies count, see
 * ad_access_verdict. `port`: in the names of our cookies. now_s: Unix time. */
static void ad_credentials_read(const struct ad_http_head *head, bool own,
                                unsigned port, int64_t now_s,
                                struct ad_credentials *out)
{
    struct ad_slice value, item, token;

    memset(out, 0, sizeof(*out));
    if (ad_http_field_get(&head->fields, "Authorization", &value) &&
        ad_credential_bearer(value, &token)) {
        out->bearer = ad_credentials_add(out, token, now_s);
    }
    if (ad_http_field_get(&head->fields, "x-api-key", &token)) {
        out->api_key = ad_credentials_add(out, token, now_s);
    }
    value = head->query;
    while (!out->query && ad_credential_cut(&value, '&', &item)) {
        if (ad_credential_query(item, &token)) {
            out->query = ad_credentials_add(out, token, now_s);
        }
    }
    if (own) {
        ad_credentials_cookies(head, port, false, now_s, out);
        ad_credentials_cookies(head, port, true, now_s, out);
    }
}

#endif
