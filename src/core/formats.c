/* formats.c - the feed's frames in the forms other than plain WebSocket: batch
 * frames, server-sent events, the elements of GET /ticks.
 * Owns ad_formatted. Hub thread only.
 */
#ifndef AD_CORE_FORMATS_C
#define AD_CORE_FORMATS_C

#include "feed.c"
#include "hub.c"

enum ad_format {
    AD_FORMAT_NONE,
    AD_FORMAT_BATCH, /* WebSocket frames that join ticks */
    AD_FORMAT_SSE,
    AD_FORMAT_TICKS /* for one client alone */
};

enum {
    /* Bytes of a batch frame's payload. */
    AD_BATCH_MAX = AIDASH_FEED_BYTES < 65536 ? AIDASH_FEED_BYTES / 16 : 4096,
    AD_UNITS = AIDASH_EVENTS < 512 ? AIDASH_EVENTS : 512, /* formatted at once */
    AD_FORMATTED_MAX = AIDASH_SCRATCH                     /* and their bytes */
};

/* Frames of the feed formatted for a form other than plain WebSocket. Kept, so
 * that clients at the same place in the same form share the work. [h] */
struct ad_formatted {
    uint8_t form;
    uint64_t from, next; /* feed positions that it was made for */
    unsigned n;
    size_t end[AD_UNITS];    /* where unit i ends in bytes */
    uint64_t seq[AD_UNITS];  /* first event after unit i */
    size_t len;
    uint8_t bytes[AD_FORMATTED_MAX];
};

static struct ad_formatted ad_formatted;

/* Where event seq's JSON lies. */
static size_t ad_feed_json(uint64_t seq, uint64_t *off)
{
    size_t n = (size_t)(ad_feed_off(seq + 1) - ad_feed_off(seq));
    size_t header_len = ad_ws_frame_header_len(n);

    *off = ad_feed_off(seq) + header_len;
    return n - header_len;
}

static void ad_put_feed(struct ad_text *t, uint64_t off, size_t len)
{
    if (len > t->cap - t->len) {
        t->full = true;
        return;
    }
    ad_feed_copy(off, len, t->at + t->len);
    t->len += len;
}

/* The unit from `seq` on as a batch frame of as many ticks as fit, or as the
 * one frame that it is. Returns the first event after it. */
static uint64_t ad_format_batch(struct ad_text *t, uint64_t seq)
{
    const size_t tail = 2; /* ]} */
    size_t start = t->len, off_len;
    uint64_t from = seq, off;
    uint8_t header[4];

    if (ad_feed_kind(seq) != AD_EV_TICK || seq + 1 == ad_feed.next ||
        ad_feed_kind(seq + 1) != AD_EV_TICK) {
        ad_put_feed(t, ad_feed_off(seq),
                    (size_t)(ad_feed_off(seq + 1) - ad_feed_off(seq)));
        return seq + 1;
    }
    ad_put(t, "    ", 4); /* for the header, once the length is known */
    ad_puts(t, "{\"event\":\"batch\",\"seq\":");
    ad_put_u64(t, seq);
    ad_puts(t, ",\"ticks\":[");
    for (; seq != ad_feed.next && ad_feed_kind(seq) == AD_EV_TICK; seq++) {
        off_len = ad_feed_json(seq, &off);
        if (t->len - start - 4 + 1 + off_len + tail > AD_BATCH_MAX) {
            break;
        }
        if (seq != from) {
            ad_puts(t, ",");
        }
        ad_put_feed(t, off, off_len);
    }
    ad_put(t, "]}", tail);
    if (!t->full) { /* two ticks or more: always the 16-bit length */
        (void)ad_ws_frame_header(header, 1, t->len - start - 4);
        memcpy(t->at + start, header, 4);
    }
    return seq;
}

/* One event for EventSource (HTML Living Standard, 9.2.5). Its id, RUN-SEQ, also
 * holds after a restart, which begins to count anew. */
static uint64_t ad_format_sse(struct ad_text *t, uint64_t seq)
{
    uint64_t off;
    size_t len = ad_feed_json(seq, &off);

    ad_puts(t, "id: ");
    ad_puts(t, ad_hub.run);
    ad_puts(t, "-");
    ad_put_u64(t, seq);
    ad_puts(t, "\nevent: ");
    ad_puts(t, ad_event_names[ad_feed_kind(seq)]);
    ad_puts(t, "\ndata: ");
    ad_put_feed(t, off, len);
    ad_puts(t, "\n\n");
    return seq + 1;
}

/* Format the events from `from` on into ad_formatted, as far as it has room. The
 * client before may have been at the same place: then they are there. */
static void ad_format_range(enum ad_format form, uint64_t from)
{
    struct ad_text t = ad_text_in(ad_formatted.bytes, sizeof(ad_formatted.bytes));
    uint64_t seq = from;

    if (ad_formatted.form == form && ad_formatted.from == from &&
        ad_formatted.next == ad_feed.next) {
        return;
    }
    ad_formatted.form = (uint8_t)form;
    ad_formatted.from = from;
    ad_formatted.next = ad_feed.next;
    ad_formatted.n = 0;
    ad_formatted.len = 0;
    while (seq != ad_feed.next && ad_formatted.n < AD_UNITS) {
        seq = form == AD_FORMAT_SSE ? ad_format_sse(&t, seq) : ad_format_batch(&t, seq);
        if (t.full) {
            break;
        }
        ad_formatted.end[ad_formatted.n] = ad_formatted.len = t.len;
        ad_formatted.seq[ad_formatted.n++] = seq;
    }
}
_Static_assert(AD_FORMATTED_MAX >= 4 * (AD_EVENT_MAX + 100) &&
               AD_FORMATTED_MAX >= 4 * (AD_BATCH_MAX + 4),
               "at least one event is formatted at once");

/* One element of GET /ticks for a client: the next tick from *seq on, with a
 * comma unless it is the first. False when none is left. */
static bool ad_format_tick(struct ad_text *t, uint64_t *seq, uint64_t until,
                          bool first)
{
    uint64_t off;
    size_t len;

    while (*seq < until && ad_feed_kind(*seq) != AD_EV_TICK) {
        (*seq)++;
    }
    if (*seq >= until) {
        return false;
    }
    len = ad_feed_json(*seq, &off);
    if (!first) {
        ad_puts(t, ",");
    }
    ad_put_feed(t, off, len);
    (*seq)++;
    return true;
}

/* Before each run: nothing is formatted. */
static void ad_formats_init(void)
{
    ad_formatted.form = AD_FORMAT_NONE;
}

AD_MEMORY(formats, AD_UNITS, sizeof(ad_formatted));

#endif
