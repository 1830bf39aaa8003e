/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/models.h"

#include "base/sha256.h"
#include "engine/models.h"
#include "flow/model_header.h"
#include "flow/sql_file.h"

static const char built_in_dir[] = "sql/gold/";

/* ---- one model ------------------------------------------------------------------------------- */

static struct model *add_model(struct models *ms, char *name, char *file) {
    ms->v = xrealloc(ms->v, (ms->n + 1) * sizeof *ms->v);
    struct model *m = &ms->v[ms->n++];
    *m = (struct model){.name = name, .file = file};
    m->def = (struct table_def){.name = xasprintf("gold/%s", name),
                                .view = xasprintf("gold.%s", name),
                                .partition_by = "event_date"};
    return m;
}

static void model_release(struct model *m) {
    free(m->name);
    free(m->file);
    free(m->text);
    free((char *)(uintptr_t)m->def.name);
    free((char *)(uintptr_t)m->def.view);
    free(m->description);
    free(m->columns);
    free(m->inputs);
    for (size_t i = 0; i < m->n_grain; i++)
        free(m->grain[i]);
}

size_t model_inputs(const struct model *m, struct engine_stage ret[MODEL_STAGES]) {
    size_t n = 0;
    if (m->reads_bots || m->reads_people)
        ret[n++] = (struct engine_stage){"bots", model_text("sql/inputs/bots.sql"), true, NULL};
    if (m->reads_people)
        ret[n++] =
            (struct engine_stage){"people", model_text("sql/inputs/people.sql"), false, NULL};
    return n;
}

bool model_has_key(const struct model *m, const char *column) {
    for (size_t i = 0; i < m->n_grain; i++)
        if (strcmp(m->grain[i], column) == 0)
            return true;
    return false;
}

void model_add_grain(struct buf *b, const struct model *m, const char *between,
                     const char *behind) {
    for (size_t i = 0; i < m->n_grain; i++)
        buf_addf(b, "%s%s%s", i ? between : "", m->grain[i], behind);
}

static void hash_text(struct sha256 *h, const char *text) {
    sha256_add(h, text, strlen(text) + 1);
}

/* The rows follow from the SELECT and what it reads; the grain decides which of them are let pass. */
static int64_t hash_of(const struct model *m, const char *body) {
    struct engine_stage inputs[MODEL_STAGES];
    struct sha256 h;
    unsigned char digest[SHA256_LEN];
    sha256_begin(&h);
    for (size_t i = 0; i < silver_events.n_columns; i++) {
        hash_text(&h, silver_events.columns[i].name);
        hash_text(&h, column_type_delta(silver_events.columns[i].type));
    }
    for (size_t i = 0; i < m->n_grain; i++)
        hash_text(&h, m->grain[i]);
    for (size_t i = 0, n = model_inputs(m, inputs); i < n; i++)
        hash_text(&h, inputs[i].sql);
    hash_text(&h, body);
    sha256_end(&h, digest);
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | digest[i];
    return (int64_t)(bits & INT64_MAX);
}

static void parse(struct model *m) {
    const char *body;
    if (model_header_parse(m, &body, &m->wrong) == 0)
        m->hash = hash_of(m, body);
}

/* ---- those built in -------------------------------------------------------------------------- */

static void load_built_in(struct models *ms) {
    size_t prefix = strlen(built_in_dir);
    for (size_t i = 0; i < model_files_n; i++) {
        const struct model_file *f = &model_files[i];
        if (strncmp(f->name, built_in_dir, prefix) != 0)
            continue;
        struct model *m = add_model(ms, xstrndup(f->name + prefix, strlen(f->name) - prefix - 4),
                                    xstrdup(f->name));
        m->text = xstrdup(f->text);
        m->built_in = true;
        parse(m);
        if (strcmp(m->def.name, gold_clickstream_metrics.name) == 0) {
            m->def.columns = gold_clickstream_metrics.columns;
            m->def.n_columns = gold_clickstream_metrics.n_columns;
        }
    }
}

/* ---- the user's ------------------------------------------------------------------------------ */

static struct err *refuse(struct models *ms) {
    ms->refused = xrealloc(ms->refused, (ms->n_refused + 1) * sizeof *ms->refused);
    struct err *e = &ms->refused[ms->n_refused++];
    *e = (struct err){0};
    return e;
}

static void take_file(void *arg, const char *path, const char *file, const char *name) {
    struct models *ms = arg;
    const char *why = model_name_problem(name);
    const struct model *same = models_named(ms, name);
    if (!why && same && same->built_in)
        why = "it is built in";
    if (!why) {
        struct model *m = add_model(ms, xstrdup(name), xstrdup(file));
        m->text = sql_file_read(path, file, &m->wrong);
        if (m->text)
            parse(m);
        return;
    }
    struct err *e = refuse(ms);
    _cleanup_(freep) char *shown = sql_printable(name);
    err_set(e, ERR_ENGINE, "%s: no model can be called '%s': %s", file, shown, why);
    err_hint(e, "rename the file: a table in gold and one in the database are called like it");
}

static int load_folder(struct models *ms, const char *dir, struct err *e) {
    return sql_folder_each(
        &(struct sql_folder){
            .dir = dir, .key = "models.dir", .usual = MODELS_DIR, .take = take_file, .arg = ms},
        e);
}

int models_load(const char *dir, struct models *ret, struct err *e) {
    struct models ms = {0};
    load_built_in(&ms);
    int r = dir && *dir ? load_folder(&ms, dir, e) : 0;
    if (r)
        models_release(&ms);
    else
        *ret = ms;
    return r;
}

const struct model *models_named(const struct models *ms, const char *name) {
    for (size_t i = 0; i < ms->n; i++)
        if (strcmp(ms->v[i].name, name) == 0)
            return &ms->v[i];
    return NULL;
}

void models_release(struct models *ms) {
    for (size_t i = 0; i < ms->n; i++)
        model_release(&ms->v[i]);
    free(ms->v);
    free(ms->refused);
    *ms = (struct models){0};
}
