/* llm_paths.c - the places in the engines' JSON that matter: in answers, in
 * requests, in lists of models. Pure.
 */
#ifndef AD_CODEC_LLM_PATHS_C
#define AD_CODEC_LLM_PATHS_C

#include "json_stream.c"

#if AIDASH_METER

/* What a number of an answer means. Times are in milliseconds, rates in tokens a
 * second, whatever the engine's unit. */
enum ad_fact {
    AD_FACT_COMPLETION, /* tokens of the answer, thinking included or not */
    AD_FACT_ANSWER,     /* of them, those without the thinking */
    AD_FACT_THOUGHTS,   /* of them, the thinking alone: beside AD_FACT_ANSWER */
    AD_FACT_REASONING,  /* the same, beside AD_FACT_COMPLETION */
    AD_FACT_TOTAL,      /* prompt and answer */
    AD_FACT_PROMPT,     /* all of the prompt */
    AD_FACT_INPUT,      /* all of it, but for the next two */
    AD_FACT_CACHE_READ,
    AD_FACT_CACHE_WRITE,
    AD_FACT_CACHED,     /* of AD_FACT_PROMPT or AD_FACT_INPUT */
    AD_FACT_PREDICTED,  /* of one choice: llama-server's timings */
    AD_FACT_CACHE_N,
    AD_FACT_PROMPT_N,
    AD_FACT_DRAFT_N,
    AD_FACT_DRAFT_ACCEPTED,
    AD_FACT_PROGRESS_TOTAL, /* of the prompt, in tokens */
    AD_FACT_PROGRESS_CACHED,
    AD_FACT_PROGRESS_DONE,
    AD_FACT_PROGRESS_MS,
    AD_FACT_FRACTION,   /* progress of the loading or of the prompt, 0 to 1 */
    AD_FACT_LOAD_MS,    /* the model's loading */
    AD_FACT_QUEUE_MS,   /* waiting in the engine */
    AD_FACT_FIRST_MS,   /* to the first token, as the engine saw it */
    AD_FACT_PROMPT_MS,
    AD_FACT_EVAL_MS,    /* all of the answer but for its first token */
    AD_FACT_TOTAL_MS,
    AD_FACT_PROMPT_RATE,
    AD_FACT_EVAL_RATE,
    AD_FACT_AUDIO_MS,   /* how long the audio of a transcription plays */
    AD_FACT_COUNT
};
_Static_assert(AD_FACT_COUNT <= 64, "ad_scan_event.has has 64 bits");

enum ad_unit { AD_UNIT_COUNT, AD_UNIT_NS, AD_UNIT_MS, AD_UNIT_S, AD_UNIT_RATE,
               AD_UNIT_FRACTION };

/* The places of numbers: name, fact, unit. */
#define AD_NUMBER_PLACES(X) \
    X(COMPLETION, COMPLETION, COUNT) \
    X(ANSWER, ANSWER, COUNT) \
    X(THOUGHTS, THOUGHTS, COUNT) \
    X(REASONING, REASONING, COUNT) \
    X(TOTAL, TOTAL, COUNT) \
    X(PROMPT, PROMPT, COUNT) \
    X(INPUT, INPUT, COUNT) \
    X(CACHE_READ, CACHE_READ, COUNT) \
    X(CACHE_WRITE, CACHE_WRITE, COUNT) \
    X(CACHED, CACHED, COUNT) \
    X(PREDICTED, PREDICTED, COUNT) \
    X(CACHE_N, CACHE_N, COUNT) \
    X(PROMPT_N, PROMPT_N, COUNT) \
    X(DRAFT_N, DRAFT_N, COUNT) \
    X(DRAFT_ACCEPTED, DRAFT_ACCEPTED, COUNT) \
    X(PROGRESS_TOTAL, PROGRESS_TOTAL, COUNT) \
    X(PROGRESS_CACHED, PROGRESS_CACHED, COUNT) \
    X(PROGRESS_DONE, PROGRESS_DONE, COUNT) \
    X(PROGRESS_MS, PROGRESS_MS, MS) \
    X(FRACTION, FRACTION, FRACTION) \
    X(LOAD_NS, LOAD_MS, NS) \
    X(LOAD_S, LOAD_MS, S) \
    X(QUEUE_MS, QUEUE_MS, MS) \
    X(QUEUE_S, QUEUE_MS, S) \
    X(FIRST_MS, FIRST_MS, MS) \
    X(FIRST_S, FIRST_MS, S) \
    X(PROMPT_NS, PROMPT_MS, NS) \
    X(PROMPT_MS, PROMPT_MS, MS) \
    X(PROMPT_S, PROMPT_MS, S) \
    X(EVAL_NS, EVAL_MS, NS) \
    X(EVAL_MS, EVAL_MS, MS) \
    X(EVAL_S, EVAL_MS, S) \
    X(TOTAL_NS, TOTAL_MS, NS) \
    X(TOTAL_S, TOTAL_MS, S) \
    X(PROMPT_RATE, PROMPT_RATE, RATE) \
    X(EVAL_RATE, EVAL_RATE, RATE) \
    X(AUDIO_S, AUDIO_MS, S)

/* The places in a JSON text that matter. What they hold is in ad_places. */
enum ad_path {
    AD_PATH_NONE, /* no place: the value does not matter */
    AD_PATH_TOP,     /* an event or a whole answer */
    AD_PATH_REQUEST, /* a request's body */
    AD_PATH_LIST,    /* several events or whole answers in an array */
    AD_PATH_CHOICES,
    AD_PATH_CHOICE,
    AD_PATH_CANDIDATES, /* Gemini's choices */
    AD_PATH_CANDIDATE,
    AD_PATH_DELTA,
    AD_PATH_CALLS,
    AD_PATH_CALL,
    AD_PATH_MESSAGE,
    AD_PATH_MESSAGE_USAGE,
    AD_PATH_RESPONSE,
    AD_PATH_AROUND,
    AD_PATH_INCOMPLETE,
    AD_PATH_META_INFO, /* the usage of SGLang */
    AD_PATH_RESULTS, /* texts, each with its usage */
    AD_PATH_USAGE,
    AD_PATH_DETAILS,
    AD_PATH_DRAFTS,
    AD_PATH_TIMINGS,
    AD_PATH_PROGRESS,
    AD_PATH_TGI_TOKEN,
    AD_PATH_TGI_DETAILS,
    AD_PATH_OPENAI_LIST, /* GET /v1/models */
    AD_PATH_OLLAMA_LIST, /* GET /api/tags, /api/ps */
    AD_PATH_PROPS,       /* GET /props of llama-server */
    AD_PATH_PROPS_SETTINGS,
    AD_PATH_LIST_ITEMS,
    AD_PATH_LIST_ITEM,
    AD_PATH_LIST_STATE,
    AD_PATH_LIST_META,
    AD_PATH_ERROR,    /* what is wrong: a string, or an object with a sentence */
    AD_PATH_SENTENCE,
    AD_PATH_DETAIL,   /* what is wrong, if the status says that something is */
    AD_PATH_TEXT,     /* of the answer: it only counts whether it is empty */
    AD_PATH_THINKING, /* likewise */
    AD_PATH_TGI_TEXT, /* a string here ends the stream */
    AD_PATH_STOP,     /* true ends the stream: llama-server */
    AD_PATH_DONE,     /* and Ollama */
    AD_PATH_TRUNCATED, /* true: of the prompt or of the answer */
    AD_PATH_STREAM,
    AD_PATH_MODEL,
    AD_PATH_TYPE,
    AD_PATH_OBJECT,
    AD_PATH_FINISH,   /* a finish reason */
    AD_PATH_LAST,     /* one that ends the stream, too */
    AD_PATH_LIST_NAME,
    AD_PATH_LIST_OWNER,
    AD_PATH_LIST_STATUS,
    AD_PATH_LIST_CONTEXT, /* tokens */
    AD_PATH_LIST_SIZE,    /* bytes in memory; of /api/tags: of the file */
    AD_PATH_LIST_VRAM,    /* of them, on the GPU */
#define AD_NUMBER_PATH(name, fact, unit) AD_PATH_##name,
    AD_NUMBER_PLACES(AD_NUMBER_PATH)
#undef AD_NUMBER_PATH
    AD_PATH_COUNT
};
_Static_assert(AD_PATH_COUNT <= 255, "a place has 8 bits");

/* The keys of each object, and where they lead. The shortest come first: see
 * struct ad_json_place. */
static const struct ad_json_key ad_keys_request[] = {
    AD_JSON_KEY_TO("model", AD_PATH_MODEL),
    AD_JSON_KEY_TO("stream", AD_PATH_STREAM),
};

static const struct ad_json_key ad_keys_top[] = {
    AD_JSON_KEY_TO("done", AD_PATH_DONE), /* Ollama */
    AD_JSON_KEY_TO("meta", AD_PATH_AROUND), /* Cohere */
    AD_JSON_KEY_TO("stop", AD_PATH_STOP), /* llama-server */
    AD_JSON_KEY_TO("text", AD_PATH_TEXT), /* SGLang, speaches */
    AD_JSON_KEY_TO("type", AD_PATH_TYPE),
    AD_JSON_KEY_TO("delta", AD_PATH_DELTA),
    AD_JSON_KEY_TO("error", AD_PATH_ERROR),
    AD_JSON_KEY_TO("model", AD_PATH_MODEL),
    AD_JSON_KEY_TO("stats", AD_PATH_USAGE), /* LM Studio */
    AD_JSON_KEY_TO("token", AD_PATH_TGI_TOKEN), /* TGI; KoboldCpp: text */
    AD_JSON_KEY_TO("usage", AD_PATH_USAGE),
    AD_JSON_KEY_TO("detail", AD_PATH_DETAIL), /* FastAPI: an error */
    AD_JSON_KEY_TO("object", AD_PATH_OBJECT),
    AD_JSON_KEY_TO("result", AD_PATH_AROUND), /* LM Studio */
    AD_JSON_KEY_TO("x_groq", AD_PATH_AROUND), /* Groq */
    AD_JSON_KEY_TO("choices", AD_PATH_CHOICES), /* OpenAI */
    AD_JSON_KEY_TO("content", AD_PATH_TEXT), /* llama-server, LM Studio */
    AD_JSON_KEY_TO("details", AD_PATH_TGI_DETAILS), /* TGI */
    AD_JSON_KEY_TO("message", AD_PATH_MESSAGE), /* Anthropic, Ollama; of an error: text */
    AD_JSON_KEY_TO("metrics", AD_PATH_USAGE), /* vLLM */
    AD_JSON_KEY_TO("results", AD_PATH_RESULTS), /* KoboldCpp */
    AD_JSON_KEY_TO("timings", AD_PATH_TIMINGS), /* llama-server */
    AD_JSON_KEY_TO("duration", AD_PATH_AUDIO_S), /* transcriptions */
    AD_JSON_KEY_TO("progress", AD_PATH_FRACTION), /* LM Studio */
    AD_JSON_KEY_TO("response", AD_PATH_RESPONSE), /* /v1/responses; Ollama: text */
    AD_JSON_KEY_TO("thinking", AD_PATH_THINKING), /* Ollama */
    AD_JSON_KEY_TO("meta_info", AD_PATH_META_INFO), /* SGLang */
    AD_JSON_KEY_TO("stop_type", AD_PATH_FINISH), /* llama-server */
    AD_JSON_KEY_TO("truncated", AD_PATH_TRUNCATED), /* llama-server */
    AD_JSON_KEY_TO("candidates", AD_PATH_CANDIDATES), /* Gemini */
    AD_JSON_KEY_TO("eval_count", AD_PATH_COMPLETION), /* Ollama */
    AD_JSON_KEY_TO("done_reason", AD_PATH_FINISH), /* Ollama */
    AD_JSON_KEY_TO("stop_reason", AD_PATH_FINISH), /* Anthropic */
    AD_JSON_KEY_TO("modelVersion", AD_PATH_MODEL), /* Gemini */
    AD_JSON_KEY_TO("eval_duration", AD_PATH_EVAL_NS), /* Ollama */
    AD_JSON_KEY_TO("finish_reason", AD_PATH_LAST), /* KoboldCpp */
    AD_JSON_KEY_TO("load_duration", AD_PATH_LOAD_NS), /* Ollama */
    AD_JSON_KEY_TO("usageMetadata", AD_PATH_USAGE), /* Gemini */
    AD_JSON_KEY_TO("generated_text", AD_PATH_TGI_TEXT), /* TGI */
    AD_JSON_KEY_TO("total_duration", AD_PATH_TOTAL_NS), /* Ollama */
    AD_JSON_KEY_TO("prompt_progress", AD_PATH_PROGRESS), /* llama-server */
    AD_JSON_KEY_TO("tokens_evaluated", AD_PATH_PROMPT), /* llama-server */
    AD_JSON_KEY_TO("tokens_predicted", AD_PATH_PREDICTED), /* llama-server */
    AD_JSON_KEY_TO("model_instance_id", AD_PATH_MODEL), /* LM Studio */
    AD_JSON_KEY_TO("prompt_eval_count", AD_PATH_PROMPT), /* Ollama */
    AD_JSON_KEY_TO("incomplete_details", AD_PATH_INCOMPLETE), /* /v1/responses */
    AD_JSON_KEY_TO("prompt_eval_duration", AD_PATH_PROMPT_NS), /* Ollama */
    AD_JSON_KEY_TO("prompt_eval_cached_count", AD_PATH_CACHED), /* Ollama */
};

static const struct ad_json_key ad_keys_choice[] = {
    AD_JSON_KEY_TO("text", AD_PATH_TEXT),
    AD_JSON_KEY_TO("delta", AD_PATH_DELTA),
    AD_JSON_KEY_TO("usage", AD_PATH_USAGE), /* Kimi */
    AD_JSON_KEY_TO("finish_reason", AD_PATH_FINISH),
};

/* Gemini */
static const struct ad_json_key ad_keys_candidate[] = {
    AD_JSON_KEY_TO("content", AD_PATH_TEXT),
    AD_JSON_KEY_TO("finishReason", AD_PATH_LAST),
};

/* Text in parts: Mistral, Gemini, Cohere, OpenRouter */
static const struct ad_json_key ad_keys_text[] = {
    AD_JSON_KEY_TO("text", AD_PATH_TEXT),
    AD_JSON_KEY_TO("parts", AD_PATH_TEXT), /* Gemini */
    AD_JSON_KEY_TO("summary", AD_PATH_TEXT), /* OpenRouter */
    AD_JSON_KEY_TO("thinking", AD_PATH_THINKING), /* Mistral */
    AD_JSON_KEY_TO("functionCall", AD_PATH_CALL), /* Gemini */
};

static const struct ad_json_key ad_keys_thinking[] = {
    AD_JSON_KEY_TO("text", AD_PATH_THINKING),
    AD_JSON_KEY_TO("summary", AD_PATH_THINKING), /* OpenRouter */
};

static const struct ad_json_key ad_keys_delta[] = {
    AD_JSON_KEY_TO("text", AD_PATH_TEXT), /* Anthropic */
    AD_JSON_KEY_TO("usage", AD_PATH_AROUND), /* Cohere */
    AD_JSON_KEY_TO("content", AD_PATH_TEXT),
    AD_JSON_KEY_TO("message", AD_PATH_DELTA), /* Cohere */
    AD_JSON_KEY_TO("refusal", AD_PATH_TEXT),
    AD_JSON_KEY_TO("thinking", AD_PATH_THINKING), /* Anthropic */
    AD_JSON_KEY_TO("reasoning", AD_PATH_THINKING), /* vLLM */
    AD_JSON_KEY_TO("tool_plan", AD_PATH_TEXT), /* Cohere */
    AD_JSON_KEY_TO("tool_calls", AD_PATH_CALLS),
    AD_JSON_KEY_TO("stop_reason", AD_PATH_FINISH), /* Anthropic */
    AD_JSON_KEY_TO("partial_json", AD_PATH_TEXT), /* Anthropic */
    AD_JSON_KEY_TO("finish_reason", AD_PATH_FINISH), /* Cohere */
    AD_JSON_KEY_TO("function_call", AD_PATH_CALL),
    AD_JSON_KEY_TO("reasoning_text", AD_PATH_THINKING),
    AD_JSON_KEY_TO("reasoning_content", AD_PATH_THINKING), /* DeepSeek, llama-server */
    AD_JSON_KEY_TO("reasoning_details", AD_PATH_THINKING), /* OpenRouter */
};

/* Counts and times in all their names, wherever they stand */
static const struct ad_json_key ad_keys_usage[] = {
    AD_JSON_KEY_TO("extra", AD_PATH_USAGE), /* MLC-LLM */
    AD_JSON_KEY_TO("ttft_s", AD_PATH_FIRST_S), /* MLC-LLM */
    AD_JSON_KEY_TO("seconds", AD_PATH_AUDIO_S), /* transcriptions */
    AD_JSON_KEY_TO("queue_time", AD_PATH_QUEUE_S), /* Groq */
    AD_JSON_KEY_TO("total_time", AD_PATH_TOTAL_S), /* Groq */
    AD_JSON_KEY_TO("e2e_latency", AD_PATH_TOTAL_S), /* SGLang */
    AD_JSON_KEY_TO("inputTokens", AD_PATH_INPUT), /* Bedrock */
    AD_JSON_KEY_TO("prompt_time", AD_PATH_PROMPT_S), /* Groq */
    AD_JSON_KEY_TO("totalTokens", AD_PATH_TOTAL), /* Bedrock */
    AD_JSON_KEY_TO("input_tokens", AD_PATH_INPUT), /* Anthropic, /v1/responses */
    AD_JSON_KEY_TO("outputTokens", AD_PATH_COMPLETION), /* Bedrock */
    AD_JSON_KEY_TO("total_tokens", AD_PATH_TOTAL),
    AD_JSON_KEY_TO("cached_tokens", AD_PATH_CACHED), /* Kimi, SGLang */
    AD_JSON_KEY_TO("eval_duration", AD_PATH_EVAL_S), /* rkllama */
    AD_JSON_KEY_TO("finish_reason", AD_PATH_FINISH), /* SGLang */
    AD_JSON_KEY_TO("output_tokens", AD_PATH_COMPLETION), /* Anthropic, /v1/responses */
    AD_JSON_KEY_TO("prompt_tokens", AD_PATH_PROMPT),
    AD_JSON_KEY_TO("queue_time_ms", AD_PATH_QUEUE_MS), /* vLLM */
    AD_JSON_KEY_TO("total_duration", AD_PATH_TOTAL_S), /* rkllama */
    AD_JSON_KEY_TO("completion_time", AD_PATH_EVAL_S), /* Groq */
    AD_JSON_KEY_TO("generation_time", AD_PATH_EVAL_S), /* LM Studio */
    AD_JSON_KEY_TO("totalTokenCount", AD_PATH_TOTAL), /* Gemini */
    AD_JSON_KEY_TO("promptTokenCount", AD_PATH_PROMPT), /* Gemini */
    AD_JSON_KEY_TO("reasoning_tokens", AD_PATH_REASONING), /* SGLang */
    AD_JSON_KEY_TO("completion_tokens", AD_PATH_COMPLETION),
    AD_JSON_KEY_TO("decoding_duration", AD_PATH_EVAL_S), /* FastFlowLM */
    AD_JSON_KEY_TO("prefill_speed_tps", AD_PATH_PROMPT_RATE), /* FastFlowLM */
    AD_JSON_KEY_TO("tokens_per_second", AD_PATH_EVAL_RATE), /* rkllama, vLLM, LM Studio */
    AD_JSON_KEY_TO("decoding_speed_tps", AD_PATH_EVAL_RATE), /* FastFlowLM */
    AD_JSON_KEY_TO("generation_time_ms", AD_PATH_EVAL_MS), /* vLLM */
    AD_JSON_KEY_TO("thoughtsTokenCount", AD_PATH_THOUGHTS), /* Gemini */
    AD_JSON_KEY_TO("decode_tokens_per_s", AD_PATH_EVAL_RATE), /* MLC-LLM */
    AD_JSON_KEY_TO("time_to_first_token", AD_PATH_FIRST_S), /* LM Studio */
    AD_JSON_KEY_TO("total_output_tokens", AD_PATH_COMPLETION), /* LM Studio */
    AD_JSON_KEY_TO("cacheReadInputTokens", AD_PATH_CACHE_READ), /* Bedrock */
    AD_JSON_KEY_TO("candidatesTokenCount", AD_PATH_ANSWER), /* Gemini */
    AD_JSON_KEY_TO("end_to_end_latency_s", AD_PATH_TOTAL_S), /* MLC-LLM */
    AD_JSON_KEY_TO("input_tokens_details", AD_PATH_DETAILS),
    AD_JSON_KEY_TO("prefill_tokens_per_s", AD_PATH_PROMPT_RATE), /* MLC-LLM */
    AD_JSON_KEY_TO("prompt_eval_duration", AD_PATH_PROMPT_S), /* rkllama */
    AD_JSON_KEY_TO("speculative_decoding", AD_PATH_DRAFTS), /* vLLM */
    AD_JSON_KEY_TO("cacheWriteInputTokens", AD_PATH_CACHE_WRITE), /* Bedrock */
    AD_JSON_KEY_TO("output_tokens_details", AD_PATH_DETAILS),
    AD_JSON_KEY_TO("prefill_duration_ttft", AD_PATH_PROMPT_S), /* FastFlowLM */
    AD_JSON_KEY_TO("prompt_tokens_details", AD_PATH_DETAILS),
    AD_JSON_KEY_TO("time_to_first_token_ms", AD_PATH_FIRST_MS), /* vLLM */
    AD_JSON_KEY_TO("cache_read_input_tokens", AD_PATH_CACHE_READ), /* Anthropic */
    AD_JSON_KEY_TO("cachedContentTokenCount", AD_PATH_CACHED), /* Gemini */
    AD_JSON_KEY_TO("model_load_time_seconds", AD_PATH_LOAD_S), /* LM Studio */
    AD_JSON_KEY_TO("prompt_cache_hit_tokens", AD_PATH_CACHED), /* DeepSeek */
    AD_JSON_KEY_TO("reasoning_output_tokens", AD_PATH_REASONING), /* LM Studio */
    AD_JSON_KEY_TO("timing_token_generation", AD_PATH_EVAL_MS), /* LocalAI */
    AD_JSON_KEY_TO("timing_prompt_processing", AD_PATH_PROMPT_MS), /* LocalAI */
    AD_JSON_KEY_TO("completion_tokens_details", AD_PATH_DETAILS),
    AD_JSON_KEY_TO("cache_creation_input_tokens", AD_PATH_CACHE_WRITE), /* Anthropic */
    AD_JSON_KEY_TO("time_to_first_token_seconds", AD_PATH_FIRST_S), /* LM Studio */
};

static const struct ad_json_key ad_keys_details[] = {
    AD_JSON_KEY_TO("cached_tokens", AD_PATH_CACHED),
    AD_JSON_KEY_TO("reasoning_tokens", AD_PATH_REASONING),
};

static const struct ad_json_key ad_keys_drafts[] = {
    AD_JSON_KEY_TO("num_draft_tokens", AD_PATH_DRAFT_N),
    AD_JSON_KEY_TO("num_accepted_draft_tokens", AD_PATH_DRAFT_ACCEPTED),
};

/* An object around an answer or around its counts: of /v1/responses, LM Studio,
 * Groq, Cohere */
static const struct ad_json_key ad_keys_around[] = {
    AD_JSON_KEY_TO("error", AD_PATH_ERROR),
    AD_JSON_KEY_TO("model", AD_PATH_MODEL),
    AD_JSON_KEY_TO("stats", AD_PATH_USAGE), /* LM Studio */
    AD_JSON_KEY_TO("usage", AD_PATH_USAGE),
    AD_JSON_KEY_TO("tokens", AD_PATH_USAGE), /* Cohere */
    AD_JSON_KEY_TO("timings", AD_PATH_TIMINGS),
    AD_JSON_KEY_TO("billed_units", AD_PATH_USAGE), /* Cohere */
    AD_JSON_KEY_TO("model_instance_id", AD_PATH_MODEL), /* LM Studio */
    AD_JSON_KEY_TO("incomplete_details", AD_PATH_INCOMPLETE),
};

static const struct ad_json_key ad_keys_incomplete[] = {
    AD_JSON_KEY_TO("reason", AD_PATH_FINISH),
};

/* SGLang */
static const struct ad_json_key ad_keys_finish[] = {
    AD_JSON_KEY_TO("type", AD_PATH_FINISH),
};

static const struct ad_json_key ad_keys_error[] = {
    AD_JSON_KEY_TO("msg", AD_PATH_SENTENCE),
    AD_JSON_KEY_TO("message", AD_PATH_SENTENCE),
};

static const struct ad_json_key ad_keys_message[] = {
    AD_JSON_KEY_TO("model", AD_PATH_MODEL), /* Anthropic */
    AD_JSON_KEY_TO("usage", AD_PATH_MESSAGE_USAGE), /* Anthropic */
    AD_JSON_KEY_TO("content", AD_PATH_TEXT), /* Ollama */
    AD_JSON_KEY_TO("thinking", AD_PATH_THINKING), /* Ollama */
    AD_JSON_KEY_TO("tool_calls", AD_PATH_CALLS), /* Ollama */
};

/* This usage knows the prompt, but not yet the answer. */
static const struct ad_json_key ad_keys_message_usage[] = {
    AD_JSON_KEY_TO("input_tokens", AD_PATH_INPUT),
    AD_JSON_KEY_TO("cache_read_input_tokens", AD_PATH_CACHE_READ),
    AD_JSON_KEY_TO("cache_creation_input_tokens", AD_PATH_CACHE_WRITE),
};

static const struct ad_json_key ad_keys_timings[] = {
    AD_JSON_KEY_TO("cache_n", AD_PATH_CACHE_N),
    AD_JSON_KEY_TO("draft_n", AD_PATH_DRAFT_N),
    AD_JSON_KEY_TO("prompt_n", AD_PATH_PROMPT_N),
    AD_JSON_KEY_TO("prompt_ms", AD_PATH_PROMPT_MS),
    AD_JSON_KEY_TO("predicted_n", AD_PATH_PREDICTED),
    AD_JSON_KEY_TO("predicted_ms", AD_PATH_EVAL_MS),
    AD_JSON_KEY_TO("draft_n_accepted", AD_PATH_DRAFT_ACCEPTED),
    AD_JSON_KEY_TO("prompt_per_second", AD_PATH_PROMPT_RATE),
    AD_JSON_KEY_TO("predicted_per_second", AD_PATH_EVAL_RATE),
};

static const struct ad_json_key ad_keys_progress[] = {
    AD_JSON_KEY_TO("cache", AD_PATH_PROGRESS_CACHED),
    AD_JSON_KEY_TO("total", AD_PATH_PROGRESS_TOTAL),
    AD_JSON_KEY_TO("time_ms", AD_PATH_PROGRESS_MS),
    AD_JSON_KEY_TO("processed", AD_PATH_PROGRESS_DONE),
};

static const struct ad_json_key ad_keys_tgi_token[] = {
    AD_JSON_KEY_TO("text", AD_PATH_TEXT),
};

static const struct ad_json_key ad_keys_tgi_details[] = {
    AD_JSON_KEY_TO("input_length", AD_PATH_PROMPT),
    AD_JSON_KEY_TO("finish_reason", AD_PATH_FINISH),
    AD_JSON_KEY_TO("generated_tokens", AD_PATH_COMPLETION),
};

static const struct ad_json_key ad_keys_openai_list[] = {
    AD_JSON_KEY_TO("data", AD_PATH_LIST_ITEMS),
    AD_JSON_KEY_TO("error", AD_PATH_ERROR), /* llama-server: "Loading model" */
};

static const struct ad_json_key ad_keys_ollama_list[] = {
    AD_JSON_KEY_TO("models", AD_PATH_LIST_ITEMS),
};

static const struct ad_json_key ad_keys_list_item[] = {
    AD_JSON_KEY_TO("id", AD_PATH_LIST_NAME),
    AD_JSON_KEY_TO("meta", AD_PATH_LIST_META), /* llama-server */
    AD_JSON_KEY_TO("name", AD_PATH_LIST_NAME),
    AD_JSON_KEY_TO("size", AD_PATH_LIST_SIZE), /* Ollama */
    AD_JSON_KEY_TO("status", AD_PATH_LIST_STATE),
    AD_JSON_KEY_TO("owned_by", AD_PATH_LIST_OWNER),
    AD_JSON_KEY_TO("size_vram", AD_PATH_LIST_VRAM), /* Ollama */
    AD_JSON_KEY_TO("max_model_len", AD_PATH_LIST_CONTEXT), /* vLLM */
    AD_JSON_KEY_TO("context_length", AD_PATH_LIST_CONTEXT), /* Ollama */
};

/* The context of a slot, so of a request; n_ctx_train is not what the engine
 * gives. */
static const struct ad_json_key ad_keys_n_ctx[] = {
    AD_JSON_KEY_TO("n_ctx", AD_PATH_LIST_CONTEXT),
};

static const struct ad_json_key ad_keys_props[] = {
    AD_JSON_KEY_TO("error", AD_PATH_ERROR),
    AD_JSON_KEY_TO("default_generation_settings", AD_PATH_PROPS_SETTINGS),
};

/* llama-server's state of each model in its router mode */
static const struct ad_json_key ad_keys_list_state[] = {
    AD_JSON_KEY_TO("value", AD_PATH_LIST_STATUS),
};

/* What each place holds. A place that is not here holds a boolean, or an object or
 * an array of which the reader keeps nothing. */
static const struct ad_json_place ad_places[AD_PATH_COUNT] = {
    [AD_PATH_TOP] = {.kind = AD_JSON_ROOT, .list = AD_PATH_LIST,
                    AD_JSON_KEYS(ad_keys_top)},
    [AD_PATH_REQUEST] = {.kind = AD_JSON_ROOT, AD_JSON_KEYS(ad_keys_request)},
    [AD_PATH_LIST] = {.element = AD_PATH_TOP},
    [AD_PATH_CHOICES] = {.element = AD_PATH_CHOICE},
    [AD_PATH_CHOICE] = {AD_JSON_KEYS(ad_keys_choice)},
    [AD_PATH_CANDIDATES] = {.element = AD_PATH_CANDIDATE},
    [AD_PATH_CANDIDATE] = {AD_JSON_KEYS(ad_keys_candidate)},
    [AD_PATH_DELTA] = {AD_JSON_KEYS(ad_keys_delta)},
    [AD_PATH_CALLS] = {.element = AD_PATH_CALL},
    [AD_PATH_MESSAGE] = {.kind = AD_JSON_KEPT, AD_JSON_KEYS(ad_keys_message)},
    [AD_PATH_MESSAGE_USAGE] = {AD_JSON_KEYS(ad_keys_message_usage)},
    [AD_PATH_RESPONSE] = {AD_JSON_KEYS(ad_keys_around)},
    [AD_PATH_AROUND] = {AD_JSON_KEYS(ad_keys_around)},
    [AD_PATH_INCOMPLETE] = {AD_JSON_KEYS(ad_keys_incomplete)},
    [AD_PATH_META_INFO] = {AD_JSON_KEYS(ad_keys_usage)},
    [AD_PATH_RESULTS] = {.element = AD_PATH_USAGE},
    [AD_PATH_USAGE] = {AD_JSON_KEYS(ad_keys_usage)},
    [AD_PATH_DETAILS] = {AD_JSON_KEYS(ad_keys_details)},
    [AD_PATH_DRAFTS] = {AD_JSON_KEYS(ad_keys_drafts)},
    [AD_PATH_TIMINGS] = {AD_JSON_KEYS(ad_keys_timings)},
    [AD_PATH_PROGRESS] = {AD_JSON_KEYS(ad_keys_progress)},
    [AD_PATH_TGI_TOKEN] = {AD_JSON_KEYS(ad_keys_tgi_token)},
    [AD_PATH_TGI_DETAILS] = {AD_JSON_KEYS(ad_keys_tgi_details)},
    [AD_PATH_OPENAI_LIST] = {AD_JSON_KEYS(ad_keys_openai_list)},
    [AD_PATH_OLLAMA_LIST] = {AD_JSON_KEYS(ad_keys_ollama_list)},
    [AD_PATH_LIST_ITEMS] = {.element = AD_PATH_LIST_ITEM},
    [AD_PATH_LIST_ITEM] = {AD_JSON_KEYS(ad_keys_list_item)},
    [AD_PATH_LIST_STATE] = {AD_JSON_KEYS(ad_keys_list_state)},
    [AD_PATH_LIST_META] = {AD_JSON_KEYS(ad_keys_n_ctx)},
    [AD_PATH_PROPS] = {AD_JSON_KEYS(ad_keys_props)},
    [AD_PATH_PROPS_SETTINGS] = {AD_JSON_KEYS(ad_keys_n_ctx)},
    [AD_PATH_ERROR] = {.kind = AD_JSON_KEPT, AD_JSON_KEYS(ad_keys_error)},
    [AD_PATH_SENTENCE] = {.kind = AD_JSON_KEPT},
    [AD_PATH_DETAIL] = {.kind = AD_JSON_KEPT},
    [AD_PATH_TEXT] = {.element = AD_PATH_TEXT, AD_JSON_KEYS(ad_keys_text)},
    [AD_PATH_THINKING] = {.element = AD_PATH_THINKING,
                          AD_JSON_KEYS(ad_keys_thinking)},
    [AD_PATH_MODEL] = {.kind = AD_JSON_KEPT},
    [AD_PATH_TYPE] = {.kind = AD_JSON_KEPT},
    [AD_PATH_OBJECT] = {.kind = AD_JSON_KEPT},
    [AD_PATH_FINISH] = {.kind = AD_JSON_KEPT, AD_JSON_KEYS(ad_keys_finish)},
    [AD_PATH_LAST] = {.kind = AD_JSON_KEPT},
    [AD_PATH_LIST_NAME] = {.kind = AD_JSON_KEPT},
    [AD_PATH_LIST_OWNER] = {.kind = AD_JSON_KEPT},
    [AD_PATH_LIST_STATUS] = {.kind = AD_JSON_KEPT},
    [AD_PATH_LIST_CONTEXT] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_LIST_SIZE] = {.kind = AD_JSON_NUMBER},
    [AD_PATH_LIST_VRAM] = {.kind = AD_JSON_NUMBER},
#define AD_NUMBER_PLACE(name, what, how) \
    [AD_PATH_##name] = {.kind = AD_JSON_NUMBER, .fact = AD_FACT_##what, \
                        .unit = AD_UNIT_##how},
    AD_NUMBER_PLACES(AD_NUMBER_PLACE)
#undef AD_NUMBER_PLACE
};

/* Begin to read a JSON text of an engine, or for one, whose place is `path`. */
static void ad_path_begin(struct ad_json_stream *j, enum ad_path path)
{
    ad_json_stream_begin(j, ad_places, (uint8_t)path, AD_STREAM_DEPTH_MAX);
}

/* Is the key or the string just read this text? */
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
        len = ad_utf8_prefix((const uint8_t *)j->text, len);
    }
    if (ad_name_ok(j->text, len, max)) {
        memcpy(out, j->text, len);
        out[len] = '\0';
    }
}

#endif /* AIDASH_METER */

#endif
