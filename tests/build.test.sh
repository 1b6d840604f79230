#!/bin/sh
# build.test.sh - the build itself: what it fetches and how it says that it can't, what it embeds, what it rebuilds, and
# that the test runner counts right. Asks no registry: apt and npm meet a small repository on disk, closed ports or stubs.
. tests/check.sh
unset MAKEFLAGS MAKELEVEL MFLAGS APT_CONFIG

empty() { [ -z "$(ls -A "$1" 2>/dev/null)" ] || { ls -A "$1"; return 1; }; }

# ---- programs: stubs stand for apt-get, sudo and id ---------------------------------

# A directory with just these programs of the machine.
programs() {
    mkdir -p "$1"
    dir=$1
    shift
    for p; do ln -s "$(command -v "$p")" "$dir/$p"; done
}
stub() { cat >"$1" && chmod +x "$1"; }
base='sh cat rm touch mktemp grep tail awk sed env id chmod head cut ls find'

programs "$tmp/no-apt" $base
# shellcheck disable=SC2086
need() { PATH=$1 sh toolchains/fetch.sh need sh frobnicate; }
check 'without apt-get, what is missing is named' says 'missing.*no apt-get.*frobnicate' 1 need "$tmp/no-apt"

programs "$tmp/apt" $base
stub "$tmp/apt/apt-get" <<STUB
#!/bin/sh
echo "\$DEBIAN_FRONTEND: \$*" >>"$tmp/apt-calls"
case " \$* " in
*' update '*) touch "$tmp/updated" ;;
*' install '*)
    [ -f "$tmp/updated" ] || { echo 'E: Unable to locate package frobnicate'; exit 100; }
    printf '#!/bin/sh\n' >"$tmp/apt/frobnicate" && chmod +x "$tmp/apt/frobnicate" ;;
esac
STUB
check 'a missing program is installed, after an update where the lists are old' \
    says 'installing what is missing.*frobnicate' 0 need "$tmp/apt"
check 'apt-get asks nobody anything' grep -q '^noninteractive: -y .*install frobnicate' "$tmp/apt-calls"
rm -f "$tmp/apt-calls"
check 'what is there is not installed' need "$tmp/apt"
check 'and apt-get not called' test ! -e "$tmp/apt-calls"

rm "$tmp/apt/frobnicate"
no_install() { NO_INSTALL=1 need "$tmp/apt"; }
check 'with NO_INSTALL=1, what is missing is named, with the command to type' \
    says 'missing: frobnicate\. NO_INSTALL.*As root: apt-get install frobnicate$' 1 no_install
check 'and apt-get is not called' test ! -e "$tmp/apt-calls"
stub "$tmp/apt/apt-get" <<STUB
#!/bin/sh
echo "\$*" >>"$tmp/apt-calls"
echo 'E: Failed to fetch some index files.'
exit 100
STUB
check 'a package that is not to be had is named' says "can't install frobnicate.*network" 1 need "$tmp/apt"
rm "$tmp/apt/id"
echo 'echo 1000' | stub "$tmp/apt/id"
check 'without root or sudo, the command to type is told' says 'As root: apt-get install frobnicate' 1 need "$tmp/apt"

# ---- source packages, from a repository on disk ------------------------------------------

# repository DIR SUITE COMPONENT VERSION: with a civetweb of that version
repository() {
    mkdir -p "$1/pool" "$1/dists/$2/$3/source" "$tmp/civetweb-x/src"
    echo 'int mg;' >"$tmp/civetweb-x/src/civetweb.c"
    tar -C "$tmp" --mtime=@0 -cJf "$1/pool/civetweb_$4.orig.tar.xz" civetweb-x
    echo x >"$1/pool/civetweb_$4-1.dsc"
    {
        printf 'Package: civetweb\nBinary: libcivetweb1\nVersion: %s-1\nFormat: 3.0 (quilt)\n' "$4"
        printf 'Maintainer: x\nArchitecture: any\nDirectory: pool\nChecksums-Sha256:\n'
        for f in "civetweb_$4-1.dsc" "civetweb_$4.orig.tar.xz"; do
            echo " $(sha256sum <"$1/pool/$f" | cut -d' ' -f1) $(($(wc -c <"$1/pool/$f"))) $f"
        done
    } >"$1/dists/$2/$3/source/Sources"
    {
        printf 'Origin: test\nCodename: %s\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nComponents: %s\nSHA256:\n' "$2" "$3"
        f=$3/source/Sources
        echo " $(sha256sum <"$1/dists/$2/$f" | cut -d' ' -f1) $(($(wc -c <"$1/dists/$2/$f"))) $f"
    } >"$1/dists/$2/Release"
}
mkdir -p "$tmp/etc-line" "$tmp/etc-822/sources.list.d" "$tmp/etc-closed" "$tmp/etc-none"
printf 'ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian 12"\n' >"$tmp/debian"
printf 'ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\nPRETTY_NAME="Ubuntu 24.04"\n' >"$tmp/ubuntu"
cat >"$tmp/etc-line/sources.list" <<LIST
# deb http://127.0.0.1:9/ bookworm main
deb cdrom:[Debian]/ bookworm main
deb [arch=amd64 trusted=yes] file:$tmp/repo bookworm main contrib # ours
deb http://127.0.0.1:9/ bookworm-security main
LIST
cat >"$tmp/etc-822/sources.list.d/a.sources" <<LIST
# the comment of a mirror
Types: deb
URIs: http://127.0.0.1:9/
Suites: noble
Components: universe
Enabled: no

Types: deb
URIs: file:$tmp/repo
Suites: noble noble-updates
Components: main
  universe
Trusted: yes
LIST
echo 'deb [trusted=yes] http://127.0.0.1:9/ bookworm main' >"$tmp/etc-closed/sources.list"

sources() { # ETC OS NAME...
    etc=$1 os=$2
    shift 2
    rm -rf "$tmp/deps"
    APT_ETC=$tmp/$etc OS_RELEASE=$tmp/$os sh "${script:-toolchains/fetch.sh}" sources "$tmp/deps" "$@"
}
fetched() { sources "$@" && test -f "$tmp/deps/civetweb/src/civetweb.c" && test "$(ls -A "$tmp/deps" | wc -l)" = 2; }

if command -v apt-get >/dev/null; then
    repository "$tmp/repo" bookworm main 1.15+dfsg
    repository "$tmp/repo" noble universe 1.15+dfsg
    sum=$(sha256sum <"$tmp/repo/pool/civetweb_1.15+dfsg.orig.tar.xz" | cut -d' ' -f1)
    check 'a tarball with another checksum is refused: expected, got, what to do' says \
        "checksum of civetweb 1.15.dfsg .*expected SHA-256 ec372e97.*got $sum.*CIVETWEB=DIR" 1 sources etc-line debian civetweb
    check 'and nothing is left of it' empty "$tmp/deps"

    script=$tmp/fetch.sh
    sed "s/ec372e9737bc820118bbb735f46a07d41f795814ca0f38bc6e67048e7a460f33/$sum/" toolchains/fetch.sh >"$script"
    check 'one-line lists (Debian): the source arrives whole' fetched etc-line debian civetweb
    check 'deb822 lists (Ubuntu): the source arrives whole' fetched etc-822 ubuntu civetweb
    rm "$tmp/repo/pool/civetweb_1.15+dfsg-1.dsc"
    check 'only the tarball matters, not the packaging around it' fetched etc-line debian civetweb
    rm "$tmp/repo/pool/civetweb_1.15+dfsg.orig.tar.xz"
    check 'a tarball that is not there is told' says "can't get the source of civetweb.*network.*CIVETWEB=DIR" 1 \
        sources etc-line debian civetweb
    check 'and leaves nothing' empty "$tmp/deps"
    script=''
    check 'zlib comes from a release with zlib 1.3 (Debian)' says 'reading the source index of .* trixie' 1 sources etc-closed debian zlib
    check 'and Ubuntu, where it is in main' says 'reading the source index of .* noble' 1 sources etc-822 ubuntu zlib
    check 'mbedTLS comes from a release with mbedTLS 3.6 (Debian)' says 'reading the source index of .* trixie' 1 \
        sources etc-closed debian mbedtls
    check 'and Ubuntu; where it is not to be had, what else to do is told' says \
        'can.t get the source of mbedtls.*make MBEDTLS=DIR names a source tree, make TLS=0 builds without TLS' 1 sources etc-822 ubuntu mbedtls
    repository "$tmp/repo" bookworm main 9.9
    check 'an untested version is not taken' says 'Debian 12 has civetweb 9.9, which aidash was not tested with' 1 \
        sources etc-line debian civetweb
    check 'a version that nobody knows is not looked for' says 'civetweb 1.4 is not known' 1 \
        sources etc-line debian civetweb=1.4
    check 'a mirror that is not reached is told' says "can't get the source of civetweb.*network.*CIVETWEB=DIR" 1 \
        sources etc-closed debian civetweb
    check 'and leaves nothing behind' empty "$tmp/deps"
    check 'no mirror in the lists is told' says 'found no package source for Debian 12' 1 sources etc-none debian civetweb
else
    skip 'source packages: this machine has no apt-get'
fi

# ---- npm: a closed port, then a stub ---------------------------------------------------------

page_parts() { sh toolchains/fetch.sh page "$tmp/page-deps" www; }
closed_npm() {
    npm_config_registry=http://127.0.0.1:9 npm_config_fetch_retries=0 npm_config_cache=$tmp/npm-cache page_parts
}
check 'an npm registry that is not reached is told' says "npm can't get uPlot, esbuild, terser and zopfli.*registry.*UPLOT=DIR" 1 closed_npm
check 'and leaves no half of uPlot' empty "$tmp/page-deps"
mkdir "$tmp/npm"
stub "$tmp/npm/npm" <<'STUB'
#!/bin/sh
mkdir -p node_modules/uplot/dist && echo 'var uPlot=0;' >node_modules/uplot/dist/uPlot.esm.js
STUB
other_uplot() { PATH=$tmp/npm:$PATH page_parts; }
check "a changed file of uPlot is refused" says "checksum of uPlot's uPlot.esm.js differs: expected SHA-256 5dd9b3" 1 other_uplot
check 'and is not kept' empty "$tmp/page-deps"

# ---- the embedded page ---------------------------------------------------------------------------

page=$tmp/page
mkdir "$page"
printf '<p>\n' >"$page/index.html"
printf '{}' >"$page/contract.schema.json"
head -c 70000 /dev/urandom >"$page/x.png"
: >"$page/empty.css"
embed() { sh www/embed.sh "$tmp/www.h" "$@"; }
cat >"$tmp/print.c" <<'C'
#include <stddef.h>
#include <stdio.h>
#include <string.h>
struct ad_asset {
    const char *path, *type; const unsigned char *data; size_t len; const char *etag; size_t plain_len; const char *plain_etag;
};
#include "www.h"
int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof ad_assets / sizeof *ad_assets; i++) {
        if (argc == 1)
            printf("%s %s %zu\n", ad_assets[i].path, ad_assets[i].type, ad_assets[i].plain_len);
        else if (strcmp(argv[1], ad_assets[i].path) == 0)
            fwrite(ad_assets[i].data, 1, ad_assets[i].len, stdout);
    }
    return 0;
}
C
embedded() {
    "${CC:-cc}" -std=c11 -Wall -Wextra -Werror -o "$tmp/print" "$tmp/print.c" || return 1
    "$tmp/print" | diff - - <<'LIST' || return 1
/ text/html; charset=utf-8 4
/contract.json application/schema+json 2
/empty.css text/css; charset=utf-8 0
/x.png image/png 70000
LIST
    grep -q '^enum { AD_ASSETS_LARGEST = 70000 };$' "$tmp/www.h" || return 1
    "$tmp/print" /x.png | gzip -d | cmp - "$page/x.png" && "$tmp/print" /contract.json | gzip -d | cmp - "$page/contract.schema.json" &&
        "$tmp/print" /empty.css | gzip -d | cmp - "$page/empty.css"
}
check 'page files are embedded' embed "$page"/*
check 'with their paths, types and lengths, and come out as they went in' embedded
cp "$tmp/www.h" "$tmp/first.h"
check 'in another order, later' embed "$page/x.png" "$page/empty.css" "$page/contract.schema.json" "$page/index.html"
check 'they give the same header' cmp "$tmp/www.h" "$tmp/first.h"
touch "$page/x.exe"
check 'a file of an unknown kind is refused' says 'x.exe: no content type' 1 embed "$page"/*
check 'two files for one path are refused' says 'two files for /x.png' 1 embed "$page/x.png" "$page/x.png"
check 'and the old header stays' cmp "$tmp/www.h" "$tmp/first.h"

# ---- the Makefile, on a small project ------------------------------------------------------------------

small=$tmp/small
mkdir -p "$small/tests" "$small/src" "$small/deps/civetweb/src" "$small/deps/uplot/dist" "$small/deps/zlib" "$small/deps/qr/c"
cp -r Makefile toolchains www package docs LICENSE THIRD-PARTY.md README.md CHANGELOG.md "$small/"
cp tests/run.mjs tests/programs.mjs tests/reporter.mjs tests/lint.sh tests/check.sh "$small/tests/"
touch "$small/src/limits.h" "$small/deps/qr/c/qrcodegen.c" "$small/deps/civetweb/src/civetweb.c" "$small/deps/jsmn.h" "$small/aidash.h" "$small/deps/uplot/LICENSE"
for f in infback.c inftrees.h inflate.h inffast.h inffast.c inftrees.c; do touch "$small/deps/zlib/$f"; done
echo 'export default 1;' >"$small/deps/uplot/dist/uPlot.esm.js"
cp "${ESBUILD:-build/deps/esbuild}" "$small/deps/esbuild"
cat >"$small/aidash.c" <<'C'
struct ad_asset {
    const char *path, *type; const unsigned char *data; unsigned long len; const char *etag; unsigned long plain_len; const char *plain_etag;
};
#include "aidash_www.h"
int main(void) { return (int)ad_assets[0].len * 0; }
C
cd "$small" || exit 1
mkdir -p build/deps
quick() { "${MAKE:-make}" --no-print-directory TLS=0 CIVETWEB=deps/civetweb JSMN=deps ZLIB=deps/zlib QRCODEGEN=deps/qr UPLOT=deps/uplot ESBUILD=deps/esbuild "$@"; }
quiet() { quick "$@" >"$tmp/quiet.out" 2>&1 && [ ! -s "$tmp/quiet.out" ] || { cat "$tmp/quiet.out"; return 1; }; }
builds='stripped'
check 'make builds and prints the size' says "build/aidash: [0-9]+ kB $builds" 0 quick
check 'make does and says nothing when all is done' quiet
touch www/index.html
check 'a touched page file is built in' says $builds 0 quick
touch www/view.js
check 'and a module of it' says $builds 0 quick
echo '<svg/>' >www/zz.svg
check 'a new page file is built in' says $builds 0 quick
check 'a new page file is in the header' grep -q '"/zz.svg"' build/aidash_www.h
rm www/zz.svg
check 'a removed page file is taken out' says $builds 0 quick
check 'a removed page file is not in the header' sh -c '! grep -q zz.svg build/aidash_www.h'
sed 's/^export const LANGUAGE = .*/export const LANGUAGE = "de";/; s/"Connecting"/"Verbindet \\"\&\\" <x>"/' www/texts.js >texts.de.js
german() {
    grep -q '<html lang="de"' build/www/index.html && grep -q '<span>Verbindet &quot;&amp;&quot; &lt;x></span>' build/www/index.html &&
        grep -q '"lang": "de"' build/www/manifest.webmanifest && grep -q 'Verbindet' build/www/app.js
}
check 'a translation is built in' says $builds 0 quick TEXTS=texts.de.js
check 'into all files of the page' german
check 'and stays' quiet TEXTS=texts.de.js
check 'without it the page is as it was' says $builds 0 quick
check 'in English' grep -q '<html lang="en"' build/www/index.html
sed -i '/^export const close /d' texts.de.js
check 'a text that a translation lacks is named' says 'index.html:[0-9]+: there is no text [{][{]close[}][}]' 2 quick TEXTS=texts.de.js
check 'other CFLAGS build anew' says $builds 0 quick CFLAGS=-O1
check 'the same CFLAGS do not' quiet CFLAGS=-O1
touch aidash.h
check 'a touched header builds anew' says $builds 0 quick CFLAGS=-O1
check 'a CIVETWEB without the file is told' says 'CIVETWEB=/nowhere has no src/civetweb.c' 2 quick CIVETWEB=/nowhere
check 'and a ZLIB' says 'ZLIB=/nowhere has no infback.c' 2 quick ZLIB=/nowhere
check 'and an MBEDTLS' says 'MBEDTLS=/nowhere has no library/ssl_tls.c' 2 quick TLS=1 MBEDTLS=/nowhere
make_installs_nothing() { PATH=$tmp/apt:$PATH "${MAKE:-make}" NO_INSTALL=1 CC=frobnicate; }
rm -f "$tmp/apt-calls"
check 'make NO_INSTALL=1 stops and says what is missing' \
    says 'missing: frobnicate .*NO_INSTALL.*As root: apt-get install frobnicate ' 2 make_installs_nothing
check 'without having called apt-get' test ! -e "$tmp/apt-calls"
check 'an unknown TOOLCHAIN is told' says 'no toolchain nowhere.*aarch64' 2 quick TOOLCHAIN=nowhere
check 'make install copies it' quick CFLAGS=-O1 install DESTDIR="$tmp/dest" PREFIX=/usr
check 'and what is copied runs' "$tmp/dest/usr/bin/aidash"
check 'make help lists the targets' says 'make test .*run every test' 0 quick help
check 'those of two words, too' says 'make page-soak .*the page for MINUTES' 0 quick help
check 'make map lists the parts' says 'src/base/platform\.h' 0 "${MAKE:-make}" -C "$root" --no-print-directory map
quick clean
check 'make clean leaves what was fetched, and no more' test "$(ls -A build)" = deps

# ---- the runner --------------------------------------------------------------------------------------------

mkdir tests/e2e
cat >tests/e2e/a.test.mjs <<'JS'
import { test } from 'node:test';
test('group', async (t) => { await t.test('one', () => {}); await t.test('two', () => {}); });
test('left out', { skip: 'why not' }, () => {});
JS
run_suite() { TLS=0 CIVETWEB=deps/civetweb JSMN=deps ZLIB=deps/zlib QRCODEGEN=deps/qr UPLOT=deps/uplot ESBUILD=deps/esbuild TEST="${pick:-}" node tests/run.mjs e2e; }
check 'passed and skipped tests are counted' says '^[23] passed, 0 failed, 1 skipped$' 0 run_suite
echo "import { test } from 'node:test'; test('wrong', () => { throw new Error('the reason'); });" >tests/e2e/b.test.mjs
check 'a failed test fails the run, with its reason' says 'the reason' 1 run_suite
check 'and is counted' grep -Eq '^[23] passed, 1 failed, 1 skipped$' "$tmp/says.out"
echo "import 'no-such-module';" >tests/e2e/b.test.mjs
check 'a file that does not load fails the run' says '1 failed, 1 skipped$' 1 run_suite
echo "console.log('no test');" >tests/e2e/b.test.mjs
check 'a file without a test fails the run' says '1 failed, 1 skipped$' 1 run_suite
cat >tests/e2e/b.test.mjs <<'JS'
import { test } from 'node:test';
test('fine', () => {});
test('then it ends', () => process.exit(7));
JS
check 'a file that exits early fails the run' says '[1-9] failed' 1 run_suite
# One that fails beside others is run again alone, and that is told; one that crashed is not.
cat >tests/e2e/b.test.mjs <<'JS'
import { existsSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
test('by chance', () => { if (!existsSync('ran')) { writeFileSync('ran', ''); throw new Error('only once'); } });
JS
check 'a test that fails beside others and passes alone is passed' says '^[34] passed, 0 failed, 1 skipped$' 0 run_suite
check 'and told' grep -q 'b: PASSED ALONE; beside others it failed:' "$tmp/says.out"
check 'with what failed' grep -q '\*\*\*   not ok - by chance' "$tmp/says.out"
rm ran
only_one() { TEST=b.test run_once; }
run_once() { CIVETWEB=deps/civetweb JSMN=deps ZLIB=deps/zlib UPLOT=deps/uplot ESBUILD=deps/esbuild node tests/run.mjs e2e; }
check 'one that ran alone is not run again' says '^0 passed, 1 failed$' 1 only_one
rm -f ran
sed -i "s/throw new/console.log('ERROR: AddressSanitizer: heap-use-after-free'); throw new/" tests/e2e/b.test.mjs
check "nor one with a sanitizer's report" says '1 failed, 1 skipped$' 1 run_suite
rm -f ran
pick=nothing
check 'a run of no test fails' says '^0 passed, 0 failed$' 1 run_suite
cd "$root" || exit 1

finish
