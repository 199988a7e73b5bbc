# shellcheck shell=bash
# lifecycle: a server that is told to stop, killed, or without what it needs. Sourced by run.sh;
# lifecycle_tests PHASE URI is the whole of it.

STOP_S=13 # from SIGTERM to the exit, at most

# Judges the end of the server that has just been signalled. (Not in a subshell: it waits for it.)
judge_end() {
    local name=$1 why
    server_wait "$STOP_S"
    why=$(server_complaints "$SERVER_LOG")
    if [[ -z $why && $SERVER_STATUS != 0 ]]; then
        why="exit status $SERVER_STATUS: $(tail -n 1 "$SERVER_LOG")"
    fi
    verdict "$name" "$why"
}

stop_while_idle() {
    local signal
    for signal in TERM INT; do
        server_serve DATABASE_URL="$URI" DB_POOL=2
        kill "-$signal" "$SERVER_PID"
        judge_end "SIG$signal while idle ends with 0"
    done
    server_serve DATABASE_URL="$URI" DB_POOL=2
    exec 4<>"/dev/tcp/127.0.0.1/$PORT_FREE"
    kill -TERM "$SERVER_PID"
    judge_end "SIGTERM ends with 0 while a silent connection is open"
    exec 4>&-
}

stop_in_flight() {
    server_serve DATABASE_URL="$URI" DB_POOL=2
    ask_later '/debug/sleep?ms=1500'
    kill -TERM "$SERVER_PID"
    until grep -q '"stopping"' "$SERVER_LOG"; do sleep 0.02; done
    ask /health || :
    verdict "a request while draining is 503" \
        "$(expect_problem 503 overloaded 'Retry-After: [1-9]')"
    verdict "a request while draining closes" \
        "$(expect_problem 503 overloaded 'Connection: close')"
    ask_result || :
    verdict "SIGTERM lets a request in flight finish" "$(expect_status 200)"
    judge_end "SIGTERM with a request in flight ends with 0"
    verdict "nothing listens after the end" "$(port_answers "$PORT_FREE" && echo "port $PORT_FREE answers")"
}

stop_twice() {
    server_serve DATABASE_URL="$URI" DB_POOL=2
    ask_later '/debug/sleep?ms=1000'
    kill -TERM "$SERVER_PID"
    until grep -q '"stopping"' "$SERVER_LOG"; do sleep 0.02; done
    kill -TERM "$SERVER_PID"
    ask_result || :
    verdict "SIGTERM twice lets a request in flight finish" "$(expect_status 200)"
    judge_end "SIGTERM twice ends with 0"
}

sessions_of_server() {
    psql -X -A -t -q -d "$URI" -c "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'phase$1'"
}

kill_and_restart() {
    local port why=''
    server_serve DATABASE_URL="$URI" DB_POOL=2
    ask_later '/debug/sleep?ms=5000'
    server_kill
    ask_result || :
    port=$PORT_FREE
    server_spawn PORT="$port" DATABASE_URL="$URI" DB_POOL=2
    server_ready || why="it does not serve: $(tail -n 1 "$SERVER_LOG")"
    verdict "kill -9, then the same port serves again" "$why"
    ask /sales/1 || :
    verdict "kill -9, then the sale can be read" "$(expect_status 200)"
    kill -TERM "$SERVER_PID"
    judge_end "the restarted server ends with 0"
    why=$(sessions_left "$1")
    verdict "no session is left in the database" "$why"
}

# Empty once the server's sessions are gone.
sessions_left() {
    local tries left=0
    for ((tries = 0; tries < 50; tries++)); do
        left=$(sessions_of_server "$1")
        if ((left == 0)); then return 0; fi
        sleep 0.1
    done
    printf '%s sessions' "$left"
}

# Phase 0 waits without bound, and that is its lesson; from 1 on the wait ends in a 503.
pool_exhausted() {
    local status=0
    server_serve DATABASE_URL="$URI" DB_POOL=1 DB_ACQUIRE_MS=300
    ask_later '/debug/sleep?ms=2000'
    if (($1 == 0)); then
        ask /sales/1 --max-time 0.7 || status=$?
        verdict "an exhausted pool makes phase 0 wait" \
            "$( ((status == 28)) || echo "curl ended with $status, status $REPLY_STATUS")"
    else
        ask /sales/1 || :
        verdict "an exhausted pool is 503 with Retry-After" \
            "$(expect_problem 503 overloaded 'Retry-After: [1-9]')"
    fi
    ask /health || :
    verdict "an exhausted pool leaves /health alone" "$(expect_status 200)"
    ask_result || :
    verdict "whoever held the pool is answered" "$(expect_status 200)"
    ask /sales/1 || :
    verdict "the pool works again" "$(expect_status 200)"
    kill -TERM "$SERVER_PID"
    judge_end "the exhausted server ends with 0"
}

database_restarts() {
    local deadline
    [[ -n $PG_POSTMASTER ]] || return 0 # DATABASE_URL: not ours to stop
    server_serve DATABASE_URL="$URI" DB_POOL=2 DB_ACQUIRE_MS=300
    ask /sales/1 || :
    postgres_down
    ask /health || :
    verdict "without its database the server answers /health" "$(expect_status 200)"
    if (($1 >= 1)); then
        ask /sales/1 || :
        verdict "without its database a sale is 503" \
            "$(expect_problem 503 overloaded 'Retry-After: [1-9]')"
    fi
    postgres_up
    deadline=$((SECONDS + 15))
    until ask /sales/1 --max-time 2 && [[ $REPLY_STATUS == 200 ]]; do
        if ((SECONDS >= deadline)); then break; fi
        sleep 0.1
    done
    verdict "with its database back the server reconnects" "$(expect_status 200)"
    kill -TERM "$SERVER_PID"
    judge_end "the reconnected server ends with 0"
}

lifecycle_tests() {
    URI=$2
    stop_while_idle
    stop_in_flight
    stop_twice
    kill_and_restart "$1"
    pool_exhausted "$1"
    database_restarts "$1"
}
