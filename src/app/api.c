/* api.c - what aidash.h declares, in its order.
 * Owns ad_life: whether the server runs, and who is inside a call that needs it.
 */
#ifndef AD_APP_API_C
#define AD_APP_API_C

#include "../base/lan.c"
#include "../web/seam.h"
#include "../web/status.c"
#include "config.c"
#include "loop.c"

enum { AD_STOPPED, AD_STARTING, AD_RUNNING, AD_STOPPING, AD_FORKED };

static struct {
    _Atomic int state;       /* [a] AD_STOPPED.. */
    _Atomic unsigned inside; /* [a] calls between ad_enter() and ad_leave() */
    bool hears_forks;        /* ad_forked() is registered */
} ad_life;

static void ad_leave(void)
{
    atomic_fetch_sub(&ad_life.inside, 1);
}

/* Begin a call that needs the server. False if it doesn't run; else it runs, and
 * keeps all that it has open, until ad_leave(). Any thread. */
static bool ad_enter(void)
{
    if (atomic_load(&ad_life.state) != AD_RUNNING) {
        return false; /* uncounted: who stops waits for the count to fall */
    }
    /* Who enters is counted before the state is looked at; who stops sets the
     * state before it looks at the count. */
    atomic_fetch_add(&ad_life.inside, 1);
    if (atomic_load(&ad_life.state) == AD_RUNNING) {
        return true;
    }
    ad_leave();
    return false;
}

/* In the child of a fork() none of the threads is there. It must not hold what is the
 * parent's alone: the lock of history's file is held by all that have it open. */
static void ad_forked(void)
{
    if (atomic_load(&ad_life.state) != AD_STOPPED) {
#if AIDASH_HISTORY
        ad_history_file_close();
#endif
        atomic_store(&ad_life.state, AD_FORKED);
    }
}

const char *aidash_strerror(int code)
{
    switch (code) {
    case 0:
        return "no error";
    case AIDASH_EINVAL:
        return "an argument or option is out of its range";
    case AIDASH_ESTATE:
        return "already started, not started, or stopping";
    case AIDASH_EBIND:
        return "can't listen on an address";
    case AIDASH_ESYS:
        return "the system refused a thread, a socket or memory";
    case AIDASH_EFULL:
        return "there is no room for it now";
    default:
        return "unknown error";
    }
}

const char *aidash_last_error(void)
{
    return ad_failure.text;
}

/* Each part as it is before a run. */
static void ad_reset(void)
{
    ad_keys_init();
    ad_pairing_init();
    ad_hub_init();
#if AIDASH_TLS
    ad_jwt_files_init();
#endif
    ad_inbox_init();
    ad_feed_init();
    ad_events_init();
    ad_formats_init();
    ad_engine_init();
#if AIDASH_METRICS
    ad_measures_init();
#endif
    ad_ticks_init();
    ad_gauges_init();
    ad_posts_init();
    ad_notes_init();
    ad_own_commands_init();
    ad_own_requests_init();
    ad_sources_init();
#if AIDASH_NODES
    ad_nodes_init();
#endif
    ad_rights_init();
    ad_framing_init();
    ad_access_init();
    ad_clients_init();
    ad_exchanges_init();
    ad_throttle_init();
    ad_key_writer_init();
    ad_auth_init();
    ad_commands_init();
#if AIDASH_TLS
    ad_pump_init();
#endif
    ad_pending_init();
    ad_acceptor_init();
    ad_brand_init();
#if AIDASH_METER
    ad_meter_init();
#endif
#if AD_FLEET
    ad_fleet_init();
#endif
#if AIDASH_HISTORY
    ad_history_init();
    ad_history_file_init();
#endif
#if AIDASH_ALERTS
    ad_alerts_init();
#if AIDASH_METER
    ad_alert_post_init();
#endif
#endif
#if AIDASH_OTLP && AIDASH_METER
    ad_otlp_init();
#endif
#if AIDASH_BOARD
    ad_board_init();
#endif
#if AIDASH_METER && AIDASH_BASELINES
    ad_verdict_init();
#endif
#if AIDASH_METER && AIDASH_ENERGY
    ad_energy_init();
#endif
}

#ifndef AIDASH_NO_MAIN

struct ad_again_call {
    struct ad_call call;
    const struct aidash_config *config, *before;
    struct ad_own_names names;
    int rc;
};

static void ad_again_run(struct ad_call *call)
{
    struct ad_again_call *a = (struct ad_again_call *)(void *)call;

    a->rc = ad_configure_again(a->config, a->before, &a->names);
}

/* Let a running server take from another configuration what it can, see
 * ad_configure_again(). The starting thread. */
static int ad_reconfigure(const struct aidash_config *config,
                          const struct aidash_config *before)
{
    struct ad_again_call a;

    a.call.run = ad_again_run;
    a.config = config;
    a.before = before;
    ad_own_names_read(&a.names, AD_RESOLV_CONF); /* the hub reads no file */
#if AIDASH_METER
    a.rc = ad_configure_trust(config);
    if (a.rc != 0) {
        return a.rc;
    }
#endif
    ad_hub_run(&a.call);
    return a.rc;
}

#endif

/* Log who may do what. */
static void ad_log_posture(void)
{
    char posture[AD_POSTURE_MAX];

    ad_posture(posture);
    ad_log(AIDASH_LOG_INFO, "%s", posture);
}

/* What begins the address of this server. */
static const char *ad_own_scheme(void)
{
#if AIDASH_TLS
    return ad_pumps.serving ? "https" : "http";
#else
    return "http";
#endif
}

/* Log where a listener can be reached. */
static void ad_log_listener(const char *spec, unsigned port)
{
    size_t host_len = ad_spec_host(spec);
    struct ad_lan lan[AD_LAN_MAX];
    unsigned i, n;

    if (host_len > 0) {
        ad_log(AIDASH_LOG_INFO, "listening on %s://%.*s:%u", ad_own_scheme(),
               (int)host_len, spec, port);
        return;
    }
    ad_log(AIDASH_LOG_INFO, "listening on %s://localhost:%u (all interfaces)",
           ad_own_scheme(), port);
    n = ad_lan_list(lan);
    for (i = 0; i < n; i++) {
        ad_log(AIDASH_LOG_INFO, "on the LAN: %s://%s:%u (%s)", ad_own_scheme(),
               lan[i].host, port, lan[i].by);
    }
}

/* The configuration of the first version: later members are behind it, and zeros
 * for who does not know them. */
enum {
    AD_CONFIG_LEAST = offsetof(struct aidash_config, allow_frame) + sizeof(const char *)
};

int aidash_start_sized(const struct aidash_config *config, size_t size)
{
    struct aidash_config given = {0}; /* in this version's form */
    sigset_t all, before;
    int rc, state = AD_STOPPED;
    unsigned i;

    if (size < AD_CONFIG_LEAST || size > sizeof(struct aidash_config)) {
        return ad_fail(AIDASH_ESTATE, "aidash.h and aidash.c are not of the "
                                      "same version");
    }
    if (!atomic_compare_exchange_strong(&ad_life.state, &state, AD_STARTING)) {
        return ad_fail(AIDASH_ESTATE,
                       state == AD_FORKED
                           ? "this process is a fork of one that runs aidash"
                           : "aidash is already running");
    }
    if (!ad_life.hears_forks) {
        ad_life.hears_forks = pthread_atfork(NULL, NULL, ad_forked) == 0;
    }
    if (config != NULL) {
        memcpy(&given, config, size);
    }
    config = &given;
    ad_failure.text[0] = '\0';
    ad_reset();
    rc = ad_configure(config);
    if (rc != 0) {
        goto not_running;
    }
    ad_hub_begin();
#if AIDASH_HISTORY
    ad_history_begin(config->history_file == NULL);
#endif
#if AIDASH_METER && AIDASH_ENERGY
    ad_energy_begin(config->price_kwh);
#endif
    rc = ad_open(config);
    if (rc != 0) {
        goto close_sockets;
    }
    ad_listeners_watch(true);
    /* Signals are for the program's own threads. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    if (!ad_resolver_start()) {
        rc = ad_fail(AIDASH_ESYS, "can't start the resolver's thread");
    } else if (!ad_browse_start()) {
        rc = ad_fail(AIDASH_ESYS, "can't start the thread that looks for boards");
    } else if (!ad_key_writer_start()) {
        rc = ad_fail(AIDASH_ESYS, "can't start the key file's thread");
    } else if (!ad_history_file_start()) {
        rc = ad_fail(AIDASH_ESYS, "can't start the history file's thread");
    } else if (!ad_board_start()) {
        rc = ad_fail(AIDASH_ESYS, "can't start the board's thread");
    } else if (!ad_caller_start()) {
        rc = ad_fail(AIDASH_ESYS, "can't start the thread of the routes");
    } else if (!ad_civetweb_start()) {
        rc = ad_fail(AIDASH_ESYS, "can't start civetweb's threads");
    } else if (pthread_create(&ad_hub.thread, NULL, ad_hub_main, NULL) != 0) {
        rc = ad_fail(AIDASH_ESYS, "can't start the hub thread");
        ad_civetweb_stop();
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        goto stop_threads;
    }
    atomic_store(&ad_life.state, AD_RUNNING);
    for (i = 0; i < ad_acceptor.n_listeners; i++) {
        ad_log_listener(ad_acceptor.listen[i], ad_acceptor.ports[i]);
    }
    ad_log_posture();
    return 0;

stop_threads:
    ad_caller_stop();
    ad_key_writer_stop();
    ad_history_file_stop();
    ad_board_stop();
    ad_browse_stop();
    ad_resolver_stop();
close_sockets:
    ad_close();
not_running:
#if AIDASH_HISTORY
    ad_history_file_close();
#endif
    atomic_store(&ad_life.state, AD_STOPPED);
    return rc;
}

void aidash_stop(void)
{
    static const struct timespec nap = {0, 1000000};
    int state = AD_RUNNING;

    if (!atomic_compare_exchange_strong(&ad_life.state, &state, AD_STOPPING)) {
        return;
    }
    while (atomic_load(&ad_life.inside) > 0) {
        (void)nanosleep(&nap, NULL); /* the hub still answers them */
    }
    atomic_store(&ad_hub.stop, 1);
    ad_wake();
    while (!atomic_load(&ad_hub.quiet) || atomic_load(&ad_workers.inside) > 0) {
        (void)nanosleep(&nap, NULL); /* a worker's request is some 50 us */
    }
    ad_civetweb_stop(); /* its workers may still ask the hub */
    atomic_store(&ad_hub.stop, 2);
    ad_wake();
    (void)pthread_join(ad_hub.thread, NULL);
    ad_caller_stop();
    ad_key_writer_stop();
    ad_history_file_stop();
#if AIDASH_HISTORY
    ad_history_file_finish();
#endif
    ad_board_stop();
    ad_browse_stop();
    ad_resolver_stop();
    ad_close();
    ad_log_housekeeping();
    atomic_store(&ad_life.state, AD_STOPPED);
}

unsigned aidash_port(unsigned i)
{
    unsigned port = 0;

    if (ad_enter()) {
        port = i < ad_acceptor.n_listeners ? ad_acceptor.ports[i] : 0;
        ad_leave();
    }
    return port;
}

/* Copy a name or a text of at most `max` bytes; NULL is "". False if it is longer, or
 * has what a name may not have. */
static bool ad_copy_name(char *out, const char *name, size_t max)
{
    size_t len = name != NULL ? strnlen(name, max + 1) : 0;

    out[0] = '\0';
    if (len == 0) {
        return true;
    }
    if (!ad_name_ok(name, len, max)) {
        return false;
    }
    memcpy(out, name, len + 1);
    return true;
}

/* Why the latest tick of each thread was refused: a text in static storage, NULL: none
 * was. A thread-local variable in its place would be text relocations to riscv64's
 * linker (binutils 2.40), which a static-pie program can't have. */
static struct {
    pthread_once_t once;
    bool there; /* the system had a key */
    pthread_key_t key;
} ad_tick_problem = {PTHREAD_ONCE_INIT, false, 0};

static void ad_tick_problem_begin(void)
{
    ad_tick_problem.there = pthread_key_create(&ad_tick_problem.key, NULL) == 0;
}

static void ad_tick_problem_set(const char *text)
{
    (void)pthread_once(&ad_tick_problem.once, ad_tick_problem_begin);
    if (ad_tick_problem.there) {
        (void)pthread_setspecific(ad_tick_problem.key, text);
    }
}

const char *aidash_publish_error(void)
{
    const char *text = NULL;

    (void)pthread_once(&ad_tick_problem.once, ad_tick_problem_begin);
    if (ad_tick_problem.there) {
        text = pthread_getspecific(ad_tick_problem.key);
    }
    return text != NULL ? text : "";
}

/* What is wrong with a tick's numbers? */
static enum ad_fault ad_tick_fault(const struct aidash_tick *tick)
{
    if (tick->tokens > AD_TOKENS_LIMIT) {
        return AD_FAULT_SAMPLE_TOKENS;
    }
    if (tick->tokens_generated > AD_TOTAL_LIMIT) {
        return AD_FAULT_SAMPLE_TOTAL;
    }
    if (!(tick->latency_ms >= 0 && tick->latency_ms <= AD_LATENCY_LIMIT)) {
        return AD_FAULT_SAMPLE_LATENCY;
    }
    if (!(tick->tokens_per_second >= 0 &&
          tick->tokens_per_second <= AD_RATE_LIMIT)) {
        return AD_FAULT_SAMPLE_RATE;
    }
    if (!(tick->timestamp >= 0 && tick->timestamp <= AD_TIME_LIMIT)) {
        return AD_FAULT_SAMPLE_TIME;
    }
    return tick->tokens == 0 && tick->tokens_generated == 0 && tick->latency_ms == 0
               ? AD_FAULT_SAMPLE_EMPTY
               : AD_FAULT_NONE;
}

/* A tick into a sample. */
static enum ad_fault ad_sample_of(const struct aidash_tick *tick,
                                  struct ad_sample *out)
{
    enum ad_fault fault = tick != NULL ? ad_tick_fault(tick) : AD_FAULT_SAMPLE_EMPTY;

    if (fault != AD_FAULT_NONE) {
        return fault;
    }
    out->model[0] = out->node[0] = '\0';
    out->overcount = 0;
    if (!ad_copy_name(out->model, tick->model, AIDASH_MODEL_MAX)) {
        return AD_FAULT_SAMPLE_MODEL;
    }
    if (!ad_copy_name(out->node, tick->node, AIDASH_NODE_MAX)) {
        return AD_FAULT_SAMPLE_NODE;
    }
    out->tokens = tick->tokens;
    out->total = tick->tokens_generated;
    out->latency_ms = tick->latency_ms;
    out->rate = tick->tokens_per_second;
    out->time_us = (uint64_t)(tick->timestamp * 1e6 + 0.5);
    out->has = (tick->tokens != 0 ? AD_HAS_TOKENS : 0u) |
               (tick->tokens_generated != 0 ? AD_HAS_TOTAL : 0u) |
               (tick->latency_ms > 0 ? AD_HAS_LATENCY : 0u) |
               (tick->tokens_per_second > 0 ? AD_HAS_RATE : 0u) |
               (tick->timestamp > 0 ? AD_HAS_TIME : 0u);
    return AD_FAULT_NONE;
}

/* Queue a sample, and wake the hub if it sleeps. */
static void ad_queue_sample(const struct ad_sample *sample)
{
    ad_inbox_push(sample);
    ad_wake_for_ring(ad_inbox_fill() > AIDASH_INBOX / 2);
}

int aidash_publish(const struct aidash_tick *tick)
{
    struct ad_sample sample;
    enum ad_fault fault;

    if (!ad_enter()) {
        ad_tick_problem_set("the server does not run");
        return AIDASH_ESTATE;
    }
    fault = ad_sample_of(tick, &sample);
    if (fault == AD_FAULT_NONE) {
        ad_queue_sample(&sample);
    } else {
        ad_tick_problem_set(ad_fault_text(fault));
    }
    ad_leave();
    return fault == AD_FAULT_NONE ? 0 : AIDASH_EINVAL;
}

struct ad_stats_call {
    struct ad_call call;
    struct aidash_stats *out;
};

static void ad_stats_run(struct ad_call *call)
{
    struct aidash_stats *out = ((struct ad_stats_call *)(void *)call)->out;
    const char *model = ad_model_name();

    out->ticks = ad_ticks.count;
    out->inbox_dropped = atomic_load(&ad_inbox.dropped);
    out->dropped = ad_dropped();
    out->bytes_sent = ad_hub.bytes_sent;
    out->viewers = ad_slots.n_kind[AD_WS] + ad_slots.n_kind[AD_WS_BATCH] +
                   ad_slots.n_kind[AD_SSE];
    out->paused = ad_engine.paused;
    memcpy(out->model, model, strlen(model) + 1);
}

int aidash_get_stats(struct aidash_stats *stats)
{
    struct ad_stats_call call;

    if (stats == NULL) {
        return AIDASH_EINVAL;
    }
    if (!ad_enter()) {
        return AIDASH_ESTATE;
    }
    memset(stats, 0, sizeof(*stats));
    call.call.run = ad_stats_run;
    call.out = stats;
    ad_hub_run(&call.call);
    ad_leave();
    return 0;
}

void aidash_print_sizes(void)
{
    size_t i;

    (void)printf("%-16s %8s %12s\n", "part", "count", "bytes");
    for (i = 0; i < AD_COUNT(ad_memory); i++) {
        (void)printf("%-16s %8zu %12zu\n", ad_memory[i]->name, ad_memory[i]->count,
               ad_memory[i]->bytes);
    }
    (void)printf("%-16s %8s %12zu\n", "total", "", ad_memory_sum());
}

#endif
