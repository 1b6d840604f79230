# strip.awk - makes our scripts and style sheets shorter: comments, indentation, empty lines and unneeded spaces go.
# It works line by line and knows little of the languages: a text ends on its line; after a slash that begins no comment the
# line stays as it is, but for a comment without quotes at its end. tests/web/strip.test.mjs compares the code before and after.
# css=1: a style sheet, where most spaces count. keep=1: the first block comment stays.
function tight_css(s) {
    gsub(/, /, ",", s); gsub(/: /, ":", s); gsub(/; /, ";", s)
    gsub(/ \{/, "{", s); gsub(/\{ /, "{", s); gsub(/ \}/, "}", s)
    return s
}
# Code without a text in it: a space is needed between two words, and between two equal signs ("a - -b").
function tight(s,    out, i, before, after) {
    while (i = index(s, " ")) {
        out = out substr(s, 1, i - 1)
        before = substr(out, length(out))
        after = substr(s, i + 1, 1)
        s = substr(s, i + 1)
        if (before ~ /[A-Za-z0-9_$]/ && after ~ /[A-Za-z0-9_$#]/ || before == after) out = out " "
    }
    return out s
}
# The length of the text that s begins with, quotes included; 0: it does not end on this line, or another is nested in it.
function text(s,    quote, i, c, holes) {
    quote = substr(s, 1, 1)
    for (i = 2; i <= length(s); i++) {
        c = substr(s, i, 1)
        if (c == "\\") i++
        else if (quote == "`" && c == "$" && substr(s, i + 1, 1) == "{") holes++
        else if (c == "}" && holes) holes--
        else if (c == quote) return holes ? 0 : i
    }
    return 0
}
function script(s,    out, n) {
    while (match(s, "[\"'`/]")) {
        out = out tight(substr(s, 1, RSTART - 1))
        s = substr(s, RSTART)
        if (s ~ /^\/\*/ && (n = index(s, "*/"))) {
            s = substr(s, n + 2)
            sub(/^ /, "", s)
        } else if (s ~ /^\/\//) {
            return out
        } else if (s !~ /^\// && (n = text(s))) {
            out = out substr(s, 1, n)
            s = substr(s, n + 1)
        } else {
            return out s
        }
    }
    return out tight(s)
}
{ sub(/^[ \t]+/, "") }
keeping { print; if (index($0, "*/")) keeping = 0; next }
keep && /^\/\*/ { print; keep = 0; keeping = !index($0, "*/"); next }
block { if (!(i = index($0, "*/"))) next; $0 = substr($0, i + 2); block = 0 }
/^\/\*/ { if (!(i = index($0, "*/"))) { block = 1; next } $0 = substr($0, i + 2) }
{ sub(/^[ \t]+/, "") }
$0 == "" || /^\/\// { next }
/[];,{)] \/\/ [^"'`]*$/ { sub(/ \/\/ [^"'`]*$/, "") }
{ $0 = css ? tight_css($0) : script($0) }
{ printf "%s%s", $0, /[;,{(]$/ ? "" : "\n" }
