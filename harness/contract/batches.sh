# shellcheck shell=bash
# batches: orders that a worker takes together, a sale's share of the line, and the inventories (from
# phase 6). Sourced by run.sh, after async.sh; batches_tests PHASE URI is the whole of it.
#
# The rest of the suite has BATCH_MAX=1, so that it meets as many waiters as before; here a batch is
# what it is by default.

TOGETHER=11   # orders behind a held row
SHARE=6       # places that sale 1 may have
HELD_S=2      # a row, to see how often it is asked for
ASKED_MAX=40  # times meanwhile, with DB_LOCK_MS=20: without a rest it were a hundred
MANY_WORKERS=(DB_WORKERS=4 SALE_WORKERS=4 DB_POOL=6)

bad_order_among_others() {
    local first=$((USER_ID + 1)) bad=$((USER_ID + 5)) why now
    ask_sql "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN IF NEW.user_id = $bad AND NEW.status = ''confirmed'' THEN RAISE EXCEPTION ''not this one'' USING ERRCODE = ''check_violation''; END IF; RETURN NEW; END';
        CREATE TRIGGER refuse BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION refuse()"
    server_serve DATABASE_URL="$URI" DB_LOCK_MS=20
    hold_row
    place "$TOGETHER"
    verdict "orders are accepted behind a held row" "$WHY"
    nap "$HELD_S"
    now=$(metric flashdeal_order_retries_total)
    verdict "a sale whose row is held rests between two tries" \
        "$( ((now > 0 && now <= ASKED_MAX * TOGETHER)) || echo "$now orders were given back")"
    hold_end
    why=$(wait_for "$TOGETHER")
    verdict "all of them are decided then" "$why"
    now=$(states "$first" '?wait_ms=2000')
    verdict "a bad order in a batch fails, and costs the others nothing" \
        "$([[ $now == "$((TOGETHER - 1)) confirmed,1 failed refused" ]] || echo "$now")"
    now=$(metric flashdeal_order_batches_total)
    verdict "they were taken together" "$( ((now >= 1 && now < TOGETHER)) || echo "$now batches")"
    ask_sql 'DROP TRIGGER refuse ON orders; DROP FUNCTION refuse()'
    verdict "the stock is right after a bad order" "$(stock_is_wrong)"
    kill -TERM "$SERVER_PID"
    judge_end "the server that had a bad order ends with 0"
}

# wait_for COUNT: empty once so many orders more than at the start of the test have their final row.
wait_for() {
    local deadline=$((SECONDS + DECIDED_S)) rows=0
    while ((SECONDS < deadline)); do
        rows=$(ask_sql "SELECT count(*) FROM orders WHERE user_id BETWEEN $((USER_ID - $1 + 1)) AND $USER_ID")
        ((rows < $1)) || return 0
        nap 0.1
    done
    printf '%s rows, not %s' "$rows" "$1"
}

sale_has_its_share() {
    server_serve DATABASE_URL="$URI" QUEUE_MAX=50 SALE_QUEUE_MAX="$SHARE" DB_LOCK_MS=200
    hold_row
    place "$SHARE"
    verdict "a sale has its share of the line" "$WHY"
    order $((++USER_ID)) || :
    verdict "and no more" "$(expect_problem 503 queue_full 'Retry-After: [1-9]')"
    verdict "which is told apart from a full line" \
        "$([[ $(metric flashdeal_order_queue_sale_refused_total) == 1 ]] || echo 'sale_refused_total is not 1')"
    hold_end
    USER_ID=$((USER_ID - 1))
    verdict "what it had is decided" "$(wait_for "$SHARE")"
    kill -TERM "$SERVER_PID"
    judge_end "the server with a share for each sale ends with 0"
}

# inventory_sells NAME: it confirms, GET /sales agrees with the database, and the server stops.
inventory_sells() {
    local first=$((USER_ID + 1)) said
    server_serve DATABASE_URL="$URI" INVENTORY="$1" SALES_REFRESH_MS=20 "${MANY_WORKERS[@]}"
    place 3
    verdict "INVENTORY=$1 accepts" "$WHY"
    verdict "INVENTORY=$1 confirms" "$(await_confirmed "$first")"
    verdict "INVENTORY=$1 keeps the stock right" "$(stock_is_wrong)"
    nap 0.5
    ask /sales/1 || :
    said=$(jq -r .stock_left <<<"${REPLY_BODY:-null}")
    verdict "INVENTORY=$1: a sale shows what is left of it" \
        "$([[ $said == "$(ask_sql 'SELECT stock_left FROM audit_sales WHERE sale_id = 1')" ]] || echo "it says $said")"
    verdict "INVENTORY=$1 is the one that was chosen" \
        "$(grep -q "\"INVENTORY\":\"$1\"" "$SERVER_LOG" || echo 'the log does not say so')"
    kill -TERM "$SERVER_PID"
    judge_end "the server with INVENTORY=$1 ends with 0"
}

# Three of the four do not see what lies in shards: they must not start, and say how to put it back.
shards_are_not_overlooked() {
    local advice
    verdict "sharded stock lies in shards" \
        "$([[ $(ask_sql 'SELECT sum(stock_left) > 0 FROM sale_shards') == t ]] || echo 'there is none')"
    find_ports
    server_spawn DATABASE_URL="$URI"
    server_wait "$STOP_S"
    verdict "another inventory does not start on sharded stock" \
        "$([[ $SERVER_STATUS == 1 ]] || echo "exit status $SERVER_STATUS")"
    verdict "and says why, in one line of error" \
        "$([[ $(grep '"level":"error"' "$SERVER_LOG" | jq -r .event) == inventory_misfit ]] || tail -n 2 "$SERVER_LOG")"
    advice=$(jq -R -r 'fromjson? | select(.event == "inventory_misfit") | .error' "$SERVER_LOG" | sed 's/^.*BEGIN;/BEGIN;/')
    ask_sql "$advice"
    verdict "its advice puts the stock back" "$(stock_is_wrong)"
    inventory_sells batched
}

batches_tests() {
    # shellcheck disable=SC2034 # for those who are called
    PHASE=$1 URI=$2
    USER_ID=$((SECONDS + 400000))
    bad_order_among_others
    sale_has_its_share
    inventory_sells optimistic
    inventory_sells sharded
    shards_are_not_overlooked
}
