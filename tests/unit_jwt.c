/* JSON Web Tokens: the examples of RFC 7515 and RFC 7519, what claims do, and the
 * attacks of RFC 8725, one by one. */
#include "../src/base/text.c"
#include "../src/guard/jwt_files.c"
#include "check.h"

#if AIDASH_TLS

#include "jwt_vectors.h"

/* RFC 7515 A.1.1: "exp" of the examples. */
enum { EXAMPLE_EXP = 1300819380 };

#define NOW 1700000000

static struct ad_grant grant;
static struct ad_jwt_secret secret, a1_secret;

/* ---- how the tests check ---- */

static enum ad_jwt_fault verify_soon(const char *token, int64_t now_s)
{
    size_t len = strlen(token);
    char *copy = check_copy(token, len);
    struct ad_slice s = {copy, len};
    enum ad_jwt_fault fault = ad_jwt_verify(s, now_s, &grant);

    free(copy);
    return fault;
}

/* Each check of a test may follow a wrong signature. */
static enum ad_jwt_fault verify_at(const char *token, int64_t now_s)
{
    ad_jwt.wait_ns = 0;
    return verify_soon(token, now_s);
}

static enum ad_jwt_fault verify(const char *token)
{
    return verify_at(token, NOW);
}

static void fresh_keys(void)
{
    ad_jwt_files_init();
    ad_jwt_set_secret(&secret);
}

static void use_keys(const char *text)
{
    static struct ad_jwks keys;
    const char *fault = ad_jwks_read(&keys, text, strlen(text));

    if (fault != NULL) {
        printf("%s\n", fault);
    }
    CHECK(fault == NULL);
    ad_jwt_files_init();
    ad_jwt_set_keys(&keys);
}

/* A token with this header and these claims, signed by HS256 with `key`. */
static const char *make_with(const struct ad_jwt_secret *key, const char *header,
                             const char *claims)
{
    static char token[3 * AIDASH_TOKEN_MAX];
    struct ad_text t = ad_text_in(token, sizeof(token) - 1);
    uint8_t mac[AD_JWT_HASH];

    ad_put_base64url(&t, (const uint8_t *)header, strlen(header));
    ad_puts(&t, ".");
    ad_put_base64url(&t, (const uint8_t *)claims, strlen(claims));
    CHECK(ad_jwt_hmac(key, ad_slice_between(token, token + t.len), mac));
    ad_puts(&t, ".");
    ad_put_base64url(&t, mac, sizeof(mac));
    CHECK(!t.full);
    token[t.len] = '\0';
    return token;
}

#define HS256 "{\"alg\":\"HS256\"}"
#define EXP "\"exp\":1700003600"

static const char *make(const char *header, const char *claims)
{
    return make_with(&secret, header, claims);
}

/* Tokens that differ in their header, or in their claims, and what becomes of them. */
struct row {
    const char *text;
    enum ad_jwt_fault fault;
};

static void check_headers(const struct row *rows, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        enum ad_jwt_fault fault = verify(make(rows[i].text, "{" EXP "}"));

        if (fault != rows[i].fault) {
            printf("%s\n", rows[i].text);
            CHECK_STR(ad_jwt_faults[fault], ad_jwt_faults[rows[i].fault]);
        }
        CHECK_EQ(fault, rows[i].fault);
    }
}

static void check_claims(const struct row *rows, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        enum ad_jwt_fault fault = verify(make(HS256, rows[i].text));

        if (fault != rows[i].fault) {
            printf("%s\n", rows[i].text);
            CHECK_STR(ad_jwt_faults[fault], ad_jwt_faults[rows[i].fault]);
        }
        CHECK_EQ(fault, rows[i].fault);
    }
}

#define ROWS(rows) (rows), sizeof(rows) / sizeof((rows)[0])

/* ---- the examples ---- */

static void test_rfc_7515_a_1(void)
{
    struct ad_slice key = ad_slice_of(a1_key);

    CHECK(ad_base64url_decode(key, a1_secret.bytes, sizeof(a1_secret.bytes),
                              &a1_secret.len));
    ad_jwt_files_init();
    CHECK_EQ(verify_at(a1, EXAMPLE_EXP - 1), AD_JWT_OFF);
    ad_jwt_set_secret(&a1_secret);
    CHECK_EQ(verify_at(a1, EXAMPLE_EXP - 1), AD_JWT_OK);
    CHECK_EQ(grant.rights, 0);
    CHECK_STR(grant.name, "");
    CHECK_EQ(grant.key, 0);
    CHECK_EQ(grant.expires_s, EXAMPLE_EXP + AD_JWT_LEEWAY_S);
    /* RFC 7519 3.1 has the same token. "On or after" exp (4.1.4), but for 30 s. */
    CHECK_EQ(verify_at(a1, EXAMPLE_EXP + 29), AD_JWT_OK);
    CHECK_EQ(verify_at(a1, EXAMPLE_EXP + 30), AD_JWT_EXPIRED);
    ad_jwt_set_names("joe", NULL);
    ad_jwt_set_secret(&a1_secret);
    CHECK_EQ(verify_at(a1, EXAMPLE_EXP - 1), AD_JWT_OK);
    ad_jwt_set_names("jo", NULL);
    ad_jwt_set_secret(&a1_secret);
    CHECK_EQ(verify_at(a1, EXAMPLE_EXP - 1), AD_JWT_ISSUER);
}

static void test_rfc_7515_a_2(void)
{
    use_keys(a2_pem);
    CHECK_EQ(verify_at(a2, EXAMPLE_EXP - 1), AD_JWT_OK);
    use_keys("{\"keys\":[{" A3_JWK "},{" A2_JWK "}]}");
    CHECK_EQ(verify_at(a2, EXAMPLE_EXP - 1), AD_JWT_OK);
    use_keys(rsa_4096);
    CHECK_EQ(verify_at(a2, EXAMPLE_EXP - 1), AD_JWT_SIGNATURE);
    CHECK_EQ(verify_at(token_4096, EXAMPLE_EXP - 1), AD_JWT_OK);
}

static void test_rfc_7515_a_3(void)
{
    use_keys(a3_pem);
    CHECK_EQ(verify_at(a3, EXAMPLE_EXP - 1), AD_JWT_OK);
    use_keys("{\"keys\":[{" A2_JWK "},{" A3_JWK ",\"kid\":\"x\"}]}");
    CHECK_EQ(verify_at(a3, EXAMPLE_EXP - 1), AD_JWT_OK);
}

/* RFC 7519 6.1, RFC 7515 A.5: an unsecured token. */
static void test_unsecured(void)
{
    static const char *const tokens[] = {
        "eyJhbGciOiJub25lIn0." CLAIMS ".",
        "eyJhbGciOiJub25lIn0." CLAIMS,
        "eyJhbGciOiJub25lIn0." CLAIMS ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    };
    static const enum ad_jwt_fault faults[] = {AD_JWT_ALGORITHM, AD_JWT_FORM,
                                               AD_JWT_ALGORITHM};
    size_t i;

    ad_jwt_files_init();
    ad_jwt_set_secret(&a1_secret);
    for (i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        CHECK_EQ(verify_at(tokens[i], EXAMPLE_EXP - 1), faults[i]);
    }
}

/* ---- RFC 8725 ---- */

/* 2.1, 3.1: the algorithm is that of the key, whatever the token says. */
static void test_algorithms(void)
{
    static const struct row rows[] = {
        {HS256, AD_JWT_OK},
        {"{\"alg\":\"none\"}", AD_JWT_ALGORITHM},
        {"{\"alg\":\"None\"}", AD_JWT_ALGORITHM},
        {"{\"alg\":\"nOnE\"}", AD_JWT_ALGORITHM},
        {"{\"alg\":\"\"}", AD_JWT_ALGORITHM},
        {"{\"alg\":\"hs256\"}", AD_JWT_ALGORITHM},
        {"{\"alg\":\"HS256 \"}", AD_JWT_ALGORITHM},
        {"{\"alg\":\"HS256\\u0000\"}", AD_JWT_ALGORITHM},
        {"{\"alg\":\"HS384\"}", AD_JWT_ALGORITHM},
        {"{\"alg\":\"HS512\"}", AD_JWT_ALGORITHM},
        {"{\"alg\":\"RS256\"}", AD_JWT_ALGORITHM},
        {"{\"alg\":\"ES256\"}", AD_JWT_ALGORITHM},
        {"{\"alg\":\"PS256\"}", AD_JWT_ALGORITHM},
        {"{\"alg\":\"EdDSA\"}", AD_JWT_ALGORITHM},
        {"{\"alg\":[\"HS256\"]}", AD_JWT_ALGORITHM},
        {"{\"alg\":null}", AD_JWT_ALGORITHM},
        {"{\"alg\":0}", AD_JWT_ALGORITHM},
        {"{}", AD_JWT_ALGORITHM},
        {"{\"Alg\":\"HS256\"}", AD_JWT_ALGORITHM},
        {"{\"alg\":\"\\u0048S256\"}", AD_JWT_OK}, /* JSON is JSON */
    };

    fresh_keys();
    check_headers(ROWS(rows));
}

/* 2.1: an HMAC whose secret is the public key, in each form that it has. */
static void test_public_key_as_secret(void)
{
    static const char *const forms[] = {a2_pem, a2_pkcs1, a3_pem,
                                        "{\"keys\":[{" A2_JWK "}]}"};
    struct ad_jwt_secret confused;
    size_t i;

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const char *token;

        confused.len = strlen(forms[i]);
        memcpy(confused.bytes, forms[i], confused.len);
        token = make_with(&confused, HS256, "{" EXP "}");
        use_keys(forms[i]);
        CHECK_EQ(verify(token), AD_JWT_ALGORITHM);
        ad_jwt_set_secret(&secret); /* both kinds are configured */
        CHECK_EQ(verify(token), AD_JWT_SIGNATURE);
    }
    /* And such a file is not taken for a secret's. */
    CHECK(ad_jwt_secret_of(a2_pem, strlen(a2_pem), &confused) != NULL);
}

/* 2.1: the header says RS256, the key is a P-256 key, and the other way. */
static void test_other_keys(void)
{
    use_keys(a3_pem);
    CHECK_EQ(verify_at(a2, EXAMPLE_EXP - 1), AD_JWT_ALGORITHM);
    CHECK_EQ(verify_at(a1, EXAMPLE_EXP - 1), AD_JWT_ALGORITHM);
    use_keys(a2_pem);
    CHECK_EQ(verify_at(a3, EXAMPLE_EXP - 1), AD_JWT_ALGORITHM);
    CHECK_EQ(verify_at(a1, EXAMPLE_EXP - 1), AD_JWT_ALGORITHM);
    fresh_keys();
    CHECK_EQ(verify_at(a1, EXAMPLE_EXP - 1), AD_JWT_SIGNATURE);
    CHECK_EQ(verify_at(a2, EXAMPLE_EXP - 1), AD_JWT_ALGORITHM);
}

/* 2.2, 3.5: a weak secret. */
static void test_weak_secrets(void)
{
    struct ad_jwt_secret s;

    CHECK_STR(ad_jwt_secret_of("", 0, &s), "its secret has fewer than 32 bytes; "
                                           "`openssl rand -base64 48` makes one");
    CHECK(ad_jwt_secret_of("0123456789012345678901234567890", 31, &s) != NULL);
    CHECK(ad_jwt_secret_of("0123456789012345678901234567890\n", 32, &s) != NULL);
    CHECK(ad_jwt_secret_of("0123456789012345678901234567890\r\n", 33, &s) != NULL);
    CHECK(ad_jwt_secret_of("01234567890123456789012345678901", 32, &s) == NULL);
    CHECK_EQ(s.len, 32);
    CHECK(ad_jwt_secret_of("01234567890123456789012345678901\r\n", 34, &s) == NULL);
    CHECK_EQ(s.len, 32);
    CHECK(ad_jwt_secret_of("01234567890123456789012345678901 \n\n", 35, &s) == NULL);
    CHECK_EQ(s.len, 34); /* one line's end goes, nothing else */
    {
        static char longest[AD_JWT_SECRET_MAX + 2];

        memset(longest, 'x', sizeof(longest) - 1);
        CHECK(ad_jwt_secret_of(longest, AD_JWT_SECRET_MAX, &s) == NULL);
        CHECK_EQ(s.len, AD_JWT_SECRET_MAX);
        CHECK(ad_jwt_secret_of(longest, AD_JWT_SECRET_MAX + 1, &s) != NULL);
    }
}

/* 2.3, 2.4, 3.3: encrypted, compressed, nested. */
static void test_encrypted(void)
{
    static const struct row rows[] = {
        {"{\"alg\":\"HS256\",\"enc\":\"A128GCM\"}", AD_JWT_ENCRYPTED},
        {"{\"alg\":\"dir\",\"enc\":\"A128GCM\"}", AD_JWT_ENCRYPTED},
        {"{\"alg\":\"HS256\",\"zip\":\"DEF\"}", AD_JWT_ENCRYPTED},
        {"{\"alg\":\"HS256\",\"cty\":\"JWT\"}", AD_JWT_ENCRYPTED},
        {"{\"alg\":\"HS256\",\"cty\":\"jwt\"}", AD_JWT_ENCRYPTED},
    };

    fresh_keys();
    check_headers(ROWS(rows));
    /* RFC 7516 A.1: five parts. */
    CHECK_EQ(verify("eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.OKOa.48V1_ALb6US04U3b."
                    "5eym8TW_c8SuK0lt.XFBoMYUZodetZdvT"),
             AD_JWT_ENCRYPTED);
    /* A token as the claims of a token (RFC 7519 5.2). */
    CHECK_EQ(verify(make(HS256, a1)), AD_JWT_CLAIMS);
}

/* 2.5, 3.4: signatures that a careless library takes for right ones. */
static void test_forged_signatures(void)
{
    static const char head[] = "eyJhbGciOiJFUzI1NiJ9." CLAIMS ".";
    static const char order[] = /* of P-256: SEC 2 2.4.2 */
        "_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE";
    static const struct {
        const char *signature;
        enum ad_jwt_fault fault;
    } rows[] = {
        {"", AD_JWT_SIGNATURE},
        {"AAAA", AD_JWT_SIGNATURE},
        /* r = s = 0, as in CVE-2022-21449. */
        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
         "AAAAAAAAAA", AD_JWT_SIGNATURE},
        /* r = s = 1. */
        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
         "AAAAAAAAAQ", AD_JWT_SIGNATURE},
        /* The right one in DER, as X.509 has it (RFC 7518 3.4 does not). */
        {"MEUCIA7RIVN5Y2xIPC9_FVgH1AKjsigDOvl8fheBmsMWnqZlAiEAxQoH04w8OXXY8S2vCEpUgKZlkMXyk1"
         "Cajz9_ioOjVNU", AD_JWT_SIGNATURE},
        /* One byte more, one less; a bit changed; a second form of the last digit. */
        {"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU"
         "1QA", AD_JWT_SIGNATURE},
        {"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU",
         AD_JWT_SIGNATURE},
        {"EtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU"
         "1Q", AD_JWT_SIGNATURE},
        {"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU"
         "1R", AD_JWT_FORM},
        {"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU"
         "1Q==", AD_JWT_FORM},
    };
    char token[1024], pair[128];
    uint8_t bytes[64];
    size_t i, len;

    use_keys(a3_pem);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)snprintf(token, sizeof(token), "%s%s", head, rows[i].signature);
        CHECK_EQ(verify_at(token, EXAMPLE_EXP - 1), rows[i].fault);
    }
    /* r = s = the order of the group, which is 0 there. */
    CHECK(ad_base64url_decode(ad_slice_of(order), bytes, 32, &len) && len == 32);
    memcpy(bytes + 32, bytes, 32);
    {
        struct ad_text t = ad_text_in(pair, sizeof(pair));

        ad_put_base64url(&t, bytes, sizeof(bytes));
        (void)snprintf(token, sizeof(token), "%s%.*s", head, (int)t.len, pair);
    }
    CHECK_EQ(verify_at(token, EXAMPLE_EXP - 1), AD_JWT_SIGNATURE);
    /* RSA: another length than the key's, zeros, and one changed character. */
    use_keys(a2_pem);
    len = strlen(a2);
    (void)snprintf(token, sizeof(token), "%s", a2);
    token[len - 30] = token[len - 30] == 'A' ? 'B' : 'A';
    CHECK_EQ(verify_at(token, EXAMPLE_EXP - 1), AD_JWT_SIGNATURE);
    (void)snprintf(token, sizeof(token), "%.*s", (int)len - 4, a2);
    CHECK_EQ(verify_at(token, EXAMPLE_EXP - 1), AD_JWT_FORM); /* 254 bytes and a bit */
    (void)snprintf(token, sizeof(token), "%.*s", (int)len - 6, a2);
    CHECK_EQ(verify_at(token, EXAMPLE_EXP - 1), AD_JWT_SIGNATURE);
    memset(strrchr(token, '.') + 1, 'A', 342);
    strrchr(token, '.')[343] = '\0';
    CHECK_EQ(verify_at(token, EXAMPLE_EXP - 1), AD_JWT_SIGNATURE);
    (void)snprintf(token, sizeof(token), "%sAAAA", a2);
    CHECK(verify_at(token, EXAMPLE_EXP - 1) != AD_JWT_OK);
    /* HMAC: none, cut, too long. */
    fresh_keys();
    (void)snprintf(token, sizeof(token), "%s", make(HS256, "{" EXP "}"));
    CHECK_EQ(verify(token), AD_JWT_OK);
    len = strlen(token);
    token[len - 3] = '\0';
    CHECK_EQ(verify(token), AD_JWT_SIGNATURE);
    *(strrchr(token, '.') + 1) = '\0';
    CHECK_EQ(verify(token), AD_JWT_SIGNATURE);
}

/* Each character of a token counts. */
static void test_each_character(void)
{
    char token[512];
    size_t i, len;

    fresh_keys();
    (void)snprintf(token, sizeof(token), "%s", make(HS256, "{" EXP ",\"scope\":\"view\"}"));
    len = strlen(token);
    for (i = 0; i < len; i++) {
        char was = token[i];

        token[i] = was == 'A' ? 'B' : 'A';
        CHECK(verify(token) != AD_JWT_OK);
        token[i] = ' ';
        CHECK(verify(token) != AD_JWT_OK);
        token[i] = was;
    }
    CHECK_EQ(verify(token), AD_JWT_OK);
}

/* 2.6, 3.7: what is not JSON, UTF-8 or base64url; names that come twice. */
static void test_forms(void)
{
    static const char *const tokens[] = {
        "", ".", "..", "...", "a", "a.b", "e30", "e30.", "e30.e30", "e30=.e30=.AAAA",
        " e30.e30.AAAA", "e30.e30.AAAA ", "e30.e30.AA\nAA", "e30.e30.AA+A", "e30.e30.A",
    };
    static const struct row headers[] = {
        {"", AD_JWT_HEADER},
        {"HS256", AD_JWT_HEADER},
        {"[]", AD_JWT_HEADER},
        {"\"alg\"", AD_JWT_HEADER},
        {"null", AD_JWT_HEADER},
        {"{\"alg\":\"HS256\"", AD_JWT_HEADER},
        {"{\"alg\":\"HS256\"}}", AD_JWT_HEADER},
        {"{\"alg\":\"HS256\",}", AD_JWT_HEADER},
        {"{'alg':'HS256'}", AD_JWT_HEADER},
        {"{\"alg\":\"HS256\",\"x\":\"\xFF\"}", AD_JWT_HEADER},
        {"{\"alg\":\"HS256\",\"x\":\"\xC0\xAF\"}", AD_JWT_HEADER},
        {"{\"alg\":\"none\",\"alg\":\"HS256\"}", AD_JWT_HEADER},
        {"{\"alg\":\"HS256\",\"alg\":\"none\"}", AD_JWT_HEADER},
        {"{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}", AD_JWT_HEADER},
        {"{\"alg\":\"HS256\",\"x\":1,\"x\":1}", AD_JWT_HEADER},
        {"{\"alg\":\"HS256\",\"x\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}", AD_JWT_HEADER},
        {"{\"alg\":\"HS256\",\"x\":{\"a\":[1,2,{}]}}", AD_JWT_OK},
        {"{ \"alg\" : \"HS256\" }\n", AD_JWT_OK},
    };
    static const struct row claims[] = {
        {"", AD_JWT_CLAIMS},
        {"[]", AD_JWT_CLAIMS},
        {"1700003600", AD_JWT_CLAIMS},
        {"{" EXP, AD_JWT_CLAIMS},
        {"{" EXP "}x", AD_JWT_CLAIMS},
        {"{" EXP "," EXP "}", AD_JWT_CLAIMS},
        {"{\"exp\":1,\"\\u0065xp\":1700003600}", AD_JWT_CLAIMS},
        {"{" EXP ",\"scope\":\"view\",\"scope\":\"control\"}", AD_JWT_CLAIMS},
        {"{" EXP ",\"x\":1,\"y\":2,\"x\":3}", AD_JWT_CLAIMS},
        {"{" EXP ",\"x\":\"\xED\xA0\x80\"}", AD_JWT_CLAIMS},
        {"{" EXP ",\"x\":{\"exp\":1,\"exp\":2}}", AD_JWT_OK},
        {"{\"exp\":1700003600,\"http:\\/\\/example.com\\/is_root\":true}", AD_JWT_OK},
    };
    size_t i;

    fresh_keys();
    for (i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        enum ad_jwt_fault fault = verify(tokens[i]);

        CHECK(fault != AD_JWT_OK);
        CHECK(fault != AD_JWT_SIGNATURE);
    }
    check_headers(ROWS(headers));
    check_claims(ROWS(claims));
    CHECK_EQ(verify_at("e30.e\0.30.AAAA", NOW), AD_JWT_FORM);
}

/* 2.7, 3.9: a token that the same issuer made for somebody else. RFC 7519 4.1.3. */
static void test_audience(void)
{
    static const struct row open[] = {
        {"{" EXP "}", AD_JWT_OK},
        {"{" EXP ",\"aud\":\"aidash\"}", AD_JWT_AUDIENCE_OPEN},
        {"{" EXP ",\"aud\":[]}", AD_JWT_AUDIENCE_OPEN},
    };
    static const struct row rows[] = {
        {"{" EXP ",\"aud\":\"aidash\"}", AD_JWT_OK},
        {"{" EXP ",\"aud\":\"aid\\u0061sh\"}", AD_JWT_OK},
        {"{" EXP ",\"aud\":[\"aidash\"]}", AD_JWT_OK},
        {"{" EXP ",\"aud\":[\"other\", \"aidash\"]}", AD_JWT_OK},
        {"{" EXP ",\"aud\":[1,{\"a\":[\"b\"]},\"aidash\"]}", AD_JWT_OK},
        {"{" EXP "}", AD_JWT_AUDIENCE},
        {"{" EXP ",\"aud\":\"\"}", AD_JWT_AUDIENCE},
        {"{" EXP ",\"aud\":\"Aidash\"}", AD_JWT_AUDIENCE},
        {"{" EXP ",\"aud\":\"aidash2\"}", AD_JWT_AUDIENCE},
        {"{" EXP ",\"aud\":\"aidas\"}", AD_JWT_AUDIENCE},
        {"{" EXP ",\"aud\":\"aidash\\u0000\"}", AD_JWT_AUDIENCE},
        {"{" EXP ",\"aud\":[]}", AD_JWT_AUDIENCE},
        {"{" EXP ",\"aud\":[\"a\",\"b\"]}", AD_JWT_AUDIENCE},
        {"{" EXP ",\"aud\":[[\"aidash\"]]}", AD_JWT_AUDIENCE},
        {"{" EXP ",\"aud\":{\"aidash\":\"aidash\"}}", AD_JWT_AUDIENCE},
        {"{" EXP ",\"aud\":null}", AD_JWT_AUDIENCE},
        {"{" EXP ",\"aud\":true}", AD_JWT_AUDIENCE},
    };

    fresh_keys();
    check_claims(ROWS(open));
    fresh_keys();
    ad_jwt_set_names(NULL, "aidash");
    check_claims(ROWS(rows));
}

/* 3.8: another issuer, or none. */
static void test_issuer(void)
{
    static const struct row rows[] = {
        {"{" EXP ",\"iss\":\"https://id.example\"}", AD_JWT_OK},
        {"{" EXP ",\"iss\":\"https:\\/\\/id.example\"}", AD_JWT_OK},
        {"{" EXP "}", AD_JWT_ISSUER},
        {"{" EXP ",\"iss\":\"https://id.example/\"}", AD_JWT_ISSUER},
        {"{" EXP ",\"iss\":\"https://id.exampl\"}", AD_JWT_ISSUER},
        {"{" EXP ",\"iss\":\"HTTPS://id.example\"}", AD_JWT_ISSUER},
        {"{" EXP ",\"iss\":[\"https://id.example\"]}", AD_JWT_ISSUER},
        {"{" EXP ",\"iss\":null}", AD_JWT_ISSUER},
    };

    fresh_keys();
    ad_jwt_set_names("https://id.example", NULL);
    check_claims(ROWS(rows));
}

/* 2.8, 3.11, 3.12: a token of another kind. */
static void test_types(void)
{
    static const struct row rows[] = {
        {"{\"alg\":\"HS256\",\"typ\":\"JWT\"}", AD_JWT_OK},
        {"{\"alg\":\"HS256\",\"typ\":\"jwt\"}", AD_JWT_OK},
        {"{\"alg\":\"HS256\",\"typ\":\"application/jwt\"}", AD_JWT_OK},
        {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", AD_JWT_OK},
        {"{\"alg\":\"HS256\",\"typ\":\"Application/AT+JWT\"}", AD_JWT_OK},
        {"{\"alg\":\"HS256\",\"typ\":\"secevent+jwt\"}", AD_JWT_TYPE},
        {"{\"alg\":\"HS256\",\"typ\":\"logout+jwt\"}", AD_JWT_TYPE},
        {"{\"alg\":\"HS256\",\"typ\":\"dpop+jwt\"}", AD_JWT_TYPE},
        {"{\"alg\":\"HS256\",\"typ\":\"JOSE\"}", AD_JWT_TYPE},
        {"{\"alg\":\"HS256\",\"typ\":\"\"}", AD_JWT_TYPE},
        {"{\"alg\":\"HS256\",\"typ\":\"JWT \"}", AD_JWT_TYPE},
        {"{\"alg\":\"HS256\",\"typ\":null}", AD_JWT_TYPE},
        {"{\"alg\":\"HS256\",\"typ\":[\"JWT\"]}", AD_JWT_TYPE},
    };

    fresh_keys();
    check_headers(ROWS(rows));
}

/* 2.9, 3.10: a token that says where its key is, or brings it. */
static void test_keys_inside(void)
{
    static const struct row rows[] = {
        {"{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}", AD_JWT_KEY_INSIDE},
        {"{\"alg\":\"RS256\",\"jwk\":{" A2_JWK "}}", AD_JWT_KEY_INSIDE},
        {"{\"alg\":\"HS256\",\"jku\":\"http://127.0.0.1/keys\"}", AD_JWT_KEY_INSIDE},
        {"{\"alg\":\"HS256\",\"x5u\":\"http://169.254.169.254/\"}", AD_JWT_KEY_INSIDE},
        {"{\"alg\":\"HS256\",\"x5c\":[\"MIIC\"]}", AD_JWT_KEY_INSIDE},
        {"{\"alg\":\"HS256\",\"j\\u0077k\":null}", AD_JWT_KEY_INSIDE},
        {"{\"alg\":\"HS256\",\"x5t\":\"abc\"}", AD_JWT_OK}, /* a name of the key */
        /* A name is compared, and nothing else (2.9: SQL, paths). */
        {"{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}", AD_JWT_OK},
        {"{\"alg\":\"HS256\",\"kid\":\"' OR 1=1 --\"}", AD_JWT_OK},
        {"{\"alg\":\"HS256\",\"kid\":\"a\\u0000b\"}", AD_JWT_KEY},
        {"{\"alg\":\"HS256\",\"kid\":1}", AD_JWT_KEY},
    };
    char header[512], name[AD_KID_MAX + 2];

    fresh_keys();
    check_headers(ROWS(rows));
    memset(name, 'k', sizeof(name));
    (void)snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"kid\":\"%.*s\"}", AD_KID_MAX, name);
    CHECK_EQ(verify(make(header, "{" EXP "}")), AD_JWT_OK);
    (void)snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"kid\":\"%.*s\"}", AD_KID_MAX + 1,
                   name);
    CHECK_EQ(verify(make(header, "{" EXP "}")), AD_JWT_KEY);
}

/* RFC 7515 4.1.11: whatever is critical, it is not known here. */
static void test_critical(void)
{
    static const struct row rows[] = {
        {"{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", AD_JWT_CRITICAL},
        {"{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", AD_JWT_CRITICAL},
        {"{\"alg\":\"HS256\",\"crit\":[]}", AD_JWT_CRITICAL},
        {"{\"alg\":\"HS256\",\"crit\":null}", AD_JWT_CRITICAL},
    };

    fresh_keys();
    check_headers(ROWS(rows));
}

/* RFC 7515 4.1.4: a key of the set, by its name. */
static void test_key_ids(void)
{
    use_keys("{\"keys\":[{" A3_JWK ",\"kid\":\"a\"},{" A3_JWK ",\"kid\":\"b\"}]}");
    CHECK_EQ(verify_at(a3, EXAMPLE_EXP - 1), AD_JWT_KEY); /* names none of two */
    CHECK_EQ(verify_at(a2, EXAMPLE_EXP - 1), AD_JWT_KEY);
    use_keys("{\"keys\":[{" A3_JWK ",\"kid\":\"a\"}]}");
    CHECK_EQ(verify_at(a3, EXAMPLE_EXP - 1), AD_JWT_OK);
}

/* ---- claims ---- */

static void test_times(void)
{
    static const struct row rows[] = {
        {"{\"exp\":1700000000}", AD_JWT_OK}, /* the leeway */
        {"{\"exp\":1699999971}", AD_JWT_OK},
        {"{\"exp\":1699999970}", AD_JWT_EXPIRED},
        {"{\"exp\":1699999970.9}", AD_JWT_EXPIRED},
        {"{\"exp\":1.7000036e9}", AD_JWT_OK},
        {"{\"exp\":0}", AD_JWT_EXPIRED},
        {"{\"exp\":-0}", AD_JWT_EXPIRED},
        {"{\"exp\":253402300799}", AD_JWT_OK},
        {"{}", AD_JWT_NO_END},
        {"{\"Exp\":1700003600}", AD_JWT_NO_END},
        {"{\"x\":{\"exp\":1700003600}}", AD_JWT_NO_END},
        {"{\"exp\":253402300800}", AD_JWT_TIME},
        {"{\"exp\":-1}", AD_JWT_TIME},
        {"{\"exp\":1e999}", AD_JWT_TIME},
        {"{\"exp\":-1e999}", AD_JWT_TIME},
        {"{\"exp\":9223372036854775808}", AD_JWT_TIME},
        {"{\"exp\":18446744073709551617}", AD_JWT_TIME},
        {"{\"exp\":\"1700003600\"}", AD_JWT_TIME},
        {"{\"exp\":[1700003600]}", AD_JWT_TIME},
        {"{\"exp\":null}", AD_JWT_TIME},
        {"{\"exp\":true}", AD_JWT_TIME},
        {"{\"exp\":NaN}", AD_JWT_CLAIMS},
        {"{\"exp\":Infinity}", AD_JWT_CLAIMS},
        {"{" EXP ",\"nbf\":1700000030}", AD_JWT_OK},
        {"{" EXP ",\"nbf\":1700000031}", AD_JWT_EARLY},
        {"{" EXP ",\"nbf\":0}", AD_JWT_OK},
        {"{" EXP ",\"nbf\":\"0\"}", AD_JWT_TIME},
        {"{" EXP ",\"nbf\":-5}", AD_JWT_TIME},
        {"{" EXP ",\"nbf\":1e300}", AD_JWT_TIME},
        {"{" EXP ",\"nbf\":null}", AD_JWT_TIME},
        {"{" EXP ",\"iat\":1699999999.5}", AD_JWT_OK},
        {"{" EXP ",\"iat\":\"now\"}", AD_JWT_TIME},
    };

    fresh_keys();
    check_claims(ROWS(rows));
}

static void test_names_and_rights(void)
{
    static const struct {
        const char *claims, *name;
        unsigned rights;
    } rows[] = {
        {"{" EXP ",\"sub\":\"Anna's laptop\",\"scope\":\"view\"}", "Anna's laptop", AD_MAY_VIEW},
        {"{" EXP ",\"scope\":\"view control ingest infer\"}", "", AD_MAY_ALL},
        {"{" EXP ",\"scope\":\"openid infer  profile\"}", "", AD_MAY_INFER},
        {"{" EXP ",\"scope\":\" ingest \"}", "", AD_MAY_INGEST},
        {"{" EXP ",\"scope\":\"View view2 controls view,control\"}", "", 0},
        {"{" EXP ",\"scope\":\"\"}", "", 0},
        {"{" EXP ",\"sub\":\"\\u00e9\"}", "\xC3\xA9", 0},
        {"{" EXP ",\"roles\":[\"control\"],\"scp\":\"view\"}", "", 0},
    };
    static const struct row refused[] = {
        {"{" EXP ",\"sub\":\"\"}", AD_JWT_SUBJECT},
        {"{" EXP ",\"sub\":7}", AD_JWT_SUBJECT},
        {"{" EXP ",\"sub\":null}", AD_JWT_SUBJECT},
        {"{" EXP ",\"sub\":\"a\\nb\"}", AD_JWT_SUBJECT},
        {"{" EXP ",\"sub\":\"a\\u0000b\"}", AD_JWT_SUBJECT},
        {"{" EXP ",\"sub\":\"\\u202e\"}", AD_JWT_SUBJECT},
        {"{" EXP ",\"sub\":\"\\ud800\"}", AD_JWT_SUBJECT},
        {"{" EXP ",\"scope\":[\"view\"]}", AD_JWT_SCOPE},
        {"{" EXP ",\"scope\":null}", AD_JWT_SCOPE},
        {"{" EXP ",\"scope\":15}", AD_JWT_SCOPE},
        {"{" EXP ",\"scope\":\"vi\\u0065w\"}", AD_JWT_SCOPE},
    };
    char claims[256], name[AD_GRANT_NAME_MAX + 2];
    size_t i;

    fresh_keys();
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK_EQ(verify(make(HS256, rows[i].claims)), AD_JWT_OK);
        CHECK_STR(grant.name, rows[i].name);
        CHECK_EQ(grant.rights, rows[i].rights);
        CHECK_EQ(grant.expires_s, 1700003630);
    }
    check_claims(ROWS(refused));
    memset(name, 'n', sizeof(name));
    (void)snprintf(claims, sizeof(claims), "{" EXP ",\"sub\":\"%.*s\"}", AD_GRANT_NAME_MAX, name);
    CHECK_EQ(verify(make(HS256, claims)), AD_JWT_OK);
    CHECK_EQ(strlen(grant.name), AD_GRANT_NAME_MAX);
    (void)snprintf(claims, sizeof(claims), "{" EXP ",\"sub\":\"%.*s\"}", AD_GRANT_NAME_MAX + 1,
                   name);
    CHECK_EQ(verify(make(HS256, claims)), AD_JWT_SUBJECT);
}

/* A token of AIDASH_TOKEN_MAX bytes, and one of a byte more. */
static void test_longest(void)
{
    static char claims[AIDASH_TOKEN_MAX], token[AIDASH_TOKEN_MAX + 8];
    size_t room = AIDASH_TOKEN_MAX - strlen(make(HS256, "")), n = room * 3 / 4;

    fresh_keys();
    for (;;) { /* as long as it may be: not every length can be had */
        memset(claims, ' ', n);
        memcpy(claims, "{" EXP "}", strlen("{" EXP "}"));
        claims[n] = '\0';
        (void)snprintf(token, sizeof(token), "%s", make(HS256, claims));
        if (strlen(token) <= AIDASH_TOKEN_MAX) {
            break;
        }
        n--;
    }
    CHECK(strlen(token) > AIDASH_TOKEN_MAX - 3);
    CHECK_EQ(verify(token), AD_JWT_OK);
    memset(token + strlen(token), 'A', 4);
    token[AIDASH_TOKEN_MAX] = '\0';
    CHECK(verify(token) != AD_JWT_LENGTH);
    token[AIDASH_TOKEN_MAX] = 'A';
    token[AIDASH_TOKEN_MAX + 1] = '\0';
    CHECK_EQ(verify(token), AD_JWT_LENGTH);
}

/* ---- tokens that are known ---- */

static void test_known(void)
{
    char token[512];
    unsigned i;

    fresh_keys();
    (void)snprintf(token, sizeof(token), "%s",
                   make(HS256, "{" EXP ",\"nbf\":1699990000,\"sub\":\"a\",\"scope\":\"view\"}"));
    CHECK_EQ(verify(token), AD_JWT_OK);
    CHECK_EQ(ad_jwt.known_next, 1 % AIDASH_JWT_CACHE);
    memset(&grant, 0, sizeof(grant));
    CHECK_EQ(verify(token), AD_JWT_OK); /* known: the same answer */
    CHECK_EQ(ad_jwt.known_next, 1 % AIDASH_JWT_CACHE);
    CHECK_STR(grant.name, "a");
    CHECK_EQ(grant.rights, AD_MAY_VIEW);
    CHECK_EQ(verify_at(token, 1700003629), AD_JWT_OK);
    CHECK_EQ(verify_at(token, 1700003630), AD_JWT_EXPIRED);
    CHECK_EQ(verify_at(token, 1699989969), AD_JWT_EARLY); /* the clock was set back */
    CHECK_EQ(verify_at(token, 1699989970), AD_JWT_OK);
    /* What was refused is not known. */
    CHECK_EQ(verify(make(HS256, "{\"exp\":1}")), AD_JWT_EXPIRED);
    CHECK_EQ(ad_jwt.known_next, 1 % AIDASH_JWT_CACHE);
    /* Another secret: nothing is known any more. */
    secret.bytes[0] ^= 1;
    ad_jwt_set_secret(&secret);
    secret.bytes[0] ^= 1;
    CHECK_EQ(verify(token), AD_JWT_SIGNATURE);
    /* One more than the table has replaces the oldest. */
    fresh_keys();
    for (i = 0; i <= AIDASH_JWT_CACHE; i++) {
        char claims[64];

        (void)snprintf(claims, sizeof(claims), "{" EXP ",\"sub\":\"n%u\"}", i);
        CHECK_EQ(verify(make(HS256, claims)), AD_JWT_OK);
        CHECK_EQ(grant.name[0], 'n');
    }
    CHECK_EQ(ad_jwt.known_next, 1 % AIDASH_JWT_CACHE);
    CHECK_EQ(verify(make(HS256, "{" EXP ",\"sub\":\"n0\"}")), AD_JWT_OK);
    CHECK_STR(grant.name, "n0");
}

/* A flood of wrong signatures gets a tenth of the time: see ad_jwt_check_by(). */
static void test_flood(void)
{
    use_keys("{\"keys\":[{" A3_JWK "},{" A2_JWK "}]}");
    ad_jwt_set_secret(&secret);
    CHECK_EQ(verify_at(a2, EXAMPLE_EXP - 1), AD_JWT_OK);
    CHECK_EQ(ad_jwt.wait_ns, 0); /* a right one costs its sender nothing */
    CHECK_EQ(verify_at(token_4096, EXAMPLE_EXP - 1), AD_JWT_SIGNATURE);
    CHECK(ad_jwt.wait_ns > 0);
    ad_jwt.wait_ns = UINT64_MAX;
    CHECK_EQ(verify_soon(a3, EXAMPLE_EXP - 1), AD_JWT_BUSY);
    CHECK_EQ(verify_soon(a2, EXAMPLE_EXP - 1), AD_JWT_OK); /* it is known */
    CHECK_EQ(verify_soon(make(HS256, "{" EXP "}"), NOW), AD_JWT_OK); /* is cheap */
    CHECK_EQ(verify_at(a3, EXAMPLE_EXP - 1), AD_JWT_OK);
}

/* ---- making them ---- */

static void test_mint(void)
{
    struct ad_jwt_claims claims = {"Anna \"A\"", "me", "aidash", AD_MAY_VIEW | AD_MAY_CONTROL,
                                   NOW, NOW + 3600};
    char out[AIDASH_TOKEN_MAX + 1], names[AD_JWT_NAME_MAX + 1];
    struct ad_text t = ad_text_in(out, sizeof(out) - 1);

    fresh_keys();
    ad_jwt_set_names("me", "aidash");
    CHECK(ad_jwt_mint(&secret, &claims, &t));
    out[t.len] = '\0';
    CHECK_EQ(verify(out), AD_JWT_OK);
    CHECK_STR(grant.name, "Anna \"A\"");
    CHECK_EQ(grant.rights, AD_MAY_VIEW | AD_MAY_CONTROL);
    CHECK_EQ(grant.expires_s, NOW + 3600 + AD_JWT_LEEWAY_S);
    CHECK(ad_jwt_looks_like(ad_slice_of(out)));
    CHECK(!ad_jwt_looks_like(ad_slice_of("aidash_AAAA")));
    /* The longest names that there are, and no room. */
    memset(names, '"', sizeof(names) - 1);
    names[sizeof(names) - 1] = '\0';
    claims.issuer = claims.audience = names;
    t = ad_text_in(out, sizeof(out) - 1);
    CHECK(ad_jwt_mint(&secret, &claims, &t));
    t = ad_text_in(out, 64);
    CHECK(!ad_jwt_mint(&secret, &claims, &t));
    /* Without names and rights. */
    memset(&claims, 0, sizeof(claims));
    claims.expires_s = NOW + 1;
    t = ad_text_in(out, sizeof(out) - 1);
    CHECK(ad_jwt_mint(&secret, &claims, &t));
    out[t.len] = '\0';
    fresh_keys();
    CHECK_EQ(verify(out), AD_JWT_OK);
    CHECK_STR(grant.name, "");
    CHECK_EQ(grant.rights, 0);
}

/* ---- files ---- */

static char folder[] = "/tmp/aidash-jwt-XXXXXX";
static unsigned log_lines;
static char last_line[1024], first_line[1024];

static void on_log(enum aidash_log_level level, const char *text, void *user)
{
    (void)level;
    (void)user;
    log_lines++;
    (void)snprintf(last_line, sizeof(last_line), "%s", text);
    if (log_lines == 1) {
        (void)snprintf(first_line, sizeof(first_line), "%s", text);
    }
}

/* Poll, and count the lines; one that repeats counts, too. */
static unsigned poll_lines(void)
{
    ad_log_to(AIDASH_LOG_INFO, on_log, NULL);
    log_lines = 0;
    ad_jwt_files_poll(false);
    return log_lines;
}

/* Replace a file, as an editor does. */
static const char *put_file(const char *name, const char *text, mode_t mode)
{
    static char path[2][128], fresh[128];
    static unsigned i;
    FILE *f;

    i ^= 1;
    (void)snprintf(path[i], sizeof(path[i]), "%s/%s", folder, name);
    (void)snprintf(fresh, sizeof(fresh), "%s/fresh", folder);
    f = fopen(fresh, "w");
    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
    CHECK_EQ(chmod(fresh, mode), 0);
    CHECK_EQ(rename(fresh, path[i]), 0);
    return path[i];
}

static void test_files(void)
{
    static const char old[] = "0123456789abcdef0123456789abcdef\n";
    static const char new[] = "0123456789abcdef0123456789abcdeX\n";
    struct ad_jwt_secret old_secret, new_secret;
    char why[AD_JWT_WHY_MAX], expected[256], token[512], other[512];
    const char *path;

    ad_log_to(AIDASH_LOG_INFO, on_log, NULL);
    CHECK(mkdtemp(folder) != NULL);
    CHECK(ad_jwt_secret_of(old, strlen(old), &old_secret) == NULL);
    CHECK(ad_jwt_secret_of(new, strlen(new), &new_secret) == NULL);
    (void)snprintf(token, sizeof(token), "%s", make_with(&old_secret, HS256, "{" EXP "}"));
    (void)snprintf(other, sizeof(other), "%s", make_with(&new_secret, HS256, "{" EXP "}"));

    ad_jwt_files_init();
    CHECK(ad_jwt_files_begin(NULL, NULL, why));
    CHECK(!ad_jwt_on());
    CHECK(!ad_jwt_files_begin("/nowhere/secret", NULL, why));
    CHECK_STR(why, "jwt-secret-file: /nowhere/secret: No such file or directory");
    CHECK(!ad_jwt_files_begin(NULL, folder, why));
    (void)snprintf(expected, sizeof(expected), "jwt-key-file: %s: it is no file", folder);
    CHECK_STR(why, expected);

    path = put_file("secret", old, 0600);
    ad_jwt_files_init();
    CHECK(ad_jwt_files_begin(path, NULL, why));
    CHECK_EQ(log_lines, 0);
    CHECK_EQ(verify(token), AD_JWT_OK);
    CHECK_EQ(poll_lines(), 0); /* nothing has changed */
    ad_jwt_files_poll(true);
    CHECK_EQ(log_lines, 1);
    put_file("secret", "short\n", 0600); /* broken: the old one stays, one line */
    CHECK_EQ(poll_lines(), 1);
    CHECK(strstr(last_line, "fewer than 32 bytes") != NULL);
    CHECK(strstr(last_line, "short") == NULL);
    CHECK_EQ(poll_lines(), 0);
    CHECK_EQ(verify(token), AD_JWT_OK);
    CHECK_EQ(unlink(path), 0); /* gone: likewise */
    CHECK_EQ(poll_lines(), 1);
    CHECK_EQ(poll_lines(), 0);
    CHECK_EQ(verify(token), AD_JWT_OK);
    put_file("secret", new, 0600);
    CHECK_EQ(poll_lines(), 1);
    CHECK_EQ(verify(token), AD_JWT_SIGNATURE);
    CHECK_EQ(verify(other), AD_JWT_OK);
    put_file("secret", old, 0604);
    CHECK_EQ(poll_lines(), 2);
    CHECK(strstr(first_line, "every user of this machine can read") != NULL);
    CHECK_EQ(verify(token), AD_JWT_OK);

    path = put_file("keys", a3_pem, 0644);
    ad_jwt_files_init();
    CHECK(ad_jwt_files_begin(NULL, path, why));
    CHECK_EQ(verify_at(a3, EXAMPLE_EXP - 1), AD_JWT_OK);
    put_file("keys", "{\"keys\":[{" A3_JWK "},{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", 0644);
    CHECK_EQ(poll_lines(), 1);
    CHECK_EQ(verify_at(a3, EXAMPLE_EXP - 1), AD_JWT_OK);
    put_file("keys", "{\"keys\":[{" A2_JWK "}]}", 0644);
    CHECK_EQ(poll_lines(), 1);
    CHECK_EQ(verify_at(a3, EXAMPLE_EXP - 1), AD_JWT_KEY);
    CHECK_EQ(verify_at(a2, EXAMPLE_EXP - 1), AD_JWT_OK);
    CHECK_EQ(unlink(path), 0);
    (void)snprintf(expected, sizeof(expected), "%s/secret", folder);
    CHECK_EQ(unlink(expected), 0);
    CHECK_EQ(rmdir(folder), 0);
}

int main(void)
{
    memset(secret.bytes, 's', 40);
    secret.len = 40;
    test_rfc_7515_a_1();
    test_rfc_7515_a_2();
    test_rfc_7515_a_3();
    test_unsecured();
    test_algorithms();
    test_public_key_as_secret();
    test_other_keys();
    test_weak_secrets();
    test_encrypted();
    test_forged_signatures();
    test_each_character();
    test_forms();
    test_audience();
    test_issuer();
    test_types();
    test_keys_inside();
    test_critical();
    test_key_ids();
    test_times();
    test_names_and_rights();
    test_longest();
    test_known();
    test_flood();
    test_mint();
    test_files();
    CHECK_EQ(ad_jwt_heap.heap.used, 0);
    CHECK(ad_jwt_heap.heap.high <= AD_JWT_MEMORY * 3 / 4);
    return check_report();
}

#else

int main(void)
{
    CHECK(AIDASH_TLS == 0); /* without mbedTLS there are no such tokens */
    return check_report();
}

#endif
