/* follow.c - --peer: a gateway reads the events of boards, each by its GET /events
 * (server-sent events), and sends commands to them by POST /command. Boards are named
 * by the configuration, or found in the LAN (browse.c).
 * Owns ad_follows. Hub thread only, but for ad_follow_add() while starting.
 *
 * A connection that comes again asks for what comes behind the event that the hub
 * knows last (Last-Event-ID); the first one for all that the board still has.
 * Always: a board's stream is bounded by AD_LINK_MESSAGE bytes an event, and closed
 * when it is silent; its events go through the same checks as everybody's. A board that
 * was found never gets the key: whoever is in the LAN can be found.
 */
#ifndef AD_FLEET_FOLLOW_C
#define AD_FLEET_FOLLOW_C

#include "../codec/event_stream.c"
#include "../meter/fetch.c"
#include "../meter/resolver.c"
#include "browse.c"
#include "link.c"

#if AD_FLEET && AIDASH_METER

enum {
    AD_FOLLOW_QUIET_MS = 25000 / AD_HASTE,   /* a stream has a comment each 20 s, */
    AD_FOLLOW_SILENCE_MS = 65000 / AD_HASTE, /* and is given up after so long */
    AD_FOLLOW_PORT = 8080, /* of --listen, if none is given */
    AD_FOLLOW_GAP_MS = 10000, /* between two connections that are given up for a gap */
    AD_FOLLOW_ACK_MAX = 1024, /* bytes of an answer to a command */
    AD_FOLLOW_ASKS = AIDASH_UNFINISHED < 8 ? AIDASH_UNFINISHED : 8 /* commands on their
                                                                    * way at once */
};
_Static_assert((int)AD_LINK_MESSAGE >= (int)AD_FETCH_HEAD_MAX,
               "the heads of an answer fit its buffer");

enum ad_follow_step {
    AD_FOLLOW_WAIT,   /* for the time of the next try */
    AD_FOLLOW_DIAL,
    AD_FOLLOW_ASK,    /* the request is being sent */
    AD_FOLLOW_ANSWER, /* the answer's head is awaited */
    AD_FOLLOW_OPEN    /* events come */
};

struct ad_follow {
    bool used;  /* the place is taken */
    bool found; /* in the LAN, not named by the configuration */
    bool seen;  /* it still is there */
    struct ad_upstream to; /* its name is the node's */
    struct ad_link link;
    uint8_t step;      /* enum ad_follow_step */
    bool linked;       /* the hub's table of boards has it */
    struct ad_dial dial;
    struct ad_answer answer;
    struct ad_event_stream stream;
    uint32_t begun_ms; /* the try */
    uint32_t heard_ms;
    struct ad_relayed_id last; /* of the newest event that came, to see gaps */
    bool fresh;      /* no event came on this connection yet */
    uint64_t gap_ns; /* when one was given up for a gap */
    uint64_t n_events, missed, wrong;
    struct ad_link_pace pace;
    size_t at, len;             /* unsent bytes of the request in buf */
    char buf[AD_LINK_MESSAGE];  /* the request, then the heads, then the stream */
};

/* A command that is on its way to a board. */
struct ad_follow_ask {
    uint64_t number; /* 0: the place is free */
    struct ad_fetch fetch;
    char post[AD_FETCH_POST_MAX];
    size_t len; /* of the answer's body */
    uint8_t body[AD_FOLLOW_ACK_MAX];
    char head[AD_FETCH_HEAD_MAX];
};

static struct {
    unsigned n;               /* places ever used */
    unsigned refused;         /* boards that were found the last time, and are not read */
    char key[AD_KEY_MAX + 1]; /* [I] bearer token for those that were not found, or "" */
    struct ad_follow list[AIDASH_PEERS];
    struct ad_follow_ask asks[AD_FOLLOW_ASKS];
} ad_follows;

/* Before each run. */
static void ad_follows_init(void)
{
    memset(&ad_follows, 0, sizeof(ad_follows));
}

static const char *ad_follow_what(const struct ad_follow *f, char out[AD_LINK_WHAT_MAX])
{
    (void)snprintf(out, AD_LINK_WHAT_MAX, "peer: '%s' at %s", f->to.name, f->to.url.authority);
    return out;
}

/* What the board may know of the key. */
static const char *ad_follow_key(const struct ad_follow *f)
{
    return f->found ? "" : ad_follows.key;
}

/* The connection is over. */
static void ad_follow_down(struct ad_follow *f, const char *why)
{
    char what[AD_LINK_WHAT_MAX];

    ad_dial_close(&f->dial);
    f->step = AD_FOLLOW_WAIT;
    ad_link_went_down(&f->link, ad_follow_what(f, what), why);
}

static void ad_follow_watch(struct ad_follow *f)
{
    unsigned wants = f->step == AD_FOLLOW_WAIT   ? 0
                     : f->step == AD_FOLLOW_DIAL ? ad_dial_wants(&f->dial)
                     : f->step == AD_FOLLOW_ASK  ? (unsigned)AD_OUT
                     : ad_link_waits(&f->pace)   ? 0
                                                 : (unsigned)AD_IN;

    ad_dial_watch(&f->dial, wants, AD_TAG_FLEET,
                  AD_FLEET_FOLLOWS + (unsigned)(f - ad_follows.list));
}

/* ---- the request ---- */

/* Write it. A run that nobody has asks for all that there is. */
static void ad_follow_write(struct ad_follow *f)
{
    struct ad_text t = ad_text_in(f->buf, sizeof(f->buf));
    char last[AD_RUN_MAX + 24];
    struct ad_text l = ad_text_in(last, sizeof(last));

    ad_node_put_last(&l, f->to.name);
    if (l.len == 0) {
        ad_puts(&l, "0-0");
    }
    ad_putf(&t,
            "GET %s/events HTTP/1.1\r\nHost: %s\r\nUser-Agent: aidash/" AIDASH_VERSION
            "\r\nAccept: text/event-stream\r\nLast-Event-ID: %.*s\r\n",
            f->to.url.prefix, f->to.url.authority, (int)l.len, l.at);
    if (ad_follow_key(f)[0] != '\0') {
        ad_putf(&t, "Authorization: Bearer %s\r\n", ad_follow_key(f));
    }
    ad_puts(&t, "\r\n");
    f->at = 0;
    f->len = t.len;
    f->step = AD_FOLLOW_ASK;
}

/* Send what the socket takes of it. */
static void ad_follow_send(struct ad_follow *f)
{
    ssize_t n = ad_dial_send(&f->dial, f->buf + f->at, f->len);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        ad_follow_down(f, "broke off the connection");
        return;
    }
    f->at += (size_t)n;
    f->len -= (size_t)n;
    if (f->len == 0) {
        ad_answer_begin(&f->answer, AD_FETCH_HEAD_MAX, false);
        f->step = AD_FOLLOW_ANSWER;
    }
}

/* ---- the answer ---- */

/* Did the board leave events out? It does so when a viewer is far behind, as this one is
 * when the network comes back; but it may have them, and sends them to who connects
 * anew. True: do that. Not for what a new connection begins with, and not often. */
static bool ad_follow_gap(struct ad_follow *f, const struct ad_relayed_id *id)
{
    bool fresh = f->fresh;

    f->fresh = false;
    if (fresh || strcmp(f->last.run, id->run) != 0 || id->seq <= f->last.seq + 1 ||
        ad_hub.now_ns - f->gap_ns < AD_FOLLOW_GAP_MS * (uint64_t)AD_NS_PER_MS) {
        return false;
    }
    f->gap_ns = ad_hub.now_ns;
    return true;
}

/* Count what the board had no more, or did not send as we read too slowly. */
static void ad_follow_see(struct ad_follow *f, const struct ad_relayed_id *id)
{
    if (strcmp(f->last.run, id->run) == 0 && id->seq > f->last.seq + 1) {
        f->missed += id->seq - f->last.seq - 1;
        f->missed = f->missed < AD_TOTAL_LIMIT ? f->missed : AD_TOTAL_LIMIT - 1;
    }
    if (strcmp(f->last.run, id->run) != 0 || id->seq > f->last.seq) {
        f->last = *id;
    }
}

/* Bytes of the stream. */
static void ad_follow_stream(struct ad_follow *f, const uint8_t *data, size_t len)
{
    struct ad_stream_event event;
    struct ad_relayed_id id;
    size_t used = 0;

    while (used < len) {
        used += ad_event_stream_next(&f->stream, f->buf, sizeof(f->buf), data + used,
                                     len - used, &event);
        if (!event.whole) {
            return;
        }
        if (event.id != NULL && ad_relayed_id_parse(event.id, strlen(event.id), &id)) {
            if (strcmp(id.run, ad_hub.run) == 0) {
                ad_follow_down(f, "is this aidash itself");
                return;
            }
            if (ad_follow_gap(f, &id)) {
                ad_follow_down(f, "left out events, which it is asked for again");
                return;
            }
            ad_follow_see(f, &id);
        }
        f->n_events++;
        if (event.lost ||
            !ad_link_relay(f->to.name, event.id != NULL ? event.id : "",
                           event.id != NULL ? strlen(event.id) : 0, event.data,
                           event.len)) {
            f->wrong++;
        }
    }
}

/* The final head has come. False: the link is down. */
static bool ad_follow_answered(struct ad_follow *f, const struct ad_http_head *head,
                               const uint8_t *body, size_t len)
{
    char why[AD_LINK_WHY_MAX], what[AD_LINK_WHAT_MAX];
    struct ad_slice type = {"", 0}, media;

    if (f->answer.status != 200) {
        ad_link_refused(why, f->answer.status, body, len, ad_follow_key(f)[0] != '\0',
                        "is it an aidash, and its path right?");
        ad_follow_down(f, why);
        return false;
    }
    (void)ad_http_field_get(&head->fields, "Content-Type", &type);
    (void)ad_http_cut(&type, ';', &media);
    if (!ad_slice_is_nocase(ad_slice_trim(media), "text/event-stream")) {
        ad_follow_down(f, "answers with what is no stream of events");
        return false;
    }
    memset(&f->stream, 0, sizeof(f->stream));
    f->fresh = true;
    f->step = AD_FOLLOW_OPEN;
    ad_link_came_up(&f->link, ad_follow_what(f, what));
    return true;
}

/* Bytes of the answer. */
static void ad_follow_take(struct ad_follow *f, const uint8_t *in, size_t len)
{
    const struct ad_answer_buffer buffer = {f->buf, ad_fetch_buffers.fields};
    struct ad_body *body = &f->answer.body;
    struct ad_http_head head;
    size_t used = 0, n;

    while (f->answer.status == 0) {
        enum ad_http_fault fault = ad_answer_head(&f->answer, &buffer, in + used,
                                                  len - used, &n, &head);

        used += n;
        if (fault == AD_HTTP_MORE) {
            return;
        }
        if (fault != AD_HTTP_OK) {
            ad_follow_down(f, "answers with what is no HTTP");
            return;
        }
        if (f->answer.status != 0 &&
            !ad_follow_answered(f, &head, in + used, len - used)) {
            return;
        }
    }
    while (used < len && body->state < AD_BODY_DONE) {
        const uint8_t *data = NULL;

        used += ad_body_next(body, in + used, len - used, &data, &n);
        if (n > 0) {
            ad_follow_stream(f, data, n);
        }
        if (f->step != AD_FOLLOW_OPEN) {
            return;
        }
    }
    if (body->state >= AD_BODY_DONE) {
        ad_follow_down(f, "ended the stream");
    }
}

static void ad_follow_read(struct ad_follow *f)
{
    uint64_t before = f->n_events;
    ssize_t got;

    if (ad_link_waits(&f->pace)) {
        return;
    }
    got = ad_dial_recv(&f->dial, ad_link_input, sizeof(ad_link_input));
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        ad_follow_down(f, "broke off the connection");
        return;
    }
    ad_hub.bytes_received += (uint64_t)got;
    f->heard_ms = ad_hub.now_ms;
    ad_follow_take(f, ad_link_input, (size_t)got);
    ad_link_charge(&f->pace, (size_t)got, (size_t)(f->n_events - before));
}

/* ---- the connection ---- */

/* Go on with what has become of it. */
static void ad_follow_dialled(struct ad_follow *f)
{
    char why[AD_LINK_WHY_MAX];

    switch ((enum ad_dial_step)f->dial.step) {
    case AD_DIAL_OPEN:
        ad_follow_write(f);
        break;
    case AD_DIAL_CONNECTS:
    case AD_DIAL_SHAKES:
        f->step = AD_FOLLOW_DIAL;
        break;
    default:
        ad_follow_down(f, ad_link_unreached(&f->dial, why));
        break;
    }
}

static void ad_follow_try(struct ad_follow *f)
{
    f->begun_ms = f->heard_ms = ad_hub.now_ms;
    f->link.next_ns = 0;
    ad_dial_begin(&f->dial, &f->to);
    ad_follow_dialled(f);
    ad_follow_watch(f);
}

/* Its descriptor is ready. */
static void ad_follow_event(unsigned index)
{
    struct ad_follow *f = &ad_follows.list[index];

    (void)ad_dial_flushed(&f->dial);
    if (f->step == AD_FOLLOW_DIAL) {
        ad_dial_ready(&f->dial);
        ad_follow_dialled(f);
    }
    if (f->step == AD_FOLLOW_ASK) {
        ad_follow_send(f);
    } else if (f->step >= AD_FOLLOW_ANSWER) {
        ad_follow_read(f);
    }
    ad_follow_watch(f);
}

/* ---- commands ---- */

/* Takes a piece of the answer to a command. */
static void ad_follow_sink(void *to, const uint8_t *data, size_t len)
{
    struct ad_follow_ask *a = to;
    size_t room = sizeof(a->body) - a->len;

    len = len < room ? len : room;
    memcpy(a->body + a->len, data, len);
    a->len += len;
}

/* Watch it; if it is over, so is its command. */
static void ad_follow_ask_go_on(struct ad_follow_ask *a)
{
    struct ad_json_members m;
    char said[AIDASH_TEXT_MAX + 1];
    const char *sentence;
    uint64_t number = a->number;

    ad_fetch_watch(&a->fetch, AD_TAG_FLEET,
                   AD_FLEET_ASKS + (unsigned)(a - ad_follows.asks));
    if (number == 0 || ad_fetch_wants(&a->fetch) != 0) {
        return;
    }
    a->number = 0;
    if (a->fetch.state != AD_FETCH_DONE) {
        ad_command_finish(number, false, "the board gave no answer");
    } else if (!ad_json_members_read(&m, (const char *)a->body, a->len) ||
               !ad_link_finish(number, (struct ad_slice){(const char *)a->body, a->len})) {
        sentence = ad_link_error(a->body, a->len, said);
        ad_command_finish(number, false,
                          sentence[0] != '\0' ? sentence
                                              : "the board's answer is no ack");
    }
}

static void ad_follow_ask_event(unsigned index)
{
    struct ad_follow_ask *a = &ad_follows.asks[index];

    if (ad_fetch_wants(&a->fetch) != 0) {
        ad_fetch_event(&a->fetch, ad_follow_sink, a);
        ad_follow_ask_go_on(a);
    }
}

/* See struct ad_node_link. POST /command has the command alone. */
static const char *ad_follow_command(void *to, uint64_t number, const char *json,
                                     size_t len)
{
    struct ad_follow *f = to;
    struct ad_json_members m;
    struct ad_slice command;
    unsigned i = 0;

    while (i < AD_FOLLOW_ASKS && ad_follows.asks[i].number != 0) {
        i++;
    }
    if (i == AD_FOLLOW_ASKS) {
        return "boards have not answered the commands before";
    }
    if (!ad_json_members_read(&m, json, len)) {
        return "the command is none";
    }
    command = ad_json_member(&m, "command");
    if (command.at == NULL || command.len >= sizeof(ad_follows.asks[i].post)) {
        return "the command is too long";
    }
    memcpy(ad_follows.asks[i].post, command.at, command.len);
    ad_follows.asks[i].post[command.len] = '\0';
    ad_follows.asks[i].number = number;
    ad_follows.asks[i].len = 0;
    ad_fetch_begin(&ad_follows.asks[i].fetch, &f->to, "/command", ad_follow_key(f),
                   ad_follows.asks[i].head, ad_hub.now_ms);
    ad_follows.asks[i].fetch.post = ad_follows.asks[i].post;
    ad_fetch_watch(&ad_follows.asks[i].fetch, AD_TAG_FLEET, AD_FLEET_ASKS + i);
    return NULL; /* one that has failed already ends with the next second */
}

/* ---- each second, and the end ---- */

/* The hub's table of boards has it from the beginning, with its address. */
static void ad_follow_link(struct ad_follow *f)
{
    const struct ad_node_link link = {ad_follow_command, f};
    const struct ad_url *url = &f->to.url;
    char text[sizeof(url->authority) + sizeof(url->prefix) + 10];

    (void)snprintf(text, sizeof(text), "%s%s%s/", ad_url_scheme(url->tls),
                   url->authority, url->prefix);
    f->linked = true;
    if (ad_node_link(f->to.name, &link)) {
        ad_node_set_url(f->to.name, text);
    }
}

static void ad_follow_housekeeping(struct ad_follow *f)
{
    char what[AD_LINK_WHAT_MAX], of[AIDASH_NODE_MAX + 16];

    if (!f->linked) {
        ad_follow_link(f);
    }
    (void)snprintf(of, sizeof(of), "the board '%s'", f->to.name);
    ad_link_tell_lost(&f->link, ad_follow_what(f, what), of, f->missed);
    if (f->step == AD_FOLLOW_WAIT) {
        if (ad_hub.now_ns >= f->link.next_ns && !ad_link_resolves(&f->link, &f->to)) {
            ad_follow_try(f);
        }
    } else if (f->step < AD_FOLLOW_OPEN) {
        if (ad_hub.now_ms - f->begun_ms >= AD_LINK_TRY_MS) {
            ad_dial_give_up(&f->dial);
            ad_follow_down(f, "gave no answer in time");
        } else if (f->dial.step == AD_DIAL_CONNECTS &&
                   ad_hub.now_ms - f->begun_ms >= AD_CONNECT_MS) {
            ad_dial_late(&f->dial);
            ad_follow_dialled(f);
        }
    } else if (ad_hub.now_ms - f->heard_ms >= AD_FOLLOW_SILENCE_MS) {
        ad_follow_down(f, "is silent");
    } else if (ad_hub.now_ms - f->heard_ms < AD_FOLLOW_QUIET_MS) {
        ad_node_touch(f->to.name);
    }
    ad_follow_watch(f);
}

/* Those that waited and need not any more are read again. */
static void ad_follows_resume(void)
{
    unsigned i;

    for (i = 0; i < ad_follows.n; i++) {
        ad_follow_watch(&ad_follows.list[i]);
    }
}

/* ---- boards that are found ---- */

/* Leave a board that is not there any more; its place is free. */
static void ad_follow_leave(struct ad_follow *f)
{
    unsigned i;

    for (i = 0; i < AD_FOLLOW_ASKS; i++) {
        struct ad_follow_ask *a = &ad_follows.asks[i];

        if (a->number != 0 && a->fetch.dial.upstream == &f->to) {
            ad_fetch_end(&a->fetch, AD_FETCH_FAILED);
            ad_follow_ask_go_on(a);
        }
    }
    ad_dial_close(&f->dial);
    ad_node_unlink(f->to.name, f, true);
    ad_log(AIDASH_LOG_INFO, "peer: '%s' is not announced any more", f->to.name);
    memset(f, 0, sizeof(*f));
}

/* The name of a found board here: its host's, with the port unless that is the usual
 * one. False: it is too long. */
static bool ad_follow_name(const struct ad_announced *b, char out[AIDASH_NODE_MAX + 1])
{
    int n = b->port == AD_FOLLOW_PORT
                ? snprintf(out, AIDASH_NODE_MAX + 1, "%s", b->host)
                : snprintf(out, AIDASH_NODE_MAX + 1, "%s:%u", b->host, (unsigned)b->port);

    return n <= AIDASH_NODE_MAX;
}

/* The board of this name that is read, or NULL. */
static struct ad_follow *ad_follow_of(const char *name)
{
    unsigned i;

    for (i = 0; i < ad_follows.n; i++) {
        if (ad_follows.list[i].used && strcmp(ad_follows.list[i].to.name, name) == 0) {
            return &ad_follows.list[i];
        }
    }
    return NULL;
}

/* A place for a board that was found, or NULL. */
static struct ad_follow *ad_follow_place(void)
{
    unsigned i;

    for (i = 0; i < ad_follows.n; i++) {
        if (!ad_follows.list[i].used) {
            return &ad_follows.list[i];
        }
    }
    return ad_follows.n < AIDASH_PEERS ? &ad_follows.list[ad_follows.n++] : NULL;
}

/* Begin to read a board that was found. Returns NULL if it can't be, with a sentence for
 * the log: a name leads to one board, whoever had it first. */
static struct ad_follow *ad_follow_begin(const struct ad_announced *b, const char *name,
                                         const char **why)
{
    const struct ad_node *known = ad_node_find(name);
    struct ad_follow *f;

    *why = "another board has this name";
    if (known != NULL && (known->link.send != NULL || known->state != AD_NODE_GONE)) {
        return NULL;
    }
    *why = "there are too many (AIDASH_PEERS)";
    f = ad_follow_place();
    if (f == NULL) {
        return NULL;
    }
    memset(f, 0, sizeof(*f));
    f->used = f->found = true;
    (void)snprintf(f->to.name, sizeof(f->to.name), "%s", name);
    (void)snprintf(f->to.url.host, sizeof(f->to.url.host), "%s", b->host);
    (void)snprintf(f->to.url.port, sizeof(f->to.url.port), "%u", (unsigned)b->port);
    f->to.url.tls = b->tls;
    ad_log(AIDASH_LOG_INFO, "peer: '%s' is announced in the LAN, at %s", name, b->address);
    return f;
}

/* How it is called in requests, and on the page: by this address, which works everywhere;
 * by its host if it has TLS, as the certificate is for that, or if the address is one of
 * the link alone. */
static void ad_follow_call(struct ad_url *url, const struct ad_announced *b)
{
    bool v6 = strchr(b->address, ':') != NULL;
    const char *host = b->tls || strchr(b->address, '%') != NULL ? b->host : b->address;

    (void)snprintf(url->authority, sizeof(url->authority),
                   v6 && host == b->address ? "[%s]:%u" : "%s:%u", host, (unsigned)b->port);
}

/* Note one of the addresses of a board that is there: IPv4 first, as an IPv6 address of
 * the link alone works least. `fresh`: its first one of this time. */
static void ad_follow_address(struct ad_follow *f, const struct ad_announced *b, bool fresh)
{
    struct ad_address address;
    struct ad_upstream *to = &f->to;
    unsigned at;

    if (!ad_address_of(b->address, b->port, &address)) {
        return; /* its interface is gone */
    }
    if (fresh) {
        to->n_addresses = 0;
    }
    if (to->n_addresses == AD_ADDRESSES_MAX) {
        return;
    }
    at = address.storage.ss_family == AF_INET ? 0 : to->n_addresses;
    if (at == 0) {
        ad_follow_call(&to->url, b);
    }
    memmove(&to->addresses[at + 1], &to->addresses[at],
            (to->n_addresses - at) * sizeof(address));
    to->addresses[at] = address;
    to->n_addresses++;
}

/* One that is there. Returns NULL, or why it is not read. */
static const char *ad_follow_meet(const struct ad_announced *b,
                                  char name[AIDASH_NODE_MAX + 1])
{
    struct ad_follow *f;
    const char *why;

    if (!ad_follow_name(b, name)) {
        return "its name is too long";
    }
    if (b->tls && !AIDASH_TLS) {
        return "it has TLS, without which this aidash was built";
    }
    f = ad_follow_of(name);
    if (f == NULL) {
        f = ad_follow_begin(b, name, &why);
    } else if (!f->found) {
        return "another board has this name";
    }
    if (f == NULL) {
        return why;
    }
    if (f->to.url.tls != b->tls) { /* it was restarted, or is another one */
        f->to.url.tls = b->tls;
        if (f->step != AD_FOLLOW_WAIT) {
            ad_follow_down(f, "is announced otherwise");
        }
    }
    ad_follow_address(f, b, !f->seen);
    f->seen = true;
    return NULL;
}

/* Is the address that it had first still one of its own? */
static bool ad_follow_stays(const struct ad_follow *f, const struct ad_address *had)
{
    unsigned i = 0;

    while (i < f->to.n_addresses &&
           (f->to.addresses[i].len != had->len ||
            memcmp(&f->to.addresses[i].storage, &had->storage, had->len) != 0)) {
        i++;
    }
    return i < f->to.n_addresses;
}

/* The boards that there are now. One that is gone is left when its link is down: what is
 * announced may be late, and a link that is up is a fact. */
static void ad_follows_meet(void)
{
    struct ad_address had[AIDASH_PEERS];
    bool knew[AIDASH_PEERS] = {false}; /* it was found before */
    char name[AIDASH_NODE_MAX + 1] = "";
    const char *why;
    unsigned i, n_refused = 0;

    for (i = 0; i < ad_follows.n; i++) {
        ad_follows.list[i].seen = false;
        knew[i] = ad_follows.list[i].found && ad_follows.list[i].to.n_addresses > 0;
        had[i] = ad_follows.list[i].to.addresses[0];
    }
    for (i = 0; i < ad_browse.n; i++) {
        why = ad_follow_meet(&ad_browse.list[i], name);
        if (why != NULL) {
            n_refused++;
            if (n_refused > ad_follows.refused) {
                ad_log(AIDASH_LOG_WARN, "peer: '%s' at %s is announced, but not read: %s",
                       ad_browse.list[i].host, ad_browse.list[i].address, why);
            }
        }
    }
    ad_follows.refused = n_refused;
    for (i = 0; i < ad_follows.n; i++) {
        struct ad_follow *f = &ad_follows.list[i];

        if (f->found && !f->seen && !f->link.up) {
            ad_follow_leave(f);
        } else if (f->found && f->seen && knew[i] &&
                   !ad_follow_stays(f, &had[i])) {
            if (f->step != AD_FOLLOW_WAIT) {
                ad_follow_down(f, "has another address");
            }
            f->linked = false; /* its page has another address, too */
            f->link.tries = 0;
            f->link.next_ns = ad_hub.now_ns;
        }
    }
}

static void ad_follows_housekeeping(void)
{
    unsigned i;

    if (ad_browse_ready()) {
        ad_follows_meet();
        ad_browse_done();
    }
    for (i = 0; i < ad_follows.n; i++) {
        if (ad_follows.list[i].used) {
            ad_follow_housekeeping(&ad_follows.list[i]);
        }
    }
    for (i = 0; i < AD_FOLLOW_ASKS && ad_follows.n > 0; i++) {
        struct ad_follow_ask *a = &ad_follows.asks[i];

        if (a->number != 0 && ad_fetch_wants(&a->fetch) != 0 &&
            ad_fetch_late(&a->fetch, ad_hub.now_ms)) {
            ad_fetch_give_up(&a->fetch);
        }
        if (a->number != 0) {
            ad_follow_ask_go_on(a);
        }
    }
}

/* The hub ends. */
static void ad_follows_end(void)
{
    unsigned i;

    for (i = 0; i < ad_follows.n; i++) {
        ad_dial_close(&ad_follows.list[i].dial);
    }
    for (i = 0; i < AD_FOLLOW_ASKS; i++) {
        ad_fetch_end(&ad_follows.asks[i].fetch, AD_FETCH_IDLE);
    }
}

/* Follow this board, whose node's name is to->name. Returns NULL, or why not, the end of
 * a sentence. While starting. */
static const char *ad_follow_add(const struct ad_upstream *to)
{
    if (ad_follow_of(to->name) != NULL) {
        return "another one has the same name: give each its own, NAME=URL";
    }
    if (ad_follows.n == AIDASH_PEERS) {
        return "there are too many";
    }
    ad_follows.list[ad_follows.n].used = true;
    ad_follows.list[ad_follows.n].to = *to;
    ad_resolver_add(&ad_follows.list[ad_follows.n].to);
    ad_follows.n++;
    return NULL;
}

/* The member of GET /status; nothing without --peer. */
static void ad_put_follows(struct ad_text *t)
{
    unsigned i, n = 0;

    for (i = 0; i < ad_follows.n; i++) {
        const struct ad_follow *f = &ad_follows.list[i];

        if (!f->used) {
            continue;
        }
        ad_puts(t, n++ > 0 ? ",{\"node\":" : ",\"peers\":[{\"node\":");
        ad_put_string(t, f->to.name);
        ad_puts(t, ",");
        ad_put_link(t, &f->link);
        ad_putf(t, ",\"events\":%llu,\"missed\":%llu,\"wrong\":%llu,\"slowed\":%llu%s}",
                (unsigned long long)f->n_events, (unsigned long long)f->missed,
                (unsigned long long)f->wrong, (unsigned long long)f->pace.slowed,
                f->found ? ",\"mdns\":true" : "");
    }
    if (n > 0) {
        ad_puts(t, "]");
    }
}

AD_MEMORY(follows, AIDASH_PEERS, sizeof(ad_follows));

#endif /* AD_FLEET && AIDASH_METER */

#endif
