#!/bin/sh
# lint.sh - what can be said of aidash without running it. Works in the project's directory, after `make build/compile`.
. tests/check.sh
make=${MAKE:-make}
cc=${CC:-gcc}
compile=$(cat build/compile)
warnings='-Wall -Wextra -Wconversion -Werror'

# ---- warnings, and every size -------------------------------------------------

# shellcheck disable=SC2086 # words are meant to be split
syntax() { $compile $warnings -fsyntax-only "$@"; }

# The limits of src/limits.h as -DNAME=VALUE words: their least values, or the greatest of those that have one.
least() { sed -n 's/^#if \(AIDASH_[A-Z_]*\) < \([0-9][0-9]*\) ||.*/-D\1=\2/p' src/limits.h; }
greatest() { sed -n 's/^#if \(AIDASH_[A-Z_]*\) < [0-9]* || \1 > \([0-9][0-9]*\)$/-D\1=\2/p' src/limits.h; }

check 'the library compiles without a warning' $make --no-print-directory build/lib/aidash.o
check 'the program compiles without a warning' syntax aidash.c
check 'src/limits.h names the ranges of its limits' test "$(least | wc -l)" -eq "$(grep -c '^#error "AIDASH_' src/limits.h)"
check 'it compiles with every limit at its least' syntax $(least) aidash.c
check 'it compiles with every limit at its greatest' syntax $(greatest) aidash.c
misspelt() { # in the program, and in a part alone
    sh toolchains/misspelt.sh | cmp - build/aidash_misspelt.h || return 1
    for file in aidash.c '-DAD_UNIT src/core/feed.c'; do
        # shellcheck disable=SC2086
        ! syntax -DAIDASH_CLIENT=8 $file 2>"$tmp/misspelt" && grep -q 'do you mean AIDASH_CLIENTS' "$tmp/misspelt" || return 1
    done
}
check 'a limit that is misspelt is refused' misspelt
# shellcheck disable=SC2086
without_build() { ${compile%%-Ibuild*} ${compile#*-Ibuild} $warnings -fsyntax-only -DAIDASH_DASHBOARD=0 aidash.c; }
check 'it compiles without what make generates, if without the dashboard' without_build
profiles() {
    for profile in TINY DEFAULT GATEWAY; do syntax -DAIDASH_PROFILE_$profile aidash.c || return 1; done
    syntax -DAIDASH_PROFILE_TINY -DAIDASH_METER=1 aidash.c || return 1
    ! syntax -DAIDASH_PROFILE_TINY -DAIDASH_PROFILE_GATEWAY aidash.c 2>/dev/null
}
check 'it compiles in each profile, and not in two' profiles
check 'it compiles without the dashboard' syntax -DAIDASH_DASHBOARD=0 aidash.c
check 'it compiles without the meter' syntax -DAIDASH_METER=0 aidash.c
check 'it compiles without TLS' syntax -UAIDASH_TLS aidash.c
check 'it compiles without the board' syntax -DAIDASH_BOARD=0 aidash.c
check 'it compiles without top' syntax -DAIDASH_TOP=0 aidash.c
check 'it compiles without both' syntax -DAIDASH_METER=0 -DAIDASH_DASHBOARD=0 aidash.c
small_arena() { syntax -DAIDASH_ARENA_BYTES=16384 aidash.c 2>&1 | grep 'AIDASH_ARENA_BYTES is less than civetweb needs'; }
check 'an arena that civetweb could not start in is refused, and named' small_arena
check 'it compiles with poll() for epoll' syntax -DAIDASH_USE_POLL=1 aidash.c
check 'it compiles at -O2 with NDEBUG' syntax -DNDEBUG aidash.c
if command -v clang >/dev/null; then
    clang_syntax() { clang ${compile#"$cc"} $warnings -fsyntax-only "$@"; }
    check 'it compiles with clang without a warning' clang_syntax aidash.c
    fuzzers() { for file in tests/fuzz_*.c; do clang_syntax -DAD_UNIT -Wno-unused-function -Wno-unused-variable "$file" || return 1; done; }
    check 'and so do the fuzzers' fuzzers
else
    skip 'the compile with clang: there is none'
fi

# clang-tidy's checks that fit C. Off are:
#   suspicious-include, reserved-identifier, dcl37, dcl51    one unit of parts, and _GNU_SOURCE: both on purpose
#   easily-swappable-parameters                              nearly every function that has a buffer and a length
#   narrowing-conversions, implicit-widening...              -Wconversion says what matters; left are constants and case of letters
#   not-null-terminated-result                               slices have a length and no NUL
#   err34                                                    atoi() and sscanf() read what was checked before, or the kernel's files
if command -v clang-tidy >/dev/null; then
    off=-bugprone-suspicious-include,-bugprone-reserved-identifier,-cert-dcl37-c,-cert-dcl51-cpp
    off=$off,-bugprone-easily-swappable-parameters,-bugprone-narrowing-conversions
    off=$off,-bugprone-implicit-widening-of-multiplication-result,-bugprone-not-null-terminated-result,-cert-err34-c
    # shellcheck disable=SC2086
    tidy() {
        clang-tidy --quiet --header-filter=/src/ --checks="-*,bugprone-*,cert-*,$off" --warnings-as-errors='*' aidash.c \
            -- ${compile#"$cc"} -w
    }
    check 'clang-tidy finds nothing' tidy
else
    skip 'clang-tidy: there is none'
fi

# clang's static analyzer, which scan-build runs: all parts that the last one includes, in the mode that takes seconds.
if command -v clang >/dev/null; then
    # shellcheck disable=SC2086
    analyze() { # the program, and what the workers answer
        printf '#include "src/app/main.c"\n#include "src/web/pages.c"\n' >"$tmp/all.c"
        clang --analyze ${compile#"$cc"} -I. -w -DAD_UNIT -D_GNU_SOURCE -Xclang -analyzer-output=text -Xclang -analyzer-opt-analyze-headers \
            -Xclang -analyzer-config -Xclang mode=shallow "$tmp/all.c" >"$tmp/analyze" 2>&1 && ! grep . "$tmp/analyze"
    }
    check "clang's analyzer finds nothing" analyze
else
    skip "clang's analyzer: there is none"
fi

# cppcheck reads each part with what it includes. It takes minutes for assets.c and inflate.c, which are the page's bytes and
# zlib. zerodivcond: in ad_put_decimal() the scale is a power of ten above what is left.
if command -v cppcheck >/dev/null; then
    # shellcheck disable=SC2086
    cppcheck_parts() {
        printf '%s\n' src/*/*.c | grep -vE '/(assets|inflate)\.c$' | xargs -n 8 -P 2 cppcheck --quiet --enable=warning,portability --std=c11 \
            --max-configs=1 --error-exitcode=1 --suppress='*:build/*' --suppress=zerodivcond:src/base/text.c -DAD_UNIT -D__linux__ -D__GNUC__=12 \
            -DAIDASH_TLS=1 -Ibuild -Itoolchains/include -Ibuild/deps/mbedtls/include
    }
    check 'cppcheck finds nothing' cppcheck_parts
else
    skip 'cppcheck: there is none'
fi

# ---- symbols --------------------------------------------------------------------

only_ours() {
    nm -g --defined-only build/lib/aidash.o | awk '$3 !~ /^aidash_/ { print "leaves the object: " $3; bad = 1 }
        { n++ } END { exit bad || n == 0 }'
}
no_allocator() {
    nm -u build/lib/aidash.o | awk '
        $2 ~ /^(malloc|calloc|realloc|reallocarray|free|strdup|strndup|v?asprintf|getline|getdelim|open_memstream)(@|$)/ ||
        $2 ~ /^(posix_memalign|aligned_alloc|memalign|valloc|sbrk|mmap)(@|$)/ {
            print "allocates: " $2; bad = 1
        }
        { n++ } END { exit bad || n == 0 }'
}
every_function_is_declared() {
    nm -g --defined-only build/lib/aidash.o | awk '$2 == "T" { print $3 }' >"$tmp/exported"
    while read -r f; do
        grep -q "\\b$f(" aidash.h || { echo "not in aidash.h: $f"; return 1; }
    done <"$tmp/exported"
}
no_thread_local() { ! objdump -h build/lib/aidash.o | grep -E ' \.t(bss|data)'; } # text relocations to riscv64's linker
check 'nothing but aidash_* leaves the object' only_ours
check 'no variable is thread-local' no_thread_local
check 'no allocator is called' no_allocator
check 'every exported function is in aidash.h' every_function_is_declared

# ---- the map ----------------------------------------------------------------------

# The rules of the house: aidash.c includes every part once, its map names them in that order, and a part includes only
# parts above itself, in its own folder or a lower one.
includes() { sed -n 's/^#include "\(src\/.*\)"$/\1/p' aidash.c; }
every_part_once() { includes | sort >"$tmp/included" && find src -name '*.[ch]' | sort | diff "$tmp/included" -; }
map_is_true() {
    sed '/^ \*\//q' aidash.c | sed -n 's/^ \*   \([a-z0-9_/]*\.[ch]\)  *[^ ].*/src\/\1/p' >"$tmp/map"
    includes | diff "$tmp/map" -
}
arrows() { # "FROM TO" for each #include of a part in a part
    for part in $(find src -name '*.[ch]'); do
        sed -n 's/^#include "\(.*\)"$/\1/p' "$part" | while read -r name; do
            to=$(realpath -m --relative-to=. "$(dirname "$part")/$name")
            case $to in src/*) echo "$part $to" ;; esac
        done
    done
}
arrows_run_up() {
    arrows | awk -v order="$(includes | tr '\n' ' ')" -v folders='. base codec guard core meter board fleet web app' '
        BEGIN {
            for (i = split(order, o, " "); i > 0; i--) place[o[i]] = i
            for (i = split(folders, f, " "); i > 0; i--) level[f[i]] = i
        }
        function folder(path, n, p) { n = split(path, p, "/"); return n == 2 ? "." : p[2] }
        $1 == "src/web/glue.c" { next }
        !(place[$2] < place[$1]) { print $1 " includes " $2 ", which is not above it"; bad = 1 }
        level[folder($2)] > level[folder($1)] { print $1 " includes " $2 ", of a higher folder"; bad = 1 }
        { n++ }
        END { exit bad || n < 50 }'
}
alone() { # a part says what it uses, so that it compiles by itself
    for part in $(includes | grep '\.c$' | grep -v '^src/web/glue\.c$'); do
        # shellcheck disable=SC2086
        $compile -w -DAD_UNIT -fsyntax-only "$part" || return 1
    done
}
not_alone() { $compile -fsyntax-only src/base/text.c 2>&1 | grep 'compiled by aidash.c: compile that file alone'; }
without_parts() { cp aidash.c aidash.h "$tmp" && $compile -fsyntax-only "$tmp/aidash.c" 2>&1 | grep 'make amalgamation'; }
check 'aidash.c includes every part once' every_part_once
check 'the map at the head of aidash.c names the parts in their order' map_is_true
check 'a part includes only parts above it' arrows_run_up
check 'each part compiles with what it includes' alone
check 'a part that is compiled alone says what to compile' not_alone
check 'aidash.c without src/ says how to get one file' without_parts

# ---- hardening ----------------------------------------------------------------------

# What is shipped for other machines: tests/cross.test.sh.
hardened() {
    readelf -hldsW build/aidash.debug >"$tmp/elf"
    for what in 'Type: +DYN ' 'FLAGS_1.* PIE' 'BIND_NOW' ' GNU_RELRO ' ' GNU_STACK .* RW ' ' __stack_chk_fail'; do
        grep -Eq -- "$what" "$tmp/elf" || { echo "build/aidash has no:$what"; return 1; }
    done
    ! grep -E 'LOAD .* RWE ' "$tmp/elf" || return 1
    case $($cc -dumpmachine) in *-gnu*) grep -Eq ' __[a-z]*printf_chk' "$tmp/elf" || { echo 'no copy is checked'; return 1; } ;; esac
}

# ---- static memory ----------------------------------------------------------------

# The map that `aidash --sizes` prints has a row for each part, AD_MEMORY(part, count, bytes) at the part's end.
mapped() { cat src/*/*.[ch] | tr '\n' ' ' | grep -o ' AD_MEMORY([^;]*;' | grep -o 'sizeof([a-z_]*)' | sed 's/sizeof(\(.*\))/\1/' | sort -u; }
variables() { # "BYTES NAME" of each static variable of the program, but for mbedTLS's keys; constants are in other sections
    objdump -t build/aidash.debug | awk '$3 == "O" && ($4 == ".bss" || $4 == ".data") && $NF != "global_data" { print $5, $NF }' |
        while read -r bytes name; do echo "$((0x$bytes)) $name"; done
}
all_mapped() {
    mapped >"$tmp/mapped" && variables >"$tmp/variables" && [ "$(wc -l <"$tmp/mapped")" -gt 20 ] &&
        awk 'NR == FNR { mapped[$1] = 1; next }
            $1 > 256 && !($2 in mapped) { print $2 ": " $1 " bytes in no AD_MEMORY() row"; bad = 1 }
            { n++ } END { exit bad || n < 20 }' "$tmp/mapped" "$tmp/variables"
}
map_adds_up() {
    build/aidash.debug --sizes | awk 'NR == FNR { bytes[$2] = $1; next } FILENAME == "-" { total = $NF; next } { sum += bytes[$1] }
        END { if (sum != total) print "the rows say " total ", the program has " sum; exit sum != total || sum == 0 }' \
        "$tmp/variables" - "$tmp/mapped"
}
check 'the program is built' $make --no-print-directory build/aidash.debug
check 'it is position-independent, read-only after relocation, its stack and copies are guarded' hardened
check 'each static variable above 256 bytes is in the map of memory' all_mapped
check 'the map adds up to the sizes of these variables' map_adds_up

# "LIMIT DEFAULT BYTES" for each limit of src/limits.h whose comment says "N bytes each" (or kB, MB)
costs() {
    awk '/^\/\*/ { text = "" }
        { text = text " " $0 }
        /^#define AIDASH_/ && $3 ~ /^[0-9]+$/ {
            gsub(/ \* /, " ", text); gsub(/ +/, " ", text)
            if (match(text, /[0-9.]+ (bytes|kB|MB) each/)) {
                split(substr(text, RSTART, RLENGTH), cost, " ")
                print $2, $3, cost[1] * (cost[2] == "MB" ? 1e6 : cost[2] == "kB" ? 1e3 : 1)
            }
            text = ""
        }' src/limits.h
}
static_bytes() { # with these flags; -O1 leaves out at once what main() does not call, which is nearly everything
    # shellcheck disable=SC2086
    $compile -w -O1 -g0 -DAD_UNIT -I. -Wl,--gc-sections "$@" -o "$tmp/sum" "$tmp/sum.c" && "$tmp/sum"
}
costs_are_true() { # half as many cost half as much, within 5 %
    printf '#include "src/web/memory.c"\nint main(void) { return printf("%%zu\\n", ad_memory_sum()) < 0; }\n' >"$tmp/sum.c"
    costs >"$tmp/costs" && [ "$(wc -l <"$tmp/costs")" -ge 12 ] && full=$(static_bytes) || return 1
    while read -r limit usual bytes; do
        less=$(static_bytes "-D$limit=$((usual / 2))") || return 1
        echo "$limit $(((full - less) / (usual - usual / 2))) $bytes"
    done <"$tmp/costs" | awk '$2 > $3 * 1.05 || $2 < $3 * 0.95 { print $1 ": " $2 " bytes each, and not " $3; bad = 1 } { n++ } END { exit bad || n == 0 }'
}
check 'the costs that src/limits.h states are true' costs_are_true

# ---- the header ---------------------------------------------------------------------

example() { # the program in aidash.h's first comment
    sed -n '/A complete program/,/^ \* Limits/p' aidash.h | sed -n 's/^ \*     //p; s/^ \*$//p'
}
echo '#include "aidash.h"' >"$tmp/only.c"
cp "$tmp/only.c" "$tmp/only.cc"
example >"$tmp/example.c"
check 'aidash.h is C99' $cc -std=c99 -pedantic $warnings -I. -fsyntax-only "$tmp/only.c"
if command -v g++ >/dev/null; then
    check 'aidash.h is C++98' \
        g++ -std=c++98 -pedantic -Wall -Wextra -Wno-long-long -Werror -I. -fsyntax-only "$tmp/only.cc"
    cplusplus() { g++ -fsyntax-only -I. -x c++ aidash.c 2>&1 | grep 'aidash.c is C: compile it with a C compiler'; }
    check 'a C++ compiler is told to leave aidash.c to C' cplusplus
else
    skip 'aidash.h from C++: there is no g++'
fi
check 'the program in aidash.h compiles and links' \
    $cc -std=gnu99 $warnings -I. -o "$tmp/example" "$tmp/example.c" build/lib/aidash.o -lpthread
for f in examples/*/*.c; do
    case $f in examples/bridges/*) continue ;; esac # they need libraries: `make bridges`
    [ -f "$f" ] || continue
    check "$f compiles and links" $cc -std=gnu11 $warnings -I. -o "$tmp/example" "$f" build/lib/aidash.o -lpthread
done

# ---- the rest -----------------------------------------------------------------------

no_addresses() { ! grep -n '"resolved"' "$1"; }
for f in www tests; do
    check "$f/package-lock.json pins by checksum alone" no_addresses $f/package-lock.json
done
for f in toolchains/*.sh www/*.sh tests/*.sh; do
    check "$f is valid shell" sh -n "$f"
done
finish
