/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/forget.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/sha256.h"
#include "base/util.h"
#include "cmd/cmd.h"
#include "cmd/parts.h"
#include "version.h"

struct forget_opts {
    const char *user;
    bool force, json;
};

static const struct opt options[] = {
    {"user", "ID", OPT_TEXT, offsetof(struct forget_opts, user),
     "The user_id, as it stands in the events.", 0, 0},
    {"force", NULL, OPT_FLAG, offsetof(struct forget_opts, force),
     "Needed: what is erased cannot be brought back, and readers of earlier versions fail.", 0, 0},
    {"json", NULL, OPT_FLAG, offsetof(struct forget_opts, json), "Print the report as JSON.", 0, 0},
    {0},
};

static int check_user(const char *user, struct err *e) {
    if (!user)
        return err_set(e, ERR_USAGE, "forget: --user ID");
    size_t n = strlen(user), len = 1;
    if (user[strspn(user, " \t\r\n")] == '\0')
        return err_set(e, ERR_USAGE, "forget: the user's id is empty or blank: no event has that");
    if (n > LIMIT_ID)
        return err_set(e, ERR_USAGE, "forget: an id of %zu bytes: no event has more than %d", n,
                       LIMIT_ID);
    for (size_t i = 0; i < n && len > 0; i += len)
        len = utf8_len(user + i, n - i);
    return len > 0 ? 0 : err_set(e, ERR_USAGE, "forget: the user's id is not valid UTF-8");
}

static int check_opts(const struct forget_opts *o, struct err *e) {
    if (check_user(o->user, e) < 0 || o->force)
        return e->code;
    err_set(e, ERR_USAGE,
            "forget: erases the user from every version of every table: readers of "
            "earlier versions lose their files, and the tables their history");
    return err_hint(e, "--force, if that is meant");
}

/* ---- the report ---- */

static void put_table(struct json_out *o, const struct forget_table *t) {
    json_obj(o, NULL);
    json_put(o, "table", t->name);
    json_put_int(o, "files_read", t->files_read);
    json_put_int(o, "files_rewritten", t->files_rewritten);
    json_put_int(o, "files_made", t->files_made);
    json_put_int(o, "rows_erased", t->rows_erased);
    json_put_int(o, "raw_erased", t->raw_erased);
    json_put_int(o, "files_deleted", t->files_deleted);
    json_put_int(o, "bytes_deleted", t->bytes_deleted);
    json_put_int(o, "log_files_deleted", t->log_files);
    json_put_int(o, "first_version", t->version);
    json_obj_end(o);
}

static void digest(const char *text, size_t n, char ret[SHA256_HEX]) {
    unsigned char d[SHA256_LEN];
    sha256_of(text, n, d);
    sha256_hex(d, ret);
}

/* The user stands in it by a hash alone. */
static void put_report(struct buf *b, const char *user, const char *lake, int64_t at_us,
                       const struct forget_result *r, bool complete) {
    static const char *const not_erased[] = {
        "the stream: what it still holds of the user it keeps until its own retention",
        "hashes of the user's event keys in silver.index_dir, until silver next uses the index",
        "files in no commit that are younger than an hour, of a writer that was killed",
        "other fields, of other users' events, that happen to name the user",
        "copies outside of the lake and the sink: backups, exports, logs"};
    struct json_out o = {.b = b};
    char at[TIME_TEXT], hash[SHA256_HEX];
    time_format_ms(at_us, at);
    digest(user, strlen(user), hash);
    json_obj(&o, NULL);
    json_put(&o, "user_sha256", hash);
    json_put(&o, "at", at);
    json_put(&o, "by", "clickmill " CM_VERSION);
    json_put(&o, "lake", lake);
    json_put_bool(&o, "complete", complete);
    json_arr(&o, "tables");
    for (size_t i = 0; i < r->n; i++)
        put_table(&o, &r->v[i]);
    json_arr_end(&o);
    json_put_int(&o, "silver_days", r->days);
    json_put_int(&o, "gold_dates", r->gold.dates);
    json_put_int(&o, "sink_upserted", r->load.upserted);
    json_put_int(&o, "sink_deleted", r->load.deleted);
    json_put_int(&o, "cache_files_deleted", r->cache_files);
    json_arr(&o, "not_erased");
    for (size_t i = 0; i < ARRAY_LEN(not_erased); i++)
        json_put(&o, NULL, not_erased[i]);
    json_arr_end(&o);
    json_obj_end(&o);
}

static void print_text(const struct forget_result *r) {
    for (size_t i = 0; i < r->n; i++) {
        const struct forget_table *t = &r->v[i];
        printf(
            "%s: %lld of %lld files rewritten, %lld rows and %lld raw records erased, %lld files "
            "of %lld bytes deleted, readable from version %lld on\n",
            t->name, (long long)t->files_rewritten, (long long)t->files_read,
            (long long)t->rows_erased, (long long)t->raw_erased, (long long)t->files_deleted,
            (long long)t->bytes_deleted, (long long)t->version);
    }
    printf("gold: dates %lld; load: upserted %lld, deleted %lld; cache: %lld files deleted\n",
           (long long)r->gold.dates, (long long)r->load.upserted, (long long)r->load.deleted,
           (long long)r->cache_files);
}

/* Keeps it in the lake, in a file of its own, with its SHA-256, and prints it. */
static int sign_off(struct storage *st, const struct forget_opts *opts,
                    const struct forget_result *res, bool complete, struct err *e) {
    int64_t now_us = clock_now_us();
    char id[UUID_TEXT], hash[SHA256_HEX];
    struct buf report = BUF_INIT(4 * MIB), file = BUF_INIT(4 * MIB);
    uuid_make(id);
    put_report(&report, opts->user, st->url, now_us, res, complete);
    digest(buf_str(&report), report.len, hash);
    buf_addf(&file, "{\"report\":%s,\"sha256\":\"%s\"}", buf_str(&report), hash);
    _cleanup_(freep) char *path =
        xasprintf("forget/%lld-%.8s.json", (long long)(now_us / 1000000), id);
    int r = storage_put_new(st, path, buf_str(&file), file.len, e);
    if (r == 0 && opts->json)
        puts(buf_str(&file));
    else if (r == 0) {
        print_text(res);
        printf("report: %s, sha256 %s\n", path, hash);
    }
    buf_release(&report);
    buf_release(&file);
    return r < 0 ? err_wrap(e, "forget: the report") : 0;
}

static int run(struct cmd *c, struct err *e) {
    const struct forget_opts *opts = c->opts;
    struct parts p;
    int r = check_opts(opts, e);
    if (r == 0)
        r = parts_open(c->cfg, PART_LAKE | PART_ENGINE, &p, e);
    if (r < 0)
        return r;
    struct run_options run = parts_run_options(c->cfg);
    struct upkeep_options upkeep = parts_upkeep_options(c->cfg);
    bool far = strncmp(config_text(c->cfg, CFG_LAKE_URL), "file:", 5) != 0;
    const struct forget_options o = {.user = opts->user,
                                     .run = &run,
                                     .upkeep = &upkeep,
                                     .cache_dir = far ? config_text(c->cfg, CFG_CACHE_DIR) : NULL};
    struct forget_result res;
    r = flow_forget(p.st, p.en, &o, &res, e);
    struct err why;
    if (res.n > 0 && sign_off(p.st, opts, &res, r == 0, &why) < 0 && r == 0) {
        *e = why;
        r = e->code;
    }
    forget_result_release(&res);
    parts_close(&p);
    return r;
}

const struct command cmd_forget = {
    .name = "forget",
    .operands = "",
    .summary =
        "Erase a user from bronze, silver, gold and the sink, and from every earlier version.",
    .about =
        "Ingest and the runs may go on; events of the user that come later are not touched. What "
        "the\n"
        "tables do not need any more is deleted at once, and their logs are cut off before that.\n"
        "The report is kept in the lake below forget/, with its SHA-256; the user stands in it by "
        "a\n"
        "hash alone. What is not erased, the stream above all, the report says. Repeat it when it\n"
        "was killed: it goes on from there.",
    .options = options,
    .opts_size = sizeof(struct forget_opts),
    .run = run,
};
