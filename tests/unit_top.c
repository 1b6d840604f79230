/* app/top_state.c and top_screen.c: what `aidash top` makes of events, and how it
 * looks on screens of all sizes. */
#include "../src/app/top_screen.c"
#include "check.h"

#define NOW 1741478400.0

static struct ad_top_state state;
static struct ad_top_json json;
static char screen[AD_TOP_SCREEN_MAX + 1];

static bool event(const char *text)
{
    char *copy = check_copy(text, strlen(text));
    bool known = ad_top_event(&state, &json, copy, strlen(text), NOW);

    free(copy);
    return known;
}

static const char *draw(unsigned columns, unsigned rows, bool utf8, bool colours,
                        const char *notice)
{
    struct ad_top_view view = {columns, rows, utf8, colours, "localhost:8080", notice,
                               NOW};
    struct ad_text out = ad_text_in(screen, AD_TOP_SCREEN_MAX);

    ad_top_screen(&out, &state, &view);
    CHECK(!out.full);
    screen[out.len] = '\0';
    return screen;
}

/* A board, a model of five ticks, requests that run, wait, ended and failed. */
static void fill(void)
{
    char text[256];
    int i;

    ad_top_begin(&state);
    CHECK(event("{\"event\":\"hello\",\"server\":\"aidash\",\"version\":\"0.1.0\",\"model\":"
                "\"llama3:8b\",\"models\":[\"llama3:8b\",\"qwen\"],\"paused\":false,"
                "\"source\":\"meter\",\"engine\":\"up\",\"run\":\"1a\",\"queued\":1}"));
    state.connected = true;
    state.viewers = 3;
    for (i = 0; i < 20; i++) {
        (void)snprintf(text, sizeof(text),
                       "{\"event\":\"inference_tick\",\"model\":\"llama3:8b\","
                       "\"tokens_generated\":%d,\"latency_ms\":%d.5,"
                       "\"tokens_per_second\":%d,\"timestamp\":%.1f}",
                       100 + i, 50 + i, i, NOW - 19 + i);
        CHECK(event(text));
    }
    CHECK(event("{\"event\":\"request_start\",\"seq\":7,\"id\":17,\"timestamp\":1,\"client\":"
                "\"192.168.1.20\",\"model\":\"llama3:8b\",\"route\":\"/v1/chat/completions\","
                "\"status\":\"running\"}"));
    CHECK(event("{\"event\":\"request\",\"seq\":8,\"id\":17,\"client\":\"192.168.1.20\","
                "\"model\":\"llama3:8b\",\"status\":\"running\",\"completion_tokens\":128,"
                "\"ttft_ms\":340.2,\"tokens_per_second\":18.44,\"context_tokens\":1024,"
                "\"context_length\":131072}"));
    CHECK(event("{\"event\":\"request_start\",\"seq\":9,\"id\":18,\"client\":\"192.168.1.21\","
                "\"model\":\"qwen\",\"status\":\"queued\",\"place\":1}"));
    CHECK(event("{\"event\":\"request\",\"seq\":10,\"id\":16,\"client\":\"192.168.1.20\","
                "\"model\":\"llama3:8b\",\"status\":\"finished\",\"completion_tokens\":23456,"
                "\"estimated\":true,\"ttft_ms\":12345,\"decode_tokens_per_second\":104.2,"
                "\"tokens_per_second\":9}"));
    CHECK(event("{\"event\":\"request\",\"seq\":11,\"id\":15,\"client\":\"192.168.1.20\","
                "\"model\":\"llama3:8b\",\"status\":\"failed\"}"));
    CHECK(event("{\"event\":\"board\",\"seq\":12,\"name\":\"Raspberry Pi 5\",\"cpu\":{"
                "\"percent\":42.3,\"iowait_percent\":0,\"clock_mhz\":2400,\"cores\":[1,2]},"
                "\"memory\":{\"total_bytes\":8441577472,\"available_bytes\":6350176256,"
                "\"swap_total_bytes\":209698816,\"swap_used_bytes\":0},\"temperatures\":["
                "{\"name\":\"nvme\",\"celsius\":41},{\"name\":\"cpu-thermal\",\"celsius\":58.7},"
                "{\"name\":\"far\",\"celsius\":\"unknown\"}],\"throttling\":{\"now\":["
                "\"under_voltage\"],\"since_boot\":[],\"events\":{},\"cooling\":[]},\"gpus\":[{"
                "\"name\":\"v3d\",\"percent\":73,\"clock_mhz\":\"absent\"},{\"name\":\"none\","
                "\"percent\":\"unknown\"}],\"npus\":[],\"power\":{\"watts\":\"absent\"},\"fans\":"
                "[{\"name\":\"pwmfan\",\"rpm\":4321,\"percent\":49}],\"disk\":{\"total_bytes\":"
                "1000,\"free_bytes\":\"absent\"},\"networks\":[{\"name\":\"eth0\","
                "\"received_bytes_per_second\":125000,\"sent_bytes_per_second\":10000}]}"));
}

static void test_golden(void)
{
    fill();
    CHECK_STR(draw(80, 24, false, false, "q: quit"),
              "aidash  localhost:8080  running  3 viewers  version 0.1.0\n"
              "model     llama3:8b  of 2  119 tokens  1 in line\n"
              "tokens/s  19.0                                              ..:::--===+++**###@@\n"
              "latency   p50 60 ms  p95 68 ms\n"
              "board     cpu 42 %  slowed down: under voltage  58.7 C  memory 2.1 GB of 8.4 GB\n"
              "gpu       v3d  73 %\n"
              "          network in 125 kB/s out 10.0 kB/s  fan 4321 rpm  nvme 41.0 C\n"
              "\n"
              "    id model                     status     tokens     TTFT   tok/s      context\n"
              "    18 qwen                      line 1\n"
              "    17 llama3:8b                 running       128   340 ms    18.4    1024/131k\n"
              "    15 llama3:8b                 failed\n"
              "    16 llama3:8b                 finished   ~23.5k   12.3 s     104\n"
              "\n\n\n\n\n\n\n\n\n\n"
              "q: quit");
    CHECK_STR(draw(40, 10, true, false, ""),
              "aidash  localhost:8080  running\n"
              "model     llama3:8b  of 2  119 tokens\n"
              "tokens/s  19.0      ▁▁▂▂▂▃▃▄▄▄▅▅▅▆▆▇▇▇██\n"
              "latency   p50 60 ms  p95 68 ms\n"
              "board     cpu 42 %  58.7 °C  2400 MHz\n"
              "model          status     tokens   tok/s\n"
              "qwen           line 1\n"
              "llama3:8b      running       128    18.4\n"
              "llama3:8b      failed\n"
              "llama3:8b      finished   ~23.5k     104");
    draw(200, 60, true, false, "q: quit");
    CHECK(strstr(screen, "2400 MHz\n") != NULL);
    CHECK(strstr(screen, "192.168.1.21     line 1") != NULL);
    /* Who waits longest is last among those that run; what ended follows. */
    CHECK(strstr(screen, "line 1") < strstr(screen, "running     "));
}

/* Every size: no line too wide, not too many; only colours among what a terminal
 * obeys. */
static void test_sizes(void)
{
    static const unsigned columns[] = {1, 2, 7, 10, 11, 39, 40, 59, 60, 75, 76, 80, 99,
                                       100, 132, AD_TOP_COLUMNS_MAX};
    static const unsigned rows[] = {1, 2, 3, 4, 5, 9, 10, 19, 20, 24, 39, 40, AD_TOP_ROWS_MAX};
    size_t i, k, mode;

    fill();
    CHECK(event("{\"event\":\"verdict\",\"on\":true,\"model\":\"a\",\"figure\":\"decode\",\"sentence\":\"12.1 tok/s, usually 18.4: the GPU clock "
                "fell to 624 MHz 40 s ago (thermal), 日本語日本語日本語日本語\"}"));
    CHECK(event("{\"event\":\"request\",\"id\":30,\"client\":\"\xE2\x82\xAC\",\"model\":"
                "\"模型模型模型模型模型模型模型模型模型\",\"status\":\"finished\","
                "\"completion_tokens\":1e300,\"ttft_ms\":1e300,\"tokens_per_second\":1e300,"
                "\"context_tokens\":1e300,\"context_length\":1e300}"));
    for (i = 0; i < AD_COUNT(columns); i++) {
        for (k = 0; k < AD_COUNT(rows); k++) {
            for (mode = 0; mode < 4; mode++) {
                const char *line = draw(columns[i], rows[k], (mode & 1) != 0, (mode & 2) != 0,
                                        "q: quit");
                unsigned n = 0;

                while (line != NULL && *line != '\0') {
                    char plain[8 * AD_TOP_COLUMNS_MAX];
                    size_t len = strcspn(line, "\n"), used = 0, at;

                    for (at = 0; at < len && used < sizeof(plain) - 1; at++) {
                        if (line[at] == '\033') {
                            at += strcspn(line + at, "m");
                        } else {
                            CHECK((unsigned char)line[at] >= 0x20);
                            CHECK((mode & 1) != 0 || (unsigned char)line[at] < 0x7F);
                            plain[used++] = line[at];
                        }
                    }
                    plain[used] = '\0';
                    CHECK(ad_top_columns(plain, true) <= columns[i]);
                    n++;
                    line = line[len] == '\n' ? line + len + 1 : NULL;
                }
                CHECK(n <= rows[k]);
            }
        }
    }
}

/* A name of a hostile server: neither an escape of any form nor a character that
 * turns the order around reaches the terminal; what is left is shown. */
static void test_hostile(void)
{
    char text[600];
    const char *cut;
    size_t i;

    ad_top_begin(&state);
    CHECK(event("{\"event\":\"hello\",\"model\":\"a\\u001b[31mb\xC2\x9B" "2Jc\xE2\x80\xAE" "d"
                "\\u202ee\\u2066f\\u0007g\xE2\x80\x8Fh\\ud83d\\ude00\",\"models\":[]}"));
    CHECK_STR(state.model, "a[31mb2Jcdefgh\xF0\x9F\x98\x80");
    /* Cut between two characters. */
    (void)snprintf(text, sizeof(text), "{\"event\":\"hello\",\"model\":\"");
    for (i = 0; i < 60; i++) {
        strcat(text, "\xE6\x97\xA5");
    }
    strcat(text, "\",\"models\":[]}");
    CHECK(event(text));
    CHECK_EQ(strlen(state.model), 93);
    /* No JSON, no object, no event, members of other types. */
    CHECK(!event("{\"event\":\"hello\""));
    CHECK(!event("[]"));
    CHECK(!event("{}"));
    CHECK(!event("\xFF"));
    CHECK(event("{\"event\":\"what comes later\"}"));
    CHECK(event("{\"event\":\"request\",\"id\":\"x\",\"status\":1}"));
    CHECK(event("{\"event\":\"request\",\"id\":-1}"));
    CHECK_EQ(state.n_running + state.n_ended, 0);
    CHECK(event("{\"event\":\"board\",\"cpu\":[],\"memory\":1,\"temperatures\":{\"a\":1},\"gpus\":"
                "[1,[2],{\"name\":{}}],\"throttling\":{\"now\":[[[]],{}],\"cooling\":[3]}}"));
    CHECK(event("{\"event\":\"inference_tick\",\"timestamp\":1e300,\"tokens_per_second\":-5,"
                "\"latency_ms\":\"x\"}"));
    CHECK(event("{\"event\":\"batch\",\"ticks\":[1,{\"timestamp\":-1e300},[]]}"));
    CHECK_EQ(state.n_series, 1);
    (void)draw(80, 24, true, true, "");
    /* Numbers so long that what is behind them is cut inside a character. */
    for (i = 80; i < 200; i++) {
        (void)snprintf(text, sizeof(text),
                       "{\"event\":\"board\",\"temperatures\":[{\"name\":\"a\",\"celsius\":"
                       "1e%zu}]}", i);
        CHECK(event(text));
        (void)draw(300, 24, true, true, "");
    }
    cut = "\xF0\x9F\0behind its end";
    CHECK_EQ(ad_top_columns(cut, true), 1);
}

/* The lists keep the newest; a request is in one of them; another run begins anew. */
static void test_lists(void)
{
    char text[200];
    int i;

    ad_top_begin(&state);
    for (i = 0; i < 100; i++) {
        (void)snprintf(text, sizeof(text), "{\"event\":\"request_start\",\"id\":%d,\"status\":"
                                           "\"running\"}", i);
        CHECK(event(text));
    }
    CHECK_EQ(state.n_running, AD_TOP_RUNNING);
    CHECK_EQ(state.running[AD_TOP_RUNNING - 1].id, 99);
    for (i = 0; i < 100; i++) {
        (void)snprintf(text, sizeof(text), "{\"event\":\"request\",\"id\":%d,\"status\":"
                                           "\"finished\"}", i);
        CHECK(event(text));
    }
    CHECK_EQ(state.n_running, 0);
    CHECK_EQ(state.n_ended, AD_TOP_ENDED);
    CHECK_EQ(state.ended[AD_TOP_ENDED - 1].id, 99);
    CHECK(event("{\"event\":\"request\",\"id\":99,\"status\":\"running\"}"));
    CHECK_EQ(state.n_running, 0);
    CHECK(event("{\"event\":\"hello\",\"model\":\"\",\"models\":[],\"run\":\"1\"}"));
    CHECK_EQ(state.n_ended, AD_TOP_ENDED);
    CHECK(event("{\"event\":\"hello\",\"model\":\"\",\"models\":[],\"run\":\"2\"}"));
    CHECK_EQ(state.n_ended, 0);
    for (i = 0; i < 40; i++) {
        (void)snprintf(text, sizeof(text),
                       "{\"event\":\"inference_tick\",\"model\":\"m%d\",\"tokens_per_second\":2,"
                       "\"latency_ms\":%d,\"timestamp\":%.1f}", i % 20, i + 1, NOW);
        CHECK(event(text));
    }
    CHECK_EQ(state.n_series, AD_TOP_SERIES);
    CHECK(ad_top_rate(&state, NOW) == 2 * AD_TOP_SERIES);
    CHECK(ad_top_rate(&state, NOW + 3) == 0);
}

static void test_percentiles(void)
{
    char text[200];
    double p50, p95;
    int i;

    ad_top_begin(&state);
    ad_top_percentiles(&state, NOW, &p50, &p95);
    CHECK(isnan(p50) && isnan(p95));
    for (i = 100; i > 0; i--) {
        (void)snprintf(text, sizeof(text), "{\"event\":\"inference_tick\",\"model\":\"a\","
                                           "\"latency_ms\":%d,\"timestamp\":%.1f%s}",
                       i, NOW, i == 50 ? ",\"first\":true" : "");
        CHECK(event(text));
    }
    ad_top_percentiles(&state, NOW, &p50, &p95);
    CHECK(p50 == 51 && p95 == 96); /* without 50: the first token is no latency */
    ad_top_percentiles(&state, NOW + AD_TOP_LATENCY_S + 1, &p50, &p95);
    CHECK(isnan(p50));
}

/* GET /status, and one JSON object for scripts: it is what it says, and hides what a
 * terminal would obey behind escapes. */
static void test_json(void)
{
    static const char answer[] =
        "{\"version\":\"0.1.0\",\"uptime_s\":5,\"time\":1741478460,\"model\":\"m\",\"models\":"
        "[\"m\"],\"paused\":true,\"source\":\"none\",\"next_seq\":12,\"clients\":{\"websocket\":2,"
        "\"batch\":0,\"sse\":1},\"posture\":\"x\",\"board\":{\"name\":\"B\xC2\x9B\xE2\x80\xAE\", "
        "\"cpu\":{}}}";
    static const char requests[] =
        "{\"running\":[{\"id\":2,\"status\":\"running\",\"model\":\"m\\\"\"}],\"requests\":"
        "[{\"id\":1,\"status\":\"finished\"}]}";
    static char out[65536];
    struct ad_text t = ad_text_in(out, sizeof(out) - 1);

    ad_top_begin(&state);
    CHECK(!ad_top_status(&state, &json, "{\"status\":\"ok\"}", 15, NOW));
    CHECK(ad_top_status(&state, &json, answer, sizeof(answer) - 1, NOW));
    state.connected = true;
    CHECK(state.viewers == 3 && state.offset_s == 60);
    CHECK_STR(ad_top_word(&state, NOW), "paused");
    ad_top_requests(&state, &json, requests, sizeof(requests) - 1);
    CHECK_EQ(state.n_running, 1);
    CHECK_EQ(state.n_ended, 1);
    ad_top_json_of(&t, &state, "localhost:8080", NOW);
    CHECK(!t.full);
    out[t.len] = '\0';
    CHECK(ad_top_parse(&json, out, t.len));
    CHECK(strstr(out, "\"viewers\":3,") != NULL);
    CHECK(strstr(out, "\"name\":\"B\\u009b\\u202e\"") != NULL);
    CHECK(strstr(out, "\"latency_p50_ms\":null") != NULL);
    CHECK(strstr(out, "\"model\":\"m\\\"\"") != NULL);
    CHECK(out[t.len - 1] == '\n' && strchr(out, '\n') == out + t.len - 1);
}

/* Alerts and verdicts: what holds is shown, by its sentence where that is known. */
static void test_remarks(void)
{
    static const char status[] =
        "{\"posture\":\"x\",\"model\":\"a\",\"models\":[],\"alerts\":{\"rules\":2,\"firing\":"
        "[\"hot\",\"slow\"]},\"verdicts\":[{\"on\":true,\"model\":\"b\",\"figure\":\"wait\","
        "\"sentence\":\"b waits.\"}]}";
    static const char none[] = "{\"posture\":\"x\",\"model\":\"a\",\"models\":[]}";
    char text[200];
    int i;

    ad_top_begin(&state);
    CHECK(event("{\"event\":\"alert\",\"name\":\"hot\",\"state\":\"firing\",\"sentence\":\"It is hot.\"}"));
    CHECK(event("{\"event\":\"alert\",\"name\":\"over\",\"state\":\"firing\",\"sentence\":\"x\"}"));
    CHECK(event("{\"event\":\"alert\",\"name\":\"over\",\"state\":\"resolved\",\"sentence\":\"x\"}"));
    CHECK(event("{\"event\":\"verdict\",\"on\":true,\"model\":\"a\",\"figure\":\"decode\","
                "\"sentence\":\"12.1 tok/s, usually 18.4.\"}"));
    draw(80, 24, false, false, "");
    CHECK(strstr(screen, "\n12.1 tok/s, usually 18.4.\nalert: It is hot.\n") != NULL);
    CHECK(strstr(screen, "alert: x") == NULL);
    CHECK(ad_top_status(&state, &json, status, sizeof(status) - 1, NOW));
    draw(80, 24, false, false, "");
    CHECK(strstr(screen, "\nb waits.\nalert: slow\nalert: It is hot.") != NULL);
    CHECK(event("{\"event\":\"verdict\",\"on\":false,\"model\":\"b\",\"figure\":\"wait\"}"));
    CHECK_EQ(state.verdicts.n, 0);
    CHECK(ad_top_status(&state, &json, none, sizeof(none) - 1, NOW));
    CHECK_EQ(state.alerts.n, 0);
    for (i = 0; i < 20; i++) {
        (void)snprintf(text, sizeof(text), "{\"event\":\"alert\",\"name\":\"n%d\",\"state\":"
                                           "\"firing\"}", i);
        CHECK(event(text));
    }
    CHECK_EQ(state.alerts.n, AD_TOP_REMARKS);
    CHECK_STR(state.alerts.list[AD_TOP_REMARKS - 1].text, "n19");
}

int main(void)
{
    test_remarks();
    test_golden();
    test_sizes();
    test_hostile();
    test_lists();
    test_percentiles();
    test_json();
    return check_report();
}
