/* How much of its input a source takes in one go: others' bytes wait for it. */
#include "../src/core/sources.c"
#include "begin_hub.h"
#include "check.h"

/* Send a datagram of `n` times `line`. */
static void send_lines(int fd, const char *line, unsigned n)
{
    static char bytes[AIDASH_SCRATCH];
    size_t len = strlen(line), at = 0;

    while (n-- > 0) {
        CHECK(at + len <= sizeof(bytes));
        memcpy(bytes + at, line, len);
        at += len;
    }
    CHECK(send(fd, bytes, at, 0) == (ssize_t)at);
}

/* A large datagram of lines that make no event: garbage, blank lines, numbers out of
 * their range. */
static void test_turns(void)
{
    static const char *const lines[] = {"x\n", " \n", "{\"tokens\":-1}\n"};
    int fd[2], bytes = 1 << 20;
    size_t i;

    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd) == 0);
    (void)setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    for (i = 0; i < AD_COUNT(lines); i++) {
        unsigned n = 60000 / (unsigned)strlen(lines[i]), turns = 0;
        size_t before = 0, most = 0;

        send_lines(fd[0], lines[i], n);
        do {
            ad_udp_event(fd[1]);
            if (ad_sources.datagram_at - before > most) {
                most = ad_sources.datagram_at - before;
            }
            before = ad_sources.datagram_at;
            turns++;
        } while (ad_sources_wait());
        CHECK_EQ(most, AD_LINES_MAX * strlen(lines[i]));
        CHECK_EQ(turns, (n + AD_LINES_MAX - 1) / AD_LINES_MAX);
        CHECK_EQ(ad_sources.datagram_at, n * strlen(lines[i]));
    }
    (void)close(fd[0]);
    (void)close(fd[1]);
}

/* Many small datagrams, and what a turn leaves of one: none is lost. */
static void test_all_taken(void)
{
    int fd[2], i;

    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd) == 0);
    ad_sources.lines = ad_sources.errors = 0;
    for (i = 0; i < 5; i++) {
        send_lines(fd[0], "x\n", i == 2 ? 1000 : 3);
    }
    for (i = 0; i < 10; i++) {
        uint64_t before = ad_sources.lines;

        ad_udp_event(fd[1]);
        CHECK(ad_sources.lines - before <= AD_LINES_MAX);
    }
    CHECK_EQ(ad_sources.lines, 1012);
    CHECK_EQ(ad_sources.errors, 1012);
    CHECK(!ad_sources_wait());
    (void)close(fd[0]);
    (void)close(fd[1]);
}

int main(void)
{
    begin_hub(NULL);
    test_turns();
    test_all_taken();
    return check_report();
}
