/* llm_scan.c - the body of an engine's answer: an event stream or JSON texts, read
 * from a copy of its bytes, in pieces of any size. Pure.
 */
#ifndef AD_CODEC_LLM_SCAN_C
#define AD_CODEC_LLM_SCAN_C

#include "llm_events.c"

#if AIDASH_METER

/* ---- an event stream ---- */

static const char ad_done[] = "[DONE]";

/* The current JSON text ends here. */
static void ad_scan_json_end(struct ad_scan *s)
{
    bool whole = !s->reading || ad_json_stream_end(&s->js);

    /* Part of "[DONE]" is no JSON either. */
    if (!whole || (s->done_len > 0 && s->done_len < sizeof(ad_done) - 1)) {
        ad_scan_broken(s);
    }
    s->reading = false;
    s->done_len = 0;
}

/* Bytes of a JSON text. Returns how many token events ended in them. */
static uint32_t ad_scan_json(struct ad_scan *s, const uint8_t *in, size_t len)
{
    uint32_t n = 0;

    if (!s->reading) {
        size_t space = ad_json_space((const char *)in, len);

        if (space == len) {
            return 0;
        }
        ad_scan_json_begin(s);
    }
    while (len > 0 && s->js.state != AD_JSON_BAD) {
        size_t used = ad_json_stream_next(&s->js, in, len);

        n += ad_scan_take(s);
        in += used;
        len -= used;
    }
    return n;
}

/* Bytes of an error's sentence that is no JSON: a data line, or the first line of
 * a text. The JSON reader has nothing else to keep then. */
static void ad_scan_words(struct ad_scan *s, const uint8_t *in, size_t len)
{
    size_t room = AD_STREAM_TEXT_MAX - (size_t)s->js.len;

    len = len < room ? len : room;
    memcpy(s->js.text + s->js.len, in, len);
    s->js.len = (uint8_t)(s->js.len + len);
}

/* Bytes of an event's data: JSON, or "[DONE]". */
static uint32_t ad_scan_data(struct ad_scan *s, const uint8_t *in, size_t len)
{
    uint32_t n = 0;
    size_t i = 0;

    if (!s->reading && s->done_len == 0) {
        i = ad_json_space((const char *)in, len);
        if (i < len && s->error_event && !s->error_kept && in[i] != '{' &&
            in[i] != '[') {
            s->line = AD_SSE_SENTENCE;
            s->js.len = 0;
            ad_scan_words(s, in + i, len - i);
            return 0;
        }
    }
    for (; i < len && !s->reading && s->done_len < sizeof(ad_done) - 1; i++) {
        if (in[i] != (uint8_t)ad_done[s->done_len]) {
            n = ad_scan_json(s, (const uint8_t *)ad_done, s->done_len);
            s->done_len = 0;
            break;
        }
        s->done_len++;
        s->ended = s->ended || s->done_len == sizeof(ad_done) - 1;
    }
    return n + ad_scan_json(s, in + i, len - i);
}

static bool ad_scan_name_is(const struct ad_scan *s, const char *name)
{
    return s->name_len == strlen(name) && memcmp(s->name, name, s->name_len) == 0;
}

/* A field of an event has its colon. */
static void ad_scan_field(struct ad_scan *s)
{
    bool error = ad_scan_name_is(s, "error"); /* older llama-server */

    s->line = AD_SSE_SKIP;
    if (s->name_len == 0) {
        s->line = AD_SSE_COMMENT;
        s->comments++;
    } else if (ad_scan_name_is(s, "data") || error) {
        s->line = AD_SSE_DATA;
        /* A second data line of an event continues its text after a newline.
         * If the first line was complete JSON, the sender left out the empty
         * line between two events. */
        if (s->reading && s->js.state != AD_JSON_DONE &&
            s->js.state != AD_JSON_BAD) {
            (void)ad_scan_json(s, (const uint8_t *)"\n", 1);
        } else {
            ad_scan_json_end(s);
        }
        if (error) {
            s->failed = true;
            s->error_event = true;
        }
    } else if (ad_scan_name_is(s, "event")) {
        s->line = AD_SSE_EVENT;
    }
    s->name_len = 0;
}

/* mlx-lm: ": keepalive 2048/4096", tokens of the prompt. */
static void ad_scan_comment(struct ad_scan *s)
{
    static const char word[] = " keepalive ";
    size_t n = sizeof(word) - 1, slash;
    uint64_t done, total;
    const char *end;

    if (s->name_len <= n || s->name_len == sizeof(s->name) ||
        memcmp(s->name, word, n) != 0) {
        return;
    }
    end = memchr(s->name, '/', s->name_len);
    slash = end != NULL ? (size_t)(end - s->name) : 0;
    if (slash > n &&
        ad_decimal_u64(s->name + n, slash - n, AD_TOKENS_LIMIT, &done) &&
        ad_decimal_u64(s->name + slash + 1, s->name_len - slash - 1,
                       AD_TOKENS_LIMIT, &total) && done <= total) {
        s->has_progress = true;
        s->progress_done = done;
        s->progress_total = total;
    }
}

/* A line of an event stream has ended. */
static void ad_scan_line_end(struct ad_scan *s)
{
    if (s->line == AD_SSE_NAME && s->name_len == 0) {
        ad_scan_json_end(s);
        s->error_event = false;
    } else if (s->line == AD_SSE_EVENT &&
               (ad_scan_name_is(s, "error") || ad_scan_name_is(s, " error"))) {
        s->error_event = true;
        s->failed = true;
    } else if (s->line == AD_SSE_COMMENT) {
        ad_scan_comment(s);
    } else if (s->line == AD_SSE_SENTENCE) {
        ad_scan_sentence(s, s->js.text, s->js.len);
        ad_scan_error_end(s);
    }
    s->line = AD_SSE_NAME;
    s->name_len = 0;
}

/* Where c is in in[from .. to), or `to`. */
static size_t ad_scan_find(const uint8_t *in, size_t from, size_t to, char c)
{
    const uint8_t *at = memchr(in + from, c, to - from);

    return at != NULL ? (size_t)(at - in) : to;
}

/* Server-sent events (HTML 9.2.6). An event counts as soon as its JSON is
 * complete. The space behind a colon needs no care: JSON may begin with one. */
static uint32_t ad_scan_sse(struct ad_scan *s, const uint8_t *in, size_t len)
{
    uint32_t n = 0;
    size_t i = 0, lf = 0, end; /* lf: where the next LF is, once it is known */

    while (i < len) {
        uint8_t c = in[i];
        bool lf_of_crlf = s->after_cr && c == '\n';

        s->after_cr = c == '\r';
        if (lf_of_crlf) {
            i++;
            continue;
        }
        if (c == '\r' || c == '\n') {
            ad_scan_line_end(s);
            i++;
            continue;
        }
        if (s->line == AD_SSE_NAME && c == ':') {
            ad_scan_field(s);
            i++;
            continue;
        }
        if (s->line == AD_SSE_NAME || s->line == AD_SSE_EVENT ||
            s->line == AD_SSE_COMMENT) {
            if (s->name_len < sizeof(s->name)) {
                s->name[s->name_len++] = (char)c;
            }
            i++;
            continue;
        }
        if (lf <= i) {
            lf = ad_scan_find(in, i, len, '\n');
        }
        end = ad_scan_find(in, i, lf, '\r');
        if (s->line == AD_SSE_DATA) {
            n += ad_scan_data(s, in + i, end - i);
        } else if (s->line == AD_SSE_SENTENCE) {
            ad_scan_words(s, in + i, end - i);
        }
        i = end;
    }
    return n;
}

/* ---- JSON texts, one behind the other ---- */

enum { AD_RECORD_SEPARATOR = 0x1E }; /* RFC 7464 2.2 */

static bool ad_scan_line_ends(uint8_t c)
{
    return c == '\n' || c == '\r';
}

/* Another text begins. If it is not the first one, the body is a stream, and the
 * first one was an event of it. Returns its token events. */
static uint32_t ad_scan_text_begin(struct ad_scan *s)
{
    uint32_t n = 0;

    if (s->texts > 0 && s->form == AD_FORM_JSON) {
        s->form = AD_FORM_NDJSON;
        n = s->held;
        s->held = 0;
        s->token_events += n;
        s->thinking_events += s->held_thinking ? n : 0;
    }
    s->texts++;
    s->whole = false;
    ad_scan_json_begin(s);
    return n;
}

/* Does another text begin with c? Behind a broken one, only a line that begins
 * with a brace does. */
static bool ad_scan_text_begins(struct ad_scan *s, uint8_t c)
{
    if (s->lost) {
        s->lost = c != AD_RECORD_SEPARATOR &&
                  !(c == '{' && ad_scan_line_ends(s->last));
        return !s->lost && c == '{';
    }
    return ad_json_space((const char *)&c, 1) == 0 && c != AD_RECORD_SEPARATOR;
}

/* The current text broke behind used bytes. Returns how many of them are done
 * with: a brace that begins a line is the next text's. */
static size_t ad_scan_text_broken(struct ad_scan *s, const uint8_t *in,
                                  size_t used, uint8_t before)
{
    ad_scan_broken(s);
    s->reading = false;
    s->lost = true;
    if (used > 0 && in[used - 1] == '{' && ad_scan_line_ends(before)) {
        s->last = before;
        used--;
    } else if (used > 0 && in[used - 1] == AD_RECORD_SEPARATOR) {
        s->lost = false;
    }
    return used;
}

/* Bytes of the current text, up to a value that matters. Returns how many were
 * used; *events is raised by the token events that ended in them. */
static size_t ad_scan_text(struct ad_scan *s, const uint8_t *in, size_t len,
                           uint32_t *events)
{
    size_t used = ad_json_stream_next(&s->js, in, len);
    uint8_t before = s->last;

    *events += ad_scan_take(s);
    if (used > 1) {
        before = in[used - 2];
    }
    if (used > 0) {
        s->last = in[used - 1];
    }
    if (s->js.state == AD_JSON_BAD) {
        return ad_scan_text_broken(s, in, used, before);
    }
    s->whole = s->js.state == AD_JSON_DONE;
    s->reading = !s->whole;
    return used;
}

/* Bytes of JSON texts: newline-delimited, as a sequence (RFC 7464), or a single
 * one. Each ends where the grammar says. If the first one goes on in a second
 * line, it is no newline-delimited JSON. */
static uint32_t ad_scan_texts(struct ad_scan *s, const uint8_t *in, size_t len)
{
    uint32_t n = 0;
    size_t i = 0, line = 0; /* line: where the first line ends, once it is known */

    while (i < len) {
        bool first;

        if (!s->reading && !ad_scan_text_begins(s, in[i])) {
            s->last = in[i];
            i++;
            continue;
        }
        if (!s->reading) {
            n += ad_scan_text_begin(s);
        }
        first = s->texts == 1 && s->form == AD_FORM_NDJSON;
        if (!first) {
            i += ad_scan_text(s, in + i, len - i, &n);
            continue;
        }
        if (line <= i) {
            line = ad_scan_find(in, i, len, '\n');
            line = ad_scan_find(in, i, line, '\r');
            line += line < len;
        }
        i += ad_scan_text(s, in + i, line - i, &n);
        if (s->reading && ad_scan_line_ends(s->last)) {
            s->form = AD_FORM_JSON;
        }
    }
    return n;
}

/* ---- the body ---- */

/* Bytes of an error that is plain text: its first line counts. */
static void ad_scan_plain(struct ad_scan *s, const uint8_t *in, size_t len)
{
    size_t end = ad_scan_find(in, 0, len, '\n');

    end = ad_scan_find(in, 0, end, '\r');
    ad_scan_words(s, in, end);
    if (end < len && s->js.len > 0) {
        s->plain = false;
        ad_scan_sentence(s, s->js.text, s->js.len);
    }
}

/* Bytes of the body, whose form is known. */
static uint32_t ad_scan_known(struct ad_scan *s, const uint8_t *in, size_t len)
{
    switch (s->form) {
    case AD_FORM_SSE:
        return ad_scan_sse(s, in, len);
    case AD_FORM_NDJSON:
    case AD_FORM_JSON:
        return ad_scan_texts(s, in, len);
    default:
        if (s->plain) {
            ad_scan_plain(s, in, len);
        }
        return 0;
    }
}

/* The form is known: read what was taken for the beginning of a field. */
static uint32_t ad_scan_form_known(struct ad_scan *s, uint8_t form)
{
    uint8_t name[AD_SCAN_NAME_MAX];
    size_t len = s->name_len;

    memcpy(name, s->name, len);
    s->name_len = 0;
    s->form = form;
    s->known = true;
    return ad_scan_known(s, name, len);
}

/* Does the body begin with a field of an event stream, or part of its name? */
static bool ad_scan_maybe_field(const struct ad_scan *s, uint8_t c)
{
    static const char *const fields[] = {"data:", "event:", "id:", "retry:", ":"};
    size_t i;

    for (i = 0; i < AD_COUNT(fields); i++) {
        if (strncmp(fields[i], s->name, s->name_len) == 0 &&
            fields[i][s->name_len] == (char)c) {
            return true;
        }
    }
    return false;
}

/* The first bytes of the body show its form: a brace or a bracket is JSON, the
 * name of a field an event stream, whatever the Content-Type says. Otherwise it
 * decides. Returns how many bytes were used; *events as ad_scan_known(). */
static size_t ad_scan_first(struct ad_scan *s, const uint8_t *in, size_t len,
                            uint32_t *events)
{
    static const uint8_t bom[] = {0xEF, 0xBB, 0xBF};
    size_t i;

    if (s->form == AD_FORM_MEDIA ||
        (s->incomplete & AD_INCOMPLETE_COMPRESSED) != 0) {
        s->known = true;
        s->form = AD_FORM_NONE;
        s->plain = false;
        return 0;
    }
    for (i = 0; i < len && !s->known; i++) {
        uint8_t form = s->form, c = in[i];
        bool begins = s->name_len == 0;

        if (begins && s->bom < sizeof(bom) && c == bom[s->bom]) {
            s->bom++;
        } else if (begins && ad_json_space((const char *)&c, 1) != 0) {
            s->last = c;
            s->after_cr = c == '\r';
        } else if (begins && c == AD_RECORD_SEPARATOR && form == AD_FORM_NONE) {
            s->form = AD_FORM_NDJSON;
        } else if (begins && (c == '{' || c == '[')) {
            form = form == AD_FORM_NDJSON ? AD_FORM_NDJSON : AD_FORM_JSON;
            *events += ad_scan_form_known(s, form);
            break;
        } else if (form == AD_FORM_SSE || !ad_scan_maybe_field(s, c)) {
            *events += ad_scan_form_known(s, form);
            break;
        } else if (c == ':') {
            *events += ad_scan_form_known(s, AD_FORM_SSE);
            break;
        } else {
            s->name[s->name_len++] = (char)c;
        }
    }
    return i;
}

/* Bytes of the body, free of its framing. */
static uint32_t ad_scan_body(struct ad_scan *s, const uint8_t *in, size_t len)
{
    uint32_t n = 0;
    size_t used = 0;

    if (!s->known) {
        used = ad_scan_first(s, in, len, &n);
    }
    return n + ad_scan_known(s, in + used, len - used);
}

/* All of the body has come. A stream that says why it finished has its end mark,
 * even if others would send one more. */
static void ad_scan_body_end(struct ad_scan *s)
{
    if (!s->known) {
        (void)ad_scan_form_known(s, s->form);
    }
    if (s->form == AD_FORM_SSE) {
        if (s->line != AD_SSE_NAME) {
            ad_scan_line_end(s);
        }
        ad_scan_json_end(s);
    } else if (s->reading) {
        s->whole = ad_json_stream_end(&s->js);
        if (!s->whole) {
            ad_scan_broken(s);
        }
        s->reading = false;
    }
    if (s->form == AD_FORM_NONE && s->status >= 400) {
        if (s->plain) {
            ad_scan_sentence(s, s->js.text, s->js.len);
        }
        ad_scan_error_end(s);
    }
    if (s->form == AD_FORM_JSON) {
        s->ended = s->whole;
    } else if (s->finish[0] != '\0') {
        s->ended = true;
    }
}

static void ad_scan_begin(struct ad_scan *s)
{
    memset(s, 0, sizeof(*s));
    s->last = '\n';
}

/* What the media type (RFC 9110 8.3.1) says about the body. */
static uint8_t ad_scan_form(struct ad_slice type)
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
    struct ad_slice name;
    size_t i;

    (void)ad_http_cut(&type, ';', &name);
    for (i = 0; i < AD_COUNT(forms); i++) {
        size_t n = strlen(forms[i].type);

        if (ad_slice_is_nocase(name, forms[i].type) ||
            (forms[i].type[n - 1] == '/' && name.len > n &&
             strncasecmp(name.at, forms[i].type, n) == 0)) {
            return forms[i].form;
        }
    }
    return AD_FORM_NONE;
}

/* The final head of the answer: what does it say about the body? */
static void ad_scan_head(struct ad_scan *s, const struct ad_http_head *head)
{
    struct ad_http_list codings = ad_http_list_of(&head->fields,
                                                  "Content-Encoding");
    struct ad_slice value;

    s->status = head->status;
    if (ad_http_field_get(&head->fields, "Content-Type", &value)) {
        s->form = ad_scan_form(value);
        s->plain = s->status >= 400 && value.len >= 10 &&
                   strncasecmp(value.at, "text/plain", 10) == 0;
    }
    while (ad_http_list_next(&codings, &value)) {
        if (!ad_slice_is_nocase(value, "identity")) {
            s->incomplete |= AD_INCOMPLETE_COMPRESSED;
        }
    }
}

/* The tokens of the answer so far: the engine's count, or else the number of
 * token events, which is a lower bound (*estimated). Before the end, an
 * engine's count may be below the token events: it is the count of one of
 * several choices, and is not used. */
static uint64_t ad_scan_tokens(const struct ad_scan *s, bool *estimated)
{
    bool counted = s->tokens != 0 &&
                   (s->ended || s->tokens >= s->token_events);

    *estimated = counted ? s->partial : s->token_events != 0;
    return counted ? s->tokens : s->token_events;
}

#endif /* AIDASH_METER */

#endif
