/* The members of an object as pieces of its text: what is found, and which objects
 * are refused. */
#undef AIDASH_TLS
#define AIDASH_TLS 1 /* this part needs nothing of mbedTLS */
#include "../src/base/text.c"
#include "../src/codec/json_members.c"
#include "check.h"

static struct ad_json_members members;

/* Read a copy, in memory of exactly its size; it is kept until the next. */
static bool read_text(const char *text)
{
    static char *copy;
    size_t len = strlen(text);

    free(copy);
    copy = check_copy(text, len);
    return ad_json_members_read(&members, copy, len);
}

static const char *value_of(const char *name)
{
    static char out[256];
    struct ad_slice value = ad_json_member(&members, name);

    if (value.at == NULL) {
        return "-";
    }
    (void)snprintf(out, sizeof(out), "%.*s", (int)value.len, value.at);
    return out;
}

static void test_values(void)
{
    CHECK(read_text("{}"));
    CHECK_EQ(members.n, 0);
    CHECK_STR(value_of("a"), "-");
    CHECK(read_text(" \r\n{ \"a\" : 1 ,\t\"b\":\"x\\\"}\",\"c\":[1,{\"a\":\"]\"},[]] , "
                    "\"d\":{\"a\":{}},\"e\":null,\"\":true,\"f\":-1.5e3}\n"));
    CHECK_EQ(members.n, 7);
    CHECK_STR(value_of("a"), "1");
    CHECK_STR(value_of("b"), "\"x\\\"}\"");
    CHECK_STR(value_of("c"), "[1,{\"a\":\"]\"},[]]");
    CHECK_STR(value_of("d"), "{\"a\":{}}");
    CHECK_STR(value_of("e"), "null");
    CHECK_STR(value_of(""), "true");
    CHECK_STR(value_of("f"), "-1.5e3");
    CHECK(read_text("\xEF\xBB\xBF{\"a\":\"b\\\\\"}"));
    CHECK_STR(value_of("a"), "\"b\\\\\"");
    CHECK(read_text("{\"\\u0061lg\":1}")); /* an escaped name is the same name */
    CHECK_STR(value_of("alg"), "1");
    CHECK_STR(value_of("blg"), "-");
}

static void test_refused(void)
{
    static const char *const texts[] = {
        "", " ", "1", "[]", "\"a\"", "null", "{", "{}x", "{}{}", "{\"a\"}", "{a:1}",
        "{\"a\":1,}", "{\"a\":01}", "{\"a\":NaN}", "{\"a\":\"\xFF\"}", "[{\"a\":1}]",
        "{\"a\":1,\"a\":1}", "{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":1,\"\\u0061\":1}",
        "{\"\\u0061\":1,\"a\":1}", "{\"\\u0061\":1,\"\\u0061\":1}",
        "{\"\\/\":1,\"/\":1}", "{\"\":1,\"\":1}",
        "{\"\\u0000\":1}", "{\"\\ud800\":1}", /* names that are no names */
    };
    size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (read_text(texts[i])) {
            printf("%s was taken\n", texts[i]);
            CHECK(false);
        }
    }
    CHECK(read_text("{\"a\":{\"b\":1,\"b\":1}}")); /* nobody reads what is inside */
    CHECK(read_text("{\"a\":1,\"A\":1,\"ab\":1,\"\\u0062\":1}"));
}

static void test_most(void)
{
    static char text[AD_MEMBERS_MAX * 16];
    struct ad_text t = ad_text_in(text, sizeof(text));
    unsigned i;

    for (i = 0; i < AD_MEMBERS_MAX; i++) {
        ad_putf(&t, "%c\"m%u\":%u", i == 0 ? '{' : ',', i, i);
    }
    ad_putf(&t, "}");
    text[t.len] = '\0';
    CHECK(read_text(text));
    CHECK_EQ(members.n, AD_MEMBERS_MAX);
    CHECK_STR(value_of("m63"), "63");
    t.len--;
    ad_putf(&t, ",\"x\":1}");
    text[t.len] = '\0';
    CHECK(!read_text(text));
}

static void test_elements(void)
{
    static const struct {
        const char *list, *joined;
    } rows[] = {
        {"[]", ""}, {"[ ]", ""}, {"[1]", "1|"}, {"[ 1 , \"a,]\" ]", "1|\"a,]\"|"},
        {"[[1,2],{\"a\":[3]},\"\"]", "[1,2]|{\"a\":[3]}|\"\"|"},
        {"[true,null]", "true|null|"}};
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = strlen(rows[i].list);
        char *copy = check_copy(rows[i].list, len), out[64];
        struct ad_slice rest = {copy, len}, one;
        struct ad_text t = ad_text_in(out, sizeof(out));

        while (ad_json_element(&rest, &one)) {
            ad_put(&t, one.at, one.len);
            ad_puts(&t, "|");
        }
        out[t.len] = '\0';
        CHECK_STR(out, rows[i].joined);
        free(copy);
    }
}

static void test_texts(void)
{
    CHECK(read_text("{\"a\":\"x\\u0079z\",\"b\":1,\"c\":\"\",\"d\":\"\\u0000\"}"));
    CHECK(ad_json_text_is(ad_json_member(&members, "a"), "xyz"));
    CHECK(!ad_json_text_is(ad_json_member(&members, "a"), "xy"));
    CHECK(!ad_json_text_is(ad_json_member(&members, "a"), "xyzz"));
    CHECK(!ad_json_text_is(ad_json_member(&members, "b"), "1"));
    CHECK(ad_json_text_is(ad_json_member(&members, "c"), ""));
    CHECK(!ad_json_text_is(ad_json_member(&members, "d"), ""));
}

int main(void)
{
    test_values();
    test_refused();
    test_most();
    test_elements();
    test_texts();
    return check_report();
}
