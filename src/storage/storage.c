/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/storage.h"

#include "base/config.h"
#include "base/value.h"
#include "storage/drivers.h"
#include "storage/hdfs_url.h"

static bool path_char_ok(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._=%~/", c));
}

bool storage_path_ok(const char *path) {
    size_t n = strlen(path);
    if (n == 0 || n >= LIMIT_PATH || path[n - 1] == '/')
        return false;
    for (size_t i = 0; i < n; i++) {
        bool starts_part = i == 0 || path[i - 1] == '/';
        if (!path_char_ok(path[i]) || (starts_part && (path[i] == '.' || path[i] == '/')))
            return false;
    }
    return true;
}

int storage_refuse(const char *what, const char *url, const char *why, struct err *e) {
    _cleanup_(freep) char *masked = url_mask(url);
    bool tell = !strchr(url, '@');
    return err_set(e, ERR_CONFIG, "%s%s%s: %s", what, tell ? " " : "", tell ? masked : "", why);
}

int storage_check(const char *url, struct err *e) {
    if (hdfs_is_url(url) || strncmp(url, "s3://", 5) == 0)
        return 0;
    if (strncmp(url, "file:", 5) != 0) {
        storage_refuse("lake", url, "no storage of that kind", e);
        return err_hint(e, "a lake's URL begins with file:, hdfs:// or s3://");
    }
    const char *folder = url + 5;
    /* file:///data is /data; in file://data the word would be a host, not a folder. */
    if (*folder && (folder[0] != '/' || folder[1] != '/' || folder[2] == '/'))
        return 0;
    storage_refuse("lake", url, "no folder is named", e);
    return err_hint(e, "write file:PATH, as in file:data/lake or file:/var/lib/clickmill");
}

int storage_open(const char *url, const struct storage_options *o, struct storage **ret,
                 struct err *e) {
    int r = storage_check(url, e);
    if (r < 0)
        return r;
    if (hdfs_is_url(url))
        return storage_hdfs_open(url, o, ret, e);
    if (strncmp(url, "s3://", 5) == 0)
        return storage_s3_open(url, o, ret, e);
    return storage_local_open(url, url + 5, ret, e);
}

/* NULL for a text that is left empty. */
static const char *text_or_none(const struct config *cfg, enum config_id id) {
    const char *text = config_text(cfg, id);
    return *text ? text : NULL;
}

static enum s3_path_style path_style_of(const char *text) {
    return strcmp(text, "auto") == 0  ? S3_PATH_STYLE_AUTO
           : strcmp(text, "yes") == 0 ? S3_PATH_STYLE_YES
                                      : S3_PATH_STYLE_NO;
}

int storage_open_configured(const struct config *cfg, struct storage **ret, struct err *e) {
    struct storage_options o = {
        .cache_dir = config_text(cfg, CFG_CACHE_DIR),
        .cache_max_bytes = config_int(cfg, CFG_CACHE_MAX_BYTES),
        .timeout_ms = config_int(cfg, CFG_LAKE_TIMEOUT),
        .ca_file = text_or_none(cfg, CFG_LAKE_CA_FILE),
        .hdfs_user = text_or_none(cfg, CFG_HDFS_USER),
        .hdfs_token = text_or_none(cfg, CFG_HDFS_TOKEN),
        .hdfs_cert_file = text_or_none(cfg, CFG_HDFS_CERT_FILE),
        .s3_endpoint = text_or_none(cfg, CFG_S3_ENDPOINT),
        .s3_region = text_or_none(cfg, CFG_S3_REGION),
        .s3_profile = text_or_none(cfg, CFG_S3_PROFILE),
        .s3_path_style = path_style_of(config_text(cfg, CFG_S3_PATH_STYLE)),
        .hdfs_kerberos = strcmp(config_text(cfg, CFG_HDFS_AUTH), "kerberos") == 0,
    };
    return storage_open(config_text(cfg, CFG_LAKE_URL), &o, ret, e);
}

struct storage_entry *storage_entries_add(struct storage_entries *l) {
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->v = xrealloc(l->v, l->cap * sizeof *l->v);
    }
    l->v[l->n] = (struct storage_entry){0};
    return &l->v[l->n++];
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct storage_entry *)a)->name, ((const struct storage_entry *)b)->name);
}

void storage_entries_sort(struct storage_entries *l) {
    if (l->n)
        qsort(l->v, l->n, sizeof *l->v, by_name);
}

void storage_entries_release(struct storage_entries *l) {
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].name);
    free(l->v);
    *l = (struct storage_entries){0};
}
