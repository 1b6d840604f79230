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

/* Judge one text, at this Unix time. *why becomes a sentence about a token that is not
 * good, else NULL. */
static enum ad_credential ad_credential_judge(struct ad_slice token, int64_t now_s,
                                              struct ad_grant *grant,
                                              const char **why)
{
    bool found = ad_keys_find(token, grant);

    *why = NULL;
    if (found && grant->rights != 0 &&
        (grant->expires_s == 0 || grant->expires_s > now_s)) {
        return AD_CREDENTIAL_GOOD;
    }
    memset(grant, 0, sizeof(*grant));
#if AIDASH_TLS
    if (!found && ad_jwt_on() && ad_jwt_looks_like(token)) {
        return ad_credential_judge_jwt(token, now_s, grant, why);
    }
#endif
    return found || ad_credential_is_ours(token) ? AD_CREDENTIAL_BAD
                                                 : AD_CREDENTIAL_FOREIGN;
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

/* Is this pair of a Cookie field (RFC 6265 4.2.1) one of ours, and what is its
 * value? */
static bool ad_credential_cookie(struct ad_slice pair, struct ad_slice *token)
{
    struct ad_slice name;

    pair = ad_slice_trim(pair);
    if (!ad_slice_begins(pair, AD_COOKIE_PREFIX) ||
        !ad_credential_cut(&pair, '=', &name)) {
        return false;
    }
    *token = pair;
    return true;
}

/* Judge a text that was found; the first good one gives its grant. Returns whether
 * it is one of ours. */
static bool ad_credentials_add(struct ad_credentials *c, struct ad_slice token,
                               int64_t now_s)
{
    struct ad_grant grant;
    const char *why;
    enum ad_credential judged = ad_credential_judge(token, now_s, &grant, &why);

    c->offered = true;
    c->why = c->why != NULL ? c->why : why;
    if (judged == AD_CREDENTIAL_GOOD && c->grant.rights == 0) {
        c->grant = grant;
    }
    return judged != AD_CREDENTIAL_FOREIGN;
}

/* What the request with this head brings. `own`: its cookies count, see
 * ad_access_verdict. now_s: Unix time. */
static void ad_credentials_read(const struct ad_http_head *head, bool own,
                                int64_t now_s, struct ad_credentials *out)
{
    struct ad_slice value, item, token;
    size_t i;

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
    for (i = 0; i < head->fields.n && own; i++) {
        if (ad_slice_is_nocase(head->fields.at[i].name, "Cookie")) {
            value = head->fields.at[i].value;
            while (out->grant.rights == 0 &&
                   ad_credential_cut(&value, ';', &item)) {
                if (ad_credential_cookie(item, &token)) {
                    (void)ad_credentials_add(out, token, now_s);
                }
            }
        }
    }
}

#endif
