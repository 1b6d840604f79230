#!/bin/sh
# deploy.sh HOST [--KEY VALUE]... - builds aidash for the board HOST (as ssh takes it: pi@raspberrypi.local), installs it
# there as a service and prints the address to open. Each --KEY VALUE becomes `KEY = VALUE` in the board's /etc/aidash.conf.
#
# The board needs sshd, tar and, for another user than root, sudo. SSH is the ssh command (SSH="ssh -p 2222").
set -eu
. package/common.sh
host=${1:-}
[ -n "$host" ] || die "which board? make deploy HOST=pi@raspberrypi.local [ARGS=\"--upstream http://127.0.0.1:11434\"]"
shift

# One connection for all: a password is asked for once.
tmp=$(mktemp -d)
ssh="${SSH:-ssh} -o ControlMaster=auto -o ControlPath=$tmp/ssh -o ControlPersist=60"
trap '$ssh -O exit "$host" 2>/dev/null || :; rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM HUP

quote() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }

machine=$($ssh "$host" uname -m)
case $machine in
armv6l) target=armv6 ;;
armv7l | armv8l) target=armv7 ;;
*) target=$machine ;;
esac
[ -f "toolchains/$target.mk" ] || die "$host is a $machine, and there is no toolchains/$target.mk"
say "$host is a $machine: building for $target"
${MAKE:-make} --no-print-directory TOOLCHAIN="$target" "build/$target/package/aidash"

dir=$($ssh "$host" mktemp -d ./aidash.XXXXXX)
tar -C "build/$target/package" -cf - . | $ssh "$host" "tar -xf - -C $dir"
name=$(${SSH:-ssh} -G "$host" | sed -n 's/^hostname //p')
run="env SHOWN_HOST=$(quote "$name") sh $dir/install.sh"
for option; do run="$run $(quote "$option")"; done
terminal=''
[ ! -t 0 ] || terminal=-t # sudo may ask for a password
status=0
$ssh $terminal "$host" "[ \$(id -u) = 0 ] || sudo=sudo; \${sudo:-} $run" || status=$?
$ssh "$host" "rm -rf $dir"
exit $status
