/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The comment lines a file of SQL begins with, `-- Key: value`: of models (model_header.h) and of
 * rules (checks.h). An indented line goes on with the value before it; other comments are notes.
 */
#ifndef CM_FLOW_SQL_HEADER_H
#define CM_FLOW_SQL_HEADER_H

#include "base/err.h"
#include "base/mem.h"

enum { SQL_HEADER_KEYS = 8 };

struct sql_header_key {
    const char *name;
    bool optional;
    bool lines; /* each line of the value is kept as one, but those that are indented deeper */
};

struct sql_header {
    const char *file; /* for messages */
    const struct sql_header_key *keys;
    size_t n_keys;
    const char *example; /* the hint for a header that lacks something */
    struct buf values[SQL_HEADER_KEYS];
    int lines[SQL_HEADER_KEYS]; /* where each stands; 0: nowhere */
    size_t indent;              /* of the first line of a value of lines */
};

/*
 * Fills in values and lines of a header whose first four members are set. *ret_body: the SELECT
 * behind it, within `text`. ERR_ENGINE, with file and line: a key stands there twice, or lacks. The
 * caller releases in any case.
 */
int sql_header_read(struct sql_header *h, const char *text, const char **ret_body, struct err *e);
void sql_header_release(struct sql_header *h);
const char *sql_header_value(const struct sql_header *h, size_t key); /* "" if it is not there */

#endif
