#!/bin/sh
# cross.test.sh TARGET... - what is shipped for each target, which was built: static, stripped, small, for the right CPU; and a
# new board as docs/build.md shows it.
. tests/check.sh
unset MAKEFLAGS MAKELEVEL MFLAGS

# elf PATTERN FILE OPTION...: readelf says so
elf() {
    pattern=$1 file=$2
    shift 2
    readelf "$@" "$file" | tee "$tmp/elf" | grep -Eq -- "$pattern" || { cat "$tmp/elf"; return 1; }
}
static() { ! elf 'INTERP|NEEDED' "$1" -ldW 2>&1; }
# At a random address, with tables that are not written after the start, a stack that does not run, guards on it.
hard() {
    elf 'Type: +DYN ' "$1" -hW && elf 'FLAGS_1.* PIE' "$1" -dW && elf 'BIND_NOW' "$1" -dW && elf ' GNU_RELRO ' "$1" -lW &&
        elf ' GNU_STACK .* RW ' "$1" -lW && ! grep -E 'LOAD .* RWE ' "$tmp/elf" && elf ' __stack_chk_fail$' "$1.debug" -sW
}
# The kernel's map of the running program: what lies before its writable data was taken back, read-only.
protects() {
    "$1" --listen 127.0.0.1:0 --source none 2>"$tmp/protects" &
    pid=$!
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        grep -q 'listening' "$tmp/protects" && break
        sleep 0.5
    done
    grep "${1##*/}\$" "/proc/$pid/maps" >"$tmp/maps"
    kill "$pid"
    wait "$pid"
    awk '$2 == "rw-p" && before == "r--p" { found = 1 } { before = $2; print } END { exit !found }' "$tmp/maps"
}
stripped() { elf 'Section Headers' "$1" -SW && ! grep -E '\.(symtab|debug_info|eh_frame_hdr)' "$tmp/elf"; }
small() {
    bytes=$(($(wc -c <"$1")))
    [ $bytes -le 1360000 ] || { echo "$bytes bytes, more than 1360000"; return 1; }
}
answers() { "$1" --version | tee "$tmp/version" | grep -q '^aidash [0-9]' || { cat "$tmp/version"; return 1; }; }

for target; do
    binary=build/$target/aidash
    case $target in
    aarch64) machine=AArch64 ;;
    armv*) machine=ARM ;;
    riscv64) machine=RISC-V ;;
    x86_64) machine=X86-64 ;;
    *) machine=. ;;
    esac
    check "$target: the machine is $machine" elf "Machine: .*$machine" "$binary" -h
    check "$target: static" static "$binary"
    check "$target: no symbols in it" stripped "$binary"
    check "$target: they are in aidash.debug" elf '\.symtab.*' "$binary.debug" -SW
    check "$target: at most 1,360,000 bytes" small "$binary"
    check "$target: position-independent, read-only after relocation, guarded" hard "$binary"
    [ "$target" != "$(uname -m)" ] || check "$target: its tables are read-only when it runs" protects "$binary"
    check "$target: it runs" answers "build/$target/run"
done
case " $* " in
*' armv6 '*) check 'armv6 asks for no newer CPU' elf 'Tag_CPU_arch: v6KZ$' build/armv6/aidash -A ;;
esac
case " $* " in
*' armv7 '*) check 'armv7 asks for no newer CPU' elf 'Tag_CPU_arch: v7$' build/armv7/aidash -A ;;
esac

# ---- a board of one's own: the file as docs/build.md prints it -------------------------------------

mkdir -p "$tmp/own/build"
cp -r toolchains "$tmp/own/"
for f in Makefile aidash.c aidash.h src www docs build/deps; do ln -s "$root/$f" "$tmp/own/$f"; done
sed -n '/^# toolchains\/pi5.mk/,/^```/{/^```/!p}' docs/build.md >"$tmp/own/toolchains/pi5.mk"
check 'docs/build.md has a board of its own in at most ten lines' sh -c \
    "grep -q '^include toolchains/include/' $tmp/own/toolchains/pi5.mk && [ \$(wc -l <$tmp/own/toolchains/pi5.mk) -le 10 ]"
check 'make pi5 builds for it' "${MAKE:-make}" -C "$tmp/own" --no-print-directory pi5
check 'a static program' static "$tmp/own/build/pi5/aidash"
check 'that is small' small "$tmp/own/build/pi5/aidash"
# Code for any arm64 calls gcc's helpers for atomics, which look what the CPU has; code for this one need not ask.
helpers() { nm "$1" | grep -q ' __aarch64_ldadd'; }
asks_nothing() { helpers build/aarch64/aidash.debug && ! helpers "$tmp/own/build/pi5/aidash.debug"; }
check 'for no other CPU' asks_nothing
check 'and runs' sh -c "cd $tmp/own && ${MAKE:-make} --no-print-directory TOOLCHAIN=pi5 build/pi5/run && build/pi5/run --version"
finish
