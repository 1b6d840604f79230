#!/bin/sh
# fill.sh TEXTS FILE - prints a file of the page, index.html or manifest.webmanifest, with texts in place of {{NAME}}.
#
# TEXTS is texts.js or a translation of it. A text for a file is one line there: export const NAME = "TEXT";
set -eu
LC_ALL=C
export LC_ALL

exec awk '
function failed(what) { print "fill.sh: " FILENAME ":" FNR ": " what >"/dev/stderr"; exit 1 }
FNR == 1 { file++; html = FILENAME ~ /\.html$/ }
file == 1 && /^export const [A-Za-z0-9]+ = ".*";$/ {
    name = $3
    text = substr($0, index($0, "\"") + 1)
    texts[name] = substr(text, 1, length(text) - 2)
}
file == 1 { next }
{
    rest = $0
    out = ""
    while ((at = index(rest, "{{")) > 0) {
        out = out substr(rest, 1, at - 1)
        rest = substr(rest, at + 2)
        end = index(rest, "}}")
        name = substr(rest, 1, end - 1)
        if (end == 0 || !(name in texts)) failed("there is no text {{" name "}}")
        text = texts[name]
        if (html) { # JSON has the escapes of JavaScript
            gsub(/\\"/, "\"", text)
            gsub(/\\\\/, "\\", text)
            gsub(/&/, "\\&amp;", text)
            gsub(/"/, "\\&quot;", text)
            gsub(/</, "\\&lt;", text)
        }
        out = out text
        rest = substr(rest, end + 2)
    }
    print out rest
}
' "$@"
