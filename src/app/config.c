/* config.c - checks the configuration and hands it to the parts; opens what the hub
 * waits for. Runs on the starting thread, before the hub's.
 */
#ifndef AD_APP_CONFIG_C
#define AD_APP_CONFIG_C

#include "../base/failure.c"
#include "../base/url.c"
#include "../board/alert_send.c"
#include "../board/board.c"
#include "../board/history_file.c"
#include "../board/otlp.c"
#include "../fleet/fleet.c"
#include "../core/access.c"
#include "../core/certificate.c"
#include "../guard/jwt_files.c"
#include "../guard/keys.c"
#include "../guard/rights.c"
#include "../guard/trust.c"
#include "../meter/meter.c"
#include "../web/brand.c"

enum { AD_SHOWN_MAX = 100 }; /* bytes of a wrong value that an error shows */

/* How much of a wrong value an error shows. */
static int ad_shown(size_t len)
{
    return len < AD_SHOWN_MAX ? (int)len : AD_SHOWN_MAX;
}

/* Take the next item from a comma-separated list, without the blanks around it.
 * *list is NULL at the list's end; then this returns false. */
static bool ad_list_next(const char **list, const char **item, size_t *len)
{
    const char *s = *list, *comma;

    if (s == NULL) {
        return false;
    }
    comma = strchr(s, ',');
    *list = comma != NULL ? comma + 1 : NULL;
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
        char name[AIDASH_MODEL_MAX + 1];

        if (!ad_name_ok(item, len, AIDASH_MODEL_MAX)) {
            return ad_fail(AIDASH_EINVAL,
                           "models: '%.*s' is not a name; a name is 1 to %d "
                           "bytes of UTF-8 without control characters",
                           ad_shown(len), item, AIDASH_MODEL_MAX);
        }
        if (ad_engine.n_models == AIDASH_MODELS) {
            return ad_fail(AIDASH_EINVAL, "models: there are more than %d names",
                           AIDASH_MODELS);
        }
        memcpy(name, item, len);
        name[len] = '\0';
        if (!ad_engine_add_model(name, false)) {
            return ad_fail(AIDASH_EINVAL, "models: '%s' is listed twice", name);
        }
    }
    return 0;
}

/* A comma-separated list, each item of which a part takes or refuses. `what` is
 * what an item must be. */
static int ad_configure_list(const char *list, const char *option,
                             const char *what, int most,
                             bool (*add)(const char *item, size_t len))
{
    const char *item;
    size_t len;

    while (ad_list_next(&list, &item, &len)) {
        if (!add(item, len)) {
            return ad_fail(AIDASH_EINVAL,
                           "%s: '%.*s' is not %s; there may be %d", option,
                           ad_shown(len), item, what, most);
        }
    }
    return 0;
}

#define AD_RESOLV_CONF "/etc/resolv.conf"

/* `names` are this machine's own. */
static int ad_configure_access(const struct aidash_config *config,
                               const struct ad_own_names *names)
{
    int rc = ad_configure_list(config->allow_origin, "allow-origin",
                               "an origin, such as http://host:port, or *",
                               AD_ORIGINS, ad_access_add_origin);

    if (rc == 0) {
        rc = ad_configure_list(config->allow_host, "allow-host",
                               "a name, such as board.example, *.example or *",
                               AD_HOSTS_ALLOWED, ad_access_allow_host);
    }
    if (rc == 0) {
        rc = ad_configure_list(config->trust_proxy, "trust-proxy",
                               "an address, or ADDR/BITS", AD_PROXIES,
                               ad_access_add_proxy);
    }
    ad_access_add_own_names(names);
    return rc;
}

static int ad_configure_listen(const char *list)
{
    const char *item;
    size_t len;

    while (ad_list_next(&list, &item, &len)) {
        if (ad_acceptor.n_listen == AD_LISTENERS) {
            return ad_fail(AIDASH_EINVAL,
                           "listen: there are more than %d addresses",
                           AD_LISTENERS);
        }
        if (!ad_acceptor_listen_on(item, len)) {
            return ad_fail(AIDASH_EINVAL,
                           "listen: '%.*s' is not [ADDR:]PORT, such as 8080, "
                           "127.0.0.1:8080 or [::1]:8080",
                           ad_shown(len), item);
        }
    }
    return 0;
}

/* Who may do what. */
static int ad_configure_rights(const struct aidash_config *config)
{
    const char *const modes[AD_RIGHTS] = {config->view, config->control,
                                          config->ingest, config->infer};
    unsigned i;

    for (i = 0; i < AD_RIGHTS; i++) {
        if (modes[i] != NULL && !ad_rights_set(1u << i, modes[i])) {
            return ad_fail(AIDASH_EINVAL,
                           "%s: '%.80s' must be open, remote-key, key or local",
                           ad_right_names[i], modes[i]);
        }
    }
    if (config->udp != NULL) {
        if (ad_right_needs(AD_MAY_INGEST, true) != AD_MODE_OPEN) {
            return ad_fail(AIDASH_EINVAL, "udp: datagrams have no keys; --ingest "
                                          "key does not allow them");
        }
        if (ad_right_needs(AD_MAY_INGEST, false) == AD_MODE_LOCAL) {
            ad_sources_keep_udp_local();
        }
    }
    return 0;
}

#if AD_DIALS

/* The engine at the URL of an option. Without an address if it is given by a name:
 * that is for the resolver. Returns 0, or AIDASH_EINVAL: it is no URL. */
static int ad_upstream_at(const char *option, const char *text, size_t len,
                          struct ad_upstream *engine)
{
    const char *why;

    memset(engine, 0, sizeof(*engine));
    why = ad_url_parse(text, len, &engine->url);
    if (why == NULL && engine->url.tls && !AIDASH_TLS) {
        why = "this aidash was built without TLS; put nginx or stunnel in between";
    }
    if (why == NULL) {
        engine->n_addresses = ad_address_literal(
            engine->url.host, (uint16_t)atoi(engine->url.port), engine->addresses);
        if (engine->n_addresses == 0 &&
            (engine->url.authority[0] == '[' ||
             !ad_http_host_name_ok(ad_slice_of(engine->url.host)))) {
            why = "its host is neither an address nor a name";
        }
    }
    if (why != NULL && memchr(text, '@', len) != NULL) { /* it may have a password */
        return ad_fail(AIDASH_EINVAL, "%s: write the URL without a name and a password "
                                      "in front of the host", option);
    }
    if (why != NULL) {
        return ad_fail(AIDASH_EINVAL, "%s: '%.*s': %s", option, ad_shown(len),
                       text, why);
    }
    return 0;
}

#endif

#if AIDASH_METER

/* How long the name in [NAME=]URL is, SIZE_MAX without a name: an = before the
 * first colon ends it. */
static size_t ad_upstream_name_len(const char *item, size_t len)
{
    const char *equals = memchr(item, '=', len);
    const char *colon = memchr(item, ':', len);

    if (equals == NULL || (colon != NULL && colon < equals)) {
        return SIZE_MAX;
    }
    return (size_t)(equals - item);
}

/* One engine, [NAME=]URL. */
static int ad_configure_upstream(const char *item, size_t len)
{
    size_t name_len = ad_upstream_name_len(item, len);
    const char *name = item;
    struct ad_upstream engine;
    int rc;

    if (name_len != SIZE_MAX) {
        if (!ad_name_ok(name, name_len, AIDASH_NODE_MAX)) {
            return ad_fail(AIDASH_EINVAL,
                           "upstream: '%.*s' is not a name of 1 to %d bytes",
                           ad_shown(name_len), name, AIDASH_NODE_MAX);
        }
        item += name_len + 1;
        len -= name_len + 1;
    }
    rc = ad_upstream_at("upstream", item, len, &engine);
    if (rc != 0) {
        return rc;
    }
    /* Clients are given a URL with /v1, and so it is written here, too; but the
     * path of their requests begins with it already. */
    len = strlen(engine.url.prefix);
    if (len >= 3 && strcmp(engine.url.prefix + len - 3, "/v1") == 0) {
        engine.url.prefix[len - 3] = '\0';
    }
    if (name_len != SIZE_MAX) {
        memcpy(engine.name, name, name_len);
    }
    if (!ad_upstreams_add(&engine)) {
        return ad_fail(AIDASH_EINVAL, "upstream: there are more than %d engines",
                       AIDASH_UPSTREAMS);
    }
    return 0;
}

static int ad_configure_upstreams(const char *list)
{
    const char *item;
    size_t len;

    while (ad_list_next(&list, &item, &len)) {
        int rc = ad_configure_upstream(item, len);

        if (rc != 0) {
            return rc;
        }
        ad_resolver_add(&ad_upstreams.list[ad_upstreams.n - 1]);
    }
    return 0;
}

/* A bearer token that is the first line of an option's file, into key. */
static int ad_configure_key(const char *option, const char *path,
                            char key[AD_KEY_MAX + 1])
{
    char line[AD_KEY_MAX + 3] = ""; /* with CR or LF, and NUL */
    FILE *f = fopen(path, "r");
    struct stat info = {0};
    size_t len;

    if (f == NULL) {
        return ad_fail(AIDASH_EINVAL, "%s: can't read %.100s: %s", option, path,
                       strerror(errno));
    }
    (void)fstat(fileno(f), &info);
    (void)!fgets(line, (int)sizeof(line), f);
    (void)fclose(f);
    len = strcspn(line, "\r\n");
    if (!ad_key_ok(line, len)) {
        return ad_fail(AIDASH_EINVAL, "%s: the first line of %.100s is not a token of 1 "
                                      "to %d characters", option, path, AD_KEY_MAX);
    }
    if ((info.st_mode & S_IROTH) != 0) {
        ad_log(AIDASH_LOG_WARN, "%s: every user of this machine can read %.200s", option,
               path);
    }
    memcpy(key, line, len);
    key[len] = '\0';
    return 0;
}

static int ad_configure_scrape(const char *url)
{
    struct ad_upstream page;
    int rc = ad_upstream_at("scrape", url, strlen(url), &page);
    unsigned i;

    for (i = 0; i < ad_upstreams.n && rc == 0; i++) {
        if (ad_upstream_same_place(&page, &ad_upstreams.list[i])) {
            rc = ad_fail(AIDASH_EINVAL,
                         "scrape: '%.*s' is an engine of --upstream too: its "
                         "tokens would count twice",
                         ad_shown(strlen(url)), url);
        }
    }
    if (rc == 0) {
        ad_scrape_set(&page);
        ad_resolver_add(&ad_scrape.upstream);
    }
    return rc;
}

#if AD_OUTBOX

/* Where an outbox sends to, by the URL of an option. */
static int ad_configure_outbox(const char *option, const char *url,
                               struct ad_outbox *o, struct ad_upstream *to)
{
    size_t len = 0;
    const char *why = ad_outbox_split(url, &len, o->target);

    if (why != NULL) {
        return ad_fail(AIDASH_EINVAL, "%s: '%.*s': %s", option, ad_shown(len), url,
                       why);
    }
    return ad_upstream_at(option, url, len, to);
}

#endif

#if AIDASH_ALERTS

/* Where alerts are sent to, and in which form. */
static int ad_configure_webhook(const struct aidash_config *config)
{
    struct ad_outbox *o = ad_alert_outbox();
    unsigned format = AD_ALERT_JSON;
    struct ad_upstream to;
    int rc;

    if (config->alert_url == NULL) {
        if (config->alert_format == NULL && config->alert_key_file == NULL) {
            return 0;
        }
        return ad_fail(AIDASH_EINVAL, "%s: without alert-url no alert is sent",
                       config->alert_format != NULL ? "alert-format"
                                                    : "alert-key-file");
    }
    if (config->alert_format != NULL) {
        while (format < AD_ALERT_FORMATS &&
               strcmp(ad_alert_formats[format], config->alert_format) != 0) {
            format++;
        }
        if (format == AD_ALERT_FORMATS) {
            return ad_fail(AIDASH_EINVAL,
                           "alert-format: '%.80s' must be json, ntfy or text",
                           config->alert_format);
        }
    }
    rc = ad_configure_outbox("alert-url", config->alert_url, o, &to);
    if (rc == 0 && config->alert_key_file != NULL) {
        rc = ad_configure_key("alert-key-file", config->alert_key_file, o->key);
    }
    if (rc == 0) {
        ad_alert_post_set(&to, (enum ad_alert_format)format);
    }
    return rc;
}

#endif

/* The collector that gets spans and metrics. */
static int ad_configure_otlp(const char *url)
{
#if AIDASH_OTLP
    struct ad_upstream to;
    int rc = ad_configure_outbox("otlp", url, ad_otlp_outbox(), &to);

    if (rc == 0 && !ad_otlp_set(&to)) {
        rc = ad_fail(AIDASH_EINVAL, "otlp: '%s': its path is too long, or has a query; "
                                    "/v1/traces and /v1/metrics are added to it",
                     to.url.authority);
    }
    return rc;
#else
    return ad_fail(AIDASH_EINVAL, "otlp: '%.*s': this aidash was built without "
                                  "OpenTelemetry (AIDASH_OTLP)",
                   ad_shown(strlen(url)), url);
#endif
}

#if AD_FLEET

/* The gateway that gets this board's events. */
static int ad_configure_forward(const struct aidash_config *config)
{
    char host[AIDASH_NODE_MAX + 1] = "";
    const char *node = config->as_node;
    struct ad_upstream to;
    int rc;

    if (config->forward == NULL) {
        if (node == NULL && config->forward_key_file == NULL) {
            return 0;
        }
        return ad_fail(AIDASH_EINVAL, "%s: without forward it is not used",
                       node != NULL ? "as-node" : "forward-key-file");
    }
    if (node != NULL && !ad_name_ok(node, strlen(node), AIDASH_NODE_MAX)) {
        return ad_fail(AIDASH_EINVAL, "as-node: '%.*s' is not a name of 1 to %d bytes",
                       ad_shown(strlen(node)), node, AIDASH_NODE_MAX);
    }
    if (node == NULL) {
        if (gethostname(host, sizeof(host)) != 0 || memchr(host, '\0', sizeof(host)) == NULL ||
            !ad_name_ok(host, strlen(host), AIDASH_NODE_MAX)) {
            return ad_fail(AIDASH_EINVAL, "forward: this machine's name can't be that of "
                                          "a board; give one (as-node)");
        }
        node = host;
    }
    rc = ad_upstream_at("forward", config->forward, strlen(config->forward), &to);
    if (rc == 0 && config->forward_key_file != NULL) {
        rc = ad_configure_key("forward-key-file", config->forward_key_file,
                              ad_forward.key);
    }
    if (rc == 0) {
        ad_forward_set(&to, node);
    }
    return rc;
}

/* A board whose events this one reads, [NAME=]URL. */
static int ad_configure_peer(const char *item, size_t len)
{
    size_t name_len = ad_upstream_name_len(item, len), all = len;
    const char *name = item, *why;
    struct ad_upstream to;
    int rc;

    if (name_len != SIZE_MAX) {
        item += name_len + 1;
        len -= name_len + 1;
    }
    rc = ad_upstream_at("peer", item, len, &to);
    if (rc != 0) {
        return rc;
    }
    if (name_len == SIZE_MAX) {
        name = to.url.authority;
        name_len = strlen(name);
    }
    if (!ad_name_ok(name, name_len, AIDASH_NODE_MAX)) {
        return ad_fail(AIDASH_EINVAL, "peer: '%.*s' is not a name of 1 to %d bytes: write "
                                      "NAME=URL", ad_shown(name_len), name,
                       AIDASH_NODE_MAX);
    }
    memcpy(to.name, name, name_len);
    why = ad_follow_add(&to);
    return why == NULL ? 0
                       : ad_fail(AIDASH_EINVAL, "peer: '%.*s': %s", ad_shown(all),
                                 name_len < all ? item : name, why);
}

/* They. */
static int ad_configure_peers(const struct aidash_config *config)
{
    const char *list = config->peer, *item;
    size_t len;
    int rc = 0;

    if (config->peer_key_file != NULL && config->peer == NULL) {
        return ad_fail(AIDASH_EINVAL, "peer-key-file: without peer it is not used");
    }
    while (rc == 0 && ad_list_next(&list, &item, &len)) {
        rc = ad_configure_peer(item, len);
    }
    if (rc == 0 && config->peer_key_file != NULL) {
        rc = ad_configure_key("peer-key-file", config->peer_key_file, ad_follows.key);
    }
    return rc;
}

#endif

/* `given`, or without it (0) `usual`, but never more than AIDASH_FLOWS. */
static unsigned ad_flows_or(unsigned given, unsigned usual)
{
    if (given != 0) {
        return given;
    }
    return usual < AIDASH_FLOWS ? usual : AIDASH_FLOWS;
}

static int ad_configure_queue(const struct aidash_config *config)
{
    unsigned max_inflight = ad_flows_or(config->max_inflight, 16), queue = 0;
    double queue_timeout_s = config->queue_timeout_s;
    double upstream_timeout_s = config->upstream_timeout_s;

    if (config->queue < -1) {
        return ad_fail(AIDASH_EINVAL, "queue: must be at least 0, or -1 for no "
                                      "queue");
    }
    if (config->queue >= 0) {
        queue = ad_flows_or((unsigned)config->queue, 64);
    }
    if (max_inflight > AIDASH_FLOWS) {
        return ad_fail(AIDASH_EINVAL, "max-inflight: must be at most %d",
                       AIDASH_FLOWS);
    }
    if (queue > AIDASH_FLOWS) {
        return ad_fail(AIDASH_EINVAL, "queue: must be at most %d", AIDASH_FLOWS);
    }
    if (queue_timeout_s < 0) {
        return ad_fail(AIDASH_EINVAL, "queue-timeout: must not be negative");
    }
    if (upstream_timeout_s < 0) {
        return ad_fail(AIDASH_EINVAL, "upstream-timeout: must not be negative");
    }
    queue_timeout_s = queue_timeout_s > 0 ? queue_timeout_s : 600;
    upstream_timeout_s = upstream_timeout_s > 0 ? upstream_timeout_s : 600;
    ad_queue_set(max_inflight, queue, queue_timeout_s * 1000,
                 upstream_timeout_s * 1000);
    return 0;
}

#if AIDASH_TLS

/* Is there an engine, or another server that aidash asks, with https? */
static bool ad_upstreams_have_tls(void)
{
    bool found = ad_scrape.on && ad_scrape.upstream.url.tls;
    unsigned i;

    for (i = 0; i < ad_upstreams.n; i++) {
        found = found || ad_upstreams.list[i].url.tls;
    }
#if AD_OUTBOX
    for (i = 0; i < AD_OUTBOX_N; i++) {
        found = found || (ad_outboxes[i].on && ad_outboxes[i].to.url.tls);
    }
#endif
#if AD_FLEET
    found = found || (ad_forward.on && ad_forward.to.url.tls);
    for (i = 0; i < ad_follows.n; i++) {
        found = found || ad_follows.list[i].to.url.tls;
    }
#endif
    return found;
}

/* Read --upstream-ca. */
static int ad_configure_ca(const char *path)
{
    switch (ad_trust_read_file(path)) {
    case AD_TRUST_READ:
        return 0;
    case AD_TRUST_UNREADABLE:
        return ad_fail(AIDASH_EINVAL, "upstream-ca: can't read %.100s: %s", path,
                       strerror(errno));
    case AD_TRUST_FULL:
        return ad_fail(AIDASH_EINVAL, "upstream-ca: %.100s has more than %d "
                                      "certificates, or %d bytes of them",
                       path, AD_TRUST_ROOTS, AIDASH_TRUST_BYTES);
    default:
        return ad_fail(AIDASH_EINVAL, "upstream-ca: %.100s has no certificate "
                                      "(PEM), or a malformed one", path);
    }
}

/* Whom to believe where engines have https: read it all to the spare set, for
 * ad_trust_use(). Reads files: not on the hub. */
static int ad_configure_trust(const struct aidash_config *config)
{
    const char *from = config->upstream_ca;
    int rc = 0;

    if (from != NULL) {
        rc = ad_configure_ca(from);
    } else if (ad_upstreams_have_tls()) {
        from = ad_trust_read_system();
    } else {
        ad_trust_forget();
    }
    ad_trust_begin_pins();
    if (rc == 0) {
        rc = ad_configure_list(config->upstream_pin, "upstream-pin",
                               "sha256/ and the 44 characters of a key's fingerprint",
                               AD_TRUST_PINS, ad_trust_add_pin);
    }
    if (rc == 0 && ad_upstreams_have_tls() && !ad_tls_client_start()) {
        rc = ad_fail(AIDASH_ESYS, "TLS can't begin: the system has no random numbers, "
                                  "or it lacks memory");
    }
    if (rc == 0 && ad_upstreams_have_tls()) {
        ad_log(from != NULL ? AIDASH_LOG_DEBUG : AIDASH_LOG_WARN,
               "https engines: %u authorities are believed%s%s",
               ad_trust_spare()->n, from != NULL ? ", of " : "; this system has no file "
                                                             "of them: --upstream-ca "
                                                             "names one",
               from != NULL ? from : "");
    }
    return rc;
}

#else

static int ad_configure_trust(const struct aidash_config *config)
{
    if (config->upstream_ca != NULL || config->upstream_pin != NULL) {
        return ad_fail(AIDASH_EINVAL, "%s: this aidash was built without TLS",
                       config->upstream_ca != NULL ? "upstream-ca" : "upstream-pin");
    }
    return 0;
}

static void ad_trust_use(void)
{
}

#endif

static int ad_configure_meter(const struct aidash_config *config)
{
    int rc = ad_configure_upstreams(config->upstream);

    if (rc == 0 && config->upstream_key_file != NULL) {
        rc = ad_configure_key("upstream-key-file", config->upstream_key_file,
                              ad_upstreams.key);
    }
    if (rc == 0 && config->scrape != NULL) {
        rc = ad_configure_scrape(config->scrape);
    }
#if AIDASH_ALERTS
    if (rc == 0) {
        rc = ad_configure_webhook(config);
    }
#endif
    if (rc == 0 && config->otlp != NULL) {
        rc = ad_configure_otlp(config->otlp);
    }
#if AD_FLEET
    if (rc == 0) {
        rc = ad_configure_forward(config);
    }
    if (rc == 0) {
        rc = ad_configure_peers(config);
    }
#else
    if (rc == 0 && (config->forward != NULL || config->peer != NULL)) {
        rc = ad_fail(AIDASH_EINVAL, "%s: this aidash was built without other boards "
                                    "(AIDASH_NODES)",
                     config->forward != NULL ? "forward" : "peer");
    }
#endif
    if (rc == 0) {
        rc = ad_configure_trust(config);
    }
    if (rc == 0) {
        ad_trust_use();
        rc = ad_configure_queue(config);
    }
    if (rc == 0) {
        rc = ad_configure_list(config->quota, "quota",
                               "ADDR, ADDR/BITS, *, key:NAME, key:FINGERPRINT or "
                               "agent:NAME with =TOKENS", AD_QUOTAS, ad_quota_add);
    }
    return rc;
}

#endif /* AIDASH_METER */

/* The rules of alerts. */
static int ad_configure_alerts(const struct aidash_config *config)
{
#if AIDASH_ALERTS
    const char *list = config->alerts, *item;
    char why[AD_ALERT_WHY_MAX];
    size_t len;

    while (ad_list_next(&list, &item, &len)) {
        if (!ad_alerts_add(item, len, why)) {
            return ad_fail(AIDASH_EINVAL, "alert: %s", why);
        }
    }
    if (ad_alerts.n == 0 && config->alert_url != NULL) {
        return ad_fail(AIDASH_EINVAL, "alert-url: without a rule (alert) there is "
                                      "nothing to send");
    }
    return 0;
#else
    return config->alerts == NULL && config->alert_url == NULL
               ? 0
               : ad_fail(AIDASH_EINVAL, "%s: this aidash was built without alerts "
                                        "(AIDASH_ALERTS)",
                         config->alerts != NULL ? "alert" : "alert-url");
#endif
}

/* The source, and the simulator's settings. After the meter's. */
static int ad_configure_source(const struct aidash_config *config)
{
    static const struct {
        const char *name;
        enum ad_source source;
    } known[] = {{"none", AD_SOURCE_NONE},
                 {"sim", AD_SOURCE_SIM},
                 {"stdin", AD_SOURCE_STDIN}};
    const char *name = config->source != NULL ? config->source : "none";
    double rate_hz = config->rate_hz != 0 ? config->rate_hz : 5;
    uint64_t seed = config->seed != 0 ? config->seed : 1;
    enum ad_source source;
    size_t i = 0;

    while (i < AD_COUNT(known) && strcmp(known[i].name, name) != 0) {
        i++;
    }
    if (i == AD_COUNT(known)) {
        return ad_fail(AIDASH_EINVAL,
                       "source: '%.80s' must be sim, stdin or none", name);
    }
    source = known[i].source;
    if (!(rate_hz >= 0.001 && rate_hz <= 10000)) { /* NaN, too */
        return ad_fail(AIDASH_EINVAL,
                       "rate: must be from 0.001 to 10000 ticks per second");
    }
#if AIDASH_METER
    if (ad_upstreams.n > 0) {
        if (source != AD_SOURCE_NONE) {
            return ad_fail(AIDASH_EINVAL,
                           "upstream: with it, source must be none; leave "
                           "source out");
        }
        source = AD_SOURCE_METER;
    } else if (config->scrape != NULL && source == AD_SOURCE_NONE) {
        source = AD_SOURCE_SCRAPE;
    }
#endif
    ad_sources_set(source, rate_hz, seed);
    return 0;
}

static int ad_configure_viewers(const struct aidash_config *config)
{
    unsigned backlog = config->backlog != 0 ? config->backlog : AIDASH_BACKLOG;

    if (backlog > AIDASH_EVENTS / 2) {
        return ad_fail(AIDASH_EINVAL, "backlog: must be from 1 to %d events",
                       AIDASH_EVENTS / 2);
    }
    ad_clients_set_backlog(backlog);
    ad_acceptor_set_per_address(config->per_address);
    return 0;
}

#if AIDASH_METER && AIDASH_ENERGY
static int ad_configure_price(const struct aidash_config *config)
{
    return config->price_kwh >= 0 && config->price_kwh <= 1e6
               ? 0
               : ad_fail(AIDASH_EINVAL, "price-kwh: must be from 0 to 1000000");
}
#endif

#if AIDASH_BOARD
static int ad_configure_board(const struct aidash_config *config)
{
    if (config->no_board != 0 || ad_board_configure(config->sysroot)) {
        return 0;
    }
    return ad_fail(AIDASH_EINVAL, "sysroot: can't use the directory '%.*s': %s",
                   ad_shown(strlen(config->sysroot)), config->sysroot,
                   strerror(errno));
}
#endif

static enum aidash_log_level ad_level_of(const struct aidash_config *config)
{
    return config->log_level == AIDASH_LOG_DEFAULT ? AIDASH_LOG_INFO
                                                   : config->log_level;
}

static int ad_configure_log(const struct aidash_config *config)
{
    if ((unsigned)config->log_level > AIDASH_LOG_DEBUG) {
        return ad_fail(AIDASH_EINVAL,
                       "log-level: must be error, warn, info or debug");
    }
    ad_log_to(ad_level_of(config), config->on_log, config->user);
    return 0;
}

#ifndef AIDASH_NO_MAIN

/* While it runs: the level of the log, and who may ask, from another
 * configuration. If that is wrong, all stays as it was in `before`. Hub thread. */
static int ad_configure_again(const struct aidash_config *config,
                              const struct aidash_config *before,
                              const struct ad_own_names *names)
{
    int rc;

    ad_access_init();
    rc = ad_configure_access(config, names);
    if (rc != 0) {
        ad_access_init();
        (void)ad_configure_access(before, names);
        return rc;
    }
    (void)ad_keys_poll(true);
#if AIDASH_METER
    ad_trust_use();
    ad_discovery_again();
#endif
    ad_log_set_level(ad_level_of(config));
#if AIDASH_TLS
    ad_jwt_files_poll(true);
    ad_certificate_again();
#endif
    return 0;
}

#endif

#if AIDASH_TLS

/* The keys of JSON Web Tokens, and whom they must be of and for. */
static int ad_configure_jwt(const struct aidash_config *config)
{
    char why[AD_JWT_WHY_MAX];

    if (!ad_jwt_name_ok(config->jwt_audience)) {
        return ad_fail(AIDASH_EINVAL, "jwt-audience: must have 1 to %d bytes",
                       AD_JWT_NAME_MAX);
    }
    if (!ad_jwt_name_ok(config->jwt_issuer)) {
        return ad_fail(AIDASH_EINVAL, "jwt-issuer: must have 1 to %d bytes",
                       AD_JWT_NAME_MAX);
    }
    ad_jwt_set_names(config->jwt_issuer, config->jwt_audience);
    if (!ad_jwt_files_begin(config->jwt_secret_file, config->jwt_key_file, why)) {
        return ad_fail(AIDASH_EINVAL, "%s", why);
    }
    if (!ad_jwt_on() &&
        (config->jwt_audience != NULL || config->jwt_issuer != NULL)) {
        return ad_fail(AIDASH_EINVAL,
                       "%s: without jwt-secret-file or jwt-key-file there are no "
                       "tokens",
                       config->jwt_audience != NULL ? "jwt-audience"
                                                    : "jwt-issuer");
    }
    return 0;
}

#else

static int ad_configure_jwt(const struct aidash_config *config)
{
    const char *given = config->jwt_secret_file != NULL ? "jwt-secret-file"
                        : config->jwt_key_file != NULL  ? "jwt-key-file"
                        : config->jwt_audience != NULL  ? "jwt-audience"
                        : config->jwt_issuer != NULL    ? "jwt-issuer"
                                                        : NULL;

    if (given != NULL) {
        return ad_fail(AIDASH_EINVAL,
                       "%s: this aidash was built without mbedTLS (AIDASH_TLS), "
                       "which tokens need", given);
    }
    return 0;
}

#endif

/* The state directory, and the keys that are there. */
static int ad_configure_state(const struct aidash_config *config)
{
    if (!ad_state_set(config->state_dir)) {
        return ad_fail(AIDASH_EINVAL, "state-dir: its path is longer than %d bytes",
                       AD_STATE_DIR_MAX);
    }
    (void)ad_keys_poll(true); /* a broken file is logged: it keeps nobody away */
    return 0;
}

/* The file of history: it is read now. */
static int ad_configure_history(const struct aidash_config *config)
{
#if AIDASH_HISTORY
    char why[AD_HISTORY_WHY_MAX];

    if (!ad_history_file_open(config->history_file, why)) {
        return ad_fail(AIDASH_EINVAL, "history-file: %s", why);
    }
    return 0;
#else
    return config->history_file == NULL
               ? 0
               : ad_fail(AIDASH_EINVAL, "history-file: this aidash was built without "
                                        "history (AIDASH_HISTORY)");
#endif
}

/* The certificate: the files are read now. */
static int ad_configure_tls(const struct aidash_config *config)
{
#if AIDASH_TLS
    const char *why, *wrong;
#endif

    if (config->tls_cert == NULL && config->tls_key == NULL) {
        return config->hsts_s == 0
                   ? 0
                   : ad_fail(AIDASH_EINVAL, "hsts: there is no TLS without "
                                            "--tls-cert and --tls-key");
    }
    if (config->tls_cert == NULL || config->tls_key == NULL) {
        return ad_fail(AIDASH_EINVAL,
                       "%s: the certificate and its key go together: give both "
                       "--tls-cert and --tls-key",
                       config->tls_cert == NULL ? "tls-key" : "tls-cert");
    }
#if AIDASH_TLS
    wrong = ad_certificate_open(config->tls_cert, config->tls_key,
                                config->hsts_s, &why);
    if (wrong != NULL) {
        return ad_fail(AIDASH_EINVAL, "%s: %.150s: %s",
                       wrong == config->tls_cert || wrong == ad_certificate.cert
                           ? "tls-cert"
                           : "tls-key",
                       wrong,
                       why);
    }
    return 0;
#else
    return ad_fail(AIDASH_EINVAL, "tls-cert: this aidash was built without TLS");
#endif
}

static int ad_configure_brand(const struct aidash_config *config)
{
    const char *title = config->title, *logo = config->logo, *panel = config->panel;

    if (title != NULL && title[0] != '\0' && !ad_brand_set_title(title)) {
        return ad_fail(AIDASH_EINVAL,
                       "title: it must be at most %d bytes of UTF-8 without control "
                       "characters", AIDASH_TITLE_MAX);
    }
    if (logo != NULL && logo[0] != '\0' && !ad_brand_set_path(ad_brand.logo, logo)) {
        return ad_fail(AIDASH_EINVAL, "logo: there is no route '%.100s'", logo);
    }
    if (panel != NULL && panel[0] != '\0' && !ad_brand_set_path(ad_brand.panel, panel)) {
        return ad_fail(AIDASH_EINVAL, "panel: there is no route '%.100s'", panel);
    }
    return 0;
}

/* Check all that can be checked without opening anything, and hand it to the
 * parts. */
static int ad_configure(const struct aidash_config *config)
{
    const char *models = config->models;
    const char *listen = config->listen != NULL ? config->listen : "8080";
    int rc = ad_configure_log(config);

    ad_events_tap(config->on_event, config->user);
    ad_commands_ask(config->on_command, config->user);
#if AIDASH_METER
    if (rc == 0) {
        rc = ad_configure_meter(config);
    }
#endif
    if (rc == 0) {
        rc = ad_configure_source(config);
    }
    if (rc == 0) {
        rc = ad_configure_alerts(config);
    }
    if (rc == 0) {
        rc = ad_configure_viewers(config);
    }
    if (models == NULL && ad_sources.source == AD_SOURCE_SIM) {
        models = ad_sources_sim_models();
    }
    ad_engine_set_learning(models == NULL &&
                           ad_sources.source != AD_SOURCE_METER);
    if (rc == 0) {
        rc = ad_configure_models(models);
    }
    if (rc == 0) {
        struct ad_own_names names;

        ad_own_names_read(&names, AD_RESOLV_CONF);
        rc = ad_configure_access(config, &names);
    }
    if (rc == 0) {
        rc = ad_configure_list(config->allow_frame, "allow-frame",
                               "an origin, such as http://host:port, or *",
                               AD_FRAMES, ad_access_add_frame);
    }
#if AIDASH_METER && AIDASH_ENERGY
    if (rc == 0) {
        rc = ad_configure_price(config);
    }
#endif
#if AIDASH_BOARD
    if (rc == 0) {
        rc = ad_configure_board(config);
    }
#endif
    if (rc == 0) {
        rc = ad_configure_state(config);
    }
    if (rc == 0) {
        rc = ad_configure_rights(config);
    }
    if (rc == 0) {
        rc = ad_configure_jwt(config);
    }
    if (rc == 0) {
        rc = ad_configure_tls(config);
    }
    if (rc == 0) {
        rc = ad_configure_history(config);
    }
    if (rc == 0) {
        rc = ad_configure_brand(config);
    }
    if (rc == 0) {
        rc = ad_configure_listen(listen);
    }
    return rc;
}

static int ad_open_udp(const char *spec)
{
    int port = ad_sources_open_udp(spec);

    if (port == -EINVAL) {
        return ad_fail(AIDASH_EINVAL, "udp: '%.80s' is not [ADDR:]PORT", spec);
    }
    if (port < 0) {
        return ad_fail(AIDASH_EBIND, "can't receive UDP on %.80s: %s", spec,
                       strerror(-port));
    }
    ad_log(AIDASH_LOG_INFO, "UDP ingest on %.*s:%d", (int)ad_spec_host(spec),
           spec, port);
    return 0;
}

/* Open what the hub waits for: its wake-up, listeners, UDP, stdin. */
static int ad_open(const struct aidash_config *config)
{
    const char *failed = ad_hub_open();

    if (failed != NULL) {
        return ad_fail(AIDASH_ESYS, "%s: %s", failed, strerror(errno));
    }
    failed = ad_acceptor_open();
    if (failed != NULL) {
        return ad_fail(AIDASH_EBIND, "can't listen on %s: %s", failed,
                       strerror(errno));
    }
    if (config->udp != NULL) {
        int rc = ad_open_udp(config->udp);

        if (rc != 0) {
            return rc;
        }
    }
    ad_sources_open();
    return 0;
}

static void ad_close(void)
{
    ad_acceptor_close();
    ad_sources_close();
    ad_hub_close();
}

#endif
