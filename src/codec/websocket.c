/* websocket.c - WebSocket frames (RFC 6455 5 and 7). Pure. */
#ifndef AD_CODEC_WEBSOCKET_C
#define AD_CODEC_WEBSOCKET_C

#include "../base/platform.h"

/* RFC 6455 5.2: a frame header of at most 2 + 8 + 4 bytes, then its payload. */
struct ad_ws_frame {
    uint8_t opcode;
    bool fin;
    uint8_t mask[4];
    uint32_t len;        /* at most AIDASH_MESSAGE_MAX */
    unsigned header_len; /* 6, 8 or 14 */
};

/* Inbound side of a WebSocket client between two reads. */
struct ad_ws {
    uint8_t header[14];
    uint8_t header_len;
    uint8_t message_opcode; /* 0: no fragmented message under way */
    bool in_payload;
    struct ad_ws_frame frame;
    uint32_t got;         /* payload bytes of the frame so far */
    uint32_t message_len; /* bytes of the message in the inbound buffer */
};

/* RFC 6455 5.2: decode a client's frame header. Returns 0 (done, in *frame), a
 * positive number of bytes still missing, or minus a close code. */
static int ad_ws_header(const uint8_t *h, size_t n, struct ad_ws_frame *frame)
{
    uint64_t len;
    unsigned more;

    if (n < 2) {
        return (int)(2 - n);
    }
    frame->fin = (h[0] & 0x80) != 0;
    frame->opcode = h[0] & 0x0F;
    if ((h[0] & 0x70) != 0 || (h[1] & 0x80) == 0) {
        return -1002; /* RSV bits without an extension; or not masked (5.1) */
    }
    len = h[1] & 0x7F;
    if (frame->opcode >= 8) {
        if (frame->opcode > 10 || !frame->fin || len > 125) {
            return -1002; /* 5.5: control frames are short and whole */
        }
    } else if (frame->opcode > 2) {
        return -1002; /* reserved */
    }
    more = len == 126 ? 2 : len == 127 ? 8 : 0;
    frame->header_len = 2 + more + 4;
    if (n < 2 + more) {
        return (int)(2 + more - n);
    }
    if (more != 0) {
        unsigned i;

        for (len = 0, i = 0; i < more; i++) {
            len = len << 8 | h[2 + i];
        }
        if ((more == 8 && len >> 63) || len < (more == 2 ? 126u : 65536u)) {
            return -1002; /* 5.2: top bit 0, and the shortest form */
        }
    }
    if (len > AIDASH_MESSAGE_MAX) {
        return -1009; /* whatever is declared, nothing is allocated */
    }
    if (n < frame->header_len) {
        return (int)(frame->header_len - n);
    }
    memcpy(frame->mask, h + 2 + more, 4);
    frame->len = (uint32_t)len;
    return 0;
}

/* RFC 6455 5.3, for a piece that begins `at` bytes into the payload. */
static void ad_ws_unmask(uint8_t *out, const uint8_t *in, size_t len,
                         const uint8_t mask[4], uint32_t at)
{
    size_t i;

    for (i = 0; i < len; i++) {
        out[i] = in[i] ^ mask[(at + i) & 3];
    }
}

/* RFC 6455 7.4: may this code stand in a close frame? */
static bool ad_ws_close_ok(unsigned code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 &&
            code != 1006) ||
           (code >= 3000 && code <= 4999);
}

/* A server's frame header (never masked) for a payload below 64 kB into h[4].
 * Returns its length. */
static size_t ad_ws_frame_header(uint8_t h[4], unsigned opcode, size_t len)
{
    h[0] = (uint8_t)(0x80 | opcode);
    if (len < 126) {
        h[1] = (uint8_t)len;
        return 2;
    }
    h[1] = 126;
    h[2] = (uint8_t)(len >> 8);
    h[3] = (uint8_t)len;
    return 4;
}

/* Length of the header of a frame of ours that is n bytes long in all. */
static size_t ad_ws_frame_header_len(size_t n)
{
    return n - 2 < 126 ? 2 : 4;
}

#endif
