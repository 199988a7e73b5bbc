#!/usr/bin/env bash
# oversell: many clients, few units, and then the audit.
#
# Closed loop: CLIENTS (32) clients buy one unit each, again and again, from a stock of 200. Then the
# journal of what they were told is held against the database. Up to 5 rounds, because a race may
# well not show the first time. DURATION: seconds of a round (1).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
scenario_begin oversell "${CLIENTS:-32} clients buy from a stock of 200; the audit counts." 15 30 "$@"

STOCK=200
ROUNDS=5
CROWD=$((${CLIENTS:-32} / 4)) # as many orders at least must have been under way together

# Confirmed orders that had at least CROWD orders under way beside them.
crowded() {
    awk -F '\t' -v crowd="$CROWD" '
        $2 == "invoke" { running++ }
        $2 == "ok" { if (running >= crowd) n++ }
        $2 == "ok" || $2 == "fail" || $2 == "info" { running-- }
        END { print n + 0 }' "$LOAD_JOURNAL"
}

for target in "${TARGETS[@]}"; do
    scenario_target "$target" || continue
    rounds=0 crowd=0 confirmed=0 status=0
    while ((rounds < ROUNDS && status == 0)); do
        rounds=$((rounds + 1))
        load_stock "$STOCK"
        load_race "round$rounds" "${CLIENTS:-32}" "${DURATION:-1}"
        "$ROOT/build/release/audit" --database "$TARGET_DB" --journal "$LOAD_JOURNAL" --sale 1 \
            --json "$RUN/$(target_slug).audit.json" >"$RUN/$(target_slug).audit" 2>&1 || status=$?
        confirmed=$(target_sql "SELECT coalesce(sum(quantity), 0) FROM audit_orders WHERE sale_id = 1 AND status = 'confirmed'")
        crowd=$((crowd + $(crowded)))
    done
    figure "rounds of $STOCK units" "$rounds" ""
    figure "confirmed in a crowd of $CROWD or more" "$crowd" "orders"
    figure "units confirmed in the last round" "$confirmed" "of $STOCK"
    figure "units it believes to have left" "$(target_sql 'SELECT stock_left FROM audit_sales WHERE sale_id = 1')" ""
    figure "audit" "$(tail -n 1 "$RUN/$(target_slug).audit" | awk '{ print $2 }')" ""
    result=$(verdict_audit "$status")
    why="The audit could not say ($(tail -n 1 "$RUN/$(target_slug).audit"))."
    if [[ $result == ABSENT ]] && ((crowd < STOCK)); then
        result=INCONCLUSIVE why="Orders hardly ever met ($crowd of them did), and those that do not cannot oversell."
    fi
    verdict oversell "$result" \
        "$confirmed units were promised, and there are $STOCK: two orders read the same stock, and each wrote back its own idea of what is left." \
        "Sold out to the last unit and not one more, $rounds times over: an order sees the stock once the one before it is done." \
        "$why"
    target_stop
done
scenario_end
