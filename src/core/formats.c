#ifndef AD_CORE_FORMATS_C
#define AD_CORE_FORMATS_C

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
static uint64_t ad_dress_batch(struct ad_text *t, uint64_t seq)
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
        ad_put(t, ",", seq != from);
        ad_put_feed(t, off, off_len);
    }
    ad_put(t, "]}", tail);
    if (!t->full) { /* two ticks or more: always the 16-bit length */
        (void)ad_ws_frame_header(header, 1, t->len - start - 4);
        memcpy(t->at + start, header, 4);
    }
    return seq;
}

/* One event for EventSource (HTML Living Standard, 9.2.5). */
static uint64_t ad_dress_sse(struct ad_text *t, uint64_t seq)
{
    uint64_t off;
    size_t len = ad_feed_json(seq, &off);

    ad_puts(t, "id: ");
    ad_put_u64(t, seq);
    ad_puts(t, "\nevent: ");
    ad_puts(t, ad_event_names[ad_feed_kind(seq)]);
    ad_puts(t, "\ndata: ");
    ad_put_feed(t, off, len);
    ad_puts(t, "\n\n");
    return seq + 1;
}

/* Dress what a client in `form` has not got from event `from` on into
 * ad_dress, as far as it has room; nothing to do when the client before was
 * at the same place. */
static void ad_dress_range(enum ad_kind form, uint64_t from)
{
    struct ad_text t = ad_text_in(ad_dress.bytes, sizeof(ad_dress.bytes));
    uint64_t seq = from;

    if (ad_dress.form == form && ad_dress.from == from &&
        ad_dress.next == ad_feed.next) {
        return;
    }
    ad_dress.form = (uint8_t)form;
    ad_dress.from = from;
    ad_dress.next = ad_feed.next;
    ad_dress.n = 0;
    ad_dress.len = 0;
    while (seq != ad_feed.next && ad_dress.n < AD_UNITS) {
        seq = form == AD_SSE ? ad_dress_sse(&t, seq) : ad_dress_batch(&t, seq);
        if (t.full) {
            break;
        }
        ad_dress.end[ad_dress.n] = ad_dress.len = t.len;
        ad_dress.seq[ad_dress.n++] = seq;
    }
}
_Static_assert(AD_SCRATCH >= 4 * (AD_EVENT_MAX + 100) &&
               AD_SCRATCH >= 4 * (AD_BATCH_MAX + 4),
               "each dressing makes progress");

/* One element of GET /ticks for a client: the next tick from *seq on, with a
 * comma unless it is the first. False when none is left. */
static bool ad_dress_tick(struct ad_text *t, uint64_t *seq, uint64_t until,
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
    ad_put(t, ",", !first);
    ad_put_feed(t, off, len);
    (*seq)++;
    return true;
}

#endif
