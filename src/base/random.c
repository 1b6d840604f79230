/* random.c - random bytes that nobody can guess. Any thread. */
#ifndef AD_BASE_RANDOM_C
#define AD_BASE_RANDOM_C

#include "platform.h"

/* Fill out[0..len), len up to 256, from the system's generator. False if it has none
 * yet, as in the first seconds of a board without any source of them: it never
 * waits. */
static bool ad_random(void *out, size_t len)
{
#ifdef __linux__
    return getrandom(out, len, GRND_NONBLOCK) == (ssize_t)len;
#else
    return getentropy(out, len) == 0;
#endif
}

/* A number of 0..below - 1, each as likely as the others. below: 1..2^31. */
static bool ad_random_below(uint32_t below, uint32_t *out)
{
    uint32_t most = UINT32_MAX - UINT32_MAX % below; /* the last odd ones are not used */

    do {
        if (!ad_random(out, sizeof(*out))) {
            return false;
        }
    } while (*out >= most);
    *out %= below;
    return true;
}

#endif
