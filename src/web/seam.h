/* seam.h - what the parts above call of civetweb and zlib, which are compiled last:
 * the only calls that run upward. The functions are in glue.c and inflate.c.
 */
#ifndef AD_WEB_SEAM_H
#define AD_WEB_SEAM_H

#include "../base/platform.h"

/* Start civetweb and its workers. False if it can't start its threads. */
static bool ad_civetweb_start(void);

/* End it and its workers; none of them may have a request (ad_workers.inside). */
static void ad_civetweb_stop(void);

/* Give a worker the socket of a pair, see workers.c. Hub thread. Does not wait as
 * long as no more than AD_WORKERS_INSIDE are inside. */
static void ad_civetweb_queue(int fd, const struct sockaddr_storage *peer);

#if AIDASH_DASHBOARD
struct ad_asset;

/* Take the gzip coding off a file: put() gets it in pieces of up to 32 KiB, and
 * returns 0 to go on. Worker threads; one waits for another. False if put() ended
 * it. */
static bool ad_inflate(const struct ad_asset *asset,
                       int (*put)(void *to, unsigned char *piece, unsigned len),
                       void *to);
#endif

#endif
