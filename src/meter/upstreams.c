/* upstreams.c - the engines behind the proxy: their addresses, what is known of
 * them.
 * Owns ad_upstreams. Hub thread only, but for ad_upstream_same_place().
 */
#ifndef AD_METER_UPSTREAMS_C
#define AD_METER_UPSTREAMS_C

#include "../base/net.c"
#include "../base/url.c"
#include "../core/engine.c"
#include "../guard/trust.c"

#if AD_DIALS

enum { AD_ADDRESSES_MAX = 4 }; /* addresses of an engine that are tried */

/* An engine's URL, taken apart [I], and where it is [h]: for an engine that is
 * given by a name, resolver.c keeps that. */
struct ad_upstream {
    char name[AIDASH_NODE_MAX + 1]; /* "": none was given */
    struct ad_url url;
    unsigned n_addresses; /* 0: the name was not resolved yet */
    struct ad_address addresses[AD_ADDRESSES_MAX];
    struct ad_trust_verdict refused; /* why TLS did not begin the last time that it
                                      * did not */
    bool old_tls; /* it has TLS 1.2 alone: see ad_tls_is_old() */
};

#endif

#ifndef AIDASH_NO_MAIN
#if AD_DIALS

/* The addresses of an engine that is given by a name, as nothing else runs that the
 * lookup could hold up: the command line's. Returns 0, or why there are none, for
 * gai_strerror(). */
static int ad_upstream_resolve(struct ad_upstream *u)
{
    int error = 0;

    if (u->n_addresses == 0) {
        u->n_addresses = ad_address_resolve(u->url.host, u->url.port, u->addresses,
                                            AD_COUNT(u->addresses), &error);
    }
    return error;
}

#endif
#endif

#if AIDASH_METER

enum {
    AD_DOUBTS = 3,   /* looks at an engine that broke off a connection: one that
                      * ends still takes connections for a moment */
    AD_KEY_MAX = 254 /* characters of the engines' key */
};

/* Bytes that ad_put_upstreams() writes of one, at most: a name may need escapes. */
enum { AD_UPSTREAM_SHOWN = 288 + 128 + 6 * AIDASH_NODE_MAX + 64 };

/* What is known of it. [h] */
struct ad_upstream_state {
    bool known, up, ollama;
    uint8_t doubts;  /* how often discovery is to look at once whether it is there */
    uint8_t ps_wait; /* rounds of discovery until it is asked for /api/ps again */
    unsigned n_models;
    char models[AIDASH_MODELS][AIDASH_MODEL_MAX + 1];
    bool loaded[AIDASH_MODELS];
};

static struct {
    unsigned n; /* [I] */
    struct ad_upstream list[AIDASH_UPSTREAMS];
    char key[AD_KEY_MAX + 1]; /* [I] the bearer token for engines, or "" */
    struct ad_upstream_state state[AIDASH_UPSTREAMS];
} ad_upstreams;

/* Note whether an engine is up, and report a change to the viewers; `why` is for
 * the log, "" or the end of the sentence. */
static void ad_upstream_set_state_why(unsigned upstream, bool up, const char *why)
{
    struct ad_upstream_state *e = &ad_upstreams.state[upstream];

    if (!e->known || e->up != up) {
        e->known = true;
        e->up = up;
        ad_log(up ? AIDASH_LOG_INFO : AIDASH_LOG_WARN, "engine %s is %s%s",
               ad_upstreams.list[upstream].url.authority, up ? "up" : "down", why);
        ad_status_append();
    }
}

static void ad_upstream_set_state(unsigned upstream, bool up)
{
    ad_upstream_set_state_why(upstream, up, "");
}

/* It broke off a connection: it may be gone. Discovery looks. */
static void ad_upstream_doubt(unsigned upstream)
{
    ad_upstreams.state[upstream].doubts = AD_DOUBTS;
}

/* Are two engines at the same host and port? As far as that is known without
 * asking for names. */
static bool ad_upstream_same_place(const struct ad_upstream *a,
                                   const struct ad_upstream *b)
{
    unsigned i, k;

    for (i = 0; i < a->n_addresses; i++) {
        for (k = 0; k < b->n_addresses; k++) {
            if (a->addresses[i].len == b->addresses[k].len &&
                memcmp(&a->addresses[i].storage, &b->addresses[k].storage,
                       a->addresses[i].len) == 0) {
                return true;
            }
        }
    }
    return strcasecmp(a->url.host, b->url.host) == 0 &&
           strcmp(a->url.port, b->url.port) == 0;
}

/* The place of a model in an engine's list, or its n_models. `tagged`: the list has
 * it with the tag ":latest", as Ollama's has, whose requests may leave that out. */
static unsigned ad_upstream_find(const struct ad_upstream_state *e, const char *model,
                                 bool tagged)
{
    size_t len = strlen(model);
    unsigned i = 0;

    while (i < e->n_models &&
           (strncmp(e->models[i], model, len) != 0 ||
            strcmp(e->models[i] + len, tagged ? ":latest" : "") != 0)) {
        i++;
    }
    return i;
}

/* The first engine that lists a model; ad_upstreams.n if there is none. */
static unsigned ad_upstream_listing(const char *model, bool tagged)
{
    unsigned i = 0;

    while (i < ad_upstreams.n &&
           ad_upstream_find(&ad_upstreams.state[i], model, tagged) ==
               ad_upstreams.state[i].n_models) {
        i++;
    }
    return i;
}

/* The engine for a model: the first that lists it, else the one that is named like
 * it, else the first that lists it with Ollama's tag, else the first of all. */
static uint8_t ad_upstream_of(const char *model)
{
    unsigned i;

    if (model[0] == '\0') {
        return 0;
    }
    i = ad_upstream_listing(model, false);
    if (i == ad_upstreams.n) {
        i = 0;
        while (i < ad_upstreams.n && strcmp(ad_upstreams.list[i].name, model) != 0) {
            i++;
        }
    }
    if (i == ad_upstreams.n) {
        i = ad_upstream_listing(model, true);
    }
    return (uint8_t)(i < ad_upstreams.n ? i : 0);
}

/* The engines, for GET /status: where they are, and whether they answer. */
static void ad_put_upstreams(struct ad_text *t)
{
    unsigned i;

    ad_puts(t, "[");
    for (i = 0; i < ad_upstreams.n; i++) {
        const struct ad_upstream *u = &ad_upstreams.list[i];
        const struct ad_upstream_state *e = &ad_upstreams.state[i];
        char url[sizeof(u->url.authority) + sizeof(u->url.prefix) + 8];

        (void)snprintf(url, sizeof(url), "%s%s%s", ad_url_scheme(u->url.tls),
                       u->url.authority, u->url.prefix);
        ad_puts(t, i > 0 ? ",{\"url\":" : "{\"url\":");
        ad_put_string(t, url);
        if (u->name[0] != '\0') {
            ad_puts(t, ",\"name\":");
            ad_put_string(t, u->name);
        }
        if (e->known) {
            ad_puts(t, e->up ? ",\"engine\":\"up\"" : ",\"engine\":\"down\"");
        }
        ad_puts(t, "}");
    }
    ad_puts(t, "]");
}

/* Before each run. */
static void ad_upstreams_init(void)
{
    memset(&ad_upstreams, 0, sizeof(ad_upstreams));
}

/* Add an engine; false if there are AIDASH_UPSTREAMS. While starting. */
static bool ad_upstreams_add(const struct ad_upstream *engine)
{
    if (ad_upstreams.n == AIDASH_UPSTREAMS) {
        return false;
    }
    ad_upstreams.list[ad_upstreams.n++] = *engine;
    return true;
}

/* Is it a bearer token (RFC 6750 2.1) of 1 to AD_KEY_MAX characters? */
static bool ad_key_ok(const char *key, size_t len)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        "0123456789-._~+/=";

    return len > 0 && len <= AD_KEY_MAX && strspn(key, allowed) >= len;
}

AD_MEMORY(upstreams, AIDASH_UPSTREAMS, sizeof(ad_upstreams));

#endif /* AIDASH_METER */

#endif
