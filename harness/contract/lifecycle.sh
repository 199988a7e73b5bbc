# shellcheck shell=bash
# lifecycle: a server that is told to stop, killed, or without what it needs. Sourced by run.sh;
# lifecycle_tests PHASE URI is the whole of it.

STOP_S=13 # from SIGTERM to the exit, at most
TOLD_S=5  # whoever waits at SIGTERM, at most; the drain, and any wait of the server's, is longer
SMALL=(DB_POOL=2 DB_WORKERS=1) # connections; half of them are the orders' from phase 3 on
PATIENT=(DB_LOCK_MS=9000 DB_STATEMENT_MS=9000 WORKER_STUCK_MS=110000) # longer than any lock is held here

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
        server_serve DATABASE_URL="$URI" "${SMALL[@]}"
        kill "-$signal" "$SERVER_PID"
        judge_end "SIG$signal while idle ends with 0"
    done
    server_serve DATABASE_URL="$URI" "${SMALL[@]}"
    exec 4<>"/dev/tcp/127.0.0.1/$PORT_FREE"
    kill -TERM "$SERVER_PID"
    judge_end "SIGTERM ends with 0 while a silent connection is open"
    exec 4>&-
}

# work_later SECONDS: a request that has a connection and takes its time, and the status that it will
# get: a sleep of so long, or from phase 2 on an order whose row another session holds until work_end.
work_later() {
    if ((PHASE < 2)); then
        WORK_STATUS=200
        ask_later "/debug/sleep?ms=$(awk "BEGIN { print $1 * 1000 }")"
    else
        WORK_STATUS=$((PHASE < 4 ? 201 : 202)) # from 4 on only the worker waits
        hold_row
        order_later $((++USER_ID))
        await_waiters 1
    fi
}

work_end() { if ((PHASE >= 2)); then hold_end; fi; }

stop_in_flight() {
    server_serve DATABASE_URL="$URI" "${SMALL[@]}" "${PATIENT[@]}"
    work_later 1.5
    kill -TERM "$SERVER_PID"
    until grep -q '"stopping"' "$SERVER_LOG"; do nap 0.02; done
    ask /health || :
    verdict "a request while draining is 503" \
        "$(expect_problem 503 overloaded 'Retry-After: [1-9]')"
    verdict "a request while draining closes" \
        "$(expect_problem 503 overloaded 'Connection: close')"
    if ((PHASE >= 2)); then
        ask_admin /debug/pool || :
        verdict "the admin listener answers while the other drains" "$(expect_status 200)"
    fi
    work_end
    ask_result || :
    verdict "SIGTERM lets a request in flight finish" "$(expect_status "$WORK_STATUS")"
    judge_end "SIGTERM with a request in flight ends with 0"
    if ((PHASE >= 2)); then
        verdict "the order in flight has its row" "$( (($(orders_of "$USER_ID" "$USER_ID") == 1)) ||
            echo "$(orders_of "$USER_ID" "$USER_ID") rows")"
    fi
    verdict "nothing listens after the end" "$(port_answers "$PORT_FREE" && echo "port $PORT_FREE answers")"
    if ((PHASE >= 2)); then
        verdict "nothing listens for admins after the end" \
            "$(port_answers "$ADMIN_FREE" && echo "port $ADMIN_FREE answers")"
    fi
}

stop_twice() {
    server_serve DATABASE_URL="$URI" "${SMALL[@]}" "${PATIENT[@]}"
    work_later 1
    kill -TERM "$SERVER_PID"
    until grep -q '"stopping"' "$SERVER_LOG"; do nap 0.02; done
    kill -TERM "$SERVER_PID"
    work_end
    ask_result || :
    verdict "SIGTERM twice lets a request in flight finish" "$(expect_status "$WORK_STATUS")"
    judge_end "SIGTERM twice ends with 0"
}

# orders_of FIRST LAST: rows of these users.
orders_of() { ask_sql "SELECT count(*) FROM orders WHERE user_id BETWEEN $1 AND $2"; }

# One order is with the worker, the others stand in line: each is done or told, none is left alone.
stop_with_a_line() {
    local count=5 first=$((USER_ID + 1)) i pids=() told=0 bought=0 other='' status
    server_serve DATABASE_URL="$URI" "${SMALL[@]}" "${PATIENT[@]}" ORDER_DEADLINE_MS=8000
    hold_row
    for ((i = 0; i < count; i++)); do
        _order_options $((++USER_ID))
        curl -s -o "$RUN/line.$i.body" -w '%{http_code}' --max-time 30 "${ORDER_OPTIONS[@]}" \
            "$SERVER_URL/orders" >"$RUN/line.$i" &
        pids+=($!)
    done
    for ((i = 0; i < 200; i++)); do
        (($(metric flashdeal_queue_length) < count - 1)) || break
        nap 0.02
    done
    verdict "a line can be seen before the stop" "$( ((i < 200)) || echo "no line of $((count - 1))")"
    kill -TERM "$SERVER_PID"
    until grep -q '"stopping"' "$SERVER_LOG"; do nap 0.02; done
    hold_end
    wait "${pids[@]}" || :
    for ((i = 0; i < count; i++)); do
        status=$(<"$RUN/line.$i")
        case $status in
        201) bought=$((bought + 1)) ;;
        503) told=$((told + 1)) ;;
        *) other+="$status " ;;
        esac
    done
    verdict "SIGTERM: whoever stands in line is served or told" \
        "$( ((bought >= 1 && bought + told == count)) || echo "$bought served, $told told, else: $other")"
    verdict "SIGTERM: who was served has his order, and nobody else" \
        "$( (($(orders_of "$first" "$USER_ID") == bought)) || echo "$bought served, $(orders_of "$first" "$USER_ID") orders")"
    judge_end "SIGTERM with orders in line ends with 0"
}

# The one connection for reads is taken: who waits for it is told before it is free again.
stop_with_a_reader_in_line() {
    local tries status=0 waiter
    server_serve DATABASE_URL="$URI" "${SMALL[@]}" "${PATIENT[@]}" DB_ACQUIRE_MS=30000
    hold_table
    ask_later /sales/1
    await_waiters 1
    curl -s -o "$RUN/reader.body" -w '%{http_code}' --max-time "$TOLD_S" "$SERVER_URL/sales/1" \
        >"$RUN/reader" &
    waiter=$!
    for ((tries = 0; tries < 200; tries++)); do
        (($(metric flashdeal_db_pool_waiters 'pool="reads"') < 1)) || break
        nap 0.02
    done
    verdict "a reader can be seen in line before the stop" "$( ((tries < 200)) || echo "nobody waits")"
    kill -TERM "$SERVER_PID"
    wait "$waiter" || status=$?
    verdict "SIGTERM: a reader in line is told at once" \
        "$([[ $(<"$RUN/reader") == 503 ]] || echo "curl ended with $status, status $(<"$RUN/reader")")"
    hold_end
    ask_result || :
    verdict "SIGTERM: who has the connection is answered" "$(expect_status 200)"
    judge_end "SIGTERM with a reader in line ends with 0"
}

sessions_of_server() {
    ask_sql "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'phase$1'"
}

kill_and_restart() {
    local why=''
    server_serve DATABASE_URL="$URI" "${SMALL[@]}" "${PATIENT[@]}"
    work_later 2
    server_kill
    ask_result || :
    server_spawn DATABASE_URL="$URI" "${SMALL[@]}"
    server_ready || why="it does not serve: $(tail -n 1 "$SERVER_LOG")"
    verdict "kill -9, then the same port serves again" "$why"
    ask /sales/1 || :
    verdict "kill -9, then the sale can be read" "$(expect_status 200)"
    if ((PHASE >= 2)); then killed_order_is_gone; fi
    kill -TERM "$SERVER_PID"
    judge_end "the restarted server ends with 0"
    why=$(sessions_left "$1")
    verdict "no session is left in the database" "$why"
}

# The order that the dead server had begun: its session ends when it has the row.
killed_order_is_gone() {
    work_end
    settles "kill -9 leaves no session idle in a transaction" 0 idle_in_transaction
    order $((USER_ID + 1)) || :
    verdict "kill -9, then an order goes through" "$(expect_status "$WORK_STATUS")"
    if ((PHASE < 4)); then
        verdict "kill -9 leaves no order that nobody was told of" \
            "$( (($(orders_of "$USER_ID" "$USER_ID") == 0)) || echo "it is there")"
    elif ((PHASE < 7)); then
        verdict "kill -9 loses what was accepted: it was in memory only" \
            "$( (($(orders_of "$USER_ID" "$USER_ID") == 0)) || echo "it is there")"
    fi
    USER_ID=$((USER_ID + 1))
}

# Empty once the server's sessions are gone.
sessions_left() {
    local tries left=0
    for ((tries = 0; tries < 50; tries++)); do
        left=$(sessions_of_server "$1")
        if ((left == 0)); then return 0; fi
        nap 0.1
    done
    printf '%s sessions' "$left"
}

# Phase 0 waits without bound, and that is its lesson; from 1 on the wait ends in a 503.
# From phase 2 on a read holds the connection: it waits for the table that another session holds. From
# phase 4 on it reads an order, which nobody remembers, for sales come from memory.
pool_exhausted() {
    local status=0 pool=(DB_POOL=1) path=/sales/1 good=200
    local unknown=/orders/0f8fad5b-d9cb-469f-a165-70867728950e
    USER_OPTIONS=()
    if (($1 >= 4)); then
        path=$unknown good=404
        _user_options 7
    fi
    if (($1 >= 3)); then pool=("${SMALL[@]}"); fi
    server_serve DATABASE_URL="$URI" "${pool[@]}" "${PATIENT[@]}" DB_ACQUIRE_MS=300
    if (($1 < 2)); then
        ask_later '/debug/sleep?ms=2000'
    else
        if (($1 >= 4)); then hold_orders; else hold_table; fi
        ask_later "$path" "${USER_OPTIONS[@]}"
        await_waiters 1
    fi
    if (($1 == 0)); then
        ask /sales/1 --max-time 0.7 || status=$?
        verdict "an exhausted pool makes phase 0 wait" \
            "$( ((status == 28)) || echo "curl ended with $status, status $REPLY_STATUS")"
    else
        ask "$path" "${USER_OPTIONS[@]}" || :
        verdict "an exhausted pool is 503 with Retry-After" \
            "$(expect_problem 503 overloaded 'Retry-After: [1-9]')"
    fi
    if (($1 >= 4)); then
        ask /sales/1 || :
        verdict "an exhausted pool leaves sales alone" "$(expect_status 200)"
    fi
    ask /health || :
    verdict "an exhausted pool leaves /health alone" "$(expect_status 200)"
    work_end
    ask_result || :
    verdict "whoever held the pool is answered" "$(expect_status "$good")"
    ask "$path" "${USER_OPTIONS[@]}" || :
    verdict "the pool works again" "$(expect_status "$good")"
    kill -TERM "$SERVER_PID"
    judge_end "the exhausted server ends with 0"
}

database_restarts() {
    local deadline
    [[ -n $PG_POSTMASTER ]] || return 0 # DATABASE_URL: not ours to stop
    server_serve DATABASE_URL="$URI" "${SMALL[@]}" DB_ACQUIRE_MS=300
    ask /sales/1 || :
    postgres_down
    ask /health || :
    verdict "without its database the server answers /health" "$(expect_status 200)"
    if (($1 >= 1 && $1 < 4)); then
        ask /sales/1 || :
        verdict "without its database a sale is 503" \
            "$(expect_problem 503 overloaded 'Retry-After: [1-9]')"
    fi
    postgres_up
    deadline=$((SECONDS + 15))
    until ask /sales/1 --max-time 2 && [[ $REPLY_STATUS == 200 ]]; do
        if ((SECONDS >= deadline)); then break; fi
        nap 0.1
    done
    verdict "with its database back the server reconnects" "$(expect_status 200)"
    kill -TERM "$SERVER_PID"
    judge_end "the reconnected server ends with 0"
}

lifecycle_tests() {
    PHASE=$1 URI=$2
    USER_ID=$((SECONDS + 1000))
    stop_while_idle
    stop_in_flight
    stop_twice
    if ((PHASE == 3)); then
        stop_with_a_line
        stop_with_a_reader_in_line
    fi
    kill_and_restart "$1"
    pool_exhausted "$1"
    database_restarts "$1"
}
