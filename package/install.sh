#!/bin/sh
# install.sh - installs aidash as a service of this machine, upgrades it, or removes it.
#
#   ./install.sh [--KEY VALUE]...   install or upgrade, and start; each --KEY VALUE becomes `KEY = VALUE` in /etc/aidash.conf
#   ./install.sh --files            copy the files, start nothing; without root, only those below PREFIX
#   ./install.sh --uninstall        stop and remove it, but keep an edited /etc/aidash.conf
#   ./install.sh --purge            remove the edited /etc/aidash.conf, too
#
# From the environment: PREFIX (/usr/local), and DESTDIR, the root of a system that is not running: nothing is started there.
set -eu
umask 022
PREFIX=${PREFIX:-/usr/local} DESTDIR=${DESTDIR:-}
here=$(cd "$(dirname "$0")" && pwd)
share=$PREFIX/share/aidash
conf=/etc/aidash.conf
avahi=/etc/avahi/services
case $PREFIX in
/usr | /usr/local) unit=$PREFIX/lib/systemd/system/aidash.service ;;
*) unit=/etc/systemd/system/aidash.service ;; # where systemd looks, wherever the program is
esac

say() { printf 'aidash: %s\n' "$*"; }
die() { printf 'aidash: %s\n' "$*" >&2; exit 1; }

# What is installed: mode, name here, place.
files="755 aidash $PREFIX/bin/aidash
644 aidash.service $unit
644 aidash.1 $PREFIX/share/man/man1/aidash.1
644 aidash.bash $PREFIX/share/bash-completion/completions/aidash
644 aidash.conf $share/aidash.conf
644 aidash.avahi $share/aidash.avahi
644 LICENSE $PREFIX/share/doc/aidash/LICENSE
644 THIRD-PARTY.md $PREFIX/share/doc/aidash/THIRD-PARTY.md
644 README.md $PREFIX/share/doc/aidash/README.md
644 CHANGELOG.md $PREFIX/share/doc/aidash/CHANGELOG.md
$(cd "$here" && for page in docs/*; do echo "644 $page $PREFIX/share/doc/aidash/$page"; done)"

# What lies in /etc is left out by who may not write there.
system=yes
[ -n "$DESTDIR" ] || [ "$(id -u)" = 0 ] || system=''
[ -n "$system" ] || files=$(echo "$files" | grep -v ' /etc/')

# put MODE FILE PLACE: by a rename, so that a running program can be replaced and no file is ever half there
put() {
    mkdir -p "$DESTDIR${3%/*}"
    cp "$2" "$DESTDIR$3.new"
    chmod "$1" "$DESTDIR$3.new"
    mv -f "$DESTDIR$3.new" "$DESTDIR$3"
}

# Only a running systemd has this directory; in a DESTDIR nothing runs.
running_systemd() { [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; }

# What the dashboard is opened with.
scheme() {
    if grep -Eq '^[[:space:]]*tls[-_]cert[[:space:]]*=' "$DESTDIR$conf"; then echo https; else echo http; fi
}

# The port of the first address in the config.
port() {
    listen=$(sed -En 's/^[[:space:]]*(listen|port)[[:space:]]*=[[:space:]]*//p' "$DESTDIR$conf" | head -n 1)
    listen=$(echo "$listen" | sed "s/[[:space:]]#.*//;s/[\"']//g")
    listen=${listen%%,*}
    echo "${listen##*:}" | grep -x '[0-9]\{1,\}' || echo 8080
}

# Does the service speak TLS: yes or no?
tls() {
    if grep -q '^[[:space:]]*tls-cert[[:space:]]*=' "$DESTDIR$conf"; then echo yes; else echo no; fi
}

# configure NEW_CONF [--KEY VALUE]...: the config with these options; a key that is given replaces what was set
configure() {
    new=$1 seen=''
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        --?*=*) key=${1#--} value=${key#*=} key=${key%%=*} ;;
        --?*)
            [ $# -ge 2 ] || die "$1 needs a value"
            key=${1#--} value=$2
            shift
            ;;
        *) die "unexpected '$1': options are --KEY VALUE, as in aidash --help" ;;
        esac
        shift
        case " $seen " in
        *" $key "*) ;;
        *)
            grep -v "^[[:space:]]*${key}[[:space:]]*=" "$new" >"$new.less" || : # nothing else was set
            mv "$new.less" "$new"
            seen="$seen $key"
            ;;
        esac
        printf '%s = %s\n' "$key" "$value" >>"$new"
    done
}

install() {
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    # An upgrade renews a config that nobody edited.
    if [ ! -e "$DESTDIR$conf" ] || cmp -s "$DESTDIR$conf" "$DESTDIR$share/aidash.conf"; then
        cp "$here/aidash.conf" "$work/conf"
    else
        cp "$DESTDIR$conf" "$work/conf"
    fi
    configure "$work/conf" "$@"
    # The program itself knows its options; a foreign one in a DESTDIR may not run here.
    if [ -z "$DESTDIR" ]; then
        "$here/aidash" --config "$work/conf" --version >/dev/null || die "nothing was changed"
    fi
    echo "$files" | while read -r mode name place; do
        case $name in
        aidash.service)
            sed "s|^ExecStart=/usr/local/|ExecStart=$PREFIX/|" "$here/$name" >"$work/$name"
            put "$mode" "$work/$name" "$place"
            ;;
        *) put "$mode" "$here/$name" "$place" ;;
        esac
    done
    [ -n "$system" ] || { say "installed $PREFIX/bin/aidash"; return; }
    cmp -s "$work/conf" "$DESTDIR$conf" || put 644 "$work/conf" "$conf"
    if [ -d "$DESTDIR$avahi" ]; then
        sed "s|<port>[0-9]*|<port>$(port)|;s|>tls=[a-z]*<|>tls=$(tls)<|" "$here/aidash.avahi" >"$work/avahi"
        put 644 "$work/avahi" "$avahi/aidash.service"
    fi
    say "installed $PREFIX/bin/aidash; its options are in $conf"
}

start() {
    if ! running_systemd; then
        say "this machine has no systemd. To start aidash at boot, let your init system run this as an unprivileged user:"
        say "  $PREFIX/bin/aidash --config $conf"
        return
    fi
    systemctl daemon-reload
    systemctl enable --quiet aidash.service
    systemctl restart aidash.service
    sleep 1
    if ! systemctl is-active --quiet aidash.service; then
        journalctl -u aidash.service -n 5 --no-pager -o cat >&2 || true
        die "it is installed, but it does not run: see the lines above. Change $conf, then: systemctl restart aidash"
    fi
    say "it is running and will start at boot. Its log: journalctl -u aidash"
    [ -n "${SHOWN_HOST:-}" ] || SHOWN_HOST=$(hostname)
    say "open $(scheme)://$SHOWN_HOST:$(port)/"
    say "sudo aidash pair signs in a phone or another browser, so that it may pause the engine, too"
    grep -Eq '^[[:space:]]*(upstream|scrape|source)[[:space:]]*=' "$conf" ||
        say "it shows a simulated engine until you set yours in $conf; aidash doctor finds it"
}

# uninstall [purge]
uninstall() {
    if running_systemd && [ -e "$unit" ]; then
        systemctl disable --now --quiet aidash.service
    fi
    if [ ! -e "$DESTDIR$conf" ]; then
        :
    elif [ "${1:-}" = purge ] || cmp -s "$DESTDIR$conf" "$DESTDIR$share/aidash.conf"; then
        rm -f "$DESTDIR$conf"
    else
        say "$conf is kept because it was edited (--purge removes it)"
    fi
    echo "$files" | while read -r mode name place; do rm -f "$DESTDIR$place"; done
    rm -f "$DESTDIR$avahi/aidash.service"
    for dir in "$share" "$PREFIX/share/doc/aidash/docs" "$PREFIX/share/doc/aidash"; do
        [ ! -d "$DESTDIR$dir" ] || rmdir "$DESTDIR$dir"
    done
    if running_systemd; then systemctl daemon-reload; fi
    say 'removed'
}

case ${1:-} in
--help | -h) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
esac
[ -n "$system" ] || [ "${1:-}" = --files ] || die "this needs root: sudo $0 $*"
case ${1:-} in
--uninstall) uninstall ;;
--purge) uninstall purge ;;
--files)
    shift
    install "$@"
    ;;
*)
    install "$@"
    [ -n "$DESTDIR" ] || start
    ;;
esac
