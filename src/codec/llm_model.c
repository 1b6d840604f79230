/* llm_model.c - the model that a request asks for. Pure. */
#ifndef AD_CODEC_LLM_MODEL_C
#define AD_CODEC_LLM_MODEL_C

#include "llm_paths.c"

#if AIDASH_METER

enum { AD_REWRITE_MAX = 1024 * 1024 }; /* bytes of a body that are read for it */

struct ad_model_field {
    bool found;  /* body[from .. from + len) is the string, with its quotes */
    bool has_stream, stream; /* what the request says about streaming */
    size_t from, len;
    char name[AIDASH_MODEL_MAX + 1]; /* "": there is none, or it is no name */
};

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
 * several, as the engines' parsers do. Nothing is found if the body is not a
 * JSON object, if it is longer than AD_REWRITE_MAX or nested deeper than
 * AD_STREAM_DEPTH_MAX, or if "model" is not a string. */
static void ad_model_field_find(struct ad_model_field *m, const uint8_t *body,
                                size_t len)
{
    struct ad_json_stream js;
    size_t i = 0;

    memset(m, 0, sizeof(*m));
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

static void ad_model_search_begin(struct ad_json_stream *js)
{
    ad_path_begin(js, AD_PATH_REQUEST);
}

/* Find the top-level "model" in the beginning of a longer body, of which `len`
 * bytes are there by now, and more than at the call before: the first one, if there
 * are several. Returns whether that is settled, also because there can be none in
 * it: it is no JSON object. */
static bool ad_model_search_next(struct ad_json_stream *js, const uint8_t *body,
                                 size_t len, struct ad_model_field *m)
{
    memset(m, 0, sizeof(*m));
    while (js->at < len) {
        (void)ad_json_stream_next(js, body + js->at, len - (size_t)js->at);
        if (js->path == AD_PATH_MODEL && js->what != AD_JSON_NOTHING) {
            ad_model_field_take(m, js);
            return true;
        }
        if (js->state == AD_JSON_BAD ||
            (js->depth == 0 ? js->state != AD_JSON_VALUE
                            : (js->objects & 1) == 0)) {
            return true;
        }
    }
    return false;
}

#endif /* AIDASH_METER */

#endif
