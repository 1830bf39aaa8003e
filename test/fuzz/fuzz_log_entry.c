/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as version 1 of a table's log: they are read, or there is an error with words; what is
 * read names only paths inside the table, and the table goes on behind it.
 */
#include <assert.h>

#include "fake/storage_mem.h"
#include "table/helper.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct storage *st = storage_mem_new();
    struct table *tb = NULL;
    struct err e = {0};
    const char *first = PROTOCOL META;
    const char *path[] = {TEST_LOG "/00000000000000000000.json",
                          TEST_LOG "/00000000000000000001.json"};
    assert(storage_put_new(st, path[0], first, strlen(first), &e) == 0);
    assert(storage_put_new(st, path[1], data, n, &e) == 0);
    int r = table_open(st, TEST_DEF, &tb, &e);
    assert(r == 0 ? table_version(tb) == 1 : r == ERR_STORAGE && e.msg[0] && !tb);
    if (r == 0) {
        const struct table_files *live = table_live(tb);
        for (size_t i = 0; i < live->n; i++)
            assert(storage_path_ok(live->v[i].path));
        struct change *ch = change_new();
        change_add(ch, "ours", NULL);
        r = change_commit(ch, tb, &e);
        assert(r == 0 ? table_version(tb) == 2 : r == ERR_STORAGE || r == ERR_CONFLICT);
        change_free(ch);
    }
    table_close(tb);
    storage_free(st);
    return 0;
}
