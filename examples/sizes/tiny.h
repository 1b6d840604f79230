/* tiny.h - aidash for 8 viewers: -DAIDASH_CONFIG='"examples/sizes/tiny.h"'. The same
 * as -DAIDASH_PROFILE_TINY; a limit that is defined here, too, wins over the profile.
 * Add -DAIDASH_METER=1 (the proxy) and -DAIDASH_DASHBOARD=0 (no page) as wanted;
 * src/limits.h explains each limit (in the single-file aidash.c: the section
 * "begin src/limits.h"). */
#define AIDASH_PROFILE_TINY
