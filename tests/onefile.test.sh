#!/bin/sh
# onefile.test.sh - build/dist/aidash.c is aidash.c and nothing else, and compiles without a warning wherever it is dropped
# in. After `make amalgamation build/compile`.
. tests/check.sh
compile=$(cat build/compile)
one=build/dist/aidash.c
warnings='-Wall -Wextra -Werror'

# ---- what it is ----------------------------------------------------------------

# What the compiler sees once all is included, without what only the one file has: the pragmas around others' parts, and
# the place that an assertion or a function tells.
# shellcheck disable=SC2086 # words are meant to be split
seen() { $compile "$@" -E -P | sed '/^ *$/d; /^#pragma GCC diagnostic/d; s/__func__, [0-9]*,/__func__,/; s/"[^"]*", [0-9]*, __extension__ __PRETTY_FUNCTION__/__func__/g'; }
faithful() {
    seen "$@" aidash.c >"$tmp/parts.i" && seen "$@" $one >"$tmp/one.i" && [ "$(wc -l <"$tmp/one.i")" -gt 10000 ] &&
        diff "$tmp/parts.i" "$tmp/one.i"
}
no_private_include() { ! grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' $one; }
# shellcheck disable=SC2046
again() { sh toolchains/amalgamate.sh "${CC:-gcc}" -std=c11 $(printf ' -I%s' $(cat build/dist.included)) | cmp - $one; }
says_licences() {
    sed '/^ \*\/$/q' $one >"$tmp/top"
    for words in 'aidash contributors' 'The CivetWeb developers' 'Serge Zaitsev' 'Leon Sorokin' 'Mark Adler' 'Aladdin Enterprises' \
        'public domain (Steve Reid' 'Permission is hereby granted' 'Altered source versions must be plainly marked'; do
        grep -F "$words" "$tmp/top" || return 1
    done
}
check 'to the compiler it is aidash.c' faithful
check 'without the meter and the page, too' faithful -DAIDASH_METER=0 -DAIDASH_DASHBOARD=0
check 'it includes nothing but the system' no_private_include
check 'it opens with the licences of all that is inside' says_licences
check 'made again it has the same bytes' again
check 'aidash.h goes along' cmp aidash.h build/dist/aidash.h

# ---- dropped in ------------------------------------------------------------------

# From here on there are these two files and a program.
cp $one build/dist/aidash.h "$tmp/"
sed -n '/A complete program/,/^ \* Limits/p' aidash.h | sed -n 's/^ \*     //p; s/^ \*$//p' >"$tmp/app.c"
sed 's/= {0}/= {}/' "$tmp/app.c" >"$tmp/app.cc"
cd "$tmp" || exit 1

# shellcheck disable=SC2086
dropped_in() { compiler=$1; shift; $compiler $warnings "$@" app.c aidash.c -DAIDASH_NO_MAIN -lpthread -o app && [ -x app ]; }
for std in c11 gnu17; do
    check "a C program takes it in with gcc -std=$std" dropped_in "${CC:-gcc}" -D_GNU_SOURCE -std=$std
done
check 'without the meter and the page' dropped_in "${CC:-gcc}" -O3 -DAIDASH_METER=0 -DAIDASH_DASHBOARD=0
misspelt() { ! "${CC:-gcc}" -fsyntax-only -DAIDASH_CLIENT=8 aidash.c 2>misspelt.log && grep 'do you mean AIDASH_CLIENTS' misspelt.log; }
check 'a limit that is misspelt is refused' misspelt
cat >own.c <<'C'
#include "aidash.h"
#include <stdio.h>
int main(void)
{
    struct aidash_config config = {.source = "no such"};
    return printf("my own: %d\n", aidash_start(&config)) < 0;
}
C
without_no_main() { # it links, and says so; its own main() is the one that runs
    "${CC:-gcc}" $warnings own.c aidash.c -lpthread -o own 2>link.log || return 1
    grep 'warning: aidash.c was compiled without -DAIDASH_NO_MAIN' link.log && [ "$(./own)" = 'my own: -1' ]
}
check 'AIDASH_NO_MAIN that was forgotten is told by the linker' without_no_main
no_warning() { "${CC:-gcc}" $warnings aidash.c -lpthread -o aidash 2>link.log && [ ! -s link.log ]; }
check 'aidash itself links without a word' no_warning
check 'as an object' "${CC:-gcc}" -c aidash.c -DAIDASH_NO_MAIN
check 'that a C++ program links' g++ -std=c++98 -Wall -Wextra -Wno-long-long -Werror app.cc aidash.o -lpthread -o app
if command -v clang >/dev/null; then
    check 'with clang' dropped_in clang
    check 'with clang, without the meter' dropped_in clang -DAIDASH_METER=0
    check 'and clang++' clang++ -Wall -Wextra -Werror app.cc aidash.o -lpthread -o app
else
    skip 'the one file with clang: there is none'
fi
if command -v musl-gcc >/dev/null || (cd "$root" && sh toolchains/fetch.sh need musl-gcc); then
    check 'with musl' dropped_in musl-gcc -static
    check 'and as the program itself' musl-gcc -static $warnings -o aidash aidash.c -lpthread
    check 'which runs' ./aidash --sizes
else
    skip 'the one file with musl: musl-tools is not to be had'
fi
finish
