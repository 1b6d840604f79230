/* hub.c - the hub thread's clock, its sleep, and calls from other threads.
 * Owns ad_hub. The hub thread never waits for a peer: every socket is
 * non-blocking, and what a peer does not take is dropped, oldest first.
 *
 * Owners, here and in all parts: [I] set at start, then read-only   [h] the hub
 * thread alone   [a] atomics. All static memory lives as long as the program.
 */
#ifndef AD_CORE_HUB_C
#define AD_CORE_HUB_C

#include "poller.c"
#include "../base/log.c"

/* What the hub grants every peer. */
enum {
    AD_PING_MS = 20000 / AD_HASTE,    /* a viewer idle for so long is pinged */
    AD_SILENCE_MS = 60000 / AD_HASTE, /* and one silent for so long is closed */
    AD_AUTH_MS = 5000,     /* a WebSocket that needs a credential brings it in its
                            * first message by then */
    AD_STALL_MS = 30000,   /* no byte taken for so long: reset */
    AD_LINGER_MS = 1000,   /* wait for the peer's FIN after our last byte */
    AD_GRACE_MS = 1000,    /* so long no newcomer takes the place of a body that
                            * comes slowly, or of an answer that is taken so */
    /* Bytes a second that a peer must send of a body, or take of an answer, on
     * average since that began; the first AD_RATE_GRACE_MS are free. */
    AD_RATE_MIN = 16 * 1024,
    AD_RATE_GRACE_MS = 10000,
    AD_RUN_MAX = 16,       /* bytes of a run's name */
    AD_SCRATCH = AIDASH_SCRATCH
};

/* The hub wakes once a second: if it did not for so long, the process stood still
 * (SIGSTOP, a debugger, a suspended machine), and peers had no chance. */
#define AD_STANDSTILL_NS (5 * AD_NS_PER_S)

/* A clock that was wrong by more is one that did not know the time. */
#define AD_CLOCK_STEP_US 60000000

/* One function run on the hub thread for another thread, which waits. */
struct ad_call {
    struct ad_call *next;
    void (*run)(struct ad_call *call);
    sem_t done;
};

/* How the hub waits; other threads read it to know whether to wake it. */
enum { AD_AWAKE, AD_PACING, AD_ASLEEP };

static struct {
    pthread_t thread;
    int wake_rd, wake_wr; /* [I] an eventfd (the same twice), or a pipe */
    _Atomic int sleep;    /* [a] AD_AWAKE.. */
    _Atomic int stop;     /* [a] 1: close viewers, 2: end */
    _Atomic bool quiet;   /* [a] stopping: no request begins any more */
    _Atomic(struct ad_call *) calls; /* [a] newest first */

    /* [h] from here */
    uint64_t now_ns; /* monotonic, at the last wake-up */
    uint64_t now_us; /* Unix time, likewise */
    uint32_t now_ms; /* monotonic without standstills, wraps after 49 days: what
                      * peers' times are measured by */
    uint64_t seen_ns; /* what now_ms was set by */
    uint64_t stood_still_ns; /* in sum */
    uint64_t start_ns, start_us; /* start_us: by the clock as it is now */
    char run[AD_RUN_MAX + 1]; /* the name of this run: hexadecimal digits */
    uint64_t housekeeping_ns; /* when it is due, once a second */
    bool stopping;
    uint64_t bytes_sent, bytes_received; /* to and from all peers */
} ad_hub;

/* The monotonic clock shows now_ns: set now_ms. */
static void ad_hub_set_now_ms(uint64_t now_ns)
{
    uint64_t slept_ns = now_ns - ad_hub.seen_ns;

    if (ad_hub.seen_ns != 0 && slept_ns > AD_STANDSTILL_NS) {
        ad_hub.stood_still_ns += slept_ns;
    }
    ad_hub.seen_ns = now_ns;
    ad_hub.now_ms = (uint32_t)((now_ns - ad_hub.stood_still_ns) / AD_NS_PER_MS);
}

/* And the real-time clock now_us. */
static void ad_hub_set_clock(uint64_t now_ns, uint64_t now_us)
{
    ad_hub.now_ns = now_ns;
    ad_hub.now_us = now_us;
    ad_hub_set_now_ms(now_ns);
}

static void ad_hub_clock(void)
{
    ad_hub_set_clock(ad_clock_ns(CLOCK_MONOTONIC),
                     ad_clock_ns(CLOCK_REALTIME) / 1000);
}

/* Unix time in whole seconds: credentials expire by it. */
static int64_t ad_hub_unix_s(void)
{
    return (int64_t)(ad_hub.now_us / 1000000);
}

/* Once a second: a board without a clock of its own starts in 1970, and its time
 * is set later. The start moves with the clock. */
static void ad_hub_follow_clock(void)
{
    uint64_t right_us = ad_hub.now_us - (ad_hub.now_ns - ad_hub.start_ns) / 1000;
    int64_t step_us = (int64_t)(right_us - ad_hub.start_us);

    if (step_us > AD_CLOCK_STEP_US || step_us < -AD_CLOCK_STEP_US) {
        ad_hub.start_us = right_us;
    }
}

/* Is a peer that has moved so many bytes since then slower than AD_RATE_MIN, the
 * first grace_ms not counted? */
static bool ad_hub_slower(uint32_t since_ms, uint64_t bytes, uint32_t grace_ms)
{
    uint32_t ms = ad_hub.now_ms - since_ms;

    return ms > grace_ms &&
           bytes < (uint64_t)(ms - grace_ms) * AD_RATE_MIN / 1000;
}

/* Likewise, with what every peer is granted. */
static bool ad_hub_too_slow(uint32_t since_ms, uint64_t bytes)
{
    return ad_hub_slower(since_ms, bytes, AD_RATE_GRACE_MS);
}

static void ad_wake(void)
{
    static const uint64_t one = 1;

    if (atomic_exchange(&ad_hub.sleep, AD_AWAKE) != AD_AWAKE) {
        /* Full means that it is awake already. */
        ssize_t ignored = write(ad_hub.wake_wr, &one, sizeof(one));

        (void)ignored;
    }
}

/* Something was put into a ring that the hub takes from, which is half full now, or not:
 * wake it if it sleeps. Any thread. */
static void ad_wake_for_ring(bool half_full)
{
    /* What was put in is there before the hub's sleep is looked at; the hub announces its
     * sleep before it looks at the rings. */
    atomic_thread_fence(memory_order_seq_cst);
    switch (atomic_load_explicit(&ad_hub.sleep, memory_order_relaxed)) {
    case AD_ASLEEP:
        ad_wake();
        break;
    case AD_PACING:
        if (half_full) {
            ad_wake();
        }
        break;
    default:
        break;
    }
}

/* Run call->run(call) on the hub thread and wait for its end. Not from there.
 * The hub outlives civetweb's workers, so each call is answered. */
static void ad_hub_run(struct ad_call *call)
{
    (void)sem_init(&call->done, 0, 0);
    call->next = atomic_load(&ad_hub.calls);
    while (!atomic_compare_exchange_weak(&ad_hub.calls, &call->next, call)) {
    }
    ad_wake();
    while (sem_wait(&call->done) != 0) {
    }
    (void)sem_destroy(&call->done);
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

/* Before each run. */
static void ad_hub_init(void)
{
    memset(&ad_hub, 0, sizeof(ad_hub));
    ad_hub.wake_rd = ad_hub.wake_wr = -1;
}

/* The run begins now. Housekeeping is due at once: it sends the first requests to
 * the engines. */
static void ad_hub_begin(void)
{
    ad_hub_clock();
    ad_hub.start_ns = ad_hub.now_ns;
    ad_hub.start_us = ad_hub.now_us;
    ad_hub.housekeeping_ns = ad_hub.now_ns;
    (void)snprintf(ad_hub.run, sizeof(ad_hub.run), "%llx",
                   (unsigned long long)ad_hub.start_us);
}

/* Open the poller and what wakes the hub. Returns NULL, or the name of the
 * system call that failed, with errno set. */
static const char *ad_hub_open(void)
{
    if (!ad_poll_open()) {
        return "epoll or timerfd";
    }
#if AIDASH_USE_POLL
    {
        int ends[2];

        if (pipe(ends) != 0) {
            return "pipe";
        }
        ad_hub.wake_rd = ends[0];
        ad_hub.wake_wr = ends[1];
        (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
        (void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
    }
#else
    ad_hub.wake_rd = ad_hub.wake_wr = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ad_hub.wake_rd < 0) {
        return "eventfd";
    }
#endif
    (void)ad_poll_set(ad_hub.wake_rd, 0, AD_IN, AD_TAG_WAKE, 0);
    return NULL;
}

static void ad_hub_close(void)
{
    if (ad_hub.wake_wr != ad_hub.wake_rd) {
        (void)close(ad_hub.wake_wr);
    }
    (void)close(ad_hub.wake_rd);
    ad_poll_close();
}

AD_MEMORY(hub, 1, sizeof(ad_hub));

#endif
