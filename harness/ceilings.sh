#!/usr/bin/env bash
# ceilings: what the database alone can do with a phase's own statements, and what the phase makes
# of it.
#
# pgbench runs harness/ceilings/phaseN.sql (prepared) at the same numbers of clients as the server,
# in turn; for a phase with inventories, phaseN-INVENTORY.sql. What counts of both is orders confirmed.
# At 16 clients and with DB_POOL=16 phase 1 is to reach 0.7 of it, as the median of 5 pairs; what the
# others reach is told.
# CLIENTS: the numbers measured once beside that ("1 4 64"). DURATION: seconds of a window (1.5).
set -- "${@:-1,DB_POOL=16}"
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
scenario_begin ceilings "The server and pgbench in turn, with the same statements." 45 90 "$@"

WINDOW=${DURATION:-1.5}
read -ra COUNTS <<<"${CLIENTS:-1 4 64}"
GATED=16 # clients
PAIRS=5 REACHED=0.7
# A transaction may confirm a hundred orders, or none where another was quicker: what counts are rows.
CONFIRMED="SELECT count(*) FROM audit_orders WHERE status = 'confirmed'"

# pair CLIENTS: a line "clients|server/s|pgbench/s|ratio|foreign cores" in the table.
pair() {
    load_stock "$LOAD_UNITS"
    load_closed "server-$1" "$1" "$WINDOW"
    load_trust 50 50
    server_s=$LOAD_CONFIRMED_S foreign=$LOAD_FOREIGN
    load_stock "$LOAD_UNITS"
    [[ -z $inventory ]] || load_race first 1 0.2 # who sells from shards divides the stock first
    before=$(target_sql "$CONFIRMED")
    load_pgbench "$1" "$WINDOW" "$statements"
    LOAD_TPS=$(rows_a_second "$LOAD_TPS" "$LOAD_TRANSACTIONS" $(($(target_sql "$CONFIRMED") - before)))
    printf '%s|%s|%s|%s|%s\n' "$1" "$server_s" "$LOAD_TPS" "$(quotient "$server_s" "$LOAD_TPS")" \
        "$(printf '%s\n' "$foreign" "$LOAD_FOREIGN" | sort -g | tail -n 1)" >>"$table"
}

for target in "${TARGETS[@]}"; do
    [[ $target != http*://* ]] || usage "target '$target': the ceiling is that of a phase's own statements; name a phase"
    scenario_target "$target"
    inventory=$(target_setting INVENTORY)
    statements=$ROOT/harness/ceilings/${TARGET_DIR##*/}${inventory:+-$inventory}.sql
    [[ -r $statements ]] || die "there is no $statements"
    table=$RUN/$(target_slug).pairs
    for clients in "${COUNTS[@]}"; do pair "$clients"; done
    for ((i = 1; i <= PAIRS; i++)); do pair "$GATED"; done
    progress_end
    printf '  %7s %12s %12s %16s\n' clients server/s pgbench/s server/pgbench
    awk -F '|' '{ printf "  %7d %12.0f %12.0f %16.2f\n", $1, $2, $3, $4 }' "$table"
    ratio=$(awk -F '|' -v n="$GATED" '$1 == n { print $4 }' "$table" | median)
    figure "server/pgbench at $GATED clients (median of $PAIRS)" "$ratio" "$([[ $TARGET != 1* ]] || echo "at least $REACHED")"
    foreign=$(cut -d '|' -f 5 "$table" | median_known)
    figure "cores that others used (median)" "$foreign"
    case $(verdict_calm "$(verdict_rule "$ratio" ">= $REACHED")" "$foreign") in # "PRESENT": it is reached
    PRESENT) status=0 ;;
    ABSENT) status=$([[ $TARGET == 1* ]] && echo 1 || echo 0) ;;
    *) status=2 ;;
    esac
    [[ -z $DOUBT ]] || status=2
    scenario_worse "$status"
    target_stop
done
TEXTS=("Measured." "The server stays below $REACHED of what the database can do."
    "Inconclusive: ${DOUBT:-others used $foreign cores}.")
[[ ! " ${TARGETS[*]}" =~ " 1" ]] || TEXTS[0]="The server reaches at least $REACHED of what the database can do${TARGETS[1]:+ (phase 1; the others have no limit)}."
scenario_finish "$WORST" "${TEXTS[WORST]}"
