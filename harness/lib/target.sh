# shellcheck shell=bash
# target: the server under test, one at a time. Sourced, after common.sh and postgres.sh.
#
#   target_parse SPEC          N, N,VAR=value[,VAR=value], a directory (also with settings), a URL
#   target_build               builds it, if it is not built
#   target_prepare             a database of its own with schema and seed; the log's place
#   target_spawn               starts the process and does not wait
#   target_respawn             as target_spawn, where it was before: its clients find it again
#   target_ready SECONDS       waits until it serves; status 1: it ended, or did not serve in time
#   target_start SPEC          all of these; ends the script when the target does not serve
#   target_restart             stops it, if it runs, and starts it with its settings; likewise
#   target_stop                SIGTERM, and SIGKILL for one that does not heed it
#   target_check               ends the script when the target has ended by itself
#   target_kill                SIGKILL, whatever it does
#   target_setting NAME [DEFAULT]   a setting as it took effect, from the target's own log
#   TARGET_ADMIN_URL           its admin listener, once it serves; empty: it has none. Of a URL: ADMIN_URL
#   target_sql QUERY           asks its database; fields are separated by '|'
#   target_database            ends the script when the target has none: psql would take its default
#   target_sessions            its sessions in Postgres, and those with work to do: "64|3"
#
# A target's settings stand in its name and nowhere else: the caller's environment is kept out, so
# that a name means the same in every shell. It runs under nice, so that the load generator is on
# time, and cannot outlive the script (postgres_keep).

TARGET='' TARGET_KIND='' # the name; phase, directory or url
TARGET_DIR=''            # the directory of its sources, relative to ROOT if it lies within
TARGET_SETTINGS=()       # VAR=value
TARGET_URL='' TARGET_ADMIN_URL='' TARGET_DB='' TARGET_PID='' TARGET_LOG=''
TARGET_NICE=10
TARGET_READY_S=20 # a server that has not served by then does not
TARGET_STOP_S=15  # the design gives it 13 s from SIGTERM to its exit
TARGET_PORTS=${TARGET_PORTS:-16000-19999} # below those that the kernel gives to clients

target_parse() {
    local settings='' setting
    TARGET=$1 TARGET_KIND='' TARGET_DIR='' TARGET_SETTINGS=() TARGET_URL='' TARGET_ADMIN_URL='' TARGET_DB='' TARGET_LOG=''
    if [[ $1 =~ ^https?:// ]]; then
        TARGET_KIND=url TARGET_URL=${1%/} TARGET_ADMIN_URL=${ADMIN_URL-} TARGET_DB=${DATABASE_URL-} TARGET_PID=${PID-}
        return 0
    fi
    [[ $1 != *,* ]] || settings=${1#*,}
    TARGET_DIR=${1%%,*} TARGET_KIND=directory
    if [[ $TARGET_DIR =~ ^[0-8]$ ]]; then
        TARGET_KIND=phase TARGET_DIR=$ROOT/phase$TARGET_DIR
    elif [[ -d $ROOT/$TARGET_DIR ]]; then
        TARGET_DIR=$ROOT/$TARGET_DIR
    fi
    [[ -d $TARGET_DIR ]] ||
        usage "target '$1': there is no directory $TARGET_DIR (a target is 1, 1,DB_POOL=5, work/phase1 or a URL)"
    TARGET_DIR=$(cd -P "$TARGET_DIR" && pwd -P)
    TARGET_DIR=${TARGET_DIR#"$ROOT"/}
    IFS=, read -ra TARGET_SETTINGS <<<"$settings"
    for setting in "${TARGET_SETTINGS[@]}"; do
        [[ $setting =~ ^[A-Z][A-Z0-9_]*=[^[:space:]]*$ ]] ||
            usage "target '$1': '$setting' is not a setting like DB_POOL=5"
    done
}

# "phase 1", "phase 1 with DB_POOL=5", "work/phase1", for people.
target_name() {
    local name=$TARGET_DIR
    [[ $TARGET_KIND != url ]] || name=$TARGET_URL
    [[ $TARGET_KIND != phase ]] || name="phase ${TARGET%%,*}"
    printf '%s%s' "$name" "${TARGET_SETTINGS[*]:+ with ${TARGET_SETTINGS[*]}}"
}

# The name as part of a file's name.
target_slug() { printf '%s' "${TARGET//[^A-Za-z0-9_.=-]/_}"; }

_target_server() { printf '%s/build/%s/%s/server' "$ROOT" "${MODE:-release}" "$TARGET_DIR"; }

# make, also when make runs this script; what it builds is progress.
harness_make() {
    local line
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s --no-print-directory -C "$ROOT" -j "$(nproc)" "$@" |
        while read -r line; do progress "building: $line"; done || die "it does not build: make $*"
}

# The file of a phase is built, not `make phaseN`, which would make it the phase built last.
target_build() {
    local goal=()
    case $TARGET_KIND in
    phase) goal=("build/${MODE:-release}/$TARGET_DIR/server") ;;
    directory) goal=(server "DIR=$TARGET_DIR") ;;
    url) return 0 ;;
    esac
    harness_make MODE="${MODE:-release}" "${goal[@]}"
}

target_prepare() {
    local dir=$TARGET_DIR
    [[ $TARGET_KIND != url ]] || return 0
    [[ $dir == /* ]] || dir=$ROOT/$dir
    TARGET_DB=$(postgres_database target) || exit 1 # it has said why
    postgres_apply "$TARGET_DB" "$dir/schema.sql" "$dir/seed.sql"
    TARGET_LOG=$RUN/$(target_slug).server.log
    : >"$TARGET_LOG"
}

# A port that nobody listens on and that is not the one given; where to look first differs from script
# to script.
_target_port() {
    local first=${TARGET_PORTS%-*} last=${TARGET_PORTS#*-} i port
    for ((i = 0; i <= last - first; i++)); do
        port=$((first + ($$ * 37 + i) % (last - first + 1)))
        if [[ $port != "${1-}" ]] && ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            printf '%s' "$port"
            return 0
        fi
    done
    die "no free port in $TARGET_PORTS (TARGET_PORTS=first-last chooses others)"
}

# _target_run PORT ADMIN_PORT
_target_run() {
    env -i PATH="$PATH" HOME="${HOME:-/}" LANG=C.UTF-8 \
        ${ASAN_OPTIONS+"ASAN_OPTIONS=$ASAN_OPTIONS"} ${TSAN_OPTIONS+"TSAN_OPTIONS=$TSAN_OPTIONS"} \
        PORT="$1" ADMIN_PORT="$2" DATABASE_URL="$TARGET_DB" AUTH_SECRET="$AUTH_SECRET" "${TARGET_SETTINGS[@]}" \
        nice -n "$TARGET_NICE" "$(_target_server)" >>"$TARGET_LOG" 2>&1 </dev/null &
    TARGET_PID=$!
    postgres_keep "$TARGET_PID"
    disown # bash need not report how it ended: target_check does
}

target_spawn() {
    local port admin
    target_database
    port=$(_target_port) || exit 1 # it has said why
    admin=$(_target_port "$port") || exit 1
    TARGET_URL=http://127.0.0.1:$port TARGET_ADMIN_URL=http://127.0.0.1:$admin
    _target_run "$port" "$admin"
}

target_respawn() {
    local admin
    target_database
    admin=${TARGET_ADMIN_URL##*:}
    _target_run "${TARGET_URL##*:}" "${admin:-$(_target_port "${TARGET_URL##*:}")}"
}

target_alive() { [[ -n $TARGET_PID ]] && kill -0 "$TARGET_PID" 2>/dev/null; }

target_serves() { curl -sf -o /dev/null --max-time 1 "$TARGET_URL/health" 2>/dev/null; }

target_ready() {
    local deadline=$((SECONDS + $1))
    until target_serves; do
        if [[ $TARGET_KIND != url ]] && ! target_alive; then return 1; fi
        if ((SECONDS >= deadline)); then return 1; fi
        sleep 0.05
    done
    # shellcheck disable=SC2034 # for the scripts
    [[ $TARGET_KIND == url || -n $(target_setting ADMIN_PORT) ]] || TARGET_ADMIN_URL=''
}

target_start() {
    target_parse "$1"
    target_build
    target_prepare
    [[ $TARGET_KIND == url ]] || target_spawn
    target_ready "$TARGET_READY_S" || die "$(target_name) does not serve: $(target_last_words)"
}

target_restart() {
    target_stop
    target_spawn
    target_ready "$TARGET_READY_S" || die "$(target_name) does not serve: $(target_last_words)"
}

# The last line of its log; of one that says why, only that.
target_last_words() {
    local line
    line=$(tail -n 1 "$TARGET_LOG" 2>/dev/null) || :
    jq -re '.error' 2>/dev/null <<<"$line" || printf '%s\n' "${line:-$TARGET_URL does not answer}"
}

# A server that is no longer there has crashed under the load: that is no matter of verdicts.
target_check() {
    [[ $TARGET_KIND == url ]] || target_alive || die "$(target_name) ended in the middle of it: $(target_last_words)"
}

target_stop() {
    local tenths
    if [[ $TARGET_KIND == url || -z $TARGET_PID ]]; then return 0; fi
    target_check
    kill -TERM "$TARGET_PID"
    for ((tenths = 0; tenths < TARGET_STOP_S * 10; tenths++)); do
        target_alive || break
        sleep 0.1
    done
    if target_alive; then
        warn "$(target_name) did not stop within $TARGET_STOP_S s of SIGTERM; killed"
    fi
    target_kill
}

target_kill() {
    while target_alive; do
        kill -KILL "$TARGET_PID"
        sleep 0.05
    done
    TARGET_PID=''
}

target_setting() {
    local value=''
    [[ ! -r $TARGET_LOG ]] || value=$(grep -m 1 '"event":"config"' "$TARGET_LOG" | jq -r --arg name "$1" '.[$name] // empty')
    printf '%s' "${value:-${2-}}"
}

target_database() { [[ -n $TARGET_DB ]] || die "$(target_name) has no database: nothing is asked or written"; }

target_sql() {
    target_database
    psql -X -A -t -q -v ON_ERROR_STOP=1 -d "$TARGET_DB" -c "$1"
}

target_sessions() {
    target_sql "SELECT count(*), count(*) FILTER (WHERE state <> 'idle') FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
}
