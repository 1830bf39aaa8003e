/* SPDX-License-Identifier: Apache-2.0 */
/* The queue keeps order and bound, wakes everybody when closed, and loses nothing between threads. */
#include "base/queue.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/helper.h"

static int items[1000];

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void first_in_is_first_out(void **state ATTR_UNUSED) {
    struct queue *q = queue_new(3);
    size_t in = 0, out = 0;
    while (out < ARRAY_LEN(items)) { /* goes round the ring many times */
        while (in < ARRAY_LEN(items) && in - out < 3)
            assert_true(queue_put(q, &items[in++]));
        assert_ptr_equal(queue_take(q), &items[out++]);
        if (out % 2 && out < in)
            assert_ptr_equal(queue_take_for(q, 0), &items[out++]);
    }
    assert_null(queue_take_for(q, 0));
    queue_free(q);
    queue_free(NULL);
}

static void a_closed_queue_drains(void **state ATTR_UNUSED) {
    struct queue *q = queue_new(3);
    queue_put(q, &items[0]);
    queue_put(q, &items[1]);
    queue_close(q);
    assert_false(queue_put(q, &items[2]));
    assert_ptr_equal(queue_take(q), &items[0]);
    assert_ptr_equal(queue_take_for(q, 1000), &items[1]);
    assert_null(queue_take(q));
    assert_null(queue_take_for(q, 20000)); /* at once */
    queue_close(q);
    queue_free(q);
}

static void a_take_waits_as_long_as_asked(void **state ATTR_UNUSED) {
    static const int waits[] = {-5, 0, 1, 30};
    struct queue *q = queue_new(1);
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        int64_t start = clock_mono_ns();
        assert_null(queue_take_for(q, waits[i]));
        assert_true(clock_mono_ns() - start >= waits[i] * 1000000LL);
    }
    queue_free(q);
}

struct waiter {
    struct queue *q;
    pthread_t thread;
    atomic_bool done;
    bool put;    /* else take */
    bool answer; /* of put */
    void *item;  /* of take */
};

static void *wait_in_queue(void *arg) {
    struct waiter *w = arg;
    if (w->put)
        w->answer = queue_put(w->q, &items[9]);
    else
        w->item = queue_take(w->q);
    atomic_store(&w->done, true);
    return NULL;
}

static void start(struct waiter *w, struct queue *q, bool put) {
    *w = (struct waiter){.q = q, .put = put};
    pthread_create(&w->thread, NULL, wait_in_queue, w);
}

static void a_full_queue_makes_putters_wait(void **state ATTR_UNUSED) {
    struct queue *q = queue_new(2);
    struct waiter w;
    queue_put(q, &items[0]);
    queue_put(q, &items[1]);
    start(&w, q, true);
    sleep_ms(30);
    assert_false(atomic_load(&w.done));
    assert_ptr_equal(queue_take(q), &items[0]);
    pthread_join(w.thread, NULL);
    assert_true(w.answer);
    assert_ptr_equal(queue_take(q), &items[1]);
    assert_ptr_equal(queue_take(q), &items[9]);
    queue_free(q);
}

static void an_empty_queue_makes_takers_wait(void **state ATTR_UNUSED) {
    struct queue *q = queue_new(2);
    struct waiter w;
    start(&w, q, false);
    sleep_ms(30);
    assert_false(atomic_load(&w.done));
    queue_put(q, &items[5]);
    pthread_join(w.thread, NULL);
    assert_ptr_equal(w.item, &items[5]);
    queue_free(q);
}

static void closing_wakes_everybody(void **state ATTR_UNUSED) {
    struct queue *empty = queue_new(1), *full = queue_new(1);
    struct waiter w[6];
    queue_put(full, &items[0]);
    for (size_t i = 0; i < ARRAY_LEN(w); i++)
        start(&w[i], i % 2 ? full : empty, i % 2);
    sleep_ms(30);
    queue_close(empty);
    queue_close(full);
    for (size_t i = 0; i < ARRAY_LEN(w); i++) {
        pthread_join(w[i].thread, NULL);
        assert_false(w[i].answer);
        assert_null(w[i].item);
    }
    assert_ptr_equal(queue_take(full), &items[0]);
    queue_free(empty);
    queue_free(full);
}

enum { THREADS = 4, EACH = 20000 };

struct crowd {
    struct queue *q;
    int id;
    unsigned char *seen; /* of takers: how often each number came */
    bool in_order;
};

static void *put_many(void *arg) {
    struct crowd *c = arg;
    for (intptr_t i = 0; i < EACH; i++)
        if (!queue_put(c->q, (void *)(c->id * (intptr_t)EACH + i + 1))) /* not NULL */
            c->in_order = false;
    return NULL;
}

static void *take_many(void *arg) {
    struct crowd *c = arg;
    intptr_t last[THREADS] = {0};
    c->in_order = true;
    for (intptr_t n;
         (n = (intptr_t)(c->id % 2 ? queue_take(c->q) : queue_take_for(c->q, 10000)));) {
        c->seen[n - 1]++;
        c->in_order &= n > last[(n - 1) / EACH];
        last[(n - 1) / EACH] = n;
    }
    return NULL;
}

static void nothing_is_lost_between_threads(void **state ATTR_UNUSED) {
    struct queue *q = queue_new(7);
    struct crowd putters[THREADS], takers[THREADS];
    pthread_t put[THREADS], take[THREADS];
    for (int i = 0; i < THREADS; i++) {
        putters[i] = (struct crowd){.q = q, .id = i, .in_order = true};
        takers[i] = (struct crowd){.q = q, .id = i, .seen = xcalloc(THREADS * EACH, 1)};
        pthread_create(&take[i], NULL, take_many, &takers[i]);
        pthread_create(&put[i], NULL, put_many, &putters[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(put[i], NULL);
    queue_close(q);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(take[i], NULL);
        assert_true(putters[i].in_order && takers[i].in_order);
    }
    for (int n = 0; n < THREADS * EACH; n++) {
        int times = 0;
        for (int i = 0; i < THREADS; i++)
            times += takers[i].seen[n];
        assert_int_equal(times, 1);
    }
    for (int i = 0; i < THREADS; i++)
        free(takers[i].seen);
    queue_free(q);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_in_is_first_out),
        cmocka_unit_test(a_closed_queue_drains),
        cmocka_unit_test(a_take_waits_as_long_as_asked),
        cmocka_unit_test(a_full_queue_makes_putters_wait),
        cmocka_unit_test(an_empty_queue_makes_takers_wait),
        cmocka_unit_test(closing_wakes_everybody),
        cmocka_unit_test(nothing_is_lost_between_threads),
    };
    return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
