/* Files of public keys: what is taken, what is ignored, what is refused, and why. */
#include "../src/base/text.c"
#include "../src/guard/jwks.c"
#include "check.h"

#if AIDASH_TLS

#include "jwt_vectors.h"

static struct ad_jwks set;

static const char *read_keys(const char *text)
{
    size_t len = strlen(text);
    char *copy = check_copy(text, len + 1);
    const char *fault = ad_jwks_read(&set, copy, len);

    free(copy);
    return fault != NULL ? fault : "";
}

static void test_pem(void)
{
    static const struct {
        const char *text, *fault;
    } rows[] = {
        {rsa_1024, "its RSA key has fewer than 2048 bits"},
        {rsa_e_3, "its RSA key's numbers are not those of a safe key"},
        {p384, "its EC key is not on the curve P-256"},
        {ed25519, "it has no public key of RSA or P-256 that can be read"},
        {private_pem, "it has a private key: give the public one"},
        {"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
         "it has a certificate: give its public key (openssl x509 -pubkey -noout)"},
        {"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n",
         "it has no public key of RSA or P-256 that can be read"},
        {"-----BEGIN PUBLIC KEY-----\n",
         "it has no public key of RSA or P-256 that can be read"},
    };
    char both[4096];
    size_t i;

    CHECK_STR(read_keys(a2_pem), "");
    CHECK_EQ(set.n, 1);
    CHECK_EQ(set.list[0].kind, AD_JWK_RSA);
    CHECK_EQ(set.list[0].n_len, 256);
    CHECK(!set.named);
    CHECK_STR(read_keys(a2_pkcs1), "");
    CHECK_EQ(set.list[0].n_len, 256);
    CHECK_STR(read_keys(a3_pem), "");
    CHECK_EQ(set.list[0].kind, AD_JWK_P256);
    CHECK_STR(read_keys(rsa_4096), "");
    CHECK_EQ(set.list[0].n_len, 512);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK_STR(read_keys(rows[i].text), rows[i].fault);
    }
    (void)snprintf(both, sizeof(both), "%s%s", a2_pem, a3_pem);
    CHECK_STR(read_keys(both), "it has more than one key: several belong into a JWKS");
    (void)snprintf(both, sizeof(both), "a key of ours\n%s", a3_pem); /* RFC 7468 2 */
    CHECK_STR(read_keys(both), "");
}

/* PEM and JWKS give the same numbers. */
static void test_same_numbers(void)
{
    struct ad_jwk rsa, ec;

    CHECK_STR(read_keys(a2_pem), "");
    rsa = set.list[0];
    CHECK_STR(read_keys(a3_pem), "");
    ec = set.list[0];
    CHECK_STR(read_keys("{\"keys\":[{" A2_JWK "},{" A3_JWK "}]}"), "");
    CHECK_EQ(set.n, 2);
    CHECK(set.named);
    CHECK_EQ(set.ignored, 0);
    CHECK_EQ(set.list[0].n_len, rsa.n_len);
    CHECK(memcmp(set.list[0].rsa.n, rsa.rsa.n, rsa.n_len) == 0);
    CHECK(memcmp(set.list[0].rsa.e, rsa.rsa.e, sizeof(rsa.rsa.e)) == 0);
    CHECK(memcmp(set.list[1].point, ec.point, sizeof(ec.point)) == 0);
}

/* A set of this key and a good one has `n` keys and ignores the others. */
static void check_beside(const char *key, unsigned n)
{
    char text[4096];

    (void)snprintf(text, sizeof(text), "{\"keys\":[%s,{" A3_JWK ",\"kid\":\"good\"}]}",
                   key);
    CHECK_STR(read_keys(text), "");
    if (set.n != n || set.ignored != 2 - n) {
        printf("%s\n", key);
        CHECK_EQ(set.n, n);
        CHECK_EQ(set.ignored, 2 - n);
    }
}

/* RFC 7517 5: a key that can't be used does not make the others useless. */
static void test_ignored(void)
{
    check_beside("{" A2_JWK "}", 2);
    check_beside("{" A2_JWK ",\"use\":\"sig\",\"alg\":\"RS256\",\"key_ops\":[\"verify\"],"
                 "\"kid\":\"a\",\"x5c\":[\"MIIC\"],\"x5t\":\"abc\"}", 2);
    check_beside("{" A3_JWK ",\"alg\":\"ES256\"}", 2);
    check_beside("{}", 1);
    check_beside("{\"kty\":1}", 1);
    check_beside("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg\"}", 1);
    check_beside("{\"kty\":\"rsa\",\"n\":\"" A2_N "\",\"e\":\"AQAB\"}", 1);
    check_beside("{" A2_JWK ",\"use\":\"enc\"}", 1);
    check_beside("{" A2_JWK ",\"use\":1}", 1);
    check_beside("{" A2_JWK ",\"alg\":\"PS256\"}", 1);
    check_beside("{" A2_JWK ",\"alg\":\"RS512\"}", 1);
    check_beside("{" A2_JWK ",\"alg\":\"HS256\"}", 1);
    check_beside("{" A3_JWK ",\"alg\":\"RS256\"}", 1);
    check_beside("{" A2_JWK ",\"key_ops\":[\"encrypt\"]}", 1);
    check_beside("{" A2_JWK ",\"key_ops\":[]}", 1);
    check_beside("{" A2_JWK ",\"key_ops\":\"verify\"}", 1);
    check_beside("{" A2_JWK ",\"kid\":7}", 1);
    check_beside("{" A2_JWK ",\"kid\":\"a\\u0000b\"}", 1);
    check_beside("{\"kty\":\"RSA\",\"n\":\"" A2_N "\"}", 1);
    check_beside("{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"Aw\"}", 1);       /* 3 */
    check_beside("{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AQAA\"}", 1);     /* even */
    check_beside("{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AQAB=\"}", 1);
    check_beside("{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AQAAAAE\"}", 1); /* 2^32+1 */
    check_beside("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", 1);
    check_beside("{\"kty\":\"RSA\",\"n\":\"" A2_N A2_N A2_N "\",\"e\":\"AQAB\"}", 1);
    check_beside("{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" A3_X "\",\"y\":\"" A3_Y "\"}", 1);
    check_beside("{\"kty\":\"EC\",\"x\":\"" A3_X "\",\"y\":\"" A3_Y "\"}", 1);
    check_beside("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" A3_X "\"}", 1);
    /* Not on the curve (RFC 8725 3.4); no number of the field; too short. */
    check_beside("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" A3_X "\",\"y\":\"" A3_X "\"}", 1);
    check_beside("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"__________________________________________8\","
                 "\"y\":\"" A3_Y "\"}", 1);
    check_beside("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"" A3_Y "\"}", 1);
}

static void test_refused(void)
{
    static const char no_object[] = "it is neither PEM nor a JSON object whose members "
                                    "have different names";
    static const char no_key[] = "it has no public key for RS256 (2048 to 4096 bits) or "
                                 "ES256 (P-256)";
    static const char secret[] = "it has a private or secret key: give the public ones";
    static const char inner[] = "one of its keys is not a JSON object whose members have "
                                "different names";
    static const struct {
        const char *text, *fault;
    } rows[] = {
        {"", no_object},
        {"\n", no_object},
        {"ssh-rsa AAAA", no_object},
        {"[]", no_object},
        {"{\"keys\":[]", no_object},
        {"{\"keys\":[],\"keys\":[]}", no_object},
        {"{}", "it is no JWKS: its member \"keys\" is not a list"},
        {"{\"keys\":{}}", "it is no JWKS: its member \"keys\" is not a list"},
        {"{\"keys\":[]}", no_key},
        {"{\"keys\":[{}]}", no_key},
        {"{\"keys\":[1]}", inner},
        {"{\"keys\":[{" A3_JWK ",\"kty\":\"EC\"}]}", inner},
        {"{\"keys\":[{" A3_JWK "},null]}", inner},
        {"{\"keys\":[{" A3_JWK ",\"d\":\"AAAA\"}]}", secret},
        {"{\"keys\":[{" A2_JWK "},{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", secret},
        {"{\"keys\":[{" A3_JWK ",\"kid\":\"a\"},{" A3_JWK ",\"kid\":\"a\"}]}",
         "two of its keys have the same \"kid\""},
        {"{\"keys\":[{" A3_JWK ",\"kid\":\"a\"},{" A3_JWK ",\"kid\":\"\\u0061\"}]}",
         "two of its keys have the same \"kid\""},
    };
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK_STR(read_keys(rows[i].text), rows[i].fault);
    }
    /* Different types of key may share an ID (RFC 7517 4.5). */
    CHECK_STR(read_keys("{\"keys\":[{" A3_JWK ",\"kid\":\"a\"},{" A2_JWK ",\"kid\":\"a\"}]}"), "");
    CHECK_STR(read_keys("{" A3_JWK "}"), ""); /* one key without a set */
    CHECK_EQ(set.n, 1);
}

/* As many keys as fit, and one more. */
static void test_most(void)
{
    static char text[AIDASH_JWT_KEYS * 256 + 512];
    struct ad_text t = ad_text_in(text, sizeof(text));
    unsigned i;

    for (i = 0; i < AIDASH_JWT_KEYS; i++) {
        ad_putf(&t, "%s{" A3_JWK ",\"kid\":\"k%u\"}", i == 0 ? "{\"keys\":[" : ",", i);
    }
    ad_putf(&t, "]}");
    CHECK(!t.full);
    CHECK_STR(read_keys(text), "");
    CHECK_EQ(set.n, AIDASH_JWT_KEYS);
    t.len -= 2;
    ad_putf(&t, ",{\"kty\":\"none\"}]}"); /* what is ignored takes no place */
    CHECK_STR(read_keys(text), "");
    t.len -= 2;
    ad_putf(&t, ",{" A3_JWK ",\"kid\":\"x\"}]}");
    CHECK_STR(read_keys(text), "it has too many keys");
}

static void test_find(void)
{
    const struct ad_jwk *key;

    CHECK_STR(read_keys("{\"keys\":[{" A3_JWK ",\"kid\":\"a\"},{" A3_JWK ",\"kid\":\"b\"},"
                        "{" A2_JWK ",\"kid\":\"b\"}]}"), "");
    key = ad_jwks_find(&set, AD_JWK_P256, "b");
    CHECK(key == &set.list[1]);
    CHECK(ad_jwks_find(&set, AD_JWK_RSA, "b") == &set.list[2]);
    CHECK(ad_jwks_find(&set, AD_JWK_RSA, "a") == NULL);
    CHECK(ad_jwks_find(&set, AD_JWK_P256, "c") == NULL);
    CHECK(ad_jwks_find(&set, AD_JWK_P256, "") == NULL);
    CHECK(ad_jwks_find(&set, AD_JWK_P256, NULL) == NULL); /* which of the two? */
    CHECK(ad_jwks_find(&set, AD_JWK_RSA, NULL) == &set.list[2]);
    CHECK_STR(read_keys("{\"keys\":[{" A3_JWK "}]}"), "");
    CHECK(ad_jwks_find(&set, AD_JWK_P256, NULL) == &set.list[0]);
    CHECK(ad_jwks_find(&set, AD_JWK_P256, "x") == NULL);
    CHECK_STR(read_keys(a3_pem), ""); /* has no ID, so any is its */
    CHECK(ad_jwks_find(&set, AD_JWK_P256, "x") == &set.list[0]);
    CHECK(ad_jwks_find(&set, AD_JWK_RSA, "x") == NULL);
}

int main(void)
{
    test_pem();
    test_same_numbers();
    test_ignored();
    test_refused();
    test_most();
    test_find();
    return check_report();
}

#else

int main(void)
{
    CHECK(AIDASH_TLS == 0); /* without mbedTLS there are no such keys */
    return check_report();
}

#endif
