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

/* Before each run. */
static void ad_origins_init(void)
{
    memset(&ad_origins, 0, sizeof(ad_origins));
}

/* Let pages of this origin connect; "*" is any. False if it is malformed, or one
 * more than AD_ORIGINS. While starting. */
static bool ad_origins_add(const char *origin, size_t len)
{
    if (len == 1 && origin[0] == '*') {
        ad_origins.any = true;
        return true;
    }
    if (len == 0 || len > AD_ORIGIN_MAX || ad_origins.n == AD_ORIGINS ||
        memmem(origin, len, "://", 3) == NULL || origin[len - 1] == '/') {
        return false;
    }
    memcpy(ad_origins.list[ad_origins.n], origin, len);
    ad_origins.list[ad_origins.n][len] = '\0';
    ad_origins.n++;
    return true;
}

AD_MEMORY(origins, AD_ORIGINS, sizeof(ad_origins));

#endif
