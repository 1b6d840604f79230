/* The table of peers' addresses, small and full, against a plain list: with
 * addresses that collide, around the end of the table, opened and closed at
 * random. */
#define AIDASH_PENDING 8
#define AIDASH_CLIENTS 8
#define AIDASH_EXCHANGES 8
#define AIDASH_FLOWS 8
#include "../src/core/peers.c"
#include "check.h"

enum { ADDRESSES = AD_PEERS_MAX, ROUNDS = 10000 };

static uint64_t addresses[ADDRESSES];
static unsigned expected[ADDRESSES]; /* how many sockets each has */

static unsigned random_below(unsigned n)
{
    static uint32_t x = 2463534242u; /* Marsaglia's xorshift32 */

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x % n;
}

/* Addresses whose home is one of `width` slots from `home` on. */
static void choose(unsigned home, unsigned width)
{
    uint64_t address = 1;
    unsigned n = 0;

    memset(expected, 0, sizeof(expected));
    while (n < ADDRESSES) {
        unsigned from = (ad_peer_home(address) + AD_PEERS_SLOTS - home) %
                        AD_PEERS_SLOTS;

        if (from < width) {
            addresses[n++] = address;
        }
        address++;
    }
}

static unsigned wrong_counts(void)
{
    unsigned i, wrong = 0;

    for (i = 0; i < ADDRESSES; i++) {
        wrong += ad_peers[ad_peer_slot(addresses[i])].n != expected[i];
    }
    return wrong;
}

static unsigned slots_taken(void)
{
    unsigned i, taken = 0;

    for (i = 0; i < AD_PEERS_SLOTS; i++) {
        taken += ad_peers[i].n > 0;
    }
    return taken;
}

static void test_random(unsigned home, unsigned width)
{
    unsigned i, k, wrong = 0, most = 0, sockets = 0;

    choose(home, width);
    for (i = 0; i < ROUNDS; i++) {
        /* Fill it and empty it by turns. */
        bool open = random_below(4) < (i / 200 % 2 == 0 ? 3u : 1u);

        k = random_below(ADDRESSES);
        if (open && sockets < AD_PEERS_MAX) {
            wrong += ad_peer_open(addresses[k]) != ++expected[k];
            sockets++;
        } else if (expected[k] > 0) {
            ad_peer_close(-1, addresses[k]);
            expected[k]--;
            sockets--;
        }
        wrong += wrong_counts();
        most = slots_taken() > most ? slots_taken() : most;
    }
    CHECK_EQ(wrong, 0);
    CHECK(most > ADDRESSES / 2);
    for (k = 0; k < ADDRESSES; k++) {
        while (expected[k] > 0) {
            ad_peer_close(-1, addresses[k]);
            expected[k]--;
        }
        CHECK_EQ(wrong_counts(), 0);
    }
    CHECK_EQ(slots_taken(), 0);
}

/* All at one slot, the last of the table; the first, the middle, the last one
 * goes first. */
static void test_one_home(void)
{
    unsigned first, i, k;

    for (first = 0; first < ADDRESSES; first++) {
        choose(AD_PEERS_SLOTS - 1, 1);
        for (i = 0; i < ADDRESSES; i++) {
            CHECK_EQ(ad_peer_open(addresses[i]), 1);
            expected[i] = 1;
        }
        CHECK_EQ(slots_taken(), ADDRESSES);
        for (i = 0; i < ADDRESSES; i++) {
            k = (first + i) % ADDRESSES;
            ad_peer_close(-1, addresses[k]);
            expected[k] = 0;
            CHECK_EQ(wrong_counts(), 0);
        }
        CHECK_EQ(slots_taken(), 0);
    }
}

/* The socket is closed. */
static void test_closes(void)
{
    int fds[2];
    char byte;

    CHECK(pipe(fds) == 0);
    CHECK_EQ(ad_peer_open(0), 1); /* any key is an address, 0 too */
    CHECK_EQ(ad_peer_open(0), 2);
    ad_peer_close(fds[1], 0);
    CHECK_EQ(read(fds[0], &byte, 1), 0);
    ad_peer_close(fds[0], 0);
    CHECK_EQ(slots_taken(), 0);
}

int main(void)
{
    test_closes();
    test_one_home();
    test_random(0, AD_PEERS_SLOTS);
    test_random(AD_PEERS_SLOTS - 3, 6);
    test_random(AD_PEERS_SLOTS - 1, 1);
    test_random(10, 4);
    return check_report();
}
