/* meter.c - the meter as the hub's loop sees it: what happens at the start, on an
 * event, once a turn, once a second and at the end.
 * Owns nothing. Hub thread only, but for ad_meter_init().
 */
#ifndef AD_METER_METER_C
#define AD_METER_METER_C

#include "bench.c"
#include "discovery.c"
#include "outbox.c"
#include "queue.c"
#include "scrape.c"

#if AIDASH_METER

/* Nothing is left of a run before. While starting. */
static void ad_meter_init(void)
{
    struct ad_totals_time now = ad_totals_now();

    ad_totals_init(&now);
    ad_quota_init();
    ad_upstreams_init();
#if AIDASH_TLS
    ad_trust_init();
#endif
    ad_resolver_init();
    ad_requests_init();
    ad_reports_init();
    ad_queue_init();
    ad_bench_init();
    ad_discovery_init();
    ad_scrape_init();
#if AD_OUTBOX
    ad_outbox_init();
#endif
    ad_models_init();
}

/* One of the meter's descriptors is ready. */
static void ad_meter_event(const struct ad_ready *ready)
{
    switch (ready->tag) {
    case AD_TAG_PROXY_CLIENT:
    case AD_TAG_PROXY_UPSTREAM:
        ad_proxy_event(ready->index, ready->tag,
                       (ready->events & AD_HUP) != 0);
        break;
    case AD_TAG_DISCOVERY:
        ad_discovery_event(ready->index);
        break;
    case AD_TAG_SCRAPE:
        ad_scrape_event();
        break;
    case AD_TAG_BENCH:
        ad_bench_event(ready->index);
        break;
#if AD_OUTBOX
    case AD_TAG_OUTBOX:
        ad_outbox_event(ready->index);
        break;
#endif
    default:
        break;
    }
}

/* An answer of the resolver has come; `failed`: why there is none. */
static void ad_meter_resolved(const struct ad_upstream *engine, int failed)
{
    char why[96] = "";

    if (failed != 0) {
        (void)snprintf(why, sizeof(why), ": its name can't be resolved (%s)",
                       gai_strerror(failed));
    }
    if (engine == &ad_scrape.upstream) {
        ad_scrape_resolved(why);
        return;
    }
    if (engine < ad_upstreams.list || engine >= ad_upstreams.list + ad_upstreams.n) {
        return; /* of the outbox, which tries again by itself */
    }
    ad_proxy_resolved(engine);
    ad_discovery_resolved((unsigned)(engine - ad_upstreams.list), why);
}

/* Each turn. */
static void ad_meter_run(void)
{
    int failed;
    const struct ad_upstream *engine = ad_resolver_run(&failed);

    if (engine != NULL) {
        ad_meter_resolved(engine, failed);
    }
    ad_discovery_run();
    ad_queue_run();
}

/* Once a second. */
static void ad_meter_housekeeping(void)
{
    ad_queue_housekeeping();
    ad_bench_housekeeping();
    ad_resolver_housekeeping();
    ad_discovery_housekeeping();
    ad_scrape_housekeeping();
#if AD_OUTBOX
    ad_outbox_housekeeping();
#endif
}

/* The hub ends: close everything. */
static void ad_meter_end(void)
{
    unsigned i;

    for (i = 0; i < ad_proxying.n_slots; i++) {
        if (ad_proxies[i].state != AD_PROXY_FREE) {
            ad_proxy_free(&ad_proxies[i]);
        }
    }
    ad_bench_end();
    ad_discovery_end();
    ad_scrape_end();
#if AD_OUTBOX
    ad_outbox_end();
#endif
}

#endif /* AIDASH_METER */

#endif
