/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

#include "engine/drivers.h"

int engine_check(const char *url, struct err *e) {
    if (strcmp(url, "duckdb") == 0)
        return 0;
    err_set(e, ERR_CONFIG, "engine.url: no engine for '%s'", url);
    return err_hint(e, "there is: duckdb");
}

int engine_open(const char *url, const struct engine_options *o, struct engine **ret,
                struct err *e) {
    int r = engine_check(url, e);
    return r < 0 ? r : engine_duckdb_open(o, ret, e);
}

void engine_result_release(struct engine_result *r) {
    table_files_release(&r->files);
    for (size_t i = 0; i < r->n_counters; i++)
        free(r->counters[i].name);
    free(r->counters);
    *r = (struct engine_result){0};
}

int64_t engine_counter(const struct engine_result *r, const char *name) {
    for (size_t i = 0; i < r->n_counters; i++)
        if (strcmp(r->counters[i].name, name) == 0)
            return r->counters[i].value;
    return 0;
}
