/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "fake/stream_mem_private.h"

/* --- topics --- */

struct mem_topic *mem_find_topic(struct mem_cluster *mc, const char *name) {
    struct mem_topic *t = mc->topics;
    while (t && strcmp(t->name, name) != 0)
        t = t->next;
    return t;
}

/* Who reads what from now on. */
static void share(struct mem_cluster *mc) {
    for (struct mem_topic *t = mc->topics; t; t = t->next)
        for (struct mem *m = mc->members; m; m = m->next) {
            if (strcmp(m->s.topic, t->name) != 0)
                continue;
            size_t n = 0, me = 0;
            for (struct mem *k = mc->members; k; k = k->next)
                if (strcmp(k->s.topic, t->name) == 0 && strcmp(k->app, m->app) == 0) {
                    me = k == m ? n : me;
                    n++;
                }
            for (int32_t i = 0; i < MEM_PARTITIONS; i++)
                m->want[i] =
                    i < t->n && (mc->how == MEM_ALONE || ((unsigned)i + mc->turn) % n == me);
        }
}

struct mem_topic *mem_make_topic(struct mem_cluster *mc, const char *name, int32_t partitions) {
    struct mem_topic *t = xcalloc(1, sizeof *t);
    assert(partitions >= 1 && partitions <= MEM_PARTITIONS);
    t->name = xstrdup(name);
    uuid_make(t->id);
    t->n = partitions;
    t->next = mc->topics;
    mc->topics = t;
    share(mc);
    return t;
}

static void topic_free(struct mem_topic *t) {
    for (int32_t p = 0; p < t->n; p++) {
        for (size_t i = 0; i < t->partitions[p].n; i++) {
            free(t->partitions[p].v[i].key);
            free(t->partitions[p].v[i].value);
        }
        free(t->partitions[p].v);
    }
    free(t->name);
    free(t);
}

struct mem_record *mem_add_record(struct mem_partition *p) {
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 64;
        p->v = xrealloc(p->v, p->cap * sizeof *p->v);
    }
    return &p->v[p->n++];
}

struct mem_cluster *mem_cluster_new(void) {
    struct mem_cluster *mc = xcalloc(1, sizeof *mc);
    pthread_mutex_init(&mc->lock, NULL);
    uuid_make(mc->id);
    mc->retention = (struct retention){.known = true, .ms = -1, .bytes = -1};
    return mc;
}

void mem_cluster_free(struct mem_cluster *mc) {
    assert(!mc->members);
    for (struct mem_topic *t = mc->topics, *next; t; t = next) {
        next = t->next;
        topic_free(t);
    }
    for (struct mem_mark *k = mc->marks, *next; k; k = next) {
        next = k->next;
        free(k->app);
        free(k->topic);
        free(k);
    }
    pthread_mutex_destroy(&mc->lock);
    free(mc);
}

#define LOCKED(mc, what)                                                                           \
    do {                                                                                           \
        pthread_mutex_lock(&(mc)->lock);                                                           \
        what;                                                                                      \
        pthread_mutex_unlock(&(mc)->lock);                                                         \
    } while (0)

void mem_cluster_fail_next(struct mem_cluster *mc, size_t n) {
    LOCKED(mc, mc->fail_next = n);
}

void mem_cluster_forget_after_bounds(struct mem_cluster *mc, size_t n, int32_t partition,
                                     int64_t begin) {
    pthread_mutex_lock(&mc->lock);
    mc->bounds_left = n;
    mc->forget_then = (struct bounds){.partition = partition, .begin = begin};
    pthread_mutex_unlock(&mc->lock);
}

void mem_cluster_retention(struct mem_cluster *mc, const struct retention *how) {
    LOCKED(mc, mc->retention = *how);
}

size_t mem_cluster_read(struct mem_cluster *mc) {
    size_t n;
    LOCKED(mc, n = mc->read);
    return n;
}

size_t mem_cluster_losses(struct mem_cluster *mc) {
    size_t n;
    LOCKED(mc, n = mc->losses);
    return n;
}

size_t mem_cluster_peeks(struct mem_cluster *mc) {
    size_t n;
    LOCKED(mc, n = mc->peeks);
    return n;
}

void mem_cluster_fail_confirms(struct mem_cluster *mc, size_t n) {
    LOCKED(mc, mc->fail_confirms = n);
}

void mem_cluster_fail_polls(struct mem_cluster *mc, size_t n) {
    LOCKED(mc, mc->fail_polls = n);
}

void mem_cluster_set_time(struct mem_cluster *mc, int64_t us) {
    LOCKED(mc, mc->time_us = us);
}

void mem_topic_create(struct mem_cluster *mc, const char *topic, int32_t partitions) {
    LOCKED(mc, mem_make_topic(mc, topic, partitions));
}

static void delete_topic(struct mem_cluster *mc, const char *topic) {
    struct mem_topic **at = &mc->topics;
    while (*at && strcmp((*at)->name, topic) != 0)
        at = &(*at)->next;
    struct mem_topic *t = *at;
    if (!t)
        return;
    *at = t->next;
    topic_free(t);
}

void mem_topic_delete(struct mem_cluster *mc, const char *topic) {
    LOCKED(mc, delete_topic(mc, topic));
}

static void add_partitions(struct mem_cluster *mc, const char *topic, int32_t n) {
    struct mem_topic *t = mem_find_topic(mc, topic);
    assert(t && t->n + n <= MEM_PARTITIONS);
    t->n += n;
    share(mc);
}

void mem_topic_add_partitions(struct mem_cluster *mc, const char *topic, int32_t n) {
    LOCKED(mc, add_partitions(mc, topic, n));
}

void mem_topic_add_holes(struct mem_cluster *mc, const char *topic, int32_t partition, int64_t n) {
    pthread_mutex_lock(&mc->lock);
    struct mem_topic *t = mem_find_topic(mc, topic);
    assert(t && partition < t->n);
    while (n-- > 0)
        *mem_add_record(&t->partitions[partition]) = (struct mem_record){.hole = true};
    pthread_mutex_unlock(&mc->lock);
}

void mem_topic_forget(struct mem_cluster *mc, const char *topic, int32_t partition, int64_t begin) {
    pthread_mutex_lock(&mc->lock);
    struct mem_topic *t = mem_find_topic(mc, topic);
    assert(t && partition < t->n && begin <= (int64_t)t->partitions[partition].n);
    t->partitions[partition].begin = MAX(t->partitions[partition].begin, begin);
    pthread_mutex_unlock(&mc->lock);
}

void mem_topic_cut(struct mem_cluster *mc, const char *topic, int32_t partition, int64_t end) {
    pthread_mutex_lock(&mc->lock);
    struct mem_topic *t = mem_find_topic(mc, topic);
    assert(t && partition < t->n);
    struct mem_partition *p = &t->partitions[partition];
    assert(end >= p->begin && end <= (int64_t)p->n);
    while ((int64_t)p->n > end) {
        p->n--;
        free(p->v[p->n].key);
        free(p->v[p->n].value);
    }
    pthread_mutex_unlock(&mc->lock);
}

/* --- marks: the group's committed offsets --- */

static struct mem_mark *mark_of(struct mem_cluster *mc, const char *topic, const char *app) {
    struct mem_mark *k = mc->marks;
    while (k && (strcmp(k->topic, topic) != 0 || strcmp(k->app, app) != 0))
        k = k->next;
    return k;
}

void mem_mark(struct mem *m, const struct position *p, size_t n) {
    struct mem_mark *k = mark_of(m->mc, m->s.topic, m->app);
    if (!k) {
        k = xcalloc(1, sizeof *k);
        k->topic = xstrdup(m->s.topic);
        k->app = xstrdup(m->app);
        k->next = m->mc->marks;
        m->mc->marks = k;
    }
    for (size_t i = 0; i < n; i++)
        k->offset[p[i].partition] = p[i].offset + 1;
}

int64_t mem_topic_committed(struct mem_cluster *mc, const char *topic, const char *app,
                            int32_t partition) {
    pthread_mutex_lock(&mc->lock);
    const struct mem_mark *k = mark_of(mc, topic, app);
    int64_t offset = k ? k->offset[partition] - 1 : -1;
    pthread_mutex_unlock(&mc->lock);
    return offset;
}

/* --- members --- */

void mem_join(struct mem *m) {
    mem_leave(m);
    m->next = m->mc->members;
    m->mc->members = m;
    m->subscribed = true;
    share(m->mc);
}

void mem_leave(struct mem *m) {
    struct mem **at = &m->mc->members;
    while (*at && *at != m)
        at = &(*at)->next;
    if (*at)
        *at = m->next;
    m->subscribed = m->offered = false;
    m->n_at = 0;
    memset(m->want, 0, sizeof m->want);
    memset(m->told, 0, sizeof m->told);
    memset(m->lost, 0, sizeof m->lost);
    memset(m->leaving, 0, sizeof m->leaving);
    share(m->mc);
}

void mem_let_go(struct mem *m) {
    for (int32_t i = 0; i < MEM_PARTITIONS; i++)
        if (m->leaving[i])
            m->told[i] = m->leaving[i] = m->lost[i] = false;
}

void mem_cluster_group(struct mem_cluster *mc, enum mem_group how) {
    LOCKED(mc, (mc->how = how, share(mc)));
}

void mem_cluster_rebalance(struct mem_cluster *mc, unsigned turn) {
    LOCKED(mc, (mc->turn = turn, share(mc)));
}

size_t mem_cluster_members(struct mem_cluster *mc) {
    size_t n = 0;
    pthread_mutex_lock(&mc->lock);
    for (struct mem *m = mc->members; m; m = m->next)
        n++;
    pthread_mutex_unlock(&mc->lock);
    return n;
}

static bool is_settled(const struct mem *m) {
    for (int32_t i = 0; i < MEM_PARTITIONS; i++)
        if (m->want[i] != m->told[i] || m->lost[i] || m->leaving[i])
            return false;
    return true;
}

bool mem_cluster_settled(struct mem_cluster *mc) {
    bool settled = true;
    pthread_mutex_lock(&mc->lock);
    for (struct mem *m = mc->members; m; m = m->next)
        settled &= is_settled(m);
    pthread_mutex_unlock(&mc->lock);
    return settled;
}

static struct mem *member(struct mem_cluster *mc, size_t n) {
    struct mem *m = mc->members;
    while (m && n-- > 0)
        m = m->next;
    return m;
}

void mem_member_expire(struct mem_cluster *mc, size_t n) {
    pthread_mutex_lock(&mc->lock);
    struct mem *m = member(mc, n);
    for (int32_t i = 0; m && i < MEM_PARTITIONS; i++) {
        m->lost[i] = m->told[i];
        m->want[i] = false;
    }
    /* The others get it all; whose session has expired joins again when it learns of it. */
    for (struct mem *k = mc->members; m && k; k = k->next)
        for (int32_t i = 0; i < MEM_PARTITIONS && k != m && strcmp(k->app, m->app) == 0; i++)
            if (m->lost[i]) {
                k->want[i] = true;
                for (struct mem *o = mc->members; o; o = o->next)
                    o->want[i] = o == k;
            }
    pthread_mutex_unlock(&mc->lock);
}

void mem_member_lose(struct mem_cluster *mc, size_t n, int32_t partition) {
    pthread_mutex_lock(&mc->lock);
    struct mem *m = member(mc, n);
    if (m && m->told[partition] && !m->leaving[partition])
        m->lost[partition] = true;
    pthread_mutex_unlock(&mc->lock);
}

void mem_member_kill(struct mem_cluster *mc, size_t n) {
    pthread_mutex_lock(&mc->lock);
    struct mem *m = member(mc, n);
    if (m)
        m->killed = true;
    pthread_mutex_unlock(&mc->lock);
}

/* --- events --- */

static void stop_reading(struct mem *m, int32_t partition) {
    size_t kept = 0;
    for (size_t i = 0; i < m->n_at; i++)
        if (m->at[i].partition != partition)
            m->at[kept++] = m->at[i];
    m->n_at = kept;
}

static bool held_by_another(const struct mem *m, int32_t partition) {
    for (const struct mem *k = m->mc->members; k; k = k->next)
        if (k != m && m->mc->how != MEM_ALONE && strcmp(k->app, m->app) == 0 &&
            strcmp(k->s.topic, m->s.topic) == 0 && k->told[partition] && !k->lost[partition])
            return true;
    return false;
}

static bool take(struct mem *m, const bool *which, bool lost, struct poll_result *ret) {
    size_t n = 0;
    for (int32_t i = 0; i < MEM_PARTITIONS; i++)
        if (which[i]) {
            m->offer[n++] = i;
            stop_reading(m, i);
            m->leaving[i] = !lost;
            m->told[i] = m->told[i] && !lost;
            m->lost[i] = false;
        }
    if (n == 0)
        return false;
    m->offered = false;
    m->rebalances++;
    *ret = (struct poll_result){
        .kind = POLL_REVOKE, .partitions = m->offer, .n_partitions = n, .lost = lost};
    if (lost) {
        m->mc->losses++;
        share(m->mc);
    }
    return true;
}

static bool take_lost(struct mem *m, const struct mem_topic *t, struct poll_result *ret) {
    bool which[MEM_PARTITIONS];
    bool anew = m->topic_told[0] && (!t || strcmp(m->topic_told, t->id) != 0);
    for (int32_t i = 0; i < MEM_PARTITIONS; i++)
        which[i] = m->lost[i] || (anew && m->told[i]);
    if (anew)
        m->topic_told[0] = '\0';
    return take(m, which, true, ret);
}

static bool take_back(struct mem *m, struct poll_result *ret) {
    bool which[MEM_PARTITIONS], changes = false;
    for (int32_t i = 0; i < MEM_PARTITIONS; i++) {
        which[i] = m->told[i] && (m->mc->how == MEM_EAGER || !m->want[i]);
        changes = changes || m->told[i] != m->want[i];
    }
    return (changes || m->mc->how != MEM_EAGER) && take(m, which, false, ret);
}

static bool give(struct mem *m, const struct mem_topic *t, struct poll_result *ret) {
    size_t n = 0;
    bool waits = false;
    for (int32_t i = 0; i < t->n; i++)
        if (m->want[i] && !m->told[i]) {
            if (held_by_another(m, i))
                waits = true;
            else
                m->offer[n++] = i;
        }
    if (n == 0 || (waits && m->mc->how == MEM_EAGER))
        return false;
    for (size_t i = 0; i < n; i++)
        m->told[m->offer[i]] = true;
    snprintf(m->topic_told, sizeof m->topic_told, "%s", t->id);
    m->offered = true;
    m->rebalances++;
    *ret = (struct poll_result){.kind = POLL_ASSIGN, .partitions = m->offer, .n_partitions = n};
    return true;
}

bool mem_group_event(struct mem *m, struct poll_result *ret) {
    const struct mem_topic *t = mem_find_topic(m->mc, m->s.topic);
    if (!m->subscribed)
        return false;
    return take_lost(m, t, ret) || take_back(m, ret) || (t && give(m, t, ret));
}
