# shellcheck shell=bash
# telemetry: what a target says of itself, kept for diagnose.sh. Sourced, after target.sh.
#
#   telemetry_watch DIRECTORY NAME SECONDS    in the background (TELEMETRY_PID), for as long as a window
#                                             of load_open of so many seconds: /metrics at its
#                                             beginning and after each quarter, NAME.0.prom to
#                                             NAME.4.prom; meanwhile samples of /debug, a reply
#                                             a line: NAME.debug.jsonl
#   telemetry_gauges FILE SECONDS             in the background: /metrics of a window of so many seconds,
#                                             one sample behind the other
#   telemetry_end                             waits for either
#   telemetry_values NAME FILE                the values of a series without labels in such samples
#   telemetry_total PATTERN                   what the counters whose names match count by now, over all
#                                             labels; empty: there is no admin listener
#   telemetry_diagnose DIRECTORY              diagnose.sh's table; NAMED is what it named. It is told
#                                             nothing else: its environment is empty
#
# A target without an admin listener is asked nothing and leaves no file.

TELEMETRY_SAMPLES_S=10 # of each kind, per second
TELEMETRY_SLICES=4
TELEMETRY_EDGE_S=0.2 # inside the window, so that all that is seen is load
TELEMETRY_PATIENCE_S=2
TELEMETRY_PID='' NAMED=''

_telemetry_get() { curl -sf --max-time $TELEMETRY_PATIENCE_S "$TARGET_ADMIN_URL$1" 2>/dev/null || :; }

# One curl takes all samples, so that it needs little of a machine that is short of processors. It
# has as many to take as fit into the window, and is ended if they take longer.
_telemetry_samples() {
    local i sampler
    sleep "$(calc "$LOAD_WARMUP_S + $TELEMETRY_EDGE_S")"
    _telemetry_get /metrics >"$1/$2.0.prom"
    for ((i = 0; i < $(calc "int($TELEMETRY_SAMPLES_S * $3)"); i++)); do
        printf 'url = "%s"\n' "$TARGET_ADMIN_URL"/debug/{locks,pool}
    done | curl -q -s -K - --rate "$((2 * TELEMETRY_SAMPLES_S))/s" --max-time $TELEMETRY_PATIENCE_S -w '\n' >"$1/$2.debug.jsonl" 2>/dev/null &
    sampler=$!
    postgres_keep "$sampler"
    for ((i = 1; i <= TELEMETRY_SLICES; i++)); do
        sleep "$(calc "($3 - 2 * $TELEMETRY_EDGE_S) / $TELEMETRY_SLICES")"
        _telemetry_get /metrics >"$1/$2.$i.prom"
    done
    kill "$sampler" 2>/dev/null || :
}

telemetry_watch() {
    TELEMETRY_PID=''
    [[ -n $TARGET_ADMIN_URL ]] || return 0
    _telemetry_samples "$@" &
    TELEMETRY_PID=$!
    postgres_keep "$TELEMETRY_PID"
}

# One that answers late has fewer samples; none is taken after the window.
_telemetry_gauges() {
    local i
    sleep "$(calc "$LOAD_WARMUP_S + $TELEMETRY_EDGE_S")"
    for ((i = 0; i < $(calc "int($TELEMETRY_SAMPLES_S * ($2 - 2 * $TELEMETRY_EDGE_S))"); i++)); do
        printf 'url = "%s/metrics"\n' "$TARGET_ADMIN_URL"
    done | timeout "$2" curl -q -s -K - --rate "$TELEMETRY_SAMPLES_S/s" --max-time "$TELEMETRY_PATIENCE_S" >"$1" 2>/dev/null || :
}

telemetry_gauges() {
    TELEMETRY_PID=''
    : >"$1"
    [[ -n $TARGET_ADMIN_URL ]] || return 0
    _telemetry_gauges "$@" &
    TELEMETRY_PID=$!
    postgres_keep "$TELEMETRY_PID"
}

telemetry_values() { awk -v name="$1" '$1 == name { print $2 }' "$2"; }

telemetry_total() {
    [[ -n $TARGET_ADMIN_URL ]] || return 0
    _telemetry_get /metrics | awk -v name="^($1)([{]|\$)" '$1 ~ name { n += $NF } END { print n + 0 }'
}

telemetry_end() { [[ -z $TELEMETRY_PID ]] || wait "$TELEMETRY_PID"; }

telemetry_diagnose() {
    cp "$TARGET_LOG" "$1/server.log"
    env -i PATH="$PATH" bash "$ROOT/harness/lib/diagnose.sh" "$1" >"$1/diagnosis"
    # shellcheck disable=SC2034 # for the scripts
    NAMED=$(sed -n 's/^named: \([a-z]*\).*/\1/p' "$1/diagnosis")
    progress_end
    sed 's/^named: /  it names /' "$1/diagnosis"
}
