#!/usr/bin/env bash
# million: a million units, a million buyers, one row, and the audit of every single order.
#
# CLIENTS (64) connections order, one unit for each buyer, in parts of 10 s with a look between them at
# what is left, to the end of the part in which all is sold. A buyer who finds the line full tries again;
# a hundredth of them, drawn by the seed, wait for what becomes of their order. Then the audit holds what
# each buyer was told against what the database says: exact, or it fails.
# UNITS: 1000000. DURATION: seconds at most (90).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
scenario_begin million "${UNITS:-1000000} units, one to a buyer, sold to the last and audited." 90 180 "$@"

STOCK=${UNITS:-1000000}
MOST_S=${DURATION:-90}
ASK=0.01   # of the buyers
STEP_S=10  # of ordering, then a look at what is left

left() { target_sql 'SELECT stock_left FROM audit_sales WHERE sale_id = 1'; }

for target in "${TARGETS[@]}"; do
    scenario_target "$target"
    [[ -n $MEASURABLE ]] || continue
    load_stock "$STOCK" 1
    began=$SECONDS journals=() n=0
    while (($(left) > 0 && SECONDS - began < MOST_S)); do
        n=$((n + 1))
        LOAD_WARMUP_S=0 load_race "part-$n" "${CLIENTS:-64}" $STEP_S --await $ASK --retry backoff --first-user $((1 + n * STOCK))
        load_idle 20
        journals+=(--journal "$LOAD_JOURNAL")
    done
    seconds=$((SECONDS - began))
    load_audit "${journals[@]:0:${#journals[@]} - 2}" # and the last, which it knows
    rejected=$(target_sql "SELECT count(*) FROM audit_orders WHERE reason = 'sold_out'")
    figure "buyers with a unit" "$(target_sql "SELECT count(DISTINCT user_id) FROM audit_orders WHERE status = 'confirmed'")" "of $STOCK units"
    figure "told that it is sold out" "$rejected" "orders"
    figure "units left in the database" "$(left)"
    figure "from the first unit sold until the last" "$(target_sql "SELECT extract(epoch FROM max(decided_at) - min(decided_at)) FROM audit_orders WHERE status = 'confirmed'")" "s"
    progress_end
    awk '$1 == "PASS" || $1 == "UNKNOWN" { printf "  %-8s %s\n", $1, $2; next } fails || $1 == "FAIL" || $1 == "audit:" { print "  " $0; fails = 1 }' "$AUDIT"
    [[ $(left) == 0 ]] || DOUBT=${DOUBT:-"it is not sold out after $seconds s"}
    [[ -z $DOUBT ]] || scenario_worse 2
    scenario_worse "$AUDIT_STATUS"
    target_stop
done
TEXTS=("The audit passes." "The audit fails." "Inconclusive: ${DOUBT:-the audit cannot say}.")
scenario_finish "$WORST" "${TEXTS[WORST]}"
