/* SPDX-License-Identifier: Apache-2.0 */
#include "parquet/columns.h"

#include "base/mem.h"

#include <assert.h>

static const enum parquet_type types[] = {
    [TYPE_STRING] = PARQUET_BYTES,  [TYPE_INT] = PARQUET_INT32,       [TYPE_LONG] = PARQUET_INT64,
    [TYPE_DOUBLE] = PARQUET_DOUBLE, [TYPE_BOOLEAN] = PARQUET_BOOLEAN, [TYPE_BINARY] = PARQUET_BYTES,
    [TYPE_DATE] = PARQUET_INT32,    [TYPE_TIMESTAMP] = PARQUET_INT64, [TYPE_MONEY] = PARQUET_INT64,
};

/* Nobody looks for one session in bronze: the bounds of random texts exclude no file. */
static const char *const quiet_in_bronze[] = {
    "event_key", "event_id",   "session_id", "order_id",      "page_url",
    "referrer",  "user_agent", "extra",      "reject_detail",
};

static bool is_quiet(const struct table_def *def, const struct column *c) {
    if (c->type == TYPE_BINARY || c->type == TYPE_BOOLEAN)
        return true;
    for (size_t i = 0; def == &bronze_events && i < ARRAY_LEN(quiet_in_bronze); i++)
        if (strcmp(quiet_in_bronze[i], c->name) == 0)
            return true;
    return false;
}

/* Where an event was sent with an id, that is its key. */
static int twin_of(const struct columns *cs, const struct column *c) {
    for (size_t i = 0; strcmp(c->name, "event_id") == 0 && i < cs->n; i++)
        if (strcmp(cs->v[i].name, "event_key") == 0)
            return (int)i;
    return -1;
}

struct columns *columns_new(const struct table_def *def) {
    struct columns *cs = xcalloc(1, sizeof *cs + def->n_columns * sizeof cs->v[0]);
    for (size_t i = 0; i < def->n_columns; i++) {
        const struct column *c = &def->columns[i];
        if (def->partition_by && strcmp(c->name, def->partition_by) == 0)
            continue;
        int twin = c->type == TYPE_STRING ? twin_of(cs, c) : -1;
        assert(twin < 0 || cs->v[twin].kind == TYPE_STRING);
        if (twin >= 0)
            cs->v[twin].twinned = true;
        cs->v[cs->n++] =
            (struct column_form){c->name, c->type, types[c->type], is_quiet(def, c), twin, false};
    }
    return cs;
}
