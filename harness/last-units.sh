#!/usr/bin/env bash
# last-units: the end of a sale, when what is left is less than many want.
#
# Four rounds of four short sales. CLIENTS (32) clients order, closed loop, until long after a sale is
# over; then orders of one take what is left. The rounds differ in a sale's stock (40 units are hardly
# worth dividing, 600 leave 16 shards nearly empty for long) and in the quantities: 1 to 5, or 2 to 5,
# which leaves single units where nobody who wants two looks. Who is told sold_out is told so too soon
# if his quantity was left when he was told. Stock only falls, so it was, if that much is left at the
# end or was sold to orders that were sent after he had been told. That takes the clients' journals
# alone: the target's clock is not asked. Then come the audit, and PostgreSQL's count of deadlocks: who
# locks several rows of a sale may wait in a ring.
# Each round has a seed of its own, SEED (1) to SEED + 3. DURATION: seconds of a round (1).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
scenario_begin last-units "${CLIENTS:-32} clients want 1 to 5 units each of what is left; is all of it sold?" 20 40 "$@"

ROUNDS=('40 1-5' '40 2-5' '600 1-5' '600 2-5') SALES=4
FEWEST=20 # told sold_out, of a round

round() { # SEED UNITS QUANTITIES: LEFT, TOLD and SOON grow by what this round leaves and says
    local SEED=$1 LOAD_WARMUP_S=0 many told soon left sale judged=()
    load_stock "$2" "$2" "$SALES"
    load_race "seed$1" "${CLIENTS:-32}" "${DURATION:-1}" --sales "1-$SALES" --quantity "$3"
    load_serves
    many=$LOAD_JOURNAL
    load_race "seed$1.ones" "$SALES" 0.3 --sales "1-$SALES" --first-user "$LOAD_UNITS"
    for ((sale = 2; sale <= SALES; sale++)); do judged+=(--sale "$sale"); done
    load_audit --journal "$many" "${judged[@]}"
    left=$(target_sql "SELECT sale_id, stock_left FROM audit_sales ORDER BY sale_id")
    IFS='|' read -r told soon < <(journal_too_soon "$many" "$LOAD_JOURNAL" <<<"$left")
    ((AUDIT_STATUS == 0 || WRONG == 1)) || WRONG=$AUDIT_STATUS SAID=$(awk '$1 == "FAIL" || $1 == "UNKNOWN" { printf "%s%s", sep, $2; sep = ", " }' "$AUDIT")
    ((told >= FEWEST)) || DOUBT=${DOUBT:-"Only $told orders of a round were told sold_out, at least $FEWEST are needed: its end was not reached"}
    TOLD=$((TOLD + told)) SOON=$((SOON + soon)) LEFT=$((LEFT + $(awk -F '|' '{ n += $2 } END { print n }' <<<"$left")))
}

for target in "${TARGETS[@]}"; do
    scenario_target "$target"
    [[ -n $MEASURABLE ]] || continue
    TOLD=0 SOON=0 LEFT=0 WRONG=0 SAID='' seed=$SEED
    for line in "${ROUNDS[@]}"; do
        read -r units quantities <<<"$line"
        round "$((seed++))" "$units" "$quantities"
    done
    target_stop # a session that ends has told of its deadlocks
    deadlocks=$(target_sql "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    figure "told sold_out" "$TOLD" "orders"
    figure "of these, while as much was left" "$SOON" "orders"
    figure "left over in the end" "$LEFT" "units"
    figure "deadlocks" "$deadlocks"
    figure "audits" "${SAID:-PASS}"
    present="$SOON orders were told sold_out while as many units were left as they asked for, and $LEFT units are left over: somebody looked into one part of the stock and spoke for all of it."
    ((SOON + LEFT > 0)) || present="The units are all sold, but the audit says ${SAID:-PASS}, and $deadlocks orders waited in a ring."
    result=$(verdict_audit "$WRONG")
    if ((SOON + deadlocks > 0)); then result=PRESENT; elif ((LEFT > 0 && WRONG != 1)); then result=INCONCLUSIVE; fi
    verdict "stranded stock" "$result" "$present" \
        "Sold to the last unit, and nobody was told sold_out while enough for him was left: who says no has looked at all there is." \
        "The audit says ${SAID:-PASS}, $LEFT units are left over and nobody was refused them: the sales were not over."
done
scenario_end
