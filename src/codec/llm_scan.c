/* llm_scan.c - the body of an engine's answer: events, token counts and times,
 * read from a copy of its bytes, in pieces of any size. Pure.
 */
#ifndef AD_CODEC_LLM_SCAN_C
#define AD_CODEC_LLM_SCAN_C

#include "http_head.c"
#include "llm_paths.c"
#include "messages.c"

#if AIDASH_METER

/* What could not be read of an answer: its counts are then incomplete. */
enum {
    AD_INCOMPLETE_FRAMING = 1,    /* chunks are malformed, bytes behind the end */
    AD_INCOMPLETE_COMPRESSED = 2, /* a content coding */
    AD_INCOMPLETE_JSON = 4,       /* broken JSON */
    AD_INCOMPLETE_DEPTH = 8       /* JSON nested deeper than AD_STREAM_DEPTH_MAX */
};

/* What the body is, by its Content-Type. */
enum ad_form { AD_FORM_NONE, AD_FORM_SSE, AD_FORM_NDJSON, AD_FORM_JSON };

enum { AD_SCAN_FINISH_MAX = 31 }; /* bytes kept of a finish reason */

/* What the event at hand has reported so far. Its fields come in any order, so
 * they are evaluated when it ends. */
struct ad_scan_event {
    bool text;       /* some of the answer, in the choice at hand if any */
    bool choices;    /* there is such an array */
    bool finish;     /* a finish reason */
    bool over;       /* the last of its stream */
    uint32_t n_choices, n_texts; /* choices, and those with text */
    uint64_t has;    /* a bit for each place whose number is known */
    double number[AD_PATH_COUNT];
};
_Static_assert(AD_PATH_COUNT <= 64, "`has` has 64 bits");

/* A line of an event stream: the name of its field, then its value. */
enum ad_sse { AD_SSE_NAME, AD_SSE_DATA, AD_SSE_SKIP };

/* Everything about one answer. All counts are of the whole request. */
struct ad_scan {
    uint8_t form; /* enum ad_form */

    /* What has been learned so far. */
    uint8_t incomplete;     /* AD_INCOMPLETE_... */
    bool ended;             /* the engine reported the end: [DONE], done ... */
    bool failed;            /* the engine reported an error */
    bool has_prompt, has_cached, has_timings, has_progress;
    bool partial;           /* `tokens` counts one of several choices */
    uint32_t events;        /* JSON texts */
    uint32_t comments;      /* keep-alive lines of an event stream */
    uint64_t token_events;  /* choices of events that brought text */
    uint64_t tokens;        /* as the engine counts them; 0: not reported */
    uint64_t prompt_tokens; /* cached ones included */
    uint64_t cached_tokens;
    uint64_t draft_tokens, draft_accepted;
    double load_ms;         /* Ollama: the model's loading */
    double prompt_ms, prompt_per_s;
    double predicted_ms, predicted_per_s;
    double total_ms;        /* Ollama */
    uint64_t progress_total, progress_cached, progress_done; /* of the prompt */
    double progress_ms;
    char model[AIDASH_MODEL_MAX + 1]; /* as the answer names it */
    char finish[AD_SCAN_FINISH_MAX + 1]; /* the last finish reason */

    /* The state of the reader. */
    uint8_t line;           /* enum ad_sse */
    uint8_t name_len;
    uint8_t done_len;       /* bytes of "[DONE]" so far */
    bool after_cr;
    bool reading;           /* a JSON text has begun */
    char name[6];           /* of the field, as long as the names that matter */
    uint64_t finished_tokens; /* of the choices that ended, without a usage */
    uint64_t usage_tokens;  /* of the usage events of llama-server */
    struct ad_scan_event event;
    struct ad_json_stream js;
};

static const char ad_done[] = "[DONE]";

/* Larger times and counts are ignored: 11 days in nanoseconds. */
#define AD_SCAN_NUMBER_MAX 1e15

static bool ad_scan_has(const struct ad_scan *s, enum ad_path path)
{
    return (s->event.has >> path & 1) != 0;
}

/* A number of the event, 0 if it has none. */
static double ad_scan_number(const struct ad_scan *s, enum ad_path path)
{
    return ad_scan_has(s, path) ? s->event.number[path] : 0;
}

static uint64_t ad_scan_count(const struct ad_scan *s, enum ad_path path)
{
    double value = ad_scan_number(s, path);

    return value <= (double)AD_TOKENS_LIMIT ? (uint64_t)value : 0;
}

/* The tokens of the answer, as this event has them.
 *
 * llama-server counts each choice on its own; its events have timings. If the
 * client asked for a usage, each choice has an event without choices, with its
 * count. Otherwise the event with the finish reason has it. These counts are
 * added. A whole answer of llama-server has the count of one choice only.
 * Other engines count all tokens so far, and zero means that an event has no
 * count. */
static void ad_scan_tokens_reported(struct ad_scan *s)
{
    const struct ad_scan_event *e = &s->event;
    uint64_t n = ad_scan_count(s, AD_PATH_COMPLETION);

    n = n != 0 ? n : ad_scan_count(s, AD_PATH_PREDICTED);
    if (n == 0) {
        return;
    }
    if (!ad_scan_has(s, AD_PATH_PREDICTED)) {
        s->tokens = n;
    } else if (e->choices && e->n_choices == 0) {
        s->usage_tokens += n;
        s->tokens = s->usage_tokens;
    } else {
        s->partial = s->form == AD_FORM_JSON && e->n_choices > 1;
        s->tokens = s->finished_tokens + n;
        if (e->finish || e->over) {
            s->finished_tokens = s->tokens;
        }
    }
}

static void ad_scan_prompt_reported(struct ad_scan *s)
{
    uint64_t n = ad_scan_count(s, AD_PATH_PROMPT) +
                 ad_scan_count(s, AD_PATH_CACHE_READ) +
                 ad_scan_count(s, AD_PATH_CACHE_WRITE);
    uint64_t cached = ad_scan_count(s, AD_PATH_CACHED);

    if (n == 0) {
        n = ad_scan_count(s, AD_PATH_CACHE_N) + ad_scan_count(s, AD_PATH_PROMPT_N);
    }
    if (n != 0) {
        s->has_prompt = true;
        s->prompt_tokens = n;
    }
    if (ad_scan_has(s, AD_PATH_CACHED) || ad_scan_has(s, AD_PATH_CACHE_READ) ||
        ad_scan_has(s, AD_PATH_CACHE_N)) {
        s->has_cached = true;
        cached = cached != 0 ? cached : ad_scan_count(s, AD_PATH_CACHE_READ);
        cached = cached != 0 ? cached : ad_scan_count(s, AD_PATH_CACHE_N);
        s->cached_tokens = cached != 0 ? cached : s->cached_tokens;
    }
}

/* llama-server's and Ollama's times. */
static void ad_scan_times_reported(struct ad_scan *s)
{
    if (ad_scan_has(s, AD_PATH_PREDICTED_MS)) {
        s->has_timings = true;
        s->prompt_ms = ad_scan_number(s, AD_PATH_PROMPT_MS);
        s->prompt_per_s = ad_scan_number(s, AD_PATH_PROMPT_RATE);
        s->predicted_ms = ad_scan_number(s, AD_PATH_PREDICTED_MS);
        s->predicted_per_s = ad_scan_number(s, AD_PATH_PREDICTED_RATE);
        s->draft_tokens = ad_scan_count(s, AD_PATH_DRAFT_N);
        s->draft_accepted = ad_scan_count(s, AD_PATH_DRAFT_ACCEPTED);
    } else if (ad_scan_has(s, AD_PATH_TOTAL_NS)) {
        s->has_timings = true;
        s->total_ms = ad_scan_number(s, AD_PATH_TOTAL_NS) / 1e6;
        s->load_ms = ad_scan_number(s, AD_PATH_LOAD_NS) / 1e6;
        s->prompt_ms = ad_scan_number(s, AD_PATH_PROMPT_NS) / 1e6;
        s->predicted_ms = ad_scan_number(s, AD_PATH_EVAL_NS) / 1e6;
        s->prompt_per_s = 0;
        s->predicted_per_s = 0;
        if (s->prompt_ms > 0 && s->prompt_tokens > s->cached_tokens) {
            s->prompt_per_s = (double)(s->prompt_tokens - s->cached_tokens) /
                              s->prompt_ms * 1e3;
        }
        if (s->predicted_ms > 0) {
            s->predicted_per_s = (double)s->tokens / s->predicted_ms * 1e3;
        }
    }
    if (ad_scan_has(s, AD_PATH_PROGRESS_TOTAL)) {
        s->has_progress = true;
        s->progress_total = ad_scan_count(s, AD_PATH_PROGRESS_TOTAL);
        s->progress_cached = ad_scan_count(s, AD_PATH_PROGRESS_CACHED);
        s->progress_done = ad_scan_count(s, AD_PATH_PROGRESS_DONE);
        s->progress_ms = ad_scan_number(s, AD_PATH_PROGRESS_MS);
    }
}

/* An event is complete. Returns how many token events it is: one for each
 * choice with text. A whole answer brings no tokens one by one. */
static uint32_t ad_scan_event_end(struct ad_scan *s)
{
    const struct ad_scan_event *e = &s->event;
    uint32_t n = e->n_texts;

    if (e->text) {
        n++;
    }
    if (s->form == AD_FORM_JSON) {
        n = 0;
    }
    s->events++;
    s->token_events += n;
    s->ended = s->ended || e->over;
    ad_scan_tokens_reported(s);
    ad_scan_prompt_reported(s);
    ad_scan_times_reported(s);
    return n;
}

/* The "type" of an event of /v1/responses and /v1/messages. */
static void ad_scan_type(struct ad_scan *s)
{
    const struct ad_json_stream *j = &s->js;

    s->failed = s->failed || ad_json_stream_is(j, "error") ||
                ad_json_stream_is(j, "response.failed");
    s->event.over = ad_json_stream_is(j, "message_stop") ||
                    ad_json_stream_is(j, "response.completed") ||
                    ad_json_stream_is(j, "response.incomplete") ||
                    ad_json_stream_is(j, "response.failed");
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
        break;
    case AD_PATH_MODEL:
        ad_json_stream_name(j, s->model, AIDASH_MODEL_MAX);
        break;
    case AD_PATH_TYPE:
        ad_scan_type(s);
        break;
    case AD_PATH_OBJECT: /* vLLM before 2025 */
        s->failed = s->failed || ad_json_stream_is(j, "error");
        break;
    case AD_PATH_FINISH:
        if (j->any && !ad_json_stream_is(j, "none")) {
            e->finish = true;
            ad_json_stream_name(j, s->finish, AD_SCAN_FINISH_MAX);
        }
        break;
    case AD_PATH_ERROR:
        s->failed = s->failed || j->any;
        break;
    case AD_PATH_TGI_TEXT:
        e->over = true;
        break;
    default:
        break;
    }
}

static void ad_scan_scalar(struct ad_scan *s)
{
    const struct ad_json_stream *j = &s->js;
    struct ad_scan_event *e = &s->event;

    if (j->text[0] == 't') {
        e->over = e->over || j->path == AD_PATH_OVER;
    } else if (ad_places[j->path].kind == AD_JSON_NUMBER &&
               (j->text[0] == '-' || ad_is_digit(j->text[0]))) {
        double value = ad_json_double(j->text, j->len);

        e->number[j->path] = value;
        if (value >= 0 && value <= AD_SCAN_NUMBER_MAX) {
            e->has |= 1ull << j->path;
        }
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
        if (s->js.path == AD_PATH_TOP) {
            memset(e, 0, sizeof(*e));
        } else if (s->js.path == AD_PATH_CHOICES) {
            e->choices = true;
        } else if (s->js.path == AD_PATH_CHOICE) {
            e->n_choices++;
            e->text = false;
        } else if (s->js.path == AD_PATH_CALL) {
            e->text = true;
        } else if (s->js.path == AD_PATH_ERROR) {
            s->failed = true;
        }
        break;
    case AD_JSON_CLOSE:
        if (s->js.path == AD_PATH_TOP) {
            return ad_scan_event_end(s);
        }
        if (s->js.path == AD_PATH_CHOICE) {
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

/* The JSON text at hand ends here. */
static void ad_scan_json_end(struct ad_scan *s)
{
    bool whole = !s->reading || ad_json_stream_end(&s->js);

    /* Part of "[DONE]" is no JSON either. */
    if (!whole || (s->done_len > 0 && s->done_len < sizeof(ad_done) - 1)) {
        s->incomplete |= s->js.fault == AD_FAULT_JSON_DEPTH
                             ? AD_INCOMPLETE_DEPTH : AD_INCOMPLETE_JSON;
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
        ad_path_begin(&s->js, AD_PATH_TOP);
        s->reading = true;
    }
    while (len > 0 && s->js.state != AD_JSON_BAD) {
        size_t used = ad_json_stream_next(&s->js, in, len);

        n += ad_scan_take(s);
        in += used;
        len -= used;
    }
    return n;
}

/* Bytes of an event's data: JSON, or "[DONE]". */
static uint32_t ad_scan_data(struct ad_scan *s, const uint8_t *in, size_t len)
{
    uint32_t n = 0;
    size_t i = 0;

    if (!s->reading && s->done_len == 0) {
        i = ad_json_space((const char *)in, len);
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

/* A field of an event has its colon. */
static void ad_scan_field(struct ad_scan *s)
{
    s->line = AD_SSE_SKIP;
    if (s->name_len == 0) {
        s->comments++;
    } else if (s->name_len == 4 && memcmp(s->name, "data", 4) == 0) {
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
    } else if (s->name_len == 5 && memcmp(s->name, "error", 5) == 0) {
        s->failed = true; /* older llama-server */
    }
}

/* A line of an event stream has ended. */
static void ad_scan_line_end(struct ad_scan *s)
{
    if (s->line == AD_SSE_NAME && s->name_len == 0) {
        ad_scan_json_end(s);
    }
    s->line = AD_SSE_NAME;
    s->name_len = 0;
}

/* Server-sent events (HTML 9.2.6). An event counts as soon as its JSON is
 * complete. The space behind a colon needs no care: JSON may begin with one. */
static uint32_t ad_scan_sse(struct ad_scan *s, const uint8_t *in, size_t len)
{
    uint32_t n = 0;
    size_t i = 0, end;

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
        if (s->line == AD_SSE_NAME) {
            if (c == ':') {
                ad_scan_field(s);
            } else if (s->name_len < sizeof(s->name)) {
                s->name[s->name_len++] = (char)c;
            }
            i++;
            continue;
        }
        for (end = i; end < len && in[end] != '\r' && in[end] != '\n'; end++) {
        }
        if (s->line == AD_SSE_DATA) {
            n += ad_scan_data(s, in + i, end - i);
        }
        i = end;
    }
    return n;
}

/* Newline-delimited JSON. */
static uint32_t ad_scan_ndjson(struct ad_scan *s, const uint8_t *in,
                               size_t len)
{
    uint32_t n = 0;

    while (len > 0) {
        const uint8_t *newline = memchr(in, '\n', len);
        size_t piece = newline != NULL ? (size_t)(newline - in) : len;

        n += ad_scan_json(s, in, piece);
        if (newline != NULL) {
            ad_scan_json_end(s);
            piece++;
        }
        in += piece;
        len -= piece;
    }
    return n;
}

/* Bytes of the body, free of its framing. */
static uint32_t ad_scan_body(struct ad_scan *s, const uint8_t *in, size_t len)
{
    switch (s->form) {
    case AD_FORM_SSE:
        return ad_scan_sse(s, in, len);
    case AD_FORM_NDJSON:
        return ad_scan_ndjson(s, in, len);
    case AD_FORM_JSON:
        return ad_scan_json(s, in, len);
    default:
        return 0;
    }
}

/* All of the body has come. */
static void ad_scan_body_end(struct ad_scan *s)
{
    if (s->form == AD_FORM_JSON && s->reading && ad_json_stream_end(&s->js)) {
        s->ended = true;
    }
    ad_scan_json_end(s);
}

static void ad_scan_begin(struct ad_scan *s)
{
    memset(s, 0, sizeof(*s));
}

/* The media type alone says how the body is to be read (RFC 9110 8.3.1). */
static uint8_t ad_scan_form(struct ad_slice type)
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
    struct ad_slice name;
    size_t i;

    (void)ad_http_cut(&type, ';', &name);
    for (i = 0; i < AD_COUNT(forms); i++) {
        if (ad_slice_is_nocase(name, forms[i].type)) {
            return forms[i].form;
        }
    }
    return AD_FORM_NONE;
}

/* The final head of the answer: what is its body? */
static void ad_scan_head(struct ad_scan *s, const struct ad_http_head *head)
{
    struct ad_http_list codings = ad_http_list_of(&head->fields,
                                                  "Content-Encoding");
    struct ad_slice value;

    if (ad_http_field_get(&head->fields, "Content-Type", &value)) {
        s->form = ad_scan_form(value);
    }
    while (ad_http_list_next(&codings, &value)) {
        if (!ad_slice_is_nocase(value, "identity")) {
            s->form = AD_FORM_NONE;
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
