/* find.c - which sensors a board has. By what a file of /sys says of itself, and not
 * by its number: numbers differ from one boot to the next. The paths are those of
 * Linux (Documentation/ABI, hwmon/sysfs-interface), NVIDIA's Jetson Linux, Raspberry
 * Pi OS and Rockchip's kernels. Run once, and again when a device went.
 */
#ifndef AD_BOARD_FIND_C
#define AD_BOARD_FIND_C

#include "sensors.c"

#if AIDASH_BOARD

#define AD_CELSIUS_LOW (-60.0)
#define AD_CELSIUS_HIGH 200.0

/* A path below the root: "%s/..." with what is formatted, cut off at the most that
 * fits. Then it is the path of no file. */
struct ad_at {
    char at[AD_TREE_PATH];
};

static struct ad_at AD_PRINTF(1, 2) ad_at(const char *fmt, ...)
{
    struct ad_at path;
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(path.at, sizeof(path.at), fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(path.at)) {
        path.at[0] = '\0';
    }
    return path;
}

static bool ad_begins(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool ad_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && strcmp(s + n - m, suffix) == 0;
}

static void ad_copy_unit_name(char out[AD_UNIT_NAME], const char *name)
{
    ad_parse_name(name, strlen(name), out, AD_UNIT_NAME);
}

static struct ad_reading ad_find_celsius(struct ad_tree *tree, const char *path)
{
    return ad_reading_of(tree, path, AD_HOW_CELSIUS, 0.001, AD_CELSIUS_LOW,
                         AD_CELSIUS_HIGH);
}

static void ad_add_temperature(struct ad_units *u, const char *name,
                               struct ad_reading celsius)
{
    if (celsius.a != 0 && u->n_temperatures < AD_TEMPERATURES) {
        ad_copy_unit_name(u->temperatures[u->n_temperatures].name, name);
        u->temperatures[u->n_temperatures++].celsius = celsius;
    }
}

/* ---- heat ---- */

/* Zones that say what no sensor measured: an estimate of the fan's, and the Nano's
 * PMIC, which is always 100. */
static bool ad_zone_is_real(const char *type)
{
    return type[0] != '\0' && strcmp(type, "PMIC-Die") != 0 &&
           strcmp(type, "thermal-fan-est") != 0 && !ad_begins(type, "iwlwifi");
}

/* Does a cooling device take away speed? Fans do not. Names of Linux's drivers, and
 * of a Jetson's. */
static bool ad_cooler_throttles(const char *type)
{
    static const char *const begins[] = {"cpufreq-", "devfreq-", "thermal-cpufreq",
                                         "thermal-devfreq", "Processor", "cpu-",
                                         "gpu-", "emc-", "17000000.gpu"};
    size_t i;

    for (i = 0; i < AD_COUNT(begins); i++) {
        if (ad_begins(type, begins[i])) {
            return true;
        }
    }
    return ad_ends(type, "-throttle-alert");
}

static void ad_find_cooler(struct ad_tree *tree, struct ad_units *u,
                           const char *dir)
{
    char type[AD_UNIT_NAME];
    struct ad_value max;
    unsigned i, file;

    ad_tree_name(tree, ad_at("%s/type", dir).at, type,
                 sizeof(type));
    if (!ad_cooler_throttles(type) || u->n_cooling == AD_COOLING_FILES) {
        return;
    }
    max = ad_tree_number(tree, ad_at("%s/max_state", dir).at);
    for (i = 0; i < u->n_coolers && strcmp(u->coolers[i].name, type) != 0; i++) {
    }
    if (i == AD_COOLERS || !ad_value_is_number(&max) || max.number < 1) {
        return;
    }
    file = ad_sensor_open(tree, ad_at("%s/cur_state", dir).at);
    if (file == 0) {
        return;
    }
    if (i == u->n_coolers) {
        u->n_coolers++;
        memcpy(u->coolers[i].name, type, sizeof(type));
    }
    u->coolers[i].max = max.number > u->coolers[i].max ? max.number
                                                       : u->coolers[i].max;
    u->cooling[u->n_cooling].file = (uint16_t)file;
    u->cooling[u->n_cooling++].cooler = (uint8_t)i;
}

static void ad_find_thermal(struct ad_tree *tree, struct ad_units *u)
{
    char type[AD_UNIT_NAME];
    unsigned i;

    for (i = 0; i < 64; i++) {
        ad_tree_name(tree, ad_at("/sys/class/thermal/thermal_zone%u/type", i).at,
                     type, sizeof(type));
        if (ad_zone_is_real(type)) {
            ad_add_temperature(
                u, type,
                ad_find_celsius(tree, ad_at("/sys/class/thermal/thermal_zone%u/temp",
                                              i).at));
        }
    }
    for (i = 0; i < 256; i++) {
        ad_find_cooler(tree, u, ad_at("/sys/class/thermal/cooling_device%u", i).at);
    }
}

/* ---- the CPU's clock ---- */

static void ad_find_clocks(struct ad_tree *tree, struct ad_units *u)
{
    static const char *const limits[] = {"cpuinfo_max_freq", "scaling_max_freq"};
    unsigned i;

    for (i = 0; i < 256 && u->n_clocks < AD_CLOCKS; i++) {
        struct ad_at dir = ad_at("/sys/devices/system/cpu/cpufreq/policy%u", i);
        struct ad_value max = ad_value_none(AD_VALUE_ABSENT);
        struct ad_reading *r = &u->clocks[u->n_clocks];
        size_t k;

        *r = ad_reading_of(tree, ad_at("%.100s/scaling_cur_freq", dir.at).at,
                           AD_HOW_NUMBER, 0.001, 1, 20000);
        if (r->a == 0) {
            continue;
        }
        for (k = 0; k < AD_COUNT(limits) && !ad_value_is_number(&max); k++) {
            max = ad_tree_number(tree, ad_at("%.100s/%s", dir.at, limits[k]).at);
        }
        if (ad_value_is_number(&max) && max.number / 1000 > u->clock_max_mhz) {
            u->clock_max_mhz = max.number / 1000;
        }
        u->n_clocks++;
    }
}

/* ---- hwmon ---- */

static void ad_add_rail(struct ad_units *u, const char *name,
                        struct ad_reading watts)
{
    if (watts.a != 0 && u->n_rails < AD_RAILS) {
        ad_copy_unit_name(u->rails[u->n_rails].name, name);
        u->rails[u->n_rails++].watts = watts;
    }
}

/* INA3221 of JetPack 5 and later: mV and mA. Channels without a wire are called NC;
 * channel 7 is a sum. */
static void ad_find_ina3221(struct ad_tree *tree, struct ad_units *u,
                            const char *dir)
{
    unsigned i;

    for (i = 1; i <= 3; i++) {
        char label[AD_UNIT_NAME];
        struct ad_reading r;

        ad_tree_name(tree, ad_at("%s/in%u_label", dir, i).at, label, sizeof(label));
        if (label[0] == '\0' || strstr(label, "NC") != NULL) {
            continue;
        }
        r = ad_reading_of(tree, ad_at("%s/in%u_input", dir, i).at, AD_HOW_PRODUCT,
                          1e-6, 0, 1000);
        r.b = (uint16_t)ad_sensor_open(tree, ad_at("%s/curr%u_input", dir, i).at);
        if (r.b != 0) {
            ad_add_rail(u, label, r);
        }
    }
}

/* INA238 of a Jetson Thor's carrier: the power of what comes in, in uW. */
static void ad_find_ina238(struct ad_tree *tree, struct ad_units *u, const char *dir)
{
    ad_add_rail(u, "VIN",
                ad_reading_of(tree, ad_at("%s/power1_input", dir).at, AD_HOW_NUMBER,
                              1e-6, 0, 1000));
}

static void ad_find_fan(struct ad_tree *tree, struct ad_units *u, const char *dir,
                        const char *name)
{
    struct ad_fan *fan = &u->fans[u->n_fans];

    if (u->n_fans == AD_FANS) {
        return;
    }
    fan->rpm = ad_reading_of(tree, ad_at("%s/fan1_input", dir).at, AD_HOW_NUMBER, 1,
                             0, 100000);
    if (fan->rpm.a == 0) {
        fan->rpm = ad_reading_of(tree, ad_at("%s/rpm", dir).at, AD_HOW_NUMBER, 1, 0,
                                 100000);
    }
    fan->percent = ad_reading_of(tree, ad_at("%s/pwm1", dir).at, AD_HOW_NUMBER,
                                 100.0 / 255, 0, 100);
    if (fan->rpm.a != 0 || fan->percent.a != 0) {
        ad_copy_unit_name(fan->name, name);
        u->n_fans++;
    }
}

/* The kinds of hwmon devices that are read: a disk's heat, say, is not worth
 * asking the disk each second. */
static void ad_find_hwmon_device(struct ad_tree *tree, struct ad_units *u,
                                 const char *dir)
{
    char name[AD_UNIT_NAME];
    unsigned i;

    ad_tree_name(tree, ad_at("%s/name", dir).at, name, sizeof(name));
    if (strcmp(name, "ina3221") == 0) {
        ad_find_ina3221(tree, u, dir);
    } else if (strcmp(name, "ina238") == 0) {
        ad_find_ina238(tree, u, dir);
    } else if (strcmp(name, "rpi_volt") == 0) {
        u->under_voltage = ad_sensor_open(tree,
                                          ad_at("%s/in0_lcrit_alarm", dir).at);
    } else if (strcmp(name, "soctherm_oc") == 0) {
        for (i = 0; i < AD_COUNTERS; i++) {
            u->counters[i] = ad_reading_of(
                tree, ad_at("%s/oc%u_event_cnt", dir, i + 1).at, AD_HOW_NUMBER, 1,
                0, 1e15);
        }
    } else if (strcmp(name, "coretemp") == 0 || strcmp(name, "k10temp") == 0 ||
               strcmp(name, "zenpower") == 0) {
        ad_add_temperature(u, name,
                           ad_find_celsius(tree, ad_at("%s/temp1_input", dir).at));
    } else if (strcmp(name, "amdgpu") != 0 && strcmp(name, "i915") != 0 &&
               strcmp(name, "xe") != 0 && strcmp(name, "nouveau") != 0) {
        ad_find_fan(tree, u, dir, name);
    }
}

static void ad_find_hwmon(struct ad_tree *tree, struct ad_units *u)
{
    unsigned i;

    for (i = 0; i < 64; i++) {
        ad_find_hwmon_device(tree, u, ad_at("/sys/class/hwmon/hwmon%u", i).at);
    }
}

/* INA3221 of JetPack 4: mW. */
static void ad_find_ina3221x(struct ad_tree *tree, struct ad_units *u)
{
    static const char at[] = "/sys/bus/i2c/drivers/ina3221x";
    char device[AD_TREE_NAME] = "", iio[AD_TREE_NAME] = "", label[AD_UNIT_NAME];
    unsigned i;

    while (ad_tree_next(tree, at, "", device)) {
        struct ad_at dir = ad_at("%s/%s", at, device);

        iio[0] = '\0';
        if (!ad_is_digit(device[0]) ||
            !ad_tree_next(tree, dir.at, "iio:device", iio)) {
            continue;
        }
        dir = ad_at("%s/%s/%s", at, device, iio);
        for (i = 0; i < 3; i++) {
            ad_tree_name(tree, ad_at("%.100s/rail_name_%u", dir.at, i).at, label,
                         sizeof(label));
            if (label[0] != '\0' && strstr(label, "NC") == NULL) {
                ad_add_rail(u, label,
                            ad_reading_of(
                                tree,
                                ad_at("%.100s/in_power%u_input", dir.at, i).at,
                                AD_HOW_NUMBER, 0.001, 0, 1000));
            }
        }
    }
}

/* The processor's own counters of energy, in uJ: root's alone since Linux 5.10. */
static void ad_find_rapl(struct ad_tree *tree, struct ad_units *u)
{
    unsigned i;

    for (i = 0; i < 4; i++) {
        struct ad_at dir = ad_at("/sys/class/powercap/intel-rapl:%u", i);
        char name[AD_UNIT_NAME];

        ad_tree_name(tree, ad_at("%.100s/name", dir.at).at, name, sizeof(name));
        if (ad_begins(name, "package")) {
            ad_add_rail(u, name,
                        ad_reading_of(tree, ad_at("%.100s/energy_uj", dir.at).at,
                                      AD_HOW_RATE, 1e-6, 0, 2000));
        }
    }
}

/* ---- GPUs and NPUs ---- */

/* The GPU of a Jetson, of any age: its load in per mille. */
static const char *const ad_jetson_gpus[] = {
    "/sys/devices/gpu.0", "/sys/devices/platform/gpu.0",
    "/sys/devices/platform/17000000.gpu",
    "/sys/devices/platform/bus@0/17000000.gpu"};

/* The clock of a GPU or NPU below devfreq whose name is one of these, in Hz. Thor's
 * gpu-gpc-0 is a clock without a load. */
static bool ad_is_gpu_clock(const char *name)
{
    return ad_ends(name, ".gpu") || ad_ends(name, ".gv11b") ||
           ad_ends(name, ".gp10b") || ad_ends(name, ".ga10b") ||
           ad_ends(name, ".gb10b") || ad_ends(name, ".mali") ||
           strcmp(name, "gpu-gpc-0") == 0;
}

static struct ad_reading ad_find_hz(struct ad_tree *tree, const char *path)
{
    return ad_reading_of(tree, path, AD_HOW_NUMBER, 1e-6, 0, 20000);
}

static void ad_find_soc_gpu(struct ad_tree *tree, struct ad_units *u)
{
    struct ad_gpu *gpu = &u->gpus[u->n_gpus];
    char device[AD_TREE_NAME] = "";
    size_t i;

    if (u->n_gpus == AD_GPUS) {
        return;
    }
    for (i = 0; i < AD_COUNT(ad_jetson_gpus) && gpu->percent.a == 0; i++) {
        gpu->percent = ad_reading_of(tree, ad_at("%s/load", ad_jetson_gpus[i]).at,
                                     AD_HOW_NUMBER, 0.1, 0, 100);
    }
    while (ad_tree_next(tree, "/sys/class/devfreq", "", device)) {
        struct ad_at dir = ad_at("/sys/class/devfreq/%s", device);

        if (!ad_is_gpu_clock(device) || gpu->clock_mhz.a != 0) {
            continue;
        }
        gpu->clock_mhz = ad_find_hz(tree, ad_at("%.100s/cur_freq", dir.at).at);
        if (gpu->percent.a == 0) {
            gpu->percent = ad_reading_of(tree, ad_at("%.100s/device/load", dir.at).at,
                                         AD_HOW_NUMBER, 0.1, 0, 100);
        }
        if (gpu->percent.a == 0) { /* Rockchip's Mali */
            gpu->percent = ad_reading_of(tree, ad_at("%.100s/load", dir.at).at,
                                         AD_HOW_LOAD_AT, 1, 0, 100);
        }
    }
    if (gpu->percent.a != 0 || gpu->clock_mhz.a != 0) {
        ad_copy_unit_name(gpu->name, "gpu");
        u->n_gpus++;
    }
}

/* A card of DRM: a Raspberry Pi's V3D, amdgpu, i915 or xe. */
static void ad_find_card(struct ad_tree *tree, struct ad_units *u, const char *dir)
{
    struct ad_gpu *gpu = &u->gpus[u->n_gpus];
    char hwmon[AD_TREE_NAME] = "";
    struct ad_at at = ad_at("%s/device", dir);

    if (u->n_gpus == AD_GPUS) {
        return;
    }
    memset(gpu, 0, sizeof(*gpu));
    if (u->v3d == 0) {
        u->v3d = ad_sensor_open(tree, ad_at("%.100s/gpu_stats", at.at).at);
        if (u->v3d != 0) {
            ad_copy_unit_name(gpu->name, "v3d");
            gpu->is_v3d = true;
            u->n_gpus++;
            return;
        }
    }
    gpu->percent = ad_reading_of(tree, ad_at("%.100s/gpu_busy_percent", at.at).at,
                                 AD_HOW_NUMBER, 1, 0, 100);
    gpu->clock_mhz = ad_reading_of(tree, ad_at("%s/gt_cur_freq_mhz", dir).at,
                                   AD_HOW_NUMBER, 1, 0, 20000);
    ad_copy_unit_name(gpu->name, gpu->percent.a != 0 ? "amdgpu" : "i915");
    if (gpu->percent.a == 0 && gpu->clock_mhz.a == 0) {
        gpu->clock_mhz = ad_reading_of(
            tree, ad_at("%.100s/tile0/gt0/freq0/cur_freq", at.at).at,
            AD_HOW_NUMBER, 1, 0, 20000);
        ad_copy_unit_name(gpu->name, "xe");
    }
    if (gpu->percent.a == 0 && gpu->clock_mhz.a == 0) {
        return;
    }
    u->n_gpus++;
    gpu->status = ad_sensor_open(tree,
                                 ad_at("%.100s/power/runtime_status", at.at).at);
    gpu->memory_used = ad_reading_of(
        tree, ad_at("%.100s/mem_info_vram_used", at.at).at, AD_HOW_NUMBER, 1, 0,
        1e15);
    gpu->memory_total = ad_reading_of(
        tree, ad_at("%.100s/mem_info_vram_total", at.at).at, AD_HOW_NUMBER, 1, 0,
        1e15);
    at = ad_at("%.100s/hwmon", at.at);
    if (!ad_tree_next(tree, at.at, "hwmon", hwmon)) {
        return;
    }
    at = ad_at("%.60s/%s", at.at, hwmon);
    gpu->celsius = ad_find_celsius(tree, ad_at("%.100s/temp1_input", at.at).at);
    gpu->watts = ad_reading_of(tree, ad_at("%.100s/power1_average", at.at).at,
                               AD_HOW_NUMBER, 1e-6, 0, 5000);
    if (gpu->watts.a == 0) {
        gpu->watts = ad_reading_of(tree, ad_at("%.100s/power1_input", at.at).at,
                                   AD_HOW_NUMBER, 1e-6, 0, 5000);
    }
    if (gpu->watts.a == 0) {
        gpu->watts = ad_reading_of(tree, ad_at("%.100s/energy1_input", at.at).at,
                                   AD_HOW_RATE, 1e-6, 0, 5000);
    }
    if (gpu->clock_mhz.a == 0) {
        gpu->clock_mhz = ad_find_hz(tree, ad_at("%.100s/freq1_input", at.at).at);
    }
}

static void ad_find_gpus(struct ad_tree *tree, struct ad_units *u)
{
    unsigned i;

    ad_find_soc_gpu(tree, u);
    for (i = 0; i < 16; i++) {
        ad_find_card(tree, u, ad_at("/sys/class/drm/card%u", i).at);
    }
}

static void ad_find_rockchip_npu(struct ad_tree *tree, struct ad_units *u)
{
    struct ad_npu *npu = &u->npus[u->n_npus];
    char device[AD_TREE_NAME] = "";

    while (ad_tree_next(tree, "/sys/class/devfreq", "", device)) {
        if (ad_ends(device, ".npu") && npu->clock_mhz.a == 0) {
            npu->clock_mhz = ad_find_hz(
                tree, ad_at("/sys/class/devfreq/%s/cur_freq", device).at);
        }
    }
    if (npu->clock_mhz.a == 0) {
        return;
    }
    npu->percent = ad_reading_of(tree, "/proc/rknpu/load", AD_HOW_NPU_LOAD, 1, 0,
                                 100);
    if (npu->percent.a == 0) { /* root's */
        npu->percent = ad_reading_of(tree, "/sys/kernel/debug/rknpu/load",
                                     AD_HOW_NPU_LOAD, 1, 0, 100);
    }
    ad_copy_unit_name(npu->name, "rknpu");
    u->n_npus++;
}

static void ad_find_intel_npu(struct ad_tree *tree, struct ad_units *u)
{
    unsigned i;

    for (i = 0; i < 4 && u->n_npus < AD_NPUS; i++) {
        struct ad_npu *npu = &u->npus[u->n_npus];
        struct ad_at dir = ad_at("/sys/class/accel/accel%u/device", i);

        npu->percent = ad_reading_of(tree,
                                     ad_at("%.100s/npu_busy_time_us", dir.at).at,
                                     AD_HOW_RATE, 1e-4, 0, 110);
        if (npu->percent.a != 0) {
            npu->clock_mhz = ad_reading_of(
                tree, ad_at("%.80s/npu_current_frequency_mhz", dir.at).at,
                AD_HOW_NUMBER, 1, 0, 20000);
            ad_copy_unit_name(npu->name, "npu");
            u->n_npus++;
        }
    }
}

/* A Hailo tells nothing but that it is there; a Coral on PCIe its heat. */
static void ad_find_mute_npus(struct ad_tree *tree, struct ad_units *u)
{
    static const struct {
        const char *at, *begins, *name;
    } known[] = {{"/sys/class/hailo_chardev", "hailo", "hailo"},
                 {"/sys/class/apex", "apex_", "coral"}};
    char device[AD_TREE_NAME] = "";
    size_t i;

    for (i = 0; i < AD_COUNT(known); i++) {
        device[0] = '\0';
        if (u->n_npus == AD_NPUS ||
            !ad_tree_next(tree, known[i].at, known[i].begins, device)) {
            continue;
        }
        ad_copy_unit_name(u->npus[u->n_npus].name, known[i].name);
        u->npus[u->n_npus++].mute = true;
        ad_add_temperature(
            u, known[i].name,
            ad_find_celsius(tree, ad_at("%s/%s/temp", known[i].at, device).at));
    }
}

/* ---- the network ---- */

static void ad_find_network(struct ad_tree *tree, struct ad_units *u,
                            const char *name)
{
    struct ad_network *net = &u->networks[u->n_networks];

    if (u->n_networks == AD_NETWORKS) {
        return;
    }
    net->received = ad_reading_of(
        tree, ad_at("/sys/class/net/%s/statistics/rx_bytes", name).at, AD_HOW_RATE,
        1, 0, 1e12);
    net->sent = ad_reading_of(
        tree, ad_at("/sys/class/net/%s/statistics/tx_bytes", name).at, AD_HOW_RATE,
        1, 0, 1e12);
    if (net->received.a != 0) {
        ad_copy_unit_name(net->name, name);
        u->n_networks++;
    }
}

/* The interfaces of real devices; where there is none, as in a container, all but
 * the loopback. */
static void ad_find_networks(struct ad_tree *tree, struct ad_units *u)
{
    bool any;

    for (any = false; u->n_networks == 0; any = true) {
        char name[AD_TREE_NAME] = "";

        while (ad_tree_next(tree, "/sys/class/net", "", name)) {
            if (strcmp(name, "lo") != 0 &&
                (any || ad_tree_has(tree,
                                    ad_at("/sys/class/net/%s/device", name).at))) {
                ad_find_network(tree, u, name);
            }
        }
        if (any) {
            return;
        }
    }
}

/* ---- all ---- */

/* A Raspberry Pi with its maker's kernel. */
static void ad_find_throttled(struct ad_tree *tree, struct ad_units *u)
{
    static const char *const places[] = {"/sys/devices/platform/soc",
                                         "/sys/devices/platform/axi",
                                         "/sys/devices/platform"};
    size_t i;

    for (i = 0; i < AD_COUNT(places) && u->throttled == 0; i++) {
        char name[AD_TREE_NAME] = "";

        while (ad_tree_next(tree, places[i], "", name)) {
            if (u->throttled == 0 && strstr(name, "firmware") != NULL) {
                u->throttled = ad_sensor_open(
                    tree, ad_at("%s/%s/get_throttled", places[i], name).at);
            }
        }
    }
}

/* Look at the whole board. What was open is closed. */
static void ad_units_find(struct ad_tree *tree, struct ad_units *u)
{
    ad_sensors_close(tree);
    memset(u, 0, sizeof(*u));
    ad_tree_name(tree, "/proc/device-tree/model", u->name, sizeof(u->name));
    if (u->name[0] == '\0') {
        ad_tree_name(tree, "/sys/class/dmi/id/product_name", u->name,
                     sizeof(u->name));
    }
    u->stat = ad_sensor_open(tree, "/proc/stat");
    u->meminfo = ad_sensor_open(tree, "/proc/meminfo");
    u->loadavg = ad_sensor_open(tree, "/proc/loadavg");
    ad_find_thermal(tree, u);
    ad_find_clocks(tree, u);
    ad_find_hwmon(tree, u);
    ad_find_ina3221x(tree, u);
    ad_find_rapl(tree, u);
    ad_find_gpus(tree, u);
    ad_find_rockchip_npu(tree, u);
    ad_find_intel_npu(tree, u);
    ad_find_mute_npus(tree, u);
    ad_find_throttled(tree, u);
    ad_find_networks(tree, u);
}

#endif /* AIDASH_BOARD */

#endif
