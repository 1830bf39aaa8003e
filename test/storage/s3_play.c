/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/s3_play.h"

struct s3_play *s3_play_new(void) {
    struct s3_play *p = xcalloc(1, sizeof *p);
    p->http = http_play_new();
    snprintf(p->endpoint, sizeof p->endpoint, "http://127.0.0.1:%d", http_play_port(p->http));
    s3_test_keys("AKPLAYED", "played-secret", NULL);
    http_play_answer(p->http, "PUT", "/.probe-", 200, "", "");
    http_play_then(p->http, 412, "", S3_ERROR("PreconditionFailed", ""));
    http_play_answer(p->http, "DELETE", "/.probe-", 204, "", "");
    return p;
}

struct storage *s3_play_lake(struct s3_play *p) {
    if (p->st)
        return p->st;
    p->lake = s3_lake_new(p->endpoint, "shop-lake");
    free(p->lake->url);
    p->lake->url = xstrdup("s3://shop-lake/lake");
    return p->st = s3_lake_open(p->lake, 10000);
}

void s3_play_free(struct s3_play *p) {
    storage_free(p->st);
    if (p->lake)
        s3_lake_free(p->lake);
    http_play_free(p->http);
    free(p);
}
