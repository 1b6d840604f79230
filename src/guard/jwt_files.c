/* jwt_files.c - the files with the keys of JSON Web Tokens: read at the start, and
 * again when they change. Owns ad_jwt_files. Hub thread; before it runs, the
 * starting one.
 *
 * A file is taken whole or not at all: while it is broken or gone, its keys stay.
 */
#ifndef AD_GUARD_JWT_FILES_C
#define AD_GUARD_JWT_FILES_C

#include "../base/file.c"
#include "../base/log.c"
#include "jwt.c"

#if AIDASH_TLS

enum {
    AD_JWT_PATH_MAX = 1023, /* bytes of a path */
    AD_JWT_WHY_MAX = 1280   /* bytes of a sentence about a file, with its NUL */
};

/* One of the files. */
struct ad_jwt_file {
    char path[AD_JWT_PATH_MAX + 1]; /* "": none */
    struct ad_file_stamp stamp;     /* of what was read last */
};

static struct {
    struct ad_jwt_file secret, keys;
    char text[AIDASH_JWKS_MAX + 1]; /* what was read, for a moment */
    struct ad_jwks fresh;
} ad_jwt_files;

/* The secret is what text[0..len) holds, without a line's end behind it. Returns what
 * is wrong with it, or NULL. */
static const char *ad_jwt_secret_of(const char *text, size_t len,
                                    struct ad_jwt_secret *out)
{
    if (len > 0 && text[len - 1] == '\n') {
        len--;
    }
    if (len > 0 && text[len - 1] == '\r') {
        len--;
    }
    /* RFC 8725 2.1: a public key is no secret. */
    if (strstr(text, "-----BEGIN ") != NULL) {
        return "it has a key in PEM: this is a file for a secret (HS256)";
    }
    if (len < AD_JWT_SECRET_MIN) {
        return "its secret has fewer than 32 bytes; `openssl rand -base64 48` makes "
               "one";
    }
    if (len > AD_JWT_SECRET_MAX) {
        return "its secret has more than 1024 bytes";
    }
    memcpy(out->bytes, text, len);
    out->len = len;
    return NULL;
}
_Static_assert(AD_JWT_SECRET_MIN == 32 && AD_JWT_SECRET_MAX == 1024,
               "the sentences name them");

/* Read the secret in a file. Returns NULL, or what is wrong: the rest of a sentence
 * about the file. Hub thread, or a program without one. */
static const char *ad_jwt_secret_read(const char *path, struct ad_jwt_secret *out)
{
    char text[AD_JWT_SECRET_MAX + 3]; /* with a line's end, and NUL */
    const char *fault;
    size_t len;
    mode_t mode;

    fault = ad_file_read(path, text, sizeof(text), &len, &mode);
    if (fault == NULL) {
        fault = ad_jwt_secret_of(text, len, out);
        if (fault == NULL && (mode & S_IROTH) != 0) {
            ad_log(AIDASH_LOG_WARN, "jwt-secret-file: every user of this machine can "
                                    "read %.200s", path);
        }
    }
    mbedtls_platform_zeroize(text, sizeof(text));
    return fault;
}

static const char *ad_jwt_take_secret(const char *path)
{
    struct ad_jwt_secret secret;
    const char *fault = ad_jwt_secret_read(path, &secret);

    if (fault == NULL) {
        ad_jwt_set_secret(&secret);
    }
    mbedtls_platform_zeroize(&secret, sizeof(secret));
    return fault;
}

static const char *ad_jwt_take_keys(const char *path)
{
    const char *fault;
    size_t len;
    mode_t mode;

    fault = ad_file_read(path, ad_jwt_files.text, sizeof(ad_jwt_files.text), &len,
                         &mode);
    if (fault == NULL) {
        fault = ad_jwks_read(&ad_jwt_files.fresh, ad_jwt_files.text, len);
    }
    if (fault == NULL) {
        ad_jwt_set_keys(&ad_jwt_files.fresh);
    }
    return fault;
}

/* Take one file at the start. */
static bool ad_jwt_file_begin(struct ad_jwt_file *file, const char *option,
                              const char *path,
                              const char *(*take)(const char *path),
                              char why[AD_JWT_WHY_MAX])
{
    const char *fault = "its path is too long";

    if (path == NULL) {
        return true;
    }
    if (strlen(path) <= AD_JWT_PATH_MAX) {
        (void)snprintf(file->path, sizeof(file->path), "%s", path);
        file->stamp = ad_file_stamp(path);
        fault = take(path);
    }
    if (fault != NULL) {
        (void)snprintf(why, AD_JWT_WHY_MAX, "%s: %.1000s: %.200s", option, path, fault);
    }
    return fault == NULL;
}

/* Take a file again, if it has changed, or `always`. */
static void ad_jwt_file_poll(struct ad_jwt_file *file, const char *option, bool always,
                             const char *(*take)(const char *path))
{
    struct ad_file_stamp now;
    const char *fault;

    if (file->path[0] == '\0') {
        return;
    }
    now = ad_file_stamp(file->path);
    if (!always && ad_file_stamp_same(&now, &file->stamp)) {
        return;
    }
    file->stamp = now;
    fault = take(file->path);
    if (fault == NULL) {
        ad_log(AIDASH_LOG_INFO, "%s: %.200s was read again", option, file->path);
    } else {
        ad_log(AIDASH_LOG_ERROR, "%s: %.200s: %s; what it had before stays valid",
               option, file->path, fault);
    }
}

/* -- what others call -- */

/* Before a run. */
static void ad_jwt_files_init(void)
{
    memset(&ad_jwt_files, 0, sizeof(ad_jwt_files));
    ad_jwt_init();
}

/* Read the files at the start; NULL: there is none. False: one can't be used, and
 * why[] says which and why. */
static bool ad_jwt_files_begin(const char *secret_file, const char *key_file,
                               char why[AD_JWT_WHY_MAX])
{
    return ad_jwt_file_begin(&ad_jwt_files.secret, "jwt-secret-file", secret_file,
                             ad_jwt_take_secret, why) &&
           ad_jwt_file_begin(&ad_jwt_files.keys, "jwt-key-file", key_file,
                             ad_jwt_take_keys, why);
}

/* Once a second: read again what has changed; on SIGHUP, `always`, all. */
static void ad_jwt_files_poll(bool always)
{
    ad_jwt_file_poll(&ad_jwt_files.secret, "jwt-secret-file", always,
                     ad_jwt_take_secret);
    ad_jwt_file_poll(&ad_jwt_files.keys, "jwt-key-file", always, ad_jwt_take_keys);
}

AD_MEMORY(jwt_files, 1, sizeof(ad_jwt_files));

#endif /* AIDASH_TLS */

#endif
