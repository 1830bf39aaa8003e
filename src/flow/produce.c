/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/produce.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/progress.h"
#include "base/util.h"
#include "flow/ledger.h"
#include "flow/lines.h"
#include "flow/shoppers.h"

/* How long a record may wait for company when records come slowly. */
static const int64_t linger_ns = 50000000;

struct producer {
    const struct produce_options *o;
    struct stream *s;
    struct produce_result *result;
    int64_t events; /* the limit; 0: none */
    /* One of the two sources. */
    struct lines *lines;
    struct shoppers *shoppers;
    struct catalog catalog;
    struct ledger *ledger; /* NULL: none */
    size_t acks;           /* since the ledger was written */
    struct err failure;    /* of the first record that was not accepted; code 0: none */
    int64_t start_ns, flushed_ns;
};

void produce_defaults(void *options) {
    *(struct produce_options *)options =
        (struct produce_options){.events = -1, .seed = -1, .period_ms = -1};
}

/* The value of a record in flight, kept for the ledger. */
struct flight {
    size_t len;
    char value[];
};

static void on_ack(void *arg, const struct ack *a) {
    struct producer *p = arg;
    struct flight *f = a->opaque;
    if (a->error) {
        p->result->failed++;
        if (p->failure.code == 0)
            p->failure = *a->error;
    } else {
        p->result->acked++;
        if (f)
            ledger_add(p->ledger, a, f->value, f->len);
    }
    p->acks++;
    free(f);
}

static int64_t unit_us(const char *name) {
    if (!name || strcmp(name, "s") == 0)
        return 1000000;
    return strcmp(name, "ms") == 0 ? 1000 : strcmp(name, "us") == 0 ? 1 : 0;
}

static int check_options(const struct produce_options *o, struct err *e) {
    if (unit_us(o->ts_unit) == 0)
        return err_set(e, ERR_USAGE, "event_ts can be in s, ms or us, not in \"%s\"", o->ts_unit);
    if (!o->from)
        return 0;
    if (o->catalog || o->duplicates > 0 || o->late > 0 || o->bad > 0 || o->plain)
        return err_set(e, ERR_USAGE,
                       "lines of a file are published as they are: --from does not go "
                       "with --catalog, --duplicates, --late, --bad or --plain");
    return 0;
}

static int64_t random_seed(void) {
    char uuid[UUID_TEXT];
    uuid_make(uuid);
    uuid[8] = '\0';
    return (int64_t)strtoull(uuid, NULL, 16);
}

static int open_shoppers(struct producer *p, struct err *e) {
    const struct produce_options *o = p->o;
    int r = catalog_load(o->catalog, &p->catalog, e);
    if (r < 0)
        return r;
    p->result->seed = o->seed >= 0 ? o->seed : random_seed();
    int64_t period_ms = o->period_ms;
    if (period_ms < 0)
        period_ms = o->rate > 0 || p->events == 0 ? 0 : PRODUCE_DAYS * 86400000LL;
    struct shoppers_options so = {
        .events = p->events,
        .seed = (uint64_t)p->result->seed,
        .now_us = o->now_s * US_PER_SECOND,
        .period_us = period_ms * 1000,
        .ts_unit_us = unit_us(o->ts_unit),
        .rate = o->rate > 0 ? (double)o->rate : 100,
        .duplicates = o->duplicates,
        .late = o->late,
        .bad = o->bad,
        .plain = o->plain,
    };
    p->shoppers = shoppers_new(&so, &p->catalog);
    return 0;
}

static int open_source(struct producer *p, struct err *e) {
    p->events = p->o->events;
    if (p->events < 0)
        p->events = p->o->from ? 0 : PRODUCE_EVENTS;
    return p->o->from ? lines_open(p->o->from, &p->lines, e) : open_shoppers(p, e);
}

/* enum lines_state, or an error. */
static int next_record(struct producer *p, struct made *ret, struct err *e) {
    if (p->shoppers)
        return shoppers_next(p->shoppers, ret) ? LINES_ONE : LINES_END;
    if (p->events > 0 && p->result->sent >= p->events)
        return LINES_END;
    *ret = (struct made){0};
    return lines_next(p->lines, &ret->value, &ret->len, e);
}

static int write_ledger(struct producer *p, bool last, struct err *e) {
    if (!p->ledger || (p->acks == 0 && !last))
        return 0;
    p->acks = 0;
    return ledger_write(p->ledger, last, e);
}

/* What failed, if anything, stands in p->failure: every failed record is acknowledged as such. */
static int flush(struct producer *p, struct err *e) {
    struct err why;
    int r = stream_flush(p->s, &why);
    p->flushed_ns = clock_mono_ns();
    if (r < 0 && p->failure.code == 0)
        p->failure = why;
    return write_ledger(p, false, e);
}

static int send_one(struct producer *p, const struct made *m, struct err *e) {
    struct flight *f = NULL;
    if (p->ledger) {
        f = xmalloc(sizeof *f + m->len);
        f->len = m->len;
        memcpy(f->value, m->value, m->len);
    }
    int r = stream_send(p->s, m->key, m->key_len, m->value, m->len, f, e);
    if (r < 0) {
        free(f);
        return r;
    }
    p->result->sent++;
    p->result->bytes += (int64_t)m->len;
    p->result->duplicates += m->duplicate;
    p->result->late += m->late;
    p->result->bad += m->bad;
    return write_ledger(p, false, e);
}

/* Waits until it is the next record's turn; what was sent is not kept waiting meanwhile. */
static int pace(struct producer *p, struct err *e) {
    if (p->o->rate <= 0)
        return 0;
    double due = (double)p->result->sent / (double)p->o->rate * 1e9;
    for (;;) {
        int64_t now = clock_mono_ns();
        int64_t ahead = p->start_ns + (int64_t)due - now;
        if (ahead < 1000000)
            return 0;
        if (now - p->flushed_ns >= linger_ns || ahead >= linger_ns) {
            int r = flush(p, e);
            if (r < 0)
                return r;
            ahead = p->start_ns + (int64_t)due - clock_mono_ns();
        }
        if (ahead > 0 && stop_wait((int)MIN(MAX(ahead / 1000000, 1), 1000)))
            return 0;
    }
}

/* One: the source has come to its end; 0: stopped before. */
static int send_all(struct producer *p, struct progress *shown, struct err *e) {
    struct made m;
    while (!stop_requested() && p->failure.code == 0) {
        int r = next_record(p, &m, e);
        if (r == LINES_END)
            return 1;
        if (r == LINES_WAIT) {
            r = flush(p, e);
            lines_wait(p->lines, 200);
        } else if (r == LINES_ONE) {
            r = pace(p, e);
            if (r < 0 || stop_requested())
                return r;
            r = send_one(p, &m, e);
            if (!p->o->quiet)
                progress_update(shown, p->result->sent);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static int finish(struct producer *p, int r, struct err *e) {
    const struct produce_result *res = p->result;
    struct err later;
    int flushed = flush(p, &later);
    if (flushed == 0)
        flushed = write_ledger(p, true, &later);
    if (r < 0)
        return r;
    if (flushed < 0) {
        *e = later;
        return flushed;
    }
    if (p->failure.code < 0) {
        *e = p->failure;
        return err_wrap(e, "%" PRId64 " of %" PRId64 " records were not published", res->failed,
                        res->sent);
    }
    if (r == 0 && (p->events > 0 || p->lines))
        return err_set(e, ERR_STOPPED, "stopped after %" PRId64 " records", res->sent);
    return 0;
}

int flow_produce(const struct produce_options *o, struct stream *s, struct produce_result *ret,
                 struct err *e) {
    *ret = (struct produce_result){0};
    struct producer p = {.o = o, .s = s, .result = ret, .start_ns = clock_mono_ns()};
    struct progress shown;
    stream_on_ack(s, on_ack, &p);
    int r = check_options(o, e);
    if (r == 0)
        r = open_source(&p, e);
    if (r == 0 && o->ledger)
        r = ledger_open(o->ledger, s->topic, &p.ledger, e);
    if (r == 0) {
        p.start_ns = p.flushed_ns = clock_mono_ns();
        if (!o->quiet)
            progress_start(&shown, "produce", "events", p.events);
        r = finish(&p, send_all(&p, &shown, e), e);
        if (!o->quiet)
            progress_end(&shown);
    }
    ret->seconds = (double)(clock_mono_ns() - p.start_ns) / 1e9;
    stream_on_ack(s, NULL, NULL);
    ledger_close(p.ledger);
    lines_close(p.lines);
    shoppers_free(p.shoppers);
    catalog_release(&p.catalog);
    return r;
}
