/* doctor.c - `aidash doctor`: which engines, ports and addresses are here, and
 * what to type next. The main thread.
 */
#ifndef AD_APP_DOCTOR_C
#define AD_APP_DOCTOR_C

#include "config.c"
#include "lan.c"
#include "ports.c"

#ifndef AIDASH_NO_MAIN

#if AIDASH_METER

/* What answered. */
struct ad_found {
    unsigned status; /* 0: nothing that speaks HTTP is there */
    bool list;       /* the answer is JSON, and whole */
    unsigned n_models;
    char model[AIDASH_MODEL_MAX + 1]; /* the first */
    char owner[AIDASH_MODEL_MAX + 1]; /* as the list of models names it */
    struct ad_json_stream js;
};

/* A piece of a list of models. */
static void ad_doctor_sink(void *to, const uint8_t *data, size_t len)
{
    struct ad_found *found = to;
    struct ad_json_stream *js = &found->js;
    size_t at = 0;

    while (at < len && js->state != AD_JSON_BAD) {
        at += ad_json_stream_next(js, data + at, len - at);
        if (js->what != AD_JSON_TEXT || js->cut) {
            continue;
        }
        if (js->path == AD_PATH_LIST_OWNER) {
            memcpy(found->owner, js->text, strlen(js->text) + 1);
        } else if (js->path == AD_PATH_LIST_NAME && found->n_models++ == 0 &&
                   ad_name_ok(js->text, strlen(js->text), AIDASH_MODEL_MAX)) {
            memcpy(found->model, js->text, strlen(js->text) + 1);
        }
    }
}

/* Ask for a path, and read the answer as a list of models. Each step may take a
 * second, an answer a hundred steps. */
static void ad_doctor_ask(const struct ad_upstream *u, const char *path,
                          struct ad_found *found)
{
    struct ad_fetch q;
    int steps;

    memset(found, 0, sizeof(*found));
    ad_json_stream_begin(&found->js, AD_PATH_OPENAI_LIST);
    ad_fetch_begin(&q, u, path, ad_upstreams.key, 0);
    for (steps = 0; steps < 100 && ad_fetch_wants(&q) != 0; steps++) {
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
    found->status = q.status;
    found->list = ad_json_stream_end(&found->js);
    ad_fetch_end(&q, AD_FETCH_IDLE);
}

/* Where engines listen unless they are told otherwise, and as whose their list
 * of models shows them. */
static const struct {
    const char *port, *owner, *name;
} ad_doctor_engines[] = {{"11434", "library", "Ollama"},
                         {"8080", "llamacpp", "llama-server"},
                         {"8081", "llamacpp", "llama-server"},
                         {"8000", "vllm", "vLLM"},
                         {"1234", "organization_owner", "LM Studio"}};

/* Look at one place, and print what is there. Returns its name, NULL if it is no
 * engine. */
static const char *ad_doctor_look(const struct ad_upstream *u)
{
    const char *name = "an engine";
    struct ad_found found;
    size_t i;

    ad_doctor_ask(u, "/ticks?last=0", &found);
    if (found.status == 200) {
        printf("  aidash itself at http://%s: it runs already\n", u->authority);
        return NULL;
    }
    ad_doctor_ask(u, "/v1/models", &found);
    for (i = 0; i < AD_COUNT(ad_doctor_engines); i++) {
        if (strcmp(ad_doctor_engines[i].owner, found.owner) == 0) {
            name = ad_doctor_engines[i].name;
        }
    }
    if (!found.list || (found.status != 200 && found.status != 401 &&
                        found.status != 503)) {
        return NULL;
    }
    printf("  %s at http://%s%s: ", name, u->authority, u->prefix);
    if (found.status == 401) {
        printf("it wants another key (--upstream-key-file)\n");
    } else if (found.status == 503) {
        printf("it is not ready yet\n");
    } else if (found.n_models == 0) {
        printf("no model\n");
    } else {
        printf("%s", found.model);
        printf(found.n_models > 1 ? " and %u more\n" : "\n",
               found.n_models - 1);
    }
    return name;
}

/* Can this be listened on? Prints so. Returns the port, or 0. */
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
    printf("  %s can't be had: %s%s\n", spec, strerror(-fd), holder);
    return 0;
}

/* aidash doctor: what is here, and what to type next. */
static int ad_doctor(void)
{
    const char *list = ad_option_value("listen"), *item, *name = NULL;
    const char *key = ad_option_value("upstream-key-file");
    char listen[64], missing[128] = "", url[512] = "";
    struct ad_lan lan[AD_LAN_MAX];
    struct ad_upstream u;
    unsigned port = 0, n_lan, i;
    size_t len;
    int rc = ad_configure_upstreams(ad_option_value("upstream"));

    rc = rc == 0 && key != NULL ? ad_configure_key(key) : rc;
    if (rc != 0) {
        ad_print_failure(rc);
        return AD_EXIT_USAGE;
    }

    printf("engines\n");
    for (i = 0; i < ad_upstreams.n + AD_COUNT(ad_doctor_engines); i++) {
        size_t usual = i - ad_upstreams.n;
        const char *is;

        if (i < ad_upstreams.n) {
            u = ad_upstreams.list[i];
        } else {
            (void)snprintf(listen, sizeof(listen), "http://127.0.0.1:%s",
                           ad_doctor_engines[usual].port);
            memset(&u, 0, sizeof(u));
            (void)ad_url_parse(listen, strlen(listen), &u);
        }
        is = ad_doctor_look(&u);
        if (is != NULL && name == NULL) {
            name = is;
            (void)snprintf(url, sizeof(url), "http://%s%s", u.authority,
                           u.prefix);
        } else if (is == NULL && i < ad_upstreams.n) {
            printf("  none at http://%s%s\n", u.authority, u.prefix);
        } else if (is == NULL) {
            size_t n = strlen(missing);

            (void)snprintf(missing + n, sizeof(missing) - n, "%s%s (%s)",
                           n > 0 ? ", " : "", ad_doctor_engines[usual].port,
                           ad_doctor_engines[usual].name);
        }
    }
    if (missing[0] != '\0') {
        printf("  none at the usual %s\n", missing);
    }

    printf("ports\n");
    for (list = list != NULL ? list : "8080";
         port == 0 && ad_list_next(&list, &item, &len);) {
        (void)snprintf(listen, sizeof(listen), "%.*s", (int)len, item);
        port = ad_doctor_port(listen);
    }
    for (i = 8090; port == 0 && i < 8100; i++) {
        (void)snprintf(listen, sizeof(listen), "%u", i);
        port = ad_doctor_port(listen);
    }

    n_lan = ad_lan_list(lan);
    printf("addresses\n  http://localhost:%u on this machine\n", port);
    for (i = 0; i < n_lan; i++) {
        printf("  http://%s:%u on the LAN (%s)\n", lan[i].host, port, lan[i].by);
    }

    printf("next\n  aidash --listen %s%s%s\n", listen,
           name != NULL ? " --upstream " : "", url);
    if (name != NULL) {
        bool ollama = strcmp(name, "Ollama") == 0;

        printf("  and let clients use %shttp://%s:%u%s\n",
               ollama ? "OLLAMA_HOST=" : "", n_lan > 0 ? lan[0].host : "localhost",
               port, ollama ? "" : "/v1");
    } else {
        printf("  for a simulated engine; with --upstream http://HOST:PORT once "
               "there is a real one\n");
    }
    return name != NULL ? AD_EXIT_OK : AD_EXIT_FAILED;
}

#endif

#endif /* AIDASH_NO_MAIN */

#endif
