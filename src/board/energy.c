/* energy.c - what the engine's answers cost in energy: the power of the board's rails,
 * or of a wall meter that is fed by ingest, integrated over time; less what the board
 * takes at rest; split over the requests that run, by their tokens. The event `energy`.
 * Owns ad_energy, and ad_rails: the board's thread's, as is ad_energy_sample_on_board().
 * All else: hub thread.
 *
 * Always: what is settled is split whole; a time whose power is not known is in no
 * sum, and a request that has much of it has no joules.
 */
#ifndef AD_BOARD_ENERGY_C
#define AD_BOARD_ENERGY_C

#include "../base/sorted.c"
#include "../core/events.c"
#include "../core/sources.c"
#include "../meter/reports.c"

#if AIDASH_METER && AIDASH_ENERGY

enum {
    AD_WALL_STALE_S = 10,    /* a wall meter's value holds for so long */
    AD_POWER_GAP_MS = 2500,  /* between two samples of the rails: more is a gap */
    AD_IDLE_SETTLES_S = 2,   /* after a request, until the board is at rest */
    AD_FLOOR_SAMPLES = 32,   /* seconds, or values of a wall meter, at rest: the */
    AD_FLOOR_LEAST = 3,      /* median of the latest is the floor */
    AD_ENERGY_MINUTE = 60,   /* seconds that joules a token are of */
    AD_ENERGY_MAX = 512      /* bytes of the event: fixed words, scope, ten numbers */
};

/* Where the power is measured. */
enum ad_power_source { AD_POWER_NONE, AD_POWER_BOARD, AD_POWER_WALL };

/* What the source takes at rest. */
struct ad_floor {
    uint8_t n, at;
    float watts[AD_FLOOR_SAMPLES];
};

/* The integral of what the rails say: the board's thread's, which may hang in a sensor
 * beyond a run's end, so it is never begun anew. */
static struct {
    double joules, ms, last_watts;
    uint64_t last_ns; /* of the latest sample; 0: none, or it was no number */
    /* [a] the same for the hub: millijoules and milliseconds, which wrap. */
    _Atomic uint32_t told_mj, told_ms;
} ad_rails;

static struct { /* [h] */
    uint32_t seen_mj, seen_ms; /* of ad_rails, what was settled */
    const char *scope;         /* of the rails; NULL: there is no power */
    bool estimate;
    double board_watts;        /* the latest */
    uint64_t board_ns;         /* and when; 0: it was no number */
    double wall_watts;
    uint64_t wall_ns;          /* when the wall meter told it; 0: never */
    bool wall_news;            /* it is no floor yet */
    uint64_t settled_ns, second_ns;
    uint64_t idle_ns;          /* since when nothing runs; 0: something does */
    struct ad_floor floors[AD_POWER_WALL + 1];
    double total_j, requests_j, known_s; /* since the start */
    double tokens;                       /* of the time that is known */
    double second_j, second_s, requests_second_j, second_tokens;
    struct {
        float joules, tokens;
    } minute[AD_ENERGY_MINUTE];
    unsigned minute_at;
    double price; /* of a kWh; 0: not told */
} ad_energy;

/* ---- the board's thread ---- */

/* The power is this now; `known`: it is known at all; `mean`: that of the time since
 * the last sample, not of this moment. What flows back, as a sensor near its zero may
 * say, is no power: the sums never fall. */
static void ad_energy_sample_on_board(bool known, double watts, bool mean,
                                      uint64_t now_ns)
{
    double ms = (double)(now_ns - ad_rails.last_ns) / (double)AD_NS_PER_MS;

    watts = watts > 0 ? watts : 0;
    if (known && ad_rails.last_ns != 0 && now_ns > ad_rails.last_ns &&
        ms <= AD_POWER_GAP_MS) {
        ad_rails.joules += (mean ? watts : (watts + ad_rails.last_watts) / 2) * ms /
                            1000;
        ad_rails.ms += ms;
        atomic_store(&ad_rails.told_mj,
                     (uint32_t)(uint64_t)(ad_rails.joules * 1000 + 0.5));
        atomic_store(&ad_rails.told_ms, (uint32_t)(uint64_t)(ad_rails.ms + 0.5));
    }
    ad_rails.last_watts = watts;
    ad_rails.last_ns = known ? now_ns : 0;
}

/* ---- the floor ---- */

static void ad_floor_learn(struct ad_floor *f, double watts)
{
    f->watts[f->at] = (float)watts;
    f->at = (uint8_t)((f->at + 1) % AD_FLOOR_SAMPLES);
    f->n = (uint8_t)(f->n < AD_FLOOR_SAMPLES ? f->n + 1 : AD_FLOOR_SAMPLES);
}

/* Watts at rest, or -1: not known yet. */
static double ad_floor_of(const struct ad_floor *f)
{
    double sorted[AD_FLOOR_SAMPLES];
    unsigned n = 0;

    if (f->n < AD_FLOOR_LEAST) {
        return -1;
    }
    while (n < f->n) {
        ad_sorted_add(sorted, &n, (double)f->watts[n]);
    }
    return ad_sorted_median(sorted, n);
}

/* ---- settling ---- */

static bool ad_wall_holds(uint64_t at_ns)
{
    return ad_energy.wall_ns != 0 &&
           at_ns - ad_energy.wall_ns < AD_WALL_STALE_S * AD_NS_PER_S;
}

/* Which source counts now. A wall meter sees all, so it comes first. */
static enum ad_power_source ad_energy_source(void)
{
    if (ad_wall_holds(ad_hub.now_ns)) {
        return AD_POWER_WALL;
    }
    return ad_energy.board_ns != 0 &&
                   ad_hub.now_ns - ad_energy.board_ns < 3 * AD_NS_PER_S
               ? AD_POWER_BOARD : AD_POWER_NONE;
}

/* Does it take the engine's time? */
static bool ad_energy_runs(const struct ad_proxy *p)
{
    return p->turn == AD_TURN_RUN && p->state == AD_PROXY_RUN && p->request.metered;
}

/* Split the joules of some time over the requests that run: by the tokens of each in
 * that time. One that has no token yet, as its prompt is read, counts as one that has
 * the mean of the others. */
static void ad_energy_split(double joules, double seconds, double elapsed_s, bool known)
{
    double tokens = 0, mean, sum = 0;
    unsigned i, n = 0, running = 0;

    for (i = 0; i < ad_proxying.n_slots; i++) {
        const struct ad_proxy *p = &ad_proxies[i];

        if (ad_energy_runs(p)) {
            running++;
            n += p->counted > p->joules_counted;
            tokens += (double)(p->counted - p->joules_counted);
        }
    }
    mean = n > 0 ? tokens / n : 1;
    for (i = 0; i < ad_proxying.n_slots; i++) {
        const struct ad_proxy *p = &ad_proxies[i];

        if (ad_energy_runs(p)) {
            sum += p->first_ns == 0 || n == 0 ? mean
                                              : (double)(p->counted - p->joules_counted);
        }
    }
    for (i = 0; i < ad_proxying.n_slots; i++) {
        struct ad_proxy *p = &ad_proxies[i];

        if (ad_energy_runs(p)) {
            double weight = p->first_ns == 0 || n == 0
                                ? mean : (double)(p->counted - p->joules_counted);

            p->joules += joules * weight / sum;
            p->joules_s += seconds;
            p->joules_unknown = p->joules_unknown || (!known && elapsed_s > 0);
            p->joules_counted = p->counted;
        }
    }
    if (running > 0 && seconds > 0) {
        ad_energy.requests_j += joules;
        ad_energy.requests_second_j += joules;
        ad_energy.tokens += tokens;
        ad_energy.second_tokens += tokens;
    }
}

/* Account for the time until now. */
static void ad_energy_settle(void)
{
    uint64_t now_ns = ad_hub.now_ns, from_ns = ad_energy.settled_ns;
    uint32_t mj = atomic_load(&ad_rails.told_mj), ms = atomic_load(&ad_rails.told_ms);
    double elapsed_s, joules = 0, seconds = 0, floor, active;
    enum ad_power_source source = AD_POWER_BOARD;

    if (now_ns <= from_ns) {
        return;
    }
    elapsed_s = (double)(now_ns - from_ns) / (double)AD_NS_PER_S;
    if (ad_wall_holds(from_ns)) {
        uint64_t until_ns = ad_energy.wall_ns + AD_WALL_STALE_S * AD_NS_PER_S;

        source = AD_POWER_WALL;
        until_ns = until_ns < now_ns ? until_ns : now_ns;
        seconds = (double)(until_ns - from_ns) / (double)AD_NS_PER_S;
        joules = seconds * ad_energy.wall_watts;
    } else {
        seconds = (double)(uint32_t)(ms - ad_energy.seen_ms) / 1000;
        joules = (double)(uint32_t)(mj - ad_energy.seen_mj) / 1000;
        if (seconds <= 0 && ad_energy_source() == AD_POWER_BOARD) {
            return; /* the rails' next sample has it */
        }
    }
    ad_energy.seen_mj = mj;
    ad_energy.seen_ms = ms;
    ad_energy.settled_ns = now_ns;
    floor = ad_floor_of(&ad_energy.floors[source]);
    active = floor >= 0 && joules > floor * seconds ? joules - floor * seconds : 0;
    ad_energy_split(active, seconds, elapsed_s,
                    floor >= 0 && ad_energy_source() != AD_POWER_NONE);
    ad_energy.total_j += joules;
    ad_energy.known_s += seconds;
    ad_energy.second_j += joules;
    ad_energy.second_s += seconds;
}

/* ---- what comes in ---- */

/* A wall meter says what all takes. */
static void ad_energy_wall(double watts)
{
    ad_energy_settle();
    ad_energy.wall_watts = watts;
    ad_energy.wall_ns = ad_hub.now_ns;
    ad_energy.wall_news = true;
}

/* A report of the board: what its power is, and of what. scope: static; NULL: it has
 * no power. */
static void ad_energy_board(bool known, double watts, const char *scope, bool estimate)
{
    ad_energy.scope = scope;
    ad_energy.estimate = estimate;
    ad_energy.board_watts = watts;
    ad_energy.board_ns = known ? ad_hub.now_ns : 0;
}

/* A request is over. What it took is known if most of its time at the engine is. */
static void ad_energy_ended(struct ad_proxy *p)
{
    double engine_s = ad_ms(p->run_from_ns, ad_hub.now_ns) / 1000;
    bool estimated;
    uint64_t tokens = ad_scan_tokens(&p->scan, &estimated);

    ad_energy_settle();
    if (tokens > p->joules_counted && p->joules_s > 0) { /* that were in no split */
        ad_energy.tokens += (double)(tokens - p->joules_counted);
        ad_energy.second_tokens += (double)(tokens - p->joules_counted);
    }
    if (p->joules_s < engine_s / 2) {
        p->joules_unknown = true;
    }
}

/* ---- once a second ---- */

/* At rest: what the source takes then is the floor. */
static void ad_energy_rest(enum ad_power_source source)
{
    if (ad_proxying.n_running > 0) {
        ad_energy.idle_ns = 0;
        return;
    }
    if (ad_energy.idle_ns == 0) {
        ad_energy.idle_ns = ad_hub.now_ns;
    }
    if (source == AD_POWER_WALL) {
        if (ad_energy.wall_news && ad_energy.wall_ns >= ad_energy.idle_ns &&
            ad_energy.wall_ns - ad_energy.idle_ns >= AD_IDLE_SETTLES_S * AD_NS_PER_S) {
            ad_floor_learn(&ad_energy.floors[source], ad_energy.wall_watts);
        }
        ad_energy.wall_news = false;
    } else if (source == AD_POWER_BOARD && ad_energy.second_s > 0.5 &&
               ad_hub.now_ns - ad_energy.idle_ns >=
                   (AD_IDLE_SETTLES_S + 1) * AD_NS_PER_S) {
        ad_floor_learn(&ad_energy.floors[source],
                       ad_energy.second_j / ad_energy.second_s);
    }
}

/* Joules that the last minute's tokens took each; -1: there were none, or it is not
 * known what they took. */
static double ad_energy_per_token(void)
{
    double joules = 0, tokens = 0;
    unsigned i;

    for (i = 0; i < AD_ENERGY_MINUTE; i++) {
        joules += (double)ad_energy.minute[i].joules;
        tokens += (double)ad_energy.minute[i].tokens;
    }
    return tokens > 0 && joules > 0 ? joules / tokens : -1;
}

/* A member with so many decimals, unless it is negative: not known. */
static void ad_put_measured(struct ad_text *t, const char *name, double value,
                            int decimals)
{
    if (value >= 0) {
        ad_putf(t, ",\"%s\":", name);
        ad_put_fixed(t, value, decimals);
    }
}

/* The members of the event from "source" on. */
static void ad_put_energy(struct ad_text *t)
{
    enum ad_power_source source = ad_energy_source();
    double wh = ad_energy.total_j / 3600;

    ad_putf(t, "\"source\":\"%s\",\"watts\":",
            source == AD_POWER_WALL    ? "wall"
            : source == AD_POWER_BOARD ? "board"
                                       : "none");
    if (source == AD_POWER_NONE) {
        ad_puts(t, "\"unknown\"");
    } else {
        ad_put_fixed(t, source == AD_POWER_WALL ? ad_energy.wall_watts
                                                : ad_energy.board_watts, 2);
    }
    if (source == AD_POWER_WALL) {
        ad_puts(t, ",\"scope\":\"what the wall meter supplies\",\"estimate\":false");
    } else if (source == AD_POWER_BOARD && ad_energy.scope != NULL) {
        ad_putf(t, ",\"scope\":\"%s\",\"estimate\":%s", ad_energy.scope,
                ad_energy.estimate ? "true" : "false");
    }
    ad_put_measured(t, "floor_watts",
                    source == AD_POWER_NONE ? -1 : ad_floor_of(&ad_energy.floors[source]),
                    2);
    ad_put_measured(t, "joules_per_token", ad_energy_per_token(), 4);
    ad_put_measured(t, "wh", wh, 4);
    ad_put_measured(t, "known_s", ad_energy.known_s, 0);
    ad_put_measured(t, "requests_wh", ad_energy.requests_j / 3600, 4);
    ad_put_measured(t, "tokens_per_wh",
                    ad_energy.tokens > 0 && wh > 0 ? ad_energy.tokens / wh : -1, 1);
    ad_put_measured(t, "cost",
                    ad_energy.price > 0 ? wh / 1000 * ad_energy.price : -1, 6);
}

/* Has there ever been a source? */
static bool ad_energy_known(void)
{
    return ad_energy.wall_ns != 0 || ad_energy.known_s > 0 || ad_energy.board_ns != 0;
}

static void ad_energy_tell(void)
{
    char json[AD_ENERGY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    ad_puts(&t, "{\"event\":\"energy\",\"seq\":");
    ad_put_u64(&t, ad_feed.next);
    ad_puts(&t, ",\"time\":");
    ad_put_decimal(&t, ad_hub.now_us / 1000, 3);
    ad_puts(&t, ",");
    ad_put_energy(&t);
    ad_puts(&t, "}");
    ad_event_append(AD_EV_ENERGY, &t);
}

/* Once a second. */
static void ad_energy_housekeeping(void)
{
    ad_energy_settle();
    ad_energy_rest(ad_energy_source());
    ad_energy.minute[ad_energy.minute_at].joules = (float)ad_energy.requests_second_j;
    ad_energy.minute[ad_energy.minute_at].tokens = (float)ad_energy.second_tokens;
    ad_energy.minute_at = (ad_energy.minute_at + 1) % AD_ENERGY_MINUTE;
    ad_energy.second_j = ad_energy.second_s = ad_energy.requests_second_j = 0;
    ad_energy.second_tokens = 0;
    if (ad_energy_known()) {
        ad_energy_tell();
    }
}

/* As a member of /status, with a comma in front; nothing without a source. */
static void ad_put_energy_status(struct ad_text *t)
{
    if (ad_energy_known()) {
        ad_puts(t, ",\"energy\":{");
        ad_put_energy(t);
        ad_puts(t, "}");
    }
}

/* Before each run. */
static void ad_energy_init(void)
{
    memset(&ad_energy, 0, sizeof(ad_energy));
    ad_records_add_hook(ad_energy_ended);
    ad_sources_on_watts(ad_energy_wall);
}

/* The run begins. price: of a kWh in any currency; 0: not told. */
static void ad_energy_begin(double price)
{
    ad_energy.settled_ns = ad_energy.idle_ns = ad_hub.now_ns;
    ad_energy.seen_mj = atomic_load(&ad_rails.told_mj);
    ad_energy.seen_ms = atomic_load(&ad_rails.told_ms);
    ad_energy.price = price;
}

AD_MEMORY(energy, 1, sizeof(ad_energy) + sizeof(ad_rails));

#endif /* AIDASH_METER && AIDASH_ENERGY */

#endif
