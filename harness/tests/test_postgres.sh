#!/usr/bin/env bash
# test_postgres: the throwaway PostgreSQL, above all that nothing of it is left behind.
#
# Prints `ok NAME`, `not ok NAME: why` or `skip NAME: why`. Everything happens below a directory of
# its own, so that clusters of other scripts on this machine are not looked at. Children are small
# scripts that start a cluster, say READY and the like, and are then ended in one way or another.
set -euo pipefail
unset DATABASE_URL
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"

GONE_S=20  # until a keeper has tidied up, on a busy machine
READY_S=30 # until a child says something
LIB=$ROOT/harness/lib

base=$(mktemp -d /var/tmp/fdtest.XXXXXX)
chmod 711 "$base" # a private directory inside must be enterable by the server's user
on_exit rm -rf "$base"
mkdir -m 1777 "$base/tmp"
export FLASHDEAL_TMP=$base/tmp

failed=0
ok() { say "ok $1"; }
not_ok() {
    say "not ok $1: $2"
    failed=1
}
# is NAME EXPECTED ACTUAL
is() { if [[ $2 == "$3" ]]; then ok "$1"; else not_ok "$1" "'$3', not '$2'"; fi; }

# within SECONDS COMMAND..: polls until the command succeeds.
within() {
    local tenths=$(($1 * 10))
    shift
    until "$@" >/dev/null 2>&1; do
        ((tenths-- > 0)) || return 1
        sleep 0.1
    done
}
nothing_left() { [[ -z $(ls -A "$FLASHDEAL_TMP") ]] && ! processes >/dev/null; }

# Processes that have our directory in their command line: postmasters and keepers.
processes() {
    local proc words status=1
    for proc in /proc/[0-9]*; do
        mapfile -d '' -t words 2>/dev/null <"$proc/cmdline" || continue
        [[ "${words[*]-}" == *"$FLASHDEAL_TMP/flashdeal-"* ]] || continue
        printf '%s\n' "${words[*]}"
        status=0
    done
    return "$status"
}
gone() {
    if within "$GONE_S" nothing_left; then
        ok "$1"
    else
        not_ok "$1" "left: $(ls -A "$FLASHDEAL_TMP"; processes)"
    fi
}

# child TEXT: a script that begins with the two libraries, in the background; child_pid, child_out.
child() {
    child_out=$base/out.$RANDOM
    cat >"$base/child.sh" <<CHILD
set -euo pipefail
source "$LIB/common.sh"
source "$LIB/postgres.sh"
idle() { while :; do sleep 0.2; done; }
$1
CHILD
    bash "$base/child.sh" >"$child_out" 2>&1 </dev/null &
    child_pid=$!
}
said() { grep -q "^$1" "$child_out"; }
child_said() {
    within "$READY_S" said "$1" && return 0
    not_ok "$2" "the child never said $1: $(cat "$child_out")"
    return 1
}
ended() { kill "-$1" "$child_pid"; wait "$child_pid" 2>/dev/null || :; }

# ------------------------------------------------------------------------------- it does its work

started_ms() {
    local began
    began=$(date +%s%N)
    (
        # shellcheck source=harness/lib/postgres.sh
        source "$LIB/postgres.sh"
        trap _run_on_exit EXIT
        _ON_EXIT=()
        postgres_start speed
        say $((($(date +%s%N) - began) / 1000000)) >"$base/ms"
    )
    cat "$base/ms"
}
best=999999
for _ in 1 2 3 4; do # the first may have to run initdb
    ms=$(started_ms)
    ((ms >= best)) || best=$ms
done
if ((best < 3000)); then ok "started in under 3 s once initialised"; else not_ok "started in under 3 s once initialised" "$best ms"; fi
gone "a script that ends leaves nothing"

# -------------------------------------------------------------------- places that will not do

# unfit NAME TEXT DIRECTORY: postgres_start there ends with one sentence of which TEXT is a part.
unfit() {
    local status=0 out
    out=$(FLASHDEAL_TMP=$3 bash -c "set -euo pipefail
        source '$LIB/common.sh'; source '$LIB/postgres.sh'; ${4-}
        postgres_start unfit" 2>&1) || status=$?
    if [[ $status == 1 && $(wc -l <<<"$out") == 1 && $out == *"$2"* && $out == *FLASHDEAL_TMP* ]]; then
        ok "$1"
    else
        not_ok "$1" "status $status: $out"
    fi
}
mkdir -p "$base/a b" "$base/$(printf '%064d' 0)"
unfit "a place that is not there" "mkdir -p" "$base/absent"
unfit "a place with a blank in its name" "'$base/a b'" "$base/a b"
unfit "a place that is not absolute" "absolute path" tmp
unfit "a place too long for a socket" "at most 85" "$base/$(printf '%064d' 0)"
unfit "a place that is full" "MB left" "$FLASHDEAL_TMP" "PG_FREE_MB=1000000000"
if ((EUID != 0)); then
    mkdir -m 500 "$base/closed"
    unfit "a place that cannot be written" "cannot be written" "$base/closed"
else
    mkdir -m 700 "$base/closed"
    unfit "a place that the server's user cannot enter" "enter" "$base/closed"
fi
gone "and nothing is made there"
is "nor elsewhere" "" "$(find "$base/a b" "$base/closed" -name 'flashdeal-*')"

# shellcheck source=harness/lib/postgres.sh
source "$LIB/postgres.sh"
postgres_start test
uri=$(postgres_database work)
ask() { psql -X -At -d "$uri" -c "$1" 2>&1; }
is "it is durable and private by its settings" "on on 300 256MB [] flashdeal" "$(ask "
    SELECT concat_ws(' ', current_setting('fsync'), current_setting('synchronous_commit'),
    current_setting('max_connections'), current_setting('shared_buffers'),
    '[' || current_setting('listen_addresses') || ']', current_user)")"
is "the role is a superuser" on "$(ask 'SHOW is_superuser')"
is "the directory is ours alone" 700 "$(stat -c %a "$PG_DIR")"
if ((EUID == 0)); then
    if setpriv --reuid=65534 --regid=65534 --clear-groups psql -X -d "$uri" -c 'SELECT 1' >/dev/null 2>&1; then
        not_ok "another user cannot connect" "nobody could"
    else
        ok "another user cannot connect"
    fi
else
    say "skip another user cannot connect: only root can try"
fi
is "PG_POSTMASTER is the server" postgres "$(cat "/proc/$PG_POSTMASTER/comm")"

printf 'CREATE TABLE t (i int);\nINSERT INTO t VALUES (7);\n' >"$base/good.sql"
printf 'SELECT 1/0;\nINSERT INTO t VALUES (8);\n' >"$base/bad.sql"
postgres_apply "$uri" "$base/good.sql"
if postgres_apply "$uri" "$base/bad.sql" 2>/dev/null; then not_ok "apply stops at an error" "status 0"; else ok "apply stops at an error"; fi
is "nothing is applied to no database" "postgres_apply: no database is named" \
    "$( (PGHOST=$PG_DIR postgres_apply "" "$base/good.sql" 2>&1) | grep -o 'postgres_apply: no database is named')"
is "and runs nothing after it" 7 "$(ask 'SELECT string_agg(i::text, $$,$$) FROM t')"
is "pgbench takes the URI" 0 "$(pgbench -i -q "$uri" >"$base/pgbench" 2>&1; echo $?)"

postgres_down
if ask 'SELECT 1' >/dev/null; then not_ok "down is down" "it answers"; else ok "down is down"; fi
postgres_up
is "up again, with its data" 7 "$(ask 'SELECT i FROM t')"

# A session that is open already must stop answering too: its backend is a process of its own.
coproc SESSION { psql -X -At -d "$uri" 2>&1; }
printf 'SELECT 1;\n' >&"${SESSION[1]}"
session=$SESSION_PID
read -r -t "$READY_S" -u "${SESSION[0]}" first
postgres_freeze
printf 'SELECT 2;\n' >&"${SESSION[1]}"
if read -r -t 1 -u "${SESSION[0]}" line; then not_ok "frozen, an open session does not answer" "it said $line"; else ok "frozen, an open session does not answer"; fi
postgres_thaw
read -r -t "$READY_S" -u "${SESSION[0]}" second || second=nothing
is "thawed, it does" "1 2" "$first $second"
printf '\\q\n' >&"${SESSION[1]}"
wait "$session" 2>/dev/null || :

again=$(postgres_database work)
is "a database made again is empty" "" "$(psql -X -At -d "$again" -c '\dt' 2>/dev/null)"

# --------------------------------------------------------------------------------- side by side

child 'postgres_start other; postgres_database work; echo READY; idle'
if child_said READY "two run side by side"; then
    is "two run side by side" 2 "$(find "$FLASHDEAL_TMP" -maxdepth 1 -name 'flashdeal-*' | wc -l)"
    ended TERM
    is "the other one's end disturbs nobody" 1 "$(ask 'SELECT 1')"
fi
own=$PG_DIR
only_ours() { [[ $(ls -A "$FLASHDEAL_TMP") == "${own##*/}" ]]; }
if within "$GONE_S" only_ours; then ok "and it leaves nothing"; else not_ok "and it leaves nothing" "$(ls "$FLASHDEAL_TMP")"; fi

# ------------------------------------------------------------- a server that the user has already

child "export DATABASE_URL='$uri'
postgres_start borrowed
uri=\$(postgres_database sale)
psql -X -At -d \"\$uri\" -c 'SELECT current_database()'
(postgres_down) || echo REFUSED
echo READY
idle"
if child_said READY "DATABASE_URL is used"; then
    is "DATABASE_URL is used, under a name of the script's own" "flashdeal_sale_$child_pid" "$(grep ^flashdeal_ "$child_out")"
    if said REFUSED; then ok "its server is not stopped"; else not_ok "its server is not stopped" "$(cat "$child_out")"; fi
    ended KILL
    no_database() { [[ $(ask "SELECT count(*) FROM pg_database WHERE datname LIKE 'flashdeal\_%'") == 0 ]]; }
    if within "$GONE_S" no_database; then ok "its databases are dropped, also after kill -9"; else not_ok "its databases are dropped, also after kill -9" "they are there"; fi
    is "and it runs on" 1 "$(ask 'SELECT 1')"
fi

postgres_stop
gone "stopped, it is gone"

# ---------------------------------------------------------------------------- ended in every way

# SIGINT is ignored by a background child of a script; INT is tried through a session of its own.
for signal in TERM HUP KILL; do
    child 'postgres_start ended; echo READY; idle'
    if child_said READY "nothing is left after SIG$signal"; then ended "$signal"; fi
    gone "nothing is left after SIG$signal"
done

if python3 -c 'import signal' 2>/dev/null; then
    child 'postgres_start ended; echo READY; idle'
    kill -KILL "$child_pid"
    wait "$child_pid" 2>/dev/null || :
    gone "nothing is left when it dies before it has started"
    python3 - "$base/child.sh" >"$base/int.out" 2>&1 <<'PYTHON'
import signal, subprocess, sys
child = subprocess.Popen(["bash", sys.argv[1]], stdout=subprocess.PIPE, start_new_session=True,
                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
child.stdout.readline()
import os
os.killpg(child.pid, signal.SIGINT)
print(child.wait(timeout=20))
PYTHON
    is "Ctrl-C ends it with status 130" 130 "$(tail -n 1 "$base/int.out")"
    gone "nothing is left after Ctrl-C"
else
    say "skip nothing is left after Ctrl-C: no python3"
fi

child 'postgres_start frozen; postgres_freeze; echo READY; idle'
if child_said READY "nothing is left of a frozen cluster"; then ended KILL; fi
gone "nothing is left of a frozen cluster after SIGKILL"

child 'postgres_start down; postgres_down; echo READY; idle'
if child_said READY "nothing is left of a stopped cluster"; then ended KILL; fi
gone "nothing is left of a stopped cluster after SIGKILL"

# The initdb of a first run, without the cache: in a copy of the libraries with no build/.
mkdir -p "$base/copy/harness"
cp -r "$LIB" "$base/copy/harness/"
chmod -R a+rX "$base/copy"
child "source '$base/copy/harness/lib/common.sh'; postgres_start first"
something() { compgen -G "$FLASHDEAL_TMP/flashdeal-first.*/data/base" >/dev/null; }
within "$READY_S" something || :
ended KILL
gone "nothing is left when it dies in initdb"

# Listed processes end with the script, and no other process that has their number.
# The second line in pids has our own number and another start time.
child "postgres_start keep
bash -c 'trap \"\" TERM; echo ready >$base/kept; while :; do sleep 0.1; done' &
until [[ -s $base/kept ]]; do sleep 0.1; done
postgres_keep \$!
echo '$$ 1' >>\"\$PG_DIR/pids\"
echo \$! >$base/kept
echo READY
idle"
if child_said READY "a kept process ends with the script"; then
    ended KILL
    gone "a kept process that ignores SIGTERM: the directory goes"
    kept=$(<"$base/kept")
    ended_or_zombie() { ! grep -qs ') [^Z] ' "/proc/$kept/stat"; }
    if within "$GONE_S" ended_or_zombie; then ok "a kept process ends with the script"; else not_ok "a kept process ends with the script" "it runs: $(cat "/proc/$kept/stat")"; fi
fi

# A pipe held open by the keeper would keep its reader waiting.
began=$SECONDS
child 'postgres_start pipe; echo READY; kill -KILL $$'
wait "$child_pid" 2>/dev/null || :
timeout 20 bash -c "bash '$base/child.sh' 2>/dev/null | cat >/dev/null" || :
if ((SECONDS - began < 15)); then ok "the keeper holds no pipe open"; else not_ok "the keeper holds no pipe open" "the reader waited"; fi
gone "nothing is left after that"

# ------------------------------------------------------------------------------- without a cluster

kept=$(bash -c "
    set -euo pipefail
    source '$LIB/common.sh'
    source '$LIB/postgres.sh'
    sleep 300 >/dev/null &
    postgres_keep \$!
    echo \$!" 2>&1)
if within 5 bash -c "! kill -0 $kept"; then ok "what is kept without a cluster ends with the script"; else
    not_ok "what is kept without a cluster ends with the script" "process $kept lives" && kill "$kept"
fi

# ------------------------------------------------------------------------------- as a normal user

if ((EUID == 0)) && user=$(id -un 65534 2>/dev/null); then
    out=$(cd / && setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/ bash -c "
        set -euo pipefail
        source '$base/copy/harness/lib/common.sh'
        source '$base/copy/harness/lib/postgres.sh'
        postgres_start normal
        uri=\$(postgres_database work)
        psql -X -At -d \"\$uri\" -c 'SELECT 42'
        stat -c %U /proc/\$PG_POSTMASTER" 2>&1) || :
    is "a normal user's server runs as that user" "42 $user" "$(tr '\n' ' ' <<<"$out" | sed 's/ $//')"
    gone "and is gone afterwards"
else
    say "skip a normal user's server: this is one"
fi

exit "$failed"
