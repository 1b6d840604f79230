#!/bin/sh
# deb.sh PACKAGE_DIR TARGET OUT - a Debian package of what lies in PACKAGE_DIR, which was built for TARGET, in OUT.
# The program is static: it depends on no version of anything.
set -eu
. package/common.sh
dir=$1 target=$2 out=$3
case $target in
x86_64) arch=amd64 ;;
aarch64) arch=arm64 ;;
armv7) arch=armhf ;;
riscv64) arch=riscv64 ;;
*) die "Debian has no architecture for $target" ;;
esac
command -v dpkg-deb >/dev/null || die "make deb needs dpkg-deb"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
root=$tmp/root
doc=$root/usr/share/doc/aidash
mkdir -p "$root/DEBIAN"
PREFIX=/usr DESTDIR=$root sh "$dir/install.sh" --files >/dev/null
gzip -9n "$root/usr/share/man/man1/aidash.1"
mv "$doc/LICENSE" "$doc/copyright"
printf '\nThe licences of what is inside are in THIRD-PARTY.md beside this file.\n' >>"$doc/copyright"
printf 'aidash (%s) unstable; urgency=medium\n\n  * CHANGELOG.md beside this file has the changes.\n\n -- %s  %s\n' "$version" \
    "$(sed -n 's/^Maintainer: //p' package/debian/control)" "$(date -d "@$SOURCE_DATE_EPOCH" -R)" |
    gzip -9n >"$doc/changelog.gz"
mkdir -p "$root/usr/share/lintian/overrides"
cp package/debian/lintian-overrides "$root/usr/share/lintian/overrides/aidash"

for script in postinst prerm postrm; do
    cp "package/debian/$script" "$root/DEBIAN/"
    chmod 755 "$root/DEBIAN/$script"
done
echo /etc/aidash.conf >"$root/DEBIAN/conffiles"
sed "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@SIZE@/$(du -sk --apparent-size "$root/usr" | cut -f1)/" \
    package/debian/control >"$root/DEBIAN/control"
(cd "$root" && find usr -type f | sort | xargs md5sum) >"$root/DEBIAN/md5sums"
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
mkdir -p "$out"
dpkg-deb --root-owner-group -Zxz --build "$root" "$out/aidash_${version}_$arch.deb" >/dev/null
say "$out/aidash_${version}_$arch.deb"
