#!/usr/bin/env bash
# slow-db: every COMMIT takes 20 ms more, and who waits for it?
#
# A trigger sleeps within the COMMIT, as a slow disk would. The load is half of what the first target
# then bears, on 16 sales, so that hardly an order waits for another one. The same load again without
# the trigger: how much of the 20 ms is in the reply? Where the order is decided after the reply
# (from phase 4 on), a seeded share is polled to its end.
# RATE: orders/s, instead of half of the capacity. DURATION: seconds of a window (3).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck source=harness/lib/faults.sh
source "$ROOT/harness/lib/faults.sh"
scenario_begin slow-db "How much of a slow COMMIT is in the reply to an order." 20 40 "$@"

WINDOW=${DURATION:-3}
FEWEST=50 # accepted, for a p50 of them
INJECTED_MS=$(calc "1000 * $FAULT_SLEEP_S")
slow="$INJECTED_MS ms more a COMMIT"

window() { # LABEL TEXT: one window, with its fault; p50 of the replies, and of the final states, in ms
    load_stock "$LOAD_UNITS" 1000000 "$FAULT_SALES"
    [[ $1 != slow ]] || fault_arm commit "$RUN/$(target_slug).sessions"
    load_open "$1" "$rate" "$WINDOW" --sales "1-$FAULT_SALES" --timeout-ms 3000 --await 0.2
    load_trust "$FEWEST"
    accepted=$(load_get .orders.accept_ms.count)
    ((${accepted:-0} >= FEWEST)) || DOUBT=${DOUBT:-"too few orders were accepted: ${accepted:-0}, at least $FEWEST are needed"}
    p50=$(load_get ".orders.accept_ms.p50")
    figure "$2: p50 of the replies" "${p50:-none}" "ms"
    figure "$2: p50, to the final state" "$(load_get .orders.complete_ms.p50)" "ms"
}

for target in "${TARGETS[@]}"; do
    scenario_target "$target"
    [[ -n $MEASURABLE ]] || continue
    if [[ -z ${RATE:-$CAPACITY} ]]; then # the first target's
        fault_arm commit "$RUN/$(target_slug).capacity"
        load_capacity 1 "$FAULT_SALES"
        fault_disarm
        figure "$slow: capacity" "$CAPACITY" "orders/s"
    fi
    rate=${RATE:-$(calc "int($CAPACITY / 2)")}
    window slow "$slow"
    slow_p50=$p50
    fault_disarm
    DOUBT=${DOUBT:-${FAULT_DOUBT:+"the fault was not armed: $FAULT_DOUBT"}}
    window plain "without"
    ratio=$(quotient "${slow_p50:+${p50:+$(calc "$slow_p50 - ${p50:-0}")}}" "$INJECTED_MS")
    figure "of $INJECTED_MS ms, in the reply" "$ratio"
    verdict "accept latency" "$(verdict_rule "$ratio" '>= 0.8' '<= 0.1')" \
        "The reply takes as much longer as the database does: it waits for the COMMIT, so a slow disk is everybody's wait." \
        "The reply takes as long as before, though each COMMIT takes 20 ms more: who accepts an order waits for no database. The wait has not gone: it stands between the reply and the final state."
    target_stop
done
scenario_end
