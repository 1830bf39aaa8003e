/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

#include "base/util.h"
#include "table/log.h"

/* Delta readers and Hive alike know this as the folder of NULL. */
#define NULL_PARTITION "__HIVE_DEFAULT_PARTITION__"

enum { VERSION_DIGITS = 20 };

char *log_dir(const struct table_def *def) {
    return xasprintf("%s/_delta_log", def->name);
}

char *log_entry_path(const struct table_def *def, int64_t version) {
    return xasprintf("%s/_delta_log/%0*lld.json", def->name, VERSION_DIGITS, (long long)version);
}

int64_t log_entry_version(const char *name) {
    if (strspn(name, "0123456789") != VERSION_DIGITS || strcmp(name + VERSION_DIGITS, ".json") != 0)
        return -1;
    int64_t v = 0;
    for (size_t i = 0; i < VERSION_DIGITS; i++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, name[i] - '0', &v))
            return -1;
    return v;
}

char *log_path_encode(const char *path) {
    struct buf b = BUF_INIT(3 * LIMIT_PATH);
    buf_add_encoded(&b, path, "=/");
    return buf_detach(&b);
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *log_path_decode(const char *encoded) {
    if (!strchr(encoded, '%')) /* as good as all */
        return storage_path_ok(encoded) ? xstrdup(encoded) : NULL;
    struct buf b = BUF_INIT(LIMIT_PATH);
    bool ok = true;
    for (const char *s = encoded; *s && ok; s++) {
        if (*s != '%') {
            buf_add_char(&b, *s);
            continue;
        }
        int high = hex_value(s[1]), low = high < 0 ? -1 : hex_value(s[2]);
        ok = low >= 0 && high * 16 + low != 0;
        if (ok)
            buf_add_char(&b, (char)(high * 16 + low));
        s += 2 * ok;
    }
    char *path = buf_detach(&b);
    if (ok && storage_path_ok(path))
        return path;
    free(path);
    return NULL;
}

char *table_new_file_path(const struct table_def *def, const char *partition) {
    char id[UUID_TEXT];
    uuid_make(id);
    struct buf b = BUF_INIT(LIMIT_PATH);
    buf_addf(&b, "%s=", def->partition_by);
    buf_add_encoded(&b, partition && *partition ? partition : NULL_PARTITION, "=");
    buf_addf(&b, "/part-%s.zstd.parquet", id);
    return buf_detach(&b);
}
