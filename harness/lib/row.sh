# shellcheck shell=bash
# row: a sale's row, held by a session that does nothing else. Sourced, after target.sh.
#
#   row_hold SALE [SECONDS]    locks it, under load too, and ends the script if that takes longer
#                              than SECONDS (10); ROW_HOLDER: the backend, ROW_PID: its psql
#   row_release                and whoever waits for the row goes on; nothing if none is held
#
# As an administrator's forgotten transaction does it: idle, and everybody else waits. It cannot
# outlive the script (postgres_keep).

ROW_HOLDER='' ROW_PID=''

row_hold() {
    local to from
    target_database
    coproc ROW_SESSION { exec psql -X -A -t -q -v ON_ERROR_STOP=1 -d "$TARGET_DB" 2>&1; }
    ROW_PID=$ROW_SESSION_PID from=${ROW_SESSION[0]} to=${ROW_SESSION[1]}
    postgres_keep "$ROW_PID"
    disown # bash need not report how it ended
    printf 'BEGIN;\nSELECT pg_backend_pid() FROM sales WHERE id = %d FOR UPDATE;\n' "$1" >&"$to"
    read -r -t "${2:-10}" ROW_HOLDER <&"$from" || die "the row of sale $1 could not be locked"
}

row_release() {
    [[ -n $ROW_PID ]] || return 0
    while kill "$ROW_PID" 2>/dev/null; do sleep 0.02; done
    # shellcheck disable=SC2034 # for the scripts
    ROW_PID='' ROW_HOLDER=''
}
