/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/sink.h"

#include "sink/driver.h"

const struct sink_table sink_clickstream_metrics = {
    .name = "clickstream_metrics",
    .columns =
        (const struct sink_column[]){
            {"category", SINK_TEXT, true},
            {"total_events", SINK_INT, false},
            {"total_revenue", SINK_DOUBLE, false},
            {"event_date", SINK_DATE, true},
        },
    .n_columns = 4,
    .date_column = "event_date",
};

const struct sink_table sink_loads = {
    .name = SINK_LOADS_NAME,
    .columns =
        (const struct sink_column[]){
            {"table_name", SINK_TEXT, true},
            {"gold_table_id", SINK_TEXT, false},
            {"gold_version", SINK_BIGINT, false},
            {"loaded_at", SINK_TIMESTAMP, false},
        },
    .n_columns = 4,
};

enum { DEFAULT_TIMEOUT_MS = 10000 };

static const struct {
    const char *prefix;
    int (*open)(const char *url, const struct sink_options *o, struct sink **ret, struct err *e);
    int (*check)(const char *url, struct err *e);
} drivers[] = {
    {"sqlite:", sink_sqlite_open, sink_sqlite_check},
    {"postgresql://", sink_postgres_open, sink_postgres_check},
    {"postgres://", sink_postgres_open, sink_postgres_check},
};

/* The driver's number. */
static int find_driver(const char *url, struct err *e) {
    for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
        if (strncmp(url, drivers[i].prefix, strlen(drivers[i].prefix)) == 0)
            return (int)i;
    /* Of a URL we cannot read only the scheme is shown: the rest may hold a password. */
    size_t n = strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    if (url[n] == ':')
        err_set(e, ERR_CONFIG, "sink.url: no sink is called \"%.*s:\"", (int)MIN(n, 64), url);
    else
        err_set(e, ERR_CONFIG, "sink.url does not begin with the name of a sink");
    return err_hint(e, "there are sqlite:PATH and postgresql://USER@HOST:PORT/DATABASE "
                       "(postgres:// is the same)");
}

int sink_open(const char *url, const struct sink_options *o, struct sink **ret, struct err *e) {
    struct sink_options with = *o;
    if (with.timeout_ms <= 0)
        with.timeout_ms = DEFAULT_TIMEOUT_MS;
    int i = find_driver(url, e);
    return i < 0 ? i : drivers[i].open(url, &with, ret, e);
}

int sink_check(const char *url, struct err *e) {
    int i = find_driver(url, e);
    return i < 0 ? i : drivers[i].check(url, e);
}
