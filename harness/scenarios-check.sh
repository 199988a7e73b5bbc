#!/usr/bin/env bash
# scenarios-check: every boundary cell of failure-modes.tsv, measured: of each failure mode the last
# phase (or variant) that has it and the first that has not.
#
#   harness/scenarios-check.sh [N]      with N: the cells of phase N only
#
# Prints "ok NAME", "not ok NAME: why" or "skip NAME: inconclusive: why" per cell and script. A run
# that proves nothing is repeated up to twice, with longer windows; a wrong verdict fails at once.
# With CHECK_LONG set windows have their full length from the start, what phases 4 and 5 are about is
# measured with the seeds 1 to 5 as well, and the last units are sold by each inventory of phase 6 with
# the seeds 1 to 20. The flash sale, which must pass its audit, the ceiling, accepting while PostgreSQL
# is stopped, and the last units of phase 6 are measured as well.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/lib/common.sh"
# shellcheck source=harness/lib/verdict.sh
source "$ROOT/harness/lib/verdict.sh"

WINDOWS_S=(1.5 3 6) # DURATION of the first run, of the second, of the third
if [[ -n ${CHECK_LONG-} ]]; then WINDOWS_S=('' 4 8); fi # '': as the script has it
declare -A clients=([lock-contention.sh]='4 8 16 128') # of the sweep, those that the verdict needs
if [[ -n ${CHECK_LONG-} ]]; then clients=(); fi
SEEDED=(crash slow-db queue-lag worker-starvation retry-storm) # scripts, for phases 4 and 5
only=${1-}
[[ $only =~ ^[0-8]?$ ]] || usage "usage: harness/scenarios-check.sh [phase]"
cd "$ROOT"
mapfile -t phases < <(printf '%s\n' phase[0-8] | sed 's/phase//')
mkdir -p build/runs
output=$(mktemp build/runs/check.XXXXXX)
on_exit rm -f "$ROOT/$output"

# cells: a line "script<tab>target<tab>seed" for each run; no seed: the script's own.
cells() {
    # A lock is waited for longer than PostgreSQL takes to look for a ring, 1 s.
    local script n seed kind workers=DB_WORKERS=16,SALE_WORKERS=16,DB_POOL=20,DB_LOCK_MS=5000
    verdict_cells "${phases[@]}"
    printf '%s\t%s\n' flash-sale.sh 1 ceilings.sh 1,DB_POOL=16 frozen-db.sh 4 last-units.sh 6 \
        last-units.sh "6,INVENTORY=sharded,$workers"
    [[ -n ${CHECK_LONG-} ]] || return 0
    printf 'million.sh\t6\n'
    for script in "${SEEDED[@]}"; do
        for n in 4 5; do
            for seed in {1..5}; do printf '%s\t%s\t%s\n' "$script.sh" "$n" "$seed"; done
        done
    done
    for seed in 1 5 9 13 17; do # four seeds each
        printf 'last-units.sh\t6\t%d\n' "$seed"
        for kind in pessimistic optimistic sharded; do
            printf 'last-units.sh\t6,INVENTORY=%s,%s\t%d\n' "$kind" "$workers" "$seed"
        done
    done
}

# The verdicts that went the wrong way, or that prove nothing: "collapse is ABSENT; ..."
blame() {
    local run
    run=$(sed -n 's/^.*kept: \(build\/runs\/[^ ]*\).*/\1/p' "$output")
    [[ -r $run/summary.json ]] || { tail -n 1 "$output"; return 0; }
    jq -rn 'input as $first | [$first.verdicts[] | select(.verdict != .expected) | "\(.failure_mode) is \(.verdict): \(.reason)"]
        | if . == [] then [$first.conclusion] else . end | join("; ")' "$run/summary.json"
}

# hold NAME FIGURE CONDITION: a figure of the last run that is no failure mode of its own.
hold() {
    local run value
    run=$(sed -n 's/^.*kept: \(build\/runs\/[^ ]*\).*/\1/p' "$output")
    value=$(jq -r --arg name "$2" '[.figures[] | select(.name | startswith($name)) | .value][0]' "$run/summary.json")
    if [[ $(verdict_rule "$value" "$3") == PRESENT ]]; then
        passed=$((passed + 1))
        say "ok $1 ($value)"
    else
        failed=$((failed + 1))
        say "not ok $1: $value"
    fi
}

passed=0 failed=0 skipped=0
while IFS=$'\t' read -r script target seed <&3; do
    [[ -z $only || ${target%%,*} == "$only" ]] || continue
    name="${script%.sh} $target${seed:+, seed $seed}"
    for seconds in "${WINDOWS_S[@]}"; do
        status=0
        CLIENTS=${clients[$script]-} NO_COLOR=1 SEED=${seed:-${SEED-1}} DURATION=$seconds run_tied "harness/$script" "$target" >"$output" 2>&1 || status=$?
        [[ $status == 2 ]] || break
    done
    case $status in
    0) passed=$((passed + 1)) && say "ok $name" ;;
    2) skipped=$((skipped + 1)) && say "skip $name: inconclusive ${#WINDOWS_S[@]} times: $(blame)" ;;
    130 | 143) exit "$status" ;;
    *) failed=$((failed + 1)) && say "not ok $name: $(blame)" ;;
    esac
    case "$status $script $target" in
    # With 64 connections the collapse shows in the latency as well.
    "0 lock-contention.sh 2") hold "lock-contention 2: p99 at 128 clients is at least 5x that at 8" "p99, " '>= 5' ;;
    "0 lock-contention.sh 6") hold "lock-contention 6: 128 clients confirm at least 0.85 of what fewer do" "confirmed/s, 128" '>= 0.85' ;;
    "0 overload.sh 3") hold "overload 3: orders are in time again within 2 s after the load fell" "orders in time again" '<= 2' ;;
    esac
done 3< <(cells)
say "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
