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

# The limits of section SIZES as -DNAME=VALUE words: their least values, or the greatest of those that have one.
least() { sed -n 's/^#if \(AIDASH_[A-Z_]*\) < \([0-9][0-9]*\) ||.*/-D\1=\2/p' aidash.c; }
greatest() { sed -n 's/^#if \(AIDASH_[A-Z_]*\) < [0-9]* || \1 > \([0-9][0-9]*\)$/-D\1=\2/p' aidash.c; }

check 'the library compiles without a warning' $make --no-print-directory build/lib/aidash.o
check 'the program compiles without a warning' syntax aidash.c
check 'aidash.c names the ranges of its limits' test "$(least | wc -l)" -eq "$(grep -c '^#error "AIDASH_' aidash.c)"
check 'it compiles with every limit at its least' syntax $(least) aidash.c
check 'it compiles with every limit at its greatest' syntax $(greatest) aidash.c
check 'it compiles without the dashboard' syntax -DAIDASH_DASHBOARD=0 aidash.c
check 'it compiles without the meter' syntax -DAIDASH_METER=0 aidash.c
check 'it compiles without both' syntax -DAIDASH_METER=0 -DAIDASH_DASHBOARD=0 aidash.c
small_arena() { syntax -DAIDASH_ARENA_BYTES=49152 aidash.c 2>&1 | grep 'AIDASH_ARENA_BYTES is less than civetweb needs'; }
check 'an arena that civetweb could not start in is refused, and named' small_arena
check 'it compiles with poll() for epoll' syntax -DAIDASH_USE_POLL=1 aidash.c
check 'it compiles at -O2 with NDEBUG' syntax -DNDEBUG aidash.c
if command -v clang >/dev/null; then
    clang_syntax() { clang ${compile#"$cc"} $warnings -fsyntax-only "$@"; }
    check 'it compiles with clang without a warning' clang_syntax aidash.c
else
    skip 'the compile with clang: there is none'
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
check 'nothing but aidash_* leaves the object' only_ours
check 'no allocator is called' no_allocator
check 'every exported function is in aidash.h' every_function_is_declared

# ---- the map ----------------------------------------------------------------------

map_is_true() {
    sed '/^ \*\//q' aidash.c | sed -n 's/^ \* *\([0-9][0-9]*\) \([A-Z][A-Z]*\) .*/\1 \2/p' >"$tmp/map"
    sed -n 's/^\/\* ==== \([0-9][0-9]*\) \([A-Z][A-Z]*\) =* \*\/$/\1 \2/p' aidash.c >"$tmp/banners"
    [ -s "$tmp/map" ] && diff "$tmp/map" "$tmp/banners"
}
check 'the map at the head of aidash.c names its sections' map_is_true

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
