#!/usr/bin/env bash
# lock-contention: more and more clients want the same row.
#
# A closed-loop sweep, from 1 client to 128: what the database confirms per second, and the p99. Then
# the two ends of it against each other, five times in turn: the best of 4, 8 and 16 clients, and
# 128. And how many WAL flushes an order costs: with one, group commit cannot help.
# CLIENTS: the sweep ("1 2 4 8 16 32 64 128"; 4, 8, 16 and 128 are needed). DURATION: of a window (1.5).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
scenario_begin lock-contention "A sweep over the number of clients, then 5 pairs: few clients, 128 clients." 90 180 "$@"

read -ra SWEEP <<<"${CLIENTS:-1 2 4 8 16 32 64 128}"
WINDOW=${DURATION:-1.5} MOST=128 PAIRS=5
FEWEST_ORDERS=50 # confirmed in a window, else it proves nothing

measure() { # LABEL CLIENTS: one window, one line of the table
    load_stock "$LOAD_UNITS"
    load_closed "$1" "$2" "$WINDOW"
    load_serves
    p99=$(load_get .orders.complete_ms.p99)
    printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$LOAD_CONFIRMED_S" "${p99:-0}" "$LOAD_FOREIGN" >>"$table"
}

for target in "${TARGETS[@]}"; do
    scenario_target "$target"
    [[ -n $MEASURABLE ]] || continue
    table=$RUN/$(target_slug).sweep.tsv
    for clients in "${SWEEP[@]}"; do measure "sweep-$clients" "$clients"; done
    progress_end
    cut -f 2-4 "$table" | draw_curve
    best=$(awk -F '\t' '($2 == 4 || $2 == 8 || $2 == 16) && $3 > top { top = $3; n = $2 } END { print n ? n : 8 }' "$table")
    cp "$table" "$table.pairs"
    table=$table.pairs
    for ((i = 1; i <= PAIRS; i++)); do
        measure best "$best"
        load_trust $FEWEST_ORDERS $FEWEST_ORDERS
        [[ $best == 8 ]] || measure eight 8
        measure most "$MOST"
        load_trust $FEWEST_ORDERS $FEWEST_ORDERS
    done
    eight=$([[ $best == 8 ]] && echo best || echo eight)
    ratio=$(pair_ratios 3 best most <"$table" | median)
    load_flushes "$MOST" 2
    figure "confirmed/s, $MOST clients over $best (median of 5)" "$ratio" ""
    figure "p99, $MOST clients over 8 (median of 5)" "$(pair_ratios 4 "$eight" most <"$table" | median)" ""
    foreign=$(cut -f 5 "$table" | median_known)
    figure "cores that others used (median)" "$foreign"
    figure "WAL flushes per confirmed order, $MOST clients" "$LOAD_FLUSHES"
    figure "of the time spent in flushes, $MOST clients" "$(calc "100 * $LOAD_FLUSH_SHARE")" "%"
    verdict "row-lock contention" "$(verdict_rule "$LOAD_FLUSHES" '>= 0.8' '<= 0.15')" \
        "Each order waits for the disk alone, with the row locked: group commit cannot help, and the next order starts after it." \
        "Many orders share one flush of the log to disk: the row's lock no longer makes them go one by one."
    result=$(verdict_disk "$(verdict_rule "$ratio" '<= 0.8')" "$LOAD_FLUSHES" "$LOAD_FLUSH_SHARE")
    verdict collapse "$(verdict_quiet "$result" "$foreign")" \
        "$MOST clients get fewer orders through than $best: all queue for one row, and handing its lock on costs more the more there are." \
        "$MOST clients get about as much through as $best, or more: the queue does not slow down what it waits for." \
        "Others used $foreign cores, which costs few clients most, and of the time $(calc "int(100 * $LOAD_FLUSH_SHARE)") % went into flushes, which few need as well: run it on a quieter machine, or on a faster disk."
    target_stop
done
scenario_end
