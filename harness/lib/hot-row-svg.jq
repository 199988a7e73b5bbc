# hot-row-svg.jq: series.json of hot-row.sh as a picture: confirmed orders a second over the number of
# clients, both in powers, a line a way. By hot_row.sh.
# Lines are told apart by their names at their ends; colour comes second. What pgbench ran is dashed.
# It has a ground of its own, so that it can be read wherever it is put.
70 as $left | 470 as $right | 84 as $top | 424 as $bottom | 17 as $row
| ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c6d1f", "#7a5cc0", "#6b7280"] as $light
| ["#5db3ef", "#ff9a52", "#3fd6a4", "#f0a3cd", "#d9b64e", "#b39bf5", "#a9b1bd"] as $dark
| def tidy: . * 10 | round / 10;
  def thousands: round | tostring | if length > 3 then .[:-3] + "," + .[-3:] else . end;
  # Names that would overlap move apart, the highest line's first; what hangs over is pushed up.
  def apart($floor): sort_by(.y)
    | reduce .[] as $one ([]; . + [$one + {at: ([$one.y, ((last | .at) // -1e9) + $row] | max)}])
    | reverse | reduce .[] as $one ([]; . + [$one + {at: ([$one.at, ((last | .at) // ($floor + $row)) - $row] | min)}]);
  [.cells[] | select(.confirmed_s > 0)] as $cells
| ([$cells[].clients] | unique) as $counts
| ([$cells[].confirmed_s] | min) as $least | ([$cells[].confirmed_s] | max) as $most
| [range(-1; 9) as $power | (1, 2, 5) * pow(10; $power)] as $steps
| ([$steps[] | select(. < $least)] | last) as $low | ([$steps[] | select(. > $most)] | first) as $high
| (($counts | last | log2) - ($counts | first | log2)) as $span
| def x: $left + (if $span > 0 then ((log2 - ($counts | first | log2)) / $span) else 0.5 end) * ($right - $left) | tidy;
  def y: $bottom - (log10 - ($low | log10)) / (($high | log10) - ($low | log10)) * ($bottom - $top) | tidy;
  (reduce $cells[] as $cell ([]; if any(.[]; .way == $cell.way) then map(if .way == $cell.way then .points += [$cell] else . end)
    else . + [{way: $cell.way, by: $cell.by, points: [$cell]}] end)
    | to_entries | map(.value + {colour: (.key % ($light | length)), y: (.value.points | last | .confirmed_s | y)})) as $ways
| "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 700 500\" font-family=\"system-ui, sans-serif\" font-size=\"13\" role=\"img\" aria-label=\"Confirmed orders per second on one sale, by way of selling it and by number of clients\">",
  "<style>.ground{fill:#fff}text{fill:#222}.faint{fill:#666}.grid{stroke:#ddd}.way polyline{fill:none;stroke-width:2.2;stroke-linejoin:round}.way .leader{stroke-width:1;opacity:.6}",
  ($light | to_entries[] | ".c\(.key){stroke:\(.value)}.c\(.key) circle{fill:\(.value);stroke:none}"),
  "@media(prefers-color-scheme:dark){.ground{fill:#16181d}text{fill:#ddd}.faint{fill:#9aa0aa}.grid{stroke:#363a42}",
  ($dark | to_entries[] | ".c\(.key){stroke:\(.value)}.c\(.key) circle{fill:\(.value)}"),
  "}</style>",
  "<rect class=\"ground\" width=\"700\" height=\"500\"/>",
  "<text x=\"20\" y=\"30\" font-size=\"17\" font-weight=\"600\">\($ways | length) ways to sell one row</text>",
  "<text x=\"20\" y=\"52\" class=\"faint\">orders confirmed per second, each on disk, by number of clients; both scales are logarithmic</text>",
  ($steps[] | select(. >= $low and . <= $high)
    | "<line class=\"grid\" x1=\"\($left)\" x2=\"\($right)\" y1=\"\(y)\" y2=\"\(y)\"\(if log10 == (log10 | round) then "" else " stroke-dasharray=\"1 4\"" end)/>",
      "<text x=\"\($left - 10)\" y=\"\(y + 4)\" text-anchor=\"end\">\(thousands)</text>"),
  ($counts[] | "<text x=\"\(x)\" y=\"\($bottom + 22)\" text-anchor=\"middle\">\(.)</text>"),
  "<text x=\"\(($left + $right) / 2)\" y=\"\($bottom + 42)\" text-anchor=\"middle\" class=\"faint\">clients</text>",
  ($ways | apart($bottom + 8)[] | (.points | sort_by(.clients)) as $points
    | "<g class=\"way c\(.colour)\"><polyline\(if .by == "pgbench" then " stroke-dasharray=\"7 4\"" else "" end) points=\"\([$points[] | "\(.clients | x),\(.confirmed_s | y)"] | join(" "))\"/>",
      ($points[] as $p | "<circle cx=\"\($p.clients | x)\" cy=\"\($p.confirmed_s | y)\" r=\"3.5\"><title>\(.way | @html), \($p.clients) clients: \($p.confirmed_s | thousands)/s</title></circle>"),
      "<line class=\"leader\" x1=\"\(($points | last | .clients | x) + 6)\" y1=\"\(.y)\" x2=\"\(($points | last | .clients | x) + 26)\" y2=\"\(.at | tidy)\"/></g>",
      "<text x=\"\(($points | last | .clients | x) + 31)\" y=\"\(.at + 4 | tidy)\">\(.way | if length > 21 then .[:20] + "…" else . end | @html) <tspan class=\"faint\">\($points | last | .confirmed_s | thousands)</tspan></text>"),
  "<text x=\"20\" y=\"486\" font-size=\"11\" class=\"faint\">solid: a server, whose HTTP clients await each order · dashed: statements alone, run by pgbench</text>",
  "</svg>"
