/* llm_facts.c - what is known of an engine's answer: its token counts and times, as
 * each event adds to them. Pure.
 */
#ifndef AD_CODEC_LLM_FACTS_C
#define AD_CODEC_LLM_FACTS_C

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

/* What the body is: as its Content-Type says at first, then as its first bytes
 * show. */
enum ad_form {
    AD_FORM_NONE,   /* not known; or in the end nothing that can be read */
    AD_FORM_SSE,
    AD_FORM_NDJSON, /* several JSON texts, one event each */
    AD_FORM_JSON,   /* one whole answer, or several in an array */
    AD_FORM_MEDIA   /* sound, pictures: never read */
};

enum {
    AD_SCAN_FINISH_MAX = 31, /* bytes kept of a finish reason */
    AD_SCAN_ERROR_MAX = 200, /* bytes kept of an error's sentence */
    AD_SCAN_NAME_MAX = 32    /* bytes kept of a field's name, of a comment */
};
_Static_assert((int)AD_SCAN_ERROR_MAX <= (int)AD_STREAM_TEXT_MAX,
               "the reader keeps a whole sentence");

/* What the current event has reported so far. Its fields come in any order, so
 * they are evaluated when it ends. */
struct ad_scan_event {
    bool text;       /* some of the answer, in the current choice if any */
    bool thought, said; /* some thinking, some other text, in any choice */
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
    uint8_t form;           /* enum ad_form: by the head, then by the body */
    uint16_t status;        /* of the final head; 0: not known */
    const char *dialect;    /* whose API it speaks, a constant; NULL: not known */

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
    bool loading;           /* the latest event is about the model's loading */
    bool truncated;         /* the engine says so: of the prompt or the answer */
    uint32_t events;        /* JSON texts */
    uint32_t comments;      /* keep-alive lines of an event stream */
    uint64_t token_events;  /* choices of events that brought text */
    uint64_t thinking_events; /* of them, those of events with only thinking */
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
                               stream or by its status: ad_name_chars_ok() */

    /* The state of the reader. */
    bool known;             /* `form` is what the first bytes show */
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
    bool plain;             /* the body is an error's sentence, and no JSON */
    uint8_t last;           /* the byte before, of JSON texts */
    char name[AD_SCAN_NAME_MAX]; /* of the field, the comment, the event */
    uint32_t texts;         /* JSON texts begun */
    uint32_t held;          /* token events of the first one: it may be all */
    bool held_thinking;     /* it has only thinking */
    uint64_t finished_tokens; /* of the choices that ended, without a usage */
    uint64_t usage_tokens;  /* of the usage events of llama-server */
    uint64_t told_prompt, told_input, told_read, told_write, told_timings,
             told_cached;   /* parts of the prompt, each by its own name */
    double told_prompt_rate, told_rate;
    struct ad_scan_event event;
    double number[AD_FACT_COUNT]; /* of the event */
    struct ad_json_stream js;
};

/* What the "type" of an event says about it. */
enum {
    AD_TYPE_OVER = 1,
    AD_TYPE_FAILED = 2,
    AD_TYPE_NO_TEXT = 4, /* what looks like text is none, or has come before */
    AD_TYPE_CALL = 8,    /* a tool call, whole */
    AD_TYPE_LOAD = 16,   /* the model is loading */
    AD_TYPE_PROMPT = 32, /* the prompt is being read */
    AD_TYPE_THINKING = 64, /* its text is thinking */
    AD_TYPE_LOADED = 128  /* the model's loading is over */
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

/* The number just read in the units of enum ad_fact, or -1: it can't be true. */
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

/* A part that is reported again replaces what was reported before; zero changes
 * nothing. */
static void ad_scan_replace(const struct ad_scan *s, enum ad_fact fact,
                            uint64_t *part)
{
    uint64_t n = ad_scan_count(s, fact);

    if (n != 0) {
        *part = n;
    }
}

/* The prompt's tokens. Each part stays as it was reported last, by its own name:
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

    ad_scan_replace(s, AD_FACT_PROMPT, &s->told_prompt);
    ad_scan_replace(s, AD_FACT_INPUT, &s->told_input);
    ad_scan_replace(s, AD_FACT_CACHE_READ, &s->told_read);
    ad_scan_replace(s, AD_FACT_CACHE_WRITE, &s->told_write);
    ad_scan_replace(s, AD_FACT_CACHE_READ, &s->told_cached);
    ad_scan_replace(s, AD_FACT_CACHE_N, &s->told_cached);
    ad_scan_replace(s, AD_FACT_CACHED, &s->told_cached);
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
        s->partial = s->form == AD_FORM_JSON && e->n_choices > 1;
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

/* The rate of tokens that took *ms, or 0. A time that can't be true is unknown:
 * KoboldCpp tells a nanosecond under Ollama's names. */
static double ad_scan_rate(uint64_t tokens, double *ms)
{
    double rate = *ms > 0 ? (double)tokens / *ms * 1e3 : 0;

    if (rate > AD_SCAN_RATE_MAX) {
        *ms = 0;
        rate = 0;
    }
    return rate;
}

/* Rates are the engine's, else from its times. A single token has no rate: the
 * time to it is the prompt's. */
static void ad_scan_rates(struct ad_scan *s)
{
    uint64_t tokens = s->tokens != 0 ? s->tokens : s->token_events;

    if (ad_scan_has(s, AD_FACT_PREDICTED)) {
        tokens = ad_scan_count(s, AD_FACT_PREDICTED);
    }
    s->prompt_per_s = ad_scan_rate(s->prompt_tokens - s->cached_tokens,
                                   &s->prompt_ms);
    if (s->told_prompt_rate > 0) {
        s->prompt_per_s = s->told_prompt_rate;
    }
    s->has_timings = s->has_timings && s->prompt_ms > 0;
    s->predicted_per_s = ad_scan_rate(tokens, &s->predicted_ms);
    if (s->told_rate > 0) {
        s->predicted_per_s = s->told_rate;
    }
    if (tokens < 2) {
        s->predicted_per_s = 0;
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
    if (s->event.text || s->token_events > 0) { /* a transcription */
        s->has_audio |= ad_scan_time(s, AD_FACT_AUDIO_MS, &s->audio_ms);
    }
    if (drafts != 0 && accepted <= drafts) {
        s->draft_tokens = drafts;
        s->draft_accepted = accepted;
    }
    ad_scan_rates(s);
}

/* ---- errors ---- */

/* Keep the sentence of an error: its beginning, whole characters. Those that may
 * not stand in a name become spaces. */
static void ad_scan_sentence(struct ad_scan *s, const char *text, size_t len)
{
    size_t i, n;

    if (s->error_kept) {
        return;
    }
    len = len < AD_SCAN_ERROR_MAX ? len : AD_SCAN_ERROR_MAX;
    len = ad_utf8_prefix((const uint8_t *)text, len);
    memcpy(s->error, text, len);
    memset(s->error + len, 0, sizeof(s->error) - len);
    for (i = 0; i < len; i += n) {
        n = ad_utf8_len((uint8_t)text[i]);
        if (!ad_name_chars_ok(text + i, n)) {
            memset(s->error + i, ' ', n);
        }
    }
}

/* An event, or what there is of it, is over: keep the sentence of an error, and
 * nothing else. */
static void ad_scan_error_end(struct ad_scan *s)
{
    if (s->error_kept) {
        return;
    }
    if (s->event.failed || s->error_event || s->status >= 400) {
        s->error_kept = s->error[0] != '\0';
    } else if (s->error[0] != '\0') {
        memset(s->error, 0, sizeof(s->error));
    }
}

/* There is no answer of an engine: aidash answers in its place. */
static void ad_scan_refused(struct ad_scan *s, unsigned status, const char *why)
{
    if (!s->error_kept) {
        ad_scan_sentence(s, why, strlen(why));
        s->error_kept = true;
    }
    s->status = (uint16_t)status;
    s->failed = true;
}

static void ad_scan_failed(struct ad_scan *s)
{
    s->failed = true;
    s->event.failed = true;
}

#endif /* AIDASH_METER */

#endif
