#!/usr/bin/env bash
# psql: opens the database of a phase that `make run-N` runs.
#
#   harness/psql.sh N [psql's options]      (make psql-N)
#
# Of several runs of one phase it takes the one started last; PORT=8101 chooses another.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/lib/common.sh"
# shellcheck source=harness/lib/runs.sh
source "$ROOT/harness/lib/runs.sh"

n=${1-}
[[ $n =~ ^[0-9]+$ ]] || usage "usage: harness/psql.sh N, N a phase's number"
shift
runs_tidy
found='' others=()
while read -r file; do
    read -r port uri <"$file"
    if [[ -z $found && ${PORT:-$port} == "$port" ]]; then found=$uri; else others+=("$port"); fi
done < <(runs_of "$n")

[[ -n $found ]] || die "no phase $n is running${PORT:+ on port $PORT}: start it with make run-$n"
((${#others[@]} == 0)) || say "Also running, on port ${others[*]}: PORT=${others[0]} make psql-$n" >&2
exec psql -d "$found" "$@"
