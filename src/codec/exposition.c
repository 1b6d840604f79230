/* exposition.c - metrics as Prometheus reads them: its text format 0.0.4, and
 * OpenMetrics 1.0. Pure.
 *
 * A family is a name with a type, a unit and labels; a sample is one set of values of
 * the labels with a number, or with a histogram. Both formats have the same names and
 * numbers: in OpenMetrics a family is called without _total and _info, has a UNIT
 * line, and the page ends with # EOF.
 */
#ifndef AD_CODEC_EXPOSITION_C
#define AD_CODEC_EXPOSITION_C

#include "../base/text.c"
#include "http_field.c"

#if AIDASH_METRICS

enum ad_metric_type {
    AD_METRIC_COUNTER,
    AD_METRIC_GAUGE,
    AD_METRIC_HISTOGRAM,
    AD_METRIC_INFO, /* what matters is its labels; its number is 1 */
    AD_METRIC_TYPES
};

/* Units, each the end of the name that has it (OpenMetrics 1.0). */
enum ad_metric_unit {
    AD_METRIC_IN_NONE,
    AD_METRIC_IN_SECONDS,
    AD_METRIC_IN_BYTES,
    AD_METRIC_IN_RATIO,
    AD_METRIC_IN_HERTZ,
    AD_METRIC_IN_CELSIUS,
    AD_METRIC_IN_WATTS,
    AD_METRIC_IN_RPM,
    AD_METRIC_IN_JOULES,
    AD_METRIC_UNITS
};
static const char *const ad_unit_names[AD_METRIC_UNITS] = {
    "", "seconds", "bytes", "ratio", "hertz", "celsius", "watts", "rpm",
    "joules"};

enum {
    AD_METRIC_LABELS = 3,      /* of a family, at most */
    AD_METRIC_EDGES = 20,      /* finite edges of a histogram's buckets, at most */
    AD_METRIC_VALUE_MAX = 63,  /* bytes of a label's value that are shown */
    /* Bytes of a line with a number: a name and its suffix, the names of the labels and
     * their values, each byte escaped, "le", the number. The lines about a family take
     * no more than three of them. */
    AD_METRIC_LINE_MAX = 64 + 80 + AD_METRIC_LABELS * 2 * AD_METRIC_VALUE_MAX + 64,
    AD_METRIC_PIECE_MAX = 3 * AD_METRIC_LINE_MAX /* what is written at once */
};

/* What the table of metrics says of a family. */
struct ad_metric_about {
    const char *name;   /* without _total and _info, with its unit */
    const char *labels; /* their names, with commas between them; NULL: none */
    const char *help;   /* a sentence of ASCII, without " and \ and its full stop */
    uint8_t type;       /* enum ad_metric_type */
    uint8_t unit;       /* enum ad_metric_unit */
};

/* Observations: how many were in each bucket, not summed up; behind the last edge is
 * the last bucket. All zero: none. */
struct ad_metric_histogram {
    double sum;
    uint64_t buckets[AD_METRIC_EDGES + 1];
};

/* One sample. All zero: the whole number 0, without labels. */
struct ad_metric_sample {
    const char *labels[AD_METRIC_LABELS]; /* their values, in the family's order */
    bool absent;                          /* there is none here */
    bool is_number;                       /* `number` counts, not `count` */
    uint64_t count;
    double number;
    const struct ad_metric_histogram *histogram;
    const double *edges;
    unsigned n_edges;
    char text[AD_METRIC_VALUE_MAX + 1]; /* a label's value may be kept here */
};

/* ---- what comes in ---- */

/* Count `n` observations of this value; one on an edge is below it. What is no number
 * is not counted. */
static void ad_metric_observe(struct ad_metric_histogram *h, const double *edges,
                              unsigned n_edges, double value, uint64_t n)
{
    unsigned i = 0;

    if (isnan(value)) {
        return;
    }
    while (i < n_edges && value > edges[i]) {
        i++;
    }
    h->buckets[i] += n;
    h->sum += value * (double)n;
}

/* ---- pieces of lines ---- */

/* A number, as both formats have it, that is read as the same double again. */
static void ad_put_metric_number(struct ad_text *t, double value)
{
    char text[40];

    if (isnan(value)) {
        ad_puts(t, "NaN");
        return;
    }
    if (isinf(value)) {
        ad_puts(t, value > 0 ? "+Inf" : "-Inf");
        return;
    }
    (void)snprintf(text, sizeof(text), "%.15g", value);
    if (strtod(text, NULL) != value) {
        (void)snprintf(text, sizeof(text), "%.17g", value);
    }
    ad_put_printed(t, text);
}

/* The edge of a bucket: OpenMetrics wants 1.0 for 1, and the older format takes it, so
 * that a series has one name in both. */
static void ad_put_metric_edge(struct ad_text *t, double edge)
{
    size_t from = t->len, i;

    ad_put_metric_number(t, edge);
    for (i = from; i < t->len; i++) {
        if (t->at[i] == '.' || t->at[i] == 'e' || t->at[i] == 'I') {
            return;
        }
    }
    ad_puts(t, ".0");
}

/* ,name="value" without the comma: \, " and a line's end are escaped. A long value is
 * cut, where a character ends. */
static void ad_put_metric_label(struct ad_text *t, struct ad_slice name,
                                const char *value)
{
    size_t len = strlen(value), i;

    if (len > AD_METRIC_VALUE_MAX) {
        for (len = AD_METRIC_VALUE_MAX; ((unsigned char)value[len] & 0xC0) == 0x80;
             len--) {
        }
    }
    ad_put(t, name.at, name.len);
    ad_puts(t, "=\"");
    for (i = 0; i < len; i++) {
        if (value[i] == '\n') {
            ad_puts(t, "\\n");
        } else {
            ad_put(t, "\\", value[i] == '\\' || value[i] == '"' ? 1 : 0);
            ad_put(t, &value[i], 1);
        }
    }
    ad_puts(t, "\"");
}

/* A name with its labels in braces; `edge`: of a bucket, or NULL. */
static void ad_put_metric_series(struct ad_text *t, const struct ad_metric_about *about,
                                 const char *suffix, const struct ad_metric_sample *s,
                                 const double *edge)
{
    struct ad_slice rest = ad_slice_of(about->labels != NULL ? about->labels : "");
    struct ad_slice name;
    const char *before = "{";
    unsigned i = 0;

    ad_puts(t, about->name);
    ad_puts(t, suffix);
    while (rest.len > 0 && i < AD_METRIC_LABELS && ad_http_cut(&rest, ',', &name)) {
        ad_puts(t, before);
        ad_put_metric_label(t, name, s->labels[i] != NULL ? s->labels[i] : "");
        before = ",";
        i++;
    }
    if (edge != NULL) {
        ad_puts(t, before);
        ad_puts(t, "le=\"");
        ad_put_metric_edge(t, *edge);
        ad_puts(t, "\"");
        before = ",";
    }
    ad_puts(t, before[0] == '{' ? " " : "} ");
}

static void ad_put_metric_count(struct ad_text *t, uint64_t count)
{
    ad_put_u64(t, count);
    ad_puts(t, "\n");
}

/* ---- lines ---- */

/* What the lines of a family's numbers end their name with, and in the older format its
 * own. */
static const char *ad_metric_suffix(enum ad_metric_type type)
{
    return type == AD_METRIC_COUNTER ? "_total" : type == AD_METRIC_INFO ? "_info" : "";
}

static const char *ad_metric_type_name(enum ad_metric_type type, bool open)
{
    static const char *const names[AD_METRIC_TYPES] = {"counter", "gauge", "histogram",
                                                       "info"};

    return !open && type == AD_METRIC_INFO ? "gauge" : names[type];
}

/* The lines about a family; `open`: of OpenMetrics. */
static void ad_put_metric_about(struct ad_text *t, const struct ad_metric_about *about,
                                bool open)
{
    enum ad_metric_type type = (enum ad_metric_type)about->type;
    const char *suffix = open ? "" : ad_metric_suffix(type);

    ad_puts(t, "# HELP ");
    ad_puts(t, about->name);
    ad_puts(t, suffix);
    ad_puts(t, " ");
    ad_puts(t, about->help);
    ad_puts(t, ".\n# TYPE ");
    ad_puts(t, about->name);
    ad_puts(t, suffix);
    ad_puts(t, " ");
    ad_puts(t, ad_metric_type_name(type, open));
    ad_puts(t, "\n");
    if (open && about->unit != AD_METRIC_IN_NONE) {
        ad_puts(t, "# UNIT ");
        ad_puts(t, about->name);
        ad_puts(t, " ");
        ad_puts(t, ad_unit_names[about->unit]);
        ad_puts(t, "\n");
    }
}

/* How many pieces a sample has: a histogram one a bucket. */
static unsigned ad_metric_pieces(const struct ad_metric_sample *s)
{
    return s->histogram != NULL ? s->n_edges + 1 : 1;
}

/* Piece number `piece` of a sample. Those of a histogram may be written at different
 * times: its buckets still never fall, and the last of them is its count. */
static void ad_put_metric_piece(struct ad_text *t, const struct ad_metric_about *about,
                                const struct ad_metric_sample *s, unsigned piece)
{
    static const double infinity = INFINITY;
    uint64_t count = 0;
    unsigned i;

    if (s->histogram == NULL) {
        ad_put_metric_series(t, about,
                             ad_metric_suffix((enum ad_metric_type)about->type), s,
                             NULL);
        if (s->is_number) {
            ad_put_metric_number(t, s->number);
            ad_puts(t, "\n");
        } else {
            ad_put_metric_count(t, s->count);
        }
        return;
    }
    for (i = 0; i <= piece; i++) {
        count += s->histogram->buckets[i];
    }
    ad_put_metric_series(t, about, "_bucket", s,
                         piece < s->n_edges ? &s->edges[piece] : &infinity);
    ad_put_metric_count(t, count);
    if (piece == s->n_edges) {
        ad_put_metric_series(t, about, "_sum", s, NULL);
        ad_put_metric_number(t, s->histogram->sum);
        ad_puts(t, "\n");
        ad_put_metric_series(t, about, "_count", s, NULL);
        ad_put_metric_count(t, count);
    }
}

/* ---- which format ---- */

#define AD_METRICS_TEXT "text/plain; version=0.0.4; charset=utf-8"
#define AD_METRICS_OPEN "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Has a media range of Accept no version, or one that is ours? The value may be a
 * quoted string (RFC 9110 5.6.6). */
static bool ad_metrics_version(struct ad_slice item, const char *first,
                               const char *second)
{
    struct ad_slice part, version;

    (void)ad_http_cut(&item, ';', &part);
    while (ad_http_cut(&item, ';', &part)) {
        if (part.len < 8 || !ad_slice_is_nocase(ad_slice_between(part.at, part.at + 8),
                                                "version=")) {
            continue;
        }
        version = ad_slice_from(part, 8);
        if (version.len >= 2 && version.at[0] == '"' &&
            version.at[version.len - 1] == '"') {
            version = ad_slice_between(version.at + 1, version.at + version.len - 1);
        }
        return ad_slice_is(version, first) || ad_slice_is(version, second);
    }
    return true;
}

/* Does the client ask for OpenMetrics, at least as much as for text? RFC 9110 12.5.1:
 * of the ranges that match, the most specific one counts. Who does not name it gets
 * text, whatever else he would take. */
static bool ad_metrics_open(const struct ad_http_fields *fields)
{
    struct ad_http_list list = ad_http_list_of(fields, "Accept");
    struct ad_slice item, name;
    int weight, open = -1, text = -1, some = -1, any = -1;

    while (ad_http_list_next(&list, &item)) {
        if (!ad_http_weighted(item, &name, &weight)) {
            continue;
        }
        if (ad_slice_is_nocase(name, "application/openmetrics-text")) {
            if (ad_metrics_version(item, "1.0.0", "0.0.1") && weight > open) {
                open = weight;
            }
        } else if (ad_slice_is_nocase(name, "text/plain")) {
            if (ad_metrics_version(item, "0.0.4", "1.0.0") && weight > text) {
                text = weight;
            }
        } else if (ad_slice_is_nocase(name, "text/*")) {
            some = weight;
        } else if (ad_slice_is(name, "*/*")) {
            any = weight;
        }
    }
    text = text >= 0 ? text : some >= 0 ? some : any;
    return open > 0 && open >= text;
}

#endif /* AIDASH_METRICS */

#endif
