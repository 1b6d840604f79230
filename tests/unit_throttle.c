/* The budgets of an address, at their edges: the last that is given, the first that
 * is not, the moment at which one comes back; and who is forgotten when more
 * addresses come than there are places. */
#define AIDASH_THROTTLED 16
#include "../src/guard/throttle.c"
#include "check.h"

#define S AD_NS_PER_S

static uint64_t now_ns = 1000 * S;

/* How many of it the address gets now, until it is refused. */
static unsigned taken(enum ad_budget budget, uint64_t address)
{
    unsigned n = 0;

    while (n < 100000 && ad_throttle_take(budget, address, now_ns)) {
        n++;
    }
    return n;
}

static void test_edges(void)
{
    unsigned b;

    for (b = 0; b < AD_BUDGETS; b++) {
        struct ad_rate_limit limit = ad_budgets[b];

        ad_throttle_init();
        CHECK_EQ(taken((enum ad_budget)b, 7), limit.burst);
        CHECK_EQ(ad_throttles.beyond[b], 1);
        CHECK(ad_throttle_wait_s((enum ad_budget)b, 7, now_ns) >= 1);
        now_ns += limit.period_ns - 1;
        CHECK_EQ(taken((enum ad_budget)b, 7), 0);
        CHECK_EQ(ad_throttle_wait_s((enum ad_budget)b, 7, now_ns), 1);
        now_ns += 1;
        CHECK_EQ(ad_throttle_wait_s((enum ad_budget)b, 7, now_ns), 0);
        CHECK_EQ(taken((enum ad_budget)b, 7), 1);
        now_ns += 3 * limit.period_ns;
        CHECK_EQ(taken((enum ad_budget)b, 7), 3);
        now_ns += 2 * limit.burst * limit.period_ns; /* full, and no fuller */
        CHECK_EQ(taken((enum ad_budget)b, 7), limit.burst);
    }
}

/* One budget is not another one, and one address not another one. */
static void test_apart(void)
{
    ad_throttle_init();
    CHECK_EQ(taken(AD_BUDGET_COMMAND, 7), AIDASH_COMMAND_BURST);
    CHECK_EQ(taken(AD_BUDGET_CONNECT, 7), AIDASH_CONNECT_BURST);
    CHECK_EQ(taken(AD_BUDGET_COMMAND, 8), AIDASH_COMMAND_BURST);
    CHECK_EQ(taken(AD_BUDGET_COMMAND, 0), AIDASH_COMMAND_BURST);
}

static void test_credentials(void)
{
    unsigned i;

    ad_throttle_init();
    CHECK_EQ(ad_throttle_blocked(7, now_ns), 0);
    for (i = 0; i < AIDASH_FAIL_BURST; i++) {
        CHECK_EQ(ad_throttle_failed(7, now_ns), 0);
    }
    CHECK_EQ(ad_throttle_blocked(7, now_ns), AIDASH_FAIL_S);
    CHECK_EQ(ad_throttle_failed(7, now_ns), AIDASH_FAIL_S);
    CHECK_EQ(ad_throttle_blocked(7, now_ns), AIDASH_FAIL_S); /* no longer than that */
    now_ns += S;
    CHECK_EQ(ad_throttle_blocked(7, now_ns), AIDASH_FAIL_S - 1);
    CHECK_EQ(ad_throttle_blocked(8, now_ns), 0);
    now_ns += (AIDASH_FAIL_S - 1) * S;
    CHECK_EQ(ad_throttle_blocked(7, now_ns), 0);
    CHECK_EQ(ad_throttle_failed(7, now_ns), 0);
    CHECK_EQ(ad_throttle_blocked(7, now_ns), AIDASH_FAIL_S);
    CHECK_EQ(ad_throttles.beyond[AD_BUDGET_FAIL], 1);
}

/* Addresses without number, each of which does little, push out none that has used
 * up its budget. */
static void test_many(void)
{
    uint64_t address;

    ad_throttle_init();
    CHECK_EQ(taken(AD_BUDGET_FAIL, 7), AIDASH_FAIL_BURST);
    for (address = 100; address < 10000; address++) {
        CHECK(ad_throttle_take(AD_BUDGET_CONNECT, address, now_ns));
        CHECK(ad_throttle_failed(address, now_ns) == 0);
    }
    CHECK_EQ(taken(AD_BUDGET_FAIL, 7), 0);
    CHECK_EQ(ad_throttle_blocked(7, now_ns), AIDASH_FAIL_S);
    now_ns += AIDASH_FAIL_BURST * AIDASH_FAIL_S * S; /* it is as good as new: a place is free */
    for (address = 100; address < 200; address++) {
        CHECK_EQ(ad_throttle_failed(address, now_ns), 0);
    }
    CHECK(ad_throttle_find(7) == NULL);
}

int main(void)
{
    test_edges();
    test_apart();
    test_credentials();
    test_many();
    return check_report();
}
