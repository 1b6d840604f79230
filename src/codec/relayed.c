/* relayed.c - an event of another board, as it came from there: checked, and what the
 * hub needs of it. Pure.
 */
#ifndef AD_CODEC_RELAYED_C
#define AD_CODEC_RELAYED_C

#include "json_members.c"
#include "messages.c"

#if AIDASH_NODES

enum {
    AD_RELAYED_RUN_MAX = 16, /* bytes of a run's name */
    AD_RELAYED_NAME_MAX = 31 /* and of an event's */
};

/* What an event is to the hub. */
enum ad_relayed_kind {
    AD_RELAYED_STATUS, /* status or hello; these four are kept, the newest of each */
    AD_RELAYED_BOARD,
    AD_RELAYED_VERDICT,
    AD_RELAYED_ENERGY,
    AD_RELAYED_KEPT,
    AD_RELAYED_OTHER = AD_RELAYED_KEPT,
    AD_RELAYED_TICK,
    AD_RELAYED_FOREIGN, /* of a third board: it is not handed on */
    AD_RELAYED_GONE,    /* no event: the link to the board is closed */
    AD_RELAYED_WRONG    /* refused */
};

/* An event's number: RUN-SEQ, as in `id:` of GET /events. */
struct ad_relayed_id {
    char run[AD_RELAYED_RUN_MAX + 1]; /* "": not known */
    uint64_t seq;
};

/* An event, or that there will be none. */
struct ad_relayed {
    uint8_t kind;                   /* enum ad_relayed_kind */
    char node[AIDASH_NODE_MAX + 1]; /* whose it is */
    struct ad_relayed_id id;
    uint64_t request; /* of a tick: the board's request that it is of, or 0 */
    /* Of a tick: all of it. Of a status: its model alone, or "". */
    struct ad_sample sample;
    struct ad_slice json; /* of all but ticks: the object, in the caller's text */
};

/* Parse RUN-SEQ; "" is one that is not known. False if it is neither. */
static bool ad_relayed_id_parse(const char *s, size_t len, struct ad_relayed_id *out)
{
    size_t n = 0;

    memset(out, 0, sizeof(*out));
    if (len == 0) {
        return true;
    }
    while (n < len && n <= AD_RELAYED_RUN_MAX &&
           (ad_is_digit(s[n]) || (s[n] >= 'a' && s[n] <= 'f'))) {
        n++;
    }
    if (n < 1 || n > AD_RELAYED_RUN_MAX || n == len || s[n] != '-' ||
        !ad_decimal_u64(s + n + 1, len - n - 1, AD_TOTAL_LIMIT, &out->seq)) {
        return false;
    }
    memcpy(out->run, s, n);
    return true;
}

static bool ad_relayed_true(struct ad_slice value)
{
    return value.len == 4 && value.at[0] == 't';
}

/* A checked tick into a sample. All that a tick of the contract has must be there. */
static bool ad_relayed_tick(const struct ad_json_members *m, const char *json,
                            size_t len, struct ad_relayed *out)
{
    struct ad_slice request = ad_json_member(m, "request");
    struct ad_sample *s = &out->sample;

    if (ad_json_member(m, "gauge").at != NULL ||
        ad_json_member(m, "watts").at != NULL ||
        ad_json_member(m, "tokens").at != NULL ||
        ad_sample_parse(json, len, s) != AD_FAULT_NONE || s->model[0] == '\0' ||
        (~s->has & (AD_HAS_TOTAL | AD_HAS_LATENCY | AD_HAS_RATE | AD_HAS_TIME)) != 0) {
        return false;
    }
    if (request.at != NULL && (!ad_is_digit(request.at[0]) ||
        !ad_decimal_whole(request.at, request.len, AD_TOTAL_LIMIT, &out->request))) {
        return false;
    }
    s->has |= AD_IS_RELAYED |
              (ad_relayed_true(ad_json_member(m, "estimated")) ? AD_IS_ESTIMATED : 0u) |
              (ad_relayed_true(ad_json_member(m, "first")) ? AD_IS_FIRST : 0u);
    return true;
}

/* Is it the name of an event: 1..AD_RELAYED_NAME_MAX of a-z, 0-9 and _? */
static bool ad_relayed_named(const char *name)
{
    return name[0] != '\0' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

/* Check an event of at most `max` bytes from outside, and fill in out->kind, request,
 * sample and json; AD_RELAYED_WRONG if it is not one JSON object with the name of an
 * event, or a tick that is not the contract's. A batch has ticks inside, which nobody
 * would number: it is wrong, too. */
static void ad_relayed_parse(const char *text, size_t len, size_t max,
                             struct ad_relayed *out)
{
    static const char *const kept[] = {
        [AD_RELAYED_STATUS] = "status", [AD_RELAYED_BOARD] = "board",
        [AD_RELAYED_VERDICT] = "verdict", [AD_RELAYED_ENERGY] = "energy"};
    char name[AD_RELAYED_NAME_MAX + 1];
    struct ad_json_members m;
    struct ad_slice model;
    unsigned i;

    out->kind = AD_RELAYED_WRONG;
    out->request = 0;
    memset(&out->sample, 0, sizeof(out->sample));
    if (len > max || !ad_json_members_read(&m, text, len) ||
        !ad_json_text(ad_json_member(&m, "event"), name, AD_RELAYED_NAME_MAX) ||
        !ad_relayed_named(name) || strcmp(name, "batch") == 0) {
        return;
    }
    if (strcmp(name, "node") == 0 || ad_json_member(&m, "node").at != NULL) {
        out->kind = AD_RELAYED_FOREIGN;
        return;
    }
    if (strcmp(name, "inference_tick") == 0) {
        if (ad_relayed_tick(&m, text, len, out)) {
            out->kind = AD_RELAYED_TICK;
        }
        return;
    }
    out->kind = strcmp(name, "hello") == 0 ? AD_RELAYED_STATUS : AD_RELAYED_OTHER;
    for (i = 0; i < AD_COUNT(kept); i++) {
        if (strcmp(name, kept[i]) == 0) {
            out->kind = (uint8_t)i;
        }
    }
    model = ad_json_member(&m, "model");
    if (out->kind == AD_RELAYED_STATUS && model.at != NULL &&
        !ad_json_text(model, out->sample.model, AIDASH_MODEL_MAX)) {
        out->sample.model[0] = '\0';
    }
    text = ad_json_unmarked(text, &len);
    out->json.at = memchr(text, '{', len);
    out->json.len = len - (size_t)(out->json.at - text);
    while (out->json.at[out->json.len - 1] != '}') {
        out->json.len--;
    }
}

/* Put a checked JSON text in one line: a line end in it, which only white space can
 * have, would end the field of a server-sent event (HTML 9.2.6). */
static void ad_put_relayed(struct ad_text *t, struct ad_slice json)
{
    size_t i, from = t->len;

    ad_put(t, json.at, json.len);
    for (i = from; i < t->len; i++) {
        if ((unsigned char)t->at[i] < 0x20) {
            t->at[i] = ' ';
        }
    }
}

#endif /* AIDASH_NODES */

#endif
