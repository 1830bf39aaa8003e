/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the local stream (local.c has the overview of files and guarantees): the log of one
 * partition (local_log.c), the producer (local_append.c), the consumer (local_read.c).
 */
#ifndef CM_STREAM_LOCAL_PRIVATE_H
#define CM_STREAM_LOCAL_PRIVATE_H

#include "base/limits.h"
#include "stream/stream.h"

#define SEGMENT_BYTES                                                                              \
    (128 * (int64_t)MIB)              /* a new segment is begun once the last has reached this */
#define BATCH_BYTES (8 * (size_t)MIB) /* group commit: as soon as one of these is reached … */
#define BATCH_RECORDS 50000
#define BATCH_LINGER_MS 50              /* … or the oldest record has waited this long */
#define STICKY_BYTES (64 * (size_t)KIB) /* records without key: then the next partition's turn */
#define LOCK_WAIT_MS 30000
#define READ_CHUNK (256 * (size_t)KIB)

/*
 * A frame, little-endian, one behind the other:
 *     0  u32  length of what follows the checksum: 16 + key + value
 *     4  u32  CRC-32C of what follows
 *     8  i64  timestamp, milliseconds since 1970 UTC
 *    16  i32  key length, -1: no key
 *    20  i32  value length, -1: no value
 *    24       key, value
 * The length says nothing new, so damage to it shows as well as damage to the rest. Offsets are
 * not stored: the segment's name is the first one.
 */
enum { FRAME_HEAD = 24 };
#define FRAME_MAX ((size_t)LIMIT_LINE + LIMIT_RECORD) /* key and value together */

enum frame_state {
    FRAME_OK,
    FRAME_SHORT, /* ends behind the bytes at hand; size is set once the head is there, else 0 */
    FRAME_BAD,   /* no frame, or a wrong checksum */
};

struct frame {
    size_t size; /* with the head */
    int64_t timestamp_ms;
    const char *key, *value;
    size_t key_len, value_len;
};

enum frame_state frame_parse(const char *p, size_t n, struct frame *ret);
/* What the FRAME_HEAD bytes at p say of a frame; the rest is not looked at. false: no frame. */
bool frame_glance(const char *p, struct frame *ret);
/* Appends a frame without timestamp and checksum; frame_seal adds these. Returns its size. */
size_t frame_add(struct buf *b, const void *key, size_t key_len, const void *value,
                 size_t value_len);
void frame_seal(char *frame, int64_t timestamp_ms);
size_t frame_size(const char *frame); /* of a frame known to be one */

/* A place in a partition's log, between two frames. */
struct point {
    int64_t base;         /* the segment's first offset */
    int64_t pos;          /* byte in the segment */
    int64_t offset;       /* of the frame that begins here */
    int64_t timestamp_ms; /* of the frame before; 0: there is none */
};

struct local {
    struct stream s;
    char *root;         /* PATH of the URL */
    char *dir;          /* root/topic */
    int32_t partitions; /* 0: the topic does not exist yet, as far as we know */
    int32_t create_partitions;
    bool accept_loss;          /* stream_options */
    int64_t segment_bytes;     /* SEGMENT_BYTES; tests make it small */
    struct appender *appender; /* NULL until the first send */
    struct consumer *consumer; /* NULL until subscribe or assign */
    struct reader *peekers;    /* by partition, each where it looked last */
    int32_t n_peekers;
};

/* local.c */

/* Looks for the topic; sets partitions, 0 if it does not exist. */
int local_load_topic(struct local *l, struct err *e);
/* Sets an ERR_STREAM for errnum, with the hint that fits it. */
int local_error(struct local *l, struct err *e, int errnum, const char *fmt, ...) ATTR_PRINTF(4, 5);
/* Creates `path` with this content if it does not exist; whole and durable or not at all. */
int local_put_if_absent(struct local *l, const char *path, const char *text, struct err *e);
int local_mkdir(struct local *l, const char *path, struct err *e); /* durable; existing is fine */
int local_sync_dir(struct local *l, const char *path, struct err *e);

/* local_log.c */

void log_segment_path(struct local *l, int32_t partition, int64_t base, char out[LIMIT_PATH]);
void log_partition_path(struct local *l, int32_t partition, char out[LIMIT_PATH]);

/*
 * The durable mark (file PATH/topic/partition/durable): everything before it was written out with
 * fdatasync. It is not fsynced itself, so after a power cut it may be old, but never ahead.
 * false: there is none.
 */
bool log_mark_read(struct local *l, int32_t partition, struct point *ret);
int log_mark_write(struct local *l, int32_t partition, const struct point *end, struct err *e);

/* The first offsets of a partition's segments, ascending; the caller frees. None: *ret_n = 0. */
int log_segments(struct local *l, int32_t partition, int64_t **ret, size_t *ret_n, struct err *e);

/* Moves `at` over whole frames, to the first that is none or to the offset `until`. */
int log_walk(struct local *l, int32_t partition, int fd, struct point *at, int64_t until,
             struct err *e);

/*
 * Where a partition begins and ends: the end is behind the last whole frame. An empty partition
 * ends at {0, 0, 0, 0}. ERR_STREAM if what the mark promises is not there.
 */
int log_range(struct local *l, int32_t partition, int64_t *ret_begin, struct point *ret_end,
              struct err *e);
int log_damaged(struct local *l, int32_t partition, const struct point *at, const char *why,
                struct err *e);

/* local_append.c */
int append_send(struct stream *s, const void *key, size_t key_len, const void *value,
                size_t value_len, void *opaque, struct err *e);
int append_flush(struct stream *s, struct err *e);
void appender_free(struct appender *a);

/* local_read.c */
int read_subscribe(struct stream *s, struct err *e);
int read_poll(struct stream *s, int timeout_ms, struct span *sp, size_t max_records,
              size_t max_bytes, struct poll_result *ret, struct err *e);
int read_assign(struct stream *s, const struct position *p, size_t n, struct err *e);
int read_bounds(struct stream *s, struct bounds **ret, size_t *ret_n, struct err *e);
int read_peek(struct stream *s, struct peek *v, size_t n, struct err *e);
void consumer_free(struct consumer *c);
void peekers_free(struct local *l);

#endif
