#!/bin/sh
# amalgamate.sh - prints aidash.c as one file: every #include of a file that is not the system's is replaced by that file.
#
#   amalgamate.sh COMPILER FLAGS...     FLAGS have -I for each directory of such files
#
# The compiler tells which files these are, so what a default build leaves out (civetweb's Lua, say) stays out. A file comes
# in once; what is not aidash's own is not asked for the embedder's warnings.
set -eu
LC_ALL=C
export LC_ALL

parts=$("$@" -MM aidash.c)
version=$(sed -n 's/^#define AIDASH_VERSION "\(.*\)"/\1/p' aidash.h)

cat <<TEXT
/* aidash $version in one file, made by \`make amalgamation\` from aidash.c and the parts below. A program with aidash
 * inside (the API is aidash.h), and aidash itself:
 *
 *     cc app.c aidash.c -DAIDASH_NO_MAIN -lpthread
 *     cc -o aidash aidash.c -lpthread
 *
 * Sizes are macros: see "begin src/limits.h". The licences of all that is inside:
 *
TEXT
{
    echo '## aidash'
    echo
    cat LICENSE
    echo
    echo '## The parts'
    echo
    sed -n '/^## The Apache licence/q; /^| part/,$p' THIRD-PARTY.md # what it is for is not in the one file
} | sed 's|\*/|* /|g; s/^/ * /; s/ *$//'
echo ' */'
echo
echo '#define AD_AMALGAMATION'

printf '%s\n' "$parts" | awk '
    { for (i = 1; i <= NF; i++) if ($i != "\\" && $i !~ /:$/) files[++n] = plain($i) }

    # A path without "DIR/../".
    function plain(path) {
        while (sub(/[^\/]+\/\.\.\//, "", path)) continue
        return path
    }

    # The file that the compiler found for this name in an #include of `from`, or "". Parts are named by their place
    # (#include "../base/text.c"), all others by what a directory of -I has.
    function found(name, from,    i, beside) {
        beside = from
        sub(/[^\/]*$/, "", beside)
        beside = plain(beside name)
        for (i = 1; i <= n; i++) if (files[i] == beside) return beside
        for (i = 1; i <= n; i++)
            if (files[i] ~ /^src\//) continue
            else if (files[i] == name || substr(files[i], length(files[i]) - length(name)) == "/" name) return files[i]
        return ""
    }

    function quiet() {
        print "#if defined(__GNUC__)"
        print "#pragma GCC diagnostic push"
        print "#pragma GCC diagnostic ignored \"-Wpragmas\" /* names that one of the compilers lacks */"
        print "#pragma GCC diagnostic ignored \"-Wunknown-warning-option\""
        for (i = split(warnings, w, " "); i > 0; i--) print "#pragma GCC diagnostic ignored \"-W" w[i] "\""
        print "#endif"
    }

    function insert(file, own,    name) {
        name = file
        if (!own) sub(/.*\//, "", name)
        print "/* ---- begin " name " ---- */"
        if (!own) quiet()
        copy(file)
        if (!own) print "#if defined(__GNUC__)\n#pragma GCC diagnostic pop\n#endif"
        print "/* ---- end " name " ---- */"
    }

    function copy(file,    line, name, path, read) {
        seen[file] = 1
        while ((read = (getline line < file)) > 0) {
            if (line ~ /^[ \t]*#[ \t]*pragma once/) continue # each file is here once
            if (line !~ /^[ \t]*#[ \t]*include[ \t]*["<]/) {
                print line
                continue
            }
            name = line
            sub(/^[^"<]*["<]/, "", name)
            sub(/[">].*/, "", name)
            path = found(name, file)
            if (path == "" && (line ~ /</ || name ~ /\//)) print line # of the system, or of a library
            else if (path == "") print "#error \"" name " is not in this file\""
            else if (path in seen) print "/* " name " is above */"
            else insert(path, path ~ /^(src\/|aidash)/ || path ~ /(^|\/)aidash_(www|misspelt)\.h$/)
        }
        if (read < 0) {
            print "amalgamate.sh: cannot read " file | "cat >&2"
            exit 1
        }
        close(file)
    }

    BEGIN {
        warnings = "array-bounds cast-qual conversion cpp discarded-qualifiers format-truncation " \
            "incompatible-pointer-types-discards-qualifiers maybe-uninitialized null-pointer-subtraction " \
            "old-style-declaration restrict sign-conversion stringop-overflow stringop-overread stringop-truncation " \
            "unused-but-set-variable unused-const-variable unused-function"
    }
    END { copy("aidash.c") }'
