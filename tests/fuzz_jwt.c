/* A token as it comes; or, behind "!", its header and its claims with a line's end
 * between them, which are then signed, so that all of the claims' reader is reached.
 * What is taken has a name, rights and an end that are none of their own making, and is
 * taken again. */
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

#define NOW 1300819379 /* a second before the end of RFC 7515's examples */

static struct ad_jwt_secret secret;

static void set_up(void)
{
    static const char text[] = "{\"keys\":[{" A3_JWK ",\"kid\":\"e\"},{" A2_JWK "}]}";
    static struct ad_jwks keys;

    if (secret.len != 0) {
        return;
    }
    REQUIRE(ad_base64url_decode(ad_slice_of(a1_key), secret.bytes, sizeof(secret.bytes),
                                &secret.len));
    REQUIRE(ad_jwks_read(&keys, text, strlen(text)) == NULL);
    ad_jwt_set_keys(&keys);
    ad_jwt_set_secret(&secret);
}

static void check(struct ad_slice token)
{
    struct ad_grant grant, again;
    enum ad_jwt_fault fault, known;

    ad_jwt.wait_ns = 0;
    fault = ad_jwt_verify(token, NOW, &grant);
    REQUIRE(fault < AD_COUNT(ad_jwt_faults) && ad_jwt_faults[fault] != NULL);
    ad_jwt.wait_ns = 0;
    known = ad_jwt_verify(token, NOW, &again);
    REQUIRE(known == fault);
    if (fault != AD_JWT_OK) {
        REQUIRE(ad_jwt_faults[fault][0] != '\0');
        return;
    }
    REQUIRE((grant.rights & ~(unsigned)AD_MAY_ALL) == 0);
    REQUIRE(grant.name[0] == '\0' ||
            ad_name_ok(grant.name, strlen(grant.name), AD_GRANT_NAME_MAX));
    REQUIRE(grant.expires_s > NOW && grant.key == 0);
    REQUIRE(again.rights == grant.rights && again.expires_s == grant.expires_s &&
            strcmp(again.name, grant.name) == 0);
}

static void check_signed(const char *text, size_t size)
{
    static char token[2 * AIDASH_TOKEN_MAX];
    struct ad_text t = ad_text_in(token, sizeof(token));
    const char *end = memchr(text, '\n', size);
    size_t len = end == NULL ? size : (size_t)(end - text);
    uint8_t mac[AD_JWT_HASH];

    ad_put_base64url(&t, (const uint8_t *)text, len);
    ad_puts(&t, ".");
    len = len < size ? len + 1 : len;
    ad_put_base64url(&t, (const uint8_t *)text + len, size - len);
    REQUIRE(ad_jwt_hmac(&secret, ad_slice_between(token, token + t.len), mac));
    ad_puts(&t, ".");
    ad_put_base64url(&t, mac, sizeof(mac));
    if (!t.full) {
        check(ad_slice_between(token, token + t.len));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ad_slice token = {(const char *)data, size};

    set_up();
    if (size > 0 && data[0] == '!') {
        check_signed((const char *)data + 1, size - 1);
    } else {
        check(token);
    }
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
