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
#   ask_later PATH                the same in the background; ask_result waits for it
#
# Only the settings given reach the server: the caller's environment does not.

: "${ROOT:?source common.sh before server.sh}"

PASSED=0 FAILED=0
RUN=''        # directory of this run's logs and exchanges
EXCHANGES=''  # JSON lines, for conform.py
SERVER_BIN='' # the program
SERVER_PID='' SERVER_LOG='' SERVER_STATUS='' SERVER_URL=''
PORT_FREE=''
REPLY_STATUS='' REPLY_HEADERS='' REPLY_BODY=''
LATER_PID=''
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

# Sets PORT_FREE to one that nobody listens on.
find_port() {
    local first=${CONTRACT_PORTS%-*} last=${CONTRACT_PORTS#*-} i
    for ((i = 0; i <= last - first; i++)); do
        PORT_FREE=$((first + (RANDOM + i) % (last - first + 1)))
        if ! port_answers "$PORT_FREE"; then return 0; fi
    done
    die "no free port in $CONTRACT_PORTS (CONTRACT_PORTS=first-last chooses others)"
}

server_spawn() {
    SERVER_LOG=$(mktemp "$RUN/server.XXXXXX.log")
    env -i PATH="$PATH" LANG=C.UTF-8 ${ASAN_OPTIONS+"ASAN_OPTIONS=$ASAN_OPTIONS"} \
        ${TSAN_OPTIONS+"TSAN_OPTIONS=$TSAN_OPTIONS"} "$@" "$SERVER_BIN" >"$SERVER_LOG" 2>&1 \
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
        sleep 0.05
    done
}

server_serve() {
    find_port
    SERVER_URL=http://127.0.0.1:$PORT_FREE
    server_spawn PORT="$PORT_FREE" "$@"
    server_ready || die "the server does not serve: $(tail -n 1 "$SERVER_LOG")"
}

server_wait() {
    local tenths
    SERVER_STATUS=0
    for ((tenths = 0; tenths < $1 * 10; tenths++)); do
        server_alive || break
        sleep 0.1
    done
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

# _record PATH FILE: reads what curl left in FILE.head and FILE.body, and keeps it for conform.py.
_record() {
    REPLY_STATUS='' REPLY_HEADERS='' REPLY_BODY=''
    [[ -s $2.head ]] || return 0
    REPLY_HEADERS=$(tr -d '\r' <"$2.head")
    REPLY_STATUS=$(sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p' <<<"$REPLY_HEADERS")
    REPLY_BODY=$(<"$2.body")
    jq -nc --arg path "$1" --argjson status "$REPLY_STATUS" --rawfile head "$2.head" \
        --rawfile body "$2.body" '{test: "lifecycle", method: "GET", path: $path,
        request_headers: {}, status: $status, headers: [$head | split("\r\n")[1:][]
        | select(length > 0) | capture("^(?<n>[^:]+): *(?<v>.*)$") | [.n, .v]], body: $body}' \
        >>"$EXCHANGES"
}

ask() {
    local path=$1 status=0
    shift
    rm -f "$RUN/ask.head" "$RUN/ask.body"
    curl -s -D "$RUN/ask.head" -o "$RUN/ask.body" --max-time 15 "$@" "$SERVER_URL$path" || status=$?
    touch "$RUN/ask.body"
    _record "$path" "$RUN/ask"
    return "$status"
}

# Sends it and waits until the server has it: curl has sent it, and a later request was answered.
ask_later() {
    rm -f "$RUN"/later.*
    : >"$RUN/later.trace"
    LATER_PATH=$1
    curl -s -v -D "$RUN/later.head" -o "$RUN/later.body" --max-time 30 "$SERVER_URL$1" \
        2>"$RUN/later.trace" &
    LATER_PID=$!
    until grep -q '^> GET' "$RUN/later.trace"; do
        kill -0 "$LATER_PID" 2>/dev/null || break
        sleep 0.02
    done
    curl -sf -o /dev/null --max-time 15 "$SERVER_URL/health" || :
}

# The reply of ask_later, as ask leaves it.
ask_result() {
    local status=0
    wait "$LATER_PID" || status=$?
    touch "$RUN/later.body"
    _record "$LATER_PATH" "$RUN/later"
    return "$status"
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
