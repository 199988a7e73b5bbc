#!/usr/bin/env bash
# keeper: outlives the script that made a private directory, by as long as tidying up takes.
#
#   keeper.sh OWNER_PID DIRECTORY        (postgres.sh starts it, in a session of its own)
#
# It watches the owner; once that is gone, by exit, Ctrl-C or kill -9, it ends what the owner left:
# the processes listed in DIRECTORY/pids ("pid starttime" a line), the databases in
# DIRECTORY/databases (a URI to drop them through, then a name, a line), the cluster in
# DIRECTORY/data (immediate: nobody wants its data), and then the directory itself. It ends itself
# when the directory has gone, which is how the owner says that it has tidied up. It holds none of
# the owner's file descriptors, so that nobody waits for a pipe that it keeps open.
set -uo pipefail

owner=$1 dir=$2
POLL_S=0.2
GRACE_MS=2000  # for all listed processes to end on SIGTERM
TRIES_MAX=50   # rounds of killing and removing, 0.2 s each

trap '' INT HUP
cd /
for fd in "/proc/$$/fd"/*; do
    fd=${fd##*/}
    if ((fd > 2 && fd != 255)); then eval "exec $fd>&-"; fi
done
# A pipe that nobody writes to: read -t on it sleeps without a fork.
exec {never}<> <(:)
nap() { read -r -t "$1" -u "$never" _ || :; }

# REPLY: a process's start in clock ticks since boot, empty when it is gone or a zombie. With it a
# pid names one process for ever. No fork: this runs five times a second for as long as a load runs.
start_time() {
    local line fields
    REPLY=''
    read -r line 2>/dev/null <"/proc/$1/stat" || return 0
    read -ra fields <<<"${line##*) }"
    [[ ${fields[0]} == Z ]] || REPLY=${fields[19]}
}
runs() {
    start_time "$1"
    [[ -n $2 && $REPLY == "$2" ]]
}

# The processes that have the directory in their command line: the postmaster, or an initdb, tar or
# pg_ctl that had not ended yet. (A user's psql may too; it has nothing left to talk to.)
ours() {
    local proc words
    for proc in /proc/[0-9]*; do
        [[ ${proc##*/} == "$$" ]] && continue
        mapfile -d '' -t words 2>/dev/null <"$proc/cmdline" || continue
        [[ "${words[*]-}" == *"$dir/data"* ]] && printf '%s\n' "${proc##*/}"
    done
}
children() {
    local stat line fields
    for stat in /proc/[0-9]*/stat; do
        read -r line 2>/dev/null <"$stat" || continue
        read -ra fields <<<"${line##*) }"
        [[ ${fields[1]} == "$1" ]] && printf '%s\n' "${line%% *}"
    done
}

end_listed() {
    local pid began waited_ms=0
    [[ -r $dir/pids ]] || return 0
    while read -r pid began; do
        if runs "$pid" "$began"; then kill -TERM "$pid"; kill -CONT "$pid"; fi
    done <"$dir/pids" 2>/dev/null
    while read -r pid began; do
        while runs "$pid" "$began" && ((waited_ms < GRACE_MS)); do
            nap 0.1
            ((waited_ms += 100))
        done
        if runs "$pid" "$began"; then kill -KILL "$pid"; fi
    done <"$dir/pids" 2>/dev/null
}

drop_listed() {
    local uri name
    [[ -r $dir/databases ]] || return 0
    while read -r uri name; do
        PGCONNECT_TIMEOUT=5 psql -X -q -d "$uri" \
            -c "DROP DATABASE IF EXISTS \"$name\" WITH (FORCE)" </dev/null
    done <"$dir/databases"
}

# SIGCONT first: a frozen process cannot act on SIGQUIT. SIGQUIT lets the postmaster release its
# System V segment, which SIGKILL would leave behind.
end_cluster() {
    local pid try family signal=QUIT
    for ((try = 0; try < TRIES_MAX; try++)); do
        ((try < TRIES_MAX / 2)) || signal=KILL
        for pid in $(ours); do
            mapfile -t family < <(children "$pid")
            kill -CONT "$pid" "${family[@]}"
            kill -"$signal" "$pid"
        done 2>/dev/null
        [[ -n $(ours) ]] || rm -rf "$dir" 2>/dev/null
        [[ -d $dir ]] || return 0
        nap "$POLL_S"
    done
}

tidy() {
    end_listed
    drop_listed
    end_cluster
    exit 0
}
trap tidy TERM

start_time "$owner"
began=$REPLY
while [[ -d $dir ]] && runs "$owner" "$began"; do nap "$POLL_S"; done
if [[ -d $dir ]]; then tidy; fi
