/* browse.c - --peer mdns: which boards are announced in the LAN. `avahi-browse` knows:
 * it runs as a child every AD_BROWSE_EVERY_MS, prints all boards that there are, and
 * ends. A thread of its own runs it, as a program may be on a disk that hangs.
 * Owns ad_browse. The thread's but for `on`, start and stop (the starting thread), and
 * ad_browse_ready() and ad_browse_done() (the hub thread).
 * Always: the list is the thread's to write, unless the turn is the hub's.
 */
#ifndef AD_FLEET_BROWSE_C
#define AD_FLEET_BROWSE_C

#include "../base/thread.c"
#include "../codec/announced.c"
#include "../core/hub.c"

#if AD_FLEET && AIDASH_METER

enum {
    AD_BROWSE_MAX = 2 * AIDASH_PEERS, /* lines that count: a board has one for each of
                                       * its addresses */
    AD_BROWSE_BYTES = 1 << 20, /* that the child may print */
    AD_BROWSE_MS = 20000,     /* that it may take */
    AD_BROWSE_LOOK_MS = 100,  /* until it is asked whether the thread is to leave */
    AD_BROWSE_EVERY_MS = 5000 / AD_HASTE,
    AD_BROWSE_BACKOFF_MS = 80000 / AD_HASTE, /* the longest wait after it has failed */
    AD_BROWSE_WHY_MAX = 127
};

static struct {
    bool on;                /* [I] */
    _Atomic bool is_hubs;   /* [a] the list is the hub's */
    struct ad_thread thread;
    unsigned n;
    struct ad_announced list[AD_BROWSE_MAX];
    size_t len;             /* of the line so far */
    bool skip;              /* it is too long */
    char line[AD_ANNOUNCED_LINE];
    char why[AD_BROWSE_WHY_MAX + 1]; /* what it said that is no board */
    char told[AD_BROWSE_WHY_MAX + 1]; /* what the log has of that */
} ad_browse;

/* ---- the thread ---- */

static void ad_browse_line(const char *line, size_t len)
{
    size_t i;

    if (len > 0 && line[0] == '=') {
        if (ad_browse.n < AD_BROWSE_MAX &&
            ad_announced_parse(line, len, &ad_browse.list[ad_browse.n])) {
            ad_browse.n++;
        }
    } else if (len > 0 && line[0] != '+' && line[0] != '-' && ad_browse.why[0] == '\0') {
        for (i = 0; i < len && i < AD_BROWSE_WHY_MAX; i++) {
            ad_browse.why[i] = line[i] >= ' ' && line[i] <= '~' ? line[i] : '?';
        }
        ad_browse.why[i] = '\0';
    }
}

/* Bytes that it printed. */
static void ad_browse_take(const char *in, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        if (in[i] == '\n') {
            if (!ad_browse.skip) {
                ad_browse_line(ad_browse.line, ad_browse.len);
            }
            ad_browse.len = 0;
            ad_browse.skip = false;
        } else if (ad_browse.len == sizeof(ad_browse.line)) {
            ad_browse.skip = true;
        } else {
            ad_browse.line[ad_browse.len++] = in[i];
        }
    }
}

/* The variables that it gets: where programs are, and the system's bus. What else there
 * is, such as aidash's own options, is not for it. */
static void ad_browse_environment(char *out[], size_t max)
{
    static char language[] = "LC_ALL=C";
    static const char *const names[] = {"PATH=", "LD_LIBRARY_PATH=",
                                        "DBUS_SYSTEM_BUS_ADDRESS="};
    size_t i, k, n = 0;

    out[n++] = language;
    for (i = 0; environ != NULL && environ[i] != NULL; i++) {
        for (k = 0; k < AD_COUNT(names) && n + 1 < max; k++) {
            if (strncmp(environ[i], names[k], strlen(names[k])) == 0) {
                out[n++] = environ[i];
            }
        }
    }
    out[n] = NULL;
}

/* Start it; *fd: what it prints. Returns 0, or an errno. */
static int ad_browse_spawn(pid_t *pid, int *fd)
{
    static const char *const argv[] = {"avahi-browse", "--parsable", "--resolve",
                                       "--ignore-local", "--terminate", "_aidash._tcp",
                                       NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char *environment[8];
    sigset_t none, all;
    int ends[2], rc;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        return errno;
    }
    /* This end alone: what the child prints waits for us, and is not cut. */
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    ad_browse_environment(environment, AD_COUNT(environment));
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawnattr_setpgroup(&attributes, 0); /* it ends with its own children */
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK |
                                   POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    (void)posix_spawn_file_actions_init(&actions);
    rc = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (rc == 0) {
        rc = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    }
    if (rc == 0) {
        rc = posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    }
    if (rc == 0) {
        rc = posix_spawnp(pid, argv[0], &actions, &attributes, (char *const *)argv,
                          environment);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    (void)close(ends[1]);
    *fd = ends[0];
    if (rc != 0) {
        (void)close(ends[0]);
    }
    return rc;
}

/* Read all that it prints. False: it took too long, printed too much, or the thread is
 * to leave. */
static bool ad_browse_read(int fd)
{
    uint64_t end_ns = ad_clock_ns(CLOCK_MONOTONIC) + AD_BROWSE_MS * (uint64_t)AD_NS_PER_MS;
    struct pollfd one = {fd, POLLIN, 0};
    size_t bytes = 0;
    char in[512];
    ssize_t n = 1;

    while (n != 0) {
        if (!ad_thread_runs(&ad_browse.thread) || bytes > AD_BROWSE_BYTES ||
            ad_clock_ns(CLOCK_MONOTONIC) >= end_ns) {
            return false;
        }
        (void)poll(&one, 1, AD_BROWSE_LOOK_MS);
        n = read(fd, in, sizeof(in));
        if (n > 0) {
            ad_browse_take(in, (size_t)n);
            bytes += (size_t)n;
        } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* Run it once. True: the list has all boards that there are. */
static bool ad_browse_once(void)
{
    int fd = -1, rc;
    pid_t pid = 0;
    siginfo_t end;
    bool all;

    ad_browse.n = 0;
    ad_browse.len = 0;
    ad_browse.skip = false;
    ad_browse.why[0] = '\0';
    rc = ad_browse_spawn(&pid, &fd);
    if (rc != 0) {
        (void)snprintf(ad_browse.why, sizeof(ad_browse.why), "%s%s", strerror(rc),
                       rc == ENOENT ? ": install avahi-utils (Debian, Ubuntu, Raspberry Pi "
                                      "OS) or avahi-tools (Fedora)" : "");
        return false;
    }
    all = ad_browse_read(fd);
    (void)close(fd);
    /* If the system has waited for it already (SIGCHLD is ignored), its number may be
     * another's now. */
    if (waitid(P_PID, (id_t)pid, &end, WEXITED | WNOHANG | WNOWAIT) == 0) {
        (void)kill(-pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    if (!all) {
        (void)snprintf(ad_browse.why, sizeof(ad_browse.why), "it does not come to an end");
    }
    return all && (ad_browse.n > 0 || ad_browse.why[0] == '\0');
}

static void ad_browse_say(bool good)
{
    if (!good && ad_thread_runs(&ad_browse.thread) &&
        strcmp(ad_browse.told, ad_browse.why) != 0) {
        ad_log(AIDASH_LOG_WARN, "peer: mdns: avahi-browse tells of no boards: %s; trying again",
               ad_browse.why);
    }
    (void)snprintf(ad_browse.told, sizeof(ad_browse.told), "%s",
                   good ? "" : ad_browse.why);
}

static void *ad_browse_main(void *unused)
{
    unsigned wait_ms = AD_BROWSE_EVERY_MS;
    bool good;

    while (ad_thread_runs(&ad_browse.thread)) {
        if (!atomic_load(&ad_browse.is_hubs)) {
            good = ad_browse_once();
            ad_browse_say(good);
            if (good) {
                atomic_store(&ad_browse.is_hubs, true);
            }
            wait_ms = good                                 ? AD_BROWSE_EVERY_MS
                      : wait_ms * 2 < AD_BROWSE_BACKOFF_MS ? wait_ms * 2
                                                           : AD_BROWSE_BACKOFF_MS;
        }
        if (ad_thread_runs(&ad_browse.thread)) {
            (void)ad_thread_sleep_ms(&ad_browse.thread, wait_ms);
        }
    }
    return unused;
}

/* ---- start and stop ---- */

/* Before each run. */
static void ad_browse_init(void)
{
    memset(&ad_browse, 0, sizeof(ad_browse));
}

/* Look for boards from now on, if the configuration says so. False if the system has no
 * thread. */
static bool ad_browse_start(void)
{
    return !ad_browse.on || ad_thread_start(&ad_browse.thread, ad_browse_main);
}

static void ad_browse_stop(void)
{
    ad_thread_stop(&ad_browse.thread);
}

/* ---- the hub thread ---- */

/* Is there a list of all boards that has not been read? Then it may be, until
 * ad_browse_done(). */
static bool ad_browse_ready(void)
{
    return atomic_load(&ad_browse.is_hubs);
}

static void ad_browse_done(void)
{
    atomic_store(&ad_browse.is_hubs, false);
}

AD_MEMORY(browse, AD_BROWSE_MAX, sizeof(ad_browse));

#else

static bool ad_browse_start(void)
{
    return true;
}

static void ad_browse_stop(void)
{
}

#endif /* AD_FLEET && AIDASH_METER */

#endif
