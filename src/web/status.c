/* status.c - GET /status: counters and the map of static memory. Runs on the hub
 * thread.
 */
#ifndef AD_WEB_STATUS_C
#define AD_WEB_STATUS_C

#include "brand.c"
#include "memory.c"

/* Events lost so far, those of clients that are blocked now included. */
static uint64_t ad_dropped(void)
{
    uint64_t sum = ad_fanout.dropped;
    unsigned i;

    for (i = 0; i < ad_fanout.n_subscribed; i++) {
        const struct ad_client *c = &ad_clients[ad_fanout.subscribed[i]];
        uint64_t behind = ad_feed.next - c->next;

        if (c->blocked && !c->resuming && behind > ad_fanout.backlog) {
            sum += behind - ad_fanout.backlog;
        }
    }
    return sum;
}

static uint64_t ad_records_count(void)
{
#if AIDASH_METER
    return ad_records.count;
#else
    return 0;
#endif
}

/* Bytes of the answer. */
enum {
#if AIDASH_METER && AIDASH_BASELINES
    AD_STATUS_VERDICTS = AD_VERDICT_WATCHED * AD_VERDICT_MAX + 512,
#else
    AD_STATUS_VERDICTS = 0,
#endif
#if AIDASH_METER && AIDASH_ENERGY
    AD_STATUS_ENERGY = AD_ENERGY_MAX,
#else
    AD_STATUS_ENERGY = 0,
#endif
#if AIDASH_METER
    AD_STATUS_UPSTREAMS = AIDASH_UPSTREAMS * AD_UPSTREAM_SHOWN,
#else
    AD_STATUS_UPSTREAMS = 0,
#endif
#if AIDASH_ALERTS
    AD_STATUS_ALERTS = AD_ALERTS_STATUS_MAX,
#else
    AD_STATUS_ALERTS = 0,
#endif
#if AD_FLEET
    AD_STATUS_FLEET = AD_FLEET_STATUS_MAX,
#else
    AD_STATUS_FLEET = 0,
#endif
    AD_STATUS_MAX = AD_EVENT_MAX + 6144 + AD_BOARD_MAX + AD_BRAND_JSON_MAX +
                    AD_STATUS_UPSTREAMS + AD_STATUS_ALERTS + AD_STATUS_VERDICTS +
                    AD_STATUS_ENERGY + AD_STATUS_FLEET
};

struct ad_status_call {
    struct ad_call call;
    unsigned rights; /* of who asks */
    struct ad_text text;
};

/* Who may do what, as a line for people. */
static void ad_posture(char out[AD_POSTURE_MAX])
{
    unsigned rights = AD_MAY_VIEW | AD_MAY_CONTROL | AD_MAY_INGEST;
    bool tls = false;

#if AIDASH_TLS
    tls = ad_pumps.serving;
#endif
#if AIDASH_METER
    if (ad_upstreams.n > 0) {
        rights |= AD_MAY_INFER;
    }
#endif
    ad_put_posture(out, rights, ad_acceptor_reachable(), tls);
}

static void ad_status_run(struct ad_call *call)
{
    struct ad_text *t = &((struct ad_status_call *)(void *)call)->text;
    char posture[AD_POSTURE_MAX];
    size_t used, high, i;
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
        {"ticks", ad_ticks.count},
        {"events", ad_feed.next - 1},
        {"fanouts", ad_fanout.count},
        {"dropped", ad_dropped()},
        {"inbox_dropped", atomic_load(&ad_inbox.dropped)},
        {"paused_dropped", ad_ticks.paused_dropped},
        {"bytes_sent", ad_hub.bytes_sent},
        {"bytes_received", ad_hub.bytes_received},
        {"commands", ad_commands.count},
        {"command_errors", ad_commands.errors},
        {"ingest_lines", ad_sources.lines},
        {"ingest_errors", ad_sources.errors},
        {"accepted", ad_acceptor.accepted},
        {"refused", atomic_load(&ad_pendings.refused)},
        {"stalled", ad_fanout.stalled},
        {"connections_limited", ad_throttles.beyond[AD_BUDGET_CONNECT]},
        {"commands_limited", ad_commands.limited},
        {"credentials_limited", ad_throttles.beyond[AD_BUDGET_FAIL]},
        {"requests", ad_records_count()},
#if AIDASH_NODES
        {"relayed", ad_nodes.events},
        {"relay_doubles", ad_nodes.doubles},
        {"relay_ignored", ad_nodes.foreign + ad_nodes.nowhere},
        {"relay_refused", atomic_load(&ad_relay_ring.refused)},
        {"relay_full", atomic_load(&ad_relay_ring.full)},
#endif
    };

    ad_puts(t, "{\"version\":\"" AIDASH_VERSION "\",\"started\":");
    ad_put_decimal(t, ad_hub.start_us, 6);
    ad_puts(t, ",\"time\":");
    ad_put_decimal(t, ad_hub.now_us, 6);
    ad_puts(t, ",\"uptime_s\":");
    ad_put_decimal(t, (ad_hub.now_ns - ad_hub.start_ns) / AD_NS_PER_MS, 3);
    ad_puts(t, ",");
    ad_put_engine(t);
    ad_putf(t,
            ",\"next_seq\":%llu,\"clients\":{\"websocket\":%u,\"batch\":%u,"
            "\"sse\":%u,\"http\":%u,\"pending\":%u,\"max\":%d},\"counters\":{",
            (unsigned long long)ad_feed.next,
            ad_slots.n_kind[AD_WS] + ad_slots.n_kind[AD_WS_BATCH],
            ad_slots.n_kind[AD_WS_BATCH], ad_slots.n_kind[AD_SSE],
            ad_slots.n_kind[AD_TICKS] + ad_slots.n_kind[AD_INGEST] +
                ad_slots.n_kind[AD_COMMAND],
            ad_pendings.list[AD_PENDING_SILENT].n +
                ad_pendings.list[AD_PENDING_HEAD].n, AIDASH_CLIENTS);
    for (i = 0; i < AD_COUNT(counters); i++) {
        ad_putf(t, "%s\"%s\":%llu", i > 0 ? "," : "", counters[i].name,
                (unsigned long long)counters[i].value);
    }
#if AIDASH_TLS
    if (ad_pumps.serving) {
        ad_putf(t,
                "},\"tls\":{\"sessions\":%u,\"max\":%d,\"handshakes\":%llu,"
                "\"failed\":%llu,\"full\":%llu,\"heap_bytes\":%d,"
                "\"heap_high_water_bytes\":%zu",
                ad_pumps.open, AIDASH_TLS_SESSIONS,
                (unsigned long long)ad_pumps.accepted,
                (unsigned long long)ad_pumps.failed,
                (unsigned long long)ad_pumps.full, AD_TLS_HEAP, ad_tls.heap_high);
    }
#endif
#if AIDASH_METER
    ad_putf(t,
            "},\"requests\":{\"running\":%u,\"queued\":%u,\"refused\":%llu,"
            "\"max_inflight\":%u,\"queue\":%u,\"uploading\":%u",
            ad_proxying.n_running, ad_proxying.n_queued,
            (unsigned long long)ad_proxying.refused, ad_proxying.max_inflight,
            ad_proxying.queue, ad_proxying.n_uploads);
#endif
    ad_arena_usage(&used, &high);
    ad_putf(t,
            "},\"memory\":{\"static_bytes\":%zu,\"arena_bytes\":%d,"
            "\"arena_used_bytes\":%zu,\"arena_high_water_bytes\":%zu,"
            "\"parts\":[",
            ad_memory_sum(), AIDASH_ARENA_BYTES, used, high);
    for (i = 0; i < AD_COUNT(ad_memory); i++) {
        ad_putf(t, "%s{\"name\":\"%s\",\"count\":%zu,\"bytes\":%zu}",
                i > 0 ? "," : "", ad_memory[i]->name, ad_memory[i]->count,
                ad_memory[i]->bytes);
    }
    ad_puts(t, "]}");
#if AIDASH_METER
    if (ad_upstreams.n > 0) {
        ad_puts(t, ",\"upstreams\":");
        ad_put_upstreams(t);
    }
#endif
    ad_puts(t, ",\"rights\":");
    ad_put_rights_json(t, ((struct ad_status_call *)(void *)call)->rights);
    ad_puts(t, ",\"posture\":");
    ad_posture(posture);
    ad_put_string(t, posture);
    ad_put_brand(t);
#if AIDASH_BOARD
    ad_put_board(t);
#endif
#if AIDASH_ALERTS
    ad_put_alerts_status(t);
#endif
#if AIDASH_HISTORY
    ad_put_history(t);
#endif
#if AIDASH_OTLP && AIDASH_METER
    ad_put_otlp(t);
#endif
#if AIDASH_METER && AIDASH_BASELINES
    ad_put_verdicts(t);
#endif
#if AIDASH_METER && AIDASH_ENERGY
    ad_put_energy_status(t);
#endif
#if AD_FLEET
    ad_put_fleet(t);
#endif
    ad_puts(t, "}");
}

#endif
