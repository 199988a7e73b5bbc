# shellcheck shell=bash
# machine: how much of the processors others used while we measured. Sourced, after postgres.sh.
#
#   machine_sample                 prints "seconds all own": the time, and processor seconds used so
#                                  far by everybody and by this script, its children and its cluster
#   machine_foreign BEFORE AFTER   cores that others kept busy between two samples
#
# A foreign process takes the processor from whoever holds the row's lock, which slows few clients
# as much as many: a queue's own cost then no longer shows, and no ratio can tell. Time stolen by
# the hypervisor is foreign too; time in interrupts is nobody's (our own loopback traffic is most of
# it). A process that has ended and was waited for counts with its parent, so nothing gets lost.

# shellcheck disable=SC2034 # for the scripts
MACHINE_FOREIGN_MAX=0.4 # cores; more makes a window that compares throughput untrustworthy

machine_sample() {
    # cat goes on when a process ends under its hands; awk would not.
    cat /proc/stat /proc/[0-9]*/stat 2>/dev/null |
        awk -v tick="$(getconf CLK_TCK)" -v self=$$ -v postmaster="${PG_POSTMASTER:-0}" '
            $1 == "cpu" { all = $2 + $3 + $4 + $9; next }
            $1 ~ /^[0-9]+$/ {
                pid = $1
                sub(/^.*\) /, "") # the name may hold blanks; after it: state ppid ...
                if (pid == self || pid == postmaster || $2 == self || $2 == postmaster)
                    own += $12 + $13 + $14 + $15
            }
            END { getline up <"/proc/uptime"; split(up, now, " ")
                  printf "%.2f %.2f %.2f\n", now[1], all / tick, own / tick }'
}

machine_foreign() {
    awk '{ t[NR] = $1; all[NR] = $2; own[NR] = $3 }
        END { s = t[2] - t[1]; f = (all[2] - all[1]) - (own[2] - own[1])
              printf "%.2f\n", (s > 0 && f > 0) ? f / s : 0 }' <<<"$1"$'\n'"$2"
}
