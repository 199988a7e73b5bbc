#!/usr/bin/env bash
# tail-latency: the reply comes when the order's turn has come.
#
# Twice 1x (1x is 0.8 of capacity), and beside it 200 GET /health a second, which no line delays. How
# much longer does a buyer wait for the reply to his order than for a sign of life? Where the order
# is decided after the reply (from phase 4 on), a seeded share is awaited to its end.
# RATE: orders/s of 1x, instead of the measurement. DURATION: seconds of the window (3).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
scenario_begin tail-latency "Twice 1x: the p99 of accepted orders' replies over that of GET /health." 15 28 "$@"

WINDOW=${DURATION:-3}
FEWEST=100 # accepted, for a p99 of them

for target in "${TARGETS[@]}"; do
    scenario_target "$target"
    [[ -n $MEASURABLE ]] || continue
    load_1x
    load_stock "$LOAD_UNITS"
    load_open 2x "$(calc "2 * $RATE_1X")" "$WINDOW" --probe-rate 200 --timeout-ms 2000 --await 0.05
    load_trust "$(calc "int($RATE_1X * $WINDOW)")"
    accepted=$(load_get .orders.accept_ms.count) health=$(load_get .probes.latency_ms.p99) p99=$(load_get .orders.accept_ms.p99)
    ratio=$(calc "$accepted >= $FEWEST && $health > 0 ? $p99 / $health : \"none\"")
    figure "orders accepted" "$accepted" "of $(load_get .orders.count)"
    figure "p99 of their replies" "$p99" "ms"
    figure "p99 of GET /health" "$health" "ms"
    figure "p99, replies over GET /health" "$ratio"
    figure "p99 from the click to the final state" "$(load_get .orders.complete_ms.p99)" "ms"
    verdict "tail latency" "$(verdict_rule "$ratio" '>= 5' '<= 3')" \
        "The reply waits until it is the order's turn: the longer the line, the longer the wait, though the server itself answers at once." \
        "The reply comes about as quickly as a sign of life: it says that the order is in line, and waits for nothing."
    target_stop
done
scenario_end
