/* A thread's life: it is woken up, ends when it is told to, and one that can't be
 * interrupted is let go, leaves later, or goes on for the next start. */
#include "../src/base/thread.c"
#include "check.h"

static struct ad_thread thread;
static _Atomic int done, told, left;
static sem_t inside, go_on; /* it is inside a call that waits; that may return */
static sem_t woken;         /* it has done something */

static void tell(void)
{
    atomic_fetch_add(&told, 1);
}

static void await(sem_t *s)
{
    while (sem_wait(s) != 0) {
    }
}

static void *ends_soon(void *unused)
{
    while (ad_thread_runs(&thread)) {
        atomic_fetch_add(&done, 1);
        (void)sem_post(&woken);
        ad_thread_sleep(&thread);
    }
    atomic_fetch_add(&left, 1);
    return unused;
}

/* What can't be interrupted waits for `go_on`. */
static void *may_hang(void *unused)
{
    do {
        ad_thread_sleep(&thread);
        if (ad_thread_runs(&thread)) {
            (void)sem_post(&inside);
            await(&go_on);
            ad_thread_tell(&thread, tell);
            (void)sem_post(&woken);
        }
    } while (!ad_thread_ends(&thread));
    return unused;
}

static void *watches(void *unused)
{
    while (ad_thread_runs(&thread)) {
        if (ad_thread_sleep_ms(&thread, 1)) {
            atomic_fetch_add(&done, 1);
            (void)sem_post(&woken);
        }
    }
    return unused;
}

static void test_stop(void)
{
    int round;

    ad_thread_stop(&thread); /* there is none */
    for (round = 1; round <= 3; round++) {
        atomic_store(&done, 0);
        CHECK(ad_thread_start(&thread, ends_soon));
        CHECK_EQ(ad_thread_life(&thread), AD_THREAD_RUNS);
        await(&woken);
        ad_thread_wake(&thread);
        await(&woken);
        CHECK_EQ(atomic_load(&done), 2);
        CHECK(!ad_thread_again(&thread)); /* it runs: nothing to take up */
        ad_thread_stop(&thread);
        CHECK_EQ(atomic_load(&left), round); /* it was waited for */
        CHECK_EQ(ad_thread_life(&thread), AD_THREAD_NONE);
        ad_thread_stop(&thread);
    }
}

static void test_sleep(void)
{
    CHECK(ad_thread_start(&thread, watches));
    await(&woken); /* nobody wakes it up */
    await(&woken);
    ad_thread_stop(&thread);
    CHECK_EQ(ad_thread_life(&thread), AD_THREAD_NONE);
    while (sem_trywait(&woken) == 0) {
    }
}

static void test_let_go(void)
{
    CHECK(!ad_thread_let_go(&thread)); /* there is none */
    CHECK(ad_thread_start_loose(&thread, may_hang));
    ad_thread_wake(&thread);
    await(&inside);
    CHECK(ad_thread_let_go(&thread));
    CHECK(!ad_thread_let_go(&thread)); /* once */
    CHECK(!ad_thread_wait(&thread, 3));
    CHECK_EQ(ad_thread_life(&thread), AD_THREAD_LEAVES);

    CHECK(ad_thread_again(&thread)); /* the next start takes it up */
    CHECK_EQ(ad_thread_life(&thread), AD_THREAD_RUNS);
    (void)sem_post(&go_on);
    await(&woken);
    CHECK_EQ(atomic_load(&told), 1); /* it calls its owner again */

    ad_thread_wake(&thread);
    await(&inside);
    CHECK(ad_thread_let_go(&thread));
    (void)sem_post(&go_on);
    await(&woken);
    while (!ad_thread_wait(&thread, 1)) {
    }
    CHECK_EQ(atomic_load(&told), 1); /* who is let go calls nobody */
    CHECK_EQ(ad_thread_life(&thread), AD_THREAD_NONE);
    CHECK(!ad_thread_again(&thread));
    ad_thread_stop(&thread); /* not one that was let go */
}

static void *leaves_at_once(void *unused)
{
    while (!ad_thread_ends(&thread)) {
        ad_thread_sleep(&thread);
    }
    return unused;
}

/* Told to leave while it wakes up, takes nothing, or has just begun: it always leaves. */
static void test_races(void)
{
    int i;

    for (i = 0; i < 300; i++) {
        CHECK(ad_thread_start_loose(&thread, leaves_at_once));
        if (i % 2 == 0) {
            ad_thread_wake(&thread);
        }
        CHECK(ad_thread_let_go(&thread));
        if (i % 3 == 0 && ad_thread_again(&thread)) {
            CHECK(ad_thread_let_go(&thread));
        }
        while (!ad_thread_wait(&thread, 1)) {
        }
        CHECK_EQ(ad_thread_life(&thread), AD_THREAD_NONE);
    }
}

int main(void)
{
    (void)sem_init(&inside, 0, 0);
    (void)sem_init(&go_on, 0, 0);
    (void)sem_init(&woken, 0, 0);
    test_stop();
    test_sleep();
    test_let_go();
    test_races();
    return check_report();
}
