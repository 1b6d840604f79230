/* http_body.c - where the body of a message lies in the bytes behind its head,
 * and where it ends: RFC 9112 6 and 7.
 *
 * Pure: the state is the caller's. Any thread. Framing (sizes, extensions,
 * trailers) is checked as strictly as data is taken off, so that a relay may pass
 * on either the data in a framing of its own, or all bytes that were used. Bytes
 * behind the end of the body are never used.
 *
 * Chunks are read by the letter: CRLF alone ends a line (RFC errata 7633; Go
 * mended that as CVE-2025-22871, nginx in 2025), an extension begins with ";"
 * and holds no control character, and all that is no data is bounded.
 */
#ifndef AD_CODEC_HTTP_BODY_C
#define AD_CODEC_HTTP_BODY_C

#include "../base/decimal.c"
#include "http_fault.c"
#include "http_field.c"
#include "http_head.c"

enum {
    AD_BODY_SIZE_MAX = 15,      /* digits of a chunk's size: 60 bits */
    AD_BODY_EXT_MAX = 256,      /* bytes of the extensions of one chunk */
    AD_BODY_TRAILER_MAX = 8192  /* bytes of the trailer section in all */
};

enum ad_body_state {
    AD_BODY_LENGTH,      /* `left` bytes are data */
    AD_BODY_CHUNK_SIZE,
    AD_BODY_CHUNK_BLANK, /* behind the size: blanks before a ";" */
    AD_BODY_CHUNK_EXT,   /* behind a ";" */
    AD_BODY_CHUNK_LF,    /* the LF of the size line */
    AD_BODY_CHUNK_DATA,  /* `left` bytes are data */
    AD_BODY_DATA_CR,     /* the CRLF behind the data of a chunk */
    AD_BODY_DATA_LF,
    AD_BODY_TRAILER,     /* a line of the trailer section begins */
    AD_BODY_TRAILER_NAME,
    AD_BODY_TRAILER_VALUE,
    AD_BODY_TRAILER_LF,
    AD_BODY_LAST_LF,     /* the LF of the empty line that ends all */
    AD_BODY_DONE,
    AD_BODY_BAD
};

struct ad_body {
    uint8_t state;       /* enum ad_body_state */
    uint8_t digits;      /* of the chunk's size so far */
    uint8_t fault;       /* enum ad_http_fault, once the state is AD_BODY_BAD */
    uint16_t framing_len; /* bytes of the extensions or of the trailer so far */
    uint64_t left;       /* bytes of data to come; UINT64_MAX: until the close */
};

/* Begin with the first byte behind this head. */
static void ad_body_begin(struct ad_body *b, const struct ad_http_head *head)
{
    memset(b, 0, sizeof(*b));
    switch (head->framing) {
    case AD_HTTP_BY_LENGTH:
        b->state = AD_BODY_LENGTH;
        b->left = head->length;
        break;
    case AD_HTTP_BY_CHUNKS:
        b->state = AD_BODY_CHUNK_SIZE;
        break;
    case AD_HTTP_UNTIL_CLOSE:
        b->state = AD_BODY_LENGTH;
        b->left = UINT64_MAX;
        break;
    default:
        b->state = AD_BODY_DONE;
        break;
    }
}

static uint8_t ad_body_bad(struct ad_body *b, enum ad_http_fault fault)
{
    b->fault = (uint8_t)fault;
    return AD_BODY_BAD;
}

/* The size line of a chunk: what state follows c? RFC 9112 7.1, 7.1.1. */
static uint8_t ad_body_size_line(struct ad_body *b, char c)
{
    switch (b->state) {
    case AD_BODY_CHUNK_SIZE:
        if (ad_hex(c) >= 0) {
            if (b->digits == AD_BODY_SIZE_MAX) {
                return ad_body_bad(b, AD_HTTP_LONG_CHUNK_LINE);
            }
            b->left = b->left << 4 | (uint64_t)ad_hex(c);
            b->digits++;
            return AD_BODY_CHUNK_SIZE;
        }
        if (b->digits == 0) {
            return ad_body_bad(b, AD_HTTP_BAD_CHUNK);
        }
        if (c == '\r') {
            return AD_BODY_CHUNK_LF;
        }
        break;
    case AD_BODY_CHUNK_EXT:
        if (c == '\r') {
            return AD_BODY_CHUNK_LF;
        }
        break;
    case AD_BODY_CHUNK_LF:
        if (c != '\n') {
            return ad_body_bad(b, AD_HTTP_BAD_CHUNK);
        }
        b->framing_len = 0;
        return b->left == 0 ? AD_BODY_TRAILER : AD_BODY_CHUNK_DATA;
    default:
        break;
    }
    if (b->framing_len == AD_BODY_EXT_MAX) {
        return ad_body_bad(b, AD_HTTP_LONG_CHUNK_LINE);
    }
    b->framing_len++;
    if (b->state == AD_BODY_CHUNK_EXT) {
        return ad_http_is_value_char(c) ? AD_BODY_CHUNK_EXT
                                        : ad_body_bad(b, AD_HTTP_BAD_CHUNK);
    }
    if (ad_http_is_blank(c)) {
        return AD_BODY_CHUNK_BLANK;
    }
    return c == ';' ? AD_BODY_CHUNK_EXT : ad_body_bad(b, AD_HTTP_BAD_CHUNK);
}

/* The trailer section: what state follows c? RFC 9112 7.1.2. */
static uint8_t ad_body_trailer(struct ad_body *b, char c)
{
    if (b->framing_len == AD_BODY_TRAILER_MAX) {
        return ad_body_bad(b, AD_HTTP_LONG_TRAILER);
    }
    b->framing_len++;
    switch (b->state) {
    case AD_BODY_TRAILER:
        if (c == '\r') {
            return AD_BODY_LAST_LF;
        }
        if (ad_http_is_token_char(c)) {
            return AD_BODY_TRAILER_NAME;
        }
        break;
    case AD_BODY_TRAILER_NAME:
        if (c == ':') {
            return AD_BODY_TRAILER_VALUE;
        }
        if (ad_http_is_token_char(c)) {
            return AD_BODY_TRAILER_NAME;
        }
        break;
    case AD_BODY_TRAILER_VALUE:
        if (c == '\r') {
            return AD_BODY_TRAILER_LF;
        }
        if (ad_http_is_value_char(c)) {
            return AD_BODY_TRAILER_VALUE;
        }
        break;
    case AD_BODY_TRAILER_LF:
        if (c == '\n') {
            return AD_BODY_TRAILER;
        }
        break;
    default: /* AD_BODY_LAST_LF */
        if (c == '\n') {
            return AD_BODY_DONE;
        }
        break;
    }
    return ad_body_bad(b, AD_HTTP_BAD_TRAILER);
}

/* Take body bytes off a stream. Returns how many of `len` were used; *data and
 * *n are the piece of body at their end (n may be 0): what lies before it was
 * framing. Call until all is used or the state is AD_BODY_DONE or AD_BODY_BAD.
 * When it is done, the bytes that were not used are no part of this message. */
static size_t ad_body_next(struct ad_body *b, const uint8_t *in, size_t len,
                           const uint8_t **data, size_t *n)
{
    size_t i = 0;

    *n = 0;
    while (i < len && b->state < AD_BODY_DONE) {
        char c = (char)in[i];

        switch (b->state) {
        case AD_BODY_LENGTH:
        case AD_BODY_CHUNK_DATA:
            *data = in + i;
            *n = len - i < b->left ? len - i : (size_t)b->left;
            if (b->left != UINT64_MAX) { /* until the close: for ever */
                b->left -= *n;
            }
            if (b->left == 0) {
                b->state = b->state == AD_BODY_LENGTH ? AD_BODY_DONE
                                                      : AD_BODY_DATA_CR;
            }
            return i + *n;
        case AD_BODY_DATA_CR:
            b->state = c == '\r' ? AD_BODY_DATA_LF
                                 : ad_body_bad(b, AD_HTTP_BAD_CHUNK);
            break;
        case AD_BODY_DATA_LF:
            b->state = c == '\n' ? AD_BODY_CHUNK_SIZE
                                 : ad_body_bad(b, AD_HTTP_BAD_CHUNK);
            b->digits = 0;
            break;
        case AD_BODY_CHUNK_SIZE:
        case AD_BODY_CHUNK_BLANK:
        case AD_BODY_CHUNK_EXT:
        case AD_BODY_CHUNK_LF:
            b->state = ad_body_size_line(b, c);
            break;
        default:
            b->state = ad_body_trailer(b, c);
            break;
        }
        i++;
    }
    return i;
}

#endif
