/* fleet.c - the links between boards and gateways as the hub's loop sees them.
 * Owns nothing. Hub thread only, but for ad_fleet_init().
 */
#ifndef AD_FLEET_FLEET_C
#define AD_FLEET_FLEET_C

#include "uplinks.c"
#include "follow.c"
#include "forward.c"

#if AD_FLEET

/* Nothing is left of a run before. While starting. */
static void ad_fleet_init(void)
{
    ad_links_init();
    ad_uplinks_init();
#if AIDASH_METER
    ad_forward_init();
    ad_browse_init();
    ad_follows_init();
#endif
}

/* One of its descriptors is ready. */
static void ad_fleet_event(const struct ad_ready *ready)
{
#if AIDASH_METER
    if (ready->index >= AD_FLEET_ASKS) {
        ad_follow_ask_event(ready->index - AD_FLEET_ASKS);
        return;
    }
    if (ready->index >= AD_FLEET_FOLLOWS) {
        ad_follow_event(ready->index - AD_FLEET_FOLLOWS);
        return;
    }
    if (ready->index == AD_FLEET_FORWARD) {
        ad_forward_event(ready->events);
        return;
    }
#endif
    ad_uplink_event(ready->index - AD_FLEET_UPLINKS, ready->events);
}

/* When the hub must wake for a link that waits. */
static uint64_t ad_fleet_deadline(void)
{
    return ad_links.resume_ns;
}

/* At the end of each turn, when its events are made. */
static void ad_fleet_run(void)
{
    if (ad_hub.now_ns >= ad_links.resume_ns) {
        ad_links.resume_ns = UINT64_MAX;
        ad_uplinks_resume();
#if AIDASH_METER
        ad_follows_resume();
#endif
    }
#if AIDASH_METER
    ad_forward_send();
#endif
}

/* Once a second. */
static void ad_fleet_housekeeping(void)
{
    ad_uplinks_housekeeping();
#if AIDASH_METER
    ad_forward_housekeeping();
    ad_follows_housekeeping();
#endif
}

/* The hub begins to stop. */
static void ad_fleet_stop(void)
{
    ad_uplinks_stop();
#if AIDASH_METER
    ad_forward_end();
#endif
}

/* The hub ends: close everything. */
static void ad_fleet_end(void)
{
    ad_uplinks_end();
#if AIDASH_METER
    ad_forward_end();
    ad_follows_end();
#endif
}

/* Bytes of what GET /status says: of each link its name, its numbers, a sentence. */
enum {
    AD_FLEET_STATUS_MAX = 64 + AIDASH_LINKS * (190 + 2 * AIDASH_NODE_MAX) +
                          (AIDASH_PEERS + 1) * (330 + 2 * AIDASH_NODE_MAX +
                                                2 * AD_LINK_WHY_MAX) + 512
};

/* Members of GET /status; `,"fleet":{…}`, or nothing if there are no links. */
static void ad_put_fleet(struct ad_text *t)
{
    size_t before = t->len, begun;

    ad_puts(t, ",\"fleet\":{");
    begun = t->len;
#if AIDASH_METER
    ad_put_forward(t);
    ad_put_follows(t);
#endif
    ad_put_uplinks(t);
    if (t->len == begun || t->full) {
        t->len = before;
        return;
    }
    memmove(t->at + begun, t->at + begun + 1, t->len - begun - 1); /* the first comma */
    t->len--;
    ad_puts(t, "}");
}

#endif /* AD_FLEET */

#endif
