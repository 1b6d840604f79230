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
    AD_PING_MS = 20000,    /* a viewer idle for so long is pinged */
    AD_SILENCE_MS = 60000, /* and one silent for so long is closed */
    AD_STALL_MS = 30000,   /* no byte taken for so long: reset */
    AD_LINGER_MS = 1000,   /* wait for the peer's FIN after our last byte */
    AD_SCRATCH = AIDASH_SCRATCH
};

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
    _Atomic(struct ad_call *) calls; /* [a] newest first */

    /* [h] from here */
    uint64_t now_ns; /* monotonic, at the last wake-up */
    uint64_t now_us; /* Unix time, likewise */
    uint32_t now_ms; /* monotonic, wraps after 49 days */
    uint64_t start_ns, start_us;
    uint64_t housekeeping_ns; /* when it is due, once a second */
    bool stopping;
    uint64_t bytes_sent, bytes_received; /* to and from all peers */
} ad_hub;

static uint8_t ad_scratch[AD_SCRATCH]; /* [h] what was just read */

static void ad_hub_clock(void)
{
    ad_hub.now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    ad_hub.now_us = ad_clock_ns(CLOCK_REALTIME) / 1000;
    ad_hub.now_ms = (uint32_t)(ad_hub.now_ns / AD_NS_PER_MS);
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

#endif
