#!/usr/bin/env bash
# failures: the failure modes of failure-modes.tsv, what each shows, where, and the script to see it.
#
#   harness/failures.sh        (make failures)
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/lib/common.sh"
# shellcheck source=harness/lib/verdict.sh
source "$ROOT/harness/lib/verdict.sh"

while IFS=$'\t' read -r mode shows script measured present na; do
    if [[ $shows == "$mode" ]]; then shows=''; fi
    say "$BOLD$mode$PLAIN${shows:+: $shows}"
    where="phase $present" first=" ${present%%[- ]*}"
    [[ $present != - ]] || where='no phase' first=''
    say "    ./harness/$script$first"
    fold -s -w 66 <<<"$measured" | sed '1s/^/    measured  /; 2,$s/^/              /'
    case $na in
    -) say "    present   in $where" ;;
    *) say "    present   in $where, not asked of $na" ;;
    esac
    say ""
done < <(verdict_rows "")
say "Each takes several targets: ./harness/overload.sh 1 work/phase1 compares; --help says more."
