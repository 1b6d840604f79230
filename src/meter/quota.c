/* quota.c - how many tokens clients may use a day, and whether one has.
 * Owns ad_quotas: the list is set at start, the rest is the hub's. Hub thread only.
 * Called when a request comes, when it leaves the queue (queue.c), and when it ends
 * (reports.c).
 *
 * A quota by address (ADDR, ADDR/BITS, *) is for each address on its own: of those
 * that match, the one with the most bits counts. One for a key or for a program is
 * for all requests with it together; it counts beside the others. What is counted is
 * what totals.c calls tokens, from midnight to midnight. A request may run
 * while anything is left, so those that run at once may take more than that.
 */
#ifndef AD_METER_QUOTA_C
#define AD_METER_QUOTA_C

#include "../codec/http_field.c"
#include "../codec/utf8.c"
#include "../core/access.c"
#include "../core/hub.c"
#include "identity.c"
#include "totals.c"

#if AIDASH_METER

enum {
    AD_QUOTAS = 16,          /* --quota may be given so often */
    AD_QUOTA_LOG_MS = 60000, /* a client's refusal is logged so often at most */
    AD_QUOTA_WHY_MAX = 160   /* bytes of a refusal's sentence, with its NUL */
};
#define AD_QUOTA_TOKENS_MAX 1000000000000000u /* 10^15 */

/* Tokens since midnight. */
struct ad_spent {
    uint64_t tokens;
    uint64_t at_ns; /* elapsed, when it changed: before today, `tokens` is old */
};

enum ad_quota_kind { AD_QUOTA_ADDRESS, AD_QUOTA_KEY, AD_QUOTA_AGENT };

static struct {
    unsigned n; /* [I] */
    struct {
        uint8_t kind;   /* [I] enum ad_quota_kind */
        uint8_t ip[16]; /* [I] */
        unsigned bits;  /* [I] of it, 0..128 */
        char name[AD_CLIENT_KEY_MAX + 1]; /* [I] of the key or the program */
        uint64_t limit; /* [I] tokens a day */
        struct ad_spent spent; /* of a key, or of a program */
    } list[AD_QUOTAS];
    unsigned n_addresses;
    struct ad_quota_address {
        uint8_t ip[16]; /* as ad_quota_subscriber() has it */
        struct ad_spent spent;
        bool logged; /* a refusal was, at logged_ms */
        uint32_t logged_ms;
    } addresses[AIDASH_TOTALS]; /* the least used gives way */
} ad_quotas;

/* ---- the list ---- */

/* ADDR or ADDR/BITS into ip and bits. An IPv6 address means its network of 64
 * bits, which is one subscriber. */
static bool ad_quota_network(struct ad_slice text, uint8_t ip[16], unsigned *bits)
{
    if (!ad_access_network(text, ip, bits)) {
        return false;
    }
    if (*bits > 64 && !ad_access_is_ip4(ip)) {
        *bits = 64;
    }
    return true;
}

/* A name behind its prefix: that of a program is a token; that of a key is any, and 8
 * hexadecimal digits are a fingerprint. */
static bool ad_quota_name(enum ad_quota_kind kind, struct ad_slice name,
                          char out[AD_CLIENT_KEY_MAX + 1])
{
    bool fingerprint = kind == AD_QUOTA_KEY && name.len == AD_FINGERPRINT_MAX;
    size_t i;

    if (kind == AD_QUOTA_KEY ? !ad_name_ok(name.at, name.len, AD_CLIENT_KEY_MAX)
                             : !ad_http_is_token(name) ||
                                   name.len > AD_CLIENT_AGENT_MAX) {
        return false;
    }
    for (i = 0; i < name.len; i++) {
        fingerprint = fingerprint && ad_hex(name.at[i]) >= 0;
    }
    for (i = 0; i < name.len; i++) {
        out[i] = fingerprint ? ad_ascii_lower(name.at[i]) : name.at[i];
    }
    out[i] = '\0';
    return true;
}

/* CLIENT=TOKENS or CLIENT=TOKENS/day, where CLIENT is ADDR, ADDR/BITS, *,
 * key:NAME, key:FINGERPRINT or agent:NAME. False if it is none, or there are AD_QUOTAS
 * already. While starting. */
static bool ad_quota_add(const char *text, size_t len)
{
    static const char unit[] = "/day";
    const char *equals = len > 0 ? memchr(text, '=', len) : NULL;
    struct ad_slice client, tokens;
    unsigned n = ad_quotas.n;

    if (n == AD_QUOTAS || equals == NULL) {
        return false;
    }
    memset(&ad_quotas.list[n], 0, sizeof(ad_quotas.list[n]));
    client = ad_slice_between(text, equals);
    tokens = ad_slice_between(equals + 1, text + len);
    if (ad_slice_ends_nocase(tokens, unit)) {
        tokens.len -= strlen(unit);
    }
    if (!ad_decimal_u64(tokens.at, tokens.len, AD_QUOTA_TOKENS_MAX,
                        &ad_quotas.list[n].limit)) {
        return false;
    }
    if (ad_slice_begins(client, "key:")) {
        ad_quotas.list[n].kind = AD_QUOTA_KEY;
        client = ad_slice_from(client, 4);
    } else if (ad_slice_begins(client, "agent:")) {
        ad_quotas.list[n].kind = AD_QUOTA_AGENT;
        client = ad_slice_from(client, 6);
    } else if (!ad_slice_is(client, "*") &&
               !ad_quota_network(client, ad_quotas.list[n].ip,
                                 &ad_quotas.list[n].bits)) {
        return false;
    }
    if (ad_quotas.list[n].kind != AD_QUOTA_ADDRESS &&
        !ad_quota_name((enum ad_quota_kind)ad_quotas.list[n].kind, client,
                       ad_quotas.list[n].name)) {
        return false;
    }
    ad_quotas.n++;
    return true;
}

/* ---- what was used ---- */

/* The tokens of today. Behind ad_totals_turn(). */
static uint64_t ad_spent_today(const struct ad_spent *s)
{
    return s->at_ns >= ad_totals.from_ns ? s->tokens : 0;
}

static void ad_spend(struct ad_spent *s, uint64_t tokens, uint64_t now_ns)
{
    s->tokens = ad_spent_today(s);
    ad_saturate(&s->tokens, tokens);
    s->at_ns = now_ns;
}

/* The entry of a client's address, an IPv6 one with its neighbours of the same 64
 * bits. Without one it gets that of the address that has used the least today. */
static struct ad_quota_address *ad_quota_address_of(const uint8_t ip[16])
{
    struct ad_quota_address *a = ad_quotas.addresses;
    uint8_t key[16];
    unsigned i, least = 0;

    memcpy(key, ip, sizeof(key));
    if (!ad_access_is_ip4(key)) {
        memset(key + 8, 0, 8);
    }
    for (i = 0; i < ad_quotas.n_addresses; i++) {
        if (memcmp(a[i].ip, key, sizeof(key)) == 0) {
            return &a[i];
        }
        if (ad_spent_today(&a[i].spent) < ad_spent_today(&a[least].spent)) {
            least = i;
        }
    }
    if (ad_quotas.n_addresses < AIDASH_TOTALS) {
        least = ad_quotas.n_addresses++;
    }
    memset(&a[least], 0, sizeof(a[least]));
    memcpy(a[least].ip, key, sizeof(key));
    return &a[least];
}

/* Does a quota count for a client? */
static bool ad_quota_matches(unsigned i, const struct ad_totals_client *who)
{
    if (ad_quotas.list[i].kind == AD_QUOTA_ADDRESS) {
        return ad_access_in(who->ip, ad_quotas.list[i].ip, ad_quotas.list[i].bits);
    }
    return strcmp(ad_quotas.list[i].kind == AD_QUOTA_KEY ? who->key : who->agent,
                  ad_quotas.list[i].name) == 0;
}

/* A request of this client has ended that used so many tokens. Behind
 * ad_totals_turn(). */
static void ad_quota_charge(const struct ad_totals_time *now,
                            const struct ad_totals_client *who, uint64_t tokens)
{
    unsigned i;

    if (ad_quotas.n == 0) {
        return;
    }
    ad_spend(&ad_quota_address_of(who->ip)->spent, tokens, now->elapsed_ns);
    for (i = 0; i < ad_quotas.n; i++) {
        if (ad_quotas.list[i].kind != AD_QUOTA_ADDRESS &&
            ad_quota_matches(i, who)) {
            ad_spend(&ad_quotas.list[i].spent, tokens, now->elapsed_ns);
        }
    }
}

/* ---- may it go on? ---- */

/* The quota that this client has used up; AD_QUOTAS: none. */
static unsigned ad_quota_used_up(const struct ad_totals_client *who,
                                 const struct ad_quota_address *address)
{
    unsigned i, closest = AD_QUOTAS;

    for (i = 0; i < ad_quotas.n; i++) {
        if (!ad_quota_matches(i, who)) {
            continue;
        }
        if (ad_quotas.list[i].kind == AD_QUOTA_ADDRESS) {
            if (closest == AD_QUOTAS ||
                ad_quotas.list[i].bits > ad_quotas.list[closest].bits) {
                closest = i;
            }
        } else if (ad_spent_today(&ad_quotas.list[i].spent) >=
                   ad_quotas.list[i].limit) {
            return i;
        }
    }
    return closest < AD_QUOTAS && ad_spent_today(&address->spent) >=
                                      ad_quotas.list[closest].limit
               ? closest
               : AD_QUOTAS;
}

/* Has this client used up a quota? Returns 0 if not; else the seconds until
 * midnight, and why[] says so. Logs it once a minute for each address. */
static uint32_t ad_quota_over(const struct ad_totals_time *now,
                              const struct ad_totals_client *who,
                              char why[AD_QUOTA_WHY_MAX])
{
    static const char *const whose[] = {"this address", "this key",
                                        "this program"};
    struct ad_quota_address *address;
    uint64_t left_us;
    unsigned i;

    ad_totals_turn(now);
    if (ad_quotas.n == 0) {
        return 0;
    }
    address = ad_quota_address_of(who->ip);
    i = ad_quota_used_up(who, address);
    if (i == AD_QUOTAS) {
        return 0;
    }
    (void)snprintf(why, AD_QUOTA_WHY_MAX,
                   "the quota of %s is used up: %llu tokens a day, until midnight",
                   whose[ad_quotas.list[i].kind],
                   (unsigned long long)ad_quotas.list[i].limit);
    if (!address->logged ||
        ad_hub.now_ms - address->logged_ms >= AD_QUOTA_LOG_MS) {
        address->logged = true;
        address->logged_ms = ad_hub.now_ms;
        ad_log(AIDASH_LOG_WARN, "refused a request of %s%s%s%s%s: %s",
               who->address, who->key[0] != '\0' ? ", key " : "", who->key,
               who->agent[0] != '\0' ? ", " : "", who->agent, why);
    }
    left_us = ad_totals.day_end_us > now->unix_us
                  ? ad_totals.day_end_us - now->unix_us
                  : 0;
    return (uint32_t)(left_us / 1000000) + 1;
}

/* Before each run. */
static void ad_quota_init(void)
{
    memset(&ad_quotas, 0, sizeof(ad_quotas));
}

AD_MEMORY(quotas, AD_QUOTAS, sizeof(ad_quotas));

#endif /* AIDASH_METER */

#endif
