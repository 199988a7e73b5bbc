#!/usr/bin/env bash
# flash-sale: a real one. The doors open on 1000 units, the crowd comes at once and thins out.
#
# Every buyer clicks once; what each was told goes to a journal, and when all is sold the audit holds
# the journal against the database. RATE: orders/s at the peak (1200). DURATION: seconds (6).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
scenario_begin flash-sale "1000 units, a crowd, and the audit afterwards." 12 24 "$@"

STOCK=1000
PEAK=${RATE:-1200}
LAST_S=${DURATION:-6}

for target in "${TARGETS[@]}"; do
    scenario_target "$target"
    [[ -n $MEASURABLE ]] || continue
    load_stock "$STOCK"
    load_crowd crowd "$PEAK:50:1.5" "$LAST_S"
    load_serves
    confirmed=$RUN/$(target_slug).confirmed
    LOAD_WARMUP_S=0 load_confirmed >"$confirmed"
    load_audit
    rejected=$(target_sql "SELECT count(*) FROM audit_orders WHERE status = 'rejected' AND reason = 'sold_out'")
    figure "buyers" "$(load_get .orders.count)" ""
    figure "confirmed" "$(wc -l <"$confirmed")" "orders"
    figure "told that it is sold out" "$(calc "$(load_get '.orders.problems.sold_out // 0') + $rejected")" "orders"
    figure "p50 of a confirmed order" "$(cut -f 2 "$confirmed" | median)" "ms"
    figure "p99 of a confirmed order" "$(cut -f 2 "$confirmed" | percentile 99)" "ms"
    figure "units left in the database" "$(target_sql 'SELECT stock_left FROM audit_sales WHERE sale_id = 1')" "of $STOCK"
    progress_end
    # Of the checks their names, and of one that fails all that it says.
    awk '$1 == "PASS" || $1 == "UNKNOWN" { printf "  %-8s %s\n", $1, $2; next } fails || $1 == "FAIL" || $1 == "audit:" { print "  " $0; fails = 1 }' \
        "$AUDIT"
    scenario_worse "$AUDIT_STATUS"
    target_stop
done
TEXTS=("The audit passes." "The audit fails." "The audit cannot say.")
scenario_finish "$WORST" "${TEXTS[WORST]}"
