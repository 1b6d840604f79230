/* report.c - reads all sensors of a board, and writes what they say as the members of
 * the event `board`; the figures that history keeps beside it.
 * Owns ad_probe. The board's thread alone.
 */
#ifndef AD_BOARD_REPORT_C
#define AD_BOARD_REPORT_C

#include "../core/feed.c"
#include "find.c"
#include "helpers.c"

#if AIDASH_BOARD

/* Bytes of the event: each unit with the longest name and numbers (a test has such a
 * board). */
enum { AD_BOARD_TEXT = AD_BOARD_MAX - 64 };

/* The figures of a board that history keeps, alerts look at, and that tell what may
 * slow it down; NAN is not needed: each says why. */
struct ad_board_figures {
    struct ad_value cpu_percent, memory_used, celsius, watts, gpu_percent, clock_mhz;
    struct ad_value memory_total, disk_free;
    unsigned n_temperatures; /* those that are known */
    struct {
        char name[AD_UNIT_NAME];
        double celsius;
    } temperatures[AD_TEMPERATURES];
    struct ad_value gpu_clock_mhz; /* of the fastest */
    struct ad_value iowait_percent, steal_percent, swap_used;
    struct ad_value throttled;     /* AD_PI_* of now */
    struct ad_value under_voltages, over_currents; /* events, counted */
    struct ad_value cooling;       /* the highest state of what slows it down */
    /* What energy is computed of: watts, else what processors and GPUs say. */
    struct ad_value power, gpu_watts;
    const char *power_scope; /* of what it is; static; NULL: of nothing */
    bool power_estimate;     /* something is left out, or in twice */
    bool power_mean;         /* it is the mean since the last report */
    bool power_fast;         /* ad_probe_watts() reads it, too */
};

static struct {
    struct ad_tree tree;
    struct ad_units units;
    bool has_vcio;          /* a Raspberry Pi's firmware can be asked */
    int vcio;               /* if so: its device */
    struct ad_value vcio_why;
    uint32_t throttled;     /* its bits: */
    struct ad_value throttled_now, throttled_since; /* if these are numbers */
    struct ad_value pmic_watts;
    bool has_nvidia;
    char text[8192];        /* of a long file */
    struct ad_stat stat;    /* the times now */
} ad_probe;

/* ---- CPU and memory ---- */

static void ad_put_cpu(struct ad_text *t, uint64_t now_ns,
                       struct ad_board_figures *figures)
{
    struct ad_units *u = &ad_probe.units;
    struct ad_value all = ad_value_none(AD_VALUE_UNKNOWN), iowait = all, steal = all;
    struct ad_value clock = ad_value_none(AD_VALUE_ABSENT), max = clock, load = clock;
    struct ad_value count = all;
    struct ad_stat *now = &ad_probe.stat;
    ssize_t n = ad_sensor_text(&ad_probe.tree, u->stat, ad_probe.text,
                               sizeof(ad_probe.text));
    unsigned i;
    bool known = n > 0 && ad_parse_stat(ad_probe.text, (size_t)n, now);

    if (known) {
        count = ad_value_of(now->n_on);
        all = ad_cpu_percent(&now->all, &u->last_stat.all, AD_CPU_BUSY);
        iowait = ad_cpu_percent(&now->all, &u->last_stat.all, AD_CPU_IOWAIT);
        steal = ad_cpu_percent(&now->all, &u->last_stat.all, AD_CPU_STEAL);
    }
    for (i = 0; i < u->n_clocks; i++) {
        struct ad_value one = ad_reading_take(&ad_probe.tree, &u->clocks[i], now_ns);

        if (!ad_value_is_number(&clock) ||
            (ad_value_is_number(&one) && one.number > clock.number)) {
            clock = one;
        }
    }
    if (u->clock_max_mhz > 0) {
        max = ad_value_of(u->clock_max_mhz);
    }
    n = ad_sensor_text(&ad_probe.tree, u->loadavg, ad_probe.text,
                       AD_SENSOR_TEXT);
    if (n > 0) {
        const char *s = ad_probe.text, *word;
        size_t len;

        load = ad_value_none(AD_VALUE_UNKNOWN);
        if (ad_parse_word(&s, s + n, &word, &len)) {
            load = ad_value_within(ad_parse_number(word, len), 0, 1e6);
        }
    }
    ad_put_member(t, "\"cpu\":{\"percent\":", &all, 1);
    ad_put_member(t, ",\"iowait_percent\":", &iowait, 1);
    ad_put_member(t, ",\"steal_percent\":", &steal, 1);
    ad_put_member(t, ",\"clock_mhz\":", &clock, 0);
    ad_put_member(t, ",\"clock_max_mhz\":", &max, 0);
    ad_put_member(t, ",\"load\":", &load, 2);
    ad_put_member(t, ",\"count\":", &count, 0);
    ad_puts(t, ",\"cores\":[");
    for (i = 0; known && i < now->n; i++) {
        struct ad_value core = ad_value_none(AD_VALUE_ASLEEP);

        if (now->on[i]) {
            core = ad_cpu_percent(&now->cores[i], &u->last_stat.cores[i],
                                  AD_CPU_BUSY);
        }
        ad_put_member(t, i > 0 ? "," : "", &core, 0);
    }
    ad_puts(t, "]}");
    if (known) {
        u->last_stat = *now;
    }
    figures->cpu_percent = all;
    figures->clock_mhz = clock;
    figures->iowait_percent = iowait;
    figures->steal_percent = steal;
}

static void ad_put_memory(struct ad_text *t, struct ad_board_figures *figures)
{
    ssize_t n = ad_sensor_text(&ad_probe.tree, ad_probe.units.meminfo, ad_probe.text,
                               sizeof(ad_probe.text));
    struct ad_meminfo m;
    struct ad_value swap_used;

    ad_parse_meminfo(ad_probe.text, n > 0 ? (size_t)n : 0, &m);
    swap_used = m.swap_total;
    if (ad_value_is_number(&swap_used)) {
        swap_used = m.swap_free;
        swap_used.number = m.swap_total.number - m.swap_free.number;
        swap_used = ad_value_within(swap_used, 0, 1e18);
    }
    ad_put_member(t, ",\"memory\":{\"total_bytes\":", &m.total, 0);
    ad_put_member(t, ",\"available_bytes\":", &m.available, 0);
    ad_put_member(t, ",\"swap_total_bytes\":", &m.swap_total, 0);
    ad_put_member(t, ",\"swap_used_bytes\":", &swap_used, 0);
    ad_puts(t, "}");
    figures->memory_total = m.total;
    figures->swap_used = swap_used;
    figures->memory_used = m.available;
    if (ad_value_is_number(&m.available) && ad_value_is_number(&m.total)) {
        figures->memory_used = ad_value_of(m.total.number - m.available.number);
    }
}

/* ---- heat and throttling ---- */

static void ad_put_temperatures(struct ad_text *t, uint64_t now_ns,
                                struct ad_board_figures *figures)
{
    struct ad_units *u = &ad_probe.units;
    unsigned i;

    ad_puts(t, ",\"temperatures\":[");
    for (i = 0; i < u->n_temperatures; i++) {
        struct ad_value v = ad_reading_take(&ad_probe.tree,
                                            &u->temperatures[i].celsius, now_ns);

        ad_putf(t, "%s{\"name\":\"%s\"", i > 0 ? "," : "", u->temperatures[i].name);
        ad_put_member(t, ",\"celsius\":", &v, 1);
        ad_puts(t, "}");
        if (ad_value_is_number(&v) && (!ad_value_is_number(&figures->celsius) ||
                                       v.number > figures->celsius.number)) {
            figures->celsius = v;
        }
        if (ad_value_is_number(&v)) {
            unsigned n = figures->n_temperatures++;

            memcpy(figures->temperatures[n].name, u->temperatures[i].name,
                   sizeof(figures->temperatures[n].name));
            figures->temperatures[n].celsius = v.number;
        }
    }
    ad_puts(t, "]");
}

/* What a Raspberry Pi's firmware says, in a file or itself; without both, what the
 * kernel says of the voltage now. */
static void ad_probe_throttled(void)
{
    struct ad_units *u = &ad_probe.units;
    char text[AD_VCIO_TEXT];
    struct ad_value known = ad_value_none(AD_VALUE_ABSENT);
    ssize_t n = -1;

    ad_probe.throttled_now = ad_probe.throttled_since =
        ad_value_none(AD_VALUE_ABSENT);
    if (u->throttled != 0) {
        n = ad_sensor_text(&ad_probe.tree, u->throttled, text, AD_SENSOR_TEXT);
        known = ad_probe.tree.sensors[u->throttled].last;
    } else if (ad_probe.has_vcio) {
        n = ad_vcio_ask(ad_probe.vcio, "get_throttled", text);
        known = ad_value_none(AD_VALUE_UNKNOWN);
    } else if (u->under_voltage != 0) {
        ad_probe.throttled_now = ad_sensor_number(&ad_probe.tree, u->under_voltage);
        ad_probe.throttled = ad_probe.throttled_now.number > 0 ? AD_PI_UNDER_VOLTAGE
                                                               : 0;
        return;
    } else if (ad_probe.vcio_why.state == AD_VALUE_NEEDS_ROOT) {
        known = ad_probe.vcio_why;
    }
    if (n >= 0) {
        known = ad_value_none(AD_VALUE_UNKNOWN);
        if (ad_parse_throttled(text, (size_t)n, &ad_probe.throttled)) {
            known = ad_value_of(ad_probe.throttled);
        }
    }
    ad_probe.throttled_now = ad_probe.throttled_since = known;
}

/* What a Raspberry Pi's bits of throttling are called. */
static const char *const ad_throttled_names[] = {"under_voltage", "clock_capped",
                                                 "throttled", "soft_limit"};

/* The names of the bits that are set. */
static void ad_put_throttled(struct ad_text *t, const char *member,
                             const struct ad_value *known, uint32_t bits)
{
    const char *comma = "";
    unsigned i;

    ad_puts(t, member);
    if (!ad_value_is_number(known)) {
        ad_put_value(t, known, 0);
        return;
    }
    ad_puts(t, "[");
    for (i = 0; i < AD_COUNT(ad_throttled_names); i++) {
        if ((bits >> i & 1) != 0) {
            ad_putf(t, "%s\"%s\"", comma, ad_throttled_names[i]);
            comma = ",";
        }
    }
    ad_puts(t, "]");
}

static void ad_put_throttling(struct ad_text *t, uint64_t now_ns,
                              struct ad_board_figures *figures)
{
    static const char *const events[] = {"under_voltage", "over_current_average",
                                         "over_current_instant"};
    struct ad_units *u = &ad_probe.units;
    const char *comma = "";
    unsigned i;

    ad_probe_throttled();
    ad_put_throttled(t, ",\"throttling\":{\"now\":", &ad_probe.throttled_now,
                     ad_probe.throttled & 15);
    figures->throttled = ad_probe.throttled_now;
    figures->throttled.number = ad_probe.throttled & 15;
    ad_put_throttled(t, ",\"since_boot\":", &ad_probe.throttled_since,
                     ad_probe.throttled >> AD_PI_SINCE_BOOT & 15);
    ad_puts(t, ",\"events\":{");
    for (i = 0; i < AD_COUNTERS; i++) {
        struct ad_value v = ad_reading_take(&ad_probe.tree, &u->counters[i], now_ns);

        if (v.state != AD_VALUE_ABSENT) {
            ad_putf(t, "%s\"%s\":", comma, events[i]);
            ad_put_value(t, &v, 0);
            comma = ",";
        }
        if (i == 0) {
            figures->under_voltages = v;
        } else if (ad_value_is_number(&v)) {
            v.number += figures->over_currents.number;
            figures->over_currents = v;
        }
    }
    ad_puts(t, "},\"cooling\":[");
    for (i = 0; i < u->n_coolers; i++) {
        u->coolers[i].state = ad_value_none(AD_VALUE_UNKNOWN);
    }
    for (i = 0; i < u->n_cooling; i++) {
        struct ad_cooler *cooler = &u->coolers[u->cooling[i].cooler];
        struct ad_value v = ad_value_within(
            ad_sensor_number(&ad_probe.tree, u->cooling[i].file), 0, cooler->max);

        if (!ad_value_is_number(&cooler->state) ||
            (ad_value_is_number(&v) && v.number > cooler->state.number)) {
            cooler->state = v;
        }
    }
    for (i = 0; i < u->n_coolers; i++) {
        struct ad_value max = ad_value_of(u->coolers[i].max);

        ad_putf(t, "%s{\"name\":\"%s\"", i > 0 ? "," : "", u->coolers[i].name);
        ad_put_member(t, ",\"state\":", &u->coolers[i].state, 0);
        ad_put_member(t, ",\"max\":", &max, 0);
        ad_puts(t, "}");
        if (ad_value_is_number(&u->coolers[i].state) &&
            u->coolers[i].state.number >= figures->cooling.number) {
            figures->cooling = u->coolers[i].state;
        }
    }
    ad_puts(t, "]}");
}

/* ---- GPUs and NPUs ---- */

struct ad_gpu_values {
    struct ad_value percent, compute, clock_mhz, memory_used, memory_total, celsius,
        watts;
};

static void ad_put_gpu(struct ad_text *t, const char *name,
                       const struct ad_gpu_values *v)
{
    ad_putf(t, "%s{\"name\":\"%s\"", t->at[t->len - 1] == '[' ? "" : ",", name);
    ad_put_member(t, ",\"percent\":", &v->percent, 1);
    if (v->compute.state != AD_VALUE_ABSENT) {
        ad_put_member(t, ",\"compute_percent\":", &v->compute, 1);
    }
    ad_put_member(t, ",\"clock_mhz\":", &v->clock_mhz, 0);
    ad_put_member(t, ",\"memory_used_bytes\":", &v->memory_used, 0);
    ad_put_member(t, ",\"memory_total_bytes\":", &v->memory_total, 0);
    ad_put_member(t, ",\"celsius\":", &v->celsius, 1);
    ad_put_member(t, ",\"watts\":", &v->watts, 2);
    ad_puts(t, "}");
}

/* Is a GPU switched off? Reading would wake it. Linux, power/runtime_status. */
static bool ad_gpu_sleeps(const struct ad_gpu *gpu)
{
    char text[AD_SENSOR_TEXT];
    ssize_t n = ad_sensor_text(&ad_probe.tree, gpu->status, text, sizeof(text));

    return n >= 9 && memcmp(text, "suspended", 9) == 0;
}

static void ad_read_v3d(struct ad_gpu_values *v)
{
    struct ad_units *u = &ad_probe.units;
    struct ad_v3d_queue queues[AD_V3D_QUEUES];
    ssize_t len = ad_sensor_text(&ad_probe.tree, u->v3d, ad_probe.text,
                                 sizeof(ad_probe.text));
    unsigned n;

    if (len < 0) {
        v->percent = v->compute = ad_probe.tree.sensors[u->v3d].last;
        return;
    }
    n = ad_parse_v3d(ad_probe.text, (size_t)len, queues);
    ad_v3d_percent(queues, n, u->last_v3d, u->n_last_v3d, &v->percent, &v->compute);
    memcpy(u->last_v3d, queues, sizeof(queues));
    u->n_last_v3d = n;
}

static void ad_read_gpu(struct ad_gpu *gpu, struct ad_gpu_values *v, uint64_t now_ns)
{
    const struct {
        struct ad_reading *from;
        struct ad_value *to;
    } all[] = {{&gpu->percent, &v->percent},
               {&gpu->clock_mhz, &v->clock_mhz},
               {&gpu->memory_used, &v->memory_used},
               {&gpu->memory_total, &v->memory_total},
               {&gpu->celsius, &v->celsius},
               {&gpu->watts, &v->watts}};
    bool sleeps = ad_gpu_sleeps(gpu);
    size_t i;

    memset(v, 0, sizeof(*v));
    for (i = 0; i < AD_COUNT(all); i++) {
        if (!sleeps) {
            *all[i].to = ad_reading_take(&ad_probe.tree, all[i].from, now_ns);
        } else if (all[i].from->a != 0) {
            *all[i].to = ad_value_none(AD_VALUE_ASLEEP);
            all[i].from->has_last = false;
        }
    }
    if (gpu->is_v3d) {
        ad_read_v3d(v);
    }
}

/* Keep the greater one. */
static void ad_figure_most(struct ad_value *figure, const struct ad_value *v)
{
    if (ad_value_is_number(v) && (!ad_value_is_number(figure) ||
                                  v->number > figure->number)) {
        *figure = *v;
    }
}

static void ad_gpu_figure(struct ad_board_figures *figures,
                          const struct ad_gpu_values *v)
{
    ad_figure_most(&figures->gpu_percent, &v->percent);
    ad_figure_most(&figures->gpu_clock_mhz, &v->clock_mhz);
    if (ad_value_is_number(&v->watts)) {
        figures->gpu_watts = ad_value_of(figures->gpu_watts.number + v->watts.number);
    }
}

static void ad_put_gpus(struct ad_text *t, uint64_t now_ns,
                        struct ad_board_figures *figures)
{
    struct ad_units *u = &ad_probe.units;
    struct ad_gpu_values v;
    unsigned i, n = 0;

    ad_puts(t, ",\"gpus\":[");
    for (i = 0; i < AD_SMI_GPUS && n < AD_GPUS; i++) {
        const struct ad_nvidia *smi = ad_smi_gpu(i, now_ns);

        if (smi != NULL) {
            memset(&v, 0, sizeof(v));
            v.percent = smi->percent;
            v.clock_mhz = smi->clock_mhz;
            v.memory_used = smi->memory_used;
            v.memory_total = smi->memory_total;
            v.celsius = smi->celsius;
            v.watts = smi->watts;
            ad_put_gpu(t, smi->name, &v);
            ad_gpu_figure(figures, &v);
            n++;
        }
    }
    for (i = 0; i < u->n_gpus && n < AD_GPUS; i++) {
        /* A Jetson's clock without a load is of a GPU that nvidia-smi told. */
        if (n > 0 && strcmp(u->gpus[i].name, "gpu") == 0 &&
            u->gpus[i].percent.a == 0) {
            continue;
        }
        n++;
        ad_read_gpu(&u->gpus[i], &v, now_ns);
        ad_put_gpu(t, u->gpus[i].name, &v);
        ad_gpu_figure(figures, &v);
    }
    ad_puts(t, "],\"npus\":[");
    for (i = 0; i < u->n_npus; i++) {
        struct ad_value percent = ad_reading_take(&ad_probe.tree, &u->npus[i].percent,
                                                  now_ns);
        struct ad_value clock = ad_reading_take(&ad_probe.tree, &u->npus[i].clock_mhz,
                                                now_ns);

        percent = u->npus[i].mute ? ad_value_none(AD_VALUE_UNKNOWN) : percent;
        if (ad_value_is_number(&percent) && percent.number > 100) {
            percent.number = 100;
        }
        ad_putf(t, "%s{\"name\":\"%s\"", i > 0 ? "," : "", u->npus[i].name);
        ad_put_member(t, ",\"percent\":", &percent, 1);
        ad_put_member(t, ",\"clock_mhz\":", &clock, 0);
        ad_puts(t, "}");
    }
    ad_puts(t, "]");
}

/* ---- power ---- */

/* Which rails make the whole board (the Jetson manuals, jetson_stats, energymon):
 * one that has it all, or a sum that leaves something out. A board in none of these
 * rows has rails and no total. */
static const struct {
    const char *rails[6];
    bool estimate;
    const char *scope;
} ad_power_totals[] = {
    {{"VDD_IN", "VDD_MUX"}, false, "module and carrier"}, /* TX2 */
    {{"VDD_IN"}, false, "module"},       /* Orin Nano and NX, Xavier NX */
    {{"POM_5V_IN"}, false, "module"},    /* Nano */
    {{"VIN"}, false, "board"},           /* Thor */
    {{"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"}, true, "module"}, /* AGX Orin */
    {{"GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"}, true, "module"} /* AGX Xavier */
};

static const struct ad_rail *ad_rail_find(const char *name, unsigned *at)
{
    const struct ad_units *u = &ad_probe.units;
    unsigned i;

    for (i = 0; i < u->n_rails; i++) {
        if (strcmp(u->rails[i].name, name) == 0) {
            *at = i;
            return &u->rails[i];
        }
    }
    return NULL;
}

/* The sum of the rails of the first row of which all are there; its row, or -1. */
static int ad_power_total(const struct ad_value watts[AD_RAILS], struct ad_value *sum)
{
    size_t row, k;

    for (row = 0; row < AD_COUNT(ad_power_totals); row++) {
        bool all = true;

        *sum = ad_value_of(0);
        for (k = 0; k < AD_COUNT(ad_power_totals[row].rails) && all &&
                    ad_power_totals[row].rails[k] != NULL; k++) {
            unsigned at = 0;

            all = ad_rail_find(ad_power_totals[row].rails[k], &at) != NULL;
            if (all && !ad_value_is_number(&watts[at])) {
                *sum = watts[at];
            } else if (all && ad_value_is_number(sum)) {
                sum->number += watts[at].number;
            }
        }
        if (all) {
            return (int)row;
        }
    }
    *sum = ad_value_none(AD_VALUE_ABSENT);
    return -1;
}

/* The power that energy is computed of: that of the whole board (row: of
 * ad_power_totals, or behind them the Pi 5's), or of its processors and GPUs, as far as
 * they tell theirs. */
static void ad_power_figure(struct ad_board_figures *figures,
                            const struct ad_value watts[AD_RAILS], int row)
{
    const struct ad_units *u = &ad_probe.units;
    struct ad_value cpu = ad_value_none(AD_VALUE_ABSENT);
    unsigned i;

    if (row >= 0) {
        bool pmic = row == (int)AD_COUNT(ad_power_totals);

        figures->power = figures->watts;
        figures->power_scope = pmic ? "board without USB, HAT and NVMe"
                                    : ad_power_totals[row].scope;
        figures->power_estimate = pmic || ad_power_totals[row].estimate;
        figures->power_fast = !pmic;
        return;
    }
    for (i = 0; i < u->n_rails; i++) {
        if (u->rails[i].watts.how == AD_HOW_RATE && ad_value_is_number(&watts[i])) {
            cpu = ad_value_of(cpu.number + watts[i].number);
        }
    }
    figures->power_estimate = true;
    figures->power_mean = ad_value_is_number(&cpu);
    figures->power_scope = !ad_value_is_number(&cpu)                  ? "GPU"
                           : ad_value_is_number(&figures->gpu_watts) ? "CPU and GPU"
                                                                      : "CPU";
    figures->power = ad_value_is_number(&cpu) ? cpu : figures->gpu_watts;
    if (ad_value_is_number(&cpu)) {
        figures->power.number += figures->gpu_watts.number;
    }
    if (!ad_value_is_number(&figures->power)) {
        figures->power_scope = NULL;
    }
}

static void ad_put_power(struct ad_text *t, uint64_t now_ns,
                         struct ad_board_figures *figures)
{
    struct ad_units *u = &ad_probe.units;
    struct ad_value watts[AD_RAILS], total;
    char text[AD_VCIO_TEXT];
    unsigned i;
    ssize_t n;
    int row;

    ad_puts(t, ",\"rails\":[");
    for (i = 0; i < u->n_rails; i++) {
        watts[i] = ad_reading_take(&ad_probe.tree, &u->rails[i].watts, now_ns);
        ad_putf(t, "%s{\"name\":\"%s\"", i > 0 ? "," : "", u->rails[i].name);
        ad_put_member(t, ",\"watts\":", &watts[i], 2);
        ad_puts(t, "}");
    }
    row = ad_power_total(watts, &total);
    if (row < 0 && ad_probe.has_vcio && strstr(u->name, "Pi 5") != NULL) {
        n = ad_vcio_ask(ad_probe.vcio, "pmic_read_adc", text);
        total = ad_parse_pmic(text, n > 0 ? (size_t)n : 0);
        if (ad_value_is_number(&total)) {
            row = (int)AD_COUNT(ad_power_totals);
        }
    }
    ad_put_member(t, "],\"power\":{\"watts\":", &total, 2);
    if (row == (int)AD_COUNT(ad_power_totals)) {
        ad_puts(t, ",\"scope\":\"board without USB, HAT and NVMe\",\"estimate\":true");
    } else if (row >= 0) {
        ad_putf(t, ",\"scope\":\"%s\",\"estimate\":%s", ad_power_totals[row].scope,
                ad_power_totals[row].estimate ? "true" : "false");
    }
    ad_puts(t, "}");
    figures->watts = total;
    ad_power_figure(figures, watts, row);
}

#if AIDASH_METER && AIDASH_ENERGY

/* The board's power now, read from the rails alone: of a board of which
 * figures.power_fast was true. */
static struct ad_value ad_probe_watts(uint64_t now_ns)
{
    struct ad_units *u = &ad_probe.units;
    struct ad_value watts[AD_RAILS], total;
    unsigned i;

    for (i = 0; i < u->n_rails; i++) {
        watts[i] = ad_reading_take(&ad_probe.tree, &u->rails[i].watts, now_ns);
    }
    (void)ad_power_total(watts, &total);
    return total;
}

#endif

/* ---- fans, disk, network ---- */

static void ad_put_fans(struct ad_text *t, uint64_t now_ns)
{
    struct ad_units *u = &ad_probe.units;
    unsigned i;

    ad_puts(t, ",\"fans\":[");
    for (i = 0; i < u->n_fans; i++) {
        struct ad_value rpm = ad_reading_take(&ad_probe.tree, &u->fans[i].rpm, now_ns);
        struct ad_value percent = ad_reading_take(&ad_probe.tree,
                                                  &u->fans[i].percent, now_ns);

        ad_putf(t, "%s{\"name\":\"%s\"", i > 0 ? "," : "", u->fans[i].name);
        ad_put_member(t, ",\"rpm\":", &rpm, 0);
        ad_put_member(t, ",\"percent\":", &percent, 0);
        ad_puts(t, "}");
    }
    ad_puts(t, "]");
}

/* The file system of the root; of a copied tree there is none. */
static void ad_put_disk(struct ad_text *t, struct ad_board_figures *figures)
{
    struct ad_value all = ad_value_none(AD_VALUE_ABSENT), left = all;
    struct statvfs disk;

    if (!ad_tree_is_copy(&ad_probe.tree)) {
        if (statvfs("/", &disk) == 0) {
            all = ad_value_of((double)disk.f_blocks * (double)disk.f_frsize);
            left = ad_value_of((double)disk.f_bavail * (double)disk.f_frsize);
        } else {
            all = left = ad_value_none(AD_VALUE_UNKNOWN);
        }
    }
    ad_put_member(t, ",\"disk\":{\"total_bytes\":", &all, 0);
    ad_put_member(t, ",\"free_bytes\":", &left, 0);
    ad_puts(t, "}");
    figures->disk_free = left;
}

static void ad_put_networks(struct ad_text *t, uint64_t now_ns)
{
    struct ad_units *u = &ad_probe.units;
    unsigned i;

    ad_puts(t, ",\"networks\":[");
    for (i = 0; i < u->n_networks; i++) {
        struct ad_network *net = &u->networks[i];
        struct ad_value in = ad_reading_take(&ad_probe.tree, &net->received, now_ns);
        struct ad_value out = ad_reading_take(&ad_probe.tree, &net->sent, now_ns);

        ad_putf(t, "%s{\"name\":\"%s\"", i > 0 ? "," : "", net->name);
        ad_put_member(t, ",\"received_bytes_per_second\":", &in, 0);
        ad_put_member(t, ",\"sent_bytes_per_second\":", &out, 0);
        ad_puts(t, "}");
    }
    ad_puts(t, "]");
}

/* ---- all ---- */

/* What is asked of a copied tree in place of nvidia-smi: a file of its lines. */
#define AD_COPIED_SMI "/aidash/nvidia-smi"

static void ad_probe_nvidia(uint64_t now_ns)
{
    const char *s = ad_probe.text, *line;
    size_t len;
    ssize_t n;

    if (!ad_tree_is_copy(&ad_probe.tree)) {
        if (ad_probe.has_nvidia) {
            ad_smi_run(now_ns);
        }
        return;
    }
    n = ad_tree_read(&ad_probe.tree, AD_COPIED_SMI, ad_probe.text,
                     sizeof(ad_probe.text));
    while (n > 0 && ad_parse_line(&s, ad_probe.text + n, &line, &len)) {
        ad_smi_line(line, len, now_ns);
    }
}

/* Read the whole board: the members of the event, from "name" on, into *t, and the
 * figures. */
static void ad_probe_take(struct ad_text *t, uint64_t now_ns,
                          struct ad_board_figures *figures)
{
    memset(figures, 0, sizeof(*figures));
    ad_probe_nvidia(now_ns);
    ad_puts(t, "\"name\":");
    if (ad_probe.units.name[0] != '\0') {
        ad_put_string(t, ad_probe.units.name);
    } else {
        ad_puts(t, "null");
    }
    ad_puts(t, ",");
    ad_put_cpu(t, now_ns, figures);
    ad_put_memory(t, figures);
    ad_put_temperatures(t, now_ns, figures);
    ad_put_throttling(t, now_ns, figures);
    ad_put_gpus(t, now_ns, figures);
    ad_put_power(t, now_ns, figures);
    ad_put_fans(t, now_ns);
    ad_put_disk(t, figures);
    ad_put_networks(t, now_ns);
}

/* Look for sensors. */
static void ad_probe_find(void)
{
    bool pi;

    ad_units_find(&ad_probe.tree, &ad_probe.units);
    pi = strstr(ad_probe.units.name, "Raspberry Pi") != NULL;
    if (ad_probe.has_vcio) {
        (void)close(ad_probe.vcio);
        ad_probe.has_vcio = false;
    }
    ad_probe.vcio_why = ad_value_none(AD_VALUE_ABSENT);
    ad_probe.has_nvidia = false;
    if (ad_tree_is_copy(&ad_probe.tree)) {
        return;
    }
    if (pi) {
        ad_probe.vcio = ad_vcio_open();
        ad_probe.has_vcio = ad_probe.vcio >= 0;
        if (!ad_probe.has_vcio) {
            ad_probe.vcio_why = ad_value_error(errno);
        }
    }
    ad_probe.has_nvidia = ad_tree_has(&ad_probe.tree, "/proc/driver/nvidia/version");
}

/* Begin with the board below `root` (ad_tree_open()). False: it is no directory. */
static bool ad_probe_open(const char *root)
{
    ad_smi_init();
    return ad_tree_open(&ad_probe.tree, root);
}

/* Close all, and end nvidia-smi. */
static void ad_probe_close(void)
{
    ad_sensors_close(&ad_probe.tree);
    if (ad_probe.has_vcio) {
        (void)close(ad_probe.vcio);
        ad_probe.has_vcio = false;
    }
    ad_smi_end(0);
}

AD_MEMORY(probe, AD_SENSORS, sizeof(ad_probe));

#endif /* AIDASH_BOARD */

#endif
