/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/model_header.h"

#include <ctype.h>
#include <strings.h>

#include "base/limits.h"

enum key { NAME, DESCRIPTION, INPUTS, PARTITION, GRAIN, COLUMNS, N_KEYS };

static const char *const keys[N_KEYS] = {"Name",      "Description", "Inputs",
                                         "Partition", "Grain",       "Columns"};

static const char example[] =
    "begin the file with -- Name: NAME, -- Description: TEXT, -- Inputs: silver_events, -- "
    "Partition: "
    "event_date, -- Grain: COLUMN, event_date; docs/models.md has one to copy";

struct header {
    const char *file;
    struct buf values[N_KEYS];
    int lines[N_KEYS]; /* where each stands; 0: nowhere */
    size_t indent;     /* of the first column; a deeper line goes on with the one before it */
};

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

/* Behind the two dashes, without outer blanks. */
static void trim(const char **s, size_t *n) {
    while (*n > 0 && is_blank(**s)) {
        ++*s;
        --*n;
    }
    while (*n > 0 && is_blank((*s)[*n - 1]))
        --*n;
}

/* "Grain: a, b" -> GRAIN and "a, b"; N_KEYS: none of ours. */
static enum key key_of(const char **s, size_t *n) {
    for (int k = 0; k < N_KEYS; k++) {
        size_t len = strlen(keys[k]);
        if (*n > len && strncasecmp(*s, keys[k], len) == 0 && (*s)[len] == ':') {
            *s += len + 1;
            *n -= len + 1;
            trim(s, n);
            return (enum key)k;
        }
    }
    return N_KEYS;
}

static int take_key(struct header *h, enum key k, const char *s, size_t n, int line,
                    struct err *e) {
    if (h->lines[k])
        return err_set(e, ERR_ENGINE, "%s:%d: %s stands in line %d already", h->file, line, keys[k],
                       h->lines[k]);
    h->lines[k] = line;
    buf_add(&h->values[k], s, n);
    return 0;
}

/* A line that goes on with the value before it: it is indented. Columns are kept each in a line. */
static void take_more(struct header *h, enum key k, size_t indent, const char *s, size_t n) {
    if (h->values[k].len == 0)
        h->indent = indent;
    else
        buf_add_char(&h->values[k], k == COLUMNS && indent <= h->indent ? '\n' : ' ');
    buf_add(&h->values[k], s, n);
}

/* Reads the comment lines; *ret_body: the first line that is something else. */
static int read_lines(struct header *h, const char *text, const char **ret_body, struct err *e) {
    enum key last = N_KEYS;
    int r = 0;
    for (int line = 1; r == 0; line++) {
        size_t n = strcspn(text, "\n");
        const char *s = text, *next = text + n + (text[n] == '\n');
        trim(&s, &n);
        bool comment = n >= 2 && s[0] == '-' && s[1] == '-';
        if ((n > 0 && !comment) || next == text)
            break;
        text = next;
        if (!comment)
            continue;
        const char *dashes = s;
        s += 2;
        n -= 2;
        trim(&s, &n);
        size_t indent = (size_t)(s - dashes);
        bool indented = n > 0 && indent >= 4;
        enum key k = key_of(&s, &n);
        if (k < N_KEYS)
            r = take_key(h, k, s, n, line, e);
        else if (indented && last < N_KEYS)
            take_more(h, last, indent, s, n);
        if (k < N_KEYS || !indented)
            last = k;
    }
    *ret_body = text;
    return r;
}

static int check_whole(const struct header *h, struct err *e) {
    for (int k = 0; k < N_KEYS; k++) {
        if (h->values[k].len > 0 || k == COLUMNS)
            continue;
        err_set(e, ERR_ENGINE, "%s:%d: the header does not say its %s", h->file,
                MAX(h->lines[k], 1), keys[k]);
        return err_hint(e, "%s", example);
    }
    return 0;
}

/* The next word of a list "a, b c"; NULL at its end. The caller frees. */
static char *next_word(const char **at) {
    *at += strspn(*at, ", \t");
    size_t n = strcspn(*at, ", \t");
    char *word = n ? xstrndup(*at, n) : NULL;
    *at += n;
    return word;
}

static int take_inputs(struct model *m, const struct header *h, struct err *e) {
    m->inputs = xstrdup(buf_str(&h->values[INPUTS]));
    const char *at = m->inputs;
    for (char *word; (word = next_word(&at)); free(word)) {
        if (strcmp(word, "people") == 0) {
            m->reads_people = true;
        } else if (strcmp(word, "bots") == 0) {
            m->reads_bots = true;
        } else if (strcmp(word, "silver_events") != 0) {
            err_set(e, ERR_ENGINE, "%s:%d: there is no input '%s'", m->file, h->lines[INPUTS],
                    word);
            free(word);
            return err_hint(e,
                            "there are silver_events, people (of these, all but bots') and bots; "
                            "a model does not read another one");
        }
    }
    return 0;
}

static int take_grain(struct model *m, const struct header *h, struct err *e) {
    const char *at = buf_str(&h->values[GRAIN]);
    for (char *word; (word = next_word(&at));) {
        const char *why = model_name_problem(word);
        if (!why && model_has_key(m, word))
            why = "it stands there twice";
        if (!why && m->n_grain == MODEL_GRAIN)
            why = "it is one too many";
        if (why) {
            err_set(e, ERR_ENGINE, "%s:%d: no column of the grain can be '%s': %s", m->file,
                    h->lines[GRAIN], word, why);
            free(word);
            return err_hint(e, "the grain is a list of the columns that tell its rows apart, as in "
                               "-- Grain: category, event_date");
        }
        m->grain[m->n_grain++] = word;
    }
    if (model_has_key(m, "event_date"))
        return 0;
    return err_set(e, ERR_ENGINE,
                   "%s:%d: the grain must hold event_date: rows are made anew by day", m->file,
                   h->lines[GRAIN]);
}

static int take_values(struct model *m, const struct header *h, struct err *e) {
    if (strcmp(buf_str(&h->values[NAME]), m->name) != 0)
        return err_set(e, ERR_ENGINE, "%s:%d: the Name is '%s', but the file is called %s.sql",
                       m->file, h->lines[NAME], buf_str(&h->values[NAME]), m->name);
    if (strcmp(buf_str(&h->values[PARTITION]), "event_date") != 0)
        return err_set(e, ERR_ENGINE, "%s:%d: the Partition must be event_date, not '%s'", m->file,
                       h->lines[PARTITION], buf_str(&h->values[PARTITION]));
    m->description = xstrdup(buf_str(&h->values[DESCRIPTION]));
    if (h->values[COLUMNS].len)
        m->columns = xstrdup(buf_str(&h->values[COLUMNS]));
    int r = take_inputs(m, h, e);
    return r ? r : take_grain(m, h, e);
}

int model_header_parse(struct model *m, const char **ret_body, struct err *e) {
    struct header h = {.file = m->file};
    for (int k = 0; k < N_KEYS; k++)
        h.values[k] = BUF_INIT(LIMIT_MODEL);
    int r = read_lines(&h, m->text, ret_body, e);
    if (r == 0)
        r = check_whole(&h, e);
    if (r == 0)
        r = take_values(m, &h, e);
    if (r == 0 && !**ret_body)
        r = err_set(e, ERR_ENGINE, "%s: there is no SELECT behind the header", m->file);
    for (int k = 0; k < N_KEYS; k++)
        buf_release(&h.values[k]);
    return r;
}
