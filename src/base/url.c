/* url.c - the URL of an engine, http[s]://HOST[:PORT][/PREFIX], split into its
 * parts (RFC 3986 3). Pure: any thread.
 */
#ifndef AD_BASE_URL_C
#define AD_BASE_URL_C

#include "platform.h"
#include "decimal.c"

#if AD_DIALS

enum {
    AD_URL_HOST_CAP = 256,   /* 253 bytes are a host's limit (RFC 1035 2.3.4) */
    AD_URL_PREFIX_CAP = 128
};

struct ad_url {
    char authority[AD_URL_HOST_CAP + 8]; /* HOST[:PORT] as written, for Host */
    char host[AD_URL_HOST_CAP];          /* without the brackets of IPv6 */
    char port[8]; /* digits, 1..65535; that of the scheme if none was given */
    char prefix[AD_URL_PREFIX_CAP]; /* "" or /PATH without a slash at its end */
    bool tls;                       /* https */
};

/* A URL's scheme with its ://. */
static const char *ad_url_scheme(bool tls)
{
    return tls ? "https://" : "http://";
}

/* Copy s[0..len) and its NUL. False if it does not fit. */
static bool ad_url_copy(char *out, size_t cap, const char *s, size_t len)
{
    if (len >= cap) {
        return false;
    }
    memcpy(out, s, len);
    out[len] = '\0';
    return true;
}

/* The last colon of an authority, unless it is inside the brackets of an IPv6
 * address. NULL if there is none. */
static const char *ad_url_port_colon(const char *authority, size_t len)
{
    const char *colon = memrchr(authority, ':', len);

    if (colon == NULL ||
        memchr(colon, ']', len - (size_t)(colon - authority)) != NULL) {
        return NULL;
    }
    return colon;
}

/* Split HOST[:PORT] of a URL with out->tls. Returns NULL, or what is wrong with it. */
static const char *ad_url_split_authority(const char *s, size_t len,
                                          struct ad_url *out)
{
    const char *colon = ad_url_port_colon(s, len);
    size_t host_len = colon != NULL ? (size_t)(colon - s) : len;
    uint64_t port = out->tls ? 443 : 80; /* RFC 9110 4.2 */

    if (colon != NULL &&
        (!ad_decimal_u64(colon + 1, len - host_len - 1, 65535, &port) ||
         port == 0)) {
        return "the port must be a number from 1 to 65535";
    }
    (void)snprintf(out->port, sizeof(out->port), "%u", (unsigned)port);
    if (host_len > 2 && s[0] == '[' && s[host_len - 1] == ']') {
        s++;
        host_len -= 2;
    }
    if (host_len == 0) {
        return "it has no host";
    }
    if (!ad_url_copy(out->host, sizeof(out->host), s, host_len)) {
        return "its host is too long";
    }
    return NULL;
}

/* Split url[0..len). Returns NULL, or what is wrong with it as the end of a
 * sentence; static storage. */
static const char *ad_url_parse(const char *url, size_t len, struct ad_url *out)
{
    const char *at, *end = url + len, *slash;
    size_t scheme_len;

    out->tls = len >= 8 && strncasecmp(url, "https://", 8) == 0;
    scheme_len = strlen(ad_url_scheme(out->tls));
    if (len < scheme_len ||
        strncasecmp(url, ad_url_scheme(out->tls), scheme_len) != 0) {
        return "it must begin with http:// or https://";
    }
    at = url + scheme_len;
    slash = memchr(at, '/', (size_t)(end - at));
    if (slash == NULL) {
        slash = end;
    }
    while (end > slash && end[-1] == '/') {
        end--;
    }
    if (!ad_url_copy(out->prefix, sizeof(out->prefix), slash,
                     (size_t)(end - slash))) {
        return "its path is too long";
    }
    if (!ad_url_copy(out->authority, sizeof(out->authority), at,
                     (size_t)(slash - at))) {
        return "its host is too long";
    }
    return ad_url_split_authority(at, (size_t)(slash - at), out);
}

#endif /* AD_DIALS */

#endif
