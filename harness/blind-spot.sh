#!/usr/bin/env bash
# blind-spot: five secret faults; what is wrong has to be read from the target's telemetry alone.
#
# A light load on 16 sales (at most 0.3 of capacity), and one fault at a time: another session holds
# one sale's row; the pool is too small; commits, or statements, take 20 ms more; busy loops on all
# processors. SEED draws the order. diagnose.sh then sees two windows, without and with the fault,
# as the target tells of them: /metrics, /debug/locks, /debug/pool and the log, but not the fault.
# RATE: orders/s. DURATION: seconds of a window (4, at least 3; 2 where the target tells nothing).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck source=harness/lib/faults.sh
source "$ROOT/harness/lib/faults.sh"
# shellcheck source=harness/lib/telemetry.sh
source "$ROOT/harness/lib/telemetry.sh"
scenario_begin blind-spot "Five faults in an order drawn by SEED; each is to be named from the target's telemetry alone." 75 150 "$@"

window() { # NAME: a window of load; what the target says of itself meanwhile goes to $facts
    telemetry_watch "$facts" "$1" "$seconds"
    load_open "$1" "$rate" "$seconds" --sales "1-$FAULT_SALES" --timeout-ms 3000 --await 0.05 --await-timeout-ms 2000
    telemetry_end && foreign+=$LOAD_FOREIGN$'\n'
}

for target in "${TARGETS[@]}"; do
    scenario_target "$target" prepare
    [[ -n $MEASURABLE ]] || continue
    target_restart
    [[ -n ${RATE:-$CAPACITY} ]] || load_capacity 1 "$FAULT_SALES" # the first target's
    rate=${RATE:-$(calc "int(0.3 * $CAPACITY)")}
    fault_draw "$SEED" # the same order for every target
    right=0 foreign='' seconds=2
    if [[ -n $TARGET_ADMIN_URL ]]; then seconds=$(calc "${DURATION:-4} > 3 ? ${DURATION:-4} : 3"); fi
    for ((i = 1; i <= ${#FAULTS[@]}; i++)); do
        facts=$RUN/$(target_slug).$i && mkdir "$facts"
        load_stock "$LOAD_UNITS" 1000000 "$FAULT_SALES"
        if [[ -n $TARGET_ADMIN_URL ]]; then # else there is nothing to compare
            LOAD_WARMUP_S=0 load_race connect 128 0.5 --sales "1-$FAULT_SALES" # opens its connections
            window baseline
            load_serves
        fi
        fault_arm "${FAULT_ORDER[i - 1]}" "$facts.sessions"
        window fault
        fault_disarm
        DOUBT=${DOUBT:-${FAULT_DOUBT:+"Fault $i, ${FAULT_ORDER[i - 1]}, was not armed: $FAULT_DOUBT"}}
        telemetry_diagnose "$facts"
        figure "fault $i, ${FAULT_ORDER[i - 1]}: named" "$NAMED"
        [[ $NAMED != "${FAULT_ORDER[i - 1]}" ]] || right=$((right + 1))
    done
    # Who tells nothing may guess right twice; of one who tells, one miss is a doubt, two are none.
    foreign=$(median_known <<<"$foreign") result=$(verdict_rule "$right" "$([[ -n $TARGET_ADMIN_URL ]] && echo '<= 3' || echo '<= 2')" '>= 5')
    figure "cores that others used (median)" "$foreign"
    figure "faults named right" "$right" "of ${#FAULTS[@]}"
    # On a busy machine those who can see may fail as well; who is told nothing is blind on any.
    [[ -z $TARGET_ADMIN_URL || $result == ABSENT ]] || result=$(verdict_quiet ABSENT "$foreign" | sed "s/ABSENT/$result/")
    verdict blindness "$result" \
        "Orders are slow or fail, and the server cannot say where their time goes: whoever is called at night has to guess." \
        "What the server tells of itself is enough to name what is wrong: no guess, no debugger, no luck." \
        "$right of ${#FAULTS[@]} were named: too few to rely on, too many to call it blind, or the machine was too busy."
    target_stop
done
scenario_end
