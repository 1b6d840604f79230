/* access.c - by which names aidash may be asked for, and by pages of which other
 * origins (RFC 6454).
 * Owns ad_access and ad_framing: the lists are set at start, the log's times are
 * the hub's.
 *
 * A browser lets any page send requests to any address. Two rules keep foreign
 * pages out. Host: a page can make its own name lead to our address (DNS
 * rebinding), but then Host has that name. Origin: a page of another origin says
 * so. Programs that are no browsers send neither rule's fields, or our own name.
 */
#ifndef AD_CORE_ACCESS_C
#define AD_CORE_ACCESS_C

#include "../base/net.c"
#include "../base/text.c"
#include "../codec/http_semantics.c"
#include "hub.c"

enum {
    AD_ORIGINS = 16,       /* --allow-origin may be given so often */
    AD_ORIGIN_MAX = 255,   /* bytes of an origin: 253 is a host's limit */
    AD_CORS_MAX = AD_ORIGIN_MAX + 64, /* two header lines with an origin */
    AD_FRAMES = 4,         /* --allow-frame likewise */
    AD_FRAMES_MAX = AD_FRAMES * (AD_ORIGIN_MAX + 1), /* bytes of all, with blanks */
    AD_HOSTS_ALLOWED = 16, /* --allow-host likewise */
    AD_HOSTS_OWN = 16,     /* names of this machine */
    AD_HOSTS = AD_HOSTS_ALLOWED + AD_HOSTS_OWN,
    AD_PROXIES = 8,        /* --trust-proxy may be given so often */
    AD_REFUSAL_MAX = 2 * AD_ORIGIN_MAX + 128, /* bytes of a refusal's sentence */
    AD_ACCESS_LOG_MS = 60000 /* a refusal is logged so often at most */
};

static struct {
    bool any_origin, any_host; /* [I] */
    unsigned n_origins, n_hosts, n_proxies; /* [I] */
    struct {
        char text[AD_ORIGIN_MAX + 1];
        struct ad_http_origin origin; /* slices of text */
    } origins[AD_ORIGINS]; /* [I] */
    char hosts[AD_HOSTS][AD_HTTP_HOST_MAX + 1]; /* [I] */
    struct {
        uint8_t address[16]; /* IPv4 is mapped into IPv6, RFC 4291 2.5.5.2 */
        unsigned bits;
    } proxies[AD_PROXIES]; /* [I] */
    bool logged; /* [h] a refusal was, at logged_ms */
    uint32_t logged_ms;
} ad_access;

/* Who may show the dashboard in a frame. The workers read it, so it stays as it is
 * while the server runs. */
static struct {
    unsigned n;                   /* [I] */
    char list[AD_FRAMES_MAX + 1]; /* [I] origins with blanks in between, as
                                   * frame-ancestors (CSP 3) has them; "": none */
} ad_framing;

/* ---- the lists ---- */

/* Allow pages of an origin: scheme://host[:port], or * for any. False if it is
 * neither, or there are AD_ORIGINS already. */
static bool ad_access_add_origin(const char *text, size_t len)
{
    unsigned n = ad_access.n_origins;

    if (len == 1 && text[0] == '*') {
        ad_access.any_origin = true;
        return true;
    }
    if (n == AD_ORIGINS || len == 0 || len > AD_ORIGIN_MAX) {
        return false;
    }
    memcpy(ad_access.origins[n].text, text, len);
    ad_access.origins[n].text[len] = '\0';
    if (!ad_http_origin_parse(&ad_access.origins[n].origin,
                              ad_slice_of(ad_access.origins[n].text)) ||
        ad_access.origins[n].origin.opaque) {
        return false;
    }
    ad_access.n_origins++;
    return true;
}

/* Let pages of an origin, or * for any, show the dashboard in a frame. False if it
 * is neither, or there are AD_FRAMES already. While starting. */
static bool ad_access_add_frame(const char *text, size_t len)
{
    struct ad_http_origin origin;
    size_t used = strlen(ad_framing.list);

    if (ad_framing.n == AD_FRAMES || len > AD_ORIGIN_MAX ||
        (!(len == 1 && text[0] == '*') &&
         (!ad_http_origin_parse(&origin, (struct ad_slice){text, len}) ||
          origin.opaque || memchr(text, ';', len) != NULL))) {
        return false;
    }
    (void)snprintf(ad_framing.list + used, sizeof(ad_framing.list) - used,
                   "%s%.*s", used > 0 ? " " : "", (int)len, text);
    ad_framing.n++;
    return true;
}

/* Allow a name in Host: a host's name, *.NAME for all names below it, or * for
 * any. A dot at its end is ignored. False if it is none of these, or there are
 * AD_HOSTS already. */
static bool ad_access_add_host(const char *text, size_t len)
{
    struct ad_slice name = {text, len};
    char *out;
    unsigned i;

    if (len == 1 && text[0] == '*') {
        ad_access.any_host = true;
        return true;
    }
    if (ad_slice_begins(name, "*.")) {
        name = ad_slice_from(name, 2);
    }
    if (!ad_http_host_name_ok(name) || len > AD_HTTP_HOST_MAX) {
        return false;
    }
    if (text[len - 1] == '.') {
        len--;
    }
    for (i = 0; i < ad_access.n_hosts; i++) {
        if (ad_slice_is_nocase((struct ad_slice){text, len},
                               ad_access.hosts[i])) {
            return true;
        }
    }
    if (ad_access.n_hosts == AD_HOSTS) {
        return false;
    }
    out = ad_access.hosts[ad_access.n_hosts++];
    memcpy(out, text, len);
    out[len] = '\0';
    return true;
}

/* The same, for --allow-host: AD_HOSTS_ALLOWED at most, so that the machine's own
 * names have room. */
static bool ad_access_allow_host(const char *text, size_t len)
{
    return ad_access.n_hosts < AD_HOSTS_ALLOWED &&
           ad_access_add_host(text, len);
}

/* ADDR or ADDR/BITS: the address, IPv4 mapped into IPv6, and how many of its 128
 * bits count. False if it is neither. */
static bool ad_access_network(struct ad_slice text, uint8_t ip[16], unsigned *bits)
{
    const char *slash = text.len > 0 ? memchr(text.at, '/', text.len) : NULL;
    struct ad_slice address = slash != NULL ? ad_slice_between(text.at, slash)
                                            : text;
    unsigned most = 128;
    uint64_t given;
    uint8_t v4[16];

    if (ad_http_address(AF_INET, address, v4)) {
        memset(ip, 0, 10);
        memset(ip + 10, 0xFF, 2);
        memcpy(ip + 12, v4, 4);
        most = 32;
    } else if (!ad_http_address(AF_INET6, address, ip)) {
        return false;
    }
    given = most;
    if (slash != NULL &&
        !ad_decimal_u64(slash + 1, (size_t)(text.at + text.len - slash - 1), most,
                        &given)) {
        return false;
    }
    *bits = (unsigned)given + 128 - most;
    return true;
}

/* Are the first bits of two addresses the same? */
static bool ad_access_in(const uint8_t ip[16], const uint8_t network[16],
                         unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    return memcmp(ip, network, whole) == 0 &&
           (rest == 0 || ((ip[whole] ^ network[whole]) >> (8 - rest)) == 0);
}

/* Believe what a proxy at ADDR[/BITS] says of its clients. False if that is no
 * address, or there are AD_PROXIES already. */
static bool ad_access_add_proxy(const char *text, size_t len)
{
    unsigned n = ad_access.n_proxies;

    if (n == AD_PROXIES ||
        !ad_access_network((struct ad_slice){text, len},
                           ad_access.proxies[n].address,
                           &ad_access.proxies[n].bits)) {
        return false;
    }
    ad_access.n_proxies++;
    return true;
}

/* The names of this machine. */
struct ad_own_names {
    unsigned n;
    char at[AD_HOSTS_OWN][AD_HTTP_HOST_MAX + 1];
};

static void ad_own_names_add(struct ad_own_names *names, const char *name)
{
    size_t len = strlen(name);

    if (names->n < AD_HOSTS_OWN && len <= AD_HTTP_HOST_MAX) {
        memcpy(names->at[names->n++], name, len + 1);
    }
}

/* NAME, and NAME.DOMAIN for each search domain of this resolv.conf(5): what the
 * network's own DNS calls this machine, board.fritz.box or the like. Reads a file:
 * not on the hub thread. */
static void ad_own_names_read(struct ad_own_names *names,
                              const char *resolv_conf)
{
    char line[512], name[256], full[2 * AD_HTTP_HOST_MAX];
    FILE *f;

    names->n = 0;
    if (gethostname(name, sizeof(name)) != 0) {
        return;
    }
    name[sizeof(name) - 1] = '\0';
    ad_own_names_add(names, name);
    name[strcspn(name, ".")] = '\0';
    ad_own_names_add(names, name);
    f = fopen(resolv_conf, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        char *rest = line;
        const char *word = strtok_r(rest, " \t\r\n", &rest);

        if (word == NULL || (strcmp(word, "search") != 0 &&
                             strcmp(word, "domain") != 0)) {
            continue;
        }
        while ((word = strtok_r(NULL, " \t\r\n", &rest)) != NULL) {
            (void)snprintf(full, sizeof(full), "%s.%s", name, word);
            ad_own_names_add(names, full);
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
}

/* Take them as names in Host, those that can be one. */
static void ad_access_add_own_names(const struct ad_own_names *names)
{
    unsigned i;

    for (i = 0; i < names->n; i++) {
        (void)ad_access_add_host(names->at[i], strlen(names->at[i]));
    }
}

/* ---- the judgement ---- */

/* What a request may. */
struct ad_access_verdict {
    unsigned status;        /* 0: let it in; 421: Host; 403: Origin */
    struct ad_slice origin; /* of an allowed page elsewhere, whose browser needs
                             * it in the answer (CORS); else empty */
    bool local; /* from this machine, by no proxy: loopback's rights are for it */
    bool own;   /* by no page, or by one of ours: its cookies count */
    char why[AD_REFUSAL_MAX]; /* the sentence of a refusal */
};

static bool ad_access_host_listed(const struct ad_http_host *host)
{
    struct ad_slice label = ad_http_host_label(host);
    unsigned i;

    for (i = 0; i < ad_access.n_hosts; i++) {
        const char *name = ad_access.hosts[i];

        if (name[0] == '*' ? label.len >= strlen(name) &&
                                 ad_slice_ends_nocase(label, name + 1)
                           : ad_slice_is_nocase(label, name)) {
            return true;
        }
    }
    return false;
}

/* A name that public DNS does not have, so that nobody elsewhere can make it lead
 * here: without a dot, or below a domain for private networks (RFC 6762 appendix
 * G, RFC 8375, ICANN's resolutions 2018.02.04.12 and 2024.07.29.06). */
static bool ad_access_host_private(const struct ad_http_host *host)
{
    static const char *const domains[] = {
        ".lan", ".home", ".corp", ".internal", ".intranet", ".private",
        ".localdomain", ".home.arpa"};
    struct ad_slice label = ad_http_host_label(host);
    size_t i;

    for (i = 0; i < AD_COUNT(domains); i++) {
        if (ad_slice_ends_nocase(label, domains[i])) {
            return true;
        }
    }
    return memchr(label.at, '.', label.len) == NULL;
}

/* Names that no page elsewhere can have: addresses, the loopback, the link, the
 * private network, and those of this machine. */
static bool ad_access_host_ok(const struct ad_http_host *host)
{
    return ad_access.any_host || ad_http_host_is_ip(host) ||
           ad_http_host_is_localhost(host) || ad_http_host_is_mdns(host) ||
           ad_access_host_private(host) || ad_access_host_listed(host);
}

/* The peer's address; IPv4 is mapped into IPv6. False if it has none. */
static bool ad_access_address(const struct sockaddr_storage *peer,
                              uint8_t address[16])
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)peer;
    const struct sockaddr_in6 *v6 =
        (const struct sockaddr_in6 *)(const void *)peer;

    memset(address, 0, 16);
    if (peer->ss_family == AF_INET) {
        memset(address + 10, 0xFF, 2);
        memcpy(address + 12, &v4->sin_addr, 4);
    } else if (peer->ss_family == AF_INET6) {
        memcpy(address, &v6->sin6_addr, 16);
    } else {
        return false;
    }
    return true;
}

/* Is it the address of one of the proxies that are trusted? */
static bool ad_access_is_proxy(const uint8_t address[16])
{
    unsigned i;

    for (i = 0; i < ad_access.n_proxies; i++) {
        if (ad_access_in(address, ad_access.proxies[i].address,
                         ad_access.proxies[i].bits)) {
            return true;
        }
    }
    return false;
}

static bool ad_access_trusted(const struct sockaddr_storage *peer)
{
    uint8_t address[16];

    return ad_access_address(peer, address) && ad_access_is_proxy(address);
}

static bool ad_access_origin_listed(const struct ad_http_origin *origin)
{
    unsigned i;

    for (i = 0; i < ad_access.n_origins; i++) {
        if (ad_http_origin_same(&ad_access.origins[i].origin, origin)) {
            return true;
        }
    }
    return false;
}

/* Is the page our own? The host and the port must be those that the browser
 * used. The scheme counts where it is known, which is where a trusted proxy sends
 * it; otherwise a proxy that speaks TLS may stand in between unseen, so
 * http and https are both taken, and a Host without a port has the default port
 * of the origin's scheme. */
static bool ad_access_origin_own(const struct ad_http_origin *origin,
                                 struct ad_slice scheme,
                                 const struct ad_http_host *host)
{
    struct ad_http_origin own;

    if (scheme.len == 0) {
        scheme = origin->scheme;
        if (!ad_slice_is_nocase(scheme, "http") &&
            !ad_slice_is_nocase(scheme, "https")) {
            return false;
        }
    }
    own = ad_http_origin_of(scheme, host);
    return ad_http_origin_same(origin, &own);
}

/* Does a proxy say that it passes this on for somebody (RFC 7239, RFC 9110 7.6.3)?
 * nginx of before 1.29.7 says nothing of the kind where it is not told to, but speaks
 * HTTP/1.0 and sends a Host of its own. */
static bool ad_access_is_forwarded(const struct ad_http_head *head)
{
    static const char *const names[] = {"Forwarded", "Via", "X-Real-IP"};
    static const char prefix[] = "X-Forwarded-";
    size_t i, k;

    for (i = 0; i < head->fields.n; i++) {
        struct ad_slice name = head->fields.at[i].name, begin = name;

        begin.len = sizeof(prefix) - 1;
        if (name.len >= begin.len && ad_slice_is_nocase(begin, prefix)) {
            return true;
        }
        for (k = 0; k < AD_COUNT(names); k++) {
            if (ad_slice_is_nocase(name, names[k])) {
                return true;
            }
        }
    }
    return head->minor == 0;
}

/* Does Host name this machine as only programs on it do? */
static bool ad_access_host_is_loopback(const struct ad_http_host *host)
{
    uint8_t address[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

    if (host->kind == AD_HTTP_HOST_NAME) {
        return ad_http_host_is_localhost(host);
    }
    if (host->kind == AD_HTTP_HOST_IP4) {
        memcpy(address + 12, host->address, 4);
    } else {
        memcpy(address, host->address, 16);
    }
    return ad_ip_is_loopback(address);
}

/* Is it from a program on this machine, for itself? */
static bool ad_access_is_local(const struct ad_http_head *head,
                               const struct sockaddr_storage *peer)
{
    return ad_address_is_loopback(peer) && head->has_host &&
           ad_access_host_is_loopback(&head->host) && !ad_access_is_forwarded(head);
}

/* Does the browser, if it is one, say that no page elsewhere asks (Fetch Metadata
 * 2.4)? */
static bool ad_access_same_site(const struct ad_http_head *head)
{
    struct ad_slice site;

    return !ad_http_field_get(&head->fields, "Sec-Fetch-Site", &site) ||
           ad_slice_is(site, "same-origin") || ad_slice_is(site, "none");
}

/* A request was refused by this verdict: say so in the log, once in a while. */
static void ad_access_report(const struct ad_access_verdict *v)
{
    if (!ad_access.logged ||
        ad_hub.now_ms - ad_access.logged_ms >= AD_ACCESS_LOG_MS) {
        ad_access.logged = true;
        ad_access.logged_ms = ad_hub.now_ms;
        ad_log(AIDASH_LOG_WARN, "refused: %s", v->why);
    }
}

/* The request is for a name that is not ours. */
static void ad_access_refuse_host(struct ad_access_verdict *v,
                                  const struct ad_http_host *host)
{
    int len = (int)ad_http_host_label(host).len;

    (void)snprintf(v->why, sizeof(v->why),
                   "%.*s is not a name of this server; to allow it: "
                   "--allow-host %.*s",
                   len, host->name.at, len, host->name.at);
    v->status = 421;
}

/* Judge Host and Origin of a request. Hub thread. */
static void ad_access_judge(const struct ad_http_head *head,
                            const struct sockaddr_storage *peer, bool tls,
                            struct ad_access_verdict *v)
{
    struct ad_http_forwarded forwarded;
    struct ad_http_host host = head->host;
    struct ad_http_origin origin;
    struct ad_slice text, scheme = {NULL, 0};
    bool has_host = head->has_host;
    size_t n;

    memset(v, 0, sizeof(*v));
    v->local = ad_access_is_local(head, peer);
    if (tls) {
        scheme = ad_slice_of("https");
    }
    if (ad_access.n_proxies > 0 && ad_access_trusted(peer)) {
        struct ad_http_host named;

        if (ad_http_read_forwarded(head, &forwarded)) {
            scheme = forwarded.scheme;
            if (forwarded.has_host) {
                host = forwarded.host;
                has_host = true;
            }
        }
        /* A proxy that writes X-Forwarded-Host may pass on a Forwarded field of
         * the page's own invention: it must not hide the name. */
        if (ad_http_forwarded_name(head, &named) && !ad_access_host_ok(&named)) {
            ad_access_refuse_host(v, &named);
            return;
        }
    }
    if (has_host && !ad_access_host_ok(&host)) {
        ad_access_refuse_host(v, &host);
        return;
    }
    n = ad_http_field_count(&head->fields, "Origin", &text);
    if (n == 0) {
        v->own = ad_access_same_site(head);
        return;
    }
    if (n > 1 || text.len > AD_ORIGIN_MAX ||
        !ad_http_origin_parse(&origin, text)) {
        (void)snprintf(v->why, sizeof(v->why), "the Origin header is malformed");
        v->status = 403;
        return;
    }
    if (has_host && !origin.opaque &&
        ad_access_origin_own(&origin, scheme, &host)) {
        v->origin = text;
        v->own = true;
        return;
    }
    if (ad_access.any_origin || ad_access_origin_listed(&origin)) {
        v->origin = text;
        return;
    }
    if (origin.opaque) {
        (void)snprintf(v->why, sizeof(v->why),
                       "pages without an origin of their own (local files, "
                       "sandboxes) may not use this server; to allow all "
                       "pages: --allow-origin '*'");
    } else {
        (void)snprintf(v->why, sizeof(v->why),
                       "pages of %.*s may not use this server; to allow them: "
                       "--allow-origin %.*s",
                       (int)text.len, text.at, (int)text.len, text.at);
    }
    v->status = 403;
}

/* The header lines by which a browser lets an allowed page see the answer, or
 * "". */
static void ad_access_cors(const struct ad_access_verdict *v,
                           char out[AD_CORS_MAX])
{
    out[0] = '\0';
    if (v->origin.len > 0) {
        (void)snprintf(out, AD_CORS_MAX,
                       "Access-Control-Allow-Origin: %.*s\r\nVary: Origin\r\n",
                       (int)v->origin.len, v->origin.at);
    }
}

#if AIDASH_METER

/* Whom do the proxies name in this field? It is the last address that is no
 * trusted proxy's own: all before it may be the client's invention. Where all are
 * trusted, the first. Returns 0: the field is not there; -1: it names no address. */
static int ad_access_named(const struct ad_http_head *head, const char *field,
                           uint8_t address[16])
{
    struct ad_http_list list = ad_http_list_of(&head->fields, field);
    struct ad_slice item;
    int found = 0;

    while (ad_http_list_next(&list, &item)) {
        uint8_t next[16];

        if (!ad_http_forwarded_for(field, item, next)) {
            found = -1;
        } else if (found == 0 || !ad_access_is_proxy(next)) {
            found = 1;
            memcpy(address, next, 16);
        }
    }
    return found;
}

/* Is it an IPv4 address, mapped into IPv6 (RFC 4291 2.5.5.2)? */
static bool ad_access_is_ip4(const uint8_t ip[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

    return memcmp(ip, mapped, sizeof(mapped)) == 0;
}

/* The address of who asks: the peer's, or behind a trusted proxy the one that it
 * names in X-Forwarded-For or in Forwarded. Most proxies write one of the two and
 * pass on the other as it came, so if both are there and differ, none is believed.
 * False if there is no address. */
static bool ad_access_client(const struct ad_http_head *head,
                             const struct sockaddr_storage *peer,
                             uint8_t address[16])
{
    uint8_t x[16], rfc7239[16];
    int has_x, has_rfc7239;

    if (!ad_access_address(peer, address)) {
        return false;
    }
    if (!ad_access_is_proxy(address)) {
        return true;
    }
    has_x = ad_access_named(head, "X-Forwarded-For", x);
    has_rfc7239 = ad_access_named(head, "Forwarded", rfc7239);
    if (has_x == 1 && (has_rfc7239 == 0 ||
                       (has_rfc7239 == 1 && memcmp(x, rfc7239, 16) == 0))) {
        memcpy(address, x, 16);
    } else if (has_x == 0 && has_rfc7239 == 1) {
        memcpy(address, rfc7239, 16);
    }
    return true;
}

#endif

/* Before each run. */
static void ad_framing_init(void)
{
    memset(&ad_framing, 0, sizeof(ad_framing));
}

/* Before each run, and before the options are read again. */
static void ad_access_init(void)
{
    memset(&ad_access, 0, sizeof(ad_access));
}

AD_MEMORY(access, 1, sizeof(ad_access) + sizeof(ad_framing));

#endif
