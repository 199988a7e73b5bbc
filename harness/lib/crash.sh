# shellcheck shell=bash
# crash: buyers, a line that fills up, kill -9, a new start. Sourced, after load.sh, row.sh, orders.sh.
#
#   crash_load RATE AFTER_S    starts the target and two loads of RATE / 2 orders/s, for as long as
#                              the rest takes: blind buyers (CRASH_BLIND: their journal) and buyers
#                              who retry (LOAD_JOURNAL, load_get)
#   crash_kill                 locks the row, waits until the target is full (CRASH_FULL says of
#                              what; CRASH_FULL_S: after how long), kills it, releases the row, waits
#                              until the dead server's sessions are gone, starts it again. DOUBT: the
#                              fault was never armed
#   crash_settle               waits for the buyers and until nothing more is decided; AUDIT_SAID,
#                              AUDIT_STATUS: of both journals, lost orders left out
#
# Full is what the target says itself: an order more is refused with queue_full. Where no accepted
# order stands in line (there is no QUEUE_MAX, or orders leave the line unserved after
# ORDER_DEADLINE_MS, as in phase 3), it is full when all who serve orders wait for the row.

CRASH_BEFORE_S=0.7  # of undisturbed orders
CRASH_SLACK_S=3     # for the line to fill up, beyond what the rate needs for it
CRASH_GONE_MAX_S=15 # for the sessions to go: longer than any of the servers' own time-outs
CRASH_PROBES=2000000000 # the users of the orders that probe, one each
CRASH_BLIND='' CRASH_FULL='' CRASH_FULL_S='' _CRASH_BLIND_PID='' _CRASH_PID='' _CRASH_FILL_S=''

crash_load() {
    local rate seconds
    target_spawn
    target_ready "$TARGET_READY_S" || die "$(target_name) does not serve: $(target_last_words)"
    load_stock "$LOAD_UNITS"
    rate=$(calc "$1 / 2")
    # Filling up, dying and starting take the time that the line needs and about a second.
    _CRASH_FILL_S=$(calc "$(target_setting QUEUE_MAX 0) / $1 + $CRASH_SLACK_S")
    seconds=$(calc "$CRASH_BEFORE_S + $_CRASH_FILL_S - $CRASH_SLACK_S / 2 + $2")
    progress "$(target_name): $1 orders/s for $seconds s"
    load_aside blind "$rate" "$seconds" --keys --connections 64,1,1
    CRASH_BLIND=$LOAD_JOURNAL _CRASH_BLIND_PID=$LOAD_PID
    load_aside retrying "$rate" "$seconds" --connections 320,1,1 --first-user "$LOAD_UNITS" --keys --retry backoff \
        --retry-max 30 --await all
    _CRASH_PID=$LOAD_PID
    sleep "$CRASH_BEFORE_S"
}

# Probe N: is it full?
# shellcheck disable=SC2034 # CRASH_FULL: for the scripts
_crash_full() {
    local served
    if [[ -n $(target_setting QUEUE_MAX) && -z $(target_setting ORDER_DEADLINE_MS) ]]; then
        CRASH_FULL="the line of $(target_setting QUEUE_MAX) was full"
        [[ $(orders_code $((CRASH_PROBES + $1)) "probe-$$-$1") == "503 queue_full" ]]
    else
        served=$(target_setting DB_WORKERS "$(target_setting DB_POOL 0)")
        CRASH_FULL="all $served who serve orders waited"
        ((served > 0 && $(target_sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND backend_type = 'client backend' AND wait_event_type = 'Lock'") >= served))
    fi
}

_crash_await_gone() {
    local deadline=$((SECONDS + CRASH_GONE_MAX_S))
    until [[ $(target_sessions) == "0|"* ]]; do
        if ((SECONDS >= deadline)); then return 1; fi
        sleep 0.05
    done
}

# shellcheck disable=SC2034 # CRASH_FULL_S, DOUBT: for the scripts
crash_kill() {
    local began n=0 fill_us
    fill_us=$(calc "int(1000000 * $_CRASH_FILL_S)")
    row_hold 1
    began=${EPOCHREALTIME/[.,]/}
    until _crash_full "$((++n))"; do
        if ((${EPOCHREALTIME/[.,]/} - began > fill_us)); then
            DOUBT=${DOUBT:-"The fault was never armed: it was not seen full within $_CRASH_FILL_S s"}
            break
        fi
        sleep 0.02
    done
    CRASH_FULL_S=$(calc "(${EPOCHREALTIME/[.,]/} - $began) / 1e6")
    target_check
    target_kill
    row_release
    _crash_await_gone || DOUBT=${DOUBT:-"Sessions of the dead server were still there after $CRASH_GONE_MAX_S s"}
    target_respawn
    target_ready "$TARGET_READY_S" || die "$(target_name) does not start again: $(target_last_words)"
}

crash_settle() {
    progress "$(target_name): the buyers come to an end"
    load_aside_end "$_CRASH_BLIND_PID"
    load_aside_end "$_CRASH_PID"
    load_serves
    load_idle 10
    load_audit --journal "$CRASH_BLIND" --allow-lost --settle-ms 1000
}
