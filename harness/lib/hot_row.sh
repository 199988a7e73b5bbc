# shellcheck shell=bash
# hot_row: the ways of hot-row.sh, a window of each, what it cost, and how that is shown. Sourced, after
# scenario.sh and telemetry.sh; the script has WAYS, COUNTS and WINDOW.
#
#   hot_row_choose [ARGUMENT...]  HOT_WAYS, entries "name|target or .sql": those of WAYS, or those that
#                                 the arguments put in their place; HOT_TARGETS: their targets. Ends the
#                                 script when a way is not there
#   hot_row_seconds TARGETS       what scenario_begin is to be told of the time for one target, for two
#   hot_row_prepare NAME WHAT     makes a database for this way, and builds its server
#   hot_row_window CLIENTS        a window of it: prints a line of the table
#   hot_row_header                prints the table's first line
#   hot_row_line NAME VALUE...    prints a line for people, with a value for each number of clients
#   hot_row_keep TABLE            series.json, hot-row.svg and the summary's figures
#   hot_row_costs_at              prints at how many clients costs are shown: 64, or else the last
#   hot_row_costs CLIENTS, hot_row_bars CLIENTS, hot_row_doubts
#                                 of the table on standard input, for people
#
# Each window starts a server of its own and ends it: then all its sessions have reported what they
# wrote, and what its counters count is the window's. Rates are of the window; costs are of all that was
# sold since the tables were empty, the warm-up included. Where units are gone that nobody bought, or
# bought that are not gone, the script ends: that was no sale.

HOT_ROW_COSTS_AT=64   # clients
HOT_ROW_UNITS_S=20000 # unit rows for each second of load; who sells them all ends the script
HOT_ROW_SCHEMA=6      # the phase in whose database the scripts run
HOT_ROW_TRIES=10      # of a transaction that PostgreSQL aborts, by pgbench
HOT_ROW_BEGIN_S=10    # at most, until pgbench has sold the first
HOT_ROW_GONE_S=10     # at most, until the sessions of a window have ended
HOT_ROW_SECONDS=3     # of a window, besides its length
HOT_WAYS=() HOT_TARGETS=() HOT_NAME='' HOT_SCRIPT='' HOT_UNITS=0 RETRIES=''

_hot_row_there() { # NAME TARGET
    [[ $2 != http*://* ]] || usage "target '$2': each window starts a server of its own; name a phase"
    [[ ! $2 =~ ^[0-8](,|$) || -d $ROOT/phase${2:0:1} ]] ||
        die "'$1' needs phase ${2:0:1}, which is not here: name targets that are, as in ./harness/$SCENARIO.sh 5"
}

# A target that stands in WAYS has its name there.
_hot_row_name() {
    local name
    name=$(awk -F '|' -v target="$1" '$2 == target { print $1 }' <<<"$WAYS")
    target_parse "$1"
    printf '%s' "${name:-$(target_name)}"
}

# shellcheck disable=SC2034 # SCENARIO_TABLE: scenario.sh's
hot_row_choose() {
    local way servers=() scripts=() own_servers=() own_scripts=()
    SCENARIO=hot-row SCENARIO_TABLE=''
    if [[ ${1-} == --help || ${1-} == -h ]]; then HOT_TARGETS=("$1") && return 0; fi
    for way in "$@"; do
        if [[ $way == *.sql ]]; then
            [[ -r $way ]] || usage "there is no $way"
            scripts+=("$(basename "$way" .sql)|$way")
        else
            _hot_row_there "$way" "$way"
            servers+=("$(_hot_row_name "$way")|$way")
        fi
    done
    while IFS= read -r way; do
        if [[ $way == *.sql ]]; then own_scripts+=("${way/|/|$ROOT/harness/hot-row/}"); else own_servers+=("$way"); fi
    done <<<"$WAYS"
    ((${#servers[@]} > 0)) || servers=("${own_servers[@]}")
    ((${#scripts[@]} > 0)) || scripts=("${own_scripts[@]}")
    HOT_WAYS=("${servers[@]}" "${scripts[@]}")
    for way in "${servers[@]}"; do
        _hot_row_there "${way%%|*}" "${way#*|}"
        HOT_TARGETS+=("${way#*|}")
    done
}

# scenario_begin takes half of the time for two as often as there are targets.
hot_row_seconds() {
    local each=1
    (($1 == 1)) || each=${#HOT_TARGETS[@]}
    calc "int(${#HOT_WAYS[@]} * ${#COUNTS[@]} * ($WINDOW + $HOT_ROW_SECONDS) * $1 / $each + 0.5)"
}

# The statements run in a database as phase 6 makes it, whatever the targets are; before there is one,
# as phase 5 does.
hot_row_prepare() {
    local target=$2
    [[ -d $ROOT/phase$HOT_ROW_SCHEMA ]] || HOT_ROW_SCHEMA=5
    HOT_NAME=$1 HOT_SCRIPT=''
    if [[ $2 == *.sql ]]; then HOT_SCRIPT=$2 target=$HOT_ROW_SCHEMA; fi
    progress "preparing: $HOT_NAME"
    target_parse "$target"
    [[ -n $HOT_SCRIPT ]] || target_build
    target_prepare
}

# _hot_row_units SECONDS: a script that names the table has one, with HOT_UNITS units, more than it can
# sell in that time. Until _hot_row_units_left, which prints how many there still are.
_hot_row_units() {
    HOT_UNITS=0
    if [[ -z $HOT_SCRIPT ]] || ! grep -qw units "$HOT_SCRIPT"; then return 0; fi
    HOT_UNITS=$(calc "int($HOT_ROW_UNITS_S * $1)")
    psql -X -q -v ON_ERROR_STOP=1 -d "$TARGET_DB" <<SQL
CREATE TABLE units (sale_id bigint NOT NULL, id bigint NOT NULL, PRIMARY KEY (sale_id, id));
INSERT INTO units SELECT 1, generate_series(1, $HOT_UNITS);
VACUUM (ANALYZE) units;
SQL
}

_hot_row_units_left() {
    if ((HOT_UNITS == 0)); then
        echo 0
    else
        target_sql "SELECT count(*) FROM units"
        target_sql "DROP TABLE units"
    fi
}

# A server for this window alone. RETRIES: empty where they are not known.
_hot_row_serve() {
    target_restart
    load_closed "$1" "$1" "$WINDOW"
    load_trust 50 50
    RETRIES=$(telemetry_total 'flashdeal_(order_retries|inventory_conflicts)_total')
    LOAD_TPS=''
    target_stop
}

# Two readings "time|orders confirmed" in one session, which holds no snapshot between them: that would
# keep the row's dead versions from being removed, and slow down what is measured.
_hot_row_readings() {
    local reading="SELECT extract(epoch FROM clock_timestamp()), count(*) FROM audit_orders WHERE status = 'confirmed';"
    psql -X -A -t -q -v ON_ERROR_STOP=1 -d "$TARGET_DB" <<<"\\! sleep $(calc "$LOAD_WARMUP_S + $LOAD_EDGE_S")
$reading
\\! sleep $(calc "$WINDOW - 2 * $LOAD_EDGE_S")
$reading"
}

# _hot_row_pgbench CLIENTS SECONDS
_hot_row_pgbench() {
    local log=$RUN/${HOT_NAME// /-}.$1.pgbench.log readings sample began=$SECONDS
    progress "$HOT_NAME: $1 clients for $WINDOW s, by pgbench"
    load_pgbench_begin "$1" "$2" "$HOT_SCRIPT" "$log" --max-tries="$HOT_ROW_TRIES"
    while kill -0 "$LOAD_PID" 2>/dev/null && ((SECONDS - began < HOT_ROW_BEGIN_S)) && [[ $(_load_any) != t ]]; do sleep 0.05; done
    sample=$(_load_sample)
    readings=$(_hot_row_readings)
    kill -0 "$LOAD_PID" 2>/dev/null || DOUBT="pgbench ended within the window"
    LOAD_FOREIGN=${sample:+$(machine_foreign "$sample" "$(_load_sample)")}
    load_pgbench_end "$log"
    LOAD_CONFIRMED_S=$(awk -F '|' 'NR == 1 { t = $1; n = $2 } NR == 2 { printf "%.1f", ($1 > t ? ($2 - n) / ($1 - t) : 0) }' <<<"$readings")
    RETRIES=$(awk -F ': ' '/^total number of retries: / { print $2 + 0 }' "$log")
}

# "WAL flushes|ms they took|bytes of WAL|deadlocks" so far.
_hot_row_counters() {
    printf '%s|%s\n' "$(load_wal)" "$(target_sql "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")"
}

_hot_row_gone() {
    local began=$SECONDS
    kill "$WATCH_PID" 2>/dev/null || :
    until [[ $(target_sessions) == 0* ]]; do
        ((SECONDS - began <= HOT_ROW_GONE_S)) || die "$HOT_NAME: its sessions have not ended within $HOT_ROW_GONE_S s"
        sleep 0.05
    done
}

# _hot_row_check CLIENTS SOLD: SOLD units, of one each order.
_hot_row_check() {
    local gone left
    left=$(_hot_row_units_left)
    gone=$(target_sql "SELECT sum(stock_total - stock_left) + $HOT_UNITS - $left FROM audit_sales")
    [[ $gone == "$2" ]] || die "$HOT_NAME, $1 clients: $gone units are gone and $2 are sold: this way does not keep the stock"
    (($2 > 0)) || die "$HOT_NAME, $1 clients: nothing was sold"
    ((HOT_UNITS == 0 || left > 0)) || die "$HOT_NAME, $1 clients: all $HOT_UNITS units were sold before the window's end (HOT_ROW_UNITS_S)"
}

HOT_ROW_COLUMNS='way by clients confirmed_s orders wal_flushes wal_bytes deadlocks lock_wait_share retries foreign_cores tps doubt'

hot_row_header() { tr ' ' '\t' <<<"$HOT_ROW_COLUMNS"; }

hot_row_window() {
    local before after sold seconds by=server waiters=$RUN/${HOT_NAME//[^A-Za-z0-9]/-}.$1.waiters
    DOUBT=''
    seconds=$(calc "int($LOAD_WARMUP_S + $WINDOW + 1.5)") # pgbench takes whole ones
    load_stock "$LOAD_UNITS"
    _hot_row_units "$seconds"
    before=$(_hot_row_counters)
    load_watch_locks "$waiters"
    if [[ -z $HOT_SCRIPT ]]; then
        _hot_row_serve "$1"
    else
        by=pgbench
        _hot_row_pgbench "$1" "$seconds"
    fi
    _hot_row_gone
    after=$(_hot_row_counters)
    sold=$(target_sql "SELECT coalesce(sum(quantity), 0) FROM audit_orders WHERE status = 'confirmed'")
    _hot_row_check "$1" "$sold"
    awk -F '|' -v OFS='\t' -v sold="$sold" -v retries="$RETRIES" -v head="$HOT_NAME"$'\t'"$by"$'\t'"$1"$'\t'"$LOAD_CONFIRMED_S" \
        -v share="$(_hot_row_share <"$waiters")" -v tail="$LOAD_FOREIGN"$'\t'"$LOAD_TPS"$'\t'"$DOUBT" '
        NR == 1 { flushes = $1; bytes = $3; deadlocks = $4 }
        NR == 2 {
            print head, sold, ($1 - flushes) / sold, ($3 - bytes) / sold, $4 - deadlocks, share,
                (retries == "" ? "" : retries / sold), tail
        }' <<<"$before"$'\n'"$after"
}

# Of the sessions that had work to do, those that waited for a lock, over all samples.
_hot_row_share() { awk -F '|' '/^[0-9]+[|][0-9]+[|][0-9]+$/ { waiting += $1; active += $3 } END { print (active > 0 ? waiting / active : 0) }'; }

hot_row_line() {
    printf '  %-22.22s' "$1"
    printf ' %9s' "${@:2}"
    printf '\n'
}

hot_row_costs_at() {
    if [[ " ${COUNTS[*]} " == *" $HOT_ROW_COSTS_AT "* ]]; then echo "$HOT_ROW_COSTS_AT"; else echo "${COUNTS[-1]}"; fi
}

hot_row_costs() {
    printf '\n  with %-17s %9s %9s %9s %9s %9s\n' "$1 clients," lock-wait retries deadlocks flushes "WAL bytes"
    printf '  %-22s %9s %9s %9s %9s %9s\n' "each way costs" share /order "" /order /order
    awk -F '\t' -v clients="$1" '$3 == clients {
        printf "  %-22.22s %7.0f %% %9s %9d %9.2f %9.0f\n", $1, 100 * $9, ($10 == "" ? "unknown" : sprintf("%.2f", $10)), $8, $6, $7 }'
}

hot_row_bars() {
    local bar='#'
    [[ ${LC_ALL:-${LC_CTYPE:-${LANG-}}} != *[Uu][Tt][Ff]* ]] || bar='█'
    printf '\n  %-22s %9s\n' "with $1 clients" "orders/s"
    awk -F '\t' -v clients="$1" -v bar="$bar" -v width=42 '
        $3 == clients { name[++n] = $1; rate[n] = $4; if ($4 > top) top = $4 }
        END {
            for (i = 1; i <= n; i++) {
                line = ""
                for (j = 0; j < int(width * rate[i] / top + 0.5); j++) line = line bar
                printf "  %-22.22s %9.0f  %s\n", name[i], rate[i], line
            }
        }'
}

# What makes the figures less than certain: others on this machine, windows that cannot be trusted.
hot_row_doubts() {
    local table
    table=$(tail -n +2)
    say ""
    say "  others used $(cut -f 11 <<<"$table" | median_known) cores (median)"
    awk -F '\t' '$13 != "" { printf "  not to be trusted: %s, %s clients: %s\n", $1, $3, $13 }' <<<"$table"
}

hot_row_keep() {
    local clients
    clients=$(hot_row_costs_at)
    jq -Rn --argjson costs_at "$clients" '
        def rows: split("\t"); (input | rows) as $names
        | {version: 1, costs_at: $costs_at, cells: [inputs | [$names, rows] | transpose
            | map(.[0] as $name | {key: $name, value: (.[1] | if any("way", "by", "doubt"; . == $name) then . else tonumber? // null end)})
            | from_entries]}' "$1" >"$RUN/series.json"
    jq -r -f "$ROOT/harness/lib/hot-row-svg.jq" "$RUN/series.json" >"$RUN/hot-row.svg"
    jq -r '.costs_at as $at | .cells[] | [.way, "confirmed/s, \(.clients) clients", .confirmed_s, "orders/s"],
        (select(.clients == $at)
            | [.way, "lock-wait share of active sessions, \($at) clients", .lock_wait_share, ""],
            [.way, "retries per order, \($at) clients", .retries // "unknown", ""], [.way, "deadlocks, \($at) clients", .deadlocks, ""],
            [.way, "WAL flushes per order, \($at) clients", .wal_flushes, ""], [.way, "WAL bytes per order, \($at) clients", .wal_bytes, "B"])
        | map(tostring | if . == "" then "-" else . end) | join("\t")' "$RUN/series.json" >>"$RUN/figures.tsv"
}
