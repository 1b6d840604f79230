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
        reading_begin_body(r, (**in & 7) % (AD_FORM_MEDIA + 1));
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

/* Is all that the answer told the same? The state of the reader isn't: it knows
 * of the bytes that a number or a line is made of. */
static bool same_scan(const struct ad_scan *a, const struct ad_scan *b)
{
    return a->form == b->form && a->dialect == b->dialect &&
           memcmp(&a->incomplete, &b->incomplete,
                  offsetof(struct ad_scan, known) -
                      offsetof(struct ad_scan, incomplete)) == 0;
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
    REQUIRE(scan->cached_tokens <= scan->prompt_tokens);
    REQUIRE(scan->reasoning_tokens <= 2 * AD_TOKENS_LIMIT);
    REQUIRE(scan->draft_accepted <= scan->draft_tokens);
    REQUIRE(scan->progress_done <= scan->progress_total);
    REQUIRE(scan->predicted_ms >= 0 && scan->predicted_ms <= AD_SCAN_MS_MAX);
    REQUIRE(scan->prompt_per_s >= 0 && scan->prompt_per_s <= AD_SCAN_RATE_MAX);
    REQUIRE(scan->predicted_per_s >= 0 &&
            scan->predicted_per_s <= AD_SCAN_RATE_MAX);
    REQUIRE(strlen(scan->error) <= AD_SCAN_ERROR_MAX &&
            (scan->error[0] == '\0' ||
             ad_name_ok(scan->error, strlen(scan->error), AD_SCAN_ERROR_MAX)));
    (void)ad_scan_tokens(scan, &estimated);
    REQUIRE(!estimated || scan->token_events > 0 || scan->partial);
    check_json(data, size);
    return 0;
}
