/* text: what the page's tables say, without its curves. Names are cut where columns would burst,
 * and hold no control character: a terminal obeys those. */
#include "harness/report/text.h"

#include "harness/report/curves.h"
#include "harness/report/escape.h"

#include <stdlib.h>
#include <string.h>

enum { LABEL_WIDTH = 36, COLUMN_WIDTH = 11, WIDTH = 78, TEXT_MAX = 512 };

/* Left- or right-aligned in so many columns; counts characters, not bytes. */
static void print_cell(FILE *file, const char *text, int width, bool right)
{
    char cut[TEXT_MAX];
    int characters = 0;
    size_t length = 0;
    for (const char *at = text; *at && length < sizeof(cut) - 1; at++) {
        if (((unsigned char)*at & 0xc0) != 0x80 && ++characters > width) {
            characters--;
            break;
        }
        cut[length++] = *at;
    }
    cut[length] = '\0';
    int blanks = width - characters;
    fprintf(file, "%*s", right ? blanks : 0, "");
    escape_terminal(file, cut);
    fprintf(file, "%*s", right ? 0 : blanks, "");
}

/* The end of a name, at most so many characters: two variants of a phase differ there. */
static const char *end_of(const char *text, int width)
{
    const char *at = text + strlen(text);
    for (int characters = 0; at > text && characters < width; characters++) {
        do {
            at--;
        } while (at > text && ((unsigned char)*at & 0xc0) == 0x80);
    }
    return at;
}

static void print_names(const struct run *run, FILE *file, const char *label, const char *last)
{
    print_cell(file, label, LABEL_WIDTH, false);
    for (int arm = 0; arm < RUN_ARMS; arm++) {
        fputc(' ', file);
        print_cell(file, end_of(run_target(run, arm), COLUMN_WIDTH), COLUMN_WIDTH, true);
    }
    fprintf(file, "  %s\n", last);
}

static void print_figure(const cJSON *figure, FILE *file)
{
    char label[TEXT_MAX], median[RUN_FIGURE_MAX], range[RUN_RANGE_MAX];
    const char *unit = run_text(figure, "unit");
    snprintf(label, sizeof(label), "%s%s%s", run_text(figure, "name"), unit[0] ? ", " : "", unit);
    print_cell(file, label, LABEL_WIDTH, false);
    for (int arm = 0; arm < RUN_ARMS; arm++) {
        run_spread(run_member(figure, run_arm(arm)), median, range);
        fprintf(file, " %*s", COLUMN_WIDTH, median);
    }
    run_spread(run_member(figure, "ratio"), median, range);
    fprintf(file, "  %s%s%s%s\n", median, range[0] ? " (" : "", range, range[0] ? ")" : "");
}

static void print_stages(const struct run *run, FILE *file)
{
    const int first = curves_has_stages(run, 0) ? 0 : 1;
    if (!curves_has_stages(run, first)) {
        return;
    }
    fputc('\n', file);
    print_names(run, file, "mean time in a stage of an order, ms", "");
    const cJSON *item;
    cJSON_ArrayForEach(item, run_member(run_member(run->summary, "stages"), run_arm(first)))
    {
        print_cell(file, run_text(item, "stage"), LABEL_WIDTH, false);
        for (int arm = 0; arm < RUN_ARMS; arm++) {
            char text[RUN_FIGURE_MAX];
            run_figure(curves_stage_ms(run, arm, run_text(item, "stage")), text);
            fprintf(file, " %*s", COLUMN_WIDTH, text);
        }
        fputc('\n', file);
    }
}

/* A paragraph, broken at blanks. */
static void print_wrapped(FILE *file, const char *before, const char *text)
{
    size_t size = strlen(before) + strlen(text) + 1;
    char *all = malloc(size);
    if (!all) {
        return;
    }
    snprintf(all, size, "%s%s", before, text);
    char *save = NULL;
    size_t column = 0;
    for (char *word = strtok_r(all, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        if (column > 0 && column + 1 + strlen(word) > WIDTH) {
            fputc('\n', file);
            column = 0;
        }
        if (column > 0) {
            fputc(' ', file);
            column++;
        }
        escape_terminal(file, word);
        column += strlen(word);
    }
    fputc('\n', file);
    free(all);
}

static void print_list(FILE *file, const char *before, const cJSON *list)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item)) {
            print_wrapped(file, before, item->valuestring);
        }
    }
}

static void print_audits(const struct run *run, FILE *file)
{
    int passed = 0;
    for (size_t i = 0; i < run->round_count; i++) {
        passed += strcmp(run_text(run->rounds[i].listed, "audit"), "PASS") == 0;
    }
    fprintf(file, "The audit passes in %d of %zu rounds.\n", passed, run->round_count);
}

void text_print(const struct run *run, FILE *file)
{
    fputc('\n', file);
    print_names(run, file, "median of the pairs", "ratio");
    const cJSON *figure;
    cJSON_ArrayForEach(figure, run_member(run->summary, "figures"))
    {
        print_figure(figure, file);
    }
    print_stages(run, file);
    fputc('\n', file);
    if (run_text(run->summary, "latency_note")[0]) {
        print_wrapped(file, "", run_text(run->summary, "latency_note"));
        fputc('\n', file);
    }
    print_wrapped(file, "", run_text(run->summary, "conclusion"));
    print_audits(run, file);
    if (cJSON_IsFalse(run_member(run->summary, "sound"))) {
        print_wrapped(file, "",
                      "Not enough pairs of rounds can be trusted; these figures prove nothing.");
    }
    print_list(file, "Not trusted: ", run_member(run->summary, "doubts"));
    print_list(file, "", run_member(run->summary, "notes"));
}
