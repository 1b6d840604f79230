/* options.c - the command line's options: from a file, the environment and the
 * arguments, in this order of rising weight. Owns ad_given. The main thread.
 */
#ifndef AD_APP_OPTIONS_C
#define AD_APP_OPTIONS_C

#include "../base/log.c"

#ifndef AIDASH_NO_MAIN

enum { AD_EXIT_OK, AD_EXIT_FAILED, AD_EXIT_USAGE, AD_EXIT_BIND };

enum ad_option_kind { AD_OPT_TEXT, AD_OPT_LIST, AD_OPT_NUMBER, AD_OPT_FLAG };

static const struct ad_option {
    const char *name, *value, *help;
    enum ad_option_kind kind;
} ad_options_known[] = {
    {"listen", "[ADDR:]PORT", "serve here; may be repeated (default 8080, all "
     "interfaces; port 0: any free one)", AD_OPT_LIST},
    {"source", "sim|stdin|none", "where ticks come from (default sim)",
     AD_OPT_TEXT},
    {"stdin", "", "short for --source stdin: one JSON object a line",
     AD_OPT_FLAG},
    {"rate", "HZ", "ticks a second of the simulator, up to 10000 (default 5)",
     AD_OPT_NUMBER},
    {"seed", "N", "seed of the simulator (default 1)", AD_OPT_NUMBER},
    {"models", "A,B,C", "models to switch between (default for sim: "
     "llama3,mistral,qwen2.5; else learned)", AD_OPT_LIST},
    {"udp", "[ADDR:]PORT", "take ticks as UDP datagrams here", AD_OPT_TEXT},
    {"backlog", "N", "events a slow viewer may be behind (default 100)",
     AD_OPT_NUMBER},
    {"per-address", "N", "connections from one address at most (default 0: no "
     "limit)", AD_OPT_NUMBER},
    {"allow-origin", "ORIGIN", "let pages of this origin connect; * for any; "
     "may be repeated", AD_OPT_LIST},
    {"allow-host", "NAME", "answer to this name, too; *.NAME for all below it; "
     "may be repeated", AD_OPT_LIST},
    {"trust-proxy", "ADDR[/BITS]", "believe what this proxy says of its clients; "
     "may be repeated", AD_OPT_LIST},
#if AIDASH_METER
    {"upstream", "[NAME=]URL", "meter an engine: pass requests on to it; may be "
     "repeated, chosen by model", AD_OPT_LIST},
    {"upstream-key-file", "FILE", "its bearer token, for clients without one",
     AD_OPT_TEXT},
    {"upstream-timeout", "S", "longest silence inside an answer (default 600)",
     AD_OPT_NUMBER},
    {"max-inflight", "N", "requests at the engine at once (default 16)",
     AD_OPT_NUMBER},
    {"queue", "N", "requests in line at most (default 64)", AD_OPT_NUMBER},
    {"queue-timeout", "S", "longest wait in line (default 600)", AD_OPT_NUMBER},
    {"scrape", "URL", "read an engine's Prometheus page once a second instead",
     AD_OPT_TEXT},
#endif
    {"log-level", "LEVEL", "error, warn, info or debug (default info)",
     AD_OPT_TEXT},
    {"config", "FILE", "read options from lines `key = value`", AD_OPT_TEXT},
    {"sizes", "", "print the map of static memory and exit", AD_OPT_FLAG},
    {"version", "", "print the version and exit", AD_OPT_FLAG},
    {"help", "", "print this and exit", AD_OPT_FLAG},
};
enum {
    AD_OPTIONS = AD_COUNT(ad_options_known),
    AD_OPTION_CAP = 1024,
    AD_WHERE_CAP = 256
};

/* What each option was given, and how it was written there, for messages:
 * --rate, AIDASH_RATE, or FILE line 3: rate. */
static struct {
    bool set;
    char value[AD_OPTION_CAP], name[AD_WHERE_CAP];
} ad_given[AD_OPTIONS];

/* Edits (insert, delete, replace) between two words: Levenshtein's distance. */
static unsigned ad_distance(const char *a, const char *b)
{
    unsigned row[64];
    size_t i, j, n = strlen(b);

    if (n >= AD_COUNT(row)) {
        return UINT32_MAX;
    }
    for (j = 0; j <= n; j++) {
        row[j] = (unsigned)j;
    }
    for (i = 1; a[i - 1] != '\0'; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (j = 1; j <= n; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
        }
    }
    return row[n];
}

static int ad_option_find(const char *name)
{
    int i;

    for (i = 0; i < AD_OPTIONS; i++) {
        if (strcmp(ad_options_known[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

static const char *ad_option_nearest(const char *name)
{
    const char *best = ad_options_known[0].name;
    int i;

    for (i = 1; i < AD_OPTIONS; i++) {
        if (ad_distance(name, ad_options_known[i].name) <
            ad_distance(name, best)) {
            best = ad_options_known[i].name;
        }
    }
    return best;
}

/* One option; `written` is its name as its place writes it. The options of one
 * place override those of a lighter one as a whole, so a list begins anew with
 * each place: `fresh` is what this one has set. */
static bool ad_option_set(const char *written, const char *name,
                          const char *value, bool fresh[AD_OPTIONS])
{
    int i = ad_option_find(name);
    size_t used;

    if (i < 0) {
        (void)fprintf(stderr,
                      "aidash: unknown option %s; the nearest is --%s (--help "
                      "lists all)\n",
                      written, ad_option_nearest(name));
        return false;
    }
    if (!fresh[i] || ad_options_known[i].kind != AD_OPT_LIST) {
        ad_given[i].value[0] = '\0';
        fresh[i] = true;
    }
    (void)snprintf(ad_given[i].name, AD_WHERE_CAP, "%s", written);
    used = strlen(ad_given[i].value);
    if (used + strlen(value) + 2 > AD_OPTION_CAP) {
        (void)fprintf(stderr, "aidash: %s: longer than %d characters\n",
                      written, AD_OPTION_CAP - 2);
        return false;
    }
    (void)snprintf(ad_given[i].value + used, AD_OPTION_CAP - used, "%s%s",
                   used > 0 ? "," : "", value);
    ad_given[i].set = true;
    return true;
}

/* The text between blanks, in place. */
static char *ad_trim(char *s)
{
    size_t n;

    s += strspn(s, " \t\r\n");
    n = strlen(s);
    while (n > 0 && strchr(" \t\r\n", s[n - 1]) != NULL) {
        s[--n] = '\0';
    }
    return s;
}

static bool ad_options_file(const char *path)
{
    bool fresh[AD_OPTIONS] = {false};
    char line[AD_OPTION_CAP + 64], where[AD_WHERE_CAP];
    FILE *f = fopen(path, "r");
    unsigned n = 0;
    bool ok = true;

    if (f == NULL) {
        (void)fprintf(stderr, "aidash: --config: can't read %s: %s\n", path,
                      strerror(errno));
        return false;
    }
    while (ok && fgets(line, (int)sizeof(line), f) != NULL) {
        char *key = ad_trim(line), *equals = strchr(key, '=');

        n++;
        if (key[0] == '#' || key[0] == '\0') {
            continue;
        }
        if (equals == NULL) {
            (void)fprintf(stderr, "aidash: %s line %u: expected `key = value`\n",
                          path, n);
            ok = false;
            continue;
        }
        *equals = '\0';
        key = ad_trim(key);
        (void)snprintf(where, sizeof(where), "%s line %u: %s", path, n, key);
        if (strcmp(key, "config") == 0) {
            (void)fprintf(stderr,
                          "aidash: %s: a config file can't name another\n",
                          where);
            ok = false;
        } else {
            ok = ad_option_set(where, key, ad_trim(equals + 1), fresh);
        }
    }
    (void)fclose(f);
    return ok;
}

/* AIDASH_LISTEN for --listen, AIDASH_ALLOW_ORIGIN for --allow-origin, ... */
static bool ad_options_env(void)
{
    bool fresh[AD_OPTIONS] = {false};
    int i;

    for (i = 0; i < AD_OPTIONS; i++) {
        const char *name = ad_options_known[i].name, *value;
        char key[64];
        size_t n = (size_t)snprintf(key, sizeof(key), "AIDASH_%s", name);

        while (n-- > 0) {
            key[n] = (char)(key[n] == '-'                    ? '_'
                            : key[n] >= 'a' && key[n] <= 'z' ? key[n] - 32
                                                             : key[n]);
        }
        value = getenv(key);
        if (value != NULL && value[0] != '\0' &&
            !ad_option_set(key, name, value, fresh)) {
            return false;
        }
    }
    return true;
}

static bool ad_options_args(int argc, char **argv)
{
    bool fresh[AD_OPTIONS] = {false};
    int i, k;

    for (i = 1; i < argc; i++) {
        char written[64], *name = written + 2;
        const char *value = strchr(argv[i], '=');
        size_t len = value != NULL ? (size_t)(value - argv[i]) : strlen(argv[i]);

        if (strncmp(argv[i], "--", 2) != 0 || len >= sizeof(written)) {
            (void)fprintf(stderr,
                          "aidash: '%s' is not an option; options begin with "
                          "-- (--help lists all)\n",
                          argv[i]);
            return false;
        }
        (void)snprintf(written, sizeof(written), "%.*s", (int)len, argv[i]);
        k = ad_option_find(name);
        if (k >= 0 && ad_options_known[k].kind == AD_OPT_FLAG) {
            if (value != NULL) {
                (void)fprintf(stderr, "aidash: %s takes no value\n", written);
                return false;
            }
            value = "yes";
        } else if (k >= 0 && value == NULL) {
            if (++i == argc) {
                (void)fprintf(stderr, "aidash: %s needs a value: %s\n", written,
                              ad_options_known[k].value);
                return false;
            }
            value = argv[i];
        } else if (value != NULL) {
            value++;
        }
        if (!ad_option_set(written, name, value != NULL ? value : "", fresh)) {
            return false;
        }
    }
    return true;
}

static const char *ad_option_value(const char *name)
{
    int i = ad_option_find(name);

    return ad_given[i].set ? ad_given[i].value : NULL;
}

static bool ad_option_flag(const char *name)
{
    const char *value = ad_option_value(name);

    return value != NULL && strcmp(value, "no") != 0 &&
           strcmp(value, "0") != 0 && strcmp(value, "false") != 0;
}

/* The option's name as it was written. */
static const char *ad_option_written(const char *name)
{
    return ad_given[ad_option_find(name)].name;
}

/* A number in [low, high] into *out, if it was given. */
static bool ad_option_number(const char *name, double low, double high,
                             bool whole, double *out)
{
    const char *text = ad_option_value(name);
    char *end;

    if (text == NULL) {
        return true;
    }
    *out = strtod(text, &end);
    if (end == text || *end != '\0' || !(*out >= low && *out <= high) ||
        (whole && strspn(text, "0123456789") != strlen(text))) {
        (void)fprintf(stderr, "aidash: %s: '%s' is not a %snumber from %g to "
                              "%.17g\n",
                      ad_option_written(name), text, whole ? "whole " : "", low,
                      high);
        return false;
    }
    return true;
}

static bool ad_option_level(enum aidash_log_level *level)
{
    const char *text = ad_option_value("log-level");
    unsigned i, best = AIDASH_LOG_ERROR;

    for (i = AIDASH_LOG_ERROR; text != NULL && i <= AIDASH_LOG_DEBUG; i++) {
        if (strcmp(ad_log_names[i], text) == 0) {
            *level = (enum aidash_log_level)i;
            return true;
        }
        if (ad_distance(text, ad_log_names[i]) <
            ad_distance(text, ad_log_names[best])) {
            best = i;
        }
    }
    if (text != NULL) {
        (void)fprintf(stderr, "aidash: %s: '%s' must be error, warn, info or "
                              "debug; the nearest is %s\n",
                      ad_option_written("log-level"), text, ad_log_names[best]);
    }
    return text == NULL;
}

static bool ad_option_source(const char **source)
{
    static const char *const known[] = {"sim", "stdin", "none"};
    const char *text = ad_option_value("source");
    size_t i, best = 0;

    *source = text != NULL ? text : "sim";
#if AIDASH_METER
    if (text == NULL && (ad_option_value("upstream") != NULL ||
                         ad_option_value("scrape") != NULL)) {
        *source = "none";
    }
#endif
    if (ad_option_flag("stdin")) {
        if (text != NULL && strcmp(text, "stdin") != 0) {
            (void)fprintf(stderr,
                          "aidash: %s: it contradicts %s %s\n",
                          ad_option_written("stdin"),
                          ad_option_written("source"), text);
            return false;
        }
        *source = "stdin";
    }
    for (i = 0; i < AD_COUNT(known); i++) {
        if (strcmp(known[i], *source) == 0) {
            return true;
        }
        if (ad_distance(*source, known[i]) < ad_distance(*source, known[best])) {
            best = i;
        }
    }
    (void)fprintf(stderr, "aidash: %s: '%s' must be sim, stdin or none; the "
                          "nearest is %s\n",
                  ad_option_written("source"), *source, known[best]);
    return false;
}

static void ad_print_help(void)
{
    int i;

    printf("aidash " AIDASH_VERSION
           " - shows on the LAN, live, what an AI engine does\n\n"
           "usage: aidash [options]\n"
#if AIDASH_METER
           "       aidash doctor [options]    look for engines, ports and "
           "addresses, and say what\n"
           "                                  to type next\n"
#endif
           "\n");
    for (i = 0; i < AD_OPTIONS; i++) {
        char left[48];

        (void)snprintf(left, sizeof(left), "--%s %s", ad_options_known[i].name,
                       ad_options_known[i].value);
        printf("  %-26s %s\n", left, ad_options_known[i].help);
    }
    printf("\nEach option also comes from the environment (AIDASH_LISTEN, "
           "AIDASH_ALLOW_ORIGIN,\n...) and from the config file; the command "
           "line wins, then the environment.\n\n"
           "exit codes: 0 stopped by a signal, 1 failed while running, 2 wrong "
           "option,\n            3 an address can't be bound; of the doctor: "
           "0 an engine is there, 1 none\n");
}

#endif /* AIDASH_NO_MAIN */

#endif
