#!/usr/bin/env bash
# test_locks: GET /debug/locks of phase 2 names the root blocker, and shows no customer's data.
#
# Sessions of psql hold locks in the ways that matter: one row and a queue of orders, a chain, two
# roots, a ring, a role that may not look. Prints `ok NAME` or `not ok NAME: why`.
# shellcheck disable=SC2016 # the filters' variables are jq's
set -euo pipefail
unset MODE DATABASE_URL
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"
# shellcheck source=harness/lib/postgres.sh
source "$ROOT/harness/lib/postgres.sh"
# shellcheck source=harness/lib/figures.sh
source "$ROOT/harness/lib/figures.sh"
# shellcheck source=harness/lib/target.sh
source "$ROOT/harness/lib/target.sh"

POOL=64
WITHIN_S=15
SHOWN=50 # LOCKS_WAITERS_MAX
AUTH_SECRET='' TARGET_PORTS=16300-16349

cd "$ROOT"
RUN=$(mktemp -d)
on_exit rm -rf "$RUN"
failed=0

ok() { say "ok $1"; }
not_ok() {
    failed=1
    say "not ok $1: $2"
}
# is NAME EXPECTED ACTUAL
is() { if [[ $2 == "$3" ]]; then ok "$1"; else not_ok "$1" "'$3', not '$2'"; fi; }

# A session that does as it is told; it ends when its descriptor is closed. session NAME; tell NAME SQL
# does not wait, does NAME SQL does until it is done.
declare -A sessions=()
session() {
    local fd
    exec {fd}> >(PGAPPNAME=$1 exec psql -X -q -d "$TARGET_DB" >"$RUN/$1.out" 2>&1)
    sessions[$1]=$fd
    postgres_keep $!
}
does() {
    local deadline=$((SECONDS + WITHIN_S))
    rm -f "$RUN/$1.done"
    tell "$1" "$2"
    printf '\\! touch %s\n' "$RUN/$1.done" >&"${sessions[$1]}"
    until [[ -e $RUN/$1.done ]]; do
        ((SECONDS < deadline)) || die "$1 did not get through with: $2"
        sleep 0.02
    done
}
tell() { printf '%s;\n' "$2" >&"${sessions[$1]}"; }
close() {
    local fd=${sessions[$1]}
    exec {fd}>&-
}
pid_of() { target_sql "SELECT pid FROM pg_stat_activity WHERE application_name = '$1' AND datname = current_database()"; }

locks() { curl -s --max-time 5 "$TARGET_ADMIN_URL/debug/locks" >"$RUN/locks.json"; }
says() { jq -e "$@" "$RUN/locks.json" >/dev/null 2>&1; }
# await NAME [JQ OPTION..] FILTER: asks until the reply is so.
await() {
    local name=$1 deadline=$((SECONDS + WITHIN_S))
    shift
    until { locks && says "$@"; } || ((SECONDS >= deadline)); do sleep 0.05; done
    if says "$@"; then ok "$name"; else not_ok "$name" "$(head -c 700 "$RUN/locks.json")"; fi
}
holds() { if says "${@:2}"; then ok "$1"; else not_ok "$1" "$(head -c 700 "$RUN/locks.json")"; fi; }

# orders N FIRST_USER: N buyers at once, in the background
orders() {
    local i
    for ((i = 0; i < $1; i++)); do
        printf 'next\nurl = "%s/orders"\nheader = "Content-Type: application/json"\ndata = "{\\"sale_id\\":1,\\"user_id\\":%d,\\"quantity\\":1}"\noutput = /dev/null\nwrite-out = "%%{http_code}\\n"\nmax-time = 30\n' \
            "$TARGET_URL" $(($2 + i))
    done | curl -q -s -K - --parallel --parallel-immediate --parallel-max "$1" >"$RUN/orders" 2>/dev/null &
    curl_pid=$!
    postgres_keep "$curl_pid"
}

postgres_start locks
target_start "2,DB_POOL=$POOL,DB_LOCK_MS=30000,DB_STATEMENT_MS=40000"

locks
is "nobody waits: no chain" '{"waiting":0,"chains":[]}' "$(<"$RUN/locks.json")"

# ------------------------------------------------------------------ one row, and the pool behind it
session clerk
does clerk "BEGIN; UPDATE sales SET name = 'Mrs. Smith, 4111 1111' WHERE id = 1 AND stock_left <> 4711"
orders $((POOL + 16)) 1
clerk=$(pid_of clerk)
await "a held row: the whole pool waits, and /debug/locks answers" --argjson n $POOL '.waiting == $n'
holds "in one chain, whose root is who holds it" --argjson n $POOL --argjson clerk "$clerk" \
    '(.chains | length) == 1 and (.chains[0] | .waiting == $n and .root.pid == $clerk)'
holds "the root: not of this server, idle in its transaction, and for how long" \
    '.chains[0].root | .ours == false and .application == "clerk" and .state == "idle in transaction" and .age_ms > 0 and .wait_event_type == "Client" and .wait_event == "ClientRead"'
holds "its statement without what it says of anybody" \
    '.chains[0].root.query == "UPDATE sales SET name = ? WHERE id = ? AND stock_left <> ?;"'
holds "its fingerprint" '.chains[0].root.fingerprint | test("^[0-9a-f]{12}$")'
holds "the waiters listed: no more than the limit" --argjson n $SHOWN '.chains[0].waiters | length == $n'
holds "they are this server's and wait for a lock" \
    '[.chains[0].waiters[] | .ours and .application == "phase2" and .wait_event_type == "Lock" and (.wait_event | IN("transactionid", "tuple")) and .age_ms >= 0] | all'
holds "with the statement that takes the row's lock" \
    '[.chains[0].waiters[].query] | unique | length == 1 and (.[0] | test("FROM sales WHERE id = \\$1 FOR UPDATE$"))'
holds "the first of them waits for the root alone" --argjson clerk "$clerk" '.chains[0].waiters[0].blocked_by == [$clerk]'
holds "each other for those before it" \
    '[.chains[0].waiters | range(2; length) as $i | .[$i].blocked_by == ([.[1:$i][].pid, .[0].pid] | sort)] | all'
if grep -qE 'Smith|4111|4711' "$RUN/locks.json"; then not_ok "no literal in all of it" "$(head -c 300 "$RUN/locks.json")"; else ok "no literal in all of it"; fi

for _ in 1 2 3 4 5 6 7 8 9; do
    curl -s -o /dev/null -w '%{time_total}\n' "$TARGET_ADMIN_URL/debug/locks"
done >"$RUN/times"
say "# with $POOL waiters /debug/locks takes $(calc "1000 * $(median <"$RUN/times")") ms (median of 9)"

does clerk ROLLBACK
wait "$curl_pid" || :
is "all orders go on" "$((POOL + 16)) 201" "$(sort "$RUN/orders" | uniq -c | sed 's/^ *//')"
await "and nobody waits" '. == {"waiting": 0, "chains": []}'

# ------------------------------------------------------------------ other shapes
for name in ann bob cid; do session "$name"; done
does ann "BEGIN; SELECT FROM sales WHERE id = 1 FOR UPDATE"
does bob "BEGIN; LOCK TABLE orders"
tell bob "SELECT FROM sales WHERE id = 1 FOR UPDATE"
await "a waiter" '.waiting == 1'
tell cid "BEGIN; LOCK TABLE orders IN SHARE MODE"
await "a chain of three: two wait" '.waiting == 2 and (.chains | length) == 1 and .chains[0].waiting == 2'
holds "its root waits for nobody" --argjson ann "$(pid_of ann)" '.chains[0].root.pid == $ann'
holds "each waiter is blocked by the one before" --argjson ann "$(pid_of ann)" --argjson bob "$(pid_of bob)" \
    '[.chains[0].waiters[].blocked_by] == [[$ann], [$bob]]'
for name in ann bob cid; do does "$name" ROLLBACK; done
await "it dissolves" '.waiting == 0'

does ann "BEGIN; SELECT FROM sales WHERE id = 1 FOR UPDATE"
count=0
for name in bob cid clerk; do
    tell "$name" "BEGIN; SELECT FROM sales WHERE id = 1 FOR UPDATE"
    count=$((count + 1))
    await "$count in line" --argjson n "$count" '.waiting == $n'
done
does ann ROLLBACK
await "the line moves up: the next one is the root" --argjson bob "$(pid_of bob)" '.waiting == 2 and .chains[0].root.pid == $bob'
holds "and they stand in the order in which they came" --argjson cid "$(pid_of cid)" --argjson clerk "$(pid_of clerk)" \
    '[.chains[0].waiters[].pid] == [$cid, $clerk]'
for name in bob cid clerk; do does "$name" ROLLBACK; done
await "it is empty" '.waiting == 0'

does ann "BEGIN; LOCK TABLE orders IN SHARE MODE"
does bob "BEGIN; LOCK TABLE orders IN SHARE MODE"
tell cid "BEGIN; LOCK TABLE orders"
await "two roots: one waiter, in two chains" --argjson ann "$(pid_of ann)" --argjson bob "$(pid_of bob)" \
    '.waiting == 1 and ([.chains[].waiting] == [1, 1]) and ([.chains[].root.pid] | sort) == ([$ann, $bob] | sort)'
for name in ann bob cid; do does "$name" ROLLBACK; done
await "they dissolve" '.waiting == 0'

for name in ann bob; do does "$name" "SET deadlock_timeout = '60s'; BEGIN"; done
does ann "LOCK TABLE sales"
does bob "LOCK TABLE orders"
tell bob "LOCK TABLE sales"
await "half a ring" '.waiting == 1'
tell ann "LOCK TABLE orders"
await "a ring has no root, and does not hang it" '. == {"waiting": 2, "chains": []}'
target_sql "SELECT pg_cancel_backend($(pid_of bob))" >/dev/null
for name in ann bob; do does "$name" ROLLBACK; done
await "it is broken" '.waiting == 0'
for name in ann bob cid clerk; do close "$name"; done
target_stop

# ------------------------------------------------------------------ a role that may not look
target_start 2
target_sql "CREATE ROLE seller LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO seller" >/dev/null
seller_uri=${TARGET_DB/user=flashdeal/user=seller} own_uri=$TARGET_DB
target_stop
TARGET_DB=$seller_uri
target_spawn
target_ready "$TARGET_READY_S" || die "it does not serve: $(target_last_words)"
TARGET_DB=$own_uri
session clerk
does clerk "BEGIN; SELECT 'secret' FROM sales WHERE id = 1 FOR UPDATE"
orders 3 1
await "without the right to see others: who waits is there all the same" --argjson clerk "$(pid_of clerk)" \
    '.waiting == 3 and .chains[0].root.pid == $clerk'
holds "what it may not see is null" \
    '.chains[0].root | .ours == false and .application == "clerk" and ([.state, .query, .fingerprint, .wait_event_type, .wait_event, .age_ms] | all(. == null))'
holds "its own sessions it sees" '[.chains[0].waiters[] | .ours and .wait_event_type == "Lock" and .query != null] | all'

# ------------------------------------------------------------------ the database does not answer
postgres_freeze
status=$(curl -s -o "$RUN/problem" -w '%{http_code}' --max-time 10 "$TARGET_ADMIN_URL/debug/locks") || :
postgres_thaw
is "a frozen database: 503 in good time" "503 overloaded" "$status $(jq -r .code "$RUN/problem")"
does clerk ROLLBACK
wait "$curl_pid" || :
await "it answers again" '.waiting == 0'
close clerk
target_stop
exit "$failed"
