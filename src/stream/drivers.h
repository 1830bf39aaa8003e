/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream drivers, for stream.c alone: everybody else opens by URL. `rest` is the URL without
 * "scheme:"; the topic's name has been checked.
 */
#ifndef CM_STREAM_DRIVERS_H
#define CM_STREAM_DRIVERS_H

#include "stream/stream.h"

int local_open(const char *rest, const struct stream_options *o, struct stream **ret,
               struct err *e);
int kafka_open(const char *rest, const struct stream_options *o, struct stream **ret,
               struct err *e);

int local_check(const char *rest, const struct stream_options *o, struct err *e);
int kafka_check(const char *rest, const struct stream_options *o, struct err *e);
int kafka_check_property(const char *name, const char *value, struct err *e);

/*
 * Kafka's default partitioner for a record with a key: murmur2 of the key, sign bit off, modulo
 * (org.apache.kafka.common.utils.Utils.murmur2). All drivers put a key into the same partition.
 */
uint32_t stream_murmur2(const void *key, size_t n);
int32_t stream_partition_of(const void *key, size_t n, int32_t partitions);

/*
 * Makes room for `more` bytes behind sp->bytes.len and keeps the records' pointers right when the
 * memory moves. A driver then writes there itself and adds to len.
 */
void span_reserve(struct span *sp, size_t more);
struct record *span_add(struct span *sp);

#endif
