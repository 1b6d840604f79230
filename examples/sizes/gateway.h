/* gateway.h - aidash for 10,000 viewers, away from the engine: ticks come by
 * aidash_publish(), HTTP or UDP. -DAIDASH_CONFIG='"examples/sizes/gateway.h"'.
 * It needs as many open files (ulimit -n; systemd: LimitNOFILE=20000); behind a
 * proxy leave --per-address at 0, as all viewers come from its address. */
#define AIDASH_CLIENTS 10240
#define AIDASH_EXCHANGES 256
#define AIDASH_PENDING 4096
#define AIDASH_WORKERS 8
#define AIDASH_MESSAGE_MAX 1024
#define AIDASH_METER 0
