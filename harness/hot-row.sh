#!/usr/bin/env bash
# hot-row: seven ways to sell one row, and what each of them costs.
#
# The four inventories of phase 6 as servers, whose clients each await their order's final state, and
# three more as statements that pgbench runs (harness/hot-row/*.sql): those have no server and no
# HTTP, but a session for each client. All sell the same sale, at 1 to 128 clients. What is confirmed
# is counted in the database, within the window; after each window what is gone must be what was sold.
# Targets stand in for the four servers, and files that end in .sql for the three scripts: with
# `./harness/hot-row.sh 5 mine.sql` there are two ways.
# CLIENTS: the numbers of clients ("1 4 16 64 128"). DURATION: seconds of a window (1.5).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck source=harness/lib/telemetry.sh
source "$ROOT/harness/lib/telemetry.sh"
# shellcheck source=harness/lib/hot_row.sh
source "$ROOT/harness/lib/hot_row.sh"

# The ways: name|target, or the script for pgbench.
WAYS='pessimistic|6,INVENTORY=pessimistic
optimistic|6,INVENTORY=optimistic,DB_WORKERS=16,SALE_WORKERS=16,DB_POOL=20
sharded|6,INVENTORY=sharded,SHARDS=16,DB_WORKERS=16,SALE_WORKERS=16,DB_POOL=20
batched|6,INVENTORY=batched
one statement|one-statement.sql
advisory lock|advisory-lock.sql
unit rows|unit-rows.sql'
read -ra COUNTS <<<"${CLIENTS:-1 4 16 64 128}"
WINDOW=${DURATION:-1.5}

hot_row_choose "$@"
scenario_begin hot-row "Orders confirmed a second, on one sale, by numbers of clients:" "$(hot_row_seconds 1)" "$(hot_row_seconds 2)" "${HOT_TARGETS[@]}"
table=$RUN/hot-row.tsv
hot_row_header >"$table"
hot_row_line "" "${COUNTS[@]}"
for way in "${HOT_WAYS[@]}"; do
    hot_row_prepare "${way%%|*}" "${way#*|}"
    for clients in "${COUNTS[@]}"; do hot_row_window "$clients" >>"$table"; done
    progress_end
    mapfile -t rates < <(awk -F '\t' -v way="${way%%|*}" '$1 == way { printf "%.0f\n", $4 }' "$table")
    hot_row_line "${way%%|*}" "${rates[@]}"
done

hot_row_keep "$table"
costs_at=$(hot_row_costs_at)
hot_row_costs "$costs_at" <"$table"
hot_row_bars "$costs_at" <"$table"
hot_row_doubts <"$table"
say "  the picture: ${RUN#"$ROOT"/}/hot-row.svg"
TARGETS=("$@")
scenario_finish 0 "Measured."
