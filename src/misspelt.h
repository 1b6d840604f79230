/* misspelt.h - names that look like a limit of limits.h and are none: the preprocessor
 * would ignore them in silence. For each limit, its name with an S at the end or
 * without, and with _MAX or without. Made by toolchains/misspelt.sh.
 */
#ifndef AD_MISSPELT_H
#define AD_MISSPELT_H

#ifdef AIDASH_METERS
#error "AIDASH_METERS is none of the limits: do you mean AIDASH_METER?"
#endif
#ifdef AIDASH_METER_MAX
#error "AIDASH_METER_MAX is none of the limits: do you mean AIDASH_METER?"
#endif
#ifdef AIDASH_BOARDS
#error "AIDASH_BOARDS is none of the limits: do you mean AIDASH_BOARD?"
#endif
#ifdef AIDASH_BOARD_MAX
#error "AIDASH_BOARD_MAX is none of the limits: do you mean AIDASH_BOARD?"
#endif
#ifdef AIDASH_HISTORYS
#error "AIDASH_HISTORYS is none of the limits: do you mean AIDASH_HISTORY?"
#endif
#ifdef AIDASH_HISTORY_MAX
#error "AIDASH_HISTORY_MAX is none of the limits: do you mean AIDASH_HISTORY?"
#endif
#ifdef AIDASH_THROTTLEDS
#error "AIDASH_THROTTLEDS is none of the limits: do you mean AIDASH_THROTTLED?"
#endif
#ifdef AIDASH_THROTTLED_MAX
#error "AIDASH_THROTTLED_MAX is none of the limits: do you mean AIDASH_THROTTLED?"
#endif
#ifdef AIDASH_CLIENT
#error "AIDASH_CLIENT is none of the limits: do you mean AIDASH_CLIENTS?"
#endif
#ifdef AIDASH_CLIENTS_MAX
#error "AIDASH_CLIENTS_MAX is none of the limits: do you mean AIDASH_CLIENTS?"
#endif
#ifdef AIDASH_EXCHANGE
#error "AIDASH_EXCHANGE is none of the limits: do you mean AIDASH_EXCHANGES?"
#endif
#ifdef AIDASH_EXCHANGES_MAX
#error "AIDASH_EXCHANGES_MAX is none of the limits: do you mean AIDASH_EXCHANGES?"
#endif
#ifdef AIDASH_PENDINGS
#error "AIDASH_PENDINGS is none of the limits: do you mean AIDASH_PENDING?"
#endif
#ifdef AIDASH_PENDING_MAX
#error "AIDASH_PENDING_MAX is none of the limits: do you mean AIDASH_PENDING?"
#endif
#ifdef AIDASH_WORKER
#error "AIDASH_WORKER is none of the limits: do you mean AIDASH_WORKERS?"
#endif
#ifdef AIDASH_WORKERS_MAX
#error "AIDASH_WORKERS_MAX is none of the limits: do you mean AIDASH_WORKERS?"
#endif
#ifdef AIDASH_HEAD_MAXS
#error "AIDASH_HEAD_MAXS is none of the limits: do you mean AIDASH_HEAD_MAX?"
#endif
#ifdef AIDASH_HEAD
#error "AIDASH_HEAD is none of the limits: do you mean AIDASH_HEAD_MAX?"
#endif
#ifdef AIDASH_MESSAGE_MAXS
#error "AIDASH_MESSAGE_MAXS is none of the limits: do you mean AIDASH_MESSAGE_MAX?"
#endif
#ifdef AIDASH_MESSAGE
#error "AIDASH_MESSAGE is none of the limits: do you mean AIDASH_MESSAGE_MAX?"
#endif
#ifdef AIDASH_SCRATCHS
#error "AIDASH_SCRATCHS is none of the limits: do you mean AIDASH_SCRATCH?"
#endif
#ifdef AIDASH_SCRATCH_MAX
#error "AIDASH_SCRATCH_MAX is none of the limits: do you mean AIDASH_SCRATCH?"
#endif
#ifdef AIDASH_FEED_BYTE
#error "AIDASH_FEED_BYTE is none of the limits: do you mean AIDASH_FEED_BYTES?"
#endif
#ifdef AIDASH_FEED_BYTES_MAX
#error "AIDASH_FEED_BYTES_MAX is none of the limits: do you mean AIDASH_FEED_BYTES?"
#endif
#ifdef AIDASH_EVENT
#error "AIDASH_EVENT is none of the limits: do you mean AIDASH_EVENTS?"
#endif
#ifdef AIDASH_EVENTS_MAX
#error "AIDASH_EVENTS_MAX is none of the limits: do you mean AIDASH_EVENTS?"
#endif
#ifdef AIDASH_INBOXS
#error "AIDASH_INBOXS is none of the limits: do you mean AIDASH_INBOX?"
#endif
#ifdef AIDASH_INBOX_MAX
#error "AIDASH_INBOX_MAX is none of the limits: do you mean AIDASH_INBOX?"
#endif
#ifdef AIDASH_MODEL
#error "AIDASH_MODEL is none of the limits: do you mean AIDASH_MODELS?"
#endif
#ifdef AIDASH_MODELS_MAX
#error "AIDASH_MODELS_MAX is none of the limits: do you mean AIDASH_MODELS?"
#endif
#ifdef AIDASH_SERIE
#error "AIDASH_SERIE is none of the limits: do you mean AIDASH_SERIES?"
#endif
#ifdef AIDASH_SERIES_MAX
#error "AIDASH_SERIES_MAX is none of the limits: do you mean AIDASH_SERIES?"
#endif
#ifdef AIDASH_SEND_BUFFERS
#error "AIDASH_SEND_BUFFERS is none of the limits: do you mean AIDASH_SEND_BUFFER?"
#endif
#ifdef AIDASH_SEND_BUFFER_MAX
#error "AIDASH_SEND_BUFFER_MAX is none of the limits: do you mean AIDASH_SEND_BUFFER?"
#endif
#ifdef AIDASH_FLOW
#error "AIDASH_FLOW is none of the limits: do you mean AIDASH_FLOWS?"
#endif
#ifdef AIDASH_FLOWS_MAX
#error "AIDASH_FLOWS_MAX is none of the limits: do you mean AIDASH_FLOWS?"
#endif
#ifdef AIDASH_EDIT
#error "AIDASH_EDIT is none of the limits: do you mean AIDASH_EDITS?"
#endif
#ifdef AIDASH_EDITS_MAX
#error "AIDASH_EDITS_MAX is none of the limits: do you mean AIDASH_EDITS?"
#endif
#ifdef AIDASH_UPSTREAM
#error "AIDASH_UPSTREAM is none of the limits: do you mean AIDASH_UPSTREAMS?"
#endif
#ifdef AIDASH_UPSTREAMS_MAX
#error "AIDASH_UPSTREAMS_MAX is none of the limits: do you mean AIDASH_UPSTREAMS?"
#endif
#ifdef AIDASH_RECORD
#error "AIDASH_RECORD is none of the limits: do you mean AIDASH_RECORDS?"
#endif
#ifdef AIDASH_RECORDS_MAX
#error "AIDASH_RECORDS_MAX is none of the limits: do you mean AIDASH_RECORDS?"
#endif
#ifdef AIDASH_TOTAL
#error "AIDASH_TOTAL is none of the limits: do you mean AIDASH_TOTALS?"
#endif
#ifdef AIDASH_TOTALS_MAX
#error "AIDASH_TOTALS_MAX is none of the limits: do you mean AIDASH_TOTALS?"
#endif
#ifdef AIDASH_BENCH_STREAM
#error "AIDASH_BENCH_STREAM is none of the limits: do you mean AIDASH_BENCH_STREAMS?"
#endif
#ifdef AIDASH_BENCH_STREAMS_MAX
#error "AIDASH_BENCH_STREAMS_MAX is none of the limits: do you mean AIDASH_BENCH_STREAMS?"
#endif
#ifdef AIDASH_BENCHE
#error "AIDASH_BENCHE is none of the limits: do you mean AIDASH_BENCHES?"
#endif
#ifdef AIDASH_BENCHES_MAX
#error "AIDASH_BENCHES_MAX is none of the limits: do you mean AIDASH_BENCHES?"
#endif
#ifdef AIDASH_GAUGE
#error "AIDASH_GAUGE is none of the limits: do you mean AIDASH_GAUGES?"
#endif
#ifdef AIDASH_GAUGES_MAX
#error "AIDASH_GAUGES_MAX is none of the limits: do you mean AIDASH_GAUGES?"
#endif
#ifdef AIDASH_POST
#error "AIDASH_POST is none of the limits: do you mean AIDASH_POSTS?"
#endif
#ifdef AIDASH_POSTS_MAX
#error "AIDASH_POSTS_MAX is none of the limits: do you mean AIDASH_POSTS?"
#endif
#ifdef AIDASH_NOTE
#error "AIDASH_NOTE is none of the limits: do you mean AIDASH_NOTES?"
#endif
#ifdef AIDASH_NOTES_MAX
#error "AIDASH_NOTES_MAX is none of the limits: do you mean AIDASH_NOTES?"
#endif
#ifdef AIDASH_COMMAND
#error "AIDASH_COMMAND is none of the limits: do you mean AIDASH_COMMANDS?"
#endif
#ifdef AIDASH_COMMANDS_MAX
#error "AIDASH_COMMANDS_MAX is none of the limits: do you mean AIDASH_COMMANDS?"
#endif
#ifdef AIDASH_UNFINISHEDS
#error "AIDASH_UNFINISHEDS is none of the limits: do you mean AIDASH_UNFINISHED?"
#endif
#ifdef AIDASH_UNFINISHED_MAX
#error "AIDASH_UNFINISHED_MAX is none of the limits: do you mean AIDASH_UNFINISHED?"
#endif
#ifdef AIDASH_REQUEST
#error "AIDASH_REQUEST is none of the limits: do you mean AIDASH_REQUESTS?"
#endif
#ifdef AIDASH_REQUESTS_MAX
#error "AIDASH_REQUESTS_MAX is none of the limits: do you mean AIDASH_REQUESTS?"
#endif
#ifdef AIDASH_CONNECT_BURSTS
#error "AIDASH_CONNECT_BURSTS is none of the limits: do you mean AIDASH_CONNECT_BURST?"
#endif
#ifdef AIDASH_CONNECT_BURST_MAX
#error "AIDASH_CONNECT_BURST_MAX is none of the limits: do you mean AIDASH_CONNECT_BURST?"
#endif
#ifdef AIDASH_USE_POLLS
#error "AIDASH_USE_POLLS is none of the limits: do you mean AIDASH_USE_POLL?"
#endif
#ifdef AIDASH_USE_POLL_MAX
#error "AIDASH_USE_POLL_MAX is none of the limits: do you mean AIDASH_USE_POLL?"
#endif
#ifdef AIDASH_DASHBOARDS
#error "AIDASH_DASHBOARDS is none of the limits: do you mean AIDASH_DASHBOARD?"
#endif
#ifdef AIDASH_DASHBOARD_MAX
#error "AIDASH_DASHBOARD_MAX is none of the limits: do you mean AIDASH_DASHBOARD?"
#endif
#ifdef AIDASH_TL
#error "AIDASH_TL is none of the limits: do you mean AIDASH_TLS?"
#endif
#ifdef AIDASH_TLS_MAX
#error "AIDASH_TLS_MAX is none of the limits: do you mean AIDASH_TLS?"
#endif
#ifdef AIDASH_TLS_SESSION
#error "AIDASH_TLS_SESSION is none of the limits: do you mean AIDASH_TLS_SESSIONS?"
#endif
#ifdef AIDASH_TLS_SESSIONS_MAX
#error "AIDASH_TLS_SESSIONS_MAX is none of the limits: do you mean AIDASH_TLS_SESSIONS?"
#endif
#ifdef AIDASH_HISTORY_SECOND
#error "AIDASH_HISTORY_SECOND is none of the limits: do you mean AIDASH_HISTORY_SECONDS?"
#endif
#ifdef AIDASH_HISTORY_SECONDS_MAX
#error "AIDASH_HISTORY_SECONDS_MAX is none of the limits: do you mean AIDASH_HISTORY_SECONDS?"
#endif
#ifdef AIDASH_HISTORY_TEN
#error "AIDASH_HISTORY_TEN is none of the limits: do you mean AIDASH_HISTORY_TENS?"
#endif
#ifdef AIDASH_HISTORY_TENS_MAX
#error "AIDASH_HISTORY_TENS_MAX is none of the limits: do you mean AIDASH_HISTORY_TENS?"
#endif
#ifdef AIDASH_HISTORY_FIVE
#error "AIDASH_HISTORY_FIVE is none of the limits: do you mean AIDASH_HISTORY_FIVES?"
#endif
#ifdef AIDASH_HISTORY_FIVES_MAX
#error "AIDASH_HISTORY_FIVES_MAX is none of the limits: do you mean AIDASH_HISTORY_FIVES?"
#endif
#ifdef AIDASH_STREAM
#error "AIDASH_STREAM is none of the limits: do you mean AIDASH_STREAMS?"
#endif
#ifdef AIDASH_STREAMS_MAX
#error "AIDASH_STREAMS_MAX is none of the limits: do you mean AIDASH_STREAMS?"
#endif
#ifdef AIDASH_STREAMS_PER_ADDRES
#error "AIDASH_STREAMS_PER_ADDRES is none of the limits: do you mean AIDASH_STREAMS_PER_ADDRESS?"
#endif
#ifdef AIDASH_STREAMS_PER_ADDRESS_MAX
#error "AIDASH_STREAMS_PER_ADDRESS_MAX is none of the limits: do you mean AIDASH_STREAMS_PER_ADDRESS?"
#endif
#ifdef AIDASH_CONNECT_RATES
#error "AIDASH_CONNECT_RATES is none of the limits: do you mean AIDASH_CONNECT_RATE?"
#endif
#ifdef AIDASH_CONNECT_RATE_MAX
#error "AIDASH_CONNECT_RATE_MAX is none of the limits: do you mean AIDASH_CONNECT_RATE?"
#endif
#ifdef AIDASH_COMMAND_BURSTS
#error "AIDASH_COMMAND_BURSTS is none of the limits: do you mean AIDASH_COMMAND_BURST?"
#endif
#ifdef AIDASH_COMMAND_BURST_MAX
#error "AIDASH_COMMAND_BURST_MAX is none of the limits: do you mean AIDASH_COMMAND_BURST?"
#endif
#ifdef AIDASH_COMMAND_RATES
#error "AIDASH_COMMAND_RATES is none of the limits: do you mean AIDASH_COMMAND_RATE?"
#endif
#ifdef AIDASH_COMMAND_RATE_MAX
#error "AIDASH_COMMAND_RATE_MAX is none of the limits: do you mean AIDASH_COMMAND_RATE?"
#endif
#ifdef AIDASH_FAIL_BURSTS
#error "AIDASH_FAIL_BURSTS is none of the limits: do you mean AIDASH_FAIL_BURST?"
#endif
#ifdef AIDASH_FAIL_BURST_MAX
#error "AIDASH_FAIL_BURST_MAX is none of the limits: do you mean AIDASH_FAIL_BURST?"
#endif
#ifdef AIDASH_FAIL_
#error "AIDASH_FAIL_ is none of the limits: do you mean AIDASH_FAIL_S?"
#endif
#ifdef AIDASH_FAIL_S_MAX
#error "AIDASH_FAIL_S_MAX is none of the limits: do you mean AIDASH_FAIL_S?"
#endif
#ifdef AIDASH_BACKLOGS
#error "AIDASH_BACKLOGS is none of the limits: do you mean AIDASH_BACKLOG?"
#endif
#ifdef AIDASH_BACKLOG_MAX
#error "AIDASH_BACKLOG_MAX is none of the limits: do you mean AIDASH_BACKLOG?"
#endif
#ifdef AIDASH_TUNNEL
#error "AIDASH_TUNNEL is none of the limits: do you mean AIDASH_TUNNELS?"
#endif
#ifdef AIDASH_TUNNELS_MAX
#error "AIDASH_TUNNELS_MAX is none of the limits: do you mean AIDASH_TUNNELS?"
#endif
#ifdef AIDASH_UPLOAD
#error "AIDASH_UPLOAD is none of the limits: do you mean AIDASH_UPLOADS?"
#endif
#ifdef AIDASH_UPLOADS_MAX
#error "AIDASH_UPLOADS_MAX is none of the limits: do you mean AIDASH_UPLOADS?"
#endif
#ifdef AIDASH_TRUST_BYTE
#error "AIDASH_TRUST_BYTE is none of the limits: do you mean AIDASH_TRUST_BYTES?"
#endif
#ifdef AIDASH_TRUST_BYTES_MAX
#error "AIDASH_TRUST_BYTES_MAX is none of the limits: do you mean AIDASH_TRUST_BYTES?"
#endif
#ifdef AIDASH_BENCH_
#error "AIDASH_BENCH_ is none of the limits: do you mean AIDASH_BENCH_S?"
#endif
#ifdef AIDASH_BENCH_S_MAX
#error "AIDASH_BENCH_S_MAX is none of the limits: do you mean AIDASH_BENCH_S?"
#endif
#ifdef AIDASH_KEY
#error "AIDASH_KEY is none of the limits: do you mean AIDASH_KEYS?"
#endif
#ifdef AIDASH_KEYS_MAX
#error "AIDASH_KEYS_MAX is none of the limits: do you mean AIDASH_KEYS?"
#endif
#ifdef AIDASH_TOKEN_MAXS
#error "AIDASH_TOKEN_MAXS is none of the limits: do you mean AIDASH_TOKEN_MAX?"
#endif
#ifdef AIDASH_TOKEN
#error "AIDASH_TOKEN is none of the limits: do you mean AIDASH_TOKEN_MAX?"
#endif
#ifdef AIDASH_JWT_KEY
#error "AIDASH_JWT_KEY is none of the limits: do you mean AIDASH_JWT_KEYS?"
#endif
#ifdef AIDASH_JWT_KEYS_MAX
#error "AIDASH_JWT_KEYS_MAX is none of the limits: do you mean AIDASH_JWT_KEYS?"
#endif
#ifdef AIDASH_JWKS_MAXS
#error "AIDASH_JWKS_MAXS is none of the limits: do you mean AIDASH_JWKS_MAX?"
#endif
#ifdef AIDASH_JWKS
#error "AIDASH_JWKS is none of the limits: do you mean AIDASH_JWKS_MAX?"
#endif
#ifdef AIDASH_JWT_CACHES
#error "AIDASH_JWT_CACHES is none of the limits: do you mean AIDASH_JWT_CACHE?"
#endif
#ifdef AIDASH_JWT_CACHE_MAX
#error "AIDASH_JWT_CACHE_MAX is none of the limits: do you mean AIDASH_JWT_CACHE?"
#endif
#ifdef AIDASH_ARENA_BYTE
#error "AIDASH_ARENA_BYTE is none of the limits: do you mean AIDASH_ARENA_BYTES?"
#endif
#ifdef AIDASH_ARENA_BYTES_MAX
#error "AIDASH_ARENA_BYTES_MAX is none of the limits: do you mean AIDASH_ARENA_BYTES?"
#endif

#endif
