/* option_values.c - what was given as options becomes values: texts, flags, numbers in
 * their ranges, words of a list. Prints what is wrong. The main thread. Owns nothing.
 */
#ifndef AD_APP_OPTION_VALUES_C
#define AD_APP_OPTION_VALUES_C

#include "../guard/rights.c"
#include "options.c"

#ifndef AIDASH_NO_MAIN

/* The option's value, NULL if it was not given. */
static const char *ad_option_value(const struct ad_options *o, const char *name)
{
    int i = ad_option_find(name);

    return o->given[i].set ? o->given[i].value : NULL;
}

static bool ad_option_flag(const struct ad_options *o, const char *name)
{
    const char *value = ad_option_value(o, name);

    return value != NULL && strcmp(value, "no") != 0 &&
           strcmp(value, "0") != 0 && strcmp(value, "false") != 0;
}

/* The option's name as it was written. */
static const char *ad_option_written(const struct ad_options *o,
                                     const char *name)
{
    return o->given[ad_option_find(name)].written;
}

/* A number from low to high into *out, if it was given. */
static bool ad_option_number(const struct ad_options *o, const char *name,
                             double low, double high, double *out)
{
    const char *text = ad_option_value(o, name);
    double value;
    char *end;

    if (text == NULL) {
        return true;
    }
    value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= low && value <= high)) {
        (void)fprintf(stderr,
                      "aidash: %s: '%s' is not a number from %g to %.17g\n",
                      ad_option_written(o, name), text, low, high);
        return false;
    }
    *out = value;
    return true;
}

/* A whole number from low to high into *out, if it was given. */
static bool ad_option_whole(const struct ad_options *o, const char *name,
                            uint64_t low, uint64_t high, uint64_t *out)
{
    const char *text = ad_option_value(o, name);
    uint64_t value;

    if (text == NULL) {
        return true;
    }
    if (!ad_decimal_u64(text, strlen(text), high, &value) || value < low) {
        (void)fprintf(stderr,
                      "aidash: %s: '%s' is not a whole number from %llu to "
                      "%llu\n",
                      ad_option_written(o, name), text, (unsigned long long)low,
                      (unsigned long long)high);
        return false;
    }
    *out = value;
    return true;
}

static bool ad_option_level(const struct ad_options *o,
                            enum aidash_log_level *level)
{
    const char *text = ad_option_value(o, "log-level");
    char hint[AD_HINT_CAP];
    unsigned i;

    if (text == NULL) {
        return true;
    }
    for (i = AIDASH_LOG_ERROR; i <= AIDASH_LOG_DEBUG; i++) {
        if (strcmp(ad_log_names[i], text) == 0) {
            *level = (enum aidash_log_level)i;
            return true;
        }
    }
    (void)fprintf(stderr,
                  "aidash: %s: '%s' must be error, warn, info or debug%s\n",
                  ad_option_written(o, "log-level"), text,
                  ad_hint(text, "", ad_nearest(text,
                                               ad_log_names + AIDASH_LOG_ERROR,
                                               AIDASH_LOG_DEBUG), hint));
    return false;
}

/* The source's name into *source: as given, else what *source is already, else "sim",
 * but "none" with the meter. */
static bool ad_option_source(const struct ad_options *o, const char **source)
{
    static const char *const known[] = {"sim", "stdin", "none"};
    const char *text = ad_option_value(o, "source");
    char hint[AD_HINT_CAP];
    size_t i;

    if (ad_option_flag(o, "stdin")) {
        if (text != NULL && strcmp(text, "stdin") != 0) {
            (void)fprintf(stderr, "aidash: %s: it contradicts %s %s\n",
                          ad_option_written(o, "stdin"),
                          ad_option_written(o, "source"), text);
            return false;
        }
        text = "stdin";
    }
#if AIDASH_METER
    if (text == NULL && (ad_option_value(o, "upstream") != NULL ||
                         ad_option_value(o, "scrape") != NULL)) {
        text = "none";
    }
#endif
    if (text == NULL) {
        text = *source != NULL ? *source : "sim";
    }
    for (i = 0; i < AD_COUNT(known); i++) {
        if (strcmp(known[i], text) == 0) {
            *source = known[i];
            return true;
        }
    }
    (void)fprintf(stderr,
                  "aidash: %s: '%s' must be sim, stdin or none%s\n",
                  ad_option_written(o, "source"), text,
                  ad_hint(text, "", ad_nearest(text, known, AD_COUNT(known)),
                          hint));
    return false;
}

/* Who has a right into *mode: as given, or as it is `without` the option. */
static bool ad_option_mode(const struct ad_options *o, const char *name,
                           const char *without, const char **mode)
{
    const char *text = ad_option_value(o, name);
    char hint[AD_HINT_CAP];
    unsigned i;

    *mode = text != NULL ? text : without;
    for (i = 0; i < AD_MODES; i++) {
        if (strcmp(ad_mode_names[i], *mode) == 0) {
            return true;
        }
    }
    (void)fprintf(stderr,
                  "aidash: %s: '%s' must be open, remote-key, key or local%s\n",
                  ad_option_written(o, name), text,
                  ad_hint(text, "", ad_nearest(text, ad_mode_names, AD_MODES),
                          hint));
    return false;
}

/* With the simulator there is nothing to protect. Without it, ticks and commands of
 * other machines need a key, and requests do if they would be sent with the
 * operator's. */
static bool ad_options_rights(const struct ad_options *o,
                              struct aidash_config *config)
{
    const char *guarded = strcmp(config->source, "sim") == 0 ? "open" : "remote-key";

    return ad_option_mode(o, "view", "open", &config->view) &&
#if AIDASH_METER
           ad_option_mode(o, "infer",
                          config->upstream_key_file != NULL ? "remote-key" : "open",
                          &config->infer) &&
#endif
           ad_option_mode(o, "control", guarded, &config->control) &&
           ad_option_mode(o, "ingest", guarded, &config->ingest);
}

#endif /* AIDASH_NO_MAIN */

#endif
