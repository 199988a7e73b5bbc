#!/usr/bin/env bash
# doctor: what is missing or wrong on this machine, and what to do about it.
#
#   harness/doctor.sh          (make doctor)
#
# One line per finding: `ok`, `note` (it works, but figures or comfort suffer) or `WRONG` with what
# to do. Changes nothing. Status 1 if anything is wrong.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/lib/common.sh"
cd "$ROOT"

MEMORY_MIN_MB=2000
DISK_MIN_MB=3000
CORES_MIN=2
GCC_MIN=10        # C17 and a ThreadSanitizer that knows our threads
POSTGRES_MIN=15   # pg_stat_wal, ON CONFLICT as the phases use it
PORTS=$(printf '%s ' 800{0..8} 900{2..8})

wrong=0
ok() { printf '%sok%s     %s\n' "$GREEN" "$PLAIN" "$*"; }
note() { printf '%snote%s   %s\n' "$YELLOW" "$PLAIN" "$*"; }
wrong() {
    printf '%sWRONG%s  %s\n' "$RED" "$PLAIN" "$*"
    wrong=1
}

distribution() {
    local ID='' VERSION_ID='' PRETTY_NAME=''
    # shellcheck disable=SC1091 # the machine's, not ours
    if [[ -r /etc/os-release ]]; then source /etc/os-release; fi
    case $ID-$VERSION_ID in
    debian-12 | debian-13 | ubuntu-24.04) ok "distribution: $PRETTY_NAME" ;;
    debian-* | ubuntu-*)
        note "distribution: ${PRETTY_NAME:-$ID}: tried on Debian 12, 13 and Ubuntu 24.04; packages may have other names" ;;
    *)
        wrong "distribution: ${PRETTY_NAME:-unknown}: needs Debian 12 or 13 or Ubuntu 24.04 (WSL2 will do); elsewhere, install by hand what harness/packages/tier1 lists" ;;
    esac
}

windows() {
    local kernel
    kernel=$(</proc/sys/kernel/osrelease)
    if [[ $kernel == *WSL2* || $kernel == *microsoft-standard* ]]; then
        ok "WSL2 ($kernel)"
    elif [[ $kernel == *[Mm]icrosoft* ]]; then
        wrong "WSL1: no real Linux kernel, figures would mean nothing; in PowerShell: wsl --set-version <distribution> 2"
    fi
    if [[ $ROOT == /mnt/[a-z]/* ]]; then
        wrong "the checkout lies on a Windows drive ($ROOT): slow, and without symlinks; clone it below your Linux home"
    fi
}

packages() {
    local part missing
    if ! command -v dpkg-query >/dev/null; then
        note "packages: no dpkg here; harness/packages/tier1 lists what is needed"
        return 0
    fi
    for part in run test; do
        if missing=$(harness/setup.sh tier1 "$part" --check 2>&1); then
            ok "packages to $part: all installed"
        elif [[ $part == run ]]; then
            wrong "packages to run: ${missing%%.*}; make setup installs them"
        else
            note "packages to test: ${missing%%.*}; make check installs them"
        fi
    done
    if ! command -v chromium >/dev/null; then
        note "browser: no chromium here (Ubuntu has it as a snap only): the test that opens the report in one is skipped"
    fi
    versions
}

versions() {
    local name
    for name in libcivetweb-dev libcjson-dev libpq-dev libssl-dev libjs-chart.js check prometheus chromium; do
        dpkg-query -W -f "\${db:Status-Status} $name \${Version}\n" "$name" 2>/dev/null || :
    done | sed -n 's/^installed //p' | paste -sd ';' | sed 's/;/, /g; s/^/       versions: /'
}

compiler() {
    local version
    if ! command -v gcc >/dev/null; then
        wrong "gcc: not installed; make setup installs it"
        return 0
    fi
    version=$(gcc -dumpversion)
    if ((${version%%.*} >= GCC_MIN)); then
        ok "gcc $version"
    else
        wrong "gcc $version: needs $GCC_MIN or later"
    fi
}

postgres() {
    local initdb version
    initdb=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
    [[ -x $initdb ]] || initdb=$(command -v initdb) || {
        wrong "PostgreSQL: no server binaries; make setup installs them"
        return 0
    }
    version=$("$initdb" --version | grep -oE '[0-9]+' | head -n 1)
    if ((version < POSTGRES_MIN)); then
        wrong "PostgreSQL $version in ${initdb%/*}: needs $POSTGRES_MIN or later"
    else
        ok "PostgreSQL $version in ${initdb%/*}"
    fi
    if ((EUID == 0)) && ! id -u postgres >/dev/null 2>&1 && ! id -u nobody >/dev/null 2>&1; then
        wrong "you are root, PostgreSQL refuses root, and there is neither a user postgres nor nobody"
    fi
    [[ -z ${DATABASE_URL-} ]] || note "DATABASE_URL is set: that server is used instead of throwaway ones"
}

machine() {
    local cores memory
    cores=$(nproc)
    if ((cores >= CORES_MIN)); then
        ok "cores: $cores"
    else
        note "cores: $cores: server, database and load share one; expect inconclusive verdicts"
    fi
    memory=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
    if ((memory >= MEMORY_MIN_MB)); then
        ok "memory available: $memory MB"
    else
        note "memory available: $memory MB: below $MEMORY_MIN_MB MB the database may be swapped out; close something"
    fi
}

disk() {
    local where=${FLASHDEAL_TMP:-/var/tmp} kind free
    if [[ ! -w $where ]]; then
        wrong "$where cannot be written: FLASHDEAL_TMP=<directory on a disk> chooses another place"
        return 0
    fi
    kind=$(df -PT "$where" | awk 'NR == 2 { print $2 }')
    [[ $kind != - ]] || kind="of an unknown file system"
    free=$(df -Pm "$where" | awk 'NR == 2 { print $4 }')
    if [[ $kind == tmpfs || $kind == ramfs ]]; then
        note "$where is in memory ($kind), where fsync costs nothing: figures will flatter; FLASHDEAL_TMP=<directory on a disk>"
    else
        ok "$where: $kind, on which the throwaway databases live"
    fi
    if ((free < DISK_MIN_MB)); then
        wrong "$where has $free MB left; at least $DISK_MIN_MB are needed"
    else
        ok "disk space there: $free MB"
    fi
}

symlinks() {
    local file
    file=$(grep -lsxE '\.\./phase[0-9]/[A-Za-z0-9_.-]+' phase*/*.[ch] phase*/*.sql | head -n 1) || :
    if [[ -n $file ]]; then
        wrong "the checkout has no symbolic links ($file is a plain file): clone it again inside Linux or WSL, with git config core.symlinks true"
    else
        ok "symbolic links in the checkout"
    fi
    if [[ $ROOT == *[[:space:]]* ]]; then
        wrong "the checkout's path has a space in it ($ROOT): make cannot deal with it; move it"
    fi
}

# Listening ports from /proc/net/tcp and tcp6 (state 0A); whose they are, where ss may tell.
ports() {
    local port listening busy=() who
    listening=" $(awk '$4 == "0A" { n = split($2, a, ":"); print a[n] }' /proc/net/tcp /proc/net/tcp6 2>/dev/null |
        while read -r port; do printf '%d ' "0x$port"; done)"
    for port in $PORTS; do
        [[ $listening == *" $port "* ]] || continue
        who=$(command -v ss >/dev/null && ss -Hltnp "sport = :$port" 2>/dev/null |
            sed -n 's/.*users:((\("[^"]*",pid=[0-9]*\).*/\1/p' | head -n 1) || :
        busy+=("$port${who:+ ($who)}")
    done
    if ((${#busy[@]} > 0)); then
        note "in use: port ${busy[*]}: make run-N there needs another, PORT=8101 make run-1"
    else
        ok "ports 8000-8008 and 9002-9008 are free"
    fi
}

# What a killed run may have left: a keeper ends these, unless it was killed too.
leftovers() {
    local dir pid found='' owner
    for dir in "${FLASHDEAL_TMP:-/var/tmp}"/flashdeal-*; do
        [[ -d $dir ]] || continue
        owner=$(pgrep_keeper "$dir")
        if [[ -n $owner ]]; then
            note "$dir is in use by process $owner"
        else
            wrong "$dir was left by a run that was killed: bash harness/lib/keeper.sh 0 $dir"
        fi
        found=1
    done
    for pid in /proc/[0-9]*; do
        [[ $(readlink "$pid/exe" 2>/dev/null) == "$ROOT"/build/*/server ]] || continue
        note "a server of this checkout runs: process ${pid##*/}"
        found=1
    done
    if [[ -z $found ]]; then ok "nothing left of earlier runs"; fi
}

# The owner that a keeper of this directory watches: keeper.sh OWNER DIRECTORY.
pgrep_keeper() {
    local proc words i
    for proc in /proc/[0-9]*; do
        mapfile -d '' -t words 2>/dev/null <"$proc/cmdline" || continue
        for ((i = 0; i + 2 < ${#words[@]}; i++)); do
            if [[ ${words[i]} == */keeper.sh && ${words[i + 2]} == "$1" ]]; then
                printf '%s' "${words[i + 1]}"
                return 0
            fi
        done
    done
}

distribution
windows
packages
compiler
postgres
machine
disk
symlinks
ports
leftovers
exit "$wrong"
