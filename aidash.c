/* aidash.c - live dashboard for an AI engine: server, library, command line.
 * API and its limits: aidash.h. MIT licence, see LICENSE.
 *
 *   1 PLATFORM   feature macros, includes, compiler checks
 *   2 SIZES      every limit with its meaning, range and cost
 *   3 STATE      every struct, and who may touch it
 *   4 UTIL       time, log, bounded text
 *   5 CODEC      bytes in, bytes out: no sockets, no locks
 *   6 SCAN       what an engine's HTTP answer tells: likewise pure
 *   7 FEED       the inbox, the byte ring of finished frames, dressing
 *   8 HUB        the poller, clients, fan-out, ticks and their sources
 *   9 METER      the proxy in front of an engine, and what it counts
 *  10 LOOP       what comes in: commands, bodies, the door; the event loop
 *  11 HTTP       the routes, on civetweb's worker threads
 *  12 API        the public functions, in the order of aidash.h
 *  13 MAIN       the command line, unless AIDASH_NO_MAIN
 *  14 CIVETWEB   civetweb.c over a static arena, and the glue to its inside;
 *                last, so that its macros and names reach nothing of ours
 *
 * A tick's way: a source (sim, stdin, UDP, HTTP body: on the hub thread; the
 * firmware's aidash_publish(): through the inbox) -> ad_tick_apply() completes
 * and encodes it once, as a WebSocket frame -> ad_feed_append() -> ad_fanout()
 * sends each client all that it has not got, with one send().
 */

/* ==== 1 PLATFORM ========================================================= */

#ifdef __cplusplus
#error "aidash.c is C: compile it with a C compiler; aidash.h is for C++, too"
#endif

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* accept4, epoll, timerfd; POSIX.1-2008 elsewhere */
#endif

#ifdef AIDASH_CONFIG
#include AIDASH_CONFIG
#endif

#include "aidash.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* 1: poll() instead of epoll, for systems other than Linux. */
#ifndef AIDASH_USE_POLL
#ifdef __linux__
#define AIDASH_USE_POLL 0
#else
#define AIDASH_USE_POLL 1
#endif
#endif

#if !AIDASH_USE_POLL
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#endif

/* 0: no dashboard inside; then build/aidash_www.h is not needed. */
#ifndef AIDASH_DASHBOARD
#define AIDASH_DASHBOARD 1
#endif

/* 0: no proxy and no meter. */
#ifndef AIDASH_METER
#define AIDASH_METER 1
#endif

#define JSMN_STATIC
#define JSMN_STRICT
#include <jsmn.h>

/* civetweb without files, CGI and TLS, every function of it static: nothing
 * but aidash_* leaves this object file. Its source follows in section 14. */
#define CIVETWEB_API static
#define NO_SSL
#define NO_CGI
#define NO_FILES
#define NO_CACHING
#define NUM_WEBDAV_LOCKS 0 /* 16 kB each in 1.16, for files alone */
#define USE_WEBSOCKET
#define USE_IPV6
#define STOP_FLAG_NEEDS_LOCK /* its stop flag is atomic */
/* How long its threads may sleep before they see a stop, in milliseconds. */
#define SOCKET_TIMEOUT_QUANTUM 200
#include <civetweb.h>

#if defined(__GNUC__)
#define AD_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define AD_PRINTF(fmt, args)
#endif

#ifdef POLLRDHUP
#define AD_POLLRDHUP POLLRDHUP
#else
#define AD_POLLRDHUP 0 /* POLLHUP and POLLERR are always told */
#endif

#define AD_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#include "src/limits.h"
#include "src/sizes.h"
#include "src/state.h"
#include "src/base/log.c"
#include "src/base/text.c"
#include "src/codec/utf8.c"
#include "src/codec/json.c"
#include "src/codec/messages.c"
#include "src/codec/websocket.c"
#include "src/codec/body.c"
#include "src/core/rate.c"
#include "src/codec/tick.c"
#include "src/codec/answer.c"
#include "src/codec/llm_head.c"
#include "src/codec/json_stream.c"
#include "src/codec/llm_scan.c"
#include "src/base/histogram.c"
#include "src/codec/llm_model.c"
#include "src/core/inbox.c"
#include "src/core/feed.c"
#include "src/core/formats.c"
#include "src/core/poller.c"
#include "src/core/hub.c"
#include "src/core/status.c"
#include "src/core/clients.c"
#include "src/core/ticks.c"
#include "src/core/sources.c"
#include "src/meter/proxy.c"
#include "src/meter/queue.c"
#include "src/meter/proxy_events.c"
#include "src/meter/discovery.c"
#include "src/core/commands.c"
#include "src/core/clients_in.c"
#include "src/core/attach.c"
#include "src/core/accept.c"
#include "src/core/loop.c"
#include "src/web/routes.c"
#include "src/app/config.c"
#include "src/app/api.c"
#include "src/app/options.c"
#include "src/app/ports.c"
#include "src/app/doctor.c"
#include "src/app/main.c"
#include "src/web/arena.c"
#include "src/web/glue.c"
