/* codec/llm_model.c: the model that a request asks for. */
#include "../src/codec/llm_model.c"
#include "check.h"

/* stream: 't', 'f' or '-'. The string is what of the body would be replaced. */
static const struct {
    const char *body, *string, *name;
    char stream;
} requests[] = {
    {"{\"model\":\"llama3\",\"stream\":true}", "\"llama3\"", "llama3", 't'},
    {"{\"stream\":false,\"messages\":[{\"model\":\"no\",\"stream\":true}],"
     "\"tools\":{\"model\":\"no\"},\"model\" : \"yes\" }", "\"yes\"", "yes", 'f'},
    {" \n{ \"model\"\t:\r\n\"a\" } ", "\"a\"", "a", '-'},
    {"{\"model\":\"\\u0061\\\"\\\\/\"}", "\"\\u0061\\\"\\\\/\"", "a\"\\/", '-'},
    {"{\"mod\\u0065l\":\"a\",\"str\\u0065am\":true}", "\"a\"", "a", 't'},
    {"{\"model\":\"a\",\"model\":\"b\"}", "\"b\"", "b", '-'},
    {"{\"model\":\"a\",\"model\":null}", NULL, "", '-'},
    {"{\"model\":\"a\",\"model\":{\"model\":\"b\"}}", NULL, "", '-'},
    {"{\"model\":[\"a\"]}", NULL, "", '-'},
    {"{\"model\":7,\"stream\":\"true\"}", NULL, "", '-'},
    {"{\"model\":\"\"}", "\"\"", "", '-'},
    {"{\"model\":\"a\\u0000b\"}", "\"a\\u0000b\"", "", '-'},
    {"{\"model\\u0000\":\"a\",\"Model\":\"b\",\"models\":\"c\",\"mode\":\"d\"}",
     NULL, "", '-'},
    {"{\"prompt\":\"\\\"model\\\":\\\"no\\\"\",\"x\":\"model\"}", NULL, "", '-'},
    {"{\"stream\":true,\"stream\":null}", NULL, "", '-'},
    {"{\"stream\":true,\"stream\":false}", NULL, "", 'f'},
    {"{}", NULL, "", '-'},
    {"[{\"model\":\"a\"}]", NULL, "", '-'},
    {"\"model\"", NULL, "", '-'},
    {"", NULL, "", '-'},
    {"{\"model\":\"a\"", NULL, "", '-'},
    {"{\"model\":\"a\"}}", NULL, "", '-'},
    {"{\"model\":\"a\",}", NULL, "", '-'},
    {"{\"model\":\"a\",\"stream\":true,\"x\":01}", NULL, "", '-'},
    {"{\"model\":\"a\"} {}", NULL, "", '-'},
    {"{model:\"a\"}", NULL, "", '-'},
    {"{\"model\":\"a\",\"x\":\"\xC3\x28\"}", NULL, "", '-'}, /* not UTF-8 */
    {"\xEF\xBB\xBF{\"model\":\"a\"}", NULL, "", '-'},
    {"{\"model\":\"123456789 123456789 123456789 123456789 123456789 123456789 "
     "1234\"}", "\"123456789 123456789 123456789 123456789 123456789 123456789 "
     "1234\"", "123456789 123456789 123456789 123456789 123456789 123456789 123",
     '-'},
};

static void test_model_edit(void)
{
    struct ad_model_field m;
    size_t i, len;
    char *large;

    for (i = 0; i < AD_COUNT(requests); i++) {
        const char *body = requests[i].body;

        len = strlen(body);
        large = malloc(len > 0 ? len : 1);
        memcpy(large, body, len);
        ad_model_field_find(&m, (const uint8_t *)large, len);
        free(large);
        printf("request %s\n", body);
        CHECK_EQ(m.found, requests[i].string != NULL);
        if (m.found && requests[i].string != NULL) {
            CHECK_EQ(m.len, strlen(requests[i].string));
            CHECK(m.from + m.len <= len &&
                  memcmp(body + m.from, requests[i].string, m.len) == 0);
            CHECK(strlen(body + m.from) >= m.len + 1); /* the last of several */
        }
        CHECK_STR(m.name, requests[i].name);
        CHECK_EQ(!m.has_stream ? '-' : m.stream ? 't' : 'f',
                 requests[i].stream);
    }
    /* The longest body, and one byte more; deep, and too deep. */
    len = AD_REWRITE_MAX + 1;
    large = malloc(len);
    memset(large, ' ', len);
    memcpy(large, "{\"model\":\"a\"}", 13);
    ad_model_field_find(&m, (const uint8_t *)large, len);
    CHECK(!m.found);
    ad_model_field_find(&m, (const uint8_t *)large, len - 1);
    CHECK(m.found && m.from == 9 && m.len == 3);
    memcpy(large, "{\"model\":\"a\",\"b\":", 17);
    for (i = AD_STREAM_DEPTH_MAX - 1; i <= AD_STREAM_DEPTH_MAX; i++) {
        memset(large + 17, '[', i);
        memset(large + 17 + i, ']', i);
        large[17 + 2 * i] = '}';
        ad_model_field_find(&m, (const uint8_t *)large, 18 + 2 * i);
        CHECK_EQ(m.found, i == AD_STREAM_DEPTH_MAX - 1);
    }
    free(large);
}

#define FORM_HEAD(name) \
    "--b\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n"

/* Beginnings of longer bodies. settled: is there nothing more to look for? */
static const struct {
    const char *body, *string, *name;
    bool settled;
} beginnings[] = {
    {"{\"model\":\"llama3\",\"messages\":[", "\"llama3\"", "llama3", true},
    {"{\"messages\":[{\"model\":\"no\"}],\"model\" : \"y\\u0065s\"", "\"y\\u0065s\"",
     "yes", true},
    {"{\"model\":\"a\",\"model\":\"b\"}", "\"a\"", "a", true}, /* the first one */
    {"{\"model\":\"a\",\"x\":\"\xC3\x28\"", "\"a\"", "a", true},
    {"{\"model\":\"a\", no json", "\"a\"", "a", true},
    {"{\"model\":null,\"model\":\"b\"", NULL, "", true},
    {"{\"model\":{\"model\":\"b\"", NULL, "", true},
    {"{\"model\":\"llam", NULL, "", false},
    {"{\"messages\":[{\"content\":\"\\\"model\\\":\\\"no", NULL, "", false},
    {"{\"mod", NULL, "", false},
    {" \r\n\t{", NULL, "", false},
    {"  ", NULL, "", false},
    {"", NULL, "", false},
    {"{}", NULL, "", true},
    {"[{\"model\":\"a\"", NULL, "", true},
    {"\"model", NULL, "", true},
    {"12", NULL, "", true},
    /* Forms. */
    {FORM_HEAD("model") "whisper-1\r\n--b", NULL, "whisper-1", true},
    {FORM_HEAD("file\"; filename=\"a;name=\\\"model\\\"") "x\r\n--c\r\n\r\n--b\r\n"
     "content-disposition:form-data ;name=model \r\nX-Y: z\r\n\r\nm\xC3\xA9\r\n--b\r\n",
     NULL, "m\xC3\xA9", true},
    {FORM_HEAD("model") "\r\n--b", NULL, "", true},
    {FORM_HEAD("model") "a\nb\r\n--b", NULL, "", true},
    {FORM_HEAD("model") "123456789 123456789 123456789 123456789 123456789 123456789 "
     "12345678901", NULL, "", true},
    {FORM_HEAD("a") "b\r\n--b--\r\n", NULL, "", true},
    {FORM_HEAD("a") "b\r\n--bcd", NULL, "", true},
    {FORM_HEAD("filename=\"model\"; modelname") "b\r\n--", NULL, "", false},
    {FORM_HEAD("model") "whisper-1\r\n--", NULL, "", false},
    {"--b\r\nContent-Disposition: form-data; name=\"model\"\r\n", NULL, "", false},
    {"--", NULL, "", false},
    {"--\r\n", NULL, "", true},
    {"-1234567 101234567 201234567 301234567 401234567 501234567 601234567 7012", NULL,
     "", false},
    {"-1234567 101234567 201234567 301234567 401234567 501234567 601234567 701234", NULL,
     "", true},
    {"{\"a\":01,\"model\":\"b\"", NULL, "", true},
    {"\xEF\xBB\xBF{\"model\":\"b\"", NULL, "", true},
    {"\x1F\x8B\x08", NULL, "", true},
};

/* In one piece, in two at every place, byte by byte. */
static void test_model_search(void)
{
    size_t i, cut, at;

    for (i = 0; i < AD_COUNT(beginnings); i++) {
        const char *body = beginnings[i].body;
        size_t len = strlen(body);

        printf("beginning %s\n", body);
        for (cut = 0; cut <= len + 1; cut++) {
            struct ad_model_search js;
            struct ad_model_field m = {0};
            bool settled = false;

            ad_model_search_begin(&js);
            for (at = cut > len ? 1 : cut; at <= len && !settled;
                 at = cut > len ? at + 1 : at < len ? len : len + 1) {
                uint8_t *copy = malloc(at > 0 ? at : 1); /* for the sanitizer */

                memcpy(copy, body, at);
                settled = ad_model_search_next(&js, copy, at, &m);
                free(copy);
            }
            CHECK_EQ(settled, beginnings[i].settled);
            CHECK_EQ(m.found, beginnings[i].string != NULL);
            CHECK_STR(m.name, beginnings[i].name);
            if (m.found && beginnings[i].string != NULL) {
                CHECK_EQ(m.len, strlen(beginnings[i].string));
                CHECK(memcmp(body + m.from, beginnings[i].string, m.len) == 0);
            }
        }
    }
}

int main(void)
{
    test_model_edit();
    test_model_search();
    return check_report();
}
