/* sensors.c - what a board has: its units, each with its readings, and what these
 * say now. A reading is one file of a tree, or two, and a way to make a number of
 * it. Owns nothing: a struct ad_units has all. Who fills it in: find.c.
 */
#ifndef AD_BOARD_SENSORS_C
#define AD_BOARD_SENSORS_C

#include "tree.c"

#if AIDASH_BOARD

/* As many of each are told; a board with more shows the first ones. */
enum {
    AD_TEMPERATURES = 10,
    AD_COOLERS = 6,
    AD_GPUS = 3,
    AD_NPUS = 2,
    AD_RAILS = 7,
    AD_FANS = 3,
    AD_NETWORKS = 3,
    AD_CLOCKS = 16,       /* groups of cores that share a clock */
    AD_COOLING_FILES = 32,
    AD_COUNTERS = 3,      /* of over-current events */
    AD_UNIT_NAME = 24     /* bytes of a unit's name with its NUL */
};

enum ad_how {
    AD_HOW_NUMBER,  /* the file's number x scale */
    AD_HOW_CELSIUS, /* likewise; but a Jetson says -256 of a unit that is off */
    AD_HOW_PRODUCT, /* two files' numbers, multiplied, x scale */
    AD_HOW_RATE,    /* how much the number has grown in a second, x scale */
    AD_HOW_LOAD_AT, /* "34@300000000Hz" */
    AD_HOW_NPU_LOAD /* "NPU load:  Core0: 45%, ..." */
};

/* All zero: the board has none. */
struct ad_reading {
    uint16_t a, b; /* files of the tree; 0: none */
    uint8_t how;   /* enum ad_how */
    bool has_last;
    double scale, low, high; /* a number outside low..high is unknown */
    double last;             /* AD_HOW_RATE */
    uint64_t last_ns;
};

struct ad_temperature {
    char name[AD_UNIT_NAME];
    struct ad_reading celsius;
};

/* What takes away speed to cool something: several files of one kind are one. */
struct ad_cooler {
    char name[AD_UNIT_NAME];
    double max;
    struct ad_value state; /* the highest of its files */
};

struct ad_gpu {
    char name[AD_UNIT_NAME];
    unsigned status; /* a file of the tree: "suspended" or another word */
    bool is_v3d;     /* its load is in `v3d` */
    struct ad_reading percent, clock_mhz, memory_used, memory_total, celsius, watts;
};

struct ad_npu {
    char name[AD_UNIT_NAME];
    bool mute; /* it is there, but tells nothing without its maker's library */
    struct ad_reading percent, clock_mhz;
};

struct ad_rail {
    char name[AD_UNIT_NAME];
    struct ad_reading watts;
};

struct ad_fan {
    char name[AD_UNIT_NAME];
    struct ad_reading rpm, percent;
};

struct ad_network {
    char name[AD_UNIT_NAME];
    struct ad_reading received, sent;
};

struct ad_units {
    char name[64]; /* of the board; "" if it has none */
    unsigned stat, meminfo, loadavg, v3d, throttled, under_voltage; /* files */
    unsigned n_temperatures, n_coolers, n_cooling, n_gpus, n_npus, n_rails, n_fans,
        n_networks, n_clocks;
    struct ad_temperature temperatures[AD_TEMPERATURES];
    struct ad_cooler coolers[AD_COOLERS];
    struct {
        uint16_t file;
        uint8_t cooler; /* which it belongs to */
    } cooling[AD_COOLING_FILES];
    struct ad_gpu gpus[AD_GPUS];
    struct ad_npu npus[AD_NPUS];
    struct ad_rail rails[AD_RAILS];
    struct ad_fan fans[AD_FANS];
    struct ad_network networks[AD_NETWORKS];
    struct ad_reading clocks[AD_CLOCKS];
    double clock_max_mhz; /* 0: not known */
    struct ad_reading counters[AD_COUNTERS];
    struct ad_stat last_stat; /* the times before */
    struct ad_v3d_queue last_v3d[AD_V3D_QUEUES];
    unsigned n_last_v3d;
};

/* A reading of a file; absent if there is none. */
static struct ad_reading ad_reading_of(struct ad_tree *tree, const char *path,
                                       enum ad_how how, double scale, double low,
                                       double high)
{
    struct ad_reading r;

    memset(&r, 0, sizeof(r));
    r.a = (uint16_t)ad_sensor_open(tree, path);
    r.how = (uint8_t)how;
    r.scale = scale;
    r.low = low;
    r.high = high;
    return r;
}

/* How fast a counter grows. Unknown the first time, and when it has gone back. */
static struct ad_value ad_reading_rate(struct ad_reading *r, struct ad_value now,
                                       uint64_t now_ns)
{
    struct ad_value rate = ad_value_none(AD_VALUE_UNKNOWN);

    if (!ad_value_is_number(&now)) {
        r->has_last = false;
        return now;
    }
    if (r->has_last && now_ns > r->last_ns && now.number >= r->last) {
        rate = ad_value_of((now.number - r->last) * (double)AD_NS_PER_S /
                           (double)(now_ns - r->last_ns) * r->scale);
    }
    r->has_last = true;
    r->last = now.number;
    r->last_ns = now_ns;
    return rate;
}

/* What a reading says now. */
static struct ad_value ad_reading_take(struct ad_tree *tree, struct ad_reading *r,
                                       uint64_t now_ns)
{
    struct ad_value v, other;
    char text[AD_SENSOR_TEXT];
    ssize_t n;

    if (r->a == 0) {
        return ad_value_none(AD_VALUE_ABSENT);
    }
    switch ((enum ad_how)r->how) {
    case AD_HOW_LOAD_AT:
    case AD_HOW_NPU_LOAD:
        n = ad_sensor_text(tree, r->a, text, sizeof(text));
        if (n < 0) {
            v = tree->sensors[r->a].last;
        } else if (r->how == AD_HOW_LOAD_AT) {
            v = ad_parse_load_at(text, (size_t)n);
        } else {
            v = ad_parse_npu_load(text, (size_t)n);
        }
        break;
    case AD_HOW_RATE:
        v = ad_reading_rate(r, ad_sensor_number(tree, r->a), now_ns);
        break;
    case AD_HOW_PRODUCT:
        v = ad_sensor_number(tree, r->a);
        other = ad_sensor_number(tree, r->b);
        if (ad_value_is_number(&v)) {
            v.number *= other.number * r->scale;
            v.state = other.state;
        }
        break;
    default:
        v = ad_sensor_number(tree, r->a);
        v.number *= r->scale;
        if (r->how == AD_HOW_CELSIUS && ad_value_is_number(&v) &&
            v.number <= -256) {
            v = ad_value_none(AD_VALUE_ASLEEP);
        }
        break;
    }
    return ad_value_within(v, r->low, r->high);
}

#endif /* AIDASH_BOARD */

#endif
