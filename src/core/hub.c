#ifndef AD_CORE_HUB_C
#define AD_CORE_HUB_C

/* -- waking the hub, and running a function on it: other threads -- */

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

/* Promise a slot to a connection; false when all are taken. class 0: viewers,
 * 1: exchanges. */
static bool ad_slot_take(unsigned class)
{
    static const int max[2] = {AIDASH_CLIENTS, AIDASH_EXCHANGES};
    int taken = atomic_load(&ad_hub.slots_taken[class]);

    while (taken < max[class]) {
        if (atomic_compare_exchange_weak(&ad_hub.slots_taken[class], &taken,
                                         taken + 1)) {
            return true;
        }
    }
    return false;
}

static void ad_slot_return(unsigned class)
{
    atomic_fetch_sub(&ad_hub.slots_taken[class], 1);
}

static unsigned ad_kind_class(enum ad_kind kind)
{
    return kind == AD_WS || kind == AD_WS_BATCH || kind == AD_SSE ? 0 : 1;
}

#endif
