/* board.c - the event `board`: what the board does, once a second. A thread of its own
 * reads the sensors, as that may block; the hub asks it once a second, and takes what
 * it has finished.
 * Owns ad_board. Hub thread, but for ad_board_main() (the thread's own), and start and
 * stop (the starting thread).
 * Always: the report is the hub's to read, unless the turn is AD_BOARD_ASKED: then
 * the thread writes it.
 */
#ifndef AD_BOARD_BOARD_C
#define AD_BOARD_BOARD_C

#include "../base/thread.c"
#include "../core/events.c"
#include "alerts.c"
#include "energy.c"
#include "history.c"
#include "report.c"
#include "verdict.c"

#if AIDASH_BOARD

enum {
    AD_BOARD_AGAIN_S = 60, /* so long after a look for sensors the next one, at the
                            * soonest */
    AD_POWER_MS = 200,     /* between two looks at the rails */
    AD_BOARD_STOP_MS = 300 /* so long a stop waits for a sensor */
};

/* Whose the report is. */
enum { AD_BOARD_FREE, AD_BOARD_ASKED, AD_BOARD_TOLD };

static struct {
    _Atomic int turn; /* [a] AD_BOARD_FREE.. */
    struct ad_thread thread;
    bool on;          /* [I] */
    uint64_t time_us; /* the report: when it was made, */
    size_t len;
    char text[AD_BOARD_TEXT]; /* its members, */
    struct ad_board_figures figures;
    /* [h] */
    uint64_t reports;  /* that were told */
    size_t newest_len; /* the newest of them, for /status; 0: none yet */
    char newest[AD_BOARD_TEXT];
} ad_board;

/* ---- the thread ---- */

#if AIDASH_METER && AIDASH_ENERGY

/* The power in a report, or, with NULL, as the rails tell it between two of them. */
static void ad_board_power(const struct ad_board_figures *f)
{
    uint64_t now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    struct ad_value v = f != NULL ? f->power : ad_probe_watts(now_ns);

    ad_energy_sample_on_board(ad_value_is_number(&v), v.number,
                              f != NULL && f->power_mean, now_ns);
}

#endif

/* Make a report. The first after a look for sensors has nothing to compare counters
 * with: it is not told. True if the rails tell the board's power at any time. */
static bool ad_board_answer(uint64_t *found_ns, bool *first)
{
    bool fast;
    uint64_t now_ns = ad_clock_ns(CLOCK_MONOTONIC);
    struct ad_text t = ad_text_in(ad_board.text, sizeof(ad_board.text));

    if (*found_ns == 0 || (ad_probe.tree.n_lost > 0 &&
                           now_ns - *found_ns > AD_BOARD_AGAIN_S * AD_NS_PER_S)) {
        ad_probe_find();
        *found_ns = now_ns;
        *first = true;
    }
    ad_probe_take(&t, now_ns, &ad_board.figures);
    ad_board.time_us = ad_clock_ns(CLOCK_REALTIME) / 1000;
    ad_board.len = t.full ? 0 : t.len;
    if (t.full) {
        ad_log(AIDASH_LOG_ERROR, "board: it has more to tell than an event holds");
    }
    fast = ad_board.figures.power_fast;
#if AIDASH_METER && AIDASH_ENERGY
    ad_board_power(&ad_board.figures);
#endif
    atomic_store(&ad_board.turn, *first ? AD_BOARD_FREE : AD_BOARD_TOLD);
    *first = false;
    return fast;
}

#if AIDASH_METER && AIDASH_ENERGY

/* Sleep until the hub asks; meanwhile watch the rails, if they tell the board's power
 * at once. */
static void ad_board_sleep(bool watch)
{
    if (!watch) {
        ad_thread_sleep(&ad_board.thread);
    }
    while (watch && ad_thread_sleep_ms(&ad_board.thread, AD_POWER_MS)) {
        ad_board_power(NULL);
    }
}

#else

static void ad_board_sleep(bool watch)
{
    (void)watch;
    ad_thread_sleep(&ad_board.thread);
}

#endif

static void *ad_board_main(void *unused)
{
    uint64_t found_ns = 0;
    bool first = true, watch = false;

    do {
        if (atomic_load(&ad_board.turn) == AD_BOARD_ASKED &&
            ad_thread_runs(&ad_board.thread)) {
            watch = ad_board_answer(&found_ns, &first);
        }
        ad_board_sleep(watch);
    } while (ad_thread_runs(&ad_board.thread));
    ad_probe_close();
    (void)ad_thread_ends(&ad_board.thread);
    return unused;
}

/* ---- start and stop ---- */

/* Before each run. */
static void ad_board_init(void)
{
    ad_board.on = false;
    ad_board.newest_len = 0;
}

/* Which board: the tree at `root`; NULL or "": this machine. False, with errno: it is
 * no directory. While starting. */
static bool ad_board_configure(const char *root)
{
    if (ad_thread_life(&ad_board.thread) != AD_THREAD_NONE) {
        ad_log(AIDASH_LOG_WARN, "board: a sensor of the run before still hangs; this "
                                "run has no board");
        return true;
    }
    ad_board.on = ad_probe_open(root);
    return ad_board.on;
}

/* Let the thread run. False if the system has none. */
static bool ad_board_start(void)
{
    if (!ad_board.on) {
        return true;
    }
    atomic_store(&ad_board.turn, AD_BOARD_ASKED);
    return ad_thread_start_loose(&ad_board.thread, ad_board_main);
}

/* Let the thread leave. One that hangs in a sensor leaves behind that, and touches
 * nothing else until then. The hub's thread has ended. */
static void ad_board_stop(void)
{
    if (ad_board.on && ad_thread_let_go(&ad_board.thread)) {
        (void)ad_thread_wait(&ad_board.thread, AD_BOARD_STOP_MS);
    }
}

/* ---- the hub ---- */

/* Each turn: a report that is finished becomes an event. */
static void ad_board_run(void)
{
    char json[AD_BOARD_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    if (!ad_board.on || atomic_load(&ad_board.turn) != AD_BOARD_TOLD) {
        return;
    }
    if (ad_board.len > 0) {
        ad_puts(&t, "{\"event\":\"board\",\"seq\":");
        ad_put_u64(&t, ad_feed.next);
        ad_puts(&t, ",\"time\":");
        ad_put_decimal(&t, ad_board.time_us / 1000, 3);
        ad_puts(&t, ",");
        ad_put(&t, ad_board.text, ad_board.len);
        ad_puts(&t, "}");
        ad_event_append(AD_EV_BOARD, &t);
        memcpy(ad_board.newest, ad_board.text, ad_board.len);
        ad_board.newest_len = ad_board.len;
        ad_board.reports++;
#if AIDASH_HISTORY
        ad_history_board(&ad_board.figures);
#endif
#if AIDASH_ALERTS
        ad_alerts_board(&ad_board.figures);
#endif
#if AIDASH_METER && AIDASH_BASELINES
        ad_marks_board(&ad_board.figures, ad_verdict_busy(), !ad_verdict_any(),
                       ad_hub.now_ns);
#endif
#if AIDASH_METER && AIDASH_ENERGY
        ad_energy_board(ad_value_is_number(&ad_board.figures.power),
                        ad_board.figures.power.number, ad_board.figures.power_scope,
                        ad_board.figures.power_estimate);
#endif
    }
    atomic_store(&ad_board.turn, AD_BOARD_FREE);
}

/* Once a second: ask for the next report. While a sensor hangs there is none. The first
 * one is told a second after the start: until then nothing has been counted. */
static void ad_board_housekeeping(void)
{
    ad_board_run();
    if (ad_board.on && ad_hub.now_ns - ad_hub.start_ns >= AD_NS_PER_S &&
        atomic_load(&ad_board.turn) == AD_BOARD_FREE) {
        atomic_store(&ad_board.turn, AD_BOARD_ASKED);
        ad_thread_wake(&ad_board.thread);
    }
}

/* The newest report as a member of /status, with a comma in front; nothing while there
 * is none. */
static void ad_put_board(struct ad_text *t)
{
    if (ad_board.newest_len > 0) {
        ad_puts(t, ",\"board\":{");
        ad_put(t, ad_board.newest, ad_board.newest_len);
        ad_puts(t, "}");
    }
}

AD_MEMORY(board, 1, sizeof(ad_board));

#else

static bool ad_board_start(void)
{
    return true;
}

static void ad_board_stop(void)
{
}

#endif /* AIDASH_BOARD */

#endif
