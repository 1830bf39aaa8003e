/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An app's first look at a topic. Records that were gone by then are no loss of its. What is gone later is,
 * also in a partition of which bronze holds nothing yet: so where the first records are gone already, it
 * is noted for all partitions where they began, in a commit of its own, before anything is read. A
 * topic that is whole needs no note: all its partitions begin at 0.
 */
#include "base/log.h"
#include "base/retry.h"
#include "flow/ingest_write.h"
#include "flow/note.h"

static int commit_begins(struct writer *w, const struct unit *u, struct err *e) {
    struct covered *v = xcalloc(u->n_begins, sizeof *v);
    struct table_txn *txn = xcalloc(u->n_begins, sizeof *txn);
    for (size_t i = 0; i < u->n_begins; i++) {
        const struct bounds *b = &u->begins[i];
        v[i] = (struct covered){b->partition, b->begin, b->begin, 0};
        txn[i] = (struct table_txn){xasprintf("%s/%d", w->source, b->partition), -1, b->begin};
    }
    struct table_text parameters[] = {
        {(char *)(uintptr_t) "positions", note_positions(v, u->n_begins)},
        {(char *)(uintptr_t) "topicId", w->topic_id}};
    struct table_metric metrics[] = {{"records", 0}, {"events", 0}, {"rejected", 0}};
    struct table_files none = {0};
    struct table_commit c = {.operation = "STREAMING UPDATE",
                             .add = &none,
                             .txn = txn,
                             .n_txn = u->n_begins,
                             .metrics = metrics,
                             .n_metrics = ARRAY_LEN(metrics),
                             .parameters = parameters,
                             .n_parameters = w->topic_id ? 2 : 1,
                             .data_change = true};
    int64_t version;
    struct retry again = retry_start(w->in->o->timeout_ms);
    int r;
    do
        r = table_commit(w->tb, &c, &version, e);
    while (r < 0 && r != ERR_CONFLICT && retry_pause(&again, &r, e));
    for (size_t i = 0; i < u->n_begins; i++)
        free((char *)(uintptr_t)txn[i].app_id);
    free(parameters[0].value);
    free(txn);
    free(v);
    return r;
}

int begin_note(struct writer *w, const struct unit *u, struct err *e) {
    int64_t gone = 0;
    for (size_t i = 0; i < u->n_begins; i++)
        gone += u->begins[i].begin;
    bool known = w->begun || u->n_begins == 0 || note_position(w->tb, w->source, 0) >= 0;
    int r = gone && !known ? commit_begins(w, u, e) : 0;
    if (r == 0 && gone && !known)
        log_info("the topic's first records were gone before this app came: no loss of its",
                 F_STR("app", w->in->o->app), F_STR("topic", w->in->s->topic),
                 F_INT("offsets", gone));
    if (r == ERR_CONFLICT) /* another process came first, and noted it or read something */
        r = writer_look_again(w, e);
    w->begun = w->begun || r == 0;
    return r;
}
