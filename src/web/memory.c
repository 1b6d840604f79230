/* memory.c - the map of static memory: a row for each part, written by the part
 * itself (base/memory.h). Any thread; nothing here changes.
 */
#ifndef AD_WEB_MEMORY_C
#define AD_WEB_MEMORY_C

#include "../guard/jwt_files.c"
#include "../core/posts.c"
#include "arena.c"
#include "assets.c"
#include "../board/board.c"
#include "routes.c"

static const struct ad_memory *const ad_memory[] = {
    &ad_memory_log,
    &ad_memory_state,
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
    &ad_memory_series,
    &ad_memory_gauges,
    &ad_memory_posts,
    &ad_memory_notes,
    &ad_memory_own_commands,
    &ad_memory_own_requests,
    &ad_memory_sources,
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
#endif
#if AD_DIALS
    &ad_memory_fetch,
#if AIDASH_TLS
    &ad_memory_trust,
#endif
#endif
#if AIDASH_HISTORY
    &ad_memory_history,
#endif
#if AIDASH_BOARD
    &ad_memory_nvidia_smi,
    &ad_memory_probe,
    &ad_memory_board,
#endif
    &ad_memory_routes,
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
