/* codec/messages.c: samples, commands and client_id. */
#include "../src/codec/messages.c"
#include "check.h"

static void test_client_id(void)
{
    char out[AIDASH_CLIENT_ID_MAX + 1], id[200];

#define ID(text) ad_client_id(text, strlen(text), out)
    CHECK(ID("a") && strcmp(out, "a") == 0);
    CHECK(ID("A-z_0.9~") && strcmp(out, "A-z_0.9~") == 0);
    CHECK(ID("%41%7e") && strcmp(out, "A~") == 0);
    CHECK(ID("...") && !ID(".") && !ID("..") && !ID("%2e") && !ID("%2E."));
    CHECK(!ID("") && !ID("a/b") && !ID("%2F") && !ID("%00") && !ID("a%") &&
          !ID("a%4") && !ID("%4g") && !ID("\xC3\xA9") && !ID("a b") && !ID("@") &&
          !ID("[") && !ID("`") && !ID("{"));
    memset(id, 'x', sizeof(id));
    CHECK(ad_client_id(id, 64, out) && strlen(out) == 64);
    CHECK(!ad_client_id(id, 65, out));
}

static enum ad_fault sample_fault(const char *s, struct ad_sample *out)
{
    return ad_sample_parse(s, strlen(s), out);
}

static void test_sample(void)
{
    struct ad_sample s;

    CHECK(sample_fault("{\"tokens\":3,\"latency_ms\":41.5,\"model\":\"yolo\"}",
                       &s) == AD_FAULT_NONE);
    CHECK(s.tokens == 3 && s.latency_ms == 41.5 &&
          s.has == (AD_HAS_TOKENS | AD_HAS_LATENCY));
    CHECK_STR(s.model, "yolo");
    CHECK(sample_fault("{\"event\":\"inference_tick\",\"model\":\"llama3\","
                       "\"tokens_generated\":47,\"latency_ms\":118.3,"
                       "\"tokens_per_second\":3.82,\"timestamp\":"
                       "1741478400.123,\"node\":\"pi-2\"}",
                       &s) == AD_FAULT_NONE);
    CHECK(s.total == 47 && s.time_us == 1741478400123000ull &&
          s.rate == 3.82);
    CHECK_STR(s.node, "pi-2");
    CHECK(sample_fault("{\"tokens\":null,\"latency_ms\":0}", &s) == AD_FAULT_NONE);
    CHECK(sample_fault("{\"latency_ms\":1e9}", &s) == AD_FAULT_NONE);
    CHECK(sample_fault("{\"latency_ms\":1000000001}", &s) != AD_FAULT_NONE);
    CHECK(sample_fault("{\"latency_ms\":-0.1}", &s) != AD_FAULT_NONE);
    CHECK(sample_fault("{\"latency_ms\":\"1\"}", &s) != AD_FAULT_NONE);
    CHECK(sample_fault("{\"latency_ms\":true}", &s) != AD_FAULT_NONE);
    CHECK(sample_fault("{\"tokens\":1,\"timestamp\":\"now\"}", &s) != AD_FAULT_NONE);
    CHECK(sample_fault("{\"tokens\":\"none\",\"latency_ms\":1}", &s) != AD_FAULT_NONE);
    CHECK(sample_fault("{\"tokens\":1000000000}", &s) == AD_FAULT_NONE);
    CHECK(sample_fault("{\"tokens\":1000000001}", &s) != AD_FAULT_NONE);
    CHECK(sample_fault("{\"tokens\":1.5}", &s) != AD_FAULT_NONE);
    CHECK(sample_fault("{}", &s) != AD_FAULT_NONE);
    CHECK(sample_fault("{\"model\":\"m\"}", &s) != AD_FAULT_NONE);
    CHECK(sample_fault("{\"tokens\":1,\"model\":\"\"}", &s) != AD_FAULT_NONE);
    CHECK(sample_fault("{\"tokens\":1,\"model\":7}", &s) != AD_FAULT_NONE);
    CHECK(sample_fault("{\"tokens\":1,\"node\":\"0123456789012345678901234567890"
                       "1\"}", &s) != AD_FAULT_NONE);
    CHECK(sample_fault("[1]", &s) != AD_FAULT_NONE);
}

/* Whole numbers in any form, null for what is not there, a byte order mark. */
static void test_sample_forms(void)
{
    struct ad_sample s;

    CHECK(sample_fault("{\"tokens\":3.0,\"tokens_generated\":1.5e2}", &s) ==
          AD_FAULT_NONE);
    CHECK(s.tokens == 3 && s.total == 150);
    CHECK(sample_fault("{\"tokens\":3.5}", &s) == AD_FAULT_SAMPLE_TOKENS);
    CHECK(sample_fault("{\"tokens\":3,\"model\":null,\"node\":null,"
                       "\"tokens_generated\":null,\"latency_ms\":null,"
                       "\"tokens_per_second\":null,\"timestamp\":null}", &s) ==
          AD_FAULT_NONE);
    CHECK(s.has == AD_HAS_TOKENS && s.model[0] == '\0' && s.node[0] == '\0');
    CHECK(sample_fault("{\"tokens\":null}", &s) == AD_FAULT_SAMPLE_EMPTY);
    CHECK(sample_fault("\xEF\xBB\xBF{\"tokens\":3}", &s) == AD_FAULT_NONE);
    CHECK(s.tokens == 3);
    CHECK(sample_fault("\xEF\xBB\xBF\xEF\xBB\xBF{\"tokens\":3}", &s) !=
          AD_FAULT_NONE);
    CHECK(sample_fault("{\"tokens\":3}\xEF\xBB\xBF", &s) != AD_FAULT_NONE);
}

static const char *request(const char *s, struct ad_command_message *out)
{
    enum ad_fault fault = ad_command_parse(s, strlen(s), out);

    return ad_errors[ad_faults[fault].error].code;
}

static void test_request(void)
{
    struct ad_command_message r;
    char json[256];

    CHECK_STR(request("{\"action\":\"pause\"}", &r), "");
    CHECK(r.action == AIDASH_PAUSE && r.id[0] == '\0');
    CHECK_STR(request("{\"action\":\"ping\",\"id\":1}", &r), "");
    CHECK(r.action == AD_ACTION_PING);
    CHECK_STR(request("{\"action\":\"switch_model\",\"model\":\"m\",\"id\":\"\\u0041\""
                  ",\"more\":{}}", &r), "");
    CHECK_STR(r.id, "\"\\u0041\"");
    CHECK_STR(request("{\"id\":-7,\"action\":\"resume\"}", &r), "");
    CHECK_STR(r.id, "-7");
    CHECK_STR(request("{\"\\u0061ction\":\"switch\\u005fmodel\",\"model\":"
                  "\"mistr\\u0061l\"}", &r), "");
    CHECK_STR(r.model, "mistral");
    CHECK_STR(request("1", &r), "invalid_command");
    CHECK_STR(request(" null ", &r), "invalid_command");
    CHECK_STR(request("\"pause\"", &r), "invalid_command");
    CHECK_STR(request("{\"action\":\"pause\"", &r), "invalid_json");
    CHECK_STR(request("[]", &r), "invalid_command");
    CHECK_STR(request("{}", &r), "invalid_command");
    CHECK_STR(request("{\"action\":1}", &r), "invalid_command");
    CHECK_STR(request("{\"action\":\"reboot\",\"id\":3}", &r),
              "unknown_action");
    CHECK_STR(r.id, "3");
    CHECK_STR(request("{\"action\":\"switch_model\"}", &r), "invalid_command");
    CHECK_STR(request("{\"action\":\"pause\",\"id\":1.5}", &r),
              "invalid_command");
    CHECK_STR(request("{\"action\":\"pause\",\"id\":1e3}", &r), "");
    CHECK_STR(r.id, "1e3");
    CHECK_STR(request("{\"action\":\"pause\",\"id\":null}", &r), "");
    CHECK_STR(r.id, "");
    CHECK_STR(request("\xEF\xBB\xBF{\"action\":\"pause\"}", &r), "");
    CHECK_STR(request("\xEF\xBB\xBF", &r), "invalid_json");
    CHECK_STR(request("{\"action\":\"cancel\",\"request\":7.0}", &r), "");
    CHECK_EQ(r.request, 7);
    CHECK_STR(request("{\"action\":\"cancel\",\"request\":null}", &r),
              "invalid_command");
    CHECK_STR(request("{\"action\":\"pause\",\"id\":true}", &r),
              "invalid_command");
    CHECK_STR(request("{\"action\":\"pause\",\"id\":{}}", &r),
              "invalid_command");
    (void)sprintf(json, "{\"action\":\"pause\",\"id\":\"%064d\"}", 0);
    CHECK_STR(request(json, &r), "");
    CHECK_EQ(strlen(r.id), AD_ID_MAX);
    (void)sprintf(json, "{\"action\":\"pause\",\"id\":\"%065d\"}", 0);
    CHECK_STR(request(json, &r), "invalid_command");
}

/* A sender who names a wrong action reads what the right ones are. */
static void test_actions_named(void)
{
    size_t i;

    for (i = 1; i < AD_COUNT(ad_action_names); i++) {
        CHECK(strstr(ad_fault_text(AD_FAULT_ACTION), ad_action_names[i]) != NULL);
        CHECK(strstr(ad_fault_text(AD_FAULT_ACTION_UNKNOWN),
                     ad_action_names[i]) != NULL);
    }
}

/* What a command's sender gets, and the status of POST /command. */
static void test_errors(void)
{
    static const struct {
        enum ad_fault fault;
        int status;
        const char *json;
    } cases[] = {
        {AD_FAULT_JSON_COMMA, 400, "{\"event\":\"error\",\"code\":\"invalid_json"
         "\",\"message\":\"a comma or a closing bracket is missing\",\"id\":7}"},
        {AD_FAULT_NOT_TEXT, 400, "{\"event\":\"error\",\"code\":\"not_text\","
         "\"message\":\"commands are JSON in text messages\",\"id\":7}"},
        {AD_FAULT_MODEL_EMPTY, 400, "{\"event\":\"error\",\"code\":"
         "\"invalid_command\",\"message\":\"\\\"model\\\" must not be empty "
         "without the meter (--upstream)\",\"id\":7}"},
        {AD_FAULT_MODEL_UNKNOWN, 400, "{\"event\":\"error\",\"code\":"
         "\"unknown_model\",\"message\":\"the model is not in the list that "
         "hello and status give\",\"id\":7}"},
        {AD_FAULT_ACTION_METER, 400, "{\"event\":\"error\",\"code\":"
         "\"unknown_action\",\"message\":\"only the meter (--upstream) has "
         "requests to drain or cancel\",\"id\":7}"},
        {AD_FAULT_REFUSED, 409, "{\"event\":\"error\",\"code\":\"refused\","
         "\"message\":\"the engine refused the command\",\"id\":7}"},
        {AD_FAULT_REQUEST_GONE, 409, "{\"event\":\"error\",\"code\":\"refused\","
         "\"message\":\"there is no such request now\",\"id\":7}"}};
    char json[512];
    size_t i;

    for (i = 0; i < AD_COUNT(cases); i++) {
        struct ad_text t = ad_text_in(json, sizeof(json) - 1);

        ad_put_error(&t, cases[i].fault, "7");
        json[t.len] = '\0';
        CHECK_STR(json, cases[i].json);
        CHECK_EQ(ad_fault_status(cases[i].fault), cases[i].status);
    }
}

/* What is written ends where the message says, whatever stood there before. */
static void test_auth(void)
{
    static const struct {
        const char *text;
        enum ad_fault fault;
        const char *id, *token;
    } cases[] = {
        {"{\"action\":\"auth\",\"token\":\"k\",\"id\":7}", AD_FAULT_NONE, "7", "k"},
        {"{\"action\":\"auth\",\"token\":\"k\",\"id\":\"a\"}", AD_FAULT_NONE, "\"a\"", "k"},
        {"{\"action\":\"auth\",\"token\":\"k\",\"id\":null}", AD_FAULT_NONE, "", "k"},
        {"{\"action\":\"auth\",\"token\":\"\"}", AD_FAULT_NONE, "", ""},
        {"{\"action\":\"auth\",\"token\":1,\"id\":7}", AD_FAULT_TOKEN, "7", NULL},
        {"{\"action\":\"auth\",\"id\":7.5}", AD_FAULT_ID, "", NULL},
        {"{\"action\":\"pause\",\"token\":\"auth\"}", AD_FAULT_ACTION_UNKNOWN, "", NULL},
        {"no JSON, but \"auth\"", AD_FAULT_ACTION_UNKNOWN, "", NULL},
        {"", AD_FAULT_ACTION_UNKNOWN, "", NULL},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ad_slice token = {"", 0};
        char id[AD_ID_MAX + 1];

        memset(id, 'x', sizeof(id));
        CHECK_EQ((long long)ad_auth_parse(cases[i].text, strlen(cases[i].text), &token, id), (long long)cases[i].fault);
        CHECK_EQ((long long)strnlen(id, sizeof(id)), (long long)strlen(cases[i].id));
        CHECK(memcmp(id, cases[i].id, strlen(cases[i].id)) == 0);
        if (cases[i].token != NULL) {
            CHECK(ad_slice_is(token, cases[i].token));
        }
    }
}

int main(void)
{
    test_client_id();
    test_sample();
    test_sample_forms();
    test_request();
    test_actions_named();
    test_errors();
    test_auth();
    return check_report();
}
