/* What a request brings to show who asks: the first line of the input is its query, the
 * others are its header fields. Nobody gets a right whose request has no key and no
 * token that give it, and a cookie gives nothing where it does not count. */
#include "../src/base/text.c"
#include "../src/guard/credentials.c"

#define REQUIRE(condition) \
    do { \
        if (!(condition)) { \
            (void)fprintf(stderr, "not so: %s\n", #condition); \
            abort(); \
        } \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW 1700000000
#define PORT 8080
#define KEY "aidash_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define GONE "aidash_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"

static void add_key(const char *text, uint32_t number, unsigned rights, int64_t expires_s)
{
    struct ad_key *key = &ad_keys.now.list[ad_keys.now.n++];

    ad_sha256(text, strlen(text), key->digest);
    key->number = number;
    key->rights = (uint8_t)rights;
    key->expires_s = expires_s;
    (void)snprintf(key->name, sizeof(key->name), "key %u", number);
}

static bool has(const char *text, size_t len, const char *word)
{
    return memmem(text, len, word, strlen(word)) != NULL;
}

static void check(const struct ad_http_head *head, const char *text, size_t len)
{
    struct ad_credentials own, other;

    ad_credentials_read(head, true, PORT, NOW, &own);
    ad_credentials_read(head, false, PORT, NOW, &other);
    REQUIRE(own.grant.rights == 0 ||
            (own.grant.key == 1 && own.grant.rights == AD_MAY_VIEW && has(text, len, KEY)));
    REQUIRE(other.grant.rights == 0 || own.grant.rights == other.grant.rights);
    REQUIRE(other.grant.rights == 0 || has(text, len, "token=") ||
            other.bearer || other.api_key);
    /* Where a cookie does not count, all else is the same. */
    REQUIRE(own.bearer == other.bearer && own.api_key == other.api_key &&
            own.query == other.query);
    REQUIRE(own.offered || !(own.bearer || own.api_key || own.query));
    REQUIRE(own.offered || !other.offered);
    REQUIRE(!(own.bearer || own.api_key || own.query) || has(text, len, "aidash_"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char head_text[16384];
    static struct ad_http_field fields[AD_HTTP_FIELDS];
    struct ad_text t = ad_text_in(head_text, sizeof(head_text));
    struct ad_http_head head;
    size_t i, from;

    if (ad_keys.now.n == 0) {
        add_key(KEY, 1, AD_MAY_VIEW, 0);
        add_key(GONE, 2, AD_MAY_ALL, NOW - 1);
    }
    ad_puts(&t, "GET /ticks?");
    for (i = 0; i < size && data[i] != '\n'; i++) {
        ad_put(&t, (const char *)data + i, 1);
    }
    ad_puts(&t, " HTTP/1.1\r\nHost: a\r\n");
    for (from = i + 1; from < size; from = i + 1) {
        for (i = from; i < size && data[i] != '\n'; i++) {
            ad_put(&t, (const char *)data + i, 1);
        }
        ad_puts(&t, "\r\n");
    }
    ad_puts(&t, "\r\n");
    if (!t.full && ad_http_parse_request(&head, head_text, t.len, fields,
                                         AD_HTTP_FIELDS) == AD_HTTP_OK) {
        check(&head, head_text, t.len);
    }
    return 0;
}
