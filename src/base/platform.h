/* platform.h - feature macros, system headers, and what differs between compilers.
 * Each part includes it, directly or through another part, before all else.
 */
#ifndef AD_BASE_PLATFORM_H
#define AD_BASE_PLATFORM_H

#ifndef AD_UNIT
#error "the parts in src/ are compiled by aidash.c: compile that file alone"
#endif

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* accept4, epoll, timerfd; POSIX.1-2008 elsewhere */
#endif

#include "../../aidash.h"
#include "../limits.h"
#include "memory.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <math.h>
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
#include <sys/file.h>
#ifdef __linux__
#include <sys/random.h>
#endif
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#if !AIDASH_USE_POLL
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#endif

#if AIDASH_BOARD
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#endif

#if AIDASH_BOARD || AIDASH_NODES
#include <spawn.h>
#include <sys/wait.h>
#endif

#if AIDASH_METRICS && defined(__linux__)
#include <sys/syscall.h>
#endif

#if defined(__GNUC__)
#define AD_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define AD_UNUSED __attribute__((unused)) /* in some configurations */
#define AD_COLD __attribute__((cold)) /* small rather than fast, as all that it alone calls */
#else
#define AD_PRINTF(fmt, args)
#define AD_UNUSED
#define AD_COLD
#endif

#ifdef POLLRDHUP
#define AD_POLLRDHUP POLLRDHUP
#else
#define AD_POLLRDHUP 0 /* POLLHUP and POLLERR are always reported */
#endif

/* Is there `aidash top`? */
#if AIDASH_TOP && !defined(AIDASH_NO_MAIN)
#define AD_TOP 1
#else
#define AD_TOP 0
#endif

/* Does it connect to others? The meter does, to engines, and `aidash top` does, to
 * an aidash. */
#if AIDASH_METER || AD_TOP
#define AD_DIALS 1
#else
#define AD_DIALS 0
#endif

/* Does it know other boards, and have links to them? */
#if AIDASH_NODES > 0
#define AD_FLEET 1
#else
#define AD_FLEET 0
#endif

#define AD_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
