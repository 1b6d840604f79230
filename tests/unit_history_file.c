/* History over a reboot: what a run finds of the runs before it, whatever happened to
 * the file: torn and flipped at every byte, cut short, of another build, of somebody
 * else; clocks that are not set, or were wrong. Models with rows of their own. */
#define AIDASH_HISTORY_TENS 120
#define AIDASH_HISTORY_FIVES 24
#define AIDASH_HISTORY_MODELS 2
#include "../src/board/history_answer.c"
#include "../src/board/history_file.c"
#include "check.h"

#define S AD_NS_PER_S
#define US 1000000ull
#define NOW (1800000000 * US) /* in 2027 */

static char path[] = "/tmp/aidash-unit-history-XXXXXX";
static char why[AD_HISTORY_WHY_MAX];

/* A new process: nothing is in memory. */
static bool start(uint64_t unix_us)
{
    memset(&ad_history, 0x55, sizeof(ad_history));
    ad_hub_init();
    ad_ticks_init();
    ad_hub.now_ns = ad_hub.start_ns = 1000 * S;
    ad_hub.now_us = ad_hub.start_us = unix_us;
    ad_history_init();
    ad_history_file_close();
    ad_history_file_init();
    return true;
}

static bool begin(uint64_t unix_us)
{
    bool opened;

    start(unix_us);
    opened = ad_history_file_open(path, why);
    ad_history_begin(false);
    return opened;
}

/* Time goes on, second by second; what is due is written, as by the thread. */
static void go(unsigned seconds)
{
    while (seconds-- > 0) {
        ad_hub.now_ns += S;
        ad_hub.now_us += US;
        ad_hub_follow_clock();
        ad_history_advance();
        ad_history_file_run();
        if (atomic_load(&ad_history_file.turn) == AD_HISTORY_FILE_ASKED) {
            ad_history_write();
            atomic_store(&ad_history_file.turn, AD_HISTORY_FILE_DONE);
            ad_history_file_run();
        }
    }
}

/* So many seconds, each with a tick that tells which it is. */
static void ticks(unsigned seconds)
{
    while (seconds-- > 0) {
        (void)ad_history_tick("a", ad_history.second + 1, 10, false, 0);
        go(1);
    }
}

static void fresh(void)
{
    (void)unlink(path);
    CHECK(begin(NOW));
}

static float tokens(unsigned level, unsigned set, uint64_t number)
{
    return ad_history.rows[set][ad_history_at(level, number)].values[AD_HISTORY_TOKENS];
}

/* Do the rows of ten seconds and of five minutes before `end` say what ticks() made? */
static bool whole(uint64_t end)
{
    unsigned level;
    uint64_t number, i;

    for (level = 1; level < AD_HISTORY_LEVELS; level++) {
        uint64_t step = ad_history_levels[level].step_s, first;
        uint64_t last = ad_history_range(level, &first);

        if (last != end / step) {
            return false;
        }
        for (number = first; number < last; number++) {
            double sum = 0;

            for (i = 0; i < step; i++) {
                sum += (double)(number * step + i + 1);
            }
            if (tokens(level, 0, number) != (float)sum ||
                tokens(level, 1, number) != (float)sum) {
                return false;
            }
        }
    }
    return true;
}

static char before[AD_HISTORY_FILE_BYTES], after[AD_HISTORY_FILE_BYTES];

static void load_file(char *bytes)
{
    FILE *f = fopen(path, "rb");

    CHECK(f != NULL && fread(bytes, 1, AD_HISTORY_FILE_BYTES, f) ==
                           AD_HISTORY_FILE_BYTES && fgetc(f) == EOF);
    (void)fclose(f);
}

static void save_file(const char *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");

    CHECK(f != NULL && fwrite(bytes, 1, len, f) == len && fclose(f) == 0);
}

static void patch(size_t at, const char *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    CHECK(fd >= 0 && pwrite(fd, bytes, len, (off_t)at) == (ssize_t)len);
    (void)close(fd);
}

/* What a run finds of one that was killed: all but the minutes since its last write. */
static void kill9(void)
{
    fresh();
    CHECK_EQ(ad_history_file.written, 0);
    ticks(299);
    CHECK_EQ(ad_history_file.written, 0);
    ticks(1 + 300 + 299);
    CHECK_EQ(ad_history_file.written, 2);
    CHECK(begin(NOW + 1000 * US));
    CHECK_EQ(ad_history.second, 600);
    CHECK(whole(600));
    CHECK_EQ(ad_history_start_us(2, 0), NOW);
    CHECK_EQ(ad_history_start_us(1, 59), NOW + 590 * US);
    CHECK_EQ(ad_history_start_us(1, 60), NOW + 1000 * US);
    CHECK_EQ(ad_history.totals.seconds, 600);
    ticks(1000);
    CHECK(whole(1600));
    /* Longer than the rings, over and over. */
    for (unsigned i = 0; i < 40; i++) {
        unsigned n = 300 + i * 37;
        uint64_t second = ad_history.second, kept;

        ticks(n);
        kept = (second + n) / 300 * 300;
        CHECK(begin(ad_hub.now_us + 60 * US));
        CHECK_EQ(ad_history.second, kept);
        CHECK(whole(kept));
    }
}

/* A clean stop loses nothing but the rows of seconds. */
static void clean(void)
{
    struct ad_history_ask ask = {0};
    char text[2048];
    struct ad_text t = ad_text_in(text, sizeof(text));

    fresh();
    ticks(430);
    ad_history_file_finish();
    CHECK(begin(NOW + 500 * US));
    CHECK_EQ(ad_history.second, 600);
    CHECK_EQ(ad_history.totals.ticks, 430);
    CHECK_EQ(tokens(1, 0, 42), 4210 + 45);
    CHECK_EQ(ad_history_seconds(1, 42), 10);
    CHECK_EQ(ad_history_seconds(1, 43), 1); /* the part of a second that was open */
    CHECK_EQ(ad_history_seconds(1, 44), 0); /* of no run */
    CHECK_EQ(ad_history_seconds(2, 1), 131);
    CHECK_EQ(tokens(2, 0, 1), 300 * 130 + 130 * 131 / 2);
    ticks(20);
    /* Two rows of the run before, in which a rate is by the seconds that were. */
    ask.columns = 1u << AD_HISTORY_RATE;
    CHECK(ad_history_choose(&ask, 0, UINT64_MAX, 300));
    CHECK_EQ(ask.next, 0);
    CHECK_EQ(ask.end, 2);
    ad_history_put_row(&t, &ask, 1);
    CHECK_EQ(memcmp(text, "[1800000300,362.7", 17), 0);
    CHECK(ad_history_choose(&ask, NOW + 415 * US, UINT64_MAX, 10));
    CHECK_EQ(ask.next, 42);
    CHECK_EQ(ask.end, 62);
    CHECK(ad_history_choose(&ask, NOW + 440 * US, NOW + 500 * US, 10)); /* the gap */
    CHECK_EQ(ask.next, ask.end);
    CHECK(ad_history_choose(&ask, NOW + 440 * US, NOW + 501 * US, 10));
    CHECK_EQ(ask.next, 60);
    CHECK_EQ(ask.end, 61);
    /* Seconds are of this run; what is older is in longer rows. */
    CHECK(ad_history_choose(&ask, 0, UINT64_MAX, 1));
    CHECK_EQ(ask.next, 600);
    CHECK(ad_history_choose(&ask, NOW + 505 * US, UINT64_MAX, 0));
    CHECK_EQ(ask.level, 0);
    CHECK(ad_history_choose(&ask, NOW + 100 * US, UINT64_MAX, 0));
    CHECK_EQ(ask.level, 1);
    ad_history_file_finish();
}

/* A write that ends behind any byte: the newer slot is taken once it is whole, and
 * until then all that the older one tells of is there. */
static void torn(void)
{
    size_t at = AD_HISTORY_PAGES(sizeof(struct ad_history_slot)), i;
    struct ad_history_slot *slot;
    uint64_t sequence;

    fresh();
    ticks(300 * 53);
    load_file(before);
    ticks(300);
    load_file(after);
    sequence = ad_history_file.sequence;
    at *= sequence % 2;
    slot = &ad_history_file.slot;
    /* The blocks first: nothing of them counts yet. */
    for (i = 2 * AD_HISTORY_PAGES(sizeof(*slot)); i < AD_HISTORY_FILE_BYTES; i++) {
        if (before[i] != after[i] && i % 101 == 0) {
            save_file(before, AD_HISTORY_FILE_BYTES);
            patch(2 * AD_HISTORY_PAGES(sizeof(*slot)),
                  after + 2 * AD_HISTORY_PAGES(sizeof(*slot)),
                  i - 2 * AD_HISTORY_PAGES(sizeof(*slot)));
            CHECK(begin(NOW));
            CHECK(whole(300 * 53));
        }
    }
    /* Then the slot, byte by byte over what was in its place. */
    memcpy(before + 2 * AD_HISTORY_PAGES(sizeof(*slot)),
           after + 2 * AD_HISTORY_PAGES(sizeof(*slot)),
           AD_HISTORY_FILE_BYTES - 2 * AD_HISTORY_PAGES(sizeof(*slot)));
    save_file(before, AD_HISTORY_FILE_BYTES);
    CHECK(begin(NOW));
    CHECK(whole(300 * 53));
    for (i = 0; i < sizeof(*slot); i++) {
        bool done = memcmp(before + at + i, after + at + i, sizeof(*slot) - i) == 0;

        if ((ad_history_read_slot(sequence % 2) == AD_HISTORY_GOOD &&
             slot->sequence == sequence) != done ||
            (i % 64 == 0 && (ad_history_read_slots() != AD_HISTORY_GOOD ||
                             slot->sequence != (done ? sequence : sequence - 1)))) {
            CHECK_EQ(i, SIZE_MAX);
        }
        patch(at + i, after + at + i, 1);
    }
    CHECK(begin(NOW));
    CHECK(whole(300 * 54));
    /* Any byte of the newer slot flips, also later: the older one is taken. */
    for (i = 0; i < sizeof(*slot); i++) {
        char flipped = (char)(after[at + i] ^ 1 << i % 8);

        patch(at + i, &flipped, 1);
        if (ad_history_read_slot(sequence % 2) == AD_HISTORY_GOOD ||
            (i % 64 == 0 && (ad_history_read_slots() != AD_HISTORY_GOOD ||
                             slot->sequence != sequence - 1))) {
            CHECK_EQ(i, SIZE_MAX);
        }
        patch(at + i, after + at + i, 1);
    }
    /* A byte of a block: a gap, and no more. */
    for (i = 2 * AD_HISTORY_PAGES(sizeof(*slot)); i < AD_HISTORY_FILE_BYTES; i += 211) {
        char flipped = (char)(after[i] ^ 4);
        uint64_t number, first, end, gaps = 0;

        patch(i, &flipped, 1);
        CHECK(begin(NOW));
        patch(i, after + i, 1);
        end = ad_history_range(1, &first);
        for (number = first; number < end; number++) {
            gaps += isnan(tokens(1, 0, number)) ? 1 : 0;
        }
        CHECK(end == 54 * 30 && (gaps == 0 || gaps == 30));
    }
}

/* Of a file that was cut short, what is left is found; it has its size again. */
static void cut(void)
{
    size_t slots = 2 * AD_HISTORY_PAGES(sizeof(struct ad_history_slot)), len;
    struct stat info;

    fresh();
    ticks(300 * 30);
    load_file(after);
    for (len = 0; len <= AD_HISTORY_FILE_BYTES; len += len < 64 ? 1 : 397) {
        save_file(after, len);
        CHECK(begin(NOW));
        CHECK(ad_history.second == 0 || ad_history.second == 300 * 29 ||
              ad_history.second == 300 * 30);
        CHECK(len < slots || ad_history.second == 300 * 30);
        CHECK(stat(path, &info) == 0 && info.st_size == AD_HISTORY_FILE_BYTES);
    }
}

/* What is not ours stays as it is. */
static void others(void)
{
    static const char text[] = "my diary, which nobody else has";
    char file[64];
    struct stat info;
    int fd;

    (void)unlink(path);
    save_file(text, sizeof(text));
    CHECK(!begin(NOW));
    CHECK(strstr(why, "not a file of aidash's history") != NULL);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK_EQ(read(fd, file, sizeof(file)), sizeof(text));
    CHECK_EQ(memcmp(file, text, sizeof(text)), 0);
    (void)close(fd);
    /* Of another version: the server runs, and leaves it. */
    fresh();
    ticks(600);
    load_file(after);
    after[8] = after[AD_HISTORY_PAGES(sizeof(struct ad_history_slot)) + 8] = 2;
    save_file(after, AD_HISTORY_FILE_BYTES);
    CHECK(begin(NOW));
    CHECK_EQ(ad_history_file.fd, -1);
    ticks(600);
    ad_history_file_finish();
    load_file(before);
    CHECK_EQ(memcmp(before, after, AD_HISTORY_FILE_BYTES), 0);
    /* Damaged in both places: it begins anew. */
    after[8] = after[AD_HISTORY_PAGES(sizeof(struct ad_history_slot)) + 8] = 1;
    after[100] ^= 1;
    after[AD_HISTORY_PAGES(sizeof(struct ad_history_slot)) + 100] ^= 1;
    save_file(after, AD_HISTORY_FILE_BYTES);
    CHECK(begin(NOW));
    CHECK_EQ(ad_history.second, 0);
    ticks(300); /* and no block of its life before counts */
    CHECK(begin(NOW));
    CHECK(whole(300));
    /* Another program has it. */
    fd = open(path, O_RDWR | O_CLOEXEC);
    ad_history_file_close();
    CHECK_EQ(flock(fd, LOCK_EX | LOCK_NB), 0);
    CHECK(!begin(NOW));
    CHECK(strstr(why, "another aidash") != NULL);
    (void)close(fd);
    (void)unlink(path);
    CHECK_EQ(mkfifo(path, 0600), 0);
    CHECK(!begin(NOW));
    (void)unlink(path);
    CHECK_EQ(mkdir(path, 0700), 0);
    CHECK(!begin(NOW));
    CHECK_EQ(rmdir(path), 0);
    CHECK(begin(NOW));
    CHECK(stat(path, &info) == 0 && (info.st_mode & 0777) == 0600);
}

/* A disk that refuses: what could not be written is written later, and is told. */
static void failing(void)
{
    int fd;

    fresh();
    ticks(300);
    CHECK_EQ(ad_history_file.written, 1);
    fd = ad_history_file.fd;
    ad_history_file.fd = open(path, O_RDONLY | O_CLOEXEC);
    ticks(600);
    CHECK_EQ(ad_history_file.failed, 2); /* not at each turn of the loop */
    CHECK_EQ(ad_history_file.written, 1);
    (void)close(ad_history_file.fd);
    ad_history_file.fd = fd;
    ticks(310);
    CHECK_EQ(ad_history_file.written, 4);
    CHECK(begin(NOW));
    CHECK(whole(1200));
    /* For longer than rows of ten seconds are kept: a gap, but the newest are there. */
    fd = ad_history_file.fd;
    ad_history_file.fd = open(path, O_RDONLY | O_CLOEXEC);
    ticks(3000);
    (void)close(ad_history_file.fd);
    ad_history_file.fd = fd;
    ticks(600);
    CHECK(begin(NOW));
    CHECK_EQ(ad_history.second, 1200 + 3600);
    CHECK_EQ(tokens(1, 0, 479), 4791 * 10 + 45);
}

static void clocks(void)
{
    struct ad_history_ask ask = {0};

    /* A board without a clock: its history goes on where it ended, */
    fresh();
    ticks(300);
    CHECK(begin(5 * US));
    ticks(20);
    CHECK_EQ(ad_history_start_us(1, 29), NOW + 290 * US);
    CHECK_EQ(ad_history_start_us(1, 30), NOW + 300 * US);
    CHECK(ad_history_choose(&ask, NOW, UINT64_MAX, 10));
    CHECK_EQ(ask.end - ask.next, 32);
    /* until it learns the time. */
    ad_hub.now_us = NOW + 5000 * US;
    ticks(1);
    CHECK_EQ(ad_history_start_us(1, 29), NOW + 290 * US);
    CHECK_EQ(ad_history_start_us(1, 30), NOW + (5000 - 20) * US);
    /* One that never learns it spoils nothing, nor for the next. */
    CHECK(begin(5 * US));
    ticks(900);
    CHECK(begin(NOW + 9000 * US));
    CHECK_EQ(ad_history_start_us(2, 0), NOW);
    CHECK_EQ(ad_history_start_us(2, 1), NOW + 300 * US);
    CHECK_EQ(ad_history_start_us(2, 4), NOW + 9000 * US);
    ticks(300);
    /* A clock that was wrong, by years: once there was time to set it, what it said is
     * told as the time before. */
    CHECK(begin(NOW + 300000000 * US));
    ticks(300);
    CHECK(begin(NOW + 10000 * US));
    CHECK_EQ(ad_history_start_us(2, 5), NOW + 300000000 * US);
    ticks(300);
    CHECK_EQ(ad_history_start_us(2, 6), NOW + 300000300 * US);
    ticks(300);
    CHECK_EQ(ad_history_start_us(2, 6), NOW + 10000 * US);
    CHECK_EQ(ad_history_start_us(2, 5), NOW + (10000 - 300) * US);
    CHECK(begin(NOW + 20000 * US));
    CHECK_EQ(ad_history_start_us(2, 6), NOW + 10000 * US);
    CHECK_EQ(ad_history_start_us(2, 8), NOW + 20000 * US);
}

static void many_runs(void)
{
    struct ad_history_ask ask = {0};
    unsigned i;

    fresh();
    for (i = 0; i < AD_HISTORY_RUNS + 10; i++) {
        ticks(1);
        ad_history_file_finish();
        CHECK(begin(NOW + (i + 1) * 10 * US));
        CHECK_EQ(ad_history.second, 300 * (i + 1));
    }
    CHECK(ad_history_choose(&ask, 0, UINT64_MAX, 300));
    CHECK_EQ(ask.end - ask.next, AIDASH_HISTORY_FIVES);
    CHECK_EQ(ad_history_start_us(2, ask.end - 1), NOW + (i - 1) * 10 * US);
}

static size_t section_save(uint8_t *out)
{
    memset(out, 7, AD_HISTORY_SECTION_MAX);
    return AD_HISTORY_SECTION_MAX;
}

static size_t loaded;

static void section_load(const uint8_t *bytes, size_t len)
{
    CHECK_EQ(bytes[len - 1], 7);
    loaded = len;
}

static void section(void)
{
    static struct ad_history_section mine = {"mine", 3, section_save, section_load};

    fresh();
    ad_history_file.section = &mine;
    ticks(300);
    start(NOW);
    ad_history_file.section = &mine;
    CHECK(ad_history_file_open(path, why));
    CHECK_EQ(loaded, AD_HISTORY_SECTION_MAX);
    loaded = 0;
    mine.version = 4; /* another form: it is not for us */
    start(NOW);
    ad_history_file.section = &mine;
    CHECK(ad_history_file_open(path, why));
    CHECK_EQ(loaded, 0);
}

static void models(void)
{
    struct ad_history_ask ask = {0};
    char text[2048];
    struct ad_text t = ad_text_in(text, sizeof(text));
    unsigned set;

    fresh();
    go(20);
    (void)ad_history_tick("a", 1, 10, false, 0);
    (void)ad_history_tick("b/c d", 2, 20, false, 0);
    (void)ad_history_tick("e", 3, 30, false, 0);
    (void)ad_history_tick("f", 4, 40, false, 0);
    (void)ad_history_tick("a", 5, 50, true, 0);
    go(300);
    CHECK_EQ(tokens(1, 0, 2), 15);
    CHECK_EQ(tokens(1, 1, 2), 6);
    CHECK_EQ(tokens(1, 2, 2), 2);
    CHECK_EQ(tokens(1, AD_HISTORY_OTHER, 2), 7);
    CHECK_EQ(ad_history.rows[1][ad_history_at(1, 2)].values[AD_HISTORY_MAX], 10);
    CHECK(begin(NOW + 400 * US));
    CHECK_EQ(tokens(1, 2, 2), 2);
    CHECK(ad_history_find_model(ad_slice_of("b%2Fc%20d"), &set) && set == 2);
    CHECK(ad_history_find_model(ad_slice_of("b/c d"), &set) && set == 2);
    CHECK(ad_history_find_model(ad_slice_of("other"), &set) &&
          set == AD_HISTORY_OTHER);
    CHECK(!ad_history_find_model(ad_slice_of("e"), &set));
    CHECK(!ad_history_find_model(ad_slice_of(""), &set));
    CHECK(!ad_history_find_model(ad_slice_of("a%"), &set));
    /* Before it was there, a model has no values. */
    ask.set = 1;
    ask.columns = 1u << AD_HISTORY_TOKENS;
    CHECK(ad_history_choose(&ask, 0, UINT64_MAX, 10));
    ad_history_put_row(&t, &ask, 1);
    ad_history_put_row(&t, &ask, 2);
    CHECK_EQ(memcmp(text, "[1800000010,null][1800000020,6]", t.len), 0);
    /* One of which nothing is left gives its rows to another. */
    ticks(24 * 300 + 600);
    (void)ad_history_tick("g", 9, 10, false, 0);
    CHECK(!ad_history_find_model(ad_slice_of("b/c d"), &set));
    CHECK(ad_history_find_model(ad_slice_of("g"), &set) && set == 2);
    go(10);
    ask.set = set;
    t.len = 0;
    ad_history_put_row(&t, &ask, ad_history.second / 10 - 3);
    CHECK(memcmp(text + t.len - 6, ",null]", 6) == 0);
}

/* What comes late is in what is written next, also if it came just now. */
static void late(void)
{
    fresh();
    ticks(299);
    ad_hub.now_ns += S;
    ad_hub.now_us += US;
    ad_hub_follow_clock();
    CHECK(ad_history_tick("a", 1000, 10, false, NOW + 285 * US));
    CHECK_EQ(ad_history_file.written, 0);
    ad_history_file_run();
    CHECK_EQ(atomic_load(&ad_history_file.turn), AD_HISTORY_FILE_ASKED);
    ad_history_write();
    CHECK(begin(NOW + 1000 * US));
    CHECK_EQ(ad_history.second, 300);
    CHECK_EQ(tokens(1, 0, 28), 10 * 280 + 55 + 1000);
    CHECK_EQ(tokens(1, 1, 28), 10 * 280 + 55 + 1000);
    CHECK_EQ(tokens(2, 0, 0), 299 * 300 / 2 + 1000);
}

int main(void)
{
    CHECK(mkstemp(path) >= 0);
    kill9();
    late();
    clean();
    torn();
    cut();
    others();
    failing();
    clocks();
    many_runs();
    section();
    models();
    ad_history_file_close();
    (void)unlink(path);
    return check_report();
}
