/* What `aidash doctor` reads of a machine: files below a root of the test's own, and
 * answers to its question about the name. */
#include "../src/app/machine.c"
#include "check.h"

static char root[] = "/tmp/aidash-machine-XXXXXX";

/* What was made, for its removal. */
static char made[64][256];
static unsigned n_made;

static void note(const char *full)
{
    CHECK(n_made < AD_COUNT(made));
    (void)snprintf(made[n_made++], sizeof(made[0]), "%s", full);
}

/* Write a file below the root, with its directories; NULL: a directory. */
static void put(const char *path, const char *text)
{
    char full[512];
    char *slash;

    (void)snprintf(full, sizeof(full), "%s%s", root, path);
    for (slash = full + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL;
         slash++) {
        *slash = '\0';
        if (mkdir(full, 0777) == 0) {
            note(full);
        }
        *slash = '/';
    }
    if (text == NULL) {
        CHECK(mkdir(full, 0777) == 0);
        note(full);
    } else {
        FILE *f = fopen(full, "w");

        CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
        note(full);
    }
}

static void take(const char *path)
{
    char full[512];

    (void)snprintf(full, sizeof(full), "%s%s", root, path);
    CHECK(remove(full) == 0);
}

static const char *firewall(void)
{
    static char text[256];
    struct ad_text t = ad_text_in(text, sizeof(text));

    ad_machine_firewall(root, 8080, &t);
    ad_put(&t, "", 1);
    return text;
}

static void test_firewall(void)
{
    CHECK_STR(firewall(), "");
    put("/etc/ufw/ufw.conf", "# ufw\nENABLED=no\n");
    CHECK_STR(firewall(), "");
    put("/proc/net/ip_tables_names", "nat\nfilter\n");
    CHECK(strstr(firewall(), "whether port 8080 is let in: sudo iptables -L") != NULL);
    put("/run/firewalld", NULL);
    CHECK(strstr(firewall(), "--add-port=8080/tcp") != NULL);
    put("/etc/ufw/ufw.conf", "# ufw\nENABLED=yes\n");
    CHECK(strstr(firewall(), "sudo ufw allow 8080/tcp") != NULL);
}

static void test_service(void)
{
    static const char unit[] = "/usr/lib/systemd/system/aidash.service";
    static const char group[] = "/sys/fs/cgroup/system.slice/aidash.service";
    static const char wanted[] =
        "/etc/systemd/system/multi-user.target.wants/aidash.service";

    CHECK(strstr(ad_machine_service(root), "systemd does not run") != NULL);
    put("/run/systemd/system", NULL);
    CHECK(strstr(ad_machine_service(root), "is not installed") != NULL);
    put(unit, "");
    CHECK(strstr(ad_machine_service(root), "neither runs nor starts") != NULL);
    put(wanted, "");
    CHECK(strstr(ad_machine_service(root), "does not run now") != NULL);
    put(group, NULL);
    CHECK_STR(ad_machine_service(root),
              "aidash.service runs, and starts at boot");
    take(wanted);
    CHECK(strstr(ad_machine_service(root), "does not start at boot") != NULL);
}

static void test_question(void)
{
    static const uint8_t wanted[] = "\x12\x34\0\0\0\1\0\0\0\0\0\0\5board\5local\0"
                                    "\0\1\0\1";
    uint8_t out[AD_MDNS_MAX];
    char name[65];

    CHECK_EQ(ad_mdns_question(out, 0x1234, "board"), sizeof(wanted) - 1);
    CHECK(memcmp(out, wanted, sizeof(wanted) - 1) == 0);
    CHECK_EQ(ad_mdns_question(out, 1, ""), 0);
    memset(name, 'a', 64);
    name[64] = '\0';
    CHECK_EQ(ad_mdns_question(out, 1, name), 0);
    CHECK_EQ(ad_mdns_question(out, 1, name + 1), AD_MDNS_HEAD + 64 + 11);
}

/* The answer's address as text, "" if it has none. */
static const char *answered(const char *bytes, size_t len)
{
    static char text[INET_ADDRSTRLEN];
    uint8_t *copy = malloc(len); /* so that a sanitizer sees its end */
    struct in_addr address;
    bool ok;

    memcpy(copy, bytes, len);
    ok = ad_mdns_address(copy, len, 0x1234, &address);
    free(copy);
    return ok ? inet_ntop(AF_INET, &address, text, sizeof(text)) : "";
}
#define ANSWERED(text) answered((text), sizeof(text) - 1)
#define QUESTION "\5board\5local\0\0\1\0\1"
#define RECORD "\0\1\200\1\0\0\0\12\0\4\300\0\2\7" /* A, 192.0.2.7 */

static void test_answer(void)
{
    static const char whole[] = "\x12\x34\204\0\0\1\0\1\0\0\0\0" QUESTION
                                "\300\14" RECORD;
    size_t len;

    CHECK_STR(ANSWERED(whole), "192.0.2.7");
    for (len = 1; len < sizeof(whole) - 1; len++) {
        CHECK_STR(answered(whole, len), "");
    }
    CHECK_STR(ANSWERED("\x12\x34\204\0\0\0\0\1\0\0\0\0\5board\5local\0" RECORD),
              "192.0.2.7"); /* without the question */
    CHECK_STR(ANSWERED("\x12\x34\204\0\0\0\0\2\0\0\0\0\1x\0\0\34\0\1\0\0\0\1\0\1z"
                       "\1x\0" RECORD), "192.0.2.7"); /* AAAA of a byte before */
    CHECK_STR(ANSWERED("\x12\x35\204\0\0\0\0\1\0\0\0\0\1x\0" RECORD), "");
    CHECK_STR(ANSWERED("\x12\x34\0\0\0\0\0\1\0\0\0\0\1x\0" RECORD), "");
    CHECK_STR(ANSWERED("\x12\x34\204\0\0\0\0\1\0\0\0\0\100x\0" RECORD), "");
    CHECK_STR(ANSWERED("\x12\x34\204\0\377\377\377\377\0\0\0\0"), "");
    CHECK_STR(ANSWERED("\x12\x34\204\0\0\0\0\0\0\0\0\0"), "");
}

static void test_port(void)
{
    unsigned port = 0;
    int fd = ad_socket_bind("127.0.0.1:0", SOCK_STREAM, &port);

    CHECK(fd >= 0);
    CHECK(ad_machine_answers("127.0.0.1", port));
    CHECK(!ad_machine_answers("127.0.0.2", port));
    CHECK(!ad_machine_answers("[::1]", port));
    CHECK(!ad_machine_answers("no address", port));
    (void)close(fd);
    CHECK(!ad_machine_answers("127.0.0.1", port));
}

int main(void)
{
    CHECK(mkdtemp(root) != NULL);
    test_firewall();
    test_service();
    test_question();
    test_answer();
    test_port();
    while (n_made > 0) {
        (void)remove(made[--n_made]);
    }
    (void)rmdir(root);
    CHECK(access(root, F_OK) != 0);
    return check_report();
}
