/* assets.c - the dashboard's files, as they are in the binary, and the memory in
 * which one of them is inflated.
 * Owns ad_inflating: worker threads, under its lock.
 */
#ifndef AD_WEB_ASSETS_C
#define AD_WEB_ASSETS_C

#include "../base/platform.h"

/* One page file of the dashboard, made by www/embed.sh. */
struct ad_asset {
    const char *path, *type;
    const unsigned char *data; /* with the coding gzip (RFC 9110 8.4.1.3) */
    size_t len;
    const char *etag;       /* of data; RFC 9110 8.8.3 with its quotes */
    size_t plain_len;       /* of the file without the coding, in bytes */
    const char *plain_etag;
};

#if AIDASH_DASHBOARD
#include "aidash_www.h"
#else
enum { AD_ASSETS_LARGEST = 0 };
static const struct ad_asset ad_assets[] = {{"", "", NULL, 0, "", 0, ""}};
#endif

static const struct ad_asset *ad_asset_find(const char *path, size_t len)
{
    size_t i;

    for (i = 0; i < AD_COUNT(ad_assets); i++) {
        if (strlen(ad_assets[i].path) == len && len > 0 &&
            memcmp(ad_assets[i].path, path, len) == 0) {
            return &ad_assets[i];
        }
    }
    return NULL;
}

/* The entity-tag of what is sent to a client that takes gzip, or does not. */
static const char *ad_asset_etag(const struct ad_asset *asset, bool gzip)
{
    return gzip ? asset->etag : asset->plain_etag;
}

#if AIDASH_DASHBOARD

enum {
    AD_INFLATE_WINDOW_BITS = 15, /* RFC 1951 2: distances of up to 32 KiB */
    AD_INFLATE_STATE = 7424      /* bytes; inflate.c checks that it is enough */
};

static struct {
    pthread_mutex_t lock;
    _Alignas(16) unsigned char state[AD_INFLATE_STATE]; /* zlib's */
    unsigned char window[1 << AD_INFLATE_WINDOW_BITS];
} ad_inflating = {.lock = PTHREAD_MUTEX_INITIALIZER};

AD_MEMORY(inflate, 1, sizeof(ad_inflating));

#endif

#endif
