/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/silver_keys.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "engine/models.h"

/* Of a batch that is a good part of silver, a scan finds the repeats as fast. */
enum { SCAN_SHARE = 8 };

/* What the log says of silver since the index's version. */
struct since {
    const struct keys *k;
    struct keys_mark mark; /* of the entry that was read last */
    struct table_files added;
    const char *doubt; /* NULL: the index is a true image of an earlier version */
};

/* Names of files are used once: a table that was put back and went on another way has others. */
static struct keys_mark mark_of(const struct table_entry *en) {
    struct keys_mark m;
    struct sha256 h;
    const int64_t numbers[] = {en->version, en->timestamp_ms};
    sha256_begin(&h);
    sha256_add(&h, numbers, sizeof numbers);
    sha256_add(&h, en->operation, strlen(en->operation) + 1);
    for (size_t i = 0; i < en->add.n; i++)
        sha256_add(&h, en->add.v[i].path, strlen(en->add.v[i].path) + 1);
    sha256_end(&h, m.digest);
    return m;
}

static int take_entry(void *arg, const struct table_entry *en, struct err *e ATTR_UNUSED) {
    struct since *s = arg;
    s->mark = mark_of(en);
    if (en->version == keys_version(s->k)) {
        if (memcmp(&s->mark, keys_at(s->k), sizeof s->mark) != 0)
            s->doubt = "silver went another way";
    } else if (en->remove.n) {
        s->doubt = "rows of silver were removed or changed";
    } else {
        for (size_t i = 0; i < en->add.n; i++)
            table_file_copy(table_files_add(&s->added), &en->add.v[i]);
    }
    return s->doubt ? 1 : 0;
}

static int take_mark(void *arg, const struct table_entry *en, struct err *e ATTR_UNUSED) {
    *(struct keys_mark *)arg = mark_of(en);
    return 0;
}

/* For an index that holds nothing: all of silver is new. */
static int look_at_all(struct silver_keys *sk, struct since *s, struct err *e) {
    int64_t now = table_version(sk->silver);
    const struct table_files *live = table_live(sk->silver);
    for (size_t i = 0; i < live->n; i++)
        table_file_copy(table_files_add(&s->added), &live->v[i]);
    return table_each_entry(sk->silver, now - 1, now, take_mark, &s->mark, e);
}

static int look_since(struct silver_keys *sk, struct since *s, struct err *e) {
    int64_t known = keys_version(sk->k);
    s->k = sk->k;
    if (known < 0)
        return look_at_all(sk, s, e);
    if (known > table_version(sk->silver) && table_refresh(sk->silver, e) < 0)
        return e->code;
    if (known > table_version(sk->silver)) {
        s->doubt = "it is ahead of silver";
        return 0;
    }
    int r = table_each_entry(sk->silver, known - 1, table_version(sk->silver), take_entry, s, e);
    if (r == ERR_NOT_FOUND) {
        s->doubt = "silver's log was cleaned since";
        return 0;
    }
    return MIN(r, 0);
}

/* Sends what a model selects through `take`. */
static int read_keys(struct silver_keys *sk, const char *view, const struct table_def *def,
                     const struct table_files *files, const char *model,
                     const struct engine_exchange *take, struct err *e) {
    const struct engine_input input = {view, def, files};
    const struct engine_stage stage = {.name = "keys", .sql = model_text(model), .exchange = take};
    struct engine_result none = {0};
    int r = engine_run(
        sk->en, sk->st,
        &(struct engine_job){
            .what = "key index", .inputs = &input, .n_inputs = 1, .stages = &stage, .n_stages = 1},
        &none, e);
    engine_result_release(&none);
    return r;
}

enum { PART = 1024 };

static int add_rows(void *arg, const uint64_t *const *columns, size_t rows, struct err *e) {
    struct silver_keys *sk = arg;
    struct key part[PART];
    for (size_t i = 0; i < rows;) {
        size_t n = 0;
        for (; n < PART && i < rows; n++, i++)
            part[n] = (struct key){columns[0][i], (int64_t)columns[1][i]};
        if (keys_add(sk->k, part, n, e) < 0)
            return e->code;
    }
    return 0;
}

static int drop(struct silver_keys *sk, const char *why, struct err *e) {
    log_warn("the key index is made anew", F_STR("table", "silver/events"), F_STR("why", why));
    return keys_clear(sk->k, e);
}

/* ERR_CHECK: what is in the index is not what is in silver. */
static int take_since(struct silver_keys *sk, const struct since *s, struct err *e) {
    int64_t began = clock_mono_ns(), before = keys_rows(sk->k), version = table_version(sk->silver);
    if (keys_version(sk->k) < version && s->added.n) {
        const struct engine_exchange take = {.take = add_rows, .arg = sk};
        if (read_keys(sk, "silver_events", &silver_events, &s->added, "sql/silver/keys.sql", &take,
                      e) < 0)
            return e->code;
    }
    int64_t rows = keys_rows(sk->k), live = table_files_rows(table_live(sk->silver));
    if (rows != live)
        return err_set(e, ERR_CHECK, "it holds %lld keys, and silver %lld rows", (long long)rows,
                       (long long)live);
    if (keys_version(sk->k) == version)
        return 0;
    if (keys_commit(sk->k, version, &s->mark, e) < 0)
        return e->code;
    log_debug("key index", F_INT("version", version), F_INT("added", rows - before),
              F_INT("rows", rows), F_INT("ms", (clock_mono_ns() - began) / 1000000));
    return 0;
}

/* Of the files that came since, some were rewritten meanwhile, and are there no more (vacuum). */
static bool is_late(const struct silver_keys *sk, const struct table_files *added,
                    const struct err *e) {
    bool gone = false;
    for (size_t i = 0; i < added->n && !gone; i++)
        gone = !table_has_file(sk->silver, added->v[i].path);
    return gone && e->code == ERR_STORAGE && !e->retry && keys_version(sk->k) >= 0;
}

/* Brings the index to silver's version. */
static int catch_up(struct silver_keys *sk, struct err *e) {
    struct since s = {0};
    int r = look_since(sk, &s, e);
    if (r == 0 && !s.doubt)
        r = take_since(sk, &s, e);
    if (r < 0 && is_late(sk, &s.added, e))
        s.doubt = "files of silver that it has not read are gone";
    bool again = s.doubt || (r == ERR_CHECK && keys_version(sk->k) >= 0);
    if (again)
        r = drop(sk, s.doubt ? s.doubt : e->msg, e);
    table_files_release(&s.added);
    if (!again || r < 0)
        return r;
    s = (struct since){0};
    r = look_since(sk, &s, e);
    if (r == 0)
        r = take_since(sk, &s, e);
    table_files_release(&s.added);
    return r;
}

/* What a look-up of a batch needs. */
struct asking {
    struct keys *k;
    struct key_list *ret;
    int64_t rows;
};

static int ask_rows(void *arg, const uint64_t *const *columns, size_t rows, struct err *e) {
    struct asking *a = arg;
    struct key part[PART];
    a->rows += (int64_t)rows;
    for (size_t i = 0; i < rows;) {
        size_t n = 0;
        for (; n < PART && i < rows; n++, i++)
            part[n] = (struct key){.hash = columns[0][i]};
        if (keys_ask(a->k, part, n, a->ret, e) < 0)
            return e->code;
    }
    return 0;
}

static int ask(struct silver_keys *sk, const struct table_files *fresh, struct key_list *ret,
               int64_t *ret_asked, struct err *e) {
    struct asking a = {sk->k, ret, 0};
    const struct engine_exchange take = {.take = ask_rows, .arg = &a};
    int64_t began = clock_mono_ns();
    int r = read_keys(sk, "bronze_new", &bronze_events, fresh, "sql/silver/asked.sql", &take, e);
    if (r == 0)
        r = keys_answer(sk->k, ret, e);
    *ret_asked = a.rows;
    if (r == 0)
        log_debug("key index asked", F_INT("rows", keys_rows(sk->k)), F_INT("found", ret->n),
                  F_INT("ms", (clock_mono_ns() - began) / 1000000));
    return r;
}

/* A folder for each table; of whose keys, hashed how: what does not fit is in doubt. */
static int open_index(struct silver_keys *sk, struct err *e) {
    struct keys_mark owner, id;
    char hex[SHA256_HEX];
    const char *table = table_id(sk->silver);
    _cleanup_(freep) char *whose =
        xasprintf("%s %s %s", table, sk->en->ops->scheme, sk->en->ops->hash_name());
    sha256_of(table, strlen(table), id.digest);
    sha256_of(whose, strlen(whose), owner.digest);
    sha256_hex(id.digest, hex);
    _cleanup_(freep) char *dir = xasprintf("%s/%.32s", sk->dir, hex);
    if (keys_open(dir, &owner, &sk->k, e) < 0)
        return e->code;
    if (keys_doubt(sk->k))
        log_warn("the key index is made anew", F_STR("table", "silver/events"),
                 F_STR("why", keys_doubt(sk->k)));
    return 0;
}

static bool worth(const struct silver_keys *sk, int64_t fresh_rows) {
    int64_t rows = table_files_rows(table_live(sk->silver));
    if (!sk->dir || sk->off || !engine_is_inside(sk->en) || rows <= 0 || rows < sk->min_rows)
        return false;
    return sk->min_rows == 0 || rows / SCAN_SHARE >= fresh_rows;
}

/* Not in use, or half a batch of answers: nothing of it counts. */
static void give_up(struct silver_keys *sk, struct key_list *ret, struct err *e) {
    key_list_release(ret);
    sk->off = true;
    if (e->code == ERR_CONFLICT)
        log_info("the key index is in use: silver itself is read", F_STR("why", e->msg));
    else if (e->code != ERR_STOPPED)
        log_err(LOG_WARN, "no key index: silver itself is read", e);
    struct err ignored;
    if (sk->k && e->code == ERR_CHECK)
        keys_clear(sk->k, &ignored); /* the next run makes it anew */
}

bool silver_keys_find(struct silver_keys *sk, const struct table_files *fresh, int64_t fresh_rows,
                      struct key_list *ret, int64_t *ret_asked) {
    struct err e;
    if (!worth(sk, fresh_rows))
        return false;
    *ret = (struct key_list){0};
    int r = sk->k ? 0 : open_index(sk, &e);
    if (r == 0)
        r = catch_up(sk, &e);
    if (r == 0)
        r = ask(sk, fresh, ret, ret_asked, &e);
    if (r < 0)
        give_up(sk, ret, &e);
    return r == 0;
}

void silver_keys_close(struct silver_keys *sk) {
    keys_close(sk->k);
    sk->k = NULL;
}
