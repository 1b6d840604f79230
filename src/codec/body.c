#ifndef AD_CODEC_BODY_C
#define AD_CODEC_BODY_C

/* Take body bytes off a stream. Returns how many of `len` were used; *data and
 * *n are the piece of body among them (n may be 0). Call until all is used or
 * the state is AD_BODY_DONE or AD_BODY_BAD. */
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

/* Cut the next line out of a stream. Lines are gathered in buf (of AD_LINE_CAP
 * bytes); *line points there or into `in` when a whole line
 * lies in it. Returns how many bytes were used. *ended: a line has ended;
 * *n is its length without CR LF, or SIZE_MAX if it was too long. */
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
    return piece + *ended;
}

#endif
