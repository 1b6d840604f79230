/* doctor.c - `aidash doctor`: finds engines and a free port, says who can reach
 * them and what they may, how the service is, and what to type next. The main
 * thread. Owns no state.
 */
#ifndef AD_APP_DOCTOR_C
#define AD_APP_DOCTOR_C

#include "../base/lan.c"
#include "engines.c"
#include "machine.c"
#include "option_values.c"
#include "ports.c"

#ifndef AIDASH_NO_MAIN

#if AIDASH_METER

/* What is known before the advice is given. */
struct ad_doctor {
    struct ad_choice choice;
    struct ad_lan lan[AD_LAN_MAX];
    unsigned n_lan;
    char listen[64]; /* [ADDR:]PORT to serve on */
    unsigned port;   /* its port, 0: none is free */
    const char *open; /* of `lan`, where other machines reach it; NULL: nowhere */
};

/* ---- engines ---- */

/* Is it an engine of this machine, asked by its loopback address? Its port, or
 * 0. */
static unsigned ad_doctor_loopback(const struct ad_upstream *u)
{
    const struct sockaddr_storage *a = &u->addresses[0].storage;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)a;
    bool loopback = a->ss_family == AF_INET6
                        ? IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr)
                        : ntohl(v4->sin_addr.s_addr) >> 24 == 127;

    return loopback ? ad_doctor_port_of(u) : 0;
}

/* The first of this machine's addresses on which something listens at this port,
 * NULL: none. */
static const char *ad_doctor_open(const struct ad_doctor *d, unsigned port)
{
    unsigned i;

    for (i = 0; i < d->n_lan; i++) {
        if (strcmp(d->lan[i].by, "mDNS") != 0 &&
            ad_machine_answers(d->lan[i].host, port)) {
            return d->lan[i].host;
        }
    }
    return NULL;
}

/* Which of this machine's engines other machines can reach, too. */
static void ad_doctor_exposed(const struct ad_doctor *d)
{
    unsigned i;

    for (i = 0; i < d->choice.n && d->n_lan > 0; i++) {
        const struct ad_upstream *u = &d->choice.engines[i].at;
        unsigned port = ad_doctor_loopback(u);
        const char *host = port != 0 ? ad_doctor_open(d, port) : NULL;

        if (host != NULL) {
            printf("  other machines can use port %u directly, past aidash: it "
                   "listens on %s, too\n", port, host);
        } else if (port != 0) {
            printf("  port %u is on the loopback only: other machines can use it "
                   "through aidash alone\n", port);
        }
    }
}

/* ---- ports ---- */

/* Can other machines reach this port, on which something listens? */
static void ad_doctor_reach(struct ad_doctor *d, unsigned port)
{
    char text[256];
    struct ad_text t = ad_text_in(text, sizeof(text));

    d->open = ad_doctor_open(d, port);

    if (d->n_lan == 0) {
        printf("  this machine has no address on a network\n");
        return;
    }
    if (d->open == NULL) {
        printf("  port %u is for this machine only: nothing listens on its "
               "addresses on the LAN\n", port);
        return;
    }
    printf("  other machines reach port %u at %s, if no firewall keeps them "
           "out\n", port, d->open);
    ad_machine_firewall("", port, &t);
    if (t.len > 0) {
        printf("  %.*s\n", (int)t.len, t.at);
    }
}

/* Can aidash listen here? Prints it, and who could reach it. Returns the port, or
 * 0. */
static unsigned ad_doctor_port(struct ad_doctor *d, const char *spec)
{
    char holder[128];
    unsigned port;
    int fd = ad_socket_bind(spec, SOCK_STREAM, &port);

    if (fd >= 0) {
        printf("  %s is free\n", spec);
        ad_doctor_reach(d, port);
        (void)close(fd);
        return port;
    }
    ad_port_holder(spec, holder, sizeof(holder));
    printf("  %s is %s: %s%s\n", spec,
           fd == -EADDRINUSE ? "taken" : "not available", strerror(-fd), holder);
    return 0;
}

/* The address of --listen, or near the default, that is free. Where aidash runs
 * already, it is the running one's. */
static void ad_doctor_ports(struct ad_doctor *d, const char *list)
{
    const char *item;
    size_t len;
    unsigned i;

    if (d->choice.running != 0) {
        d->port = d->choice.running;
        (void)snprintf(d->listen, sizeof(d->listen), "%u", d->port);
        printf("  aidash listens on %u\n", d->port);
        ad_doctor_reach(d, d->port);
        if (list == NULL) {
            return;
        }
        d->port = 0;
    }
    if (list == NULL) {
        list = "8080";
    }
    while (d->port == 0 && ad_list_next(&list, &item, &len)) {
        (void)snprintf(d->listen, sizeof(d->listen), "%.*s", (int)len, item);
        d->port = ad_doctor_port(d, d->listen);
    }
    for (i = 8090; d->port == 0 && i < 8100; i++) {
        (void)snprintf(d->listen, sizeof(d->listen), "%u", i);
        d->port = ad_doctor_port(d, d->listen);
    }
}

/* ---- addresses ---- */

/* Does the LAN know this machine by NAME.local? */
static void ad_doctor_name_on_lan(const struct ad_doctor *d)
{
    char name[256], text[INET_ADDRSTRLEN];
    struct in_addr address;
    bool own = false;
    unsigned i;
    int rc;

    if (gethostname(name, sizeof(name)) != 0) {
        return;
    }
    name[sizeof(name) - 1] = '\0';
    name[strcspn(name, ".")] = '\0';
    rc = ad_machine_mdns(name, &address);
    if (rc == AD_MDNS_DEAF) {
        printf("  whether the LAN knows %s.local is not known: it can't be "
               "asked\n", name);
    } else if (rc == AD_MDNS_NONE) {
        printf("  nobody answers to %s.local: for a name on the LAN, install "
               "avahi-daemon\n", name);
    } else if (inet_ntop(AF_INET, &address, text, sizeof(text)) != NULL) {
        for (i = 0; i < d->n_lan; i++) {
            own = own || strcmp(d->lan[i].host, text) == 0;
        }
        if (own) {
            printf("  http://%s.local:%u on the LAN (%s answers to it)\n", name,
                   d->port, text);
        } else {
            printf("  %s.local is %s, which is another machine: give this one "
                   "another name\n", name, text);
        }
    }
}

/* Where viewers find a dashboard on this port. */
static void ad_doctor_addresses(const struct ad_doctor *d)
{
    unsigned i, v6 = 0;

    printf("  http://localhost:%u on this machine\n", d->port);
    for (i = 0; i < d->n_lan; i++) {
        if (strcmp(d->lan[i].by, "mDNS") != 0) {
            printf("  http://%s:%u on the LAN (%s)\n", d->lan[i].host, d->port,
                   d->lan[i].by);
            v6 += d->lan[i].host[0] == '[' ? 1 : 0;
        }
    }
    if (v6 == 0) {
        printf("  no IPv6 address but those of the link\n");
    }
    ad_doctor_name_on_lan(d);
}

/* All addresses of this machine: of both families. */
static unsigned ad_doctor_lan(struct ad_lan out[AD_LAN_MAX])
{
    unsigned n = ad_lan_family(out, 0, AF_INET);

    return ad_lan_family(out, n, AF_INET6);
}

/* ---- who may what ---- */

/* Who may do what with these options, and the engines that were found. False if an
 * option is wrong, which was printed. */
static bool ad_doctor_posture(const struct ad_doctor *d,
                              const struct ad_options *o)
{
    const char *origins = ad_option_value(o, "allow-origin");
    struct aidash_config config = {0};
    char posture[AD_POSTURE_MAX];
    unsigned rights = AD_MAY_ALL;

    if (!ad_option_source(o, &config.source)) {
        return false;
    }
    config.upstream_key_file = ad_option_value(o, "upstream-key-file");
    if (d->choice.n > 0) {
        config.source = "none";
    } else {
        rights &= ~(unsigned)AD_MAY_INFER;
    }
    if (!ad_options_rights(o, &config) || ad_configure_rights(&config) != 0) {
        return false;
    }
    ad_put_posture(posture, rights, d->open != NULL, false);
    printf("  %s\n", posture);
    if (d->open != NULL && ad_rights_with(AD_MODE_KEY, rights) != 0) {
        printf("  aidash pair lets a phone or a browser in, aidash keys add a "
               "program\n");
    }
    if (d->open != NULL) {
        printf("  --listen 127.0.0.1:PORT keeps other machines out; a proxy in front "
               "adds TLS\n");
    }
    if (origins != NULL) {
        printf("  web pages of %s may do what the viewer may in whose browser they "
               "are\n", strcmp(origins, "*") == 0 ? "any origin" : origins);
    }
    return true;
}

/* ---- next ---- */

/* Is an engine of this kind among those found (or, if `other`, one of another)? */
static bool ad_doctor_found(const struct ad_choice *choice, const char *name,
                            bool other)
{
    unsigned i;

    for (i = 0; i < choice->n; i++) {
        if ((strcmp(choice->engines[i].name, name) == 0) != other) {
            return true;
        }
    }
    return false;
}

/* What to type next. */
static void ad_doctor_next(const struct ad_doctor *d)
{
    const struct ad_choice *choice = &d->choice;
    const char *host = d->open != NULL ? d->open : "localhost";
    unsigned i;

    if (choice->running != 0) {
        printf("  aidash is already running: open http://%s:%u; to start it with other "
               "options, stop it first, then:\n", host, choice->running);
    }
    printf("  aidash --listen %s", d->listen);
    for (i = 0; i < choice->n; i++) {
        const struct ad_url *url = &choice->engines[i].at.url;

        printf(" --upstream %s%s%s", ad_url_scheme(url->tls), url->authority,
               url->prefix);
    }
    if (choice->n == 0) {
        printf("\n  for a simulated engine; add --upstream http://HOST:PORT when "
               "you have a real one\n");
        return;
    }
    printf("\n  and set the address in the clients: ");
    if (ad_doctor_found(choice, "Ollama", false)) {
        printf("OLLAMA_HOST=http://%s:%u%s", host, d->port,
               ad_doctor_found(choice, "Ollama", true) ? " and " : "\n");
    }
    if (ad_doctor_found(choice, "Ollama", true)) {
        printf("http://%s:%u/v1\n", host, d->port);
    }
}

/* aidash doctor. Returns the exit code. */
static int ad_doctor(const struct ad_options *o)
{
    const char *key = ad_option_value(o, "upstream-key-file");
    struct aidash_config config = {0};
    struct ad_doctor d = {0};
    int rc = ad_configure_upstreams(ad_option_value(o, "upstream"));

    if (rc == 0 && key != NULL) {
        rc = ad_configure_key("upstream-key-file", key, ad_upstreams.key);
    }
    if (rc == 0) {
        config.upstream_ca = ad_option_value(o, "upstream-ca");
        config.upstream_pin = ad_option_value(o, "upstream-pin");
        rc = ad_configure_trust(&config);
    }
    if (rc != 0) {
        ad_print_failure(o, rc);
        return ad_exit_code(rc);
    }
    ad_trust_use();
    d.n_lan = ad_doctor_lan(d.lan);
    printf("engines\n");
    ad_doctor_given(&d.choice);
    ad_doctor_usual(&d.choice);
    ad_doctor_exposed(&d);
    printf("ports\n");
    ad_doctor_ports(&d, ad_option_value(o, "listen"));
    printf("addresses\n");
    ad_doctor_addresses(&d);
    printf("service\n  %s\n", ad_machine_service(""));
    printf("access\n");
    if (!ad_doctor_posture(&d, o)) {
        return AD_EXIT_USAGE;
    }
    printf("next\n");
    ad_doctor_next(&d);
    return d.choice.n > 0 ? AD_EXIT_OK : AD_EXIT_FAILED;
}

#else

static int ad_doctor(const struct ad_options *o)
{
    (void)o;
    return AD_EXIT_USAGE;
}

#endif

#endif /* AIDASH_NO_MAIN */

#endif
