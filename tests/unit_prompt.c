/* codec/llm_prompt.c: how much text a request has, and whether its prompt was cut. */
#include "../src/codec/llm_prompt.c"
#include "check.h"

/* The body in pieces of n bytes. */
static struct ad_prompt read_in(const char *body, size_t len, size_t n)
{
    struct ad_prompt p;
    size_t i;

    memset(&p, 0, sizeof(p));
    for (i = 0; i < len; i += n) {
        size_t piece = len - i < n ? len - i : n;
        uint8_t *copy = check_copy(body + i, piece);

        ad_prompt_read(&p, copy, piece);
        free(copy);
    }
    return p;
}

#define B32 "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
#define B128 B32 B32 B32 B32

static const struct {
    const char *body;
    unsigned text, num_ctx, choices;
} bodies[] = {
    {"{\"prompt\":\"a river\"}", 7, 0, 0},
    {" \r\n{ \"prompt\" : \"a river\" , \"raw\":true}", 7, 0, 0},
    {"{\"messages\":[{\"role\":\"user\",\"content\":\"abc def\"},"
     "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"xy\"}]}]}",
     4 + 7 + 8 /* ss is one */ + 4 + 2, 0, 0},
    /* Keys are no text, whatever they are. */
    {"{\"a long key without an end\":\"\",\"\":\"b\"}", 1, 0, 0},
    /* A run is one byte: indentation, rules, rows of zeros. */
    {"{\"prompt\":\"a     b\\n\\n\\n\\t  c=====d0000\"}", 8, 0, 0},
    /* Escapes are as long as what they mean. */
    {"{\"prompt\":\"\\u4e2d\\u4e2d\\u00e9\\u0041\\\"\\\\\\/\"}", 3 + 3 + 2 + 1 + 3, 0, 0},
    {"{\"prompt\":\"\xE4\xB8\xAD\xE4\xB8\xAD\xC3\xA9\"}", 8, 0, 0},
    {"{\"prompt\":\"\\ud83d\\ude00\"}", 4, 0, 0},
    /* Pictures and sound are none: as they are, as a URL, escaped, in lines. */
    {"{\"prompt\":\"hi\",\"images\":[\"" B128 "\",\"" B128 B128 "==\"]}", 2, 0, 0},
    {"{\"url\":\"data:image/png;base64," B128 B32 "\"}", 22, 0, 0},
    {"{\"data\":\"" B32 "\\/" B32 "\\/" B32 "\\/" B32 "\"}", 0, 0, 0},
    {"{\"data\":\"" B32 B32 "\\n" B32 B32 "\\r\\n" B32 B32 "\"}", 0, 0, 0},
    {"{\"prompt\":\"" B32 "\"}", 30, 0, 0}, /* short ones may be words */
    /* The thinking of before is not sent again. */
    {"{\"messages\":[{\"thinking\":\"lots\",\"reasoning_content\":\"of\","
     "\"reasoning\":\"it\",\"content\":\"no\"}]}", 2, 0, 0},
    {"{\"prompt\":\"x\",\"options\":{\"num_ctx\":8192,\"num_ctx2\":7},\"n\":3}", 1, 8192, 3},
    {"{\"n\":1,\"n\":12,\"prompt\":\"\\\"n\\\":4\"}", 5, 0, 12},
    {"{\"options\":{\"num_ctx\":99999999999999999999}}", 0, 100000000 + 0, 0},
    {"[\"a river\"]", 0, 0, 0},
    {"\x1F\x8B\x08{\"prompt\":\"a\"}", 0, 0, 0}, /* gzip */
    {"--boundary\r\n{\"prompt\":\"a\"}", 0, 0, 0},
    {"", 0, 0, 0},
    {"{\"prompt\":\"a river", 7, 0, 0},
    {"{\"prompt\":\"\\q\\uZZZZ\"}:::", 0, 0, 0},
};

static void test_text(void)
{
    size_t i, n;

    for (i = 0; i < AD_COUNT(bodies); i++) {
        size_t len = strlen(bodies[i].body);

        printf("%s\n", bodies[i].body);
        for (n = 1; n <= len; n++) {
            struct ad_prompt p = read_in(bodies[i].body, len, n);

            CHECK_EQ(p.text, bodies[i].text);
            CHECK_EQ(p.choices, bodies[i].choices);
            if (bodies[i].num_ctx < 100000000) {
                CHECK_EQ(p.num_ctx, bodies[i].num_ctx);
            } else {
                CHECK(p.num_ctx >= 100000000 && p.num_ctx < 1000000000);
            }
        }
    }
}

/* text in tokens of four bytes. */
static const struct {
    const char *what;
    unsigned text, prompt, completion, context;
    char truncated, drops;
    bool cut;
} cases[] = {
    /* Ollama: num_ctx / 2 + 2 (issue 17427), or num_ctx, as older ones have it. */
    {"half of the context", 10000, 2050, 50, 4096, 0, 1, true},
    {"half, num_keep 24", 10000, 2060, 50, 4096, 0, 1, true},
    {"half of 65,536", 90000, 32770, 50, 65536, 0, 1, true},
    {"all of the context", 10000, 2048, 1, 2048, 0, 1, true},
    {"all, by another engine", 10000, 2048, 1, 2048, 0, 0, true},
    {"a long prompt that fits", 4000, 4090, 6, 4096, 0, 1, false},
    {"one at the very end that fits", 4096, 4096, 1, 4096, 0, 1, false},
    {"one at the end, of long words", 5000, 4096, 1, 4096, 0, 1, false},
    {"half, and not longer", 2050, 2050, 50, 4096, 0, 1, false},
    {"half, of long words", 3000, 2050, 50, 4096, 0, 1, false},
    /* The oldest messages of a chat are left out. */
    {"messages left out", 20000, 3000, 50, 4096, 0, 1, true},
    {"messages left out, not by others", 20000, 3000, 50, 4096, 0, 0, false},
    {"a chat that fits", 4000, 3000, 50, 4096, 0, 1, false},
    {"a chat of which much is thinking", 6000, 3000, 50, 4096, 0, 1, false},
    /* Cached tokens are not told: the prompt may be missing, or too short. */
    {"no prompt told", 10000, 0, 50, 4096, 0, 1, false},
    {"cached ones left out", 3500, 12, 50, 4096, 0, 1, false},
    {"left out, at the half by chance", 3500, 2050, 50, 4096, 0, 1, false},
    {"short", 10, 14, 5, 4096, 0, 1, false},
    {"a picture: tokens without text", 10, 2050, 5, 4096, 0, 1, false},
    {"a picture that fills it", 10, 4096, 1, 4096, 0, 1, false},
    {"no context known", 10000, 2048, 50, 0, 0, 1, false},
    {"another context than the one known", 10000, 9000, 50, 4096, 0, 1, false},
    /* llama-server says truncated of the answer, too. */
    {"truncated prompt, short answer", 10000, 1500, 20, 2048, 1, 0, true},
    {"truncated prompt, long answer", 10000, 1500, 548, 2048, 1, 0, true},
    {"truncated answer", 4, 5, 2043, 2048, 1, 0, false},
    {"truncated answer, long prompt", 1600, 1500, 548, 2048, 1, 0, false},
    {"truncated prompt, no context known", 10000, 1500, 20, 0, 1, 0, true},
    {"truncated answer, no context known", 4, 5, 2043, 0, 1, 0, false},
};

static void test_cut(void)
{
    size_t i;

    for (i = 0; i < AD_COUNT(cases); i++) {
        const struct ad_prompt_signs signs = {
            4ull * cases[i].text, cases[i].prompt, cases[i].completion,
            cases[i].context, cases[i].truncated != 0, cases[i].drops != 0};

        printf("%s\n", cases[i].what);
        CHECK_EQ(ad_prompt_cut(&signs), cases[i].cut);
    }
}

/* Texts as people send them: the measure is never above the true tokens by more
 * than the judgement allows for. */
static void test_rough(void)
{
    struct ad_prompt p;
    char body[65536];
    size_t i, len;

    len = (size_t)snprintf(body, sizeof(body), "{\"prompt\":\"");
    for (i = 0; i < 1000; i++) { /* code: two tokens a line, 41 bytes */
        len += (size_t)snprintf(body + len, sizeof(body) - len,
                                "                                    }\\n\\t ");
    }
    len += (size_t)snprintf(body + len, sizeof(body) - len, "\"}");
    p = read_in(body, len, 4096);
    CHECK(p.text / AD_PROMPT_BYTES_PER_TOKEN <= 1000);
}

int main(void)
{
    test_text();
    test_cut();
    test_rough();
    return check_report();
}
