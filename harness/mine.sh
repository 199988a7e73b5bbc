#!/usr/bin/env bash
# mine: copies a phase to work/phaseN, links resolved, for you to change. Never overwrites.
#
#   harness/mine.sh N          (make mine-N)
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/lib/common.sh"

n=${1-}
[[ $n =~ ^[0-9]+$ ]] || usage "usage: harness/mine.sh N, N a phase's number"
cd "$ROOT"
[[ -d phase$n ]] || die "there is no phase $n: this checkout has" phase[0-8]
copy=work/phase$n
[[ ! -e $copy ]] || die "$copy exists and is yours: rename or remove it first"
mkdir -p work
cp -rL "phase$n" "$copy.new"
mv -T "$copy.new" "$copy"
say "$copy is yours: every file of phase $n, no links. Next:"
say "    make server DIR=$copy                  build it"
say "    git diff --no-index phase$n $copy        what you changed"
scenario=overload
((n > 0)) || scenario=pool-exhaustion # phase 0 takes no orders
say "    ./harness/$scenario.sh $n $copy"
say "                                          the same load on the original and on yours"
