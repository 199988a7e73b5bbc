#!/usr/bin/env bash
# test_mutants: mutants.sh tells a patch that shows its failure from those that show nothing: one that
# does not apply, does not compile, changes nothing that matters, or says not what it should show.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"

cd "$ROOT"
unset DATABASE_URL DURATION CLIENTS RATE MODE
dir=$(mktemp -d)
on_exit rm -rf "$dir"
on_exit rm -rf "$ROOT"/build/mutants/test-* "$ROOT"/build/release/build/mutants/test-*
failed=0

# patch NAME SETTINGS SED: of phase 1's inventory
patch() {
    local file=inventory_pessimistic.c
    sed "$3" "phase1/$file" >"$dir/$file"
    printf 'Something is missing.\n\nTarget: 1%s\nShows: oversell.sh PRESENT oversell\n\n' "$2" >"$dir/$1.patch"
    diff -U1 --label "a/$file" --label "b/$file" "phase1/$file" "$dir/$file" >>"$dir/$1.patch" || : # they differ
}
# says STATUS NAME PATTERN ARGUMENT..: what mutants.sh ends with, and one of its lines
says() {
    local status=0
    MUTANTS=$dir harness/mutants.sh "${@:4}" >"$dir/output" 2>&1 || status=$?
    if [[ $status == "$1" ]] && grep -qE -- "$3" "$dir/output"; then
        say "ok $2"
    else
        failed=1
        say "not ok $2: status $status, $(tail -n 2 "$dir/output" | tr '\n' ' ')"
    fi
}

patch test-good ,DB_POOL=16 's/ FOR UPDATE"/"/'
patch test-same ,DB_POOL=16 's/ FOR UPDATE"/ FOR NO KEY UPDATE"/'
patch test-broken '' 's/ FOR UPDATE"/ FOR UPDATE/'
patch test-unused '' '/ FOR UPDATE"/s/$/ static int unused;/'
sed 's/^-static/-statics/' "$dir/test-good.patch" >"$dir/test-stale.patch"
sed '/^Shows/d' "$dir/test-good.patch" >"$dir/test-headless.patch"

says 0 "it applies and compiles" '^ok test-good ' --apply-only test-good
says 1 "one that does not apply" '^not ok test-stale: it does not apply: .*' --apply-only test-stale
says 1 "nor is it measured" '^not ok test-stale: it does not apply' test-stale
says 1 "one that does not compile" '^not ok test-broken: it does not compile: .*error' test-broken
says 1 "one that compiles with a warning" '^not ok test-unused: it does not compile: .*unused' --apply-only test-unused
says 1 "one that does not say what it shows" '^not ok test-headless: its header lacks' --apply-only test-headless
says 64 "one that is not there" 'there is no mutant test-none' test-none
says 0 "one that shows its failure" '^ok test-good \(oversell is PRESENT\)' test-good
DURATION=0.3 says 1 "one that changes nothing that is seen" '^not ok test-same: oversell is ABSENT, not PRESENT' test-same
# A script that is never sure.
mkdir -p build/mutants build/runs/test-unsure
on_exit rm -rf "$ROOT"/build/runs/test-unsure
cat >build/mutants/test-unsure.sh <<'END'
#!/bin/sh
echo '{"verdicts": [{"failure_mode": "oversell", "verdict": "INCONCLUSIVE"}]}' >build/runs/test-unsure/summary.json
echo "kept: build/runs/test-unsure"
exit 2
END
chmod +x build/mutants/test-unsure.sh
sed 's|^Shows: .*|Shows: ../build/mutants/test-unsure.sh PRESENT oversell|' "$dir/test-good.patch" >"$dir/test-unsure.patch"
says 2 "one that stays inconclusive" '^skip test-unsure: oversell is INCONCLUSIVE 3 times' test-unsure
says 1 "a failure counts more than a doubt" '^0 passed, 1 failed, 1 skipped' test-unsure test-stale
says 0 "the phase itself has it not" '^2 passed, 0 failed' --both test-good
says 1 "all of them are counted" '^2 passed, 4 failed, 0 skipped' --apply-only test-good test-same test-broken test-stale test-headless test-unused
exit "$failed"
