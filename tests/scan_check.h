/* What the tests of codec/llm_scan.c share: an answer's facts as text, and ways
 * to read an answer. */
#ifndef AD_TESTS_SCAN_CHECK_H
#define AD_TESTS_SCAN_CHECK_H

#include "answer.h"
#include "check.h"

static uint32_t seed = 1;

static size_t below(size_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return n > 0 ? (size_t)(seed >> 8) % n : 0;
}

static uint32_t feed(struct reading *r, const void *in, size_t len)
{
    uint8_t *copy = check_copy(in, len);
    uint32_t n;

    n = reading_feed(r, copy, len);
    free(copy);
    return n;
}

/* The counts of an answer and how it ended, as a line:
 *   events token-events comments | tokens (~: estimated), of them thinking |
 *   prompt/cached | finish | model | what else, an error's sentence */
static const char *facts(const struct reading *r)
{
    const struct ad_scan *s = &r->scan;
    static char line[2][512];
    static unsigned turn;
    struct ad_text t = ad_text_in(line[turn ^= 1], sizeof(line[0]));
    bool estimated;
    uint64_t tokens = ad_scan_tokens(s, &estimated);

    ad_putf(&t, "%u %llu %u | %llu%s", s->events,
            (unsigned long long)s->token_events, s->comments,
            (unsigned long long)tokens, estimated ? "~" : "");
    if (s->has_reasoning) {
        ad_putf(&t, ", %llu", (unsigned long long)s->reasoning_tokens);
    }
    ad_puts(&t, " | ");
    if (s->has_prompt) {
        ad_put_u64(&t, s->prompt_tokens);
    }
    ad_puts(&t, "/");
    if (s->has_cached) {
        ad_put_u64(&t, s->cached_tokens);
    }
    ad_putf(&t, " | %s | %s |", s->finish, s->model);
    ad_puts(&t, s->ended ? " ended" : "");
    ad_puts(&t, s->failed ? " failed" : "");
    ad_puts(&t, ad_answer_complete(&r->answer) ? "" : " cut");
    ad_puts(&t, r->fault != AD_HTTP_OK ? " HEAD" : "");
    ad_puts(&t, (s->incomplete & AD_INCOMPLETE_FRAMING) != 0 ? " FRAMING" : "");
    ad_puts(&t, (s->incomplete & AD_INCOMPLETE_COMPRESSED) != 0 ? " CODED" : "");
    ad_puts(&t, (s->incomplete & AD_INCOMPLETE_JSON) != 0 ? " JSON" : "");
    ad_puts(&t, (s->incomplete & AD_INCOMPLETE_DEPTH) != 0 ? " DEPTH" : "");
    if (s->error[0] != '\0') {
        ad_putf(&t, " '%s'", s->error);
    }
    t.at[t.len] = '\0';
    return t.at;
}

/* The numbers that facts() leaves out. */
static const char *times(const struct reading *r)
{
    const struct ad_scan *s = &r->scan;
    static char line[2][512];
    static unsigned turn;

    turn ^= 1;
    snprintf(line[turn], sizeof(line[turn]),
             "%d %.3f %.3f %.3f %.3f %.3f %.3f | %llu/%llu | %d %llu %llu %llu "
             "%.3f",
             s->has_timings, s->load_ms, s->prompt_ms, s->prompt_per_s,
             s->predicted_ms, s->predicted_per_s, s->total_ms,
             (unsigned long long)s->draft_accepted,
             (unsigned long long)s->draft_tokens, s->has_progress,
             (unsigned long long)s->progress_total,
             (unsigned long long)s->progress_cached,
             (unsigned long long)s->progress_done, s->progress_ms);
    return line[turn];
}

/* Numbers of which few engines report one: those that are known. */
static const char *more(const struct reading *r)
{
    const struct ad_scan *s = &r->scan;
    static char line[2][256];
    static unsigned turn;
    struct ad_text t = ad_text_in(line[turn ^= 1], sizeof(line[0]));

    if (s->thinking_events > 0) {
        ad_putf(&t, "thinking %llu ", (unsigned long long)s->thinking_events);
    }
    if (s->has_queue) {
        ad_putf(&t, "queue %.1f ", s->queue_ms);
    }
    if (s->has_first) {
        ad_putf(&t, "first %.1f ", s->first_ms);
    }
    if (s->has_audio) {
        ad_putf(&t, "audio %.1f ", s->audio_ms);
    }
    if (s->load_fraction > 0) {
        ad_putf(&t, "loaded %.2f ", s->load_fraction);
    }
    if (s->prompt_fraction > 0) {
        ad_putf(&t, "read %.2f ", s->prompt_fraction);
    }
    t.at[t.len] = '\0';
    return t.at;
}

/* Read an answer in pieces of at most `most` bytes, or at random splits. */
static void read_in_pieces(struct reading *s, const void *answer, size_t len,
                           bool head, size_t most)
{
    const uint8_t *in = answer;
    uint64_t events = 0;

    reading_begin(s, head);
    while (len > 0) {
        size_t n = most != 0 ? most : 1 + below(below(4) == 0 ? 300 : 12);

        n = n < len ? n : len;
        events += feed(s, in, n);
        CHECK(events == s->scan.token_events);
        in += n;
        len -= n;
    }
    reading_close(s);
}

/* Read an answer in all ways; they must tell the same. *s has the first. */
static void read_all_ways(struct reading *s, const void *answer, size_t len,
                          bool head)
{
    struct reading other;
    unsigned i;

    read_in_pieces(s, answer, len, head, len);
    for (i = 0; i < 6; i++) {
        read_in_pieces(&other, answer, len, head, i == 0 ? 1 : 0);
        CHECK_STR(facts(&other), facts(s));
        CHECK_STR(times(&other), times(s));
        CHECK_STR(more(&other), more(s));
    }
}

#endif
