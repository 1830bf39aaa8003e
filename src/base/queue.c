/* SPDX-License-Identifier: Apache-2.0 */
#include "base/queue.h"

#include <assert.h>
#include <pthread.h>

#include "base/mem.h"

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t room, item;
    size_t capacity, head, n;
    bool closed;
    void *v[];
};

struct queue *queue_new(size_t capacity) {
    assert(capacity > 0);
    struct queue *q = xcalloc(1, sizeof *q + capacity * sizeof q->v[0]);
    q->capacity = capacity;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->room, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->item, &attr);
    pthread_condattr_destroy(&attr);
    return q;
}

void queue_free(struct queue *q) {
    if (!q)
        return;
    pthread_cond_destroy(&q->item);
    pthread_cond_destroy(&q->room);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

bool queue_put(struct queue *q, void *item) {
    assert(item);
    pthread_mutex_lock(&q->lock);
    while (q->n == q->capacity && !q->closed)
        pthread_cond_wait(&q->room, &q->lock);
    bool taken = !q->closed;
    if (taken) {
        q->v[(q->head + q->n++) % q->capacity] = item;
        pthread_cond_signal(&q->item);
    }
    pthread_mutex_unlock(&q->lock);
    return taken;
}

/* Under the lock; NULL if empty. */
static void *pop(struct queue *q) {
    if (q->n == 0)
        return NULL;
    void *item = q->v[q->head];
    q->head = (q->head + 1) % q->capacity;
    q->n--;
    pthread_cond_signal(&q->room);
    return item;
}

void *queue_take(struct queue *q) {
    pthread_mutex_lock(&q->lock);
    while (q->n == 0 && !q->closed)
        pthread_cond_wait(&q->item, &q->lock);
    void *item = pop(q);
    pthread_mutex_unlock(&q->lock);
    return item;
}

void *queue_take_for(struct queue *q, int ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&q->lock);
    while (q->n == 0 && !q->closed)
        if (pthread_cond_timedwait(&q->item, &q->lock, &until) != 0)
            break;
    void *item = pop(q);
    pthread_mutex_unlock(&q->lock);
    return item;
}

void queue_close(struct queue *q) {
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->item);
    pthread_cond_broadcast(&q->room);
    pthread_mutex_unlock(&q->lock);
}
