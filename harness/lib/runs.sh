# shellcheck shell=bash
# runs: the phases that `make run-N` runs at the moment. Sourced, after common.sh.
#
#   runs_tidy             removes the entries of runs that were killed
#   runs_of PHASE         the entries' files of one phase, the one started last first
#
# An entry is a file build/run/phaseN-PID, which run.sh keeps: "port uri" on one line. A pid may have
# become another program's since: it counts only where its command line names run.sh.

RUNS=$ROOT/build/run

runs_tidy() {
    local file
    for file in "$RUNS"/phase*-*; do
        [[ -e $file ]] || continue
        grep -qsaF run.sh "/proc/${file##*-}/cmdline" || rm -f "$file"
    done
}

runs_of() {
    find "$RUNS" -name "phase$1-*" -printf '%T@ %p\n' 2>/dev/null | sort -rn | cut -d ' ' -f 2-
}
