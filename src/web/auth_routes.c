/* auth_routes.c - signing in and out: /auth and what is below it.
 * Owns nothing: the keys are guard/keys.c's, the codes guard/pairing.c's. Hub thread
 * only.
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
#include "../guard/pairing.c"
#include "../guard/throttle.c"
#include "route.c"

enum {
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
};

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

/* The device becomes a new key's; the one that it had is revoked. */
static int ad_auth_sign_in(struct ad_auth *a, const char *name, unsigned rights)
{
    char secret[AD_KEY_LEN + 1], why[AD_STATE_WHY_MAX];
    static const struct ad_slice none = {"", 0};

    if (!ad_keys_add(name, rights, 0, false, secret, &a->who.grant, why)) {
        ad_log(AIDASH_LOG_ERROR, "can't sign in a device: %s", why);
        return ad_auth_refuse(a, 503, "the key can't be written; the log says why");
    }
    if (a->head->device_key != 0) {
        (void)ad_keys_change(a->head->device_key, NULL, false, why);
    }
    ad_log(AIDASH_LOG_INFO, "key %u: %s has signed in", a->who.grant.key, name);
    ad_auth_cookie(a, "", ad_slice_of(secret), AD_AUTH_YEAR_S);
    ad_auth_cookie(a, "_token", none, 0);
    ad_put_auth(a->out, &a->who);
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
        return ad_auth_sign_in(a, device, rights);
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
        status = ad_auth_sign_in(a, ask->name, ask->rights);
        if (status == 200) {
            ad_ask_end(ask);
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
 * one that shows this code; no rights refuse it. Where control is open to everybody, a
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
    ask = ad_ask_approve(ad_slice_of(code), rights, ad_hub.now_ms);
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
    static const struct ad_slice none = {"", 0};
    struct ad_asker nobody = {.local = a->who.local};
    char why[AD_STATE_WHY_MAX];

    if (a->head->device_key != 0 &&
        !ad_keys_change(a->head->device_key, NULL, false, why) &&
        ad_keys_valid(a->head->device_key)) {
        ad_log(AIDASH_LOG_ERROR, "can't sign out a device: %s", why);
        return ad_auth_refuse(a, 503, "the key can't be revoked now: try again");
    }
    ad_auth_cookie(a, "", none, 0);
    ad_auth_cookie(a, "_token", none, 0);
    ad_put_auth(a->out, &nobody);
    return 200;
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

/* The body of one of these has come: the answer into *reply, which ends the
 * exchange. */
static void ad_auth_body(struct ad_client *c, const uint8_t *body, size_t len,
                         struct ad_text *reply)
{
    const struct ad_auth_head *head = &ad_client_buffers_of(c)->auth;
    char fields[AD_AUTH_FIELDS_MAX], out[AD_REPLY_MAX];
    struct ad_text f = ad_text_in(fields, sizeof(fields) - 1);
    struct ad_text o = ad_text_in(out, sizeof(out));
    struct ad_auth a = {ad_client_asker(c), head, c->address, NULL, &f, &o};
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
    f.at[f.len] = '\0';
    ad_put_head(reply, status, "application/json", o.len, f.at);
    ad_put(reply, o.at, o.len);
    ad_client_end(c);
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

/* Once a second: take the code that `aidash pair` has left, and tell it where we
 * are. */
static void ad_auth_housekeeping(void)
{
    char text[AD_PAIR_FILE_MAX], why[AD_STATE_WHY_MAX];
    unsigned i = ad_auth_listener();
    const char *scheme = "http";
    struct ad_text t;
    size_t len, host;

    if (!ad_pair_poll(ad_hub.now_ms, text, &len)) {
        return;
    }
    t = ad_text_in(text, sizeof(text));
    t.len = len;
    host = ad_spec_host(ad_acceptor.listen[i]);
#if AIDASH_TLS
    scheme = ad_pumps.serving ? "https" : scheme;
#endif
    ad_putf(&t, "%s %u %.*s\n", scheme, ad_acceptor.ports[i], host == 0 ? 1 : (int)host,
            host == 0 ? "*" : ad_acceptor.listen[i]);
    if (!ad_state_write(AD_PAIRED_FILE, t.at, t.len, why)) {
        ad_log(AIDASH_LOG_ERROR, "can't answer `aidash pair`: %s", why);
    }
}

#endif
