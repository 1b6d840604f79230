/* net.c - addresses and sockets. Any thread. */
#ifndef AD_BASE_NET_C
#define AD_BASE_NET_C

#include "clock.c"
#include "decimal.c"

/* A socket's address, as getaddrinfo() gives it. */
struct ad_address {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* One number for a peer's address: its IPv4 address, also when mapped into IPv6
 * (RFC 4291 2.5.5.2), or its IPv6 network of 64 bits, which is one subscriber. */
static uint64_t ad_address_key(const struct sockaddr_storage *peer)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)peer;
    const struct sockaddr_in6 *v6 =
        (const struct sockaddr_in6 *)(const void *)peer;
    uint32_t low;
    uint64_t network;

    if (peer->ss_family == AF_INET) {
        return ntohl(v4->sin_addr.s_addr);
    }
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        memcpy(&low, v6->sin6_addr.s6_addr + 12, sizeof(low));
        return ntohl(low);
    }
    memcpy(&network, v6->sin6_addr.s6_addr, sizeof(network));
    return network;
}

/* Is this the key of 127.0.0.1 or ::1? Programs of this machine come from there. */
static bool ad_address_is_own(uint64_t key)
{
    return key == INADDR_LOOPBACK || key == 0;
}

/* HOST of HOST:PORT into an address without its port. False if it is malformed. */
static bool ad_address_host(const char *host, size_t len,
                            struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;
    char text[64];

    if (len == 0 || len >= sizeof(text)) {
        return false;
    }
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        memcpy(text, host + 1, len - 2);
        text[len - 2] = '\0';
        out->ss_family = AF_INET6;
        return inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
    }
    memcpy(text, host, len);
    text[len] = '\0';
    if (strcmp(text, "localhost") == 0) {
        (void)snprintf(text, sizeof(text), "127.0.0.1");
    }
    out->ss_family = AF_INET;
    return inet_pton(AF_INET, text, &v4->sin_addr) == 1;
}

/* [ADDR:]PORT into an address. Without ADDR (or with *), all interfaces: IPv6
 * that takes IPv4, too, if `dual`, else IPv4. False if it is malformed. */
static bool ad_address_parse(const char *spec, bool dual,
                             struct sockaddr_storage *out, socklen_t *len)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;
    const char *colon = strrchr(spec, ':');
    const char *port_text = colon != NULL ? colon + 1 : spec;
    uint64_t port;

    memset(out, 0, sizeof(*out));
    if (strlen(port_text) > 5 ||
        !ad_decimal_u64(port_text, strlen(port_text), 65535, &port)) {
        return false;
    }
    if (colon == NULL || (colon == spec + 1 && spec[0] == '*')) {
        out->ss_family = dual ? AF_INET6 : AF_INET;
    } else if (!ad_address_host(spec, (size_t)(colon - spec), out)) {
        return false;
    }
    if (out->ss_family == AF_INET6) {
        v6->sin6_port = htons((uint16_t)port);
        *len = sizeof(*v6);
    } else {
        v4->sin_port = htons((uint16_t)port);
        *len = sizeof(*v4);
    }
    return true;
}

#if AD_DIALS

/* The addresses of a host, at most `max`, into `out`. Asks the resolver, so it may
 * block for many seconds. Returns how many; with 0, *error is what gai_strerror()
 * explains. */
static unsigned ad_address_resolve(const char *host, const char *port,
                                   struct ad_address *out, unsigned max, int *error)
{
    struct addrinfo hints, *list, *a;
    unsigned n = 0;

    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;
    *error = getaddrinfo(host, port, &hints, &list);
    if (*error != 0) {
        return 0;
    }
    for (a = list; a != NULL && n < max; a = a->ai_next) {
        memset(&out[n], 0, sizeof(out[n]));
        memcpy(&out[n].storage, a->ai_addr, a->ai_addrlen);
        out[n].len = a->ai_addrlen;
        n++;
    }
    freeaddrinfo(list);
    return n;
}

/* IPv4, IPv6, or IPv6%ZONE (RFC 4007 11) and a port into an address. False if it is
 * neither. */
static bool ad_address_of(const char *host, uint16_t port, struct ad_address *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&out->storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&out->storage;
    size_t len = strcspn(host, "%");
    char text[INET6_ADDRSTRLEN];

    memset(out, 0, sizeof(*out));
    if (len >= sizeof(text)) {
        return false;
    }
    memcpy(text, host, len);
    text[len] = '\0';
    if (host[len] == '\0' && inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        out->len = sizeof(*v4);
        return true;
    }
    if (host[len] == '%') {
        v6->sin6_scope_id = if_nametoindex(host + len + 1);
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    out->len = sizeof(*v6);
    return inet_pton(AF_INET6, text, &v6->sin6_addr) == 1 &&
           (host[len] == '\0' || v6->sin6_scope_id != 0);
}

/* The addresses of a host that needs no resolver: of an address, and of localhost
 * (RFC 6761 6.3). `out` has room for 2.
 * Returns how many, 0 if it is a name. */
static unsigned ad_address_literal(const char *host, uint16_t port,
                                   struct ad_address *out)
{
    if (strcasecmp(host, "localhost") == 0) {
        (void)ad_address_of("127.0.0.1", port, &out[0]);
        (void)ad_address_of("::1", port, &out[1]);
        return 2;
    }
    return ad_address_of(host, port, out) ? 1 : 0;
}

#endif

/* A socket bound to [ADDR:]PORT. Returns it and its real port, or minus errno
 * (EINVAL: the address is malformed). */
static int ad_socket_bind(const char *spec, int type, unsigned *port)
{
    struct sockaddr_storage address;
    socklen_t len;
    int fd = -1, on = 1, off = 0, error, dual;

    for (dual = 1; dual >= 0 && fd < 0; dual--) { /* a kernel without IPv6 */
        if (!ad_address_parse(spec, dual == 1, &address, &len)) {
            return -EINVAL;
        }
        fd = socket(address.ss_family, type, 0);
        if (fd >= 0 && address.ss_family == AF_INET6) {
            (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
        }
        if (fd >= 0 && type == SOCK_STREAM) {
            (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        }
        if (fd >= 0 && (bind(fd, (struct sockaddr *)&address, len) != 0 ||
                        (type == SOCK_STREAM && listen(fd, 1024) != 0))) {
            error = errno;
            (void)close(fd);
            fd = -1;
            if (error != EADDRNOTAVAIL && error != EAFNOSUPPORT) {
                return -error;
            }
            errno = error;
        }
    }
    if (fd < 0) {
        return -errno;
    }
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    len = sizeof(address);
    (void)getsockname(fd, (struct sockaddr *)&address, &len);
    *port = ntohs(address.ss_family == AF_INET6
                      ? ((struct sockaddr_in6 *)(void *)&address)->sin6_port
                      : ((struct sockaddr_in *)(void *)&address)->sin_port);
    return fd;
}

/* The part of a listener's spec in front of the port, "" for all interfaces. */
static size_t ad_spec_host(const char *spec)
{
    const char *colon = strrchr(spec, ':');

    return colon == NULL || spec[0] == '*' ? 0 : (size_t)(colon - spec);
}

/* Is it an address of loopback, 127.0.0.0/8 or ::1 (RFC 1122 3.2.1.3, RFC 4291
 * 2.5.3)? IPv4 is mapped into IPv6 (2.5.5.2). */
static bool ad_ip_is_loopback(const uint8_t ip[16])
{
    static const uint8_t ip4[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 127};
    static const uint8_t ip6[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

    return memcmp(ip, ip4, sizeof(ip4)) == 0 || memcmp(ip, ip6, sizeof(ip6)) == 0;
}

/* Is it one of this machine's programs that has this address? */
static AD_UNUSED bool ad_address_is_loopback(const struct sockaddr_storage *peer)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)peer;
    const struct sockaddr_in6 *v6 =
        (const struct sockaddr_in6 *)(const void *)peer;

    if (peer->ss_family == AF_INET) {
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    }
    return peer->ss_family == AF_INET6 && ad_ip_is_loopback(v6->sin6_addr.s6_addr);
}

enum { AD_ADDRESS_TEXT_MAX = INET6_ADDRSTRLEN };

/* An address as text without its port, an IPv4 address also when it is mapped into
 * IPv6. */
static void ad_address_text(const struct sockaddr_storage *peer,
                            char out[AD_ADDRESS_TEXT_MAX])
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)peer;
    const struct sockaddr_in6 *v6 =
        (const struct sockaddr_in6 *)(const void *)peer;
    const void *address = &v4->sin_addr;
    int family = AF_INET;

    if (peer->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        address = v6->sin6_addr.s6_addr + 12;
    } else if (peer->ss_family == AF_INET6) {
        address = &v6->sin6_addr;
        family = AF_INET6;
    }
    (void)inet_ntop(family, address, out, AD_ADDRESS_TEXT_MAX);
}

/* The address of a socket's peer as text. "?" if there is none any more. */
static void ad_socket_peer_text(int fd, char out[AD_ADDRESS_TEXT_MAX])
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);

    (void)snprintf(out, AD_ADDRESS_TEXT_MAX, "?");
    if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0) {
        ad_address_text(&peer, out);
    }
}

/* Close it with a reset: nothing of it stays in the kernel. */
static void ad_socket_reset(int fd)
{
    struct linger reset = {1, 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    (void)close(fd);
}

static int ad_socket_accept(int listener, struct sockaddr_storage *peer)
{
    socklen_t len = sizeof(*peer);
#ifdef __linux__
    return accept4(listener, (struct sockaddr *)peer, &len,
                   SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
    int fd = accept(listener, (struct sockaddr *)peer, &len);

    if (fd >= 0) {
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return fd;
#endif
}

/* Low latency, and an end for peers that vanished without a word: they are asked
 * after idle_s seconds of silence. On Linux what is accepted has it from its
 * listener. */
static void ad_socket_tune(int fd, int idle_s)
{
    int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
#ifdef TCP_KEEPIDLE
    {
        int every_s = 10, times = 3;

        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s,
                         sizeof(idle_s));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s,
                         sizeof(every_s));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(times));
    }
#endif
}

/* Two connected sockets, non-blocking. False with errno set. */
static bool ad_socket_pair(int pair[2])
{
#ifdef __linux__
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                      pair) == 0;
#else
    int i;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
        return false;
    }
    for (i = 0; i < 2; i++) {
        (void)fcntl(pair[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(pair[i], F_SETFL, O_NONBLOCK);
    }
    return true;
#endif
}

#endif
