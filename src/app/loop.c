/* loop.c - the hub thread's loop: what it waits for, what it does in each turn and
 * in each second, how it ends. Owns no state.
 */
#ifndef AD_APP_LOOP_C
#define AD_APP_LOOP_C

#include "../board/board.c"
#include "../board/history_file.c"
#include "../board/otlp.c"
#include "../core/certificate.c"
#include "../guard/jwt_files.c"
#include "../guard/keys.c"
#include "../fleet/fleet.c"
#include "../meter/meter.c"
#include "../web/routes.c"
#include "calls.c"

/* Once a second. */
static void ad_hub_housekeeping(void)
{
    ad_hub_follow_clock();
    (void)ad_keys_poll(false);
    ad_auth_housekeeping();
    ad_clients_housekeeping();
    ad_pending_housekeeping();
    ad_gauges_housekeeping();
#if AIDASH_NODES
    ad_nodes_housekeeping();
#endif
    ad_commands_housekeeping();
#if AIDASH_TLS
    ad_jwt_files_poll(false);
    ad_pump_housekeeping();
    ad_certificate_housekeeping();
#endif
#if AIDASH_METER
    ad_meter_housekeeping();
#endif
#if AD_FLEET
    ad_fleet_housekeeping();
#endif
#if AIDASH_BOARD
    ad_board_housekeeping();
#endif
#if AIDASH_METER && AIDASH_BASELINES
    ad_verdict_housekeeping();
#endif
#if AIDASH_METER && AIDASH_ENERGY
    ad_energy_housekeeping();
#endif
#if AIDASH_HISTORY
    ad_history_advance();
#endif
#if AIDASH_ALERTS
    ad_alerts_housekeeping();
#endif
#if AIDASH_OTLP && AIDASH_METER
    ad_otlp_housekeeping();
#endif
    ad_log_housekeeping();
    ad_hub.housekeeping_ns = ad_hub.now_ns + AD_NS_PER_S;
}

/* Begin to stop: no new connections, close code 1001 to the viewers. */
static void ad_hub_begin_stop(void)
{
    ad_hub.stopping = true;
    atomic_store(&ad_hub.quiet, true);
    ad_listeners_watch(false);
    ad_pending_stop();
    ad_clients_stop();
#if AD_FLEET
    ad_fleet_stop();
#endif
}

/* Must the hub wake to fan out events that wait for the pace? Without a viewer of
 * the meter's events it need not: they come with sockets that wake it anyway. */
static bool ad_fan_out_waits(void)
{
    return ad_events.fanned_out != ad_feed.next &&
           (ad_fanout.n_subscribed > 0 || ad_sources.source != AD_SOURCE_METER);
}

/* When the hub must wake although nothing arrives. */
static uint64_t ad_hub_deadline(void)
{
    uint64_t at = ad_hub.housekeeping_ns, accept_ns = ad_acceptor_deadline();

    at = accept_ns < at ? accept_ns : at;
#if AD_FLEET
    at = ad_fleet_deadline() < at ? ad_fleet_deadline() : at;
#endif
    if (ad_fan_out_waits() && ad_fanout.pace_ns < at) {
        at = ad_fanout.pace_ns;
    }
    if (ad_fanout.batch_waits && ad_batch_at_ns() < at) {
        at = ad_batch_at_ns();
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
        ad_udp_event(ad_sources.udp[ready->index]);
        break;
    case AD_TAG_STDIN:
        ad_stdin_event();
        break;
    case AD_TAG_PENDING:
        if (ad_pending[ready->index].worker_fd >= 0 &&
            ad_pending[ready->index].phase == AD_PENDING_ANSWER) {
            ad_worker_client_event(&ad_pending[ready->index]);
        } else {
            ad_pending_event(&ad_pending[ready->index]);
        }
        break;
    case AD_TAG_WORKER:
        ad_worker_event(&ad_pending[ready->index]);
        break;
    case AD_TAG_CLIENT:
        ad_client_event(ready->index, ready->events);
        break;
    case AD_TAG_PROXY_CLIENT:
    case AD_TAG_PROXY_UPSTREAM:
    case AD_TAG_DISCOVERY:
    case AD_TAG_SCRAPE:
    case AD_TAG_BENCH:
    case AD_TAG_OUTBOX:
#if AIDASH_METER
        ad_meter_event(ready);
#endif
        break;
    case AD_TAG_TLS:
    case AD_TAG_TLS_INNER:
#if AIDASH_TLS
        ad_pump_event(ready);
#endif
        break;
    case AD_TAG_FLEET:
#if AD_FLEET
        ad_fleet_event(ready);
#endif
        break;
    case AD_TAG_TIMER:
        break;
    }
}

/* With many events in one turn, viewers get them before the feed overwrites
 * them. */
static void ad_fan_out_if_due(void)
{
    if (ad_events_due()) {
        ad_fan_out();
    }
}

/* One turn: wait, handle what is ready, make the ticks that are due, fan out. */
static void ad_hub_turn(void)
{
    struct ad_ready ready[AD_READY_MAX];
    uint64_t deadline_ns = ad_hub_deadline(), workers_ns;
    bool pacing = deadline_ns == ad_fanout.pace_ns;
    unsigned i, n;

    /* Announce the sleep, then look at the inbox once more: a thread that
     * publishes after this look sees the announcement and wakes the hub. The
     * wait between fan-outs is so short that the inbox may half fill. */
    atomic_store(&ad_hub.sleep, pacing ? AD_PACING : AD_ASLEEP);
    workers_ns = ad_workers_deadline();
    deadline_ns = workers_ns < deadline_ns ? workers_ns : deadline_ns;
    if (ad_sources_wait() || ad_posts_wait() || ad_key_writer_answered() != NULL ||
        atomic_load(&ad_hub.calls) != NULL ||
        ad_relay_waits(pacing) || ad_inbox_fill() > (pacing ? AIDASH_INBOX / 2 : 0)) {
        deadline_ns = 0;
    }
    n = ad_poll_wait(deadline_ns, ready);
    atomic_store(&ad_hub.sleep, AD_AWAKE);
    ad_hub_clock();
    for (i = 0; i < n; i++) {
        ad_hub_dispatch(&ready[i]);
        ad_fan_out_if_due();
    }
    if (ad_stdin_waits()) {
        ad_stdin_event();
        ad_fan_out_if_due();
    }
    (void)ad_datagram_take(AD_LINES_MAX);
    ad_fan_out_if_due();
    ad_hub_calls();
    ad_routes_run();
    ad_auth_run();
    ad_acceptor_run();
#if AIDASH_METER
    ad_meter_run();
#endif
    ad_posts_run();
#if AIDASH_BOARD
    ad_board_run();
#endif
#if AIDASH_HISTORY
    ad_history_file_run();
#endif
    ad_inbox_run();
    ad_fan_out_if_due();
#if AIDASH_NODES
    ad_nodes_run();
    ad_fan_out_if_due();
#endif
    if (ad_sources.source == AD_SOURCE_SIM) {
        ad_sim_run();
    }
    ad_fan_out_if_due();
    if ((ad_events.fanned_out != ad_feed.next && ad_hub.now_ns >= ad_fanout.pace_ns) ||
        (ad_fanout.batch_waits && ad_hub.now_ns >= ad_batch_at_ns())) {
        ad_fan_out();
    }
    if (ad_hub.now_ns >= ad_hub.housekeeping_ns) {
        ad_hub_housekeeping();
    }
#if AD_FLEET
    ad_fleet_run();
#endif
}

static void *ad_hub_main(void *unused)
{
    uint64_t end_ns = 0;

    ad_hub_clock();
    while (atomic_load(&ad_hub.stop) < 2 ||
           ((ad_slots.n_open > 0 || ad_pending_answering()) &&
            ad_hub.now_ns < end_ns)) {
        ad_hub_turn();
        if (!ad_hub.stopping && atomic_load(&ad_hub.stop) > 0) {
            ad_hub_begin_stop();
            end_ns = ad_hub.now_ns + AD_NS_PER_S / 2;
            ad_hub.housekeeping_ns = end_ns;
        }
        if (ad_hub.stopping && ad_hub.now_ns >= end_ns) {
            ad_pending_close(); /* and no worker waits for who does not read */
        }
    }
    ad_pending_close();
    ad_clients_drop();
#if AD_FLEET
    ad_fleet_end();
#endif
#if AIDASH_METER
    ad_meter_end();
#endif
#if AIDASH_TLS
    ad_pump_close();
#endif
    return unused;
}

#endif
