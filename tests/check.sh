# check.sh - for test scripts in shell: `check NAME COMMAND...` passes when the command does, `finish` prints the sums.
# What a failed command printed is shown. To be sourced in the project's directory, which is then $root; $tmp is a directory
# that goes with the script.
set -u
LC_ALL=C
export LC_ALL
root=$(pwd)
tmp=$(mktemp -d) || exit 1
trap 'rm -rf --one-file-system "$tmp"' EXIT
passed=0 failed=0 skipped=0

check() {
    name=$1
    shift
    if "$@" >"$tmp/check.out" 2>&1; then
        passed=$((passed + 1))
        echo "ok - $name"
    else
        failed=$((failed + 1))
        echo "not ok - $name"
        sed 's/^/    error: /' "$tmp/check.out" | tail -n 25
    fi
}

# says PATTERN STATUS COMMAND...: it ends with that status and prints the pattern
says() {
    pattern=$1 expected=$2
    shift 2
    "$@" >"$tmp/says.out" 2>&1 </dev/null
    status=$?
    cat "$tmp/says.out"
    [ $status -eq "$expected" ] || { echo "status $status, not $expected"; return 1; }
    grep -Eq -- "$pattern" "$tmp/says.out" || { echo "does not say: $pattern"; return 1; }
}

skip() {
    skipped=$((skipped + 1))
    echo "skipped: $1"
}

finish() {
    if [ $skipped -gt 0 ]; then
        echo "$passed passed, $failed failed, $skipped skipped"
    else
        echo "$passed passed, $failed failed"
    fi
    [ $failed -eq 0 ]
}
