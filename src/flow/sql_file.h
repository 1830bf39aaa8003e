/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's files of SQL: models (models.h) and rules (checks.h), one .sql file each in a folder.
 */
#ifndef CM_FLOW_SQL_FILE_H
#define CM_FLOW_SQL_FILE_H

#include "base/err.h"

struct sql_folder {
    const char *dir;
    const char *key;   /* of the configuration, "models.dir": for messages */
    const char *usual; /* its default, which need not be there */
    /* path as it is opened; file: the same for messages; name: "mine" of "mine.sql". */
    void (*take)(void *arg, const char *path, const char *file, const char *name);
    void *arg;
};

/* Calls take for each .sql file, in byte order. ERR_CONFIG: the folder cannot be read. */
int sql_folder_each(const struct sql_folder *f, struct err *e);

/* The whole text, free of what no message could quote; NULL and ERR_ENGINE. The caller frees. */
char *sql_file_read(const char *path, const char *file, struct err *e);

/* The text as one line without control characters, for messages. The caller frees. */
char *sql_printable(const char *text);

#endif
