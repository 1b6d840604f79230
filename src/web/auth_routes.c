/* auth_routes.c - signing in and out: /auth and what is below it.
 * Owns ad_signing: who waits for a change of the key file, and what `aidash pair` is
 * to be told. The keys are guard/keys.c's, the codes guard/pairing.c's. Hub thread
 * only.
 *
 * The hub never waits for the file. A request that changes it takes a place here, and
 * gets its answer, and its cookie, when the change is on the disk: a browser never has
 * a key that a power cut takes away. core/key_writer.c makes the changes, one at a
 * time. Who waits longer than AD_SIGN_IN_MS, because another program has the lock, gets
 * 503. A device whose connection was reset meanwhile leaves no key behind.
 *
 * A browser's key is in a cookie that scripts can't read (RFC 6265): its name has the
 * port, as cookies do not know ports. The key of a device is in the cookie
 * aidash_PORT, and signing out revokes it; a token that was given to somebody, maybe
 * to several, is in aidash_PORT_token, and signing out forgets it.
 *
 * Each POST is for pages of our own and for programs: never for pages elsewhere,
 * whichever --allow-origin lets in.
 */
#ifndef AD_WEB_AUTH_ROUTES_C
#define AD_WEB_AUTH_ROUTES_C

#include "../core/accept.c"
#include "../core/attach.c"
#include "../core/key_writer.c"
#include "../guard/throttle.c"
#include "route.c"

enum {
    AD_SIGN_IN_MS = 5000, /* so long another program may have the lock */
    AD_AUTH_YEAR_S = 365 * 86400,
    /* Bytes: with name and attributes within the 4096 of a cookie that browsers take
     * (RFC 6265 6.1). */
    AD_AUTH_TOKEN_MAX = AIDASH_MESSAGE_MAX < 3800 ? AIDASH_MESSAGE_MAX : 3800,
    AD_AUTH_COOKIE_MAX = 160, /* bytes of a Set-Cookie line besides its value */
    /* header lines of an answer: two cookies, one of which has a value */
    AD_AUTH_FIELDS_MAX = AD_AUTH_TOKEN_MAX + 3 * AD_AUTH_COOKIE_MAX
};
_Static_assert(AD_AUTH_FIELDS_MAX + 3 * AD_REPLY_MAX <= AD_OUT_CAP,
               "an answer fits what a client is sent");

/* A request whose body has come, and its answer. */
struct ad_auth {
    struct ad_asker who;
    const struct ad_auth_head *head;
    uint64_t address; /* as ad_address_key() has it */
    struct ad_json *json; /* of the body; NULL: it is empty */
    struct ad_text *fields, *out;
    unsigned client; /* its slot */
};

/* A handler's status: the answer comes when the key file is written. */
enum { AD_AUTH_LATER = 0 };

/* A request that waits for a change of the key file. */
struct ad_sign_in {
    uint32_t ticket; /* its client's, while that waits; 0: the place is free */
    unsigned client; /* its slot */
    uint32_t since_ms;
    struct ad_key_question question;
    char ask[AD_ASK_ID + 1]; /* of the device that asked; "": another request */
};

static struct {
    uint32_t tickets;          /* given so far */
    unsigned next;             /* who is asked for first */
    struct ad_sign_in *asked;  /* whom the writer's question is about; NULL: none */
    uint32_t lost;             /* a key whose device has left: to be revoked; 0: none */
    bool code_left;            /* `aidash pair` has left a code */
    bool tells;                /* it is to be told `told` */
    char told[AD_PAIR_FILE_MAX];
    size_t told_len;
    struct ad_sign_in list[AIDASH_SIGN_INS];
} ad_signing;

/* Before each run. */
static void ad_auth_init(void)
{
    memset(&ad_signing, 0, sizeof(ad_signing));
}

/* ---- answers ---- */

/* {"name":…,"rights":[…],"local":…,"needs":{…}} */
static void ad_put_auth(struct ad_text *t, const struct ad_asker *who)
{
    static const char *const names[AD_MODES] = {
        [AD_MODE_OPEN] = "open", [AD_MODE_REMOTE_KEY] = "key", [AD_MODE_KEY] = "key",
        [AD_MODE_LOCAL] = "local"};
    unsigned i;

    ad_puts(t, "{\"name\":");
    if (who->grant.rights != 0) {
        ad_put_string(t, who->grant.name);
    } else {
        ad_puts(t, "null");
    }
    ad_puts(t, ",\"rights\":");
    ad_put_rights_json(t, ad_rights_of(who));
    ad_putf(t, ",\"local\":%s,\"needs\":{", who->local ? "true" : "false");
    for (i = 0; i < AD_RIGHTS; i++) {
        ad_putf(t, "%s\"%s\":\"%s\"", i > 0 ? "," : "", ad_right_names[i],
                names[ad_right_needs(1u << i, who->local)]);
    }
    ad_puts(t, "}}");
}

/* GET /auth. */
static void ad_route_auth(const struct ad_route_request *r)
{
    char body[AD_REPLY_MAX], fields[AD_CORS_MAX + sizeof(AD_FIELDS_FRESH)];
    struct ad_text j = ad_text_in(body, sizeof(body));
    struct ad_text t = ad_text_in(ad_pending_buffer(r->pending), AIDASH_HEAD_MAX);

    ad_put_auth(&j, &r->who);
    (void)snprintf(fields, sizeof(fields), AD_FIELDS_FRESH "%s", r->cors);
    ad_put_head(&t, 200, "application/json", j.len, fields);
    if (!r->head_only) {
        ad_put(&t, j.at, j.len);
    }
    ad_pending_answer(r->pending, t.len);
}

static int ad_auth_refuse(const struct ad_auth *a, int status, const char *why)
{
    ad_put_http_error(a->out, status, why);
    return status;
}

static int ad_auth_wait(const struct ad_auth *a, unsigned wait_s)
{
    ad_putf(a->fields, "Retry-After: %u\r\n", wait_s);
    return ad_auth_refuse(a, 429, "too many wrong codes or keys came from this "
                                  "address: wait");
}

/* A credential was wrong, which counts against the budget of its address. */
static int ad_auth_failed(const struct ad_auth *a, int status, const char *why)
{
    unsigned wait_s = ad_throttle_failed(a->address, ad_hub.now_ns);

    return wait_s > 0 ? ad_auth_wait(a, wait_s) : ad_auth_refuse(a, status, why);
}

/* A Set-Cookie line of our cookie; `suffix` is "" or "_token". age_s 0 removes it. */
static void ad_auth_cookie(const struct ad_auth *a, const char *suffix,
                           struct ad_slice value, int64_t age_s)
{
    ad_putf(a->fields, "Set-Cookie: " AD_COOKIE_PREFIX "%u%s=",
            ad_acceptor.ports[0], suffix);
    if (value.len > 0) {
        ad_put(a->fields, value.at, value.len);
    }
    ad_putf(a->fields, "; Path=/; Max-Age=%lld; HttpOnly; SameSite=Strict%s\r\n",
            (long long)age_s, a->head->secure ? "; Secure" : "");
}

/* How long a cookie lasts whose credential expires then. */
static int64_t ad_auth_age_s(int64_t expires_s)
{
    int64_t left_s = expires_s - ad_hub_unix_s();

    return expires_s == 0 || left_s > AD_AUTH_YEAR_S ? AD_AUTH_YEAR_S : left_s;
}

/* The name in the body, or "device"; NULL if it is none. */
static const char *ad_auth_name(const struct ad_auth *a,
                                char out[AD_GRANT_NAME_MAX + 1])
{
    const jsmntok_t *t = a->json != NULL ? ad_json_get(a->json, "name") : NULL;

    if (t == NULL || ad_json_is_null(a->json, t)) {
        return "device";
    }
    return ad_json_name(a->json, t, out, AD_GRANT_NAME_MAX) && out[0] != '\0' ? out
                                                                             : NULL;
}

/* A text in the body. False if it is not there, no string, or longer than max. */
static bool ad_auth_text(const struct ad_auth *a, const char *key, char *out,
                         size_t max)
{
    const jsmntok_t *t = a->json != NULL ? ad_json_get(a->json, key) : NULL;

    return t != NULL && ad_json_name(a->json, t, out, max);
}

/* Take what people write between digits out of a code. */
static void ad_auth_digits(char *code)
{
    char *to = code;

    for (; *code != '\0'; code++) {
        if (*code != ' ' && *code != '-') {
            *to++ = *code;
        }
    }
    *to = '\0';
}

/* The request waits for this change. `ask`: the secret of a device that asked, or "". */
static int ad_auth_change(const struct ad_auth *a, const struct ad_key_question *q,
                          const char *ask)
{
    struct ad_auth_head *head = &ad_client_buffers[a->client].auth;
    unsigned i = 0;

    while (i < AIDASH_SIGN_INS && ad_signing.list[i].ticket != 0) {
        i++;
    }
    if (i == AIDASH_SIGN_INS) {
        ad_puts(a->fields, "Retry-After: 1\r\n");
        return ad_auth_refuse(a, 503, "others are signing in: try again");
    }
    ad_signing.tickets++;
    if (ad_signing.tickets == 0) {
        ad_signing.tickets = 1;
    }
    head->ticket = ad_signing.tickets;
    ad_signing.list[i].ticket = head->ticket;
    ad_signing.list[i].client = a->client;
    ad_signing.list[i].since_ms = ad_hub.now_ms;
    ad_signing.list[i].question = *q;
    (void)snprintf(ad_signing.list[i].ask, sizeof(ad_signing.list[i].ask), "%s", ask);
    return AD_AUTH_LATER;
}

/* The device becomes a new key's, which expires then (Unix time; 0: never); the one
 * that it had is revoked. */
static int ad_auth_sign_in(const struct ad_auth *a, const char *name, unsigned rights,
                           int64_t expires_s, const char *ask)
{
    struct ad_key_question q = {.job = AD_KEY_JOB_ADD,
                                .rights = (uint8_t)rights,
                                .expires_s = expires_s,
                                .number = a->head->device_key};

    if (!ad_state_is_set()) {
        return ad_auth_refuse(a, 503, "this aidash keeps no keys (--state-dir)");
    }
    (void)snprintf(q.name, sizeof(q.name), "%s", name);
    return ad_auth_change(a, &q, ask);
}

/* Its key is written. */
static int ad_auth_signed_in(struct ad_auth *a, const struct ad_key_answer *answer)
{
    static const struct ad_slice none = {"", 0};

    a->who.grant = answer->grant;
    ad_log(AIDASH_LOG_INFO, "key %u: %s has signed in", answer->grant.key,
           answer->grant.name);
    ad_auth_cookie(a, "", ad_slice_of(answer->secret), ad_auth_age_s(answer->grant.expires_s));
    ad_auth_cookie(a, "_token", none, 0);
    ad_put_auth(a->out, &a->who);
    return 200;
}

/* The key of the device is gone, if it had one. */
static int ad_auth_signed_out(const struct ad_auth *a)
{
    static const struct ad_slice none = {"", 0};
    struct ad_asker nobody = {.local = a->who.local};

    ad_auth_cookie(a, "", none, 0);
    ad_auth_cookie(a, "_token", none, 0);
    ad_put_auth(a->out, &nobody);
    return 200;
}

/* ---- what is asked ---- */

/* {"code":"12345678","name":"…"} */
static int ad_auth_pair(struct ad_auth *a)
{
    char code[32], name[AD_GRANT_NAME_MAX + 1];
    const char *device = ad_auth_name(a, name);
    unsigned rights = 0, wait_s;

    if (!ad_auth_text(a, "code", code, sizeof(code) - 1) || device == NULL) {
        return ad_auth_refuse(a, 400, "code must be the 8 digits that `aidash pair` "
                                      "shows; name is 1 to 63 bytes");
    }
    ad_auth_digits(code);
    if (strlen(code) != AD_PAIR_DIGITS || strspn(code, "0123456789") != AD_PAIR_DIGITS) {
        return ad_auth_refuse(a, 400, "a code has 8 digits");
    }
    wait_s = ad_throttle_blocked(a->address, ad_hub.now_ns);
    if (wait_s > 0) {
        return ad_auth_wait(a, wait_s);
    }
    switch (ad_pair_try(ad_slice_of(code), a->address, ad_hub.now_ms, &rights)) {
    case AD_PAIR_GOOD:
        return ad_auth_sign_in(a, device, rights, 0, "");
    case AD_PAIR_PAUSE:
        return ad_auth_wait(a, ad_pair_wait_s(a->address, ad_hub.now_ms));
    case AD_PAIR_NONE:
        return ad_auth_failed(a, 410, "no code is valid now: `aidash pair`, on the "
                                      "machine where aidash runs, shows a new one");
    default:
        return ad_auth_failed(a, 403, "the code is wrong");
    }
}

/* {"token":"…"}: a key or a token becomes a cookie. */
static int ad_auth_token(struct ad_auth *a)
{
    char token[AD_AUTH_TOKEN_MAX + 1];
    struct ad_slice text;
    const char *why;

    if (!ad_auth_text(a, "token", token, AD_AUTH_TOKEN_MAX)) {
        return ad_auth_refuse(a, 400, "token must be a text that is not longer than a "
                                      "cookie may be");
    }
    text = ad_slice_of(token);
    if (ad_credential_judge(text, ad_hub_unix_s(), &a->who.grant, &why) !=
        AD_CREDENTIAL_GOOD) {
        return ad_auth_failed(a, 403,
                              why != NULL ? why
                                          : "the token is wrong, has expired or was "
                                            "revoked");
    }
    ad_auth_cookie(a, "_token", text, ad_auth_age_s(a->who.grant.expires_s));
    ad_put_auth(a->out, &a->who);
    return 200;
}

/* {"name":"…"}: a device asks to be let in. */
static int ad_auth_ask(struct ad_auth *a)
{
    char name[AD_GRANT_NAME_MAX + 1];
    const char *device = ad_auth_name(a, name);
    const struct ad_ask *ask;

    if (device == NULL) {
        return ad_auth_refuse(a, 400, "name must be 1 to 63 bytes without control "
                                      "characters");
    }
    if (!ad_state_is_set()) {
        return ad_auth_refuse(a, 410, "this aidash keeps no keys (--state-dir)");
    }
    ask = ad_ask_begin(device, a->address, ad_hub.now_ms);
    if (ask == NULL) {
        ad_puts(a->fields, "Retry-After: 5\r\n");
        return ad_auth_refuse(a, 503, "the system has no random numbers yet");
    }
    ad_putf(a->out, "{\"ask\":\"%s\",\"code\":\"%s\",\"expires_s\":%d}", ask->id,
            ask->code, AD_PAIR_MS / 1000);
    return 200;
}

/* {"ask":"…"}: is it let in? */
static int ad_auth_asked(struct ad_auth *a)
{
    char id[AD_ASK_ID + 1];
    struct ad_ask *ask;
    int status;

    if (!ad_auth_text(a, "ask", id, AD_ASK_ID)) {
        return ad_auth_refuse(a, 400, "ask must be what POST /auth/ask answered");
    }
    ask = ad_ask_of(ad_slice_of(id), ad_hub.now_ms);
    if (ask == NULL) {
        return ad_auth_refuse(a, 410, "this device does not ask, or its time is "
                                      "over: ask again");
    }
    switch (ask->state) {
    case AD_ASK_APPROVED:
        if (ask->expires_s != 0 && ask->expires_s <= ad_hub_unix_s()) {
            ad_ask_end(ask);
            return ad_auth_refuse(a, 410, "the key of the device that let this one in "
                                          "has expired: ask again");
        }
        status = ad_auth_sign_in(a, ask->name, ask->rights, ask->expires_s, ask->id);
        if (status == AD_AUTH_LATER) {
            ask->state = AD_ASK_SIGNS_IN;
        }
        return status;
    case AD_ASK_REFUSED:
        ad_ask_end(ask);
        return ad_auth_refuse(a, 403, "this device was refused");
    default:
        ad_puts(a->out, "{\"waiting\":true}");
        return 202;
    }
}

/* The rights in the body: those of `may`, of which `usual` are meant if it has none.
 * False if it is no list of them, or one is not in `may`. */
static bool ad_auth_rights(const struct ad_auth *a, unsigned may, unsigned usual,
                           unsigned *rights)
{
    const jsmntok_t *list = ad_json_get(a->json, "rights"), *t;

    *rights = may & usual;
    if (list == NULL || ad_json_is_null(a->json, list)) {
        return true;
    }
    if (list->type != JSMN_ARRAY) {
        return false;
    }
    *rights = 0;
    for (t = list + 1; t < a->json->token + a->json->n && t->start < list->end; t++) {
        unsigned right = t->type == JSMN_STRING
                             ? ad_right_of(a->json->text + t->start, ad_json_len(t))
                             : 0;

        if (right == 0) {
            return false;
        }
        *rights |= right;
    }
    return (*rights & ~may) == 0;
}

/* {"code":"1234","rights":["view","control"]}: a device that is signed in lets in the
 * one that shows this code, for as long as it is itself; no rights refuse it. Where control is open to everybody, a
 * key is needed all the same: keys outlive such a run. */
static int ad_auth_approve(struct ad_auth *a)
{
    bool here = a->who.local &&
                ad_right_denial(&a->who, AD_MAY_CONTROL) == AD_DENIAL_NONE;
    unsigned may = here ? ad_rights_of(&a->who) : a->who.grant.rights, rights;
    const struct ad_ask *ask;
    char code[32];

    if ((may & AD_MAY_CONTROL) == 0) {
        bool known = a->who.grant.rights != 0;

        ad_putf(a->fields, "WWW-Authenticate: Bearer realm=\"aidash\"%s\r\n",
                known ? ", error=\"insufficient_scope\"" : "");
        return ad_auth_refuse(a, known ? 403 : 401,
                              "only a device that has signed in with the right "
                              "control can let in another one");
    }
    if (!ad_auth_text(a, "code", code, sizeof(code) - 1)) {
        return ad_auth_refuse(a, 400, "code must be the 4 digits that the other "
                                      "device shows");
    }
    ad_auth_digits(code);
    if (!ad_auth_rights(a, may, AD_MAY_VIEW | AD_MAY_CONTROL, &rights)) {
        return ad_auth_refuse(a, 400, "rights must be a list of the rights that this "
                                      "device has itself");
    }
    ask = ad_ask_approve(ad_slice_of(code), rights,
                         here ? 0 : a->who.grant.expires_s, ad_hub.now_ms);
    if (ask == NULL) {
        return ad_auth_failed(a, 404, "no device that asks shows this code");
    }
    ad_puts(a->out, "{\"name\":");
    ad_put_string(a->out, ask->name);
    ad_puts(a->out, ",\"rights\":");
    ad_put_rights_json(a->out, rights);
    ad_puts(a->out, "}");
    return 200;
}

static int ad_auth_sign_out(struct ad_auth *a)
{
    const struct ad_key_question q = {.job = AD_KEY_JOB_REVOKE,
                                      .number = a->head->device_key};

    return q.number != 0 ? ad_auth_change(a, &q, "") : ad_auth_signed_out(a);
}

/* ---- bodies ---- */

static const struct {
    const char *path;
    int (*answer)(struct ad_auth *a);
    bool may_be_empty;
} ad_auth_posts[] = {
    {"/auth/pair", ad_auth_pair, false},
    {"/auth/token", ad_auth_token, false},
    {"/auth/ask", ad_auth_ask, true},
    {"/auth/asked", ad_auth_asked, false},
    {"/auth/approve", ad_auth_approve, false},
    {"/auth/sign-out", ad_auth_sign_out, true},
};

/* The answer into *reply, which ends the exchange. */
static void ad_auth_reply(struct ad_client *c, const struct ad_auth *a, int status,
                          struct ad_text *reply)
{
    a->fields->at[a->fields->len] = '\0';
    ad_put_head(reply, status, "application/json", a->out->len, a->fields->at);
    ad_put(reply, a->out->at, a->out->len);
    ad_client_end(c);
}

/* The body of one of these has come: the answer into *reply, or the request waits for
 * the key file. */
static void ad_auth_body(struct ad_client *c, const uint8_t *body, size_t len,
                         struct ad_text *reply)
{
    const struct ad_auth_head *head = &ad_client_buffers_of(c)->auth;
    char fields[AD_AUTH_FIELDS_MAX], out[AD_REPLY_MAX];
    struct ad_text f = ad_text_in(fields, sizeof(fields) - 1);
    struct ad_text o = ad_text_in(out, sizeof(out));
    struct ad_auth a = {ad_client_asker(c), head, c->address, NULL, &f, &o,
                        ad_client_index(c)};
    enum ad_fault fault = AD_FAULT_NONE;
    struct ad_json json;
    int status;

    ad_puts(&f, AD_FIELDS_FRESH);
    if (!ad_is_blank(body, len) || !ad_auth_posts[head->post].may_be_empty) {
        fault = ad_json_object(&json, (const char *)body, len);
        a.json = &json;
    }
    status = fault != AD_FAULT_NONE ? ad_auth_refuse(&a, 400, ad_fault_text(fault))
                                    : ad_auth_posts[head->post].answer(&a);
    if (status != AD_AUTH_LATER) {
        ad_auth_reply(c, &a, status, reply);
    }
}

/* The key in the cookie of this device, 0 if it has none that is good. */
static uint32_t ad_auth_device_key(const struct ad_route_request *r)
{
    char name[32];
    struct ad_slice rest, pair, key;
    struct ad_grant grant;
    size_t i;

    (void)snprintf(name, sizeof(name), AD_COOKIE_PREFIX "%u", ad_acceptor.ports[0]);
    for (i = 0; i < r->head.fields.n; i++) {
        if (!ad_slice_is_nocase(r->head.fields.at[i].name, "Cookie")) {
            continue;
        }
        rest = r->head.fields.at[i].value;
        while (ad_credential_cut(&rest, ';', &pair)) {
            pair = ad_slice_trim(pair);
            if (ad_credential_cut(&pair, '=', &key) && ad_slice_is(key, name) &&
                ad_keys_find(pair, &grant)) {
                return grant.key;
            }
        }
    }
    return 0;
}

/* What of the head of a POST below /auth its body's answer needs. False, and it was
 * answered, if a page elsewhere asks. */
static bool ad_auth_begin(const struct ad_route_request *r, struct ad_auth_head *head)
{
    unsigned i = 0;

    while (i + 1 < AD_COUNT(ad_auth_posts) &&
           !ad_slice_is(r->head.path, ad_auth_posts[i].path)) {
        i++;
    }
    if (!r->verdict.own) {
        ad_route_refuse(r, 403, "", "only pages of this server may sign in or out");
        return false;
    }
    memset(head, 0, sizeof(*head));
    head->answer = ad_auth_body;
    head->post = (uint8_t)i;
    /* A browser names the scheme of the page that asks, also behind a proxy. */
    head->secure = ad_slice_begins(r->verdict.origin, "https:");
#if AIDASH_TLS
    head->secure = head->secure || r->pending->tls != 0;
#endif
    head->device_key = ad_auth_device_key(r);
    return true;
}

/* ---- `aidash pair` ---- */

/* Where people reach us: the first listener that is not for this machine alone, else
 * the first. */
static unsigned ad_auth_listener(void)
{
    unsigned i;

    for (i = 0; i < ad_acceptor.n_listeners; i++) {
        struct ad_slice host = {ad_acceptor.listen[i],
                                ad_spec_host(ad_acceptor.listen[i])};

        if (!ad_slice_begins(host, "127.") && !ad_slice_is(host, "localhost") &&
            !ad_slice_is(host, "[::1]")) {
            return i;
        }
    }
    return 0;
}

/* The code that `aidash pair` has left is fetched: tell it where we are. */
static void ad_auth_fetched(const char *text, size_t len)
{
    struct ad_text t = ad_text_in(ad_signing.told, sizeof(ad_signing.told));
    unsigned i = ad_auth_listener();
    const char *scheme = "http";
    size_t host = ad_spec_host(ad_acceptor.listen[i]);

    if (len == SIZE_MAX || !ad_pair_take(text, len, ad_hub.now_ms)) {
        return;
    }
#if AIDASH_TLS
    scheme = ad_pumps.serving ? "https" : scheme;
#endif
    ad_put(&t, text, len);
    ad_putf(&t, "%s %u %.*s\n", scheme, ad_acceptor.ports[i], host == 0 ? 1 : (int)host,
            host == 0 ? "*" : ad_acceptor.listen[i]);
    ad_signing.told_len = t.len;
    ad_signing.tells = true;
}

/* ---- changes of the key file ---- */

/* Has somebody waited here too long? */
static bool ad_sign_in_late(const struct ad_sign_in *s)
{
    return s->ticket != 0 && ad_hub.now_ms - s->since_ms >= AD_SIGN_IN_MS;
}

/* The client that waits in this place; NULL: it has left. */
static struct ad_client *ad_sign_in_client(const struct ad_sign_in *s)
{
    struct ad_client *c = &ad_clients[s->client];

    return ad_exchange_waits(c) && ad_client_buffers_of(c)->auth.ticket == s->ticket
               ? c
               : NULL;
}

/* Answer who waits in this place, and free it. `answer` NULL: its time is over.
 * False if it has left. */
static bool ad_sign_in_end(struct ad_sign_in *s, const struct ad_key_answer *answer)
{
    struct ad_client *c = ad_sign_in_client(s);
    struct ad_ask *ask = ad_ask_of(ad_slice_of(s->ask), ad_hub.now_ms);
    char bytes[AD_OUT_CAP], fields[AD_AUTH_FIELDS_MAX], out[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(bytes, sizeof(bytes));
    struct ad_text f = ad_text_in(fields, sizeof(fields) - 1);
    struct ad_text o = ad_text_in(out, sizeof(out));
    bool done = answer != NULL && answer->result == AD_KEY_DONE;
    int status;

    if (s->question.job == AD_KEY_JOB_REVOKE) {
        done = !ad_keys_valid(s->question.number); /* whoever has revoked it */
    }
    if (ask != NULL && done && c != NULL) {
        ad_ask_end(ask);
    } else if (ask != NULL) {
        ask->state = AD_ASK_APPROVED; /* it may try again */
    }
    s->ticket = 0;
    if (c == NULL) {
        return false;
    }
    {
        struct ad_auth a = {ad_client_asker(c), &ad_client_buffers_of(c)->auth,
                            c->address, NULL, &f, &o, s->client};

        ad_puts(&f, AD_FIELDS_FRESH);
        if (!done) {
            ad_puts(&f, "Retry-After: 5\r\n");
            status = ad_auth_refuse(&a, 503, answer == NULL
                                                 ? "another program changes the keys: "
                                                   "try again"
                                                 : "the key file can't be written; the "
                                                   "log says why");
        } else if (s->question.job == AD_KEY_JOB_ADD) {
            status = ad_auth_signed_in(&a, answer);
        } else {
            status = ad_auth_signed_out(&a);
        }
        ad_auth_reply(c, &a, status, &t);
    }
    (void)ad_client_send(c, &t);
    return true;
}

/* The writer has answered. */
static void ad_auth_written(const struct ad_key_answer *answer)
{
    const struct ad_key_question *q = &ad_key_writer.question;
    struct ad_sign_in *s = ad_signing.asked;

    ad_signing.asked = NULL;
    if (answer->result == AD_KEY_FAILED) {
        ad_log(AIDASH_LOG_ERROR, "state directory: %s", answer->why);
    }
    switch (q->job) {
    case AD_KEY_JOB_FETCH:
        if (answer->result == AD_KEY_DONE) {
            ad_auth_fetched(ad_key_writer.text, ad_key_writer.text_len);
        }
        return;
    case AD_KEY_JOB_TELL:
        return;
    default:
        break;
    }
    if (answer->result == AD_KEY_BUSY) {
        if (s != NULL && ad_sign_in_late(s)) {
            (void)ad_sign_in_end(s, NULL);
        }
        return; /* else it is asked again when its turn comes */
    }
    (void)ad_keys_poll(true);
    if (s == NULL) {
        ad_signing.lost = 0;
    } else if (!ad_sign_in_end(s, answer) && q->job == AD_KEY_JOB_ADD &&
               answer->result == AD_KEY_DONE) {
        ad_signing.lost = answer->grant.key;
    }
}

/* The next that waits for its turn; NULL: nobody. Who has left loses his place. */
static struct ad_sign_in *ad_sign_in_next(void)
{
    unsigned i;

    for (i = 0; i < AIDASH_SIGN_INS; i++) {
        struct ad_sign_in *s = &ad_signing.list[(ad_signing.next + i) % AIDASH_SIGN_INS];

        if (s->ticket != 0 && ad_sign_in_client(s) == NULL) {
            (void)ad_sign_in_end(s, NULL);
        } else if (s->ticket != 0) {
            ad_signing.next = (ad_signing.next + i + 1) % AIDASH_SIGN_INS;
            return s;
        }
    }
    return NULL;
}

/* Ask the writer, which is free, for what is due: first what `aidash pair` waits for,
 * which needs no lock. */
static void ad_auth_write_next(void)
{
    struct ad_key_question q = {0};
    struct ad_text told = {.at = ad_signing.told, .len = ad_signing.told_len};

    if (ad_signing.tells) {
        ad_signing.tells = false;
        q.job = AD_KEY_JOB_TELL;
        ad_key_writer_ask(&q, &told);
    } else if (ad_signing.code_left) {
        ad_signing.code_left = false;
        q.job = AD_KEY_JOB_FETCH;
        ad_key_writer_ask(&q, NULL);
    } else if (ad_signing.lost != 0) {
        q.job = AD_KEY_JOB_REVOKE;
        q.number = ad_signing.lost;
        ad_key_writer_ask(&q, NULL);
    } else {
        ad_signing.asked = ad_sign_in_next();
        if (ad_signing.asked != NULL) {
            ad_key_writer_ask(&ad_signing.asked->question, NULL);
        }
    }
}

/* Each turn. */
static void ad_auth_run(void)
{
    const struct ad_key_answer *answer = ad_key_writer_answered();

    if (answer != NULL) {
        ad_auth_written(answer);
        ad_key_writer_end();
    }
    if (ad_key_writer_free()) {
        ad_auth_write_next();
    }
}

/* Once a second: has `aidash pair` left a code? Whose time is over? The one that is
 * being written waits for that, so that its key is known. */
static void ad_auth_housekeeping(void)
{
    unsigned i;

    if (ad_pair_left()) {
        ad_signing.code_left = true;
    }
    for (i = 0; i < AIDASH_SIGN_INS; i++) {
        struct ad_sign_in *s = &ad_signing.list[i];

        if (s != ad_signing.asked && ad_sign_in_late(s)) {
            (void)ad_sign_in_end(s, NULL);
        }
    }
}

AD_MEMORY(signing, AIDASH_SIGN_INS, sizeof(ad_signing));

#endif
