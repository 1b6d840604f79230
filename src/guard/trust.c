/* trust.c - whom aidash believes when it connects to somebody by TLS: certificates
 * of authorities, and pinned keys. The certificates lie as they are (DER, X.690) in
 * static memory, two sets of them; mbedTLS asks for the issuer of one and gets that
 * alone parsed.
 * Owns ad_trust. The set in use is the hub's (or the main thread's, when there is no
 * hub). The other one is the starting thread's: it fills it, and the hub takes it.
 * Always: without a pinned key, a certificate is accepted if it verifies (RFC 5280
 * 6.1) and names the host (RFC 6125); there is no option to look away.
 */
#ifndef AD_GUARD_TRUST_C
#define AD_GUARD_TRUST_C

#include "../base/log.c"
#include "../base/memory.h"
#include "../base/sha256.c"
#include "../base/text.c"
#include "../codec/base64url.c"

/* Why a peer's certificate is not accepted. */
struct ad_trust_verdict {
    char fact[96];    /* for everybody, the end of a sentence */
    char advice[400]; /* for the log, likewise */
};

#if AIDASH_TLS && AD_DIALS

#include <mbedtls/asn1.h>
#include <mbedtls/platform.h>
#include <mbedtls/x509_crt.h>

enum {
    AD_TRUST_ROOTS = AIDASH_TRUST_BYTES / 512, /* an authority has 1.1 kB on average */
    AD_TRUST_PINS = 8
};

/* Where a certificate and its subject are among the bytes. */
struct ad_trust_root {
    uint32_t from, len;
    uint32_t subject, subject_len; /* the DER of its name */
};

struct ad_trust_set {
    unsigned n, n_pins;
    size_t len;
    struct ad_trust_root roots[AD_TRUST_ROOTS];
    uint8_t pins[AD_TRUST_PINS][AD_SHA256_BYTES];
    uint8_t der[AIDASH_TRUST_BYTES];
};

static struct {
    unsigned used; /* which set is in use: 0 or 1 */
    struct ad_trust_set sets[2];
} ad_trust;

/* The set that is being filled. The starting thread. */
static struct ad_trust_set *ad_trust_spare(void)
{
    return &ad_trust.sets[1 - ad_trust.used];
}

/* ---- filling a set ---- */

/* Find a certificate's subject (RFC 5280 4.1). False if it is malformed. */
static bool ad_trust_subject(struct ad_trust_set *set, struct ad_trust_root *root)
{
    static const int before[] = {/* serialNumber, signature, issuer, validity */
                                 MBEDTLS_ASN1_INTEGER,
                                 MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE,
                                 MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE,
                                 MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE};
    const int sequence = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
    unsigned char *p = set->der + root->from, *subject;
    const unsigned char *end = p + root->len;
    size_t len, i;

    if (mbedtls_asn1_get_tag(&p, end, &len, sequence) != 0 || p + len != end ||
        mbedtls_asn1_get_tag(&p, end, &len, sequence) != 0) {
        return false;
    }
    if (mbedtls_asn1_get_tag(&p, end, &len,
                             MBEDTLS_ASN1_CONTEXT_SPECIFIC |
                                 MBEDTLS_ASN1_CONSTRUCTED) == 0) {
        p += len; /* version */
    }
    for (i = 0; i < AD_COUNT(before); i++) {
        if (mbedtls_asn1_get_tag(&p, end, &len, before[i]) != 0) {
            return false;
        }
        p += len;
    }
    subject = p;
    if (mbedtls_asn1_get_tag(&p, end, &len, sequence) != 0) {
        return false;
    }
    root->subject = (uint32_t)(subject - set->der);
    root->subject_len = (uint32_t)(p + len - subject);
    return true;
}

/* What ad_trust_read() finds. */
enum ad_trust_read {
    AD_TRUST_READ,
    AD_TRUST_UNREADABLE, /* errno says why */
    AD_TRUST_NONE,       /* there is no certificate in it */
    AD_TRUST_MALFORMED,  /* one of them is malformed */
    AD_TRUST_FULL        /* they take more than AIDASH_TRUST_BYTES */
};

/* A certificate's bytes have been read to the end of the set: it becomes one of
 * it. */
static enum ad_trust_read ad_trust_take(struct ad_trust_set *set, size_t len)
{
    struct ad_trust_root *root = &set->roots[set->n];

    root->from = (uint32_t)set->len;
    root->len = (uint32_t)len;
    if (!ad_trust_subject(set, root)) {
        return AD_TRUST_MALFORMED;
    }
    set->len += len;
    set->n++;
    return AD_TRUST_READ;
}

/* Read certificates (RFC 7468) to the spare set. The starting thread. */
static enum ad_trust_read ad_trust_read_lines(FILE *f)
{
    struct ad_trust_set *set = ad_trust_spare();
    enum ad_trust_read rc = AD_TRUST_READ;
    char line[128];
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t len = 0;
    bool inside = false;

    while (rc == AD_TRUST_READ && fgets(line, (int)sizeof(line), f) != NULL) {
        const char *c = line;

        if (strncmp(line, "-----BEGIN CERTIFICATE-----", 27) == 0) {
            inside = true;
            bits = n_bits = 0;
            len = 0;
        } else if (inside && strncmp(line, "-----END", 8) == 0) {
            inside = false;
            rc = set->n < AD_TRUST_ROOTS ? ad_trust_take(set, len) : AD_TRUST_FULL;
        } else if (inside) {
            for (; *c != '\0' && rc == AD_TRUST_READ; c++) {
                int digit = ad_base64_value(*c, "+/");

                if (digit < 0) {
                    continue; /* the line's end, the padding */
                }
                bits = bits << 6 | (uint32_t)digit;
                n_bits += 6;
                if (n_bits >= 8) {
                    n_bits -= 8;
                    if (set->len + len == sizeof(set->der)) {
                        rc = AD_TRUST_FULL;
                    } else {
                        set->der[set->len + len++] = (uint8_t)(bits >> n_bits);
                    }
                }
            }
        }
    }
    return rc;
}

/* The spare set has no certificates. The starting thread. */
static void ad_trust_forget(void)
{
    ad_trust_spare()->n = 0;
    ad_trust_spare()->len = 0;
}

/* Read a file of certificates to the spare set, which then has these alone. The
 * starting thread. */
static enum ad_trust_read ad_trust_read_file(const char *path)
{
    struct ad_trust_set *set = ad_trust_spare();
    enum ad_trust_read rc;
    FILE *f = fopen(path, "re");
    bool failed;

    ad_trust_forget();
    if (f == NULL) {
        return AD_TRUST_UNREADABLE;
    }
    errno = 0;
    rc = ad_trust_read_lines(f);
    failed = ferror(f) != 0; /* of a directory */
    (void)fclose(f);
    if (failed) {
        errno = errno != 0 ? errno : EIO;
        return AD_TRUST_UNREADABLE;
    }
    return rc == AD_TRUST_READ && set->n == 0 ? AD_TRUST_NONE : rc;
}

/* Read the system's authorities to the spare set: those of $SSL_CERT_FILE, as with
 * OpenSSL, else of the file that this system has. None is no error: then a
 * certificate needs another reason to be believed. Returns the file's name, NULL if
 * there is none. The starting thread. */
static const char *ad_trust_read_system(void)
{
    static const char *const usual[] = {
        "/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Alpine, Arch */
        "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
        "/etc/ssl/ca-bundle.pem",             /* openSUSE */
        "/etc/ssl/cert.pem"                   /* Alpine, OpenWrt, BSD, macOS */
    };
    const char *named = getenv("SSL_CERT_FILE");
    size_t i;

    if (named != NULL && named[0] != '\0') {
        return ad_trust_read_file(named) == AD_TRUST_UNREADABLE ? NULL : named;
    }
    for (i = 0; i < AD_COUNT(usual); i++) {
        if (ad_trust_read_file(usual[i]) != AD_TRUST_UNREADABLE) {
            return usual[i];
        }
    }
    return NULL;
}

/* Take the pinned keys out of the spare set. The starting thread. */
static AD_UNUSED void ad_trust_begin_pins(void)
{
    ad_trust_spare()->n_pins = 0;
}

/* Add sha256/BASE64, the fingerprint of a key (RFC 7469 2.4), to the spare set.
 * False if it is none, or there are AD_TRUST_PINS. The starting thread. */
static AD_UNUSED bool ad_trust_add_pin(const char *pin, size_t len)
{
    enum { PREFIX = 7, DIGITS = 43 }; /* and one = */
    struct ad_trust_set *set = ad_trust_spare();
    uint8_t *out = set->pins[set->n_pins < AD_TRUST_PINS ? set->n_pins : 0];
    uint32_t bits = 0;
    unsigned n_bits = 0, i, n = 0;

    if (set->n_pins == AD_TRUST_PINS || len != PREFIX + DIGITS + 1 ||
        memcmp(pin, "sha256/", PREFIX) != 0 || pin[len - 1] != '=') {
        return false;
    }
    for (i = 0; i < DIGITS; i++) {
        int digit = ad_base64_value(pin[PREFIX + i], "+/");

        if (digit < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)digit;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[n++] = (uint8_t)(bits >> n_bits);
        }
    }
    set->n_pins++;
    return true;
}

/* Use the set that was filled. While starting, or on the hub. */
static void ad_trust_use(void)
{
    ad_trust.used = 1 - ad_trust.used;
}

/* Before each run. */
static AD_UNUSED void ad_trust_init(void)
{
    ad_trust.used = 0;
    ad_trust.sets[0].n = ad_trust.sets[1].n = 0;
    ad_trust.sets[0].n_pins = ad_trust.sets[1].n_pins = 0;
    ad_trust.sets[0].len = ad_trust.sets[1].len = 0;
}

/* ---- asking the set in use ---- */

/* For mbedTLS (mbedtls_ssl_conf_ca_cb()): the authorities that may have issued
 * `child`, by their name. It frees them; their bytes stay ours. */
static int ad_trust_issuers(void *unused, const mbedtls_x509_crt *child,
                            mbedtls_x509_crt **found)
{
    const struct ad_trust_set *set = &ad_trust.sets[ad_trust.used];
    mbedtls_x509_crt *list = mbedtls_calloc(1, sizeof(*list));
    unsigned i;

    (void)unused;
    *found = NULL;
    if (list == NULL) {
        return MBEDTLS_ERR_X509_ALLOC_FAILED;
    }
    mbedtls_x509_crt_init(list);
    for (i = 0; i < set->n; i++) {
        const struct ad_trust_root *root = &set->roots[i];

        if (root->subject_len == child->issuer_raw.len &&
            memcmp(set->der + root->subject, child->issuer_raw.p,
                   root->subject_len) == 0) {
            /* One of a kind that is not built in is as good as none. */
            (void)mbedtls_x509_crt_parse_der_nocopy(list, set->der + root->from,
                                                    root->len);
        }
    }
    if (list->raw.p == NULL) {
        mbedtls_x509_crt_free(list);
        mbedtls_free(list);
        list = NULL;
    }
    *found = list;
    return 0;
}

/* Is host an address? Its bytes into out[16], and how many they are; 0: it is a
 * name. */
static size_t ad_trust_address(const char *host, uint8_t out[16])
{
    char text[INET6_ADDRSTRLEN];
    size_t len = strcspn(host, "%"); /* without its zone */

    if (len >= sizeof(text)) {
        return 0;
    }
    memcpy(text, host, len);
    text[len] = '\0';
    if (inet_pton(AF_INET, text, out) == 1) {
        return 4;
    }
    return inet_pton(AF_INET6, text, out) == 1 ? 16 : 0;
}

/* Does a certificate name this address (RFC 5280 4.2.1.6, iPAddress)? */
static bool ad_trust_names_address(const mbedtls_x509_crt *leaf,
                                   const uint8_t *address, size_t len)
{
    const mbedtls_x509_sequence *name;

    for (name = &leaf->subject_alt_names; name != NULL; name = name->next) {
        if (name->buf.tag == (MBEDTLS_ASN1_CONTEXT_SPECIFIC | 7) &&
            name->buf.len == len && memcmp(name->buf.p, address, len) == 0) {
            return true;
        }
    }
    return false;
}

/* The fingerprint of a certificate's key, as --upstream-pin takes it. */
static void ad_trust_put_pin(struct ad_text *t, const uint8_t sum[AD_SHA256_BYTES])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                 "0123456789+/";
    unsigned i;

    ad_puts(t, "sha256/");
    for (i = 0; i < AD_SHA256_BYTES; i += 3) {
        uint32_t bits = (uint32_t)sum[i] << 16 | (uint32_t)sum[i + 1] << 8 |
                        (i + 2 < AD_SHA256_BYTES ? sum[i + 2] : 0u);

        ad_put(t, &digits[bits >> 18 & 63], 1);
        ad_put(t, &digits[bits >> 12 & 63], 1);
        ad_put(t, &digits[bits >> 6 & 63], 1);
        ad_put(t, i + 2 < AD_SHA256_BYTES ? &digits[bits & 63] : "=", 1);
    }
}

static void ad_trust_put_day(struct ad_text *t, const mbedtls_x509_time *at)
{
    ad_putf(t, "%04d-%02d-%02d", at->year, at->mon, at->day);
}

/* The DNS names of a certificate, three at most; other characters than those of a
 * name are left out. */
static void ad_trust_put_names(struct ad_text *t, const mbedtls_x509_crt *leaf)
{
    const mbedtls_x509_sequence *name;
    unsigned n = 0;

    for (name = &leaf->subject_alt_names; name != NULL && n < 3; name = name->next) {
        size_t i;

        if (name->buf.tag != (MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2) ||
            name->buf.len == 0 || name->buf.len > 64) {
            continue;
        }
        ad_puts(t, n++ > 0 ? ", " : "");
        for (i = 0; i < name->buf.len; i++) {
            char c = (char)name->buf.p[i];

            if (ad_base64_value(c, "-_") >= 0 || c == '.' || c == '*') {
                ad_put(t, &c, 1);
            }
        }
    }
    ad_puts(t, n == 0 ? "none" : "");
}

/* Is the peer that calls itself `host` to be believed? `flags`: what mbedTLS has
 * against its certificate; `leaf`: that, NULL if it sent none. If not, *why says
 * it. */
static bool ad_trust_accepts(const mbedtls_x509_crt *leaf, uint32_t flags,
                             const char *host, struct ad_trust_verdict *why)
{
    const struct ad_trust_set *set = &ad_trust.sets[ad_trust.used];
    struct ad_text fact = ad_text_in(why->fact, sizeof(why->fact) - 1);
    struct ad_text advice = ad_text_in(why->advice, sizeof(why->advice) - 1);
    uint8_t sum[AD_SHA256_BYTES], address[16];
    size_t address_len = ad_trust_address(host, address);
    unsigned i;

    memset(why, 0, sizeof(*why));
    if (leaf == NULL) {
        ad_puts(&fact, "it sent no certificate");
        return false;
    }
    ad_sha256(leaf->pk_raw.p, leaf->pk_raw.len, sum);
    for (i = 0; i < set->n_pins; i++) {
        if (memcmp(sum, set->pins[i], sizeof(sum)) == 0) {
            return true;
        }
    }
    if (address_len > 0 && !ad_trust_names_address(leaf, address, address_len)) {
        flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    }
    if (flags == 0) {
        return true;
    }
    if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0) {
        ad_puts(&fact, "its certificate is of an authority that is not known here");
        ad_puts(&advice, "name that authority's certificate by --upstream-ca FILE, or "
                         "the engine's key, if this is it, by --upstream-pin ");
        ad_trust_put_pin(&advice, sum);
    } else if ((flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0) {
        if (mbedtls_x509_time_is_past(&leaf->valid_to)) {
            ad_puts(&fact, "its certificate expired on ");
            ad_trust_put_day(&fact, &leaf->valid_to);
        } else {
            ad_puts(&fact, "a certificate that vouches for its own has expired");
        }
        ad_puts(&advice, "renew it there, or, if that is not so, set this machine's "
                         "clock");
    } else if ((flags & MBEDTLS_X509_BADCERT_FUTURE) != 0) {
        ad_puts(&fact, "its certificate is not valid before ");
        ad_trust_put_day(&fact, &leaf->valid_from);
        ad_puts(&advice, "set this machine's clock");
    } else if ((flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0) {
        ad_puts(&fact, "its certificate is for another name");
        ad_puts(&advice, "write a name that it has, if this is the engine: ");
        ad_trust_put_names(&advice, leaf);
    } else if ((flags & (MBEDTLS_X509_BADCERT_KEY_USAGE |
                         MBEDTLS_X509_BADCERT_EXT_KEY_USAGE)) != 0) {
        ad_puts(&fact, "its certificate is not for a server");
        ad_puts(&advice, "give it another one");
    } else {
        ad_puts(&fact, "its certificate has too weak a key or signature");
        ad_puts(&advice, "give it one with RSA of 2048 bits, or P-256, and SHA-256");
    }
    return false;
}

AD_MEMORY(trust, 1, sizeof(ad_trust));

#endif /* AIDASH_TLS && AD_DIALS */

#endif
