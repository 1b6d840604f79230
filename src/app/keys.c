/* keys.c - the command line's keys: `aidash keys` lists, adds, renames and revokes
 * them, `aidash token` makes one for a while, or signs a JSON Web Token. The main
 * thread; it owns nothing: the keys are guard/keys.c's, which a running server reads
 * anew when they change.
 */
#ifndef AD_APP_KEYS_C
#define AD_APP_KEYS_C

#include "../guard/jwt_files.c"
#include "../guard/keys.c"
#include "option_values.c"

#ifndef AIDASH_NO_MAIN

#define AD_TTL_MAX_S (10 * 366 * 86400ll)

/* ---- arguments of the commands ---- */

/* What `aidash keys`, `token` and `pair` take beside the options of the server. */
struct ad_keys_args {
    const char *rights, *ttl, *name; /* NULL: not given */
    bool help, qr;
    const char *word[3]; /* what is no option */
    unsigned n_words;
    struct ad_options options; /* of the server: --state-dir, --config */
};

/* Does argv[*i] give the option `name`, as --NAME=VALUE or --NAME VALUE? Then *value
 * is its value, and *i its last argument. */
static bool ad_keys_option(const char *name, int *i, int argc, char **argv,
                           const char **value)
{
    size_t len = strlen(name);

    if (strncmp(argv[*i], name, len) != 0) {
        return false;
    }
    if (argv[*i][len] == '=') {
        *value = argv[*i] + len + 1;
        return true;
    }
    if (argv[*i][len] != '\0' || *i + 1 >= argc) {
        return false;
    }
    *value = argv[++*i];
    return true;
}

/* The arguments of the command argv[0] into *a. False if one is wrong, which was
 * printed. */
static bool ad_keys_arguments(struct ad_keys_args *a, int argc, char **argv)
{
    char *rest[16]; /* the options of the server */
    int i, n = 1;

    memset(a, 0, sizeof(*a));
    rest[0] = argv[0];
    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            a->help = true;
        } else if (strcmp(argv[i], "--qr") == 0) {
            a->qr = true;
        } else if (ad_keys_option("--rights", &i, argc, argv, &a->rights) ||
                   ad_keys_option("--scope", &i, argc, argv, &a->rights) ||
                   ad_keys_option("--ttl", &i, argc, argv, &a->ttl) ||
                   ad_keys_option("--name", &i, argc, argv, &a->name)) {
            continue;
        } else if (argv[i][0] != '-') {
            if (a->n_words == AD_COUNT(a->word)) {
                (void)fprintf(stderr, "aidash %s: '%s' is one argument too many\n",
                              argv[0], argv[i]);
                return false;
            }
            a->word[a->n_words++] = argv[i];
        } else if (n + 2 > (int)AD_COUNT(rest)) {
            (void)fprintf(stderr, "aidash %s: there are too many options\n", argv[0]);
            return false;
        } else {
            rest[n++] = argv[i];
            if (strchr(argv[i], '=') == NULL && i + 1 < argc) {
                rest[n++] = argv[++i];
            }
        }
    }
    return ad_options_read(&a->options, n, rest);
}

/* "30d" into seconds: a whole number and s, m, h or d. False, which was printed, if it
 * is none, or longer than AD_TTL_MAX_S. */
static bool ad_keys_ttl(const char *command, const char *text, int64_t *seconds)
{
    static const struct {
        char unit;
        uint32_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    size_t len = strlen(text), i;
    uint64_t value;

    for (i = 0; i < AD_COUNT(units) && len > 0; i++) {
        if (text[len - 1] == units[i].unit &&
            ad_decimal_u64(text, len - 1, AD_TTL_MAX_S / units[i].seconds, &value) &&
            value > 0) {
            *seconds = (int64_t)(value * units[i].seconds);
            return true;
        }
    }
    (void)fprintf(stderr,
                  "aidash %s: --ttl '%s' is not a time such as 90s, 15m, 12h or 30d, "
                  "up to 3660d\n",
                  command, text);
    return false;
}

/* The rights of --rights or --scope, between commas or blanks. */
static bool ad_keys_rights(const char *command, const char *text, unsigned *rights)
{
    char list[AD_RIGHTS_TEXT_MAX * 2 + 1];
    size_t i, len = strlen(text);

    if (len < sizeof(list)) {
        for (i = 0; i < len; i++) {
            list[i] = text[i] == ' ' ? ',' : text[i];
        }
        if (ad_rights_parse(list, len, rights)) {
            return true;
        }
    }
    (void)fprintf(stderr,
                  "aidash %s: '%s' are no rights; they are some of "
                  "view,control,ingest,infer\n",
                  command, text);
    return false;
}

static bool ad_keys_name(const char *command, const char *text)
{
    if (ad_name_ok(text, strlen(text), AD_GRANT_NAME_MAX)) {
        return true;
    }
    (void)fprintf(stderr,
                  "aidash %s: a name is 1 to %d bytes of UTF-8 without control "
                  "characters\n",
                  command, AD_GRANT_NAME_MAX);
    return false;
}

/* Begin to work in the state directory. False, which was printed, if there is none. */
static bool ad_keys_open(const char *command, const struct ad_keys_args *a)
{
    const char *dir = ad_option_value(&a->options, "state-dir");

    ad_keys_init();
    if (dir == NULL || !ad_state_set(dir)) {
        (void)fprintf(stderr, "aidash %s: %s\n", command,
                      dir == NULL ? "there is no state directory, as HOME is not "
                                    "set: --state-dir"
                                  : "the path of the state directory is too long");
        return false;
    }
    return true;
}

static int ad_keys_failed(const char *command, const char *why)
{
    (void)fprintf(stderr, "aidash %s: %s\n", command, why);
    return AD_EXIT_FAILED;
}

/* ---- aidash keys ---- */

static void ad_keys_help(void)
{
    printf("usage: aidash keys [options]\n"
           "       aidash keys add NAME --rights RIGHTS [--ttl TIME] [options]\n"
           "       aidash keys rename NUMBER NAME [options]\n"
           "       aidash keys revoke NUMBER [options]\n\n"
           "The keys of devices and programs: list them, add one (it is printed this "
           "once), give\none another name, revoke one. A running aidash notices "
           "within a second or two, and\ncloses what a revoked key has open.\n\n"
           "  --rights LIST    some of view,control,ingest,infer\n"
           "  --ttl TIME       how long it is valid: 90s, 15m, 12h, 30d (default: until "
           "it is revoked)\n"
           "  --state-dir DIR  the state directory of the server, if it is another "
           "one\n"
           "  --config FILE    the config file of the server, which may name it\n"
           "  --help           print this help and exit (-h)\n\n"
           "exit codes: 0 done, 1 failed, 2 wrong option\n");
}

/* A date for the list; "-" for 0. */
static const char *ad_keys_shown_date(int64_t time_s, char out[AD_DATE_LEN + 2])
{
    struct ad_text t = ad_text_in(out, AD_DATE_LEN + 1);

    out[0] = '-';
    out[1] = '\0';
    if (time_s != 0) {
        ad_put_date(&t, time_s);
        out[t.len] = '\0';
    }
    return out;
}

static int ad_keys_list(void)
{
    char why[AD_STATE_WHY_MAX], created[AD_DATE_LEN + 2], expires[AD_DATE_LEN + 2];
    int64_t now_s = ad_keys_now_s();
    unsigned i;

    if (!ad_keys_read(&ad_keys.work, why)) {
        return ad_keys_failed("keys", why);
    }
    if (ad_keys.work.table.n == 0) {
        printf("there are no keys in %s\n", ad_state.dir);
        return AD_EXIT_OK;
    }
    printf("%6s  %-*s  %-*s  %-*s  %s\n", "number", AD_RIGHTS_TEXT_MAX, "rights",
           AD_DATE_LEN, "created", AD_DATE_LEN, "expires", "name");
    for (i = 0; i < ad_keys.work.table.n; i++) {
        const struct ad_key *key = &ad_keys.work.table.list[i];
        char rights[AD_RIGHTS_TEXT_MAX + 1];
        struct ad_text t = ad_text_in(rights, AD_RIGHTS_TEXT_MAX);

        ad_put_rights(&t, key->rights);
        rights[t.len] = '\0';
        printf("%6u  %-*s  %-*s  %-*s  %s%s\n", key->number, AD_RIGHTS_TEXT_MAX,
               rights, AD_DATE_LEN, ad_keys_shown_date(key->created_s, created),
               AD_DATE_LEN, ad_keys_shown_date(key->expires_s, expires), key->name,
               ad_key_expired(key, now_s) ? " (expired)" : "");
    }
    return AD_EXIT_OK;
}

/* Add a key and print it. ttl_s 0: it does not expire. */
static int ad_keys_print_new(const char *command, const char *name, unsigned rights,
                             int64_t ttl_s)
{
    char secret[AD_KEY_LEN + 1], why[AD_STATE_WHY_MAX];
    const struct ad_key_order order = {
        name, rights, ttl_s > 0 ? ad_keys_now_s() + ttl_s : 0, 0};
    struct ad_grant grant;

    if (!ad_keys_add(&ad_keys.work, &order, true, secret, &grant, why)) {
        return ad_keys_failed(command, why);
    }
    /* The key alone goes to standard output: KEY=$(aidash keys add ...). */
    (void)fprintf(stderr, "key %u of %s; it is shown this once:\n", grant.key,
                  grant.name);
    printf("%s\n", secret);
    return AD_EXIT_OK;
}

/* `keys rename` and `keys revoke`. */
static int ad_keys_alter(const struct ad_keys_args *a, bool revokes)
{
    char why[AD_STATE_WHY_MAX];
    uint32_t number;

    if (a->n_words != (revokes ? 2u : 3u) ||
        !ad_keys_number(ad_slice_of(a->word[1]), &number)) {
        (void)fprintf(stderr, "usage: aidash keys %s\n",
                      revokes ? "revoke NUMBER" : "rename NUMBER NAME");
        return AD_EXIT_USAGE;
    }
    if (!revokes && !ad_keys_name("keys", a->word[2])) {
        return AD_EXIT_USAGE;
    }
    if (!ad_keys_change(&ad_keys.work, number, revokes ? NULL : a->word[2], true, why)) {
        return ad_keys_failed("keys", why);
    }
    return AD_EXIT_OK;
}

static int ad_keys_main(int argc, char **argv)
{
    struct ad_keys_args a;
    unsigned rights;
    int64_t ttl_s = 0;

    if (!ad_keys_arguments(&a, argc, argv)) {
        return AD_EXIT_USAGE;
    }
    if (a.help) {
        ad_keys_help();
        return AD_EXIT_OK;
    }
    if (!ad_keys_open("keys", &a)) {
        return AD_EXIT_USAGE;
    }
    if (a.n_words == 0 || (a.n_words == 1 && strcmp(a.word[0], "list") == 0)) {
        return ad_keys_list();
    }
    if (strcmp(a.word[0], "rename") == 0 || strcmp(a.word[0], "revoke") == 0) {
        return ad_keys_alter(&a, strcmp(a.word[0], "revoke") == 0);
    }
    if (strcmp(a.word[0], "add") != 0 || a.n_words != 2 || a.rights == NULL) {
        (void)fprintf(stderr,
                      "usage: aidash keys [list | add NAME --rights RIGHTS | rename "
                      "NUMBER NAME | revoke NUMBER] (--help)\n");
        return AD_EXIT_USAGE;
    }
    if (!ad_keys_name("keys", a.word[1]) ||
        !ad_keys_rights("keys", a.rights, &rights) ||
        (a.ttl != NULL && !ad_keys_ttl("keys", a.ttl, &ttl_s))) {
        return AD_EXIT_USAGE;
    }
    return ad_keys_print_new("keys", a.word[1], rights, ttl_s);
}

/* ---- aidash token ---- */

static void ad_token_help(void)
{
    printf("usage: aidash token --scope RIGHTS [--ttl TIME] [--name NAME] [options]\n\n"
           "Print a key that is valid for a while, for a script or a link "
           "(?token=KEY). `aidash keys`\nlists it, and `aidash keys revoke` ends it "
           "early.\n\n"
           "  --scope LIST     some of view,control,ingest,infer (--rights is the "
           "same)\n"
           "  --ttl TIME       how long it is valid: 90s, 15m, 12h, 30d (default 1h)\n"
           "  --name NAME      its name in lists (default token)\n"
#if AIDASH_TLS
           "  --jwt-secret-file FILE, --jwt-audience NAME, --jwt-issuer NAME\n"
           "                   as those of the server: sign a JSON Web Token (HS256) "
           "instead, which\n                   no file keeps and nobody can end "
           "early\n"
#endif
           "  --state-dir DIR  the state directory of the server, if it is another "
           "one\n"
           "  --config FILE    the config file of the server, which may name it\n"
           "  --help           print this help and exit (-h)\n\n"
           "exit codes: 0 done, 1 failed, 2 wrong option\n");
}

#if AIDASH_TLS

/* Print a JSON Web Token that is signed with the secret in this file. */
static int ad_token_sign(const struct ad_keys_args *a, const char *file,
                         unsigned rights, int64_t ttl_s)
{
    struct ad_jwt_claims claims = {
        .subject = a->name,
        .issuer = ad_option_value(&a->options, "jwt-issuer"),
        .audience = ad_option_value(&a->options, "jwt-audience"),
        .rights = rights,
        .issued_s = (int64_t)time(NULL)};
    char token[AIDASH_TOKEN_MAX + 1];
    struct ad_text t = ad_text_in(token, sizeof(token));
    struct ad_jwt_secret secret;
    const char *fault = ad_jwt_secret_read(file, &secret);
    bool done;

    if (fault != NULL) {
        (void)fprintf(stderr, "aidash token: --jwt-secret-file: %s: %s\n", file, fault);
        return AD_EXIT_USAGE;
    }
    if (!ad_jwt_name_ok(claims.issuer) || !ad_jwt_name_ok(claims.audience)) {
        (void)fprintf(stderr,
                      "aidash token: --jwt-issuer and --jwt-audience have 1 to %d "
                      "bytes\n",
                      AD_JWT_NAME_MAX);
        return AD_EXIT_USAGE;
    }
    claims.expires_s = claims.issued_s + ttl_s;
    done = ad_jwt_mint(&secret, &claims, &t);
    mbedtls_platform_zeroize(&secret, sizeof(secret));
    if (!done) {
        return ad_keys_failed("token", "the token would be too long");
    }
    printf("%.*s\n", (int)t.len, token);
    return AD_EXIT_OK;
}

#endif

static int ad_token_main(int argc, char **argv)
{
    struct ad_keys_args a;
    unsigned rights;
    int64_t ttl_s;

    if (!ad_keys_arguments(&a, argc, argv)) {
        return AD_EXIT_USAGE;
    }
    if (a.help) {
        ad_token_help();
        return AD_EXIT_OK;
    }
    if (a.rights == NULL || a.n_words > 0) {
        (void)fprintf(stderr, "usage: aidash token --scope RIGHTS [--ttl TIME] "
                              "[--name NAME] (--help)\n");
        return AD_EXIT_USAGE;
    }
    a.name = a.name != NULL ? a.name : "token";
    if (!ad_keys_rights("token", a.rights, &rights) ||
        !ad_keys_ttl("token", a.ttl != NULL ? a.ttl : "1h", &ttl_s) ||
        !ad_keys_name("token", a.name)) {
        return AD_EXIT_USAGE;
    }
#if AIDASH_TLS
    if (ad_option_value(&a.options, "jwt-secret-file") != NULL) {
        return ad_token_sign(&a, ad_option_value(&a.options, "jwt-secret-file"), rights,
                             ttl_s);
    }
#endif
    if (!ad_keys_open("token", &a)) {
        return AD_EXIT_USAGE;
    }
    return ad_keys_print_new("token", a.name, rights, ttl_s);
}

#endif /* AIDASH_NO_MAIN */

#endif
