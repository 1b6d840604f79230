/* limits.h - the public AIDASH_* size macros: meaning, unit, range, cost.
 *
 * Set them on the compiler's command line, or in a header that
 * -DAIDASH_CONFIG='"my_aidash.h"' names. `aidash --sizes` prints what they
 * cost in total. Sizes that follow from them are in the parts that use them.
 *
 * "N bytes each" is what one more of them adds to the static memory, with all
 * others at their defaults, on a 64-bit system; tests/lint.sh checks it.
 */
#ifndef AD_LIMITS_H
#define AD_LIMITS_H

/* The preprocessor would ignore a misspelt limit in silence: here such names are
 * refused. toolchains/misspelt.sh writes the file; a compile without build/ goes
 * without it. */
#if defined(AD_AMALGAMATION)
#include "aidash_misspelt.h"
#elif defined(__has_include)
#if __has_include("aidash_misspelt.h")
#include "aidash_misspelt.h"
#endif
#endif

/* A profile sets many limits at once; what is set beside it wins.
 * AIDASH_PROFILE_TINY: a firmware with 8 viewers, without the meter unless
 * AIDASH_METER is 1. AIDASH_PROFILE_GATEWAY: 10,000 viewers, not on the engine's
 * machine; it needs an open file for each. AIDASH_PROFILE_DEFAULT: the values below,
 * as without a profile. */
#if defined(AIDASH_PROFILE_TINY) + defined(AIDASH_PROFILE_DEFAULT) + \
        defined(AIDASH_PROFILE_GATEWAY) > 1
#error "choose one profile: AIDASH_PROFILE_TINY, _DEFAULT or _GATEWAY"
#endif
#ifdef AIDASH_PROFILE_TINY
#ifndef AIDASH_METER
#define AIDASH_METER 0
#endif
#ifndef AIDASH_BOARD
#define AIDASH_BOARD 0
#endif
#ifndef AIDASH_HISTORY
#define AIDASH_HISTORY 0
#endif
#ifndef AIDASH_TOP
#define AIDASH_TOP 0
#endif
#ifndef AIDASH_METRICS
#define AIDASH_METRICS 0
#endif
#ifndef AIDASH_ALERTS
#define AIDASH_ALERTS 0
#endif
#ifndef AIDASH_OTLP
#define AIDASH_OTLP 0
#endif
#ifndef AIDASH_BASELINES
#define AIDASH_BASELINES 0
#endif
#ifndef AIDASH_ENERGY
#define AIDASH_ENERGY 0
#endif
#ifndef AIDASH_THROTTLED
#define AIDASH_THROTTLED 16
#endif
#ifndef AIDASH_CLIENTS
#define AIDASH_CLIENTS 8
#endif
#ifndef AIDASH_EXCHANGES
#define AIDASH_EXCHANGES 2
#endif
#ifndef AIDASH_PENDING
#define AIDASH_PENDING 8
#endif
#ifndef AIDASH_WORKERS
#define AIDASH_WORKERS 1
#endif
#ifndef AIDASH_HEAD_MAX
#define AIDASH_HEAD_MAX 2048
#endif
#ifndef AIDASH_MESSAGE_MAX
#define AIDASH_MESSAGE_MAX 512
#endif
#ifndef AIDASH_SCRATCH
#define AIDASH_SCRATCH 18944
#endif
#ifndef AIDASH_FEED_BYTES
#define AIDASH_FEED_BYTES 32768
#endif
#ifndef AIDASH_EVENTS
#define AIDASH_EVENTS 256
#endif
#ifndef AIDASH_INBOX
#define AIDASH_INBOX 64
#endif
#ifndef AIDASH_MODELS
#define AIDASH_MODELS 8
#endif
#ifndef AIDASH_SERIES
#define AIDASH_SERIES 8
#endif
#ifndef AIDASH_SEND_BUFFER
#define AIDASH_SEND_BUFFER 8192
#endif
#ifndef AIDASH_FLOWS
#define AIDASH_FLOWS 2
#endif
#ifndef AIDASH_EDITS
#define AIDASH_EDITS 1
#endif
#ifndef AIDASH_UPSTREAMS
#define AIDASH_UPSTREAMS 1
#endif
#ifndef AIDASH_RECORDS
#define AIDASH_RECORDS 10
#endif
#ifndef AIDASH_TOTALS
#define AIDASH_TOTALS 16
#endif
#ifndef AIDASH_BENCH_STREAMS
#define AIDASH_BENCH_STREAMS 2
#endif
#ifndef AIDASH_BENCHES
#define AIDASH_BENCHES 2
#endif
#ifndef AIDASH_GAUGES
#define AIDASH_GAUGES 8
#endif
#ifndef AIDASH_POSTS
#define AIDASH_POSTS 8
#endif
#ifndef AIDASH_NOTES
#define AIDASH_NOTES 8
#endif
#ifndef AIDASH_COMMANDS
#define AIDASH_COMMANDS 4
#endif
#ifndef AIDASH_UNFINISHED
#define AIDASH_UNFINISHED 2
#endif
#ifndef AIDASH_REQUESTS
#define AIDASH_REQUESTS 4
#endif
#ifndef AIDASH_ROUTES
#define AIDASH_ROUTES 4
#endif
#ifndef AIDASH_ROUTE_BYTES
#define AIDASH_ROUTE_BYTES 4096
#endif
#ifndef AIDASH_NODES
#define AIDASH_NODES 0
#endif
#endif
#ifdef AIDASH_PROFILE_GATEWAY
#ifndef AIDASH_CLIENTS
#define AIDASH_CLIENTS 10240
#endif
#ifndef AIDASH_EXCHANGES
#define AIDASH_EXCHANGES 256
#endif
#ifndef AIDASH_PENDING
#define AIDASH_PENDING 4096
#endif
#ifndef AIDASH_CONNECT_BURST
#define AIDASH_CONNECT_BURST 10240
#endif
#ifndef AIDASH_WORKERS
#define AIDASH_WORKERS 8
#endif
#ifndef AIDASH_MESSAGE_MAX
#define AIDASH_MESSAGE_MAX 1024
#endif
#ifndef AIDASH_METER
#define AIDASH_METER 0
#endif
#ifndef AIDASH_LINKS
#define AIDASH_LINKS 256
#endif
#endif

/* 1: poll() instead of epoll, for systems other than Linux. */
#ifndef AIDASH_USE_POLL
#ifdef __linux__
#define AIDASH_USE_POLL 0
#else
#define AIDASH_USE_POLL 1
#endif
#endif

/* 0: without the dashboard; then build/aidash_www.h is not needed. */
#ifndef AIDASH_DASHBOARD
#define AIDASH_DASHBOARD 1
#endif

/* 1: GET /qr draws QR codes, for the page's settings: needs qrcodegen.c and its header. 0:
 * without; `aidash pair` has its own. 1 by default, where the page is and qrcodegen.c. */
#ifndef AIDASH_QR
#if !AIDASH_DASHBOARD
#define AIDASH_QR 0
#elif defined(AD_AMALGAMATION) || !defined(__has_include)
#define AIDASH_QR 1
#elif __has_include(<qrcodegen.c>)
#define AIDASH_QR 1
#else
#define AIDASH_QR 0
#endif
#endif

/* 0: without the proxy and the meter. */
#ifndef AIDASH_METER
#define AIDASH_METER 1
#endif

/* 1: with TLS and JSON Web Tokens, by mbedTLS 3.6: its headers have to be there,
 * and its three libraries, or one that has all of them, to be linked. */
#ifndef AIDASH_TLS
#define AIDASH_TLS 0
#endif

#if AIDASH_TLS
/* TLS connections at once, to viewers, other clients and engines. When all are
 * taken, one that has not sent a whole request head gives way; if there is none, a
 * newcomer gets an alert and is closed. An eighth is for engines alone, where there
 * are any with https. 1..60000, 62 kB each; a viewer touches some
 * 30 kB of that, the rest stays unused pages. */
#ifndef AIDASH_TLS_SESSIONS
#define AIDASH_TLS_SESSIONS 1280
#endif
#if AIDASH_TLS_SESSIONS < 1 || AIDASH_TLS_SESSIONS > 60000
#error "AIDASH_TLS_SESSIONS must be 1..60000"
#endif
#endif

/* 0: without the board's sensors (Linux's /proc and /sys) and the event `board`. */
#ifndef AIDASH_BOARD
#ifdef __linux__
#define AIDASH_BOARD 1
#else
#define AIDASH_BOARD 0
#endif
#endif

/* 0: without the command `aidash top`, which is a part of the program alone. */
#ifndef AIDASH_TOP
#define AIDASH_TOP 1
#endif

#if AIDASH_METER
/* Kinds of requests whose usual speed is known: each model has one for each length of
 * context and number of streams that it is used with. Verdicts on slowness need them.
 * The one that was used the longest ago gives way. --history-file keeps them. 1..32,
 * 120 bytes each; 0: without verdicts. */
#ifndef AIDASH_BASELINES
#define AIDASH_BASELINES 32
#endif
#if AIDASH_BASELINES < 0 || AIDASH_BASELINES > 32
#error "AIDASH_BASELINES must be 0..32"
#endif

/* 0: without the energy of requests, the event `energy`. */
#ifndef AIDASH_ENERGY
#define AIDASH_ENERGY 1
#endif
#endif

/* 0: without history, GET /history. */
#ifndef AIDASH_HISTORY
#define AIDASH_HISTORY 1
#endif

/* Models that have rows of history of their own; one more set of rows is that of all
 * the others. 0..8; 0: none has. 227 kB each, and the others' as much. */
#ifndef AIDASH_HISTORY_MODELS
#define AIDASH_HISTORY_MODELS 2
#endif
#if AIDASH_HISTORY_MODELS < 0 || AIDASH_HISTORY_MODELS > 8
#error "AIDASH_HISTORY_MODELS must be 0..8"
#endif

/* Rows of history that are kept: of a second (a quarter of an hour), of ten seconds
 * (six hours) and of five minutes (14 days). 10..86400, 152 bytes each. */
#ifndef AIDASH_HISTORY_SECONDS
#define AIDASH_HISTORY_SECONDS 900
#endif
#if AIDASH_HISTORY_SECONDS < 10 || AIDASH_HISTORY_SECONDS > 86400
#error "AIDASH_HISTORY_SECONDS must be 10..86400"
#endif

/* Likewise of ten seconds. 60..86400, 152 bytes each. */
#ifndef AIDASH_HISTORY_TENS
#define AIDASH_HISTORY_TENS 2160
#endif
#if AIDASH_HISTORY_TENS < 60 || AIDASH_HISTORY_TENS > 86400
#error "AIDASH_HISTORY_TENS must be 60..86400"
#endif

/* Likewise of five minutes. 24..105408 (a year), 152 bytes each. */
#ifndef AIDASH_HISTORY_FIVES
#define AIDASH_HISTORY_FIVES 4032
#endif
#if AIDASH_HISTORY_FIVES < 24 || AIDASH_HISTORY_FIVES > 105408
#error "AIDASH_HISTORY_FIVES must be 24..105408"
#endif

/* Rules of alerts (--alert). 0: without alerts. 0..64, 272 bytes each. */
#ifndef AIDASH_ALERTS
#define AIDASH_ALERTS 16
#endif
#if AIDASH_ALERTS < 0 || AIDASH_ALERTS > 64
#error "AIDASH_ALERTS must be 0..64"
#endif

/* Requests that ended and wait to be sent as spans (--otlp); one more is dropped. 0:
 * without OpenTelemetry. 0..1000, 296 bytes each. */
#ifndef AIDASH_OTLP
#define AIDASH_OTLP 64
#endif
#if AIDASH_OTLP < 0 || AIDASH_OTLP > 1000
#error "AIDASH_OTLP must be 0..1000"
#endif

/* Models that have their own counts in GET /metrics; what is of others is counted
 * together. 0: without GET /metrics. 0..256, 1.7 kB each. */
#ifndef AIDASH_METRICS
#define AIDASH_METRICS 16
#endif
#if AIDASH_METRICS < 0 || AIDASH_METRICS > 256
#error "AIDASH_METRICS must be 0..256"
#endif

/* Viewers (WebSocket and SSE) at once. 1..60000, 17.7 kB each. An ordinary
 * viewer touches less than 300 bytes of that; the rest stays unused pages. */
#ifndef AIDASH_CLIENTS
#define AIDASH_CLIENTS 1024
#endif
#if AIDASH_CLIENTS < 1 || AIDASH_CLIENTS > 60000
#error "AIDASH_CLIENTS must be 1..60000: slots are 16 bits wide"
#endif

/* Other HTTP exchanges that the hub serves at once (ingest, polling,
 * commands). They have slots of their own: ticks still get in when all viewer
 * slots are taken. When all exchanges are taken, one that sends or takes its
 * bytes slowly gives way. 1..1000, 17.7 kB each. */
#ifndef AIDASH_EXCHANGES
#define AIDASH_EXCHANGES 32
#endif
#if AIDASH_EXCHANGES < 1 || AIDASH_EXCHANGES > 1000
#error "AIDASH_EXCHANGES must be 1..1000"
#endif

/* How many of the exchanges may be streams: a POST /ingest without an end
 * (chunked, and not application/json), which may be silent for hours. When all
 * places for streams are taken, the one that has been silent the longest gives
 * way, if that is a minute or more. 1..AIDASH_EXCHANGES. */
#ifndef AIDASH_STREAMS
#if AIDASH_EXCHANGES < 2
#define AIDASH_STREAMS 1
#else
#define AIDASH_STREAMS (AIDASH_EXCHANGES * 3 / 4)
#endif
#endif
#if AIDASH_STREAMS < 1 || AIDASH_STREAMS > AIDASH_EXCHANGES
#error "AIDASH_STREAMS must be 1..AIDASH_EXCHANGES"
#endif

/* How many of the streams may be of one address. 1..AIDASH_EXCHANGES. */
#ifndef AIDASH_STREAMS_PER_ADDRESS
#if AIDASH_EXCHANGES < 2
#define AIDASH_STREAMS_PER_ADDRESS 1
#else
#define AIDASH_STREAMS_PER_ADDRESS (AIDASH_EXCHANGES / 2)
#endif
#endif
#if AIDASH_STREAMS_PER_ADDRESS < 1 || \
    AIDASH_STREAMS_PER_ADDRESS > AIDASH_EXCHANGES
#error "AIDASH_STREAMS_PER_ADDRESS must be 1..AIDASH_EXCHANGES"
#endif

/* Connections that have not yet sent a whole request head, or have not yet taken
 * a short answer. When all places are taken, the address that has the most of them
 * gives way, with the connection that has kept us waiting the longest. 8..60000,
 * 33.2 kB each, most of it AIDASH_HEAD_MAX; its pages are unused until a head
 * needs them. */
#ifndef AIDASH_PENDING
#define AIDASH_PENDING 512
#endif
#if AIDASH_PENDING < 8 || AIDASH_PENDING > 60000
#error "AIDASH_PENDING must be 8..60000"
#endif

/* Connections that an address may open at once, and how many a second after that;
 * 127.0.0.1, ::1 and the addresses of --trust-proxy as many as they like. One more is
 * answered with 429, and many more are reset. An office behind one address may open
 * a viewer for each place, and 200 pages a second. 8..65535, and 1..10000. */
#ifndef AIDASH_CONNECT_BURST
#define AIDASH_CONNECT_BURST 1024
#endif
#if AIDASH_CONNECT_BURST < 8 || AIDASH_CONNECT_BURST > 65535
#error "AIDASH_CONNECT_BURST must be 8..65535"
#endif
#ifndef AIDASH_CONNECT_RATE
#define AIDASH_CONNECT_RATE 200
#endif
#if AIDASH_CONNECT_RATE < 1 || AIDASH_CONNECT_RATE > 10000
#error "AIDASH_CONNECT_RATE must be 1..10000"
#endif

/* Commands that a WebSocket client, or an address by POST /command, may send at
 * once, and how many a second after that; programs of this machine as many as they
 * like. One more is an error: rate_limited. 1..1000 each. */
#ifndef AIDASH_COMMAND_BURST
#define AIDASH_COMMAND_BURST 10
#endif
#if AIDASH_COMMAND_BURST < 1 || AIDASH_COMMAND_BURST > 1000
#error "AIDASH_COMMAND_BURST must be 1..1000"
#endif
#ifndef AIDASH_COMMAND_RATE
#define AIDASH_COMMAND_RATE 5
#endif
#if AIDASH_COMMAND_RATE < 1 || AIDASH_COMMAND_RATE > 1000
#error "AIDASH_COMMAND_RATE must be 1..1000"
#endif

/* Wrong credentials that an address may send at once, and the seconds until it may
 * send another one: 1..1000, and 1..3600. One more is answered with 429. */
#ifndef AIDASH_FAIL_BURST
#define AIDASH_FAIL_BURST 10
#endif
#if AIDASH_FAIL_BURST < 1 || AIDASH_FAIL_BURST > 1000
#error "AIDASH_FAIL_BURST must be 1..1000"
#endif
#ifndef AIDASH_FAIL_S
#define AIDASH_FAIL_S 30
#endif
#if AIDASH_FAIL_S < 1 || AIDASH_FAIL_S > 3600
#error "AIDASH_FAIL_S must be 1..3600"
#endif

/* Addresses whose use of these limits is remembered. When a new one comes and there
 * is no place, the one that has used the least is forgotten. A multiple of 4.
 * 4..65536, 40 bytes each. */
#ifndef AIDASH_THROTTLED
#define AIDASH_THROTTLED 1024
#endif
#if AIDASH_THROTTLED < 4 || AIDASH_THROTTLED > 65536
#error "AIDASH_THROTTLED must be 4..65536"
#endif

/* Requests at once that wait for a change of the key file: sign-ins, and keys that are
 * revoked. Who gets there has a code, or a key; one more is told to try again.
 * 1..64, 136 bytes each. */
#ifndef AIDASH_SIGN_INS
#define AIDASH_SIGN_INS 8
#endif
#if AIDASH_SIGN_INS < 1 || AIDASH_SIGN_INS > 64
#error "AIDASH_SIGN_INS must be 1..64"
#endif

/* HTTP worker threads. 1..64, 7.17 kB each, and a stack. They never wait for a
 * peer, so a few are enough. */
#ifndef AIDASH_WORKERS
#define AIDASH_WORKERS 4
#endif
#if AIDASH_WORKERS < 1 || AIDASH_WORKERS > 64
#error "AIDASH_WORKERS must be 1..64"
#endif

/* Bytes of encoded events that are kept. Viewers are served from them, and
 * GET /ticks and Last-Event-ID can go back to the oldest. A tick is some 150
 * bytes, and the event of the board, once a second, 600: with five ticks a second
 * the default goes back 12 minutes. A power of two. */
#ifndef AIDASH_FEED_BYTES
#define AIDASH_FEED_BYTES (1024 * 1024)
#endif
#if AIDASH_FEED_BYTES < 32768 || \
    (AIDASH_FEED_BYTES & (AIDASH_FEED_BYTES - 1)) != 0
#error "AIDASH_FEED_BYTES must be a power of two, at least 32768"
#endif

/* Events kept at most, whatever their size. A power of two, 9 bytes each. */
#ifndef AIDASH_EVENTS
#define AIDASH_EVENTS 8192
#endif
#if AIDASH_EVENTS < 64 || (AIDASH_EVENTS & (AIDASH_EVENTS - 1)) != 0
#error "AIDASH_EVENTS must be a power of two, at least 64"
#endif

/* Events that a blocked viewer may be behind before it loses the oldest. */
#ifndef AIDASH_BACKLOG
#if AIDASH_EVENTS < 200
#define AIDASH_BACKLOG (AIDASH_EVENTS / 2)
#else
#define AIDASH_BACKLOG 100
#endif
#endif
#if AIDASH_BACKLOG < 1 || AIDASH_BACKLOG > AIDASH_EVENTS / 2
#error "AIDASH_BACKLOG must be 1..AIDASH_EVENTS / 2"
#endif

/* Ticks that wait between aidash_publish() and the hub. A power of two,
 * 160 bytes each. */
#ifndef AIDASH_INBOX
#define AIDASH_INBOX 1024
#endif
#if AIDASH_INBOX < 2 || (AIDASH_INBOX & (AIDASH_INBOX - 1)) != 0
#error "AIDASH_INBOX must be a power of two"
#endif

/* Models that a viewer can switch between. 1..50, 271 kB each: hello lists them
 * all, and each client's send buffer holds a hello. */
#ifndef AIDASH_MODELS
#define AIDASH_MODELS 32
#endif
#if AIDASH_MODELS < 1 || AIDASH_MODELS > 50
#error "AIDASH_MODELS must be 1..50"
#endif

/* Pairs of model and node whose tokens are counted. A new pair replaces the one whose
 * last tick is the oldest, of the nodes that have the most. 2..4096, 1.41 kB each. */
#ifndef AIDASH_SERIES
#define AIDASH_SERIES 256
#endif
#if AIDASH_SERIES < 2 || AIDASH_SERIES > 4096
#error "AIDASH_SERIES must be 2..4096"
#endif

/* Other boards that are known, with the newest of what they said. When all places are
 * taken, a new one replaces the one that has been gone the longest; if none is gone,
 * its events are not taken. 0..1024, 9.03 kB each; 0: without other boards. */
#ifndef AIDASH_NODES
#define AIDASH_NODES 128
#endif
#if AIDASH_NODES < 0 || AIDASH_NODES > 1024
#error "AIDASH_NODES must be 0..1024"
#endif

/* Bytes of other boards' events that wait between aidash_relay() and the hub. When
 * there is no room, the call says so, and nothing is lost. A tick takes 320 bytes.
 * 65536..67108864, a bit more than a byte each. */
#ifndef AIDASH_RELAY_BYTES
#define AIDASH_RELAY_BYTES (512 * 1024)
#endif
#if AIDASH_RELAY_BYTES < 65536 || AIDASH_RELAY_BYTES > 67108864
#error "AIDASH_RELAY_BYTES must be 65536..67108864"
#endif

/* Seconds without an event after which a board is stale, and gone. 1..86400. */
#ifndef AIDASH_NODE_STALE_S
#define AIDASH_NODE_STALE_S 10
#endif
#if AIDASH_NODE_STALE_S < 1 || AIDASH_NODE_STALE_S > 86400
#error "AIDASH_NODE_STALE_S must be 1..86400"
#endif
#ifndef AIDASH_NODE_GONE_S
#define AIDASH_NODE_GONE_S 60
#endif
#if AIDASH_NODE_GONE_S < 1 || AIDASH_NODE_GONE_S > 86400
#error "AIDASH_NODE_GONE_S must be 1..86400"
#endif

/* Links that boards open to this one at once (GET /forward). One more is refused with
 * 503. 1..1024, 21.4 kB each, most of which is a message that comes in pieces. */
#ifndef AIDASH_LINKS
#define AIDASH_LINKS 32
#endif
#if AIDASH_LINKS < 1 || AIDASH_LINKS > 1024
#error "AIDASH_LINKS must be 1..1024"
#endif

/* Boards that this one reads (--peer). Only with AIDASH_METER, which connects. 1..256,
 * 18.7 kB each, most of which is an event that comes in pieces. */
#ifndef AIDASH_PEERS
#define AIDASH_PEERS 16
#endif
#if AIDASH_PEERS < 1 || AIDASH_PEERS > 256
#error "AIDASH_PEERS must be 1..256"
#endif

/* Events a second that are read of each link to a board (--forward, --peer), after as
 * many at once; each begun kilobyte counts as one, too. Beyond that the link waits: the
 * board keeps what was not read. 100..1000000. */
#ifndef AIDASH_LINK_RATE
#define AIDASH_LINK_RATE 10000
#endif
#if AIDASH_LINK_RATE < 100 || AIDASH_LINK_RATE > 1000000
#error "AIDASH_LINK_RATE must be 100..1000000"
#endif

/* Gauges whose values are kept. A new one replaces the one that was set the longest
 * ago. 2..256, 96 bytes each. */
#ifndef AIDASH_GAUGES
#define AIDASH_GAUGES 32
#endif
#if AIDASH_GAUGES < 2 || AIDASH_GAUGES > 256
#error "AIDASH_GAUGES must be 2..256"
#endif

/* Notes, states and ends of commands that wait between their call and the hub. When
 * all places are taken, the call returns AIDASH_EFULL. A power of two, 184 bytes
 * each. */
#ifndef AIDASH_POSTS
#define AIDASH_POSTS 32
#endif
#if AIDASH_POSTS < 2 || (AIDASH_POSTS & (AIDASH_POSTS - 1)) != 0
#error "AIDASH_POSTS must be a power of two, at least 2"
#endif

/* Notes kept for GET /notes. 1..256, 184 bytes each. */
#ifndef AIDASH_NOTES
#define AIDASH_NOTES 32
#endif
#if AIDASH_NOTES < 1 || AIDASH_NOTES > 256
#error "AIDASH_NOTES must be 1..256"
#endif

/* Records of ended requests kept for GET /requests. 1..10000, 3.02 kB each. */
#ifndef AIDASH_RECORDS
#define AIDASH_RECORDS 50
#endif
#if AIDASH_RECORDS < 1 || AIDASH_RECORDS > 10000
#error "AIDASH_RECORDS must be 1..10000"
#endif

/* Requests of an own engine that run or wait, aidash_request_begin(). 1..1000,
 * 880 bytes each. */
#ifndef AIDASH_REQUESTS
#define AIDASH_REQUESTS 32
#endif
#if AIDASH_REQUESTS < 1 || AIDASH_REQUESTS > 1000
#error "AIDASH_REQUESTS must be 1..1000"
#endif

/* Commands that the program adds by aidash_command_add(). One more is refused.
 * 1..64, 224 bytes each. */
#ifndef AIDASH_COMMANDS
#define AIDASH_COMMANDS 8
#endif
#if AIDASH_COMMANDS < 1 || AIDASH_COMMANDS > 64
#error "AIDASH_COMMANDS must be 1..64"
#endif

/* Commands that were accepted by aidash_later(), or are at another board, and are not
 * finished. One more is refused. 1..1024, 592 bytes each. */
#ifndef AIDASH_UNFINISHED
#define AIDASH_UNFINISHED 64
#endif
#if AIDASH_UNFINISHED < 1 || AIDASH_UNFINISHED > 1024
#error "AIDASH_UNFINISHED must be 1..1024"
#endif

/* Paths that the program answers itself: aidash_route(), aidash_route_static(). One
 * more is refused. 0..64, 192 bytes each; 0: without them. */
#ifndef AIDASH_ROUTES
#define AIDASH_ROUTES 16
#endif
#if AIDASH_ROUTES < 0 || AIDASH_ROUTES > 64
#error "AIDASH_ROUTES must be 0..64"
#endif

/* Longest answer of such a callback, in bytes: there is one buffer, as one callback
 * runs at a time. Of an answer above some 256 kB, who takes it slowly keeps the others
 * waiting. */
#ifndef AIDASH_ROUTE_BYTES
#define AIDASH_ROUTE_BYTES 262144
#endif
#if AIDASH_ROUTE_BYTES < 1024 || AIDASH_ROUTE_BYTES > 16777216
#error "AIDASH_ROUTE_BYTES must be 1024..16777216"
#endif

/* Longest command and longest ingest line, in bytes. A longer WebSocket
 * message closes the connection with 1009, a longer line is an error. */
#ifndef AIDASH_MESSAGE_MAX
#define AIDASH_MESSAGE_MAX 4096
#endif
#if AIDASH_MESSAGE_MAX < 256 || AIDASH_MESSAGE_MAX > 32768
#error "AIDASH_MESSAGE_MAX must be 256..32768"
#endif

/* Longest request head, in bytes; a longer one is answered with 431. A browser
 * sends some 700, and its cookies for this host name, whatever their port: up to
 * some 16,000. */
#ifndef AIDASH_HEAD_MAX
#define AIDASH_HEAD_MAX 32768
#endif
#if AIDASH_HEAD_MAX < 2048 || AIDASH_HEAD_MAX > 65536
#error "AIDASH_HEAD_MAX must be 2048..65536"
#endif

/* Bytes of each other board's newest events for GET /nodes: status, board, verdict
 * and energy together. One that does not fit beside the others is left out there.
 * 512..16384, and 1024 less than AIDASH_HEAD_MAX at most: 128 bytes each. */
#ifndef AIDASH_NODE_BYTES
#if AIDASH_HEAD_MAX < 16384
#define AIDASH_NODE_BYTES (AIDASH_HEAD_MAX / 4)
#else
#define AIDASH_NODE_BYTES 8192
#endif
#endif
#if AIDASH_NODE_BYTES < 512 || AIDASH_NODE_BYTES > 16384
#error "AIDASH_NODE_BYTES must be 512..16384"
#endif

/* Bytes of a UDP datagram, of what is read elsewhere at once, and of events
 * formatted at once: three buffers. A datagram that is longer loses its end. */
#ifndef AIDASH_SCRATCH
#define AIDASH_SCRATCH 65536
#endif
#if AIDASH_SCRATCH < 16640 || AIDASH_SCRATCH > 65536
#error "AIDASH_SCRATCH must be 16640..65536"
#endif

/* Bytes of the certificates of authorities that may vouch for https engines
 * (--upstream-ca, or the system's, which take some 160,000), each 512 at least. They
 * are there twice, so that they can be read anew while it runs, and only with
 * AIDASH_TLS. 16384..16777216, 2 bytes and a bit each; untouched without https. */
#ifndef AIDASH_TRUST_BYTES
#define AIDASH_TRUST_BYTES (256 * 1024)
#endif
#if AIDASH_TRUST_BYTES < 16384 || AIDASH_TRUST_BYTES > 16777216
#error "AIDASH_TRUST_BYTES must be 16384..16777216"
#endif

#if AIDASH_METER
/* Proxied requests at once, running and in the queue. 1..1000, 208 kB each;
 * their pages are unused until the first request needs them. */
#ifndef AIDASH_FLOWS
#define AIDASH_FLOWS 96
#endif
#if AIDASH_FLOWS < 1 || AIDASH_FLOWS > 1000
#error "AIDASH_FLOWS must be 1..1000"
#endif

/* How many of the proxied requests may be WebSockets to the engine: they last.
 * 1..AIDASH_FLOWS. */
#ifndef AIDASH_TUNNELS
#define AIDASH_TUNNELS ((AIDASH_FLOWS + 3) / 4)
#endif
#if AIDASH_TUNNELS < 1 || AIDASH_TUNNELS > AIDASH_FLOWS
#error "AIDASH_TUNNELS must be 1..AIDASH_FLOWS"
#endif

/* Request bodies above 16 KiB that come slowly, beside the requests that run: so
 * many connections has an engine at most in addition to --max-inflight. One more
 * ends the slowest. 1..1000; they cost nothing. */
#ifndef AIDASH_UPLOADS
#define AIDASH_UPLOADS 8
#endif
#if AIDASH_UPLOADS < 1 || AIDASH_UPLOADS > 1000
#error "AIDASH_UPLOADS must be 1..1000"
#endif

/* Request bodies above 16 KiB held in memory at once, to find their model in the
 * first 1 MiB. When all are taken and another one waits, the slowest gives way.
 * 1..32, 1.1 MB each. */
#ifndef AIDASH_EDITS
#define AIDASH_EDITS 4
#endif
#if AIDASH_EDITS < 1 || AIDASH_EDITS > 32
#error "AIDASH_EDITS must be 1..32"
#endif

/* Engines behind the proxy (--upstream). 1..16, 15.5 kB each. */
#ifndef AIDASH_UPSTREAMS
#define AIDASH_UPSTREAMS 4
#endif
#if AIDASH_UPSTREAMS < 1 || AIDASH_UPSTREAMS > 16
#error "AIDASH_UPSTREAMS must be 1..16"
#endif

/* Pairs of a client and a model whose use GET /usage tells apart, and addresses
 * whose use is counted against quotas. When all are taken, the one with the fewest
 * tokens gives way: GET /usage has it among "others". 2..1024, 1.97 kB each. */
#ifndef AIDASH_TOTALS
#define AIDASH_TOTALS 256
#endif
#if AIDASH_TOTALS < 2 || AIDASH_TOTALS > 1024
#error "AIDASH_TOTALS must be 2..1024"
#endif

/* Requests that a benchmark has at the engine at once. 1..64, 1.09 kB each. */
#ifndef AIDASH_BENCH_STREAMS
#define AIDASH_BENCH_STREAMS 16
#endif
#if AIDASH_BENCH_STREAMS < 1 || AIDASH_BENCH_STREAMS > 64
#error "AIDASH_BENCH_STREAMS must be 1..64"
#endif

/* Results of benchmarks kept for GET /bench. 1..100, 1.12 kB each. */
#ifndef AIDASH_BENCHES
#define AIDASH_BENCHES 8
#endif
#if AIDASH_BENCHES < 1 || AIDASH_BENCHES > 100
#error "AIDASH_BENCHES must be 1..100"
#endif

/* Seconds that a benchmark may take in all. 10..86400. */
#ifndef AIDASH_BENCH_S
#define AIDASH_BENCH_S 1800
#endif
#if AIDASH_BENCH_S < 10 || AIDASH_BENCH_S > 86400
#error "AIDASH_BENCH_S must be 10..86400"
#endif
#endif

/* Keys that the key file may have: signed-in devices and programs. 1..1024,
 * 776 bytes each. */
#ifndef AIDASH_KEYS
#define AIDASH_KEYS 64
#endif
#if AIDASH_KEYS < 1 || AIDASH_KEYS > 1024
#error "AIDASH_KEYS must be 1..1024"
#endif

#if AIDASH_TLS
/* Longest JSON Web Token, in bytes. 512..16384. */
#ifndef AIDASH_TOKEN_MAX
#define AIDASH_TOKEN_MAX 4096
#endif
#if AIDASH_TOKEN_MAX < 512 || AIDASH_TOKEN_MAX > 16384
#error "AIDASH_TOKEN_MAX must be 512..16384"
#endif

/* Public keys that a JWKS file may have (--jwt-key-file). 1..64, 1.3 kB each. */
#ifndef AIDASH_JWT_KEYS
#define AIDASH_JWT_KEYS 16
#endif
#if AIDASH_JWT_KEYS < 1 || AIDASH_JWT_KEYS > 64
#error "AIDASH_JWT_KEYS must be 1..64"
#endif

/* Longest file of public keys, in bytes. */
#ifndef AIDASH_JWKS_MAX
#define AIDASH_JWKS_MAX 32768
#endif
#if AIDASH_JWKS_MAX < 1024 || AIDASH_JWKS_MAX > 1048576
#error "AIDASH_JWKS_MAX must be 1024..1048576"
#endif

/* Tokens that were checked and are known again, so that a program that sends one
 * with each request costs one check. One more replaces the oldest. 1..1024,
 * 128 bytes each. */
#ifndef AIDASH_JWT_CACHE
#define AIDASH_JWT_CACHE 64
#endif
#if AIDASH_JWT_CACHE < 1 || AIDASH_JWT_CACHE > 1024
#error "AIDASH_JWT_CACHE must be 1..1024"
#endif
#endif

/* Kernel send buffer of a viewer, in bytes. A viewer that does not read holds
 * this and its backlog, no more. */
#ifndef AIDASH_SEND_BUFFER
#define AIDASH_SEND_BUFFER (64 * 1024)
#endif

/* Bytes that civetweb may allocate in total: its tables at the start, a buffer
 * for each worker, 32 bytes while a request runs. The compile fails if it is
 * less (src/web/glue.c); GET /status shows the high-water mark. */
#ifndef AIDASH_ARENA_BYTES
#define AIDASH_ARENA_BYTES (8192 + AIDASH_WORKERS * 7168)
#endif

#endif
