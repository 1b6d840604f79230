/* poller.c - waiting for descriptors: a few functions over epoll or poll().
 * Owns ad_poll. Hub thread only.
 */
#ifndef AD_CORE_POLLER_C
#define AD_CORE_POLLER_C

#include "../base/clock.c"

/* What a descriptor is watched for, and what has happened to it. AD_HUP: the
 * peer's FIN (only where it is watched for), a reset, an error. AD_RESET: nothing
 * but a reset or an error is waited for. */
enum { AD_IN = 1, AD_OUT = 2, AD_HUP = 4, AD_RESET = 8 };

/* What a descriptor is, and its place in that table. */
enum ad_tag { AD_TAG_WAKE, AD_TAG_TIMER, AD_TAG_LISTENER, AD_TAG_UDP,
              AD_TAG_STDIN, AD_TAG_PENDING, AD_TAG_WORKER, AD_TAG_CLIENT,
              AD_TAG_PROXY_CLIENT, AD_TAG_PROXY_UPSTREAM, AD_TAG_DISCOVERY,
              AD_TAG_SCRAPE, AD_TAG_BENCH, AD_TAG_OUTBOX, AD_TAG_TLS,
              AD_TAG_TLS_INNER, AD_TAG_FLEET };

struct ad_ready {
    enum ad_tag tag;
    unsigned index;
    unsigned events; /* AD_IN, AD_OUT, AD_HUP */
};

enum { AD_READY_MAX = 128 };

#if !AIDASH_USE_POLL

static struct {
    int epoll, timer;
    uint64_t armed_ns; /* what the timer waits for; 0: nothing */
    bool no_pwait2;    /* the kernel has no epoll_pwait2(): older than 5.11 */
} ad_poll;

static bool ad_poll_open(void)
{
    struct epoll_event event = {EPOLLIN | EPOLLET, {0}};

    event.data.u64 = AD_TAG_TIMER;
    ad_poll.armed_ns = 0;
    ad_poll.no_pwait2 = false;
    ad_poll.epoll = epoll_create1(EPOLL_CLOEXEC);
    ad_poll.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return ad_poll.epoll >= 0 && ad_poll.timer >= 0 &&
           epoll_ctl(ad_poll.epoll, EPOLL_CTL_ADD, ad_poll.timer, &event) == 0;
}

static void ad_poll_close(void)
{
    (void)close(ad_poll.timer);
    (void)close(ad_poll.epoll);
}

/* Watch fd for `want` instead of `had` (AD_IN, AD_OUT, AD_HUP; 0: no more). */
static bool ad_poll_set(int fd, unsigned had, unsigned want, enum ad_tag tag,
                        unsigned index)
{
    struct epoll_event event = {0, {0}};
    int op = had == 0 ? EPOLL_CTL_ADD : want == 0 ? EPOLL_CTL_DEL
                                                  : EPOLL_CTL_MOD;

    event.events = ((want & AD_IN) != 0 ? (uint32_t)EPOLLIN : 0) |
                   ((want & AD_OUT) != 0 ? (uint32_t)EPOLLOUT : 0) |
                   ((want & AD_HUP) != 0 ? (uint32_t)EPOLLRDHUP : 0);
    event.data.u64 = (uint64_t)index << 8 | (uint64_t)tag;
    return epoll_ctl(ad_poll.epoll, op, fd, &event) == 0;
}

static unsigned ad_poll_events(uint32_t got)
{
    unsigned events = 0;

    if ((got & EPOLLIN) != 0) {
        events |= AD_IN;
    }
    if ((got & EPOLLOUT) != 0) {
        events |= AD_OUT;
    }
    if ((got & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        events |= AD_HUP;
    }
    return events;
}

/* epoll_wait() with the timer: where there is no epoll_pwait2(). */
static int ad_poll_timed(uint64_t deadline_ns, struct epoll_event *events)
{
    if (deadline_ns != ad_poll.armed_ns) {
        struct itimerspec at = {{0, 0}, {0, 0}};

        at.it_value.tv_sec = (time_t)(deadline_ns / AD_NS_PER_S);
        at.it_value.tv_nsec = (long)(deadline_ns % AD_NS_PER_S);
        (void)timerfd_settime(ad_poll.timer, TFD_TIMER_ABSTIME, &at, NULL);
        ad_poll.armed_ns = deadline_ns;
    }
    return epoll_wait(ad_poll.epoll, events, AD_READY_MAX, -1);
}

/* epoll_wait() until deadline_ns, not 0: in one call where that is possible, as the
 * deadline is another one in most turns. */
static int ad_poll_until(uint64_t deadline_ns, struct epoll_event *events)
{
#ifdef SYS_epoll_pwait2
    struct {
        int64_t s, ns; /* the kernel's own timespec: 64 bits each everywhere */
    } wait = {0, 0};
    uint64_t now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    long n;

    if (!ad_poll.no_pwait2) {
        if (deadline_ns > now_ns) {
            wait.s = (int64_t)((deadline_ns - now_ns) / AD_NS_PER_S);
            wait.ns = (int64_t)((deadline_ns - now_ns) % AD_NS_PER_S);
        }
        n = syscall(SYS_epoll_pwait2, ad_poll.epoll, events, AD_READY_MAX, &wait,
                    NULL, 0);
        if (n >= 0 || errno == EINTR) {
            return (int)n;
        }
        ad_poll.no_pwait2 = true; /* ENOSYS; EPERM in some containers */
    }
#endif
    return ad_poll_timed(deadline_ns, events);
}

/* Wait until deadline_ns (monotonic; 0: just look) or for a descriptor. */
static unsigned ad_poll_wait(uint64_t deadline_ns,
                             struct ad_ready out[AD_READY_MAX])
{
    struct epoll_event events[AD_READY_MAX];
    unsigned used = 0;
    int i, n;

    n = deadline_ns == 0 ? epoll_wait(ad_poll.epoll, events, AD_READY_MAX, 0)
                         : ad_poll_until(deadline_ns, events);
    for (i = 0; i < n; i++) {
        out[used].tag = (enum ad_tag)(events[i].data.u64 & 0xFF);
        out[used].index = (unsigned)(events[i].data.u64 >> 8);
        out[used].events = ad_poll_events(events[i].events);
        if (out[used].tag == AD_TAG_TIMER) {
            ad_poll.armed_ns = 0;
        } else {
            used++;
        }
    }
    return used;
}

#else

#if AIDASH_METER
enum {
    AD_POLL_FLOWS = 2 * AIDASH_FLOWS + AIDASH_UPSTREAMS + 1 + AIDASH_BENCH_STREAMS
};
#else
enum { AD_POLL_FLOWS = 0 };
#endif
#if AIDASH_TLS
enum { AD_POLL_TLS = 2 * AIDASH_TLS_SESSIONS };
#else
enum { AD_POLL_TLS = 0 };
#endif
/* Clients, pending connections with their workers, proxied requests and those of a
 * benchmark, both sides of TLS, and 16 for listeners, UDP, the wake pipe and
 * stdin. */
enum { AD_POLL_MAX = AIDASH_CLIENTS + AIDASH_EXCHANGES +
                     2 * AIDASH_PENDING + AD_POLL_FLOWS + AD_POLL_TLS + 16 };

static struct {
    unsigned n, start;
    struct pollfd fds[AD_POLL_MAX];
    struct ad_ready tags[AD_POLL_MAX];
} ad_poll;

static bool ad_poll_open(void)
{
    ad_poll.n = ad_poll.start = 0;
    return true;
}

static void ad_poll_close(void)
{
}

static bool ad_poll_set(int fd, unsigned had, unsigned want, enum ad_tag tag,
                        unsigned index)
{
    unsigned i = 0;

    if (had == 0) {
        i = ad_poll.n++;
    } else {
        while (ad_poll.fds[i].fd != fd) {
            i++;
        }
    }
    if (want == 0) {
        ad_poll.n--;
        ad_poll.fds[i] = ad_poll.fds[ad_poll.n];
        ad_poll.tags[i] = ad_poll.tags[ad_poll.n];
        return true;
    }
    ad_poll.fds[i].fd = fd;
    ad_poll.fds[i].events = (short)(((want & AD_IN) != 0 ? POLLIN : 0) |
                                    ((want & AD_OUT) != 0 ? POLLOUT : 0) |
                                    ((want & AD_HUP) != 0 ? AD_POLLRDHUP : 0));
    ad_poll.tags[i].tag = tag;
    ad_poll.tags[i].index = index;
    return true;
}

static unsigned ad_poll_events(short got)
{
    unsigned events = 0;

    if ((got & POLLIN) != 0) {
        events |= AD_IN;
    }
    if ((got & POLLOUT) != 0) {
        events |= AD_OUT;
    }
    if ((got & (AD_POLLRDHUP | POLLHUP | POLLERR)) != 0) {
        events |= AD_HUP;
    }
    return events;
}

static unsigned ad_poll_wait(uint64_t deadline_ns,
                             struct ad_ready out[AD_READY_MAX])
{
    uint64_t now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    uint64_t wait_ms = 0;
    unsigned i, used = 0;

    if (deadline_ns > now_ns) {
        wait_ms = (deadline_ns - now_ns + AD_NS_PER_MS - 1) / AD_NS_PER_MS;
    }
    if (poll(ad_poll.fds, ad_poll.n, (int)wait_ms) <= 0) {
        return 0;
    }
    for (i = 0; i < ad_poll.n && used < AD_READY_MAX; i++) {
        unsigned k = (ad_poll.start + i) % ad_poll.n;

        if (ad_poll.fds[k].revents != 0) {
            out[used] = ad_poll.tags[k];
            out[used++].events = ad_poll_events(ad_poll.fds[k].revents);
        }
    }
    ad_poll.start = (ad_poll.start + i) % ad_poll.n;
    return used;
}

#endif

AD_MEMORY(poller, 1, sizeof(ad_poll));

#endif
