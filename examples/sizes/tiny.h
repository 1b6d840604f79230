/* tiny.h - aidash for 8 viewers: -DAIDASH_CONFIG='"examples/sizes/tiny.h"'.
 * Add -DAIDASH_METER=0 (no proxy) and -DAIDASH_DASHBOARD=0 (no page) as wanted;
 * src/limits.h explains each limit (in the single-file aidash.c: the section
 * "begin src/limits.h"). */
#define AIDASH_CLIENTS 8
#define AIDASH_EXCHANGES 2
#define AIDASH_PENDING 8
#define AIDASH_THROTTLED 16
#define AIDASH_WORKERS 1
#define AIDASH_HEAD_MAX 2048
#define AIDASH_MESSAGE_MAX 512
#define AIDASH_SCRATCH 18432
#define AIDASH_FEED_BYTES 32768
#define AIDASH_EVENTS 256
#define AIDASH_INBOX 64
#define AIDASH_MODELS 8
#define AIDASH_SERIES 8
#define AIDASH_SEND_BUFFER 8192
/* With the meter: */
#define AIDASH_FLOWS 2
#define AIDASH_EDITS 1
#define AIDASH_UPSTREAMS 1
#define AIDASH_RECORDS 10
#define AIDASH_TOTALS 16
#define AIDASH_BENCH_STREAMS 2
#define AIDASH_BENCHES 2
