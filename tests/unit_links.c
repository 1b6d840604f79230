/* Links between boards and gateways: when one is tried again; how fast it is read. */
#include "../src/fleet/fleet.c"
#include "begin_hub.h"
#include "check.h"

#if AIDASH_METER

#define S AD_NS_PER_S

static struct ad_link link_of;

/* The other side takes the link, and drops it so much later. Returns the longest time
 * until the next try, in ms. */
static unsigned up_for(uint64_t ns)
{
    ad_link_came_up(&link_of, "a link");
    CHECK(link_of.up);
    ad_hub.now_ns += ns;
    ad_link_went_down(&link_of, "a link", "closed the connection");
    CHECK(!link_of.up);
    return (unsigned)((link_of.next_ns - ad_hub.now_ns) / AD_NS_PER_MS);
}

/* Twice as long each time, also for a peer that takes each link and drops it. */
static void test_tries(void)
{
    unsigned i, ms, most = 1000;

    ad_hub.now_ns = 1000 * S;
    memset(&link_of, 0, sizeof(link_of));
    for (i = 1; i < 10; i++) {
        ms = up_for(0);
        CHECK_EQ(link_of.tries, i);
        CHECK(ms <= most && ms >= most / 2);
        most = most * 2 < 30000 ? most * 2 : 30000;
    }
    CHECK(up_for(AD_LINK_HELD_MS * AD_NS_PER_MS - 1) >= 15000);
    CHECK_EQ(link_of.tries, 10);
    CHECK(up_for(AD_LINK_HELD_MS * AD_NS_PER_MS) <= 1000);
    CHECK_EQ(link_of.tries, 1);
    /* One that can't be reached has no time in which it was up. */
    ad_hub.now_ns += 3600 * S;
    ad_link_went_down(&link_of, "a link", "can't be reached");
    CHECK_EQ(link_of.tries, 2);
    CHECK_EQ(link_of.ups, 11);
}

#endif

/* ---- how fast a board's link is read ---- */

static int board_fd; /* the board's side */

static void begin(void)
{
    static const struct ad_uplink none;
    struct ad_uplink *b = &ad_uplinks.list[0];
    int fds[2], size = 1 << 20;

    begin_hub(NULL);
    ad_nodes_init();
    ad_commands_init();
    ad_fleet_init();
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    (void)setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    *b = none;
    b->phase = AD_UPLINK_OPEN;
    b->fd = fds[0];
    b->ws.max = AD_LINK_MESSAGE;
    b->events = AD_IN;
    (void)snprintf(b->node, sizeof(b->node), "n");
    ad_uplinks.n_used = 1;
    board_fd = fds[1];
}

static void end(void)
{
    (void)close(ad_uplinks.list[0].fd);
    (void)close(board_fd);
}

/* The board sends a frame, whose mask is of zeros; it is read. */
static void say(unsigned opcode, const char *text, size_t len)
{
    static const uint8_t mask[4];
    uint8_t header[8];
    size_t n = ad_ws_client_header(header, opcode, len, mask);

    CHECK(write(board_fd, header, n) == (ssize_t)n);
    CHECK(write(board_fd, text, len) == (ssize_t)len);
    ad_uplink_event(0, AD_IN);
}

/* n events in one message; many of them are none, which costs as much. */
static void say_events(unsigned n)
{
    static char text[AD_LINK_MESSAGE];
    struct ad_text t = ad_text_in(text, sizeof(text));
    unsigned i;

    ad_puts(&t, "[");
    for (i = 0; i < n; i++) {
        ad_puts(&t, i == 0 ? "{\"event\":{\"event\":\"note\"}}" : ",1");
    }
    ad_puts(&t, "]");
    CHECK(!t.full);
    say(1, t.at, t.len);
}

static void test_rate(void)
{
    struct ad_uplink *b = &ad_uplinks.list[0];
    unsigned left = AIDASH_LINK_RATE;
    uint64_t taken;

    begin();
    for (; left > 1000; left -= 1000) { /* as many at once as in a second */
        say_events(1000);
        CHECK_EQ(b->events, AD_IN);
    }
    say_events(left - 1);
    CHECK_EQ(b->events, AD_IN);
    CHECK_EQ(ad_fleet_deadline(), UINT64_MAX);
    say_events(1); /* the last one */
    CHECK_EQ(b->events, 0);
    CHECK_EQ(b->pace.slowed, 1);
    taken = b->n_events + b->wrong;
    CHECK_EQ(taken, AIDASH_LINK_RATE);
    CHECK_EQ(ad_fleet_deadline(), ad_hub.now_ns + S / AIDASH_LINK_RATE);

    say_events(1); /* it stays where it is, whatever wakes the hub */
    ad_uplink_event(0, AD_IN | AD_HUP);
    ad_hub.now_ns += S / AIDASH_LINK_RATE - 1;
    ad_fleet_run();
    CHECK_EQ(b->events, 0);
    CHECK_EQ(b->n_events + b->wrong, taken);
    ad_hub.now_ns++;
    ad_fleet_run();
    CHECK_EQ(b->events, AD_IN);
    CHECK_EQ(ad_fleet_deadline(), UINT64_MAX);
    ad_uplink_event(0, AD_IN);
    CHECK_EQ(b->n_events + b->wrong, taken + 1); /* nothing was lost */
    CHECK_EQ(b->events, 0);

    /* A command goes out meanwhile. */
    CHECK(ad_uplink_send(b, 7, "{}", 2) == NULL);
    CHECK_EQ(b->events, AD_OUT);
    ad_uplink_event(0, AD_OUT);
    CHECK_EQ(b->out_len, 0);
    CHECK_EQ(b->events, 0);

    /* After a second without a word, all of it may come again. */
    ad_hub.now_ns += S;
    ad_fleet_run();
    CHECK_EQ(ad_bucket_wait(b->pace.full_ns, ad_link_rate, ad_hub.now_ns), 0);
    CHECK_EQ(b->events, AD_IN);
    end();
}

/* What is no event costs, too: bytes, pings. */
static void test_rate_of_bytes(void)
{
    static char spaces[AD_LINK_READ - 8];
    struct ad_uplink *b = &ad_uplinks.list[0];
    unsigned i;

    memset(spaces, ' ', sizeof(spaces));
    spaces[0] = '[';
    spaces[sizeof(spaces) - 1] = ']';
    begin();
    for (i = 0; i < AIDASH_LINK_RATE / 16; i++) {
        CHECK_EQ(b->events, AD_IN);
        say(1, spaces, sizeof(spaces));
    }
    CHECK_EQ(b->events, 0);
    end();
    begin();
    for (i = 0; i < AIDASH_LINK_RATE; i++) {
        CHECK_EQ(b->events, AD_IN);
        say(10, "", 0);
    }
    CHECK_EQ(b->events, 0);
    end();
}

int main(void)
{
    ad_log_set_level(AIDASH_LOG_ERROR);
    test_rate();
    test_rate_of_bytes();
    ad_hub_init();
#if AIDASH_METER
    test_tries();
#endif
    return check_report();
}
