/* What a board's files, its firmware and nvidia-smi say: any bytes. What comes of them
 * is a finite number or a word, and text that JSON takes as it is. The first byte
 * chooses the reader. */
#include "../src/board/parse.c"
#include "../src/codec/json.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a value becomes in an event is JSON. */
static void check(struct ad_value v)
{
    char json[64];
    int decimals;

    for (decimals = 0; decimals < 4; decimals++) {
        struct ad_text t = ad_text_in(json, sizeof(json));

        ad_put_value(&t, &v, decimals);
        if (t.full || ad_json_fault(t.at, t.len) != AD_FAULT_NONE) {
            __builtin_trap();
        }
    }
}

static void check_name(const char *name)
{
    size_t i;

    for (i = 0; name[i] != '\0'; i++) {
        if (name[i] < ' ' || name[i] > '~' || name[i] == '"' || name[i] == '\\') {
            __builtin_trap();
        }
    }
}

static void check_percent(struct ad_value v)
{
    if (v.state == AD_VALUE_NUMBER && !(v.number >= 0 && v.number <= 100)) {
        __builtin_trap();
    }
    check(v);
}

static void check_stat(const char *s, size_t size)
{
    static struct ad_stat a, b;
    size_t half = size / 2;
    unsigned i;

    (void)ad_parse_stat(s, half, &a);
    (void)ad_parse_stat(s + half, size - half, &b);
    if (b.n > AD_CORES) {
        __builtin_trap();
    }
    check_percent(ad_cpu_percent(&b.all, &a.all, AD_CPU_BUSY));
    check_percent(ad_cpu_percent(&b.all, &a.all, AD_CPU_IOWAIT));
    for (i = 0; i < b.n; i++) {
        check_percent(ad_cpu_percent(&b.cores[i], &a.cores[i], AD_CPU_STEAL));
    }
}

static void check_v3d(const char *s, size_t size)
{
    struct ad_v3d_queue a[AD_V3D_QUEUES], b[AD_V3D_QUEUES];
    struct ad_value busiest, compute;
    size_t half = size / 2;
    unsigned n_a = ad_parse_v3d(s, half, a);
    unsigned n_b = ad_parse_v3d(s + half, size - half, b), i;

    for (i = 0; i < n_b; i++) {
        check_name(b[i].name);
    }
    ad_v3d_percent(b, n_b, a, n_a, &busiest, &compute);
    check_percent(busiest);
    check_percent(compute);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *s = (const char *)data + 1;
    struct ad_nvidia gpu;
    struct ad_meminfo m;
    char name[24];
    uint32_t bits;

    if (size-- == 0) {
        return 0;
    }
    switch (data[0] % 9) {
    case 0:
        check_stat(s, size);
        break;
    case 1:
        ad_parse_meminfo(s, size, &m);
        check(m.total);
        check(m.available);
        check(m.swap_total);
        check(m.swap_free);
        break;
    case 2:
        check(ad_parse_number(s, size));
        break;
    case 3:
        check_percent(ad_parse_load_at(s, size));
        break;
    case 4:
        check_percent(ad_parse_npu_load(s, size));
        break;
    case 5:
        check_v3d(s, size);
        break;
    case 6:
        (void)ad_parse_throttled(s, size, &bits);
        break;
    case 7:
        check(ad_parse_pmic(s, size));
        break;
    default:
        if (ad_parse_nvidia(s, size, &gpu)) {
            check_name(gpu.name);
            check_percent(gpu.percent);
            check(gpu.watts);
            check(gpu.memory_total);
        }
        break;
    }
    ad_parse_name(s, size, name, sizeof(name));
    check_name(name);
    return 0;
}
