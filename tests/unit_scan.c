/* codec/llm_scan.c and http_answer.c: true transcripts of llama-server, the wire
 * forms of the other engines, HTTP heads. Each answer is read whole, byte by
 * byte, and at random splits.
 *
 * usage: unit_scan [DIRECTORY of NAME.response, NAME.times and expected.tsv]
 */
#include "scan_check.h"

/* ---- transcripts ---- */

static uint8_t *load(const char *directory, const char *name,
                     const char *suffix, size_t *len)
{
    char path[512];
    FILE *file;
    uint8_t *data = NULL;
    long size;

    snprintf(path, sizeof(path), "%s/%s%s", directory, name, suffix);
    file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0) {
        rewind(file);
        data = calloc(1, (size_t)size + 1);
        *len = fread(data, 1, (size_t)size, file);
    }
    fclose(file);
    return data;
}

/* A row of expected.tsv, as ../expected.py of the engine's folder makes it. */
enum {
    COL_NAME, COL_STATUS, COL_CHUNKS, COL_EVENTS, COL_TOKEN_EVENTS,
    COL_COMMENTS, COL_TOKENS, COL_PROMPT, COL_CACHED, COL_FINISH, COL_FIRST,
    COL_LAST, COL_END, COLUMNS
};

/* Replays the reads as they came, and looks at the times of tokens. */
static void replay(const char *directory, char **row, const uint8_t *answer,
                   size_t len)
{
    size_t times_len = 0, at = 0;
    char *file = (char *)load(directory, row[COL_NAME], ".times", &times_len);
    char first[32] = "-", last[32] = "-", *line;
    struct reading s;

    if (file == NULL) {
        return;
    }
    reading_begin(&s, false);
    for (line = strtok(file, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char ms[32];
        size_t n;

        if (sscanf(line, "%31s %zu", ms, &n) != 2) {
            continue; /* the last line: how it ended */
        }
        CHECK(n <= len - at);
        if (feed(&s, answer + at, n) > 0) {
            memcpy(last, ms, sizeof(last));
            if (strcmp(first, "-") == 0) {
                memcpy(first, ms, sizeof(first));
            }
        }
        at += n;
    }
    CHECK_EQ(at, len);
    CHECK_STR(first, row[COL_FIRST]);
    CHECK_STR(last, row[COL_LAST]);
    free(file);
}

static void test_row(const char *directory, char **row)
{
    size_t len = 0;
    uint8_t *answer = load(directory, row[COL_NAME], ".response", &len);
    bool told = strcmp(row[COL_TOKENS], "-") != 0;
    bool ended = strcmp(row[COL_END], "cut") != 0;
    const char *finish = strrchr(row[COL_FINISH], ',');
    char expected[512];
    struct reading s;

    printf("%s\n", row[COL_NAME]);
    CHECK(answer != NULL);
    if (answer == NULL) {
        return;
    }
    finish = finish != NULL ? finish + 1 : row[COL_FINISH];
    read_all_ways(&s, answer, len, false);
    snprintf(expected, sizeof(expected), "%s %s %s | %s%s | %s/%s | %s | %s |%s",
             row[COL_EVENTS], row[COL_TOKEN_EVENTS], row[COL_COMMENTS],
             told ? row[COL_TOKENS] : row[COL_TOKEN_EVENTS],
             told || strcmp(row[COL_TOKEN_EVENTS], "0") == 0 ? "" : "~",
             strcmp(row[COL_PROMPT], "-") != 0 ? row[COL_PROMPT] : "",
             strcmp(row[COL_CACHED], "-") != 0 ? row[COL_CACHED] : "",
             strcmp(finish, "-") != 0 ? finish : "", s.scan.model,
             ended ? " ended" : " cut");
    CHECK_STR(facts(&s), expected);
    CHECK_EQ(s.answer.status, atoi(row[COL_STATUS]));
    CHECK(s.scan.events == 0 || s.scan.model[0] != '\0' ||
          strncmp(row[COL_NAME], "native", 6) == 0 || !ended);
    replay(directory, row, answer, len);
    free(answer);
}

/* Answers that are no streams, and so not in expected.tsv. */
static void test_whole_answers(const char *directory)
{
    static const struct {
        const char *name, *facts;
    } answers[] = {
        {"chat-plain", "1 0 0 | 12 | 24/23 | length | tiny-a | ended"},
        {"chat-plain-slow", "1 0 0 | 100 | 24/23 | length | mid | ended"},
        {"chat-plain-tool-call",
         "1 0 0 | 9 | 491/490 | tool_calls | tiny-tools | ended"},
        {"completions-plain", "1 0 0 | 8 | 6/5 | length | tiny-a | ended"},
        {"native-plain", "1 0 0 | 6 | 6/5 | limit | tiny-a | ended"},
        {"error-bad-json",
         "1 0 0 | 0 | / |  |  | ended failed '[json.exception.parse_error.101] parse error at line 1, column 45: "
         "syntax error while parsing value - unexpected end of input; expected '[', '{', "
         "or a literal'"},
        {"error-too-long",
         "1 0 0 | 0 | / |  |  | ended failed 'request (40019 tokens) exceeds the available context size (8192 tokens), "
         "try increasing it'"},
        {"error-unknown-route",
         "1 0 0 | 0 | / |  |  | ended failed 'File Not Found'"},
        {"loading-chat",
         "1 0 0 | 0 | / |  |  | ended failed 'Loading model'"},
        {"embeddings-off",
         "1 0 0 | 0 | / |  |  | ended failed 'This server does not support embeddings. Start it with `--embeddings`'"},
        {"router-unknown-model",
         "1 0 0 | 0 | / |  |  | ended failed 'model 'nonesuch' not found'"},
        {"ollama-chat",
         "1 0 0 | 0 | / |  |  | ended failed 'File Not Found'"},
        {"disconnect-plain", "0 0 0 | 0 | / |  |  | cut"},
        {"health", "1 0 0 | 0 | / |  |  | ended"},
        {"head-health", "0 0 0 | 0 | / |  |  |"},
        {"models", "1 0 0 | 0 | / |  |  | ended"},
        {"props", "1 0 0 | 0 | / |  |  | ended"},
        {"slots-busy", "8 0 0 | 0 | / |  |  | ended"},
        {"slots-idle", "8 0 0 | 0 | / |  |  | ended"},
        {"tokenize", "1 0 0 | 0 | / |  |  | ended"},
        {"metrics-busy", "0 0 0 | 0 | / |  |  |"},
        {"options-preflight", "0 0 0 | 0 | / |  |  |"},
    };
    struct reading s;
    size_t i, len = 0;

    for (i = 0; i < AD_COUNT(answers); i++) {
        uint8_t *answer = load(directory, answers[i].name, ".response", &len);

        if (answer == NULL) {
            continue; /* not every collection has them */
        }
        printf("%s\n", answers[i].name);
        read_all_ways(&s, answer, len,
                      strcmp(answers[i].name, "head-health") == 0);
        CHECK_STR(facts(&s), answers[i].facts);
        free(answer);
    }
}

static void test_transcripts(const char *directory)
{
    size_t len = 0;
    char *table = (char *)load(directory, "expected", ".tsv", &len);
    char *line = table, *next, *row[COLUMNS];
    unsigned rows = 0;

    CHECK(table != NULL);
    for (; line != NULL && *line != '\0'; line = next) {
        size_t n = 0;

        next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        for (; line != NULL && n < COLUMNS; n++) {
            row[n] = line;
            line = strchr(line, '\t');
            if (line != NULL) {
                *line++ = '\0';
            }
        }
        CHECK_EQ(n, COLUMNS);
        if (n == COLUMNS && strcmp(row[COL_NAME], "name") != 0) {
            test_row(directory, row);
            rows++;
        }
    }
    CHECK(rows > 0);
    free(table);
    test_whole_answers(directory);
}

/* ---- what breaks naive counters ---- */

#define SSE "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
#define VLLM "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; " \
    "charset=utf-8\r\n\r\n"
#define NDJSON "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n"
#define JSON "HTTP/1.1 200 OK\r\nContent-Type: application/json; " \
    "charset=utf-8\r\n\r\n"
#define CHAT(choices, more) "data: {\"object\":\"chat.completion.chunk\"," \
    "\"model\":\"m\",\"choices\":[" choices "]" more "}\n\n"
#define DELTA(delta) "{\"index\":0,\"delta\":{" delta "},\"finish_reason\":null}"
#define TEXT_ DELTA("\"content\":\"x\"")
#define ROLE DELTA("\"role\":\"assistant\",\"content\":\"\"")
#define STOP "{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}"
#define USAGE(n) ",\"usage\":{\"prompt_tokens\":24,\"total_tokens\":0," \
    "\"completion_tokens\":" n "}"
#define TIMINGS(n) ",\"timings\":{\"cache_n\":4,\"prompt_n\":20,\"prompt_ms\":1," \
    "\"predicted_n\":" n ",\"predicted_ms\":2}"
#define OLLAMA(rest) "{\"model\":\"m\",\"created_at\":\"2026-01-01T00:00:00Z\"," \
    rest "}\n"
#define OLLAMA_TEXT "\"message\":{\"role\":\"assistant\",\"content\":\"x\"}," \
    "\"done\":false"
#define DONE "data: [DONE]\n\n"

/* The names are the numbers of the list in WIRE.md, of the engine's folder:
 * "What breaks naive counters". */
static const struct {
    const char *name, *answer, *facts;
} traps[] = {
    {"1 llama-server: role with null content",
     SSE CHAT(DELTA("\"role\":\"assistant\",\"content\":null"), "")
         CHAT(TEXT_, "") DONE,
     "2 1 0 | 1~ | / |  | m | ended"},
    {"1 vLLM, LocalAI: role with empty content",
     VLLM CHAT(ROLE, "") CHAT(TEXT_, "") DONE,
     "2 1 0 | 1~ | / |  | m | ended"},
    {"1 llama-server: prompt_progress",
     SSE CHAT(ROLE, ",\"prompt_progress\":{\"total\":3020,\"cache\":5,"
                    "\"processed\":2048,\"time_ms\":5091}"),
     "1 0 0 | 0 | / |  | m |"},
    {"2 headers only", SSE, "0 0 0 | 0 | / |  |  |"},
    {"3 comments",
     SSE ":\n\n: ping\n\n" CHAT(TEXT_, "") ":\n\n:keep-alive\r\n\r\n" DONE,
     "1 1 4 | 1~ | / |  | m | ended"},
    {"4 more tokens than events", SSE CHAT(TEXT_, "")
         CHAT(STOP, ",\"usage\":{\"completion_tokens\":60}") DONE,
     "2 1 0 | 60 | / | stop | m | ended"},
    {"4 fewer events: an empty content of vLLM",
     VLLM CHAT(TEXT_, "") CHAT(DELTA("\"content\":\"\""), "") CHAT(TEXT_, "")
         DONE, "3 2 0 | 2~ | / |  | m | ended"},
    {"4 the engine counts less than came, and its word stands",
     SSE CHAT(TEXT_, "") CHAT(TEXT_, "") CHAT("", USAGE("1")) DONE,
     "3 2 0 | 1 | 24/ |  | m | ended"},
    {"5 drafted tokens",
     SSE CHAT(TEXT_, ",\"timings\":{\"predicted_n\":9,\"predicted_ms\":1.5,"
                     "\"draft_n\":8,\"draft_n_accepted\":6}") DONE,
     "1 1 0 | 9 | / |  | m | ended"},
    {"6 usage with empty choices, last (OpenAI, vLLM)",
     VLLM CHAT(ROLE, ",\"usage\":null") CHAT(TEXT_, ",\"usage\":null")
         CHAT(STOP, ",\"usage\":null") CHAT("", USAGE("7")) DONE,
     "4 1 0 | 7 | 24/ | stop | m | ended"},
    {"6 usage with the finish reason (llama-server /v1/completions)",
     SSE "data: {\"choices\":[{\"text\":\"x\",\"index\":0,\"finish_reason\":"
         "null}],\"model\":\"m\"}\n\n"
         "data: {\"choices\":[{\"text\":\"\",\"index\":0,\"finish_reason\":"
         "\"length\"}],\"model\":\"m\"" USAGE("8") TIMINGS("8") "}\n\n" DONE,
     "2 1 0 | 8 | 24/4 | length | m | ended"},
    {"6 zeros before the count (Ollama /v1/completions)",
     SSE CHAT(TEXT_, USAGE("0")) CHAT(TEXT_, ",\"usage\":{\"prompt_tokens\":0,"
         "\"completion_tokens\":0}") CHAT("", USAGE("3")) DONE,
     "3 2 0 | 3 | 24/ |  | m | ended"},
    {"6 zeros alone", SSE CHAT(TEXT_, ",\"usage\":{\"prompt_tokens\":0,"
         "\"completion_tokens\":0}") DONE, "1 1 0 | 1~ | / |  | m | ended"},
    {"6 running totals (vLLM continuous_usage_stats, LocalAI)",
     VLLM CHAT(ROLE, USAGE("0")) CHAT(TEXT_, USAGE("2")) CHAT(TEXT_, USAGE("5"))
         CHAT("", USAGE("6")) DONE, "4 2 0 | 6 | 24/ |  | m | ended"},
    {"6 running totals, cut: the last one",
     VLLM CHAT(TEXT_, USAGE("2")) CHAT(TEXT_, USAGE("5")),
     "2 2 0 | 5 | 24/ |  | m |"},
    {"6 running totals of one choice of several, cut: events are more",
     VLLM CHAT(TEXT_, USAGE("1")) CHAT(TEXT_, USAGE("1"))
         CHAT(TEXT_, USAGE("2")), "3 3 0 | 3~ | 24/ |  | m |"},
    {"6 one usage event a choice (llama-server, n = 2)",
     SSE CHAT(TEXT_, "") CHAT("", USAGE("6") TIMINGS("6")) CHAT(TEXT_, "")
         CHAT("", USAGE("5") TIMINGS("5")) DONE,
     "4 2 0 | 11 | 24/4 |  | m | ended"},
    {"6 the same with timings in each event",
     SSE CHAT(TEXT_, TIMINGS("1")) CHAT(TEXT_, TIMINGS("1"))
         CHAT(STOP, TIMINGS("6")) CHAT("", USAGE("6") TIMINGS("6"))
         CHAT(TEXT_, TIMINGS("4")) CHAT(STOP, TIMINGS("5"))
         CHAT("", USAGE("5") TIMINGS("5")) DONE,
     "7 3 0 | 11 | 24/4 | stop | m | ended"},
    {"6 no usage asked for: timings a choice (llama-server, n = 2)",
     SSE CHAT(TEXT_, "") CHAT(STOP, TIMINGS("6")) CHAT(TEXT_, "")
         CHAT(STOP, TIMINGS("5")) DONE, "4 2 0 | 11 | 24/4 | stop | m | ended"},
    {"6 one sum for all choices (vLLM, n = 2)",
     VLLM CHAT(TEXT_ "," TEXT_, "") CHAT(TEXT_, "") CHAT("", USAGE("11")) DONE,
     "3 3 0 | 11 | 24/ |  | m | ended"},
    {"6 the last one that is not zero (llama-server, n = 2)",
     SSE CHAT("", ",\"usage\":{\"prompt_tokens\":24,\"completion_tokens\":3,"
         "\"prompt_tokens_details\":{\"cached_tokens\":16}}")
         CHAT("", ",\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0,"
         "\"prompt_tokens_details\":{\"cached_tokens\":0}}") DONE,
     "2 0 0 | 3 | 24/16 |  | m | ended"},
    {"6 details of the prompt",
     SSE CHAT("", ",\"usage\":{\"prompt_tokens\":24,\"completion_tokens\":3,"
         "\"prompt_tokens_details\":{\"cached_tokens\":16},"
         "\"completion_tokens_details\":{\"reasoning_tokens\":2}}") DONE,
     "1 0 0 | 3, 2 | 24/16 |  | m | ended"},
    {"6 no details of the prompt",
     SSE CHAT("", ",\"usage\":{\"prompt_tokens\":24,\"completion_tokens\":3,"
         "\"prompt_tokens_details\":null}") DONE,
     "1 0 0 | 3 | 24/ |  | m | ended"},
    {"7 empty choices first (Azure)",
     SSE CHAT("", ",\"prompt_filter_results\":[]") CHAT(TEXT_, "") DONE,
     "2 1 0 | 1~ | / |  | m | ended"},
    {"7 choices null", SSE "data: {\"choices\":null,\"model\":\"m\"}\n\n",
     "1 0 0 | 0 | / |  | m |"},
    {"8 without include_usage",
     VLLM CHAT(ROLE, "") CHAT(TEXT_, "") CHAT(TEXT_, "") CHAT(STOP, "") DONE,
     "4 2 0 | 2~ | / | stop | m | ended"},
    {"9 the model's name is the answer's",
     NDJSON "{\"model\":\"llama3:latest\",\"response\":\"x\",\"done\":true}\n",
     "1 1 0 | 1~ | / |  | llama3:latest | ended"},
    {"9 a model's name with escapes",
     NDJSON "{\"model\":\"q\\u00e9\\ud83d\\ude00\\/\\u0041\"}\n",
     "1 0 0 | 0 | / |  | q\xC3\xA9\xF0\x9F\x98\x80/A |"},
    {"9 a model's name too long: its beginning, whole characters",
     NDJSON "{\"model\":\"123456789 123456789 123456789 123456789 123456789 "
            "123456789 12\xE2\x82\xAC\xE2\x82\xAC\"}\n",
     "1 0 0 | 0 | / |  | 123456789 123456789 123456789 123456789 123456789 "
     "123456789 12 |"},
    {"9 a model's name that is none",
     NDJSON "{\"model\":\"a\\u0000b\"}\n{\"model\":\"\"}\n{\"model\":7}\n",
     "3 0 0 | 0 | / |  |  |"},
    {"10 the finish reason with text (vLLM)",
     VLLM CHAT("{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":"
               "\"stop\",\"stop_reason\":null}", "") DONE,
     "1 1 0 | 1~ | / | stop | m | ended"},
    {"11 fields in any order, content elsewhere, white space",
     SSE "data: { \"usage\" : { \"completion_tokens\" : 2 } , \"timings\" : { "
         "\"predicted_n\" : 2 } , \"choices\" : [ { \"logprobs\" : { "
         "\"content\" : [ { \"token\" : \"x\" , \"content\" : \"x\" } ] } , "
         "\"delta\" : { \"content\" : \"\" } , \"text\" : \"\" } , { \"delta\" "
         ": { \"content\" : \"\\\"content\\\":\\\"x\" } } ] }\t\n\n",
     "1 1 0 | 2 | / |  |  |"},
    {"11 names that only look like ours",
     SSE CHAT(DELTA("\"Content\":\"x\",\"content\\u0000\":\"x\",\"role\":\"x\","
                    "\"tool_calls\":[],\"a\":{\"content\":\"x\"}"),
              ",\"a\":{\"usage\":{\"completion_tokens\":9}},\"delta\":null"),
     "1 0 0 | 0 | / |  | m |"},
    {"11 a name written with escapes",
     SSE "data: {\"ch\\u006fices\":[{\"delta\":{\"\\u0063ontent\":\"x\"}}]}\n\n",
     "1 1 0 | 1~ | / |  |  |"},
    {"12 strings",
     SSE CHAT(DELTA("\"content\":\"\\n\""), "")
         CHAT(DELTA("\"content\":\"\\\"}]\\\\\""), "")
         CHAT(DELTA("\"content\":\"\\uFFFD\""), "")
         CHAT(DELTA("\"content\":\"\\ud83d\""), "")
         CHAT(DELTA("\"content\":\"\xEF\xBF\xBD\""), "") DONE,
     "5 5 0 | 5~ | / |  | m | ended"},
    {"12 data of several lines",
     SSE "data: {\"choices\":\ndata: [{\"delta\":{\"content\":\ndata:\"x\"}}]\n"
         "data:}\n\n" DONE, "1 1 0 | 1~ | / |  |  | ended"},
    {"13 no space behind the colon", SSE "data:{\"choices\":[" TEXT_ "]}\n\n"
         "data:[DONE]\n\n", "1 1 0 | 1~ | / |  |  | ended"},
    {"13 CR LF", SSE "event: x\r\ndata: {\"choices\":[" TEXT_ "]}\r\n\r\n"
         "data: [DONE]\r\n\r\n", "1 1 0 | 1~ | / |  |  | ended"},
    {"13 CR", SSE "id: 1\rdata: {\"choices\":[" TEXT_ "]}\r\r"
         "data: [DONE]\r\r", "1 1 0 | 1~ | / |  |  | ended"},
    {"13 CR LF in data of several lines",
     SSE "data: {\"choices\":\r\ndata: [" TEXT_ "]}\r\n\r\n",
     "1 1 0 | 1~ | / |  |  |"},
    {"13 no empty line between, none at the end",
     SSE "data: {\"choices\":[" TEXT_ "]}\ndata: {\"choices\":[" TEXT_ "]}\n"
         "data: [DONE]", "2 2 0 | 2~ | / |  |  | ended"},
    {"13 fields without a colon, unknown fields, empty data",
     SSE "data\n\nretry: 10\ndata: \n\ndatabase: {\"choices\":[" TEXT_ "]}\n\n"
         " data: {\"choices\":[" TEXT_ "]}\n\n" DONE,
     "0 0 0 | 0 | / |  |  | ended"},
    {"14 an error, then [DONE] (vLLM)",
     VLLM CHAT(TEXT_, "") "data: {\"error\":{\"message\":\"x\",\"code\":500}}"
         "\n\n" DONE, "2 1 0 | 1~ | / |  | m | ended failed 'x'"},
    {"14 an error of older vLLM", VLLM "data: {\"object\":\"error\","
         "\"message\":\"x\"}\n\n", "1 0 0 | 0 | / |  |  | failed 'x'"},
    {"14 an error as a field of its own (older llama-server)",
     SSE CHAT(TEXT_, "") "error: {\"code\":500,\"message\":\"x\"}\n\n",
     "2 1 0 | 1~ | / |  | m | failed 'x'"},
    {"14 an error in an Ollama stream",
     NDJSON OLLAMA(OLLAMA_TEXT) "{\"error\":\"x\"}\n",
     "2 1 0 | 1~ | / |  | m | failed 'x'"},
    {"14 no error", SSE "data: {\"error\":null}\n\ndata: {\"error\":\"\"}\n\n",
     "2 0 0 | 0 | / |  |  |"},
    {"15 no end mark, chunks cut",
     "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
     "Transfer-Encoding: chunked\r\n\r\n2f\r\n"
     "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n\r\n"
     "20\r\ndata: {\"cho",
     "1 1 0 | 1~ | / |  |  | cut"},
    {"16 Content-Type alone decides",
     "HTTP/1.1 200 OK\r\nContent-Type: APPLICATION/X-NDJSON ;charset=utf-8\r\n"
     "\r\n" OLLAMA(OLLAMA_TEXT) OLLAMA("\"message\":{\"content\":\"\"},"
     "\"done\":true,\"done_reason\":\"stop\",\"eval_count\":5"),
     "2 1 0 | 5 | / | stop | m | ended"},
    {"16 no Content-Type", "HTTP/1.1 200 OK\r\n\r\n" CHAT(TEXT_, ""),
     "1 1 0 | 1~ | / |  | m |"},
    {"17 Ollama /api/pull", NDJSON "{\"status\":\"pulling manifest\"}\n"
         "{\"status\":\"downloading\",\"total\":9,\"completed\":5}\n"
         "{\"status\":\"success\"}\n", "3 0 0 | 0 | / |  |  |"},
    {"17 embeddings", JSON "{\"object\":\"list\",\"model\":\"m\",\"data\":[{"
         "\"embedding\":[0.1,-2e-3,3]}]" USAGE("0") "}",
     "1 0 0 | 0 | 24/ |  | m | ended"},
    {"17 Ollama embeddings", JSON "{\"model\":\"m\",\"embeddings\":[[0.1]],"
         "\"total_duration\":14143917,\"load_duration\":1019500,"
         "\"prompt_eval_count\":8}", "1 0 0 | 0 | 8/ |  | m | ended"},
    {"17 Ollama loads a model", JSON "{\"model\":\"m\",\"response\":\"\","
         "\"done\":true,\"done_reason\":\"load\"}",
     "1 0 0 | 0 | / | load | m | ended"},
    {"18 numbers in the last line (Ollama /api/generate)",
     NDJSON OLLAMA("\"response\":\"x\",\"done\":false")
         OLLAMA("\"response\":\"\",\"done\":true,\"context\":[1,2,3,4,5],"
                "\"prompt_eval_count\":26,\"eval_count\":290"),
     "2 1 0 | 290 | 26/ |  | m | ended"},

    /* Forms of the table in WIRE.md that no transcript has. */
    {"reasoning, refusal, tool calls",
     VLLM CHAT(DELTA("\"reasoning\":\"x\""), "")
         CHAT(DELTA("\"reasoning_content\":\"x\""), "")
         CHAT(DELTA("\"refusal\":\"x\",\"content\":null"), "")
         CHAT(DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":"
                    "\"\"}}]"), "")
         CHAT(DELTA("\"function_call\":{\"arguments\":\"x\"}"), "")
         CHAT(DELTA("\"reasoning\":\"\",\"refusal\":null,\"tool_calls\":null"),
              "") DONE, "6 5 0 | 5~ | / |  | m | ended"},
    {"Ollama thinking and tool calls",
     NDJSON OLLAMA("\"message\":{\"content\":\"\"},\"done\":false")
         OLLAMA("\"message\":{\"content\":\"\",\"thinking\":\"x\"}")
         OLLAMA("\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":{"
                "\"name\":\"f\",\"arguments\":{\"content\":\"x\"}}}]}")
         OLLAMA("\"thinking\":\"x\",\"response\":\"\"")
         OLLAMA("\"message\":{\"content\":\"\"},\"done\":true,\"total_duration\""
                ":5,\"prompt_eval_count\":11,\"prompt_eval_cached_count\":7,"
                "\"eval_count\":18,\"done_reason\":\"stop\""),
     "5 3 0 | 18 | 11/7 | stop | m | ended"},
    {"an Ollama line with CR LF and an empty one",
     NDJSON "\r\n{\"response\":\"x\"}\r\n\r\n{\"done\":true}",
     "2 1 0 | 1~ | / |  |  | ended"},
    {"Ollama, whole", JSON "{\"model\":\"m\",\"message\":{\"role\":\"assistant\""
         ",\"content\":\"x\"},\"done_reason\":\"stop\",\"done\":true,"
         "\"prompt_eval_count\":26,\"eval_count\":298}",
     "1 0 0 | 298 | 26/ | stop | m | ended"},
    {"/v1/messages of Anthropic",
     SSE "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{"
         "\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"usage\":{"
         "\"input_tokens\":2,\"cache_creation_input_tokens\":10,"
         "\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n\n"
         "event: ping\ndata: {\"type\":\"ping\"}\n\n"
         "event: content_block_start\ndata: {\"type\":\"content_block_start\","
         "\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
         "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":"
         "\"thinking_delta\",\"thinking\":\"x\"}}\n\n"
         "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":"
         "\"signature_delta\",\"signature\":\"x\"}}\n\n"
         "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":"
         "\"input_json_delta\",\"partial_json\":\"\"}}\n\n"
         "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":"
         "\"input_json_delta\",\"partial_json\":\"{\"}}\n\n"
         "data: {\"delta\":{\"text\":\"x\",\"type\":\"text_delta\"},\"type\":"
         "\"content_block_delta\"}\n\n"
         "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
         "\"end_turn\"},\"usage\":{\"output_tokens\":15}}\n\n"
         "data: {\"type\":\"message_stop\"}\n\n",
     "10 3 0 | 15 | 17/5 | end_turn | m | ended"},
    {"/v1/messages, cut: the first count is of nothing yet",
     SSE "data: {\"type\":\"message_start\",\"message\":{\"usage\":{"
         "\"input_tokens\":2,\"output_tokens\":4}}}\n\n"
         "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"x\"}}"
         "\n\n", "2 1 0 | 1~ | 2/ |  |  |"},
    {"/v1/messages, an error",
     SSE "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
         "\"overloaded_error\"}}\n\n", "1 0 0 | 0 | / |  |  | failed"},
    {"/v1/messages, whole", JSON "{\"type\":\"message\",\"model\":\"m\","
         "\"content\":[{\"type\":\"text\",\"text\":\"x\"}],\"stop_reason\":"
         "\"max_tokens\",\"usage\":{\"input_tokens\":9,"
         "\"cache_creation_input_tokens\":20,"
         "\"cache_read_input_tokens\":3,\"output_tokens\":5}}",
     "1 0 0 | 5 | 32/3 | max_tokens | m | ended"},
    {"/v1/responses: pieces of all kinds",
     SSE "data: {\"type\":\"response.created\",\"response\":{\"model\":\"m\","
         "\"error\":null,\"usage\":null}}\n\n"
         "data: {\"type\":\"response.reasoning_text.delta\",\"delta\":\"x\"}\n\n"
         "data: {\"type\":\"response.reasoning_summary_text.delta\",\"delta\":"
         "\"x\"}\n\n"
         "data: {\"type\":\"response.function_call_arguments.delta\",\"delta\":"
         "\"x\"}\n\n"
         "data: {\"delta\":\"x\",\"type\":\"response.output_text.delta\"}\n\n"
         "data: {\"type\":\"response.output_text.delta\",\"delta\":\"\"}\n\n"
         "data: {\"type\":\"response.output_text.done\",\"text\":\"xxxx\"}\n\n"
         "data: {\"type\":\"response.incomplete\",\"response\":{\"model\":\"m\","
         "\"incomplete_details\":{\"reason\":\"max_output_tokens\"},"
         "\"output\":[{\"content\":[{\"text\":\"x\",\"model\":\"x\"}]}],"
         "\"usage\":{\"input_tokens\":24,\"input_tokens_details\":{"
         "\"cached_tokens\":8},\"output_tokens\":5}}}\n\n",
     "8 4 0 | 5 | 24/8 | max_output_tokens | m | ended"},
    {"/v1/responses, failed",
     SSE "data: {\"type\":\"response.failed\",\"response\":{\"model\":\"m\","
         "\"error\":{\"code\":\"server_error\"}}}\n\n",
     "1 0 0 | 0 | / |  | m | ended failed"},
    {"/v1/responses, failed, no reason told",
     SSE "data: {\"type\":\"response.failed\"}\n\n",
     "1 0 0 | 0 | / |  |  | ended failed"},
    {"/v1/responses, an error",
     SSE "data: {\"type\":\"error\",\"code\":\"x\",\"message\":\"x\"}\n\n",
     "1 0 0 | 0 | / |  |  | failed 'x'"},
    {"/v1/responses, whole", JSON "{\"object\":\"response\",\"error\":null,"
         "\"model\":\"m\",\"incomplete_details\":null,\"usage\":{"
         "\"input_tokens\":24,\"output_tokens\":5,\"output_tokens_details\":{"
         "\"reasoning_tokens\":2}}}", "1 0 0 | 5, 2 | 24/ |  | m | ended"},
    {"/v1/responses, whole, incomplete", JSON "{\"object\":\"response\","
         "\"model\":\"m\",\"incomplete_details\":{\"reason\":"
         "\"max_output_tokens\"}}",
     "1 0 0 | 0 | / | max_output_tokens | m | ended"},
    {"llama-server /completion, cut",
     SSE "data: {\"index\":0,\"content\":\"x\",\"stop\":false,"
         "\"tokens_predicted\":3,\"tokens_evaluated\":6}\n\n",
     "1 1 0 | 3 | 6/ |  |  |"},
    {"llama-server /completion, older: no counts on the way",
     SSE "data: {\"content\":\"x\",\"stop\":false,\"stop_type\":\"none\"}\n\n"
         "data: {\"content\":\"\",\"stop\":true,\"stop_type\":\"word\","
         "\"tokens_predicted\":9,\"tokens_evaluated\":6,\"tokens_cached\":15,"
         "\"generation_settings\":{\"stop\":[\"x\"]}}\n\n",
     "2 1 0 | 9 | 6/ | word |  | ended"},
    {"llama-server /completion, older, cut",
     SSE "data: {\"content\":\"x\",\"stop\":false,\"stop_type\":\"none\"}\n\n",
     "1 1 0 | 1~ | / |  |  |"},
    {"llama-server /completion, several prompts: one ends first",
     SSE "data: {\"index\":1,\"content\":\"\",\"stop\":true,"
         "\"stop_type\":\"eos\",\"tokens_predicted\":2}\n\n"
         "data: {\"index\":0,\"content\":\"x\",\"stop\":false,"
         "\"tokens_predicted\":3}\n\n",
     "2 1 0 | 5 | / | eos |  | ended"},
    {"llama-server /completion, several prompts in one whole answer",
     JSON "[{\"content\":\"x\",\"stop\":true,\"tokens_predicted\":4,"
         "\"tokens_evaluated\":6},{\"content\":\"y\",\"stop\":true,"
         "\"tokens_predicted\":5,\"tokens_evaluated\":6}]",
     "2 0 0 | 9 | 6/ |  |  | ended"},
    {"llama-server, several choices in one whole answer: it counts the first",
     JSON "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"x\"},"
         "\"finish_reason\":\"length\"},{\"index\":1,\"message\":{"
         "\"content\":\"x\"},\"finish_reason\":\"stop\"}],\"model\":\"m\""
         USAGE("6") TIMINGS("6") "}",
     "1 0 0 | 6~ | 24/4 | stop | m | ended"},
    {"others, several choices in one whole answer: a sum",
     JSON "{\"choices\":[{\"message\":{\"content\":\"x\"}},{\"message\":{"
         "\"content\":\"x\"}}]" USAGE("11") "}",
     "1 0 0 | 11 | 24/ |  |  | ended"},
    {"TGI /generate_stream",
     SSE "data:{\"index\":1,\"token\":{\"id\":5,\"text\":\"x\",\"special\":"
         "false},\"generated_text\":null,\"details\":null}\n\n"
         "data:{\"index\":2,\"token\":{\"id\":6,\"text\":\"y\"},"
         "\"generated_text\":\"xy\",\"details\":{\"finish_reason\":\"length\","
         "\"generated_tokens\":20,\"input_length\":7}}\n\n",
     "2 2 0 | 20 | 7/ | length |  | ended"},

    /* What is not as it should be. */
    {"broken JSON in one event", SSE CHAT(TEXT_, "") "data: {\"choices\":[}\n\n"
         CHAT(TEXT_, "") DONE, "2 2 0 | 2~ | / |  | m | ended JSON"},
    {"broken JSON in one line",
     NDJSON "{\"response\":\"x\"\n{\"response\":\"x\"}\nnonsense\n"
            "{\"done\":true}\n", "2 1 0 | 1~ | / |  |  | ended JSON"},
    {"an array that is no end mark", SSE "data: [1]\n\n",
     "0 0 0 | 0 | / |  |  |"},
    {"half an end mark", SSE "data: [DO\n\n", "0 0 0 | 0 | / |  |  | JSON"},
    {"half an end mark at the end", SSE "data: [DONE",
     "0 0 0 | 0 | / |  |  | JSON"},
    {"an end mark and something else", SSE "data: [DONE] x\n\n",
     "0 0 0 | 0 | / |  |  | ended JSON"},
    {"an end mark with spaces", SSE "data:  [DONE]  \n\n",
     "0 0 0 | 0 | / |  |  | ended"},
    {"a newline in a string", SSE "data: {\"content\":\"x\ndata: y\"}\n\n",
     "0 0 0 | 0 | / |  |  | JSON"},
    {"counts beyond belief", SSE CHAT(TEXT_, USAGE("1000000000001")),
     "1 1 0 | 1~ | 24/ |  | m |"},
    {"numbers beyond belief",
     SSE CHAT(TEXT_, ",\"usage\":{\"completion_tokens\":1e300,"
         "\"prompt_tokens\":-5,\"prompt_tokens_details\":{\"cached_tokens\":"
         "123456789012345678901234567890123456789012345678901234567890123456}}"),
     "1 1 0 | 1~ | / |  | m |"},
    {"a whole answer that ends early", JSON "{\"model\":\"m\"",
     "0 0 0 | 0 | / |  | m | JSON"},
    {"more behind a whole answer", JSON "{\"model\":\"m\"} {}",
     "2 0 0 | 0 | / |  | m |"},
    {"something else behind a whole answer", JSON "{\"model\":\"m\"} x",
     "1 0 0 | 0 | / |  | m | JSON"},
    {"compressed", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
         "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1F\x8B\x08",
     "0 0 0 | 0 | / |  |  | CODED"},
    {"not compressed after all", "HTTP/1.1 200 OK\r\nContent-Encoding: identity"
         "\r\nContent-Type: application/json\r\n\r\n{\"model\":\"m\"}",
     "1 0 0 | 0 | / |  | m | ended"},
};

static void test_traps(void)
{
    struct reading s;
    size_t i;

    for (i = 0; i < AD_COUNT(traps); i++) {
        printf("%s\n", traps[i].name);
        read_all_ways(&s, traps[i].answer, strlen(traps[i].answer), false);
        CHECK_STR(facts(&s), traps[i].facts);
    }
}

/* Times, drafts and progress. */
static void test_times(void)
{
    static const struct {
        const char *answer, *times;
    } table[] = {
        {SSE CHAT(STOP, ",\"timings\":{\"cache_n\":4,\"prompt_n\":20,"
                  "\"prompt_ms\":7.83,\"prompt_per_second\":2554.278,"
                  "\"predicted_n\":9,\"predicted_ms\":1.827,"
                  "\"predicted_per_second\":4378.763,\"draft_n\":8,"
                  "\"draft_n_accepted\":6}"),
         "1 0.000 7.830 2554.278 1.827 4378.763 0.000 | 6/8 | 0 0 0 0 0.000"},
        {SSE CHAT(ROLE, ",\"prompt_progress\":{\"total\":3020,\"cache\":5,"
                  "\"processed\":2048,\"time_ms\":5091}"),
         "0 0.000 0.000 0.000 0.000 0.000 0.000 | 0/0 | 1 3020 5 2048 "
         "5091.000"},
        {NDJSON OLLAMA("\"done\":true,\"total_duration\":10706818083,"
                       "\"load_duration\":6338219291,\"prompt_eval_count\":26,"
                       "\"prompt_eval_duration\":130000000,\"eval_count\":259,"
                       "\"eval_duration\":4232000000"),
         "1 6338.219 130.000 200.000 4232.000 61.200 10706.818 | 0/0 | 0 0 0 0 "
         "0.000"},
        {NDJSON OLLAMA("\"done\":true,\"total_duration\":1000000,"
                       "\"prompt_eval_count\":26,\"prompt_eval_cached_count\":"
                       "16,\"prompt_eval_duration\":1000000"),
         "1 0.000 1.000 10000.000 0.000 0.000 1.000 | 0/0 | 0 0 0 0 0.000"},
        {NDJSON OLLAMA("\"done\":true,\"total_duration\":1000000,"
                       "\"prompt_eval_count\":6,\"prompt_eval_cached_count\":"
                       "16,\"prompt_eval_duration\":1000000"),
         "1 0.000 1.000 6000.000 0.000 0.000 1.000 | 0/0 | 0 0 0 0 0.000"},
        {SSE CHAT(STOP, ",\"timings\":{\"predicted_ms\":1e300,\"prompt_ms\":-1}"),
         "0 0.000 0.000 0.000 0.000 0.000 0.000 | 0/0 | 0 0 0 0 0.000"},
    };
    struct reading s;
    size_t i;

    for (i = 0; i < AD_COUNT(table); i++) {
        read_all_ways(&s, table[i].answer, strlen(table[i].answer), false);
        CHECK_STR(times(&s), table[i].times);
    }
}

/* Lines of 10 MB: a string, a list, and what comes behind them counts. */
static void test_long_lines(void)
{
    static const char *const fill[] = {"xxxxxxxxxxxxxxxx", "\\u00e9\\n\\\"ab\\\\",
                                       "\xF0\x9F\x98\x80"};
    static const char *const before[] = {"{\"response\":\"", "{\"a\":\""};
    static const char *const behind = "\",\"thinking\":\"x\"}\n"
                                      "{\"done\":true,\"eval_count\":3}\n";
    size_t i, k, n;

    for (i = 0; i < AD_COUNT(fill); i++) {
        for (k = 0; k < AD_COUNT(before); k++) {
            static char piece[16 * 1024];
            struct reading s;

            n = strlen(fill[i]);
            piece[0] = '\0';
            reading_begin(&s, false);
            (void)feed(&s, NDJSON, strlen(NDJSON));
            (void)feed(&s, before[k], strlen(before[k]));
            while (strlen(piece) + n < sizeof(piece)) {
                strcat(piece + strlen(piece), fill[i]);
            }
            for (n = 0; n < 10 * 1024 * 1024; n += strlen(piece)) {
                CHECK_EQ(feed(&s, piece, strlen(piece)), 0);
            }
            CHECK_EQ(feed(&s, behind, strlen(behind)), 1);
            reading_close(&s);
            CHECK_STR(facts(&s), "2 1 0 | 3 | / |  |  | ended");
        }
    }
}

/* ---- heads and framing ---- */

#define OK_ "HTTP/1.1 200 OK\r\n"
#define EV_ "Content-Type: text/event-stream\r\n"
#define GO_ "\r\ndata: [DONE]\n\n"

static const struct {
    const char *name;
    unsigned status;
    bool head; /* the method */
    const char *answer, *facts;
} heads[] = {
    {"plain", 200, false, OK_ EV_ GO_, "0 0 0 | 0 | / |  |  | ended"},
    {"HTTP/1.0", 200, false, "HTTP/1.0 200 OK\r\n" EV_ GO_,
     "0 0 0 | 0 | / |  |  | ended"},
    {"no reason", 200, false, "HTTP/1.1 200\r\n" EV_ GO_,
     "0 0 0 | 0 | / |  |  | ended"},
    {"LF alone", 0, false, "HTTP/1.1 200 OK\ncontent-type:text/event-stream\n"
     "\ndata: [DONE]\n\n", "0 0 0 | 0 | / |  |  | cut HEAD"},
    {"any case, blanks, empty values", 200, false,
     OK_ "ACCESS-control-allow-origin: \r\nEMPTY:\r\nCONTENT-TYPE: \t "
     "Text/Event-Stream \t; charset=utf-8\r\n" GO_,
     "0 0 0 | 0 | / |  |  | ended"},
    {"a folded line", 0, false,
     OK_ "X: 1\r\n Content-Type: a/b\r\nContent-Type:\r\n\ttext/event-stream\r\n"
     GO_, "0 0 0 | 0 | / |  |  | cut HEAD"},
    {"100 Continue first", 200, false,
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n"
     "Content-Type: application/json\r\nContent-Length: 5\r\n"
     "Content-Encoding: gzip\r\n\r\n" OK_ EV_ GO_,
     "0 0 0 | 0 | / |  |  | ended"},
    {"a line longer than what is kept", 200, false,
     OK_ "X: 1234567890123456789012345678901234567890123456789012345678901234567890"
     "1234567890123456789012345678901234567890123456789012345678901234567890\r\n"
     EV_ GO_, "0 0 0 | 0 | / |  |  | ended"},
    {"a line without a colon", 0, false, OK_ "nonsense\r\n" EV_ GO_,
     "0 0 0 | 0 | / |  |  | cut HEAD"},
    {"another type", 200, false, OK_ "Content-Type: text/event-streams\r\n" GO_,
     "0 0 0 | 0 | / |  |  | ended"},
    {"an error's sentence by its status", 404, false,
     "HTTP/1.1 404 X\r\nContent-Type: application/json\r\n\r\n"
     "{\"detail\":\"Not Found\"}", "1 0 0 | 0 | / |  |  | ended 'Not Found'"},
    {"sound", 200, false, OK_ "Content-Type: audio/pcm\r\n" GO_,
     "0 0 0 | 0 | / |  |  |"},
    {"length", 200, false, OK_ EV_ "Content-Length: 14\r\n" GO_,
     "0 0 0 | 0 | / |  |  | ended"},
    {"length, cut", 200, false, OK_ EV_ "Content-Length: 15\r\n" GO_,
     "0 0 0 | 0 | / |  |  | ended cut"},
    {"length 0", 200, false, OK_ EV_ "Content-Length: 0\r\n\r\n",
     "0 0 0 | 0 | / |  |  |"},
    {"equal lengths", 200, false,
     OK_ EV_ "Content-Length: 14, 14\r\ncontent-length: 14\r\n" GO_,
     "0 0 0 | 0 | / |  |  | ended"},
    {"different lengths", 0, false,
     OK_ EV_ "Content-Length: 14\r\nContent-Length: 15\r\n" GO_,
     "0 0 0 | 0 | / |  |  | cut HEAD"},
    {"no number", 0, false, OK_ EV_ "Content-Length: 14x\r\n" GO_,
     "0 0 0 | 0 | / |  |  | cut HEAD"},
    {"an empty number", 0, false, OK_ EV_ "Content-Length:\r\n" GO_,
     "0 0 0 | 0 | / |  |  | cut HEAD"},
    {"a number too large", 0, false,
     OK_ EV_ "Content-Length: 99999999999999999999\r\n" GO_,
     "0 0 0 | 0 | / |  |  | cut HEAD"},
    {"more than the length", 200, false, OK_ EV_ "Content-Length: 13\r\n" GO_,
     "0 0 0 | 0 | / |  |  | ended FRAMING"},
    {"chunks, extension, trailer", 200, false,
     OK_ EV_ "TRANSFER-ENCODING: Chunked\r\n\r\n"
     "6;a=b\r\ndata: \r\n08\r\n[DONE]\n\n\r\n0\r\nX: y\r\n\r\n",
     "0 0 0 | 0 | / |  |  | ended"},
    {"chunks and a length", 0, false,
     OK_ EV_ "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
     "0\r\n\r\n", "0 0 0 | 0 | / |  |  | cut HEAD"},
    {"a content coding", 200, false,
     OK_ EV_ "Content-Encoding: identity, gzip\r\n" GO_,
     "0 0 0 | 0 | / |  |  | CODED"},
    {"chunks, no last one", 200, false,
     OK_ EV_ "Transfer-Encoding: chunked\r\n\r\nE\r\ndata: [DONE]\n\n\r\n",
     "0 0 0 | 0 | / |  |  | ended cut"},
    {"chunks, a bad size", 200, false,
     OK_ EV_ "Transfer-Encoding: chunked\r\n\r\nE\r\ndata: [DONE]\n\n\r\nxyz\r\n",
     "0 0 0 | 0 | / |  |  | ended cut FRAMING"},
    {"chunks, a wrong size, the last byte bad", 200, false,
     OK_ EV_ "Transfer-Encoding: chunked\r\n\r\n1\r\ndd",
     "0 0 0 | 0 | / |  |  | cut FRAMING"},
    {"more behind the last chunk", 200, false,
     OK_ EV_ "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nx",
     "0 0 0 | 0 | / |  |  | FRAMING"},
    {"another transfer coding", 0, false,
     OK_ EV_ "Transfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
     "0 0 0 | 0 | / |  |  | cut HEAD"},
    {"a transfer coding that is not chunked, and a length", 0, false,
     OK_ EV_ "Transfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nxyz",
     "0 0 0 | 0 | / |  |  | cut HEAD"},
    {"a transfer coding that is not chunked", 0, false,
     OK_ EV_ "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\nxyz",
     "0 0 0 | 0 | / |  |  | cut HEAD"},
    {"HEAD", 200, true, OK_ EV_ "Content-Length: 15\r\n\r\n",
     "0 0 0 | 0 | / |  |  |"},
    {"204", 204, false, "HTTP/1.1 204 No Content\r\n" EV_ "\r\n",
     "0 0 0 | 0 | / |  |  |"},
    {"304", 304, false, "HTTP/1.1 304 \r\nContent-Length: 15\r\n\r\n",
     "0 0 0 | 0 | / |  |  |"},
    {"a body where there is none", 204, false, "HTTP/1.1 204 X\r\n\r\nx",
     "0 0 0 | 0 | / |  |  | FRAMING"},
    {"101", 0, false, "HTTP/1.1 101 X\r\n" EV_ GO_, "0 0 0 | 0 | / |  |  | cut HEAD"},
    {"nothing", 0, false, "", "0 0 0 | 0 | / |  |  | cut"},
    {"half a head", 0, false, OK_ EV_, "0 0 0 | 0 | / |  |  | cut"},
    {"interim only", 0, false, "HTTP/1.1 100 Continue\r\n\r\n",
     "0 0 0 | 0 | / |  |  | cut"},
    {"not HTTP", 0, false, "SSH-2.0-OpenSSH_9.6\r\n" EV_ GO_,
     "0 0 0 | 0 | / |  |  | cut HEAD"},
    {"HTTP/2", 0, false, "HTTP/2 200 OK\r\n\r\n", "0 0 0 | 0 | / |  |  | cut HEAD"},
    {"a bad status", 0, false, "HTTP/1.1 2x0 OK\r\n\r\n",
     "0 0 0 | 0 | / |  |  | cut HEAD"},
    {"a status of four digits", 0, false, "HTTP/1.1 2000 OK\r\n\r\n",
     "0 0 0 | 0 | / |  |  | cut HEAD"},
    {"empty lines first", 0, false, "\r\n" OK_ EV_ GO_,
     "0 0 0 | 0 | / |  |  | cut HEAD"},
};

static void test_heads(void)
{
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    static char filler[4096];
    struct reading s;
    size_t i;

    for (i = 0; i < AD_COUNT(heads); i++) {
        printf("head: %s\n", heads[i].name);
        read_all_ways(&s, heads[i].answer, strlen(heads[i].answer),
                      heads[i].head);
        CHECK_STR(facts(&s), heads[i].facts);
        CHECK_EQ(s.answer.status, heads[i].status);
    }
    /* Heads as long as they may be in all, and one byte more. */
    for (i = 0; i < 2; i++) {
        size_t left = sizeof(s.heads) + i - strlen(interim) -
                      strlen(OK_ EV_ "X: \r\n\r\n");

        reading_begin(&s, false);
        (void)feed(&s, interim, strlen(interim));
        (void)feed(&s, OK_ EV_ "X: ", strlen(OK_ EV_ "X: "));
        memset(filler, 'x', sizeof(filler));
        (void)feed(&s, filler, left);
        (void)feed(&s, "\r\n", 2);
        (void)feed(&s, GO_, strlen(GO_));
        reading_close(&s);
        CHECK_STR(facts(&s), i == 0 ? "0 0 0 | 0 | / |  |  | ended"
                                    : "0 0 0 | 0 | / |  |  | cut HEAD");
    }
}

/* ---- depth, and what is kept ---- */

static void test_depth(void)
{
    char answer[sizeof(NDJSON) + 400];
    struct ad_text t = ad_text_in(answer, sizeof(answer));
    struct reading s;
    unsigned i;

    ad_puts(&t, NDJSON "{\"a\":");
    for (i = 0; i < AD_STREAM_DEPTH_MAX; i++) {
        ad_puts(&t, "[");
    }
    ad_puts(&t, "\n{\"response\":\"x\"}\n");
    read_all_ways(&s, t.at, t.len, false);
    CHECK_STR(facts(&s), "1 1 0 | 1~ | / |  |  | DEPTH");
}

/* No text of an answer stays in memory. */
static void test_nothing_kept(void)
{
    static const char *const answers[] = {
        SSE CHAT(DELTA("\"content\":\"SeCrEt\",\"reasoning\":\"SeCrEt\""), ""),
        SSE CHAT(DELTA("\"tool_calls\":[{\"function\":{\"name\":\"SeCrEt\","
                       "\"arguments\":\"SeCrEt\"}}]"), ""),
        SSE "data: {\"content\":\"SeCrEt", NDJSON "{\"response\":\"SeCrEt\"}",
        NDJSON "{\"message\":{\"content\":\"SeCrEt\"}}",
        JSON "{\"choices\":[{\"message\":{\"content\":\"SeCrEt\"}}]}",
        SSE "data: {\"type\":\"response.output_text.delta\",\"delta\":\"SeCrEt\"",
        NDJSON "{\"message\":{\"content\":[{\"text\":\"SeCrEt\"}]}}",
        NDJSON "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"SeCrEt",
        SSE "event: message\ndata: SeCrEt", "HTTP/1.1 200 OK\r\n\r\nSeCrEt",
    };
    struct reading s;
    size_t i, k;

    for (i = 0; i < AD_COUNT(answers); i++) {
        read_in_pieces(&s, answers[i], strlen(answers[i]), false, 1);
        for (k = 0; k + 6 <= sizeof(s.scan); k++) {
            CHECK(memcmp((const char *)&s.scan + k, "SeCrEt", 6) != 0);
        }
    }
}

int main(int argc, char **argv)
{
    printf("%zu bytes an answer\n", sizeof(struct ad_scan));
    test_traps();
    test_times();
    test_long_lines();
    test_heads();
    test_depth();
    test_nothing_kept();
    test_transcripts(argc > 1 ? argv[1] : "tests/corpus/scan");
    return check_report();
}
