# strip.awk - takes comments, indentation and empty lines out of our scripts and style sheets: comments of whole lines, and
# those beside code that hold no quote. tests/web/strip.test.mjs compares the code before and after. keep=1 leaves the first
# block comment.
{ sub(/^[ \t]+/, "") }
keeping { print; if (index($0, "*/")) keeping = 0; next }
keep && /^\/\*/ { print; keep = 0; keeping = !index($0, "*/"); next }
block { if (!(i = index($0, "*/"))) next; $0 = substr($0, i + 2); block = 0 }
/^\/\*/ { if (!(i = index($0, "*/"))) { block = 1; next } $0 = substr($0, i + 2) }
{ sub(/^[ \t]+/, "") }
$0 == "" || /^\/\// { next }
/[;,{)\]] \/\/ [^"'`]*$/ { sub(/ \/\/ [^"'`]*$/, "") }
{ print }
