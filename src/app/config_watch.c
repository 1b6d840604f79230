/* config_watch.c - checks what the configuration says of all that watches: the board's
 * sensors, the price of energy, history, alerts and the collector of OpenTelemetry.
 * Runs on the starting thread, before the hub's. Owns nothing.
 */
#ifndef AD_APP_CONFIG_WATCH_C
#define AD_APP_CONFIG_WATCH_C

#include "../board/alert_send.c"
#include "../board/board.c"
#include "../board/history_file.c"
#include "../board/otlp.c"
#include "config_engines.c"

#if AIDASH_METER

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

#endif
