#!/bin/sh
# icons.sh ICON.svg DIR - draws the page's icon as PNG files, for systems that take no SVG: icon-192.png and icon-512.png with
# round corners, icon-maskable.png (512) and icon-touch.png (180) without, as what shows these cuts their corners itself.
#
# Of the SVG it takes what icon.svg has: a viewBox of 24, a square with rx and fill, and a white path of width 2 with round ends
# (M h l H). A PNG is drawn by awk and packed by gzip: its stream is what PNG's zlib stream has inside (RFC 1950, 1951, 1952),
# and the CRC that it ends with is that of PNG's chunks. The same files give the same bytes.
set -eu
LC_ALL=C
export LC_ALL

svg=$1
dir=$2
mkdir -p "$dir"
tmp=$(mktemp -d "$dir/icons.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# The bytes of each line of numbers.
bytes() { awk '{ for (i = 1; i <= NF; i++) printf "\\0%03o", $i; print "" }' | while read -r line; do printf '%b' "$line"; done; }

be32() { echo $(($1 >> 24 & 255)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255)) | bytes; }

chunk() { # TYPE: its data is $tmp/data
    be32 $(($(wc -c <"$tmp/data")))
    { printf '%s' "$1" && cat "$tmp/data"; } >"$tmp/chunk"
    cat "$tmp/chunk"
    gzip -1n <"$tmp/chunk" | tail -c 8 | od -An -tu1 -N4 | awk '{ print $4, $3, $2, $1 }' | bytes
}

png() { # SIZE CORNERS(round|square) FILE
    sed -n 's/.* rx="\([0-9.]*\)" fill="#\(..\)\(..\)\(..\)".* d="\([^"]*\)".*/\1 0x\2 0x\3 0x\4 \5/p' "$svg" >"$tmp/shape"
    awk -v size="$1" -v corners="$2" -v palette="$tmp/palette" -v sum="$tmp/sum" '
        # Of 16 colours, 0 to 6 are the square, from clear to opaque, and 7 to 15 the path upon it, up to white.
        BEGIN { SQUARE = 6; PATH = 9; WHITE = 255 }

        function digits(hex) { return 16 * (index("0123456789abcdef", substr(hex, 3, 1)) - 1) + index("0123456789abcdef", substr(hex, 4, 1)) - 1 }
        function mix(from, part) { return int(from + (WHITE - from) * part + 0.5) }
        function clamp(v) { return v < 0 ? 0 : v > 1 ? 1 : v }

        # The points of the path: M and H are absolute, h and l relative.
        function points(d,    n, list, i, command, x) {
            gsub(/[MhlH]/, " & ", d)
            gsub(/-/, " -", d)
            n = split(d, list, " ")
            for (i = 1; i <= n; ) {
                if (list[i] ~ /[MhlH]/) command = list[i++]
                x = list[i++]
                np++
                px[np] = command ~ /[hl]/ ? px[np - 1] + x : x + 0
                py[np] = command == "M" ? list[i++] + 0 : command == "l" ? py[np - 1] + list[i++] : py[np - 1]
            }
        }

        # The square of the distance of a point and the line from one point of the path to the next.
        function far(k, x, y,    ux, uy, t) {
            ux = px[k + 1] - px[k]
            uy = py[k + 1] - py[k]
            t = clamp(((x - px[k]) * ux + (y - py[k]) * uy) / (ux * ux + uy * uy))
            return (px[k] + t * ux - x) ^ 2 + (py[k] + t * uy - y) ^ 2
        }

        # How much of a pixel is in the square with its corners, and how much in the path.
        function inside(x, y,    ax, ay) {
            ax = (x < 12 ? 12 - x : x - 12) - 12 + radius
            ay = (y < 12 ? 12 - y : y - 12) - 12 + radius
            return ax > 0 && ay > 0 ? clamp((radius - sqrt(ax * ax + ay * ay)) * scale + 0.5) : 1
        }
        function stroked(x, y,    k, d, best) {
            best = 1e9
            for (k = 1; k <= near; k++) if ((d = far(active[k], x, y)) < best) best = d
            return clamp((1 - sqrt(best)) * scale + 0.5)
        }

        {
            radius = corners == "round" ? $1 : 0
            scale = size / 24
            rgb[1] = digits($2); rgb[2] = digits($3); rgb[3] = digits($4)
            sub(/^[^ ]+ [^ ]+ [^ ]+ [^ ]+ /, "")
            points($0)
            for (i = 0; i < 16; i++) {
                for (c = 1; c <= 3; c++) printf "%d ", (i <= SQUARE ? rgb[c] : mix(rgb[c], (i - SQUARE) / PATH)) >palette
            }
            print "" >palette
            for (i = 0; i < SQUARE; i++) printf "%d ", (255 * i / SQUARE) >(palette ".alpha")
            print "" >(palette ".alpha")
            a = 1; b = 0 # Adler-32
            for (row = 0; row < size; row++) {
                y = (row + 0.5) / scale
                near = 0
                left = 24; right = 0
                for (k = 1; k < np; k++) {
                    if ((py[k] < y - 1.2 && py[k + 1] < y - 1.2) || (py[k] > y + 1.2 && py[k + 1] > y + 1.2)) continue
                    active[++near] = k
                    for (i = k; i <= k + 1; i++) {
                        if (px[i] - 1.2 < left) left = px[i] - 1.2
                        if (px[i] + 1.2 > right) right = px[i] + 1.2
                    }
                }
                line = "0" # the row is as it is
                b = (b + a) % 65521
                for (column = 0; column < size; column += 2) {
                    byte = 0
                    for (i = 0; i < 2; i++) {
                        x = (column + i + 0.5) / scale
                        part = x > left && x < right ? int(stroked(x, y) * PATH + 0.5) : 0
                        byte = byte * 16 + (part ? SQUARE + part : int(inside(x, y) * SQUARE + 0.5))
                    }
                    line = line " " byte
                    a = (a + byte) % 65521
                    b = (b + a) % 65521
                }
                print line
            }
            print int(b / 256), b % 256, int(a / 256), a % 256 >sum
        }' "$tmp/shape" | bytes >"$tmp/rows"
    {
        printf '\211PNG\r\n\032\n'
        { be32 "$1" && be32 "$1" && printf '\004\003\000\000\000'; } >"$tmp/data" # 4 bits a pixel, with a palette
        chunk IHDR
        bytes <"$tmp/palette" >"$tmp/data"
        chunk PLTE
        if [ "$2" = round ]; then
            bytes <"$tmp/palette.alpha" >"$tmp/data"
            chunk tRNS
        fi
        gzip -9n <"$tmp/rows" >"$tmp/packed"
        {
            printf '\170\332'
            tail -c +11 "$tmp/packed" | head -c $(($(wc -c <"$tmp/packed") - 18))
            bytes <"$tmp/sum"
        } >"$tmp/data"
        chunk IDAT
        : >"$tmp/data"
        chunk IEND
    } >"$tmp/png"
    mv "$tmp/png" "$dir/$3"
}

png 192 round icon-192.png
png 512 round icon-512.png
png 512 square icon-maskable.png
png 180 square icon-touch.png
