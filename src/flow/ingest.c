/* SPDX-License-Identifier: Apache-2.0 */
/* Opens the table, starts the threads of the three stages, ends them. */
#include "flow/ingest.h"

#include <assert.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "flow/ingest_priv.h"

static void ingest_init(struct ingest *in, struct stream *s, struct storage *st,
                        const struct ingest_options *o) {
    *in = (struct ingest){.s = s, .st = st, .o = o, .decoders_left = o->threads};
    pthread_mutex_init(&in->lock, NULL);
    pthread_cond_init(&in->replied, NULL);
    in->n_units = (size_t)MIN(2 * o->threads + 2, MAX_INFLIGHT);
    in->to_decode = queue_new(in->n_units);
    in->to_write = queue_new(in->n_units);
    in->free_units = queue_new(in->n_units);
    in->units = xcalloc(in->n_units, sizeof *in->units);
    for (size_t i = 0; i < in->n_units; i++) {
        in->units[i].span = span_new(SPAN_BYTES);
        queue_put(in->free_units, &in->units[i]);
    }
}

static void ingest_release(struct ingest *in) {
    for (size_t i = 0; i < in->n_units; i++) {
        span_free(in->units[i].span);
        free(in->units[i].ranges);
        free(in->units[i].losses);
        free(in->units[i].pieces);
        free(in->units[i].partitions);
    }
    free(in->units);
    free(in->reply);
    free(in->committed);
    queue_free(in->to_decode);
    queue_free(in->to_write);
    queue_free(in->free_units);
    pthread_cond_destroy(&in->replied);
    pthread_mutex_destroy(&in->lock);
}

/* Runs the three stages; the threads have ended when it returns. */
static int run_stages(struct ingest *in, struct table *tb, const char *stage,
                      struct ingest_result *sum, struct err *e) {
    pthread_t poll, decode[64];
    assert(in->o->threads >= 1 && in->o->threads <= (int)ARRAY_LEN(decode));
    pthread_create(&poll, NULL, ingest_poll_thread, in);
    for (int i = 0; i < in->o->threads; i++)
        pthread_create(&decode[i], NULL, ingest_decode_thread, in);
    int r = ingest_write(in, tb, stage, sum, e);
    pthread_join(poll, NULL);
    for (int i = 0; i < in->o->threads; i++)
        pthread_join(decode[i], NULL);
    if (r == 0 && in->poll_err.code) {
        *e = in->poll_err;
        r = e->code;
    }
    if (r == 0 && in->stopped_early)
        r = err_set(e, ERR_STOPPED,
                    "ingest: stopped by a signal before the end offsets were reached");
    return r;
}

static int ingest(struct stream *s, struct storage *st, const struct ingest_options *o,
                  struct ingest_result *ret, struct err *e) {
    struct ingest in;
    struct table *tb;
    char stage[LIMIT_PATH];
    int r = table_open(st, &bronze_events, &tb, e);
    if (r < 0)
        return r;
    r = table_check_writable(tb, e);
    if (r == 0)
        r = storage_stage(st, stage, e);
    if (r < 0) {
        table_close(tb);
        return r;
    }
    struct ingest_result sum = {0};
    ingest_init(&in, s, st, o);
    r = run_stages(&in, tb, stage, &sum, e);
    storage_unstage(st, stage);
    table_close(tb);
    ingest_release(&in);
    *ret = sum;
    return r;
}

int flow_ingest(struct stream *s, struct storage *st, const struct ingest_options *o,
                struct ingest_result *ret, struct err *e) {
    *ret = (struct ingest_result){0};
    int r = ingest(s, st, o, ret, e);
    if (r != ERR_STOPPED || o->once)
        return r;
    log_info("stopped: the open batch is dropped, its records will be read again",
             F_STR("why", e->msg));
    err_clear(e);
    return 0;
}
