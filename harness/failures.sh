#!/usr/bin/env bash
# failures: lists the failure modes of failure-modes.tsv and the script that shows each.
#
#   harness/failures.sh        (make failures)
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/lib/common.sh"

while IFS=$'\t' read -r mode script measure present _; do
    [[ $mode != \#* && -n $mode ]] || continue
    printf '%s%s%s\n    ./harness/%s\n' "$BOLD" "$mode" "$PLAIN" "$script"
    printf '    measured: %s\n    present in phase %s\n\n' "$measure" "$present"
done <"$ROOT/harness/failure-modes.tsv"
say "Each takes targets: ./harness/overload.sh 0 1 runs two phases under the same load; --help says more."
