/* engines.c - which engines answer on this machine, for `aidash doctor`. The main
 * thread. Owns no state: what was found is the caller's.
 */
#ifndef AD_APP_ENGINES_C
#define AD_APP_ENGINES_C

#include "config_engines.c"

#ifndef AIDASH_NO_MAIN
#if AIDASH_METER

enum { AD_DOCTOR_ENGINES = 8 }; /* the most that it offers */

/* What answered. */
struct ad_found {
    char begin[16]; /* of the body, as text */
    unsigned status; /* 0: nothing that speaks HTTP is there */
    bool list;       /* the answer is JSON, and complete */
    unsigned n_models;
    char model[AIDASH_MODEL_MAX + 1]; /* the first */
    char owner[AIDASH_MODEL_MAX + 1]; /* owned_by in the list of models */
    struct ad_json_stream js;
};

/* A piece of a list of models. */
static void ad_doctor_sink(void *to, const uint8_t *data, size_t len)
{
    struct ad_found *found = to;
    struct ad_json_stream *js = &found->js;
    size_t at = 0, n = strlen(found->begin);

    (void)snprintf(found->begin + n, sizeof(found->begin) - n, "%.*s", (int)len,
                   len > 0 ? (const char *)data : "");
    while (at < len && js->state != AD_JSON_BAD) {
        at += ad_json_stream_next(js, data + at, len - at);
        if (js->what != AD_JSON_TEXT || js->cut) {
            continue;
        }
        if (js->path == AD_PATH_LIST_OWNER) {
            (void)snprintf(found->owner, sizeof(found->owner), "%.*s",
                           AIDASH_MODEL_MAX, js->text);
        } else if (js->path == AD_PATH_LIST_NAME) {
            if (found->n_models == 0 &&
                ad_name_ok(js->text, strlen(js->text), AIDASH_MODEL_MAX)) {
                memcpy(found->model, js->text, strlen(js->text) + 1);
            }
            found->n_models++;
        }
    }
}

/* Carry out a request that has begun, with nothing else to do. The connection to an
 * address, its handshake, and each silence may take step_ms; the answer AD_FETCH_MS in
 * all, or step_ms if that is longer, however it is dealt out. Its state tells how it
 * went, until the caller ends it. */
static void ad_fetch_run(struct ad_fetch *q, int step_ms, ad_fetch_sink *sink,
                         void *to)
{
    uint64_t begun_ns = ad_clock_ns(CLOCK_MONOTONIC);
    uint8_t step = q->dial.step;

    while (ad_fetch_wants(q) != 0) {
        struct pollfd ready = {q->dial.fd, POLLIN, 0};
        bool whole = q->state != AD_FETCH_CONNECT && step_ms < AD_FETCH_MS;
        unsigned limit_ms = (unsigned)(whole ? AD_FETCH_MS : step_ms);
        bool late = ad_clock_ns(CLOCK_MONOTONIC) - begun_ns >= limit_ms * AD_NS_PER_MS;
        int n = 0;

        if (ad_fetch_wants(q) == AD_OUT) {
            ready.events = POLLOUT;
        }
        if (!late) {
            n = poll(&ready, 1, step_ms);
        }
        if (n > 0) {
            ad_fetch_event(q, sink, to);
        } else if (n == 0 && q->state == AD_FETCH_CONNECT) {
            ad_dial_late(&q->dial);
            ad_fetch_dialled(q);
            begun_ns = ad_clock_ns(CLOCK_MONOTONIC);
        } else if (n == 0) {
            return;
        }
        if (q->dial.step != step) {
            step = q->dial.step;
            begun_ns = ad_clock_ns(CLOCK_MONOTONIC);
        }
    }
}

/* Ask for a path, and read the answer as a list of models. Each silence may take a
 * second. */
static void ad_doctor_ask(struct ad_upstream *u, const char *path,
                          struct ad_found *found)
{
    struct ad_fetch q;
    char head[AD_FETCH_HEAD_MAX];

    memset(found, 0, sizeof(*found));
    ad_path_begin(&found->js, AD_PATH_OPENAI_LIST);
    ad_fetch_begin(&q, u, path, ad_upstreams.key, head, 0);
    ad_fetch_run(&q, 1000, ad_doctor_sink, found);
    found->status = q.answer.status;
    found->list = ad_json_stream_end(&found->js);
    ad_fetch_end(&q, AD_FETCH_IDLE);
}

/* The default ports of engines, and the owner that their lists of models name. */
static const struct {
    const char *port, *owner, *name;
} ad_doctor_engines[] = {{"11434", "library", "Ollama"},
                         {"8080", "llamacpp", "llama-server"},
                         {"8081", "llamacpp", "llama-server"},
                         {"8000", "vllm", "vLLM"},
                         {"1234", "organization_owner", "LM Studio"}};

/* What an engine is called, by the owner in its list of models. */
static const char *ad_doctor_name(const char *owner)
{
    size_t i;

    for (i = 0; i < AD_COUNT(ad_doctor_engines); i++) {
        if (strcmp(ad_doctor_engines[i].owner, owner) == 0) {
            return ad_doctor_engines[i].name;
        }
    }
    return "an engine";
}

/* The state of an engine, as the end of a line. */
static void ad_doctor_print_state(const struct ad_found *found)
{
    if (found->status == 401) {
        printf("it needs another key (--upstream-key-file)\n");
    } else if (found->status == 503) {
        printf("it is not ready yet\n");
    } else if (found->n_models == 0) {
        printf("no model\n");
    } else if (found->n_models == 1) {
        printf("%s\n", found->model);
    } else {
        printf("%s and %u more\n", found->model, found->n_models - 1);
    }
}

/* What was found, and is to be used. */
struct ad_choice {
    unsigned running; /* aidash itself: its port, or 0 */
    unsigned n;
    struct {
        const char *name; /* the kind of engine */
        struct ad_upstream at;
    } engines[AD_DOCTOR_ENGINES];
};

/* Is it aidash that answers here? There are engines that answer any path with
 * 200, so its answer tells. */
static bool ad_doctor_is_aidash(struct ad_upstream *u)
{
    static const char begins[] = "{\"started\":";
    struct ad_found found;

    ad_doctor_ask(u, "/ticks?last=0", &found);
    return found.status == 200 &&
           strncmp(found.begin, begins, strlen(begins)) == 0;
}

/* Does an engine that --upstream names lead to the place u? */
static bool ad_doctor_given_has(const struct ad_upstream *u)
{
    unsigned i;

    for (i = 0; i < ad_upstreams.n; i++) {
        if (ad_upstream_same_place(&ad_upstreams.list[i], u)) {
            return true;
        }
    }
    return false;
}

/* The port of an engine's first address. */
static unsigned ad_doctor_port_of(const struct ad_upstream *u)
{
    const struct sockaddr_storage *a = &u->addresses[0].storage;

    return ntohs(a->ss_family == AF_INET6
                     ? ((const struct sockaddr_in6 *)(const void *)a)->sin6_port
                     : ((const struct sockaddr_in *)(const void *)a)->sin_port);
}

/* Look at one place, print what is there, and note it. False if nothing is. */
static bool ad_doctor_look(struct ad_choice *choice, struct ad_upstream *u)
{
    struct ad_found found;
    const char *name;

    if (ad_doctor_is_aidash(u)) {
        printf("  aidash itself at http://%s: it is already running\n",
               u->url.authority);
        choice->running = ad_doctor_port_of(u);
        return true;
    }
    ad_doctor_ask(u, "/v1/models", &found);
    if (!found.list || (found.status != 200 && found.status != 401 &&
                        found.status != 503)) {
        return false;
    }
    name = ad_doctor_name(found.owner);
    printf("  %s at %s%s%s: ", name, ad_url_scheme(u->url.tls), u->url.authority,
           u->url.prefix);
    ad_doctor_print_state(&found);
    if (choice->n < AD_DOCTOR_ENGINES) {
        choice->engines[choice->n].name = name;
        choice->engines[choice->n++].at = *u;
    }
    return true;
}

/* The engines that --upstream names. */
static void ad_doctor_given(struct ad_choice *choice)
{
    unsigned i;

    for (i = 0; i < ad_upstreams.n; i++) {
        struct ad_upstream *u = &ad_upstreams.list[i];
        int error = ad_upstream_resolve(u);

        if (error != 0) {
            printf("  none at %s%s%s: its name can't be resolved (%s)\n",
                   ad_url_scheme(u->url.tls), u->url.authority, u->url.prefix,
                   gai_strerror(error));
        } else if (!ad_doctor_look(choice, u)) {
            printf("  none at %s%s%s%s%s%s%s\n", ad_url_scheme(u->url.tls),
                   u->url.authority, u->url.prefix,
                   u->refused.fact[0] != '\0' ? ": " : "", u->refused.fact,
                   u->refused.advice[0] != '\0' ? "; " : "", u->refused.advice);
        }
    }
}

/* The default ports of this machine. */
static void ad_doctor_usual(struct ad_choice *choice)
{
    char missing[128];
    struct ad_text t = ad_text_in(missing, sizeof(missing));
    size_t i;

    for (i = 0; i < AD_COUNT(ad_doctor_engines); i++) {
        struct ad_upstream u;
        char url[64];

        (void)snprintf(url, sizeof(url), "http://127.0.0.1:%s",
                       ad_doctor_engines[i].port);
        if (ad_upstream_at("upstream", url, strlen(url), &u) != 0 ||
            ad_doctor_given_has(&u)) {
            continue;
        }
        if (!ad_doctor_look(choice, &u)) {
            ad_putf(&t, "%s%s (%s)", t.len > 0 ? ", " : "",
                    ad_doctor_engines[i].port, ad_doctor_engines[i].name);
        }
    }
    if (t.len > 0) {
        printf("  none at the default ports %.*s\n", (int)t.len, t.at);
    }
}

#endif
#endif /* AIDASH_NO_MAIN */

#endif
