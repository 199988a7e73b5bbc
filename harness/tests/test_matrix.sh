#!/usr/bin/env bash
# test_matrix: what matrix.sh makes of its scenarios' verdicts, and how it ends.
#
# It runs in a small tree of three phases, whose scenarios and prices are stubs that say what a plan
# tells them: no server, no database. Prints `ok NAME` or `not ok NAME: why`.
set -euo pipefail
unset ONLY FAST DURATION
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"

END_S=3 # from SIGTERM until everything has gone
REASON='12 < 20 & "so" <script>alert(1)</script>'

base=$(mktemp -d)
on_exit rm -rf "$base"
failed=0
ok() { say "ok $1"; }
not_ok() {
    say "not ok $1: $2"
    failed=1
}
is() { if [[ $2 == "$3" ]]; then ok "$1"; else not_ok "$1" "'$3', not '$2'"; fi; }

mkdir -p "$base"/harness "$base"/phase{0,1,2} "$base/build"
cp -r "$ROOT/harness/lib" "$ROOT/harness/matrix.sh" "$base/harness"
cd "$base"
printf '# failure mode: what it shows\tscript\tmeasured by\tpresent in\tdoes not apply to\n%s\n%s\n' \
    $'alpha: one thing <b>\talpha.sh\tby a stub\t1\t0' \
    $'beta: another\tbeta.sh\tby a stub\t0 1,NAIVE=1\t-' >harness/failure-modes.tsv

# What a scenario does: runs its line of the plan, "script target verdict", and leaves a run.
cat >harness/alpha.sh <<'STUB'
#!/usr/bin/env bash
set -euo pipefail
name=$(basename "$0" .sh)
run=build/runs/19990101-000000-$name-$1
read -r verdict expected < <(awk -v name="$name" -v target="$1" '$1 == name && $2 == target { print $3, $4 }' plan)
echo "$name $1" >>asked
case $verdict in
DIES) echo "$name.sh: it does not build" && exit 1 ;;
SLEEPS) sleep 60 ;;
esac
mkdir -p "$run"
jq -n --arg name "$name" --arg target "$1" --arg verdict "$verdict" --arg expected "$expected" --rawfile reason reason \
    '{verdicts: [{target: $target, failure_mode: $name, verdict: $verdict, expected: $expected, reason: $reason}]}' >"$run/summary.json"
echo "kept: $run   again: harness/$name.sh $1"
case $verdict in "$expected") ;; INCONCLUSIVE) exit 2 ;; *) exit 1 ;; esac
STUB
cp harness/alpha.sh harness/beta.sh
cat >harness/price.sh <<'STUB'
#!/usr/bin/env bash
set -euo pipefail
mkdir -p build/runs/19990101-000000-price
for phase in "$@"; do printf '{"target": "%s", "name": "confirmed/s", "value": %s, "unit": "orders/s"}\n' "$phase" "$((phase * 111))"; done |
    jq -s '{figures: .}' >build/runs/19990101-000000-price/summary.json
echo "kept: build/runs/19990101-000000-price   again: harness/price.sh $*"
STUB
chmod +x harness/*.sh
printf '%s' "$REASON" >reason

# plan LINE...: those cells differ from the declared ones.
plan() {
    {
        printf '%s\n' "$@"
        printf '%s\n' 'alpha 1 PRESENT PRESENT' 'alpha 2 ABSENT ABSENT' 'beta 0 PRESENT PRESENT' \
            'beta 1 ABSENT ABSENT' 'beta 1,NAIVE=1 PRESENT PRESENT' 'beta 2 ABSENT ABSENT'
    } | awk '!seen[$1, $2]++' >plan
    rm -rf build/runs asked
}
# ends STATUS NAME: dir is the directory that it left.
ends() {
    local status=0
    NO_COLOR=1 timeout 60 harness/matrix.sh >output 2>&1 </dev/null || status=$?
    dir=$(printf '%s\n' build/runs/*-matrix)
    if [[ $status == "$1" ]]; then ok "$2"; else not_ok "$2" "status $status, not $1: $(tail -n 3 output | tr '\n' ' ')"; fi
}
cell() { jq -r --arg mode "$1" --arg target "$2" '.rows[] | select(.failure_mode == $mode).cells[] | select(.target == $target) | .'"$3" "$dir/matrix.json"; }
asked() { grep -cx "$1" asked || :; }

plan
ends 0 "all as declared ends with 0"
is "each scenario is asked for each phase that it applies to, and for its variants" \
    "alpha 1,alpha 2,beta 0,beta 1,beta 1,NAIVE=1,beta 2" "$(sort asked | paste -s -d ,)"
is "a cell has its verdict" PRESENT "$(cell alpha 1 verdict)"
is "and its reason as it was" "$REASON" "$(cell alpha 1 reason)"
is "a variant has one too" PRESENT "$(cell beta 1,NAIVE=1 verdict)"
is "the prices are there, of phase 1 on" "1 111,2 222" \
    "$(jq -r '[.prices[] | "\(.target) \(.figures[0].value)"] | join(",")' "$dir/matrix.json")"
is "the SVG is XML" '' "$(python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$dir/matrix.svg" 2>&1)"
is "the page has the prices" 1 "$(grep -c '<td>222</td>' "$dir/matrix.html")"
is "a reason is escaped in the page" 0 "$(grep -c '<script' "$dir/matrix.html")"
is "and so is what a row shows" 0 "$(grep -c 'thing <b>' "$dir/matrix.html")"
href=$(grep -o 'href="[^"]*alpha-1/summary.json"' "$dir/matrix.html" | sed 's/^href="//; s/"$//')
if [[ -r $dir/$href ]]; then ok "a cell links to its run"; else not_ok "a cell links to its run" "no file $dir/$href"; fi
is "nothing but the results is left" "cells.tsv failure-modes.tsv matrix.html matrix.json matrix.svg" \
    "$(find "$dir" -type f -printf '%f\n' | sort | paste -s -d ' ')"

plan 'alpha 2 PRESENT ABSENT' 'beta 0 INCONCLUSIVE PRESENT'
ends 1 "a cell that went the wrong way ends with 1, whatever else is inconclusive"
is "and stands in the table" "PRESENT, not ABSENT" "$(cell alpha 2 verdict), not $(cell alpha 2 expected)"
is "it is asked once" 1 "$(asked 'alpha 2')"

plan 'beta 2 INCONCLUSIVE ABSENT'
ends 2 "a cell that nothing is proved of ends with 2"
is "after it was asked twice" 2 "$(asked 'beta 2')"

plan 'beta 1 DIES ABSENT'
ends 1 "a scenario that dies without a run ends with 1"
is "its cell says so" "ERROR: beta.sh: it does not build" "$(cell beta 1 verdict): $(cell beta 1 reason)"
is "the others are measured" ABSENT "$(cell beta 2 verdict)"

plan
printf '#!/bin/sh\nexit 1\n' >harness/price.sh
ends 1 "prices that could not be measured are an error"
is "after the matrix was made" "0 prices, PRESENT" "$(jq '.prices | length' "$dir/matrix.json") prices, $(cell alpha 1 verdict)"

plan
sed -i 's/verdicts: \[/verdicts: [], none: [/' harness/alpha.sh
ends 1 "a scenario that gives no verdict on a failure mode ends with 1"
is "and its cell is an error" ERROR "$(jq -r '[.rows[] | select(.failure_mode == "alpha") | .cells[].verdict] | unique | join(" ")' "$dir/matrix.json")"
cp harness/beta.sh harness/alpha.sh

plan
ONLY=nothing ends 64 "ONLY that matches nothing is a wrong call"
is "and leaves no run" '' "$(ls build/runs)"

plan 'alpha 1 SLEEPS PRESENT'
sed -i 's/^awk /no-such-command /' harness/matrix.sh
ends 1 "an error of its own ends with 1"
if [[ -s $dir/unfinished ]]; then ok "and its directory says that it is unfinished"; else not_ok "and its directory says that it is unfinished" "$(ls "$dir")"; fi

cp "$ROOT/harness/matrix.sh" harness
plan 'alpha 1 SLEEPS PRESENT'
NO_COLOR=1 harness/matrix.sh >output 2>&1 </dev/null &
matrix=$!
for ((tenths = 0; tenths < 100; tenths++)); do
    [[ ! -s asked ]] || break
    sleep 0.1
done
began=$EPOCHREALTIME status=0
kill -TERM "$matrix"
wait "$matrix" || status=$?
is "SIGTERM while a scenario runs ends it with 143" 143 "$status"
is "within $END_S s" 1 "$(jq -n "$EPOCHREALTIME - $began < $END_S | if . then 1 else 0 end")"
is "and leaves no run" '' "$(ls build/runs)"
left=''
for proc in /proc/[0-9]*; do
    if [[ $(readlink "$proc/cwd" 2>/dev/null) == "$base" && ${proc##*/} != "$$" && ${proc##*/} != "$BASHPID" ]]; then
        left+=$(tr '\0' ' ' <"$proc/cmdline" 2>/dev/null)
    fi
done
is "nor a process" '' "$left"
exit "$failed"
