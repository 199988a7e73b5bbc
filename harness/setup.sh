#!/usr/bin/env bash
# setup: installs the packages of one tier that are missing, after saying which and how much.
#
#   harness/setup.sh TIER run|test           test includes run
#   harness/setup.sh TIER run|test --check   installs nothing; status 1 and one sentence if any is missing
#   harness/setup.sh TIER run|test --list    the names, one a line; a|b are alternatives, a|- can be
#                                            done without where the distribution has no a
#
# TIER names a file in harness/packages/. Nothing missing: silent, at once, status 0. It installs as
# root or through sudo, without recommended packages and without asking; with neither it prints the
# command and ends with status 1. PostgreSQL is installed without the cluster that Debian starts on
# port 5432 by default, unless the machine had PostgreSQL before. The test part also makes
# build/venv with the Python packages of packages/TIER.python.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/lib/common.sh"

NO_CLUSTER=/etc/postgresql-common/createcluster.d/flashdeal.conf
tier=${1-} part=${2-} mode=${3-}
list=$ROOT/harness/packages/$tier
UNPACKED=$ROOT/build/packages
if [[ $tier == *[!a-z0-9]* || ! -f $list || ! $part =~ ^(run|test)$ || ! $mode =~ ^(|--check|--list)$ ]]; then
    usage "usage: harness/setup.sh tier1 run|test [--check|--list]"
fi

# section NAME..: the lines of these sections.
section() {
    awk -v wanted=" $* " '
        /^\[/ { inside = index(wanted, " " substr($0, 2, length($0) - 2) " "); next }
        /^#/ || /^$/ { next }
        inside { print }' "$list"
}
wanted() { section run "$part"; }
unpacked() { [[ $part != test ]] || section unpack; }

# Of the names given, those that are installed.
installed() {
    local name state
    while read -r name state; do
        [[ $state != installed ]] || say "$name"
    done < <(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null)
}

# The lines of which no alternative is installed. One that may be done without is missing only where
# apt has it.
missing() {
    local line name names=()
    local -A installed=()
    while read -r line; do
        IFS='|' read -ra line <<<"$line"
        names+=("${line[@]}")
    done < <(wanted)
    while read -r name; do installed[$name]=1; done < <(installed "${names[@]}")
    while read -r line; do
        IFS='|' read -ra names <<<"$line"
        for name in "${names[@]}"; do
            [[ -z ${installed[$name]-} ]] || continue 2
        done
        [[ $line != *'|-' || -n $(choose "$line") ]] || continue
        say "$line"
    done < <(wanted)
}

# The packages to unpack that are neither unpacked nor installed.
missing_unpacked() {
    local name
    while read -r name; do
        [[ -d $UNPACKED/$name || -n $(installed "$name") ]] || say "$name"
    done < <(unpacked)
}

known() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }

# Of every line given, the first alternative that apt knows; the last one when it knows none (and
# nothing if that is "-").
choose() {
    local line name names
    for line in "$@"; do
        IFS='|' read -ra names <<<"$line"
        for name in "${names[@]}"; do
            if [[ $name == - ]] || known "$name"; then break; fi
        done
        [[ $name == - ]] || say "$name"
    done
}

all_known() {
    local name
    for name in "$@"; do known "$name" || return 1; done
}

may_become_root() {
    as_root=()
    ((EUID != 0)) || return 0
    as_root=(sudo)
    command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }
}

become_root() {
    if ! may_become_root; then
        say "Needed, and not installed: ${names[*]}"
        say "You are not root and there is no sudo to ask. As root, run:"
        say "    apt-get update && apt-get install --no-install-recommends ${names[*]}"
        exit 1
    fi
}

apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -q "$@" </dev/null; }

apt_update() {
    say "Fetching the package lists (apt-get update)"
    apt update >/dev/null || die "apt-get update failed: is there a network?"
}

# A sign of life for each package, and what goes wrong; not the rest of its thousand lines. apt says
# "Get:7 URL suite arch NAME arch VERSION [SIZE]".
apt_install() {
    apt install -y --no-install-recommends "${names[@]}" 2>&1 |
        sed -unE -e 's/^Get:[0-9]+ [^ ]+ [^ ]+ [^ ]+ ([^ ]+) .*(\[.*\])$/Fetching \1 \2/p' \
            -e '/^(Fetched|Setting up|E:|Err:|W:|dpkg: error)/p'
}

# What it will fetch and occupy, in apt's own words.
announce() {
    say "To install (the $part part of $tier): ${names[*]}"
    LC_ALL=C apt-get --print-uris -y --no-install-recommends install "${names[@]}" 2>/dev/null |
        grep -E '^(Need to get|After this operation)' || :
}

# Debian's postgresql creates and starts a cluster on port 5432, which we never use: told not to,
# by a file that is gone afterwards. A machine that has PostgreSQL already keeps its own ways.
without_cluster() {
    [[ " ${names[*]} " == *" postgresql "* ]] || return 0
    ! dpkg-query -W -f '${db:Status-Status}' postgresql-common 2>/dev/null | grep -qx installed || return 0
    say "PostgreSQL is installed without a running server: FlashDeal starts throwaway ones."
    "${as_root[@]}" mkdir -p "${NO_CLUSTER%/*}"
    on_exit "${as_root[@]}" rm -f "$NO_CLUSTER"
    say "create_main_cluster = false" | "${as_root[@]}" tee "$NO_CLUSTER" >/dev/null
}

install_packages() {
    local lines names as_root updated=''
    mapfile -t lines < <(missing)
    ((${#lines[@]} > 0)) || return 0
    mapfile -t names < <(choose "${lines[@]}")
    become_root
    if ! all_known "${names[@]}"; then
        apt_update
        updated=1
        mapfile -t lines < <(missing)
        mapfile -t names < <(choose "${lines[@]}")
    fi
    announce
    without_cluster
    if apt_install; then return 0; fi
    [[ -z $updated ]] || die "apt-get could not install these packages: its words are above"
    apt_update
    apt_install || die "apt-get could not install these packages: its words are above"
}

# Fetches the package of that name and unpacks it; the directory is there only when all of it is.
unpack() {
    local name=$1 dir=$UNPACKED/.$1
    rm -rf "$dir"
    mkdir -p "$dir/files"
    (cd "$dir" && LC_ALL=C apt-get -qq -o APT::Sandbox::User=root download "$name" </dev/null) || return 1
    dpkg-deb -x "$dir"/*.deb "$dir/files" && rm -f "$dir"/*.deb && mv "$dir/files" "$UNPACKED/$name" && rmdir "$dir"
}

unpack_packages() {
    local names name as_root updated=''
    mapfile -t names < <(missing_unpacked)
    ((${#names[@]} > 0)) || return 0
    if ! all_known "${names[@]}"; then
        may_become_root || die "apt does not know ${names[*]}: as root, run apt-get update"
        apt_update
        updated=1
    fi
    say "To unpack in build/packages, not to install: ${names[*]}"
    LC_ALL=C apt-get --print-uris download "${names[@]}" 2>/dev/null |
        awk '{ bytes += $3 } END { if (bytes > 0) printf "Need to get %.1f MB of archives.\n", bytes / 1e6 }' || :
    for name in "${names[@]}"; do
        if unpack "$name"; then continue; fi
        if [[ -z $updated ]] && may_become_root; then # its version may be gone from the archive
            apt_update
            updated=1
            if unpack "$name"; then continue; fi
        fi
        die "$name could not be fetched and unpacked: apt's words are above"
    done
}

# Pinned, in a directory of its own; the stamp is the list it was made from.
install_python() {
    local list=$list.python venv=$ROOT/build/venv
    [[ $part == test && -f $list ]] || return 0
    if cmp -s "$list" "$venv/stamp"; then return 0; fi
    say "Making build/venv with $(grep -v '^#' "$list" | paste -sd ' ')"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q --no-cache-dir --disable-pip-version-check -r "$list" ||
        die "pip could not install the packages of harness/packages/${list##*/}: is there a network?"
    cp "$list" "$venv/stamp"
}

case $mode in
--list)
    wanted
    unpacked
    ;;
--check)
    command -v dpkg-query >/dev/null || exit 0 # not Debian: the compiler will tell
    mapfile -t lines < <(missing; missing_unpacked)
    ((${#lines[@]} == 0)) && exit 0
    lines=("${lines[@]%|-}")
    target=setup
    [[ $part == run ]] || target=check
    printf 'Not installed: %s. Install with: make %s\n' "${lines[*]//|/ or }" "$target" >&2
    exit 1
    ;;
*)
    command -v dpkg-query >/dev/null ||
        die "this is neither Debian nor Ubuntu; harness/packages/$tier lists what to install by hand"
    install_packages
    unpack_packages
    install_python
    ;;
esac
