# common.sh - for the scripts beside it, which run at the top of the source tree: what the version is, how they fail, and
# tar archives that depend on nothing but their contents.
LC_ALL=C TZ=UTC
export LC_ALL TZ
umask 022

say() { printf 'aidash: %s\n' "$*"; }
die() { printf 'aidash: %s\n' "$*" >&2; exit 1; }

# The newest heading of the changelog, "## [1.2.3] - 2030-12-31", has the version and its day.
heading=$(sed -n 's/^## \[\([^]]*\)\] - /\1 /p' CHANGELOG.md | head -n 1)
changelog_version=${heading% *}
version=$(sed -n 's/^#define AIDASH_VERSION "\(.*\)"/\1/p' aidash.h)
[ "$version" = "$changelog_version" ] ||
    die "AIDASH_VERSION in aidash.h is $version, but the newest heading of CHANGELOG.md is of $changelog_version"

# Everything in a release is as old as this.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(date -d "${heading#* }" +%s)}
export SOURCE_DATE_EPOCH

# archive OUT DIR NAME: DIR/NAME as a tar.gz
archive() {
    tar -C "$2" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u+rw,go=rX \
        --format=ustar -cf - "$3" | gzip -9n >"$1"
}
