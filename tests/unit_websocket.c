/* codec/websocket.c: frame headers and close codes. */
#include "../src/codec/websocket.c"
#include "check.h"

/* RFC 6455 5.2 byte by byte: what is missing, then the header, then an error. */
static void test_ws_header(void)
{
    static const struct {
        uint8_t bytes[14];
        size_t n;
        int result;
        uint32_t len;
    } cases[] = {
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
    size_t i;

    for (i = 0; i < AD_COUNT(cases); i++) {
        struct ad_ws_frame frame;
        uint8_t *copy = check_copy(cases[i].bytes, cases[i].n);
        int result = ad_ws_header(copy, cases[i].n, &frame);

        CHECK_EQ(result, cases[i].result);
        if (result == 0) {
            CHECK_EQ(frame.len, cases[i].len);
            CHECK_EQ(frame.header_len, cases[i].n);
        }
        free(copy);
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

int main(void)
{
    test_ws_header();
    test_close_codes();
    return check_report();
}
