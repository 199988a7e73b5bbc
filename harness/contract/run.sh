#!/usr/bin/env bash
# run.sh PHASE [release|asan|tsan]: one phase against its contract, with a throwaway PostgreSQL.
#
# Builds both, starts the server, runs the black-box suite, stops the server, then sees what it logs
# and how it starts and ends, and holds every exchange against openapi.yaml. From phase 3 on the suite
# meets two more servers: one with a short queue and a low rate, and one without AUTH_SECRET; from
# phase 4 on also one that forgets soon. Prints what Check prints and a line `ok NAME` or `not ok NAME` per test of its own; exit status 0 if nothing
# failed. Logs and exchanges stay in build/MODE/contract-phaseN/. DATABASE_URL uses an existing
# PostgreSQL server.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
# shellcheck source=harness/lib/postgres.sh
source "$ROOT/harness/lib/postgres.sh"
# shellcheck source=harness/contract/server.sh
source "$ROOT/harness/contract/server.sh"
# shellcheck source=harness/contract/startup.sh
source "$ROOT/harness/contract/startup.sh"
# shellcheck source=harness/contract/lifecycle.sh
source "$ROOT/harness/contract/lifecycle.sh"
# shellcheck source=harness/contract/async.sh
source "$ROOT/harness/contract/async.sh"
# shellcheck source=harness/contract/stuck.sh
source "$ROOT/harness/contract/stuck.sh"
# shellcheck source=harness/contract/batches.sh
source "$ROOT/harness/contract/batches.sh"
# shellcheck source=harness/contract/telemetry.sh
source "$ROOT/harness/contract/telemetry.sh"

POOL=8           # connections of the server that meets the suite
WORKERS=4        # of them, from phase 3 on
QUEUE=28         # orders that may stand in line there: so many draw no single Retry-After by chance
LOCK_MS=1000     # its DB_LOCK_MS: the suite waits for a lock's time-out
THREADS=48       # few, so that requests of different clients meet on one thread
THREADS_QUEUED=96 # as few as a queue and its workers allow
RATE=10000       # so many that nobody is refused, but where that is what is tested:
LOW_RATE=5
DEADLINE_MS=1000 # an order's in line, there
READ_TIMEOUT=1000
REFRESH_MS=20    # SALES_REFRESH_MS, from phase 4 on: the suite waits for what it has changed
LONGPOLL=8       # orders that may be waited for, there
TICKETS=256      # orders that are remembered, where they are to be forgotten soon: the fewest allowed
SANITIZED_UNTIMED=20 # percent of an order's time in no stage: a sanitizer slows down what is between
SETTLE_TRIES=50  # of 0.1 s, until sessions and descriptors are given back
HERE=$ROOT/harness/contract

case ${1-} in
--help | -h) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
[0-8]) phase=$1 ;;
*) usage "run.sh PHASE [release|asan|tsan]" ;;
esac
mode=${2:-release}
[[ $mode =~ ^(release|asan|tsan)$ ]] || usage "mode is release, asan or tsan, not '$mode'"
[[ -d $ROOT/phase$phase ]] || usage "there is no phase $phase"

build() {
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s --no-print-directory -C "$ROOT" -j "$(nproc)" \
        MODE="$mode" "build/$mode/phase$phase/server" "build/$mode/contract" >/dev/null ||
        die "it does not build: make MODE=$mode build/$mode/phase$phase/server build/$mode/contract"
    SERVER_BIN=$ROOT/build/$mode/phase$phase/server
}

idle_in_transaction() {
    psql -X -A -t -q -d "$URI" -c "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
}

# (find is not content where one is closed while it looks.)
sockets() { { find "/proc/$SERVER_PID/fd" -lname 'socket:*' 2>/dev/null || :; } | wc -l; }

# settles NAME LIMIT COMMAND..: what the command prints falls to the limit.
settles() {
    local name=$1 limit=$2 tries value
    shift 2
    for ((tries = 0; tries < SETTLE_TRIES; tries++)); do
        value=$("$@")
        if ((value <= limit)); then break; fi
        nap 0.1
    done
    verdict "$name" "$( ((value <= limit)) || echo "$value, not $limit")"
}

# Every line one JSON object, whatever was sent: sanitizers' reports are judged apart.
log_is_clean() {
    local lines objects
    lines=$(wc -l <"$1")
    objects=$(jq -R 'fromjson? | objects | 1' "$1" | wc -l)
    if ((lines == 0 || lines != objects)); then
        printf '%d of %d lines are JSON objects' "$objects" "$lines"
    elif LC_ALL=C grep -q $'[\x01-\x09\x0b-\x1f\x7f]' "$1"; then
        printf 'a control byte in the log'
    elif grep -qF -e 'Bearer ' -e "$SECRET" "$1"; then
        printf 'a token or a secret in the log'
    elif grep -q 'zQxJ7canary' "$1"; then # CANARY, judge.h
        printf 'what a client sent, in the log: %s' "$(grep -m 1 'zQxJ7canary' "$1")"
    fi
}

# As many lines as requests, slow ones and errors among them.
log_is_complete() {
    local tries requests lines
    for ((tries = 0; tries < SETTLE_TRIES; tries++)); do
        requests=$(metric flashdeal_http_requests_total)
        lines=$(jq -R 'fromjson? | select(.event == "request") | 1' "$SERVER_LOG" | wc -l)
        if ((requests > 0 && requests == lines)); then return 0; fi
        nap 0.1
    done
    printf '%s lines of %s requests' "$lines" "$requests"
}

# What Prometheus' own tool says of /metrics; make check unpacks it where it is not installed.
promtool_agrees() {
    local status=0 said PATH=$PATH:$ROOT/build/packages/prometheus/usr/bin
    if ! command -v promtool >/dev/null; then
        printf 'skip promtool reads /metrics: it is not installed\n'
        return 0
    fi
    said=$(curl -sf "$ADMIN_URL/metrics" | promtool check metrics 2>&1) || status=$?
    verdict "promtool reads /metrics" "$( ((status == 0)) || echo "status $status: $said")"
}

conform() {
    local status=0
    python3 "$HERE/conform.py" "$HERE/openapi.yaml" "$EXCHANGES" --phase "$phase" \
        >"$RUN/conform.log" 2>&1 || status=$?
    tail -n 1 "$RUN/conform.log"
    grep '^not allowed' "$RUN/conform.log" || :
    verdict "$1" "$( ((status == 0)) || echo "conform.py ended with $status")"
}

# suite GROUP NAME SUITE_OPTION.. -- VAR=value..: the group's tests against a server with these
# settings; NAME says which one it was.
suite() {
    local group=$1 name=$2 status=0 before options=() one_by_one=()
    # From phase 6 on a sale has its share of the workers, one takes many orders at once, and those
    # that are taken keep their places: here the suite meets as many waiters and places as before.
    if ((phase >= 6)); then one_by_one=(SALE_WORKERS="$WORKERS" BATCH_MAX=1 QUEUE_MAX="$((QUEUE + WORKERS))"); fi
    shift 2
    while [[ $1 != -- ]]; do
        options+=("$1")
        shift
    done
    shift
    server_serve DATABASE_URL="$URI" DB_POOL="$POOL" DB_WORKERS="$WORKERS" QUEUE_MAX="$QUEUE" \
        SALES_REFRESH_MS="$REFRESH_MS" LONGPOLL_MAX="$LONGPOLL" "${one_by_one[@]}" "$@"
    before=$(sockets)
    if ((phase >= 2)); then options+=(--admin-url "$ADMIN_URL" --log "$SERVER_LOG"); fi
    "$ROOT/build/$mode/contract" --url "$SERVER_URL" --phase "$phase" --group "$group" \
        --database "$URI" --pid "$SERVER_PID" --exchanges "$EXCHANGES" --db-pool "$POOL" \
        --db-workers "$WORKERS" --queue-max "$QUEUE" --longpoll-max "$LONGPOLL" "${options[@]}" ||
        status=$?
    verdict "the suite came to its end$name" "$( ((status <= 1)) || echo "exit status $status")"
    ((status == 0)) || FAILED=$((FAILED + 1))
    settles "no session is left idle in a transaction$name" 0 idle_in_transaction
    # From phase 2 on /debug/locks has a connection of its own.
    settles "no socket is left open but the pools'$name" $((before + POOL + (phase >= 2))) sockets
    if ((phase >= 2)); then
        verdict "the log has a line for each request$name" "$(log_is_complete)"
        promtool_agrees
    fi
    kill -TERM "$SERVER_PID"
    judge_end "SIGTERM after the suite ends with 0, and no sanitizer complained$name"
    verdict "the log is one JSON object per line$name" "$(log_is_clean "$SERVER_LOG")"
}

suites() {
    local threads=$THREADS slowed=()
    if ((phase >= 3)); then threads=$THREADS_QUEUED; fi
    if [[ $mode != release ]]; then slowed=(--untimed-percent "$SANITIZED_UNTIMED"); fi
    suite whole '' --secret "$SECRET" --threads "$threads" --read-timeout-ms "$READ_TIMEOUT" \
        "${slowed[@]}" -- \
        DB_LOCK_MS="$LOCK_MS" HTTP_THREADS="$threads" READ_TIMEOUT_MS="$READ_TIMEOUT" \
        RATE_LIMIT="$RATE" LOG_SLOW_MS=5000
    if ((phase < 3)); then return 0; fi
    suite admission ', under pressure' --secret "$SECRET" --threads "$threads" \
        --order-deadline-ms "$DEADLINE_MS" --rate-limit "$LOW_RATE" -- HTTP_THREADS="$threads" \
        DB_LOCK_MS=5000 RATE_LIMIT="$LOW_RATE" ORDER_DEADLINE_MS="$DEADLINE_MS"
    SECRET_SET=()
    suite trusting ', without a secret' --threads "$threads" -- HTTP_THREADS="$threads" \
        DB_LOCK_MS=500 RATE_LIMIT="$RATE"
    SECRET_SET=("AUTH_SECRET=$SECRET")
    if ((phase < 4)); then return 0; fi
    suite forgetful ', with few tickets' --secret "$SECRET" --threads "$threads" \
        --tickets-max "$TICKETS" -- HTTP_THREADS="$threads" DB_LOCK_MS=5000 RATE_LIMIT="$RATE" \
        TICKETS_MAX="$TICKETS"
}

main() {
    build
    RUN=$ROOT/build/$mode/contract-phase$phase
    rm -rf "$RUN"
    mkdir -p "$RUN"
    EXCHANGES=$RUN/exchanges.jsonl
    : >"$EXCHANGES"
    on_exit server_kill
    postgres_start "contract$phase"
    URI=$(postgres_database contract)
    postgres_apply "$URI" "$ROOT/phase$phase/schema.sql" "$ROOT/phase$phase/seed.sql"
    suites
    lifecycle_tests "$phase" "$URI"
    if ((phase >= 4)); then
        async_tests "$phase" "$URI"
        stuck_tests "$phase" "$URI"
    fi
    if ((phase >= 6)); then batches_tests "$phase" "$URI"; fi
    telemetry_tests "$phase" "$URI"
    conform "every exchange is one that openapi.yaml allows"
    startup_tests "$phase" "$URI"
    printf 'contract of phase %d, %s: %d passed beside the suite, %d failed\n' "$phase" "$mode" \
        "$PASSED" "$FAILED"
    ((FAILED == 0))
}

main
