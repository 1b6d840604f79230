/* forward.c - --forward: this board's events on their way to a gateway, and the
 * commands of the gateway's viewers on their way back, over one WebSocket that the
 * board opens (RFC 6455).
 * Owns ad_forward. Hub thread only, but for ad_forward_set() while starting.
 *
 * What is to be sent lies in the feed, and `next` is a place in it: while the gateway
 * is away, the feed keeps what it keeps for everybody, and what it no longer has is
 * counted as dropped. The gateway says first which event it knows last.
 * Always: one message is on its way; what the gateway sends is bounded, and checked as
 * a viewer's.
 */
#ifndef AD_FLEET_FORWARD_C
#define AD_FLEET_FORWARD_C

#include "../codec/percent.c"
#include "../codec/websocket.c"
#include "../core/feed.c"
#include "../core/formats.c"
#include "../meter/dial.c"
#include "../meter/fetch.c"
#include "../meter/resolver.c"
#include "link.c"

#if AD_FLEET && AIDASH_METER

enum {
    AD_FORWARD_IN = 4096,   /* bytes of a gateway's message */
    AD_FORWARD_REPLIES = 8192, /* bytes of answers that wait; a gateway that sends
                                * commands and does not read them is left */
    AD_FORWARD_HEADER = 8,  /* of a client's frame below 64 kB */
    AD_FORWARD_HEAD_MAX = AD_FETCH_HEAD_MAX,
    AD_FORWARD_GAPS = 8 /* the latest gaps in what a connection was sent */
};
_Static_assert((int)AD_EVENT_MAX + 64 <= (int)AD_LINK_MESSAGE,
               "each event fits a message");

enum ad_forward_step {
    AD_FORWARD_WAIT,   /* for the time of the next try */
    AD_FORWARD_DIAL,   /* the connection is being made */
    AD_FORWARD_ASK,    /* the handshake is being sent */
    AD_FORWARD_ANSWER, /* its answer is awaited, */
    AD_FORWARD_LAST,   /* and then the event that the gateway knows last */
    AD_FORWARD_OPEN
};

/* Events [from, to) that were dropped. */
struct ad_forward_gap {
    uint64_t from, to;
};

static struct {
    bool on; /* until the hub ends */
    struct ad_upstream to;
    char node[AIDASH_NODE_MAX + 1]; /* [I] this board's name */
    char key[AD_KEY_MAX + 1];       /* [I] bearer token, or "" */
    struct ad_link link;
    uint8_t step; /* enum ad_forward_step */
    struct ad_dial dial;
    struct ad_answer answer;
    char nonce[AD_HANDSHAKE_KEY + 1];
    uint32_t begun_ms; /* the try */
    uint32_t heard_ms, pinged_ms;
    uint32_t took_ms;  /* the gateway took a byte, or there was none for it */
    uint32_t beat_ms;  /* the latest heartbeat */
    uint64_t next;     /* the next event to send */
    uint64_t sent, dropped, commands;
    unsigned n_gaps; /* number n is at n % AD_FORWARD_GAPS */
    struct ad_forward_gap gaps[AD_FORWARD_GAPS];
    uint64_t command_full_ns; /* the gateway's bucket of commands */
    struct ad_ws ws;
    size_t out_at, out_len; /* unsent bytes in out */
    uint8_t in[AD_FORWARD_IN];
    uint8_t control[AD_WS_CONTROL_MAX];
    uint8_t out[AD_FORWARD_HEADER + AD_LINK_MESSAGE + AD_FORWARD_REPLIES];
    char head[AD_FORWARD_HEAD_MAX];
} ad_forward;

/* Before each run. */
static void ad_forward_init(void)
{
    memset(&ad_forward, 0, sizeof(ad_forward));
}

static const char *ad_forward_what(char out[AD_LINK_WHAT_MAX])
{
    (void)snprintf(out, AD_LINK_WHAT_MAX, "forward: %s as '%s'", ad_forward.to.url.authority,
                   ad_forward.node);
    return out;
}

/* The connection is over. */
static void ad_forward_down(const char *why)
{
    char what[AD_LINK_WHAT_MAX];

    ad_dial_close(&ad_forward.dial);
    ad_forward.step = AD_FORWARD_WAIT;
    ad_forward.out_len = 0;
    ad_link_went_down(&ad_forward.link, ad_forward_what(what), why);
}

static void ad_forward_watch(void)
{
    unsigned wants = 0;

    switch ((enum ad_forward_step)ad_forward.step) {
    case AD_FORWARD_WAIT:
        break;
    case AD_FORWARD_DIAL:
        wants = ad_dial_wants(&ad_forward.dial);
        break;
    case AD_FORWARD_ASK:
        wants = AD_OUT;
        break;
    case AD_FORWARD_ANSWER:
    case AD_FORWARD_LAST:
    case AD_FORWARD_OPEN:
        wants = AD_IN | (ad_forward.out_len > 0 ? (unsigned)AD_OUT : 0u);
        break;
    }
    ad_dial_watch(&ad_forward.dial, wants, AD_TAG_FLEET, AD_FLEET_FORWARD);
}

/* ---- sending ---- */

/* Send what the socket takes of what is unsent. False: the link is down. */
static bool ad_forward_flush(void)
{
    while (ad_forward.out_len > 0) {
        ssize_t n = ad_dial_send(&ad_forward.dial, ad_forward.out + ad_forward.out_at,
                                 ad_forward.out_len);

        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return true;
        }
        if (n <= 0) {
            ad_forward_down("broke off the connection");
            return false;
        }
        ad_hub.bytes_sent += (uint64_t)n;
        ad_forward.out_at += (size_t)n;
        ad_forward.out_len -= (size_t)n;
        ad_forward.took_ms = ad_hub.now_ms;
    }
    ad_forward.took_ms = ad_hub.now_ms;
    ad_forward.out_at = 0;
    return true;
}

/* Put the frame whose payload lies behind its AD_FORWARD_HEADER bytes at `place` in
 * out, which is behind all unsent bytes: its header, and the mask over it. False
 * without random numbers: a mask has to be one (RFC 6455 5.3). */
static bool ad_forward_frame(size_t place, unsigned opcode, size_t len)
{
    uint8_t header[AD_FORWARD_HEADER], mask[4];
    uint8_t *payload = ad_forward.out + place + AD_FORWARD_HEADER;
    size_t n;

    if (!ad_random(mask, sizeof(mask))) {
        ad_forward_down("has to wait: the system has no random numbers yet");
        return false;
    }
    n = ad_ws_client_header(header, opcode, len, mask);
    memcpy(payload - n, header, n);
    ad_ws_unmask(payload, payload, len, mask, 0);
    if (ad_forward.out_len == 0) {
        ad_forward.out_at = place + AD_FORWARD_HEADER - n;
    } else if (n < AD_FORWARD_HEADER) { /* close the gap to what is before it */
        memmove(ad_forward.out + place, payload - n, n + len);
    }
    ad_forward.out_len += n + len;
    return true;
}

/* A short message of our own behind what is unsent. False: the link is down. */
static bool ad_forward_say(unsigned opcode, const void *payload, size_t len)
{
    size_t place;

    if (ad_forward.out_len == 0) {
        ad_forward.out_at = 0;
    }
    place = ad_forward.out_at + ad_forward.out_len;
    if (sizeof(ad_forward.out) - place < AD_FORWARD_HEADER + len) {
        ad_forward_down("sends more than it reads answers to");
        return false;
    }
    memcpy(ad_forward.out + place + AD_FORWARD_HEADER, payload, len);
    return ad_forward_frame(place, opcode, len);
}

/* Is event seq of this board? Those of others' boards stay here: they have links of
 * their own to whom they want. */
static bool ad_forward_is_own(uint64_t seq, const char *json, size_t len)
{
    static const char node[] = ",\"node\":"; /* no string has these bytes: its quotes
                                              * are escaped */

    return ad_feed_kind(seq) != AD_EV_NODE &&
           (ad_feed_kind(seq) != AD_EV_TICK ||
            memmem(json, len, node, sizeof(node) - 1) == NULL);
}

/* Put the next event into the message, if it is this board's. False if there is no
 * room. */
static bool ad_forward_put_event(struct ad_text *t)
{
    char json[AD_EVENT_MAX];
    uint64_t off, seq = ad_forward.next;
    size_t len = ad_feed_json(seq, &off), had = t->len;

    if (len + 64 > t->cap - t->len) {
        return false;
    }
    ad_feed_copy(off, len, json);
    ad_forward.next++;
    if (!ad_forward_is_own(seq, json, len)) {
        return true;
    }
    ad_putf(t, "%s{\"id\":\"%s-%llu\",\"event\":", had > 1 ? "," : "", ad_hub.run,
            (unsigned long long)seq);
    ad_put(t, json, len);
    ad_puts(t, "}");
    ad_forward.sent++;
    return true;
}

/* How the board is now, if it is due. */
static void ad_forward_put_beat(struct ad_text *t)
{
    if (ad_hub.now_ms - ad_forward.beat_ms < AD_LINK_BEAT_MS) {
        return;
    }
    ad_forward.beat_ms = ad_hub.now_ms;
    ad_puts(t, "{\"event\":{\"event\":\"status\",");
    ad_put_engine(t);
    ad_puts(t, "}}");
}

/* The feed has no more what was next: count it. */
static void ad_forward_skip(void)
{
    struct ad_forward_gap *gap;

    if (ad_forward.next < ad_feed.first) {
        gap = &ad_forward.gaps[ad_forward.n_gaps++ % AD_FORWARD_GAPS];
        gap->from = ad_forward.next;
        gap->to = ad_feed.first;
        ad_forward.dropped += gap->to - gap->from;
        ad_forward.next = ad_feed.first;
    }
}

/* The gateway has what is before `next`. What was dropped behind that is counted again
 * with all that was sent behind it, and did not arrive. */
static void ad_forward_go_back(uint64_t next)
{
    unsigned i;

    for (i = 0; i < AD_FORWARD_GAPS && i < ad_forward.n_gaps; i++) {
        if (ad_forward.gaps[i].from >= next) {
            ad_forward.dropped -= ad_forward.gaps[i].to - ad_forward.gaps[i].from;
        }
    }
    ad_forward.n_gaps = 0;
    ad_forward.next = next;
    ad_forward_skip();
}

/* When all before is sent: one message of the events that the gateway has not got.
 * False if there is none, or the socket has not taken all of it. */
static bool ad_forward_send_message(void)
{
    struct ad_text t = ad_text_in(ad_forward.out + AD_FORWARD_HEADER, AD_LINK_MESSAGE - 1);

    if (ad_forward.step != AD_FORWARD_OPEN || ad_forward.out_len > 0) {
        return false;
    }
    ad_forward_skip();
    ad_puts(&t, "[");
    ad_forward_put_beat(&t);
    while (ad_forward.next != ad_feed.next && ad_forward_put_event(&t)) {
    }
    if (t.len == 1 || t.full) {
        return false;
    }
    t.cap++;
    ad_puts(&t, "]");
    if (!ad_forward_frame(0, 1, t.len) || !ad_forward_flush()) {
        return false;
    }
    ad_forward_watch();
    return ad_forward.out_len == 0;
}

/* All that the socket takes; the feed bounds it. */
static void ad_forward_send(void)
{
    while (ad_forward_send_message()) {
    }
}

/* ---- what the gateway says ---- */

/* {"last":"RUN-SEQ"}, the first message: the event that it knows last. */
static bool ad_forward_take_last(const struct ad_json_members *m)
{
    struct ad_slice value = ad_json_member(m, "last");
    struct ad_relayed_id id;
    char text[AD_RUN_MAX + 24], what[AD_LINK_WHAT_MAX];

    if (value.at == NULL || !ad_json_text(value, text, sizeof(text) - 1) ||
        !ad_relayed_id_parse(text, strlen(text), &id)) {
        ad_forward_down("does not say which event it knows last: is it an aidash of "
                        "this version?");
        return false;
    }
    if (strcmp(id.run, ad_hub.run) == 0 && id.seq < ad_feed.next) {
        ad_forward_go_back(id.seq + 1);
    } else {
        ad_forward.next = ad_feed.first;
    }
    ad_forward.step = AD_FORWARD_OPEN;
    ad_forward.beat_ms = ad_hub.now_ms - AD_LINK_BEAT_MS;
    ad_link_came_up(&ad_forward.link, ad_forward_what(what));
    return true;
}

/* {"number":N,"command":{…}}: carry it out, and send its ack. */
static bool ad_forward_take_command(const struct ad_json_members *m)
{
    static const struct ad_asker nobody;
    struct ad_slice number = ad_json_member(m, "number");
    struct ad_slice command = ad_json_member(m, "command");
    struct ad_asker who = nobody;
    char json[AD_REPLY_MAX + 64], ack[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));
    struct ad_text a = ad_text_in(ack, sizeof(ack));
    uint64_t n;

    if (number.at == NULL || command.at == NULL || command.at[0] != '{' ||
        !ad_decimal_u64(number.at, number.len, UINT64_MAX, &n)) {
        ad_forward_down("sends what is no command");
        return false;
    }
    who.grant.rights = AD_MAY_ALL;
    (void)snprintf(who.grant.name, sizeof(who.grant.name), "gateway %.50s",
                   ad_forward.to.url.authority);
    ad_forward.commands++;
    (void)ad_command((const uint8_t *)command.at, command.len, "gateway",
                     ad_forward.dial.fd, &who, &ad_forward.command_full_ns, &a);
    ad_putf(&t, "[{\"number\":%llu,\"ack\":", (unsigned long long)n);
    ad_put(&t, a.at, a.len);
    ad_puts(&t, "}]");
    return a.full || t.full || ad_forward_say(1, t.at, t.len);
}

/* A message. False: the link is down. */
static bool ad_forward_message(const struct ad_ws_event *event)
{
    struct ad_json_members m;

    if (!ad_json_members_read(&m, (const char *)event->payload, event->len)) {
        ad_forward_down("sends what is no JSON object");
        return false;
    }
    if (ad_forward.step == AD_FORWARD_LAST) {
        return ad_forward_take_last(&m);
    }
    return ad_forward_take_command(&m);
}

/* The gateway closes; its sentence. */
static void ad_forward_closed(const struct ad_ws_event *event)
{
    char why[AD_LINK_WHY_MAX], said[AD_WS_CONTROL_MAX] = "";
    size_t len = event->len > 2 ? event->len - 2 : 0;

    if (len > 0 && ad_name_chars_ok((const char *)event->payload + 2, len)) {
        memcpy(said, event->payload + 2, len);
        said[len] = '\0';
    }
    (void)snprintf(why, sizeof(why), "closed the connection%s%s", said[0] != '\0' ? ": " : "",
                   said);
    ad_forward_down(why);
}

/* One event of the WebSocket. False: the link is down. */
static bool ad_forward_event_of(const struct ad_ws_event *event)
{
    switch (event->kind) {
    case AD_WS_NOTHING:
    case AD_WS_PONG:
        return true;
    case AD_WS_PING:
        return ad_forward_say(10, event->payload, event->len);
    case AD_WS_TEXT:
        return ad_forward_message(event);
    case AD_WS_CLOSE:
        ad_forward_closed(event);
        return false;
    default:
        ad_forward_down("sends what is no WebSocket of ours");
        return false;
    }
}

static void ad_forward_take(uint8_t *data, size_t len)
{
    struct ad_ws_event event;
    size_t used = 0;

    while (used < len) {
        used += ad_ws_next(&ad_forward.ws, data + used, len - used, ad_forward.in,
                           ad_forward.control, &event);
        if (!ad_forward_event_of(&event)) {
            return;
        }
    }
    (void)ad_forward_flush();
}

/* ---- the handshake ---- */

static void ad_forward_ask(void)
{
    const struct ad_url *url = &ad_forward.to.url;
    uint8_t nonce[AD_HANDSHAKE_NONCE];
    struct ad_text t = ad_text_in(ad_forward.out, sizeof(ad_forward.out));
    struct ad_text key = ad_text_in(ad_forward.nonce, AD_HANDSHAKE_KEY);

    if (!ad_random(nonce, sizeof(nonce))) {
        ad_forward_down("has to wait: the system has no random numbers yet");
        return;
    }
    memset(ad_forward.nonce, 0, sizeof(ad_forward.nonce));
    ad_put_base64(&key, nonce, sizeof(nonce));
    ad_putf(&t, "GET %s/forward?node=", url->prefix);
    ad_put_percent(&t, ad_forward.node);
    ad_putf(&t,
            "&run=%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: aidash/" AIDASH_VERSION
            "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n",
            ad_hub.run, url->authority, ad_forward.nonce);
    if (ad_forward.key[0] != '\0') {
        ad_putf(&t, "Authorization: Bearer %s\r\n", ad_forward.key);
    }
    ad_puts(&t, "\r\n");
    ad_forward.out_at = 0;
    ad_forward.out_len = t.len;
    ad_answer_begin(&ad_forward.answer, sizeof(ad_forward.head), false);
    ad_forward.answer.may_switch = true;
    ad_forward.step = AD_FORWARD_ASK;
}

/* Why the gateway does not take us; `body`: what came of its answer's body so far. */
static void ad_forward_refused(unsigned status, const uint8_t *body, size_t len)
{
    char why[AD_LINK_WHY_MAX];

    ad_link_refused(why, status, body, len, ad_forward.key[0] != '\0',
                    "is it an aidash that takes boards, and its path right?");
    ad_forward_down(why);
}

/* Bytes of the answer. */
static void ad_forward_answered(uint8_t *data, size_t len)
{
    const struct ad_answer_buffer buffer = {ad_forward.head, ad_fetch_buffers.fields};
    struct ad_http_head head;
    size_t used = 0, n;
    const char *why;

    while (ad_forward.answer.status == 0) {
        enum ad_http_fault fault = ad_answer_head(&ad_forward.answer, &buffer,
                                                  data + used, len - used, &n, &head);

        used += n;
        if (fault == AD_HTTP_MORE) {
            return;
        }
        if (fault != AD_HTTP_OK) {
            ad_forward_down("answers with what is no HTTP");
            return;
        }
    }
    if (ad_forward.answer.status != 101) {
        ad_forward_refused(ad_forward.answer.status, data + used, len - used);
        return;
    }
    why = ad_handshake_fault(&head, ad_forward.nonce);
    if (why != NULL) {
        char text[AD_LINK_WHY_MAX];

        (void)snprintf(text, sizeof(text), "is no WebSocket server: %s", why);
        ad_forward_down(text);
        return;
    }
    memset(&ad_forward.ws, 0, sizeof(ad_forward.ws));
    ad_forward.ws.of_server = true;
    ad_forward.ws.max = AD_FORWARD_IN;
    ad_forward.out_len = ad_forward.out_at = 0;
    ad_forward.step = AD_FORWARD_LAST;
    ad_forward_take(data + used, len - used);
}

/* ---- the connection ---- */

/* Go on with what has become of it. */
static void ad_forward_dialled(void)
{
    char why[AD_LINK_WHY_MAX];

    switch ((enum ad_dial_step)ad_forward.dial.step) {
    case AD_DIAL_OPEN:
        ad_forward_ask();
        break;
    case AD_DIAL_CONNECTS:
    case AD_DIAL_SHAKES:
        ad_forward.step = AD_FORWARD_DIAL;
        break;
    default:
        ad_forward_down(ad_link_unreached(&ad_forward.dial, why));
        break;
    }
}

static void ad_forward_try(void)
{
    ad_forward.begun_ms = ad_forward.heard_ms = ad_forward.pinged_ms =
        ad_forward.took_ms = ad_hub.now_ms;
    ad_forward.link.next_ns = 0;
    ad_dial_begin(&ad_forward.dial, &ad_forward.to);
    ad_forward_dialled();
    ad_forward_watch();
}

/* Read once. */
static void ad_forward_read(void)
{
    ssize_t got = ad_dial_recv(&ad_forward.dial, ad_link_input, sizeof(ad_link_input));

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        ad_forward_down("broke off the connection");
        return;
    }
    ad_hub.bytes_received += (uint64_t)got;
    ad_forward.heard_ms = ad_hub.now_ms;
    if (ad_forward.step == AD_FORWARD_ANSWER) {
        ad_forward_answered(ad_link_input, (size_t)got);
    } else {
        ad_forward_take(ad_link_input, (size_t)got);
    }
}

/* Its descriptor is ready. */
static void ad_forward_event(unsigned events)
{
    (void)ad_dial_flushed(&ad_forward.dial);
    if (ad_forward.step == AD_FORWARD_DIAL) {
        ad_dial_ready(&ad_forward.dial);
        ad_forward_dialled();
    }
    if (ad_forward.step == AD_FORWARD_ASK && ad_forward_flush() &&
        ad_forward.out_len == 0) {
        ad_forward.step = AD_FORWARD_ANSWER;
    } else if (ad_forward.step >= AD_FORWARD_ANSWER) {
        if ((events & (AD_IN | AD_HUP)) != 0) {
            ad_forward_read();
        }
        if (ad_forward.step >= AD_FORWARD_LAST && (events & AD_OUT) != 0) {
            (void)ad_forward_flush();
        }
    }
    ad_forward_watch();
}

/* Once a second: tries that are due, or late; pings; silence. */
static void ad_forward_housekeeping(void)
{
    uint32_t silent_ms = ad_hub.now_ms - ad_forward.heard_ms;
    char what[AD_LINK_WHAT_MAX];

    if (!ad_forward.on) {
        return;
    }
    ad_link_tell_lost(&ad_forward.link, ad_forward_what(what), "this board",
                      ad_forward.dropped);
    if (ad_forward.step == AD_FORWARD_WAIT) {
        if (ad_hub.now_ns >= ad_forward.link.next_ns &&
            !ad_link_resolves(&ad_forward.link, &ad_forward.to)) {
            ad_forward_try();
        }
        return;
    }
    if (ad_forward.step < AD_FORWARD_OPEN) {
        if (ad_hub.now_ms - ad_forward.begun_ms >= AD_LINK_TRY_MS) {
            ad_dial_give_up(&ad_forward.dial);
            ad_forward_down("gave no answer in time");
        } else if (ad_forward.dial.step == AD_DIAL_CONNECTS &&
                   ad_hub.now_ms - ad_forward.begun_ms >= AD_CONNECT_MS) {
            ad_dial_late(&ad_forward.dial);
            ad_forward_dialled();
        }
    } else if (silent_ms >= AD_LINK_SILENCE_MS) {
        ad_forward_down("is silent");
    } else if (ad_hub.now_ms - ad_forward.took_ms >= AD_LINK_STALL_MS) {
        ad_forward_down("takes nothing");
    } else if (silent_ms >= AD_LINK_PING_MS &&
               ad_hub.now_ms - ad_forward.pinged_ms >= AD_LINK_PING_MS &&
               ad_forward.out_len == 0) {
        ad_forward.pinged_ms = ad_hub.now_ms;
        if (ad_forward_say(9, "", 0)) {
            (void)ad_forward_flush();
        }
    }
    ad_forward_watch();
}

/* The hub ends: the gateway is told so, as far as the socket takes that (RFC 6455
 * 7.4.1). */
static void ad_forward_end(void)
{
    static const char going[] = "\x03\xE9the board stops";

    if (ad_forward.step == AD_FORWARD_OPEN) {
        ad_forward_send();
    }
    if (ad_forward.step == AD_FORWARD_OPEN && ad_forward_say(8, going, sizeof(going) - 1)) {
        (void)ad_forward_flush();
    }
    ad_dial_close(&ad_forward.dial);
    ad_forward.step = AD_FORWARD_WAIT;
    ad_forward.on = false;
}

/* Forward to this gateway; its key is set. While starting. */
static void ad_forward_set(const struct ad_upstream *to, const char *node)
{
    ad_forward.to = *to;
    (void)snprintf(ad_forward.node, sizeof(ad_forward.node), "%s", node);
    ad_forward.on = true;
    ad_resolver_add(&ad_forward.to);
}

/* The member of GET /status; nothing without --forward. */
static void ad_put_forward(struct ad_text *t)
{
    const struct ad_url *url = &ad_forward.to.url;
    char text[sizeof(url->authority) + sizeof(url->prefix) + 8];

    if (!ad_forward.on) {
        return;
    }
    (void)snprintf(text, sizeof(text), "%s%s%s", ad_url_scheme(url->tls),
                   url->authority, url->prefix);
    ad_puts(t, ",\"forward\":{\"url\":");
    ad_put_string(t, text);
    ad_puts(t, ",\"node\":");
    ad_put_string(t, ad_forward.node);
    ad_puts(t, ",");
    ad_put_link(t, &ad_forward.link);
    ad_putf(t, ",\"sent\":%llu,\"dropped\":%llu,\"commands\":%llu}",
            (unsigned long long)ad_forward.sent, (unsigned long long)ad_forward.dropped,
            (unsigned long long)ad_forward.commands);
}

AD_MEMORY(forward, 1, sizeof(ad_forward));

#endif /* AD_FLEET && AIDASH_METER */

#endif
