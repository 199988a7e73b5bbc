# shellcheck shell=bash
# postgres: a throwaway PostgreSQL for one script. Sourced, after common.sh.
#
#   postgres_start NAME       a cluster of its own; sets PG_DIR, PG_URI_BASE, PG_POSTMASTER
#   postgres_database NAME    drops and creates a database, prints its URI
#   postgres_apply URI FILE.. runs SQL files, stops at the first error
#   postgres_down, postgres_up       stops it, starts it again, data kept
#   postgres_freeze, postgres_thaw   SIGSTOP, SIGCONT to every process of the cluster
#   postgres_stop             ends it and removes its directory (also done when the script ends)
#   postgres_keep PID..       the keeper ends these too, should the script die without a chance
#
# The cluster lives in a private directory on a real disk, because fsync costs nothing in memory and
# would make every figure a lie; it listens on a unix socket there and nowhere else. fsync and
# synchronous_commit are on. As root the server runs as an unprivileged user, since it refuses root;
# nobody else can enter the directory. An initdb'ed data directory is kept in build/ as a tar, under
# the name of the exact server version and of the options.
#
# With DATABASE_URL set, that server is used instead: databases are made through it, under names of
# this script's own, and dropped at the end; what needs the server's processes says that it cannot.
#
# It does not tune the server: apart from the lines below, it is as the distribution ships it.

: "${ROOT:?source common.sh before postgres.sh}"

PG_TMP=${FLASHDEAL_TMP:-/var/tmp} # where the private directories are made
PG_DIR_MAX=85                     # characters of a private directory's name
PG_FREE_MB=200                    # what must be free there
PG_START_S=60                     # a start or stop that takes longer has failed
PG_DIR=''                         # the private directory: data/, log, the socket
PG_URI_BASE=''                    # URI of the server without a database: postgresql:///?host=..
PG_POSTMASTER=''                  # pid; empty with DATABASE_URL
_PG_BIN=''
_PG_AS=()                         # the command that becomes the server's user
_PG_EXTERNAL=''

# Sets _PG_BIN to the directory of initdb: the distribution's newest, else the one of the PATH.
postgres_find() {
    local found
    found=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
    [[ -x $found ]] || found=$(command -v initdb) ||
        die "PostgreSQL's server is not installed: bash harness/setup.sh tier1 run"
    _PG_BIN=${found%/*}
}

_postgres_user() {
    local user
    ((EUID == 0)) || return 0
    for user in postgres nobody; do
        if id -u "$user" >/dev/null 2>&1; then
            _PG_AS=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --init-groups --)
            chown "$user" "$PG_DIR"
            "${_PG_AS[@]}" test -w "$PG_DIR" ||
                die "$PG_TMP cannot be entered by $user, as whom the server runs: chmod a+x it and what it lies in, or FLASHDEAL_TMP=<directory on a disk> chooses another place"
            return 0
        fi
    done
    die "PostgreSQL refuses to run as root, and there is no user postgres or nobody here"
}

# In its own directory, because the caller's may be closed to the server's user, and without the
# caller's PG* variables, which would change what it connects to.
_postgres_run() {
    (cd "$PG_DIR" && env -u PGDATA -u PGPORT -u PGHOST -u PGUSER -u PGDATABASE -u PGOPTIONS \
        -u PGSERVICE LC_ALL=C TZ=UTC "${_PG_AS[@]}" "$@")
}

# What the private directory needs of the place, looked at before anything starts. It goes into a URI
# and into postgresql.conf as it is; the socket in it must fit into a sockaddr_un.
_postgres_place() {
    local other="FLASHDEAL_TMP=<directory on a disk> chooses another place" blocks size
    [[ $PG_TMP =~ ^/[A-Za-z0-9/._-]*$ ]] ||
        die "FLASHDEAL_TMP is '$PG_TMP': give an absolute path of A-Z, a-z, 0-9, '.', '_', '-' and '/' only"
    [[ -d $PG_TMP ]] || die "$PG_TMP is no directory: mkdir -p it, or $other"
    [[ -w $PG_TMP && -x $PG_TMP ]] || die "$PG_TMP cannot be written: $other"
    [[ -z $_PG_EXTERNAL ]] || return 0
    ((${#1} <= PG_DIR_MAX)) ||
        die "$PG_TMP is too long for a socket's path ($1: ${#1} characters, at most $PG_DIR_MAX): give FLASHDEAL_TMP a shorter one"
    read -r blocks size < <(stat -f -c '%a %S' "$PG_TMP")
    ((blocks * size >= PG_FREE_MB * 1048576)) ||
        die "$PG_TMP has $((blocks * size / 1048576)) MB left, at least $PG_FREE_MB are needed: make room, or $other"
}

_postgres_directory() {
    local name=$1
    [[ $name =~ ^[a-z0-9-]{1,24}$ ]] || die "postgres_start: name '$name' is not a-z, 0-9, -"
    _postgres_place "$PG_TMP/flashdeal-$name.XXXXXX"
    PG_DIR=$(mktemp -d "$PG_TMP/flashdeal-$name.XXXXXX") # mode 0700
    setsid bash "$ROOT/harness/lib/keeper.sh" $$ "$PG_DIR" </dev/null >/dev/null 2>&1 &
    disown
    on_exit postgres_stop
    if [[ -z $_PG_EXTERNAL && $(stat -f -c %T "$PG_DIR") == tmpfs ]]; then
        warn "$PG_TMP is in memory, where fsync costs nothing: figures will flatter." \
            "FLASHDEAL_TMP=<directory on a disk> chooses another place"
    fi
}

# initdb takes 1 to 3 s, unpacking what it made 0.2 s. The tar belongs to whoever builds here, so
# that it needs no right of the server's user; a checkout that cannot be written does without it.
_postgres_initdb() {
    local options=(-N -A trust -U flashdeal -E UTF8 --locale=C.UTF-8) key cache
    key=$("$_PG_BIN/postgres" --version && printf '%s ' "${options[@]}" "$(uname -m)")
    cache=$ROOT/build/cache/postgres-$(cksum <<<"$key" | cut -d ' ' -f 1).tar
    if [[ -r $cache ]]; then
        _postgres_run mkdir -m 700 "$PG_DIR/data"
        if _postgres_run tar -xf - -C "$PG_DIR/data" <"$cache"; then return 0; fi
        rm -rf "$PG_DIR/data" # a damaged cache
    fi
    _postgres_run "$_PG_BIN/initdb" "${options[@]}" -D "$PG_DIR/data" >"$PG_DIR/initdb.log" 2>&1 ||
        die "initdb failed: $(tail -n 3 "$PG_DIR/initdb.log")"
    if mkdir -p "${cache%/*}" 2>/dev/null && [[ -w ${cache%/*} ]]; then
        tar -cf "$cache.$$" -C "$PG_DIR/data" . && mv "$cache.$$" "$cache"
    fi
}

_postgres_configure() {
    local port=$((10000 + $$ % 50000))
    cat <<CONF | _postgres_run tee -a "$PG_DIR/data/postgresql.conf" >/dev/null
listen_addresses = ''
unix_socket_directories = '$PG_DIR'
unix_socket_permissions = 0700
port = $port
max_connections = 300
shared_buffers = 256MB
fsync = on
synchronous_commit = on
track_wal_io_timing = on
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
CONF
    PG_URI_BASE="postgresql:///?host=$PG_DIR&port=$port&user=flashdeal"
}

# Makes a cluster and starts it; or, with DATABASE_URL, looks whether that server answers.
postgres_start() {
    [[ -z $PG_DIR ]] || die "postgres_start: started already"
    _PG_EXTERNAL=${DATABASE_URL-}
    if [[ -n $_PG_EXTERNAL ]]; then
        _postgres_directory "$1"
        _postgres_external
        return 0
    fi
    postgres_find
    _postgres_directory "$1"
    _postgres_user
    _postgres_initdb
    _postgres_configure
    postgres_up
}

_postgres_external() {
    [[ $_PG_EXTERNAL =~ ^postgres(ql)?:// ]] ||
        die "DATABASE_URL must be a URI: postgresql://user@host:port/database"
    psql -X -q -d "$_PG_EXTERNAL" -c 'SELECT 1' >/dev/null ||
        die "DATABASE_URL is set, but that server cannot be used (unset it for a throwaway one)"
    (umask 077 && : >"$PG_DIR/databases")
    PG_URI_BASE=$(_postgres_uri '')
}

# DATABASE_URL with another database: scheme://user@host , / and the name, ?parameters.
_postgres_uri() {
    local head=${_PG_EXTERNAL%%\?*} parameters=''
    [[ $_PG_EXTERNAL != *\?* ]] || parameters="?${_PG_EXTERNAL#*\?}"
    [[ $head =~ ^([a-z]+://[^/]*) ]]
    printf '%s/%s%s' "${BASH_REMATCH[1]}" "$1" "$parameters"
}

postgres_database() {
    local name=$1 uri admin made=''
    [[ $name =~ ^[a-z][a-z0-9_]{0,30}$ ]] || die "postgres_database: name '$name' is not a-z, 0-9, _"
    if [[ -n $_PG_EXTERNAL ]]; then
        name=flashdeal_${name}_$$
        uri=$(_postgres_uri "$name")
        admin=$_PG_EXTERNAL
        printf '%s %s\n' "$admin" "$name" >>"$PG_DIR/databases"
    else
        uri=${PG_URI_BASE/\/\/\/\?/\/\/\/$name\?}
        admin=${PG_URI_BASE/\/\/\/\?/\/\/\/postgres\?}
    fi
    made=$(psql -X -q -v ON_ERROR_STOP=1 -d "$admin" 2>&1 \
        -c "SET client_min_messages = error" -c "DROP DATABASE IF EXISTS $name WITH (FORCE)" \
        -c "CREATE DATABASE $name") ||
        die "cannot make database $name${_PG_EXTERNAL:+ on the server of DATABASE_URL, whose role needs CREATEDB}: $made"
    printf '%s\n' "$uri"
}

postgres_apply() {
    local uri=$1 file files=()
    [[ -n $uri ]] || die "postgres_apply: no database is named, and psql's default may be anybody's"
    shift
    for file in "$@"; do files+=(-f "$file"); done
    psql -X -q -v ON_ERROR_STOP=1 -d "$uri" "${files[@]}" >/dev/null
}

_postgres_own() {
    [[ -n $PG_DIR ]] || die "$1: no server was started"
    [[ -z $_PG_EXTERNAL ]] ||
        die "$1: cannot do this to the server of DATABASE_URL; unset it to use a throwaway one"
}

postgres_up() {
    _postgres_own postgres_up
    if ! _postgres_run "$_PG_BIN/pg_ctl" start -w -s -t "$PG_START_S" -D "$PG_DIR/data" \
        -l "$PG_DIR/log" </dev/null >"$PG_DIR/pg_ctl.log" 2>&1; then
        die "PostgreSQL did not start: $(tail -n 3 "$PG_DIR/log" 2>/dev/null || cat "$PG_DIR/pg_ctl.log")"
    fi
    read -r PG_POSTMASTER <"$PG_DIR/data/postmaster.pid"
}

# Fast: sessions are cut off, data is safe.
postgres_down() {
    _postgres_own postgres_down
    _postgres_run "$_PG_BIN/pg_ctl" stop -s -m fast -w -t "$PG_START_S" -D "$PG_DIR/data" \
        >"$PG_DIR/pg_ctl.log" 2>&1 || die "PostgreSQL did not stop: $(cat "$PG_DIR/pg_ctl.log")"
    PG_POSTMASTER=''
}

# The postmaster's children, from /proc: ps may not be installed.
_postgres_children() {
    local stat line fields
    for stat in /proc/[0-9]*/stat; do
        read -r line 2>/dev/null <"$stat" || continue
        read -ra fields <<<"${line##*) }"
        [[ ${fields[1]} != "$PG_POSTMASTER" ]] || printf '%s\n' "${line%% *}"
    done
}

# The postmaster first, so that no child appears after the count.
postgres_freeze() {
    _postgres_own postgres_freeze
    kill -STOP "$PG_POSTMASTER"
    _postgres_children | xargs -r kill -STOP
}

postgres_thaw() {
    _postgres_own postgres_thaw
    _postgres_children | xargs -r kill -CONT
    kill -CONT "$PG_POSTMASTER"
}

# A process with its start time, which makes sure that no other one is ended. Without a cluster (only
# URLs are looked at) there is no keeper: then the end of the script ends it.
postgres_keep() {
    local pid start
    for pid in "$@"; do
        start=$(_postgres_start_time "$pid") || continue
        if [[ -n $PG_DIR ]]; then
            printf '%s %s\n' "$pid" "$start" >>"$PG_DIR/pids"
        else
            on_exit _postgres_end "$pid" "$start"
        fi
    done
}

_postgres_start_time() {
    local line fields
    read -r line 2>/dev/null <"/proc/$1/stat" || return 1
    read -ra fields <<<"${line##*) }"
    printf '%s' "${fields[19]}"
}

_postgres_end() { [[ $(_postgres_start_time "$1") != "$2" ]] || kill "$1"; }

# There is one way to tidy up, the keeper's: for an owner that does not exist it does it at once. The
# one that watches sees the directory go and ends. Harmless when there is nothing to stop.
postgres_stop() {
    [[ -n $PG_DIR ]] || return 0
    bash "$ROOT/harness/lib/keeper.sh" 0 "$PG_DIR" </dev/null >/dev/null 2>&1 || :
    if [[ -d $PG_DIR ]]; then warn "$PG_DIR could not be removed"; fi
    PG_DIR='' PG_URI_BASE='' PG_POSTMASTER='' _PG_EXTERNAL=''
}
