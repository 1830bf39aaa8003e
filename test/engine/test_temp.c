/* SPDX-License-Identifier: Apache-2.0 */
/* Temp folders under a crowd: everybody sweeps away what looks dead while others are just being born. */
#include <pthread.h>
#include <unistd.h>

#include "engine/duckdb_priv.h"
#include "stream/helper.h"

enum { THREADS = 8, ROUNDS = 400 };

static char *base;

static void *open_and_close(void *arg) {
    struct err e = {0};
    for (int i = 0; i < ROUNDS; i++) {
        struct duck_temp t = {0};
        if (temp_open(&t, base, &e) != 0) {
            *(char **)arg = xstrdup(e.msg);
            return NULL;
        }
        if (access(t.dir, W_OK) != 0)
            *(char **)arg = xasprintf("%s was swept while it was in use", t.dir);
        temp_close(&t);
    }
    return NULL;
}

static void a_crowd_of_engines_can_open(void **state ATTR_UNUSED) {
    pthread_t threads[THREADS];
    char *failed[THREADS] = {0};
    base = temp_folder();
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, open_and_close, &failed[i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        if (failed[i])
            fail_msg("%s", failed[i]);
    remove_folder(base);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crowd_of_engines_can_open),
    };
    return cmocka_run_group_tests_name("temp", tests, NULL, NULL);
}
