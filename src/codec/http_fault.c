/* http_fault.c - what can be wrong with an HTTP message, and how it is answered.
 * Pure: any thread. Called by all of codec/http, and by whoever answers.
 */
#ifndef AD_CODEC_HTTP_FAULT_C
#define AD_CODEC_HTTP_FAULT_C

#include "../base/platform.h"

/* What is wrong with a head, a handshake or a chunked body. */
enum ad_http_fault {
    AD_HTTP_OK,
    AD_HTTP_MORE, /* nothing so far: more bytes are needed */
    AD_HTTP_IS_TLS,
    AD_HTTP_IS_HTTP2,
    AD_HTTP_IS_PROXY_PROTOCOL,
    AD_HTTP_EMPTY_LINES,
    AD_HTTP_BAD_METHOD,
    AD_HTTP_LONG_METHOD,
    AD_HTTP_CONNECT,
    AD_HTTP_BAD_REQUEST_LINE,
    AD_HTTP_BAD_TARGET,
    AD_HTTP_LONG_TARGET,
    AD_HTTP_BAD_SCHEME,
    AD_HTTP_BAD_VERSION,
    AD_HTTP_BAD_STATUS_LINE,
    AD_HTTP_BARE_LF,
    AD_HTTP_FOLDED,
    AD_HTTP_BAD_NAME,
    AD_HTTP_NO_COLON,
    AD_HTTP_BAD_VALUE,
    AD_HTTP_MANY_FIELDS,
    AD_HTTP_LONG_HEAD,
    AD_HTTP_LONG_CONNECTION,
    AD_HTTP_NO_HOST,
    AD_HTTP_TWO_HOSTS,
    AD_HTTP_BAD_HOST,
    AD_HTTP_BAD_LENGTH,
    AD_HTTP_TWO_LENGTHS,
    AD_HTTP_LONG_BODY,
    AD_HTTP_LENGTH_AND_CODING,
    AD_HTTP_OLD_CODING,
    AD_HTTP_BAD_CODING,
    AD_HTTP_UNKNOWN_CODING,
    AD_HTTP_SWITCHES,
    AD_HTTP_BAD_EXPECT,
    AD_HTTP_NOT_GET,
    AD_HTTP_NO_UPGRADE,
    AD_HTTP_NO_CONNECTION_UPGRADE,
    AD_HTTP_HANDSHAKE_BODY,
    AD_HTTP_BAD_WS_KEY,
    AD_HTTP_BAD_WS_VERSION,
    AD_HTTP_BAD_CHUNK,
    AD_HTTP_LONG_CHUNK_LINE,
    AD_HTTP_BAD_TRAILER,
    AD_HTTP_LONG_TRAILER,
    AD_HTTP_FAULTS /* how many there are */
};

static const struct {
    uint16_t status; /* what a request with this fault is answered */
    const char *text;
} ad_http_fault_list[AD_HTTP_FAULTS] = {
    [AD_HTTP_OK] = {200, "the head is well-formed"},
    [AD_HTTP_MORE] = {400, "the head is not complete"},
    [AD_HTTP_IS_TLS] = {400, "this port speaks HTTP without TLS"},
    [AD_HTTP_IS_HTTP2] = {505, "this server speaks HTTP/1.1, not HTTP/2"},
    [AD_HTTP_IS_PROXY_PROTOCOL] =
        {400, "this server does not read the PROXY protocol"},
    [AD_HTTP_EMPTY_LINES] =
        {400, "there is more than one empty line before the request"},
    [AD_HTTP_BAD_METHOD] = {400, "the request does not begin with a method"},
    [AD_HTTP_LONG_METHOD] = {501, "the method is not known"},
    [AD_HTTP_CONNECT] = {501, "this server does not tunnel: no CONNECT"},
    [AD_HTTP_BAD_REQUEST_LINE] =
        {400, "the first line is not a method, a target and a version with one "
              "space between them"},
    [AD_HTTP_BAD_TARGET] = {400, "the request target is malformed"},
    [AD_HTTP_LONG_TARGET] = {414, "the request target is too long"},
    [AD_HTTP_BAD_SCHEME] =
        {421, "the request target is neither http:// nor https://"},
    [AD_HTTP_BAD_VERSION] = {505, "the version is neither HTTP/1.0 nor HTTP/1.1"},
    [AD_HTTP_BAD_STATUS_LINE] = {400, "the first line is not a status line"},
    [AD_HTTP_BARE_LF] = {400, "a line does not end in CR LF"},
    [AD_HTTP_FOLDED] = {400, "a header line begins with a blank"},
    [AD_HTTP_BAD_NAME] = {400, "a header's name is empty or malformed"},
    [AD_HTTP_NO_COLON] =
        {400, "a header's name is not followed by a colon at once"},
    [AD_HTTP_BAD_VALUE] = {400, "a header's value holds a control character"},
    [AD_HTTP_MANY_FIELDS] = {431, "there are too many headers"},
    [AD_HTTP_LONG_HEAD] = {431, "the headers are too long"},
    [AD_HTTP_LONG_CONNECTION] = {431, "the Connection header is too long"},
    [AD_HTTP_NO_HOST] = {400, "the Host header is missing"},
    [AD_HTTP_TWO_HOSTS] = {400, "there is more than one Host header"},
    [AD_HTTP_BAD_HOST] = {400, "the Host header is malformed"},
    [AD_HTTP_BAD_LENGTH] = {400, "Content-Length is not a number"},
    [AD_HTTP_TWO_LENGTHS] = {400, "there are two different Content-Lengths"},
    [AD_HTTP_LONG_BODY] = {413, "Content-Length is too large"},
    [AD_HTTP_LENGTH_AND_CODING] =
        {400, "there are both Content-Length and Transfer-Encoding"},
    [AD_HTTP_OLD_CODING] = {400, "HTTP/1.0 has no Transfer-Encoding"},
    [AD_HTTP_BAD_CODING] = {400, "Transfer-Encoding is malformed"},
    [AD_HTTP_UNKNOWN_CODING] =
        {501, "the only Transfer-Encoding that is read is chunked"},
    [AD_HTTP_SWITCHES] = {501, "it switches to another protocol"},
    [AD_HTTP_BAD_EXPECT] =
        {417, "the only Expect that can be met is 100-continue"},
    [AD_HTTP_NOT_GET] = {405, "a WebSocket handshake is a GET request"},
    [AD_HTTP_NO_UPGRADE] =
        {426, "this address speaks WebSocket: a proxy in between must pass the "
              "Upgrade and Connection headers on"},
    [AD_HTTP_NO_CONNECTION_UPGRADE] =
        {400, "the Connection header does not name Upgrade"},
    [AD_HTTP_HANDSHAKE_BODY] = {400, "a WebSocket handshake has no body"},
    [AD_HTTP_BAD_WS_KEY] =
        {400, "there must be one Sec-WebSocket-Key of 16 bytes in base64"},
    [AD_HTTP_BAD_WS_VERSION] = {426, "the only Sec-WebSocket-Version is 13"},
    [AD_HTTP_BAD_CHUNK] = {400, "the chunked body is malformed"},
    [AD_HTTP_LONG_CHUNK_LINE] =
        {400, "a chunk's size line is too long"},
    [AD_HTTP_BAD_TRAILER] =
        {400, "a header behind the chunked body is malformed"},
    [AD_HTTP_LONG_TRAILER] =
        {431, "the headers behind the chunked body are too long"},
};

/* The status that answers a request with this fault: 4xx or 5xx. An answer of
 * an engine with any fault is a 502 to the client (RFC 9110 15.6.3). */
static unsigned ad_http_fault_status(enum ad_http_fault fault)
{
    return ad_http_fault_list[fault].status;
}

/* One English sentence without its capital letter and its stop. Static text. */
static const char *ad_http_fault_text(enum ad_http_fault fault)
{
    return ad_http_fault_list[fault].text;
}

/* The field lines that the answer to this fault must have, each with its CRLF,
 * or "". RFC 9110 15.5.6 and 15.5.22, RFC 6455 4.2.2. Static text. */
static const char *ad_http_fault_fields(enum ad_http_fault fault)
{
    switch (ad_http_fault_status(fault)) {
    case 405:
        return "Allow: GET\r\n";
    case 426:
        return "Connection: Upgrade\r\nUpgrade: websocket\r\n"
               "Sec-WebSocket-Version: 13\r\n";
    default:
        return "";
    }
}

#endif
