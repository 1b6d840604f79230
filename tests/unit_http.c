/* src/codec/http_*.c: heads, their fields, handshakes, origins and bodies, well
 * formed and not. Each row names the section that it comes from. */
#include "../src/codec/http_answer.c"
#include "../src/codec/http_semantics.c"
#include "../src/codec/http_write.c"
#include "check.h"
#include "put_host.h"

#define HEAD_MAX 32768

/* A string literal that may hold NULs. */
#define LIT(text) text, sizeof(text) - 1

/* A copy of exactly its size, so that the address sanitizer sees each byte read
 * beyond the end. */
static char *tight(const char *s, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);

    memcpy(copy, s, len);
    return copy;
}

static void show(const char *s, size_t len)
{
    size_t i;

    printf("    ");
    for (i = 0; i < len && i < 200; i++) {
        if (s[i] >= 0x20 && s[i] < 0x7F) {
            printf("%c", s[i]);
        } else {
            printf("\\x%02x", (unsigned char)s[i]);
        }
    }
    printf("\n");
}

static bool same(struct ad_slice s, const char *text)
{
    bool ok = ad_slice_is(s, text);

    if (!ok) {
        printf("    got \"%.*s\", expected \"%s\"\n", (int)s.len, s.at, text);
    }
    return ok;
}

/* ---- whole heads, and heads in pieces ---- */

enum { REQUEST, ANSWER, ANSWER_TO_HEAD };

struct result {
    enum ad_http_fault fault;
    size_t start, end;
};

/* The search over a prefix of `first` bytes, and then over prefixes that grow
 * by `step`. */
static struct result search(const char *s, size_t len, int kind, size_t first,
                            size_t step, size_t max)
{
    struct ad_http_find find;
    struct result r;
    size_t n = first;

    ad_http_find_begin(&find, kind != REQUEST, max);
    for (;;) {
        char *copy = tight(s, n);

        r.fault = ad_http_find_next(&find, copy, n);
        free(copy);
        if (r.fault != AD_HTTP_MORE || n == len) {
            break;
        }
        n = len - n < step ? len : n + step;
    }
    r.start = find.start;
    r.end = find.end;
    return r;
}

/* Find and parse. The copy is the caller's to free; slices point into it. */
static enum ad_http_fault parse(struct ad_http_head *head,
                                struct ad_http_field *fields, const char *s,
                                size_t len, int kind, char **copy)
{
    struct result r = search(s, len, kind, len, 1, HEAD_MAX);
    enum ad_http_fault fault;

    *copy = NULL;
    memset(head, 0, sizeof(*head));
    if (r.fault != AD_HTTP_OK) {
        return r.fault;
    }
    *copy = tight(s + r.start, r.end - r.start);
    fault = kind == REQUEST
                ? ad_http_parse_request(head, *copy, r.end - r.start, fields,
                                        AD_HTTP_FIELDS)
                : ad_http_parse_answer(head, *copy, r.end - r.start, fields,
                                       AD_HTTP_FIELDS, kind == ANSWER_TO_HEAD);
    if (fault == AD_HTTP_OK) {
        CHECK_EQ(head->len, r.end - r.start);
    }
    return fault;
}

static enum ad_http_fault fault_of(const char *s, size_t len, int kind)
{
    static struct ad_http_field fields[AD_HTTP_FIELDS];
    struct ad_http_head head;
    char *copy;
    enum ad_http_fault fault = parse(&head, fields, s, len, kind, &copy);

    free(copy);
    return fault;
}

/* Whatever the pieces, the search says the same. */
static void in_pieces(const char *s, size_t len, int kind)
{
    struct result whole = search(s, len, kind, len, 1, HEAD_MAX);
    size_t i;
    bool good = true;

    for (i = 0; i <= len; i++) {
        struct result halves = search(s, len, kind, i, len, HEAD_MAX);

        good = good && halves.fault == whole.fault && halves.end == whole.end;
    }
    for (i = 1; i < 4; i++) {
        struct result drip = search(s, len, kind, 0, i, HEAD_MAX);

        good = good && drip.fault == whole.fault && drip.end == whole.end &&
               (drip.fault != AD_HTTP_OK || drip.start == whole.start);
    }
    CHECK(good);
    if (!good) {
        show(s, len);
    }
}

struct row {
    const char *section;
    int status; /* 200: accepted; 0: more bytes are needed */
    const char *text;
    size_t len;
};

static int status_of(enum ad_http_fault fault)
{
    return fault == AD_HTTP_MORE ? 0 : (int)ad_http_fault_status(fault);
}

/* The parser alone, without the search before it, refuses the same heads. */
static bool parser_refuses(const struct row *row, int kind)
{
    static struct ad_http_field fields[AD_HTTP_FIELDS];
    struct ad_http_head head;
    char *copy = tight(row->text, row->len);
    enum ad_http_fault fault =
        kind == REQUEST ? ad_http_parse_request(&head, copy, row->len, fields,
                                                AD_HTTP_FIELDS)
                        : ad_http_parse_answer(&head, copy, row->len, fields,
                                               AD_HTTP_FIELDS, false);

    free(copy);
    return fault != AD_HTTP_OK;
}

static void check_rows(const struct row *rows, size_t n, int kind)
{
    size_t i;

    for (i = 0; i < n; i++) {
        enum ad_http_fault fault = fault_of(rows[i].text, rows[i].len, kind);
        int status = status_of(fault);

        if (kind != REQUEST && status != 0 && status != 200) {
            status = 502;
        }
        CHECK_EQ(status, rows[i].status);
        if (status != rows[i].status) {
            printf("    %s: %s\n", rows[i].section, ad_http_fault_text(fault));
            show(rows[i].text, rows[i].len);
        }
        CHECK(rows[i].status == 200 || parser_refuses(&rows[i], kind));
        in_pieces(rows[i].text, rows[i].len, kind);
    }
}

#define H "Host: board\r\n"

static const struct row requests[] = {
    /* RFC 9112 3: the request line */
    {"9112 3", 200, LIT("GET / HTTP/1.1\r\n" H "\r\n")},
    {"9112 3", 200, LIT("GET / HTTP/1.0\r\n\r\n")},
    {"9112 3", 200, LIT("M-SEARCH /x HTTP/1.1\r\n" H "\r\n")},
    {"9112 3", 200, LIT("get / HTTP/1.1\r\n" H "\r\n")}, /* a method of its own */
    {"9112 3", 400, LIT("GET  / HTTP/1.1\r\n" H "\r\n")},
    {"9112 3", 400, LIT("GET /  HTTP/1.1\r\n" H "\r\n")},
    {"9112 3", 400, LIT("GET\t/ HTTP/1.1\r\n" H "\r\n")},
    {"9112 3", 400, LIT(" GET / HTTP/1.1\r\n" H "\r\n")},
    {"9112 3", 400, LIT("GET / HTTP/1.1 \r\n" H "\r\n")},
    {"9112 3", 400, LIT("GET /a b HTTP/1.1\r\n" H "\r\n")},
    {"9112 3", 400, LIT("GET /\r\n" H "\r\n")}, /* HTTP/0.9 */
    {"9112 3", 400, LIT("GET\r\n\r\n")},
    {"9112 3", 400, LIT("G\xC3\x89T / HTTP/1.1\r\n" H "\r\n")},
    {"9112 3", 400, LIT("GE(T / HTTP/1.1\r\n" H "\r\n")},
    {"9112 3", 400, LIT(":GET / HTTP/1.1\r\n" H "\r\n")},
    {"9112 3", 400, LIT("\0GET / HTTP/1.1\r\n" H "\r\n")},
    {"9112 3", 501, LIT("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n" H
                        "\r\n")},
    {"9112 3", 200, LIT("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n" H
                        "\r\n")},
    {"9112 3", 400, LIT("SSH-2.0-OpenSSH_9.9\r\n")},
    {"9112 3", 0, LIT("")},
    {"9112 3", 0, LIT("GET / HTTP/1.1\r\n" H)},
    {"9112 3", 0, LIT("GET / HTTP/1.1\r\n" H "\r")},
    {"9112 3", 200, LIT("GET / HTTP/1.1\r\n" H "\r\n\0\n\r\nbody")},
    /* RFC 9112 2.3: the version */
    {"9112 2.3", 505, LIT("GET / HTTP/2.0\r\n" H "\r\n")},
    {"9112 2.3", 505, LIT("GET / HTTP/1.2\r\n" H "\r\n")},
    {"9112 2.3", 505, LIT("GET / HTTP/0.9\r\n" H "\r\n")},
    {"9112 2.3", 400, LIT("GET / http/1.1\r\n" H "\r\n")},
    {"9112 2.3", 400, LIT("GET / HTTP/1.10\r\n" H "\r\n")},
    {"9112 2.3", 400, LIT("GET / HTTP/1,1\r\n" H "\r\n")},
    {"9112 2.3", 400, LIT("GET / HTTP/1\r\n" H "\r\n")},
    {"9112 2.3", 400, LIT("GET / HTTPS/1.1\r\n" H "\r\n")},
    {"9112 2.3", 400, LIT("GET / FTP/1.1\r\n" H "\r\n")},
    /* RFC 9112 3.2: the target */
    {"9112 3.2.1", 200, LIT("GET /a/b?c=%zz&d=?/ HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2.1", 200, LIT("GET //a|b{c} HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2.1", 400, LIT("GET /a#b HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2.1", 400, LIT("GET /\x01 HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2.1", 400, LIT("GET /\x7F HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2.1", 400, LIT("GET /\xC3\xA9 HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2.1", 400, LIT("GET /\0 HTTP/1.1\r\n" H "\r\n")},
    {"3986 2.1", 400, LIT("GET /a%2 HTTP/1.1\r\n" H "\r\n")},
    {"3986 2.1", 400, LIT("GET /a%zz HTTP/1.1\r\n" H "\r\n")},
    {"3986 2.1", 400, LIT("GET /a%00 HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2.2", 200, LIT("GET http://board/x HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2.2", 200, LIT("GET HTTP://board:8080?q HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2.2", 200, LIT("GET https://[::1]:1 HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2.2", 400, LIT("GET http://board/ HTTP/1.1\r\n\r\n")},
    {"9110 4.2.4", 400, LIT("GET http://me@board/ HTTP/1.1\r\n" H "\r\n")},
    {"9110 4.2.1", 400, LIT("GET http:///x HTTP/1.1\r\n" H "\r\n")},
    {"9110 4.2.1", 400, LIT("GET http:/x HTTP/1.1\r\n" H "\r\n")},
    {"9110 7.4", 421, LIT("GET ftp://board/x HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2", 400, LIT("GET x HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2", 400, LIT("GET ../x HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2.3", 501, LIT("CONNECT board:443 HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2.3", 400, LIT("CONNECT / HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2.3", 400, LIT("CONNECT board HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2.3", 400, LIT("GET board:443 HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2.4", 200, LIT("OPTIONS * HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2.4", 400, LIT("GET * HTTP/1.1\r\n" H "\r\n")},
    {"9112 3.2.4", 400, LIT("OPTIONS *x HTTP/1.1\r\n" H "\r\n")},
    /* RFC 9112 2.2: line ends, and empty lines before the request */
    {"9112 2.2", 200, LIT("\r\nGET / HTTP/1.1\r\n" H "\r\n")},
    {"9112 2.2", 400, LIT("\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n")},
    {"9112 2.2", 400, LIT("\nGET / HTTP/1.1\r\n" H "\r\n")},
    {"9112 2.2", 400, LIT("\r\n\nGET / HTTP/1.1\r\n" H "\r\n")},
    {"9112 2.2", 400, LIT("\rGET / HTTP/1.1\r\n" H "\r\n")},
    {"9112 2.2", 400, LIT("\r\n GET / HTTP/1.1\r\n" H "\r\n")},
    {"9112 2.2", 0, LIT("\r\n")},
    {"9112 2.2", 400, LIT("GET / HTTP/1.1\n" H "\r\n")},
    {"9112 2.2", 400, LIT("GET / HTTP/1.1\r\nHost: board\n\r\n")},
    {"9112 2.2", 400, LIT("GET / HTTP/1.1\r\n" H "\n")},
    {"9112 2.2", 400, LIT("GET / HTTP/1.1\r\n" H "A: b\rC: d\r\n\r\n")},
    {"9112 2.2", 400, LIT("GET / HTTP/1.1\r\n" H "A: b\r\r\n\r\n")},
    {"9112 2.2", 400, LIT("GET / HTTP/1.1\r\r\n" H "\r\n")},
    {"9112 2.2", 400, LIT("GET / HTTP/1.1\r\n " H "\r\n")},
    /* RFC 9112 5: field lines */
    {"9112 5", 200, LIT("GET / HTTP/1.1\r\nHost:board\r\n\r\n")},
    {"9112 5", 200, LIT("GET / HTTP/1.1\r\nhOST: \t board\t \r\n\r\n")},
    {"9112 5", 200, LIT("GET / HTTP/1.1\r\n" H "A:\r\nB: \t\r\n\r\n")},
    {"9110 5.5", 200, LIT("GET / HTTP/1.1\r\n" H "A: \x80\xFF \"x\r\n\r\n")},
    {"9112 5.1", 400, LIT("GET / HTTP/1.1\r\nHost : board\r\n\r\n")},
    {"9112 5.1", 400, LIT("GET / HTTP/1.1\r\nHost\t: board\r\n\r\n")},
    {"9112 5.1", 400, LIT("POST / HTTP/1.1\r\n" H "Content-Length : 5\r\n\r\n")},
    {"9112 5.1", 400, LIT("POST / HTTP/1.1\r\n" H
                          "Transfer-Encoding : chunked\r\n\r\n")},
    {"9112 5", 400, LIT("GET / HTTP/1.1\r\n" H ": x\r\n\r\n")},
    {"9112 5", 400, LIT("GET / HTTP/1.1\r\n" H "Name\r\n\r\n")},
    {"9112 5", 400, LIT("GET / HTTP/1.1\r\n" H "Na me: x\r\n\r\n")},
    {"9112 5", 400, LIT("GET / HTTP/1.1\r\n" H "N\xC3\xA9: x\r\n\r\n")},
    {"9112 5", 400, LIT("GET / HTTP/1.1\r\n" H "\xC3: x\r\n\r\n")},
    {"9112 5", 400, LIT("GET / HTTP/1.1\r\n" H "N(e): x\r\n\r\n")},
    {"9112 5", 400, LIT("GET / HTTP/1.1\r\n" H "N\0e: x\r\n\r\n")},
    {"9112 5", 400, LIT("GET / HTTP/1.1\r\n" H "Transfer\r-Encoding: chunked"
                        "\r\n\r\n")},
    {"9112 5.2", 400, LIT("GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n")},
    {"9112 5.2", 400, LIT("GET / HTTP/1.1\r\n" H "A: b\r\n\tc\r\n\r\n")},
    {"9112 5.2", 400, LIT("GET / HTTP/1.1\r\n" H "A: b\r\n \r\n\r\n")},
    {"9110 5.5", 400, LIT("GET / HTTP/1.1\r\n" H "A: b\0c\r\n\r\n")},
    {"9110 5.5", 400, LIT("GET / HTTP/1.1\r\n" H "A: b\x0B\r\n\r\n")},
    {"9110 5.5", 400, LIT("GET / HTTP/1.1\r\n" H "A: b\x7F\r\n\r\n")},
    {"9110 5.5", 400, LIT("GET / HTTP/1.1\r\n" H "A: \x1B[2J\r\n\r\n")},
    /* RFC 9112 3.2, RFC 9110 7.2: Host */
    {"9112 3.2", 400, LIT("GET / HTTP/1.1\r\n\r\n")},
    {"9112 3.2", 400, LIT("GET / HTTP/1.1\r\n" H H "\r\n")},
    {"9112 3.2", 400, LIT("GET / HTTP/1.0\r\n" H H "\r\n")},
    {"9112 3.2", 400, LIT("GET / HTTP/1.1\r\nHost:\r\n\r\n")},
    {"9112 3.2", 400, LIT("GET / HTTP/1.0\r\nHost: a b\r\n\r\n")},
    {"9112 3.2", 400, LIT("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n")},
    {"9112 3.2", 400, LIT("GET / HTTP/1.1\r\nHost: http://board\r\n\r\n")},
    {"9112 3.2", 400, LIT("GET / HTTP/1.1\r\nHost: board/x\r\n\r\n")},
    {"9112 3.2", 400, LIT("GET / HTTP/1.1\r\nHost: me@board\r\n\r\n")},
    {"9112 3.2", 400, LIT("GET / HTTP/1.1\r\nHost: board:x\r\n\r\n")},
    {"9112 3.2", 400, LIT("GET / HTTP/1.1\r\nHost: board:65536\r\n\r\n")},
    {"9112 3.2", 400, LIT("GET http://board/ HTTP/1.1\r\nHost: a@b\r\n\r\n")},
    {"9110 7.2", 200, LIT("GET / HTTP/1.1\r\nHost: board:65535\r\n\r\n")},
    {"9110 7.2", 200, LIT("GET / HTTP/1.1\r\nHost: [fe80::1]:80\r\n\r\n")},
    /* RFC 9112 6.3, RFC 9110 8.6: one length */
    {"9112 6.3", 200, LIT("POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n")},
    {"9112 6.3", 200, LIT("POST / HTTP/1.1\r\n" H "content-length:005\r\n\r\n")},
    {"9112 6.3", 200, LIT("POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n"
                          "Content-Length: 5\r\n\r\n")},
    {"9112 6.3", 400, LIT("POST / HTTP/1.1\r\n" H "Content-Length: 5, 6\r\n\r\n")},
    {"9112 6.3", 400, LIT("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n"
                          "Content-Length: 6\r\n\r\n")},
    {"9112 6.3", 400, LIT("POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n")},
    {"9112 6.3", 400, LIT("POST / HTTP/1.1\r\n" H "Content-Length: 5,\r\n\r\n")},
    {"9112 6.3", 400, LIT("POST / HTTP/1.1\r\n" H "Content-Length: ,5\r\n\r\n")},
    {"9112 6.3", 400, LIT("POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n")},
    {"9112 6.3", 400, LIT("POST / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\n")},
    {"9112 6.3", 400, LIT("POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n")},
    {"9112 6.3", 400, LIT("POST / HTTP/1.1\r\n" H "Content-Length: 5 5\r\n\r\n")},
    {"9112 6.3", 400, LIT("POST / HTTP/1.1\r\n" H "Content-Length: 5.0\r\n\r\n")},
    {"9112 6.3", 400, LIT("POST / HTTP/1.1\r\n" H "Content-Length: \"5\"\r\n\r\n")},
    {"9110 8.6", 200, LIT("POST / HTTP/1.1\r\n" H
                          "Content-Length: 9223372036854775807\r\n\r\n")},
    {"9110 8.6", 413, LIT("POST / HTTP/1.1\r\n" H
                          "Content-Length: 9223372036854775808\r\n\r\n")},
    {"9110 8.6", 413, LIT("POST / HTTP/1.1\r\n" H
                          "Content-Length: 18446744073709551621\r\n\r\n")},
    {"9112 6.1", 200, LIT("POST / HTTP/1.1\r\n" H
                          "Transfer-Encoding: Chunked\r\n\r\n")},
    {"9112 6.3", 400, LIT("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n")},
    {"9112 6.3", 400, LIT("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n"
                          "Content-Length: 5\r\n\r\n")},
    {"9112 6.1", 400, LIT("POST / HTTP/1.0\r\n" H
                          "Transfer-Encoding: chunked\r\n\r\n")},
    {"9112 6.1", 501, LIT("POST / HTTP/1.1\r\n" H
                          "Transfer-Encoding: gzip, chunked\r\n\r\n")},
    {"9112 6.1", 501, LIT("POST / HTTP/1.1\r\n" H
                          "Transfer-Encoding: gzip\r\n\r\n")},
    {"9112 7", 501, LIT("POST / HTTP/1.1\r\n" H
                        "Transfer-Encoding: xchunked\r\n\r\n")},
    {"9112 7", 501, LIT("POST / HTTP/1.1\r\n" H
                        "Transfer-Encoding: \"chunked\"\r\n\r\n")},
    {"9112 7", 501, LIT("POST / HTTP/1.1\r\n" H
                        "Transfer-Encoding: chunked;q=1\r\n\r\n")},
    {"9112 7", 501, LIT("POST / HTTP/1.1\r\n" H
                        "Transfer-Encoding: identity\r\n\r\n")},
    {"9112 6.3", 400, LIT("POST / HTTP/1.1\r\n" H
                          "Transfer-Encoding: chunked, gzip\r\n\r\n")},
    {"9112 6.1", 400, LIT("POST / HTTP/1.1\r\n" H
                          "Transfer-Encoding: chunked, chunked\r\n\r\n")},
    {"9112 6.1", 400, LIT("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n")},
    {"9112 6.1", 400, LIT("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n"
                          "Transfer-Encoding:\r\n\r\n")},
    {"9112 6.1", 400, LIT("POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n")},
    {"9112 6.1", 400, LIT("POST / HTTP/1.1\r\n" H
                          "Transfer-Encoding: ,chunked\r\n\r\n")},
    {"9112 6.1", 400, LIT("POST / HTTP/1.1\r\n" H
                          "Transfer-Encoding: chunked,\r\n\r\n")},
    {"9112 6.1", 400, LIT("POST / HTTP/1.1\r\n" H
                          "Transfer-Encoding: \x0B" "chunked\r\n\r\n")},
    /* RFC 9110 10.1.1: Expect */
    {"9110 10.1.1", 200, LIT("POST / HTTP/1.1\r\n" H "Content-Length: 1\r\n"
                             "Expect: 100-Continue\r\n\r\n")},
    {"9110 10.1.1", 417, LIT("POST / HTTP/1.1\r\n" H "Expect: 200-ok\r\n\r\n")},
    {"9110 10.1.1", 417, LIT("POST / HTTP/1.1\r\n" H
                             "Expect: 100-continue, x\r\n\r\n")},
    {"9110 10.1.1", 200, LIT("POST / HTTP/1.0\r\n" H "Expect: x\r\n\r\n")},
    /* what is no HTTP/1 */
    {"8446 5.1", 400, LIT("\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03")},
    {"8446 5.1", 0, LIT("\x16")},
    {"8446 5.1", 400, LIT("\x16\x04")},
    {"9113 3.4", 505, LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
    {"9113 3.4", 0, LIT("PRI * HTTP/2")},
    {"PROXY 2.1", 400, LIT("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n")},
    {"PROXY 2.1", 400, LIT("PROXY TCP6 ::1 ::1 1 2\r\n")},
    {"PROXY 2.1", 400, LIT("PROXY UNKNOWN\r\n")},
    {"PROXY 2.1", 200, LIT("PROXY /x HTTP/1.1\r\n" H "\r\n")},
    {"PROXY 2.2", 400, LIT("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C")},
    {"PROXY 2.2", 0, LIT("\r\n\r\n\0\r\nQUIT")},
    {"PROXY 2.2", 400, LIT("\r\n\r\n\0\r\nQUIX")},
};

static const struct row answers[] = {
    {"9112 4", 200, LIT("HTTP/1.1 200 OK\r\n\r\n")},
    {"9112 4", 200, LIT("HTTP/1.0 200 OK\r\n\r\n")},
    {"9112 4", 200, LIT("HTTP/1.1 200 \r\n\r\n")},
    {"9112 4", 200, LIT("HTTP/1.1 200\r\n\r\n")},
    {"9112 4", 200, LIT("HTTP/1.1 599 \xC3\xA9t\xC3\xA9\r\nA: b\r\n\r\n")},
    {"9112 4", 0, LIT("HTTP/1.1 200 OK\r\n")},
    {"9112 4", 502, LIT("HTTP/1.1 099 Low\r\n\r\n")},
    {"9112 4", 502, LIT("HTTP/1.1 20 OK\r\n\r\n")},
    {"9112 4", 502, LIT("HTTP/1.1 2000 OK\r\n\r\n")},
    {"9112 4", 502, LIT("HTTP/1.1 2x0 OK\r\n\r\n")},
    {"9112 4", 502, LIT("HTTP/1.1  200 OK\r\n\r\n")},
    {"9112 4", 502, LIT("HTTP/1.1\t200 OK\r\n\r\n")},
    {"9112 4", 502, LIT("HTTP/1.1 200 O\x01K\r\n\r\n")},
    {"9112 4", 502, LIT("HTTP/1.1 200 O\0K\r\n\r\n")},
    {"9112 4", 502, LIT("HTTP/2.0 200 OK\r\n\r\n")},
    {"9112 4", 502, LIT("HTTP/1.2 200 OK\r\n\r\n")},
    {"9112 4", 502, LIT("http/1.1 200 OK\r\n\r\n")},
    {"9112 4", 502, LIT("HTTP 200 OK\r\n\r\n")},
    {"9112 4", 502, LIT("ICY 200 OK\r\n\r\n")},
    {"9112 4", 502, LIT("<html>")},
    {"9112 2.2", 502, LIT("\r\nHTTP/1.1 200 OK\r\n\r\n")},
    {"9112 2.2", 502, LIT("HTTP/1.1 200 OK\n\n")},
    {"9112 2.2", 502, LIT("HTTP/1.1 200 OK\r\nA: b\n\r\n")},
    {"9112 2.2", 502, LIT("HTTP/1.1 200 OK\r\nA: b\r\n\n")},
    {"9112 5", 502, LIT("HTTP/1.1 200 OK\r\nTransfer\r-Encoding: chunked\r\n\r\n")},
    {"9112 5.1", 502, LIT("HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n")},
    {"9112 5.2", 502, LIT("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n")},
    {"9110 5.5", 502, LIT("HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n")},
    {"9112 6.3", 502, LIT("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                          "Content-Length: 6\r\n\r\n")},
    {"9112 6.3", 200, LIT("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                          "Content-Length: 5\r\n\r\n")},
    {"9112 6.3", 502, LIT("HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n")},
    {"9112 6.3", 502, LIT("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n")},
    {"9112 6.3", 502, LIT("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n")},
    {"9112 6.1", 502, LIT("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"9112 6.1", 502, LIT("HTTP/1.1 200 OK\r\n"
                          "Transfer-Encoding: chunked, chunked\r\n\r\n")},
    {"9112 6.1", 502, LIT("HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n")},
    {"9112 6.1", 502, LIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: ,chunked\r\n"
                          "\r\n")},
    {"9112 6.3", 200, LIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n")},
    {"9112 6.3", 200, LIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, x\r\n"
                          "\r\n")},
    {"9110 15.2", 200, LIT("HTTP/1.1 100 Continue\r\n\r\n")},
    {"9110 15.2", 200, LIT("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")},
};

/* The sentence that a sender reads names its mistake, and not what else may
 * follow from it. */
static void test_sentences(void)
{
    static const struct {
        enum ad_http_fault fault;
        const char *text;
    } rows[] = {
        {AD_HTTP_BARE_LF, "GET / HTTP/1.1\n" H "\r\n"},
        {AD_HTTP_BARE_LF, "GET / HTTP/1.1\r\nHost: board\n"},
        {AD_HTTP_BARE_LF, "GET / HTTP/1.1\r\n" H "\n"},
        {AD_HTTP_BARE_LF, "GET / HTTP/1.1\r\n" H "x\n"},
        {AD_HTTP_EMPTY_LINES, "\r\n\r\nGET / HTTP/1.1\r\n"},
        {AD_HTTP_EMPTY_LINES, "\r\n\nGET / HTTP/1.1\r\n"},
        {AD_HTTP_BAD_METHOD, "\x16\x04"},
        {AD_HTTP_IS_TLS, "\x16\x03"},
        {AD_HTTP_IS_HTTP2, "PRI * HTTP/2.0"},
        {AD_HTTP_IS_PROXY_PROTOCOL, "PROXY TCP4 "},
        {AD_HTTP_BAD_REQUEST_LINE, "SSH-2.0-OpenSSH_9.9 x\r\n"},
        {AD_HTTP_BAD_REQUEST_LINE, "GET  / HTTP/1.1\r\n"},
        {AD_HTTP_BAD_VERSION, "GET / HTTP/3.0\r\n"},
        {AD_HTTP_FOLDED, "GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n"},
        {AD_HTTP_FOLDED, "GET / HTTP/1.1\r\n" H "A: b\r\n\tc\r\n\r\n"},
        {AD_HTTP_NO_COLON, "GET / HTTP/1.1\r\n" H "A : b\r\n\r\n"},
        {AD_HTTP_NO_COLON, "GET / HTTP/1.1\r\n" H "A\r\n\r\n"},
        {AD_HTTP_BAD_NAME, "GET / HTTP/1.1\r\n" H ": b\r\n\r\n"},
        {AD_HTTP_BAD_NAME, "GET / HTTP/1.1\r\n" H "A(: b\r\n\r\n"},
        {AD_HTTP_BAD_VALUE, "GET / HTTP/1.1\r\n" H "A: \x01\r\n\r\n"},
        {AD_HTTP_NO_HOST, "GET / HTTP/1.1\r\nA: b\r\n\r\n"},
        {AD_HTTP_TWO_HOSTS, "GET / HTTP/1.1\r\n" H H "\r\n"},
        {AD_HTTP_BAD_HOST, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
        {AD_HTTP_TWO_LENGTHS, "GET / HTTP/1.1\r\n" H "Content-Length: 1, 2"
                              "\r\n\r\n"},
    };
    size_t i;

    for (i = 0; i < AD_COUNT(rows); i++) {
        CHECK_EQ(fault_of(rows[i].text, strlen(rows[i].text), REQUEST),
                 rows[i].fault);
    }
}

static void test_heads(void)
{
    check_rows(requests, AD_COUNT(requests), REQUEST);
    check_rows(answers, AD_COUNT(answers), ANSWER);
}

/* Every fault has a status that fits and a sentence of its own. */
static void test_faults(void)
{
    int f, g;

    for (f = AD_HTTP_MORE + 1; f < AD_HTTP_FAULTS; f++) {
        unsigned status = ad_http_fault_status((enum ad_http_fault)f);
        const char *text = ad_http_fault_text((enum ad_http_fault)f);

        CHECK(status >= 400 && status <= 599);
        CHECK(ad_http_reason(status)[0] != '\0');
        CHECK(text != NULL && strlen(text) > 10);
        for (g = AD_HTTP_OK; text != NULL && g < f; g++) {
            CHECK(strcmp(text, ad_http_fault_text((enum ad_http_fault)g)) != 0);
        }
    }
    CHECK_STR(ad_http_fault_fields(AD_HTTP_NOT_GET), "Allow: GET\r\n");
    CHECK(strstr(ad_http_fault_fields(AD_HTTP_BAD_WS_VERSION),
                 "Sec-WebSocket-Version: 13\r\n") != NULL);
    CHECK_STR(ad_http_fault_fields(AD_HTTP_BAD_HOST), "");
}

/* ---- limits at their edges ---- */

/* `before`, n times c, `after`. */
static enum ad_http_fault padded(const char *before, size_t n, char c,
                                 const char *after, bool pieces)
{
    size_t len = strlen(before) + n + strlen(after);
    char *text = malloc(len);
    struct result whole, drip;
    enum ad_http_fault fault;

    memcpy(text, before, strlen(before));
    memset(text + strlen(before), c, n);
    memcpy(text + strlen(before) + n, after, strlen(after));
    fault = fault_of(text, len, REQUEST);
    if (pieces) {
        whole = search(text, len, REQUEST, len, 1, HEAD_MAX);
        drip = search(text, len, REQUEST, 1, 61, HEAD_MAX);
        CHECK_EQ(drip.fault, whole.fault);
        CHECK_EQ(drip.end, whole.end);
    }
    free(text);
    return fault;
}

static void test_limits(void)
{
    static char text[HEAD_MAX + 4096];
    size_t fixed = strlen("GET / HTTP/1.1\r\n" H "A: \r\n\r\n");
    size_t line = strlen("GET / HTTP/1.1\r\n"), n;

    /* RFC 9110 5.4, RFC 6585 5: the head */
    CHECK_EQ(padded("GET / HTTP/1.1\r\n" H "A: ", HEAD_MAX - fixed, 'x',
                    "\r\n\r\n", true), AD_HTTP_OK);
    CHECK_EQ(padded("GET / HTTP/1.1\r\n" H "A: ", HEAD_MAX - fixed + 1, 'x',
                    "\r\n\r\n", true), AD_HTTP_LONG_HEAD);
    CHECK_EQ(padded("\r\nGET / HTTP/1.1\r\n" H "A: ", HEAD_MAX - fixed - 2, 'x',
                    "\r\n\r\n", true), AD_HTTP_OK);
    CHECK_EQ(padded("\r\nGET / HTTP/1.1\r\n" H "A: ", HEAD_MAX - fixed - 1, 'x',
                    "\r\n\r\n", true), AD_HTTP_LONG_HEAD);
    CHECK_EQ(padded("GET / HTTP/1.1\r\n" H, HEAD_MAX, 'x', "", true),
             AD_HTTP_LONG_HEAD);
    CHECK_EQ(padded("GET / HTTP/1.1\r\n" H, HEAD_MAX - line - strlen(H) - 1, 'x',
                    "", true), AD_HTTP_MORE);
    /* the body does not count */
    CHECK_EQ(padded("GET / HTTP/1.1\r\n" H "\r\n", HEAD_MAX, 'x', "", true),
             AD_HTTP_OK);
    /* RFC 9112 3: the target */
    CHECK_EQ(padded("GET /", AD_HTTP_TARGET_MAX - 1, 'x', " HTTP/1.1\r\n" H
                    "\r\n", true), AD_HTTP_OK);
    CHECK_EQ(padded("GET /", AD_HTTP_TARGET_MAX, 'x', " HTTP/1.1\r\n" H "\r\n",
                    true), AD_HTTP_LONG_TARGET);
    CHECK_EQ(padded("GET /", HEAD_MAX, 'x', "", true), AD_HTTP_LONG_TARGET);
    CHECK_EQ(padded("GET /", AD_HTTP_REQUEST_LINE_MAX - 4, 'x', "", true),
             AD_HTTP_MORE);
    CHECK_EQ(padded("GET /", AD_HTTP_REQUEST_LINE_MAX - 3, 'x', "", true),
             AD_HTTP_LONG_TARGET);
    /* RFC 9112 3: the method */
    CHECK_EQ(padded("", AD_HTTP_METHOD_MAX, 'A', " / HTTP/1.1\r\n" H "\r\n",
                    true), AD_HTTP_OK);
    CHECK_EQ(padded("", AD_HTTP_METHOD_MAX + 1, 'A', "", true),
             AD_HTTP_LONG_METHOD);
    /* what Connection names */
    CHECK_EQ(padded("GET / HTTP/1.1\r\n" H "Connection: x\r\nConnection: ",
                    AD_HTTP_CONNECTION_MAX - 1, 'x', "\r\n\r\n", true),
             AD_HTTP_OK);
    CHECK_EQ(padded("GET / HTTP/1.1\r\n" H "Connection: x\r\nConnection: ",
                    AD_HTTP_CONNECTION_MAX, 'x', "\r\n\r\n", true),
             AD_HTTP_LONG_CONNECTION);
    /* the host */
    CHECK_EQ(padded("GET / HTTP/1.1\r\nHost: ", AD_HTTP_HOST_MAX, 'a',
                    "\r\n\r\n", true), AD_HTTP_OK);
    CHECK_EQ(padded("GET / HTTP/1.1\r\nHost: ", AD_HTTP_HOST_MAX + 1, 'a',
                    "\r\n\r\n", true), AD_HTTP_BAD_HOST);
    /* the number of fields */
    for (n = AD_HTTP_FIELDS - 1; n <= AD_HTTP_FIELDS; n++) {
        struct ad_text t = ad_text_in(text, sizeof(text));
        size_t i;

        ad_puts(&t, "GET / HTTP/1.1\r\n" H);
        for (i = 0; i < n; i++) {
            ad_puts(&t, "A: b\r\n");
        }
        ad_puts(&t, "\r\n");
        CHECK_EQ(fault_of(t.at, t.len, REQUEST),
                 n < AD_HTTP_FIELDS ? AD_HTTP_OK : AD_HTTP_MANY_FIELDS);
    }
    /* a lesser limit than the first line needs */
    CHECK_EQ(search(LIT("GET / HTTP/1.1\r\n" H "\r\n"), REQUEST, 31, 1, 31)
                 .fault, AD_HTTP_OK);
    CHECK_EQ(search(LIT("GET / HTTP/1.1\r\n" H "\r\n"), REQUEST, 31, 1, 30)
                 .fault, AD_HTTP_LONG_HEAD);
    CHECK_EQ(search(LIT("GET / HTTP/1.1\r\n" H "\r\n"), REQUEST, 31, 1, 15)
                 .fault, AD_HTTP_LONG_TARGET);
    CHECK_EQ(search(LIT("HTTP/1.1 200 OK\r\n\r\n"), ANSWER, 19, 1, 18).fault,
             AD_HTTP_LONG_HEAD);
}

/* No strict beginning of a head is one, and a parser that is given it anyway
 * reads nothing behind it. */
static void test_prefixes(void)
{
    static const char text[] =
        "POST /v1/chat?x=1 HTTP/1.1\r\nHost: board:8080\r\nContent-Length: 5\r\n"
        "Connection: keep-alive, x\r\nX:\r\n\r\n";
    static struct ad_http_field fields[AD_HTTP_FIELDS];
    struct ad_http_head head;
    size_t n;

    for (n = 0; n < sizeof(text) - 1; n++) {
        char *copy = tight(text, n);

        CHECK_EQ(fault_of(text, n, REQUEST), AD_HTTP_MORE);
        CHECK_EQ(ad_http_parse_request(&head, copy, n, fields, AD_HTTP_FIELDS),
                 AD_HTTP_MORE);
        free(copy);
    }
    CHECK_EQ(fault_of(text, n, REQUEST), AD_HTTP_OK);
}

/* ---- what a head says ---- */

/* Parse a head that must be good. */
static char *good(struct ad_http_head *head, const char *text, int kind)
{
    static struct ad_http_field fields[AD_HTTP_FIELDS];
    char *copy;
    enum ad_http_fault fault = parse(head, fields, text, strlen(text), kind,
                                     &copy);

    CHECK_EQ(fault, AD_HTTP_OK);
    if (fault != AD_HTTP_OK) {
        printf("    %s\n%s", ad_http_fault_text(fault), text);
    }
    return copy;
}

static void test_request(void)
{
    struct ad_http_head h;
    struct ad_slice value;
    char *copy;

    copy = good(&h, "\r\nPOST /v1/chat?x=1?2 HTTP/1.1\r\nHOST: Board.local:8080"
                    "\r\nA: \t one two\t \r\na:\r\nContent-Length: 5\r\n"
                    "Expect: 100-continue\r\n\r\nhello", REQUEST);
    CHECK(same(h.method, "POST") && same(h.path, "/v1/chat") &&
          same(h.query, "x=1?2") && same(h.target, "/v1/chat?x=1?2"));
    CHECK(same(h.host.name, "Board.local") && h.host.port == 8080);
    CHECK(h.minor == 1 && h.has_host && h.has_length && h.length == 5 &&
          h.framing == AD_HTTP_BY_LENGTH && h.expects_continue && h.has_query);
    CHECK_EQ(h.fields.n, 5);
    CHECK(ad_http_field_get(&h.fields, "A", &value) && same(value, "one two"));
    CHECK_EQ(ad_http_field_count(&h.fields, "a", &value), 2);
    CHECK(same(h.fields.at[2].value, ""));
    CHECK(!ad_http_field_get(&h.fields, "B", &value));
    free(copy);
    copy = good(&h, "GET /? HTTP/1.0\r\n\r\n", REQUEST);
    CHECK(h.has_query && same(h.query, "") && same(h.path, "/"));
    CHECK(!h.has_host && h.minor == 0 && h.framing == AD_HTTP_NO_BODY &&
          !h.has_length && !h.expects_continue);
    free(copy);
    copy = good(&h, "POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n"
                    "Expect: 100-continue\r\n\r\n", REQUEST);
    CHECK(h.framing == AD_HTTP_NO_BODY && h.has_length && !h.expects_continue);
    free(copy);
    copy = good(&h, "POST / HTTP/1.1\r\n" H "Transfer-Encoding:CHUNKED\r\n\r\n",
                REQUEST);
    CHECK(h.framing == AD_HTTP_BY_CHUNKS && !h.coded);
    free(copy);
    /* RFC 9112 3.2.2: the target's host counts */
    copy = good(&h, "GET http://other:81?q HTTP/1.1\r\n" H "\r\n", REQUEST);
    CHECK(h.form == AD_HTTP_ABSOLUTE_FORM && same(h.host.name, "other") &&
          h.host.port == 81 && same(h.path, "/") && same(h.query, "q"));
    free(copy);
    copy = good(&h, "OPTIONS http://other HTTP/1.1\r\n" H "\r\n", REQUEST);
    CHECK(same(h.path, "*") && !h.has_query);
    free(copy);
    copy = good(&h, "OPTIONS * HTTP/1.1\r\n" H "\r\n", REQUEST);
    CHECK(same(h.path, "*") && h.form == AD_HTTP_ASTERISK_FORM);
    free(copy);
}

static void test_answer(void)
{
    /* RFC 9112 6.3 */
    static const struct {
        const char *text;
        int kind;
        int framing;
        unsigned long length;
        bool coded;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", ANSWER,
         AD_HTTP_BY_LENGTH, 7, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", ANSWER_TO_HEAD,
         AD_HTTP_NO_BODY, 7, false},
        {"HTTP/1.1 200 OK\r\n\r\n", ANSWER_TO_HEAD, AD_HTTP_NO_BODY, 0, false},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", ANSWER,
         AD_HTTP_NO_BODY, 7, false},
        {"HTTP/1.1 204 No Content\r\n\r\n", ANSWER, AD_HTTP_NO_BODY, 0, false},
        {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", ANSWER,
         AD_HTTP_NO_BODY, 0, false},
        {"HTTP/1.1 100 Continue\r\n\r\n", ANSWER, AD_HTTP_NO_BODY, 0, false},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", ANSWER,
         AD_HTTP_NO_BODY, 0, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ANSWER,
         AD_HTTP_NO_BODY, 0, false},
        {"HTTP/1.1 200 OK\r\n\r\n", ANSWER, AD_HTTP_UNTIL_CLOSE, 0, false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ANSWER,
         AD_HTTP_BY_CHUNKS, 0, false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", ANSWER,
         AD_HTTP_BY_CHUNKS, 0, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", ANSWER,
         AD_HTTP_UNTIL_CLOSE, 0, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", ANSWER,
         AD_HTTP_UNTIL_CLOSE, 0, true},
    };
    struct ad_http_head h;
    char *copy;
    size_t i;

    for (i = 0; i < AD_COUNT(rows); i++) {
        copy = good(&h, rows[i].text, rows[i].kind);
        CHECK_EQ(h.framing, rows[i].framing);
        CHECK_EQ(h.length, rows[i].length);
        CHECK_EQ(h.coded, rows[i].coded);
        free(copy);
    }
    copy = good(&h, "HTTP/1.0 404 Not  Found \r\nA: b\r\n\r\n", ANSWER);
    CHECK(h.status == 404 && h.minor == 0 && same(h.reason, "Not  Found "));
    free(copy);
    copy = good(&h, "HTTP/1.1 200\r\n\r\n", ANSWER);
    CHECK(h.status == 200 && h.reason.len == 0);
    free(copy);
}

static void test_lists(void)
{
    /* RFC 9110 5.3, 5.6.1, 5.6.4 */
    static const char *const items[] = {"one", "\"two, three\"; x=\"\\\",\"",
                                        "four five", "six", "\"seven, eight"};
    struct ad_http_list list;
    struct ad_http_head h;
    struct ad_slice item;
    size_t i;
    char *copy = good(&h, "GET / HTTP/1.1\r\n" H
                          "L: ,one\t,\"two, three\"; x=\"\\\",\", ,\r\nM: no\r\n"
                          "l:\r\nL:four five\r\nL: six,\"seven, eight\r\n\r\n",
                      REQUEST);

    list = ad_http_list_of(&h.fields, "L");
    for (i = 0; i < AD_COUNT(items); i++) {
        CHECK(ad_http_list_next(&list, &item) && same(item, items[i]));
    }
    CHECK(!ad_http_list_next(&list, &item));
    CHECK(!ad_http_list_next(&list, &item));
    CHECK(ad_http_list_has(&h.fields, "l", ad_slice_of("SIX")));
    CHECK(!ad_http_list_has(&h.fields, "l", ad_slice_of("three")));
    CHECK(!ad_http_list_has(&h.fields, "l", ad_slice_of("four")));
    list = ad_http_list_of(&h.fields, "N");
    CHECK(!ad_http_list_next(&list, &item));
    free(copy);
}

static void test_connection(void)
{
    /* RFC 9112 9.3 */
    static const struct {
        const char *text;
        int kind;
        bool keep;
    } rows[] = {
        {"GET / HTTP/1.1\r\n" H "\r\n", REQUEST, true},
        {"GET / HTTP/1.1\r\n" H "Connection: x, Close\r\n\r\n", REQUEST, false},
        {"GET / HTTP/1.1\r\n" H "Connection: x\r\nConnection: close\r\n\r\n",
         REQUEST, false},
        {"GET / HTTP/1.1\r\n" H "Connection: closed\r\n\r\n", REQUEST, true},
        {"GET / HTTP/1.0\r\n\r\n", REQUEST, false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", REQUEST, true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", REQUEST,
         false},
        {"HTTP/1.1 200 OK\r\n\r\n", ANSWER, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", ANSWER, true},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", ANSWER, false},
    };
    /* RFC 9110 7.6.1 */
    static const char *const hop[] = {
        "connection", "Keep-Alive", "Proxy-Connection", "te", "Trailer",
        "Transfer-Encoding", "Upgrade", "Proxy-Authorization",
        "Proxy-Authenticate", "x-one", "X-Two", "x-three"};
    static const char *const end[] = {"X-Four", "Cookie", "Authorization", "T",
                                      "X-One-More", "X", "Accept"};
    struct ad_http_head h;
    char *copy;
    size_t i;

    for (i = 0; i < AD_COUNT(rows); i++) {
        copy = good(&h, rows[i].text, rows[i].kind);
        CHECK_EQ(ad_http_keep_alive(&h), rows[i].keep);
        free(copy);
    }
    copy = good(&h, "GET / HTTP/1.1\r\n" H "Connection: X-One ,close\r\n"
                    "X-One: 1\r\nconnection:x-two,X-Three\r\n\r\n", REQUEST);
    for (i = 0; i < AD_COUNT(hop); i++) {
        CHECK(ad_http_is_hop_by_hop(&h, ad_slice_of(hop[i])));
    }
    for (i = 0; i < AD_COUNT(end); i++) {
        CHECK(!ad_http_is_hop_by_hop(&h, ad_slice_of(end[i])));
    }
    free(copy);
}

static void test_accept_encoding(void)
{
    /* RFC 9110 12.4.2, 12.5.3; NULL: no field */
    static const struct {
        const char *value;
        int gzip, identity;
        bool wants_gzip;
    } rows[] = {
        {NULL, -1, -1, false}, {"", -1, -1, false}, {"gzip", 1000, -1, true},
        {"GZip, deflate, br", 1000, -1, true}, {"x-gzip", 1000, -1, true},
        {"identity", -1, 1000, false}, {"gzip;q=0", 0, -1, false},
        {"gzip;q=0.0", 0, -1, false}, {"gzip;q=0.000, *", 0, 1000, false},
        {"gzip; Q=0.5", 500, -1, true}, {"gzip \t; q=0.125", 125, -1, true},
        {"gzip;q=1.000", 1000, -1, true}, {"*", 1000, 1000, true},
        {"*;q=0", 0, 0, false}, {"gzip, *;q=0", 1000, 0, true},
        {"gzip, identity;q=0", 1000, 0, true},
        {"identity;q=0.5, *;q=0", 0, 500, false},
        {"identity, gzip;q=0.9", 900, 1000, false},
        {"identity;q=0.5, gzip;q=0.5", 500, 500, true},
        {"gzip;q=1.001", -1, -1, false}, {"gzip;q=2", -1, -1, false},
        {"gzip;q=", -1, -1, false}, {"gzip;q=.5", -1, -1, false},
        {"gzip;q=0.1234", -1, -1, false}, {"gzip;q=-1", -1, -1, false},
        {"gzip;q=0.5x", -1, -1, false}, {"gzips", -1, -1, false},
        {"br\r\nAccept-Encoding: gzip;q=0.001", 1, -1, true},
        {"gzip;x=1;q=0.3", 300, -1, true}};
    char text[256];
    struct ad_http_head h;
    char *copy;
    size_t i;

    for (i = 0; i < AD_COUNT(rows); i++) {
        (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" H "%s%s%s\r\n",
                       rows[i].value != NULL ? "Accept-Encoding: " : "",
                       rows[i].value != NULL ? rows[i].value : "",
                       rows[i].value != NULL ? "\r\n" : "");
        copy = good(&h, text, REQUEST);
        CHECK_EQ(ad_http_coding_weight(&h, "gzip"), rows[i].gzip);
        CHECK_EQ(ad_http_coding_weight(&h, "identity"), rows[i].identity);
        CHECK_EQ(ad_http_wants_gzip(&h), rows[i].wants_gzip);
        free(copy);
    }
}

static void test_etags(void)
{
    /* RFC 9110 8.8.3, 13.1.2: is "a,b" in it? */
    static const struct {
        const char *value;
        bool has;
    } rows[] = {
        {"\"a,b\"", true}, {"W/\"a,b\"", true}, {"*", true},
        {"\"x\", \"a,b\"", true}, {"\"x\"\t,\t\"a,b\"", true},
        {", ,\"a,b\" ,", true}, {"\"x\\\", \"a,b\"", true},
        {"\"\",\"a,b\"", true}, {"\"\x80\",W/\"a,b\"", true},
        {"\"x\"\r\nIf-None-Match: \"a,b\"", true},
        {"", false}, {"\"a\"", false}, {"a,b", false}, {"\"xa,b\"", false},
        {"\"a,b", false}, {"\"a,bx\"", false}, {"\"x\\\"a,b\"", false},
        {"\"x, \"a,b\", y\"", false}, {"w/\"a,b\"", false},
        {"W/ \"a,b\"", false}, {"W/", false}, {"W", false}, {"\"", false},
        {"\"x\" \"a,b\"", false}, {"\"a,b\"x", false},
        {"\"x y\", \"a,b\"", false}, {"\"*\"", false}, {"*, \"x\"", false},
        {"**", false}, {"\"A,B\"", false}};
    char text[256];
    struct ad_http_head h;
    char *copy;
    size_t i;

    for (i = 0; i < AD_COUNT(rows); i++) {
        (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" H
                       "If-None-Match: %s\r\n\r\n", rows[i].value);
        copy = good(&h, text, REQUEST);
        if (ad_http_has_etag(&h.fields, "\"a,b\"") != rows[i].has) {
            printf("If-None-Match: %s\n", rows[i].value);
            CHECK(!"whether it names the entity-tag");
        }
        free(copy);
    }
    copy = good(&h, "GET / HTTP/1.1\r\n" H "\r\n", REQUEST);
    CHECK(!ad_http_has_etag(&h.fields, "\"a,b\""));
    free(copy);
}

/* ---- handshakes ---- */

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define START "GET /ws/a HTTP/1.1\r\n" H

static void test_handshake(void)
{
    static const struct row rows[] = {
        {"6455 1.3", 200, LIT(START UPGRADE CONNECTION KEY VERSION "\r\n")},
        {"6455 4.2.1 3", 200, LIT(START "Upgrade: h2c,WebSocket\r\n" CONNECTION
                                  KEY VERSION "\r\n")},
        {"6455 4.2.1 3", 200, LIT(START "Upgrade: h2c\r\nUpgrade: websocket\r\n"
                                  CONNECTION KEY VERSION "\r\n")},
        {"6455 4.2.1 4", 200, LIT(START UPGRADE "Connection: keep-alive\r\n"
                                  "Connection: uPgRaDe\r\n" KEY VERSION "\r\n")},
        {"6455 4.2.1 4", 200, LIT(START UPGRADE "Connection:keep-alive,Upgrade"
                                  "\r\n" KEY VERSION "\r\n")},
        {"9110 5.6.3", 200, LIT(START "Upgrade:\twebsocket \t\r\n"
                                "Connection:Upgrade\r\n"
                                "Sec-WebSocket-Key:\t dGhlIHNhbXBsZSBub25jZQ== "
                                "\r\nSec-WebSocket-Version:13\t\r\n\r\n")},
        {"6455 4.2.1", 200, LIT(START UPGRADE CONNECTION KEY VERSION
                                "Content-Length: 0\r\n\r\n")},
        {"6455 4.2.1 1", 405, LIT("POST /ws/a HTTP/1.1\r\n" H UPGRADE CONNECTION
                                  KEY VERSION "\r\n")},
        {"6455 4.2.1 1", 426, LIT("GET /ws/a HTTP/1.0\r\n" H UPGRADE CONNECTION
                                  KEY VERSION "\r\n")},
        {"6455 4.2.1 2", 400, LIT("GET /ws/a HTTP/1.1\r\n" UPGRADE CONNECTION KEY
                                  VERSION "\r\n")},
        {"6455 4.2.1 3", 426, LIT(START CONNECTION KEY VERSION "\r\n")},
        {"6455 4.2.1 3", 426, LIT(START "Upgrade: websocket/13\r\n" CONNECTION
                                  KEY VERSION "\r\n")},
        {"6455 4.2.1 4", 400, LIT(START UPGRADE KEY VERSION "\r\n")},
        {"6455 4.2.1 4", 400, LIT(START UPGRADE "Connection: keep-alive\r\n" KEY
                                  VERSION "\r\n")},
        {"6455 4.2.1 5", 400, LIT(START UPGRADE CONNECTION VERSION "\r\n")},
        {"6455 11.3.1", 400, LIT(START UPGRADE CONNECTION KEY KEY VERSION
                                 "\r\n")},
        {"6455 4.2.1 5", 400, LIT(START UPGRADE CONNECTION "Sec-WebSocket-Key: "
                                  "dGhlIHNhbXBsZSBub25jZQ=\r\n" VERSION "\r\n")},
        {"6455 4.2.1 5", 400, LIT(START UPGRADE CONNECTION "Sec-WebSocket-Key: "
                                  "dGhlIHNhbXBsZSBub25jZQab\r\n" VERSION
                                  "\r\n")},
        {"6455 4.2.1 5", 400, LIT(START UPGRADE CONNECTION "Sec-WebSocket-Key: "
                                  "dGhlIHNhbXBsZSBub25jZ*==\r\n" VERSION
                                  "\r\n")},
        {"6455 4.2.1 5", 400, LIT(START UPGRADE CONNECTION "Sec-WebSocket-Key: "
                                  "dGhlIHNhbXBsZSBub25jZ===\r\n" VERSION
                                  "\r\n")},
        {"6455 4.2.1 5", 400, LIT(START UPGRADE CONNECTION "Sec-WebSocket-Key: "
                                  "dGhlIHNhbXBsZSBub25jZQ===\r\n" VERSION
                                  "\r\n")},
        {"6455 4.2.1 5", 400, LIT(START UPGRADE CONNECTION "Sec-WebSocket-Key:"
                                  "\r\n" VERSION "\r\n")},
        {"6455 4.4", 426, LIT(START UPGRADE CONNECTION KEY "\r\n")},
        {"6455 4.4", 426, LIT(START UPGRADE CONNECTION KEY
                              "Sec-WebSocket-Version: 8\r\n\r\n")},
        {"6455 4.4", 426, LIT(START UPGRADE CONNECTION KEY
                              "Sec-WebSocket-Version: 013\r\n\r\n")},
        {"6455 4.4", 426, LIT(START UPGRADE CONNECTION KEY
                              "Sec-WebSocket-Version: 13, 8\r\n\r\n")},
        {"6455 11.3.5", 426, LIT(START UPGRADE CONNECTION KEY VERSION VERSION
                                 "\r\n")},
        {"6455 4.1", 400, LIT(START UPGRADE CONNECTION KEY VERSION
                              "Content-Length: 1\r\n\r\n")},
        {"6455 4.1", 400, LIT(START UPGRADE CONNECTION KEY VERSION
                              "Transfer-Encoding: chunked\r\n\r\n")},
    };
    static struct ad_http_field fields[AD_HTTP_FIELDS];
    size_t i;

    for (i = 0; i < AD_COUNT(rows); i++) {
        struct ad_http_head head;
        char *copy;
        enum ad_http_fault fault = parse(&head, fields, rows[i].text,
                                         rows[i].len, REQUEST, &copy);

        if (fault == AD_HTTP_OK) {
            fault = ad_http_judge_handshake(&head);
        }
        CHECK_EQ(status_of(fault), rows[i].status);
        if (status_of(fault) != rows[i].status) {
            printf("    %s: %s\n", rows[i].section, ad_http_fault_text(fault));
            show(rows[i].text, rows[i].len);
        }
        in_pieces(rows[i].text, rows[i].len, REQUEST);
        free(copy);
    }
}

/* ---- hosts, origins, forwarded ---- */

static void test_hosts(void)
{
    enum { BAD = -1 };
    static const struct {
        const char *text;
        int port; /* 0: none; BAD: malformed */
        int kind;
        bool localhost, mdns;
    } rows[] = {
        {"board", 0, AD_HTTP_HOST_NAME, false, false},
        {"board:", 0, AD_HTTP_HOST_NAME, false, false},
        {"Board.LOCAL.:8080", 8080, AD_HTTP_HOST_NAME, false, true},
        {"a.b.local", 0, AD_HTTP_HOST_NAME, false, true},
        {"local", 0, AD_HTTP_HOST_NAME, false, false},
        {"xlocal", 0, AD_HTTP_HOST_NAME, false, false},
        {"board.local.evil", 0, AD_HTTP_HOST_NAME, false, false},
        {"LocalHost:1", 1, AD_HTTP_HOST_NAME, true, false},
        {"localhost.", 0, AD_HTTP_HOST_NAME, true, false},
        {"a.localhost", 0, AD_HTTP_HOST_NAME, true, false},
        {"localhost.evil", 0, AD_HTTP_HOST_NAME, false, false},
        {"my_box-1~x", 0, AD_HTTP_HOST_NAME, false, false},
        {"127.0.0.1:65535", 65535, AD_HTTP_HOST_IP4, false, false},
        {"127.1", 0, AD_HTTP_HOST_NAME, false, false},
        {"1.2.3.4.local", 0, AD_HTTP_HOST_NAME, false, true},
        {"[::1]", 0, AD_HTTP_HOST_IP6, false, false},
        {"[FE80::1:2]:80", 80, AD_HTTP_HOST_IP6, false, false},
        {"[::ffff:1.2.3.4]:80", 80, AD_HTTP_HOST_IP6, false, false},
        {"", BAD, 0, false, false}, {":80", BAD, 0, false, false},
        {".", BAD, 0, false, false}, {".a", BAD, 0, false, false},
        {"a..b", BAD, 0, false, false}, {"a b", BAD, 0, false, false},
        {"a:0", BAD, 0, false, false}, {"a:65536", BAD, 0, false, false},
        {"a:80:80", BAD, 0, false, false}, {"a:+1", BAD, 0, false, false},
        {"a:99999999999999999999", BAD, 0, false, false},
        {"a@b", BAD, 0, false, false}, {"a%41", BAD, 0, false, false},
        {"::1", BAD, 0, false, false}, {"[]", BAD, 0, false, false},
        {"[", BAD, 0, false, false}, {"[::1", BAD, 0, false, false},
        {"[::1]x", BAD, 0, false, false}, {"[::1]:x", BAD, 0, false, false},
        {"[1.2.3.4]", BAD, 0, false, false},
        {"[fe80::1%25eth0]", BAD, 0, false, false},
        {"[v1.x]", BAD, 0, false, false}, {"[:::]", BAD, 0, false, false},
        {"\xC3\xA9", BAD, 0, false, false}};
    struct ad_http_host host, other;
    size_t i;

    for (i = 0; i < AD_COUNT(rows); i++) {
        size_t len = strlen(rows[i].text);
        char *copy = tight(rows[i].text, len);
        struct ad_slice s = {copy, len};
        bool ok = ad_http_host_parse(&host, s);

        CHECK_EQ(ok ? host.port : BAD, rows[i].port);
        if (ok && rows[i].port != BAD) {
            CHECK_EQ(host.kind, rows[i].kind);
            CHECK_EQ(ad_http_host_is_ip(&host),
                     rows[i].kind != AD_HTTP_HOST_NAME);
            CHECK_EQ(ad_http_host_is_localhost(&host), rows[i].localhost);
            CHECK_EQ(ad_http_host_is_mdns(&host), rows[i].mdns);
            CHECK_EQ(host.has_port, rows[i].port != 0);
        } else if (ok != (rows[i].port != BAD)) {
            printf("    %s\n", rows[i].text);
        }
        free(copy);
    }
    CHECK(ad_http_host_parse(&host, ad_slice_of("[::1]")) &&
          ad_http_host_parse(&other, ad_slice_of("board")) &&
          !ad_http_host_same(&host, &other) &&
          ad_http_host_parse(&other, ad_slice_of("[0:0::0:1]:80")) &&
          ad_http_host_same(&host, &other));
    CHECK(ad_http_host_parse(&other, ad_slice_of("[::2]")) &&
          !ad_http_host_same(&host, &other));
    CHECK(ad_http_host_parse(&host, ad_slice_of("Board.")) &&
          ad_http_host_is(&host, "board") && !ad_http_host_is(&host, "boar"));
}

static void test_origins(void)
{
    /* RFC 6454 4, 5, 7.1; the origin of the page, scheme and Host of ours */
    static const struct {
        const char *page, *scheme, *host;
        int same; /* -1: the origin is malformed */
    } rows[] = {
        {"http://board", "http", "board", 1},
        {"http://board", "http", "board:80", 1},
        {"http://board:80", "http", "board", 1},
        {"https://board", "https", "board:443", 1}, /* behind a proxy */
        {"https://board:443", "https", "board", 1},
        {"HTTP://BOARD:8080", "http", "board:8080", 1},
        {"http://[::1]:8080", "http", "[0:0::1]:8080", 1},
        {"http://127.0.0.1", "http", "127.0.0.1:80", 1},
        {"http://board", "https", "board", 0},
        {"https://board", "http", "board:443", 0},
        {"http://board:81", "http", "board", 0},
        {"http://evil", "http", "board", 0},
        {"http://board.evil", "http", "board", 0},
        {"null", "http", "board", 0},
        {"chrome-extension://abcdefghijklmnop", "http", "abcdefghijklmnop", 0},
        {"tauri://localhost", "http", "localhost", 0},
        {"board", "http", "board", -1}, {"", "http", "board", -1},
        {"http://", "http", "board", -1}, {"http:/board", "http", "board", -1},
        {"http://board/", "http", "board", -1},
        {"http://board/x", "http", "board", -1},
        {"http://me@board", "http", "board", -1},
        {"http://board http://evil", "http", "board", -1},
        {"://board", "http", "board", -1}, {"1x://board", "http", "board", -1},
        {"NULL", "http", "board", -1}, {"file://", "http", "board", -1},
        {"http://board:99999", "http", "board", -1}};
    struct ad_http_origin page, ours, again;
    struct ad_http_host host;
    size_t i;

    for (i = 0; i < AD_COUNT(rows); i++) {
        size_t len = strlen(rows[i].page);
        char *copy = tight(rows[i].page, len);
        struct ad_slice s = {copy, len};
        int result = -1;

        CHECK(ad_http_host_parse(&host, ad_slice_of(rows[i].host)));
        ours = ad_http_origin_of(ad_slice_of(rows[i].scheme), &host);
        if (ad_http_origin_parse(&page, s)) {
            result = ad_http_origin_same(&page, &ours);
            CHECK_EQ(ad_http_origin_same(&ours, &page), result);
        }
        CHECK_EQ(result, rows[i].same);
        if (result != rows[i].same) {
            printf("    %s at %s\n", rows[i].page, rows[i].host);
        }
        free(copy);
    }
    CHECK(ad_http_origin_parse(&page, ad_slice_of("null")) && page.opaque &&
          ad_http_origin_parse(&again, ad_slice_of("null")) &&
          !ad_http_origin_same(&page, &again));
    CHECK(ad_http_origin_parse(&page, ad_slice_of("wss://x")) &&
          page.port == 443);
}

static void test_forwarded(void)
{
    /* RFC 7239 4; NULL: malformed */
    static const struct {
        const char *fields, *scheme, *host;
        unsigned port;
    } rows[] = {
        {"", "", "", 0},
        {"X-Forwarded-Proto: https\r\nX-Forwarded-Host: a:81\r\n", "https", "a",
         81},
        {"X-Forwarded-Proto: http, HTTPS\r\nX-Forwarded-Host: evil\r\n"
         "X-Forwarded-Host: a,\r\n", "HTTPS", "a", 0},
        {"Forwarded: for=1.2.3.4;Proto=https;host=\"a:81\"\r\n", "https", "a",
         81},
        {"Forwarded: proto=http;host=evil, for=\"[::1]:2\";proto=https\r\n",
         "https", "", 0},
        {"Forwarded: proto=https\r\nForwarded: host=b;by=_x\r\n", "", "b", 0},
        {"Forwarded: for=x\r\nX-Forwarded-Proto: https\r\n", "", "", 0},
        {"Forwarded: for=\"a,b;c\" ; host=\"[::1]\"\r\n", "", "::1", 0},
        {"Forwarded:\r\n", NULL, NULL, 0},
        {"Forwarded: https\r\n", NULL, NULL, 0},
        {"Forwarded: proto=ftp\r\n", NULL, NULL, 0},
        {"Forwarded: proto=https;proto=http\r\n", NULL, NULL, 0},
        {"Forwarded: host=a;host=b\r\n", NULL, NULL, 0},
        {"Forwarded: host=\"a\\b\"\r\n", NULL, NULL, 0},
        {"Forwarded: host=\"a\r\n", NULL, NULL, 0},
        {"Forwarded: host=\r\n", NULL, NULL, 0},
        {"Forwarded: proto=\r\n", NULL, NULL, 0},
        {"Forwarded: host =a\r\n", NULL, NULL, 0},
        {"X-Forwarded-Proto: wss\r\n", NULL, NULL, 0},
        {"X-Forwarded-Host: a b\r\n", NULL, NULL, 0}};
    struct ad_http_forwarded f;
    struct ad_http_head h;
    char text[256];
    size_t i;

    for (i = 0; i < AD_COUNT(rows); i++) {
        char *copy;
        bool ok;

        (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" H "%s\r\n",
                       rows[i].fields);
        copy = good(&h, text, REQUEST);
        ok = ad_http_read_forwarded(&h, &f);
        CHECK_EQ(ok, rows[i].scheme != NULL);
        if (ok && rows[i].scheme != NULL) {
            CHECK(same(f.scheme, rows[i].scheme));
            CHECK_EQ(f.has_host, rows[i].host[0] != '\0');
            CHECK(!f.has_host || same(f.host.name, rows[i].host));
            CHECK_EQ(f.has_host ? f.host.port : 0, rows[i].port);
        } else if (ok) {
            printf("    %s", rows[i].fields);
        }
        free(copy);
    }
}

/* ---- bodies ---- */

struct body_result {
    uint8_t state;
    enum ad_http_fault fault;
    size_t used, len; /* bytes of the message, bytes of data */
    char data[64];
};

static struct body_result read_body(const char *s, size_t len, size_t first,
                                    size_t step)
{
    struct body_result r = {AD_BODY_CHUNK_SIZE, AD_HTTP_OK, 0, 0, {0}};
    struct ad_body body;
    size_t piece = first;

    memset(&body, 0, sizeof(body));
    body.state = AD_BODY_CHUNK_SIZE;
    while (r.used < len && body.state < AD_BODY_DONE) {
        size_t n, given = len - r.used < piece ? len - r.used : piece, at = 0;
        char *copy = tight(s + r.used, given);

        while (at < given && body.state < AD_BODY_DONE) {
            const uint8_t *data;
            size_t used = ad_body_next(&body, (const uint8_t *)copy + at,
                                       given - at, &data, &n);

            CHECK(used > 0 && used <= given - at && n <= used);
            if (n > 0) { /* the data is what was used last */
                CHECK(data + n == (const uint8_t *)copy + at + used);
                CHECK(r.len + n <= sizeof(r.data));
                memcpy(r.data + r.len, data, n);
                r.len += n;
            }
            at += used;
        }
        r.used += at;
        free(copy);
        piece = step;
    }
    r.state = body.state;
    r.fault = (enum ad_http_fault)body.fault;
    return r;
}

static void test_chunks(void)
{
    enum { MORE, DONE, BAD };
    static const struct {
        const char *section;
        int result;
        const char *data; /* if it is done */
        size_t rest;      /* bytes behind its end */
        const char *text;
        size_t len;
    } rows[] = {
        {"9112 7.1", DONE, "", 0, LIT("0\r\n\r\n")},
        {"9112 7.1", DONE, "hello", 0, LIT("5\r\nhello\r\n0\r\n\r\n")},
        {"9112 7.1", DONE, "hello, you", 4,
         LIT("5\r\nhello\r\n05\r\n, you\r\n000\r\n\r\nGET ")},
        {"9112 7.1", DONE, "0123456789abcdef", 0,
         LIT("00000000000000a\r\n0123456789\r\n6\r\nabcdef\r\n0\r\n\r\n")},
        {"9112 7.1", DONE, "\r\n0\r\n\r\n", 0, LIT("7\r\n\r\n0\r\n\r\n\r\n0\r\n"
                                                   "\r\n")},
        {"9112 7.1.1", DONE, "a", 0, LIT("1;x\r\na\r\n0;y=\"z;\"\r\n\r\n")},
        {"9112 7.1.1", DONE, "a", 0, LIT("1 \t; x = y\r\na\r\n0\r\n\r\n")},
        {"9112 7.1.2", DONE, "a", 1,
         LIT("1\r\na\r\n0\r\nA: b\r\nX-Y:\r\n\r\nx")},
        {"9112 7.1", MORE, "", 0, LIT("5\r\nhello\r\n0\r\n")},
        {"9112 7.1", MORE, "", 0, LIT("5\r\nhello\r\n0\r\n\r")},
        {"9112 7.1", BAD, "", 0, LIT("\r\n")},
        {"9112 7.1", BAD, "", 0, LIT("x\r\n")},
        {"9112 7.1", BAD, "", 0, LIT("-1\r\n")},
        {"9112 7.1", BAD, "", 0, LIT("+1\r\n")},
        {"9112 7.1", BAD, "", 0, LIT("0x5\r\n")},
        {"9112 7.1", BAD, "", 0, LIT(" 5\r\n")},
        {"9112 7.1", BAD, "", 0, LIT("5 \r\nhello\r\n0\r\n\r\n")},
        {"9112 7.1", BAD, "", 0, LIT("5 5\r\n")},
        {"9112 7.1", BAD, "", 0, LIT("5_\r\n")},
        {"9112 7.1", BAD, "", 0, LIT("5\nhello\n0\n\n")},
        {"9112 7.1", BAD, "", 0, LIT("5\r\nhello\n")},
        {"9112 7.1", BAD, "", 0, LIT("5\r\nhello\r0\r\n\r\n")},
        {"9112 7.1", BAD, "", 0, LIT("5\r\nhelloo\r\n")},
        {"9112 7.1", BAD, "", 0, LIT("5\rhello\r\n")},
        {"9112 7.1", BAD, "", 0, LIT("5\r\rhello\r\n")},
        {"9112 7.1", BAD, "", 0, LIT("5\r\nhello0\r\n\r\n")},
        {"9112 7.1", BAD, "", 0, LIT("0\r\n\n")},
        {"9112 7.1", BAD, "", 0, LIT("0000000000000005\r\nhello\r\n")},
        {"9112 7.1", BAD, "", 0, LIT("FFFFFFFFFFFFFFFF\r\n")},
        {"9112 7.1.1", BAD, "", 0, LIT("5;x\nhello\r\n")},
        {"9112 7.1.1", BAD, "", 0, LIT("5;\nxx\r\nhello\r\n0\r\n\r\n")},
        {"9112 7.1.1", BAD, "", 0, LIT("5;x\rhello\r\n")},
        {"9112 7.1.1", BAD, "", 0, LIT("5;x\0y\r\n")},
        {"9112 7.1.2", BAD, "", 0, LIT("0\r\nA b\r\n\r\n")},
        {"9112 7.1.2", BAD, "", 0, LIT("0\r\n: b\r\n\r\n")},
        {"9112 7.1.2", BAD, "", 0, LIT("0\r\nA : b\r\n\r\n")},
        {"9112 7.1.2", BAD, "", 0, LIT("0\r\nA: b\r\n c\r\n\r\n")},
        {"9112 7.1.2", BAD, "", 0, LIT("0\r\nA: b\n\r\n")},
        {"9112 7.1.2", BAD, "", 0, LIT("0\r\nA: b\0c\r\n\r\n")},
        {"9112 7.1.2", BAD, "", 0, LIT("0\r\nA\r\n\r\n")},
        {"9112 7.1.2", BAD, "", 0, LIT("0\r\nA: b\rC: d\r\n\r\n")},
        {"9112 7.1.2", BAD, "", 0, LIT("0\r\n\r\r\n")},
        {"9112 7.1.2", BAD, "", 0, LIT("0\r\nGET / HTTP/1.1\r\n\r\n")},
    };
    size_t i, k;

    for (i = 0; i < AD_COUNT(rows); i++) {
        size_t len = rows[i].len;
        struct body_result whole = read_body(rows[i].text, len, len, len);
        int result = whole.state == AD_BODY_DONE  ? DONE
                     : whole.state == AD_BODY_BAD ? BAD
                                                  : MORE;

        CHECK_EQ(result, rows[i].result);
        if (result != rows[i].result) {
            printf("    %s\n", rows[i].section);
            show(rows[i].text, len);
        }
        CHECK_EQ(whole.fault != AD_HTTP_OK, result == BAD);
        if (result == DONE) {
            CHECK_EQ(len - whole.used, rows[i].rest);
            CHECK_EQ(whole.len, strlen(rows[i].data));
            CHECK(memcmp(whole.data, rows[i].data, whole.len) == 0);
        }
        for (k = 1; k <= len; k++) { /* two pieces, then pieces of k */
            struct body_result cut = read_body(rows[i].text, len, k, len);
            struct body_result drip = read_body(rows[i].text, len, k, k);

            CHECK(cut.state == whole.state && cut.used == whole.used &&
                  cut.len == whole.len && cut.fault == whole.fault &&
                  memcmp(cut.data, whole.data, whole.len) == 0);
            CHECK(drip.state == whole.state && drip.used == whole.used &&
                  drip.len == whole.len && drip.fault == whole.fault &&
                  memcmp(drip.data, whole.data, whole.len) == 0);
        }
    }
}

/* before, n times c, after: what fault? */
static enum ad_http_fault chunk_fault(const char *before, size_t n, char c,
                                      const char *after)
{
    static char text[AD_BODY_TRAILER_MAX + 256];
    struct ad_text t = ad_text_in(text, sizeof(text));
    size_t i;
    struct body_result r;

    ad_puts(&t, before);
    for (i = 0; i < n; i++) {
        ad_put(&t, &c, 1);
    }
    ad_puts(&t, after);
    CHECK(!t.full);
    r = read_body(text, t.len, t.len, t.len);
    CHECK(r.state == AD_BODY_DONE || r.state == AD_BODY_BAD);
    return r.fault;
}

static void test_chunk_limits(void)
{
    CHECK_EQ(chunk_fault("", AD_BODY_SIZE_MAX, '0', "\r\n\r\n"), AD_HTTP_OK);
    CHECK_EQ(chunk_fault("", AD_BODY_SIZE_MAX + 1, '0', "\r\n\r\n"),
             AD_HTTP_LONG_CHUNK_LINE);
    CHECK_EQ(chunk_fault("0;", AD_BODY_EXT_MAX - 1, 'x', "\r\n\r\n"),
             AD_HTTP_OK);
    CHECK_EQ(chunk_fault("0;", AD_BODY_EXT_MAX, 'x', "\r\n\r\n"),
             AD_HTTP_LONG_CHUNK_LINE);
    CHECK_EQ(chunk_fault("0", AD_BODY_EXT_MAX + 1, ' ', ""),
             AD_HTTP_LONG_CHUNK_LINE);
    /* each chunk has its own */
    CHECK_EQ(chunk_fault("1;x\r\na\r\n0;", AD_BODY_EXT_MAX - 1, 'x',
                         "\r\n\r\n"), AD_HTTP_OK);
    /* "A:", CRLF and CRLF are 6 bytes of the section */
    CHECK_EQ(chunk_fault("0\r\nA:", AD_BODY_TRAILER_MAX - 6, 'x', "\r\n\r\n"),
             AD_HTTP_OK);
    CHECK_EQ(chunk_fault("0\r\nA:", AD_BODY_TRAILER_MAX - 5, 'x', "\r\n\r\n"),
             AD_HTTP_LONG_TRAILER);
    CHECK_EQ(chunk_fault("0;xxx\r\nA:", AD_BODY_TRAILER_MAX - 6, 'x',
                         "\r\n\r\n"), AD_HTTP_OK);
}

static void test_body_begin(void)
{
    struct ad_http_head h;
    struct ad_body b;
    const uint8_t *data;
    size_t n;
    char *copy;

    copy = good(&h, "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n", REQUEST);
    ad_body_begin(&b, &h);
    CHECK_EQ(ad_body_next(&b, (const uint8_t *)"hel", 3, &data, &n), 3);
    CHECK(n == 3 && b.state == AD_BODY_LENGTH && !ad_body_closed_ok(&b));
    CHECK_EQ(ad_body_next(&b, (const uint8_t *)"loGET", 5, &data, &n), 2);
    CHECK(n == 2 && b.state == AD_BODY_DONE && ad_body_closed_ok(&b));
    CHECK_EQ(ad_body_next(&b, (const uint8_t *)"GET", 3, &data, &n), 0);
    CHECK_EQ(n, 0);
    free(copy);
    copy = good(&h, "GET / HTTP/1.1\r\n" H "\r\n", REQUEST);
    ad_body_begin(&b, &h);
    CHECK_EQ(b.state, AD_BODY_DONE);
    free(copy);
    copy = good(&h, "HTTP/1.1 200 OK\r\n\r\n", ANSWER);
    ad_body_begin(&b, &h);
    CHECK_EQ(ad_body_next(&b, (const uint8_t *)"hello", 5, &data, &n), 5);
    CHECK(n == 5 && b.left == UINT64_MAX && ad_body_closed_ok(&b));
    free(copy);
    copy = good(&h, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                ANSWER);
    ad_body_begin(&b, &h);
    CHECK(b.state == AD_BODY_CHUNK_SIZE && !ad_body_closed_ok(&b));
    free(copy);
}

/* ---- writing ---- */

static struct ad_slice bytes(const char *s, size_t len)
{
    struct ad_slice slice = {s, len};

    return slice;
}

static void test_write(void)
{
    char out[256];
    struct ad_text t = ad_text_in(out, sizeof(out));
    struct ad_slice get = ad_slice_of("GET"), q = ad_slice_of("a=b");
    struct ad_slice reason = bytes(LIT("O\rK"));
    struct ad_http_host host;
    char chunk[AD_HTTP_CHUNK_HEADER_MAX];

    /* RFC 9112 11.1: nothing that is written can end its line */
    CHECK(!ad_http_put_field(&t, ad_slice_of("A"), bytes(LIT("b\r\nC: d"))));
    CHECK(!ad_http_put_field(&t, ad_slice_of("A"), bytes(LIT("b\nC: d"))));
    CHECK(!ad_http_put_field(&t, ad_slice_of("A"), bytes(LIT("b\rC"))));
    CHECK(!ad_http_put_field(&t, ad_slice_of("A"), bytes(LIT("b\0c"))));
    CHECK(!ad_http_put_field(&t, ad_slice_of("A"), bytes(LIT(" b"))));
    CHECK(!ad_http_put_field(&t, ad_slice_of("A"), bytes(LIT("b\t"))));
    CHECK(!ad_http_put_field(&t, ad_slice_of(""), ad_slice_of("b")));
    CHECK(!ad_http_put_field(&t, ad_slice_of("A:"), ad_slice_of("b")));
    CHECK(!ad_http_put_field(&t, ad_slice_of("A b"), ad_slice_of("b")));
    CHECK(!ad_http_put_field(&t, bytes(LIT("A\r\nB")), ad_slice_of("b")));
    CHECK(!ad_http_put_status_line(&t, 200, &reason));
    CHECK(!ad_http_put_request_line(&t, ad_slice_of("G T"), ad_slice_of("/"),
                                    NULL));
    CHECK(!ad_http_put_request_line(&t, get, ad_slice_of("/a b"), NULL));
    CHECK(!ad_http_put_request_line(&t, get, ad_slice_of("/a?b"), NULL));
    CHECK(!ad_http_put_request_line(&t, get, ad_slice_of("x"), NULL));
    CHECK(!ad_http_put_request_line(&t, get, ad_slice_of(""), NULL));
    CHECK(!ad_http_put_request_line(&t, get, ad_slice_of("*"), &q));
    CHECK(!ad_http_put_request_line(&t, get, ad_slice_of("/"), &reason));
    CHECK_EQ(t.len, 0);
    CHECK(ad_http_put_request_line(&t, get, ad_slice_of("/x"), &q));
    CHECK(ad_http_host_parse(&host, ad_slice_of("[::1]:80")));
    put_host(&t, &host);
    CHECK(ad_http_put_field_text(&t, "A", "\xC3\xA9 b"));
    CHECK(ad_http_put_field_text(&t, "B", ""));
    ad_http_put_content_length(&t, 0);
    ad_http_put_end(&t);
    CHECK(!t.full);
    CHECK(same(bytes(out, t.len), "GET /x?a=b HTTP/1.1\r\nHost: [::1]:80\r\n"
               "A: \xC3\xA9 b\r\nB: \r\nContent-Length: 0\r\n\r\n"));
    t = ad_text_in(out, sizeof(out));
    CHECK(ad_http_put_status_line(&t, 431, NULL));
    CHECK(ad_http_put_status_line(&t, 299, NULL));
    CHECK(same(bytes(out, t.len),
               "HTTP/1.1 431 Request Header Fields Too Large\r\nHTTP/1.1 299 "
               "\r\n"));
    CHECK(same(bytes(chunk, ad_http_chunk_header(chunk, 1)), "1\r\n"));
    CHECK(same(bytes(chunk, ad_http_chunk_header(chunk, 0xaF0)), "af0\r\n"));
    CHECK(same(bytes(chunk, ad_http_chunk_header(chunk, UINT64_MAX)),
               "ffffffffffffffff\r\n"));
}

/* Write a parsed request anew, as a relay does. In HTTP/1.0 an Expect means
 * nothing (RFC 9110 10.1.1), so it must not come to mean something. */
static void write_again(struct ad_text *t, const struct ad_http_head *h)
{
    size_t i;

    CHECK(ad_http_put_request_line(t, h->method, h->path,
                                   h->has_query ? &h->query : NULL));
    if (h->has_host) {
        put_host(t, &h->host);
    }
    for (i = 0; i < h->fields.n; i++) {
        struct ad_http_field f = h->fields.at[i];

        if (!ad_slice_is_nocase(f.name, "Host") &&
            !ad_slice_is_nocase(f.name, "Content-Length") &&
            (h->minor > 0 || !ad_slice_is_nocase(f.name, "Expect"))) {
            CHECK(ad_http_put_field(t, f.name, f.value));
        }
    }
    if (h->has_length) {
        ad_http_put_content_length(t, h->length);
    }
    ad_http_put_end(t);
}

static bool slices_same(struct ad_slice a, struct ad_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* Each good request, written anew, parses to the same; written once more, it is
 * the same bytes. */
static void test_round_trip(void)
{
    static struct ad_http_field fields[AD_HTTP_FIELDS], again[AD_HTTP_FIELDS];
    static char out[4096], twice[4096];
    size_t i, k, n = 0;

    for (i = 0; i < AD_COUNT(requests); i++) {
        struct ad_http_head a, b;
        struct ad_text t = ad_text_in(out, sizeof(out));
        struct ad_text t2 = ad_text_in(twice, sizeof(twice));
        char *copy, *copy2;

        if (requests[i].status == 200 &&
            parse(&a, fields, requests[i].text, requests[i].len, REQUEST,
                  &copy) == AD_HTTP_OK) {
            if (!a.has_host) { /* HTTP/1.0; what is written is HTTP/1.1 */
                CHECK(ad_http_host_parse(&a.host, ad_slice_of("engine")));
                a.has_host = true;
            }
            write_again(&t, &a);
            CHECK(!t.full);
            CHECK_EQ(parse(&b, again, out, t.len, REQUEST, &copy2), AD_HTTP_OK);
            CHECK(slices_same(a.method, b.method) && slices_same(a.path, b.path) &&
                  a.has_query == b.has_query && slices_same(a.query, b.query));
            CHECK(ad_http_host_same(&a.host, &b.host) &&
                  a.host.port == b.host.port);
            CHECK(a.framing == b.framing && a.length == b.length &&
                  a.has_length == b.has_length);
            for (k = 0; k < a.fields.n; k++) {
                char name[64];
                struct ad_slice value;

                (void)snprintf(name, sizeof(name), "%.*s",
                               (int)a.fields.at[k].name.len,
                               a.fields.at[k].name.at);
                CHECK(ad_http_field_get(&b.fields, name, &value) ||
                      (a.minor == 0 && strcmp(name, "Expect") == 0));
            }
            write_again(&t2, &b);
            CHECK(t.len == t2.len && memcmp(out, twice, t.len) == 0);
            free(copy);
            free(copy2);
            n++;
        }
    }
    CHECK(n > 20);
}

static void test_decimal(void)
{
    uint64_t v = 7;

    CHECK(ad_decimal_u64("0", 1, 0, &v) && v == 0);
    CHECK(ad_decimal_u64("00012", 5, 12, &v) && v == 12);
    CHECK(!ad_decimal_u64("13", 2, 12, &v) && v == 12);
    CHECK(ad_decimal_u64("18446744073709551615", 20, UINT64_MAX, &v) &&
          v == UINT64_MAX);
    CHECK(!ad_decimal_u64("18446744073709551616", 20, UINT64_MAX, &v));
    CHECK(!ad_decimal_u64("99999999999999999999", 20, UINT64_MAX, &v));
    CHECK(!ad_decimal_u64("", 0, 9, &v));
    CHECK(!ad_decimal_u64("1 ", 2, 99, &v));
    CHECK(!ad_decimal_u64("-1", 2, 99, &v));
    CHECK(!ad_decimal_u64("/", 1, 99, &v));
    CHECK(!ad_decimal_u64(":", 1, 99, &v));
    CHECK(!ad_decimal_u64("9", 1, 5, &v));
    CHECK(ad_decimal_u64("5x", 1, 5, &v) && v == 5);
    CHECK(ad_hex('0') == 0 && ad_hex('f') == 15 && ad_hex('F') == 15);
    CHECK(ad_hex('g') == -1 && ad_hex('/') == -1 && ad_hex('\0') == -1 &&
          ad_hex('@') == -1 && ad_hex(0x80 + 'a') == -1);
}

int main(void)
{
    test_decimal();
    test_faults();
    test_heads();
    test_sentences();
    test_limits();
    test_prefixes();
    test_request();
    test_answer();
    test_lists();
    test_connection();
    test_accept_encoding();
    test_etags();
    test_handshake();
    test_hosts();
    test_origins();
    test_forwarded();
    test_chunks();
    test_chunk_limits();
    test_body_begin();
    test_write();
    test_round_trip();
    return check_report();
}
