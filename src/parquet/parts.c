/* SPDX-License-Identifier: Apache-2.0 */
#include "parquet/parts.h"

#include <assert.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/util.h"

enum {
    OPEN_FILES = 200,  /* beyond that a file is closed between two row groups */
    MEMORY_FACTOR = 3, /* of a lane's rows: what its arrays may take, spare room included */
};

/* A date's file; made with its first row group. */
struct part {
    int32_t day;
    pthread_mutex_t lock; /* of what follows */
    struct parquet_file *file;
    char *path; /* in the table */
};

/* A date's open group in a lane. */
struct slot {
    int32_t day;
    struct row_group *group; /* NULL: not needed so far, or given up to save memory */
    size_t bytes, memory;    /* of it, at the last settling */
    bool touched;            /* since then */
};

struct lane {
    struct parts *parts;
    struct lane *next; /* of those not out */
    struct encoder *encoder;
    struct slot *slots;
    uint32_t n_slots, cap_slots;
    uint32_t *table; /* slot + 1 by day, open addressing, at most half full */
    uint32_t table_size;
    uint32_t last;        /* slot found last */
    size_t bytes, memory; /* of all slots */
    struct err err;       /* of finishing */
};

struct parts {
    const struct table_def *def;
    struct columns *columns;
    char *dir;
    struct parts_options o;
    pthread_mutex_t lock; /* of what follows, but for each lane while it is out */
    struct lane *free_lanes, **lanes;
    size_t n_lanes;
    struct part **v; /* by day, rising */
    size_t n, cap;
};

struct parts *parts_new(const struct table_def *def, const char *dir,
                        const struct parts_options *o) {
    assert(!def->partition_by || table_def_column(def, def->partition_by)->type == TYPE_DATE);
    struct parts *p = xcalloc(1, sizeof *p);
    p->def = def;
    p->columns = columns_new(def);
    p->dir = xstrdup(dir);
    p->o = *o;
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

const struct columns *parts_columns(const struct parts *p) {
    return p->columns;
}

struct lane *parts_take(struct parts *p) {
    pthread_mutex_lock(&p->lock);
    struct lane *l = p->free_lanes;
    if (l) {
        p->free_lanes = l->next;
    } else {
        l = xcalloc(1, sizeof *l);
        l->parts = p;
        p->lanes = xrealloc(p->lanes, (p->n_lanes + 1) * sizeof(struct lane *));
        p->lanes[p->n_lanes++] = l;
    }
    pthread_mutex_unlock(&p->lock);
    if (!l->encoder)
        l->encoder = encoder_new(p->o.zstd_level);
    return l;
}

void parts_give_back(struct parts *p, struct lane *l) {
    pthread_mutex_lock(&p->lock);
    l->next = p->free_lanes;
    p->free_lanes = l;
    pthread_mutex_unlock(&p->lock);
}

/* ---- dates of a lane ------------------------------------------------------------------------- */

static uint32_t table_at(const struct lane *l, int32_t day) {
    uint32_t i = (uint32_t)day * 2654435761u & (l->table_size - 1);
    while (l->table[i] && l->slots[l->table[i] - 1].day != day)
        i = (i + 1) & (l->table_size - 1);
    return i;
}

static void table_grow(struct lane *l) {
    l->table_size = l->table_size ? 2 * l->table_size : 64;
    free(l->table);
    l->table = xcalloc(l->table_size, sizeof *l->table);
    for (uint32_t i = 0; i < l->n_slots; i++)
        l->table[table_at(l, l->slots[i].day)] = i + 1;
}

uint32_t lane_slot(struct lane *l, int32_t day) {
    if (l->last < l->n_slots && l->slots[l->last].day == day)
        return l->last;
    if (2 * l->n_slots >= l->table_size)
        table_grow(l);
    uint32_t at = table_at(l, day);
    if (!l->table[at]) {
        if (l->n_slots == l->cap_slots) {
            l->cap_slots = l->cap_slots ? 2 * l->cap_slots : 16;
            l->slots = xrealloc(l->slots, l->cap_slots * sizeof *l->slots);
        }
        l->slots[l->n_slots++] = (struct slot){.day = day};
        l->table[at] = l->n_slots;
    }
    return l->last = l->table[at] - 1;
}

uint32_t lane_slots(const struct lane *l) {
    return l->n_slots;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* The date's file; *ret_many: there are too many to keep all of them open. */
static struct part *find_part(struct parts *p, int32_t day, bool *ret_many) {
    pthread_mutex_lock(&p->lock);
    size_t lo = 0, hi = p->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (p->v[mid]->day < day)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == p->n || p->v[lo]->day != day) {
        if (p->n == p->cap) {
            p->cap = p->cap ? 2 * p->cap : 16;
            p->v = xrealloc(p->v, p->cap * sizeof(struct part *));
        }
        memmove(&p->v[lo + 1], &p->v[lo], (p->n - lo) * sizeof(struct part *));
        p->v[lo] = xcalloc(1, sizeof *p->v[lo]);
        p->v[lo]->day = day;
        pthread_mutex_init(&p->v[lo]->lock, NULL);
        p->n++;
    }
    struct part *found = p->v[lo];
    *ret_many = p->n > OPEN_FILES;
    pthread_mutex_unlock(&p->lock);
    return found;
}

static char *new_path(const struct parts *p, int32_t day) {
    char id[UUID_TEXT], date[DATE_TEXT];
    uuid_make(id);
    if (!p->def->partition_by)
        return xasprintf("part-%s.zstd.parquet", id);
    if (day != NO_DAY)
        day_format(day, date);
    return xasprintf("%s=%s/part-%s.zstd.parquet", p->def->partition_by,
                     day == NO_DAY ? "__HIVE_DEFAULT_PARTITION__" : date, id);
}

static int open_part(struct parts *p, struct part *part, struct err *e) {
    _cleanup_(freep) char *path = new_path(p, part->day);
    const char *slash = strrchr(path, '/');
    _cleanup_(freep) char *local = xasprintf("%s/%s", p->dir, slash ? slash + 1 : path);
    if (parquet_file_create(p->def, local, &part->file, e) < 0)
        return e->code; /* another lane may try again */
    part->path = TAKE_PTR(path);
    return 0;
}

/* Encodes the slot's group and appends it to its file. */
static int flush(struct lane *l, struct slot *s, struct err *e) {
    struct parts *p = l->parts;
    struct encoded *en = row_group_encode(s->group, l->encoder);
    bool many;
    struct part *part = find_part(p, s->day, &many);
    pthread_mutex_lock(&part->lock);
    int r = part->file ? 0 : open_part(p, part, e);
    if (r == 0)
        r = parquet_file_append(part->file, TAKE_PTR(en), e);
    if (r == 0 && many)
        parquet_file_rest(part->file);
    pthread_mutex_unlock(&part->lock);
    encoded_free(en);
    s->touched = true;
    return r;
}

/* ---- groups ---------------------------------------------------------------------------------- */

int lane_group(struct lane *l, uint32_t slot, uint32_t n, struct row_group **ret, struct err *e) {
    struct slot *s = &l->slots[slot];
    assert(n <= GROUP_ROWS_MAX / 2);
    if (!s->group)
        s->group = row_group_new(l->parts->columns);
    int r = s->group->rows + n > GROUP_ROWS_MAX ? flush(l, s, e) : 0;
    s->touched = true;
    *ret = s->group;
    return r;
}

static void recount(struct lane *l, struct slot *s) {
    l->bytes -= s->bytes;
    l->memory -= s->memory;
    s->bytes = s->group ? row_group_bytes(s->group) : 0;
    s->memory = s->group ? row_group_memory(s->group) : 0;
    l->bytes += s->bytes;
    l->memory += s->memory;
    s->touched = false;
}

static struct slot *largest(struct lane *l, bool by_memory) {
    struct slot *found = &l->slots[0];
    for (uint32_t i = 1; i < l->n_slots; i++) {
        struct slot *s = &l->slots[i];
        if (by_memory ? s->memory > found->memory : s->bytes > found->bytes)
            found = s;
    }
    return found;
}

/* A group that was filled once keeps its arrays; where dates come one after the other, they go. */
int lane_settle(struct lane *l, struct err *e) {
    size_t share = l->parts->o.memory / (size_t)l->parts->o.lanes;
    for (uint32_t i = 0; i < l->n_slots; i++)
        if (l->slots[i].touched)
            recount(l, &l->slots[i]);
    while (l->bytes > share || l->memory > MEMORY_FACTOR * share) {
        bool spare = l->memory > MEMORY_FACTOR * share;
        struct slot *s = largest(l, spare);
        if (s->group->rows > 0 && flush(l, s, e) < 0)
            return e->code;
        if (spare) {
            row_group_free(s->group);
            s->group = NULL;
        }
        recount(l, s);
    }
    return 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void *flush_lane(void *arg) {
    struct lane *l = arg;
    for (uint32_t i = 0; i < l->n_slots && l->err.code == 0; i++)
        if (l->slots[i].group && l->slots[i].group->rows > 0)
            flush(l, &l->slots[i], &l->err);
    return NULL;
}

/* The lanes side by side, as they were filled; the first one in this thread. */
static int flush_lanes(struct parts *p, struct err *e) {
    pthread_t *threads = xcalloc(p->n_lanes + 1, sizeof *threads);
    bool *started = xcalloc(p->n_lanes + 1, sizeof *started);
    for (size_t i = 1; i < p->n_lanes; i++)
        started[i] = pthread_create(&threads[i], NULL, flush_lane, p->lanes[i]) == 0;
    for (size_t i = 0; i < p->n_lanes; i++)
        if (!started[i])
            flush_lane(p->lanes[i]);
    int r = 0;
    for (size_t i = 0; i < p->n_lanes; i++) {
        if (started[i])
            pthread_join(threads[i], NULL);
        if (r == 0 && p->lanes[i]->err.code < 0) {
            *e = p->lanes[i]->err;
            r = e->code;
        }
    }
    free(threads);
    free(started);
    return r;
}

static int finish_part(struct parts *p, struct part *part, struct table_files *ret, struct err *e) {
    struct table_file done = {.rows = -1};
    if (parquet_file_finish(part->file, &done, e) < 0)
        return e->code;
    char day[DATE_TEXT];
    done.path = TAKE_PTR(part->path);
    if (p->def->partition_by && part->day != NO_DAY) {
        day_format(part->day, day);
        done.partition = xstrdup(day);
    }
    *table_files_add(ret) = done;
    return 0;
}

int parts_finish(struct parts *p, struct table_files *ret, struct err *e) {
    struct table_files done = {0};
    int r = flush_lanes(p, e);
    for (size_t i = 0; i < p->n && r == 0; i++)
        r = finish_part(p, p->v[i], &done, e);
    for (size_t i = 0; i < done.n && r == 0; i++) {
        *table_files_add(ret) = done.v[i];
        done.v[i] = (struct table_file){0};
    }
    table_files_release(&done);
    return r;
}

static void lane_free(struct lane *l) {
    for (uint32_t i = 0; i < l->n_slots; i++)
        row_group_free(l->slots[i].group);
    encoder_free(l->encoder);
    free(l->slots);
    free(l->table);
    free(l);
}

void parts_free(struct parts *p) {
    if (!p)
        return;
    for (size_t i = 0; i < p->n_lanes; i++)
        lane_free(p->lanes[i]);
    for (size_t i = 0; i < p->n; i++) {
        parquet_file_free(p->v[i]->file);
        pthread_mutex_destroy(&p->v[i]->lock);
        free(p->v[i]->path);
        free(p->v[i]);
    }
    pthread_mutex_destroy(&p->lock);
    free(p->lanes);
    free(p->v);
    free(p->columns);
    free(p->dir);
    free(p);
}
