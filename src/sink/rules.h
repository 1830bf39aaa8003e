/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is the same in every driver: when a load may begin, which values a row may hold, how values
 * look when they are read back. Drivers and the fake call these, so they refuse in the same words.
 */
#ifndef CM_SINK_RULES_H
#define CM_SINK_RULES_H

#include "sink/sink.h"

/* Starts the mask of columns that hold no more than 32 bits (bit i: column i). */
#define SINK_NARROW(i) ((uint32_t)1 << (i))

/* The watermark is as expected, else ERR_CONFLICT. */
int rules_expect(const struct sink *sk, const struct sink_table *t,
                 const struct sink_watermark *expected, const struct sink_watermark *found,
                 struct err *e);

/* Every date of the load is one; the table's definition is sound (assert). */
int rules_begin(const struct sink *sk, const struct sink_table *t, const struct sink_load_begin *b,
                struct err *e);

/*
 * The values are what their columns say: keys present, numbers finite, dates that exist. An INT
 * beyond 32 bits is an error where `narrow` says so; `shown` is the table's name for the HINT.
 */
int rules_row(const struct sink *sk, const struct sink_table *t, const char *const *values,
              uint32_t narrow, const char *shown, struct err *e);

enum { RULES_VALUE = 64 };
/*
 * A value as the database prints it -> as sink_row takes it: doubles with the fewest digits that
 * give the double back, booleans true and false, instants with T and Z. Gives `text` or `out`.
 */
const char *rules_value(enum sink_type type, const char *text, char out[RULES_VALUE]);

/* The fewest digits that give the double back, as %g prints them: 12.5, 1e+15, -0 as 0. */
void rules_double(double v, char out[RULES_VALUE]);

#endif
