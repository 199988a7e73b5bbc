#!/usr/bin/env bash
# test_scaling: what phase 6 is for, in figures: many times phase 1's durable orders per second, exact,
# and sooner for each buyer.
#
# scaling.sh on phase 1 with a pool of 16, which is its best, and on phase 6; with CHECK_LONG also with
# phase 1's own pool, and the sharded inventory, which many clients must not slow down either (of the
# batched one scenarios-check.sh sees to that). Ratios of the same rounds, medians of 5. Prints `ok NAME`,
# `not ok NAME: why` or, where others used much of the processors, `skip NAME: why`.
set -euo pipefail
unset MODE DATABASE_URL
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"
# shellcheck source=harness/lib/machine.sh
source "$ROOT/harness/lib/machine.sh"

POOL16=1,DB_POOL=16
SHARDED=6,INVENTORY=sharded,SHARDS=16,DB_WORKERS=16,SALE_WORKERS=16,DB_POOL=20
WINDOWS_S=(1 2.5) # the next when the one before says no

cd "$ROOT"
output=$(mktemp)
on_exit rm -f "$output"

value() { jq -r --arg t "$1" --arg n "$2" '[.figures[] | select(.target == $t and (.name | startswith($n))) | .value][0]' "$summary"; }

# holds NAME VALUE OP LIMIT
holds() {
    if awk -v a="$2" -v b="$4" "BEGIN { exit !(a $3 b && a ~ /^[0-9.]+\$/ && b ~ /^[0-9.]+\$/) }"; then
        say "ok $1 ($2)"
    elif ((doubt == 2)); then
        say "skip $1: $2, not $3 $4, in a run that calls itself inconclusive"
    elif awk -v f="$foreign" -v max="$MACHINE_FOREIGN_MAX" 'BEGIN { exit !(f > max) }'; then
        say "skip $1: $2, not $3 $4, but others used $foreign cores meanwhile"
    else
        say "not ok $1: $2, not $3 $4"
        failed=1
    fi
}

# judge BASE LEAST [SHARDED]: a run of scaling.sh, and what has to hold of it, in $verdicts.
judge() {
    local status=0
    NO_COLOR=1 DURATION=$seconds run_tied harness/scaling.sh "$1" 6 "${@:3}" >"$output" 2>/dev/null || status=$?
    summary=$(sed -n 's/^kept: \(build\/runs\/[^ ]*\).*/\1/p' "$output")/summary.json
    ((status != 1)) || { tail -n 2 "$output" >&2 && die "scaling.sh ended with status 1"; }
    doubt=$status
    foreign=$(value 6 'cores that others used')
    [[ $foreign != null ]] || foreign=$(value "${3:-6}" 'cores that others used')
    holds "phase 6 confirms at least $2 times what $1 does" "$(value 6 'confirmed/s: over')" '>=' "$2"
    [[ -z ${3-} ]] || holds "its sharded inventory at least 2.5 times" "$(value "$3" 'confirmed/s: over')" '>=' 2.5
    holds "its p99 of a confirmation, ms, is below the p50 of $1" "$(value 6 'all ask: p99')" '<' "$(value "$1" 'all ask: p50')"
    holds "it flushes at most 0.15 times for an order" "$(value 6 'WAL flushes')" '<=' 0.15
    holds "but once for a batch, of 500 at most" "$(value 6 'WAL flushes')" '>=' 0.002
    holds "it turns away at least 3 times as many when all is sold" "$(value 6 'sold out: over')" '>=' 3
}

# crowd TARGET: pairs of windows, 128 clients and the best of 4, 8 and 16. Its exit status is another matter:
# whether orders share flushes.
crowd() {
    CLIENTS='4 8 16 128' NO_COLOR=1 DURATION=$seconds run_tied harness/lock-contention.sh "$1" >"$output" 2>/dev/null || (($? <= 2)) || exit
    summary=$(sed -n 's/^kept: \(build\/runs\/[^ ]*\).*/\1/p' "$output")/summary.json
    doubt=0 foreign=$(value "$1" 'cores that others used')
    holds "sharded: 128 clients confirm at least 0.85 of what fewer do" "$(value "$1" 'confirmed/s, 128 clients over')" '>=' 0.85
}

# run FUNCTION ARGUMENT..: it, again with longer windows if it says no.
run() {
    for seconds in "${WINDOWS_S[@]}"; do
        failed=0
        "$@" >"$output.verdicts"
        ((failed == 0)) || continue
        break
    done
    cat "$output.verdicts"
    rm -f "$output.verdicts"
    worst=$((worst | failed))
}

worst=0
run judge "$POOL16" 10
if [[ -n ${CHECK_LONG-} ]]; then
    run judge 1 15 "$SHARDED"
    run crowd "$SHARDED"
fi
exit "$worst"
