/* faults.c - what can be wrong with a message from outside: codes, and the
 * sentences that its sender reads. Pure.
 */
#ifndef AD_CODEC_FAULTS_C
#define AD_CODEC_FAULTS_C

#include "../base/platform.h"

/* How a command that fails is answered. */
enum ad_error {
    AD_ERROR_NONE,
    AD_ERROR_INVALID_JSON,
    AD_ERROR_INVALID_COMMAND,
    AD_ERROR_UNKNOWN_ACTION,
    AD_ERROR_UNKNOWN_MODEL,
    AD_ERROR_UNKNOWN_NODE,
    AD_ERROR_NOT_TEXT,
    AD_ERROR_REFUSED,
    AD_ERROR_UNAUTHORIZED,
    AD_ERROR_FORBIDDEN,
    AD_ERROR_RATE_LIMITED
};

static const struct {
    const char *code; /* of the error event */
    int status;       /* that POST /command answers */
} ad_errors[] = {
    [AD_ERROR_NONE] = {"", 200},
    [AD_ERROR_INVALID_JSON] = {"invalid_json", 400},
    [AD_ERROR_INVALID_COMMAND] = {"invalid_command", 400},
    [AD_ERROR_UNKNOWN_ACTION] = {"unknown_action", 400},
    [AD_ERROR_UNKNOWN_MODEL] = {"unknown_model", 400},
    [AD_ERROR_UNKNOWN_NODE] = {"unknown_node", 400},
    [AD_ERROR_NOT_TEXT] = {"not_text", 400},
    [AD_ERROR_REFUSED] = {"refused", 409},
    [AD_ERROR_UNAUTHORIZED] = {"unauthorized", 401},
    [AD_ERROR_FORBIDDEN] = {"forbidden", 403},
    [AD_ERROR_RATE_LIMITED] = {"rate_limited", 429},
};

enum ad_fault {
    AD_FAULT_NONE,

    AD_FAULT_JSON_UTF8,
    AD_FAULT_JSON_ENDS,
    AD_FAULT_JSON_KEY,
    AD_FAULT_JSON_COLON,
    AD_FAULT_JSON_VALUE,
    AD_FAULT_JSON_COMMA,
    AD_FAULT_JSON_MORE,
    AD_FAULT_JSON_DEPTH,
    AD_FAULT_JSON_VALUES,
    AD_FAULT_JSON_OBJECT,

    AD_FAULT_LINE_LENGTH,
    AD_FAULT_SAMPLE_MODEL,
    AD_FAULT_SAMPLE_NODE,
    AD_FAULT_SAMPLE_TOKENS,
    AD_FAULT_SAMPLE_TOTAL,
    AD_FAULT_SAMPLE_LATENCY,
    AD_FAULT_SAMPLE_RATE,
    AD_FAULT_SAMPLE_TIME,
    AD_FAULT_SAMPLE_EMPTY,
    AD_FAULT_SAMPLE_TAKEN,
    AD_FAULT_GAUGE_NAME,
    AD_FAULT_GAUGE_UNIT,
    AD_FAULT_GAUGE_VALUE,
    AD_FAULT_WATTS,

    AD_FAULT_NOT_TEXT,
    AD_FAULT_ID,
    AD_FAULT_ACTION,
    AD_FAULT_ACTION_UNKNOWN,
    AD_FAULT_ACTION_METER,
    AD_FAULT_MODEL,
    AD_FAULT_MODEL_EMPTY,
    AD_FAULT_MODEL_UNKNOWN,
    AD_FAULT_REQUEST,
    AD_FAULT_REQUEST_GONE,
    AD_FAULT_OWN,
    AD_FAULT_OWN_UNKNOWN,
    AD_FAULT_OWN_VALUE,
    AD_FAULT_OWN_RANGE,
    AD_FAULT_UNFINISHED,
    AD_FAULT_NODE,
    AD_FAULT_NODE_UNKNOWN,
    AD_FAULT_NODE_GONE,
    AD_FAULT_NODE_LINK,
    AD_FAULT_BENCH_STREAMS,
    AD_FAULT_BENCH_PROMPT,
    AD_FAULT_BENCH_TOKENS,
    AD_FAULT_BENCH_METER,
    AD_FAULT_BENCH_RUNS,
    AD_FAULT_BENCH_NONE,
    AD_FAULT_BENCH_PAUSED,
    AD_FAULT_BENCH_INFLIGHT,
    AD_FAULT_BENCH_OVERRIDE,
    AD_FAULT_REFUSED,

    AD_FAULT_KEY_NEEDED,
    AD_FAULT_KEY_NARROW,
    AD_FAULT_LOCAL_ALONE,
    AD_FAULT_TOKEN,
    AD_FAULT_TOKEN_BAD,
    AD_FAULT_TOKENS_BAD,
    AD_FAULT_VIEW_NARROW,
    AD_FAULT_AUTH_FIRST,
    AD_FAULT_TOO_OFTEN
};

#define AD_ACTIONS \
    "switch_model, pause, resume, drain, cancel, ping, bench, bench_stop and own"

/* Limits, in their sentences. */
#define AD_TEXT_OF_(macro) #macro
#define AD_TEXT_OF(macro) AD_TEXT_OF_(macro)
#if AIDASH_METER
#define AD_BENCH_STREAMS_TEXT AD_TEXT_OF(AIDASH_BENCH_STREAMS)
#else
#define AD_BENCH_STREAMS_TEXT "16"
#endif

/* A sample's faults have a sentence only: no command is answered with them. */
static const struct {
    uint8_t error; /* enum ad_error */
    const char *text;
} ad_faults[] = {
    [AD_FAULT_NONE] = {AD_ERROR_NONE, ""},

    [AD_FAULT_JSON_UTF8] = {AD_ERROR_INVALID_JSON, "not valid UTF-8"},
    [AD_FAULT_JSON_ENDS] = {AD_ERROR_INVALID_JSON,
                            "the JSON text ends too early"},
    [AD_FAULT_JSON_KEY] = {AD_ERROR_INVALID_JSON, "a key is not a JSON string"},
    [AD_FAULT_JSON_COLON] = {AD_ERROR_INVALID_JSON, "a key without a colon"},
    [AD_FAULT_JSON_VALUE] = {AD_ERROR_INVALID_JSON, "not a JSON value"},
    [AD_FAULT_JSON_COMMA] = {AD_ERROR_INVALID_JSON,
                             "a comma or a closing bracket is missing"},
    [AD_FAULT_JSON_MORE] = {AD_ERROR_INVALID_JSON, "more after the JSON value"},
    [AD_FAULT_JSON_DEPTH] = {AD_ERROR_INVALID_JSON, "nested too deep"},
    [AD_FAULT_JSON_VALUES] = {AD_ERROR_INVALID_JSON, "too many values"},
    [AD_FAULT_JSON_OBJECT] = {AD_ERROR_INVALID_COMMAND, "not a JSON object"},

    [AD_FAULT_LINE_LENGTH] = {AD_ERROR_NONE, "longer than the line limit"},
    [AD_FAULT_SAMPLE_MODEL] = {AD_ERROR_NONE, "\"model\" must be a string of "
                               "1 to 63 bytes, without control characters"},
    [AD_FAULT_SAMPLE_NODE] = {AD_ERROR_NONE, "\"node\" must be a string of "
                              "1 to 31 bytes, without control characters"},
    [AD_FAULT_SAMPLE_TOKENS] = {AD_ERROR_NONE, "\"tokens\" must be an integer "
                                "from 0 to 1e9"},
    [AD_FAULT_SAMPLE_TOTAL] = {AD_ERROR_NONE, "\"tokens_generated\" must be an "
                               "integer from 0 to 2^53"},
    [AD_FAULT_SAMPLE_LATENCY] = {AD_ERROR_NONE, "\"latency_ms\" must be a "
                                 "number from 0 to 1e9"},
    [AD_FAULT_SAMPLE_RATE] = {AD_ERROR_NONE, "\"tokens_per_second\" must be a "
                              "number from 0 to 1e12"},
    [AD_FAULT_SAMPLE_TIME] = {AD_ERROR_NONE, "\"timestamp\" must be Unix "
                              "seconds from 0 to 1e11"},
    [AD_FAULT_SAMPLE_EMPTY] = {AD_ERROR_NONE, "one of \"tokens\", "
                               "\"tokens_generated\" and \"latency_ms\" is "
                               "needed"},
    [AD_FAULT_SAMPLE_TAKEN] = {AD_ERROR_NONE, "\"node\" is a board that sends its own "
                               "events; give these ticks another name"},
    [AD_FAULT_GAUGE_NAME] = {AD_ERROR_NONE, "\"gauge\" must be a string of "
                             "1 to 31 bytes, without control characters"},
    [AD_FAULT_GAUGE_UNIT] = {AD_ERROR_NONE, "\"unit\" must be a string of at "
                             "most 15 bytes, without control characters"},
    [AD_FAULT_GAUGE_VALUE] = {AD_ERROR_NONE, "\"value\" must be a number "
                              "between -1e100 and 1e100"},
    [AD_FAULT_WATTS] = {AD_ERROR_NONE, "\"watts\" must be a number between 0 and "
                        "1000000"},

    [AD_FAULT_NOT_TEXT] = {AD_ERROR_NOT_TEXT,
                           "commands are JSON in text messages"},
    [AD_FAULT_ID] = {AD_ERROR_INVALID_COMMAND, "\"id\" must be an integer, or "
                     "a string of at most 64 bytes"},
    [AD_FAULT_ACTION] = {AD_ERROR_INVALID_COMMAND, "\"action\" must be a "
                         "string: the actions are " AD_ACTIONS},
    [AD_FAULT_ACTION_UNKNOWN] = {AD_ERROR_UNKNOWN_ACTION, "the action is "
                                 "unknown: the actions are " AD_ACTIONS},
    [AD_FAULT_ACTION_METER] = {AD_ERROR_UNKNOWN_ACTION, "only the meter "
                               "(--upstream) has requests to drain or cancel"},
    [AD_FAULT_MODEL] = {AD_ERROR_INVALID_COMMAND, "\"model\" must be a string "
                        "of at most 63 bytes, without control characters"},
    [AD_FAULT_MODEL_EMPTY] = {AD_ERROR_INVALID_COMMAND, "\"model\" must not be "
                              "empty without the meter (--upstream)"},
    [AD_FAULT_MODEL_UNKNOWN] = {AD_ERROR_UNKNOWN_MODEL, "the model is not in "
                                "the list that hello and status give"},
    [AD_FAULT_REQUEST] = {AD_ERROR_INVALID_COMMAND, "\"request\" must be the "
                          "number of a request"},
    [AD_FAULT_REQUEST_GONE] = {AD_ERROR_REFUSED, "there is no such request now"},
    [AD_FAULT_OWN] = {AD_ERROR_INVALID_COMMAND, "\"command\" must be the name "
                      "of one of the engine's own commands"},
    [AD_FAULT_OWN_UNKNOWN] = {AD_ERROR_UNKNOWN_ACTION, "the engine has no "
                              "command of this name: GET /commands has them"},
    [AD_FAULT_OWN_VALUE] = {AD_ERROR_INVALID_COMMAND, "\"value\" must be a "
                            "number"},
    [AD_FAULT_OWN_RANGE] = {AD_ERROR_INVALID_COMMAND, "\"value\" is not what "
                            "this command takes: GET /commands says what does"},
    [AD_FAULT_UNFINISHED] = {AD_ERROR_REFUSED, "too many commands are not "
                             "finished yet"},
    [AD_FAULT_NODE] = {AD_ERROR_INVALID_COMMAND, "\"node\" must be the name of a "
                       "board, a string of 1 to 31 bytes"},
    [AD_FAULT_NODE_UNKNOWN] = {AD_ERROR_UNKNOWN_NODE, "there is no board of this "
                               "name: GET /nodes lists them"},
    [AD_FAULT_NODE_GONE] = {AD_ERROR_REFUSED, "the board is gone: it gets no "
                            "commands until it is back"},
    [AD_FAULT_NODE_LINK] = {AD_ERROR_REFUSED, "no way leads to this board for "
                            "commands: it only sends events"},
    [AD_FAULT_BENCH_STREAMS] = {AD_ERROR_INVALID_COMMAND, "\"streams\" must be "
                                "a list of 1 to 8 whole numbers from 1 to "
                                AD_BENCH_STREAMS_TEXT},
    [AD_FAULT_BENCH_PROMPT] = {AD_ERROR_INVALID_COMMAND, "\"prompt_tokens\" "
                               "must be a whole number from 1 to 32768"},
    [AD_FAULT_BENCH_TOKENS] = {AD_ERROR_INVALID_COMMAND, "\"max_tokens\" must "
                               "be a whole number from 2 to 8192"},
    [AD_FAULT_BENCH_METER] = {AD_ERROR_REFUSED, "there is nothing to measure: "
                              "this aidash has no engine behind it (start it "
                              "with --upstream)"},
    [AD_FAULT_BENCH_RUNS] = {AD_ERROR_REFUSED, "a benchmark is already running"},
    [AD_FAULT_BENCH_NONE] = {AD_ERROR_REFUSED, "no benchmark runs"},
    [AD_FAULT_BENCH_PAUSED] = {AD_ERROR_REFUSED, "requests are paused: resume "
                               "them first"},
    [AD_FAULT_BENCH_INFLIGHT] = {AD_ERROR_REFUSED, "\"streams\" has more than "
                                 "may be at the engine at once "
                                 "(--max-inflight)"},
    [AD_FAULT_BENCH_OVERRIDE] = {AD_ERROR_REFUSED, "a viewer chose another "
                                 "model for all requests"},
    [AD_FAULT_REFUSED] = {AD_ERROR_REFUSED, "the engine refused the command"},

    [AD_FAULT_KEY_NEEDED] = {AD_ERROR_UNAUTHORIZED, "a key with the right control "
                             "is needed to send commands: send {\"action\":"
                             "\"auth\",\"token\":...} first"},
    [AD_FAULT_KEY_NARROW] = {AD_ERROR_FORBIDDEN, "the key does not have the right "
                             "control, which is needed to send commands"},
    [AD_FAULT_LOCAL_ALONE] = {AD_ERROR_FORBIDDEN, "nobody beyond the machine where "
                              "aidash runs is allowed to send commands "
                              "(--control local)"},
    [AD_FAULT_TOKEN] = {AD_ERROR_INVALID_COMMAND, "\"token\" must be a string: a "
                        "key or a token"},
    [AD_FAULT_TOKEN_BAD] = {AD_ERROR_UNAUTHORIZED, "the key or token is wrong, "
                            "expired or revoked"},
    [AD_FAULT_TOKENS_BAD] = {AD_ERROR_RATE_LIMITED, "too many wrong keys came from "
                             "this address"},
    [AD_FAULT_VIEW_NARROW] = {AD_ERROR_FORBIDDEN, "the key or token does not have "
                              "the right view"},
    [AD_FAULT_AUTH_FIRST] = {AD_ERROR_UNAUTHORIZED, "a key is needed: the first "
                             "message must be {\"action\":\"auth\",\"token\":...}"},
    [AD_FAULT_TOO_OFTEN] = {AD_ERROR_RATE_LIMITED, "too many commands: a client "
                            "may send " AD_TEXT_OF(AIDASH_COMMAND_BURST)
                            " at once, then " AD_TEXT_OF(AIDASH_COMMAND_RATE)
                            " a second"},
};
_Static_assert(AIDASH_MODEL_MAX == 63 && AIDASH_NODE_MAX == 31 &&
                   AIDASH_GAUGE_MAX == 31 && AIDASH_UNIT_MAX == 15,
               "the sentences name the longest of each");

static const char *ad_fault_text(enum ad_fault fault)
{
    return ad_faults[fault].text;
}

/* The status that POST /command answers. */
static int ad_fault_status(enum ad_fault fault)
{
    return ad_errors[ad_faults[fault].error].status;
}

#endif
