#!/usr/bin/env bash
# run.sh PHASE [release|asan|tsan]: one phase against its contract, with a throwaway PostgreSQL.
#
# Builds both, starts the server, runs the black-box suite, holds every exchange against
# openapi.yaml, stops the server, then sees how it starts and ends. Prints what Check prints and a
# line `ok NAME` or `not ok NAME` per test of its own; exit status 0 if nothing failed. Logs and
# exchanges stay in build/MODE/contract-phaseN/. DATABASE_URL uses an existing PostgreSQL server.
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

POOL=8           # connections of the server that meets the suite
LOCK_MS=500      # its DB_LOCK_MS: the suite waits for a lock's time-out
THREADS=48       # few, so that requests of different clients meet on one thread
READ_TIMEOUT=1000
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

sockets() { find "/proc/$SERVER_PID/fd" -lname 'socket:*' 2>/dev/null | wc -l; }

# settles NAME LIMIT COMMAND..: what the command prints falls to the limit.
settles() {
    local name=$1 limit=$2 tries value
    shift 2
    for ((tries = 0; tries < SETTLE_TRIES; tries++)); do
        value=$("$@")
        if ((value <= limit)); then break; fi
        sleep 0.1
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
    elif grep -q 'Bearer ' "$1"; then
        printf 'a token in the log'
    fi
}

conform() {
    local status=0
    python3 "$HERE/conform.py" "$HERE/openapi.yaml" "$EXCHANGES" --phase "$phase" \
        >"$RUN/conform.log" 2>&1 || status=$?
    tail -n 1 "$RUN/conform.log"
    grep '^not allowed' "$RUN/conform.log" || :
    verdict "$1" "$( ((status == 0)) || echo "conform.py ended with $status")"
}

suite() {
    local status=0 before
    server_serve DATABASE_URL="$URI" DB_POOL="$POOL" DB_LOCK_MS="$LOCK_MS" \
        HTTP_THREADS="$THREADS" READ_TIMEOUT_MS="$READ_TIMEOUT"
    before=$(sockets)
    "$ROOT/build/$mode/contract" --url "$SERVER_URL" --phase "$phase" --database "$URI" \
        --pid "$SERVER_PID" --read-timeout-ms "$READ_TIMEOUT" --exchanges "$EXCHANGES" || status=$?
    verdict "the suite came to its end" "$( ((status <= 1)) || echo "exit status $status")"
    ((status == 0)) || FAILED=$((FAILED + 1))
    settles "no session is left idle in a transaction" 0 idle_in_transaction
    settles "no socket is left open but the pool's" $((before + POOL)) sockets
    kill -TERM "$SERVER_PID"
    judge_end "SIGTERM after the suite ends with 0, and no sanitizer complained"
    verdict "the log is one JSON object per line" "$(log_is_clean "$SERVER_LOG")"
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
    suite
    lifecycle_tests "$phase" "$URI"
    conform "every exchange is one that openapi.yaml allows"
    startup_tests "$phase" "$URI"
    printf 'contract of phase %d, %s: %d passed beside the suite, %d failed\n' "$phase" "$mode" \
        "$PASSED" "$FAILED"
    ((FAILED == 0))
}

main
