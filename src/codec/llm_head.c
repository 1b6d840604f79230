/* llm_head.c - the head of an engine's answer (RFC 9112), read from a copy of its
 * bytes, in pieces of any size. Pure.
 * Nothing in an answer is an error here: what can't be read is noted in
 * `incomplete`, and the proxy passes the bytes on unchanged.
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
    AD_INCOMPLETE_DEPTH = 16      /* JSON nested deeper than AD_STREAM_DEPTH_MAX */
};

/* What the body is: as its Content-Type says at first, then as its first bytes
 * show. */
enum ad_form {
    AD_FORM_NONE,   /* not known; or in the end nothing that can be read */
    AD_FORM_SSE,
    AD_FORM_NDJSON, /* several JSON texts, one event each */
    AD_FORM_JSON,   /* one whole answer, or several in an array */
    AD_FORM_MEDIA   /* sound, pictures: never read */
};

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

/* Cut the next item of a list off *s: *item and *len are the item without the
 * blanks around it. False at the end of the list. */
static bool ad_head_item(const char **s, char separator, const char **item,
                         size_t *len)
{
    const char *end;

    if (*s == NULL) {
        return false;
    }
    *item = *s + strspn(*s, " \t");
    end = strchr(*item, separator);
    *s = end != NULL ? end + 1 : NULL;
    end = end != NULL ? end : *item + strlen(*item);
    while (end > *item && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    *len = (size_t)(end - *item);
    return true;
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
        {"application/jsonl", AD_FORM_NDJSON},
        {"application/jsonlines", AD_FORM_NDJSON},
        {"application/x-jsonlines", AD_FORM_NDJSON},
        {"application/json-seq", AD_FORM_NDJSON}, /* RFC 7464 */
        {"application/stream+json", AD_FORM_NDJSON},
        {"application/json", AD_FORM_JSON},
        {"audio/", AD_FORM_MEDIA}, /* and all that begins so */
        {"font/", AD_FORM_MEDIA},
        {"image/", AD_FORM_MEDIA},
        {"video/", AD_FORM_MEDIA},
    };
    const char *type = value;
    size_t len = 0, i;

    (void)ad_head_item(&value, ';', &type, &len);
    for (i = 0; i < AD_COUNT(forms); i++) {
        size_t n = strlen(forms[i].type);

        if (ad_head_is(type, len, forms[i].type) ||
            (forms[i].type[n - 1] == '/' && len > n &&
             strncasecmp(type, forms[i].type, n) == 0)) {
            return forms[i].form;
        }
    }
    return AD_FORM_NONE;
}

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

static void ad_head_begin(struct ad_head *h, bool no_body)
{
    memset(h, 0, sizeof(*h));
    h->no_body = no_body;
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

#endif /* AIDASH_METER */

#endif
