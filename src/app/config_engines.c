/* config_engines.c - checks what the configuration says of engines: their URLs, key,
 * certificates, the queue in front of them, quotas. Runs on the starting thread, before
 * the hub's. Owns nothing: all is handed to the parts of the meter.
 */
#ifndef AD_APP_CONFIG_ENGINES_C
#define AD_APP_CONFIG_ENGINES_C

#include "../base/url.c"
#include "../codec/utf8.c"
#include "../fleet/fleet.c"
#include "../guard/tls.c"
#include "../guard/trust.c"
#include "../meter/meter.c"
#include "config_list.c"

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
    if (ad_browse.on) { /* what it finds may have it, and is the hub's */
        return true;
    }
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

#endif /* AIDASH_METER */

#endif
