/* feed.c - the byte ring of finished frames.
 * Owns ad_feed. Hub thread only. Called by events (append) and clients (read).
 * Always: frame seq lies at [off[seq], off[seq + 1]); offsets only grow.
 */
#ifndef AD_CORE_FEED_C
#define AD_CORE_FEED_C

#include "../base/text.c"
#include "../codec/websocket.c"

/* hello: 830 bytes of fixed text, numbers, rights, client_id and the reason of the
 * engine's state, then each model in quotes with a comma, the active one again, and
 * those in memory; then what is
 * known of some of them (meter/models.c). A request's record: 860 bytes of names and
 * fixed words, 32 numbers of 20 digits, route and client 220, a finish reason and an
 * error of which each character is escaped 470, the model, a key's name; then its facts
 * (meter/facts.c). A board: as many units of each kind as board/sensors.c has. */
enum {
    AD_FACTS_JSON_MAX = AIDASH_METER ? 1536 : 0,
    AD_FACTS_RECORD_MAX = 216, /* context, cut prompt, prompt cache, joules, slow */
    AD_HELLO_MAX = 848 + (2 * AIDASH_MODELS + 1) * (2 * AIDASH_MODEL_MAX + 3) +
                   AD_FACTS_JSON_MAX,
    AD_RECORD_MAX = AIDASH_METER ? 2330 + 2 * AIDASH_MODEL_MAX + AD_FACTS_RECORD_MAX
                                 : 0,
    AD_BOARD_MAX = AIDASH_BOARD ? 4032 : 0,
    AD_HELLO_OR_RECORD = (int)AD_HELLO_MAX > (int)AD_RECORD_MAX
                             ? (int)AD_HELLO_MAX : (int)AD_RECORD_MAX,
    AD_OWN_EVENT_MAX = (int)AD_HELLO_OR_RECORD > (int)AD_BOARD_MAX
                           ? (int)AD_HELLO_OR_RECORD : (int)AD_BOARD_MAX,
    /* Another board's event is inside one of our own (nodes.c): 42 bytes of fixed
     * text, a number, a name. */
    AD_NODE_WRAP = AIDASH_NODES > 0 ? 64 + 2 * AIDASH_NODE_MAX : 0,
    AD_EVENT_MAX = AD_OWN_EVENT_MAX + AD_NODE_WRAP
};
_Static_assert(AD_EVENT_MAX < 65536,
               "an event's length fits RFC 6455's 16-bit form");
_Static_assert(AIDASH_FEED_BYTES >= 4 * (AD_EVENT_MAX + 4),
               "the feed holds a few of the largest events");

/* The kinds of shared events; their names are in ad_event_names. */
enum ad_event { AD_EV_TICK, AD_EV_STATUS, AD_EV_REQUEST_START, AD_EV_REQUEST,
                AD_EV_BENCH, AD_EV_GAUGE, AD_EV_NOTE, AD_EV_COMMAND, AD_EV_BOARD,
                AD_EV_ALERT, AD_EV_ENERGY, AD_EV_VERDICT, AD_EV_NODE, AD_EV_KINDS };

/* The feed: finished WebSocket frames end to end in a ring of bytes. Offsets
 * and sequence numbers only grow; a position in the ring is the offset modulo
 * its size. Frame seq lies at [off[seq], off[seq + 1]). [h] */
struct ad_feed {
    uint64_t first; /* sequence number of the oldest frame kept */
    uint64_t next;  /* and of the next one to come; the first ever is 1 */
    uint64_t off[AIDASH_EVENTS];
    uint8_t kind[AIDASH_EVENTS];
    uint8_t bytes[AIDASH_FEED_BYTES];
};

static struct ad_feed ad_feed;

static const char *const ad_event_names[] = {"inference_tick", "status",
                                             "request_start", "request",
                                             "bench", "gauge", "note",
                                             "command", "board", "alert",
                                             "energy", "verdict", "node"};
_Static_assert(AD_COUNT(ad_event_names) == AD_EV_KINDS, "each kind has a name");

static void ad_feed_init(void)
{
    ad_feed.first = ad_feed.next = 1;
    ad_feed.off[1] = 0;
}

/* Where frame seq begins, first <= seq <= next. */
static uint64_t ad_feed_off(uint64_t seq)
{
    return ad_feed.off[seq % AIDASH_EVENTS];
}

static uint8_t ad_feed_kind(uint64_t seq)
{
    return ad_feed.kind[seq % AIDASH_EVENTS];
}

/* The frame that the byte at offset `off` belongs to. */
static uint64_t ad_feed_seq_at(uint64_t off)
{
    uint64_t low = ad_feed.first, high = ad_feed.next;

    while (high - low > 1) {
        uint64_t mid = low + (high - low) / 2;

        if (ad_feed_off(mid) <= off) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return low;
}

/* The bytes [off, off + len) as one or two pieces. */
static unsigned ad_feed_pieces(uint64_t off, size_t len, struct iovec out[2])
{
    size_t at = (size_t)(off % AIDASH_FEED_BYTES);
    size_t rest = AIDASH_FEED_BYTES - at;

    out[0].iov_base = ad_feed.bytes + at;
    out[0].iov_len = len < rest ? len : rest;
    if (len <= rest) {
        return 1;
    }
    out[1].iov_base = ad_feed.bytes;
    out[1].iov_len = len - rest;
    return 2;
}

static void ad_feed_copy(uint64_t off, size_t len, void *out)
{
    struct iovec piece[2];
    unsigned i, n = ad_feed_pieces(off, len, piece);

    for (i = 0; i < n; i++) {
        memcpy(out, piece[i].iov_base, piece[i].iov_len);
        out = (uint8_t *)out + piece[i].iov_len;
    }
}

/* Append an event's JSON as a finished text frame; the oldest frames that it
 * overruns are gone. len <= AD_EVENT_MAX. */
static void ad_feed_append(enum ad_event kind, const char *json, size_t len)
{
    uint8_t header[4];
    size_t header_len = ad_ws_frame_header(header, 1, len);
    uint64_t off = ad_feed_off(ad_feed.next);
    uint64_t end = off + header_len + len;
    struct iovec piece[2];

    /* One entry of off[] more than there are frames marks the end. */
    while (end - ad_feed_off(ad_feed.first) > AIDASH_FEED_BYTES ||
           ad_feed.next - ad_feed.first >= AIDASH_EVENTS - 1) {
        ad_feed.first++;
    }
    if (ad_feed_pieces(off, header_len + len, piece) == 1) {
        memcpy(piece[0].iov_base, header, header_len);
        memcpy((uint8_t *)piece[0].iov_base + header_len, json, len);
    } else {
        size_t i;

        for (i = 0; i < header_len + len; i++) {
            ad_feed.bytes[(off + i) % AIDASH_FEED_BYTES] =
                i < header_len ? header[i] : (uint8_t)json[i - header_len];
        }
    }
    ad_feed.kind[ad_feed.next % AIDASH_EVENTS] = (uint8_t)kind;
    ad_feed.next++;
    ad_feed.off[ad_feed.next % AIDASH_EVENTS] = end;
}

AD_MEMORY(feed, AIDASH_EVENTS, sizeof(ad_feed));

#endif
