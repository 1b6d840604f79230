#ifndef AD_SIZES_H
#define AD_SIZES_H

    AD_GRACE_MS = 1000,        /* so long no newcomer takes its place */
    AD_QUEUE = 16,             /* sockets inside civetweb; its own holds 20 */
    AD_DEPTH_MAX = 16,         /* nesting of JSON from outside */
    AD_TOKENS = 128,           /* JSON values in one message */
    AD_ID_MAX = 64 + 2,        /* bytes of a command's "id", and its quotes */
    AD_INGEST_ERRORS = 5,      /* bad lines that an answer describes */
    AD_PING_MS = 20000,        /* a viewer idle for so long is pinged */
    AD_SILENCE_MS = 60000,     /* and one silent for so long is closed */
    AD_STALL_MS = 30000,       /* no byte taken for so long: reset */
    AD_LINGER_MS = 1000,       /* wait for the peer's FIN after our last byte */
    AD_BATCH_MS = 50,          /* batches are flushed so often */
    AD_BATCH_RATE = 100,       /* events a second above which batches form */
    /* Bytes of a batch frame's payload. */
    AD_BATCH_MAX = AIDASH_FEED_BYTES < 65536 ? AIDASH_FEED_BYTES / 16 : 4096,
    AD_REPLY_MAX = 512,        /* bytes of an ack, error or private status */
    AD_LINE_CAP = AIDASH_MESSAGE_MAX + 1, /* a line, and a CR to take off */
    AD_TICK_MAX = 512,         /* bytes of a tick's JSON, see ad_tick_encode */
    AD_SCRATCH = AIDASH_SCRATCH,
    AD_UNITS = AIDASH_EVENTS < 512 ? AIDASH_EVENTS : 512, /* dressed at once */
    AD_DRAIN_MAX = 256,        /* ticks taken from the inbox in one go */
    AD_JOIN_MAX = 256,         /* events that may wait for a fan-out */
    AD_RATE_WINDOW_MS = 2000,  /* tokens_per_second is over this time */
    AD_RATE_SPAN_MIN_MS = 500, /* a younger run counts as this old */
    AD_RATE_SLOTS = 64,        /* in slots of at least 1/64 of it */
    AD_MODEL_JSON_MAX = 2 * AIDASH_MODEL_MAX, /* only " and \ are escaped */
    AD_NODE_JSON_MAX = 2 * AIDASH_NODE_MAX,
    /* hello: 600 bytes of fixed text, numbers and client_id, then each model
     * in quotes with a comma, the active one again, and those in memory. */
    AD_EVENT_MAX = 768 + (2 * AIDASH_MODELS + 1) * (2 * AIDASH_MODEL_MAX + 3),
    /* A client's unsent bytes: the rest of one frame or of one dressed event
     * (100 bytes of SSE fields), and then what it was answered. */
    AD_OUT_CAP = (AD_EVENT_MAX > AD_BATCH_MAX ? AD_EVENT_MAX : AD_BATCH_MAX) +
                 100 + 4 * AD_REPLY_MAX,
    AD_FLOW_HEAD_MAX = 16384,  /* bytes of an answer's heads that are edited */
    AD_FLOW_UP_MAX = 16384,    /* bytes of a request on their way at once */
    AD_FLOW_FRONT = AD_HEAD_MAX + 1024, /* request line, Host, key */
    AD_RECORD_MAX = 960 + AD_MODEL_JSON_MAX, /* bytes of a request's record */
    AD_CONNECT_MS = 5000,      /* for a connection to an engine */
    AD_PROGRESS_MS = 100,      /* between events about a prompt's reading */
    AD_FETCH_EVERY = 10,       /* seconds between looks at the engines' lists */
    AD_SLOTS = AIDASH_CLIENTS + AIDASH_EXCHANGES,
    AD_NO_SLOT = 65535
};

/* Intervals in nanoseconds. A burst is fanned out at most once a millisecond,
 * and less often where a fan-out takes long, so that frames join. */
#define AD_NS_PER_MS 1000000ull
#define AD_NS_PER_S 1000000000ull
#define AD_PACE_MIN_NS (1 * AD_NS_PER_MS)
#define AD_PACE_MAX_NS (50 * AD_NS_PER_MS)
#define AD_PACE_FACTOR 5u

_Static_assert(AD_OUT_CAP >= AD_BATCH_MAX + 4 + AD_REPLY_MAX,
               "a batch frame's rest and one reply fit a client's buffer");
_Static_assert(AD_SLOTS < AD_NO_SLOT, "slots are 16 bits wide");
_Static_assert(AD_EVENT_MAX < 65536,
               "an event's length fits RFC 6455's 16-bit form");
_Static_assert(AIDASH_FEED_BYTES >= 4 * (AD_EVENT_MAX + 4),
               "the feed holds a few of the largest events");
_Static_assert(AD_HEAD_MAX <= AD_SCRATCH, "a request head fits the scratch");

#endif
