/* escape: text into each context that the report writes. Whatever stands in a run's JSON may have
 * been chosen by somebody else: it must be shown, never obeyed. */
#ifndef FLASHDEAL_REPORT_ESCAPE_H
#define FLASHDEAL_REPORT_ESCAPE_H

#include <stdio.h>

/* As the text of an HTML element or a quoted attribute. */
void escape_html(FILE *file, const char *text);

/* A JSON text as the content of <script type="application/json">: the same JSON, in which no
 * element, comment or entity can begin or end. */
void escape_json(FILE *file, const char *json);

/* JavaScript as the content of <script>: the same program, without what would end the element, and
 * without the lines that name a source map. */
void escape_script(FILE *file, const char *script);

/* For a terminal: control characters, and C1 controls in UTF-8, become '?'. */
void escape_terminal(FILE *file, const char *text);

#endif
