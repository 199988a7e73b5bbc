#!/usr/bin/env bash
# test_hot_row: hot-row.sh, run short with one server: every window is measured, flushes are shared
# where nobody waits for the row and only there, and the picture is whole. That its check of the stock
# can fail is part of it: a script without its lock oversells, and must be found out.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"

cd "$ROOT"
unset DATABASE_URL DURATION CLIENTS RATE MODE SEED
export TARGET_PORTS=16450-16499
WAYS=4 COUNTS=(1 4)
dir=$(mktemp -d)
on_exit rm -rf "$dir"
failed=0

ok() { say "ok $1"; }
not_ok() {
    failed=1
    say "not ok $1: $2"
}
same() { if [[ $2 == "$3" ]]; then ok "$1"; else not_ok "$1" "'$3', not '$2'"; fi; }
# run STATUS NAME COMMAND...
run() {
    local status=0
    "${@:3}" >"$dir/output" 2>&1 </dev/null || status=$?
    if [[ $status == "$1" ]]; then ok "$2"; else not_ok "$2" "status $status, not $1: $(tail -n 1 "$dir/output")"; fi
}
says() { if grep -qE "$2" "$dir/output"; then ok "$1"; else not_ok "$1" "nothing like '$2' in: $(tail -n 3 "$dir/output" | tr '\n' ' ')"; fi; }

run 0 "it explains itself" harness/hot-row.sh --help
says "with what a target is" 'TARGET is a phase'
run 1 "a way whose phase is not there is an error" harness/hot-row.sh 5 8,INVENTORY=none
if [[ ! -d phase8 ]]; then says "in one sentence" "^hot-row.sh: '8,INVENTORY=none' needs phase 8, which is not here"; fi
run 64 "a script that is not there" harness/hot-row.sh 5 "$dir/none.sql"
run 64 "a server behind a URL, which nobody can start anew" harness/hot-row.sh http://127.0.0.1:1

run 0 "one server and the three scripts are measured" env CLIENTS="${COUNTS[*]}" DURATION=0.5 harness/hot-row.sh 5
kept=$(sed -n 's/^.*kept: \(build\/runs\/[^ ]*\).*/\1/p' "$dir/output")
[[ -r $kept/series.json ]] || die "nothing was kept"
# The figure of one window.
cell() { jq -r --arg way "$1" --argjson clients "$2" ".cells[] | select(.way == \$way and .clients == \$clients) | $3" "$kept/series.json"; }
all() { jq "[.cells[] | $1] | all" "$kept/series.json"; }
same "every way at every number of clients" $((WAYS * ${#COUNTS[@]})) "$(jq '[.cells[] | [.way, .clients]] | unique | length' "$kept/series.json")"
same "all of them sell" true "$(all '.confirmed_s > 0 and .orders > 0')"
same "all of them write and flush" true "$(all '.wal_flushes > 0 and .wal_flushes < 2 and .wal_bytes > 100')"
same "shares are shares" true "$(all '.lock_wait_share >= 0 and .lock_wait_share <= 1')"
same "who is alone waits for no lock" true "$(all '.clients > 1 or .lock_wait_share < 0.1')"
same "retries are known" true "$(all '.retries != null')"
same "and so are deadlocks, of which there are none" true "$(all '.deadlocks == 0')"
same "a window's orders are some of all" true "$(all '.confirmed_s * 0.29 <= .orders')"
same "of statements, each transaction sold one" "$(jq '[.cells[] | select(.by == "pgbench") | .orders] | add' "$kept/series.json")" \
    "$(awk -F ': ' '/^number of transactions actually processed/ { n += $2 } END { print n }' "$kept"/*.pgbench.log)"
same "one row: one flush an order" true "$(cell "one statement" 4 '.wal_flushes > 0.95 and .wal_flushes < 1.1')"
same "one row: the others wait for its lock" true "$(cell "one statement" 4 '.lock_wait_share > 0.2')"
same "unit rows: nobody waits" true "$(cell "unit rows" 4 '.lock_wait_share < 0.2')"
if [[ $(cell "unit rows" 4 '.wal_flushes < 0.8') == true ]]; then
    ok "unit rows: orders share a flush"
else
    say "skip unit rows share flushes: $(cell "unit rows" 4 .wal_flushes) an order with 4 clients, on a busy machine"
fi
same "the summary has the rates" $((WAYS * ${#COUNTS[@]})) "$(jq '[.figures[] | select(.name | startswith("confirmed/s"))] | length' "$kept/summary.json")"
same "and the costs" $((WAYS * 5)) "$(jq '[.figures[] | select(.name | startswith("confirmed/s") | not)] | length' "$kept/summary.json")"
same "the table has a line for each window" $((WAYS * ${#COUNTS[@]} + 1)) "$(wc -l <"$kept/hot-row.tsv")"
picture() {
    python3 - "$1" <<'PY'
import sys, xml.etree.ElementTree as tree
svg = "{http://www.w3.org/2000/svg}"
root = tree.parse(sys.argv[1]).getroot()
lines = root.findall(f".//{svg}polyline")
print(root.tag == svg + "svg", len(lines), sum(len(line.get("points").split()) for line in lines),
      sum("stroke-dasharray" in line.attrib for line in lines))
PY
}
same "the picture: well-formed, a line a way, a point a window, three dashed" "True $WAYS $((WAYS * ${#COUNTS[@]})) 3" "$(picture "$kept/hot-row.svg" 2>&1)"
jq '.cells[0].way = "<b>&\""' "$kept/series.json" | jq -r -f harness/lib/hot-row-svg.jq >"$dir/odd.svg"
same "whatever a way is called" "True $((WAYS + 1)) $((WAYS * ${#COUNTS[@]})) 3" "$(picture "$dir/odd.svg" 2>&1)"

sed '/pg_advisory_xact_lock/d' harness/hot-row/advisory-lock.sql >"$dir/careless.sql"
! cmp -s "$dir/careless.sql" harness/hot-row/advisory-lock.sql || not_ok "the lock is left out" "sed changed nothing"
CLIENTS=8 DURATION=0.3 run 1 "a script that oversells is an error" harness/hot-row.sh 5 "$dir/careless.sql"
says "which says what is wrong" '^hot-row.sh: careless, 8 clients: [0-9]+ units are gone and [0-9]+ are sold'
exit "$failed"
