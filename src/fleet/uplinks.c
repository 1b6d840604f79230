/* uplinks.c - a gateway's side of --forward: boards that have opened a WebSocket to
 * GET /forward, and send their events over it. Hub thread only.
 * Owns ad_uplinks.
 *
 * A board's messages are arrays of {"id":"RUN-SEQ","event":{…}} and, for commands that
 * it was sent, {"number":N,"ack":{…}}. The first message is ours: {"last":"RUN-SEQ"}.
 * Always: a board speaks for the node of its link alone, and ends only commands that
 * were sent to it. There is one link for each node.
 */
#ifndef AD_FLEET_UPLINKS_C
#define AD_FLEET_UPLINKS_C

#include "../core/peers.c"
#include "../core/poller.c"
#include "../guard/credentials.c"
#include "link.c"

#if AD_FLEET

enum {
    AD_UPLINK_OUT = 4096,  /* unsent bytes: the handshake's answer, commands */
    AD_UPLINK_ALIVE_MS = 12000 / AD_HASTE /* a link that was heard of so recently is
                                          * not taken over by another run */
};

enum ad_uplink_phase {
    AD_UPLINK_FREE,
    AD_UPLINK_OPEN,
    AD_UPLINK_ENDING /* our last bytes are sent; its end is awaited */
};

struct ad_uplink {
    uint8_t phase; /* enum ad_uplink_phase */
    uint8_t events; /* that fd is watched for */
    bool keyed;     /* a credential gave it `grant` */
    int fd;
    uint32_t tls;
    uint64_t address;
    struct ad_grant grant;
    char node[AIDASH_NODE_MAX + 1];
    char run[AD_RUN_MAX + 1];       /* the board's, "": it did not say */
    char from[AD_ADDRESS_TEXT_MAX]; /* its address, for the log */
    uint32_t heard_ms, pinged_ms;
    uint32_t took_ms;  /* it took a byte, or there was none for it */
    uint64_t since_us; /* Unix time */
    uint64_t n_events, wrong;
    struct ad_link_pace pace;
    size_t taken; /* elements and frames of what was read last */
    uint64_t asked[AIDASH_UNFINISHED]; /* numbers of commands that it has; 0: none */
    struct ad_ws ws;
    size_t out_len;
    uint8_t out[AD_UPLINK_OUT];
    uint8_t control[AD_WS_CONTROL_MAX];
    uint8_t in[AD_LINK_MESSAGE];
};
_Static_assert((int)AD_LINK_MESSAGE <= UINT16_MAX, "ad_ws.max is 16 bits wide");

static struct {
    unsigned n_used; /* places ever used */
    uint64_t refused; /* links */
    struct ad_uplink list[AIDASH_LINKS];
} ad_uplinks;

/* Before each run. */
static void ad_uplinks_init(void)
{
    memset(&ad_uplinks, 0, sizeof(ad_uplinks));
}

static void ad_uplink_watch(struct ad_uplink *b, unsigned want)
{
    if (want != b->events) {
        (void)ad_poll_set(b->fd, b->events, want, AD_TAG_FLEET,
                          AD_FLEET_UPLINKS + (unsigned)(b - ad_uplinks.list));
        b->events = (uint8_t)want;
    }
}

/* What an open one waits for. */
static unsigned ad_uplink_wants(const struct ad_uplink *b)
{
    return (ad_link_waits(&b->pace) ? 0 : (unsigned)AD_IN) |
           (b->out_len > 0 ? (unsigned)AD_OUT : 0);
}

/* ---- the end of a link ---- */

/* Close at once. */
static void ad_uplink_drop(struct ad_uplink *b)
{
    ad_uplink_watch(b, 0);
    ad_peer_close(b->fd, b->address);
    b->phase = AD_UPLINK_FREE;
}

/* The board is not linked any more; `gone`: it says itself that it stops. */
static void ad_uplink_unlink(struct ad_uplink *b, bool gone, const char *why)
{
    unsigned i;

    for (i = 0; i < AIDASH_UNFINISHED; i++) {
        if (b->asked[i] != 0) {
            ad_command_finish(b->asked[i], false,
                              "the link to the board was lost before its answer");
            b->asked[i] = 0;
        }
    }
    ad_node_unlink(b->node, b, gone);
    ad_log(AIDASH_LOG_INFO, "board '%s' from %s: the link is down: %s", b->node,
           b->from, why);
}

/* It is broken. */
static void ad_uplink_broken(struct ad_uplink *b, const char *why)
{
    if (b->phase == AD_UPLINK_OPEN) {
        ad_uplink_unlink(b, false, why);
    }
    ad_uplink_drop(b);
}

/* Send what the socket takes. False: the link is gone. */
static bool ad_uplink_flush(struct ad_uplink *b)
{
    ssize_t n = b->out_len > 0 ? send(b->fd, b->out, b->out_len, MSG_NOSIGNAL) : 0;

    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        ad_uplink_broken(b, "it broke off the connection");
        return false;
    }
    if (n > 0) {
        ad_hub.bytes_sent += (uint64_t)n;
        b->out_len -= (size_t)n;
        memmove(b->out, b->out + n, b->out_len);
    }
    if (n > 0 || b->out_len == 0) {
        b->took_ms = ad_hub.now_ms;
    }
    ad_uplink_watch(b, ad_uplink_wants(b));
    return true;
}

/* Put a frame behind what is unsent. False: there is no room. */
static bool ad_uplink_put(struct ad_uplink *b, unsigned opcode, const void *payload,
                         size_t len)
{
    struct ad_text t = ad_text_in(b->out + b->out_len, sizeof(b->out) - b->out_len);

    ad_put_frame(&t, opcode, payload, len);
    if (t.full) {
        return false;
    }
    b->out_len += t.len;
    return true;
}

/* Close with a code (RFC 6455 7.4.1) and a sentence of at most 123 bytes. */
static void ad_uplink_close(struct ad_uplink *b, unsigned code, bool gone,
                           const char *why)
{
    char bytes[AD_WS_CONTROL_MAX];
    struct ad_text t = ad_text_in(bytes, sizeof(bytes));
    char code_bytes[2] = {(char)(code >> 8), (char)code};

    ad_put(&t, code_bytes, sizeof(code_bytes));
    ad_puts(&t, why);
    ad_uplink_unlink(b, gone, why);
    (void)ad_uplink_put(b, 8, t.at, t.len);
    b->phase = AD_UPLINK_ENDING;
    b->heard_ms = ad_hub.now_ms;
    if (ad_uplink_flush(b)) {
        (void)shutdown(b->fd, SHUT_WR);
        ad_uplink_watch(b, AD_IN);
    }
}

/* ---- what a board says ---- */

/* {"number":N,"ack":{…}}: of a command that it was sent. */
static bool ad_uplink_take_ack(struct ad_uplink *b, const struct ad_json_members *m)
{
    struct ad_slice number = ad_json_member(m, "number");
    uint64_t n;
    unsigned i;

    if (number.at == NULL || !ad_decimal_u64(number.at, number.len, UINT64_MAX, &n)) {
        return false;
    }
    for (i = 0; i < AIDASH_UNFINISHED; i++) {
        if (n != 0 && b->asked[i] == n) {
            b->asked[i] = 0;
            return ad_link_finish(n, ad_json_member(m, "ack"));
        }
    }
    return true; /* it took its time: it was given up */
}

/* One element of a message. False: it is wrong. */
static bool ad_uplink_take_element(struct ad_uplink *b, struct ad_slice element)
{
    struct ad_json_members m;
    struct ad_slice id, event;

    if (!ad_json_members_of(&m, element)) {
        return false;
    }
    if (ad_json_member(&m, "ack").at != NULL) {
        return ad_uplink_take_ack(b, &m);
    }
    id = ad_json_member(&m, "id");
    event = ad_json_member(&m, "event");
    if (event.at == NULL || (id.at != NULL && (id.len < 2 || id.at[0] != '"'))) {
        return false;
    }
    b->n_events++;
    return id.at != NULL ? ad_link_relay(b->node, id.at + 1, id.len - 2, event.at,
                                         event.len)
                         : ad_link_relay(b->node, "", 0, event.at, event.len);
}

/* A message: an array. What is wrong in it is left out, and counted. */
static void ad_uplink_message(struct ad_uplink *b, const char *text, size_t len)
{
    struct ad_slice rest, element;

    if (ad_json_fault(text, len) != AD_FAULT_NONE) {
        ad_uplink_close(b, 1007, false, "a message is not JSON");
        return;
    }
    rest.at = ad_json_unmarked(text, &len);
    rest.len = len;
    rest = ad_json_behind(rest, 0);
    if (rest.at[0] != '[') {
        ad_uplink_close(b, 1008, false, "a message is not an array of events");
        return;
    }
    while (b->phase == AD_UPLINK_OPEN && ad_json_element(&rest, &element)) {
        b->taken++;
        if (!ad_uplink_take_element(b, element)) {
            b->wrong++;
        }
    }
}

static void ad_uplink_event_of(struct ad_uplink *b, const struct ad_ws_event *event)
{
    switch (event->kind) {
    case AD_WS_NOTHING:
    case AD_WS_PONG:
        break;
    case AD_WS_PING:
        if (!ad_uplink_put(b, 10, event->payload, event->len)) {
            ad_uplink_broken(b, "it does not read what it is sent");
        }
        break;
    case AD_WS_TEXT:
        ad_uplink_message(b, (const char *)event->payload, event->len);
        break;
    case AD_WS_CLOSE:
        ad_uplink_close(b, event->code == 0 ? 1000 : event->code, event->code == 1001,
                       event->code == 1001 ? "the board stops" : "the board closed it");
        break;
    case AD_WS_BINARY:
        ad_uplink_close(b, 1003, false, "a message is not text");
        break;
    case AD_WS_FAULT:
        ad_uplink_close(b, event->code, false,
                       event->code == 1009 ? "a message is too long"
                                           : "a frame is not RFC 6455's");
        break;
    }
}

static void ad_uplink_take(struct ad_uplink *b, uint8_t *data, size_t len)
{
    struct ad_ws_event event;
    size_t used = 0;

    b->taken = 0;
    while (used < len && b->phase == AD_UPLINK_OPEN) {
        used += ad_ws_next(&b->ws, data + used, len - used, b->in, b->control, &event);
        b->taken += event.kind == AD_WS_PING || event.kind == AD_WS_PONG;
        ad_uplink_event_of(b, &event);
    }
    ad_link_charge(&b->pace, len, b->taken);
    if (b->phase == AD_UPLINK_OPEN) {
        (void)ad_uplink_flush(b);
    }
}

/* Its descriptor is ready. */
static void ad_uplink_event(unsigned index, unsigned events)
{
    struct ad_uplink *b = &ad_uplinks.list[index];
    ssize_t got;

    if (b->phase == AD_UPLINK_FREE ||
        (b->phase == AD_UPLINK_OPEN && (events & AD_OUT) != 0 && !ad_uplink_flush(b)) ||
        (events & (AD_IN | AD_HUP)) == 0 ||
        (b->phase == AD_UPLINK_OPEN && ad_link_waits(&b->pace))) {
        return;
    }
    got = recv(b->fd, ad_link_input, sizeof(ad_link_input), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        ad_uplink_broken(b, "it broke off the connection");
        return;
    }
    if (b->phase == AD_UPLINK_OPEN) {
        ad_hub.bytes_received += (uint64_t)got;
        b->heard_ms = ad_hub.now_ms;
        ad_uplink_take(b, ad_link_input, (size_t)got);
    }
}

/* Those that waited and need not any more are read again. */
static void ad_uplinks_resume(void)
{
    unsigned i;

    for (i = 0; i < ad_uplinks.n_used; i++) {
        if (ad_uplinks.list[i].phase == AD_UPLINK_OPEN) {
            ad_uplink_watch(&ad_uplinks.list[i], ad_uplink_wants(&ad_uplinks.list[i]));
        }
    }
}

/* Once a second: pings, silence, keys that do not hold any more. */
static void ad_uplink_housekeeping(struct ad_uplink *b)
{
    uint32_t silent_ms = ad_hub.now_ms - b->heard_ms;

    if (b->phase == AD_UPLINK_ENDING) {
        if (silent_ms >= AD_LINGER_MS) {
            ad_uplink_drop(b);
        }
    } else if (b->keyed && !ad_grant_holds(&b->grant, ad_hub_unix_s())) {
        ad_uplink_close(b, 4401, false, "the key was revoked, or has expired");
    } else if (silent_ms >= AD_LINK_SILENCE_MS) {
        ad_uplink_broken(b, "it is silent");
    } else if (ad_hub.now_ms - b->took_ms >= AD_LINK_STALL_MS) {
        ad_uplink_broken(b, "it does not read what it is sent");
    } else if (silent_ms >= AD_LINK_PING_MS &&
               ad_hub.now_ms - b->pinged_ms >= AD_LINK_PING_MS) {
        b->pinged_ms = ad_hub.now_ms;
        (void)ad_uplink_put(b, 9, "", 0);
        (void)ad_uplink_flush(b);
    }
}

static void ad_uplinks_housekeeping(void)
{
    unsigned i;

    for (i = 0; i < ad_uplinks.n_used; i++) {
        if (ad_uplinks.list[i].phase != AD_UPLINK_FREE) {
            ad_uplink_housekeeping(&ad_uplinks.list[i]);
        }
    }
}

/* The hub stops: the boards are told so, and come back to who is there next. */
static void ad_uplinks_stop(void)
{
    unsigned i;

    for (i = 0; i < ad_uplinks.n_used; i++) {
        if (ad_uplinks.list[i].phase == AD_UPLINK_OPEN) {
            ad_uplink_close(&ad_uplinks.list[i], 1001, false, "the gateway stops");
        }
    }
}

static void ad_uplinks_end(void)
{
    unsigned i;

    for (i = 0; i < ad_uplinks.n_used; i++) {
        if (ad_uplinks.list[i].phase != AD_UPLINK_FREE) {
            ad_uplink_drop(&ad_uplinks.list[i]);
        }
    }
}

/* ---- commands to a board ---- */

/* See struct ad_node_link. */
static const char *ad_uplink_send(void *to, uint64_t number, const char *json, size_t len)
{
    struct ad_uplink *b = to;
    unsigned i = 0;

    while (i < AIDASH_UNFINISHED && b->asked[i] != 0) {
        i++;
    }
    if (i == AIDASH_UNFINISHED || !ad_uplink_put(b, 1, json, len)) {
        return "the board has not answered the commands before";
    }
    b->asked[i] = number;
    ad_uplink_watch(b, ad_uplink_wants(b)); /* the poller says when: this may be in the
                                             * middle of its own messages */
    return NULL;
}

/* ---- the beginning of a link ---- */

/* The open link of this node, or NULL. */
static struct ad_uplink *ad_uplink_of(const char *node)
{
    unsigned i;

    for (i = 0; i < ad_uplinks.n_used; i++) {
        if (ad_uplinks.list[i].phase == AD_UPLINK_OPEN &&
            strcmp(ad_uplinks.list[i].node, node) == 0) {
            return &ad_uplinks.list[i];
        }
    }
    return NULL;
}

static struct ad_uplink *ad_uplink_place(void)
{
    unsigned i;

    for (i = 0; i < ad_uplinks.n_used; i++) {
        if (ad_uplinks.list[i].phase == AD_UPLINK_FREE) {
            return &ad_uplinks.list[i];
        }
    }
    return i < AIDASH_LINKS ? &ad_uplinks.list[ad_uplinks.n_used++] : NULL;
}

/* Is this the board of the link `b`? A run is no secret: whoever has another key is not. */
static bool ad_uplink_same_board(const struct ad_uplink *b, const char *run,
                                 const struct ad_grant *grant)
{
    return run[0] != '\0' && strcmp(b->run, run) == 0 &&
           strcmp(b->grant.name, grant->name) == 0;
}

/* May a board of this name and run have a link? Returns NULL, or why not, a sentence;
 * *status is that of the answer. The same run takes its own link over: it knows before
 * us that the other one is broken. Another run does so when that one is silent. Who gets
 * no link leaves no board behind. */
static const char *ad_uplink_denial(const char *node, const char *run,
                                   const struct ad_grant *grant, unsigned *status,
                                   char out[AIDASH_TEXT_MAX + 1])
{
    const struct ad_uplink *old = ad_uplink_of(node);
    const struct ad_node *known = ad_node_find(node);

    *status = 409;
    if (old == NULL && known != NULL && known->link.send != NULL) {
        return "this node is one of --peer: give the board another name (--as-node)";
    }
    if (old != NULL && !ad_uplink_same_board(old, run, grant) &&
        ad_hub.now_ms - old->heard_ms < AD_UPLINK_ALIVE_MS) {
        (void)snprintf(out, AIDASH_TEXT_MAX + 1,
                       "another board of this name is linked, from %s: give one of them "
                       "another name (--as-node)", old->from);
        return out;
    }
    *status = 503;
    if (ad_uplink_place() == NULL) {
        return "all places for links of boards are taken (AIDASH_LINKS)";
    }
    if (old == NULL && (ad_node_get(node) == NULL)) {
        return "there are too many boards (AIDASH_NODES)";
    }
    return NULL;
}

/* What a link begins with. */
struct ad_uplink_begin {
    int fd; /* non-blocking */
    uint64_t address;
    uint32_t tls;
    const struct sockaddr_storage *peer;
    struct ad_grant grant; /* rights 0: it needed none */
    const char *node, *run;
    struct ad_slice key; /* Sec-WebSocket-Key */
};

/* A connection becomes a link, in a place that ad_uplink_place() gave: answer its
 * handshake, and say which event we know last. The socket is ours. */
static void ad_uplink_open(struct ad_uplink *b, const struct ad_uplink_begin *begin)
{
    struct ad_uplink *old = ad_uplink_of(begin->node);
    const struct ad_node_link link = {ad_uplink_send, b};
    char accept[AD_HANDSHAKE_ACCEPT + 1], last[AD_RUN_MAX + 40];
    struct ad_text t = ad_text_in(b->out, sizeof(b->out));
    struct ad_text l = ad_text_in(last, sizeof(last));

    uint64_t full_ns = b->pace.full_ns; /* who comes again and again is no faster */

    if (old != NULL) {
        ad_uplink_close(old, 4409, false, "the board has opened another link");
    }
    memset(b, 0, offsetof(struct ad_uplink, out));
    b->pace.full_ns = full_ns;
    b->phase = AD_UPLINK_OPEN;
    b->fd = begin->fd;
    b->tls = begin->tls;
    b->address = begin->address;
    b->grant = begin->grant;
    b->keyed = begin->grant.rights != 0;
    b->heard_ms = b->pinged_ms = b->took_ms = ad_hub.now_ms;
    b->since_us = ad_hub.now_us;
    b->ws.max = AD_LINK_MESSAGE;
    (void)snprintf(b->node, sizeof(b->node), "%s", begin->node);
    (void)snprintf(b->run, sizeof(b->run), "%s", begin->run);
    ad_address_text(begin->peer, b->from);
    ad_handshake_accept(begin->key, accept);
    ad_putf(&t,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
    b->out_len = t.len;
    ad_puts(&l, "{\"last\":\"");
    ad_node_put_last(&l, b->node);
    ad_puts(&l, "\"}");
    (void)ad_uplink_put(b, 1, l.at, l.len);
    (void)ad_node_link(b->node, &link);
    ad_log(AIDASH_LOG_INFO, "board '%s' from %s: the link is up", b->node, b->from);
    (void)ad_uplink_flush(b);
}

/* The member of GET /status: the links of boards; nothing without any. */
static void ad_put_uplinks(struct ad_text *t)
{
    const char *before = ",\"links\":[";
    unsigned i;

    for (i = 0; i < ad_uplinks.n_used; i++) {
        const struct ad_uplink *b = &ad_uplinks.list[i];

        if (b->phase != AD_UPLINK_OPEN) {
            continue;
        }
        ad_puts(t, before);
        ad_puts(t, "{\"node\":");
        ad_put_string(t, b->node);
        ad_puts(t, ",\"from\":");
        ad_put_string(t, b->from);
        ad_puts(t, ",\"since\":");
        ad_put_decimal(t, b->since_us, 6);
        ad_putf(t, ",\"events\":%llu,\"wrong\":%llu,\"slowed\":%llu}",
                (unsigned long long)b->n_events, (unsigned long long)b->wrong,
                (unsigned long long)b->pace.slowed);
        before = ",";
    }
    if (before[1] == '\0') {
        ad_puts(t, "]");
    }
}

AD_MEMORY(uplinks, AIDASH_LINKS, sizeof(ad_uplinks));

#endif /* AD_FLEET */

#endif
