#!/usr/bin/env bash
# price: what a phase gives and what it costs, in figures that can be held beside another phase's.
#
# A closed loop over one sale, 3 rounds: confirmed orders a second, the reply's p50 and p99 and the
# final state's, the server's processor time for an order; medians. And what its next owner has to understand: lines
# that the phase added or removed, source files, settings.
# CLIENTS: 16. DURATION: seconds of a window (2).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
scenario_begin price "Orders a second, latency and processor time with ${CLIENTS:-16} clients; lines, files, settings." 12 24 "$@"

WINDOW=${DURATION:-2}
ROUNDS=3
FEWEST_ORDERS=50 # confirmed in a window, else it proves nothing

# Processor seconds of the target's process so far.
cpu() { awk -v tick="$(getconf CLK_TCK)" '{ sub(/^.*\) /, ""); print ($12 + $13) / tick }' "/proc/$TARGET_PID/stat"; }

lines_changed() { harness/diff.sh stat "$1" | awk '$2 == "+" && $4 == "-" { n += $1 + $3 } END { print n }'; }

cd "$ROOT"
for target in "${TARGETS[@]}"; do
    scenario_target "$target"
    [[ -n $MEASURABLE && $target != 0* ]] || continue
    table=$RUN/$(target_slug).rounds
    for ((round = 1; round <= ROUNDS; round++)); do
        load_stock "$LOAD_UNITS"
        before=$([[ -z $TARGET_PID ]] || cpu)
        load_closed "round-$round" "${CLIENTS:-16}" "$WINDOW"
        after=$([[ -z $TARGET_PID ]] || cpu)
        load_trust $FEWEST_ORDERS $FEWEST_ORDERS
        printf '%s|%s|%s|%s|%s|%s\n' "$LOAD_CONFIRMED_S" "$(load_get .orders.accept_ms.p50)" "$(load_get .orders.accept_ms.p99)" \
            "$(load_get .orders.complete_ms.p50)" "$(load_get .orders.complete_ms.p99)" \
            "$([[ -z $before ]] || calc "1000 * ($after - $before) / $(target_sql 'SELECT sum(stock_total - stock_left) FROM audit_sales')")" >>"$table"
    done
    figure "confirmed/s" "$(cut -d '|' -f 1 "$table" | median)" "orders/s"
    figure "p50" "$(cut -d '|' -f 2 "$table" | median)" "ms"
    figure "p99" "$(cut -d '|' -f 3 "$table" | median)" "ms"
    figure "p50, to the final state" "$(cut -d '|' -f 4 "$table" | median_known)" "ms"
    figure "p99, to the final state" "$(cut -d '|' -f 5 "$table" | median_known)" "ms"
    figure "server's processor time for an order" "$(cut -d '|' -f 6 "$table" | median_known)" "ms"
    if [[ $TARGET_KIND == phase ]]; then
        figure "lines added and removed" "$(lines_changed "${TARGET%%,*}")"
        figure "source files" "$(find "$TARGET_DIR/" -name '*.c' | wc -l)"
        figure "settings" "$(grep -m 1 '"event":"config"' "$TARGET_LOG" | jq 'del(.time, .level, .event) | length')"
    fi
    target_stop
done
scenario_finish 0 "Measured."
