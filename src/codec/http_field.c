/* http_field.c - the pieces that an HTTP head is made of: tokens, field lines,
 * comma-separated lists, weights, hosts and origins (RFC 9110 5, RFC 3986 3.2,
 * RFC 6454).
 *
 * Pure: no state, no copy. A slice points into the bytes that the caller read,
 * and is valid as long as they are. Any thread. Called by http_head and
 * http_semantics, and by whoever asks a parsed head for a field.
 */
#ifndef AD_CODEC_HTTP_FIELD_C
#define AD_CODEC_HTTP_FIELD_C

#include "../base/decimal.c"

enum {
    AD_HTTP_FIELDS = 256,   /* field lines of one head */
    AD_HTTP_HOST_MAX = 254, /* bytes of a host name: RFC 1035 2.3.4, and a dot */
    AD_HTTP_WEIGHT_MAX = 1000 /* RFC 9110 12.4.2: q=1, in thousandths */
};

/* ---- slices ---- */

/* Some bytes of a buffer. Not NUL-terminated. */
struct ad_slice {
    const char *at;
    size_t len;
};

static struct ad_slice ad_slice_of(const char *text)
{
    struct ad_slice s = {text, strlen(text)};

    return s;
}

static struct ad_slice ad_slice_between(const char *from, const char *to)
{
    struct ad_slice s = {from, (size_t)(to - from)};

    return s;
}

static struct ad_slice ad_slice_from(struct ad_slice s, size_t skip)
{
    s.at += skip;
    s.len -= skip;
    return s;
}

static char ad_ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool ad_slice_equal_nocase(struct ad_slice a, struct ad_slice b)
{
    size_t i = 0;

    if (a.len != b.len) {
        return false;
    }
    while (i < a.len && ad_ascii_lower(a.at[i]) == ad_ascii_lower(b.at[i])) {
        i++;
    }
    return i == a.len;
}

/* Methods and the like: case matters. */
static bool ad_slice_is(struct ad_slice s, const char *text)
{
    return s.len == strlen(text) &&
           (s.len == 0 || memcmp(s.at, text, s.len) == 0);
}

/* Field names, codings, hosts, schemes: case does not matter. */
static bool ad_slice_is_nocase(struct ad_slice s, const char *text)
{
    return ad_slice_equal_nocase(s, ad_slice_of(text));
}

static bool ad_slice_begins(struct ad_slice s, const char *text)
{
    size_t len = strlen(text);

    return s.len >= len && memcmp(s.at, text, len) == 0;
}

static bool ad_slice_ends_nocase(struct ad_slice s, const char *text)
{
    size_t len = strlen(text);

    return s.len >= len && ad_slice_is_nocase(ad_slice_from(s, s.len - len),
                                              text);
}

/* RFC 9110 5.6.3: OWS is any number of spaces and tabs. */
static bool ad_http_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct ad_slice ad_slice_trim(struct ad_slice s)
{
    while (s.len > 0 && ad_http_is_blank(s.at[0])) {
        s = ad_slice_from(s, 1);
    }
    while (s.len > 0 && ad_http_is_blank(s.at[s.len - 1])) {
        s.len--;
    }
    return s;
}

/* ---- characters ---- */

static bool ad_http_is_alpha(char c)
{
    c = ad_ascii_lower(c);
    return c >= 'a' && c <= 'z';
}

/* RFC 9110 5.6.2. */
static bool ad_http_is_token_char(char c)
{
    return ad_http_is_alpha(c) || ad_is_digit(c) ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool ad_http_is_token(struct ad_slice s)
{
    size_t i = 0;

    while (i < s.len && ad_http_is_token_char(s.at[i])) {
        i++;
    }
    return s.len > 0 && i == s.len;
}

/* RFC 9110 5.5: visible characters, obs-text (0x80..0xFF), spaces and tabs. No
 * other control character, so no CR, LF or NUL. */
static bool ad_http_is_value_char(char c)
{
    unsigned char u = (unsigned char)c;

    return u == '\t' || (u >= 0x20 && u != 0x7F);
}

static bool ad_http_is_value(struct ad_slice s)
{
    size_t i = 0;

    while (i < s.len && ad_http_is_value_char(s.at[i])) {
        i++;
    }
    return i == s.len;
}

/* ---- fields ---- */

struct ad_http_field {
    struct ad_slice name, value; /* value: without the blanks around it */
};

/* The field lines of a head, in their order. The array is the caller's. */
struct ad_http_fields {
    struct ad_http_field *at;
    size_t n, max;
};

/* How many lines has the field `name`? *value is that of the first one; it is
 * left as it was if there is none. */
static size_t ad_http_field_count(const struct ad_http_fields *fields,
                                  const char *name, struct ad_slice *value)
{
    size_t i, n = 0;

    for (i = 0; i < fields->n; i++) {
        if (ad_slice_is_nocase(fields->at[i].name, name)) {
            if (n == 0) {
                *value = fields->at[i].value;
            }
            n++;
        }
    }
    return n;
}

/* The value of the first line of the field `name`. False if there is none. */
static bool ad_http_field_get(const struct ad_http_fields *fields,
                              const char *name, struct ad_slice *value)
{
    return ad_http_field_count(fields, name, value) > 0;
}

/* ---- lists ---- */

/* Cut *item off the front of *rest, up to the separator or the end, without the
 * blanks around it. A separator in a quoted string (RFC 9110 5.6.4) does not
 * count; a quoted string without an end lasts to the end. An item may be empty.
 * False if nothing was left (rest->at is NULL then). */
static bool ad_http_cut(struct ad_slice *rest, char separator,
                        struct ad_slice *item)
{
    bool quoted = false;
    size_t i;

    if (rest->at == NULL) {
        return false;
    }
    for (i = 0; i < rest->len; i++) {
        char c = rest->at[i];

        if (c == '"') {
            quoted = !quoted;
        } else if (quoted && c == '\\' && i + 1 < rest->len) {
            i++; /* quoted-pair */
        } else if (!quoted && c == separator) {
            break;
        }
    }
    item->at = rest->at;
    item->len = i;
    *item = ad_slice_trim(*item);
    if (i < rest->len) {
        *rest = ad_slice_from(*rest, i + 1);
    } else {
        rest->at = NULL;
        rest->len = 0;
    }
    return true;
}

/* The items of a comma-separated list that may stand in several field lines
 * (RFC 9110 5.3, 5.6.1). Empty items are left out.
 *
 *     struct ad_http_list list = ad_http_list_of(fields, "Connection");
 *     struct ad_slice item;
 *
 *     while (ad_http_list_next(&list, &item)) ...
 */
struct ad_http_list {
    const struct ad_http_fields *fields;
    const char *name;
    size_t next; /* the field line to read after `rest` */
    struct ad_slice rest;
};

static struct ad_http_list ad_http_list_of(const struct ad_http_fields *fields,
                                           const char *name)
{
    struct ad_http_list list = {fields, name, 0, {NULL, 0}};

    return list;
}

static bool ad_http_list_next(struct ad_http_list *list, struct ad_slice *item)
{
    for (;;) {
        const struct ad_http_field *field;

        while (ad_http_cut(&list->rest, ',', item)) {
            if (item->len > 0) {
                return true;
            }
        }
        if (list->next == list->fields->n) {
            return false;
        }
        field = &list->fields->at[list->next++];
        if (ad_slice_is_nocase(field->name, list->name)) {
            list->rest = field->value;
        }
    }
}

/* Is `token` an item of this list, in any case? */
static bool ad_http_list_has(const struct ad_http_fields *fields,
                             const char *name, struct ad_slice token)
{
    struct ad_http_list list = ad_http_list_of(fields, name);
    struct ad_slice item;

    while (ad_http_list_next(&list, &item)) {
        if (ad_slice_equal_nocase(item, token)) {
            return true;
        }
    }
    return false;
}

/* RFC 9110 12.4.2: 0 or 1 with up to three decimals, in thousandths. -1 if it
 * is not one. */
static int ad_http_qvalue(struct ad_slice s)
{
    int value, scale = 100;
    size_t i;

    if (s.len == 0 || s.len > 5 || (s.at[0] != '0' && s.at[0] != '1') ||
        (s.len > 1 && s.at[1] != '.')) {
        return -1;
    }
    value = (s.at[0] - '0') * AD_HTTP_WEIGHT_MAX;
    for (i = 2; i < s.len; i++) {
        if (!ad_is_digit(s.at[i])) {
            return -1;
        }
        value += (s.at[i] - '0') * scale;
        scale /= 10;
    }
    return value <= AD_HTTP_WEIGHT_MAX ? value : -1;
}

/* Split a list item like `gzip;q=0.5` into its name and its weight, 0..1000
 * (1000 if it has none). False if the weight is malformed. */
static bool ad_http_weighted(struct ad_slice item, struct ad_slice *name,
                             int *weight)
{
    struct ad_slice part;

    *weight = AD_HTTP_WEIGHT_MAX;
    (void)ad_http_cut(&item, ';', name);
    while (ad_http_cut(&item, ';', &part)) {
        if (part.len >= 2 && ad_ascii_lower(part.at[0]) == 'q' &&
            part.at[1] == '=') {
            *weight = ad_http_qvalue(ad_slice_from(part, 2));
        }
    }
    return *weight >= 0;
}

/* ---- hosts ---- */

enum ad_http_host_kind { AD_HTTP_HOST_NAME, AD_HTTP_HOST_IP4, AD_HTTP_HOST_IP6 };

/* uri-host [ ":" port ] */
struct ad_http_host {
    struct ad_slice name; /* an IPv6 address: without its brackets */
    uint8_t kind;         /* enum ad_http_host_kind */
    bool has_port;
    uint16_t port;        /* 0 if there is none */
    uint8_t address[16];  /* of an IP literal: 4 or 16 bytes, network order */
};

/* Letters, digits and -._~ in labels that are not empty, one dot allowed at the
 * end. RFC 3986 3.2.2 also allows percent-escapes and !$&'()*+,;= in a name; no
 * name of a host has them, so they are refused. */
static bool ad_http_host_name_ok(struct ad_slice s)
{
    size_t i, label = 0; /* bytes of the label so far */

    for (i = 0; i < s.len; i++) {
        char c = s.at[i];

        if (c == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
        } else if (ad_http_is_alpha(c) || ad_is_digit(c) || c == '-' ||
                   c == '_' || c == '~') {
            label++;
        } else {
            return false;
        }
    }
    return s.len > 0 && s.len <= AD_HTTP_HOST_MAX;
}

static bool ad_http_address(int family, struct ad_slice s, uint8_t out[16])
{
    char text[INET6_ADDRSTRLEN];

    if (s.len == 0 || s.len >= sizeof(text) ||
        memchr(s.at, '\0', s.len) != NULL) {
        return false;
    }
    memcpy(text, s.at, s.len);
    text[s.len] = '\0';
    return inet_pton(family, text, out) == 1;
}

/* Parse the value of a Host field or the authority of a URI, RFC 9110 7.2 and
 * RFC 3986 3.2.2. An empty port (`board:`) is no port. False if it is not
 * valid: empty, user information, a zone (RFC 6874), port 0 or above 65535. */
static bool ad_http_host_parse(struct ad_http_host *host, struct ad_slice s)
{
    const char *colon;
    uint64_t port;

    memset(host, 0, sizeof(*host));
    if (s.len > 0 && s.at[0] == '[') { /* IP-literal */
        const char *end = memchr(s.at, ']', s.len);

        if (end == NULL) {
            return false;
        }
        host->name = ad_slice_between(s.at + 1, end);
        host->kind = AD_HTTP_HOST_IP6;
        if (!ad_http_address(AF_INET6, host->name, host->address)) {
            return false;
        }
        s = ad_slice_from(s, host->name.len + 2);
    } else {
        colon = s.len > 0 ? memchr(s.at, ':', s.len) : NULL;
        host->name = s;
        host->name.len = colon != NULL ? (size_t)(colon - s.at) : s.len;
        if (!ad_http_host_name_ok(host->name)) {
            return false;
        }
        if (ad_http_address(AF_INET, host->name, host->address)) {
            host->kind = AD_HTTP_HOST_IP4;
        }
        s = ad_slice_from(s, host->name.len);
    }
    if (s.len <= 1) {
        return s.len == 0 || s.at[0] == ':';
    }
    if (s.at[0] != ':' ||
        !ad_decimal_u64(s.at + 1, s.len - 1, UINT16_MAX, &port) || port == 0) {
        return false;
    }
    host->has_port = true;
    host->port = (uint16_t)port;
    return true;
}

static bool ad_http_host_is_ip(const struct ad_http_host *host)
{
    return host->kind != AD_HTTP_HOST_NAME;
}

/* The name without the dot that may end it (`board.local.`). */
static struct ad_slice ad_http_host_label(const struct ad_http_host *host)
{
    struct ad_slice name = host->name;

    if (name.len > 0 && name.at[name.len - 1] == '.') {
        name.len--;
    }
    return name;
}

/* Is the host this name, without its port? In any case, a last dot ignored. */
static bool ad_http_host_is(const struct ad_http_host *host, const char *name)
{
    return ad_slice_is_nocase(ad_http_host_label(host), name);
}

/* RFC 6761 6.3: localhost, and names below it. */
static bool ad_http_host_is_localhost(const struct ad_http_host *host)
{
    return ad_http_host_is(host, "localhost") ||
           ad_slice_ends_nocase(ad_http_host_label(host), ".localhost");
}

/* RFC 6762 3: names below .local are resolved on the link alone. */
static bool ad_http_host_is_mdns(const struct ad_http_host *host)
{
    return host->kind == AD_HTTP_HOST_NAME &&
           ad_slice_ends_nocase(ad_http_host_label(host), ".local");
}

/* The same name or address? Ports do not count. */
static bool ad_http_host_same(const struct ad_http_host *a,
                              const struct ad_http_host *b)
{
    if (a->kind != b->kind) {
        return false;
    }
    if (a->kind == AD_HTTP_HOST_NAME) {
        return ad_slice_equal_nocase(ad_http_host_label(a),
                                     ad_http_host_label(b));
    }
    return memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

/* ---- origins ---- */

/* RFC 6454 4: what a page may call its own. */
struct ad_http_origin {
    bool opaque; /* "null": a sandbox, a local file; equal to no origin */
    struct ad_slice scheme;
    struct ad_http_host host;
    uint16_t port; /* the scheme's default if none is written; else 0 */
};

/* RFC 9110 4.2, RFC 6455 3. 0: a scheme without a default port. */
static uint16_t ad_http_default_port(struct ad_slice scheme)
{
    if (ad_slice_is_nocase(scheme, "http") ||
        ad_slice_is_nocase(scheme, "ws")) {
        return 80;
    }
    if (ad_slice_is_nocase(scheme, "https") ||
        ad_slice_is_nocase(scheme, "wss")) {
        return 443;
    }
    return 0;
}

/* The origin of what is asked for over this scheme at this host. */
static struct ad_http_origin ad_http_origin_of(struct ad_slice scheme,
                                               const struct ad_http_host *host)
{
    struct ad_http_origin origin;

    memset(&origin, 0, sizeof(origin));
    origin.scheme = scheme;
    origin.host = *host;
    origin.port = host->has_port ? host->port : ad_http_default_port(scheme);
    return origin;
}

/* RFC 3986 3.1. */
static bool ad_http_is_scheme(struct ad_slice s)
{
    size_t i;

    for (i = 0; i < s.len; i++) {
        char c = s.at[i];

        if (!ad_http_is_alpha(c) &&
            (i == 0 || (!ad_is_digit(c) && c != '+' && c != '-' && c != '.'))) {
            return false;
        }
    }
    return s.len > 0;
}

/* Split `scheme://rest`. False if s does not begin with a scheme and "://". */
static bool ad_http_cut_scheme(struct ad_slice s, struct ad_slice *scheme,
                               struct ad_slice *rest)
{
    size_t i = 0;

    while (i < s.len && s.at[i] != ':') {
        i++;
    }
    scheme->at = s.at;
    scheme->len = i;
    *rest = ad_slice_from(s, i);
    if (!ad_http_is_scheme(*scheme) || !ad_slice_begins(*rest, "://")) {
        return false;
    }
    *rest = ad_slice_from(*rest, 3);
    return true;
}

/* Parse the value of an Origin field, RFC 6454 7.1: "null", or scheme, host and
 * port without a path. False if it is neither; a list of origins, which no
 * browser sends, is refused as well. */
static bool ad_http_origin_parse(struct ad_http_origin *origin,
                                 struct ad_slice s)
{
    struct ad_http_host host;
    struct ad_slice scheme, rest;

    memset(origin, 0, sizeof(*origin));
    if (ad_slice_is(s, "null")) {
        origin->opaque = true;
        return true;
    }
    if (!ad_http_cut_scheme(s, &scheme, &rest) ||
        !ad_http_host_parse(&host, rest)) {
        return false;
    }
    *origin = ad_http_origin_of(scheme, &host);
    return true;
}

/* RFC 6454 5: the same scheme, host and port. */
static bool ad_http_origin_same(const struct ad_http_origin *a,
                                const struct ad_http_origin *b)
{
    return !a->opaque && !b->opaque && a->port == b->port &&
           ad_slice_equal_nocase(a->scheme, b->scheme) &&
           ad_http_host_same(&a->host, &b->host);
}

#endif
