/* config.c - the configuration, checked and handed to the parts; and what the hub
 * waits on, opened. The starting thread, before the hub's.
 */
#ifndef AD_APP_CONFIG_C
#define AD_APP_CONFIG_C

#include "../meter/meter.c"

static char ad_error_text[256]; /* of the starting thread */

static int AD_PRINTF(2, 3) ad_fail(int code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(ad_error_text, sizeof(ad_error_text), fmt, args);
    va_end(args);
    return code;
}

/* Take the next item off a comma-separated list, without blanks around it.
 * False at the list's end. */
static bool ad_list_next(const char **list, const char **item, size_t *len)
{
    const char *s = *list, *end;

    if (s == NULL) {
        return false;
    }
    end = strchr(s, ',');
    *list = end != NULL ? end + 1 : NULL;
    s += strspn(s, " \t");
    *len = strcspn(s, ",");
    while (*len > 0 && (s[*len - 1] == ' ' || s[*len - 1] == '\t')) {
        (*len)--;
    }
    *item = s;
    return true;
}

static int ad_configure_models(const char *list)
{
    const char *item;
    size_t len;

    while (ad_list_next(&list, &item, &len)) {
        char *name = ad_engine.models[ad_engine.n_models];

        if (!ad_name_ok(item, len, AIDASH_MODEL_MAX)) {
            return ad_fail(AIDASH_EINVAL,
                           "models: a name must be 1 to %d bytes of UTF-8 "
                           "without control characters: '%.*s'",
                           AIDASH_MODEL_MAX, (int)(len < 80 ? len : 80), item);
        }
        if (ad_engine.n_models == AIDASH_MODELS) {
            return ad_fail(AIDASH_EINVAL, "models: more than %d names",
                           AIDASH_MODELS);
        }
        memcpy(name, item, len);
        name[len] = '\0';
        if (ad_model_find(name) < ad_engine.n_models) {
            return ad_fail(AIDASH_EINVAL, "models: '%s' stands there twice",
                           name);
        }
        ad_engine.n_models++;
    }
    return 0;
}

static int ad_configure_origins(const char *list)
{
    const char *item;
    size_t len;

    while (ad_list_next(&list, &item, &len)) {
        if (len == 1 && item[0] == '*') {
            ad_origins.any = true;
            continue;
        }
        if (len == 0 || len > AD_ORIGIN_MAX ||
            memmem(item, len, "://", 3) == NULL || item[len - 1] == '/') {
            return ad_fail(AIDASH_EINVAL,
                           "allow-origin: an origin is like "
                           "http://host:port, or *: '%.*s'",
                           (int)(len < 80 ? len : 80), item);
        }
        if (ad_origins.n == AD_ORIGINS) {
            return ad_fail(AIDASH_EINVAL, "allow-origin: more than %d",
                           AD_ORIGINS);
        }
        memcpy(ad_origins.list[ad_origins.n], item, len);
        ad_origins.list[ad_origins.n++][len] = '\0';
    }
    return 0;
}

static int ad_configure_listen(const char *list)
{
    const char *item;
    size_t len;

    while (ad_list_next(&list, &item, &len)) {
        struct sockaddr_storage address;
        socklen_t address_len;
        char *spec = ad_acceptor.listen[ad_acceptor.n_listen];

        if (ad_acceptor.n_listen == AD_LISTENERS) {
            return ad_fail(AIDASH_EINVAL, "listen: more than %d addresses",
                           AD_LISTENERS);
        }
        if (len >= sizeof(ad_acceptor.listen[0])) {
            len = sizeof(ad_acceptor.listen[0]) - 1;
        }
        memcpy(spec, item, len);
        spec[len] = '\0';
        if (!ad_address_parse(spec, true, &address, &address_len)) {
            return ad_fail(AIDASH_EINVAL,
                           "listen: '%s' is not [ADDR:]PORT, such as 8080, "
                           "127.0.0.1:8080 or [::1]:8080",
                           spec);
        }
        ad_acceptor.n_listen++;
    }
    return 0;
}

#if AIDASH_METER

/* http://HOST[:PORT][/PREFIX] into its parts and addresses. Returns NULL, or
 * what is wrong. Asks the resolver, so it may take its time. */
static const char *ad_url_parse(const char *url, size_t len,
                                struct ad_upstream *u)
{
    char host[256], port[8] = "80";
    const char *at = url + 7, *end = url + len, *slash, *colon;
    struct addrinfo hints, *list, *a;
    size_t host_len;

    if (len >= 8 && strncasecmp(url, "https://", 8) == 0) {
        return "https is not spoken; put nginx or stunnel in between";
    }
    if (len < 8 || strncasecmp(url, "http://", 7) != 0) {
        return "it must begin with http://";
    }
    slash = memchr(at, '/', (size_t)(end - at));
    slash = slash != NULL ? slash : end;
    while (end > slash && end[-1] == '/') {
        end--;
    }
    if ((size_t)(end - slash) >= sizeof(u->prefix) ||
        (size_t)(slash - at) >= sizeof(host)) {
        return "it is too long";
    }
    memcpy(u->prefix, slash, (size_t)(end - slash));
    (void)snprintf(u->authority, sizeof(u->authority), "%.*s",
                   (int)(slash - at), at);
    colon = memrchr(at, ':', (size_t)(slash - at));
    if (colon != NULL && memchr(colon, ']', (size_t)(slash - colon)) == NULL) {
        if ((size_t)(slash - colon) - 1 >= sizeof(port) - 1) {
            return "the port is no number";
        }
        (void)snprintf(port, sizeof(port), "%.*s", (int)(slash - colon - 1),
                       colon + 1);
    } else {
        colon = slash;
    }
    if (port[0] == '\0' || strspn(port, "0123456789") != strlen(port) ||
        strtoul(port, NULL, 10) < 1 || strtoul(port, NULL, 10) > 65535) {
        return "the port is no number";
    }
    if (colon > at && *at == '[' && colon[-1] == ']') {
        at++;
        colon--;
    }
    host_len = (size_t)(colon - at);
    if (host_len == 0) {
        return "it has no host";
    }
    memcpy(host, at, host_len);
    host[host_len] = '\0';
    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host, port, &hints, &list) != 0) {
        return "its host can't be resolved";
    }
    for (a = list; a != NULL && u->n_addresses < AD_COUNT(u->addresses);
         a = a->ai_next) {
        memcpy(&u->addresses[u->n_addresses].storage, a->ai_addr,
               a->ai_addrlen);
        u->addresses[u->n_addresses++].len = a->ai_addrlen;
    }
    freeaddrinfo(list);
    return NULL;
}

static int ad_configure_upstreams(const char *list)
{
    const char *item, *why;
    size_t len;

    while (ad_list_next(&list, &item, &len)) {
        struct ad_upstream *u = &ad_upstreams.list[ad_upstreams.n];
        const char *equals = memchr(item, '=', len);
        const char *colon = memchr(item, ':', len);

        if (ad_upstreams.n == AIDASH_UPSTREAMS) {
            return ad_fail(AIDASH_EINVAL, "upstream: more than %d engines",
                           AIDASH_UPSTREAMS);
        }
        if (equals != NULL && (colon == NULL || equals < colon)) {
            if (!ad_name_ok(item, (size_t)(equals - item), AIDASH_NODE_MAX)) {
                return ad_fail(AIDASH_EINVAL,
                               "upstream: a name must be 1 to %d bytes",
                               AIDASH_NODE_MAX);
            }
            memcpy(u->name, item, (size_t)(equals - item));
            len -= (size_t)(equals + 1 - item);
            item = equals + 1;
        }
        why = ad_url_parse(item, len, u);
        if (why != NULL) {
            return ad_fail(AIDASH_EINVAL, "upstream: '%.*s': %s",
                           (int)(len < 100 ? len : 100), item, why);
        }
        ad_upstreams.n++;
    }
    return 0;
}

/* The bearer token (RFC 6750 2.1) is the file's first line. */
static int ad_configure_key(const char *path)
{
    FILE *f = fopen(path, "r");
    size_t n;
    bool got;

    if (f == NULL) {
        return ad_fail(AIDASH_EINVAL, "upstream-key-file: can't read %.100s: %s",
                       path, strerror(errno));
    }
    got = fgets(ad_upstreams.key, (int)sizeof(ad_upstreams.key), f) !=
          NULL;
    (void)fclose(f);
    n = strcspn(ad_upstreams.key, "\r\n");
    ad_upstreams.key[n] = '\0';
    if (!got || n == 0 || n + 1 >= sizeof(ad_upstreams.key) ||
        strspn(ad_upstreams.key,
               "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
               "0123456789-._~+/=") != n) {
        return ad_fail(AIDASH_EINVAL,
                       "upstream-key-file: %.100s has no key of 1 to 254 "
                       "characters in its first line",
                       path);
    }
    return 0;
}

static int ad_configure_meter(const struct aidash_config *config)
{
    const char *why;
    int rc = ad_configure_upstreams(config->upstream);

    if (rc == 0 && config->upstream_key_file != NULL) {
        rc = ad_configure_key(config->upstream_key_file);
    }
    if (rc == 0 && config->scrape != NULL) {
        why = ad_url_parse(config->scrape, strlen(config->scrape),
                           &ad_scrape.upstream);
        if (why != NULL) {
            return ad_fail(AIDASH_EINVAL, "scrape: '%.100s': %s",
                           config->scrape, why);
        }
        ad_scrape.on = true;
    }
    ad_proxying.max_inflight = config->max_inflight;
    if (ad_proxying.max_inflight == 0) {
        ad_proxying.max_inflight = AIDASH_FLOWS < 16 ? AIDASH_FLOWS : 16;
    }
    ad_proxying.queue = config->queue > 0 ? (unsigned)config->queue : 0;
    if (config->queue == 0) {
        ad_proxying.queue = AIDASH_FLOWS < 64 ? AIDASH_FLOWS : 64;
    }
    if (ad_proxying.max_inflight > AIDASH_FLOWS || ad_proxying.queue > AIDASH_FLOWS) {
        return ad_fail(AIDASH_EINVAL,
                       "max-inflight: it and queue must be at most %d",
                       AIDASH_FLOWS);
    }
    if (config->queue_timeout_s < 0 || config->upstream_timeout_s < 0) {
        return ad_fail(AIDASH_EINVAL, "queue-timeout: must not be negative");
    }
    ad_proxying.queue_timeout_ms =
        (config->queue_timeout_s > 0 ? config->queue_timeout_s : 600) * 1000;
    ad_proxying.upstream_timeout_ms =
        (config->upstream_timeout_s > 0 ? config->upstream_timeout_s : 600) *
        1000;
    if (rc == 0 && ad_upstreams.n > 0) {
        if (ad_sources.source != AD_SOURCE_NONE) {
            return ad_fail(AIDASH_EINVAL, "upstream: the meter is a source of "
                                          "its own; leave source out");
        }
        ad_sources.source = AD_SOURCE_METER;
    }
    return rc;
}

#endif /* AIDASH_METER */

/* Check all that can be checked without opening anything. */
static int ad_configure(const struct aidash_config *config)
{
    static const char *const sources[] = {"none", "sim", "stdin"};
    const char *source, *models = config->models;
    unsigned i = 0;
    int rc;

    ad_logging.on_log = config->on_log;
    ad_events.on_event = config->on_event;
    ad_commands.on_command = config->on_command;
    ad_logging.user = ad_events.user = ad_commands.user = config->user;
    source = config->source != NULL ? config->source : "none";
    while (i < AD_COUNT(sources) && strcmp(sources[i], source) != 0) {
        i++;
    }
    if (i == AD_COUNT(sources)) {
        return ad_fail(AIDASH_EINVAL,
                       "source: '%.80s' must be sim, stdin or none", source);
    }
    ad_sources.source = (enum ad_source)i;
    ad_sources.rate_hz = config->rate_hz;
    if (config->rate_hz == 0) {
        ad_sources.rate_hz = 5;
    }
    if (!(ad_sources.rate_hz >= 0.001 && ad_sources.rate_hz <= 10000)) {
        return ad_fail(AIDASH_EINVAL,
                       "rate: must be from 0.001 to 10000 ticks a second");
    }
    ad_sources.seed = config->seed != 0 ? config->seed : 1;
    ad_fanout.backlog = config->backlog != 0 ? config->backlog : AIDASH_BACKLOG;
    if (ad_fanout.backlog > AIDASH_EVENTS / 2) {
        return ad_fail(AIDASH_EINVAL, "backlog: must be 1 to %d events",
                       AIDASH_EVENTS / 2);
    }
    ad_acceptor.per_address = config->per_address;
    ad_logging.level = config->log_level != AIDASH_LOG_DEFAULT
                           ? config->log_level
                           : AIDASH_LOG_INFO;
    if ((unsigned)ad_logging.level > AIDASH_LOG_DEBUG) {
        return ad_fail(AIDASH_EINVAL,
                       "log-level: must be error, warn, info or debug");
    }
    if (models == NULL && ad_sources.source == AD_SOURCE_SIM) {
        models = "llama3,mistral,qwen2.5";
    }
#if AIDASH_METER
    rc = ad_configure_meter(config);
    if (rc != 0) {
        return rc;
    }
#endif
    ad_engine.learns = models == NULL && ad_sources.source != AD_SOURCE_METER;
    rc = ad_configure_models(models);
    if (rc == 0) {
        rc = ad_configure_origins(config->allow_origin);
    }
    if (rc == 0) {
        rc = ad_configure_listen(config->listen != NULL ? config->listen
                                                        : "8080");
    }
    return rc;
}

/* Open what the hub waits on: wake-up, listeners, UDP, stdin. */
static int ad_open(const struct aidash_config *config)
{
    unsigned i, port = 0;
    int fd;

    if (!ad_poll_open()) {
        return ad_fail(AIDASH_ESYS, "epoll or timerfd: %s", strerror(errno));
    }
#if AIDASH_USE_POLL
    {
        int ends[2];

        if (pipe(ends) != 0) {
            return ad_fail(AIDASH_ESYS, "pipe: %s", strerror(errno));
        }
        ad_hub.wake_rd = ends[0];
        ad_hub.wake_wr = ends[1];
        (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
        (void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
    }
#else
    ad_hub.wake_rd = ad_hub.wake_wr = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ad_hub.wake_rd < 0) {
        return ad_fail(AIDASH_ESYS, "eventfd: %s", strerror(errno));
    }
#endif
    (void)ad_poll_set(ad_hub.wake_rd, 0, AD_IN, AD_TAG_WAKE, 0);
    for (i = 0; i < ad_acceptor.n_listen; i++) {
        fd = ad_socket_bind(ad_acceptor.listen[i], SOCK_STREAM, &ad_acceptor.ports[i]);
        if (fd < 0) {
            return ad_fail(AIDASH_EBIND, "can't listen on %s: %s",
                           ad_acceptor.listen[i], strerror(-fd));
        }
        ad_acceptor.listeners[ad_acceptor.n_listeners++] = fd;
    }
    if (config->udp != NULL) {
        fd = ad_socket_bind(config->udp, SOCK_DGRAM, &port);
        if (fd == -EINVAL) {
            return ad_fail(AIDASH_EINVAL, "udp: '%.80s' is not [ADDR:]PORT",
                           config->udp);
        }
        if (fd < 0) {
            return ad_fail(AIDASH_EBIND, "can't take UDP on %.80s: %s",
                           config->udp, strerror(-fd));
        }
        ad_sources.udp[ad_sources.n_udp++] = fd;
        (void)ad_poll_set(fd, 0, AD_IN, AD_TAG_UDP, 0);
        ad_log(AIDASH_LOG_INFO, "UDP ingest on %.*s:%u",
               (int)ad_spec_host(config->udp), config->udp, port);
    }
    if (ad_sources.source == AD_SOURCE_STDIN) {
        ad_sources.stdin_open = true;
        /* epoll refuses files: they are always readable. */
        ad_sources.stdin_is_file =
            !ad_poll_set(STDIN_FILENO, 0, AD_IN, AD_TAG_STDIN, 0);
    }
    return 0;
}

static void ad_close(void)
{
    unsigned i;

    for (i = 0; i < ad_acceptor.n_listeners; i++) {
        (void)close(ad_acceptor.listeners[i]);
    }
    for (i = 0; i < ad_sources.n_udp; i++) {
        (void)close(ad_sources.udp[i]);
    }
    if (ad_hub.wake_wr != ad_hub.wake_rd) {
        (void)close(ad_hub.wake_wr);
    }
    (void)close(ad_hub.wake_rd);
    ad_poll_close();
}

#endif
