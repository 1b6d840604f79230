/* alert.c - `aidash alert test`: one try to send a test to --alert-url, and what became
 * of it. The main thread; there is no hub. Owns nothing.
 */
#ifndef AD_APP_ALERT_C
#define AD_APP_ALERT_C

#include "../board/alert_send.c"
#include "config_watch.c"
#include "engines.c"
#include "option_values.c"
#include "ports.c"

#ifndef AIDASH_NO_MAIN
#if AIDASH_METER && AIDASH_ALERTS

/* Returns the exit code. */
static int ad_alert_test(const struct ad_options *o)
{
    static const char rule[] = "test: tokens_per_second < 1";
    struct ad_outbox *box = ad_alert_outbox();
    struct aidash_config config = {0};
    struct ad_alert_news news = {0};
    char why[AD_OUTBOX_WHY_MAX], bad[AD_ALERT_WHY_MAX];
    int rc, error;

    config.alert_url = ad_option_value(o, "alert-url");
    config.alert_format = ad_option_value(o, "alert-format");
    config.alert_key_file = ad_option_value(o, "alert-key-file");
    config.upstream_ca = ad_option_value(o, "upstream-ca");
    config.upstream_pin = ad_option_value(o, "upstream-pin");
    if (config.alert_url == NULL) {
        (void)fprintf(stderr, "aidash alert: give the webhook: --alert-url URL\n");
        return AD_EXIT_USAGE;
    }
    rc = ad_configure_webhook(&config);
    if (rc == 0) {
        rc = ad_configure_trust(&config);
    }
    if (rc != 0 || !ad_alerts_add(rule, strlen(rule), bad)) {
        ad_print_failure(o, rc);
        return ad_exit_code(rc);
    }
    ad_trust_use();
    error = ad_upstream_resolve(&box->to);
    if (error != 0) {
        printf("%s can't be reached: its name can't be resolved (%s)\n",
               box->to.url.authority, gai_strerror(error));
        return AD_EXIT_FAILED;
    }
    news.firing = news.test = true;
    news.time_us = news.since_us = ad_clock_ns(CLOCK_REALTIME) / 1000;
    ad_alert_post_begin(&news);
    ad_outbox_try(box, 0);
    ad_fetch_run(&box->fetch, AD_OUTBOX_MS, ad_outbox_sink, NULL);
    rc = ad_outbox_judge(box, why) == AD_OUTBOX_TAKEN ? AD_EXIT_OK : AD_EXIT_FAILED;
    printf("%s %s\n", box->to.url.authority, why);
    ad_fetch_end(&box->fetch, AD_FETCH_IDLE);
    return rc;
}

#endif
#endif

#endif
