/* put_host.h - a parsed host, written again. */
#ifndef AD_TESTS_PUT_HOST_H
#define AD_TESTS_PUT_HOST_H

#include "../src/codec/http_write.c"

/* `Host: board:8080`, from a parsed host. */
static void put_host(struct ad_text *t, const struct ad_http_host *host)
{
    bool brackets = host->kind == AD_HTTP_HOST_IP6;

    ad_puts(t, brackets ? "Host: [" : "Host: ");
    ad_http_put_slice(t, host->name);
    ad_puts(t, brackets ? "]" : "");
    if (host->has_port) {
        ad_puts(t, ":");
        ad_put_u64(t, host->port);
    }
    ad_puts(t, "\r\n");
}

#endif
