/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/out.h"

#include "base/json.h"
#include "base/util.h"
#include "event/number.h"

void out_columns(struct out_table *t, const char *const *names, const bool *number, size_t n) {
    t->names = xcalloc(n, sizeof *t->names);
    t->number = xcalloc(n, sizeof *t->number);
    t->n_columns = n;
    for (size_t i = 0; i < n; i++) {
        t->names[i] = xstrdup(names[i]);
        t->number[i] = number && number[i];
    }
}

/* Bare in JSON: numbers, true and false. */
static bool is_bare(const char *type) {
    static const char *const bare[] = {"INTEGER",  "BIGINT",   "DOUBLE",  "FLOAT",
                                       "SMALLINT", "TINYINT",  "HUGEINT", "DECIMAL",
                                       "UBIGINT",  "UINTEGER", "BOOLEAN"};
    for (size_t i = 0; i < ARRAY_LEN(bare); i++)
        if (strncmp(type, bare[i], strlen(bare[i])) == 0)
            return !strchr(type, '['); /* a list of numbers is none */
    return false;
}

void out_columns_typed(struct out_table *t, const char *const *names, const char *const *types,
                       size_t n) {
    bool *number = xcalloc(n, sizeof *number);
    for (size_t i = 0; i < n; i++)
        number[i] = is_bare(types[i]);
    out_columns(t, names, number, n);
    free(number);
}

void out_row(struct out_table *t, const char *const *values) {
    if (t->n_cells + t->n_columns > t->cap_cells) {
        t->cap_cells = MAX(2 * t->cap_cells, 64 * t->n_columns);
        t->cells = xrealloc(t->cells, t->cap_cells * sizeof *t->cells);
    }
    for (size_t i = 0; i < t->n_columns; i++)
        t->cells[t->n_cells++] = values[i] ? xstrdup(values[i]) : NULL;
}

/* The length of the character at s, at most n bytes; clean: it can be shown. */
static size_t character(const char *s, size_t n, bool *ret_clean) {
    size_t len = utf8_len(s, n);
    *ret_clean = len && !utf8_is_control(s, len);
    return len ? len : 1;
}

/* Columns on the screen that a text takes, about: one a character. */
static int width(const char *s) {
    int columns = 0;
    bool clean;
    for (size_t n = strlen(s), at = 0; at < n; columns++)
        at += character(s + at, n - at, &clean);
    return columns;
}

/* A cell must not move the cursor: control characters and broken UTF-8 are shown as '?'. */
static void print_cell(const char *s, int pad, bool right) {
    if (right)
        printf("%*s", pad, "");
    bool clean;
    for (size_t n = strlen(s), at = 0, len; at < n; at += len) {
        len = character(s + at, n - at, &clean);
        fwrite(clean ? s + at : "?", 1, clean ? len : 1, stdout);
    }
    if (!right)
        printf("%*s", pad, "");
}

static void print_line(const struct out_table *t, char *const *cells, const int *widths) {
    for (size_t i = 0; i < t->n_columns; i++) {
        const char *s = cells[i] ? cells[i] : "";
        bool last = i + 1 == t->n_columns && !t->number[i];
        print_cell(s, last ? 0 : widths[i] - width(s), t->number[i]);
        fputs(i + 1 == t->n_columns ? "\n" : "  ", stdout);
    }
}

static void print_text(const struct out_table *t) {
    int *widths = xcalloc(t->n_columns, sizeof *widths);
    for (size_t i = 0; i < t->n_columns; i++)
        widths[i] = width(t->names[i]);
    for (size_t i = 0; i < t->n_cells; i++)
        if (t->cells[i])
            widths[i % t->n_columns] = MAX(widths[i % t->n_columns], width(t->cells[i]));
    print_line(t, t->names, widths);
    for (size_t i = 0; i < t->n_cells; i += t->n_columns)
        print_line(t, t->cells + i, widths);
    free(widths);
}

/* Not every number of a database is one in JSON: NaN and Infinity are put as texts. */
static bool is_bare_json(const char *s) {
    size_t n = strlen(s);
    return (n > 0 && number_span(s, s + n) == n) || strcmp(s, "true") == 0 ||
           strcmp(s, "false") == 0;
}

static void print_json(const struct out_table *t) {
    struct buf line = BUF_INIT((size_t)1 << 30);
    fputs("[", stdout);
    for (size_t i = 0; i < t->n_cells; i += t->n_columns) {
        struct json_out o = {.b = &line};
        buf_reset(&line);
        json_obj(&o, NULL);
        for (size_t k = 0; k < t->n_columns; k++) {
            const char *cell = t->cells[i + k];
            if (cell && t->number[k] && is_bare_json(cell))
                json_put_raw(&o, t->names[k], cell);
            else
                json_put(&o, t->names[k], cell);
        }
        json_obj_end(&o);
        printf("%s\n%s", i ? "," : "", buf_str(&line));
    }
    fputs("\n]\n", stdout);
    buf_release(&line);
}

void out_print(const struct out_table *t, bool as_json) {
    if (as_json)
        print_json(t);
    else if (t->n_columns)
        print_text(t);
}

void out_release(struct out_table *t) {
    for (size_t i = 0; i < t->n_columns; i++)
        free(t->names[i]);
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i]);
    free(t->names);
    free(t->number);
    free(t->cells);
    *t = (struct out_table){0};
}

void out_number(int64_t v, char out[32]) {
    snprintf(out, 32, "%lld", (long long)v);
}

void out_thousands(int64_t v, char out[32]) {
    char digits[32];
    uint64_t size = v < 0 ? -(uint64_t)v : (uint64_t)v;
    int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)size), at = 0;
    if (v < 0)
        out[at++] = '-';
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
}
