#!/usr/bin/env bash
# pool-exhaustion: every connection of the pool is held, and nothing else is wrong.
#
# GET /debug/sleep holds each of the target's connections for 10 s. Postgres has nothing to do
# meanwhile. Then 20 clients ask for GET /sales/1: how many have no answer at all, not even a
# refusal, after 4 s (twice phase 1's DB_ACQUIRE_MS)? DB_POOL tells the size of a URL's pool.
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
scenario_begin pool-exhaustion "20 clients ask while every connection of the pool is held." 15 30 "$@"

PROBES=20
PATIENCE_S=4 # 2 x 2000 ms
HOLD_MS=10000

for target in "${TARGETS[@]}"; do
    scenario_target "$target"
    [[ -n $MEASURABLE ]] || continue
    pool=$(target_setting DB_POOL "${DB_POOL-}")
    held=$RUN/$(target_slug).held
    load_at_once "${pool:-1}" 15 "/debug/sleep?ms=$HOLD_MS" "$held"
    holder=$LOAD_PID
    progress "holding ${pool:-no} connections"
    for ((i = 0; i < 30; i++)); do
        now=$(target_sessions)
        if ((${now%|*} >= ${pool:-0})); then break; fi
        sleep 0.1
    done
    progress "$PROBES probes, $PATIENCE_S s of patience"
    probes=$RUN/$(target_slug).probes
    load_at_once "$PROBES" "$PATIENCE_S" /sales/1 "$probes"
    sleep 1
    now=$(target_sessions)
    wait "$LOAD_PID" || : # curl's status is that of a probe without an answer
    unanswered=$((PROBES - $(grep -c '^[1-9]' "$probes" || :)))
    # Armed: as many sessions as the pool has connections, none given back yet.
    if [[ -z $pool || ${now%|*} != "$pool" || -s $held ]] || ! kill -0 "$holder" 2>/dev/null; then
        DOUBT="The fault was never armed: the pool was not held whole (DB_POOL ${pool:-is not known, set it}, ${now%|*} sessions)"
    fi
    kill "$holder" 2>/dev/null || :
    figure "connections held" "${pool:-0}" "of ${pool:-unknown}"
    figure "sessions with work to do in Postgres" "${now#*|}" "of ${now%|*}"
    figure "answered 200" "$(grep -c '^200' "$probes" || :)" "of $PROBES"
    figure "refused at once or after a bounded wait" "$(grep -cE '^[45]' "$probes" || :)" "of $PROBES"
    if grep -q '^[1-9]' "$probes"; then
        figure "longest wait for an answer" "$(grep '^[1-9]' "$probes" | cut -d ' ' -f 2 | sort -n | tail -n 1)" \
            "s, statuses $(grep -o '^[1-9][0-9]*' "$probes" | sort -u | paste -sd ' ')"
    fi
    figure "unanswered after $PATIENCE_S s" "$unanswered" "of $PROBES"
    verdict "pool exhaustion" "$(verdict_rule "$unanswered" '>= 15' '<= 0')" \
        "They hang although Postgres has nothing to do: a request waits for a connection as long as it takes." \
        "Everybody has an answer in time: who finds no free connection waits for it a bounded time, and is told so. A no in time is what was gained: there is still nobody to serve them." \
        "Some have an answer, some have not: neither is the pool's wait bounded, nor does all of it hang."
    target_stop
done
scenario_end
