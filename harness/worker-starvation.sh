#!/usr/bin/env bash
# worker-starvation: one sale's row is blocked, and nothing is wrong with the other sale.
#
# Another session holds sale 1's row, as a forgotten transaction does, and orders for it go on coming,
# often enough to take up 64 places for 2 s each. Whoever works on one of them waits for the row. How
# many orders does sale 2 get through meanwhile? Compared with a control arm under the same load, in
# which the row of sale 3 is held as long, which nobody orders: an open transaction costs something too.
# The buyers of either sale have connections of their own, so that none waits for the other's.
# RATE: orders/s of both sales together (0.45 of capacity). DURATION: seconds of a window (3).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck source=harness/lib/faults.sh
source "$ROOT/harness/lib/faults.sh"
scenario_begin worker-starvation "Sale 1 is blocked: what sale 2 still sells, over what it sells otherwise." 20 40 "$@"

WINDOW=${DURATION:-3}
BLOCKED=1 OTHER=2 UNWANTED=3 # sales
SHARE=0.1 # of the orders are for the other sale
BLOCKED_CONNECTIONS=380 OTHER_CONNECTIONS=100 # together fewer than a target has threads
FEWEST=20 # confirmed of the other sale in the control arm

arm() { # LABEL SALE: a window while that sale's row is held; OTHER's confirmed/s
    local blocked
    load_stock "$LOAD_UNITS" 1000000 3
    FAULT_SALE=$2 fault_arm lock "$RUN/$(target_slug).$1.sessions"
    load_aside "$1.blocked" "$(calc "int($rate * (1 - $SHARE))")" "$(calc "$LOAD_WARMUP_S + $WINDOW")" --sales $BLOCKED \
        --first-user "$LOAD_UNITS" --connections $BLOCKED_CONNECTIONS,1,1 --timeout-ms 5000
    blocked=$LOAD_PID
    load_open "$1" "$(calc "int($rate * $SHARE)")" "$WINDOW" --sales $OTHER --connections $OTHER_CONNECTIONS,1,1 --timeout-ms 2000
    fault_disarm
    load_aside_end "$blocked"
    sold=$(load_decided "$WINDOW" $OTHER)
    DOUBT=${DOUBT:-$(verdict_doubt "$LOAD_SUMMARY" "$FEWEST" "$(target_setting HTTP_THREADS)")}
}

for target in "${TARGETS[@]}"; do
    scenario_target "$target"
    [[ -n $MEASURABLE ]] || continue
    if [[ -z ${RATE:-$CAPACITY} ]]; then # the first target's
        load_capacity 1 2
        figure "capacity (best of 4, 8, 16 clients, 2 sales)" "$CAPACITY" "orders/s"
    fi
    rate=${RATE:-$(calc "int(0.45 * $CAPACITY)")}
    arm control $UNWANTED
    load_serves
    control=$sold
    figure "control: sale $OTHER, confirmed/s" "$control" "of $(calc "int($rate * $SHARE)") orders/s"
    [[ $(verdict_rule "$(calc "$control * $WINDOW")" ">= $FEWEST") == PRESENT ]] || DOUBT=${DOUBT:-"too few orders of sale $OTHER were confirmed in the control arm"}
    arm blocked $BLOCKED
    DOUBT=${DOUBT:-${FAULT_DOUBT:+"the fault was not armed: $FAULT_DOUBT"}}
    ratio=$(quotient "$sold" "$control")
    figure "sale $BLOCKED blocked: sale $OTHER, confirmed/s" "$sold" "of $(calc "int($rate * $SHARE)") orders/s"
    figure "sale $OTHER, blocked over control" "$ratio"
    verdict "worker starvation" "$(verdict_rule "$ratio" '< 0.2' '>= 0.8')" \
        "One sale's row is held, and the other sale stands still: all who work on orders wait for that one row, and nobody is left for the rest." \
        "One sale's row is held, and the other one sells as before: a blocked sale has only its own share of those who work."
    target_stop
done
scenario_end
