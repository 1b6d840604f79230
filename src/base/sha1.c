/* sha1.c - SHA-1 (RFC 3174), as WebSocket's handshake has it (RFC 6455 4.2.2). It
 * keeps nothing secret there. Any thread. Pure.
 */
#ifndef AD_BASE_SHA1_C
#define AD_BASE_SHA1_C

#include "platform.h"

#if AD_FLEET

enum { AD_SHA1_LEN = 20, AD_SHA1_BLOCK = 64 };

static uint32_t ad_sha1_rotate(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

/* RFC 3174 6.1. */
static void ad_sha1_block(uint32_t state[5], const uint8_t block[AD_SHA1_BLOCK])
{
    static const uint32_t k[4] = {0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6};
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3],
                    e = state[4];
    unsigned i;

    for (i = 0; i < 16; i++) {
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    }
    for (; i < 80; i++) {
        w[i] = ad_sha1_rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    }
    for (i = 0; i < 80; i++) {
        uint32_t f, next;

        if (i < 20) {
            f = (b & c) | (~b & d);
        } else if (i >= 40 && i < 60) {
            f = (b & c) | (b & d) | (c & d);
        } else {
            f = b ^ c ^ d;
        }
        next = ad_sha1_rotate(a, 5) + f + e + w[i] + k[i / 20];
        e = d;
        d = c;
        c = ad_sha1_rotate(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

/* The digest of data[0..len). */
static void ad_sha1(const void *data, size_t len, uint8_t out[AD_SHA1_LEN])
{
    uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    const uint8_t *at = data;
    uint8_t block[AD_SHA1_BLOCK] = {0};
    uint64_t bits = (uint64_t)len * 8;
    size_t i, used = 0;

    for (i = 0; i < len; i++) {
        block[used++] = at[i];
        if (used == AD_SHA1_BLOCK) {
            ad_sha1_block(state, block);
            used = 0;
        }
    }
    block[used++] = 0x80; /* RFC 3174 4 */
    memset(block + used, 0, AD_SHA1_BLOCK - used);
    if (used > AD_SHA1_BLOCK - 8) {
        ad_sha1_block(state, block);
        memset(block, 0, sizeof(block));
    }
    for (i = 0; i < 8; i++) {
        block[AD_SHA1_BLOCK - 1 - i] = (uint8_t)(bits >> 8 * i);
    }
    ad_sha1_block(state, block);
    for (i = 0; i < AD_SHA1_LEN; i++) {
        out[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
    }
}

#endif /* AD_FLEET */

#endif
