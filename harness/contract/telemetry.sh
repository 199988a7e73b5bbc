# shellcheck shell=bash
# telemetry: what LOG_LEVEL, LOG_SAMPLE and LOG_SLOW_MS make of the log (from phase 2). Sourced by
# run.sh; telemetry_tests PHASE URI is the whole of it.
#
# How many requests there were, the server's own counter says, which the suite has held against the
# requests that it sent.

SLOW=(LOG_SLOW_MS=300 DB_LOCK_MS=9000) # a request that takes longer than that is slow
HELD_S=0.4                             # so long an order waits for its row, and somewhat longer

# request_lines LEVEL: lines of a request that were logged so far.
request_lines() {
    jq -R 'fromjson? | select(.event == "request" and .level == "'"$1"'") | 1' "$SERVER_LOG" | wc -l
}

# One request that is slow, and the line with its id: an order, from phase 4 on, where no order is,
# the reading of one. The id differs from one server to the next only.
slow_order() {
    local id=11111111-2222-4333-8444-555555555555
    if ((PHASE < 4)); then
        hold_row
        order_later $((++USER_ID)) -H "X-Request-Id: $id"
    else
        hold_orders
        _user_options 7
        ask_later /orders/0f8fad5b-d9cb-469f-a165-70867728950e "${USER_OPTIONS[@]}" \
            -H "X-Request-Id: $id"
    fi
    await_waiters 1
    sleep "$HELD_S"
    hold_end
    ask_result || :
    SLOW_LINE=$(grep -F "$id" "$SERVER_LOG" | head -n 1 || :)
}

# ask_health TIMES
ask_health() {
    local i urls=()
    for ((i = 0; i < $1; i++)); do urls+=(-o /dev/null "$SERVER_URL/health"); done
    curl -sf --max-time 60 "${urls[@]}"
}

sampled_log() {
    local requests slow wanted lines tries stage=lock_wait_ms expected='[201, "ok", "/orders"]'
    if ((PHASE >= 4)); then
        stage=statements_ms expected='[404, "order_not_found", "/orders/{}"]'
    fi
    server_serve DATABASE_URL="$URI" "${SLOW[@]}" LOG_SAMPLE=10
    ask_health 95
    for ((tries = 0; tries < 50; tries++)); do # the last one is counted when its reply has gone
        requests=$(metric flashdeal_http_requests_total)
        slow=$(request_lines warn)
        lines=$(request_lines info)
        wanted=$(((requests - slow + 9) / 10))
        if ((requests > 95 && lines == wanted)); then break; fi
        nap 0.05
    done
    verdict "LOG_SAMPLE=10 writes the first of each ten" \
        "$( ((requests > 95 && lines == wanted)) || echo "$lines lines, not $wanted, of $requests requests")"
    slow_order
    verdict "a slow request is logged whatever the sample, at warn, with its stages" \
        "$(jq -r 'if .level != "warn" then "level \(.level)"
            elif [.status, .outcome, .path] != $expected then "another request"
            elif .[$stage] < 300 then "\($stage) \(.[$stage])"
            elif ([.validation_ms, .pool_wait_ms, .lock_wait_ms, .statements_ms, .commit_ms,
                .reply_ms, .other_ms, .queue_wait_ms // 0] | add - $all) | fabs > 0.1
            then "its stages do not add up to \(.total_ms) ms" else empty end' \
            --argjson all "$(jq .total_ms <<<"${SLOW_LINE:-null}")" --arg stage "$stage" \
            --argjson expected "$expected" <<<"${SLOW_LINE:-null}" 2>&1)"
    server_kill
}

# quiet_log LEVEL LINES: with LOG_LEVEL so many requests of a slow order and twenty others are told.
quiet_log() {
    local info warn
    server_serve DATABASE_URL="$URI" "${SLOW[@]}" LOG_LEVEL="$1"
    ask_health 20
    slow_order
    info=$(request_lines info)
    warn=$(grep -c 11111111-2222-4333-8444-555555555555 "$SERVER_LOG" || :)
    verdict "LOG_LEVEL=$1 leaves out what is below it" \
        "$( ((info == 0 && warn == $2)) || echo "$info lines at info, $warn of the slow order")"
    server_kill
}

telemetry_tests() {
    PHASE=$1 URI=$2
    if (($1 < 2)); then return 0; fi
    USER_ID=$((SECONDS + 500000))
    sampled_log
    quiet_log warn 1
    quiet_log error 0
}
