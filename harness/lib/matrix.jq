# matrix.jq: rows of failure-modes.tsv (raw text) and measured cells to matrix.json. By matrix.sh.
def lines: split("\n") | map(select(. != "") | split("\t"));
($phases | split(" ")) as $n
| ($cells | lines | map({failure_mode: .[0], target: .[1], verdict: .[2], expected: .[3],
    seconds: (.[4] | tonumber), run: .[5], reason: .[6]})) as $measured
| {version: 1, started_at: $started, seconds: $seconds, command: $command, commit: $commit,
   machine: $machine, phases: $n,
   rows: (lines | map(. as $row | {failure_mode: .[0], shows: .[1], script: .[2], measured: .[3],
     present: .[4], not_asked: .[5], by_design: (.[4] | contains("by-design")),
     cells: [$measured[] | select(.failure_mode == $row[0])]})),
   prices: [$price[]?.figures // [] | group_by(.target)[]
     | {target: .[0].target, figures: map({name, value, unit})}]}
