#!/bin/sh
# bundle.sh OUT TEXTS - puts the page together, in the directory OUT: app.js is all modules but two, which it imports: the
# client, which is for other pages too, and uPlot. Beside them are the theme, the style sheet, and the files with texts.
#
# TEXTS is www/texts.js or a translation of it. ESBUILD names the program, UPLOT uPlot's package. TERSER, if it is set, is a
# command that makes app.js a fifteenth smaller.
#
# All is minified, and so without comments. app.js has no import() of a module of its own: that would cost each module a
# wrapper.
set -eu

out=$1
texts=$2
www=$(dirname "$0")
copy=
rm -rf "$out"
mkdir -p "$out"
if [ "$texts" != "$www/texts.js" ]; then
    copy=$(mktemp -d "$out.XXXXXX")
    trap 'rm -rf "$copy"' EXIT
    cp "$www"/*.js "$copy/"
    cp "$texts" "$copy/texts.js"
fi
modules=${copy:-$www}

minify() {
    "$ESBUILD" "$@" --minify --legal-comments=inline --log-level=warning --target=chrome92,firefox98,safari15.4 --outdir="$out"
}

minify "$modules/app.js" --bundle --format=esm --alias:uplot=./uplot.js --external:./uplot.js --external:./aidash-client.js
minify "$modules/theme.js" --bundle --format=esm
minify "$www/style.css" --bundle
minify "$www/aidash-client.js" --banner:js="$(sed -n '/^\/\*\*/,/^ \*\//p; /^ \*\//q' "$www/aidash-client.js")"
# uPlot without what no chart here has: the ways to draw that are each added by a line of their own, and its legend.
sed -e '/^[[:blank:]]*(paths\.stepped *=/d' -e '/^[[:blank:]]*(paths\.bars *=/d' -e '/^[[:blank:]]*(paths\.spline *=/d' \
    -e 's/const showLegend = legend\.show;/const showLegend = false;/' \
    "$UPLOT/dist/uPlot.esm.js" >"$out/plain.mjs"
minify "$out/plain.mjs" --bundle --format=esm --out-extension:.js=.mjs --entry-names=uplot
if [ -n "${TERSER:-}" ]; then
    $TERSER "$out/app.js" --module --ecma 2020 --compress passes=3 --mangle --output "$out/app.js"
    $TERSER "$out/plain.mjs" --module --ecma 2020 --compress passes=3 --mangle --output "$out/uplot.mjs"
fi
{
    echo '/*!'
    cat "$UPLOT/LICENSE"
    echo
    echo '*/'
    cat "$out/uplot.mjs"
} >"$out/uplot.js"
rm "$out/plain.mjs" "$out/uplot.mjs"
for file in index.html manifest.webmanifest; do
    sh "$www/fill.sh" "$texts" "$www/$file" >"$out/$file"
done
sh "$www/measure.sh" "$www/../docs/measure.md" >"$out/measure.html"
