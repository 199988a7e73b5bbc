#!/usr/bin/env bash
# compare: two servers under one and the same load, in turn: A B, A B, A B.
#
# The load is planned once and replayed against both. What is compared are ratios, B over A within a
# pair of rounds next to each other in time: on a busy machine the figures move, the ratios much
# less. Each round is audited. At most three minutes; then there is a report to look at, with curves.
# SHAPE is one of those below, overload if not given. 1x is 0.8 of A's capacity, measured before.
# RATE: orders/s of 1x, or of the crowd's peak, instead. DURATION: seconds of a round.
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck source=harness/lib/shapes.sh
source "$ROOT/harness/lib/shapes.sh"
# shellcheck source=harness/lib/compare.sh
source "$ROOT/harness/lib/compare.sh"

PAIRS=3        # that can be trusted; one that cannot is repeated while there is time
PAIRS_MAX=6
LIMIT_S=180    # for everything
OVERHEAD_S=5   # of a round, beside its window
BEFORE_S=12    # building, PostgreSQL, the capacity

if [[ ${1-} == --help || ${1-} == -h ]]; then
    SCENARIO=compare
    scenario_help | sed -e 's/\[TARGET\.\.\.\]/A B [SHAPE]/' -e '/^  None: the phase built last/d' \
        -e 's/CLIENTS //' -e 's/^exit status: .*/exit status: 0 measured soundly and every audit passes, 1 not, 2 it cannot be trusted/'
    say "shapes:"
    shape_list
    exit 0
fi
compare_arguments "$@"
pair_s=$(calc "int(2 * ($SHAPE_SECONDS + $OVERHEAD_S) + 0.5)")
((BEFORE_S + PAIRS * pair_s <= LIMIT_S)) || usage "rounds of $SHAPE_SECONDS s take longer than $LIMIT_S s in all: give a shorter DURATION"
scenario_begin compare "$SHAPE: $SHAPE_TEXT." 0 $((BEFORE_S + PAIRS * pair_s)) "$COMPARE_A" "$COMPARE_B"
harness_make MODE=release build/release/report
compare_plan

sound=0
for ((n = 1; n <= PAIRS_MAX && sound < PAIRS; n++)); do
    ((n <= PAIRS || SECONDS + pair_s <= LIMIT_S)) || break
    doubts=''
    for arm in a b; do
        compare_round "$arm" "$n"
        doubts+=$DOUBT
    done
    [[ -n $doubts ]] || sound=$((sound + 1))
done
compare_finish "$((sound >= PAIRS))"
