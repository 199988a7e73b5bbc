#!/usr/bin/env bash
# test_check: that check.sh counts right, and that setup.sh knows what is missing.
#
# check.sh runs in a small tree whose guards.sh is ours to script, so that each kind of ending can be
# seen in the last line and the exit status. Prints `ok NAME` or `not ok NAME: why`.
set -euo pipefail
unset ONLY
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"

base=$(mktemp -d)
on_exit rm -rf "$base"
failed=0
ok() { say "ok $1"; }
not_ok() {
    say "not ok $1: $2"
    failed=1
}

mkdir -p "$base/harness/packages"
cp -r "$ROOT/harness/lib" "$base/harness"
sed 's/^LINT_S=.*/LINT_S=2/' "$ROOT/harness/check.sh" >"$base/harness/check.sh"
cp "$ROOT/harness/setup.sh" "$base/harness/setup.sh.real"
printf '#!/bin/sh\n' >"$base/harness/setup.sh"
printf 'print-phases:\n\t@echo\n' >"$base/Makefile"
chmod +x "$base"/harness/*.sh

guards_do() {
    printf '#!/usr/bin/env bash\n%s\n' "$1" >"$base/harness/guards.sh"
    chmod +x "$base/harness/guards.sh"
}
# counts NAME SCRIPT STATUS CLOSING [TEXT]: what guards.sh does, and how check.sh must end.
counts() {
    local name=$1 status=0 out
    guards_do "$2"
    out=$(cd "$base" && NO_COLOR=1 ONLY=${ONLY:-guards} harness/check.sh quick 2>&1) || status=$?
    if [[ $status == "$3" && ${out##*$'\n'} == "$4" && $out == *"${5-}"* ]]; then
        ok "$name"
    else
        not_ok "$name" "status $status; ${out//$'\n'/; }"
    fi
}

CHECK_LINE='echo "83%: Checks: 6, Failures: 1, Errors: 0"'
FAILURE='echo "common/tests/test_x.c:12:F:x:test_x_holds:0: Assertion failed"'
counts "lines are counted" 'echo ok a; echo ok b; echo skip c: why' 0 "2 passed, 0 failed, 1 skipped" \
    "guards: c: why"
counts "a failure is named" 'echo ok a; echo not ok b: why; exit 1' 1 "1 passed, 1 failed, 0 skipped" \
    "guards: b: why"
counts "a failure counts whatever the status" 'echo not ok b: why' 1 "0 passed, 1 failed, 0 skipped"
counts "Check's line is counted" "echo '100%: Checks: 6, Failures: 0, Errors: 0'" 0 \
    "6 passed, 0 failed, 0 skipped"
counts "Check's failures are named" "$FAILURE; $CHECK_LINE; exit 1" 1 "5 passed, 1 failed, 0 skipped" \
    "guards: test_x_holds:0: Assertion failed"
counts "an error is a failure" "echo '50%: Checks: 2, Failures: 0, Errors: 1'; exit 1" 1 \
    "1 passed, 1 failed, 0 skipped"
counts "a bad status without a failure is one" 'echo ok a; exit 3' 1 "1 passed, 1 failed, 0 skipped" \
    "ended with status 3"
counts "status 77 with a reason is no failure" 'echo ok a; echo skip b: why; exit 77' 0 \
    "1 passed, 0 failed, 1 skipped"
counts "status 77 without one is" 'echo ok a; exit 77' 1 "1 passed, 1 failed, 0 skipped"
counts "status 2 with a reason is no failure: inconclusive" 'echo ok a; echo skip b: why; exit 2' 0 \
    "1 passed, 0 failed, 1 skipped"
CHECK_LONG=1 counts "but in full it is" 'echo ok a; echo skip b: why; exit 2' 1 "1 passed, 1 failed, 1 skipped"
counts "no test at all is a failure" 'exit 0' 1 "0 passed, 1 failed, 0 skipped" "counted no test"
counts "a time-out is a failure" 'echo ok a; sleep 30' 1 "1 passed, 1 failed, 0 skipped" \
    "did not end within 2 s"
ONLY=nothing counts "nothing run is no success" 'echo ok a' 1 "0 passed, 0 failed, 0 skipped"

# Ended from outside, it ends what it started.
sed -i 's/^LINT_S=.*/LINT_S=100/' "$base/harness/check.sh"
guards_do "echo \$\$ >'$base/pid'; while :; do sleep 0.2; done"
(cd "$base" && ONLY=guards exec harness/check.sh quick) >/dev/null 2>&1 &
for ((tenths = 0; tenths < 100; tenths++)); do
    [[ ! -s $base/pid ]] || break
    sleep 0.1
done
kill -TERM $!
wait $! && status=0 || status=$?
if [[ $status == 143 && ! -d /proc/$(<"$base/pid") ]]; then
    ok "SIGTERM ends the step as well"
else
    not_ok "SIGTERM ends the step as well" "status $status, process $(<"$base/pid")"
fi

# Killed, it can end nothing: the step hears of it all the same.
rm "$base/pid"
(cd "$base" && ONLY=guards exec harness/check.sh quick) >/dev/null 2>&1 &
for ((tenths = 0; tenths < 100; tenths++)); do
    [[ ! -s $base/pid ]] || break
    sleep 0.1
done
kill -KILL $!
wait $! 2>/dev/null || :
for ((tenths = 0; tenths < 100; tenths++)); do
    [[ -d /proc/$(<"$base/pid") ]] || break
    sleep 0.1
done
if [[ ! -d /proc/$(<"$base/pid") ]]; then
    ok "kill -9 ends the step as well"
else
    not_ok "kill -9 ends the step as well" "process $(<"$base/pid") runs"
fi

# ------------------------------------------------------------------------------------- setup.sh

mv "$base/harness/setup.sh.real" "$base/harness/setup.sh"
chmod -R a+rX "$base"
# packages RUN TEST [UNPACK]
packages() { printf '[run]\n%s\n[test]\n%s\n[unpack]\n%s\n' "$1" "$2" "${3-}" >"$base/harness/packages/tier1"; }
# needs NAME PART STATUS TEXT: with --check.
needs() {
    local status=0 out
    out=$("$base/harness/setup.sh" tier1 "$2" --check 2>&1) || status=$?
    if [[ $status == "$3" && $out == "$4" ]]; then ok "$1"; else not_ok "$1" "status $status, '$out'"; fi
}
if command -v dpkg-query >/dev/null; then
    packages 'bash
no-such-package|bash' no-such-test
    needs "what is installed is silent, an alternative will do" run 0 ""
    needs "the test part is looked at for tests only" test 1 \
        "Not installed: no-such-test. Install with: make check"
    packages no-such-package bash
    needs "what is missing is named, with the command" run 1 \
        "Not installed: no-such-package. Install with: make setup"
    needs "tests need the run part too" test 1 "Not installed: no-such-package. Install with: make check"
    packages 'bash
no-such-package|-' 'no-such-test|bash|-' no-such-service
    needs "what the distribution has not can be done without" run 0 ""
    needs "what is to be unpacked is named too" test 1 "Not installed: no-such-service. Install with: make check"
    list=$("$base/harness/setup.sh" tier1 test --list | paste -sd ' ')
    if [[ $list == "bash no-such-package|- no-such-test|bash|- no-such-service" ]]; then
        ok "--list has all of them"
    else
        not_ok "--list has all of them" "$list"
    fi
    packages no-such-package bash
    as_nobody=()
    if ((EUID == 0)); then as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups); fi
    status=0
    out=$(cd / && "${as_nobody[@]}" "$base/harness/setup.sh" tier1 run 2>&1 </dev/null) || status=$?
    if [[ $status == 1 && $out == *"apt-get install --no-install-recommends no-such-package" ]]; then
        ok "neither root nor sudo: the command is printed"
    elif command -v sudo >/dev/null && ((EUID != 0)); then
        say "skip neither root nor sudo: the command is printed: this user has sudo"
    else
        not_ok "neither root nor sudo: the command is printed" "status $status, '$out'"
    fi

    # A package of our own and an apt that has nothing else; whoever runs it is not root.
    mkdir -p "$base/bin" "$base/toy/DEBIAN" "$base/toy/usr/bin" "$base/build"
    printf 'Package: no-such-service\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\nDepends: no-such-package\n' >"$base/toy/DEBIAN/control"
    printf '#!/bin/sh\ntouch "%s/installed"\n' "$base" >"$base/toy/DEBIAN/postinst"
    printf '#!/bin/sh\necho served\n' >"$base/toy/usr/bin/service"
    chmod 755 "$base"/toy/DEBIAN/postinst "$base"/toy/usr/bin/service
    dpkg-deb --build --root-owner-group "$base/toy" "$base/toy.deb" >/dev/null
    # shellcheck disable=SC2016 # the script's own
    printf '#!/bin/sh\n[ "$3" = no-such-service ]\n' >"$base/bin/apt-cache"
    printf '#!/bin/sh\nexit 1\n' >"$base/bin/sudo"
    cat >"$base/bin/apt-get" <<APT
#!/bin/sh
for word; do [ "\$word" != update ] || exit 0; done
[ ! -e "$base/offline" ] || { echo "E: offline" >&2; exit 100; }
case "\$*" in
*--print-uris*) echo "'http://x/toy.deb' toy.deb 1234567 SHA256:0" ;;
*download*) cp "$base/toy.deb" . ;;
esac
APT
    chmod +x "$base"/bin/*
    chmod -R a+rX "$base"
    chmod 777 "$base/build"
    # unpacks NAME STATUS TEXT
    unpacks() {
        local status=0 out
        out=$(cd / && PATH=$base/bin:$PATH "${as_nobody[@]}" "$base/harness/setup.sh" tier1 test 2>&1 </dev/null) || status=$?
        if [[ $status == "$2" && $out == "$3" ]]; then ok "$1"; else not_ok "$1" "status $status, '$out'"; fi
    }
    packages bash bash no-such-service
    touch "$base/offline"
    unpacks "no network: one sentence, and nothing half-done" 1 "To unpack in build/packages, not to install: no-such-service
E: offline
setup.sh: no-such-service could not be fetched and unpacked: apt's words are above"
    rm "$base/offline"
    needs "it is still missing" test 1 "Not installed: no-such-service. Install with: make check"
    unpacks "it is unpacked, by a user without rights" 0 "To unpack in build/packages, not to install: no-such-service
Need to get 1.2 MB of archives."
    if [[ $("$base/build/packages/no-such-service/usr/bin/service") == served && ! -e $base/installed ]]; then
        ok "its files are there, and no script of its was run"
    else
        not_ok "its files are there, and no script of its was run" "$(find "$base/build" "$base/installed" 2>&1 | tail -n 3)"
    fi
    needs "it is there now" test 0 ""
    unpacks "a second time nothing is done" 0 ""
else
    say "skip setup.sh: no dpkg on this machine"
fi

exit "$failed"
