/* A file of public keys: a key that is taken has numbers of its size, and one that is
 * wrong for a token says so. */
#include "../src/base/text.c"
#include "../src/guard/jwt.c"
#include "jwt_vectors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#if AIDASH_TLS

#define REQUIRE(condition) \
    do { \
        if (!(condition)) { \
            (void)fprintf(stderr, "not so: %s\n", #condition); \
            abort(); \
        } \
    } while (0)

static void check_key(const struct ad_jwks *set, const struct ad_jwk *key)
{
    REQUIRE(key->kind == AD_JWK_RSA || key->kind == AD_JWK_P256);
    REQUIRE(strlen(key->id) <= AD_KID_MAX);
    REQUIRE(key->has_id || key->id[0] == '\0');
    if (key->kind == AD_JWK_RSA) {
        REQUIRE(key->n_len >= AD_RSA_BYTES_MIN && key->n_len <= AD_RSA_BYTES_MAX);
        REQUIRE(key->rsa.n[0] != 0 && (key->rsa.n[key->n_len - 1] & 1) != 0);
    }
    if (key->has_id && set->named) {
        REQUIRE(ad_jwks_find(set, (enum ad_jwk_kind)key->kind, key->id) == key);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ad_jwks set;
    struct ad_grant grant;
    enum ad_jwt_fault fault;
    const char *wrong;
    char *text;
    unsigned i;

    if (size > AIDASH_JWKS_MAX) {
        return 0;
    }
    text = malloc(size + 1);
    REQUIRE(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    wrong = ad_jwks_read(&set, text, size);
    if (wrong == NULL) {
        REQUIRE(set.n >= 1 && set.n <= AIDASH_JWT_KEYS);
        for (i = 0; i < set.n; i++) {
            check_key(&set, &set.list[i]);
        }
        ad_jwt_init();
        ad_jwt_set_keys(&set);
        fault = ad_jwt_verify(ad_slice_of(a2), 1300819379, &grant);
        REQUIRE(fault == AD_JWT_OK || fault == AD_JWT_SIGNATURE || fault == AD_JWT_KEY ||
                fault == AD_JWT_ALGORITHM);
        ad_jwt.wait_ns = 0;
        fault = ad_jwt_verify(ad_slice_of(a3), 1300819379, &grant);
        REQUIRE(fault == AD_JWT_OK || fault == AD_JWT_SIGNATURE || fault == AD_JWT_KEY ||
                fault == AD_JWT_ALGORITHM);
    } else {
        REQUIRE(wrong[0] != '\0' && strlen(wrong) < 200);
    }
    free(text);
    return 0;
}

#else

/* Without mbedTLS there are none. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)data;
    (void)size;
    return 0;
}

#endif
