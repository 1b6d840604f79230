/* totals.c - what each client has used of each model: today, in the last 24 hours,
 * since the start.
 * Owns ad_totals. Hub thread only. Called when a request ends (reports.c), and to
 * read (usage.c).
 *
 * A row is a client (its address, its key, its program) and a model.
 * When all rows are taken, the one with the fewest tokens is merged into `others`,
 * so the sum of all rows and `others` never falls.
 *
 * Times: the 24 hours are counted by a clock that nobody sets, so a step of the
 * real-time clock does not change them. They are whole hours: this one and the 23
 * before it. "Today" began at the last midnight by the local clock. A board that
 * starts in 1970, and is told the time later, keeps what it counted before: it was
 * not before midnight. Where a step of the clock moves the midnight by more than an
 * hour, today is summed anew from the hours.
 */
#ifndef AD_METER_TOTALS_C
#define AD_METER_TOTALS_C

#include "../base/clock.c"
#include "../guard/grant.c"

#if AIDASH_METER

enum {
    AD_TOTALS_HOURS = 24,
    AD_CLIENT_ADDRESS_MAX = INET6_ADDRSTRLEN, /* bytes of the text, with its NUL */
    AD_CLIENT_KEY_MAX = AD_GRANT_NAME_MAX, /* bytes of a key's name */
    AD_CLIENT_AGENT_MAX = 32, /* bytes of a program's name */
    AD_DAY_MAX_S = 26 * 3600  /* no local day is as long: clocks go back by one
                               * hour or less */
};

#define AD_HOUR_NS (3600 * AD_NS_PER_S)
#define AD_TOTALS_STEP_US 60000000 /* the clock was set: it moved by more */

/* Who asks. Plain ASCII, but for a key's name; "" where it is not known. */
struct ad_totals_client {
    uint8_t ip[16];          /* IPv4 is mapped into IPv6, RFC 4291 2.5.5.2 */
    char address[AD_CLIENT_ADDRESS_MAX]; /* the same as text */
    char key[AD_CLIENT_KEY_MAX + 1];     /* name or fingerprint: see identity.c */
    bool named; /* `key` is the name of a key of aidash's own, or a token's subject */
    char agent[AD_CLIENT_AGENT_MAX + 1]; /* first product of its User-Agent */
};

/* What is counted. Each stops at its greatest value. */
enum ad_usage_count {
    AD_USAGE_REQUESTS,   /* that ended */
    AD_USAGE_ERRORS,     /* of them: the engine failed, or its answer was cut */
    AD_USAGE_REFUSED,    /* of them: refused, by aidash or by the engine */
    AD_USAGE_PROMPT,     /* tokens, cached ones included */
    AD_USAGE_CACHED,     /* of them */
    AD_USAGE_COMPLETION, /* tokens of the answers, as the engine counted them */
    AD_USAGE_ESTIMATED,  /* of the others, as aidash counted them */
    AD_USAGE_US,         /* microseconds from the requests' arrival to their end */
    AD_USAGE_COUNTS
};
struct ad_usage {
    uint64_t n[AD_USAGE_COUNTS];
};

enum ad_usage_span { AD_SPAN_TODAY, AD_SPAN_24H, AD_SPAN_ALL };

/* By what rows are told apart. */
enum ad_usage_by {
    AD_PER_ROW, /* client and model */
    AD_PER_CLIENT,
    AD_PER_ADDRESS,
    AD_PER_KEY,
    AD_PER_AGENT,
    AD_PER_MODEL,
    AD_PER_COUNT
};

/* The time, from two clocks. */
struct ad_totals_time {
    uint64_t elapsed_ns; /* goes on while the machine sleeps; nobody sets it */
    uint64_t unix_us;
};

struct ad_totals_row {
    struct ad_totals_client who;
    char model[AIDASH_MODEL_MAX + 1];
    struct ad_usage all, today, hours[AD_TOTALS_HOURS]; /* hour h at h % 24 */
};

static struct {
    unsigned n;          /* of rows */
    bool day_known;
    uint64_t start_ns;   /* of the run, elapsed */
    uint64_t from_ns;    /* since then `today` counts, elapsed: start_ns or later */
    uint64_t day_end_us; /* the next midnight, Unix time */
    int64_t offset_us;   /* real-time clock minus elapsed time */
    uint64_t hour;       /* the present one, elapsed */
    uint32_t hashes[AD_PER_COUNT][AIDASH_TOTALS]; /* of the rows */
    struct ad_totals_row rows[AIDASH_TOTALS];
    struct ad_totals_row others; /* the sum of those that gave way */
} ad_totals;

static struct ad_totals_time ad_totals_now(void)
{
#ifdef CLOCK_BOOTTIME
    struct ad_totals_time now = {ad_clock_ns(CLOCK_BOOTTIME), 0};
#else
    struct ad_totals_time now = {ad_clock_ns(CLOCK_MONOTONIC), 0};
#endif

    now.unix_us = ad_clock_ns(CLOCK_REALTIME) / 1000;
    return now;
}

/* ---- counts ---- */

static void ad_saturate(uint64_t *sum, uint64_t n)
{
    *sum = *sum > UINT64_MAX - n ? UINT64_MAX : *sum + n;
}

static void ad_usage_sum(struct ad_usage *sum, const struct ad_usage *more)
{
    unsigned i;

    for (i = 0; i < AD_USAGE_COUNTS; i++) {
        ad_saturate(&sum->n[i], more->n[i]);
    }
}

/* Tokens in and out. */
static uint64_t ad_usage_tokens(const struct ad_usage *u)
{
    uint64_t sum = u->n[AD_USAGE_PROMPT];

    ad_saturate(&sum, u->n[AD_USAGE_COMPLETION]);
    ad_saturate(&sum, u->n[AD_USAGE_ESTIMATED]);
    return sum;
}

/* Row number i; behind the last one, `others`. */
static struct ad_totals_row *ad_totals_at(unsigned i)
{
    return i < ad_totals.n ? &ad_totals.rows[i] : &ad_totals.others;
}

/* ---- hours and days ---- */

/* Is it the same day, by the local clock? */
static bool ad_same_day(time_t a, time_t b)
{
    struct tm x, y;

    return localtime_r(&a, &x) != NULL && localtime_r(&b, &y) != NULL &&
           x.tm_year == y.tm_year && x.tm_yday == y.tm_yday;
}

/* The first second of the day that `now` is in, and of the next one. Found by
 * halving, so that days of 23 and 25 hours, and those without a midnight, need no
 * rule. */
static void ad_day_of(time_t now, time_t *began, time_t *ends)
{
    time_t other = now - AD_DAY_MAX_S, same = now;

    while (same - other > 1) {
        time_t mid = other + (same - other) / 2;

        if (ad_same_day(mid, now)) {
            same = mid;
        } else {
            other = mid;
        }
    }
    *began = same;
    same = now;
    other = now + AD_DAY_MAX_S;
    while (other - same > 1) {
        time_t mid = same + (other - same) / 2;

        if (ad_same_day(mid, now)) {
            same = mid;
        } else {
            other = mid;
        }
    }
    *ends = other;
}

/* Hours that have passed since are empty. */
static void ad_totals_turn_hour(uint64_t hour)
{
    uint64_t passed = hour - ad_totals.hour;
    unsigned i;

    if (passed > AD_TOTALS_HOURS) {
        passed = AD_TOTALS_HOURS;
    }
    for (; passed > 0; passed--) {
        for (i = 0; i <= ad_totals.n; i++) {
            memset(&ad_totals_at(i)->hours[(hour - passed + 1) % AD_TOTALS_HOURS],
                   0, sizeof(struct ad_usage));
        }
    }
    ad_totals.hour = hour;
}

/* The sum of a row's hours that end after a time. */
static struct ad_usage ad_totals_since(const struct ad_totals_row *row,
                                       uint64_t since_ns)
{
    struct ad_usage sum = {{0}};
    uint64_t k;

    for (k = 0; k < AD_TOTALS_HOURS && k <= ad_totals.hour; k++) {
        uint64_t hour = ad_totals.hour - k;

        if ((hour + 1) * AD_HOUR_NS > since_ns) {
            ad_usage_sum(&sum, &row->hours[hour % AD_TOTALS_HOURS]);
        }
    }
    return sum;
}

/* A day began, or the clock was set: find out since when it is today. */
static void ad_totals_turn_day(const struct ad_totals_time *now, bool stepped)
{
    time_t unix_s = (time_t)(now->unix_us / 1000000), began, ends;
    uint64_t today_ns, from_ns = ad_totals.start_ns;
    unsigned i;

    ad_day_of(unix_s, &began, &ends);
    ad_totals.day_end_us = (uint64_t)ends * 1000000;
    today_ns = (uint64_t)(unix_s - began) * AD_NS_PER_S +
               now->unix_us % 1000000 * 1000;
    if (now->elapsed_ns > today_ns && now->elapsed_ns - today_ns > from_ns) {
        from_ns = now->elapsed_ns - today_ns;
    }
    if (!stepped) {
        for (i = 0; i <= ad_totals.n; i++) {
            memset(&ad_totals_at(i)->today, 0, sizeof(struct ad_usage));
        }
    } else if (from_ns > ad_totals.from_ns + AD_HOUR_NS ||
               ad_totals.from_ns > from_ns + AD_HOUR_NS) {
        for (i = 0; i <= ad_totals.n; i++) {
            ad_totals_at(i)->today = ad_totals_since(ad_totals_at(i), from_ns);
        }
    } else {
        return; /* still the same day: it counts since from_ns, as before */
    }
    ad_totals.from_ns = from_ns;
}

/* Follow the clocks. Before all that counts or reads. */
static void ad_totals_turn(const struct ad_totals_time *now)
{
    uint64_t hour = now->elapsed_ns / AD_HOUR_NS;
    int64_t offset_us = (int64_t)(now->unix_us - now->elapsed_ns / 1000);
    int64_t moved_us = offset_us - ad_totals.offset_us;
    bool stepped = moved_us > AD_TOTALS_STEP_US || moved_us < -AD_TOTALS_STEP_US;

    ad_totals.offset_us = offset_us;
    if (hour > ad_totals.hour) {
        ad_totals_turn_hour(hour);
    }
    if (!ad_totals.day_known || stepped || now->unix_us >= ad_totals.day_end_us) {
        ad_totals_turn_day(now, ad_totals.day_known && stepped);
        ad_totals.day_known = true;
    }
}

/* Unix time in microseconds of an elapsed time, by the clock as it is now. */
static uint64_t ad_totals_unix_us(uint64_t elapsed_ns)
{
    int64_t us = (int64_t)(elapsed_ns / 1000) + ad_totals.offset_us;

    return us > 0 ? (uint64_t)us : 0;
}

/* ---- rows ---- */

/* FNV-1a, with the NUL: so that "a","b" is not "ab","". */
static uint32_t ad_totals_mix(uint32_t hash, const char *text)
{
    do {
        hash = (hash ^ (uint8_t)*text) * 16777619u;
    } while (*text++ != '\0');
    return hash;
}

static uint32_t ad_totals_hash(enum ad_usage_by by,
                               const struct ad_totals_client *who,
                               const char *model)
{
    uint32_t hash = 2166136261u;

    if (by == AD_PER_ROW || by == AD_PER_CLIENT || by == AD_PER_ADDRESS) {
        hash = ad_totals_mix(hash, who->address);
    }
    if (by == AD_PER_ROW || by == AD_PER_CLIENT || by == AD_PER_KEY) {
        hash = ad_totals_mix(hash, who->key);
    }
    if (by == AD_PER_ROW || by == AD_PER_CLIENT || by == AD_PER_AGENT) {
        hash = ad_totals_mix(hash, who->agent);
    }
    if (by == AD_PER_ROW || by == AD_PER_MODEL) {
        hash = ad_totals_mix(hash, model);
    }
    return hash;
}

/* Is it the same client, address, ... as that of the row? */
static bool ad_totals_same(enum ad_usage_by by, const struct ad_totals_row *row,
                           const struct ad_totals_client *who, const char *model)
{
    bool whole = by == AD_PER_ROW || by == AD_PER_CLIENT;

    return ((!whole && by != AD_PER_ADDRESS) ||
            strcmp(row->who.address, who->address) == 0) &&
           ((!whole && by != AD_PER_KEY) || strcmp(row->who.key, who->key) == 0) &&
           ((!whole && by != AD_PER_AGENT) ||
            strcmp(row->who.agent, who->agent) == 0) &&
           ((by != AD_PER_ROW && by != AD_PER_MODEL) ||
            strcmp(row->model, model) == 0);
}

/* The first row from number `from` on that is the same, by its hash; n of the rows
 * if there is none. */
static unsigned ad_totals_find(enum ad_usage_by by, unsigned from, uint32_t hash,
                               const struct ad_totals_client *who,
                               const char *model)
{
    unsigned i = from;

    while (i < ad_totals.n &&
           (ad_totals.hashes[by][i] != hash ||
            !ad_totals_same(by, &ad_totals.rows[i], who, model))) {
        i++;
    }
    return i;
}

/* The row with the fewest tokens gives way: it is merged into `others`. */
static unsigned ad_totals_give_way(void)
{
    unsigned least = 0, i, h;
    struct ad_totals_row *row;

    for (i = 1; i < ad_totals.n; i++) {
        if (ad_usage_tokens(&ad_totals.rows[i].all) <
            ad_usage_tokens(&ad_totals.rows[least].all)) {
            least = i;
        }
    }
    row = &ad_totals.rows[least];
    ad_usage_sum(&ad_totals.others.all, &row->all);
    ad_usage_sum(&ad_totals.others.today, &row->today);
    for (h = 0; h < AD_TOTALS_HOURS; h++) {
        ad_usage_sum(&ad_totals.others.hours[h], &row->hours[h]);
    }
    return least;
}

/* A row for a client and a model that have none. */
static unsigned ad_totals_new(const struct ad_totals_client *who,
                              const char *model)
{
    struct ad_totals_row *row;
    unsigned i, by;

    i = ad_totals.n < AIDASH_TOTALS ? ad_totals.n++ : ad_totals_give_way();
    row = &ad_totals.rows[i];
    memset(row, 0, sizeof(*row));
    row->who = *who;
    (void)snprintf(row->model, sizeof(row->model), "%s", model);
    for (by = 0; by < AD_PER_COUNT; by++) {
        ad_totals.hashes[by][i] = ad_totals_hash((enum ad_usage_by)by, who, model);
    }
    return i;
}

/* A request of this client at this model (1..AIDASH_MODEL_MAX bytes; "": not known)
 * has ended. */
static void ad_totals_add(const struct ad_totals_time *now,
                          const struct ad_totals_client *who, const char *model,
                          const struct ad_usage *usage)
{
    struct ad_totals_row *row;
    unsigned i;

    ad_totals_turn(now);
    i = ad_totals_find(AD_PER_ROW, 0, ad_totals_hash(AD_PER_ROW, who, model), who,
                       model);
    if (i == ad_totals.n) {
        i = ad_totals_new(who, model);
    }
    row = &ad_totals.rows[i];
    ad_usage_sum(&row->all, usage);
    ad_usage_sum(&row->today, usage);
    ad_usage_sum(&row->hours[ad_totals.hour % AD_TOTALS_HOURS], usage);
}

/* ---- reading: behind ad_totals_turn() ---- */

static struct ad_usage ad_totals_read(const struct ad_totals_row *row,
                                      enum ad_usage_span span)
{
    if (span == AD_SPAN_ALL) {
        return row->all;
    }
    return span == AD_SPAN_TODAY ? row->today : ad_totals_since(row, 0);
}

/* The sum of row i and of all behind it that are the same. False if one before it
 * is the same: then that one's sum has it. */
static bool ad_totals_group(enum ad_usage_by by, enum ad_usage_span span,
                            unsigned i, struct ad_usage *sum)
{
    const struct ad_totals_row *row = &ad_totals.rows[i];
    uint32_t hash = ad_totals.hashes[by][i];
    unsigned k = ad_totals_find(by, 0, hash, &row->who, row->model);

    memset(sum, 0, sizeof(*sum));
    if (k < i) {
        return false;
    }
    while (k < ad_totals.n) {
        struct ad_usage one = ad_totals_read(&ad_totals.rows[k], span);

        ad_usage_sum(sum, &one);
        k = ad_totals_find(by, k + 1, hash, &row->who, row->model);
    }
    return true;
}

/* The sum of all rows and of `others`. */
static struct ad_usage ad_totals_sum(enum ad_usage_span span)
{
    struct ad_usage sum = {{0}};
    unsigned i;

    for (i = 0; i <= ad_totals.n; i++) {
        struct ad_usage one = ad_totals_read(ad_totals_at(i), span);

        ad_usage_sum(&sum, &one);
    }
    return sum;
}

/* Since when a span counts, Unix time in microseconds. */
static uint64_t ad_totals_from_us(enum ad_usage_span span)
{
    uint64_t from_ns = ad_totals.start_ns;

    if (span == AD_SPAN_TODAY) {
        from_ns = ad_totals.from_ns;
    } else if (span == AD_SPAN_24H && ad_totals.hour >= AD_TOTALS_HOURS &&
               (ad_totals.hour - AD_TOTALS_HOURS + 1) * AD_HOUR_NS > from_ns) {
        from_ns = (ad_totals.hour - AD_TOTALS_HOURS + 1) * AD_HOUR_NS;
    }
    return ad_totals_unix_us(from_ns);
}

/* Before each run. While starting: the C library reads the time zone now. */
static void ad_totals_init(const struct ad_totals_time *now)
{
    memset(&ad_totals, 0, sizeof(ad_totals));
    ad_totals.start_ns = now->elapsed_ns;
    ad_totals.hour = now->elapsed_ns / AD_HOUR_NS;
    tzset();
    ad_totals_turn(now);
}

AD_MEMORY(usage, AIDASH_TOTALS, sizeof(ad_totals));

#endif /* AIDASH_METER */

#endif
