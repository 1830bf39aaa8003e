/* SPDX-License-Identifier: Apache-2.0 */
/* The log as a history: for the steps, which read what was added, and for people. */
#include "table/checkpoint.h"

static void take_files(struct table_files *to, struct log_files *from, size_t *n_other) {
    for (size_t i = 0; i < from->n; i++) {
        if (!from->v[i].data_change) {
            (*n_other)++;
            continue;
        }
        *table_files_add(to) = from->v[i].file;
        from->v[i].file = (struct table_file){0};
    }
}

/* Empties the log's view of an entry into the public one. */
static struct table_entry entry_of(struct log_entry *le) {
    struct table_entry en = {
        .version = le->version,
        .timestamp_ms = le->timestamp_ms,
        .operation = TAKE_PTR(le->operation),
        .metrics = TAKE_PTR(le->metrics),
        .n_metrics = le->n_metrics,
        .parameters = TAKE_PTR(le->parameters),
        .n_parameters = le->n_parameters,
        .txn = xcalloc(le->n_txn, sizeof *en.txn),
        .n_txn = le->n_txn,
    };
    le->n_metrics = le->n_parameters = 0;
    for (size_t i = 0; i < le->n_txn; i++)
        en.txn[i] =
            (struct table_txn){.app_id = TAKE_PTR(le->txn[i].app_id), .next = le->txn[i].version};
    take_files(&en.add, &le->add, &en.n_other_adds);
    take_files(&en.remove, &le->remove, &en.n_other_removes);
    log_entry_release(le);
    return en;
}

void table_entry_release(struct table_entry *en) {
    free(en->operation);
    table_texts_free(en->metrics, en->n_metrics);
    table_texts_free(en->parameters, en->n_parameters);
    table_files_release(&en->add);
    table_files_release(&en->remove);
    for (size_t i = 0; i < en->n_txn; i++)
        free((char *)(uintptr_t)en->txn[i].app_id);
    free(en->txn);
    *en = (struct table_entry){0};
}

int table_each_entry(struct table *tb, int64_t from, int64_t to,
                     int (*fn)(void *arg, const struct table_entry *en, struct err *e), void *arg,
                     struct err *e) {
    for (int64_t v = from + 1; v <= to; v++) {
        struct log_entry le;
        int r = snapshot_load(tb, v, &le, e);
        if (r == ERR_NOT_FOUND) {
            err_set(e, ERR_NOT_FOUND, "%s/%s: version %lld is gone from the log", tb->st->url,
                    tb->def->name, (long long)v);
            return err_hint(e,
                            "what reads this table must do so more often than its log is cleaned "
                            "(delta.logRetentionDuration)");
        }
        if (r)
            return r;
        struct table_entry en = entry_of(&le);
        r = fn(arg, &en, e);
        table_entry_release(&en);
        if (r)
            return r;
    }
    return 0;
}

int table_log_begin(struct table *tb, int64_t *ret, struct err *e) {
    struct log_listing l;
    int r = log_list(tb, false, &l, e);
    if (r == 0)
        *ret = l.first;
    return r;
}

int64_t table_entry_metric(const struct table_entry *en, const char *name) {
    for (size_t i = 0; i < en->n_metrics; i++)
        if (strcmp(en->metrics[i].name, name) == 0)
            return strtoll(en->metrics[i].value, NULL, 10);
    return 0;
}

const char *table_entry_parameter(const struct table_entry *en, const char *name) {
    for (size_t i = 0; i < en->n_parameters; i++)
        if (strcmp(en->parameters[i].name, name) == 0)
            return en->parameters[i].value;
    return NULL;
}
