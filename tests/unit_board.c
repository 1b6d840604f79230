/* What a board says of itself: each tests/boards/NAME is unpacked, read, changed to
 * what it is a second later, and read again; expected.json has what it says then.
 * UPDATE=1 in the environment writes the expected.json of boards that have none. */
#include "../src/board/board.c"
#include "check.h"

#define BOARDS "tests/boards"

static char root[64];
static char expected[16384], shown[AD_BOARD_MAX];

/* Write the files of tree.txt below the root: "@ PATH", then the file's lines. */
static bool unpack(const char *board, const char *name)
{
    static char line[4096];
    char path[512];
    FILE *from, *to = NULL;

    (void)snprintf(path, sizeof(path), BOARDS "/%s/%s", board, name);
    from = fopen(path, "r");
    if (from == NULL) {
        return false;
    }
    while (fgets(line, sizeof(line), from) != NULL) {
        char *slash;

        if (strncmp(line, "@ /", 3) != 0) {
            if (to != NULL) {
                CHECK(fputs(line, to) >= 0);
            }
            continue;
        }
        line[strcspn(line, "\n")] = '\0';
        (void)snprintf(path, sizeof(path), "%s%.400s", root, line + 2);
        for (slash = path + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL;
             slash++) {
            *slash = '\0';
            (void)mkdir(path, 0777);
            *slash = '/';
        }
        if (to != NULL) {
            (void)fclose(to);
        }
        to = fopen(path, "w");
        CHECK(to != NULL);
    }
    if (to != NULL) {
        (void)fclose(to);
    }
    (void)fclose(from);
    return true;
}

/* Remove the tree. */
static void tidy(void)
{
    char command[128];

    CHECK(strncmp(root, "/tmp/aidash-board-", 18) == 0);
    (void)snprintf(command, sizeof(command), "rm -rf --one-file-system %s", root);
    CHECK(system(command) == 0);
}

static void fresh(void)
{
    (void)snprintf(root, sizeof(root), "/tmp/aidash-board-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
}

/* Without the blanks between JSON's tokens. */
static void squeeze(char *s)
{
    bool quoted = false;
    char *out = s;

    for (; *s != '\0'; s++) {
        quoted = *s == '"' ? !quoted : quoted; /* no name has an escape */
        if (quoted || (*s != ' ' && *s != '\n')) {
            *out++ = *s;
        }
    }
    *out = '\0';
}

static void show(uint64_t now_ns)
{
    struct ad_text t = ad_text_in(shown, sizeof(shown) - 1);
    struct ad_board_figures figures;

    ad_puts(&t, "{");
    ad_probe_take(&t, now_ns, &figures);
    ad_puts(&t, "}");
    CHECK(!t.full);
    shown[t.len] = '\0';
}

static void write_expected(const char *path)
{
    FILE *f = fopen(path, "w");
    const char *s;
    int depth = 0;

    CHECK(f != NULL);
    for (s = shown; *s != '\0'; s++) {
        depth += *s == '{' || *s == '[' ? 1 : 0;
        depth -= *s == '}' || *s == ']' ? 1 : 0;
        (void)fputc(*s, f);
        if (*s == ',' && depth == 1) {
            (void)fputs("\n ", f);
        }
    }
    (void)fputc('\n', f);
    (void)fclose(f);
}

static void board(const char *name)
{
    char path[512];
    FILE *f;
    size_t n;

    fresh();
    CHECK(unpack(name, "tree.txt"));
    CHECK(ad_probe_open(root));
    ad_probe_find();
    show(1000 * AD_NS_PER_S);
    (void)unpack(name, "later.txt");
    show(1001 * AD_NS_PER_S);
    ad_probe_close();
    tidy();
    (void)snprintf(path, sizeof(path), BOARDS "/%s/expected.json", name);
    if (access(path, F_OK) != 0 && getenv("UPDATE") != NULL) {
        write_expected(path);
    }
    f = fopen(path, "r");
    n = f != NULL ? fread(expected, 1, sizeof(expected) - 1, f) : 0;
    expected[n] = '\0';
    if (f != NULL) {
        (void)fclose(f);
    }
    squeeze(expected);
    squeeze(shown);
    if (strcmp(shown, expected) != 0) {
        printf("board %s:\n", name);
    }
    CHECK_STR(shown, expected);
}

static void boards(void)
{
    DIR *list = opendir(BOARDS);
    const struct dirent *entry;
    unsigned n = 0;

    CHECK(list != NULL);
    while (list != NULL && (entry = readdir(list)) != NULL) {
        if (entry->d_name[0] != '.' && strchr(entry->d_name, '.') == NULL) {
            board(entry->d_name);
            n++;
        }
    }
    (void)closedir(list);
    CHECK(n >= 14);
}

/* A copied tree leads nowhere else: not by a link, not by what is no file. */
static void outside(void)
{
    char path[128], text[64];

    fresh();
    CHECK(ad_probe_open(root));
    (void)snprintf(path, sizeof(path), "%s/link", root);
    CHECK(symlink("/proc/meminfo", path) == 0);
    CHECK_EQ(ad_tree_read(&ad_probe.tree, "/link", text, sizeof(text)), -1);
    CHECK_EQ(ad_tree_read(&ad_probe.tree, "/../../proc/meminfo", text, sizeof(text)),
             -1);
    (void)snprintf(path, sizeof(path), "%s/pipe", root);
    CHECK(mkfifo(path, 0666) == 0);
    CHECK_EQ(ad_tree_read(&ad_probe.tree, "/pipe", text, sizeof(text)), -1);
    CHECK(mkdir(strcat(strcpy(path, root), "/sys"), 0777) == 0);
    CHECK_EQ(ad_tree_read(&ad_probe.tree, "/sys", text, sizeof(text)), -1);
    ad_probe_close();
    tidy();
    CHECK(!ad_probe_open("/nonexistent"));
    CHECK(!ad_probe_open("/proc/meminfo"));
}

/* A board with the most of everything fits the event. */
static void put(const char *path, const char *text)
{
    char full[512];
    char *slash;
    FILE *f;

    (void)snprintf(full, sizeof(full), "%s%s", root, path);
    for (slash = full + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL;
         slash++) {
        *slash = '\0';
        (void)mkdir(full, 0777);
        *slash = '/';
    }
    f = fopen(full, "w");
    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

#define LONG_NAME "a-name-that-is-much-longer-than-what-is-shown-of-it"

static void most(void)
{
    char path[256], text[256];
    static char stat[AD_CORES * 4 * 100];
    struct ad_text t = ad_text_in(stat, sizeof(stat) - 1);
    unsigned i, k, round;

    fresh();
    CHECK(ad_probe_open(root));
    for (round = 0; round < 2; round++) {
        t.len = 0;
        ad_putf(&t, "cpu  %u 0 0 1 1 0 0 1\n", round * 1000 + 1);
        for (i = 0; i < AD_CORES * 2; i++) {
            ad_putf(&t, "cpu%u %u 0 0 1 0 0 0 0\n", i, round * 1000 + 1);
        }
        stat[t.len] = '\0';
        put("/proc/stat", stat);
        put("/proc/meminfo", "MemTotal: 999999999999 kB\nMemAvailable: 999999999998 "
                             "kB\nSwapTotal: 999999999999 kB\nSwapFree: 1 kB\n");
        put("/proc/loadavg", "12345.67 1 1");
        put("/proc/device-tree/model",
            "A board " LONG_NAME " " LONG_NAME " " LONG_NAME);
        put("/sys/devices/platform/soc/soc:firmware/get_throttled", "f000f");
        for (i = 0; i < 20; i++) {
            (void)snprintf(path, sizeof(path), "/sys/class/thermal/thermal_zone%u/type",
                           i);
            (void)snprintf(text, sizeof(text), "%u" LONG_NAME, i);
            put(path, text);
            (void)snprintf(path, sizeof(path), "/sys/class/thermal/thermal_zone%u/temp",
                           i);
            put(path, "123456");
            (void)snprintf(path, sizeof(path),
                           "/sys/class/thermal/cooling_device%u/type", i);
            (void)snprintf(text, sizeof(text), "cpu-%u" LONG_NAME, i);
            put(path, text);
            (void)snprintf(path, sizeof(path),
                           "/sys/class/thermal/cooling_device%u/cur_state", i);
            put(path, "1000000");
            (void)snprintf(path, sizeof(path),
                           "/sys/class/thermal/cooling_device%u/max_state", i);
            put(path, "1000000");
            (void)snprintf(path, sizeof(path), "/sys/class/hwmon/hwmon%u/name", i);
            put(path, i < 5 ? "ina3221" : i < 6 ? "soctherm_oc" : "fan" LONG_NAME);
            for (k = 1; k <= 3; k++) {
                (void)snprintf(path, sizeof(path),
                               "/sys/class/hwmon/hwmon%u/in%u_label", i, k);
                put(path, "RAIL-" LONG_NAME);
                (void)snprintf(path, sizeof(path),
                               "/sys/class/hwmon/hwmon%u/in%u_input", i, k);
                put(path, "99999");
                (void)snprintf(path, sizeof(path),
                               "/sys/class/hwmon/hwmon%u/curr%u_input", i, k);
                put(path, "9999");
                (void)snprintf(path, sizeof(path),
                               "/sys/class/hwmon/hwmon%u/oc%u_event_cnt", i, k);
                put(path, "999999999999");
            }
            (void)snprintf(path, sizeof(path), "/sys/class/hwmon/hwmon%u/fan1_input",
                           i);
            put(path, "99999");
            (void)snprintf(path, sizeof(path), "/sys/class/hwmon/hwmon%u/pwm1", i);
            put(path, "254");
            (void)snprintf(path, sizeof(path), "/sys/class/net/net%u%.11s/device/x",
                           i, LONG_NAME);
            put(path, "");
            (void)snprintf(path, sizeof(path),
                           "/sys/class/net/net%u%.11s/statistics/rx_bytes", i,
                           LONG_NAME);
            put(path, round == 0 ? "1" : "999999999999");
            (void)snprintf(path, sizeof(path),
                           "/sys/class/net/net%u%.11s/statistics/tx_bytes", i,
                           LONG_NAME);
            put(path, round == 0 ? "1" : "999999999999");
        }
        put("/aidash/nvidia-smi",
            "0, " LONG_NAME ", -59, 100, 999999999, 999999999, 99999, 1, 99999.99\n"
            "1, " LONG_NAME ", -59, 100, 999999999, 999999999, 99999, 1, 99999.99\n"
            "2, " LONG_NAME ", -59, 100, 999999999, 999999999, 99999, 1, 99999.99\n"
            "3, " LONG_NAME ", -59, 100, 999999999, 999999999, 99999, 1, 99999.99\n");
        put("/sys/class/accel/accel0/device/npu_busy_time_us", "1");
        put("/sys/class/accel/accel1/device/npu_busy_time_us", "1");
        if (round == 0) {
            ad_probe_find();
        }
        show((1000 + round) * AD_NS_PER_S);
    }
    printf("the fullest board: %zu of %d bytes\n", strlen(shown), AD_BOARD_TEXT);
    CHECK(strlen(shown) <= AD_BOARD_TEXT);
    CHECK_EQ(ad_probe.units.n_temperatures, AD_TEMPERATURES);
    CHECK_EQ(ad_probe.units.n_coolers, AD_COOLERS);
    CHECK_EQ(ad_probe.units.n_rails, AD_RAILS);
    CHECK_EQ(ad_probe.units.n_fans, AD_FANS);
    CHECK_EQ(ad_probe.units.n_networks, AD_NETWORKS);
    CHECK(ad_probe.tree.n < AD_SENSORS);
    ad_probe_close();
    tidy();
}

/* ---- values ---- */

static const char *said(struct ad_value v, int decimals)
{
    static char text[64];
    struct ad_text t = ad_text_in(text, sizeof(text) - 1);

    ad_put_value(&t, &v, decimals);
    text[t.len] = '\0';
    return text;
}

static void values(void)
{
    CHECK_STR(said(ad_value_of(0), 1), "0");
    CHECK_STR(said(ad_value_of(-12.34), 1), "-12.3");
    CHECK_STR(said(ad_value_of(-0.04), 1), "0");
    CHECK_STR(said(ad_value_of(-0.4), 0), "0");
    CHECK_STR(said(ad_value_of(58.75), 1), "58.8");
    CHECK_STR(said(ad_value_error(ENOENT), 1), "\"absent\"");
    CHECK_STR(said(ad_value_error(EACCES), 1), "\"needs_root\"");
    CHECK_STR(said(ad_value_error(EPERM), 1), "\"needs_root\"");
    CHECK_STR(said(ad_value_error(EIO), 1), "\"unknown\"");
    CHECK_STR(said(ad_value_error(EMFILE), 1), "\"unknown\"");
    CHECK_STR(said(ad_value_within(ad_value_of(-256), -60, 200), 1), "\"unknown\"");
    CHECK_STR(said(ad_parse_number("42000\n", 6), 0), "42000");
    CHECK_STR(said(ad_parse_number(" -5 ", 4), 0), "-5");
    CHECK_STR(said(ad_parse_number("", 0), 0), "\"unknown\"");
    CHECK_STR(said(ad_parse_number("1 2", 3), 0), "\"unknown\"");
    CHECK_STR(said(ad_parse_number("1e3", 3), 0), "\"unknown\"");
    CHECK_STR(said(ad_parse_number("-", 1), 0), "\"unknown\"");
}

/* iowait may go back (proc_stat(5)); a core's line may be cut off. */
static void cpu(void)
{
    static const char before[] = "cpu  100 0 0 100 50 0 0 0 0 0\ncpu0 1 1 1 1";
    static const char after[] = "cpu  130 0 0 160 40 0 0 10 0 0\ncpu1 5 0 0";
    struct ad_stat a, b;

    CHECK(ad_parse_stat(before, sizeof(before) - 1, &a));
    CHECK(ad_parse_stat(after, sizeof(after) - 1, &b));
    CHECK_EQ(a.n_on, 1);
    CHECK_EQ(b.n_on, 0);
    CHECK_STR(said(ad_cpu_percent(&b.all, &a.all, AD_CPU_BUSY), 1), "30");
    CHECK_STR(said(ad_cpu_percent(&b.all, &a.all, AD_CPU_IOWAIT), 1), "0");
    CHECK_STR(said(ad_cpu_percent(&b.all, &a.all, AD_CPU_STEAL), 1), "10");
    CHECK_STR(said(ad_cpu_percent(&a.all, &a.all, AD_CPU_BUSY), 1), "\"unknown\"");
    CHECK(!ad_parse_stat("intr 5", 6, &a));
}

static void firmware(void)
{
    static const char pmic[] = "   3V7_WL_SW_A current(0)=0.10000000A\n"
                               "   3V3_SYS_A current(1)=0.20000000A\n"
                               "   3V7_WL_SW_V volt(8)=3.70000000V\n"
                               "   3V3_SYS_V volt(9)=3.30000000V\n"
                               "     EXT5V_V volt(24)=5.15000000V\n";
    uint32_t bits = 0;

    CHECK(ad_parse_throttled("throttled=0x50005\n", 18, &bits));
    CHECK_EQ(bits, 0x50005);
    CHECK(ad_parse_throttled("0\n", 2, &bits));
    CHECK_EQ(bits, 0);
    CHECK(!ad_parse_throttled("", 0, &bits));
    CHECK(!ad_parse_throttled("error=1 error_msg=\"Command not registered\"", 42,
                              &bits));
    CHECK(!ad_parse_throttled("123456789", 9, &bits));
    CHECK_STR(said(ad_parse_pmic(pmic, sizeof(pmic) - 1), 2), "1.03");
    CHECK_STR(said(ad_parse_pmic("", 0), 2), "\"unknown\"");
}

/* A device that went is looked for anew, and its values say that they are unknown. */
static void gone(void)
{
    struct ad_reading r;

    fresh();
    CHECK(ad_probe_open(root));
    put("/counter", "1000");
    r = ad_reading_of(&ad_probe.tree, "/counter", AD_HOW_RATE, 1, 0, 1e9);
    CHECK_STR(said(ad_reading_take(&ad_probe.tree, &r, 1 * AD_NS_PER_S), 0),
              "\"unknown\"");
    put("/counter", "1500");
    CHECK_STR(said(ad_reading_take(&ad_probe.tree, &r, 3 * AD_NS_PER_S), 0), "250");
    put("/counter", "100"); /* it has begun anew */
    CHECK_STR(said(ad_reading_take(&ad_probe.tree, &r, 4 * AD_NS_PER_S), 0),
              "\"unknown\"");
    put("/counter", "gone");
    CHECK_STR(said(ad_reading_take(&ad_probe.tree, &r, 5 * AD_NS_PER_S), 0),
              "\"unknown\"");
    put("/counter", "300");
    CHECK_STR(said(ad_reading_take(&ad_probe.tree, &r, 6 * AD_NS_PER_S), 0),
              "\"unknown\"");
    r = ad_reading_of(&ad_probe.tree, "/none", AD_HOW_NUMBER, 1, 0, 1e9);
    CHECK_STR(said(ad_reading_take(&ad_probe.tree, &r, 7 * AD_NS_PER_S), 0),
              "\"absent\"");
    ad_probe_close();
    tidy();
}

/* ---- nvidia-smi ---- */

/* A program of that name that prints this and, unless it stays, ends. */
static void smi(const char *prints, bool stays)
{
    char path[128], text[512];

    (void)snprintf(text, sizeof(text),
                   "#!/bin/sh\ncase \"$*\" in *--loop=1*) ;; *) exit 1 ;; esac\n"
                   "printf '%s'\n%s", prints, stays ? "exec sleep 600\n" : "");
    put("/nvidia-smi", text);
    (void)snprintf(path, sizeof(path), "%s/nvidia-smi", root);
    CHECK(chmod(path, 0755) == 0);
}

/* Let it run at this time until it has told a GPU, or has ended. */
static void smi_until(uint64_t now_ns, bool ended)
{
    static const struct timespec nap = {0, 10000000};
    unsigned i;

    for (i = 0; i < 6000 && (ended ? ad_smi.pid != 0 || i == 0
                                   : ad_smi_gpu(0, now_ns) == NULL); i++) {
        ad_smi_run(now_ns);
        (void)nanosleep(&nap, NULL);
    }
}

static void child(void)
{
    char path[1024];
    const char *before = getenv("PATH");
    uint64_t now_ns = 5000 * AD_NS_PER_S;
    pid_t pid;

    fresh();
    (void)snprintf(path, sizeof(path), "%s:%.900s", root, before);
    CHECK(setenv("PATH", path, 1) == 0);
    ad_smi_init();
    smi("0, A GPU, 50, 7, 1, 2, 3, 4, 5.5\\n", true);
    smi_until(now_ns, false);
    CHECK(ad_smi_gpu(0, now_ns) != NULL && ad_smi_gpu(0, now_ns)->percent.number == 7);
    CHECK(ad_smi_gpu(1, now_ns) == NULL);
    CHECK(ad_smi_gpu(0, now_ns + 6 * AD_NS_PER_S) == NULL); /* it has fallen silent */
    pid = ad_smi.pid;
    CHECK(pid > 0 && kill(pid, 0) == 0);
    ad_smi_end(now_ns);
    CHECK(kill(pid, 0) != 0 && errno == ESRCH); /* and was waited for */
    /* One that ends at once is started again after 1, 2, 4 ... seconds. */
    ad_smi_init();
    smi("nonsense\\n", false);
    smi_until(now_ns, true);
    CHECK_EQ(ad_smi.start_ns, now_ns + 1 * AD_NS_PER_S);
    ad_smi_run(now_ns + AD_NS_PER_S / 2);
    CHECK_EQ(ad_smi.pid, 0);
    smi_until(now_ns + 1 * AD_NS_PER_S, true);
    CHECK_EQ(ad_smi.start_ns, now_ns + 3 * AD_NS_PER_S);
    ad_smi_end(0);
    ad_smi.backoff_s = 256;
    ad_smi_end(0);
    ad_smi_end(0);
    CHECK_EQ(ad_smi.backoff_s, AD_SMI_BACKOFF_S);
    ad_smi_init();
    CHECK(setenv("PATH", before, 1) == 0);
    tidy();
}

int main(void)
{
    values();
    child();
    cpu();
    firmware();
    outside();
    gone();
    most();
    boards();
    return check_report();
}
