# check.sh - for test scripts in shell: `check NAME COMMAND...` passes when the command does, `finish` prints the sums.
# What a failed command printed is shown. Needs $tmp, a directory.
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
