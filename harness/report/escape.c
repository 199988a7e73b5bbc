/* escape: one pass each, byte by byte; bytes above 127 pass as they are, since every character that
 * matters in HTML, JSON and JavaScript is ASCII. */
#include "harness/report/escape.h"

#include <string.h>
#include <strings.h>

void escape_html(FILE *file, const char *text)
{
    for (const char *at = text; *at; at++) {
        switch (*at) {
        case '&':
            fputs("&amp;", file);
            break;
        case '<':
            fputs("&lt;", file);
            break;
        case '>':
            fputs("&gt;", file);
            break;
        case '"':
            fputs("&quot;", file);
            break;
        case '\'':
            fputs("&#39;", file);
            break;
        default:
            fputc(*at, file);
        }
    }
}

/* Outside of strings JSON has none of these characters, so each is one of a string's. */
void escape_json(FILE *file, const char *json)
{
    for (const char *at = json; *at; at++) {
        if (*at == '<' || *at == '>' || *at == '&') {
            fprintf(file, "\\u%04x", (unsigned)*at);
        } else {
            fputc(*at, file);
        }
    }
}

/* In a program "</script" and "<!--" stand only in strings, regular expressions and comments, where
 * a backslash more before '/' or '!' changes nothing. "<script" alone is harmless: it only counts
 * after "<!--". */
void escape_script(FILE *file, const char *script)
{
    static const char map[] = "//# sourceMappingURL=";
    for (const char *at = script; *at; at++) {
        if (strncmp(at, map, sizeof(map) - 1) == 0) {
            at += strcspn(at, "\n");
            if (!*at) {
                break;
            }
        }
        fputc(*at, file);
        if (*at == '<' && (strncasecmp(at, "</script", 8) == 0 || strncmp(at, "<!--", 4) == 0)) {
            fputc('\\', file);
        }
    }
}

void escape_terminal(FILE *file, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0) {
            fputc('?', file);
            at++;
        } else {
            fputc(*at < 0x20 || *at == 0x7f ? '?' : *at, file);
        }
    }
}
