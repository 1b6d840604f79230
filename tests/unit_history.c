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
    ad_history_begin();
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
    ad_history_tick("a", tokens, latency_ms, false);
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
        ad_history_tick("a", 1, 1e6, true); /* a first token's is no latency */
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
    return check_report();
}
