#!/usr/bin/env bash
# queue-overflow: more orders than the line has room for.
#
# Four times 1x (1x is 0.8 of capacity), and beside it 400 GET /health a second, which no line delays:
# what they take is what the machine adds to any reply at that moment. A server with a bounded line
# refuses what finds it full (503, code queue_full): as quickly as it says that it is healthy, sooner
# than an order that waited is confirmed, and with a Retry-After that differs from reply to reply:
# where hardly one says anything else than the others, all come back at once. A target whose line no
# load of this machine's fills (4x is over 12,000 orders/s) gets 2,000 a second, and its sale's row is
# held, so that nobody works it off.
# RATE: orders/s of 1x, instead of the measurement. DURATION: seconds of the window (3).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck source=harness/lib/row.sh
source "$ROOT/harness/lib/row.sh"
scenario_begin queue-overflow "Four times 1x: who is refused, how quickly, and when he is told to come back." 15 28 "$@"

WINDOW=${DURATION:-3}
OFFER_MAX=12000 OFFER_HELD=2000 # orders/s
FEWEST=100 # refusals, for a p99 of them
SAME=70 # % of the refusals, at most, ask for the same time

# The ratio of two latencies, where enough were refused to speak of a p99.
over() { if ((count >= FEWEST)); then quotient "$1" "$2"; else echo none; fi; }

for target in "${TARGETS[@]}"; do
    scenario_target "$target"
    [[ -n $MEASURABLE ]] || continue
    load_1x
    load_stock "$LOAD_UNITS"
    rate=$(calc "4 * $RATE_1X")
    if [[ $(verdict_rule "$rate" "> $OFFER_MAX") == PRESENT ]]; then rate=$OFFER_HELD && row_hold 1; fi
    load_open 4x "$rate" "$WINDOW" --probe-rate 400 --timeout-ms 2000 --journal "$RUN/$(target_slug).4x.journal"
    if [[ -n $ROW_PID ]]; then row_release && load_idle 10; fi
    load_trust "$(calc "int($rate * $WINDOW / 4)")"
    refusals=$RUN/$(target_slug).refusals
    journal_refusals queue_full "$LOAD_WARMUP_S" "$(calc "$LOAD_WARMUP_S + $WINDOW")" <"$LOAD_JOURNAL" >"$refusals"
    count=$(wc -l <"$refusals") p99=$(percentile 99 <"$refusals")
    health=$(load_get .probes.latency_ms.p99) served=$(load_confirmed | cut -f 2 | median)
    asks='.orders.problems_retry_after_s.queue_full // {}'
    asked=$(load_get "$asks | to_entries | map(\"\(.value) x \(.key) s\") | join(\", \")")
    bare=$(load_get "($asks).none // 0") same=$(load_get "$asks | add as \$all | if \$all then 100 * ([.[]] | max) / \$all else 100 end")
    figure "refused because the line was full" "$count" "of $(load_get .orders.count) orders"
    figure "p99 of these refusals" "$p99" "ms"
    figure "p99 of GET /health" "$health" "ms"
    figure "p50 of the confirmed orders, to the confirmation" "$served" "ms"
    figure "Retry-After of these refusals" "${asked:-none}"
    figure "of these refusals, most with the same one" "$same" "%"
    absent="Refused, but not as it should be: as slowly as if it had waited, or without a Retry-After that spreads those who come back."
    ((count > 0)) || absent="Nobody is refused because the line is full: all are let in, and the line grows as long as they bear it."
    verdict "queue overflow" "$(verdict_and "$(verdict_rule "$count" '> 0')" \
        "$(verdict_rule "$(over "$p99" "$health")" '<= 3' '> 6')" "$(verdict_rule "$(over "$p99" "$served")" '< 1')" \
        "$(verdict_rule "$bare" '<= 0')" "$(verdict_rule "$same" "<= $SAME")")" \
        "The line is full, and who finds it so is told at once, and when to come back: a quick no costs the server little and leaves the buyer the choice." \
        "$absent"
    target_stop
done
scenario_end
