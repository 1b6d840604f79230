#!/bin/sh
# measure.sh DOC - prints a page of docs/measure.md, from the first of its sections that tells of the dashboard's numbers: the
# dashboard links to it. Of Markdown it knows what the file has: headings, paragraphs, tables, fenced code, `code`, **bold**, links.
# A link to another file of docs/ becomes its text, as that file is not served.
set -eu
LC_ALL=C
export LC_ALL

awk -v first='What the meter measures' '
function inline(text,    out, at, part, url) {
    gsub(/&/, "\\&amp;", text)
    gsub(/</, "\\&lt;", text)
    out = ""
    while (match(text, /`[^`]*`|\*\*[^*]+\*\*|\[[^]]*\]\([^)]*\)/)) {
        out = out substr(text, 1, RSTART - 1)
        part = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        if (part ~ /^`/) out = out "<code>" substr(part, 2, length(part) - 2) "</code>"
        else if (part ~ /^\*/) out = out "<b>" inline(substr(part, 3, length(part) - 4)) "</b>"
        else {
            at = index(part, "](")
            url = substr(part, at + 2, length(part) - at - 2)
            part = inline(substr(part, 2, at - 2))
            out = out (url ~ /^#/ ? "<a href=\"" url "\">" part "</a>" : part)
        }
    }
    return out text
}
# The anchor of a heading, as GitHub has it.
function anchor(text) {
    text = tolower(text)
    gsub(/[^a-z0-9 _-]/, "", text)
    gsub(/ /, "-", text)
    return text
}
function flush() {
    if (text != "") print "<p>" inline(text) "</p>"
    if (rows) print "</table>"
    text = ""
    rows = 0
}
function cells(line, kind,    n, i, cell, out) {
    n = split(line, cell, / *\| */)
    for (i = 2; i < n; i++) out = out "<" kind ">" inline(cell[i]) "</" kind ">"
    return "<tr>" out "</tr>"
}
/^```/ { flush(); code = !code; if (shown) print code ? "<pre>" : "</pre>"; next }
code { if (shown) { gsub(/&/, "\\&amp;"); gsub(/</, "\\&lt;"); print }; next }
/^# / {
    title = substr($0, 3)
    print "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">"
    print "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
    print "<title>" title "</title>\n<link rel=\"icon\" href=\"./icon.svg\">\n<link rel=\"stylesheet\" href=\"./style.css\">"
    print "<script type=\"module\" src=\"./theme.js\" blocking=\"render\"></script>\n</head>\n<body>\n<main class=\"doc\">\n<h1>" title "</h1>"
    next
}
/^## / {
    flush()
    name = substr($0, 4)
    if (name == first) shown = 1
    if (shown) print "<h2 id=\"" anchor(name) "\">" inline(name) "</h2>"
    next
}
!shown { next }
/^$/ { flush(); next }
/^\| *-/ { next }
/^\|/ { if (!rows) print "<table>"; print cells($0, rows++ ? "td" : "th"); next }
{ text = text (text == "" ? "" : " ") $0 }
END {
    if (!shown) { print "measure.sh: there is no section \"" first "\"" >"/dev/stderr"; exit 1 }
    flush()
    print "</main>\n</body>\n</html>"
}
' "$1"
