/* llm_model.c - the model that a request asks for: in a JSON object, or in a form
 * (multipart/form-data, RFC 7578), as transcriptions have. Pure. */
#ifndef AD_CODEC_LLM_MODEL_C
#define AD_CODEC_LLM_MODEL_C

#include "llm_paths.c"

#if AIDASH_METER

enum { AD_REWRITE_MAX = 1024 * 1024 }; /* bytes of a body that are read for it */

enum {
    AD_FORM_BOUNDARY_MAX = 2 + 70, /* bytes with the dashes, RFC 2046 5.1.1 */
    AD_FORM_HEAD_MAX = 1024        /* bytes of the head of a part */
};

struct ad_model_field {
    bool found;  /* body[from .. from + len) is the string, with its quotes */
    bool has_stream, stream; /* what the request says about streaming */
    size_t from, len;
    char name[AIDASH_MODEL_MAX + 1]; /* "": there is none, or it is no name. That of
                                      * a form is not `found`: nobody replaces it */
};

/* ---- in a form ---- */

/* How far a form has been read. Zeroed: nothing. */
struct ad_model_form {
    uint8_t boundary_len; /* of the first line; 0: not read yet */
    bool data;            /* `at` is in the data of a part, else at its head */
    bool model;           /* which is the model */
    size_t at;
};

/* Where `text` is in bytes[from .. len), or len. */
static size_t ad_model_form_find(const uint8_t *bytes, size_t from, size_t len,
                           const void *text, size_t text_len)
{
    const uint8_t *found = memmem(bytes + from, len - from, text, text_len);

    return found == NULL ? len : (size_t)(found - bytes);
}

/* Is this parameter of Content-Disposition the name "model"? */
static bool ad_model_form_is_model(const char *s, size_t len)
{
    while (len > 0 && (s[0] == ' ' || s[0] == '\t')) {
        s++;
        len--;
    }
    while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t')) {
        len--;
    }
    return (len == 10 && memcmp(s, "name=model", 10) == 0) ||
           (len == 12 && memcmp(s, "name=\"model\"", 12) == 0);
}

/* A line of a part's head: does it name the model? RFC 6266 4.1. */
static bool ad_model_form_line_names_model(const char *line, size_t len)
{
    static const char field[] = "Content-Disposition:";
    size_t i = sizeof(field) - 1, from = i;
    bool quoted = false;

    if (len < i || strncasecmp(line, field, i) != 0) {
        return false;
    }
    for (; i <= len; i++) {
        if (i < len && line[i] == '"') {
            quoted = !quoted;
        } else if (i < len && quoted && line[i] == '\\') {
            i++;
        } else if (i == len || (!quoted && line[i] == ';')) {
            if (ad_model_form_is_model(line + from, i - from)) {
                return true;
            }
            from = i + 1;
        }
    }
    return false;
}

/* The head of a part, with the CRLF of its last line. */
static bool ad_model_form_head_names_model(const uint8_t *head, size_t len)
{
    size_t at = 0;

    while (at < len) {
        size_t end = ad_model_form_find(head, at, len, "\r\n", 2);

        if (ad_model_form_line_names_model((const char *)head + at, end - at)) {
            return true;
        }
        at = end + 2;
    }
    return false;
}

/* The line of the boundary, and what of it the caller has read. Returns whether it
 * is settled that this is no form. */
static bool ad_model_form_begin(struct ad_model_form *f, const uint8_t *body,
                                size_t len)
{
    size_t max = AD_FORM_BOUNDARY_MAX + 2;
    size_t end = ad_model_form_find(body, 0, len < max ? len : max, "\r\n", 2);

    if (end < len && end < max) {
        f->boundary_len = (uint8_t)end;
        f->at = end + 2;
    }
    return f->boundary_len < 3 && (f->boundary_len > 0 || len >= max);
}

/* Look for the field "model" of a form, of which `len` bytes are there by now, and
 * keep its value as name. Returns whether that is settled. */
static bool ad_model_form_next(struct ad_model_form *f, const uint8_t *body,
                               size_t len, char name[AIDASH_MODEL_MAX + 1])
{
    char delimiter[2 + AD_FORM_BOUNDARY_MAX] = "\r\n";
    size_t delimiter_len, end;

    if (f->boundary_len == 0 && ad_model_form_begin(f, body, len)) {
        return true;
    }
    if (f->boundary_len == 0) {
        return false;
    }
    delimiter_len = 2 + (size_t)f->boundary_len;
    memcpy(delimiter + 2, body, f->boundary_len);
    for (;;) {
        if (!f->data) {
            end = ad_model_form_find(body, f->at, len, "\r\n\r\n", 4);
            if (end == len) { /* up to three bytes of its end may be there */
                return len - f->at > AD_FORM_HEAD_MAX + 3;
            }
            if (end - f->at > AD_FORM_HEAD_MAX) {
                return true;
            }
            f->model = ad_model_form_head_names_model(body + f->at, end + 2 - f->at);
            f->data = true;
            f->at = end + 4;
        }
        end = ad_model_form_find(body, f->at, len, delimiter, delimiter_len);
        if (f->model) {
            if (end < len && ad_name_ok((const char *)body + f->at, end - f->at,
                                        AIDASH_MODEL_MAX)) {
                memcpy(name, body + f->at, end - f->at);
                name[end - f->at] = '\0';
            }
            return end < len || len - f->at > AIDASH_MODEL_MAX + delimiter_len;
        }
        if (end == len && len - f->at >= delimiter_len) {
            f->at = len - delimiter_len + 1; /* it may have begun there */
        }
        if (end + delimiter_len + 2 > len) {
            return false;
        }
        if (memcmp(body + end + delimiter_len, "\r\n", 2) != 0) {
            return true; /* it was the last part */
        }
        f->data = false;
        f->at = end + delimiter_len + 2;
    }
}

/* ---- in a JSON object ---- */

/* The reader stopped at a top-level "model". */
static void ad_model_field_take(struct ad_model_field *m,
                                const struct ad_json_stream *js)
{
    m->found = js->what == AD_JSON_TEXT;
    m->from = (size_t)js->from;
    m->len = (size_t)(js->at - js->from);
    m->name[0] = '\0';
    if (m->found) {
        ad_json_stream_name(js, m->name, AIDASH_MODEL_MAX);
    }
}

/* Find the top-level "model" of a whole request body: the last one, if there are
 * several, as the engines' parsers do. Nothing is found if the body is neither a
 * form nor a JSON object, if it is longer than AD_REWRITE_MAX or nested deeper than
 * AD_STREAM_DEPTH_MAX, or if "model" is not a string. */
static void ad_model_field_find(struct ad_model_field *m, const uint8_t *body,
                                size_t len)
{
    struct ad_json_stream js;
    size_t i = 0;

    memset(m, 0, sizeof(*m));
    if (len > 0 && body[0] == '-') {
        struct ad_model_form form = {0};

        (void)ad_model_form_next(&form, body, len, m->name);
        return;
    }
    if (len > AD_REWRITE_MAX || !ad_utf8_ok(body, len)) {
        return;
    }
    ad_path_begin(&js, AD_PATH_REQUEST);
    while (i < len && js.state != AD_JSON_BAD) {
        i += ad_json_stream_next(&js, body + i, len - i);
        if (js.path == AD_PATH_MODEL && js.what != AD_JSON_NOTHING) {
            ad_model_field_take(m, &js);
        } else if (js.path == AD_PATH_STREAM && js.what == AD_JSON_SCALAR) {
            m->has_stream = js.text[0] == 't' || js.text[0] == 'f';
            m->stream = js.text[0] == 't';
        }
    }
    if (!ad_json_stream_end(&js)) {
        memset(m, 0, sizeof(*m));
    }
}

/* ---- in the beginning of a longer body ---- */

struct ad_model_search {
    struct ad_json_stream json;
    struct ad_model_form form;
};

static void ad_model_search_begin(struct ad_model_search *s)
{
    ad_path_begin(&s->json, AD_PATH_REQUEST);
    memset(&s->form, 0, sizeof(s->form));
}

/* Find the model in a body of which `len` bytes are there by now, and more than at
 * the call before: the first one, if there are several. Returns whether that is
 * settled, also because there can be none in it. */
static bool ad_model_search_next(struct ad_model_search *s, const uint8_t *body,
                                 size_t len, struct ad_model_field *m)
{
    struct ad_json_stream *js = &s->json;

    memset(m, 0, sizeof(*m));
    if (len > 0 && body[0] == '-') {
        return ad_model_form_next(&s->form, body, len, m->name);
    }
    while (js->at < len) {
        (void)ad_json_stream_next(js, body + js->at, len - (size_t)js->at);
        if (js->path == AD_PATH_MODEL && js->what != AD_JSON_NOTHING) {
            ad_model_field_take(m, js);
            return true;
        }
        if (js->state == AD_JSON_BAD ||
            (js->depth == 0 ? js->state != AD_JSON_VALUE
                            : (js->objects & 1) == 0)) {
            return true; /* no JSON object */
        }
    }
    return false;
}

#endif /* AIDASH_METER */

#endif
