/* An engine's answer: with its head, or one byte that names the form and then
 * the body. Read whole, byte by byte and at splits that follow from the data,
 * it must tell the same; and the JSON reader must take what ad_json_fault()
 * takes. */
#include "../src/codec/llm_scan.c"

#define REQUIRE(condition) \
    do { \
        if (!(condition)) { \
            (void)fprintf(stderr, "not so: %s\n", #condition); \
            abort(); \
        } \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void begin(struct ad_scan *s, const uint8_t **in, size_t *len)
{
    ad_scan_begin(s, *len > 0 && (**in & 0x80) != 0);
    if (*len > 0 && **in != 'H') {
        s->head.state = AD_HEAD_DONE;
        s->form = (**in & 7) % (AD_FORM_MEDIA + 1);
        s->head.until_close = true;
        s->head.body.state = AD_BODY_LENGTH;
        s->head.body.left = UINT64_MAX;
        (*in)++;
        (*len)--;
    }
}

/* most: longest piece; 0: as the seed says. */
static void read_answer(struct ad_scan *s, const uint8_t *in, size_t len,
                        size_t most, uint32_t seed)
{
    uint64_t events = 0;

    begin(s, &in, &len);
    while (len > 0) {
        size_t n = most;

        if (most == 0) {
            seed = seed * 1664525u + 1013904223u;
            n = 1 + (seed >> 24) % 40;
        }
        n = n < len ? n : len;
        events += ad_scan_feed(s, in, n);
        REQUIRE(events == s->token_events);
        in += n;
        len -= n;
    }
    ad_scan_close(s);
}

/* Is all that the answer told the same? The state of the reader isn't: it knows
 * of the bytes that a number or a line is made of. */
static bool same(const struct ad_scan *a, const struct ad_scan *b)
{
    return a->head.status == b->head.status && a->form == b->form &&
           a->dialect == b->dialect &&
           ad_scan_complete(a) == ad_scan_complete(b) &&
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
    struct ad_scan whole, pieces;
    bool estimated;
    uint32_t seed = 1;
    size_t i;

    for (i = 0; i < size; i++) {
        seed = (seed ^ data[i]) * 16777619u;
    }
    read_answer(&whole, data, size, size, 0);
    read_answer(&pieces, data, size, 1, 0);
    REQUIRE(same(&whole, &pieces));
    read_answer(&pieces, data, size, 0, seed);
    REQUIRE(same(&whole, &pieces));

    REQUIRE(whole.model[0] == '\0' ||
            ad_name_ok(whole.model, strlen(whole.model), AIDASH_MODEL_MAX));
    REQUIRE(whole.finish[0] == '\0' ||
            ad_name_ok(whole.finish, strlen(whole.finish),
                       AD_SCAN_FINISH_MAX));
    REQUIRE(whole.prompt_tokens <= 3 * AD_TOKENS_LIMIT);
    REQUIRE(whole.cached_tokens <= whole.prompt_tokens);
    REQUIRE(whole.reasoning_tokens <= 2 * AD_TOKENS_LIMIT);
    REQUIRE(whole.draft_accepted <= whole.draft_tokens);
    REQUIRE(whole.progress_done <= whole.progress_total);
    REQUIRE(whole.predicted_ms >= 0 && whole.predicted_ms <= AD_SCAN_MS_MAX);
    REQUIRE(whole.prompt_per_s >= 0 && whole.prompt_per_s <= AD_SCAN_RATE_MAX);
    REQUIRE(whole.predicted_per_s >= 0 &&
            whole.predicted_per_s <= AD_SCAN_RATE_MAX);
    REQUIRE(strlen(whole.error) <= AD_SCAN_ERROR_MAX &&
            (whole.error[0] == '\0' ||
             ad_name_ok(whole.error, strlen(whole.error), AD_SCAN_ERROR_MAX)));
    (void)ad_scan_tokens(&whole, &estimated);
    REQUIRE(!estimated || whole.token_events > 0 || whole.partial);
    check_json(data, size);
    return 0;
}
