/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two lakes are fed the same: in one silver asks the key index, in the other silver itself
 * (sql/silver/met.sql). Whatever becomes of the index between two runs, rows and counters are the same.
 */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/sha256.h"
#include "flow/silver.h"
#include "flow/upkeep.h"
#include "flow/world.h"
#include "index/keys.h"
#include "storage/local_fs.h"

struct pair {
    struct world with, without;
    char *dir; /* of the index */
    int64_t clock_us;
    int sent; /* new events so far: e0, e1, … */
};

static struct pair pair_new(void) {
    struct pair p = {
        .with = world_new(2), .without = world_new(2), .clock_us = 1771286400LL * US_PER_SECOND};
    p.dir = xasprintf("%s/index", p.with.folder);
    return p;
}

static void pair_free(struct pair *p) {
    world_free(&p->with);
    world_free(&p->without);
    free(p->dir);
}

static void send(struct pair *p, int32_t partition, int id, int price) {
    char text[160];
    snprintf(text, sizeof text,
             "{\"event_id\":\"e%d\",\"product_id\":%d,\"category\":\"c\",\"price\":%d,"
             "\"event_ts\":%d}",
             id, id % 7, price, 1771286400 - id * 1000);
    p->clock_us += 1000;
    struct world *both[] = {&p->with, &p->without};
    for (int i = 0; i < 2; i++) {
        mem_cluster_set_time(both[i]->mc, p->clock_us);
        mem_topic_append(both[i]->mc, TOPIC, partition, text);
    }
}

static struct silver_result silver(struct world *w, const char *dir, int64_t batch_rows) {
    struct silver_options o = {.batch_rows = batch_rows, .index_dir = dir};
    struct silver_result res;
    struct err e;
    assert_ok(flow_silver(w->st, w->en, &o, &res, &e), &e);
    return res;
}

static void assert_same_rows(struct pair *p) {
    static const char all[] =
        "SELECT CAST(sum(hash(s) % 1000000007) AS BIGINT) FROM silver.events s";
    assert_int_equal(world_count(&p->with, all), world_count(&p->without, all));
    assert_int_equal(
        world_count(&p->with, "SELECT count(*) - count(DISTINCT event_key) FROM silver.events"), 0);
}

/*
 * New events in no order, some of them twice; old ones again, from the first on, some with another
 * price. Both silvers take them.
 */
static void batch(struct pair *p) {
    enum { NEW = 30, STEP = 7 };
    for (int i = NEW - 1; i >= 0; i--)
        send(p, i % 2, p->sent + i * 11 % NEW, 5);
    send(p, 1, p->sent + 3, 5); /* behind the first, in its partition: whatever the commits are */
    send(p, 0, p->sent + 4, 6);
    for (int id = 0; id < p->sent; id += STEP)
        send(p, id % 2, id, id % 3 ? 5 : 6);
    p->sent += NEW;
    run_once(&p->with, "t", false, NULL);
    run_once(&p->without, "t", false, NULL);
    struct silver_result a = silver(&p->with, p->dir, 25), b = silver(&p->without, NULL, 1000);
    assert_true(a.commits >= b.commits);
    assert_int_equal(a.events, b.events);
    assert_int_equal(a.duplicates, b.duplicates);
    assert_int_equal(a.conflicts, b.conflicts);
    assert_int_equal(a.rows, NEW);
    assert_int_equal(b.rows, NEW);
    assert_same_rows(p);
}

static char *index_folder(const struct pair *p) {
    DIR *d = opendir(p->dir);
    assert_non_null(d);
    char *found = NULL;
    for (struct dirent *en; (en = readdir(d));)
        if (en->d_name[0] != '.') {
            assert_null(found);
            found = xasprintf("%s/%s", p->dir, en->d_name);
        }
    closedir(d);
    assert_non_null(found);
    return found;
}

static struct keys *open_index(struct pair *p) {
    struct table *tb = world_table(&p->with, &silver_events);
    _cleanup_(freep) char *dir = index_folder(p),
                          *whose = xasprintf("%s %s %s", table_id(tb), p->with.en->ops->scheme,
                                             p->with.en->ops->hash_name());
    struct keys_mark owner;
    struct keys *k = NULL;
    struct err e;
    sha256_of(whose, strlen(whose), owner.digest);
    assert_ok(keys_open(dir, &owner, &k, &e), &e);
    assert_null(keys_doubt(k));
    table_close(tb);
    return k;
}

/* The last commit but one, at least, was answered by the index. */
static void assert_used(struct pair *p) {
    struct keys *k = open_index(p);
    struct table *tb = world_table(&p->with, &silver_events);
    assert_int_equal(keys_version(k), table_version(tb) - 1);
    table_close(tb);
    keys_close(k);
}

/* --- what becomes of the index, or of silver, between two runs --- */

static void nothing(struct pair *p ATTR_UNUSED) {
}

static void delete_it(struct pair *p) {
    fs_remove_tree(p->dir);
}

/* Changes a byte of a file of the index, or cuts it there. */
static void spoil(struct pair *p, const char *end, bool cut) {
    _cleanup_(freep) char *dir = index_folder(p);
    DIR *d = opendir(dir);
    int spoiled = 0;
    for (struct dirent *en; (en = readdir(d));) {
        size_t n = strlen(en->d_name), m = strlen(end);
        if (n < m || strcmp(en->d_name + n - m, end) != 0)
            continue;
        _cleanup_(freep) char *path = xasprintf("%s/%s", dir, en->d_name);
        int fd = open(path, O_RDWR);
        char c = 0;
        assert_int_equal(pread(fd, &c, 1, 40), 1);
        c ^= 1;
        assert_int_equal(cut ? ftruncate(fd, 40) : pwrite(fd, &c, 1, 40) - 1, 0);
        close(fd);
        spoiled++;
    }
    closedir(d);
    assert_true(spoiled > 0);
}

static void flip_the_manifest(struct pair *p) {
    spoil(p, "manifest", false);
}

static void flip_the_runs(struct pair *p) {
    spoil(p, ".run", false);
}

static void cut_the_runs(struct pair *p) {
    spoil(p, ".run", true);
}

static void copy_folder(const char *from, const char *to) {
    _cleanup_(freep) char *command = xasprintf("rm -rf '%s' && cp -r '%s' '%s'", to, from, to);
    assert_int_equal(system(command), 0);
}

/* An image of an earlier version, put back when silver is further. */
static void put_an_old_copy_back(struct pair *p) {
    _cleanup_(freep) char *copy = xasprintf("%s.copy", p->dir);
    copy_folder(p->dir, copy);
    batch(p);
    batch(p);
    copy_folder(copy, p->dir);
    fs_remove_tree(copy);
}

/* The manifest is of an earlier version, the runs of a later. */
static void put_an_old_manifest_back(struct pair *p) {
    _cleanup_(freep) char *dir = index_folder(p);
    _cleanup_(freep) char *at = xasprintf("%s/manifest", dir), *copy = xasprintf("%s.m", p->dir);
    copy_folder(at, copy);
    batch(p);
    batch(p);
    copy_folder(copy, at);
    unlink(copy);
}

/* As many keys, of the same version, but another history: not those of silver. */
static void another_history(struct pair *p) {
    struct keys *k = open_index(p);
    struct keys_mark mark = *keys_at(k);
    int64_t version = keys_version(k), rows = keys_rows(k);
    struct err e;
    mark.digest[3] ^= 1;
    assert_ok(keys_clear(k, &e), &e);
    for (int64_t i = 0; i < rows; i++)
        assert_ok(keys_add(k, &(struct key){(uint64_t)i, i}, 1, &e), &e);
    assert_ok(keys_commit(k, version, &mark, &e), &e);
    keys_close(k);
}

static void change_version(struct pair *p, int64_t by, bool drop_one) {
    struct keys *k = open_index(p);
    struct keys_mark mark = *keys_at(k);
    int64_t version = keys_version(k) + by, rows = keys_rows(k) - drop_one;
    struct err e;
    assert_ok(keys_clear(k, &e), &e);
    for (int64_t i = 0; i < rows; i++)
        assert_ok(keys_add(k, &(struct key){(uint64_t)i, i}, 1, &e), &e);
    assert_ok(keys_commit(k, version, &mark, &e), &e);
    keys_close(k);
}

static void ahead_of_silver(struct pair *p) {
    change_version(p, 5, false);
}

static void one_key_short(struct pair *p) {
    change_version(p, 0, true);
}

static void optimize(struct pair *p) {
    static const struct upkeep_options all_at_once = {
        .optimize_files = 2, .optimize_target_bytes = 64 * MIB, .checkpoint_interval = 1};
    world_upkeep(&p->with, NULL, &all_at_once);
    world_upkeep(&p->without, NULL, &all_at_once);
}

/* The entries up to silver's version are folded into a checkpoint and removed. */
static void clean_the_log(struct pair *p) {
    struct table *tb = world_table(&p->with, &silver_events);
    struct err e;
    assert_ok(table_checkpoint(tb, &e), &e);
    int64_t begin;
    assert_ok(table_log_begin(tb, &begin, &e), &e);
    for (int64_t v = begin; v < table_version(tb); v++) {
        _cleanup_(freep) char *path =
            xasprintf("%s/_delta_log/%020lld.json", silver_events.name, (long long)v);
        assert_ok(storage_remove(p->with.st, path, &e), &e);
    }
    table_close(tb);
}

/* The index is behind, and the files it has still to read were rewritten and are gone. */
static void optimize_and_vacuum(struct pair *p) {
    _cleanup_(freep) char *copy = xasprintf("%s.copy", p->dir);
    copy_folder(p->dir, copy);
    batch(p);
    batch(p);
    optimize(p);
    struct table *tb = world_table(&p->with, &silver_events);
    struct table_vacuum_result done;
    struct err e;
    assert_ok(table_vacuum(tb,
                           &(struct table_vacuum_options){.retention_ms = 7 * 86400000LL,
                                                          .asked_ms = -1,
                                                          .needed_after = INT64_MAX,
                                                          .removed_too = true},
                           &done, &e),
              &e);
    assert_true(done.files >= 2);
    table_close(tb);
    copy_folder(copy, p->dir);
    fs_remove_tree(copy);
}

static void the_index_makes_no_difference(void **state ATTR_UNUSED) {
    static void (*const twists[])(struct pair *) = {
        nothing,
        optimize,
        nothing,
        delete_it,
        flip_the_manifest,
        flip_the_runs,
        nothing, /* what was damaged was dropped, and is made anew here */
        cut_the_runs,
        put_an_old_copy_back,
        put_an_old_manifest_back,
        another_history,
        ahead_of_silver,
        one_key_short,
        clean_the_log,
        optimize,
        optimize_and_vacuum,
    };
    struct pair p = pair_new();
    batch(&p);
    batch(&p);
    assert_used(&p);
    for (size_t i = 0; i < ARRAY_LEN(twists); i++) {
        twists[i](&p);
        batch(&p);
        if (twists[i] != flip_the_runs) /* which is seen when a block is read */
            assert_used(&p);
    }
    pair_free(&p);
}

/* An old silver that never had one, and an index that cannot be: silver itself is searched. */
static void without_a_place_for_it(void **state ATTR_UNUSED) {
    struct pair p = pair_new();
    char *dir = p.dir;
    p.dir = NULL;
    batch(&p);
    batch(&p);
    p.dir = xasprintf("%s/file/below", p.with.folder);
    _cleanup_(freep) char *file = xasprintf("%s/file", p.with.folder);
    int fd = open(file, O_WRONLY | O_CREAT, 0666);
    close(fd);
    batch(&p);
    free(p.dir);
    p.dir = dir;
    batch(&p);
    assert_used(&p);
    struct keys *k = open_index(&p); /* another process has it */
    batch(&p);
    keys_close(k);
    batch(&p);
    assert_used(&p);
    pair_free(&p);
}

struct racer {
    struct pair *p;
    pthread_t thread;
    struct silver_result res;
};

static void *race(void *arg) {
    struct racer *r = arg;
    for (int i = 0; i < 3; i++) {
        struct silver_result once = silver(&r->p->with, r->p->dir, 10);
        r->res.rows += once.rows;
        r->res.events += once.events;
    }
    return NULL;
}

static void two_silvers_at_once(void **state ATTR_UNUSED) {
    struct pair p = pair_new();
    batch(&p);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 40; i++)
            send(&p, i % 2, round * 20 + i, i % 5);
        run_once(&p.with, "t", false, NULL);
        run_once(&p.without, "t", false, NULL);
        struct racer racers[2] = {{.p = &p}, {.p = &p}};
        for (int i = 0; i < 2; i++)
            pthread_create(&racers[i].thread, NULL, race, &racers[i]);
        for (int i = 0; i < 2; i++)
            pthread_join(racers[i].thread, NULL);
        struct silver_result b = silver(&p.without, NULL, 10);
        assert_int_equal(racers[0].res.events + racers[1].res.events, b.events);
        assert_int_equal(racers[0].res.rows + racers[1].res.rows, b.rows);
        assert_same_rows(&p);
    }
    pair_free(&p);
}

/* Rows that somebody took out of silver come in again when they are sent again. */
static void what_silver_lost_is_no_repeat(void **state ATTR_UNUSED) {
    struct pair p = pair_new();
    batch(&p);
    batch(&p);
    struct world *both[] = {&p.with, &p.without};
    for (int i = 0; i < 2; i++) {
        struct table *tb = world_table(both[i], &silver_events);
        struct table_files all = {0};
        for (size_t f = 0; f < table_live(tb)->n; f++)
            table_file_copy(table_files_add(&all), &table_live(tb)->v[f]);
        int64_t version;
        struct err e;
        assert_ok(table_commit(tb,
                               &(struct table_commit){
                                   .operation = "DELETE", .remove = &all, .data_change = true},
                               &version, &e),
                  &e);
        table_files_release(&all);
        table_close(tb);
    }
    for (int id = 0; id < p.sent; id++)
        send(&p, 0, id, 5);
    run_once(&p.with, "t", false, NULL);
    run_once(&p.without, "t", false, NULL);
    assert_int_equal(silver(&p.with, p.dir, 1000).rows, p.sent);
    assert_int_equal(silver(&p.without, NULL, 1000).rows, p.sent);
    assert_same_rows(&p);
    batch(&p);
    assert_used(&p);
    pair_free(&p);
}

int main(void) {
    log_setup(LOG_ERROR, false);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_index_makes_no_difference),
        cmocka_unit_test(without_a_place_for_it),
        cmocka_unit_test(two_silvers_at_once),
        cmocka_unit_test(what_silver_lost_is_no_repeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
