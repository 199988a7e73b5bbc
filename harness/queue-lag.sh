#!/usr/bin/env bash
# queue-lag: accepted, and not yet decided: for how long, under an overload that does not end?
#
# Twice 1x (1x is 0.8 of capacity), until the line is full and for long after. Who is accepted then
# waits for all that were accepted before. If the line has an end, so has the wait: its places over
# the orders decided per second, whatever the load. That rate is taken for each order while it waits:
# have no more been decided meanwhile than there are places? And does the target say how long it is?
# RATE: orders/s of 1x, instead of the measurement. DURATION: seconds of the window (4).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck source=harness/lib/telemetry.sh
source "$ROOT/harness/lib/telemetry.sh"
scenario_begin queue-lag "Twice 1x: how old accepted orders become in line, and what the target says of it." 17 34 "$@"

WINDOW=${DURATION:-4}
FILL_S=2   # of overload before the window: the line is full by then
FEWEST=100 # accepted and decided
SAMPLES=5  # of the target's own word

# shellcheck disable=SC2034 # LOAD_WARMUP_S: for load.sh
window() { # the load, with what the target says of itself; then all that is in line is decided
    local LOAD_WARMUP_S=$FILL_S
    telemetry_gauges "$gauges" "$WINDOW"
    load_open 2x "$(calc "2 * $RATE_1X")" "$WINDOW" --timeout-ms 2000 --journal "$RUN/$(target_slug).2x.journal"
    telemetry_end
    load_trust "$(calc "int($RATE_1X * $WINDOW)")"
    load_idle 20
    load_lags >"$lags"
}

for target in "${TARGETS[@]}"; do
    scenario_target "$target"
    [[ -n $MEASURABLE ]] || continue
    load_1x
    load_stock "$LOAD_UNITS"
    lags=$RUN/$(target_slug).lags gauges=$RUN/$(target_slug).prom
    window
    telemetry_values flashdeal_order_queue_age_seconds "$gauges" >"$gauges.age"
    places=$(telemetry_values flashdeal_order_queue_max "$gauges" | tail -n 1) places=${places:-$(target_setting QUEUE_MAX)}
    bound=$(quotient "$places" "$LOAD_CONFIRMED_S") visible=PRESENT lag=$(column 1 "$lags" | median) said=$(median <"$gauges.age")
    ((SAMPLES <= $(wc -l <"$gauges.age"))) || said=none
    ((FEWEST <= $(wc -l <"$lags"))) || lag=none places=''
    figure "accepted in the window, and decided" "$(wc -l <"$lags")" "of $(load_get .orders.count) orders"
    figure "bound: ${places:-?} places, $LOAD_CONFIRMED_S confirmed/s" "$bound" "s"
    figure "from the reply to the decision: median" "$lag" "s"
    figure "from the reply to the decision: p95" "$(column 1 "$lags" | p95)" "s"
    figure "age of the first in line, as it says: median" "$said" "s"
    figure "decided while an order waits: p95" "$(column 2 "$lags" | p95)" "of ${places:-?} places"
    ratio=$(quotient "${said/none/0}" "$lag") # who has no telemetry is judged by the database alone
    [[ -z $TARGET_ADMIN_URL ]] || visible=$(verdict_and "$(verdict_rule "$ratio" '>= 0.5' '< 0.3')" "$(verdict_rule "$ratio" '<= 2' '> 3')")
    verdict "queue lag" "$(verdict_and "$(verdict_rule "$(quotient "$(column 2 "$lags" | median)" "$places")" '>= 0.5')" \
        "$(verdict_rule "$(quotient "$(column 2 "$lags" | p95)" "$places")" '<= 1.25')" "$visible")" \
        "Accepted is not decided: an order waits its turn, and the target says how long. It is a wait with an end, since the line has one: however long the overload goes on, nobody waits much longer than a full line takes." \
        "Accepted orders do not wait as a line with an end makes them wait: there is no lag, or it grows beyond the line's bound, or the target does not say how long it is."
    target_stop
done
scenario_end
