/* handshake.c - the handshake of a WebSocket (RFC 6455 4), of the side that connects
 * and of the side that answers. Pure.
 */
#ifndef AD_CODEC_HANDSHAKE_C
#define AD_CODEC_HANDSHAKE_C

#include "../base/sha1.c"
#include "../base/text.c"
#include "http_head.c"

#if AD_FLEET

enum {
    AD_HANDSHAKE_NONCE = 16, /* RFC 6455 4.1 */
    AD_HANDSHAKE_KEY = 24,   /* characters of Sec-WebSocket-Key */
    AD_HANDSHAKE_ACCEPT = 28 /* of Sec-WebSocket-Accept */
};

/* base64 with padding (RFC 4648 4). */
static void ad_put_base64(struct ad_text *t, const uint8_t *bytes, size_t len)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t i;

    for (i = 0; i < len; i += 3) {
        uint32_t bits = (uint32_t)bytes[i] << 16;
        char four[4];

        bits |= i + 1 < len ? (uint32_t)bytes[i + 1] << 8 : 0u;
        bits |= i + 2 < len ? bytes[i + 2] : 0u;
        four[0] = alphabet[bits >> 18];
        four[1] = alphabet[bits >> 12 & 63];
        four[2] = i + 1 < len ? alphabet[bits >> 6 & 63] : '=';
        four[3] = i + 2 < len ? alphabet[bits & 63] : '=';
        ad_put(t, four, sizeof(four));
    }
}

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 4.2.2), with its NUL. A key
 * has AD_HANDSHAKE_KEY characters; of a longer one the rest does not count. */
static void ad_handshake_accept(struct ad_slice key, char out[AD_HANDSHAKE_ACCEPT + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char bytes[AD_HANDSHAKE_KEY + sizeof(guid) - 1];
    size_t len = key.len < AD_HANDSHAKE_KEY ? key.len : AD_HANDSHAKE_KEY;
    uint8_t digest[AD_SHA1_LEN];
    struct ad_text t = ad_text_in(out, AD_HANDSHAKE_ACCEPT);

    memcpy(bytes, key.at, len);
    memcpy(bytes + len, guid, sizeof(guid) - 1);
    ad_sha1(bytes, len + sizeof(guid) - 1, digest);
    ad_put_base64(&t, digest, sizeof(digest));
    out[t.len] = '\0';
}

#if AIDASH_METER

/* Does this list of tokens have the word? */
static bool ad_handshake_lists(const struct ad_http_fields *fields, const char *name,
                               const char *word)
{
    struct ad_slice rest, item;

    if (!ad_http_field_get(fields, name, &rest)) {
        return false;
    }
    while (rest.len > 0 && ad_http_cut(&rest, ',', &item)) {
        if (ad_slice_is_nocase(ad_slice_trim(item), word)) {
            return true;
        }
    }
    return false;
}

/* Is this the answer to a handshake with this key (RFC 6455 4.1)? Extensions and
 * subprotocols were not asked for. Returns NULL, or what is wrong with it as the end
 * of a sentence. */
static const char *ad_handshake_fault(const struct ad_http_head *head, const char *key)
{
    char accept[AD_HANDSHAKE_ACCEPT + 1];
    struct ad_slice said;

    if (head->status != 101) {
        return "it does not switch to WebSocket";
    }
    if (!ad_handshake_lists(&head->fields, "Upgrade", "websocket") ||
        !ad_handshake_lists(&head->fields, "Connection", "Upgrade")) {
        return "its answer lacks Upgrade: websocket or Connection: Upgrade";
    }
    ad_handshake_accept(ad_slice_of(key), accept);
    if (!ad_http_field_get(&head->fields, "Sec-WebSocket-Accept", &said) ||
        !ad_slice_is(said, accept)) {
        return "its Sec-WebSocket-Accept is not that of our key";
    }
    if (ad_http_field_get(&head->fields, "Sec-WebSocket-Extensions", &said) ||
        ad_http_field_get(&head->fields, "Sec-WebSocket-Protocol", &said)) {
        return "it has extensions or a subprotocol that were not asked for";
    }
    return NULL;
}

#endif /* AIDASH_METER */

#endif /* AD_FLEET */

#endif
