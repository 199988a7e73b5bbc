#!/usr/bin/env bash
# overload: more orders than the target can bear, on one sale.
#
# First its capacity: the best closed-loop confirmed/s over 4, 8 and 16 clients of the first target.
# 1x is 0.8 of that; then 4x. What counts is goodput: orders confirmed within 1 s of the moment in
# which the buyer clicked. Beside them 50 people a second only look (GET /sales/1). After 4x the load
# falls to half of 1x: how long until 95 % of all orders that follow are in time again?
# RATE: orders/s of 1x, instead of the measurement. DURATION: seconds of a window (3).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
scenario_begin overload "Goodput at 1x (0.8 of capacity) and at 4x, reads and lock waiters beside it; then 0.5x." 20 40 "$@"

SECONDS_EACH=${DURATION:-3} AFTER_S=3
fall=$(calc "$LOAD_WARMUP_S + $SECONDS_EACH") # seconds from the beginning of 4x to its end

# window LABEL FACTOR: one window of orders, and of 50 reads a second.
window() {
    load_stock "$LOAD_UNITS"
    [[ $1 != 4x ]] || load_later after "$fall" "$(calc "$RATE_1X / 2")" "$AFTER_S" --timeout-ms 1000
    load_open "$1" "$(calc "int($RATE_1X * $2)")" "$SECONDS_EACH" --read-rate 50 --timeout-ms 2000 \
        --journal "$RUN/$(target_slug).$1.journal"
    load_trust "$(calc "int($RATE_1X * $SECONDS_EACH / 2)")"
}

for target in "${TARGETS[@]}"; do
    scenario_target "$target"
    [[ -n $MEASURABLE ]] || continue
    load_1x
    window 1x 1
    one=$(load_goodput) p99_one=$(load_get .orders.accept_ms.p99) samples=$RUN/$(target_slug).waiters
    load_watch_locks "$samples"
    window 4x 4
    kill "$WATCH_PID" 2>/dev/null || :
    load_later_end
    four=$(load_goodput) ratio=$(calc "$one > 0 ? $four / $one : \"none\"")
    waiters=$(column 1 "$samples" | p95) pool=$(target_setting DB_POOL "$(column 2 "$samples" | sort -n | tail -n 1)")
    reads=$(load_get '.reads | if .count > 0 then .ok_within_100ms / .count * 1000 | round / 10 else empty end')
    figure "1x: goodput" "$(calc "$one / $SECONDS_EACH")" "of $RATE_1X orders/s"
    figure "4x: goodput" "$(calc "$four / $SECONDS_EACH")" "of $(calc "4 * $RATE_1X") orders/s"
    figure "goodput at 4x over goodput at 1x" "$ratio"
    figure "p99 of orders answered within 2 s, 4x over 1x" "$(load_get "(.orders.accept_ms.p99 // 0) / ${p99_one:-1}")"
    figure "4x: lock waiters, p95" "$waiters" "of $pool connections"
    figure "4x: reads answered within 100 ms" "$reads" "%"
    figure "orders in time again after the load fell" "$(journal_recovery "$fall" <"$LOAD_ORDERS")" "s, of the $AFTER_S s after it"
    result=$(verdict_calm "$(verdict_rule "$ratio" '<= 0.5' '>= 0.8')" "$LOAD_FOREIGN")
    # A poor 1x flatters the ratio: it cannot make PRESENT wrong, but ABSENT.
    least=$([[ $result == PRESENT ]] && echo 0.05 || echo 0.5)
    [[ $(verdict_rule "$one" ">= $(calc "$least * $RATE_1X * $SECONDS_EACH")") == PRESENT ]] || result=INCONCLUSIVE
    verdict "request queue build-up" "$result" \
        "Four times the load, and far fewer orders in time: all are let in, all wait for each other, and most are done when their buyers have given up." \
        "Four times the load, and as many orders in time as before: what is too much is turned away early." \
        "Of 1x, $one orders were in time, at 4x $four: too few, or too close to each other, or too much else went on (others used ${LOAD_FOREIGN:-?} cores), to tell."
    held=$(verdict_rule "$waiters" ">= $(calc "${pool:-9999} / 2")" "<= $(target_setting DB_WORKERS 0)")
    verdict "database meltdown" "$(verdict_agree "$held" "$(verdict_rule "$reads" '< 50' '>= 95')")" \
        "The connections stand in line for one row's lock, and who only wants to look at the sale finds none free." \
        "Hardly a connection waits for the lock, and looking at the sale is as quick as ever."
    target_stop
done
scenario_end
