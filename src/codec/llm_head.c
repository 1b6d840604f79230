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
        {"application/json", AD_FORM_JSON},
    };
    const char *type = value;
    size_t len = 0, i;

    (void)ad_head_item(&value, ';', &type, &len);
    for (i = 0; i < AD_COUNT(forms); i++) {
        if (ad_head_is(type, len, forms[i].type)) {
            return forms[i].form;
        }
    }
    return AD_FORM_NONE;
}

static void ad_head_begin(struct ad_head *h, bool no_body)
{
    memset(h, 0, sizeof(*h));
    h->no_body = no_body;
}

#endif /* AIDASH_METER */

#endif
