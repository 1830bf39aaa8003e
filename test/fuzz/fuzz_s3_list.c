/* SPDX-License-Identifier: Apache-2.0 */
/* A page of ListObjectsV2: any bytes are a list or an error; every name is one that was asked for. */
#include <assert.h>

#include "storage/s3_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buf xml = BUF_INIT(LIMIT_HTTP_ANSWER);
    struct storage_entries l = {0};
    struct err e = {0};
    char *token = NULL;
    int64_t seen = 0;
    buf_add(&xml, data, size);
    int r = s3_list_page(&xml, "lake/t/", "b", &seen, &l, &token, &e);
    assert(r == 0 || (r == ERR_STORAGE && e.msg[0] && l.n == 0 && !token));
    for (size_t i = 0; i < l.n; i++)
        assert(strcmp(l.v[i].name, "b") > 0 && !strchr(l.v[i].name, '/') && l.v[i].name[0] != '.' &&
               l.v[i].size >= 0);
    free(token);
    storage_entries_release(&l);
    buf_release(&xml);
    return 0;
}
