#!/usr/bin/env bash
# demo: the story so far, in about three minutes: what breaks in phases 0 and 1, measured on real
# servers and a real PostgreSQL. `make demo` runs it after installing what is missing.
#
# The exit status is 0 only if everything went as harness/failure-modes.tsv expects.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/lib/common.sh"

cd "$ROOT"
began=$SECONDS
mkdir -p build
seen=$(mktemp build/demo.XXXXXX)
output=$(mktemp build/demo.XXXXXX)
on_exit rm -f "$ROOT/$seen" "$ROOT/$output"
worst=0

# act TITLE, the story on standard input
act() {
    say ""
    say "${BOLD}$1${PLAIN}"
    cat
}

# Without the first two lines, the comparison and the closing lines, which a demo need not repeat.
shown() {
    sed -e '1,2d' -e '/^ \{30\}/,$d' -e '/^As expected/d' -e '/^kept: /d' "$1" |
        sed -e :a -e '/^\n*$/ { $d; N; ba' -e '}' | # no empty lines at the end
        sed -E "s/^  (PRESENT|ABSENT|INCONCLUSIVE) /  $BOLD\1$PLAIN /"
}

# run SCRIPT TARGET...: what it prints, and its verdicts for the summary. What proves nothing is
# repeated once, with longer windows.
run() {
    local status=0 script=$1 summary
    shift
    "${TIED[@]}" "harness/$script.sh" "$@" >"$output" || status=$?
    if ((status == 2)); then
        say "  (a noisy moment: once more, with longer windows)"
        status=0
        DURATION=2 "${TIED[@]}" "harness/$script.sh" "$@" >"$output" || status=$?
    fi
    progress_end
    shown "$output"
    if ((status != 0)); then
        worst=$status
        tail -n 2 "$output"
    fi
    summary=$(sed -n 's/^.*kept: \(build\/runs\/[^ ]*\).*/\1/p' "$output")/summary.json
    if [[ $script == flash-sale ]]; then
        printf 'a sale, audited\t%s\t%s\tPASS\n' "$1" "$(awk '$1 == "audit:" { print $2 }' "$output")" >>"$seen"
    else
        jq -r '.verdicts[] | [.failure_mode, .target, .verdict, .expected] | @tsv' "$summary" >>"$seen" || :
    fi
}

say "${BOLD}FlashDeal${PLAIN}: one server sells limited stock to a crowd. What breaks first?"
say "About three minutes: every figure below is measured now, on this machine."
for phase in 0 1; do
    progress "building phase $phase"
    "${TIED[@]}" env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s --no-print-directory -j "$(nproc)" "phase$phase" |
        while read -r line; do progress "building phase $phase: $line"; done || die "phase $phase does not build: make phase$phase"
done
progress_end

act "1. Everybody waits, and the database sleeps" <<'TEXT'
Phase 0 has 5 connections to Postgres, and a request waits for one as long as
it takes. Phase 1 has 64, and waits at most 2 s. Now all of them are held, by
nothing but sleep, and 20 people ask what is for sale:
TEXT
run pool-exhaustion 0
run pool-exhaustion 1

act "2. A sale" <<'TEXT'
Phase 1 sells: lock the sale's row, check, write, commit. 1000 units, a crowd,
and an audit that believes nobody: it holds what every buyer was told against
what the database says.
TEXT
run flash-sale 1

act "3. The same without the lock" <<'TEXT'
NAIVE_UNSAFE=1 leaves out two words: FOR UPDATE. 200 units, and 32 people who
click quickly:
TEXT
run oversell 1,NAIVE_UNSAFE=1

act "4. The lock's price" <<'TEXT'
With the lock nothing is oversold. But one order at a time can hold the row,
and the more people want it, the fewer of them get it:
TEXT
CLIENTS="1 4 8 16 64 128" DURATION=${DURATION:-1} run lock-contention 1

say ""
say "${BOLD}What you have seen${PLAIN}"
awk -F '\t' '{ printf "  %-22s %-20s %-14s %s\n", $1, (length($2) == 1 ? "phase " : "") $2, $3, $3 == $4 ? "as expected" : "NOT as expected: " $4 }' "$seen"
say ""
say "${BOLD}Next${PLAIN}"
say "  ./harness/overload.sh 1    phase 1 under four times the load that it can bear"
say "  make run-1                 run it yourself; in another terminal: ./harness/buy.sh 1"
say "  make diff-1                what phase 1 changed, as a reviewer reads it"
say ""
say "${DIM}$((SECONDS - began)) s; every run is kept in build/runs/${PLAIN}"
exit "$worst"
