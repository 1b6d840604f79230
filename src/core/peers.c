/* peers.c - accepted sockets, counted by the address of their peers.
 * Owns ad_peers. Hub thread only. Each socket that was accepted is closed by
 * ad_peer_close(), whichever part has it by then.
 */
#ifndef AD_CORE_PEERS_C
#define AD_CORE_PEERS_C

#include "../base/memory.h"
#include "../base/net.c"

#if AIDASH_METER
enum { AD_PEERS_PROXIED = AIDASH_FLOWS };
#else
enum { AD_PEERS_PROXIED = 0 };
#endif

enum {
    /* Accepted sockets at once. */
    AD_PEERS_MAX = AIDASH_PENDING + AIDASH_CLIENTS + AIDASH_EXCHANGES +
                   AD_PEERS_PROXIED + (AD_FLEET ? AIDASH_LINKS : 0),
    AD_PEERS_SLOTS = 2 * AD_PEERS_MAX + 1 /* of the table: at most half full */
};

/* Open addressing with linear probing; n == 0: free. */
static struct {
    uint64_t address;
    uint32_t n;
    uint16_t share;  /* of its pending places, or 0, see shares.c */
    uint16_t asking; /* its requests that wait for a worker */
} ad_peers[AD_PEERS_SLOTS];

/* Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4). */
static unsigned ad_peer_home(uint64_t address)
{
    return (unsigned)((address * 0x9E3779B97F4A7C15ull >> 32) % AD_PEERS_SLOTS);
}

/* Where the address is, or would be. */
static unsigned ad_peer_slot(uint64_t address)
{
    unsigned i = ad_peer_home(address);

    while (ad_peers[i].n > 0 && ad_peers[i].address != address) {
        i = (i + 1) % AD_PEERS_SLOTS;
    }
    return i;
}

/* A socket of this address was accepted. Returns how many it has now. */
static unsigned ad_peer_open(uint64_t address)
{
    unsigned i = ad_peer_slot(address);

    if (ad_peers[i].n == 0) {
        ad_peers[i].address = address;
        ad_peers[i].share = ad_peers[i].asking = 0;
    }
    ad_peers[i].n++;
    return ad_peers[i].n;
}

/* Close an accepted socket. The address is what ad_peer_open() got. */
static void ad_peer_close(int fd, uint64_t address)
{
    unsigned hole = ad_peer_slot(address), i = hole;

    (void)close(fd);
    ad_peers[hole].n--;
    if (ad_peers[hole].n > 0) {
        return;
    }
    /* Move up what would no longer be found behind the hole. */
    for (;;) {
        unsigned from_home, from_hole;

        i = (i + 1) % AD_PEERS_SLOTS;
        if (ad_peers[i].n == 0) {
            return;
        }
        from_home = (i + AD_PEERS_SLOTS - ad_peer_home(ad_peers[i].address)) %
                    AD_PEERS_SLOTS;
        from_hole = (i + AD_PEERS_SLOTS - hole) % AD_PEERS_SLOTS;
        if (from_home >= from_hole) {
            ad_peers[hole] = ad_peers[i];
            ad_peers[i].n = 0;
            hole = i;
        }
    }
}

AD_MEMORY(peers, AD_PEERS_MAX, sizeof(ad_peers));

#endif
