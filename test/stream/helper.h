/* SPDX-License-Identifier: Apache-2.0 */
/* What the stream tests share: recorded acks, and reading a topic to its end. */
#ifndef CM_TEST_STREAM_HELPER_H
#define CM_TEST_STREAM_HELPER_H

#include "base/helper.h"
#include "stream/stream.h"

struct ack_log {
    struct ack *v; /* .error is only told apart from NULL */
    size_t n, cap, failed;
    struct err error; /* of the last one that failed */
};

void ack_log_add(void *arg, const struct ack *a);
void ack_log_release(struct ack_log *log);

#define _stream_ _cleanup_(stream_freep) struct stream *

void send_text(struct stream *s, const char *key, const char *value);
/* The numbers as texts, and flushes. */
void send_many(struct stream *s, int from, int to);
void flush_all(struct stream *s);

/* Assigns every partition from the beginning; the number of partitions. */
size_t assign_all(struct stream *s);
/* Polls until nothing more comes; appends to sp. */
void read_to_end(struct stream *s, struct span *sp);
/* Polls, as long as it takes, until sp holds n records; and there are no more. */
void read_records(struct stream *s, struct span *sp, size_t n);
/* Empties sp, assigns every partition and reads all its offsets; there must be no holes. */
void read_topic(struct stream *s, struct span *sp);

/* Polls for something of this kind; what is read goes to sp. */
void poll_for(struct stream *s, enum poll_kind kind, struct span *sp, struct poll_result *ret);
/* Answers a POLL_ASSIGN: every partition from `offset`. */
void assign_from(struct stream *s, const struct poll_result *polled, int64_t offset);
/* Subscribes, and reads what it is given from the beginning. */
void join_group(struct stream *s, struct span *sp);

const struct record *find_record(const struct span *sp, int32_t partition, int64_t offset);
bool record_is(const struct record *rec, const char *value);

/* A folder of its own below TMPDIR; removed with all it holds. */
char *temp_folder(void);
void remove_folder(char *path);

#endif
