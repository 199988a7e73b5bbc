#!/usr/bin/env bash
# test_orders: what lib/orders.sh posts and counts, the row that lib/row.sh holds, and a target that is
# killed and comes back where it was. Phase 1 and a PostgreSQL of its own.
set -euo pipefail
unset MODE DATABASE_URL
SEED=1 TARGET_PORTS=16350-16399
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/../lib/scenario.sh"
# shellcheck source=harness/lib/row.sh
source "$ROOT/harness/lib/row.sh"
# shellcheck source=harness/lib/orders.sh
source "$ROOT/harness/lib/orders.sh"

cd "$ROOT"
RUN=$(mktemp -d)
on_exit rm -rf "$RUN"
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

# ------------------------------------------------------------------------------ what replies say
# replies TEXT...: a body each; told: how many order ids they have
replies() {
    local i=0 text
    rm -rf "$RUN/replies"
    mkdir "$RUN/replies"
    for text in "$@"; do
        i=$((i + 1))
        printf '%s' "$text" >"$RUN/replies/reply.$i"
    done
}
told() { orders_told order_id "$RUN/replies"; }
replies '{"order_id":"a"}' '{"order_id":"b"}' '{"order_id":"a"}'
is "different ids are counted" 2 "$(told)"
replies '{"order_id":"a"}' '' 'Bad Gateway' '{"code":"queue_full"}' '[]' '{"order_id":null}'
is "and only ids" 1 "$(told)"
replies
is "no reply has none" 0 "$(told)"

# ---------------------------------------------------------------------- what the database has
postgres_start orders
target_parse 1
target_build
target_prepare
id() { printf '00000000-0000-4000-8000-%012d' "$1"; }
# row ID USER STATUS
row() { target_sql "INSERT INTO orders (id, sale_id, user_id, quantity, status) VALUES ('$(id "$1")', 1, $2, 1, '$3')"; }
# line EVENT ID
line() { printf '1\t%s\t0\t1\t1\t7\t1\t-\t202\t-\t%s\tpending\t5\n' "$1" "$2"; }
row 1 7 confirmed
row 2 7 confirmed
row 3 8 confirmed
row 4 9 pending
row 5 9 rejected
{
    line invoke -
    for n in 1 1 4 5 6; do line ok "$(id $n)"; done # in the database: 1 and 5 final, 4 not, 6 not at all
    line ok -
    line info "$(id 7)"
    line fail "$(id 8)"
} >"$RUN/journal"
is "lost is what was acknowledged and has no final row" "4|2" "$(orders_lost "$RUN/journal")"
line invoke - >"$RUN/journal"
is "nothing acknowledged, nothing lost" "0|0" "$(orders_lost "$RUN/journal")"
is "two confirmed orders of one user are two" "2|1" "$(orders_doubled)"

# ------------------------------------------------------------------------------------- the row
# The seed has two sales.
# locks SALE: 1, or why not
locks() {
    PGOPTIONS='-c lock_timeout=300' psql -X -A -t -q -d "$TARGET_DB" -c "SELECT 1 FROM sales WHERE id = $1 FOR UPDATE" 2>&1 |
        grep -o -e '^1$' -e 'lock timeout' || :
}
row_hold 2
is "the row is held" "lock timeout" "$(locks 2)"
is "and no other" 1 "$(locks 1)"
is "by the session that is named" "idle in transaction" "$(target_sql "SELECT state FROM pg_stat_activity WHERE pid = $ROW_HOLDER")"
row_release
is "then it is free" 1 "$(locks 2)"
row_release
row_hold 2
is "and can be held again" "lock timeout" "$(locks 2)"
row_release

# ---------------------------------------------------------------------------------- the server
target_spawn
target_ready "$TARGET_READY_S" || die "it does not serve: $(target_last_words)"
load_stock 1000 2
is "an order" 201 "$(orders_code 7 a)"
is "a second" 201 "$(orders_code 7 a)"
is "one too many" "422 limit_exceeded" "$(orders_code 7 a)"
orders_clicks 16 2
is "each click is answered" 32 "$(cat "$RUN"/1.clicks.*/codes | wc -l)"
is "as the limit allows" "4 2 2 2 2" "$CLICKS_ACCEPTED $CLICKS_IDS $CLICKS_URLS $CLICKS_ROWS $CLICKS_LEAST"
url=$TARGET_URL pid=$TARGET_PID
target_kill
is "nobody answers" 000 "$(orders_code 9 a)"
target_respawn
target_ready "$TARGET_READY_S" || die "it does not serve again: $(target_last_words)"
is "it is back" 201 "$(orders_code 9 a)"
is "where it was" "$url" "$TARGET_URL"
is "and another process" 1 "$((TARGET_PID != pid))"
target_stop

say "$passed passed, $failed failed"
((failed == 0))
