/* key_writer.c - what changes the state directory while the server runs. A write
 * waits for the disk, and for another program that has the lock: a thread of its own
 * does it, one question at a time.
 * Owns ad_key_writer. Hub thread, but for ad_key_writer_main() (the thread's own),
 * and start and stop (the starting thread). Called by web/auth_routes.c.
 * Always: the question and the answer are the hub's, unless the turn is
 * AD_KEY_WRITER_ASKED: then they are the thread's. The work is always the thread's.
 */
#ifndef AD_CORE_KEY_WRITER_C
#define AD_CORE_KEY_WRITER_C

#include "../base/thread.c"
#include "../guard/pairing.c"
#include "hub.c"

/* The thread waits for so long before it tells that another program has the lock: so
 * often it is tried, while other questions get their turn. */
#define AD_KEY_WRITER_NAP_NS 20000000

/* Whose the question and the answer are. */
enum { AD_KEY_WRITER_FREE, AD_KEY_WRITER_ASKED, AD_KEY_WRITER_ANSWERED };

enum ad_key_job {
    AD_KEY_JOB_ADD,    /* a key; `number` is the one that it replaces, or 0 */
    AD_KEY_JOB_REVOKE, /* key `number` */
    AD_KEY_JOB_FETCH,  /* the code that `aidash pair` has left, into text */
    AD_KEY_JOB_TELL    /* `aidash pair`: write text */
};

struct ad_key_question {
    uint8_t job; /* enum ad_key_job */
    uint8_t rights;
    char name[AD_GRANT_NAME_MAX + 1];
    uint32_t number;
    int64_t expires_s; /* AD_KEY_JOB_ADD: Unix time; 0: never */
};

enum ad_key_result { AD_KEY_FAILED, AD_KEY_BUSY, AD_KEY_DONE };

/* What came of it. The secret is the only copy; it is not logged. */
struct ad_key_answer {
    uint8_t result; /* enum ad_key_result; AD_KEY_BUSY: ask again */
    char secret[AD_KEY_LEN + 1];
    struct ad_grant grant;
    char why[AD_STATE_WHY_MAX]; /* AD_KEY_FAILED, for the log */
};

static struct {
    _Atomic int turn; /* [a] AD_KEY_WRITER_FREE.. */
    struct ad_thread thread;
    struct ad_key_question question;
    struct ad_key_answer answer;
    char text[AD_PAIR_FILE_MAX]; /* of AD_KEY_JOB_FETCH and AD_KEY_JOB_TELL */
    size_t text_len;             /* SIZE_MAX: AD_KEY_JOB_FETCH found none */
    struct ad_keys_work work;
} ad_key_writer;

/* ---- the thread ---- */

/* The question as it is asked. False, and why[] says why, if that can't be done. */
static bool ad_key_writer_do(const struct ad_key_question *q, struct ad_key_answer *a)
{
    const struct ad_key_order order = {q->name, q->rights, q->expires_s,
                                       q->number};

    switch (q->job) {
    case AD_KEY_JOB_ADD:
        return ad_keys_add(&ad_key_writer.work, &order, false, a->secret, &a->grant,
                           a->why);
    case AD_KEY_JOB_REVOKE:
        return ad_keys_change(&ad_key_writer.work, q->number, NULL, false, a->why);
    case AD_KEY_JOB_FETCH:
        return ad_pair_fetch(ad_key_writer.text, &ad_key_writer.text_len, a->why);
    default:
        return ad_state_write(AD_PAIRED_FILE, ad_key_writer.text,
                              ad_key_writer.text_len, a->why);
    }
}

static void ad_key_writer_answer(void)
{
    static const struct timespec nap = {0, AD_KEY_WRITER_NAP_NS};
    struct ad_key_answer *a = &ad_key_writer.answer;

    ad_key_writer.work.busy = false;
    if (ad_key_writer_do(&ad_key_writer.question, a)) {
        a->result = AD_KEY_DONE;
    } else if (ad_key_writer.work.busy) {
        (void)nanosleep(&nap, NULL);
        a->result = AD_KEY_BUSY;
    } else {
        a->result = AD_KEY_FAILED;
    }
    atomic_store(&ad_key_writer.turn, AD_KEY_WRITER_ANSWERED);
    ad_wake();
}

static void *ad_key_writer_main(void *unused)
{
    while (ad_thread_runs(&ad_key_writer.thread)) {
        if (atomic_load(&ad_key_writer.turn) == AD_KEY_WRITER_ASKED) {
            ad_key_writer_answer();
        }
        ad_thread_sleep(&ad_key_writer.thread);
    }
    return unused;
}

/* ---- start and stop ---- */

/* Let the thread run, if there is a state directory. False if the system has no
 * thread. */
static bool ad_key_writer_start(void)
{
    return !ad_state_is_set() ||
           ad_thread_start(&ad_key_writer.thread, ad_key_writer_main);
}

/* The thread ends behind what it writes. The hub's thread has ended, but its
 * descriptors are open. */
static void ad_key_writer_stop(void)
{
    ad_thread_stop(&ad_key_writer.thread);
}

/* Before each run. */
static void ad_key_writer_init(void)
{
    memset(&ad_key_writer, 0, sizeof(ad_key_writer));
}

/* ---- the hub ---- */

/* May it be asked? */
static bool ad_key_writer_free(void)
{
    return atomic_load(&ad_key_writer.turn) == AD_KEY_WRITER_FREE;
}

/* Ask it, which is free. text: of AD_KEY_JOB_TELL, else NULL. */
static void ad_key_writer_ask(const struct ad_key_question *question,
                              const struct ad_text *text)
{
    ad_key_writer.question = *question;
    ad_key_writer.work.least = ad_keys.now.next;
    if (text != NULL) {
        memcpy(ad_key_writer.text, text->at, text->len);
        ad_key_writer.text_len = text->len;
    }
    atomic_store(&ad_key_writer.turn, AD_KEY_WRITER_ASKED);
    ad_thread_wake(&ad_key_writer.thread);
}

/* Its answer, which holds until ad_key_writer_end(); NULL: there is none. */
static const struct ad_key_answer *ad_key_writer_answered(void)
{
    return atomic_load(&ad_key_writer.turn) == AD_KEY_WRITER_ANSWERED
               ? &ad_key_writer.answer
               : NULL;
}

/* It may be asked again; nothing of the secret is left. */
static void ad_key_writer_end(void)
{
    memset(&ad_key_writer.answer, 0, sizeof(ad_key_writer.answer));
    atomic_store(&ad_key_writer.turn, AD_KEY_WRITER_FREE);
}

AD_MEMORY(key_writer, 1, sizeof(ad_key_writer));

#endif
