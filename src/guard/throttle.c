/* throttle.c - how often an address may do what costs us, or what is a guess.
 * Owns ad_throttled and ad_throttles. Hub thread only. Called by accept.c, by
 * exchanges.c, and by whoever checks a credential.
 *
 * A budget is a token bucket: it holds `burst`, and gets one back every period_ns.
 * What is kept of it is the time at which it is full again (the generic cell rate
 * algorithm, ITU-T I.371 annex A), so a budget that nobody used needs no entry.
 * Where all ways of a set are taken, the address whose budgets are full the soonest
 * is forgotten: what is remembered of others can't be pushed out by who does little.
 */
#ifndef AD_GUARD_THROTTLE_C
#define AD_GUARD_THROTTLE_C

#include "../base/clock.c"
#include "../base/memory.h"

enum ad_budget {
    AD_BUDGET_CONNECT, /* connections that are served */
    AD_BUDGET_REFUSE,  /* those beyond, that are told so */
    AD_BUDGET_COMMAND, /* POST /command; a WebSocket has a bucket of its own */
    AD_BUDGET_FAIL,    /* wrong credentials */
    AD_BUDGETS
};

/* The budget's size, and the time in which one of it comes back. */
struct ad_rate_limit {
    uint32_t burst;
    uint64_t period_ns;
};

static const struct ad_rate_limit ad_budgets[AD_BUDGETS] = {
    [AD_BUDGET_CONNECT] = {AIDASH_CONNECT_BURST, AD_NS_PER_S / AIDASH_CONNECT_RATE},
    [AD_BUDGET_REFUSE] = {20, AD_NS_PER_S / 20},
    [AD_BUDGET_COMMAND] = {AIDASH_COMMAND_BURST, AD_NS_PER_S / AIDASH_COMMAND_RATE},
    [AD_BUDGET_FAIL] = {AIDASH_FAIL_BURST, AD_NS_PER_S * AIDASH_FAIL_S},
};

enum { AD_THROTTLED_WAYS = 4 };
_Static_assert(AIDASH_THROTTLED % AD_THROTTLED_WAYS == 0,
               "AIDASH_THROTTLED must be a multiple of 4");

struct ad_throttled {
    uint64_t address;
    uint64_t full_ns[AD_BUDGETS]; /* when it is full; past: it is */
};

static struct ad_throttled
    ad_throttled[AIDASH_THROTTLED / AD_THROTTLED_WAYS][AD_THROTTLED_WAYS];

static struct {
    uint64_t beyond[AD_BUDGETS]; /* how often a budget was used up */
} ad_throttles;

/* ---- one bucket, wherever it is kept ---- */

/* Nanoseconds until it has one to give; 0: it has. */
static uint64_t ad_bucket_wait(uint64_t full_ns, struct ad_rate_limit limit,
                               uint64_t now_ns)
{
    uint64_t lacking = full_ns > now_ns ? full_ns - now_ns : 0;
    uint64_t most = (limit.burst - 1) * limit.period_ns;

    return lacking > most ? lacking - most : 0;
}

/* Take one. False if it is empty; then nothing is taken. */
static bool ad_bucket_take(uint64_t *full_ns, struct ad_rate_limit limit,
                           uint64_t now_ns)
{
    if (ad_bucket_wait(*full_ns, limit, now_ns) > 0) {
        return false;
    }
    *full_ns = (*full_ns > now_ns ? *full_ns : now_ns) + limit.period_ns;
    return true;
}

/* ---- addresses: as ad_address_key() has them ---- */

static struct ad_throttled *ad_throttle_set(uint64_t address)
{
    /* Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4). */
    return ad_throttled[(address * 0x9E3779B97F4A7C15ull >> 32) %
                        AD_COUNT(ad_throttled)];
}

/* When all of its budgets are full. */
static uint64_t ad_throttle_full_ns(const struct ad_throttled *t)
{
    uint64_t at = 0;
    unsigned i;

    for (i = 0; i < AD_BUDGETS; i++) {
        at = t->full_ns[i] > at ? t->full_ns[i] : at;
    }
    return at;
}

/* What is known of the address, or NULL. */
static struct ad_throttled *ad_throttle_find(uint64_t address)
{
    struct ad_throttled *set = ad_throttle_set(address);
    unsigned i;

    for (i = 0; i < AD_THROTTLED_WAYS; i++) {
        if (set[i].address == address) {
            return &set[i];
        }
    }
    return NULL;
}

/* The same, remembered from now on. */
static struct ad_throttled *ad_throttle_entry(uint64_t address)
{
    struct ad_throttled *found = ad_throttle_find(address);
    struct ad_throttled *set = ad_throttle_set(address);
    unsigned i;

    if (found != NULL) {
        return found;
    }
    found = set;
    for (i = 1; i < AD_THROTTLED_WAYS; i++) {
        if (ad_throttle_full_ns(&set[i]) < ad_throttle_full_ns(found)) {
            found = &set[i];
        }
    }
    memset(found, 0, sizeof(*found));
    found->address = address;
    return found;
}

/* Take one of the address's budget. False if it is used up. */
static bool ad_throttle_take(enum ad_budget budget, uint64_t address,
                             uint64_t now_ns)
{
    if (ad_bucket_take(&ad_throttle_entry(address)->full_ns[budget],
                       ad_budgets[budget], now_ns)) {
        return true;
    }
    ad_throttles.beyond[budget]++;
    return false;
}

/* Seconds until the address's budget has one to give, rounded up: what Retry-After
 * says. 0: it has one. */
static unsigned ad_throttle_wait_s(enum ad_budget budget, uint64_t address,
                                   uint64_t now_ns)
{
    const struct ad_throttled *t = ad_throttle_find(address);
    uint64_t ns = t == NULL ? 0
                            : ad_bucket_wait(t->full_ns[budget],
                                             ad_budgets[budget], now_ns);

    return (unsigned)((ns + AD_NS_PER_S - 1) / AD_NS_PER_S);
}

/* ---- credentials ----
 *
 * A right key or token comes in from any address at any time: it can't be guessed,
 * and so somebody who guesses locks out nobody else behind the same address. What
 * the budget limits is the answers to wrong ones, and the tries of what is short
 * enough to be guessed: a pairing code is looked at only while
 * ad_throttle_blocked() is 0. */

/* A credential from this address was wrong. Returns 0: say so (401, 403); else how
 * many seconds it has to wait: answer 429 with Retry-After. */
static inline unsigned ad_throttle_failed(uint64_t address, uint64_t now_ns)
{
    return ad_throttle_take(AD_BUDGET_FAIL, address, now_ns)
               ? 0
               : ad_throttle_wait_s(AD_BUDGET_FAIL, address, now_ns);
}

/* Has it had too many wrong ones? Returns the seconds to wait; 0: no. */
static inline unsigned ad_throttle_blocked(uint64_t address, uint64_t now_ns)
{
    return ad_throttle_wait_s(AD_BUDGET_FAIL, address, now_ns);
}

/* Before each run. */
static void ad_throttle_init(void)
{
    memset(ad_throttled, 0, sizeof(ad_throttled));
    memset(&ad_throttles, 0, sizeof(ad_throttles));
}

AD_MEMORY(throttled, AIDASH_THROTTLED, sizeof(ad_throttled));

#endif
