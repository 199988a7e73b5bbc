#!/usr/bin/env bash
# last-units: the end of a sale, when what is left is less than many want.
#
# Four rounds of four short sales. CLIENTS (32) clients order, closed loop, until long after a sale is
# over; then orders of one take what is left. The rounds differ in a sale's stock (40 units are hardly
# worth dividing, 600 leave 16 shards nearly empty for long) and in the quantities. Sold_out was told
# too soon if that quantity was left when it was told. Stock only falls, so it was, if as much is left
# at the end or was sold to orders sent after that; which takes the clients' journals alone, not the
# target's clock. The audit and PostgreSQL's deadlocks count as well: who locks several rows may wait in
# a ring. Each round has its own seed, SEED (1) to SEED + 3; one that proves the failure is the last.
# DURATION: seconds of a round (1).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
scenario_begin last-units "${CLIENTS:-32} clients want 1 to 5 units each of what is left; is all of it sold?" 20 40 "$@"

ROUNDS=('40 1-5' '40 2-5' '600 1-5' '600 2-5') SALES=4
FEWEST=20 # told sold_out, of a round

round() { # SEED UNITS QUANTITIES: LEFT, TOLD and SOON grow by what this round leaves and says
    local SEED=$1 LOAD_WARMUP_S=0 many told soon left
    load_stock "$2" "$2" "$SALES"
    load_race "seed$1" "${CLIENTS:-32}" "${DURATION:-1}" --sales "1-$SALES" --quantity "$3"
    load_serves
    many=$LOAD_JOURNAL
    load_race "seed$1.ones" "$SALES" 0.3 --sales "1-$SALES" --first-user "$LOAD_UNITS"
    load_audit --journal "$many" --sale 2 --sale 3 --sale 4
    left=$(target_sql "SELECT sale_id, stock_left FROM audit_sales ORDER BY sale_id")
    IFS='|' read -r told soon < <(journal_too_soon "$many" "$LOAD_JOURNAL" <<<"$left")
    ((AUDIT_STATUS == 0 || WRONG == 1)) || WRONG=$AUDIT_STATUS SAID=$(awk '$1 == "FAIL" || $1 == "UNKNOWN" { printf "%s%s", sep, $2; sep = ", " }' "$AUDIT")
    ((told >= FEWEST)) || EARLY="only $told orders of a round were told sold_out, at least $FEWEST are needed"
    TOLD=$((TOLD + told)) SOON=$((SOON + soon)) LEFT=$((LEFT + $(awk -F '|' '{ n += $2 } END { print n }' <<<"$left")))
}
deadlocks() { target_sql "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"; }

for target in "${TARGETS[@]}"; do
    scenario_target "$target"
    [[ -n $MEASURABLE ]] || continue
    TOLD=0 SOON=0 LEFT=0 WRONG=0 SAID='' EARLY='' seed=$SEED
    for line in "${ROUNDS[@]}"; do
        read -r units quantities <<<"$line"
        round "$((seed++))" "$units" "$quantities"
        ((SOON + $(deadlocks) == 0 && WRONG != 1)) || break # it is proved
    done
    target_stop # a session that ends has told of its deadlocks
    deadlocks=$(deadlocks)
    figure "told sold_out" "$TOLD" "orders"
    figure "of these, while as much was left" "$SOON" "orders"
    figure "left over in the end" "$LEFT" "units"
    figure "deadlocks" "$deadlocks"
    present="$SOON orders were told sold_out while as many units were left as they asked for: somebody looked into one part of the stock and spoke for all of it."
    ((SOON > 0)) || present="Audits: ${SAID:-PASS}, $LEFT units left, $deadlocks deadlocks: orders are in each other's way, and nobody gets the units."
    ((SOON + deadlocks > 0 || WRONG != 1)) || present="The audit fails ($SAID): what was sold and what is left do not agree with what buyers were told."
    verdict "stranded stock" "$(verdict_units "$SOON" "$deadlocks" "$WRONG" "$LEFT" "$EARLY")" "$present" \
        "Sold to the last unit, and nobody was told sold_out while enough for him was left: who says no has looked at all there is." \
        "The sales were not over: $LEFT units are left, ${EARLY:-and nobody was refused them} (audits: ${SAID:-PASS})."
done
scenario_end
