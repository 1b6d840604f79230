/* An outbox: how long each address of a server is tried. The server is a listener that
 * nobody asks; a connection is there when the test says so. */
#include "../src/meter/outbox.c"
#include "check.h"

enum { ADDRESSES = 3 };

static uint8_t bytes[AD_OUTBOX_HEAD_MAX + 16];
static int n_ended;

static void ended(bool taken)
{
    CHECK(!taken);
    n_ended++;
}

/* A message to a server with ADDRESSES addresses is on its way. Returns the listener. */
static int begin(struct ad_outbox *o)
{
    struct ad_upstream to;
    struct sockaddr_in at;
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    unsigned i;

    memset(&at, 0, sizeof(at));
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(listener, (struct sockaddr *)&at, sizeof(at)) == 0);
    CHECK(listen(listener, 2 * ADDRESSES) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&at, &len) == 0);
    memset(&to, 0, sizeof(to));
    to.n_addresses = ADDRESSES;
    for (i = 0; i < ADDRESSES; i++) {
        memcpy(&to.addresses[i].storage, &at, len);
        to.addresses[i].len = len;
    }
    ad_hub_init();
    CHECK(ad_hub_open() == NULL);
    ad_hub.now_ns = AD_NS_PER_S;
    ad_outbox_init();
    ad_outbox_set(o, "test", &to, bytes, 16, ended);
    ad_outbox_send(o, 2, "text/plain", "");
    return listener;
}

static void end(int listener)
{
    ad_outbox_end();
    ad_hub_close();
    (void)close(listener);
}

/* So many milliseconds later, the number of the address that is tried, from 1; 0: none. */
static unsigned later(struct ad_outbox *o, uint32_t ms)
{
    ad_hub.now_ms += ms;
    ad_hub.now_ns += ms * AD_NS_PER_MS;
    ad_outbox_housekeeping();
    return ad_dial_has_fd(&o->fetch.dial) ? o->fetch.dial.next : 0;
}

/* Each address has AD_CONNECT_MS of its own. */
static void test_addresses(void)
{
    struct ad_outbox *o = &ad_outboxes[AD_OUTBOX_ALERTS];
    int listener = begin(o);
    unsigned i;

    CHECK_EQ(later(o, 0), 1);
    for (i = 1; i <= ADDRESSES; i++) {
        CHECK_EQ(later(o, 1000), i);
        CHECK_EQ(later(o, AD_CONNECT_MS - 1001), i);
        CHECK_EQ(later(o, 1), i < ADDRESSES ? i + 1 : 0);
    }
    CHECK_EQ(o->tries, 1);
    CHECK(o->busy && o->next_ns != 0); /* it is tried again */
    CHECK_EQ(n_ended, 0);
    end(listener);
}

/* And AD_OUTBOX_MS for all, once it has taken the connection. */
static void test_answer(void)
{
    struct ad_outbox *o = &ad_outboxes[AD_OUTBOX_ALERTS];
    int listener = begin(o);

    CHECK_EQ(later(o, 0), 1);
    CHECK_EQ(later(o, AD_CONNECT_MS), 2);
    ad_outbox_event(AD_OUTBOX_ALERTS);
    CHECK_EQ(o->fetch.dial.step, AD_DIAL_OPEN);
    CHECK_EQ(later(o, AD_OUTBOX_MS - 1), 2);
    CHECK_EQ(later(o, 1), 0);
    CHECK(o->busy && o->next_ns != 0);
    end(listener);
}

int main(void)
{
    test_addresses();
    test_answer();
    return check_report();
}
