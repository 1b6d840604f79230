/* jwt.c - JSON Web Tokens (RFC 7519) with a signature (RFC 7515), as RFC 8725 wants
 * them: checked, and made for `aidash token`.
 * Owns ad_jwt. Hub thread; before it runs, the starting one.
 *
 * What is configured fixes the algorithm: the secret HS256, an RSA key RS256, a
 * P-256 key ES256. A token only says which of the keys it wants. Nothing of a token
 * is believed, and its claims are not read, before its signature is checked.
 */
#ifndef AD_GUARD_JWT_C
#define AD_GUARD_JWT_C

#include "../base/clock.c"
#include "grant.c"
#include "jwks.c"

#if AIDASH_TLS

#include <mbedtls/constant_time.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>

enum {
    AD_JWT_SECRET_MIN = 32,  /* bytes: RFC 7518 3.2, as long as the hash */
    AD_JWT_SECRET_MAX = 1024,
    AD_JWT_NAME_MAX = 255,   /* bytes of an issuer and of an audience */
    AD_JWT_LEEWAY_S = 30,    /* RFC 7519 4.1.4: clocks differ */
    AD_JWT_HASH = 32,        /* bytes of SHA-256 */
    AD_JWT_PART_MAX = AD_BASE64URL_BYTES(AIDASH_TOKEN_MAX)
};

/* Of the hub's time, wrong signatures by public keys get one part in so many. */
enum { AD_JWT_WRONG_SHARE = 10 };

/* The greatest time that a token may name: the end of the year 9999. */
#define AD_JWT_TIME_MAX 253402300799.0

/* In the order in which they are found: up to AD_JWT_SIGNATURE nothing shows that the
 * token is ours. */
enum ad_jwt_fault {
    AD_JWT_OK,
    AD_JWT_OFF,
    AD_JWT_LENGTH,
    AD_JWT_FORM,
    AD_JWT_ENCRYPTED,
    AD_JWT_HEADER,
    AD_JWT_CRITICAL,
    AD_JWT_KEY_INSIDE,
    AD_JWT_TYPE,
    AD_JWT_ALGORITHM,
    AD_JWT_KEY,
    AD_JWT_BUSY,
    AD_JWT_SIGNATURE,
    AD_JWT_CLAIMS,
    AD_JWT_NO_END,
    AD_JWT_TIME,
    AD_JWT_EXPIRED,
    AD_JWT_EARLY,
    AD_JWT_ISSUER,
    AD_JWT_AUDIENCE,
    AD_JWT_AUDIENCE_OPEN,
    AD_JWT_SUBJECT,
    AD_JWT_SCOPE
};

static const char *const ad_jwt_faults[] = {
    [AD_JWT_OK] = "",
    [AD_JWT_OFF] = "there is no key for JSON Web Tokens here",
    [AD_JWT_LENGTH] = "the token is too long",
    [AD_JWT_FORM] = "the token is not three parts of base64url",
    [AD_JWT_ENCRYPTED] = "the token is encrypted, or holds another one",
    [AD_JWT_HEADER] = "the token's header is not a JSON object whose members have "
                      "different names",
    [AD_JWT_CRITICAL] = "the token's header has a \"crit\" that is not known",
    [AD_JWT_KEY_INSIDE] = "the token names a key of its own",
    [AD_JWT_TYPE] = "the token's \"typ\" must be JWT or at+jwt",
    [AD_JWT_ALGORITHM] = "the token's \"alg\" is not that of a configured key",
    [AD_JWT_KEY] = "no configured key fits the token's \"kid\"",
    [AD_JWT_BUSY] = "too many tokens with wrong signatures came: send it again in a "
                    "second",
    [AD_JWT_SIGNATURE] = "the token's signature is wrong",
    [AD_JWT_CLAIMS] = "the token's claims are not a JSON object whose members have "
                      "different names",
    [AD_JWT_NO_END] = "the token has no \"exp\"",
    [AD_JWT_TIME] = "the token's \"exp\", \"nbf\" and \"iat\" must be seconds since "
                    "1970",
    [AD_JWT_EXPIRED] = "the token has expired",
    [AD_JWT_EARLY] = "the token is not valid yet",
    [AD_JWT_ISSUER] = "the token is of another issuer",
    [AD_JWT_AUDIENCE] = "the token is for another audience",
    [AD_JWT_AUDIENCE_OPEN] = "the token is for an audience (\"aud\"), and none is "
                             "configured here",
    [AD_JWT_SUBJECT] = "the token's \"sub\" must be a string of 1 to 63 bytes, "
                       "without control characters",
    [AD_JWT_SCOPE] = "the token's \"scope\" must be a string of names with spaces "
                     "between them",
};
_Static_assert(AD_GRANT_NAME_MAX == 63, "a sentence names the longest name");

struct ad_jwt_secret {
    size_t len; /* 0: there is none */
    uint8_t bytes[AD_JWT_SECRET_MAX];
};

/* A token whose signature was right. */
struct ad_jwt_known {
    bool used;
    uint8_t hash[AD_JWT_HASH]; /* of the whole token */
    int64_t from_s;            /* Unix time */
    struct ad_grant grant;
};

static struct {
    struct ad_jwt_secret secret;
    struct ad_jwks keys;
    char issuer[AD_JWT_NAME_MAX + 1], audience[AD_JWT_NAME_MAX + 1]; /* "": any */
    struct ad_jwt_known known[AIDASH_JWT_CACHE];
    unsigned known_next;  /* to be replaced */
    uint64_t wait_ns;     /* no signature by a public key is checked before this */
    uint8_t part[AD_JWT_PART_MAX]; /* a part of the token, decoded */
} ad_jwt;

/* What a token's header asks for. */
struct ad_jwt_header {
    enum { AD_JWT_HS256, AD_JWT_RS256, AD_JWT_ES256 } algorithm;
    bool has_id;
    char id[AD_KID_MAX + 1];
};

/* The three parts of a token, and the first two with the dot between them. */
struct ad_jwt_parts {
    struct ad_slice header, claims, signature, signed_text;
};

/* ---- signatures ---- */

/* RFC 2104. */
static bool ad_jwt_hmac(const struct ad_jwt_secret *secret, struct ad_slice text,
                        uint8_t out[AD_JWT_HASH])
{
    struct ad_heap *before = ad_crypto_use(&ad_jwt_heap.heap);
    bool ok = ad_crypto_start() &&
              mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256),
                              secret->bytes, secret->len, (const uint8_t *)text.at,
                              text.len, out) == 0;

    (void)ad_crypto_use(before);
    return ok;
}

static bool ad_jwt_hash(struct ad_slice text, uint8_t out[AD_JWT_HASH])
{
    return mbedtls_sha256((const uint8_t *)text.at, text.len, out, 0) == 0;
}

/* RFC 7518 3.3. */
static bool ad_jwt_rsa_ok(const struct ad_jwk *key, const uint8_t hash[AD_JWT_HASH],
                          const uint8_t *signature, size_t len)
{
    mbedtls_rsa_context rsa;
    bool ok;

    if (len != key->n_len) {
        return false;
    }
    mbedtls_rsa_init(&rsa);
    ok = mbedtls_rsa_import_raw(&rsa, key->rsa.n, key->n_len, NULL, 0, NULL, 0, NULL,
                                0, key->rsa.e, sizeof(key->rsa.e)) == 0 &&
         mbedtls_rsa_complete(&rsa) == 0 &&
         mbedtls_rsa_pkcs1_verify(&rsa, MBEDTLS_MD_SHA256, AD_JWT_HASH, hash,
                                  signature) == 0;
    mbedtls_rsa_free(&rsa);
    return ok;
}

/* RFC 7518 3.4: r and s, of full length. */
static bool ad_jwt_p256_ok(const struct ad_jwk *key, const uint8_t hash[AD_JWT_HASH],
                           const uint8_t *signature, size_t len)
{
    mbedtls_ecp_group group;
    mbedtls_ecp_point point;
    mbedtls_mpi r, s;
    bool ok;

    if (len != 2 * AD_P256_BYTES) {
        return false;
    }
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&point);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    ok = mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP256R1) == 0 &&
         mbedtls_ecp_point_read_binary(&group, &point, key->point,
                                       sizeof(key->point)) == 0 &&
         mbedtls_mpi_read_binary(&r, signature, AD_P256_BYTES) == 0 &&
         mbedtls_mpi_read_binary(&s, signature + AD_P256_BYTES, AD_P256_BYTES) == 0 &&
         mbedtls_ecdsa_verify(&group, hash, AD_JWT_HASH, &point, &r, &s) == 0;
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_ecp_point_free(&point);
    mbedtls_ecp_group_free(&group);
    return ok;
}

/* A check by a public key takes some milliseconds on a small board, and whoever likes
 * can send a token that needs one: after a wrong one the next is checked when
 * AD_JWT_WRONG_SHARE times its duration is over. So viewers get their ticks in time
 * whatever comes. */
static enum ad_jwt_fault ad_jwt_check_by(const struct ad_jwk *key,
                                         struct ad_slice text,
                                         const uint8_t *signature, size_t len)
{
    uint64_t begin_ns = ad_clock_ns(CLOCK_MONOTONIC), end_ns;
    uint8_t hash[AD_JWT_HASH];
    struct ad_heap *before;
    bool ok;

    if (begin_ns < ad_jwt.wait_ns) {
        return AD_JWT_BUSY;
    }
    before = ad_crypto_use(&ad_jwt_heap.heap);
    ok = ad_jwt_hash(text, hash) &&
         (key->kind == AD_JWK_RSA ? ad_jwt_rsa_ok(key, hash, signature, len)
                                  : ad_jwt_p256_ok(key, hash, signature, len));
    (void)ad_crypto_use(before);
    if (ok) {
        return AD_JWT_OK;
    }
    end_ns = ad_clock_ns(CLOCK_MONOTONIC);
    ad_jwt.wait_ns = begin_ns + (end_ns - begin_ns) * AD_JWT_WRONG_SHARE;
    if (ad_jwt.wait_ns > end_ns + AD_NS_PER_S) {
        ad_jwt.wait_ns = end_ns + AD_NS_PER_S;
    }
    return AD_JWT_SIGNATURE;
}

static enum ad_jwt_fault ad_jwt_check_signature(const struct ad_jwt_header *header,
                                                const struct ad_jwt_parts *parts)
{
    uint8_t signature[AD_RSA_BYTES_MAX], hash[AD_JWT_HASH];
    const char *id = header->has_id ? header->id : NULL;
    const struct ad_jwk *key;
    size_t len;

    if (!ad_base64url_decode(parts->signature, signature, sizeof(signature), &len)) {
        return AD_JWT_FORM;
    }
    if (header->algorithm == AD_JWT_HS256) {
        if (ad_jwt.secret.len == 0) {
            return AD_JWT_ALGORITHM;
        }
        if (len == sizeof(hash) &&
            ad_jwt_hmac(&ad_jwt.secret, parts->signed_text, hash) &&
            mbedtls_ct_memcmp(hash, signature, sizeof(hash)) == 0) {
            return AD_JWT_OK;
        }
        return AD_JWT_SIGNATURE;
    }
    if (ad_jwt.keys.n == 0) {
        return AD_JWT_ALGORITHM;
    }
    key = ad_jwks_find(&ad_jwt.keys,
                       header->algorithm == AD_JWT_RS256 ? AD_JWK_RSA : AD_JWK_P256,
                       id);
    if (key == NULL) {
        return ad_jwt.keys.named ? AD_JWT_KEY : AD_JWT_ALGORITHM;
    }
    return ad_jwt_check_by(key, parts->signed_text, signature, len);
}

/* ---- the header ---- */

/* RFC 7515 4.1.9, RFC 8725 3.11: a token of another kind, of the same issuer, is not
 * taken for one that gives rights. RFC 9068 2.1: at+jwt. */
static bool ad_jwt_type_ok(struct ad_slice value)
{
    static const char prefix[] = "application/";
    char type[64];
    const char *name = type;

    if (value.at == NULL) {
        return true;
    }
    if (!ad_json_text(value, type, sizeof(type) - 1)) {
        return false;
    }
    if (strncasecmp(name, prefix, strlen(prefix)) == 0) {
        name += strlen(prefix);
    }
    return strcasecmp(name, "JWT") == 0 || strcasecmp(name, "at+jwt") == 0;
}

static enum ad_jwt_fault ad_jwt_read_header(struct ad_jwt_header *header,
                                            struct ad_slice part)
{
    static const char *const keys[] = {"jwk", "jku", "x5u", "x5c"};
    struct ad_json_members m;
    struct ad_slice algorithm, id;
    size_t len, i;

    if (!ad_base64url_decode(part, ad_jwt.part, sizeof(ad_jwt.part), &len)) {
        return AD_JWT_FORM;
    }
    if (!ad_json_members_read(&m, (const char *)ad_jwt.part, len)) {
        return AD_JWT_HEADER;
    }
    if (ad_json_member(&m, "enc").at != NULL || ad_json_member(&m, "zip").at != NULL ||
        ad_json_member(&m, "cty").at != NULL) {
        return AD_JWT_ENCRYPTED;
    }
    if (ad_json_member(&m, "crit").at != NULL) {
        return AD_JWT_CRITICAL; /* RFC 7515 4.1.11: none is known */
    }
    for (i = 0; i < AD_COUNT(keys); i++) {
        if (ad_json_member(&m, keys[i]).at != NULL) {
            return AD_JWT_KEY_INSIDE;
        }
    }
    if (!ad_jwt_type_ok(ad_json_member(&m, "typ"))) {
        return AD_JWT_TYPE;
    }
    algorithm = ad_json_member(&m, "alg");
    if (algorithm.at != NULL && ad_json_text_is(algorithm, "HS256")) {
        header->algorithm = AD_JWT_HS256;
    } else if (algorithm.at != NULL && ad_json_text_is(algorithm, "RS256")) {
        header->algorithm = AD_JWT_RS256;
    } else if (algorithm.at != NULL && ad_json_text_is(algorithm, "ES256")) {
        header->algorithm = AD_JWT_ES256;
    } else {
        return AD_JWT_ALGORITHM;
    }
    id = ad_json_member(&m, "kid");
    header->has_id = id.at != NULL;
    if (header->has_id && !ad_json_text(id, header->id, AD_KID_MAX)) {
        return AD_JWT_KEY;
    }
    return AD_JWT_OK;
}

/* ---- the claims ---- */

/* A NumericDate (RFC 7519 2), rounded down. False if it is no such number. */
static bool ad_jwt_seconds(struct ad_slice value, int64_t *seconds)
{
    double number;

    if (value.at[0] != '-' && !ad_is_digit(value.at[0])) {
        return false;
    }
    number = ad_json_double(value.at, value.len);
    if (!(number >= 0 && number <= AD_JWT_TIME_MAX)) {
        return false;
    }
    *seconds = (int64_t)number;
    return true;
}

/* RFC 7519 4.1.4 to 4.1.6. Gives the times from and to which the token is valid, the
 * leeway included. */
static enum ad_jwt_fault ad_jwt_check_times(const struct ad_json_members *m,
                                            int64_t now_s, int64_t *from_s,
                                            int64_t *to_s)
{
    struct ad_slice exp = ad_json_member(m, "exp"), nbf = ad_json_member(m, "nbf");
    struct ad_slice iat = ad_json_member(m, "iat");
    int64_t issued_s;

    if (exp.at == NULL) {
        return AD_JWT_NO_END;
    }
    *from_s = 0;
    if (!ad_jwt_seconds(exp, to_s) ||
        (nbf.at != NULL && !ad_jwt_seconds(nbf, from_s)) ||
        (iat.at != NULL && !ad_jwt_seconds(iat, &issued_s))) {
        return AD_JWT_TIME;
    }
    *to_s += AD_JWT_LEEWAY_S;
    *from_s -= AD_JWT_LEEWAY_S;
    if (now_s >= *to_s) {
        return AD_JWT_EXPIRED;
    }
    return now_s < *from_s ? AD_JWT_EARLY : AD_JWT_OK;
}

/* RFC 7519 4.1.3: one, or a list. A token for others is not taken, even where none
 * is configured. */
static enum ad_jwt_fault ad_jwt_check_audience(struct ad_slice value)
{
    struct ad_slice one;

    if (ad_jwt.audience[0] == '\0') {
        return value.at == NULL ? AD_JWT_OK : AD_JWT_AUDIENCE_OPEN;
    }
    if (value.at == NULL) {
        return AD_JWT_AUDIENCE;
    }
    if (value.at[0] != '[') {
        return ad_json_text_is(value, ad_jwt.audience) ? AD_JWT_OK : AD_JWT_AUDIENCE;
    }
    while (ad_json_element(&value, &one)) {
        if (ad_json_text_is(one, ad_jwt.audience)) {
            return AD_JWT_OK;
        }
    }
    return AD_JWT_AUDIENCE;
}

/* RFC 8693 4.2: names with spaces between them. Those that are not known are for
 * others. */
static bool ad_jwt_read_scope(struct ad_slice value, unsigned *rights)
{
    size_t from, i;

    *rights = 0;
    if (value.at == NULL) {
        return true;
    }
    /* RFC 6749 3.3 has neither quotes nor backslashes in a scope. */
    if (value.at[0] != '"' || memchr(value.at, '\\', value.len) != NULL) {
        return false;
    }
    value = ad_slice_between(value.at + 1, value.at + value.len - 1);
    for (i = from = 0; i <= value.len; i++) {
        if (i == value.len || value.at[i] == ' ') {
            *rights |= ad_right_of(value.at + from, i - from);
            from = i + 1;
        }
    }
    return true;
}

static enum ad_jwt_fault ad_jwt_read_claims(struct ad_slice part, int64_t now_s,
                                            int64_t *from_s, struct ad_grant *out)
{
    struct ad_json_members m;
    struct ad_slice issuer, subject;
    enum ad_jwt_fault fault;
    size_t len;

    if (!ad_base64url_decode(part, ad_jwt.part, sizeof(ad_jwt.part), &len)) {
        return AD_JWT_FORM;
    }
    if (!ad_json_members_read(&m, (const char *)ad_jwt.part, len)) {
        return AD_JWT_CLAIMS;
    }
    memset(out, 0, sizeof(*out));
    fault = ad_jwt_check_times(&m, now_s, from_s, &out->expires_s);
    if (fault != AD_JWT_OK) {
        return fault;
    }
    issuer = ad_json_member(&m, "iss");
    if (ad_jwt.issuer[0] != '\0' &&
        (issuer.at == NULL || !ad_json_text_is(issuer, ad_jwt.issuer))) {
        return AD_JWT_ISSUER;
    }
    fault = ad_jwt_check_audience(ad_json_member(&m, "aud"));
    if (fault != AD_JWT_OK) {
        return fault;
    }
    subject = ad_json_member(&m, "sub");
    if (subject.at != NULL &&
        (!ad_json_text(subject, out->name, AD_GRANT_NAME_MAX) ||
         out->name[0] == '\0')) {
        return AD_JWT_SUBJECT;
    }
    return ad_jwt_read_scope(ad_json_member(&m, "scope"), &out->rights)
               ? AD_JWT_OK
               : AD_JWT_SCOPE;
}

/* ---- tokens that are known ---- */

static void ad_jwt_forget(void)
{
    memset(ad_jwt.known, 0, sizeof(ad_jwt.known));
    ad_jwt.known_next = 0;
}

static const struct ad_jwt_known *ad_jwt_recall(const uint8_t hash[AD_JWT_HASH])
{
    unsigned i;

    for (i = 0; i < AIDASH_JWT_CACHE; i++) {
        if (ad_jwt.known[i].used &&
            mbedtls_ct_memcmp(ad_jwt.known[i].hash, hash, AD_JWT_HASH) == 0) {
            return &ad_jwt.known[i];
        }
    }
    return NULL;
}

static void ad_jwt_remember(const uint8_t hash[AD_JWT_HASH], int64_t from_s,
                            const struct ad_grant *grant)
{
    struct ad_jwt_known *known = &ad_jwt.known[ad_jwt.known_next];

    ad_jwt.known_next = (ad_jwt.known_next + 1) % AIDASH_JWT_CACHE;
    known->used = true;
    memcpy(known->hash, hash, AD_JWT_HASH);
    known->from_s = from_s;
    known->grant = *grant;
}

/* ---- what others call ---- */

/* Before a run: no keys, any issuer. */
static void ad_jwt_init(void)
{
    mbedtls_platform_zeroize(&ad_jwt, sizeof(ad_jwt));
}

/* Is this text, which may be NULL, an issuer or an audience? */
static bool ad_jwt_name_ok(const char *text)
{
    return text == NULL || ad_name_ok(text, strlen(text), AD_JWT_NAME_MAX);
}

/* Whom tokens must be of and for; NULL: anybody. Both ad_jwt_name_ok(). */
static void ad_jwt_set_names(const char *issuer, const char *audience)
{
    (void)snprintf(ad_jwt.issuer, sizeof(ad_jwt.issuer), "%s",
                   issuer != NULL ? issuer : "");
    (void)snprintf(ad_jwt.audience, sizeof(ad_jwt.audience), "%s",
                   audience != NULL ? audience : "");
}

/* Other keys; each is copied. A token is checked anew. */
static void ad_jwt_set_secret(const struct ad_jwt_secret *secret)
{
    mbedtls_platform_zeroize(&ad_jwt.secret, sizeof(ad_jwt.secret));
    ad_jwt.secret = *secret;
    ad_jwt_forget();
}

static void ad_jwt_set_keys(const struct ad_jwks *keys)
{
    ad_jwt.keys = *keys;
    ad_jwt_forget();
}

/* Is there a key to check tokens with? */
static bool ad_jwt_on(void)
{
    return ad_jwt.secret.len > 0 || ad_jwt.keys.n > 0;
}

/* Might this be a JSON Web Token? Keys of the key file have no dots. */
static bool ad_jwt_looks_like(struct ad_slice token)
{
    return memchr(token.at, '.', token.len) != NULL;
}

/* Does this fault leave no doubt that the token is signed by one of our keys? */
static bool ad_jwt_is_signed(enum ad_jwt_fault fault)
{
    return fault == AD_JWT_OK || fault > AD_JWT_SIGNATURE;
}

/* Cut a token (RFC 7515 7.1). */
static enum ad_jwt_fault ad_jwt_cut(struct ad_slice token,
                                    struct ad_jwt_parts *parts)
{
    const char *end = token.at + token.len, *first, *second;

    first = memchr(token.at, '.', token.len);
    second = first == NULL ? NULL : memchr(first + 1, '.', (size_t)(end - first - 1));
    if (second == NULL) {
        return AD_JWT_FORM;
    }
    parts->header = ad_slice_between(token.at, first);
    parts->claims = ad_slice_between(first + 1, second);
    parts->signature = ad_slice_between(second + 1, end);
    parts->signed_text = ad_slice_between(token.at, second);
    /* RFC 7516 3.1: an encrypted one has five parts. */
    return memchr(second + 1, '.', parts->signature.len) == NULL ? AD_JWT_OK
                                                                 : AD_JWT_ENCRYPTED;
}

/* Check a token at this Unix time. With AD_JWT_OK, *out says what it gives: perhaps
 * no right; its name is "" without "sub"; it expires when the leeway has passed,
 * too. Otherwise *out has no meaning, and ad_jwt_faults[] has a sentence for who sent
 * the token. One check takes some milliseconds on a small board; of a token that is
 * known, some microseconds. */
static enum ad_jwt_fault ad_jwt_verify(struct ad_slice token, int64_t now_s,
                                       struct ad_grant *out)
{
    const struct ad_jwt_known *known;
    struct ad_jwt_header header;
    struct ad_jwt_parts parts;
    uint8_t hash[AD_JWT_HASH];
    enum ad_jwt_fault fault;
    int64_t from_s;

    if (!ad_jwt_on()) {
        return AD_JWT_OFF;
    }
    if (token.len > AIDASH_TOKEN_MAX) {
        return AD_JWT_LENGTH;
    }
    if (!ad_jwt_hash(token, hash)) {
        return AD_JWT_SIGNATURE;
    }
    known = ad_jwt_recall(hash);
    if (known != NULL) {
        *out = known->grant;
        if (now_s >= out->expires_s) {
            return AD_JWT_EXPIRED;
        }
        return now_s < known->from_s ? AD_JWT_EARLY : AD_JWT_OK;
    }
    fault = ad_jwt_cut(token, &parts);
    if (fault == AD_JWT_OK) {
        fault = ad_jwt_read_header(&header, parts.header);
    }
    if (fault == AD_JWT_OK) {
        fault = ad_jwt_check_signature(&header, &parts);
    }
    if (fault == AD_JWT_OK) {
        fault = ad_jwt_read_claims(parts.claims, now_s, &from_s, out);
    }
    if (fault == AD_JWT_OK) {
        ad_jwt_remember(hash, from_s, out);
    }
    return fault;
}

/* What a token that aidash makes says. */
struct ad_jwt_claims {
    const char *subject, *issuer, *audience; /* NULL: none */
    unsigned rights;                         /* AD_MAY_VIEW and the others */
    int64_t issued_s, expires_s;             /* Unix time */
};

static void ad_jwt_put_claims(struct ad_text *t, const struct ad_jwt_claims *claims)
{
    const char *space = "";
    unsigned i;

    ad_puts(t, "{");
    if (claims->issuer != NULL) {
        ad_puts(t, "\"iss\":");
        ad_put_string(t, claims->issuer);
        ad_puts(t, ",");
    }
    if (claims->subject != NULL) {
        ad_puts(t, "\"sub\":");
        ad_put_string(t, claims->subject);
        ad_puts(t, ",");
    }
    if (claims->audience != NULL) {
        ad_puts(t, "\"aud\":");
        ad_put_string(t, claims->audience);
        ad_puts(t, ",");
    }
    ad_puts(t, "\"iat\":");
    ad_put_u64(t, (uint64_t)claims->issued_s);
    ad_puts(t, ",\"exp\":");
    ad_put_u64(t, (uint64_t)claims->expires_s);
    ad_puts(t, ",\"scope\":\"");
    for (i = 0; i < AD_RIGHTS; i++) {
        if ((claims->rights & 1u << i) != 0) {
            ad_puts(t, space);
            ad_puts(t, ad_right_names[i]);
            space = " ";
        }
    }
    ad_puts(t, "\"}");
}

/* Make a token, signed by HS256, at the end of *out. False if it would be longer than
 * AIDASH_TOKEN_MAX, or has no room. */
static bool ad_jwt_mint(const struct ad_jwt_secret *secret,
                        const struct ad_jwt_claims *claims, struct ad_text *out)
{
    static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    char json[2048];
    struct ad_text text = ad_text_in(json, sizeof(json));
    uint8_t signature[AD_JWT_HASH];
    size_t begin = out->len;
    bool ok;

    ad_jwt_put_claims(&text, claims);
    ad_put_base64url(out, (const uint8_t *)header, strlen(header));
    ad_puts(out, ".");
    ad_put_base64url(out, (const uint8_t *)json, text.len);
    ok = !text.full && !out->full &&
         ad_jwt_hmac(secret, ad_slice_between(out->at + begin, out->at + out->len),
                     signature);
    ad_puts(out, ".");
    ad_put_base64url(out, signature, sizeof(signature));
    return ok && !out->full && out->len - begin <= AIDASH_TOKEN_MAX;
}

AD_MEMORY(jwt, 1, sizeof(ad_jwt));

#endif /* AIDASH_TLS */

#endif
