/* llm_head.c - the head of an engine's answer, read from a copy of its bytes as
 * they come, in pieces of any size. Pure.
 * Nothing in an answer is an error here: what can't be read is noted in
 * `incomplete`, and the bytes are passed on unchanged.
 */
#ifndef AD_CODEC_LLM_HEAD_C
#define AD_CODEC_LLM_HEAD_C

#include "http_body.c"

#if AIDASH_METER

enum {
    AD_SCAN_HEAD_MAX = 65536, /* bytes of an answer's heads, interim ones too */
    AD_SCAN_LINE_MAX = 127    /* bytes kept of a header line: ours are short */
};

/* What could not be read of an answer: its counts are then incomplete. */
enum {
    AD_INCOMPLETE_HEAD = 1,       /* no HTTP/1.x head, or a longer one */
    AD_INCOMPLETE_FRAMING = 2,    /* bad lengths or chunks, bytes behind the end */
    AD_INCOMPLETE_COMPRESSED = 4, /* a content or transfer coding */
    AD_INCOMPLETE_JSON = 8,       /* broken JSON */
    AD_INCOMPLETE_DEPTH = 16      /* JSON nested deeper than AD_SCAN_DEPTH_MAX */
};

/* What the body is, by its Content-Type. */
enum ad_form { AD_FORM_NONE, AD_FORM_SSE, AD_FORM_NDJSON, AD_FORM_JSON };

enum ad_head_state { AD_HEAD_LINES, AD_HEAD_DONE, AD_HEAD_BAD };

struct ad_head {
    uint8_t state;    /* enum ad_head_state */
    uint8_t form;     /* enum ad_form */
    uint8_t incomplete;  /* AD_INCOMPLETE_... */
    bool no_body;     /* the request's method was HEAD */
    bool until_close; /* the body ends with the connection */
    bool encoded;     /* there is a Transfer-Encoding */
    bool chunked;     /* and its last coding is chunked */
    bool has_length;
    bool line_ended;  /* but a folded line (RFC 9112 5.2) may still go on */
    uint8_t line_len;
    uint16_t status;  /* 0: no status line yet */
    uint32_t len;     /* bytes of heads so far */
    uint64_t length;  /* Content-Length */
    struct ad_body body;
    char line[AD_SCAN_LINE_MAX + 1];
};

static bool ad_head_is(const char *s, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp(s, word, len) == 0;
}

/* Cut the next item of a list off *s, without the blanks around it. Returns
 * its length, and SIZE_MAX at the end of the list. */
static size_t ad_head_item(const char **s, const char **item, char separator)
{
    const char *end;

    if (*s == NULL) {
        return SIZE_MAX;
    }
    *item = *s + strspn(*s, " \t");
    end = strchr(*item, separator);
    *s = end != NULL ? end + 1 : NULL;
    end = end != NULL ? end : *item + strlen(*item);
    while (end > *item && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    return (size_t)(end - *item);
}

static uint8_t ad_head_form(const char *value)
{
    static const struct {
        const char *type;
        uint8_t form;
    } forms[] = {
        {"text/event-stream", AD_FORM_SSE},
        {"application/x-ndjson", AD_FORM_NDJSON},
        {"application/ndjson", AD_FORM_NDJSON},
        {"application/json", AD_FORM_JSON},
    };
    const char *type;
    size_t len = ad_head_item(&value, &type, ';'), i;

    for (i = 0; i < AD_COUNT(forms); i++) {
        if (ad_head_is(type, len, forms[i].type)) {
            return forms[i].form;
        }
    }
    return AD_FORM_NONE;
}

/* RFC 9112 6.3: several equal lengths are one, other ones are an attack or a
 * mistake. */
static void ad_head_length(struct ad_head *h, const char *value)
{
    const char *item;
    size_t len, i;

    while ((len = ad_head_item(&value, &item, ',')) != SIZE_MAX) {
        uint64_t length = 0;
        bool good = len > 0 && len <= 18; /* below 2^60 */

        for (i = 0; i < len && good; i++) {
            good = ad_is_digit(item[i]);
            length = length * 10 + (uint64_t)(item[i] - '0');
        }
        if (!good || (h->has_length && length != h->length)) {
            h->incomplete |= AD_INCOMPLETE_FRAMING;
            return;
        }
        h->has_length = true;
        h->length = length;
    }
}

/* A list of codings; how the body is framed depends on the last of them. */
static void ad_head_codings(struct ad_head *h, const char *value,
                            bool transfer)
{
    const char *coding;
    size_t len;

    while ((len = ad_head_item(&value, &coding, ',')) != SIZE_MAX) {
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

        if (h->line_len < 12 || memcmp(s, "HTTP/1.", 7) != 0 ||
            !ad_is_digit(s[7]) || s[8] != ' ' || s[9] < '1' || s[9] > '9' ||
            !ad_is_digit(s[10]) || !ad_is_digit(s[11]) ||
            (s[12] != ' ' && s[12] != '\0')) {
            h->state = AD_HEAD_BAD;
            return;
        }
        h->status = (uint16_t)((s[9] - '0') * 100 + (s[10] - '0') * 10 +
                               (s[11] - '0'));
        return;
    }
    value = strchr(h->line, ':');
    if (value == NULL) {
        return;
    }
    len = (size_t)(value++ - h->line);
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

static void ad_head_begin(struct ad_head *h, bool no_body)
{
    memset(h, 0, sizeof(*h));
    h->no_body = no_body;
}

/* A head is complete: an interim one is forgotten, else the body follows as
 * RFC 9112 6.3 says. */
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
    h->body.left = h->chunked ? 0 : h->until_close ? UINT64_MAX : h->length;
    if ((h->incomplete & AD_INCOMPLETE_COMPRESSED) != 0) {
        h->form = AD_FORM_NONE;
    }
}

/* Take bytes of a head. Returns how many were used: all of them, but for the
 * first bytes of the body. */
static size_t ad_head_next(struct ad_head *h, const uint8_t *in, size_t len)
{
    size_t i = 0;

    while (i < len && h->state == AD_HEAD_LINES) {
        char c = (char)in[i++];

        if (++h->len > AD_SCAN_HEAD_MAX) {
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

#endif /* AIDASH_METER */

#endif
