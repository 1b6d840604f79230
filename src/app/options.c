/* options.c - the command line's options: from the config file, the environment and
 * the arguments; a later one overrides an earlier one. Owns ad_addon, the options of
 * the program that called aidash_main(); what was given is in the caller's struct
 * ad_options. The main thread.
 */
#ifndef AD_APP_OPTIONS_C
#define AD_APP_OPTIONS_C

#include "../base/log.c"
#include "../base/decimal.c"

#ifndef AIDASH_NO_MAIN

enum { AD_EXIT_OK, AD_EXIT_FAILED, AD_EXIT_USAGE, AD_EXIT_BIND };

enum ad_option_kind {
    AD_OPT_TEXT,
    AD_OPT_LIST,
    AD_OPT_NUMBER,
    AD_OPT_FLAG,
    AD_OPT_PRINT /* prints and exits: an argument only */
};

static const struct ad_option {
    const char *name, *value, *help;
    enum ad_option_kind kind;
} ad_options_known[] = {
    {"listen", "[ADDR:]PORT", "listen here; may be repeated (default 8080 on all "
     "interfaces; port 0: any free port); --port is the same", AD_OPT_LIST},
    {"source", "sim|stdin|none", "where ticks come from (default sim)",
     AD_OPT_TEXT},
    {"stdin", "", "short for --source stdin: one JSON object per line",
     AD_OPT_FLAG},
    {"rate", "HZ", "ticks per second of the simulator, up to 10000 (default 5)",
     AD_OPT_NUMBER},
    {"seed", "N", "seed of the simulator (default 1)", AD_OPT_NUMBER},
    {"models", "A,B,C", "models that viewers can switch to (default with sim: "
     "llama3,mistral,qwen2.5; else learned from ticks)", AD_OPT_LIST},
    {"title", "TEXT", "title of the dashboard (default aidash)", AD_OPT_TEXT},
    {"udp", "[ADDR:]PORT", "receive ticks as UDP datagrams here", AD_OPT_TEXT},
    {"backlog", "N", "events that a slow viewer may be behind (default 100)",
     AD_OPT_NUMBER},
    {"per-address", "N", "most connections from one address (default 0: no "
     "limit)", AD_OPT_NUMBER},
    {"allow-origin", "ORIGIN", "let web pages of this origin connect; * for any; "
     "may be repeated", AD_OPT_LIST},
    {"allow-frame", "ORIGIN", "let web pages of this origin show the dashboard in a "
     "frame; * for any; may be repeated", AD_OPT_LIST},
    {"allow-host", "NAME", "answer to this name, too; *.NAME for all below it; "
     "may be repeated", AD_OPT_LIST},
    {"trust-proxy", "ADDR[/BITS]", "believe what this proxy says of its clients; "
     "may be repeated", AD_OPT_LIST},
#if AIDASH_TLS
    {"jwt-secret-file", "FILE", "accept JSON Web Tokens that are signed with the "
     "secret in this file (HS256)", AD_OPT_TEXT},
    {"jwt-key-file", "FILE", "accept JSON Web Tokens that a key in this file "
     "signs: PEM or JWKS (RS256, ES256)", AD_OPT_TEXT},
    {"jwt-audience", "NAME", "tokens must be for this audience (aud)",
     AD_OPT_TEXT},
    {"jwt-issuer", "NAME", "tokens must be of this issuer (iss)", AD_OPT_TEXT},
#endif
    {"view", "WHO", "who may watch: open (everybody), remote-key (this machine; "
     "others with a key), key (this machine, too, only with one) or local (this "
     "machine alone) (default open)", AD_OPT_TEXT},
    {"control", "WHO", "who may send commands, likewise (default remote-key; open "
     "with the simulator)", AD_OPT_TEXT},
    {"ingest", "WHO", "who may send ticks, likewise (default remote-key; open with "
     "the simulator)", AD_OPT_TEXT},
#if AIDASH_METER
    {"infer", "WHO", "who may send requests to the engine, likewise (default open; "
     "remote-key with --upstream-key-file)", AD_OPT_TEXT},
    {"upstream", "[NAME=]URL", "forward requests to this engine and measure them; "
     "may be repeated: the request's model chooses", AD_OPT_LIST},
    {"upstream-key-file", "FILE", "file with the engine's bearer token, for "
     "clients that send none", AD_OPT_TEXT},
    {"upstream-ca", "FILE", "certificates of the authorities that vouch for https "
     "engines, instead of the system's", AD_OPT_TEXT},
    {"upstream-pin", "PIN", "accept an engine with this key, sha256/BASE64, whatever its "
     "certificate says; may be repeated", AD_OPT_LIST},
    {"upstream-timeout", "S", "longest silence within an answer, in seconds "
     "(default 600); 12 times that before it", AD_OPT_NUMBER},
    {"max-inflight", "N", "most requests at the engine at once (default 16)",
     AD_OPT_NUMBER},
    {"queue", "N", "most requests in the queue (default 64)", AD_OPT_NUMBER},
    {"queue-timeout", "S", "longest wait in the queue, in seconds (default 600)",
     AD_OPT_NUMBER},
    {"quota", "CLIENT=TOKENS", "most tokens a day of an ADDR, ADDR/BITS, * "
     "(each address), key:NAME, key:FINGERPRINT or agent:NAME; may be repeated",
     AD_OPT_LIST},
    {"scrape", "URL", "instead, read an engine's Prometheus page once per second",
     AD_OPT_TEXT},
#endif
    {"state-dir", "DIR", "directory for what outlives a run, such as keys (default "
     "~/.local/state/aidash, or what systemd gives)", AD_OPT_TEXT},
#if AIDASH_TLS
    {"tls-cert", "FILE", "serve TLS, too: PEM file with the certificate and its "
     "chain; plain HTTP is redirected, except from this machine", AD_OPT_TEXT},
    {"tls-key", "FILE", "PEM file with the key of --tls-cert", AD_OPT_TEXT},
    {"hsts", "S", "tell browsers to use nothing but TLS for so many seconds "
     "(default 0: not)", AD_OPT_NUMBER},
#endif
#if AIDASH_HISTORY
    {"history-file", "FILE", "keep history over a reboot in this file of a fixed "
     "size; one write in 5 minutes (default: none)", AD_OPT_TEXT},
#endif
    {"no-board", "", "do not read the board's sensors", AD_OPT_FLAG},
#if AIDASH_BOARD
    {"sysroot", "DIR", "read the sensors of another board: DIR has a copy of its "
     "/proc and /sys", AD_OPT_TEXT},
#endif
#if AIDASH_METER && AIDASH_ENERGY
    {"price-kwh", "N", "what a kilowatt-hour costs, for the cost of what was "
     "measured (default 0: not told)", AD_OPT_NUMBER},
#endif
#if AIDASH_ALERTS
    {"alert", "RULE", "raise an alert, as \"latency_p95_ms > 200 for 30s\"; may be "
     "repeated", AD_OPT_LIST},
#if AIDASH_METER
    {"alert-url", "URL", "POST each alert to this webhook", AD_OPT_TEXT},
    {"alert-format", "FORMAT", "in this form: json, ntfy or text (default json)",
     AD_OPT_TEXT},
    {"alert-key-file", "FILE", "file with the webhook's bearer token", AD_OPT_TEXT},
#endif
#endif
#if AIDASH_METER && AIDASH_OTLP
    {"otlp", "URL", "send metrics, and a span for each request, to this OpenTelemetry "
     "collector (OTLP/HTTP)", AD_OPT_TEXT},
#endif
#if AD_FLEET && AIDASH_METER
    {"forward", "URL", "send this board's events to this gateway, another aidash, and "
     "take its viewers' commands", AD_OPT_TEXT},
    {"as-node", "NAME", "this board's name there (default: this machine's)",
     AD_OPT_TEXT},
    {"forward-key-file", "FILE", "file with a bearer token for the gateway, with the "
     "right ingest", AD_OPT_TEXT},
    {"peer", "[NAME=]URL", "be the gateway: read the events of this board, another "
     "aidash, or with mdns of those that the LAN announces; may be repeated", AD_OPT_LIST},
    {"peer-key-file", "FILE", "file with a bearer token for the boards that are named, with "
     "the rights view and control", AD_OPT_TEXT},
#endif
    {"log-level", "LEVEL", "error, warn, info or debug (default info)",
     AD_OPT_TEXT},
    {"config", "FILE", "read options from this file, lines of `key = value`",
     AD_OPT_TEXT},
    {"sizes", "", "print the map of static memory and exit", AD_OPT_PRINT},
    {"version", "", "print the version and exit (-v)", AD_OPT_PRINT},
    {"help", "", "print this help and exit (-h)", AD_OPT_PRINT},
};
enum {
    AD_OPTIONS_OWN = AD_COUNT(ad_options_known),
    AD_OPTIONS = AD_OPTIONS_OWN + AIDASH_ADDON_OPTIONS,
    AD_OPTION_CAP = 1024, /* bytes of a value with its NUL; of a list, in total */
    AD_WRITTEN_CAP = 256
};
#define AD_STATE_SYSTEM "/var/lib/aidash" /* of the service, see package/ */

/* What another program adds to the command line; all zeros in aidash itself. */
static struct {
    const struct aidash_addon *given;
    int n; /* of its options */
} ad_addon;

/* How many options there are, aidash's own first. */
static int ad_options_n(void)
{
    return AD_OPTIONS_OWN + ad_addon.n;
}

static struct ad_option ad_option_at(int i)
{
    const struct aidash_option *own;
    enum ad_option_kind kind = AD_OPT_TEXT;

    if (i < AD_OPTIONS_OWN) {
        return ad_options_known[i];
    }
    own = &ad_addon.given->options[i - AD_OPTIONS_OWN];
    if (own->value[0] == '\0') {
        kind = AD_OPT_FLAG;
    } else if (own->list) {
        kind = AD_OPT_LIST;
    }
    return (struct ad_option){own->name, own->value, own->help, kind};
}

/* Options that this build was made without, and of what part they are. */
static const struct {
    const char *name, *part;
} ad_options_absent[] = {
#if !AIDASH_TLS
    {"jwt-secret-file", "TLS (AIDASH_TLS)"},
    {"jwt-key-file", "TLS (AIDASH_TLS)"},
    {"jwt-audience", "TLS (AIDASH_TLS)"},
    {"jwt-issuer", "TLS (AIDASH_TLS)"},
    {"tls-cert", "TLS (AIDASH_TLS)"},
    {"tls-key", "TLS (AIDASH_TLS)"},
    {"hsts", "TLS (AIDASH_TLS)"},
#endif
#if !AIDASH_METER
    {"infer", "the meter (AIDASH_METER)"},
    {"upstream", "the meter (AIDASH_METER)"},
    {"upstream-key-file", "the meter (AIDASH_METER)"},
    {"upstream-ca", "the meter (AIDASH_METER)"},
    {"upstream-pin", "the meter (AIDASH_METER)"},
    {"upstream-timeout", "the meter (AIDASH_METER)"},
    {"max-inflight", "the meter (AIDASH_METER)"},
    {"queue", "the meter (AIDASH_METER)"},
    {"queue-timeout", "the meter (AIDASH_METER)"},
    {"quota", "the meter (AIDASH_METER)"},
    {"scrape", "the meter (AIDASH_METER)"},
    {"price-kwh", "the meter (AIDASH_METER)"},
    {"alert-url", "the meter (AIDASH_METER)"},
    {"alert-format", "the meter (AIDASH_METER)"},
    {"alert-key-file", "the meter (AIDASH_METER)"},
    {"otlp", "the meter (AIDASH_METER)"},
    {"forward", "the meter (AIDASH_METER)"},
    {"as-node", "the meter (AIDASH_METER)"},
    {"forward-key-file", "the meter (AIDASH_METER)"},
    {"peer", "the meter (AIDASH_METER)"},
    {"peer-key-file", "the meter (AIDASH_METER)"},
#elif !AD_FLEET
    {"forward", "other boards (AIDASH_NODES)"},
    {"as-node", "other boards (AIDASH_NODES)"},
    {"forward-key-file", "other boards (AIDASH_NODES)"},
    {"peer", "other boards (AIDASH_NODES)"},
    {"peer-key-file", "other boards (AIDASH_NODES)"},
#endif
#if !AIDASH_HISTORY
    {"history-file", "history (AIDASH_HISTORY)"},
#endif
#if !AIDASH_ALERTS
    {"alert", "alerts (AIDASH_ALERTS)"},
#endif
    {NULL, NULL}};

/* The part that an option is of, if this build was made without it, or NULL. */
static const char *ad_option_absent(const char *name)
{
    size_t i = 0;

    while (ad_options_absent[i].name != NULL &&
           strcmp(ad_options_absent[i].name, name) != 0) {
        i++;
    }
    return ad_options_absent[i].part;
}

/* The program's name, for messages. */
static const char *ad_program(void)
{
    return ad_addon.given != NULL ? ad_addon.given->program : "aidash";
}

/* What was given, and how the option was written there, for messages: --rate,
 * AIDASH_RATE, or FILE line 3: rate. All zeros: nothing was given. */
struct ad_options {
    struct {
        bool set;
        char value[AD_OPTION_CAP], written[AD_WRITTEN_CAP];
    } given[AD_OPTIONS];
};

/* Which options one place (the file, the environment, the arguments) has given.
 * A place replaces a list of an earlier place as a whole. */
struct ad_place {
    bool has[AD_OPTIONS];
};

static unsigned ad_least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Edits (insert, delete, replace, swap two neighbours) between two words: the
 * optimal string alignment distance (Damerau 1964). */
static unsigned ad_distance(const char *a, const char *b)
{
    unsigned rows[3][64];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    size_t i, j, n = strlen(b);

    if (n >= AD_COUNT(rows[0])) {
        return UINT32_MAX;
    }
    for (j = 0; j <= n; j++) {
        row[j] = (unsigned)j;
    }
    for (i = 1; a[i - 1] != '\0'; i++) {
        unsigned *oldest = before;

        before = last;
        last = row;
        row = oldest;
        row[0] = (unsigned)i;
        for (j = 1; j <= n; j++) {
            unsigned best = last[j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0);

            best = ad_least(best, last[j] + 1);
            best = ad_least(best, row[j - 1] + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                best = ad_least(best, before[j - 2] + 1);
            }
            row[j] = best;
        }
    }
    return row[n];
}

/* The word of a list that is written most like `text`. */
static const char *ad_nearest(const char *text, const char *const *words,
                              size_t n)
{
    const char *best = words[0];
    size_t i;

    for (i = 1; i < n; i++) {
        if (ad_distance(text, words[i]) < ad_distance(text, best)) {
            best = words[i];
        }
    }
    return best;
}

/* "; the nearest is WORD" into out[AD_HINT_CAP], or "" if `word` differs from `text`
 * in more than half of its letters: that would be no help. `before` goes in front
 * of the word. */
enum { AD_HINT_CAP = 96 };
static const char *ad_hint(const char *text, const char *before,
                           const char *word, char out[AD_HINT_CAP])
{
    out[0] = '\0';
    if (ad_distance(text, word) * 2 <= strlen(text)) {
        (void)snprintf(out, AD_HINT_CAP, "; the nearest is %s%s", before, word);
    }
    return out;
}

static const char *ad_option_nearest(const char *name)
{
    const char *names[AD_OPTIONS + 1];
    int i, n = ad_options_n();

    for (i = 0; i < n; i++) {
        names[i] = ad_option_at(i).name;
    }
    names[n] = "port"; /* the other name of listen */
    return ad_nearest(name, names, (size_t)n + 1);
}

/* The option's index, -1 if there is none of this name. */
static int ad_option_find(const char *name)
{
    int i;

    if (strcmp(name, "port") == 0) {
        name = "listen";
    }

    for (i = 0; i < ad_options_n(); i++) {
        if (strcmp(ad_option_at(i).name, name) == 0) {
            return i;
        }
    }
    return -1;
}

/* Take the options of the program that called aidash_main(). What is wrong with them
 * is a mistake in that program. False then; it was printed. */
static bool ad_addon_take(const struct aidash_addon *addon)
{
    const struct aidash_option *option;

    ad_addon.given = addon;
    for (option = addon->options; option != NULL && option->name != NULL; option++) {
        if (ad_addon.n == AIDASH_ADDON_OPTIONS || ad_option_find(option->name) >= 0) {
            (void)fprintf(stderr, "%s: %s\n", option->name,
                          ad_addon.n == AIDASH_ADDON_OPTIONS
                              ? "there are more options than AIDASH_ADDON_OPTIONS"
                              : "there is an option of this name already");
            return false;
        }
        ad_addon.n++;
    }
    return true;
}

/* Set one option; `written` is its name as this place writes it. Prints what is
 * wrong, and returns false. */
static bool ad_option_set(struct ad_options *o, struct ad_place *place,
                          const char *written, const char *name,
                          const char *value)
{
    int i = ad_option_find(name);
    char hint[AD_HINT_CAP], *given;
    size_t used;

    if (i < 0 && ad_option_absent(name) != NULL) {
        (void)fprintf(stderr, "aidash: %s: this aidash was built without %s\n", written,
                      ad_option_absent(name));
        return false;
    }
    if (i < 0) {
        (void)fprintf(stderr,
                      "aidash: unknown option %s%s (--help lists all)\n", written,
                      ad_hint(name, "--", ad_option_nearest(name), hint));
        return false;
    }
    given = o->given[i].value;
    if (!place->has[i] || ad_option_at(i).kind != AD_OPT_LIST) {
        given[0] = '\0';
        place->has[i] = true;
    }
    used = strlen(given);
    if (used + strlen(value) + 2 > AD_OPTION_CAP) {
        (void)fprintf(stderr, "aidash: %s: longer than %d characters\n",
                      written, AD_OPTION_CAP - 2);
        return false;
    }
    (void)snprintf(given + used, AD_OPTION_CAP - used, "%s%s",
                   used > 0 ? "," : "", value);
    (void)snprintf(o->given[i].written, AD_WRITTEN_CAP, "%s", written);
    o->given[i].set = true;
    return true;
}

/* Remove the blanks around a text, in place. */
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

/* The value on a line of the config file: without its quotes, and without a
 * comment, which begins with a # that is the first character or follows a blank.
 * NULL if a quote is not closed, or more than a comment follows it. */
static char *ad_options_line_value(char *s)
{
    char *end, *rest;

    s = ad_trim(s);
    if (s[0] == '"' || s[0] == '\'') {
        end = strchr(s + 1, s[0]);
        if (end == NULL) {
            return NULL;
        }
        *end = '\0';
        rest = ad_trim(end + 1);
        return rest[0] == '\0' || rest[0] == '#' ? s + 1 : NULL;
    }
    for (end = s; *end != '\0'; end++) {
        if (*end == '#' && (end == s || end[-1] == ' ' || end[-1] == '\t')) {
            *end = '\0';
            break;
        }
    }
    return ad_trim(s);
}

/* One line of the config file: `key = value`, a comment, or blank. */
static bool ad_options_line(struct ad_options *o, struct ad_place *place,
                            const char *path, unsigned number, char *line)
{
    char written[AD_WRITTEN_CAP], *key = ad_trim(line), *equals, *value;
    int i;

    if (key[0] == '#' || key[0] == '\0') {
        return true;
    }
    equals = strchr(key, '=');
    if (equals == NULL) {
        (void)fprintf(stderr, "aidash: %s line %u: expected `key = value`\n",
                      path, number);
        return false;
    }
    *equals = '\0';
    key = ad_trim(key);
    (void)snprintf(written, sizeof(written), "%s line %u: %s", path, number, key);
    if (strcmp(key, "config") == 0) {
        (void)fprintf(stderr,
                      "aidash: %s: a config file can't name another one\n",
                      written);
        return false;
    }
    i = ad_option_find(key);
    if (i >= 0 && ad_option_at(i).kind == AD_OPT_PRINT) {
        (void)fprintf(stderr, "aidash: %s: this is for the command line only\n",
                      written);
        return false;
    }
    value = ad_options_line_value(equals + 1);
    if (value == NULL) {
        (void)fprintf(stderr,
                      "aidash: %s: a value in quotes ends with the same quote, "
                      "and only a comment may follow it\n",
                      written);
        return false;
    }
    return ad_option_set(o, place, written, key, value);
}

/* Read a line without its newline into line[cap], with a NUL, as far as it fits.
 * Returns its whole length, or -1 when the file has ended. */
static long ad_options_read_line(FILE *f, char *line, size_t cap)
{
    size_t n = 0;
    int c;

    while ((c = getc(f)) != EOF && c != '\n') {
        if (n + 1 < cap) {
            line[n] = (char)c;
        }
        n++;
    }
    line[n < cap ? n : cap - 1] = '\0';
    return c == EOF && n == 0 ? -1 : (long)n;
}

/* May this line, of which `len` bytes were there, be taken as it was read? */
static bool ad_options_line_fits(const char *path, unsigned number,
                                 const char *line, size_t len, size_t cap)
{
    if (len < cap && strlen(line) < len) {
        (void)fprintf(stderr,
                      "aidash: %s line %u: it has a zero byte; the file must be "
                      "UTF-8\n",
                      path, number);
        return false;
    }
    if (len >= cap && line[strspn(line, " \t")] != '#') {
        (void)fprintf(stderr, "aidash: %s line %u: longer than %zu bytes\n",
                      path, number, cap - 1);
        return false;
    }
    return true;
}

static bool ad_options_file(struct ad_options *o, const char *path)
{
    static const char mark[] = "\xEF\xBB\xBF"; /* RFC 3629 6: begins UTF-8 */
    struct ad_place place = {{false}};
    char line[AD_OPTION_CAP + 64];
    FILE *f = fopen(path, "r");
    unsigned number = 0;
    bool ok = f != NULL;
    long len;

    while (ok && (len = ad_options_read_line(f, line, sizeof(line))) >= 0) {
        char *at = line;

        number++;
        if (number == 1 && strncmp(line, mark, strlen(mark)) == 0) {
            at += strlen(mark);
        }
        ok = ad_options_line_fits(path, number, line, (size_t)len,
                                  sizeof(line)) &&
             ad_options_line(o, &place, path, number, at);
    }
    if (f == NULL || ferror(f)) { /* a directory opens, but can't be read */
        (void)fprintf(stderr, "aidash: --config: can't read %s: %s\n", path,
                      strerror(errno));
        ok = false;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return ok;
}

/* The variable of an option: AIDASH_ALLOW_ORIGIN of allow-origin. */
static void ad_option_variable(const char *name, char *out, size_t cap)
{
    size_t i;

    (void)snprintf(out, cap, "AIDASH_%s", name);
    for (i = 0; out[i] != '\0'; i++) {
        if (out[i] == '-') {
            out[i] = '_';
        } else if (out[i] >= 'a' && out[i] <= 'z') {
            out[i] = (char)(out[i] - 'a' + 'A');
        }
    }
}

/* Say that a variable AIDASH_... is not an option's. */
static void ad_options_ignore(const char *variable)
{
    char notice[128];

    (void)snprintf(notice, sizeof(notice),
                   "%s is no option, and is ignored (--help lists all)",
                   variable);
    ad_log_put(AIDASH_LOG_INFO, notice); /* no level is chosen yet */
}

/* A variable AIDASH_... that is no option's. One that is written almost like one
 * is a mistake, the others are ignored. Returns false for a mistake. */
static bool ad_options_stray(const char *variable, const char *name)
{
    const char *nearest = ad_option_nearest(name);
    unsigned distance = ad_distance(name, nearest);
    char right[64];

    if (distance <= 2 && distance * 2 < strlen(name)) {
        ad_option_variable(nearest, right, sizeof(right));
        (void)fprintf(stderr,
                      "aidash: unknown variable %s; the nearest is %s (--help "
                      "lists all)\n",
                      variable, right);
        return false;
    }
    ad_options_ignore(variable);
    return true;
}

/* One variable, NAME=VALUE. */
static bool ad_options_variable(struct ad_options *o, struct ad_place *place,
                                const char *entry)
{
    const char *value = strchr(entry, '=');
    char variable[64], name[64];
    size_t n;
    int i;

    if (strncmp(entry, "AIDASH_", 7) != 0 || value == NULL ||
        value[1] == '\0' || (size_t)(value - entry) >= sizeof(variable)) {
        return true;
    }
    (void)snprintf(variable, sizeof(variable), "%.*s", (int)(value - entry),
                   entry);
    value++;
    for (n = 7; variable[n] != '\0'; n++) {
        char c = variable[n];

        c = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        name[n - 7] = c == '_' ? '-' : c;
    }
    name[n - 7] = '\0';
    i = ad_option_find(name);
    if (i < 0) {
        return ad_options_stray(variable, name);
    }
    /* Kubernetes sets AIDASH_PORT=tcp://ADDR:PORT for a service of this name. */
    if (strcmp(name, "port") == 0 && strstr(value, "://") != NULL) {
        ad_options_ignore(variable);
        return true;
    }
    if (ad_option_at(i).kind == AD_OPT_PRINT) {
        return true; /* AIDASH_VERSION may be of who packs or deploys aidash */
    }
    return ad_option_set(o, place, variable, name, value);
}

static bool ad_options_env(struct ad_options *o)
{
    struct ad_place place = {{false}};
    char **entry;

    for (entry = environ; *entry != NULL; entry++) {
        if (!ad_options_variable(o, &place, *entry)) {
            return false;
        }
    }
    return true;
}

/* "; the command that is nearest is WORD" into out, or "" if none is near. */
static const char *ad_options_command(const char *text, char out[AD_HINT_CAP])
{
    static const char *const commands[] = {"keys", "pair", "token",
#if AD_TOP
                                           "top",
#endif
#if AIDASH_METER
                                           "bench", "doctor",
#if AIDASH_ALERTS
                                           "alert"
#endif
#endif
    };
    const char *nearest = ad_nearest(text, commands, AD_COUNT(commands));

    out[0] = '\0';
    if (ad_distance(text, nearest) <= 2) {
        (void)snprintf(out, AD_HINT_CAP, "; the command that is nearest is %s",
                       nearest);
    }
    return out;
}

/* The option argv[i], --NAME=VALUE or --NAME VALUE. Returns how many arguments it
 * takes, 0 if it is wrong. */
static int ad_options_arg(struct ad_options *o, struct ad_place *place, int i,
                          int argc, char **argv)
{
    char written[64];
    const char *name = written + 2, *value = strchr(argv[i], '=');
    size_t len = value != NULL ? (size_t)(value - argv[i]) : strlen(argv[i]);
    char hint[AD_HINT_CAP];
    int k, taken = 1;
    bool flag;

    if (strcmp(argv[i], "-h") == 0) {
        (void)snprintf(written, sizeof(written), "--help");
    } else if (strcmp(argv[i], "-v") == 0) {
        (void)snprintf(written, sizeof(written), "--version");
    } else if (strncmp(argv[i], "--", 2) == 0 && len < sizeof(written)) {
        (void)snprintf(written, sizeof(written), "%.*s", (int)len, argv[i]);
    } else {
        (void)fprintf(stderr,
                      "aidash: '%s' is not an option; options begin with --%s "
                      "(--help lists all)\n",
                      argv[i],
                      ad_options_command(argv[i], hint));
        return 0;
    }
    k = ad_option_find(name);
    flag = k >= 0 && (ad_option_at(k).kind == AD_OPT_FLAG ||
                      ad_option_at(k).kind == AD_OPT_PRINT);
    if (flag && value != NULL) {
        (void)fprintf(stderr, "aidash: %s takes no value\n", written);
        return 0;
    }
    if (flag) {
        value = "yes";
    } else if (value != NULL) {
        value++;
    } else if (k < 0) {
        value = ""; /* ad_option_set() says that it is unknown */
    } else if (i + 1 < argc) {
        value = argv[i + 1];
        taken = 2;
    } else {
        (void)fprintf(stderr, "aidash: %s needs a value: %s\n", written,
                      ad_option_at(k).value);
        return 0;
    }
    return ad_option_set(o, place, written, name, value) ? taken : 0;
}

static bool ad_options_args(struct ad_options *o, int argc, char **argv)
{
    struct ad_place place = {{false}};
    int i = 1;

    while (i < argc) {
        int taken = ad_options_arg(o, &place, i, argc, argv);

        if (taken == 0) {
            return false;
        }
        i += taken;
    }
    return true;
}

/* The config file that the arguments or the environment name, NULL if none. It is
 * needed before the other options can be read in their order. */
static const char *ad_config_file(int argc, char **argv)
{
    const char *file = getenv("AIDASH_CONFIG");
    int i;

    for (i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--config=", 9) == 0) {
            file = argv[i] + 9;
        } else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) {
            file = argv[i + 1];
        }
    }
    return file != NULL && file[0] != '\0' ? file : NULL;
}

/* The state directory that nobody named: what systemd gives (STATE_DIRECTORY, of
 * several the first); for root the service's, if it is there; else the user's (XDG
 * Base Directory Specification). None for a user without a home. */
static void ad_options_state_dir(struct ad_options *o)
{
    int i = ad_option_find("state-dir");
    char *value = o->given[i].value;
    const char *base, *below = "";
    struct stat info;
    size_t len;

    if (o->given[i].set) {
        return;
    }
    base = getenv("STATE_DIRECTORY");
    if (base == NULL || base[0] != '/') {
        base = geteuid() == 0 && stat(AD_STATE_SYSTEM, &info) == 0 ? AD_STATE_SYSTEM
                                                                   : NULL;
    }
    if (base == NULL) {
        base = getenv("XDG_STATE_HOME");
        below = "/aidash";
    }
    if (base == NULL || base[0] != '/') {
        base = getenv("HOME");
        below = "/.local/state/aidash";
    }
    if (base == NULL || base[0] != '/') {
        return;
    }
    len = strcspn(base, below[0] == '\0' ? ":" : "");
    if (len + strlen(below) < AD_OPTION_CAP) {
        (void)snprintf(value, AD_OPTION_CAP, "%.*s%s", (int)len, base, below);
        (void)snprintf(o->given[i].written, AD_WRITTEN_CAP, "--state-dir");
        o->given[i].set = true;
    }
}

/* All options of all places, later ones over earlier ones. */
static bool ad_options_read(struct ad_options *o, int argc, char **argv)
{
    const char *file = ad_config_file(argc, argv);

    if (file != NULL && !ad_options_file(o, file)) {
        return false;
    }
    if (!ad_options_env(o) || !ad_options_args(o, argc, argv)) {
        return false;
    }
    ad_options_state_dir(o);
    return true;
}

/* The options from `from` on, before `to`. */
static void ad_print_options(int from, int to)
{
    char left[48];
    int i;

    for (i = from; i < to; i++) {
        (void)snprintf(left, sizeof(left), "--%s %s", ad_option_at(i).name,
                       ad_option_at(i).value);
        printf("  %-26s %s\n", left, ad_option_at(i).help);
    }
}

/* The first lines of the help of a program that called aidash_main(). */
static void ad_print_addon_help(void)
{
    printf("%s " AIDASH_VERSION " - %s\n\nusage: %s [options]\n\n", ad_program(),
           ad_addon.given->about, ad_program());
    ad_print_options(AD_OPTIONS_OWN, ad_options_n());
    printf("\nThe options and commands of aidash, which this program has inside:\n\n");
}

static void ad_print_help(void)
{
    if (ad_addon.given != NULL) {
        ad_print_addon_help();
    }
    printf("aidash " AIDASH_VERSION
           " - a live dashboard on the LAN for an AI engine\n\n"
           "usage: aidash [options]\n"
           "       aidash pair [options]      let a phone or another browser sign in\n"
           "       aidash keys [options]      list, add, rename and revoke keys\n"
           "       aidash token [options]     make a key that is valid for a while\n"
#if AD_TOP
           "       aidash top [options] [HOST:PORT]\n"
           "                                  show on a terminal what an aidash does\n"
           "                                  (aidash top --help)\n"
#endif
#if AIDASH_METER
           "       aidash doctor [options]    find engines, free ports and "
           "addresses, and say\n"
           "                                  what to type next\n"
           "       aidash bench [options] [HOST:PORT]\n"
           "                                  measure the engine behind a running "
           "aidash\n"
           "                                  (aidash bench --help)\n"
#if AIDASH_ALERTS
           "       aidash alert test [options]\n"
           "                                  send a test to --alert-url\n"
#endif
#endif
           "\n");
    ad_print_options(0, AD_OPTIONS_OWN);
    printf("\nEach option can also be set in the environment (AIDASH_LISTEN, "
           "AIDASH_ALLOW_ORIGIN,\n...) and in the config file. The command line "
           "overrides the environment, and the\nenvironment overrides the "
           "file.\n\n"
           "exit codes: 0 stopped by a signal, 1 failed while running, 2 wrong "
           "option,\n            3 can't listen on an address; doctor: 0 found "
           "an engine, 1 found none;\n            bench: 0 "
           "it has ended, 1 it failed or was stopped;\n            alert test: 0 it was "
           "taken, 1 it was not; top: 1 no aidash answers\n");
}

#endif /* AIDASH_NO_MAIN */

#endif
