#!/usr/bin/env bash
# run: one phase in the foreground, with a PostgreSQL of its own, until Ctrl-C.
#
#   harness/run.sh N           (make run-N)
#
# PORT chooses another port than 8000+N, ADMIN_PORT another admin port than 9000+N (from phase 2); every other setting of the phase is taken from the
# environment as well (DB_POOL=5 make run-1). DATABASE_URL uses a server that runs already, with a
# database of this run's own. Two runs do not disturb each other. Server, PostgreSQL and data are
# gone afterwards; build/run/phaseN-PID lets psql.sh find the database meanwhile.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/lib/common.sh"
# shellcheck source=harness/lib/postgres.sh
source "$ROOT/harness/lib/postgres.sh"
# shellcheck source=harness/lib/runs.sh
source "$ROOT/harness/lib/runs.sh"

READY_S=30

n=${1-}
[[ $n =~ ^[0-9]+$ ]] || usage "usage: harness/run.sh N, N a phase's number"
cd "$ROOT"
[[ -d phase$n ]] || die "there is no phase $n: this checkout has" phase[0-8]
port=${PORT:-$((8000 + n))}
url=http://${BIND:-127.0.0.1}:$port
# Before anything starts: whoever listens there would answer in the server's place.
if (exec 3<>"/dev/tcp/${BIND:-127.0.0.1}/$port") 2>/dev/null; then
    die "port $port is in use; elsewhere: PORT=$((port + 100)) make run-$n"
fi
admin_port=${ADMIN_PORT:-$((9000 + n))}
((n < 2)) || [[ $port != "$admin_port" ]] || usage "PORT and ADMIN_PORT must differ"
if ((n >= 2)) && (exec 3<>"/dev/tcp/${BIND:-127.0.0.1}/$admin_port") 2>/dev/null; then
    die "port $admin_port is in use; elsewhere: ADMIN_PORT=$((admin_port + 100)) make run-$n"
fi

env -u MAKEFLAGS -u MFLAGS make -s --no-print-directory -j2 "phase$n"
postgres_start "run-$n"
uri=$(postgres_database "phase$n")
postgres_apply "$uri" "phase$n/schema.sql" "phase$n/seed.sql"

say "The server's own log, one JSON object a line:"
DATABASE_URL=$uri PORT=$port ADMIN_PORT=$admin_port "build/${MODE:-release}/phase$n/server" </dev/null &
server=$!
postgres_keep "$server"
# shellcheck disable=SC2317 # reached through the trap
stop() { kill -TERM "$server" 2>/dev/null || :; }
trap stop INT TERM HUP

mkdir -p "$RUNS"
runs_tidy
run=$RUNS/phase$n-$$
on_exit rm -f "$run"
(umask 077 && printf '%s %s\n' "$port" "$uri" >"$run")

next_commands() {
    printf '\n%sphase %s serves on %s%s (pid %s); Ctrl-C ends it and its database. Elsewhere:\n\n' \
        "$BOLD" "$n" "$url" "$PLAIN" "$server"
    local at=''
    [[ $port == $((8000 + n)) ]] || at="PORT=$port "
    say "    curl -s $url/sales/1"
    if ((n < 2)); then say "    curl -s '$url/debug/sleep?ms=3000'"; fi
    if ((n > 0)); then
        say "    $at./harness/buy.sh $n"
    fi
    say "    ${at}make psql-$n"
    if ((n >= 2)); then
        say "    curl -s http://${BIND:-127.0.0.1}:$admin_port/metrics"
        say "    curl -s http://${BIND:-127.0.0.1}:$admin_port/debug/locks"
    fi
    say "    cat phase$n/README.md"
    say ""
}

# Until it serves or has ended; in the second case it has said why.
for ((tenths = 0; tenths < READY_S * 10; tenths++)); do
    kill -0 "$server" 2>/dev/null || break
    if curl -fs -o /dev/null --max-time 1 "$url/health" && kill -0 "$server" 2>/dev/null; then
        next_commands
        break
    fi
    sleep 0.1
done

# A trapped signal ends `wait` early: the server's own end is what counts.
while :; do
    status=0
    wait "$server" || status=$?
    kill -0 "$server" 2>/dev/null || break
done
exit "$status"
