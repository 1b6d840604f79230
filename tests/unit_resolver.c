/* The resolver's thread: names are asked for one at a time; a stop does not wait for an
 * answer that does not come, and a later run gets no answer of the one before. */
#define _GNU_SOURCE
#include <netdb.h>

int test_getaddrinfo(const char *node, const char *service,
                     const struct addrinfo *hints, struct addrinfo **list);
#define getaddrinfo test_getaddrinfo
#include "../src/meter/resolver.c"
#undef getaddrinfo
#include "check.h"

static sem_t asked, go_on;
static _Atomic int answers; /* 0: EAI_AGAIN, else 127.0.0.<answers> */

int test_getaddrinfo(const char *node, const char *service,
                     const struct addrinfo *hints, struct addrinfo **list)
{
    char address[32];
    int n;

    (void)sem_post(&asked);
    while (sem_wait(&go_on) != 0) {
    }
    n = atomic_load(&answers);
    (void)node;
    (void)snprintf(address, sizeof(address), "127.0.0.%d", n);
    return n == 0 ? EAI_AGAIN : getaddrinfo(address, service, hints, list);
}

static void begin_run(unsigned names)
{
    unsigned i;

    memset(&ad_hub, 0, sizeof(ad_hub));
    ad_upstreams_init();
    ad_resolver_init();
    for (i = 0; i < names; i++) {
        struct ad_upstream *u = &ad_upstreams.list[ad_upstreams.n++];

        (void)snprintf(u->url.host, sizeof(u->url.host), "engine-%u", i);
        (void)snprintf(u->url.port, sizeof(u->url.port), "80");
        ad_resolver_add(u);
    }
    CHECK(ad_resolver_start());
    ad_resolver_housekeeping();
}

/* Turn until an answer is there. */
static struct ad_upstream *next_answer(int *failed)
{
    struct ad_upstream *engine;
    unsigned i;

    for (i = 0; i < 5000; i++) {
        engine = ad_resolver_run(failed);
        if (engine != NULL) {
            return engine;
        }
        (void)usleep(1000);
    }
    CHECK(!"an answer comes");
    return NULL;
}

static unsigned last_byte(const struct ad_upstream *u)
{
    const struct sockaddr_in *v4 =
        (const struct sockaddr_in *)(const void *)&u->addresses[0].storage;

    return u->n_addresses == 0 ? 0 : ntohl(v4->sin_addr.s_addr) & 0xFF;
}

static void test_turns(void)
{
    int failed;

    begin_run(3);
    CHECK(ad_resolver_run(&failed) == NULL);
    while (sem_wait(&asked) != 0) {
    }
    CHECK(ad_resolver_ask(&ad_upstreams.list[2]));
    CHECK(sem_trywait(&asked) != 0); /* one question at a time */
    atomic_store(&answers, 7);
    (void)sem_post(&go_on);
    CHECK(next_answer(&failed) == &ad_upstreams.list[0]);
    CHECK_EQ(failed, 0);
    CHECK_EQ(last_byte(&ad_upstreams.list[0]), 7);
    CHECK(!ad_resolver_ask(&ad_upstreams.list[0])); /* it was just told */
    while (sem_wait(&asked) != 0) {
    }
    atomic_store(&answers, 0);
    (void)sem_post(&go_on);
    CHECK(next_answer(&failed) == &ad_upstreams.list[1]);
    CHECK_EQ(failed, EAI_AGAIN);
    CHECK_EQ(ad_upstreams.list[1].n_addresses, 0);
    atomic_store(&answers, 9);
    (void)sem_post(&go_on);
    CHECK(next_answer(&failed) == &ad_upstreams.list[2]);
    CHECK_EQ(last_byte(&ad_upstreams.list[2]), 9);

    /* A failure is asked about again sooner; addresses hold through one. */
    ad_hub.now_ms += AD_RESOLVER_RETRY_MS;
    ad_resolver_housekeeping();
    (void)sem_post(&go_on);
    CHECK(next_answer(&failed) == &ad_upstreams.list[1]);
    CHECK_EQ(last_byte(&ad_upstreams.list[1]), 9);
    ad_hub.now_ms += AD_RESOLVER_FRESH_MS - AD_RESOLVER_RETRY_MS;
    atomic_store(&answers, 0);
    ad_resolver_housekeeping();
    (void)sem_post(&go_on);
    CHECK(next_answer(&failed) == &ad_upstreams.list[2]);
    CHECK_EQ(failed, EAI_AGAIN);
    CHECK_EQ(last_byte(&ad_upstreams.list[2]), 9);
    (void)sem_post(&go_on);
    CHECK(next_answer(&failed) == &ad_upstreams.list[0]);
    CHECK_EQ(last_byte(&ad_upstreams.list[0]), 7);
    ad_resolver_stop();
    CHECK_EQ(ad_thread_life(&ad_resolver.thread), AD_THREAD_NONE);
}

static void test_stop(void)
{
    int failed;

    while (sem_trywait(&asked) == 0) {
    }
    begin_run(1);
    CHECK(ad_resolver_run(&failed) == NULL);
    while (sem_wait(&asked) != 0) {
    }
    ad_resolver_stop(); /* it is busy: it is left to itself */
    CHECK_EQ(ad_thread_life(&ad_resolver.thread), AD_THREAD_LEAVES);

    begin_run(1); /* and goes on for the next run */
    CHECK(ad_resolver_run(&failed) == NULL);
    CHECK(sem_trywait(&asked) != 0);
    atomic_store(&answers, 11); /* for the run before */
    (void)sem_post(&go_on);
    while (sem_trywait(&asked) != 0) { /* asked anew, for this one */
        CHECK(ad_resolver_run(&failed) == NULL);
        (void)usleep(1000);
    }
    CHECK_EQ(ad_upstreams.list[0].n_addresses, 0);
    atomic_store(&answers, 12);
    (void)sem_post(&go_on);
    CHECK(next_answer(&failed) == &ad_upstreams.list[0]);
    CHECK_EQ(last_byte(&ad_upstreams.list[0]), 12);
    ad_resolver_stop();
    CHECK_EQ(ad_thread_life(&ad_resolver.thread), AD_THREAD_NONE);
    ad_resolver_stop(); /* nothing to stop */

    ad_resolver_init(); /* no name, no thread */
    CHECK(ad_resolver_start());
    CHECK_EQ(ad_thread_life(&ad_resolver.thread), AD_THREAD_NONE);
}

int main(void)
{
    (void)sem_init(&asked, 0, 0);
    (void)sem_init(&go_on, 0, 0);
    test_turns();
    test_stop();
    return check_report();
}
