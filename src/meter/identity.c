/* identity.c - who sends a request: the address, the key, the program. Owns nothing.
 * Hub thread only.
 *
 * A key of aidash's own, or a token, has a name, and was judged. Of any other key there
 * is a fingerprint. The fingerprint is the first 8 hexadecimal digits of the key's SHA-256, as
 * `printf %s KEY | sha256sum` has it: a name for the key. The key itself is
 * neither kept nor logged. Nobody can compute a random key from it; a key that
 * can be guessed can be recognized. It proves nothing: the engine judges the key.
 */
#ifndef AD_METER_IDENTITY_C
#define AD_METER_IDENTITY_C

#include "../base/sha256.c"
#include "../core/access.c"
#include "totals.c"

#if AIDASH_METER

enum { AD_FINGERPRINT_MAX = 8 }; /* hexadecimal digits */

static void ad_identity_key(struct ad_slice key, char out[AD_CLIENT_KEY_MAX + 1])
{
    static const char hex[] = "0123456789abcdef";
    uint8_t digest[AD_SHA256_BYTES];
    unsigned i;

    out[0] = '\0';
    if (key.len > 0) {
        ad_sha256(key.at, key.len, digest);
        for (i = 0; i < AD_FINGERPRINT_MAX; i++) {
            out[i] = hex[digest[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15];
        }
        out[i] = '\0';
    }
}

/* Who sends a request with this head, over a connection from `peer`, with this
 * credential of aidash's own, or none (rights 0). */
static void ad_identify(const struct ad_http_head *head,
                        const struct sockaddr_storage *peer,
                        const struct ad_grant *grant,
                        struct ad_totals_client *who)
{
    struct ad_slice agent = ad_http_product(head);
    size_t len = agent.len < AD_CLIENT_AGENT_MAX ? agent.len : AD_CLIENT_AGENT_MAX;

    memset(who, 0, sizeof(*who));
    if (ad_access_client(head, peer, who->ip)) {
        bool v4 = ad_access_is_ip4(who->ip);

        (void)inet_ntop(v4 ? AF_INET : AF_INET6, who->ip + (v4 ? 12 : 0),
                        who->address, sizeof(who->address));
    }
    memcpy(who->agent, agent.at, len);
    if (grant->rights != 0 && grant->name[0] != '\0') {
        who->named = true;
        memcpy(who->key, grant->name, sizeof(who->key));
    } else {
        ad_identity_key(ad_http_api_key(head), who->key);
    }
}

#endif /* AIDASH_METER */

#endif
