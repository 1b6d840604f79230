/* answer.h - for tests: reads an engine's answer with its head and its framing, as
 * the recorded ones have them, and gives the body to the scanner. */
#ifndef ANSWER_H
#define ANSWER_H

#include "../src/codec/http_body.c"
#include "../src/codec/llm_scan.c"

enum { AD_SCAN_HEAD_MAX = 65536 }; /* bytes of an answer's heads, interim ones too */

/* RFC 9112 6.3: several equal lengths count as one. Different lengths are an
 * attack or a mistake. */
static void ad_head_length(struct ad_head *h, const char *value)
{
    const char *item;
    size_t len;

    while (ad_head_item(&value, ',', &item, &len)) {
        uint64_t length;

        if (!ad_decimal_u64(item, len, AD_HTTP_LENGTH_MAX, &length) ||
            (h->has_length && length != h->length)) {
            h->incomplete |= AD_INCOMPLETE_FRAMING;
            return;
        }
        h->has_length = true;
        h->length = length;
    }
}

/* A list of codings. The last of them decides how the body is framed. */
static void ad_head_codings(struct ad_head *h, const char *value,
                            bool transfer)
{
    const char *coding;
    size_t len;

    while (ad_head_item(&value, ',', &coding, &len)) {
        if (transfer && len > 0) {
            h->encoded = true;
            h->chunked = ad_head_is(coding, len, "chunked");
        }
        if (len > 0 && !ad_head_is(coding, len, "identity") &&
            !(transfer && h->chunked)) {
            h->incomplete |= AD_INCOMPLETE_COMPRESSED;
        }
    }
}

/* A whole line of a head, in h->line. */
static void ad_head_line(struct ad_head *h)
{
    char *value;
    size_t len;

    h->line[h->line_len] = '\0';
    if (h->status == 0) { /* RFC 9112 4: HTTP/1.1 200 OK */
        const char *s = h->line;
        uint64_t status;

        if (h->line_len < 12 || memcmp(s, "HTTP/1.", 7) != 0 ||
            !ad_is_digit(s[7]) || s[8] != ' ' ||
            !ad_decimal_u64(s + 9, 3, 999, &status) || status < 100 ||
            (s[12] != ' ' && s[12] != '\0')) {
            h->state = AD_HEAD_BAD;
            return;
        }
        h->status = (uint16_t)status;
        return;
    }
    value = strchr(h->line, ':');
    if (value == NULL) {
        return;
    }
    len = (size_t)(value - h->line);
    value++;
    if (ad_head_is(h->line, len, "Content-Type")) {
        h->form = ad_head_form(value);
    } else if (ad_head_is(h->line, len, "Content-Length")) {
        ad_head_length(h, value);
    } else if (ad_head_is(h->line, len, "Transfer-Encoding")) {
        ad_head_codings(h, value, true);
    } else if (ad_head_is(h->line, len, "Content-Encoding")) {
        ad_head_codings(h, value, false);
    }
}

/* A head is complete. An interim one (RFC 9110 15.2) is forgotten. Otherwise
 * the body follows as RFC 9112 6.3 says. */
static void ad_head_end(struct ad_head *h)
{
    if (h->status < 200 && h->status != 101) {
        uint32_t len = h->len;

        ad_head_begin(h, h->no_body);
        h->len = len;
        return;
    }
    h->state = AD_HEAD_DONE;
    h->body.state = AD_BODY_LENGTH;
    if (h->no_body || h->status == 204 || h->status == 304) {
        h->body.state = AD_BODY_DONE;
    } else if (h->status == 101) { /* no longer HTTP */
        h->form = AD_FORM_NONE;
        h->until_close = true;
    } else if (h->chunked) {
        h->body.state = AD_BODY_CHUNK_SIZE;
    } else if (h->encoded || !h->has_length ||
               (h->incomplete & AD_INCOMPLETE_FRAMING) != 0) {
        h->until_close = true;
    } else if (h->length == 0) {
        h->body.state = AD_BODY_DONE;
    }
    h->body.left = h->length;
    if (h->until_close) {
        h->body.left = UINT64_MAX;
    }
    if (h->chunked) {
        h->body.left = 0;
    }
    if ((h->incomplete & AD_INCOMPLETE_COMPRESSED) != 0) {
        h->form = AD_FORM_NONE;
    }
}

/* Take bytes of a head. Returns how many were used: all of them, except the
 * first bytes of the body. */
static size_t ad_head_next(struct ad_head *h, const uint8_t *in, size_t len)
{
    size_t i = 0;

    while (i < len && h->state == AD_HEAD_LINES) {
        char c = (char)in[i];

        i++;
        h->len++;
        if (h->len > AD_SCAN_HEAD_MAX) {
            h->state = AD_HEAD_BAD;
        } else if (c == '\r') {
            continue; /* an LF ends a line, alone or not: RFC 9112 2.2 */
        } else if (h->line_ended && c != ' ' && c != '\t') {
            ad_head_line(h);
            h->line_len = 0;
        }
        h->line_ended = false;
        if (h->state == AD_HEAD_BAD) {
            h->incomplete |= AD_INCOMPLETE_HEAD;
        } else if (c != '\n') {
            if (h->line_len < AD_SCAN_LINE_MAX) {
                h->line[h->line_len++] = c;
            }
        } else if (h->line_len > 0) {
            h->line_ended = true;
        } else if (h->status != 0) {
            ad_head_end(h);
        } else {
            h->state = AD_HEAD_BAD; /* an empty line, no status line */
            h->incomplete |= AD_INCOMPLETE_HEAD;
        }
    }
    return i;
}

/* Has all of the answer come? Its framing says so. An answer that ends with the
 * connection is complete after ad_scan_close(). */
static bool ad_scan_complete(const struct ad_scan *s)
{
    return s->head.state == AD_HEAD_DONE &&
           s->head.body.state == AD_BODY_DONE;
}

/* Take bytes as they were read from the engine. Returns how many token events
 * were completed by them; the counts are up to date then. */
static uint32_t ad_scan_feed(struct ad_scan *s, const uint8_t *in, size_t len)
{
    struct ad_body *body = &s->head.body;
    const uint8_t *data = NULL;
    uint32_t events = 0;
    size_t i = 0, n;

    if (s->head.state == AD_HEAD_LINES) {
        i = ad_head_next(&s->head, in, len);
        if (s->head.state != AD_HEAD_LINES) {
            s->incomplete |= s->head.incomplete;
        }
    }
    if (s->head.state != AD_HEAD_DONE) {
        return 0;
    }
    while (i < len && body->state != AD_BODY_DONE &&
           body->state != AD_BODY_BAD) {
        i += ad_body_next(body, in + i, len - i, &data, &n);
        if (n > 0) {
            events += ad_scan_body(s, data, n);
        }
        if (body->state == AD_BODY_DONE) {
            ad_scan_body_end(s);
        }
    }
    if (i < len || body->state == AD_BODY_BAD) {
        s->incomplete |= AD_INCOMPLETE_FRAMING;
    }
    return events;
}

/* The engine has closed the connection. */
static void ad_scan_close(struct ad_scan *s)
{
    if (s->head.state == AD_HEAD_DONE && s->head.until_close &&
        s->head.body.state == AD_BODY_LENGTH) {
        s->head.body.state = AD_BODY_DONE;
        ad_scan_body_end(s);
    }
}

#endif
