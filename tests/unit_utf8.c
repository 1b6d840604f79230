/* codec/utf8.c: UTF-8 at its edges, and what may be a name. */
#include "../src/codec/utf8.c"
#include "check.h"

static bool utf8(const char *s)
{
    size_t len = strlen(s);
    uint8_t *copy = check_copy(s, len);
    bool good = ad_utf8_ok(copy, len);

    free(copy);
    return good;
}

/* RFC 3629 4. */
static void test_utf8(void)
{
    static const char *const good[] = {
        "", "a", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
        "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF",
        "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z"};
    static const char *const bad[] = {
        "\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2 ", "\xC2\xC2",
        "\xE0\x9F\xBF", "\xE2\x82", "\xE2\x82 ", "\xED\xA0\x80", "\xED\xBF\xBF",
        "\xF0\x8F\xBF\xBF", "\xF0\x9F\x98", "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80", "\xFE", "\xFF"};
    size_t i;

    for (i = 0; i < AD_COUNT(good); i++) {
        CHECK(utf8(good[i]));
    }
    for (i = 0; i < AD_COUNT(bad); i++) {
        CHECK(!utf8(bad[i]));
    }
}

static void test_prefix(void)
{
    static const struct {
        const char *text;
        size_t len;
    } texts[] = {{"", 0}, {"ab", 2}, {"a\xFF" "b", 1}, {"\x80", 0},
                 {"a\xC3\xA9", 3}, {"a\xC3", 1}, {"a\xE2\x82", 1},
                 {"\xE2\x82\xAC\xF0\x9F\x98", 3}, {"\xE2\x82\xAC" "a\xED\xA0\x80", 4}};
    size_t i;

    for (i = 0; i < AD_COUNT(texts); i++) {
        size_t len = strlen(texts[i].text);
        uint8_t *copy = check_copy(texts[i].text, len);

        CHECK_EQ(ad_utf8_prefix(copy, len), texts[i].len);
        free(copy);
    }
}

/* Each code point in a name: what is written is UTF-8, and only controls and
 * bidirectional ones are refused. */
static void test_code_points(void)
{
    unsigned long code;

    for (code = 0; code <= 0x10FFFF; code++) {
        bool control = code < 0x20 || (code >= 0x7F && code <= 0x9F);
        bool bidi = (code >= 0x202A && code <= 0x202E) ||
                    (code >= 0x2066 && code <= 0x2069);
        bool surrogate = code >= 0xD800 && code <= 0xDFFF;
        char text[6] = "a";
        size_t len = 1 + ad_utf8_put(text + 1, code);

        if (ad_utf8_ok((uint8_t *)text, len) == surrogate ||
            ad_utf8_len((uint8_t)text[1]) != len - 1) {
            printf("    U+%04lX\n", code);
            CHECK(!"UTF-8");
        }
        if (ad_name_ok(text, len, 5) == (control || bidi || surrogate)) {
            printf("    U+%04lX\n", code);
            CHECK(!"a name");
        }
    }
    CHECK_EQ(code, 0x110000);
}

static void test_names(void)
{
    CHECK(ad_name_ok("llama3", 6, 6));
    CHECK(!ad_name_ok("llama3", 6, 5));
    CHECK(!ad_name_ok("", 0, 5));
    CHECK(!ad_name_ok("a\0b", 3, 5));
    CHECK(!ad_name_ok("a\xC3", 2, 5));
    CHECK(ad_name_ok("\xE2\x80\xA6", 3, 5)); /* an ellipsis */
    CHECK(!ad_name_ok("ab\xE2\x80\xAE" "c", 6, 9));
}

int main(void)
{
    test_utf8();
    test_prefix();
    test_code_points();
    test_names();
    return check_report();
}
