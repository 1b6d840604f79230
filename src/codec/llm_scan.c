/* llm_scan.c - the body of an engine's answer: events, token counts and times,
 * read from a copy of its bytes, in pieces of any size. Pure.
 */
#ifndef AD_CODEC_LLM_SCAN_C
#define AD_CODEC_LLM_SCAN_C

#include "llm_head.c"
#include "llm_paths.c"
#include "messages.c"

#if AIDASH_METER

enum {
    AD_SCAN_FINISH_MAX = 31, /* bytes kept of a finish reason */
    AD_SCAN_ERROR_MAX = 200, /* bytes kept of an error's sentence */
    AD_SCAN_NAME_MAX = 32    /* bytes kept of a field's name, of a comment */
};
_Static_assert((int)AD_SCAN_ERROR_MAX <= (int)AD_STREAM_TEXT_MAX,
               "the reader keeps a whole sentence");

/* What the event at hand has reported so far. Its fields come in any order, so
 * they are evaluated when it ends. */
struct ad_scan_event {
    bool text;       /* some of the answer, in the choice at hand if any */
    bool choices;    /* there is such an array */
    bool finish;     /* a finish reason */
    bool over;       /* the last of its stream */
    bool more;       /* there are others: it is no whole answer */
    bool failed;     /* it reports an error */
    uint8_t type;    /* AD_TYPE_... */
    uint32_t n_choices, n_texts; /* choices, and those with text */
    uint64_t has;    /* a bit for each fact whose number is known */
};

/* A line of an event stream: the name of its field, then its value. */
enum ad_sse {
    AD_SSE_NAME,
    AD_SSE_DATA,
    AD_SSE_EVENT,    /* the event's name */
    AD_SSE_COMMENT,
    AD_SSE_SENTENCE, /* of an error, which is no JSON */
    AD_SSE_SKIP
};

/* Everything about one answer. All counts are of the whole request. */
struct ad_scan {
    struct ad_head head;

    /* What has been learned so far. */
    uint8_t incomplete;     /* AD_INCOMPLETE_... */
    bool ended;             /* the answer had its end mark: [DONE], done, a type,
                               a finish reason, the last bracket */
    bool failed;            /* the engine reported an error */
    bool has_prompt, has_cached, has_reasoning;
    bool has_timings;       /* prompt_ms is the engine's own */
    bool has_queue, has_first, has_audio;
    bool has_progress;
    bool partial;           /* `tokens` counts one of several choices */
    uint32_t events;        /* JSON texts */
    uint32_t comments;      /* keep-alive lines of an event stream */
    uint64_t token_events;  /* choices of events that brought text */
    uint64_t tokens;        /* as the engine counts them; 0: not reported */
    uint64_t reasoning_tokens; /* of them, the thinking; at most `tokens` */
    uint64_t prompt_tokens; /* cached ones included */
    uint64_t cached_tokens; /* at most prompt_tokens */
    uint64_t draft_tokens, draft_accepted; /* accepted: at most draft_tokens */
    double load_ms;         /* the model's loading */
    double queue_ms;        /* waiting in the engine, as it tells */
    double first_ms;        /* to the first token, as the engine tells */
    double prompt_ms, prompt_per_s;
    double predicted_ms, predicted_per_s; /* no rate of a single token */
    double total_ms;
    double audio_ms;        /* the length of the audio that was transcribed */
    uint64_t progress_total, progress_cached, progress_done; /* of the prompt */
    double progress_ms;
    double load_fraction, prompt_fraction; /* 0 to 1: progress without counts */
    char model[AIDASH_MODEL_MAX + 1]; /* as the answer names it */
    char finish[AD_SCAN_FINISH_MAX + 1]; /* the last finish reason */
    char error[AD_SCAN_ERROR_MAX + 1]; /* the sentence of the first error, in the
                               stream or by its status: UTF-8, no controls */

    /* The state of the reader. */
    bool known;             /* head.form is what the first bytes show */
    uint8_t bom;            /* bytes of a byte order mark */
    uint8_t line;           /* enum ad_sse */
    uint8_t name_len;
    uint8_t done_len;       /* bytes of "[DONE]" so far */
    bool after_cr;
    bool reading;           /* a JSON text has begun */
    bool whole;             /* the last one was whole */
    bool list;              /* it is an array of events */
    bool lost;              /* it was broken: wait for another one */
    bool cached_told;       /* zero, perhaps */
    bool error_event;       /* this event is named so */
    bool error_kept;        /* `error` stays */
    uint8_t last;           /* the byte before, of JSON texts */
    char name[AD_SCAN_NAME_MAX]; /* of the field, the comment, the event */
    uint32_t texts;         /* JSON texts begun */
    uint32_t held;          /* token events of the first one: it may be all */
    uint64_t finished_tokens; /* of the choices that ended, without a usage */
    uint64_t usage_tokens;  /* of the usage events of llama-server */
    uint64_t told_prompt, told_input, told_read, told_write, told_timings,
             told_cached;   /* parts of the prompt, each by its own name */
    double told_prompt_rate, told_rate;
    struct ad_scan_event event;
    double number[AD_FACT_COUNT]; /* of the event */
    struct ad_json_stream js;
};

static const char ad_done[] = "[DONE]";

/* What the "type" of an event says about it. */
enum {
    AD_TYPE_OVER = 1,
    AD_TYPE_FAILED = 2,
    AD_TYPE_NO_TEXT = 4, /* what looks like text is none, or has come before */
    AD_TYPE_LOAD = 8,    /* the model is loading */
    AD_TYPE_PROMPT = 16  /* the prompt is being read */
};

/* In the order of struct ad_json_place. */
static const struct ad_json_key ad_types[] = {
    AD_JSON_KEY_TO("error", AD_TYPE_FAILED),
    AD_JSON_KEY_TO("chat.end", AD_TYPE_OVER),
    AD_JSON_KEY_TO("message-end", AD_TYPE_OVER),
    AD_JSON_KEY_TO("message_stop", AD_TYPE_OVER),
    AD_JSON_KEY_TO("model_load.end", AD_TYPE_LOAD),
    AD_JSON_KEY_TO("response.failed", AD_TYPE_FAILED | AD_TYPE_OVER),
    AD_JSON_KEY_TO("model_load.start", AD_TYPE_LOAD),
    AD_JSON_KEY_TO("speech.audio.done", AD_TYPE_OVER),
    AD_JSON_KEY_TO("response.completed", AD_TYPE_OVER),
    AD_JSON_KEY_TO("model_load.progress", AD_TYPE_LOAD),
    AD_JSON_KEY_TO("response.incomplete", AD_TYPE_OVER),
    AD_JSON_KEY_TO("image_edit.completed", AD_TYPE_OVER),
    AD_JSON_KEY_TO("transcript.text.done", AD_TYPE_OVER),
    AD_JSON_KEY_TO("prompt_processing.end", AD_TYPE_PROMPT),
    AD_JSON_KEY_TO("prompt_processing.start", AD_TYPE_PROMPT),
    AD_JSON_KEY_TO("transcript.text.segment", AD_TYPE_NO_TEXT),
    AD_JSON_KEY_TO("image_generation.completed", AD_TYPE_OVER),
    AD_JSON_KEY_TO("prompt_processing.progress", AD_TYPE_PROMPT),
};

/* Larger numbers are ignored. */
#define AD_SCAN_MS_MAX 1e9   /* 11 days */
#define AD_SCAN_RATE_MAX 1e7 /* tokens a second, of the prompt too */

static bool ad_scan_has(const struct ad_scan *s, enum ad_fact fact)
{
    return (s->event.has >> fact & 1) != 0;
}

/* A number of the event, 0 if it has none. */
static double ad_scan_number(const struct ad_scan *s, enum ad_fact fact)
{
    return ad_scan_has(s, fact) ? s->number[fact] : 0;
}

static uint64_t ad_scan_count(const struct ad_scan *s, enum ad_fact fact)
{
    return (uint64_t)ad_scan_number(s, fact);
}

/* The number at hand in the units of enum ad_fact, or -1: it can't be true. */
static double ad_scan_value(uint8_t unit, double value)
{
    double max = AD_SCAN_MS_MAX;

    if (unit == AD_UNIT_NS) {
        value /= 1e6;
    } else if (unit == AD_UNIT_S) {
        value *= 1e3;
    } else if (unit == AD_UNIT_COUNT) {
        max = (double)AD_TOKENS_LIMIT;
    } else if (unit == AD_UNIT_RATE) {
        max = AD_SCAN_RATE_MAX;
    } else if (unit == AD_UNIT_FRACTION) {
        max = 1;
    }
    return value >= 0 && value <= max ? value : -1;
}

/* ---- what an event adds to the counts and times ---- */

/* A part that is told again takes the place of what was told; zero is no news. */
static void ad_scan_retell(const struct ad_scan *s, enum ad_fact fact,
                           uint64_t *told)
{
    uint64_t n = ad_scan_count(s, fact);

    if (n != 0) {
        *told = n;
    }
}

/* The prompt's tokens. Each part stays as it was told last, by its own name:
 * Anthropic's input_tokens are beside the cached ones, prompt_tokens include
 * them. A total alone is the prompt's where there is no answer: older rerank. */
static void ad_scan_prompt_reported(struct ad_scan *s)
{
    uint64_t timings = ad_scan_count(s, AD_FACT_CACHE_N) +
                       ad_scan_count(s, AD_FACT_PROMPT_N);
    uint64_t total = ad_scan_count(s, AD_FACT_TOTAL);
    uint64_t completion = ad_scan_count(s, AD_FACT_COMPLETION);
    bool answer = s->token_events != 0 || s->tokens != 0 || s->event.choices;
    uint64_t n;

    ad_scan_retell(s, AD_FACT_PROMPT, &s->told_prompt);
    ad_scan_retell(s, AD_FACT_INPUT, &s->told_input);
    ad_scan_retell(s, AD_FACT_CACHE_READ, &s->told_read);
    ad_scan_retell(s, AD_FACT_CACHE_WRITE, &s->told_write);
    ad_scan_retell(s, AD_FACT_CACHE_READ, &s->told_cached);
    ad_scan_retell(s, AD_FACT_CACHE_N, &s->told_cached);
    ad_scan_retell(s, AD_FACT_CACHED, &s->told_cached);
    s->told_timings = timings != 0 ? timings : s->told_timings;

    n = s->told_prompt;
    n = n != 0 ? n : s->told_input + s->told_read + s->told_write;
    n = n != 0 ? n : s->told_timings;
    if (n == 0 && total > completion && (completion != 0 || !answer)) {
        n = total - completion;
    }
    if (n != 0) {
        s->has_prompt = true;
        s->prompt_tokens = n;
    }
    s->cached_told = s->cached_told || ad_scan_has(s, AD_FACT_CACHED) ||
                     ad_scan_has(s, AD_FACT_CACHE_READ) ||
                     ad_scan_has(s, AD_FACT_CACHE_N);
    s->has_cached = s->cached_told && s->has_prompt &&
                    s->told_cached <= s->prompt_tokens;
    s->cached_tokens = s->has_cached ? s->told_cached : 0;
}

/* The tokens of the answer, as the usage of this event has them, the thinking
 * included. Gemini counts it apart. Some others do so under OpenAI's names,
 * which include it: their total shows it. */
static uint64_t ad_scan_usage(struct ad_scan *s)
{
    uint64_t n = ad_scan_count(s, AD_FACT_COMPLETION);
    uint64_t reasoning = ad_scan_count(s, AD_FACT_REASONING);
    uint64_t total = ad_scan_count(s, AD_FACT_TOTAL);
    uint64_t prompt = ad_scan_count(s, AD_FACT_PROMPT);

    if (ad_scan_has(s, AD_FACT_ANSWER) || ad_scan_has(s, AD_FACT_THOUGHTS)) {
        reasoning = ad_scan_count(s, AD_FACT_THOUGHTS);
        n = ad_scan_count(s, AD_FACT_ANSWER) + reasoning;
    } else if (reasoning != 0 && total == s->prompt_tokens + n + reasoning) {
        n += reasoning;
    } else if (!ad_scan_has(s, AD_FACT_COMPLETION) && prompt != 0 &&
               total > prompt) {
        n = total - prompt;
    }
    if (reasoning != 0 && reasoning <= n) {
        s->has_reasoning = true;
        s->reasoning_tokens = reasoning;
    }
    return n;
}

/* llama-server counts each choice on its own; its events have timings. If the
 * client asked for a usage, each choice has an event without choices, with its
 * count. Otherwise the event with the finish reason has it. These counts are
 * added. A whole answer of llama-server has the count of one choice only.
 * Other engines count all tokens so far, and zero means that an event has no
 * count. */
static void ad_scan_tokens_reported(struct ad_scan *s)
{
    const struct ad_scan_event *e = &s->event;
    uint64_t n = ad_scan_usage(s);

    n = n != 0 ? n : ad_scan_count(s, AD_FACT_PREDICTED);
    if (n == 0) {
        return;
    }
    if (!ad_scan_has(s, AD_FACT_PREDICTED)) {
        s->tokens = n;
    } else if (e->choices && e->n_choices == 0) {
        s->usage_tokens += n;
        s->tokens = s->usage_tokens;
    } else {
        s->partial = s->head.form == AD_FORM_JSON && e->n_choices > 1;
        s->tokens = s->finished_tokens + n;
        if (e->finish || e->over) {
            s->finished_tokens = s->tokens;
        }
    }
}

static bool ad_scan_time(const struct ad_scan *s, enum ad_fact fact, double *to)
{
    if (ad_scan_has(s, fact)) {
        *to = s->number[fact];
    }
    return ad_scan_has(s, fact);
}

/* Rates are the engine's, else from its times. A single token has no rate: the
 * time to it is the prompt's. */
static void ad_scan_rates(struct ad_scan *s)
{
    bool choice = ad_scan_has(s, AD_FACT_PREDICTED);
    uint64_t tokens = s->tokens != 0 ? s->tokens : s->token_events;

    s->prompt_per_s = s->told_prompt_rate;
    if (s->prompt_per_s <= 0 && s->prompt_ms > 0) {
        s->prompt_per_s = (double)(s->prompt_tokens - s->cached_tokens) /
                          s->prompt_ms * 1e3;
    }
    if (choice) {
        tokens = ad_scan_count(s, AD_FACT_PREDICTED);
    }
    s->predicted_per_s = s->told_rate;
    if (s->predicted_per_s <= 0 && s->predicted_ms > 0) {
        s->predicted_per_s = (double)tokens / s->predicted_ms * 1e3;
    }
    if (tokens < 2 || s->predicted_per_s > AD_SCAN_RATE_MAX) {
        s->predicted_per_s = 0;
    }
    if (s->prompt_per_s > AD_SCAN_RATE_MAX) {
        s->prompt_per_s = 0;
    }
}

static void ad_scan_progress_reported(struct ad_scan *s)
{
    uint64_t total = ad_scan_count(s, AD_FACT_PROGRESS_TOTAL);
    uint64_t cached = ad_scan_count(s, AD_FACT_PROGRESS_CACHED);
    uint64_t done = ad_scan_count(s, AD_FACT_PROGRESS_DONE);

    if (ad_scan_has(s, AD_FACT_PROGRESS_TOTAL) && cached <= total &&
        done <= total) {
        s->has_progress = true;
        s->progress_total = total;
        s->progress_cached = cached;
        s->progress_done = done;
        s->progress_ms = ad_scan_number(s, AD_FACT_PROGRESS_MS);
    }
    if ((s->event.type & AD_TYPE_LOAD) != 0) {
        (void)ad_scan_time(s, AD_FACT_FRACTION, &s->load_fraction);
    }
    if ((s->event.type & AD_TYPE_PROMPT) != 0) {
        (void)ad_scan_time(s, AD_FACT_FRACTION, &s->prompt_fraction);
    }
}

static void ad_scan_times_reported(struct ad_scan *s)
{
    uint64_t accepted = ad_scan_count(s, AD_FACT_DRAFT_ACCEPTED);
    uint64_t drafts = ad_scan_count(s, AD_FACT_DRAFT_N);

    s->has_timings |= ad_scan_time(s, AD_FACT_PROMPT_MS, &s->prompt_ms);
    s->has_queue |= ad_scan_time(s, AD_FACT_QUEUE_MS, &s->queue_ms);
    s->has_first |= ad_scan_time(s, AD_FACT_FIRST_MS, &s->first_ms);
    (void)ad_scan_time(s, AD_FACT_LOAD_MS, &s->load_ms);
    (void)ad_scan_time(s, AD_FACT_EVAL_MS, &s->predicted_ms);
    (void)ad_scan_time(s, AD_FACT_TOTAL_MS, &s->total_ms);
    (void)ad_scan_time(s, AD_FACT_PROMPT_RATE, &s->told_prompt_rate);
    (void)ad_scan_time(s, AD_FACT_EVAL_RATE, &s->told_rate);
    if (s->head.form == AD_FORM_JSON || !s->event.choices) {
        s->has_audio |= ad_scan_time(s, AD_FACT_AUDIO_MS, &s->audio_ms);
    }
    if (drafts != 0 && accepted <= drafts) {
        s->draft_tokens = drafts;
        s->draft_accepted = accepted;
    }
    ad_scan_rates(s);
}

/* ---- errors ---- */

/* Keep the sentence of an error: its beginning, whole characters. Controls
 * become spaces. */
static void ad_scan_sentence(struct ad_scan *s, const char *text, size_t len)
{
    size_t i;

    if (s->error_kept) {
        return;
    }
    len = len < AD_SCAN_ERROR_MAX ? len : AD_SCAN_ERROR_MAX;
    len = ad_utf8_prefix((const uint8_t *)text, len);
    for (i = 0; i < len; i++) {
        bool control = (uint8_t)text[i] < 0x20 || text[i] == 0x7F;

        s->error[i] = control ? ' ' : text[i];
    }
    memset(s->error + len, 0, sizeof(s->error) - len);
}

/* An event, or what there is of it, is over: keep the sentence of an error, and
 * nothing else. */
static void ad_scan_error_end(struct ad_scan *s)
{
    if (s->error_kept) {
        return;
    }
    if (s->event.failed || s->error_event || s->head.status >= 400) {
        s->error_kept = s->error[0] != '\0';
    } else if (s->error[0] != '\0') {
        memset(s->error, 0, sizeof(s->error));
    }
}

static void ad_scan_failed(struct ad_scan *s)
{
    s->failed = true;
    s->event.failed = true;
}

/* ---- events ---- */

/* An event is complete. Returns how many token events it is: one for each
 * choice with text. A whole answer brings no tokens one by one. */
static uint32_t ad_scan_event_end(struct ad_scan *s)
{
    const struct ad_scan_event *e = &s->event;
    uint32_t n = e->n_texts;

    if (e->text) {
        n++;
    }
    if ((e->type & AD_TYPE_NO_TEXT) != 0 || e->failed || s->error_event) {
        n = 0;
    }
    if (s->head.form == AD_FORM_JSON) {
        if (e->more) {
            s->head.form = AD_FORM_NDJSON;
        } else {
            s->held = s->list ? 0 : n;
            n = 0;
        }
    }
    s->events++;
    s->token_events += n;
    s->ended = s->ended || e->over;
    if (e->has != 0) {
        ad_scan_prompt_reported(s);
        ad_scan_tokens_reported(s);
        ad_scan_times_reported(s);
        ad_scan_progress_reported(s);
    }
    ad_scan_error_end(s);
    return n;
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
    if ((type & AD_TYPE_FAILED) != 0) {
        ad_scan_failed(s);
    }
    s->event.over = s->event.over || (type & AD_TYPE_OVER) != 0;
    s->event.type = type;
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
    case AD_PATH_DELTA:     /* /v1/responses */
    case AD_PATH_RESPONSE:  /* Ollama */
    case AD_PATH_TGI_TOKEN: /* KoboldCpp */
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
    } else if (j->path == AD_PATH_OVER) {
        e->over = e->over || j->text[0] == 't';
        e->more = e->more || j->text[0] == 'f';
    } else if (j->path == AD_PATH_ERROR && j->text[0] == 't') {
        ad_scan_failed(s);
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
        e->more = s->list;
        e->choices = true;
        break;
    case AD_PATH_CHOICES:
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
            s->ended = s->ended || s->head.form != AD_FORM_SSE;
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

/* ---- an event stream ---- */

/* The JSON text at hand ends here. */
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

/* Bytes of an error's sentence, in a data line that is no JSON. The JSON reader
 * has nothing else to keep then. */
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

    if (s->texts > 0 && s->head.form == AD_FORM_JSON) {
        s->head.form = AD_FORM_NDJSON;
        n = s->held;
        s->held = 0;
        s->token_events += n;
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

/* The text at hand broke behind used bytes. Returns how many of them are done
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

/* Bytes of the text at hand, up to a value that matters. Returns how many were
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
        first = s->texts == 1 && s->head.form == AD_FORM_NDJSON;
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
            s->head.form = AD_FORM_JSON;
        }
    }
    return n;
}

/* ---- the body ---- */

/* Bytes of the body, whose form is known. */
static uint32_t ad_scan_known(struct ad_scan *s, const uint8_t *in, size_t len)
{
    switch (s->head.form) {
    case AD_FORM_SSE:
        return ad_scan_sse(s, in, len);
    case AD_FORM_NDJSON:
    case AD_FORM_JSON:
        return ad_scan_texts(s, in, len);
    default:
        return 0;
    }
}

/* The form is known: read what was taken for the beginning of a field. */
static uint32_t ad_scan_form(struct ad_scan *s, uint8_t form)
{
    uint8_t name[AD_SCAN_NAME_MAX];
    size_t len = s->name_len;

    memcpy(name, s->name, len);
    s->name_len = 0;
    s->head.form = form;
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

    if (s->head.form == AD_FORM_MEDIA || s->head.status == 101 ||
        (s->incomplete & AD_INCOMPLETE_COMPRESSED) != 0) {
        s->known = true;
        s->head.form = AD_FORM_NONE;
        return 0;
    }
    for (i = 0; i < len && !s->known; i++) {
        uint8_t form = s->head.form, c = in[i];
        bool begins = s->name_len == 0;

        if (begins && s->bom < sizeof(bom) && c == bom[s->bom]) {
            s->bom++;
        } else if (begins && ad_json_space((const char *)&c, 1) != 0) {
            s->last = c;
            s->after_cr = c == '\r';
        } else if (begins && c == AD_RECORD_SEPARATOR && form == AD_FORM_NONE) {
            s->head.form = AD_FORM_NDJSON;
        } else if (begins && (c == '{' || c == '[')) {
            form = form == AD_FORM_NDJSON ? AD_FORM_NDJSON : AD_FORM_JSON;
            *events += ad_scan_form(s, form);
            break;
        } else if (form == AD_FORM_SSE || !ad_scan_maybe_field(s, c)) {
            *events += ad_scan_form(s, form);
            break;
        } else if (c == ':') {
            *events += ad_scan_form(s, AD_FORM_SSE);
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

/* All of the body has come. A stream that told why it finished has its end mark,
 * even if others would send one more. */
static void ad_scan_body_end(struct ad_scan *s)
{
    if (!s->known) {
        (void)ad_scan_form(s, s->head.form);
    }
    if (s->head.form == AD_FORM_SSE) {
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
    if (s->head.form == AD_FORM_JSON) {
        s->ended = s->whole;
    } else if (s->finish[0] != '\0') {
        s->ended = true;
    }
}

/* head: the request's method was HEAD, so the answer has no body. */
static void ad_scan_begin(struct ad_scan *s, bool head)
{
    memset(s, 0, sizeof(*s));
    s->last = '\n';
    ad_head_begin(&s->head, head);
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
