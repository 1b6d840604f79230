/* api_routes.c - what aidash.h declares for paths of the program's own. Owns nothing.
 */
#ifndef AD_APP_API_ROUTES_C
#define AD_APP_API_ROUTES_C

#include "../web/own_routes.c"
#include "api.c"

#if AIDASH_ROUTES

/* Is it a media type, as Content-Type has it: printable ASCII (RFC 9110 8.3)? */
static bool ad_own_type_ok(const char *type)
{
    size_t len = type != NULL ? strnlen(type, AIDASH_TYPE_MAX + 1) : 0, i = 0;

    while (i < len && type[i] >= ' ' && type[i] <= '~') {
        i++;
    }
    return len > 2 && len <= AIDASH_TYPE_MAX && i == len && type[0] != ' ' &&
           type[len - 1] != ' ' && strchr(type, '/') != NULL;
}

/* One of the rights of aidash.h; 0 is to see. */
static bool ad_own_right_ok(unsigned right)
{
    return right <= AD_MAY_ALL && (right & (right - 1)) == 0;
}

/* The route's texts, checked. 0, or AIDASH_EINVAL. */
static int ad_own_route_fill(struct ad_own_route *route, const char *path,
                             const char *type, unsigned right)
{
    const char *problem = path != NULL ? ad_own_path_problem(path) : "is NULL";

    if (problem != NULL) {
        return ad_fail(AIDASH_EINVAL, "route: the path '%.100s' %s",
                       path != NULL ? path : "", problem);
    }
    if (ad_route_is_aidash(ad_slice_of(path)) || strncmp(path, "/auth/", 6) == 0) {
        return ad_fail(AIDASH_EINVAL, "route: the path '%s' is aidash's own", path);
    }
    if (!ad_own_type_ok(type)) {
        return ad_fail(AIDASH_EINVAL, "route %s: the type must be one such as image/png, "
                                      "of at most %d characters", path, AIDASH_TYPE_MAX);
    }
    if (!ad_own_right_ok(right)) {
        return ad_fail(AIDASH_EINVAL, "route %s: the right must be one of AIDASH_MAY_VIEW "
                                      "and the others, or 0", path);
    }
    memcpy(route->path, path, strlen(path) + 1);
    memcpy(route->type, type, strlen(type) + 1);
    route->right = right != 0 ? right : AD_MAY_VIEW;
    return 0;
}

/* Add a route whose answer is set. */
static int ad_own_route_register(struct ad_own_route *route, const char *path,
                                 const char *type, unsigned right)
{
    int rc, state = AD_STOPPED;

    if (!atomic_compare_exchange_strong(&ad_life.state, &state, AD_STARTING)) {
        return AIDASH_ESTATE; /* the error's text may be another thread's */
    }
    rc = ad_own_route_fill(route, path, type, right);
    if (rc == 0 && route->answer == NULL && route->bytes == NULL) {
        rc = ad_fail(AIDASH_EINVAL, "route %s: there is nothing to answer with", path);
    }
    if (rc == 0 && !ad_own_route_add(route)) {
        rc = ad_fail(AIDASH_EFULL, "route %s: there are AIDASH_ROUTES (%d) already", path,
                     AIDASH_ROUTES);
    }
    atomic_store(&ad_life.state, AD_STOPPED);
    return rc;
}

int aidash_route(const char *path, const char *type, unsigned right,
                 int (*answer)(const struct aidash_visit *visit, void *user), void *user)
{
    struct ad_own_route route;

    memset(&route, 0, sizeof(route));
    route.answer = answer;
    route.user = user;
    return ad_own_route_register(&route, path, type, right);
}

int aidash_route_static(const char *path, const char *type, unsigned right,
                        const void *bytes, size_t len)
{
    struct ad_own_route route;

    memset(&route, 0, sizeof(route));
    route.bytes = bytes;
    route.len = len;
    if (bytes != NULL) {
        ad_own_etag(bytes, len, route.etag);
    }
    return ad_own_route_register(&route, path, type, right);
}

int aidash_reply(const struct aidash_visit *visit, const void *bytes, size_t len)
{
    return ad_caller_reply(visit, bytes, len);
}

#else

static int ad_own_routes_none(void)
{
    return ad_fail(AIDASH_EFULL, "route: AIDASH_ROUTES is 0");
}

int aidash_route(const char *path, const char *type, unsigned right,
                 int (*answer)(const struct aidash_visit *visit, void *user), void *user)
{
    (void)path;
    (void)type;
    (void)right;
    (void)answer;
    (void)user;
    return ad_own_routes_none();
}

int aidash_route_static(const char *path, const char *type, unsigned right,
                        const void *bytes, size_t len)
{
    (void)path;
    (void)type;
    (void)right;
    (void)bytes;
    (void)len;
    return ad_own_routes_none();
}

int aidash_reply(const struct aidash_visit *visit, const void *bytes, size_t len)
{
    (void)visit;
    (void)bytes;
    (void)len;
    return AIDASH_EINVAL;
}

#endif

#endif
