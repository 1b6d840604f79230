/* Whose place is given to another: against a plain list of all places, with few
 * and many addresses, that come and go at random. */
#define AIDASH_PENDING 32
#include "../src/core/shares.c"
#include "check.h"

enum { ROUNDS = 20000 };

static struct {
    bool taken;
    uint64_t address;
    unsigned since; /* the round */
} expected[AIDASH_PENDING];

static unsigned random_below(unsigned n)
{
    static uint32_t x = 2463534242u; /* Marsaglia's xorshift32 */

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x % n;
}

static unsigned places_of(uint64_t address)
{
    unsigned i, n = 0;

    for (i = 0; i < AIDASH_PENDING; i++) {
        n += expected[i].taken && expected[i].address == address;
    }
    return n;
}

/* Is the victim of an address with the most places, and its oldest? */
static bool victim_ok(void)
{
    uint16_t v = ad_share_victim();
    unsigned i, most = 0;

    for (i = 0; i < AIDASH_PENDING; i++) {
        unsigned n = expected[i].taken ? places_of(expected[i].address) : 0;

        most = n > most ? n : most;
    }
    if (most == 0 || v == AD_NO_PLACE) {
        return most == 0 && v == AD_NO_PLACE;
    }
    if (!expected[v].taken || places_of(expected[v].address) != most) {
        return false;
    }
    for (i = 0; i < AIDASH_PENDING; i++) {
        if (expected[i].taken && expected[i].address == expected[v].address &&
            expected[i].since < expected[v].since) {
            return false;
        }
    }
    return true;
}

static void leave(unsigned place)
{
    ad_share_remove(place);
    expected[place].taken = false;
    ad_peer_close(-1, expected[place].address);
}

static void test_random(unsigned addresses)
{
    unsigned i, wrong = 0;

    for (i = 0; i < ROUNDS; i++) {
        unsigned place = random_below(AIDASH_PENDING);
        /* Fill and empty it by turns. */
        bool more = random_below(4) < (i / 200 % 2 == 0 ? 3u : 1u);

        if (more && !expected[place].taken) {
            expected[place].taken = true;
            expected[place].address = random_below(addresses);
            expected[place].since = i;
            (void)ad_peer_open(expected[place].address);
            ad_share_add(place, expected[place].address);
        } else if (!more && expected[place].taken) {
            leave(place);
        }
        wrong += ad_share_has(place) != expected[place].taken;
        wrong += !victim_ok();
    }
    for (i = 0; i < AIDASH_PENDING; i++) {
        if (expected[i].taken) {
            leave(i);
            wrong += !victim_ok();
        }
    }
    CHECK_EQ(wrong, 0);
    CHECK_EQ(ad_share_victim(), AD_NO_PLACE);
}

/* A newcomer is the victim only if it is alone. */
static void test_newcomer(void)
{
    unsigned i;

    for (i = 0; i < AIDASH_PENDING; i++) {
        (void)ad_peer_open(i);
        ad_share_add(i, i);
        CHECK_EQ(ad_share_victim(), 0);
    }
    for (i = 0; i < AIDASH_PENDING; i++) {
        CHECK_EQ(ad_share_victim(), i);
        ad_share_remove(i);
        ad_peer_close(-1, i);
    }
}

int main(void)
{
    test_newcomer();
    test_random(1);
    test_random(2);
    test_random(5);
    test_random(1000);
    return check_report();
}
