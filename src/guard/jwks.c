/* jwks.c - the public keys that sign tokens, out of the text of a file: one in PEM
 * (RFC 7468), or a JSON Web Key Set (RFC 7517). Owns ad_jwt_heap. Hub thread; before
 * it runs, the starting one.
 */
#ifndef AD_GUARD_JWKS_C
#define AD_GUARD_JWKS_C

#include "../codec/base64url.c"
#include "../codec/json_members.c"
#include "crypto.c"

#if AIDASH_TLS

#include <mbedtls/ecp.h>
#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>

enum {
    AD_RSA_BYTES_MIN = 2048 / 8, /* RFC 7518 3.3 */
    AD_RSA_BYTES_MAX = 4096 / 8,
    AD_P256_BYTES = 32,          /* of a coordinate */
    AD_KID_MAX = 127,            /* bytes of a key's ID */
    AD_JWT_MEMORY = 24 * 1024    /* bytes; a check by RSA with 4096 bits needs 12 kB */
};

/* What mbedTLS allocates from while it works on keys and tokens; empty between. */
static struct {
    _Alignas(16) uint8_t memory[AD_JWT_MEMORY];
    struct ad_heap heap;
} ad_jwt_heap = {.heap = {ad_jwt_heap.memory, AD_JWT_MEMORY, 0, 0, 0}};

enum ad_jwk_kind { AD_JWK_RSA, AD_JWK_P256 };

/* A public key, as plain numbers: what mbedTLS makes of it lives for one check. */
struct ad_jwk {
    uint8_t kind; /* enum ad_jwk_kind: it fixes the algorithm */
    bool has_id;
    char id[AD_KID_MAX + 1];
    uint16_t n_len; /* AD_JWK_RSA: bytes of n, which begins with another than 0 */
    union {
        struct {
            uint8_t n[AD_RSA_BYTES_MAX];
            uint8_t e[4];
        } rsa;
        uint8_t point[1 + 2 * AD_P256_BYTES]; /* SEC 1 2.3.3: 4, x, y */
    };
};

struct ad_jwks {
    bool named;       /* a token chooses by ID; a key in PEM has none */
    unsigned n;
    unsigned ignored; /* keys that can't be used (RFC 7517 5) */
    struct ad_jwk list[AIDASH_JWT_KEYS];
};

/* -- numbers of a key -- */

/* Take n and e, of any length. Returns what is wrong, or NULL. */
static const char *ad_jwk_set_rsa(struct ad_jwk *key, const uint8_t *n, size_t n_len,
                                  const uint8_t *e, size_t e_len)
{
    while (n_len > 0 && n[0] == 0) {
        n++;
        n_len--;
    }
    while (e_len > 0 && e[0] == 0) {
        e++;
        e_len--;
    }
    if (n_len < AD_RSA_BYTES_MIN || (n_len == AD_RSA_BYTES_MIN && n[0] < 0x80)) {
        return "its RSA key has fewer than 2048 bits";
    }
    if (n_len > AD_RSA_BYTES_MAX) {
        return "its RSA key has more than 4096 bits";
    }
    /* FIPS 186-5 A.1.1: odd, and above 2^16; longer ones are not in use. */
    if (e_len < 3 || e_len > sizeof(key->rsa.e) || (e[e_len - 1] & 1) == 0 ||
        (n[n_len - 1] & 1) == 0) {
        return "its RSA key's numbers are not those of a safe key";
    }
    key->kind = AD_JWK_RSA;
    key->n_len = (uint16_t)n_len;
    memcpy(key->rsa.n, n, n_len);
    memset(key->rsa.e, 0, sizeof(key->rsa.e));
    memcpy(key->rsa.e + sizeof(key->rsa.e) - e_len, e, e_len);
    return NULL;
}

/* Is key->point on the curve? */
static bool ad_jwk_point_ok(const struct ad_jwk *key)
{
    mbedtls_ecp_group group;
    mbedtls_ecp_point point;
    bool ok;

    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&point);
    ok = mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP256R1) == 0 &&
         mbedtls_ecp_point_read_binary(&group, &point, key->point,
                                       sizeof(key->point)) == 0 &&
         mbedtls_ecp_check_pubkey(&group, &point) == 0;
    mbedtls_ecp_point_free(&point);
    mbedtls_ecp_group_free(&group);
    return ok;
}

/* -- PEM -- */

static const char *ad_jwk_of_rsa(struct ad_jwk *key, const mbedtls_rsa_context *rsa)
{
    uint8_t n[AD_RSA_BYTES_MAX], e[AD_RSA_BYTES_MAX];

    if (mbedtls_rsa_get_len(rsa) > sizeof(n)) {
        return "its RSA key has more than 4096 bits";
    }
    if (mbedtls_rsa_export_raw(rsa, n, sizeof(n), NULL, 0, NULL, 0, NULL, 0, e,
                               sizeof(e)) != 0) {
        return "its RSA key can't be read";
    }
    return ad_jwk_set_rsa(key, n, sizeof(n), e, sizeof(e));
}

static const char *ad_jwk_of_ec(struct ad_jwk *key, const mbedtls_ecp_keypair *pair)
{
    mbedtls_ecp_group group;
    mbedtls_ecp_point point;
    const char *fault = "its EC key is not on the curve P-256";
    size_t len;

    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&point);
    if (mbedtls_ecp_keypair_get_group_id(pair) == MBEDTLS_ECP_DP_SECP256R1 &&
        mbedtls_ecp_export(pair, &group, NULL, &point) == 0 &&
        mbedtls_ecp_point_write_binary(&group, &point, MBEDTLS_ECP_PF_UNCOMPRESSED,
                                       &len, key->point,
                                       sizeof(key->point)) == 0) {
        key->kind = AD_JWK_P256;
        fault = ad_jwk_point_ok(key) ? NULL : fault;
    }
    mbedtls_ecp_point_free(&point);
    mbedtls_ecp_group_free(&group);
    return fault;
}

static const char *ad_jwks_read_pem(struct ad_jwks *set, const char *text,
                                    size_t len)
{
    struct ad_jwk *key = &set->list[0];
    mbedtls_pk_context pk;
    const char *fault = "it has no public key of RSA or P-256 that can be read";

    if (strstr(text, "PRIVATE KEY-----") != NULL) {
        return "it has a private key: give the public one";
    }
    if (strstr(text, "-----BEGIN CERTIFICATE-----") != NULL) {
        return "it has a certificate: give its public key (openssl x509 -pubkey "
               "-noout)";
    }
    if (strstr(strstr(text, "-----BEGIN ") + 1, "-----BEGIN ") != NULL) {
        return "it has more than one key: several belong into a JWKS";
    }
    mbedtls_pk_init(&pk);
    if (mbedtls_pk_parse_public_key(&pk, (const uint8_t *)text, len + 1) == 0) {
        if (mbedtls_pk_get_type(&pk) == MBEDTLS_PK_RSA) {
            fault = ad_jwk_of_rsa(key, mbedtls_pk_rsa(pk));
        } else if (mbedtls_pk_get_type(&pk) == MBEDTLS_PK_ECKEY) {
            fault = ad_jwk_of_ec(key, mbedtls_pk_ec(pk));
        }
    }
    mbedtls_pk_free(&pk);
    set->n = 1;
    return fault;
}

/* -- JWKS -- */

/* The number in a member, in base64url, into out[cap]. Returns its bytes, 0 if there
 * is none, or it is longer. */
static size_t ad_jwk_number(const struct ad_json_members *m, const char *name,
                            uint8_t *out, size_t cap)
{
    struct ad_slice value = ad_json_member(m, name);
    size_t len = 0;

    if (value.at == NULL || value.len < 2 || value.at[0] != '"') {
        return 0;
    }
    value = ad_slice_between(value.at + 1, value.at + value.len - 1);
    return ad_base64url_decode(value, out, cap, &len) ? len : 0;
}

/* Without the member, or it is the string `text`? */
static bool ad_jwk_may(const struct ad_json_members *m, const char *name,
                       const char *text)
{
    struct ad_slice value = ad_json_member(m, name);

    return value.at == NULL || ad_json_text_is(value, text);
}

/* May the key check signatures (RFC 7517 4.2, 4.3), and by this algorithm (4.4)? */
static bool ad_jwk_verifies(const struct ad_json_members *m, const char *algorithm)
{
    struct ad_slice ops = ad_json_member(m, "key_ops"), op;

    if (!ad_jwk_may(m, "use", "sig") || !ad_jwk_may(m, "alg", algorithm)) {
        return false;
    }
    if (ops.at == NULL) {
        return true;
    }
    if (ops.at[0] != '[') {
        return false;
    }
    while (ad_json_element(&ops, &op)) {
        if (ad_json_text_is(op, "verify")) {
            return true;
        }
    }
    return false;
}

static bool ad_jwk_read_rsa(struct ad_jwk *key, const struct ad_json_members *m)
{
    uint8_t n[AD_RSA_BYTES_MAX + 1], e[8]; /* some write a 0 in front */
    size_t n_len = ad_jwk_number(m, "n", n, sizeof(n));
    size_t e_len = ad_jwk_number(m, "e", e, sizeof(e));

    return ad_jwk_verifies(m, "RS256") &&
           ad_jwk_set_rsa(key, n, n_len, e, e_len) == NULL;
}

static bool ad_jwk_read_ec(struct ad_jwk *key, const struct ad_json_members *m)
{
    struct ad_slice curve = ad_json_member(m, "crv");

    key->kind = AD_JWK_P256;
    key->point[0] = 4;
    /* RFC 7518 6.2.1.2: each has the full length. */
    return curve.at != NULL && ad_json_text_is(curve, "P-256") &&
           ad_jwk_verifies(m, "ES256") &&
           ad_jwk_number(m, "x", key->point + 1, AD_P256_BYTES) == AD_P256_BYTES &&
           ad_jwk_number(m, "y", key->point + 1 + AD_P256_BYTES, AD_P256_BYTES) ==
               AD_P256_BYTES &&
           ad_jwk_point_ok(key);
}

/* Is there a key of this ID and kind? */
static bool ad_jwks_has(const struct ad_jwks *set, const struct ad_jwk *key)
{
    unsigned i;

    for (i = 0; i < set->n; i++) {
        const struct ad_jwk *other = &set->list[i];

        if (other->kind == key->kind && other->has_id && key->has_id &&
            strcmp(other->id, key->id) == 0) {
            return true;
        }
    }
    return false;
}

/* Add a key, or ignore it. Returns what makes the whole set unfit, or NULL. */
static const char *ad_jwks_add(struct ad_jwks *set, const struct ad_json_members *m)
{
    struct ad_slice type = ad_json_member(m, "kty"), id = ad_json_member(m, "kid");
    struct ad_jwk key;
    bool good = false;

    memset(&key, 0, sizeof(key));
    if (ad_json_member(m, "d").at != NULL || ad_json_member(m, "k").at != NULL) {
        return "it has a private or secret key: give the public ones";
    }
    if (type.at != NULL && ad_json_text_is(type, "RSA")) {
        good = ad_jwk_read_rsa(&key, m);
    } else if (type.at != NULL && ad_json_text_is(type, "EC")) {
        good = ad_jwk_read_ec(&key, m);
    }
    if (id.at != NULL) {
        key.has_id = true;
        good = good && ad_json_text(id, key.id, AD_KID_MAX);
    }
    if (!good) {
        set->ignored++;
        return NULL;
    }
    if (ad_jwks_has(set, &key)) {
        return "two of its keys have the same \"kid\"";
    }
    if (set->n == AIDASH_JWT_KEYS) {
        return "it has too many keys";
    }
    set->list[set->n++] = key;
    return NULL;
}

static const char *ad_jwks_read_json(struct ad_jwks *set, const char *text,
                                     size_t len)
{
    struct ad_json_members members;
    struct ad_slice keys, item;
    const char *fault = NULL;

    if (!ad_json_members_read(&members, text, len)) {
        return "it is neither PEM nor a JSON object whose members have different "
               "names";
    }
    set->named = true;
    keys = ad_json_member(&members, "keys");
    if (keys.at == NULL && ad_json_member(&members, "kty").at != NULL) {
        fault = ad_jwks_add(set, &members); /* one key, without a set */
    } else if (keys.at == NULL || keys.at[0] != '[') {
        return "it is no JWKS: its member \"keys\" is not a list";
    } else {
        while (fault == NULL && ad_json_element(&keys, &item)) {
            fault = ad_json_members_of(&members, item)
                        ? ad_jwks_add(set, &members)
                        : "one of its keys is not a JSON object whose members have "
                          "different names";
        }
    }
    if (fault == NULL && set->n == 0) {
        return "it has no public key for RS256 (2048 to 4096 bits) or ES256 (P-256)";
    }
    return fault;
}

/* -- what others call -- */

/* Read text[0..len), behind which is a NUL. Returns NULL, or what is wrong with it:
 * the rest of a sentence about the file, without any of its bytes. */
static const char *ad_jwks_read(struct ad_jwks *set, const char *text, size_t len)
{
    struct ad_heap *before = ad_crypto_use(&ad_jwt_heap.heap);
    const char *fault;

    memset(set, 0, sizeof(*set));
    if (!ad_crypto_start()) {
        fault = "mbedTLS did not start";
    } else if (strstr(text, "-----BEGIN ") != NULL &&
               text[ad_json_space(text, len)] != '{') {
        fault = ad_jwks_read_pem(set, text, len);
    } else {
        fault = ad_jwks_read_json(set, text, len);
    }
    (void)ad_crypto_use(before);
    return fault;
}

/* The key that a token's header asks for, NULL if there is none. RFC 7515 4.1.4:
 * `id` is NULL without "kid"; then the set must have just one key of the kind. */
static const struct ad_jwk *ad_jwks_find(const struct ad_jwks *set,
                                         enum ad_jwk_kind kind, const char *id)
{
    const struct ad_jwk *found = NULL;
    bool by_id = id != NULL && set->named;
    unsigned i;

    for (i = 0; i < set->n; i++) {
        const struct ad_jwk *key = &set->list[i];

        if (key->kind != kind ||
            (by_id && !(key->has_id && strcmp(key->id, id) == 0))) {
            continue;
        }
        if (found != NULL) {
            return NULL;
        }
        found = key;
    }
    return found;
}

AD_MEMORY(jwt_heap, 1, sizeof(ad_jwt_heap));

#endif /* AIDASH_TLS */

#endif
