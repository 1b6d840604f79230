/* llm_events.c - an event of an engine's answer, or a whole answer: one JSON text,
 * read in pieces of any size. Pure.
 */
#ifndef AD_CODEC_LLM_EVENTS_C
#define AD_CODEC_LLM_EVENTS_C

#include "llm_facts.c"

#if AIDASH_METER

/* An event is complete. Returns how many token events it is: one for each
 * choice with text. A whole answer brings no tokens one by one. */
static uint32_t ad_scan_event_end(struct ad_scan *s)
{
    const struct ad_scan_event *e = &s->event;
    bool thinking = (e->thought || (e->type & AD_TYPE_THINKING) != 0) &&
                    !(e->thought && e->said);
    uint32_t n = e->n_texts;

    if (e->text) {
        n++;
    }
    if ((e->type & AD_TYPE_NO_TEXT) != 0 || e->failed || s->error_event) {
        n = 0;
    }
    if (s->form == AD_FORM_JSON) {
        if (e->more) {
            s->form = AD_FORM_NDJSON;
        } else {
            s->held = s->list ? 0 : n;
            s->held_thinking = thinking;
            n = 0;
        }
    }
    s->events++;
    s->token_events += n;
    s->thinking_events += thinking ? n : 0;
    s->ended = s->ended || e->over;
    s->loading = (e->type & (AD_TYPE_LOAD | AD_TYPE_LOADED)) == AD_TYPE_LOAD;
    if (e->has != 0) {
        ad_scan_prompt_reported(s);
        ad_scan_tokens_reported(s);
        ad_scan_times_reported(s);
        ad_scan_progress_reported(s);
    }
    ad_scan_error_end(s);
    return n;
}

/* In the order of struct ad_json_place. */
static const struct ad_json_key ad_types[] = {
    AD_JSON_KEY_TO("error", AD_TYPE_FAILED),
    AD_JSON_KEY_TO("chat.end", AD_TYPE_OVER),
    AD_JSON_KEY_TO("message-end", AD_TYPE_OVER),
    AD_JSON_KEY_TO("message_stop", AD_TYPE_OVER),
    AD_JSON_KEY_TO("model_load.end", AD_TYPE_LOAD | AD_TYPE_LOADED),
    AD_JSON_KEY_TO("response.failed", AD_TYPE_FAILED | AD_TYPE_OVER),
    AD_JSON_KEY_TO("model_load.start", AD_TYPE_LOAD),
    AD_JSON_KEY_TO("speech.audio.done", AD_TYPE_OVER),
    AD_JSON_KEY_TO("response.completed", AD_TYPE_OVER),
    AD_JSON_KEY_TO("model_load.progress", AD_TYPE_LOAD),
    AD_JSON_KEY_TO("response.incomplete", AD_TYPE_OVER),
    AD_JSON_KEY_TO("tool_call.arguments", AD_TYPE_CALL),
    AD_JSON_KEY_TO("image_edit.completed", AD_TYPE_OVER),
    AD_JSON_KEY_TO("transcript.text.done", AD_TYPE_OVER),
    AD_JSON_KEY_TO("prompt_processing.end", AD_TYPE_PROMPT),
    AD_JSON_KEY_TO("prompt_processing.start", AD_TYPE_PROMPT),
    AD_JSON_KEY_TO("transcript.text.segment", AD_TYPE_NO_TEXT),
    AD_JSON_KEY_TO("image_generation.completed", AD_TYPE_OVER),
    AD_JSON_KEY_TO("prompt_processing.progress", AD_TYPE_PROMPT),
};

/* The first sign of an API counts: those that speak several at once begin with
 * their own. */
static void ad_scan_speaks(struct ad_scan *s, const char *dialect)
{
    if (s->dialect == NULL) {
        s->dialect = dialect;
    }
}

/* How the "type" of an event begins, or of a whole answer. */
static void ad_scan_type_speaks(struct ad_scan *s)
{
    static const struct {
        const char *type, *dialect;
    } types[] = {
        {"response.", "openai-responses"}, {"transcript.", "openai-audio"},
        {"message_", "anthropic"}, {"content_block_", "anthropic"},
        {"message-", "cohere"}, {"content-", "cohere"},
        {"chat.", "lm-studio"}, {"message", "anthropic"},
    };
    size_t i;

    for (i = 0; i < AD_COUNT(types) && s->dialect == NULL; i++) {
        if (strncmp(s->js.text, types[i].type, strlen(types[i].type)) == 0) {
            s->dialect = types[i].dialect;
        }
    }
}

/* The "type" of an event of /v1/responses, /v1/messages and others. */
static void ad_scan_type(struct ad_scan *s)
{
    static const struct ad_json_place types = {AD_JSON_KEYS(ad_types)};
    const struct ad_json_stream *j = &s->js;
    uint8_t type = ad_json_place_next(&types, j->text, j->len);

    if (j->len > 5 && memcmp(j->text + j->len - 5, ".done", 5) == 0) {
        type |= AD_TYPE_NO_TEXT; /* it repeats what has come in pieces */
    }
    if (strstr(j->text, "audio") != NULL && strstr(j->text, "transcript") == NULL) {
        type |= AD_TYPE_NO_TEXT;
    }
    if (strstr(j->text, "reasoning") != NULL) {
        type |= AD_TYPE_THINKING;
    }
    if ((type & AD_TYPE_FAILED) != 0) {
        ad_scan_failed(s);
    }
    s->event.over = s->event.over || (type & AD_TYPE_OVER) != 0;
    s->event.text = s->event.text || (type & AD_TYPE_CALL) != 0;
    s->event.type = type;
    ad_scan_type_speaks(s);
}

static void ad_scan_finish(struct ad_scan *s)
{
    const struct ad_json_stream *j = &s->js;

    if (!j->any || ad_json_stream_is(j, "none")) {
        return;
    }
    if (ad_json_stream_is(j, "error")) {
        ad_scan_failed(s);
    }
    s->event.finish = true;
    s->event.over = s->event.over || j->path == AD_PATH_LAST;
    ad_json_stream_name(j, s->finish, AD_SCAN_FINISH_MAX);
}

/* A number has ended at a place that matters. */
static void ad_scan_number_end(struct ad_scan *s)
{
    const struct ad_json_stream *j = &s->js;
    const struct ad_json_place *place = &ad_places[j->path];
    double value;

    if (j->cut || j->len == 0 || ad_json_number(j->text, j->len) != j->len) {
        return;
    }
    value = ad_scan_value(place->unit, ad_json_double(j->text, j->len));
    if (value >= 0) {
        s->number[place->fact] = value;
        s->event.has |= 1ull << place->fact;
    }
}

/* A string has ended at a place that matters. */
static void ad_scan_string(struct ad_scan *s)
{
    const struct ad_json_stream *j = &s->js;
    struct ad_scan_event *e = &s->event;

    switch (j->path) {
    case AD_PATH_TEXT:
    case AD_PATH_DELTA:    /* /v1/responses */
    case AD_PATH_RESPONSE: /* Ollama */
        e->text = e->text || j->any;
        e->said = e->said || j->any;
        break;
    case AD_PATH_THINKING:
        e->text = e->text || j->any;
        e->thought = e->thought || j->any;
        break;
    case AD_PATH_TGI_TOKEN:
        ad_scan_speaks(s, "koboldcpp");
        e->text = e->text || j->any;
        break;
    case AD_PATH_MODEL:
        ad_json_stream_name(j, s->model, AIDASH_MODEL_MAX);
        break;
    case AD_PATH_TYPE:
        ad_scan_type(s);
        break;
    case AD_PATH_OBJECT:
        if (ad_json_stream_is(j, "error")) { /* vLLM before 2025 */
            ad_scan_failed(s);
        }
        if (ad_json_stream_is(j, "response")) {
            ad_scan_speaks(s, "openai-responses");
        }
        e->more = e->more || ad_json_stream_is(j, "chat.completion.chunk");
        break;
    case AD_PATH_FINISH:
    case AD_PATH_LAST:
        ad_scan_finish(s);
        break;
    case AD_PATH_ERROR:
        if (j->any) {
            ad_scan_failed(s);
            ad_scan_sentence(s, j->text, j->len);
        }
        break;
    case AD_PATH_SENTENCE:
        ad_scan_sentence(s, j->text, j->len);
        break;
    case AD_PATH_MESSAGE: /* the error's, if it is one */
    case AD_PATH_DETAIL:
        if (s->error[0] == '\0') {
            ad_scan_sentence(s, j->text, j->len);
        }
        break;
    case AD_PATH_TGI_TEXT:
        e->over = true;
        break;
    default:
        if (ad_places[j->path].kind == AD_JSON_NUMBER) {
            ad_scan_number_end(s);
        }
        break;
    }
}

static void ad_scan_scalar(struct ad_scan *s)
{
    const struct ad_json_stream *j = &s->js;
    struct ad_scan_event *e = &s->event;

    if (ad_places[j->path].kind == AD_JSON_NUMBER) {
        ad_scan_number_end(s);
    } else if (j->path == AD_PATH_STOP || j->path == AD_PATH_DONE) {
        ad_scan_speaks(s, j->path == AD_PATH_DONE ? "ollama" : "llama-server");
        e->over = e->over || j->text[0] == 't';
        e->more = e->more || j->text[0] == 'f';
    } else if (j->path == AD_PATH_ERROR && j->text[0] == 't') {
        ad_scan_failed(s);
    } else if (j->path == AD_PATH_TRUNCATED && j->text[0] == 't') {
        s->truncated = true;
    }
}

static void ad_scan_open(struct ad_scan *s)
{
    struct ad_scan_event *e = &s->event;

    switch (s->js.path) {
    case AD_PATH_TOP:
        memset(e, 0, sizeof(*e));
        break;
    case AD_PATH_LIST:
        s->list = true;
        break;
    case AD_PATH_CANDIDATES: /* Gemini: its array is a stream */
        ad_scan_speaks(s, "gemini");
        e->more = s->list;
        e->choices = true;
        break;
    case AD_PATH_CHOICES:
        ad_scan_speaks(s, "openai");
        e->choices = true;
        break;
    case AD_PATH_CHOICE:
    case AD_PATH_CANDIDATE:
        e->n_choices++;
        e->text = false;
        break;
    case AD_PATH_CALLS: /* several, in an array; or one (Cohere) */
        e->text = e->text || ad_json_stream_in_object(&s->js);
        break;
    case AD_PATH_TGI_TOKEN:
        ad_scan_speaks(s, "tgi");
        break;
    case AD_PATH_META_INFO:
        ad_scan_speaks(s, "sglang");
        break;
    case AD_PATH_CALL:
        e->text = true;
        break;
    case AD_PATH_ERROR:
        ad_scan_failed(s);
        break;
    default:
        break;
    }
}

/* Handle what the JSON reader stopped at. Returns how many token events have
 * ended with it. */
static uint32_t ad_scan_take(struct ad_scan *s)
{
    struct ad_scan_event *e = &s->event;

    switch (s->js.what) {
    case AD_JSON_TEXT:
        ad_scan_string(s);
        break;
    case AD_JSON_SCALAR:
        ad_scan_scalar(s);
        break;
    case AD_JSON_OPEN:
        ad_scan_open(s);
        break;
    case AD_JSON_CLOSE:
        if (s->js.path == AD_PATH_TOP) {
            return ad_scan_event_end(s);
        }
        if (s->js.path == AD_PATH_LIST) {
            s->ended = s->ended || s->form != AD_FORM_SSE;
        } else if (s->js.path == AD_PATH_CHOICE ||
                   s->js.path == AD_PATH_CANDIDATE) {
            if (e->text) {
                e->n_texts++;
            }
            e->text = false;
        }
        break;
    default:
        break;
    }
    return 0;
}

static void ad_scan_broken(struct ad_scan *s)
{
    s->incomplete |= s->js.fault == AD_FAULT_JSON_DEPTH ? AD_INCOMPLETE_DEPTH
                                                        : AD_INCOMPLETE_JSON;
    ad_scan_error_end(s);
}

static void ad_scan_json_begin(struct ad_scan *s)
{
    memset(&s->event, 0, sizeof(s->event)); /* a text may be no object */
    ad_path_begin(&s->js, AD_PATH_TOP);
    s->reading = true;
    s->list = false;
}

#endif /* AIDASH_METER */

#endif
