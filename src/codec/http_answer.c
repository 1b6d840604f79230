/* http_answer.c - an answer as it comes over a connection, in pieces of any size:
 * interim heads, the final head, then the body (RFC 9110 15.2, RFC 9112 6).
 * Pure: the state and the buffer for heads are the caller's. Any thread.
 */
#ifndef AD_CODEC_HTTP_ANSWER_C
#define AD_CODEC_HTTP_ANSWER_C

#include "http_body.c"
#include "http_head.c"

#if AD_DIALS

/* RFC 9112 6.3: no body, whatever the fields say. 101 ends HTTP. */
static bool ad_http_status_has_body(unsigned status)
{
    return status >= 200 && status != 204 && status != 304;
}

/* Parse the head of an answer, an interim one (1xx) too, in the same way.
 * `to_head`: it answers a HEAD request, so that no body follows. */
static enum ad_http_fault ad_http_parse_answer(struct ad_http_head *head,
                                               const char *buf, size_t len,
                                               struct ad_http_field *fields,
                                               size_t max, bool to_head)
{
    struct ad_slice rest = {buf, len}, line;
    enum ad_http_fault fault;

    ad_http_head_begin(head, fields, max);
    fault = ad_http_cut_line(&rest, &line);
    if (fault == AD_HTTP_OK) {
        fault = ad_http_status_line(head, line);
    }
    if (fault == AD_HTTP_OK) {
        fault = ad_http_field_lines(&head->fields, &rest);
    }
    head->len = len - rest.len;
    if (fault == AD_HTTP_OK) {
        fault = ad_http_body_framing(head);
    }
    if (to_head || !ad_http_status_has_body(head->status)) {
        head->framing = AD_HTTP_NO_BODY;
    }
    return fault;
}

/* The connection was closed: is the body whole? RFC 9112 8. */
static bool ad_body_closed_ok(const struct ad_body *b)
{
    return b->state == AD_BODY_DONE ||
           (b->state == AD_BODY_LENGTH && b->left == UINT64_MAX);
}

/* How far the reading has come. */
struct ad_answer {
    struct ad_http_find find; /* where the current head ends */
    struct ad_body body;      /* once there is a status */
    uint32_t cap;             /* bytes that all heads may have */
    uint32_t before;          /* bytes of interim heads */
    uint32_t len;             /* bytes of the current head */
    uint16_t status;          /* of the final head; 0: it has not come */
    bool to_head;             /* the request was HEAD */
    bool may_switch;          /* it asked for another protocol: 101 is final */
};

/* Where heads are put together, and the fields of one. */
struct ad_answer_buffer {
    char *bytes; /* `cap` of them */
    struct ad_http_field *fields; /* AD_HTTP_FIELDS of them */
};

/* cap: bytes that all heads of the answer may have, 1..the buffer's size. */
static void ad_answer_begin(struct ad_answer *a, uint32_t cap, bool to_head)
{
    memset(a, 0, sizeof(*a));
    a->cap = cap;
    a->to_head = to_head;
    ad_http_find_begin(&a->find, true, cap);
}

/* Read bytes of heads, while there is no status. Returns AD_HTTP_OK with *head
 * when one is whole: an interim one, or the final one, and then the status is
 * set; *used bytes belong to it, and it is valid until the next call. Returns
 * AD_HTTP_MORE when all bytes were used; or the first fault. A protocol other
 * than HTTP (101) and codings that were not asked for are faults. Behind the head
 * of a 101 that was asked for, nothing is of HTTP. */
static enum ad_http_fault ad_answer_head(struct ad_answer *a,
                                         const struct ad_answer_buffer *buffer,
                                         const uint8_t *in, size_t len,
                                         size_t *used,
                                         struct ad_http_head *head)
{
    size_t had = a->len, room = a->cap - a->before - had;
    enum ad_http_fault fault;

    *used = len < room ? len : room;
    memcpy(buffer->bytes + had, in, *used);
    fault = ad_http_find_next(&a->find, buffer->bytes, had + *used);
    if (fault == AD_HTTP_MORE) {
        a->len += (uint32_t)*used;
        return AD_HTTP_MORE;
    }
    if (fault == AD_HTTP_OK) {
        fault = ad_http_parse_answer(head, buffer->bytes, a->find.end,
                                     buffer->fields, AD_HTTP_FIELDS, a->to_head);
    }
    if (fault == AD_HTTP_OK && head->coded) {
        fault = AD_HTTP_UNKNOWN_CODING;
    }
    if (fault == AD_HTTP_OK && head->status == 101 && !a->may_switch) {
        fault = AD_HTTP_SWITCHES;
    }
    if (fault != AD_HTTP_OK) {
        return fault;
    }
    *used = a->find.end - had;
    a->len = 0;
    if (head->status >= 200 || head->status == 101) {
        a->status = head->status;
        ad_body_begin(&a->body, head);
    } else {
        a->before += (uint32_t)head->len;
        ad_http_find_begin(&a->find, true, a->cap - a->before);
    }
    return AD_HTTP_OK;
}

/* Has all of it come? */
static bool ad_answer_complete(const struct ad_answer *a)
{
    return a->status != 0 && a->body.state == AD_BODY_DONE;
}

/* The connection was closed. Returns whether the answer is complete: its body may
 * end in this way. */
static bool ad_answer_close(struct ad_answer *a)
{
    if (a->status != 0 && ad_body_closed_ok(&a->body)) {
        a->body.state = AD_BODY_DONE;
    }
    return ad_answer_complete(a);
}

#endif /* AD_DIALS */

#endif
