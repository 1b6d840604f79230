/* tls.c - TLS 1.2 and 1.3 (RFC 5246, 8446), by mbedTLS: sessions of both sides over
 * two functions that send and receive bytes, which the caller has. No socket, no
 * clock of the hub.
 * Owns ad_tls, the sessions and their memory. One thread at a time: the one that
 * starts aidash, then the hub. Only with AIDASH_TLS.
 *
 * Each session allocates from a heap of its own: what a peer sends can exhaust that
 * and no other. The certificate has a heap, too. Whose certificates are accepted:
 * trust.c.
 */
#ifndef AD_GUARD_TLS_C
#define AD_GUARD_TLS_C

#include "../base/platform.h"

#if AIDASH_TLS

#include "../base/file.c"
#include "../base/log.c"
#include "../base/memory.h"
#include "crypto.c"
#include "trust.c"

#include <mbedtls/ssl.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/ssl_ticket.h>

enum {
    /* Bytes of a session's heap; tests/unit_tls.c measures what one needs. */
    AD_TLS_HEAP = 56 * 1024,
    AD_TLS_FILE_MAX = 64 * 1024, /* bytes of a file of certificates or keys */
    AD_TLS_IDENTITY_HEAP = 64 * 1024,
    AD_TLS_CONFIG_HEAP = 16 * 1024,
    /* Bytes that one write takes: TLS 1.3 adds a type and padding to them. */
    AD_TLS_RECORD = MBEDTLS_SSL_OUT_CONTENT_LEN -
                    MBEDTLS_SSL_CID_TLS1_3_PADDING_GRANULARITY,
    AD_TLS_TICKET_S = 24 * 3600, /* a session may be resumed for so long; the
                                  * tickets' keys change as often */
    AD_TLS_KEPT = AIDASH_TLS_SESSIONS / 8, /* sessions for engines with https alone,
                                            * where there are such */
    AD_TLS_NONE = 65535
};
#ifdef MBEDTLS_SSL_MAX_FRAGMENT_LENGTH
#error "a client must not choose how much ad_tls_write() takes"
#endif
_Static_assert(AIDASH_TLS_SESSIONS < AD_TLS_NONE, "sessions are 16 bits wide");

/* What the functions below return beside a number of bytes. */
enum {
    AD_TLS_WANT_READ = -1,  /* call again when bytes have come */
    AD_TLS_WANT_WRITE = -2, /* call again when bytes can be sent */
    AD_TLS_CLOSED = -3,     /* the peer will send no more */
    AD_TLS_FAULT = -4       /* it is over: ad_tls_why() */
};

/* How a session reaches its peer. Each returns bytes, 0 (recv: the peer's end), or
 * AD_TLS_WANT_READ, AD_TLS_WANT_WRITE, AD_TLS_FAULT. */
struct ad_tls_io {
    int (*send)(void *peer, const unsigned char *bytes, size_t len);
    int (*recv)(void *peer, unsigned char *bytes, size_t len);
    void *peer;
};

struct ad_tls {
    mbedtls_ssl_context ssl;
    struct ad_heap heap;
    struct ad_tls_io io;
    bool client;        /* we are */
    bool stuck;         /* a record is not sent whole yet */
    uint8_t identity;   /* the one that its handshake uses, plus 1; 0: none */
    uint16_t next_free; /* a session, plus 1; 0: none */
    int error;          /* of mbedTLS, the first one */
    bool cut;           /* the connection ended without close_notify */
    const char *host;   /* the server's, the caller's; NULL: it is a client */
};

/* A certificate with its chain, and its key. */
struct ad_tls_identity {
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
    struct ad_heap heap;
    unsigned users; /* handshakes that have it */
};

static struct ad_tls ad_tls_session[AIDASH_TLS_SESSIONS];
/* Pages of a session are untouched until it is used. */
static _Alignas(16384) uint8_t ad_tls_memory[AIDASH_TLS_SESSIONS][AD_TLS_HEAP];
static _Alignas(16) uint8_t ad_tls_identity_memory[2][AD_TLS_IDENTITY_HEAP];
static _Alignas(16) uint8_t ad_tls_config_memory[AD_TLS_CONFIG_HEAP];
static char ad_tls_file[AD_TLS_FILE_MAX + 1];

static struct {
    bool started;
    bool server_ready, client_ready;
    mbedtls_ssl_config server, client;
    mbedtls_ssl_config client12; /* likewise, for TLS 1.2 alone: ad_tls_is_old() */
    mbedtls_ssl_ticket_context tickets;
    struct ad_heap heap;
    struct ad_tls_identity identity[2];
    uint8_t current; /* of identity, plus 1; 0: there is none */
    unsigned n_used;     /* sessions ever used */
    uint16_t first_free; /* a session, plus 1; 0: none */
    unsigned n;          /* sessions taken */
    unsigned n_engines;  /* of these, those of ad_tls_connect() */
    size_t heap_high;    /* bytes: the most that a session had */
} ad_tls;

static const char *ad_tls_alpn[] = {"http/1.1", NULL};

/* ---- sessions ---- */

static int ad_tls_on_send(void *context, const unsigned char *bytes, size_t len)
{
    struct ad_tls *s = context;
    int n = s->io.send(s->io.peer, bytes, len);

    return n > 0                    ? n
           : n == AD_TLS_WANT_WRITE ? MBEDTLS_ERR_SSL_WANT_WRITE
                                    : MBEDTLS_ERR_SSL_CONN_EOF;
}

static int ad_tls_on_recv(void *context, unsigned char *bytes, size_t len)
{
    struct ad_tls *s = context;
    int n = s->io.recv(s->io.peer, bytes, len);

    return n >= 0                  ? n
           : n == AD_TLS_WANT_READ ? MBEDTLS_ERR_SSL_WANT_READ
                                   : MBEDTLS_ERR_SSL_CONN_EOF;
}

/* What mbedTLS returned, as one of AD_TLS_... */
static int ad_tls_result(struct ad_tls *s, int ret)
{
    switch (ret) {
    case MBEDTLS_ERR_SSL_WANT_READ:
        return AD_TLS_WANT_READ;
    case MBEDTLS_ERR_SSL_WANT_WRITE:
        return AD_TLS_WANT_WRITE;
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return AD_TLS_CLOSED;
    default:
        if (s->error == 0) {
            s->error = ret;
        }
        return AD_TLS_FAULT;
    }
}

/* The identity of this handshake is free for a newer one. */
static void ad_tls_leave_identity(struct ad_tls *s)
{
    if (s->identity != 0) {
        ad_tls.identity[s->identity - 1].users--;
        s->identity = 0;
    }
}

/* The handshake asks for our certificate: mbedTLS calls this. */
static int ad_tls_on_certificate(mbedtls_ssl_context *ssl)
{
    struct ad_tls *s = mbedtls_ssl_get_user_data_p(ssl);
    struct ad_tls_identity *identity;

    ad_tls_leave_identity(s);
    if (ad_tls.current == 0) {
        return MBEDTLS_ERR_SSL_PRIVATE_KEY_REQUIRED;
    }
    identity = &ad_tls.identity[ad_tls.current - 1];
    s->identity = ad_tls.current;
    identity->users++;
    return mbedtls_ssl_set_hs_own_cert(ssl, &identity->chain, &identity->key);
}

/* The tickets' keys outlive the session that makes them. */
static int ad_tls_ticket_write(void *context, const mbedtls_ssl_session *session,
                               unsigned char *start, const unsigned char *end,
                               size_t *len, uint32_t *lifetime)
{
    struct ad_heap *before = ad_crypto_use(&ad_tls.heap);
    int ret = mbedtls_ssl_ticket_write(context, session, start, end, len,
                                       lifetime);

    (void)ad_crypto_use(before);
    return ret;
}

static int ad_tls_ticket_parse(void *context, mbedtls_ssl_session *session,
                               unsigned char *bytes, size_t len)
{
    struct ad_heap *before = ad_crypto_use(&ad_tls.heap);
    int ret = mbedtls_ssl_ticket_parse(context, session, bytes, len);

    (void)ad_crypto_use(before);
    return ret;
}

/* The session's memory is free for another one. Nothing is sent. */
static void ad_tls_free(struct ad_tls *s)
{
    ad_tls_leave_identity(s);
    if (s->host != NULL) {
        ad_tls.n_engines--;
    }
    mbedtls_ssl_free(&s->ssl);
    if (s->heap.high > ad_tls.heap_high) {
        ad_tls.heap_high = s->heap.high;
    }
    ad_heap_trim(&s->heap);
    s->next_free = ad_tls.first_free;
    ad_tls.first_free = (uint16_t)(s - ad_tls_session + 1);
    ad_tls.n--;
}

/* A session; NULL: all are taken, or it can't be set up. */
static struct ad_tls *ad_tls_take(const mbedtls_ssl_config *config,
                                  const struct ad_tls_io *io)
{
    struct ad_heap *before;
    struct ad_tls *s;
    int ret;

    if (ad_tls.first_free != 0) {
        s = &ad_tls_session[ad_tls.first_free - 1];
        ad_tls.first_free = s->next_free;
    } else if (ad_tls.n_used < AIDASH_TLS_SESSIONS) {
        s = &ad_tls_session[ad_tls.n_used++];
        s->heap.memory = ad_tls_memory[s - ad_tls_session];
        s->heap.size = AD_TLS_HEAP;
    } else {
        return NULL;
    }
    ad_tls.n++;
    s->client = false;
    s->io = *io;
    s->stuck = false;
    s->identity = 0;
    s->error = 0;
    s->cut = false;
    s->host = NULL;
    s->heap.high = s->heap.used;
    before = ad_crypto_use(&s->heap);
    mbedtls_ssl_init(&s->ssl);
    ret = mbedtls_ssl_setup(&s->ssl, config);
    (void)ad_crypto_use(before);
    if (ret != 0) {
        ad_tls_free(s);
        return NULL;
    }
    mbedtls_ssl_set_user_data_p(&s->ssl, s);
    mbedtls_ssl_set_bio(&s->ssl, s, ad_tls_on_send, ad_tls_on_recv, NULL);
    return s;
}

/* A session with a client. NULL: all are taken, but for those that are kept for
 * engines with https. */
static struct ad_tls *ad_tls_accept(const struct ad_tls_io *io)
{
    unsigned kept = ad_tls.client_ready ? AD_TLS_KEPT : 0;

    if (!ad_tls.server_ready ||
        ad_tls.n - ad_tls.n_engines + kept >= AIDASH_TLS_SESSIONS) {
        return NULL;
    }
    return ad_tls_take(&ad_tls.server, io);
}

#if AD_DIALS

/* A session with a server: `host` is its name or address, which stays the caller's,
 * and what its certificate must be for. `old`: see ad_tls_is_old(). NULL: all
 * sessions are taken, or ad_tls_client_start() was not called. */
static struct ad_tls *ad_tls_connect(const struct ad_tls_io *io, const char *host,
                                     bool old)
{
    struct ad_tls *s =
        ad_tls.client_ready
            ? ad_tls_take(old ? &ad_tls.client12 : &ad_tls.client, io)
            : NULL;
    struct ad_heap *before;
    uint8_t address[16];
    int ret;

    if (s == NULL) {
        return NULL;
    }
    s->host = host;
    ad_tls.n_engines++;
    before = ad_crypto_use(&s->heap);
    /* An address is neither sent (RFC 6066 3) nor is it a name: trust.c looks. */
    ret = mbedtls_ssl_set_hostname(
        &s->ssl, ad_trust_address(host, address) > 0 ? NULL : host);
    (void)ad_crypto_use(before);
    if (ret != 0) {
        ad_tls_free(s);
        return NULL;
    }
    return s;
}

/* Did the handshake fail as the server has TLS 1.2 and signs by RSA-PSS? mbedTLS
 * offers that for TLS 1.3, and RFC 8446 4.2.3 has it accepted in 1.2, too, but
 * mbedTLS 3.6.6 refuses it (its pull request 10674). A session that is `old` offers
 * TLS 1.2 and no RSA-PSS. */
static bool ad_tls_is_old(const struct ad_tls *s)
{
    return s->error == MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER &&
           mbedtls_ssl_get_version_number(&s->ssl) == MBEDTLS_SSL_VERSION_TLS1_2;
}

/* The handshake with a server is done: is it to be believed? If not, it is told, and
 * *why says it. */
static bool ad_tls_believes(struct ad_tls *s, struct ad_trust_verdict *why)
{
    struct ad_heap *before;

    if (ad_trust_accepts(mbedtls_ssl_get_peer_cert(&s->ssl),
                         mbedtls_ssl_get_verify_result(&s->ssl), s->host, why)) {
        return true;
    }
    before = ad_crypto_use(&s->heap);
    (void)mbedtls_ssl_send_alert_message(&s->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                         MBEDTLS_SSL_ALERT_MSG_BAD_CERT);
    (void)ad_crypto_use(before);
    return false;
}

#endif

/* Go on with the handshake. 0: it is done; else AD_TLS_... */
static int ad_tls_handshake(struct ad_tls *s)
{
    struct ad_heap *before = ad_crypto_use(&s->heap);
    int ret = mbedtls_ssl_handshake(&s->ssl);

    if (ret == MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE ||
        ret == MBEDTLS_ERR_SSL_ALLOC_FAILED) {
        /* mbedTLS is silent in some of these cases. */
        (void)mbedtls_ssl_send_alert_message(
            &s->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
            MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE);
    }
    (void)ad_crypto_use(before);
    if (ret == 0) {
        ad_tls_leave_identity(s);
        if (s->heap.high > ad_tls.heap_high) {
            ad_tls.heap_high = s->heap.high;
        }
        ad_heap_trim(&s->heap);
        return 0;
    }
    return ad_tls_result(s, ret);
}

/* Up to `len` bytes that the peer has sent, at least 1; else AD_TLS_... */
static int ad_tls_read(struct ad_tls *s, unsigned char *bytes, size_t len)
{
    struct ad_heap *before = ad_crypto_use(&s->heap);
    int ret;

    do {
        ret = mbedtls_ssl_read(&s->ssl, bytes, len);
    } while (ret == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET);
    (void)ad_crypto_use(before);
    if (ret > 0) {
        return ret;
    }
    if (ret == 0 || ret == MBEDTLS_ERR_SSL_CONN_EOF) {
        s->cut = true; /* without close_notify */
        return AD_TLS_CLOSED;
    }
    return ret == MBEDTLS_ERR_SSL_WANT_WRITE
               ? ad_tls_result(s, MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE)
               : ad_tls_result(s, ret);
}

/* Send up to AD_TLS_RECORD bytes. Returns how many were taken, all if they are not
 * more. AD_TLS_WANT_WRITE: they were taken, too, and ad_tls_flush() has to be called
 * when bytes can be sent, before anything else is written. */
static int ad_tls_write(struct ad_tls *s, const unsigned char *bytes, size_t len)
{
    struct ad_heap *before = ad_crypto_use(&s->heap);
    int ret = mbedtls_ssl_write(&s->ssl, bytes, len);

    (void)ad_crypto_use(before);
    s->stuck = ret == MBEDTLS_ERR_SSL_WANT_WRITE;
    return ret >= 0 ? ret : ad_tls_result(s, ret);
}

/* Send the rest of what was written. 0: it is sent; else AD_TLS_... */
static int ad_tls_flush(struct ad_tls *s)
{
    static const unsigned char none[1];
    int ret = 0;

    if (s->stuck) {
        /* No byte: if mbedTLS has sent its record meanwhile, it sends an empty
         * one. */
        ret = ad_tls_write(s, none, 0);
    }
    return ret;
}

/* Tell the peer that we send no more. 0: it is sent; else AD_TLS_... */
static int ad_tls_close_notify(struct ad_tls *s)
{
    struct ad_heap *before = ad_crypto_use(&s->heap);
    int ret = mbedtls_ssl_close_notify(&s->ssl);

    (void)ad_crypto_use(before);
    return ret == 0 ? 0 : ad_tls_result(s, ret);
}

/* Why it is over: a sentence's end, without the peer's bytes. */
static const char *ad_tls_why(const struct ad_tls *s)
{
    switch (s->error) {
    case 0:
        return "";
    case MBEDTLS_ERR_SSL_CONN_EOF:
        return "the connection ended during the TLS handshake";
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
        return "it does not speak TLS at this port";
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        return "the other side refused the TLS handshake";
    case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
        return "the other side has no TLS 1.2 or 1.3";
    case MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE:
        return "there is no TLS cipher or group in common";
    case MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL:
        return "the other side does not want HTTP/1.1 (ALPN)";
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
    case MBEDTLS_ERR_X509_ALLOC_FAILED:
    case MBEDTLS_ERR_MPI_ALLOC_FAILED:
        return "its TLS handshake needs more memory than a session has";
    default:
        return "what it sent is not valid TLS";
    }
}

/* A fatal alert for a peer that gets no session, see RFC 8446 6: internal_error. */
static const unsigned char ad_tls_alert[7] = {21, 3, 3, 0, 2, 2, 80};

/* ---- the server's certificate ---- */

/* A text file into ad_tls_file, with a NUL behind. Returns its length with the NUL,
 * or 0 with a reason. */
static size_t ad_tls_file_read(const char *name, const char **why)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t len = 0;

    if (fd < 0) {
        *why = strerror(errno);
        return 0;
    }
    if (!ad_file_read_all(fd, ad_tls_file, sizeof(ad_tls_file), &len)) {
        *why = errno == EFBIG ? "it is larger than 64 KiB" : strerror(errno);
        len = 0;
    } else {
        ad_tls_file[len++] = '\0';
    }
    (void)close(fd);
    return len;
}

/* Sign with it a few times: mbedTLS keeps numbers of an RSA key that it makes at the
 * first signatures, and they belong in the key's heap. */
static bool ad_tls_key_try(mbedtls_pk_context *key)
{
    unsigned char hash[32] = {0}, signature[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    size_t len;
    int i, ret = 0;

    for (i = 0; i < 3 && ret == 0; i++) {
        ret = mbedtls_pk_sign(key, MBEDTLS_MD_SHA256, hash, sizeof(hash),
                              signature, sizeof(signature), &len,
                              ad_crypto_random, NULL);
    }
    return ret == 0;
}

/* Read both files into this identity, which is empty. Returns NULL, or the file
 * that is wrong and *why. */
static const char *ad_tls_identity_parse(struct ad_tls_identity *identity,
                                         const char *cert, const char *key,
                                         const char **why)
{
    size_t len = ad_tls_file_read(cert, why);
    int ret;

    if (len == 0) {
        return cert;
    }
    ret = mbedtls_x509_crt_parse(&identity->chain,
                                 (unsigned char *)ad_tls_file, len);
    if (ret != 0 || identity->chain.raw.p == NULL) {
        *why = ret > 0 ? "one of its certificates is not valid, or not of RSA, "
                         "P-256 or P-384"
                       : "it is no certificate in PEM form";
        return cert;
    }
    len = ad_tls_file_read(key, why);
    if (len == 0) {
        return key;
    }
    ret = mbedtls_pk_parse_key(&identity->key, (unsigned char *)ad_tls_file,
                               len, NULL, 0, ad_crypto_random, NULL);
    if (ret != 0) {
        *why = ret == MBEDTLS_ERR_PK_PASSWORD_REQUIRED
                   ? "it is encrypted: aidash asks for no password"
                   : "it is no private key in PEM form, of RSA (up to 4096 bits), "
                     "P-256 or P-384";
        return key;
    }
    if (mbedtls_pk_check_pair(&identity->chain.pk, &identity->key,
                              ad_crypto_random, NULL) != 0) {
        *why = "it does not belong to the certificate";
        return key;
    }
    if (!ad_tls_key_try(&identity->key)) {
        *why = "it can't sign";
        return key;
    }
    return NULL;
}

/* Likewise; nothing of the key stays behind but what mbedTLS has. */
static const char *ad_tls_identity_read(struct ad_tls_identity *identity,
                                        const char *cert, const char *key,
                                        const char **why)
{
    const char *failed = ad_tls_identity_parse(identity, cert, key, why);

    mbedtls_platform_zeroize(ad_tls_file, sizeof(ad_tls_file));
    return failed;
}

static void ad_tls_identity_clear(struct ad_tls_identity *identity)
{
    mbedtls_x509_crt_free(&identity->chain);
    mbedtls_pk_free(&identity->key);
}

/* Use these files from now on: PEM, the server's certificate first, then its chain.
 * Handshakes that run end with the one that they began with. Returns NULL, or the
 * file that is wrong with *why; the one before stays then. *busy: not now, as
 * handshakes still have the one before the last. */
static const char *ad_tls_load(const char *cert, const char *key,
                               const char **why, bool *busy)
{
    unsigned i = ad_tls.current == 1 ? 1 : 0;
    struct ad_tls_identity *identity = &ad_tls.identity[i];
    struct ad_heap *before;
    const char *wrong;

    *busy = identity->users > 0;
    if (*busy) {
        return NULL;
    }
    before = ad_crypto_use(&identity->heap);
    ad_tls_identity_clear(identity);
    wrong = ad_tls_identity_read(identity, cert, key, why);
    if (wrong != NULL) {
        ad_tls_identity_clear(identity);
    } else {
        ad_tls.current = (uint8_t)(i + 1);
    }
    (void)ad_crypto_use(before);
    return wrong;
}

/* What is odd about the certificate now, for a warning; NULL: nothing. */
static const char *ad_tls_doubt(void)
{
    const mbedtls_x509_crt *crt;

    if (ad_tls.current == 0) {
        return NULL;
    }
    crt = &ad_tls.identity[ad_tls.current - 1].chain;
    return mbedtls_x509_time_is_past(&crt->valid_to)       ? "it has expired"
           : mbedtls_x509_time_is_future(&crt->valid_from) ? "it is not valid yet"
                                                           : NULL;
}

/* ---- start ---- */

static bool ad_tls_start(void)
{
    unsigned i;

    if (ad_tls.started) {
        return true;
    }
    if (!ad_crypto_start()) {
        return false;
    }
    ad_tls.heap.memory = ad_tls_config_memory;
    ad_tls.heap.size = sizeof(ad_tls_config_memory);
    for (i = 0; i < 2; i++) {
        ad_tls.identity[i].heap.memory = ad_tls_identity_memory[i];
        ad_tls.identity[i].heap.size = sizeof(ad_tls_identity_memory[i]);
        mbedtls_x509_crt_init(&ad_tls.identity[i].chain);
        mbedtls_pk_init(&ad_tls.identity[i].key);
    }
    ad_tls.started = true;
    return true;
}

static bool ad_tls_configure(mbedtls_ssl_config *config, int side)
{
    mbedtls_ssl_config_init(config);
    if (mbedtls_ssl_config_defaults(config, side, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0 ||
        mbedtls_ssl_conf_alpn_protocols(config, ad_tls_alpn) != 0) {
        return false;
    }
    mbedtls_ssl_conf_rng(config, ad_crypto_random, NULL);
    mbedtls_ssl_conf_min_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_max_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_3);
    return true;
}

/* Accept sessions from now on, with what ad_tls_load() loads. Once. */
static bool ad_tls_server_start(void)
{
    struct ad_heap *before;

    if (ad_tls.server_ready) {
        return true;
    }
    if (!ad_tls_start()) {
        return false;
    }
    before = ad_crypto_use(&ad_tls.heap);
    mbedtls_ssl_ticket_init(&ad_tls.tickets);
    ad_tls.server_ready =
        ad_tls_configure(&ad_tls.server, MBEDTLS_SSL_IS_SERVER) &&
        mbedtls_ssl_ticket_setup(&ad_tls.tickets, ad_crypto_random, NULL,
                                 MBEDTLS_CIPHER_AES_256_GCM,
                                 AD_TLS_TICKET_S) == 0;
    mbedtls_ssl_conf_cert_cb(&ad_tls.server, ad_tls_on_certificate);
    mbedtls_ssl_conf_session_tickets_cb(&ad_tls.server, ad_tls_ticket_write,
                                        ad_tls_ticket_parse, &ad_tls.tickets);
    (void)ad_crypto_use(before);
    return ad_tls.server_ready;
}

#if AD_DIALS

static bool ad_tls_configure_client(mbedtls_ssl_config *config)
{
    if (!ad_tls_configure(config, MBEDTLS_SSL_IS_CLIENT)) {
        return false;
    }
    mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_OPTIONAL);
    mbedtls_ssl_conf_ca_cb(config, ad_trust_issuers, NULL);
    mbedtls_ssl_conf_session_tickets(config, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
    return true;
}

/* Connect from now on. Once. A certificate that does not verify does not end the
 * handshake: ad_tls_believes() decides, before a byte is written. */
static bool ad_tls_client_start(void)
{
    static const uint16_t signatures12[] = {
        MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
        MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
        MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
        MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
        MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
        MBEDTLS_TLS1_3_SIG_NONE};
    struct ad_heap *before;

    if (ad_tls.client_ready) {
        return true;
    }
    if (!ad_tls_start()) {
        return false;
    }
    before = ad_crypto_use(&ad_tls.heap);
    ad_tls.client_ready = ad_tls_configure_client(&ad_tls.client) &&
                          ad_tls_configure_client(&ad_tls.client12);
    mbedtls_ssl_conf_max_tls_version(&ad_tls.client12, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_sig_algs(&ad_tls.client12, signatures12);
    (void)ad_crypto_use(before);
    return ad_tls.client_ready;
}

#endif

AD_MEMORY(tls, AIDASH_TLS_SESSIONS,
          sizeof(ad_tls_session) + sizeof(ad_tls_memory));
AD_MEMORY(tls_certificate, 2,
          sizeof(ad_tls) + sizeof(ad_tls_identity_memory) +
              sizeof(ad_tls_config_memory) + sizeof(ad_tls_file));

#endif

#endif
