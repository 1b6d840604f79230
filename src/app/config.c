#ifndef AD_APP_CONFIG_C
#define AD_APP_CONFIG_C

/* ==== 12 API ============================================================= */

/* What aidash.h declares, in its order. */

const char *aidash_strerror(int code)
{
    switch (code) {
    case 0:
        return "no error";
    case AIDASH_EINVAL:
        return "an argument or option is out of its range";
    case AIDASH_ESTATE:
        return "already started, or not started";
    case AIDASH_EBIND:
        return "an address can't be bound";
    case AIDASH_ESYS:
        return "the system refused a thread, socket or memory";
    default:
        return "unknown error";
    }
}

const char *aidash_last_error(void)
{
    return ad_error_text;
}

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

/* [ADDR:]PORT into an address. Without ADDR (or with *), all interfaces: IPv6
 * with IPv4 in it, if `dual`, else IPv4. False if it is malformed. */
static bool ad_address_parse(const char *spec, bool dual,
                             struct sockaddr_storage *out, socklen_t *len)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;
    const char *colon = strrchr(spec, ':');
    const char *port_text = colon != NULL ? colon + 1 : spec;
    char host[64];
    size_t host_len = colon != NULL ? (size_t)(colon - spec) : 0;
    unsigned long port = strtoul(port_text, NULL, 10);

    memset(out, 0, sizeof(*out));
    if (port_text[0] == '\0' || strlen(port_text) > 5 || port > 65535 ||
        strspn(port_text, "0123456789") != strlen(port_text) ||
        host_len >= sizeof(host) || (colon != NULL && host_len == 0)) {
        return false;
    }
    memcpy(host, spec, host_len);
    host[host_len] = '\0';
    if (host_len == 0 || strcmp(host, "*") == 0) {
        if (dual) {
            v6->sin6_family = AF_INET6;
        } else {
            v4->sin_family = AF_INET;
        }
    } else if (host[0] == '[' && host[host_len - 1] == ']') {
        host[host_len - 1] = '\0';
        v6->sin6_family = AF_INET6;
        if (inet_pton(AF_INET6, host + 1, &v6->sin6_addr) != 1) {
            return false;
        }
    } else {
        v4->sin_family = AF_INET;
        if (inet_pton(AF_INET,
                      strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
                      &v4->sin_addr) != 1) {
            return false;
        }
    }
    if (out->ss_family == AF_INET6) {
        v6->sin6_port = htons((uint16_t)port);
        *len = sizeof(*v6);
    } else {
        v4->sin_port = htons((uint16_t)port);
        *len = sizeof(*v4);
    }
    return true;
}

/* A socket bound to [ADDR:]PORT. Returns it and its real port, or minus errno
 * (EINVAL: the address is malformed). */
static int ad_socket_bind(const char *spec, int type, unsigned *port)
{
    struct sockaddr_storage address;
    socklen_t len;
    int fd = -1, on = 1, off = 0, error, dual;

    for (dual = 1; dual >= 0 && fd < 0; dual--) { /* a kernel without IPv6 */
        if (!ad_address_parse(spec, dual == 1, &address, &len)) {
            return -EINVAL;
        }
        fd = socket(address.ss_family, type, 0);
        if (fd >= 0 && address.ss_family == AF_INET6) {
            (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
        }
        if (fd >= 0 && type == SOCK_STREAM) {
            (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        }
        if (fd >= 0 && (bind(fd, (struct sockaddr *)&address, len) != 0 ||
                        (type == SOCK_STREAM && listen(fd, 1024) != 0))) {
            error = errno;
            (void)close(fd);
            fd = -1;
            if (error != EADDRNOTAVAIL && error != EAFNOSUPPORT) {
                return -error;
            }
            errno = error;
        }
    }
    if (fd < 0) {
        return -errno;
    }
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    len = sizeof(address);
    (void)getsockname(fd, (struct sockaddr *)&address, &len);
    *port = ntohs(address.ss_family == AF_INET6
                      ? ((struct sockaddr_in6 *)(void *)&address)->sin6_port
                      : ((struct sockaddr_in *)(void *)&address)->sin_port);
    return fd;
}

/* The part of a listener's spec in front of the port, "" for all interfaces. */
static size_t ad_spec_host(const char *spec)
{
    const char *colon = strrchr(spec, ':');

    return colon == NULL || spec[0] == '*' ? 0 : (size_t)(colon - spec);
}

/* How others on the network may call this machine. */
struct ad_lan {
    char host[256]; /* as a URL has it */
    char by[24];    /* the interface, or "mDNS" */
};
enum { AD_LAN_MAX = 8 };

/* Interfaces of this name are for containers and virtual machines here. */
static bool ad_lan_virtual(const char *name)
{
    static const char *const kinds[] = {"docker", "br-", "veth", "virbr",
                                        "cni", "flannel", "lxc"};
    size_t i = 0;

    while (i < AD_COUNT(kinds) &&
           strncmp(name, kinds[i], strlen(kinds[i])) != 0) {
        i++;
    }
    return i < AD_COUNT(kinds);
}

/* The addresses of one family. Returns how many there are in `out` then. */
static unsigned ad_lan_family(struct ad_lan out[AD_LAN_MAX], unsigned n,
                              int family)
{
    struct ifaddrs *all = NULL, *at;

    if (getifaddrs(&all) != 0) {
        return n;
    }
    for (at = all; at != NULL && n < AD_LAN_MAX; at = at->ifa_next) {
        const struct sockaddr *a = at->ifa_addr;
        char text[INET6_ADDRSTRLEN];
        const void *bytes;

        if (a == NULL || a->sa_family != family ||
            (at->ifa_flags & IFF_LOOPBACK) != 0 ||
            (at->ifa_flags & IFF_UP) == 0 || ad_lan_virtual(at->ifa_name)) {
            continue;
        }
        bytes = family == AF_INET
                    ? (const void *)&((const struct sockaddr_in *)(const void *)a)
                          ->sin_addr
                    : &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
        if ((family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(
                                       (const struct in6_addr *)bytes)) ||
            inet_ntop(family, bytes, text, sizeof(text)) == NULL) {
            continue;
        }
        (void)snprintf(out[n].host, sizeof(out[n].host),
                       family == AF_INET6 ? "[%s]" : "%s", text);
        (void)snprintf(out[n++].by, sizeof(out[0].by), "%.20s", at->ifa_name);
    }
    freeifaddrs(all);
    return n;
}

/* Names and addresses for people on the LAN: the one that mDNS publishes, where
 * Avahi runs, then IPv4, and IPv6 where there is nothing else. */
static unsigned ad_lan_list(struct ad_lan out[AD_LAN_MAX])
{
    unsigned named = 0, n;
    char name[200];

    if (access("/run/avahi-daemon/socket", F_OK) == 0 &&
        gethostname(name, sizeof(name)) == 0) {
        name[sizeof(name) - 1] = '\0';
        (void)snprintf(out[0].host, sizeof(out[0].host), "%.*s.local",
                       (int)strcspn(name, "."), name);
        (void)snprintf(out[0].by, sizeof(out[0].by), "mDNS");
        named = 1;
    }
    n = ad_lan_family(out, named, AF_INET);
    return n > named ? n : ad_lan_family(out, n, AF_INET6);
}

static int ad_configure_models(const char *list)
{
    const char *item;
    size_t len;

    while (ad_list_next(&list, &item, &len)) {
        char *name = ad_hub.models[ad_hub.n_models];

        if (!ad_name_ok(item, len, AIDASH_MODEL_MAX)) {
            return ad_fail(AIDASH_EINVAL,
                           "models: a name must be 1 to %d bytes of UTF-8 "
                           "without control characters: '%.*s'",
                           AIDASH_MODEL_MAX, (int)(len < 80 ? len : 80), item);
        }
        if (ad_hub.n_models == AIDASH_MODELS) {
            return ad_fail(AIDASH_EINVAL, "models: more than %d names",
                           AIDASH_MODELS);
        }
        memcpy(name, item, len);
        name[len] = '\0';
        if (ad_model_find(name) < ad_hub.n_models) {
            return ad_fail(AIDASH_EINVAL, "models: '%s' stands there twice",
                           name);
        }
        ad_hub.n_models++;
    }
    return 0;
}

static int ad_configure_origins(const char *list)
{
    const char *item;
    size_t len;

    while (ad_list_next(&list, &item, &len)) {
        if (len == 1 && item[0] == '*') {
            ad_set.any_origin = true;
            continue;
        }
        if (len == 0 || len > AD_ORIGIN_MAX ||
            memmem(item, len, "://", 3) == NULL || item[len - 1] == '/') {
            return ad_fail(AIDASH_EINVAL,
                           "allow-origin: an origin is like "
                           "http://host:port, or *: '%.*s'",
                           (int)(len < 80 ? len : 80), item);
        }
        if (ad_set.n_origins == AD_ORIGINS) {
            return ad_fail(AIDASH_EINVAL, "allow-origin: more than %d",
                           AD_ORIGINS);
        }
        memcpy(ad_set.origins[ad_set.n_origins], item, len);
        ad_set.origins[ad_set.n_origins++][len] = '\0';
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
        char *spec = ad_set.listen[ad_set.n_listen];

        if (ad_set.n_listen == AD_LISTENERS) {
            return ad_fail(AIDASH_EINVAL, "listen: more than %d addresses",
                           AD_LISTENERS);
        }
        if (len >= sizeof(ad_set.listen[0])) {
            len = sizeof(ad_set.listen[0]) - 1;
        }
        memcpy(spec, item, len);
        spec[len] = '\0';
        if (!ad_address_parse(spec, true, &address, &address_len)) {
            return ad_fail(AIDASH_EINVAL,
                           "listen: '%s' is not [ADDR:]PORT, such as 8080, "
                           "127.0.0.1:8080 or [::1]:8080",
                           spec);
        }
        ad_set.n_listen++;
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
        struct ad_upstream *u = &ad_set.upstreams[ad_set.n_upstreams];
        const char *equals = memchr(item, '=', len);
        const char *colon = memchr(item, ':', len);

        if (ad_set.n_upstreams == AIDASH_UPSTREAMS) {
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
        ad_set.n_upstreams++;
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
    got = fgets(ad_set.upstream_key, (int)sizeof(ad_set.upstream_key), f) !=
          NULL;
    (void)fclose(f);
    n = strcspn(ad_set.upstream_key, "\r\n");
    ad_set.upstream_key[n] = '\0';
    if (!got || n == 0 || n + 1 >= sizeof(ad_set.upstream_key) ||
        strspn(ad_set.upstream_key,
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
                           &ad_set.scrape);
        if (why != NULL) {
            return ad_fail(AIDASH_EINVAL, "scrape: '%.100s': %s",
                           config->scrape, why);
        }
        ad_set.has_scrape = true;
    }
    ad_set.max_inflight = config->max_inflight;
    if (ad_set.max_inflight == 0) {
        ad_set.max_inflight = AIDASH_FLOWS < 16 ? AIDASH_FLOWS : 16;
    }
    ad_set.queue = config->queue > 0 ? (unsigned)config->queue : 0;
    if (config->queue == 0) {
        ad_set.queue = AIDASH_FLOWS < 64 ? AIDASH_FLOWS : 64;
    }
    if (ad_set.max_inflight > AIDASH_FLOWS || ad_set.queue > AIDASH_FLOWS) {
        return ad_fail(AIDASH_EINVAL,
                       "max-inflight: it and queue must be at most %d",
                       AIDASH_FLOWS);
    }
    if (config->queue_timeout_s < 0 || config->upstream_timeout_s < 0) {
        return ad_fail(AIDASH_EINVAL, "queue-timeout: must not be negative");
    }
    ad_set.queue_timeout_ms =
        (config->queue_timeout_s > 0 ? config->queue_timeout_s : 600) * 1000;
    ad_set.upstream_timeout_ms =
        (config->upstream_timeout_s > 0 ? config->upstream_timeout_s : 600) *
        1000;
    if (rc == 0 && ad_set.n_upstreams > 0) {
        if (ad_set.source != AD_SOURCE_NONE) {
            return ad_fail(AIDASH_EINVAL, "upstream: the meter is a source of "
                                          "its own; leave source out");
        }
        ad_set.source = AD_SOURCE_METER;
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

    memset(&ad_set, 0, sizeof(ad_set));
    ad_set.config = *config;
    source = config->source != NULL ? config->source : "none";
    while (i < AD_COUNT(sources) && strcmp(sources[i], source) != 0) {
        i++;
    }
    if (i == AD_COUNT(sources)) {
        return ad_fail(AIDASH_EINVAL,
                       "source: '%.80s' must be sim, stdin or none", source);
    }
    ad_set.source = (enum ad_source)i;
    ad_set.rate_hz = config->rate_hz;
    if (config->rate_hz == 0) {
        ad_set.rate_hz = 5;
    }
    if (!(ad_set.rate_hz >= 0.001 && ad_set.rate_hz <= 10000)) {
        return ad_fail(AIDASH_EINVAL,
                       "rate: must be from 0.001 to 10000 ticks a second");
    }
    ad_set.seed = config->seed != 0 ? config->seed : 1;
    ad_set.backlog = config->backlog != 0 ? config->backlog : AIDASH_BACKLOG;
    if (ad_set.backlog > AIDASH_EVENTS / 2) {
        return ad_fail(AIDASH_EINVAL, "backlog: must be 1 to %d events",
                       AIDASH_EVENTS / 2);
    }
    ad_set.per_address = config->per_address;
    ad_set.log_level = config->log_level != AIDASH_LOG_DEFAULT
                           ? config->log_level
                           : AIDASH_LOG_INFO;
    if ((unsigned)ad_set.log_level > AIDASH_LOG_DEBUG) {
        return ad_fail(AIDASH_EINVAL,
                       "log-level: must be error, warn, info or debug");
    }
    if (models == NULL && ad_set.source == AD_SOURCE_SIM) {
        models = "llama3,mistral,qwen2.5";
    }
#if AIDASH_METER
    rc = ad_configure_meter(config);
    if (rc != 0) {
        return rc;
    }
    ad_fetch.fd = -1;
#endif
    ad_set.learn_models = models == NULL && ad_set.source != AD_SOURCE_METER;
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
    for (i = 0; i < ad_set.n_listen; i++) {
        fd = ad_socket_bind(ad_set.listen[i], SOCK_STREAM, &ad_hub.ports[i]);
        if (fd < 0) {
            return ad_fail(AIDASH_EBIND, "can't listen on %s: %s",
                           ad_set.listen[i], strerror(-fd));
        }
        ad_hub.listeners[ad_hub.n_listeners++] = fd;
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
        ad_hub.udp[ad_hub.n_udp++] = fd;
        (void)ad_poll_set(fd, 0, AD_IN, AD_TAG_UDP, 0);
        ad_log(AIDASH_LOG_INFO, "UDP ingest on %.*s:%u",
               (int)ad_spec_host(config->udp), config->udp, port);
    }
    if (ad_set.source == AD_SOURCE_STDIN) {
        ad_hub.stdin_open = true;
        /* epoll refuses files: they are always readable. */
        ad_hub.stdin_is_file =
            !ad_poll_set(STDIN_FILENO, 0, AD_IN, AD_TAG_STDIN, 0);
    }
    return 0;
}

static void ad_close(void)
{
    unsigned i;

    for (i = 0; i < ad_hub.n_listeners; i++) {
        (void)close(ad_hub.listeners[i]);
    }
    for (i = 0; i < ad_hub.n_udp; i++) {
        (void)close(ad_hub.udp[i]);
    }
    if (ad_hub.wake_wr != ad_hub.wake_rd) {
        (void)close(ad_hub.wake_wr);
    }
    (void)close(ad_hub.wake_rd);
    ad_poll_close();
}

#endif
