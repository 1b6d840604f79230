/* memory.c - the map of static memory: a row for each part, written by the part
 * itself (base/memory.h). Any thread; nothing here changes.
 */
#ifndef AD_WEB_MEMORY_C
#define AD_WEB_MEMORY_C

#include "../base/failure.c"
#include "../guard/jwt_files.c"
#include "../core/posts.c"
#include "arena.c"
#include "assets.c"
#include "../board/alert_send.c"
#include "../board/board.c"
#include "../board/history_file.c"
#include "../board/otlp.c"
#include "../fleet/fleet.c"
#include "routes.c"

static const struct ad_memory *const ad_memory[] = {
    &ad_memory_log,
    &ad_memory_state,
    &ad_memory_failure,
    &ad_memory_keys,
    &ad_memory_pairing,
#if AIDASH_TLS
    &ad_memory_jwt_heap,
    &ad_memory_jwt,
    &ad_memory_jwt_files,
#endif
    &ad_memory_throttled,
    &ad_memory_poller,
    &ad_memory_hub,
    &ad_memory_key_writer,
    &ad_memory_signing,
    &ad_memory_inbox,
    &ad_memory_feed,
    &ad_memory_formats,
    &ad_memory_events,
    &ad_memory_engine,
#if AIDASH_METRICS
    &ad_memory_measures,
#endif
    &ad_memory_series,
    &ad_memory_gauges,
    &ad_memory_posts,
    &ad_memory_notes,
    &ad_memory_own_commands,
    &ad_memory_own_requests,
    &ad_memory_sources,
#if AIDASH_NODES
    &ad_memory_relay,
    &ad_memory_nodes,
#endif
    &ad_memory_access,
    &ad_memory_clients,
    &ad_memory_client_buffers,
    &ad_memory_commands,
    &ad_memory_streams,
    &ad_memory_client_input,
    &ad_memory_peers,
    &ad_memory_shares,
    &ad_memory_pending,
    &ad_memory_pending_buffers,
    &ad_memory_acceptor,
#if AIDASH_TLS
    &ad_memory_tls,
    &ad_memory_tls_certificate,
    &ad_memory_tls_pump,
    &ad_memory_tls_files,
#endif
#if AIDASH_METER
    &ad_memory_usage,
    &ad_memory_quotas,
    &ad_memory_upstreams,
    &ad_memory_resolver,
    &ad_memory_models,
    &ad_memory_proxy_lines,
    &ad_memory_records,
    &ad_memory_proxies,
    &ad_memory_proxy_buffers,
    &ad_memory_rewrites,
    &ad_memory_proxy_input,
    &ad_memory_bench,
    &ad_memory_discovery,
    &ad_memory_scrape,
#if AD_OUTBOX
    &ad_memory_outbox,
#endif
#endif
#if AD_DIALS
    &ad_memory_fetch,
#if AIDASH_TLS
    &ad_memory_trust,
#endif
#endif
#if AIDASH_METER && AIDASH_BASELINES
    &ad_memory_baselines,
    &ad_memory_marks,
    &ad_memory_verdicts,
#endif
#if AIDASH_METER && AIDASH_ENERGY
    &ad_memory_energy,
#endif
#if AIDASH_HISTORY
    &ad_memory_history,
    &ad_memory_history_file,
#endif
#if AIDASH_ALERTS
    &ad_memory_alerts,
#if AIDASH_METER
    &ad_memory_alert_post,
#endif
#endif
#if AIDASH_BOARD
    &ad_memory_nvidia_smi,
    &ad_memory_probe,
    &ad_memory_board,
#endif
#if AIDASH_METRICS && AIDASH_BOARD
    &ad_memory_board_numbers,
#endif
#if AIDASH_OTLP && AIDASH_METER
    &ad_memory_otlp,
#endif
#if AD_FLEET
    &ad_memory_link_input,
    &ad_memory_uplinks,
#if AIDASH_METER
    &ad_memory_forward,
    &ad_memory_browse,
    &ad_memory_follows,
#endif
#endif
    &ad_memory_routes,
#if AIDASH_ROUTES
    &ad_memory_own_routes,
#endif
#if AIDASH_DASHBOARD
    &ad_memory_inflate,
#endif
    &ad_memory_arena,
};

static size_t ad_memory_sum(void)
{
    size_t i, sum = 0;

    for (i = 0; i < AD_COUNT(ad_memory); i++) {
        sum += ad_memory[i]->bytes;
    }
    return sum;
}

#endif
