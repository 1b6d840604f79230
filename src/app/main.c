/* main.c - the command line, unless AIDASH_NO_MAIN. */
#ifndef AD_APP_MAIN_C
#define AD_APP_MAIN_C

#include "alert.c"
#include "api.c"
#include "bench.c"
#include "doctor.c"
#include "keys.c"
#include "pair.c"
#include "top.c"

#ifndef AIDASH_NO_MAIN

#if defined(__linux__) && !defined(__GLIBC__)
#include <link.h>
#include <sys/mman.h>

/* Of a program that is loaded: what was relocated at the start, tables of functions
 * among it, is not written from now on (PT_GNU_RELRO). */
static int ad_protect_program(struct dl_phdr_info *program, size_t size, void *unused)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    unsigned i;

    (void)size;
    (void)unused;
    for (i = 0; i < program->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &program->dlpi_phdr[i];
        uintptr_t begin = program->dlpi_addr + part->p_vaddr;
        uintptr_t end = begin + part->p_memsz;

        if (part->p_type == PT_GNU_RELRO) {
            begin -= begin % page;
            end -= end % page;
            (void)mprotect((void *)begin, end - begin, PROT_READ);
        }
    }
    return 0;
}

/* musl does so in its dynamic loader alone, and this program has none; where another
 * one has done so before, nothing changes. */
static void ad_protect(void)
{
    (void)dl_iterate_phdr(ad_protect_program, NULL);
}
#else
static void ad_protect(void)
{
}
#endif

/* The options into *config; config's texts are those of *o. False when one is
 * wrong, which was printed. */
static bool ad_options_config(const struct ad_options *o,
                              struct aidash_config *config)
{
    uint64_t backlog = 0, per_address = 0;

    if (!ad_option_source(o, &config->source) ||
        !ad_option_level(o, &config->log_level) ||
        !ad_option_number(o, "rate", 0.001, 10000, &config->rate_hz) ||
        !ad_option_whole(o, "seed", 0, 9007199254740992 /* 2^53 */,
                         &config->seed) ||
        !ad_option_whole(o, "backlog", 1, AIDASH_EVENTS / 2, &backlog) ||
        !ad_option_whole(o, "per-address", 0, 65535, &per_address)) {
        return false;
    }
    config->listen = ad_option_value(o, "listen");
    config->models = ad_option_value(o, "models");
    config->title = ad_option_value(o, "title");
    config->udp = ad_option_value(o, "udp");
    config->allow_origin = ad_option_value(o, "allow-origin");
    config->allow_frame = ad_option_value(o, "allow-frame");
    config->allow_host = ad_option_value(o, "allow-host");
    config->trust_proxy = ad_option_value(o, "trust-proxy");
#if AIDASH_TLS
    config->jwt_secret_file = ad_option_value(o, "jwt-secret-file");
    config->jwt_key_file = ad_option_value(o, "jwt-key-file");
    config->jwt_audience = ad_option_value(o, "jwt-audience");
    config->jwt_issuer = ad_option_value(o, "jwt-issuer");
#endif
#if AIDASH_HISTORY
    config->history_file = ad_option_value(o, "history-file");
#endif
#if AIDASH_BOARD
    config->sysroot = ad_option_value(o, "sysroot");
#endif
    config->no_board = ad_option_flag(o, "no-board");
#if AIDASH_ALERTS
    config->alerts = ad_option_value(o, "alert");
#endif
    config->backlog = (unsigned)backlog;
    config->per_address = (unsigned)per_address;
    config->state_dir = ad_option_value(o, "state-dir");
    return true;
}

#if AIDASH_TLS

/* Those of TLS, likewise. */
static bool ad_options_tls(const struct ad_options *o,
                           struct aidash_config *config)
{
    uint64_t hsts_s = 0;

    if (!ad_option_whole(o, "hsts", 0, 4294967295u, &hsts_s)) {
        return false;
    }
    config->tls_cert = ad_option_value(o, "tls-cert");
    config->tls_key = ad_option_value(o, "tls-key");
    config->hsts_s = (unsigned)hsts_s;
    return true;
}

#else

static bool ad_options_tls(const struct ad_options *o,
                           struct aidash_config *config)
{
    (void)o;
    (void)config;
    return true;
}

#endif

#if AIDASH_METER

/* The meter's options, likewise. */
static bool ad_options_meter(const struct ad_options *o,
                             struct aidash_config *config)
{
    uint64_t max_inflight = 0, queue = 0;

#if AIDASH_ENERGY
    if (!ad_option_number(o, "price-kwh", 0, 1e6, &config->price_kwh)) {
        return false;
    }
#endif
    if (!ad_option_number(o, "upstream-timeout", 1, 86400,
                          &config->upstream_timeout_s) ||
        !ad_option_whole(o, "max-inflight", 1, AIDASH_FLOWS, &max_inflight) ||
        !ad_option_whole(o, "queue", 0, AIDASH_FLOWS, &queue) ||
        !ad_option_number(o, "queue-timeout", 1, 86400,
                          &config->queue_timeout_s)) {
        return false;
    }
    config->upstream = ad_option_value(o, "upstream");
    config->upstream_key_file = ad_option_value(o, "upstream-key-file");
    config->upstream_ca = ad_option_value(o, "upstream-ca");
    config->upstream_pin = ad_option_value(o, "upstream-pin");
    config->scrape = ad_option_value(o, "scrape");
    config->quota = ad_option_value(o, "quota");
#if AIDASH_OTLP
    config->otlp = ad_option_value(o, "otlp");
#endif
#if AD_FLEET
    config->forward = ad_option_value(o, "forward");
    config->as_node = ad_option_value(o, "as-node");
    config->forward_key_file = ad_option_value(o, "forward-key-file");
    config->peer = ad_option_value(o, "peer");
    config->peer_key_file = ad_option_value(o, "peer-key-file");
#endif
#if AIDASH_ALERTS
    config->alert_url = ad_option_value(o, "alert-url");
    config->alert_format = ad_option_value(o, "alert-format");
    config->alert_key_file = ad_option_value(o, "alert-key-file");
#endif
    config->max_inflight = (unsigned)max_inflight;
    config->queue = (int)queue;
    if (queue == 0 && ad_option_value(o, "queue") != NULL) {
        config->queue = -1; /* "--queue 0": no queue */
    }
    return true;
}

#else

static bool ad_options_meter(const struct ad_options *o,
                             struct aidash_config *config)
{
    (void)o;
    (void)config;
    return true;
}

#endif

/* As many open files as the system allows. */
static void ad_raise_file_limit(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* Each option of an addon that was given to it. False when one is wrong, which it
 * has printed. */
static bool ad_options_addon(const struct ad_options *o)
{
    int i;

    for (i = AD_OPTIONS_OWN; i < ad_options_n(); i++) {
        const struct ad_option option = ad_option_at(i);

        if (o->given[i].set &&
            (option.kind != AD_OPT_FLAG || ad_option_flag(o, option.name)) &&
            ad_addon.given->option(option.name, o->given[i].value,
                                   o->given[i].written) != 0) {
            return false;
        }
    }
    return true;
}

/* All options into *config; config's texts are those of *o. */
static bool ad_options_all(const struct ad_options *o,
                           struct aidash_config *config)
{
    memset(config, 0, sizeof(*config));
    if (ad_addon.given != NULL && ad_addon.given->configure(config) != 0) {
        return false;
    }
    return ad_options_meter(o, config) && ad_options_config(o, config) &&
           ad_options_rights(o, config) &&
           ad_options_tls(o, config);
}

/* SIGHUP: read the options again, and use those that can change while it runs.
 * Those of *o and *config stay when one is wrong, which is printed. */
static void ad_reread(struct ad_options *o, struct aidash_config *config,
                      int argc, char **argv)
{
    struct ad_options fresh = {0};
    struct aidash_config changed;
    int rc = 0;

    if (!ad_options_read(&fresh, argc, argv) ||
        !ad_options_all(&fresh, &changed)) {
        ad_log(AIDASH_LOG_ERROR, "the options stay as they were");
        return;
    }
    rc = ad_reconfigure(&changed, config);
    if (rc != 0) {
        ad_print_failure(&fresh, rc);
        ad_log(AIDASH_LOG_ERROR, "the options stay as they were");
        return;
    }
    *o = fresh;
    (void)ad_options_all(o, config); /* its texts are those of *o */
    ad_log(AIDASH_LOG_INFO, "options read again: log-level, allow-origin, "
                            "allow-host, trust-proxy, upstream-ca, upstream-pin, and "
                            "the files of tls-cert and tls-key; others need a new "
                            "start");
}

/* Block the signals that end the program, or let it read its config again. A
 * SIGHUP that is ignored (nohup) stays so. */
static void ad_block_signals(sigset_t *signals)
{
    struct sigaction hangup;

    (void)sigemptyset(signals);
    (void)sigaddset(signals, SIGINT);
    (void)sigaddset(signals, SIGTERM);
    if (sigaction(SIGHUP, NULL, &hangup) == 0 &&
        hangup.sa_handler != SIG_IGN) {
        (void)sigaddset(signals, SIGHUP);
    }
    (void)sigprocmask(SIG_BLOCK, signals, NULL);
}

/* Serve until a signal comes. Returns the exit code. */
static int ad_run(struct ad_options *o, int argc, char **argv)
{
    struct aidash_config config;
    sigset_t signals;
    int rc, signal_number = 0;

    if (!ad_options_addon(o) || !ad_options_all(o, &config)) {
        return AD_EXIT_USAGE;
    }
    ad_raise_file_limit();
    ad_block_signals(&signals);
    rc = aidash_start(&config);
    if (rc != 0) {
        ad_print_failure(o, rc);
        return ad_exit_code(rc);
    }
    if (ad_addon.given != NULL && ad_addon.given->started() != 0) {
        aidash_stop();
        return AD_EXIT_FAILED;
    }
    for (;;) {
        if (sigwait(&signals, &signal_number) != 0) {
            continue;
        }
        /* Without a config file, it says that the terminal is gone. */
        if (signal_number != SIGHUP || ad_config_file(argc, argv) == NULL) {
            break;
        }
        ad_reread(o, &config, argc, argv);
    }
    if (ad_addon.given != NULL) {
        ad_addon.given->stopping();
    }
    aidash_stop();
    return AD_EXIT_OK;
}

int aidash_main(int argc, char **argv, const struct aidash_addon *addon)
{
    struct ad_options options = {0};
    bool doctor = false;
#if AIDASH_METER && AIDASH_ALERTS
    bool test = false;
#endif

    ad_protect();
    if (addon != NULL && !ad_addon_take(addon)) {
        return AD_EXIT_FAILED;
    }
    if (argc > 1 && strcmp(argv[1], "keys") == 0) {
        return ad_keys_main(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "pair") == 0) {
        return ad_pair_main(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "token") == 0) {
        return ad_token_main(argc - 1, argv + 1);
    }
#if AD_TOP
    if (argc > 1 && strcmp(argv[1], "top") == 0) {
        return ad_top_main(argc - 1, argv + 1);
    }
#endif
#if AIDASH_METER
    if (argc > 1 && strcmp(argv[1], "bench") == 0) {
        return ad_bench_main(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "doctor") == 0) {
        doctor = true;
        argc--;
        argv++;
    }
#if AIDASH_ALERTS
    if (argc > 1 && strcmp(argv[1], "alert") == 0) {
        if (argc == 2 || (strcmp(argv[2], "test") != 0 && argv[2][0] != '-')) {
            (void)fprintf(stderr, "aidash alert: write aidash alert test --alert-url "
                                  "URL, which sends a test\n");
            return AD_EXIT_USAGE;
        }
        test = true;
        argc -= argv[2][0] == '-' ? 1 : 2;
        argv += argv[2][0] == '-' ? 1 : 2;
    }
#endif
#endif
    if (!ad_options_read(&options, argc, argv)) {
        return AD_EXIT_USAGE;
    }
    if (ad_option_flag(&options, "help")) {
        ad_print_help();
        return AD_EXIT_OK;
    }
    if (ad_option_flag(&options, "version")) {
        printf("%s " AIDASH_VERSION "\n", ad_program());
        return AD_EXIT_OK;
    }
    if (ad_option_flag(&options, "sizes")) {
        aidash_print_sizes();
        return AD_EXIT_OK;
    }
#if AIDASH_METER && AIDASH_ALERTS
    if (test) {
        return ad_alert_test(&options);
    }
#endif
    return doctor ? ad_doctor(&options) : ad_run(&options, argc, argv);
}

/* The GNU linkers print this where another object calls aidash_start_sized(): in a
 * program that has aidash inside (ld's manual: .gnu.warning.SYMBOL). */
__attribute__((section(".gnu.warning.aidash_start_sized"), used)) static const char
    ad_main_warning[] = "aidash.c was compiled without -DAIDASH_NO_MAIN: its command "
                        "line is in this program, too";

/* Weak: such a program links, and its own main() is the one that runs. */
__attribute__((weak)) int main(int argc, char **argv)
{
    return aidash_main(argc, argv, NULL);
}

#endif /* AIDASH_NO_MAIN */

#endif
