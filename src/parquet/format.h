/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers of the Parquet format that we write, as in parquet.thrift of apache/parquet-format
 * (the comments name the Thrift enum), and the sizes we chose within it.
 */
#ifndef CM_PARQUET_FORMAT_H
#define CM_PARQUET_FORMAT_H

#include "base/limits.h"

#define PARQUET_MAGIC "PAR1"

enum parquet_type {
    PARQUET_BOOLEAN = 0,
    PARQUET_INT32 = 1,
    PARQUET_INT64 = 2,
    PARQUET_DOUBLE = 5,
    PARQUET_BYTES = 6
};

enum parquet_encoding { /* Encoding */
                        ENCODING_PLAIN = 0,
                        ENCODING_RLE = 3,   /* the hybrid of runs and bit-packed values: levels */
                        ENCODING_DELTA = 5, /* DELTA_BINARY_PACKED */
                        ENCODING_DELTA_LENGTH =
                            6, /* DELTA_LENGTH_BYTE_ARRAY: all lengths, then all texts */
                        ENCODING_DICTIONARY = 8, /* RLE_DICTIONARY: hybrid-coded indices */
};

enum parquet_page { PAGE_DATA = 0, PAGE_DICTIONARY = 2 }; /* PageType */
enum parquet_codec { CODEC_NONE = 0, CODEC_ZSTD = 6 };    /* CompressionCodec */

enum {
    REPETITION_OPTIONAL = 1, /* FieldRepetitionType */
    CONVERTED_UTF8 = 0,      /* ConvertedType, for readers older than LogicalType */
    CONVERTED_DECIMAL = 5,
    CONVERTED_DATE = 6,
    CONVERTED_TIMESTAMP_MICROS = 10,
    LOGICAL_STRING = 1, /* field ids of the union LogicalType */
    LOGICAL_DECIMAL = 5,
    LOGICAL_DATE = 6,
    LOGICAL_TIMESTAMP = 8,
    UNIT_MICROS = 2, /* field id of the union TimeUnit */
};

enum { MONEY_PRECISION = 18, MONEY_SCALE = 4 }; /* decimal(18,4) */

/*
 * A row group holds at most this many rows, so that a fixed-width column is always one page and an
 * index of a dictionary fits 16 bits.
 */
#define GROUP_ROWS_MAX 131072

/* A page of texts is closed at the first row, of every eighth, behind this size. */
#define PAGE_BYTES ((size_t)MIB)

/* The definition levels of the rows of a group, at worst one bit each (hybrid_bits). */
#define LEVELS_MAX (GROUP_ROWS_MAX / 8 + 64)

#endif
