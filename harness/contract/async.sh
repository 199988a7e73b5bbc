# shellcheck shell=bash
# async: what was accepted, when the server stops, starts again, or is without its database (from
# phase 4). Sourced by run.sh; async_tests PHASE URI is the whole of it.
#
# Until phase 7 an accepted order is in memory only: a stop works off the queue, and says so if it
# cannot. A database that is away delays orders and fails none.

BRIEF=(DB_LOCK_MS=300 DB_STATEMENT_MS=600) # tries that end soon, so that there are many
DRAINED_S=4  # a stop with DRAIN_MS=700, which leaves who has an order 1 s more; by default it takes 5 s
FROZEN_S=3  # longer than a statement, its grace, and an attempt to connect
ENDS_S=6 # a sale, after its orders: so long may a busy machine take over a few of them
ACCEPTS=10  # orders while the database is away
ACCEPT_S=1  # none of them takes longer than that
READERS=48   # who ask for orders that are only in the database,
READS=32     # of whom so many may wait for it at once: ORDER_READS_MAX
DECIDED_S=20 # until all are decided afterwards

# place COUNT: so many orders, each another user's, from USER_ID + 1 on; their ids in PLACED. Sets WHY
# to what was wrong.
place() {
    local i began status
    PLACED=() WHY=''
    for ((i = 0; i < $1; i++)); do
        status=0
        began=${EPOCHREALTIME/./}
        order $((++USER_ID)) --max-time "$ACCEPT_S" || status=$?
        if [[ $REPLY_STATUS != 202 ]]; then
            WHY="order $((i + 1)): curl ended with $status, $(expect_status 202)"
            WHY+=" after $(((${EPOCHREALTIME/./} - began) / 1000)) ms"
            return 0
        fi
        PLACED+=("$(order_id)")
    done
}

# states FIRST [QUERY]: how many of the placed orders are in which state, the first of them FIRST's.
states() {
    local i user=$1
    for ((i = 0; i < ${#PLACED[@]}; i++)); do
        ask_order "${PLACED[i]}" $((user + i)) "${2-}" || :
        order_status
    done | sort | uniq -c | awk '{ $1 = $1; print }' | paste -s -d , -
}

confirmed_rows() {
    ask_sql "SELECT count(*) FROM orders WHERE status = 'confirmed'
        AND user_id BETWEEN $1 AND $2"
}

# await_confirmed FIRST: empty when all are confirmed, else what they are after DECIDED_S. A ticket is
# final after its row is there.
await_confirmed() {
    local deadline=$((SECONDS + DECIDED_S)) wanted="${#PLACED[@]} confirmed" now
    while (($(confirmed_rows "$1" "$USER_ID") < ${#PLACED[@]} && SECONDS < deadline)); do nap 0.1; done
    now=$(states "$1" '?wait_ms=2000')
    if [[ $now != "$wanted" ]]; then printf '%s, not %s' "$now" "$wanted"; fi
}

expect_rows() {
    local rows
    rows=$(confirmed_rows "$1" "$2")
    if ((rows != $2 - $1 + 1)); then printf '%d rows, not %d' "$rows" $(($2 - $1 + 1)); fi
}

stop_works_off_the_line() {
    local first=$((USER_ID + 1))
    server_serve DATABASE_URL="$URI" "${SMALL[@]}" "${PATIENT[@]}" QUEUE_MAX=50
    hold_row
    place "$ACCEPTS"
    verdict "orders are accepted while the row is held" "$WHY"
    kill -TERM "$SERVER_PID"
    until grep -q '"stopping"' "$SERVER_LOG"; do nap 0.02; done
    order $((USER_ID + 1)) || :
    verdict "SIGTERM: no further order is accepted" \
        "$(expect_problem 503 overloaded 'Retry-After: [1-9]')"
    hold_end
    judge_end "SIGTERM with orders in line ends with 0"
    verdict "SIGTERM: every accepted order has its row" "$(expect_rows "$first" "$USER_ID")"
    verdict "SIGTERM: no order is said to be lost" "$(grep -m 1 orders_lost "$SERVER_LOG" || :)"
}

# The row is not let go: what cannot be decided in DRAIN_MS is lost, counted, and no success.
stop_is_bounded() {
    local count=5 lost began=$SECONDS
    server_serve DATABASE_URL="$URI" "${SMALL[@]}" "${BRIEF[@]}" DRAIN_MS=700
    hold_row
    place "$count"
    kill -TERM "$SERVER_PID"
    server_wait "$DRAINED_S"
    verdict "SIGTERM with a row held for ever ends with 1" "$( ((SERVER_STATUS == 1)) ||
        echo "exit status $SERVER_STATUS after $((SECONDS - began)) s")"
    lost=$(jq -R 'fromjson? | select(.event == "orders_lost") | .orders' "$SERVER_LOG")
    verdict "SIGTERM with a row held for ever says what is lost" \
        "$([[ $lost == "$count" ]] || echo "orders_lost: ${lost:-no line}, not $count")"
    verdict "SIGTERM with a row held for ever: no sanitizer complained" \
        "$(server_complaints "$SERVER_LOG")"
    hold_end
    settles "lost orders leave no session idle in a transaction" 0 idle_in_transaction
    verdict "lost orders leave no row" "$( (($(orders_of $((USER_ID - count + 1)) "$USER_ID") == 0)) ||
        echo "$(orders_of $((USER_ID - count + 1)) "$USER_ID") rows")"
}

# A sale that comes while the server runs can be read within SALES_REFRESH_MS, and not sooner than it is
# read: with an hour it is not there.
sales_are_refreshed() {
    local refresh_ms tries
    for refresh_ms in 60000 200; do
        server_serve DATABASE_URL="$URI" "${SMALL[@]}" SALES_REFRESH_MS="$refresh_ms"
        ask_sql "INSERT INTO sales SELECT $refresh_ms, name, price_cents, 5, 5, per_user_limit, starts_at,
            ends_at FROM sales WHERE id = 1"
        for ((tries = 0; tries < 20; tries++)); do
            nap 0.1
            ask "/sales/$refresh_ms" || :
            [[ $REPLY_STATUS != 200 ]] || break
        done
        if ((refresh_ms > 1000)); then
            verdict "a new sale is not there before sales are read again" "$(expect_status 404)"
        else
            verdict "a new sale is there after SALES_REFRESH_MS" "$(expect_status 200)"
            _order_options $((++USER_ID))
            ask_new_sale "$refresh_ms"
            verdict "and can be ordered from" "$(expect_status 202)"
        fi
        kill -TERM "$SERVER_PID"
        judge_end "the server that was given a new sale ends with 0"
    done
}

# One unit of another sale, as ORDER_OPTIONS orders one of the first.
ask_new_sale() {
    _ask public POST "$SERVER_URL" /orders "${ORDER_OPTIONS[@]:0:${#ORDER_OPTIONS[@]}-1}" \
        "{\"sale_id\":$1,\"user_id\":$USER_ID,\"quantity\":1}" || :
}

# slow_way SECONDS DIRECTORY: the database's socket, with a way to it on which whoever connects is heard
# so much later; SLOW_PID.
slow_way() {
    mkdir -p "$2"
    python3 -c 'import socket, sys, threading, time
def pass_on(source, sink):
    while data := source.recv(65536):
        sink.sendall(data)
    sink.shutdown(socket.SHUT_RDWR)
def serve(client):
    time.sleep(float(sys.argv[1]))
    server = socket.socket(socket.AF_UNIX)
    server.connect(sys.argv[2])
    threading.Thread(target=pass_on, args=(server, client), daemon=True).start()
    pass_on(client, server)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[3])
listener.listen(64)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()' \
        "$1" "$PG_DIR"/.s.PGSQL.*[0-9] "$2/$(basename "$PG_DIR"/.s.PGSQL.*[0-9])" 2>/dev/null &
    SLOW_PID=$!
    postgres_keep "$SLOW_PID"
}

# The workers wait for a connection for as long as making one may take: 2 s.
connects_take_long() {
    [[ -n $PG_POSTMASTER ]] || return 0
    slow_way 1.5 "$PG_DIR/slow"
    server_serve DATABASE_URL="${URI/host=$PG_DIR/host=$PG_DIR/slow}" "${SMALL[@]}"
    place 1
    verdict "orders are decided where making a connection takes 1.5 s" \
        "$(await_confirmed "$USER_ID")"
    kill -TERM "$SERVER_PID"
    judge_end "the server whose connections took long ends with 0"
    kill "$SLOW_PID"
    rm -r "$PG_DIR/slow"
}

stop_lets_waiters_go() {
    local began
    server_serve DATABASE_URL="$URI" "${SMALL[@]}" "${PATIENT[@]}"
    hold_row
    place 1
    _user_options "$USER_ID"
    ask_later "/orders/${PLACED[0]}?wait_ms=10000" "${USER_OPTIONS[@]}"
    began=$SECONDS
    kill -TERM "$SERVER_PID"
    ask_result || :
    verdict "SIGTERM: whoever waits for an order is told at once" \
        "$([[ $REPLY_STATUS =~ ^(200|503)$ ]] && ((SECONDS - began < TOLD_S)) ||
            echo "status ${REPLY_STATUS:-none} after $((SECONDS - began)) s")"
    hold_end
    judge_end "SIGTERM with somebody who waits ends with 0"
    verdict "SIGTERM: what he waited for is decided" "$(expect_rows "$USER_ID" "$USER_ID")"
}

# Orders that nobody remembers are looked for in the database, and who waits for it holds a thread.
reads_have_a_bound() {
    local told
    _user_options "$USER_ID"
    told=$(curl -s -Z --parallel-immediate --parallel-max "$READERS" --max-time "$ACCEPT_S" -o /dev/null -w '%{http_code}\n' \
        "${USER_OPTIONS[@]}" "$SERVER_URL/orders/0f8fad5b-d9cb-469f-a165-7086772890[10-$((9 + READERS))]" 2>/dev/null | grep -c 503) || :
    verdict "with its database frozen not all who ask for an old order wait" \
        "$( ((told >= READERS - READS)) || echo "$told of $READERS were told at once")"
}

# Stopped, but for its sockets: nothing is answered, nothing refused.
database_freezes() {
    local first=$((USER_ID + 1)) why='' now
    [[ -n $PG_POSTMASTER ]] || return 0 # DATABASE_URL: not ours to stop
    server_serve DATABASE_URL="$URI" "${SMALL[@]}" "${BRIEF[@]}"
    order $((++USER_ID)) || :
    first=$((USER_ID + 1))
    postgres_freeze
    place "$ACCEPTS"
    verdict "with its database frozen the server accepts orders" "$WHY"
    now=$(states "$first")
    verdict "with its database frozen orders are pending" \
        "$([[ $now == "$ACCEPTS pending" ]] || echo "$now")"
    ask /sales/1 --max-time "$ACCEPT_S" || :
    verdict "with its database frozen a sale can be read" "$(expect_status 200)"
    reads_have_a_bound
    sleep "$FROZEN_S"
    now=$(states "$first")
    verdict "with its database frozen no order fails" \
        "$([[ $now == "$ACCEPTS pending" ]] || echo "$now")"
    postgres_thaw
    why=$(await_confirmed "$first")
    verdict "with its database back every order is decided" "$why"
    verdict "with its database back every order has one row" "$(expect_rows "$first" "$USER_ID")"
    verdict "with its database back the stock is right" "$(stock_is_wrong)"
    kill -TERM "$SERVER_PID"
    judge_end "the server that was without an answer ends with 0"
}

stock_is_wrong() {
    ask_sql "SELECT s.* FROM audit_sales s WHERE sale_id = 1 AND stock_total <> stock_left +
        (SELECT coalesce(sum(quantity), 0) FROM audit_orders o
        WHERE o.sale_id = s.sale_id AND status = 'confirmed')"
}

database_goes() {
    local first=$((USER_ID + 1)) why='' now
    [[ -n $PG_POSTMASTER ]] || return 0
    server_serve DATABASE_URL="$URI" "${SMALL[@]}" DB_ACQUIRE_MS=300
    postgres_down
    place "$ACCEPTS"
    verdict "without its database the server accepts orders" "$WHY"
    ask /sales/1 || :
    verdict "without its database a sale can be read" "$(expect_status 200)"
    ask_order 0f8fad5b-d9cb-469f-a165-70867728950e "$USER_ID" || :
    verdict "without its database an order that nobody remembers is 503" \
        "$(expect_problem 503 overloaded 'Retry-After: [1-9]')"
    nap 1
    now=$(states "$first")
    verdict "without its database no order fails" "$([[ $now == "$ACCEPTS pending" ]] || echo "$now")"
    postgres_up
    why=$(await_confirmed "$first")
    verdict "with its database up again every order is decided" "$why"
    verdict "with its database up again every order has one row" \
        "$(expect_rows "$first" "$USER_ID")"
    kill -TERM "$SERVER_PID"
    judge_end "the server that was without its database ends with 0"
}

# A database that goes and comes back does not turn away who is starting: design, DB_WAIT_MS. An
# accepted order is judged by when it was accepted, so it is confirmed after the sale's end too.
sale_ends_meanwhile() {
    local why
    [[ -n $PG_POSTMASTER ]] || return 0
    server_serve DATABASE_URL="$URI" "${SMALL[@]}" DB_ACQUIRE_MS=300
    ask_sql "UPDATE sales SET ends_at = clock_timestamp() + interval '$ENDS_S s' WHERE id = 1"
    postgres_down
    place 3
    verdict "orders are accepted shortly before the sale ends" "$WHY"
    nap "$ENDS_S"
    postgres_up
    why=$(await_confirmed $((USER_ID - 2)))
    verdict "orders accepted in time are confirmed after the sale's end" "$why"
    order $((++USER_ID)) || :
    ask_order "$(order_id)" "$USER_ID" '?wait_ms=5000' || :
    verdict "an order accepted after the sale's end is rejected" \
        "$([[ $(order_status) == "rejected sale_ended" ]] || order_status)"
    ask_sql "UPDATE sales SET ends_at = '2099-01-01' WHERE id = 1"
    kill -TERM "$SERVER_PID"
    judge_end "the server whose sale ended meanwhile ends with 0"
}

# From phase 5 on: the key outlives the process.
restart_keeps_keys() {
    local id state
    ORDER_KEY=run-$$-kept
    server_serve DATABASE_URL="$URI" "${SMALL[@]}"
    order $((++USER_ID)) || :
    id=$(order_id)
    kill -TERM "$SERVER_PID"
    judge_end "the server that has a key ends with 0"
    server_serve DATABASE_URL="$URI" "${SMALL[@]}"
    order "$USER_ID" || :
    verdict "after a restart the same key is accepted" "$(expect_status 202)"
    verdict "after a restart the same key has the same order" \
        "$([[ $(order_id) == "$id" ]] || echo "$(order_id), not $id")"
    ask_order "$id" "$USER_ID" '?wait_ms=5000' || :
    state=$(order_status)
    verdict "after a restart the first order is shown" \
        "$([[ $state == confirmed ]] || echo "$state")"
    verdict "after a restart a key has one row" "$(expect_rows "$USER_ID" "$USER_ID")"
    kill -TERM "$SERVER_PID"
    judge_end "the server that was given the key again ends with 0"
    ORDER_KEY=''
}

# From phase 5 on: who sends an order again that kill -9 took, with its key, has it once.
killed_order_comes_back() {
    local id
    ORDER_KEY=run-$$-killed
    server_serve DATABASE_URL="$URI" "${SMALL[@]}" "${PATIENT[@]}"
    hold_row
    order $((++USER_ID)) || :
    id=$(order_id)
    await_waiters 1
    server_kill
    hold_end
    settles "kill -9 leaves no session idle in a transaction, again" 0 idle_in_transaction
    server_serve DATABASE_URL="$URI" "${SMALL[@]}"
    ask_order "$id" "$USER_ID" || :
    verdict "after kill -9 the order is not there" "$(expect_problem 404 order_not_found)"
    order "$USER_ID" || :
    verdict "after kill -9 the same key has the same order" \
        "$([[ $REPLY_STATUS == 202 && $(order_id) == "$id" ]] || echo "$REPLY_STATUS $(order_id)")"
    ask_order "$id" "$USER_ID" '?wait_ms=5000' || :
    verdict "after kill -9 the order that was sent again is confirmed" \
        "$([[ $(order_status) == confirmed ]] || order_status)"
    verdict "after kill -9 the order that was sent again is one" "$(expect_rows "$USER_ID" "$USER_ID")"
    kill -TERM "$SERVER_PID"
    judge_end "the server that was given a lost order again ends with 0"
    # shellcheck disable=SC2034 # server.sh sends it
    ORDER_KEY=''
}

async_tests() {
    PHASE=$1 URI=$2
    USER_ID=$((SECONDS + 200000))
    stop_works_off_the_line
    stop_is_bounded
    stop_lets_waiters_go
    connects_take_long
    sales_are_refreshed
    database_freezes
    database_goes
    sale_ends_meanwhile
    if ((PHASE < 5)); then return 0; fi
    restart_keeps_keys
    killed_order_comes_back
}
