#!/bin/sh
# release.sh VERSION TARGET... - all that a release is, into build/release: a tarball and, where Debian has the architecture,
# a package for each target, the one-file sources, the bill of materials, and the checksums of all.
# The same sources and compilers give the same bytes in any directory.
set -eu
. package/common.sh
[ "${1:-}" = "$version" ] || die "this is version $version (aidash.h, CHANGELOG.md): make release VERSION=$version"
[ -z "${CIVETWEB:-}${JSMN:-}${ZLIB:-}${MBEDTLS:-}${UPLOT:-}${ESBUILD:-}" ] ||
    die "a release is of the pinned sources, not of CIVETWEB, JSMN, ZLIB, MBEDTLS, UPLOT or ESBUILD"
[ "${TLS:-1}" = 1 ] || die "a release has TLS"
shift
make="${MAKE:-make} --no-print-directory"
out=build/release

for target; do $make TOOLCHAIN="$target" "build/$target/package/aidash"; done
$make amalgamation

rm -rf "$out"
mkdir -p "$out"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for target; do
    name=aidash-$version-$target
    cp -R "build/$target/package" "$tmp/$name"
    archive "$out/$name.tar.gz" "$tmp" "$name"
    case $target in armv6) ;; *) sh package/deb.sh "build/$target/package" "$target" "$out" >/dev/null ;; esac
done
name=aidash-$version-amalgamation
mkdir "$tmp/$name"
cp -R build/dist/aidash.c build/dist/aidash.h package/aidash.service package/aidash.conf package/aidash.1 LICENSE THIRD-PARTY.md README.md CHANGELOG.md docs "$tmp/$name/"
archive "$out/$name.tar.gz" "$tmp" "$name"
node package/sbom.mjs "$version" "$out" "$@" >"$tmp/sbom"
mv "$tmp/sbom" "$out/aidash-$version.spdx.json"
(cd "$out" && sha256sum ./* | sed 's|\./||' >"$tmp/sums")
mv "$tmp/sums" "$out/SHA256SUMS"
say "$out:"
(cd "$out" && ls -l | awk 'NF > 8 { printf "%9d  %s\n", $5, $9 }')
