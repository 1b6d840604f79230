#ifndef AD_CORE_LOOP_C
#define AD_CORE_LOOP_C

/* -- the loop -- */

static void ad_hub_clock(void)
{
    ad_hub.now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    ad_hub.now_us = ad_clock_ns(CLOCK_REALTIME) / 1000;
    ad_hub.now_ms = (uint32_t)(ad_hub.now_ns / AD_NS_PER_MS);
}

/* Once a second. */
static void ad_hub_tidy(void)
{
    unsigned i;

    for (i = 0; i < ad_hub.n_slots; i++) {
        if (ad_clients[i].kind != AD_FREE) {
            ad_client_tidy(&ad_clients[i]);
        }
    }
    for (i = 0; i < ad_hub.n_pending_slots; i++) {
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
    for (i = 0; i < AIDASH_FLOWS && ad_hub.n_flows > 0; i++) {
        if (ad_flows[i].state != AD_FLOW_FREE) {
            ad_flow_tidy(&ad_flows[i]);
        }
    }
    ad_fetch_tidy();
#endif
    ad_listeners_watch(!ad_hub.draining);
    ad_hub.tidy_ns = ad_hub.now_ns + AD_NS_PER_S;
}

/* The other threads' calls, in the order in which they came. */
static void ad_hub_calls(void)
{
    struct ad_call *list = atomic_exchange(&ad_hub.calls, NULL);
    struct ad_call *first = NULL;

    while (list != NULL) {
        struct ad_call *next = list->next;

        list->next = first;
        first = list;
        list = next;
    }
    while (first != NULL) {
        struct ad_call *next = first->next;

        first->run(first);
        (void)sem_post(&first->done);
        first = next;
    }
}

/* Say good-bye: no new connections, close code 1001 to the viewers. */
static void ad_hub_drain(void)
{
    unsigned i;

    ad_hub.draining = true;
    ad_listeners_watch(false);
    for (i = 0; i < ad_hub.n_pending_slots; i++) {
        if (ad_pending[i].used) {
            ad_pending_drop(&ad_pending[i]);
        }
    }
    for (i = 0; i < ad_hub.n_slots; i++) {
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
        (void)ad_client_say(c);
    }
}

/* When the hub must wake although nothing arrives. */
static uint64_t ad_hub_deadline(void)
{
    uint64_t at = ad_hub.tidy_ns;

    if (ad_hub.fanned != ad_feed.next && ad_hub.pace_ns < at) {
        at = ad_hub.pace_ns;
    }
    if (ad_hub.batch_waits && ad_hub.batch_ns < at) {
        at = ad_hub.batch_ns;
    }
    if (ad_set.source == AD_SOURCE_SIM && !ad_hub.paused) {
        uint64_t due = ad_hub.sim_due_ns > ad_hub.pace_ns ? ad_hub.sim_due_ns
                                                          : ad_hub.pace_ns;

        at = due < at ? due : at;
    }
    return at;
}

static void ad_hub_dispatch(const struct ad_ready *ready)
{
    uint64_t drain[16];

    switch (ready->tag) {
    case AD_TAG_WAKE:
        (void)!read(ad_hub.wake_rd, drain, sizeof(drain));
        break;
    case AD_TAG_LISTENER:
        ad_listener_event(ready->index);
        break;
    case AD_TAG_UDP:
        ad_udp_read(ad_hub.udp[ready->index]);
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
#if AIDASH_METER
    case AD_TAG_DOWN:
    case AD_TAG_UP:
        ad_flow_event(ready->index, ready->tag, ready->hangup);
        break;
    case AD_TAG_FETCH:
        ad_fetch_event();
        break;
#else
    case AD_TAG_DOWN:
    case AD_TAG_UP:
    case AD_TAG_FETCH:
#endif
    case AD_TAG_TIMER:
        break;
    }
}

/* One turn: wait, take what came, make the ticks that are due, fan out. */
static void ad_hub_turn(void)
{
    struct ad_ready ready[AD_READY_MAX];
    uint64_t deadline_ns = ad_hub_deadline();
    bool pacing = deadline_ns == ad_hub.pace_ns;
    unsigned i, n;

    /* Announce the sleep, then look once more: who publishes later than this
     * look sees the announcement and wakes us. A pace's wait is so short that
     * the inbox may fill by half meanwhile. */
    atomic_store(&ad_hub.sleep, pacing ? AD_PACING : AD_ASLEEP);
    if ((ad_hub.stdin_is_file && ad_hub.stdin_open) ||
        atomic_load(&ad_hub.calls) != NULL || ad_hub.n_ready > 0 ||
        ad_inbox_fill() > (pacing ? AIDASH_INBOX / 2 : 0)) {
        deadline_ns = 0;
    }
    n = ad_poll_wait(deadline_ns, ready);
    atomic_store(&ad_hub.sleep, AD_AWAKE);
    ad_hub_clock();
    for (i = 0; i < n; i++) {
        ad_hub_dispatch(&ready[i]);
    }
    if (ad_hub.stdin_is_file && ad_hub.stdin_open) {
        ad_stdin_read();
    }
    ad_hub_calls();
    ad_door_serve();
#if AIDASH_METER
    ad_line_run();
#endif
    ad_inbox_run();
    if (ad_set.source == AD_SOURCE_SIM) {
        ad_sim_run();
    }
    if ((ad_hub.fanned != ad_feed.next && ad_hub.now_ns >= ad_hub.pace_ns) ||
        (ad_hub.batch_waits && ad_hub.now_ns >= ad_hub.batch_ns)) {
        ad_fanout();
    }
    if (ad_hub.now_ns >= ad_hub.tidy_ns) {
        ad_hub_tidy();
    }
}

static void *ad_hub_main(void *unused)
{
    uint64_t end_ns = 0;
    unsigned i;

    ad_hub_clock();
    while (atomic_load(&ad_hub.stop) < 2 ||
           (ad_hub.n_open > 0 && ad_hub.now_ns < end_ns)) {
        ad_hub_turn();
        if (!ad_hub.draining && atomic_load(&ad_hub.stop) > 0) {
            ad_hub_drain();
            end_ns = ad_hub.now_ns + AD_NS_PER_S / 2;
            ad_hub.tidy_ns = end_ns;
        }
    }
    for (i = 0; i < ad_hub.n_slots; i++) {
        if (ad_clients[i].kind != AD_FREE) {
            ad_client_drop(&ad_clients[i]);
        }
    }
#if AIDASH_METER
    for (i = 0; i < AIDASH_FLOWS; i++) {
        if (ad_flows[i].state != AD_FLOW_FREE) {
            ad_flow_free(&ad_flows[i]);
        }
    }
    if (ad_fetch.fd >= 0) {
        ad_fetch_end();
    }
#endif
    return unused;
}

#endif
