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

struct dated {
    int32_t day;
    uint32_t at;
};

static int by_day(const void *a, const void *b) {
    const struct dated *x = a, *y = b;
    if (x->day != y->day)
        return x->day < y->day ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/*
 * The records in order of their days, those of one day as they came; NULL: all are of one day. A
 * producer may date its records as it likes (Kafka's CreateTime), each on another day.
 */
static struct dated *order_by_day(const struct span *sp) {
    int32_t first = day_of_us(sp->v[0].timestamp_us);
    size_t i = 1;
    while (i < sp->n && day_of_us(sp->v[i].timestamp_us) == first)
        i++;
    if (i == sp->n)
        return NULL;
    struct dated *v = xmalloc(sp->n * sizeof *v);
    for (i = 0; i < sp->n; i++)
        v[i] = (struct dated){day_of_us(sp->v[i].timestamp_us), (uint32_t)i};
    qsort(v, sp->n, sizeof *v, by_day);
    return v;
}

/* The records of each day become row groups of their own. */
static void decode_unit(struct decoder *d, struct unit *u) {
    const struct span *sp = u->span;
    if (sp->n == 0)
        return;
    _cleanup_(freep) struct dated *order = order_by_day(sp);
    int32_t day = order ? order[0].day : day_of_us(sp->v[0].timestamp_us);
    for (size_t i = 0; i < sp->n; i++) {
        if (order && order[i].day != day) {
            close_group(d, u, day);
            day = order[i].day;
        }
        decode_record(d, u, &sp->v[order ? order[i].at : i]);
        if (d->n == 0 && bronze_group_bytes(d->group) >= GROUP_BYTES)
            close_group(d, u, day);
    }
    close_group(d, u, day);
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
