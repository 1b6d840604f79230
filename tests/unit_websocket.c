/* codec/websocket.c: frame headers, close codes, and whole messages out of bytes
 * in pieces. */
#include "../src/codec/websocket.c"
#include "check.h"

/* A frame's first n bytes, and what ad_ws_header() says of them; if that is 0, the
 * payload's length. */
struct head {
    uint8_t bytes[14];
    size_t n;
    int result;
    uint32_t len;
};

/* The heads as a connection reads them that is as `ws` says. */
static void check_heads(const struct head *heads, size_t n, const struct ad_ws *ws)
{
    size_t i;

    for (i = 0; i < n; i++) {
        struct ad_ws reader = *ws;
        struct ad_ws_frame frame;
        uint8_t *copy = check_copy(heads[i].bytes, heads[i].n);
        int result = ad_ws_header(&reader, copy, heads[i].n, &frame);

        CHECK_EQ(result, heads[i].result);
        if (result == 0) {
            CHECK_EQ(frame.len, heads[i].len);
            CHECK_EQ(frame.header_len, heads[i].n);
        }
        free(copy);
    }
}

/* RFC 6455 5.2 byte by byte: what is missing, then the header, then an error. */
static void test_ws_header(void)
{
    static const struct head cases[] = {
        {{0x81}, 1, 1, 0},
        {{0x81, 0x80}, 2, 4, 0},
        {{0x81, 0x85, 1, 2, 3, 4}, 6, 0, 5},
        {{0x81, 0xFD, 1, 2, 3, 4}, 6, 0, 125},
        {{0x81, 0xFE, 0, 126, 1, 2, 3, 4}, 8, 0, 126},
        {{0x81, 0xFE, 0}, 3, 1, 0},
        {{0x81, 0xFE, 0, 125}, 4, -1002, 0},      /* not the shortest form */
        {{0x81, 0xFE, 0x10, 0x00, 1, 2, 3, 4}, 8, 0, 4096},
        {{0x81, 0xFE, 0x10, 0x01}, 4, -1009, 0},
        {{0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}, 10, -1002, 0},
        {{0x81, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0}, 10, -1009, 0},
        {{0x81, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, 10,
         -1009, 0},
        {{0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0}, 10, -1002, 0},
        {{0x81, 0x05}, 2, -1002, 0},              /* not masked */
        {{0xC1, 0x80}, 2, -1002, 0},              /* RSV1 */
        {{0xA1, 0x80}, 2, -1002, 0},
        {{0x91, 0x80}, 2, -1002, 0},
        {{0x83, 0x80}, 2, -1002, 0},              /* reserved opcodes */
        {{0x87, 0x80}, 2, -1002, 0},
        {{0x8B, 0x80}, 2, -1002, 0},
        {{0x8F, 0x80}, 2, -1002, 0},
        {{0x09, 0x80}, 2, -1002, 0},              /* fragmented ping */
        {{0x89, 0xFE}, 2, -1002, 0},              /* ping of 126 bytes */
        {{0x88, 0xFD, 1, 2, 3, 4}, 6, 0, 125},
        {{0x00, 0x81, 9, 9, 9, 9}, 6, 0, 1},
        {{0x02, 0x81, 9, 9, 9, 9}, 6, 0, 1}};

    check_heads(cases, AD_COUNT(cases), &(struct ad_ws){0});
}

/* A server's frames are not masked (5.1), and messages may be longer than ours. */
static void test_ws_server_header(void)
{
    static const struct head cases[] = {
        {{0x81}, 1, 1, 0},
        {{0x81, 0x00}, 2, 0, 0},
        {{0x81, 0x7D}, 2, 0, 125},
        {{0x81, 0x7E, 0, 126}, 4, 0, 126},
        {{0x81, 0x7E, 0, 125}, 4, -1002, 0},
        {{0x81, 0x7E, 0x40, 0x00}, 4, 0, 16384},
        {{0x81, 0x7E, 0x40, 0x01}, 4, -1009, 0},
        {{0x81, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0}, 10, -1009, 0},
        {{0x81, 0x80}, 2, -1002, 0}, /* masked */
        {{0xC1, 0x00}, 2, -1002, 0},
        {{0x09, 0x00}, 2, -1002, 0},
        {{0x8A, 0x02}, 2, 0, 2}};

    check_heads(cases, AD_COUNT(cases), &(struct ad_ws){.of_server = true, .max = 16384});
}

/* What a client writes, a server reads. */
static void test_ws_client_header(void)
{
    static const size_t lens[] = {0, 1, 125, 126, 4096};
    static const uint8_t mask[4] = {0x37, 0xFA, 0x21, 0x3D};
    uint8_t frame[8 + 4096], payload[4096];
    uint8_t message[AIDASH_MESSAGE_MAX], control[AD_WS_CONTROL_MAX];
    size_t i, k;

    for (k = 0; k < sizeof(payload); k++) {
        payload[k] = (uint8_t)('a' + k % 26);
    }
    for (i = 0; i < AD_COUNT(lens); i++) {
        struct ad_ws ws = {0};
        struct ad_ws_event event;
        size_t n = ad_ws_client_header(frame, 1, lens[i], mask);

        ad_ws_unmask(frame + n, payload, lens[i], mask, 0);
        CHECK_EQ(ad_ws_next(&ws, frame, n + lens[i], message, control, &event),
                 n + lens[i]);
        CHECK_EQ(event.kind, AD_WS_TEXT);
        CHECK_EQ(event.len, lens[i]);
        CHECK(memcmp(event.payload, payload, lens[i]) == 0);
    }
}

static void test_close_codes(void)
{
    static const unsigned good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009,
                                    1010, 1011, 1012, 1013, 1014, 3000, 4999};
    static const unsigned bad[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 2999,
                                   5000, 65535};
    size_t i;

    for (i = 0; i < AD_COUNT(good); i++) {
        CHECK(ad_ws_close_ok(good[i]));
    }
    for (i = 0; i < AD_COUNT(bad); i++) {
        CHECK(!ad_ws_close_ok(bad[i]));
    }
}

/* ---- messages ---- */

static uint8_t wire[3 * AIDASH_MESSAGE_MAX];
static size_t wire_len;

/* A client's frame, masked (RFC 6455 5.3). first: FIN, RSV and opcode. */
static void frame(unsigned first, const void *payload, size_t len)
{
    static const uint8_t mask[4] = {0x37, 0xFA, 0x21, 0x3D};
    const uint8_t *bytes = payload;
    size_t i;

    wire[wire_len++] = (uint8_t)first;
    if (len < 126) {
        wire[wire_len++] = (uint8_t)(0x80 | len);
    } else {
        wire[wire_len++] = 0x80 | 126;
        wire[wire_len++] = (uint8_t)(len >> 8);
        wire[wire_len++] = (uint8_t)len;
    }
    memcpy(wire + wire_len, mask, 4);
    wire_len += 4;
    for (i = 0; i < len; i++) {
        wire[wire_len++] = bytes[i] ^ mask[i & 3];
    }
}

static void text(unsigned first, const char *payload)
{
    frame(first, payload, strlen(payload));
}

/* What the stream holds, read in pieces of at most `most` bytes: "text:hi
 * ping:x close:1000 ", of a long payload its length. */
static const char *events(size_t most)
{
    static const char *const names[] = {"nothing", "text", "binary", "ping",
                                        "pong", "close", "fault"};
    static char line[512];
    static uint8_t message[AIDASH_MESSAGE_MAX], control[AD_WS_CONTROL_MAX];
    struct ad_ws ws;
    size_t at = 0, n = 0;

    memset(&ws, 0, sizeof(ws));
    line[0] = '\0';
    while (at < wire_len) {
        size_t len = wire_len - at < most ? wire_len - at : most;
        uint8_t *copy = check_copy(wire + at, len);
        struct ad_ws_event e;
        size_t used = ad_ws_next(&ws, copy, len, message, control, &e);

        CHECK(used > 0 && used <= len);
        CHECK(used == len || e.kind != AD_WS_NOTHING);
        at += used;
        if (e.kind == AD_WS_CLOSE || e.kind == AD_WS_FAULT) {
            n += (size_t)snprintf(line + n, sizeof(line) - n, "%s:%u ",
                                  names[e.kind], e.code);
        } else if (e.kind != AD_WS_NOTHING && e.len < 40) {
            n += (size_t)snprintf(line + n, sizeof(line) - n, "%s:%.*s ",
                                  names[e.kind], (int)e.len,
                                  (const char *)e.payload);
        } else if (e.kind != AD_WS_NOTHING) {
            n += (size_t)snprintf(line + n, sizeof(line) - n, "%s:%zu ",
                                  names[e.kind], e.len);
        }
        free(copy);
        if (e.kind == AD_WS_CLOSE || e.kind == AD_WS_FAULT) {
            break;
        }
    }
    return line;
}

static void check_events(const char *expected)
{
    size_t most;

    for (most = 1; most < 20; most++) {
        CHECK_STR(events(most), expected);
    }
    CHECK_STR(events(wire_len), expected);
    wire_len = 0;
}

static void test_messages(void)
{
    text(0x81, "hi");
    frame(0x82, "\x01\x02", 2);
    frame(0x81, "", 0);
    text(0x8A, "pong");
    check_events("text:hi binary:\x01\x02 text: pong:pong ");

    /* 5.4: fragments, with control frames between them; empty fragments. */
    text(0x01, "He");
    text(0x89, "in between");
    text(0x00, "");
    text(0x00, "ll");
    text(0x80, "o");
    text(0x81, "next");
    text(0x88, "");
    check_events("ping:in between text:Hello text:next close:0 ");
    text(0x02, "");
    text(0x80, "");
    check_events("binary: ");
    text(0x80, "continues nothing");
    check_events("fault:1002 ");
    text(0x01, "a");
    text(0x81, "in a message");
    check_events("fault:1002 ");
    text(0x83, "reserved");
    check_events("fault:1002 ");

    /* 8.1: a character may be cut by fragments, but not by the message. */
    text(0x01, "\xE2\x82");
    text(0x80, "\xAC");
    check_events("text:\xE2\x82\xAC ");
    text(0x81, "\xE2\x82");
    check_events("fault:1007 ");
    text(0x82, "\xE2\x82");
    check_events("binary:\xE2\x82 ");
}

static void test_closes(void)
{
    char reason[AD_WS_CONTROL_MAX + 1];

    text(0x81, "a");
    text(0x88, "\x03\xE8");
    text(0x81, "not read");
    check_events("text:a close:1000 ");
    text(0x88, "\x03\xE9" "bye \xE2\x82\xAC");
    check_events("close:1001 ");
    memset(reason, 'r', sizeof(reason));
    reason[0] = 0x0F;
    reason[1] = (char)0xA0;
    frame(0x88, reason, AD_WS_CONTROL_MAX);
    check_events("close:4000 ");
    frame(0x88, reason, AD_WS_CONTROL_MAX + 1);
    check_events("fault:1002 ");
    text(0x88, "x");
    check_events("fault:1002 ");
    text(0x88, "\x03\xED"); /* 1005 */
    check_events("fault:1002 ");
    text(0x88, "\x03\xE8\xC3");
    check_events("fault:1007 ");
}

/* The longest message, and one byte more: whole and in fragments. */
static void test_lengths(void)
{
    static char large[AIDASH_MESSAGE_MAX + 1];
    char expected[32];

    memset(large, 'a', sizeof(large));
    (void)snprintf(expected, sizeof(expected), "text:%d ", AIDASH_MESSAGE_MAX);
    frame(0x81, large, AIDASH_MESSAGE_MAX);
    check_events(expected);
    frame(0x81, large, AIDASH_MESSAGE_MAX + 1);
    check_events("fault:1009 ");
    frame(0x01, large, AIDASH_MESSAGE_MAX - 1);
    frame(0x00, large, 1);
    text(0x89, "p");
    frame(0x80, large, 0);
    (void)snprintf(expected, sizeof(expected), "ping:p text:%d ",
                   AIDASH_MESSAGE_MAX);
    check_events(expected);
    frame(0x01, large, AIDASH_MESSAGE_MAX - 1);
    frame(0x80, large, 2);
    check_events("fault:1009 ");
}

int main(void)
{
    test_ws_header();
    test_ws_server_header();
    test_ws_client_header();
    test_close_codes();
    test_messages();
    test_closes();
    test_lengths();
    return check_report();
}
