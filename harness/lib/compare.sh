# shellcheck shell=bash
# compare: one round of a comparison, what is looked at meanwhile, and what is kept. Sourced, after
# scenario.sh and shapes.sh.
#
#   compare_arguments ARG..  A B [SHAPE]; sets COMPARE_A, COMPARE_B and the shape, or ends the script
#   compare_plan             measures A's capacity where the shape needs it; writes RUN/plan
#   compare_round ARM ROUND  ARM is a or b: starts its target, replays the plan, audits, keeps
#                            RUN/<arm><round>.json; a reason not to trust it is in DOUBT
#   compare_finish           RUN/summary.json, the report; ends the script
#
# A round's figures, curves and samples are one JSON file (compare_round.jq) on the clock of loadgen's
# window; compare_summary.jq makes ratios of them. Each round has a server and tables of its own, so
# that no round inherits from another.

COMPARE_SAMPLE_S=0.25 # between two looks at the database, and at the server
COMPARE_TIMEOUT_MS=2000
COMPARE_AWAIT=0.05    # of orders accepted with 202: awaited, for their latency
COMPARE_A='' COMPARE_B='' COMPARE_RATE='' COMPARE_BUILT='' _COMPARE_PIDS=()

# shellcheck disable=SC2034 # for the script, and for load.sh
compare_arguments() {
    (($# == 2 || $# == 3)) || usage "two targets and a shape are needed: ./harness/compare.sh 1 2 overload (--help lists the shapes)"
    [[ $1 != http*://* || $2 != http*://* ]] || usage "two URLs would share the database of DATABASE_URL: give one of them as a phase or a directory"
    [[ "$1 $2" != *http*://* || -n ${DATABASE_URL-} ]] || usage "DATABASE_URL must name the database of the URL: the harness believes only what it reads there"
    [[ ${DURATION:-1} =~ ^[0-9]+([.][0-9]+)?$ && ${RATE:-1} =~ ^[0-9]+$ ]] || usage "DURATION is seconds, RATE a whole number of orders per second"
    COMPARE_A=$1 COMPARE_B=$2
    shape_choose "${3:-overload}" "${DURATION-}" ||
        usage "there is no load shape '$3': $(shape_list | awk '{ printf "%s%s", sep, $1; sep = ", " }')"
    LOAD_WARMUP_S=$SHAPE_WARMUP_S
}

# shellcheck disable=SC2034 # LOAD_WARMUP_S: for load.sh
compare_plan() {
    COMPARE_RATE=${RATE-}
    if [[ -z $COMPARE_RATE ]] && shape_rated; then
        LOAD_WARMUP_S=0.5
        _compare_start "$COMPARE_A"
        load_capacity 1
        target_stop
        LOAD_WARMUP_S=$SHAPE_WARMUP_S
        COMPARE_RATE=$(calc "int(0.8 * $CAPACITY)")
        ((COMPARE_RATE > 0)) || die "$(target_name) confirmed nothing when its capacity was measured"
    fi
    shape_rate "$COMPARE_RATE"
    "$ROOT/build/release/loadgen" --steps "$SHAPE_STEPS" --duration 0 --warmup "$SHAPE_WARMUP_S" \
        --read-rate "$SHAPE_READS" --seed "$SEED" --save-plan "$RUN/plan" --quiet || die "loadgen made no plan"
}

# As target_start, but built once: what is compared must not change in between.
_compare_start() {
    target_parse "$1"
    [[ $COMPARE_BUILT == *"|$1|"* ]] || target_build
    COMPARE_BUILT+="|$1|"
    target_prepare
    # shellcheck disable=SC2153 # target.sh sets it
    [[ $TARGET_KIND == url ]] || target_spawn
    target_ready "$TARGET_READY_S" || die "$(target_name) does not serve: $(target_last_words)"
}

# Lines "epoch|lock waiters|sessions|of them busy|units confirmed so far". A short look from one
# session; the row of a sale is read, never locked.
_compare_watch_database() {
    psql -X -A -t -q -d "$TARGET_DB" >"$1" 2>/dev/null <<SQL &
SELECT extract(epoch FROM clock_timestamp()), count(*) FILTER (WHERE wait_event_type = 'Lock'), count(*),
    count(*) FILTER (WHERE state <> 'idle'), (SELECT sum(stock_total - stock_left) FROM audit_sales)
FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'
    AND pid <> pg_backend_pid() AND application_name <> 'psql' \\watch $COMPARE_SAMPLE_S
SQL
    _COMPARE_PIDS+=("$!")
}

# For each look a line "@ epoch cpu-ticks", then the metrics that the report knows. The process's name
# in stat may hold blanks, so fields are counted from its closing parenthesis.
_compare_watch_server() {
    local line fields
    while [[ -d $RUN ]]; do
        fields=()
        if [[ -n $TARGET_PID ]] && read -r line 2>/dev/null <"/proc/$TARGET_PID/stat"; then read -ra fields <<<"${line##*) }"; fi
        printf '@ %s %s\n' "$EPOCHREALTIME" "${fields[11]:+$((fields[11] + fields[12]))}"
        [[ -z $TARGET_ADMIN_URL ]] || curl -sf --max-time 1 "$TARGET_ADMIN_URL/metrics" | grep -E \
            '^flashdeal_((order_)?queue_(length|age_seconds)|order_(stage|final)_seconds_sum|db_pool_(in_use|waiters)|http_(stage_duration_seconds_sum|request_duration_seconds_count))[{ ]' || :
        sleep "$COMPARE_SAMPLE_S"
    done >"$1" 2>/dev/null
}

# Holds the row of sale 1 for a while, and says when in the lines that loadgen takes for marks.
_compare_fault() {
    psql -X -A -t -q -v ON_ERROR_STOP=1 -d "$TARGET_DB" >"$1" 2>"$1.log" <<SQL &
SELECT pg_sleep($SHAPE_WARMUP_S + $SHAPE_FAULT_AT_S) \\g /dev/null
BEGIN;
SELECT id FROM sales WHERE id = 1 FOR UPDATE \\g /dev/null
SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint || ' fault_begin another session locks the sale''s row';
SELECT pg_sleep($SHAPE_FAULT_S) \\g /dev/null
COMMIT;
SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint || ' fault_end the row is free again';
SQL
    _COMPARE_PIDS+=("$!")
}

_compare_end_watch() {
    local pid
    for pid in "${_COMPARE_PIDS[@]}"; do
        kill "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done
    _COMPARE_PIDS=()
}

_compare_window() {
    local name=$RUN/$1
    : >"$name.marks"
    _compare_watch_database "$name.database"
    _compare_watch_server "$name.server" &
    _COMPARE_PIDS+=("$!")
    if [[ -n $SHAPE_FAULT_AT_S ]]; then _compare_fault "$name.marks"; fi
    postgres_keep "${_COMPARE_PIDS[@]}"
    load_plan "$1" "$RUN/plan" "$SHAPE_SECONDS" --timeout-ms "$COMPARE_TIMEOUT_MS" --await "$COMPARE_AWAIT" \
        --journal "$RUN/$(target_slug).$1.journal" --marks "$name.marks"
    _compare_end_watch
    load_trust "$(calc "int($(wc -l <"$RUN/plan") / 2)")" 1
    if [[ -n $SHAPE_FAULT_AT_S && $(grep -c ' fault_' "$name.marks") != 2 ]]; then
        DOUBT=${DOUBT:-"the fault was not armed: $(tail -n 1 "$name.marks.log")"}
    fi
}

compare_round() {
    local target=$COMPARE_A label=$1$2 goodput
    [[ $1 == a ]] || target=$COMPARE_B
    DOUBT=''
    _compare_start "$target"
    load_stock "$SHAPE_STOCK"
    _compare_window "$label"
    goodput=$(load_goodput)
    load_audit
    target_stop
    [[ -z $TARGET_LOG ]] || mv "$TARGET_LOG" "$RUN/$label.server.log"
    if [[ $AUDIT_STATUS == 2 ]]; then DOUBT=${DOUBT:-"the audit cannot say: $(tail -n 1 "$AUDIT")"}; fi
    jq -n --arg arm "$1" --argjson round "$2" --arg doubt "$DOUBT" --arg foreign "$LOAD_FOREIGN" \
        --arg confirmed_s "$LOAD_CONFIRMED_S" --arg goodput "$goodput" --arg audit "${AUDIT_SAID:-UNKNOWN}" --argjson tick "$(getconf CLK_TCK)" \
        --argjson warmup "$SHAPE_WARMUP_S" --slurpfile summary "$LOAD_SUMMARY" --slurpfile series "${LOAD_SUMMARY%.summary.json}.series.json" \
        --rawfile pace <(journal_orders "$RUN/plan" "$LOAD_JOURNAL" "${LOAD_JOURNAL%.journal}.ends" | journal_pace "$SHAPE_WARMUP_S" "$(calc "$SHAPE_WARMUP_S + $SHAPE_SECONDS")") \
        --rawfile database "$RUN/$label.database" --rawfile server "$RUN/$label.server" \
        -f "$ROOT/harness/lib/compare_round.jq" >"$RUN/$label.json"
    rm -f "$RUN/$label".{database,server,marks,marks.log}
}

_compare_summary() {
    jq -n --arg shape "$SHAPE" --arg text "$SHAPE_TEXT" --arg parts "$SHAPE_PARTS" --arg steps "$SHAPE_STEPS" --argjson seconds "$SHAPE_SECONDS" \
        --arg capacity "${CAPACITY:-}" --argjson sound "$1" --arg a "$COMPARE_A" --arg b "$COMPARE_B" \
        --arg a_name "$(target_parse "$COMPARE_A" && target_name)" --arg b_name "$(target_parse "$COMPARE_B" && target_name)" \
        --arg started "$STARTED_AT" --arg seed "$SEED" --arg foreign_max "$MACHINE_FOREIGN_MAX" \
        --arg command "${COMPARE_RATE:+RATE=$COMPARE_RATE }$(RATE='' _scenario_command) $SHAPE" \
        --arg commit "$(commit_describe)" \
        --arg machine "$(machine_describe)" \
        --arg postgres "$(target_sql "SHOW server_version" 2>/dev/null || :)" \
        --slurpfile rounds <(cat "$RUN"/[ab][0-9].json) -f "$ROOT/harness/lib/compare_summary.jq" >"$RUN/summary.json"
}

# compare_finish SOUND: 1 when enough pairs can be trusted.
compare_finish() {
    local status
    progress_end
    _scenario_command >"$RUN/command"
    _compare_summary "$([[ $1 == 1 ]] && echo true || echo false)"
    status=$(jq .exit_status "$RUN/summary.json")
    "$ROOT/build/release/report" "$RUN" || die "the report could not be made"
    "$ROOT/build/release/report" --text "$RUN"
    say "${DIM}kept: ${RUN#"$ROOT"/}/   again: $(jq -r .command "$RUN/summary.json")${PLAIN}"
    say "report: $RUN/report.html"
    exit "$status"
}
