/* upstreams.c - the engines behind the proxy: their addresses, what is known of
 * them.
 * Owns ad_upstreams. Hub thread only.
 */
#ifndef AD_METER_UPSTREAMS_C
#define AD_METER_UPSTREAMS_C

#include "../base/net.c"
#include "../core/engine.c"

#if AIDASH_METER

enum {
    AD_CONNECT_MS = 5000, /* for a connection to an engine */
    AD_KEY_MAX = 254      /* characters of the engines' key */
};

/* An engine's URL, taken apart. [I] */
struct ad_upstream {
    char name[AIDASH_NODE_MAX + 1]; /* "": none was given */
    char authority[288];            /* HOST:PORT, for Host */
    char prefix[128];               /* of its paths, without a slash at the end */
    unsigned n_addresses;
    struct ad_address addresses[4];
};

/* What is known of it. [h] */
struct ad_upstream_state {
    bool known, up, ollama, no_ps; /* no_ps: it has no /api/ps */
    unsigned n_models;
    char models[AIDASH_MODELS][AIDASH_MODEL_MAX + 1];
    bool loaded[AIDASH_MODELS];
};

static struct {
    unsigned n; /* [I] */
    struct ad_upstream list[AIDASH_UPSTREAMS]; /* [I] */
    char key[AD_KEY_MAX + 1]; /* [I] the bearer token for engines, or "" */
    struct ad_upstream_state state[AIDASH_UPSTREAMS];
} ad_upstreams;

/* Milliseconds from one time to another; -1 if `from_ns` is 0 (not yet) or
 * later than `to_ns`. */
static double ad_ms(uint64_t from_ns, uint64_t to_ns)
{
    return from_ns == 0 || to_ns < from_ns
               ? -1
               : (double)(to_ns - from_ns) / (double)AD_NS_PER_MS;
}

/* An engine came up or went down: everybody is told. */
static void ad_upstream_set_state(unsigned upstream, bool up)
{
    struct ad_upstream_state *e = &ad_upstreams.state[upstream];

    if (!e->known || e->up != up) {
        e->known = true;
        e->up = up;
        ad_log(up ? AIDASH_LOG_INFO : AIDASH_LOG_WARN, "engine %s is %s",
               ad_upstreams.list[upstream].authority, up ? "up" : "down");
        ad_status_append();
    }
}

/* The engine that has a model: by its list, by its own name, else the first. */
static uint8_t ad_upstream_of(const char *model)
{
    unsigned i, k;

    for (i = 0; i < ad_upstreams.n && model[0] != '\0'; i++) {
        for (k = 0; k < ad_upstreams.state[i].n_models; k++) {
            if (strcmp(ad_upstreams.state[i].models[k], model) == 0) {
                return (uint8_t)i;
            }
        }
    }
    for (i = 0; i < ad_upstreams.n; i++) {
        if (strcmp(ad_upstreams.list[i].name, model) == 0) {
            return (uint8_t)i;
        }
    }
    return 0;
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

/* The engines' bearer token (RFC 6750 2.1). False if it is empty, too long, or
 * has a character that a token has not. While starting. */
static bool ad_upstreams_set_key(const char *key, size_t len)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        "0123456789-._~+/=";

    if (len == 0 || len > AD_KEY_MAX || strspn(key, allowed) < len) {
        return false;
    }
    memcpy(ad_upstreams.key, key, len);
    ad_upstreams.key[len] = '\0';
    return true;
}

AD_MEMORY(upstreams, AIDASH_UPSTREAMS, sizeof(ad_upstreams));

#endif /* AIDASH_METER */

#endif
