/* outbox.c - what aidash itself sends to other servers: alerts to a webhook, metrics
 * and spans to a collector. One POST at a time to each, tried again while that may
 * help; what is to be sent next stays with who sends it.
 * Owns ad_outboxes. Hub thread only, but for ad_outbox_set() while starting.
 * Always: nothing waits for a server. A try ends after AD_OUTBOX_MS, and a message
 * after AD_OUTBOX_TRIES; neither the path nor the key is ever logged.
 */
#ifndef AD_METER_OUTBOX_C
#define AD_METER_OUTBOX_C

#include "../base/random.c"
#include "../codec/utf8.c"
#include "fetch.c"
#include "resolver.c"

/* Is there something to send? */
#define AD_OUTBOX (AIDASH_METER && (AIDASH_ALERTS > 0 || AIDASH_OTLP > 0))

#if AD_OUTBOX

enum {
    AD_OUTBOX_MS = 10000,        /* for a try at one address, from connecting to the
                                  * answer's end */
    AD_OUTBOX_TRIES = 10,        /* of a message: some 5 minutes in all */
    AD_OUTBOX_WAIT_MS = 1000,    /* after the first try; twice as long after each */
    AD_OUTBOX_WAIT_MAX_MS = 60000,
    AD_OUTBOX_RETRY_MAX_S = 300, /* of Retry-After that is obeyed */
    AD_OUTBOX_TARGET_MAX = 511,  /* bytes of a URL's path with its query */
    AD_OUTBOX_HOST_MAX = 63,     /* bytes of this machine's name in a message */
    AD_OUTBOX_HEAD_MAX = 1536 + AD_OUTBOX_TARGET_MAX + AD_KEY_MAX,
    AD_OUTBOX_WHY_MAX = AD_DIAL_WHY_MAX + 64,
    AD_OUTBOX_ANSWER_MAX = 4096 /* bytes of an answer's heads */
};

/* What became of a try. */
enum ad_outbox_end {
    AD_OUTBOX_TAKEN,  /* a status of 200..299 */
    AD_OUTBOX_LATER,  /* it may be taken if it is sent again */
    AD_OUTBOX_REFUSED /* it will not */
};

/* A server, and what is on its way there. */
struct ad_outbox {
    /* [I] */
    bool on;
    const char *what; /* the option, for the log */
    struct ad_upstream to;
    char target[AD_OUTBOX_TARGET_MAX + 1]; /* path and query */
    char key[AD_KEY_MAX + 1];              /* bearer token, or "" */
    uint8_t *bytes; /* the request: its head ends at AD_OUTBOX_HEAD_MAX, where the
                     * body begins, of cap bytes */
    size_t cap;
    void (*ended)(bool taken); /* the message is over: taken, or lost */
    bool strict; /* it is OTLP, which says what may be sent again: 429, 502, 503, 504 */
    /* [h] */
    bool busy;  /* there is a message */
    bool told;  /* it was logged that the server takes none */
    unsigned tries;
    uint64_t next_ns; /* of the next try; 0: one runs */
    uint32_t address_ms; /* since when this address is tried */
    uint8_t address;     /* the number of the one behind it */
    size_t body_len;
    uint64_t sent, lost; /* messages */
    const char *type, *fields;
    struct ad_fetch fetch;
    char head[AD_OUTBOX_ANSWER_MAX];
};

enum { AD_OUTBOX_ALERTS, AD_OUTBOX_OTLP, AD_OUTBOX_N };

static struct ad_outbox ad_outboxes[AD_OUTBOX_N];

/* ---- one try ---- */

/* Write the request's head in front of its body. Returns where it begins. */
static const uint8_t *ad_outbox_head(struct ad_outbox *o, size_t *len)
{
    char head[AD_OUTBOX_HEAD_MAX];
    struct ad_text t = ad_text_in(head, sizeof(head));
    uint8_t *begin;

    ad_putf(&t,
            "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: aidash/" AIDASH_VERSION
            "\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %zu\r\n",
            o->target, o->to.url.authority, o->type, o->body_len);
    if (o->key[0] != '\0') {
        ad_putf(&t, "Authorization: Bearer %s\r\n", o->key);
    }
    ad_puts(&t, o->fields);
    ad_puts(&t, "\r\n");
    begin = o->bytes + AD_OUTBOX_HEAD_MAX - t.len;
    memcpy(begin, head, t.len);
    *len = t.len + o->body_len;
    return begin;
}

/* The answer's body is not read for anything. */
static void ad_outbox_sink(void *to, const uint8_t *data, size_t len)
{
    (void)to;
    (void)data;
    (void)len;
}

/* The time of an address begins when it is tried. */
static void ad_outbox_note_address(struct ad_outbox *o)
{
    if (o->fetch.dial.next != o->address) {
        o->address = o->fetch.dial.next;
        o->address_ms = ad_hub.now_ms;
    }
}

/* Begin a try; the address is known. */
static void ad_outbox_try(struct ad_outbox *o, uint32_t now_ms)
{
    size_t len;
    const uint8_t *request = ad_outbox_head(o, &len);

    o->tries++;
    o->next_ns = 0;
    o->address = 0;
    o->address_ms = now_ms;
    ad_fetch_begin_with(&o->fetch, &o->to, request, len, o->head, sizeof(o->head),
                        now_ms);
}

/* May what was answered with this status be sent again? OTLP's specification names
 * four ("Failures"). */
static bool ad_outbox_again(const struct ad_outbox *o, unsigned status)
{
    if (o->strict) {
        return status == 429 || (status >= 502 && status <= 504);
    }
    return status == 408 || status == 429 || (status >= 500 && status != 501);
}

/* What became of a try that has ended; why[]: the end of a sentence. */
static enum ad_outbox_end ad_outbox_judge(const struct ad_outbox *o,
                                          char why[AD_OUTBOX_WHY_MAX])
{
    const struct ad_fetch *q = &o->fetch;
    unsigned status = q->answer.status;
    char dial[AD_DIAL_WHY_MAX];

    if (status >= 200 && status < 300) {
        (void)snprintf(why, AD_OUTBOX_WHY_MAX, "took it (status %u)", status);
        return AD_OUTBOX_TAKEN;
    }
    if (status >= 300 && status < 400) {
        (void)snprintf(why, AD_OUTBOX_WHY_MAX,
                       "answers with status %u: redirects are not followed; give the "
                       "address that it leads to", status);
        return AD_OUTBOX_REFUSED;
    }
    if (status != 0) {
        (void)snprintf(why, AD_OUTBOX_WHY_MAX, "answers with status %u", status);
        return ad_outbox_again(o, status) ? AD_OUTBOX_LATER : AD_OUTBOX_REFUSED;
    }
    if (q->lacks) {
        (void)snprintf(why, AD_OUTBOX_WHY_MAX, "was not asked: no descriptor or memory "
                                               "is left");
    } else if (q->dial.step == AD_DIAL_NONE || q->dial.refused) {
        (void)snprintf(why, AD_OUTBOX_WHY_MAX, "can't be reached%s",
                       ad_dial_why(&q->dial, dial));
    } else {
        (void)snprintf(why, AD_OUTBOX_WHY_MAX, "gave no answer");
    }
    return AD_OUTBOX_LATER;
}

/* ---- messages ---- */

/* May the next message begin? */
static bool ad_outbox_free(const struct ad_outbox *o)
{
    return o->on && !o->busy;
}

/* Where the body of the next message is to be written, o->cap bytes. */
static struct ad_text ad_outbox_body(struct ad_outbox *o)
{
    return ad_text_in(o->bytes + AD_OUTBOX_HEAD_MAX, o->cap);
}

/* Send what was written to ad_outbox_body(). `type` is its media type, `fields` more
 * header lines; they stay the caller's, who is told the end by o->ended(). */
static void ad_outbox_send(struct ad_outbox *o, size_t len, const char *type,
                           const char *fields)
{
    o->busy = true;
    o->tries = 0;
    o->body_len = len;
    o->type = type;
    o->fields = fields;
    o->next_ns = ad_hub.now_ns;
}

/* The message is over. */
static void ad_outbox_over(struct ad_outbox *o, bool taken, const char *why)
{
    o->busy = false;
    if (taken) {
        o->sent++;
        if (o->told) {
            ad_log(AIDASH_LOG_INFO, "%s: %s takes messages again; %llu were lost",
                   o->what, o->to.url.authority, (unsigned long long)o->lost);
        }
        o->told = false;
    } else {
        o->lost++;
        if (!o->told) {
            ad_log(AIDASH_LOG_WARN, "%s: a message is lost: %s %s", o->what,
                   o->to.url.authority, why);
        }
        o->told = true;
    }
    o->ended(taken);
}

/* How long to wait for the next try: twice as long after each, by up to a half less,
 * so that many boards do not come at once; or what the server says. */
static uint64_t ad_outbox_wait_ms(const struct ad_outbox *o)
{
    uint64_t ms = AD_OUTBOX_WAIT_MS;
    uint32_t less = 0, retry_s = o->fetch.retry_s;
    unsigned i;

    for (i = 1; i < o->tries && ms < AD_OUTBOX_WAIT_MAX_MS; i++) {
        ms *= 2;
    }
    ms = ms < AD_OUTBOX_WAIT_MAX_MS ? ms : AD_OUTBOX_WAIT_MAX_MS;
    if (ad_random_below((uint32_t)ms / 2 + 1, &less)) {
        ms -= less;
    }
    if (retry_s > 0) {
        ms = (retry_s < AD_OUTBOX_RETRY_MAX_S ? retry_s : AD_OUTBOX_RETRY_MAX_S) *
             1000ull + less;
    }
    return ms;
}

/* A try has ended. */
static void ad_outbox_tried(struct ad_outbox *o)
{
    char why[AD_OUTBOX_WHY_MAX];
    enum ad_outbox_end end = ad_outbox_judge(o, why);

    if (end == AD_OUTBOX_LATER && o->tries < AD_OUTBOX_TRIES) {
        ad_log(AIDASH_LOG_DEBUG, "%s: %s %s; try %u of %d", o->what,
               o->to.url.authority, why, o->tries, AD_OUTBOX_TRIES);
        o->next_ns = ad_hub.now_ns + ad_outbox_wait_ms(o) * AD_NS_PER_MS;
        return;
    }
    ad_outbox_over(o, end == AD_OUTBOX_TAKEN, why);
}

static void ad_outbox_go_on(struct ad_outbox *o)
{
    ad_outbox_note_address(o);
    ad_fetch_watch(&o->fetch, AD_TAG_OUTBOX, (unsigned)(o - ad_outboxes));
    if (o->busy && o->next_ns == 0 && ad_fetch_wants(&o->fetch) == 0) {
        ad_outbox_tried(o);
    }
}

/* Its descriptor is ready. */
static void ad_outbox_event(unsigned index)
{
    struct ad_outbox *o = &ad_outboxes[index];

    if (ad_fetch_wants(&o->fetch) != 0) {
        ad_fetch_event(&o->fetch, ad_outbox_sink, NULL);
        ad_outbox_go_on(o);
    }
}

/* Once a second: tries that are due, or late. A name that has no address yet is being
 * asked for: that counts as a try, too. */
static void ad_outbox_housekeeping(void)
{
    unsigned i;

    for (i = 0; i < AD_OUTBOX_N; i++) {
        struct ad_outbox *o = &ad_outboxes[i];

        if (!o->busy) {
            continue;
        }
        if (o->next_ns == 0) {
            if (ad_hub.now_ms - o->address_ms >= AD_OUTBOX_MS) {
                ad_fetch_give_up(&o->fetch);
                ad_outbox_go_on(o);
            } else if (o->fetch.state == AD_FETCH_CONNECT &&
                       o->fetch.dial.step == AD_DIAL_CONNECTS &&
                       ad_hub.now_ms - o->address_ms >= AD_CONNECT_MS) {
                ad_dial_late(&o->fetch.dial);
                ad_fetch_dialled(&o->fetch);
                ad_outbox_go_on(o);
            }
        } else if (ad_hub.now_ns >= o->next_ns) {
            ad_outbox_try(o, ad_hub.now_ms);
            ad_outbox_go_on(o);
        }
    }
}

/* The hub ends: what is under way is given up. */
static void ad_outbox_end(void)
{
    unsigned i;

    for (i = 0; i < AD_OUTBOX_N; i++) {
        ad_fetch_end(&ad_outboxes[i].fetch, AD_FETCH_IDLE);
    }
}

/* Before each run. */
static void ad_outbox_init(void)
{
    memset(ad_outboxes, 0, sizeof(ad_outboxes));
}

/* ---- the start ---- */

/* Split a URL in front of its path: *len is how long the scheme and the authority
 * are. What is behind a path's ? is kept. Returns NULL, or what is wrong. */
static const char *ad_outbox_split(const char *url, size_t *len,
                                   char target[AD_OUTBOX_TARGET_MAX + 1])
{
    const char *authority = url + strcspn(url, ":/?"), *path;
    size_t i, n;

    authority = strncmp(authority, "://", 3) == 0 ? authority + 3 : url;
    path = authority + strcspn(authority, "/?");
    *len = (size_t)(path - url);
    n = strlen(path);
    if (n + 1 > AD_OUTBOX_TARGET_MAX) {
        return "its path is longer than 510 bytes";
    }
    for (i = 0; i < n; i++) {
        if (path[i] <= ' ' || path[i] >= 0x7F || path[i] == '#') {
            return "its path has a character that must be written as %XX";
        }
    }
    (void)snprintf(target, AD_OUTBOX_TARGET_MAX + 1, "%s%s",
                   path[0] == '/' ? "" : "/", path);
    return NULL;
}

/* This machine's name, for messages; `otherwise`: it has none that is UTF-8 and fits.
 * While starting. */
static void ad_outbox_host(char host[AD_OUTBOX_HOST_MAX + 1], const char *otherwise)
{
    if (gethostname(host, AD_OUTBOX_HOST_MAX + 1) != 0 ||
        !ad_name_ok(host, strnlen(host, AD_OUTBOX_HOST_MAX + 1), AD_OUTBOX_HOST_MAX)) {
        (void)snprintf(host, AD_OUTBOX_HOST_MAX + 1, "%s", otherwise);
    }
}

/* Send to this server from now on, in a buffer of AD_OUTBOX_HEAD_MAX + cap bytes. Its
 * target and its key are set. While starting. */
static void ad_outbox_set(struct ad_outbox *o, const char *what,
                          const struct ad_upstream *to, uint8_t *bytes, size_t cap,
                          void (*ended)(bool taken))
{
    o->what = what;
    o->to = *to;
    o->bytes = bytes;
    o->cap = cap;
    o->ended = ended;
    o->on = true;
    ad_resolver_add(&o->to);
}

AD_MEMORY(outbox, AD_OUTBOX_N, sizeof(ad_outboxes));

#endif /* AD_OUTBOX */

#endif
