# shellcheck shell=bash
# figures: the little arithmetic that bash cannot do, and a curve for the terminal. Sourced.
#
#   calc EXPRESSION              awk's arithmetic: calc "3 / 4"
#   quotient A B                 A over B; "none" of what is no number, or where B is not positive
#   rows_a_second TPS TRANSACTIONS ROWS    of what makes so many transactions a second, of which so many
#                                made so many rows; "none" as quotient
#   median, p95, percentile N    of the numbers on standard input, one a line; "none" of no number
#   median_known                 as median, without the empty lines; "unknown" of no number
#   column N [FILE..]            the Nth field of lines whose fields '|' separates, numbers only
#   pair_ratios N BASE OTHER     of lines "label<tab>..": the Nth field of each OTHER over that of the
#                                BASE before it
#   draw_curve                   lines "clients<tab>confirmed/s<tab>p99 ms" as bars

calc() { awk "BEGIN { print ($1) }"; }

quotient() {
    awk -v a="$1" -v b="$2" 'BEGIN { number = "^-?[0-9.]+(e[-+]?[0-9]+)?$"; print (a ~ number && b ~ number && b + 0 > 0 ? a / b : "none") }'
}

rows_a_second() { quotient "$(calc "$1 * $3")" "$2"; }

median() { sort -g | awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : "none" }'; }

median_known() { sed '/^$/d' | median | sed 's/none/unknown/'; }

# The nearest rank: the smallest number that N % of them are not above.
percentile() { sort -g | awk -v n="$1" '{ v[NR] = $1 } END { print NR ? v[int((NR * n + 99) / 100)] : "none" }'; }

p95() { percentile 95; }

column() { awk -F '|' -v n="$1" '/^[0-9.]+([|][0-9.]+)*$/ { print $n }' "${@:2}"; }

pair_ratios() {
    awk -F '\t' -v n="$1" -v base="$2" -v other="$3" '
        $1 == base { v = $n } $1 == other && v > 0 { printf "%.3f\n", $n / v }'
}

draw_curve() {
    local bar='#'
    [[ ${LC_ALL:-${LC_CTYPE:-${LANG-}}} != *[Uu][Tt][Ff]* ]] || bar='█'
    awk -F '\t' -v bar="$bar" -v width=42 '
        { clients[NR] = $1; rate[NR] = $2; p99[NR] = $3; if ($2 > top) top = $2 }
        END {
            printf "  %7s  %11s  %-*s  %8s\n", "clients", "confirmed/s", width, "", "p99 ms"
            for (i = 1; i <= NR; i++) {
                line = ""
                filled = top > 0 ? int(width * rate[i] / top + 0.5) : 0
                for (j = 0; j < width; j++) line = line (j < filled ? bar : " ")
                printf "  %7d  %11.0f  %s  %8.1f\n", clients[i], rate[i], line, p99[i]
            }
        }'
}
