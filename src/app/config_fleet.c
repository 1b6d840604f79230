/* config_fleet.c - checks what the configuration says of other boards: the gateway that
 * gets this board's events, and the boards whose events this one reads. Runs on the
 * starting thread, before the hub's. Owns nothing.
 */
#ifndef AD_APP_CONFIG_FLEET_C
#define AD_APP_CONFIG_FLEET_C

#include "../fleet/fleet.c"
#include "config_engines.c"

#if AIDASH_METER

#if AD_FLEET

/* The gateway that gets this board's events. */
static int ad_configure_forward(const struct aidash_config *config)
{
    char host[AIDASH_NODE_MAX + 1] = "";
    const char *node = config->as_node;
    struct ad_upstream to;
    int rc;

    if (config->forward == NULL) {
        if (node == NULL && config->forward_key_file == NULL) {
            return 0;
        }
        return ad_fail(AIDASH_EINVAL, "%s: without forward it is not used",
                       node != NULL ? "as-node" : "forward-key-file");
    }
    if (node != NULL && !ad_name_ok(node, strlen(node), AIDASH_NODE_MAX)) {
        return ad_fail(AIDASH_EINVAL, "as-node: '%.*s' is not a name of 1 to %d bytes",
                       ad_shown(strlen(node)), node, AIDASH_NODE_MAX);
    }
    if (node == NULL) {
        if (gethostname(host, sizeof(host)) != 0 || memchr(host, '\0', sizeof(host)) == NULL ||
            !ad_name_ok(host, strlen(host), AIDASH_NODE_MAX)) {
            return ad_fail(AIDASH_EINVAL, "forward: this machine's name can't be that of "
                                          "a board; give one (as-node)");
        }
        node = host;
    }
    rc = ad_upstream_at("forward", config->forward, strlen(config->forward), &to);
    if (rc == 0 && config->forward_key_file != NULL) {
        rc = ad_configure_key("forward-key-file", config->forward_key_file,
                              ad_forward.key);
    }
    if (rc == 0) {
        ad_forward_set(&to, node);
    }
    return rc;
}

/* A board whose events this one reads, [NAME=]URL. */
static int ad_configure_peer(const char *item, size_t len)
{
    size_t name_len = ad_upstream_name_len(item, len), all = len;
    const char *name = item, *why;
    struct ad_upstream to;
    int rc;

    if (name_len != SIZE_MAX) {
        item += name_len + 1;
        len -= name_len + 1;
    }
    rc = ad_upstream_at("peer", item, len, &to);
    if (rc != 0) {
        return rc;
    }
    if (name_len == SIZE_MAX) {
        name = to.url.authority;
        name_len = strlen(name);
    }
    if (!ad_name_ok(name, name_len, AIDASH_NODE_MAX)) {
        return ad_fail(AIDASH_EINVAL, "peer: '%.*s' is not a name of 1 to %d bytes: write "
                                      "NAME=URL", ad_shown(name_len), name,
                       AIDASH_NODE_MAX);
    }
    memcpy(to.name, name, name_len);
    why = ad_follow_add(&to);
    return why == NULL ? 0
                       : ad_fail(AIDASH_EINVAL, "peer: '%.*s': %s", ad_shown(all),
                                 name_len < all ? item : name, why);
}

/* All of them; mdns: those that are announced in the LAN. */
static int ad_configure_peers(const struct aidash_config *config)
{
    static const char mdns[] = "mdns";
    const char *list = config->peer, *item;
    size_t len;
    int rc = 0;

    if (config->peer_key_file != NULL && config->peer == NULL) {
        return ad_fail(AIDASH_EINVAL, "peer-key-file: without peer it is not used");
    }
    while (rc == 0 && ad_list_next(&list, &item, &len)) {
        if (len == sizeof(mdns) - 1 && memcmp(item, mdns, len) == 0) {
            ad_browse.on = true;
        } else {
            rc = ad_configure_peer(item, len);
        }
    }
    if (rc == 0 && config->peer_key_file != NULL && ad_follows.n == 0) {
        rc = ad_fail(AIDASH_EINVAL, "peer-key-file: boards that mdns finds never get a key: "
                                    "name those that need one, NAME=URL");
    }
    if (rc == 0 && config->peer_key_file != NULL) {
        rc = ad_configure_key("peer-key-file", config->peer_key_file, ad_follows.key);
    }
    return rc;
}

static int ad_configure_fleet(const struct aidash_config *config)
{
    int rc = ad_configure_forward(config);

    return rc == 0 ? ad_configure_peers(config) : rc;
}

#else

static int ad_configure_fleet(const struct aidash_config *config)
{
    if (config->forward != NULL || config->peer != NULL) {
        return ad_fail(AIDASH_EINVAL, "%s: this aidash was built without other boards "
                                      "(AIDASH_NODES)",
                       config->forward != NULL ? "forward" : "peer");
    }
    return 0;
}

#endif

#endif /* AIDASH_METER */

#endif
