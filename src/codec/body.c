/* body.c - the framing of HTTP bodies: a length, or chunks (RFC 9112 6, 7.1).
 * Pure.
 */
#ifndef AD_CODEC_BODY_C
#define AD_CODEC_BODY_C

#include "../base/platform.h"
#include "../base/decimal.c"

#define AD_BODY_LENGTH_MAX ((1ull << 60) - 1) /* bytes of a body or a chunk */

/* How an HTTP body is framed, and what comes next. RFC 9112 6 and 7.1. */
enum ad_body_state {
    AD_BODY_LENGTH,
    AD_BODY_CHUNK_SIZE,
    AD_BODY_CHUNK_EXT,
    AD_BODY_CHUNK_DATA,
    AD_BODY_CHUNK_END,
    AD_BODY_TRAILER,
    AD_BODY_DONE,
    AD_BODY_BAD
};
struct ad_body {
    uint8_t state;    /* enum ad_body_state */
    uint8_t digits;   /* of the chunk size so far */
    bool line_empty;  /* of the trailer */
    uint64_t left;    /* bytes of the body or of the chunk to come */
};

/* Take body bytes off a stream. Returns how many of `len` were used. *data and
 * *n are the piece of the body among them; *n may be 0. Call again until all
 * bytes are used, or the state is AD_BODY_DONE or AD_BODY_BAD. */
static size_t ad_body_next(struct ad_body *b, const uint8_t *in, size_t len,
                           const uint8_t **data, size_t *n)
{
    size_t i = 0;

    *n = 0;
    while (i < len && b->state != AD_BODY_DONE && b->state != AD_BODY_BAD) {
        uint8_t c = in[i];

        switch (b->state) {
        case AD_BODY_LENGTH:
        case AD_BODY_CHUNK_DATA:
            *data = in + i;
            *n = len - i < b->left ? len - i : (size_t)b->left;
            b->left -= *n;
            if (b->left == 0) {
                b->state = b->state == AD_BODY_LENGTH ? AD_BODY_DONE
                                                      : AD_BODY_CHUNK_END;
            }
            return i + *n;
        case AD_BODY_CHUNK_SIZE: /* at most 15 digits: 60 bits */
            if (ad_hex(c) >= 0 && b->digits < 15) {
                b->left = b->left << 4 | (uint64_t)ad_hex(c);
                b->digits++;
                break;
            }
            b->state = b->digits == 0 ? AD_BODY_BAD : AD_BODY_CHUNK_EXT;
            if (c != '\r' && c != '\n' && c != ';' && c != ' ' && c != '\t') {
                b->state = AD_BODY_BAD;
            }
            continue;
        case AD_BODY_CHUNK_EXT:
            if (c == '\n') {
                b->state = b->left == 0 ? AD_BODY_TRAILER : AD_BODY_CHUNK_DATA;
                b->line_empty = true;
            }
            break;
        case AD_BODY_CHUNK_END:
            if (c == '\n') {
                b->state = AD_BODY_CHUNK_SIZE;
                b->digits = 0;
            } else if (c != '\r') {
                b->state = AD_BODY_BAD;
            }
            break;
        case AD_BODY_TRAILER:
            if (c == '\n') {
                b->state = b->line_empty ? AD_BODY_DONE : AD_BODY_TRAILER;
                b->line_empty = true;
            } else if (c != '\r') {
                b->line_empty = false;
            }
            break;
        default:
            break;
        }
        i++;
    }
    return i;
}

#endif
