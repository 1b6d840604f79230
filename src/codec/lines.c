/* lines.c - lines cut out of a stream of bytes. Pure. */
#ifndef AD_CODEC_LINES_C
#define AD_CODEC_LINES_C

#include "../base/platform.h"

enum { AD_LINE_CAP = AIDASH_MESSAGE_MAX + 1 }; /* a line, and a CR to take off */

/* What is known of a stream of lines between two calls. Zeroed at first. */
struct ad_lines {
    uint32_t len;  /* bytes of the line so far */
    uint32_t line; /* lines begun */
    bool skip;     /* too long: the rest is skipped */
};

/* Cut the next line out of a stream. Returns how many bytes were used.
 *
 * buf     AD_LINE_CAP bytes of the caller, for a line in several pieces;
 * *ended  a line has ended;
 * *line   that line: in `in` if all of it is there, else in buf;
 * *n      its length without CR LF, or SIZE_MAX if it is longer than
 *         AIDASH_MESSAGE_MAX. */
static size_t ad_lines_next(struct ad_lines *l, uint8_t *buf,
                            const uint8_t *in, size_t len,
                            const uint8_t **line, size_t *n, bool *ended)
{
    const uint8_t *newline = memchr(in, '\n', len);
    size_t piece = newline != NULL ? (size_t)(newline - in) : len;

    *ended = newline != NULL;
    if (l->len == 0 && !l->skip && newline != NULL) {
        *line = in;
        *n = piece;
    } else {
        if (piece > AD_LINE_CAP - l->len) {
            l->skip = true;
        } else {
            memcpy(buf + l->len, in, piece);
            l->len += (uint32_t)piece;
        }
        *line = buf;
        *n = l->len;
    }
    if (*ended) {
        piece++; /* the newline */
        if (*n > 0 && (*line)[*n - 1] == '\r') {
            (*n)--;
        }
        if (l->skip || *n > AIDASH_MESSAGE_MAX) {
            *n = SIZE_MAX;
        }
        l->len = 0;
        l->skip = false;
        l->line++;
    }
    return piece;
}

#endif
