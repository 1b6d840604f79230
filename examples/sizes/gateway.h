/* gateway.h - aidash for 10,000 viewers, not on the engine's machine: ticks come
 * through aidash_publish(), HTTP or UDP. -DAIDASH_CONFIG='"examples/sizes/gateway.h"',
 * or -DAIDASH_PROFILE_GATEWAY.
 * It needs an open file for each viewer (ulimit -n; systemd: LimitNOFILE=20000).
 * Behind a proxy leave --per-address at 0: all viewers have the proxy's address.
 * src/limits.h explains each limit (in the single-file aidash.c: the section
 * "begin src/limits.h"). */
#define AIDASH_PROFILE_GATEWAY
