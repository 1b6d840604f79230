# strip.awk - takes comments, indentation, empty lines and spaces around operators out of our scripts and style sheets:
# comments of whole lines, and those beside code that hold no quote; spaces outside of "texts", on lines that hold no other kind
# of text. tests/web/strip.test.mjs compares the code before and after. keep=1 leaves the first block comment.
function tight(s) {
    gsub(/ = /, "=", s); gsub(/ => /, "=>", s); gsub(/ === /, "===", s); gsub(/ !== /, "!==", s)
    gsub(/ && /, "\\&\\&", s); gsub(/ \|\| /, "||", s)
    gsub(/, /, ",", s); gsub(/: /, ":", s); gsub(/; /, ";", s)
    gsub(/ \{/, "{", s); gsub(/\{ /, "{", s); gsub(/ \}/, "}", s)
    return s
}
{ sub(/^[ \t]+/, "") }
keeping { print; if (index($0, "*/")) keeping = 0; next }
keep && /^\/\*/ { print; keep = 0; keeping = !index($0, "*/"); next }
block { if (!(i = index($0, "*/"))) next; $0 = substr($0, i + 2); block = 0 }
/^\/\*/ { if (!(i = index($0, "*/"))) { block = 1; next } $0 = substr($0, i + 2) }
{ sub(/^[ \t]+/, "") }
$0 == "" || /^\/\// { next }
/[;,{)\]] \/\/ [^"'`]*$/ { sub(/ \/\/ [^"'`]*$/, "") }
!/['`\\\/]/ {
    n = split($0, part, "\"")
    $0 = tight(part[1])
    for (i = 2; i <= n; i++) $0 = $0 "\"" (i % 2 ? tight(part[i]) : part[i])
}
{ print }
