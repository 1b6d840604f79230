/* codec/json_stream.c: JSON in pieces, against the check of a whole text. */
#include "../src/codec/json_stream.c"
#include "check.h"

static bool whole_json(const char *text, size_t len, size_t most)
{
    struct ad_json_stream js;
    size_t i = 0;

    ad_json_stream_begin(&js, AD_PATH_TOP);
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

/* The reader takes what the project's other JSON check takes. */
static void test_json(void)
{
    static const char *const texts[] = {
        "{}", "[]", "0", "-0", "1.5e+10", "\"\"", "true", "false", "null",
        " { \"a\" : [ 1 , 2.0 , -3e-1 , { } , [ ] ] } ",
        "{\"choices\":[{\"delta\":{\"content\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"}}]}",
        "{\"model\":\"\\uD800\\uDC00\\uD800x\\uDC00\",\"usage\":null}",
        "{\"a\":1,\"a\":2}", "{\"\":{\"\":\"\"}}", "", " ", "{", "}", "[", "]",
        "{\"a\"}", "{,}", "[01]", "[1 2]", "{\"a\":1 \"b\":2}", "{\"a\":1,}",
        "[1,]", "{a:1}", "{'a':1}", "[1}", "{\"a\":1]", "01", "1.", ".5", "+1",
        "-", "1e", "1e+", "0x1", "NaN", "Infinity", "tru", "truex", "nul", "\"",
        "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\t\"", "\"\n\"", "{} {}",
        "1 2", "[1]x", "{\"a\":}", "{\"a\" 1}", "{1:2}", "[,1]", "[1,,2]",
        "{\"a\":1,,\"b\":2}", "{\"a\"::1}", "[\"a\":1]", "\"a\":1", ":", ",",
        "{\"choices\":{}}", "{\"choices\":[[{}],1,\"x\"]}", "[[],{},[{}]]",
        "{\"model\":{\"model\":[\"model\"]}}", "{\"a\":\"b\" }", "[\"a\" , \"b\"]",
        "[-1234567890123456789012345678901234567890123456789012345678901234567]",
        "[1.0123456789012345678901234567890123456789012345678901234567890123e-1]",
        "[123456789012345678901234567890123456789012345678901234567890.123E+45]",
        "[1e012345678901234567890123456789012345678901234567890123456789012345]",
        "[0gggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg]",
        "[12345678901234567890123456789012345678901234567890123456789012345e-.5]",
        "[00000000000000000000000000000000000000000000000000000000000000000000]",
        "[-]", "[1.2.3]", "[1e5e5]", "[truefalse]", "[--1]", "/**/{}"};
    char deep[2 * AD_SCAN_DEPTH_MAX + 2];
    size_t i, n;

    for (i = 0; i < AD_COUNT(texts); i++) {
        char *copy;

        for (n = strlen(texts[i]) + 1; n-- > 0;) { /* and each beginning of it */
            copy = check_copy(texts[i], n);
            CHECK_EQ(whole_json(copy, n, 1), ad_json_fault(copy, n) == NULL);
            CHECK_EQ(whole_json(copy, n, 3), ad_json_fault(copy, n) == NULL);
            CHECK_EQ(whole_json(copy, n, n), ad_json_fault(copy, n) == NULL);
            free(copy);
        }
    }
    for (i = AD_SCAN_DEPTH_MAX; i <= AD_SCAN_DEPTH_MAX + 1; i++) {
        memset(deep, '[', i);
        memset(deep + i, ']', i);
        CHECK_EQ(whole_json(deep, 2 * i, 7), i == AD_SCAN_DEPTH_MAX);
    }
    /* Numbers longer than what is kept are numbers; words are not. */
    memset(deep, '7', sizeof(deep));
    CHECK(whole_json(deep, sizeof(deep), 7));
    deep[0] = '-';
    CHECK(whole_json(deep, sizeof(deep), 7));
    memset(deep, 't', sizeof(deep));
    CHECK(!whole_json(deep, sizeof(deep), 7));
}

int main(void)
{
    test_json();
    return check_report();
}
