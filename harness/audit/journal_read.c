/* Reads loadgen's journal, format 1 (harness/README.md): 13 fields a line, tab-separated.
 *
 * Strict: a line that does not fit, or an answer to an attempt that was not invoked, makes the
 * whole journal unusable, because every check rests on its being complete. The one exception is a
 * last line without its end, which a killed loadgen leaves: it is left out and reported.
 *
 * Attempts without an answer so far stand in a table under (file, op, attempt); what is left in it
 * at the end of a file has no answer. So memory grows with what was in flight, not with the file.
 * What an attempt asked for is taken from its `invoke`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "harness/audit/journal.h"

enum { LINE_SIZE = 2048, FIELDS = 13, OP_BITS = 53, HTTP_MAX = 999, OPEN_MIN = 256 };

static const char HEADER[] = "#flashdeal-journal 1\n";
static const char HEADER_ANY[] = "#flashdeal-journal ";

enum field {
    F_T_US,
    F_EVENT,
    F_OP,
    F_ATTEMPT,
    F_SALE,
    F_USER,
    F_QUANTITY,
    F_KEY,
    F_HTTP,
    F_CODE,
    F_ORDER_ID,
    F_STATE,
    F_LATENCY_US
};

/* What the open attempts asked for: places in one array, those free again in a chain. */
struct open_asks {
    struct ask *asks;
    size_t *next_free;
    size_t size, free_head; /* free_head == size: none free */
    struct table *place_of;
};

struct reader {
    struct journal *journal;
    const struct options *options;
    struct open_asks open;
};

static void open_grow(struct open_asks *open)
{
    size_t size = open->size == 0 ? OPEN_MIN : open->size * 2;
    struct ask *asks = xcalloc(size, sizeof *asks);
    size_t *next_free = xcalloc(size, sizeof *next_free);
    if (open->size > 0) {
        memcpy(asks, open->asks, open->size * sizeof *asks);
        memcpy(next_free, open->next_free, open->size * sizeof *next_free);
    }
    for (size_t i = open->size; i < size; i++) {
        next_free[i] = i + 1;
    }
    free(open->asks);
    free(open->next_free);
    open->asks = asks;
    open->next_free = next_free;
    open->free_head = open->size;
    open->size = size;
}

static bool open_put(struct open_asks *open, struct table_key key, const struct ask *ask)
{
    bool added;
    uint64_t *place = table_add(open->place_of, key, &added);
    if (!added) {
        return false;
    }
    if (open->free_head == open->size) {
        open_grow(open);
    }
    *place = open->free_head;
    open->free_head = open->next_free[*place];
    open->asks[*place] = *ask;
    return true;
}

static bool open_take(struct open_asks *open, struct table_key key, struct ask *ask)
{
    const uint64_t *found = table_find(open->place_of, key);
    if (!found) {
        return false;
    }
    uint64_t place = *found;
    *ask = open->asks[place];
    open->next_free[place] = open->free_head;
    open->free_head = place;
    table_remove(open->place_of, key);
    return true;
}

static bool is_empty(const char *field)
{
    return strcmp(field, "-") == 0;
}

/* Cuts the line into its fields, in place; false unless there are exactly that many. */
static bool split(char *line, char *fields[FIELDS])
{
    for (int i = 0; i < FIELDS; i++) {
        fields[i] = line;
        line = line ? strchr(line, '\t') : NULL;
        if (line) {
            *line++ = '\0';
        } else if (i < FIELDS - 1) {
            return false;
        }
    }
    return line == NULL;
}

static const char *read_invoke(struct reader *reader, char **fields, struct table_key key)
{
    struct ask ask = {0};
    if (!options_number(fields[F_SALE], 1, INT64_MAX, &ask.sale_id) ||
        !options_number(fields[F_USER], 1, INT64_MAX, &ask.user_id) ||
        !options_number(fields[F_QUANTITY], 1, INT64_MAX, &ask.quantity)) {
        return "sale, user or quantity is not a whole number from 1";
    }
    ask.key = is_empty(fields[F_KEY]) ? 0 : table_hash_text(fields[F_KEY]);
    if (!open_put(&reader->open, key, &ask)) {
        return "the attempt is already under way";
    }
    if (options_has_sale(reader->options, ask.sale_id)) {
        journal_add_attempt(reader->journal, &ask);
    }
    return NULL;
}

static void acknowledge(struct reader *reader, char **fields, const struct ask *ask, int64_t http)
{
    struct journal *journal = reader->journal;
    journal_add_acknowledged(journal, ask);
    if (is_empty(fields[F_ORDER_ID])) {
        journal->nameless++;
        return;
    }
    enum order_state told = journal_state(fields[F_STATE]);
    if (http == 201 && told == STATE_NONE) {
        told = STATE_CONFIRMED; /* what 201 means, said or not */
    }
    journal_add_promise(journal, ask, fields[F_ORDER_ID], told, REASON_NONE);
}

/* A 409 is about the sale; every other refusal is about the caller, the request or the server, and
 * says nothing of the stock. */
static void refuse(struct reader *reader, char **fields, const struct ask *ask, int64_t http)
{
    journal_add_refused(reader->journal, ask);
    if (http == 409) {
        journal_add_refusal(reader->journal, ask, journal_reason(fields[F_CODE]));
    }
}

static const char *read_answer(struct reader *reader, char **fields, struct table_key key,
                               int64_t http)
{
    const char *event = fields[F_EVENT];
    bool ok = strcmp(event, "ok") == 0, fail = strcmp(event, "fail") == 0;
    if (!ok && !fail && strcmp(event, "info") != 0) {
        return "the event is not one of invoke, ok, fail, info, gone, final";
    }
    struct ask ask;
    if (!open_take(&reader->open, key, &ask)) {
        return "the answer belongs to no attempt that is under way";
    }
    if (!options_has_sale(reader->options, ask.sale_id)) {
        return NULL;
    }
    bool withheld = !ok && !fail && (http == 201 || http == 202) && !is_empty(fields[F_ORDER_ID]);
    reader->journal->withheld += withheld;
    if (ok || withheld) {
        acknowledge(reader, fields, &ask, http);
    } else if (fail && strcmp(fields[F_CODE], "outcome_unknown") != 0) {
        refuse(reader, fields, &ask, http);
    } /* else unknown, which count_unknown counts */
    return NULL;
}

static const char *read_final(struct reader *reader, char **fields)
{
    int64_t sale_id;
    if (options_number(fields[F_SALE], 1, INT64_MAX, &sale_id) &&
        !options_has_sale(reader->options, sale_id)) {
        return NULL;
    }
    if (strcmp(fields[F_EVENT], "gone") == 0) { /* and ordered again, as the next invoke says */
        bool promised = journal_find(reader->journal, fields[F_ORDER_ID]) != NULL;
        return promised ? NULL : "an order is gone that was not acknowledged";
    }
    const char *state = fields[F_STATE];
    bool gone = strcmp(state, "lost") == 0;
    if (gone || strcmp(state, "unfinished") == 0) {
        state = "-";
    } else if (journal_state(state) == STATE_OTHER || is_empty(state)) {
        return "a final state that is none";
    }
    bool known = journal_add_final(reader->journal, fields[F_ORDER_ID], journal_state(state),
                                   journal_reason(fields[F_CODE]), gone);
    return known ? NULL : "a final state of an order that was not acknowledged";
}

/* Returns what is wrong with the line, NULL if nothing. */
static const char *read_line(struct reader *reader, char *line)
{
    char *fields[FIELDS];
    int64_t op, attempt, http = 0;
    if (!split(line, fields)) {
        return "not 13 fields";
    }
    if (!options_number(fields[F_OP], 0, (INT64_C(1) << OP_BITS) - 1, &op) ||
        !options_number(fields[F_ATTEMPT], 1, INT32_MAX, &attempt) ||
        (!is_empty(fields[F_HTTP]) && !options_number(fields[F_HTTP], 0, HTTP_MAX, &http))) {
        return "op, attempt or http is not such a number";
    }
    struct table_key key = {(uint64_t)op, (uint64_t)attempt};
    if (strcmp(fields[F_EVENT], "invoke") == 0) {
        return read_invoke(reader, fields, key);
    }
    if (strcmp(fields[F_EVENT], "final") == 0 || strcmp(fields[F_EVENT], "gone") == 0) {
        return read_final(reader, fields);
    }
    return read_answer(reader, fields, key, http);
}

static enum status complain(struct journal *journal, const char *path, int64_t line,
                            const char *what)
{
    if (line > 0) {
        snprintf(journal->error, sizeof journal->error, "%.100s, line %lld: %s", path,
                 (long long)line, what);
    } else {
        snprintf(journal->error, sizeof journal->error, "%.100s %s", path, what);
    }
    return ST_INVALID;
}

static const char *check_header(FILE *file, char line[LINE_SIZE])
{
    if (!fgets(line, LINE_SIZE, file)) {
        return ferror(file) ? strerror(errno) : "is empty";
    }
    if (strcmp(line, HEADER) == 0) {
        return NULL;
    }
    return strncmp(line, HEADER_ANY, sizeof HEADER_ANY - 1) == 0
               ? "is of a version that this audit does not know (it knows 1)"
               : "is not a journal (its first line is not '#flashdeal-journal 1')";
}

static enum status read_lines(struct reader *reader, FILE *file, const char *path)
{
    char line[LINE_SIZE];
    const char *wrong = check_header(file, line);
    if (wrong) {
        return complain(reader->journal, path, 0, wrong);
    }
    for (int64_t number = 2; fgets(line, sizeof line, file); number++) {
        char *end = line + strlen(line);
        if (end == line || end[-1] != '\n') {
            if (feof(file)) {
                reader->journal->cut_off = true;
                return ST_OK;
            }
            return complain(reader->journal, path, number, "too long, or with a NUL byte");
        }
        end[-1] = '\0';
        wrong = read_line(reader, line);
        if (wrong) {
            return complain(reader->journal, path, number, wrong);
        }
    }
    return ferror(file) ? complain(reader->journal, path, 0, strerror(errno)) : ST_OK;
}

/* Of unknown outcome is every attempt that was neither acknowledged nor refused, those among them
 * that nothing follows, because loadgen ended first. */
static void count_unknown(struct journal *journal)
{
    journal->unknown = journal->attempts - journal->acknowledged - journal->refused;
}

static enum status read_file(struct journal *journal, const struct options *options,
                             const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file) {
        (void)complain(journal, path, 0, strerror(errno));
        return ST_SYSTEM;
    }
    struct reader reader = {journal, options, {.place_of = table_new()}};
    enum status status = read_lines(&reader, file, path);
    count_unknown(journal);
    table_free(reader.open.place_of);
    free(reader.open.asks);
    free(reader.open.next_free);
    fclose(file);
    return status;
}

enum status journal_read(struct journal *journal, const struct options *options)
{
    if (options->journal_count == 0) {
        snprintf(journal->error, sizeof journal->error, "no --journal was given");
        return ST_INVALID;
    }
    for (size_t i = 0; i < options->journal_count; i++) {
        enum status status = read_file(journal, options, options->journals[i]);
        if (status != ST_OK) {
            return status;
        }
    }
    if (journal->attempts == 0) {
        snprintf(journal->error, sizeof journal->error, "the journal holds no orders%s",
                 options->sale_count > 0 ? " of the judged sales" : "");
        return ST_INVALID;
    }
    return ST_OK;
}
