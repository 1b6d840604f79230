/* certificate.c - the files of the server's certificate and key: read at the start,
 * and again when they change.
 * Owns ad_certificate. The starting thread, then the hub. Only with AIDASH_TLS.
 */
#ifndef AD_CORE_CERTIFICATE_C
#define AD_CORE_CERTIFICATE_C

#include "../base/file.c"
#include "tls_pump.c"

#if AIDASH_TLS

enum { AD_CERTIFICATE_NAME = 1024 }; /* bytes of a file's name with its NUL */

static struct {
    char cert[AD_CERTIFICATE_NAME], key[AD_CERTIFICATE_NAME]; /* [I] the files */
    unsigned hsts_s; /* [I] of Strict-Transport-Security; 0: none */
    struct ad_file_stamp seen[2];
    bool again; /* read them whatever has been seen */
} ad_certificate;

/* A warning, if the certificate is not good now. */
static void ad_certificate_doubt(void)
{
    const char *doubt = ad_tls_doubt();

    if (doubt != NULL) {
        ad_log(AIDASH_LOG_WARN, "%s: %s", ad_certificate.cert, doubt);
    }
}

/* Read the files. Returns NULL, or the one that is wrong, with *why. */
static const char *ad_certificate_read(const char **why)
{
    const char *wrong;
    bool busy;

    ad_certificate.seen[0] = ad_file_stamp(ad_certificate.cert);
    ad_certificate.seen[1] = ad_file_stamp(ad_certificate.key);
    wrong = ad_tls_load(ad_certificate.cert, ad_certificate.key, why, &busy);
    ad_certificate.again = busy;
    return wrong;
}

/* Have TLS, with these files; NULL: no TLS. Browsers are told to use nothing else
 * for hsts_s seconds, if that is not 0. While starting. Returns NULL, or the file that
 * is wrong, with *why. */
static const char *ad_certificate_open(const char *cert, const char *key,
                                       unsigned hsts_s, const char **why)
{
    const char *wrong;

    memset(&ad_certificate, 0, sizeof(ad_certificate));
    if (cert == NULL) {
        return NULL;
    }
    if (!ad_tls_server_start()) {
        *why = "mbedTLS can't start";
        return cert;
    }
    if (strlen(cert) >= AD_CERTIFICATE_NAME || strlen(key) >= AD_CERTIFICATE_NAME) {
        *why = "its name is too long";
        return strlen(cert) >= AD_CERTIFICATE_NAME ? cert : key;
    }
    memcpy(ad_certificate.cert, cert, strlen(cert));
    memcpy(ad_certificate.key, key, strlen(key));
    ad_certificate.hsts_s = hsts_s;
    wrong = ad_certificate_read(why);
    if (wrong == NULL) {
        ad_pumps.serving = true;
        ad_certificate_doubt();
    }
    return wrong;
}

/* Read the files again, whether they have changed or not. */
static void ad_certificate_again(void)
{
    ad_certificate.again = ad_pumps.serving;
}

/* Once a second: read the files again if they have changed. What is wrong with them
 * is logged once, and the certificate before stays. */
static void ad_certificate_housekeeping(void)
{
    struct ad_file_stamp state[2];
    const char *why, *wrong;

    if (!ad_pumps.serving) {
        return;
    }
    state[0] = ad_file_stamp(ad_certificate.cert);
    state[1] = ad_file_stamp(ad_certificate.key);
    if (!ad_certificate.again &&
        ad_file_stamp_same(&state[0], &ad_certificate.seen[0]) &&
        ad_file_stamp_same(&state[1], &ad_certificate.seen[1])) {
        return;
    }
    wrong = ad_certificate_read(&why);
    if (wrong != NULL) {
        ad_log(AIDASH_LOG_ERROR, "%s: %s; the certificate before stays", wrong,
               why);
    } else if (!ad_certificate.again) {
        ad_log(AIDASH_LOG_INFO, "%s: read again", ad_certificate.cert);
        ad_certificate_doubt();
    }
}

AD_MEMORY(tls_files, 1, sizeof(ad_certificate));

#endif

#endif
