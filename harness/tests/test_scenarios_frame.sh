#!/usr/bin/env bash
# test_scenarios_frame: what every scenario script does around its measurement: help, targets that
# make no sense, servers that do not start or that die, and what is left behind.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"

cd "$ROOT"
unset DATABASE_URL DURATION CLIENTS RATE DB_POOL MODE
dir=$(mktemp -d)
# The private directories of the scripts, on a disk: what is left in it was left behind.
export FLASHDEAL_TMP=/var/tmp/flashdeal-test-$$
mkdir "$FLASHDEAL_TMP"
chmod 711 "$FLASHDEAL_TMP" # the server's user passes through
on_exit rm -rf "$dir" "$FLASHDEAL_TMP"
failed=0

ok() { say "ok $1"; }
not_ok() {
    failed=1
    say "not ok $1: $2"
}
# run STATUS NAME COMMAND...: its output is kept in $dir/output.
run() {
    local status=0
    "${@:3}" >"$dir/output" 2>&1 </dev/null || status=$?
    if [[ $status == "$1" ]]; then ok "$2"; else not_ok "$2" "status $status, not $1: $(tail -n 1 "$dir/output")"; fi
}
says() { if grep -qE "$2" "$dir/output"; then ok "$1"; else not_ok "$1" "nothing like '$2' in: $(tail -n 3 "$dir/output" | tr '\n' ' ')"; fi; }
kept() { sed -n 's/^.*kept: \(build\/runs\/[^ ]*\).*/\1/p' "$dir/output"; }
clean() {
    local tenths
    for ((tenths = 0; tenths < 150; tenths++)); do
        [[ -n $(ls -A "$FLASHDEAL_TMP") ]] || break
        sleep 0.1
    done
    if [[ -z $(ls -A "$FLASHDEAL_TMP") ]]; then ok "$1"; else not_ok "$1" "$(ls "$FLASHDEAL_TMP")"; fi
}
# started FILE PATTERN: pid is that of the script's server, once a line of that file is there.
started() {
    local tenths child
    for ((tenths = 0; tenths < 300; tenths++)); do
        if grep -qsE "$2" build/runs/*/"$1"; then
            for child in $(<"/proc/$script/task/$script/children"); do
                if tr '\0' ' ' <"/proc/$child/cmdline" | grep -q '/server $'; then
                    pid=$child
                    return 0
                fi
            done
        fi
        sleep 0.1
    done
    return 1
}
# ended STATUS NAME: waits for the script.
ended() {
    local status=0
    wait "$script" || status=$?
    if [[ $status == "$1" ]]; then ok "$2"; else not_ok "$2" "status $status, not $1"; fi
}

for script in pool-exhaustion startup-order oversell overload metastable queue-overflow tail-latency lock-contention slow-db frozen-db queue-lag worker-starvation ceilings hot-row scaling million flash-sale crash retry-storm last-units; do
    run 0 "$script explains itself" "harness/$script.sh" --help
    says "$script says what a target is" 'TARGET is a phase'
done
run 64 "a target that is not there" harness/oversell.sh no/such/directory
says "and what a target is" 'a target is 1'
run 64 "a setting that is none" harness/oversell.sh 1,pool=5
run 0 "a phase that the failure mode does not apply to" harness/oversell.sh 0
says "says so" 'does not apply to phase 0'
run 2 "a URL without DATABASE_URL is inconclusive" harness/oversell.sh http://127.0.0.1:1
says "and says what is missing" 'DATABASE_URL must name'
if jq -e '.exit_status == 2 and .verdicts[0].verdict == "INCONCLUSIVE" and (.command | contains("oversell.sh http"))' "$(kept)/summary.json" >/dev/null; then
    ok "the summary keeps verdict, status and command"
else
    not_ok "the summary keeps verdict, status and command" "$(cat "$(kept)/summary.json")"
fi
run 2 "so is a sale, which has no verdict" harness/flash-sale.sh http://127.0.0.1:1
says "and it says the same" 'DATABASE_URL must name'

# A checkout that cannot be written, also for root: build is a file.
mkdir -p "$dir/copy/harness" "$dir/copy/phase1"
cp -r harness/lib harness/oversell.sh harness/failure-modes.tsv "$dir/copy/harness/"
: >"$dir/copy/build"
run 1 "a checkout that cannot be written is an error" timeout 20 "$dir/copy/harness/oversell.sh" 1
says "in one sentence" '^oversell.sh: .*/build/runs cannot be written'

run 1 "a server that does not start is an error" harness/pool-exhaustion.sh 0,DB_POOL=100000
says "with the server's own words" 'phase 0 with DB_POOL=100000 does not serve: .*DB_POOL'
clean "nothing is left of it"

# A phase 1 that replies 500 to every order. That is no bad luck to be repeated on a quieter machine.
broken=build/broken-$$
cp -rL phase1 "$broken"
on_exit rm -rf "$ROOT/$broken" "$ROOT/build/release/$broken"
sed -i 's/= decide(context, request, &order, &outcome);/= order.user_id < 0 ? decide(context, request, \&order, \&outcome) : ST_DB;/' "$broken/orders.c"
for script in lock-contention oversell flash-sale overload metastable queue-overflow tail-latency slow-db frozen-db queue-lag worker-starvation; do
    DURATION=0.5 run 1 "$script: a target that answers 500 to everything is an error" "harness/$script.sh" "$broken"
    says "in one sentence" "^$script.sh: $broken does not do its work, .*: it answered ([0-9]+) of \1 orders with 5xx"
done
clean "nothing is left of these"

# A marker in the settings finds this script's server among others'.
marker=READ_TIMEOUT_MS=$((20000 + $$ % 10000))
DB_POOL=3 harness/pool-exhaustion.sh "0,$marker" >"$dir/output" 2>&1 </dev/null &
script=$!
if started "0_$marker.server.log" '"listening"'; then
    if grep -hs '"config"' build/runs/*/"0_$marker.server.log" | jq -e '.DB_POOL == 5' >/dev/null; then
        ok "settings of the environment stay out"
    else
        not_ok "settings of the environment stay out" "DB_POOL is not 5"
    fi
    kill -TERM "$script"
    ended 143 "SIGTERM ends it"
    clean "and its PostgreSQL"
    if kill -0 "$pid" 2>/dev/null; then not_ok "and its server" "$pid still runs"; else ok "and its server"; fi
else
    not_ok "a scenario starts its server" "$(tail -n 1 "$dir/output")"
fi

marker=READ_TIMEOUT_MS=$((30000 + $$ % 10000))
harness/flash-sale.sh "1,$marker" >"$dir/output" 2>&1 </dev/null &
script=$!
if started "1_$marker.crowd.journal" '201'; then
    kill -KILL "$pid"
    ended 1 "a server that dies is an error"
    says "and no verdict" 'ended in the middle of it'
    clean "nothing is left of it either"
else
    not_ok "a flash sale starts its server" "$(tail -n 1 "$dir/output")"
fi

# stopped: is the script's PostgreSQL stopped?
stopped() {
    local file
    for file in "$FLASHDEAL_TMP"/*/data/postmaster.pid; do
        if grep -qs '^State:.*T (stopped)' "/proc/$(head -n 1 "$file" 2>/dev/null)/status"; then return 0; fi
    done
    return 1
}
RATE=400 harness/frozen-db.sh 1 >"$dir/output" 2>&1 </dev/null &
script=$!
for ((tenths = 0; tenths < 300; tenths++)); do
    if stopped; then break; fi
    sleep 0.1
done
if stopped; then ok "frozen-db stops PostgreSQL"; else not_ok "frozen-db stops PostgreSQL" "$(tail -n 1 "$dir/output")"; fi
kill -TERM "$script"
ended 143 "SIGTERM ends it meanwhile"
clean "and a PostgreSQL that was stopped goes as well"

# A role that may make no database, in a shell whose psql would go to somebody's real one. It is the
# server of this script, in a directory that `clean` does not look at.
# shellcheck source=harness/lib/postgres.sh
FLASHDEAL_TMP='' source "$ROOT/harness/lib/postgres.sh"
postgres_start frame
victim=$(postgres_database victim)
postgres_apply "$victim" phase1/schema.sql phase1/seed.sql
ask() { psql -X -A -t -q -d "$victim" -c "$1"; }
ask "CREATE ROLE limited LOGIN; GRANT ALL ON SCHEMA public TO limited; GRANT ALL ON ALL TABLES IN SCHEMA public TO limited"
for table in sales orders; do ask "ALTER TABLE $table OWNER TO limited"; done
fingerprint() {
    ask "SELECT (SELECT count(*) FROM pg_class), (SELECT md5(string_agg(s::text, ',' ORDER BY id)) FROM sales s),
        (SELECT pg_relation_filenode('orders')), (SELECT count(*) FROM orders)" # TRUNCATE changes the node
}
before=$(fingerprint)
as_limited() {
    local port=${PG_URI_BASE#*port=}
    env PGHOST="$PG_DIR" PGPORT="${port%%&*}" PGDATABASE=victim PGUSER=limited "$@"
}
for script in oversell overload metastable queue-overflow tail-latency lock-contention slow-db frozen-db worker-starvation flash-sale pool-exhaustion startup-order ceilings crash retry-storm last-units; do
    name="$script: a role that may make no database is an error"
    DATABASE_URL=${victim/user=flashdeal/user=limited} run 1 "$name" as_limited timeout 60 "harness/$script.sh" 1
    if [[ $(grep -c "^$script.sh: " "$dir/output") == 1 ]]; then
        says "in one sentence" "^$script.sh: cannot make database .*CREATEDB"
    else
        not_ok "in one sentence" "$(grep "^$script.sh: " "$dir/output" | tr '\n' ';')"
    fi
done
if [[ $(fingerprint) == "$before" ]]; then
    ok "and nothing is written elsewhere"
else
    not_ok "and nothing is written elsewhere" "$before before, $(fingerprint) after"
fi
# ------------------------------------------------------------------------------------ once more

ROUNDS=1 DURATION=0.5 harness/scaling.sh 6 >"$dir/output" 2>/dev/null || (($? == 2)) || not_ok "scaling.sh with one round" "it failed"
says "the command that repeats a run has all that it was given" 'again: SEED=[0-9]+ DURATION=0\.5 ROUNDS=1 \./harness/scaling\.sh 6$'

exit "$failed"
