/* Other boards: what of their events is taken, the ring that loses none of them, and
 * the table: doubles, new runs, states on a clock of the test's own, a full table;
 * commands for a board and its link. */
#include "../src/codec/answer.c"
#include "../src/core/commands.c"
#include "begin_hub.h"
#include "check.h"

/* ---- what the viewers get ---- */

static char told[512][AD_EVENT_MAX + 1]; /* the events since begin() */
static unsigned n_told;

static void tap(const char *json, size_t len, void *user)
{
    (void)user;
    if (n_told < AD_COUNT(told)) {
        memcpy(told[n_told], json, len);
        told[n_told++][len] = '\0';
    }
}

static const char *last_told(void)
{
    return n_told > 0 ? told[n_told - 1] : "";
}

static void begin(void)
{
    begin_hub(tap);
    ad_nodes_init();
    ad_own_commands_init();
    ad_own_requests_init();
    ad_commands_init();
    n_told = 0;
}

/* So many milliseconds go by, a housekeeping each second. */
static void go(unsigned ms)
{
    uint64_t end_ns = ad_hub.now_ns + ms * AD_NS_PER_MS;

    while (ad_hub.now_ns < end_ns) {
        uint64_t step_ns = end_ns - ad_hub.now_ns < AD_NS_PER_S ? end_ns - ad_hub.now_ns
                                                                : AD_NS_PER_S;

        ad_hub_set_clock(ad_hub.now_ns + step_ns, ad_hub.now_us + step_ns / 1000);
        ad_nodes_housekeeping();
        ad_events_fanned_out();
    }
}

/* ---- events ---- */

static unsigned parsed(const char *json, size_t max, struct ad_relayed *out)
{
    size_t len = strlen(json);
    char *copy = check_copy(json, len);

    ad_relayed_parse(copy, len, max, out);
    free(copy);
    return out->kind;
}

#define TICK(fields) "{\"event\":\"inference_tick\",\"model\":\"llama3\"," fields \
    "\"tokens_generated\":47,\"latency_ms\":118.3,\"tokens_per_second\":3.82," \
    "\"timestamp\":1741478400.123}"

static void test_parse(void)
{
    static const struct {
        const char *json;
        unsigned kind;
    } rows[] = {
        {TICK(""), AD_RELAYED_TICK},
        {TICK("\"estimated\":true,\"request\":7,\"first\":true,"), AD_RELAYED_TICK},
        {TICK("\"unknown\":[{}],"), AD_RELAYED_TICK},
        {TICK("\"node\":\"third\","), AD_RELAYED_FOREIGN},
        {TICK("\"n\\u006fde\":\"third\","), AD_RELAYED_FOREIGN},
        {TICK("\"tokens\":1,"), AD_RELAYED_WRONG},
        {TICK("\"gauge\":\"g\",\"value\":1,"), AD_RELAYED_WRONG},
        {TICK("\"watts\":1,"), AD_RELAYED_WRONG},
        {TICK("\"request\":\"7\","), AD_RELAYED_WRONG},
        {TICK("\"request\":-7,"), AD_RELAYED_WRONG},
        {TICK("\"request\":1e400,"), AD_RELAYED_WRONG},
        {TICK("\"latency_ms\":1,"), AD_RELAYED_WRONG}, /* twice */
        {"{\"event\":\"inference_tick\"}", AD_RELAYED_WRONG},
        {"{\"event\":\"inference_tick\",\"model\":\"m\",\"tokens_generated\":1,"
         "\"latency_ms\":1,\"tokens_per_second\":1}", AD_RELAYED_WRONG},
        {"{\"event\":\"inference_tick\",\"model\":\"\",\"tokens_generated\":1,"
         "\"latency_ms\":1,\"tokens_per_second\":1,\"timestamp\":1}", AD_RELAYED_WRONG},
        {"{\"event\":\"inference_tick\",\"model\":\"m\",\"tokens_generated\":-1,"
         "\"latency_ms\":1,\"tokens_per_second\":1,\"timestamp\":1}", AD_RELAYED_WRONG},
        {"{\"event\":\"status\",\"seq\":1,\"model\":\"m\"}", AD_RELAYED_STATUS},
        {"{\"event\":\"status\"}", AD_RELAYED_STATUS},
        {"{\"event\":\"status\",\"model\":7}", AD_RELAYED_STATUS},
        {"{\"event\":\"hello\",\"model\":\"m\"}", AD_RELAYED_STATUS},
        {"{\"event\":\"board\",\"cpu\":{\"cores\":[1,2]}}", AD_RELAYED_BOARD},
        {"{\"event\":\"verdict\"}", AD_RELAYED_VERDICT},
        {"{\"event\":\"energy\"}", AD_RELAYED_ENERGY},
        {"{\"event\":\"of_tomorrow_2\"}", AD_RELAYED_OTHER},
        {"{\"event\":\"abcdefghijklmnopqrstuvwxyz01234\"}", AD_RELAYED_OTHER},
        {"{\"event\":\"abcdefghijklmnopqrstuvwxyz012345\"}", AD_RELAYED_WRONG},
        {"\xEF\xBB\xBF {\"event\":\"board\"} \n", AD_RELAYED_BOARD},
        {"{\"event\":\"node\",\"node\":\"x\",\"data\":{}}", AD_RELAYED_FOREIGN},
        {"{\"event\":\"node\"}", AD_RELAYED_FOREIGN},
        {"{\"event\":\"batch\",\"seq\":1,\"ticks\":[]}", AD_RELAYED_WRONG},
        {"{\"event\":\"\"}", AD_RELAYED_WRONG},
        {"{\"event\":\"a b\"}", AD_RELAYED_WRONG},
        {"{\"event\":\"Board\"}", AD_RELAYED_WRONG},
        {"{\"event\":7}", AD_RELAYED_WRONG},
        {"{\"event\":\"board\",\"event\":\"status\"}", AD_RELAYED_WRONG},
        {"{}", AD_RELAYED_WRONG},
        {"", AD_RELAYED_WRONG},
        {"[]", AD_RELAYED_WRONG},
        {"\"board\"", AD_RELAYED_WRONG},
        {"{\"event\":\"board\"", AD_RELAYED_WRONG},
        {"{\"event\":\"board\"}}", AD_RELAYED_WRONG},
        {"{\"event\":\"board\"}{\"event\":\"board\"}", AD_RELAYED_WRONG},
        {"{\"event\":\"board\",\"x\":\"\n\"}", AD_RELAYED_WRONG},
        {"{\"event\":\"board\",\"x\":\"\xFF\"}", AD_RELAYED_WRONG},
        {"{\"event\":\"board\",\"x\":[[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]]}", AD_RELAYED_WRONG},
    };
    struct ad_relayed event;
    unsigned i;

    for (i = 0; i < AD_COUNT(rows); i++) {
        memset(&event, 0, sizeof(event));
        if (parsed(rows[i].json, AD_RELAY_MAX, &event) != rows[i].kind) {
            printf("%s\n", rows[i].json);
        }
        CHECK_EQ(event.kind, rows[i].kind);
    }
    CHECK_EQ(parsed("{\"event\":\"board\"}", 17, &event), AD_RELAYED_BOARD);
    CHECK_EQ(parsed("{\"event\":\"board\"}", 16, &event), AD_RELAYED_WRONG);
    CHECK_EQ(parsed(TICK("\"estimated\":true,\"request\":7,\"first\":true,"), 4096,
                    &event), AD_RELAYED_TICK);
    CHECK_EQ(event.request, 7);
    CHECK((event.sample.has & AD_IS_ESTIMATED) != 0 &&
          (event.sample.has & AD_IS_FIRST) != 0);
    CHECK_EQ(event.sample.total, 47);
    CHECK_EQ(parsed(TICK("\"estimated\":false,"), 4096, &event), AD_RELAYED_TICK);
    CHECK_EQ(event.sample.has & AD_IS_ESTIMATED, 0);
    CHECK_EQ(parsed("{\"event\":\"hello\",\"model\":\"m\"}", 4096, &event),
             AD_RELAYED_STATUS);
    CHECK_STR(event.sample.model, "m");
}

/* A request's record has more than fifty members; an event may have 64. */
static void test_members(void)
{
    struct ad_relayed event;
    char json[2048];
    unsigned i, n;

    for (n = AD_MEMBERS_MAX; n <= AD_MEMBERS_MAX + 1; n++) {
        struct ad_text t = ad_text_in(json, sizeof(json) - 1);

        ad_puts(&t, "{\"event\":\"request\"");
        for (i = 1; i < n; i++) {
            ad_putf(&t, ",\"m%u\":%u", i, i);
        }
        ad_puts(&t, "}");
        json[t.len] = '\0';
        CHECK_EQ(parsed(json, sizeof(json), &event),
                 n == AD_MEMBERS_MAX ? AD_RELAYED_OTHER : AD_RELAYED_WRONG);
    }
}

static void test_ids(void)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"", true}, {"a-1", true}, {"0123456789abcdef-9007199254740992", true},
        {"a-0", true}, {"0123456789abcdef0-1", false}, {"a-9007199254740993", false},
        {"a-", false}, {"a", false}, {"-1", false}, {"A-1", false}, {"g-1", false},
        {"a-1x", false}, {"a--1", false}, {"a- 1", false}, {"a-1\n", false}};
    struct ad_relayed_id id;
    unsigned i;

    for (i = 0; i < AD_COUNT(rows); i++) {
        size_t len = strlen(rows[i].text);
        char *copy = check_copy(rows[i].text, len);

        CHECK_EQ(ad_relayed_id_parse(copy, len, &id), rows[i].good);
        free(copy);
    }
    CHECK(ad_relayed_id_parse("660f-12", 7, &id));
    CHECK_STR(id.run, "660f");
    CHECK_EQ(id.seq, 12);
}

/* ---- the ring ---- */

/* Put in an event of `len` bytes, which shows its number. */
static bool put(uint64_t seq, size_t len)
{
    static char text[AD_RELAY_MAX];
    struct ad_relayed event;

    memset(&event, 0, sizeof(event));
    memset(text, (int)('a' + seq % 26), len);
    event.kind = AD_RELAYED_OTHER;
    event.id.seq = seq;
    event.json.at = text;
    event.json.len = len;
    return ad_relay_push(&event);
}

/* Take out the oldest: its number, 0 if there is none. Its text must be its own. */
static uint64_t take(void)
{
    struct ad_relayed event;
    size_t i, wrong = 0;

    if (!ad_relay_front(&event)) {
        return 0;
    }
    for (i = 0; i < event.json.len; i++) {
        wrong += event.json.at[i] != (char)('a' + event.id.seq % 26);
    }
    CHECK_EQ(wrong, 0);
    ad_relay_drop(&event);
    return event.id.seq;
}

static void test_ring(void)
{
    uint64_t in = 0, out = 0;
    unsigned i;

    ad_relay_init();
    CHECK_EQ(take(), 0);
    CHECK(!ad_relay_waits(false));
    for (i = 0; i < 20000; i++) { /* many laps, filled to different heights */
        size_t len = (size_t)(in * 7919 % (i % 100 == 0 ? AD_RELAY_MAX + 1 : 700));

        while (!put(in + 1, len)) {
            CHECK_EQ(take(), out + 1);
            out++;
        }
        in++;
        if (i % 3 == 0) {
            CHECK_EQ(take(), out + 1);
            out++;
        }
    }
    CHECK(ad_relay_waits(true));
    while (out < in) {
        CHECK_EQ(take(), out + 1);
        out++;
    }
    CHECK_EQ(take(), 0);
    CHECK(!ad_relay_waits(false));
    CHECK(atomic_load(&ad_relay_ring.full) > 0);

    /* One is always taken when the ring is empty, wherever its end is. */
    for (i = 0; i < AD_RELAY_CELLS; i++) {
        CHECK(put(1, i % 64));
        CHECK_EQ(take(), 1);
        CHECK(put(2, AD_RELAY_MAX));
        CHECK_EQ(take(), 2);
    }
    CHECK(put(1, 10) && put(2, 10));
    ad_relay_init();
    CHECK_EQ(take(), 0);
    CHECK_EQ(atomic_load(&ad_relay_ring.full), 0);
}

/* Another thread has taken its cells, and was interrupted before it filled them. */
static void test_ring_interrupted(void)
{
    static const struct ad_relayed none;
    struct ad_relayed late = none;
    size_t at;

    ad_relay_init();
    CHECK(put(1, 100));
    CHECK(ad_relay_take(ad_relay_need(0), &at));
    CHECK(put(3, 100));
    CHECK_EQ(take(), 1);
    CHECK_EQ(take(), 0); /* the order is kept */
    CHECK(ad_relay_waits(false));
    late.id.seq = 2;
    memcpy(ad_relay_cell(at), &late, sizeof(late));
    atomic_store(&ad_relay_ring.mark[at], AD_RELAY_READY);
    CHECK_EQ(take(), 2);
    CHECK_EQ(take(), 3);
    CHECK_EQ(take(), 0);
}

enum { THREADS = 4, EACH = 20000 };

static void *producer(void *number)
{
    struct ad_relayed event;
    char text[300];
    unsigned i;

    memset(&event, 0, sizeof(event));
    event.kind = AD_RELAYED_OTHER;
    event.request = (uint64_t)(size_t)number;
    for (i = 1; i <= EACH; i++) {
        event.id.seq = i;
        event.json.at = text;
        event.json.len = i * 13 % sizeof(text);
        memset(text, (int)('a' + i % 26), event.json.len);
        while (!ad_relay_push(&event)) {
            (void)sched_yield();
        }
    }
    return NULL;
}

static void test_ring_threads(void)
{
    pthread_t threads[THREADS];
    uint64_t next[THREADS] = {0}, wrong = 0, n = 0;
    struct ad_relayed event;
    size_t i;

    ad_relay_init();
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, producer, (void *)i) == 0);
    }
    while (n < (uint64_t)THREADS * EACH) {
        if (!ad_relay_front(&event)) {
            (void)sched_yield();
            continue;
        }
        wrong += event.id.seq != ++next[event.request];
        for (i = 0; i < event.json.len; i++) {
            wrong += event.json.at[i] != (char)('a' + event.id.seq % 26);
        }
        ad_relay_drop(&event);
        n++;
    }
    CHECK_EQ(wrong, 0);
    for (i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    CHECK_EQ(take(), 0);
}

/* ---- the table ---- */

/* As aidash_relay() and the hub's turn. False: it was refused. */
static bool relay(const char *node, const char *id, const char *json)
{
    struct ad_relayed event;

    memset(&event, 0, sizeof(event));
    (void)snprintf(event.node, sizeof(event.node), "%s", node);
    CHECK(ad_relayed_id_parse(id, strlen(id), &event.id));
    ad_relayed_parse(json, strlen(json), AD_RELAY_MAX, &event);
    if (event.kind == AD_RELAYED_WRONG) {
        return false;
    }
    CHECK(ad_relay_push(&event));
    ad_nodes_run();
    ad_events_fanned_out();
    return true;
}

static void gone(const char *node)
{
    struct ad_relayed event;

    memset(&event, 0, sizeof(event));
    event.kind = AD_RELAYED_GONE;
    (void)snprintf(event.node, sizeof(event.node), "%s", node);
    CHECK(ad_relay_push(&event));
    ad_nodes_run();
    ad_events_fanned_out();
}

static const char *state_of(const char *node)
{
    const struct ad_node *n = ad_node_find(node);

    return n == NULL ? "unknown" : ad_node_states[n->state];
}

/* A board as GET /nodes shows it. */
static const char *shown(const char *node)
{
    static char json[AD_NODE_SHOWN_MAX + 1];
    struct ad_text t = ad_text_in(json, AD_NODE_SHOWN_MAX);

    ad_put_node(&t, (uint64_t)(ad_node_find(node) - ad_nodes.list));
    CHECK(!t.full);
    CHECK_EQ(ad_json_fault(t.at, t.len), AD_FAULT_NONE);
    json[t.len] = '\0';
    return json;
}

static void test_events(void)
{
    begin();
    CHECK(relay("jetson", "a-1", "{\"event\":\"board\",\"cpu\":1}"));
    CHECK_EQ(n_told, 3);
    CHECK(strstr(told[0], "\"event\":\"status\",\"seq\":1,") != NULL);
    CHECK(strstr(told[0], ",\"nodes\":1}") != NULL);
    CHECK_STR(told[1], "{\"event\":\"node\",\"seq\":2,\"node\":\"jetson\",\"state\":\"live\"}");
    CHECK_STR(told[2], "{\"event\":\"node\",\"seq\":3,\"node\":\"jetson\",\"data\":"
                       "{\"event\":\"board\",\"cpu\":1}}");

    /* A line end would end the field of a server-sent event. */
    CHECK(relay("jetson", "a-2", " \r\n{\r\n\"event\"\n:\t\"alert\" }\n "));
    CHECK_STR(last_told(), "{\"event\":\"node\",\"seq\":4,\"node\":\"jetson\",\"data\":"
                           "{  \"event\" : \"alert\" }}");
    CHECK(relay("jetson", "a-3", "{\"event\":\"node\",\"node\":\"x\",\"data\":{}}"));
    CHECK_EQ(n_told, 4);
    CHECK_EQ(ad_nodes.foreign, 1);
    CHECK_EQ(ad_nodes.events, 2);
    CHECK(!relay("jetson", "a-4", "{\"event\":\"batch\",\"ticks\":[]}"));
}

static void test_longest(void)
{
    static char json[AD_RELAY_MAX + 1];
    size_t len = (size_t)snprintf(json, sizeof(json), "{\"event\":\"hello\",\"x\":\"");
    char name[AIDASH_NODE_MAX + 1];

    memset(json + len, 'x', AD_RELAY_MAX - 2 - len);
    memcpy(json + AD_RELAY_MAX - 2, "\"}", 3);
    memset(name, '"', AIDASH_NODE_MAX);
    name[AIDASH_NODE_MAX] = '\0';
    begin();
    ad_feed.next = ad_feed.first = 9000000000000000ull;
    ad_events_fanned_out();
    CHECK(relay(name, "a-1", json));
    CHECK_EQ(n_told, 3); /* and not left out as too long */
    CHECK(strstr(last_told(), "\"data\":{\"event\":\"hello\"") != NULL);
    CHECK_EQ(ad_json_fault(last_told(), strlen(last_told())), AD_FAULT_NONE);
}

static void test_doubles(void)
{
    begin();
    CHECK(relay("n", "a-5", "{\"event\":\"x\"}"));
    CHECK(relay("n", "a-5", "{\"event\":\"x\"}"));
    CHECK(relay("n", "a-4", "{\"event\":\"x\"}"));
    CHECK_EQ(ad_nodes.doubles, 2);
    CHECK(relay("n", "", "{\"event\":\"x\"}")); /* of no number: it always counts */
    CHECK(relay("n", "", "{\"event\":\"x\"}"));
    CHECK(relay("n", "a-7", "{\"event\":\"x\"}")); /* a gap is not ours to judge */
    CHECK(relay("m", "a-1", "{\"event\":\"x\"}")); /* another board counts for itself */
    CHECK_EQ(ad_nodes.doubles, 2);
    CHECK_EQ(ad_nodes.events, 5);

    /* A new run begins anew; what of the one before comes late is no new run. */
    CHECK(relay("n", "b-1", "{\"event\":\"x\"}"));
    CHECK(relay("n", "a-7", "{\"event\":\"x\"}"));
    CHECK_EQ(ad_nodes.doubles, 3);
    CHECK(relay("n", "a-8", "{\"event\":\"x\"}"));
    CHECK(relay("n", "b-1", "{\"event\":\"x\"}"));
    CHECK_EQ(ad_nodes.doubles, 4);
    CHECK(relay("n", "b-2", "{\"event\":\"x\"}"));
    CHECK_EQ(ad_nodes.doubles, 4);
    {
        char id[40];
        struct ad_text t = ad_text_in(id, sizeof(id) - 1);

        ad_node_put_last(&t, "n");
        id[t.len] = '\0';
        CHECK_STR(id, "b-2");
        t.len = 0;
        ad_node_put_last(&t, "unknown");
        CHECK_EQ(t.len, 0);
    }
}

static void test_states(void)
{
    unsigned before;

    begin();
    CHECK(relay("n", "a-1", "{\"event\":\"x\"}"));
    CHECK_STR(state_of("n"), "live");
    go(AIDASH_NODE_STALE_S * 1000 - 1);
    CHECK_STR(state_of("n"), "live");
    go(1);
    CHECK_STR(state_of("n"), "stale");
    CHECK(strstr(last_told(), "\"node\":\"n\",\"state\":\"stale\"}") != NULL);
    CHECK(relay("n", "a-1", "{\"event\":\"x\"}")); /* a double is a sign of life, too */
    CHECK_STR(state_of("n"), "live");
    CHECK(strstr(last_told(), "\"node\":\"n\",\"state\":\"live\"}") != NULL);
    before = n_told;
    go(AIDASH_NODE_GONE_S * 1000 - 1);
    CHECK_STR(state_of("n"), "stale");
    go(1);
    CHECK_STR(state_of("n"), "gone");
    CHECK_EQ(n_told, before + 2);
    go(3600 * 1000);
    CHECK_EQ(n_told, before + 2);
    CHECK(strstr(shown("n"), "\"state\":\"gone\",\"age_ms\":3660000,") != NULL);
    CHECK(relay("n", "b-1", "{\"event\":\"x\"}"));
    CHECK_STR(state_of("n"), "live");

    gone("n");
    CHECK_STR(state_of("n"), "gone");
    CHECK(strstr(last_told(), "\"state\":\"gone\"}") != NULL);
    before = n_told;
    gone("n");
    gone("unknown");
    CHECK_EQ(n_told, before);
    CHECK_STR(state_of("unknown"), "unknown");

    /* When this process stood still, the boards had no chance. */
    CHECK(relay("n", "b-2", "{\"event\":\"x\"}"));
    ad_hub_set_clock(ad_hub.now_ns + 1000 * AD_NS_PER_S, ad_hub.now_us);
    ad_nodes_housekeeping();
    CHECK_STR(state_of("n"), "live");
}

static void test_full_table(void)
{
    char name[16];
    unsigned i;

    begin();
    for (i = 0; i < AIDASH_NODES; i++) {
        (void)snprintf(name, sizeof(name), "n%u", i);
        CHECK(relay(name, "", "{\"event\":\"x\"}"));
        n_told = 0;
    }
    CHECK_EQ(ad_nodes.n, AIDASH_NODES);
    CHECK(relay("one more", "", "{\"event\":\"x\"}"));
    CHECK_STR(state_of("one more"), "unknown");
    CHECK_EQ(ad_nodes.nowhere, 1);
    go(1000);
    gone("n7");
    go(1000);
    gone("n3");
    CHECK(relay("one more", "", "{\"event\":\"x\"}"));
    CHECK_STR(state_of("one more"), "live");
    CHECK_STR(state_of("n7"), "unknown"); /* it was gone the longest */
    CHECK_STR(state_of("n3"), "gone");
    CHECK(relay("another", "", "{\"event\":\"x\"}"));
    CHECK_STR(state_of("n3"), "unknown");
    CHECK(relay("n3", "", "{\"event\":\"x\"}"));
    CHECK_STR(state_of("n3"), "unknown");
    CHECK_EQ(ad_nodes.nowhere, 2);
    CHECK_EQ(ad_nodes.n, AIDASH_NODES);
}

static void test_kept(void)
{
    static char json[AIDASH_NODE_BYTES + 64];
    const char *at;
    size_t len;

    begin();
    CHECK(relay("n", "", "{\"event\":\"status\",\"model\":\"m\",\"a\":1}"));
    CHECK(relay("n", "", "{\"event\":\"energy\",\"watts\":5}"));
    CHECK(relay("n", "", "{\"event\":\"board\",\"b\":1}"));
    CHECK(relay("n", "", "{\"event\":\"verdict\"}"));
    CHECK(relay("n", "", "{\"event\":\"board\",\n\"b\":22222}"));
    CHECK(relay("n", "", "{\"event\":\"hello\",\"c\":1}"));
    at = shown("n");
    CHECK_STR(at, "{\"node\":\"n\",\"state\":\"live\",\"age_ms\":0,\"model\":\"m\","
                  "\"tokens_per_second\":0,\"tokens\":0,"
                  "\"status\":{\"event\":\"hello\",\"c\":1},"
                  "\"board\":{\"event\":\"board\", \"b\":22222},"
                  "\"verdict\":{\"event\":\"verdict\"},"
                  "\"energy\":{\"event\":\"energy\",\"watts\":5}}");

    /* What has no room beside the others is not there; the others stay. */
    len = (size_t)snprintf(json, sizeof(json), "{\"event\":\"verdict\",\"x\":\"");
    memset(json + len, 'x', AIDASH_NODE_BYTES - 100);
    memcpy(json + len + AIDASH_NODE_BYTES - 100, "\"}", 3);
    CHECK(relay("n", "", json));
    at = shown("n");
    CHECK(strstr(at, "\"verdict\":") == NULL);
    CHECK(strstr(at, "\"energy\":{\"event\":\"energy\",\"watts\":5}}") != NULL);
    CHECK(strstr(at, "\"board\":{\"event\":\"board\", \"b\":22222}") != NULL);
    CHECK(relay("n", "", "{\"event\":\"verdict\",\"y\":2}"));
    CHECK(strstr(shown("n"), "\"verdict\":{\"event\":\"verdict\",\"y\":2},") != NULL);

    /* One text may take all of it. */
    CHECK(relay("m", "", "{\"event\":\"x\"}"));
    memset(json + len, 'x', AIDASH_NODE_BYTES - len - 2);
    memcpy(json + AIDASH_NODE_BYTES - 2, "\"}", 3);
    ad_node_set_url("m", "http://192.168.1.7:8080/");
    CHECK(relay("m", "", json));
    CHECK(strlen(shown("m")) > AIDASH_NODE_BYTES);
    CHECK(strstr(shown("m"), ",\"url\":\"http://192.168.1.7:8080/\",") != NULL);
}

static void test_ticks(void)
{
    begin();
    ad_engine.paused = true; /* the board is not */
    CHECK(relay("n", "a-1", TICK("\"request\":7,\"estimated\":true,\"first\":true,")));
    CHECK_STR(last_told(),
              "{\"event\":\"inference_tick\",\"model\":\"llama3\",\"tokens_generated\":47,"
              "\"latency_ms\":118.3,\"tokens_per_second\":3.82,"
              "\"timestamp\":1741478400.123,\"node\":\"n\",\"estimated\":true,"
              "\"request\":7,\"first\":true}");
    CHECK_EQ(ad_ticks.paused_dropped, 0);
    CHECK_EQ(ad_rate_get(&ad_ticks.series[0].rate, ad_hub.now_ns), 0);
    CHECK(strstr(shown("n"), "\"model\":\"llama3\",\"tokens_per_second\":3.82,"
                             "\"tokens\":47}") != NULL);
    CHECK(relay("n", "a-2", "{\"event\":\"inference_tick\",\"model\":\"b\","
                            "\"tokens_generated\":3,\"latency_ms\":0,"
                            "\"tokens_per_second\":1,\"timestamp\":1}"));
    CHECK(strstr(shown("n"), "\"model\":\"b\",\"tokens_per_second\":4.82,"
                             "\"tokens\":50}") != NULL);
    CHECK(relay("n", "a-2", TICK("")));
    CHECK_EQ(ad_ticks.count, 2);
    go(3000);
    CHECK(strstr(shown("n"), "\"tokens_per_second\":0,\"tokens\":50}") != NULL);
    CHECK_EQ(ad_engine.n_models, 0); /* they are the board's */
}

static unsigned n_observed, n_past;
static uint64_t past_us, from_us; /* of the latest that was before now; no row is older */

static bool observe(const char *model, uint64_t tokens, double latency_ms, bool first,
                    uint64_t at_us)
{
    (void)model;
    (void)tokens;
    (void)latency_ms;
    (void)first;
    if (at_us != 0) {
        if (at_us < from_us) {
            return false;
        }
        past_us = at_us;
        n_past++;
    }
    n_observed++;
    return true;
}

static void begin_to_observe(uint64_t from)
{
    begin();
    ad_ticks.observe = observe;
    n_observed = n_past = 0;
    from_us = from;
}

/* Tick i of a stream that is behind the clock by so much: ten a second. */
static void stream(const char *node, unsigned i, int behind_s)
{
    char json[256];

    (void)snprintf(json, sizeof(json),
                   "{\"event\":\"inference_tick\",\"model\":\"m\",\"tokens_generated\":%u,"
                   "\"latency_ms\":100,\"tokens_per_second\":10,\"timestamp\":%llu.%u}",
                   i + 1, (unsigned long long)(1700000000 + (int)(i / 10) - behind_s),
                   i % 10);
    CHECK(relay(node, "", json));
}

/* Make a stream come as fast as it can. */
static void stream_at_once(const char *node, unsigned n, int behind_s)
{
    unsigned i;

    for (i = 0; i < n; i++) {
        stream(node, i, behind_s);
        ad_hub.now_ns += AD_NS_PER_MS / 10;
    }
}

/* Ten seconds of two boards whose clocks are wrong. */
static void live(uint64_t from, unsigned observed, unsigned past)
{
    unsigned i;

    begin_to_observe(from);
    for (i = 0; i < 100; i++) {
        stream("n", i, 60);
        stream("m", i, -3600);
        ad_hub_set_clock(ad_hub.now_ns + AD_NS_PER_S / 10, ad_hub.now_us + 100000);
    }
    CHECK_EQ(n_observed, observed);
    CHECK_EQ(n_past, past);
}

/* What waited on its way counts when it was, if history has a row of that time. */
static void test_late_ticks(void)
{
    unsigned i;

    begin_to_observe(0);
    stream_at_once("n", 3000, 300); /* five minutes that were kept */
    CHECK_EQ(ad_ticks.count, 3000);
    CHECK_EQ(n_observed, 3000);
    CHECK_EQ(n_past, 2950); /* those of the last 5 s come as they are made */
    CHECK_EQ(past_us, 1699999994900000);
    CHECK_EQ(ad_ticks.series[0].tokens, 3000);

    /* No row is so old: then it is shown, but does not happen now. */
    begin_to_observe(UINT64_MAX);
    stream_at_once("n", 3000, 300);
    CHECK_EQ(ad_ticks.count, 3000);
    CHECK_EQ(n_observed, 50);

    /* Live, with a clock that is a minute behind; or an hour in front. Without a row, the
     * first one can't be told from one that waited. */
    live(0, 200, 100);
    live(UINT64_MAX, 199, 0);
}

/* A board goes through the past once: then it can't change it, whatever its ticks'
 * models and runs are called. */
static void test_past_is_closed(void)
{
    unsigned i;

    begin_to_observe(0);
    stream_at_once("n", 1, 7200);
    CHECK_EQ(n_past, 1);
    stream_at_once("n", 1, 7205); /* what overtakes another on its way */
    CHECK_EQ(n_past, 2);
    stream_at_once("n", 1, 3600);
    CHECK_EQ(n_past, 3);
    stream_at_once("n", 1, 3606); /* before what it told already */
    CHECK_EQ(n_past, 3);
    stream_at_once("n", 1, -7200); /* time to come is now at most */
    stream_at_once("n", 1, 6);
    CHECK_EQ(n_past, 3);
    for (i = 0; i < 40; i++) {
        char json[256], id[16];

        (void)snprintf(json, sizeof(json),
                       "{\"event\":\"inference_tick\",\"model\":\"m%u\","
                       "\"tokens_generated\":1,\"latency_ms\":1,"
                       "\"tokens_per_second\":1,\"timestamp\":1699990000}", i);
        (void)snprintf(id, sizeof(id), "%x-1", i);
        CHECK(relay("n", id, json));
    }
    CHECK_EQ(n_past, 3);
    stream_at_once("m", 1, 7200); /* another board has its own way */
    CHECK_EQ(n_past, 4);
}

/* ---- commands ---- */

static char sent[512]; /* what the link got */
static const char *link_says;

static const char *send_to_link(void *to, uint64_t number, const char *json, size_t len)
{
    (void)number;
    CHECK(to == sent);
    memcpy(sent, json, len);
    sent[len] = '\0';
    return link_says;
}

/* ---- ticks that name a board ---- */

/* A line of UDP or POST /ingest; returns what is wrong with it, or NULL. */
static const char *line(const char *json)
{
    const char *fault = ad_ingest((const uint8_t *)json, strlen(json));

    ad_events_fanned_out();
    return fault;
}

/* The same published by this program. */
static void publish(const char *node)
{
    struct ad_sample sample;

    memset(&sample, 0, sizeof(sample));
    (void)snprintf(sample.node, sizeof(sample.node), "%s", node);
    sample.tokens = 1;
    sample.has = AD_HAS_TOKENS;
    ad_inbox_push(&sample);
    ad_inbox_run();
    ad_events_fanned_out();
}

static const struct ad_node_link some_link = {send_to_link, sent};

static void test_named(void)
{
    char json[128];
    unsigned i;

    /* It is live by its ticks, and without them stale, then gone. */
    begin();
    CHECK(line("{\"tokens\":5,\"model\":\"yolo\",\"node\":\"pi\"}") == NULL);
    CHECK(strstr(shown("pi"), "\"state\":\"live\"") != NULL);
    CHECK(strstr(shown("pi"), "\"model\":\"yolo\",") != NULL);
    CHECK(strstr(shown("pi"), "\"tokens\":5}") != NULL);
    go(AIDASH_NODE_STALE_S * 1000);
    CHECK(strstr(shown("pi"), "\"state\":\"stale\"") != NULL);
    go(AIDASH_NODE_GONE_S * 1000);
    CHECK(strstr(shown("pi"), "\"state\":\"gone\"") != NULL);
    publish("pi");
    CHECK(strstr(shown("pi"), "\"state\":\"live\"") != NULL);
    CHECK(line("{\"tokens\":1}") == NULL); /* this board's own */
    CHECK_EQ(ad_nodes.n, 1);

    /* A board that speaks for itself is not spoken for, but by this program. */
    CHECK(relay("pi", "a-1", "{\"event\":\"note\"}"));
    CHECK(line("{\"tokens\":5,\"node\":\"pi\"}") != NULL);
    CHECK_EQ(ad_nodes.foreign, 1);
    CHECK_EQ(ad_sources.errors, 1);
    CHECK_EQ(ad_ticks.count, 3);
    publish("pi");
    CHECK_EQ(ad_ticks.count, 4);
    CHECK(line("{\"tokens\":5,\"node\":\"pi\"}") != NULL);
    gone("pi");
    CHECK(line("{\"tokens\":5,\"node\":\"pi\"}") == NULL);
    CHECK(ad_node_link("pi", &some_link)); /* and it takes its name back */
    CHECK(line("{\"tokens\":5,\"node\":\"pi\"}") != NULL);
    gone("pi");
    CHECK(line("{\"tokens\":5,\"node\":\"pi\"}") != NULL); /* --peer: it may be back */

    /* All places are taken by names: they give way to boards, and not to more names. */
    begin();
    for (i = 0; i < AIDASH_NODES + 1; i++) {
        (void)snprintf(json, sizeof(json), "{\"tokens\":1,\"node\":\"n%u\"}", i);
        CHECK(line(json) == NULL);
        ad_hub.now_ns++;
    }
    CHECK_EQ(ad_nodes.n, AIDASH_NODES);
    CHECK_EQ(ad_nodes.nowhere, 1);
    CHECK_EQ(ad_ticks.count, AIDASH_NODES + 1);
    CHECK(line("{\"tokens\":1,\"node\":\"n0\"}") == NULL); /* n1 is silent longest */
    CHECK(relay("jetson", "a-1", "{\"event\":\"note\"}"));
    CHECK(ad_node_find("n0") != NULL && ad_node_find("n1") == NULL);
    for (i = 2; i < AIDASH_NODES + 1; i++) {
        (void)snprintf(json, sizeof(json), "b%u", i);
        CHECK(relay(json, "a-1", "{\"event\":\"note\"}"));
    }
    CHECK(relay("one too many", "a-1", "{\"event\":\"note\"}"));
    CHECK_EQ(ad_nodes.nowhere, 2);
}

/* The answer to a command of somebody who may all. */
static const char *command(const char *json)
{
    static char reply[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(reply, sizeof(reply) - 1);
    struct ad_asker who = {true, {AD_MAY_ALL, "", 0, 0}};

    ad_commands.limited = 0;
    (void)ad_command((const uint8_t *)json, strlen(json), "me", -1, &who, NULL, &t);
    reply[t.len] = '\0';
    ad_events_fanned_out();
    return reply;
}

static char offered[512]; /* node, json of the latest command of on_command */

static int on_command(const struct aidash_command *c, void *user)
{
    (void)user;
    (void)snprintf(offered, sizeof(offered), "%s %s", c->node, c->json);
    ad_commands.later_s = c->node[0] != '\0' ? 5 : 0;
    return 0;
}

static void test_commands(void)
{
    const struct ad_node_link link = {send_to_link, sent};

    begin();
    CHECK(strstr(command("{\"action\":\"pause\",\"node\":7}"), "invalid_command") != NULL);
    CHECK(strstr(command("{\"action\":\"pause\",\"node\":\"\"}"), "invalid_command") != NULL);
    CHECK(strstr(command("{\"action\":\"pause\",\"node\":\"n\",\"id\":3}"),
                 "\"code\":\"unknown_node\",\"message\":\"there is no board of this name") !=
          NULL);
    CHECK(relay("n", "", "{\"event\":\"x\"}"));
    CHECK(strstr(command("{\"action\":\"pause\",\"node\":\"n\"}"),
                 "no way leads to this board") != NULL);
    CHECK(!ad_engine.paused);

    /* A link of our own gets it; the engine here is not touched. */
    CHECK(ad_node_link("n", &link));
    link_says = NULL;
    CHECK_STR(command("{\"action\":\"pause\",\"node\":\"n\",\"id\":7}"),
              "{\"event\":\"ack\",\"action\":\"pause\",\"id\":7,\"number\":1}");
    CHECK_STR(sent, "{\"number\":1,\"command\":{\"action\":\"pause\"}}");
    CHECK(strstr(last_told(), "\"state\":\"running\"") != NULL);
    CHECK(strstr(last_told(), ",\"node\":\"n\"}") != NULL);
    ad_command_finish(1, true, "paused by Anna");
    CHECK(strstr(last_told(), "\"state\":\"done\",\"message\":\"paused by Anna\"") != NULL);
    CHECK(!ad_engine.paused);
    link_says = "the connection is full";
    CHECK_STR(command("{\"action\":\"resume\",\"node\":\"n\"}"),
              "{\"event\":\"error\",\"code\":\"refused\",\"message\":\"the connection is "
              "full\"}");
    link_says = NULL;
    CHECK(strstr(command("{\"action\":\"switch_model\",\"model\":\"m\\\"\",\"node\":\"n\"}"),
                 "ack") != NULL);
    CHECK(strstr(sent, ",\"command\":{\"action\":\"switch_model\",\"model\":\"m\\\"\"}}") !=
          NULL);
    CHECK(strstr(command("{\"action\":\"cancel\",\"request\":7,\"node\":\"n\"}"), "ack") !=
          NULL);
    CHECK(strstr(sent, ":{\"action\":\"cancel\",\"request\":7}}") != NULL);
    CHECK(strstr(command("{\"action\":\"own\",\"command\":\"lamp\",\"value\":0.5,"
                         "\"node\":\"n\"}"), "ack") != NULL);
    CHECK(strstr(sent, ":{\"action\":\"own\",\"command\":\"lamp\",\"value\":0.5}}") != NULL);
    CHECK(strstr(command("{\"action\":\"bench\",\"streams\":[1,4],\"node\":\"n\"}"), "ack") !=
          NULL);
    CHECK(strstr(sent, ":{\"action\":\"bench\",\"streams\":[1,4],\"prompt_tokens\":512,"
                       "\"max_tokens\":128}}") != NULL);
    CHECK(strstr(command("{\"action\":\"bench_stop\",\"node\":\"n\"}"), "ack") != NULL);
    CHECK(strstr(sent, ":{\"action\":\"bench_stop\"}}") != NULL);

    /* One that nobody finishes has failed. */
    ad_hub.now_ns += (AD_NODE_COMMAND_S + 1) * AD_NS_PER_S;
    ad_commands_housekeeping();
    CHECK(strstr(last_told(), "\"state\":\"failed\"") != NULL);
    while (strstr(command("{\"action\":\"pause\",\"node\":\"n\"}"), "ack") != NULL) {
    }
    CHECK(strstr(command("{\"action\":\"pause\",\"node\":\"n\"}"),
                 "too many commands are not finished yet") != NULL);

    /* The link's end. Another one's end changes nothing. */
    ad_node_unlink("n", "other", true);
    CHECK_STR(state_of("n"), "live");
    ad_node_unlink("n", sent, true);
    CHECK_STR(state_of("n"), "gone");
    ad_node_touch("n"); /* a link that is up, and silent */
    CHECK_STR(state_of("n"), "live");
    ad_node_touch("nobody");
    CHECK(ad_node_link("n", &link));
    ad_node_unlink("n", sent, false); /* it may come back */
    CHECK_STR(state_of("n"), "live");
    go((AIDASH_NODE_GONE_S + 1) * 1000);
    CHECK_STR(state_of("n"), "gone");
    CHECK(strstr(command("{\"action\":\"pause\",\"node\":\"n\"}"), "the board is gone") !=
          NULL);

    /* Without a link, the program gets it. */
    begin();
    ad_commands_ask(on_command, NULL);
    CHECK(relay("n", "", "{\"event\":\"x\"}"));
    CHECK(strstr(command("{\"action\":\"pause\",\"node\":\"n\",\"id\":1}"), "\"number\":1") !=
          NULL);
    CHECK_STR(offered, "n {\"action\":\"pause\"}");
    CHECK_STR(command("{\"action\":\"pause\"}"), "{\"event\":\"ack\",\"action\":\"pause\"}");
    CHECK_STR(offered, " ");
    CHECK(ad_engine.paused);
    CHECK(strstr(command("{\"action\":\"resume\",\"node\":null}"), "ack") != NULL);
    CHECK(!ad_engine.paused);
}

int main(void)
{
    (void)alarm(120); /* what waits for ever ends by a signal */
    ad_log_set_level(AIDASH_LOG_ERROR);
    test_parse();
    test_members();
    test_ids();
    test_ring();
    test_ring_interrupted();
    test_ring_threads();
    test_events();
    test_longest();
    test_doubles();
    test_states();
    test_full_table();
    test_kept();
    test_ticks();
    test_late_ticks();
    test_past_is_closed();
    test_named();
    test_commands();
    return check_report();
}
