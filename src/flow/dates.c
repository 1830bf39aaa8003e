/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/dates.h"

#include "base/mem.h"

bool date_range_has(const struct date_range *r, const char *date) {
    return (!r->from || strcmp(date, r->from) >= 0) && (!r->to || strcmp(date, r->to) <= 0);
}

/* The index of the first date that is not before `date`. */
static size_t lower_bound(const struct dates *d, const char *date) {
    size_t low = 0, high = d->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(d->v[mid], date) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

bool dates_has(const struct dates *d, const char *date) {
    size_t i = lower_bound(d, date);
    return i < d->n && strcmp(d->v[i], date) == 0;
}

void dates_add(struct dates *d, const char *date) {
    size_t i = lower_bound(d, date);
    if (i < d->n && strcmp(d->v[i], date) == 0)
        return;
    if (d->n == d->cap) {
        d->cap = d->cap ? 2 * d->cap : 16;
        d->v = xrealloc(d->v, d->cap * sizeof *d->v);
    }
    memmove(d->v + i + 1, d->v + i, (d->n - i) * sizeof *d->v);
    d->v[i] = xstrdup(date);
    d->n++;
}

void dates_release(struct dates *d) {
    for (size_t i = 0; i < d->n; i++)
        free(d->v[i]);
    free(d->v);
    *d = (struct dates){0};
}

static int note_entry(void *arg, const struct table_entry *en, struct err *e) {
    (void)e;
    struct dates *d = arg;
    for (size_t i = 0; i < en->add.n; i++)
        if (en->add.v[i].partition)
            dates_add(d, en->add.v[i].partition);
    for (size_t i = 0; i < en->remove.n; i++)
        if (en->remove.v[i].partition)
            dates_add(d, en->remove.v[i].partition);
    return 0;
}

void dates_of_range(const struct table *tb, const struct date_range *range, struct dates *d) {
    const struct table_files *live = table_live(tb);
    for (size_t i = 0; i < live->n; i++)
        if (live->v[i].partition && date_range_has(range, live->v[i].partition))
            dates_add(d, live->v[i].partition);
}

void dates_of(const struct table *tb, struct dates *d) {
    dates_of_range(tb, &(struct date_range){0}, d);
}

int dates_changed(struct table *tb, int64_t from, struct dates *d, bool *ret_all, struct err *e) {
    int r =
        from < 0 ? ERR_NOT_FOUND : table_each_entry(tb, from, table_version(tb), note_entry, d, e);
    *ret_all = r == ERR_NOT_FOUND;
    if (*ret_all)
        dates_of(tb, d);
    return *ret_all ? 0 : r;
}

void dates_files(const struct table *tb, const struct dates *d, struct table_files *ret) {
    const struct table_files *live = table_live(tb);
    for (size_t i = 0; i < live->n; i++)
        if (live->v[i].partition && dates_has(d, live->v[i].partition))
            table_file_copy(table_files_add(ret), &live->v[i]);
}
