/* measures.c - what is counted for /metrics as it happens: of each model its requests,
 * tokens and times.
 * Owns ad_measures. Hub thread only. Called by ticks.c for each tick, and where a
 * request ends.
 *
 * Always: no count falls while the process runs, and place 0 has all models that have
 * no place of their own. A place once given stays: a series never changes its name.
 */
#ifndef AD_CORE_MEASURES_C
#define AD_CORE_MEASURES_C

#include "../base/memory.h"
#include "../base/text.c"
#include "../codec/exposition.c"

#if AIDASH_METRICS

/* How a request ended, in the words of its record. */
enum ad_measure_outcome {
    AD_OUTCOME_FINISHED,
    AD_OUTCOME_CUT,
    AD_OUTCOME_FAILED,
    AD_OUTCOME_REFUSED,
    AD_OUTCOME_LEFT,
    AD_OUTCOMES
};
static const char *const ad_outcome_names[AD_OUTCOMES] = {"finished", "cut", "failed",
                                                          "refused", "left"};

/* What kind of work it was. */
enum { AD_OPERATION_OTHER = 7, AD_OPERATIONS };
static const char *const ad_operation_names[AD_OPERATIONS] = {
    "chat", "text_completion", "embeddings", "rerank",
    "transcription", "speech", "image", "other"};

/* Edges of the buckets. Of the first four those of OpenTelemetry's GenAI conventions;
 * boards are slower than its authors' machines, so more follow. */
static const double ad_edges_ttft[] = {.001, .005, .01, .02, .04, .06, .08,
                                       .1,   .25,  .5,  .75, 1,   2.5, 5,
                                       7.5,  10,   20,  40,  80,  160};
static const double ad_edges_token[] = {.01, .025, .05, .075, .1, .15, .2,
                                        .3,  .4,   .5,  .75,  1,  2.5, 5};
static const double ad_edges_duration[] = {.01,  .02,  .04,  .08,   .16,   .32,
                                           .64,  1.28, 2.56, 5.12,  10.24, 20.48,
                                           40.96, 81.92, 163.84, 327.68, 655.36};
static const double ad_edges_usage[] = {1,      4,      16,      64,      256,
                                        1024,   4096,   16384,   65536,   262144,
                                        1048576, 4194304, 16777216, 67108864};
static const double ad_edges_gap[] = {.001, .0025, .005, .01, .025, .05, .075, .1, .15,
                                      .2,   .3,    .4,   .5,  .75,  1,   2.5,  5};
static const double ad_edges_queue[] = {.001, .005, .01, .05, .1, .25, .5,  1,
                                        2.5,  5,    10,  30,  60, 120, 300};

/* The histograms of a model. */
enum ad_measure_histogram {
    AD_MEASURE_TTFT,     /* seconds to the first token */
    AD_MEASURE_TOKEN,    /* mean seconds a token behind the first, of a request */
    AD_MEASURE_DURATION, /* seconds of a request */
    AD_MEASURE_INPUT,    /* tokens of a prompt */
    AD_MEASURE_OUTPUT,   /* tokens of an answer */
    AD_MEASURE_GAP,      /* seconds between tokens, of each */
    AD_MEASURE_QUEUE,    /* seconds in the queue */
    AD_MEASURE_HISTOGRAMS
};

static const struct {
    const double *edges;
    unsigned n;
} ad_measure_edges[AD_MEASURE_HISTOGRAMS] = {
    {ad_edges_ttft, AD_COUNT(ad_edges_ttft)},
    {ad_edges_token, AD_COUNT(ad_edges_token)},
    {ad_edges_duration, AD_COUNT(ad_edges_duration)},
    {ad_edges_usage, AD_COUNT(ad_edges_usage)},
    {ad_edges_usage, AD_COUNT(ad_edges_usage)},
    {ad_edges_gap, AD_COUNT(ad_edges_gap)},
    {ad_edges_queue, AD_COUNT(ad_edges_queue)}};
_Static_assert(AD_COUNT(ad_edges_ttft) <= AD_METRIC_EDGES &&
                   AD_COUNT(ad_edges_gap) <= AD_METRIC_EDGES &&
                   AD_COUNT(ad_edges_duration) <= AD_METRIC_EDGES,
               "a histogram has them all");

/* What is counted of a model. */
enum ad_measure_count {
    AD_MEASURE_PROMPT,     /* tokens, cached ones included, as the engine counted them */
    AD_MEASURE_CACHED,     /* of them */
    AD_MEASURE_COMPLETION, /* tokens of the answers */
    AD_MEASURE_TICKED,     /* tokens that ticks told of, as they came */
    AD_MEASURE_COUNTS
};

/* A model. */
struct ad_measure {
    char model[AIDASH_MODEL_MAX + 1];
    uint64_t requests[AD_OPERATIONS][AD_OUTCOMES];
    uint64_t counts[AD_MEASURE_COUNTS];
    bool counted[AD_MEASURE_COUNTS]; /* was there ever one? If not, it is not known */
    struct ad_metric_histogram histograms[AD_MEASURE_HISTOGRAMS];
};

static struct {
    unsigned n; /* places in use, the first one included */
    struct ad_measure list[AIDASH_METRICS + 1];
} ad_measures;

/* A request that has ended. Times below 0 are not known. */
struct ad_measured {
    const char *model;     /* "": not known */
    bool known;            /* the engine has this model: it may get a place */
    const char *operation; /* of ad_operation_names; NULL: another one */
    enum ad_measure_outcome outcome;
    double ttft_s, token_s, duration_s, queue_s;
    bool has_prompt, has_cached, has_completion;
    uint64_t prompt, cached, completion; /* tokens, if so */
};

/* Before each run. */
static void ad_measures_init(void)
{
    memset(&ad_measures, 0, sizeof(ad_measures));
    memcpy(ad_measures.list[0].model, "other", sizeof("other"));
    ad_measures.n = 1;
}

/* The place of a model, of at most AIDASH_MODEL_MAX bytes. One that has none gets one
 * if it is known and there is one left, else that of all others. */
static uint16_t ad_measure_of(const char *model, bool known)
{
    unsigned i;

    for (i = 1; i < ad_measures.n; i++) {
        if (strcmp(ad_measures.list[i].model, model) == 0) {
            return (uint16_t)i;
        }
    }
    if (!known || model[0] == '\0' || strcmp(model, ad_measures.list[0].model) == 0 ||
        ad_measures.n > AIDASH_METRICS) {
        return 0;
    }
    (void)snprintf(ad_measures.list[i].model, sizeof(ad_measures.list[i].model), "%s",
                   model);
    return (uint16_t)ad_measures.n++;
}

static void ad_measure_add(struct ad_measure *m, enum ad_measure_count what, uint64_t n)
{
    m->counts[what] = m->counts[what] > UINT64_MAX - n ? UINT64_MAX
                                                       : m->counts[what] + n;
    m->counted[what] = true;
}

static void ad_measure_observe(struct ad_measure *m, enum ad_measure_histogram which,
                               double value)
{
    if (value >= 0) {
        ad_metric_observe(&m->histograms[which], ad_measure_edges[which].edges,
                          ad_measure_edges[which].n, value, 1);
    }
}

/* A tick of the model at this place: tokens that it added, seconds since the one before
 * it; below 0: not between two tokens. */
static void ad_measure_tick(uint16_t place, uint64_t tokens, double gap_s)
{
    struct ad_measure *m = &ad_measures.list[place];

    ad_measure_add(m, AD_MEASURE_TICKED, tokens);
    ad_measure_observe(m, AD_MEASURE_GAP, gap_s);
}

/* A request has ended. */
static void ad_measure_request(const struct ad_measured *r)
{
    struct ad_measure *m = &ad_measures.list[ad_measure_of(r->model, r->known)];
    unsigned operation = 0;

    while (operation < AD_OPERATION_OTHER &&
           (r->operation == NULL ||
            strcmp(r->operation, ad_operation_names[operation]) != 0)) {
        operation++;
    }
    m->requests[operation][r->outcome]++;
    ad_measure_observe(m, AD_MEASURE_TTFT, r->ttft_s);
    ad_measure_observe(m, AD_MEASURE_TOKEN, r->token_s);
    ad_measure_observe(m, AD_MEASURE_DURATION, r->duration_s);
    ad_measure_observe(m, AD_MEASURE_QUEUE, r->queue_s);
    if (r->has_prompt) {
        ad_measure_add(m, AD_MEASURE_PROMPT, r->prompt);
        ad_measure_observe(m, AD_MEASURE_INPUT, (double)r->prompt);
    }
    if (r->has_cached) {
        ad_measure_add(m, AD_MEASURE_CACHED, r->cached);
    }
    if (r->has_completion) {
        ad_measure_add(m, AD_MEASURE_COMPLETION, r->completion);
        ad_measure_observe(m, AD_MEASURE_OUTPUT, (double)r->completion);
    }
}

AD_MEMORY(measures, AIDASH_METRICS, sizeof(ad_measures));

#endif /* AIDASH_METRICS */

#endif
