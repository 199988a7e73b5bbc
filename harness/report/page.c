/* page: fills page.html. Every part is made in memory first, because the page's policy names the
 * SHA-256 of its two scripts and its style (W3C, Content Security Policy Level 3): nothing else is
 * executed or fetched, whatever a name in the run's JSON may hold and even were it not escaped. */
#include "harness/report/page.h"

#include "harness/report/curves.h"
#include "harness/report/escape.h"
#include "harness/report/files.h"
#include "harness/report/parts.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LENGTH = 32, ERROR_MAX = FILES_PATH_MAX + 256 };

/* Version 4 comes as chart.umd.js (its chart.js is a module, which a page cannot inline), version
 * 3, which Debian 12 has, as chart.min.js. */
static const char *const libraries[] = {
    "/usr/share/javascript/chart.js/chart.umd.min.js",
    "/usr/share/javascript/chart.js/chart.umd.js",
    "/usr/share/javascript/chart.js/chart.min.js",
    "/usr/share/javascript/chart.js/Chart.min.js",
    "/usr/share/nodejs/chart.js/dist/chart.umd.js",
    "/usr/share/nodejs/chart.js/dist/chart.min.js",
};

static char error_text[ERROR_MAX];

static char *load_library(const char *path)
{
    char *text = NULL;
    if (path) {
        return files_read(path, &text) == ST_OK ? text : NULL;
    }
    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
        if (files_read(libraries[i], &text) == ST_OK) {
            return text;
        }
    }
    return NULL;
}

enum status page_load(const char *directory, const char *library, struct page_assets *assets,
                      const char **error)
{
    const struct {
        const char *name;
        char **text;
    } files[] = {
        {"page.html", &assets->html}, {"page.css", &assets->style}, {"page.js", &assets->script}};
    memset(assets, 0, sizeof(*assets));
    *error = error_text;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[FILES_PATH_MAX];
        snprintf(path, sizeof(path), "%s/%s", directory, files[i].name);
        if (files_read(path, files[i].text) != ST_OK) {
            snprintf(error_text, sizeof(error_text),
                     "cannot read %s (--assets DIR says where it is)", path);
            return ST_INVALID;
        }
    }
    assets->library = load_library(library);
    if (!assets->library && library) {
        snprintf(error_text, sizeof(error_text), "cannot read %s", library);
    } else if (!assets->library) {
        snprintf(error_text, sizeof(error_text),
                 "Chart.js is not installed, which draws the curves: make setup installs it "
                 "(package libjs-chart.js)");
    }
    return assets->library ? ST_OK : ST_INVALID;
}

void page_release(struct page_assets *assets)
{
    free(assets->html);
    free(assets->style);
    free(assets->script);
    free(assets->library);
    memset(assets, 0, sizeof(*assets));
}

/* What stands between the tags, as the browser will see it. */
struct inlined {
    const char *style;             /* borrowed */
    char *script, *library, *data; /* owned */
};

static void release_inlined(struct inlined *inlined)
{
    free(inlined->script);
    free(inlined->library);
    free(inlined->data);
}

static char *escaped(const char *text, void escape(FILE *file, const char *text))
{
    char *result = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&result, &size);
    if (memory) {
        escape(memory, text);
        fclose(memory);
    }
    return result;
}

static char *data_text(const struct run *run)
{
    cJSON *data = curves_make(run);
    char *json = data ? cJSON_PrintUnformatted(data) : NULL;
    char *result = json ? escaped(json, escape_json) : NULL;
    cJSON_free(json);
    cJSON_Delete(data);
    return result;
}

static void write_hash(FILE *file, const char *text)
{
    unsigned char digest[EVP_MAX_MD_SIZE], base64[2 * EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_Digest(text, strlen(text), digest, &length, EVP_sha256(), NULL) == 1) {
        EVP_EncodeBlock(base64, digest, (int)length);
        fprintf(file, "'sha256-%s' ", (const char *)base64);
    }
}

static void write_policy(FILE *file, const struct inlined *inlined)
{
    fputs("default-src 'none'; base-uri 'none'; form-action 'none'; script-src ", file);
    write_hash(file, inlined->library);
    write_hash(file, inlined->script);
    fputs("; style-src ", file);
    write_hash(file, inlined->style);
}

/* One of the names that page.html uses. */
static bool write_part(FILE *file, const char *name, const struct run *run,
                       const struct inlined *inlined)
{
    if (strcmp(name, "policy") == 0) {
        write_policy(file, inlined);
    } else if (strcmp(name, "style") == 0) {
        fputs(inlined->style, file);
    } else if (strcmp(name, "library") == 0) {
        fputs(inlined->library, file);
    } else if (strcmp(name, "script") == 0) {
        fputs(inlined->script, file);
    } else if (strcmp(name, "data") == 0) {
        fputs(inlined->data, file);
    } else {
        return parts_write(file, name, run);
    }
    return true;
}

/* The name in "@name@" at text, or false: this is some other '@'. */
static bool take_name(const char *text, char name[NAME_MAX_LENGTH])
{
    size_t length = 0;
    while (islower((unsigned char)text[1 + length]) || text[1 + length] == '_') {
        length++;
    }
    if (length == 0 || length >= NAME_MAX_LENGTH || text[1 + length] != '@') {
        return false;
    }
    memcpy(name, text + 1, length);
    name[length] = '\0';
    return true;
}

static enum status fill(const struct run *run, const char *html, const struct inlined *inlined,
                        FILE *file)
{
    char name[NAME_MAX_LENGTH];
    for (const char *at = html; *at; at++) {
        if (*at != '@' || !take_name(at, name)) {
            fputc(*at, file);
        } else if (write_part(file, name, run, inlined)) {
            at += strlen(name) + 1;
        } else {
            snprintf(error_text, sizeof(error_text), "page.html names @%s@, which is no part",
                     name);
            return ST_INVALID;
        }
    }
    return fflush(file) == 0 && !ferror(file) ? ST_OK : ST_SYSTEM;
}

enum status page_write(const struct run *run, const struct page_assets *assets, FILE *file,
                       const char **error)
{
    struct inlined inlined = {.style = assets->style,
                              .script = escaped(assets->script, escape_script),
                              .library = escaped(assets->library, escape_script),
                              .data = data_text(run)};
    enum status status = ST_SYSTEM;
    *error = error_text;
    if (inlined.script && inlined.library && inlined.data) {
        status = fill(run, assets->html, &inlined, file);
    }
    release_inlined(&inlined);
    return status;
}
