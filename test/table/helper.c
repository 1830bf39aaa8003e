/* SPDX-License-Identifier: Apache-2.0 */
#include "table/helper.h"

#include <assert.h>

struct change *change_new(void) {
    struct change *ch = xcalloc(1, sizeof *ch);
    ch->c = (struct table_commit){.operation = "WRITE",
                                  .add = &ch->add,
                                  .remove = &ch->remove,
                                  .txn = ch->txn,
                                  .metrics = ch->metrics,
                                  .data_change = true};
    return ch;
}

void change_free(struct change *ch) {
    table_files_release(&ch->add);
    table_files_release(&ch->remove);
    for (size_t i = 0; i < ch->c.n_txn; i++)
        free((char *)(uintptr_t)ch->txn[i].app_id);
    free(ch);
}

static void fill(struct table_files *to, const char *path, const char *partition) {
    struct table_file f = {.path = (char *)(uintptr_t)path,
                           .partition = (char *)(uintptr_t)partition,
                           .size = (int64_t)strlen(path) * 100,
                           .rows = (int64_t)strlen(path),
                           .mtime_ms = 1700000000000};
    table_file_copy(table_files_add(to), &f);
}

void change_add(struct change *ch, const char *path, const char *partition) {
    fill(&ch->add, path, partition);
}

void change_remove(struct change *ch, const char *path, const char *partition) {
    fill(&ch->remove, path, partition);
}

void change_txn(struct change *ch, const char *app_id, int64_t expected, int64_t next) {
    assert(ch->c.n_txn < ARRAY_LEN(ch->txn));
    ch->txn[ch->c.n_txn++] = (struct table_txn){xstrdup(app_id), expected, next};
}

void change_metric(struct change *ch, const char *name, int64_t value) {
    assert(ch->c.n_metrics < ARRAY_LEN(ch->metrics));
    ch->metrics[ch->c.n_metrics++] = (struct table_metric){name, value};
}

int change_commit(struct change *ch, struct table *tb, struct err *e) {
    int64_t version = -7;
    int r = table_commit(tb, &ch->c, &version, e);
    assert(version == (r ? -7 : table_version(tb)));
    return r;
}

struct table *open_table(struct storage *st) {
    struct table *tb;
    struct err e;
    assert_ok(table_open(st, TEST_DEF, &tb, &e), &e);
    return tb;
}

void append_file(struct table *tb, const char *path, const char *partition) {
    _cleanup_(change_freep) struct change *ch = change_new();
    struct err e;
    change_add(ch, path, partition);
    assert_ok(change_commit(ch, tb, &e), &e);
}

struct txns {
    char *v[64];
    size_t n;
};

static int note_txn(void *arg, const char *app_id, int64_t version) {
    struct txns *t = arg;
    assert(t->n < ARRAY_LEN(t->v));
    t->v[t->n++] = xasprintf("%s=%lld", app_id, (long long)version);
    return 0;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char *state_of(const struct table *tb) {
    struct buf b = BUF_INIT(16 * MIB);
    buf_addf(&b, "v%lld", (long long)table_version(tb));
    const struct table_files *live = table_live(tb);
    for (size_t i = 0; i < live->n; i++)
        buf_addf(&b, " %s@%s", live->v[i].path,
                 live->v[i].partition ? live->v[i].partition : "NULL");
    struct txns t = {0};
    table_txn_each(tb, "", note_txn, &t);
    qsort(t.v, t.n, sizeof *t.v, by_text);
    buf_add_str(&b, t.n ? " |" : "");
    for (size_t i = 0; i < t.n; i++) {
        buf_addf(&b, " %s", t.v[i]);
        free(t.v[i]);
    }
    return buf_detach(&b);
}

int must_be_right(void *arg ATTR_UNUSED, const char *name, bool ok, const char *detail,
                  struct err *e ATTR_UNUSED) {
    if (!ok)
        fail_msg("%s: %s", name, detail);
    return 0;
}

void put_entry(struct storage *st, int64_t version, const char *text) {
    _cleanup_(freep) char *path = xasprintf(TEST_LOG "/%020lld.json", (long long)version);
    put_text(st, path, text);
}

char *get_entry(struct storage *st, int64_t version) {
    _cleanup_(freep) char *path = xasprintf(TEST_LOG "/%020lld.json", (long long)version);
    return get_text(st, path);
}
