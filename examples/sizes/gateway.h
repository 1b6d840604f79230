/* gateway.h - aidash for 10,000 viewers, not on the engine's machine: ticks come
 * through aidash_publish(), HTTP or UDP. -DAIDASH_CONFIG='"examples/sizes/gateway.h"'.
 * It needs an open file for each viewer (ulimit -n; systemd: LimitNOFILE=20000).
 * Behind a proxy leave --per-address at 0: all viewers have the proxy's address.
 * src/limits.h explains each limit (in the single-file aidash.c: the section
 * "begin src/limits.h"). */
#define AIDASH_CLIENTS 10240
#define AIDASH_EXCHANGES 256
#define AIDASH_PENDING 4096
#define AIDASH_CONNECT_BURST 10240
#define AIDASH_WORKERS 8
#define AIDASH_MESSAGE_MAX 1024
#define AIDASH_METER 0
