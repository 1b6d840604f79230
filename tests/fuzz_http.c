/* HTTP heads and bodies, whole and cut in pieces: both ways must find the same,
 * and what is accepted must hold no byte that another reader could take for
 * something else.
 *
 * Byte 0 chooses the kind: a request, an answer, an answer to HEAD, a chunked
 * body, a Host and Origin value. Byte 1 chooses the pieces. */
#include "../src/codec/http_answer.c"
#include "../src/codec/http_semantics.c"
#include "../src/codec/http_write.c"
#include "put_host.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REQUEST, ANSWER, ANSWER_TO_HEAD, CHUNKS, VALUES, KINDS };
enum { HEAD_MAX = 4096 };

static void must(bool condition)
{
    if (!condition) {
        __builtin_trap();
    }
}

static void inside(struct ad_slice s, const char *buf, size_t len)
{
    must(s.len == 0 || (s.at >= buf && s.at + s.len <= buf + len));
}

static bool same_slice(struct ad_slice a, struct ad_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* ---- heads ---- */

static enum ad_http_fault find(struct ad_http_find *f, const char *buf,
                               size_t len, bool answer, size_t step)
{
    enum ad_http_fault fault = AD_HTTP_MORE;
    size_t n = 0;

    ad_http_find_begin(f, answer, HEAD_MAX);
    while (fault == AD_HTTP_MORE && n < len) {
        n = len - n < step ? len : n + step;
        fault = ad_http_find_next(f, buf, n);
    }
    return fault;
}

static void check_fields(const struct ad_http_head *head, const char *buf,
                         size_t len)
{
    struct ad_slice ignored;
    size_t i, k;

    must(head->fields.n <= head->fields.max);
    for (i = 0; i < head->fields.n; i++) {
        struct ad_slice name = head->fields.at[i].name;
        struct ad_slice value = head->fields.at[i].value;

        inside(name, buf, len);
        inside(value, buf, len);
        must(name.len > 0 && memchr(name.at, ':', name.len) == NULL);
        for (k = 0; k < name.len; k++) {
            must(name.at[k] > ' ' && name.at[k] < 0x7F);
        }
        for (k = 0; k < value.len; k++) {
            unsigned char c = (unsigned char)value.at[k];

            must(c == '\t' || (c >= ' ' && c != 0x7F));
        }
        must(value.len == 0 ||
             (value.at[0] != ' ' && value.at[0] != '\t' &&
              value.at[value.len - 1] != ' ' &&
              value.at[value.len - 1] != '\t'));
        (void)ad_http_is_hop_by_hop(head, name);
    }
    if (head->framing == AD_HTTP_BY_CHUNKS) {
        must(ad_http_field_count(&head->fields, "Content-Length", &ignored) ==
             0);
        must(head->minor == 1);
    }
    if (head->framing == AD_HTTP_BY_LENGTH) {
        must(head->has_length && head->length > 0);
        must(ad_http_field_count(&head->fields, "Transfer-Encoding",
                                 &ignored) == 0);
    }
}

static void ask_all(const struct ad_http_head *head)
{
    struct ad_http_forwarded forwarded;
    int q = ad_http_coding_weight(head, "identity");

    must(q >= -1 && q <= 1000);
    if (ad_http_wants_gzip(head)) {
        must(ad_http_coding_weight(head, "gzip") >= (q > 0 ? q : 1));
    }
    (void)ad_http_keep_alive(head);
    if (ad_http_judge_handshake(head) == AD_HTTP_OK) {
        must(head->framing == AD_HTTP_NO_BODY && head->minor == 1);
    }
    if (ad_http_read_forwarded(head, &forwarded)) {
        must(forwarded.scheme.len == 0 || forwarded.scheme.len == 4 ||
             forwarded.scheme.len == 5);
    }
}

/* Who asks, by what the head and its proxies say. */
static void ask_who(const struct ad_http_head *head)
{
    static const char *const named[] = {"X-Forwarded-For", "Forwarded"};
    struct ad_slice agent = ad_http_product(head), key = ad_http_api_key(head);
    unsigned i;

    must(agent.len == 0 || ad_http_is_token(agent));
    must(key.len == 0 || (key.at[0] != ' ' && key.at[key.len - 1] != ' '));
    if (ad_http_wants_csv(head)) {
        must(ad_http_type_weight(head, "application/json") < 1000);
    }
    for (i = 0; i < 2; i++) {
        struct ad_http_list list = ad_http_list_of(&head->fields, named[i]);
        struct ad_slice item;
        char text[INET6_ADDRSTRLEN];
        uint8_t ip[16], again[16];

        while (ad_http_list_next(&list, &item)) {
            if (ad_http_forwarded_for(named[i], item, ip)) {
                must(inet_ntop(AF_INET6, ip, text, sizeof(text)) != NULL);
                must(ad_http_node_address(ad_slice_of(text), again) &&
                     memcmp(ip, again, sizeof(ip)) == 0);
            }
        }
    }
}

/* Write it anew, parse that, and find the same request. */
static void again(const struct ad_http_head *a)
{
    static char out[2 * HEAD_MAX + 1024];
    static struct ad_http_field fields[AD_HTTP_FIELDS + 1];
    struct ad_text t = ad_text_in(out, sizeof(out));
    struct ad_http_head b;
    struct ad_http_find f;
    size_t i;

    must(ad_http_put_request_line(&t, a->method, a->path,
                                  a->has_query ? &a->query : NULL));
    if (a->has_host) {
        put_host(&t, &a->host);
    } else {
        must(ad_http_put_field_text(&t, "Host", "engine"));
    }
    for (i = 0; i < a->fields.n; i++) {
        struct ad_http_field field = a->fields.at[i];

        if (!ad_slice_is_nocase(field.name, "Host") &&
            !ad_slice_is_nocase(field.name, "Content-Length") &&
            !ad_slice_is_nocase(field.name, "Expect")) {
            must(ad_http_put_field(&t, field.name, field.value));
        }
    }
    if (a->has_length) {
        ad_http_put_content_length(&t, a->length);
    }
    ad_http_put_end(&t);
    must(!t.full);
    ad_http_find_begin(&f, false, sizeof(out));
    must(ad_http_find_next(&f, out, t.len) == AD_HTTP_OK);
    must(f.start == 0 && f.end == t.len);
    must(ad_http_parse_request(&b, out, t.len, fields, AD_HTTP_FIELDS + 1) ==
         AD_HTTP_OK);
    must(same_slice(a->method, b.method) && same_slice(a->path, b.path) &&
         same_slice(a->query, b.query) && a->has_query == b.has_query);
    must(a->framing == b.framing && a->length == b.length &&
         a->has_length == b.has_length);
    must(!a->has_host || (ad_http_host_same(&a->host, &b.host) &&
                          a->host.port == b.host.port));
}

static void try_head(int kind, size_t step, const char *buf, size_t len)
{
    static struct ad_http_field fields[AD_HTTP_FIELDS];
    struct ad_http_find whole, cut;
    struct ad_http_head head;
    enum ad_http_fault fault;

    fault = find(&whole, buf, len, kind != REQUEST, len);
    must(find(&cut, buf, len, kind != REQUEST, step) == fault);
    must(whole.end == cut.end);
    if (fault != AD_HTTP_OK) {
        must(whole.end == 0);
        fault = kind == REQUEST
                    ? ad_http_parse_request(&head, buf, len, fields,
                                            AD_HTTP_FIELDS)
                    : ad_http_parse_answer(&head, buf, len, fields,
                                           AD_HTTP_FIELDS, false);
        /* all that the search refuses is refused by the parser as well, but
         * for a head that is too long for a connection */
        must(fault != AD_HTTP_OK || head.len > HEAD_MAX);
        return;
    }
    must(whole.start == cut.start && whole.end <= len &&
         whole.end <= HEAD_MAX);
    must(memcmp(buf + whole.end - 4, "\r\n\r\n", 4) == 0);
    buf += whole.start;
    len = whole.end - whole.start;
    if (kind != REQUEST) {
        if (ad_http_parse_answer(&head, buf, len, fields, AD_HTTP_FIELDS,
                                 kind == ANSWER_TO_HEAD) == AD_HTTP_OK) {
            must(head.len == len && head.status >= 100 && head.status <= 999);
            must(kind != ANSWER_TO_HEAD || head.framing == AD_HTTP_NO_BODY);
            inside(head.reason, buf, len);
            check_fields(&head, buf, len);
            (void)ad_http_keep_alive(&head);
        }
        return;
    }
    if (ad_http_parse_request(&head, buf, len, fields, AD_HTTP_FIELDS) !=
        AD_HTTP_OK) {
        return;
    }
    must(head.len == len && head.framing != AD_HTTP_UNTIL_CLOSE && !head.coded);
    inside(head.method, buf, len);
    inside(head.target, buf, len);
    inside(head.query, buf, len);
    if (!ad_slice_is(head.path, "/") && !ad_slice_is(head.path, "*")) {
        inside(head.path, buf, len);
    }
    must(head.has_host || head.minor == 0);
    check_fields(&head, buf, len);
    ask_all(&head);
    ask_who(&head);
    again(&head);
}

/* ---- chunked bodies ---- */

static uint64_t read_body(const uint8_t *in, size_t len, size_t step,
                          size_t *used)
{
    struct ad_body body;
    uint64_t sum = 7;
    size_t total = 0;

    memset(&body, 0, sizeof(body));
    body.state = AD_BODY_CHUNK_SIZE;
    *used = 0;
    while (*used < len && body.state < AD_BODY_DONE) {
        size_t given = len - *used < step ? len - *used : step, n, i, took;
        const uint8_t *data = NULL;

        took = ad_body_next(&body, in + *used, given, &data, &n);
        must(took > 0 && took <= given && n <= took);
        must(n == 0 || data == in + *used + took - n);
        for (i = 0; i < n; i++) {
            sum = sum * 31 + data[i];
        }
        total += n;
        *used += took;
    }
    must((body.state == AD_BODY_BAD) == (body.fault != AD_HTTP_OK));
    if (body.state == AD_BODY_DONE) {
        must(memcmp(in + *used - 4, "\r\n\r\n", 4) == 0 ||
             (*used >= 3 && in[*used - 1] == '\n' && in[*used - 2] == '\r'));
        must(total < *used);
    }
    return ((sum * 31 + total) * 31 + body.state) * 31 + body.fault;
}

static void try_chunks(size_t step, const uint8_t *in, size_t len)
{
    size_t used, cut;

    must(read_body(in, len, len, &used) == read_body(in, len, step, &cut));
    must(used == cut);
}

/* ---- values ---- */

static void try_values(const char *text, size_t len)
{
    struct ad_slice s = {text, len}, item, name;
    struct ad_http_origin origin;
    struct ad_http_host host, copy;
    char out[320];
    int weight;

    if (ad_http_host_parse(&host, s)) {
        struct ad_text t = ad_text_in(out, sizeof(out));

        inside(host.name, text, len);
        must(host.name.len > 0 && host.has_port == (host.port != 0));
        must(ad_http_host_same(&host, &host));
        put_host(&t, &host);
        must(!t.full && t.len > 8);
        item.at = out + 6;
        item.len = t.len - 8;
        must(ad_http_host_parse(&copy, item));
        must(ad_http_host_same(&host, &copy) && host.port == copy.port);
    }
    if (ad_http_origin_parse(&origin, s)) {
        must(ad_http_origin_same(&origin, &origin) == !origin.opaque);
    }
    while (ad_http_cut(&s, ',', &item)) {
        inside(item, text, len);
        if (ad_http_weighted(item, &name, &weight)) {
            must(weight >= 0 && weight <= 1000);
            inside(name, text, len);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t step;
    char *copy;

    if (size < 3) {
        return 0;
    }
    step = 1 + (size_t)data[1];
    size -= 2;
    copy = malloc(size); /* exactly: one byte too far is seen */
    must(copy != NULL);
    memcpy(copy, data + 2, size);
    switch (data[0] % KINDS) {
    case CHUNKS:
        try_chunks(step, (const uint8_t *)copy, size);
        break;
    case VALUES:
        try_values(copy, size);
        break;
    default:
        try_head(data[0] % KINDS, step, copy, size);
        break;
    }
    free(copy);
    return 0;
}
