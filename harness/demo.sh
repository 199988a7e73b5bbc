#!/usr/bin/env bash
# demo: the story so far, in about seven minutes: what breaks in phases 0 to 6 and what the next one makes
# of it, measured on real servers and a real PostgreSQL. `make demo` runs it after installing what is
# missing.
#
# The exit status is 0 only if everything went as harness/failure-modes.tsv expects.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/lib/common.sh"

# Seconds of a window, of a round; DURATION, which shortens the other acts, shortens these as well.
BLIND_S=2.5 COMPARE_S=6
if [[ -n ${DURATION-} ]]; then BLIND_S=1.5 COMPARE_S=4; fi

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
    run_tied "harness/$script.sh" "$@" >"$output" || status=$?
    if ((status == 2)); then
        say "  (a noisy moment: once more, with longer windows)"
        status=0
        DURATION=${AGAIN:-2} run_tied "harness/$script.sh" "$@" >"$output" || status=$?
    fi
    progress_end
    shown "$output"
    report=$(sed -n 's/^.*\(build\/runs\/[^ ]*\/report.html\).*/\1/p' "$output" | tail -n 1)
    if ((status != 0)); then
        if ((worst != 1)); then worst=$status; fi
        tail -n 2 "$output"
    fi
    summary=$(sed -n 's/^.*kept: \(build\/runs\/[^ ]*\).*/\1/p' "$output")/summary.json
    if [[ $script == compare ]]; then
        printf 'a comparison\t%s\t%s\tsound\n' "$1 and $2" "$( ((status == 0)) && echo sound || echo unsound)" >>"$seen"
    elif [[ $script == flash-sale ]]; then
        printf 'a sale, audited\t%s\t%s\tPASS\n' "$1" "$(awk '$1 == "audit:" { print $2 }' "$output")" >>"$seen"
    elif [[ $script == scaling ]]; then
        jq -r '.figures[] | select(.name | endswith("audited")) | ["a sale, audited", .target, .value, "PASS"] | @tsv' "$summary" >>"$seen"
    else
        jq -r '.verdicts[] | [.failure_mode, .target, .verdict, .expected] | @tsv' "$summary" >>"$seen" || :
    fi
}

say "${BOLD}FlashDeal${PLAIN}: one server sells limited stock to a crowd. What breaks first?"
say "About seven minutes: every figure below is measured now, on this machine."
for phase in 0 1 2 3 4 5 6; do
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

act "5. Where does the time go?" <<'TEXT'
Phase 2 is phase 1 with eyes: it tells where an order's time goes. Five faults
are hidden, one at a time, in an order drawn by lot; each has to be named from
what the server tells of itself, and from nothing else:
TEXT
DURATION=$BLIND_S AGAIN=4 run blind-spot 2

act "6. The cure, and what it costs" <<'TEXT'
Phase 3 lets 4 orders into the database at a time; 128 may stand in line before
it, and the rest are told so at once. Both get the same buyers at the same
moments: at what they can bear, at four times that, at half:
TEXT
DURATION=$COMPARE_S AGAIN=9 run compare 2 3 overload

curves=$report

act "7. An answer before the database's" <<'TEXT'
In phase 3 a buyer waits for his turn and for the database. Phase 4 answers at
once, "202, accepted", and lets workers do the rest. Now every commit takes
20 ms longer; who feels it?
TEXT
run slow-db 3
run slow-db 4

act "8. What a promise in memory is worth" <<'TEXT'
Phase 4 has promised. Its queue is full, and the process is killed (kill -9):
TEXT
run crash 4

act "9. Did it go through? Click again" <<'TEXT'
One reply in five is lost, and the buyers click again. Phase 4 sells twice to
some of them. Phase 5 has each of them name his purchase by a key:
TEXT
run retry-storm 4
run retry-storm 5

act "10. Sell faster than one row can be locked" <<'TEXT'
Phase 6 is the same promise, the same row, the same disk. But who works on a
sale takes all orders that have queued up, decides them in one transaction, and
the disk is waited for once. 64 people click, without pause, in both:
TEXT
ROUNDS=3 DURATION=${DURATION:-1} run scaling 1 6

say ""
say "${BOLD}What you have seen${PLAIN}"
awk -F '\t' '{ printf "  %-30s %-20s %-14s %s\n", $1, (length($2) == 1 ? "phase " : "") $2, $3, $3 == $4 ? "as expected" : "NOT as expected: " $4 }' "$seen"
say ""
say "${BOLD}Next${PLAIN}"
[[ -z ${curves-} ]] || say "  open $curves  (phases 2 and 3 in curves)"
say "  make run-6                 run it yourself; in another terminal: ./harness/buy.sh 6"
say "  make diff-6                what phase 6 changed, as a reviewer reads it"
say "  ./harness/hot-row.sh       seven ways to sell one row, from 1 client to 128"
say ""
say "${DIM}$((SECONDS - began)) s; every run is kept in build/runs/${PLAIN}"
exit "$worst"
