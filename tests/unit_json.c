/* codec/json.c: whole JSON texts, their grammar, values, names and numbers. */
#include "../src/codec/json.c"
#include "check.h"

static enum ad_fault fault(const char *s)
{
    size_t len = strlen(s);
    char *copy = check_copy(s, len);
    enum ad_fault result = ad_json_fault(copy, len);

    free(copy);
    return result;
}

static void test_json_grammar(void)
{
    /* RFC 8259; the comments name what jsmn's strict mode lets through. */
    static const char *const good[] = {
        "{}", "[]", "0", "-0", "1.5e+10", "\"\"", "true", "false", "null",
        " { \"a\" : [ 1 , 2.0 , -3e-1 , { } , [ ] ] } ", "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD800\"", "{\"a\":1,\"a\":2}",
        "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"", "{\"\":{\"\":\"\"}}"};
    static const char *const bad[] = {
        "", " ", "{", "}", "[", "]", "{\"a\"}" /* jsmn */, "{,}" /* jsmn */,
        "[01]" /* jsmn */, "[1 2]" /* jsmn */, "{\"a\":1 \"b\":2}", "{\"a\":1,}",
        "[1,]", "{a:1}", "{'a':1}", "[1}", "{\"a\":1]", "01", "1.", ".5", "+1",
        "-", "1e", "1e+", "0x1", "NaN", "Infinity", "tru", "truex", "nul",
        "\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\t\"", "\"\n\"",
        "{} {}", "1 2", "[1]x", "{\"a\":}", "{\"a\" 1}", "{1:2}", "[,1]",
        "\xEF\xBB\xBF", "{}\xEF\xBB\xBF", "\"\xC0\x80\"", "\"\xED\xA0\x80\"",
        "\"\xF4\x90\x80\x80\"", "\"\xC3\"", "\"\x80\"",
        "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", "{\"a\":1,\"b\"}", "[\"a\":1]"};
    size_t i;

    for (i = 0; i < AD_COUNT(good); i++) {
        CHECK(fault(good[i]) == AD_FAULT_NONE);
    }
    for (i = 0; i < AD_COUNT(bad); i++) {
        if (fault(bad[i]) == AD_FAULT_NONE) {
            printf("    accepted: %s\n", bad[i]);
        }
        CHECK(fault(bad[i]) != AD_FAULT_NONE);
    }
    CHECK(ad_json_fault("\"a\0b\"", 5) == AD_FAULT_JSON_VALUE);
}

/* Each fault has its reason. */
static void test_json_reasons(void)
{
    static const struct {
        const char *text;
        enum ad_fault fault;
        const char *sentence;
    } cases[] = {
        {"\"\xC3\"", AD_FAULT_JSON_UTF8, "not valid UTF-8"},
        {"", AD_FAULT_JSON_ENDS, "the JSON text ends too early"},
        {"{\"a\":1", AD_FAULT_JSON_ENDS, "the JSON text ends too early"},
        {"[1,", AD_FAULT_JSON_ENDS, "the JSON text ends too early"},
        {"\"abc", AD_FAULT_JSON_ENDS, "the JSON text ends too early"},
        {"\"a\\u00", AD_FAULT_JSON_ENDS, "the JSON text ends too early"},
        {"{a:1}", AD_FAULT_JSON_KEY, "a key is not a JSON string"},
        {"{1:2}", AD_FAULT_JSON_KEY, "a key is not a JSON string"},
        {"{\"a\tb\":2}", AD_FAULT_JSON_KEY, "a key is not a JSON string"},
        {"{\"a\":1,}", AD_FAULT_JSON_KEY, "a key is not a JSON string"},
        {"{]", AD_FAULT_JSON_KEY, "a key is not a JSON string"},
        {"{\"a\" 1}", AD_FAULT_JSON_COLON, "a key without a colon"},
        {"{\"a\"}", AD_FAULT_JSON_COLON, "a key without a colon"},
        {"tru", AD_FAULT_JSON_VALUE, "not a JSON value"},
        {"pause", AD_FAULT_JSON_VALUE, "not a JSON value"},
        {"[01]", AD_FAULT_JSON_VALUE, "not a JSON value"},
        {"[}", AD_FAULT_JSON_VALUE, "not a JSON value"},
        {"[1,]", AD_FAULT_JSON_VALUE, "not a JSON value"},
        {"\"\\x\"", AD_FAULT_JSON_VALUE, "not a JSON value"},
        {"\"\\u12g4\"", AD_FAULT_JSON_VALUE, "not a JSON value"},
        {"[1 2]", AD_FAULT_JSON_COMMA, "a comma or a closing bracket is missing"},
        {"[1}", AD_FAULT_JSON_COMMA, "a comma or a closing bracket is missing"},
        {"{\"a\":1]", AD_FAULT_JSON_COMMA, "a comma or a closing bracket is missing"},
        {"{} {}", AD_FAULT_JSON_MORE, "more after the JSON value"},
        {"1 2", AD_FAULT_JSON_MORE, "more after the JSON value"},
        {"[[[[[[[[[[[[[[[[[", AD_FAULT_JSON_DEPTH, "nested too deep"}};
    size_t i;

    for (i = 0; i < AD_COUNT(cases); i++) {
        printf("%s\n", cases[i].text);
        CHECK_EQ(fault(cases[i].text), cases[i].fault);
        CHECK_STR(ad_fault_text(fault(cases[i].text)), cases[i].sentence);
    }
    /* Each fault has a sentence, and each error a code and a status. */
    for (i = 1; i < AD_COUNT(ad_faults); i++) {
        CHECK(ad_faults[i].text != NULL && ad_faults[i].text[0] != '\0');
    }
    for (i = 1; i < AD_COUNT(ad_errors); i++) {
        CHECK(ad_errors[i].code != NULL && ad_errors[i].status >= 400);
    }
}

static void test_json_prefixes(void)
{
    /* No beginning of a text is a text, and none is read beyond its end. */
    static const char text[] =
        "{\"a\":[1,{\"b\":\"\\u00e9\\n\xE2\x82\xAC\"},true,null,-1.5e3]}";
    size_t n;

    for (n = 0; n < sizeof(text) - 1; n++) {
        char *copy = check_copy(text, n);

        CHECK(ad_json_fault(copy, n) != AD_FAULT_NONE);
        free(copy);
    }
    CHECK(ad_json_fault(text, sizeof(text) - 1) == AD_FAULT_NONE);
}

static void test_json_get(void)
{
    const char *s = "{\"x\":{\"model\":\"no\"},\"model\":\"first\",\"l\":[1,"
                    "{\"model\":2}],\"model\":\"last\"}";
    const jsmntok_t *t;
    struct ad_json j;
    char name[8];
    char many[4096] = "[", deep[512];
    size_t i, n = 1;

    CHECK(ad_json_object(&j, s, strlen(s)) == AD_FAULT_NONE);
    t = ad_json_get(&j, "model");
    CHECK(t != NULL && ad_json_name(&j, t, name, 7));
    CHECK_STR(name, "last");
    CHECK(ad_json_get(&j, "b") == AD_FAULT_NONE);
    t = ad_json_get(&j, "x");
    CHECK(t != NULL && t->type == JSMN_OBJECT);
    CHECK_EQ(ad_json_object(&j, "[1]", 3), AD_FAULT_JSON_OBJECT);
    CHECK_EQ(ad_json_object(&j, "1", 1), AD_FAULT_JSON_OBJECT);

    /* AD_TOKENS values pass, one more does not. */
    n = (size_t)sprintf(many, "{\"a\":[");
    for (i = 0; i < AD_TOKENS - 3; i++) {
        n += (size_t)sprintf(many + n, "%s1", i > 0 ? "," : "");
    }
    (void)sprintf(many + n, "]}");
    CHECK(ad_json_object(&j, many, strlen(many)) == AD_FAULT_NONE);
    (void)sprintf(many + n, ",1]}");
    CHECK_EQ(ad_json_object(&j, many, strlen(many)), AD_FAULT_JSON_VALUES);

    memset(deep, '[', 256);
    memset(deep + 256, ']', 256);
    CHECK_EQ(ad_json_fault(deep, 512), AD_FAULT_JSON_DEPTH);
}

static bool name_is(const char *json, size_t max, const char *expected)
{
    char name[AIDASH_MODEL_MAX + 1];

    return ad_json_decode(json + 1, strlen(json) - 2, name, max) && strcmp(name, expected) == 0;
}

static void test_json_name(void)
{
    CHECK(name_is("\"llama3\"", 63, "llama3"));
    CHECK(name_is("\"a\\u00e9\\u20AC\\uD83D\\uDE00\\/\\\\\"", 63,
                  "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80/\\"));
    CHECK(name_is("\"abc\"", 3, "abc"));
    CHECK(!name_is("\"abcd\"", 3, "abcd"));
    CHECK(!name_is("\"a\\n\"", 63, "a\n"));
    CHECK(!name_is("\"\\u0000\"", 63, ""));
    CHECK(!name_is("\"\\u007f\"", 63, "\x7F"));
    CHECK(!name_is("\"\\u0085\"", 63, "\xC2\x85")); /* C1 */
    CHECK(!name_is("\"a\\u202Eb\"", 63, "a\xE2\x80\xAE" "b")); /* bidi */
    CHECK(!name_is("\"a\xE2\x81\xA6\"", 63, "a\xE2\x81\xA6"));
    CHECK(!name_is("\"\\uD83D\"", 63, ""));      /* half a pair */
    CHECK(!name_is("\"\\uDE00\"", 63, ""));      /* the other half */
    CHECK(!name_is("\"\\uD83Dx\"", 63, ""));
    CHECK(!name_is("\"\\uD83D\\u0041\"", 63, ""));
    CHECK(!name_is("\"\\uD83D\\uD83D\"", 63, ""));
    CHECK(!name_is("\"\\uD83D\\n\"", 63, ""));
}

static double number(const char *s)
{
    return ad_json_double(s, strlen(s));
}

static bool u64(const char *json, uint64_t max, uint64_t *value)
{
    struct ad_json j;

    return ad_json_object(&j, json, strlen(json)) == AD_FAULT_NONE &&
           ad_json_u64(&j, ad_json_get(&j, "n"), max, value);
}

static void test_numbers(void)
{
    static const char *const exact[] = {
        "0", "118.3", "0.1", "3.82", "1741478400.123456", "9007199254740993",
        "1e3", "1E-3", "123456789012345678901234567890", "0.000001",
        "12345.678901234567890123", "1e22", "5e-5"};
    uint64_t u;
    size_t i;

    for (i = 0; i < AD_COUNT(exact); i++) {
        double ours = number(exact[i]), libc = strtod(exact[i], NULL);

        CHECK(ours - libc <= libc * 4e-16 && libc - ours <= libc * 4e-16);
    }
    CHECK(number("118.3") == 118.3);
    CHECK(number("-2.5") == -2.5);
    CHECK(number("1e400") > 1e299);
    CHECK(number("1e-400") == 0);
    CHECK(number("1e99999999999") > 1e299);
    CHECK(number("0e99999999999") == 0);

#define U64(text, max) u64("{\"n\":" text "}", max, &u)
    CHECK(U64("0", 10) && u == 0);
    CHECK(U64("10", 10) && u == 10);
    CHECK(!U64("11", 10));
    CHECK(!U64("-1", 10));
    CHECK(U64("1.0", 10) && u == 1);
    CHECK(!U64("1.1", 10));
    CHECK(!U64("null", 10));
    CHECK(!U64("\"1\"", 10));
    CHECK(U64("9007199254740992", (1ull << 53)) && u == (1ull << 53));
    CHECK(!U64("9007199254740993", (1ull << 53)));
    CHECK(!U64("99999999999999999999999", (1ull << 53)));
}

int main(void)
{
    test_json_grammar();
    test_json_reasons();
    test_json_prefixes();
    test_json_get();
    test_json_name();
    test_numbers();
    return check_report();
}
