/* resolver.c - the names of engines become addresses. getaddrinfo() may take many
 * seconds, so a thread of its own asks, one name at a time. An answer holds for
 * AD_RESOLVER_FRESH_MS; addresses stay in use until others are known.
 * Owns ad_resolver. Hub thread, but for ad_resolver_main() (the thread's own), and
 * start and stop (the starting thread).
 * Always: the question is the hub's to write and the answer its to read, unless the
 * turn is AD_RESOLVER_ASKED: then they are the thread's.
 */
#ifndef AD_METER_RESOLVER_C
#define AD_METER_RESOLVER_C

#include "../base/thread.c"
#include "../core/hub.c"
#include "upstreams.c"

#if AIDASH_METER

enum {
    /* With those of --scrape, --alert-url and --otlp; of --forward and --peer. */
    AD_RESOLVER_NAMES = AIDASH_UPSTREAMS + 3 + (AD_FLEET ? 1 + AIDASH_PEERS : 0),
    AD_RESOLVER_FRESH_MS = 10000, /* an answer is asked for anew after so long, */
    AD_RESOLVER_RETRY_MS = 2000,  /* after so long if there was none, */
    AD_RESOLVER_AGAIN_MS = 1000   /* and for who can't connect after so long */
};

/* Whose the question and the answer are. */
enum { AD_RESOLVER_FREE, AD_RESOLVER_ASKED, AD_RESOLVER_ANSWERED };

/* An engine that is given by a name. [h] */
struct ad_resolver_name {
    struct ad_upstream *engine;
    bool waits;  /* it is to be asked for, or is being */
    bool told;   /* an answer came, at told_ms */
    bool failed; /* and was none */
    uint32_t told_ms;
};

static struct {
    unsigned n, next; /* [h] next: who is asked for first */
    struct ad_resolver_name names[AD_RESOLVER_NAMES]; /* [h] */
    struct ad_resolver_name *current; /* [h] whom the question is about */
    _Atomic int turn; /* [a] AD_RESOLVER_FREE.. */
    struct ad_thread thread; /* it leaves when its question is answered */
    struct ad_url question;
    unsigned n_answers;
    int error; /* of getaddrinfo() */
    struct ad_address answers[AD_ADDRESSES_MAX];
} ad_resolver;

/* ---- the thread ---- */

static void ad_resolver_answer(void)
{
    ad_resolver.n_answers = ad_address_resolve(
        ad_resolver.question.host, ad_resolver.question.port, ad_resolver.answers,
        AD_ADDRESSES_MAX, &ad_resolver.error);
    atomic_store(&ad_resolver.turn, AD_RESOLVER_ANSWERED);
    ad_thread_tell(&ad_resolver.thread, ad_wake);
}

static void *ad_resolver_main(void *unused)
{
    do {
        ad_thread_sleep(&ad_resolver.thread);
        if (ad_thread_runs(&ad_resolver.thread) &&
            atomic_load(&ad_resolver.turn) == AD_RESOLVER_ASKED) {
            ad_resolver_answer();
        }
    } while (!ad_thread_ends(&ad_resolver.thread));
    return unused;
}

/* ---- start and stop ---- */

/* Let the thread run, if an engine has a name. One of a run before that is still
 * busy goes on. False if the system has no thread. */
static bool ad_resolver_start(void)
{
    if (ad_resolver.n == 0 || ad_thread_again(&ad_resolver.thread)) {
        return true;
    }
    atomic_store(&ad_resolver.turn, AD_RESOLVER_FREE);
    return ad_thread_start_loose(&ad_resolver.thread, ad_resolver_main);
}

/* Let the thread leave. One that waits for an answer can't be interrupted: it
 * leaves behind that, and touches nothing else until then. The hub's thread has
 * ended, but its descriptors are open. */
static void ad_resolver_stop(void)
{
    if (ad_thread_let_go(&ad_resolver.thread)) {
        while (atomic_load(&ad_resolver.turn) != AD_RESOLVER_ASKED &&
               !ad_thread_wait(&ad_resolver.thread, 1)) {
        }
    }
}

/* Before each run. */
static void ad_resolver_init(void)
{
    ad_resolver.n = ad_resolver.next = 0;
    ad_resolver.current = NULL;
    memset(ad_resolver.names, 0, sizeof(ad_resolver.names));
}

/* Keep the addresses of this engine, unless its URL has an address. There may be
 * AD_RESOLVER_NAMES. While starting. */
static void ad_resolver_add(struct ad_upstream *engine)
{
    if (engine->n_addresses == 0) {
        ad_resolver.names[ad_resolver.n++].engine = engine;
    }
}

/* ---- the hub ---- */

/* Someone can't connect to an engine. True if its name is being asked for: then
 * ad_resolver_run() returns the engine when there is an answer. False if it has no
 * name, or an answer that just came. */
static bool ad_resolver_ask(const struct ad_upstream *engine)
{
    unsigned i;

    for (i = 0; i < ad_resolver.n; i++) {
        struct ad_resolver_name *name = &ad_resolver.names[i];

        if (name->engine == engine) {
            name->waits = name->waits || !name->told ||
                          ad_hub.now_ms - name->told_ms >= AD_RESOLVER_AGAIN_MS;
            return name->waits;
        }
    }
    return false;
}

/* The answer is there. Returns the engine that it is about; NULL: nobody of this
 * run asked. *failed: what getaddrinfo() returned. */
static struct ad_upstream *ad_resolver_take(int *failed)
{
    struct ad_resolver_name *name = ad_resolver.current;
    struct ad_upstream *engine = NULL;

    if (name != NULL) {
        engine = name->engine;
        name->waits = false;
        name->told = true;
        name->told_ms = ad_hub.now_ms;
        name->failed = ad_resolver.n_answers == 0;
        *failed = ad_resolver.error;
        if (!name->failed) {
            memcpy(engine->addresses, ad_resolver.answers,
                   sizeof(engine->addresses));
            engine->n_addresses = ad_resolver.n_answers;
        }
    }
    ad_resolver.current = NULL;
    atomic_store(&ad_resolver.turn, AD_RESOLVER_FREE);
    return engine;
}

/* Give the thread the next question, if there is one. Each name gets its turn. */
static void ad_resolver_next(void)
{
    unsigned i;

    for (i = 0; i < ad_resolver.n; i++) {
        struct ad_resolver_name *name =
            &ad_resolver.names[(ad_resolver.next + i) % ad_resolver.n];

        if (name->waits) {
            ad_resolver.next = (ad_resolver.next + i + 1) % ad_resolver.n;
            ad_resolver.current = name;
            ad_resolver.question = name->engine->url;
            atomic_store(&ad_resolver.turn, AD_RESOLVER_ASKED);
            ad_thread_wake(&ad_resolver.thread);
            return;
        }
    }
}

/* Each turn. Returns an engine for which an answer has come, or NULL; *failed: 0,
 * or why there is none, as getaddrinfo() says it. */
static struct ad_upstream *ad_resolver_run(int *failed)
{
    struct ad_upstream *engine = NULL;

    *failed = 0;
    if (ad_resolver.n == 0) {
        return NULL;
    }
    if (atomic_load(&ad_resolver.turn) == AD_RESOLVER_ANSWERED) {
        engine = ad_resolver_take(failed);
    }
    if (atomic_load(&ad_resolver.turn) == AD_RESOLVER_FREE) {
        ad_resolver_next();
    }
    return engine;
}

/* Once a second: ask anew for what is too old. */
static void ad_resolver_housekeeping(void)
{
    unsigned i;

    for (i = 0; i < ad_resolver.n; i++) {
        struct ad_resolver_name *name = &ad_resolver.names[i];
        uint32_t limit_ms = name->failed ? AD_RESOLVER_RETRY_MS
                                         : AD_RESOLVER_FRESH_MS;

        if (!name->told || ad_hub.now_ms - name->told_ms >= limit_ms) {
            name->waits = true;
        }
    }
}

AD_MEMORY(resolver, AD_RESOLVER_NAMES, sizeof(ad_resolver));

#else

static bool ad_resolver_start(void)
{
    return true;
}

static void ad_resolver_stop(void)
{
}

#endif /* AIDASH_METER */

#endif
