# shellcheck shell=bash
# faults: what can go wrong around a target, armed under load and proven. Sourced, after target.sh.
#
#   FAULTS                 their names
#   fault_draw SEED        FAULT_ORDER: the names once each, in an order that the seed draws
#   fault_arm NAME FILE    arms one; FILE: what the target's sessions do while it is armed
#   fault_disarm           and all is as before. FAULT_DOUBT: why it was no fault; empty if it was
#
#   lock        a psql session has locked one sale's row and does nothing (idle in transaction):
#               that of FAULT_SALE, or of one that is drawn
#   pool        the target is restarted with the smallest pool that its start allows
#   commit      a deferred constraint trigger on orders sleeps FAULT_SLEEP_S when a COMMIT runs, once
#               for the transaction, however many orders are in it: a disk is waited for once
#   cpu         busy loops, FAULT_HOGS on each processor, bounded in time
#   statements  a trigger sleeps as long when orders are inserted, once for the statement
#
# The sleeping triggers are as good as a slow disk or a missing index: more work before the COMMIT
# returns, more work in a statement. What the proof looks at is the database and /proc, not the
# target's telemetry. Nothing survives the script: triggers go with its database, processes with
# the keeper.

# shellcheck source=harness/lib/row.sh
source "$ROOT/harness/lib/row.sh"

FAULTS=(lock pool commit cpu statements)
FAULT_SALES=16     # over how many the load is spread; one of them is locked
FAULT_SALE=''      # this one, if it is set
FAULT_SLEEP_S=0.02
FAULT_HOGS=4
FAULT_MAX_S=60     # no busy loop outlives this
FAULT_ORDER=() FAULT_ARMED='' FAULT_DOUBT='' _FAULT_WATCH='' _FAULT_SEEN='' _FAULT_PIDS=() _FAULT_SETTINGS=() _FAULT_SESSIONS=0 _FAULT_READY_US=0 _FAULT_SINCE_US=''

# Not in a subshell: bash seeds those anew.
fault_draw() {
    local i j other
    RANDOM=$1 FAULT_ORDER=("${FAULTS[@]}")
    for ((i = ${#FAULTS[@]} - 1; i > 0; i--)); do
        j=$((RANDOM % (i + 1)))
        other=${FAULT_ORDER[i]} FAULT_ORDER[i]=${FAULT_ORDER[j]} FAULT_ORDER[j]=$other
    done
}

# From phase 3 on connections are the workers', and one is left for the others.
_fault_pool() {
    local small=(DB_POOL=1)
    [[ -z $(target_setting DB_WORKERS) ]] || small=(DB_WORKERS=1 DB_POOL=2)
    _FAULT_SESSIONS=$((${small[-1]#*=} + 1)) # one more may look at the locks
    _FAULT_SETTINGS=("${TARGET_SETTINGS[@]}")
    TARGET_SETTINGS+=("${small[@]}")
    target_restart
}

# A BEFORE trigger is part of its statement; a deferred one runs within COMMIT, for each row, and
# remembers by a setting that ends with the transaction.
_fault_trigger() {
    target_sql "CREATE FUNCTION fault_sleep() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN IF current_setting(''fault.slept'', true) IS DISTINCT FROM ''yes'' THEN
            PERFORM set_config(''fault.slept'', ''yes'', true), pg_sleep($FAULT_SLEEP_S);
        END IF; RETURN NEW; END'; CREATE $1"
}

_fault_hogs() {
    local i pids=()
    for ((i = 0; i < FAULT_HOGS * $(nproc); i++)); do
        (
            end=$((SECONDS + FAULT_MAX_S))
            while ((SECONDS < end)); do :; done
        ) &
        pids+=("$!")
        postgres_keep "$!"
        disown
    done
    _FAULT_PIDS=("${pids[@]}")
    _FAULT_READY_US=$(_fault_ready_us)
    _FAULT_SINCE_US=${EPOCHREALTIME/[.,]/}
}

# For how long the hogs have run or been ready to, all together, in us: proc(5), schedstat. How much
# of it they ran depends on who else is there, and is no matter: who competes with them waits.
_fault_ready_us() {
    local pid on_cpu delay us=0
    for pid in "${_FAULT_PIDS[@]}"; do
        read -r on_cpu delay _ 2>/dev/null <"/proc/$pid/schedstat" || continue
        us=$((us + (on_cpu + delay) / 1000))
    done
    printf '%s' "$us"
}

# Five times a second, in one session: the target's sessions; of them: with work to do, blocked by
# the holder, asleep in a trigger.
_fault_watch() {
    psql -X -A -t -q -d "$TARGET_DB" >"$1" 2>/dev/null <<SQL &
SELECT count(*), count(*) FILTER (WHERE state <> 'idle'),
    count(*) FILTER (WHERE ${ROW_HOLDER:-0} = ANY (pg_blocking_pids(pid))),
    count(*) FILTER (WHERE wait_event = 'PgSleep')
FROM pg_stat_activity WHERE datname = current_database() AND application_name <> 'psql'
    AND backend_type = 'client backend' \watch 0.2
SQL
    _FAULT_WATCH=$! _FAULT_SEEN=$1
    postgres_keep "$_FAULT_WATCH"
    disown
}

fault_arm() {
    FAULT_ARMED=$1
    case $1 in
    lock) row_hold "${FAULT_SALE:-$((RANDOM % FAULT_SALES + 1))}" ;;
    pool) _fault_pool ;;
    commit) _fault_trigger 'CONSTRAINT TRIGGER fault AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION fault_sleep()' ;;
    cpu) _fault_hogs ;;
    statements) _fault_trigger 'TRIGGER fault BEFORE INSERT ON orders FOR EACH STATEMENT EXECUTE FUNCTION fault_sleep()' ;;
    *) die "no such fault: $1" ;;
    esac
    _fault_watch "$2"
}

# Share of the samples in which column N is at least 1.
_fault_share() { column "$1" "$2" | awk '{ n += $1 > 0 } END { print NR ? n / NR : 0 }'; }

# Empty when COUNT is at least LEAST.
_fault_least() { awk -v v="$1" -v least="$2" -v what="$3" 'BEGIN { if (v + 0 < least) printf "%s (%s, at least %s)", what, v, least }'; }

_fault_proof() {
    local us p50
    case $FAULT_ARMED in
    lock) _fault_least "$(_fault_share 3 "$1")" 0.2 "the locked row made too few wait" ;;
    pool)
        (($(column 1 "$1" | sort -n | tail -n 1) <= _FAULT_SESSIONS)) || printf 'the pool is not small'
        _fault_least "$(_fault_share 2 "$1")" 0.1 "the small pool was hardly used"
        ;;
    commit | statements)
        _fault_least "$(_fault_share 4 "$1")" 0.5 "the trigger slept too rarely"
        # Who answers before the commit is slower only for those who await the final state: it may come to
        # none of them in time.
        p50=$(load_get '.orders | if .complete_ms.count > 0 then .complete_ms.p50 elif .polls > 0 then infinite else .accept_ms.p50 end')
        _fault_least "${p50:-0}" "$(calc "1000 * $FAULT_SLEEP_S")" "orders are too quick for a trigger that sleeps, p50 ms"
        ;;
    cpu)
        us=$((${EPOCHREALTIME/[.,]/} - _FAULT_SINCE_US))
        _fault_least "$(calc "($(_fault_ready_us) - $_FAULT_READY_US) / $us / ${#_FAULT_PIDS[@]}")" 0.8 \
            "the busy loops were not always busy, share of the time"
        ;;
    esac
}

fault_disarm() {
    # shellcheck disable=SC2034 # for the scripts
    FAULT_DOUBT=$(_fault_proof "$_FAULT_SEEN")
    kill "$_FAULT_WATCH" 2>/dev/null || :
    case $FAULT_ARMED in
    lock) row_release ;;
    cpu)
        kill "${_FAULT_PIDS[@]}" 2>/dev/null || :
        _FAULT_PIDS=()
        ;;
    pool)
        TARGET_SETTINGS=("${_FAULT_SETTINGS[@]}")
        target_restart
        ;;
    commit | statements) target_sql 'DROP TRIGGER fault ON orders; DROP FUNCTION fault_sleep()' ;;
    esac
    FAULT_ARMED=''
}
