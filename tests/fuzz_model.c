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

/* In pieces, the first model of a longer body is found where it is found in one, and
 * where there is just one, it is that of the whole body. */
static void require_search(const uint8_t *data, size_t size)
{
    struct ad_model_search whole, pieces;
    struct ad_model_field one, found, all;
    size_t step = size > 0 ? 1 + data[0] % 7 : 1, at = 0;
    bool settled = false, at_once;

    ad_model_search_begin(&whole);
    ad_model_search_begin(&pieces);
    memset(&found, 0, sizeof(found));
    at_once = ad_model_search_next(&whole, data, size, &one);
    while (at < size && !settled) {
        at = size - at < step ? size : at + step;
        settled = ad_model_search_next(&pieces, data, at, &found);
    }
    REQUIRE(settled == at_once);
    REQUIRE(found.found == one.found && found.from == one.from && found.len == one.len &&
            strcmp(found.name, one.name) == 0);
    REQUIRE(!one.found || (one.from <= size && one.len <= size - one.from));
    ad_model_field_find(&all, data, size);
    REQUIRE(!all.found || (at_once && (!one.found || one.from <= all.from)));
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
    require_search(data, size);
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
