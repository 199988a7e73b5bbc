#!/usr/bin/env bash
# crash: kill -9 while the line is full, and then: where are the orders that were accepted?
#
# RATE (300) orders/s, each of a buyer of his own. Half of the buyers are blind: they click once and
# believe what they are told. The others retry: after a loss or a refusal they click again, later and
# later; an accepted order they ask for until it is final, and who is told that there is none of that
# number orders anew; all of it under one key for each purchase. Another session locks the sale's row,
# the line fills up (without one: the pool), the server is killed and started again on the same
# database. DURATION: seconds that the buyers go on after that, at least (2).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck source=harness/lib/row.sh
source "$ROOT/harness/lib/row.sh"
# shellcheck source=harness/lib/orders.sh
source "$ROOT/harness/lib/orders.sh"
# shellcheck source=harness/lib/crash.sh
source "$ROOT/harness/lib/crash.sh"
scenario_begin crash "kill -9 with the line full, a new start, and every accepted order is looked for." 17 34 "$@"

for target in "${TARGETS[@]}"; do
    scenario_target "$target" prepare
    [[ -n $MEASURABLE ]] || continue
    crash_load "${RATE:-300}" "${DURATION:-2}"
    crash_kill
    crash_settle
    IFS='|' read -r accepted lost < <(orders_lost "$CRASH_BLIND")
    IFS='|' read -r again_accepted again_lost < <(orders_lost "$LOAD_JOURNAL")
    IFS='|' read -r users twice < <(orders_doubled)
    open=$(load_get '.final | .unfinished + .lost') gone=$(load_get .orders.gone)
    figure "killed after the row was locked" "$CRASH_FULL_S" "s, $CRASH_FULL"
    figure "blind buyers: accepted orders that are lost" "$lost" "of $accepted"
    figure "who retry: accepted orders that are lost" "$again_lost" "of $again_accepted"
    figure "who retry: told of no such order, ordered again" "$gone" "times"
    figure "who retry: purchases still open" "$open" "of $(load_get .orders.count)"
    figure "buyers with more than one confirmed order" "$twice" "of $users"
    figure "audit, but for the lost orders" "$AUDIT_SAID"
    ((accepted > 0 && again_accepted > 0)) || DOUBT=${DOUBT:-"No order was accepted, so none could be lost"}
    verdict "accepted orders lost on kill -9" "$(verdict_rule "$lost" '> 0')" \
        "$lost of $accepted accepted orders are nowhere: the server had them in memory only, and said yes. Who does not ask again never learns of it." \
        "Every accepted order is there: the server says yes when the database has it."
    result=$(verdict_rule "$((again_lost + twice))" '> 0')
    [[ $result != ABSENT || $AUDIT_STATUS != 1 ]] || result=PRESENT
    [[ $result != ABSENT || $open == 0 ]] || result=INCONCLUSIVE
    absent="All $again_accepted are there, and nobody has two."
    ((gone == 0)) || absent="Who asked for his order and was told of none sent it again: same key, same number, one order. $absent"
    verdict "accepted orders lost though buyers retry" "$result" \
        "Who asked again got an order of another number, if any: of $again_accepted that were promised $again_lost are nowhere, $twice buyers have two, the audit says $AUDIT_SAID." \
        "$absent" \
        "$open purchases were still open at the end: too short to say what becomes of them."
    target_stop
done
scenario_end
