#!/usr/bin/env bash
# matrix: every failure mode x every phase, measured, and held against failure-modes.tsv.
#
#   harness/matrix.sh          (make matrix)
#
# Runs each scenario on each phase that it applies to, and on the variants that the table names, one
# after the other; then the price of each phase. A run that proves nothing is repeated once, with
# longer windows. ONLY=regex: rows whose name or script matches. FAST=1: short windows, no prices.
# Prints the table and leaves matrix.json, matrix.svg and matrix.html in build/runs/<time>-matrix/;
# every cell of the page links to its run. Exit status: 0 as declared, 1 a cell went the wrong way, 2
# none did and one is inconclusive.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/lib/common.sh"
# shellcheck source=harness/lib/verdict.sh
source "$ROOT/harness/lib/verdict.sh"

# An error of the harness is 1, never the 2 that some tools end with and that here means inconclusive.
set -E
trap 'die "line $LINENO failed: ${BASH_COMMAND%%$'"'\\n'"'*}"' ERR

if [[ ${1-} == --help || ${1-} == -h ]]; then
    sed -n '2,/^[^#]/ { s/^# \{0,1\}//p }' "$0"
    exit 0
fi
(($# == 0)) || usage "usage: [ONLY=regex] [FAST=1] harness/matrix.sh"
WINDOWS_S=('' 4) # DURATION of the first run and of the second; '': the script's own
if [[ -n ${FAST-} ]]; then WINDOWS_S=(1.5 3); fi
cd "$ROOT"
began=$SECONDS
started_at=$(date -u +%Y-%m-%dT%H:%M:%SZ)
mapfile -t phases < <(printf '%s\n' phase[0-8] | sed 's/phase//')
dir=build/runs/$(date +%Y%m%d-%H%M%S)-matrix
mkdir -p "$dir"
on_exit run_tidy "$ROOT/$dir" matrix.json
table=$dir/failure-modes.tsv
awk -F '\t' -v only="${ONLY-}" '{ mode = $1; sub(/:.*/, "", mode) } /^#/ || mode ~ only || $2 ~ only' \
    harness/failure-modes.tsv >"$table"
VERDICT_TABLE=$table
[[ -n $(verdict_rows "") ]] || usage "ONLY=$ONLY matches no failure mode: make failures"
: >"$dir/cells.tsv"

# The targets of one script: the phases that it applies to, and the variants of its rows.
targets() {
    local mode present word phase
    while IFS=$'\t' read -r mode _ _ _ present _; do
        for phase in "${phases[@]}"; do
            [[ $(verdict_expected "$mode" "$phase") == n/a ]] || say "$phase"
        done
        for word in $present; do
            if [[ $word == *,* && -d phase${word%%,*} ]]; then say "$word"; fi
        done
    done < <(verdict_rows "$1") | sort -u
}

# measure SCRIPT TARGET: one line "mode target verdict expected seconds run reason" for each mode.
measure() {
    local status=0 seconds run begun=$SECONDS
    for seconds in "${WINDOWS_S[@]}"; do
        status=0
        NO_COLOR=1 DURATION=${DURATION:-$seconds} run_tied "harness/$1" "$2" >"$dir/output" 2>&1 || status=$?
        [[ $status == 2 ]] || break
    done
    case $status in 130 | 143) exit "$status" ;; esac
    : >"$dir/told"
    run=$(sed -n 's/^.*kept: \(build\/runs\/[^ ]*\).*/\1/p' "$dir/output")
    seconds=$((SECONDS - begun))
    [[ -z $run || ! -r $run/summary.json ]] || jq -r --arg seconds "$seconds" --arg run "$run" '
        .verdicts[] | select(.verdict != "n/a")
        | [.failure_mode, .target, .verdict, .expected, $seconds, $run, .reason] | @tsv' "$run/summary.json" >"$dir/told"
    # A mode that nothing was said of, or an end that no verdict explains, is an error of the script.
    cut -f 1,2 "$dir/told" >"$dir/modes"
    ((status != 1)) || [[ $(cut -f 3,4 "$dir/told" | verdict_status) == 1 ]] || : >"$dir/modes"
    grep -qs . "$dir/modes" && cat "$dir/told"
    verdict_untold "$1" "$2" "$dir/modes" | while read -r mode; do
        printf '%s\t%s\tERROR\t%s\t%s\t%s\t%s\n' "$mode" "$2" "$(verdict_expected "$mode" "$2")" \
            "$seconds" "${run:--}" "$(tail -n 1 "$dir/output" | tr '\t' ' ')"
    done
}

cells=0
mapfile -t scripts < <(verdict_rows "" | cut -f 3 | awk '!seen[$0]++')
for script in "${scripts[@]}"; do
    for target in $(targets "$script"); do
        progress "$((SECONDS - began)) s, $cells cells; now ${script%.sh} $target"
        measure "$script" "$target" >"$dir/measured"
        cells=$((cells + $(wc -l <"$dir/measured")))
        cat "$dir/measured" >>"$dir/cells.tsv"
    done
done
if [[ -z ${FAST-} && -z ${ONLY-} ]]; then
    progress "$((SECONDS - began)) s, $cells cells; now the prices"
    run_tied harness/price.sh "${phases[@]:1}" >"$dir/output" 2>&1 || unpriced="the prices could not be measured: $(tail -n 1 "$dir/output")"
    prices=$(sed -n 's/^.*kept: \(build\/runs\/[^ ]*\).*/\1\/summary.json/p' "$dir/output")
fi
progress_end
rm -f "$dir/output" "$dir/measured" "$dir/told" "$dir/modes"

verdict_rows "" | jq -R -s --rawfile cells "$dir/cells.tsv" --arg started "$started_at" --arg phases "${phases[*]}" \
    --argjson seconds $((SECONDS - began)) --arg command "${ONLY:+ONLY=$ONLY }${FAST:+FAST=$FAST }make matrix" \
    --slurpfile price "${prices:-/dev/null}" \
    --arg commit "$(commit_describe)" \
    --arg machine "$(machine_describe)" \
    -f harness/lib/matrix.jq >"$dir/matrix.json"
jq -r --argjson width 13 -f harness/lib/matrix-text.jq "$dir/matrix.json"
jq -r -f harness/lib/matrix-svg.jq "$dir/matrix.json" >"$dir/matrix.svg"
jq -r --rawfile svg "$dir/matrix.svg" -f harness/lib/matrix-html.jq "$dir/matrix.json" >"$dir/matrix.html"
say ""
say "${DIM}$((SECONDS - began)) s; open $dir/matrix.html$PLAIN"
[[ -z ${unpriced-} ]] || die "$unpriced"
exit "$(cut -f 3,4 "$dir/cells.tsv" | verdict_status)"
