/* exposition_line: one line of the Prometheus text format. */
#ifndef FLASHDEAL_CONTRACT_EXPOSITION_LINE_H
#define FLASHDEAL_CONTRACT_EXPOSITION_LINE_H

#include <stdbool.h>

enum { LINE_SIZE = 1024, LINE_NAME_SIZE = 96, LINE_LABELS_SIZE = 256 };

struct line_comment {
    bool is_help; /* else TYPE */
    char name[LINE_NAME_SIZE];
    char text[LINE_SIZE];
};

struct line_sample {
    char name[LINE_NAME_SIZE];
    char labels[LINE_LABELS_SIZE]; /* as in the braces; "" if there are none */
    char others[LINE_LABELS_SIZE]; /* the same without le */
    bool has_le;
    double le;
    double value;
};

/* Each reads a line without its line end; false: it is not one, or longer than the limits above. */
bool line_read_comment(const char *line, struct line_comment *out);
bool line_read_sample(const char *line, struct line_sample *out);

/* Whether labels has each of those that wanted lists, `a="b",c="d"`. */
bool line_has_labels(const char *labels, const char *wanted);

#endif
