/* history_file.c - history over a reboot: one file of a fixed size, to which a thread
 * of its own writes once in five minutes, and at the end of a run.
 * Owns ad_history_file. Hub thread, but for ad_history_file_main() (the thread's own),
 * and all that opens, starts and stops (the starting thread, without a hub).
 * Always: what is to be written is the hub's, unless the turn is
 * AD_HISTORY_FILE_ASKED: then it is the thread's.
 *
 * The file, from its start, each piece at a whole number of pages:
 *   two slots   what a run goes on from: where it ends, which runs there were, models,
 *               totals, the newest rows of five minutes, another part's section
 *   blocks of 24 rows of five minutes, a ring
 *   blocks of 30 rows of ten seconds, a ring
 * A write first adds blocks, where no slot knows of any, and waits for the disk; then
 * it writes the older slot. So a write that is torn at any byte leaves the newer slot
 * and all that it tells of. Slots and blocks have a checksum (SHA-256, the first 16
 * bytes). Numbers are in this machine's order. Rows of seconds are not kept: they would
 * be most of what wears flash, and are of a quarter of an hour.
 */
#ifndef AD_BOARD_HISTORY_FILE_C
#define AD_BOARD_HISTORY_FILE_C

#include "../base/sha256.c"
#include "../base/thread.c"
#include "../codec/utf8.c"
#include "history.c"

#if AIDASH_HISTORY

enum {
    AD_HISTORY_VERSION = 1, /* of the file's form */
    AD_HISTORY_PAGE = 4096,
    AD_HISTORY_FLOATS = AD_HISTORY_FIGURES + AD_HISTORY_SETS * AD_HISTORY_VALUES,
    AD_HISTORY_TENS_ROWS = AD_HISTORY_LONGEST_S / 10, /* of a block */
    AD_HISTORY_FIVES_ROWS = 24,
    AD_HISTORY_SECTION_MAX = 4096, /* bytes that another part may keep */
    AD_HISTORY_PATH_MAX = 400,
    AD_HISTORY_WHY_MAX = AD_HISTORY_PATH_MAX + 200
};

#define AD_HISTORY_MAGIC "aidash H"
#define AD_HISTORY_ORDER 0x01020304u
/* More than what is kept of seconds, of a start, and of a file's rows, can be. */
#define AD_HISTORY_SECONDS_MAX (1ull << 31)
#define AD_HISTORY_START_MAX (1ull << 53)

struct ad_history_head {
    uint8_t check[16]; /* of all behind it */
    uint64_t id;       /* the slots' */
    uint64_t number;   /* of the first row */
};

struct ad_history_tens {
    struct ad_history_head head;
    float rows[AD_HISTORY_TENS_ROWS][AD_HISTORY_FLOATS];
};

struct ad_history_fives {
    struct ad_history_head head;
    float rows[AD_HISTORY_FIVES_ROWS][AD_HISTORY_FLOATS];
};

/* What another part keeps here. The name and the version say whose it is. */
struct ad_history_kept {
    char name[16]; /* with a NUL; "": nobody's */
    uint32_t version, len;
    uint8_t bytes[AD_HISTORY_SECTION_MAX];
};

struct ad_history_slot {
    char magic[8];
    uint32_t version, order;
    uint64_t layout;   /* of this build */
    uint8_t check[16]; /* of the whole slot, with zeros here */
    uint64_t id;       /* which life of the file: its blocks have it, too */
    uint64_t sequence; /* the slot with the higher one counts */
    uint64_t second;   /* all before it is in the file */
    uint32_t n_runs, n_tail;
    struct ad_history_run runs[AD_HISTORY_RUNS];
    struct ad_history_model models[AD_HISTORY_SETS];
    struct ad_history_totals totals;
    /* The rows of five minutes behind the last whole block. */
    float tail[AD_HISTORY_FIVES_ROWS][AD_HISTORY_FLOATS];
    struct ad_history_kept kept;
};

#define AD_HISTORY_PAGES(bytes) \
    (((uint64_t)(bytes) + AD_HISTORY_PAGE - 1) / AD_HISTORY_PAGE * AD_HISTORY_PAGE)
/* One block more than there are rows for, and the one that is being written. */
#define AD_HISTORY_N_FIVES (AIDASH_HISTORY_FIVES / AD_HISTORY_FIVES_ROWS + 2)
#define AD_HISTORY_N_TENS (AIDASH_HISTORY_TENS / AD_HISTORY_TENS_ROWS + 2)
#define AD_HISTORY_FIVES_AT (2 * AD_HISTORY_PAGES(sizeof(struct ad_history_slot)))
#define AD_HISTORY_TENS_AT \
    (AD_HISTORY_FIVES_AT + \
     AD_HISTORY_N_FIVES * AD_HISTORY_PAGES(sizeof(struct ad_history_fives)))
#define AD_HISTORY_FILE_BYTES \
    (AD_HISTORY_TENS_AT + \
     AD_HISTORY_N_TENS * AD_HISTORY_PAGES(sizeof(struct ad_history_tens)))

/* A part that keeps up to AD_HISTORY_SECTION_MAX bytes in the file, which go with
 * each write. Bytes of another name or version are not loaded. */
struct ad_history_section {
    const char *name; /* 1..15 bytes */
    uint32_t version;
    size_t (*save)(uint8_t *out); /* returns how many bytes; hub thread, or the
                                   * starting thread behind it */
    void (*load)(const uint8_t *bytes, size_t len); /* starting thread, before the run */
};

/* Whose the write is. */
enum { AD_HISTORY_FILE_FREE, AD_HISTORY_FILE_ASKED, AD_HISTORY_FILE_DONE };

static struct {
    _Atomic int turn; /* [a] AD_HISTORY_FILE_FREE.. */
    struct ad_thread thread;
    int fd; /* [I] -1: there is no file */
    char path[AD_HISTORY_PATH_MAX + 1]; /* [I] */
    uint64_t id;                        /* [I] */
    /* [I] That of another part, which sets it in its own init, behind
     * ad_history_file_init(); NULL: none. */
    const struct ad_history_section *section;
    /* [h] */
    uint64_t sequence;        /* of the newest slot */
    uint64_t until_s;         /* what is before it is in the file */
    uint64_t again_s;         /* no write before that second: the last one failed */
    uint64_t written, failed; /* writes */
    /* What is written. */
    bool has_fives; /* `fives` is full */
    int error;      /* errno of the write; 0: it is on the disk */
    struct ad_history_slot slot;
    struct ad_history_tens tens;
    struct ad_history_fives fives;
} ad_history_file;

/* ---- its form ---- */

/* What differs between builds of one version. */
static uint64_t ad_history_layout(void)
{
    return AD_HISTORY_FILE_BYTES << 24 ^ (uint64_t)AIDASH_HISTORY_TENS << 44 ^
           (uint64_t)AD_HISTORY_SETS << 16 ^ (uint64_t)AIDASH_MODEL_MAX << 8 ^
           AD_HISTORY_HASTE;
}

static void ad_history_check(const void *bytes, size_t len, uint8_t out[16])
{
    uint8_t sum[AD_SHA256_BYTES];

    ad_sha256(bytes, len, sum);
    memcpy(out, sum, 16);
}

/* The checksum of a slot, whose own field counts as zeros. `out` is not in it. */
static void ad_history_slot_check(struct ad_history_slot *slot, uint8_t out[16])
{
    uint8_t kept[16];

    memcpy(kept, slot->check, sizeof(kept));
    memset(slot->check, 0, sizeof(slot->check));
    ad_history_check(slot, sizeof(*slot), out);
    memcpy(slot->check, kept, sizeof(kept));
}

static void ad_history_head_check(const struct ad_history_head *head, size_t len,
                                  uint8_t out[16])
{
    ad_history_check(&head->id, len - offsetof(struct ad_history_head, id), out);
}

/* Is what a slot says possible? Its checksum is right, so only a program that is
 * wrong can have written another one. */
static bool ad_history_slot_sane(const struct ad_history_slot *slot)
{
    uint64_t at_s = 0;
    unsigned i;

    if (slot->second > AD_HISTORY_SECONDS_MAX ||
        slot->second % AD_HISTORY_LONGEST_S != 0 || slot->n_runs == 0 ||
        slot->n_runs > AD_HISTORY_RUNS ||
        slot->n_tail != slot->second / AD_HISTORY_LONGEST_S % AD_HISTORY_FIVES_ROWS ||
        slot->kept.len > AD_HISTORY_SECTION_MAX ||
        slot->kept.name[sizeof(slot->kept.name) - 1] != '\0') {
        return false;
    }
    for (i = 0; i < slot->n_runs; i++) {
        const struct ad_history_run *run = &slot->runs[i];

        if (run->first_s < at_s || run->first_s % AD_HISTORY_LONGEST_S != 0 ||
            run->end_s < run->first_s || run->end_s > slot->second ||
            run->start_us > AD_HISTORY_START_MAX) {
            return false;
        }
        at_s = run->end_s;
    }
    for (i = 0; i < AD_HISTORY_SETS; i++) {
        const struct ad_history_model *m = &slot->models[i];
        size_t len = strnlen(m->name, sizeof(m->name));

        if (m->since_s > slot->second || m->last_s > slot->second ||
            len > AIDASH_MODEL_MAX ||
            (len > 0 && !ad_name_ok(m->name, len, AIDASH_MODEL_MAX))) {
            return false;
        }
    }
    return true;
}

/* Copy a row out of the rings. */
static void ad_history_pack(unsigned level, uint64_t number, float *out)
{
    unsigned at = ad_history_at(level, number), set;

    memcpy(out, ad_history.figures[at].values, sizeof(ad_history.figures[at].values));
    out += AD_HISTORY_FIGURES;
    for (set = 0; set < AD_HISTORY_SETS; set++, out += AD_HISTORY_VALUES) {
        memcpy(out, ad_history.rows[set][at].values,
               sizeof(ad_history.rows[set][at].values));
    }
}

static void ad_history_unpack_values(float *to, const float *from, unsigned n)
{
    unsigned i;

    for (i = 0; i < n; i++) {
        to[i] = isfinite(from[i]) ? from[i] : NAN;
    }
}

/* And into them, if the ring still has a place for it. */
static void ad_history_unpack(unsigned level, uint64_t number, const float *in)
{
    unsigned at = ad_history_at(level, number), set;

    if (number + ad_history_levels[level].n <
        ad_history.second / ad_history_levels[level].step_s) {
        return;
    }
    ad_history_unpack_values(ad_history.figures[at].values, in, AD_HISTORY_FIGURES);
    in += AD_HISTORY_FIGURES;
    for (set = 0; set < AD_HISTORY_SETS; set++, in += AD_HISTORY_VALUES) {
        ad_history_unpack_values(ad_history.rows[set][at].values, in,
                                 AD_HISTORY_VALUES);
    }
}

/* ---- reading, by the starting thread ---- */

/* Read len bytes; those that are not there are zeros. False with errno set. */
static bool ad_history_pread(void *out, size_t len, uint64_t at)
{
    char *to = out;

    memset(out, 0, len);
    while (len > 0) {
        ssize_t n = pread(ad_history_file.fd, to, len, (off_t)at);

        if (n == 0) {
            return true;
        }
        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n > 0) {
            to += n;
            at += (uint64_t)n;
            len -= (size_t)n;
        }
    }
    return true;
}

enum ad_history_found {
    AD_HISTORY_UNREADABLE, /* errno says why */
    AD_HISTORY_BLANK,      /* nothing was written yet */
    AD_HISTORY_FOREIGN,    /* no file of aidash's history */
    AD_HISTORY_TORN,
    AD_HISTORY_BY_ANOTHER, /* version or build */
    AD_HISTORY_GOOD
};

/* With what each slot of this version and build begins. */
static void ad_history_begin_slot(struct ad_history_slot *slot)
{
    memset(slot, 0, sizeof(*slot));
    memcpy(slot->magic, AD_HISTORY_MAGIC, sizeof(slot->magic));
    slot->version = AD_HISTORY_VERSION;
    slot->order = AD_HISTORY_ORDER;
    slot->layout = ad_history_layout();
}

/* What a slot is that does not begin like that. A write may have ended behind any
 * byte, with zeros from there on. */
static enum ad_history_found ad_history_no_slot(const struct ad_history_slot *slot,
                                                const struct ad_history_slot *like)
{
    const char *bytes = (const char *)slot, *want = (const char *)like;
    size_t n = 0, i;

    while (bytes[n] == want[n]) { /* they differ somewhere */
        n++;
    }
    for (i = n; i < sizeof(*slot) && bytes[i] == 0; i++) {
    }
    if (i == sizeof(*slot)) {
        return n == 0 ? AD_HISTORY_BLANK : AD_HISTORY_TORN;
    }
    return n < sizeof(slot->magic) ? AD_HISTORY_FOREIGN : AD_HISTORY_BY_ANOTHER;
}

/* Read a slot into ad_history_file.slot. */
static enum ad_history_found ad_history_read_slot(unsigned i)
{
    struct ad_history_slot *slot = &ad_history_file.slot, like;
    uint8_t sum[16];

    if (!ad_history_pread(slot, sizeof(*slot),
                          i * AD_HISTORY_PAGES(sizeof(*slot)))) {
        return AD_HISTORY_UNREADABLE;
    }
    ad_history_begin_slot(&like);
    if (memcmp(slot, &like, offsetof(struct ad_history_slot, check)) != 0) {
        return ad_history_no_slot(slot, &like);
    }
    ad_history_slot_check(slot, sum);
    return memcmp(sum, slot->check, sizeof(sum)) == 0 && ad_history_slot_sane(slot)
               ? AD_HISTORY_GOOD
               : AD_HISTORY_TORN;
}

/* The better of both slots into ad_history_file.slot, and what it is. */
static enum ad_history_found ad_history_read_slots(void)
{
    enum ad_history_found first = ad_history_read_slot(0), second;
    uint64_t sequence = ad_history_file.slot.sequence;

    second = ad_history_read_slot(1);
    if (first < second || (first == second && first == AD_HISTORY_GOOD &&
                           sequence < ad_history_file.slot.sequence)) {
        return second;
    }
    return ad_history_read_slot(0);
}

/* Is a block, just read, the one that begins with that row? */
static bool ad_history_is_block(const struct ad_history_head *head, size_t len,
                                uint64_t number)
{
    uint8_t sum[16];

    ad_history_head_check(head, len, sum);
    return head->id == ad_history_file.id && head->number == number &&
           memcmp(sum, head->check, sizeof(sum)) == 0;
}

/* Where a block of that number is. */
static uint64_t ad_history_fives_at(uint64_t block)
{
    return AD_HISTORY_FIVES_AT + block % AD_HISTORY_N_FIVES *
                                     AD_HISTORY_PAGES(sizeof(struct ad_history_fives));
}

static uint64_t ad_history_tens_at(uint64_t block)
{
    return AD_HISTORY_TENS_AT + block % AD_HISTORY_N_TENS *
                                    AD_HISTORY_PAGES(sizeof(struct ad_history_tens));
}

/* Fill the rings with what the blocks before ad_history.second have. A block that is
 * not there, or is damaged, leaves a gap. False with errno set. */
static bool ad_history_read_blocks(void)
{
    struct ad_history_fives *fives = &ad_history_file.fives;
    struct ad_history_tens *tens = &ad_history_file.tens;
    uint64_t rows = ad_history.second / AD_HISTORY_LONGEST_S;
    uint64_t end = rows / AD_HISTORY_FIVES_ROWS, block;
    unsigned i, n;

    block = end > AD_HISTORY_N_FIVES ? end - AD_HISTORY_N_FIVES : 0;
    for (; block < end; block++) {
        uint64_t number = block * AD_HISTORY_FIVES_ROWS;

        if (!ad_history_pread(fives, sizeof(*fives), ad_history_fives_at(block))) {
            return false;
        }
        n = ad_history_is_block(&fives->head, sizeof(*fives), number)
                ? AD_HISTORY_FIVES_ROWS : 0;
        for (i = 0; i < n; i++) {
            ad_history_unpack(2, number + i, fives->rows[i]);
        }
    }
    block = rows > AD_HISTORY_N_TENS ? rows - AD_HISTORY_N_TENS : 0;
    for (; block < rows; block++) {
        uint64_t number = block * AD_HISTORY_TENS_ROWS;

        if (!ad_history_pread(tens, sizeof(*tens), ad_history_tens_at(block))) {
            return false;
        }
        n = ad_history_is_block(&tens->head, sizeof(*tens), number)
                ? AD_HISTORY_TENS_ROWS : 0;
        for (i = 0; i < n; i++) {
            ad_history_unpack(1, number + i, tens->rows[i]);
        }
    }
    return true;
}

/* Go on from a slot, which is good. False with errno set. */
static bool ad_history_resume(void)
{
    const struct ad_history_slot *slot = &ad_history_file.slot;
    const struct ad_history_section *section = ad_history_file.section;
    unsigned level, i;

    ad_history_file.id = slot->id;
    ad_history_file.sequence = slot->sequence;
    ad_history_file.until_s = ad_history.second = slot->second;
    ad_history.n_runs = slot->n_runs;
    memcpy(ad_history.runs, slot->runs, sizeof(slot->runs));
    memcpy(ad_history.models, slot->models, sizeof(slot->models));
    ad_history.totals = slot->totals;
    for (level = 1; level < AD_HISTORY_LEVELS; level++) {
        ad_history_blank(level, 0, slot->second / ad_history_levels[level].step_s);
    }
    for (i = 0; i < slot->n_tail; i++) {
        ad_history_unpack(2, slot->second / AD_HISTORY_LONGEST_S - slot->n_tail + i,
                          slot->tail[i]);
    }
    if (section != NULL && strcmp(slot->kept.name, section->name) == 0 &&
        slot->kept.version == section->version) {
        section->load(slot->kept.bytes, slot->kept.len);
    }
    return ad_history_read_blocks();
}

/* ---- writing ---- */

/* False with errno set. */
static bool ad_history_pwrite(const void *bytes, size_t len, uint64_t at)
{
    const char *from = bytes;

    while (len > 0) {
        ssize_t n = pwrite(ad_history_file.fd, from, len, (off_t)at);

        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n > 0) {
            from += n;
            at += (uint64_t)n;
            len -= (size_t)n;
        }
    }
    return true;
}

/* Let the file have its size, with zeros where it had nothing, so that no later write
 * finds the disk full. False with errno set. */
static bool ad_history_allocate(uint64_t size)
{
    static const char zeros[AD_HISTORY_PAGE];

    for (; size < AD_HISTORY_FILE_BYTES; size += AD_HISTORY_PAGE - size % AD_HISTORY_PAGE) {
        if (!ad_history_pwrite(zeros, AD_HISTORY_PAGE - size % AD_HISTORY_PAGE, size)) {
            return false;
        }
    }
    return fsync(ad_history_file.fd) == 0;
}

/* The blocks, then the slot. The thread, or the starting thread behind it. */
static void ad_history_write(void)
{
    const struct ad_history_slot *slot = &ad_history_file.slot;
    const struct ad_history_fives *fives = &ad_history_file.fives;
    const struct ad_history_tens *tens = &ad_history_file.tens;
    bool done = true;

    if (ad_history_file.has_fives) {
        done = ad_history_pwrite(
            fives, sizeof(*fives),
            ad_history_fives_at(fives->head.number / AD_HISTORY_FIVES_ROWS));
    }
    done = done &&
           ad_history_pwrite(
               tens, sizeof(*tens),
               ad_history_tens_at(tens->head.number / AD_HISTORY_TENS_ROWS)) &&
           fsync(ad_history_file.fd) == 0 &&
           ad_history_pwrite(slot, sizeof(*slot),
                             slot->sequence % 2 * AD_HISTORY_PAGES(sizeof(*slot))) &&
           fsync(ad_history_file.fd) == 0;
    ad_history_file.error = done ? 0 : errno;
}

static void ad_history_fill_section(struct ad_history_kept *kept)
{
    const struct ad_history_section *section = ad_history_file.section;

    memset(kept, 0, sizeof(*kept));
    if (section != NULL) {
        (void)snprintf(kept->name, sizeof(kept->name), "%s", section->name);
        kept->version = section->version;
        kept->len = (uint32_t)section->save(kept->bytes);
    }
}

/* Copy what is to be written: the five minutes from until_s on. */
static void ad_history_fill(void)
{
    struct ad_history_slot *slot = &ad_history_file.slot;
    struct ad_history_tens *tens = &ad_history_file.tens;
    struct ad_history_fives *fives = &ad_history_file.fives;
    uint64_t block = ad_history_file.until_s / AD_HISTORY_LONGEST_S;
    struct ad_history_run *last;
    unsigned i, tail = (unsigned)((block + 1) % AD_HISTORY_FIVES_ROWS);
    uint8_t sum[16];

    ad_history_mend_runs();
    ad_history_settle();
    tens->head.id = fives->head.id = ad_history_file.id;
    tens->head.number = block * AD_HISTORY_TENS_ROWS;
    for (i = 0; i < AD_HISTORY_TENS_ROWS; i++) {
        ad_history_pack(1, tens->head.number + i, tens->rows[i]);
    }
    ad_history_head_check(&tens->head, sizeof(*tens), tens->head.check);
    ad_history_file.has_fives = tail == 0;
    if (tail == 0) {
        fives->head.number = block + 1 - AD_HISTORY_FIVES_ROWS;
        for (i = 0; i < AD_HISTORY_FIVES_ROWS; i++) {
            ad_history_pack(2, fives->head.number + i, fives->rows[i]);
        }
        ad_history_head_check(&fives->head, sizeof(*fives), fives->head.check);
    }
    ad_history_begin_slot(slot);
    slot->id = ad_history_file.id;
    slot->sequence = ad_history_file.sequence + 1;
    slot->second = ad_history_file.until_s + AD_HISTORY_LONGEST_S;
    slot->n_runs = ad_history.n_runs;
    memcpy(slot->runs, ad_history.runs, sizeof(slot->runs));
    last = &slot->runs[slot->n_runs - 1];
    last->start_us = ad_history_run_start_us(slot->n_runs - 1);
    last->end_s = ad_history.end_ns == UINT64_MAX && last->end_s < slot->second
                      ? last->end_s
                      : slot->second;
    memcpy(slot->models, ad_history.models, sizeof(slot->models));
    for (i = 0; i < AD_HISTORY_SETS; i++) { /* the open second may be behind it */
        struct ad_history_model *m = &slot->models[i];

        m->since_s = m->since_s < slot->second ? m->since_s : slot->second;
        m->last_s = m->last_s < slot->second ? m->last_s : slot->second;
    }
    slot->totals = ad_history.totals;
    slot->n_tail = tail;
    for (i = 0; i < tail; i++) {
        ad_history_pack(2, block + 1 - tail + i, slot->tail[i]);
    }
    ad_history_fill_section(&slot->kept);
    ad_history_slot_check(slot, sum);
    memcpy(slot->check, sum, sizeof(sum));
}

/* A write has ended. */
static void ad_history_file_take(void)
{
    if (ad_history_file.error != 0) {
        ad_history_file.failed++;
        ad_history_file.again_s = ad_history.second + AD_HISTORY_LONGEST_S;
        ad_log(AIDASH_LOG_WARN, "history: can't write %s: %s",
               ad_history_file.path, strerror(ad_history_file.error));
        return;
    }
    ad_history_file.written++;
    ad_history_file.sequence++;
    ad_history_file.until_s += AD_HISTORY_LONGEST_S;
}

/* Is there something to write? After many failures, the rows are the oldest that the
 * ring still has. */
static bool ad_history_file_due(void)
{
    uint64_t kept_s = (AIDASH_HISTORY_TENS / AD_HISTORY_TENS_ROWS - 1) *
                      (uint64_t)AD_HISTORY_LONGEST_S;
    uint64_t second = ad_history.second / AD_HISTORY_LONGEST_S * AD_HISTORY_LONGEST_S;

    if (second > kept_s && ad_history_file.until_s < second - kept_s) {
        ad_history_file.until_s = second - kept_s;
    }
    return ad_history_file.until_s < second;
}

/* ---- the thread ---- */

static void *ad_history_file_main(void *unused)
{
    while (ad_thread_runs(&ad_history_file.thread)) {
        if (atomic_load(&ad_history_file.turn) == AD_HISTORY_FILE_ASKED) {
            ad_history_write();
            atomic_store(&ad_history_file.turn, AD_HISTORY_FILE_DONE);
            ad_wake();
        }
        ad_thread_sleep(&ad_history_file.thread);
    }
    return unused;
}

/* ---- the hub ---- */

/* Each turn: what is due is given to the thread. */
static void ad_history_file_run(void)
{
    int turn;

    if (ad_history_file.fd < 0) {
        return;
    }
    turn = atomic_load(&ad_history_file.turn);
    if (turn == AD_HISTORY_FILE_DONE) {
        ad_history_file_take();
        atomic_store(&ad_history_file.turn, AD_HISTORY_FILE_FREE);
        turn = AD_HISTORY_FILE_FREE;
    }
    if (turn == AD_HISTORY_FILE_FREE &&
        ad_history.second >= ad_history_file.again_s && ad_history_file_due()) {
        ad_history_fill();
        atomic_store(&ad_history_file.turn, AD_HISTORY_FILE_ASKED);
        ad_thread_wake(&ad_history_file.thread);
    }
}

/* "history" of /status, with a comma in front. */
static void ad_put_history(struct ad_text *t)
{
    const struct ad_history_totals *sum = &ad_history.totals;

    ad_putf(t,
            ",\"history\":{\"seconds\":%llu,\"ticks\":%llu,\"tokens\":%llu,"
            "\"requests\":%llu,\"file\":",
            (unsigned long long)sum->seconds, (unsigned long long)sum->ticks,
            (unsigned long long)sum->tokens, (unsigned long long)sum->requests);
    if (ad_history_file.fd < 0) {
        ad_puts(t, "null}");
        return;
    }
    ad_putf(t, "{\"bytes\":%llu,\"written\":%llu,\"failed\":%llu,\"until\":",
            (unsigned long long)AD_HISTORY_FILE_BYTES,
            (unsigned long long)ad_history_file.written,
            (unsigned long long)ad_history_file.failed);
    if (ad_history_file.written == 0) {
        ad_puts(t, "null}}");
        return;
    }
    ad_put_decimal(t, (ad_history_run_start_us(ad_history.n_runs - 1) +
                       (ad_history_file.until_s - ad_history.first_s) *
                           AD_HISTORY_SECOND_US) / 1000, 3);
    ad_puts(t, "}}");
}

/* ---- start and stop ---- */

/* Before each run, and before a part sets its section. */
static void ad_history_file_init(void)
{
    memset(&ad_history_file, 0, sizeof(ad_history_file));
    ad_history_file.fd = -1;
}

static void ad_history_file_close(void)
{
    if (ad_history_file.fd >= 0) {
        (void)close(ad_history_file.fd);
        ad_history_file.fd = -1;
    }
}

/* "PATH: what is wrong" into why; returns false, and nothing is open. */
static bool ad_history_file_fail(char why[AD_HISTORY_WHY_MAX], const char *path,
                                 const char *what)
{
    ad_history_file_close();
    (void)snprintf(why, AD_HISTORY_WHY_MAX, "%.*s: %.190s", AD_HISTORY_PATH_MAX, path,
                   what);
    return false;
}

/* Go on from what the open file has, or begin it. */
static bool ad_history_file_load(uint64_t size, const char *path,
                                 char why[AD_HISTORY_WHY_MAX])
{
    switch (ad_history_read_slots()) {
    case AD_HISTORY_FOREIGN:
        return ad_history_file_fail(why, path, "it is not a file of aidash's history; "
                                               "it was left as it is");
    case AD_HISTORY_BY_ANOTHER:
        /* A board goes on without it: its service must not fail after an update. */
        ad_log(AIDASH_LOG_WARN, "history: %s is of another version or build of aidash, "
                                "and was left as it is: this run writes no history; "
                                "move the file away to begin a new one", path);
        ad_history_file_close();
        return true;
    case AD_HISTORY_GOOD:
        if (ad_history_resume() && ad_history_allocate(size)) {
            return true;
        }
        break;
    case AD_HISTORY_TORN:
        ad_log(AIDASH_LOG_WARN, "history: %s is damaged in both places that say what "
                                "it has: it begins anew", path);
        /* fall through */
    case AD_HISTORY_BLANK:
        ad_history_file.id = ad_clock_ns(CLOCK_REALTIME) ^ (uint64_t)getpid() << 48;
        if (ad_history_allocate(size)) {
            return true;
        }
        break;
    case AD_HISTORY_UNREADABLE:
        break;
    }
    return ad_history_file_fail(why, path, strerror(errno));
}

/* Open the file of history; NULL: there is none. False, and why[] says why: it can't
 * be used. While starting, behind ad_history_init(). */
static bool ad_history_file_open(const char *path, char why[AD_HISTORY_WHY_MAX])
{
    struct stat info;

    if (path == NULL) {
        return true;
    }
    if (strlen(path) > AD_HISTORY_PATH_MAX) {
        return ad_history_file_fail(why, path, "its path is too long");
    }
    ad_history_file.fd = open(path, O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0600);
    if (ad_history_file.fd < 0 || fstat(ad_history_file.fd, &info) != 0) {
        return ad_history_file_fail(why, path, strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) {
        return ad_history_file_fail(why, path, "it is no file");
    }
    if (flock(ad_history_file.fd, LOCK_EX | LOCK_NB) != 0) {
        return ad_history_file_fail(why, path, errno == EWOULDBLOCK
                                                   ? "another aidash writes to it"
                                                   : strerror(errno));
    }
    (void)snprintf(ad_history_file.path, sizeof(ad_history_file.path), "%s", path);
    return ad_history_file_load((uint64_t)info.st_size, path, why);
}

/* Let the thread run, if there is a file. False if the system has none. */
static bool ad_history_file_start(void)
{
    return ad_history_file.fd < 0 ||
           ad_thread_start(&ad_history_file.thread, ad_history_file_main);
}

/* The thread ends behind what it writes. The hub's thread has ended, but its
 * descriptors are open. */
static void ad_history_file_stop(void)
{
    ad_thread_stop(&ad_history_file.thread);
}

/* Write all that there is, at the end of a run, and close. Waits for the disk. The
 * hub and the thread have ended. */
static void ad_history_file_finish(void)
{
    if (ad_history_file.fd < 0) {
        return;
    }
    if (atomic_load(&ad_history_file.turn) == AD_HISTORY_FILE_DONE) {
        ad_history_file_take();
    }
    ad_history_end();
    ad_history_file.error = 0;
    while (ad_history_file.error == 0 && ad_history_file_due()) {
        ad_history_fill();
        ad_history_write();
        ad_history_file_take();
    }
    ad_history_file_close();
}

AD_MEMORY(history_file, 1, sizeof(ad_history_file));

#else

static bool ad_history_file_start(void)
{
    return true;
}

static void ad_history_file_stop(void)
{
}

#endif /* AIDASH_HISTORY */

#endif
