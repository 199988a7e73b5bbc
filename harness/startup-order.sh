#!/usr/bin/env bash
# startup-order: the server and Postgres are started in different orders, five times.
#
# The schema is there all along. Postgres first, the server first with Postgres 0.2 to 2 s behind it
# (SEED decides), both at once: does the server serve once Postgres is up, or has it ended by then?
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
scenario_begin startup-order "Five starts: Postgres first, late by up to 2 s, both at once." 18 36 "$@"

ROUNDS=5
SERVE_S=8 # after Postgres is up; the server looks for it at most every 2 s

for target in "${TARGETS[@]}"; do
    scenario_target "$target" prepare
    [[ -n $MEASURABLE ]] || continue
    if [[ -n ${DATABASE_URL-} ]]; then
        verdict "start-up order" INCONCLUSIVE "" "" "The server of DATABASE_URL cannot be stopped from here; without it a throwaway one is used."
        continue
    fi
    served=0 late=0 words=''
    RANDOM=$SEED # the same delays for every target
    for ((round = 1; round <= ROUNDS; round++)); do
        case $round in
        1) delay=none what="Postgres first" ;;
        2) delay=0 what="both at once" ;;
        *) delay=$(calc "0.2 + 1.8 * $RANDOM / 32767") what="Postgres $delay s late" ;;
        esac
        progress "$(target_name): start $round of $ROUNDS, $what"
        if [[ $delay == none ]]; then
            target_spawn
        else
            postgres_down
            target_spawn
            sleep "$delay"
            postgres_up
            late=$((late + 1))
        fi
        if target_ready "$SERVE_S"; then
            served=$((served + 1))
            target_stop
        else
            words=$(target_last_words | cut -c 1-60)
            [[ $words != *"is in use"* ]] || DOUBT="Another program took the port while Postgres was awaited ($words)"
            target_kill
        fi
    done
    figure "started while Postgres was down" "$late" "of $ROUNDS"
    figure "served once Postgres was up" "$served" "of $ROUNDS"
    verdict "start-up order" "$(verdict_rule "$served" "< $ROUNDS")" \
        "It ends when Postgres is not there yet (\"$words...\"): whoever starts the machine must know the order." \
        "It asks for Postgres again and again, and listens once that is there: any order will do."
done
scenario_end
