/* History: rows of seconds, ten seconds and five minutes against values that are
 * computed exactly; their times; what is asked for, and the answer's forms. */
#include "../src/board/history_answer.c"
#include "check.h"

#define S AD_NS_PER_S
#define US 1000000ull

/* The latencies of a row, to compare. */
static double all[400000];
static size_t n_all;

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y ? 1 : 0;
}

static void begin(void)
{
    ad_hub_init();
    ad_ticks_init();
    ad_hub.now_ns = ad_hub.start_ns = 1000 * S;
    ad_hub.now_us = ad_hub.start_us = 1700000000 * US;
    ad_history_init();
    ad_history_begin(false);
}

/* Time goes on. */
static void go(uint64_t ns)
{
    ad_hub.now_ns += ns;
    ad_hub.now_us += ns / 1000;
    ad_history_advance();
}

static void tick(uint64_t tokens, double latency_ms)
{
    (void)ad_history_tick("a", tokens, latency_ms, false, 0);
    all[n_all++] = latency_ms;
}

static float *place(unsigned level, unsigned set, uint64_t number, unsigned column)
{
    unsigned at = ad_history_at(level, number);

    return column < AD_HISTORY_VALUES
               ? &ad_history.rows[set][at].values[column]
               : &ad_history.figures[at].values[column - AD_HISTORY_CPU];
}

static float value(unsigned level, uint64_t number, enum ad_history_column column)
{
    return *place(level, AD_HISTORY_ALL, number, column);
}

/* A row agrees with the latencies in all[]: percentiles within 5 %. */
static void agrees(unsigned level, uint64_t number)
{
    static const struct {
        enum ad_history_column column;
        unsigned percent;
    } percentiles[] = {{AD_HISTORY_P50, 50}, {AD_HISTORY_P95, 95}};
    double sum = 0;
    size_t i;

    qsort(all, n_all, sizeof(all[0]), by_size);
    for (i = 0; i < n_all; i++) {
        sum += all[i];
    }
    CHECK_EQ(value(level, number, AD_HISTORY_TICKS), n_all);
    CHECK(value(level, number, AD_HISTORY_MIN) == (float)all[0]);
    CHECK(value(level, number, AD_HISTORY_MAX) == (float)all[n_all - 1]);
    CHECK(fabs(value(level, number, AD_HISTORY_MEAN) - sum / (double)n_all) <=
          1e-5 * sum / (double)n_all);
    for (i = 0; i < AD_COUNT(percentiles); i++) {
        size_t rank = (n_all * percentiles[i].percent + 99) / 100;
        double exact = all[rank - 1];
        double got = value(level, number, percentiles[i].column);

        CHECK(got >= exact * 0.949 && got <= exact * 1.051);
    }
    n_all = 0;
}

static uint64_t seed = 1;

static double random_ms(void)
{
    double ms;
    unsigned k;

    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    /* from 0.1 ms to 13 s, each octave alike */
    ms = 0.1 * (1 + (double)(seed >> 40) / (1 << 24));
    for (k = (unsigned)(seed >> 32) % 17; k > 0; k--) {
        ms *= 2;
    }
    return ms;
}

static void levels(void)
{
    unsigned s, i;

    begin();
    for (s = 0; s < 300; s++) {
        size_t before = n_all;
        double second[100];

        for (i = 0; i < 40; i++) {
            tick(3, random_ms());
        }
        (void)ad_history_tick("a", 1, 1e6, true, 0); /* a first token's is no latency */
        memcpy(second, all + before, 40 * sizeof(double));
        go(S);
        if (s % 50 == 0) { /* the second alone; what is before it stays */
            static double kept[400000];
            size_t n_kept = n_all;

            memcpy(kept, all, n_kept * sizeof(double));
            memcpy(all, second, 40 * sizeof(double));
            n_all = 40;
            *place(0, 0, s, AD_HISTORY_TICKS) -= 1;
            agrees(0, s);
            memcpy(all, kept, n_kept * sizeof(double));
            n_all = n_kept;
        }
    }
    CHECK_EQ(value(0, 7, AD_HISTORY_TOKENS), 121);
    CHECK_EQ(value(1, 7, AD_HISTORY_TOKENS), 1210);
    CHECK_EQ(value(2, 0, AD_HISTORY_TOKENS), 36300);
    *place(2, 0, 0, AD_HISTORY_TICKS) -= 300;
    agrees(2, 0);
}

/* A tick counts in the second in which it comes, however late the hub looks. */
static void borders(void)
{
    begin();
    go(S - 1);
    tick(1, 10);
    ad_hub.now_ns += 1;
    tick(2, 20); /* the next second has begun */
    go(S);
    CHECK_EQ(value(0, 0, AD_HISTORY_TOKENS), 1);
    CHECK_EQ(value(0, 1, AD_HISTORY_TOKENS), 2);
    go(100 * S); /* a standstill: nothing was */
    CHECK_EQ(value(0, 50, AD_HISTORY_TICKS), 0);
    CHECK(isnan(value(0, 50, AD_HISTORY_P95)));
    CHECK(isnan(value(0, 50, AD_HISTORY_CPU)));
    CHECK_EQ(value(1, 0, AD_HISTORY_TOKENS), 3);
    n_all = 0;
}

static void requests(void)
{
#if AIDASH_METER
    static struct ad_proxy p;

    begin();
    (void)snprintf(p.request.model, sizeof(p.request.model), "a typing error");
    ad_history_request(&p, "failed", NULL); /* no engine has it: no rows of its own */
    CHECK_STR(ad_history.models[1].name, "");
    p.scan.dialect = "openai";
    (void)snprintf(p.request.model, sizeof(p.request.model), "asked for");
    ad_history_request(&p, "finished", NULL);
    (void)snprintf(p.name, sizeof(p.name), "answered");
    ad_history_request(&p, "finished", NULL);
    memset(&p, 0, sizeof(p)); /* nobody knows */
    ad_history_request(&p, "refused", NULL);
    go(S);
    ad_history_request(&p, "refused", NULL);
    go(9 * S);
    CHECK_STR(ad_history.models[1].name, "asked for");
    CHECK_STR(ad_history.models[2].name, "answered");
    CHECK_EQ(*place(1, AD_HISTORY_OTHER, 0, AD_HISTORY_REQUESTS), 3);
    CHECK_EQ(value(0, 0, AD_HISTORY_REQUESTS), 4);
    CHECK_EQ(value(0, 1, AD_HISTORY_REQUESTS), 1);
    CHECK_EQ(value(1, 0, AD_HISTORY_REQUESTS), 5);
#endif
}

static void figures(void)
{
#if AIDASH_BOARD
    struct ad_board_figures f;
    unsigned i;

    begin();
    for (i = 0; i < 10; i++) {
        memset(&f, 0, sizeof(f));
        f.cpu_percent = ad_value_of(10.0 * i);
        f.celsius = ad_value_of(i == 4 ? 90 : 50);
        if (i < 5) {
            f.watts = ad_value_of(12);
        }
        f.gpu_percent = ad_value_none(AD_VALUE_NEEDS_ROOT);
        ad_history_board(&f);
        go(S);
    }
    CHECK_EQ(value(1, 0, AD_HISTORY_CPU), 45); /* the mean */
    CHECK_EQ(value(1, 0, AD_HISTORY_CELSIUS), 90); /* the highest */
    CHECK_EQ(value(1, 0, AD_HISTORY_WATTS), 12); /* of those that are known */
    CHECK(isnan(value(1, 0, AD_HISTORY_GPU)));
    CHECK(isnan(value(0, 9, AD_HISTORY_WATTS)));
#endif
}

/* What is chosen of what is kept. */
static void choice(void)
{
    struct ad_history_ask ask = {0};
    uint64_t start = 1700000000 * US;

    begin();
    go(100 * S);
    CHECK(ad_history_choose(&ask, 0, UINT64_MAX, 0));
    CHECK_EQ(ask.level, 0);
    CHECK_EQ(ask.next, 0);
    CHECK_EQ(ask.end, 100);
    CHECK(ad_history_choose(&ask, start + 10 * US, start + 20 * US, 0));
    CHECK_EQ(ask.next, 10);
    CHECK_EQ(ask.end, 20);
    CHECK(ad_history_choose(&ask, start + 10 * US + 1, start + 20 * US + 1, 1));
    CHECK_EQ(ask.next, 11);
    CHECK_EQ(ask.end, 21);
    CHECK(ad_history_choose(&ask, start + 500 * US, UINT64_MAX, 1)); /* to come */
    CHECK_EQ(ask.next, ask.end);
    CHECK(ad_history_choose(&ask, 0, start - 5 * US, 1)); /* before the start */
    CHECK_EQ(ask.next, ask.end);
    CHECK(ad_history_choose(&ask, start + 50 * US, start + 40 * US, 1));
    CHECK_EQ(ask.next, ask.end);
    CHECK(ad_history_choose(&ask, 0, UINT64_MAX, 10));
    CHECK_EQ(ask.end, 10);
    CHECK(!ad_history_choose(&ask, 0, UINT64_MAX, 7));
    go(2000ull * S);
    CHECK(ad_history_choose(&ask, 0, UINT64_MAX, 1));
    CHECK_EQ(ask.end - ask.next, AIDASH_HISTORY_SECONDS);
    CHECK(ad_history_choose(&ask, ad_hub.now_us - 600 * US, UINT64_MAX, 0));
    CHECK_EQ(ask.level, 0);
    CHECK(ad_history_choose(&ask, ad_hub.now_us - 1800 * US, UINT64_MAX, 0));
    CHECK_EQ(ask.level, 1); /* the seconds do not go back so far */
    go(20 * 86400ull * S);
    CHECK(ad_history_choose(&ask, 0, UINT64_MAX, 0));
    CHECK_EQ(ask.level, 2);
    CHECK_EQ(ask.end - ask.next, AIDASH_HISTORY_FIVES);
    /* The clock is set: the rows' times follow it. */
    ad_hub.start_us += 3600 * US;
    CHECK_EQ(ad_history_start_us(2, ask.next), start + 3600 * US + ask.next * 300 * US);
}

/* ---- what others tell late ---- */

#define NOW (1700000000 * US) /* when a run begins */
#define BEGIN AD_HISTORY_KEPT_S /* its number */

static void begin_with_past(void)
{
    begin();
    ad_history_init();
    ad_history_begin(true);
    CHECK_EQ(ad_history.second, BEGIN);
}

/* A tick of a model that was at that time. */
static bool late(const char *model, uint64_t at_us, double latency_ms)
{
    bool counted = ad_history_tick(model, 2, latency_ms, false, at_us);

    ad_history_settle();
    return counted;
}

/* An hour that boards tell at a start: each after the other, or in turns. */
static void past_hour(unsigned n_boards, bool in_turns)
{
    unsigned i, k;

    begin_with_past();
    for (i = 0; i < 3600 * n_boards; i++) {
        unsigned s = in_turns ? i / n_boards : i % 3600;
        unsigned board = in_turns ? i % n_boards : i / 3600;

        for (k = 0; k < 10; k++) {
            CHECK(ad_history_tick(board == 0 ? "a" : "b", 2,
                                  10.0 * (1 + board) + k, false,
                                  NOW - 3600 * US + s * US + k * 100000));
        }
    }
    ad_history_settle();
}

static void past(void)
{
    struct ad_history_ask ask = {0};
    unsigned n, turns;

    for (n = 1; n <= 2; n++) {
        for (turns = 0; turns < n; turns++) {
            past_hour(n, turns == 1);
            CHECK_EQ(ad_history.first_s, BEGIN - 3600);
            CHECK(ad_history_choose(&ask, NOW - 3600 * US, UINT64_MAX, 10));
            CHECK_EQ(ask.end - ask.next, 360);
            CHECK_EQ(ad_history_start_us(1, ask.next), NOW - 3600 * US);
            CHECK_EQ(value(1, ask.next, AD_HISTORY_TICKS), 100 * n);
            CHECK_EQ(value(1, ask.end - 1, AD_HISTORY_TOKENS), 200 * n);
            CHECK_EQ(value(0, BEGIN - 1, AD_HISTORY_TICKS), 10 * n);
            CHECK_EQ(value(0, BEGIN - 900, AD_HISTORY_TICKS), 10 * n);
            CHECK_EQ(value(2, BEGIN / 300 - 12, AD_HISTORY_TICKS), 3000 * n);
            CHECK_EQ(value(2, BEGIN / 300 - 1, AD_HISTORY_MIN), 10);
            CHECK_EQ(value(2, BEGIN / 300 - 1, AD_HISTORY_MAX), n == 1 ? 19 : 29);
            CHECK(fabs(value(2, BEGIN / 300 - 1, AD_HISTORY_MEAN) -
                       (n == 1 ? 14.5 : 19.5)) < 1e-3);
            CHECK(value(1, ask.next, AD_HISTORY_P50) > (n == 1 ? 13.2 : 18) &&
                  value(1, ask.next, AD_HISTORY_P50) < (n == 1 ? 14.7 : 21));
            CHECK(value(1, ask.next, AD_HISTORY_P95) > (n == 1 ? 18 : 26.5) &&
                  value(1, ask.next, AD_HISTORY_P95) <= (n == 1 ? 19 : 29));
            CHECK_EQ(*place(1, 1, ask.next, AD_HISTORY_TICKS), 100);
            CHECK(ad_history.models[1].since_s == BEGIN - 3600);
            CHECK_EQ(ad_history.totals.ticks, 36000 * n);
            /* What comes now is as ever. */
            tick(5, 10);
            go(S);
            CHECK_EQ(value(0, BEGIN, AD_HISTORY_TOKENS), 5);
            n_all = 0;
        }
    }
    /* The whole of it is told by the shortest rows that go back so far. */
    CHECK(ad_history_choose(&ask, NOW - 3600 * US, UINT64_MAX, 0));
    CHECK_EQ(ask.level, 1);
    CHECK(ad_history_choose(&ask, NOW - 600 * US, UINT64_MAX, 0));
    CHECK_EQ(ask.level, 0);
    CHECK_EQ(ask.end - ask.next, 601);
}

/* The edges: of what is kept, of a row, of now. */
static void past_edges(void)
{
    uint64_t oldest = NOW - (uint64_t)AD_HISTORY_KEPT_S * US;

    begin_with_past();
    CHECK(!late("a", oldest - 1, 1));
    CHECK_EQ(ad_history.first_s, BEGIN);
    CHECK(late("a", oldest, 1));
    CHECK_EQ(ad_history.first_s, 0);
    CHECK_EQ(value(2, 0, AD_HISTORY_TICKS), 1);
    CHECK(isnan(value(2, 1, AD_HISTORY_TICKS))); /* a gap is no zero */
    CHECK(isnan(value(1, BEGIN / 10 - 1, AD_HISTORY_TICKS)));

    /* Seconds and tens that the rings do not have any more count in the longer rows. */
    CHECK(late("a", NOW - AIDASH_HISTORY_TENS * 10 * US - 1, 1));
    CHECK(late("a", NOW - AIDASH_HISTORY_TENS * 10 * US, 1));
    CHECK_EQ(value(1, BEGIN / 10 - AIDASH_HISTORY_TENS, AD_HISTORY_TICKS), 1);
    CHECK(late("a", NOW - AIDASH_HISTORY_SECONDS * US - 1, 1));
    CHECK(late("a", NOW - AIDASH_HISTORY_SECONDS * US, 1));
    CHECK_EQ(value(0, BEGIN - AIDASH_HISTORY_SECONDS, AD_HISTORY_TICKS), 1);
    CHECK(isnan(value(0, BEGIN - AIDASH_HISTORY_SECONDS + 1, AD_HISTORY_TICKS)));

    /* The last and the first microsecond of a row; out of order; another model's. */
    CHECK(late("b", NOW - 10 * US, 4));
    CHECK(late("b", NOW - 10 * US - 1, 4));
    CHECK(late("a", NOW - 1, 2));
    CHECK_EQ(value(1, BEGIN / 10 - 1, AD_HISTORY_TICKS), 2);
    CHECK_EQ(value(1, BEGIN / 10 - 2, AD_HISTORY_TICKS), 1);
    CHECK_EQ(*place(1, 1, BEGIN / 10 - 1, AD_HISTORY_TICKS), 1);
    CHECK_EQ(*place(1, 2, BEGIN / 10 - 2, AD_HISTORY_TICKS), 1);
    CHECK_EQ(value(1, BEGIN / 10 - 1, AD_HISTORY_MIN), 2);
    CHECK_EQ(value(1, BEGIN / 10 - 1, AD_HISTORY_MAX), 4);

    /* The open second, and the open ten seconds of which a part is over. */
    go(5 * S);
    CHECK(late("a", NOW + 2 * US, 3));
    CHECK(late("a", NOW + 5 * US, 3));
    CHECK(late("a", NOW + 500 * US, 3)); /* of what is to come, now */
    CHECK_EQ(value(0, BEGIN + 2, AD_HISTORY_TICKS), 1);
    go(5 * S);
    CHECK_EQ(value(0, BEGIN + 5, AD_HISTORY_TICKS), 2);
    CHECK_EQ(value(1, BEGIN / 10, AD_HISTORY_TICKS), 3);
    go(290 * S);
    CHECK_EQ(value(2, BEGIN / 300, AD_HISTORY_TICKS), 3);

    /* Rings go round: a row that took another one's place is not added to. */
    go(AIDASH_HISTORY_SECONDS * S);
    CHECK(late("a", NOW + 2 * US, 3));
    CHECK_EQ(value(0, BEGIN + 2 + AIDASH_HISTORY_SECONDS, AD_HISTORY_TICKS), 0);
    CHECK_EQ(value(1, BEGIN / 10, AD_HISTORY_TICKS), 4);
    CHECK(!late("a", oldest, 1));

    /* A clock that is not set yet: nothing was before. */
    begin_with_past();
    ad_hub.start_us = ad_hub.now_us = 100 * US;
    CHECK(!late("a", 1, 1));
    CHECK_EQ(ad_history_run_start_us(0), 100 * US);

    /* A run with a file, or behind another one, has no rows of before. */
    begin();
    CHECK(!late("a", NOW - 1, 1));
    go(20 * S);
    CHECK(late("a", NOW + 3 * US, 1));
    CHECK_EQ(value(0, 3, AD_HISTORY_TICKS), 1);
    CHECK_EQ(value(1, 0, AD_HISTORY_TICKS), 1);
    CHECK_EQ(value(1, 1, AD_HISTORY_TICKS), 0);
}

/* Late and early ticks of a row make what all of them would have made: exactly, but for
 * percentiles, which are near, and never outside of what the parts say. */
static void past_joined(void)
{
    unsigned round, i;

    for (round = 0; round < 20; round++) {
        double low, high;

        begin();
        for (i = 0; i < 200; i++) { /* the board's own, then another's */
            tick(1, 20 + random_ms() / 1000);
        }
        go(S);
        low = value(0, 0, AD_HISTORY_P95);
        for (i = 0; i < 300; i++) {
            double ms = 40 + random_ms() / 1000;

            CHECK(ad_history_tick("b", 1, ms, false, NOW));
            all[n_all++] = ms;
        }
        high = ad_history_percentile(&ad_history.late[0].sums[AD_HISTORY_ALL], 95);
        ad_history_settle();
        CHECK(value(0, 0, AD_HISTORY_P95) >= (float)low);
        CHECK(value(0, 0, AD_HISTORY_P95) <= (float)high);
        CHECK_EQ(value(0, 0, AD_HISTORY_TOKENS), 500);
        qsort(all, n_all, sizeof(all[0]), by_size);
        CHECK(value(0, 0, AD_HISTORY_MIN) == (float)all[0]);
        CHECK(value(0, 0, AD_HISTORY_MAX) == (float)all[n_all - 1]);
        CHECK(value(0, 0, AD_HISTORY_P50) > 0.85 * all[249] &&
              value(0, 0, AD_HISTORY_P50) < 1.15 * all[249]);
        n_all = 0;
    }
    /* First tokens have no latency: one part has none, then the other. */
    begin();
    (void)ad_history_tick("a", 1, 5, true, 0);
    go(S);
    CHECK(late("a", NOW, 7));
    CHECK_EQ(value(0, 0, AD_HISTORY_P50), 7);
    CHECK(ad_history_tick("a", 1, 9, true, NOW));
    ad_history_settle();
    CHECK_EQ(value(0, 0, AD_HISTORY_TICKS), 3);
    CHECK_EQ(value(0, 0, AD_HISTORY_MAX), 7);
}

static void put_text(const struct ad_history_ask *ask, char *out, size_t cap)
{
    struct ad_text t = ad_text_in(out, cap - 1);
    uint64_t i;

    ad_history_put_begin(&t, ask);
    for (i = ask->next; i < ask->end; i++) {
        ad_history_put_row(&t, ask, i);
    }
    CHECK(!t.full);
    out[t.len] = '\0';
}

static void forms(void)
{
    struct ad_history_ask ask = {0};
    char text[2048];
    struct ad_text t = ad_text_in(text, sizeof(text));
    unsigned i;

    begin();
    tick(30, 12.5);
    go(S);
    go(S);
    CHECK(ad_history_columns(ad_slice_of("latency_max_ms,tokens_per_second"),
                             &ask.columns));
    CHECK(ad_history_choose(&ask, 0, UINT64_MAX, 1));
    ask.csv = false;
    put_text(&ask, text, sizeof(text));
    CHECK_STR(text, "{\"step\":1,\"models\":[\"a\",\"other\"],\"series\":[\"time\",\"latency_max_ms\","
                    "\"tokens_per_second\"],\"rows\":[[1700000000,12.5,30]"
                    "[1700000001,null,0]");
    ask.csv = true;
    put_text(&ask, text, sizeof(text));
    CHECK_STR(text, "time,latency_max_ms,tokens_per_second\r\n"
                    "1700000000,12.5,30\r\n1700000001,,0\r\n");
    CHECK(!ad_history_columns(ad_slice_of("tokens,none"), &ask.columns));
    CHECK(!ad_history_columns(ad_slice_of(""), &ask.columns));
    CHECK(!ad_history_columns(ad_slice_of("tokens,"), &ask.columns) ||
          ask.columns == 2);
    /* The longest row has the room that is kept for it. */
    ask.columns = (1u << AD_HISTORY_COLUMNS) - 1;
    for (i = 0; i < AD_HISTORY_KEPT; i++) {
        *place(0, 0, 0, i) = -3e38f;
    }
    ad_history_put_row(&t, &ask, 0);
    CHECK(!t.full && t.len <= AD_HISTORY_ROW_MAX);
    n_all = 0;
}

int main(void)
{
    levels();
    borders();
    requests();
    figures();
    choice();
    forms();
    past();
    past_edges();
    past_joined();
    return check_report();
}
