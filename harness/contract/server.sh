# shellcheck shell=bash
# server: one server under test, its settings and its replies. Sourced, after common.sh and
# postgres.sh, by run.sh; lifecycle.sh and startup.sh use it.
#
#   ok NAME / not_ok NAME WHY     one test's line, counted in PASSED and FAILED
#   verdict NAME WHY              ok if WHY is empty
#   server_spawn VAR=value...     starts it (SERVER_PID, SERVER_LOG), does not wait
#   server_serve VAR=value...     spawns it and waits until it serves; ends the script if it does not
#   server_wait SECONDS           waits until it has ended: SERVER_STATUS, 124 if it has not
#   server_kill                   SIGKILL, if it is there
#   server_complaints LOG         what a sanitizer said
#   ask PATH [CURL_OPTION..]      GET; sets REPLY_STATUS, REPLY_HEADERS, REPLY_BODY, appends to EXCHANGES
#   ask_admin PATH                the same of the admin listener
#   order USER [CURL_OPTION..]    one unit of sale 1, in the same way, with a token of the user and,
#                                 from phase 5, ORDER_KEY, else a new Idempotency-Key
#   ask_order ID USER [QUERY]     GET /orders/ID as the user, in the same way
#   order_status                  the status in REPLY_BODY, an order's
#   ask_later PATH, order_later USER [CURL_OPTION..]   the same in the background; ask_result waits
#   metric NAME [LABELS]          the sum of a metric over the series that have the labels
#   hold_row / hold_table / hold_orders   another session locks sale 1, or the whole table of sales
#                                 or of orders, until hold_end;
#                                 await_waiters N waits until N sessions wait for a lock
#
# Only the settings given reach the server, and free ports and the suite's secret, which phases that
# do not know them ignore: the caller's environment does not.

: "${ROOT:?source common.sh before server.sh}"

PASSED=0 FAILED=0
RUN=''        # directory of this run's logs and exchanges
EXCHANGES=''  # JSON lines, for conform.py
SERVER_BIN='' # the program
SERVER_PID='' SERVER_LOG='' SERVER_STATUS='' SERVER_URL='' ADMIN_URL=''
PORT_FREE='' ADMIN_FREE=''
REPLY_STATUS='' REPLY_HEADERS='' REPLY_BODY=''
LATER_PID='' LATER_PATH='' LATER_METHOD='' HOLD_PID='' HOLD_FD=''
ORDER_OPTIONS=() USER_OPTIONS=()
ORDER_KEY=''  # of the next order, if it is to be one that was used
KEYS=0        # keys made so far
declare -A TOKENS=() # of users who have had one
SENT_KEY=''   # of the last order
SECRET='the contract suite' # AUTH_SECRET
SECRET_SET=("AUTH_SECRET=$SECRET") # (): not set, for one that is set and empty is refused
CONTRACT_PORTS=${CONTRACT_PORTS:-15800-15899}
READY_S=20

ok() {
    printf 'ok %s\n' "$1"
    PASSED=$((PASSED + 1))
}
not_ok() {
    printf 'not ok %s: %s\n' "$1" "$2"
    FAILED=$((FAILED + 1))
}
verdict() { if [[ -z $2 ]]; then ok "$1"; else not_ok "$1" "$2"; fi; }

port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Sets PORT_FREE and ADMIN_FREE to ones that nobody listens on.
find_ports() {
    local first=${CONTRACT_PORTS%-*} last=${CONTRACT_PORTS#*-} i try
    PORT_FREE=''
    for ((i = 0; i <= last - first; i++)); do
        try=$((first + (RANDOM + i) % (last - first + 1)))
        if [[ $try == "$PORT_FREE" ]] || port_answers "$try"; then continue; fi
        ADMIN_FREE=$try
        if [[ -n $PORT_FREE ]]; then return 0; fi
        PORT_FREE=$try
    done
    die "no two free ports in $CONTRACT_PORTS (CONTRACT_PORTS=first-last chooses others)"
}

server_spawn() {
    SERVER_LOG=$(mktemp "$RUN/server.XXXXXX.log")
    env -i PATH="$PATH" LANG=C.UTF-8 ${ASAN_OPTIONS+"ASAN_OPTIONS=$ASAN_OPTIONS"} \
        ${TSAN_OPTIONS+"TSAN_OPTIONS=$TSAN_OPTIONS"} PORT="$PORT_FREE" ADMIN_PORT="$ADMIN_FREE" \
        "${SECRET_SET[@]}" "$@" "$SERVER_BIN" >"$SERVER_LOG" 2>&1 \
        </dev/null &
    SERVER_PID=$!
    postgres_keep "$SERVER_PID" 2>/dev/null || :
}

server_alive() { [[ -n $SERVER_PID ]] && kill -0 "$SERVER_PID" 2>/dev/null; }

# Whether it serves within READY_S.
server_ready() {
    local deadline=$((SECONDS + READY_S))
    until curl -sf -o /dev/null --max-time 1 "$SERVER_URL/health"; do
        if ! server_alive || ((SECONDS >= deadline)); then return 1; fi
        nap 0.05
    done
}

server_serve() {
    find_ports
    SERVER_URL=http://127.0.0.1:$PORT_FREE
    # shellcheck disable=SC2034 # read by those who source this file
    ADMIN_URL=http://127.0.0.1:$ADMIN_FREE
    server_spawn "$@"
    server_ready || die "the server does not serve: $(tail -n 1 "$SERVER_LOG")"
}

# nap SECONDS: a sleep without a process, from a pipe that nobody writes to.
exec {NEVER}<> <(:)
nap() { read -r -t "$1" -u "$NEVER" _ || :; }

server_wait() {
    local deadline=$((SECONDS + $1))
    SERVER_STATUS=0
    while server_alive && ((SECONDS <= deadline)); do nap 0.02; done
    if server_alive; then
        server_kill
        SERVER_STATUS=124
        return 0
    fi
    # shellcheck disable=SC2034 # read by those who source this file
    wait "$SERVER_PID" || SERVER_STATUS=$?
    SERVER_PID=''
}

server_kill() {
    if server_alive; then kill -KILL "$SERVER_PID"; fi
    if [[ -n $SERVER_PID ]]; then wait "$SERVER_PID" 2>/dev/null || :; fi
    SERVER_PID=''
}

server_complaints() {
    grep -m 1 -E 'Sanitizer|runtime error:|Assertion .* failed' "$1" || :
}

# _record LISTENER METHOD PATH FILE: reads what curl left in FILE.head and FILE.body, and keeps it for
# conform.py.
_record() {
    REPLY_STATUS='' REPLY_HEADERS='' REPLY_BODY=''
    [[ -s $4.head ]] || return 0
    REPLY_HEADERS=$(tr -d '\r' <"$4.head")
    REPLY_STATUS=$(sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p' <<<"$REPLY_HEADERS")
    REPLY_BODY=$(<"$4.body")
    jq -nc --arg listener "$1" --arg method "$2" --arg path "$3" --argjson status "$REPLY_STATUS" \
        --rawfile head "$4.head" --rawfile body "$4.body" --arg key "$SENT_KEY" '{test: "lifecycle",
        listener: $listener, method: $method, path: $path,
        request_headers: (if $method == "POST" then {"Idempotency-Key": $key} else {} end),
        status: $status,
        headers: [$head | split("\r\n")[1:][] | select(length > 0)
        | capture("^(?<n>[^:]+): *(?<v>.*)$") | [.n, .v]], body: $body}' >>"$EXCHANGES"
}

# _ask LISTENER METHOD URL PATH [CURL_OPTION..]
_ask() {
    local listener=$1 method=$2 url=$3 path=$4 status=0
    shift 4
    rm -f "$RUN/ask.head" "$RUN/ask.body"
    curl -s -D "$RUN/ask.head" -o "$RUN/ask.body" --max-time 15 "$@" "$url$path" || status=$?
    touch "$RUN/ask.body"
    _record "$listener" "$method" "$path" "$RUN/ask"
    return "$status"
}

ask() { _ask public GET "$SERVER_URL" "$@"; }
ask_admin() { _ask admin GET "$ADMIN_URL" "$@"; }

# Sets USER_OPTIONS: what proves to the server that it is the user who asks.
_user_options() {
    [[ -n ${TOKENS[$1]-} ]] || TOKENS[$1]=$(python3 -c 'import hmac, sys, time
claims = sys.argv[1] + "." + str(int(time.time()) + 3600)
print(claims + "." + hmac.new(sys.argv[2].encode(), claims.encode(), "sha256").hexdigest())' \
        "$1" "$SECRET")
    USER_OPTIONS=(-H "Authorization: Bearer ${TOKENS[$1]}")
}

# Sets ORDER_OPTIONS: what makes curl send the user's order. A phase before 5 does not look at the key.
_order_options() {
    _user_options "$1"
    KEYS=$((KEYS + 1))
    SENT_KEY=${ORDER_KEY:-run-$$-$KEYS}
    ORDER_OPTIONS=("${USER_OPTIONS[@]}" -H 'Content-Type: application/json'
        -H "Idempotency-Key: $SENT_KEY"
        --data "{\"sale_id\":1,\"user_id\":$1,\"quantity\":1}")
}

order() {
    _order_options "$1"
    _ask public POST "$SERVER_URL" /orders "${ORDER_OPTIONS[@]}" "${@:2}"
}

ask_order() {
    _user_options "$2"
    ask "/orders/$1${3-}" "${USER_OPTIONS[@]}"
}

order_id() { jq -r .order_id <<<"${REPLY_BODY:-null}"; }
order_status() { jq -r '.status + (.reason // "" | if . == "" then "" else " " + . end)' \
    <<<"${REPLY_BODY:-null}"; }

# Sends it and waits until the server has it: curl has sent it, and a later request was answered.
_later() {
    LATER_METHOD=$1 LATER_PATH=$2
    shift 2
    rm -f "$RUN"/later.*
    : >"$RUN/later.trace"
    curl -s -v -D "$RUN/later.head" -o "$RUN/later.body" --max-time 30 "$@" \
        "$SERVER_URL$LATER_PATH" 2>"$RUN/later.trace" &
    LATER_PID=$!
    until grep -qE '^> (GET|POST)' "$RUN/later.trace"; do
        kill -0 "$LATER_PID" 2>/dev/null || break
        nap 0.02
    done
    curl -sf -o /dev/null --max-time 15 "$SERVER_URL/health" || :
}

ask_later() { _later GET "$@"; }
order_later() {
    _order_options "$1"
    _later POST /orders "${ORDER_OPTIONS[@]}" "${@:2}"
}

# The reply of ask_later or order_later, as ask leaves it.
ask_result() {
    local status=0
    wait "$LATER_PID" || status=$?
    touch "$RUN/later.body"
    _record public "$LATER_METHOD" "$LATER_PATH" "$RUN/later"
    return "$status"
}

metric() {
    curl -sf --max-time 10 "$ADMIN_URL/metrics" | awk -v name="$1" -v labels="${2-}" '
        { split($1, part, "[{]") }
        part[1] == name && (labels == "" || index($1, labels)) { sum += $2 }
        END { printf "%.0f\n", sum }'
}

ask_sql() { psql -X -A -t -q -v ON_ERROR_STOP=1 -d "$URI" -c "$1"; }

await_waiters() {
    local tries
    for ((tries = 0; tries < 500; tries++)); do
        (($(ask_sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND wait_event_type = 'Lock'") < $1)) || return 0
        nap 0.02
    done
    die "no $1 sessions wait for a lock"
}

# _hold STATEMENT: in a session of its own; the advisory lock tells that the statement's lock is held.
_hold() {
    exec {HOLD_FD}> >(psql -X -q -d "$URI" >/dev/null)
    HOLD_PID=$!
    printf 'BEGIN; %s; SELECT pg_advisory_xact_lock(1);\n' "$1" >&"$HOLD_FD"
    until [[ $(ask_sql "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())") == 1 ]]; do
        kill -0 "$HOLD_PID" 2>/dev/null || die "a lock could not be held: $1"
        nap 0.02
    done
}

hold_row() { _hold "SELECT 1 FROM sales WHERE id = 1 FOR UPDATE"; }
hold_table() { _hold "LOCK TABLE sales IN ACCESS EXCLUSIVE MODE"; }
hold_orders() { _hold "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"; }
hold_end() { # told to go: others have inherited the pipe, so that closing it ends nothing
    printf 'ROLLBACK;\n\\q\n' >&"$HOLD_FD"
    exec {HOLD_FD}>&-
    wait "$HOLD_PID" || :
}

# Empty if REPLY_STATUS is the one expected, else what came.
expect_status() {
    if [[ $REPLY_STATUS != "$1" ]]; then
        printf 'status %s, not %s: %s' "${REPLY_STATUS:-none}" "$1" "${REPLY_BODY:0:200}"
    fi
}

# Empty if the reply is the problem, with this header.
expect_problem() {
    local why
    why=$(expect_status "$1")
    if [[ -z $why && $REPLY_BODY != *"\"code\":\"$2\""* ]]; then
        why="not $2: ${REPLY_BODY:0:200}"
    elif [[ -z $why && -n ${3-} ]] && ! grep -qiE "^$3" <<<"$REPLY_HEADERS"; then
        why="no header $3"
    fi
    printf '%s' "$why"
}
