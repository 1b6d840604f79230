/* gauges.c - named values that rise and fall: a temperature, a queue's length.
 * Owns ad_gauges. Hub thread only. Always: an event for each gauge, and for each place,
 * at most every AD_GAUGE_MS, whatever names come; a value that came in between is told
 * by the housekeeping.
 */
#ifndef AD_CORE_GAUGES_C
#define AD_CORE_GAUGES_C

#include "events.c"
#include "inbox.c"

enum {
    AD_GAUGE_MS = 100,
    /* Bytes of an event: fixed text 80, numbers 70; only " and \ are escaped. */
    AD_GAUGE_JSON_MAX = 160 + 2 * AIDASH_GAUGE_MAX + 2 * AIDASH_UNIT_MAX
};

struct ad_gauge {
    char name[AIDASH_GAUGE_MAX + 1];
    char unit[AIDASH_UNIT_MAX + 1];
    double value;
    uint64_t time_us;  /* Unix time of the value */
    uint64_t set_seq;  /* grows with each value of any gauge */
    uint64_t told_ns;  /* when the latest event of this place said a value */
    uint64_t told_seq; /* and that event's number */
    bool untold;       /* the value is newer than that event */
};

static struct {
    unsigned n;
    uint64_t sets; /* values so far */
    struct ad_gauge list[AIDASH_GAUGES];
} ad_gauges;

/* Before each run. */
static void ad_gauges_init(void)
{
    memset(&ad_gauges, 0, sizeof(ad_gauges));
}

/* The gauge of this name. A new one takes a free place, or that of the one which
 * was set the longest ago, whose events count as its own: else names that take turns
 * would make an event for each value. */
static struct ad_gauge *ad_gauge_get(const char *name)
{
    struct ad_gauge *oldest = &ad_gauges.list[0], before;
    unsigned i;

    for (i = 0; i < ad_gauges.n; i++) {
        struct ad_gauge *g = &ad_gauges.list[i];

        if (strcmp(g->name, name) == 0) {
            return g;
        }
        if (g->set_seq < oldest->set_seq) {
            oldest = g;
        }
    }
    if (ad_gauges.n < AIDASH_GAUGES) {
        oldest = &ad_gauges.list[ad_gauges.n++];
    }
    before = *oldest;
    memset(oldest, 0, sizeof(*oldest));
    oldest->told_ns = before.told_ns;
    oldest->told_seq = before.told_seq;
    memcpy(oldest->name, name, strlen(name));
    return oldest;
}

/* A gauge as its latest event told it, or, with the next event's number, as it is. */
static void ad_put_gauge(struct ad_text *t, const struct ad_gauge *g)
{
    ad_puts(t, "{\"event\":\"gauge\",\"seq\":");
    ad_put_u64(t, g->told_seq);
    ad_puts(t, ",\"gauge\":");
    ad_put_string(t, g->name);
    ad_puts(t, ",\"unit\":");
    ad_put_string(t, g->unit);
    ad_puts(t, ",\"value\":");
    ad_put_double(t, g->value);
    ad_puts(t, ",\"timestamp\":");
    ad_put_decimal(t, g->time_us, 6);
    ad_puts(t, "}");
}

static void ad_gauge_tell(struct ad_gauge *g)
{
    char json[AD_GAUGE_JSON_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    g->told_ns = ad_hub.now_ns;
    g->told_seq = ad_feed.next;
    g->untold = false;
    ad_put_gauge(&t, g);
    ad_event_append(AD_EV_GAUGE, &t);
}

/* A gauge has a new value. */
static void ad_gauge_set(const struct ad_sample *sample)
{
    struct ad_gauge *g = ad_gauge_get(sample->gauge);

    (void)snprintf(g->unit, sizeof(g->unit), "%s", sample->unit);
    g->value = sample->value;
    g->time_us = (sample->has & AD_HAS_TIME) != 0 ? sample->time_us
                                                  : ad_hub.now_us;
    g->set_seq = ++ad_gauges.sets;
    g->untold = true;
    if (g->told_seq == 0 ||
        ad_hub.now_ns - g->told_ns >= AD_GAUGE_MS * AD_NS_PER_MS) {
        ad_gauge_tell(g);
    }
}

/* Once a second: the values that came too soon behind an event. */
static void ad_gauges_housekeeping(void)
{
    unsigned i;

    for (i = 0; i < ad_gauges.n; i++) {
        if (ad_gauges.list[i].untold) {
            ad_gauge_tell(&ad_gauges.list[i]);
        }
    }
}

AD_MEMORY(gauges, AIDASH_GAUGES, sizeof(ad_gauges));

#endif
