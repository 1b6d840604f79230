/* The key file: what it takes and refuses, as tables; torn at every byte; changed by
 * two; who may read it. And the parts below it: dates, rights, the state directory. */
#include "../src/guard/keys.c"
#include "check.h"
#include <sys/wait.h>

#define DIGEST "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define DIGEST2 "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"
#define FIRST "1 " DIGEST " view,control 2026-11-26T19:51:21Z - Anna's phone\n"
#define SECOND \
    "2 " DIGEST2 " ingest,infer 2026-11-26T19:51:21Z 2027-01-01T00:00:00Z script\n"

static char directory[64];
static char logged[512];
static unsigned n_logged;

static void keep_log(enum aidash_log_level level, const char *text, void *user)
{
    (void)user;
    (void)level;
    (void)snprintf(logged, sizeof(logged), "%s", text);
    n_logged++;
}

static void path_of(const char *name, char out[128])
{
    (void)snprintf(out, 128, "%s/%s", directory, name);
}

static void put_file(const char *text, size_t len, mode_t mode)
{
    char path[128], fresh[128];
    FILE *f;

    path_of("keys", path);
    path_of("by-hand", fresh);
    f = fopen(fresh, "w");
    CHECK(f != NULL && fwrite(text, 1, len, f) == len && fclose(f) == 0);
    CHECK(chmod(fresh, mode) == 0 && rename(fresh, path) == 0);
}

/* An empty state directory, as a server finds it that starts. */
static void reset(void)
{
    static const char *const names[] = {"keys", "keys.new"};
    char path[128];
    unsigned i;

    for (i = 0; i < AD_COUNT(names); i++) {
        path_of(names[i], path);
        (void)unlink(path);
    }
    ad_keys_init();
    CHECK(ad_state_set(directory));
    logged[0] = '\0';
    n_logged = 0;
}

/* Change the file, and read what it is then, as the server does. */
static bool add_key(const char *name, unsigned rights, int64_t expires_s, bool wait,
                    char secret[AD_KEY_LEN + 1], struct ad_grant *out,
                    char why[AD_STATE_WHY_MAX])
{
    const struct ad_key_order order = {name, rights, expires_s, 0};

    return ad_keys_add(&ad_keys.work, &order, wait, secret, out, why) &&
           ad_keys_poll(true);
}

static bool change_key(uint32_t number, const char *name, bool wait,
                       char why[AD_STATE_WHY_MAX])
{
    return ad_keys_change(&ad_keys.work, number, name, wait, why) && ad_keys_poll(true);
}

static struct ad_slice slice(const char *text)
{
    return ad_slice_of(text);
}

/* ---- dates, rights ---- */

static void test_dates(void)
{
    static const struct {
        const char *text;
        int64_t time_s;
    } rows[] = {{"1970-01-01T00:00:00Z", 0},
                {"2000-02-29T23:59:59Z", 951868799},
                {"2000-03-01T00:00:00Z", 951868800},
                {"2024-12-31T12:34:56Z", 1735648496},
                {"2026-11-26T19:51:21Z", 1795722681},
                {"2100-02-28T00:00:00Z", 4107456000},
                {"9999-12-31T23:59:59Z", AD_DATE_MAX_S}};
    static const char *const wrong[] = {
        "",
        "2026-11-26",
        "2026-11-26T19:51:21",
        "2026-11-26T19:51:21z",
        "2026-11-26 19:51:21Z",
        "2026-11-26T19:51:21ZZ",
        "1969-12-31T23:59:59Z",
        "2026-00-26T19:51:21Z",
        "2026-13-26T19:51:21Z",
        "2026-11-00T19:51:21Z",
        "2026-11-31T19:51:21Z",
        "2026-02-29T19:51:21Z",
        "2100-02-29T19:51:21Z",
        "2026-11-26T24:51:21Z",
        "2026-11-26T19:60:21Z",
        "2026-11-26T19:51:60Z",
        "2026-11-26T1a:51:21Z",
        "+026-11-26T19:51:21Z",
        "2026-11-26T19:51:-1Z"};
    char text[32];
    int64_t time_s, seen;
    struct ad_text t;
    unsigned i;

    for (i = 0; i < AD_COUNT(rows); i++) {
        CHECK(ad_date_parse(rows[i].text, strlen(rows[i].text), &time_s));
        CHECK_EQ(time_s, rows[i].time_s);
        t = ad_text_in(text, sizeof(text));
        ad_put_date(&t, rows[i].time_s);
        text[t.len] = '\0';
        CHECK_STR(text, rows[i].text);
    }
    for (i = 0; i < AD_COUNT(wrong); i++) {
        time_s = -5;
        CHECK(!ad_date_parse(wrong[i], strlen(wrong[i]), &time_s));
        CHECK_EQ(time_s, -5);
    }
    for (time_s = 0; time_s <= AD_DATE_MAX_S; time_s += 86400 * 13 + 12345) {
        t = ad_text_in(text, sizeof(text));
        ad_put_date(&t, time_s);
        if (!ad_date_parse(text, t.len, &seen) || seen != time_s) {
            CHECK_EQ(seen, time_s);
            break;
        }
    }
}

static void test_rights(void)
{
    static const struct {
        const char *text;
        unsigned rights; /* 0: refused */
    } rows[] = {{"view", AD_MAY_VIEW},
                {"view,control", AD_MAY_VIEW | AD_MAY_CONTROL},
                {"infer,ingest", AD_MAY_INGEST | AD_MAY_INFER},
                {"view,control,ingest,infer", AD_MAY_ALL},
                {"view,view", AD_MAY_VIEW},
                {"", 0},
                {",", 0},
                {"view,", 0},
                {",view", 0},
                {"view control", 0},
                {"View", 0},
                {"all", 0},
                {"vie", 0},
                {"views", 0}};
    char text[64];
    struct ad_text t;
    unsigned i, rights;

    for (i = 0; i < AD_COUNT(rows); i++) {
        char *copy = check_copy(rows[i].text, strlen(rows[i].text));

        rights = 0;
        CHECK_EQ(ad_rights_parse(copy, strlen(rows[i].text), &rights),
                 rows[i].rights != 0);
        CHECK_EQ(rights, rows[i].rights);
        free(copy);
    }
    for (i = 0; i <= AD_MAY_ALL; i++) {
        t = ad_text_in(text, AD_RIGHTS_TEXT_MAX);
        ad_put_rights(&t, i);
        CHECK(!t.full);
        rights = 0;
        CHECK_EQ(ad_rights_parse(text, t.len, &rights), i != 0);
        CHECK_EQ(rights, i);
    }
}

/* ---- the text ---- */

static const char *fault_of(const char *text, size_t len, unsigned *line)
{
    static struct ad_key_table table;
    char *copy = check_copy(text, len);
    const char *fault = ad_keys_parse(copy, len, &table, line);

    free(copy);
    return fault != NULL ? fault : "";
}

static void test_text(void)
{
    static const struct {
        const char *text;
        unsigned line; /* 0: it is right */
    } rows[] = {
        {"next 1\n", 0},
        {FIRST "next 2\n", 0},
        {"# words\n\n" FIRST "\n# more\n" SECOND "next 3\n# end\n\n", 0},
        {"1  " DIGEST "\tview 2026-11-26T19:51:21Z  -   two  words\nnext 9\n", 0},
        {"4294967294 " DIGEST " view 2026-11-26T19:51:21Z - n\nnext 4294967295\n",
         0},
        {"", 0xFFFF}, /* its end is missing: the line is told as 0 */
        {FIRST, 1},
        {FIRST "next 2", 2},
        {FIRST "next 1\n", 2},
        {FIRST "next 0\n", 2},
        {FIRST "next\n", 2},
        {FIRST "next 2 3\n", 2},
        {FIRST "next two\n", 2},
        {FIRST "next 4294967296\n", 2},
        {FIRST "next 2\n" SECOND, 3},
        {FIRST "next 2\nnext 2\n", 3},
        {FIRST FIRST "next 2\n", 2},
        {FIRST "1 " DIGEST2 " view 2026-11-26T19:51:21Z - n\nnext 2\n", 2},
        {FIRST "2 " DIGEST " view 2026-11-26T19:51:21Z - n\nnext 3\n", 2},
        {"0 " DIGEST " view 2026-11-26T19:51:21Z - n\nnext 3\n", 1},
        {"01 " DIGEST " view 2026-11-26T19:51:21Z - n\nnext 3\n", 1},
        {"-1 " DIGEST " view 2026-11-26T19:51:21Z - n\nnext 3\n", 1},
        {"4294967296 " DIGEST " view 2026-11-26T19:51:21Z - n\nnext 3\n", 1},
        {" 1 " DIGEST " view 2026-11-26T19:51:21Z - n\nnext 3\n", 1},
        {"1 " DIGEST "0 view 2026-11-26T19:51:21Z - n\nnext 3\n", 1},
        {"1 g" DIGEST " view 2026-11-26T19:51:21Z - n\nnext 3\n", 1},
        {"1 " DIGEST " see 2026-11-26T19:51:21Z - n\nnext 3\n", 1},
        {"1 " DIGEST " - 2026-11-26T19:51:21Z - n\nnext 3\n", 1},
        {"1 " DIGEST " view 2026-11-26 - n\nnext 3\n", 1},
        {"1 " DIGEST " view - - n\nnext 3\n", 1},
        {"1 " DIGEST " view 2026-11-26T19:51:21Z never n\nnext 3\n", 1},
        {"1 " DIGEST " view 2026-11-26T19:51:21Z 1970-01-01T00:00:00Z n\nnext 3\n",
         1},
        {"1 " DIGEST " view 2026-11-26T19:51:21Z -\nnext 3\n", 1},
        {"1 " DIGEST " view 2026-11-26T19:51:21Z - \nnext 3\n", 1},
        {"1 " DIGEST " view 2026-11-26T19:51:21Z - n\r\nnext 3\n", 1},
        {"1 " DIGEST " view 2026-11-26T19:51:21Z - n\x1b[2J\nnext 3\n", 1},
        {"1 " DIGEST " view 2026-11-26T19:51:21Z - \xff\nnext 3\n", 1},
        {"1 " DIGEST " view\nnext 3\n", 1},
        {"1\nnext 3\n", 1},
        {"key\nnext 3\n", 1}};
    char name[80], text[256];
    unsigned i, line;

    for (i = 0; i < AD_COUNT(rows); i++) {
        const char *fault = fault_of(rows[i].text, strlen(rows[i].text), &line);

        CHECK_EQ(fault[0] != '\0', rows[i].line != 0);
        if (rows[i].line != 0) {
            CHECK_EQ(line, rows[i].line == 0xFFFF ? 0 : rows[i].line);
        }
        if ((fault[0] != '\0') != (rows[i].line != 0)) {
            printf("    row %u: %s\n", i, fault);
        }
    }
    /* A name of 63 bytes, and one of 64. A zero byte in it. */
    for (i = 63; i <= 64; i++) {
        memset(name, 'n', i);
        name[i] = '\0';
        (void)snprintf(text, sizeof(text),
                       "1 " DIGEST " view 2026-11-26T19:51:21Z - %s\nnext 2\n", name);
        CHECK_EQ(fault_of(text, strlen(text), &line)[0] != '\0', i == 64);
    }
    (void)snprintf(text, sizeof(text), "%s", FIRST "next 2\n");
    text[strlen(FIRST) - 3] = '\0';
    CHECK(fault_of(text, strlen(FIRST) + strlen("next 2\n"), &line)[0] != '\0');
    CHECK_EQ(line, 1);
}

/* Whatever is written is read again as it was: AIDASH_KEYS keys with everything as
 * long as it can be. One more is refused. */
static void test_longest(void)
{
    static struct ad_key_table table, seen;
    static char text[AD_KEYS_TEXT_MAX + AD_KEYS_LINE_MAX];
    struct ad_text t = ad_text_in(text, AD_KEYS_TEXT_MAX);
    unsigned i, line;

    memset(&table, 0, sizeof(table));
    for (i = 0; i < AIDASH_KEYS; i++) {
        struct ad_key *key = &table.list[table.n++];

        key->number = UINT32_MAX - 1 - i;
        memset(key->digest, 0xFF, sizeof(key->digest));
        key->digest[0] = (uint8_t)i;
        key->digest[1] = (uint8_t)(i >> 8);
        key->rights = AD_MAY_ALL;
        key->created_s = key->expires_s = AD_DATE_MAX_S;
        memset(key->name, 'n', AD_GRANT_NAME_MAX);
    }
    table.next = UINT32_MAX;
    ad_keys_put(&t, &table);
    CHECK(!t.full && t.len < AD_KEYS_TEXT_MAX);
    memset(&seen, 0, sizeof(seen));
    CHECK(ad_keys_parse(text, t.len, &seen, &line) == NULL);
    CHECK(memcmp(&seen, &table, sizeof(table)) == 0);
    t = ad_text_in(text, sizeof(text));
    ad_puts(&t, FIRST);
    ad_keys_put(&t, &table);
    CHECK_STR(ad_keys_parse(text, t.len, &seen, &line),
              "there are more keys than AIDASH_KEYS");
}

/* A text that ends at any byte before its end is refused, and the keys stay. */
static void test_torn(void)
{
    static const char whole[] = FIRST SECOND "next 12\n";
    unsigned line;
    size_t len;

    reset();
    put_file(FIRST "next 2\n", strlen(FIRST "next 2\n"), 0600);
    CHECK(ad_keys_poll(false));
    CHECK_EQ(ad_keys.now.n, 1);
    for (len = 0; len < sizeof(whole) - 1; len++) {
        CHECK(fault_of(whole, len, &line)[0] != '\0');
        put_file(whole, len, 0600);
        CHECK(!ad_keys_poll(true));
        CHECK_EQ(ad_keys.now.n, 1);
        CHECK(ad_keys_valid(1) && !ad_keys_valid(2));
    }
    put_file(whole, len, 0600);
    CHECK(ad_keys_poll(false));
    CHECK_EQ(ad_keys.now.n, 2);
}

/* ---- the file ---- */

static void test_add_find(void)
{
    char secret[AD_KEY_LEN + 1], other[AD_KEY_LEN + 1], why[AD_STATE_WHY_MAX];
    struct ad_grant grant;
    struct stat info;
    char path[128];
    size_t i;

    reset();
    CHECK(add_key("Anna's phone", AD_MAY_VIEW | AD_MAY_CONTROL, 0, true, secret,
                      &grant, why));
    CHECK_EQ(grant.key, 1);
    CHECK_EQ(grant.rights, AD_MAY_VIEW | AD_MAY_CONTROL);
    CHECK_STR(grant.name, "Anna's phone");
    CHECK_EQ(strlen(secret), AD_KEY_LEN);
    CHECK(strncmp(secret, "aidash_", 7) == 0);
    CHECK_EQ(strspn(secret + 7, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-_"), 43);
    path_of("keys", path);
    CHECK(stat(path, &info) == 0 && (info.st_mode & 07777) == 0600);
    path_of("keys.new", path);
    CHECK(stat(path, &info) != 0);
    CHECK(memmem(ad_keys.work.text, sizeof(ad_keys.work.text), secret, AD_KEY_LEN) == NULL);
    CHECK(add_key("script", AD_MAY_INFER, AD_DATE_MAX_S, false, other, &grant,
                      why));
    CHECK_EQ(grant.key, 2);
    CHECK(strcmp(secret, other) != 0);

    memset(&grant, 0, sizeof(grant));
    CHECK(ad_keys_find(slice(secret), &grant));
    CHECK_EQ(grant.key, 1);
    CHECK_STR(grant.name, "Anna's phone");
    CHECK_EQ(grant.expires_s, 0);
    CHECK(ad_keys_find(slice(other), &grant));
    CHECK_EQ(grant.key, 2);
    CHECK_EQ(grant.rights, AD_MAY_INFER);
    CHECK_EQ(grant.expires_s, AD_DATE_MAX_S);

    /* Another character anywhere, a shorter one, a longer one, none. */
    for (i = 0; i < AD_KEY_LEN; i++) {
        char wrong[AD_KEY_LEN + 1];

        memcpy(wrong, secret, sizeof(wrong));
        wrong[i] = wrong[i] == 'x' ? 'y' : 'x';
        CHECK(!ad_keys_find(slice(wrong), &grant));
        CHECK(!ad_keys_find((struct ad_slice){secret, i}, &grant));
    }
    CHECK(!ad_keys_find(slice(""), &grant));
    CHECK(!ad_keys_find((struct ad_slice){NULL, 0}, &grant));

    /* Another run, another program: the file is what counts. */
    ad_keys_init();
    CHECK(!ad_keys_find(slice(secret), &grant));
    CHECK(ad_keys_poll(false));
    CHECK(ad_keys_find(slice(secret), &grant) && grant.key == 1);
    CHECK(ad_keys_find(slice(other), &grant) && grant.key == 2);
    CHECK(!ad_keys_poll(false));
    CHECK(ad_keys_poll(true));
}

static void test_change(void)
{
    char secret[AD_KEY_LEN + 1], why[AD_STATE_WHY_MAX];
    struct ad_grant grant;

    reset();
    CHECK(add_key("one", AD_MAY_VIEW, 0, true, secret, &grant, why));
    CHECK(change_key(1, "eins", true, why));
    CHECK(ad_keys_find(slice(secret), &grant));
    CHECK_STR(grant.name, "eins");
    CHECK(!change_key(2, "zwei", true, why));
    CHECK_STR(why, "there is no key 2");
    CHECK(ad_keys_valid(1));
    CHECK(change_key(1, NULL, true, why));
    CHECK(!ad_keys_valid(1));
    CHECK(!ad_keys_find(slice(secret), &grant));
    /* A number is never given twice. */
    CHECK(add_key("two", AD_MAY_VIEW, 0, true, secret, &grant, why));
    CHECK_EQ(grant.key, 2);
    CHECK(!ad_keys_valid(0) && !ad_keys_valid(1) && ad_keys_valid(2));
}

static void test_expiry(void)
{
    char past[AD_KEY_LEN + 1], why[AD_STATE_WHY_MAX], secret[AD_KEY_LEN + 1];
    struct ad_grant grant;
    unsigned i;

    reset();
    CHECK(add_key("past", AD_MAY_VIEW, ad_keys_now_s(), true, past, &grant, why));
    CHECK(!ad_keys_find(slice(past), &grant));
    CHECK(!ad_keys_valid(1));
    /* All places taken: the one that has expired gives way, and nobody else. */
    for (i = 1; i < AIDASH_KEYS; i++) {
        CHECK(add_key("n", AD_MAY_VIEW, 0, true, secret, &grant, why));
    }
    CHECK_EQ(ad_keys.now.n, AIDASH_KEYS);
    CHECK(add_key("last", AD_MAY_VIEW, 0, true, secret, &grant, why));
    CHECK_EQ(ad_keys.now.n, AIDASH_KEYS);
    CHECK_EQ(grant.key, AIDASH_KEYS + 1);
    CHECK_STR(ad_keys.now.list[0].name, "n");
    CHECK(!add_key("one more", AD_MAY_VIEW, 0, true, secret, &grant, why));
    CHECK(strstr(why, "AIDASH_KEYS") != NULL);
    CHECK(!ad_keys_find(slice(secret), &grant));
    CHECK_EQ(ad_keys.now.n, AIDASH_KEYS);
}

/* Too open, not a file, too long, broken: refused, said once, and the keys stay. */
static void test_refused(void)
{
    static char big[AD_KEYS_TEXT_MAX + 1];
    char path[128];

    reset();
    put_file(FIRST "next 2\n", strlen(FIRST "next 2\n"), 0600);
    CHECK(ad_keys_poll(false));
    put_file(FIRST SECOND "next 3\n", strlen(FIRST SECOND "next 3\n"), 0640);
    CHECK(!ad_keys_poll(false));
    CHECK(strstr(logged, "chmod 600") != NULL && strstr(logged, "mode 0640") != NULL);
    CHECK_EQ(n_logged, 1);
    CHECK(!ad_keys_poll(false));
    CHECK_EQ(n_logged, 1);
    CHECK(ad_keys_valid(1) && !ad_keys_valid(2));
    path_of("keys", path);
    CHECK(chmod(path, 0600) == 0); /* its mode alone has changed */
    CHECK(ad_keys_poll(false));
    CHECK(ad_keys_valid(1) && ad_keys_valid(2));

    put_file("rubbish\n", 8, 0600);
    CHECK(!ad_keys_poll(false));
    CHECK(strstr(logged, "keys: line 1: its number") != NULL);
    CHECK(strstr(logged, "the keys stay as they were: 2") != NULL);
    CHECK_EQ(n_logged, 2);

    memset(big, '\n', sizeof(big));
    put_file(big, sizeof(big), 0600);
    CHECK(!ad_keys_poll(false));
    CHECK(strstr(logged, "longer") != NULL);
    CHECK(unlink(path) == 0 && symlink("/dev/zero", path) == 0);
    CHECK(!ad_keys_poll(true));
    CHECK(unlink(path) == 0 && mkfifo(path, 0600) == 0);
    CHECK(!ad_keys_poll(true)); /* and does not wait for who writes there */
    CHECK(strstr(logged, "it is no file") != NULL);
    CHECK(ad_keys_valid(1) && ad_keys_valid(2));
    CHECK(unlink(path) == 0);
    CHECK(ad_keys_poll(false)); /* no file: no keys */
    CHECK(!ad_keys_valid(1) && !ad_keys_valid(2));
}

/* A change that can't be written leaves the file and the keys. */
static void test_unwritten(void)
{
    char secret[AD_KEY_LEN + 1], why[AD_STATE_WHY_MAX], path[128];
    struct ad_grant grant;

    reset();
    CHECK(add_key("one", AD_MAY_VIEW, 0, true, secret, &grant, why));
    path_of("keys.new", path);
    CHECK(mkdir(path, 0700) == 0);
    CHECK(!add_key("two", AD_MAY_VIEW, 0, true, secret, &grant, why));
    CHECK(!change_key(1, NULL, true, why));
    CHECK(ad_keys_valid(1) && !ad_keys_valid(2));
    CHECK(rmdir(path) == 0);
    /* What a program left that ended while it wrote is in nobody's way. */
    CHECK(close(open(path, O_CREAT | O_WRONLY, 0400)) == 0);
    CHECK(change_key(1, "uno", true, why));
    /* A broken file is never written over. */
    put_file("rubbish\n", 8, 0600);
    CHECK(!add_key("two", AD_MAY_VIEW, 0, true, secret, &grant, why));
    CHECK(strstr(why, "line 1") != NULL);
    CHECK(ad_keys_valid(1));
}

/* Another program has the lock: who may not wait is told; who waits gets it, and
 * loses nothing of what the other one wrote. */
static void test_lock(void)
{
    char secret[AD_KEY_LEN + 1], why[AD_STATE_WHY_MAX];
    struct ad_grant grant;
    int lock, status = 1;
    pid_t child;

    reset();
    lock = ad_keys_begin(&ad_keys.work, true, why);
    CHECK(lock >= 0);
    child = fork();
    if (child == 0) {
        _exit(add_key("busy", AD_MAY_VIEW, 0, false, secret, &grant, why) ||
              strstr(why, "try again") == NULL);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    child = fork();
    if (child == 0) {
        (void)close(lock); /* the copy that fork() made of it */
        _exit(!add_key("second", AD_MAY_VIEW, 0, true, secret, &grant, why));
    }
    ad_keys.work.table.n = 1;
    CHECK(ad_keys_line(slice("1 " DIGEST " view 2026-11-26T19:51:21Z - first"),
                       &ad_keys.work.table.list[0]) == NULL);
    ad_keys.work.table.next = 2;
    CHECK(ad_keys_done(&ad_keys.work, lock, true, why));
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(ad_keys_poll(false));
    CHECK_EQ(ad_keys.now.n, 2);
    CHECK_STR(ad_keys.now.list[0].name, "first");
    CHECK_STR(ad_keys.now.list[1].name, "second");
    CHECK_EQ(ad_keys.now.list[1].number, 2);

    /* A child that was forked meanwhile, and stays, does not keep it. */
    lock = ad_keys_begin(&ad_keys.work, true, why);
    CHECK(lock >= 0);
    child = fork();
    if (child == 0) {
        (void)pause();
        _exit(1);
    }
    ad_state_unlock(lock);
    lock = ad_keys_begin(&ad_keys.work, false, why);
    CHECK(lock >= 0);
    ad_state_unlock(lock);
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
}

/* The directory is made when something is written, for this user alone. */
static void test_directory(void)
{
    char secret[AD_KEY_LEN + 1], why[AD_STATE_WHY_MAX], deep[160], path[256];
    static char longest[AD_STATE_DIR_MAX + 2];
    struct ad_grant grant;
    struct stat info;

    reset();
    (void)snprintf(deep, sizeof(deep), "%s/a/b", directory);
    CHECK(ad_state_set(deep));
    CHECK(!ad_keys_poll(true) || ad_keys.now.n == 0);
    CHECK(stat(deep, &info) != 0);
    CHECK(add_key("one", AD_MAY_VIEW, 0, true, secret, &grant, why));
    CHECK(stat(deep, &info) == 0 && (info.st_mode & 07777) == 0700);
    (void)snprintf(path, sizeof(path), "%s/keys", deep);
    CHECK(unlink(path) == 0 && rmdir(deep) == 0);
    (void)snprintf(path, sizeof(path), "%s/a", directory);
    CHECK(rmdir(path) == 0);
    CHECK(ad_state_set(NULL));
    CHECK(!ad_keys_poll(true));
    CHECK(!add_key("one", AD_MAY_VIEW, 0, true, secret, &grant, why));
    CHECK(strstr(why, "--state-dir") != NULL);
    memset(longest, 'd', sizeof(longest) - 1);
    CHECK(!ad_state_set(longest));
    longest[AD_STATE_DIR_MAX] = '\0';
    CHECK(ad_state_set(longest));
    CHECK(!add_key("one", AD_MAY_VIEW, 0, true, secret, &grant, why));
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");

    (void)snprintf(directory, sizeof(directory), "%.30s/aidash-keys-XXXXXX",
                   tmp != NULL && strlen(tmp) < 30 ? tmp : "/tmp");
    if (mkdtemp(directory) == NULL) {
        perror(directory);
        return 1;
    }
    ad_log_to(AIDASH_LOG_INFO, keep_log, NULL);
    test_dates();
    test_rights();
    test_text();
    test_longest();
    test_torn();
    test_add_find();
    test_change();
    test_expiry();
    test_refused();
    test_unwritten();
    test_lock();
    test_directory();
    reset();
    CHECK(rmdir(directory) == 0);
    return check_report();
}
