/* assets.c - the dashboard's files, as they are in the binary. */
#ifndef AD_WEB_ASSETS_C
#define AD_WEB_ASSETS_C

#include "../base/platform.h"

/* One page file of the dashboard, made by www/embed.sh. */
struct ad_asset {
    const char *path, *type, *etag;
    const unsigned char *data;
    size_t len;
    int gzip;
};

#if AIDASH_DASHBOARD
#include "aidash_www.h"
#else
static const struct ad_asset ad_assets[] = {{"", "", "", NULL, 0, 0}};
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

#endif
