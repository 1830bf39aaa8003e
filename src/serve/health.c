/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/health.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"

enum { PARTS = 8 };

struct health_part {
    struct health *h;
    const char *name;
    atomic_llong alive_ns; /* the last sign of life; 0: none is due */
    atomic_bool ready, dead;
    char why[512]; /* not ready, or dead; under the lock */
};

struct health {
    int64_t stuck_after_ms;
    pthread_mutex_t lock;
    struct health_part parts[PARTS];
    atomic_size_t n;
};

struct health *health_new(int64_t stuck_after_ms) {
    struct health *h = xcalloc(1, sizeof *h);
    h->stuck_after_ms = stuck_after_ms;
    pthread_mutex_init(&h->lock, NULL);
    return h;
}

void health_free(struct health *h) {
    if (!h)
        return;
    pthread_mutex_destroy(&h->lock);
    free(h);
}

struct health_part *health_add(struct health *h, const char *name, const char *why) {
    pthread_mutex_lock(&h->lock);
    assert(h->n < PARTS);
    struct health_part *p = &h->parts[h->n];
    p->h = h;
    p->name = name;
    snprintf(p->why, sizeof p->why, "%s", why);
    h->n++;
    pthread_mutex_unlock(&h->lock);
    return p;
}

void health_alive(struct health_part *p) {
    atomic_store(&p->alive_ns, clock_mono_ns());
}

void health_rest(struct health_part *p) {
    atomic_store(&p->alive_ns, 0);
}

void health_ready(struct health_part *p) {
    if (!atomic_load(&p->ready))
        atomic_store(&p->ready, true);
}

static void set_why(struct health_part *p, const char *why) {
    pthread_mutex_lock(&p->h->lock);
    if (!atomic_load(&p->dead))
        snprintf(p->why, sizeof p->why, "%s", why);
    pthread_mutex_unlock(&p->h->lock);
}

void health_not_ready(struct health_part *p, const char *why) {
    set_why(p, why);
    atomic_store(&p->ready, false);
}

void health_dead(struct health_part *p, const char *why) {
    set_why(p, why);
    atomic_store(&p->dead, true);
}

static bool is_live(struct health_part *p, struct buf *why) {
    if (atomic_load(&p->dead)) {
        pthread_mutex_lock(&p->h->lock);
        buf_addf(why, "%s: %s\n", p->name, p->why);
        pthread_mutex_unlock(&p->h->lock);
        return false;
    }
    int64_t since = atomic_load(&p->alive_ns);
    int64_t ms = since ? (clock_mono_ns() - since) / 1000000 : 0;
    if (ms <= p->h->stuck_after_ms)
        return true;
    buf_addf(why, "%s: stuck, no sign of life for %lld s\n", p->name, (long long)(ms / 1000));
    return false;
}

bool health_is_live(struct health *h, struct buf *why) {
    bool all = true;
    for (size_t i = 0; i < h->n; i++)
        all = is_live(&h->parts[i], why) && all;
    return all;
}

bool health_is_ready(struct health *h, struct buf *why) {
    bool all = true;
    for (size_t i = 0; i < h->n; i++) {
        struct health_part *p = &h->parts[i];
        if (!is_live(p, why)) {
            all = false;
        } else if (!atomic_load(&p->ready)) {
            pthread_mutex_lock(&h->lock);
            buf_addf(why, "%s: %s\n", p->name, p->why);
            pthread_mutex_unlock(&h->lock);
            all = false;
        }
    }
    return all;
}
