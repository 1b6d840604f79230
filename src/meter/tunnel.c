/* tunnel.c - a WebSocket of a client and the engine (RFC 6455): once the engine has
 * taken the handshake, bytes pass both ways as they come, and nobody reads them.
 * Owns nothing. Hub thread only.
 * Always: of each direction one read is held at most; a side that takes nothing
 * slows the other. At most AIDASH_TUNNELS are open.
 */
#ifndef AD_METER_TUNNEL_C
#define AD_METER_TUNNEL_C

#include "proxy.c"

#if AIDASH_METER

/* Is there a place for one more? If not, it is counted as refused. */
static bool ad_tunnel_make_room(void)
{
    if (ad_proxying.n_tunnels < AIDASH_TUNNELS) {
        return true;
    }
    ad_proxying.refused++;
    return false;
}

/* Read from the client, pass on. Its end is passed on, too: then the engine has
 * AD_LINGER_MS to end. */
static void ad_tunnel_read_client(struct ad_proxy *p)
{
    uint8_t *bytes = ad_proxy_buffers_of(p)->upload.body;
    ssize_t got = recv(p->client_fd, bytes, AD_PROXY_PIECE_MAX, 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got < 0) {
        ad_proxy_client_left(p);
        return;
    }
    p->heard_ms = ad_hub.now_ms;
    if (got == 0) {
        p->client_finished = true;
        (void)shutdown(p->engine.fd, SHUT_WR);
    } else {
        ad_hub.bytes_received += (uint64_t)got;
        p->uploaded += (uint64_t)got;
        p->to_upstream = bytes;
        p->to_upstream_len = (uint32_t)got;
        ad_proxy_send_upstream(p);
    }
    ad_proxy_watch(p);
}

/* Read from the engine, pass on. */
static void ad_tunnel_read_upstream(struct ad_proxy *p)
{
    ssize_t got = recv(p->engine.fd, ad_proxy_input, sizeof(ad_proxy_input), 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got > 0) {
        p->heard_ms = ad_hub.now_ms;
        ad_tunnel_pass_client(p, ad_proxy_input, (size_t)got);
    } else if (p->client_finished) {
        ad_proxy_end(p, "left");
    } else {
        if (got < 0) {
            ad_upstream_doubt(p->upstream);
        }
        ad_proxy_end(p, got == 0 ? "finished" : "cut");
    }
}

/* Once a second: nobody has sent anything for too long. */
static void ad_tunnel_housekeeping(struct ad_proxy *p)
{
    uint32_t silent_ms = ad_hub.now_ms - p->heard_ms;

    if (p->client_finished && silent_ms >= AD_LINGER_MS) {
        ad_proxy_end(p, "left");
    } else if (ad_proxying.upstream_timeout_ms > 0 &&
               silent_ms >= ad_proxying.upstream_timeout_ms) {
        ad_proxy_end(p, "cut");
    }
}

#endif /* AIDASH_METER */

#endif
