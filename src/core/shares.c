/* shares.c - the pending places in which a peer keeps us waiting, by its address:
 * so that whoever has the most of them is found at once when one is needed.
 * Owns ad_shares. Hub thread only. Called by pending.c.
 *
 * Each step takes the same time however many places there are, as a flood of
 * connections takes one for each of them. Numbers of shares and places here begin
 * with 1, so that zeroed memory is valid, and its pages are untouched until used.
 */
#ifndef AD_CORE_SHARES_C
#define AD_CORE_SHARES_C

#include "peers.c"

enum { AD_NO_PLACE = 65535 };
_Static_assert(AIDASH_PENDING < AD_NO_PLACE, "places are 16 bits wide");

/* A doubly linked list; the links are in its elements. 0: none. */
struct ad_share_list {
    uint16_t first, last;
};

struct ad_share_links {
    uint16_t before, after;
};

static struct {
    /* Of an address: the places that it has, the longest waiting first. */
    struct {
        uint64_t address;
        uint16_t n; /* 0: the share is free, and equal.after is another one */
        bool slow;  /* one of them was, see ad_share_mark_slow() */
        struct ad_share_list places;
        struct ad_share_links equal; /* among the shares with as many */
    } share[AIDASH_PENDING + 1];
    struct {
        uint16_t share;            /* 0: its peer does not keep us waiting */
        struct ad_share_links own; /* among the places of that share */
    } place[AIDASH_PENDING + 1];
    struct ad_share_list with[AIDASH_PENDING + 1]; /* shares, by their n */
    uint16_t most;   /* the greatest n */
    uint16_t free;   /* a free share that was used before */
    uint16_t n_used; /* shares ever used */
} ad_shares;

/* ---- lists ---- */

/* Put a share behind those that have as many places. */
static void ad_share_rank(uint16_t s)
{
    struct ad_share_list *list = &ad_shares.with[ad_shares.share[s].n];

    ad_shares.share[s].equal.before = list->last;
    ad_shares.share[s].equal.after = 0;
    if (list->last == 0) {
        list->first = s;
    } else {
        ad_shares.share[list->last].equal.after = s;
    }
    list->last = s;
}

/* Take what has these links out of its list. `before` and `after` are its neighbours'
 * links; where it has none, those of number 0, which is none. */
static void ad_share_cut(struct ad_share_list *list, struct ad_share_links links,
                         struct ad_share_links *before, struct ad_share_links *after)
{
    if (links.before == 0) {
        list->first = links.after;
    } else {
        before->after = links.after;
    }
    if (links.after == 0) {
        list->last = links.before;
    } else {
        after->before = links.before;
    }
}

static void ad_share_unrank(uint16_t s)
{
    struct ad_share_list *list = &ad_shares.with[ad_shares.share[s].n];
    struct ad_share_links links = ad_shares.share[s].equal;

    ad_share_cut(list, links, &ad_shares.share[links.before].equal,
                 &ad_shares.share[links.after].equal);
}

static void ad_share_append(uint16_t s, uint16_t place)
{
    struct ad_share_list *list = &ad_shares.share[s].places;

    ad_shares.place[place].share = s;
    ad_shares.place[place].own.before = list->last;
    ad_shares.place[place].own.after = 0;
    if (list->last == 0) {
        list->first = place;
    } else {
        ad_shares.place[list->last].own.after = place;
    }
    list->last = place;
}

static void ad_share_unlink(uint16_t s, uint16_t place)
{
    struct ad_share_list *list = &ad_shares.share[s].places;
    struct ad_share_links links = ad_shares.place[place].own;

    ad_shares.place[place].share = 0;
    ad_share_cut(list, links, &ad_shares.place[links.before].own,
                 &ad_shares.place[links.after].own);
}

/* A free share: there is one for each place. */
static uint16_t ad_share_take(void)
{
    uint16_t s = ad_shares.free;

    if (s == 0) {
        return ++ad_shares.n_used;
    }
    ad_shares.free = ad_shares.share[s].equal.after;
    return s;
}

/* ---- places: here their numbers begin with 0, as in pending.c ---- */

/* The peer in this place, of this address, keeps us waiting from now on. Its
 * socket is open. */
static void ad_share_add(unsigned place, uint64_t address)
{
    unsigned slot = ad_peer_slot(address);
    uint16_t s = ad_peers[slot].share;

    if (s == 0) {
        s = ad_share_take();
        ad_shares.share[s].address = address;
        ad_shares.share[s].slow = false;
        ad_peers[slot].share = s;
    } else {
        ad_share_unrank(s);
    }
    ad_share_append(s, (uint16_t)(place + 1));
    ad_shares.share[s].n++;
    ad_share_rank(s);
    if (ad_shares.share[s].n > ad_shares.most) {
        ad_shares.most = ad_shares.share[s].n;
    }
}

static bool ad_share_has(unsigned place)
{
    return ad_shares.place[place + 1].share != 0;
}

/* How many of these places has the address? */
static unsigned ad_share_places(uint64_t address)
{
    return ad_shares.share[ad_peers[ad_peer_slot(address)].share].n;
}

/* A peer of this address was slow, and others wait for its places: remembered as
 * long as it has any. */
static void ad_share_mark_slow(uint64_t address)
{
    ad_shares.share[ad_peers[ad_peer_slot(address)].share].slow = true;
}

static bool ad_share_is_slow(uint64_t address)
{
    return ad_shares.share[ad_peers[ad_peer_slot(address)].share].slow;
}

/* It does no longer, and its socket is still open. */
static void ad_share_remove(unsigned place)
{
    uint16_t s = ad_shares.place[place + 1].share;

    ad_share_unrank(s);
    ad_share_unlink(s, (uint16_t)(place + 1));
    ad_shares.share[s].n--;
    if (ad_shares.share[s].n > 0) {
        ad_share_rank(s);
    } else {
        ad_peers[ad_peer_slot(ad_shares.share[s].address)].share = 0;
        ad_shares.share[s].equal.after = ad_shares.free;
        ad_shares.free = s;
    }
    if (ad_shares.with[ad_shares.most].first == 0) {
        ad_shares.most--; /* who had the most has one less now, or none */
    }
}

/* Whose turn it is to give way: of the address that has the most, the place that
 * has kept us waiting the longest. AD_NO_PLACE: nobody does. The last to come is
 * named only if it is alone. */
static uint16_t ad_share_victim(void)
{
    uint16_t s = ad_shares.with[ad_shares.most].first;

    return ad_shares.most == 0
               ? (uint16_t)AD_NO_PLACE
               : (uint16_t)(ad_shares.share[s].places.first - 1);
}

AD_MEMORY(shares, AIDASH_PENDING, sizeof(ad_shares));

#endif
