/* log.c - one line at a time to stderr, or to the program that embeds aidash.
 * Owns ad_logging. Any thread. Call it without a lock held. Never log a payload.
 */
#ifndef AD_BASE_LOG_C
#define AD_BASE_LOG_C

#include "platform.h"

static struct {
    _Atomic int level; /* [a] enum aidash_log_level */
    void (*on_log)(enum aidash_log_level level, const char *text, void *user);
    void *user; /* [I] of on_log */
} ad_logging;

static const char *const ad_log_names[] = {"", "error", "warn", "info",
                                           "debug"};

/* One line to the configured log. */
static void AD_PRINTF(2, 3)
    ad_log(enum aidash_log_level level, const char *fmt, ...)
{
    char line[512];
    va_list args;

    if ((int)level > atomic_load(&ad_logging.level)) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    if (ad_logging.on_log != NULL) {
        ad_logging.on_log(level, line, ad_logging.user);
    } else if (level == AIDASH_LOG_INFO) {
        (void)fprintf(stderr, "aidash: %s\n", line);
    } else {
        (void)fprintf(stderr, "aidash: %s: %s\n", ad_log_names[level], line);
    }
}

/* Log lines up to this level from now on. Any thread. */
static void ad_log_set_level(enum aidash_log_level level)
{
    atomic_store(&ad_logging.level, (int)level);
}

/* Log lines up to this level, to `on_log` or, if it is NULL, to stderr. */
static void ad_log_to(enum aidash_log_level level,
                      void (*on_log)(enum aidash_log_level level,
                                     const char *text, void *user),
                      void *user)
{
    ad_log_set_level(level);
    ad_logging.on_log = on_log;
    ad_logging.user = user;
}

#endif
