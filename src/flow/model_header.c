/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/model_header.h"

#include "flow/sql_header.h"

enum { NAME, DESCRIPTION, INPUTS, PARTITION, GRAIN, COLUMNS, N_KEYS };

static const struct sql_header_key keys[N_KEYS] = {
    [NAME] = {"Name"},     [DESCRIPTION] = {"Description"},
    [INPUTS] = {"Inputs"}, [PARTITION] = {"Partition"},
    [GRAIN] = {"Grain"},   [COLUMNS] = {"Columns", true, true}};

static const char example[] =
    "begin the file with -- Name: NAME, -- Description: TEXT, -- Inputs: silver_events, -- "
    "Partition: "
    "event_date, -- Grain: COLUMN, event_date; docs/models.md has one to copy";

/* The next word of a list "a, b c"; NULL at its end. The caller frees. */
static char *next_word(const char **at) {
    *at += strspn(*at, ", \t");
    size_t n = strcspn(*at, ", \t");
    char *word = n ? xstrndup(*at, n) : NULL;
    *at += n;
    return word;
}

static int take_inputs(struct model *m, const struct sql_header *h, struct err *e) {
    m->inputs = xstrdup(sql_header_value(h, INPUTS));
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

static int take_grain(struct model *m, const struct sql_header *h, struct err *e) {
    const char *at = sql_header_value(h, GRAIN);
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

static int take_values(struct model *m, const struct sql_header *h, struct err *e) {
    if (strcmp(sql_header_value(h, NAME), m->name) != 0)
        return err_set(e, ERR_ENGINE, "%s:%d: the Name is '%s', but the file is called %s.sql",
                       m->file, h->lines[NAME], sql_header_value(h, NAME), m->name);
    if (strcmp(sql_header_value(h, PARTITION), "event_date") != 0)
        return err_set(e, ERR_ENGINE, "%s:%d: the Partition must be event_date, not '%s'", m->file,
                       h->lines[PARTITION], sql_header_value(h, PARTITION));
    m->description = xstrdup(sql_header_value(h, DESCRIPTION));
    if (*sql_header_value(h, COLUMNS))
        m->columns = xstrdup(sql_header_value(h, COLUMNS));
    int r = take_inputs(m, h, e);
    return r ? r : take_grain(m, h, e);
}

int model_header_parse(struct model *m, const char **ret_body, struct err *e) {
    struct sql_header h = {.file = m->file, .keys = keys, .n_keys = N_KEYS, .example = example};
    int r = sql_header_read(&h, m->text, ret_body, e);
    if (r == 0)
        r = take_values(m, &h, e);
    if (r == 0 && !**ret_body)
        r = err_set(e, ERR_ENGINE, "%s: there is no SELECT behind the header", m->file);
    sql_header_release(&h);
    return r;
}
