/* glue.c - civetweb itself, over the arena, and what reaches into its inside.
 * Owns ad_civetweb. The last part, so that civetweb's macros and names reach
 * nothing of ours.
 */
#ifndef AD_WEB_GLUE_C
#define AD_WEB_GLUE_C

#include "arena.c"
#include "pages.c"
#include "seam.h"

static struct mg_context *ad_civetweb; /* [I] */

#define malloc ad_arena_malloc
#define calloc ad_arena_calloc
#define realloc ad_arena_realloc
#define free ad_arena_free
#include <civetweb.c>

/* If the arena is too small, civetweb's worker threads exit without an error. 20
 * is its queue; the rest is for its options, its handlers and what a request asks
 * for. */
_Static_assert(AIDASH_ARENA_BYTES >=
                   sizeof(struct mg_context) + 20 * sizeof(struct socket) +
                       AIDASH_WORKERS * (sizeof(struct mg_connection) +
                                         AD_WORKERS_HEAD_MAX + 256) +
                       2048,
               "AIDASH_ARENA_BYTES is less than civetweb needs");

static void ad_civetweb_queue(int fd, const struct sockaddr_storage *peer)
{
    struct socket so;

    memset(&so, 0, sizeof(so));
    so.sock = fd;
    memcpy(&so.rsa, peer, sizeof(so.rsa));
    memcpy(&so.lsa, peer, sizeof(so.lsa));
    produce_socket(ad_civetweb, &so);
}

/* The write end of a pipe that civetweb's accepting thread sleeps on. */
static int ad_civetweb_wake_pipe = -1;

/* The hub accepts connections, not civetweb: in place of its one listening
 * socket it gets the pipe, in which there is never a byte. */
static void ad_civetweb_init(const struct mg_context *const_ctx)
{
    struct mg_context *ctx = (struct mg_context *)(uintptr_t)const_ctx;
    int ends[2];

    (void)close(ctx->listening_sockets[0].sock);
    ctx->num_listening_sockets = 0;
    if (pipe(ends) == 0) {
        (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
        (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
        ctx->listening_sockets[0].sock = ends[0]; /* civetweb closes it */
        ctx->num_listening_sockets = 1;
        ad_civetweb_wake_pipe = ends[1];
    }
}

/* As mg_stop(), but for its naps of 10 ms: and as soon as the flag is set, the
 * pipe is closed, which ends the sleep of SOCKET_TIMEOUT_QUANTUM. */
static void ad_civetweb_stop(void)
{
    struct mg_context *ctx = ad_civetweb;
    pthread_t accepting = ctx->masterthreadid;

    ctx->masterthreadid = 0;
    STOP_FLAG_ASSIGN(&ctx->stop_flag, 1);
    if (ad_civetweb_wake_pipe >= 0) {
        (void)close(ad_civetweb_wake_pipe);
        ad_civetweb_wake_pipe = -1;
    }
    (void)mg_join_thread(accepting); /* it joins the workers */
    free_context(ctx);
}

static bool ad_civetweb_start(void)
{
    char workers[8], request[8];
    const char *options[] = {"listening_ports", "127.0.0.1:0",
                             "num_threads", workers,
                             "request_timeout_ms", "10000",
                             "decode_url", "no",
                             "max_request_size", request,
                             "enable_auth_domain_check", "no",
                             NULL};
    struct mg_callbacks callbacks;
    struct mg_context *ctx;

    (void)sprintf(workers, "%d", AIDASH_WORKERS);
    (void)sprintf(request, "%d", AD_WORKERS_HEAD_MAX);
    memset(&callbacks, 0, sizeof(callbacks));
    callbacks.begin_request = ad_page_request;
    callbacks.http_error = ad_page_refused;
    callbacks.log_message = ad_page_log;
    callbacks.init_context = ad_civetweb_init;
    callbacks.connection_closed = ad_page_closed;
    ctx = mg_start(&callbacks, NULL, options);
    if (ctx != NULL) {
        mg_set_websocket_handler(ctx, "/ws/**", ad_page_ws_connect, NULL,
                                 NULL, NULL, NULL);
    }
    ad_civetweb = ctx;
    return ctx != NULL;
}

#endif
