/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of the engine share: a lake and an engine in a new folder, jobs in a line, rows as text. */
#ifndef CM_TEST_ENGINE_HELPER_H
#define CM_TEST_ENGINE_HELPER_H

#include "engine/engine.h"
#include "storage/helper.h"

/* One bench a test: folder/lake is the lake, folder/tmp the engine's. */
struct bench {
    char *folder;
    struct storage *st;
    struct engine *en;
};
int bench_new(void **state); /* cmocka setup and teardown; *state is a struct bench */
int bench_free(void **state);
/* Another engine for the bench, with so much memory. */
void bench_memory(struct bench *b, int64_t bytes);

/* The files the job writes to def. The caller releases. */
struct table_files written(struct bench *b, const struct table_def *def, const char *select);

/*
 * The rows of a query as text: values joined by '|', NULL as -, rows by ' / '; or "ERROR: " and the
 * error's words. The caller frees.
 */
char *rows_of(struct bench *b, const struct engine_input *inputs, size_t n, bool untrusted,
              const char *sql);
/* Checks rows_of; over the one input, NULL: none. */
void check_rows(struct bench *b, const struct engine_input *in, const char *sql,
                const char *expected);

#endif
