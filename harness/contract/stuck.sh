# shellcheck shell=bash
# stuck: workers that hang where nothing bounds them (from phase 4). Sourced by run.sh; stuck_tests
# PHASE URI is the whole of it.
#
# libpq reads its service file for each connection that it makes, with no deadline of ours: where that
# file is a pipe that nobody writes to, the thread hangs until somebody does. So it is not the database
# that hangs, whose every answer is waited for within a bound that WORKER_STUCK_MS must exceed.

# A try may take 2500 + 10 x (150 + 1000) ms.
STUCK=(DB_POOL=4 DB_WORKERS=3 SALE_WORKERS=3 BATCH_MAX=1 DB_STATEMENT_MS=150 WORKER_STUCK_MS=14001)
STUCK_S=30 # until it is seen, and somebody else has done it

# next_connection FILE: what libpq reads from now on.
next_connection() { mv "$1" "$RUN/service"; }

service_text() { printf '[flashdeal]\nkeepalives=1\n'; }

# hang PIPE COUNT: an order whose worker hangs there; it is the COUNTth.
hang() {
    mkfifo "$RUN/pipe"
    ln "$RUN/pipe" "$RUN/$1" # a name that stays
    next_connection "$RUN/pipe"
    place 1
    settles "order $2 is accepted and a worker has it${WHY:+: $WHY}" 0 missing "$2" \
        flashdeal_order_queue_unacked
    nap 1 # from there to the pipe
}

# missing COUNT METRIC [LABELS]: how many less than COUNT the metric is.
missing() { echo $(($1 - $(metric "${@:2}"))); }

await_metric() {
    local deadline=$((SECONDS + STUCK_S))
    until (($(metric "${@:2}") == $1)); do
        if ((SECONDS >= deadline)); then printf '%s, not %s' "$(metric "${@:2}")" "$1" && return; fi
        nap 0.2
    done
}

workers_hang() {
    local first=$((USER_ID + 1))
    service_text >"$RUN/service"
    server_serve DATABASE_URL="$URI" PGSERVICE=flashdeal PGSERVICEFILE="$RUN/service" "${STUCK[@]}"
    hang first 1
    hang second 2
    service_text >"$RUN/service.next"
    next_connection "$RUN/service.next"
    verdict "workers that hang are replaced" \
        "$(await_metric 2 flashdeal_workers_replaced_total 'why="stuck"')"
    verdict "others decide what they had" "$(until_rows "$first" 2)"
    verdict "workers that hang are shown" "$(await_metric 2 flashdeal_workers_hanging)"
    service_text >"$RUN/first"
    verdict "one that comes back ends" "$(await_metric 1 flashdeal_workers_hanging)"
    verdict "orders of workers that hung have one row" "$(expect_rows "$first" "$USER_ID")"
    verdict "orders of workers that hung cost their stock" "$(stock_is_wrong)"
    kill -TERM "$SERVER_PID"
    judge_end "a server with a worker that hangs and has nothing ends with 0"
    verdict "it says that one hangs" "$(grep -q '"event":"workers_hang","threads":1}' "$SERVER_LOG" ||
        tail -n 1 "$SERVER_LOG")"
    verdict "it says of no order that it is lost" "$(grep -m 1 orders_lost "$SERVER_LOG" || :)"
    rm -f "$RUN"/{service,first,second}
}

# until_rows FIRST COUNT: empty when so many are confirmed.
until_rows() {
    local deadline=$((SECONDS + DECIDED_S))
    until (($(confirmed_rows "$1" "$USER_ID") == $2)); do
        if ((SECONDS >= deadline)); then expect_rows "$1" "$USER_ID" && return; fi
        nap 0.1
    done
}

stuck_tests() {
    URI=$2
    USER_ID=$((SECONDS + 400000))
    workers_hang
}
