/* codec/llm_scan.c: how each engine and API answers, as in its documentation or
 * its source. Each answer is read with LF, CR LF and CR, split at each byte, and
 * under other Content-Types. */
#include "scan_check.h"

/* Bodies: \n is the line end that is tried. */
#define EVENT(json) "data: " json "\n\n"
#define NAMED(name, rest) \
    "event: " name "\ndata: {\"type\":\"" name "\"" rest "}\n\n"
#define DELTA(delta) EVENT("{\"object\":\"chat.completion.chunk\",\"model\":\"m\"," \
    "\"choices\":[{\"index\":0,\"delta\":{" delta "},\"finish_reason\":null}]}")
#define TEXT_ DELTA("\"content\":\"a\"")
#define LAST(more) EVENT("{\"object\":\"chat.completion.chunk\",\"model\":\"m\"," \
    "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]" more "}")
#define USAGE(more) EVENT("{\"model\":\"m\",\"choices\":[]" more "}")
#define DONE EVENT("[DONE]")

static const struct dialect {
    const char *name, *type, *body;
    const char *facts; /* see facts(), times() and more() */
    const char *times; /* NULL: none */
    const char *more;
} dialects[] = {
    /* OpenAI */
    {"OpenAI chat completions", "text/event-stream",
     DELTA("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null") TEXT_
     DELTA("\"content\":\"b\"},\"obfuscation\":{\"text\":\"xyz\"")
     DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\"}}]")
     LAST(",\"usage\":null")
     USAGE(",\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":10,"
           "\"total_tokens\":29,\"prompt_tokens_details\":{\"cached_tokens\":8,"
           "\"audio_tokens\":0},\"completion_tokens_details\":{"
           "\"reasoning_tokens\":4,\"audio_tokens\":0}}") DONE,
     "6 3 0 | 10, 4 | 19/8 | stop | m | ended", NULL, ""},
    {"OpenAI chat completions: choices take turns", "text/event-stream",
     EVENT("{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"a\"}}]}")
     EVENT("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}")
     EVENT("{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"a\"},"
           "\"logprobs\":{\"content\":[{\"token\":\"a\"},{\"token\":\"b\"}]}}]}")
     USAGE(",\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":4,"
           "\"total_tokens\":23}") DONE,
     "4 3 0 | 4 | 19/ |  | m | ended", NULL, ""},
    {"OpenAI responses", "text/event-stream",
     NAMED("response.created", ",\"response\":{\"model\":\"m\",\"usage\":null,"
           "\"error\":null,\"output\":[]}")
     NAMED("response.output_item.added", ",\"item\":{\"content\":[]}")
     NAMED("response.reasoning_summary_text.delta", ",\"delta\":\"a\"")
     NAMED("response.output_text.delta", ",\"delta\":\"a\",\"logprobs\":[]")
     NAMED("response.refusal.delta", ",\"delta\":\"a\"")
     NAMED("response.function_call_arguments.delta", ",\"delta\":\"{}\"")
     NAMED("response.function_call_arguments.done", ",\"arguments\":\"{}\"")
     NAMED("response.output_text.done", ",\"text\":\"a\"")
     NAMED("response.output_audio.delta", ",\"delta\":\"AAAA\"")
     NAMED("response.completed", ",\"response\":{\"model\":\"m\",\"usage\":{"
           "\"input_tokens\":37,\"input_tokens_details\":{\"cached_tokens\":30},"
           "\"output_tokens\":11,\"output_tokens_details\":{"
           "\"reasoning_tokens\":5},\"total_tokens\":48}}"),
     "10 4 0 | 11, 5 | 37/30 |  | m | ended", NULL, "thinking 1 "},
    {"OpenAI responses, older audio", "text/event-stream",
     EVENT("{\"delta\":\"AAAA\",\"type\":\"response.audio.delta\"}")
     EVENT("{\"delta\":\"a\",\"type\":\"response.audio.transcript.delta\"}"),
     "2 1 0 | 1~ | / |  |  |", NULL, ""},
    {"OpenAI responses, failed", "text/event-stream",
     NAMED("response.failed", ",\"response\":{\"status\":\"failed\",\"error\":{"
           "\"code\":\"server_error\",\"message\":\"The model failed.\"}}"),
     "1 0 0 | 0 | / |  |  | ended failed 'The model failed.'", NULL, ""},
    {"OpenAI transcriptions", "text/event-stream",
     EVENT("{\"type\":\"transcript.text.delta\",\"delta\":\"a\"}")
     EVENT("{\"type\":\"transcript.text.segment\",\"text\":\"a\",\"start\":0}")
     EVENT("{\"type\":\"transcript.text.done\",\"text\":\"a\",\"usage\":{"
           "\"type\":\"tokens\",\"input_tokens\":14,\"input_token_details\":{"
           "\"audio_tokens\":14},\"output_tokens\":45,\"total_tokens\":59}}"),
     "3 1 0 | 45 | 14/ |  |  | ended", NULL, ""},
    {"OpenAI transcriptions: seconds", "application/json",
     "{\"text\":\"a\",\"usage\":{\"type\":\"duration\",\"seconds\":3}}",
     "1 0 0 | 0 | / |  |  | ended", NULL, "audio 3000.0 "},
    {"OpenAI transcriptions: verbose_json", "application/json",
     "{\"task\":\"transcribe\",\"duration\":8.47,\"text\":\"a\",\"segments\":[{"
     "\"text\":\"a\"}]}", "1 0 0 | 0 | / |  |  | ended", NULL, "audio 8470.0 "},
    {"OpenAI speech", "text/event-stream",
     EVENT("{\"type\":\"speech.audio.delta\",\"audio\":\"AAAA\"}")
     EVENT("{\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":14,"
           "\"output_tokens\":101,\"total_tokens\":115}}"),
     "2 0 0 | 101 | 14/ |  |  | ended", NULL, ""},
    {"OpenAI images", "text/event-stream",
     NAMED("image_generation.partial_image", ",\"b64_json\":\"AAAA\"")
     NAMED("image_generation.completed", ",\"b64_json\":\"AAAA\",\"usage\":{"
           "\"total_tokens\":100,\"input_tokens\":50,\"output_tokens\":50}"),
     "2 0 0 | 50 | 50/ |  |  | ended", NULL, ""},

    /* llama-server */
    {"llama-server chat", "text/event-stream",
     ": \n\n" DELTA("\"role\":\"assistant\",\"content\":null") TEXT_
     LAST(",\"timings\":{\"cache_n\":236,\"prompt_n\":4,\"prompt_ms\":30.958,"
          "\"prompt_per_second\":129.2,\"predicted_n\":35,"
          "\"predicted_ms\":661.064,\"predicted_per_second\":52.94,"
          "\"draft_n\":20,\"draft_n_accepted\":12}") DONE,
     "3 1 1 | 35 | 240/236 | stop | m | ended",
     "1 0.000 30.958 129.200 661.064 52.940 0.000 | 12/20 | 0 0 0 0 0.000", ""},
    {"llama-server: a single token has no rate", "text/event-stream",
     TEXT_ LAST(",\"timings\":{\"prompt_n\":10,\"prompt_ms\":20,"
                "\"predicted_n\":1,\"predicted_ms\":0.028,"
                "\"predicted_per_second\":35714.28}") DONE,
     "2 1 0 | 1 | 10/ | stop | m | ended",
     "1 0.000 20.000 500.000 0.028 0.000 0.000 | 0/0 | 0 0 0 0 0.000", ""},
    {"llama-server: the prompt's progress", "text/event-stream",
     USAGE(",\"prompt_progress\":{\"total\":3020,\"cache\":5,"
           "\"processed\":2048,\"time_ms\":5091}"),
     "1 0 0 | 0 | / |  | m |",
     "0 0.000 0.000 0.000 0.000 0.000 0.000 | 0/0 | 1 3020 5 2048 5091.000", ""},
    {"llama-server responses", "text/event-stream",
     NAMED("response.output_text.delta", ",\"delta\":\"a\"")
     NAMED("response.completed", ",\"response\":{\"model\":\"m\",\"usage\":{"
           "\"input_tokens\":24,\"output_tokens\":5,\"total_tokens\":29},"
           "\"timings\":{\"cache_n\":20,\"prompt_n\":4,\"prompt_ms\":8,"
           "\"predicted_n\":5,\"predicted_ms\":10,"
           "\"predicted_per_second\":500}}"),
     "2 1 0 | 5 | 24/20 |  | m | ended",
     "1 0.000 8.000 500.000 10.000 500.000 0.000 | 0/0 | 0 0 0 0 0.000", ""},
    {"llama-server messages", "text/event-stream",
     NAMED("message_start", ",\"message\":{\"model\":\"m\",\"usage\":{"
           "\"cache_read_input_tokens\":20,\"input_tokens\":4,"
           "\"output_tokens\":0}}")
     NAMED("content_block_delta", ",\"delta\":{\"type\":\"text_delta\","
           "\"text\":\"a\"}")
     NAMED("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\"},"
           "\"usage\":{\"output_tokens\":5}") NAMED("message_stop", ""),
     "4 1 0 | 5 | 24/20 | end_turn | m | ended", NULL, ""},
    {"llama-server /completion", "text/event-stream",
     EVENT("{\"index\":0,\"content\":\"a\",\"tokens\":[1],\"stop\":false}")
     EVENT("{\"index\":0,\"content\":\"\",\"stop\":true,\"stop_type\":\"eos\","
           "\"tokens_predicted\":6,\"tokens_evaluated\":8,\"tokens_cached\":13,"
           "\"truncated\":false}"), "2 1 0 | 6 | 8/ | eos |  | ended", NULL, ""},
    {"llama-server /infill: an array", "application/json",
     "[{\"index\":0,\"content\":\"a\",\"stop\":true,\"tokens_predicted\":3,"
     "\"tokens_evaluated\":7,\"timings\":{\"prompt_n\":7,\"prompt_ms\":7,"
     "\"predicted_n\":3,\"predicted_ms\":6,\"predicted_per_second\":500}}]",
     "1 0 0 | 3 | 7/ |  |  | ended",
     "1 0.000 7.000 1000.000 6.000 500.000 0.000 | 0/0 | 0 0 0 0 0.000", ""},
    {"llama-server /embedding", "application/json",
     "[{\"index\":0,\"embedding\":[[0.1,-2e-3,3]]}]",
     "1 0 0 | 0 | / |  |  | ended", NULL, ""},
    {"llama-server /v1/rerank", "application/json",
     "{\"model\":\"m\",\"object\":\"list\",\"usage\":{\"prompt_tokens\":8,"
     "\"total_tokens\":8},\"results\":[{\"index\":0,\"relevance_score\":-1.5}]}",
     "1 0 0 | 0 | 8/ |  | m | ended", NULL, ""},
    {"TEI rerank", "application/json",
     "[{\"index\":1,\"score\":0.99},{\"index\":0,\"score\":0.01}]",
     "2 0 0 | 0 | / |  |  | ended", NULL, ""},
    {"llama-server models: a load is no answer", "text/event-stream",
     EVENT("{\"model\":\"m\",\"event\":\"status_change\",\"data\":{\"status\":"
           "\"loading\"}}"), "1 0 0 | 0 | / |  | m |", NULL, ""},

    /* vLLM, SGLang, TGI, mlx-lm, LocalAI and others */
    {"vLLM chat: usage in each event", "text/event-stream; charset=utf-8",
     EVENT("{\"model\":\"m\",\"choices\":[{\"delta\":{\"reasoning\":\"a\"}}],"
           "\"usage\":{\"prompt_tokens\":9,\"total_tokens\":11,"
           "\"completion_tokens\":2}}")
     EVENT("{\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"a\"}}],"
           "\"usage\":{\"prompt_tokens\":9,\"total_tokens\":14,"
           "\"completion_tokens\":5}}")
     USAGE(",\"usage\":{\"prompt_tokens\":9,\"total_tokens\":16,"
           "\"completion_tokens\":7},\"metrics\":{\"time_to_first_token_ms\":42,"
           "\"generation_time_ms\":120,\"queue_time_ms\":2.5,\"mean_itl_ms\":20,"
           "\"tokens_per_second\":50,\"speculative_decoding\":{"
           "\"num_draft_tokens\":8,\"num_accepted_draft_tokens\":6}}") DONE,
     "3 2 0 | 7 | 9/ |  | m | ended",
     "0 0.000 0.000 0.000 120.000 50.000 0.000 | 6/8 | 0 0 0 0 0.000",
     "thinking 1 queue 2.5 first 42.0 "},
    {"vLLM: an error, then the end mark", "text/event-stream",
     TEXT_ EVENT("{\"error\":{\"object\":\"error\",\"message\":\"EngineCore "
                 "died.\\nSee above.\",\"type\":\"InternalServerError\","
                 "\"code\":500}}") DONE,
     "2 1 0 | 1~ | / |  | m | ended failed 'EngineCore died. See above.'", NULL,
     ""},
    {"vLLM transcriptions", "text/event-stream",
     EVENT("{\"object\":\"transcription.chunk\",\"choices\":[{\"delta\":{"
           "\"content\":\"a\"}}]}")
     EVENT("{\"object\":\"transcription.chunk\",\"choices\":[],\"usage\":{"
           "\"prompt_tokens\":200,\"completion_tokens\":3,\"total_tokens\":203}}")
     DONE, "2 1 0 | 3 | 200/ |  |  | ended", NULL, ""},
    {"vLLM rerank: only a total", "application/json",
     "{\"id\":\"rerank-1\",\"model\":\"m\",\"usage\":{\"total_tokens\":56},"
     "\"results\":[]}", "1 0 0 | 0 | 56/ |  | m | ended", NULL, ""},
    {"Cohere rerank", "application/json",
     "{\"results\":[],\"meta\":{\"billed_units\":{\"search_units\":1},"
     "\"tokens\":{\"input_tokens\":31}}}", "1 0 0 | 0 | 31/ |  |  | ended", NULL,
     ""},
    {"Cohere chat", "text/event-stream",
     NAMED("content-delta", ",\"delta\":{\"message\":{\"content\":{\"text\":"
           "\"a\"}}}")
     NAMED("tool-call-start", ",\"delta\":{\"message\":{\"tool_calls\":{"
           "\"function\":{\"name\":\"f\"}}}}")
     NAMED("message-end", ",\"delta\":{\"finish_reason\":\"COMPLETE\",\"usage\":{"
           "\"billed_units\":{\"input_tokens\":3,\"output_tokens\":2},"
           "\"tokens\":{\"input_tokens\":71,\"output_tokens\":2}}}"),
     "3 2 0 | 2 | 71/ | COMPLETE |  | ended", NULL, ""},
    {"SGLang chat", "text/event-stream",
     DELTA("\"reasoning_content\":\"a\"") LAST("")
     USAGE(",\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":7,"
           "\"total_tokens\":16,\"reasoning_tokens\":5,"
           "\"prompt_tokens_details\":{\"cached_tokens\":4}}") DONE,
     "3 1 0 | 7, 5 | 9/4 | stop | m | ended", NULL, "thinking 1 "},
    {"SGLang /generate", "text/event-stream",
     EVENT("{\"text\":\"a\",\"meta_info\":{\"finish_reason\":null,"
           "\"prompt_tokens\":6,\"completion_tokens\":1,\"cached_tokens\":4}}")
     EVENT("{\"text\":\"a b\",\"meta_info\":{\"finish_reason\":{\"type\":"
           "\"length\",\"length\":2},\"prompt_tokens\":6,\"completion_tokens\":2,"
           "\"cached_tokens\":4,\"e2e_latency\":0.25}}") DONE,
     "2 2 0 | 2 | 6/4 | length |  | ended",
     "0 0.000 0.000 0.000 0.000 0.000 250.000 | 0/0 | 0 0 0 0 0.000", ""},
    {"SGLang, an error", "application/json",
     "{\"object\":\"error\",\"message\":\"Input is too long\",\"code\":400}",
     "1 0 0 | 0 | / |  |  | ended failed 'Input is too long'", NULL, ""},
    {"TGI /generate_stream", "text/event-stream",
     "data:{\"index\":1,\"token\":{\"id\":5,\"text\":\"a\"},"
     "\"generated_text\":null,\"details\":null}\n\n"
     "data:{\"index\":2,\"token\":{\"id\":6,\"text\":\"b\"},\"generated_text\":"
     "\"ab\",\"details\":{\"finish_reason\":\"length\",\"generated_tokens\":20,"
     "\"input_length\":7}}\n\n", "2 2 0 | 20 | 7/ | length |  | ended", NULL, ""},
    {"mlx-lm", "text/event-stream",
     ": keepalive 0/4096\n\n: keepalive 2048/4096\n\n" TEXT_ LAST("")
     USAGE(",\"usage\":{\"prompt_tokens\":4096,\"completion_tokens\":2,"
           "\"total_tokens\":4098,\"prompt_tokens_details\":{"
           "\"cached_tokens\":0}}") DONE,
     "3 1 2 | 2 | 4096/0 | stop | m | ended",
     "0 0.000 0.000 0.000 0.000 0.000 0.000 | 0/0 | 1 4096 0 2048 0.000", ""},
    {"Lemonade, FastFlowLM", "text/event-stream",
     ": ping\n\n" TEXT_
     LAST(",\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":5,"
          "\"total_tokens\":35,\"load_duration\":1.5,"
          "\"prefill_duration_ttft\":0.6,\"decoding_duration\":0.25,"
          "\"prefill_speed_tps\":50,\"decoding_speed_tps\":20}") DONE,
     "2 1 1 | 5 | 30/ | stop | m | ended",
     "1 0.000 600.000 50.000 250.000 20.000 0.000 | 0/0 | 0 0 0 0 0.000", ""},
    {"LocalAI", "text/event-stream",
     EVENT("{\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"a\"}}],"
           "\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0,"
           "\"total_tokens\":0}}")
     LAST(",\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":5,"
          "\"total_tokens\":35,\"timing_prompt_processing\":60,"
          "\"timing_token_generation\":100}") DONE,
     "2 1 0 | 5 | 30/ | stop | m | ended",
     "1 0.000 60.000 500.000 100.000 50.000 0.000 | 0/0 | 0 0 0 0 0.000", ""},
    {"KoboldCpp", "text/event-stream",
     "event: message\ndata: {\"token\":\"a\",\"finish_reason\":null}\n\n"
     "event: message\ndata: {\"token\":\"\",\"finish_reason\":\"stop\"}\n\n",
     "2 1 0 | 1~ | / | stop |  | ended", NULL, ""},
    {"KoboldCpp /api/v1/generate", "application/json",
     "{\"results\":[{\"text\":\"a\",\"tool_calls\":[],\"finish_reason\":"
     "\"length\",\"logprobs\":null,\"prompt_tokens\":9,"
     "\"completion_tokens\":5}]}", "1 0 0 | 5 | 9/ | length |  | ended", NULL, ""},
    {"KoboldCpp as Ollama: times that can't be", "application/json",
     "{\"model\":\"m\",\"message\":{\"content\":\"a\"},\"done\":true,"
     "\"done_reason\":\"stop\",\"total_duration\":1,\"load_duration\":1,"
     "\"prompt_eval_count\":9,\"prompt_eval_duration\":1,\"eval_count\":5,"
     "\"eval_duration\":1}", "1 0 0 | 5 | 9/ | stop | m | ended", NULL, ""},
    {"MLC-LLM", "text/event-stream",
     TEXT_ USAGE(",\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":5,"
                 "\"total_tokens\":35,\"extra\":{\"prefill_tokens_per_s\":99,"
                 "\"decode_tokens_per_s\":9,\"ttft_s\":0.5,"
                 "\"end_to_end_latency_s\":1}}") DONE,
     "2 1 0 | 5 | 30/ |  | m | ended",
     "0 0.000 0.000 99.000 0.000 9.000 1000.000 | 0/0 | 0 0 0 0 0.000",
     "first 500.0 "},
    {"NIM", "application/json",
     "{\"model\":\"m\",\"choices\":[{\"message\":{\"content\":\"a\"},"
     "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":30,"
     "\"completion_tokens\":5,\"total_tokens\":35},\"stats\":{}}",
     "1 0 0 | 5 | 30/ | stop | m | ended", NULL, ""},
    {"whisper.cpp, Ollama", "application/json", "{\"text\":\" a\"}\n",
     "1 0 0 | 0 | / |  |  | ended", NULL, ""},
    {"whisper.cpp, as text", "text/plain", " a\n", "0 0 0 | 0 | / |  |  |", NULL,
     ""},
    {"speaches, older", "text/event-stream",
     EVENT("{\"text\":\"a\"}") EVENT("{\"text\":\"b\"}"),
     "2 2 0 | 2~ | / |  |  |", NULL, ""},

    /* Ollama and those that speak like it */
    {"Ollama /api/chat", "application/x-ndjson",
     "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\","
     "\"thinking\":\"a\"},\"done\":false}\n"
     "{\"model\":\"m\",\"message\":{\"content\":\"\",\"tool_calls\":[{"
     "\"function\":{\"name\":\"f\",\"arguments\":{\"usage\":{"
     "\"completion_tokens\":999},\"eval_count\":999,\"done\":true,\"error\":"
     "{\"message\":\"no\"}}}}]},\"done\":false}\n"
     "{\"model\":\"m\",\"message\":{\"content\":\"\"},\"done_reason\":\"stop\","
     "\"done\":true,\"total_duration\":5000000000,\"load_duration\":1000000000,"
     "\"prompt_eval_count\":26,\"prompt_eval_duration\":100000000,"
     "\"eval_count\":18,\"eval_duration\":2000000000}\n",
     "3 2 0 | 18 | 26/ | stop | m | ended",
     "1 1000.000 100.000 260.000 2000.000 9.000 5000.000 | 0/0 | 0 0 0 0 0.000",
     "thinking 1 "},
    {"Ollama: zeros are left out", "application/x-ndjson",
     "{\"model\":\"m\",\"response\":\"a\",\"done\":false}\n"
     "{\"model\":\"m\",\"response\":\"\",\"done\":true,\"done_reason\":\"stop\","
     "\"total_duration\":1000000,\"eval_count\":2,\"eval_duration\":1000000}\n",
     "2 1 0 | 2 | / | stop | m | ended",
     "0 0.000 0.000 0.000 1.000 2000.000 1.000 | 0/0 | 0 0 0 0 0.000", ""},
    {"Ollama, an error in a stream", "application/x-ndjson",
     "{\"model\":\"m\",\"response\":\"a\",\"done\":false}\n"
     "{\"error\":\"an error was encountered while running the model\"}\n",
     "2 1 0 | 1~ | / |  | m | failed "
     "'an error was encountered while running the model'", NULL, ""},
    {"Ollama: cached ones beside the prompt", "application/json",
     "{\"model\":\"m\",\"message\":{\"content\":\"OK\"},\"done\":true,"
     "\"done_reason\":\"stop\",\"prompt_eval_count\":26,"
     "\"prompt_eval_cached_count\":4000,\"prompt_eval_duration\":50000000,"
     "\"eval_count\":9,\"eval_duration\":200000000}",
     "1 0 0 | 9 | 26/ | stop | m | ended",
     "1 0.000 50.000 520.000 200.000 45.000 0.000 | 0/0 | 0 0 0 0 0.000", ""},
    {"Ollama /api/embed", "application/json",
     "{\"model\":\"m\",\"embeddings\":[[0.01]],\"total_duration\":14143917,"
     "\"load_duration\":1019500,\"prompt_eval_count\":8}",
     "1 0 0 | 0 | 8/ |  | m | ended",
     "0 1.020 0.000 0.000 0.000 0.000 14.144 | 0/0 | 0 0 0 0 0.000", ""},
    {"Ollama /v1/messages: the first count is an estimate", "text/event-stream",
     NAMED("message_start", ",\"message\":{\"model\":\"m\",\"usage\":{"
           "\"input_tokens\":12,\"output_tokens\":0}}")
     NAMED("content_block_delta", ",\"delta\":{\"type\":\"text_delta\","
           "\"text\":\"a\"}")
     NAMED("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\"},"
           "\"usage\":{\"input_tokens\":17,\"output_tokens\":3}")
     NAMED("message_stop", ""), "4 1 0 | 3 | 17/ | end_turn | m | ended", NULL,
     ""},
    {"Ollama's lines under application/json", "application/json; charset=utf-8",
     "{\"model\":\"m\",\"message\":{\"content\":\"a\"},\"done\":false}\n"
     "{\"model\":\"m\",\"message\":{\"content\":\"b\"},\"done\":false}\n"
     "{\"model\":\"m\",\"message\":{\"content\":\"\"},\"done\":true,"
     "\"prompt_eval_count\":26,\"eval_count\":9}\n",
     "3 2 0 | 9 | 26/ |  | m | ended", NULL, ""},
    {"hailo-ollama: no time of the prompt", "application/x-ndjson",
     "{\"model\":\"m\",\"message\":{\"content\":\"a\"},\"done\":false}\n"
     "{\"model\":\"m\",\"message\":{\"content\":\"\"},\"done\":true,"
     "\"done_reason\":\"stop\",\"total_duration\":2000000000,"
     "\"eval_count\":12}\n", "2 1 0 | 12 | / | stop | m | ended",
     "0 0.000 0.000 0.000 0.000 0.000 2000.000 | 0/0 | 0 0 0 0 0.000", ""},
    {"rkllama: seconds in its usage", "application/x-ndjson",
     "{\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"a\"},"
     "\"finish_reason\":null}]}\n"
     "{\"model\":\"m\",\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],"
     "\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":8,"
     "\"total_tokens\":28,\"tokens_per_second\":4,\"prompt_eval_duration\":0.5,"
     "\"eval_duration\":2,\"total_duration\":2.5}}\n",
     "2 1 0 | 8 | 20/ | stop | m | ended",
     "1 0.000 500.000 40.000 2000.000 4.000 2500.000 | 0/0 | 0 0 0 0 0.000", ""},

    /* Anthropic and those that speak like it */
    {"Anthropic messages", "text/event-stream; charset=utf-8",
     NAMED("message_start", ",\"message\":{\"model\":\"m\",\"content\":[],"
           "\"usage\":{\"input_tokens\":20,\"cache_creation_input_tokens\":425,"
           "\"cache_read_input_tokens\":4000,\"output_tokens\":1}}")
     NAMED("ping", "")
     NAMED("content_block_start", ",\"content_block\":{\"type\":\"thinking\","
           "\"thinking\":\"\",\"signature\":\"\"}")
     NAMED("content_block_delta", ",\"delta\":{\"type\":\"thinking_delta\","
           "\"thinking\":\"a\"}")
     NAMED("content_block_delta", ",\"delta\":{\"type\":\"signature_delta\","
           "\"signature\":\"AAAA\"}")
     NAMED("content_block_start", ",\"content_block\":{\"type\":"
           "\"redacted_thinking\",\"data\":\"AAAA\"}")
     NAMED("content_block_delta", ",\"delta\":{\"type\":\"input_json_delta\","
           "\"partial_json\":\"{\"}")
     NAMED("message_delta", ",\"delta\":{\"stop_reason\":\"tool_use\"},"
           "\"usage\":{\"output_tokens\":12}") NAMED("message_stop", ""),
     "9 2 0 | 12 | 4445/4000 | tool_use | m | ended", NULL, "thinking 1 "},
    {"Anthropic, the input told again without its cache", "text/event-stream",
     NAMED("message_start", ",\"message\":{\"model\":\"m\",\"usage\":{"
           "\"input_tokens\":20,\"cache_creation_input_tokens\":425,"
           "\"cache_read_input_tokens\":4000,\"output_tokens\":1}}")
     NAMED("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\"},"
           "\"usage\":{\"input_tokens\":20,\"output_tokens\":12}")
     NAMED("message_stop", ""),
     "3 0 0 | 12 | 4445/4000 | end_turn | m | ended", NULL, ""},
    {"Anthropic by others: nothing first", "text/event-stream",
     NAMED("message_start", ",\"message\":{\"model\":\"m\",\"usage\":{"
           "\"input_tokens\":0,\"output_tokens\":0}}")
     NAMED("content_block_delta", ",\"delta\":{\"text\":\"a\"}")
     NAMED("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\"},"
           "\"usage\":{\"input_tokens\":33,\"output_tokens\":5}") DONE,
     "3 1 0 | 5 | 33/ | end_turn | m | ended", NULL, ""},
    {"Anthropic, an error in mid-stream", "text/event-stream",
     NAMED("content_block_delta", ",\"delta\":{\"text\":\"a\"}")
     NAMED("error", ",\"error\":{\"type\":\"overloaded_error\",\"message\":"
           "\"Overloaded\"}"),
     "2 1 0 | 1~ | / |  |  | failed 'Overloaded'", NULL, ""},

    /* LM Studio */
    {"LM Studio /api/v0", "text/event-stream",
     TEXT_ LAST(",\"usage\":{\"prompt_tokens\":24,\"completion_tokens\":53,"
                "\"total_tokens\":77},\"stats\":{\"tokens_per_second\":51.4,"
                "\"time_to_first_token\":0.111,\"generation_time\":0.954,"
                "\"stop_reason\":\"eosFound\"},\"model_info\":{\"arch\":\"a\"},"
                "\"runtime\":{\"name\":\"b\"}") DONE,
     "2 1 0 | 53 | 24/ | stop | m | ended",
     "0 0.000 0.000 0.000 954.000 51.400 0.000 | 0/0 | 0 0 0 0 0.000",
     "first 111.0 "},
    {"LM Studio /api/v1/chat", "text/event-stream",
     NAMED("chat.start", ",\"model_instance_id\":\"m\"")
     NAMED("model_load.progress", ",\"model_instance_id\":\"m\","
           "\"progress\":0.25")
     NAMED("prompt_processing.progress", ",\"progress\":0.5")
     NAMED("reasoning.delta", ",\"content\":\"a\"")
     NAMED("message.delta", ",\"content\":\"a\"")
     NAMED("tool_call.arguments", ",\"arguments\":{\"usage\":{"
           "\"input_tokens\":9}}")
     NAMED("tool_call.success", ",\"output\":\"a\"")
     NAMED("chat.end", ",\"result\":{\"model_instance_id\":\"m\",\"output\":[{"
           "\"type\":\"message\",\"content\":\"a\"}],\"stats\":{"
           "\"input_tokens\":329,\"total_output_tokens\":268,"
           "\"reasoning_output_tokens\":5,\"tokens_per_second\":43.7,"
           "\"time_to_first_token_seconds\":0.781,"
           "\"model_load_time_seconds\":2.5}}"),
     "8 3 0 | 268, 5 | 329/ |  | m | ended",
     "0 2500.000 0.000 0.000 0.000 43.700 0.000 | 0/0 | 0 0 0 0 0.000",
     "thinking 1 first 781.0 loaded 0.25 read 0.50 "},

    /* Services */
    {"Gemini, an event stream", "text/event-stream",
     EVENT("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\","
           "\"thought\":true}]}}],\"usageMetadata\":{\"promptTokenCount\":8,"
           "\"thoughtsTokenCount\":30,\"totalTokenCount\":38},"
           "\"modelVersion\":\"m\"}")
     EVENT("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},"
           "\"finishReason\":\"STOP\"}],\"usageMetadata\":{"
           "\"promptTokenCount\":8,\"cachedContentTokenCount\":4,"
           "\"candidatesTokenCount\":12,\"thoughtsTokenCount\":30,"
           "\"totalTokenCount\":50}}"),
     "2 2 0 | 42, 30 | 8/4 | STOP | m | ended", NULL, ""},
    {"Gemini, one array", "application/json",
     "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n,\n"
     "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":"
     "\"f\",\"args\":{\"text\":\"a\"}}},{\"thoughtSignature\":\"AAAA\"}]},"
     "\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":8,"
     "\"candidatesTokenCount\":12,\"totalTokenCount\":20}}\n]\n",
     "2 2 0 | 12 | 8/ | STOP |  | ended", NULL, ""},
    {"Gemini, whole", "application/json",
     "{\n  \"candidates\": [\n    {\n      \"content\": {\n        \"parts\": [\n"
     "          {\"text\": \"a\"}\n        ]\n      },\n"
     "      \"finishReason\": \"STOP\"\n    }\n  ],\n  \"usageMetadata\": {\n"
     "    \"promptTokenCount\": 8,\n    \"candidatesTokenCount\": 12\n  }\n}\n",
     "1 0 0 | 12 | 8/ | STOP |  | ended", NULL, ""},
    {"OpenRouter", "text/event-stream",
     ": OPENROUTER PROCESSING\n\n"
     DELTA("\"content\":\"\",\"reasoning_details\":[{\"type\":\"reasoning.text\","
           "\"text\":\"a\",\"signature\":null}]")
     DELTA("\"content\":\"\",\"reasoning_details\":[{\"type\":"
           "\"reasoning.encrypted\",\"data\":\"AAAA\"}]")
     USAGE(",\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":60,"
           "\"total_tokens\":70,\"cost\":0.0014,\"prompt_tokens_details\":{"
           "\"cached_tokens\":2,\"cache_write_tokens\":8}}") DONE,
     "3 1 1 | 60 | 10/2 |  | m | ended", NULL, "thinking 1 "},
    {"OpenRouter, an error", "text/event-stream",
     TEXT_ EVENT("{\"model\":\"m\",\"error\":{\"code\":\"server_error\","
                 "\"message\":\"Provider disconnected\"},\"choices\":[{"
                 "\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}"),
     "2 1 0 | 1~ | / | error | m | ended failed 'Provider disconnected'", NULL,
     ""},
    {"Azure OpenAI", "text/event-stream",
     EVENT("{\"choices\":[],\"model\":\"\",\"prompt_filter_results\":[{"
           "\"content_filter_results\":{}}]}") TEXT_
     EVENT("{\"choices\":[{\"index\":0,\"finish_reason\":null,"
           "\"content_filter_results\":{\"hate\":{\"filtered\":false}},"
           "\"content_filter_offsets\":{\"end_offset\":1}}]}")
     LAST("") USAGE(",\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":6,"
                    "\"total_tokens\":16}") DONE,
     "5 1 0 | 6 | 10/ | stop | m | ended", NULL, ""},
    {"DeepSeek", "text/event-stream; charset=utf-8",
     ": keep-alive\n\n" DELTA("\"content\":null,\"reasoning_content\":\"a\"")
     LAST(",\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":40,"
          "\"total_tokens\":140,\"prompt_cache_hit_tokens\":64,"
          "\"prompt_cache_miss_tokens\":36}") DONE,
     "2 1 1 | 40 | 100/64 | stop | m | ended", NULL, "thinking 1 "},
    {"Kimi: usage in a choice", "text/event-stream",
     TEXT_ EVENT("{\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},"
                 "\"finish_reason\":\"stop\",\"usage\":{\"prompt_tokens\":31,"
                 "\"completion_tokens\":9,\"total_tokens\":40,"
                 "\"cached_tokens\":16}}]}") DONE,
     "2 1 0 | 9 | 31/16 | stop | m | ended", NULL, ""},
    {"Groq", "text/event-stream",
     TEXT_ LAST(",\"x_groq\":{\"id\":\"r\",\"usage\":{\"queue_time\":0.25,"
                "\"prompt_tokens\":20,\"prompt_time\":0.01,"
                "\"completion_tokens\":24,\"completion_time\":0.04,"
                "\"total_tokens\":44,\"total_time\":0.05}}") DONE,
     "2 1 0 | 24 | 20/ | stop | m | ended",
     "1 0.000 10.000 2000.000 40.000 600.000 50.000 | 0/0 | 0 0 0 0 0.000",
     "queue 250.0 "},
    {"xAI: thinking beside completion_tokens", "text/event-stream",
     DELTA("\"reasoning_content\":\"a\"")
     USAGE(",\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":2,"
           "\"total_tokens\":331,\"completion_tokens_details\":{"
           "\"reasoning_tokens\":317}}") DONE,
     "2 1 0 | 319, 317 | 12/ |  | m | ended", NULL, "thinking 1 "},
    {"Mistral: text and thinking in parts", "text/event-stream",
     DELTA("\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\","
           "\"text\":\"a\"}]}]")
     DELTA("\"content\":[{\"type\":\"text\",\"text\":\"a\"}]")
     DELTA("\"content\":[{\"type\":\"text\",\"text\":\"\"}]")
     DELTA("\"content\":\"a\"") LAST("") DONE,
     "5 3 0 | 3~ | / | stop | m | ended", NULL, "thinking 1 "},
    {"DashScope: an error by the event's name", "text/event-stream",
     TEXT_ "event: error\ndata: {\"request_id\":\"r\",\"code\":\"Invalid\","
     "\"message\":\"something went wrong\"}\n\n",
     "2 1 0 | 1~ | / |  | m | failed 'something went wrong'", NULL, ""},
    {"LiteLLM: prompt_tokens beside the cached ones", "application/json",
     "{\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":1206,"
     "\"completion_tokens\":9,\"total_tokens\":1215,"
     "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":1200}}",
     "1 0 0 | 9 | 1206/1200 |  | m | ended", NULL, ""},

    /* Framing */
    {"an event stream as text", "text/plain", TEXT_ LAST("") DONE,
     "2 1 0 | 1~ | / | stop | m | ended", NULL, ""},
    {"an event stream as lines", "application/x-ndjson", TEXT_ DONE,
     "1 1 0 | 1~ | / |  | m | ended", NULL, ""},
    {"an event stream of no type that begins with a comment", "",
     ": ok\n\n" TEXT_ DONE, "1 1 1 | 1~ | / |  | m | ended", NULL, ""},
    {"an event stream behind a byte order mark", "text/event-stream",
     "\xEF\xBB\xBF" TEXT_ DONE, "1 1 0 | 1~ | / |  | m | ended", NULL, ""},
    {"JSON behind a byte order mark", "application/json",
     "\xEF\xBB\xBF{\"model\":\"m\"}", "1 0 0 | 0 | / |  | m | ended", NULL, ""},
    {"JSON under an event stream's type", "text/event-stream",
     "{\"error\":{\"message\":\"no\"}}",
     "1 0 0 | 0 | / |  |  | ended failed 'no'", NULL, ""},
    {"JSON in lines under an event stream's type", "text/event-stream",
     "{\"response\":\"a\"}\n{\"response\":\"b\"}\n", "2 2 0 | 2~ | / |  |  |", NULL,
     ""},
    {"JSON of no type", "", "\n {\"model\":\"m\",\"usage\":{\"prompt_tokens\":3}}",
     "1 0 0 | 0 | 3/ |  | m | ended", NULL, ""},
    {"JSON in lines as text", "text/plain; charset=utf-8",
     "{\"response\":\"a\"}\n{\"response\":\"b\"}\n{\"done\":true}\n",
     "3 2 0 | 2~ | / |  |  | ended", NULL, ""},
    {"JSON in lines, jsonl", "application/jsonl",
     "{\"response\":\"a\"}\n\n{\"done\":true}", "2 1 0 | 1~ | / |  |  | ended", NULL,
     ""},
    {"JSON texts without anything between", "application/stream+json",
     "{\"response\":\"a\"}{\"response\":\"b\"}{\"done\":true}",
     "3 2 0 | 2~ | / |  |  | ended", NULL, ""},
    {"a JSON text sequence (RFC 7464)", "application/json-seq",
     "\x1E{\"response\":\"a\"}\n\x1E{\"response\":\"b\"}\n\x1E{\"done\":true}\n",
     "3 2 0 | 2~ | / |  |  | ended", NULL, ""},
    {"a JSON text sequence, one cut", "application/json-seq",
     "\x1E{\"response\":\"a\x1E{\"response\":\"b\"}\n\x1E{\"done\":true}\n",
     "2 1 0 | 1~ | / |  |  | ended JSON", NULL, ""},
    {"one JSON over several lines, under the type of lines",
     "application/x-ndjson", "{\n  \"message\": {\n    \"content\": \"a\"\n  },\n"
     "  \"eval_count\": 3,\n  \"done\": true\n}\n",
     "1 0 0 | 3 | / |  |  | ended", NULL, ""},
    {"a broken line", "application/x-ndjson",
     "{\"response\":\"a\"}\n{\"response\":\"b\n{\"response\":tru\n"
     "{\"response\":\"c\"}\n  {\"no\":1}}\n{\"done\":true}\n",
     "4 2 0 | 2~ | / |  |  | ended JSON", NULL, ""},
    {"a web page", "text/html", "<html>data: {\"model\":\"m\"}</html>\n",
     "0 0 0 | 0 | / |  |  |", NULL, ""},
    {"metrics", "text/plain; version=0.0.4", "# HELP a b\na 1\n",
     "0 0 0 | 0 | / |  |  |", NULL, ""},
    {"sound that looks like JSON", "audio/pcm", "{\"model\":\"m\"}",
     "0 0 0 | 0 | / |  |  |", NULL, ""},
    {"a field cut short", "application/json", "dat",
     "0 0 0 | 0 | / |  |  | JSON", NULL, ""},

    /* Usage */
    {"usage twice", "text/event-stream",
     TEXT_ EVENT("{\"model\":\"m\",\"choices\":[{\"delta\":{},\"finish_reason\":"
                 "\"length\",\"usage\":{\"prompt_tokens\":23,"
                 "\"completion_tokens\":235}}]}")
     USAGE(",\"usage\":{\"prompt_tokens\":23,\"completion_tokens\":235}") DONE,
     "3 1 0 | 235 | 23/ | length | m | ended", NULL, ""},
    {"usage before the finish reason, in parts", "text/event-stream",
     EVENT("{\"choices\":[],\"usage\":{\"prompt_tokens\":23,"
           "\"prompt_tokens_details\":{\"cached_tokens\":16}}}") TEXT_
     EVENT("{\"choices\":[],\"usage\":{\"completion_tokens\":5}}") LAST("") DONE,
     "4 1 0 | 5 | 23/16 | stop | m | ended", NULL, ""},
    {"counts as floats and as strings", "application/json",
     "{\"usage\":{\"prompt_tokens\":\"24\",\"completion_tokens\":5.0,"
     "\"prompt_tokens_details\":{\"cached_tokens\":\"16\"}}}",
     "1 0 0 | 5 | 24/16 |  |  | ended", NULL, ""},
    {"strings that are no counts", "application/json",
     "{\"usage\":{\"prompt_tokens\":\"24 tokens\",\"completion_tokens\":\"\","
     "\"total_tokens\":\"0x10\"}}", "1 0 0 | 0 | / |  |  | ended", NULL, ""},
    {"counts that can't be", "application/json",
     "{\"usage\":{\"prompt_tokens\":-3,\"completion_tokens\":1e10,"
     "\"prompt_tokens_details\":{\"cached_tokens\":4}},\"timings\":{"
     "\"predicted_ms\":2.5e14,\"prompt_ms\":-1,\"draft_n\":1,"
     "\"draft_n_accepted\":2},\"prompt_progress\":{\"total\":5,\"processed\":6}}",
     "1 0 0 | 0 | / |  |  | ended",
     "0 0.000 0.000 0.000 0.000 0.000 0.000 | 0/0 | 0 0 0 0 0.000", ""},
    {"rates that can't be", "application/json",
     "{\"usage\":{\"prompt_tokens\":1000000,\"completion_tokens\":2000,"
     "\"prompt_time\":1e-9,\"completion_time\":1e-9}}",
     "1 0 0 | 2000 | 1000000/ |  |  | ended",
     NULL, ""},
    {"no usage but a total, no prompt but a total", "application/json",
     "{\"usage\":{\"prompt_tokens\":10,\"total_tokens\":14}}\n"
     "{\"usage\":{\"completion_tokens\":4,\"total_tokens\":14}}",
     "2 0 0 | 4 | 10/ |  |  |", NULL, ""},

    /* Ends and errors */
    {"no end mark, but a finish reason", "text/event-stream", TEXT_ LAST(""),
     "2 1 0 | 1~ | / | stop | m | ended", NULL, ""},
    {"neither", "text/event-stream", TEXT_, "1 1 0 | 1~ | / |  | m |", NULL, ""},
    {"bytes behind the end mark", "text/event-stream", TEXT_ DONE ": bye\n\n",
     "1 1 1 | 1~ | / |  | m | ended", NULL, ""},
    {"an error that is no JSON", "text/event-stream",
     "event: error\ndata: CUDA out of memory\n\n",
     "0 0 0 | 0 | / |  |  | failed 'CUDA out of memory'", NULL, ""},
    {"an error that is no JSON, at the end", "text/event-stream",
     "event:error\ndata:no", "0 0 0 | 0 | / |  |  | failed 'no'", NULL, ""},
    {"an error whose name comes behind", "text/event-stream",
     "data: {\"code\":1}\nevent: error\n\n", "1 0 0 | 0 | / |  |  | failed", NULL,
     ""},
    {"an error's name is no other event's", "text/event-stream",
     "event: error\ndata: {\"message\":\"no\"}\n\n" TEXT_,
     "2 1 0 | 1~ | / |  | m | failed 'no'", NULL, ""},
    {"the first of several errors", "application/x-ndjson",
     "{\"error\":\"one\"}\n{\"error\":\"two\"}\n",
     "2 0 0 | 0 | / |  |  | failed 'one'", NULL, ""},
    {"an error told by a flag", "application/json",
     "{\"error\":true,\"message\":\"no\"}",
     "1 0 0 | 0 | / |  |  | ended failed 'no'", NULL, ""},
    {"an error of FastAPI", "application/json", "{\"detail\":\"Not Found\"}",
     "1 0 0 | 0 | / |  |  | ended", NULL, ""},
    {"a sentence of 200 bytes and more, whole characters", "application/json",
     "{\"error\":\"123456789 123456789 123456789 123456789 123456789 123456789 "
     "123456789 123456789 123456789 123456789 123456789 123456789 123456789 "
     "123456789 123456789 123456789 123456789 123456789 123456789 12345678"
     "\xE2\x82\xAC\xE2\x82\xAC\"}",
     "1 0 0 | 0 | / |  |  | ended failed '123456789 123456789 123456789 "
     "123456789 123456789 123456789 123456789 123456789 123456789 123456789 "
     "123456789 123456789 123456789 123456789 123456789 123456789 123456789 "
     "123456789 123456789 12345678'", NULL, ""},
    {"a sentence with controls", "application/json",
     "{\"error\":\"a\\u0000b\\nc\\u0085d\xE2\x80\xAE\xC3\xA9\"}",
     "1 0 0 | 0 | / |  |  | ended failed 'a b c  d   \xC3\xA9'", NULL, ""},
    {"a sentence that is no UTF-8", "application/json",
     "{\"error\":\"bad \xFF byte\"}", "1 0 0 | 0 | / |  |  | ended failed 'bad '",
     NULL, ""},
};

static const char no_times[] =
    "0 0.000 0.000 0.000 0.000 0.000 0.000 | 0/0 | 0 0 0 0 0.000";

/* What always holds, however little has come. */
static void check_sane(const struct reading *r)
{
    const struct ad_scan *s = &r->scan;

    CHECK(s->cached_tokens <= s->prompt_tokens);
    CHECK(!s->has_cached || s->has_prompt);
    CHECK(s->draft_accepted <= s->draft_tokens);
    CHECK(ad_utf8_ok((const uint8_t *)s->error, strlen(s->error)));
}

/* Read the answer in two pieces, split at each byte; then as if the connection
 * had broken there. */
static void read_at_each_split(const struct dialect *d, const char *answer,
                               size_t len)
{
    struct reading head, tail;
    size_t i;

    reading_begin(&head, false);
    for (i = 0; i <= len; i++) {
        tail = head;
        (void)feed(&tail, answer + i, len - i);
        reading_close(&tail);
        CHECK_STR(facts(&tail), d->facts);
        CHECK_STR(times(&tail), d->times != NULL ? d->times : no_times);
        CHECK_STR(more(&tail), d->more);
        check_sane(&tail);
        if (i < len) {
            (void)feed(&head, answer + i, 1);
            tail = head;
            reading_close(&tail);
            check_sane(&tail);
        }
    }
}

/* Whose API an answer speaks. */
static void test_names(void)
{
    static const struct {
        const char *body, *name;
    } answers[] = {
        {TEXT_, "openai"},
        {"{\"choices\":[{\"message\":{}}],\"usage\":{}}", "openai"},
        {NAMED("response.created", ",\"response\":{\"model\":\"m\"}"),
         "openai-responses"},
        {"{\"object\":\"response\",\"output\":[]}", "openai-responses"},
        {EVENT("{\"type\":\"transcript.text.delta\",\"delta\":\"a\"}"),
         "openai-audio"},
        {NAMED("message_start", ",\"message\":{\"model\":\"m\"}"), "anthropic"},
        {"{\"type\":\"message\",\"content\":[]}", "anthropic"},
        {"{\"response\":\"a\",\"done\":false}\n", "ollama"},
        {EVENT("{\"content\":\"a\",\"stop\":false}"), "llama-server"},
        {EVENT("{\"token\":{\"text\":\"a\"}}"), "tgi"},
        {EVENT("{\"token\":\"a\"}"), "koboldcpp"},
        {EVENT("{\"text\":\"a\",\"meta_info\":{}}"), "sglang"},
        {"[{\"candidates\":[]}]", "gemini"},
        {NAMED("chat.start", ""), "lm-studio"},
        {NAMED("content-delta", ",\"delta\":{}"), "cohere"},
        {"{\"data\":[{\"embedding\":[1]}]}", NULL},
        {"{\"tool\":{\"choices\":[],\"done\":true}}", NULL},
    };
    size_t i;

    for (i = 0; i < AD_COUNT(answers); i++) {
        struct reading s;
        char answer[512];

        printf("names: %s\n", answers[i].body);
        snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\n\r\n%s",
                 answers[i].body);
        read_in_pieces(&s, answer, strlen(answer), false, 1);
        CHECK_STR(s.scan.dialect != NULL ? s.scan.dialect : "-",
                  answers[i].name != NULL ? answers[i].name : "-");
    }
}

int main(void)
{
    static const char *const ends[] = {"\n", "\r\n", "\r"};
    static char answer[16384];
    size_t i, k;

    for (i = 0; i < AD_COUNT(dialects); i++) {
        const struct dialect *d = &dialects[i];

        printf("%s\n", d->name);
        for (k = 0; k < AD_COUNT(ends); k++) {
            struct ad_text t = ad_text_in(answer, sizeof(answer));
            const char *c;

            ad_putf(&t, "HTTP/1.1 200 OK\r\n%s%s\r\n\r\n",
                    d->type[0] != '\0' ? "Content-Type: " : "X: ", d->type);
            for (c = d->body; *c != '\0'; c++) {
                if (*c == '\n') {
                    ad_puts(&t, ends[k]);
                } else {
                    ad_put(&t, c, 1);
                }
            }
            CHECK(!t.full);
            read_at_each_split(d, answer, t.len);
        }
    }
    test_names();
    return check_report();
}
