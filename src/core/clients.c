#ifndef AD_CORE_CLIENTS_C
#define AD_CORE_CLIENTS_C

/* -- clients: slots, and bytes out -- */

/* A free slot: one that was used before, so that its pages are there already,
 * or the next new one. A promise was made, so there is one. */
static unsigned ad_client_slot(void)
{
    unsigned slot = ad_hub.free_slot;

    if (slot == AD_NO_SLOT) {
        return ad_hub.n_slots++;
    }
    ad_hub.free_slot = ad_clients[slot].live;
    return slot;
}

static unsigned ad_client_index(const struct ad_client *c)
{
    return (unsigned)(c - ad_clients);
}

static struct ad_cold *ad_client_cold(const struct ad_client *c)
{
    return &ad_cold[ad_client_index(c)];
}

static void ad_client_become(struct ad_client *c, enum ad_kind kind)
{
    ad_hub.n_open += (c->kind == AD_FREE) - (unsigned)(kind == AD_FREE);
    ad_hub.n_kind[c->kind]--;
    ad_hub.n_kind[kind]++;
    c->kind = (uint8_t)kind;
}

/* Take the client out of the fan-out. */
static void ad_client_unlive(struct ad_client *c)
{
    if (c->live != AD_NO_SLOT) {
        uint16_t last = ad_hub.live[--ad_hub.n_live];

        ad_hub.live[c->live] = last;
        ad_clients[last].live = c->live;
        c->live = AD_NO_SLOT;
    }
}

/* Is there room for one more answer behind what is unsent? Nothing is read from
 * a client before there is. */
static bool ad_client_room(const struct ad_client *c)
{
    return AD_OUT_CAP - c->out_len - ad_reply_len >= AD_REPLY_MAX + 4;
}

/* Watch for what the client can do next. */
static void ad_client_watch(struct ad_client *c)
{
    unsigned want = (ad_client_room(c) && !c->deaf ? AD_IN : 0u) |
                    (c->blocked ? AD_OUT : 0u);

    if (want != c->events) {
        (void)ad_poll_set(c->fd, c->events, want, AD_TAG_CLIENT,
                          ad_client_index(c));
        c->events = (uint8_t)want;
    }
}

/* Close at once. The slot is free afterwards. */
static void ad_client_drop(struct ad_client *c)
{
    ad_client_unlive(c);
    ad_slot_return(c->viewer ? 0 : 1);
    if (c->events != 0) {
        (void)ad_poll_set(c->fd, c->events, 0, AD_TAG_CLIENT, 0);
        c->events = 0;
    }
    (void)close(c->fd);
    ad_client_become(c, AD_FREE);
    c->live = ad_hub.free_slot;
    ad_hub.free_slot = (uint16_t)ad_client_index(c);
}

/* All is said and sent: our FIN, then the peer's within AD_LINGER_MS. Closing
 * at once would reset the connection if the peer still sends, and a reset can
 * overtake our last words. */
static void ad_client_finish(struct ad_client *c)
{
    if (c->deaf) {
        ad_client_drop(c);
        return;
    }
    ad_client_unlive(c);
    ad_client_become(c, AD_LINGER);
    c->rx_ms = ad_hub.now_ms;
    (void)shutdown(c->fd, SHUT_WR);
}

/* Put what is in ad_reply behind the client's unsent bytes, or straight to the
 * socket when there are none. False if the client is gone. */
static bool ad_client_say(struct ad_client *c)
{
    const uint8_t *at = ad_reply;
    size_t len = ad_reply_len;
    struct ad_cold *cold;

    ad_reply_len = 0;
    if (len > 0 && c->out_len == 0 && !c->blocked) {
        ssize_t n = send(c->fd, at, len, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            ad_client_drop(c);
            return false;
        }
        c->tx_ms = ad_hub.now_ms;
        if (n > 0) {
            ad_hub.count.bytes_sent += (uint64_t)n;
            at += n;
            len -= (size_t)n;
        }
        c->blocked = len > 0;
    }
    if (len > 0) {
        cold = ad_client_cold(c);
        if (c->out_at > 0) {
            memmove(cold->out, cold->out + c->out_at, c->out_len);
            c->out_at = 0;
        }
        if (len > AD_OUT_CAP - c->out_len) {
            ad_client_drop(c);
            return false;
        }
        memcpy(cold->out + c->out_len, at, len);
        c->out_len += (uint32_t)len;
    }
    if (c->closing && c->out_len == 0) {
        ad_client_finish(c);
    }
    if (c->kind != AD_FREE) {
        ad_client_watch(c);
    }
    return c->kind != AD_FREE;
}

/* Bytes to ad_reply; what does not fit there is a mistake of ours. */
static void ad_reply_add(const void *bytes, size_t len)
{
    if (len <= sizeof(ad_reply) - ad_reply_len) {
        memcpy(ad_reply + ad_reply_len, bytes, len);
        ad_reply_len += len;
    }
}

/* A frame of this client alone to ad_reply. */
static void ad_reply_frame(unsigned opcode, const void *payload, size_t len)
{
    uint8_t header[4];

    ad_reply_add(header, ad_ws_frame_header(header, opcode, len));
    ad_reply_add(payload, len);
}

/* An event of this client alone to ad_reply, in the client's form. */
static void ad_reply_event(const struct ad_client *c, const char *name,
                           const struct ad_text *json)
{
    if (c->kind == AD_SSE) {
        ad_reply_add("event: ", 7);
        ad_reply_add(name, strlen(name));
        ad_reply_add("\ndata: ", 7);
        ad_reply_add(json->at, json->len);
        ad_reply_add("\n\n", 2);
    } else {
        ad_reply_frame(1, json->at, json->len);
    }
}

/* Begin to close a WebSocket. RFC 6455 7.4.1; code 0: no code was given. */
static void ad_client_close(struct ad_client *c, unsigned code)
{
    uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};

    ad_reply_frame(8, payload, code == 0 ? 0u : 2u);
    c->closing = true;
    ad_client_unlive(c);
}

/* A client that is more than `keep` events behind jumps to the oldest of them
 * and is told what it lost. */
static void ad_client_catch_up(struct ad_client *c, uint64_t keep)
{
    uint64_t behind = ad_feed.next - c->next;
    char json[AD_REPLY_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    if (behind <= keep) {
        return;
    }
    ad_hub.count.dropped += behind - keep;
    c->next = ad_feed.next - keep;
    if (c->kind == AD_POLL) {
        c->missed += (uint32_t)(behind - keep);
        return;
    }
    c->dropped += (uint32_t)(behind - keep);
    ad_putf(&t, "{\"event\":\"status\",\"dropped\":%u,\"next_seq\":%llu}",
            c->dropped, (unsigned long long)c->next);
    ad_reply_event(c, "status", &t);
    (void)ad_client_say(c);
}

/* The next elements of GET /ticks into ad_dress. */
static void ad_client_dress_ticks(const struct ad_client *c)
{
    struct ad_text t = ad_text_in(ad_dress.bytes, sizeof(ad_dress.bytes));
    uint64_t seq = c->next;

    ad_dress.form = AD_POLL;
    ad_dress.n = 0;
    ad_dress.len = 0;
    while (ad_dress.n < AD_UNITS && ad_dress.n < c->limit &&
           ad_dress_tick(&t, &seq, c->until, !c->started && ad_dress.n == 0) &&
           !t.full) {
        ad_dress.end[ad_dress.n] = ad_dress.len = t.len;
        ad_dress.seq[ad_dress.n++] = seq;
    }
}

/* All elements of GET /ticks are sent: the end of its JSON. */
static void ad_client_end_ticks(struct ad_client *c)
{
    char tail[64];
    struct ad_text t = ad_text_in(tail, sizeof(tail));

    ad_putf(&t, "],\"last_seq\":%llu,\"missed\":%u}",
            (unsigned long long)(c->limit == 0 ? c->next - 1 : c->until - 1),
            c->missed);
    ad_reply_add(t.at, t.len);
    c->closing = true;
    (void)ad_client_say(c);
}

/* Account for n bytes that the socket took of: the unsent bytes, then the feed
 * or its dressed form. The rest of a frame that was cut goes to the unsent
 * bytes, so that the cursor is always at a frame's start. */
static void ad_client_took(struct ad_client *c, size_t n, bool dressed)
{
    struct ad_cold *cold = ad_client_cold(c);
    size_t out = n < c->out_len ? n : c->out_len;
    unsigned u = 0;

    c->out_at += (uint32_t)out;
    c->out_len -= (uint32_t)out;
    n -= out;
    if (c->out_len > 0) {
        return;
    }
    c->out_at = 0;
    if (n == 0) {
        return;
    }
    if (!dressed) {
        uint64_t off = ad_feed_off(c->next) + n;

        if (off == ad_feed_off(ad_feed.next)) {
            c->next = ad_feed.next;
            return;
        }
        c->next = ad_feed_seq_at(off);
        if (off > ad_feed_off(c->next)) {
            c->next++;
            c->out_len = (uint32_t)(ad_feed_off(c->next) - off);
            ad_feed_copy(off, c->out_len, cold->out);
        }
        return;
    }
    while (u < ad_dress.n && ad_dress.end[u] < n) {
        u++;
    }
    c->out_len = (uint32_t)(ad_dress.end[u] - n);
    memcpy(cold->out, ad_dress.bytes + n, c->out_len);
    c->next = ad_dress.seq[u];
    if (c->kind == AD_POLL) {
        c->started = true;
        c->limit -= u + 1;
    }
}

/* Send a client all that it has not got, as far as its socket takes it. */
static void ad_client_flush(struct ad_client *c)
{
    while (c->kind != AD_FREE && !c->blocked) {
        bool streams = c->live != AD_NO_SLOT ||
                       (c->kind == AD_POLL && !c->closing);
        bool dressed = c->kind == AD_SSE || c->kind == AD_POLL ||
                       (c->kind == AD_WS_BATCH && ad_hub.batching);
        struct iovec iov[3];
        unsigned n_iov = 0, i;
        struct msghdr message;
        size_t len = 0;
        ssize_t n;

        if (streams && c->next < ad_feed.first) {
            ad_client_catch_up(c, ad_feed.next - ad_feed.first);
            continue;
        }
        if (c->out_len > 0) {
            iov[n_iov].iov_base = ad_client_cold(c)->out + c->out_at;
            iov[n_iov++].iov_len = c->out_len;
        }
        if (streams && c->kind == AD_POLL) {
            ad_client_dress_ticks(c);
            if (ad_dress.n == 0) {
                ad_client_end_ticks(c);
                continue;
            }
        } else if (streams && dressed && c->next != ad_feed.next) {
            ad_dress_range((enum ad_kind)c->kind, c->next);
        } else if (streams && c->next != ad_feed.next) {
            uint64_t off = ad_feed_off(c->next);

            n_iov += ad_feed_pieces(
                off, (size_t)(ad_feed_off(ad_feed.next) - off), iov + n_iov);
            dressed = false;
        } else {
            dressed = false;
        }
        if (dressed) {
            iov[n_iov].iov_base = ad_dress.bytes;
            iov[n_iov++].iov_len = ad_dress.len;
        }
        if (n_iov == 0) {
            break;
        }
        for (i = 0; i < n_iov; i++) {
            len += iov[i].iov_len;
        }
        if (n_iov == 1) {
            n = send(c->fd, iov[0].iov_base, len, MSG_NOSIGNAL);
        } else {
            memset(&message, 0, sizeof(message));
            message.msg_iov = iov;
            message.msg_iovlen = n_iov;
            n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            ad_client_drop(c);
            return;
        }
        if (n > 0) {
            ad_hub.count.bytes_sent += (uint64_t)n;
            ad_client_took(c, (size_t)n, dressed);
        }
        c->tx_ms = ad_hub.now_ms;
        c->blocked = n < 0 ? errno == EAGAIN : (size_t)n < len;
    }
    if (c->kind == AD_FREE) {
        return;
    }
    if (c->next == ad_feed.next) {
        c->resuming = false;
    }
    if (c->closing && c->out_len == 0 && c->kind != AD_LINGER) {
        ad_client_finish(c);
    }
    if (c->kind != AD_FREE) {
        ad_client_watch(c);
    }
}

/* Hand every client what it has not got. Under load this comes in paces of at
 * least AD_PACE_FACTOR times what it takes, so that frames join and the hub
 * has time for the rest; a lone tick goes out at once. */
static void ad_fanout(void)
{
    uint64_t start_ns = ad_clock_ns(CLOCK_MONOTONIC), took_ns;
    bool batch_due = start_ns >= ad_hub.batch_ns;
    unsigned i = 0;

    ad_hub.now_ms = (uint32_t)(start_ns / AD_NS_PER_MS);
    ad_hub.fanned = ad_feed.next;
    ad_hub.batch_waits = false;
    ad_hub.count.fanouts++;
    while (i < ad_hub.n_live) {
        uint16_t slot = ad_hub.live[i];
        struct ad_client *c = &ad_clients[slot];

        if (c->blocked || c->next == ad_feed.next) {
            /* nothing to do now */
        } else if (c->kind == AD_WS_BATCH && ad_hub.batching && !batch_due) {
            ad_hub.batch_waits = true;
        } else {
            ad_client_flush(c);
        }
        /* A client that left was replaced by the last one. */
        i += i < ad_hub.n_live && ad_hub.live[i] == slot;
    }
    if (batch_due) {
        ad_hub.batch_ns = start_ns + AD_BATCH_MS * AD_NS_PER_MS;
    }
    took_ns = ad_clock_ns(CLOCK_MONOTONIC) - start_ns;
    took_ns = took_ns * AD_PACE_FACTOR;
    took_ns = took_ns < AD_PACE_MIN_NS ? AD_PACE_MIN_NS : took_ns;
    took_ns = took_ns > AD_PACE_MAX_NS ? AD_PACE_MAX_NS : took_ns;
    ad_hub.pace_ns = start_ns + took_ns;
}

#endif
