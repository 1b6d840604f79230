/* log.c - lines to stderr, or to the program that embeds aidash.
 * Owns ad_logging, ad_log_ring. Any thread. Call it without a lock held. Never
 * log a payload.
 *
 * Who logs never waits for who reads stderr: a line goes into a ring, and from
 * there to stderr as far as stderr takes it. A full ring loses new lines, counted
 * and reported. A line that repeats is logged once a second, with how many more there
 * were.
 */
#ifndef AD_BASE_LOG_C
#define AD_BASE_LOG_C

#include "clock.c"

enum {
    AD_LOG_LINE_MAX = 512, /* bytes of a line with its NUL; the rest is cut off */
    AD_LOG_RING = 4096,    /* bytes that wait for stderr */
    AD_LOG_PIECE = 1024,   /* bytes written at once: PIPE_BUF is more on Linux */
    AD_LOG_RECENT = 8,     /* different lines that are known to repeat */
    AD_LOG_RECENT_CAP = 160 /* bytes of such a line that are shown again */
};

/* A line that was logged less than a second ago. */
struct ad_log_recent {
    enum aidash_log_level level;
    char text[AD_LOG_RECENT_CAP];
    uint32_t hash; /* of the whole line */
    uint64_t logged_ns;
    unsigned more; /* how often it came since */
};

static struct {
    _Atomic int level; /* [a] enum aidash_log_level */
    void (*on_log)(enum aidash_log_level level, const char *text, void *user);
    void *user; /* [I] of on_log */
    pthread_mutex_t lock; /* of all below; never held across a system call */
    struct ad_log_recent recent[AD_LOG_RECENT];
    bool writing;    /* a thread takes bytes out of the ring */
    size_t at, len;  /* what waits in the ring */
    uint64_t lost;   /* lines, since the last that said so */
} ad_logging = {.lock = PTHREAD_MUTEX_INITIALIZER};

static char ad_log_ring[AD_LOG_RING]; /* under ad_logging.lock */

static const char *const ad_log_names[] = {"", "error", "warn", "info",
                                           "debug"};

/* ---- to stderr ---- */

/* Write without waiting. Returns how many bytes stderr took: 0 when it takes none
 * now, -1 when it never will. */
static ssize_t ad_log_write(const char *bytes, size_t len)
{
    struct pollfd stream = {STDERR_FILENO, POLLOUT, 0};
    ssize_t n = send(STDERR_FILENO, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0 && errno == ENOTSOCK) {
        /* A pipe that is ready takes PIPE_BUF bytes at once (POSIX, write()). */
        n = 0;
        if (poll(&stream, 1, 0) == 1) {
            n = (stream.revents & POLLOUT) != 0
                    ? write(STDERR_FILENO, bytes, len) : -1;
        }
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        n = 0;
    }
    return n;
}

/* Append a line to the ring. False if it has no room. Under the lock. */
static bool ad_log_append_locked(const char *line, size_t len)
{
    size_t i;

    if (len > AD_LOG_RING - ad_logging.len) {
        return false;
    }
    for (i = 0; i < len; i++) {
        ad_log_ring[(ad_logging.at + ad_logging.len++) % AD_LOG_RING] = line[i];
    }
    return true;
}

/* If lines were lost and there is room again, say so. Under the lock. */
static void ad_log_tell_lost_locked(void)
{
    char line[96];
    int n;

    if (ad_logging.lost == 0) {
        return;
    }
    n = snprintf(line, sizeof(line),
                 "aidash: warn: %llu lines of the log were lost: standard error "
                 "was full\n",
                 (unsigned long long)ad_logging.lost);
    if (ad_log_append_locked(line, (size_t)n)) {
        ad_logging.lost = 0;
    }
}

/* Write what waits in the ring, as far as stderr takes it. One thread at a time:
 * another's lines are written by the one that is at it. */
static void ad_log_drain(void)
{
    (void)pthread_mutex_lock(&ad_logging.lock);
    while (!ad_logging.writing && ad_logging.len > 0) {
        const char *from = ad_log_ring + ad_logging.at;
        size_t len = ad_logging.len;
        ssize_t n;

        if (len > AD_LOG_RING - ad_logging.at) {
            len = AD_LOG_RING - ad_logging.at;
        }
        len = len < AD_LOG_PIECE ? len : AD_LOG_PIECE;
        ad_logging.writing = true;
        (void)pthread_mutex_unlock(&ad_logging.lock);
        n = ad_log_write(from, len);
        (void)pthread_mutex_lock(&ad_logging.lock);
        ad_logging.writing = false;
        if (n == 0) {
            break;
        }
        len = n > 0 ? (size_t)n : ad_logging.len; /* nobody will read it */
        ad_logging.at = (ad_logging.at + len) % AD_LOG_RING;
        ad_logging.len -= len;
        ad_log_tell_lost_locked();
    }
    (void)pthread_mutex_unlock(&ad_logging.lock);
}

/* One line to where the log goes. */
static void ad_log_put(enum aidash_log_level level, const char *text)
{
    char line[AD_LOG_LINE_MAX + 32];
    int n;

    if (ad_logging.on_log != NULL) {
        ad_logging.on_log(level, text, ad_logging.user);
        return;
    }
    if (level == AIDASH_LOG_INFO) {
        n = snprintf(line, sizeof(line), "aidash: %s\n", text);
    } else {
        n = snprintf(line, sizeof(line), "aidash: %s: %s\n", ad_log_names[level],
                     text);
    }
    (void)pthread_mutex_lock(&ad_logging.lock);
    if (ad_logging.lost > 0 || !ad_log_append_locked(line, (size_t)n)) {
        ad_logging.lost++;
    }
    (void)pthread_mutex_unlock(&ad_logging.lock);
    ad_log_drain();
}

/* ---- lines that repeat ---- */

/* Take the count of a recent line, if its second is over and it came again: into
 * *out. Under the lock. */
static bool ad_log_recent_over_locked(struct ad_log_recent *r, uint64_t now_ns,
                                      struct ad_log_recent *out)
{
    if (r->more == 0 || now_ns - r->logged_ns < AD_NS_PER_S) {
        return false;
    }
    *out = *r;
    r->more = 0;
    r->logged_ns = now_ns;
    return true;
}

static void ad_log_put_more(const struct ad_log_recent *r)
{
    char text[AD_LOG_RECENT_CAP + 48];

    (void)snprintf(text, sizeof(text), "%s (%u more)", r->text, r->more);
    ad_log_put(r->level, text);
}

/* FNV-1a. */
static uint32_t ad_log_hash(const char *text)
{
    uint32_t hash = 2166136261u;

    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * 16777619u;
    }
    return hash;
}

/* Was this line logged less than a second ago? Then it is counted; else it is
 * remembered in place of the oldest, whose count goes to *over. */
static bool ad_log_repeats(enum aidash_log_level level, const char *text,
                           struct ad_log_recent *over)
{
    uint64_t now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    struct ad_log_recent *oldest = &ad_logging.recent[0];
    uint32_t hash = ad_log_hash(text);
    size_t i;

    (void)pthread_mutex_lock(&ad_logging.lock);
    for (i = 0; i < AD_LOG_RECENT; i++) {
        struct ad_log_recent *r = &ad_logging.recent[i];

        if (r->level == level && r->hash == hash &&
            strncmp(r->text, text, AD_LOG_RECENT_CAP - 1) == 0) {
            if (now_ns - r->logged_ns < AD_NS_PER_S || r->more > 0) {
                r->more++;
                (void)pthread_mutex_unlock(&ad_logging.lock);
                return true;
            }
            oldest = r;
            break;
        }
        if (r->logged_ns < oldest->logged_ns) {
            oldest = r;
        }
    }
    *over = *oldest;
    oldest->level = level;
    oldest->hash = hash;
    (void)snprintf(oldest->text, sizeof(oldest->text), "%.*s",
                   AD_LOG_RECENT_CAP - 1, text);
    oldest->logged_ns = now_ns;
    oldest->more = 0;
    (void)pthread_mutex_unlock(&ad_logging.lock);
    return false;
}

/* ---- what others call ---- */

/* One line to the configured log. */
static void AD_PRINTF(2, 3)
    ad_log(enum aidash_log_level level, const char *fmt, ...)
{
    char text[AD_LOG_LINE_MAX];
    struct ad_log_recent over;
    va_list args;

    if ((int)level > atomic_load(&ad_logging.level)) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (ad_log_repeats(level, text, &over)) {
        return;
    }
    if (over.more > 0) {
        ad_log_put_more(&over);
    }
    ad_log_put(level, text);
}

/* Once a second, and at the end of a run: the counts of lines that repeated, and
 * what stderr did not take before. */
static void ad_log_housekeeping(void)
{
    uint64_t now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    size_t i;

    for (i = 0; i < AD_LOG_RECENT; i++) {
        struct ad_log_recent over;
        bool is_over;

        (void)pthread_mutex_lock(&ad_logging.lock);
        is_over = ad_log_recent_over_locked(&ad_logging.recent[i], now_ns, &over);
        (void)pthread_mutex_unlock(&ad_logging.lock);
        if (is_over) {
            ad_log_put_more(&over);
        }
    }
    ad_log_drain();
}

/* Log lines up to this level from now on. Any thread. */
static void ad_log_set_level(enum aidash_log_level level)
{
    atomic_store(&ad_logging.level, (int)level);
}

/* Log lines up to this level, to `on_log` or, if it is NULL, to stderr. While
 * starting. */
static void ad_log_to(enum aidash_log_level level,
                      void (*on_log)(enum aidash_log_level level,
                                     const char *text, void *user),
                      void *user)
{
    ad_log_set_level(level);
    ad_logging.on_log = on_log;
    ad_logging.user = user;
    memset(ad_logging.recent, 0, sizeof(ad_logging.recent));
}

AD_MEMORY(log, 1, sizeof(ad_logging) + sizeof(ad_log_ring));

#endif
