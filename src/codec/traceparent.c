/* traceparent.c - which trace a request belongs to: the field traceparent (W3C Trace
 * Context, level 1). Pure.
 */
#ifndef AD_CODEC_TRACEPARENT_C
#define AD_CODEC_TRACEPARENT_C

#include "http_field.c"

#if AIDASH_METER

enum { AD_TRACE_ID = 32, AD_TRACE_SPAN = 16 }; /* hexadecimal digits */

/* All zero: none. */
struct ad_trace {
    char id[AD_TRACE_ID + 1];       /* of the trace, "" if there is none */
    char parent[AD_TRACE_SPAN + 1]; /* the caller's span */
    bool dropped;                   /* the caller does not record this trace */
};

/* So many lower-case hexadecimal digits, not all of them 0? */
static bool ad_trace_hex(const char *s, size_t n, bool zero)
{
    bool some = zero;
    size_t i;

    for (i = 0; i < n; i++) {
        if (ad_hex(s[i]) < 0 || (s[i] >= 'A' && s[i] <= 'F')) {
            return false;
        }
        some = some || s[i] != '0';
    }
    return some;
}

/* VERSION-TRACE-PARENT-FLAGS; a version to come may have more behind a dash. False if
 * it is none: *out has none then. */
static bool ad_trace_parse(struct ad_slice s, struct ad_trace *out)
{
    enum { AD_TRACE_AT = 3, AD_TRACE_PARENT_AT = 36, AD_TRACE_FLAGS_AT = 53,
           AD_TRACE_LEN = 55 };

    memset(out, 0, sizeof(*out));
    if (s.len < AD_TRACE_LEN || s.at[2] != '-' || s.at[AD_TRACE_PARENT_AT - 1] != '-' ||
        s.at[AD_TRACE_FLAGS_AT - 1] != '-' || !ad_trace_hex(s.at, 2, true) ||
        memcmp(s.at, "ff", 2) == 0 ||
        (s.len > AD_TRACE_LEN &&
         (memcmp(s.at, "00", 2) == 0 || s.at[AD_TRACE_LEN] != '-')) ||
        !ad_trace_hex(s.at + AD_TRACE_AT, AD_TRACE_ID, false) ||
        !ad_trace_hex(s.at + AD_TRACE_PARENT_AT, AD_TRACE_SPAN, false) ||
        !ad_trace_hex(s.at + AD_TRACE_FLAGS_AT, 2, true)) {
        return false;
    }
    memcpy(out->id, s.at + AD_TRACE_AT, AD_TRACE_ID);
    memcpy(out->parent, s.at + AD_TRACE_PARENT_AT, AD_TRACE_SPAN);
    out->dropped = (ad_hex(s.at[AD_TRACE_FLAGS_AT + 1]) & 1) == 0;
    return true;
}

/* That of a head; two lines of it are none (its section 3.2). */
static void ad_trace_read(const struct ad_http_fields *fields, struct ad_trace *out)
{
    struct ad_slice value;

    memset(out, 0, sizeof(*out));
    if (ad_http_field_count(fields, "traceparent", &value) == 1) {
        (void)ad_trace_parse(value, out);
    }
}

#endif /* AIDASH_METER */

#endif
