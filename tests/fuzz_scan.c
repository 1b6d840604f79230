/* An engine's answer: with its head, or one byte that names the form and then
 * the body. Read whole, byte by byte and at splits that follow from the data,
 * it must tell the same; and the JSON reader must take what ad_json_fault()
 * takes. */
#include "answer.h"

#define REQUIRE(condition) \
    do { \
        if (!(condition)) { \
            (void)fprintf(stderr, "not so: %s\n", #condition); \
            abort(); \
        } \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void begin(struct reading *r, const uint8_t **in, size_t *len)
{
    if (*len > 0 && **in != 'H') {
        reading_begin_body(r, **in & 3);
        (*in)++;
        (*len)--;
    } else {
        reading_begin(r, false);
    }
}

/* most: longest piece; 0: as the seed says. */
static void read_answer(struct reading *r, const uint8_t *in, size_t len,
                        size_t most, uint32_t seed)
{
    uint64_t events = 0;

    begin(r, &in, &len);
    while (len > 0) {
        size_t n = most;

        if (most == 0) {
            seed = seed * 1664525u + 1013904223u;
            n = 1 + (seed >> 24) % 40;
        }
        n = n < len ? n : len;
        events += reading_feed(r, in, n);
        REQUIRE(events == r->scan.token_events);
        in += n;
        len -= n;
    }
    reading_close(r);
}

static bool same_head(const struct reading *a, const struct reading *b)
{
    return a->answer.status == b->answer.status && a->fault == b->fault &&
           ad_answer_complete(&a->answer) == ad_answer_complete(&b->answer);
}

static bool same_scan(const struct ad_scan *a, const struct ad_scan *b)
{
    return a->form == b->form && a->incomplete == b->incomplete && a->ended == b->ended &&
           a->failed == b->failed && a->has_prompt == b->has_prompt &&
           a->has_cached == b->has_cached &&
           a->has_timings == b->has_timings &&
           a->has_progress == b->has_progress && a->events == b->events &&
           a->comments == b->comments && a->partial == b->partial && a->token_events == b->token_events &&
           a->tokens == b->tokens && a->prompt_tokens == b->prompt_tokens &&
           a->cached_tokens == b->cached_tokens &&
           a->draft_tokens == b->draft_tokens &&
           a->draft_accepted == b->draft_accepted &&
           memcmp(&a->load_ms, &b->load_ms, sizeof(double)) == 0 &&
           memcmp(&a->prompt_ms, &b->prompt_ms, sizeof(double)) == 0 &&
           memcmp(&a->prompt_per_s, &b->prompt_per_s, sizeof(double)) == 0 &&
           memcmp(&a->predicted_ms, &b->predicted_ms, sizeof(double)) == 0 &&
           memcmp(&a->predicted_per_s, &b->predicted_per_s,
                  sizeof(double)) == 0 &&
           memcmp(&a->total_ms, &b->total_ms, sizeof(double)) == 0 &&
           memcmp(&a->progress_ms, &b->progress_ms, sizeof(double)) == 0 &&
           a->progress_total == b->progress_total &&
           a->progress_cached == b->progress_cached &&
           a->progress_done == b->progress_done &&
           strcmp(a->model, b->model) == 0 && strcmp(a->finish, b->finish) == 0;
}

static void check_json(const uint8_t *data, size_t size)
{
    enum ad_fault fault = ad_json_fault((const char *)data, size);
    struct ad_json_stream js;
    size_t i;
    bool whole;

    ad_path_begin(&js, AD_PATH_TOP);
    for (i = 0; i < size && js.state != AD_JSON_BAD;) {
        i += ad_json_stream_next(&js, data + i, size - i);
    }
    whole = ad_json_stream_end(&js);
    /* The reader leaves UTF-8 to others, and goes deeper. */
    if (fault == AD_FAULT_NONE) {
        REQUIRE(whole);
    } else if (fault != AD_FAULT_JSON_UTF8 &&
               fault != AD_FAULT_JSON_DEPTH) {
        REQUIRE(!whole);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reading whole, pieces;
    const struct ad_scan *scan = &whole.scan;
    bool estimated;
    uint32_t seed = 1;
    size_t i;

    for (i = 0; i < size; i++) {
        seed = (seed ^ data[i]) * 16777619u;
    }
    read_answer(&whole, data, size, size, 0);
    read_answer(&pieces, data, size, 1, 0);
    REQUIRE(same_head(&whole, &pieces));
    REQUIRE(same_scan(scan, &pieces.scan));
    read_answer(&pieces, data, size, 0, seed);
    REQUIRE(same_head(&whole, &pieces));
    REQUIRE(same_scan(scan, &pieces.scan));

    REQUIRE(scan->model[0] == '\0' ||
            ad_name_ok(scan->model, strlen(scan->model), AIDASH_MODEL_MAX));
    REQUIRE(scan->finish[0] == '\0' ||
            ad_name_ok(scan->finish, strlen(scan->finish),
                       AD_SCAN_FINISH_MAX));
    REQUIRE(scan->prompt_tokens <= 3 * AD_TOKENS_LIMIT);
    REQUIRE(scan->predicted_ms >= 0 && scan->predicted_ms <= 1e15);
    REQUIRE(scan->prompt_per_s >= 0 && scan->prompt_per_s <= 1e300);
    (void)ad_scan_tokens(scan, &estimated);
    REQUIRE(!estimated || scan->token_events > 0 || scan->partial);
    check_json(data, size);
    return 0;
}
