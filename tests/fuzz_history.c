/* The file of history: bytes as they are, and as what lies behind checksums that are right. Whatever it has, a run begins,
 * goes on, and writes a file that the next one takes. */
#define AIDASH_HISTORY_TENS 60
#define AIDASH_HISTORY_FIVES 24
#include "../src/board/history_answer.c"
#include "../src/board/history_file.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/tmp/aidash-fuzz-history-XXXXXX";

static void begin(void)
{
    ad_hub_init();
    ad_ticks_init();
    ad_hub.now_ns = ad_hub.start_ns = 1000 * AD_NS_PER_S;
    ad_hub.now_us = ad_hub.start_us = 1800000000000000;
    ad_history_init();
    ad_history_file_close();
    ad_history_file_init();
}

/* The input over the slots' and the blocks' members, with checksums that are right. */
static void seal(const uint8_t *data, size_t size)
{
    static struct ad_history_slot slot;
    static struct ad_history_tens tens;
    uint8_t sum[16];

    ad_history_begin_slot(&slot);
    if (size > sizeof(slot) - offsetof(struct ad_history_slot, id)) {
        size = sizeof(slot) - offsetof(struct ad_history_slot, id);
    }
    memcpy(&slot.id, data, size);
    ad_history_slot_check(&slot, sum);
    memcpy(slot.check, sum, sizeof(sum));
    (void)ad_history_pwrite(&slot, sizeof(slot), 0);
    memset(&tens, data[size - 1], sizeof(tens));
    tens.head.id = slot.id;
    tens.head.number = slot.second / 10 - AD_HISTORY_TENS_ROWS;
    ad_history_head_check(&tens.head, sizeof(tens), tens.head.check);
    (void)ad_history_pwrite(&tens, sizeof(tens), ad_history_tens_at(tens.head.number / AD_HISTORY_TENS_ROWS));
}

static void ask(void)
{
    static char buffer[AD_HISTORY_ROW_MAX + 1];
    struct ad_history_ask a = {0};
    unsigned level;

    for (level = 0; level < AD_HISTORY_LEVELS; level++) {
        a.columns = AD_HISTORY_OF_ALL;
        if (!ad_history_choose(&a, 0, UINT64_MAX, ad_history_levels[level].step_s)) {
            __builtin_trap();
        }
        for (; a.next < a.end; a.next++) {
            struct ad_text t = ad_text_in(buffer, sizeof(buffer));

            if (ad_history_seconds(level, a.next) > 0) {
                ad_history_put_row(&t, &a, a.next);
            }
            if (t.full) {
                __builtin_trap();
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char why[AD_HISTORY_WHY_MAX];
    uint64_t second;
    int fd;

    if (size < 2) {
        return 0;
    }
    if (path[sizeof(path) - 2] == 'X') {
        fd = mkstemp(path);
    } else {
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    }
    begin();
    ad_history_file.fd = fd;
    if (data[0] % 2 == 0) {
        (void)ad_history_pwrite(data + 1, size - 1, 0);
    } else {
        seal(data + 1, size - 1);
    }
    begin(); /* closes it */
    if (ad_history_file_open(path, why)) {
        bool on = ad_history_file.fd >= 0;

        ad_history_begin(false);
        ask();
        (void)ad_history_tick("m", 1, 1, false, 0);
        ad_hub.now_ns += 400 * AD_NS_PER_S;
        ad_history_advance();
        ask();
        ad_history_file_finish();
        second = ad_history.second;
        begin();
        if (on && (!ad_history_file_open(path, why) || ad_history.second != second)) {
            __builtin_trap();
        }
    }
    (void)unlink(path);
    return 0;
}
