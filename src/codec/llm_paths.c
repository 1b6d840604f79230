/* llm_paths.c - the places in the engines' JSON that matter: in answers, in
 * requests, in lists of models. Pure.
 */
#ifndef AD_CODEC_LLM_PATHS_C
#define AD_CODEC_LLM_PATHS_C

#include "json_stream.c"

#if AIDASH_METER

/* The places in a JSON text that matter. What they hold is in ad_places. */
enum ad_path {
    AD_PATH_NONE, /* no place: the value does not matter */
    AD_PATH_TOP,     /* an event or a whole answer */
    AD_PATH_REQUEST, /* a request's body */
    AD_PATH_LIST,    /* several whole answers in an array */
    AD_PATH_CHOICES,
    AD_PATH_CHOICE,
    AD_PATH_DELTA,
    AD_PATH_CALLS,
    AD_PATH_CALL,
    AD_PATH_MESSAGE,
    AD_PATH_MESSAGE_USAGE,
    AD_PATH_RESPONSE,
    AD_PATH_INCOMPLETE,
    AD_PATH_USAGE,
    AD_PATH_DETAILS,
    AD_PATH_TIMINGS,
    AD_PATH_PROGRESS,
    AD_PATH_TGI_TOKEN,
    AD_PATH_TGI_DETAILS,
    AD_PATH_OPENAI_LIST, /* GET /v1/models */
    AD_PATH_OLLAMA_LIST, /* GET /api/tags, /api/ps */
    AD_PATH_LIST_ITEMS,
    AD_PATH_LIST_ITEM,
    AD_PATH_LIST_STATE,
    AD_PATH_ERROR,
    AD_PATH_TEXT,     /* of the answer: it only counts whether it is empty */
    AD_PATH_TGI_TEXT, /* a string here ends the stream */
    AD_PATH_OVER,     /* true ends the stream */
    AD_PATH_STREAM,
    AD_PATH_MODEL,
    AD_PATH_TYPE,
    AD_PATH_OBJECT,
    AD_PATH_FINISH,
    AD_PATH_LIST_NAME,
    AD_PATH_LIST_OWNER,
    AD_PATH_LIST_STATUS,
    AD_PATH_COMPLETION,
    AD_PATH_PROMPT,     /* all of it, but for the next two */
    AD_PATH_CACHE_READ,
    AD_PATH_CACHE_WRITE,
    AD_PATH_CACHED,
    AD_PATH_PREDICTED, /* of one choice: llama-server's timings */
    AD_PATH_CACHE_N,
    AD_PATH_PROMPT_N,
    AD_PATH_PROMPT_MS,
    AD_PATH_PROMPT_RATE,
    AD_PATH_PREDICTED_MS,
    AD_PATH_PREDICTED_RATE,
    AD_PATH_DRAFT_N,
    AD_PATH_DRAFT_ACCEPTED,
    AD_PATH_PROGRESS_TOTAL,
    AD_PATH_PROGRESS_CACHED,
    AD_PATH_PROGRESS_DONE,
    AD_PATH_PROGRESS_MS,
    AD_PATH_LOAD_NS,
    AD_PATH_PROMPT_NS,
    AD_PATH_EVAL_NS,
    AD_PATH_TOTAL_NS,
    AD_PATH_COUNT
};

/* The keys of each object, and where they lead. */
static const struct ad_json_key ad_keys_request[] = {
    AD_JSON_KEY_TO("model", AD_PATH_MODEL),
    AD_JSON_KEY_TO("stream", AD_PATH_STREAM),
};

static const struct ad_json_key ad_keys_top[] = {
    /* OpenAI: chat completions, completions, embeddings; whole responses */
    AD_JSON_KEY_TO("choices", AD_PATH_CHOICES),
    AD_JSON_KEY_TO("model", AD_PATH_MODEL),
    AD_JSON_KEY_TO("usage", AD_PATH_USAGE),
    AD_JSON_KEY_TO("error", AD_PATH_ERROR),
    AD_JSON_KEY_TO("object", AD_PATH_OBJECT),
    AD_JSON_KEY_TO("incomplete_details", AD_PATH_INCOMPLETE),
    /* OpenAI: events of /v1/responses */
    AD_JSON_KEY_TO("type", AD_PATH_TYPE),
    AD_JSON_KEY_TO("delta", AD_PATH_DELTA),
    AD_JSON_KEY_TO("response", AD_PATH_RESPONSE),
    /* Anthropic: /v1/messages */
    AD_JSON_KEY_TO("stop_reason", AD_PATH_FINISH),
    AD_JSON_KEY_TO("message", AD_PATH_MESSAGE),
    /* llama-server: timings with every API, and /completion */
    AD_JSON_KEY_TO("timings", AD_PATH_TIMINGS),
    AD_JSON_KEY_TO("prompt_progress", AD_PATH_PROGRESS),
    AD_JSON_KEY_TO("content", AD_PATH_TEXT),
    AD_JSON_KEY_TO("stop", AD_PATH_OVER),
    AD_JSON_KEY_TO("stop_type", AD_PATH_FINISH),
    AD_JSON_KEY_TO("tokens_predicted", AD_PATH_PREDICTED),
    AD_JSON_KEY_TO("tokens_evaluated", AD_PATH_PROMPT),
    /* Ollama: /api/chat, /api/generate, /api/embed */
    AD_JSON_KEY_TO("thinking", AD_PATH_TEXT),
    AD_JSON_KEY_TO("done", AD_PATH_OVER),
    AD_JSON_KEY_TO("done_reason", AD_PATH_FINISH),
    AD_JSON_KEY_TO("eval_count", AD_PATH_COMPLETION),
    AD_JSON_KEY_TO("prompt_eval_count", AD_PATH_PROMPT),
    AD_JSON_KEY_TO("prompt_eval_cached_count", AD_PATH_CACHED),
    AD_JSON_KEY_TO("load_duration", AD_PATH_LOAD_NS),
    AD_JSON_KEY_TO("prompt_eval_duration", AD_PATH_PROMPT_NS),
    AD_JSON_KEY_TO("eval_duration", AD_PATH_EVAL_NS),
    AD_JSON_KEY_TO("total_duration", AD_PATH_TOTAL_NS),
    /* TGI: /generate_stream */
    AD_JSON_KEY_TO("token", AD_PATH_TGI_TOKEN),
    AD_JSON_KEY_TO("details", AD_PATH_TGI_DETAILS),
    AD_JSON_KEY_TO("generated_text", AD_PATH_TGI_TEXT),
};

static const struct ad_json_key ad_keys_choice[] = {
    AD_JSON_KEY_TO("delta", AD_PATH_DELTA),
    AD_JSON_KEY_TO("text", AD_PATH_TEXT),
    AD_JSON_KEY_TO("finish_reason", AD_PATH_FINISH),
};

static const struct ad_json_key ad_keys_delta[] = {
    /* OpenAI: chat completions, completions, embeddings; whole responses */
    AD_JSON_KEY_TO("content", AD_PATH_TEXT),
    AD_JSON_KEY_TO("reasoning_content", AD_PATH_TEXT),
    AD_JSON_KEY_TO("reasoning", AD_PATH_TEXT),
    AD_JSON_KEY_TO("refusal", AD_PATH_TEXT),
    AD_JSON_KEY_TO("tool_calls", AD_PATH_CALLS),
    AD_JSON_KEY_TO("function_call", AD_PATH_CALL),
    /* Anthropic: /v1/messages */
    AD_JSON_KEY_TO("text", AD_PATH_TEXT),
    AD_JSON_KEY_TO("thinking", AD_PATH_TEXT),
    AD_JSON_KEY_TO("partial_json", AD_PATH_TEXT),
    AD_JSON_KEY_TO("stop_reason", AD_PATH_FINISH),
};

static const struct ad_json_key ad_keys_usage[] = {
    AD_JSON_KEY_TO("completion_tokens", AD_PATH_COMPLETION),
    AD_JSON_KEY_TO("output_tokens", AD_PATH_COMPLETION),
    AD_JSON_KEY_TO("prompt_tokens", AD_PATH_PROMPT),
    AD_JSON_KEY_TO("input_tokens", AD_PATH_PROMPT),
    AD_JSON_KEY_TO("cache_read_input_tokens", AD_PATH_CACHE_READ),
    AD_JSON_KEY_TO("cache_creation_input_tokens", AD_PATH_CACHE_WRITE),
    AD_JSON_KEY_TO("prompt_tokens_details", AD_PATH_DETAILS),
    AD_JSON_KEY_TO("input_tokens_details", AD_PATH_DETAILS),
};

static const struct ad_json_key ad_keys_details[] = {
    AD_JSON_KEY_TO("cached_tokens", AD_PATH_CACHED),
};

/* An answer within an event of /v1/responses. */
static const struct ad_json_key ad_keys_response[] = {
    AD_JSON_KEY_TO("model", AD_PATH_MODEL),
    AD_JSON_KEY_TO("usage", AD_PATH_USAGE),
    AD_JSON_KEY_TO("incomplete_details", AD_PATH_INCOMPLETE),
};

static const struct ad_json_key ad_keys_incomplete[] = {
    AD_JSON_KEY_TO("reason", AD_PATH_FINISH),
};

static const struct ad_json_key ad_keys_message[] = {
    /* Anthropic: /v1/messages */
    AD_JSON_KEY_TO("model", AD_PATH_MODEL),
    AD_JSON_KEY_TO("usage", AD_PATH_MESSAGE_USAGE),
    /* Ollama: /api/chat, /api/generate, /api/embed */
    AD_JSON_KEY_TO("content", AD_PATH_TEXT),
    AD_JSON_KEY_TO("thinking", AD_PATH_TEXT),
    AD_JSON_KEY_TO("tool_calls", AD_PATH_CALLS),
};

/* This usage knows the prompt, but not yet the answer. */
static const struct ad_json_key ad_keys_message_usage[] = {
    AD_JSON_KEY_TO("input_tokens", AD_PATH_PROMPT),
    AD_JSON_KEY_TO("cache_read_input_tokens", AD_PATH_CACHE_READ),
    AD_JSON_KEY_TO("cache_creation_input_tokens", AD_PATH_CACHE_WRITE),
};

static const struct ad_json_key ad_keys_timings[] = {
    AD_JSON_KEY_TO("cache_n", AD_PATH_CACHE_N),
    AD_JSON_KEY_TO("prompt_n", AD_PATH_PROMPT_N),
    AD_JSON_KEY_TO("prompt_ms", AD_PATH_PROMPT_MS),
    AD_JSON_KEY_TO("prompt_per_second", AD_PATH_PROMPT_RATE),
    AD_JSON_KEY_TO("predicted_n", AD_PATH_PREDICTED),
    AD_JSON_KEY_TO("predicted_ms", AD_PATH_PREDICTED_MS),
    AD_JSON_KEY_TO("predicted_per_second", AD_PATH_PREDICTED_RATE),
    AD_JSON_KEY_TO("draft_n", AD_PATH_DRAFT_N),
    AD_JSON_KEY_TO("draft_n_accepted", AD_PATH_DRAFT_ACCEPTED),
};

static const struct ad_json_key ad_keys_progress[] = {
    AD_JSON_KEY_TO("total", AD_PATH_PROGRESS_TOTAL),
    AD_JSON_KEY_TO("cache", AD_PATH_PROGRESS_CACHED),
    AD_JSON_KEY_TO("processed", AD_PATH_PROGRESS_DONE),
    AD_JSON_KEY_TO("time_ms", AD_PATH_PROGRESS_MS),
};

static const struct ad_json_key ad_keys_tgi_token[] = {
    AD_JSON_KEY_TO("text", AD_PATH_TEXT),
};

static const struct ad_json_key ad_keys_tgi_details[] = {
    AD_JSON_KEY_TO("finish_reason", AD_PATH_FINISH),
    AD_JSON_KEY_TO("generated_tokens", AD_PATH_COMPLETION),
    AD_JSON_KEY_TO("input_length", AD_PATH_PROMPT),
};

static const struct ad_json_key ad_keys_openai_list[] = {
    AD_JSON_KEY_TO("data", AD_PATH_LIST_ITEMS),
};

static const struct ad_json_key ad_keys_ollama_list[] = {
    AD_JSON_KEY_TO("models", AD_PATH_LIST_ITEMS),
};

static const struct ad_json_key ad_keys_list_item[] = {
    AD_JSON_KEY_TO("id", AD_PATH_LIST_NAME),
    AD_JSON_KEY_TO("name", AD_PATH_LIST_NAME),
    AD_JSON_KEY_TO("owned_by", AD_PATH_LIST_OWNER),
    AD_JSON_KEY_TO("status", AD_PATH_LIST_STATE),
};

/* llama-server's state of each model in its router mode */
static const struct ad_json_key ad_keys_list_state[] = {
    AD_JSON_KEY_TO("value", AD_PATH_LIST_STATUS),
};

/* What each place holds. A place that is not here holds a string, a boolean, an
 * object or an array of which the reader keeps nothing. */
static const struct ad_json_place ad_places[AD_PATH_COUNT] = {
    [AD_PATH_TOP] = {.kind = AD_JSON_ROOT, .list = AD_PATH_LIST,
                    AD_JSON_KEYS(ad_keys_top)},
    [AD_PATH_REQUEST] = {.kind = AD_JSON_ROOT, AD_JSON_KEYS(ad_keys_request)},
    [AD_PATH_LIST] = {.element = AD_PATH_TOP},
    [AD_PATH_CHOICES] = {.element = AD_PATH_CHOICE},
    [AD_PATH_CHOICE] = {AD_JSON_KEYS(ad_keys_choice)},
    [AD_PATH_DELTA] = {AD_JSON_KEYS(ad_keys_delta)},
    [AD_PATH_CALLS] = {.element = AD_PATH_CALL},
    [AD_PATH_MESSAGE] = {AD_JSON_KEYS(ad_keys_message)},
    [AD_PATH_MESSAGE_USAGE] = {AD_JSON_KEYS(ad_keys_message_usage)},
    [AD_PATH_RESPONSE] = {AD_JSON_KEYS(ad_keys_response)},
    [AD_PATH_INCOMPLETE] = {AD_JSON_KEYS(ad_keys_incomplete)},
    [AD_PATH_USAGE] = {AD_JSON_KEYS(ad_keys_usage)},
    [AD_PATH_DETAILS] = {AD_JSON_KEYS(ad_keys_details)},
    [AD_PATH_TIMINGS] = {AD_JSON_KEYS(ad_keys_timings)},
    [AD_PATH_PROGRESS] = {AD_JSON_KEYS(ad_keys_progress)},
    [AD_PATH_TGI_TOKEN] = {AD_JSON_KEYS(ad_keys_tgi_token)},
    [AD_PATH_TGI_DETAILS] = {AD_JSON_KEYS(ad_keys_tgi_details)},
    [AD_PATH_OPENAI_LIST] = {AD_JSON_KEYS(ad_keys_openai_list)},
    [AD_PATH_OLLAMA_LIST] = {AD_JSON_KEYS(ad_keys_ollama_list)},
    [AD_PATH_LIST_ITEMS] = {.element = AD_PATH_LIST_ITEM},
    [AD_PATH_LIST_ITEM] = {AD_JSON_KEYS(ad_keys_list_item)},
    [AD_PATH_LIST_STATE] = {AD_JSON_KEYS(ad_keys_list_state)},
    [AD_PATH_MODEL] = {.kind = AD_JSON_KEPT},
    [AD_PATH_TYPE] = {.kind = AD_JSON_KEPT},
    [AD_PATH_OBJECT] = {.kind = AD_JSON_KEPT},
    [AD_PATH_FINISH] = {.kind = AD_JSON_KEPT},
    [AD_PATH_LIST_NAME] = {.kind = AD_JSON_KEPT},
    [AD_PATH_LIST_OWNER] = {.kind = AD_JSON_KEPT},
    [AD_PATH_LIST_STATUS] = {.kind = AD_JSON_KEPT},
    [AD_PATH_COMPLETION] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_PROMPT] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_CACHE_READ] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_CACHE_WRITE] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_CACHED] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_PREDICTED] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_CACHE_N] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_PROMPT_N] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_PROMPT_MS] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_PROMPT_RATE] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_PREDICTED_MS] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_PREDICTED_RATE] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_DRAFT_N] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_DRAFT_ACCEPTED] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_PROGRESS_TOTAL] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_PROGRESS_CACHED] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_PROGRESS_DONE] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_PROGRESS_MS] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_LOAD_NS] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_PROMPT_NS] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_EVAL_NS] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_TOTAL_NS] = {.kind = AD_JSON_NUMBER},
};

/* Begin to read a JSON text of an engine, or for one, whose place is `path`. */
static void ad_path_begin(struct ad_json_stream *j, enum ad_path path)
{
    ad_json_stream_begin(j, ad_places, (uint8_t)path, AD_STREAM_DEPTH_MAX);
}

/* Is the key or the string at hand this text? */
static bool ad_json_stream_is(const struct ad_json_stream *j, const char *text)
{
    return strlen(text) == j->len && memcmp(j->text, text, j->len) == 0;
}

/* Copy a name out of the text, whole characters only, if it is one. */
static void ad_json_stream_name(const struct ad_json_stream *j, char *out,
                                size_t max)
{
    size_t len = j->len < max ? j->len : max;

    if (j->cut || len < j->len) {
        while (len > 0 && !ad_utf8_ok((const uint8_t *)j->text, len)) {
            len--;
        }
    }
    if (ad_name_ok(j->text, len, max)) {
        memcpy(out, j->text, len);
        out[len] = '\0';
    }
}

#endif /* AIDASH_METER */

#endif
