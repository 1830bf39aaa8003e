/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/accounts.h"
#include "flow/totals.h"

struct carried {
    const struct table *tb;
    struct silver_account a;
    bool all; /* every position carries totals */
};

bool silver_is_position(const char *app_id) {
    return strncmp(app_id, "silver/", 7) == 0 && !strchr(app_id, '#');
}

static int take_position(void *arg, const char *app_id, int64_t version ATTR_UNUSED) {
    struct carried *c = arg;
    if (!silver_is_position(app_id))
        return 0;
    int64_t events = total_of(c->tb, app_id, "events");
    c->all = c->all && events >= 0;
    c->a.events += MAX(events, 0);
    c->a.rejected += MAX(total_of(c->tb, app_id, "rejected"), 0);
    c->a.duplicates += MAX(total_of(c->tb, app_id, "duplicates"), 0);
    c->a.conflicts += MAX(total_of(c->tb, app_id, "conflicts"), 0);
    return 0;
}

static int add_entry(void *arg, const struct table_entry *en, struct err *e ATTR_UNUSED) {
    struct silver_account *a = arg;
    a->events += table_entry_metric(en, "events");
    a->rejected += table_entry_metric(en, "rejected");
    a->duplicates += table_entry_metric(en, "duplicates");
    a->conflicts += table_entry_metric(en, "conflicts");
    a->rows += table_entry_metric(en, "rows");
    return 0;
}

static struct carried take_carried(const struct table *silver) {
    struct carried c = {.tb = silver, .all = true};
    table_txn_each(silver, "silver/", take_position, &c);
    c.a.rows = c.a.events - c.a.rejected - c.a.duplicates - c.a.conflicts;
    return c;
}

bool silver_account_carried(const struct table *silver, struct silver_account *ret) {
    struct carried c = take_carried(silver);
    *ret = c.a;
    return c.all;
}

int silver_account_audit(struct table *silver, struct silver_account *ret, struct err *e) {
    struct carried c = take_carried(silver);
    struct silver_account log = {0};
    int64_t begin;
    int r = table_log_begin(silver, &begin, e);
    if (r == 0 && begin > 0) {
        if (!c.all)
            c.a.broken = xasprintf("a position carries no totals, and the log begins at version "
                                   "%lld",
                                   (long long)begin);
        *ret = c.a;
        return 0;
    }
    if (r == 0)
        r = table_each_entry(silver, -1, table_version(silver), add_entry, &log, e);
    if (r < 0)
        return r;
    if (c.all && (log.events != c.a.events || log.rejected != c.a.rejected ||
                  log.duplicates != c.a.duplicates || log.conflicts != c.a.conflicts))
        log.broken =
            xasprintf("the commits add up to other totals than they carry: rows read %lld "
                      "and %lld, rejected %lld and %lld, duplicates %lld and %lld, "
                      "conflicts %lld and %lld",
                      (long long)log.events, (long long)c.a.events, (long long)log.rejected,
                      (long long)c.a.rejected, (long long)log.duplicates, (long long)c.a.duplicates,
                      (long long)log.conflicts, (long long)c.a.conflicts);
    *ret = log;
    return 0;
}

int silver_account_read(struct table *silver, struct silver_account *ret, struct err *e) {
    return silver_account_carried(silver, ret) ? 0 : silver_account_audit(silver, ret, e);
}
