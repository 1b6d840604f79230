/* machine.c - what `aidash doctor` asks of this machine: which of its own addresses
 * lead to a port, the firewall, the name on the LAN, the service. The main thread.
 * Owns no state.
 *
 * Nothing is started and nothing is changed: it reads files, and asks the network
 * for a second at most each time. `root` is the root of the file system: "" but in
 * tests.
 */
#ifndef AD_APP_MACHINE_C
#define AD_APP_MACHINE_C

#include "../base/lan.c"
#include "../base/net.c"
#include "../base/text.c"

#ifndef AIDASH_NO_MAIN
#if AIDASH_METER

enum {
    AD_MACHINE_WAIT_MS = 1000, /* for a connection, or for an answer */
    AD_MDNS_PORT = 5353,       /* RFC 6762 */
    AD_MDNS_MAX = 512,         /* bytes of a message: RFC 1035 2.3.4 */
    AD_MDNS_HEAD = 12,         /* bytes of its head: RFC 1035 4.1.1 */
    AD_MDNS_NONE = -1,         /* nobody has the name */
    AD_MDNS_DEAF = -2          /* it could not be asked */
};

/* ---- the port ---- */

/* Is there a listener at HOST:PORT? HOST is an address of this machine, an IPv6
 * one in brackets. What a firewall does to other machines does not show here. */
static bool ad_machine_answers(const char *host, unsigned port)
{
    struct sockaddr_storage address;
    struct pollfd ready;
    char spec[300];
    socklen_t len = sizeof(int);
    int error = 1;

    (void)snprintf(spec, sizeof(spec), "%s:%u", host, port);
    if (!ad_address_parse(spec, true, &address, &len)) {
        return false;
    }
    ready.fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                      0);
    ready.events = POLLOUT;
    if (ready.fd < 0) {
        return false;
    }
    if (connect(ready.fd, (const struct sockaddr *)&address, len) == 0) {
        error = 0;
    } else if (errno == EINPROGRESS &&
               poll(&ready, 1, AD_MACHINE_WAIT_MS) == 1) {
        len = sizeof(error);
        (void)getsockopt(ready.fd, SOL_SOCKET, SO_ERROR, &error, &len);
    }
    (void)close(ready.fd);
    return error == 0;
}

/* Is there this file, or what a link is called? */
static bool ad_machine_has(const char *root, const char *path)
{
    struct stat found;
    char full[512];

    (void)snprintf(full, sizeof(full), "%s%s", root, path);
    return lstat(full, &found) == 0;
}

/* Does a line of the file begin so? */
static bool ad_machine_says(const char *root, const char *path,
                            const char *begin)
{
    char full[512], line[256];
    bool says = false;
    FILE *f;

    (void)snprintf(full, sizeof(full), "%s%s", root, path);
    f = fopen(full, "r");
    while (f != NULL && !says && fgets(line, sizeof(line), f) != NULL) {
        says = strncmp(line, begin, strlen(begin)) == 0;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return says;
}

/* What to do about a firewall that is known to be on, as a sentence; or "". Only
 * root may see its rules. */
static void ad_machine_firewall(const char *root, unsigned port,
                                struct ad_text *t)
{
    if (ad_machine_says(root, "/etc/ufw/ufw.conf", "ENABLED=yes")) {
        ad_putf(t,
                "the firewall ufw is on; to let the LAN in: sudo ufw allow %u/tcp",
                port);
    } else if (ad_machine_has(root, "/run/firewalld") ||
               ad_machine_has(root, "/run/firewalld.pid")) {
        ad_putf(t,
                "the firewall firewalld is on; to let the LAN in: sudo "
                "firewall-cmd --permanent --add-port=%u/tcp && sudo "
                "firewall-cmd --reload",
                port);
    } else if (ad_machine_says(root, "/proc/net/ip_tables_names", "filter") ||
               ad_machine_says(root, "/proc/net/ip6_tables_names", "filter")) {
        ad_putf(t,
                "packets are filtered here; whether port %u is let in: sudo "
                "iptables -L INPUT -n",
                port);
    }
}

/* ---- the name on the LAN ---- */

/* A question for the IPv4 address of NAME.local. Returns its bytes, or 0: it does
 * not fit. RFC 1035 4.1, RFC 6762 6.7. */
static size_t ad_mdns_question(uint8_t out[AD_MDNS_MAX], uint16_t id,
                               const char *name)
{
    static const uint8_t end[] = {5, 'l', 'o', 'c', 'a', 'l', 0,
                                  0, 1 /* A */, 0, 1 /* IN */};
    size_t len = strlen(name);

    if (len == 0 || len > 63) { /* a label: RFC 1035 2.3.4 */
        return 0;
    }
    memset(out, 0, AD_MDNS_HEAD);
    out[0] = (uint8_t)(id >> 8);
    out[1] = (uint8_t)id;
    out[5] = 1; /* one question */
    out[AD_MDNS_HEAD] = (uint8_t)len;
    memcpy(out + AD_MDNS_HEAD + 1, name, len);
    memcpy(out + AD_MDNS_HEAD + 1 + len, end, sizeof(end));
    return AD_MDNS_HEAD + 1 + len + sizeof(end);
}

/* The end of the name that begins at `at`, or 0: it is malformed. RFC 1035 4.1.4:
 * a pointer ends it. */
static size_t ad_mdns_name_end(const uint8_t *bytes, size_t len, size_t at)
{
    while (at < len) {
        if (bytes[at] >= 0xC0) {
            return at + 2 <= len ? at + 2 : 0;
        }
        if (bytes[at] > 63) {
            return 0;
        }
        if (bytes[at] == 0) {
            return at + 1;
        }
        at += 1u + bytes[at];
    }
    return 0;
}

/* The IPv4 address in an answer to our question. False if it is none. */
static bool ad_mdns_address(const uint8_t *bytes, size_t len, uint16_t id,
                            struct in_addr *out)
{
    size_t at = AD_MDNS_HEAD;
    unsigned questions, answers, i;

    if (len < AD_MDNS_HEAD || bytes[0] != (uint8_t)(id >> 8) ||
        bytes[1] != (uint8_t)id || (bytes[2] & 0x80) == 0) { /* no answer */
        return false;
    }
    questions = (unsigned)(bytes[4] << 8 | bytes[5]);
    answers = (unsigned)(bytes[6] << 8 | bytes[7]);
    for (i = 0; i < questions && i < AD_MDNS_MAX; i++) {
        at = ad_mdns_name_end(bytes, len, at);
        if (at == 0 || len - at < 4) {
            return false;
        }
        at += 4;
    }
    for (i = 0; i < answers && i < AD_MDNS_MAX; i++) {
        size_t size;

        at = ad_mdns_name_end(bytes, len, at);
        if (at == 0 || len - at < 10) {
            return false;
        }
        size = (size_t)(bytes[at + 8] << 8 | bytes[at + 9]);
        if (len - at - 10 < size) {
            return false;
        }
        if (bytes[at] == 0 && bytes[at + 1] == 1 && size == sizeof(*out)) {
            memcpy(out, bytes + at + 10, sizeof(*out));
            return true;
        }
        at += 10 + size;
    }
    return false;
}

/* Ask the LAN who is NAME.local. Returns 0 and the address, AD_MDNS_NONE or
 * AD_MDNS_DEAF. The question comes from another port than mDNS's own, so the answer
 * comes to us alone (RFC 6762 6.7). */
static int ad_machine_mdns(const char *name, struct in_addr *address)
{
    struct sockaddr_in group;
    uint8_t bytes[AD_MDNS_MAX];
    uint16_t id = (uint16_t)((unsigned)getpid() * 2654435761u >> 8);
    size_t len = ad_mdns_question(bytes, id, name);
    struct pollfd ready = {-1, POLLIN, 0};
    ssize_t got;
    int rc = AD_MDNS_NONE;

    memset(&group, 0, sizeof(group));
    group.sin_family = AF_INET;
    group.sin_port = htons(AD_MDNS_PORT);
    group.sin_addr.s_addr = htonl(0xE00000FBu); /* 224.0.0.251: RFC 6762 3 */
    ready.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (ready.fd < 0) {
        return AD_MDNS_DEAF;
    }
    if (len == 0 || sendto(ready.fd, bytes, len, 0, (struct sockaddr *)&group,
                           sizeof(group)) < 0) {
        rc = AD_MDNS_DEAF;
    } else if (poll(&ready, 1, AD_MACHINE_WAIT_MS) == 1) {
        got = recv(ready.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (got > 0 && ad_mdns_address(bytes, (size_t)got, id, address)) {
            rc = 0;
        }
    }
    (void)close(ready.fd);
    return rc;
}

/* ---- the service ---- */

/* How aidash.service is, as a sentence. */
static const char *ad_machine_service(const char *root)
{
    static const char *const units[] = {
        "/etc/systemd/system/aidash.service",
        "/usr/local/lib/systemd/system/aidash.service",
        "/usr/lib/systemd/system/aidash.service",
        "/lib/systemd/system/aidash.service"};
    /* Of cgroups version 2, of version 1, and of both at once. */
    static const char *const groups[] = {
        "/sys/fs/cgroup/system.slice/aidash.service",
        "/sys/fs/cgroup/systemd/system.slice/aidash.service",
        "/sys/fs/cgroup/unified/system.slice/aidash.service"};
    bool installed = false, runs = false, boots;
    size_t i;

    if (!ad_machine_has(root, "/run/systemd/system")) {
        return "systemd does not run here: what starts aidash is not known";
    }
    for (i = 0; i < AD_COUNT(units); i++) {
        installed = installed || ad_machine_has(root, units[i]);
    }
    for (i = 0; i < AD_COUNT(groups); i++) {
        runs = runs || ad_machine_has(root, groups[i]);
    }
    boots = ad_machine_has(
        root, "/etc/systemd/system/multi-user.target.wants/aidash.service");
    if (!installed) {
        return "aidash.service is not installed: aidash runs while you run it";
    }
    if (runs) {
        return boots ? "aidash.service runs, and starts at boot"
                     : "aidash.service runs, but does not start at boot: sudo "
                       "systemctl enable aidash";
    }
    return boots ? "aidash.service starts at boot, but does not run now: "
                   "journalctl -u aidash -n 20"
                 : "aidash.service is installed, but neither runs nor starts at "
                   "boot: sudo systemctl enable --now aidash";
}

#endif
#endif /* AIDASH_NO_MAIN */

#endif
