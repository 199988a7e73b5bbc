#!/usr/bin/env bash
# test_unknown_commit: connections to PostgreSQL are lost in the middle of a COMMIT, 100 times, in the
# three ways of commit_cut.c. Nobody can tell which of these commits happened, and yet every order
# ends in at most one row, as its buyer was told, and the stock agrees with the rows.
#
# Phase 3 says that it does not know (503 outcome_unknown). Later phases find out: there an accepted
# order has exactly one row, and from phase 5 on its key leads to it, also after a new start.
# Prints `ok NAME` or `not ok NAME: why`. Arguments: the phases; none: all from 3 on.
# shellcheck disable=SC2016 # the conditions' fields are awk's
set -euo pipefail
unset MODE DATABASE_URL RATE DURATION CLIENTS
SEED=1 TARGET_PORTS=16400-16449
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/../lib/scenario.sh"
# shellcheck source=harness/lib/orders.sh
source "$ROOT/harness/lib/orders.sh"

CUTS=100 EVERY=3 # every third COMMIT
RATE_S=100 LAST_S=5
REPLAYS=10
RATE_LIMIT=1000 # the replays are no part of anybody's rate

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
# holds NAME NUMBER CONDITION
holds() { if [[ $(verdict_rule "$2" "$3") == PRESENT ]]; then ok "$1"; else not_ok "$1" "$2 is not $3"; fi; }

# The target's database, seen through commit_cut.
begin() {
    local tenths port=${PG_URI_BASE#*port=}
    mkdir -p "$RUN/$1"
    target_parse "$1"
    target_build
    target_prepare
    build/release/tests/commit_cut "$PG_DIR/.s.PGSQL.${port%%&*}" "$RUN/$1/.s.PGSQL.5432" "$EVERY" "$CUTS" >"$RUN/$1/cuts" 2>&1 &
    cutter=$!
    postgres_keep "$cutter"
    for ((tenths = 0; tenths < 50; tenths++)); do
        if [[ -s $RUN/$1/cuts ]]; then break; fi
        sleep 0.1
    done
    TARGET_SETTINGS=("DATABASE_URL=postgresql:///target?host=$RUN/$1&port=5432&user=flashdeal" "RATE_LIMIT=$RATE_LIMIT")
    target_spawn
    target_ready "$TARGET_READY_S" || die "$(target_name) does not serve: $(target_last_words)"
}
# cuts PHASE [WAY]: how many there were
cuts() { grep -c "^cut .*${2-}" "$RUN/$1/cuts" || :; }
lines() { awk -F '\t' "$1 { n++ } END { print n + 0 }" "$LOAD_JOURNAL"; }

# Buyers who were told an order's number, and later send the same key again: to a server that has
# forgotten everything but its rows.
replays() {
    local rows line user key id n=0 same=0
    rows=$(target_sql "SELECT count(*) FROM audit_orders")
    target_restart
    while IFS=$'\t' read -r user key id; do
        n=$((n + 1))
        orders_at_once 1 "$user" "$key" "$RUN/replay.$n"
        [[ $(jq -r .order_id "$RUN/replay.$n/reply.1") != "$id" ]] || same=$((same + 1))
    done < <(awk -F '\t' -v n="$REPLAYS" '$2 == "ok" && seen++ < n { print $6 "\t" $8 "\t" $11 }' "$LOAD_JOURNAL")
    load_idle 10
    is "phase $1: a key leads to the same order after a new start" "$REPLAYS" "$same"
    is "phase $1: and to no row more" "$rows" "$(target_sql "SELECT count(*) FROM audit_orders")"
}

harness_make MODE=release build/release/loadgen build/release/audit build/release/tests/commit_cut
postgres_start unknown-commit
if (($# == 0)); then set -- phase[3-8]; fi
for phase in "${@#phase}"; do
    begin "$phase"
    load_stock "$LOAD_UNITS"
    load_aside orders "$RATE_S" "$LAST_S" --keys --await all
    load_aside_end "$LOAD_PID"
    load_idle 10
    is "phase $phase: the connection was cut in $CUTS commits" "$CUTS" "$(cuts "$phase")"
    told=$(lines '$2 == "ok"') unknown=$(lines '$2 == "info" || $10 == "outcome_unknown"')
    IFS='|' read -r rows users sold < <(target_sql "SELECT count(*), count(DISTINCT user_id),
        (SELECT stock_total - stock_left FROM audit_sales WHERE sale_id = 1) FROM audit_orders WHERE status = 'confirmed'")
    is "phase $phase: no buyer has two orders" "$rows" "$users"
    is "phase $phase: the stock agrees with the rows" "$rows" "$sold"
    idempotent=()
    [[ $(target_sql "SELECT count(idempotency_key) FROM audit_orders") == 0 ]] || idempotent=(--idempotent)
    load_audit "${idempotent[@]}"
    is "phase $phase: and so does what the buyers were told" PASS "$AUDIT_SAID"
    if ((phase == 3)); then
        is "phase 3: as many buyers were told that nobody knows" "$CUTS" "$unknown"
        holds "phase 3: some of these have their order" "$((rows - told))" ">= $(cuts 3 answer)"
        holds "phase 3: and some have not" "$((CUTS - (rows - told)))" ">= $(cuts 3 request)"
    else
        is "phase $phase: no buyer is left in doubt" 0 "$unknown"
        is "phase $phase: every accepted order is confirmed, once" "$told" "$rows"
        is "phase $phase: and its buyer was told so" "$told" "$(lines '$2 == "final" && $12 == "confirmed"')"
    fi
    [[ -z ${idempotent[*]-} ]] || replays "$phase"
    target_stop
    kill "$cutter"
done
exit "$failed"
