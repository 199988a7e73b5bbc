/* parts: one function for each @name@ of page.html, and a table of them. All text from the run goes
 * through escape_html. A number that is missing is a dash. */
#include "harness/report/parts.h"

#include "harness/report/curves.h"
#include "harness/report/escape.h"

#include <math.h>
#include <string.h>

static void write_name(FILE *file, const struct run *run, int arm)
{
    escape_html(file, run_name(run, arm));
}

static void write_name_a(FILE *file, const struct run *run)
{
    write_name(file, run, 0);
}

static void write_name_b(FILE *file, const struct run *run)
{
    write_name(file, run, 1);
}

static void write_shape(FILE *file, const struct run *run)
{
    escape_html(file, run_text(run->summary, "shape"));
}

static void write_conclusion(FILE *file, const struct run *run)
{
    escape_html(file, run_text(run->summary, "conclusion"));
}

static void write_number(FILE *file, double value)
{
    char text[RUN_FIGURE_MAX];
    run_figure(value, text);
    fputs(text, file);
}

static void write_pairs(FILE *file, const struct run *run)
{
    write_number(file, run_number(run->summary, "pairs"));
}

static void write_what(FILE *file, const struct run *run)
{
    fputs("Two servers sold the same thing to the same buyers, ", file);
    write_number(file, run_number(run->summary, "duration_s"));
    fputs(" s at a time and in turn: ", file);
    escape_html(file, run_text(run->summary, "shape_text"));
    double capacity = run_number(run->summary, "capacity");
    const cJSON *part = cJSON_GetArrayItem(run_member(run->summary, "parts"), 0);
    if (isfinite(capacity)) {
        fputs(" (1x is 0.8 of what ", file);
        write_name(file, run, 0);
        fputs(" confirmed at best just before, ", file);
        write_number(file, capacity);
        fputs(" orders/s)", file);
    } else if (part) {
        fputs(" (it begins with ", file);
        write_number(file, run_number(part, "rate"));
        fputs(" orders/s)", file);
    }
    fputs(".", file);
}

static void write_lines(FILE *file, const cJSON *list, const char *before, const char *class)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item)) {
            fprintf(file, "<p class=\"%s\">%s", class, before);
            escape_html(file, item->valuestring);
            fputs("</p>\n", file);
        }
    }
}

static void write_doubts(FILE *file, const struct run *run)
{
    if (cJSON_IsFalse(run_member(run->summary, "sound"))) {
        fputs(
            "<p class=\"doubt\"><b>Not enough pairs of rounds can be trusted; these figures prove "
            "nothing.</b></p>\n",
            file);
    }
    write_lines(file, run_member(run->summary, "doubts"), "Not trusted: ", "doubt");
    write_lines(file, run_member(run->summary, "notes"), "", "note");
}

static void write_spread(FILE *file, const cJSON *spread, const char *class)
{
    char median[RUN_FIGURE_MAX], range[RUN_RANGE_MAX];
    run_spread(spread, median, range);
    fprintf(file, "<td class=\"%s\">%s", class, median);
    if (range[0]) {
        fprintf(file, "<small>%s</small>", range);
    }
    fputs("</td>", file);
}

static void write_figures(FILE *file, const struct run *run)
{
    const cJSON *figure;
    cJSON_ArrayForEach(figure, run_member(run->summary, "figures"))
    {
        const char *unit = run_text(figure, "unit");
        fputs("<tr><th scope=\"row\">", file);
        escape_html(file, run_text(figure, "name"));
        if (unit[0]) {
            fputs(", ", file);
            escape_html(file, unit);
        }
        fputs("</th>", file);
        write_spread(file, run_member(figure, "a"), "");
        write_spread(file, run_member(figure, "b"), "");
        write_spread(file, run_member(figure, "ratio"), "ratio");
        fputs("</tr>\n", file);
    }
}

static void write_curves(FILE *file, const struct run *run)
{
    fprintf(file, "Bold is pair %d of the rounds, the one whose ratio is the median.",
            run_shown(run));
    fputs(" Dotted lines mark where the load changes and where it ends.", file);
}

static void write_fault_key(FILE *file, const struct run *run)
{
    const char *text = curves_fault_text(run);
    if (text[0]) {
        fputs(" <span class=\"item\"><i class=\"shade\"></i>fault: ", file);
        escape_html(file, text);
        fputs("</span>", file);
    }
}

static void write_stages(FILE *file, const struct run *run)
{
    const bool a = curves_has_stages(run, 0), b = curves_has_stages(run, 1);
    if (!a && !b) {
        fputs(
            "Neither target publishes how long the stages of an order take (phases do from 2 on).",
            file);
        return;
    }
    fputs(
        "An average request for an order, refused ones among them, by the server's own telemetry.",
        file);
    for (int arm = 0; arm < RUN_ARMS; arm++) {
        if (!curves_has_stages(run, arm)) {
            fputs(" ", file);
            write_name(file, run, arm);
            fputs(" publishes no stages.", file);
        }
    }
}

static void write_latency_note(FILE *file, const struct run *run)
{
    fputs("<p>", file);
    escape_html(file, run_text(run->summary, "latency_note"));
    fputs("</p>", file);
}

static void write_stage_row(FILE *file, const struct run *run, const char *stage)
{
    fputs("<tr><th scope=\"row\"><i class=\"stage\" data-stage=\"", file);
    escape_html(file, stage);
    fputs("\"></i>", file);
    for (const char *at = stage; *at; at++) {
        const char letter[2] = {*at == '_' ? ' ' : *at, '\0'};
        escape_html(file, letter);
    }
    fputs("</th>", file);
    for (int arm = 0; arm < RUN_ARMS; arm++) {
        fputs("<td>", file);
        write_number(file, curves_stage_ms(run, arm, stage));
        fputs("</td>", file);
    }
    fputs("</tr>\n", file);
}

static void write_stage_table(FILE *file, const struct run *run)
{
    const int first = curves_has_stages(run, 0) ? 0 : 1;
    if (!curves_has_stages(run, first)) {
        return;
    }
    fputs("<table><thead><tr><th scope=\"col\">stage, ms</th><th scope=\"col\" class=\"a\">", file);
    write_name(file, run, 0);
    fputs("</th><th scope=\"col\" class=\"b\">", file);
    write_name(file, run, 1);
    fputs("</th></tr></thead><tbody>\n", file);
    for (int arm = first; arm < RUN_ARMS; arm++) {
        const cJSON *item;
        cJSON_ArrayForEach(item, run_member(run_member(run->summary, "stages"), run_arm(arm)))
        {
            const char *stage = run_text(item, "stage");
            if (arm == first || isnan(curves_stage_ms(run, first, stage))) {
                write_stage_row(file, run, stage);
            }
        }
    }
    fputs("</tbody></table>\n", file);
}

static void write_fact(FILE *file, const struct run *run, const char *name, const char *key,
                       const char *tag)
{
    const char *text = run_text(run->summary, key);
    if (text[0]) {
        fprintf(file, "<dt>%s</dt><dd><%s>", name, tag);
        escape_html(file, text);
        fprintf(file, "</%s></dd>\n", tag);
    }
}

static void write_facts(FILE *file, const struct run *run)
{
    write_fact(file, run, "again", "command", "code");
    write_fact(file, run, "measured", "started_at", "span");
    write_fact(file, run, "commit", "commit", "code");
    write_fact(file, run, "machine", "machine", "span");
    write_fact(file, run, "PostgreSQL", "postgres", "span");
    double seed = run_number(run->summary, "seed");
    if (isfinite(seed)) {
        fprintf(file, "<dt>seed</dt><dd>%.0f</dd>\n", seed);
    }
}

static void write_cell(FILE *file, double value)
{
    fputs("<td>", file);
    write_number(file, value);
    fputs("</td>", file);
}

static void write_rounds(FILE *file, const struct run *run)
{
    for (size_t i = 0; i < run->round_count; i++) {
        const struct run_round *round = &run->rounds[i];
        const cJSON *figures = run_member(round->listed, "figures");
        fprintf(file, "<tr><td>%d</td><td class=\"%s\">", round->number, run_arm(round->arm));
        write_name(file, run, round->arm);
        fputs("</td>", file);
        write_cell(file, run_number(figures, "goodput_s"));
        write_cell(file, run_number(figures, "p99_ms"));
        fputs("<td>", file);
        escape_html(file, run_text(round->listed, "audit"));
        fputs("</td>", file);
        write_cell(file, run_number(round->listed, "lag_p99_ms"));
        write_cell(file, run_number(round->listed, "foreign"));
        fputs("</tr>\n", file);
    }
}

bool parts_write(FILE *file, const char *name, const struct run *run)
{
    static const struct {
        const char *name;
        void (*write)(FILE *file, const struct run *run);
    } parts[] = {
        {"name_a", write_name_a},
        {"name_b", write_name_b},
        {"shape", write_shape},
        {"what", write_what},
        {"conclusion", write_conclusion},
        {"doubts", write_doubts},
        {"pairs", write_pairs},
        {"figures", write_figures},
        {"curves", write_curves},
        {"fault_key", write_fault_key},
        {"stages", write_stages},
        {"stage_table", write_stage_table},
        {"facts", write_facts},
        {"rounds", write_rounds},
        {"latency_note", write_latency_note},
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(parts[i].name, name) == 0) {
            parts[i].write(file, run);
            return true;
        }
    }
    return false;
}
