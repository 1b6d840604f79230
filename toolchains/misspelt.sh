#!/bin/sh
# misspelt.sh - prints build/aidash_misspelt.h: for each limit of src/limits.h, names that look like it and are none. Run it from
# the root; make does.
set -eu

cat <<'END'
/* aidash_misspelt.h - names that look like a limit of src/limits.h and are none: the
 * preprocessor would ignore them in silence. For each limit, its name with an S at the
 * end or without, and with _MAX or without. Made by toolchains/misspelt.sh.
 */
#ifndef AIDASH_MISSPELT_H_INCLUDED
#define AIDASH_MISSPELT_H_INCLUDED

END
sed -n 's/^#ifndef \(AIDASH_[A-Z_]*\)$/\1/p' src/limits.h | awk '!seen[$0]++' | awk '
    function add(name) {
        if (name in known || name in given || name in public) return
        known[name] = 1
        printf "#ifdef %s\n#error \"%s is none of the limits: do you mean %s?\"\n#endif\n", name, name, limit
    }
    BEGIN {
        while ((getline line <"aidash.h") > 0) {
            if (match(line, /^#define AIDASH_[A-Z_]+/)) public[substr(line, 9, RLENGTH - 8)] = 1
        }
    }
    { limits[++n] = $0; given[$0] = 1 }
    END {
        for (i = 1; i <= n; i++) {
            limit = limits[i]
            add(limit ~ /S$/ ? substr(limit, 1, length(limit) - 1) : limit "S")
            add(limit ~ /_MAX$/ ? substr(limit, 1, length(limit) - 4) : limit "_MAX")
        }
    }'
printf '\n#endif\n'
