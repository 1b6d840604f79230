/* inflate.c - a file of the page without its gzip coding, by zlib's
 * inflateBack(). Worker threads, one at a time: ad_inflating's lock is held from
 * the first byte to the last. Among the last parts, so that zlib's macros and
 * names reach nothing of ours.
 */
#ifndef AD_WEB_INFLATE_C
#define AD_WEB_INFLATE_C

#include "assets.c"
#include "seam.h"

#if AIDASH_DASHBOARD

#include <zlib.h>

/* The allocator that zlib asks. All that inflateBack() wants is its state. */
static voidpf zcalloc(voidpf opaque, unsigned items, unsigned size)
{
    (void)opaque;
    return (size_t)items * size <= sizeof(ad_inflating.state)
               ? ad_inflating.state
               : NULL;
}

static void zcfree(voidpf opaque, voidpf memory)
{
    (void)opaque;
    (void)memory;
}

/* All that it defines is static, under names that zlib.h has not declared. */
#include <zutil.h>
#undef ZEXPORT
#undef ZLIB_INTERNAL
#define ZEXPORT static
#define ZLIB_INTERNAL static
#define inflateBackInit_ ad_zlib_init
#define inflateBack ad_zlib_inflate
#define inflateBackEnd ad_zlib_end
#define inflate_copyright static ad_zlib_copyright
#include <zlib_inflate.c>

_Static_assert(sizeof(struct inflate_state) <= sizeof(ad_inflating.state),
               "zlib's state has its room");

/* All of a file is there from the start. */
static unsigned ad_inflate_no_more(void *unused, z_const unsigned char **next)
{
    (void)unused;
    *next = NULL;
    return 0;
}

/* RFC 1952 2.3: 10 bytes, as `gzip -n` writes no name; then deflate's data. */
enum { AD_GZIP_HEADER = 10 };

static bool ad_inflate(const struct ad_asset *asset,
                       int (*put)(void *to, unsigned char *piece, unsigned len),
                       void *to)
{
    z_stream z;
    bool done = false;

    memset(&z, 0, sizeof(z));
    (void)pthread_mutex_lock(&ad_inflating.lock);
    if (inflateBackInit(&z, AD_INFLATE_WINDOW_BITS, ad_inflating.window) ==
        Z_OK) {
        z.next_in = (z_const unsigned char *)(uintptr_t)(asset->data +
                                                         AD_GZIP_HEADER);
        z.avail_in = (unsigned)(asset->len - AD_GZIP_HEADER);
        done = inflateBack(&z, ad_inflate_no_more, NULL, put, to) ==
               Z_STREAM_END;
        (void)inflateBackEnd(&z);
    }
    (void)pthread_mutex_unlock(&ad_inflating.lock);
    return done;
}

#endif /* AIDASH_DASHBOARD */

#endif
