#ifndef AD_BASE_LOG_C
#define AD_BASE_LOG_C

/* ==== 4 UTIL ============================================================= */

/* Time, log and bounded text, for every section. Any thread. */

static uint64_t ad_clock_ns(clockid_t clock)
{
    struct timespec ts;

    (void)clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * AD_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static const char *const ad_log_names[] = {"", "error", "warn", "info",
                                           "debug"};

/* One line to the configured log. Never a payload, never under a lock. */
static void AD_PRINTF(2, 3)
    ad_log(enum aidash_log_level level, const char *fmt, ...)
{
    char line[512];
    va_list args;

    if (level > ad_set.log_level) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    if (ad_set.config.on_log != NULL) {
        ad_set.config.on_log(level, line, ad_set.config.user);
    } else if (level == AIDASH_LOG_INFO) {
        (void)fprintf(stderr, "aidash: %s\n", line);
    } else {
        (void)fprintf(stderr, "aidash: %s: %s\n", ad_log_names[level], line);
    }
}

#endif
