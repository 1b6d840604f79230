/* loop.c - the hub thread's loop: what it waits for, what it does once a turn and
 * once a second, how it ends.
 */
#ifndef AD_APP_LOOP_C
#define AD_APP_LOOP_C

#include "../meter/meter.c"
#include "../web/glue.h"

/* Once a second. */
static void ad_hub_housekeeping(void)
{
    unsigned i;

    for (i = 0; i < ad_slots.n_used; i++) {
        if (ad_clients[i].kind != AD_FREE) {
            ad_client_housekeeping(&ad_clients[i]);
        }
    }
    for (i = 0; i < ad_acceptor.n_used; i++) {
        struct ad_pending *p = &ad_pending[i];

        if (p->used && !p->ready &&
            ad_hub.now_ms - p->since_ms >= AD_HEAD_MS) {
            if (p->kept && recv(p->fd, ad_scratch, 1, MSG_PEEK) < 0) {
                ad_pending_drop(p);
            } else {
                ad_pending_refuse(p, 408, "the request head did not arrive");
            }
        }
    }
#if AIDASH_METER
    ad_meter_housekeeping();
#endif
    ad_listeners_watch(!ad_hub.stopping);
    ad_hub.housekeeping_ns = ad_hub.now_ns + AD_NS_PER_S;
}

/* Say good-bye: no new connections, close code 1001 to the viewers. */
static void ad_hub_begin_stop(void)
{
    unsigned i;

    ad_hub.stopping = true;
    ad_listeners_watch(false);
    for (i = 0; i < ad_acceptor.n_used; i++) {
        if (ad_pending[i].used) {
            ad_pending_drop(&ad_pending[i]);
        }
    }
    for (i = 0; i < ad_slots.n_used; i++) {
        struct ad_client *c = &ad_clients[i];

        if (c->kind == AD_FREE || c->kind == AD_LINGER || c->closing) {
            continue;
        }
        if (c->kind == AD_WS || c->kind == AD_WS_BATCH) {
            ad_client_close(c, 1001);
        } else if (c->kind == AD_INGEST) {
            ad_ingest_answer(c);
        }
        c->closing = true;
        (void)ad_client_send_reply(c);
    }
}

/* When the hub must wake although nothing arrives. */
static uint64_t ad_hub_deadline(void)
{
    uint64_t at = ad_hub.housekeeping_ns;

    if (ad_events.fanned_out != ad_feed.next && ad_fanout.pace_ns < at) {
        at = ad_fanout.pace_ns;
    }
    if (ad_fanout.batch_waits && ad_fanout.batch_ns < at) {
        at = ad_fanout.batch_ns;
    }
    if (ad_sources.source == AD_SOURCE_SIM && !ad_engine.paused) {
        uint64_t due = ad_sources.sim_due_ns > ad_fanout.pace_ns ? ad_sources.sim_due_ns
                                                          : ad_fanout.pace_ns;

        at = due < at ? due : at;
    }
    return at;
}

static void ad_hub_dispatch(const struct ad_ready *ready)
{
    uint64_t counter[2];

    switch (ready->tag) {
    case AD_TAG_WAKE:
        (void)!read(ad_hub.wake_rd, counter, sizeof(counter));
        break;
    case AD_TAG_LISTENER:
        ad_listener_event(ready->index);
        break;
    case AD_TAG_UDP:
        ad_udp_read(ad_sources.udp[ready->index]);
        break;
    case AD_TAG_STDIN:
        ad_stdin_read();
        break;
    case AD_TAG_PENDING:
        ad_pending_event(ready->index);
        break;
    case AD_TAG_CLIENT:
        ad_client_event(ready->index);
        break;
    case AD_TAG_PROXY_CLIENT:
    case AD_TAG_PROXY_UPSTREAM:
    case AD_TAG_DISCOVERY:
    case AD_TAG_SCRAPE:
#if AIDASH_METER
        ad_meter_event(ready);
#endif
        break;
    case AD_TAG_TIMER:
        break;
    }
}

/* Many events in one turn: viewers get them before the feed overruns them. */
static void ad_fan_out_if_due(void)
{
    if (ad_events_due()) {
        ad_fan_out();
    }
}

/* One turn: wait, take what came, make the ticks that are due, fan out. */
static void ad_hub_turn(void)
{
    struct ad_ready ready[AD_READY_MAX];
    uint64_t deadline_ns = ad_hub_deadline();
    bool pacing = deadline_ns == ad_fanout.pace_ns;
    unsigned i, n;

    /* Announce the sleep, then look once more: who publishes later than this
     * look sees the announcement and wakes us. A pace's wait is so short that
     * the inbox may fill by half meanwhile. */
    atomic_store(&ad_hub.sleep, pacing ? AD_PACING : AD_ASLEEP);
    if ((ad_sources.stdin_is_file && ad_sources.stdin_open) ||
        atomic_load(&ad_hub.calls) != NULL || ad_acceptor.n_ready > 0 ||
        ad_inbox_fill() > (pacing ? AIDASH_INBOX / 2 : 0)) {
        deadline_ns = 0;
    }
    n = ad_poll_wait(deadline_ns, ready);
    atomic_store(&ad_hub.sleep, AD_AWAKE);
    ad_hub_clock();
    for (i = 0; i < n; i++) {
        ad_hub_dispatch(&ready[i]);
        ad_fan_out_if_due();
    }
    if (ad_sources.stdin_is_file && ad_sources.stdin_open) {
        ad_stdin_read();
    }
    ad_hub_calls();
    ad_acceptor_serve();
#if AIDASH_METER
    ad_queue_run();
#endif
    ad_inbox_run();
    if (ad_sources.source == AD_SOURCE_SIM) {
        ad_sim_run();
    }
    if ((ad_events.fanned_out != ad_feed.next && ad_hub.now_ns >= ad_fanout.pace_ns) ||
        (ad_fanout.batch_waits && ad_hub.now_ns >= ad_fanout.batch_ns)) {
        ad_fan_out();
    }
    if (ad_hub.now_ns >= ad_hub.housekeeping_ns) {
        ad_hub_housekeeping();
    }
}

static void *ad_hub_main(void *unused)
{
    uint64_t end_ns = 0;
    unsigned i;

    ad_hub_clock();
    while (atomic_load(&ad_hub.stop) < 2 ||
           (ad_slots.n_open > 0 && ad_hub.now_ns < end_ns)) {
        ad_hub_turn();
        if (!ad_hub.stopping && atomic_load(&ad_hub.stop) > 0) {
            ad_hub_begin_stop();
            end_ns = ad_hub.now_ns + AD_NS_PER_S / 2;
            ad_hub.housekeeping_ns = end_ns;
        }
    }
    for (i = 0; i < ad_slots.n_used; i++) {
        if (ad_clients[i].kind != AD_FREE) {
            ad_client_drop(&ad_clients[i]);
        }
    }
#if AIDASH_METER
    ad_meter_end();
#endif
    return unused;
}

#endif
