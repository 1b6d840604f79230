/* room.c - who gives way when places at the engine, rewrite buffers, the queue or
 * all slots are taken.
 * Owns nothing. Hub thread only.
 * Always: a request that runs, and whose client takes its answer, is never ended for
 * another one.
 */
#ifndef AD_METER_ROOM_C
#define AD_METER_ROOM_C

#include "../core/access.c"
#include "upload.c"

#if AIDASH_METER

/* ---- places at the engine, rewrite buffers ---- */

/* Has the body of a come at a lower rate than that of b? */
static bool ad_upload_slower(const struct ad_proxy *a, const struct ad_proxy *b)
{
    return a->uploaded * b->upload_s < b->uploaded * a->upload_s;
}

/* The slowest of the uploads that have this turn, or that fill a rewrite buffer
 * (AD_TURN_NONE), and have taken longer than AD_PROXY_PLACE_S; of those of the
 * address of `like`, unless that is NULL. NULL: there is none. */
static struct ad_proxy *ad_upload_slowest(enum ad_proxy_turn turn,
                                          const struct ad_proxy *like)
{
    struct ad_proxy *slowest = NULL;
    unsigned i;

    for (i = 0; i < ad_proxying.n_slots; i++) {
        struct ad_proxy *p = &ad_proxies[i];

        if (p->state != AD_PROXY_FREE && ad_proxy_uploads(p) &&
            p->upload_s > AD_PROXY_PLACE_S &&
            (turn == AD_TURN_NONE ? p->state == AD_PROXY_BUFFER_BODY
                                  : p->turn == turn) &&
            (like == NULL || p->request.address == like->request.address) &&
            (slowest == NULL || ad_upload_slower(p, slowest))) {
            slowest = p;
        }
    }
    return slowest;
}

/* End a request whose client is to blame, or unlucky. */
static void ad_proxy_give_up(struct ad_proxy *p, const struct ad_refusal *why)
{
    if (p->head_passed) {
        p->ended_by = AD_ENDED_BY_AIDASH;
        ad_proxy_end(p, "cut");
    } else {
        ad_proxy_refuse(p, why);
    }
}

/* All places are taken, and a request waits for one. The slowest upload that has
 * one lends it, and asks again when its body is whole. Its connection to the engine
 * remains: of those there are AIDASH_UPLOADS besides the places. False if all that
 * have a place run. */
static bool ad_queue_make_way(void)
{
    struct ad_proxy *p = ad_upload_slowest(AD_TURN_RUN, NULL), *other;

    if (p == NULL) {
        return false;
    }
    if (ad_proxying.n_uploads < AIDASH_UPLOADS) {
        ad_proxy_set_turn(p, AD_TURN_UPLOAD);
        return true;
    }
    other = ad_upload_slowest(AD_TURN_UPLOAD, NULL);
    if (other != NULL && ad_upload_slower(other, p)) {
        ad_proxy_give_up(other, &ad_refuse_slowest_body);
        ad_proxy_set_turn(p, AD_TURN_UPLOAD);
    } else {
        ad_proxy_give_up(p, &ad_refuse_slowest_body);
    }
    return true;
}

/* Requests wait for rewrite buffers: for each of them the slowest that fills one, and
 * does that at less than AD_PROXY_EDIT_RATE, gives it up; one of the same address
 * where that has its share of them. */
static void ad_queue_free_buffers(void)
{
    const struct ad_proxy *p;
    bool full = true;
    unsigned i;

    for (i = 0; i < AIDASH_EDITS; i++) {
        full = full && ad_rewrites[i].used;
    }
    for (p = ad_proxying.first; p != NULL; p = p->next) {
        struct ad_proxy *slowest;

        if (!ad_rewrite_wanted(p) ||
            (!full && ad_rewrite_free(p->request.address) != AD_NO_REWRITE)) {
            continue;
        }
        slowest = ad_upload_slowest(AD_TURN_NONE, full ? NULL : p);
        if (slowest != NULL &&
            slowest->uploaded < (uint64_t)AD_PROXY_EDIT_RATE * slowest->upload_s) {
            ad_proxy_give_up(slowest, &ad_refuse_slowest_body);
        }
    }
}

/* Once a second: what waits gets the place, or the buffer, of what is slow. */
static void ad_queue_press(void)
{
    if (ad_proxying.draining) { /* what only comes in does not run */
        while (ad_queue_make_way()) {
        }
        ad_proxy_drained();
    }
    if (ad_engine.paused) {
        return;
    }
    while (ad_proxying.n_queued > 0 &&
           ad_proxying.n_queued + ad_proxying.n_running >
               ad_proxying.max_inflight &&
           ad_queue_make_way()) {
    }
    ad_queue_free_buffers();
}

/* ---- the address that has the most ---- */

/* How many requests of this address are under way. */
static unsigned ad_flows_of(uint64_t address)
{
    unsigned i, n = 0;

    for (i = 0; i < ad_proxying.n_slots; i++) {
        if (ad_proxies[i].state != AD_PROXY_FREE &&
            ad_proxies[i].request.address == address) {
            n++;
        }
    }
    return n;
}

/* How much it would cost to end this request: the least for one whose client does
 * not take its answer. */
enum ad_flow_worth {
    AD_FLOW_UNTAKEN,
    AD_FLOW_UNMETERED,
    AD_FLOW_UPLOAD,
    AD_FLOW_QUEUED,
    AD_FLOW_RUNS /* it is never ended for another one */
};

static enum ad_flow_worth ad_flow_worth(const struct ad_proxy *p)
{
    if (ad_ms(p->start_ns, ad_hub.now_ns) < AD_FLOW_GRACE_MS) {
        return AD_FLOW_RUNS;
    }
    if (p->state == AD_PROXY_ENDING || (p->to_client_len > 0 && p->blocked_s > 0)) {
        return AD_FLOW_UNTAKEN;
    }
    if (p->state == AD_PROXY_TUNNEL) {
        return AD_FLOW_RUNS;
    }
    if (!p->request.metered) {
        return AD_FLOW_UNMETERED;
    }
    if (p->turn == AD_TURN_QUEUED) {
        return AD_FLOW_QUEUED;
    }
    return p->request.body.state < AD_BODY_DONE ? AD_FLOW_UPLOAD : AD_FLOW_RUNS;
}

/* Is it better to end p than q? What has waited the longest goes first, but the
 * last comes first out of the queue. */
static bool ad_flow_yields(const struct ad_proxy *p, const struct ad_proxy *q)
{
    enum ad_flow_worth worth = ad_flow_worth(p), other = ad_flow_worth(q);

    if (worth != other) {
        return worth < other;
    }
    return worth == AD_FLOW_QUEUED ? p->order > q->order : p->id < q->id;
}

/* The request that gives way to one of this address, and is worth `least` or more:
 * of the address that has the most, if it has still as many afterwards. A trusted
 * proxy's address is that of many clients, and is spared. NULL: there is none. */
static struct ad_proxy *ad_flow_of_heaviest(uint64_t address,
                                            enum ad_flow_worth least)
{
    unsigned i, n = 0, most = ad_flows_of(address) + 1;
    uint64_t counted = address;
    struct ad_proxy *found = NULL;

    for (i = 0; i < ad_proxying.n_slots; i++) {
        struct ad_proxy *p = &ad_proxies[i];

        if (p->state == AD_PROXY_FREE || ad_flow_worth(p) < least ||
            ad_flow_worth(p) == AD_FLOW_RUNS || p->request.address == address) {
            continue;
        }
        if (p->request.address != counted) {
            counted = p->request.address;
            n = ad_flows_of(counted);
        }
        if ((n > most ||
             (found != NULL && n == most && ad_flow_yields(p, found))) &&
            !ad_access_trusted(&p->request.peer)) {
            most = n;
            found = p;
        }
    }
    return found;
}

/* The queue is full: end one in it for this one. False if none gives way. */
static bool ad_queue_evict(const struct ad_proxy *p)
{
    struct ad_proxy *other = ad_flow_of_heaviest(p->request.address, AD_FLOW_QUEUED);

    if (other == NULL) {
        return false;
    }
    ad_proxying.refused++;
    ad_proxy_give_up(other, &ad_refuse_heaviest);
    return true;
}

/* ---- slots ---- */

/* One whose client has got its whole answer, or the one whose client has let us
 * wait for the first piece of its body the longest, after AD_GRACE_MS. NULL: there
 * is none. */
static struct ad_proxy *ad_flow_idle(void)
{
    struct ad_proxy *slowest = NULL;
    unsigned i;

    for (i = 0; i < ad_proxying.n_slots; i++) {
        struct ad_proxy *p = &ad_proxies[i];

        if (p->state == AD_PROXY_ENDING && p->to_client_len == 0) {
            return p;
        }
        if (p->state == AD_PROXY_ARRIVE &&
            ad_ms(p->start_ns, ad_hub.now_ns) >= AD_GRACE_MS &&
            (slowest == NULL || p->id < slowest->id)) {
            slowest = p;
        }
    }
    return slowest;
}

/* All slots are taken: free one for a request of this address. False if none gives
 * way. */
static bool ad_proxy_evict(uint64_t address)
{
    struct ad_proxy *p = ad_flow_idle();
    const struct ad_refusal *why = &ad_refuse_slow_body;

    if (p == NULL) {
        p = ad_flow_of_heaviest(address, AD_FLOW_UNTAKEN);
        why = &ad_refuse_heaviest;
    }
    if (p == NULL) {
        return false;
    }
    if (p->state != AD_PROXY_ENDING) {
        ad_proxy_give_up(p, why);
    }
    if (p->state != AD_PROXY_FREE) {
        ad_proxy_free(p);
    }
    return true;
}

/* Is there room for one more proxied request of this address, if need be in the
 * place of another one? If not, it is counted as refused. */
static bool ad_proxy_make_room(uint64_t address)
{
    if (!ad_hub.stopping &&
        (ad_proxying.n < AIDASH_FLOWS || ad_proxy_evict(address))) {
        return true;
    }
    ad_proxying.refused++;
    return false;
}

#endif /* AIDASH_METER */

#endif
