/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The middle stage of ingest: records -> events -> encoded row groups, one a day of arrival.
 * Each thread has its own decoder and its own columns; units pass through in any order.
 */
#include "base/clock.h"
#include "event/event.h"
#include "flow/ingest_priv.h"

enum {
    GROUP_BYTES = 48 * MIB, /* a row group is closed early beyond this */
    TOGETHER = 64,          /* events that go into the columns at once */
};

struct decoder {
    struct ingest *in;
    struct event_decoder *dec;
    struct bronze_group *group;
    struct event events[TOGETHER]; /* decoded, not yet in the group */
    struct bronze_source sources[TOGETHER];
    size_t n;
};

static void fill_group(struct decoder *d) {
    if (d->n)
        bronze_group_add_many(d->group, d->events, d->sources, d->n);
    d->n = 0;
}

static void close_group(struct decoder *d, struct unit *u, int32_t day) {
    fill_group(d);
    if (bronze_group_rows(d->group) == 0)
        return;
    if (u->n_pieces == u->cap_pieces) {
        u->cap_pieces = u->cap_pieces ? 2 * u->cap_pieces : 4;
        u->pieces = xrealloc(u->pieces, u->cap_pieces * sizeof *u->pieces);
    }
    u->pieces[u->n_pieces++] = (struct piece){day, bronze_encode(d->group)};
    bronze_group_reset(d->group);
}

static void decode_record(struct decoder *d, struct unit *u, const struct record *rec) {
    struct event *ev = &d->events[d->n];
    const char *value = rec->value ? rec->value : "";
    event_decode(d->dec, value, rec->value_len, rec->timestamp_us, ev);
    u->rejected += ev->reject != REJECT_NONE;
    d->sources[d->n] = (struct bronze_source){.topic = d->in->s->topic,
                                              .partition = rec->partition,
                                              .offset = rec->offset,
                                              .index = 0,
                                              .received_us = rec->timestamp_us,
                                              .protocol = "native",
                                              .raw = value,
                                              .raw_len = rec->value_len,
                                              .keep_raw = d->in->o->keep_raw};
    if (++d->n == TOGETHER)
        fill_group(d);
}

/* The records of one day become row groups; *ret_later: the next day that stands in the span, if any. */
static bool decode_day(struct decoder *d, struct unit *u, int32_t day, int32_t *ret_later) {
    bool more = false;
    int32_t later = 0;
    for (size_t i = 0; i < u->span->n; i++) {
        const struct record *rec = &u->span->v[i];
        int32_t its = day_of_us(rec->timestamp_us);
        if (its == day) {
            decode_record(d, u, rec);
            if (d->n == 0 && bronze_group_bytes(d->group) >= GROUP_BYTES)
                close_group(d, u, day);
        } else if (its > day && (!more || its < later)) {
            more = true;
            later = its;
        }
    }
    close_group(d, u, day);
    *ret_later = later;
    return more;
}

static void decode_unit(struct decoder *d, struct unit *u) {
    if (u->span->n == 0)
        return;
    int32_t day = day_of_us(u->span->v[0].timestamp_us);
    for (size_t i = 1; i < u->span->n; i++)
        day = MIN(day, day_of_us(u->span->v[i].timestamp_us));
    while (decode_day(d, u, day, &day)) {
    }
    event_decoder_reset(d->dec);
}

void *ingest_decode_thread(void *arg) {
    struct ingest *in = arg;
    struct decoder d = {
        .in = in,
        .dec = event_decoder_new(),
        .group = bronze_group_new(&(struct bronze_options){.zstd_level = in->o->zstd_level})};
    struct unit *u;
    while ((u = queue_take(in->to_decode))) {
        if (u->kind == UNIT_SPAN && !atomic_load(&in->failed))
            decode_unit(&d, u);
        queue_put(in->to_write, u);
    }
    bronze_group_free(d.group);
    event_decoder_free(d.dec);
    pthread_mutex_lock(&in->lock);
    bool last = --in->decoders_left == 0;
    pthread_mutex_unlock(&in->lock);
    if (last)
        queue_close(in->to_write);
    return NULL;
}
