#!/bin/sh
# collect.sh - the sensors of a board as text, for aidash --sysroot and for a test of aidash.
#
#   sh collect.sh >tree.txt            on the board: print the files that aidash would read ("@ PATH", then the file)
#   sh collect.sh unpack DIR <tree.txt make files of it below DIR, which is then for --sysroot
#
# It reads, as an ordinary user, and changes nothing. It prints no serial number, no host name, no MAC or IP address: only the
# files below, none of which has one. Look at the result before you give it away. A new board is a contribution of data: add
# tests/boards/NAME/tree.txt, and expected.json with what aidash should say of it.
set -u

unpack() {
    mkdir -p "$1" && awk -v root="$1" '
        /^@ \// {
            if (file != "") close(file)
            path = substr($0, 3)
            if (path ~ /(^|\/)\.\.(\/|$)/ || path ~ /[^A-Za-z0-9_\/.:@+,-]/) { print "not a path: " path >"/dev/stderr"; exit 1 }
            file = root path
            directory = file
            sub(/\/[^\/]*$/, "", directory)
            if (system("mkdir -p \"" directory "\"") != 0) exit 1
            printf "" >file
            next
        }
        file != "" { print >file }'
}

# one FILE...: those that can be read, and are not empty
one() {
    for f in "$@"; do
        [ -f "$f" ] && [ -r "$f" ] || continue
        text=$(tr -d '\000' <"$f" 2>/dev/null | head -c 8192) || continue
        [ -n "$text" ] || continue
        printf '@ %s\n%s\n' "$f" "$text"
    done
}

if [ "${1:-}" = unpack ]; then
    unpack "${2:?unpack needs a directory}"
    exit
fi

one /proc/device-tree/model /sys/class/dmi/id/product_name
echo '@ /proc/stat'
sed -n '/^cpu/p' /proc/stat
echo '@ /proc/meminfo'
sed -n '/^MemTotal:/p; /^MemAvailable:/p; /^SwapTotal:/p; /^SwapFree:/p' /proc/meminfo
one /proc/loadavg /proc/rknpu/load /sys/kernel/debug/rknpu/load
one /sys/class/thermal/thermal_zone*/type /sys/class/thermal/thermal_zone*/temp
one /sys/class/thermal/cooling_device*/type /sys/class/thermal/cooling_device*/cur_state /sys/class/thermal/cooling_device*/max_state
for name in scaling_cur_freq scaling_max_freq cpuinfo_max_freq; do
    one /sys/devices/system/cpu/cpufreq/policy*/$name
done
for h in /sys/class/hwmon/hwmon*; do
    one "$h"/name
    case $(cat "$h"/name 2>/dev/null) in
    nvme | drivetemp) ;; # a disk's heat is not read
    *) one "$h"/rpm "$h"/pwm[0-9] "$h"/temp1_input "$h"/in*_label "$h"/in*_input "$h"/in0_lcrit_alarm "$h"/curr*_input \
        "$h"/power*_input "$h"/fan*_input "$h"/oc*_event_cnt ;;
    esac
done
one /sys/bus/i2c/drivers/ina3221x/*/iio:device*/rail_name_* /sys/bus/i2c/drivers/ina3221x/*/iio:device*/in_power*_input
one /sys/class/powercap/intel-rapl:?/name /sys/class/powercap/intel-rapl:?/energy_uj
one /sys/devices/gpu.0/load /sys/devices/platform/gpu.0/load /sys/devices/platform/17000000.gpu/load \
    /sys/devices/platform/bus@0/17000000.gpu/load
one /sys/class/devfreq/*/cur_freq /sys/class/devfreq/*/load /sys/class/devfreq/*/device/load
one /sys/class/drm/card?/gt_cur_freq_mhz
for d in /sys/class/drm/card?/device; do
    one "$d"/gpu_stats "$d"/power/runtime_status
    [ "$(cat "$d"/power/runtime_status 2>/dev/null)" != suspended ] || continue # reading would wake it
    one "$d"/gpu_busy_percent "$d"/mem_info_vram_used "$d"/mem_info_vram_total "$d"/tile0/gt0/freq0/cur_freq \
        "$d"/hwmon/hwmon*/temp1_input "$d"/hwmon/hwmon*/power1_average "$d"/hwmon/hwmon*/power1_input \
        "$d"/hwmon/hwmon*/energy1_input "$d"/hwmon/hwmon*/freq1_input
done
one /sys/class/accel/accel?/device/npu_busy_time_us /sys/class/accel/accel?/device/npu_current_frequency_mhz
one /sys/class/hailo_chardev/hailo*/device_id /sys/class/apex/apex_*/temp
one /sys/devices/platform/soc/*firmware*/get_throttled /sys/devices/platform/axi/*firmware*/get_throttled \
    /sys/devices/platform/*firmware*/get_throttled
# Interfaces by the number of their place: a name may have a MAC address in it.
n=0
for i in /sys/class/net/*; do
    [ -e "$i/device" ] || continue
    for counter in rx_bytes tx_bytes; do
        printf '@ /sys/class/net/net%s/statistics/%s\n%s\n' $n $counter "$(cat "$i/statistics/$counter")"
    done
    printf '@ /sys/class/net/net%s/device/uevent\n\n' $n
    n=$((n + 1))
done
if command -v nvidia-smi >/dev/null; then
    echo '@ /aidash/nvidia-smi'
    nvidia-smi --format=csv,noheader,nounits \
        --query-gpu=index,name,temperature.gpu,utilization.gpu,memory.used,memory.total,clocks.sm,fan.speed,power.draw
fi
