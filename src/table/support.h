/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a table may ask for. Anybody with Spark can upgrade our table or change its columns: then
 * clickmill stops with a clear error rather than read rows wrongly or break another's promise.
 * The rule is to fail closed: reader version 1 and writer version 2, nothing beyond.
 */
#ifndef CM_TABLE_SUPPORT_H
#define CM_TABLE_SUPPORT_H

#include "base/json.h"
#include "base/schema.h"

/* protocol and meta: the two actions. ERR_STORAGE, naming the feature, column or setting. */
int support_read(const struct table_def *def, const json *protocol, const json *meta,
                 struct err *e);
int support_write(const json *protocol, const json *meta, struct err *e);

/* The schema that a metaData action holds as a text; NULL: an error. The caller frees. */
struct json_doc *support_schema(const json *meta, struct err *e);
/* The field of that name, NULL: none. Delta's names are unique whatever their case. */
const json *support_field(const json *fields, const char *name);

/* Does the table lack a column that came later? `meta`: the line. */
bool support_is_older(const struct table_def *def, const struct json_doc *meta);

/* The first column that the table has and we do not know, NULL: none. The caller frees. */
char *support_foreign_column(const struct table_def *def, const json *meta);

/*
 * The caller's definition with the columns of the schema, the partition column last. ERR_STORAGE for
 * a column of a type that clickmill does not use.
 */
int support_declared(const struct table_def *given, const json *meta, struct table_def **ret,
                     struct err *e);
void support_declared_free(struct table_def *def);

/* delta.appendOnly: rows may be rearranged, never taken out. */
bool support_append_only(const json *meta);

#endif
