/* Discovery and the scrape: sixteen engines are listeners on the loopback
 * interface, the clock is ours, and what an engine sends is hostile. */
#define AIDASH_UPSTREAMS 16
#include "../src/meter/meter.c"
#include "check.h"

enum { ENGINES = 16 };

static int listeners[ENGINES];

static void settle(void)
{
    struct ad_ready ready[AD_READY_MAX];
    unsigned i, n, turns;

    for (turns = 0; turns < 10000; turns++) {
        n = ad_poll_wait(0, ready);
        for (i = 0; i < n; i++) {
            ad_meter_event(&ready[i]);
        }
        if (n == 0) {
            return;
        }
    }
    CHECK(!"the hub comes to rest");
}

static void seconds(unsigned n)
{
    while (n-- > 0) {
        ad_hub.now_ms += 1000;
        ad_hub.now_ns += AD_NS_PER_S;
        ad_meter_housekeeping();
        settle();
    }
}

static void add_listener(struct ad_upstream *u, int *listener)
{
    struct sockaddr_in address;
    socklen_t len = sizeof(address);

    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(bind(*listener, (struct sockaddr *)&address, len) == 0 &&
          listen(*listener, 16) == 0 &&
          getsockname(*listener, (struct sockaddr *)&address, &len) == 0);
    memset(u, 0, sizeof(*u));
    (void)snprintf(u->url.authority, sizeof(u->url.authority), "engine:1");
    u->n_addresses = 1;
    u->addresses[0].len = len;
    memcpy(&u->addresses[0].storage, &address, len);
}

static void begin_test(unsigned engines)
{
    unsigned i;

    memset(&ad_hub, 0, sizeof(ad_hub));
    memset(&ad_engine, 0, sizeof(ad_engine));
    memset(&ad_events, 0, sizeof(ad_events));
    ad_hub_clock();
    ad_feed_init();
    ad_meter_init();
    CHECK(ad_poll_open());
    for (i = 0; i < engines; i++) {
        add_listener(&ad_upstreams.list[ad_upstreams.n++], &listeners[i]);
    }
}

static void end_test(void)
{
    unsigned i;

    for (i = 0; i < ad_upstreams.n; i++) {
        (void)close(listeners[i]);
    }
    ad_meter_end();
    ad_poll_close();
}

/* The engine's end of the current request, -1 if there is none; *path: its
 * target. */
static int accept_request(int listener, char path[64])
{
    char text[1024] = "";
    int fd;

    settle();
    fd = accept(listener, NULL, NULL);
    if (fd >= 0) {
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        settle();
        CHECK(recv(fd, text, sizeof(text) - 1, 0) > 0);
        CHECK(sscanf(text, "GET %63s HTTP/1.1\r\n", path) == 1);
    }
    return fd;
}

static void put(int fd, const char *text)
{
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
    settle();
}

#define OK "HTTP/1.1 200 OK\r\n"

static void put_list(int fd, const char *name)
{
    char body[128], text[256];

    (void)snprintf(body, sizeof(body), "{\"data\":[{\"id\":\"%s\"}]}", name);
    (void)snprintf(text, sizeof(text), OK "Content-Length: %zu\r\n\r\n%s",
                   strlen(body), body);
    put(fd, text);
    (void)close(fd);
}

/* Answer what an engine is asked for. Returns the number of questions. */
static unsigned serve(int listener, const char *name)
{
    char path[64];
    unsigned n = 0;
    int fd;

    while ((fd = accept_request(listener, path)) >= 0) {
        n++;
        if (strcmp(path, "/v1/models") == 0) {
            put_list(fd, name);
        } else {
            put(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
            (void)close(fd);
        }
    }
    return n;
}

static void test_all_engines(void)
{
    char name[8];
    unsigned i;

    begin_test(ENGINES);
    seconds(1);
    for (i = 0; i < ENGINES; i++) {
        (void)snprintf(name, sizeof(name), "m%u", i);
        CHECK_EQ(serve(listeners[i], name), 2); /* the list, what is loaded */
        CHECK(ad_upstreams.state[i].up);
        CHECK_EQ(ad_model_find(name), i);
    }
    seconds(AD_DISCOVERY_EVERY - 1);
    CHECK_EQ(serve(listeners[15], "m15"), 0);
    seconds(1);
    CHECK_EQ(serve(listeners[15], "other"), 1); /* it has no /api/ps */
    CHECK(ad_model_find("other") < ad_engine.n_models);
    CHECK_EQ(ad_model_find("m15"), ad_engine.n_models);
    end_test();
}

/* A list that never ends costs little, and no other engine's list. */
static void test_endless(void)
{
    static char flood[60000];
    char path[64];
    size_t sent = 0;
    unsigned i;
    int fd;

    begin_test(2);
    seconds(1);
    fd = accept_request(listeners[0], path); /* a byte a second */
    put(fd, OK "Transfer-Encoding: chunked\r\n\r\n");
    CHECK_EQ(serve(listeners[1], "beta"), 2);
    CHECK(ad_model_find("beta") < ad_engine.n_models);
    for (i = 0; i < AD_FETCH_MS / 1000 - 1; i++) {
        seconds(1);
        put(fd, "1\r\n \r\n");
        CHECK_EQ(ad_discoveries.of[0].fetch.state, AD_FETCH_ANSWER);
    }
    seconds(1);
    CHECK_EQ(ad_discoveries.of[0].fetch.state, AD_FETCH_FAILED);
    CHECK_EQ(recv(fd, path, 1, 0), 0);
    (void)close(fd);

    seconds(AD_DISCOVERY_EVERY - 5); /* as fast as it can */
    fd = accept_request(listeners[0], path);
    put(fd, OK "\r\n{\"data\":[\"");
    memset(flood, 'x', sizeof(flood));
    for (i = 0; i < 1000 && ad_discoveries.of[0].fetch.state == AD_FETCH_ANSWER; i++) {
        ssize_t n = send(fd, flood, sizeof(flood), MSG_NOSIGNAL);

        sent += n > 0 ? (size_t)n : 0;
        settle();
    }
    CHECK_EQ(ad_discoveries.of[0].fetch.state, AD_FETCH_FAILED);
    CHECK(ad_discoveries.of[0].fetch.received <= AD_FETCH_MAX + AD_FETCH_READ);
    CHECK(sent > AD_FETCH_MAX);
    (void)close(fd);
    end_test();
}

/* Answers that the strict parser refuses, and those at the limit. */
static void test_malformed(void)
{
    static const struct {
        const char *answer;
        bool good;
    } cases[] = {
        {OK "Content-Length: 27\r\n\r\n{\"data\":[{\"id\":\"bad-model\"}]}", false},
        {OK "Content-Length: 29\r\n\r\n{\"data\":[{\"id\":\"bad-model\"}]}", true},
        {"HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 29\r\n\r\n"
         "{\"data\":[{\"id\":\"bad-model\"}]}", true},
        {OK "Content-Length: 29\r\nTransfer-Encoding: chunked\r\n\r\n"
         "1d\r\n{\"data\":[{\"id\":\"bad-model\"}]}\r\n0\r\n\r\n", false},
        {OK "Transfer-Encoding: chunked\r\n\r\n"
         "1d\r\n{\"data\":[{\"id\":\"bad-model\"}]}\r\n0\r\n\r\n", true},
        {OK "Transfer-Encoding: chunked\r\n\r\n"
         "1d\n{\"data\":[{\"id\":\"bad-model\"}]}\n0\n\n", false},
        {"HTTP/1.1 200 OK\nContent-Length: 29\n\n"
         "{\"data\":[{\"id\":\"bad-model\"}]}", false},
    };
    char path[64];
    unsigned i;
    int fd;

    for (i = 0; i < AD_COUNT(cases); i++) {
        begin_test(1);
        seconds(1);
        fd = accept_request(listeners[0], path);
        put(fd, cases[i].answer);
        CHECK_EQ(ad_engine.n_models, cases[i].good);
        (void)close(fd);
        end_test();
    }
}

/* One bad answer to /api/ps does not end the questions for good. */
static void test_loaded(void)
{
    char path[64];
    unsigned i;
    int fd;

    begin_test(1);
    seconds(1);
    put_list(accept_request(listeners[0], path), "alpha");
    fd = accept_request(listeners[0], path);
    CHECK_STR(path, "/api/ps");
    put(fd, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"); /* not now */
    (void)close(fd);
    seconds(AD_DISCOVERY_EVERY);
    put_list(accept_request(listeners[0], path), "alpha");
    fd = accept_request(listeners[0], path);
    CHECK_STR(path, "/api/ps");
    put(fd, "HTTP/1.1 404 None\r\nContent-Length: 0\r\n\r\n"); /* no Ollama */
    (void)close(fd);
    for (i = 0; i < AD_DISCOVERY_PS_WAIT; i++) {
        seconds(AD_DISCOVERY_EVERY);
        put_list(accept_request(listeners[0], path), "alpha");
        CHECK_EQ(accept_request(listeners[0], path), -1);
    }
    for (i = 0; i < 3; i++) {
        seconds(AD_DISCOVERY_EVERY);
        put_list(accept_request(listeners[0], path), "alpha");
        fd = accept_request(listeners[0], path);
        CHECK_STR(path, "/api/ps");
        /* Once it is known to have the list, it is asked each time. */
        put(fd, i == 1 ? "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
                       : OK "Content-Length: 29\r\n\r\n"
                         "{\"models\":[{\"name\":\"alpha\"}]}");
        (void)close(fd);
        CHECK(ad_engine.loaded[0]);
    }
    end_test();
}

/* Answer a question of the engine with this body. */
static void put_page(int listener, const char *expected, const char *body)
{
    char path[64] = "", text[1024];
    int fd = accept_request(listener, path);

    CHECK_STR(path, expected);
    (void)snprintf(text, sizeof(text), OK "Content-Length: %zu\r\n\r\n%s",
                   strlen(body), body);
    put(fd, text);
    (void)close(fd);
}

static const char *facts(void)
{
    static char json[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json) - 1);

    ad_put_models(&t);
    json[t.len] = '\0';
    return json;
}

#define NO_FACTS ",\"model_facts\":[]"

/* What lists tell of models: one field that makes no sense is as if it were not
 * there, and breaks nothing else. */
static void test_facts(void)
{
    static const struct {
        const char *item, *told; /* of "m", behind its name */
    } cases[] = {
        {"\"max_model_len\":4096", ",\"context_length\":4096"},
        {"\"meta\":{\"n_ctx_train\":9,\"n_ctx\":2048}", ",\"context_length\":2048"},
        {"\"meta\":null", NULL},
        {"\"meta\":{\"n_ctx\":\"many\"}", NULL},
        {"\"meta\":[{\"n_ctx\":5}]", NULL},
        {"\"max_model_len\":null", NULL},
        {"\"max_model_len\":-1", NULL},
        {"\"max_model_len\":0", NULL},
        {"\"max_model_len\":1e99", NULL},
        {"\"max_model_len\":\"4096\"", NULL},
        {"\"max_model_len\":{\"n_ctx\":7}", NULL},
        {"\"max_model_len\":4096.0", ",\"context_length\":4096"},
        {"\"status\":{\"value\":\"loaded\"},\"meta\":{\"n_ctx\":512}",
         ",\"context_length\":512"},
        {"\"size\":\"\",\"size_vram\":[]", NULL},
    };
    char body[256], expected[256];
    unsigned i;

    for (i = 0; i < AD_COUNT(cases); i++) {
        begin_test(1);
        seconds(1);
        (void)snprintf(body, sizeof(body), "{\"data\":[{%s,\"id\":\"m\"},"
                                           "{\"id\":\"n\"}]}", cases[i].item);
        put_page(listeners[0], "/v1/models", body);
        (void)snprintf(expected, sizeof(expected),
                       ",\"model_facts\":[{\"model\":\"m\"%s}]",
                       cases[i].told != NULL ? cases[i].told : "");
        printf("%s\n", cases[i].item);
        CHECK_STR(facts(), cases[i].told != NULL ? expected : NO_FACTS);
        CHECK_EQ(ad_engine.n_models, 2);
        end_test();
    }
}

/* Ollama's models in memory. */
static void test_memory(void)
{
    static const struct {
        const char *item, *told;
    } cases[] = {
        {"\"size\":100,\"size_vram\":63,\"context_length\":4096",
         ",\"context_length\":4096,\"cpu_share\":0.37"},
        {"\"size\":100,\"size_vram\":100", ",\"cpu_share\":0"},
        {"\"size\":100,\"size_vram\":0", ",\"cpu_share\":1"},
        {"\"size\":100", NULL},
        {"\"size\":0,\"size_vram\":0", NULL},
        {"\"size\":5,\"size_vram\":6", NULL},
        {"\"size_vram\":6,\"size\":null", NULL},
    };
    static const char list[] = "{\"data\":[{\"id\":\"m\"}]}";
    char body[256], expected[256];
    unsigned i;

    for (i = 0; i < AD_COUNT(cases); i++) {
        begin_test(1);
        seconds(1);
        put_page(listeners[0], "/v1/models", list);
        (void)snprintf(body, sizeof(body), "{\"models\":[{\"name\":\"other\","
                       "\"size\":9,\"size_vram\":1},{%s,\"name\":\"m\"}]}",
                       cases[i].item);
        put_page(listeners[0], "/api/ps", body);
        (void)snprintf(expected, sizeof(expected),
                       ",\"model_facts\":[{\"model\":\"m\"%s}]",
                       cases[i].told != NULL ? cases[i].told : "");
        printf("%s\n", cases[i].item);
        CHECK_STR(facts(), cases[i].told != NULL ? expected : NO_FACTS);
        CHECK(ad_engine.loaded[0]);
        /* Its list alone takes nothing back; that it is in memory no more does. */
        seconds(AD_DISCOVERY_EVERY);
        put_page(listeners[0], "/v1/models", list);
        CHECK_STR(facts(), cases[i].told != NULL ? expected : NO_FACTS);
        put_page(listeners[0], "/api/ps", "{\"models\":[]}");
        CHECK_STR(facts(), NO_FACTS);
        end_test();
    }
}

/* While an engine loads, it is asked each second; then as before. */
static void test_loading(void)
{
    static const char busy[] =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 40\r\n\r\n"
        "{\"error\":{\"message\":\"Loading model\"}}   ";
    char path[64];
    unsigned i;
    int fd;

    begin_test(1);
    seconds(1);
    for (i = 0; i < 5; i++) {
        fd = accept_request(listeners[0], path);
        CHECK_STR(path, "/v1/models");
        put(fd, busy);
        (void)close(fd);
        CHECK(strstr(facts(), "[{\"model\":\"\",\"loading\":{\"since\":") != NULL);
        CHECK_EQ(accept_request(listeners[0], path), -1);
        seconds(1);
    }
    put_page(listeners[0], "/v1/models", "{\"data\":[{\"id\":\"m\"}]}");
    CHECK_STR(facts(), NO_FACTS);
    put_page(listeners[0], "/api/ps", "{\"models\":[]}");
    seconds(1); /* what it has now */
    put_page(listeners[0], "/v1/models", "{\"data\":[{\"id\":\"m\"}]}");
    put_page(listeners[0], "/api/ps", "{\"models\":[]}");
    seconds(1);
    CHECK_EQ(accept_request(listeners[0], path), -1);

    /* One that goes away while it loads does not load any more. */
    CHECK(ad_models_engine_loads(0));
    (void)close(listeners[0]);
    seconds(1);
    CHECK(!ad_upstreams.state[0].up);
    CHECK_STR(facts(), NO_FACTS);
    end_test();
}

/* More models and clients than there are places. */
static void test_many(void)
{
    struct ad_model_facts told = {4096, 0.25, false, true};
    char name[AIDASH_MODEL_MAX + 1];
    unsigned i;

    begin_test(1);
    for (i = 0; i < 3 * AIDASH_MODELS; i++) {
        memset(name, '"', sizeof(name) - 1);
        name[AIDASH_MODEL_MAX] = '\0';
        name[0] = (char)('A' + i % 26);
        name[1] = (char)('A' + i / 26);
        CHECK(ad_models_told(0, name, &told));
        CHECK(!ad_models_told(0, name, &told));
        (void)ad_models_load(0, name, AD_LOADING_REQUEST, 1.0 / 3);
        (void)ad_models_prompt(0, name, i, UINT64_MAX / 2, UINT64_MAX / 4);
        CHECK(strlen(facts()) <= AD_FACTS_JSON_MAX);
        CHECK(strcmp(facts() + strlen(facts()) - 2, "}]") == 0);
    }
    CHECK(ad_models_named(0, name) != NULL);
    name[0] = 'A';
    name[1] = 'A';
    CHECK(ad_models_named(0, name) == NULL); /* the oldest gave way */
    CHECK(ad_models_named(1, name) == NULL);

    CHECK(!ad_models_prompt(0, "p", 1, 1000, 900));
    CHECK(!ad_models_prompt(0, "p", 2, 1000, 0)); /* another client */
    for (i = 0; i < AD_PREFIXES - 2; i++) {
        CHECK(!ad_models_prompt(0, "p", 100 + i, 1000, 900));
    }
    CHECK(ad_models_prompt(0, "p", 1, 1000, 100)); /* the least used so far */
    CHECK(!ad_models_prompt(0, "p", 50, 1000, 900));
    CHECK(!ad_models_prompt(0, "p", 2, 1000, 900)); /* both are others' places */
    CHECK(!ad_models_prompt(0, "p", 100, 1000, 100));
    end_test();
}

/* When a prompt's beginning counts as lost. */
static void test_prefix(void)
{
    static const struct {
        unsigned prompt, cached, then_prompt, then_cached;
        bool broke;
    } cases[] = {
        {1000, 900, 1100, 0, true},    {1000, 900, 1100, 219, true},
        {1000, 900, 1100, 220, false}, {1000, 500, 1100, 0, true},
        {1000, 499, 1100, 0, false},   {1000, 900, 750, 0, true},
        {1000, 900, 749, 0, false},    {256, 200, 256, 0, true},
        {255, 200, 256, 0, false},     {300, 200, 255, 0, false},
        {1000, 0, 1100, 0, false},     {0, 0, 0, 0, false},
    };
    unsigned i;

    begin_test(1);
    for (i = 0; i < AD_COUNT(cases); i++) {
        (void)ad_models_prompt(0, "p", i, cases[i].prompt, cases[i].cached);
        CHECK_EQ(ad_models_prompt(0, "p", i, cases[i].then_prompt,
                                  cases[i].then_cached), cases[i].broke);
    }
    end_test();
}

/* A line of a page in memory of exactly its size, for the address sanitizer. */
static void scrape_line(struct ad_scrape_page *page, const char *line)
{
    size_t len = strlen(line);
    char *copy = malloc(len);

    memset(page, 0, sizeof(*page));
    memcpy(copy, line, len);
    ad_scrape_line(page, copy, len);
    free(copy);
}

static void test_scrape_line(void)
{
    struct ad_scrape_page page;

    scrape_line(&page, "vllm:generation_tokens_total{model_name=\"m\"} 12.5");
    CHECK(page.has[AD_METRIC_TOKENS] && page.metric[AD_METRIC_TOKENS] > 12.4);
    CHECK_STR(page.model, "m");
    scrape_line(&page, "vllm:generation_tokens_total{model_name=\" 7");
    CHECK(!page.has[AD_METRIC_TOKENS]); /* its labels have no end */
    scrape_line(&page, "vllm:generation_tokens_total{model_name=\"m\"} 12 1395066363000");
    CHECK(page.metric[AD_METRIC_TOKENS] == 12); /* a time behind it */
    scrape_line(&page, "vllm:generation_tokens_total 3\t1395066363000\r");
    CHECK(page.metric[AD_METRIC_TOKENS] == 3);
    scrape_line(&page, "vllm:generation_tokens_total{a=\"} 9\\\" {\",model_name=\"m 7\"} 4");
    CHECK(page.metric[AD_METRIC_TOKENS] == 4);
    CHECK_STR(page.model, "m 7");
    scrape_line(&page, "vllm:generation_tokens_total NaN 7");
    CHECK(!page.has[AD_METRIC_TOKENS]);
    scrape_line(&page, "vllm:generation_tokens_total +Inf");
    CHECK(!page.has[AD_METRIC_TOKENS]);
    scrape_line(&page, "vllm:generation_tokens_total{a=\"\\");
    CHECK(!page.has[AD_METRIC_TOKENS]);
    scrape_line(&page, "vllm:generation_tokens_total ");
    CHECK(!page.has[AD_METRIC_TOKENS]);
    scrape_line(&page, "vllm:generation_tokens_total{model_name=\"m\"");
    CHECK(!page.has[AD_METRIC_TOKENS]);
    scrape_line(&page, "vllm:generation_tokens_total{} x");
    CHECK(!page.has[AD_METRIC_TOKENS]);
    scrape_line(&page, "vllm:generation_tokens_total");
    CHECK(!page.has[AD_METRIC_TOKENS]);
}

/* A page without an end is not asked for each second. */
static void test_scrape_endless(void)
{
    struct ad_upstream u;
    char path[64];
    int listener, fd;
    unsigned i;

    begin_test(0);
    add_listener(&u, &listener);
    ad_scrape_set(&u);
    seconds(1);
    fd = accept_request(listener, path);
    put(fd, OK "Content-Length: 40\r\n\r\nvllm:generation_tokens_total{a=\"b\"} 123\n");
    (void)close(fd);
    CHECK(!ad_scrape.down && ad_scrape.last_ns != 0);
    seconds(1);
    fd = accept_request(listener, path);
    CHECK(fd >= 0);
    put(fd, OK "\r\n");
    for (i = 0; i < AD_FETCH_MS / 1000; i++) { /* a line a second */
        CHECK_EQ(ad_scrape.fetch.state, AD_FETCH_ANSWER);
        seconds(1);
        put(fd, "vllm:generation_tokens_total{a=\"b\"} 999\n");
    }
    CHECK_EQ(ad_scrape.fetch.state, AD_FETCH_FAILED);
    CHECK(ad_scrape.down);
    CHECK(ad_scrape.last[AD_METRIC_TOKENS] < 124); /* nothing of it counts */
    (void)close(fd);
    for (i = 0; i < AD_SCRAPE_WAIT; i++) {
        seconds(1);
        CHECK_EQ(accept_request(listener, path), -1);
    }
    seconds(1);
    fd = accept_request(listener, path);
    put(fd, "HTTP/1.1 404 None\r\nContent-Length: 0\r\n\r\n"); /* a short no: */
    (void)close(fd);
    CHECK(ad_scrape.down);
    seconds(1); /* it is asked again at once */
    fd = accept_request(listener, path);
    CHECK(fd >= 0);
    (void)close(fd);
    (void)close(listener);
    end_test();
}

/* Which engine gets a request: by its list, by its name, by Ollama's tag. */
static void test_engine_of(void)
{
    begin_test(4);
    memcpy(ad_upstreams.state[1].models[0], "a", 2);
    memcpy(ad_upstreams.state[1].models[1], "llama3:latest", 14);
    memcpy(ad_upstreams.state[1].models[2], "named:latest", 13);
    ad_upstreams.state[1].n_models = 3;
    memcpy(ad_upstreams.state[2].models[0], "llama3:latest", 14);
    memcpy(ad_upstreams.state[2].models[1], "b", 2);
    ad_upstreams.state[2].n_models = 2;
    memcpy(ad_upstreams.list[0].name, "first", 6);
    memcpy(ad_upstreams.list[3].name, "named", 6);
    CHECK_EQ(ad_upstream_of("a"), 1);
    CHECK_EQ(ad_upstream_of("b"), 2);
    CHECK_EQ(ad_upstream_of("llama3:latest"), 1);
    CHECK_EQ(ad_upstream_of("llama3"), 1);
    CHECK_EQ(ad_upstream_of("named"), 3);
    CHECK_EQ(ad_upstream_of("llama"), 0);
    CHECK_EQ(ad_upstream_of("llama3:"), 0);
    CHECK_EQ(ad_upstream_of(""), 0);
    end_test();
}

int main(void)
{
    test_engine_of();
    test_scrape_endless();
    test_all_engines();
    test_endless();
    test_malformed();
    test_loaded();
    test_facts();
    test_memory();
    test_loading();
    test_many();
    test_prefix();
    test_scrape_line();
    return check_report();
}
