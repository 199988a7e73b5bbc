#!/usr/bin/env bash
# test_async_pace: answering before the database does must not make it slower: confirmed/s of phases 4
# and 5 over phase 3's.
#
# The same orders for all, on one sale, a quarter more of them a second than phase 3 can confirm, so that
# nobody waits for work; counted in SQL, in 5 rounds, one phase after the other in each. The median
# ratio must be at least 0.85. (Clients that wait for each decision would measure their own asking as
# well: a request more for each order, on the same two cores.) Prints `ok NAME`, `not ok
# NAME: why` or, where others used much of the processors, `skip NAME: why`.
set -euo pipefail
unset MODE DATABASE_URL
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"
# shellcheck source=harness/lib/postgres.sh
source "$ROOT/harness/lib/postgres.sh"
# shellcheck source=harness/lib/figures.sh
source "$ROOT/harness/lib/figures.sh"
# shellcheck source=harness/lib/machine.sh
source "$ROOT/harness/lib/machine.sh"
# shellcheck source=harness/lib/verdict.sh
source "$ROOT/harness/lib/verdict.sh"
# shellcheck source=harness/lib/target.sh
source "$ROOT/harness/lib/target.sh"
# shellcheck source=harness/lib/load.sh
source "$ROOT/harness/lib/load.sh"

BASE=3
OTHERS=(4 5)
OFFER=1.25 # of what phase 3 confirms
ROUNDS=5
WINDOW_S=(1.5 4 4) # the next when the one before says no
RATIO_MIN=0.85
FEWEST=100 # confirmed in a window, else it proves nothing
SEED=1 AUTH_SECRET='the pace of orders' TARGET_PORTS=16350-16399

cd "$ROOT"
RUN=$(mktemp -d)
on_exit rm -rf "$RUN"

# window TARGET SECONDS: "target<tab>confirmed/s<tab>cores that others used", onto the table
window() {
    target_start "$1"
    load_stock "$LOAD_UNITS"
    load_open "$1" "$RATE" "$2"
    ((LOAD_CONFIRMED >= FEWEST)) || die "phase $1 confirmed only $LOAD_CONFIRMED orders in $2 s"
    printf '%s\t%s\t%s\n' "$1" "$LOAD_CONFIRMED_S" "$LOAD_FOREIGN" >>"$RUN/table"
    say "# phase $1: $LOAD_CONFIRMED_S confirmed/s, others used ${LOAD_FOREIGN:-?} cores" >&2
    target_stop
}

ratio() { pair_ratios 2 "$BASE" "$1" <"$RUN/table" | median; }
enough() { awk -v r="$1" -v min="$RATIO_MIN" 'BEGIN { exit !(r >= min) }'; }

harness_make build/release/loadgen
postgres_start pace
target_start "$BASE"
load_capacity 1
RATE=$(calc "int($OFFER * $CAPACITY)")
target_stop
for seconds in "${WINDOW_S[@]}"; do
    : >"$RUN/table"
    for ((round = 1; round <= ROUNDS; round++)); do
        for target in "$BASE" "${OTHERS[@]}"; do window "$target" "$seconds"; done
    done
    again=''
    for target in "${OTHERS[@]}"; do enough "$(ratio "$target")" || again=yes; done
    [[ -n $again ]] || break
done
foreign=$(cut -f 3 "$RUN/table" | median)
failed=0
for target in "${OTHERS[@]}"; do
    name="phase $target confirms at least $RATIO_MIN of what phase $BASE does"
    ratio=$(ratio "$target")
    if enough "$ratio"; then
        say "ok $name (median of $ROUNDS rounds: $ratio)"
    elif awk -v f="$foreign" -v max="$MACHINE_FOREIGN_MAX" 'BEGIN { exit !(f > max) }'; then
        say "skip $name: the median of $ROUNDS rounds is $ratio, but others used $foreign cores meanwhile"
    else
        failed=1
        say "not ok $name: the median of $ROUNDS rounds is $ratio, also with windows of $seconds s"
    fi
done
exit "$failed"
