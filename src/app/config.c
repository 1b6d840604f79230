/* config.c - checks the configuration and hands it to the parts; opens what the hub
 * waits for. Runs on the starting thread, before the hub's.
 */
#ifndef AD_APP_CONFIG_C
#define AD_APP_CONFIG_C

#include "../core/access.c"
#include "../core/certificate.c"
#include "../guard/jwt_files.c"
#include "../guard/keys.c"
#include "../guard/rights.c"
#include "../web/brand.c"
#include "config_fleet.c"
#include "config_watch.c"

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

#if AIDASH_METER

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
    if (rc == 0) {
        rc = ad_configure_fleet(config);
    }
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

#else

/* What only the meter can do is refused, not left out in silence. */
static int ad_configure_meter(const struct aidash_config *config)
{
    const struct {
        const char *name, *given;
    } members[] = {{"upstream", config->upstream},
                   {"upstream-key-file", config->upstream_key_file},
                   {"upstream-ca", config->upstream_ca},
                   {"upstream-pin", config->upstream_pin},
                   {"scrape", config->scrape},
                   {"quota", config->quota},
                   {"alert-url", config->alert_url},
                   {"alert-format", config->alert_format},
                   {"alert-key-file", config->alert_key_file},
                   {"otlp", config->otlp},
                   {"forward", config->forward},
                   {"forward-key-file", config->forward_key_file},
                   {"as-node", config->as_node},
                   {"peer", config->peer},
                   {"peer-key-file", config->peer_key_file}};
    size_t i;

    for (i = 0; i < AD_COUNT(members); i++) {
        if (members[i].given != NULL) {
            return ad_fail(AIDASH_EINVAL,
                           "%s: this aidash was built without the meter "
                           "(AIDASH_METER)", members[i].name);
        }
    }
    return 0;
}

#endif

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
    if (rc == 0) {
        rc = ad_configure_meter(config);
    }
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
