/* sha256.c - SHA-256 of a short text, by FIPS 180-4. Pure: any thread.
 *
 * It names keys of clients without telling them. Neither civetweb nor zlib, the
 * libraries that are there anyway, have it.
 */
#ifndef AD_BASE_SHA256_C
#define AD_BASE_SHA256_C

#include "platform.h"

enum {
    AD_SHA256_BYTES = 32, /* of a digest */
    AD_SHA256_BLOCK = 64
};

static uint32_t ad_sha256_rotr(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

/* FIPS 180-4 6.2.2: one block of the message into the hash value h. */
static void ad_sha256_block(uint32_t h[8], const uint8_t block[AD_SHA256_BLOCK])
{
    static const uint32_t k[64] = { /* 4.2.2 */
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
        0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
        0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
        0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
        0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
        0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
        0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
        0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    uint32_t w[64], v[8];
    unsigned t;

    for (t = 0; t < 16; t++) {
        const uint8_t *b = block + 4 * t;

        w[t] = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 |
               b[3];
    }
    for (; t < 64; t++) {
        uint32_t s0 = ad_sha256_rotr(w[t - 15], 7) ^
                      ad_sha256_rotr(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = ad_sha256_rotr(w[t - 2], 17) ^
                      ad_sha256_rotr(w[t - 2], 19) ^ w[t - 2] >> 10;

        w[t] = s1 + w[t - 7] + s0 + w[t - 16];
    }
    memcpy(v, h, sizeof(v));
    for (t = 0; t < 64; t++) {
        uint32_t s1 = ad_sha256_rotr(v[4], 6) ^ ad_sha256_rotr(v[4], 11) ^
                      ad_sha256_rotr(v[4], 25);
        uint32_t s0 = ad_sha256_rotr(v[0], 2) ^ ad_sha256_rotr(v[0], 13) ^
                      ad_sha256_rotr(v[0], 22);
        uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[t] + w[t];
        uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

        memmove(v + 1, v, 7 * sizeof(v[0]));
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (t = 0; t < 8; t++) {
        h[t] += v[t];
    }
}

/* The digest of bytes[0..len). */
static void ad_sha256(const void *bytes, size_t len, uint8_t out[AD_SHA256_BYTES])
{
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}; /* 5.3.3 */
    const uint8_t *at = bytes;
    uint8_t last[2 * AD_SHA256_BLOCK] = {0};
    size_t left = len, padded, i;

    for (; left >= AD_SHA256_BLOCK; left -= AD_SHA256_BLOCK) {
        ad_sha256_block(h, at);
        at += AD_SHA256_BLOCK;
    }
    /* 5.1.1: a 1 bit, zeros, and the length in bits, 64 bits wide. */
    memcpy(last, at, left);
    last[left] = 0x80;
    padded = left + 9 <= AD_SHA256_BLOCK ? AD_SHA256_BLOCK : sizeof(last);
    for (i = 0; i < 8; i++) {
        last[padded - 1 - i] = (uint8_t)((uint64_t)len * 8 >> 8 * i);
    }
    for (i = 0; i < padded; i += AD_SHA256_BLOCK) {
        ad_sha256_block(h, last + i);
    }
    for (i = 0; i < AD_SHA256_BYTES; i++) {
        out[i] = (uint8_t)(h[i / 4] >> 8 * (3 - i % 4));
    }
}

#endif
