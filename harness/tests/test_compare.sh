#!/usr/bin/env bash
# test_compare: a short comparison of phases 1 and 2 with a fault in it, from the command line to the
# report; and command lines that make no sense. What it asserts are counts: on a busy machine the
# comparison itself may well be one that it does not trust.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"

cd "$ROOT"
unset DATABASE_URL CLIENTS MODE SEED RATE DURATION
dir=$(mktemp -d)
export FLASHDEAL_TMP=/var/tmp/flashdeal-test-$$
mkdir "$FLASHDEAL_TMP"
chmod 711 "$FLASHDEAL_TMP" # the server's user passes through
on_exit rm -rf "$dir" "$FLASHDEAL_TMP"
failed=0
COMPARE_S=170

ok() { say "ok $1"; }
not_ok() {
    failed=1
    say "not ok $1: $2"
}
same() { if [[ $2 == "$3" ]]; then ok "$1"; else not_ok "$1" "'$3', not '$2'"; fi; }
# run STATUS NAME TEXT COMMAND...
run() {
    local status=0
    timeout -k 15 "$COMPARE_S" "${@:4}" >"$dir/output" 2>&1 </dev/null || status=$?
    if [[ $status =~ ^($1)$ ]]; then ok "$2"; else not_ok "$2" "status $status, not $1: $(tail -n 1 "$dir/output")"; fi
    if grep -qF -- "$3" "$dir/output"; then ok "$2: says so"; else not_ok "$2: says so" "$(tail -n 1 "$dir/output")"; fi
}

run 0 "compare explains itself" 'A B [SHAPE]' harness/compare.sh --help
for shape in overload steady row-lock flash-sale; do
    if grep -q "^  $shape " "$dir/output"; then ok "and names $shape"; else not_ok "and names $shape" "it does not"; fi
done
run 64 "one target is too few" 'two targets' harness/compare.sh 1
run 64 "a shape that is none" "no load shape 'flood'" harness/compare.sh 1 2 flood
run 64 "a target that is none" 'a target is 1' harness/compare.sh 1 no/such/directory
run 64 "two URLs" 'share the database' harness/compare.sh http://127.0.0.1:1 http://127.0.0.1:2
run 64 "a URL without a database" 'DATABASE_URL must name' harness/compare.sh 1 http://127.0.0.1:1
DURATION=60 run 64 "rounds that take too long" 'shorter DURATION' harness/compare.sh 1 2 steady
RATE=a run 64 "a rate that is none" 'a whole number' harness/compare.sh 1 2 steady

RATE=200 DURATION=3 run '0|2' "phases 1 and 2 under row-lock" 'kept: build/runs/' harness/compare.sh 1 2 row-lock
kept=$(sed -n 's/^.*kept: \(build\/runs\/[^ ]*\)\/.*/\1/p' "$dir/output")
[[ -r $kept/summary.json ]] || { not_ok "a run is kept" "$(tail -n 1 "$dir/output")"; exit 1; }
each() { jq -sc "map($1) | unique" "$kept"/[ab][0-9].json; }
summary() { jq -c "$1" "$kept/summary.json"; }

same "at least three pairs" true "$(summary '[.rounds[] | .arm + (.round | tostring)] | contains(["a1", "b1", "a2", "b2", "a3", "b3"])')"
same "one arm after the other, in every pair" true "$(for file in "$kept"/*.[ab][0-9].summary.json; do
    jq -r --arg file "$file" '.started_at + " " + ($file | capture("[.](?<arm>[ab])[0-9][.]summary").arm)' "$file"
done | sort | awk '{ arms = arms $2 } END { print arms ~ /^(ab|ba)+$/ ? "true" : arms }')"
same "every audit passes" '["PASS"]' "$(summary '[.rounds[].audit] | unique')"
same "every round was sent the same plan" 1 "$(jq -s 'map(.planned) | unique | length' "$kept"/*.[ab][0-9].summary.json)"
same "and not nothing" true "$(jq -s 'map(.orders.count > 200) | all' "$kept"/*.[ab][0-9].summary.json)"
same "in every round the row was locked, then free" '[["fault_begin","fault_end"]]' "$(each '[.marks[].kind]')"
# shellcheck disable=SC2016 # the variable is jq's
same "at about the same time, for 0.6 s" '[true]' "$(each '.marks[0].t_ms as $from | $from > 600 and $from < 2000 and .marks[1].t_ms - $from > 550')"
same "the database was looked at twice a second" '[true]' "$(each '[.database[] | select(.t >= 0 and .t < 3)] | length >= 6')"
same "so was the server" '[true]' "$(each '[.server[] | select(.t >= 0 and .t < 3)] | length >= 6')"
same "its processor time is known" '[true]' "$(each '.figures.cpu_ms_per_order > 0')"
same "the database confirmed what was sent, or most of it" '[true]' "$(each '.figures.confirmed_s > 40')"
same "the lock was seen" true "$(jq -s 'map([.database[].lock_waiters] | max > 0) | all' "$kept"/[ab][0-9].json)"
same "only phase 2 publishes stages, pool and all" '[[],["validation","queue_wait","pool_wait","lock_wait","statements","commit","reply","other"]]' \
    "$(summary '[.stages.a, .stages.b] | map(map(.stage))')"
same "and its pool" '[false,true]' "$(jq -sc 'map(select(.round == 1)) | sort_by(.arm) | map([.server[].pool_in_use | values] | length > 0)' "$kept"/[ab]1.json)"
same "goodput is of the same order" true "$(summary '.figures[0].ratio.median | . > 0.3 and . < 3')"
same "the status is the summary's" true "$(summary '.exit_status == (if .sound then 0 else 2 end)')"
same "the command replays it" true "$(summary '.command == "RATE=200 SEED=1 DURATION=3 ./harness/compare.sh 1 2 row-lock"')"
if [[ -s $kept/report.html ]]; then ok "there is a report"; else not_ok "there is a report" "none in $kept"; fi
for ((tenths = 0; tenths < 150; tenths++)); do
    [[ -n $(ls -A "$FLASHDEAL_TMP") ]] || break
    sleep 0.1
done
same "nothing is left behind" '' "$(ls -A "$FLASHDEAL_TMP")"
rm -rf "$kept"
exit "$failed"
