#!/usr/bin/env bash
# test_faults: each fault of faults.sh is really there while it is armed, is gone afterwards, and a
# fault that is not there is not taken for one. A PostgreSQL of its own, no server.
set -euo pipefail
SEED=1
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/../lib/scenario.sh"
# shellcheck source=harness/lib/faults.sh
source "$ROOT/harness/lib/faults.sh"

dir=$(mktemp -d)
on_exit rm -rf "$dir"
passed=0 failed=0

# is NAME EXPECTED ACTUAL
is() {
    if [[ $2 == "$3" ]]; then
        passed=$((passed + 1))
        say "ok $1"
    else
        failed=$((failed + 1))
        say "not ok $1: '$3', not '$2'"
    fi
}

# ---------------------------------------------------------------------------------- the order
drawn() { fault_draw "$1" && printf '%s ' "${FAULT_ORDER[@]}"; }
is "each is drawn once" "$(printf '%s\n' "${FAULTS[@]}" | sort)" "$(drawn 7 | xargs -n 1 | sort)"
is "a seed draws the same order again" "$(drawn 7)" "$(drawn 7)"
is "seeds draw different ones" 1 "$(($(for seed in {1..20}; do drawn "$seed"; echo; done | sort -u | wc -l) > 5))"

# --------------------------------------------------------------------------------- the faults
postgres_start faults
target_parse 1
TARGET_DB=$(postgres_database target)
postgres_apply "$TARGET_DB" "$ROOT/phase1/schema.sql" "$ROOT/phase1/seed.sql"
load_stock 1000 1000 "$FAULT_SALES"
RUN=$dir LOAD_SUMMARY=$dir/summary.json

# ask SQL: as a session of the target does; the last line of what it is told.
ask() { PGAPPNAME=target psql -X -A -t -q -d "$TARGET_DB" -c "$1" 2>&1 | tail -n 1; }
locked() { ask "SELECT $FAULT_SALES - count(*) FROM (SELECT FROM sales FOR UPDATE SKIP LOCKED) s"; }
order="INSERT INTO orders (id, sale_id, user_id, quantity, status) VALUES (gen_random_uuid(), 1, 1, 1, 'confirmed')"
# sleeps SQL: 1 if it takes FAULT_SLEEP_S.
sleeps() {
    PGAPPNAME=target psql -X -q -d "$TARGET_DB" -c '\timing on' -c "$1" |
        awk -v step="$FAULT_SLEEP_S" '/^Time/ { print ($2 >= 1000 * step) }'
}
# orders_for SECONDS: orders from a session of the target, one after the other, in the background.
orders_for() {
    for ((k = 0; k < 1000; k++)); do printf '%s;\n' "$order"; done |
        PGAPPNAME=target timeout "$1" psql -X -q -d "$TARGET_DB" >/dev/null 2>&1 || :
}
p50() { printf '{"orders": {"accept_ms": {"p50": %s}}}' "$1" >"$LOAD_SUMMARY"; }
# seen N: waits until the samples have N lines.
seen() {
    local tenths
    for ((tenths = 0; tenths < 100; tenths++)); do
        if (($(wc -l <"$dir/seen") >= $1)); then return 0; fi
        sleep 0.1
    done
}
# await_end PID...: left is how many of them still run after 10 s.
await_end() {
    local tenths pid
    for ((tenths = 0; tenths < 100; tenths++)); do
        left=0
        for pid in "$@"; do if kill -0 "$pid" 2>/dev/null; then left=$((left + 1)); fi; done
        if ((left == 0)); then return 0; fi
        sleep 0.1
    done
}
doubt() { printf '%s' "${FAULT_DOUBT%% (*}"; }

fault_arm lock "$dir/seen"
is "one sale's row is locked, and only that" 1 "$(locked)"
ask "SET lock_timeout = 1500; SELECT FROM sales FOR UPDATE" >"$dir/waiter" &
waiter=$!
seen 8
fault_disarm
wait "$waiter"
is "somebody waited for it, and that is the proof" "" "$FAULT_DOUBT"
for ((tenths = 0; tenths < 50; tenths++)); do
    [[ $(locked) != 0 ]] || break
    sleep 0.1
done
is "and then it is free" 0 "$(locked)"
FAULT_SALE=7 fault_arm lock "$dir/seen"
is "the sale that is asked for" 7 "$(ask "SELECT id FROM sales EXCEPT SELECT id FROM (SELECT id FROM sales FOR UPDATE SKIP LOCKED) s")"
seen 3
fault_disarm
is "a row that nobody waits for proves nothing" "the locked row made too few wait" "$(doubt)"

p50 25
for fault in commit statements; do
    fault_arm "$fault" "$dir/seen"
    is "$fault: an order sleeps" 1 "$(sleeps "$order")"
    is "in the statement that it should" "$fault" "$(PGAPPNAME=target psql -X -q -d "$TARGET_DB" -c '\timing on' -c BEGIN -c "$order" -c COMMIT |
        awk '/^Time/ { ms[++n] = $2 } END { print (ms[2] > ms[3] ? "statements" : "commit") }')"
    : >"$dir/seen"
    orders_for 2
    seen 8
    fault_disarm
    is "$fault: orders were seen asleep" "" "$FAULT_DOUBT"
    is "$fault: no trigger is left" 0 "$(ask "SELECT count(*) FROM pg_trigger WHERE tgname = 'fault'")"
done
fault_arm commit "$dir/seen"
seen 3
fault_disarm
is "a trigger that nobody met proves nothing" "the trigger slept too rarely" "$(doubt)"
fault_arm statements "$dir/seen"
orders_for 2
p50 3
fault_disarm
is "nor one that no order was slower for" "orders are too quick for a trigger that sleeps, p50 ms" "$(doubt)"

# Who answers before the commit: it is the final state that is late.
awaited() { printf '{"orders": {"accept_ms": {"p50": 1}, "complete_ms": {"count": %s, "p50": %s}}}' "$@" >"$LOAD_SUMMARY"; }
proof() { printf '%s\n' '4|2|0|1' >"$dir/asleep" && FAULT_ARMED=commit _fault_proof "$dir/asleep"; }
awaited 9 25
is "accepted at once, and final after the trigger" "" "$(proof)"
awaited 9 3
is "final as quickly as without it" "orders are too quick for a trigger that sleeps, p50 ms (3, at least 20)" "$(proof)"
awaited 0 0
is "accepted at once, and nobody looked further" "orders are too quick for a trigger that sleeps, p50 ms (1, at least 20)" "$(proof)"

fault_arm cpu "$dir/seen"
hogs=("${_FAULT_PIDS[@]}")
is "as many busy loops as said" $((FAULT_HOGS * $(nproc))) "${#hogs[@]}"
seen 5
fault_disarm
is "they ran, or would have" "" "$FAULT_DOUBT"
await_end "${hogs[@]}"
is "and have ended" 0 "$left"
fault_arm cpu "$dir/seen"
kill -STOP "${_FAULT_PIDS[@]}"
seen 10
kill -CONT "${_FAULT_PIDS[@]}"
fault_disarm
is "busy loops that do not run prove nothing" "the busy loops were not always busy, share of the time" "$(doubt)"

# What the proof of the small pool looks at: sessions of the target, and those with work to do.
FAULT_ARMED=pool _FAULT_SESSIONS=2
pool() { printf '%s\n' "$@" >"$dir/pool" && _fault_proof "$dir/pool"; }
is "two sessions at most, and in use" "" "$(pool '1|0|0|0' '2|1|0|0' '2|1|0|0')"
is "a pool as large as ever" "the pool is not small" "$(pool '2|1|0|0' '40|8|0|0')"
is "a small pool without work" "the small pool was hardly used (0, at least 0.1)" "$(pool '2|0|0|0' '1|0|0|0')"
FAULT_ARMED=''

# ------------------------------------------------------------------------ the script is killed
cat >"$dir/killed.sh" <<KILLED
SEED=1
source "$ROOT/harness/lib/scenario.sh"
source "$ROOT/harness/lib/faults.sh"
postgres_start killed
target_parse 1
TARGET_DB=\$(postgres_database target)
fault_arm cpu "$dir/killed.seen"
printf '%s\n' "\${_FAULT_PIDS[@]}" >"$dir/killed.pids"
mv "$dir/killed.pids" "$dir/killed.hogs"
sleep 60
KILLED
bash "$dir/killed.sh" >/dev/null 2>&1 &
script=$!
postgres_keep "$script"
disown
for ((tenths = 0; tenths < 200; tenths++)); do
    [[ ! -e $dir/killed.hogs ]] || break
    sleep 0.1
done
mapfile -t hogs <"$dir/killed.hogs"
kill -KILL "$script"
await_end "${hogs[@]}"
is "kill -9 of the script: its busy loops end" "$((FAULT_HOGS * $(nproc))) loops, 0 left" "${#hogs[@]} loops, $left left"

say "$passed passed, $failed failed"
((failed == 0))
