/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/rejects.h"

#include "base/clock.h"
#include "base/util.h"
#include "engine/models.h"
#include "event/event.h"

void rejects_files(const struct rejects *rj, struct table_files *ret) {
    const struct table_files *live = table_live(rj->bronze);
    for (size_t i = 0; i < live->n; i++) {
        const char *text = live->v[i].partition;
        int32_t day;
        if (!text || !day_parse(text, strlen(text), &day) ||
            (day >= rj->filter.from && day <= rj->filter.to))
            table_file_copy(table_files_add(ret), &live->v[i]);
    }
}

int rejects_ask(const struct rejects *rj, const struct table_files *files, const char *sql,
                const struct engine_rows *rows, struct err *e) {
    const char *reason = rj->filter.reason;
    _cleanup_(freep) char *chosen =
        xasprintf("SELECT * FROM rejected%s%s%s", reason ? " WHERE reason = '" : "",
                  reason ? reason : "", reason ? "'" : "");
    const struct engine_input input = {bronze_events.view, &bronze_events, files};
    struct engine_stage stages[] = {
        {"rejected", model_text("sql/lake/rejects.sql"), false, NULL},
        {"chosen", chosen, false, NULL},
        {"rejects", model_text("sql/lake/rejects_open.sql"), false, NULL},
        {"mapping", rj->mapping ? rj->mapping->sql : NULL, false,
         rj->mapping ? rj->mapping->file : NULL},
    };
    const struct engine_question q = {.what = "rejects",
                                      .file = rj->mapping ? rj->mapping->file : NULL,
                                      .inputs = &input,
                                      .n_inputs = 1,
                                      .stages = stages,
                                      .n_stages = ARRAY_LEN(stages) - !rj->mapping,
                                      .sql = sql,
                                      .untrusted = rj->mapping};
    return engine_ask(rj->en, rj->st, &q, rows, e);
}

int rejects_check_reason(const char *reason, struct err *e) {
    struct buf all = BUF_INIT(KIB);
    for (enum reject why = REJECT_TOO_LARGE; why <= REJECT_UNKNOWN_PROTOCOL; why++) {
        if (strcmp(reason, reject_name(why)) == 0) {
            buf_release(&all);
            return 0;
        }
        buf_addf(&all, " %s", reject_name(why));
    }
    err_set(e, ERR_USAGE, "no record is rejected as '%.100s'", reason);
    err_hint(e, "the reasons are:%s", buf_str(&all));
    buf_release(&all);
    return e->code;
}

/* ---- positions ------------------------------------------------------------------------------- */

/* The number between a slash and `end`, and the slash; NULL: there is none. */
static const char *number_before(const char *text, const char *end, int64_t *ret) {
    const char *at = end;
    while (at > text && at[-1] != '/')
        at--;
    if (at == text || at == end || end - at > 18)
        return NULL;
    *ret = 0;
    for (const char *p = at; p < end; p++) {
        if (*p < '0' || *p > '9')
            return NULL;
        *ret = 10 * *ret + (*p - '0');
    }
    return at - 1;
}

bool rejects_position_parse(const char *text, struct rejects_position *ret) {
    int64_t v[3] = {0}; /* from the end */
    const char *at = text + strlen(text), *next;
    int n = 0;
    while (n < 3 && (next = number_before(text, at, &v[n]))) {
        at = next;
        n++;
    }
    if (n < 2 || at == text || v[n - 1] > INT32_MAX || (n == 3 && v[0] > INT32_MAX))
        return false;
    *ret = (struct rejects_position){.topic = text,
                                     .topic_len = (size_t)(at - text),
                                     .partition = (int32_t)v[n - 1],
                                     .offset = v[n - 2],
                                     .index = n == 3 ? (int32_t)v[0] : 0};
    return true;
}

char *rejects_position_sql(const struct rejects_position *p) {
    struct buf b = BUF_INIT(64 * KIB);
    buf_add_str(&b, " WHERE source_topic = ");
    buf_add_quoted(&b, p->topic, p->topic_len, '\'');
    buf_addf(&b, " AND source_partition = %d AND source_offset = %lld AND source_index = %d",
             p->partition, (long long)p->offset, p->index);
    return buf_detach(&b);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static unsigned digit(char c) {
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

void rejects_unhex(const char *hex, struct buf *ret) {
    size_t n = strlen(hex) / 2;
    if (!buf_reserve(ret, n))
        return;
    char *to = ret->data + ret->len;
    for (size_t i = 0; i < n; i++)
        to[i] = (char)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    ret->len += n;
    ret->data[ret->len] = '\0';
}

struct found {
    struct buf *bytes;
    int rows;
};

static int take_bytes(void *arg, const char *const *values, size_t n ATTR_UNUSED,
                      struct err *e ATTR_UNUSED) {
    struct found *f = arg;
    f->rows++;
    if (values[0])
        rejects_unhex(values[0], f->bytes);
    return 0;
}

int rejects_bytes(const struct rejects *rj, const struct rejects_position *p, struct buf *ret,
                  struct err *e) {
    _cleanup_(table_files_release) struct table_files files = {0};
    _cleanup_(freep) char *where = rejects_position_sql(p);
    _cleanup_(freep) char *sql =
        xasprintf("SELECT hex(bytes) FROM chosen%s ORDER BY received_at LIMIT 1", where);
    struct found f = {.bytes = ret};
    rejects_files(rj, &files);
    int r = rejects_ask(rj, &files, sql, &(struct engine_rows){.row = take_bytes, .arg = &f}, e);
    if (r == 0 && f.rows == 0)
        return err_set(e, ERR_CHECK, "rejects: no record was rejected at %.*s/%d/%lld/%d",
                       (int)MIN(p->topic_len, (size_t)256), p->topic, p->partition,
                       (long long)p->offset, p->index);
    return r;
}
