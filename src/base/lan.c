/* lan.c - the names and addresses of this machine on the LAN. Any thread but the hub's:
 * the system may take its time. Owns nothing.
 */
#ifndef AD_BASE_LAN_C
#define AD_BASE_LAN_C

#include "platform.h"

/* A name or an address of this machine. */
struct ad_lan {
    char host[256]; /* as a URL has it */
    char by[24];    /* the interface, or "mDNS" */
};
enum { AD_LAN_MAX = 8 };

/* Does the interface belong to containers or virtual machines on this machine? */
static bool ad_lan_virtual(const char *name)
{
    static const char *const kinds[] = {"docker", "br-", "veth", "virbr",
                                        "cni", "flannel", "lxc"};
    size_t i = 0;

    while (i < AD_COUNT(kinds) &&
           strncmp(name, kinds[i], strlen(kinds[i])) != 0) {
        i++;
    }
    return i < AD_COUNT(kinds);
}

/* Add the addresses of one family to the n that `out` has. Returns how many it
 * has now. */
static unsigned ad_lan_family(struct ad_lan out[AD_LAN_MAX], unsigned n,
                              int family)
{
    struct ifaddrs *all = NULL, *at;

    if (getifaddrs(&all) != 0) {
        return n;
    }
    for (at = all; at != NULL && n < AD_LAN_MAX; at = at->ifa_next) {
        const struct sockaddr *a = at->ifa_addr;
        char text[INET6_ADDRSTRLEN];
        const void *bytes;

        if (a == NULL || a->sa_family != family ||
            (at->ifa_flags & IFF_LOOPBACK) != 0 ||
            (at->ifa_flags & IFF_UP) == 0 || ad_lan_virtual(at->ifa_name)) {
            continue;
        }
        bytes = family == AF_INET
                    ? (const void *)&((const struct sockaddr_in *)(const void *)a)
                          ->sin_addr
                    : &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
        if ((family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(
                                       (const struct in6_addr *)bytes)) ||
            inet_ntop(family, bytes, text, sizeof(text)) == NULL) {
            continue;
        }
        (void)snprintf(out[n].host, sizeof(out[n].host),
                       family == AF_INET6 ? "[%s]" : "%s", text);
        (void)snprintf(out[n++].by, sizeof(out[0].by), "%.20s", at->ifa_name);
    }
    freeifaddrs(all);
    return n;
}

/* Names and addresses for people on the LAN: the mDNS name where Avahi runs, then
 * IPv4; IPv6 only if there is no IPv4. */
static unsigned ad_lan_list(struct ad_lan out[AD_LAN_MAX])
{
    unsigned named = 0, n;
    char name[200];

    if (access("/run/avahi-daemon/socket", F_OK) == 0 &&
        gethostname(name, sizeof(name)) == 0) {
        name[sizeof(name) - 1] = '\0';
        (void)snprintf(out[0].host, sizeof(out[0].host), "%.*s.local",
                       (int)strcspn(name, "."), name);
        (void)snprintf(out[0].by, sizeof(out[0].by), "mDNS");
        named = 1;
    }
    n = ad_lan_family(out, named, AF_INET);
    if (n == named) {
        n = ad_lan_family(out, n, AF_INET6);
    }
    return n;
}

#endif
