/* doctor.c - `aidash doctor`: finds engines, a free port and this machine's
 * addresses, and says what to type next. The main thread.
 */
#ifndef AD_APP_DOCTOR_C
#define AD_APP_DOCTOR_C

#include "config.c"
#include "lan.c"
#include "ports.c"

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

/* Ask for a path, and read the answer as a list of models. Each step may take a
 * second, an answer has a thousand steps at most. */
static void ad_doctor_ask(const struct ad_upstream *u, const char *path,
                          struct ad_found *found)
{
    struct ad_fetch q;
    int steps;

    memset(found, 0, sizeof(*found));
    ad_path_begin(&found->js, AD_PATH_OPENAI_LIST);
    ad_fetch_begin(&q, u, path, ad_upstreams.key, 0);
    for (steps = 0; steps < 1000 && ad_fetch_wants(&q) != 0; steps++) {
        struct pollfd ready = {q.fd, POLLIN, 0};

        if (ad_fetch_wants(&q) == AD_OUT) {
            ready.events = POLLOUT;
        }
        if (poll(&ready, 1, 1000) > 0) {
            ad_fetch_event(&q, ad_doctor_sink, found);
        } else if (q.state == AD_FETCH_CONNECT) {
            ad_fetch_connect(&q); /* to its next address */
        } else {
            break;
        }
    }
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
    bool running; /* aidash itself */
    unsigned n;
    struct {
        const char *name; /* the kind of engine */
        struct ad_upstream at;
    } engines[AD_DOCTOR_ENGINES];
};

/* Is it aidash that answers here? There are engines that answer any path with
 * 200, so its answer tells. */
static bool ad_doctor_is_aidash(const struct ad_upstream *u)
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

/* Look at one place, print what is there, and note it. False if nothing is. */
static bool ad_doctor_look(struct ad_choice *choice, const struct ad_upstream *u)
{
    struct ad_found found;
    const char *name;

    if (ad_doctor_is_aidash(u)) {
        printf("  aidash itself at http://%s: it is already running\n",
               u->url.authority);
        choice->running = true;
        return true;
    }
    ad_doctor_ask(u, "/v1/models", &found);
    if (!found.list || (found.status != 200 && found.status != 401 &&
                        found.status != 503)) {
        return false;
    }
    name = ad_doctor_name(found.owner);
    printf("  %s at http://%s%s: ", name, u->url.authority, u->url.prefix);
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
        int error = 0;

        if (u->n_addresses == 0) { /* nothing else runs: the lookup may take its time */
            u->n_addresses = ad_address_resolve(u->url.host, u->url.port,
                                                u->addresses,
                                                AD_COUNT(u->addresses), &error);
        }
        if (error != 0) {
            printf("  none at http://%s%s: its name can't be resolved (%s)\n",
                   u->url.authority, u->url.prefix, gai_strerror(error));
        } else if (!ad_doctor_look(choice, u)) {
            printf("  none at http://%s%s\n", u->url.authority, u->url.prefix);
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

/* Can aidash listen here? Prints it. Returns the port, or 0. */
static unsigned ad_doctor_port(const char *spec)
{
    char holder[128];
    unsigned port;
    int fd = ad_socket_bind(spec, SOCK_STREAM, &port);

    if (fd >= 0) {
        (void)close(fd);
        printf("  %s is free\n", spec);
        return port;
    }
    ad_port_holder(spec, holder, sizeof(holder));
    printf("  %s is %s: %s%s\n", spec,
           fd == -EADDRINUSE ? "taken" : "not available", strerror(-fd), holder);
    return 0;
}

/* Find a free port: of --listen, or near the default. Its address into `listen`. */
static unsigned ad_doctor_ports(const char *list, char *listen, size_t cap)
{
    const char *item;
    unsigned port = 0, i;
    size_t len;

    if (list == NULL) {
        list = "8080";
    }
    while (port == 0 && ad_list_next(&list, &item, &len)) {
        (void)snprintf(listen, cap, "%.*s", (int)len, item);
        port = ad_doctor_port(listen);
    }
    for (i = 8090; port == 0 && i < 8100; i++) {
        (void)snprintf(listen, cap, "%u", i);
        port = ad_doctor_port(listen);
    }
    return port;
}

/* Where viewers find a dashboard on this port. */
static void ad_doctor_addresses(const struct ad_lan *lan, unsigned n_lan,
                                unsigned port)
{
    unsigned i;

    printf("  http://localhost:%u on this machine\n", port);
    for (i = 0; i < n_lan; i++) {
        printf("  http://%s:%u on the LAN (%s)\n", lan[i].host, port, lan[i].by);
    }
}

/* Is an engine of this kind among those found (or, if `other`, one of another)? */
static bool ad_doctor_found(const struct ad_choice *choice, const char *name,
                            bool other)
{
    unsigned i;

    for (i = 0; i < choice->n; i++) {
        if ((strcmp(choice->engines[i].name, name) == 0) != other) {
            return true;
        }
    }
    return false;
}

/* What to type next. */
static void ad_doctor_next(const struct ad_choice *choice, const char *listen,
                           const char *host, unsigned port)
{
    unsigned i;

    if (choice->running) {
        printf("  aidash runs already: open it in a browser, or stop it first\n");
    }
    printf("  aidash --listen %s", listen);
    for (i = 0; i < choice->n; i++) {
        printf(" --upstream http://%s%s", choice->engines[i].at.url.authority,
               choice->engines[i].at.url.prefix);
    }
    if (choice->n == 0) {
        printf("\n  for a simulated engine; add --upstream http://HOST:PORT when "
               "you have a real one\n");
        return;
    }
    printf("\n  and set the address in the clients: ");
    if (ad_doctor_found(choice, "Ollama", false)) {
        printf("OLLAMA_HOST=http://%s:%u%s", host, port,
               ad_doctor_found(choice, "Ollama", true) ? " and " : "\n");
    }
    if (ad_doctor_found(choice, "Ollama", true)) {
        printf("http://%s:%u/v1\n", host, port);
    }
}

/* aidash doctor. Returns the exit code. */
static int ad_doctor(const struct ad_options *o)
{
    const char *key = ad_option_value(o, "upstream-key-file");
    struct ad_choice choice = {0};
    struct ad_lan lan[AD_LAN_MAX];
    unsigned port, n_lan;
    char listen[64];
    int rc = ad_configure_upstreams(ad_option_value(o, "upstream"));

    if (rc == 0 && key != NULL) {
        rc = ad_configure_key(key);
    }
    if (rc != 0) {
        ad_print_failure(o, rc);
        return ad_exit_code(rc);
    }
    printf("engines\n");
    ad_doctor_given(&choice);
    ad_doctor_usual(&choice);
    printf("ports\n");
    port = ad_doctor_ports(ad_option_value(o, "listen"), listen, sizeof(listen));
    n_lan = ad_lan_list(lan);
    printf("addresses\n");
    ad_doctor_addresses(lan, n_lan, port);
    printf("next\n");
    ad_doctor_next(&choice, listen, n_lan > 0 ? lan[0].host : "localhost", port);
    return choice.n > 0 ? AD_EXIT_OK : AD_EXIT_FAILED;
}

#else

static int ad_doctor(const struct ad_options *o)
{
    (void)o;
    return AD_EXIT_USAGE;
}

#endif

#endif /* AIDASH_NO_MAIN */

#endif
