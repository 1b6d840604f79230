/* announced.c - a board that is announced in the LAN, as a line of
 * `avahi-browse --parsable --resolve` tells of it (avahi-browse(1)):
 *
 *   =;eth0;IPv4;aidash\032on\032pi;_aidash._tcp;local;pi.local;192.168.1.20;8080;"tls=no"
 *
 * Whoever is in the LAN may announce what he likes: nothing is believed but a host below
 * .local, an address of another machine, a port, and whether it has TLS. Pure.
 */
#ifndef AD_CODEC_ANNOUNCED_C
#define AD_CODEC_ANNOUNCED_C

#include "../base/decimal.c"
#include "../base/net.c"
#include "../base/text.c"
#include "http_field.c"

#if AD_FLEET && AIDASH_METER

enum {
    AD_ANNOUNCED_LINE = 1024, /* bytes of a line; longer ones are left out */
    AD_ANNOUNCED_HOST_MAX = AIDASH_NODE_MAX,
    AD_ANNOUNCED_ADDRESS_MAX = 63 /* of IPv6 and its %ZONE */
};

struct ad_announced {
    char host[AD_ANNOUNCED_HOST_MAX + 1]; /* pi.local: letters, digits, hyphens */
    char address[AD_ANNOUNCED_ADDRESS_MAX + 1]; /* as ad_address_of() reads it */
    uint16_t port;
    bool tls;
};

/* The next field of a line. False: there is none. */
static bool ad_announced_field(struct ad_slice *rest, struct ad_slice *field)
{
    const char *end;

    if (rest->at == NULL) {
        return false;
    }
    end = rest->len > 0 ? memchr(rest->at, ';', rest->len) : NULL;
    field->at = rest->at;
    field->len = end != NULL ? (size_t)(end - rest->at) : rest->len;
    rest->at = end != NULL ? end + 1 : NULL;
    rest->len = end != NULL ? rest->len - field->len - 1 : 0;
    return true;
}

/* A host's name below .local (RFC 6762 3, RFC 1123 2.1), in lower case. */
static bool ad_announced_host(struct ad_slice s, char out[AD_ANNOUNCED_HOST_MAX + 1])
{
    static const char domain[] = ".local";
    size_t i, tail = sizeof(domain) - 1;

    if (s.len <= tail || s.len > AD_ANNOUNCED_HOST_MAX ||
        strncasecmp(s.at + s.len - tail, domain, tail) != 0) {
        return false;
    }
    for (i = 0; i < s.len; i++) {
        char c = s.at[i];

        if (c >= 'A' && c <= 'Z') {
            c = (char)(c - 'A' + 'a');
        }
        if (c == '.' ? i == 0 || out[i - 1] == '.'
                     : !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) {
            return false;
        }
        out[i] = c;
    }
    out[s.len] = '\0';
    return true;
}

/* Is it an address of one other machine? Not of this one's loopback, whose rights are
 * for programs of this machine, and of no group. */
static bool ad_announced_other(const struct ad_address *a)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&a->storage;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&a->storage;
    uint32_t ip;

    if (a->storage.ss_family == AF_INET) {
        ip = ntohl(v4->sin_addr.s_addr);
        return ip >> 24 != 0 && ip >> 24 != 127 && ip >> 28 < 14;
    }
    return !IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr) && !IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) &&
           !IN6_IS_ADDR_MULTICAST(&v6->sin6_addr) && !IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) &&
           !IN6_IS_ADDR_V4COMPAT(&v6->sin6_addr);
}

/* An address of the family that the line names; one of a link (RFC 4291 2.5.6) with the
 * interface. */
static bool ad_announced_address(struct ad_slice s, struct ad_slice family,
                            struct ad_slice interface, uint16_t port,
                            char out[AD_ANNOUNCED_ADDRESS_MAX + 1])
{
    bool v6 = ad_slice_is_nocase(family, "IPv6");
    bool of_link = v6 && s.len > 4 && strncasecmp(s.at, "fe80", 4) == 0;
    struct ad_text t = ad_text_in(out, AD_ANNOUNCED_ADDRESS_MAX);
    struct ad_address address;

    if (!v6 && !ad_slice_is_nocase(family, "IPv4")) {
        return false;
    }
    ad_put(&t, s.at, s.len);
    if (of_link) {
        ad_puts(&t, "%");
        ad_put(&t, interface.at, interface.len);
    }
    if (t.full || memchr(out, '\0', t.len) != NULL) {
        return false;
    }
    out[t.len] = '\0';
    return ad_address_of(out, port, &address) && ad_announced_other(&address) &&
           (address.storage.ss_family == AF_INET6) == v6;
}

/* Is this one of the texts of a service? They are in quotes, and quotes in them behind a
 * backslash, so that no other text has this one inside. */
static bool ad_announced_says(struct ad_slice texts, const char *quoted)
{
    return memmem(texts.at, texts.len, quoted, strlen(quoted)) != NULL;
}

/* Read a line, without its end. False: it tells of no board that may be followed. */
static bool ad_announced_parse(const char *line, size_t len, struct ad_announced *out)
{
    enum { KIND, INTERFACE, FAMILY, NAME, TYPE, DOMAIN_, HOST, ADDRESS, PORT, FIELDS };
    struct ad_slice rest = {line, len}, f[FIELDS];
    uint64_t port;
    unsigned i;

    for (i = 0; i < FIELDS; i++) {
        if (!ad_announced_field(&rest, &f[i])) {
            return false;
        }
    }
    if (!ad_slice_is_nocase(f[KIND], "=") || !ad_slice_is_nocase(f[TYPE], "_aidash._tcp") ||
        !ad_slice_is_nocase(f[DOMAIN_], "local") || !ad_announced_host(f[HOST], out->host) ||
        !ad_decimal_u64(f[PORT].at, f[PORT].len, 65535, &port) || port == 0) {
        return false;
    }
    out->port = (uint16_t)port;
    out->tls = rest.at != NULL && ad_announced_says(rest, "\"tls=yes\"");
    return ad_announced_address(f[ADDRESS], f[FAMILY], f[INTERFACE], out->port, out->address);
}

#endif /* AD_FLEET && AIDASH_METER */

#endif
