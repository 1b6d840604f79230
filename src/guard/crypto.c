/* crypto.c - mbedTLS: its memory, its random numbers, its start.
 * Owns ad_crypto. One thread at a time is inside mbedTLS: the one that starts
 * aidash, then the hub. Only with AIDASH_TLS.
 */
#ifndef AD_GUARD_CRYPTO_C
#define AD_GUARD_CRYPTO_C

#include "../base/platform.h"

#if AIDASH_TLS

#include "heap.c"

#ifdef __linux__
#include <sys/random.h>
#endif
#include <mbedtls/platform.h>
#include <mbedtls/error.h>
#include <psa/crypto.h>

#if MBEDTLS_VERSION_NUMBER < 0x03060000 || MBEDTLS_VERSION_NUMBER >= 0x04000000
#error "AIDASH_TLS needs mbedTLS 3.6"
#endif
#ifndef MBEDTLS_PLATFORM_MEMORY
#error "AIDASH_TLS needs mbedTLS with MBEDTLS_PLATFORM_MEMORY"
#endif

static struct {
    struct ad_heap *heap; /* what mbedTLS allocates from now; NULL: nothing */
    bool started;
} ad_crypto;

/* mbedTLS allocates from this heap from now on; returns the one before. What it
 * frees goes back to where it came from. */
static struct ad_heap *ad_crypto_use(struct ad_heap *heap)
{
    struct ad_heap *before = ad_crypto.heap;

    ad_crypto.heap = heap;
    return before;
}

static void *ad_crypto_calloc(size_t n, size_t size)
{
    return ad_crypto.heap == NULL ? NULL
                                  : ad_heap_calloc(ad_crypto.heap, n, size);
}

/* Random bytes of the system: an f_rng of mbedTLS. Never waits, so early in the
 * boot there may be none. 0, or an error of mbedTLS. */
static int ad_crypto_random(void *unused, unsigned char *out, size_t len)
{
    static int urandom = -1;
    ssize_t n;

    (void)unused;
    while (len > 0) {
#ifdef __linux__
        n = getrandom(out, len, GRND_NONBLOCK);
        if (n < 0 && errno != ENOSYS && errno != EINTR) {
            return MBEDTLS_ERR_ERROR_GENERIC_ERROR;
        }
        if (n < 0 && errno == ENOSYS) /* Linux before 3.17 */
#endif
        {
            if (urandom < 0) {
                urandom = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
            }
            n = read(urandom, out, len);
            if (n <= 0) {
                return MBEDTLS_ERR_ERROR_GENERIC_ERROR;
            }
        }
        if (n > 0) {
            out += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

#ifdef MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG
/* The library calls this one by its name. */
psa_status_t mbedtls_psa_external_get_random(
    mbedtls_psa_external_random_context_t *context, uint8_t *output,
    size_t output_size, size_t *output_length)
{
    (void)context;
    *output_length = output_size;
    return ad_crypto_random(NULL, output, output_size) == 0
               ? PSA_SUCCESS
               : PSA_ERROR_INSUFFICIENT_ENTROPY;
}
#endif

/* Before anything of mbedTLS, any number of times. False if it can't work: with
 * our configuration it asks for no memory and no random numbers to start. */
static bool ad_crypto_start(void)
{
    if (!ad_crypto.started) {
        ad_crypto.started =
            mbedtls_platform_set_calloc_free(ad_crypto_calloc, ad_heap_free) ==
                0 &&
            psa_crypto_init() == PSA_SUCCESS;
    }
    return ad_crypto.started;
}

#endif

#endif
