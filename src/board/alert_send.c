/* alert_send.c - alerts on their way to a webhook (--alert-url): in its form, one after
 * the other.
 * Owns ad_alert_post. Hub thread only, but for the start.
 * Always: what waits is bounded; when it is full, the oldest gives way, and is counted.
 */
#ifndef AD_BOARD_ALERT_SEND_C
#define AD_BOARD_ALERT_SEND_C

#include "../meter/outbox.c"
#include "alerts.c"

#if AIDASH_ALERTS && AIDASH_METER

enum {
    AD_ALERT_WAITING = 32, /* alerts that wait for the webhook */
    AD_ALERT_BODY_MAX = 2 * AD_ALERT_JSON_MAX
};

enum ad_alert_format { AD_ALERT_JSON, AD_ALERT_NTFY, AD_ALERT_TEXT, AD_ALERT_FORMATS };
static const char *const ad_alert_formats[AD_ALERT_FORMATS] = {"json", "ntfy", "text"};

static struct {
    uint8_t format;                   /* [I] enum ad_alert_format */
    char host[AD_OUTBOX_HOST_MAX + 1]; /* [I] of this machine, in UTF-8 */
    uint64_t next, n; /* numbers: of the next to be sent, of the next to come */
    uint64_t dropped;
    struct ad_alert_news waiting[AD_ALERT_WAITING];
    uint8_t bytes[AD_OUTBOX_HEAD_MAX + AD_ALERT_BODY_MAX];
} ad_alert_post;

static struct ad_outbox *ad_alert_outbox(void)
{
    return &ad_outboxes[AD_OUTBOX_ALERTS];
}

/* ---- forms ---- */

/* A JSON object; `text` is what Slack's, Mattermost's and the like show. */
static void ad_alert_put_json(struct ad_text *t, const struct ad_alert_news *news)
{
    char text[AD_ALERT_NAME_MAX + AD_OUTBOX_HOST_MAX + AD_ALERT_SENTENCE + 8];
    struct ad_text said = ad_text_in(text, sizeof(text) - 1);

    ad_puts(&said, ad_alert_post.host);
    ad_puts(&said, ": ");
    ad_put_alert_words(&said, news);
    text[said.len] = '\0';
    ad_puts(t, "{\"event\":\"alert\",");
    ad_put_alert_event(t, news);
    ad_puts(t, ",\"host\":");
    ad_put_string(t, ad_alert_post.host);
    ad_puts(t, ",\"text\":");
    ad_put_string(t, text);
    ad_puts(t, "}");
}

/* Plain text: HOST, the rule's name, what has happened. */
static void ad_alert_put_text(struct ad_text *t, const struct ad_alert_news *news)
{
    ad_puts(t, ad_alert_post.host);
    ad_puts(t, ": ");
    ad_puts(t, ad_alerts.rules[news->rule].name);
    ad_puts(t, ": ");
    ad_put_alert_words(t, news);
    ad_puts(t, "\n");
}

/* Begin to send one. */
static void ad_alert_post_begin(const struct ad_alert_news *news)
{
    struct ad_outbox *o = ad_alert_outbox();
    struct ad_text t = ad_outbox_body(o);
    const char *type = "text/plain; charset=utf-8", *fields = "";

    if (ad_alert_post.format == AD_ALERT_JSON) {
        ad_alert_put_json(&t, news);
        type = "application/json";
    } else {
        ad_alert_put_text(&t, news);
    }
    if (ad_alert_post.format == AD_ALERT_NTFY) { /* docs.ntfy.sh/publish */
        fields = news->firing ? "Title: aidash: alert\r\nPriority: high\r\n"
                                "Tags: warning\r\n"
                              : "Title: aidash: over\r\nPriority: default\r\n"
                                "Tags: white_check_mark\r\n";
    }
    ad_outbox_send(o, t.len, type, fields);
}

/* ---- the queue ---- */

/* The next one may go. */
static void ad_alert_post_next(void)
{
    if (ad_outbox_free(ad_alert_outbox()) && ad_alert_post.next < ad_alert_post.n) {
        ad_alert_post_begin(
            &ad_alert_post.waiting[ad_alert_post.next++ % AD_ALERT_WAITING]);
    }
}

static void ad_alert_post_ended(bool taken)
{
    (void)taken;
    ad_alert_post_next();
}

/* An alert is to be sent. */
static void ad_alert_post_take(const struct ad_alert_news *news)
{
    if (ad_alert_post.n - ad_alert_post.next == AD_ALERT_WAITING) {
        ad_alert_post.next++;
        if (ad_alert_post.dropped++ == 0) {
            ad_log(AIDASH_LOG_WARN, "alert-url: more than %d alerts wait for %s; the "
                                    "oldest are dropped",
                   AD_ALERT_WAITING, ad_alert_outbox()->to.url.authority);
        }
    }
    ad_alert_post.waiting[ad_alert_post.n++ % AD_ALERT_WAITING] = *news;
    ad_alert_post_next();
}

/* The member of GET /alerts that says how the sending goes; "" without a webhook. */
static void ad_put_alert_post(struct ad_text *t)
{
    const struct ad_outbox *o = ad_alert_outbox();
    uint64_t waiting = ad_alert_post.n - ad_alert_post.next + (o->busy ? 1 : 0);

    if (o->on) {
        ad_putf(t,
                "\"webhook\":{\"sent\":%llu,\"lost\":%llu,\"dropped\":%llu,"
                "\"waiting\":%llu},",
                (unsigned long long)o->sent, (unsigned long long)o->lost,
                (unsigned long long)ad_alert_post.dropped,
                (unsigned long long)waiting);
    }
}

/* ---- the start ---- */

/* Before each run. */
static void ad_alert_post_init(void)
{
    memset(&ad_alert_post, 0, sizeof(ad_alert_post));
}

/* Send alerts to this server; its target and its key are set. While starting. */
static void ad_alert_post_set(const struct ad_upstream *to, enum ad_alert_format format)
{
    ad_alert_post.format = (uint8_t)format;
    ad_outbox_host(ad_alert_post.host, "aidash");
    ad_outbox_set(ad_alert_outbox(), "alert-url", to, ad_alert_post.bytes,
                  AD_ALERT_BODY_MAX, ad_alert_post_ended);
    ad_alerts.tell = ad_alert_post_take;
}

AD_MEMORY(alert_post, AD_ALERT_WAITING, sizeof(ad_alert_post));

#endif /* AIDASH_ALERTS && AIDASH_METER */

#endif
