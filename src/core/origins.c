/* origins.c - pages of which other origins may use aidash (RFC 6454).
 * Owns ad_origins, set at start. Any thread.
 */
#ifndef AD_CORE_ORIGINS_C
#define AD_CORE_ORIGINS_C

#include "../base/text.c"

enum {
    AD_ORIGINS = 16,     /* --allow-origin may be given so often */
    AD_ORIGIN_MAX = 255, /* bytes of an origin: 253 is a host's limit */
    AD_CORS_MAX = AD_ORIGIN_MAX + 64 /* two header lines with an origin */
};

static struct {
    bool any; /* [I] */
    unsigned n; /* [I] */
    char list[AD_ORIGINS][AD_ORIGIN_MAX + 1]; /* [I] */
} ad_origins;

/* RFC 6454: may a page of this origin use us? Without an Origin header it is no
 * page. "null" (a sandbox, a local file) is only ever allowed by "*". */
static bool ad_origin_allowed(const char *origin, const char *host)
{
    const char *authority;
    unsigned i;

    if (origin == NULL || ad_origins.any) {
        return true;
    }
    for (i = 0; i < ad_origins.n; i++) {
        if (strcasecmp(ad_origins.list[i], origin) == 0) {
            return true;
        }
    }
    authority = strstr(origin, "://");
    return authority != NULL && host != NULL &&
           strcasecmp(authority + 3, host) == 0;
}

#endif
