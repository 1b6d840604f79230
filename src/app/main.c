/* main.c - the command line, unless AIDASH_NO_MAIN. */
#ifndef AD_APP_MAIN_C
#define AD_APP_MAIN_C

#include "api.c"
#include "doctor.c"

#ifndef AIDASH_NO_MAIN

static int ad_run(void)
{
    struct aidash_config config = {0};
    double rate = 0, seed = 0, backlog = 0, per_address = 0;
    struct rlimit files;
    sigset_t signals;
    int rc, signal_number;
#if AIDASH_METER
    double inflight = 0, queue = 0;

    if (!ad_option_number("upstream-timeout", 1, 86400, false,
                          &config.upstream_timeout_s) ||
        !ad_option_number("max-inflight", 1, AIDASH_FLOWS, true, &inflight) ||
        !ad_option_number("queue", 0, AIDASH_FLOWS, true, &queue) ||
        !ad_option_number("queue-timeout", 1, 86400, false,
                          &config.queue_timeout_s)) {
        return AD_EXIT_USAGE;
    }
    config.upstream = ad_option_value("upstream");
    config.upstream_key_file = ad_option_value("upstream-key-file");
    config.scrape = ad_option_value("scrape");
    config.max_inflight = (unsigned)inflight;
    config.queue = ad_option_value("queue") != NULL && queue == 0
                       ? -1
                       : (int)queue;
#endif

    if (!ad_option_source(&config.source) ||
        !ad_option_level(&config.log_level) ||
        !ad_option_number("rate", 0.001, 10000, false, &rate) ||
        !ad_option_number("seed", 0, 9007199254740992.0, true, &seed) ||
        !ad_option_number("backlog", 1, AIDASH_EVENTS / 2.0, true, &backlog) ||
        !ad_option_number("per-address", 0, 65535, true, &per_address)) {
        return AD_EXIT_USAGE;
    }
    config.listen = ad_option_value("listen");
    config.models = ad_option_value("models");
    config.udp = ad_option_value("udp");
    config.allow_origin = ad_option_value("allow-origin");
    config.allow_host = ad_option_value("allow-host");
    config.trust_proxy = ad_option_value("trust-proxy");
    config.rate_hz = rate;
    config.seed = (uint64_t)seed;
    config.backlog = (unsigned)backlog;
    config.per_address = (unsigned)per_address;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    rc = aidash_start(&config);
    if (rc != 0) {
        ad_print_failure(rc);
        return rc == AIDASH_EBIND    ? AD_EXIT_BIND
               : rc == AIDASH_EINVAL ? AD_EXIT_USAGE
                                     : AD_EXIT_FAILED;
    }
    while (sigwait(&signals, &signal_number) != 0) {
    }
    aidash_stop();
    return AD_EXIT_OK;
}

int main(int argc, char **argv)
{
    const char *file = NULL;
    int i;
#if AIDASH_METER
    bool doctor = argc > 1 && strcmp(argv[1], "doctor") == 0;

    argc -= doctor;
    argv += doctor;
#endif
    /* The file's name is needed before the rest can be read in its order. */
    file = getenv("AIDASH_CONFIG");
    for (i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--config=", 9) == 0) {
            file = argv[i] + 9;
        } else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) {
            file = argv[i + 1];
        }
    }
    if ((file != NULL && file[0] != '\0' && !ad_options_file(file)) ||
        !ad_options_env() || !ad_options_args(argc, argv)) {
        return AD_EXIT_USAGE;
    }
    if (ad_option_flag("help")) {
        ad_print_help();
        return AD_EXIT_OK;
    }
    if (ad_option_flag("version")) {
        printf("aidash " AIDASH_VERSION "\n");
        return AD_EXIT_OK;
    }
    if (ad_option_flag("sizes")) {
        aidash_print_sizes();
        return AD_EXIT_OK;
    }
#if AIDASH_METER
    if (doctor) {
        return ad_doctor();
    }
#endif
    return ad_run();
}

#endif /* AIDASH_NO_MAIN */

#endif
