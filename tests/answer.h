/* answer.h - an answer read as the proxy reads one: its heads, its framing, and
 * the scanner over the body's data. For unit_scan.c and fuzz_scan.c. */
#ifndef ANSWER_H
#define ANSWER_H

#include "../src/codec/http_answer.c"
#include "../src/codec/llm_scan.c"

struct reading {
    struct ad_scan scan;
    struct ad_answer answer;
    enum ad_http_fault fault; /* of a head */
    char heads[4096];
    struct ad_http_field fields[AD_HTTP_FIELDS];
};

/* head: the request's method was HEAD. */
static void reading_begin(struct reading *r, bool head)
{
    memset(r, 0, sizeof(*r));
    ad_scan_begin(&r->scan);
    ad_answer_begin(&r->answer, sizeof(r->heads), head);
}

/* Begin behind a head of 200 whose body is of this form and ends with the
 * connection. */
static void reading_begin_body(struct reading *r, uint8_t form)
{
    reading_begin(r, false);
    r->scan.form = form;
    r->answer.status = 200;
    r->answer.body.state = AD_BODY_LENGTH;
    r->answer.body.left = UINT64_MAX;
}

/* Bytes of the answer. Returns how many token events they completed. */
static uint32_t reading_feed(struct reading *r, const uint8_t *in, size_t len)
{
    struct ad_answer_buffer buffer;
    struct ad_body *body = &r->answer.body;
    uint32_t events = 0;
    size_t used = 0, n;

    buffer.bytes = r->heads;
    buffer.fields = r->fields;
    while (r->answer.status == 0 && r->fault == AD_HTTP_OK && used < len) {
        struct ad_http_head head;
        enum ad_http_fault fault = ad_answer_head(&r->answer, &buffer, in + used,
                                                  len - used, &n, &head);

        used += n;
        if (fault == AD_HTTP_MORE) {
            return 0;
        }
        r->fault = fault;
        if (r->answer.status != 0) {
            ad_scan_head(&r->scan, &head);
        }
    }
    if (r->answer.status == 0) {
        return 0;
    }
    while (used < len && body->state < AD_BODY_DONE) {
        const uint8_t *data = NULL;

        used += ad_body_next(body, in + used, len - used, &data, &n);
        if (n > 0) {
            events += ad_scan_body(&r->scan, data, n);
        }
        if (body->state == AD_BODY_DONE) {
            ad_scan_body_end(&r->scan);
        }
    }
    if (used < len || body->state == AD_BODY_BAD) {
        r->scan.incomplete |= AD_INCOMPLETE_FRAMING;
    }
    return events;
}

static void reading_close(struct reading *r)
{
    if (!ad_answer_complete(&r->answer) && ad_answer_close(&r->answer)) {
        ad_scan_body_end(&r->scan);
    }
}

#endif
