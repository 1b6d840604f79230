/* codec/json_stream.c and llm_paths.c: the grammar of JSON, in pieces; where the
 * reader stops, and what it keeps. */
#include "../src/codec/json.c"
#include "../src/codec/llm_paths.c"
#include "check.h"

static bool whole_json(const char *text, size_t len, size_t most)
{
    struct ad_json_stream js;
    size_t i = 0;

    ad_path_begin(&js, AD_PATH_TOP);
    while (i < len && js.state != AD_JSON_BAD) {
        size_t n = len - i < most ? len - i : most;
        uint8_t *copy = check_copy(text + i, n);
        size_t used;

        used = ad_json_stream_next(&js, copy, n);
        CHECK(used == n || js.what != AD_JSON_NOTHING || js.state == AD_JSON_BAD);
        i += used;
        CHECK_EQ(js.at, i);
        free(copy);
    }
    return ad_json_stream_end(&js);
}

/* In pieces, a text and each beginning of it are what they are as a whole. */
static void pieces(const char *text)
{
    size_t n;

    for (n = strlen(text) + 1; n-- > 0;) {
        char *copy = check_copy(text, n);

        CHECK_EQ(whole_json(copy, n, 1), ad_json_fault(copy, n) == AD_FAULT_NONE);
        CHECK_EQ(whole_json(copy, n, 3), ad_json_fault(copy, n) == AD_FAULT_NONE);
        CHECK_EQ(whole_json(copy, n, n), ad_json_fault(copy, n) == AD_FAULT_NONE);
        free(copy);
    }
}

static void test_json(void)
{
    static const char *const texts[] = {
        "{}", "[]", "0", "-0", "1.5e+10", "\"\"", "true", "false", "null",
        " { \"a\" : [ 1 , 2.0 , -3e-1 , { } , [ ] ] } ",
        "{\"choices\":[{\"delta\":{\"content\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"}}]}",
        "{\"model\":\"\\uD800\\uDC00\\uD800x\\uDC00\",\"usage\":null}",
        "{\"a\":1,\"a\":2}", "{\"\":{\"\":\"\"}}", "{\"choices\":{}}",
        "{\"choices\":[[{}],1,\"x\"]}", "[[],{},[{}]]",
        "{\"model\":{\"model\":[\"model\"]}}", "{\"a\":\"b\" }",
        "[\"a\" , \"b\"]",
        "[-1234567890123456789012345678901234567890123456789012345678901234567]",
        "[1.0123456789012345678901234567890123456789012345678901234567890123e-1]",
        "[123456789012345678901234567890123456789012345678901234567890.123E+45]",
        "[1e012345678901234567890123456789012345678901234567890123456789012345]"};
    static const char *const not_json[] = {
        "", " ", "{", "}", "[", "]", "{\"a\"}", "{,}", "[01]", "[1 2]",
        "{\"a\":1 \"b\":2}", "{\"a\":1,}", "[1,]", "{a:1}", "{'a':1}", "[1}",
        "{\"a\":1]", "01", "1.", ".5", "+1", "-", "1e", "1e+", "0x1", "NaN",
        "Infinity", "tru", "truex", "nul", "\"", "\"\\x\"", "\"\\u12\"",
        "\"\\u12g4\"", "\"\t\"", "\"\n\"", "{} {}", "1 2", "[1]x", "{\"a\":}",
        "{\"a\" 1}", "{1:2}", "[,1]", "[1,,2]", "{\"a\":1,,\"b\":2}",
        "{\"a\"::1}", "[\"a\":1]", "\"a\":1", ":", ",",
        "[0gggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg]",
        "[12345678901234567890123456789012345678901234567890123456789012345e-.5]",
        "[00000000000000000000000000000000000000000000000000000000000000000000]",
        "[-]", "[1.2.3]", "[1e5e5]", "[truefalse]", "[--1]", "/**/{}"};
    char deep[2 * AD_STREAM_DEPTH_MAX + 2], number[AD_STREAM_TEXT_MAX + 30];
    size_t i;

    for (i = 0; i < AD_COUNT(texts); i++) {
        CHECK(whole_json(texts[i], strlen(texts[i]), 1));
        pieces(texts[i]);
    }
    for (i = 0; i < AD_COUNT(not_json); i++) {
        if (whole_json(not_json[i], strlen(not_json[i]), 1)) {
            printf("    accepted: %s\n", not_json[i]);
        }
        CHECK(!whole_json(not_json[i], strlen(not_json[i]), 1));
        pieces(not_json[i]);
    }
    for (i = AD_STREAM_DEPTH_MAX; i <= AD_STREAM_DEPTH_MAX + 1; i++) {
        memset(deep, '[', i);
        memset(deep + i, ']', i);
        CHECK_EQ(whole_json(deep, 2 * i, 7), i == AD_STREAM_DEPTH_MAX);
    }
    /* Numbers longer than what is kept are numbers; words are not. */
    memset(number, '7', sizeof(number));
    CHECK(whole_json(number, sizeof(number), 7));
    number[0] = '-';
    CHECK(whole_json(number, sizeof(number), 7));
    memset(number, 't', sizeof(number));
    CHECK(!whole_json(number, sizeof(number), 7));
}

/* Where the reader stops, and what it keeps. */
static void test_places(void)
{
    static const struct {
        const char *text, *stops;
    } cases[] = {
        {"{\"model\":\"a\\u00e9\\ud83d\\ude00\"}",
         "open:top text:model=a\xC3\xA9\xF0\x9F\x98\x80 close:top "},
        {"{\"model\":\"\\ud83dx\\ude00\"}",
         "open:top text:model=\xEF\xBF\xBDx\xEF\xBF\xBD close:top "},
        {"{\"choices\":[{\"delta\":{\"content\":\"secret\"}}]}",
         "open:top open:choices open:choice open:delta text:text= close:delta "
         "close:choice close:choices close:top "},
        {"{\"choice\":[1],\"choicest\":2,\"Model\":3}", "open:top close:top "},
        {"[{},[{}],{}]",
         "open:list open:top close:top open:top close:top close:list "},
        {"{\"usage\":{\"prompt_tokens\":7,\"output_tokens\":\"8\"},\"stop\":true}",
         "open:top open:usage scalar:prompt=7 text:completion=8 close:usage "
         "scalar:stop=true close:top "}};
    static const char *const places[AD_PATH_COUNT] = {
        [AD_PATH_TOP] = "top", [AD_PATH_LIST] = "list", [AD_PATH_MODEL] = "model",
        [AD_PATH_CHOICES] = "choices", [AD_PATH_CHOICE] = "choice",
        [AD_PATH_DELTA] = "delta", [AD_PATH_TEXT] = "text",
        [AD_PATH_USAGE] = "usage", [AD_PATH_PROMPT] = "prompt",
        [AD_PATH_COMPLETION] = "completion", [AD_PATH_STOP] = "stop"};
    static const char *const names[] = {"", "open", "close", "text", "scalar"};
    size_t i;

    for (i = 0; i < AD_COUNT(cases); i++) {
        const uint8_t *in = (const uint8_t *)cases[i].text;
        size_t len = strlen(cases[i].text), at = 0;
        struct ad_json_stream js;
        char stops[512];
        size_t n = 0;

        ad_path_begin(&js, AD_PATH_TOP);
        while (at < len) {
            at += ad_json_stream_next(&js, in + at, len - at);
            if (js.what == AD_JSON_TEXT || js.what == AD_JSON_SCALAR) {
                n += (size_t)snprintf(stops + n, sizeof(stops) - n, "%s:%s=%s ",
                                      names[js.what], places[js.path], js.text);
            } else if (js.what != AD_JSON_NOTHING) {
                n += (size_t)snprintf(stops + n, sizeof(stops) - n, "%s:%s ",
                                      names[js.what], places[js.path]);
            }
        }
        stops[n] = '\0';
        CHECK(ad_json_stream_end(&js));
        CHECK_STR(stops, cases[i].stops);
    }
}

/* Each place that a key or an array leads to exists. */
static void test_table(void)
{
    size_t i, k;

    for (i = 0; i < AD_PATH_COUNT; i++) {
        CHECK(ad_places[i].element < AD_PATH_COUNT);
        for (k = 0; k < ad_places[i].n_keys; k++) {
            const struct ad_json_key *key = &ad_places[i].keys[k];

            CHECK(key->to > AD_PATH_NONE && key->to < AD_PATH_COUNT);
            CHECK_EQ(key->len, strlen(key->key));
            CHECK(key->len < AD_STREAM_TEXT_MAX);
            CHECK_EQ(ad_json_place_next(&ad_places[i], key->key, key->len),
                     key->to);
        }
    }
    CHECK_EQ(ad_places[AD_PATH_NONE].n_keys, 0);
}

int main(void)
{
    test_json();
    test_places();
    test_table();
    return check_report();
}
