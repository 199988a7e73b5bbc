# shellcheck shell=bash
# startup: a server that cannot start says why in one clear line and ends with status 1, at once.
# Sourced by run.sh; startup_tests PHASE URI SCHEMA_DIR is the whole of it.
#
# "One clear line": exactly one line of level error, and it names what is wrong. "At once": it does
# not wait DB_WAIT_MS for what waiting cannot mend. Afterwards nothing listens on its port.

AT_ONCE_S=8 # a sanitized server on a busy machine; DB_WAIT_MS is 30 s where it must not be waited for

# refuses NAME PATTERN VAR=value...: starts it with these and a free port, and judges its end.
refuses() {
    local name=$1 pattern=$2 why='' errors began=$SECONDS
    shift 2
    find_ports
    server_spawn DB_WAIT_MS=30000 "$@"
    server_wait "$AT_ONCE_S"
    errors=$(grep -c '"level":"error"' "$SERVER_LOG") || :
    if ((SERVER_STATUS != 1)); then
        why="exit status $SERVER_STATUS after $((SECONDS - began)) s: $(tail -n 1 "$SERVER_LOG")"
    elif ((errors != 1)); then
        why="$errors lines of level error: $(cut -c 1-300 "$SERVER_LOG" | tr '\n' ' ')"
    elif ! grep '"level":"error"' "$SERVER_LOG" | grep -qE -- "$pattern"; then
        why="no \"$pattern\" in $(grep '"level":"error"' "$SERVER_LOG")"
    elif [[ -n $(server_complaints "$SERVER_LOG") ]]; then
        why=$(server_complaints "$SERVER_LOG")
    elif port_answers "$PORT_FREE" || port_answers "$ADMIN_FREE"; then
        why="something listens on port $PORT_FREE or $ADMIN_FREE"
    fi
    verdict "$name" "$why"
}

# refuses_setting VAR=value [VAR=value..]: the line names the first variable and not its value where
# that is secret, and there is no other line.
refuses_setting() {
    local name="start with $*" why
    name=${name:0:60}
    find_ports
    server_spawn DATABASE_URL="$URI" "$@"
    server_wait "$AT_ONCE_S"
    why=$(server_complaints "$SERVER_LOG")
    if [[ $SERVER_STATUS != 1 ]]; then
        why="exit status $SERVER_STATUS: $(tail -n 1 "$SERVER_LOG")"
    elif [[ $(wc -l <"$SERVER_LOG") -ne 1 ]]; then
        why="not one line: $(tr '\n' ' ' <"$SERVER_LOG")"
    elif ! grep '"level":"error"' "$SERVER_LOG" | grep -q "${1%%=*}"; then
        why="${1%%=*} is not named: $(cat "$SERVER_LOG")"
    elif [[ $1 == AUTH_SECRET=* ]] && grep -qF -- "${1#*=}" "$SERVER_LOG"; then
        why="the secret is logged"
    fi
    verdict "$name" "$why"
}

startup_settings() {
    local phase=$1 setting
    for setting in PORT=abc PORT=0 PORT=-1 PORT=65536 PORT=99999 PORT=1e3 PORT=80x "PORT= 80" \
        PORT=0x50 PORT=18446744073709551617 DB_POOL=-1 DB_POOL=0 DB_POOL=five DB_POOL=1.5 \
        DB_POOL=99999 DB_POOL=99999999999999999999 DB_WAIT_MS=-1 DB_WAIT_MS=soon \
        HTTP_THREADS=0 HTTP_THREADS=4097 HTTP_THREADS=many READ_TIMEOUT_MS=0 \
        READ_TIMEOUT_MS=-1000 READ_TIMEOUT_MS=99999999; do
        refuses_setting "$setting"
    done
    if ((phase >= 1)); then
        for setting in DB_ACQUIRE_MS=0 DB_ACQUIRE_MS=-1 DB_ACQUIRE_MS=never; do
            refuses_setting "$setting"
        done
    fi
    if ((phase >= 2)); then
        for setting in ADMIN_PORT=0 ADMIN_PORT=65536 ADMIN_PORT=admin LOG_LEVEL=loud \
            LOG_LEVEL=INFO LOG_LEVEL=2 "LOG_LEVEL=info " LOG_SAMPLE=0 LOG_SAMPLE=-1 LOG_SAMPLE=all \
            LOG_SLOW_MS=0 LOG_SLOW_MS=-1 LOG_SLOW_MS=1.5; do
            refuses_setting "$setting"
        done
    fi
    if ((phase >= 3)); then startup_admission; fi
    if ((phase == 3)); then startup_queue; fi
    if ((phase >= 4)); then startup_async; fi
}

startup_admission() {
    local setting long
    printf -v long '%257s' ''
    for setting in QUEUE_MAX=0 QUEUE_MAX=-1 QUEUE_MAX=many DB_WORKERS=0 DB_WORKERS=four RATE_LIMIT=0 RATE_LIMIT=-5 RATE_LIMIT=2.5 \
        AUTH_SECRET=7-bytes "AUTH_SECRET=${long// /x}"; do
        refuses_setting "$setting"
    done
    refuses_setting HTTP_THREADS=64
    refuses_setting DB_WORKERS=8 DB_POOL=8
    refuses_setting DB_WORKERS=9 DB_POOL=8
    refuses_setting DB_POOL=4
    serves_with DB_WORKERS=7 DB_POOL=8
    serves_with AUTH_SECRET=8-bytes-
}

# An order in line holds a thread: 64 are to be left for reads and refusals.
startup_queue() {
    local setting
    for setting in ORDER_DEADLINE_MS=0 ORDER_DEADLINE_MS=never; do refuses_setting "$setting"; done
    refuses_setting QUEUE_MAX=33 DB_WORKERS=4 HTTP_THREADS=100
    refuses_setting QUEUE_MAX=449
    serves_with QUEUE_MAX=32 DB_WORKERS=4 HTTP_THREADS=100
}

# It holds none, but who waits for it does; and each needs a ticket.
startup_async() {
    local setting
    for setting in SALES_REFRESH_MS=0 SALES_REFRESH_MS=9 SALES_REFRESH_MS=-1 SALES_REFRESH_MS=never \
        SALES_REFRESH_MS=99999999 TICKETS_MAX=0 TICKETS_MAX=many TICKETS_MAX=99999999 \
        LONGPOLL_MAX=-1 LONGPOLL_MAX=all LONGPOLL_MAX=4097 WORKER_STUCK_MS=0 WORKER_STUCK_MS=x \
        DRAIN_MS=-1 DRAIN_MS=1.5; do
        refuses_setting "$setting"
    done
    refuses_setting LONGPOLL_MAX=512
    refuses_setting LONGPOLL_MAX=100 HTTP_THREADS=100
    refuses_setting TICKETS_MAX=1000 QUEUE_MAX=250 DB_WORKERS=1
    refuses_setting QUEUE_MAX=25000
    # A try may take 2500 + 10 x (DB_STATEMENT_MS + 1000) ms.
    refuses_setting WORKER_STUCK_MS=62500
    serves_with WORKER_STUCK_MS=62501
    refuses_setting WORKER_STUCK_MS=12600 DB_STATEMENT_MS=10
    serves_with WORKER_STUCK_MS=12601 DB_STATEMENT_MS=10
    serves_with TICKETS_MAX=1000 QUEUE_MAX=249 DB_WORKERS=1
    serves_with QUEUE_MAX=449 LONGPOLL_MAX=8 HTTP_THREADS=100
    serves_with ORDER_DEADLINE_MS=never
}

# serves_with VAR=value..: the neighbour of what is refused.
serves_with() {
    server_serve DATABASE_URL="$URI" "$@"
    ask /health || :
    verdict "start with $*, which is fine" "$(expect_status 200)"
    server_kill
}

startup_databases() {
    local phase=$1 empty other
    refuses "start without a database in reach" 'DATABASE_URL|database|server|connect' \
        DATABASE_URL='postgresql:///x?host=/nonexistent' DB_WAIT_MS=500
    refuses "start with the database's port closed" 'DATABASE_URL|database|server|connect' \
        DATABASE_URL='postgresql://u:s3cret@127.0.0.1:1/x' DB_WAIT_MS=500
    verdict "the password is not logged" "$(grep -m 1 s3cret "$SERVER_LOG" || :)"
    refuses "start without waiting, DB_WAIT_MS=0" 'DATABASE_URL|database|server|connect' \
        DATABASE_URL='postgresql:///x?host=/nonexistent' DB_WAIT_MS=0
    refuses "start with a database that is not there" nowhere \
        DATABASE_URL="${URI/${URI_NAME}/nowhere}"
    refuses "start with a role that is not there" 'stranger|role|DATABASE_URL' \
        DATABASE_URL="${URI/user=[a-z]*/user=stranger}"
    empty=$(postgres_database empty)
    refuses "start without a schema" 'sales.*schema.sql|schema.sql.*sales|schema.sql' \
        DATABASE_URL="$empty"
    if ((phase >= 1)); then
        other=$(postgres_database other)
        postgres_apply "$other" "$ROOT/phase0/schema.sql"
        refuses "start with the schema of phase 0" 'orders' DATABASE_URL="$other"
    fi
    if ((phase >= 5)); then
        other=$(postgres_database earlier)
        postgres_apply "$other" "$ROOT/phase4/schema.sql"
        refuses "start with the schema of phase 4" 'idempotency_key|fingerprint' \
            DATABASE_URL="$other"
    fi
}

startup_listener() {
    server_serve DATABASE_URL="$URI" "${SMALL[@]}"
    local first=$SERVER_PID first_log=$SERVER_LOG taken=$PORT_FREE admin_taken=$ADMIN_FREE
    refuses "start on a port in use" "$taken" DATABASE_URL="$URI" PORT="$taken"
    if (($1 >= 2)); then
        refuses "start on an admin port in use" "$admin_taken" DATABASE_URL="$URI" \
            ADMIN_PORT="$admin_taken"
        find_ports
        refuses "start with one port for both listeners" "$PORT_FREE" DATABASE_URL="$URI" \
            PORT="$PORT_FREE" ADMIN_PORT="$PORT_FREE"
    fi
    SERVER_PID=$first SERVER_LOG=$first_log
    ask /health || :
    verdict "the first server serves on" "$(expect_status 200)"
    server_kill
    refuses "start on an address that is not ours" 'BIND|bind|address|192.0.2.1' \
        DATABASE_URL="$URI" BIND=192.0.2.1
    refuses "start on an address that is none" 'BIND|bind|address|999' \
        DATABASE_URL="$URI" BIND=999.1.1.1
}

startup_tests() {
    URI=$2
    URI_NAME=contract
    startup_settings "$1"
    startup_databases "$1"
    startup_listener "$1"
}
