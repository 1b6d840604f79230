/* thread.c - a thread of its own for what may wait long: the disk, a name server, a
 * sensor, the program's callback. What it is given to do, and whose that is when, is its
 * owner's; here is its life: start, wake, stop.
 * Owns nothing: a struct ad_thread is in static memory of its owner, all zeros at first.
 * The starting thread calls ad_thread_start() to ad_thread_stop(), no two at once, and
 * not the thread itself; any thread may call ad_thread_wake(); the thread itself calls
 * ad_thread_sleep() to ad_thread_ends().
 *
 * There are two kinds. One ends soon when it is told to: ad_thread_stop() waits for that.
 * The other may be inside a call that nobody can interrupt: it is let go, and leaves
 * behind that call; until then it touches nothing but what its owner keeps for it. A
 * start that comes before takes it up again.
 */
#ifndef AD_BASE_THREAD_C
#define AD_BASE_THREAD_C

#include "clock.c"

/* Its life: there is none; it runs; it is to leave. */
enum { AD_THREAD_NONE, AD_THREAD_RUNS, AD_THREAD_LEAVES };

struct ad_thread {
    _Atomic int life;     /* [a] AD_THREAD_NONE.. */
    _Atomic bool calling; /* [a] it may be inside ad_thread_tell() */
    bool joined;          /* who stops it waits for it: the starting thread's */
    pthread_t thread;
    sem_t wake;
};

/* ---- the starting thread ---- */

static AD_UNUSED int ad_thread_life(struct ad_thread *w)
{
    return atomic_load(&w->life);
}

/* One that was let go and has not left yet goes on. False: there is none. */
static AD_UNUSED bool ad_thread_again(struct ad_thread *w)
{
    int leaves = AD_THREAD_LEAVES;

    return atomic_compare_exchange_strong(&w->life, &leaves, AD_THREAD_RUNS);
}

/* Begin the thread main(NULL), whose life is none. False if the system has no thread,
 * or no memory for it. */
static bool ad_thread_start(struct ad_thread *w, void *(*main)(void *))
{
    (void)sem_init(&w->wake, 0, 0);
    atomic_store(&w->life, AD_THREAD_RUNS);
    w->joined = pthread_create(&w->thread, NULL, main, NULL) == 0;
    if (!w->joined) {
        atomic_store(&w->life, AD_THREAD_NONE);
    }
    return w->joined;
}

/* The same for one that will be let go. */
static AD_UNUSED bool ad_thread_start_loose(struct ad_thread *w, void *(*main)(void *))
{
    bool started = ad_thread_start(w, main);

    if (started) {
        (void)pthread_detach(w->thread);
        w->joined = false;
    }
    return started;
}

/* Tell it to leave, and wake it up. Does not wait. False if there is none, or it was
 * told before. */
static bool ad_thread_let_go(struct ad_thread *w)
{
    int runs = AD_THREAD_RUNS;

    if (!atomic_compare_exchange_strong(&w->life, &runs, AD_THREAD_LEAVES)) {
        return false;
    }
    (void)sem_post(&w->wake);
    return true;
}

/* Wait until one that was let go has left, for so long at the most; for longer while it
 * calls its owner. True: it has left. */
static AD_UNUSED bool ad_thread_wait(struct ad_thread *w, unsigned ms)
{
    static const struct timespec nap = {0, AD_NS_PER_MS};
    unsigned i;

    for (i = 0; atomic_load(&w->calling) ||
                (i < ms && ad_thread_life(w) != AD_THREAD_NONE); i++) {
        (void)nanosleep(&nap, NULL);
    }
    return ad_thread_life(w) == AD_THREAD_NONE;
}

/* The end of one that ad_thread_start() began: it leaves behind what it does now, and
 * this waits for it. */
static void ad_thread_stop(struct ad_thread *w)
{
    if (w->joined) {
        (void)ad_thread_let_go(w);
        (void)pthread_join(w->thread, NULL);
        (void)sem_destroy(&w->wake);
        w->joined = false;
        atomic_store(&w->life, AD_THREAD_NONE);
    }
}

/* ---- any thread ---- */

/* There is something to do: ad_thread_sleep() returns, now or when it is called. */
static void ad_thread_wake(struct ad_thread *w)
{
    (void)sem_post(&w->wake);
}

/* ---- the thread itself ---- */

/* Sleep until ad_thread_wake(), or until it is to leave. */
static void ad_thread_sleep(struct ad_thread *w)
{
    while (sem_wait(&w->wake) != 0) {
    }
}

/* The same, but at most so long. True: that time is over. */
static AD_UNUSED bool ad_thread_sleep_ms(struct ad_thread *w, unsigned ms)
{
    uint64_t ns = ad_clock_ns(CLOCK_REALTIME) + ms * (uint64_t)AD_NS_PER_MS;
    struct timespec at = {(time_t)(ns / AD_NS_PER_S), (long)(ns % AD_NS_PER_S)};

    while (sem_timedwait(&w->wake, &at) != 0) {
        if (errno != EINTR) {
            return true;
        }
    }
    return false;
}

/* Is it to go on? */
static bool ad_thread_runs(struct ad_thread *w)
{
    return ad_thread_life(w) == AD_THREAD_RUNS;
}

/* Call its owner, unless it is to leave: who let it go waits for the end of the call, so
 * that `call` finds all that it uses. */
static AD_UNUSED void ad_thread_tell(struct ad_thread *w, void (*call)(void))
{
    atomic_store(&w->calling, true);
    if (ad_thread_runs(w)) {
        call();
    }
    atomic_store(&w->calling, false);
}

/* Is this the end? Then the thread returns at once, as another may be begun. False: it is
 * to go on, perhaps again. */
static AD_UNUSED bool ad_thread_ends(struct ad_thread *w)
{
    int leaves = AD_THREAD_LEAVES;

    return atomic_compare_exchange_strong(&w->life, &leaves, AD_THREAD_NONE);
}

#endif
