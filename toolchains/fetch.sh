#!/bin/sh
# fetch.sh - brings what the build needs and the machine lacks.
#
#   fetch.sh need COMMAND...              install Debian's or Ubuntu's package of each command that is missing; with
#                                         NO_INSTALL=1 in the environment, say what to install, and fail
#   fetch.sh sources DIR NAME[=VERSION].. civetweb, jsmn, zlib, mbedtls, qr-code-generator and hiredis from the distribution's
#                                         source packages, into DIR/NAME
#   fetch.sh musl DIR CROSS ARCH [SOURCE] static musl for the compiler CROSS-gcc, into DIR/CROSS with its gcc.specs: the
#                                         distribution's package, else built from its source package (or from SOURCE)
#   fetch.sh unpack DIR PACKAGE...        unpack packages, and what they need that this machine lacks, into DIR: none is installed
#   fetch.sh page DIR PACKAGE_DIR         uPlot, esbuild, terser and zopfli from npm, below DIR, pinned by PACKAGE_DIR's lock
#                                         file
#   fetch.sh modules PACKAGE_DIR          the npm packages of PACKAGE_DIR, into its node_modules
#
# What is fetched is checked against the SHA-256 sums below, and appears under its final name only when it is whole.
# Exit codes: 0 all there, 1 not to be had (one sentence on stderr says what and why), 2 wrong usage.
# APT_ETC and OS_RELEASE name other places for /etc/apt and /etc/os-release (for the tests).
set -u
LC_ALL=C
export LC_ALL

# The distribution's source packages: "name version", the tarball's sum, the file that the build includes.
known_sums='
civetweb 1.15+dfsg ec372e9737bc820118bbb735f46a07d41f795814ca0f38bc6e67048e7a460f33
civetweb 1.16+dfsg 41dbfd68cd3b914ce440a5813f21058813b61a972600cc04fb8233a0d2d04fe4
jsmn 1.1.0 5f0913a10657fe7ec8d5794ccf00a01000e3e1f2f1e1f143c34a0f7b47edcb38
mbedtls 3.6.6 8fb65fae8dcae5840f793c0a334860a411f884cc537ea290ce1c52bb64ca007a
zlib 1.3.dfsg 5eea0322c1c21c75cad3b607ac1c43ff5c71e014b8ac4a34300b5e2b80d02e70
zlib 1.3.dfsg+really1.3.1 60dd315c07f616887caa029408308a018ace66e3d142726a97db164b3b8f69fb
hiredis 1.2.0 82ad632d31ee05da13b537c124f819eb88e18851d9cb0c30ae0552084811588c
qr-code-generator 1.8.0 2ec0a4d33d6f521c942eeaf473d42d5fe139abcfa57d2beffe10c5cf7d34ae60
musl 1.2.3 7d5b0b6062521e4627e099e4c9dc8248d32a30285e959b7eecaa780cf8cfd4a4
musl 1.2.4 7a35eae33d5372a7c0da1188de798726f68825513b7ae3ebe97aaaa52114f039
musl 1.2.5 a9a118bbe84d8764da0ea0d28b3ab3fae8477fc7e4085d90102b8596fc7c75e4
'
uplot_js_sum=5dd9b3281aa64b461b42d9945f6adb2649d346502b12281a9ae0d46599a80eba

say() { printf 'aidash: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# A place for unfinished things, beside the finished ones, so that `mv` is a rename.
scratch() {
    mkdir -p "$1" || die "can't write to $1"
    work=$(mktemp -d "$1/.unfinished.XXXXXX") || die "can't write to $1"
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

# check_sum FILE EXPECTED WHAT OVERRIDE
check_sum() {
    got=$(sha256sum <"$1") && got=${got%% *}
    [ "$got" = "$2" ] || die "the checksum of $3 differs: expected SHA-256 $2, got $got." \
        "It was thrown away. Try again later or from another mirror; to use a copy that you trust: make $4=DIR"
}

# ---- programs ---------------------------------------------------------------

header() { echo "#include <$1>" | "${CC:-cc}" -E -x c - >/dev/null 2>&1; }

has() {
    case $1 in
    ca-certificates) [ -s /etc/ssl/certs/ca-certificates.crt ] ;;
    font-dejavu) [ -f /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] ;;
    libc-headers) header stdio.h ;;
    libmosquitto-dev) header mosquitto.h ;;
    librdkafka-dev) header librdkafka/rdkafka.h ;;
    libssl-dev) header openssl/ssl.h ;;
    libfuzzer) echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
        clang -fsanitize=fuzzer -x c -o /dev/null - >/dev/null 2>&1 ;;
    *) have "$1" ;;
    esac
}

package_of() {
    case $1 in
    cc) echo gcc ;;
    libc-headers) echo libc6-dev ;;
    libfuzzer) echo "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev" ;;
    nm | strip | objdump) echo binutils ;;
    xz) echo xz-utils ;;
    musl-gcc) echo musl-tools ;;
    node) echo nodejs ;;
    convert) echo imagemagick ;;
    tesseract | text2image) echo tesseract-ocr ;;
    font-dejavu) echo fonts-dejavu-core ;;
    ip) echo iproute2 ;;
    ps) echo procps ;;
    ssh) echo openssh-client ;;
    systemd-analyze) echo systemd ;;
    setarch | nsenter | unshare) echo util-linux ;;
    sha256sum | od) echo coreutils ;;
    "$(uname -m)-linux-gnu-gcc") echo gcc ;;
    "$(uname -m)-linux-gnu-strip") echo binutils ;;
    *-linux-gnu*-gcc) echo "gcc-${1%-gcc}" | tr _ - ;;
    *-linux-gnu*-strip) echo "binutils-${1%-strip}" | tr _ - ;;
    qemu-*-static) echo qemu-user-static ;;
    *) echo "$1" ;;
    esac
}

need() {
    missing='' packages=''
    for c; do
        has "$c" && continue
        missing="$missing $c" packages="$packages $(package_of "$c")"
    done
    [ -n "$missing" ] || return 0
    if ! have apt-get; then
        die "these are missing and there is no apt-get to install them:$missing. Install them (the build wants a C" \
            "compiler with its headers, gzip, node and npm); with no node: make UPLOT=DIR ESBUILD=PROGRAM names a copy of uPlot's" \
            "package and esbuild"
    fi
    if [ "${NO_INSTALL:-0}" != 0 ]; then
        die "missing:$missing. NO_INSTALL is set, so nothing is installed. As root: apt-get install$packages"
    fi
    sudo=''
    if [ "$(id -u)" != 0 ]; then
        have sudo || die "missing:$missing. As root: apt-get install$packages"
        sudo=sudo
    fi
    say "installing what is missing (apt-get install):$packages"
    log=$(mktemp) || die "can't write a temporary file"
    trap 'rm -f "$log"' EXIT
    if ! apt_install && ! { $sudo apt-get update </dev/null >>"$log" 2>&1; apt_install; }; then
        grep -E '^(E|Err|Error):' "$log" | tail -n 4 >&2
        die "can't install$packages: is the network there and the package mirror in ${APT_ETC:-/etc/apt} right?" \
            "To see all: ${sudo:+sudo }apt-get update && ${sudo:+sudo }apt-get install$packages"
    fi
    for c in $missing; do
        has "$c" || die "installed$packages, but $c is still missing"
    done
}

# shellcheck disable=SC2086 # words are meant to be split
apt_install() {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -y -q --no-install-recommends \
        -o DPkg::Lock::Timeout=300 install $packages </dev/null >>"$log" 2>&1
}

# ---- source packages ----------------------------------------------------------

# The machine's own package sources, as a list of one suite, deb-src or deb: deb822 files and one-line lists, those entries whose
# suite is the release itself. source_list RELEASE_SUITES SUITE COMPONENT TYPE
source_list() {
    etc=${APT_ETC:-/etc/apt}
    cat "$etc/sources.list" "$etc"/sources.list.d/*.list 2>/dev/null | awk -v suites=" $1 " -v suite="$2" -v comp="$3" -v type="$4" '
        $1 != "deb" && $1 != "deb-src" { next }
        {
            signed = trusted = ""
            line = $0
            if (match(line, /\[[^]]*\]/)) {
                n = split(substr(line, RSTART + 1, RLENGTH - 2), opt, " ")
                for (i = 1; i <= n; i++) {
                    if (opt[i] ~ /^signed-by=/) signed = substr(opt[i], 11)
                    if (opt[i] ~ /^trusted=/) trusted = substr(opt[i], 9)
                }
                line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH)
            }
            sub(/#.*/, "", line)
            n = split(line, word, " ")
            if (word[2] ~ /^cdrom:/ || !index(suites, " " word[3] " ")) next
            for (i = 4; i <= n; i++) {
                if (word[i] != comp || seen[word[2]]++) continue
                print "Types: " type "\nURIs: " word[2] "\nSuites: " suite "\nComponents: " comp
                if (signed != "") print "Signed-By: " signed
                if (trusted != "") print "Trusted: " trusted
                print ""
            }
        }'
    for f in "$etc"/sources.list.d/*.sources; do
        [ -f "$f" ] || continue
        cat "$f"
        echo
    done | awk -v suites=" $1 " -v suite="$2" -v comp="$3" -v type="$4" '
        function flush(    n, i, word, good) {
            n = split(field["suites"], word, " ")
            for (i = 1; i <= n; i++) if (index(suites, " " word[i] " ")) good = 1
            if (good && index(" " field["components"] " ", " " comp " ") && field["uris"] != "" &&
                tolower(field["enabled"]) !~ /no/) {
                print "Types: " type "\nURIs:" field["uris"] "\nSuites: " suite "\nComponents: " comp
                if ("signed-by" in field) print "Signed-By:" field["signed-by"]
                if ("trusted" in field) print "Trusted:" field["trusted"]
                print ""
            }
            split("", field)
        }
        /^#/ { next }
        /^[ \t]*$/ { flush(); next }
        /^[ \t]/ { field[name] = field[name] (name == "signed-by" ? "\n" : "") $0; next }
        { i = index($0, ":"); name = tolower(substr($0, 1, i - 1)); field[name] = substr($0, i + 1) }
        END { flush() }'
}

# What the machine runs: $component holds civetweb and jsmn, $codename is its release, $suites its possible names.
read_release() {
    ID='' ID_LIKE='' VERSION_CODENAME='' UBUNTU_CODENAME='' PRETTY_NAME='this system'
    # shellcheck disable=SC1090
    . "${OS_RELEASE:-/etc/os-release}" 2>/dev/null
    case " $ID $ID_LIKE " in
    *ubuntu*) component=universe codename=${UBUNTU_CODENAME:-$VERSION_CODENAME} suites=$codename ;;
    *) component=main codename=$VERSION_CODENAME suites="$codename stable oldstable testing unstable sid" ;;
    esac
}

# The suite that carries a civetweb version.
suite_of() {
    case $component/$1 in
    main/1.15) echo bookworm ;;
    main/1.16) echo trixie ;;
    universe/1.15) echo jammy ;;
    universe/1.16) echo noble ;;
    *) die "civetweb $1 is not known here: CIVETWEB_VERSION is 1.15 or 1.16, CIVETWEB=DIR takes any source tree" ;;
    esac
}

# fetch_source DIR PACKAGE SUITE OVERRIDE: leaves DIR/PACKAGE-VERSION, prints VERSION.
fetch_source() {
    apt=$work/apt-$3
    log=$work/apt-$3.log
    if [ ! -d "$apt" ]; then # the index of a suite is read once
        mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
        source_list "$suites" "$3" "$component" deb-src >"$apt/list.sources"
        [ -s "$apt/list.sources" ] || die "found no package source for $PRETTY_NAME ($codename, $component) in" \
            "${APT_ETC:-/etc/apt}, so the source of $2 can't be fetched: make $4=DIR names a copy$(without "$2")"
        say "reading the source index of $(sed -n 's/^URIs: *//p' "$apt/list.sources" | head -n 1) $3"
        private_apt update >"$log" 2>&1
        [ -n "$(find "$apt/lists" -name '*_Sources*')" ] || unreachable "$2" "$4"
    fi
    mkdir -p "$work/$2"
    # Only the original tarball is of use, so whether it is there and what it contains decides, not apt's exit code.
    (cd "$work/$2" && private_apt source --download-only "$2" >>"$log" 2>&1)
    tarball=$(find "$work/$2" -name "$2_*.orig.tar.*" ! -name '*.asc' | head -n 1)
    [ -n "$tarball" ] || unreachable "$2" "$4"
    version=${tarball##*/"$2"_}
    version=${version%.orig.tar.*}
    sum=$(echo "$known_sums" | awk -v p="$2" -v v="$version" '$1 == p && $2 == v { print $3 }')
    [ -n "$sum" ] || die "$PRETTY_NAME has $2 $version, which aidash was not tested with:" \
        "make $4=DIR names a source tree to use$([ "$2" != civetweb ] || echo ', make CIVETWEB_VERSION=1.16 the last tested')$(without "$2")"
    check_sum "$tarball" "$sum" "$2 $version ($(basename "$tarball"))" "$4"
    mkdir "$work/$2/tree"
    tar -xf "$tarball" -C "$work/$2/tree" --strip-components=1 || die "can't unpack $(basename "$tarball")"
    [ "$2" != mbedtls ] || (cd "$work/$2/tree" && rm -rf 3rdparty cmake configs docs doxygen framework programs scripts tests visualc)
    version=${version##*+really}
    version=${version%[+.]dfsg}
    rm -rf "$1/$2-$version"
    mv "$work/$2/tree" "$1/$2-$version" || die "can't write to $1"
    say "fetched $2 $version (SHA-256 checked)"
}

# musl DIR CROSS ARCH [SOURCE]
musl() {
    dir=$1 cross=$2 arch=$3 source=${4:-}
    have apt-get || [ -n "$source" ] || die "musl for $arch comes from Debian's or Ubuntu's packages, and this machine has" \
        "no apt-get: make MUSL=DIR names its source tree (musl 1.2)"
    scratch "$dir"
    work=$(cd "$work" && pwd)
    if [ -n "$source" ]; then
        build_musl
    else
        read_release
        if ! unpack_musl; then
            say "no musl package for $arch in $PRETTY_NAME's archive: building musl from its source"
            fetch_source "$work" musl "$codename" MUSL
            source=$work/musl-$version
            build_musl
        fi
    fi
    sed "s|$include|$dir/$cross/include|; s|$lib|$dir/$cross/lib|g" "$specs" >"$work/musl/gcc.specs"
    rm -rf "${dir:?}/$cross"
    mv "$work/musl" "$dir/$cross" || die "can't write to $dir"
}

# The package of another architecture, which is not installed: its include and lib directories.
unpack_musl() {
    apt=$work/apt-$arch log=$work/apt.log
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$work/tree" "$work/musl"
    source_list "$suites" "$codename" "$component" deb >"$apt/list.sources"
    say "fetching musl for $arch"
    private_apt -o APT::Architecture="$arch" -o APT::Architectures="$arch" update >"$log" 2>&1
    (cd "$work" && private_apt -o APT::Architecture="$arch" -o APT::Architectures="$arch" download musl-dev >>"$log" 2>&1) ||
        return 1
    dpkg-deb -x "$work"/musl-dev_*.deb "$work/tree" || die "can't unpack the package musl-dev"
    mv "$work"/tree/usr/include/*-musl* "$work/musl/include" && mv "$work"/tree/usr/lib/*-musl* "$work/musl/lib" ||
        die "the package musl-dev looks different from those that are known"
    specs=$work/musl/lib/musl-gcc.specs include='/usr/include/[^ ]*' lib='/usr/lib/[^ /]*'
}

build_musl() {
    specs=$source/lib/musl-gcc.specs include=$work/musl/include lib=$work/musl/lib
    (cd "$source" && unset MAKEFLAGS MFLAGS MAKELEVEL && CFLAGS='' LDFLAGS='' CC=$cross-gcc \
        ./configure --target="$cross" --prefix="$work/musl" --disable-shared --enable-wrapper=gcc &&
        make -j "$(nproc)" install-headers install-libs lib/musl-gcc.specs) >"$work/musl.log" 2>&1 ||
        die "can't build musl: $(grep -iE 'error' "$work/musl.log" | head -n 1)"
}

# unpack DIR PACKAGE...
unpack() {
    dir=$1
    shift
    have apt-get || die "the packages $* come from Debian's or Ubuntu's archive, and this machine has no apt-get"
    scratch "$(dirname "$dir")"
    work=$(cd "$work" && pwd)
    read_release
    apt=$work/apt log=$work/apt.log
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$work/tree"
    for component in main universe; do source_list "$suites" "$codename" "$component" deb; done >"$apt/list.sources"
    say "fetching, to be unpacked: $*"
    private_apt update >"$log" 2>&1
    private_apt -o Debug::NoLocking=true --no-install-recommends --download-only -y install "$@" >>"$log" 2>&1 ||
        die "can't get the packages $* from the package mirror: $(grep -E '^(E|Error):' "$log" | head -n 1)"
    for deb in "$apt"/cache/archives/*.deb; do
        [ ! -f "$deb" ] || dpkg-deb -x "$deb" "$work/tree" || die "can't unpack $(basename "$deb")"
    done
    # Another process may have been quicker: what it has put there is in use.
    mv -T "$work/tree" "$dir" 2>/dev/null || [ -d "$dir" ] || die "can't write to $dir"
}

# without PACKAGE: how to do without it
without() { [ "$1" != mbedtls ] || echo ', make TLS=0 builds without TLS'; }

unreachable() {
    grep -E '^ *(E|Err|Error|W|Warning|Ign):' "$log" | grep -iE 'fetch|resolve|connect|could not|404|unable' | tail -n 2 >&2
    die "can't get the source of $1 from the package mirror. Is the network there, and is a proxy needed?" \
        "Run make again when it is reached, or make $2=DIR names a source tree$(without "$1")"
}

private_apt() {
    apt-get -q -o Dir::Etc::sourcelist="$apt/list.sources" -o Dir::Etc::sourceparts=- \
        -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User= \
        -o Acquire::GzipIndexes=true -o Acquire::Languages=none -o Acquire::http::Timeout=30 -o Acquire::Retries=2 \
        "$@" </dev/null
}

sources() {
    dir=$1
    shift
    have apt-get || die "civetweb and jsmn come from Debian's or Ubuntu's source packages, and this machine has no apt-get:" \
        "make CIVETWEB=DIR JSMN=DIR names the source trees (civetweb's releases 1.15 and 1.16, jsmn 1.1.0)"
    scratch "$dir"
    work=$(cd "$work" && pwd)
    read_release
    for name; do
        package=${name%=*} wanted=''
        [ "$package" = "$name" ] || wanted=${name#*=}
        case $package in
        civetweb) override=CIVETWEB ;;
        jsmn) override=JSMN ;;
        zlib) override=ZLIB ;;
        mbedtls) override=MBEDTLS ;;
        qr-code-generator) override=QRCODEGEN ;;
        hiredis) override=HIREDIS ;;
        *) usage ;;
        esac
        suite=$codename
        # The releases of the last years: older ones have zlib 1.2, whose functions are declared in a way that C23 lacks.
        case $package/$component in
        zlib/main) suite=trixie ;;
        zlib/universe) suite=noble component=main ;;
        # The first releases with mbedTLS 3.6, the first that has TLS 1.3 for both sides.
        mbedtls/main) suite=trixie ;;
        mbedtls/universe) suite=resolute ;;
        # The first releases with hiredis 1.2.
        hiredis/main) suite=trixie ;;
        hiredis/universe) suite=noble ;;
        esac
        if [ -n "$wanted" ]; then
            suite=$(suite_of "$wanted") || exit 1
        fi
        fetch_source "$dir" "$package" "$suite" "$override"
        if [ -z "$wanted" ]; then
            ln -sfn "$package-$version" "$dir/$package"
        elif [ "$wanted" != "$version" ]; then
            die "asked for $package $wanted, but suite $suite has $version"
        fi
    done
}

# ---- npm ------------------------------------------------------------------------

# npm_ci WHAT HINT: in the current directory
npm_ci() {
    say "fetching $1 (npm ci)"
    if ! npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null >npm.log 2>&1; then
        grep -E 'npm (ERR!|error) (code|errno|.*request to|.*integrity)' npm.log | head -n 3 >&2
        rm -f npm.log
        die "npm can't get $1 as the lock file pins it. Is the registry reached, and is a proxy needed?" \
            "Run make again when it is reached$2"
    fi
    rm -f npm.log
}

page() {
    scratch "$1"
    cp "$2/package.json" "$2/package-lock.json" "$work/" || die "no package files in $2"
    (cd "$work" && npm_ci 'uPlot, esbuild, terser and zopfli' ', or make UPLOT=DIR ESBUILD=PROGRAM names a copy of the one and the other') || exit 1
    dist=$work/node_modules/uplot/dist
    check_sum "$dist/uPlot.esm.js" $uplot_js_sum "uPlot's uPlot.esm.js" UPLOT
    # npm installs the one package of @esbuild that is for this machine.
    set -- "$1" "$work"/node_modules/@esbuild/*/bin/esbuild
    [ -x "$2" ] || die "npm has no esbuild for this machine: make ESBUILD=PROGRAM names one"
    rm -rf "$1/uplot" "$1/esbuild" "$1/terser"
    rm -rf "$work/node_modules/.bin" && mkdir "$1/terser" && mv "$2" "$1/esbuild" && mv "$work/node_modules/uplot" "$1/uplot" &&
        rm -rf "$work"/node_modules/*esbuild && mv "$work/node_modules" "$1/terser/node_modules" || die "can't write to $1"
    say "fetched uPlot, esbuild, terser and zopfli (checksums checked)"
}

modules() {
    cd "$1" || die "no directory $1"
    (npm_ci "the packages of $1" '')
}

usage() {
    sed -n '2,/^set -u/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}

[ $# -ge 2 ] || usage
command=$1
shift
case $command in
need) need "$@" ;;
sources) [ $# -ge 2 ] || usage; sources "$@" ;;
musl) [ $# -ge 3 ] || usage; musl "$@" ;;
unpack) [ $# -ge 2 ] || usage; unpack "$@" ;;
page) [ $# -eq 2 ] || usage; page "$@" ;;
modules) modules "$@" ;;
*) usage ;;
esac
