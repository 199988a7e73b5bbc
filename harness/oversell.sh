#!/usr/bin/env bash
# oversell: many clients, few units, and then the audit.
#
# Closed loop: CLIENTS (32) clients buy one unit each, again and again, from a stock of 200. Then the
# journal of what they were told is held against the database. Up to 5 rounds, because a race may
# well not show the first time. Then one round in which 100 users race for their own limit of 2 units,
# with plenty in stock: a buyer who gets more than his share is oversold to as well, and the same audit
# finds him. DURATION: seconds of a round (1).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
scenario_begin oversell "${CLIENTS:-32} clients buy from a stock of 200, then 2 units each; the audit counts." 17 34 "$@"

STOCK=200 ROUNDS=5
LIMIT=2 USERS=100
RIVALS_MIN=$((${CLIENTS:-32} / 2)) # confirmed beside another order of the same user, else nobody raced
CROWD=$((${CLIENTS:-32} / 4)) # as many orders at least must have been under way together

# met N [FIELD]: confirmed orders beside which at least N, itself included, were under way; with a
# FIELD of the journal, N that agree in it. An order that was accepted is under way until it is final.
met() {
    awk -F '\t' -v n="$1" -v field="${2-}" '
        { who = field ? $field : "" }
        $2 == "invoke" { running[who]++ }
        $2 == "ok" && $9 == 202 { next }
        ($2 == "ok" || $12 == "confirmed") && running[who] >= n { met++ }
        $2 == "ok" || $2 == "fail" || $2 == "info" || $2 == "final" { running[who]-- }
        END { print met + 0 }' "$LOAD_JOURNAL"
}
round() { # LABEL [LOADGEN OPTION...]
    load_race "$1" "${CLIENTS:-32}" "${DURATION:-1}" "${@:2}"
    load_serves
    load_audit
}
failing() { awk '$1 == "FAIL" { printf "%s%s", sep, $2; sep = ", " }' "$AUDIT"; }

for target in "${TARGETS[@]}"; do
    scenario_target "$target"
    [[ -n $MEASURABLE ]] || continue
    rounds=0 crowd=0 AUDIT_STATUS=0
    while ((rounds < ROUNDS && AUDIT_STATUS == 0)); do
        rounds=$((rounds + 1))
        load_stock "$STOCK"
        round "round$rounds"
        crowd=$((crowd + $(met "$CROWD")))
    done
    confirmed=$(target_sql "SELECT coalesce(sum(quantity), 0) FROM audit_orders WHERE sale_id = 1 AND status = 'confirmed'")
    result=$(verdict_audit "$AUDIT_STATUS") why="The audit could not say ($(tail -n 1 "$AUDIT"))."
    figure "rounds of $STOCK units" "$rounds" ""
    figure "confirmed in a crowd of $CROWD or more" "$crowd" "orders"
    figure "units confirmed in the last round" "$confirmed" "of $STOCK"
    figure "units it believes to have left" "$(target_sql 'SELECT stock_left FROM audit_sales WHERE sale_id = 1')" ""
    figure "audit" "$AUDIT_SAID" ""
    present="$confirmed units were promised, and there are $STOCK: two orders read the same stock, and each wrote back its own idea of what is left."
    ((confirmed > STOCK)) || present="The audit fails: $(failing)."

    load_stock "$LOAD_UNITS" "$LIMIT"
    round limit --users "$USERS"
    most=$(target_sql "SELECT coalesce(max(n), 0) FROM (SELECT sum(quantity) AS n FROM audit_orders WHERE sale_id = 1 AND status = 'confirmed' GROUP BY user_id) u")
    rivals=$(met 2 6) # of one user
    figure "$USERS users, $LIMIT units each: the most one got" "$most" "units"
    figure "confirmed beside one of the same user" "$rivals" "orders"
    figure "audit of that round" "$AUDIT_SAID" ""
    if [[ $result == ABSENT && $AUDIT_STATUS != 0 ]]; then
        result=$(verdict_audit "$AUDIT_STATUS") why="The audit of the limit could not say ($(tail -n 1 "$AUDIT"))."
        present="A user got $most units where $LIMIT are allowed: two of his orders each read what he had before the other one was written."
        ((most > LIMIT)) || present="The audit of the limit's round fails: $(failing)."
    elif [[ $result == ABSENT ]] && ((crowd < STOCK || rivals < RIVALS_MIN)); then
        result=INCONCLUSIVE why="Orders hardly ever met ($crowd in a crowd, $rivals of one user), and those that do not cannot oversell."
    fi
    verdict oversell "$result" "$present" \
        "Sold out to the last unit and not one more, $rounds times over, and nobody got more than his $LIMIT: an order sees stock and buyer once the one before it is done." \
        "$why"
    target_stop
done
scenario_end
