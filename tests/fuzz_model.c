/* A request's body: its model is found, replaced by another and found again,
 * and nothing else about the body changes. The measure of its text is the same in
 * whatever pieces it comes, and is no more than the body has. */
#include "../src/base/text.c"
#include "../src/codec/json.c"
#include "../src/codec/llm_model.c"
#include "../src/codec/llm_prompt.c"

#define REQUIRE(condition) \
    do { \
        if (!(condition)) { \
            (void)fprintf(stderr, "not so: %s\n", #condition); \
            abort(); \
        } \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char edited[65536 + 64];

static void measure(const uint8_t *data, size_t size)
{
    struct ad_prompt whole, pieces;
    size_t i;

    memset(&whole, 0, sizeof(whole));
    memset(&pieces, 0, sizeof(pieces));
    ad_prompt_read(&whole, data, size);
    for (i = 0; i < size; i++) {
        ad_prompt_read(&pieces, data + i, 1);
        REQUIRE(pieces.text <= i);
    }
    REQUIRE(memcmp(&whole, &pieces, sizeof(whole)) == 0);
    REQUIRE(whole.num_ctx < 1000000000 && whole.choices < 1000000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char other[] = "b\xC3\xA9 \"x\" \\y";
    struct ad_text out = ad_text_in(edited, sizeof(edited));
    enum ad_fault fault = ad_json_fault((const char *)data, size);
    struct ad_model_field before, after;

    if (size > 65536) {
        return 0;
    }
    measure(data, size);
    ad_model_field_find(&before, data, size);
    REQUIRE(before.name[0] == '\0' ||
            ad_name_ok(before.name, strlen(before.name), AIDASH_MODEL_MAX));
    REQUIRE(!before.stream || before.has_stream);
    if (!before.found) {
        return 0;
    }
    /* Well-formed: only the depth may be more than elsewhere. */
    REQUIRE(fault == AD_FAULT_NONE || fault == AD_FAULT_JSON_DEPTH);
    REQUIRE(before.from <= size && before.len <= size - before.from);
    REQUIRE(before.len >= 2 &&
            ad_json_fault((const char *)data + before.from, before.len) ==
                AD_FAULT_NONE && data[before.from] == '"');

    ad_put(&out, (const char *)data, before.from);
    ad_put_string(&out, other);
    ad_put(&out, (const char *)data + before.from + before.len,
           size - before.from - before.len);
    REQUIRE(!out.full);
    ad_model_field_find(&after, (const uint8_t *)edited, out.len);
    REQUIRE(after.found && after.from == before.from);
    REQUIRE(strcmp(after.name, other) == 0);
    REQUIRE(after.has_stream == before.has_stream &&
            after.stream == before.stream);
    REQUIRE(size - before.len == out.len - after.len);
    return 0;
}
