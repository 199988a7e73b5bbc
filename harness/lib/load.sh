# shellcheck shell=bash
# load: windows of load on the current target, and what was confirmed in them. Sourced, after
# target.sh, figures.sh and machine.sh.
#
#   load_stock UNITS [LIMIT [SALES]]      empties and vacuums the tables; sales 1 to SALES (1) have
#                                         UNITS to sell each, LIMIT (10^6) to one user. The orders of the
#                                         window before are decided then, and the target knows the stock
#   load_closed LABEL CLIENTS SECONDS [LOADGEN OPTION...]
#   load_open LABEL RATE SECONDS [LOADGEN OPTION...]
#   load_steps LABEL R:S,R:S,... SECONDS [LOADGEN OPTION...]
#                                         open loop, R orders/s for S seconds, then the next: SECONDS in
#                                         all. Writes LOAD_JOURNAL, and LOAD_ORDERS (journal_orders)
#   load_later LABEL DELAY RATE SECONDS [LOADGEN OPTION...]
#                                         open loop beside the window that follows: begins DELAY after
#                                         that one's warm-up does; load_later_end writes LOAD_ORDERS
#   load_aside LABEL RATE SECONDS [LOADGEN OPTION...]
#                                         open loop in the background (LOAD_PID); writes LOAD_JOURNAL,
#                                         leaves the database alone. load_aside_end PID waits for it
#   load_frozen LABEL RATE BEFORE SECONDS AFTER [LOADGEN OPTION...]
#                                         open loop; BEFORE s after its start PostgreSQL is stopped for
#                                         SECONDS. Writes LOAD_JOURNAL; LOAD_FROZEN, LOAD_THAWED: when that
#                                         was, in s of the journal's clock; LOAD_UNFROZEN: how many
#                                         orders the database decided meanwhile, which it cannot have
#   load_race LABEL CLIENTS SECONDS [LOADGEN OPTION...]
#                                         as load_closed; writes LOAD_JOURNAL, leaves the database alone
#   load_crowd LABEL PEAK:BASE:S SECONDS  open loop, a flash crowd; else as load_race
#   load_plan LABEL FILE SECONDS [LOADGEN OPTION...]
#                                         replays a plan saved with a warm-up of LOAD_WARMUP_S
#   load_audit [AUDIT OPTION...]          sale 1 against the journal of load_race or load_crowd: AUDIT is
#                                         its output, AUDIT_STATUS its exit status, AUDIT_SAID "PASS"
#   load_flushes CLIENTS SECONDS          LOAD_FLUSHES: WAL flushes per confirmed order; LOAD_FLUSH_SHARE:
#                                         the share of the time in which one was under way
#   load_wal                              prints "WAL flushes so far|ms they took|bytes of WAL" of the
#                                         server: of sessions that have ended, all
#   load_capacity SECONDS [SALES]         CAPACITY: best confirmed/s over 4, 8 and 16 clients, of sale 1
#                                         or of sales 1 to SALES
#   load_1x                               RATE_1X: orders/s of 1x, for all targets: RATE, or 0.8 of the
#                                         first target's capacity, which is then a figure
#   load_idle SECONDS                     waits until the target has nothing to do; LOAD_IDLE_S: how long
#                                         that took, "none": longer
#   load_pgbench CLIENTS SECONDS FILE     LOAD_TPS: what pgbench gets through with these statements, and
#                                         LOAD_TRANSACTIONS in all
#   load_pgbench_begin CLIENTS SECONDS FILE LOG [OPTION...]
#                                         the same in the background (LOAD_PID), into a log of its own;
#                                         load_pgbench_end LOG waits for it
#   load_at_once N SECONDS PATH FILE      N GETs at the same moment, in the background (LOAD_PID)
#   load_watch_locks FILE                 samples sessions, in the background (WATCH_PID)
#   load_decided SECONDS [SALE]           confirmed/s in the database, in the last window's last SECONDS;
#                                         of all sales, or of one
#   load_lags                             of the orders acknowledged in the last window, which kept a
#                                         journal: lines "s|n", how long until the database had decided
#                                         it, and how many it decided from then on
#   load_confirmed                        of the last window, which kept a journal, a line for each
#                                         confirmed order: "due s<tab>ms until it was confirmed"
#   load_goodput                          those within 1 s of being due, and inside the window
#   load_get JQ                           a value of the last window's summary
#   load_serves                           ends the script when the target did not do its work in the
#                                         last window: an error, not a matter of verdicts
#   load_trust MIN [CONFIRMED]            load_serves; keeps the first reason in DOUBT not to trust a
#                                         window: fewer than MIN requests, CONFIRMED orders; ran late;
#                                         a line that its connections cannot fill
#
# After a window LOAD_CONFIRMED_S is what the database confirmed per second within it, between two
# readings that the database's own clock dates, and LOAD_CONFIRMED how many that were; no reply
# counts. All orders are of quantity 1.
# LOAD_FOREIGN is how many
# cores others kept busy between them; empty if unknown.

LOAD_UNITS=1000000000 # a stock that no window empties
LOAD_WARMUP_S=0.5     # of each window, before it counts
LOAD_CONNECTIONS=256  # of loadgen for orders, unless --connections says otherwise
LOAD_EDGE_S=0.1       # readings are taken this far inside the window
LOAD_SETTLE_S=20      # at most, until the orders of the window before are decided
LOAD_KNOWN_S=10       # at most, until the target knows the stock
# shellcheck disable=SC2034 # for the scripts
AUDIT='' AUDIT_STATUS='' AUDIT_SAID='' LOAD_SUMMARY='' LOAD_JOURNAL='' LOAD_CONFIRMED_S='' LOAD_CONFIRMED='' LOAD_FLUSHES='' LOAD_FLUSH_SHARE='' LOAD_TPS='' LOAD_TRANSACTIONS='' LOAD_FOREIGN='' LOAD_PID='' LOAD_ORDERS='' LOAD_IDLE_S='' LOAD_FROZEN='' LOAD_THAWED='' LOAD_UNFROZEN='' LATER='' LATER_PID='' WATCH_PID='' RATE_1X=${RATE-} CAPACITY='' DOUBT=''

# The per-user limit is out of the way as well, unless it is given: what is measured is the sale.
load_stock() {
    target_database
    [[ $(target_sql "SELECT to_regclass('orders')") ]] || die "$(target_name) takes no orders: its schema has no table of them"
    _load_quiet 2 0.03 "$LOAD_SETTLE_S" || DOUBT=${DOUBT:-"the orders of the window before were not decided within $LOAD_SETTLE_S s"}
    psql -X -q -v ON_ERROR_STOP=1 -d "$TARGET_DB" -v units="$1" -v limit="${2-1000000}" -v sales="${3-1}" >/dev/null \
        -f "$ROOT/harness/lib/stock.sql"
    _load_known "${3-1}"
}

# What the target says of the first sale and of the last: it may show what it read a moment ago. One
# that is not running is not asked.
_load_known() {
    local try want said
    target_serves || return 0
    for ((try = 0; try < LOAD_KNOWN_S * 20; try++)); do
        want=$(target_sql "SELECT stock_total, stock_left FROM audit_sales WHERE sale_id IN (1, $1) ORDER BY sale_id")
        said=$(curl -s --max-time 2 "$TARGET_URL/sales/1" "$TARGET_URL/sales/$1" | jq -r '"\(.stock_total)|\(.stock_left)"' 2>/dev/null) || :
        [[ $(sort -u <<<"$said") != "$(sort -u <<<"$want")" ]] || return 0
        sleep 0.05
    done
    die "$(target_name) does not show the new stock within $LOAD_KNOWN_S s: GET /sales/1 says ${said%%$'\n'*}, the database ${want%%$'\n'*}"
}

# _load_quiet SAMPLES PAUSE SECONDS: waits until in so many samples, one after the other, none of the
# target's sessions is busy and nothing new is confirmed. Status 1: not within SECONDS.
_load_quiet() {
    local quiet=0 now before='' began=$SECONDS
    while ((quiet < $1)); do
        now="$(target_sessions) $(_load_reading | cut -d '|' -f 2)"
        if [[ $now == *"|0 "* && $now == "$before" ]]; then quiet=$((quiet + 1)); else quiet=0; fi
        before=$now
        ((SECONDS - began <= $3)) || return 1
        sleep "$2"
    done
}

# "time|confirmed units"
_load_reading() {
    target_sql "SELECT extract(epoch FROM clock_timestamp()), sum(stock_total - stock_left) FROM audit_sales"
}

# shellcheck disable=SC2034 # LOAD_JOURNAL: for the scripts
_load_begin() {
    local name length=(--duration "$2" --warmup "$LOAD_WARMUP_S")
    [[ ${3-} != --plan ]] || length=() # the plan has both
    name=$RUN/$(target_slug).$1
    LOAD_SUMMARY=$name.summary.json LOAD_JOURNAL=$name.journal LOAD_LOG=$name.loadgen.log
    "$ROOT/build/release/loadgen" --url "$TARGET_URL" --seed "$SEED" --secret "$AUTH_SECRET" --keys --quiet \
        "${length[@]}" --summary "$LOAD_SUMMARY" --series "$name.series.json" "${@:3}" 2>"$LOAD_LOG" &
    LOAD_PID=$!
    postgres_keep "$LOAD_PID"
}

_load_end() {
    if wait "$LOAD_PID"; then return 0; fi
    target_check
    die "loadgen failed ($LOAD_LOG): $(tail -n 1 "$LOAD_LOG")"
}

# Empty where others cannot be told from ours: a target or a database that this script did not start,
# or a part of a bigger machine.
_load_sample() {
    if [[ -n $PG_POSTMASTER && $TARGET_KIND != url && $(nproc) == "$(grep -c '^cpu[0-9]' /proc/stat)" ]]; then
        machine_sample || : # a process ended while it was looked at
    fi
}

# Reads the database at both edges of the window.
_load_window() {
    local seconds=$2 before after sample
    _load_begin "$@"
    sleep "$(calc "$LOAD_WARMUP_S + $LOAD_EDGE_S")"
    sample=$(_load_sample)
    before=$(_load_reading)
    sleep "$(calc "$seconds - 2 * $LOAD_EDGE_S")"
    after=$(_load_reading)
    # shellcheck disable=SC2034 # for the scripts
    LOAD_FOREIGN=${sample:+$(machine_foreign "$sample" "$(_load_sample)")}
    _load_end
    read -r LOAD_CONFIRMED_S LOAD_CONFIRMED < <(awk -F '|' '
        NR == 1 { time = $1; units = $2 }
        NR == 2 { printf "%.1f %d\n", ($1 > time ? ($2 - units) / ($1 - time) : 0), $2 - units }' <<<"$before"$'\n'"$after")
}

load_closed() {
    progress "$(target_name): $2 clients for $3 s"
    _load_window "$1" "$3" --clients "$2" "${@:4}"
}

load_open() {
    progress "$(target_name): $2 orders/s for $3 s"
    _load_window "$1" "$3" --rate "$2" "${@:4}"
}

load_plan() {
    progress "$(target_name): the planned load for $3 s ($1)"
    _load_window "$1" "$3" --plan "$2" "${@:4}"
}

# _load_ends NAME: NAME.ends, lines "order id|s" for journal.sh: when the database confirmed what was
# acknowledged with 202. Awaiting all of them would cost the target as much as ordering does. Asked
# when nothing more can be in time.
_load_ends() {
    local left
    : >"$1.ends"
    [[ $(jq '.orders.codes["202"] // 0' "$1.summary.json") != 0 ]] || return 0
    left=$(jq ".window_ended_at | (.[0:19] + \"Z\" | fromdate) + (\"0\" + .[19:-1] | tonumber) + 1.05 - ${EPOCHREALTIME/,/.}" "$1.summary.json")
    [[ $left == -* ]] || sleep "$left"
    target_sql "SELECT order_id, extract(epoch FROM decided_at - timestamptz '$(jq -r .started_at "$1.summary.json")')
        FROM audit_orders WHERE status = 'confirmed'" >"$1.ends"
}

load_confirmed() {
    _load_ends "${LOAD_SUMMARY%.summary.json}"
    journal_confirmed "${LOAD_SUMMARY%.summary.json}.ends" "$LOAD_WARMUP_S" "$(calc "$LOAD_WARMUP_S + $(load_get .duration_s)")" <"$LOAD_JOURNAL"
}

load_goodput() {
    load_confirmed | awk -v end="$(calc "$LOAD_WARMUP_S + $(load_get .duration_s)")" '
        $2 <= 1000 && $1 + $2 / 1000 < end { n++ } END { print n + 0 }'
}

# The steps' plan is kept: only it knows the orders that never got a connection.
load_steps() {
    local name
    name=$RUN/$(target_slug).$1
    progress "$(target_name): $2 (orders/s:s) for $3 s"
    _load_window "$1" "$3" --steps "$2" --save-plan "$name.plan" --journal "$name.journal" "${@:4}"
    LOAD_ORDERS=$name.orders
    _load_ends "$name"
    journal_orders "$name.plan" "$LOAD_JOURNAL" "$name.ends" >"$LOAD_ORDERS"
}

# Buyers of its own, on half of the connections. No reply at all is a figure here, and no error.
load_later() {
    LATER=$RUN/$(target_slug).$1
    LOAD_WARMUP_S=0 _load_begin "$1" "$(calc "$2 + $4")" --steps "0:$2,$3:$4" --save-plan "$LATER.plan" \
        --journal "$LATER.journal" --connections 128,1,1 --first-user "$LOAD_UNITS" "${@:5}"
    LATER_PID=$LOAD_PID
}

# shellcheck disable=SC2034 # LOAD_ORDERS: for the scripts
load_later_end() {
    wait "$LATER_PID" || target_check
    LOAD_ORDERS=$LATER.orders
    _load_ends "$LATER"
    journal_orders "$LATER.plan" "$LATER.journal" "$LATER.ends" >"$LOAD_ORDERS"
}

load_aside() {
    LOAD_WARMUP_S=0 _load_begin "$1" "$3" --rate "$2" --journal "$RUN/$(target_slug).$1.journal" "${@:4}"
}

load_aside_end() { LOAD_PID=$1 _load_end; }

# Of one's own PostgreSQL only; whatever ends the script meanwhile, it goes on.
# shellcheck disable=SC2034 # LOAD_FROZEN, LOAD_THAWED, LOAD_UNFROZEN: for the scripts
load_frozen() {
    local frozen thawed began
    progress "$(target_name): $2 orders/s, and PostgreSQL is stopped for $4 s"
    postgres_thaw
    on_exit postgres_thaw
    LOAD_WARMUP_S=0 _load_begin "$1" "$(calc "$3 + $4 + $5")" --rate "$2" --journal "$RUN/$(target_slug).$1.journal" "${@:6}"
    sleep "$3"
    postgres_freeze
    frozen=$EPOCHREALTIME
    sleep "$4"
    thawed=$EPOCHREALTIME
    postgres_thaw
    _load_end
    began=$(date -d "$(load_get .started_at)" +%s.%N)
    LOAD_FROZEN=$(calc "$frozen - $began") LOAD_THAWED=$(calc "$thawed - $began")
    LOAD_UNFROZEN=$(target_sql "SELECT count(*) FROM audit_orders
        WHERE decided_at > to_timestamp($frozen) AND decided_at < to_timestamp($thawed)")
}

load_race() {
    progress "$(target_name): $2 clients for $3 s"
    _load_begin "$1" "$3" --clients "$2" --journal "$RUN/$(target_slug).$1.journal" "${@:4}"
    _load_end
}

load_crowd() {
    progress "$(target_name): the crowd comes, for $3 s"
    LOAD_WARMUP_S=0 _load_begin "$1" "$3" --flash "$2" --journal "$RUN/$(target_slug).$1.journal"
    _load_end
}

# shellcheck disable=SC2034 # for the scripts
load_audit() {
    local keys=()
    AUDIT=${LOAD_JOURNAL%.journal}.audit AUDIT_STATUS=0
    # Who keeps the keys that were sent is held to them.
    [[ $(target_sql "SELECT EXISTS (SELECT FROM audit_orders WHERE idempotency_key IS NOT NULL)") != t ]] || keys=(--idempotent)
    "$ROOT/build/release/audit" --database "$TARGET_DB" --journal "$LOAD_JOURNAL" --sale 1 "${keys[@]}" \
        --json "$AUDIT.json" "$@" >"$AUDIT" 2>&1 || AUDIT_STATUS=$?
    AUDIT_SAID=$(awk '$1 == "audit:" { print $2 }' "$AUDIT")
}

# Of all sessions. One reports its own about once a second, but for certain when it ends. PostgreSQL 18
# moved the flushes to pg_stat_io. Without track_wal_io_timing (a server of DATABASE_URL may lack it)
# they take 0 ms.
load_wal() {
    local source='wal_sync, wal_sync_time, wal_bytes FROM pg_stat_wal'
    if (($(target_sql 'SHOW server_version_num') >= 180000)); then
        source="sum(fsyncs), sum(fsync_time), (SELECT wal_bytes FROM pg_stat_wal) FROM pg_stat_io WHERE object = 'wal'"
    fi
    target_sql "SELECT $source"
}

# The target's sessions are ended first.
_load_flushes() {
    target_sql "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'" >/dev/null
    load_wal
}

# Flushes follow one another, so what they took together is a share of the load's time.
load_flushes() {
    local before after
    load_stock "$LOAD_UNITS"
    before=$(_load_flushes)
    load_race flushes "$1" "$2"
    after=$(_load_flushes)
    # shellcheck disable=SC2034 # for the scripts
    read -r LOAD_FLUSHES LOAD_FLUSH_SHARE < <(awk -F '|' -v us="$(tail -n 1 "$LOAD_JOURNAL" | cut -f 1)" '
        NR == 1 { n = $1; ms = $2 }
        NR == 2 { n = $1 - n; ms = $2 - ms }
        NR == 3 { print ($2 > 0 ? n / $2 : "none"), ms * 1000 / us }' <<<"$before"$'\n'"$after"$'\n'"$(_load_reading)")
}

load_pgbench_begin() {
    local pgbench
    target_database
    pgbench=$(command -v pgbench || printf '%s\n' /usr/lib/postgresql/*/bin/pgbench | sort -V | tail -n 1)
    "$pgbench" -n -M prepared -c "$1" -j 2 -T "$2" -f "$3" "${@:5}" "$TARGET_DB" >"$4" 2>&1 &
    LOAD_PID=$!
    postgres_keep "$LOAD_PID"
}

# shellcheck disable=SC2034 # LOAD_TPS, LOAD_TRANSACTIONS: for the scripts
load_pgbench_end() {
    wait "$LOAD_PID" || die "pgbench failed ($1): $(grep -m 1 'error: ' "$1" || tail -n 1 "$1")"
    LOAD_TPS=$(awk '/^tps = / { print $3 }' "$1")
    LOAD_TRANSACTIONS=$(awk '/^number of transactions actually processed: / { print $6 + 0 }' "$1")
}

# Others are counted while it certainly runs.
# shellcheck disable=SC2034 # LOAD_FOREIGN: for the scripts
load_pgbench() {
    local log sample seconds
    log=$RUN/$(target_slug).pgbench.log seconds=$(calc "$2 < 1 ? 1 : int($2 + 0.5)")
    progress "pgbench: $1 clients for $seconds s"
    load_pgbench_begin "$1" "$seconds" "$3" "$log"
    sleep "$LOAD_EDGE_S"
    sample=$(_load_sample)
    sleep "$(calc "$seconds - 3 * $LOAD_EDGE_S")"
    LOAD_FOREIGN=${sample:+$(machine_foreign "$sample" "$(_load_sample)")}
    load_pgbench_end "$log"
}

# One process, so that they start together. FILE: a line "status seconds" for each that ended; the
# status is 000 where no answer came in time.
load_at_once() {
    local i
    for ((i = 0; i < $1; i++)); do printf 'url = "%s"\noutput = /dev/null\n' "$TARGET_URL$3"; done |
        curl -q -s -K - --parallel --parallel-immediate --parallel-max "$1" --max-time "$2" \
            -w '%{http_code} %{time_total}\n' >"$4" 2>/dev/null &
    LOAD_PID=$!
    postgres_keep "$LOAD_PID"
}

# Ten times a second, in one session: "sessions that wait for a lock|all sessions of the target|those
# with work to do".
load_watch_locks() {
    target_database
    psql -X -A -t -q -d "$TARGET_DB" >"$1" 2>/dev/null <<'SQL' &
SELECT count(*) FILTER (WHERE wait_event_type = 'Lock'), count(*), count(*) FILTER (WHERE state <> 'idle') FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' \watch 0.1
SQL
    WATCH_PID=$!
    postgres_keep "$WATCH_PID"
}

load_decided() {
    calc "$(target_sql "SELECT count(*) FROM audit_orders WHERE status = 'confirmed' AND decided_at >=
        timestamptz '$(load_get .window_ended_at)' - interval '$1 s' AND decided_at < '$(load_get .window_ended_at)'
        ${2:+AND sale_id = $2}") / $1"
}

load_lags() {
    target_sql "SELECT order_id, extract(epoch FROM decided_at - timestamptz '$(load_get .started_at)') FROM audit_orders
        ORDER BY 2" >"$LOAD_JOURNAL.decided"
    journal_lags "$LOAD_JOURNAL.decided" "$LOAD_WARMUP_S" "$(calc "$LOAD_WARMUP_S + $(load_get .duration_s)")" <"$LOAD_JOURNAL"
}

load_get() { jq -r "$1 // empty" "$LOAD_SUMMARY"; }

# "t" when the database has an order that is confirmed; tables are emptied before a window.
_load_any() { target_sql "SELECT EXISTS (SELECT FROM audit_orders WHERE status = 'confirmed')"; }

load_serves() {
    local fault
    fault=$(verdict_fault "$LOAD_SUMMARY" "$(_load_any)")
    [[ -z $fault ]] || die "$(target_name) does not do its work, so there is no verdict: $fault${TARGET_LOG:+ (${TARGET_LOG#"$ROOT"/})}"
}

load_trust() {
    local line lets=''
    load_serves
    line=$(target_setting QUEUE_MAX)
    [[ -z $line ]] || lets=$((line + $(target_setting DB_WORKERS 0)))
    DOUBT=${DOUBT:-$(verdict_doubt "$LOAD_SUMMARY" "$1" "$(target_setting HTTP_THREADS)" "$lets" "$LOAD_CONNECTIONS")}
    if ((LOAD_CONFIRMED < ${2:-0})); then
        DOUBT=${DOUBT:-"too few orders were confirmed: $LOAD_CONFIRMED, at least $2 are needed"}
    fi
}

load_capacity() {
    local clients
    CAPACITY=0
    for clients in 4 8 16; do
        load_stock "$LOAD_UNITS" 1000000 "${2-1}"
        load_closed "calibration-$clients" "$clients" "$1" --sales "1-${2-1}"
        load_serves
        CAPACITY=$(calc "$LOAD_CONFIRMED_S > $CAPACITY ? $LOAD_CONFIRMED_S : $CAPACITY")
    done
    [[ $CAPACITY != 0 ]] || die "$(target_name) confirmed nothing when its capacity was measured"
}

load_1x() {
    [[ -z $RATE_1X ]] || return 0
    load_capacity 1
    RATE_1X=$(calc "int(0.8 * $CAPACITY)")
    figure "capacity (best of 4, 8, 16 clients)" "$CAPACITY" "orders/s"
}

# Idle is: none of its sessions is busy and nothing new is confirmed, for half a second.
load_idle() {
    local began_us=${EPOCHREALTIME/[.,]/}
    LOAD_IDLE_S=none
    progress "$(target_name): nobody comes, until it is idle"
    # shellcheck disable=SC2034 # for the scripts
    if _load_quiet 5 0.1 "$1"; then LOAD_IDLE_S=$(calc "int((${EPOCHREALTIME/[.,]/} - $began_us - 400000) / 100000) / 10"); fi
}
