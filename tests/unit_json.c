/* codec/json.c: whole JSON texts, their grammar, values, names and numbers. */
#include "../src/codec/json.c"
#include "check.h"

static const char *fault(const char *s)
{
    size_t len = strlen(s);
    char *copy = check_copy(s, len);
    const char *result = ad_json_fault(copy, len);

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
        "\xEF\xBB\xBF{}", "\"\xC0\x80\"", "\"\xED\xA0\x80\"",
        "\"\xF4\x90\x80\x80\"", "\"\xC3\"", "\"\x80\"",
        "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", "{\"a\":1,\"b\"}", "[\"a\":1]"};
    size_t i;

    for (i = 0; i < AD_COUNT(good); i++) {
        CHECK(fault(good[i]) == NULL);
    }
    for (i = 0; i < AD_COUNT(bad); i++) {
        if (fault(bad[i]) == NULL) {
            printf("    accepted: %s\n", bad[i]);
        }
        CHECK(fault(bad[i]) != NULL);
    }
    CHECK(ad_json_fault("\"a\0b\"", 5) != NULL);
}

static void test_json_prefixes(void)
{
    /* No beginning of a text is a text, and none is read beyond its end. */
    static const char text[] =
        "{\"a\":[1,{\"b\":\"\\u00e9\\n\xE2\x82\xAC\"},true,null,-1.5e3]}";
    size_t n;

    for (n = 0; n < sizeof(text) - 1; n++) {
        char *copy = check_copy(text, n);

        CHECK(ad_json_fault(copy, n) != NULL);
        free(copy);
    }
    CHECK(ad_json_fault(text, sizeof(text) - 1) == NULL);
}

static void test_json_get(void)
{
    const char *s = "{\"x\":{\"model\":\"no\"},\"model\":\"first\",\"l\":[1,"
                    "{\"model\":2}],\"model\":\"last\"}";
    const jsmntok_t *t;
    char name[8];
    char many[4096] = "[", deep[512];
    size_t i, n = 1;

    CHECK(ad_json_object(s, strlen(s)) == NULL);
    t = ad_json_get(s, "model");
    CHECK(t != NULL && ad_json_name(s, t, name, 7));
    CHECK_STR(name, "last");
    CHECK(ad_json_get(s, "b") == NULL);
    t = ad_json_get(s, "x");
    CHECK(t != NULL && t->type == JSMN_OBJECT);
    CHECK_STR(ad_json_object("[1]", 3), "not a JSON object");
    CHECK_STR(ad_json_object("1", 1), "not a JSON object");

    /* AD_TOKENS values pass, one more does not. */
    n = (size_t)sprintf(many, "{\"a\":[");
    for (i = 0; i < AD_TOKENS - 3; i++) {
        n += (size_t)sprintf(many + n, "%s1", i > 0 ? "," : "");
    }
    (void)sprintf(many + n, "]}");
    CHECK(ad_json_object(many, strlen(many)) == NULL);
    (void)sprintf(many + n, ",1]}");
    CHECK_STR(ad_json_object(many, strlen(many)), "too many values");

    memset(deep, '[', 256);
    memset(deep + 256, ']', 256);
    CHECK_STR(ad_json_fault(deep, 512), "nested too deep");
}

static bool name_is(const char *json, size_t max, const char *expected)
{
    char name[AIDASH_MODEL_MAX + 1];
    jsmntok_t t = {JSMN_STRING, 1, (int)strlen(json) - 1, 0};

    return ad_json_name(json, &t, name, max) && strcmp(name, expected) == 0;
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
    CHECK(!name_is("\"\\uD83D\"", 63, ""));      /* half a pair */
    CHECK(!name_is("\"\\uDE00\"", 63, ""));      /* the other half */
    CHECK(!name_is("\"\\uD83Dx\"", 63, ""));
    CHECK(!name_is("\"\\uD83D\\u0041\"", 63, ""));
    CHECK(!name_is("\"\\uD83D\\uD83D\"", 63, ""));
    CHECK(!name_is("\"\\uD83D\\n\"", 63, ""));
}

static double number(const char *s)
{
    jsmntok_t t = {JSMN_PRIMITIVE, 0, (int)strlen(s), 0};

    return ad_json_double(s, &t);
}

static void test_numbers(void)
{
    static const char *const exact[] = {
        "0", "118.3", "0.1", "3.82", "1741478400.123456", "9007199254740993",
        "1e3", "1E-3", "123456789012345678901234567890", "0.000001",
        "12345.678901234567890123", "1e22", "5e-5"};
    uint64_t u;
    size_t i;
    jsmntok_t t = {JSMN_PRIMITIVE, 0, 0, 0};

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

#define U64(text, max) \
    (t.end = (int)strlen(text), ad_json_u64(text, &t, max, &u))
    CHECK(U64("0", 10) && u == 0);
    CHECK(U64("10", 10) && u == 10);
    CHECK(!U64("11", 10));
    CHECK(!U64("-1", 10));
    CHECK(!U64("1.0", 10));
    CHECK(!U64("1e0", 10));
    CHECK(U64("9007199254740992", (1ull << 53)) && u == (1ull << 53));
    CHECK(!U64("9007199254740993", (1ull << 53)));
    CHECK(!U64("99999999999999999999999", (1ull << 53)));
}

int main(void)
{
    test_json_grammar();
    test_json_prefixes();
    test_json_get();
    test_json_name();
    test_numbers();
    return check_report();
}
