#!/bin/sh
# embed.sh OUT FILE... - turns page files into a C header: one gzipped byte array a file, and the table of them.
#
# index.html is served as /, contract.schema.json as /contract.json, every other file as /NAME. The same files give the
# same header. ZOPFLI, if it is set, is a command that does what gzip does. The struct is declared where the header is included:
#     struct ad_asset {
#         const char *path, *type; const unsigned char *data; size_t len; const char *etag;
#         size_t plain_len; const char *plain_etag;
#     };
# AD_ASSETS_LARGEST is the greatest plain_len.
set -eu
LC_ALL=C
export LC_ALL

out=$1
shift
tmp=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

for file; do
    name=${file##*/}
    case $name in
    index.html) path=/ ;;
    contract.schema.json) path=/contract.json ;;
    *) path=/$name ;;
    esac
    case $name in
    contract.schema.json) type='application/schema+json' ;;
    *.html) type='text/html; charset=utf-8' ;;
    *.js | *.mjs) type='text/javascript; charset=utf-8' ;;
    *.css) type='text/css; charset=utf-8' ;;
    *.svg) type='image/svg+xml' ;;
    *.json) type='application/json' ;;
    *.png) type='image/png' ;;
    *.webmanifest) type='application/manifest+json' ;;
    *) echo "embed.sh: $file: no content type is known for this kind of file" >&2; exit 1 ;;
    esac
    printf '%s\t%s\t%s\n' "$path" "$type" "$file"
done >"$tmp/files"
sort "$tmp/files" >"$tmp/list"

twice=$(cut -f1 "$tmp/list" | uniq -d)
[ -z "$twice" ] || { echo "embed.sh: two files for $twice" >&2; exit 1; }

# A file as it is embedded: the page without its indentation.
plain() {
    case ${1##*/} in
    *.html) sed 's/^ *//' "$1" ;;
    *) cat "$1" ;;
    esac
}

sum_of() { sha256sum <"$1" | cut -c1-16; }

n=0
largest=0
tab=$(printf '\t')
while IFS=$tab read -r path type file; do
    plain "$file" >"$tmp/plain" && ${ZOPFLI:-gzip -9n} <"$tmp/plain" >"$tmp/body"
    length=$(($(wc -c <"$tmp/plain")))
    [ "$length" -le "$largest" ] || largest=$length
    echo "/* $path: $(($(wc -c <"$file"))) bytes, $(($(wc -c <"$tmp/body"))) here */"
    echo "static const unsigned char ad_asset_$n[] = {"
    od -An -v -tx1 "$tmp/body" | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g'
    echo '};'
    printf '    {"%s", "%s", ad_asset_%d, sizeof ad_asset_%d, "\\"%s\\"", %d, "\\"%s\\""},\n' \
        "$path" "$type" $n $n "$(sum_of "$tmp/body")" "$length" "$(sum_of "$tmp/plain")" >>"$tmp/table"
    echo "$largest" >"$tmp/largest"
    n=$((n + 1))
done <"$tmp/list" >"$tmp/arrays"

{
    echo '/* The page files, made by www/embed.sh. */'
    cat "$tmp/arrays"
    echo "enum { AD_ASSETS_LARGEST = $(cat "$tmp/largest") };"
    echo 'static const struct ad_asset ad_assets[] = {'
    cat "$tmp/table"
    echo '};'
} >"$tmp/header"
mv "$tmp/header" "$out"
