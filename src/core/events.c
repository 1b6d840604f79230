/* events.c - the events that all viewers get: into the feed, and to the tap of
 * the program that embeds aidash.
 * Owns ad_events. Hub thread only.
 */
#ifndef AD_CORE_EVENTS_C
#define AD_CORE_EVENTS_C

#include "feed.c"
#include "hub.c"

enum {
    AD_BATCH_RATE = 100, /* events a second above which batches form */
    /* Events, and their bytes, that may wait for a fan-out: far less than the
     * feed keeps, so that a viewer who reads loses none. */
    AD_WAITING_MAX = AIDASH_EVENTS < 1024 ? AIDASH_EVENTS / 4 : 256,
    AD_WAITING_BYTES = AIDASH_FEED_BYTES / 4
};
_Static_assert(AD_WAITING_BYTES + 3 * (AD_EVENT_MAX + 4) <= AIDASH_FEED_BYTES,
               "a source that checks ad_events_due() after each of its lines, and "
               "so after three events at most, does not overrun the feed");

static struct {
    uint64_t burst_ns[AD_BATCH_RATE / 10]; /* times of the last ten events */
    bool batching;
    uint64_t fanned_out;     /* ad_feed.next at the last fan-out */
    uint64_t fanned_out_off; /* and where that event begins */
    void (*on_event)(const char *json, size_t len, void *user); /* [I] */
    void *user;                                                 /* [I] */
} ad_events;

/* Append an event to the feed and hand it to the tap. One that was longer than its
 * buffer is left out: clients could not read it. */
static void ad_event_append(enum ad_event kind, const struct ad_text *t)
{
    const unsigned n = (unsigned)AD_COUNT(ad_events.burst_ns);
    uint64_t *slot = &ad_events.burst_ns[ad_feed.next % n];

    if (t->full) {
        ad_log(AIDASH_LOG_ERROR, "an event is too long, and left out");
        return;
    }
    /* Ten events in a tenth of a second make batches worth while. */
    ad_events.batching = ad_hub.now_ns - *slot < AD_NS_PER_S * n / AD_BATCH_RATE;
    *slot = ad_hub.now_ns;
    ad_feed_append(kind, t->at, t->len);
    if (ad_events.on_event != NULL) {
        ad_events.on_event(t->at, t->len, ad_events.user);
    }
}

/* Do so many events wait that a fan-out is due now? Each source checks this after
 * each of its lines, and then leaves the rest for the next turn. */
static bool ad_events_due(void)
{
    return ad_feed.next - ad_events.fanned_out >= AD_WAITING_MAX ||
           ad_feed_off(ad_feed.next) - ad_events.fanned_out_off >=
               AD_WAITING_BYTES;
}

/* All events so far are fanned out. */
static void ad_events_fanned_out(void)
{
    ad_events.fanned_out = ad_feed.next;
    ad_events.fanned_out_off = ad_feed_off(ad_feed.next);
}

/* Before each run. */
static void ad_events_init(void)
{
    memset(&ad_events, 0, sizeof(ad_events));
}

/* Hand each event to this function, too. While starting. */
static void ad_events_tap(void (*on_event)(const char *json, size_t len,
                                           void *user),
                          void *user)
{
    ad_events.on_event = on_event;
    ad_events.user = user;
}

AD_MEMORY(events, 1, sizeof(ad_events));

#endif
