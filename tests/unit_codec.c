/* Section 5 of aidash.c: numbers, UTF-8, JSON, ids, frames, bodies, lines and
 * the rate window, at their corners. */
#include "../src/codec/messages.c"
#include "../src/codec/tick.c"
#include "../src/codec/websocket.c"
#include "../src/codec/lines.c"
#include "../src/codec/answer.c"
#include "../src/core/rate.c"
#include "check.h"

/* Texts in buffers of exactly their size, so that the address sanitizer sees
 * each byte read beyond the end. */
static char *tight(const char *s, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);

    memcpy(copy, s, len);
    return copy;
}

static const char *fault(const char *s)
{
    size_t len = strlen(s);
    char *copy = tight(s, len);
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
        char *copy = tight(text, n);

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
    CHECK(U64("9007199254740992", AD_TOTAL_LIMIT) && u == AD_TOTAL_LIMIT);
    CHECK(!U64("9007199254740993", AD_TOTAL_LIMIT));
    CHECK(!U64("99999999999999999999999", AD_TOTAL_LIMIT));
}

static const char *text_of(struct ad_text *t)
{
    t->at[t->len] = '\0';
    return t->at;
}

static void test_text(void)
{
    char buffer[64];
    struct ad_text t;

#define PRINTED(call, expected) \
    do { \
        t = ad_text_in(buffer, sizeof(buffer) - 1); \
        call; \
        CHECK_STR(text_of(&t), expected); \
    } while (0)
    PRINTED(ad_put_u64(&t, 0), "0");
    PRINTED(ad_put_u64(&t, UINT64_MAX), "18446744073709551615");
    PRINTED(ad_put_fixed(&t, 118.3, 3), "118.3");
    PRINTED(ad_put_fixed(&t, 0, 3), "0");
    PRINTED(ad_put_fixed(&t, 0.0005, 3), "0.001");
    PRINTED(ad_put_fixed(&t, 0.00049, 3), "0");
    PRINTED(ad_put_fixed(&t, 0.999999, 2), "1");
    PRINTED(ad_put_fixed(&t, 1e12, 2), "1000000000000");
    PRINTED(ad_put_fixed(&t, 3.05, 2), "3.05");
    PRINTED(ad_put_decimal(&t, 1741478400123456ull, 6), "1741478400.123456");
    PRINTED(ad_put_decimal(&t, 1741478400000001ull, 6), "1741478400.000001");
    PRINTED(ad_put_decimal(&t, 1741478400100000ull, 6), "1741478400.1");
    PRINTED(ad_put_string(&t, "a\"b\\c\n\x01\xC3\xA9"),
            "\"a\\\"b\\\\c\\u000a\\u0001\xC3\xA9\"");

    /* Full is kept, and nothing is written beyond. */
    t = ad_text_in(buffer, 4);
    ad_puts(&t, "abcd");
    CHECK(!t.full);
    ad_puts(&t, "e");
    CHECK(t.full && t.len == 4);
    t = ad_text_in(buffer, 4);
    ad_putf(&t, "%d", 12345);
    CHECK(t.full && t.len == 0);
}

static void test_tick(void)
{
    struct ad_tick tick = {.model_json = "llama3", .model_json_len = 6,
                           .tokens = 47, .latency_ms = 118.3, .rate = 3.82,
                           .time_us = 1741478400123000ull};
    char buffer[AD_TICK_MAX + 1], name[AIDASH_MODEL_MAX + 1];
    char model[AD_MODEL_JSON_MAX], node[AD_NODE_JSON_MAX];
    struct ad_text t = ad_text_in(buffer, AD_TICK_MAX);

    ad_tick_encode(&t, &tick);
    CHECK_STR(text_of(&t),
              "{\"event\":\"inference_tick\",\"model\":\"llama3\","
              "\"tokens_generated\":47,\"latency_ms\":118.3,"
              "\"tokens_per_second\":3.82,\"timestamp\":1741478400.123}");

    /* The longest tick there can be fits. */
    memset(name, '"', AIDASH_MODEL_MAX);
    name[AIDASH_MODEL_MAX] = '\0';
    t = ad_text_in(model, sizeof(model));
    ad_put_escaped(&t, name, AIDASH_MODEL_MAX);
    CHECK(!t.full);
    tick.model_json = model;
    tick.model_json_len = t.len;
    t = ad_text_in(node, sizeof(node));
    ad_put_escaped(&t, name, AIDASH_NODE_MAX);
    CHECK(!t.full);
    tick.node_json = node;
    tick.node_json_len = t.len;
    tick.tokens = AD_TOTAL_LIMIT;
    tick.latency_ms = 999999999.999;
    tick.rate = 999999999999.99;
    tick.time_us = 99999999999999999ull;
    tick.estimated = true;
    t = ad_text_in(buffer, AD_TICK_MAX);
    ad_tick_encode(&t, &tick);
    CHECK(!t.full);
    CHECK(ad_json_fault(t.at, t.len) == NULL);
}

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

static const char *sample_fault(const char *s, struct ad_sample *out)
{
    return ad_sample_parse(s, strlen(s), out);
}

static void test_sample(void)
{
    struct ad_sample s;

    CHECK(sample_fault("{\"tokens\":3,\"latency_ms\":41.5,\"model\":\"yolo\"}",
                       &s) == NULL);
    CHECK(s.tokens == 3 && s.latency_ms == 41.5 &&
          s.has == (AD_HAS_TOKENS | AD_HAS_LATENCY));
    CHECK_STR(s.model, "yolo");
    CHECK(sample_fault("{\"event\":\"inference_tick\",\"model\":\"llama3\","
                       "\"tokens_generated\":47,\"latency_ms\":118.3,"
                       "\"tokens_per_second\":3.82,\"timestamp\":"
                       "1741478400.123,\"node\":\"pi-2\"}",
                       &s) == NULL);
    CHECK(s.total == 47 && s.time_us == 1741478400123000ull &&
          s.rate == 3.82);
    CHECK_STR(s.node, "pi-2");
    CHECK(sample_fault("{\"tokens\":null,\"latency_ms\":0}", &s) == NULL);
    CHECK(sample_fault("{\"latency_ms\":1e9}", &s) == NULL);
    CHECK(sample_fault("{\"latency_ms\":1000000001}", &s) != NULL);
    CHECK(sample_fault("{\"latency_ms\":-0.1}", &s) != NULL);
    CHECK(sample_fault("{\"latency_ms\":\"1\"}", &s) != NULL);
    CHECK(sample_fault("{\"latency_ms\":true}", &s) != NULL);
    CHECK(sample_fault("{\"tokens\":1,\"timestamp\":\"now\"}", &s) != NULL);
    CHECK(sample_fault("{\"tokens\":\"none\",\"latency_ms\":1}", &s) != NULL);
    CHECK(sample_fault("{\"tokens\":1000000000}", &s) == NULL);
    CHECK(sample_fault("{\"tokens\":1000000001}", &s) != NULL);
    CHECK(sample_fault("{\"tokens\":1.5}", &s) != NULL);
    CHECK(sample_fault("{}", &s) != NULL);
    CHECK(sample_fault("{\"model\":\"m\"}", &s) != NULL);
    CHECK(sample_fault("{\"tokens\":1,\"model\":\"\"}", &s) != NULL);
    CHECK(sample_fault("{\"tokens\":1,\"model\":7}", &s) != NULL);
    CHECK(sample_fault("{\"tokens\":1,\"node\":\"0123456789012345678901234567890"
                       "1\"}", &s) != NULL);
    CHECK(sample_fault("[1]", &s) != NULL);
}

static const char *request(const char *s, struct ad_command_message *out)
{
    const char *why;

    return ad_command_parse(s, strlen(s), out, &why);
}

static void test_request(void)
{
    struct ad_command_message r;
    char json[256];

    CHECK(request("{\"action\":\"pause\"}", &r) == NULL);
    CHECK(r.action == AIDASH_PAUSE && r.id[0] == '\0');
    CHECK(request("{\"action\":\"switch_model\",\"model\":\"m\",\"id\":\"\\u0041\""
                  ",\"more\":{}}", &r) == NULL);
    CHECK_STR(r.id, "\"\\u0041\"");
    CHECK(request("{\"id\":-7,\"action\":\"resume\"}", &r) == NULL);
    CHECK_STR(r.id, "-7");
    CHECK(request("{\"\\u0061ction\":\"switch\\u005fmodel\",\"model\":"
                  "\"mistr\\u0061l\"}", &r) == NULL);
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
    CHECK_STR(request("{\"action\":\"pause\",\"id\":1e3}", &r),
              "invalid_command");
    CHECK_STR(request("{\"action\":\"pause\",\"id\":true}", &r),
              "invalid_command");
    CHECK_STR(request("{\"action\":\"pause\",\"id\":{}}", &r),
              "invalid_command");
    (void)sprintf(json, "{\"action\":\"pause\",\"id\":\"%064d\"}", 0);
    CHECK(request(json, &r) == NULL && strlen(r.id) == AD_ID_MAX);
    (void)sprintf(json, "{\"action\":\"pause\",\"id\":\"%065d\"}", 0);
    CHECK_STR(request(json, &r), "invalid_command");
}

/* RFC 6455 5.2 byte by byte: what is missing, then the header, then an error. */
static void test_ws_header(void)
{
    static const struct {
        uint8_t bytes[14];
        size_t n;
        int result;
        uint32_t len;
    } cases[] = {
        {{0x81}, 1, 1, 0},
        {{0x81, 0x80}, 2, 4, 0},
        {{0x81, 0x85, 1, 2, 3, 4}, 6, 0, 5},
        {{0x81, 0xFD, 1, 2, 3, 4}, 6, 0, 125},
        {{0x81, 0xFE, 0, 126, 1, 2, 3, 4}, 8, 0, 126},
        {{0x81, 0xFE, 0}, 3, 1, 0},
        {{0x81, 0xFE, 0, 125}, 4, -1002, 0},      /* not the shortest form */
        {{0x81, 0xFE, 0x10, 0x00, 1, 2, 3, 4}, 8, 0, 4096},
        {{0x81, 0xFE, 0x10, 0x01}, 4, -1009, 0},
        {{0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}, 10, -1002, 0},
        {{0x81, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0}, 10, -1009, 0},
        {{0x81, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, 10,
         -1009, 0},
        {{0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0}, 10, -1002, 0},
        {{0x81, 0x05}, 2, -1002, 0},              /* not masked */
        {{0xC1, 0x80}, 2, -1002, 0},              /* RSV1 */
        {{0xA1, 0x80}, 2, -1002, 0},
        {{0x91, 0x80}, 2, -1002, 0},
        {{0x83, 0x80}, 2, -1002, 0},              /* reserved opcodes */
        {{0x87, 0x80}, 2, -1002, 0},
        {{0x8B, 0x80}, 2, -1002, 0},
        {{0x8F, 0x80}, 2, -1002, 0},
        {{0x09, 0x80}, 2, -1002, 0},              /* fragmented ping */
        {{0x89, 0xFE}, 2, -1002, 0},              /* ping of 126 bytes */
        {{0x88, 0xFD, 1, 2, 3, 4}, 6, 0, 125},
        {{0x00, 0x81, 9, 9, 9, 9}, 6, 0, 1},
        {{0x02, 0x81, 9, 9, 9, 9}, 6, 0, 1}};
    size_t i;

    for (i = 0; i < AD_COUNT(cases); i++) {
        struct ad_ws_frame frame;
        uint8_t *copy = (uint8_t *)tight((const char *)cases[i].bytes,
                                         cases[i].n);
        int result = ad_ws_header(copy, cases[i].n, &frame);

        CHECK_EQ(result, cases[i].result);
        if (result == 0) {
            CHECK_EQ(frame.len, cases[i].len);
            CHECK_EQ(frame.header_len, cases[i].n);
        }
        free(copy);
    }
}

static void test_close_codes(void)
{
    static const unsigned good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009,
                                    1010, 1011, 1012, 1013, 1014, 3000, 4999};
    static const unsigned bad[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 2999,
                                   5000, 65535};
    size_t i;

    for (i = 0; i < AD_COUNT(good); i++) {
        CHECK(ad_ws_close_ok(good[i]));
    }
    for (i = 0; i < AD_COUNT(bad); i++) {
        CHECK(!ad_ws_close_ok(bad[i]));
    }
}

/* A chunked body cut at every place gives the same bytes. RFC 9112 7.1. */
/* Lines cut at every place, at the limit, and beyond it. */
static void test_lines(void)
{
    static uint8_t buf[AD_LINE_CAP], wire[3 * AIDASH_MESSAGE_MAX];
    static const size_t lengths[] = {0, 5, AIDASH_MESSAGE_MAX,
                                     AIDASH_MESSAGE_MAX + 1, 3};
    size_t total = 0, i, cut;

    for (i = 0; i < AD_COUNT(lengths); i++) {
        memset(wire + total, 'a' + (int)i, lengths[i]);
        total += lengths[i];
        if (i % 2 == 0) {
            wire[total++] = '\r';
        }
        wire[total++] = '\n';
    }
    for (cut = 0; cut <= total; cut++) {
        struct ad_lines l = {0, 0, false};
        size_t at = 0, limit = cut;

        i = 0;
        while (at < total) {
            const uint8_t *line;
            size_t n;
            bool ended;

            if (at == limit) {
                limit = total;
            }
            at += ad_lines_next(&l, buf, wire + at, limit - at, &line, &n,
                                &ended);
            if (ended) {
                size_t want = lengths[i] > AIDASH_MESSAGE_MAX ? SIZE_MAX
                                                              : lengths[i];

                if (n != want || (n != SIZE_MAX && n > 0 &&
                                  line[n - 1] != 'a' + (int)i)) {
                    CHECK_EQ(n, want);
                }
                i++;
                CHECK_EQ(l.line, i);
            }
        }
        CHECK_EQ(i, AD_COUNT(lengths));
    }
}

static void test_rate(void)
{
    const uint64_t ms = AD_NS_PER_MS;
    uint64_t now = 1000 * AD_NS_PER_S;
    struct ad_rate r;
    double rate;
    int i;

    /* 3 tokens each 200 ms: 15 tokens/s as soon as half a second is seen. */
    memset(&r, 0, sizeof(r));
    for (i = 0; i < 50; i++) {
        now += 200 * ms;
        ad_rate_add(&r, 3, now, 200 * ms);
        rate = ad_rate_get(&r, now);
        CHECK(i < 2 ? rate < 15 : rate > 14.99 && rate < 15.01);
    }
    /* After 2 s of silence a new run begins with its own step. */
    now += 2000 * ms;
    ad_rate_add(&r, 10, now, 1000 * ms);
    rate = ad_rate_get(&r, now);
    CHECK(rate > 9.99 && rate < 10.01);
    /* 10,000 steps a second merge into slots; the error is below one slot. */
    memset(&r, 0, sizeof(r));
    for (i = 0; i < 50000; i++) {
        now += ms / 10;
        ad_rate_add(&r, 1, now, ms / 10);
    }
    rate = ad_rate_get(&r, now);
    CHECK(rate > 10000 * (1 - 1.0 / 32) && rate < 10000 * (1 + 1.0 / 32));
    CHECK(r.n <= AD_RATE_SLOTS);
    /* A first step of no known length is no spike. */
    memset(&r, 0, sizeof(r));
    ad_rate_add(&r, 5, now, 0);
    rate = ad_rate_get(&r, now);
    CHECK(rate == 10);
}

int main(void)
{
    test_json_grammar();
    test_json_prefixes();
    test_json_get();
    test_json_name();
    test_numbers();
    test_text();
    test_tick();
    test_client_id();
    test_sample();
    test_request();
    test_ws_header();
    test_close_codes();
    test_lines();
    test_rate();
    return check_report();
}
