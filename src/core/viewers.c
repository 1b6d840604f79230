/* viewers.c - the hello that viewers get, the WebSocket messages that
 * they send (RFC 6455), their pings.
 * Hub thread only. Answers are written to *reply: who calls sends it.
 */
#ifndef AD_CORE_VIEWERS_C
#define AD_CORE_VIEWERS_C

#include "clients.c"
#include "commands.c"

static void ad_put_hello(struct ad_text *t, const char *client_id,
                         uint64_t next_seq, const struct ad_asker *who)
{
    ad_puts(t, "{\"event\":\"hello\",\"server\":\"aidash\",\"version\":\""
               AIDASH_VERSION "\",\"client_id\":");
    ad_put_string(t, client_id);
    ad_puts(t, ",\"started\":");
    ad_put_decimal(t, ad_hub.start_us, 6);
    ad_puts(t, ",");
    ad_put_engine(t);
    ad_putf(t,
            ",\"next_seq\":%llu,\"limits\":{\"message_bytes\":%d,"
            "\"backlog_events\":%u,\"clients\":%d,\"ping_s\":%d,"
            "\"silence_s\":%d,\"stall_s\":%d},\"run\":\"%s\",\"rights\":",
            (unsigned long long)next_seq, AIDASH_MESSAGE_MAX,
            ad_fanout.backlog, AIDASH_CLIENTS, AD_PING_MS / 1000,
            AD_SILENCE_MS / 1000, AD_STALL_MS / 1000,
            ad_hub.run);
    ad_put_rights_json(t, ad_rights_of(who));
    ad_puts(t, "}");
}

/* Begin to close a WebSocket. RFC 6455 7.4.1; code 0: no code was given. `why` is
 * for people, at most 123 bytes (5.5.1), or "". */
static void ad_ws_close(struct ad_client *c, unsigned code, const char *why,
                        struct ad_text *reply)
{
    char bytes[125];
    struct ad_text payload = ad_text_in(bytes, sizeof(bytes));
    char code_bytes[2] = {(char)(code >> 8), (char)code};

    if (code != 0) {
        ad_put(&payload, code_bytes, sizeof(code_bytes));
        ad_puts(&payload, why);
    }
    ad_put_frame(reply, 8, payload.at, payload.len);
    ad_client_end(c);
}

/* Close a WebSocket whose credential is missing, wrong, expired or revoked: a code
 * of those for applications (RFC 6455 7.4.2), as 401 is HTTP's. */
enum { AD_WS_UNAUTHORIZED = 4401 };

static void ad_ws_refuse(struct ad_client *c, enum ad_fault fault,
                         struct ad_text *reply)
{
    ad_ws_close(c, AD_WS_UNAUTHORIZED, ad_fault_text(fault), reply);
}

/* A message that brings a credential: a viewer that waits for it begins to get
 * events, any other may more than before. */
static void ad_viewer_auth(struct ad_client *c, enum ad_fault fault,
                           struct ad_slice token, const char *id,
                           struct ad_text *reply)
{
    char json[AD_EVENT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));
    struct ad_asker who = ad_client_asker(c);
    const char *why = NULL;

    if (fault == AD_FAULT_NONE &&
        ad_credential_judge(token, ad_hub_unix_s(), &who.grant, &why) !=
            AD_CREDENTIAL_GOOD) {
        fault = ad_address_is_own(c->address) ||
                        ad_throttle_failed(c->address, ad_hub.now_ns) == 0
                    ? AD_FAULT_TOKEN_BAD
                    : AD_FAULT_TOKENS_BAD;
    }
    if (fault == AD_FAULT_NONE && c->waits &&
        ad_right_denial(&who, AD_MAY_VIEW) != AD_DENIAL_NONE) {
        fault = AD_FAULT_VIEW_NARROW;
    }
    if (fault == AD_FAULT_TOKENS_BAD || (fault != AD_FAULT_NONE && c->waits)) {
        ad_ws_close(c, AD_WS_UNAUTHORIZED,
                    why != NULL ? why : ad_fault_text(fault), reply);
        return;
    }
    if (fault != AD_FAULT_NONE) {
        ad_commands.errors++;
        ad_put_error(&t, fault, id);
        ad_put_frame(reply, 1, t.at, t.len);
        return;
    }
    ad_client_set_grant(c, &who.grant);
    ad_puts(&t, "{\"event\":\"ack\",\"action\":\"auth\"");
    if (id[0] != '\0') {
        ad_puts(&t, ",\"id\":");
        ad_puts(&t, id);
    }
    ad_puts(&t, ",\"rights\":");
    ad_put_rights_json(&t, ad_rights_of(&who));
    ad_puts(&t, "}");
    ad_put_frame(reply, 1, t.at, t.len);
    if (c->waits) {
        ad_client_set_waiting(c, false);
        c->next = ad_feed.next;
        ad_client_subscribe(c);
        t.len = 0;
        ad_put_hello(&t, ad_client_ids[ad_client_index(c)], c->next, &who);
        ad_put_frame(reply, 1, t.at, t.len);
    }
}

/* A text message: a credential, or a command. */
static void ad_ws_text(struct ad_client *c, const struct ad_ws_event *event,
                       struct ad_text *reply)
{
    char json[AD_REPLY_MAX], id[AD_ID_MAX + 1];
    struct ad_text t = ad_text_in(json, sizeof(json));
    struct ad_slice token = {"", 0};
    enum ad_fault fault = ad_auth_parse((const char *)event->payload, event->len,
                                        &token, id);
    struct ad_asker who;

    if (fault != AD_FAULT_ACTION_UNKNOWN) {
        ad_viewer_auth(c, fault, token, id, reply);
        return;
    }
    if (c->waits) {
        ad_ws_refuse(c, AD_FAULT_AUTH_FIRST, reply);
        return;
    }
    who = ad_client_asker(c);
    (void)ad_command(event->payload, event->len,
                     ad_client_ids[ad_client_index(c)], ad_client_socket(c), &who,
                     ad_address_is_own(c->address) ? NULL : &c->command_full_ns,
                     &t);
    ad_put_frame(reply, 1, t.at, t.len);
}

/* Answer what has come. RFC 6455 5.5, 7.4. */
static void ad_ws_answer(struct ad_client *c, const struct ad_ws_event *event,
                         struct ad_text *reply)
{
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    switch (event->kind) {
    case AD_WS_TEXT:
        ad_ws_text(c, event, reply);
        break;
    case AD_WS_BINARY:
        if (c->waits) {
            ad_ws_refuse(c, AD_FAULT_AUTH_FIRST, reply);
            break;
        }
        ad_commands.errors++;
        ad_put_error(&t, AD_FAULT_NOT_TEXT, "");
        ad_put_frame(reply, 1, t.at, t.len);
        break;
    case AD_WS_PING:
        ad_put_frame(reply, 10, event->payload, event->len);
        break;
    case AD_WS_CLOSE:
    case AD_WS_FAULT:
        ad_ws_close(c, event->code, "", reply);
        break;
    default:
        break;
    }
}

/* Bytes of an open WebSocket. Stops when one more answer would not fit, or when
 * the events that commands make are due for a fan-out. Returns how many were
 * used. Only a frame that comes in pieces costs the client's buffers. */
static size_t ad_ws_input(struct ad_client *c, uint8_t *data, size_t len,
                          struct ad_text *reply)
{
    struct ad_client_buffers *buffers = ad_client_buffers_of(c);
    struct ad_ws_event event;
    size_t used = 0;

    while (used < len && c->phase == AD_OPEN && ad_client_room(c, reply->len) &&
           !ad_events_due()) {
        used += ad_ws_next(&c->in.ws, data + used, len - used, buffers->in,
                           buffers->control, &event);
        ad_ws_answer(c, &event, reply);
    }
    return c->phase == AD_OPEN ? used : len; /* behind a close frame: nothing */
}
_Static_assert(AD_REPLY_MAX >= 125 + 4, "a pong fits the room kept for answers");

/* HTML 9.2.6: a comment, which no client shows. */
static void ad_put_sse_ping(struct ad_text *t)
{
    ad_puts(t, ": ping\n\n");
}

/* Once a second, while it is open: the end of a viewer whose credential no longer
 * holds, or did not come; else, if its socket takes all, a ping, or the end of a
 * WebSocket that has been silent for too long. */
static bool ad_viewer_housekeeping(struct ad_client *c)
{
    uint32_t silent_ms = ad_hub.now_ms - c->rx_ms;
    char bytes[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(bytes, sizeof(bytes));
    bool ws = ad_client_is_ws(c);

    if (c->waits && ad_hub.now_ms - c->since_ms >= AD_AUTH_MS) {
        ad_ws_refuse(c, AD_FAULT_AUTH_FIRST, &t);
        return ad_client_send(c, &t);
    }
    if (!ad_client_holds(c)) {
        if (ws) {
            ad_ws_refuse(c, AD_FAULT_TOKEN_BAD, &t);
        } else {
            ad_client_end(c);
        }
        return ad_client_send(c, &t);
    }
    if (ws && silent_ms >= AD_SILENCE_MS) {
        ad_ws_close(c, 1001, "no answer to a ping", &t);
        return ad_client_send(c, &t);
    }
    if (c->blocked || ad_hub.now_ms - c->ping_ms < AD_PING_MS ||
        (ws && silent_ms < AD_PING_MS)) {
        return true;
    }
    c->ping_ms = ad_hub.now_ms;
    if (ws) {
        ad_put_frame(&t, 9, "", 0);
    } else {
        ad_put_sse_ping(&t);
    }
    return ad_client_send(c, &t);
}

#endif
