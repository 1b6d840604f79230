#!/bin/sh
# package.test.sh - what goes to a board and how it gets there: the release and that it is reproducible, install.sh in a
# root that has only busybox, the Debian package by dpkg, `make deploy` through a real sshd. The roots are overlays over this
# machine in a namespace of their own: nothing of it changes, and nothing outlives the test.
if [ -z "${AIDASH_NAMESPACE:-}" ] && [ "$(id -u)" = 0 ] && unshare -m mount -t tmpfs none /mnt 2>/dev/null; then
    AIDASH_NAMESPACE=1 exec unshare -mpf --mount-proc --kill-child sh "$0"
fi
. tests/check.sh
unset MAKEFLAGS MAKELEVEL MFLAGS SOURCE_DATE_EPOCH

need() { sh toolchains/fetch.sh need "$@" >"$tmp/need" 2>&1 || { tail -n 1 "$tmp/need"; return 1; }; }

free_port() { node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'; }

# serves PORT, silent PORT: aidash answers there, or nobody does; waited for
serves() {
    node -e '(async () => {
        for (let i = 0; i < 150; i++) {
            const status = await fetch(`http://127.0.0.1:${process.argv[1]}/status`).then((r) => r.json(), () => null);
            if (Boolean(status) === (process.argv[2] === "yes")) return;
            await new Promise((done) => setTimeout(done, 100));
        }
        console.log("no");
        process.exit(1);
    })()' "$1" "${2:-yes}"
}
silent() { serves "$1" no; }

# ---- a release, in two places -----------------------------------------------------------------------

target=$(uname -m)
case $target in armv7l) target=armv7 ;; esac
version=$(sed -n 's/^#define AIDASH_VERSION "\(.*\)"/\1/p' aidash.h)
make="${MAKE:-make} --no-print-directory"
tarball=aidash-$version-$target
one=$tmp/one two=$tmp/another/place
copy() {
    mkdir -p "$1/build"
    tar --exclude=./build --exclude=node_modules --exclude=./.git -cf - . | tar -C "$1" -xf -
    ln -s "$root/build/deps" "$1/build/deps"
}
copy "$one"
copy "$two"
release() { (cd "$1" && $make release VERSION="$version" TARGETS="$target"); }
check 'make release' release "$one"
[ $failed = 0 ] || { finish; exit 1; }
# The other one is built while the first is tried.
release "$two" >"$tmp/two.log" 2>&1 &
second=$!

out=$one/build/release
bin=$one/build/$target/package/aidash
unpacked=$tmp/unpacked/$tarball
mkdir "$tmp/unpacked"
wrong_version() { (cd "$one" && $make release VERSION=9.9.9); }
check 'another version than the sources have is refused' says "this is version $version .*aidash.h, CHANGELOG.md" 2 wrong_version
sed 's/^## \[[0-9.]*\]/## [7.7.7]/' CHANGELOG.md >"$one/CHANGELOG.md"
check 'a changelog of another version is refused' says "is $version, but .*CHANGELOG.md is of 7.7.7" 2 wrong_version
cp -p CHANGELOG.md "$one/CHANGELOG.md"
sums() { (cd "$out" && sha256sum -c --strict SHA256SUMS) && [ "$(ls "$out" | wc -l)" = "$(($(wc -l <"$out/SHA256SUMS") + 1))" ]; }
check 'the checksums are of all files, and right' sums
check 'the tarball unpacks' tar -C "$tmp/unpacked" -xf "$out/$tarball.tar.gz"
contents() {
    printf '%s\n' CHANGELOG.md LICENSE README.md THIRD-PARTY.md aidash aidash.1 aidash.avahi aidash.bash aidash.conf \
        aidash.service docs install.sh | diff - "$tmp/list" && tar -tvf "$out/$tarball.tar.gz" | awk '$2 != "0/0" { exit 1 }'
}
ls "$unpacked" >"$tmp/list"
check 'it has all that a board needs, owned by root' contents
# Where the links of README.md and docs lead, the parts of a page aside.
links() { (cd "$1" && grep -o ']([^)]*)' README.md docs/*.md | sed 's/:](/ /; s/)$//; s/#.*//' | grep -v ' https\{0,1\}:'); }
links_lead() {
    [ "$(links "$1" | wc -l)" -gt 10 ] || return 1
    links "$1" | while read -r page link; do
        [ -e "$1/$(dirname "$page")/$link" ] || { echo "$page: $link"; exit 1; }
    done
}
check 'the links of its documentation lead to files in it' links_lead "$unpacked"
check 'the program in it runs, and is of this version' says "^aidash $version\$" 0 "$unpacked/aidash" --version
one_file() {
    tar -C "$tmp" -xf "$out/aidash-$version-amalgamation.tar.gz" &&
        "${CC:-cc}" -O0 -Wall "$tmp/aidash-$version-amalgamation/aidash.c" -o "$tmp/one-file" -lpthread && "$tmp/one-file" --version
}
check 'the one-file sources in it build' one_file
check 'and the links of their documentation lead to files, too' links_lead "$tmp/aidash-$version-amalgamation"

# The Yocto layer on this release. There is no BitBake in the distribution: tests/bitbake.mjs does what it would do.
layer=examples/yocto
recipe=$layer/recipes-support/aidash/aidash_$version.bb
bitbake() { node tests/bitbake.mjs "$recipe" "$out" "$tmp/yocto" "$@"; }
yocto() { # PATTERN SETTING...: it builds, installs no other files than these, and what it installs prints the pattern
    pattern=$1
    shift
    bitbake "$@" >"$tmp/installed" || { cat "$tmp/installed"; return 1; }
    # shellcheck disable=SC2086 # none or one
    printf '%s\n' /etc/aidash.conf /usr/bin/aidash $units /usr/share/man/man1/aidash.1 | diff - "$tmp/installed" &&
        "$tmp/yocto/image/usr/bin/aidash" --sizes | grep "$pattern"
}
units=/usr/lib/systemd/system/aidash.service
check 'the Yocto recipe builds from it, with a service' yocto '^clients '
check 'its service is as the other, in another place' sh -c \
    "sed 's|/usr/bin/aidash|/usr/local/bin/aidash|' $tmp/yocto/image$units | cmp - package/aidash.service"
units=''
check 'without systemd, in another size' yocto '^clients  *10 ' DISTRO_FEATURES=sysvinit AIDASH_SIZES=-DAIDASH_PROFILE_TINY CFLAGS=-O0
with_tls() {
    $make build/mbedtls/libmbedtls.a && mkdir -p "$tmp/mbedtls" || return 1
    for part in mbedtls mbedx509 mbedcrypto; do cp build/mbedtls/libmbedtls.a "$tmp/mbedtls/lib$part.a"; done
    yocto '^tls  *1280 ' PACKAGECONFIG=tls CFLAGS=-O0 "LDFLAGS=-L$tmp/mbedtls" \
        "CPPFLAGS=-isystem $root/toolchains/include -isystem $root/build/deps/mbedtls/include"
}
units=/usr/lib/systemd/system/aidash.service
check 'and with TLS' with_tls
broken() { # SED PATTERN: a recipe that was broken so is refused so
    mkdir -p "$tmp/broken" && sed "$1" "$recipe" >"$tmp/broken/aidash_$version.bb"
    ! cmp -s "$tmp/broken/aidash_$version.bb" "$recipe" || return 1
    says "$2" 1 node tests/bitbake.mjs "$tmp/broken/aidash_$version.bb" "$out" "$tmp/yocto"
}
check 'a name that is misspelt is refused' broken 's/^SUMMARY/SUMARY/' 'SUMARY is no variable'
check 'and an override of old style' broken 's/^CONFFILES:/CONFFILES_/' 'CONFFILES_.* is no variable'
check 'and what is not defined' broken 's/{bindir}/{bindirs}/' 'bindirs. is not defined'
check 'and another licence' broken 's/md5=56/md5=65/' LICENSE
check 'and a string without an end' broken '/^SECTION/s/"$//' 'not understood: SECTION'
check 'and a file that no package has' broken 's|${D}${mandir}/man1/aidash.1|${D}/aidash.1|' 'aidash.1 is in no package'
layer_conf() { # each line is an assignment; the recipe is where it says
    ! grep -vE '^(#.*|BBPATH \.= "[^"]+"|BBFILES \+= "[^"]+"|(BBFILE_(COLLECTIONS|PATTERN_aidash|PRIORITY_aidash)|LAYER[A-Z_]+_aidash) \+?= "[^"]+")$' \
        $layer/conf/layer.conf && [ "$(ls $layer/recipes-*/*/*.bb)" = "$recipe" ]
}
check 'the layer names its recipe' layer_conf

cat >"$tmp/sbom.mjs" <<'JS'
/* What SPDX 2.3 asks of a document and its packages, and what this one must name. */
import assert from 'node:assert';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
const [file, directory] = process.argv.slice(2);
const document = JSON.parse(readFileSync(file));
assert.equal(document.spdxVersion, 'SPDX-2.3');
assert.equal(document.dataLicense, 'CC0-1.0');
assert.equal(document.SPDXID, 'SPDXRef-DOCUMENT');
assert.match(document.documentNamespace, /^https:\/\/[^#]+$/);
assert.match(document.creationInfo.created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
assert(document.creationInfo.creators.every((creator) => /^(Person|Organization|Tool): /.test(creator)));
const ids = new Set(['SPDXRef-DOCUMENT']);
const lengths = { SHA1: 40, SHA256: 64, SHA512: 128 };
const known = ['SPDXID', 'name', 'versionInfo', 'packageFileName', 'supplier', 'downloadLocation', 'filesAnalyzed', 'checksums', 'sourceInfo',
  'licenseConcluded', 'licenseDeclared', 'copyrightText', 'externalRefs', 'primaryPackagePurpose'];
for (const part of document.packages) {
  for (const key of Object.keys(part)) assert(known.includes(key), `${part.name}: ${key}`);
  assert.match(part.SPDXID, /^SPDXRef-[A-Za-z0-9.-]+$/);
  assert(!ids.has(part.SPDXID), part.SPDXID);
  ids.add(part.SPDXID);
  for (const key of ['name', 'versionInfo', 'downloadLocation', 'licenseConcluded', 'licenseDeclared', 'copyrightText']) assert(part[key], `${part.name}: ${key}`);
  assert.equal(part.filesAnalyzed, false);
  for (const { algorithm, checksumValue } of part.checksums) assert.match(checksumValue, new RegExp(`^[0-9a-f]{${lengths[algorithm]}}$`));
  for (const ref of part.externalRefs) assert.match(ref.referenceLocator, /^pkg:(github|npm|generic)\//);
  for (const own of part.licenseConcluded.match(/LicenseRef-[\w.-]+/g) ?? []) assert(document.hasExtractedLicensingInfos.some((info) => info.licenseId === own && info.extractedText));
  if (part.name === 'aidash') assert.equal(createHash('sha256').update(readFileSync(`${directory}/${part.packageFileName}`)).digest('hex'), part.checksums[0].checksumValue);
}
for (const relation of document.relationships) assert(ids.has(relation.spdxElementId) && ids.has(relation.relatedSpdxElement));
assert(document.relationships.some((relation) => relation.relationshipType === 'DESCRIBES'));
assert(document.relationships.some((relation) => relation.relationshipType === 'STATIC_LINK'));
for (const name of ['civetweb', 'jsmn', 'zlib', 'qrcodegen', 'mbedTLS', 'uPlot', 'musl', 'aidash']) assert(document.packages.some((part) => part.name === name), name);
JS
check 'the bill of materials is an SPDX 2.3 document that names what is inside' node "$tmp/sbom.mjs" "$out/aidash-$version.spdx.json" "$out"

same_deb() { (cd "$one" && $make deb) && cmp "$one"/build/aidash_*.deb "$out"/aidash_*.deb; }
case $target in
armv6) ;;
*) check 'make deb makes the package of the release' same_deb ;;
esac

# ---- what is written about the options ----------------------------------------------------------------------

"$bin" --help >"$tmp/help"
sed -n 's/^  --\([a-z-]*\).*/\1/p' "$tmp/help" | sort >"$tmp/options"
man_options() {
    sed -n 's/^\.It Fl -\([a-z-]*\).*/\1/p' package/aidash.1 | sort | diff "$tmp/options" - && grep -q '^\.Cm doctor' package/aidash.1 &&
        for command in bench top; do "$bin" $command --help | sed -n 's/^  \(--[a-z-]*\).*/\1/p'; done | while read -r option; do
            grep -q "^\.Fl ${option#-}\>" package/aidash.1 || { echo "$option"; exit 1; }
        done
}
check 'there are options to compare with' test "$(wc -l <"$tmp/options")" -gt 10
check 'the manual page has each option of --help, and no other' man_options
if need mandoc; then
    check 'mandoc finds nothing to complain about' mandoc -T lint package/aidash.1
else
    skip "the manual page is not checked: $(cat "$tmp/need")"
fi

# offers EXPECTED WORD...: what Bash completes the last word to
offers() {
    expected=$1
    shift
    got=$(bash -c 'compopt() { :; }; . package/aidash.bash; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _aidash "$1"; echo "${COMPREPLY[*]}"' \
        bash "$bin" "$@")
    [ "$got" = "$expected" ] || { echo "offered: $got"; return 1; }
}
if command -v bash >/dev/null; then
    check 'completion: each option of --help' offers "$(sed -n 's/^  \(--[a-z-]*\).*/\1/p' "$tmp/help" | tr '\n' ' ' | sed 's/ $//')" --
    check 'completion: the doctor' offers doctor doc
    check 'completion: top and its options' offers '--key-file' top --k
    check 'completion: the benchmark and its options' offers '--streams' bench --s
    check 'completion: the commands of keys' offers 'revoke rename' keys re
    check 'completion: the options of pair' offers '--rights' pair --r
    check 'completion: the values of --source' offers 'sim stdin none' --source ''
    check 'completion: the values of --log-level=' offers 'warn' --log-level = w
    check 'completion: files' offers package/aidash.conf --config package/aidash.c
    check 'completion: nothing for free text' offers '' --rate ''
else
    skip 'completion: this machine has no bash'
fi

conf_options() {
    { sed -n 's/^#\{0,1\}\([a-z-]*\) = .*/\1/p' package/aidash.conf; printf '%s\n' config help sizes stdin version; } | sort -u |
        diff "$tmp/options" -
}
check 'the sample config has each option that a service can use' conf_options
check 'and as it is, sets none' sh -c '! grep -v "^#" package/aidash.conf | grep -q .'
# Each line alone: the program starts with it, and says where it listens.
conf_values() {
    newline='
'
    echo secret >"$tmp/key"
    echo 0123456789012345678901234567890123456789 >"$tmp/jwt.secret"
    chmod 600 "$tmp/jwt.secret"
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$tmp/ca.key" -out "$tmp/ca.pem" -subj /CN=test -days 1 2>"$tmp/ca.log" ||
        { cat "$tmp/ca.log"; return 1; }
    openssl x509 -in "$tmp/ca.pem" -pubkey -noout >"$tmp/jwt.pem"
    sed -n 's/^#\([a-z-]* = .*\)/\1/p' package/aidash.conf >"$tmp/lines"
    while read -r line; do
        case $line in
        upstream-key-file*) line="upstream-key-file = $tmp/key" ;;
        upstream-ca*) line="upstream-ca = $tmp/ca.pem" ;;
        jwt-secret-file*) line="jwt-secret-file = $tmp/jwt.secret" ;;
        jwt-key-file*) line="jwt-key-file = $tmp/jwt.pem" ;;
        jwt-*) line="jwt-secret-file = $tmp/jwt.secret$newline$line" ;;
        tls-*) line="tls-cert = $tmp/ca.pem${newline}tls-key = $tmp/ca.key" ;;
        hsts*) line="tls-cert = $tmp/ca.pem${newline}tls-key = $tmp/ca.key$newline$line" ;;
        state-dir*) line="state-dir = $tmp/state" ;;
        alert-url*) line="alert = temperature > 80$newline$line" ;;
        alert-key-file*) line="alert = temperature > 80${newline}alert-url = http://127.0.0.1:9/$newline${line%% =*} = $tmp/key" ;;
        alert-*) line="alert = temperature > 80${newline}alert-url = http://127.0.0.1:9/$newline$line" ;;
        history-file*) line="history-file = $tmp/history" ;;
        forward-key-file*) line="forward = http://127.0.0.1:9/${newline}${line%% =*} = $tmp/key" ;;
        forward*) line="forward = http://127.0.0.1:9/" ;;
        as-node*) line="forward = http://127.0.0.1:9/$newline$line" ;;
        peer-key-file*) line="peer = pi=http://127.0.0.1:9/${newline}${line%% =*} = $tmp/key" ;;
        peer*) line="peer = pi=http://127.0.0.1:9/" ;;
        esac
        echo "$line" | sed 's/:9000/:0/' >"$tmp/line.conf"
        : >"$tmp/line.log"
        "$bin" --config "$tmp/line.conf" --listen 127.0.0.1:0 >"$tmp/line.log" 2>&1 &
        pid=$! tries=600
        until grep -q 'listening' "$tmp/line.log" || [ $tries = 0 ] || ! kill -0 $pid 2>/dev/null; do tries=$((tries - 1)) && sleep 0.05; done
        kill $pid 2>/dev/null
        wait $pid || { echo "with $line:" && cat "$tmp/line.log" && return 1; }
    done <"$tmp/lines"
}
check 'the program starts with each of its lines' conf_values

# systemd 237 has these groups (src/shared/seccomp-util.c), and ignores any other: harmless in a list of what is denied (~).
old_systemd() {
    filters=$(sed -n 's/^SystemCallFilter=//p' package/aidash.service)
    case $filters in ~*) ;; *) echo "not a list of what is denied: $filters" && return 1 ;; esac
    for group in ${filters#\~}; do
        case $group in
        @default | @basic-io | @clock | @cpu-emulation | @debug | @file-system | @io-event | @ipc | @keyring | @module | @mount | \
            @network-io | @obsolete | @privileged | @process | @raw-io | @reboot | @resources | @swap) ;;
        *) echo "systemd 237 does not know $group" && return 1 ;;
        esac
    done
}
check 'the system calls that it denies are groups that systemd 237 knows' old_systemd

# The version of systemd that brought each key (systemd's NEWS), for the keys that 237 does not know: it says "Unknown lvalue" of
# them and goes on, so they may only restrict. All other keys must be of those that it knows.
old_keys() {
    sed -n 's/^\([A-Z][A-Za-z]*\)=.*/\1/p' package/aidash.service | sort -u | while read -r key; do
        case $key in
        ProtectHostname | RestrictSUIDSGID) ;; # 242
        ProtectKernelLogs) ;; # 244
        ProtectClock) ;; # 245
        ProtectProc) ;; # 247
        After | Description | Documentation | ExecReload | ExecStart | LimitNOFILE | PrivateTmp | Restart | RestartPreventExitStatus | RestartSec | \
            UMask | WantedBy | Wants) ;; # before 210
        CapabilityBoundingSet | DevicePolicy | NoNewPrivileges | PrivateDevices | SystemCallArchitectures | SystemCallErrorNumber | SystemCallFilter) ;; # 209
        ProtectHome | ProtectSystem | RestrictAddressFamilies) ;; # 214; strict: 232
        MemoryDenyWriteExecute | RestrictRealtime) ;; # 231
        DynamicUser | ProtectControlGroups | ProtectKernelModules | ProtectKernelTunables | RemoveIPC) ;; # 232
        RestrictNamespaces) ;; # 233
        LockPersonality | StateDirectory | StateDirectoryMode) ;; # 235
        *) echo "which systemd brought $key, and what is it without?" && exit 1 ;;
        esac
    done
}
check 'its keys are known to systemd 237, or only restrict' old_keys

if need systemd-analyze; then
    sed "s|/usr/local/bin/aidash|$bin|" package/aidash.service >"$tmp/aidash.service"
    unit_right() { ! systemd-analyze verify --man=no "$tmp/aidash.service" 2>&1 | grep aidash; }
    check 'systemd understands every line of the unit' unit_right
    check 'and finds it well closed (exposure below 2 of 10)' says 'Overall exposure level' 0 \
        systemd-analyze security --offline=true --threshold=20 --no-pager package/aidash.service
else
    skip "the unit is not checked: $(cat "$tmp/need")"
fi

# ---- roots to install into --------------------------------------------------------------------------------------

# Stands for systemd: it runs what the unit says, and enabled is what is linked.
cat >"$tmp/systemctl" <<'SH'
#!/bin/sh
link=/etc/systemd/system/multi-user.target.wants/aidash.service
for unit in /etc/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system; do
    unit=$unit/aidash.service
    [ ! -f $unit ] || break
done
running() { [ -e "/proc/$(cat /run/aidash.pid 2>/dev/null)/exe" ]; }
stop() { ! running || { kill "$(cat /run/aidash.pid)"; while running; do sleep 0.05; done; }; }
case " $* " in
*' enable '* | *' preset '*) mkdir -p ${link%/*} && ln -sf $unit $link ;;
*' disable --now '*) stop; rm $link; rmdir ${link%/*} 2>/dev/null ;;
*' is-enabled '*) [ ! -L $link ] || echo enabled ;;
*' is-active '*) running ;;
*' stop '*) stop ;;
*' start '* | *' restart '*)
    stop
    $(sed -n 's/^ExecStart=//p' $unit) >>/run/journal 2>&1 </dev/null &
    echo $! >/run/aidash.pid
    ;;
esac
SH
printf '#!/bin/sh\ntail -n 5 /run/journal\n' >"$tmp/journalctl"
chmod +x "$tmp/systemctl" "$tmp/journalctl"

# into ROOT COMMAND: a shell's command line in it
into() {
    dir=$1
    shift
    timeout 60 chroot "$dir" /bin/sh -c "cd; $*"
}
# What is in a root that the test did not bring: files and links, and directories of ours
listing() { (cd "$1" && find . \( -type f -o -type l -o -name 'aidash*' \) ! -path './run/*' ! -path './proc/*' ! -path './dev/*' | sort); }
same_listing() { listing "$1" | diff "$tmp/before" -; }

devices() {
    mkdir -p "$1/dev" "$1/proc" "$1/run" "$1/tmp"
    mount -t tmpfs none "$1/run" && mount -t proc proc "$1/proc" && mount -t tmpfs none "$1/dev" || return 1
    for device in null zero urandom random tty; do
        : >"$1/dev/$device" && mount --bind "/dev/$device" "$1/dev/$device" || return 1
    done
    mkdir -p "$1/run/systemd/system" "$1/run/sshd"
}

# overlay NAME: this machine, in /mnt/NAME/root; what is changed there is in /mnt/NAME/upper
overlay() {
    mkdir -p "/mnt/$1/upper" "/mnt/$1/work" "/mnt/$1/root" &&
        mount -t overlay -o "lowerdir=/,upperdir=/mnt/$1/upper,workdir=/mnt/$1/work" overlay "/mnt/$1/root" &&
        devices "/mnt/$1/root"
}

# boot ROOT: a systemd is the first process there, $init, in a group of its own that ends with the test
init='' group='' unshared=''
boot() {
    mkdir -p /mnt/cgroup && mount -t cgroup2 none /mnt/cgroup && group=$(mktemp -d /mnt/cgroup/aidash-test.XXXXXX) || return 1
    rm -f "$1"/lib/systemd/system/*.wants/* "$1"/etc/systemd/system/*.wants/* "$1/etc/fstab"
    mkdir -p "$1/dev/pts" "$1/sys" && mount -t sysfs -o ro sysfs "$1/sys" && mount -t devpts -o newinstance,ptmxmode=666 devpts "$1/dev/pts" &&
        ln -s pts/ptmx "$1/dev/ptmx" || return 1
    sh -c 'echo $$ >"$1/cgroup.procs" && exec unshare -mpfCui --kill-child sh -c "mount -t proc proc $2/proc && mount -t cgroup2 none $2/sys/fs/cgroup &&
        exec chroot $2 /usr/bin/env -i container=lxc /lib/systemd/systemd --system --unit=basic.target --show-status=no"' sh "$group" "$1" &
    unshared=$!
    tries=600
    while [ $tries -gt 0 ] && kill -0 $unshared; do
        init=$(grep -l "^PPid:.$unshared\$" /proc/[0-9]*/status 2>/dev/null | cut -d/ -f3)
        [ -z "$init" ] || ! nsenter -t "$init" -m -p -r -w /bin/systemctl is-active -q basic.target || return 0
        tries=$((tries - 1)) && sleep 0.1
    done
    init=''
    return 1
}
halt() {
    [ -n "$group" ] || return 0
    kill -9 "$unshared" 2>/dev/null
    wait "$unshared" 2>/dev/null
    tries=300 # its processes take a moment to be gone
    until find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || [ $tries = 0 ]; do tries=$((tries - 1)) && sleep 0.1; done
}

boards=build/deps/boards
if [ -z "${AIDASH_NAMESPACE:-}" ]; then
    skip 'install.sh, the Debian package and make deploy: no root of their own can be made here (it takes root and mount namespaces)'
elif ! mount -t tmpfs -o mode=755 none /mnt; then
    skip 'install.sh, the Debian package and make deploy: no tmpfs can be mounted here'
elif ! { [ -d $boards ] || sh toolchains/fetch.sh unpack $boards busybox-static openssh-server sudo; } >"$tmp/need" 2>&1; then
    skip "install.sh, the Debian package and make deploy: $(tail -n 1 "$tmp/need")"
else
    # ---- install.sh, where there is only busybox

    busybox=$boards/bin/busybox
    [ -f $busybox ] || busybox=$(find $boards/usr/bin/busybox /bin/busybox 2>/dev/null | head -n 1)
    busy=/mnt/busy
    mkdir -p $busy/bin $busy/etc/avahi/services $busy/root
    cp "$busybox" $busy/bin/busybox
    chroot $busy /bin/busybox --install -s /bin
    devices $busy
    cp "$tmp/systemctl" "$tmp/journalctl" $busy/bin/
    cp -R "$unpacked" $busy/root/new
    port=$(free_port)
    listing $busy >"$tmp/before"

    check 'install.sh starts the service, says what to open, and that no engine is named yet' \
        says "open http://.*:$port/ .*sudo aidash pair .*aidash doctor" 0 into $busy "sh new/install.sh --listen 127.0.0.1:$port --seed=7 | tr '\\n' ' '"
    check 'it is enabled' test -L $busy/etc/systemd/system/multi-user.target.wants/aidash.service
    check 'and serves' serves "$port"
    check 'its log goes to standard error, for the journal' grep -q 'listening on' $busy/run/journal
    check 'the options are in the config' sh -c "grep -qx 'listen = 127.0.0.1:$port' $busy/etc/aidash.conf && grep -qx 'seed = 7' $busy/etc/aidash.conf"
    check 'avahi announces the port, to browsers and to gateways' test "$(grep -c "<port>$port</port>" $busy/etc/avahi/services/aidash.service)" = 2
    check 'and that it has no TLS' grep -q '<txt-record>tls=no<' $busy/etc/avahi/services/aidash.service
    if command -v xmllint >/dev/null && [ -f /usr/share/avahi/avahi-service.dtd ]; then
        check 'as its document type has it' xmllint --noout --dtdvalid /usr/share/avahi/avahi-service.dtd $busy/etc/avahi/services/aidash.service
    fi
    echo '# mine' >>$busy/etc/aidash.conf
    cp $busy/etc/aidash.conf "$tmp/edited"
    check 'once more is an upgrade' says "open http://.*:$port/" 0 into $busy "sh new/install.sh"
    check 'that keeps an edited config' cmp $busy/etc/aidash.conf "$tmp/edited"
    check 'and the service serves again' serves "$port"
    check 'an option replaces what was set' into $busy "sh new/install.sh --seed 8"
    only_seed() { sed 's/^seed = 7/seed = 8/' "$tmp/edited" | sort >"$tmp/expected" && sort $busy/etc/aidash.conf | diff "$tmp/expected" -; }
    check 'and only that' only_seed
    check 'an unknown option is refused' says 'unknown option.*nothing was changed' 1 into $busy "sh new/install.sh --lisen 1 2>&1 | tr '\n' ' '; false"
    check 'and changes nothing' grep -q 'seed = 8' $busy/etc/aidash.conf
    check 'a value that does not work is told, with the log' \
        says "not a number.*it is installed, but it does not run" 1 into $busy "sh new/install.sh --rate many 2>&1 | tr '\n' ' '; false"
    check 'uninstall keeps the edited config, and says so' says '/etc/aidash.conf is kept' 0 into $busy "sh new/install.sh --uninstall"
    check 'nobody serves any more' silent "$port"
    check 'purge removes it' into $busy "sh new/install.sh --purge"
    check 'and nothing is left' same_listing $busy
    rmdir $busy/run/systemd/system $busy/run/systemd $busy/etc/avahi/services
    check 'without systemd, what to do is told' says '/opt/ad/bin/aidash --config /etc/aidash.conf' 0 \
        into $busy "PREFIX=/opt/ad sh new/install.sh"
    check 'the unit names the program of that PREFIX' grep -q '^ExecStart=/opt/ad/bin/aidash ' $busy/etc/systemd/system/aidash.service
    check 'a config that nobody edited goes, too' into $busy "PREFIX=/opt/ad sh new/install.sh --uninstall"
    check 'and nothing is left of it' same_listing $busy
    mkdir -p $busy/run/systemd/system
    check 'into a DESTDIR, nothing is started' into $busy "rm /run/aidash.pid; DESTDIR=/root/dest sh new/install.sh && test -x dest/usr/local/bin/aidash && test ! -e /run/aidash.pid"

    # ---- the Debian package, under a real systemd where one can be started

    overlay deb
    deb=/mnt/deb/root
    if boot $deb >"$tmp/boot.log" 2>&1; then
        there() { timeout 60 nsenter -t "$init" -m -u -i -p -C -r -w /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive sh -c "$*"; }
        there systemctl start systemd-journald
    else
        skip "no systemd could be started: a stand-in runs the unit, and its sandbox is not tested"
        cp "$tmp/systemctl" $deb/usr/local/bin/systemctl
        there() { into $deb "export DEBIAN_FRONTEND=noninteractive; $*"; }
    fi
    mkdir -p $deb/etc/avahi/services $deb/root/admin/info $deb/root/admin/updates
    rm -f $deb/usr/sbin/policy-rc.d
    cp "$out"/aidash_"$version"_*.deb $deb/root/aidash.deb
    # A database of its own makes it quick. What it writes is dpkg's, not the package's, and so is what systemd writes.
    : >$deb/root/admin/status
    dpkg_there() { there dpkg --admindir=/root/admin --log=/dev/null --force-unsafe-io "$*"; }
    package_listing() { listing /mnt/deb/upper | grep -v '^./root/admin/\|^./var/\(log\|tmp\)/\|^./tmp/\|^./etc/.pwd.lock'; }
    package_listing >"$tmp/before"
    # The default port may be taken here; a config that is there before the package stays.
    port=$(free_port)
    echo "listen = $port" >$deb/etc/aidash.conf
    check 'dpkg installs the package' dpkg_there --force-confold -i /root/aidash.deb
    check 'it runs, by its unit' serves "$port"
    check 'it is enabled' test -L $deb/etc/systemd/system/multi-user.target.wants/aidash.service
    if [ -n "$init" ]; then
        pid=$(there systemctl show -p MainPID --value aidash)
        check 'it is a user of its own, without privileges, behind a filter of system calls' says \
            'Uid:.[1-9][0-9]+.*CapEff:.0+ .*NoNewPrivs:.1.*Seccomp:.2' 0 there "tr '\\n' ' ' </proc/$pid/status"
        addresses() {
            ! "$bin" doctor --listen "$port" | grep 'on the LAN' || there journalctl -u aidash -o cat --no-pager | grep 'on the LAN: http'
        }
        check 'and finds the addresses of the machine as it does outside' addresses
        # What the unit shows in a comment: a low port.
        dropin=$deb/etc/systemd/system/aidash.service.d
        mkdir -p "$dropin"
        sed -n 's/^#   //p' package/aidash.service >"$dropin/test.conf"
        low=900
        while node -e 'require("net").connect(process.argv[1], "127.0.0.1").on("connect", () => process.exit(0)).on("error", () => process.exit(1))' $low; do low=$((low + 1)); done
        echo "listen = $low" >$deb/etc/aidash.conf
        check 'a low port takes the lines that the unit shows' there 'systemctl daemon-reload && systemctl restart aidash'
        check 'and it serves there' serves $low
        rm -r "$dropin"
        echo "listen = $port" >$deb/etc/aidash.conf
        check 'without them it is as it was' there 'systemctl daemon-reload && systemctl restart aidash'
        check 'killed, it comes again' there "kill -9 \$(systemctl show -p MainPID --value aidash); while [ \$(systemctl show -p MainPID --value aidash) = 0 ] || ! systemctl is-active -q aidash; do sleep 0.1; done"
        check 'and serves again' serves "$port"
    fi
    check 'its files are as they were packed, but for the config' there "! dpkg --admindir=/root/admin -V aidash | grep -v ' c /etc/aidash.conf$'"
    check 'installed again, it is an upgrade and keeps the config' dpkg_there --force-confold -i /root/aidash.deb
    check 'with the same options' serves "$port"
    check 'dpkg removes it' dpkg_there -r aidash
    check 'nobody serves any more' silent "$port"
    check 'the config stays until it is purged' grep -qx "listen = $port" $deb/etc/aidash.conf
    check 'dpkg purges it' dpkg_there -P aidash
    package_listing >"$tmp/after"
    check 'and nothing is left of it' diff "$tmp/before" "$tmp/after"
    if command -v lintian >/dev/null; then
        check 'lintian finds no error' lintian --allow-root --fail-on error "$out"/aidash_"$version"_*.deb
    else
        skip 'the Debian package is not checked by lintian: this machine has none'
    fi

    halt
    # ---- make deploy, to a board behind a real sshd

    overlay board
    board=/mnt/board/root
    tar -C $boards -cf - . | tar -C $board --keep-directory-symlink -xf -
    cp "$tmp/systemctl" "$tmp/journalctl" $board/usr/local/bin/
    [ -d $board/etc/sudoers.d ] && rm -f $board/etc/sudoers.d/*
    printf 'Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"\npi ALL=(ALL) NOPASSWD: ALL\n' >$board/etc/sudoers
    echo 'root:x:0:0::/root:/bin/sh
sshd:x:102:65534::/run/sshd:/usr/sbin/nologin
pi:x:1000:1000::/home/pi:/bin/sh' >$board/etc/passwd
    printf 'root:x:0:\npi:x:1000:\n' >$board/etc/group
    printf 'root:*:1::::::\npi:*:1::::::\n' >$board/etc/shadow
    mkdir -p $board/home/pi && chown 1000:1000 $board/home/pi
    printf 'account required pam_permit.so\nsession required pam_permit.so\nauth required pam_permit.so\n' >$board/etc/pam.d/sudo
    check 'there is an ssh' need ssh
    ssh-keygen -q -t ed25519 -N '' -f "$tmp/key_host" && ssh-keygen -q -t ed25519 -N '' -f "$tmp/key_user"
    cp "$tmp/key_host" $board/etc/ssh/key_host
    cp "$tmp/key_user.pub" $board/etc/ssh/authorized
    ssh_port=$(free_port) port=$(free_port)
    cat >$board/etc/ssh/test_config <<CONFIG
ListenAddress 127.0.0.1:$ssh_port
HostKey /etc/ssh/key_host
AuthorizedKeysFile /etc/ssh/authorized
PasswordAuthentication no
UsePAM no
PidFile none
CONFIG
    cat >"$tmp/ssh_config" <<CONFIG
Host board
    HostName 127.0.0.1
    Port $ssh_port
    User pi
    IdentityFile $tmp/key_user
    IdentitiesOnly yes
    UserKnownHostsFile $tmp/known
    BatchMode yes
    ConnectTimeout 10
CONFIG
    echo "[127.0.0.1]:$ssh_port $(cut -d' ' -f1,2 "$tmp/key_host.pub")" >"$tmp/known"
    chroot $board /usr/sbin/sshd -D -e -f /etc/ssh/test_config >"$tmp/sshd.log" 2>&1 &
    tries=600
    until grep -q 'listening' "$tmp/sshd.log" || [ $tries = 0 ]; do tries=$((tries - 1)) && sleep 0.05; done
    listing /mnt/board/upper >"$tmp/before"

    deploy() { (cd "$one" && timeout 100 $make deploy HOST=board SSH="ssh -F $tmp/ssh_config" ARGS="$*"); }
    check 'make deploy builds for the board, installs there by sudo, and prints the address to open' \
        says "^aidash: open http://127.0.0.1:$port/" 0 deploy "--listen 127.0.0.1:$port --models 'a b,c'"
    check 'where it serves' serves "$port"
    check 'with its options, blanks in them too' grep -qx 'models = a b,c' $board/etc/aidash.conf
    check 'from boot on' test -L $board/etc/systemd/system/multi-user.target.wants/aidash.service
    check 'deployed again, it keeps them' says "^aidash: open http://127.0.0.1:$port/" 0 deploy
    check 'and serves again' serves "$port"
    check 'nothing but what it installs is left on the board' sh -c "[ -z \"\$(ls -A $board/home/pi)\" ]"
    check 'a failure on the board is a failure here' says 'unknown option' 2 deploy --lisen 1
    check 'and a board that is not reached, too' says 'refused|reset|closed' 2 \
        $make deploy HOST=board SSH="ssh -F $tmp/ssh_config -o Port=9"
    into $board systemctl stop aidash
fi

printf '#!/bin/sh\necho mips\n' >"$tmp/mips"
chmod +x "$tmp/mips"
check 'a board that nothing can be built for is told' says 'is a mips, and there is no toolchains/mips.mk' 2 $make deploy HOST=x SSH="$tmp/mips"
check 'a deploy without a board is told' says 'which board.*HOST=pi@raspberrypi.local' 2 $make deploy

# ---- the second release

wait $second || :
same_bytes() { (cd "$out" && sha256sum ./*) >"$tmp/sums" && { (cd "$two/build/release" && sha256sum ./*) | diff "$tmp/sums" - || { tail "$tmp/two.log"; return 1; }; }; }
check 'built in another directory, every file of the release has the same bytes' same_bytes
finish
