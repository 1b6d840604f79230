/* base/log.c: a log that nobody reads costs lines, not time; and lines that repeat. */
#include "../src/base/log.c"
#include "check.h"

static char got[1 << 20];
static int reader;

/* What stderr took since the last call. */
static const char *taken(void)
{
    size_t len = 0;
    ssize_t n;

    while ((n = read(reader, got + len, sizeof(got) - 1 - len)) > 0) {
        len += (size_t)n;
    }
    got[len] = '\0';
    return got;
}

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;

    while ((text = strstr(text, what)) != NULL) {
        n++;
        text += strlen(what);
    }
    return n;
}

static void fill(void)
{
    static const char zeros[4096];

    (void)fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
    while (write(STDERR_FILENO, zeros, sizeof(zeros)) > 0) {
    }
    (void)fcntl(STDERR_FILENO, F_SETFL, 0); /* a write to it waits from now on */
}

static void test_lines(void)
{
    ad_log_to(AIDASH_LOG_INFO, NULL, NULL);
    ad_log(AIDASH_LOG_INFO, "one %d", 1);
    ad_log(AIDASH_LOG_ERROR, "two");
    ad_log(AIDASH_LOG_DEBUG, "three");
    CHECK_STR(taken(), "aidash: one 1\naidash: error: two\n");
    ad_log_set_level(AIDASH_LOG_DEBUG);
    ad_log(AIDASH_LOG_DEBUG, "three");
    CHECK_STR(taken(), "aidash: debug: three\n");
}

/* A line is cut at 511 bytes. */
static void test_long(void)
{
    char line[AD_LOG_LINE_MAX + 2], expected[AD_LOG_LINE_MAX + 32];

    ad_log_to(AIDASH_LOG_INFO, NULL, NULL);
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    ad_log(AIDASH_LOG_INFO, "%s", line);
    (void)snprintf(expected, sizeof(expected), "aidash: %.*s\n",
                   AD_LOG_LINE_MAX - 1, line);
    CHECK_STR(taken(), expected);
}

static void test_full(void)
{
    const char *text;
    unsigned i, lost = 0;

    ad_log_to(AIDASH_LOG_INFO, NULL, NULL);
    fill();
    for (i = 0; i < 1000; i++) {
        ad_log(AIDASH_LOG_INFO, "line %03u", i);
    }
    ad_log_housekeeping();
    (void)taken();
    ad_log_housekeeping();
    text = taken();
    CHECK(strncmp(text, "aidash: line 000\naidash: line 001\n", 34) == 0);
    CHECK_EQ(count(text, "aidash: line "), AD_LOG_RING / 17);
    CHECK_EQ(count(text, "were lost"), 1);
    text = strstr(text, "aidash: warn: ");
    CHECK(text != NULL && sscanf(text, "aidash: warn: %u lines", &lost) == 1);
    CHECK_EQ(lost, 1000 - AD_LOG_RING / 17);
    ad_log(AIDASH_LOG_INFO, "after");
    CHECK_STR(taken(), "aidash: after\n");
}

/* Through all places of the ring. */
static void test_ring(void)
{
    char expected[64];
    unsigned i;

    ad_log_to(AIDASH_LOG_INFO, NULL, NULL);
    for (i = 0; i < 3 * AD_LOG_RING; i += 1 + i % 7) {
        ad_log(AIDASH_LOG_INFO, "%.*s %u", (int)(i % 9), "abcdefghi", i);
        (void)snprintf(expected, sizeof(expected), "aidash: %.*s %u\n",
                       (int)(i % 9), "abcdefghi", i);
        CHECK_STR(taken(), expected);
    }
}

/* Let the seconds of all recent lines be over. */
static void second_passes(void)
{
    size_t i;

    for (i = 0; i < AD_LOG_RECENT; i++) {
        ad_logging.recent[i].logged_ns -= AD_NS_PER_S;
    }
}

static void test_repeats(void)
{
    unsigned i;

    ad_log_to(AIDASH_LOG_INFO, NULL, NULL);
    for (i = 0; i < 100; i++) {
        ad_log(AIDASH_LOG_INFO, "again");
        ad_log(AIDASH_LOG_WARN, "again");
    }
    CHECK_STR(taken(), "aidash: again\naidash: warn: again\n");
    ad_log_housekeeping();
    CHECK_STR(taken(), "");
    second_passes();
    ad_log_housekeeping();
    CHECK(count(taken(), "again (99 more)\n") == 2);
    ad_log(AIDASH_LOG_INFO, "again");
    CHECK_STR(taken(), "");
    second_passes();
    ad_log_housekeeping();
    CHECK_STR(taken(), "aidash: again (1 more)\n");
    second_passes();
    ad_log_housekeeping();
    CHECK_STR(taken(), "");
    ad_log(AIDASH_LOG_INFO, "again");
    CHECK_STR(taken(), "aidash: again\n");

    /* The count of a line is told before its place is taken. */
    ad_log(AIDASH_LOG_INFO, "again");
    for (i = 0; i < AD_LOG_RECENT; i++) {
        ad_log(AIDASH_LOG_INFO, "other %u", i);
    }
    CHECK(count(taken(), "aidash: again (1 more)\n") == 1);
}

/* Lines that differ behind what is shown again are different lines. */
static void test_differ_late(void)
{
    char line[AD_LOG_RECENT_CAP + 20];

    ad_log_to(AIDASH_LOG_INFO, NULL, NULL);
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    ad_log(AIDASH_LOG_INFO, "%s1", line);
    ad_log(AIDASH_LOG_INFO, "%s2", line);
    CHECK_EQ(count(taken(), "\n"), 2);
}

/* A stderr that nobody will read any more, or that is closed. */
static void test_gone(void)
{
    unsigned i;

    ad_log_to(AIDASH_LOG_INFO, NULL, NULL);
    (void)close(reader);
    for (i = 0; i < 1000; i++) {
        ad_log(AIDASH_LOG_INFO, "line %u", i);
    }
    (void)close(STDERR_FILENO);
    for (i = 0; i < 1000; i++) {
        ad_log(AIDASH_LOG_INFO, "line %u", i);
    }
    CHECK_EQ(ad_logging.len, 0);
    CHECK_EQ(ad_logging.lost, 0);
}

int main(void)
{
    int ends[2];

    (void)alarm(60); /* what waits for ever ends by a signal */
    (void)signal(SIGPIPE, SIG_IGN);
    if (pipe(ends) != 0) {
        return 1;
    }
    (void)dup2(ends[1], STDERR_FILENO);
    (void)close(ends[1]);
    reader = ends[0];
    (void)fcntl(reader, F_SETFL, O_NONBLOCK);
    test_lines();
    test_long();
    test_full();
    test_ring();
    test_repeats();
    test_differ_late();
    test_gone();
    return check_report();
}
