/* Sections 6 and 7 of aidash.c without a network: the inbox under several
 * producers, the feed at its wrap, dressing, what a socket takes in pieces,
 * and the arena. */
#include "../src/core/clients_in.c"
#include "../src/web/arena.c"
#include "check.h"

/* ---- the inbox ------------------------------------------------------------ */

enum { PRODUCERS = 4, EACH = 50000 };

static void *produce(void *which)
{
    struct ad_sample s;
    uint64_t i;

    memset(&s, 0, sizeof(s));
    for (i = 1; i <= EACH; i++) {
        s.tokens = i;
        s.total = (uint64_t)(uintptr_t)which;
        (void)snprintf(s.model, sizeof(s.model), "m%llu",
                       (unsigned long long)(i + s.total));
        ad_inbox_push(&s);
    }
    return NULL;
}

/* Every producer's samples arrive in its order, whole, and those that did not
 * were counted as dropped. */
static void test_inbox_producers(void)
{
    pthread_t threads[PRODUCERS];
    uint64_t last[PRODUCERS] = {0}, got = 0, seen;
    uint64_t before = atomic_load(&ad_inbox.dropped);
    struct ad_sample s;
    char model[64];
    bool in_order = true, whole = true, ended = false;
    unsigned i;

    for (i = 0; i < PRODUCERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, produce,
                             (void *)(uintptr_t)i) == 0);
    }
    do {
        if (ad_inbox_pop(&s)) {
            in_order = in_order && s.tokens > last[s.total];
            last[s.total] = s.tokens;
            (void)snprintf(model, sizeof(model), "m%llu",
                           (unsigned long long)(s.tokens + s.total));
            whole = whole && strcmp(model, s.model) == 0;
            got++;
        }
        seen = got + atomic_load(&ad_inbox.dropped) - before;
        ended = seen == (uint64_t)PRODUCERS * EACH;
    } while (!ended);
    for (i = 0; i < PRODUCERS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    CHECK(in_order);
    CHECK(whole);
    CHECK(!ad_inbox_pop(&s));
}

static void test_inbox_full(void)
{
    struct ad_sample s;
    uint64_t before = atomic_load(&ad_inbox.dropped), i;

    memset(&s, 0, sizeof(s));
    for (i = 0; i < AIDASH_INBOX + 10; i++) {
        s.tokens = i;
        ad_inbox_push(&s);
    }
    CHECK_EQ(ad_inbox_fill(), AIDASH_INBOX);
    CHECK_EQ(atomic_load(&ad_inbox.dropped) - before, 10);
    for (i = 10; ad_inbox_pop(&s); i++) {
        if (s.tokens != i) {
            CHECK_EQ(s.tokens, i);
        }
    }
    CHECK_EQ(i, AIDASH_INBOX + 10);
}

/* ---- the feed -------------------------------------------------------------- */

/* The JSON of test event seq: of a length that differs, with its number in it. */
static size_t event_json(uint64_t seq, char out[AD_EVENT_MAX])
{
    size_t n = (size_t)snprintf(out, AD_EVENT_MAX, "{\"seq\":%llu,\"pad\":\"",
                                (unsigned long long)seq);
    size_t pad = (size_t)(seq * 7919 % 300);

    memset(out + n, 'a' + (int)(seq % 26), pad);
    n += pad;
    memcpy(out + n, "\"}", 2);
    return n + 2;
}

static void append(enum ad_event kind)
{
    char json[AD_EVENT_MAX];

    ad_feed_append(kind, json, event_json(ad_feed.next, json));
}

static bool event_is_right(uint64_t seq)
{
    char json[AD_EVENT_MAX], got[AD_EVENT_MAX];
    size_t n = event_json(seq, json);
    uint64_t off;
    uint8_t header[4], expected[4];
    size_t header_len = ad_ws_frame_header(expected, 1, n);

    if (ad_feed_json(seq, &off) != n) {
        return false;
    }
    ad_feed_copy(ad_feed_off(seq), header_len, header);
    ad_feed_copy(off, n, got);
    return memcmp(header, expected, header_len) == 0 &&
           memcmp(got, json, n) == 0;
}

/* Whatever is still kept is whole, over many wraps of the bytes. */
static void test_feed_wrap(void)
{
    unsigned i;
    uint64_t seq, off;
    size_t kept;

    ad_feed_init();
    for (i = 0; i < 20000; i++) {
        append(AD_EV_TICK);
        if (!event_is_right(ad_feed.first) ||
            !event_is_right(ad_feed.next - 1)) {
            CHECK(false);
        }
    }
    kept = (size_t)(ad_feed_off(ad_feed.next) - ad_feed_off(ad_feed.first));
    CHECK(kept <= AIDASH_FEED_BYTES && kept > AIDASH_FEED_BYTES - 400);
    for (seq = ad_feed.first; seq < ad_feed.next; seq++) {
        CHECK(event_is_right(seq));
        off = ad_feed_off(seq);
        if (ad_feed_seq_at(off) != seq ||
            ad_feed_seq_at(ad_feed_off(seq + 1) - 1) != seq) {
            CHECK_EQ(ad_feed_seq_at(off), seq);
        }
    }
}

/* Small events fill the table of places before the bytes. */
static void test_feed_events(void)
{
    unsigned i;

    ad_feed_init();
    for (i = 0; i < 3 * AIDASH_EVENTS; i++) {
        ad_feed_append(AD_EV_STATUS, "{}", 2);
    }
    CHECK_EQ(ad_feed.next - ad_feed.first, AIDASH_EVENTS - 1);
    CHECK_EQ(ad_feed_off(ad_feed.next) - ad_feed_off(ad_feed.first),
             (AIDASH_EVENTS - 1) * 4);
}

/* ---- a client's bytes over a socket that takes little ----------------------- */

static struct ad_client *new_client(enum ad_kind kind, int fds[2])
{
    struct ad_client *c = &ad_clients[ad_client_slot()];
    int small = 4096;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    (void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(fds[1], F_SETFL, O_NONBLOCK);
    memset(c, 0, sizeof(*c));
    c->fd = fds[0];
    c->viewer = true;
    (void)ad_slot_reserve(0);
    ad_client_become(c, kind);
    c->next = ad_feed.next;
    c->subscribed = ad_fanout.n_subscribed;
    ad_fanout.subscribed[ad_fanout.n_subscribed++] = (uint16_t)ad_client_index(c);
    ad_client_watch(c);
    return c;
}

static void reset_hub(void)
{
    memset(&ad_hub, 0, sizeof(ad_hub));
    ad_slots.free = AD_NO_SLOT;
    ad_fanout.backlog = 50;
    ad_feed_init();
    CHECK(ad_poll_open());
    ad_hub_clock();
}

static uint8_t wire[4 * 1024 * 1024];

/* Reads pieces of changing size while events come, as a slow peer would. */
static size_t run_slow_peer(struct ad_client *c, int peer, unsigned events)
{
    size_t n = 0, step = 1;
    unsigned i, idle = 0;

    for (i = 0; i < events || idle < 3;) {
        ssize_t got = recv(peer, wire + n, step, 0);

        n += got > 0 ? (size_t)got : 0;
        step = step * 3 % 211 + 1;
        if (i < events) {
            append(i % 10 == 9 ? AD_EV_STATUS : AD_EV_TICK);
            i++;
        }
        if (c->blocked) {
            ad_client_event(ad_client_index(c));
        } else {
            ad_fan_out();
        }
        idle = got > 0 || i < events ? 0 : idle + 1;
    }
    return n;
}

/* A viewer that reads slowly gets whole frames only; what it got and what it
 * was told to have lost is everything, in order. */
static void test_slow_websocket(void)
{
    int fds[2];
    struct ad_client *c;
    size_t at = 0, n;
    uint64_t expected = 1, lost = 0, got = 0;

    reset_hub();
    c = new_client(AD_WS, fds);
    n = run_slow_peer(c, fds[1], 3000);
    while (at + 4 <= n) {
        size_t len = wire[at + 1] & 0x7F, header = 2;
        unsigned long long seq, dropped;
        char text[AD_EVENT_MAX + 1];

        if (wire[at] != 0x81) {
            CHECK_EQ(wire[at], 0x81);
            break;
        }
        if (len == 126) {
            len = (size_t)wire[at + 2] << 8 | wire[at + 3];
            header = 4;
        }
        memcpy(text, wire + at + header, len);
        text[len] = '\0';
        if (sscanf(text, "{\"event\":\"status\",\"dropped\":%llu,"
                         "\"next_seq\":%llu}", &dropped, &seq) == 2) {
            CHECK_EQ(dropped - lost, seq - expected);
            lost = dropped;
            expected = seq;
        } else {
            char json[AD_EVENT_MAX];

            if (len != event_json(expected, json) ||
                memcmp(text, json, len) != 0) {
                CHECK_EQ(expected, 0);
                break;
            }
            expected++;
            got++;
        }
        at += header + len;
    }
    CHECK_EQ(at, n);
    CHECK_EQ(expected, ad_feed.next);
    CHECK_EQ(got + lost, 3000);
    CHECK(lost > 0 && got > 50);
    CHECK_EQ(lost, c->dropped);
    ad_client_drop(c);
    (void)close(fds[1]);
    ad_poll_close();
}

/* The same for server-sent events, whose ids tell what was lost. */
static void test_slow_sse(void)
{
    int fds[2];
    struct ad_client *c;
    size_t n;
    uint64_t expected = 1, lost = 0;
    char *at, *end;

    reset_hub();
    c = new_client(AD_SSE, fds);
    n = run_slow_peer(c, fds[1], 3000);
    wire[n] = '\0';
    for (at = (char *)wire; *at != '\0'; at = end + 2) {
        unsigned long long id = 0, dropped = 0, seq = 0;
        char json[AD_EVENT_MAX + 1], *data = strstr(at, "data: ");

        end = strstr(at, "\n\n");
        CHECK(end != NULL && data != NULL && data < end);
        if (end == NULL || data == NULL) {
            break;
        }
        if (sscanf(at, "id: %llu\n", &id) == 1) {
            size_t len = event_json(id, json);

            CHECK_EQ(id, expected);
            CHECK((size_t)(end - data) == len + 6 &&
                  memcmp(data + 6, json, len) == 0);
            expected = id + 1;
        } else {
            CHECK(sscanf(data, "data: {\"event\":\"status\",\"dropped\":%llu,"
                               "\"next_seq\":%llu}", &dropped, &seq) == 2);
            CHECK_EQ(dropped - lost, seq - expected);
            lost = dropped;
            expected = seq;
        }
    }
    CHECK_EQ(expected, ad_feed.next);
    CHECK(lost > 0);
    ad_client_drop(c);
    (void)close(fds[1]);
    ad_poll_close();
}

/* Batches hold every tick once, in order, in frames of at most 4 KiB. */
static void test_batch(void)
{
    uint64_t seq, expected = 1;
    unsigned i;
    size_t at = 0;

    reset_hub();
    for (i = 0; i < 400; i++) {
        append(i % 37 == 5 ? AD_EV_STATUS : AD_EV_TICK);
    }
    ad_format_range(AD_FORMAT_BATCH, 1);
    for (i = 0; i < ad_formatted.n; i++) {
        const char *payload = (const char *)ad_formatted.bytes + at + 4;
        size_t len = ad_formatted.end[i] - at - 4;
        unsigned long long first;
        char want[64];

        if (sscanf(payload, "{\"event\":\"batch\",\"seq\":%llu,\"ticks\":[",
                   &first) == 1) {
            CHECK(len <= AD_BATCH_MAX);
            CHECK_EQ(first, expected);
            CHECK(ad_json_fault(payload, len) == AD_FAULT_NONE);
            for (seq = first; seq < ad_formatted.seq[i]; seq++) {
                CHECK_EQ(ad_feed_kind(seq), AD_EV_TICK);
                (void)snprintf(want, sizeof(want), "{\"seq\":%llu,",
                               (unsigned long long)seq);
                CHECK(memmem(payload, len, want, strlen(want)) != NULL);
            }
        } else {
            CHECK_EQ(ad_formatted.seq[i], expected + 1);
        }
        expected = ad_formatted.seq[i];
        at = ad_formatted.end[i];
    }
    CHECK(ad_formatted.n > 10);
    CHECK_EQ(at, ad_formatted.len);
    CHECK(expected > 300);
    ad_poll_close();
}

/* ---- the arena ---------------------------------------------------------------- */

static void test_arena(void)
{
    static uint8_t *blocks[200];
    static size_t sizes[200];
    size_t used, high, used_before;
    uint64_t state = 7;
    unsigned i, k, refused = 0;
    bool intact = true;

    ad_arena_usage(&used_before, &high);
    for (i = 0; i < 100000; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        k = (unsigned)(state >> 33) % 200;
        if (blocks[k] != NULL) {
            size_t j;

            for (j = 0; j < sizes[k]; j += 7) {
                intact = intact && blocks[k][j] == (uint8_t)k;
            }
            if ((state >> 60) < 4) {
                size_t larger = sizes[k] + (state >> 50) % 500;
                uint8_t *moved = ad_arena_realloc(blocks[k], larger);

                if (moved != NULL) {
                    memset(moved + sizes[k], (int)k, larger - sizes[k]);
                    blocks[k] = moved;
                    sizes[k] = larger;
                }
            } else {
                ad_arena_free(blocks[k]);
                blocks[k] = NULL;
            }
            continue;
        }
        sizes[k] = 1 + (size_t)(state >> 40) % 5000;
        blocks[k] = ad_arena_malloc(sizes[k]);
        if (blocks[k] == NULL) {
            refused++;
            continue;
        }
        intact = intact && (uintptr_t)blocks[k] % 16 == 0;
        memset(blocks[k], (int)k, sizes[k]);
    }
    CHECK(intact);
    CHECK(refused > 0); /* 200 blocks of 2,500 bytes do not fit: it says so */
    for (k = 0; k < 200; k++) {
        ad_arena_free(blocks[k]);
    }
    ad_arena_usage(&used, &high);
    CHECK_EQ(used, used_before);
    CHECK(high <= sizeof(ad_arena));
    /* All joined again: one block of nearly everything. */
    blocks[0] = ad_arena_malloc(sizeof(ad_arena) - used_before - 64);
    CHECK(blocks[0] != NULL);
    ad_arena_free(blocks[0]);
    CHECK(ad_arena_malloc(SIZE_MAX) == NULL);
    CHECK(ad_arena_calloc(SIZE_MAX / 2, 4) == NULL);
}

int main(void)
{
    test_inbox_full();
    test_inbox_producers();
    test_feed_wrap();
    test_feed_events();
    test_slow_websocket();
    test_slow_sse();
    test_batch();
    test_arena();
    return check_report();
}
