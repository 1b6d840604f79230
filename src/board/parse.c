/* parse.c - the texts that the kernel, a firmware and nvidia-smi say of a board.
 * Pure: bytes in, numbers out. A text may be cut off, or be of another program: what
 * is not as it should be is left out.
 */
#ifndef AD_BOARD_PARSE_C
#define AD_BOARD_PARSE_C

#include "../base/decimal.c"
#include "value.c"

#if AIDASH_BOARD

enum {
    AD_CORES = 64,       /* that are told one by one */
    AD_V3D_QUEUES = 8,   /* of a Raspberry Pi's GPU; it has six */
    AD_QUEUE_NAME = 16,  /* bytes of a queue's name with its NUL */
    AD_RAILS_READ = 24,  /* of a Raspberry Pi 5's power management; it has 12 */
    AD_RAIL_NAME = 24,
    AD_NVIDIA_NAME = 24
};

/* ---- words ---- */

static bool ad_parse_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0';
}

/* The next line of a text without its newline. False at the text's end. */
static bool ad_parse_line(const char **s, const char *end, const char **line,
                          size_t *len)
{
    const char *newline;

    if (*s >= end) {
        return false;
    }
    *line = *s;
    newline = memchr(*s, '\n', (size_t)(end - *s));
    *len = (size_t)((newline != NULL ? newline : end) - *s);
    *s = newline != NULL ? newline + 1 : end;
    return true;
}

/* The next word, between blanks. False at the end. */
static bool ad_parse_word(const char **s, const char *end, const char **word,
                          size_t *len)
{
    while (*s < end && ad_parse_blank(**s)) {
        (*s)++;
    }
    *word = *s;
    while (*s < end && !ad_parse_blank(**s)) {
        (*s)++;
    }
    *len = (size_t)(*s - *word);
    return *len > 0;
}

static bool ad_parse_is(const char *word, size_t len, const char *what)
{
    return strlen(what) == len && memcmp(word, what, len) == 0;
}

/* A decimal number with a sign and a fraction, and nothing behind it. */
static bool ad_parse_decimal(const char *s, size_t len, double *out)
{
    bool negative = len > 0 && s[0] == '-', digits = false;
    double sum = 0, place = 1;
    size_t i = negative ? 1 : 0;

    for (; i < len && ad_is_digit(s[i]); i++) {
        sum = sum * 10 + (s[i] - '0');
        digits = true;
    }
    if (i < len && s[i] == '.') {
        for (i++; i < len && ad_is_digit(s[i]); i++) {
            place /= 10;
            sum += (s[i] - '0') * place;
            digits = true;
        }
    }
    if (!digits || i < len || !(sum < 1e18)) {
        return false;
    }
    *out = negative ? -sum : sum;
    return true;
}

/* The number that a file of /sys has: one, with blanks around it. */
static struct ad_value ad_parse_number(const char *s, size_t len)
{
    const char *end = s + len, *word, *more;
    size_t word_len, more_len;
    double number;

    if (!ad_parse_word(&s, end, &word, &word_len) ||
        !ad_parse_decimal(word, word_len, &number) ||
        ad_parse_word(&s, end, &more, &more_len)) {
        return ad_value_none(AD_VALUE_UNKNOWN);
    }
    return ad_value_of(number);
}

/* A name for people into out[cap], from what a file says: printable ASCII without
 * quotes and backslashes, so that it is a JSON string as it is. */
static void ad_parse_name(const char *s, size_t len, char *out, size_t cap)
{
    size_t i, n = 0;

    for (i = 0; i < len && n + 1 < cap; i++) {
        char c = s[i];

        if (c == '\0' || c == '\n') {
            break;
        }
        if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
            out[n++] = c;
        }
    }
    while (n > 0 && out[n - 1] == ' ') {
        n--;
    }
    out[n] = '\0';
}

/* ---- /proc ---- */

/* Jiffies since the boot, of one core or of all. */
struct ad_cpu_times {
    uint64_t busy, idle, iowait, steal;
};

/* proc_stat(5). Cores that are switched off have no line: their times stay 0. The
 * result is how many cores have one, and how many of them are in cores[]: by their
 * number. False if there is no line of all. */
struct ad_stat {
    struct ad_cpu_times all, cores[AD_CORES];
    bool on[AD_CORES];
    unsigned n, n_on; /* n: the highest number + 1 of those that fit */
};

static bool ad_parse_stat(const char *s, size_t len, struct ad_stat *out)
{
    const char *end = s + len, *line, *word;
    size_t line_len, word_len;
    bool found = false;

    memset(out, 0, sizeof(*out));
    while (ad_parse_line(&s, end, &line, &line_len)) {
        const char *at = line, *stop = line + line_len;
        struct ad_cpu_times times;
        uint64_t field[8] = {0}, core = 0;
        unsigned n = 0;

        if (!ad_parse_word(&at, stop, &word, &word_len) || word_len < 3 ||
            memcmp(word, "cpu", 3) != 0) {
            continue;
        }
        if (word_len > 3 &&
            !ad_decimal_u64(word + 3, word_len - 3, 65535, &core)) {
            continue;
        }
        while (n < 8 && ad_parse_word(&at, stop, &line, &line_len) &&
               ad_decimal_u64(line, line_len, UINT64_MAX / 16, &field[n])) {
            n++;
        }
        if (n < 4) { /* it was cut off */
            continue;
        }
        times.idle = field[3];
        times.iowait = field[4];
        times.steal = field[7];
        times.busy = field[0] + field[1] + field[2] + field[5] + field[6];
        if (word_len == 3) {
            out->all = times;
            found = true;
            continue;
        }
        out->n_on++;
        if (core < AD_CORES) {
            out->cores[core] = times;
            out->on[core] = true;
            out->n = out->n > core ? out->n : (unsigned)core + 1;
        }
    }
    return found;
}

/* Part of the time since `then`, in percent; unknown if no time has passed. A
 * counter that has gone back, as iowait may, counts as one that stood. */
enum ad_cpu_part { AD_CPU_BUSY, AD_CPU_IOWAIT, AD_CPU_STEAL };

static uint64_t ad_grown(uint64_t now, uint64_t then)
{
    return now > then ? now - then : 0;
}

static struct ad_value ad_cpu_percent(const struct ad_cpu_times *now,
                                      const struct ad_cpu_times *then,
                                      enum ad_cpu_part part)
{
    uint64_t busy = ad_grown(now->busy, then->busy);
    uint64_t iowait = ad_grown(now->iowait, then->iowait);
    uint64_t steal = ad_grown(now->steal, then->steal);
    uint64_t all = busy + iowait + steal + ad_grown(now->idle, then->idle);
    uint64_t of = busy;

    if (part == AD_CPU_IOWAIT) {
        of = iowait;
    } else if (part == AD_CPU_STEAL) {
        of = steal;
    }
    if (all == 0) {
        return ad_value_none(AD_VALUE_UNKNOWN);
    }
    return ad_value_of(100.0 * (double)of / (double)all);
}

/* proc_meminfo(5), in bytes. */
struct ad_meminfo {
    struct ad_value total, available, swap_total, swap_free;
};

static void ad_parse_meminfo(const char *s, size_t len, struct ad_meminfo *out)
{
    const struct {
        const char *name;
        struct ad_value *value;
    } wanted[] = {{"MemTotal:", &out->total},
                  {"MemAvailable:", &out->available},
                  {"SwapTotal:", &out->swap_total},
                  {"SwapFree:", &out->swap_free}};
    const char *end = s + len, *line, *word;
    size_t line_len, word_len, i;

    memset(out, 0, sizeof(*out));
    while (ad_parse_line(&s, end, &line, &line_len)) {
        const char *at = line, *stop = line + line_len;
        uint64_t kib;

        if (!ad_parse_word(&at, stop, &word, &word_len)) {
            continue;
        }
        for (i = 0; i < AD_COUNT(wanted); i++) {
            if (ad_parse_is(word, word_len, wanted[i].name) &&
                ad_parse_word(&at, stop, &line, &line_len) &&
                ad_decimal_u64(line, line_len, UINT64_MAX / 1024, &kib)) {
                *wanted[i].value = ad_value_of((double)(kib * 1024));
            } else if (ad_parse_is(word, word_len, wanted[i].name)) {
                *wanted[i].value = ad_value_none(AD_VALUE_UNKNOWN);
            }
        }
    }
}

/* ---- /sys ---- */

/* Rockchip's devfreq: "34@300000000Hz", percent at a clock. */
static struct ad_value ad_parse_load_at(const char *s, size_t len)
{
    const char *at = memchr(s, '@', len);

    if (at == NULL) {
        return ad_value_none(AD_VALUE_UNKNOWN);
    }
    return ad_value_within(ad_parse_number(s, (size_t)(at - s)), 0, 100);
}

/* Rockchip's NPU: "NPU load:  Core0: 45%, Core1:  0%, Core2:  0%,", or without
 * cores "NPU load:  0%". The mean of its cores. The driver says up to 101 %. */
static struct ad_value ad_parse_npu_load(const char *s, size_t len)
{
    const char *end = s + len, *word;
    double sum = 0, one;
    size_t word_len;
    unsigned n = 0;

    while (ad_parse_word(&s, end, &word, &word_len)) {
        if (word[word_len - 1] == ',') {
            word_len--;
        }
        if (word_len > 1 && word[word_len - 1] == '%' &&
            ad_parse_decimal(word, word_len - 1, &one) && one >= 0) {
            sum += one < 100 ? one : 100;
            n++;
        }
    }
    return n > 0 ? ad_value_of(sum / n) : ad_value_none(AD_VALUE_UNKNOWN);
}

/* A Raspberry Pi's GPU, v3d_sysfs.c of Linux: lines of queue, timestamp (ns), jobs,
 * runtime (ns). Returns how many queues were found. */
struct ad_v3d_queue {
    char name[AD_QUEUE_NAME];
    uint64_t timestamp, runtime;
};

static unsigned ad_parse_v3d(const char *s, size_t len,
                             struct ad_v3d_queue out[AD_V3D_QUEUES])
{
    const char *end = s + len, *line, *word;
    size_t line_len, word_len;
    unsigned n = 0;

    while (n < AD_V3D_QUEUES && ad_parse_line(&s, end, &line, &line_len)) {
        const char *at = line, *stop = line + line_len;
        uint64_t field[3];
        unsigned i = 0;

        if (!ad_parse_word(&at, stop, &word, &word_len)) {
            continue;
        }
        ad_parse_name(word, word_len, out[n].name, sizeof(out[n].name));
        while (i < 3 && ad_parse_word(&at, stop, &word, &word_len) &&
               ad_decimal_u64(word, word_len, UINT64_MAX, &field[i])) {
            i++;
        }
        if (i == 3) {
            out[n].timestamp = field[0];
            out[n].runtime = field[2];
            n++;
        }
    }
    return n;
}

/* How busy each queue was since `then`: the busiest one, and the one for compute
 * shaders, in percent. A queue that was not there is left out. */
static void ad_v3d_percent(const struct ad_v3d_queue *now, unsigned n_now,
                           const struct ad_v3d_queue *then, unsigned n_then,
                           struct ad_value *busiest, struct ad_value *compute)
{
    unsigned i, k;

    *busiest = *compute = ad_value_none(AD_VALUE_UNKNOWN);
    for (i = 0; i < n_now; i++) {
        struct ad_value use;

        for (k = 0; k < n_then && strcmp(now[i].name, then[k].name) != 0; k++) {
        }
        if (k == n_then || now[i].timestamp <= then[k].timestamp ||
            now[i].runtime < then[k].runtime) {
            continue;
        }
        use = ad_value_of(100.0 * (double)(now[i].runtime - then[k].runtime) /
                          (double)(now[i].timestamp - then[k].timestamp));
        use.number = use.number < 100 ? use.number : 100;
        if (!ad_value_is_number(busiest) || use.number > busiest->number) {
            *busiest = use;
        }
        if (strstr(now[i].name, "csd") != NULL) {
            *compute = use;
        }
    }
}

/* ---- the firmware of a Raspberry Pi ---- */

/* The bits of get_throttled: now, and 16 higher since the boot. */
enum {
    AD_PI_UNDER_VOLTAGE = 1,
    AD_PI_CLOCK_CAPPED = 2,
    AD_PI_THROTTLED = 4,
    AD_PI_SOFT_LIMIT = 8,
    AD_PI_SINCE_BOOT = 16 /* shift */
};

/* "50005" (sysfs) or "throttled=0x50005" (the firmware's answer): hexadecimal. */
static bool ad_parse_throttled(const char *s, size_t len, uint32_t *bits)
{
    const char *end = s + len, *word, *equals;
    uint32_t sum = 0;
    size_t n, i;

    if (!ad_parse_word(&s, end, &word, &n)) {
        return false;
    }
    equals = memchr(word, '=', n);
    if (equals != NULL) { /* another word is an error */
        if (!ad_parse_is(word, (size_t)(equals - word), "throttled")) {
            return false;
        }
        n -= (size_t)(equals + 1 - word);
        word = equals + 1;
    }
    if (n > 2 && word[0] == '0' && word[1] == 'x') {
        word += 2;
        n -= 2;
    }
    if (n == 0 || n > 8) {
        return false;
    }
    for (i = 0; i < n; i++) {
        int digit = ad_hex((unsigned char)word[i]);

        if (digit < 0) {
            return false;
        }
        sum = sum * 16 + (uint32_t)digit;
    }
    *bits = sum;
    return true;
}

/* pmic_read_adc of a Raspberry Pi 5: lines "3V7_WL_SW_A current(0)=0.003903A" and
 * "3V7_WL_SW_V volt(8)=3.69A". The sum over the rails of which both are there, in
 * watts: without what USB, a HAT and NVMe draw from 5 V. */
static struct ad_value ad_parse_pmic(const char *s, size_t len)
{
    struct {
        const char *name;
        size_t len;
        double amperes;
    } rails[AD_RAILS_READ];
    const char *end = s + len, *line, *word, *equals;
    size_t line_len, word_len;
    unsigned n = 0, n_both = 0, i;
    double watts = 0, number;

    while (ad_parse_line(&s, end, &line, &line_len)) {
        const char *at = line, *stop = line + line_len;
        char kind;

        if (!ad_parse_word(&at, stop, &word, &word_len) || word_len < 3 ||
            word[word_len - 2] != '_') {
            continue;
        }
        equals = memchr(at, '=', (size_t)(stop - at));
        if (equals == NULL) {
            continue;
        }
        for (at = ++equals; at < stop && (ad_is_digit(*at) || *at == '.'); at++) {
        }
        if (!ad_parse_decimal(equals, (size_t)(at - equals), &number)) {
            continue;
        }
        kind = word[word_len - 1];
        word_len -= 2;
        if (kind == 'A' && n < AD_RAILS_READ) {
            rails[n].name = word;
            rails[n].len = word_len;
            rails[n++].amperes = number;
        }
        for (i = 0; kind == 'V' && i < n; i++) {
            if (rails[i].len == word_len &&
                memcmp(rails[i].name, word, word_len) == 0) {
                watts += rails[i].amperes * number;
                n_both++;
            }
        }
    }
    if (n_both == 0) {
        return ad_value_none(AD_VALUE_UNKNOWN);
    }
    return ad_value_within(ad_value_of(watts), 0, 1000);
}

/* ---- nvidia-smi ---- */

/* A line of nvidia-smi --query-gpu=AD_NVIDIA_QUERY
 * --format=csv,noheader,nounits. A field may be "[N/A]", "[Not Supported]" and the
 * like: then there is no such value. */
#define AD_NVIDIA_QUERY \
    "index,name,temperature.gpu,utilization.gpu,memory.used,memory.total," \
    "clocks.sm,fan.speed,power.draw"

struct ad_nvidia {
    unsigned index;
    char name[AD_NVIDIA_NAME];
    struct ad_value celsius, percent, memory_used, memory_total, clock_mhz, fan,
        watts; /* memory in bytes, the fan in percent */
};

static struct ad_value ad_parse_nvidia_field(const char *s, size_t len, double low,
                                             double high)
{
    const char *end = s + len, *word;
    size_t word_len;

    if (ad_parse_word(&s, end, &word, &word_len) && word[0] == '[') {
        return ad_value_none(AD_VALUE_ABSENT);
    }
    return ad_value_within(ad_parse_number(word, (size_t)(end - word)), low, high);
}

static bool ad_parse_nvidia(const char *s, size_t len, struct ad_nvidia *out)
{
    enum { FIELDS = 9 };
    const char *end = s + len, *field[FIELDS], *comma;
    size_t field_len[FIELDS];
    struct ad_value v;
    unsigned i;

    for (i = 0; i < FIELDS; i++) {
        comma = memchr(s, ',', (size_t)(end - s));
        if ((comma == NULL) != (i == FIELDS - 1)) {
            return false;
        }
        field[i] = s;
        field_len[i] = (size_t)((comma != NULL ? comma : end) - s);
        s = comma != NULL ? comma + 1 : end;
    }
    memset(out, 0, sizeof(*out));
    v = ad_parse_nvidia_field(field[0], field_len[0], 0, 255);
    if (!ad_value_is_number(&v)) {
        return false;
    }
    out->index = (unsigned)v.number;
    while (field_len[1] > 0 && field[1][0] == ' ') {
        field[1]++;
        field_len[1]--;
    }
    ad_parse_name(field[1], field_len[1], out->name, sizeof(out->name));
    out->celsius = ad_parse_nvidia_field(field[2], field_len[2], -60, 200);
    out->percent = ad_parse_nvidia_field(field[3], field_len[3], 0, 100);
    out->memory_used = ad_parse_nvidia_field(field[4], field_len[4], 0, 1e9);
    out->memory_total = ad_parse_nvidia_field(field[5], field_len[5], 0, 1e9);
    out->memory_used.number *= 1048576;
    out->memory_total.number *= 1048576;
    out->clock_mhz = ad_parse_nvidia_field(field[6], field_len[6], 0, 1e5);
    out->fan = ad_parse_nvidia_field(field[7], field_len[7], 0, 200);
    out->watts = ad_parse_nvidia_field(field[8], field_len[8], 0, 1e5);
    return true;
}

#endif /* AIDASH_BOARD */

#endif
