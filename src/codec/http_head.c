/* http_head.c - the one strict parser of HTTP/1 heads, for requests and for
 * answers: RFC 9110, RFC 9112.
 *
 *   ad_http_find_next      where does the head end, in bytes that still come?
 *   ad_http_parse_request  is it a request, and how long is its body?
 *
 * http_answer.c has ad_http_parse_answer(), with the same rules.
 *
 * Pure: no socket, no clock, no state but what the caller passes. Any thread.
 * A head that is accepted here has one meaning to every strict reader. Where
 * RFC 9112 lets a reader repair a head, this one refuses it, because two
 * readers that repair differently see different requests (RFC 9112 11.2):
 *
 *   - Lines end in CRLF. A lone LF or CR is refused (2.2 lets a reader take
 *     LF; llhttp refused to after CVE-2022-32214, netty by default).
 *   - One empty line before a request is dropped, as 2.2 asks: old clients send
 *     one after a body. A second one, and any before an answer, is refused.
 *   - No folded lines (5.2), no blanks before the colon (5.1), no blanks but
 *     one between the words of a request line (3).
 *   - One length: Transfer-Encoding beside Content-Length, or in HTTP/1.0, is
 *     refused (6.1), and so are Content-Lengths that differ (6.3).
 */
#ifndef AD_CODEC_HTTP_HEAD_C
#define AD_CODEC_HTTP_HEAD_C

#include "../base/decimal.c"
#include "http_fault.c"
#include "http_field.c"

enum {
    AD_HTTP_METHOD_MAX = 31,   /* bytes; the longest registered one has 17 */
    AD_HTTP_TARGET_MAX = 8192, /* bytes; RFC 9112 3 asks for 8000 */
    /* Bytes of the Connection values in all. Each field that is passed on is
     * looked for in them, so that the limits multiply: 32 KiB of them would
     * cost the reader 25 ms a head. */
    AD_HTTP_CONNECTION_MAX = 512,
    /* METHOD SP TARGET SP HTTP/1.1, without its CRLF */
    AD_HTTP_REQUEST_LINE_MAX = AD_HTTP_METHOD_MAX + 1 + AD_HTTP_TARGET_MAX + 9
};

/* The longest body that a Content-Length may announce. */
#define AD_HTTP_LENGTH_MAX ((uint64_t)INT64_MAX)

/* ---- the parsed head ---- */

/* RFC 9112 3.2. There is no authority-form: it belongs to CONNECT alone. */
enum ad_http_form { AD_HTTP_ORIGIN_FORM, AD_HTTP_ABSOLUTE_FORM,
                    AD_HTTP_ASTERISK_FORM };

/* RFC 9112 6.3: how the body is delimited. */
enum ad_http_framing {
    AD_HTTP_NO_BODY,     /* also a Content-Length of 0 */
    AD_HTTP_BY_LENGTH,
    AD_HTTP_BY_CHUNKS,
    AD_HTTP_UNTIL_CLOSE  /* answers alone */
};

/* Slices point into the bytes that were parsed (path may be a static "/" or
 * "*"), and are valid as long as these are. */
struct ad_http_head {
    struct ad_slice method;  /* of a request; empty in an answer */
    struct ad_slice target;  /* as it was sent */
    struct ad_slice path;    /* begins with "/", or is "*"; not decoded */
    struct ad_slice query;   /* behind the first "?"; may be empty */
    struct ad_slice reason;  /* of an answer; may be empty */
    struct ad_http_host host; /* the target's, else the Host field's */
    struct ad_http_fields fields;
    uint64_t length;         /* Content-Length, 0 if there is none */
    size_t len;              /* bytes of the head, with its empty line */
    uint16_t status;         /* of an answer, 100..999; 0 in a request */
    uint8_t minor;           /* HTTP/1.minor: 0 or 1 */
    uint8_t form;            /* enum ad_http_form */
    uint8_t framing;         /* enum ad_http_framing */
    bool has_query;
    bool has_host;           /* always, in a request of HTTP/1.1 */
    bool has_length;         /* an answer to HEAD has one without a body */
    bool coded;              /* an answer's body carries codings that are not
                              * undone: without its Transfer-Encoding it must
                              * not be passed on */
    bool expects_continue;   /* RFC 9110 10.1.1, and there is a body */
};

static bool ad_http_is_method(const struct ad_http_head *head,
                              const char *method)
{
    return ad_slice_is(head->method, method);
}

/* ---- the first line ---- */

/* RFC 9112 2.3: "HTTP/" DIGIT "." DIGIT. `malformed` is the fault if it is
 * nothing like it. */
static enum ad_http_fault ad_http_version(struct ad_slice s, uint8_t *minor,
                                          enum ad_http_fault malformed)
{
    if (s.len != 8 || !ad_slice_begins(s, "HTTP/") || !ad_is_digit(s.at[5]) ||
        s.at[6] != '.' || !ad_is_digit(s.at[7])) {
        return malformed;
    }
    if (s.at[5] != '1' || s.at[7] > '1') {
        return AD_HTTP_BAD_VERSION;
    }
    *minor = (uint8_t)(s.at[7] - '0');
    return AD_HTTP_OK;
}

/* Visible ASCII without "#", which only ever begins a fragment (RFC 9112 3.2).
 * Browsers send some characters that RFC 3986 wants escaped, like "|": they are
 * let through. */
static bool ad_http_target_ok(struct ad_slice s)
{
    size_t i = 0;

    while (i < s.len && s.at[i] > 0x20 && s.at[i] < 0x7F && s.at[i] != '#') {
        i++;
    }
    return s.len > 0 && i == s.len;
}

/* RFC 3986 2.1: each "%" of a path begins an escape, and none is a NUL. A query
 * may hold a lone "%": nobody here decodes it. */
static bool ad_http_path_ok(struct ad_slice s)
{
    size_t i;

    for (i = 0; i < s.len; i++) {
        if (s.at[i] == '%') {
            if (s.len - i < 3 || ad_hex(s.at[i + 1]) < 0 ||
                ad_hex(s.at[i + 2]) < 0 ||
                (s.at[i + 1] == '0' && s.at[i + 2] == '0')) {
                return false;
            }
        }
    }
    return true;
}

/* Split what follows the authority into path and query. */
static void ad_http_split_path(struct ad_http_head *head, struct ad_slice s)
{
    const char *mark = s.len > 0 ? memchr(s.at, '?', s.len) : NULL;

    head->path = s;
    if (mark != NULL) {
        head->path = ad_slice_between(s.at, mark);
        head->query = ad_slice_between(mark + 1, s.at + s.len);
        head->has_query = true;
    }
}

/* RFC 9112 3.2.2, RFC 9110 4.2: http://host:port/path?query */
static enum ad_http_fault ad_http_absolute_form(struct ad_http_head *head)
{
    struct ad_slice scheme, rest, authority;
    size_t i = 0;

    head->form = AD_HTTP_ABSOLUTE_FORM;
    if (!ad_http_cut_scheme(head->target, &scheme, &rest)) {
        return AD_HTTP_BAD_TARGET;
    }
    if (!ad_slice_is_nocase(scheme, "http") &&
        !ad_slice_is_nocase(scheme, "https")) {
        return AD_HTTP_BAD_SCHEME;
    }
    while (i < rest.len && rest.at[i] != '/' && rest.at[i] != '?') {
        i++;
    }
    authority = ad_slice_between(rest.at, rest.at + i);
    if (!ad_http_host_parse(&head->host, authority)) {
        return AD_HTTP_BAD_TARGET;
    }
    head->has_host = true;
    ad_http_split_path(head, ad_slice_from(rest, i));
    if (head->path.len == 0) { /* RFC 9110 4.2.3, RFC 9112 3.2.4 */
        bool asterisk = ad_http_is_method(head, "OPTIONS") && !head->has_query;

        head->path = ad_slice_of(asterisk ? "*" : "/");
    }
    return AD_HTTP_OK;
}

/* RFC 9112 3.2: the four forms of a target. */
static enum ad_http_fault ad_http_target(struct ad_http_head *head)
{
    enum ad_http_fault fault = AD_HTTP_OK;

    if (head->target.len > AD_HTTP_TARGET_MAX) {
        return AD_HTTP_LONG_TARGET;
    }
    if (!ad_http_target_ok(head->target)) {
        return AD_HTTP_BAD_TARGET;
    }
    if (ad_http_is_method(head, "CONNECT")) {
        struct ad_http_host host;

        return ad_http_host_parse(&host, head->target) && host.has_port
                   ? AD_HTTP_CONNECT
                   : AD_HTTP_BAD_TARGET;
    }
    if (ad_slice_is(head->target, "*")) {
        head->form = AD_HTTP_ASTERISK_FORM;
        head->path = head->target;
        return ad_http_is_method(head, "OPTIONS") ? AD_HTTP_OK
                                                  : AD_HTTP_BAD_TARGET;
    }
    if (head->target.at[0] == '/') {
        ad_http_split_path(head, head->target);
    } else {
        fault = ad_http_absolute_form(head);
    }
    if (fault == AD_HTTP_OK && !ad_http_path_ok(head->path)) {
        fault = AD_HTTP_BAD_TARGET;
    }
    return fault;
}

/* RFC 9112 3: method SP target SP version. */
static enum ad_http_fault ad_http_request_line(struct ad_http_head *head,
                                               struct ad_slice line)
{
    struct ad_slice *const word[] = {&head->method, &head->target};
    enum ad_http_fault fault;
    size_t i;

    for (i = 0; i < 2; i++) {
        const char *space = line.len > 0 ? memchr(line.at, ' ', line.len)
                                         : NULL;

        if (space == NULL) {
            return AD_HTTP_BAD_REQUEST_LINE;
        }
        *word[i] = ad_slice_between(line.at, space);
        line = ad_slice_from(line, word[i]->len + 1);
    }
    if (!ad_http_is_token(head->method)) {
        return AD_HTTP_BAD_METHOD;
    }
    if (head->method.len > AD_HTTP_METHOD_MAX) {
        return AD_HTTP_LONG_METHOD;
    }
    fault = ad_http_version(line, &head->minor, AD_HTTP_BAD_REQUEST_LINE);
    return fault == AD_HTTP_OK ? ad_http_target(head) : fault;
}

/* RFC 9112 4: version SP 3DIGIT SP [ reason ]. Some servers leave the last
 * space out when there is no reason: nothing can be mistaken in that. */
static enum ad_http_fault ad_http_status_line(struct ad_http_head *head,
                                              struct ad_slice line)
{
    uint64_t status;
    struct ad_slice version = {line.at, 8};
    enum ad_http_fault fault;

    if (line.len < 12 || line.at[8] != ' ' || line.at[9] == '0' ||
        !ad_decimal_u64(line.at + 9, 3, 999, &status) ||
        (line.len > 12 && line.at[12] != ' ')) {
        return AD_HTTP_BAD_STATUS_LINE;
    }
    fault = ad_http_version(version, &head->minor, AD_HTTP_BAD_STATUS_LINE);
    if (fault != AD_HTTP_OK) {
        return fault;
    }
    head->status = (uint16_t)status;
    head->reason = ad_slice_from(line, line.len > 12 ? 13 : 12);
    return ad_http_is_value(head->reason) ? AD_HTTP_OK
                                          : AD_HTTP_BAD_STATUS_LINE;
}

/* ---- where the head ends ---- */

/* How far the search for the end of a head has come. The buffer holds the bytes
 * of the connection from `0` on, and only ever grows. */
struct ad_http_find {
    size_t max;      /* bytes that a head may have, an empty line before it too */
    size_t at;       /* bytes that were looked at */
    size_t start;    /* where the head begins: 0, or 2 behind an empty line */
    size_t line;     /* where the line under way begins */
    size_t end;      /* where the head ends and the body begins; 0: not yet */
    bool answer;     /* an answer, not a request */
    bool begun;      /* the first bytes were judged, and can begin a head */
    bool line_done;  /* the first line was judged */
};

static void ad_http_find_begin(struct ad_http_find *f, bool answer, size_t max)
{
    memset(f, 0, sizeof(*f));
    f->answer = answer;
    f->max = max;
}

/* Do the bytes begin with this text, as far as they and it go? */
static bool ad_http_may_be(const char *buf, size_t len, const char *text,
                           size_t text_len)
{
    return memcmp(buf, text, len < text_len ? len : text_len) == 0;
}

/* What is no HTTP/1 although it may be the first thing on a connection. */
static enum ad_http_fault ad_http_other_protocol(const char *buf, size_t len)
{
    /* the PROXY protocol of HAProxy, versions 1 and 2; RFC 9113 3.4; RFC 8446
     * 5.1: a handshake record of TLS 1.x */
    static const struct {
        const char *text;
        size_t len;
        enum ad_http_fault fault;
    } other[] = {
        {"\x16\x03", 2, AD_HTTP_IS_TLS},
        {"PRI * HTTP/2.0", 14, AD_HTTP_IS_HTTP2},
        {"PROXY TCP4 ", 11, AD_HTTP_IS_PROXY_PROTOCOL},
        {"PROXY TCP6 ", 11, AD_HTTP_IS_PROXY_PROTOCOL},
        {"PROXY UNKNOWN", 13, AD_HTTP_IS_PROXY_PROTOCOL},
        {"\r\n\r\n\0\r\nQUIT\n", 12, AD_HTTP_IS_PROXY_PROTOCOL},
    };
    size_t i;

    for (i = 0; i < AD_COUNT(other); i++) {
        if (ad_http_may_be(buf, len, other[i].text, other[i].len)) {
            return len < other[i].len ? AD_HTTP_MORE : other[i].fault;
        }
    }
    return AD_HTTP_OK;
}

/* Judge the first bytes of a request: AD_HTTP_OK once its method is whole. */
static enum ad_http_fault ad_http_find_method(struct ad_http_find *f,
                                              const char *buf, size_t len)
{
    enum ad_http_fault fault = ad_http_other_protocol(buf, len);
    size_t i;

    if (fault != AD_HTTP_OK) {
        return fault;
    }
    if (buf[0] == '\r' && buf[1] == '\n') { /* alone, it may be PROXY */
        f->start = 2;
        f->line = 2;
        if (buf[2] == '\r' || buf[2] == '\n') {
            return AD_HTTP_EMPTY_LINES;
        }
    }
    for (i = f->start; i < len; i++) {
        if (buf[i] == ' ' && i > f->start) {
            return AD_HTTP_OK;
        }
        if (!ad_http_is_token_char(buf[i])) {
            return AD_HTTP_BAD_METHOD;
        }
        if (i - f->start == AD_HTTP_METHOD_MAX) {
            return AD_HTTP_LONG_METHOD;
        }
    }
    return AD_HTTP_MORE;
}

/* Judge the first bytes of an answer. */
static enum ad_http_fault ad_http_find_version(const char *buf, size_t len)
{
    if (!ad_http_may_be(buf, len, "HTTP/1.", 7)) {
        return AD_HTTP_BAD_STATUS_LINE;
    }
    return len < 7 ? AD_HTTP_MORE : AD_HTTP_OK;
}

/* Judge the first line, of which `len` bytes are there; `whole`: its LF is the
 * next. */
static enum ad_http_fault ad_http_find_line(struct ad_http_find *f,
                                            const char *line, size_t len,
                                            bool whole)
{
    struct ad_slice text = {line, len - 1};
    struct ad_http_head head;

    if (!f->answer && len > AD_HTTP_REQUEST_LINE_MAX + 1) {
        return AD_HTTP_LONG_TARGET;
    }
    if (!whole) {
        return AD_HTTP_MORE;
    }
    if (len == 0 || line[len - 1] != '\r') {
        return AD_HTTP_BARE_LF;
    }
    f->line_done = true;
    memset(&head, 0, sizeof(head));
    return f->answer ? ad_http_status_line(&head, text)
                     : ad_http_request_line(&head, text);
}

/* Look at what has come: buf[0..len). Returns AD_HTTP_MORE; AD_HTTP_OK when the
 * head lies whole in [f->start, f->end); or the first fault, seen as early as
 * the bytes can show it. What it returns depends on the bytes alone, never on
 * the pieces in which they came. Each byte is looked at a few times in all,
 * however many pieces there are. */
static enum ad_http_fault ad_http_find_next(struct ad_http_find *f,
                                            const char *buf, size_t len)
{
    size_t seen = len < f->max ? len : f->max;
    enum ad_http_fault fault;

    if (!f->begun && seen > 0) {
        fault = f->answer ? ad_http_find_version(buf, seen)
                          : ad_http_find_method(f, buf, seen);
        f->begun = fault == AD_HTTP_OK;
        if (fault != AD_HTTP_OK && fault != AD_HTTP_MORE) {
            return fault;
        }
        f->at = f->begun ? f->start : 0;
    }
    while (f->begun && f->at < seen) {
        const char *lf = memchr(buf + f->at, '\n', seen - f->at);
        size_t end = lf != NULL ? (size_t)(lf - buf) : seen;

        f->at = lf != NULL ? end + 1 : seen;
        if (!f->line_done) {
            fault = ad_http_find_line(f, buf + f->line, end - f->line,
                                      lf != NULL);
            if (fault != AD_HTTP_OK && fault != AD_HTTP_MORE) {
                return fault;
            }
        } else if (lf != NULL) {
            if (end == f->line || lf[-1] != '\r') {
                return AD_HTTP_BARE_LF;
            }
            if (end - 1 == f->line) {
                f->end = end + 1;
                return AD_HTTP_OK;
            }
        }
        if (lf != NULL) {
            f->line = f->at;
        }
    }
    if (len < f->max) {
        return AD_HTTP_MORE;
    }
    return f->line_done || f->answer ? AD_HTTP_LONG_HEAD : AD_HTTP_LONG_TARGET;
}

/* ---- field lines ---- */

/* Cut a line off the front of *rest, without its CRLF. */
static enum ad_http_fault ad_http_cut_line(struct ad_slice *rest,
                                           struct ad_slice *line)
{
    const char *lf = rest->len > 0 ? memchr(rest->at, '\n', rest->len) : NULL;

    if (lf == NULL) {
        return AD_HTTP_MORE;
    }
    if (lf == rest->at || lf[-1] != '\r') {
        return AD_HTTP_BARE_LF;
    }
    *line = ad_slice_between(rest->at, lf - 1);
    *rest = ad_slice_from(*rest, line->len + 2);
    return AD_HTTP_OK;
}

/* RFC 9112 5: field-name ":" OWS field-value OWS */
static enum ad_http_fault ad_http_field_line(struct ad_http_field *field,
                                             struct ad_slice line)
{
    size_t i = 0;

    if (ad_http_is_blank(line.at[0])) {
        return AD_HTTP_FOLDED;
    }
    while (i < line.len && ad_http_is_token_char(line.at[i])) {
        i++;
    }
    if (i == line.len || (i > 0 && ad_http_is_blank(line.at[i]))) {
        return AD_HTTP_NO_COLON;
    }
    if (i == 0 || line.at[i] != ':') {
        return AD_HTTP_BAD_NAME;
    }
    field->name = ad_slice_between(line.at, line.at + i);
    field->value = ad_slice_trim(ad_slice_from(line, i + 1));
    return ad_http_is_value(field->value) ? AD_HTTP_OK : AD_HTTP_BAD_VALUE;
}

static enum ad_http_fault ad_http_connection_length(
    const struct ad_http_fields *fields)
{
    size_t i, len = 0;

    for (i = 0; i < fields->n; i++) {
        if (ad_slice_is_nocase(fields->at[i].name, "Connection")) {
            len += fields->at[i].value.len;
        }
    }
    return len <= AD_HTTP_CONNECTION_MAX ? AD_HTTP_OK
                                         : AD_HTTP_LONG_CONNECTION;
}

/* The lines up to the empty one; *rest is what follows it. */
static enum ad_http_fault ad_http_field_lines(struct ad_http_fields *fields,
                                              struct ad_slice *rest)
{
    for (;;) {
        struct ad_slice line;
        enum ad_http_fault fault = ad_http_cut_line(rest, &line);

        if (fault != AD_HTTP_OK) {
            return fault;
        }
        if (line.len == 0) {
            return ad_http_connection_length(fields);
        }
        if (fields->n == fields->max) {
            return AD_HTTP_MANY_FIELDS;
        }
        fault = ad_http_field_line(&fields->at[fields->n], line);
        if (fault != AD_HTTP_OK) {
            return fault;
        }
        fields->n++;
    }
}

/* ---- the length of the body ---- */

/* RFC 9112 6.3, RFC 9110 8.6: digits; equal values are one. */
static enum ad_http_fault ad_http_content_length(struct ad_http_head *head)
{
    size_t i;

    for (i = 0; i < head->fields.n; i++) {
        struct ad_slice rest = head->fields.at[i].value, item;

        if (!ad_slice_is_nocase(head->fields.at[i].name, "Content-Length")) {
            continue;
        }
        while (ad_http_cut(&rest, ',', &item)) {
            uint64_t length;

            if (!ad_decimal_is(item.at, item.len)) {
                return AD_HTTP_BAD_LENGTH;
            }
            if (!ad_decimal_u64(item.at, item.len, AD_HTTP_LENGTH_MAX,
                                &length)) {
                return AD_HTTP_LONG_BODY;
            }
            if (head->has_length && length != head->length) {
                return AD_HTTP_TWO_LENGTHS;
            }
            head->has_length = true;
            head->length = length;
        }
    }
    return AD_HTTP_OK;
}

/* RFC 9112 6.1, 7. `last`: the last coding is chunked, and no other is. `alone`:
 * and there is no other. */
static enum ad_http_fault ad_http_codings(const struct ad_http_head *head,
                                          bool *last, bool *alone)
{
    struct ad_http_list list = ad_http_list_of(&head->fields,
                                               "Transfer-Encoding");
    struct ad_slice item, value;
    size_t n = 0, chunked = 0;

    *last = false;
    while (ad_http_list_next(&list, &item)) {
        *last = ad_slice_is_nocase(item, "chunked");
        chunked += *last ? 1 : 0;
        n++;
    }
    *alone = *last && n == 1;
    if (n == 0 || chunked > 1) {
        return AD_HTTP_BAD_CODING;
    }
    /* `,chunked` means chunked too, but not to every reader. */
    if (*alone &&
        (ad_http_field_count(&head->fields, "Transfer-Encoding", &value) > 1 ||
         !ad_slice_is_nocase(value, "chunked"))) {
        return AD_HTTP_BAD_CODING;
    }
    return chunked > 0 && !*last && head->status == 0 ? AD_HTTP_BAD_CODING
                                                      : AD_HTTP_OK;
}

/* RFC 9112 6.3, but for the answers that never have a body. */
static enum ad_http_fault ad_http_body_framing(struct ad_http_head *head)
{
    enum ad_http_fault fault = ad_http_content_length(head);
    struct ad_slice value;
    bool last, alone;

    if (fault != AD_HTTP_OK) {
        return fault;
    }
    if (!ad_http_field_get(&head->fields, "Transfer-Encoding", &value)) {
        if (head->has_length) {
            head->framing = head->length > 0 ? AD_HTTP_BY_LENGTH
                                             : AD_HTTP_NO_BODY;
        } else {
            head->framing = head->status != 0 ? AD_HTTP_UNTIL_CLOSE
                                              : AD_HTTP_NO_BODY;
        }
        return AD_HTTP_OK;
    }
    if (head->has_length) {
        return AD_HTTP_LENGTH_AND_CODING;
    }
    if (head->minor == 0) {
        return AD_HTTP_OLD_CODING;
    }
    fault = ad_http_codings(head, &last, &alone);
    if (fault != AD_HTTP_OK) {
        return fault;
    }
    if (head->status == 0 && !alone) {
        return AD_HTTP_UNKNOWN_CODING;
    }
    head->framing = last ? AD_HTTP_BY_CHUNKS : AD_HTTP_UNTIL_CLOSE;
    head->coded = !alone;
    return AD_HTTP_OK;
}

/* ---- the whole head ---- */

static void ad_http_head_begin(struct ad_http_head *head,
                               struct ad_http_field *fields, size_t max)
{
    memset(head, 0, sizeof(*head));
    head->fields.at = fields;
    head->fields.max = max;
}

/* RFC 9112 3.2: one Host in HTTP/1.1, at most one in HTTP/1.0. An absolute
 * target's host counts before it (3.2.2), but it must be valid all the same. */
static enum ad_http_fault ad_http_host_field(struct ad_http_head *head)
{
    struct ad_http_host host;
    struct ad_slice value;
    size_t n = ad_http_field_count(&head->fields, "Host", &value);

    if (n > 1) {
        return AD_HTTP_TWO_HOSTS;
    }
    if (n == 0) {
        return head->minor == 0 ? AD_HTTP_OK : AD_HTTP_NO_HOST;
    }
    if (!ad_http_host_parse(&host, value)) {
        return AD_HTTP_BAD_HOST;
    }
    if (!head->has_host) {
        head->host = host;
        head->has_host = true;
    }
    return AD_HTTP_OK;
}

/* RFC 9110 10.1.1. HTTP/1.0 does not know it. */
static enum ad_http_fault ad_http_expect(struct ad_http_head *head)
{
    struct ad_http_list list = ad_http_list_of(&head->fields, "Expect");
    struct ad_slice item;

    while (head->minor > 0 && ad_http_list_next(&list, &item)) {
        if (!ad_slice_is_nocase(item, "100-continue")) {
            return AD_HTTP_BAD_EXPECT;
        }
        head->expects_continue = head->framing != AD_HTTP_NO_BODY;
    }
    return AD_HTTP_OK;
}

/* Parse a request head that ad_http_find_next has found: buf begins with the
 * request line. fields[0..max) takes the field lines; max is
 * AD_HTTP_FIELDS or less. AD_HTTP_OK, or the first fault, and then only
 * head->method, target and minor may be looked at, as far as they are set.
 * Bytes behind the head are not looked at: head->len is its length. */
static enum ad_http_fault ad_http_parse_request(struct ad_http_head *head,
                                                const char *buf, size_t len,
                                                struct ad_http_field *fields,
                                                size_t max)
{
    struct ad_slice rest = {buf, len}, line;
    enum ad_http_fault fault;

    ad_http_head_begin(head, fields, max);
    fault = ad_http_cut_line(&rest, &line);
    if (fault == AD_HTTP_OK) {
        fault = ad_http_request_line(head, line);
    }
    if (fault == AD_HTTP_OK) {
        fault = ad_http_field_lines(&head->fields, &rest);
    }
    head->len = len - rest.len;
    if (fault == AD_HTTP_OK) {
        fault = ad_http_host_field(head);
    }
    if (fault == AD_HTTP_OK) {
        fault = ad_http_body_framing(head);
    }
    return fault == AD_HTTP_OK ? ad_http_expect(head) : fault;
}

#endif
