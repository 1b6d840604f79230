#!/bin/sh
# pages.sh - draws three scanned pages into the current directory, with Tesseract's own text2image and the font DejaVu Sans
# (Debian, Ubuntu: tesseract-ocr, fonts-dejavu-core).
set -e
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
page() {
    echo "$2" >"$tmp/text"
    text2image --text="$tmp/text" --outputbase="$1" --font='DejaVu Sans' --fonts_dir=/usr/share/fonts/truetype/dejavu \
        --fontconfig_tmpdir="$tmp" --xsize=1200 --ysize=300 --margin=40 --ptsize=14 2>/dev/null
    rm -f "$1.box"
}
page page-1 'The quick brown fox jumps over the lazy dog'
page page-2 'An inference engine reads one page and tells how long it took'
page page-3 'Five words on this page'
