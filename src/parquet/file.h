/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoded row groups -> a Parquet file of a table, on local disk.
 *
 * Format: Apache Parquet, data pages of version 1, zstd; RLE_DICTIONARY, DELTA_BINARY_PACKED,
 * DELTA_LENGTH_BYTE_ARRAY and PLAIN (encode.h says which where); every column OPTIONAL; timestamps
 * INT64 microseconds isAdjustedToUTC, money INT64 decimal(18,4); the partition column is not in
 * the file.
 */
#ifndef CM_PARQUET_FILE_H
#define CM_PARQUET_FILE_H

#include "base/err.h"
#include "base/mem.h"
#include "base/schema.h"

/* An encoded row group: its pages as bytes, and what footer and add action will say of it. */
struct encoded;
void encoded_free(struct encoded *en);
size_t encoded_bytes(const struct encoded *en);
size_t encoded_rows(const struct encoded *en);

struct parquet_file;
/* Creates a local file that must not exist. */
int parquet_file_create(const struct table_def *def, const char *local_path,
                        struct parquet_file **ret, struct err *e);
/* Appends the group, one of the same table; frees it in any case. */
int parquet_file_append(struct parquet_file *f, struct encoded *en, struct err *e);
/* Gives back the file descriptor until the next call: for who has hundreds of files at once. */
void parquet_file_rest(struct parquet_file *f);
/*
 * Writes the footer and closes (no fsync: publish does). Fills size, rows and stats of ret, not
 * path, partition and mtime. A file without groups is valid and has no rows.
 *
 * After any failure (ERR_STORAGE) the local file is removed and further calls fail.
 */
int parquet_file_finish(struct parquet_file *f, struct table_file *ret, struct err *e);
/* Closes and removes an unfinished file; NULL is legal. After finish it only frees. */
void parquet_file_free(struct parquet_file *f);

#endif
