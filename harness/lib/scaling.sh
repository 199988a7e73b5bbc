# shellcheck shell=bash
# scaling: what scaling.sh measures once for a target, for it needs no pairs. Sourced, after scenario.sh.
#
#   scaling_turned_away SECONDS     prints how many orders a second the last window's target rejected as
#                                   sold out, by reply or by row
#   scaling_postgres_s              prints the processor time that our PostgreSQL has taken so far, in s;
#                                   nothing if it is not ours
#   scaling_row_us SECONDS          prints how much of it an order's row took since it had taken SECONDS,
#                                   in us; nothing if that is not known, or there are no rows
#   scaling_doubt                   keeps a reason not to trust the last window, of which nothing need
#                                   have been confirmed
#   scaling_once CLIENTS SECONDS    figures: confirmed/s and how long a confirmation takes when all clients
#                                   ask; WAL flushes per order; orders a second for a sale that there is not;
#                                   a small sale, audited

SCALING_UNITS=2000   # of the audited sale
SCALING_NO_SALE=1000 # the id of none
SCALING_FEWEST=100   # replies in a window, else it proves nothing

scaling_turned_away() {
    local end
    end=$(load_get .window_ended_at)
    calc "($(load_get '.orders.problems.sold_out // 0') / $(load_get .duration_s)) + $(target_sql "SELECT count(*) FROM audit_orders
        WHERE reason = 'sold_out' AND decided_at BETWEEN timestamptz '$end' - interval '$1 s' AND '$end'") / $1"
}

# The postmaster has what its children took that have ended.
scaling_postgres_s() {
    local child
    [[ -n $PG_POSTMASTER ]] || return 0
    {
        cat "/proc/$PG_POSTMASTER/stat"
        for child in $(<"/proc/$PG_POSTMASTER/task/$PG_POSTMASTER/children"); do
            cat "/proc/$child/stat" 2>/dev/null || : # it has ended
        done
    } | awk -v tick="$(getconf CLK_TCK)" '{ sub(/^.*\) /, ""); s += $12 + $13 + (NR == 1 ? $14 + $15 : 0) } END { print s / tick }'
}

scaling_row_us() {
    local rows now
    rows=$(target_sql "SELECT count(*) FROM audit_orders") now=$(scaling_postgres_s)
    [[ -z $1 || -z $now || $rows == 0 ]] || calc "1000000 * ($now - $1) / $rows"
}

scaling_doubt() { DOUBT=${DOUBT:-$(verdict_doubt "$LOAD_SUMMARY" "$SCALING_FEWEST" "$(target_setting HTTP_THREADS)")}; }

# scaling_calm WHEN: keeps a reason not to trust the last window, in which others used the processors.
scaling_calm() {
    [[ $(verdict_calm ABSENT "$LOAD_FOREIGN") == ABSENT ]] || DOUBT=${DOUBT:-"others used $LOAD_FOREIGN cores while $1"}
}

scaling_once() {
    progress_end
    printf '\n%s\n' "${BOLD}$(target_name)${PLAIN}"
    load_stock "$LOAD_UNITS"
    load_closed all-ask "$1" "$2"
    load_trust $SCALING_FEWEST $SCALING_FEWEST
    scaling_calm "all asked"
    figure "all ask: confirmed/s" "$LOAD_CONFIRMED_S" "orders/s"
    figure "all ask: p50 of a confirmation" "$(load_get .orders.complete_ms.p50)" "ms"
    figure "all ask: p99 of a confirmation" "$(load_get .orders.complete_ms.p99)" "ms"
    load_flushes "$1" "$2"
    figure "WAL flushes per confirmed order" "$LOAD_FLUSHES"
    load_closed no-sale "$1" "$2" --sales $SCALING_NO_SALE
    scaling_calm "there was no such sale"
    figure "no such sale: answered with 404" "$(calc "$(load_get '.orders.problems.sale_not_found // 0') / $(load_get .duration_s)")" "orders/s"
    load_stock $SCALING_UNITS
    load_race small "$1" "$2" --quantity 1-3
    load_audit
    figure "a sale of $SCALING_UNITS units, audited" "$AUDIT_SAID"
    scenario_worse "$AUDIT_STATUS"
}
